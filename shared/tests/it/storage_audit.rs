//! The audit log: written with the change or not at all, dense whoever writes at once, and out of everybody's reach.

use refrain_shared::audit::{Action, Anchor, Break, Event};
use refrain_shared::storage::audit::{audit_list, audit_verify, audit_write};
use refrain_shared::storage::control::retention::retention_set;
use refrain_shared::storage::{StoreError, TenantTx};
use serde_json::json;

use crate::fixture::{Store, Tenant, state_of};

const DENIED: &str = "42501";

async fn written(tenant: &Tenant, n: usize) {
    let control = tenant.db.control().await.unwrap();
    for n in 0..n {
        let event =
            Event::of(&tenant.scope, Action::SyncNow).object(tenant.case.id).details(json!({ "n": n }));
        audit_write(&control, tenant.scope.tenant(), &event).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn events_of_many_at_once_form_one_chain_and_those_of_changes_undone_are_none() {
    let store = Store::open("audit_chain").await;
    let (acme, other) = (Tenant::make(&store).await, Tenant::make(&store).await);
    let writers: Vec<_> = (0..12)
        .map(|writer| {
            let (acme, control) = (acme.clone(), store.control.clone());
            tokio::spawn(async move {
                if writer % 2 == 0 {
                    return written(&acme, 5).await;
                }
                for days in 7..12 {
                    let policy = serde_json::from_value(json!({ "ticket_days": days })).unwrap();
                    retention_set(&control, &acme.scope, &policy).await.unwrap();
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    let mut client = acme.db.tenant().await.unwrap();
    let tx = TenantTx::begin(&mut client, &acme.scope).await.unwrap();
    audit_write(tx.sql(), acme.scope.tenant(), &Event::of(&acme.scope, Action::HoldSet)).await.unwrap();
    drop(tx);
    let verified = audit_verify(&acme.db, &acme.scope, None).await.unwrap();
    assert_eq!((verified.events, verified.broken), (61, None), "with the one of the tenant's making");
    let newest = audit_list(&acme.db, &acme.scope, None, 3).await.unwrap();
    assert_eq!(newest.iter().map(|event| event.seq).collect::<Vec<_>>(), [61, 60, 59]);
    assert_eq!(newest[0].hash, verified.head);
    let older = audit_list(&acme.db, &acme.scope, Some(59), 200).await.unwrap();
    assert_eq!((older.len(), older[57].action.as_str()), (58, "tenant.create"));
    assert!(older.iter().any(|event| event.details["before"]["ticket_days"] == 3650), "what was before");
    assert_eq!(audit_verify(&other.db, &other.scope, None).await.unwrap().events, 1, "a chain of its own");
}

#[tokio::test]
async fn nobody_writes_changes_or_removes_an_event() {
    let store = Store::open("audit_grants").await;
    let (acme, other) = (Tenant::make(&store).await, Tenant::make(&store).await);
    let owner = store.owner().await;
    for role in ["refrain_intent", "refrain_control", "refrain_tenant"] {
        for sql in [
            "INSERT INTO audit_events SELECT * FROM audit_events",
            "UPDATE audit_events SET action = 'a.b'",
            "DELETE FROM audit_events",
            "TRUNCATE audit_events",
            "UPDATE audit_heads SET seq = 0",
            "DELETE FROM audit_heads",
            "TRUNCATE audit_heads",
        ] {
            owner.batch_execute(&format!("SET ROLE {role}")).await.unwrap();
            let refused = owner.execute(sql, &[]).await.unwrap_err();
            assert_eq!(
                refused.code().map(tokio_postgres::error::SqlState::code),
                Some(DENIED),
                "{role}: {sql}"
            );
            owner.batch_execute("RESET ROLE").await.unwrap();
        }
    }
    // The login that owns the table cannot by mistake, either.
    for sql in ["UPDATE audit_events SET action = 'a.b'", "DELETE FROM audit_events", "TRUNCATE audit_events"]
    {
        let refused = owner.execute(sql, &[]).await.unwrap_err();
        assert_eq!(refused.code().map(tokio_postgres::error::SqlState::code), Some(DENIED), "{sql}");
    }
    let mut client = acme.db.tenant().await.unwrap();
    let tx = TenantTx::begin(&mut client, &acme.scope).await.unwrap();
    let event = Event::of(&acme.scope, Action::HoldSet);
    let refused: StoreError = audit_write(tx.sql(), other.scope.tenant(), &event).await.unwrap_err();
    assert_eq!(state_of(&refused), DENIED, "another tenant's chain");
}

#[tokio::test]
async fn what_is_changed_with_all_rights_is_found_at_its_place() {
    let store = Store::open("audit_tampered").await;
    for (change, anchored, seq, what) in [
        ("UPDATE audit_events SET details = '{\"n\": 9}' WHERE seq = 3", false, 3, "changed"),
        ("UPDATE audit_events SET at = at + interval '1 microsecond' WHERE seq = 2", false, 2, "changed"),
        ("UPDATE audit_events SET object_id = NULL WHERE seq = 4", false, 4, "changed"),
        ("DELETE FROM audit_events WHERE seq = 3", false, 3, "missing"),
        ("DELETE FROM audit_events WHERE seq > 4", false, 5, "cut_off"),
        (
            "DELETE FROM audit_events WHERE seq > 4; UPDATE audit_heads h SET seq = 4, hash = e.hash FROM audit_events e
              WHERE e.tenant_id = h.tenant_id AND e.seq = 4",
            true,
            5,
            "cut_off",
        ),
    ] {
        let tenant = Tenant::make(&store).await;
        written(&tenant, 5).await;
        let newest = audit_list(&tenant.db, &tenant.scope, None, 1).await.unwrap().remove(0);
        let anchor = Anchor { seq: newest.seq, hash: newest.hash };
        let whole = audit_verify(&tenant.db, &tenant.scope, Some(&anchor)).await.unwrap();
        assert_eq!((whole.events, whole.broken), (6, None));
        let mine = format!(" AND tenant_id = '{}'", tenant.id());
        let change = change.replacen(" WHERE seq = 3", &format!(" WHERE seq = 3{mine}"), 1);
        let change = change.replacen(" WHERE seq = 2", &format!(" WHERE seq = 2{mine}"), 1);
        let change = change.replacen(" WHERE seq = 4", &format!(" WHERE seq = 4{mine}"), 1);
        let change = change.replacen(" WHERE seq > 4", &format!(" WHERE seq > 4{mine}"), 1);
        let owner = store.owner().await;
        owner.batch_execute(&format!("SET session_replication_role = replica; {change}")).await.unwrap();
        let found =
            audit_verify(&tenant.db, &tenant.scope, anchored.then_some(&anchor)).await.unwrap().broken;
        assert_eq!(found, Some(Break { seq, what }), "{change}");
    }
}
