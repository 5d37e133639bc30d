//! Describes: found, unchanged or absent, one by one or 25 to a call.

use super::*;
use crate::salesforce::stub::{Stub, json, refusal};

const CASE: &str =
    r#"{"name":"Case","keyPrefix":"500","queryable":true,"fields":[{"name":"Id","type":"id"}],"new":1}"#;

fn name(text: &str) -> ObjectName {
    ObjectName::parse(text).unwrap()
}

fn since() -> Option<Timestamp> {
    parse_http_date("Mon, 23 Nov 2026 00:00:00 GMT")
}

fn fields_of(described: &Described) -> usize {
    match described {
        Described::Found { describe, .. } => describe.fields.len(),
        Described::Absent | Described::Unchanged => 0,
    }
}

#[tokio::test]
async fn one_object_is_found_unchanged_or_absent() {
    let stub = Stub::start(|seen| match seen.path.as_str() {
        "/services/data/v66.0/sobjects/Case/describe" if seen.headers.contains_key("if-modified-since") => {
            json(304, "")
        }
        "/services/data/v66.0/sobjects/Case/describe" => json(200, CASE),
        _ => refusal(404, "NOT_FOUND", "The requested resource does not exist"),
    })
    .await;
    let (client, _, _) = stub.client(1);
    assert_eq!(fields_of(&client.describe(&name("Case"), None).await.unwrap()), 1);
    assert_eq!(client.describe(&name("Case"), since()).await.unwrap(), Described::Unchanged);
    assert_eq!(client.describe(&name("VoiceCall"), None).await.unwrap(), Described::Absent);
    let asked = stub.seen.lock().unwrap()[1].headers["if-modified-since"].clone();
    assert_eq!(asked, "Mon, 23 Nov 2026 00:00:00 GMT");
}

#[tokio::test]
async fn many_objects_take_one_call_each_twenty_five() {
    let stub = Stub::start(|seen| {
        let request: serde_json::Value = serde_json::from_str(&seen.body).unwrap();
        let asked = request["compositeRequest"].as_array().unwrap();
        let mut parts: Vec<serde_json::Value> = asked
            .iter()
            .map(|part| {
                let url = part["url"].as_str().unwrap();
                let unchanged = !part["httpHeaders"]["If-Modified-Since"].is_null();
                let (status, body, headers) = if url.contains("/Gone/") {
                    (404, json!([{"errorCode": "NOT_FOUND", "message": "x"}]), json!({}))
                } else if url.contains("/Shut/") {
                    (403, json!([{"errorCode": "INSUFFICIENT_ACCESS", "message": "x"}]), json!({}))
                } else if unchanged {
                    (304, serde_json::Value::Null, json!({}))
                } else {
                    let headers = json!({"last-modified": "Sun, 22 Nov 2026 00:00:00 GMT"});
                    (200, serde_json::from_str(CASE).unwrap(), headers)
                };
                json!({"body": body, "httpHeaders": headers, "httpStatusCode": status, "referenceId": part["referenceId"]})
            })
            .collect();
        parts.reverse();
        json(200, json!({"compositeResponse": parts}).to_string())
    })
    .await;
    let mut objects =
        vec![(name("Case"), None), (name("Task"), since()), (name("Gone"), None), (name("Shut"), None)];
    objects.resize(27, (name("User"), None));
    let found = stub.client(1).0.describe_many(&objects).await.unwrap();
    assert_eq!((found.len(), stub.count("/services/data/v66.0/composite")), (27, 2));
    let Described::Found { as_of, .. } = found[0].as_ref().unwrap() else { panic!("{:?}", found[0]) };
    assert_eq!(Some(*as_of), parse_http_date("Sun, 22 Nov 2026 00:00:00 GMT"));
    assert_eq!(*found[1].as_ref().unwrap(), Described::Unchanged);
    assert_eq!(*found[2].as_ref().unwrap(), Described::Absent);
    assert_eq!(found[3].as_ref().unwrap_err().fault().unwrap().object.as_deref(), Some("Shut"));
    assert_eq!(fields_of(found[26].as_ref().unwrap()), 1);
}

#[tokio::test]
async fn a_composite_answer_with_a_part_missing_is_refused() {
    let stub = Stub::start(|_| json(200, r#"{"compositeResponse":[]}"#)).await;
    stub.client(1).0.describe_many(&[(name("Case"), None)]).await.unwrap_err();
}

#[tokio::test]
async fn all_objects_are_listed() {
    let body = r#"{"encoding":"UTF-8","sobjects":[{"name":"CaseHistory","keyPrefix":null,"queryable":true,
        "associateEntityType":"History","associateParentEntity":"Case"}]}"#;
    let stub = Stub::start(move |_| json(200, body)).await;
    let listed = stub.client(1).0.describe_global().await.unwrap();
    assert_eq!(listed[0].associate_parent_entity.as_deref(), Some("Case"));
}
