//! How much of the stored content one page reads, whatever the statistics say.
//!
//! A planner that knows a table's tenants takes one that it does not know for empty; then every index looks as good
//! as the right one, and each page reads all that the tenant has. A session may also keep a plan from when there was
//! nothing. Here pages are committed under such statistics, and the server's own counters tell what they touched.

use refrain_shared::clock::Clock;
use refrain_shared::record::StateReason;
use refrain_shared::storage::chunks::ChunkStore;
use refrain_shared::storage::expiry::{Expire, Expired, tickets_expire};
use refrain_shared::storage::page_commit::{PageRow, page_commit};
use refrain_shared::storage::records::records_known;
use refrain_shared::storage::{Database, TenantTx};
use tokio_postgres::Client;

use crate::fixture::{Object, Store, Tenant, at};

/// Tickets, with a record, a message and two facets each, of a filled tenant; and comments in quarantine.
const TICKETS: usize = 10_000;
/// Rows of a measured page.
const PAGE: usize = 50;
/// Rows: more than any such page needs, and far less than reading all rows of a table once.
const FEW: i64 = 1_250;
/// A session tells its counters at a transaction's end, but once in a second only unless asked.
const TELL: &str = "SELECT pg_stat_force_next_flush()";

/// A database in which nobody gathers statistics, or touches a block, unless the test says so.
async fn open(test: &str) -> Store {
    const SQL: &str = "DO $$
        DECLARE leaf regclass;
        BEGIN
            FOR leaf IN SELECT oid FROM pg_class WHERE relispartition AND relkind = 'r' LOOP
                EXECUTE format('ALTER TABLE %s SET (autovacuum_enabled = false)', leaf);
            END LOOP;
        END $$";
    let store = Store::open(test).await;
    store.owner().await.batch_execute(SQL).await.unwrap();
    store
}

async fn fill(store: &Store, tenant: &Tenant) {
    let (own, connection) = (tenant.id(), tenant.connection.0);
    let (case, comment) = (tenant.case.id.0, tenant.comment.id.0);
    let ticket = "('500' || lpad(n::text, 12, '0') || 'AAA')";
    let message = "('00a' || lpad(n::text, 12, '0') || 'AAA')";
    for sql in [
        format!(
            "INSERT INTO records (tenant_id, connection_id, object_id, record_id, modstamp, read_at, field_set_id, state,
                                  content_hash, payload)
             SELECT '{own}', '{connection}', object, id, '{old}', '{old}', 1, 0, '\\x00', '\\x00'
               FROM generate_series(1, {TICKETS}) n, LATERAL (VALUES ({case}, {ticket}), ({comment}, {message})) o (object, id)",
            old = at(0)
        ),
        format!(
            "INSERT INTO tickets (tenant_id, connection_id, object_id, record_id, state, status, last_activity_at,
                                  mapping_epoch, feed_seq)
             SELECT '{own}', '{connection}', {case}, {ticket}, 0, 'New', now() - n * interval '1 minute', 0, n
               FROM generate_series(1, {TICKETS}) n"
        ),
        format!(
            "INSERT INTO messages (tenant_id, connection_id, object_id, record_id, ticket_record_id, state,
                                   kind, direction, public, sent_at, characters)
             SELECT '{own}', '{connection}', {comment}, {message}, {ticket}, 0, 'comment', 'inbound', true, now(), 5
               FROM generate_series(1, {TICKETS}) n"
        ),
        format!(
            "INSERT INTO ticket_facets (tenant_id, connection_id, object_id, record_id, facet, text_value)
             SELECT '{own}', '{connection}', {case}, {ticket}, facet, 'p' || n % 500
               FROM generate_series(1, {TICKETS}) n, unnest('{{product,tier}}'::text[]) facet"
        ),
        format!(
            "INSERT INTO quarantine (tenant_id, connection_id, object_id, record_id, reason, read_at)
             SELECT '{own}', '{connection}', {comment}, {message}, 'schema', now() FROM generate_series(20, {TICKETS}) n"
        ),
    ] {
        execute(store, &sql).await;
    }
}

/// Runs it, and waits until its counters are told: a session that ends tells them some time later.
async fn execute(store: &Store, sql: &str) {
    let owner = store.owner().await;
    owner.batch_execute(sql).await.unwrap();
    owner.batch_execute(TELL).await.unwrap();
}

/// A session of a worker, and what it touches.
struct Session<'a> {
    one: Database,
    owner: Client,
    tenant: &'a Tenant,
}

impl<'a> Session<'a> {
    async fn open(store: &Store, tenant: &'a Tenant) -> Self {
        Self { one: store.another(1), owner: store.owner().await, tenant }
    }

    /// Commits pages of known and new comments and cases, as a worker does; gives the most rows that one of them
    /// fetched, and the most blocks.
    async fn pages(&self, first: usize, rows: usize) -> (i64, i64) {
        let numbers = || (first..first + rows).chain(TICKETS + first..TICKETS + first + rows);
        let tenant = self.tenant;
        let comments = numbers().map(|n| tenant.comment_row(n, n, 10)).collect();
        let cases = numbers().map(|n| tenant.case_row(n, 10)).collect();
        let comments = self.page(tenant.comment, comments).await;
        let cases = self.page(tenant.case, cases).await;
        (comments.0.max(cases.0), comments.1.max(cases.1))
    }

    async fn page(&self, object: Object, rows: Vec<PageRow>) -> (i64, i64) {
        let before = self.touched().await;
        let ids: Vec<String> = rows.iter().map(|row| row.record.id.to_string()).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        records_known(&self.one, &self.tenant.scope, self.tenant.key(object), &ids).await.unwrap();
        let lease = self.tenant.lease(object).await;
        let mut client = self.one.tenant().await.unwrap();
        page_commit(&mut client, self.tenant.page(&lease, rows)).await.unwrap();
        drop(client);
        let after = self.touched().await;
        (after.0 - before.0, after.1 - before.1)
    }

    /// Rows and blocks of content tables that anybody touched so far.
    async fn touched(&self) -> (i64, i64) {
        const SQL: &str = "
            SELECT sum(s.seq_tup_read + (SELECT sum(i.idx_tup_read) FROM pg_stat_user_indexes i WHERE i.relid = s.relid))::bigint,
                   sum(io.heap_blks_read + io.heap_blks_hit + io.idx_blks_read + io.idx_blks_hit)::bigint
              FROM pg_stat_user_tables s JOIN pg_statio_user_tables io USING (relid)
             WHERE s.relname ~ '^(records|tickets|messages|ticket_facets|quarantine)_[0-9]+$'";
        let mut client = self.one.tenant().await.unwrap();
        let tx = TenantTx::begin(&mut client, &self.tenant.scope).await.unwrap();
        tx.sql().execute(TELL, &[]).await.unwrap();
        tx.commit().await.unwrap();
        let row = self.owner.query_one(SQL, &[]).await.unwrap();
        (row.get(0), row.get(1))
    }
}

/// A tenant of the same leaf as this one.
async fn neighbour(store: &Store, of: &Tenant) -> Tenant {
    const SQL: &str = "SELECT count(*) = 1 FROM generate_series(0, 7) r
                        WHERE satisfies_hash_partition('messages'::regclass, 8, r, $1::uuid)
                          AND satisfies_hash_partition('messages'::regclass, 8, r, $2::uuid)";
    let owner = store.owner().await;
    loop {
        let tenant = Tenant::make(store).await;
        if owner.query_one(SQL, &[&of.id(), &tenant.id()]).await.unwrap().get(0) {
            return tenant;
        }
    }
}

async fn analyse(store: &Store) {
    execute(store, "VACUUM ANALYZE").await;
}

fn assert_few(what: &str, (rows, blocks): (i64, i64)) {
    println!("{what}: {rows} rows, {blocks} blocks");
    assert!(rows <= FEW, "{what}: a page of {} rows fetched {rows} rows", 2 * PAGE);
    assert!(blocks <= 8 * FEW, "{what}: a page of {} rows touched {blocks} blocks", 2 * PAGE);
}

#[tokio::test]
async fn a_page_reads_little_beside_tenants_that_the_statistics_know() {
    let store = open("reads_beside").await;
    let known = Tenant::make(&store).await;
    let (also, unknown) = (neighbour(&store, &known).await, neighbour(&store, &known).await);
    fill(&store, &known).await;
    fill(&store, &also).await;
    analyse(&store).await;
    fill(&store, &unknown).await;
    assert_few("known", Session::open(&store, &known).await.pages(1, PAGE).await);
    assert_few("unknown", Session::open(&store, &unknown).await.pages(1, PAGE).await);
    analyse(&store).await;
    assert_few("known by now", Session::open(&store, &unknown).await.pages(200, PAGE).await);
}

#[tokio::test]
async fn a_page_reads_little_where_no_statistics_are() {
    let store = open("reads_without").await;
    let alone = Tenant::make(&store).await;
    fill(&store, &alone).await;
    assert_few("alone", Session::open(&store, &alone).await.pages(1, PAGE).await);
}

#[tokio::test]
async fn a_page_reads_little_in_a_session_that_planned_for_nothing() {
    let store = open("reads_planned").await;
    let early = Tenant::make(&store).await;
    analyse(&store).await;
    let session = Session::open(&store, &early).await;
    // A prepared statement is planned for good after some uses.
    for n in 0..12 {
        session.pages(TICKETS / 2 + n, 1).await;
    }
    for table in ["records", "tickets", "messages", "ticket_facets"] {
        execute(&store, &format!("DELETE FROM {table} WHERE tenant_id = '{}'", early.id())).await;
    }
    fill(&store, &early).await;
    assert_few("planned early", session.pages(1, PAGE).await);
}

#[tokio::test]
async fn a_page_reads_little_with_statistics_from_when_there_was_little() {
    let store = open("reads_few").await;
    let grown = Tenant::make(&store).await;
    let session = Session::open(&store, &grown).await;
    session.pages(TICKETS * 3, 12).await;
    analyse(&store).await;
    fill(&store, &grown).await;
    assert_few("grown", session.pages(1, PAGE).await);
}

#[tokio::test]
async fn a_purge_reads_little_whatever_the_statistics_say() {
    let store = open("reads_purge").await;
    let known = Tenant::make(&store).await;
    let unknown = neighbour(&store, &known).await;
    fill(&store, &known).await;
    analyse(&store).await;
    fill(&store, &unknown).await;
    let over = "last_activity_at = now() - interval '20 years'";
    // Of what is outside of a filter the record is a stub by then, and what belongs to it is here.
    let outside = "state = 2, reason = 1, expired = false";
    let ways = [(StateReason::Expired, over, 1, 50), (StateReason::Filtered, outside, 2, 0)];
    for ((what, tenant), (why, set, part, tickets)) in
        [("known", &known), ("unknown", &unknown)].into_iter().flat_map(|who| ways.map(|way| (who, way)))
    {
        let id = |n: usize| format!("'500' || lpad('{n}', 12, '0')");
        let due = format!(
            "UPDATE tickets SET {set}
              WHERE tenant_id = '{}' AND record_id > {} || 'ZZZ' AND record_id <= {} || 'ZZZ'",
            tenant.id(),
            id(PAGE * (part - 1)),
            id(PAGE * part)
        );
        execute(&store, &due).await;
        let counts =
            "UPDATE checkpoints SET live = 10000, items = 10000; UPDATE tenant_feed SET tickets = 10000";
        execute(&store, counts).await;
        let session = Session::open(&store, tenant).await;
        let before = session.touched().await;
        let lease = tenant.lease(tenant.case).await;
        let mut client = session.one.tenant().await.unwrap();
        let expire = Expire {
            lease: &lease,
            why,
            now: Clock::system().now(),
            each: i64::try_from(PAGE).unwrap(),
            shells: true,
            chunks: &ChunkStore::default(),
            progress: &serde_json::json!({}),
            before_commit: || {},
        };
        let left = tickets_expire(&mut client, &expire).await.unwrap();
        assert_eq!(left, Expired::Left { tickets, records: 100 }, "{why:?}");
        drop(client);
        let after = session.touched().await;
        assert_few(what, (after.0 - before.0, after.1 - before.1));
    }
}
