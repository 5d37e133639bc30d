//! The table of forms in ARCHITECTURE.md: each form names tests, and each named test is there.

use architecture::{quoted, root, table_rows, tests};

#[test]
fn every_form_names_tests_that_exist() {
    let text = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let (_, table) = text.split_once("\n## The forms\n").unwrap();
    let (table, _) = table.split_once("\n## ").unwrap();
    let (forms, tests) = (table_rows(table), tests());
    assert!(forms.len() >= 24 && tests.len() > 200, "{} forms, {} tests", forms.len(), tests.len());
    for form in forms {
        let named: Vec<&str> = quoted(form.last().unwrap()).collect();
        assert!(!named.is_empty(), "{} names no test", form[0]);
        for test in named {
            assert!(tests.contains(test), "{} names the test {test}, which does not exist", form[0]);
        }
    }
}
