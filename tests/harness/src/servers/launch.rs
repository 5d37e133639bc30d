//! Starts a server so that it is in the ledger before it exists, and lets the watchdog loose.
//!
//! The child is a shell that waits for one line on its standard input, then becomes the server (`exec` keeps pid
//! and start time). The line is sent after the ledger is on disk. If the owner dies in between, the shell reads
//! end-of-file and ends without having started anything.

use std::fs::File;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use super::error::ServersError;
use super::ledger::{Ledger, OwnedProcess};
use super::place::{User, run_as};

/// What to start.
pub(crate) struct Launch<'a> {
    /// Its name in the ledger.
    pub(crate) name: &'a str,
    pub(crate) program: &'a Path,
    pub(crate) arguments: Vec<String>,
    /// The whole environment; nothing is inherited but PATH.
    pub(crate) environment: Vec<(&'static str, String)>,
    pub(crate) user: Option<User>,
    /// A directory that `user` may enter.
    pub(crate) directory: &'a Path,
    /// Both output streams go to the end of this file, so that no test runner waits for our server to close its pipe.
    pub(crate) log: &'a Path,
}

/// Starts the server, in a process group of its own: a Ctrl-C at the terminal is for us, not for the server.
pub(crate) fn launch(what: &Launch<'_>, ledger: &Ledger) -> Result<OwnedProcess, ServersError> {
    let log = File::options()
        .create(true)
        .append(true)
        .open(what.log)
        .map_err(ServersError::io("open", what.log))?;
    let errors = log.try_clone().map_err(ServersError::io("open", what.log))?;
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", "read -r go && [ \"$go\" = go ] && exec \"$@\" </dev/null", "sh"])
        .arg(what.program)
        .args(&what.arguments)
        .env_clear()
        .env("PATH", search_path())
        .env("LANG", "C.UTF-8")
        .envs(what.environment.iter().map(|(name, value)| (name, value)))
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(log)
        .stderr(errors);
    run_as(&mut command, what.user, what.directory);
    let mut child = command.spawn().map_err(ServersError::io("start", what.program))?;
    let gate = child.stdin.take();
    let process = OwnedProcess::of(what.name, child.id());
    // The only duty towards an ended child is to collect it, so that it does not look alive as a zombie.
    std::thread::spawn(move || child.wait());
    let process = process
        .ok_or_else(|| ServersError::io("start", what.program)(std::io::Error::other("it ended at once")))?;
    ledger.add(&process)?;
    gate.map_or(Ok(()), |mut gate| gate.write_all(b"go\n"))
        .map_err(ServersError::io("start", what.program))?;
    Ok(process)
}

/// PATH for servers and their scripts, which call the usual tools and `erl`.
pub(crate) fn search_path() -> String {
    let inherited = super::environment("PATH").unwrap_or_default();
    format!("{inherited}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/lib/erlang/bin")
}

/// Stops the servers of an instance when its last user has gone, whatever ended that user.
///
/// Users hold `clients.lock` (shared, or alone). The script waits until nobody does, gives latecomers `grace`
/// seconds, then, under `start.lock` so that nobody can arrive meanwhile, looks once more and stops what the ledger
/// proves to be ours. The ledger goes while the lock is held, so nobody takes an ending watchdog for a live one.
const WATCHDOG: &str = r#"
grace=$1
ours() { [ "$(sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f1,20 | sed 's/^[^Z] //')" = "$2" ]; }
each() {
  while read -r word name pid started; do
    [ "$word" = process ] && [ "$name" != watchdog ] && ours "$pid" "$started" && "$1" "$name" "$pid"
  done <ledger
}
gently() { case $1 in postgres) kill -s INT "$2" ;; epmd) ;; *) kill -s TERM "$2" ;; esac; }
hard() { kill -s KILL "$2"; }
count() { echo "$1"; }
running() { [ -n "$(each count)" ]; }
while :; do
  flock -x clients.lock true
  sleep "$grace"
  exec 8>>start.lock 9>>clients.lock
  flock -x 8
  if flock -n -x 9; then
    if running; then
      each gently
      n=0
      while [ "$(each count)" != epmd ] && running && [ $n -lt 100 ]; do sleep 0.1; n=$((n + 1)); done
      each hard
    fi
    rm -f ledger
    exit 0
  fi
  exec 8>&- 9>&-
done
"#;

/// Starts the watchdog of the instance in `directory`, unless it has one.
pub(crate) fn watch(directory: &Path, grace_seconds: u32, ledger: &Ledger) -> Result<(), ServersError> {
    if ledger.live("watchdog").is_some() {
        return Ok(());
    }
    let watchdog = Launch {
        name: "watchdog",
        program: Path::new("/bin/sh"),
        arguments: vec![
            "-c".to_owned(),
            WATCHDOG.to_owned(),
            "refrain-watchdog".to_owned(),
            grace_seconds.to_string(),
        ],
        environment: Vec::new(),
        user: None,
        directory,
        log: &directory.join("watchdog.log"),
    };
    launch(&watchdog, ledger).map(drop)
}
