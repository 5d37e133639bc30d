//! Errors.

use serde_json::{Value, json};

use super::{body, folder, sample};
use crate::support::{Sim, read};

const DATA: &str = "/services/data/v66.0";

/// Codes and messages alike; the platform writes the two keys in either order.
fn assert_same(ours: &Value, recorded: &Value, what: &str) {
    let pairs = |value: &Value| -> Vec<(Value, Value)> {
        let all = value.as_array().unwrap_or_else(|| panic!("{what}: {value}"));
        all.iter().map(|one| (one["errorCode"].clone(), one["message"].clone())).collect()
    };
    assert_eq!(pairs(ours), pairs(recorded), "{what}");
}

#[tokio::test]
pub(super) async fn errors_have_the_recorded_bodies() {
    let Some(folder) = folder("errors_have_the_recorded_bodies") else { return };
    let sim = Sim::start().await;
    let file = "exchange/query_400_invalid_type_with_recordcount.json";
    let counts = sim.get(&format!("{DATA}/limits/recordCount?sObjects=Xyzzy")).await.1;
    assert_eq!(counts, serde_json::from_str::<Value>(&body(&folder, file, 0)).unwrap());
    let (status, refused) = sim.ask("SELECT Xyzzy FROM Xyzzy ").await;
    assert_eq!(status, 400);
    let expected: Value = serde_json::from_str(&body(&folder, file, 1)).unwrap();
    assert_eq!(refused[0]["errorCode"], expected[0]["errorCode"]);
    let trimmed =
        |text: &Value| text.as_str().unwrap().lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
    assert_eq!(trimmed(&refused[0]["message"]), trimmed(&expected[0]["message"]));

    // The recorded one was shortened by a client to its last sentence, of an older release.
    let (_, refused) = sim.ask("SELECT AccountNumer FROM Account").await;
    let recorded = sample(&folder, "errors/invalid_field_query.json");
    assert_eq!(refused[0]["errorCode"], recorded[0]["errorCode"]);
    let message = refused[0]["message"].as_str().unwrap();
    assert!(message.contains("No such column 'AccountNumer' on"), "{message}");

    let case = sim.insert("Case", json!({"Subject": "gone"})).await;
    sim.control(&format!("/records/Case/{case}/delete"), json!({})).await;
    let (status, refused) = sim.get(&format!("{DATA}/sobjects/Case/{case}")).await;
    for recorded in [
        sample(&folder, "errors/entity_is_deleted.json"),
        serde_json::from_str(&body(&folder, "exchange/sobject_delete_404_entity_is_deleted.json", 0))
            .unwrap(),
    ] {
        assert_eq!((status, &refused), (404, &recorded));
    }
    let (status, refused) = sim.get(&format!("{DATA}/sobjects/Case/rid/1")).await;
    assert_eq!(status, 404);
    assert_same(&refused, &sample(&folder, "errors/not_found_external_id.json"), "an unknown external id");
    sim.control("/sessions/expire", json!({})).await;
    let (status, refused) = sim.get(&format!("{DATA}/limits")).await;
    assert_eq!((status, refused), (401, sample(&folder, "errors/invalid_session_id_401.json")));
}

/// What makes the simulator give an error of the catalogue.
async fn provoke(sim: &Sim, name: &str) -> Option<(u16, Value)> {
    Some(match name {
        "REQUEST_LIMIT_EXCEEDED" => {
            sim.control("/limits", json!({"daily_max": 0})).await;
            sim.get(&format!("{DATA}/limits")).await
        }
        "API_CURRENTLY_DISABLED" => {
            sim.control("/users/default", json!({"api_enabled": false})).await;
            sim.get(&format!("{DATA}/limits")).await
        }
        "EXCEEDED_ID_LIMIT" => {
            let sim = Sim::with(salesforce_sim::OrgOptions { cases: 2_500, ..crate::support::small() }).await;
            sim.ask("SELECT Id, COUNT(Subject) FROM Case GROUP BY Id").await
        }
        "MALFORMED_QUERY implementation restriction" => {
            sim.control("/permissions", json!({"query_all_files": false})).await;
            sim.ask("SELECT Id FROM ContentDocumentLink").await
        }
        "MALFORMED_QUERY too long" => {
            // Beyond what an address can hold, but not in the body of a job.
            let long = format!("SELECT Id FROM Case WHERE Subject = '{}'", "x".repeat(100_001));
            let request = sim.http.post(sim.url(&format!("{DATA}/jobs/query"))).bearer_auth(&sim.token);
            read(request.json(&json!({"operation": "query", "query": long})).send().await.unwrap()).await
        }
        "NOT_FOUND errorCode first" => sim.get(&format!("{DATA}/nowhere")).await,
        "oauth inactive user" => {
            sim.control("/users/default", json!({"active": false})).await;
            let form = [
                ("grant_type", "client_credentials"),
                ("client_id", &sim.org.client_id),
                ("client_secret", &sim.org.client_secret),
            ];
            sim.token_request(&form).await
        }
        "oauth expired refresh token" => {
            let form = [
                ("grant_type", "refresh_token"),
                ("refresh_token", "gone"),
                ("client_id", &sim.org.client_id),
                ("client_secret", &sim.org.client_secret),
            ];
            sim.token_request(&form).await
        }
        _ => return None,
    })
}

/// Errors that only a fault gives, or that another test sees.
const OTHERWISE: [(&str, &str); 5] = [
    ("QUERY_TIMEOUT", "planted as a fault of kind `error`"),
    ("FUNCTIONALITY_NOT_ENABLED inside a bulk failure", "refused when the job is made, as newer releases do"),
    ("XML error to a JSON caller", "planted as a fault of kind `disguise`"),
    ("several errors in one answer", "an answer to writing"),
    ("oauth end user denied (redirect query)", "a_person_may_say_no_and_no_other_page_may_say_yes"),
];

#[tokio::test]
pub(super) async fn every_catalogued_error_is_given_as_recorded() {
    let Some(folder) = folder("every_catalogued_error_is_given_as_recorded") else { return };
    for entry in sample(&folder, "errors/error-bodies.json").as_array().unwrap() {
        let name = entry["name"].as_str().unwrap();
        let Some((status, ours)) = provoke(&Sim::start().await, name).await else {
            assert!(OTHERWISE.iter().any(|(other, _)| *other == name), "nothing provokes '{name}'");
            continue;
        };
        assert_eq!(json!(status), entry["status"], "{name}: {ours}");
        if entry["body"].is_array() {
            assert_same(&ours, &entry["body"], name);
        } else {
            assert_eq!(ours, entry["body"], "{name}");
        }
    }
}
