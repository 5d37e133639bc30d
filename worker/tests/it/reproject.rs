//! A mapping that changes is applied to what is here from the sealed records: the same as a first load under it, without a
//! call to Salesforce, whatever comes between.

use refrain_shared::catalog::{MessageFields, Role, TicketFields};
use refrain_shared::ids::{ConnectionId, ObjectId};
use refrain_shared::job::ObjectSettings;
use refrain_shared::storage::control::object_syncs::{
    NewObjectSync, ObjectSyncPatch, object_sync_create, object_sync_update,
};
use refrain_shared::storage::dispatch::{jobs_reconcile, leases_reap};
use refrain_shared::tenant::TenantScope;
use serde_json::json;

use crate::world::World;

/// An object with its role and its settings.
pub(crate) type Wanted = (&'static str, Role, ObjectSettings);

pub(crate) fn settled() -> ObjectSettings {
    ObjectSettings { settle_s: 1, ..ObjectSettings::default() }
}

fn facets(facets: serde_json::Value) -> ObjectSettings {
    ObjectSettings { facets: serde_json::from_value(facets).unwrap(), ..settled() }
}

pub(crate) fn message(fields: serde_json::Value) -> ObjectSettings {
    let message: MessageFields = serde_json::from_value(fields).unwrap();
    ObjectSettings { message: Some(message), ..settled() }
}

fn escalation_ticket() -> ObjectSettings {
    let ticket = TicketFields {
        number: Some("Name".to_owned()),
        priority: Some("Severity__c".to_owned()),
        ..TicketFields::default()
    };
    ObjectSettings { ticket: Some(ticket), ..settled() }
}

async fn create(
    world: &World,
    scope: &TenantScope,
    connection: ConnectionId,
    wanted: &[Wanted],
) -> Vec<ObjectId> {
    let mut ids = Vec::new();
    for (api_name, role, settings) in wanted {
        let new = NewObjectSync {
            api_name: (*api_name).to_owned(),
            role: role.word().to_owned(),
            interval_s: 3600,
            settings: settings.clone(),
        };
        ids.push(object_sync_create(&world.control, scope, connection, &new).await.unwrap().unwrap().id);
    }
    // The first round brings history, the second what then follows deletions.
    for _ in 0..2 {
        jobs_reconcile(&world.context.db).await.unwrap();
        world.run_until_quiet().await;
    }
    ids
}

pub(crate) async fn load(world: &World, wanted: &[Wanted]) -> Vec<ObjectId> {
    let ids = create(world, &world.scope, world.connection, wanted).await;
    world.settle().await;
    ids
}

/// Changes role and settings, and makes the jobs that follow from it.
pub(crate) async fn change(world: &World, object: ObjectId, role: Option<Role>, settings: ObjectSettings) {
    let patch = ObjectSyncPatch {
        role: role.map(|role| role.word().to_owned()),
        settings: Some(settings),
        ..ObjectSyncPatch::default()
    };
    object_sync_update(&world.control, &world.scope, object, &patch).await.unwrap().unwrap();
    jobs_reconcile(&world.context.db).await.unwrap();
}

/// All that a tenant's records were projected to, but for what names the tenant and when it was written.
async fn projection(world: &World, scope: &TenantScope) -> Vec<String> {
    let mut rows = Vec::new();
    for table in ["tickets", "messages", "ticket_facets", "agents", "customers"] {
        let own = "'tenant_id' - 'connection_id' - 'object_id' - 'feed_seq' - 'mapping_epoch'";
        // What left because its object is none of tickets any more was never here for a first load.
        let of = if table == "tickets" { "AND t.reason IS DISTINCT FROM 22" } else { "" };
        // The token of an address is the tenant's own.
        let own = format!(
            "{own} || CASE WHEN to_jsonb(t) ? 'email_token' THEN jsonb_build_object('email_token', to_jsonb(t)->'email_token' <> 'null') ELSE '{{}}' END"
        );
        let sql = format!(
            "SELECT '{table} ' || o.api_name || ' ' || (to_jsonb(t) - {own})::text
               FROM {table} t JOIN object_syncs o USING (object_id)
              WHERE t.tenant_id = '{}' {of} ORDER BY 1",
            scope.tenant().0
        );
        rows.extend(world.sql(&sql).await);
    }
    rows
}

/// Nothing is left to do, and what is counted is what is here.
pub(crate) async fn is_settled(world: &World) {
    assert_eq!(world.value("SELECT count(*) FROM jobs WHERE kind = 'reproject'").await, "0");
    let counts = "SELECT (SELECT sum(items) FROM checkpoints) || '/' || (SELECT sum(tickets) || '/' || sum(shells) FROM tenant_feed)";
    let here = "SELECT (SELECT count(*) FROM messages WHERE state = 0) || '/' ||
                       (SELECT count(*) FILTER (WHERE state = 0) || '/' || count(*) FILTER (WHERE state = 1) FROM tickets)";
    assert_eq!(world.value(counts).await, world.value(here).await);
}

/// A few cases that are new in the org.
async fn some_cases(world: &World) -> Vec<String> {
    let mut cases = Vec::new();
    for subject in ["Cannot log in", "Cannot log out", "Cannot log"] {
        cases.push(world.insert("Case", json!({"Subject": subject})).await);
    }
    cases
}

fn calls(world: &World) -> usize {
    world.org().calls().calls().count()
}

/// After the change, the tenant has what another tenant has who loads everything under it.
async fn is_as_a_first_load(world: &World, wanted: &[Wanted]) {
    is_settled(world).await;
    let (scope, connection) = world.neighbour().await;
    create(world, &scope, connection, wanted).await;
    let (here, there) = (projection(world, &world.scope).await, projection(world, &scope).await);
    for (mine, other) in here.iter().zip(&there) {
        assert_eq!(mine, other);
    }
    assert_eq!(here.len(), there.len());
}

/// The conversation of sessions, calls and mail, and what it is about.
fn channels() -> Vec<Wanted> {
    ["CaseComment", "EmailMessage", "CaseFeed", "MessagingSession", "ConversationEntry", "CaseHistory"]
        .into_iter()
        .map(|name| {
            let role = refrain_shared::catalog::StandardObject::find(name).unwrap().role;
            (name, role, settled())
        })
        .chain([("Contact", Role::Reference, settled()), ("User", Role::Reference, settled())])
        .collect()
}

#[tokio::test]
async fn a_changed_mapping_gives_what_a_first_load_under_it_would_have() {
    let world = World::new("reproject_same").await;
    let mut wanted = vec![(
        "Case",
        Role::Ticket,
        facets(json!([{"name": "area", "path": "Product_Area__c", "as": "text"}])),
    )];
    wanted.extend(channels());
    wanted.push((
        "Escalation__c",
        Role::Message,
        message(json!({"kind": "comment", "parents": ["OwnerId"], "text": ["Name"]})),
    ));
    for case in some_cases(&world).await {
        world.insert("Escalation__c", json!({"Case__c": case, "Reason__c": "Waits for a week"})).await;
    }
    let ids = load(&world, &wanted).await;
    let head = async || world.value("SELECT head FROM tenant_feed").await.parse::<i64>().unwrap();
    let (asked, before) = (calls(&world), head().await);

    let mut case = facets(json!([
        {"name": "area", "path": "Tags__c", "as": "text"},
        {"name": "refund", "path": "Refund_Amount__c", "as": {"number": {"scale": 2}}},
        {"name": "due", "path": "Due_Date__c", "as": "time"}
    ]));
    case.ticket = Some(TicketFields {
        number: Some("CaseNumber".to_owned()),
        status: Some("Priority".to_owned()),
        ..TicketFields::default()
    });
    let mail = message(
        json!({"kind": "email", "parents": ["ParentId"], "text": ["Subject"], "sent_at": ["CreatedDate"],
        "incoming": {"path": "Incoming"}, "holds": true}),
    );
    let escalation = message(json!({"kind": "post", "parents": ["Case__c"], "text": ["Reason__c"]}));
    for (object, settings) in [("Case", case), ("EmailMessage", mail), ("Escalation__c", escalation)] {
        let place = wanted.iter().position(|(name, ..)| *name == object).unwrap();
        wanted[place].2 = settings.clone();
        change(&world, ids[place], None, settings).await;
    }
    world.run_until_quiet().await;
    assert_eq!(calls(&world), asked, "Salesforce is not asked");
    let tickets: i64 = world.value("SELECT count(*) FROM tickets").await.parse().unwrap();
    assert!(head().await >= before + tickets, "the feed tells of each ticket");
    let (version, oldest) =
        ("SELECT mapping_epoch FROM tenant_gates", "SELECT min(mapping_epoch) FROM tickets");
    assert_eq!(world.value(oldest).await, world.value(version).await);
    assert_ne!(world.value("SELECT count(*) FROM messages WHERE kind = 'post' AND object_id = (SELECT object_id FROM object_syncs WHERE api_name = 'Escalation__c')").await, "0");
    is_as_a_first_load(&world, &wanted).await;
}

#[tokio::test]
async fn a_mapping_that_makes_nothing_else_of_a_ticket_gives_it_its_version_and_the_feed_no_change() {
    let world = World::new("reproject_nothing").await;
    let ids =
        load(&world, &[("Case", Role::Ticket, settled()), ("CaseComment", Role::Message, settled())]).await;
    let head = world.value("SELECT head FROM tenant_feed").await;
    // A field that no case has.
    change(&world, ids[0], None, facets(json!([{"name": "none", "path": "No_Such_Field__c", "as": "text"}])))
        .await;
    world.run_until_quiet().await;
    is_settled(&world).await;
    assert_eq!(world.value("SELECT head FROM tenant_feed").await, head);
    let version = world.value("SELECT mapping_epoch FROM tenant_gates").await;
    assert_eq!(world.value("SELECT min(mapping_epoch) FROM tickets").await, version);
    // What concerns no record makes no job at all.
    let other = ObjectSettings {
        overlap_s: 7,
        sweep_days: 3,
        ..facets(json!([{"name": "none", "path": "No_Such_Field__c", "as": "text"}]))
    };
    change(&world, ids[0], None, other).await;
    is_settled(&world).await;
}

#[tokio::test]
async fn a_projection_that_is_cut_off_and_killed_goes_on_and_a_second_change_begins_anew() {
    let mut world = World::new("reproject_steps").await;
    let mut wanted = vec![("Case", Role::Ticket, settled())];
    wanted.extend(channels());
    let ids = load(&world, &wanted).await;
    let area = facets(json!([{"name": "area", "path": "Product_Area__c", "as": "text"}]));
    change(&world, ids[0], None, area).await;
    let steps = "UPDATE jobs SET available_at = now() WHERE kind = 'reproject'";
    // Each turn ends after its first commit, and between two of them a worker dies with the job in its hands.
    world.context.draining.cancel();
    let mail = message(json!({"kind": "email", "parents": ["ParentId"], "text": ["Subject"], "holds": true}));
    for turn in 0..40 {
        if turn == 3 {
            wanted[2].2 = mail.clone();
            change(&world, ids[2], None, mail.clone()).await;
            wanted[0].2 = facets(json!([{"name": "tags", "path": "Tags__c", "as": "text"}]));
            change(&world, ids[0], None, wanted[0].2.clone()).await;
        }
        world.sql(steps).await;
        world.turn().await;
        world
            .sql("UPDATE jobs SET state = 2, fence = fence + 1, epoch = epoch + 1, crashes = 0, lease_until = now() - interval '1 second' WHERE kind = 'reproject'")
            .await;
        leases_reap(&world.context.db).await.unwrap();
    }
    world.context.draining = tokio_util::sync::CancellationToken::new();
    world.sql(steps).await;
    world.run_until_quiet().await;
    is_as_a_first_load(&world, &wanted).await;
}

#[tokio::test]
async fn an_object_that_becomes_one_of_tickets_finds_its_items_and_leaves_tombstones_when_it_is_none_any_more()
 {
    let world = World::new("reproject_roles").await;
    let task = || message(json!({"kind": "comment", "parents": ["WhoId", "WhatId"], "text": ["Subject"]}));
    let mut wanted = vec![
        ("Case", Role::Ticket, settled()),
        ("Task", Role::Message, task()),
        ("Escalation__c", Role::Reference, settled()),
    ];
    let contact = world.insert("Contact", json!({"LastName": "Berg"})).await;
    let case = world.insert("Case", json!({"Subject": "Cannot log in"})).await;
    let record = world.insert("Escalation__c", json!({"Case__c": case})).await;
    let task_of =
        json!({"WhoId": contact, "WhatId": record, "Subject": "Call them back", "Status": "Not Started"});
    world.insert("Task", task_of).await;
    let ids = load(&world, &wanted).await;
    let asked = calls(&world);
    let of_record = format!(
        "SELECT state || '/' || coalesce(reason, 0) || '/' || messages FROM tickets WHERE record_id = '{record}'"
    );

    wanted[2] = ("Escalation__c", Role::Ticket, escalation_ticket());
    change(&world, ids[2], Some(Role::Ticket), wanted[2].2.clone()).await;
    world.run_until_quiet().await;
    jobs_reconcile(&world.context.db).await.unwrap();
    world.run_until_quiet().await;
    assert_eq!(world.value(&of_record).await, "0/0/1", "the task names a ticket now");

    change(&world, ids[2], Some(Role::Reference), settled()).await;
    world.run_until_quiet().await;
    jobs_reconcile(&world.context.db).await.unwrap();
    world.run_until_quiet().await;
    assert_eq!(world.value(&of_record).await, "2/22/0");
    assert_eq!(world.value("SELECT count(*) FROM ticket_facets f JOIN object_syncs o USING (object_id) WHERE api_name = 'Escalation__c'").await, "0");

    // From messages of cases to tickets, and to messages of cases again.
    for (role, settings) in [
        (Role::Message, message(json!({"kind": "comment", "parents": ["Case__c"], "text": ["Name"]}))),
        (Role::Ticket, escalation_ticket()),
        (Role::Message, message(json!({"kind": "comment", "parents": ["Case__c"], "text": ["Reason__c"]}))),
    ] {
        wanted[2] = ("Escalation__c", role, settings.clone());
        change(&world, ids[2], Some(role), settings).await;
        world.run_until_quiet().await;
        jobs_reconcile(&world.context.db).await.unwrap();
        world.run_until_quiet().await;
        is_settled(&world).await;
    }
    assert_eq!(calls(&world), asked, "Salesforce is not asked");
    is_as_a_first_load(&world, &wanted).await;
}

#[tokio::test]
async fn a_page_that_comes_meanwhile_is_under_the_new_mapping_and_is_not_overwritten() {
    let world = World::new("reproject_meanwhile").await;
    let mut wanted = vec![("Case", Role::Ticket, settled())];
    wanted.extend(channels());
    let ids = load(&world, &wanted).await;
    wanted[0].2 = facets(json!([{"name": "area", "path": "Product_Area__c", "as": "text"}]));
    let changed = world.value("SELECT min(record_id) FROM tickets").await;
    change(&world, ids[0], None, wanted[0].2.clone()).await;
    // The case changes, and its page comes before the job does.
    world.change("Case", &changed, json!({"Product_Area__c": "Billing"})).await;
    world.sql("UPDATE jobs SET available_at = now() + interval '1 hour' WHERE kind = 'reproject'").await;
    world.sql("UPDATE jobs SET available_at = now() WHERE kind = 'incremental'").await;
    world.run_until_quiet().await;
    let area = format!("SELECT text_value FROM ticket_facets WHERE record_id = '{changed}'");
    assert_eq!(world.value(&area).await, "Billing");
    let version = world.value("SELECT mapping_epoch FROM tenant_gates").await;
    let own = format!("SELECT mapping_epoch FROM tickets WHERE record_id = '{changed}'");
    assert_ne!(world.value(&own).await, version, "not all that belongs to it is of that version yet");
    world.sql("UPDATE jobs SET available_at = now() WHERE kind = 'reproject'").await;
    world.run_until_quiet().await;
    assert_eq!(world.value(&own).await, version);
    is_as_a_first_load(&world, &wanted).await;
}
