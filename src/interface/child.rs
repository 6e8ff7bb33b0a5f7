//! Starting a daemon that outlives the interface.
//!
//! The passphrase goes through a pipe to its standard input: never in arguments, environment or a file. It runs in a process group of its
//! own, so that no key and no closing of the terminal ends it, and holds neither the terminal nor the folder it was started in. It logs
//! nowhere: nobody would read it. What keeps it from starting it says on standard error, as any command does.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
    thread,
};

use hedgerow_tui::Secret;
use serde::Deserialize;

use crate::config::Config;

/// Options of `hedgerow daemon` for the daemon that the interface starts, separated by spaces.
const OPTIONS: &str = "HEDGEROW_DAEMON_OPTIONS";
/// Most that is read of what the daemon says while it starts, bytes (policy).
const MAX_SAID: u64 = 64 << 10;

/// Why the daemon did not start.
#[derive(Debug)]
pub(super) enum NotStarted {
    /// Another process has the profile; it may be a daemon.
    Taken,
    /// Something else, in words.
    Because(String),
}

/// Starts a daemon and waits until it is ready. Takes a good fraction of a second.
pub(super) fn start(config: &Config, passphrase: &Secret) -> Result<(), NotStarted> {
    let cannot = |error: io::Error| NotStarted::Because(format!("Hedgerow can't start its daemon here: {error}."));
    let mut child = command(config)?.spawn().map_err(cannot)?;
    if let Some(mut input) = child.stdin.take() {
        // One newline does not count. If it has ended already, it says below why.
        let _ = input.write_all(passphrase.expose().as_bytes()).and_then(|()| input.write_all(b"\n"));
    }
    let mut said = String::new();
    if let Some(output) = child.stdout.take() {
        BufReader::new(output.take(MAX_SAID)).read_line(&mut said).map_err(cannot)?;
    }
    if said.contains("\"ready\":true") {
        // While the interface runs it is the parent, and takes note of the end.
        thread::spawn(move || child.wait());
        return Ok(());
    }
    Err(why(child))
}

fn command(config: &Config) -> Result<Command, NotStarted> {
    let program = std::env::current_exe()
        .map_err(|error| NotStarted::Because(format!("Hedgerow can't find its own program to start the daemon: {error}.")))?;
    let options = std::env::var(OPTIONS).unwrap_or_default();
    let mut command = Command::new(program);
    command
        .arg("daemon")
        .arg("--home")
        .arg(&config.home)
        .args(["--passphrase-file", "/dev/stdin", "--json"])
        .args(options.split_whitespace())
        .env("HEDGEROW_LOG", "off")
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    Ok(command)
}

#[derive(Deserialize)]
struct Said {
    error: SaidError,
}

#[derive(Deserialize)]
struct SaidError {
    kind: String,
    message: String,
    hint: String,
    reason: Option<String>,
}

/// What a daemon that ends says on standard error.
fn why(mut child: Child) -> NotStarted {
    let mut said = String::new();
    if let Some(errors) = child.stderr.take() {
        // What is no text is no reason either.
        let _ = errors.take(MAX_SAID).read_to_string(&mut said);
    }
    let status = child.wait();
    let error = said.lines().filter_map(|line| serde_json::from_str::<Said>(line).ok()).map(|said| said.error).next_back();
    match error {
        Some(error) if error.reason.as_deref() == Some("passphrase") => {
            NotStarted::Because("That is not the passphrase of this profile. Nothing was lost: try again.".to_owned())
        }
        Some(error) if error.kind == "config" && error.message.contains("another process") => NotStarted::Taken,
        Some(error) => NotStarted::Because(format!("The daemon did not start: {}. {}", error.message, error.hint)),
        None => {
            let how = status.map_or_else(|error| error.to_string(), |status| status.to_string());
            NotStarted::Because(format!("The daemon ended before it was ready ({how}). `hedgerow daemon` in a terminal shows more."))
        }
    }
}
