//! The daemon: one process that has the profile open, its links up and its socket listening.
//!
//! ```text
//!   signals ─────▶ run ──Stop──▶ driver thread (engine, store)
//!   socket ─▶ api tasks ────────▶      ▲  │
//!   network ▶ lan task ▶ link tasks ───┘◀─┘
//! ```

mod api;
pub(crate) mod clock;
mod driver;
mod lan;
mod link;
pub(crate) mod lock;
mod reply;

use std::{fs, io, os::unix::fs::PermissionsExt, path::Path, sync::Arc, time::Duration};

use hedgerow_transports::lan::LanConfig;
use tokio::{
    net::UnixListener,
    signal::unix::{SignalKind, signal},
    sync::{broadcast, mpsc, oneshot, watch},
};
use zeroize::Zeroizing;

use self::{
    api::Api,
    clock::Clock,
    driver::{Driver, Message, Setup, StartError},
    lock::ProfileLock,
};
use crate::{
    cli::error::{CliError, Kind},
    client,
    config::Config,
    profile::Profile,
};

/// How long to wait for a command that works on the closed profile (policy).
const LOCK_PATIENCE: Duration = Duration::from_secs(5);
/// How long links and clients get to take what is still for them when the daemon ends (policy).
const FAREWELL: Duration = Duration::from_secs(2);

/// Runs the daemon until SIGTERM or Ctrl-C. `lan` is absent when the local network is not to be used; `ready` is told the addresses
/// listened on. `delay_divisor` is 1 but in tests.
///
/// # Errors
///
/// A configuration error if the profile is in use or the network can't be used as told; a store error if the profile can't be opened.
pub(crate) fn run(config: &Config, lan: Option<LanConfig>, delay_divisor: u32, ready: fn(&Config, &[String])) -> Result<(), CliError> {
    let profile = Profile::at(&config.home).with_delays_divided_by(delay_divisor);
    profile.require()?;
    let socket = config.socket()?;
    let lock = take_lock(config, &socket)?;
    let passphrase = config.passphrase()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("links")
        .enable_all()
        .build()
        .map_err(|error| CliError::io("the daemon's threads can't be started", &error))?;
    let ended = runtime.block_on(serve(config, lan, profile, passphrase, &socket, ready));
    runtime.shutdown_timeout(Duration::from_millis(100));
    // A next daemon would remove it too.
    let _ = fs::remove_file(&socket);
    drop(lock);
    ended
}

/// Takes the profile's lock. A command that works on the closed profile holds it for a moment; a daemon holds it for good.
fn take_lock(config: &Config, socket: &Path) -> Result<ProfileLock, CliError> {
    let clock = Clock::start();
    let deadline = clock.mono() + LOCK_PATIENCE;
    loop {
        if let Some(lock) = ProfileLock::try_take(&config.home)? {
            return Ok(lock);
        }
        if client::is_answering(socket) || clock.mono() >= deadline {
            return Err(CliError::new(
                Kind::Config,
                "another process uses this profile",
                "A profile has one daemon. `hedgerow status` asks the one that runs; wait if another command is at work.",
            ));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

async fn serve(
    config: &Config,
    lan: Option<LanConfig>,
    profile: Profile,
    passphrase: Zeroizing<String>,
    socket: &Path,
    ready: fn(&Config, &[String]),
) -> Result<(), CliError> {
    let no_socket = |error: &io::Error| CliError::io("the daemon's socket can't be made", error);
    let listener = bind(socket).map_err(|error| no_socket(&error))?;
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| no_socket(&error))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| no_socket(&error))?;

    let (sender, messages) = mpsc::channel(driver::MAX_MESSAGES);
    let (events, _) = broadcast::channel::<Arc<str>>(api::MAX_EVENTS);
    let (stop, stopping) = watch::channel(false);
    let (alive, mut all_ended) = mpsc::channel::<()>(1);
    let api = Api { driver: sender.clone(), events: events.clone(), stop: stopping };
    let serving = tokio::spawn(api.serve(listener));

    let (started, starting) = oneshot::channel();
    let (finished, mut finishing) = oneshot::channel::<()>();
    let runtime = tokio::runtime::Handle::current();
    let setup = Setup { runtime, clock: Clock::start(), profile, passphrase, lan, sender: sender.clone(), messages, events, alive };
    let thread = std::thread::Builder::new().name("engine".to_owned()).spawn(move || {
        let _finished = finished; // dropped however this thread ends
        match Driver::start(setup) {
            Ok(driver) => {
                // The receiver may have been told to stop meanwhile; then the next message is `Stop`.
                let _ = started.send(Ok(driver.listening()));
                driver.run();
            }
            Err(error) => drop(started.send(Err(error))),
        }
    });
    let thread = thread.map_err(|error| CliError::io("the daemon's threads can't be started", &error))?;

    let outcome = tokio::select! {
        outcome = starting => Some(outcome),
        _ = terminate.recv() => None,
        _ = interrupt.recv() => None,
    };
    let mut result = match outcome {
        Some(Ok(Ok(listen))) => {
            ready(config, &listen);
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
                _ = &mut finishing => {}
            }
            Ok(())
        }
        Some(Ok(Err(StartError::Store(error)))) => Err(error.into()),
        Some(Ok(Err(StartError::Lan(error)))) => Err(CliError::new(
            Kind::Config,
            error.to_string(),
            "Check --listen and --connect: is the address this machine's, and the port free?",
        )),
        Some(Err(_)) => Err(CliError::internal("the engine's thread ended before it began")),
        None => Ok(()),
    };
    // It only fails when the driver has ended already.
    let _ = sender.send(Message::Stop).await;
    if !finishing.is_terminated() {
        let _ = finishing.await;
    }
    if thread.join().is_err() && result.is_ok() {
        result = Err(CliError::internal("the engine stopped on an error of its own").lost("Nothing that was answered was lost."));
    }
    // It only fails when nobody listens any more.
    let _ = stop.send(true);
    let farewell = async {
        let _ = all_ended.recv().await;
        let _ = serving.await;
    };
    // Whoever takes longer does without.
    let _ = tokio::time::timeout(FAREWELL, farewell).await;
    result
}

/// Binds the socket, for this user only. The lock is held, so whatever stands there is left over.
fn bind(path: &Path) -> io::Result<UnixListener> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // The folder lets nobody else in, before and after the mode is set.
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}
