//! One page is one transaction: all of it lasts, or nothing does.

use std::time::Duration;

use refrain_shared::job::lease::JobEnd;
use refrain_shared::job::{Lease, Position};
use refrain_shared::storage::StoreError;
use refrain_shared::storage::jobs::{AttemptReport, job_heartbeat};
use refrain_shared::storage::keys::suppressions_add;
use refrain_shared::storage::page_commit::{CheckpointMove, JobStep, PageCommit, PageCounts, QuarantineRow};
use refrain_shared::ticket::{FacetValue, Projected};
use serde_json::json;

use crate::fixture::{Pause, Store, Tenant, at, id, state_of};

/// A page that changes every table a page can change.
fn full_page<'a>(acme: &'a Tenant, lease: &'a Lease) -> PageCommit<'a> {
    let mut rows = vec![acme.case_row(1, 10), acme.case_row(2, 20)];
    if let Projected::Ticket(ticket) = &mut rows[0].projected {
        ticket.facets = vec![("product".to_owned(), FacetValue::Text("Kettle".to_owned()))];
    }
    let end = JobEnd::WaitFor { delay: Duration::from_secs(3600), reason: "cadence", attempt: 0 };
    let report =
        AttemptReport { outcome: "done", pages: 1, records_read: 6, written: 40, ..AttemptReport::default() };
    PageCommit {
        quarantined: vec![QuarantineRow {
            record_id: id("500", 3).to_string(),
            reason: "wrong_type",
            field: Some("CreatedDate".to_owned()),
            payload: vec![1],
            sample: None,
        }],
        counts: PageCounts {
            unchanged: 2,
            superseded: 1,
            quarantined: 1,
            late: 1,
            api_calls: 3,
            ..PageCounts::default()
        },
        moves: CheckpointMove::WindowDone { watermark: at(30) },
        step: JobStep::End(end, report),
        ..acme.page(lease, rows)
    }
}

#[tokio::test]
async fn a_page_commit_makes_rows_checkpoint_job_and_feed_last_together() {
    let store = Store::open("page_commit_all").await;
    let acme = Tenant::make(&store).await;
    let lease = acme.lease(acme.case).await;
    assert_eq!(acme.commit(full_page(&acme, &lease)).await.unwrap(), 2);

    let counted = "SELECT (SELECT count(*) FROM records) AS records, (SELECT count(*) FROM tickets) AS tickets,
                          (SELECT count(*) FROM ticket_facets) AS facets, (SELECT count(*) FROM quarantine) AS quarantine,
                          (SELECT head FROM tenant_feed) AS head";
    assert_eq!(
        acme.look_one(counted).await,
        json!({"records": 2, "tickets": 2, "facets": 1, "quarantine": 1, "head": 2})
    );
    let checkpoint = "SELECT records_read, written, unchanged, superseded, quarantined, suppressed, late, api_calls,
                             extract(epoch FROM watermark_at)::bigint AS watermark FROM checkpoints WHERE records_read > 0";
    assert_eq!(
        acme.look_one(checkpoint).await,
        json!({"records_read": 6, "written": 2, "unchanged": 2, "superseded": 1, "quarantined": 1, "suppressed": 0,
               "late": 1, "api_calls": 3, "watermark": at(30).timestamp()})
    );
    let job = "SELECT state, reason, lease_until, available_at > now() + interval '50 minutes' AS later FROM jobs WHERE kind <> 'retry'";
    assert_eq!(
        acme.look_one(job).await,
        json!({"state": 0, "reason": "cadence", "lease_until": null, "later": true})
    );
    let again =
        "SELECT state, available_at > now() + interval '23 hours' AS later FROM jobs WHERE kind = 'retry'";
    assert_eq!(
        acme.look_one(again).await,
        json!({"state": 0, "later": true}),
        "what was set aside has a job"
    );
    assert_eq!(
        acme.look_one("SELECT outcome, pages, written FROM job_attempts").await,
        json!({"outcome": "done", "pages": 1, "written": 42})
    );
}

#[tokio::test]
async fn a_commit_that_dies_at_its_last_moment_leaves_nothing_and_can_be_repeated() {
    let store = Store::open("page_commit_none").await;
    let acme = Tenant::make(&store).await;
    let lease = acme.lease(acme.case).await;
    let before = acme.everything().await;

    let (tenant, held) = (acme.clone(), lease.clone());
    let died = tokio::spawn(async move {
        let page =
            PageCommit { before_commit: || panic!("the process dies here"), ..full_page(&tenant, &held) };
        tenant.commit(page).await
    });
    assert!(died.await.unwrap_err().is_panic());

    assert_eq!(acme.everything().await, before);
    assert_eq!(acme.commit(full_page(&acme, &lease)).await.unwrap(), 2);
}

#[tokio::test]
async fn a_page_under_an_older_fence_or_epoch_changes_nothing() {
    let store = Store::open("page_commit_fence").await;
    let acme = Tenant::make(&store).await;
    for newer in ["fence = fence + 1", "epoch = epoch + 1", "state = 1, lease_until = NULL"] {
        let lease = acme.lease(acme.case).await;
        store.execute(&format!("UPDATE jobs SET {newer} WHERE job_id = {}", lease.job.0)).await;
        let before = acme.everything().await;

        let refused = acme.commit(full_page(&acme, &lease)).await;
        assert!(matches!(refused, Err(StoreError::FenceLost)), "{newer}: {refused:?}");
        let going_on = acme.commit(acme.page(&lease, vec![acme.case_row(1, 10)])).await;
        assert!(matches!(going_on, Err(StoreError::FenceLost)), "{newer}: {going_on:?}");
        let heartbeat = job_heartbeat(&acme.db, &lease).await;
        assert!(matches!(heartbeat, Err(StoreError::FenceLost)), "{newer}: {heartbeat:?}");
        assert_eq!(acme.everything().await, before, "{newer}");
    }
}

#[tokio::test]
async fn a_page_planned_under_another_gate_changes_nothing() {
    let store = Store::open("page_commit_gate").await;
    for what in ["suppression", "mapping", "key", "field set"] {
        let acme = Tenant::make(&store).await;
        let lease = acme.lease(acme.case).await;
        match what {
            "suppression" => suppressions_add(&acme.db, &acme.scope, &[[7; 16]]).await.unwrap(),
            "mapping" => move_gate(&store, &acme, "mapping_epoch = mapping_epoch + 1").await,
            "key" => move_gate(&store, &acme, "data_key_id = index_key_id").await,
            _ => drop(acme.new_field_set(acme.case).await),
        }
        let before = acme.everything().await;
        let refused = acme.commit(full_page(&acme, &lease)).await;
        assert!(matches!(refused, Err(StoreError::GateMoved { what: told }) if told == what), "{refused:?}");
        assert_eq!(acme.everything().await, before, "{what}");
    }
}

#[tokio::test]
async fn a_closed_tenant_takes_no_page() {
    let store = Store::open("page_commit_closed").await;
    let acme = Tenant::make(&store).await;
    let lease = acme.lease(acme.case).await;
    move_gate(&store, &acme, "state = 'closed'").await;
    let before = acme.everything().await;
    let refused = acme.commit(full_page(&acme, &lease)).await;
    assert!(matches!(refused, Err(StoreError::TenantClosed)), "{refused:?}");
    assert_eq!(acme.everything().await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_page_under_way_holds_the_gate_until_it_is_committed() {
    static PAUSE: Pause = Pause::new();
    let store = Store::open("page_commit_holds_gate").await;
    let acme = Tenant::make(&store).await;
    let lease = acme.lease(acme.case).await;
    let (tenant, held) = (acme.clone(), lease.clone());
    let page = tokio::spawn(async move {
        let page = PageCommit { before_commit: || PAUSE.stop(), ..full_page(&tenant, &held) };
        tenant.commit(page).await
    });
    PAUSE.reached().await;
    let tenant = acme.clone();
    let suppression =
        tokio::spawn(async move { suppressions_add(&tenant.db, &tenant.scope, &[[7; 16]]).await });
    store.until_waiting(1).await;

    PAUSE.release();
    assert_eq!(page.await.unwrap().unwrap(), 2, "the page came first");
    suppression.await.unwrap().unwrap();
    let gate = "SELECT suppression_epoch FROM tenant_gates";
    assert_eq!(acme.look_one(gate).await, json!({"suppression_epoch": acme.gate.suppression + 1}));
}

#[tokio::test]
async fn a_record_that_came_well_again_leaves_the_quarantine() {
    let store = Store::open("page_commit_heals").await;
    let acme = Tenant::make(&store).await;
    let lease = acme.lease(acme.case).await;
    acme.commit(full_page(&acme, &lease)).await.unwrap();
    acme.store(acme.case, vec![acme.case_row(3, 40)]).await;
    assert_eq!(acme.look("SELECT record_id FROM quarantine").await, Vec::<serde_json::Value>::new());
}

#[tokio::test]
async fn the_position_inside_a_window_is_kept_until_the_window_ends() {
    let store = Store::open("page_commit_position").await;
    let acme = Tenant::make(&store).await;
    let lease = acme.lease(acme.case).await;
    let position = Position { stamp: at(10), id: id("500", 1).to_string() };
    let moves = CheckpointMove::Inside { hi: at(50), position };
    acme.commit(PageCommit { moves, ..acme.page(&lease, vec![acme.case_row(1, 10)]) }).await.unwrap();
    let place = "SELECT position_id, position_stamp IS NOT NULL AS stamped, window_hi IS NOT NULL AS open,
                        watermark_at IS NOT NULL AS marked FROM checkpoints WHERE records_read > 0";
    let inside = json!({"position_id": id("500", 1), "stamped": true, "open": true, "marked": false});
    assert_eq!(acme.look_one(place).await, inside);

    let moves = CheckpointMove::WindowDone { watermark: at(50) };
    acme.commit(PageCommit { moves, ..acme.page(&lease, vec![]) }).await.unwrap();
    let done = json!({"position_id": null, "stamped": false, "open": false, "marked": true});
    assert_eq!(acme.look_one(place).await, done);
}

#[tokio::test]
async fn outcomes_that_do_not_sum_up_to_what_was_read_are_refused() {
    let store = Store::open("page_commit_sum").await;
    let acme = Tenant::make(&store).await;
    let control = acme.db.control().await.unwrap();
    for column in ["records_read", "written", "unchanged", "superseded", "quarantined", "suppressed"] {
        let sql = format!("UPDATE checkpoints SET {column} = {column} + 1");
        let refused = StoreError::at("checkpoint")(control.execute(&sql, &[]).await.unwrap_err());
        assert_eq!(state_of(&refused), "23514", "{column}");
    }
}

async fn move_gate(store: &Store, acme: &Tenant, set: &str) {
    store.execute(&format!("UPDATE tenant_gates SET {set} WHERE tenant_id = '{}'", acme.id())).await;
}
