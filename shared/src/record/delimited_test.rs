//! Rows of Bulk results become what REST's records become, byte by byte.

use proptest::prelude::*;
use serde_json::json;
use serde_json::value::RawValue;

use super::*;
use crate::catalog::{Field, FieldType};
use crate::ids::FieldSetId;
use crate::record::canonicalize;

const KINDS: [(&str, FieldType); 9] = [
    ("Id", FieldType::Text),
    ("Text", FieldType::Text),
    ("Flag", FieldType::Boolean),
    ("Whole", FieldType::Integer),
    ("Money", FieldType::Decimal),
    ("Day", FieldType::Date),
    ("At", FieldType::Datetime),
    ("Clock", FieldType::Time),
    ("Owner.Name", FieldType::AnyType),
];

fn set() -> FieldSet {
    let fields = KINDS.map(|(path, kind)| Field { path: path.to_owned(), kind });
    FieldSet::new(FieldSetId(1), fields.to_vec())
}

fn by_bulk(cells: &[(&str, &str)]) -> Result<String, RecordProblem> {
    let header: ByteRecord = cells.iter().map(|(name, _)| name.as_bytes()).collect();
    let row: ByteRecord = cells.iter().map(|(_, value)| value.as_bytes()).collect();
    let (set, mut page) = (set(), PageRecords::new(&set()));
    canonicalize_row(&row, &Columns::find(&header, &set).unwrap(), &set, &mut page)?;
    Ok(String::from_utf8(page.get(0, &set).bytes().to_vec()).unwrap())
}

fn by_rest(record: &serde_json::Value) -> String {
    let text = record.to_string();
    let raw: &RawValue = serde_json::from_str(&text).unwrap();
    let (set, mut page) = (set(), PageRecords::new(&set()));
    canonicalize(raw, &set, &mut page).unwrap();
    String::from_utf8(page.get(0, &set).bytes().to_vec()).unwrap()
}

/// The cells of a row whose other fields are null.
fn with<'a>(name: &str, value: &'a str) -> Vec<(&'static str, &'a str)> {
    KINDS.iter().map(|(path, _)| (*path, if *path == name { value } else { "" })).collect()
}

#[test]
fn every_type_comes_to_the_same_bytes_as_by_rest() {
    let bulk = by_bulk(&[
        ("Owner.Name", "Ann \"the\r\nbest\", N/A"),
        ("Id", "5003000000D8cuIAAR"),
        ("Text", "N/A"),
        ("Flag", "true"),
        ("Whole", "47.0"),
        ("Money", "1.2E3"),
        ("Day", "2026-11-28"),
        ("At", "2026-11-28T10:20:30.000Z"),
        ("Clock", "10:20:30.000Z"),
    ]);
    let rest = json!({
        "Id": "5003000000D8cuIAAR", "Text": "N/A", "Flag": true, "Whole": 47, "Money": 1200.00, "Day": "2026-11-28",
        "At": "2026-11-28T10:20:30.000+0000", "Clock": "10:20:30.000Z",
        "Owner": {"Name": "Ann \"the\r\nbest\", N/A"},
    });
    assert_eq!(bulk.unwrap(), by_rest(&rest));
}

#[test]
fn an_empty_cell_is_null_and_nothing_else_is() {
    let empty = by_bulk(&with("Text", "")).unwrap();
    assert_eq!(empty, by_rest(&json!({})));
    for text in ["N/A", "NA", "null", "NULL", "007", " ", "\t", "0", "-", "\\N", "😀"] {
        let kept = by_bulk(&with("Text", text)).unwrap();
        assert_eq!(kept, by_rest(&json!({"Text": text})), "{text:?}");
        assert_ne!(kept, empty, "{text:?}");
    }
}

#[test]
fn a_value_of_unknown_type_has_one_spelling_of_a_moment() {
    let rest = by_rest(&json!({"Owner": {"Name": "2026-11-28T10:20:30.000+0000"}}));
    assert_eq!(by_bulk(&with("Owner.Name", "2026-11-28T10:20:30.000Z")).unwrap(), rest);
    assert_eq!(by_bulk(&with("Owner.Name", "true")).unwrap(), by_rest(&json!({"Owner": {"Name": true}})));
}

#[test]
fn a_cell_of_another_type_refuses_its_row_alone() {
    for (name, value) in [
        ("Flag", "yes"),
        ("Flag", "True"),
        ("Whole", "1.5"),
        ("Money", "1,5"),
        ("Day", "28.11.2026"),
        ("At", "soon"),
        ("Clock", "25:00:00.000Z"),
    ] {
        assert_eq!(by_bulk(&with(name, value)).unwrap_err().field(), Some(name), "{value}");
    }
    let header: ByteRecord = KINDS.iter().map(|(path, _)| *path).collect();
    let mut row: ByteRecord = KINDS.iter().map(|_| "").collect();
    row.truncate(1);
    row.push_field(b"\xff\xfe");
    let columns = Columns::find(&header, &set()).unwrap();
    let mut page = PageRecords::new(&set());
    let refused = canonicalize_row(&row, &columns, &set(), &mut page);
    assert!(refused.is_err() && page.is_empty(), "bytes that are no text, and cells that are missing");
    // Set aside, it stays that: nothing is made up for what was no text.
    let aside = columns.to_json(&row);
    assert_eq!(aside, r#"{"Id":"","Text":null}"#);
    let texts = serde_json::from_str(&aside).unwrap();
    assert!(canonicalize_texts(&texts, &set(), &mut page).is_err() && page.is_empty());
}

#[test]
fn a_row_that_was_set_aside_becomes_the_same_record_later() {
    let cells = with("Text", "007, \"N/A\"\n");
    let header: ByteRecord = cells.iter().map(|(name, _)| name.to_uppercase()).collect::<Vec<_>>().into();
    let row: ByteRecord = cells.iter().map(|(_, value)| value.as_bytes()).collect();
    let aside = Columns::find(&header, &set()).unwrap().to_json(&row);
    let (set, mut page) = (set(), PageRecords::new(&set()));
    canonicalize_texts(&serde_json::from_str(&aside).unwrap(), &set, &mut page).unwrap();
    assert_eq!(page.get(0, &set).bytes(), by_bulk(&cells).unwrap().as_bytes());
}

#[test]
fn columns_are_found_in_any_order_and_case_and_a_missing_one_is_named() {
    let upper: ByteRecord =
        KINDS.iter().rev().map(|(path, _)| path.to_uppercase()).collect::<Vec<_>>().into();
    assert_eq!(Columns::find(&upper, &set()).unwrap().width(), KINDS.len());
    let fewer: ByteRecord = KINDS[..8].iter().map(|(path, _)| *path).collect();
    assert_eq!(Columns::find(&fewer, &set()).unwrap_err(), "Owner.Name");
}

proptest! {
    #[test]
    fn no_character_makes_a_difference(text in ".{1,40}") {
        let bulk = by_bulk(&with("Text", &text)).unwrap();
        prop_assert_eq!(bulk, by_rest(&json!({"Text": text})));
    }
}
