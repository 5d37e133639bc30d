//! Reading a whole object by (stamp, Id) while it changes.

use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};

use crate::support::{Sim, small};

fn next_condition(last: Option<&(String, String)>, hi: &str) -> String {
    match last {
        None => format!("SystemModstamp < {hi}"),
        Some((stamp, id)) => format!(
            "SystemModstamp >= {stamp} AND (SystemModstamp > {stamp} OR Id > '{id}') AND SystemModstamp < {hi}"
        ),
    }
}

fn literal(record: &Value) -> (String, String) {
    let stamp = record["SystemModstamp"].as_str().unwrap().replace("+0000", "Z");
    (stamp, record["Id"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn every_record_is_read_exactly_once_while_edits_happen() {
    let sim = Sim::with(salesforce_sim::OrgOptions { cases: 400, ..small() }).await;
    sim.control("/mass-update", json!({"object": "Case", "count": 250, "fields": {"Reason": "Other"}})).await;
    sim.advance(10_000).await;
    let clock = sim.http.get(format!("{}/clock", sim.running.ready.control)).send().await.unwrap();
    let now: Value = serde_json::from_str(&clock.text().await.unwrap()).unwrap();
    let hi = format!("{}Z", &now["now"].as_str().unwrap()[..19]);
    sim.advance(10_000).await;
    let before: HashMap<String, String> = stamps(&sim.truth("/truth/Case").await);
    let mut read: Vec<String> = Vec::new();
    let mut last = None;
    loop {
        let condition = next_condition(last.as_ref(), &hi);
        let soql = format!(
            "SELECT Id, SystemModstamp FROM Case WHERE {condition} ORDER BY SystemModstamp, Id LIMIT 60"
        );
        let page = sim.query_all(&soql).await;
        let records = page["records"].as_array().unwrap();
        let Some(final_record) = records.last() else { break };
        last = Some(literal(final_record));
        read.extend(records.iter().map(|record| literal(record).1));
        sim.control("/edits", json!({"count": 15, "seed": read.len()})).await;
    }
    let unique: HashSet<&String> = read.iter().collect();
    assert_eq!(unique.len(), read.len(), "no record twice");
    let after = stamps(&sim.truth("/truth/Case").await);
    let untouched = before.iter().filter(|(id, stamp)| after.get(*id) == Some(stamp)).map(|(id, _)| id);
    let missing: Vec<&String> = untouched.filter(|id| !unique.contains(id)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

fn stamps(truth: &[Value]) -> HashMap<String, String> {
    let text = |record: &Value, key: &str| record[key].as_str().unwrap().to_owned();
    truth.iter().map(|record| (text(record, "Id"), text(record, "stamp"))).collect()
}

#[tokio::test]
async fn backwards_keysets_meet_the_forward_ones() {
    let sim = Sim::with(salesforce_sim::OrgOptions { cases: 300, ..small() }).await;
    let soql = |order: &str| format!("SELECT Id FROM CaseHistory ORDER BY CreatedDate {order}, Id {order}");
    let forward = crate::support::ids(&sim.query(&soql("ASC")).await);
    let mut backward = Vec::new();
    let mut condition = String::new();
    loop {
        let asked = format!(
            "SELECT Id, CreatedDate FROM CaseHistory {condition} ORDER BY CreatedDate DESC, Id DESC LIMIT 150"
        );
        let page = sim.query(&asked).await;
        let records = page["records"].as_array().unwrap();
        let Some(last) = records.last() else { break };
        let at = last["CreatedDate"].as_str().unwrap().replace("+0000", "Z");
        let id = last["Id"].as_str().unwrap();
        condition = format!("WHERE (CreatedDate < {at} OR (CreatedDate = {at} AND Id < '{id}'))");
        backward.extend(crate::support::ids(&page));
    }
    backward.reverse();
    assert_eq!(backward, forward);
}
