//! The canonical form: one spelling for each value, nothing lost, one bad value costs one record.

use serde_json::json;

use super::*;
use crate::catalog::Field;
use crate::ids::FieldSetId;

fn set(fields: &[(&str, FieldType)]) -> FieldSet {
    let fields = fields.iter().map(|(path, kind)| Field { path: (*path).to_owned(), kind: *kind }).collect();
    FieldSet::new(FieldSetId(1), fields)
}

fn canonical(record: &str, set: &FieldSet) -> Result<String, RecordProblem> {
    let raw: &RawValue = serde_json::from_str(record).unwrap();
    let mut page = PageRecords::new(set);
    canonicalize(raw, set, &mut page)?;
    Ok(String::from_utf8(page.get(0, set).bytes().to_vec()).unwrap())
}

#[test]
fn a_record_becomes_typed_scalars_in_path_order() {
    let set = set(&[
        ("Subject", FieldType::Text),
        ("Id", FieldType::Text),
        ("Owner.Name", FieldType::AnyType),
        ("Owner.Type", FieldType::AnyType),
        ("IsClosed", FieldType::Boolean),
        ("Amount__c", FieldType::Decimal),
        ("Count__c", FieldType::Integer),
        ("CreatedDate", FieldType::Datetime),
        ("Missing__c", FieldType::Text),
    ]);
    let record = r#"{"attributes":{"type":"Case","url":"/x"},"Id":"5003000000D8cuIAAR","Subject":"a\u00e9\/b \ud83d\ude00",
        "Owner":{"attributes":{"type":"Name"},"Name":"Ann","Type":"User"},"IsClosed":false,"Amount__c":50000.00,
        "Count__c":47.0,"CreatedDate":"2013-04-04T20:52:22.000+0000","Unknown":{"deep":[1,2]}}"#;
    assert_eq!(
        canonical(record, &set).unwrap(),
        r#"[50000,47,"2013-04-04T20:52:22.000Z","5003000000D8cuIAAR",false,null,"Ann","User","aé/b 😀"]"#
    );
}

#[test]
fn rest_and_bulk_spellings_give_the_same_bytes() {
    let set = set(&[("A", FieldType::Decimal), ("D", FieldType::Datetime), ("T", FieldType::Text)]);
    let rest = r#"{"A":12.0,"D":"2026-11-23T18:08:09.000+0000","T":null}"#;
    let other = r#"{"T":"","D":"2026-11-23T18:08:09.000Z","A":1.2e1}"#;
    assert_eq!(canonical(rest, &set), canonical(other, &set));
}

#[test]
fn an_invisible_parent_is_null_and_a_value_of_any_type_is_text() {
    let set = set(&[("Owner.Name", FieldType::AnyType), ("OldValue", FieldType::AnyType)]);
    assert_eq!(canonical(r#"{"Owner":null,"OldValue":true}"#, &set).unwrap(), r#"["true",null]"#);
    assert_eq!(canonical(r#"{"OldValue":12.50}"#, &set).unwrap(), r#"["12.50",null]"#);
}

#[test]
fn one_wrong_value_refuses_its_record_and_names_the_field() {
    let set = set(&[("IsClosed", FieldType::Boolean), ("N", FieldType::Integer), ("D", FieldType::Date)]);
    for (record, field) in [
        (r#"{"IsClosed":"yes"}"#, "IsClosed"),
        (r#"{"N":1.5}"#, "N"),
        (r#"{"N":"1"}"#, "N"),
        (r#"{"D":"2026-13-01"}"#, "D"),
        (r#"{"N":[1]}"#, "N"),
    ] {
        assert_eq!(canonical(record, &set).unwrap_err().field(), Some(field), "{record}");
    }
    assert_eq!(canonical("17", &set), Err(RecordProblem::NotAnObject));
}

#[test]
fn no_character_is_lost() {
    let set = set(&[("T", FieldType::Text)]);
    for text in ["\u{0}", "\r\n\t", "\u{1F600}", "N/A", "007", "\\", "\"", "\u{2028}"] {
        let record = json!({ "T": text }).to_string();
        let bytes = canonical(&record, &set).unwrap();
        let back: Vec<String> = serde_json::from_str(&bytes).unwrap();
        assert_eq!(back, [text]);
    }
    // A lone surrogate is not text; its escape is kept readable.
    let kept = canonical(r#"{"T":"a\ud800b"}"#, &set).unwrap();
    assert_eq!(serde_json::from_str::<Vec<String>>(&kept).unwrap(), ["a\\ud800b"]);
}

#[test]
fn a_lone_surrogate_costs_nothing_of_the_text_around_it() {
    let set = set(&[("T", FieldType::Text)]);
    for (raw, text) in [
        (r#""\ud800""#, r"\ud800"),
        (r#""\udfff\"""#, r#"\udfff""#),
        (r#""\"\ud83d \ud83d\ude00\n""#, "\"\\ud83d \u{1F600}\n"),
        (r#""\ud83d\ud83d\ude00""#, "\\ud83d\u{1F600}"),
        (r#""C:\\users \udc00\u00e9\\""#, "C:\\users \\udc00é\\"),
    ] {
        let bytes = canonical(&format!(r#"{{"T":{raw}}}"#), &set).unwrap();
        assert_eq!(serde_json::from_str::<Vec<String>>(&bytes).unwrap(), [text], "{raw}");
    }
}

#[test]
fn a_stored_record_opens_again() {
    let set = set(&[("A", FieldType::Text), ("B", FieldType::Datetime), ("C", FieldType::Boolean)]);
    let bytes =
        canonical(r#"{"A":"x, [y] \"z\"","B":"2026-01-02T03:04:05.000+0000","C":true}"#, &set).unwrap();
    let spans = spans_of(bytes.as_bytes(), 3).unwrap();
    let record = CanonicalRecord::stored(bytes.as_bytes(), &spans, &set);
    assert_eq!(record.text("A").unwrap(), "x, [y] \"z\"");
    assert_eq!(format_instant(record.instant("B").unwrap()), "2026-01-02T03:04:05.000Z");
    assert_eq!(record.boolean("C"), Some(true));
    assert_eq!(record.text("Nope"), None);
    assert!(spans_of(b"[1]", 3).is_none());
    assert!(spans_of(b"{}", 0).is_none());
}
