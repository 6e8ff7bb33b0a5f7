//! What a transport is to those who use it: plain types, no runtime, always built.
//!
//! ```text
//!   discovered ──dial──▶ Link (records in order, both ways, until it breaks) ──▶ lost
//!   accepted ────────────▲
//! ```
//!
//! A transport tells what happens through its events; a link carries whole session messages. Neither looks into them.

use std::{
    fmt,
    task::{Context, Poll},
};

/// Names one open connection within this process; never sent, never reused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LinkId(pub u64);

/// A node's name to its neighbours for a quarter of an hour: 8 random bytes (docs/protocol.md, section 9).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BeaconId(pub [u8; 8]);

impl fmt::Display for BeaconId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for BeaconId {
    /// Beacons name a device for a while, so logs don't hold them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BeaconId(..)")
    }
}

/// A technology that carries links.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum TransportKind {
    /// The local network: mDNS and TCP.
    Lan,
    /// In-process, for tests and the demo.
    Memory,
}

impl TransportKind {
    /// The name that people and scripts see.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lan => "lan",
            Self::Memory => "memory",
        }
    }
}

/// Who opened a link; it decides the roles in the session's handshake.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// We dialled.
    Outbound,
    /// The other side dialled.
    Inbound,
}

/// How bytes may flow on a link.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flow {
    /// Both ways at once, with a live peer at the other end.
    Duplex,
    /// One way and file-like: what is written is read days later, or never.
    OneWay,
}

/// What a link declares of itself, before any byte has crossed it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct LinkProperties {
    /// The technology.
    pub kind: TransportKind,
    /// Who opened it.
    pub direction: Direction,
    /// The beacon that was dialled, if the transport went by one.
    pub dialled: Option<BeaconId>,
    /// How bytes may flow.
    pub flow: Flow,
    /// Expected rate, bytes a second: 10 kB/s for a poor radio, 100 MB/s for a wire. A guess until measured.
    pub rate: u32,
    /// Expected time from here to there, milliseconds.
    pub latency_ms: u32,
    /// Whether bytes cost the person money (a metered interface).
    pub metered: bool,
}

/// Why a link ended other than by an orderly close.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// The other end, or the network under it, is gone.
    #[error("the connection broke")]
    Broken,
    /// The other end sends what is not a stream of frames.
    #[error("the other side does not speak this protocol: {0}")]
    Frame(#[from] crate::FrameError),
}

/// One open connection: carries whole session messages of 1 to [`MAX_FRAME_LEN`](crate::MAX_FRAME_LEN) bytes in order until it breaks.
///
/// Poll-based, so that this crate names no runtime; a link belongs to one task. Dropping it closes it.
pub trait Link: Send {
    /// What the link declared when it came up.
    fn properties(&self) -> LinkProperties;

    /// The peer's address in words for its owner's own `status`, never for a log.
    fn peer_address(&self) -> String;

    /// Yields the next message; `Ok(None)` once the other side has closed in order.
    ///
    /// # Errors
    ///
    /// [`LinkError`] when the link is of no more use.
    fn poll_receive(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Vec<u8>>, LinkError>>;

    /// Ready once the link can take another message with [`start_send`](Self::start_send). What it took may wait for more until
    /// [`poll_flush`](Self::poll_flush).
    ///
    /// # Errors
    ///
    /// [`LinkError`] when the link is of no more use.
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), LinkError>>;

    /// Takes one message into the link's bounded buffer; only after [`poll_ready`](Self::poll_ready) was ready.
    ///
    /// # Errors
    ///
    /// [`LinkError::Frame`] if the message is empty or too long.
    fn start_send(&mut self, message: &[u8]) -> Result<(), LinkError>;

    /// Ready once everything taken has been handed to the network; to be called whenever there is nothing more to send.
    ///
    /// # Errors
    ///
    /// [`LinkError`] when the link is of no more use.
    fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<Result<(), LinkError>>;
}

/// What a transport has to tell.
pub enum TransportEvent {
    /// The node's beacon on this transport is this one from now on.
    Beacon(BeaconId),
    /// A neighbour is there; the transport dials it by itself.
    Found(BeaconId),
    /// A neighbour has gone from sight. Links to it may live on.
    Lost(BeaconId),
    /// A link came up, dialled or accepted.
    LinkUp(Box<dyn Link>),
    /// Whether there are neighbours in sight that have no link and may be dialled; told when it changes, at first there are none.
    Others(bool),
    /// The device is on another network than before, or on one more.
    NetworkChanged,
    /// A lasting condition for the owner to see, such as a port in use; `None` when it is over.
    Trouble(Option<String>),
}

/// Whom a transport is to dial. Addresses of the owner's own are dialled in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// So many more links, to any neighbours.
    pub neighbours: usize,
    /// Beyond these, neighbours that were never dialled, one now and then, for they may be contacts.
    pub contacts: bool,
}

/// What a transport is told.
#[derive(Clone, Debug)]
pub enum TransportCommand {
    /// The neighbour with this beacon has a link: don't dial it again until [`Free`](Self::Free).
    Linked(BeaconId),
    /// The last link to this beacon has ended: it may be dialled again.
    Free(BeaconId),
    /// Whom to dial from now on.
    Wanted(Wanted),
    /// There is no place for a link to the neighbour with this beacon, with us or with it: dial others first.
    Crowded(BeaconId),
    /// A link to the neighbour with this beacon was of no use to one of the two: don't dial it for some minutes.
    Useless(BeaconId),
    /// Somebody more may be recognised: neighbours that were passed over are new again.
    LookAnew,
}

/// A technology that finds neighbours and opens links to them. Runs in the background from when it is made until it is dropped.
pub trait Transport: Send {
    /// Which technology.
    fn kind(&self) -> TransportKind;

    /// Yields the next event; never ends while the transport lives.
    fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<TransportEvent>;

    /// Tells the transport something; takes effect soon.
    fn command(&mut self, command: TransportCommand);
}
