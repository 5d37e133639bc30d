//! What people can read of an org whose shape changes: each change once, with what it means to what they set up.

use refrain_shared::catalog::Role;
use refrain_shared::ids::ObjectId;
use refrain_shared::job::ObjectSettings;
use refrain_shared::job::checkpoint::{Facet, FacetKind};
use refrain_shared::storage::dispatch::object_trigger;
use refrain_shared::storage::dispatch::trigger::Also;
use refrain_shared::storage::schema_changes::{NotedChange, schema_changes_list};
use serde_json::json;

use crate::known_defects::by_rest;
use crate::world::World;

/// The log, the oldest first, a line a change.
async fn told(world: &World) -> Vec<String> {
    let found = schema_changes_list(&world.context.db, &world.scope, None, None, 200).await.unwrap();
    let line = |one: &NotedChange| {
        let path = one.path.as_deref().map(|path| format!(".{path}")).unwrap_or_default();
        let perhaps = one.perhaps.as_deref().map(|name| format!(" ({name}?)")).unwrap_or_default();
        let what = format!("{} {}{path}{perhaps}", one.kind, one.api_name);
        std::iter::once(what).chain(one.used_by.clone()).collect::<Vec<_>>().join(", ")
    };
    found.iter().rev().map(line).collect()
}

async fn a_day_later(world: &World) {
    world.sql("UPDATE describes SET fetched_at = fetched_at - interval '1 day'").await;
    world.sql("UPDATE checkpoints SET watermark_at = watermark_at - interval '1 hour'").await;
    world.pass().await;
}

#[tokio::test]
async fn fields_that_come_go_and_change_are_told_once_with_what_uses_them() {
    let world = World::new("schema_told").await;
    let facet = Facet { name: "order".to_owned(), path: "Order_Number__c".to_owned(), kind: FacetKind::Text };
    let linked = vec!["Account.Industry".to_owned()];
    let settings = ObjectSettings { facets: vec![facet], linked, ..by_rest() };
    world.object_as("Case", Role::Ticket, settings).await;
    world.run_until_quiet().await;
    a_day_later(&world).await;
    assert_eq!(told(&world).await, [""; 0], "an object that is seen first is no change");

    world
        .post(
            "schema",
            json!({
                "rename_fields": [["Case.Order_Number__c", "Order_No__c"]],
                "add_fields": [["Case", {"name": "Plan__c", "type": "double"}]],
            }),
        )
        .await;
    world.hide(&[], &["Case.Priority", "Account.Industry"]);
    a_day_later(&world).await;
    let seen = told(&world).await;
    let first = [
        "lost Case.Account.Industry, linked",
        "new Case.Order_No__c",
        "lost Case.Order_Number__c (Order_No__c?), facet order",
        "new Case.Plan__c",
        "lost Case.Priority, ticket",
    ];
    assert_eq!(seen, first);
    let before = seen.len();
    a_day_later(&world).await;
    assert_eq!(told(&world).await.len(), before, "nothing changed since");

    world.post("schema", json!({"encrypt_fields": ["Case.Order_No__c"]})).await;
    world.hide(&[], &["Account.Industry"]);
    a_day_later(&world).await;
    assert_eq!(told(&world).await[before..], ["changed Case.Order_No__c", "new Case.Priority, ticket"]);
}

#[tokio::test]
async fn a_field_that_a_query_is_refused_for_is_told_at_once() {
    let world = World::new("schema_at_once").await;
    world.object("Contact", by_rest()).await;
    world.run_until_quiet().await;
    world.hide(&[], &["Contact.Title"]);
    world.sql("UPDATE checkpoints SET watermark_at = watermark_at - interval '1 hour'").await;
    world.pass().await;
    assert_eq!(told(&world).await, ["lost Contact.Title"]);
}

#[tokio::test]
async fn an_object_that_is_out_of_sight_is_told_once_and_so_is_its_return() {
    let world = World::new("schema_object").await;
    let contact = world.object("Contact", by_rest()).await;
    world.run_until_quiet().await;
    world.hide(&["Contact"], &[]);
    for _ in 0..2 {
        sync_now(&world, contact).await;
        assert_eq!(world.value("SELECT state FROM checkpoints").await, "parked");
        assert_eq!(told(&world).await, ["lost Contact"]);
    }
    world.hide(&[], &[]);
    sync_now(&world, contact).await;
    assert_eq!(told(&world).await, ["lost Contact", "new Contact"]);
    assert_eq!(world.value("SELECT state FROM checkpoints").await, "current");
}

async fn sync_now(world: &World, object: ObjectId) {
    world.sql("UPDATE checkpoints SET watermark_at = watermark_at - interval '1 hour'").await;
    object_trigger(&world.context.db, &world.scope, object, Also::default()).await.unwrap();
    world.run_until_quiet().await;
}
