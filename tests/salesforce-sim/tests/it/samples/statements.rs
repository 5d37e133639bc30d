//! Statements of the corpora.

use super::{folder, text};
use crate::support::Sim;

#[tokio::test]
async fn the_recorded_syntax_corpus_is_judged_alike() {
    let Some(folder) = folder("the_recorded_syntax_corpus_is_judged_alike") else {
        return;
    };
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    for soql in read("soql-invalid.txt").lines().filter(|line| !line.trim().is_empty()) {
        let error = salesforce_sim::soql::parse(soql).err().unwrap_or_else(|| panic!("accepted: {soql}"));
        assert_eq!(error.code, "MALFORMED_QUERY", "{soql}");
    }
    // The corpus judges by parsers. The platform itself refuses AND beside OR.
    let mixed = |soql: &str| soql.contains("LIKE 'A%' OR Type = 'Partner' AND");
    for soql in read("soql-valid.txt").lines().filter(|line| !line.trim().is_empty()) {
        let parsed = salesforce_sim::soql::parse(soql);
        assert_eq!(parsed.is_err(), mixed(soql), "{soql}: {parsed:?}");
    }
}

/// Reasons that lie in the schema or in the platform's rules, and so may refuse a statement that parses.
const REASONS: [&str; 19] = [
    "sObject type '",
    "No such column '",
    "Didn't understand relationship '",
    "must be of type",
    "invalid ID field",
    "can not be filtered",
    "can not be grouped",
    "can not be sorted",
    "duplicate field selected",
    "Field must be grouped or aggregated",
    "only aggregate expressions use field aliasing",
    "does not support data category filtering",
    "The filter scope '",
    "FIELDS function must have a LIMIT",
    "Semi join sub-selects",
    "Maximum SOQL offset allowed is 2000",
    "does not support aggregate operator",
    "does not support the function",
    "unexpected token: 'COUNT'",
];

#[tokio::test]
async fn every_valid_statement_is_answered_or_refused_for_a_reason_of_the_schema() {
    let Some(folder) = folder("every_valid_statement_is_answered_or_refused_for_a_reason_of_the_schema")
    else {
        return;
    };
    let sim = Sim::start().await;
    let valid = std::fs::read_to_string(folder.join("soql-valid.txt")).unwrap();
    let mut answered = 0;
    for soql in valid.lines().filter(|line| salesforce_sim::soql::parse(line).is_ok()) {
        let (status, body) = sim.ask(soql).await;
        if status == 200 {
            answered += 1;
            continue;
        }
        let message = body[0]["message"].as_str().unwrap();
        assert!(REASONS.iter().any(|reason| message.contains(reason)), "{soql}: {body}");
        let code = body[0]["errorCode"].as_str().unwrap();
        let known = [
            "INVALID_TYPE",
            "INVALID_FIELD",
            "MALFORMED_QUERY",
            "INVALID_QUERY_FILTER_OPERATOR",
            "NUMBER_OUTSIDE_VALID_RANGE",
            "INVALID_TYPE_FOR_OPERATION",
        ];
        assert!(known.contains(&code), "{soql}: {body}");
    }
    assert!(answered > 80, "{answered} statements were answered");
}

/// Statements of Apex, and statements that are right but for the schema, are refused by the platform's codes.
#[tokio::test]
pub(super) async fn every_statement_of_the_corpus_has_its_verdict() {
    let Some(folder) = folder("every_statement_of_the_corpus_has_its_verdict") else { return };
    let sim = Sim::start().await;
    let lines = |name: &str| -> Vec<String> {
        let all = text(&folder, name);
        all.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect()
    };
    for soql in lines("soql-apex-only-or-comments.txt") {
        let (status, body) = sim.ask(&soql).await;
        // The platform takes WITH SECURITY_ENFORCED and its like from clients as well.
        let is_mode = ["SECURITY_ENFORCED", "_MODE"].iter().any(|word| soql.contains(word));
        assert!(status == 400 || is_mode, "{soql}: {body}");
    }
    for soql in lines("soql-schema-dependent.txt") {
        let (status, body) = sim.ask(&soql).await;
        if status != 200 {
            let code = body[0]["errorCode"].as_str().unwrap();
            let known = ["INVALID_TYPE", "INVALID_FIELD", "MALFORMED_QUERY", "INVALID_TYPE_FOR_OPERATION"];
            assert!(known.contains(&code), "{soql}: {body}");
        }
    }
    // These are answered one way or the other, never by a failure of the simulator.
    for soql in lines("soql-disputed.txt") {
        let (status, body) = sim.ask(&soql).await;
        assert!([200, 400].contains(&status), "{soql}: {body}");
    }
    for line in lines("soql-annotated.jsonl") {
        let entry: serde_json::Value = serde_json::from_str(&line).unwrap();
        let (status, body) = sim.ask(entry["query"].as_str().unwrap()).await;
        let is_wrong = entry["verdict"] == "invalid" && entry["disputed"] == false;
        assert!(status == 400 || (status == 200 && !is_wrong), "{line}: {status} {body}");
    }
}
