//! The schema: applying it, and refusing to run against one that this build does not know.

use sqlx::migrate::Migrator;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, Connection, PgConnection};

static MIGRATOR: Migrator = sqlx::migrate!("../migrations");

/// How the database's schema stands to this build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SchemaState {
    /// Just what this build expects.
    Current,
    /// Migrations are missing; this many.
    Behind(usize),
    /// A newer build has migrated; its version.
    Ahead(i64),
}

/// Opens one direct connection as the login itself, which owns the schema.
pub async fn connect(options: PgConnectOptions) -> Result<PgConnection, sqlx::Error> {
    options.application_name("refrain-migrate").connect().await
}

/// Applies what is missing; safe to run from several places at once.
pub async fn apply(connection: &mut PgConnection) -> Result<(), sqlx::migrate::MigrateError> {
    MIGRATOR.run_direct(None, connection, false).await
}

/// Compares the schema with this build.
pub async fn schema_state(connection: &mut PgConnection) -> Result<SchemaState, sqlx::Error> {
    let present: Option<String> = sqlx::query_scalar("SELECT to_regclass('_sqlx_migrations')::text")
        .fetch_one(&mut *connection)
        .await?;
    let known = MIGRATOR.iter().count();
    if present.is_none() {
        return Ok(SchemaState::Behind(known));
    }
    let applied: Vec<i64> =
        sqlx::query_scalar("SELECT version FROM _sqlx_migrations WHERE success ORDER BY version")
            .fetch_all(&mut *connection)
            .await?;
    if let Some(newer) = applied.iter().rev().find(|version| !MIGRATOR.version_exists(**version)) {
        return Ok(SchemaState::Ahead(*newer));
    }
    let missing = known - applied.len().min(known);
    Ok(if missing == 0 { SchemaState::Current } else { SchemaState::Behind(missing) })
}

/// Closes the connection in good order.
pub async fn close(connection: PgConnection) {
    // Nothing depends on the farewell: the server notices a closed socket as well.
    let _ = connection.close().await;
}
