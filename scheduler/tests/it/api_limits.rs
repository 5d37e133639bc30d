//! What tenants allow in their orgs: seen, changed, and in force at once, the strictest of all connections.

use refrain_shared::ids::SalesforceId;
use refrain_shared::storage::dispatch::jobs_reconcile;
use refrain_shared::storage::gates::{GateSubject, gate_close};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::world::{FakeProbe, ORG, Served, World};

async fn set(served: &Served, path: &str, limits: Value) -> Value {
    let answer = served.ask(Method::PUT, path, Some(&served.operator), Some(&limits)).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    assert_eq!(answer.body["wanted"], limits);
    answer.body["in_force"].clone()
}

#[tokio::test]
async fn the_strictest_of_an_orgs_connections_holds_for_all_of_them() {
    let world = World::new("limits_strictest").await;
    let served = world.serve(FakeProbe::Works).await;
    let (a, b) = (world.tenant("a").await, world.tenant("b").await);
    let (mine, theirs) = (world.connection(&a).await, world.connection(&b).await);
    jobs_reconcile(&world.db).await.unwrap();
    let path = |scope: &refrain_shared::tenant::TenantScope, connection| {
        format!("/v1/tenants/{}/connections/{connection}/limits", scope.tenant())
    };
    let (mine, theirs) = (path(&a, mine), path(&b, theirs));
    let shown = served.get(&mine).await.body;
    let defaults = json!({"lanes": 4, "calls_per_second": null, "share_percent": 25, "cap_percent": 50,
                          "reserve_percent": 10});
    assert_eq!((&shown["wanted"], &shown["in_force"]), (&json!({}), &defaults));
    assert_eq!((&shown["now"]["calls_used"], &shown["now"]["calls_allowed"]), (&json!(0), &json!(7500)));

    let more = json!({"lanes": 8, "calls_per_second": 5, "share_percent": 40, "reserve_percent": 5});
    assert_eq!(
        set(&served, &mine, more).await,
        json!({"lanes": 4, "calls_per_second": 5, "share_percent": 40, "cap_percent": 65, "reserve_percent": 10}),
        "the other connection's defaults are stricter, and its share comes on top"
    );
    let other = json!({"lanes": 6, "calls_per_second": 9, "share_percent": 50, "cap_percent": 60,
                       "reserve_percent": 20});
    let both = json!({"lanes": 6, "calls_per_second": 5, "share_percent": 50, "cap_percent": 60,
                      "reserve_percent": 20});
    assert_eq!(set(&served, &theirs, other).await, both);
    let seen = served.get(&mine).await.body["in_force"].take();
    assert_eq!(
        seen,
        json!({"lanes": 6, "calls_per_second": 5, "share_percent": 40, "cap_percent": 60,
                            "reserve_percent": 20}),
        "for both of them, but for the share"
    );

    // A connection that is gone binds nobody; the reconciler sees to that.
    world.sql("UPDATE connections SET state = 'revoked' WHERE limits->>'reserve_percent' = '20'").await;
    jobs_reconcile(&world.db).await.unwrap();
    let alone = json!({"lanes": 8, "calls_per_second": 5, "share_percent": 40, "cap_percent": 40,
                       "reserve_percent": 5});
    assert_eq!(served.get(&mine).await.body["in_force"], alone);
    let defaults = json!({"lanes": 4, "calls_per_second": null, "share_percent": 25, "cap_percent": 25,
                          "reserve_percent": 10});
    assert_eq!(set(&served, &mine, json!({})).await, defaults);
}

#[tokio::test]
async fn a_raised_share_opens_the_gate_of_a_spent_budget_at_once() {
    let world = World::new("limits_raised").await;
    let served = world.serve(FakeProbe::Works).await;
    let scope = world.tenant("a").await;
    let connection = world.connection(&scope).await;
    jobs_reconcile(&world.db).await.unwrap();
    world.sql("UPDATE org_limits SET settings = '{\"assumed_daily\": 60}'").await;
    let org = SalesforceId::parse(ORG).unwrap();
    gate_close(&world.db, GateSubject::Org(org), "budget", Some(3600.0)).await.unwrap();
    let path = format!("/v1/tenants/{}/connections/{connection}/limits", scope.tenant());
    set(&served, &path, json!({"share_percent": 30})).await;
    assert_eq!(world.value("SELECT count(*) FROM gates").await, "1", "18 calls are less than a block");
    set(&served, &path, json!({"share_percent": 50})).await;
    assert_eq!(world.value("SELECT count(*) FROM gates").await, "0");
}

#[tokio::test]
async fn limits_out_of_bounds_are_refused_with_their_bounds() {
    let world = World::new("limits_bounds").await;
    let served = world.serve(FakeProbe::Works).await;
    let scope = world.tenant("a").await;
    let connection = world.connection(&scope).await;
    let path = format!("/v1/tenants/{}/connections/{connection}/limits", scope.tenant());
    for (body, part) in [(json!({"lanes": 0}), "lanes from 1 to 20"), (json!({"lane": 1}), "lane")] {
        let answer = served.ask(Method::PUT, &path, Some(&served.operator), Some(&body)).await;
        assert!(answer.status.is_client_error(), "{answer:?}");
        assert!(answer.body.to_string().contains(part), "{answer:?}");
    }
    assert_eq!(world.value("SELECT limits FROM connections").await, "{}");
}
