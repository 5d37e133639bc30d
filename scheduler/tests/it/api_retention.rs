//! How long tickets are kept, through the API: the policy, what would go before it goes, holds, and when each ticket goes.

use refrain_shared::ids::ObjectId;
use refrain_shared::storage::dispatch::jobs_reconcile;
use refrain_shared::tenant::TenantScope;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::world::{Answer, FakeProbe, Served, World};

const CASE: &str = "500000000000001AAA";

struct Kept {
    world: World,
    served: Served,
    scope: TenantScope,
    case: ObjectId,
}

impl Kept {
    /// A tenant with an object of tickets.
    async fn new(test: &str) -> Self {
        let world = World::new(test).await;
        let served = world.serve(FakeProbe::Works).await;
        let scope = world.tenant("a").await;
        let connection = world.connection(&scope).await;
        let case = world.object(&scope, connection, "Case").await;
        Self { world, served, scope, case }
    }

    fn path(&self, rest: &str) -> String {
        format!("/v1/tenants/{}/{rest}", self.scope.tenant())
    }

    /// Tickets whose last activity was so many days ago; the first of them is [`CASE`].
    async fn tickets(&self, days: &[u32]) {
        let days: Vec<String> = days.iter().map(ToString::to_string).collect();
        self.world
            .sql(&format!(
                "INSERT INTO tickets (tenant_id, connection_id, object_id, record_id, state, number, last_activity_at,
                                      mapping_epoch, feed_seq)
                 SELECT o.tenant_id, o.connection_id, o.object_id, '500' || lpad(d.n::text, 12, '0') || 'AAA', 0, d.n,
                        now() - d.days * interval '1 day', 0, d.n
                   FROM object_syncs o, unnest('{{{}}}'::int[]) WITH ORDINALITY d (days, n)",
                days.join(",")
            ))
            .await;
    }

    fn ticket(&self) -> String {
        self.path(&format!("tickets/{}.{CASE}", self.case))
    }

    async fn send(&self, method: Method, path: &str, body: &Value) -> Answer {
        self.served.ask(method, path, Some(&self.served.operator), Some(body)).await
    }
}

fn days(answer: &Answer) -> Value {
    answer.body["policy"].clone()
}

#[tokio::test]
async fn a_tenant_keeps_tickets_for_a_month_unless_it_says_otherwise_within_bounds() {
    let kept = Kept::new("retention_policy").await;
    let path = kept.path("retention");
    let default = json!({"ticket_days": 30, "held_days": 365, "attachment_days": 180});
    assert_eq!(days(&kept.served.get(&path).await), default);
    let longer = json!({"ticket_days": 90, "held_days": 400, "attachment_days": 60});
    let set = kept.send(Method::PUT, &path, &longer).await;
    assert_eq!((set.status, days(&set)), (StatusCode::OK, longer.clone()), "{set:?}");
    assert_eq!(days(&kept.served.get(&path).await), longer);
    for wrong in [
        json!({"ticket_days": 6}),
        json!({"held_days": 3651}),
        json!({"ticket": 30}),
        json!({"ticket_days": -1}),
    ] {
        for (method, path) in [(Method::PUT, path.clone()), (Method::POST, format!("{path}/preview"))] {
            let refused = kept.send(method, &path, &wrong).await;
            assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong} {refused:?}");
        }
    }
    assert_eq!(days(&kept.served.get(&path).await), longer, "nothing of a refused policy is in force");

    let made = json!({"name": "Old", "retention": {"ticket_days": 3650}});
    let made = kept.served.post("/v1/tenants", &made).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    let path = format!("/v1/tenants/{}/retention", made.body["id"].as_str().unwrap());
    assert_eq!(
        days(&kept.served.get(&path).await),
        json!({"ticket_days": 3650, "held_days": 365, "attachment_days": 180})
    );
    let refused =
        kept.served.post("/v1/tenants", &json!({"name": "Short", "retention": {"ticket_days": 1}})).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn what_is_here_is_told_by_age_and_what_would_go_before_it_goes() {
    let kept = Kept::new("retention_ages").await;
    kept.tickets(&[400, 40, 20, 8, 6, 5]).await;
    let hold = kept.send(Method::PUT, &format!("{}/hold", kept.ticket()), &json!({"reason": "graded"})).await;
    assert_eq!(hold.status, StatusCode::OK, "{hold:?}");
    let file = |id: u32, days: u32| {
        format!(
            "INSERT INTO files (tenant_id, connection_id, file_id, object, body, state, load, place, chunks, updated_at)
             SELECT tenant_id, connection_id, '00P{id}', 'Attachment', 'Body', 1, tenant_id, 'database', 0, now() - interval '{days} days'
               FROM object_syncs"
        )
    };
    kept.world.sql(&file(1, 200)).await;
    kept.world.sql(&file(2, 100)).await;
    let told = kept.served.get(&kept.path("retention")).await;
    assert_eq!(told.body["would_go"], json!({"tickets": 1, "held": 1, "attachments": 1}));
    assert_eq!(told.body["next_purge_at"], Value::Null, "no object of tickets was ever read");
    let ages = |class: usize| -> Vec<(Option<u64>, u64)> {
        let aged = told.body["kept"][class]["by_age"].as_array().unwrap();
        aged.iter().map(|one| (one["up_to_days"].as_u64(), one["tickets"].as_u64().unwrap())).collect()
    };
    let bounds = |counts: [u64; 7]| -> Vec<(Option<u64>, u64)> {
        [Some(7), Some(30), Some(90), Some(180), Some(365), Some(3650), None]
            .into_iter()
            .zip(counts)
            .collect()
    };
    assert_eq!(ages(0), bounds([2, 2, 1, 0, 0, 0, 0]));
    assert_eq!(ages(1), bounds([0, 0, 0, 0, 0, 1, 0]));

    let preview = async |policy: Value| {
        let told = kept.send(Method::POST, &kept.path("retention/preview"), &policy).await;
        assert_eq!(told.status, StatusCode::OK, "{told:?}");
        told.body["would_go"].clone()
    };
    let shorter = json!({"ticket_days": 7, "held_days": 500, "attachment_days": 90});
    assert_eq!(preview(shorter).await, json!({"tickets": 3, "held": 0, "attachments": 2}));
    let longest = json!({"ticket_days": 3650, "held_days": 7, "attachment_days": 3650});
    assert_eq!(
        preview(longest).await,
        json!({"tickets": 0, "held": 0, "attachments": 0}),
        "a hold never shortens"
    );
    assert_eq!(days(&told)["ticket_days"], 30, "a preview puts nothing in force");

    kept.world.sql("UPDATE connections SET state = 'active'").await;
    jobs_reconcile(&kept.world.db).await.unwrap();
    kept.world.sql("UPDATE checkpoints SET watermark_at = now()").await;
    jobs_reconcile(&kept.world.db).await.unwrap();
    let told = kept.served.get(&kept.path("retention")).await;
    assert!(told.body["next_purge_at"].is_string(), "{told:?}");
}

#[tokio::test]
async fn each_ticket_tells_when_and_why_it_expires_and_a_hold_puts_it_off() {
    let kept = Kept::new("retention_expires").await;
    kept.tickets(&[20]).await;
    let in_days = async |days: i64| {
        let sql = format!(
            "SELECT to_char(last_activity_at + interval '{days} days', 'YYYY-MM-DD') FROM tickets WHERE record_id = '{CASE}'"
        );
        kept.world.value(&sql).await
    };
    let stands = async |days: i64, class: &str, reason: Value| {
        let listed = kept.served.get(&kept.path("tickets")).await.body["tickets"][0].clone();
        let one = kept.served.get(&kept.ticket()).await.body;
        for ticket in [listed, one] {
            let expires = ticket["expires_at"].as_str().unwrap();
            assert!(expires.starts_with(&in_days(days).await), "{expires}");
            assert_eq!((&ticket["retention_class"], &ticket["hold_reason"]), (&json!(class), &reason));
            assert_eq!(ticket["held_at"].is_string(), reason.is_string());
        }
    };
    stands(30, "ticket", Value::Null).await;
    let hold = format!("{}/hold", kept.ticket());
    let held = kept.send(Method::PUT, &hold, &json!({"reason": " graded "})).await;
    assert_eq!(
        (held.status, &held.body["held"], &held.body["is_here"]),
        (StatusCode::OK, &json!(true), &json!(true))
    );
    stands(365, "held", json!("graded")).await;
    let since = held.body["held_at"].clone();
    let again = kept.send(Method::PUT, &hold, &json!({"reason": "an appeal"})).await;
    assert_eq!((&again.body["reason"], &again.body["held_at"]), (&json!("an appeal"), &since));
    let released = kept.served.ask(Method::DELETE, &hold, Some(&kept.served.operator), None).await;
    assert_eq!((released.status, &released.body["held"]), (StatusCode::OK, &json!(false)));
    stands(30, "ticket", Value::Null).await;

    for reason in ["", "  ", &"x".repeat(201)] {
        let refused = kept.send(Method::PUT, &hold, &json!({"reason": reason})).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{reason:?}");
    }
    let nowhere = kept.path(&format!("tickets/{}.500000000000009AAA/hold", kept.case));
    let missing = kept.send(Method::PUT, &nowhere, &json!({"reason": "graded"})).await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_ticket_that_left_says_why_and_so_does_the_feed() {
    let kept = Kept::new("retention_left").await;
    kept.tickets(&[40]).await;
    kept.world.sql("UPDATE tickets SET state = 2, reason = 2, expired = true, number = NULL").await;
    let ticket = kept.served.get(&kept.ticket()).await.body;
    assert_eq!((&ticket["state"], &ticket["reason"]), (&json!("deleted"), &json!("expired")));
    assert_eq!(ticket["expires_at"], Value::Null);
    let change = kept.served.get(&kept.path("changes")).await.body["changes"][0].clone();
    assert_eq!((&change["change"], &change["reason"]), (&json!("deleted"), &json!("expired")));

    // A hold on it makes the job due that brings it back.
    kept.world.sql("UPDATE connections SET state = 'active'").await;
    jobs_reconcile(&kept.world.db).await.unwrap();
    kept.world.sql("UPDATE checkpoints SET watermark_at = now()").await;
    jobs_reconcile(&kept.world.db).await.unwrap();
    kept.world.sql("UPDATE jobs SET available_at = now() + interval '1 hour'").await;
    let held = kept.send(Method::PUT, &format!("{}/hold", kept.ticket()), &json!({"reason": "graded"})).await;
    assert_eq!(held.body["is_here"], json!(false));
    let due = "SELECT count(*) FROM jobs WHERE kind = 'expire' AND available_at <= now()";
    assert_eq!(kept.world.value(due).await, "1");
}
