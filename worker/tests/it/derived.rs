//! Values that are not a record's own: a parent's change comes to the children that are kept here, and formulas on schedule.

use refrain_shared::ids::ObjectId;
use refrain_shared::job::ObjectSettings;
use refrain_shared::storage::keys::keys_load;
use refrain_shared::storage::read_again::refresh_basis;
use refrain_shared::storage::records::{ObjectKey, payload_row_key};
use serde_json::{Value, json};

use crate::closure::old;
use crate::world::World;

fn linked(paths: &[&str]) -> ObjectSettings {
    ObjectSettings {
        linked: paths.iter().map(|path| (*path).to_owned()).collect(),
        settle_s: 1,
        ..ObjectSettings::default()
    }
}

/// Loads the object and follows its parents for the first time.
async fn loaded(world: &World, api_name: &str, settings: ObjectSettings) -> ObjectId {
    let object = world.object(api_name, settings).await;
    world.run_until_quiet().await;
    world.settle().await;
    object
}

/// What is stored of a record at a path.
async fn shown(world: &World, object: ObjectId, record: &str, path: &str) -> Value {
    let (_, keys) = keys_load(&world.context.db, &world.context.ring, &world.scope).await.unwrap();
    let of = format!(
        "FROM records r JOIN field_sets f USING (field_set_id) WHERE r.object_id = {} AND record_id = '{record}'",
        object.0
    );
    let sealed = world.value(&format!("SELECT encode(payload, 'hex') {of}")).await;
    let row = payload_row_key(ObjectKey { connection: world.connection, object }, record);
    let opened = keys.open("records.payload", &row, &hex(&sealed)).unwrap();
    let fields: Value =
        serde_json::from_str(&world.value(&format!("SELECT f.fields::text {of}")).await).unwrap();
    let place = fields.as_array().unwrap().iter().position(|field| field["path"] == path).unwrap();
    serde_json::from_slice::<Value>(&opened).unwrap()[place].take()
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// The follower and each parent are due.
const FOLLOW_NOW: &str = "UPDATE followed_parents SET followed_at = NULL;
     UPDATE jobs SET available_at = now() WHERE kind = 'follow'";

/// Follows parents once more and reads what that leads to; nothing else is due.
async fn follow(world: &World) {
    world.sql(FOLLOW_NOW).await;
    world.run_until_quiet().await;
}

fn calls(world: &World) -> usize {
    world.org().calls().calls().filter(|call| call.path.contains("/query")).count()
}

/// A case of an account and its ids, and the cases' ids in order.
async fn account_with_cases(world: &World, count: usize) -> (String, Vec<String>) {
    let account = world.insert("Account", json!({"Name": "Old"})).await;
    let mut cases = Vec::new();
    for number in 0..count {
        let fields = json!({"Subject": format!("Case {number}"), "AccountId": account});
        cases.push(world.insert("Case", fields).await);
    }
    (account, cases)
}

#[tokio::test]
async fn a_renamed_account_shows_in_its_cases_though_their_stamps_stood_still() {
    let mut world = World::new("derived_account").await;
    world.run_ahead();
    let (account, cases) = account_with_cases(&world, 3).await;
    let object = loaded(&world, "Case", linked(&[])).await;
    assert_eq!(shown(&world, object, &cases[0], "Account.Name").await, "Old");
    follow(&world).await;
    let before = calls(&world);
    follow(&world).await;
    let idle = calls(&world) - before;
    let written = world.value("SELECT written FROM checkpoints").await;

    world.change("Account", &account, json!({"Name": "New"})).await;
    let before = calls(&world);
    follow(&world).await;
    for case in &cases {
        assert_eq!(shown(&world, object, case, "Account.Name").await, "New");
    }
    assert_eq!(calls(&world) - before, idle + 1, "one more query brings all three");
    let more = |written: &str| (written.parse::<i64>().unwrap() + 3).to_string();
    assert_eq!(
        world.value("SELECT written FROM checkpoints").await,
        more(&written),
        "and nothing else is written"
    );
    assert_eq!(world.value("SELECT count(*) FROM stale_links").await, "0");
    follow(&world).await;
    assert_eq!(
        world.value("SELECT written FROM checkpoints").await,
        more(&written),
        "the overlap leads to nothing"
    );
}

#[tokio::test]
async fn what_was_touched_and_shows_the_same_costs_nothing() {
    let mut world = World::new("derived_touched").await;
    world.run_ahead();
    let (account, _) = account_with_cases(&world, 1).await;
    loaded(&world, "Case", linked(&[])).await;
    world.change("Account", &account, json!({"Name": "New"})).await;
    let an_hour_back = "UPDATE followed_parents SET watermark_at = watermark_at - interval '1 hour'";
    // Parents are met for the first time here: what they showed before is not known.
    world.sql(an_hour_back).await;
    follow(&world).await;
    let read = world.value("SELECT records_read FROM checkpoints").await;
    // As after a touch by the platform itself: the parents are met again, and nobody modified anything.
    world.sql(an_hour_back).await;
    follow(&world).await;
    assert_eq!(world.value("SELECT records_read FROM checkpoints").await, read);
}

#[tokio::test]
async fn a_path_over_two_lookups_follows_both_and_owners_of_either_kind() {
    let mut world = World::new("derived_deep").await;
    world.run_ahead();
    let (account, _) = account_with_cases(&world, 0).await;
    let contact = world.insert("Contact", json!({"LastName": "Doe", "AccountId": account})).await;
    let group = world.insert("Group", json!({"Name": "Queue one", "Type": "Queue"})).await;
    let other = world.insert("Account", json!({"Name": "Other"})).await;
    let fields = json!({"Subject": "Deep", "ContactId": contact, "OwnerId": group});
    let case = world.insert("Case", fields).await;
    let object = loaded(&world, "Case", linked(&["Contact.Account.Name"])).await;
    world.change("Account", &account, json!({"Name": "Renamed"})).await;
    world.change("Group", &group, json!({"Name": "Queue two"})).await;
    follow(&world).await;
    assert_eq!(shown(&world, object, &case, "Contact.Account.Name").await, "Renamed");
    assert_eq!(shown(&world, object, &case, "Owner.Name").await, "Queue two");
    world.change("Contact", &contact, json!({"AccountId": other, "Email": "new@example.com"})).await;
    follow(&world).await;
    assert_eq!(
        shown(&world, object, &case, "Contact.Account.Name").await,
        "Other",
        "a step on the way changed"
    );
    assert_eq!(shown(&world, object, &case, "ContactEmail").await, "new@example.com", "a copy of its value");
}

#[tokio::test]
async fn a_deleted_parents_values_go_and_come_back_with_it() {
    let mut world = World::new("derived_deleted").await;
    world.run_ahead();
    let (account, cases) = account_with_cases(&world, 1).await;
    let object = loaded(&world, "Case", linked(&[])).await;
    world.act("Account", &account, "delete").await;
    follow(&world).await;
    assert_eq!(shown(&world, object, &cases[0], "Account.Name").await, Value::Null);
    world.act("Account", &account, "undelete").await;
    follow(&world).await;
    assert_eq!(shown(&world, object, &cases[0], "Account.Name").await, "Old");
}

#[tokio::test]
async fn a_purged_parents_values_go_though_nothing_of_it_is_left_to_follow() {
    let mut world = World::new("derived_purged").await;
    world.run_ahead();
    let contact = world.insert("Contact", json!({"LastName": "Doe"})).await;
    let of_contact = json!({"Subject": "Whose?", "ContactId": contact});
    let case = world.insert("Case", of_contact).await;
    world.object("Contact", linked(&[])).await;
    let object = loaded(&world, "Case", linked(&["Contact.LastName"])).await;
    follow(&world).await;
    assert_eq!(shown(&world, object, &case, "Contact.LastName").await, "Doe");
    world.act("Contact", &contact, "purge").await;
    follow(&world).await;
    assert_eq!(shown(&world, object, &case, "Contact.LastName").await, "Doe", "nothing tells of it yet");
    world.sql("UPDATE jobs SET available_at = now() WHERE kind = 'deleted'").await;
    world.run_until_quiet().await;
    let known = format!("SELECT count(*) FROM stale_links WHERE object_id = {}", object.0);
    assert_ne!(world.value(&known).await, "0", "the status says that the case may be behind");
    follow(&world).await;
    assert_eq!(shown(&world, object, &case, "Contact.LastName").await, Value::Null);
    assert_eq!(world.value(&known).await, "0");
}

#[tokio::test]
async fn a_parent_that_is_hidden_stops_nothing_and_is_followed_again_once_it_is_seen() {
    let mut world = World::new("derived_hidden").await;
    world.run_ahead();
    let (account, cases) = account_with_cases(&world, 1).await;
    let object = loaded(&world, "Case", linked(&[])).await;
    world.hide(&["RecordType"], &[]);
    world.change("Account", &account, json!({"Name": "New"})).await;
    for _ in 0..3 {
        follow(&world).await;
    }
    assert_eq!(world.value("SELECT count(*) FROM jobs WHERE state = 3").await, "0");
    assert_eq!(world.value("SELECT count(*) FROM stale_links").await, "0");
    world.pass().await;
    assert_eq!(shown(&world, object, &cases[0], "Account.Name").await, "New");
}

#[tokio::test]
async fn a_parent_of_everything_is_read_in_pages_and_goes_on_where_it_was() {
    let mut world = World::with_cases("derived_huge", 600).await;
    world.run_ahead();
    world.context.client.page_rows = 200;
    world.context.commit_rows = 200;
    let object = loaded(&world, "Case", linked(&[])).await;
    let account = world.insert("Account", json!({"Name": "Of all"})).await;
    let all = json!({"object": "Case", "count": 600, "fields": {"AccountId": account}});
    world.post("mass-update", all).await;
    world.pass().await;
    follow(&world).await;
    world.change("Account", &account, json!({"Name": "Renamed"})).await;
    world.sql(FOLLOW_NOW).await;
    assert!(world.turn().await, "the change is noted");
    // A batch that was cut off after its second page.
    let half = "SELECT record_id FROM records WHERE object_id = (SELECT min(object_id) FROM checkpoints) AND state = 0 ORDER BY record_id OFFSET 400 LIMIT 1";
    let after = world.value(half).await;
    let progress = json!({"batch": {"field": "AccountId", "ids": [account], "until": "2999-01-01T00:00:00Z", "after": after}});
    world.sql(&format!("UPDATE jobs SET progress = '{progress}' WHERE kind = 'refresh'")).await;
    let before = calls(&world);
    world.run_until_quiet().await;
    let read = calls(&world) - before;
    assert!(read <= 2, "one page and no page before it: {read}");
    let first =
        world.value("SELECT min(record_id) FROM records WHERE state = 0 AND record_id LIKE '500%'").await;
    let last =
        world.value("SELECT max(record_id) FROM records WHERE state = 0 AND record_id LIKE '500%'").await;
    assert_eq!(
        shown(&world, object, &first, "Account.Name").await,
        "Of all",
        "what was done with is not read again"
    );
    assert_eq!(shown(&world, object, &last, "Account.Name").await, "Renamed");
    assert_eq!(world.value("SELECT progress->'batch' IS NULL FROM jobs WHERE kind = 'refresh'").await, "t");
}

#[tokio::test]
async fn children_that_are_not_kept_stay_away_and_stubs_stay_stubs() {
    let mut world = World::new("derived_stubs").await;
    world.run_ahead();
    let account = world.insert("Account", json!({"Name": "Old"})).await;
    let beyond = old(&world, 300, "Case", json!({"Subject": "Beyond history", "AccountId": account})).await;
    let over = old(&world, 20, "Case", json!({"Subject": "Over", "AccountId": account})).await;
    let kept = world.insert("Case", json!({"Subject": "Kept", "AccountId": account})).await;
    world.sql("UPDATE tenant_gates SET ticket_days = 7, held_days = 7").await;
    let object = loaded(&world, "Case", ObjectSettings { history_days: Some(30), ..linked(&[]) }).await;
    let state = async |id: &str| {
        let states = world.sql(&format!("SELECT state FROM records WHERE record_id = '{id}'")).await;
        states.into_iter().next()
    };
    assert_eq!((state(&beyond).await, state(&over).await.as_deref()), (None, Some("1")));
    world.change("Account", &account, json!({"Name": "New"})).await;
    follow(&world).await;
    assert_eq!((state(&beyond).await, state(&over).await.as_deref()), (None, Some("1")));
    assert_eq!(shown(&world, object, &kept, "Account.Name").await, "New");
}

#[tokio::test]
async fn a_rename_while_the_first_load_runs_is_in_every_case_at_its_end() {
    let mut world = World::new("derived_loading").await;
    world.run_ahead();
    let (account, cases) = account_with_cases(&world, 2).await;
    let object = world.object("Case", linked(&[])).await;
    // Planned and described; history waits.
    assert!(world.turn().await);
    world.sql("UPDATE jobs SET available_at = now() + interval '1 hour' WHERE kind = 'backfill'").await;
    world.settle().await;
    world.change("Account", &account, json!({"Name": "New"})).await;
    follow(&world).await;
    world.sql("UPDATE jobs SET available_at = now()").await;
    world.run_until_quiet().await;
    for case in &cases {
        assert_eq!(shown(&world, object, case, "Account.Name").await, "New");
    }
    assert_eq!(world.value("SELECT live FROM checkpoints").await, world.truth("Case").to_string());
}

#[tokio::test]
async fn a_formula_is_read_on_schedule_and_leads_to_nothing_else() {
    let mut world = World::new("derived_formula").await;
    world.run_ahead();
    let (_, cases) = account_with_cases(&world, 2).await;
    let object = loaded(&world, "Case", linked(&[])).await;
    let touch = json!({"fields": {"Priority": "High"}, "touch": false});
    world.post(&format!("records/Case/{}", cases[0]), touch).await;
    follow(&world).await;
    assert_eq!(shown(&world, object, &cases[0], "Priority").await, "Medium", "nothing tells of it");
    let written = world.value("SELECT written FROM checkpoints").await.parse::<i64>().unwrap();
    world
        .sql("UPDATE checkpoints SET loaded_at = loaded_at - interval '25 hours'; UPDATE jobs SET available_at = now() WHERE kind = 'refresh'")
        .await;
    world.run_until_quiet().await;
    assert_eq!(shown(&world, object, &cases[0], "Priority").await, "High");
    assert_eq!(world.value("SELECT written FROM checkpoints").await, (written + 1).to_string());
    assert_eq!(world.value("SELECT count(*) FROM jobs WHERE kind = 'related'").await, "0");
    assert_eq!(
        world.value("SELECT progress->>'last' IS NOT NULL FROM jobs WHERE kind = 'refresh'").await,
        "t"
    );
    let key = ObjectKey { connection: world.connection, object };
    let basis = refresh_basis(&world.context.db, &world.scope, key).await.unwrap();
    assert!(basis.derived.unwrap().formulas, "a formula over the account");
}
