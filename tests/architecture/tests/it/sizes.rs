//! Files that fit a head, and words that must not stand in them.

use architecture::{root, rust_files};

/// Above this a file is split, whatever the reason.
const LINES: usize = 800;

const FOLDERS: &[&str] = &["shared", "scheduler", "worker", "tests"];

#[test]
fn no_file_is_larger_than_a_head() {
    for folder in FOLDERS {
        for (file, text) in rust_files(folder) {
            let lines = text.lines().count();
            assert!(lines <= LINES, "{file} has {lines} lines; split it");
        }
    }
}

#[test]
fn nothing_is_put_off_or_switched_off() {
    // Put together here, so that this very file does not hold them.
    let words =
        [["todo", "!("], ["unimplemented", "!("], ["#[ig", "nore"], ["#[should", "_panic"], ["FIX", "ME"]];
    for folder in FOLDERS {
        for (file, text) in rust_files(folder) {
            for word in &words {
                assert!(!text.contains(&word.concat()), "{file} holds {}", word.concat());
            }
        }
    }
}

#[test]
fn the_top_level_is_the_agreed_one() {
    let agreed = [
        "ARCHITECTURE.md",
        "Cargo.lock",
        "Cargo.toml",
        "LICENSE",
        "README.md",
        "deploy",
        "migrations",
        "scheduler",
        "shared",
        "target",
        "tests",
        "worker",
    ];
    for entry in std::fs::read_dir(root()).unwrap().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        assert!(name.starts_with('.') || agreed.contains(&name.as_str()), "{name} at the top level");
    }
}

#[test]
fn every_package_keeps_the_lint_wall() {
    for package in ["shared", "scheduler", "worker"] {
        let manifest = std::fs::read_to_string(root().join(package).join("Cargo.toml")).unwrap();
        assert!(manifest.contains("[lints]\nworkspace = true"), "{package} has lints of its own");
    }
}
