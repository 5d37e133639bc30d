//! Every metric that is declared is emitted, as what it is declared to be and with the labels it is declared with.

use std::collections::BTreeSet;

use architecture::{root, rust_files};

const NAMES: &str = "shared/src/telemetry/names.rs";

/// A metric's constant, its kind as its macro is called, and its labels.
struct Declared {
    constant: String,
    kind: String,
    labels: BTreeSet<String>,
}

fn quoted(text: &str) -> BTreeSet<String> {
    text.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The entries of the declaring macro: `NAME = "text", Kind, ["label", …];`
fn declared() -> Vec<Declared> {
    let text = std::fs::read_to_string(root().join(NAMES)).unwrap();
    let (_, entries) = text.split_once("\nmetrics! {").unwrap();
    let (entries, _) = entries.split_once("\n}").unwrap();
    let lines = entries.lines().map(str::trim).filter(|line| line.contains(" = \""));
    lines
        .map(|line| {
            let (constant, rest) = line.split_once(" = ").unwrap();
            let (rest, labels) = rest.split_once('[').unwrap();
            let kind = rest.split(',').nth(1).unwrap().trim().to_lowercase();
            Declared { constant: constant.to_owned(), kind, labels: quoted(labels) }
        })
        .collect()
}

/// Whether `text` ends with the opening of the macro, the metric's path between it and the end.
fn opens(text: &str, kind: &str) -> bool {
    let before =
        text.trim_end_matches(|c: char| c.is_alphanumeric() || c == '_' || c == ':' || c.is_whitespace());
    before.ends_with(&format!("{kind}!("))
}

/// The labels of each emission of a metric in one file.
fn emissions(text: &str, metric: &Declared) -> Vec<BTreeSet<String>> {
    let name = format!("names::{}", metric.constant);
    let mut found = Vec::new();
    for (place, _) in text.match_indices(&name) {
        let after = &text[place + name.len()..];
        let longer = after.starts_with(|c: char| c.is_alphanumeric() || c == '_');
        if longer || !opens(&text[..place], &metric.kind) {
            continue;
        }
        let mut depth = 1;
        let end = after.find(|c| {
            depth += i32::from(c == '(') - i32::from(c == ')');
            depth == 0
        });
        let call = &after[..end.unwrap_or(after.len())];
        // What stands before an arrow is a label; other text is a value.
        let labels = call.match_indices("=>").filter_map(|(arrow, _)| {
            let label = call[..arrow].trim_end().strip_suffix('"')?;
            label.rsplit('"').next().map(str::to_owned)
        });
        found.push(labels.collect());
    }
    found
}

#[test]
fn every_declared_metric_is_emitted_with_its_labels() {
    let files: Vec<(String, String)> = ["shared/src", "scheduler/src", "worker/src"]
        .into_iter()
        .flat_map(rust_files)
        .filter(|(file, _)| file != NAMES)
        .collect();
    let declared = declared();
    assert!(declared.len() > 15, "the declarations are read");
    for metric in declared {
        let emitted: Vec<(&str, BTreeSet<String>)> = files
            .iter()
            .flat_map(|(file, text)| {
                emissions(text, &metric).into_iter().map(move |labels| (file.as_str(), labels))
            })
            .collect();
        assert!(
            !emitted.is_empty(),
            "{} is declared as a {} and emitted nowhere",
            metric.constant,
            metric.kind
        );
        for (file, labels) in emitted {
            assert_eq!(labels, metric.labels, "labels of {} in {file}", metric.constant);
        }
    }
}

#[test]
fn an_emission_is_found_by_its_macro_and_read_with_its_labels() {
    let metric =
        Declared { constant: "CALLS".to_owned(), kind: "counter".to_owned(), labels: BTreeSet::new() };
    let text = r#"metrics::counter!(crate::names::CALLS, "call" => kind("x"), "outcome" => "b").increment(1);
                  gauge!(names::CALLS); counter!(names::CALLS_MORE); use names::CALLS;"#;
    let labels = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(emissions(text, &metric), [labels(&["call", "outcome"])]);
}
