//! FAULTS.md holds: each call in its tables is accepted, and each test that it names is there.

use std::path::Path;

use reqwest::Client;
use serde_json::{Value, json};

use crate::support::{Sim, read};

const PAGE: &str = include_str!("../../../FAULTS.md");

struct Row {
    call: String,
    body: Value,
    test: String,
}

/// What stands between backticks.
fn code(cell: &str) -> String {
    let inner = cell.strip_prefix('`').and_then(|rest| rest.strip_suffix('`'));
    inner.unwrap_or_else(|| panic!("'{cell}' is no code")).to_owned()
}

/// The rows of the tables that have calls.
fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for line in PAGE.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [_, call, body, test] = cells[..] else { continue };
        if call == "Call" || call.starts_with("---") {
            continue;
        }
        let body = serde_json::from_str(&code(body)).unwrap_or_else(|why| panic!("{line}: {why}"));
        rows.push(Row { call: code(call), body, test: code(test) });
    }
    assert!(rows.len() > 60, "{} rows", rows.len());
    rows
}

fn sources(folder: &Path, all: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, all);
        } else {
            all.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
}

#[test]
fn every_test_that_the_page_names_is_there() {
    let mut all = String::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it"), &mut all);
    let missing: Vec<String> =
        rows().into_iter().map(|row| row.test).filter(|test| !all.contains(&format!("fn {test}("))).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[tokio::test]
async fn every_call_on_the_page_is_accepted() {
    let sim = Sim::start().await;
    let control = &sim.running.ready.control;
    let client = Client::new();
    let post = async |path: &str, body: &Value| {
        read(client.post(format!("{control}{path}")).json(body).send().await.unwrap()).await
    };
    for Row { call, body, .. } in rows() {
        // Each has an org of its own: some leave little of it.
        let org = post("/orgs", &json!({"cases": 3})).await.1;
        let org = org["org_id"].as_str().unwrap();
        let path = if call.starts_with('/') { call.clone() } else { format!("/orgs/{org}/{call}") };
        let (status, answer) = post(&path, &body).await;
        assert_eq!(status, 200, "{call} {body}: {answer}");
    }
}

#[tokio::test]
async fn a_fault_is_one_orgs_alone() {
    let sim = Sim::start().await;
    let made = sim
        .http
        .post(format!("{}/orgs", sim.running.ready.control))
        .json(&json!({"cases": 3}))
        .send()
        .await
        .unwrap();
    let other = read(made).await.1["org_id"].as_str().unwrap().to_owned();
    let fault = json!({"for_ms": 60_000, "fault": {"kind": "status", "status": 500}});
    let planted = format!("{}/orgs/{other}/faults", sim.running.ready.control);
    sim.http.post(planted).json(&fault).send().await.unwrap();
    assert_eq!(sim.ask("SELECT Id FROM Case LIMIT 1").await.0, 200);
    sim.control("/faults", fault).await;
    assert_eq!(sim.ask("SELECT Id FROM Case LIMIT 1").await.0, 500);
}

#[tokio::test]
async fn a_scenario_plants_faults_at_the_start_and_later() {
    let steps = json!({"steps": [
        {"post": "faults", "body": {"match": {"path": "/query"}, "fault": {"kind": "status", "status": 503}}},
        {"after_ms": 60_000, "org": 1, "post": "faults",
         "body": {"match": {"path": "/limits"}, "for_ms": 60_000, "fault": {"kind": "status", "status": 502}}},
    ]});
    let file = std::env::temp_dir().join(format!("scenario-{}-faults.json", std::process::id()));
    std::fs::write(&file, steps.to_string()).unwrap();
    let steps = salesforce_sim::scenario::read(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    let sim = Sim::with_steps(steps).await;
    let limits = async |sim: &Sim| sim.get("/services/data/v66.0/limits").await.0;
    assert_eq!(sim.ask("SELECT Id FROM Case LIMIT 1").await.0, 503);
    assert_eq!((sim.ask("SELECT Id FROM Case LIMIT 1").await.0, limits(&sim).await), (200, 200));
    sim.advance(60_000).await;
    sim.until("the later step is done", async |sim| limits(sim).await == 502).await;
}
