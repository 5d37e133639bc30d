//! What may come in from outside; `.deny.toml` says the same for cargo-deny.

use architecture::root;

fn locked() -> Vec<(String, String)> {
    let text = std::fs::read_to_string(root().join("Cargo.lock")).unwrap();
    let lock: toml::Table = text.parse().unwrap();
    let text_of = |package: &toml::Value, key: &str| {
        package.get(key).and_then(toml::Value::as_str).unwrap_or_default().to_owned()
    };
    lock["package"]
        .as_array()
        .unwrap()
        .iter()
        .map(|package| (text_of(package, "name"), text_of(package, "source")))
        .collect()
}

/// What is really built for this machine; the lock file also lists what no feature of ours switches on.
fn built() -> Vec<String> {
    let output = std::process::Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--locked", "--workspace", "--prefix", "none", "--format", "{p}"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .filter_map(|line| line.split_whitespace().next().map(str::to_owned))
        .collect()
}

#[test]
fn one_tls_provider_and_no_openssl() {
    let built = built();
    assert!(built.iter().any(|name| name == "aws-lc-rs"), "the list is empty or not what it should be");
    // Two providers in one program make rustls panic at its first use.
    for name in built {
        assert!(!["ring", "openssl", "openssl-sys", "native-tls"].contains(&name.as_str()), "{name} came in");
    }
}

#[test]
fn everything_comes_from_the_registry() {
    for (name, source) in locked() {
        assert!(source.is_empty() || source.starts_with("registry+"), "{name} comes from {source}");
    }
}
