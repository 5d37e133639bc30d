//! What a stretch of work cost: wall time, CPU of each program, write-ahead log, calls.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use demo::org::Org;
use tokio_postgres::Client;

/// The kernel counts processor time in hundredths of a second on every Linux that we run on.
const TICK: Duration = Duration::from_millis(10);

/// Whom to look at.
#[derive(Debug, Clone)]
pub(crate) struct Watched {
    /// The workers.
    pub(crate) workers: Vec<u32>,
    /// The scheduler.
    pub(crate) scheduler: Option<u32>,
    /// The simulator.
    pub(crate) simulator: u32,
    /// The database server's first process; `None` when it runs elsewhere.
    pub(crate) postgres: Option<u32>,
}

/// Processor time so far.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Cpu {
    /// All workers together.
    pub(crate) workers: Duration,
    /// The scheduler.
    pub(crate) scheduler: Duration,
    /// The simulator.
    pub(crate) simulator: Duration,
    /// The database server with all its processes, those that have ended included.
    pub(crate) postgres: Duration,
    /// This program.
    pub(crate) bench: Duration,
}

impl Cpu {
    fn now(watched: &Watched) -> Self {
        let one = |pid: u32| ProcessTimes::read(pid).map_or(Duration::ZERO, |times| times.own);
        Self {
            workers: watched.workers.iter().copied().map(one).sum(),
            scheduler: watched.scheduler.map_or(Duration::ZERO, one),
            simulator: one(watched.simulator),
            postgres: cpu_of_server(watched.postgres),
            bench: one(std::process::id()),
        }
    }

    fn since(self, before: Self) -> Self {
        Self {
            workers: self.workers.saturating_sub(before.workers),
            scheduler: self.scheduler.saturating_sub(before.scheduler),
            simulator: self.simulator.saturating_sub(before.simulator),
            postgres: self.postgres.saturating_sub(before.postgres),
            bench: self.bench.saturating_sub(before.bench),
        }
    }
}

/// What a stretch of work cost.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Cost {
    /// Wall time.
    pub(crate) wall: Duration,
    /// Processor time.
    pub(crate) cpu: Cpu,
    /// Bytes of write-ahead log.
    pub(crate) wal: u64,
    /// Calls that the org counted.
    pub(crate) calls: u64,
}

impl Cost {
    /// The cost of one of several equal stretches that ran together.
    pub(crate) fn of_one(self, among: u32) -> Self {
        let among = among.max(1);
        let cpu = self.cpu;
        let cpu = Cpu {
            workers: cpu.workers / among,
            scheduler: cpu.scheduler / among,
            simulator: cpu.simulator / among,
            postgres: cpu.postgres / among,
            bench: cpu.bench / among,
        };
        let (wal, calls) = (self.wal / u64::from(among), self.calls / u64::from(among));
        Self { wall: self.wall / among, cpu, wal, calls }
    }
}

/// A stretch of work being measured.
pub(crate) struct Meter<'a> {
    watched: &'a Watched,
    org: &'a Org,
    database: &'a Client,
    cpu: Cpu,
    wal: u64,
    calls: u64,
    started: Instant,
}

impl<'a> Meter<'a> {
    /// Begins. A checkpoint is written first, so that no stretch pays for the pages of the one before.
    pub(crate) async fn start(
        watched: &'a Watched,
        org: &'a Org,
        database: &'a Client,
    ) -> anyhow::Result<Self> {
        database.batch_execute("CHECKPOINT").await.context("write a checkpoint")?;
        let calls = org.calls().await?.api;
        let wal = wal_position(database).await?;
        Ok(Self { watched, org, database, cpu: Cpu::now(watched), wal, calls, started: Instant::now() })
    }

    /// Since the beginning.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Ends.
    pub(crate) async fn stop(self) -> anyhow::Result<Cost> {
        let wall = self.elapsed();
        let cpu = Cpu::now(self.watched).since(self.cpu);
        Ok(Cost {
            wall,
            cpu,
            wal: wal_position(self.database).await? - self.wal,
            calls: self.org.calls().await?.api - self.calls,
        })
    }
}

/// How much write-ahead log there ever was, in bytes.
pub(crate) async fn wal_position(database: &Client) -> anyhow::Result<u64> {
    let row = database
        .query_one("SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint", &[])
        .await
        .context("ask how much write-ahead log there is")?;
    Ok(u64::try_from(row.get::<_, i64>(0)).unwrap_or(0))
}

/// The server's first process, if it runs on this machine.
pub(crate) async fn postmaster(database: &Client) -> anyhow::Result<Option<u32>> {
    let row = database.query_one("SELECT pg_backend_pid()", &[]).await.context("ask for the backend's id")?;
    let backend = u32::try_from(row.get::<_, i32>(0)).unwrap_or(0);
    let named =
        std::fs::read_to_string(format!("/proc/{backend}/comm")).is_ok_and(|name| name.trim() == "postgres");
    Ok(ProcessTimes::read(backend).filter(|_| named).map(|times| times.parent))
}

/// Processor time of the database server: its first process, its children, and those that have ended.
pub(crate) fn cpu_of_server(first: Option<u32>) -> Duration {
    let Some((pid, first)) = first.and_then(|pid| Some((pid, ProcessTimes::read(pid)?))) else {
        return Duration::ZERO;
    };
    let children = std::fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(ProcessTimes::read)
        .filter(|times| times.parent == pid);
    first.own + first.ended_children + children.map(|times| times.own).sum::<Duration>()
}

#[derive(Debug, PartialEq, Eq)]
struct ProcessTimes {
    parent: u32,
    own: Duration,
    ended_children: Duration,
}

impl ProcessTimes {
    fn read(pid: u32) -> Option<Self> {
        Self::parse(&std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat")).ok()?)
    }

    /// The name in the second field may hold anything, so counting starts behind it.
    fn parse(stat: &str) -> Option<Self> {
        let (_, rest) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let ticks = |at: usize| Some(TICK * fields.get(at)?.parse::<u32>().ok()?);
        Some(Self {
            parent: fields.get(1)?.parse().ok()?,
            own: ticks(11)? + ticks(12)?,
            ended_children: ticks(13)? + ticks(14)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_behind_a_name_that_looks_like_fields() {
        let stat = "4711 (a) S 9 (b) R 12 1 1 0 -1 4194304 5 0 0 0 150 50 7 3 20 0 8 0 100 200 300";
        let expected = ProcessTimes {
            parent: 12,
            own: Duration::from_secs(2),
            ended_children: Duration::from_millis(100),
        };
        assert_eq!(ProcessTimes::parse(stat), Some(expected));
        assert_eq!(ProcessTimes::parse("nonsense"), None);
    }

    #[test]
    fn this_process_has_a_parent() {
        assert!(ProcessTimes::read(std::process::id()).unwrap().parent > 0);
    }
}
