//! Which processes are ours, and the proof.
//!
//! A process is ours when its pid *and* its start time (field 22 of `/proc/PID/stat`) *and* the machine's boot id are
//! in the instance's ledger file. The line is written before the server exists (see [`super::launch`]), so there
//! is no moment at which a killed owner leaves a server that nobody can prove. Nothing else is ever signalled.
//!
//! The ledger is lines of text because the watchdog, a shell script, reads it too:
//! `boot <id>` and `process <name> <pid> <start time>`.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use super::error::ServersError;
use crate::wait::until_blocking;

/// A process that was started by this harness.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OwnedProcess {
    pub(crate) name: String,
    pub(crate) pid: u32,
    pub(crate) started: u64,
}

impl OwnedProcess {
    /// The identity of a process that runs now.
    pub(crate) fn of(name: &str, pid: u32) -> Option<Self> {
        let started = stat(pid)?.started;
        Some(Self { name: name.to_owned(), pid, started })
    }

    /// Whether this very process still runs. A pid given to somebody else since then does not count.
    pub(crate) fn is_alive(&self) -> bool {
        stat(self.pid).is_some_and(|now| now.started == self.started && now.state != 'Z')
    }

    /// Sends a signal, named as in `kill -NAME`, if the process is still ours.
    pub(crate) fn signal(&self, name: &str) {
        if self.is_alive() {
            signal_pid(self.pid, name);
        }
    }

    /// Waits until the process and the children it had are gone.
    fn wait_gone(&self, children: &[OwnedProcess], deadline: Duration) -> bool {
        until_blocking(deadline, "a server to end", || {
            (!self.is_alive() && !children.iter().any(Self::is_alive)).then_some(())
        })
        .is_ok()
    }

    /// Ends the process: `gentle` first, SIGKILL when it has not gone within `patience`. Returns when its children
    /// are gone too, because a database refuses to start beside the backends of its predecessor.
    pub(crate) fn stop(&self, gentle: &str, patience: Duration) {
        let children = self.children();
        self.signal(gentle);
        if !self.wait_gone(&children, patience) {
            self.signal("KILL");
            for child in &children {
                child.signal("KILL");
            }
            self.wait_gone(&children, Duration::from_secs(10));
        }
    }

    fn children(&self) -> Vec<Self> {
        let Ok(entries) = std::fs::read_dir("/proc") else {
            return Vec::new();
        };
        entries
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
            .filter_map(|pid| Some((pid, stat(pid)?)))
            .filter(|(_, stat)| stat.parent == self.pid)
            .map(|(pid, stat)| Self { name: self.name.clone(), pid, started: stat.started })
            .collect()
    }
}

/// Signals any pid, through the shell's own `kill`: small images have no `kill` program.
pub(crate) fn signal_pid(pid: u32, name: &str) {
    let _ = Command::new("/bin/sh")
        .args(["-c", "kill -s \"$1\" \"$2\"", "sh", name, &pid.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
}

struct Stat {
    state: char,
    parent: u32,
    started: u64,
}

fn stat(pid: u32) -> Option<Stat> {
    parse_stat(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The name in parentheses may hold blanks and parentheses, so fields are counted from the last one.
fn parse_stat(text: &str) -> Option<Stat> {
    let (_, rest) = text.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    Some(Stat {
        state: fields.first()?.chars().next()?,
        parent: fields.get(1)?.parse().ok()?,
        started: fields.get(19)?.parse().ok()?,
    })
}

/// The id of this boot of the machine; start times mean nothing across boots.
pub(crate) fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

/// The ledger file of one instance. Its callers hold the instance's start lock.
#[derive(Debug)]
pub(crate) struct Ledger {
    path: PathBuf,
    turn: Mutex<()>,
}

impl Ledger {
    pub(crate) fn new(directory: &Path) -> Self {
        Self { path: directory.join("ledger"), turn: Mutex::new(()) }
    }

    /// Every process in the file that was started since this boot, alive or not.
    pub(crate) fn processes(&self) -> Vec<OwnedProcess> {
        parse(&std::fs::read_to_string(&self.path).unwrap_or_default(), &boot_id())
    }

    /// The live process of that name.
    pub(crate) fn live(&self, name: &str) -> Option<OwnedProcess> {
        self.processes().into_iter().find(|process| process.name == name && process.is_alive())
    }

    /// Adds a process; those that have ended are dropped.
    pub(crate) fn add(&self, process: &OwnedProcess) -> Result<(), ServersError> {
        let _turn = self.turn.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut processes = self.processes();
        processes.retain(|old| old.name != process.name && old.is_alive());
        processes.push(process.clone());
        self.write(&processes)
    }

    fn write(&self, processes: &[OwnedProcess]) -> Result<(), ServersError> {
        let fresh = self.path.with_extension("new");
        let mut text = format!("boot {}\n", boot_id());
        for OwnedProcess { name, pid, started } in processes {
            let _ = writeln!(text, "process {name} {pid} {started}");
        }
        std::fs::File::create(&fresh)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .and_then(|()| std::fs::rename(&fresh, &self.path))
            .map_err(ServersError::io("write", &self.path))
    }
}

fn parse(text: &str, boot: &str) -> Vec<OwnedProcess> {
    let mut lines = text.lines();
    if lines.next().and_then(|line| line.strip_prefix("boot ")) != Some(boot) {
        return Vec::new();
    }
    lines
        .filter_map(|line| {
            let mut words = line.strip_prefix("process ")?.split(' ');
            Some(OwnedProcess {
                name: words.next()?.to_owned(),
                pid: words.next()?.parse().ok()?,
                started: words.next()?.parse().ok()?,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{OwnedProcess, parse, parse_stat};

    #[test]
    fn a_process_name_with_parentheses_does_not_shift_the_fields() {
        let tail = (4..=52).map(|field| field.to_string()).collect::<Vec<_>>().join(" ");
        let stat = parse_stat(&format!("77 (a) b) S {tail}")).unwrap();
        assert_eq!((stat.state, stat.parent, stat.started), ('S', 4, 22));
    }

    #[test]
    fn a_ledger_of_another_boot_proves_nothing() {
        let text = "boot one\nprocess postgres 12 345\n";
        let expected = OwnedProcess { name: "postgres".to_owned(), pid: 12, started: 345 };
        assert_eq!(parse(text, "one"), vec![expected]);
        assert_eq!(parse(text, "two"), vec![]);
    }

    #[test]
    fn a_pid_with_another_start_time_is_not_ours() {
        let mut me = OwnedProcess::of("me", std::process::id()).unwrap();
        assert!(me.is_alive());
        me.started += 1;
        assert!(!me.is_alive());
    }
}
