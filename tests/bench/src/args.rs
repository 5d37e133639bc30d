//! What can be said on the command line.

use clap::{Parser, Subcommand, ValueEnum};

/// Measures first loads and passes with nothing changed, with the real scheduler and workers, beside two limits that
/// are taken in the same run: a bare client that copies the same pages into PostgreSQL, and a plain copy of our own
/// bytes into our own tables.
#[derive(Debug, Clone, PartialEq, Eq, Parser)]
#[command(name = "bench", version, args_conflicts_with_subcommands = true)]
pub(crate) struct Options {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) load: LoadOptions,
}

#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub(crate) enum Command {
    /// Loads the same rows into tables of 1, 8 and 32 leaves, as the tenants' role under row-level security.
    Partitions(PartitionOptions),
    /// What an org is asked for, what a worker's memory holds at most, and how soon tickets can be read; as JSON.
    Figures(FigureOptions),
    /// How fast a changed mapping is applied to the tickets that are here, with all of their items; as JSON.
    Reproject(ReprojectOptions),
    /// How soon a parent's change shows in its children, and what it costs; as JSON.
    Freshness(FreshnessOptions),
}

#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub(crate) struct LoadOptions {
    /// What is loaded; several are measured one after the other.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Load::Cases, Load::Mail, Load::Org])]
    pub(crate) load: Vec<Load>,
    /// Cases of the simulated org; everything else comes in proportion.
    #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..=2_000_000))]
    pub(crate) cases: u32,
    /// Worker processes.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(crate) workers: u32,
    /// Concurrent streams of the second, stronger pair of limits; more than the machine's cores do not help.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(crate) streams: u32,
    /// How often everything is measured; the median is reported.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=99))]
    pub(crate) repetitions: u32,
    /// Another seed, another org.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Print one JSON object as the last line of standard output.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub(crate) struct FigureOptions {
    /// Which objects are loaded.
    #[arg(long, value_enum, default_value_t = Load::Org)]
    pub(crate) load: Load,
    /// Cases of each org; everything else comes in proportion.
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = [10_000])]
    pub(crate) cases: Vec<u32>,
    /// By which API history is read; each is measured.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Way::Rest, Way::Bulk])]
    pub(crate) read_by: Vec<Way>,
    /// Another seed, another org.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub(crate) struct ReprojectOptions {
    /// Cases of each org; their comments come in proportion.
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = [10_000])]
    pub(crate) cases: Vec<u32>,
    /// Worker processes.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(crate) workers: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub(crate) struct FreshnessOptions {
    /// Cases of the org.
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=2_000_000))]
    pub(crate) cases: u32,
    /// Cases of each account that is renamed; each takes its own from the next larger one.
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = [1, 1_000, 10_000])]
    pub(crate) children: Vec<u32>,
    /// Worker processes.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(crate) workers: u32,
}

/// By which API history is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Way {
    /// Whatever costs less.
    Auto,
    /// REST queries.
    Rest,
    /// Bulk query jobs.
    Bulk,
}

impl Way {
    /// Its word in settings, on the command line and in the output.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Rest => "rest",
            Self::Bulk => "bulk",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub(crate) struct PartitionOptions {
    /// Rows of each tenant in each table.
    #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub(crate) rows: u32,
    /// Tenants, loaded in turn, a page each.
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) tenants: u32,
    /// Leaves of each table.
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = [1, 8, 32])]
    pub(crate) leaves: Vec<u32>,
    /// How often everything is measured; the median is reported.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=99))]
    pub(crate) repetitions: u32,
    /// Print one JSON object as the last line of standard output.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Which objects are loaded together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Load {
    /// Cases alone: many fields, short values.
    Cases,
    /// E-mails with their cases, from an org whose mails have long bodies.
    Mail,
    /// Everything a support org has.
    Org,
}

impl Load {
    /// Its word on the command line and in the output.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Cases => "cases",
            Self::Mail => "mail",
            Self::Org => "org",
        }
    }

    /// The objects, and the role of what Refrain does not know by itself.
    pub(crate) fn objects(self) -> &'static [(&'static str, Option<&'static str>)] {
        match self {
            Self::Cases => &[("Case", None)],
            Self::Mail => &[("Case", None), ("EmailMessage", None)],
            Self::Org => &demo::objects::OBJECTS,
        }
    }

    /// Characters of a mail's text at least; nought leaves them as short as most mails are.
    pub(crate) fn mail_characters(self) -> u32 {
        match self {
            Self::Cases | Self::Org => 0,
            Self::Mail => 5_000,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, clap::Error> {
        Options::try_parse_from(std::iter::once("bench").chain(line.split_whitespace()))
    }

    #[test]
    fn without_options_every_load_is_measured_three_times() {
        let Options { command, load } = parse("").unwrap();
        assert_eq!(command, None);
        assert_eq!(load.load, [Load::Cases, Load::Mail, Load::Org]);
        assert_eq!((load.cases, load.workers, load.repetitions, load.json), (20_000, 2, 3, false));
    }

    #[test]
    fn loads_are_named_and_partitions_have_their_own_options() {
        let load = parse("--load org,mail --cases 100 --workers 1 --repetitions 1 --json").unwrap().load;
        assert_eq!((load.load, load.cases, load.json), (vec![Load::Org, Load::Mail], 100, true));
        let command = parse("partitions --rows 10 --tenants 2 --leaves 1,4").unwrap().command;
        let expected =
            PartitionOptions { rows: 10, tenants: 2, leaves: vec![1, 4], repetitions: 3, json: false };
        assert_eq!(command, Some(Command::Partitions(expected)));
        let figures = parse("figures --cases 10000,20000 --read-by bulk --load cases").unwrap().command;
        let (load, cases, read_by) = (Load::Cases, vec![10_000, 20_000], vec![Way::Bulk]);
        assert_eq!(figures, Some(Command::Figures(FigureOptions { load, cases, read_by, seed: 1 })));
        for nonsense in ["--load all", "--cases 0", "--workers 0", "--repetitions 0", "--cases 5 partitions"]
        {
            assert!(parse(nonsense).is_err(), "{nonsense}");
        }
    }
}
