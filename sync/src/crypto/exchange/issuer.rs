//! The side that made the link.

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::{
    ExchangeError, SealError,
    given::{AnswerBase, Given},
    transcript::{
        Bond, DerivedKeys, INNER_LEN, KIND_REPLY, KIND_USED, PAIR_ID_LEN, PROOF_LEN, PairSecrets, ReplyBase, ReplyTranscript,
        RequestTranscript, check_try, header_fields, header_key, request_header_key, request_message_key, request_proof,
    },
};
use crate::{
    crypto::{
        bundle_seal::{AckSecret, Envelope, Sealed, open_body, open_header, seal_bundle},
        identity::{Card, Device, Name, StateError, agree, is_contributory, kem, public_half, secret},
        kdf::seal_once,
        link::{Link, TRIES},
        pair_keys::{PairKeys, PairRole},
        secret::Secret,
    },
    id::Tag,
    time::Hour,
    wire::{
        bundle::{Bundle, MAX_BUNDLE_LEN},
        codec::Reader,
    },
};

/// The version of [`IssuedLink::encode`].
const ISSUED_VERSION: u8 = 1;

/// The keys of one reply.
pub(super) struct Ephemeral {
    /// Private half of `f`.
    pub(super) f_secret: Secret<32>,
    /// Private half of `q`.
    pub(super) q_secret: Secret<32>,
}

impl Ephemeral {
    pub(super) fn draw(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        Self { f_secret: Secret::random(rng), q_secret: Secret::random(rng) }
    }
}

/// Who answers a request.
#[derive(Clone, Copy)]
pub struct Answerer<'a> {
    /// This device.
    pub device: &'a Device,
    /// What the reply calls us.
    pub name: &'a Name,
    /// The id of the pair that we have with the same person already
    /// ([`RepairSecret::pair_id`](super::repair::RepairSecret::pair_id)), zeros without one.
    pub held: &'a [u8; PAIR_ID_LEN],
}

/// A link with the private half of its key `L`.
///
/// Kept until the link has expired, also once it is settled: it answers repeated requests, and opens those that show that somebody else
/// has seen the link. Then it is deleted; with it goes what could open recorded requests.
#[derive(Debug)]
pub struct IssuedLink {
    link: Link,
    private: Secret<32>,
}

impl IssuedLink {
    /// Draws a link that is valid up to and including the hour `expires`, which is not [`Hour::UNKNOWN`].
    pub fn new(expires: Hour, rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        Self::assemble(expires, Secret::random(rng), Secret::random(rng))
    }

    fn assemble(expires: Hour, secret: Secret<16>, private: Secret<32>) -> Self {
        Self { link: Link::new(expires, secret, public_half(&private)), private }
    }

    /// Encodes link and private key for the encrypted store: version 1 ‖ expires 4 ‖ secret 16 ‖ private half of `L` 32.
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut out = Zeroizing::new(Vec::with_capacity(53));
        out.push(ISSUED_VERSION);
        out.extend_from_slice(&self.link.expires().0.to_be_bytes());
        out.extend_from_slice(self.link.secret().expose());
        out.extend_from_slice(self.private.expose());
        out
    }

    /// Decodes what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    ///
    /// [`StateError`] if the bytes are of another version or length.
    pub fn decode(bytes: &[u8]) -> Result<Self, StateError> {
        let mut reader = Reader::new(bytes);
        if reader.u8()? != ISSUED_VERSION {
            return Err(StateError);
        }
        let (expires, link_secret, private) = (Hour(reader.u32()?), secret(&mut reader)?, secret(&mut reader)?);
        reader.finish()?;
        Ok(Self::assemble(expires, link_secret, private))
    }

    /// The link to hand out.
    pub const fn link(&self) -> &Link {
        &self.link
    }

    /// The tags under which requests may arrive, by try.
    pub fn request_tags(&self) -> [Tag; TRIES as usize] {
        self.link.request_tags()
    }

    /// Opens and checks a request. Says nothing of whether the link is still good.
    ///
    /// # Errors
    ///
    /// [`ExchangeError`]; the link is then as good as before, and the bundle to be kept for carriers like any that is not for us.
    pub fn open_request(&self, device: &Device, bundle: &Bundle) -> Result<Request, ExchangeError> {
        let tag = bundle.header().tag;
        let number = (0..TRIES).zip(self.request_tags()).find(|(_, own)| *own == tag).ok_or(ExchangeError::Closed)?.0;
        let header = open_header(&request_header_key(&self.link, number), bundle).ok_or(ExchangeError::Closed)?;
        let e = header_key(&header)?;
        let el = agree(&self.private, &e).ok_or(ExchangeError::Closed)?;
        let body = open_body(&request_message_key(&self.link, &e, &el), &header, bundle).ok_or(ExchangeError::Closed)?;

        let mut reader = Reader::new(&body.plaintext);
        let card_bytes = reader.array()?;
        let k = Box::new(reader.array()?);
        let r = reader.array()?;
        let name_field = reader.array()?;
        let proof: [u8; PROOF_LEN] = reader.array()?;

        let card = Card::decode(&card_bytes)?;
        let name = Name::decode_field(&name_field)?;
        let th1 = RequestTranscript { e: &e, card: &card_bytes, k: &k, r: &r, name: &name_field }.hash(&self.link);
        let al = agree(&self.private, card.agreement()).ok_or(ExchangeError::Malformed)?;
        if !Secret::new(request_proof(&self.link, &e, &el, &al, &th1)).matches(&proof) {
            return Err(ExchangeError::Unproven);
        }
        // Only once proven: our card in somebody else's hands is no reason to say that this is ourselves.
        if card.identity() == device.card().identity() {
            return Err(ExchangeError::OwnIdentity);
        }
        if !(kem::is_well_formed(&k) && is_contributory(&r)) {
            return Err(ExchangeError::Malformed);
        }
        let base = ReplyBase::new(&self.link, e, &el);
        let items = Zeroizing::new(reader.rest().to_vec());
        Ok(Request { number, base, card, k, r, name, th1, al, items, ack: body.ack })
    }

    /// Makes the sender of `request` a contact, and seals the reply under the tag of try `reply_try`.
    ///
    /// To be called once in the life of a link: it draws the keys of the pair. Keys and [`ReplyState`] are stored in one transaction;
    /// the same request is from then on answered by [`ReplyState::seal`], which has no keys to draw.
    ///
    /// # Errors
    ///
    /// [`SealError::Try`] for a try above 15; nothing has been drawn then.
    pub fn accept(
        &self,
        answerer: Answerer<'_>,
        request: &Request,
        reply_try: u8,
        envelope: Envelope,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Accepted, SealError> {
        check_try(reply_try)?;
        let ephemeral = Ephemeral::draw(rng);
        Ok(self.accept_with(ephemeral, answerer, request, reply_try, envelope, rng)?.0)
    }

    /// As [`accept`](Self::accept), with keys that were drawn before the request came.
    pub(super) fn accept_with(
        &self,
        Ephemeral { f_secret, q_secret }: Ephemeral,
        answerer: Answerer<'_>,
        request: &Request,
        reply_try: u8,
        envelope: Envelope,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(Accepted, Bond), SealError> {
        check_try(reply_try)?;
        let Answerer { device, name: own_name, held } = answerer;
        let (f, q) = (public_half(&f_secret), public_half(&q_secret));
        let (c1, s1) = kem::encapsulate(&request.k, rng).ok_or(SealError::Key)?;
        let (c2, s2) = kem::encapsulate(request.card.kem(), rng).ok_or(SealError::Key)?;
        let base = &request.base;
        let secrets = PairSecrets {
            fe: agree(&f_secret, &base.e).ok_or(SealError::Key)?,
            ae: device.agree(&base.e).ok_or(SealError::Key)?,
            fa: agree(&f_secret, request.card.agreement()).ok_or(SealError::Key)?,
            al: request.al.duplicate(),
            s1,
            s2,
        };

        let (card, name) = (device.card().encode(), own_name.encode_field());
        let th2 = ReplyTranscript { th1: &request.th1, f: &f, c1: &c1, card: &card, c2: &c2, q: &q, name: &name, held }.hash();
        let keys = DerivedKeys::derive(base, &secrets, &th2);

        let mut inner = Zeroizing::new(Vec::with_capacity(INNER_LEN));
        for part in [&card[..], c2.as_slice(), &q, &name, held, &keys.proof(&th2)] {
            inner.extend_from_slice(part);
        }
        let authenticator = seal_once(&base.inner_key(&f, &secrets.fe, &secrets.s1), &[], &mut inner);
        let body = [&[KIND_REPLY], c1.as_slice(), &inner, &authenticator].concat();

        let message = base.message_key(&f, &secrets.fe);
        let base = ReplyBase { e: base.e, secrets: base.secrets.duplicate() };
        let reply = ReplyState(Given { th1: request.th1, base, f, message, body });
        let bundle = reply.seal(reply_try, envelope, rng)?;
        let bond = keys.bond(th2);
        let keys = keys.into_pair(PairRole::Issuer, q_secret, request.r);
        Ok((Accepted { bundle, keys, card: request.card.clone(), name: request.name.clone(), reply }, bond))
    }

    /// Seals the word that the link has been used, which only the sender of `request` can open.
    ///
    /// `reply_try` counts the answers to this request; a number answers once, as its header key seals once.
    ///
    /// # Errors
    ///
    /// [`SealError::Try`] for a try above 15.
    pub fn refuse(
        &self,
        request: &Request,
        reply_try: u8,
        envelope: Envelope,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Sealed, SealError> {
        check_try(reply_try)?;
        let f_secret = Secret::random(rng);
        let f = public_half(&f_secret);
        let fe = agree(&f_secret, &request.base.e).ok_or(SealError::Key)?;
        let keys = request.base.bundle_keys(reply_try, request.base.message_key(&f, &fe));
        Ok(seal_bundle(&keys, envelope, &header_fields(&f), &[KIND_USED], MAX_BUNDLE_LEN, rng)?)
    }
}

/// A request that opened and whose sender holds the keys of its card. Made by [`IssuedLink::open_request`] alone.
pub struct Request {
    number: u8,
    base: ReplyBase,
    card: Card,
    k: Box<[u8; kem::KEY_LEN]>,
    r: [u8; 32],
    name: Name,
    th1: [u8; 32],
    al: Secret<32>,
    items: Zeroizing<Vec<u8>>,
    ack: AckSecret,
}

impl Request {
    /// Which try it is, 0 to 15, as its tag says.
    pub const fn number(&self) -> u8 {
        self.number
    }

    /// Who asks.
    pub const fn card(&self) -> &Card {
        &self.card
    }

    /// What they call themselves.
    pub const fn name(&self) -> &Name {
        &self.name
    }

    /// `th1`: equal for all tries of one request, different for any other.
    pub const fn transcript(&self) -> &[u8; 32] {
        &self.th1
    }

    /// Items (docs/protocol.md, section 8.6) that came along, filled up with zeros. Not part of [`transcript`](Self::transcript): the
    /// tries of one request may carry different ones.
    pub fn items(&self) -> &[u8] {
        &self.items
    }

    /// The ack secret of the bundle it came in.
    pub const fn ack(&self) -> &AckSecret {
        &self.ack
    }
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Request").field("number", &self.number).finish_non_exhaustive()
    }
}

/// What accepting a request yields.
#[derive(Debug)]
pub struct Accepted {
    /// The reply.
    pub bundle: Sealed,
    /// The keys of the pair.
    pub keys: PairKeys,
    /// The new contact's card.
    pub card: Card,
    /// What they call themselves.
    pub name: Name,
    /// What answers the same request again.
    pub reply: ReplyState,
}

/// A reply as it was once given, to be sealed again under further tags.
///
/// It holds the finished inner part and not what it was made from: however often the request comes, there is one `f`, one `q`, one pair
/// of KEM secrets, and so one set of [`PairKeys`], which can't be computed from it either.
pub struct ReplyState(Given<ReplyBase>);

impl ReplyState {
    /// Says whether `request` is the one that this reply answers; any other is refused.
    pub fn answers(&self, request: &Request) -> bool {
        self.0.th1 == request.th1
    }

    /// `th1` of the request that this reply answers.
    pub const fn transcript(&self) -> &[u8; 32] {
        &self.0.th1
    }

    /// Seals the reply once more, under the tag of try `reply_try`. A number answers once, as its header key seals once.
    ///
    /// # Errors
    ///
    /// [`SealError::Try`] for a try above 15.
    pub fn seal(&self, reply_try: u8, envelope: Envelope, rng: &mut (impl CryptoRng + ?Sized)) -> Result<Sealed, SealError> {
        self.0.seal(reply_try, envelope, rng)
    }

    /// Encodes the state for the encrypted store: version 1 ‖ `th1` 32 ‖ `e` 32 ‖ secret and `DH(e, L)` 48 ‖ `f` 32 ‖ message key 32 ‖
    /// body 3,652.
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

impl std::fmt::Debug for ReplyState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ReplyState(..)")
    }
}
