//! Every change that people make is in the audit log, with the key that was used; and the log proves itself.

use refrain_scheduler::api::openapi::Description;
use refrain_shared::storage::dispatch::jobs_reconcile;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use utoipa::OpenApi as _;

use crate::world::{FakeProbe, World};

/// Operations that ask a question or, like the check of a policy, change nothing of a tenant's.
const ONLY_LOOKS: [&str; 3] = ["/v1/tenants/{tenant}/retention/preview", "/v1/dead/replay", "/v1/dead/drop"];

fn changes_in_the_description() -> usize {
    let paths = Description::openapi().paths.paths;
    let changing = paths.iter().filter(|(path, _)| !ONLY_LOOKS.contains(&path.as_str())).map(|(_, item)| {
        [&item.post, &item.put, &item.patch, &item.delete].iter().filter(|method| method.is_some()).count()
    });
    changing.sum()
}

#[tokio::test]
async fn each_change_that_people_make_is_told_with_the_key_that_was_used() {
    let world = World::new("audit_all").await;
    let served = world.serve(FakeProbe::Works).await;
    let made = served.post("/v1/tenants", &json!({ "name": "Acme" })).await;
    let tenant = format!("/v1/tenants/{}", made.body["id"].as_str().unwrap());
    let admin = json!({ "name": "Ana", "role": "tenant_admin" });
    let admin = served.post(&format!("{tenant}/keys"), &admin).await;
    let (key, key_id) = (admin.body["key"].as_str().unwrap(), admin.body["id"].as_str().unwrap());
    let auth =
        json!({ "method": "client_credentials", "client_id": "id", "client_secret": "a-very-secret-secret" });
    let mut told = vec!["tenant.create", "key.create"];
    let mut done = async |method: Method, path: &str, body: Value, action: &'static str| -> Value {
        let answer = served.ask(method, &format!("{tenant}{path}"), Some(key), Some(&body)).await;
        assert!(answer.status.is_success(), "{path} {answer:?}");
        told.push(action);
        answer.body
    };
    let login_url = "https://acme.my.salesforce.com";
    let new = json!({ "name": "production", "login_url": login_url, "auth": auth });
    let connection = done(Method::POST, "/connections", new, "connection.create").await;
    let connection = format!("/connections/{}", connection["id"].as_str().unwrap());
    let new = json!({ "auth": auth });
    done(Method::PUT, &format!("{connection}/credentials"), new, "connection.credentials").await;
    done(Method::POST, &format!("{connection}/check"), json!({}), "connection.check").await;
    done(Method::PUT, &format!("{connection}/limits"), json!({ "lanes": 2 }), "connection.limits").await;
    let new = json!({ "api_name": "Case" });
    let object = done(Method::POST, &format!("{connection}/objects"), new, "object.create").await;
    let object = object["id"].as_str().unwrap().to_owned();
    let patch = json!({ "interval_s": 60, "settings": { "facets": [] } });
    done(Method::PATCH, &format!("/objects/{object}"), patch, "object.update").await;
    done(Method::POST, &format!("/objects/{object}/sync"), json!({}), "sync.now").await;
    done(Method::POST, &format!("/objects/{object}/sync?sweep=true"), json!({}), "sync.verify").await;
    done(Method::POST, &format!("/quarantine/retry?object={object}"), json!({}), "sync.retry").await;
    let record = json!({ "record": "5003000000D8cuIAAR" });
    done(Method::POST, &format!("{connection}/records/sync"), record, "sync.record").await;
    done(Method::PUT, "/retention", json!({ "ticket_days": 60 }), "retention.set").await;
    world.ticket_of(&object).await;
    let hold = format!("/tickets/{object}.5003000000D8cuIAAR/hold");
    done(Method::PUT, &hold, json!({ "reason": "a word of a person" }), "hold.set").await;
    done(Method::DELETE, &hold, json!({}), "hold.release").await;
    for path in ["/pause".to_owned(), format!("{connection}/pause"), format!("/objects/{object}/pause")] {
        done(Method::PUT, &path, json!({}), "control.pause").await;
        done(Method::DELETE, &path, json!({}), "control.resume").await;
    }
    jobs_reconcile(&world.db).await.unwrap();
    for path in ["/resync".to_owned(), format!("{connection}/resync"), format!("/objects/{object}/resync")] {
        world.sql("UPDATE checkpoints SET state = 'current', watermark_at = now(), covered_from = '-infinity', scope_from = '-infinity', wish = NULL").await;
        done(Method::POST, &path, json!({ "from": "2026-01-01T00:00:00Z" }), "control.resync").await;
    }
    let slice = r#"[{"lo": "2026-01-01T00:00:00Z", "hi": "2026-02-01T00:00:00Z"}]"#;
    for path in ["/cancel".to_owned(), format!("{connection}/cancel"), format!("/objects/{object}/cancel")] {
        world.sql(&format!("UPDATE checkpoints SET open_slices = '{slice}'")).await;
        done(Method::POST, &path, json!({}), "control.cancel").await;
    }
    done(Method::POST, &format!("/objects/{object}/reset"), json!({}), "control.reset").await;
    for action in ["job.retry", "job.drop"] {
        let operation = action.trim_start_matches("job.");
        for one in [true, false] {
            let parked = "INSERT INTO jobs (tenant_id, connection_id, object_id, org_id, kind, class, state, ask)
                          SELECT tenant_id, connection_id, object_id, org_id, 'related', 3, 3, '{}' FROM jobs LIMIT 1
                          RETURNING 'job_' || job_id";
            let job = world.value(parked).await;
            let path = if one { format!("/jobs/{job}/{operation}") } else { format!("/jobs/{operation}") };
            done(Method::POST, &path, json!({}), action).await;
        }
    }
    let reader = json!({ "name": "Bob", "role": "tenant_reader" });
    let reader = done(Method::POST, "/keys", reader, "key.create").await;
    let gone = format!("/keys/{}", reader["id"].as_str().unwrap());
    done(Method::DELETE, &gone, json!({}), "key.revoke").await;
    // Once more changes nothing, and says nothing.
    served.ask(Method::DELETE, &format!("{tenant}{gone}"), Some(key), None).await;
    // A "sync now" with a look at everything is told apart, and two keys were made.
    assert_eq!(told.len() - 2, changes_in_the_description(), "a new operation is told of too");

    let log = served.get(&format!("{tenant}/audit?limit=200")).await;
    let events = log.body["events"].as_array().unwrap();
    let mut actions: Vec<&str> = events.iter().map(|event| event["action"].as_str().unwrap()).collect();
    actions.reverse();
    assert_eq!(actions, told);
    let last = events.len() - 1;
    assert_eq!(
        (&events[last]["actor"], &events[last]["key_name"]),
        (&json!("operator"), &json!("first operator"))
    );
    for event in &events[..last - 1] {
        let who = (&event["actor"], &event["key_id"], &event["key_name"]);
        assert_eq!(who, (&json!("key"), &json!(key_id), &json!("Ana")), "{event}");
    }
    let update = &events[last - actions.iter().position(|action| *action == "object.update").unwrap()];
    assert_eq!(update["object_id"], json!(object));
    assert_eq!(update["details"]["before"], json!({ "enabled": true, "interval_s": 3600, "role": "ticket" }));
    let text = log.body.to_string();
    for word in ["secret-secret", "a word of a person", login_url] {
        assert!(!text.contains(word), "{word}");
    }
    let verified = served.get(&format!("{tenant}/audit/verify")).await;
    assert_eq!((&verified.body["intact"], &verified.body["events"]), (&json!(true), &json!(told.len())));
    let anchor = format!("{tenant}/audit/verify?seq={}&hash={}", told.len(), "00".repeat(32));
    assert_eq!(served.get(&anchor).await.body["broken"], "not_the_anchor");
    let half = served.get(&format!("{tenant}/audit/verify?seq=1")).await;
    assert_eq!(half.status, StatusCode::UNPROCESSABLE_ENTITY);
}
