//! Rules of the schema's files.

use std::fs;

use architecture::root;

fn migrations() -> Vec<(String, String)> {
    let mut files: Vec<(String, String)> = fs::read_dir(root().join("migrations"))
        .unwrap()
        .flatten()
        .filter(|entry| entry.path().extension().is_some_and(|extension| extension == "sql"))
        .map(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            let text = fs::read_to_string(entry.path()).unwrap();
            (name, text)
        })
        .collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

#[test]
fn a_migration_is_named_by_its_time_and_what_it_does() {
    for (name, _) in migrations() {
        let (stamp, rest) = name.split_once('_').unwrap();
        assert!(stamp.len() == 14 && stamp.bytes().all(|byte| byte.is_ascii_digit()), "{name}");
        assert!(rest.contains('_'), "{name}: verb and noun");
    }
}

#[test]
fn no_index_names_a_column_in_its_predicate_that_workers_change() {
    for (name, text) in migrations() {
        for statement in text.split(';').filter(|statement| statement.contains("INDEX")) {
            let predicate = statement.split_once(" WHERE ").map_or("", |(_, predicate)| predicate);
            let on_jobs = statement.contains("ON jobs");
            assert!(!on_jobs || predicate.is_empty(), "{name}: {statement}");
        }
    }
}

#[test]
fn times_have_a_zone() {
    for (name, text) in migrations() {
        assert!(!text.contains(" timestamp "), "{name}: timestamps without time zone");
    }
}
