//! The operator's API key, made at the first start and written to a file that only its owner may read.
//!
//! It is never logged. The file is written before the hash is stored: a crash between the two leaves a file
//! whose key is registered at the next start, never a key that nobody has.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::Context as _;
use refrain_shared::error::UserMessage;
use refrain_shared::start::{CannotStart, Exit};
use refrain_shared::storage::control::ControlPool;
use refrain_shared::storage::control::api_keys::{operator_key_create, operator_key_exists};

use crate::api::key::ApiKey;

/// Makes sure that there is an operator's key.
pub async fn ensure(pool: &ControlPool, file: &Path) -> anyhow::Result<()> {
    if operator_key_exists(pool).await.context("look for an operator's key")? {
        return Ok(());
    }
    let key = match std::fs::read_to_string(file) {
        Ok(text) => text
            .trim()
            .parse::<ApiKey>()
            .map_err(|error| unusable(file, format!("It holds something else: {error}.")))?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => write_new(file)?,
        Err(error) => return Err(unusable(file, format!("It cannot be read: {error}.")).into()),
    };
    operator_key_create(pool, key.id(), "first operator", &key.secret_hash())
        .await
        .context("store the operator's key")?;
    tracing::info!(file = %file.display(), key = %key.id(), "made the operator's API key");
    Ok(())
}

fn unusable(file: &Path, why: String) -> CannotStart {
    CannotStart {
        exit: Exit::Config,
        message: UserMessage::new(
            "operator_key_file",
            format!("The operator's key file {} cannot be used.", file.display()),
            why,
            "Set http.operator_key_file to a place that this user may write, or remove the file to get a new key.",
        ),
    }
}

fn write_new(file: &Path) -> anyhow::Result<ApiKey> {
    let key = ApiKey::generate().context("make the operator's key")?;
    let mut out = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)
        .map_err(|error| unusable(file, format!("It cannot be written: {error}.")))?;
    writeln!(out, "{}", key.expose().expose())
        .and_then(|()| out.sync_all())
        .context("write the operator's key")?;
    Ok(key)
}
