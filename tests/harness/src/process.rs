//! Runs our own binaries as child processes: found beside the test, logged to files, killed when dropped.
//!
//! A package's integration tests make cargo build that package's binaries; those of other packages are found only if
//! they were built, which `cargo test --workspace` and `cargo build --workspace` do.

use std::ffi::OsString;
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use crate::servers::{signal_pid, target_directory};
use crate::wait;

/// Why a program did not run as it should.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// It was not built.
    #[error("{} is not built; run `cargo build --workspace` (or `cargo test --workspace`) first", .0.display())]
    NotBuilt(PathBuf),
    /// The system refused.
    #[error("could not run {program}: {source}")]
    Io {
        /// Which program.
        program: String,
        /// Why.
        source: std::io::Error,
    },
    /// It ended, or did not answer, before it was ready.
    #[error("{program} did not become ready: {reason}\nthe end of its log:\n{log_tail}")]
    NotReady {
        /// Which program.
        program: String,
        /// What was seen.
        reason: String,
        /// Its last lines.
        log_tail: String,
    },
    /// It runs on although it was asked to end.
    #[error("{program} still runs {waited:?} after it should have ended")]
    StillRunning {
        /// Which program.
        program: String,
        /// How long was waited.
        waited: Duration,
    },
}

/// A signal for a running program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Ask it to end in order (SIGTERM).
    Terminate,
    /// As Ctrl-C (SIGINT).
    Interrupt,
    /// End it at once (SIGKILL).
    Kill,
    /// Freeze it (SIGSTOP): its connections and leases stay, it does nothing.
    Freeze,
    /// Thaw it (SIGCONT).
    Thaw,
}

impl Signal {
    fn name(self) -> &'static str {
        match self {
            Self::Terminate => "TERM",
            Self::Interrupt => "INT",
            Self::Kill => "KILL",
            Self::Freeze => "STOP",
            Self::Thaw => "CONT",
        }
    }
}

/// A program to be run. Only PATH, HOME, LANG and what is set here reach it, so a developer's shell changes no test.
#[derive(Debug)]
pub struct Program {
    name: String,
    arguments: Vec<OsString>,
    environment: Vec<(String, OsString)>,
}

impl Program {
    /// `name` as in `target/<profile>/NAME`.
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), arguments: Vec::new(), environment: Vec::new() }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    /// Starts it. Its output goes to `target/test-logs/<test>/<name>-<number>.{out,err}`.
    pub fn spawn(self, test: &str) -> Result<Running, ProcessError> {
        let path = binary(&self.name)?;
        let failed = |source| ProcessError::Io { program: self.name.clone(), source };
        let base = log_base(test, &self.name).map_err(failed)?;
        let (stdout, stderr) = (base.with_extension("out"), base.with_extension("err"));
        let child = Command::new(path)
            .args(&self.arguments)
            .env_clear()
            .envs(["PATH", "HOME", "LANG"].iter().filter_map(|name| Some((*name, std::env::var_os(name)?))))
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(File::create(&stdout).map_err(failed)?)
            .stderr(File::create(&stderr).map_err(failed)?)
            .spawn()
            .map_err(failed)?;
        Ok(Running { program: self.name, pid: child.id(), child: Mutex::new(child), stdout, stderr })
    }
}

/// The path of one of our binaries: beside the running program, which may be a test in `deps/`.
pub fn binary(name: &str) -> Result<PathBuf, ProcessError> {
    let executable =
        std::env::current_exe().map_err(|source| ProcessError::Io { program: name.to_owned(), source })?;
    let directory = executable.parent().unwrap_or(Path::new("."));
    let profile =
        if directory.ends_with("deps") { directory.parent().unwrap_or(directory) } else { directory };
    let path = profile.join(name);
    if path.is_file() { Ok(path) } else { Err(ProcessError::NotBuilt(path)) }
}

fn log_base(test: &str, program: &str) -> std::io::Result<PathBuf> {
    let directory = target_directory().join("test-logs").join(test);
    std::fs::create_dir_all(&directory)?;
    Ok(directory.join(format!("{program}-{}-{:08x}", std::process::id(), rand::random::<u32>())))
}

/// A program that was started. Dropping it kills it.
#[derive(Debug)]
pub struct Running {
    program: String,
    pid: u32,
    child: Mutex<Child>,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Running {
    /// Its process id.
    pub fn id(&self) -> u32 {
        self.pid
    }

    /// The files that hold its standard output and standard error.
    pub fn log_files(&self) -> [&Path; 2] {
        [&self.stdout, &self.stderr]
    }

    /// All it has written so far, standard output first.
    pub fn logs(&self) -> String {
        self.log_files()
            .map(|path| String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned())
            .concat()
    }

    /// Waits until a GET of `url` answers 2xx.
    pub async fn wait_ready(&self, url: &str, deadline: Duration) -> Result<(), ProcessError> {
        let http = reqwest::Client::builder().timeout(Duration::from_secs(2)).build();
        let http = http.map_err(|error| self.not_ready(&error.to_string()))?;
        let mut seen = "no answer".to_owned();
        let started = std::time::Instant::now();
        loop {
            match http.get(url).send().await {
                Ok(answer) if answer.status().is_success() => return Ok(()),
                Ok(answer) => seen = format!("HTTP {}", answer.status()),
                Err(error) => seen = if seen.starts_with("HTTP") { seen } else { error.to_string() },
            }
            if let Some(status) = self.exit_status() {
                return Err(self.not_ready(&format!("it ended with {status}")));
            }
            if started.elapsed() > deadline {
                return Err(self.not_ready(&format!("last seen after {deadline:?}: {seen}")));
            }
            wait::pass(Duration::from_millis(25)).await;
        }
    }

    fn not_ready(&self, reason: &str) -> ProcessError {
        let logs = self.logs();
        let lines: Vec<&str> = logs.lines().collect();
        let log_tail = lines[lines.len().saturating_sub(30)..].join("\n");
        ProcessError::NotReady { program: self.program.clone(), reason: reason.to_owned(), log_tail }
    }

    /// How it ended, if it has.
    pub fn exit_status(&self) -> Option<ExitStatus> {
        self.child.lock().unwrap_or_else(std::sync::PoisonError::into_inner).try_wait().ok().flatten()
    }

    /// Sends a signal, unless it has ended.
    pub fn signal(&self, signal: Signal) {
        if self.exit_status().is_none() {
            signal_pid(self.pid, signal.name());
        }
    }

    /// Waits for its end.
    pub async fn wait_exit(&self, deadline: Duration) -> Result<ExitStatus, ProcessError> {
        wait::until(deadline, &self.program, async || self.exit_status())
            .await
            .map_err(|late| ProcessError::StillRunning { program: self.program.clone(), waited: late.waited })
    }

    /// SIGTERM, then waits for its end.
    pub async fn terminate(&self, deadline: Duration) -> Result<ExitStatus, ProcessError> {
        self.signal(Signal::Terminate);
        self.wait_exit(deadline).await
    }

    /// SIGKILL, then waits for its end, which is certain.
    pub fn kill(&self) {
        let mut child = self.child.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let _ = child.kill();
        let _ = child.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}
