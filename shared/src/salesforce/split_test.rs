//! Cutting field lists and joining the parts.

use super::*;

fn path(text: &str) -> FieldPath {
    FieldPath::parse(text).unwrap()
}

#[test]
fn a_list_is_cut_without_losing_or_repeating_a_field() {
    let fields: Vec<FieldPath> =
        (0..50).map(|n| path(&format!("Field{n:02}__c"))).chain([path("IsDeleted")]).collect();
    let parts = Parts::cut(&fields, 200, 100);
    assert_eq!(parts.first[0].as_str(), "IsDeleted");
    assert!(parts.rest.len() > 2);
    let bytes = |part: &[FieldPath]| part.iter().map(|field| field.as_str().len() + 3).sum::<usize>();
    assert!(bytes(&parts.first) <= 200 && parts.rest.iter().all(|part| bytes(part) <= 100));
    let mut all: Vec<FieldPath> = parts.rest.concat();
    all.extend(parts.first);
    let mut expected = fields;
    all.sort();
    expected.sort();
    assert_eq!(all, expected);
}

#[test]
fn a_short_list_stays_whole_and_a_field_beyond_the_budget_stands_alone() {
    let fields = [path("Subject"), path("Status")];
    assert_eq!(Parts::cut(&fields, 1000, 100), Parts { first: fields.to_vec(), rest: Vec::new() });
    let parts = Parts::cut(&fields, 1, 1);
    assert_eq!((parts.first.len(), parts.rest.len()), (1, 1));
}

#[test]
fn objects_are_merged_member_by_member() {
    let merged = merge(&[
        r#"{"attributes":{"type":"Case"},"Id":"1","A":1.50,"Owner":{"attributes":{"type":"Name"},"Name":"\u00e9"}}"#,
        r#"{"attributes":{"type":"Case"},"Id":"1","B":null,"Owner":{"attributes":{"type":"Name"},"Type":"User"}}"#,
        r#"{"attributes":{"type":"Case"},"Id":"1","Contact":null}"#,
    ]);
    assert_eq!(
        merged.unwrap(),
        r#"{"attributes":{"type":"Case"},"Id":"1","A":1.50,"Owner":{"attributes":{"type":"Name"},"Name":"\u00e9","Type":"User"},"B":null,"Contact":null}"#
    );
}

#[test]
fn a_record_is_known_by_id_and_stamp() {
    let record = r#"{"Id":"5003000000D8cuIAAR","SystemModstamp":"2026-11-01T10:20:30.000+0000"}"#;
    let (id, stamp) = key_of(record, "SystemModstamp").unwrap();
    assert_eq!((id.as_str(), stamp), ("5003000000D8cuIAAR", "\"2026-11-01T10:20:30.000+0000\""));
    for bad in
        ["{}", "17", r#"{"Id":"5003000000D8cuIAAR"}"#, r#"{"Id":"5003000000D8cuIAAR","SystemModstamp":null}"#]
    {
        assert!(key_of(bad, "SystemModstamp").is_err(), "{bad}");
    }
}
