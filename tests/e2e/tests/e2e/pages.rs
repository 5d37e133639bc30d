//! Answers that are not what they should be: cut, broken, replaced, or with records that make no sense.

use serde_json::{Value, json};

use crate::kills::SHAPE;
use crate::stack::Stack;
use crate::tenant::Tenant;

/// A page that could not be used is read again.
const AGAIN: &str = "job will be tried again";

#[tokio::test]
async fn pages_that_are_cut_or_broken_are_read_again_and_nothing_of_them_is_kept() {
    let mut stack = Stack::running("broken_pages", 0).await;
    let mut tenant = Tenant::without_objects(&stack, SHAPE).await;
    let web_page =
        json!({"kind": "status", "status": 503, "body": "<h1>Down</h1>", "content_type": "text/html"});
    let refusal = json!({"kind": "error", "status": 500, "code": "UNKNOWN_EXCEPTION", "message": "An unexpected error occurred."});
    for (soql, nth, fault) in [
        ("FROM Case WHERE", 2, json!({"kind": "truncate", "after": 700})),
        ("FROM CaseComment WHERE", 2, json!({"kind": "malformed"})),
        ("FROM EmailMessage WHERE", 2, json!({"kind": "html"})),
        ("FROM CaseHistory WHERE", 3, json!({"kind": "close"})),
        ("FROM Contact WHERE", 1, web_page),
        ("FROM User WHERE", 1, refusal),
        ("FROM Task WHERE", 2, json!({"kind": "truncate", "after": 0})),
    ] {
        tenant.simulated.fault(soql, nth, fault).await;
    }
    tenant.ask_for_objects(&stack).await;
    // Nothing but a fault spoils a page: all is asked for before the first is read.
    stack.start_worker().await;
    stack.start_worker().await;
    tenant.assert_catches_up(&stack).await;
    let faults: Vec<Value> = tenant.simulated.org.get("faults").await.unwrap();
    assert!(faults.iter().all(|fault| fault["hits"] == 1), "a fault did not strike: {faults:?}");
    let retried = "SELECT count(*) FROM job_attempts WHERE outcome = 'retry'";
    assert_eq!(stack.sql(retried).await[0][0], faults.len().to_string());
    stack.finish(&[&tenant], &[AGAIN]).await;
}

#[tokio::test]
async fn a_record_that_makes_no_sense_is_set_aside_alone_and_comes_back_when_it_does() {
    let stack = Stack::running("bad_records", 2).await;
    let mut tenant = Tenant::without_objects(&stack, SHAPE).await;
    let spoilt = [
        // A case would heal by itself: its comments ask for it by its id.
        ("Task", "CreatedDate"),
        ("CaseComment", "SystemModstamp"),
        ("EmailMessage", "Incoming"),
        ("Contact", "Email"),
    ];
    for (object, field) in spoilt {
        let history = format!("FROM {object} WHERE SystemModstamp >= 1970-01-01");
        tenant.simulated.fault(&history, 1, json!({"kind": "bad_record", "field": field})).await;
    }
    tenant.ask_for_objects(&stack).await;
    tenant.caught_up(&stack).await;
    let quarantine: Value = stack.api().get(&tenant.id, "quarantine?limit=50").await.unwrap();
    let aside = quarantine["records"].as_array().unwrap();
    assert_eq!(aside.len(), spoilt.len(), "{quarantine}");
    for (object, field) in spoilt {
        let status = tenant.object(&stack, object).await;
        assert_eq!((status.state.as_str(), status.set_aside), ("current", 1), "{object}");
        let its = aside.iter().find(|record| record["object_id"] == tenant.objects[object].as_str()).unwrap();
        let record = its["record"].as_str().unwrap();
        assert!(its["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{its}");
        assert!(its["field"].is_string(), "{field} of {its}");
        // Whoever repairs it touches it.
        tenant.simulated.control(&format!("records/{object}/{record}"), json!({"fields": {}})).await;
    }
    tenant.assert_catches_up(&stack).await;
    for (object, _) in spoilt {
        assert_eq!(tenant.object(&stack, object).await.set_aside, 0, "{object} is whole again");
    }
    stack.finish(&[&tenant], &[]).await;
}
