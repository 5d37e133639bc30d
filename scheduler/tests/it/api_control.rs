//! Pause, resume, resync, cancel and reset through the API: at each level, told in the status and the log, out of reach of others.

use refrain_shared::storage::dispatch::jobs_reconcile;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::world::{FakeProbe, World};

#[tokio::test]
async fn a_pause_is_told_wherever_it_holds_with_who_asked_for_it() {
    let world = World::new("control_pause").await;
    let served = world.serve(FakeProbe::Works).await;
    let scope = world.tenant("a").await;
    let connection = world.connection(&scope).await;
    let (case, contact) =
        (world.object(&scope, connection, "Case").await, world.object(&scope, connection, "Contact").await);
    jobs_reconcile(&world.db).await.unwrap();
    let tenant = format!("/v1/tenants/{}", scope.tenant());
    let key = served.tenant_key(&scope, "tenant_admin").await;
    let send = async |method: Method, path: &str| {
        served.ask(method, &format!("{tenant}{path}"), Some(&key), None).await
    };
    // Which of tenant, connection and its two objects are told to be paused, and whose jobs wait for it.
    let told = async || {
        let status = send(Method::GET, "/status").await.body;
        let connection = &status["connections"][0];
        let objects = [&connection["objects"][0], &connection["objects"][1]];
        for object in objects {
            let says = object["freshness"].as_str().unwrap().contains(" UTC by test.");
            assert_eq!(says, object["paused"].is_object(), "{object}");
        }
        let jobs = send(Method::GET, "/jobs").await.body;
        let waits = jobs["jobs"].as_array().unwrap().iter().map(|job| job["waits_for"]["reason"] == "paused");
        let levels = [&status, connection, objects[0], objects[1]];
        (levels.map(|level| level["paused"].is_object()), waits.collect::<Vec<bool>>())
    };
    assert_eq!(told().await, ([false; 4], vec![false, false]));
    for (path, levels) in [
        ("/pause".to_owned(), [true, false, true, true]),
        (format!("/connections/{connection}/pause"), [false, true, true, true]),
        (format!("/objects/{case}/pause"), [false, false, true, false]),
        (format!("/objects/{contact}/pause"), [false, false, false, true]),
    ] {
        for _ in 0..2 {
            let paused = send(Method::PUT, &path).await;
            assert_eq!((paused.status, &paused.body["paused"]), (StatusCode::OK, &json!(true)), "{paused:?}");
            assert_eq!(paused.body["by"], "test", "the name of the key");
        }
        assert_eq!(told().await, (levels, vec![levels[2], levels[3]]), "{path}");
        for _ in 0..2 {
            let resumed = send(Method::DELETE, &path).await;
            assert_eq!((&resumed.body["paused"], &resumed.body["since"]), (&json!(false), &Value::Null));
        }
        assert_eq!(told().await, ([false; 4], vec![false, false]), "{path}");
    }
    let log = send(Method::GET, "/audit").await.body;
    let control = log["events"].as_array().unwrap().iter().filter(|event| {
        event["action"].as_str().unwrap().starts_with("control.") && event["key_name"] == "test"
    });
    assert_eq!(control.count(), 8, "what changes nothing is not told");
    // What people want of the object is untouched.
    assert_eq!(world.value("SELECT bool_and(enabled) FROM object_syncs").await, "t");

    let other = world.tenant("b").await;
    let theirs = world.connection(&other).await;
    let foreign = send(Method::PUT, &format!("/connections/{theirs}/pause")).await;
    assert_eq!(foreign.status, StatusCode::NOT_FOUND);
    assert_eq!(world.value("SELECT count(*) FROM gates").await, "0");
}

#[tokio::test]
async fn a_resync_is_asked_for_at_each_level_and_says_what_it_leaves_out() {
    let world = World::new("control_resync").await;
    let served = world.serve(FakeProbe::Works).await;
    let scope = world.tenant("a").await;
    let connection = world.connection(&scope).await;
    let (case, contact) =
        (world.object(&scope, connection, "Case").await, world.object(&scope, connection, "Contact").await);
    jobs_reconcile(&world.db).await.unwrap();
    let key = served.tenant_key(&scope, "tenant_admin").await;
    let tenant = format!("/v1/tenants/{}", scope.tenant());
    let ask = async |path: &str, from: &str| {
        let body = json!({ "from": from });
        served.ask(Method::POST, &format!("{tenant}{path}"), Some(&key), Some(&body)).await
    };
    let from = "2026-01-01T00:00:00Z";
    let early = ask("/resync", from).await;
    assert_eq!((early.status, &early.body["code"]), (StatusCode::CONFLICT, &json!("nothing_to_resync")));
    assert!(early.body["why"].as_str().unwrap().contains("loading"), "{early:?}");
    assert_eq!(ask("/resync", "2999-01-01T00:00:00Z").await.status, StatusCode::UNPROCESSABLE_ENTITY);

    let loaded = format!(
        "UPDATE checkpoints SET state = 'current', watermark_at = now(), covered_from = '-infinity',
                scope_from = '-infinity', wish = NULL WHERE object_id = {};
         UPDATE jobs SET available_at = now() + interval '1 hour'",
        case.0
    );
    for path in
        ["/resync".to_owned(), format!("/connections/{connection}/resync"), format!("/objects/{case}/resync")]
    {
        world.sql(&loaded).await;
        let asked = ask(&path, from).await;
        assert_eq!(asked.status, StatusCode::ACCEPTED, "{asked:?}");
        let objects = asked.body["objects"].as_array().unwrap();
        assert_eq!((&objects[0]["id"], &objects[0]["left_out"]), (&json!(case), &Value::Null));
        if let Some(other) = objects.get(1) {
            assert_eq!((&other["id"], &other["left_out"]), (&json!(contact), &json!("loading")));
        }
        let due = "SELECT string_agg(object_id::text, ' ') FROM jobs WHERE kind = 'incremental' AND available_at <= now()";
        assert_eq!(world.value(due).await, case.0.to_string(), "{path}");
        assert_eq!(ask(&path, from).await.status, StatusCode::CONFLICT, "one at a time");
        let status = served.ask(Method::GET, &format!("{tenant}/status"), Some(&key), None).await.body;
        let told = &status["connections"][0]["objects"];
        assert_eq!(told[0]["resyncing"], json!({ "from": from, "slices_left": 0 }));
        assert_eq!((&told[0]["state"], &told[1]["resyncing"]), (&json!("current"), &Value::Null));
        let says = told[0]["freshness"].as_str().unwrap();
        assert!(
            says.starts_with("Cases are complete") && says.ends_with("is being read once more."),
            "{says}"
        );
    }
    let log = served.ask(Method::GET, &format!("{tenant}/audit"), Some(&key), None).await.body;
    let told: Vec<&Value> = log["events"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|event| event["action"] == "control.resync")
        .collect();
    assert_eq!(told.len(), 3, "a refusal is not told");
    assert_eq!((&told[0]["details"]["level"], &told[0]["details"]["objects"]), (&json!("object"), &json!(1)));

    let other = world.tenant("b").await;
    let theirs = world.connection(&other).await;
    let object = world.object(&other, theirs, "Case").await;
    for path in [format!("/connections/{theirs}/resync"), format!("/objects/{object}/resync")] {
        assert_eq!(ask(&path, from).await.status, StatusCode::NOT_FOUND);
    }
}

/// As while an object's history is read for the first time, down to a moment.
const LOADING: &str = r#"UPDATE checkpoints SET state = 'loading', watermark_at = now(), covered_from = '2026-06-01T00:00:00Z',
    scope_from = '-infinity', loaded_at = NULL, called_off = NULL, wish = NULL,
    open_slices = '[{"lo": "2026-01-01T00:00:00Z", "hi": "2026-06-01T00:00:00Z"}]'"#;

#[tokio::test]
async fn what_runs_is_cancelled_at_each_level_and_only_there() {
    let world = World::new("control_cancel").await;
    let served = world.serve(FakeProbe::Works).await;
    let scope = world.tenant("a").await;
    let connection = world.connection(&scope).await;
    let case = world.object(&scope, connection, "Case").await;
    let other = world.tenant("b").await;
    let theirs = world.connection(&other).await;
    let foreign = world.object(&other, theirs, "Case").await;
    jobs_reconcile(&world.db).await.unwrap();
    let key = served.tenant_key(&scope, "tenant_admin").await;
    let tenant = format!("/v1/tenants/{}", scope.tenant());
    let ask = async |path: &str| {
        let answer = served.ask(Method::POST, &format!("{tenant}{path}"), Some(&key), None).await;
        (answer.status, answer.body)
    };
    assert_eq!(ask("/cancel").await.1, json!({ "level": "tenant", "cancelled": 0, "objects": [] }));

    for (level, path) in [
        ("tenant", "/cancel".to_owned()),
        ("connection", format!("/connections/{connection}/cancel")),
        ("object", format!("/objects/{case}/cancel")),
    ] {
        world.sql(LOADING).await;
        let (status, body) = ask(&path).await;
        let told =
            json!({ "level": level, "cancelled": 1, "objects": [{ "id": case, "what": "first_load" }] });
        assert_eq!((status, body), (StatusCode::OK, told));
        let states = "SELECT string_agg(state, ' ' ORDER BY object_id) FROM checkpoints";
        assert_eq!(world.value(states).await, "current loading", "the other tenant's goes on");
        let status = served.ask(Method::GET, &format!("{tenant}/status"), Some(&key), None).await.body;
        let says = status["connections"][0]["objects"][0]["freshness"].as_str().unwrap().to_owned();
        assert!(says.starts_with("Cases are complete from 1 Jun "), "{says}");
        assert_eq!(ask(&path).await.1["cancelled"], json!(0), "twice");
    }
    let all = "SELECT string_agg(c::text, ',' ORDER BY object_id) FROM checkpoints c";
    let before = world.value(all).await;
    for path in [
        format!("/connections/{theirs}/cancel"),
        format!("/objects/{foreign}/cancel"),
        format!("/objects/{foreign}/reset"),
    ] {
        assert_eq!(ask(&path).await.0, StatusCode::NOT_FOUND);
    }
    assert_eq!(world.value(all).await, before);
    let told = "SELECT string_agg(details->>'level', ' ' ORDER BY seq) FROM audit_events WHERE action = 'control.cancel'";
    assert_eq!(world.value(told).await, "tenant connection object", "what changes nothing is not told");
}

#[tokio::test]
async fn a_reset_is_told_and_refused_where_it_means_nothing() {
    let world = World::new("control_reset").await;
    let served = world.serve(FakeProbe::Works).await;
    let scope = world.tenant("a").await;
    let connection = world.connection(&scope).await;
    let case = world.object(&scope, connection, "Case").await;
    let key = served.tenant_key(&scope, "tenant_admin").await;
    let path = format!("/v1/tenants/{}/objects/{case}/reset", scope.tenant());
    let ask = async || served.ask(Method::POST, &path, Some(&key), None).await;
    assert_eq!(ask().await.status, StatusCode::CONFLICT, "nothing was read yet");
    jobs_reconcile(&world.db).await.unwrap();
    world.sql(LOADING).await;
    let done = ask().await;
    assert_eq!((done.status, done.body), (StatusCode::ACCEPTED, json!({ "id": case, "state": "new" })));
    let stands =
        "SELECT concat_ws(' ', state, generation, open_slices, watermark_at, covered_from) FROM checkpoints";
    assert_eq!(world.value(stands).await, "new 2 []");
    let after = "SELECT progress->>'after_load' FROM jobs WHERE kind = 'sweep'";
    assert_eq!(world.value(after).await, "true");
    let told = "SELECT count(*) FROM audit_events WHERE action = 'control.reset'";
    for refusal in [
        "UPDATE checkpoints SET scope_from = 'infinity'",
        "UPDATE object_syncs SET enabled = false; UPDATE checkpoints SET scope_from = '-infinity'",
    ] {
        world.sql(refusal).await;
        let refused = ask().await;
        assert_eq!(
            (refused.status, &refused.body["code"]),
            (StatusCode::CONFLICT, &json!("nothing_to_reset"))
        );
        assert_eq!(world.value(stands).await, "new 2 []");
    }
    assert_eq!(world.value(told).await, "1");
}
