//! Installs the distribution's server packages, when this process may, and says so first.
//!
//! The packages' own services must not start: a demo has no business opening ports on somebody's machine. apt asks
//! `policy-rc.d` before it starts anything, so one that refuses is put there for the duration, unless the machine has one.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::error::ServersError;
use super::locate;

const POLICY: &str = "/usr/sbin/policy-rc.d";
const POLICY_TEXT: &str = "#!/bin/sh\n# Put here by Refrain's harness while it installs packages: start no service. Safe to delete.\nexit 101\n";
const CREATE_CLUSTER: &str = "/etc/postgresql-common/createcluster.conf";

/// How this process may become root.
enum Privilege {
    Root,
    Sudo(PathBuf),
}

/// Installs what is missing.
///
/// # Errors
/// [`ServersError::Missing`] with the exact command when this process may not install; [`ServersError::Install`]
/// when apt-get failed.
pub(crate) fn install(packages: &[&str]) -> Result<(), ServersError> {
    let listed = packages.join(" ");
    let Some(apt) = locate::program("apt-get") else {
        return Err(missing(packages, &format!("<your package manager> install {listed}")));
    };
    let by_hand = format!("sudo apt-get update && sudo apt-get install --no-install-recommends -y {listed}");
    let Some(privilege) = privilege() else {
        return Err(missing(packages, &by_hand));
    };
    eprintln!(
        "Refrain needs {listed}; installing the distribution's packages now (their services are not started)."
    );
    let failed = |reason: String| ServersError::Install { packages: listed.clone(), reason };

    let policy = PolicyGuard::put(&privilege);
    write_as_root(
        &privilege,
        Path::new(CREATE_CLUSTER),
        "# Put here by Refrain's harness: it makes its own clusters.\ncreate_main_cluster = false\n",
        "644",
    );
    if !package_lists_present() {
        run(&privilege, &apt, &["-q", "update"]).map_err(&failed)?;
    }
    let mut arguments =
        vec!["-q", "-y", "--no-install-recommends", "-o", "Dpkg::Options::=--force-confold", "install"];
    arguments.extend(packages);
    let result = run(&privilege, &apt, &arguments).or_else(|_| {
        // A stale package list names files that the mirror no longer has; a fresh one costs seconds.
        run(&privilege, &apt, &["-q", "update"])?;
        run(&privilege, &apt, &arguments)
    });
    drop(policy);
    result.map_err(failed)
}

fn missing(packages: &[&str], command: &str) -> ServersError {
    let what = packages
        .iter()
        .map(|package| if package.starts_with("postgresql") { "PostgreSQL 15+" } else { "RabbitMQ 3.10+" })
        .collect::<Vec<_>>()
        .join(" and ");
    ServersError::Missing { what, command: command.to_owned() }
}

fn privilege() -> Option<Privilege> {
    if is_root() {
        return Some(Privilege::Root);
    }
    let sudo = locate::program("sudo")?;
    let silent = Command::new(&sudo)
        .args(["-n", "true"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    silent.then_some(Privilege::Sudo(sudo))
}

/// Whether this process is root.
pub(crate) fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|meta| meta.uid() == 0)
}

fn package_lists_present() -> bool {
    std::fs::read_dir("/var/lib/apt/lists").is_ok_and(|entries| {
        entries.flatten().any(|entry| entry.file_name().to_string_lossy().contains("_Packages"))
    })
}

fn run(privilege: &Privilege, program: &Path, arguments: &[&str]) -> Result<(), String> {
    let mut command = match privilege {
        Privilege::Root => Command::new(program),
        Privilege::Sudo(sudo) => {
            let mut command = Command::new(sudo);
            command.args(["-n", "env", "DEBIAN_FRONTEND=noninteractive"]).arg(program);
            command
        }
    };
    let output = command
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("apt-get failed").to_owned())
}

/// Creates a root-owned file when there is none. A failure shows later as a failed installation, or not at all.
fn write_as_root(privilege: &Privilege, path: &Path, text: &str, mode: &str) -> bool {
    if path.exists() {
        return false;
    }
    match privilege {
        Privilege::Root => {
            let parent = path.parent().unwrap_or(Path::new("/"));
            let mode = u32::from_str_radix(mode, 8).unwrap_or(0o644);
            std::fs::create_dir_all(parent)
                .and_then(|()| std::fs::write(path, text))
                .and_then(|()| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)))
                .is_ok()
        }
        Privilege::Sudo(sudo) => Command::new(sudo)
            .args([
                "-n",
                "sh",
                "-c",
                "mkdir -p \"${1%/*}\" && printf %s \"$2\" >\"$1\" && chmod \"$3\" \"$1\"",
                "sh",
            ])
            .arg(path)
            .args([text, mode])
            .stdin(Stdio::null())
            .status()
            .is_ok_and(|status| status.success()),
    }
}

/// Keeps services from starting while it lives; takes away only what it put there.
struct PolicyGuard<'a> {
    privilege: &'a Privilege,
    ours: bool,
}

impl<'a> PolicyGuard<'a> {
    fn put(privilege: &'a Privilege) -> Self {
        // A killed run may have left ours behind: it is recognised by its text and taken over.
        let left_behind = std::fs::read_to_string(POLICY).is_ok_and(|text| text == POLICY_TEXT);
        let ours = write_as_root(privilege, Path::new(POLICY), POLICY_TEXT, "755") || left_behind;
        Self { privilege, ours }
    }
}

impl Drop for PolicyGuard<'_> {
    fn drop(&mut self) {
        if !self.ours {
            return;
        }
        let _ = match self.privilege {
            Privilege::Root => std::fs::remove_file(POLICY).is_ok(),
            Privilege::Sudo(sudo) => Command::new(sudo)
                .args(["-n", "rm", "-f", POLICY])
                .status()
                .is_ok_and(|status| status.success()),
        };
    }
}
