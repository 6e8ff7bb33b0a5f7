//! `sim`: replays who met whom over the real engine, and says how close it comes to the best that any protocol could do.
//!
//! Everything is read and checked before anything runs; then each combination of link profile, faults and relay policy is one run, and each
//! lifetime one row of its own. Rows go to standard output, all else to standard error (docs/simulation.md).
#![forbid(unsafe_code)]

mod abuses;
mod args;
mod clock;
mod failure;
mod files;
mod picture;
mod progress;
mod runs;
mod table;
mod units;

use std::process::ExitCode;

use clap::Parser;
use mimalloc::MiMalloc;

/// A run is millions of short-lived buffers: with the system's allocator it takes a tenth longer (measured).
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    let arguments = args::Arguments::parse();
    match runs::run_all(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
