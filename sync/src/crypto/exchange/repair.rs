//! Repair: an exchange between two who are contacts already, after one of them has lost the state of the ratchet
//! (docs/protocol.md, section 7.7).
//!
//! ```text
//!   offerer                                answerer
//!   PendingOffer ────────── offer ───────▶ open_offer → Offer::accept: keys, AnswerState
//!   open_answer: keys ◀──── answer ─────── AnswerState::seal, again for the same offer
//! ```
//!
//! The offer is found by a tag from the *repair secret*, which both keep from the contact exchange for the life of the pair. Who holds only
//! that secret recognises offers; to make or open one takes the private half of an agreement key, and the new keys take those of both.
//!
//! Not here: how often to offer, which of two offers wins, which days are spent. That is the engine's.

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::{
    ExchangeError, SealError,
    given::{AnswerBase, Given},
    transcript::{DerivedKeys, PROOF_LEN, concat, header_fields, header_key, require_zeros},
};
use crate::{
    crypto::{
        bundle_seal::{AckSecret, BundleKeys, Envelope, Sealed, open_body, open_header, seal_bundle},
        identity::{Card, Device, StateError, agree, is_contributory, kem, public_half, secret},
        kdf::{hash, hkdf, label, mac},
        link::TRIES,
        pair_keys::{PairKeys, PairRole},
        secret::Secret,
    },
    id::Tag,
    time::Hour,
    wire::{
        bundle::{Bundle, MAX_BUNDLE_LEN},
        codec::{LengthError, Reader},
    },
};

/// The version of the repair, first in the offer's transcript.
const REPAIR_VERSION: u8 = 1;
/// The version of [`PendingOffer::encode`].
const OFFER_STATE_VERSION: u8 = 1;
/// Days of a week: as many offers as one direction has tags in a week.
const WEEK: u32 = 7;
/// Length of an offer's body before its filling, bytes.
const OFFER_LEN: usize = kem::CIPHERTEXT_LEN + kem::KEY_LEN + 32 + PROOF_LEN;
/// Length of an answer's body before its filling, bytes.
const ANSWER_LEN: usize = 2 * kem::CIPHERTEXT_LEN + 32 + PROOF_LEN;

/// A day, counted from 1970; an offer has the tag of one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Day(pub u32);

impl Day {
    /// The day in which an hour lies.
    pub const fn of(hour: Hour) -> Self {
        Self(hour.0 / 24)
    }

    /// The days whose offers are expected on this day: those of last week, this one and the next.
    pub fn expected(self) -> impl Iterator<Item = Self> {
        let first = (self.0 / WEEK).saturating_sub(1).saturating_mul(WEEK);
        (first..first.saturating_add(3 * WEEK)).map(Self)
    }
}

/// Which of the two a side is, for the directions of a repair: fixed for the life of the pair, whoever offers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// Has the lower `H(identity key)`: its offer wins over the other's.
    Lower = 0x01,
    /// Has the higher one.
    Higher = 0x02,
}

impl Side {
    /// The side of `own` towards `other`.
    pub fn of(own: &Card, other: &Card) -> Self {
        Self::of_identities(own.identity(), other.identity())
    }

    /// The same for identity keys alone.
    pub fn of_identities(own: &[u8; 32], other: &[u8; 32]) -> Self {
        if hash(&[own]) < hash(&[other]) { Self::Lower } else { Self::Higher }
    }

    /// The other one.
    pub const fn other(self) -> Self {
        match self {
            Self::Lower => Self::Higher,
            Self::Higher => Self::Lower,
        }
    }
}

/// What two contacts keep outside of their ratchet, from their contact exchange on.
pub struct RepairSecret(Secret<32>);

impl RepairSecret {
    /// Derives it from the pair secret of the contact exchange. A repair does not change it: either side may be restored to before it.
    pub fn new(pair_secret: &Secret<32>) -> Self {
        Self(hkdf(&[], pair_secret.expose(), &[label::REPAIR]))
    }

    /// Takes it from the encrypted store.
    pub const fn from_stored(stored: Secret<32>) -> Self {
        Self(stored)
    }

    /// Lends it for the encrypted store.
    pub fn expose(&self) -> &[u8; 32] {
        self.0.expose()
    }

    /// The pair's name between its two sides, to tell which of several it is.
    pub fn pair_id(&self) -> [u8; 16] {
        *hkdf::<16>(&[], self.0.expose(), &[label::PAIR_ID]).expose()
    }

    /// The tag of the offer that `from` makes on `day`.
    pub fn offer_tag(&self, from: Side, day: Day) -> Tag {
        Tag(*self.derive::<16>(label::REPAIR_TAG, from, day).expose())
    }

    fn offer_header(&self, from: Side, day: Day) -> Secret<32> {
        self.derive(label::REPAIR_HEADER, from, day)
    }

    fn derive<const N: usize>(&self, label: &[u8], from: Side, Day(day): Day) -> Secret<N> {
        hkdf(&[], self.0.expose(), &[label, &[from as u8], &(day / WEEK).to_be_bytes(), &[(day % WEEK) as u8]])
    }

    /// The keys by which two sides of a repair recognise each other in a session: own direction, the other's, link key.
    pub fn recognition(&self, own: Side) -> [Secret<32>; 3] {
        let key = |from: Side| hkdf(&[], self.0.expose(), &[label::REPAIR_RECOGNISE, &[from as u8]]);
        [key(own), key(own.other()), hkdf(&[], self.0.expose(), &[label::REPAIR_LINK])]
    }
}

impl std::fmt::Debug for RepairSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RepairSecret(..)")
    }
}

/// Two contacts, as one of them sees them.
#[derive(Clone, Copy)]
pub struct Parties<'a> {
    /// What they keep from their contact exchange.
    pub secret: &'a RepairSecret,
    /// This device.
    pub device: &'a Device,
    /// The contact's card, as it was in the contact exchange: a repair does not cross a change of identity.
    pub contact: &'a Card,
}

impl Parties<'_> {
    /// Which side this device is.
    pub fn side(&self) -> Side {
        Side::of(self.device.card(), self.contact)
    }

    /// `DH(A, A)` between the two.
    fn agreement(&self) -> Option<Secret<32>> {
        self.device.agree(self.contact.agreement())
    }
}

/// `RS ‖ DH(e, A_answerer) ‖ DH(A_offerer, A_answerer)` under the salt `e`: what both know once they know `e`.
struct Base {
    e: [u8; 32],
    secrets: Secret<96>,
}

impl Base {
    fn new(secret: &RepairSecret, e: [u8; 32], ea: &Secret<32>, aa: &Secret<32>) -> Self {
        let mut secrets = Zeroizing::new([0; 96]);
        for (to, from) in secrets.chunks_exact_mut(32).zip([secret.expose(), ea.expose(), aa.expose()]) {
            to.copy_from_slice(from);
        }
        Self { e, secrets: Secret::new(*secrets) }
    }

    fn offer_key(&self) -> Secret<32> {
        hkdf(&self.e, self.secrets.expose(), &[label::REPAIR_OFFER])
    }

    fn offer_proof(&self, s0: &Secret<32>, th1: &[u8; 32]) -> [u8; PROOF_LEN] {
        let key: Secret<32> = hkdf(&self.e, &concat(&[self.secrets.expose(), s0.expose()]), &[label::REPAIR_OFFER_PROOF]);
        mac(key.expose(), &[th1])
    }

    fn answer_tag(&self, number: u8) -> Tag {
        Tag(*hkdf(&self.e, self.secrets.expose(), &[label::REPAIR_ANSWER_TAG, &[number]]).expose())
    }

    fn answer_tags(&self) -> [Tag; TRIES as usize] {
        std::array::from_fn(|number| self.answer_tag(number as u8))
    }

    fn answer_header(&self, number: u8) -> Secret<32> {
        hkdf(&self.e, self.secrets.expose(), &[label::REPAIR_ANSWER_HEADER, &[number]])
    }

    fn answer_key(&self, f: &[u8; 32], fe: &Secret<32>, fa: &Secret<32>) -> Secret<32> {
        let salt = [self.e, *f].concat();
        hkdf(&salt, &concat(&[self.secrets.expose(), fe.expose(), fa.expose()]), &[label::REPAIR_ANSWER])
    }

    fn pair(&self, rest: [&Secret<32>; 5], th2: &[u8; 32]) -> DerivedKeys {
        let [fe, fa, s0, s1, s2] = rest.map(|secret| secret.expose().as_slice());
        DerivedKeys(hkdf(th2, &concat(&[self.secrets.expose(), fe, fa, s0, s1, s2]), &[label::REPAIR_PAIR]))
    }
}

impl AnswerBase for Base {
    const VERSION: u8 = 1;
    const BODY_LEN: usize = ANSWER_LEN;

    fn parts(&self) -> [&[u8]; 2] {
        [&self.e, self.secrets.expose()]
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, LengthError> {
        Ok(Self { e: reader.array()?, secrets: secret(reader)? })
    }

    fn bundle_keys(&self, number: u8, message: Secret<32>) -> BundleKeys {
        BundleKeys { tag: self.answer_tag(number), header: self.answer_header(number), message }
    }
}

/// The public parts of an offer, in the order of its transcript.
struct OfferTranscript<'a> {
    offerer: &'a Card,
    answerer: &'a Card,
    e: &'a [u8; 32],
    c0: &'a [u8; kem::CIPHERTEXT_LEN],
    k: &'a [u8; kem::KEY_LEN],
    r: &'a [u8; 32],
}

impl OfferTranscript<'_> {
    /// `th1`.
    fn hash(&self) -> [u8; 32] {
        let Self { offerer, answerer, e, c0, k, r } = self;
        let direction = [REPAIR_VERSION, Side::of(offerer, answerer) as u8];
        hash(&[label::REPAIR_OFFER_TRANSCRIPT, &direction, &offerer.encode(), &answerer.encode(), *e, *c0, *k, *r])
    }
}

/// `th2`.
fn answer_transcript(
    th1: &[u8; 32],
    f: &[u8; 32],
    c1: &[u8; kem::CIPHERTEXT_LEN],
    c2: &[u8; kem::CIPHERTEXT_LEN],
    q: &[u8; 32],
) -> [u8; 32] {
    hash(&[label::REPAIR_ANSWER_TRANSCRIPT, th1, f, c1, c2, q])
}

fn answer_proof(keys: &DerivedKeys, th2: &[u8; 32]) -> [u8; PROOF_LEN] {
    mac(keys.confirm(), &[label::REPAIR_ANSWER_PROOF, th2])
}

/// An offer of ours, with the keys that its answer is opened with.
///
/// All its tries show the same keys. To be deleted when it is answered, or when the other side's offer has won.
pub struct PendingOffer {
    e: Secret<32>,
    k: Secret<{ kem::SEED_LEN }>,
    r: Secret<32>,
    c0: Box<[u8; kem::CIPHERTEXT_LEN]>,
    s0: Secret<32>,
}

impl PendingOffer {
    /// Draws the keys of an offer to `contact`.
    ///
    /// # Errors
    ///
    /// [`SealError::Key`] if the contact's card is unusable, although it has been checked.
    pub fn new(contact: &Card, rng: &mut (impl CryptoRng + ?Sized)) -> Result<Self, SealError> {
        let (c0, s0) = kem::encapsulate(contact.kem(), rng).ok_or(SealError::Key)?;
        Ok(Self { e: Secret::random(rng), k: Secret::random(rng), r: Secret::random(rng), c0, s0 })
    }

    /// Encodes the state for the encrypted store: version 1 ‖ private `e` 32 ‖ seed of `k` 64 ‖ private `r` 32 ‖ `c0` 1,088 ‖ `s0` 32.
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let Self { e, k, r, c0, s0 } = self;
        let mut out = Zeroizing::new(Vec::with_capacity(1 + 32 + kem::SEED_LEN + 32 + kem::CIPHERTEXT_LEN + 32));
        out.push(OFFER_STATE_VERSION);
        for part in [e.expose().as_slice(), k.expose(), r.expose(), c0.as_slice(), s0.expose()] {
            out.extend_from_slice(part);
        }
        out
    }

    /// Decodes what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    ///
    /// [`StateError`] if the bytes are of another version or length.
    pub fn decode(bytes: &[u8]) -> Result<Self, StateError> {
        let mut reader = Reader::new(bytes);
        if reader.u8()? != OFFER_STATE_VERSION {
            return Err(StateError);
        }
        let (e, k, r) = (secret(&mut reader)?, secret(&mut reader)?, secret(&mut reader)?);
        let offer = Self { e, k, r, c0: Box::new(reader.array()?), s0: secret(&mut reader)? };
        reader.finish()?;
        Ok(offer)
    }

    fn base(&self, parties: Parties<'_>) -> Option<Base> {
        let ea = agree(&self.e, parties.contact.agreement())?;
        Some(Base::new(parties.secret, public_half(&self.e), &ea, &parties.agreement()?))
    }

    /// The tags under which the answer may arrive, by try.
    pub fn answer_tags(&self, parties: Parties<'_>) -> Vec<Tag> {
        self.base(parties).map(|base| base.answer_tags().to_vec()).unwrap_or_default()
    }

    fn transcript(&self, parties: Parties<'_>) -> ([u8; 32], Box<[u8; kem::KEY_LEN]>) {
        let (e, k, r) = (public_half(&self.e), kem::encapsulation_key(&self.k), public_half(&self.r));
        let (offerer, answerer) = (parties.device.card(), parties.contact);
        (OfferTranscript { offerer, answerer, e: &e, c0: &self.c0, k: &k, r: &r }.hash(), k)
    }

    /// Seals the offer under the tag of `day`: a bundle of 4,096 bytes.
    ///
    /// A day has one tag and one header key. Should a restored profile seal a second offer on one day, their headers give away the
    /// difference of two public keys and let others forge a header, but no body.
    ///
    /// # Errors
    ///
    /// [`SealError::Key`] if the contact's card is unusable, although it has been checked.
    pub fn seal(
        &self,
        parties: Parties<'_>,
        day: Day,
        envelope: Envelope,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Sealed, SealError> {
        let base = self.base(parties).ok_or(SealError::Key)?;
        let (th1, k) = self.transcript(parties);
        let mut body = Zeroizing::new(Vec::with_capacity(OFFER_LEN));
        for part in [self.c0.as_slice(), k.as_slice(), &public_half(&self.r), &base.offer_proof(&self.s0, &th1)] {
            body.extend_from_slice(part);
        }
        let side = parties.side();
        let keys = BundleKeys {
            tag: parties.secret.offer_tag(side, day),
            header: parties.secret.offer_header(side, day),
            message: base.offer_key(),
        };
        Ok(seal_bundle(&keys, envelope, &header_fields(&base.e), &body, MAX_BUNDLE_LEN, rng)?)
    }

    /// Opens and checks the answer.
    ///
    /// # Errors
    ///
    /// [`ExchangeError`]; the offer is then as pending as before.
    pub fn open_answer(&self, parties: Parties<'_>, bundle: &Bundle) -> Result<Answer, ExchangeError> {
        let base = self.base(parties).ok_or(ExchangeError::Closed)?;
        let tag = bundle.header().tag;
        let number = (0..TRIES).zip(base.answer_tags()).find(|(_, own)| *own == tag).ok_or(ExchangeError::Closed)?.0;
        let header = open_header(&base.answer_header(number), bundle).ok_or(ExchangeError::Closed)?;
        let f = header_key(&header)?;
        let fe = agree(&self.e, &f).ok_or(ExchangeError::Closed)?;
        let fa = parties.device.agree(&f).ok_or(ExchangeError::Closed)?;
        let body = open_body(&base.answer_key(&f, &fe, &fa), &header, bundle).ok_or(ExchangeError::Closed)?;

        let mut reader = Reader::new(&body.plaintext);
        let (c1, c2) = (Box::new(reader.array()?), Box::new(reader.array()?));
        let q = reader.array()?;
        let proof: [u8; PROOF_LEN] = reader.array()?;
        require_zeros(reader.rest())?;

        let th2 = answer_transcript(&self.transcript(parties).0, &f, &c1, &c2, &q);
        let (s1, s2) = (kem::decapsulate(&self.k, &c1), parties.device.decapsulate(&c2));
        let keys = base.pair([&fe, &fa, &self.s0, &s1, &s2], &th2);
        if !Secret::new(answer_proof(&keys, &th2)).matches(&proof) {
            return Err(ExchangeError::Unproven);
        }
        if !is_contributory(&q) {
            return Err(ExchangeError::Malformed);
        }
        Ok(Answer { keys: keys.into_pair(PairRole::Invitee, self.r.duplicate(), q), ack: body.ack })
    }
}

impl std::fmt::Debug for PendingOffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PendingOffer(..)")
    }
}

/// What an answer yields.
#[derive(Debug)]
pub struct Answer {
    /// The keys of the pair; this side is their invitee.
    pub keys: PairKeys,
    /// The ack secret of the bundle it came in.
    pub ack: AckSecret,
}

/// An offer that opened and that the contact has made. Made by [`open_offer`] alone.
pub struct Offer {
    base: Base,
    s0: Secret<32>,
    k: Box<[u8; kem::KEY_LEN]>,
    r: [u8; 32],
    th1: [u8; 32],
    ack: AckSecret,
}

/// Opens and checks the offer that came under the tag of `day`. Says nothing of whether that day is spent.
///
/// # Errors
///
/// [`ExchangeError`]; nothing has been spent then.
pub fn open_offer(parties: Parties<'_>, day: Day, bundle: &Bundle) -> Result<Offer, ExchangeError> {
    let from = parties.side().other();
    if bundle.header().tag != parties.secret.offer_tag(from, day) {
        return Err(ExchangeError::Closed);
    }
    let header = open_header(&parties.secret.offer_header(from, day), bundle).ok_or(ExchangeError::Closed)?;
    let e = header_key(&header)?;
    let ea = parties.device.agree(&e).ok_or(ExchangeError::Closed)?;
    let base = Base::new(parties.secret, e, &ea, &parties.agreement().ok_or(ExchangeError::Closed)?);
    let body = open_body(&base.offer_key(), &header, bundle).ok_or(ExchangeError::Closed)?;

    let mut reader = Reader::new(&body.plaintext);
    let (c0, k) = (Box::new(reader.array()?), Box::new(reader.array()?));
    let r = reader.array()?;
    let proof: [u8; PROOF_LEN] = reader.array()?;
    require_zeros(reader.rest())?;

    let s0 = parties.device.decapsulate(&c0);
    let th1 = OfferTranscript { offerer: parties.contact, answerer: parties.device.card(), e: &e, c0: &c0, k: &k, r: &r }.hash();
    if !Secret::new(base.offer_proof(&s0, &th1)).matches(&proof) {
        return Err(ExchangeError::Unproven);
    }
    if !(kem::is_well_formed(&k) && is_contributory(&r)) {
        return Err(ExchangeError::Malformed);
    }
    Ok(Offer { base, s0, k, r, th1, ack: body.ack })
}

impl Offer {
    /// The ack secret of the bundle it came in.
    pub const fn ack(&self) -> &AckSecret {
        &self.ack
    }

    /// Draws the keys of the new pair and seals the answer, under the tag of try 0.
    ///
    /// To be called once for an offer: the same one is from then on answered by [`AnswerState::seal`], which has no keys to draw.
    ///
    /// # Errors
    ///
    /// [`SealError::Key`] if a key of the other side is unusable, although it has been checked.
    pub fn accept(&self, parties: Parties<'_>, envelope: Envelope, rng: &mut (impl CryptoRng + ?Sized)) -> Result<Accepted, SealError> {
        let (f_secret, q_secret) = (Secret::random(rng), Secret::random(rng));
        let (f, q) = (public_half(&f_secret), public_half(&q_secret));
        let (c1, s1) = kem::encapsulate(&self.k, rng).ok_or(SealError::Key)?;
        let (c2, s2) = kem::encapsulate(parties.contact.kem(), rng).ok_or(SealError::Key)?;
        let fe = agree(&f_secret, &self.base.e).ok_or(SealError::Key)?;
        let fa = agree(&f_secret, parties.contact.agreement()).ok_or(SealError::Key)?;
        let th2 = answer_transcript(&self.th1, &f, &c1, &c2, &q);
        let keys = self.base.pair([&fe, &fa, &self.s0, &s1, &s2], &th2);

        let body = [c1.as_slice(), c2.as_slice(), &q, &answer_proof(&keys, &th2)].concat();
        let message = self.base.answer_key(&f, &fe, &fa);
        let base = Base { e: self.base.e, secrets: self.base.secrets.duplicate() };
        let state = AnswerState(Given { th1: self.th1, base, f, message, body });
        let bundle = state.seal(0, envelope, rng)?;
        Ok(Accepted { bundle, keys: keys.into_pair(PairRole::Issuer, q_secret, self.r), state })
    }
}

impl std::fmt::Debug for Offer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Offer(..)")
    }
}

/// What accepting an offer yields.
#[derive(Debug)]
pub struct Accepted {
    /// The answer.
    pub bundle: Sealed,
    /// The keys of the pair; this side is their issuer.
    pub keys: PairKeys,
    /// What answers the same offer again.
    pub state: AnswerState,
}

/// An answer as it was once given, to be sealed again under further tags; the keys of the pair can't be computed from it.
pub struct AnswerState(Given<Base>);

impl AnswerState {
    /// Says whether `offer` is the one that this answers; any other is a new repair.
    pub fn answers(&self, offer: &Offer) -> bool {
        self.0.th1 == offer.th1
    }

    /// Seals the answer once more, under the tag of try `number`. A number answers once, as its header key seals once.
    ///
    /// # Errors
    ///
    /// [`SealError::Try`] for a try above 15.
    pub fn seal(&self, number: u8, envelope: Envelope, rng: &mut (impl CryptoRng + ?Sized)) -> Result<Sealed, SealError> {
        self.0.seal(number, envelope, rng)
    }

    /// Encodes the state for the encrypted store: version 1 ‖ `th1` 32 ‖ `e` 32 ‖ base secrets 96 ‖ `f` 32 ‖ message key 32 ‖ body 2,240.
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        self.0.encode()
    }

    /// Decodes what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    ///
    /// [`StateError`] if the bytes are of another version or length.
    pub fn decode(bytes: &[u8]) -> Result<Self, StateError> {
        Given::decode(bytes).map(Self)
    }
}

impl std::fmt::Debug for AnswerState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AnswerState(..)")
    }
}

#[cfg(test)]
mod tests;
