//! The allowance, concurrency, sizes, versions, and the simulator's own counting.

use serde_json::json;

use crate::support::{Sim, read};

const RESOURCES: &str = "/services/data/v66.0/";

#[tokio::test]
async fn calls_are_counted_and_the_allowance_ends() {
    let sim = Sim::start().await;
    let before = sim.control_get("/calls").await;
    assert_eq!((&before["api"], &before["token"]), (&json!(0), &json!(1)));
    sim.control("/limits", json!({"daily_max": 10, "used": 7})).await;
    let answer = sim.request(RESOURCES).send().await.unwrap();
    assert_eq!(answer.headers()["sforce-limit-info"], "api-usage=8/10");
    let limits = sim.get("/services/data/v66.0/limits").await.1;
    assert_eq!(limits["DailyApiRequests"], json!({"Max": 10, "Remaining": 1}));
    assert_eq!(sim.get(RESOURCES).await.0, 200);
    let (status, body) = sim.get(RESOURCES).await;
    assert_eq!((status, &body[0]["message"]), (403, &json!("TotalRequests Limit exceeded.")));
    assert_eq!(sim.get("/services/data/").await.0, 200, "the list of versions is free");
    assert_eq!(sim.control_get("/calls").await["api"], 3, "a refused call is not counted");
    sim.advance(24 * 3_600_000 + 300_000).await;
    let mut sim = sim;
    sim.token = sim.log_in().await;
    assert_eq!(sim.get(RESOURCES).await.0, 200, "the window has rolled on");
}

#[tokio::test]
async fn too_many_at_once_are_refused() {
    let sim = Sim::start().await;
    sim.control("/limits", json!({"concurrent_max": 1})).await;
    sim.fault(json!({"kind": "hold", "gate": "c"})).await;
    let second = async {
        sim.until("a request waits", async |sim| sim.control_get("/gates/c").await["waiting"] == 1).await;
        let refused = sim.get(RESOURCES).await;
        sim.http.post(format!("{}/gates/c/open", sim.running.ready.control)).send().await.unwrap();
        refused
    };
    let (first, (status, body)) = tokio::join!(sim.ask("SELECT Id FROM Case LIMIT 1"), second);
    assert_eq!(first.0, 200);
    assert_eq!(status, 403);
    assert_eq!(body[0]["message"], "ConcurrentRequests (Concurrent API Requests) Limit exceeded.");
    assert_eq!(sim.control_get("/calls").await["max_concurrent"], 2);
    assert_eq!(sim.get(RESOURCES).await.0, 200);
}

#[tokio::test]
async fn sizes_are_bounded() {
    let sim = Sim::start().await;
    let padding = "x".repeat(16_500);
    let answer = sim.request(&format!("{RESOURCES}?a={padding}")).send().await.unwrap();
    assert_eq!(answer.status(), 414);
    let answer = sim.request(RESOURCES).header("X-Padding", &padding).send().await.unwrap();
    assert_eq!(answer.status(), 431);
    let soql = format!("SELECT Id FROM Case WHERE Subject = '{}'", "x".repeat(100_000));
    let url = format!("/services/data/v66.0/query?q={}", soql.replace(' ', "+"));
    let part = json!({"compositeRequest": [{"method": "GET", "url": url, "referenceId": "long"}]});
    let sent = sim
        .http
        .post(sim.url("/services/data/v66.0/composite"))
        .bearer_auth(&sim.token)
        .json(&part)
        .send()
        .await;
    let body = &read(sent.unwrap()).await.1["compositeResponse"][0]["body"][0];
    assert_eq!(body["message"], "SOQL statements can not be longer than 100000 characters");
}

#[tokio::test]
async fn versions_and_paths_are_checked() {
    let sim = Sim::start().await;
    for (path, status) in [
        ("/services/data/v60.0/", 200),
        ("/services/data/v66.0", 200),
        ("/services/data/v31.0/", 200),
        ("/services/data/v30.0/", 410),
        ("/services/data/v68.0/", 404),
        ("/services/data/v66/", 404),
        ("/services/data/v66.0/nothing", 404),
        ("/services/data/v66.0/sobjects/Nope/describe", 404),
    ] {
        let (got, body) = sim.get(path).await;
        assert_eq!(got, status, "{path}");
        if status == 404 {
            assert_eq!(
                body,
                json!([{"errorCode": "NOT_FOUND", "message": "The requested resource does not exist"}])
            );
        }
    }
    let old = sim.request("/services/data/v40.0/").send().await.unwrap();
    assert!(old.headers()["warning"].to_str().unwrap().starts_with("299 - "));
    assert!(!sim.request("/services/data/v41.0/").send().await.unwrap().headers().contains_key("warning"));
    let answer =
        sim.http.get(sim.url(RESOURCES)).header("Authorization", "Bearer nonsense").send().await.unwrap();
    let (status, body) = read(answer).await;
    assert_eq!(
        (status, body),
        (401, json!([{"message": "Session expired or invalid", "errorCode": "INVALID_SESSION_ID"}]))
    );
    let answer = sim.http.get(sim.url(RESOURCES)).header("Authorization", "Digest x").send().await.unwrap();
    assert_eq!(read(answer).await.1[0]["errorCode"], "INVALID_AUTH_HEADER");
    let posted =
        sim.http.post(sim.url("/services/data/v66.0/query")).bearer_auth(&sim.token).send().await.unwrap();
    assert_eq!(posted.status(), 405);
}

#[tokio::test]
async fn dates_come_from_the_simulated_clock() {
    let sim = Sim::start().await;
    sim.advance(400 * 24 * 3_600_000).await;
    let answer = sim.http.get(sim.url("/services/data/")).send().await.unwrap();
    let date = answer.headers()["date"].to_str().unwrap();
    let clock = sim
        .http
        .get(format!("{}/clock", sim.running.ready.control))
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    let shown = salesforce_sim::time::parse_http_date(date).unwrap();
    let now = salesforce_sim::time::parse_instant(&clock[8..clock.len() - 2]).unwrap();
    assert!((0..120_000).contains(&(now - shown)), "{date} {clock}");
}

#[tokio::test]
async fn orgs_are_separate() {
    let sim = Sim::start().await;
    let url = format!("{}/orgs", sim.running.ready.control);
    let made = sim.http.post(&url).json(&json!({"cases": 30, "seed": 7})).send().await.unwrap();
    let (status, other) = read(made).await;
    assert_eq!(status, 200, "{other}");
    assert_ne!(other["org_id"], sim.org.org_id);
    let all = sim.http.get(&url).send().await.unwrap();
    assert_eq!(read(all).await.1.as_array().unwrap().len(), 2);
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", other["client_id"].as_str().unwrap()),
        ("client_secret", other["client_secret"].as_str().unwrap()),
    ];
    let (_, token) = sim.token_request(&form).await;
    let asked =
        sim.http.get(sim.url("/services/data/v66.0/query")).query(&[("q", "SELECT COUNT() FROM Case")]);
    let answer = asked.bearer_auth(token["access_token"].as_str().unwrap()).send().await.unwrap();
    assert!(read(answer).await.1["totalSize"].as_u64().unwrap() <= 30);
    assert_eq!(sim.control_get("/calls").await["api"], 0, "the other org was asked");
}
