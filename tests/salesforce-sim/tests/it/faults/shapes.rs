//! Answers that are no JSON, or JSON of the wrong shape, or with values from the edge.

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::support::{Sim, read};

const SOQL: &str = "SELECT Id, Subject, CreatedDate FROM Case LIMIT 20";

async fn text(sim: &Sim, fault: Value) -> (String, String) {
    sim.fault(fault).await;
    let answer = sim.query_request("query", SOQL).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let content_type = answer.headers()["content-type"].to_str().unwrap().to_owned();
    let bytes = answer.bytes().await.unwrap();
    (content_type, String::from_utf8_lossy(&bytes).into_owned())
}

async fn shaped(sim: &Sim, how: &str) -> Value {
    let (_, body) = text(sim, json!({"kind": "shape", "how": how})).await;
    serde_json::from_str(&body).unwrap_or_else(|why| panic!("{how}: {why}"))
}

#[tokio::test]
async fn an_answer_can_be_dressed_as_something_else() {
    let sim = Sim::start().await;
    let dressed = async |how: &str| text(&sim, json!({"kind": "disguise", "how": how})).await;
    let (content_type, body) = dressed("byte_order_mark").await;
    assert!(content_type.starts_with("application/json") && body.starts_with("\u{feff}{"));
    let (content_type, _) = dressed("utf16").await;
    assert!(content_type.ends_with("UTF-16"));
    let (content_type, body) = dressed("wrong_charset").await;
    assert!(content_type.ends_with("ISO-8859-1") && serde_json::from_str::<Value>(&body).is_ok());
    let (content_type, body) = dressed("xml").await;
    assert!(content_type.starts_with("application/xml") && body.contains("<QueryResult><totalSize>20"));
    let (content_type, body) = dressed("login_page").await;
    assert!(content_type.starts_with("text/html") && body.contains("Login | Salesforce"));
}

#[tokio::test]
async fn pages_have_every_wrong_shape() {
    let sim = Sim::start().await;
    assert_eq!(shaped(&sim, "null_records").await["records"], Value::Null);
    assert_eq!(shaped(&sim, "wrong_total").await["totalSize"], 1_234_567);
    let page = shaped(&sim, "no_next_url").await;
    assert_eq!((&page["done"], page.get("nextRecordsUrl")), (&json!(false), None));
    let foreign = shaped(&sim, "foreign_next_url").await;
    assert!(foreign["nextRecordsUrl"].as_str().unwrap().starts_with("https://collector.example.com/"));
    let other = shaped(&sim, "other_next_url").await;
    assert!(other["nextRecordsUrl"].as_str().unwrap().starts_with("/services/oauth2/"));
    let bare = shaped(&sim, "no_attributes").await;
    assert!(bare["records"].as_array().unwrap().iter().all(|record| record.get("attributes").is_none()));
    assert_eq!(bare["records"].as_array().unwrap().len(), 20);
    let twice = text(&sim, json!({"kind": "shape", "how": "duplicate_keys"})).await.1;
    let first = twice.split("},{").next().unwrap();
    assert_eq!(first.matches("\"Id\":").count(), 2, "{first}");
    let deep = text(&sim, json!({"kind": "shape", "how": "deep_nesting"})).await.1;
    assert!(deep.contains(&"[".repeat(100_000)));
    assert!(text(&sim, json!({"kind": "shape", "how": "huge_number"})).await.1.contains(":1e400"));
    assert!(text(&sim, json!({"kind": "shape", "how": "huge_text"})).await.1.len() > 50_000_000);
    sim.control("/limits", json!({"page_rows": 5})).await;
    let early = shaped(&sim, "done_too_early").await;
    assert!(early["done"] == true && early["nextRecordsUrl"].is_string());
}

#[tokio::test]
async fn a_seed_gives_as_many_malformed_answers_as_are_wanted() {
    let sim = Sim::start().await;
    let truth = text(&sim, json!({"kind": "delay", "ms": 0})).await.1;
    let body = json!({"match": {"path": "/query"}, "times": 300, "fault": {"kind": "mutate", "seed": 11}});
    sim.control("/faults", body).await;
    let mut different = HashSet::new();
    for _ in 0..300 {
        let answer = sim.query_request("query", SOQL).send().await.unwrap();
        different.insert(answer.text().await.unwrap());
    }
    assert!(different.len() > 250, "{} different answers", different.len());
    assert!(!different.contains(&truth));
}

#[tokio::test]
async fn a_value_can_be_anything_that_bytes_can_say() {
    let sim = Sim::start().await;
    for json in [
        "\"a\\u0000b\"",
        "\"\\ud800\"",
        "\"\\uffff\"",
        "-0.0",
        "1e308",
        "1e400",
        "\"NaN\"",
        "\"true\"",
        "123456789012345678.25",
        "\"1700-01-01T00:00:00.000+0000\"",
        "\"4000-12-31T23:59:59.000+0000\"",
        "{\"latitude\":0.0,\"longitude\":-0.0}",
    ] {
        let body = text(&sim, json!({"kind": "raw_value", "field": "Subject", "json": json})).await.1;
        assert_eq!(body.matches(&format!("\"Subject\":{json}")).count(), 1, "{json}");
    }
    let missing: Value =
        serde_json::from_str(&text(&sim, json!({"kind": "raw_value", "field": "Subject"})).await.1).unwrap();
    let without = missing["records"].as_array().unwrap().iter().filter(|one| one.get("Subject").is_none());
    assert_eq!(without.count(), 1, "missing is not null");
    sim.fault(json!({"kind": "raw_value", "field": "Subject", "hex": "22 c3 28 ed a0 80 ff 22"})).await;
    let bytes = sim.query_request("query", SOQL).send().await.unwrap().bytes().await.unwrap();
    assert!(std::str::from_utf8(&bytes).is_err(), "invalid UTF-8 on the wire");
}

#[tokio::test]
async fn hostile_texts_come_back_as_they_went_in() {
    let sim = Sim::start().await;
    let long = "長".repeat(32_000);
    for text in [
        "a\u{0}b",
        "\u{202e}evil\u{202c}",
        "e\u{301}\u{323}",
        "\u{1f469}\u{200d}\u{1f4bb}",
        "line\r\nline\rline\n",
        "\u{ffff}",
        "<script>alert(1)</script>",
        long.as_str(),
    ] {
        let id = sim.insert("Case", json!({"Description": text})).await;
        let page = sim.query(&format!("SELECT Description FROM Case WHERE Id = '{id}'")).await;
        assert_eq!(page["records"][0]["Description"], text);
    }
}

#[tokio::test]
async fn ids_can_be_short_and_differ_by_case_alone() {
    let sim = Sim::with(salesforce_sim::OrgOptions { cases: 300, ..crate::support::small() }).await;
    sim.fault(json!({"kind": "short_ids"})).await;
    let page = sim.query(SOQL).await;
    let record = &page["records"][0];
    assert_eq!(record["Id"].as_str().unwrap().len(), 15);
    assert!(record["attributes"]["url"].as_str().unwrap().contains(record["Id"].as_str().unwrap()));
    let all = sim.query("SELECT Id FROM Case").await;
    let ids: Vec<String> = crate::support::ids(&all).iter().map(|id| id[..15].to_owned()).collect();
    let folded: HashSet<String> = ids.iter().map(|id| id.to_lowercase()).collect();
    assert!(folded.len() < ids.len(), "some ids differ by case only");
}

#[tokio::test]
async fn a_redirect_leads_wherever_it_likes() {
    let sim = Sim::start().await;
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    for (path, status) in [("/services/data/v66.0/limits", 301), ("/services/oauth2/token?x=1", 307)] {
        let fault = json!({"kind": "redirect", "status": status, "to": "https://elsewhere.example.com/"});
        let matches = json!({"path": path.split('?').next().unwrap()});
        sim.control("/faults", json!({"match": matches, "fault": fault})).await;
        let form = [("client_id", &sim.org.client_id)];
        let request = if status == 301 {
            client.get(sim.url(path)).bearer_auth(&sim.token)
        } else {
            client.post(sim.url(path)).form(&form)
        };
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status);
        assert_eq!(answer.headers()["location"], format!("https://elsewhere.example.com{path}"));
        assert!(!answer.headers().contains_key("sforce-limit-info"));
        assert_eq!(read(answer).await.1, Value::Null);
    }
}
