//! Tenants, connections, object syncs, status and jobs through the API.

use refrain_shared::storage::dispatch::jobs_reconcile;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::world::{Answer, FakeProbe, ORG, Served, World};

fn new_connection() -> Value {
    json!({
        "name": "production",
        "login_url": "https://acme.my.salesforce.com/",
        "auth": { "method": "client_credentials", "client_id": "id", "client_secret": "a-very-secret-secret" }
    })
}

fn assert_problem(answer: &Answer, status: StatusCode, code: &str) {
    assert_eq!((answer.status, answer.body["code"].as_str()), (status, Some(code)), "{answer:?}");
    assert_eq!(answer.content_type, "application/problem+json");
    for part in ["what", "why", "fix", "title", "detail", "type"] {
        assert!(!answer.body[part].as_str().unwrap_or_default().is_empty(), "{part} of {answer:?}");
    }
    assert!(!answer.body.to_string().contains("a-very-secret-secret"), "{answer:?}");
}

async fn tenant(served: &Served) -> String {
    let made = served.post("/v1/tenants", &json!({ "name": "Acme" })).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    format!("/v1/tenants/{}", made.body["id"].as_str().unwrap())
}

#[tokio::test]
async fn an_org_is_connected_and_its_secret_is_sealed() {
    let world = World::new("connect").await;
    let served = world.serve(FakeProbe::Works).await;
    let tenant = tenant(&served).await;
    let made = served.post(&format!("{tenant}/connections"), &new_connection()).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    assert_eq!((made.body["state"].as_str(), made.body["org_id"].as_str()), (Some("active"), Some(ORG)));
    assert!(!made.body.to_string().contains("secret-secret"));
    let dump = world
        .value(
            "SELECT encode(credentials, 'escape') || encode(access_token, 'escape') FROM connection_secrets",
        )
        .await;
    assert!(!dump.contains("a-very-secret-secret"));
    let path = format!("{tenant}/connections/{}", made.body["id"].as_str().unwrap());
    assert_eq!(served.get(&path).await.body, made.body);
    let checked = served.ask(Method::POST, &format!("{path}/check"), Some(&served.operator), None).await;
    assert_eq!(
        (checked.status, checked.body["state"].as_str()),
        (StatusCode::OK, Some("active")),
        "{checked:?}"
    );
}

#[tokio::test]
async fn credentials_that_do_not_work_leave_nothing_behind() {
    let world = World::new("connect_refused").await;
    let served = world.serve(FakeProbe::Refuses).await;
    let tenant_path = tenant(&served).await;
    let refused = served.post(&format!("{tenant_path}/connections"), &new_connection()).await;
    assert_problem(&refused, StatusCode::UNPROCESSABLE_ENTITY, "invalid_client");
    let away = world.serve(FakeProbe::Away).await;
    let later = away.post(&format!("{tenant_path}/connections"), &new_connection()).await;
    assert_problem(&later, StatusCode::SERVICE_UNAVAILABLE, "salesforce_unavailable");
    assert_eq!(
        world
            .value("SELECT (SELECT count(*) FROM connections) + (SELECT count(*) FROM connection_secrets)")
            .await,
        "0"
    );
}

#[tokio::test]
async fn a_check_that_finds_a_person_is_needed_parks_the_connection_and_the_next_good_one_opens_it() {
    let world = World::new("connect_check").await;
    let works = world.serve(FakeProbe::Works).await;
    let tenant = tenant(&works).await;
    let made = works.post(&format!("{tenant}/connections"), &new_connection()).await;
    let check = format!("{tenant}/connections/{}/check", made.body["id"].as_str().unwrap());
    let refuses = world.serve(FakeProbe::Refuses).await;
    let parked = refuses.ask(Method::POST, &check, Some(&refuses.operator), None).await;
    assert_eq!(parked.body["state"], "parked", "{parked:?}");
    assert_eq!(parked.body["ask"]["fix"], "Paste the new one.");
    assert_eq!(world.value("SELECT reason FROM gates").await, "parked");
    let opened = works.ask(Method::POST, &check, Some(&works.operator), None).await;
    assert_eq!(
        (opened.body["state"].as_str(), &opened.body["ask"]),
        (Some("active"), &Value::Null),
        "{opened:?}"
    );
    assert_eq!(world.value("SELECT count(*) FROM gates").await, "0");
}

#[tokio::test]
async fn replaced_credentials_are_proved_sealed_and_open_a_parked_connection() {
    let world = World::new("credentials").await;
    let works = world.serve(FakeProbe::Works).await;
    let tenant = tenant(&works).await;
    let made = works.post(&format!("{tenant}/connections"), &new_connection()).await;
    let path = format!("{tenant}/connections/{}", made.body["id"].as_str().unwrap());
    let refuses = world.serve(FakeProbe::Refuses).await;
    refuses.ask(Method::POST, &format!("{path}/check"), Some(&refuses.operator), None).await;
    assert_eq!(world.value("SELECT reason FROM gates").await, "parked");
    let stored = async || world.value("SELECT encode(credentials, 'hex') FROM connection_secrets").await;
    let before = stored().await;
    let new = json!({ "auth": { "method": "jwt_bearer", "client_id": "other id", "username": "integration@acme.example",
                                "private_key": "a-very-secret-secret" } });
    let put = async |served: &Served| {
        served.ask(Method::PUT, &format!("{path}/credentials"), Some(&served.operator), Some(&new)).await
    };

    assert_problem(&put(&refuses).await, StatusCode::UNPROCESSABLE_ENTITY, "invalid_client");
    let away = world.serve(FakeProbe::Away).await;
    assert_problem(&put(&away).await, StatusCode::SERVICE_UNAVAILABLE, "salesforce_unavailable");
    let elsewhere = world.serve(FakeProbe::AnotherOrg).await;
    assert_problem(&put(&elsewhere).await, StatusCode::UNPROCESSABLE_ENTITY, "ORG_ID_CHANGED");
    assert_eq!(
        (stored().await, works.get(&path).await.body["state"].as_str()),
        (before.clone(), Some("parked"))
    );

    let changed = put(&works).await;
    assert_eq!(
        (changed.status, changed.body["state"].as_str()),
        (StatusCode::OK, Some("active")),
        "{changed:?}"
    );
    assert_eq!(changed.body["client_id"], "other id");
    assert_eq!(changed.body["username"], "integration@acme.example");
    assert_eq!(changed.body["login_url"], made.body["login_url"], "left out, it stays");
    assert_eq!(world.value("SELECT count(*) FROM gates").await, "0");
    assert_ne!(stored().await, before);
    let dump = world.value("SELECT encode(credentials, 'escape') FROM connection_secrets").await;
    assert!(!dump.contains("a-very-secret-secret"));
    assert_eq!(
        world.value("SELECT generation FROM connection_secrets").await,
        "2",
        "sessions in use are renewed"
    );

    world.sql("UPDATE connections SET state = 'revoked'").await;
    assert_problem(&put(&works).await, StatusCode::CONFLICT, "connection_revoked");
}

#[tokio::test]
async fn a_revoked_key_opens_nothing_and_stays_in_the_list_without_its_secret() {
    let world = World::new("revoke").await;
    let served = world.serve(FakeProbe::Works).await;
    let (scope, other) = (world.tenant("a").await, world.tenant("b").await);
    let (first, second) =
        (served.tenant_key(&scope, "tenant_admin").await, served.tenant_key(&scope, "tenant_reader").await);
    served.tenant_key(&other, "tenant_reader").await;
    let path = format!("/v1/tenants/{}/keys", scope.tenant());
    let listed = served.ask(Method::GET, &path, Some(&first), None).await;
    let keys = listed.body["keys"].as_array().unwrap();
    let roles: Vec<&str> = keys.iter().map(|key| key["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["tenant_admin", "tenant_reader"], "its own only: {listed:?}");
    for key in [&first, &second] {
        // A secret may hold what parts it from its key's id.
        let secret = key.splitn(3, '_').nth(2).unwrap();
        assert!(!listed.body.to_string().contains(secret), "no secrets");
    }
    let revoke = format!("{path}/{}", keys[1]["id"].as_str().unwrap());
    let foreign = format!("/v1/tenants/{}/keys/{}", other.tenant(), keys[1]["id"].as_str().unwrap());
    let delete = async |path: &str| served.ask(Method::DELETE, path, Some(&served.operator), None).await;
    assert_problem(&delete(&foreign).await, StatusCode::NOT_FOUND, "not_found");
    assert_eq!(served.ask(Method::GET, &path, Some(&second), None).await.status, StatusCode::OK);
    let revoked = delete(&revoke).await;
    assert_eq!(revoked.status, StatusCode::OK, "{revoked:?}");
    assert_eq!(delete(&revoke).await.body, revoked.body, "again changes nothing");
    assert_eq!(served.ask(Method::GET, &path, Some(&second), None).await.status, StatusCode::UNAUTHORIZED);
    let listed = served.ask(Method::GET, &path, Some(&first), None).await;
    assert_eq!(listed.body["keys"][1], revoked.body);
}

#[tokio::test]
async fn bodies_that_do_not_fit_are_refused_without_repeating_what_they_hold() {
    let world = World::new("bodies").await;
    let served = world.serve(FakeProbe::Works).await;
    let tenant = tenant(&served).await;
    let connections = format!("{tenant}/connections");
    let mut unknown = new_connection();
    unknown["auth"]["client_secret"] = json!(["a-very-secret-secret"]);
    let mut extra = new_connection();
    extra["colour"] = json!("a-very-secret-secret");
    let mut method = new_connection();
    method["auth"]["method"] = json!("a-very-secret-secret");
    for body in [unknown, extra, method, json!({}), json!("a-very-secret-secret")] {
        let answer = served.post(&connections, &body).await;
        assert_problem(&answer, StatusCode::UNPROCESSABLE_ENTITY, "invalid_request");
    }
    for name in ["", "   ", &"x".repeat(201)] {
        let answer = served.post("/v1/tenants", &json!({ "name": name })).await;
        assert_problem(&answer, StatusCode::UNPROCESSABLE_ENTITY, "invalid_request");
    }
    let answer = served.get("/v1/tenants?limti=3").await;
    assert_problem(&answer, StatusCode::UNPROCESSABLE_ENTITY, "invalid_request");
    let answer = served.get("/v1/tenants?cursor=nonsense").await;
    assert_problem(&answer, StatusCode::UNPROCESSABLE_ENTITY, "invalid_request");
}

#[tokio::test]
async fn an_object_is_synced_changed_shown_and_triggered() {
    let world = World::new("objects").await;
    let served = world.serve(FakeProbe::Works).await;
    let tenant = tenant(&served).await;
    let made = served.post(&format!("{tenant}/connections"), &new_connection()).await;
    let objects = format!("{tenant}/connections/{}/objects", made.body["id"].as_str().unwrap());
    let case = served.post(&objects, &json!({ "api_name": "Case" })).await;
    assert_eq!((case.status, case.body["role"].as_str()), (StatusCode::CREATED, Some("ticket")), "{case:?}");
    assert_problem(
        &served.post(&objects, &json!({ "api_name": "Case" })).await,
        StatusCode::CONFLICT,
        "exists_already",
    );
    for bad in [
        json!({ "api_name": "Ping__c" }),
        json!({ "api_name": "Ca se", "role": "ticket" }),
        json!({ "api_name": "Task", "interval_s": 0 }),
        json!({ "api_name": "Task", "role": "boss" }),
        json!({ "api_name": "Ping__c", "role": "ticket" }),
        json!({ "api_name": "Ping__c", "role": "message", "settings": {"message": {"kind": "comment", "parents": []}} }),
        json!({ "api_name": "Ping__c", "role": "ticket", "settings": {"ticket": {"sbject": "Name"}} }),
        json!({ "api_name": "Task", "settings": {"read_by": "soap"} }),
    ] {
        assert_problem(
            &served.post(&objects, &bad).await,
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid_request",
        );
    }
    let before = world.value("SELECT mapping_epoch FROM tenant_gates").await;
    let path = format!("{tenant}/objects/{}", case.body["id"].as_str().unwrap());
    let patch = json!({ "interval_s": 60, "settings": { "linked": ["Owner.Name"] } });
    let changed = served.ask(Method::PATCH, &path, Some(&served.operator), Some(&patch)).await;
    assert_eq!(
        (changed.status, changed.body["interval_s"].as_i64()),
        (StatusCode::OK, Some(60)),
        "{changed:?}"
    );
    assert_ne!(
        world.value("SELECT mapping_epoch FROM tenant_gates").await,
        before,
        "pages in flight plan again"
    );
    assert_eq!(served.get(&objects).await.body["objects"][0], changed.body);

    jobs_reconcile(&world.db).await.unwrap();
    let triggered = served.ask(Method::POST, &format!("{path}/sync"), Some(&served.operator), None).await;
    assert_eq!((triggered.status, triggered.body["outcome"].as_str()), (StatusCode::ACCEPTED, Some("due")));
    let status = served.get(&format!("{tenant}/status")).await;
    let object = &status.body["connections"][0]["objects"][0];
    assert_eq!(object["freshness"], "Cases wait for their first load.", "{status:?}");
    assert_eq!((object["state"].as_str(), object["stored"].as_i64()), (Some("new"), Some(0)));
}

#[tokio::test]
async fn a_job_says_why_it_does_not_run() {
    let world = World::new("jobs").await;
    let served = world.serve(FakeProbe::Works).await;
    let scope = world.due_jobs("a", 3, 1).await;
    world.live_worker(8).await;
    world
        .sql(
            "UPDATE jobs SET available_at = now() + interval '1 hour' WHERE job_id = 2;
             UPDATE jobs SET state = 3, ask = '{\"code\":\"c\",\"what\":\"w\",\"why\":\"y\",\"fix\":\"f\"}' WHERE job_id = 3;
             INSERT INTO job_attempts (job_id, fence, tenant_id, kind, started_at, ended_at, outcome)
             SELECT 1, n, tenant_id, kind, now(), now(), 'retry' FROM jobs, generate_series(1, 2) n WHERE job_id = 1",
        )
        .await;
    let path = format!("/v1/tenants/{}/jobs", scope.tenant());
    let jobs = served.get(&path).await;
    let reasons: Vec<&str> = jobs.body["jobs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|job| job["waits_for"]["reason"].as_str().unwrap())
        .collect();
    assert_eq!(reasons, ["turn", "cadence", "person"], "{jobs:?}");
    let parked = served.get(&format!("{path}?state=parked")).await;
    assert_eq!(parked.body["jobs"][0]["ask"]["fix"], "f");
    let first = served.get(&format!("{path}?limit=2")).await;
    let second = served.get(&format!("{path}?limit=2&cursor={}", first.body["next"].as_str().unwrap())).await;
    assert_eq!((second.body["jobs"][0]["id"].as_str(), &second.body["next"]), (Some("job_3"), &Value::Null));
    let detail = served.get(&format!("{path}/job_1")).await;
    let fences: Vec<i64> = detail.body["attempts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|attempt| attempt["fence"].as_i64().unwrap())
        .collect();
    assert_eq!(fences, [2, 1], "newest first: {detail:?}");
    assert_problem(&served.get(&format!("{path}/job_99")).await, StatusCode::NOT_FOUND, "not_found");
    assert_problem(
        &served.get(&format!("{path}?state=asleep")).await,
        StatusCode::UNPROCESSABLE_ENTITY,
        "invalid_request",
    );
}
