//! The programs under test, built once in each run.

use demo::programs::cargo_build;
use tokio::sync::OnceCell;

/// The worker that can be made to stop at a crash point.
pub(crate) const WITH_CRASH_POINTS: &str = "worker-with-crash-points";

/// Cargo takes features of dev-dependencies into account as soon as examples are asked for (there are none), as it
/// does for `cargo test`: nothing that the tests were built with is compiled a second time.
const AS_FOR_TESTS: &str = "--examples";

static SHIPPED: OnceCell<()> = OnceCell::const_new();
static CRASHING: OnceCell<()> = OnceCell::const_new();

/// Scheduler, worker and simulator as they are shipped. `cargo test` alone would not build the worker's program.
pub(crate) async fn shipped() {
    SHIPPED.get_or_init(async || cargo_build(&["--bins", AS_FOR_TESTS]).await.unwrap()).await;
}

/// [`WITH_CRASH_POINTS`]: of all that is built, only the worker's own crate differs.
pub(crate) async fn with_crash_points() {
    shipped().await;
    let feature = "refrain-worker/test-util";
    let targets = ["--bin", WITH_CRASH_POINTS, AS_FOR_TESTS, "--features", feature];
    CRASHING.get_or_init(async || cargo_build(&targets).await.unwrap()).await;
}
