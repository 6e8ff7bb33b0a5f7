//! The side that was given the link.

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::{
    ExchangeError, SealError,
    transcript::{
        Bond, DerivedKeys, INNER_LEN, KIND_REPLY, KIND_USED, MAX_REQUEST_ITEMS_LEN, PAIR_ID_LEN, PROOF_LEN, PairSecrets, REQUEST_FIXED_LEN,
        ReplyBase, ReplyTranscript, RequestTranscript, check_try, header_fields, header_key, request_header_key, request_message_key,
        request_proof, require_zeros,
    },
};
use crate::{
    crypto::{
        bundle_seal::{AckSecret, BundleKeys, Envelope, Sealed, TooLong, open_body, open_header, seal_bundle},
        identity::{Card, Device, NAME_FIELD_LEN, Name, StateError, agree, is_contributory, kem, public_half, secret},
        kdf::{AUTHENTICATOR_LEN, open_once},
        link::{LINK_LEN, Link, LinkKeys, TRIES},
        pair_keys::{PairKeys, PairRole},
        secret::Secret,
    },
    id::Tag,
    wire::{
        bundle::{Bundle, MAX_BUNDLE_LEN},
        codec::Reader,
    },
};

/// The version of [`PendingRequest::encode`].
const PENDING_VERSION: u8 = 1;

/// A link that was given to us, with the ephemeral keys of the request that it is answered with.
///
/// All tries show the same keys and the same name, also if the person is called otherwise by then: a request that differs is taken for
/// somebody else's. To be deleted when the reply has come, the person gives up, or the link has expired.
pub struct PendingRequest {
    link: Link,
    name: Name,
    e_secret: Secret<32>,
    k_seed: Secret<{ kem::SEED_LEN }>,
    r_secret: Secret<32>,
    /// What follows from the keys above; not stored.
    base: ReplyBase,
    el: Secret<32>,
}

/// What a reply says.
#[expect(clippy::large_enum_variant, reason = "one a contact, taken apart where it is made")]
#[derive(Debug)]
pub enum Reply {
    /// The issuer has taken us for a contact.
    Established {
        /// The keys of the pair.
        keys: PairKeys,
        /// The issuer's card.
        card: Card,
        /// What they call themselves.
        name: Name,
        /// The id of the pair that they had with us when they took us for a contact, zeros without one.
        held: [u8; PAIR_ID_LEN],
        /// The ack secret of the bundle it came in.
        ack: AckSecret,
    },
    /// Somebody else used the link before: it has been seen by others.
    Used {
        /// The ack secret of the bundle it came in.
        ack: AckSecret,
    },
}

/// A reply that makes a contact, opened and proven.
pub(super) struct Replied {
    pub(super) keys: PairKeys,
    pub(super) card: Card,
    pub(super) name: Name,
    pub(super) held: [u8; PAIR_ID_LEN],
    pub(super) f: [u8; 32],
    pub(super) bond: Bond,
}

impl PendingRequest {
    /// Draws the keys of a request; `own_name` is what the issuer will be told.
    pub fn new(link: Link, own_name: Name, rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        #[expect(clippy::expect_used, reason = "a Link has been checked, and one that we drew is not of low order")]
        Self::assemble(link, own_name, Secret::random(rng), Secret::random(rng), Secret::random(rng)).expect("L is contributory")
    }

    fn assemble(
        link: Link,
        name: Name,
        e_secret: Secret<32>,
        k_seed: Secret<{ kem::SEED_LEN }>,
        r_secret: Secret<32>,
    ) -> Result<Self, StateError> {
        let el = agree(&e_secret, link.public()).ok_or(StateError)?;
        let base = ReplyBase::new(&link, public_half(&e_secret), &el);
        Ok(Self { link, name, e_secret, k_seed, r_secret, base, el })
    }

    /// Encodes the state for the encrypted store: version 1 ‖ link without checksum 53 ‖ name field 51 ‖ private `e` 32 ‖ seed of `k` 64 ‖
    /// private `r` 32.
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut out = Zeroizing::new(Vec::with_capacity(1 + LINK_LEN + NAME_FIELD_LEN + 128));
        out.push(PENDING_VERSION);
        out.extend_from_slice(self.link.encode().as_slice());
        out.extend_from_slice(&self.name.encode_field());
        out.extend_from_slice(self.e_secret.expose());
        out.extend_from_slice(self.k_seed.expose());
        out.extend_from_slice(self.r_secret.expose());
        out
    }

    /// Decodes what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    ///
    /// [`StateError`] if the bytes are damaged or of another version.
    pub fn decode(bytes: &[u8]) -> Result<Self, StateError> {
        let mut reader = Reader::new(bytes);
        if reader.u8()? != PENDING_VERSION {
            return Err(StateError);
        }
        let link = Link::decode(reader.bytes(LINK_LEN)?)?;
        let name = Name::decode_field(&reader.array()?).map_err(|_| StateError)?;
        let (e_secret, k_seed, r_secret) = (secret(&mut reader)?, secret(&mut reader)?, secret(&mut reader)?);
        reader.finish()?;
        Self::assemble(link, name, e_secret, k_seed, r_secret)
    }

    /// The link.
    pub const fn link(&self) -> &Link {
        &self.link
    }

    /// The keys by which the issuer is recognised in a session.
    pub fn link_keys(&self) -> LinkKeys {
        self.link.keys()
    }

    /// The tags under which replies may arrive, by try.
    pub fn reply_tags(&self) -> [Tag; TRIES as usize] {
        self.base.tags()
    }

    /// Seals try `number` (0 to 15, each once) of the request: a bundle of 4,096 bytes. `items` ride along and may be empty.
    ///
    /// # Errors
    ///
    /// [`SealError`] if the try is above 15 or there are more than [`MAX_REQUEST_ITEMS_LEN`] bytes of items.
    pub fn request(
        &self,
        device: &Device,
        number: u8,
        items: &[u8],
        envelope: Envelope,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Sealed, SealError> {
        check_try(number)?;
        if items.len() > MAX_REQUEST_ITEMS_LEN {
            return Err(TooLong(items.len()).into());
        }
        let e = &self.base.e;
        let (card, k, r, name) =
            (device.card().encode(), kem::encapsulation_key(&self.k_seed), public_half(&self.r_secret), self.name.encode_field());
        let th1 = RequestTranscript { e, card: &card, k: &k, r: &r, name: &name }.hash(&self.link);
        let al = device.agree(self.link.public()).ok_or(SealError::Key)?;
        let proof = request_proof(&self.link, e, &self.el, &al, &th1);

        let mut body = Zeroizing::new(Vec::with_capacity(REQUEST_FIXED_LEN + items.len()));
        for part in [&card[..], k.as_slice(), &r, &name, &proof, items] {
            body.extend_from_slice(part);
        }
        let keys = BundleKeys {
            tag: self.link.request_tag(number),
            header: request_header_key(&self.link, number),
            message: request_message_key(&self.link, e, &self.el),
        };
        Ok(seal_bundle(&keys, envelope, &header_fields(e), &body, MAX_BUNDLE_LEN, rng)?)
    }

    /// Opens and checks a reply.
    ///
    /// # Errors
    ///
    /// [`ExchangeError`]; the request is then as pending as before.
    pub fn open_reply(&self, device: &Device, bundle: &Bundle) -> Result<Reply, ExchangeError> {
        let (reply, ack) = self.open_any(device, bundle)?;
        Ok(match reply {
            Some(Replied { keys, card, name, held, .. }) => Reply::Established { keys, card, name, held, ack },
            None => Reply::Used { ack },
        })
    }

    /// As [`open_reply`](Self::open_reply), with what both sides hold beside the keys; `None` for *used*.
    pub(super) fn open_any(&self, device: &Device, bundle: &Bundle) -> Result<(Option<Replied>, AckSecret), ExchangeError> {
        let tag = bundle.header().tag;
        let number = (0..TRIES).zip(self.reply_tags()).find(|(_, own)| *own == tag).ok_or(ExchangeError::Closed)?.0;
        let header = open_header(&self.base.header_key(number), bundle).ok_or(ExchangeError::Closed)?;
        let f = header_key(&header)?;
        let fe = agree(&self.e_secret, &f).ok_or(ExchangeError::Closed)?;
        let body = open_body(&self.base.message_key(&f, &fe), &header, bundle).ok_or(ExchangeError::Closed)?;

        let mut reader = Reader::new(&body.plaintext);
        match reader.u8()? {
            KIND_USED => {
                require_zeros(reader.rest())?;
                Ok((None, body.ack))
            }
            KIND_REPLY => {
                let c1 = Box::new(reader.array()?);
                let mut inner = Zeroizing::new(reader.bytes(INNER_LEN)?.to_vec());
                let authenticator: [u8; AUTHENTICATOR_LEN] = reader.array()?;
                require_zeros(reader.rest())?;
                let s1 = kem::decapsulate(&self.k_seed, &c1);
                if !open_once(&self.base.inner_key(&f, &fe, &s1), &[], &mut inner, &authenticator) {
                    return Err(ExchangeError::Closed);
                }
                let replied = self.establish(device, f, fe, &c1, s1, &inner)?;
                Ok((Some(replied), body.ack))
            }
            _ => Err(ExchangeError::Malformed),
        }
    }

    /// Checks the inner part of a reply, and derives the keys of the pair.
    fn establish(
        &self,
        device: &Device,
        f: [u8; 32],
        fe: Secret<32>,
        c1: &[u8; kem::CIPHERTEXT_LEN],
        s1: Secret<32>,
        inner: &[u8],
    ) -> Result<Replied, ExchangeError> {
        let mut reader = Reader::new(inner);
        let card_bytes = reader.array()?;
        let c2 = Box::new(reader.array()?);
        let q = reader.array()?;
        let name_field = reader.array()?;
        let held = reader.array()?;
        let proof: [u8; PROOF_LEN] = reader.array()?;
        reader.finish()?;

        let card = Card::decode(&card_bytes)?;
        let name = Name::decode_field(&name_field)?;
        let secrets = PairSecrets {
            fe,
            ae: agree(&self.e_secret, card.agreement()).ok_or(ExchangeError::Malformed)?,
            fa: device.agree(&f).ok_or(ExchangeError::Malformed)?,
            al: device.agree(self.link.public()).ok_or(ExchangeError::Malformed)?,
            s1,
            s2: device.decapsulate(&c2),
        };
        let th1 = self.transcript(device);
        let th2 = ReplyTranscript { th1: &th1, f: &f, c1, card: &card_bytes, c2: &c2, q: &q, name: &name_field, held: &held }.hash();
        let keys = DerivedKeys::derive(&self.base, &secrets, &th2);
        if !Secret::new(keys.proof(&th2)).matches(&proof) {
            return Err(ExchangeError::Unproven);
        }
        if card.identity() == device.card().identity() {
            return Err(ExchangeError::OwnIdentity);
        }
        if !is_contributory(&q) {
            return Err(ExchangeError::Malformed);
        }
        let bond = keys.bond(th2);
        Ok(Replied { keys: keys.into_pair(PairRole::Invitee, self.r_secret.duplicate(), q), card, name, held, f, bond })
    }

    /// `th1` of this request.
    pub(super) fn transcript(&self, device: &Device) -> [u8; 32] {
        let (card, k, r, name) =
            (device.card().encode(), kem::encapsulation_key(&self.k_seed), public_half(&self.r_secret), self.name.encode_field());
        RequestTranscript { e: &self.base.e, card: &card, k: &k, r: &r, name: &name }.hash(&self.link)
    }
}

impl std::fmt::Debug for PendingRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PendingRequest").field("link", &self.link).finish_non_exhaustive()
    }
}
