//! Who may import whom.

use architecture::rust_files;

/// Modules of `shared` that hold values and decisions only.
const CORE: &[&str] = &[
    "audit",
    "catalog",
    "clock",
    "error",
    "freshness",
    "ids",
    "job",
    "limits",
    "privacy",
    "record",
    "retention",
    "secret",
    "tenant",
    "ticket",
];
/// Modules of `shared` that own one outside world each.
const EDGES: &[&str] = &["config", "crypto", "queue", "salesforce", "storage", "telemetry"];
/// Edges that may use another: sealing stands below storage, and storage implements the client's ports.
const ALLOWED: &[(&str, &str)] = &[("storage", "crypto"), ("storage", "salesforce")];

fn module_of(file: &str) -> String {
    let rest = file.strip_prefix("shared/src/").unwrap_or(file);
    let first = rest.split('/').next().unwrap_or(rest);
    first.trim_end_matches(".rs").trim_end_matches("_test").to_owned()
}

fn uses(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| line.starts_with("use ") || line.starts_with("pub use "))
}

#[test]
fn core_does_no_io() {
    for (file, text) in rust_files("shared/src") {
        if !CORE.contains(&module_of(&file).as_str()) {
            continue;
        }
        for line in uses(&text) {
            let named = line.trim_start_matches("pub ").trim_start_matches("use ");
            for outside in ["tokio", "sqlx", "reqwest", "lapin", "deadpool", "tokio_postgres", "axum"] {
                assert!(!named.starts_with(outside), "{file}: core imports {outside}: {line}");
            }
            for edge in EDGES {
                assert!(
                    !named.starts_with(&format!("crate::{edge}")),
                    "{file}: core imports an edge: {line}"
                );
            }
        }
    }
}

#[test]
fn edges_do_not_import_each_other() {
    for (file, text) in rust_files("shared/src") {
        let module = module_of(&file);
        if !EDGES.contains(&module.as_str()) {
            continue;
        }
        for line in uses(&text) {
            for other in EDGES.iter().filter(|edge| **edge != module && **edge != "telemetry") {
                let allowed = ALLOWED.contains(&(module.as_str(), other));
                assert!(allowed || !line.contains(&format!("crate::{other}")), "{file}: {line}");
            }
        }
    }
}

#[test]
fn scheduler_and_worker_meet_in_the_database_only() {
    for (own, other) in [("scheduler", "refrain_worker"), ("worker", "refrain_scheduler")] {
        for (file, text) in rust_files(own) {
            assert!(!text.contains(other), "{file} names {other}");
        }
    }
}

#[test]
fn sql_stands_in_storage_only() {
    for folder in ["shared/src", "scheduler/src", "worker/src"] {
        for (file, text) in rust_files(folder) {
            let in_storage = file.starts_with("shared/src/storage");
            let words = ["INSERT INTO ", "DELETE FROM ", "UPDATE jobs", "FROM records", "FROM tickets"];
            for word in words {
                assert!(in_storage || !text.contains(word), "{file}: SQL outside storage: {word}");
            }
        }
    }
}
