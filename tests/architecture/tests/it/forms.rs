//! The table of forms in ARCHITECTURE.md: each form names tests, and each named test is there.

use std::collections::BTreeSet;

use architecture::{root, rust_files};

/// The rows of the table: the form, and what stands in its last column.
fn forms() -> Vec<(String, String)> {
    let text = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let (_, table) = text.split_once("\n## The forms\n").unwrap();
    let (table, _) = table.split_once("\n## ").unwrap();
    let rows = table.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| ---")).skip(1);
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        (cells[0].to_owned(), cells[cells.len() - 1].to_owned())
    })
    .collect()
}

/// The names of all tests of the workspace.
fn tests() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (_, text) in ["shared", "scheduler", "worker", "tests"].into_iter().flat_map(rust_files) {
        let mut is_test = false;
        for line in text.lines().map(str::trim) {
            if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
                is_test = true;
            } else if let Some(rest) = line.trim_start_matches("async ").strip_prefix("fn ") {
                // Properties have the attribute too.
                if std::mem::take(&mut is_test) {
                    names.extend(rest.split('(').next().map(str::to_owned));
                }
            }
        }
    }
    names
}

#[test]
fn every_form_names_tests_that_exist() {
    let (forms, tests) = (forms(), tests());
    assert!(forms.len() >= 24 && tests.len() > 200, "{} forms, {} tests", forms.len(), tests.len());
    for (form, named) in forms {
        let named: Vec<&str> = named.split('`').skip(1).step_by(2).collect();
        assert!(!named.is_empty(), "{form} names no test");
        for test in named {
            assert!(tests.contains(test), "{form} names the test {test}, which does not exist");
        }
    }
}
