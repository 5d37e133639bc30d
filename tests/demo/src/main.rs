//! `cargo demo`: wiring only. The story is in `story`.

mod args;
mod ground;
mod progress;
mod story;
mod summary;
mod voice;

use std::process::ExitCode;

use clap::Parser;
use harness::servers::ServersError;
use tokio::signal::unix::{SignalKind, signal};

use args::Options;
use ground::Ground;
use story::Ending;
use voice::Voice;

/// As shells count: 128 and the signal's number.
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let options = Options::parse();
    let voice = Voice::new(options.json);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            voice.problem(&anyhow::Error::from(error).context("start the runtime"));
            return ExitCode::FAILURE;
        }
    };
    ExitCode::from(runtime.block_on(run(&options, &voice)))
}

async fn run(options: &Options, voice: &Voice) -> u8 {
    // Before the first TLS connection of any library: with no provider chosen it would panic there. A second
    // installation cannot happen here.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let (mut interrupt, mut terminate) =
        match signal(SignalKind::interrupt()).and_then(|int| Ok((int, signal(SignalKind::terminate())?))) {
            Ok(signals) => signals,
            Err(error) => {
                voice.problem(&anyhow::Error::from(error).context("watch for Ctrl-C"));
                return 1;
            }
        };
    let mut ground = Ground::new(options);
    let mut verified = false;
    let outcome = tokio::select! {
        ended = story::tell(options, voice, &mut ground, &mut verified) => Some(ended),
        _ = interrupt.recv() => None,
        _ = terminate.recv() => None,
    };
    let code = match &outcome {
        Some(Ok(Ending::Exact)) => 0,
        Some(Ok(Ending::Differs)) => 1,
        Some(Err(error)) => {
            voice.problem(error);
            error.downcast_ref::<ServersError>().map_or(1, ServersError::exit_code)
        }
        // A demo that had shown what it shows was ended as it is meant to be.
        None if verified && !options.once => 0,
        None => INTERRUPTED,
    };
    voice.step("stopping everything (Ctrl-C again to stop at once)");
    tokio::select! {
        () = ground.clear(voice) => {}
        // What still runs is ended by the guard and the servers' watchdogs.
        _ = interrupt.recv() => std::process::exit(INTERRUPTED.into()),
    }
    code
}
