//! Orgs that move to another instance, are copied anew, or have a wrong clock.

use reqwest::redirect::Policy;
use serde_json::{Value, json};

use crate::support::{Sim, read};

async fn tokens(sim: &Sim) -> Value {
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", &sim.org.client_id),
        ("client_secret", &sim.org.client_secret),
    ];
    sim.token_request(&form).await.1
}

#[tokio::test]
async fn an_org_that_moved_is_found_by_a_new_login() {
    for (old, status) in [("no_route", 420), ("not_owned", 400)] {
        let mut sim = Sim::start().await;
        let moved = sim.control("/move", json!({"old": old})).await;
        assert_eq!(sim.get("/services/data/v66.0/").await.0, status, "{old}");
        let fresh = tokens(&sim).await;
        assert_eq!(fresh["instance_url"], moved["http"], "a login hands out the new address");
        sim.token = fresh["access_token"].as_str().unwrap().to_owned();
        let url = format!("{}/services/data/v66.0/limits", moved["http"].as_str().unwrap());
        let at_home = sim.http.get(&url).bearer_auth(&sim.token).send().await.unwrap();
        assert_eq!(at_home.status(), 200);
        assert_eq!(sim.get("/services/data/v66.0/").await.0, status, "the old address stays as it is");
    }
}

#[tokio::test]
async fn a_redirect_keeps_path_and_parameters() {
    let sim = Sim::start().await;
    let moved = sim.control("/move", json!({"old": "redirect"})).await;
    let client = reqwest::Client::builder().redirect(Policy::none()).build().unwrap();
    let path = "/services/data/v66.0/query?q=SELECT+Id+FROM+Case";
    let answer = client.get(sim.url(path)).bearer_auth(&sim.token).send().await.unwrap();
    let location = answer.headers()["location"].to_str().unwrap();
    assert_eq!(location, format!("{}{path}", moved["http"].as_str().unwrap()));
}

#[tokio::test]
async fn a_refreshed_sandbox_is_another_org_behind_the_same_credentials() {
    let mut sim = Sim::start().await;
    let old = sim.org.clone();
    let case = "SELECT Id FROM Case ORDER BY Id LIMIT 1";
    let first = sim.query(case).await;
    let entry = sim.control("/refresh-sandbox", json!({})).await;
    assert_ne!(entry["org_id"], old.org_id);
    assert_eq!(entry["client_id"], old.client_id);
    assert_eq!(sim.get("/services/data/v66.0/").await.0, 401, "the old org's sessions are gone");
    let fresh = tokens(&sim).await;
    assert!(fresh["id"].as_str().unwrap().contains(entry["org_id"].as_str().unwrap()));
    sim.token = fresh["access_token"].as_str().unwrap().to_owned();
    assert_eq!(sim.query(case).await, first, "records are a copy");
}

#[tokio::test]
async fn an_orgs_clock_can_be_wrong() {
    let sim = Sim::start().await;
    let date = async || {
        let answer = sim.request("/services/data/v66.0/limits").send().await.unwrap();
        let text = answer.headers()["date"].to_str().unwrap().to_owned();
        salesforce_sim::time::parse_http_date(&text).unwrap()
    };
    let right = date().await;
    sim.control("/clock", json!({"skew_ms": 600_000})).await;
    let ahead = date().await - right;
    assert!((600_000..630_000).contains(&ahead), "{ahead}");
    sim.control("/clock", json!({"skew_ms": -600_000})).await;
    let behind = right - date().await;
    assert!((590_000..=600_000).contains(&behind), "{behind}");
    let case = sim.insert("Case", json!({"Subject": "stamped by the wrong clock"})).await;
    let page = sim.query(&format!("SELECT SystemModstamp FROM Case WHERE Id = '{case}'")).await;
    let stamp = page["records"][0]["SystemModstamp"].as_str().unwrap();
    assert!(salesforce_sim::time::parse_instant(stamp).unwrap() < right - 580_000, "{stamp}");
}

#[tokio::test]
async fn a_stamp_can_lie_in_the_future() {
    let sim = Sim::start().await;
    let other = json!({"object": "Case", "fields": {"Subject": "x"}, "stamp": "2099-01-01T00:00:00Z"});
    sim.control("/records", other).await;
    let future = sim.count("SELECT COUNT() FROM Case WHERE SystemModstamp > 2098-01-01T00:00:00Z").await;
    assert_eq!(future, 1, "a stamp in the future is seen");
}

#[tokio::test]
async fn a_release_brings_a_new_version() {
    let sim = Sim::start().await;
    assert_eq!(sim.get("/services/data/v68.0/").await.0, 404);
    sim.control("/release", json!({"version": 68})).await;
    assert_eq!(sim.get("/services/data/v68.0/").await.0, 200);
    let list = read(sim.http.get(sim.url("/services/data/")).send().await.unwrap()).await.1;
    let last = list.as_array().unwrap().last().unwrap();
    assert_eq!((&last["version"], &last["label"]), (&json!("68.0"), &json!("Winter '27")));
}
