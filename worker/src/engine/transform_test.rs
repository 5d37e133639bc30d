//! The transform: what is written, what is not, and that each record ends in one outcome.

use std::collections::HashMap;
use std::sync::Arc;

use refrain_shared::catalog::{Field, FieldType, FilePolicy, StandardObject};
use refrain_shared::clock::parse_salesforce_datetime;
use refrain_shared::crypto::tenant_keys::WrappedKey;
use refrain_shared::crypto::{KeyPurpose, KeyRing, TenantKeys};
use refrain_shared::ids::{ConnectionId, FieldSetId, KeyId, ObjectId, TenantId};
use refrain_shared::retention::{Class, Policy};
use refrain_shared::storage::keys::GateEpochs;
use refrain_shared::storage::page_commit::ParentObjects;
use serde_json::value::RawValue;

use super::*;

const CONTACT: &str = "0033000000D8cuIAAR";

fn keys() -> TenantKeys {
    let dir = std::env::temp_dir().join(format!("refrain-transform-{}", TenantId::generate()));
    std::fs::create_dir_all(&dir).unwrap();
    let ring = KeyRing::create(&dir.join("keys.toml"), "kek-1").unwrap();
    std::fs::remove_dir_all(&dir).unwrap();
    let tenant = TenantId::generate();
    let wrapped: Vec<WrappedKey> = [(KeyPurpose::Data, 1), (KeyPurpose::Index, 2)]
        .into_iter()
        .map(|(purpose, id)| {
            let (kek_id, wrapped) = ring.wrap(tenant, purpose, &[u8::try_from(id).unwrap(); 32]).unwrap();
            WrappedKey { key_id: KeyId(id), purpose, kek_id, wrapped }
        })
        .collect();
    TenantKeys::unwrap(&ring, tenant, KeyId(1), &wrapped).unwrap()
}

fn plan(suppressed: &[&str]) -> TransformPlan {
    let keys = Arc::new(keys());
    let fields = [
        ("Id", FieldType::Text),
        ("IsDeleted", FieldType::Boolean),
        ("MasterRecordId", FieldType::Text),
        ("Email", FieldType::Text),
        ("SystemModstamp", FieldType::Datetime),
    ];
    let fields = fields.iter().map(|(path, kind)| Field { path: (*path).to_owned(), kind: *kind }).collect();
    let contact = StandardObject::find("Contact").unwrap();
    TransformPlan {
        filter: None,
        view: TenantView {
            gate: GateEpochs { suppression: 0, mapping: 0, data_key: KeyId(1), retention: Policy::default() },
            suppressed: Arc::new(suppressed.iter().map(|identity| keys.identity_token(identity)).collect()),
            keys,
        },
        key: ObjectKey { connection: ConnectionId::generate(), object: ObjectId(3) },
        cursor: "SystemModstamp".to_owned(),
        fields: FieldSet::new(FieldSetId(1), fields),
        projection: ProjectionPlan {
            projection: contact.projection.clone(),
            ticket_kinds: HashSet::new(),
            facets: Vec::new(),
            files: FilePolicy::default(),
        },
        identities: contact.identities,
        late_before: Some(instant("2026-01-02T00:00:00.000Z")),
        anew: false,
        again: None,
    }
}

fn instant(text: &str) -> Timestamp {
    parse_salesforce_datetime(text).unwrap()
}

fn record(email: &str, stamp: &str) -> String {
    format!(
        r#"{{"Id":"{CONTACT}","IsDeleted":false,"MasterRecordId":null,"Email":"{email}","SystemModstamp":"{stamp}"}}"#
    )
}

fn run(plan: &TransformPlan, records: &[String], known: &HashMap<SalesforceId, Known>) -> Transformed {
    let raw: Vec<&RawValue> = records.iter().map(|text| serde_json::from_str(text).unwrap()).collect();
    let mut parsed = Parsed::new(plan);
    parsed.add(plan, &raw, instant("2026-01-05T00:00:00.000Z")).unwrap();
    build(plan, draft(plan, parsed, known), &Standings::default()).unwrap()
}

fn known_as(row: &PageRow) -> HashMap<SalesforceId, Known> {
    let known = Known {
        order: row.record.order,
        state: Some(row.record.state),
        hash: row.record.sealed.as_ref().map(|(hash, _)| *hash),
    };
    HashMap::from([(row.record.id, known)])
}

#[test]
fn a_new_record_is_sealed_and_the_same_again_writes_nothing() {
    let plan = plan(&[]);
    let records = [record("ann@example.com", "2026-01-03T00:00:00.000+0000")];
    let first = run(&plan, &records, &HashMap::new());
    let row = &first.rows[0];
    let (_, payload) = row.record.sealed.as_ref().unwrap();
    let opened =
        plan.view.keys.open("records.payload", &payload_row_key(plan.key, CONTACT), payload).unwrap();
    assert!(String::from_utf8(opened).unwrap().contains("ann@example.com"));
    assert!(!payload.windows(3).any(|part| part == b"ann"));
    assert_eq!(row.record.identities.len(), 32, "the address and the id");

    let again = run(&plan, &records, &known_as(row));
    assert!(again.rows.is_empty());
    assert_eq!((again.counts.unchanged, again.counts.read()), (1, 1));
}

#[test]
fn the_same_values_under_another_name_are_written() {
    let mut plan = plan(&[]);
    let record = record("ann@example.com", "2026-01-03T00:00:00.000+0000");
    let first = run(&plan, std::slice::from_ref(&record), &HashMap::new());
    // The field was renamed, and keeps its place among the others.
    let renamed = |field: &Field| match field.path.as_str() {
        "Email" => Field { path: "Fax".to_owned(), ..field.clone() },
        _ => field.clone(),
    };
    plan.fields = FieldSet::new(FieldSetId(2), plan.fields.fields().iter().map(renamed).collect());
    let record = record.replace("Email", "Fax");
    let again = run(&plan, std::slice::from_ref(&record), &known_as(&first.rows[0]));
    let [row] = &again.rows[..] else { panic!("{:?}", again.counts) };
    assert!(row.same_version && !first.rows[0].same_version);
    assert_eq!(row.record.order.field_set, FieldSetId(2));
    assert_eq!(row.record.sealed.as_ref().unwrap().0, first.rows[0].record.sealed.as_ref().unwrap().0);
}

#[test]
fn a_change_without_a_newer_stamp_is_written_and_an_older_read_is_not() {
    let plan = plan(&[]);
    let stored = run(&plan, &[record("ann@example.com", "2026-01-03T00:00:00.000+0000")], &HashMap::new());
    let mut known = known_as(&stored.rows[0]);
    let changed = run(&plan, &[record("bob@example.com", "2026-01-03T00:00:00.000+0000")], &known);
    assert_eq!(changed.rows.len(), 1);

    for known in known.values_mut() {
        known.order.read_at = instant("2026-02-01T00:00:00.000Z");
    }
    let slow = run(&plan, &[record("bob@example.com", "2026-01-03T00:00:00.000+0000")], &known);
    assert_eq!((slow.rows.len(), slow.counts.superseded), (0, 1));
}

#[test]
fn of_two_versions_in_one_page_the_later_is_kept() {
    let plan = plan(&[]);
    let records = [
        record("ann@example.com", "2026-01-03T00:00:00.000+0000"),
        record("bob@example.com", "2026-01-04T00:00:00.000+0000"),
    ];
    let both = run(&plan, &records, &HashMap::new());
    assert_eq!((both.rows.len(), both.counts.superseded), (1, 1));
    assert_eq!(both.rows[0].record.order.stamp, instant("2026-01-04T00:00:00.000Z"));
}

#[test]
fn of_two_versions_in_two_pages_the_later_read_is_kept_with_its_own_moment() {
    let plan = plan(&[]);
    let mut parsed = Parsed::new(&plan);
    for (record, read_at) in [
        (record("bob@example.com", "2026-01-04T00:00:00.000+0000"), "2026-01-05T00:00:00.000Z"),
        (record("ann@example.com", "2026-01-04T00:00:00.000+0000"), "2026-01-05T00:00:07.000Z"),
        (record("old@example.com", "2026-01-03T00:00:00.000+0000"), "2026-01-05T00:00:09.000Z"),
    ] {
        parsed.add(&plan, &[serde_json::from_str(&record).unwrap()], instant(read_at)).unwrap();
    }
    let both = build(&plan, draft(&plan, parsed, &HashMap::new()), &Standings::default()).unwrap();
    assert_eq!((both.rows.len(), both.counts.superseded), (1, 2));
    assert_eq!(both.rows[0].record.order.read_at, instant("2026-01-05T00:00:07.000Z"));
}

#[test]
fn a_bad_record_that_repeats_is_set_aside_once_and_not_at_all_when_it_came_well_again() {
    let plan = plan(&[]);
    let bad = || format!(r#"{{"Id":"{CONTACT}","IsDeleted":"maybe"}}"#);
    let twice = run(&plan, &["[]".to_owned(), bad(), "[]".to_owned(), bad()], &HashMap::new());
    assert_eq!((twice.quarantined.len(), twice.counts.quarantined), (2, 4));

    let healed =
        run(&plan, &[bad(), record("ann@example.com", "2026-01-03T00:00:00.000+0000")], &HashMap::new());
    assert_eq!((healed.quarantined.len(), healed.counts.quarantined, healed.rows.len()), (0, 1, 1));
}

#[test]
fn what_is_gone_leaves_a_tombstone_that_says_why() {
    let plan = plan(&[]);
    let gone = |master: &str| {
        format!(
            r#"{{"Id":"{CONTACT}","IsDeleted":true,"MasterRecordId":{master},"Email":null,
                "SystemModstamp":"2026-01-03T00:00:00.000+0000"}}"#
        )
    };
    for (master, reason) in [("null", StateReason::Deleted), ("\"0033000000D8cuJAAR\"", StateReason::Merged)]
    {
        let rows = run(&plan, &[gone(master)], &HashMap::new()).rows;
        assert_eq!(rows[0].record.state, RecordState::Tombstone(reason));
        assert!(rows[0].record.sealed.is_none());
        let again = run(&plan, &[gone(master)], &known_as(&rows[0]));
        assert_eq!(again.counts.unchanged, 1);
    }
}

#[test]
fn a_suppressed_person_leaves_a_stub_without_content() {
    let plan = plan(&["email:ann@example.com"]);
    let records = [record("Ann@Example.com", "2026-01-03T00:00:00.000+0000")];
    let rows = run(&plan, &records, &HashMap::new()).rows;
    assert_eq!(rows[0].record.state, RecordState::Stub(StateReason::Erased));
    assert!(rows[0].record.sealed.is_none() && rows[0].email_token.is_none());
    assert_eq!(run(&plan, &records, &known_as(&rows[0])).counts.unchanged, 1);
}

#[test]
fn one_bad_record_is_set_aside_and_the_page_goes_on() {
    let plan = plan(&[]);
    let records = [
        r#"{"Id":"0033000000D8cuJAAR","IsDeleted":"maybe"}"#.to_owned(),
        r#"{"IsDeleted":false,"SystemModstamp":"2026-01-03T00:00:00.000+0000"}"#.to_owned(),
        "[]".to_owned(),
        record("ann@example.com", "2026-01-01T00:00:00.000+0000"),
    ];
    let page = run(&plan, &records, &HashMap::new());
    assert_eq!((page.rows.len(), page.counts.quarantined), (1, 3));
    assert_eq!(page.counts.late, 1, "stamped before the watermark, seen after it");
    let reasons: Vec<(&str, Option<&str>)> =
        page.quarantined.iter().map(|row| (row.reason, row.field.as_deref())).collect();
    assert_eq!(
        reasons,
        [("wrong_type", Some("IsDeleted")), ("unidentified", Some("Id")), ("not_an_object", None)]
    );
    assert!(page.quarantined[1].record_id.starts_with('#'), "without an id a keyed hash names it");
}

/// A plan for cases, which stamps are their last activity's; the page is read on the fifth of January.
fn cases() -> TransformPlan {
    let case = StandardObject::find("Case").unwrap();
    let plan = plan(&[]);
    TransformPlan {
        projection: ProjectionPlan { projection: case.projection.clone(), ..plan.projection },
        identities: case.identities,
        ..plan
    }
}

const CASE: &str = "5003000000D8cuIAAR";

fn stood(known: &[(&str, Class, Option<&str>)]) -> Standings {
    let of = |(id, class, at): &(&str, Class, Option<&str>)| {
        (SalesforceId::parse(id).unwrap(), (*class, at.map(instant)))
    };
    Standings { tickets: known.iter().map(of).collect(), ..Standings::default() }
}

#[test]
fn a_ticket_is_a_stub_when_neither_its_record_nor_its_messages_nor_a_hold_keep_it() {
    let plan = cases();
    let raw = record("", "2025-12-01T00:00:00.000+0000").replace(CONTACT, CASE);
    let of = |standings: &Standings, known: &HashMap<SalesforceId, Known>| {
        let mut parsed = Parsed::new(&plan);
        let raw: &RawValue = serde_json::from_str(&raw).unwrap();
        parsed.add(&plan, &[raw], instant("2026-01-05T00:00:00.000Z")).unwrap();
        let drafts = draft(&plan, parsed, known);
        let asked = drafts.asks(&plan, &ParentObjects::default());
        assert_eq!(asked.tickets, [SalesforceId::parse(CASE).unwrap()], "only what may be over is asked for");
        build(&plan, drafts, standings).unwrap()
    };
    let none = HashMap::new();
    let stub = of(&stood(&[]), &none);
    assert_eq!(stub.rows[0].record.state, RecordState::Stub(StateReason::Expired));
    assert!(stub.rows[0].record.sealed.is_none() && stub.rows[0].record.identities.is_empty());
    let again = of(&stood(&[]), &known_as(&stub.rows[0]));
    assert_eq!((again.rows.len(), again.counts.unchanged), (0, 1), "it is let go once");
    for kept in [
        (CASE, Class::Ticket, Some("2025-12-30T00:00:00.000Z")),
        (CASE, Class::Held, Some("2025-11-30T00:00:00.000Z")),
        (CASE, Class::Held, None),
    ] {
        let row = &of(&stood(&[kept]), &known_as(&stub.rows[0])).rows[0];
        assert_eq!(row.record.state, RecordState::Live, "{kept:?}");
        assert!(row.record.sealed.is_some());
    }
    let silent = of(&stood(&[(CASE, Class::Ticket, Some("2025-12-02T00:00:00.000Z"))]), &none);
    assert_eq!(silent.rows[0].record.state, RecordState::Stub(StateReason::Expired));
}

#[test]
fn a_page_of_what_changed_lately_asks_nothing() {
    let plan = cases();
    let raw = record("", "2026-01-03T00:00:00.000+0000").replace(CONTACT, CASE);
    let mut parsed = Parsed::new(&plan);
    parsed.add(&plan, &[serde_json::from_str(&raw).unwrap()], instant("2026-01-05T00:00:00.000Z")).unwrap();
    assert!(draft(&plan, parsed, &HashMap::new()).asks(&plan, &ParentObjects::default()).is_empty());
}

#[test]
fn what_is_read_again_for_values_of_others_brings_nothing_else_and_leads_to_nothing() {
    let mut plan = plan(&[]);
    let stored = run(&plan, &[record("ann@example.com", "2026-01-03T00:00:00.000+0000")], &HashMap::new());
    let mut known = known_as(&stored.rows[0]);
    plan.again = Some(instant("2026-01-04T00:00:00.000Z"));
    let same_stamp = [record("bob@example.com", "2026-01-03T00:00:00.000+0000")];
    assert!(run(&plan, &same_stamp, &known).rows[0].same_version, "its own stamp tells that it is as it was");
    let newer = [record("bob@example.com", "2026-01-04T00:00:00.000+0000")];
    assert!(!run(&plan, &newer, &known).rows[0].same_version, "a change of its own as well");

    let none = HashMap::new();
    let old = run(&plan, &same_stamp, &none);
    assert_eq!((old.rows.len(), old.counts.unchanged), (0, 1), "what is not kept here stays away");
    assert_eq!(run(&plan, &newer, &none).rows.len(), 1, "its own page is on its way with older values");
    for known in known.values_mut() {
        known.state = Some(RecordState::Stub(StateReason::Expired));
        known.hash = None;
    }
    assert!(run(&plan, &newer, &known).rows.is_empty(), "a stub stays one");
}
