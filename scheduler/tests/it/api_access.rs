//! Who may do what. The list of operations comes from the API's own description, so that a new one is held too.

use refrain_scheduler::api::openapi::Description;
use reqwest::{Method, StatusCode};
use serde_json::json;
use utoipa::OpenApi as _;

use crate::world::{FakeProbe, World};

/// Every operation with its path's ids filled in.
fn operations(tenant: &str) -> Vec<(Method, String)> {
    let mut operations = Vec::new();
    for (path, item) in Description::openapi().paths.paths {
        let path = path
            .replace("{tenant}", tenant)
            .replace("{connection}", "con_00000000000000000000000000000001")
            .replace("{key}", "key_00000000000000000000000000000001")
            .replace("{object}", "obj_1")
            .replace("{job}", "job_1")
            .replace("{ticket}", "obj_1.5003000000D8cuIAAR");
        let methods = [
            (Method::GET, item.get),
            (Method::POST, item.post),
            (Method::PUT, item.put),
            (Method::PATCH, item.patch),
            (Method::DELETE, item.delete),
        ];
        operations.extend(
            methods
                .into_iter()
                .filter(|(_, operation)| operation.is_some())
                .map(|(method, _)| (method, path.clone())),
        );
    }
    assert_eq!(operations.len(), 58, "a new operation is listed here on purpose");
    operations
}

#[tokio::test]
async fn every_operation_refuses_a_request_without_a_key_in_force() {
    let world = World::new("access_none").await;
    let served = world.serve(FakeProbe::Works).await;
    let scope = world.tenant("a").await;
    let revoked = served.tenant_key(&scope, "tenant_admin").await;
    world.sql("UPDATE api_keys SET revoked_at = now() WHERE role = 'tenant_admin'").await;
    let ended = served.tenant_key(&scope, "tenant_admin").await;
    world.sql("UPDATE api_keys SET expires_at = now() WHERE role = 'tenant_admin'").await;
    let mut forged = served.operator.clone();
    forged.replace_range(forged.len() - 4.., "AAAA");
    for (method, path) in operations(&scope.tenant().to_string()) {
        for key in [None, Some("nonsense"), Some(&*forged), Some(&*revoked), Some(&*ended)] {
            let answer = served.ask(method.clone(), &path, key, None).await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{method} {path} {answer:?}");
            assert_eq!(answer.content_type, "application/problem+json");
        }
    }
}

#[tokio::test]
async fn another_tenants_key_sees_what_a_missing_tenant_shows() {
    let world = World::new("access_other").await;
    let served = world.serve(FakeProbe::Works).await;
    let (mine, other) = (world.tenant("mine").await, world.tenant("other").await);
    let connection = world.connection(&other).await;
    let key = served.tenant_key(&mine, "tenant_admin").await;
    for (method, path) in operations(&other.tenant().to_string()) {
        if !path.contains("/tenants/") {
            continue;
        }
        let path = path.replace("con_00000000000000000000000000000001", &connection.to_string());
        let answer = served.ask(method.clone(), &path, Some(&key), None).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{method} {path} {answer:?}");
        let missing = path.replace(&other.tenant().to_string(), "ten_00000000000000000000000000000009");
        let unknown = served.ask(method.clone(), &missing, Some(&key), None).await;
        assert_eq!((unknown.status, unknown.body), (answer.status, answer.body), "{method} {path}");
    }
    // Through its own path, another tenant's things are not there either.
    let path = format!("/v1/tenants/{}/connections/{connection}", mine.tenant());
    for path in [path.clone(), format!("{path}/objects")] {
        assert_eq!(
            served.ask(Method::GET, &path, Some(&key), None).await.status,
            StatusCode::NOT_FOUND,
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_reader_changes_nothing_and_only_the_operator_makes_tenants() {
    let world = World::new("access_roles").await;
    let served = world.serve(FakeProbe::Works).await;
    let scope = world.tenant("a").await;
    let reader = served.tenant_key(&scope, "tenant_reader").await;
    let admin = served.tenant_key(&scope, "tenant_admin").await;
    for (method, path) in operations(&scope.tenant().to_string()) {
        let answer = served.ask(method.clone(), &path, Some(&reader), None).await;
        let refused = answer.status == StatusCode::FORBIDDEN;
        let of_the_operator = path.starts_with("/v1/dead");
        assert_eq!(refused, method != Method::GET || of_the_operator, "{method} {path} {answer:?}");
        if of_the_operator {
            let answer = served.ask(method, &path, Some(&admin), None).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path}");
        }
    }
    let made = served.ask(Method::POST, "/v1/tenants", Some(&admin), Some(&json!({ "name": "b" }))).await;
    assert_eq!(made.status, StatusCode::FORBIDDEN);
    world.tenant("b").await;
    let listed = served.ask(Method::GET, "/v1/tenants", Some(&reader), None).await;
    assert_eq!(listed.body["tenants"].as_array().unwrap().len(), 1, "its own only");
    assert_eq!(served.get("/v1/tenants").await.body["tenants"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn the_description_and_the_front_page_need_no_key_and_name_every_operation() {
    let world = World::new("access_open").await;
    let served = world.serve(FakeProbe::Works).await;
    let document = served.ask(Method::GET, "/v1/openapi.json", None, None).await;
    assert!(document.body["openapi"].as_str().unwrap().starts_with("3.1"), "{document:?}");
    let page = served.ask(Method::GET, "/", None, None).await;
    assert!(page.body.as_str().unwrap().contains("/v1/tenants/{tenant}/tickets/{ticket}"));
    let nowhere = served.get("/v1/nowhere").await;
    assert_eq!(
        (nowhere.status, nowhere.body["code"].as_str()),
        (StatusCode::NOT_FOUND, Some("no_such_operation"))
    );
    let method = served.ask(Method::DELETE, "/v1/tenants", None, None).await;
    assert_eq!(method.status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn the_operators_key_is_made_once_and_its_secret_is_not_stored() {
    let world = World::new("operator_key").await;
    let file = world.directory.join("operator.key");
    let ensure = async || refrain_scheduler::operator_key::ensure(&world.control, &file).await;
    ensure().await.unwrap();
    let key = std::fs::read_to_string(&file).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    ensure().await.unwrap();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), key);
    assert_eq!(world.value("SELECT count(*) FROM api_keys").await, "1");
    let secret = key.trim().rsplit_once('_').unwrap().1.to_owned();
    assert!(!world.value("SELECT k::text FROM api_keys k").await.contains(&secret));
    // A fresh database with the old file goes on with the same key.
    world.sql("DELETE FROM api_keys").await;
    ensure().await.unwrap();
    let served = world.serve(FakeProbe::Works).await;
    assert_eq!(served.operator, key.trim());
    assert_eq!(served.get("/v1/tenants").await.status, StatusCode::OK);
}
