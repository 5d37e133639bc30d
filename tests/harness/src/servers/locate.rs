//! Finds the installed server programs. Looks, never installs.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The oldest PostgreSQL that the product supports.
const OLDEST_POSTGRES: u32 = 15;

/// Where PostgreSQL's programs are.
#[derive(Debug, Clone)]
pub(crate) struct PostgresPrograms {
    pub(crate) major: u32,
    pub(crate) bin: PathBuf,
}

/// Where RabbitMQ's and Erlang's programs are.
#[derive(Debug, Clone)]
pub(crate) struct BrokerPrograms {
    pub(crate) server: PathBuf,
    pub(crate) epmd: PathBuf,
    pub(crate) erl: PathBuf,
    pub(crate) erl_call: Option<PathBuf>,
}

/// The newest PostgreSQL of at least version 15: the distribution's versioned directories, then PATH.
pub(crate) fn postgres() -> Option<PostgresPrograms> {
    let versioned = directories_under("/usr/lib/postgresql").into_iter().map(|dir| dir.join("bin"));
    let redhat = directories_under("/usr")
        .into_iter()
        .filter(|dir| dir.file_name().is_some_and(|name| name.to_string_lossy().starts_with("pgsql-")))
        .map(|dir| dir.join("bin"));
    // Of equals the last is taken: a distribution's own directory rather than somebody's link to it.
    path_directories()
        .into_iter()
        .chain(redhat)
        .chain(versioned)
        .filter(|bin| is_program(&bin.join("postgres")) && is_program(&bin.join("initdb")))
        .filter_map(|bin| Some(PostgresPrograms { major: major_version(&bin.join("postgres"))?, bin }))
        .filter(|found| found.major >= OLDEST_POSTGRES)
        .max_by_key(|found| found.major)
}

/// RabbitMQ's own start script. The wrapper in /usr/sbin insists on root or the rabbitmq user and on its own
/// directories, so the script behind it is preferred.
pub(crate) fn broker() -> Option<BrokerPrograms> {
    let server = std::iter::once(PathBuf::from("/usr/lib/rabbitmq/bin"))
        .chain(directories_under("/usr/lib/rabbitmq/lib").into_iter().map(|dir| dir.join("sbin")))
        .chain(directories_under("/opt").into_iter().map(|dir| dir.join("sbin")))
        .chain(path_directories())
        .map(|dir| dir.join("rabbitmq-server"))
        .find(|program| is_program(program))?;
    Some(BrokerPrograms {
        server,
        epmd: erlang_program("epmd")?,
        erl: erlang_program("erl")?,
        erl_call: erlang_program("erl_call"),
    })
}

/// A program of the Erlang runtime: on PATH, or in its own tree, which not every distribution links.
fn erlang_program(name: &str) -> Option<PathBuf> {
    let erlang = Path::new("/usr/lib/erlang");
    path_directories()
        .into_iter()
        .chain(std::iter::once(erlang.join("bin")))
        .chain(directories_under(erlang).into_iter().map(|dir| dir.join("bin")))
        .map(|dir| dir.join(name))
        .find(|program| is_program(program))
}

/// A program of the system, looked for where root's tools live too.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    path_directories().into_iter().map(|dir| dir.join(name)).find(|program| is_program(program))
}

fn path_directories() -> Vec<PathBuf> {
    let mut directories: Vec<PathBuf> =
        std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect()).unwrap_or_default();
    directories
        .extend(["/usr/local/sbin", "/usr/sbin", "/usr/local/bin", "/usr/bin", "/bin"].map(PathBuf::from));
    directories
}

fn directories_under(parent: impl AsRef<Path>) -> Vec<PathBuf> {
    std::fs::read_dir(parent)
        .map(|entries| entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).collect())
        .unwrap_or_default()
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

fn major_version(postgres: &Path) -> Option<u32> {
    let output = Command::new(postgres).arg("--version").output().ok()?;
    parse_major(&String::from_utf8_lossy(&output.stdout))
}

fn parse_major(line: &str) -> Option<u32> {
    let version = line.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    version.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::parse_major;

    #[test]
    fn the_major_version_is_read_from_releases_and_previews() {
        assert_eq!(parse_major("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)"), Some(15));
        assert_eq!(parse_major("postgres (PostgreSQL) 18beta1"), Some(18));
        assert_eq!(parse_major("nonsense"), None);
    }
}
