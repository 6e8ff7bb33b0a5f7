//! The pair ratchet: seals and opens the messages of one contact (docs/protocol.md, sections 8.1 to 8.5).
//!
//! The Double Ratchet with header encryption. In place of trying header keys, tag and header key of every message come from a chain of
//! their own, so a bundle is found by its tag:
//!
//! ```text
//!   root ──root step──▶ chain key ─▶ chain key' ─▶ …     one message key each
//!     │  (DH, now and    next header key = TK ─▶ TK' ─▶ …  one tag and one header key each
//!     ▼   then ML-KEM)
//!   root'
//! ```
//!
//! A [`Ratchet`] is a value: it draws no randomness of its own, reads no clock and stores nothing. Its caller
//!
//! - keeps the map from tag to contact and [`Place`], filled from [`Ratchet::expected`] and moved on by every [`Opened`];
//! - keeps [`SkippedKey`]s and deletes each in the transaction that stores what it opened;
//! - commits [`Ratchet::encode`] before a sealed bundle leaves and together with what was opened.
//!
//! A bundle that does not open changes nothing. The far end of the tag window is kept as a key, so that a message in order costs one new tag.
//! Not audited.

mod chain;
mod header;
mod open;
mod pq;
mod state;
mod window;

#[cfg(test)]
mod naive;
#[cfg(test)]
mod tests;

use std::{fmt, ops::Range};

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use self::{
    chain::{MessageChain, RatchetKey, TagChain, root_step},
    header::Header,
    pq::Hybrid,
    window::Received,
};
use super::{
    bundle_seal::{AckSecret, BundleKeys, Envelope, TooLong, seal_bundle},
    pair_keys::{PairKeys, PairRole},
    secret::Secret,
};
use crate::{
    id::Tag,
    time::Hour,
    wire::bundle::{BUNDLE_SIZES, Bundle},
};

pub use self::{
    pq::{
        PAIR_EPOCHS, PQ_CIPHERTEXT_LEN, PQ_HOURS, PQ_KEY_LEN, PQ_MESSAGES, PQ_TAKEOVER_HOURS, PairEpochKeys, PqItem, REPEAT_ARRIVED_HOURS,
        REPEAT_HOURS,
    },
    state::{SKIPPED_KEY_LEN, StateError},
    window::{
        MAX_SKIPPED_PER_CHAIN, MAX_SKIPPED_PER_CONTACT, RECEIVE_NEXT_WINDOW, RECEIVE_WINDOW, SEND_UNANSWERED, SEND_WINDOW,
        SKIPPED_KEY_HOURS,
    },
};

/// The other side's ratchet key is of low order, so nothing secret can be agreed with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the other side's ratchet key is of low order")]
pub struct LowOrderKey;

/// Why nothing was sealed. The ratchet is as before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The window is full: [`Ratchet::allowance`] is 0 until the other side confirms more.
    #[error("no more messages may be sealed before the other side confirms some")]
    WindowFull,
    /// The body does not fit.
    #[error(transparent)]
    TooLong(#[from] TooLong),
}

/// A message that may leave once the ratchet's new state is durable.
#[derive(Debug)]
pub struct SealedMessage {
    /// Its number among this side's messages.
    pub number: u32,
    /// The bundle.
    pub bundle: Bundle,
    /// Its ack secret.
    pub ack: AckSecret,
}

/// Which of the other side's chains a tag belongs to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum PlaceChain {
    /// The one that messages arrive in.
    Current,
    /// The one that begins when the other side has seen this side's current chain.
    Next,
}

/// Where a bundle with an expected tag would be opened.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Place {
    /// The chain.
    pub chain: PlaceChain,
    /// N: the number in that chain.
    pub n: u32,
}

/// The keys of one message that was skipped; a row of the store until used or dropped.
pub struct SkippedKey {
    /// The tag by which the message is found.
    pub tag: Tag,
    /// Which of the other side's chains it belongs to, from 0.
    pub chain: u32,
    /// Its number among the other side's messages.
    pub number: u32,
    n: u32,
    header: Secret<32>,
    message: Secret<32>,
}

impl fmt::Debug for SkippedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tag: _, chain, number, n: _, header: _, message: _ } = self; // a new field must be judged here to compile
        f.debug_struct("SkippedKey").field("chain", chain).field("number", number).finish_non_exhaustive()
    }
}

/// What a bundle held, and how the expected tags have moved.
///
/// The caller first takes out what is in `forget`, then enters `skipped` and `expect`; a tag of `expect` that it already has gets its new
/// place. Newly expected tags may belong to bundles that are already there.
pub struct Opened {
    /// Its number among the other side's messages.
    pub number: u32,
    /// The body, filled up with zeros.
    pub plaintext: Zeroizing<Vec<u8>>,
    /// The secret to tell once the plaintext is durable.
    pub ack: AckSecret,
    /// Epoch that was mixed into the root at the start of its chain, 0 if none.
    pub pq: u32,
    /// The keys of messages that this one overtook.
    pub skipped: Vec<SkippedKey>,
    /// Tags newly expected, or expected at another place than before.
    pub expect: Vec<(Tag, Place)>,
    /// Tags no longer expected: its own, and those that now belong to `skipped` or to nothing.
    pub forget: Vec<Tag>,
    /// It was the first of a new chain: this side's next message begins a new chain as well.
    pub new_chain: bool,
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A new field must be judged here to compile.
        let Self { number, plaintext, ack: _, pq, skipped, expect, forget, new_chain } = self;
        f.debug_struct("Opened")
            .field("number", number)
            .field("plaintext_len", &plaintext.len())
            .field("pq", pq)
            .field("skipped", &skipped.len())
            .field("expect", &expect.len())
            .field("forget", &forget.len())
            .field("new_chain", new_chain)
            .finish_non_exhaustive()
    }
}

/// The chain that this side seals in.
struct Sending {
    ratchet: RatchetKey,
    messages: MessageChain,
    tags: TagChain,
    /// Number of its first message.
    start: u32,
    /// How many messages have been sealed in it.
    length: u32,
    /// PN: length of the chain before.
    previous: u32,
    /// Epoch mixed into the root at its start.
    pq: u32,
    /// A number of it is confirmed or receipted.
    answered: bool,
}

/// The chain that messages arrive in.
struct Receiving {
    ratchet_key: [u8; 32],
    /// Which of the other side's chains it is, from 0.
    index: u32,
    /// Number of its first message.
    start: u32,
    previous: u32,
    pq: u32,
    messages: MessageChain,
    /// Stands at `next`.
    near: TagChain,
    /// Stands at `next` + [`RECEIVE_WINDOW`].
    far: TagChain,
    /// One more than the highest N seen.
    next: u32,
}

/// The ratchet of one contact; everything but skipped keys and sealed messages.
pub struct Ratchet {
    root: Secret<32>,
    sending: Sending,
    /// Header key of the sending chain after this one.
    next_sending: Secret<32>,
    receiving: Option<Receiving>,
    /// Header key of the receiving chain after this one.
    next_receiving: Secret<32>,
    received: Received,
    /// All lower numbers of this side's have been dealt with by the other.
    peer_confirmed: u32,
    /// This side has closed all lower numbers of its own.
    floor: u32,
    hybrid: Hybrid,
}

impl fmt::Debug for Ratchet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A new field must be judged here to compile.
        let Self { root: _, sending: _, next_sending: _, receiving: _, next_receiving: _, received: _, peer_confirmed, floor, hybrid: _ } =
            self;
        f.debug_struct("Ratchet")
            .field("next_number", &self.next_number())
            .field("peer_confirmed", peer_confirmed)
            .field("confirmed", &self.confirmed())
            .field("floor", floor)
            .finish_non_exhaustive()
    }
}

impl Ratchet {
    /// Begins with the keys of a contact exchange; both sides can seal at once (docs/protocol.md, section 7.5).
    ///
    /// `starts`: this side has the lower `H(identity key)` and so starts hybrid steps (section 8.4).
    ///
    /// # Errors
    ///
    /// [`LowOrderKey`] if the other side's ratchet key is one.
    pub fn new(keys: PairKeys, starts: bool, rng: &mut (impl CryptoRng + ?Sized)) -> Result<Self, LowOrderKey> {
        let PairKeys { role, root, issuer_header, invitee_header, pair_secret, own_ratchet, other_ratchet } = keys;
        let own = RatchetKey::new(own_ratchet);
        let first = root_step(&root, &own.agree(&other_ratchet).ok_or(LowOrderKey)?);
        let common = |root, sending, next_sending, receiving, next_receiving| Self {
            root,
            sending,
            next_sending,
            receiving,
            next_receiving,
            received: Received::default(),
            peer_confirmed: 0,
            floor: 0,
            hybrid: Hybrid::new(role, starts, pair_secret),
        };
        match role {
            PairRole::Issuer => {
                let sending = Sending::begin(own, first.chain, issuer_header, 0, 0, 0);
                Ok(common(first.root, sending, first.next_header, None, invitee_header))
            }
            PairRole::Invitee => {
                let receiving = Receiving {
                    ratchet_key: other_ratchet,
                    index: 0,
                    start: 0,
                    previous: 0,
                    pq: 0,
                    messages: MessageChain::new(first.chain),
                    far: far_end(&issuer_header),
                    near: TagChain::new(issuer_header),
                    next: 0,
                };
                let fresh = RatchetKey::new(Secret::random(rng));
                let second = root_step(&first.root, &fresh.agree(&other_ratchet).ok_or(LowOrderKey)?);
                let sending = Sending::begin(fresh, second.chain, invitee_header, 0, 0, 0);
                Ok(common(second.root, sending, second.next_header, Some(receiving), first.next_header))
            }
        }
    }

    /// Seals `body` under the next number. The caller commits the new state before anything leaves.
    ///
    /// `floor`: as for [`Self::note_closed`].
    ///
    /// # Errors
    ///
    /// [`SealError`]; nothing has changed then.
    pub fn seal(
        &mut self,
        envelope: Envelope,
        body: &[u8],
        floor: u32,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<SealedMessage, SealError> {
        let floor = self.floor_with(floor);
        if self.allowance_above(floor) == 0 {
            return Err(SealError::WindowFull);
        }
        let number = self.next_number();
        let sending = &self.sending;
        let (mut tags, mut messages) = (sending.tags.duplicate(), sending.messages.duplicate());
        let (tag, header) = tags.step();
        let keys = BundleKeys { tag, header, message: messages.step() };
        let fields = Header {
            ratchet_key: *sending.ratchet.public(),
            previous: sending.previous,
            place: sending.length,
            pq: sending.pq,
            confirmed: self.confirmed(),
            floor,
        };
        let sealed = seal_bundle(&keys, envelope, &fields.encode(), body, BUNDLE_SIZES[0], rng)?;

        self.sending.tags = tags;
        self.sending.messages = messages;
        self.sending.length += 1;
        self.hybrid.note_message();
        self.hybrid.note_hour(envelope.created);
        self.note_closed(floor);
        Ok(SealedMessage { number, bundle: sealed.bundle, ack: sealed.ack })
    }

    /// Notes that this side has closed all numbers below `floor`: receipted, given up, or sent again under another number.
    ///
    /// Numbers never sealed are not closed by it, and a floor never sinks. What was receipted is noted before, by
    /// [`Self::note_receipted`]: an item of a hybrid step in a number that was only closed counts as lost.
    pub fn note_closed(&mut self, floor: u32) {
        self.floor = self.floor_with(floor);
        self.hybrid.note_closed(self.floor);
    }

    /// Notes that a receipt covers these numbers of this side's; numbers never sealed are passed over.
    pub fn note_receipted(&mut self, numbers: Range<u32>) {
        let Sending { start, .. } = self.sending;
        let sealed = numbers.start..numbers.end.min(self.next_number());
        if !sealed.is_empty() {
            self.sending.answered |= sealed.end > start;
            self.hybrid.note_arrived(sealed);
        }
    }

    /// Puts a hybrid step on its way: answers PQ KEY with epoch and key as received. `false` if it is ignored.
    pub fn handle_pq_key(&mut self, epoch: u32, key: &[u8; PQ_KEY_LEN], rng: &mut (impl CryptoRng + ?Sized)) -> bool {
        self.hybrid.handle_key(epoch, key, rng)
    }

    /// Takes PQ CIPHERTEXT with epoch and ciphertext as received. `false` if it is ignored.
    pub fn handle_pq_ciphertext(&mut self, epoch: u32, ciphertext: &[u8; PQ_CIPHERTEXT_LEN]) -> bool {
        self.hybrid.handle_ciphertext(epoch, ciphertext)
    }

    /// Takes the item of a hybrid step that is to go out now or again; the caller puts it into the very next body that it seals.
    ///
    /// `now` is mesh time; without one, items go out once and nothing falls due by time.
    pub fn poll_pq_item(&mut self, now: Hour, rng: &mut (impl CryptoRng + ?Sized)) -> Option<PqItem> {
        let number = self.next_number();
        self.hybrid.poll(now, number, rng)
    }

    /// Says whether [`Self::poll_pq_item`] has something, without beginning anything.
    pub fn is_pq_due(&self, now: Hour) -> bool {
        self.hybrid.is_due(now)
    }

    /// How many more messages may be sealed now (docs/protocol.md, section 8.3).
    pub fn allowance(&self) -> u32 {
        self.allowance_above(self.floor)
    }

    /// The number of the message that is sealed next.
    pub const fn next_number(&self) -> u32 {
        self.sending.start.saturating_add(self.sending.length)
    }

    /// The other side has dealt with all lower numbers of this side's, as far as its headers told.
    pub const fn peer_confirmed(&self) -> u32 {
        self.peer_confirmed
    }

    /// This side has dealt with all lower numbers of the other's: opened them, or the other has closed them.
    pub const fn confirmed(&self) -> u32 {
        self.received.confirmed()
    }

    /// The other side has closed all lower numbers of its own, as far as its headers told.
    pub const fn peer_floor(&self) -> u32 {
        self.received.floor()
    }

    /// Runs of numbers above [`confirmed`](Self::confirmed) that have been opened, in order: what a RECEIPT tells.
    pub fn received_beyond(&self) -> &[Range<u32>] {
        self.received.ranges()
    }

    /// The lowest gaps below the highest number opened and not below the other side's floor, at most `limit`: what to ask for.
    pub fn missing(&self, limit: usize) -> Vec<Range<u32>> {
        self.received.missing(limit)
    }

    /// All tags that are expected, skipped ones apart; for filling the map when a contact is loaded.
    pub fn expected(&self) -> Vec<(Tag, Place)> {
        let mut expected = Vec::with_capacity((RECEIVE_WINDOW + RECEIVE_NEXT_WINDOW) as usize);
        if let Some(chain) = &self.receiving {
            expect_from(
                &mut expected,
                &mut chain.near.duplicate(),
                PlaceChain::Current,
                chain.next..chain.next.saturating_add(RECEIVE_WINDOW),
            );
        }
        let mut next = TagChain::new(self.next_receiving.duplicate());
        expect_from(&mut expected, &mut next, PlaceChain::Next, 0..RECEIVE_NEXT_WINDOW);
        expected
    }

    /// The keys of the pair epochs that are accepted, newest first (docs/protocol.md, section 8.5).
    pub fn recognition(&self) -> impl Iterator<Item = PairEpochKeys> + '_ {
        self.hybrid.recognition()
    }

    /// The pair epoch that this side's recognition lists use.
    pub const fn sending_epoch(&self) -> u32 {
        self.hybrid.sending_epoch
    }

    fn allowance_above(&self, floor: u32) -> u32 {
        let sending = &self.sending;
        let window = self.peer_confirmed.max(floor).saturating_add(SEND_WINDOW).saturating_sub(self.next_number());
        let unanswered = if sending.answered {
            u32::MAX
        } else if sending.length < SEND_UNANSWERED {
            SEND_UNANSWERED - sending.length
        } else {
            // All of them may have expired on their way: without one more, nothing could ever be confirmed again.
            u32::from(sending.length < RECEIVE_NEXT_WINDOW && floor >= self.next_number())
        };
        window.min(unanswered)
    }

    fn floor_with(&self, floor: u32) -> u32 {
        self.floor.max(floor.min(self.next_number()))
    }
}

impl Sending {
    fn begin(ratchet: RatchetKey, chain: Secret<32>, header: Secret<32>, start: u32, previous: u32, pq: u32) -> Self {
        let (messages, tags) = (MessageChain::new(chain), TagChain::new(header));
        Self { ratchet, messages, tags, start, length: 0, previous, pq, answered: false }
    }
}

/// The far end of a new chain's window.
fn far_end(header: &Secret<32>) -> TagChain {
    let mut far = TagChain::new(header.duplicate());
    for _ in 0..RECEIVE_WINDOW {
        far.tag();
    }
    far
}

/// Appends the tags that `tags` gives for `places`.
fn expect_from(expected: &mut Vec<(Tag, Place)>, tags: &mut TagChain, chain: PlaceChain, places: Range<u32>) {
    expected.extend(places.map(|n| (tags.tag(), Place { chain, n })));
}
