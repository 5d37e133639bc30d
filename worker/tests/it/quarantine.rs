//! What cannot be kept is set aside by itself, told without its content, tried again, and too much of it is a person's matter.

use refrain_shared::ids::ObjectId;
use refrain_shared::job::ObjectSettings;
use refrain_shared::storage::content::quarantine::quarantine_list;
use refrain_shared::storage::control::pauses::{Level, pause};
use refrain_shared::storage::dispatch::{Also, jobs_reconcile, object_trigger, quarantine_retry};
use salesforce_sim::org::faults::{Fault, FaultRequest, Match};
use serde_json::json;

use crate::world::World;

const ASIDE: &str = "SELECT count(*) FROM quarantine";
const SECRET: &str = "Anna sagt: 4711";

/// From now on, contacts are read as if their titles were described as whole numbers.
async fn misdescribed(world: &World) {
    world
        .sql(
            r#"UPDATE field_sets SET fields = (
                 SELECT jsonb_agg(CASE WHEN f->>'path' = 'Title' THEN f || '{"type": "integer"}' ELSE f END ORDER BY n)
                   FROM jsonb_array_elements(fields) WITH ORDINALITY AS x (f, n))"#,
        )
        .await;
}

/// The next pass looks at the object anew.
async fn look_again(world: &World) {
    world.sql("UPDATE describes SET fetched_at = 'epoch'").await;
    world.sql("UPDATE jobs SET available_at = now() WHERE kind = 'incremental'").await;
    world.run_until_quiet().await;
}

async fn one_set_aside(test: &str) -> (World, ObjectId, String) {
    let world = World::new(test).await;
    // Nothing is read twice by windows that overlap.
    let settings = ObjectSettings { settle_s: 1, overlap_s: 0, ..ObjectSettings::default() };
    let object = world.object("Contact", settings).await;
    world.run_until_quiet().await;
    misdescribed(&world).await;
    let id = world.insert("Contact", json!({"LastName": "Schmidt", "Title": SECRET})).await;
    world.sql("UPDATE checkpoints SET watermark_at = watermark_at - interval '5 minutes'").await;
    world.pass().await;
    assert!(is_set_aside(&world, &id).await);
    (world, object, id)
}

async fn is_set_aside(world: &World, id: &str) -> bool {
    world.value(&format!("SELECT count(*) FROM quarantine WHERE record_id = '{id}'")).await == "1"
}

async fn is_live(world: &World, id: &str) -> bool {
    world.value(&format!("SELECT count(*) FROM records WHERE record_id = '{id}' AND state = 0")).await == "1"
}

fn calls(world: &World) -> usize {
    world.org().calls().calls().count()
}

async fn try_again(world: &World, object: Option<ObjectId>) -> Vec<ObjectId> {
    let objects = quarantine_retry(&world.context.db, &world.scope, object).await.unwrap();
    world.run_until_quiet().await;
    objects
}

/// Every record read ended in one outcome, and no more are in the quarantine than were counted.
async fn balances(world: &World) {
    let amiss = "SELECT count(*) FROM checkpoints c WHERE quarantined < (SELECT count(*) FROM quarantine q WHERE q.object_id = c.object_id)
                     OR records_read <> written + unchanged + superseded + quarantined + suppressed + expired";
    assert_eq!(world.value(amiss).await, "0");
    // Counted twice, apart: by the page commits, and by the attempts of whatever kind of job.
    let read =
        "SELECT (SELECT sum(records_read) FROM checkpoints) - (SELECT sum(records_read) FROM job_attempts)";
    assert_eq!(world.value(read).await, "0");
}

#[tokio::test]
async fn what_is_set_aside_is_told_by_field_and_shape_and_never_by_its_content() {
    let (world, object, id) = one_set_aside("aside_told").await;
    let told = quarantine_list(&world.context.db, &world.scope, None, 50).await.unwrap();
    let one = told.iter().find(|one| one.record == id).unwrap();
    assert_eq!(
        (one.object, one.reason.as_str(), one.field.as_deref()),
        (object, "wrong_type", Some("Title"))
    );
    assert_eq!(one.sample.as_deref(), Some("text of 15 characters: letters, digits, spaces, signs"));
    let plain = world.sql("SELECT (to_jsonb(q) - 'payload')::text FROM quarantine q").await.concat();
    assert!(!plain.contains("Anna") && !plain.contains("4711"), "{plain}");
    let known = world.value("SELECT count(*) FROM records").await.parse::<usize>().unwrap();
    let aside = told.len();
    assert_eq!(known, world.truth("Contact") - 1, "the others of the page are here: {aside}");
    balances(&world).await;
}

#[tokio::test]
async fn what_can_be_kept_under_other_types_leaves_the_quarantine_without_a_call() {
    let (world, object, id) = one_set_aside("aside_types").await;
    let read = "SELECT records_read || ' ' || quarantined FROM checkpoints";
    let before = calls(&world);
    assert_eq!(try_again(&world, Some(object)).await, [object]);
    assert!(is_set_aside(&world, &id).await, "the types are as they were");
    let tried =
        format!("SELECT tries || ' ' || (tried_at IS NOT NULL) FROM quarantine WHERE record_id = '{id}'");
    assert_eq!(world.value(&tried).await, "1 true");
    assert_eq!(calls(&world), before);
    balances(&world).await;

    // Everything that was read stays read; what was set aside ended otherwise after all.
    let [was, aside]: [i64; 2] = numbers(&world.value(read).await);
    look_again(&world).await;
    assert_eq!(world.value(ASIDE).await, "0");
    assert!(is_live(&world, &id).await);
    let [now, left]: [i64; 2] = numbers(&world.value(read).await);
    assert_eq!((now, left), (was, aside - 1), "it was not read once more");
    assert_eq!(
        world.value("SELECT count(*) FROM records WHERE state = 0").await,
        world.truth("Contact").to_string()
    );
    balances(&world).await;
}

fn numbers<const N: usize>(text: &str) -> [i64; N] {
    let numbers: Vec<i64> = text.split(' ').map(|number| number.parse().unwrap()).collect();
    numbers.try_into().unwrap()
}

#[tokio::test]
async fn what_salesforce_has_changed_since_wins_over_what_was_set_aside() {
    let (world, object, id) = one_set_aside("aside_older").await;
    // The newer version comes, and the quarantine still holds the older one: as when it is tried at the same moment.
    world.sql("CREATE TABLE kept AS SELECT * FROM quarantine; UPDATE kept SET read_at = read_at - interval '1 hour'").await;
    world.change("Contact", &id, json!({"Title": null, "LastName": "Schmitt"})).await;
    world.sql("UPDATE checkpoints SET watermark_at = watermark_at - interval '5 minutes'").await;
    world.sql("UPDATE jobs SET available_at = now() WHERE kind = 'incremental'").await;
    world.run_until_quiet().await;
    assert!(is_live(&world, &id).await && !is_set_aside(&world, &id).await, "it came well by itself");
    world.sql("INSERT INTO quarantine SELECT * FROM kept").await;
    look_again(&world).await;
    let stored =
        format!("SELECT encode(content_hash, 'hex') || read_at FROM records WHERE record_id = '{id}'");
    let newest = world.value(&stored).await;
    world.sql("INSERT INTO quarantine SELECT * FROM kept ON CONFLICT DO NOTHING").await;
    let superseded = "SELECT superseded FROM checkpoints";
    let [before]: [i64; 1] = numbers(&world.value(superseded).await);
    try_again(&world, Some(object)).await;
    assert_eq!(world.value(ASIDE).await, "0");
    assert_eq!(world.value(&stored).await, newest, "the newer one stays");
    let [after]: [i64; 1] = numbers(&world.value(superseded).await);
    assert!(after > before, "it is counted as superseded");
    assert_eq!(
        world.value("SELECT count(*) FROM checkpoints WHERE records_read <> written + unchanged + superseded + quarantined + suppressed + expired").await,
        "0"
    );
}

#[tokio::test]
async fn a_record_that_is_read_as_it_is_here_leaves_the_quarantine_and_an_older_read_takes_nothing_out() {
    let world = World::new("aside_unchanged").await;
    world.loaded(&["Contact"]).await;
    let aside = async |at: &str| {
        world.sql("DELETE FROM quarantine").await;
        // The second column of the key is a job's, that what was set aside has.
        world
            .sql(&format!(
                "INSERT INTO quarantine (tenant_id, connection_id, object_id, record_id, reason, read_at)
                 SELECT tenant_id, connection_id, object_id, record_id, 'wrong_type', {at} FROM records ORDER BY modstamp DESC LIMIT 1;
                 INSERT INTO jobs (tenant_id, connection_id, object_id, org_id, kind, class, unique_key, available_at)
                 SELECT tenant_id, connection_id, object_id, org_id, 'retry', 2, 'retry/' || object_id, now() + interval '1 day'
                   FROM jobs WHERE kind = 'incremental' ON CONFLICT DO NOTHING"
            ))
            .await;
        world.sql("UPDATE checkpoints SET watermark_at = watermark_at - interval '20 years'").await;
        world.sql("UPDATE jobs SET available_at = now() WHERE kind = 'incremental'").await;
        world.run_until_quiet().await;
        world.value(ASIDE).await
    };
    assert_eq!(aside("now() - interval '1 hour'").await, "0", "what is as it is here came well again");
    assert_eq!(aside("now() + interval '1 hour'").await, "1", "what was set aside later is not in this read");
}

#[tokio::test]
async fn bytes_that_were_set_aside_are_kept_no_longer_than_tickets() {
    let (world, _, id) = one_set_aside("quarantine_forget").await;
    let bytes = "SELECT payload IS NOT NULL FROM quarantine";
    for (days, kept) in [(29, "t"), (31, "f")] {
        world.sql("UPDATE tenant_gates SET ticket_days = 30").await;
        world.sql(&format!("UPDATE quarantine SET read_at = now() - interval '{days} days'")).await;
        try_again(&world, None).await;
        assert_eq!(world.value(bytes).await, kept, "after {days} days");
    }
    assert!(is_set_aside(&world, &id).await, "that it was set aside stays known");
    // A read that can be kept takes it out all the same.
    look_again(&world).await;
    world.change("Contact", &id, json!({"Title": "Lead"})).await;
    world.sql("UPDATE checkpoints SET watermark_at = watermark_at - interval '5 minutes'").await;
    world.pass().await;
    assert!(is_live(&world, &id).await && !is_set_aside(&world, &id).await);
}

#[tokio::test]
async fn another_build_tries_again_and_neither_a_pause_nor_a_parked_object_holds_that_up() {
    let (world, object, id) = one_set_aside("aside_build").await;
    try_again(&world, None).await;
    let build = "UPDATE jobs SET progress = progress || '{\"version\": \"0.0.1\"}' WHERE kind = 'retry'";
    world.sql(build).await;
    world.sql("INSERT INTO workers (worker_id, slots, version) SELECT gen_random_uuid(), 1, '0.0.1'").await;
    let due = "SELECT count(*) FROM jobs WHERE kind = 'retry' AND available_at <= now()";
    jobs_reconcile(&world.context.db).await.unwrap();
    assert_eq!(world.value(due).await, "0", "a worker of that build still runs");
    world.sql("DELETE FROM workers WHERE version = '0.0.1'").await;
    jobs_reconcile(&world.context.db).await.unwrap();
    assert_eq!(world.value(due).await, "1");
    pause(&world.control, &world.scope, Level::Connection(world.connection)).await.unwrap();
    world.sql("UPDATE checkpoints SET state = 'parked', ask = '{\"code\": \"X\", \"what\": \"x\", \"why\": \"x\", \"fix\": \"x\"}'").await;
    world
        .sql("UPDATE field_sets SET fields = replace(fields::text, '\"integer\"', '\"any_type\"')::jsonb")
        .await;
    let before = calls(&world);
    world.run_until_quiet().await;
    assert!(is_live(&world, &id).await && !is_set_aside(&world, &id).await, "of {object}");
    assert_eq!(calls(&world), before);
    assert_eq!(world.value(due).await, "0", "and waits for its next day");
}

#[tokio::test]
async fn a_share_above_the_limit_parks_the_object_and_it_goes_on_after_the_fix() {
    let world = World::with_cases("aside_share", 260).await;
    let settings = ObjectSettings { quarantine_percent: 0, settle_s: 1, ..ObjectSettings::default() };
    let org = world.org();
    let request = FaultRequest {
        matches: Match {
            soql: Some("FROM Case WHERE SystemModstamp >= 1970".to_owned()),
            ..Match::default()
        },
        nth: 1,
        times: Some(1),
        for_ms: None,
        every: None,
        chance: None,
        fault: Fault::BadRecord { field: Some("Subject".to_owned()) },
    };
    org.faults().plant(request, org.clock.now_ms());
    let object = world.object("Case", settings).await;
    world.run_until_quiet().await;
    assert_eq!(
        world.value("SELECT state || ' ' || (ask->>'code') FROM checkpoints").await,
        "parked TOO_MANY_QUARANTINED"
    );
    let ask = world.value("SELECT (ask->>'what') || (ask->>'why') || (ask->>'fix') FROM checkpoints").await;
    for part in ["1 of 200", "types", "quarantine_percent", "Sync now"] {
        assert!(ask.contains(part), "{part}: {ask}");
    }
    assert_eq!(world.value(ASIDE).await, "1");
    let stored = "SELECT count(*) FROM records WHERE state = 0";
    let [here]: [i64; 1] = numbers(&world.value(stored).await);
    assert!(here >= 199, "the others of the page are here: {here}");
    balances(&world).await;

    // Whoever repairs the record touches it.
    let id = world.value("SELECT record_id FROM quarantine").await;
    world.change("Case", &id, json!({"Subject": "as it should be"})).await;
    object_trigger(&world.context.db, &world.scope, object, Also::default()).await.unwrap();
    let describes = "SELECT count(*) FROM describes WHERE fetched_at > now() - interval '1 hour'";
    assert_eq!(world.value(describes).await, "0", "it is described anew before it goes on");
    world.pass().await;
    assert_eq!(world.value(describes).await, "1");
    assert_eq!(world.value("SELECT state FROM checkpoints").await, "current");
    assert_eq!(world.value(ASIDE).await, "0");
    assert_eq!(world.value(stored).await, world.truth("Case").to_string());
    balances(&world).await;
}
