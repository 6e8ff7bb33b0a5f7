//! The secure session of one link: handshake, recognition, records (docs/protocol.md, section 3). Sans-IO, owned by the link's task.
//!
//! ```text
//!            message 2              own list out,             own confirmation out,
//!             (or 1)                 other's list in            other's confirmation in
//! handshake ──Handshaken──▶ listing ──PeerList──▶ confirming ──Open { recognised }──▶ open ──Record …
//!                              ▲                      ▲                                 ▲
//!                          recognise()             confirm()                       seal_record()
//! ```
//!
//! The session knows no contacts: the engine answers [`SessionEvent::Handshaken`] with a list and [`SessionEvent::PeerList`] with a
//! [`Verdict`]. What arrives meanwhile is held: at most the other's list and its confirmation, since a correct peer sends its confirmation
//! after our list, and records after our confirmation. Anything more ends the session. After an error a session is dead: it yields nothing
//! more and refuses every call.
//!
//! It draws one ephemeral key when it is made and uses no other randomness. Of what `snow` holds, the hash and the
//! chaining key are not wiped when a session ends.

mod noise;
pub mod recognition;
mod short_ids;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;

use std::{collections::VecDeque, fmt};

use hedgerow_transports::{Direction, MAX_FRAME_LEN};
use rand_core::CryptoRng;
use snow::{HandshakeState, TransportState};

pub use self::{
    recognition::{Match, RECOGNITION_ENTRIES, RECOGNITION_LIST_LEN, RecognitionKeys, Verdict},
    short_ids::ShortIds,
};
use crate::crypto::{kdf::AUTHENTICATOR_LEN, secret::Secret};

/// The longest record, bytes (docs/protocol.md, section 3).
pub const MAX_RECORD_LEN: usize = 16_384;
/// The versions of the protocol that this code speaks, ascending.
pub const VERSIONS: &[u8] = &[1];
/// Length of a confirmation, bytes.
pub const CONFIRMATION_LEN: usize = 32;
/// Most versions that an initiator may list (docs/protocol.md, section 3).
pub const MAX_VERSIONS: usize = 8;
/// Most messages that wait for [`Session::poll_message`], and most events for [`Session::poll_event`]. Guess: a full window of the
/// smallest bundles (1 MiB of 512 bytes) and as much again; the caller drains long before.
pub const MAX_QUEUED: usize = 4_096;

/// Length of an ephemeral key in messages 1 and 2, bytes.
const EPHEMERAL_LEN: usize = 32;

const _: () = assert!(MAX_RECORD_LEN + AUTHENTICATOR_LEN == MAX_FRAME_LEN, "the longest record fills a frame");
const _: () = assert!(!VERSIONS.is_empty() && VERSIONS.len() <= MAX_VERSIONS, "the version list must be one that others take");

/// A side's part in the handshake.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// The side that dialled.
    Initiator,
    /// The side that was dialled.
    Responder,
}

impl Role {
    /// The role in MACs (docs/protocol.md, section 3.1).
    pub const fn byte(self) -> u8 {
        match self {
            Self::Initiator => 1,
            Self::Responder => 2,
        }
    }

    /// The role of the other side.
    pub const fn other(self) -> Self {
        match self {
            Self::Initiator => Self::Responder,
            Self::Responder => Self::Initiator,
        }
    }
}

impl From<Direction> for Role {
    fn from(direction: Direction) -> Self {
        match direction {
            Direction::Outbound => Self::Initiator,
            Direction::Inbound => Self::Responder,
        }
    }
}

/// What a finished handshake has settled.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SessionInfo {
    /// The handshake hash: the same at both ends, another in every session. Not secret.
    pub hash: [u8; 32],
    /// This side's part.
    pub role: Role,
    /// The version of the protocol that is spoken.
    pub version: u8,
}

/// What a session has to tell.
#[derive(PartialEq, Eq)]
pub enum SessionEvent {
    /// The handshake is done; answer with [`Session::recognise`].
    Handshaken(SessionInfo),
    /// The other's recognition list; answer with [`Session::confirm`]. Never before our own list has gone out.
    PeerList(Box<[u8; RECOGNITION_LIST_LEN]>),
    /// Records may be sent from now on.
    Open {
        /// Whether the other has proven to be who the verdict's match said.
        recognised: bool,
    },
    /// A record arrived: 1 to [`MAX_RECORD_LEN`] bytes, as yet undecoded.
    Record(Vec<u8>),
}

impl fmt::Debug for SessionEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Handshaken(info) => f.debug_tuple("Handshaken").field(info).finish(),
            Self::PeerList(_) => f.write_str("PeerList(..)"),
            Self::Open { recognised } => f.debug_struct("Open").field("recognised", recognised).finish(),
            Self::Record(record) => write!(f, "Record(.. {} bytes)", record.len()),
        }
    }
}

/// Why a session is over.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// What the other side did; the link is closed.
    #[error("the other side broke the session: {0}")]
    Peer(#[from] PeerError),
    /// A call at a time when it has no meaning: our mistake.
    #[error("the session was called out of turn")]
    OutOfTurn,
    /// A record of no bytes or more than [`MAX_RECORD_LEN`] was to be sent, our mistake: its length.
    #[error("a record of {0} bytes cannot be sent")]
    RecordLength(usize),
    /// [`MAX_QUEUED`] messages or events wait for the caller: our mistake.
    #[error("the session's queues are full")]
    Backlog,
    /// No more messages under these keys; after 2⁶⁴ of them.
    #[error("the session's keys are used up")]
    Exhausted,
    /// The session ended earlier.
    #[error("the session has ended")]
    Ended,
}

/// What a peer did wrong in its session.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeerError {
    /// A message that cannot have this length in this place: its length.
    #[error("a message of {0} bytes has no place here")]
    Length(usize),
    /// The handshake fails, or a message does not verify.
    #[error("a message does not verify")]
    Verify,
    /// The list of versions is malformed.
    #[error("the list of versions is malformed")]
    VersionList,
    /// The initiator speaks no version that we speak.
    #[error("no version in common")]
    NoCommonVersion,
    /// The responder chose a version that we did not list: the version.
    #[error("version {0} was not on offer")]
    VersionNotOffered(u8),
    /// More than a correct peer can have sent by now.
    #[error("messages came before their time")]
    Early,
}

/// The secure session of one link. After each call, drain [`poll_message`](Self::poll_message) and [`poll_event`](Self::poll_event).
pub struct Session {
    role: Role,
    state: State,
    messages: VecDeque<Vec<u8>>,
    events: VecDeque<SessionEvent>,
}

enum State {
    Handshake(Box<HandshakeState>),
    Recognition(Box<Recognition>),
    Open(Box<TransportState>),
    Dead,
}

/// Between handshake and first record.
struct Recognition {
    noise: TransportState,
    info: SessionInfo,
    /// The keys of the initiator's and the responder's direction.
    keys: (Secret<32>, Secret<32>),
    list_sent: bool,
    other_list: OtherList,
    /// Given by the engine: what is expected of the other, if anything.
    verdict: Option<Option<Match>>,
    /// Held until the verdict.
    other_confirmation: Option<Secret<CONFIRMATION_LEN>>,
}

/// Where the other's list is.
enum OtherList {
    Awaited,
    /// It came before ours went out.
    Held(Box<[u8; RECOGNITION_LIST_LEN]>),
    /// With the engine.
    Told,
}

impl Session {
    /// Begins a session; an initiator's first message is there at once. Draws the ephemeral key from `rng`, which is not needed again.
    pub fn new(role: Role, rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let mut handshake = Box::new(noise::handshake(role, Secret::random(rng)));
        let mut messages = VecDeque::new();
        let state = match role {
            Role::Responder => State::Handshake(handshake),
            Role::Initiator => match write_handshake(&mut handshake, &version_list(VERSIONS)) {
                Ok(message) => {
                    messages.push_back(message);
                    State::Handshake(handshake)
                }
                Err(_) => State::Dead,
            },
        };
        Self { role, state, messages, events: VecDeque::new() }
    }

    /// Takes one message from the link.
    ///
    /// # Errors
    ///
    /// [`SessionError::Peer`] if the other side does what it must not; [`SessionError::Backlog`] if events wait unread. The session is
    /// dead then.
    pub fn handle_message(&mut self, message: &[u8]) -> Result<(), SessionError> {
        self.step(|session, state| {
            if session.events.len() >= MAX_QUEUED {
                return Err(SessionError::Backlog);
            }
            match state {
                State::Handshake(handshake) => session.handle_handshake(handshake, message),
                State::Recognition(recognition) => session.handle_recognition(recognition, message),
                State::Open(mut noise) => {
                    let record = open(&mut noise, message, 1..=MAX_RECORD_LEN)?;
                    session.events.push_back(SessionEvent::Record(record));
                    Ok(State::Open(noise))
                }
                State::Dead => Err(SessionError::Ended),
            }
        })
    }

    /// Sends our recognition list: the engine's answer to [`SessionEvent::Handshaken`], once.
    ///
    /// # Errors
    ///
    /// [`SessionError::OutOfTurn`] at any other time. The session is dead then.
    pub fn recognise(&mut self, list: &[u8; RECOGNITION_LIST_LEN]) -> Result<(), SessionError> {
        self.step(|session, state| {
            let mut recognition = recognition_of(state)?;
            if recognition.list_sent {
                return Err(SessionError::OutOfTurn);
            }
            session.messages.push_back(seal(&mut recognition.noise, list)?);
            recognition.list_sent = true;
            session.tell_list(&mut recognition);
            Ok(State::Recognition(recognition))
        })
    }

    /// Sends our confirmation: the engine's answer to [`SessionEvent::PeerList`], once.
    ///
    /// # Errors
    ///
    /// [`SessionError::OutOfTurn`] at any other time. The session is dead then.
    pub fn confirm(&mut self, verdict: Verdict) -> Result<(), SessionError> {
        self.step(|session, state| {
            let mut recognition = recognition_of(state)?;
            if !matches!(recognition.other_list, OtherList::Told) || recognition.verdict.is_some() {
                return Err(SessionError::OutOfTurn);
            }
            let Verdict { confirmation, expected } = verdict;
            session.messages.push_back(seal(&mut recognition.noise, confirmation.expose())?);
            recognition.verdict = Some(expected);
            Ok(session.open_if_settled(recognition))
        })
    }

    /// Seals a record for the other side; only when the session is open.
    ///
    /// # Errors
    ///
    /// [`SessionError::OutOfTurn`] before that, [`SessionError::RecordLength`] if it is empty or too long, [`SessionError::Backlog`] if
    /// messages wait unsent. The session is dead then.
    pub fn seal_record(&mut self, record: &[u8]) -> Result<(), SessionError> {
        self.step(|session, state| match state {
            State::Open(mut noise) => {
                if record.is_empty() || record.len() > MAX_RECORD_LEN {
                    return Err(SessionError::RecordLength(record.len()));
                }
                if session.messages.len() >= MAX_QUEUED {
                    return Err(SessionError::Backlog);
                }
                session.messages.push_back(seal(&mut noise, record)?);
                Ok(State::Open(noise))
            }
            State::Dead => Err(SessionError::Ended),
            State::Handshake(_) | State::Recognition(_) => Err(SessionError::OutOfTurn),
        })
    }

    /// Takes the next message for the link, or `None` until something happens.
    pub fn poll_message(&mut self) -> Option<Vec<u8>> {
        self.messages.pop_front()
    }

    /// Takes the next event, or `None` until something happens.
    pub fn poll_event(&mut self) -> Option<SessionEvent> {
        self.events.pop_front()
    }

    /// This side's part in the handshake.
    pub const fn role(&self) -> Role {
        self.role
    }

    /// Runs one step; whatever fails leaves the session dead, with nothing more to yield.
    fn step(&mut self, step: impl FnOnce(&mut Self, State) -> Result<State, SessionError>) -> Result<(), SessionError> {
        let state = std::mem::replace(&mut self.state, State::Dead);
        match step(self, state) {
            Ok(next) => {
                self.state = next;
                Ok(())
            }
            Err(error) => {
                self.messages.clear();
                self.events.clear();
                Err(error)
            }
        }
    }

    fn handle_handshake(&mut self, mut handshake: Box<HandshakeState>, message: &[u8]) -> Result<State, SessionError> {
        let version = match self.role {
            Role::Initiator => chosen_version(&read_handshake(&mut handshake, message, AUTHENTICATOR_LEN, 1..=1)?)?,
            Role::Responder => {
                let version = choose_version(&read_handshake(&mut handshake, message, 0, 2..=1 + MAX_VERSIONS)?)?;
                self.messages.push_back(write_handshake(&mut handshake, &[version])?);
                version
            }
        };
        let hash = handshake.get_handshake_hash().try_into().map_err(|_| PeerError::Verify)?;
        let info = SessionInfo { hash, role: self.role, version };
        let keys = noise::split(&mut handshake);
        let noise = handshake.into_transport_mode().map_err(|_| PeerError::Verify)?;
        self.events.push_back(SessionEvent::Handshaken(info.clone()));
        Ok(State::Recognition(Box::new(Recognition {
            noise,
            info,
            keys,
            list_sent: false,
            other_list: OtherList::Awaited,
            verdict: None,
            other_confirmation: None,
        })))
    }

    fn handle_recognition(&mut self, mut recognition: Box<Recognition>, message: &[u8]) -> Result<State, SessionError> {
        match recognition.other_list {
            OtherList::Awaited => {
                let list = open(&mut recognition.noise, message, RECOGNITION_LIST_LEN..=RECOGNITION_LIST_LEN)?;
                let length = list.len();
                recognition.other_list = OtherList::Held(list.try_into().map_err(|_| PeerError::Length(length))?);
                self.tell_list(&mut recognition);
                Ok(State::Recognition(recognition))
            }
            OtherList::Told if recognition.other_confirmation.is_none() => {
                let confirmation = open(&mut recognition.noise, message, CONFIRMATION_LEN..=CONFIRMATION_LEN)?;
                recognition.other_confirmation = Secret::from_slice(&confirmation);
                Ok(self.open_if_settled(recognition))
            }
            // Its confirmation before our list is out, or its records before our confirmation is.
            OtherList::Held(_) | OtherList::Told => Err(PeerError::Early.into()),
        }
    }

    /// Passes the other's list on, once it is there and ours is out.
    fn tell_list(&mut self, recognition: &mut Recognition) {
        if !recognition.list_sent {
            return;
        }
        match std::mem::replace(&mut recognition.other_list, OtherList::Told) {
            OtherList::Held(list) => self.events.push_back(SessionEvent::PeerList(list)),
            other => recognition.other_list = other,
        }
    }

    /// Opens the session when our verdict and the other's confirmation are both there, under new keys if they agree.
    fn open_if_settled(&mut self, mut recognition: Box<Recognition>) -> State {
        let (Some(expected), Some(confirmation)) = (&recognition.verdict, &recognition.other_confirmation) else {
            return State::Recognition(recognition);
        };
        let agreed = expected.as_ref().filter(|expected| expected.expected.matches(confirmation.expose()));
        let recognised = agreed.is_some();
        if let Some(Match { link_key, .. }) = agreed {
            let hash = &recognition.info.hash;
            let initiator = recognition::rekey(Role::Initiator, hash, &recognition.keys.0, link_key);
            let responder = recognition::rekey(Role::Responder, hash, &recognition.keys.1, link_key);
            // Sets the keys and nothing else: nonces go on counting.
            recognition.noise.rekey_manually(Some(initiator.expose()), Some(responder.expose()));
        }
        self.events.push_back(SessionEvent::Open { recognised });
        State::Open(Box::new(recognition.noise))
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { role, state, messages: _, events: _ } = self; // a new field must be judged here to compile
        let state = match state {
            State::Handshake(_) => "handshake",
            State::Recognition(_) => "recognition",
            State::Open(_) => "open",
            State::Dead => "dead",
        };
        f.debug_struct("Session").field("role", role).field("state", &state).finish_non_exhaustive()
    }
}

fn recognition_of(state: State) -> Result<Box<Recognition>, SessionError> {
    match state {
        State::Recognition(recognition) => Ok(recognition),
        State::Dead => Err(SessionError::Ended),
        State::Handshake(_) | State::Open(_) => Err(SessionError::OutOfTurn),
    }
}

/// The payload of message 1.
fn version_list(versions: &[u8]) -> Vec<u8> {
    let mut list = vec![versions.len() as u8];
    list.extend_from_slice(versions);
    list
}

/// Reads the payload of message 1 and chooses the highest version that both speak.
fn choose_version(list: &[u8]) -> Result<u8, PeerError> {
    let (count, versions) = list.split_first().ok_or(PeerError::VersionList)?;
    let in_order = versions.iter().zip(versions.iter().skip(1)).all(|(lower, higher)| lower < higher);
    if versions.is_empty() || versions.len() > MAX_VERSIONS || usize::from(*count) != versions.len() || !in_order {
        return Err(PeerError::VersionList);
    }
    versions.iter().rev().find(|version| VERSIONS.contains(version)).copied().ok_or(PeerError::NoCommonVersion)
}

/// Reads the payload of message 2.
fn chosen_version(payload: &[u8]) -> Result<u8, PeerError> {
    match payload {
        [version] if VERSIONS.contains(version) => Ok(*version),
        [version] => Err(PeerError::VersionNotOffered(*version)),
        _ => Err(PeerError::Length(payload.len())),
    }
}

/// Writes message 1 or 2.
fn write_handshake(handshake: &mut HandshakeState, payload: &[u8]) -> Result<Vec<u8>, PeerError> {
    let mut message = vec![0; EPHEMERAL_LEN + payload.len() + AUTHENTICATOR_LEN];
    // Fails on the other's part only: a key of low order.
    let length = handshake.write_message(payload, &mut message).map_err(|_| PeerError::Verify)?;
    message.truncate(length);
    Ok(message)
}

/// Reads message 1 or 2, whose payload has `sealed` bytes more than its plaintext.
fn read_handshake(
    handshake: &mut HandshakeState,
    message: &[u8],
    sealed: usize,
    lengths: std::ops::RangeInclusive<usize>,
) -> Result<Vec<u8>, PeerError> {
    let length = message.len().checked_sub(EPHEMERAL_LEN + sealed).filter(|length| lengths.contains(length));
    let mut payload = vec![0; length.ok_or(PeerError::Length(message.len()))?];
    handshake.read_message(message, &mut payload).map_err(|_| PeerError::Verify)?;
    Ok(payload)
}

/// Seals a list, a confirmation or a record.
fn seal(noise: &mut TransportState, plaintext: &[u8]) -> Result<Vec<u8>, SessionError> {
    let mut message = vec![0; plaintext.len() + AUTHENTICATOR_LEN];
    // Lengths fit, so only the nonce can have run out.
    noise.write_message(plaintext, &mut message).map_err(|_| SessionError::Exhausted)?;
    Ok(message)
}

/// Opens a list, a confirmation or a record, whose plaintext must have one of these lengths.
fn open(noise: &mut TransportState, message: &[u8], lengths: std::ops::RangeInclusive<usize>) -> Result<Vec<u8>, PeerError> {
    let length = message.len().checked_sub(AUTHENTICATOR_LEN).filter(|length| lengths.contains(length));
    let mut plaintext = vec![0; length.ok_or(PeerError::Length(message.len()))?];
    noise.read_message(message, &mut plaintext).map_err(|_| PeerError::Verify)?;
    Ok(plaintext)
}
