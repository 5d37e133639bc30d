//! Applying the schema: once, again, and from several places at the same moment.

use std::str::FromStr;

use harness::TestBed;
use refrain_shared::storage::migrations::{SchemaState, close, connect, schema_state};
use sqlx::postgres::PgConnectOptions;
use sqlx::{Executor, Row};

use crate::fixture::migrate;

async fn state(url: &str) -> SchemaState {
    let mut connection = connect(PgConnectOptions::from_str(url).unwrap()).await.unwrap();
    let state = schema_state(&mut connection).await.unwrap();
    close(connection).await;
    state
}

/// Every column, constraint, index, policy and grant, and when each migration was applied.
async fn described(url: &str) -> Vec<String> {
    const SQL: &str = "
        SELECT 'column ' || attrelid::regclass || '.' || attname || ' ' || atttypid::regtype || ' ' || attnotnull
          FROM pg_attribute JOIN pg_class c ON c.oid = attrelid WHERE relnamespace = 'public'::regnamespace AND attnum > 0
        UNION ALL SELECT 'constraint ' || conrelid::regclass || ' ' || pg_get_constraintdef(oid)
          FROM pg_constraint WHERE connamespace = 'public'::regnamespace
        UNION ALL SELECT 'index ' || indexdef FROM pg_indexes WHERE schemaname = 'public'
        UNION ALL SELECT 'policy ' || policyname || ' ' || tablename || ' ' || roles::text || ' ' || qual FROM pg_policies
        UNION ALL SELECT 'grant ' || relname || ' ' || coalesce(relacl::text, '') FROM pg_class
          WHERE relnamespace = 'public'::regnamespace
        UNION ALL SELECT 'migration ' || version || ' ' || installed_on FROM _sqlx_migrations
        ORDER BY 1";
    let mut connection = connect(PgConnectOptions::from_str(url).unwrap()).await.unwrap();
    let rows = sqlx::query(SQL).fetch_all(&mut connection).await.unwrap();
    close(connection).await;
    rows.iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn migrating_twice_changes_nothing_the_second_time() {
    let bed = TestBed::new("migrations_twice").await;
    migrate(bed.database_url().to_owned()).await.unwrap();
    let first = described(bed.database_url()).await;
    assert!(first.len() > 200, "{} lines", first.len());
    migrate(bed.database_url().to_owned()).await.unwrap();
    assert_eq!(described(bed.database_url()).await, first);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn four_at_once_apply_each_migration_once() {
    let bed = TestBed::new("migrations_at_once").await;
    let all: Vec<_> = (0..4).map(|_| tokio::spawn(migrate(bed.database_url().to_owned()))).collect();
    for one in all {
        one.await.unwrap().unwrap();
    }
    assert_eq!(state(bed.database_url()).await, SchemaState::Current);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_databases_of_one_server_migrate_at_the_same_moment() {
    let (one, two) = tokio::join!(TestBed::new("migrations_db_one"), TestBed::new("migrations_db_two"));
    let (first, second) =
        tokio::join!(migrate(one.database_url().to_owned()), migrate(two.database_url().to_owned()));
    first.unwrap();
    second.unwrap();
}

#[tokio::test]
async fn a_schema_that_this_build_does_not_expect_is_told_apart() {
    let bed = TestBed::new("migrations_state").await;
    let url = bed.database_url();
    let SchemaState::Behind(all) = state(url).await else { panic!("an empty database is behind") };
    assert!(all >= 4);
    migrate(url.to_owned()).await.unwrap();
    assert_eq!(state(url).await, SchemaState::Current);

    let mut owner = connect(PgConnectOptions::from_str(url).unwrap()).await.unwrap();
    owner
        .execute(
            "CREATE TABLE kept AS TABLE _sqlx_migrations;
             DELETE FROM _sqlx_migrations WHERE version = (SELECT max(version) FROM _sqlx_migrations)",
        )
        .await
        .unwrap();
    assert_eq!(state(url).await, SchemaState::Behind(1));
    owner
        .execute(
            "DELETE FROM _sqlx_migrations; INSERT INTO _sqlx_migrations TABLE kept;
             INSERT INTO _sqlx_migrations SELECT 99991231000000, description, now(), true, checksum, 1
               FROM kept LIMIT 1",
        )
        .await
        .unwrap();
    assert_eq!(state(url).await, SchemaState::Ahead(99_991_231_000_000));
    close(owner).await;
}
