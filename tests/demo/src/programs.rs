//! Builds the programs that are run as separate processes.

use std::process::Stdio;

use anyhow::{Context, ensure};
use tokio::process::Command;

/// The cargo that built this program, for when it is started without one.
const CARGO: &str = env!("CARGO");
/// Any directory of the workspace.
const HERE: &str = env!("CARGO_MANIFEST_DIR");

/// Makes sure that scheduler, worker and simulator are built from the sources that are there.
///
/// # Errors
/// When cargo fails; what it said is on the terminal already.
pub async fn build() -> anyhow::Result<()> {
    let mut cargo = Command::new(CARGO);
    cargo.args(["build", "--quiet", "--workspace", "--bins"]).current_dir(HERE);
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    // Standard output belongs to whoever reads our result.
    cargo.stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
    let status = cargo.status().await.with_context(|| format!("run {CARGO} build"))?;
    ensure!(status.success(), "cargo build --workspace --bins ended with {status}; its messages are above");
    Ok(())
}
