//! What can be said on the command line.

use clap::Parser;

/// Runs Refrain for real: PostgreSQL, RabbitMQ, a simulated Salesforce org, the scheduler and workers. Connects the
/// org, shows the first sync, verifies every value, then edits the org and shows the changes arrive, until Ctrl-C.
///
/// With DATABASE_URL and AMQP_URL set, those servers are used instead of private ones.
#[derive(Debug, Clone, PartialEq, Eq, Parser)]
#[command(name = "cargo demo", bin_name = "cargo demo", version)]
pub(crate) struct Options {
    /// End after a verified first sync and one verified pass after edits; exit code 0 only if nothing differs.
    #[arg(long)]
    pub(crate) once: bool,
    /// Print one JSON object as the last line of standard output; everything else goes to standard error.
    #[arg(long)]
    pub(crate) json: bool,
    /// Cases in the org; comments, e-mails, history and people come in proportion.
    #[arg(long, value_name = "N", default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(1..=2_000_000))]
    pub(crate) cases: u32,
    /// Worker processes.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(crate) workers: u32,
    /// Another seed, another org.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Keep database, keys and configuration at the end, and say where they are.
    #[arg(long)]
    pub(crate) keep: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, clap::Error> {
        Options::try_parse_from(std::iter::once("demo").chain(line.split_whitespace()))
    }

    #[test]
    fn without_options_it_is_the_default_demo() {
        let expected = Options { once: false, json: false, cases: 5_000, workers: 2, seed: 1, keep: false };
        assert_eq!(parse("").unwrap(), expected);
    }

    #[test]
    fn every_option_is_understood() {
        let expected = Options { once: true, json: true, cases: 800, workers: 3, seed: 7, keep: true };
        assert_eq!(parse("--once --json --cases 800 --workers 3 --seed 7 --keep").unwrap(), expected);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for line in
            ["--cases 0", "--workers 0", "--workers 65", "--cases many", "--seed -1", "--twice", "here"]
        {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
