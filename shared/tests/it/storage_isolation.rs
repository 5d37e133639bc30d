//! One tenant's rows are out of another's reach, whatever the statement says, in every table there is.

use std::collections::BTreeSet;

use refrain_shared::storage::keys::suppressions_add;
use refrain_shared::storage::{StoreError, TenantTx};
use refrain_shared::ticket::{FacetValue, PersonRow, Projected};
use serde_json::{Value, json};

use crate::fixture::{Store, Tenant, state_of};

/// A tenant's content and its audit log: its own role only.
const CONTENT: [&str; 20] = [
    "agents",
    "audit_events",
    "audit_heads",
    "connection_secrets",
    "customers",
    "file_chunks",
    "files",
    "followed_parents",
    "messages",
    "missing_records",
    "parents_seen",
    "quarantine",
    "records",
    "scanned_records",
    "schema_changes",
    "stale_links",
    "suppressions",
    "ticket_facets",
    "tickets",
    "verifications",
];
/// A tenant's rows without content: its own role, and the control role for all tenants.
const CONTROL_OF_A_TENANT: [&str; 10] = [
    "checkpoints",
    "connections",
    "describes",
    "field_sets",
    "job_attempts",
    "jobs",
    "object_syncs",
    "tenant_feed",
    "tenant_gates",
    "tenant_keys",
];
/// The installation's own rows: the control role only.
const CONTROL: [&str; 6] = ["api_keys", "gates", "org_limits", "reaper_watch", "tenants", "workers"];
/// What the control plane's own role reads; what it changes is in the test of columns.
const INTENT: [&str; 8] = [
    "api_keys",
    "connections",
    "gates",
    "object_syncs",
    "tenant_feed",
    "tenant_gates",
    "tenant_keys",
    "tenants",
];
/// All may read which schema they meet.
const SCHEMA: [&str; 1] = ["_sqlx_migrations"];

const DENIED: &str = "42501";

fn of_a_tenant() -> impl Iterator<Item = &'static str> {
    CONTENT.into_iter().chain(CONTROL_OF_A_TENANT)
}

/// A tenant with at least one row in every table that holds tenants' rows.
async fn filled(store: &Store) -> Tenant {
    let tenant = Tenant::make(store).await;
    let mut case = tenant.case_row(1, 10);
    if let Projected::Ticket(ticket) = &mut case.projected {
        ticket.facets = vec![("product".to_owned(), FacetValue::Text("Kettle".to_owned()))];
    }
    let person = PersonRow { active: true, account_id: None, email: None };
    let (mut agent, mut customer) = (tenant.bare(tenant.case, 2, 10), tenant.bare(tenant.case, 3, 10));
    agent.projected = Projected::Agent(person.clone());
    customer.projected = Projected::Customer(person);
    tenant.store(tenant.case, vec![case, agent, customer]).await;
    tenant.store(tenant.comment, vec![tenant.comment_row(1, 1, 20)]).await;
    suppressions_add(&tenant.db, &tenant.scope, &[[7; 16]]).await.unwrap();
    let (id, connection, object) = (tenant.id(), tenant.connection.0, tenant.case.id.0);
    for sql in [
        format!("INSERT INTO quarantine VALUES ('{id}', '{connection}', {object}, '#1', 'wrong_type', NULL, now(), '')"),
        format!("INSERT INTO connection_secrets (tenant_id, connection_id, credentials) VALUES ('{id}', '{connection}', '')"),
        format!("INSERT INTO files (tenant_id, connection_id, file_id, object, body, state) VALUES ('{id}', '{connection}', '00P1', 'Attachment', 'Body', 0)"),
        format!("INSERT INTO file_chunks VALUES ('{id}', '{connection}', '00P1', '{connection}', 0, '')"),
        format!("INSERT INTO missing_records VALUES ('{id}', '{connection}', {object}, '#1', now())"),
        format!("INSERT INTO scanned_records VALUES ('{id}', '{connection}', {object}, '#1', now(), false)"),
        format!(
            "INSERT INTO verifications (tenant_id, connection_id, object_id, began_at, way, calls, balance, unexplained)
             VALUES ('{id}', '{connection}', {object}, now(), 'rest', 1, '{{}}', 0)"
        ),
        format!("INSERT INTO schema_changes (tenant_id, connection_id, object_id, kind) VALUES ('{id}', '{connection}', {object}, 'lost')"),
        format!("INSERT INTO followed_parents (tenant_id, connection_id, api_name, watermark_at) VALUES ('{id}', '{connection}', 'User', now())"),
        format!("INSERT INTO parents_seen VALUES ('{id}', '{connection}', '005', '')"),
        format!("INSERT INTO stale_links VALUES ('{id}', '{connection}', {object}, 'OwnerId', '005', now())"),
        format!("INSERT INTO describes VALUES ({object}, '{id}', '{{}}', '[]', NULL, now())"),
        format!(
            "INSERT INTO job_attempts (job_id, fence, tenant_id, kind, started_at, ended_at, outcome)
             SELECT job_id, fence, tenant_id, kind, now(), now(), 'done' FROM jobs WHERE tenant_id = '{id}' LIMIT 1"
        ),
    ] {
        run(&tenant, &sql).await.unwrap();
    }
    tenant
}

/// One statement in a transaction of the tenant; gives how many rows it touched.
async fn run(tenant: &Tenant, sql: &str) -> Result<u64, StoreError> {
    let mut client = tenant.db.tenant().await?;
    let tx = TenantTx::begin(&mut client, &tenant.scope).await?;
    let touched = tx.sql().execute(sql, &[]).await.map_err(StoreError::at("run"))?;
    tx.commit().await?;
    Ok(touched)
}

fn text_of(rows: &[Value], column: &str) -> BTreeSet<String> {
    rows.iter().map(|row| row[column].as_str().unwrap().to_owned()).collect()
}

async fn count(store: &Store, table: &str, tenant: &Tenant) -> Value {
    let sql = format!("SELECT count(*) AS rows FROM {table} WHERE tenant_id = '{}'", tenant.id());
    store.look(&sql).await.remove(0)
}

#[tokio::test]
async fn every_table_has_its_place() {
    let store = Store::open("isolation_places").await;
    let tables = store
        .look(
            "SELECT relname AS name FROM pg_class
              WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition",
        )
        .await;
    let placed: BTreeSet<String> = of_a_tenant().chain(CONTROL).chain(SCHEMA).map(str::to_owned).collect();
    assert_eq!(text_of(&tables, "name"), placed, "say in this test, and in the grants, whose a new table is");

    let readable = async |role: &str| {
        let sql = format!(
            "SELECT c.relname AS name FROM pg_class c
              WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
                AND (has_table_privilege('{role}', c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')
                     OR has_any_column_privilege('{role}', c.oid, 'SELECT, INSERT, UPDATE, REFERENCES'))"
        );
        text_of(&store.look(&sql).await, "name")
    };
    let named =
        |tables: &[&str]| tables.iter().copied().chain(SCHEMA).map(str::to_owned).collect::<BTreeSet<_>>();
    assert_eq!(readable("refrain_intent").await, named(&INTENT), "what people want, and nothing else");
    let control =
        CONTROL_OF_A_TENANT.into_iter().chain(CONTROL).chain(SCHEMA).filter(|table| *table != "api_keys");
    let control: BTreeSet<String> = control.map(str::to_owned).collect();
    assert_eq!(readable("refrain_control").await, control, "no grant of any kind on content, nor on a leaf");
    let tenant = of_a_tenant().chain(SCHEMA).map(str::to_owned).collect();
    assert_eq!(readable("refrain_tenant").await, tenant, "no grant of any kind on a leaf");

    let unforced = store
        .look(
            "SELECT relname AS name FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id'
              WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
                AND NOT (relrowsecurity AND relforcerowsecurity)",
        )
        .await;
    assert_eq!(text_of(&unforced, "name"), BTreeSet::from(["api_keys".to_owned(), "tenants".to_owned()]));
}

/// Every column of the control tables that a role may change; a table's name alone stands for all of its columns.
async fn changeable(store: &Store, role: &str) -> BTreeSet<String> {
    let sql = format!(
        "SELECT CASE WHEN bool_and(may) THEN name ELSE name || ' (' || string_agg(attname, ', ' ORDER BY attname)
                                                           FILTER (WHERE may) || ')' END AS name
           FROM (SELECT c.relname AS name, a.attname, has_column_privilege('{role}', c.oid, a.attname, 'UPDATE') AS may
                   FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
                  WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND NOT relispartition) columns
          GROUP BY name HAVING bool_or(may)"
    );
    text_of(&store.look(&sql).await, "name")
}

#[tokio::test]
async fn each_pool_changes_the_columns_it_owns_and_no_others() {
    let store = Store::open("isolation_columns").await;
    let named = |tables: &[&str]| tables.iter().map(|table| (*table).to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(
        changeable(&store, "refrain_intent").await,
        named(&[
            "api_keys",
            "connections",
            "gates",
            "object_syncs",
            "tenant_gates",
            "tenant_keys",
            "tenants"
        ])
    );
    assert_eq!(
        changeable(&store, "refrain_control").await,
        named(&[
            "checkpoints",
            "connections (ask, org_checked_at, state, state_since, updated_at)",
            "gates",
            "job_attempts",
            "jobs",
            "org_limits",
            "reaper_watch",
            "tenant_gates (mapping_epoch)",
            "workers",
        ])
    );
    let tenant = changeable(&store, "refrain_tenant").await;
    assert_eq!(
        tenant,
        named(&[
            "checkpoints",
            "connection_secrets",
            "describes",
            "field_sets",
            "followed_parents",
            "job_attempts",
            "jobs",
            "missing_records",
            "parents_seen",
            "scanned_records",
            "stale_links",
            "suppressions",
            "tenant_feed",
            "tenant_gates (mapping_epoch, suppression_epoch)",
        ])
    );
    // Not only on paper: each pool is refused the other's.
    let acme = filled(&store).await;
    let fleet = store.db.control().await.unwrap();
    for sql in [
        "UPDATE connections SET name = 'mine'",
        "UPDATE tenants SET name = 'mine'",
        "DELETE FROM object_syncs",
    ] {
        let refused = StoreError::at("fleet")(fleet.execute(sql, &[]).await.unwrap_err());
        assert_eq!(state_of(&refused), DENIED, "{sql}");
    }
    for sql in [
        "UPDATE jobs SET state = 0",
        "UPDATE checkpoints SET watermark_at = now()",
        "UPDATE tenant_feed SET head = 0",
    ] {
        let refused = sqlx::query(sql).execute(&store.control).await.unwrap_err();
        let state =
            refused.as_database_error().and_then(|error| error.code().map(std::borrow::Cow::into_owned));
        assert_eq!(state.as_deref(), Some(DENIED), "{sql}");
    }
    drop(acme);
}

#[tokio::test]
async fn content_keys_lead_with_tenant_connection_and_object_and_jobs_have_plain_indexes() {
    let store = Store::open("isolation_keys").await;
    let keys = store
        .look(
            "SELECT c.relname AS name, string_agg(a.attname, ',' ORDER BY k.n) AS columns,
                    min(co.collname) FILTER (WHERE a.attname IN ('record_id', 'file_id')) AS ids
               FROM pg_class c JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary
              CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY k (attnum, n)
               JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum
               LEFT JOIN pg_collation co ON co.oid = a.attcollation
              WHERE c.relkind = 'p' GROUP BY c.relname",
        )
        .await;
    assert_eq!(keys.len(), 9);
    for key in keys {
        let columns = key["columns"].as_str().unwrap();
        // A body belongs to whatever items name it, of one object or several.
        let is_of_files = key["name"].as_str().unwrap().starts_with("file");
        let lead = if is_of_files { "file_id" } else { "object_id,record_id" };
        assert!(columns.starts_with(&format!("tenant_id,connection_id,{lead}")), "{key}");
        assert_eq!(key["ids"], json!("C"), "Salesforce's ids have case: {key}");
    }
    // Each transition of a job would rewrite an index that names its state.
    let conditional = store
        .look("SELECT indexrelid::regclass::text AS name FROM pg_index WHERE indrelid = 'jobs'::regclass AND indpred IS NOT NULL")
        .await;
    assert_eq!(conditional, Vec::<Value>::new());
}

#[tokio::test]
async fn another_tenants_rows_are_invisible_and_untouchable_in_every_table() {
    let store = Store::open("isolation_rows").await;
    let (ours, theirs) = (filled(&store).await, filled(&store).await);
    for table in of_a_tenant() {
        let before = count(&store, table, &theirs).await;
        assert_ne!(before, json!({"rows": 0}), "{table} is not filled, so this proves nothing");
        let visible = format!("SELECT count(*) AS rows FROM {table}");
        assert_eq!(ours.look_one(&visible).await, count(&store, table, &ours).await, "{table}");

        let other = theirs.id();
        for sql in [
            format!("UPDATE {table} SET tenant_id = tenant_id WHERE tenant_id = '{other}'"),
            format!("DELETE FROM {table} WHERE tenant_id = '{other}'"),
        ] {
            match run(&ours, &sql).await {
                Ok(touched) => assert_eq!(touched, 0, "{sql}"),
                Err(error) => assert_eq!(state_of(&error), DENIED, "{sql}: {error}"),
            }
        }
        for sql in [
            format!("UPDATE {table} SET tenant_id = '{other}'"),
            format!(
                "INSERT INTO {table} OVERRIDING SYSTEM VALUE
                 SELECT (jsonb_populate_record(t, '{{\"tenant_id\": \"{other}\"}}')).* FROM {table} t LIMIT 1"
            ),
        ] {
            let refused = run(&ours, &sql).await.unwrap_err();
            assert_eq!(state_of(&refused), DENIED, "{sql}: {refused:?}");
        }
        assert_eq!(count(&store, table, &theirs).await, before, "{table}");
    }
}

#[tokio::test]
async fn without_a_tenant_nothing_is_visible() {
    let store = Store::open("isolation_none").await;
    filled(&store).await;
    let mut client = store.db.tenant().await.unwrap();
    for table in of_a_tenant() {
        let sql = format!("SELECT count(*) FROM {table}");
        let tx = client.transaction().await.unwrap();
        assert_eq!(tx.query_one(&sql, &[]).await.unwrap().get::<_, i64>(0), 0, "{table}");
    }
}

#[tokio::test]
async fn the_control_role_reads_no_content() {
    let store = Store::open("isolation_control").await;
    filled(&store).await;
    let client = store.db.control().await.unwrap();
    for table in CONTENT {
        for sql in
            [format!("SELECT FROM {table}"), format!("DELETE FROM {table}"), format!("TRUNCATE {table}")]
        {
            let refused = StoreError::at("content")(client.execute(&sql, &[]).await.unwrap_err());
            assert_eq!(state_of(&refused), DENIED, "{sql}");
        }
    }
}

#[tokio::test]
async fn the_tenant_role_reads_no_control_table_and_no_leaf() {
    let store = Store::open("isolation_leaves").await;
    let acme = filled(&store).await;
    let leaves =
        store.look("SELECT relname AS name FROM pg_class WHERE relispartition AND relkind = 'r'").await;
    let leaves = text_of(&leaves, "name");
    assert_eq!(leaves.len(), 9 * 8);
    for table in leaves.iter().map(String::as_str).chain(CONTROL) {
        let refused = run(&acme, &format!("SELECT FROM {table}")).await.unwrap_err();
        assert_eq!(state_of(&refused), DENIED, "{table}");
    }
    let control = store.db.control().await.unwrap();
    for leaf in &leaves {
        let refused = control.execute(&format!("SELECT FROM {leaf}"), &[]).await.unwrap_err();
        assert_eq!(state_of(&StoreError::at("leaf")(refused)), DENIED, "{leaf}");
    }
}

#[tokio::test]
async fn sessions_start_in_their_role() {
    let store = Store::open("isolation_roles").await;
    let intent: String =
        sqlx::query_scalar("SELECT current_user::text").fetch_one(&store.control).await.unwrap();
    assert_eq!(intent, "refrain_intent");
    let (control, tenant) = (store.db.control().await.unwrap(), store.db.tenant().await.unwrap());
    for (client, role) in [(control, "refrain_control"), (tenant, "refrain_tenant")] {
        let row =
            client.query_one("SELECT current_user::text, current_setting('timezone')", &[]).await.unwrap();
        assert_eq!((row.get::<_, &str>(0), row.get::<_, &str>(1)), (role, "UTC"));
    }
    let trusted = "SELECT 1 FROM pg_roles WHERE rolname LIKE 'refrain\\_%' AND (rolsuper OR rolbypassrls OR rolcanlogin)";
    assert_eq!(store.look(trusted).await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_tenant_does_not_survive_its_transaction_in_the_pool() {
    let store = Store::open("isolation_pool").await;
    let acme = filled(&store).await;
    let one = store.another(1);
    for ending in ["commit", "drop", "failure"] {
        let mut client = one.tenant().await.unwrap();
        let tx = TenantTx::begin(&mut client, &acme.scope).await.unwrap();
        match ending {
            "commit" => tx.commit().await.unwrap(),
            "failure" => {
                tx.sql().execute("SELECT 1 / 0", &[]).await.unwrap_err();
                drop(tx);
            }
            _ => drop(tx),
        }
        drop(client);
        let client = one.tenant().await.unwrap();
        let row = client
            .query_one(
                "SELECT coalesce(current_setting('app.tenant', true), ''), (SELECT count(*) FROM records)",
                &[],
            )
            .await
            .unwrap();
        assert_eq!((row.get::<_, &str>(0), row.get::<_, i64>(1)), ("", 0), "after {ending}");
    }
}
