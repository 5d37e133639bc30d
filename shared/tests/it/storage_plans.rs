//! Plans of the hot statements under row-level security, in the role that runs them.
//!
//! The statements are the programs' own: each runs once through the storage layer, and the session then tells the text
//! it prepared. What the storage layer does not ask yet is spelled here as the index was made for it.

use std::time::Duration;

use deadpool_postgres::Object as Pooled;
use refrain_shared::storage::dispatch::{ClaimLimits, dispatch_claim};
use refrain_shared::storage::page_commit::page_commit;
use refrain_shared::storage::records::records_known;
use refrain_shared::storage::{Database, TenantTx};

use crate::fixture::{Store, Tenant, id};

/// 10,000 tickets with a record, a message and a facet each, for both tenants.
async fn fill(store: &Store, tenants: [&Tenant; 2]) {
    for tenant in tenants {
        let (own, connection) = (tenant.id(), tenant.connection.0);
        let (case, comment) = (tenant.case.id.0, tenant.comment.id.0);
        let key = format!("'{own}', '{connection}', {case}, '500' || lpad(n::text, 15, '0')");
        for sql in [
            format!(
                "INSERT INTO records (tenant_id, connection_id, object_id, record_id, modstamp, read_at, field_set_id, state,
                                      content_hash, payload)
                 SELECT {key}, now() - n * interval '1 minute', now(), 1, 0, '\\x00', '\\x00' FROM generate_series(1, 10000) n"
            ),
            format!(
                "INSERT INTO tickets (tenant_id, connection_id, object_id, record_id, state, status, last_activity_at,
                                      mapping_epoch, feed_seq)
                 SELECT {key}, 0, (ARRAY['New', 'Working', 'Closed'])[n % 3 + 1], now() - n * interval '1 minute', 0, n
                   FROM generate_series(1, 10000) n"
            ),
            format!(
                "INSERT INTO messages (tenant_id, connection_id, object_id, record_id, ticket_record_id, state,
                                       kind, direction, public, sent_at, characters)
                 SELECT '{own}', '{connection}', {comment}, '00a' || lpad(n::text, 15, '0'),
                        '500' || lpad(n::text, 15, '0'), 0, 'comment', 'inbound', true, now(), 5
                   FROM generate_series(1, 10000) n"
            ),
            format!(
                "INSERT INTO ticket_facets (tenant_id, connection_id, object_id, record_id, facet, text_value)
                 SELECT {key}, 'product', 'p' || n % 500 FROM generate_series(1, 10000) n"
            ),
            format!(
                "INSERT INTO jobs (tenant_id, connection_id, object_id, kind, class, available_at)
                 SELECT '{own}', '{connection}', {case}, 'incremental', 1,
                        now() + (n - 20) * interval '1 minute' FROM generate_series(1, 10000) n"
            ),
        ] {
            store.execute(&sql).await;
        }
    }
    store.owner().await.batch_execute("VACUUM ANALYZE").await.unwrap();
}

/// The plan of a statement that this session has prepared under its `-- name`, with these arguments.
async fn plan_of_prepared(
    tenant: Option<&Tenant>,
    client: &mut Pooled,
    name: &str,
    arguments: &str,
) -> String {
    let row = client
        .query_one(
            "SELECT name FROM pg_prepared_statements WHERE statement LIKE '-- ' || $1 || E'\\n%'",
            &[&name],
        )
        .await
        .unwrap();
    explain(tenant, client, &format!("EXECUTE \"{}\" {arguments}", row.get::<_, &str>(0))).await
}

async fn explain(tenant: Option<&Tenant>, client: &mut Pooled, sql: &str) -> String {
    let sql = format!("EXPLAIN (COSTS OFF) {sql}");
    let rows = match tenant {
        Some(tenant) => {
            let tx = TenantTx::begin(client, &tenant.scope).await.unwrap();
            tx.sql().query(&sql, &[]).await.unwrap()
        }
        None => client.query(&sql, &[]).await.unwrap(),
    };
    rows.iter().map(|row| row.get::<_, String>(0)).collect::<Vec<_>>().join("\n")
}

fn assert_indexed(plan: &str, table: &str, index: &str) {
    assert!(!plan.contains(&format!("Seq Scan on {table}")), "{table} is scanned whole:\n{plan}");
    assert!(plan.contains(index), "{index} is not used:\n{plan}");
}

async fn tenants(store: &Store) -> (Tenant, Database) {
    let (acme, umbra) = (Tenant::make(store).await, Tenant::make(store).await);
    fill(store, [&acme, &umbra]).await;
    // One session, so that what it prepared can be looked at.
    (acme, store.another(1))
}

#[tokio::test]
async fn a_pages_statements_use_indexes_under_row_level_security() {
    let store = Store::open("plans_page").await;
    let (acme, one) = tenants(&store).await;
    let ids: Vec<String> = (1..=50).map(|n| id("500", n).to_string()).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    records_known(&one, &acme.scope, acme.key(acme.case), &ids).await.unwrap();
    let lease = acme.lease(acme.comment).await;
    let mut client = one.tenant().await.unwrap();
    let page = acme.page(&lease, vec![acme.comment_row(1, 1, 10)]);
    page_commit(&mut client, page).await.unwrap();

    let (own, connection) = (acme.id(), acme.connection.0);
    let (case, comment) = (acme.case.id.0, acme.comment.id.0);
    let listed = ids.join(",");
    for (name, arguments, table, index) in [
        (
            "records_known",
            format!("('{own}', '{connection}', {case}, '{{{listed}}}')"),
            "records",
            "records_",
        ),
        (
            "messages_former_tickets",
            format!("('{own}', '{connection}', {comment}, '{{{listed}}}')"),
            "messages",
            "messages_",
        ),
        (
            "tickets_aggregate",
            format!("('{own}', '{connection}', 0, 1, '{{{case}}}', '{{{}}}')", ids[0]),
            "messages",
            "_ticket_record_id_",
        ),
        ("job_touch", format!("({}, 1, 1, 15, NULL)", lease.job.0), "jobs", "jobs_pkey"),
        ("feed_advance", format!("('{own}', 1)"), "nothing", "tenant_feed"),
    ] {
        let plan = plan_of_prepared(Some(&acme), &mut client, name, &arguments).await;
        assert_indexed(&plan, table, index);
    }
}

#[tokio::test]
async fn lists_of_tickets_use_the_indexes_that_were_made_for_them() {
    let store = Store::open("plans_lists").await;
    let (acme, one) = tenants(&store).await;
    let mut client = one.tenant().await.unwrap();
    let own = acme.id();
    let filtered = format!(
        "SELECT t.record_id FROM ticket_facets f JOIN tickets t USING (tenant_id, connection_id, object_id, record_id)
          WHERE f.tenant_id = '{own}' AND f.facet = 'product' AND f.text_value = 'p7'"
    );
    for (asked, table, index) in [
        (
            format!(
                "tickets WHERE tenant_id = '{own}' ORDER BY last_activity_at DESC, connection_id, object_id, record_id LIMIT 50"
            ),
            "tickets",
            "_last_activity_at_connection",
        ),
        (
            format!(
                "tickets WHERE tenant_id = '{own}' AND status = 'New' ORDER BY last_activity_at DESC LIMIT 50"
            ),
            "tickets",
            "_status_last_activity_at",
        ),
        (
            format!("tickets WHERE tenant_id = '{own}' AND feed_seq > 9900 ORDER BY feed_seq LIMIT 100"),
            "tickets",
            "_feed_seq",
        ),
        (
            format!("ticket_facets WHERE tenant_id = '{own}' AND facet = 'product' AND text_value = 'p7'"),
            "ticket_facets",
            "_facet_text_value",
        ),
        (
            format!(
                "messages WHERE tenant_id = '{own}' AND connection_id = '{}'
                   AND ticket_record_id = '500000000000000042' ORDER BY sent_at, object_id, record_id",
                acme.connection.0
            ),
            "messages",
            "_ticket_record_id_",
        ),
        (format!("({filtered}) found"), "tickets", "_facet_text_value"),
    ] {
        let plan = explain(Some(&acme), &mut client, &format!("SELECT * FROM {asked}")).await;
        assert_indexed(&plan, table, index);
        assert!(!plan.contains("Sort Key: tickets"), "the index gives the order:\n{plan}");
    }
}

#[tokio::test]
async fn the_dispatcher_walks_only_what_is_due() {
    let store = Store::open("plans_dispatch").await;
    let (_, one) = tenants(&store).await;
    let limits = ClaimLimits { batch: 100, unclaimed: Duration::from_secs(30) };
    dispatch_claim(&one, limits).await.unwrap();
    let mut client = one.control().await.unwrap();
    let plan = plan_of_prepared(None, &mut client, "dispatch_claim", "(100, 30)").await;
    assert_indexed(&plan, "jobs", "jobs_due");
    assert_indexed(&plan, "jobs", "jobs_tenant");
}
