//! The `servers` program, run as a developer would, and killed as a developer would.

use std::time::Duration;

use harness::process::{Program, Running, Signal};
use harness::wait::eventually;

use crate::{SOON, connect, query_text};

/// First starts on a loaded machine, packages included.
const START: Duration = Duration::from_mins(5);

/// Makes cargo build the program before this test.
const SERVERS: &str = env!("CARGO_BIN_EXE_servers");

async fn addresses(program: &Running) -> (String, String) {
    let line = eventually(START, "the servers' addresses", async || {
        let [stdout, _] = program.log_files();
        let text = std::fs::read_to_string(stdout).unwrap();
        assert!(program.exit_status().is_none(), "servers ended: {}", program.logs());
        text.ends_with('\n').then_some(text)
    })
    .await;
    let json: serde_json::Value = serde_json::from_str(&line).unwrap();
    let text = |key: &str| json[key].as_str().unwrap().to_owned();
    (text("database_url"), text("amqp_url"))
}

#[tokio::test]
async fn servers_run_until_asked_to_stop_and_leave_nothing_when_killed() {
    assert!(SERVERS.ends_with("/servers"));
    let name = format!("own-program-{}", std::process::id());
    let run = || Program::new("servers").arg("run").arg(&name).spawn("servers_run").unwrap();
    let first = run();
    let (database, broker) = addresses(&first).await;
    assert_eq!(query_text(&database, "SELECT 'up'").await.unwrap(), "up");
    connect(&broker).await.unwrap();

    first.signal(Signal::Kill);
    eventually(SOON, "the watchdog to stop what the killed owner left", async || {
        let gone = query_text(&database, "SELECT 'up'").await.is_err() && connect(&broker).await.is_err();
        gone.then_some(())
    })
    .await;

    let second = run();
    let (database, _) = addresses(&second).await;
    assert_eq!(query_text(&database, "SELECT 'up'").await.unwrap(), "up");
    let status = second.terminate(SOON).await.unwrap();
    assert!(status.success());
    assert!(query_text(&database, "SELECT 'up'").await.is_err());
}

#[tokio::test]
async fn a_wrong_command_line_explains_itself() {
    let program = Program::new("servers").arg("stop").spawn("servers_usage").unwrap();
    let status = program.wait_exit(SOON).await.unwrap();
    assert_eq!(status.code(), Some(64));
    assert!(program.logs().contains("usage: servers run"));
}
