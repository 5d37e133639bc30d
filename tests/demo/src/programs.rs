//! Builds the programs that the demo and the end-to-end tests run.

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
/// As [`cargo_build`].
pub async fn build() -> anyhow::Result<()> {
    cargo_build(&["--bins"]).await
}

/// `cargo build --workspace` of these targets, in the caller's own profile, so that they stand beside it.
///
/// # Errors
/// When cargo fails; what it said is on the terminal already.
pub async fn cargo_build(targets: &[&str]) -> anyhow::Result<()> {
    let mut cargo = Command::new(CARGO);
    cargo.args(["build", "--quiet", "--workspace"]).args(targets).current_dir(HERE);
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    // Standard output belongs to whoever reads our result.
    cargo.stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
    let status = cargo.status().await.with_context(|| format!("run {CARGO} build"))?;
    ensure!(
        status.success(),
        "cargo build --workspace {} ended with {status}; its messages are above",
        targets.join(" ")
    );
    Ok(())
}
