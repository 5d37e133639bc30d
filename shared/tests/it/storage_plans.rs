//! Plans of the hot statements under row-level security, in the role that runs them.
//!
//! The statements are the programs' own: each runs once through the storage layer, and the session then tells the text
//! it prepared. What the storage layer does not ask yet is spelled here as the index was made for it. What a page
//! commit plans anew each time leaves nothing to look at: `storage_reads` counts what it touches.

use std::time::Duration;

use deadpool_postgres::Object as Pooled;
use refrain_shared::ids::WorkerId;
use refrain_shared::storage::content::ticket_list::{TicketCursor, TicketFilter, tickets_list};
use refrain_shared::storage::dispatch::{ClaimLimits, dispatch_claim, dispatch_stats, leases_reap};
use refrain_shared::storage::jobs::worker_heartbeat;
use refrain_shared::storage::page_commit::page_commit;
use refrain_shared::storage::{Database, TenantTx};

use crate::fixture::{Store, Tenant};

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
                "INSERT INTO jobs (tenant_id, connection_id, object_id, org_id, kind, class, available_at)
                 SELECT '{own}', '{connection}', {case}, '{}', 'incremental', 1,
                        now() + (n - 20) * interval '1 minute' FROM generate_series(1, 10000) n",
                tenant.org
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
async fn a_pages_prepared_statements_use_indexes_under_row_level_security() {
    let store = Store::open("plans_page").await;
    let (acme, one) = tenants(&store).await;
    let lease = acme.lease(acme.comment).await;
    let mut client = one.tenant().await.unwrap();
    let page = acme.page(&lease, vec![acme.comment_row(1, 1, 10)]);
    page_commit(&mut client, page).await.unwrap();

    let own = acme.id();
    for (name, arguments, table, index) in [
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

/// 24,000 tickets: all but eight are of one tier, so that beginning with it would fetch them all.
async fn skewed(store: &Store, tenant: &Tenant) {
    let key = format!(
        "'{}', '{}', {}, '500' || lpad(n::text, 12, '0') || 'AAA'",
        tenant.id(),
        tenant.connection.0,
        tenant.case.id.0
    );
    for sql in [
        format!(
            "INSERT INTO tickets (tenant_id, connection_id, object_id, record_id, state, status, last_activity_at,
                                  mapping_epoch, feed_seq)
             SELECT {key}, 0, (ARRAY['New', 'Closed'])[n % 2 + 1], now() - (n / 3) * interval '1 minute', 0, n
               FROM generate_series(1, 24000) n"
        ),
        format!(
            "INSERT INTO ticket_facets (tenant_id, connection_id, object_id, record_id, facet, text_value)
             SELECT {key}, 'tier', CASE WHEN n % 3000 = 7 THEN 'rare' ELSE 'common' END FROM generate_series(1, 24000) n"
        ),
        format!(
            "INSERT INTO ticket_facets (tenant_id, connection_id, object_id, record_id, facet, number_value)
             SELECT {key}, 'amount', n % 50 * 100 FROM generate_series(1, 24000) n"
        ),
        format!(
            "INSERT INTO ticket_facets (tenant_id, connection_id, object_id, record_id, facet, time_value)
             SELECT {key}, 'due', '2026-11-01T00:00:00Z'::timestamptz + n * interval '1 minute' FROM generate_series(1, 24000) n"
        ),
        format!(
            r#"UPDATE object_syncs SET settings = '{{"facets": [{{"name": "amount", "path": "Amount__c", "as": {{"number": {{"scale": 2}}}}}}]}}'
                WHERE object_id = {}"#,
            tenant.case.id.0
        ),
    ] {
        store.execute(&sql).await;
    }
    store.owner().await.batch_execute("VACUUM ANALYZE").await.unwrap();
}

fn by(facets: &[(&str, &str)]) -> TicketFilter {
    let facets = facets.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    TicketFilter { facets, ..TicketFilter::default() }
}

/// Every ticket of a list, page by page.
async fn pages(db: &Database, tenant: &Tenant, filter: &TicketFilter, limit: u16) -> Vec<String> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = tickets_list(db, &tenant.scope, tenant.keys.clone(), filter, after, limit).await.unwrap();
        all.extend(page.iter().map(|ticket| ticket.key.record.to_string()));
        match page.last() {
            Some(last) if page.len() == usize::from(limit) => {
                after = Some(TicketCursor { active_at: last.last_activity_at, key: last.key });
            }
            _ => return all,
        }
    }
}

#[tokio::test]
async fn a_rare_facet_is_where_its_list_begins_and_a_common_one_is_not() {
    let store = Store::open("plans_facets").await;
    let acme = Tenant::make(&store).await;
    skewed(&store, &acme).await;
    let one = store.another(1);
    pages(&one, &acme, &by(&[("tier", "rare"), ("amount", "7")]), 50).await;
    let mut client = one.tenant().await.unwrap();
    let count = "('%s', 'tier', 'rare', NULL, '{}', '{}', '{}', 100)".replace("%s", &acme.id().to_string());
    let plan = plan_of_prepared(Some(&acme), &mut client, "ticket_facet_count", &count).await;
    assert_indexed(&plan, "ticket_facets", "_facet_text_value");
    let none = "NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 50";
    let wanted = "'{tier}', '{rare}', '{NULL}', '{}', '{}', '{}', 'tier', 'rare', NULL";
    let arguments = format!("('{}', {none}, {wanted})", acme.id());
    let plan = plan_of_prepared(Some(&acme), &mut client, "tickets_by_facet", &arguments).await;
    assert_indexed(&plan, "ticket_facets", "_facet_text_value");
    assert_indexed(&plan, "tickets", "tickets_");
    assert!(!plan.contains("_last_activity_at"), "the activity index is not walked:\n{plan}");
    drop(client);

    // What few have is looked up; what most have is not, whatever else is asked.
    let looked_up = async || -> i64 {
        let client = one.tenant().await.unwrap();
        let sql = "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '-- tickets_by_facet%'";
        let prepared = client.query_one(sql, &[]).await.unwrap().get(0);
        client.batch_execute("DEALLOCATE ALL").await.unwrap();
        client.statement_cache.clear();
        prepared
    };
    assert_eq!(looked_up().await, 1);
    pages(&one, &acme, &by(&[("tier", "common")]), 200).await;
    assert_eq!(looked_up().await, 0);
}

#[tokio::test]
async fn both_ways_to_a_list_give_the_same_tickets_in_the_same_order() {
    let store = Store::open("plans_facet_order").await;
    let acme = Tenant::make(&store).await;
    skewed(&store, &acme).await;
    let truth = async |having: &str| -> Vec<String> {
        let sql = format!(
            "SELECT record_id FROM tickets t WHERE {having}
              ORDER BY last_activity_at DESC, connection_id, object_id, record_id"
        );
        let rows = store.look(&sql).await;
        rows.iter().map(|row| row["record_id"].as_str().unwrap().to_owned()).collect()
    };
    let facet = |name: &str, value: &str| {
        format!(
            "EXISTS (SELECT FROM ticket_facets f WHERE f.record_id = t.record_id AND facet = '{name}' AND {value})"
        )
    };
    let rare = facet("tier", "text_value = 'rare'");
    let common = facet("tier", "text_value = 'common'");
    let amount = facet("amount", "number_value = 700");
    let due = facet("due", "time_value = '2026-11-01T00:07:00Z'");
    for (filter, having, limit) in [
        (by(&[("tier", "rare")]), rare.clone(), 3),
        (by(&[("tier", "common")]), common.clone(), 200),
        (by(&[("amount", "7.00")]), amount.clone(), 100),
        (by(&[("amount", "7"), ("tier", "common")]), format!("{amount} AND {common}"), 7),
        (by(&[("due", "2026-11-01T00:07:00Z")]), due, 50),
        (by(&[("tier", "none of them")]), "false".to_owned(), 50),
        (
            TicketFilter { status: Some("New".to_owned()), ..by(&[("tier", "rare")]) },
            format!("status = 'New' AND {rare}"),
            2,
        ),
    ] {
        let told = pages(&acme.db, &acme, &filter, limit).await;
        assert_eq!(told, truth(&having).await, "{filter:?}");
    }
}

#[tokio::test]
async fn the_dispatcher_walks_only_what_is_due() {
    let store = Store::open("plans_dispatch").await;
    let (acme, one) = tenants(&store).await;
    let umbra = Tenant::make(&store).await;
    // Thousands of jobs of one org are due, and one of another tenant in another org.
    store
        .execute(&format!(
            "INSERT INTO jobs (tenant_id, connection_id, object_id, org_id, kind, class)
             SELECT '{}', '{}', {}, '{}', 'backfill', 3 FROM generate_series(1, 5000) n",
            acme.id(),
            acme.connection.0,
            acme.case.id.0,
            acme.org
        ))
        .await;
    store
        .execute(&format!(
            "INSERT INTO jobs (tenant_id, connection_id, object_id, org_id, kind, class)
             VALUES ('{}', '{}', {}, '00D000000000042AAA', 'backfill', 3)",
            umbra.id(),
            umbra.connection.0,
            umbra.case.id.0
        ))
        .await;
    worker_heartbeat(&one, WorkerId::generate(), 50, "test").await.unwrap();
    store.owner().await.batch_execute("VACUUM ANALYZE jobs").await.unwrap();
    let limits = ClaimLimits { batch: 100, unclaimed: Duration::from_secs(30) };
    let claimed = dispatch_claim(&one, limits).await.unwrap();
    let lonely = claimed.iter().filter(|claim| claim.tenant.0 == umbra.id()).count();
    assert_eq!((claimed.len(), lonely), (5, 1), "the lanes of the one org, and the job of the other");
    let mut client = one.control().await.unwrap();
    let arguments = "(100, 30, 4, '{expire,reproject}', '{0,1,2,3,4,5,6,7}')";
    let plan = plan_of_prepared(None, &mut client, "dispatch_claim", arguments).await;
    assert_indexed(&plan, "jobs", "jobs_due");
    assert_indexed(&plan, "jobs", "jobs_tenant");

    drop(client);
    dispatch_stats(&one).await.unwrap();
    leases_reap(&one).await.unwrap();
    let mut client = one.control().await.unwrap();
    for (name, arguments) in
        [("dispatch_stats", "(4, '{expire,reproject}')"), ("leases_reap", "(3, '{}', 2, 15, 5)")]
    {
        let plan = plan_of_prepared(None, &mut client, name, arguments).await;
        assert_indexed(&plan, "jobs", "jobs_due");
    }
}
