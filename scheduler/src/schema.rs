//! Bringing the schema up to this build; every other start only checks it.

use refrain_shared::error::UserMessage;
use refrain_shared::start::{CannotStart, Exit, database_connect, schema_ahead};
use refrain_shared::storage::ConnectOptions;
use refrain_shared::storage::migrations::{self, SchemaState};

/// Applies what is missing; gives how many migrations that were.
pub async fn migrate(options: &ConnectOptions) -> Result<usize, CannotStart> {
    let failed = |why: String| CannotStart {
        exit: Exit::Failed,
        message: UserMessage::new(
            "migration_failed",
            "The schema could not be brought up to this build.",
            why,
            "Each migration is applied whole or not at all: remove the cause and run `scheduler migrate` again.",
        ),
    };
    let mut connection = database_connect(options).await?;
    let state = migrations::schema_state(&mut connection).await.map_err(|error| failed(error.to_string()))?;
    let done = match state {
        SchemaState::Current => Ok(0),
        SchemaState::Ahead(version) => Err(schema_ahead(version)),
        SchemaState::Behind(missing) => {
            migrations::apply(&mut connection).await.map_err(|error| failed(error.to_string()))?;
            Ok(missing)
        }
    };
    migrations::close(connection).await;
    done
}
