//! What goes into the engine and what comes out of it.

use hedgerow_transports::{BeaconId, LinkId, LinkProperties, TransportKind, Wanted};

use crate::{
    session::{RECOGNITION_LIST_LEN, SessionInfo, Verdict},
    view::{Answer, Command, CommandError, Event},
};

/// Names a request between the driver and the engine, so that the answer finds its asker.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RequestId(pub u64);

/// What happened outside the engine.
#[derive(Debug)]
pub enum Input {
    /// A transport uses this beacon from now on.
    Beacon(TransportKind, BeaconId),
    /// Whether a transport has neighbours in sight that it could dial and has no link to.
    Others(TransportKind, bool),
    /// The device is on another network than before, as this transport sees it, or on one more.
    NetworkChanged(TransportKind),
    /// The handshake of a link is done; answered by [`Output::Recognise`] or [`Output::Close`].
    Handshaken {
        /// The link.
        link: LinkId,
        /// What it declared.
        properties: LinkProperties,
        /// The session's hash, role and version.
        info: SessionInfo,
    },
    /// The peer's recognition list came; answered by [`Output::Confirm`].
    PeerList {
        /// The link.
        link: LinkId,
        /// The list.
        list: Box<[u8; RECOGNITION_LIST_LEN]>,
    },
    /// Confirmations are exchanged; records may flow.
    Open {
        /// The link.
        link: LinkId,
        /// Whether both sides recognised each other.
        recognised: bool,
    },
    /// One whole record arrived, authenticated by the session.
    Record {
        /// The link.
        link: LinkId,
        /// Its bytes, at most [`crate::session::MAX_RECORD_LEN`].
        record: Vec<u8>,
    },
    /// A link has ended, whoever ended it. Harmless for one that is unknown.
    LinkDown(LinkId),
    /// A person or a script asks.
    Command(RequestId, Command),
    /// The instant last returned by [`super::Engine::poll_timeout`] has passed.
    Timeout,
}

/// What the driver has to do, in this order, once the batch is committed.
#[derive(Debug)]
pub enum Output {
    /// Hand this list to the link's session.
    Recognise {
        /// The link.
        link: LinkId,
        /// Our recognition list.
        list: Box<[u8; RECOGNITION_LIST_LEN]>,
    },
    /// Hand this verdict to the link's session.
    Confirm {
        /// The link.
        link: LinkId,
        /// Our confirmation and what to expect.
        verdict: Verdict,
    },
    /// Send this record on the link.
    Transmit {
        /// The link.
        link: LinkId,
        /// Its bytes.
        record: Vec<u8>,
    },
    /// Send what is queued on the link and close it. [`Input::LinkDown`] follows.
    Close(LinkId),
    /// The link leads to the device with this beacon: its transport need not dial it.
    Linked {
        /// The transport.
        kind: TransportKind,
        /// The device's beacon on it.
        beacon: BeaconId,
    },
    /// No link leads to that beacon any more.
    Free {
        /// The transport.
        kind: TransportKind,
        /// The device's beacon on it.
        beacon: BeaconId,
    },
    /// How many more links a transport is to dial.
    Wanted {
        /// The transport.
        kind: TransportKind,
        /// Until the next such output.
        wanted: Wanted,
    },
    /// Between the device with this beacon and us there is no place for a link: others are to be tried first.
    Crowded {
        /// The transport.
        kind: TransportKind,
        /// The device's beacon on it.
        beacon: BeaconId,
    },
    /// A link to the device with this beacon was of no use to one of the two: it is not to be dialled for some minutes.
    Useless {
        /// The transport.
        kind: TransportKind,
        /// The device's beacon on it.
        beacon: BeaconId,
    },
    /// Somebody more may be recognised from now on: neighbours that were passed over are worth a look again.
    LookAnew(TransportKind),
    /// Answer a request.
    Reply(RequestId, Result<Answer, CommandError>),
    /// Tell every subscriber.
    Event(Event),
}
