//! Hedgerow: an offline-first mesh messenger. This crate is the program: it wires the engine, the store and the transports together.
#![forbid(unsafe_code)]

mod backup;
mod cli;
mod client;
mod config;
mod daemon;
mod demo;
mod failure;
mod interface;
mod json;
mod profile;
mod random;

use rustix::process::{Resource, Rlimit, setrlimit};

fn main() -> std::process::ExitCode {
    forbid_core_files();
    cli::run(std::env::args_os())
}

/// Has a crash leave no core file: it would hold keys, texts and perhaps a passphrase in the clear. Processes started from here inherit this.
fn forbid_core_files() {
    // A limit may always be lowered.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
}
