//! Why jobs do not run, and what people do with those that stand still.

use refrain_shared::storage::dispatch::jobs_reconcile;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::world::{FakeProbe, ORG, World};

#[tokio::test]
async fn a_due_job_says_what_keeps_it_from_being_chosen() {
    let world = World::new("jobs_why").await;
    let served = world.serve(FakeProbe::Works).await;
    let scope = world.due_jobs("a", 1, 1).await;
    let why = async || {
        let jobs = served.get(&format!("/v1/tenants/{}/jobs", scope.tenant())).await.body;
        let job = &jobs["jobs"][0];
        (job["waits_for"]["reason"].as_str().unwrap().to_owned(), job["waits_for"]["until"].is_string())
    };
    let told = |reason: &str| (reason.to_owned(), false);
    assert_eq!(why().await, told("no_worker"));
    world.live_worker(1).await;
    assert_eq!(why().await, told("turn"));

    let other = world.due_jobs("b", 2, 1).await;
    world.sql(&format!("UPDATE jobs SET state = 1 WHERE tenant_id = '{}'", other.tenant().0)).await;
    assert_eq!(why().await, told("room"));
    world.sql("UPDATE org_limits SET settings = '{\"lanes\": 2}'").await;
    assert_eq!(why().await, told("lanes"));
    world
        .sql(&format!(
            "UPDATE org_limits SET lanes = jsonb_build_array(jsonb_build_object(
                 'job', 77, 'epoch', 1, 'until', now() + interval '1 minute', 'calls', 20, 'bucket', now(), 'returnable', 20))
              WHERE org_id = '{ORG}'"
        ))
        .await;
    assert_eq!(why().await, ("lanes".to_owned(), true), "the first of them ends then");
    world.sql("ALTER TABLE jobs DROP CONSTRAINT jobs_class_check; UPDATE jobs SET class = 99").await;
    assert_eq!(why().await, told("newer_version"), "and the list is shown all the same");
}

#[tokio::test]
async fn what_stands_still_is_tried_again_or_given_up_where_nothing_rests_on_it() {
    let world = World::new("jobs_still").await;
    let served = world.serve(FakeProbe::Works).await;
    let scope = world.tenant("a").await;
    let connection = world.connection(&scope).await;
    let case = world.object(&scope, connection, "Case").await;
    jobs_reconcile(&world.db).await.unwrap();
    let tenant = scope.tenant().0;
    world
        .sql(&format!(
            "INSERT INTO jobs (tenant_id, connection_id, object_id, org_id, kind, class, state, ask, crashes, attempt)
             SELECT '{tenant}', '{}', {}, '{ORG}', kind, 3, 3, '{{\"code\": \"DEFECT\", \"what\": \"\", \"why\": \"\", \"fix\": \"\"}}', 3, 9
               FROM unnest(ARRAY['backfill', 'related', 'related', 'file']) kind",
            connection.0, case.0
        ))
        .await;
    let key = served.tenant_key(&scope, "tenant_admin").await;
    let post = async |path: &str, body: Option<Value>| {
        let path = format!("/v1/tenants/{}/jobs{path}", scope.tenant());
        served.ask(Method::POST, &path, Some(&key), body.as_ref()).await
    };
    let ids = async |sql: &str| -> Vec<String> {
        world.sql(sql).await.into_iter().map(|row| format!("job_{}", row[0].as_deref().unwrap())).collect()
    };
    let parked = "SELECT job_id FROM jobs WHERE state = 3 ORDER BY job_id";
    let [history, related, more, file]: [String; 4] = ids(parked).await.try_into().unwrap();

    let one = post(&format!("/{related}/drop"), None).await;
    assert_eq!((one.status, &one.body["jobs"]), (StatusCode::OK, &json!([related])));
    let needed = post(&format!("/{history}/drop"), None).await;
    assert_eq!((needed.status, &needed.body["code"]), (StatusCode::CONFLICT, &json!("job_is_needed")));
    let none = post("/drop", Some(json!({"code": "job_kills_workers"}))).await;
    assert_eq!(none.body["jobs"], json!([]), "it asks for something else");
    let some =
        post("/drop", Some(json!({"kind": "file", "class": "backfill", "object_id": case.to_string()})))
            .await;
    assert_eq!(some.body["jobs"], json!([file]), "{some:?}");

    let again = post(&format!("/{history}/retry"), None).await;
    assert_eq!((again.status, &again.body["jobs"]), (StatusCode::ACCEPTED, &json!([history])));
    let row = format!(
        "SELECT state || ' ' || attempt || ' ' || crashes || ' ' || (ask IS NULL) || ' ' || (available_at <= now())
           FROM jobs WHERE job_id = {}",
        history.trim_start_matches("job_")
    );
    assert_eq!(world.value(&row).await, "0 0 0 true true");
    let twice = post(&format!("/{history}/retry"), None).await;
    assert_eq!((twice.status, &twice.body["code"]), (StatusCode::CONFLICT, &json!("job_goes_on")));
    assert_eq!(post("/job_999/retry", None).await.status, StatusCode::NOT_FOUND);
    // What waits for another try does not wait for it.
    let standing = ids("SELECT job_id FROM jobs WHERE kind = 'incremental'").await.remove(0);
    world
        .sql("UPDATE jobs SET attempt = 3, reason = 'retry', available_at = now() + interval '5 minutes' WHERE kind = 'incremental'")
        .await;
    let all = post("/retry", Some(json!({}))).await;
    assert_eq!(all.body["jobs"], json!([standing, more]));
    assert!(ids(parked).await.is_empty());
    let unknown = post("/retry", Some(json!({"kind": "novel"}))).await;
    assert_eq!(unknown.status, StatusCode::UNPROCESSABLE_ENTITY);

    // Another tenant's are out of reach, and each change is told once.
    let other = world.tenant("b").await;
    let foreign =
        served.post(&format!("/v1/tenants/{}/jobs/{history}/drop", other.tenant()), &Value::Null).await;
    assert_eq!(foreign.status, StatusCode::NOT_FOUND);
    let log = served.get(&format!("/v1/tenants/{}/audit", scope.tenant())).await.body;
    let told = log["events"].as_array().unwrap().iter().rev().filter_map(|event| {
        let action = event["action"].as_str().unwrap();
        action.starts_with("job.").then(|| (action.to_owned(), event["details"]["jobs"].as_u64().unwrap()))
    });
    let told: Vec<_> = told.collect();
    let expected = [("job.drop", 1), ("job.drop", 1), ("job.retry", 1), ("job.retry", 2)];
    assert_eq!(told, expected.map(|(action, jobs)| (action.to_owned(), jobs)));
}
