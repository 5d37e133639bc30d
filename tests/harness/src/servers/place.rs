//! Where a private instance lives, as which user its servers run, and on which ports.
//!
//! Data lie under the target directory. Servers refuse to run as root, so a root caller runs them as an
//! unprivileged user; when that user cannot reach the target directory (a checkout under `/root`), the instance
//! lives under `/var/tmp/refrain-<uid>-<hash of the target directory>` instead.

use std::net::TcpListener;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::error::ServersError;
use super::install::is_root;

/// The user that servers run as, when it is not the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// The users of an instance's servers; `None` means the caller's own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Users {
    pub(crate) postgres: Option<User>,
    pub(crate) broker: Option<User>,
}

impl Users {
    /// # Errors
    /// When the caller is root and the machine has no unprivileged user at all.
    pub(crate) fn choose() -> Result<Self, ServersError> {
        if !is_root() {
            return Ok(Self { postgres: None, broker: None });
        }
        let passwd =
            std::fs::read_to_string("/etc/passwd").map_err(ServersError::io("read", "/etc/passwd"))?;
        let first = |names: &[&str]| names.iter().find_map(|name| find_user(&passwd, name));
        let postgres = first(&["postgres", "nobody"]);
        let broker = first(&["rabbitmq", "postgres", "nobody"]);
        if postgres.is_none() || broker.is_none() {
            let source = std::io::Error::other("no user postgres or nobody; servers do not run as root");
            return Err(ServersError::io("choose a user from", "/etc/passwd")(source));
        }
        Ok(Self { postgres, broker })
    }
}

fn find_user(passwd: &str, name: &str) -> Option<User> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        if fields.next()? != name {
            return None;
        }
        let uid: u32 = fields.nth(1)?.parse().ok()?;
        let gid: u32 = fields.next()?.parse().ok()?;
        (uid != 0).then_some(User { uid, gid })
    })
}

/// Makes a command run as `user`, in a directory that the user may enter.
pub(crate) fn run_as(command: &mut Command, user: Option<User>, directory: &Path) {
    command.current_dir(directory);
    if let Some(user) = user {
        command.gid(user.gid).uid(user.uid);
    }
}

/// The target directory of this build: two or three levels above the running program, or `CARGO_TARGET_DIR`.
///
/// Known by cargo's own cache file; its `CACHEDIR.TAG` is only there if cargo made the directory itself.
pub fn target_directory() -> PathBuf {
    if let Some(named) = std::env::var_os("CARGO_TARGET_DIR") {
        return std::path::absolute(&named).unwrap_or_else(|_| PathBuf::from(named));
    }
    let executable = std::env::current_exe().unwrap_or_default();
    let marked = executable.ancestors().find(|dir| dir.join(".rustc_info.json").is_file());
    marked.map_or_else(|| PathBuf::from("target"), Path::to_path_buf)
}

/// The directory of the private instance called `name`, created, reachable by the servers' users.
pub(crate) fn instance_directory(name: &str, users: Users) -> Result<PathBuf, ServersError> {
    let target = target_directory();
    let preferred = target.join("private-servers").join(name);
    make_directory(&preferred, 0o711)?;
    let reachable =
        [users.postgres, users.broker].into_iter().flatten().all(|user| can_enter(&preferred, user));
    if reachable {
        return Ok(preferred);
    }
    let hash = blake3::hash(target.as_os_str().as_encoded_bytes()).to_hex();
    let shared = PathBuf::from(format!("/var/tmp/refrain-{}-{}", caller(), &hash.as_str()[..12]));
    make_directory(&shared, 0o711)?;
    let owned = std::fs::symlink_metadata(&shared)
        .is_ok_and(|meta| meta.is_dir() && meta.uid() == caller() && meta.mode() & 0o022 == 0);
    if !owned {
        return Err(ServersError::Foreign(shared));
    }
    let directory = shared.join(name);
    make_directory(&directory, 0o711)?;
    Ok(directory)
}

/// Creates `path` for `user` alone.
pub(crate) fn make_private(path: &Path, user: Option<User>) -> Result<(), ServersError> {
    make_directory(path, 0o700)?;
    give(path, user)
}

/// Makes `user` the owner of `path`.
pub(crate) fn give(path: &Path, user: Option<User>) -> Result<(), ServersError> {
    user.map_or(Ok(()), |user| std::os::unix::fs::chown(path, Some(user.uid), Some(user.gid)))
        .map_err(ServersError::io("change the owner of", path))
}

/// Writes a file that only `user` may read.
pub(crate) fn write_private(
    path: &Path,
    text: &str,
    mode: u32,
    user: Option<User>,
) -> Result<(), ServersError> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    // Removed first: an old file may be read-only, or belong to a user of an earlier run.
    let _ = std::fs::remove_file(path);
    std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(ServersError::io("write", path))?;
    give(path, user)
}

fn make_directory(path: &Path, mode: u32) -> Result<(), ServersError> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(ServersError::io("create", parent))?;
    }
    match std::fs::DirBuilder::new().mode(mode).create(path) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => return Ok(()),
        Err(error) => return Err(ServersError::io("create", path)(error)),
    }
    // The umask may have taken bits away that the servers' users need.
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
        .map_err(ServersError::io("set the mode of", path))
}

fn can_enter(path: &Path, user: User) -> bool {
    Command::new("/bin/sh")
        .args(["-c", "cd \"$1\"", "sh"])
        .arg(path)
        .current_dir("/")
        .gid(user.gid)
        .uid(user.uid)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn caller() -> u32 {
    std::fs::metadata("/proc/self").map_or(u32::MAX, |meta| meta.uid())
}

/// A free loopback port below the range from which the kernel takes the ports of outgoing connections. Inside that
/// range a client that keeps knocking while its server restarts may be given the server's own port, connect to
/// itself, and keep the server from coming back.
pub(crate) fn free_port() -> Result<u16, ServersError> {
    let lowest_outgoing = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range")
        .ok()
        .and_then(|text| text.split_whitespace().next()?.parse::<u16>().ok())
        .unwrap_or(32_768);
    let (from, to) = if lowest_outgoing >= 12_000 {
        (lowest_outgoing.saturating_sub(12_000).max(10_000), lowest_outgoing)
    } else {
        (20_000, 60_000)
    };
    (0..500).map(|_| rand::random_range(from..to)).find(|port| is_free(*port)).ok_or_else(|| {
        ServersError::io("find a free port on", "127.0.0.1")(std::io::ErrorKind::AddrInUse.into())
    })
}

/// Whether nobody listens on that loopback port.
pub(crate) fn is_free(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::{User, find_user};

    #[test]
    fn a_user_is_found_by_its_whole_name_and_root_is_never_one() {
        let passwd =
            "root:x:0:0:root:/root:/bin/bash\npostgres2:x:7:7::/:/bin/sh\npostgres:x:101:104::/:/bin/sh\n";
        assert_eq!(find_user(passwd, "postgres"), Some(User { uid: 101, gid: 104 }));
        assert_eq!(find_user(passwd, "root"), None);
        assert_eq!(find_user(passwd, "nobody"), None);
    }
}
