//! Hybrid steps and pair epochs (docs/protocol.md, sections 8.4 and 8.5).
//!
//! ```text
//!   offering side:   Idle ──PQ KEY──▶ Offered ──PQ CIPHERTEXT read──▶ Decapsulated ──next sending chain──▶ Idle
//!   answering side:  Idle ──PQ KEY read──▶ Answered (PQ CIPHERTEXT) ──first header with pq = e──▶ Idle
//! ```
//!
//! One step is open at a time. Should both offer at once, the side that starts keeps its offer and the other answers it.
//!
//! Pacing (policy): an item goes out again once [`REPEAT_HOURS`] have passed without word that it arrived, or [`REPEAT_ARRIVED_HOURS`] with
//! such word but no progress; at once if the number that carried it was closed; a ciphertext also when the key comes again, but not within
//! the same hour.

use std::{fmt, ops::Range};

use ml_kem::{B32, Ciphertext, Decapsulate, DecapsulationKey, Encapsulate, EncapsulationKey, Key, KeyExport, MlKem768, Seed};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::{
    crypto::{
        kdf::{hkdf, label},
        pair_keys::PairRole,
        secret::Secret,
    },
    time::Hour,
};

/// Length of an ML-KEM-768 encapsulation key, bytes (FIPS 203).
pub const PQ_KEY_LEN: usize = 1_184;
/// Length of an ML-KEM-768 ciphertext, bytes (FIPS 203).
pub const PQ_CIPHERTEXT_LEN: usize = 1_088;
/// After how many messages, sealed and opened, a hybrid step is due (docs/protocol.md, section 8.4, policy).
pub const PQ_MESSAGES: u32 = 50;
/// After how many hours with at least one message a hybrid step is due (section 8.4, policy): 7 days.
pub const PQ_HOURS: u32 = 7 * 24;
/// After how many hours the side that does not start takes over (section 8.4, policy): 7 days longer.
pub const PQ_TAKEOVER_HOURS: u32 = 2 * PQ_HOURS;
/// After how many hours an item of which nothing was heard goes out again (policy).
pub const REPEAT_HOURS: u32 = 24;
/// After how many hours an item that arrived, but was not followed up, goes out again (policy).
pub const REPEAT_ARRIVED_HOURS: u32 = 7 * 24;
/// How many pair epochs are accepted (section 8.5).
pub const PAIR_EPOCHS: usize = 3;

/// An item of a hybrid step, to be put into the next body (docs/protocol.md, section 8.6).
#[derive(Clone, PartialEq, Eq)]
pub enum PqItem {
    /// PQ KEY.
    Key {
        /// The epoch that the step makes.
        epoch: u32,
        /// The encapsulation key.
        key: Box<[u8; PQ_KEY_LEN]>,
    },
    /// PQ CIPHERTEXT.
    Ciphertext {
        /// The epoch that the step makes.
        epoch: u32,
        /// The ciphertext.
        ciphertext: Box<[u8; PQ_CIPHERTEXT_LEN]>,
    },
}

impl fmt::Debug for PqItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key { epoch, key: _ } => f.debug_struct("Key").field("epoch", epoch).finish_non_exhaustive(),
            Self::Ciphertext { epoch, ciphertext: _ } => f.debug_struct("Ciphertext").field("epoch", epoch).finish_non_exhaustive(),
        }
    }
}

/// The keys of one pair epoch (docs/protocol.md, section 8.5).
#[derive(Debug)]
pub struct PairEpochKeys {
    /// The epoch.
    pub epoch: u32,
    /// Recognition key from this side to the other.
    pub own: Secret<32>,
    /// Recognition key from the other side to this one.
    pub other: Secret<32>,
    /// Link key.
    pub link: Secret<32>,
}

/// What is known of an item that went out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Word {
    /// Nothing.
    None = 0,
    /// The number that carried it was read.
    Arrived = 1,
    /// The other side sent again what it answers.
    AskedAgain = 2,
}

/// When an item last went out, and in which number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Sent {
    pub(super) hour: Hour,
    pub(super) number: u32,
    pub(super) word: Word,
}

/// Where the hybrid step stands.
pub(super) enum Phase {
    Idle,
    Offered { epoch: u32, seed: Secret<64>, sent: Option<Sent> },
    Answered { epoch: u32, shared: Secret<32>, ciphertext: Box<[u8; PQ_CIPHERTEXT_LEN]>, sent: Option<Sent> },
    Decapsulated { epoch: u32, shared: Secret<32> },
}

/// Hybrid steps and pair epochs of one contact.
pub(super) struct Hybrid {
    pub(super) role: PairRole,
    pub(super) starts: bool,
    pub(super) phase: Phase,
    /// Messages sealed and opened since the last step.
    pub(super) messages: u32,
    /// Since when time counts towards the next step; unknown until there is a clock.
    pub(super) since: Option<Hour>,
    /// The newest pair secrets, ascending by epoch, without gaps, one to [`PAIR_EPOCHS`].
    pub(super) secrets: Vec<(u32, Secret<32>)>,
    /// The epoch that this side's lists use.
    pub(super) sending_epoch: u32,
}

impl Hybrid {
    /// Starts at epoch 0.
    pub(super) fn new(role: PairRole, starts: bool, pair_secret: Secret<32>) -> Self {
        Self { role, starts, phase: Phase::Idle, messages: 0, since: None, secrets: vec![(0, pair_secret)], sending_epoch: 0 }
    }

    /// The newest epoch that this side could use.
    pub(super) fn newest(&self) -> u32 {
        self.secrets.last().map_or(0, |(epoch, _)| *epoch)
    }

    /// The keys of the epochs that are accepted, newest first.
    pub(super) fn recognition(&self) -> impl Iterator<Item = PairEpochKeys> + '_ {
        let key = |secret: &Secret<32>, direction| hkdf(b"", secret.expose(), &[label::RECOGNISE, &[direction]]);
        self.secrets.iter().rev().map(move |(epoch, secret)| PairEpochKeys {
            epoch: *epoch,
            own: key(secret, self.role.direction()),
            other: key(secret, self.role.other().direction()),
            link: hkdf(b"", secret.expose(), &[label::LINK]),
        })
    }

    /// Says whether [`Self::poll`] would yield something.
    pub(super) fn is_due(&self, now: Hour) -> bool {
        match &self.phase {
            Phase::Idle => self.is_step_due(now),
            Phase::Offered { sent, .. } | Phase::Answered { sent, .. } => is_item_due(*sent, now),
            Phase::Decapsulated { .. } => false,
        }
    }

    /// Takes the item to be put into `number`, the next message that is sealed.
    pub(super) fn poll(&mut self, now: Hour, number: u32, rng: &mut (impl CryptoRng + ?Sized)) -> Option<PqItem> {
        self.note_hour(now);
        if !self.is_due(now) {
            return None;
        }
        if matches!(self.phase, Phase::Idle) {
            self.phase = Phase::Offered { epoch: self.newest().checked_add(1)?, seed: Secret::random(rng), sent: None };
        }
        let going_out = Some(Sent { hour: now, number, word: Word::None });
        match &mut self.phase {
            Phase::Offered { epoch, seed, sent } => {
                *sent = going_out;
                Some(PqItem::Key { epoch: *epoch, key: Box::new(decapsulation_key(seed).encapsulation_key().to_bytes().into()) })
            }
            Phase::Answered { epoch, ciphertext, sent, .. } => {
                *sent = going_out;
                Some(PqItem::Ciphertext { epoch: *epoch, ciphertext: ciphertext.clone() })
            }
            Phase::Idle | Phase::Decapsulated { .. } => None,
        }
    }

    /// Answers the other side's key. `false`, with nothing changed but perhaps the pacing, if it has no place in the step that is open.
    pub(super) fn handle_key(&mut self, epoch: u32, key: &[u8; PQ_KEY_LEN], rng: &mut (impl CryptoRng + ?Sized)) -> bool {
        match &mut self.phase {
            Phase::Answered { epoch: open, sent, .. } if *open == epoch => {
                if let Some(sent) = sent {
                    sent.word = Word::AskedAgain;
                }
                return false;
            }
            Phase::Offered { .. } if !self.starts => {}
            Phase::Idle => {}
            Phase::Answered { .. } | Phase::Offered { .. } | Phase::Decapsulated { .. } => return false,
        }
        if self.newest().checked_add(1) != Some(epoch) {
            return false;
        }
        let Ok(key) = EncapsulationKey::<MlKem768>::new(&Key::<EncapsulationKey<MlKem768>>::from(*key)) else { return false };
        let (ciphertext, shared) = key.encapsulate_with_rng(rng);
        let shared = take_shared(shared);
        self.push_epoch(epoch, &shared);
        self.phase = Phase::Answered { epoch, shared, ciphertext: Box::new(ciphertext.into()), sent: None };
        true
    }

    /// Reads the other side's ciphertext. `false`, with nothing changed, if no key of that epoch is on offer.
    pub(super) fn handle_ciphertext(&mut self, epoch: u32, ciphertext: &[u8; PQ_CIPHERTEXT_LEN]) -> bool {
        let Phase::Offered { epoch: open, seed, .. } = &self.phase else { return false };
        if *open != epoch {
            return false;
        }
        let shared = take_shared(decapsulation_key(seed).decapsulate(&Ciphertext::<MlKem768>::from(*ciphertext)));
        self.push_epoch(epoch, &shared);
        self.sending_epoch = epoch;
        self.phase = Phase::Decapsulated { epoch, shared };
        true
    }

    /// The secret to mix in before a sending chain that begins now, and its epoch.
    pub(super) const fn to_mix(&self) -> Option<(u32, &Secret<32>)> {
        match &self.phase {
            Phase::Decapsulated { epoch, shared } => Some((*epoch, shared)),
            _ => None,
        }
    }

    /// The secret to mix in before a receiving chain whose headers name `epoch`.
    pub(super) fn answered(&self, epoch: u32) -> Option<&Secret<32>> {
        match &self.phase {
            Phase::Answered { epoch: open, shared, .. } if *open == epoch => Some(shared),
            _ => None,
        }
    }

    /// The secret has been mixed in on this side: the step is done. The other side's lists may use the epoch as well.
    pub(super) fn note_mixed(&mut self, epoch: u32) {
        self.phase = Phase::Idle;
        self.sending_epoch = epoch;
        self.messages = 0;
        self.since = None;
    }

    /// A message was sealed or opened.
    pub(super) const fn note_message(&mut self) {
        self.messages = self.messages.saturating_add(1);
    }

    /// Time counts from the first hour that is known.
    pub(super) fn note_hour(&mut self, now: Hour) {
        if now == Hour::UNKNOWN {
            return;
        }
        // A clock that was set back must not put the next step off for ever.
        if self.since.is_none_or(|since| now < since) {
            self.since = Some(now);
        }
    }

    /// The other side has read these numbers.
    pub(super) fn note_arrived(&mut self, numbers: Range<u32>) {
        if let Some(Some(sent)) = self.sent_mut()
            && numbers.contains(&sent.number)
        {
            sent.word = Word::Arrived;
        }
    }

    /// This side has closed all lower numbers: an item in one of them that is not known to have arrived is lost.
    pub(super) fn note_closed(&mut self, floor: u32) {
        if let Some(sent) = self.sent_mut()
            && sent.is_some_and(|sent| sent.word == Word::None && sent.number < floor)
        {
            *sent = None;
        }
    }

    const fn sent_mut(&mut self) -> Option<&mut Option<Sent>> {
        match &mut self.phase {
            Phase::Offered { sent, .. } | Phase::Answered { sent, .. } => Some(sent),
            Phase::Idle | Phase::Decapsulated { .. } => None,
        }
    }

    fn is_step_due(&self, now: Hour) -> bool {
        let waited = self.since.filter(|_| self.messages > 0).and_then(|since| now.0.checked_sub(since.0)).unwrap_or(0);
        if self.starts { self.messages >= PQ_MESSAGES || waited >= PQ_HOURS } else { waited >= PQ_TAKEOVER_HOURS }
    }

    pub(super) fn push_epoch(&mut self, epoch: u32, shared: &Secret<32>) {
        if let Some((_, newest)) = self.secrets.last() {
            let next = hkdf(newest.expose(), shared.expose(), &[label::PAIR_EPOCH]);
            self.secrets.push((epoch, next));
        }
        if self.secrets.len() > PAIR_EPOCHS {
            self.secrets.remove(0);
        }
    }
}

/// A time that lies ahead is no reason to wait: the clock was set back.
fn is_item_due(sent: Option<Sent>, now: Hour) -> bool {
    sent.is_none_or(|sent| {
        let pause = match sent.word {
            Word::None => REPEAT_HOURS,
            Word::Arrived => REPEAT_ARRIVED_HOURS,
            Word::AskedAgain => 1,
        };
        now != Hour::UNKNOWN && now.0.checked_sub(sent.hour.0).is_none_or(|waited| waited >= pause)
    })
}

fn decapsulation_key(seed: &Secret<64>) -> DecapsulationKey<MlKem768> {
    DecapsulationKey::from_seed(Seed::from(*seed.expose()))
}

fn take_shared(shared: B32) -> Secret<32> {
    let shared = Zeroizing::new(shared);
    let mut out = Zeroizing::new([0; 32]);
    out.copy_from_slice(&shared);
    Secret::new(*out)
}
