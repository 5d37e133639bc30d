//! Stops the children of a process that was killed.
//!
//! A small shell script waits for the end of its standard input, which is the end of whoever holds the other side
//! of the pipe, however it came. Then it kills the processes it was told of, each only if it is still the one it
//! was told of: same id, same start time.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Mutex;

use anyhow::Context;

const SCRIPT: &str = r#"
list=
while read -r pid started; do list="$list $pid:$started"; done
for it in $list; do
  pid=${it%%:*}
  [ "$(sed 's/.*) //' "/proc/$pid/stat" 2>/dev/null | cut -d' ' -f20)" = "${it#*:}" ] && kill -s KILL "$pid"
done
exit 0
"#;

/// The script and our end of its pipe.
#[derive(Debug)]
pub struct Guard {
    script: Child,
    pipe: Mutex<Option<ChildStdin>>,
}

impl Guard {
    /// Starts the script.
    ///
    /// # Errors
    /// When there is no shell.
    pub fn start() -> anyhow::Result<Self> {
        let mut script = Command::new("/bin/sh")
            .args(["-c", SCRIPT, "refrain-guard"])
            // A Ctrl-C at the terminal is for us, not for the guard.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("start the guard of the demo's processes")?;
        let pipe = Mutex::new(script.stdin.take());
        Ok(Self { script, pipe })
    }

    /// Names a child that must not outlive us.
    ///
    /// # Errors
    /// When the guard is gone.
    pub fn watch(&self, pid: u32) -> anyhow::Result<()> {
        // A child that has ended already needs no guard.
        let Some(started) = start_time(pid) else { return Ok(()) };
        let mut pipe = self.pipe.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let pipe = pipe.as_mut().context("the guard's pipe is closed")?;
        writeln!(pipe, "{pid} {started}").context("tell the guard of a process")
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.pipe.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take());
        // It ends at once now; waiting for it leaves no zombie.
        let _ = self.script.wait();
    }
}

/// Field 22 of `/proc/PID/stat`; the name in field 2 may hold anything, so counting starts behind it.
fn start_time(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    fn sleeper() -> Child {
        Command::new("sleep").arg("600").spawn().unwrap()
    }

    #[test]
    fn whoever_is_watched_ends_with_us_and_nobody_else_does() {
        let (mut watched, mut other) = (sleeper(), sleeper());
        let guard = Guard::start().unwrap();
        guard.watch(watched.id()).unwrap();
        drop(guard);
        assert_eq!(watched.wait().unwrap().signal(), Some(9));
        assert!(other.try_wait().unwrap().is_none(), "a process that was never named is left alone");
        other.kill().unwrap();
        other.wait().unwrap();
    }
}
