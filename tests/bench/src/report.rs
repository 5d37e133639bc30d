//! From samples to medians, a table for people and a line for programs.

use std::time::Duration;

use serde_json::{Value, json};

use crate::args::{Load, LoadOptions};
use crate::limits::Sum;
use crate::meter::Cost;
use crate::sync::Synced;

/// What a first version is held to.
pub(crate) const OF_A: f64 = 0.4;
pub(crate) const OF_B: f64 = 0.6;
pub(crate) const PEAK_MB: f64 = 150.0;
/// How many times faster than Refrain the simulator must be, lest a measurement be one of the simulator.
pub(crate) const AHEAD: f64 = 5.0;

/// Everything of one repetition.
#[derive(Debug, Clone)]
pub(crate) struct Repetition {
    pub(crate) synced: Synced,
    /// One stream, default compression: the limits that the goals name.
    pub(crate) limit_a: (Cost, Sum),
    pub(crate) limit_b: (Cost, Sum),
    /// Several streams, and lz4 for A: the best that we know how to get out of the machine.
    pub(crate) best_a: (Cost, Sum),
    pub(crate) best_b: (Cost, Sum),
    /// Pages that nobody does anything with, in several streams.
    pub(crate) drain: Cost,
}

/// A load's repetitions.
pub(crate) struct Loaded {
    pub(crate) load: Load,
    pub(crate) repetitions: Vec<Repetition>,
}

/// Who does the client's work in a line.
#[derive(Clone, Copy)]
enum Client {
    Workers,
    Bench,
}

type Pick = fn(&Repetition) -> &Cost;

/// The lines of the table: name on screen, name in JSON, what to look at, whose processor time is the client's.
const LINES: [(&str, &str, Pick, Client); 7] = [
    ("first load", "first_load", |it| &it.synced.first_load, Client::Workers),
    ("all read again, unchanged", "again", |it| &it.synced.again, Client::Workers),
    ("limit A: pages into COPY", "limit_a", |it| &it.limit_a.0, Client::Bench),
    ("limit B: our bytes by COPY", "limit_b", |it| &it.limit_b.0, Client::Bench),
    ("A in streams, with lz4", "best_a", |it| &it.best_a.0, Client::Bench),
    ("B in streams", "best_b", |it| &it.best_b.0, Client::Bench),
    ("the simulator's pages alone", "drain", |it| &it.drain, Client::Bench),
];

impl Loaded {
    fn median(&self, figure: impl Fn(&Repetition) -> f64) -> f64 {
        median(self.repetitions.iter().map(figure).collect())
    }

    fn records(&self) -> f64 {
        self.median(|it| real(it.synced.records))
    }

    fn megabytes(&self) -> f64 {
        self.median(|it| real(it.limit_a.1.bytes) / 1e6)
    }

    /// Our rate as a share of a limit's, within the same repetition.
    fn share(&self, of: Pick) -> f64 {
        self.median(|it| of(it).wall.as_secs_f64() / it.synced.first_load.wall.as_secs_f64())
    }

    fn peak_megabytes(&self) -> f64 {
        self.median(|it| real(it.synced.peak_memory.iter().copied().max().unwrap_or(0)) / f64::from(1 << 20))
    }

    /// The table.
    pub(crate) fn table(&self, options: &LoadOptions) -> String {
        let mut lines = vec![
            format!(
                "\n{}: {:.0} records, {:.1} MB of JSON; {} workers; streams: {}; median of {}",
                self.load.word(),
                self.records(),
                self.megabytes(),
                options.workers,
                options.streams,
                self.repetitions.len()
            ),
            format!(
                "{:<28} {:>8} {:>10} {:>7} {:>6} {:>6}   {:>8} {:>8} {:>8}   {:>10} {:>6}",
                "",
                "seconds",
                "records/s",
                "MB/s",
                "of A",
                "of B",
                "client",
                "sim",
                "postgres",
                "WAL B/rec",
                "calls"
            ),
        ];
        for (name, _, pick, client) in LINES {
            let line = self.line(pick, client);
            lines.push(format!(
                "{name:<28} {:>8.2} {:>10.0} {:>7.1} {:>6.2} {:>6.2}   {:>8.1} {:>8.1} {:>8.1}   {:>10.0} {:>6.0}",
                line.seconds,
                self.records() / line.seconds,
                self.megabytes() / line.seconds,
                self.median(|it| it.limit_a.0.wall.as_secs_f64() / pick(it).wall.as_secs_f64()),
                self.median(|it| it.limit_b.0.wall.as_secs_f64() / pick(it).wall.as_secs_f64()),
                line.client,
                line.simulator,
                line.postgres,
                line.wal,
                line.calls,
            ));
        }
        lines.push("(client, sim, postgres: processor seconds per million records)".to_owned());
        lines.push(format!(
            "hourly pass, nothing new: {:.2} s, {:.0} calls; first page after {:.2} s; peak memory of a worker {:.0} MB",
            self.median(|it| it.synced.hourly.wall.as_secs_f64()),
            self.median(|it| real(it.synced.hourly.calls)),
            self.median(|it| it.synced.first_page.as_secs_f64()),
            self.peak_megabytes()
        ));
        lines.push(self.goals());
        lines.join("\n")
    }

    fn goals(&self) -> String {
        let verdict = |kept: bool| if kept { "kept" } else { "MISSED" };
        let (of_a, of_b) = (self.share(|it| &it.limit_a.0), self.share(|it| &it.limit_b.0));
        let peak = self.peak_megabytes();
        let ahead = 1.0 / self.share(|it| &it.drain);
        format!(
            "goals: {of_a:.2} of A (at least {OF_A}): {}; {of_b:.2} of B (at least {OF_B}): {}; \
             {peak:.0} MB a worker (below {PEAK_MB:.0}): {}; the simulator alone is {ahead:.1} times as fast (at least \
             {AHEAD:.0}): {}",
            verdict(of_a >= OF_A),
            verdict(of_b >= OF_B),
            verdict(peak < PEAK_MB),
            verdict(ahead >= AHEAD)
        )
    }

    fn line(&self, pick: Pick, client: Client) -> Line {
        let per_million =
            |time: Duration, it: &Repetition| time.as_secs_f64() * 1e6 / real(it.synced.records);
        Line {
            seconds: self.median(|it| pick(it).wall.as_secs_f64()),
            client: self.median(|it| {
                let cpu = pick(it).cpu;
                per_million(if matches!(client, Client::Workers) { cpu.workers } else { cpu.bench }, it)
            }),
            simulator: self.median(|it| per_million(pick(it).cpu.simulator, it)),
            postgres: self.median(|it| per_million(pick(it).cpu.postgres, it)),
            wal: self.median(|it| real(pick(it).wal) / real(it.synced.records)),
            calls: self.median(|it| real(pick(it).calls)),
        }
    }

    /// The same for programs.
    pub(crate) fn json(&self) -> Value {
        let mut object = json!({
            "load": self.load.word(),
            "records": self.records(),
            "json_megabytes": self.megabytes(),
            "repetitions": self.repetitions.len(),
            "of_a": self.share(|it| &it.limit_a.0),
            "of_b": self.share(|it| &it.limit_b.0),
            "of_best_a": self.share(|it| &it.best_a.0),
            "of_best_b": self.share(|it| &it.best_b.0),
            "simulator_ahead": 1.0 / self.share(|it| &it.drain),
            "peak_rss_megabytes": self.peak_megabytes(),
            "first_page_seconds": self.median(|it| it.synced.first_page.as_secs_f64()),
            "hourly_seconds": self.median(|it| it.synced.hourly.wall.as_secs_f64()),
            "hourly_calls": self.median(|it| real(it.synced.hourly.calls)),
        });
        for (_, key, pick, client) in LINES {
            let line = self.line(pick, client);
            object[key] = json!({
                "seconds": line.seconds,
                "records_per_second": self.records() / line.seconds,
                "megabytes_per_second": self.megabytes() / line.seconds,
                "client_cpu_seconds_per_million": line.client,
                "simulator_cpu_seconds_per_million": line.simulator,
                "postgres_cpu_seconds_per_million": line.postgres,
                "wal_bytes_per_record": line.wal,
                "calls": line.calls,
                "all_seconds": self.repetitions.iter().map(|it| pick(it).wall.as_secs_f64()).collect::<Vec<_>>(),
            });
        }
        object
    }
}

struct Line {
    seconds: f64,
    client: f64,
    simulator: f64,
    postgres: f64,
    wal: f64,
    calls: f64,
}

/// The middle one; of an even number the mean of the two in the middle.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts and bytes here are far below 2^52")]
pub(crate) fn real(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert!((median(vec![9.0, 1.0, 5.0]) - 5.0).abs() < 1e-9);
        assert!((median(vec![4.0, 1.0]) - 2.5).abs() < 1e-9);
        assert!(median(Vec::new()).is_nan());
    }
}
