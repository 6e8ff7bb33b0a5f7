//! The exchange of two people in one room: link, request and reply over one session, and words to compare (docs/protocol.md, section 7.8).
//!
//! ```text
//!   first                                          second
//!   Committed ──── link, commitment ─────────────▶ Asked
//!   open_request ◀──────────────────── request ───
//!   open ───────── reply, nonce ─────────────────▶ open
//!   Agreed ◀────────────────────────── proof ───── Agreed
//! ```
//!
//! The same exchange as by a link, with a link that lives as long as this one and that only the two ends of the session see; and so it
//! proves nothing of who is at the other end. That do the words: they cover what each side shows and draws, and neither can choose
//! anything once it has seen the other's. So somebody in between, who must have an exchange of his own with each of the two, gets the same
//! words on both screens once in 2³².
//!
//! Not covered are the ciphertexts of the reply, which are made after the request has come: whoever could choose them could search for words.
//! The keys depend on them, and both sides prove those.

use rand_core::CryptoRng;

use super::{
    ExchangeError, IssuedLink, PendingRequest, Request, SealError,
    invitee::Replied,
    issuer::{Answerer, Ephemeral},
    transcript::{Bond, PAIR_ID_LEN},
};
use crate::{
    crypto::{
        bundle_seal::Envelope,
        identity::{CARD_LEN, Card, Device, NAME_FIELD_LEN, Name, is_contributory, public_half},
        kdf::{hash, label, mac},
        link::Link,
        pair_keys::PairKeys,
        secret::Secret,
        words::{WORD_COUNT, words},
    },
    time::Hour,
    wire::bundle::{Bundle, Class, Lifetime},
};

/// The version of commitment and words.
const VERSION: u8 = 1;
/// The last hour of a link that never leaves its session: nobody looks at it.
const NO_HOUR: Hour = Hour(1);
/// What the bundles say to carriers, who never see them.
const ENVELOPE: Envelope = Envelope { class: Class::Normal, lifetime: Lifetime::Day, created: Hour::UNKNOWN };

/// Which end of the exchange: the first is the one that dialled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// Commits and opens.
    First = 1,
    /// Asks and proves.
    Second = 2,
}

impl Side {
    /// The other end.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second => Self::First,
        }
    }
}

/// What the first side says first.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Offer {
    /// The secret of the link.
    pub secret: [u8; 16],
    /// Its key `L`.
    pub key: [u8; 32],
    /// The commitment.
    pub commitment: [u8; 32],
}

/// All that the first side commits to.
struct Commitment<'a> {
    session: &'a [u8; 32],
    secret: &'a [u8; 16],
    key: &'a [u8; 32],
    card: &'a [u8; CARD_LEN],
    name: &'a [u8; NAME_FIELD_LEN],
    f: &'a [u8; 32],
    q: &'a [u8; 32],
    nonce: &'a [u8; 32],
}

impl Commitment<'_> {
    fn hash(&self) -> [u8; 32] {
        let Self { session, secret, key, card, name, f, q, nonce } = *self;
        hash(&[label::NEARBY_COMMIT, &[VERSION], session, secret, key, card, name, f, q, nonce])
    }
}

/// The first side, from its commitment to the request.
pub struct Committed {
    link: IssuedLink,
    ephemeral: Ephemeral,
    name: Name,
    nonce: [u8; 32],
    commitment: [u8; 32],
}

impl Committed {
    /// Draws everything that will be shown. `session` is the hash of the session's handshake.
    pub fn new(device: &Device, own_name: Name, session: &[u8; 32], rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let (link, ephemeral) = (IssuedLink::new(NO_HOUR, rng), Ephemeral::draw(rng));
        let mut nonce = [0; 32];
        rng.fill_bytes(&mut nonce);
        let commitment = Commitment {
            session,
            secret: link.link().secret().expose(),
            key: link.link().public(),
            card: &device.card().encode(),
            name: &own_name.encode_field(),
            f: &public_half(&ephemeral.f_secret),
            q: &public_half(&ephemeral.q_secret),
            nonce: &nonce,
        }
        .hash();
        Self { link, ephemeral, name: own_name, nonce, commitment }
    }

    /// What goes out first.
    pub fn offer(&self) -> Offer {
        Offer { secret: *self.link.link().secret().expose(), key: *self.link.link().public(), commitment: self.commitment }
    }

    /// Opens and checks the other's request.
    ///
    /// # Errors
    ///
    /// [`ExchangeError`]: the exchange is over.
    pub fn open_request(&self, device: &Device, bundle: &Bundle) -> Result<Request, ExchangeError> {
        self.link.open_request(device, bundle)
    }

    /// Answers `request` and opens the commitment: nonce and reply. `held` is the id of the pair that we have with the same person, zeros
    /// without one.
    ///
    /// # Errors
    ///
    /// [`SealError::Key`] if a key of the other side is unusable, although opening has checked it.
    pub fn open(
        self,
        device: &Device,
        request: &Request,
        held: [u8; PAIR_ID_LEN],
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<([u8; 32], Bundle, Agreed), SealError> {
        let Self { link, ephemeral, name, nonce, commitment } = self;
        let (accepted, bond) = link.accept_with(ephemeral, Answerer { device, name: &name, held: &held }, request, 0, ENVELOPE, rng)?;
        let agreed = Agreed {
            side: Side::First,
            keys: Some(accepted.keys),
            card: accepted.card,
            name: accepted.name,
            held,
            bond,
            words: agreed_words(&commitment, &nonce, request.transcript()),
        };
        Ok((nonce, accepted.bundle.bundle, agreed))
    }
}

/// The second side, from its request to the reply.
pub struct Asked {
    request: PendingRequest,
    session: [u8; 32],
    offer: Offer,
}

impl Asked {
    /// Answers the other's `offer` with a request, which shows `own_name`. `session` is the hash of the session's handshake.
    ///
    /// # Errors
    ///
    /// [`ExchangeError::Malformed`] if the key of the link is of low order.
    pub fn new(
        device: &Device,
        own_name: Name,
        session: &[u8; 32],
        offer: Offer,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(Self, Bundle), ExchangeError> {
        if !is_contributory(&offer.key) {
            return Err(ExchangeError::Malformed);
        }
        let link = Link::new(NO_HOUR, Secret::new(offer.secret), offer.key);
        let request = PendingRequest::new(link, own_name, rng);
        let sealed = request.request(device, 0, &[], ENVELOPE, rng).map_err(|_| ExchangeError::Malformed)?;
        Ok((Self { request, session: *session, offer }, sealed.bundle))
    }

    /// Opens the reply, and checks that it shows what was committed to.
    ///
    /// # Errors
    ///
    /// [`ExchangeError`]: the exchange is over. [`ExchangeError::Commitment`] if the first side changed its mind, or somebody is in between.
    pub fn open(self, device: &Device, nonce: [u8; 32], reply: &Bundle) -> Result<Agreed, ExchangeError> {
        let Self { request, session, offer } = self;
        let Replied { keys, card, name, held, f, bond } = request.open_any(device, reply)?.0.ok_or(ExchangeError::Malformed)?;
        let shown = Commitment {
            session: &session,
            secret: &offer.secret,
            key: &offer.key,
            card: &card.encode(),
            name: &name.encode_field(),
            f: &f,
            q: &keys.other_ratchet,
            nonce: &nonce,
        };
        // Nothing here is secret.
        if shown.hash() != offer.commitment {
            return Err(ExchangeError::Commitment);
        }
        let words = agreed_words(&offer.commitment, &nonce, &request.transcript(device));
        Ok(Agreed { side: Side::Second, keys: Some(keys), card, name, held, bond, words })
    }
}

/// What both sides hold once the reply is open. The first shows no words before the second has proven that it holds the same.
pub struct Agreed {
    side: Side,
    /// The keys of the pair; taken out where they are kept.
    pub keys: Option<PairKeys>,
    /// The other's card.
    pub card: Card,
    /// What the other calls itself.
    pub name: Name,
    /// The id of the pair that the first side had with the second before.
    pub held: [u8; PAIR_ID_LEN],
    bond: Bond,
    words: [u8; WORD_COUNT],
}

impl Agreed {
    /// The words that both people see, if nobody is in between.
    pub fn words(&self) -> [&'static str; WORD_COUNT] {
        words(self.words)
    }

    /// What the second side proves with: that it has the keys, and `held`, the id of the pair that it had with the first.
    pub fn proof(&self, held: &[u8; PAIR_ID_LEN]) -> [u8; 32] {
        mac(self.bond.confirm.expose(), &[label::NEARBY_PROOF, &self.bond.th2, held])
    }

    /// Whether `proof` is the second side's, compared in constant time.
    pub fn is_proof(&self, held: &[u8; PAIR_ID_LEN], proof: &[u8; 32]) -> bool {
        Secret::new(self.proof(held)).matches(proof)
    }

    /// What either side says when its person has found the words equal.
    pub fn confirmation(&self) -> [u8; 32] {
        self.confirmation_of(self.side)
    }

    /// Whether this is the other side's confirmation, compared in constant time.
    pub fn is_confirmation(&self, mac: &[u8; 32]) -> bool {
        Secret::new(self.confirmation_of(self.side.other())).matches(mac)
    }

    fn confirmation_of(&self, side: Side) -> [u8; 32] {
        mac(self.bond.confirm.expose(), &[label::NEARBY_CONFIRM, &[side as u8], &self.bond.th2])
    }
}

/// The first bytes of a hash of everything that either side has shown and drawn: the commitment stands for the first's, `th1` for the
/// second's, and the nonce keeps the second from knowing the words while it can still choose.
fn agreed_words(commitment: &[u8; 32], nonce: &[u8; 32], th1: &[u8; 32]) -> [u8; WORD_COUNT] {
    let [a, b, c, d, ..] = hash(&[label::NEARBY_WORDS, &[VERSION], commitment, nonce, th1]);
    [a, b, c, d]
}

#[cfg(test)]
mod tests;
