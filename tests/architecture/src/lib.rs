//! Rules about the source itself, held by the tests of this package: who may import whom, where SQL may stand,
//! how large a file may grow, and which dependencies may come in. See `tests/it`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The workspace's root.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("this package stands two folders below the root")
        .to_owned()
}

/// Every Rust file below a folder of the workspace, with its path relative to the root and its text.
#[must_use]
pub fn rust_files(folder: &str) -> Vec<(String, String)> {
    let root = root();
    let mut files = Vec::new();
    let mut open = vec![root.join(folder)];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(&root).unwrap_or(&path).display().to_string();
                files.push((name, fs::read_to_string(&path).unwrap_or_default()));
            }
        }
    }
    files.sort();
    assert!(!files.is_empty(), "no Rust file below {folder}");
    files
}

/// The names of all tests of the workspace.
#[must_use]
pub fn tests() -> BTreeSet<String> {
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

/// The rows of all tables in a piece of Markdown: what stands in each cell.
#[must_use]
pub fn table_rows(text: &str) -> Vec<Vec<String>> {
    let is_row = |line: &&str| line.starts_with("| ");
    let is_rule = |line: &str| line.starts_with("| ---");
    let lines: Vec<&str> = text.lines().collect();
    let rows = lines.iter().enumerate().filter(|(at, line)| {
        let is_heading = lines.get(at + 1).is_some_and(|next| is_rule(next));
        is_row(line) && !is_rule(line) && !is_heading
    });
    rows.map(|(_, row)| row.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect())
        .collect()
}

/// What stands between backticks.
pub fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}
