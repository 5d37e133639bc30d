//! The projection: which ticket an item belongs to, its direction, and what a ticket is filtered by.

use serde_json::value::RawValue;

use super::*;
use crate::catalog::{Field, FieldSet, FieldType, StandardObject, ticket_kinds};
use crate::clock::parse_salesforce_datetime;
use crate::ids::FieldSetId;
use crate::record::{PageRecords, canonicalize};

const CASE: &str = "5003000000D8cuIAAR";

fn projected(object: &str, fields: &[(&str, FieldType)], record: &str, facets: Vec<Facet>) -> Projected {
    let fields = fields.iter().map(|(path, kind)| Field { path: (*path).to_owned(), kind: *kind }).collect();
    let set = FieldSet::new(FieldSetId(1), fields);
    let raw: &RawValue = serde_json::from_str(record).unwrap();
    let mut page = PageRecords::new(&set);
    canonicalize(raw, &set, &mut page).unwrap();
    let plan = ProjectionPlan {
        projection: StandardObject::find(object).unwrap().projection.clone(),
        ticket_kinds: ticket_kinds(std::iter::empty()),
        facets,
        files: FilePolicy::default(),
    };
    project(&plan, &page.get(0, &set), instant("2026-01-05T00:00:00.000Z"))
}

fn instant(text: &str) -> Timestamp {
    parse_salesforce_datetime(text).unwrap()
}

#[test]
fn a_ticket_is_as_active_as_its_last_change_and_not_as_its_stamp() {
    let facets = vec![
        Facet { name: "area".to_owned(), path: "Area__c".to_owned(), kind: FacetKind::Text },
        Facet { name: "worth".to_owned(), path: "Worth__c".to_owned(), kind: FacetKind::Number { scale: 2 } },
    ];
    let fields = [
        ("CaseNumber", FieldType::Text),
        ("Status", FieldType::Text),
        ("CreatedDate", FieldType::Datetime),
        ("LastModifiedDate", FieldType::Datetime),
        ("Area__c", FieldType::Text),
        ("Worth__c", FieldType::Decimal),
    ];
    let record = r#"{"CaseNumber":"00001003","Status":"New","CreatedDate":"2026-01-01T00:00:00.000+0000",
        "LastModifiedDate":"2026-01-02T00:00:00.000+0000","Area__c":"Billing","Worth__c":12.505}"#;
    let Projected::Ticket(row) = projected("Case", &fields, record, facets) else { panic!("not a ticket") };
    assert_eq!(row.number.as_deref(), Some("00001003"));
    assert_eq!(row.record_at, instant("2026-01-02T00:00:00.000Z"));
    assert_eq!(
        row.facets,
        [
            ("area".to_owned(), FacetValue::Text("Billing".to_owned())),
            ("worth".to_owned(), FacetValue::Number(1250))
        ]
    );
}

#[test]
fn an_email_belongs_to_the_first_parent_that_is_of_a_tickets_kind() {
    let fields = [
        ("ParentId", FieldType::Text),
        ("RelatedToId", FieldType::Text),
        ("Incoming", FieldType::Boolean),
        ("FromAddress", FieldType::Text),
        ("TextBody", FieldType::Text),
        ("MessageDate", FieldType::Datetime),
    ];
    let record = format!(
        r#"{{"ParentId":null,"RelatedToId":"{CASE}","Incoming":true,"FromAddress":"a@example.com",
            "TextBody":"héllo","MessageDate":"2026-01-01T00:00:00.000+0000"}}"#
    );
    let Projected::Message(row) = projected("EmailMessage", &fields, &record, vec![]) else {
        panic!("no message")
    };
    assert_eq!(row.ticket_record.as_str(), CASE);
    assert_eq!((row.direction, row.characters, row.author_id), ("inbound", 5, None));

    let account = "001x000000abcDEAAY";
    let both = format!(r#"{{"ParentId":"{account}","RelatedToId":"{CASE}","Incoming":true}}"#);
    let elsewhere = format!(r#"{{"ParentId":null,"RelatedToId":"{account}","Incoming":true}}"#);
    for (record, parent) in [(both, CASE), (elsewhere, account)] {
        let Projected::Message(row) = projected("EmailMessage", &fields, &record, vec![]) else {
            panic!("no message")
        };
        assert_eq!(row.ticket_record.as_str(), parent, "an account may become a ticket later");
    }
    let alone = r#"{"ParentId":null,"RelatedToId":null,"Incoming":true}"#;
    assert_eq!(projected("EmailMessage", &fields, alone, vec![]), Projected::Unlinked);
}

#[test]
fn an_event_is_internal_and_never_public() {
    let fields =
        [("CaseId", FieldType::Text), ("CreatedDate", FieldType::Datetime), ("Field", FieldType::Text)];
    let record =
        format!(r#"{{"CaseId":"{CASE}","CreatedDate":"2026-01-01T00:00:00.000+0000","Field":"Status"}}"#);
    let Projected::Message(row) = projected("CaseHistory", &fields, &record, vec![]) else {
        panic!("no event")
    };
    assert_eq!((row.kind, row.direction, row.public), (MessageKind::Event, "internal", false));
}

#[test]
fn numbers_that_do_not_fit_are_no_facet() {
    assert_eq!(scaled("1e300", 2), None);
    assert_eq!(scaled("-0.5", 1), Some(-5));
    assert_eq!(scaled("12", 0), Some(12));
}

#[test]
fn a_plain_column_has_no_nul_and_no_more_than_an_index_takes() {
    let facets = vec![Facet { name: "area".to_owned(), path: "Area__c".to_owned(), kind: FacetKind::Text }];
    let fields = [("Status", FieldType::Text), ("Area__c", FieldType::Text)];
    let long = "é".repeat(4_000);
    let record = format!(r#"{{"Status":"Ne\u0000w","Area__c":"\u0000{long}"}}"#);
    let Projected::Ticket(row) = projected("Case", &fields, &record, facets) else { panic!("not a ticket") };
    assert_eq!(row.status.as_deref(), Some("Ne\u{fffd}w"));
    let [(_, FacetValue::Text(kept))] = &row.facets[..] else { panic!("{:?}", row.facets) };
    assert!(kept.starts_with("\u{fffd}éé") && (1_000..=1_024).contains(&kept.len()), "{}", kept.len());
    assert_eq!(*kept, column_text(&format!("\0{long}")), "whoever looks for the whole text finds it");
}
