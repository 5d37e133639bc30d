//! tests/LESSONS.md: each failure of others names the tests that hold it here, and they are there.

use std::collections::BTreeSet;

use architecture::{quoted, root, table_rows, tests};

#[test]
fn every_lesson_names_tests_that_exist() {
    let text = std::fs::read_to_string(root().join("tests/LESSONS.md")).unwrap();
    let (lessons, tests) = (table_rows(&text), tests());
    assert!(lessons.len() > 50, "{} lessons", lessons.len());
    let mut told = BTreeSet::new();
    for lesson in &lessons {
        let [what, how, held] = &lesson[..] else { panic!("{lesson:?} has not three cells") };
        assert!(!what.is_empty() && !how.is_empty(), "{lesson:?}");
        assert!(told.insert(what), "{what} is told twice");
        let named: Vec<&str> = quoted(held).collect();
        assert!(!named.is_empty(), "{what} names no test");
        for test in named {
            assert!(tests.contains(test), "{what} names the test {test}, which does not exist");
        }
    }
}
