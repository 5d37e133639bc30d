//! `scheduler`: wiring only.

use std::process::ExitCode;

use clap::Parser as _;
use refrain_scheduler::cli::{Arguments, run};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // Before the first TLS connection of any library: with no provider chosen it would panic there.
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        eprintln!("The TLS provider was installed twice; that is a bug.");
        return ExitCode::FAILURE;
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("The runtime does not start: {error}");
            return ExitCode::FAILURE;
        }
    };
    ExitCode::from(runtime.block_on(run(arguments)))
}
