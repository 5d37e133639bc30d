//! Shapes compared with recorded answers, when a folder of them is given by `SALESFORCE_SAMPLES`.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::support::Sim;

/// The folder, or a loud note that the test did nothing.
fn folder(test: &str) -> Option<PathBuf> {
    let found = std::env::var_os("SALESFORCE_SAMPLES").map(PathBuf::from).filter(|path| path.is_dir());
    if found.is_none() {
        eprintln!("SKIPPED {test}: set SALESFORCE_SAMPLES to a folder of recorded answers to run it");
    }
    found
}

fn sample(folder: &std::path::Path, name: &str) -> Value {
    let text = std::fs::read_to_string(folder.join(name)).unwrap_or_else(|why| panic!("{name}: {why}"));
    serde_json::from_str(&text).unwrap_or_else(|why| panic!("{name}: {why}"))
}

fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().expect("an object").keys().map(String::as_str).collect()
}

/// Every recorded key is there; ours may be newer.
fn assert_covers(ours: &Value, recorded: &Value, what: &str) {
    let missing: Vec<&str> = keys(recorded).difference(&keys(ours)).copied().collect();
    assert!(missing.is_empty(), "{what} lacks {missing:?}");
}

#[tokio::test]
async fn describes_have_the_recorded_keys_and_values() {
    let Some(folder) = folder("describes_have_the_recorded_keys_and_values") else {
        return;
    };
    let sim = Sim::start().await;
    let recorded = sample(&folder, "describe/case_describe_api48.json");
    let ours = sim.get("/services/data/v66.0/sobjects/Case/describe").await.1;
    assert_covers(&ours, &recorded, "describe");
    assert_covers(&ours["childRelationships"][0], &recorded["childRelationships"][0], "a child relationship");
    assert_covers(&ours["recordTypeInfos"][0], &recorded["recordTypeInfos"][0], "a record type");
    assert_covers(
        &ours["urls"],
        &json!({"describe": 0, "sobject": 0, "rowTemplate": 0, "uiDetailTemplate": 0}),
        "urls",
    );
    let fields = ours["fields"].as_array().unwrap();
    for recorded in recorded["fields"].as_array().unwrap() {
        let name = recorded["name"].as_str().unwrap();
        let field =
            fields.iter().find(|field| field["name"] == name).unwrap_or_else(|| panic!("no field {name}"));
        assert_covers(field, recorded, name);
        for key in [
            "type",
            "soapType",
            "length",
            "byteLength",
            "nillable",
            "createable",
            "updateable",
            "filterable",
            "sortable",
            "groupable",
            "referenceTo",
            "relationshipName",
            "namePointing",
            "permissionable",
            "nameField",
            "idLookup",
            "autoNumber",
            "defaultedOnCreate",
            "aggregatable",
            "polymorphicForeignKey",
        ] {
            assert_eq!(field[key], recorded[key], "{name}.{key}");
        }
    }
}

#[tokio::test]
async fn describe_global_has_the_recorded_keys() {
    let Some(folder) = folder("describe_global_has_the_recorded_keys") else {
        return;
    };
    let sim = Sim::start().await;
    let recorded = sample(&folder, "global/describe_global_a.json");
    let ours = sim.get("/services/data/v66.0/sobjects/").await.1;
    assert_eq!(
        (&ours["encoding"], &ours["maxBatchSize"]),
        (&recorded["encoding"], &recorded["maxBatchSize"])
    );
    for recorded in recorded["sobjects"].as_array().unwrap() {
        let found =
            ours["sobjects"].as_array().unwrap().iter().find(|object| object["name"] == recorded["name"]);
        let Some(object) = found else { continue };
        assert_covers(object, recorded, recorded["name"].as_str().unwrap());
        for key in [
            "keyPrefix",
            "createable",
            "deletable",
            "undeletable",
            "updateable",
            "queryable",
            "replicateable",
        ] {
            assert_eq!(object[key], recorded[key], "{}.{key}", recorded["name"]);
        }
    }
}

#[tokio::test]
async fn errors_have_the_recorded_bodies() {
    let Some(folder) = folder("errors_have_the_recorded_bodies") else {
        return;
    };
    let sim = Sim::start().await;
    let recorded = &sample(&folder, "exchange/query_400_invalid_type_with_recordcount.json");
    let counts = sim.get("/services/data/v66.0/limits/recordCount?sObjects=Xyzzy").await.1;
    assert_eq!(
        counts,
        serde_json::from_str::<Value>(recorded[0]["response"]["body"].as_str().unwrap()).unwrap()
    );
    let (status, body) = sim.ask("SELECT Xyzzy FROM Xyzzy ").await;
    assert_eq!(status, 400);
    let expected: Value = serde_json::from_str(recorded[1]["response"]["body"].as_str().unwrap()).unwrap();
    assert_eq!(body[0]["errorCode"], expected[0]["errorCode"]);
    let trimmed =
        |text: &Value| text.as_str().unwrap().lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
    assert_eq!(trimmed(&body[0]["message"]), trimmed(&expected[0]["message"]));

    sim.control("/limits", json!({"daily_max": 0})).await;
    let (status, body) = sim.get("/services/data/v66.0/limits").await;
    let bodies = sample(&folder, "errors/error-bodies.json");
    let entry =
        bodies.as_array().unwrap().iter().find(|entry| entry["name"] == "REQUEST_LIMIT_EXCEEDED").unwrap();
    assert_eq!((json!(status), &body), (entry["status"].clone(), &entry["body"]));
    sim.control("/sessions/expire", json!({})).await;
    let (status, body) = sim.get("/services/data/v66.0/limits").await;
    assert_eq!((status, body), (401, sample(&folder, "errors/invalid_session_id_401.json")));
}

#[tokio::test]
async fn headers_and_tokens_look_as_recorded() {
    let Some(folder) = folder("headers_and_tokens_look_as_recorded") else {
        return;
    };
    let sim = Sim::start().await;
    let recorded = sample(&folder, "exchange/query_200_one_record.json");
    let raw = raw_answer(&sim, "/services/data/v66.0/query?q=SELECT+Id+FROM+Case+LIMIT+1").await;
    for name in ["Date", "Sforce-Limit-Info", "Content-Type"] {
        assert!(keys(&recorded["response"]["headers"]).contains(name));
        assert!(raw.contains(&format!("\r\n{name}: ")), "{name} in {raw}");
    }
    let content_type = recorded["response"]["headers"]["Content-Type"][0].as_str().unwrap();
    assert!(raw.contains(&format!("\r\nContent-Type: {content_type}\r\n")));

    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", &sim.org.client_id),
        ("client_secret", &sim.org.client_secret),
    ];
    let token = sim.token_request(&form).await.1;
    let recorded = sample(&folder, "oauth/token_success_minimal.json");
    assert_covers(&token, &recorded, "a token");
    for key in ["issued_at", "signature", "id"] {
        assert_eq!(token[key].is_string(), recorded[key].is_string(), "{key}");
    }
}

/// The bytes of an answer: a client library would fold the header names.
async fn raw_answer(sim: &Sim, path: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let address = sim.running.ready.http.trim_start_matches("http://").to_owned();
    let mut socket = tokio::net::TcpStream::connect(&address).await.unwrap();
    let token = &sim.token;
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
    );
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut raw = String::new();
    socket.read_to_string(&mut raw).await.unwrap();
    raw
}

#[tokio::test]
async fn query_bodies_have_the_recorded_shape() {
    let Some(folder) = folder("query_bodies_have_the_recorded_shape") else {
        return;
    };
    let sim = Sim::start().await;
    let recorded = sample(&folder, "query/case_with_histories_rekeyed.json");
    let soql = "SELECT Id, CaseNumber, CreatedDate, LastModifiedDate, Subject, (SELECT Id, Field, DataType, OldValue, \
                NewValue, CreatedDate, CreatedBy.Name FROM Histories), Owner.Name FROM Case WHERE Contact.Name != null LIMIT 1";
    let ours = sim.query(soql).await;
    assert_eq!(keys(&ours), keys(&recorded));
    let (ours, recorded) = (&ours["records"][0], &recorded["records"][0]);
    assert_eq!(keys(&ours["attributes"]), keys(&recorded["attributes"]));
    assert_eq!(keys(&ours["Histories"]), keys(&recorded["Histories"]));
    let history = |record: &Value| record["Histories"]["records"][0].clone();
    assert_eq!(keys(&history(ours)), keys(&history(recorded)));
    assert_eq!(
        history(ours)["CreatedBy"]["attributes"]["type"],
        history(recorded)["CreatedBy"]["attributes"]["type"]
    );
    assert_eq!(ours["Owner"]["attributes"]["type"], recorded["Owner"]["attributes"]["type"]);
    let count = sample(&folder, "query/count_only.json");
    assert_eq!(keys(&sim.query("SELECT COUNT() FROM Case").await), keys(&count));
}

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
