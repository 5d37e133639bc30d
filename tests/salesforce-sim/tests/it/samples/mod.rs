//! Answers compared with recorded ones, when a folder of those is given by `SALESFORCE_SAMPLES`.
//!
//! [`ledger`] says for each file which test compares it. [`hold`] compares shapes: keys and their order, kinds of values.
//! What differs on purpose stands in [`differences`] and, for people, in DIFFERENCES.md.

mod answers;
mod describes;
mod differences;
mod errors;
mod fields;
mod ledger;
mod node;
mod queries;
mod statements;
mod tokens;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::Sim;
use node::{Node, Order};

/// The folder, or a loud note that the test did nothing.
fn folder(test: &str) -> Option<PathBuf> {
    let found = std::env::var_os("SALESFORCE_SAMPLES").map(PathBuf::from).filter(|path| path.is_dir());
    if found.is_none() {
        eprintln!("SKIPPED {test}: set SALESFORCE_SAMPLES to a folder of recorded answers to run it");
    }
    found
}

fn text(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join(name)).unwrap_or_else(|why| panic!("{name}: {why}"))
}

fn sample(folder: &Path, name: &str) -> Value {
    serde_json::from_str(&text(folder, name)).unwrap_or_else(|why| panic!("{name}: {why}"))
}

/// The recorded body of the exchange of that number in a file.
fn body(folder: &Path, name: &str, number: usize) -> String {
    let all = sample(folder, name);
    let exchange = all.get(number).unwrap_or(&all);
    exchange["response"]["body"].as_str().unwrap_or_else(|| panic!("{name} has no body {number}")).to_owned()
}

fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().expect("an object").keys().map(String::as_str).collect()
}

/// Every recorded key is there; ours may be newer.
fn assert_covers(ours: &Value, recorded: &Value, what: &str) {
    let missing: Vec<&str> = keys(recorded).difference(&keys(ours)).copied().collect();
    assert!(missing.is_empty(), "{what} lacks {missing:?}");
}

/// Holds our answer against a recorded one: it differs in what is meant to differ, and in nothing else.
fn hold(label: &str, ours: &str, recorded: &str, order: Order) {
    hold_nodes(label, &Node::parse(ours), &Node::parse(recorded), order);
}

fn hold_nodes(label: &str, ours: &Node, recorded: &Node, order: Order) {
    let found: BTreeSet<String> = node::differences(ours, recorded, order).into_iter().collect();
    let meant = differences::of(label);
    assert_eq!(found, meant, "{label}: what differs (left) is not what is meant to differ (right)");
}

/// Holds what both have of an object whose keys differ from org to org.
fn hold_common(label: &str, ours: &str, recorded: &str, at_least: usize) {
    let (ours, recorded) = (Node::parse(ours), Node::parse(recorded));
    let common: Vec<&str> = ours.keys().into_iter().filter(|key| recorded.keys().contains(key)).collect();
    assert!(common.len() >= at_least, "{label}: {} keys: {common:?}", common.len());
    for key in common {
        hold_nodes(&format!("{label}.{key}"), ours.at(key), recorded.at(key), Order::Free);
    }
}

/// The body of our answer as text.
async fn answer(sim: &Sim, path: &str) -> String {
    sim.request(path).send().await.expect("an answer").text().await.expect("a body")
}

/// The body of our answer to a query as text.
async fn asked(sim: &Sim, soql: &str) -> String {
    let answer = sim.query_request("query", soql).send().await.expect("an answer");
    let (status, text) = (answer.status(), answer.text().await.expect("a body"));
    assert_eq!(status, 200, "{soql}: {text}");
    text
}
