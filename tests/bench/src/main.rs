//! `cargo run --release -p bench`: wiring only. [`sync`] measures Refrain, [`limits`] what the machine can do,
//! [`report`] puts one beside the other; [`partitions`] decides how content tables are cut; [`figures`] counts calls;
//! [`reproject`] applies another mapping to what is here; [`freshness`] renames parents.
//!
//! Figures are ratios of one run on one machine, never assertions: a slow machine fails nothing. A load that is not
//! complete does.

mod args;
mod figures;
mod freshness;
mod ground;
mod limits;
mod meter;
mod partitions;
mod report;
mod reproject;
mod source;
mod sync;

use std::process::ExitCode;

use anyhow::ensure;
use clap::Parser;
use demo::stack::Simulator;
use harness::servers::Options as ServerOptions;
use serde_json::json;
use tokio_postgres::Client;

use args::{Command, Load, LoadOptions, Options};
use ground::Ground;
use limits::Sum;
use meter::{Cost, Meter, Watched, postmaster};
use report::{Loaded, Repetition};
use source::Source;

fn main() -> ExitCode {
    let options = Options::parse();
    if cfg!(debug_assertions) {
        eprintln!(
            "This is an unoptimised build; its figures mean nothing. Use `cargo run --release -p bench`."
        );
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("The runtime does not start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let outcome = runtime.block_on(async {
        tokio::select! {
            outcome = run(options) => outcome,
            _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("interrupted")),
        }
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("The measurement failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> anyhow::Result<()> {
    // Before the first TLS connection of any library; a second installation cannot happen here.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    demo::programs::build().await?;
    match options.command {
        Some(Command::Partitions(options)) => partitions::run(&options).await,
        Some(Command::Figures(options)) => figures::run(&options).await,
        Some(Command::Freshness(options)) => freshness::run(&options).await,
        Some(Command::Reproject(options)) => reproject::run(&options).await,
        None => loads(&options.load).await,
    }
}

async fn loads(options: &LoadOptions) -> anyhow::Result<()> {
    let ground = Ground::open(ServerOptions::program("bench")).await?;
    let mut results = Vec::new();
    for load in &options.load {
        let simulator = ground.simulator(*load, options).await?;
        let mut loaded = Loaded { load: *load, repetitions: Vec::new() };
        for number in 1..=options.repetitions {
            eprintln!("{}: repetition {number} of {}", load.word(), options.repetitions);
            loaded.repetitions.push(repetition(&ground, &simulator, *load, options).await?);
        }
        demo::stack::stop(&simulator.process).await;
        println!("{}", loaded.table(options));
        results.push(loaded.json());
    }
    ground.close().await;
    if options.json {
        println!("{}", json!({"workers": options.workers, "streams": options.streams, "loads": results}));
    }
    Ok(())
}

async fn repetition(
    ground: &Ground,
    simulator: &Simulator,
    load: Load,
    options: &LoadOptions,
) -> anyhow::Result<Repetition> {
    let fresh = ground.installation(simulator, options.workers).await?;
    let synced = sync::measure(&fresh, simulator, load).await?;
    let entry = fresh.entry.clone();
    let installation = fresh.stop().await;
    let database = limits::connect(&installation).await?;
    let source = Source::sign_in(&simulator.ready, &entry).await?;
    let limits = Limits { simulator, database: &database };
    let pages = async |toast, streams| {
        let parts = limits::pages::prepare(&database, toast).await?;
        limits.measure(limits::pages::copy(&installation, &source, parts, streams)).await
    };
    let (limit_a, best_a) = (pages("pglz", 1).await?, pages("lz4", options.streams).await?);
    for (_, Sum { rows, .. }) in [limit_a, best_a] {
        ensure!(rows == synced.records, "the bare client read {rows} records, Refrain {}", synced.records);
    }
    let parts = limits::pages::prepare(&database, "pglz").await?;
    // Every stream reads everything: a load of few slices would leave cores idle.
    let parts = std::iter::repeat_n(parts, options.streams as usize).flatten().collect();
    let (drain, _) = limits.measure(limits::pages::drain(&source, parts, options.streams)).await?;
    let drain = drain.of_one(options.streams);
    let bytes = async |streams| {
        let rows = limits::bytes::prepare(&database, streams).await?;
        limits.measure(limits::bytes::copy(&installation, rows, streams)).await
    };
    let (limit_b, best_b) = (bytes(1).await?, bytes(options.streams).await?);
    ensure!(
        limit_b.1.rows == best_b.1.rows,
        "limit B copied {} rows and {} rows",
        limit_b.1.rows,
        best_b.1.rows
    );
    Ok(Repetition { synced, limit_a, limit_b, best_a, best_b, drain })
}

/// Measures a limit: Refrain's programs do not run meanwhile.
struct Limits<'a> {
    simulator: &'a Simulator,
    database: &'a Client,
}

impl Limits<'_> {
    async fn measure(&self, work: impl Future<Output = anyhow::Result<Sum>>) -> anyhow::Result<(Cost, Sum)> {
        let watched = Watched {
            workers: Vec::new(),
            scheduler: None,
            simulator: self.simulator.process.id(),
            postgres: postmaster(self.database).await?,
        };
        let (_, org) = self.simulator.org();
        let meter = Meter::start(&watched, &org, self.database).await?;
        let sum = work.await?;
        Ok((meter.stop().await?, sum))
    }
}
