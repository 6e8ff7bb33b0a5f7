//! Neighbours on the local network: found by mDNS, linked over TCP.
//!
//! ```text
//!   Lan ──commands──▶ worker ──▶ discovery (one mDNS daemon for each beacon)
//!    ▲                  │  ├───▶ dial table ──▶ connections out
//!    └─────events───────┘  ├───▶ listeners ───▶ connections in
//!                          └───▶ interfaces, once a second: a lost address closes its links
//! ```
//!
//! Every quarter of an hour the node takes another beacon, port, instance and host name at once, after a silence in which it neither shows
//! itself nor looks for others (docs/protocol.md, section 9). Links live on. Nothing here looks into what links carry, and no log line
//! holds an address.

mod dial;
mod discovery;
mod interfaces;
mod tcp;
mod worker;

#[cfg(test)]
mod tests;

use std::{
    fmt, io,
    net::SocketAddr,
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{runtime::Handle, sync::mpsc, task::JoinHandle};

use crate::{Transport, TransportCommand, TransportEvent, TransportKind};

/// Events the transport holds for its owner (policy); then it waits.
const MAX_EVENTS: usize = 64;

/// What the owner settles about the local network.
#[derive(Clone, Debug)]
pub struct LanConfig {
    /// Addresses to listen on. They keep their ports when the beacon changes. Empty: a fresh port that the system chooses, as long as
    /// `mdns` is on; otherwise none.
    pub listen: Vec<SocketAddr>,
    /// Addresses to dial for ever, `host:port` or `[address%interface]:port`.
    pub connect: Vec<String>,
    /// Whether to show ourselves to neighbours and to look for them.
    pub mdns: bool,
    /// How long a beacon is used.
    pub rotate_every: Duration,
    /// The silence before the next beacon is drawn from this.
    pub silence: Range<Duration>,
    /// Neighbours are dialled while fewer links than this were, however many are wanted; at most twice as many are accepted, and this many
    /// from one device.
    pub max_links: usize,
    /// Names of interfaces over which bytes cost money; one that ends in `*` stands for all that begin so. A telephone that shares its
    /// connection looks like any other network: only its owner can tell.
    pub metered: Vec<String>,
}

impl Default for LanConfig {
    /// docs/protocol.md, section 9; 12 links is policy; mobile networks by the names that Linux and Android give them.
    fn default() -> Self {
        Self {
            listen: Vec::new(),
            connect: Vec::new(),
            mdns: true,
            rotate_every: Duration::from_secs(15 * 60),
            silence: Duration::from_secs(5)..Duration::from_secs(30),
            max_links: 12,
            metered: ["wwan*", "ppp*", "rmnet*"].map(str::to_owned).into(),
        }
    }
}

/// Why the transport didn't start.
#[derive(Debug, thiserror::Error)]
pub enum LanError {
    /// It was started outside a runtime.
    #[error("the local network needs a tokio runtime")]
    NoRuntime,
    /// One of the `listen` addresses can't be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The owner's own setting.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// A `connect` address isn't `host:port`.
    #[error("{0:?} is not an address of the form host:port")]
    Connect(String),
    /// The system gives no randomness.
    #[error("no randomness from the system")]
    Randomness,
}

/// The local network as a [`Transport`]. Dropping it stops discovery, dialling and listening; links already handed out live on.
pub struct Lan {
    events: mpsc::Receiver<TransportEvent>,
    commands: mpsc::UnboundedSender<TransportCommand>,
    listening: Listening,
    worker: JoinHandle<()>,
}

/// The addresses listened on at the moment, shared with the worker.
type Listening = Arc<Mutex<Vec<SocketAddr>>>;

impl Lan {
    /// Starts on the current tokio runtime.
    ///
    /// # Errors
    ///
    /// [`LanError`] if a setting can't be followed. A condition that may pass, such as a network without multicast, is no error but a
    /// [`TransportEvent::Trouble`].
    pub fn start(config: LanConfig) -> Result<Self, LanError> {
        let runtime = Handle::try_current().map_err(|_| LanError::NoRuntime)?;
        let (event_sender, events) = mpsc::channel(MAX_EVENTS);
        let (commands, command_receiver) = mpsc::unbounded_channel();
        let listening = Listening::default();
        let worker = worker::Worker::new(config, event_sender, command_receiver, Arc::clone(&listening))?;
        Ok(Self { events, commands, listening, worker: runtime.spawn(worker.run()) })
    }

    /// The addresses listened on at the moment, for the owner's own `status`.
    pub fn listening(&self) -> Vec<SocketAddr> {
        self.listening.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl fmt::Debug for Lan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lan").finish_non_exhaustive()
    }
}

impl Drop for Lan {
    fn drop(&mut self) {
        self.worker.abort();
    }
}

impl Transport for Lan {
    fn kind(&self) -> TransportKind {
        TransportKind::Lan
    }

    fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<TransportEvent> {
        match ready!(self.events.poll_recv(context)) {
            Some(event) => Poll::Ready(event),
            // The worker has ended, which it does only with its runtime.
            None => Poll::Pending,
        }
    }

    fn command(&mut self, command: TransportCommand) {
        // Without a worker there is nothing left to tell.
        let _ = self.commands.send(command);
    }
}
