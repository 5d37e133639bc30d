//! A mapping that changes through the API: what it refuses, and what readers see while what is here follows.

use refrain_shared::storage::dispatch::jobs_reconcile;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::world::{FakeProbe, World};

const CASE: &str = "500000000000001AAA";

#[tokio::test]
async fn readers_see_how_far_a_changed_mapping_is_applied() {
    let world = World::new("mapping").await;
    let served = world.serve(FakeProbe::Works).await;
    let scope = world.tenant("a").await;
    let tenant = format!("/v1/tenants/{}", scope.tenant());
    let connection = world.connection(&scope).await;
    let object = world.object(&scope, connection, "Case").await;
    jobs_reconcile(&world.db).await.unwrap();
    world
        .sql(&format!(
            "INSERT INTO tickets (tenant_id, connection_id, object_id, record_id, state, last_activity_at, mapping_epoch, feed_seq)
             VALUES ('{}', '{}', {}, '{CASE}', 0, now(), 1, 1)",
            scope.tenant().0,
            connection.0,
            object.0
        ))
        .await;
    world.sql("UPDATE tenant_gates SET mapping_epoch = 1").await;
    let jobs = "SELECT count(*) FROM jobs WHERE kind = 'reproject'";
    let path = format!("{tenant}/objects/{object}");
    let change = async |patch: Value| {
        let answer = served.ask(Method::PATCH, &path, Some(&served.operator), Some(&patch)).await;
        jobs_reconcile(&world.db).await.unwrap();
        answer
    };

    // What makes nothing else of a record makes no job, and neither does a mapping that could show nothing.
    assert_eq!(change(json!({"interval_s": 60, "settings": {"sweep_days": 3}})).await.status, StatusCode::OK);
    assert_eq!(change(json!({"enabled": false})).await.status, StatusCode::OK);
    for bad in [json!({"role": "boss"}), json!({"role": "message"})] {
        assert_eq!(change(bad).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    }
    assert_eq!(world.value(jobs).await, "0");
    let status = served.get(&format!("{tenant}/status")).await;
    assert_eq!(status.body["mapping_version"], 2, "{status:?}");
    assert_eq!(status.body["connections"][0]["objects"][0]["reprojecting"], Value::Null);

    // An object that is switched off follows its mapping too: what is here of it is shown.
    let facet = json!({"settings": {"facets": [{"name": "area", "path": "Area__c", "as": "text"}]}});
    assert_eq!(change(facet).await.status, StatusCode::OK);
    assert_eq!(world.value(jobs).await, "1");
    let told = |version: Value, done: i64| json!({"object_id": object.to_string(), "version": version, "done": done, "of": done * 4});
    let shown = async || {
        let status = served.get(&format!("{tenant}/status")).await;
        let list = served.get(&format!("{tenant}/tickets")).await;
        let feed = served.get(&format!("{tenant}/changes")).await;
        assert_eq!(list.body["tickets"][0]["mapping_version"], 1, "{list:?}");
        assert_eq!(feed.body["changes"][0]["mapping_version"], 1, "{feed:?}");
        let own = status.body["connections"][0]["objects"][0]["reprojecting"].clone();
        assert_eq!(list.body["reprojecting"], json!([own]));
        assert_eq!(feed.body["reprojecting"], json!([own]));
        own
    };
    assert_eq!(shown().await, told(Value::Null, 0));
    world
        .sql("UPDATE jobs SET progress = '{\"version\": 3, \"done\": 25, \"of\": 100}' WHERE kind = 'reproject'")
        .await;
    assert_eq!(shown().await, told(json!(3), 25));

    world.sql("UPDATE tickets SET state = 2, reason = 22").await;
    let feed = served.get(&format!("{tenant}/changes")).await;
    assert_eq!(feed.body["changes"][0]["reason"], "no_ticket", "{feed:?}");
}

#[tokio::test]
async fn a_filter_that_cannot_be_asked_is_refused_with_why_and_how_to_mend_it() {
    let world = World::new("filter").await;
    let served = world.serve(FakeProbe::Works).await;
    let scope = world.tenant("a").await;
    let connection = world.connection(&scope).await;
    let object = world.object(&scope, connection, "Case").await;
    jobs_reconcile(&world.db).await.unwrap();
    let path = format!("/v1/tenants/{}/objects/{object}", scope.tenant());
    let change = async |filter: Value| {
        let patch = json!({"settings": {"filter": filter}});
        served.ask(Method::PATCH, &path, Some(&served.operator), Some(&patch)).await
    };
    let origin = json!({"field": "Origin", "in": ["Email", "Web"]});

    // Before the object was described only its form can be wrong.
    for (bad, told) in [
        (json!({"field": "Origin"}), "Origin needs exactly one of is, in"),
        (json!({"all": [origin, {"field": "Account.Name", "is": "Acme"}]}), "filter.all[1]"),
        (json!({"field": "Origin", "is": ""}), "is_null"),
    ] {
        let answer = change(bad).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{answer:?}");
        assert!(answer.body.to_string().contains(told), "{told}: {answer:?}");
    }
    assert_eq!(change(json!({"field": "Description", "is": "x"})).await.status, StatusCode::OK);

    let body = json!({"name": "Case", "queryable": true, "fields": [
        {"name": "Origin", "type": "picklist", "filterable": true},
        {"name": "Description", "type": "textarea"}
    ]});
    world
        .sql(&format!(
            "INSERT INTO describes (object_id, tenant_id, body, linked, fetched_at) VALUES ({}, '{}', '{body}', '[]', now())",
            object.0,
            scope.tenant().0
        ))
        .await;
    let answer = change(json!({"any": [origin, {"field": "Description", "is": "x"}]})).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    let told = answer.body.to_string();
    for part in ["cannot filter by Description", "Leave Description out"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let answer = change(origin.clone()).await;
    assert_eq!((answer.status, &answer.body["settings"]["filter"]), (StatusCode::OK, &origin), "{answer:?}");
}
