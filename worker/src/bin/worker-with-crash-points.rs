//! The worker with its crash points compiled in, for end-to-end tests: see `refrain_worker::crash`. A program of its
//! own name, so that it can never stand where the shipped one is looked for.

use std::process::ExitCode;

#[path = "../main.rs"]
mod shipped;

fn main() -> ExitCode {
    shipped::main()
}
