//! The command line: what it says, done, and told.

pub(crate) mod args;
mod contact;
pub(crate) mod error;
mod explain;
mod message;
mod nearby;
mod node;
mod output;
mod qr;
mod settings;
pub(crate) mod setup;
mod terminal;

use std::{ffi::OsString, io::IsTerminal, process::ExitCode};

use clap::{Parser, error::ErrorKind};
use tracing::level_filters::LevelFilter;

use self::{
    args::{Action, Cli},
    error::CliError,
};
use crate::{config::Config, interface, random};

/// Does what the arguments say.
pub(crate) fn run(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.collect();
    let as_json = arguments.iter().any(|argument| argument == "--json");
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) => return explain_usage(&error, as_json),
    };
    let as_json = cli.globals.json;
    match Config::resolve(&cli.globals).and_then(|config| act(&config, cli.action)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => error.report(as_json),
    }
}

fn explain_usage(error: &clap::Error, as_json: bool) -> ExitCode {
    let asked_for = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    if as_json && !asked_for {
        let text = error.render().to_string();
        let what = text.lines().next().unwrap_or("wrong usage").trim_start_matches("error: ").to_owned();
        return CliError::usage(what, "`hedgerow help` shows all commands.").report(true);
    }
    // Nothing can be done about a closed output.
    let _ = error.print();
    if asked_for { ExitCode::SUCCESS } else { ExitCode::from(2) }
}

fn act(config: &Config, action: Option<Action>) -> Result<(), CliError> {
    random::check()?;
    let Some(action) = action else { return interface::run(config) };
    match action {
        Action::Demo => interface::run_demo(),
        Action::Init { name, visible, hidden: _ } => setup::init(config, &name, visible),
        Action::Passwd { new_passphrase_file } => setup::change_passphrase(config, new_passphrase_file.as_deref()),
        Action::Wipe { yes: _ } => setup::wipe(config),
        Action::Backup { file } => setup::backup(config, &file),
        Action::Restore { file } => setup::restore(config, &file),
        Action::Daemon(arguments) => {
            log_to_stderr();
            node::daemon(config, arguments)
        }
        Action::Status => node::status(config),
        Action::Mode { mode } => settings::mode(config, mode),
        Action::Relay(arguments) => settings::relay(config, &arguments),
        Action::Visibility { visibility } => settings::visibility(config, visibility),
        Action::Alerts(arguments) => settings::alerts(config, &arguments),
        Action::Invite { expires, qr } => node::invite(config, expires, qr),
        Action::Events => node::events(config),
        Action::Rpc => node::rpc(config),
        Action::Lock => node::lock(config),
        Action::Unlock => node::unlock(config),
        Action::Stop => node::stop(config),
        Action::Contact(action) => contact::act(config, action),
        Action::Nearby(action) => nearby::act(config, action),
        Action::Send { contact, text, id, urgent, wait } => message::send(config, message::Draft { contact, text, id, urgent }, wait),
        Action::Messages { contact, since, before, limit, mark_read } => message::list(config, contact, since, before, limit, mark_read),
        Action::Explain { id } => explain::explain(config, id),
        Action::Retry { id } => message::retry(config, id),
        Action::Cancel { id } => message::cancel(config, id),
        Action::Export { contact, format } => message::export(config, contact, format),
    }
}

/// Sends the daemon's log to standard error at the level of `HEDGEROW_LOG`. Whoever keeps the log adds the time.
fn log_to_stderr() {
    let level = match std::env::var("HEDGEROW_LOG").as_deref() {
        Ok("off") => LevelFilter::OFF,
        Ok("error") => LevelFilter::ERROR,
        Ok("info") => LevelFilter::INFO,
        Ok("debug") => LevelFilter::DEBUG,
        _ => LevelFilter::WARN,
    };
    tracing_subscriber::fmt()
        .with_max_level(level)
        .without_time()
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
}
