//! Whatever happens to a Bulk job, its slice is read whole in the end, and nothing is left at Salesforce.

use refrain_shared::job::ObjectSettings;
use refrain_shared::job::price::ReadBy;
use salesforce_sim::org::faults::Fault;
use serde_json::json;

use crate::bulk::{by_bulk, called, complete, left_over, plan_only, plant, prompt_world, small_sets, turns};
use crate::world::World;

const MAKE: (&str, &str) = ("POST", "/jobs/query");

fn error(status: u16, code: &str, message: &str) -> Fault {
    Fault::Error { status, code: code.to_owned(), message: message.to_owned() }
}

fn failure(times: usize, world: &World) {
    world.org().jobs().plan_failures(std::iter::repeat_n("QUERY_TIMEOUT : too long".to_owned(), times));
}

#[tokio::test]
async fn a_job_whose_making_was_not_answered_is_found_and_put_away() {
    let world = prompt_world("bulk_lost_answer").await;
    world.object("Case", by_bulk()).await;
    plan_only(&world).await;
    plant(&world, MAKE.0, MAKE.1, 1, Fault::LostAnswer);
    world.run_until_quiet().await;
    complete(&world, "Case").await;
    assert_eq!(called(&world, "POST", "/jobs/query"), 2, "one more than was heard of");
    assert_eq!(called(&world, "DELETE", "/jobs/query/"), 2);
}

#[tokio::test]
async fn a_job_of_somebody_else_is_left_alone_when_ours_is_looked_for() {
    let world = prompt_world("bulk_others").await;
    world.object("Case", by_bulk()).await;
    plan_only(&world).await;
    // Another slice of the fleet makes a job of the same object at the same moment, and its answer is not here yet.
    world
        .sql("INSERT INTO jobs (tenant_id, connection_id, object_id, org_id, kind, class, state, lease_until, progress) \
              SELECT tenant_id, connection_id, object_id, org_id, kind, class, 2, now() + interval '1 hour', \
                     jsonb_build_object('making_since', now()) FROM jobs WHERE kind = 'bulk'")
        .await;
    plant(&world, MAKE.0, MAKE.1, 1, Fault::LostAnswer);
    world.run_until_quiet().await;
    assert_eq!(world.value("SELECT state FROM checkpoints").await, "current");
    assert_eq!(left_over(&world), 1, "it may be the other's");
}

#[tokio::test]
async fn a_job_that_failed_is_made_again_for_both_halves() {
    let world = prompt_world("bulk_failed_once").await;
    world.object("Case", by_bulk()).await;
    failure(1, &world);
    world.run_until_quiet().await;
    complete(&world, "Case").await;
    assert_eq!(called(&world, "POST", "/jobs/query"), 3);
    assert_eq!(turns(&world, "backfill", "true").await, 0);
    assert_eq!(turns(&world, "bulk", "code = 'bulk_failed'").await, 1);
}

#[tokio::test]
async fn a_slice_whose_jobs_failed_twice_is_read_by_rest() {
    let world = prompt_world("bulk_failed_twice").await;
    world.object("Case", by_bulk()).await;
    failure(3, &world);
    world.run_until_quiet().await;
    complete(&world, "Case").await;
    assert_eq!(turns(&world, "backfill", "outcome = 'done'").await, 2, "both halves");
}

#[tokio::test]
async fn a_set_that_breaks_off_is_fetched_again_from_its_beginning() {
    let world = prompt_world("bulk_cut").await;
    world.object("Case", by_bulk()).await;
    plan_only(&world).await;
    small_sets(&world, 7).await;
    for (nth, fault) in [
        (2, Fault::Truncate { after: 300, step: 0 }),
        (3, Fault::Truncate { after: 3_000, step: 0 }),
        (5, Fault::Close),
        (6, Fault::LostAnswer),
    ] {
        plant(&world, "GET", "/results", nth, fault);
    }
    world.run_until_quiet().await;
    complete(&world, "Case").await;
    assert_eq!(called(&world, "POST", "/jobs/query"), 1);
    assert_eq!(world.value("SELECT unchanged || ' ' || superseded FROM checkpoints").await, "0 0");
    assert!(turns(&world, "bulk", "outcome = 'retry'").await >= 3);
}

#[tokio::test]
async fn a_job_that_was_deleted_or_given_up_by_somebody_is_made_anew() {
    let world = prompt_world("bulk_taken").await;
    world.object("Case", by_bulk()).await;
    plan_only(&world).await;
    small_sets(&world, 7).await;
    // At the second set, in the middle of it all.
    plant(&world, "GET", "/results", 2, error(404, "NOT_FOUND", "The requested resource does not exist"));
    world.run_until_quiet().await;
    complete(&world, "Case").await;
    assert_eq!(called(&world, "POST", "/jobs/query"), 2);
    assert_eq!(world.value("SELECT unchanged FROM checkpoints").await, "7", "one set came twice");
    assert_eq!(turns(&world, "backfill", "true").await, 0);
}

#[tokio::test]
async fn jobs_that_are_taken_away_again_and_again_end_in_rest() {
    let world = prompt_world("bulk_always_taken").await;
    world.object("Case", by_bulk()).await;
    plan_only(&world).await;
    for nth in 1..=3 {
        plant(&world, "GET", "/results", nth, error(400, "INVALID_QUERY_LOCATOR", "invalid query locator"));
    }
    world.run_until_quiet().await;
    complete(&world, "Case").await;
    assert_eq!((called(&world, "POST", "/jobs/query"), turns(&world, "backfill", "true").await), (3, 1));
}

#[tokio::test]
async fn a_job_that_somebody_gave_up_while_it_ran_is_made_anew() {
    let world = World::new("bulk_aborted").await;
    world.org().jobs().settings.run_ms = 3_600_000;
    world.object("Case", by_bulk()).await;
    plan_only(&world).await;
    world.turn().await;
    let org = world.org();
    let now = org.clock.now_ms();
    let id = org.jobs().all(now).next().unwrap().id;
    assert!(org.jobs().abort(id, now).is_some());
    org.jobs().settings.queue_ms = 0;
    org.jobs().settings.run_ms = 0;
    world.run_until_quiet().await;
    complete(&world, "Case").await;
    assert_eq!(called(&world, "POST", "/jobs/query"), 2);
}

#[tokio::test]
async fn without_jobs_left_a_slice_goes_by_rest_or_waits_and_says_why() {
    let world = prompt_world("bulk_limit").await;
    world.org().jobs().settings.daily_jobs = 0;
    world.object("Case", by_bulk()).await;
    world.run_until_quiet().await;
    let waits = "SELECT reason || ' ' || (available_at > now() + interval '10 minutes') FROM jobs WHERE kind = 'bulk'";
    assert_eq!(world.value(waits).await, "bulk_limit true", "it was said to go by Bulk");
    assert_eq!(world.value("SELECT count(*) FROM gates").await, "0", "nobody else is held up");

    // Where nothing was said, calls are spent instead, as long as there are enough.
    let auto = json!({"settle_s": 1, "read_by": "auto"});
    world.sql(&format!("UPDATE object_syncs SET settings = '{auto}'")).await;
    world.sql("UPDATE jobs SET params = params || '{\"rows\": 40}' WHERE kind = 'bulk'").await;
    world.pass().await;
    complete(&world, "Case").await;
    assert_eq!(turns(&world, "bulk", "code = 'bulk_limit'").await, 1);
    assert_eq!(turns(&world, "backfill", "outcome = 'done'").await, 1);
}

#[tokio::test]
async fn an_object_that_bulk_refuses_is_read_by_rest() {
    let world = prompt_world("bulk_refused").await;
    world.object("CaseFeed", by_bulk()).await;
    world.run_until_quiet().await;
    complete(&world, "CaseFeed").await;
    assert_eq!(turns(&world, "bulk", "code = 'bulk_refused'").await, 1);
    assert_eq!(turns(&world, "backfill", "outcome = 'done'").await, 1);
}

#[tokio::test]
async fn whoever_wants_rest_never_makes_a_job() {
    let world = prompt_world("bulk_never").await;
    let settings = ObjectSettings { settle_s: 1, read_by: ReadBy::Rest, ..ObjectSettings::default() };
    world.object("Case", settings).await;
    world.run_until_quiet().await;
    complete(&world, "Case").await;
    assert_eq!(called(&world, "POST", "/jobs/query"), 0);
}

#[tokio::test]
async fn an_answer_larger_than_may_be_held_is_asked_for_in_smaller_sets() {
    let mut world = prompt_world("bulk_large").await;
    for place in 0..20 {
        world.insert("Case", json!({"Subject": place.to_string(), "Description": "x".repeat(30_000)})).await;
    }
    world.object("Case", by_bulk()).await;
    plan_only(&world).await;
    let http = refrain_shared::wiring::http_settings(&world.config()).unwrap();
    let most = 120_000;
    world.context.http = refrain_shared::salesforce::Http::new(&refrain_shared::salesforce::HttpSettings {
        max_body_bytes: most,
        ..http
    })
    .unwrap();
    world.run_until_quiet().await;
    complete(&world, "Case").await;
    let largest = world
        .org()
        .calls()
        .calls()
        .filter(|call| call.path.ends_with("/results"))
        .map(|call| call.rows)
        .min();
    assert!(largest.unwrap() <= 4, "at most so many fit: {largest:?}");
    assert_eq!(turns(&world, "backfill", "true").await, 0);
}

#[tokio::test]
async fn fields_that_changed_while_the_job_ran_are_asked_for_by_another_job() {
    let world = World::new("bulk_fields").await;
    world.org().jobs().settings.run_ms = 3_600_000;
    world.object("Case", by_bulk()).await;
    plan_only(&world).await;
    world.turn().await;
    let linked =
        json!({"settle_s": 1, "read_by": "bulk", "linked": ["Account.CreatedDate", "Contact.CreatedDate"]});
    world.sql(&format!("UPDATE object_syncs SET settings = '{linked}'")).await;
    world.org().jobs().settings.run_ms = 0;
    world
        .sql("UPDATE jobs SET available_at = now() + interval '1 hour', reason = 'later' WHERE kind = 'bulk'")
        .await;
    world.sql("UPDATE jobs SET available_at = now() WHERE kind = 'incremental'").await;
    world.run_until_quiet().await;
    world.sql("UPDATE jobs SET available_at = now() WHERE kind = 'bulk'").await;
    world.run_until_quiet().await;
    complete(&world, "Case").await;
    assert_eq!(called(&world, "POST", "/jobs/query"), 2);
    let sets = "SELECT count(DISTINCT field_set_id) FROM records WHERE state = 0";
    assert_eq!(world.value(sets).await, "1");
}
