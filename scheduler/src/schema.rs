//! The schema's version: pods only check it, `scheduler migrate` changes it.

use anyhow::Context as _;
use refrain_shared::error::UserMessage;
use refrain_shared::storage::ConnectOptions;
use refrain_shared::storage::control::login_options;
use refrain_shared::storage::migrations::{self, SchemaState};

/// Applies what is missing; gives how many migrations that were.
pub async fn migrate(options: &ConnectOptions) -> anyhow::Result<Result<usize, UserMessage>> {
    let mut connection = migrations::connect(login_options(options)?).await.context("reach PostgreSQL")?;
    let state = migrations::schema_state(&mut connection).await.context("read the schema's version")?;
    let done = match state {
        SchemaState::Current => Ok(0),
        SchemaState::Ahead(version) => Err(ahead(version)),
        SchemaState::Behind(missing) => {
            migrations::apply(&mut connection).await.context("apply the migrations")?;
            Ok(missing)
        }
    };
    migrations::close(connection).await;
    Ok(done)
}

/// `Err` when this build cannot work with the schema as it is.
pub async fn check(options: &ConnectOptions) -> anyhow::Result<Result<(), UserMessage>> {
    let mut connection = migrations::connect(login_options(options)?).await.context("reach PostgreSQL")?;
    let state = migrations::schema_state(&mut connection).await.context("read the schema's version")?;
    migrations::close(connection).await;
    Ok(match state {
        SchemaState::Current => Ok(()),
        SchemaState::Ahead(version) => Err(ahead(version)),
        SchemaState::Behind(missing) => Err(UserMessage::new(
            "schema_behind",
            format!("The database's schema is {missing} migration(s) behind this build."),
            "Programs never change the schema by themselves, so that a rollout cannot surprise a database.",
            "Run `scheduler migrate` with this build, then start again (or start with --migrate).",
        )),
    })
}

fn ahead(version: i64) -> UserMessage {
    UserMessage::new(
        "schema_ahead",
        format!("The database's schema has version {version}, which this build does not know."),
        "A newer build has migrated it; an older one might write what the newer cannot read.",
        "Start a build at least as new as the one that migrated.",
    )
}
