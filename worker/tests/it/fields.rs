//! Fields that come, go and change their names while an object is read, and objects that are out of sight: what is here
//! has all of the fields in the end, and nothing of it is lost.

use refrain_shared::catalog::Role;
use refrain_shared::ids::SalesforceId;
use refrain_shared::job::ObjectSettings;
use refrain_shared::job::checkpoint::{Facet, FacetKind};
use refrain_shared::storage::content::tickets::ticket_get;
use refrain_shared::storage::keys::keys_load;
use salesforce_sim::org::faults::Fault;
use serde_json::{Value, json};

use crate::bulk::{by_bulk, called, left_over, plant, turns};
use crate::closure::{month, old};
use crate::known_defects::{by_rest, is_whole};
use crate::world::World;

#[tokio::test]
async fn a_field_that_is_taken_away_costs_its_column_and_not_its_object() {
    let world = World::new("defect_field").await;
    world.object("Case", by_rest()).await;
    world.object("Contact", by_rest()).await;
    plan_history(&world).await;
    // In the middle of the first load, and again when changes are read.
    for (hidden, left) in
        [(["Case.Priority", "Contact.Title"], 0), (["Case.Reason", "Contact.Department"], 1)]
    {
        let id = world.insert("Case", json!({"Subject": "goes on", "Status": "New", "Reason": "why"})).await;
        world.hide(&[], &hidden);
        world.sql("UPDATE checkpoints SET watermark_at = watermark_at - interval '1 hour'").await;
        world.pass().await;
        let fields = "SELECT count(*) FROM checkpoints JOIN field_sets USING (field_set_id), jsonb_array_elements(fields) f
                       WHERE f->>'path' IN ('Priority', 'Title')";
        assert_eq!(world.value(fields).await, (left * 2).to_string(), "{hidden:?}");
        let states = "SELECT string_agg(DISTINCT state, ' ') FROM checkpoints";
        assert_eq!(world.value(states).await, "current", "{hidden:?}");
        assert_eq!(world.value(&format!("SELECT status FROM tickets WHERE record_id = '{id}'")).await, "New");
    }
    assert_eq!(world.value("SELECT count(*) FROM jobs WHERE ask IS NOT NULL").await, "0");
    let cases = "SELECT count(*) FROM records r JOIN object_syncs o USING (object_id) WHERE api_name = 'Case' AND r.state = 0";
    assert_eq!(world.value(cases).await, world.truth("Case").to_string());
}

/// Lets a day go by since the objects were looked at.
async fn a_day_later(world: &World) {
    world.sql("UPDATE describes SET fetched_at = fetched_at - interval '1 day'").await;
    world.pass().await;
}

#[tokio::test]
async fn a_field_whose_permission_comes_is_read_back_for_all_that_is_here() {
    let world = World::new("defect_regained").await;
    world.hide(&[], &["Case.Priority"]);
    world.object("Case", by_rest()).await;
    world.run_until_quiet().await;
    let known = "SELECT count(*) FROM tickets WHERE priority IS NOT NULL";
    let sets = "SELECT count(DISTINCT field_set_id) FROM records WHERE state = 0";
    assert_eq!(world.value(known).await, "0");

    world.hide(&[], &[]);
    world.pass().await;
    assert_eq!(world.value(known).await, "0", "it is not looked with every pass");
    a_day_later(&world).await;
    assert_ne!(world.value(known).await, "0");
    assert_eq!(world.value(sets).await, "1", "no record is left as it was");
    is_whole(&world, "Case").await;
    assert_eq!(world.value("SELECT covered_from FROM checkpoints").await, "-infinity");

    // Another day without a change costs the look, and nothing is read for it.
    let read = world.value("SELECT records_read FROM checkpoints").await;
    let (asked, looks) = (called(&world, "", "/query"), called(&world, "", "/describe"));
    world.sql("DELETE FROM jobs WHERE kind <> 'incremental'").await;
    a_day_later(&world).await;
    assert_eq!((called(&world, "", "/query"), called(&world, "", "/describe")), (asked + 1, looks + 1));
    assert_eq!(world.value("SELECT records_read FROM checkpoints").await, read);
    assert_eq!(turns(&world, "backfill", "outcome <> 'done'").await, 0);
}

#[tokio::test]
async fn what_is_here_from_before_the_begin_of_history_is_read_back_as_well() {
    let world = World::new("fields_beyond").await;
    world.hide(&[], &["Case.Priority"]);
    let case = old(&world, 300, "Case", json!({"Subject": "An old one", "Priority": "High"})).await;
    old(&world, 1, "CaseComment", json!({"ParentId": case, "CommentBody": "yesterday"})).await;
    for object in ["Case", "CaseComment"] {
        world.object(object, month()).await;
    }
    world.run_until_quiet().await;
    let priority =
        format!("SELECT state || coalesce(priority, ' none') FROM tickets WHERE record_id = '{case}'");
    assert_eq!(world.value(&priority).await, "0 none", "its comment brought it");
    world.hide(&[], &[]);
    a_day_later(&world).await;
    assert_eq!(world.value(&priority).await, "0High");
    let lacking = "SELECT count(*) FROM records r JOIN checkpoints c USING (object_id)
        WHERE r.state = 0 AND r.field_set_id <> c.field_set_id";
    assert_eq!(world.value(lacking).await, "0");
}

#[tokio::test]
async fn fields_that_come_in_mid_load_cut_history_anew_and_what_was_cut_before_is_not_read() {
    let world = World::new("defect_regained_early").await;
    // A slice by REST, one whose job runs at Salesforce, and a window of changes that was left in its middle.
    world.org().jobs().settings.run_ms = 3_600_000;
    world.hide(&[], &["Case.Priority", "Contact.Title"]);
    world.object("Case", by_rest()).await;
    world.object("Contact", by_bulk()).await;
    plan_history(&world).await;
    world.sql("UPDATE jobs SET available_at = now() + interval '1 hour' WHERE kind = 'backfill'").await;
    world.turn().await;
    assert_eq!(called(&world, "POST", "/jobs/query"), 1);
    world.hide(&[], &[]);
    world.sql("UPDATE describes SET fetched_at = fetched_at - interval '1 day'").await;
    world.org().jobs().settings.run_ms = 0;
    world.org().jobs().settings.queue_ms = 0;
    world.sql("UPDATE jobs SET available_at = now() + interval '1 hour' WHERE kind <> 'incremental'").await;
    world.sql("UPDATE jobs SET available_at = now() WHERE kind = 'incremental'").await;
    world.turn().await;
    world.pass().await;
    assert_eq!(turns(&world, "backfill", "pages = 0").await, 1, "the slice of before was read no more");
    assert_eq!(turns(&world, "backfill", "pages > 0").await, 1);
    assert_eq!(called(&world, "POST", "/jobs/query"), 2, "nor was its job made anew");
    assert_eq!(left_over(&world), 0);
    let lacking = "SELECT count(*) FROM records r JOIN checkpoints c USING (object_id) WHERE r.state = 0 AND r.field_set_id <> c.field_set_id";
    assert_eq!(world.value(lacking).await, "0");
    let states = world.sql("SELECT DISTINCT state || ' ' || open_slices::text FROM checkpoints").await;
    assert_eq!(states, ["current []"]);
    let stored = world.value("SELECT count(*) FROM records WHERE state = 0").await;
    assert_eq!(stored, (world.truth("Case") + world.truth("Contact")).to_string());
}

#[tokio::test]
async fn a_window_that_was_begun_with_fewer_fields_begins_anew() {
    let mut world = World::new("defect_regained_window").await;
    world.run_ahead();
    world.hide(&[], &["Case.Priority"]);
    world.object("Case", by_rest()).await;
    world.run_until_quiet().await;
    world.post("mass-update", json!({"object": "Case", "count": 30, "fields": {"Reason": "changed"}})).await;
    world.post("limits", json!({"page_rows": 10})).await;
    // The pass is left after its first page.
    world.context.commit_rows = 10;
    plant(&world, "GET", "/query/", 1, Fault::Close);
    world.sql("UPDATE jobs SET available_at = now() WHERE kind = 'incremental'").await;
    world.turn().await;
    assert_eq!(world.value("SELECT position_id IS NOT NULL FROM checkpoints").await, "t");
    world.hide(&[], &[]);
    a_day_later(&world).await;
    let sets = "SELECT count(DISTINCT field_set_id) FROM records WHERE state = 0";
    assert_eq!(world.value(sets).await, "1");
    is_whole(&world, "Case").await;
}

#[tokio::test]
async fn an_object_that_is_out_of_sight_one_day_waits_for_a_person_and_keeps_what_is_here() {
    let world = World::new("defect_out_of_sight").await;
    world.object("Contact", by_rest()).await;
    world.run_until_quiet().await;
    world.hide(&["Contact"], &[]);
    a_day_later(&world).await;
    let ask = world.value("SELECT state || ' ' || ask::text FROM checkpoints").await;
    assert!(ask.starts_with("parked") && ask.contains("Grant Read on Contact"), "{ask}");
    let kept = world.value("SELECT count(*) FROM records WHERE state = 0").await;
    assert_eq!(kept, world.truth("Contact").to_string());
}

/// Lets the standing jobs plan, and nothing be read.
async fn plan_history(world: &World) {
    assert!(world.turn().await);
    let left = world.value("SELECT count(*) > 0 FROM jobs WHERE kind = 'backfill'").await;
    assert_eq!(left, "t", "history is still to be read");
}

#[tokio::test]
async fn what_is_read_back_leads_to_nothing_that_is_here_already() {
    let world = World::new("fields_led").await;
    let case = world.insert("Case", json!({"Subject": "with a file"})).await;
    let file = json!({"ParentId": case, "Name": "one.txt", "ContentType": "text/plain", "Body": "b25l"});
    world.insert("Attachment", file).await;
    for object in ["Case", "Attachment", "ContentDocumentLink"] {
        world.object(object, ObjectSettings { settle_s: 1, overlap_s: 0, ..ObjectSettings::default() }).await;
    }
    world.run_until_quiet().await;
    world.pass().await;
    let jobs = "SELECT count(*) FROM job_attempts WHERE kind IN ('related', 'file')";
    let before = world.value(jobs).await;
    assert_ne!(before, "0", "files and links were looked for");
    let field = json!({"name": "Added_Since__c", "type": "string(80)"});
    world.post("schema", json!({"add_fields": [["Case", field], ["Attachment", field]]})).await;
    a_day_later(&world).await;
    let sets =
        "SELECT count(*) FROM field_sets, jsonb_array_elements(fields) f WHERE f->>'path' = 'Added_Since__c'";
    assert_eq!(world.value(sets).await, "2");
    let lacking = "SELECT count(*) FROM records r JOIN checkpoints c USING (object_id) JOIN object_syncs USING (object_id)
        WHERE r.state = 0 AND r.field_set_id <> c.field_set_id AND api_name <> 'ContentDocumentLink'";
    assert_eq!(world.value(lacking).await, "0");
    assert_eq!(world.value(jobs).await, before);
}

#[tokio::test]
async fn a_renamed_field_keeps_its_values_under_its_new_name() {
    let world = World::new("fields_renamed").await;
    let facet = |name: &str| Facet { name: name.to_owned(), path: name.to_owned(), kind: FacetKind::Text };
    let facets = vec![facet("Order_Number__c"), facet("Order_No__c")];
    world.object_as("Case", Role::Ticket, ObjectSettings { facets, ..by_rest() }).await;
    world.run_until_quiet().await;
    let kept = "SELECT string_agg(DISTINCT facet, ' ') || ' ' || count(*) FROM ticket_facets";
    let before = world.value(kept).await;
    assert!(before.starts_with("Order_Number__c "), "{before}");
    // Its place among the others stays, so all values are what they were.
    world.post("schema", json!({"rename_fields": [["Case.Order_Number__c", "Order_No__c"]]})).await;
    a_day_later(&world).await;
    assert_eq!(world.value(kept).await, before.replace("Number", "No"));
    is_whole(&world, "Case").await;
}

#[tokio::test]
async fn what_may_not_be_seen_any_more_is_shown_to_nobody_and_comes_back_with_the_permission() {
    let world = World::new("fields_lost").await;
    let object = world.object("Case", by_rest()).await;
    world.run_until_quiet().await;
    let case = world.value("SELECT record_id FROM records WHERE state = 0 LIMIT 1").await;
    let record = SalesforceId::parse(&case).unwrap();
    let shown = async || {
        let (_, keys) = keys_load(&world.context.db, &world.context.ring, &world.scope).await.unwrap();
        let found = ticket_get(&world.context.db, &world.scope, keys, object, record).await.unwrap().unwrap();
        (found.ticket.subject, found.fields["Subject"].clone(), found.lost_fields)
    };
    let before = shown().await;
    assert!(before.0.is_some() && before.2.is_empty(), "{before:?}");
    world.hide(&[], &["Case.Subject"]);
    a_day_later(&world).await;
    assert_eq!(shown().await, (None, Value::Null, vec!["Subject".to_owned()]));
    world.hide(&[], &[]);
    a_day_later(&world).await;
    assert_eq!(shown().await, before);
}

#[tokio::test]
async fn tickets_are_found_by_nothing_that_may_not_be_seen_any_more() {
    let world = World::new("fields_lost_facets").await;
    let facet = |path: &str| Facet { name: path.to_owned(), path: path.to_owned(), kind: FacetKind::Text };
    let facets = vec![facet("Order_Number__c"), facet("Origin")];
    world.object_as("Case", Role::Ticket, ObjectSettings { facets, ..by_rest() }).await;
    world.run_until_quiet().await;
    let shown = async || {
        let facets = "SELECT facet || ' ' || count(*) FROM ticket_facets GROUP BY facet ORDER BY facet";
        let columns = "SELECT count(priority) || ' ' || count(status) FROM tickets";
        (world.sql(facets).await, world.value(columns).await)
    };
    let before = shown().await;
    assert_eq!(before.0.len(), 2, "{before:?}");
    let versions = "SELECT string_agg(DISTINCT mapping_epoch::text, ' ') FROM tickets";
    let made = world.value(versions).await;

    // Nothing is made of this one: tickets stay as they are.
    world.hide(&[], &["Case.Reason"]);
    a_day_later(&world).await;
    world.settle().await;
    assert_eq!((shown().await, world.value(versions).await), (before.clone(), made.clone()));

    world.hide(&[], &["Case.Reason", "Case.Priority", "Case.Order_Number__c"]);
    a_day_later(&world).await;
    let head = world.value("SELECT head FROM tenant_feed").await;
    world.settle().await;
    let masked = shown().await;
    assert!(
        masked.1.starts_with("0 ") && masked.1.ends_with(before.1.rsplit(' ').next().unwrap()),
        "{masked:?}"
    );
    assert_eq!(masked.0, before.0[1..], "the other one stays");
    assert_ne!(world.value("SELECT head FROM tenant_feed").await, head, "the feed tells of it");
    let own = "SELECT count(*) FROM jobs WHERE kind = 'reproject'";
    assert_eq!(world.value(own).await, "0", "it is done once");

    world.hide(&[], &[]);
    a_day_later(&world).await;
    world.settle().await;
    assert_eq!(shown().await, before);
    is_whole(&world, "Case").await;
}
