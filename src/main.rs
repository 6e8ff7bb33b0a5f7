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

fn main() -> std::process::ExitCode {
    cli::run(std::env::args_os())
}
