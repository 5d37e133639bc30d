//! What is deployed fits the programs: metrics that are watched are exported, probes ask what is answered, and the
//! configuration has keys that are read.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use architecture::root;

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// All files below a folder with this ending.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            found.extend(files(&entry, ending));
        } else if entry.extension().is_some_and(|own| own == ending) {
            found.push(entry);
        }
    }
    found
}

/// The words of a text that begin like our metrics.
fn metrics_of(text: &str) -> BTreeSet<String> {
    let is_word = |c: char| c.is_ascii_lowercase() || c == '_';
    text.match_indices("sync_")
        .filter(|(place, _)| !text[..*place].ends_with(is_word))
        .map(|(place, _)| text[place..].chars().take_while(|c| is_word(*c)).collect())
        .collect()
}

/// Every metric that is declared, and for a histogram the series it is exported as.
fn exported() -> BTreeSet<String> {
    let names = read("shared/src/telemetry/names.rs");
    let (_, entries) = names.split_once("\nmetrics! {").unwrap();
    let lines = entries.lines().filter(|line| line.contains(" = \"sync_"));
    lines
        .flat_map(|line| {
            let name = line.split('"').nth(1).unwrap();
            let endings: &[&str] =
                if line.contains(", Histogram,") { &["_bucket", "_sum", "_count"] } else { &[""] };
            endings.iter().map(move |ending| format!("{name}{ending}"))
        })
        .collect()
}

#[test]
fn every_metric_that_is_watched_is_exported() {
    let exported = exported();
    let mut watched = BTreeSet::new();
    for file in files(&root().join("deploy"), "json").iter().chain(&files(&root().join("deploy"), "yaml")) {
        let found = metrics_of(&std::fs::read_to_string(file).unwrap());
        let missing: Vec<_> = found.difference(&exported).collect();
        assert!(missing.is_empty(), "{}: {missing:?}", file.display());
        watched.extend(found);
    }
    for wanted in ["sync_jobs_runnable_count", "sync_jobs_oldest_due_seconds", "sync_jobs_parked_count"] {
        assert!(watched.contains(wanted), "nobody watches {wanted}");
    }
}

#[test]
fn series_are_found_in_queries() {
    let text = r#"rate(sync_api_time_seconds_bucket[1m]) + my_sync_thing{class="x"} / sync_b_total"#;
    assert_eq!(Vec::from_iter(metrics_of(text)), ["sync_api_time_seconds_bucket", "sync_b_total"]);
}

#[test]
fn the_deployed_configuration_has_keys_that_are_read_and_ports_that_are_probed() {
    let deployed: toml::Table = read("deploy/kubernetes/base/refrain.toml").parse().unwrap();
    let known: toml::Table = read("deploy/refrain.example.toml").parse().unwrap();
    for (section, keys) in &deployed {
        for key in keys.as_table().unwrap().keys() {
            assert!(known[section].get(key).is_some(), "{section}.{key}");
        }
    }
    assert_eq!(deployed["keys"]["create"].as_bool(), Some(false), "each pod would make a ring of its own");
    for (file, section) in [("scheduler", "http"), ("worker", "worker")] {
        let text = read(&format!("deploy/kubernetes/base/{file}.yaml"));
        let (_, port) = deployed[section]["listen"].as_str().unwrap().rsplit_once(':').unwrap();
        assert!(text.contains(&format!("containerPort: {port}")), "{file}");
        assert!(text.contains(&format!("prometheus.io/port: \"{port}\"")), "{file}");
        let answered = read("shared/src/telemetry/health.rs");
        for path in ["/livez", "/readyz", "/metrics"] {
            assert!(text.contains(path) && answered.contains(&format!("\"{path}\"")), "{file}: {path}");
        }
    }
    let dockerfile = read("deploy/Dockerfile");
    let version = read("Cargo.toml").parse::<toml::Table>().unwrap()["workspace"]["package"]["rust-version"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(dockerfile.contains(&format!("FROM rust:{version}-")), "built with Rust {version}");
}

/// With `kubectl` at hand everything is put together as a cluster would get it; without it that is said.
#[test]
fn the_manifests_are_put_together() {
    let overlay = root().join("target/tmp/overlay");
    std::fs::create_dir_all(&overlay).unwrap();
    let text = "resources: [../../../deploy/kubernetes/base]\ncomponents: [../../../deploy/kubernetes/components/autoscale]\n";
    std::fs::write(overlay.join("kustomization.yaml"), text).unwrap();
    let Ok(made) = Command::new("kubectl").args(["kustomize", overlay.to_str().unwrap()]).output() else {
        println!("SKIPPED: there is no kubectl here, so the manifests were not put together");
        return;
    };
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let made = String::from_utf8_lossy(&made.stdout).into_owned();
    for kind in ["Deployment", "Service", "PodDisruptionBudget", "ScaledObject", "ConfigMap"] {
        assert!(made.contains(&format!("kind: {kind}\n")), "{kind}");
    }
    assert!(made.contains("name: refrain-config-"), "a changed configuration rolls the programs");
}
