//! Keys, transcripts and fields that both sides of an exchange compute (docs/protocol.md, sections 7.3 and 7.4).

use zeroize::Zeroizing;

use super::{ExchangeError, SealError, given::AnswerBase};
use crate::{
    crypto::{
        bundle_seal::{BundleKeys, HEADER_FIELDS_LEN, HEADER_PLAINTEXT_LEN},
        identity::{CARD_LEN, NAME_FIELD_LEN, kem, secret},
        kdf::{AUTHENTICATOR_LEN, hash, hkdf, label, mac},
        link::{Link, TRIES},
        pair_keys::{PairKeys, PairRole},
        secret::Secret,
    },
    id::Tag,
    wire::{
        bundle::{MAX_BUNDLE_LEN, body_capacity},
        codec::{LengthError, Reader},
    },
};

/// The version of the exchange, first in the request's transcript.
const EXCHANGE_VERSION: u8 = 1;
/// Length of a proof, bytes.
pub(super) const PROOF_LEN: usize = 32;
/// Length of a request's body before its items, bytes.
pub(super) const REQUEST_FIXED_LEN: usize = CARD_LEN + kem::KEY_LEN + 32 + NAME_FIELD_LEN + PROOF_LEN;
/// How many bytes of items a request holds.
pub const MAX_REQUEST_ITEMS_LEN: usize = body_capacity(MAX_BUNDLE_LEN) - REQUEST_FIXED_LEN;
/// Length of a pair's id, bytes.
pub(super) const PAIR_ID_LEN: usize = 16;
/// Length of the inner part of a reply, bytes.
pub(super) const INNER_LEN: usize = CARD_LEN + kem::CIPHERTEXT_LEN + 32 + NAME_FIELD_LEN + PAIR_ID_LEN + PROOF_LEN;
/// Length of a reply's body before its filling, bytes.
pub(super) const REPLY_LEN: usize = 1 + kem::CIPHERTEXT_LEN + INNER_LEN + AUTHENTICATOR_LEN;
/// The kind of a reply that makes a contact.
pub(super) const KIND_REPLY: u8 = 1;
/// The kind of a reply that says that the link has been used.
pub(super) const KIND_USED: u8 = 2;

/// Refuses the number of a try that has no tag.
pub(super) const fn check_try(number: u8) -> Result<(), SealError> {
    if number < TRIES { Ok(()) } else { Err(SealError::Try(number)) }
}

/// What a header of an exchange says: one X25519 key and zeros.
pub(super) fn header_fields(key: &[u8; 32]) -> [u8; HEADER_FIELDS_LEN] {
    let mut fields = [0; HEADER_FIELDS_LEN];
    fields[..32].copy_from_slice(key);
    fields
}

/// Reads the key from an opened header.
pub(super) fn header_key(header: &[u8; HEADER_PLAINTEXT_LEN]) -> Result<[u8; 32], ExchangeError> {
    let mut reader = Reader::new(header);
    let key = reader.array()?;
    require_zeros(reader.bytes(HEADER_FIELDS_LEN - 32)?)?;
    Ok(key)
}

/// Requires the filling that every sender writes.
pub(super) fn require_zeros(filling: &[u8]) -> Result<(), ExchangeError> {
    if filling.iter().all(|&byte| byte == 0) { Ok(()) } else { Err(ExchangeError::Malformed) }
}

/// Concatenates secrets for a derivation.
pub(super) fn concat(parts: &[&[u8]]) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(parts.iter().map(|part| part.len()).sum()));
    for part in parts {
        out.extend_from_slice(part);
    }
    out
}

/// The header key of a request's try `number`: all that can be known before the header has been opened.
pub(super) fn request_header_key(link: &Link, number: u8) -> Secret<32> {
    hkdf(&[], link.secret().expose(), &[label::REQUEST_HEADER, &[number]])
}

/// The message key of a request; `el` is `DH(e, L)`.
pub(super) fn request_message_key(link: &Link, e: &[u8; 32], el: &Secret<32>) -> Secret<32> {
    hkdf(e, &concat(&[link.secret().expose(), el.expose()]), &[label::REQUEST])
}

/// The proof that the invitee holds `A`; `al` is `DH(A_invitee, L)`.
pub(super) fn request_proof(link: &Link, e: &[u8; 32], el: &Secret<32>, al: &Secret<32>, th1: &[u8; 32]) -> [u8; PROOF_LEN] {
    let key: Secret<32> = hkdf(e, &concat(&[link.secret().expose(), el.expose(), al.expose()]), &[label::REQUEST_PROOF]);
    mac(key.expose(), &[th1])
}

/// The public parts of a request, in the order of its transcript.
pub(super) struct RequestTranscript<'a> {
    pub(super) e: &'a [u8; 32],
    pub(super) card: &'a [u8; CARD_LEN],
    pub(super) k: &'a [u8; kem::KEY_LEN],
    pub(super) r: &'a [u8; 32],
    pub(super) name: &'a [u8; NAME_FIELD_LEN],
}

impl RequestTranscript<'_> {
    /// `th1`.
    pub(super) fn hash(&self, link: &Link) -> [u8; 32] {
        hash(&[label::REQUEST_TRANSCRIPT, &[EXCHANGE_VERSION], link.public(), self.e, self.card, self.k, self.r, self.name])
    }
}

/// The public parts of a reply, in the order of its transcript.
pub(super) struct ReplyTranscript<'a> {
    pub(super) th1: &'a [u8; 32],
    pub(super) f: &'a [u8; 32],
    pub(super) c1: &'a [u8; kem::CIPHERTEXT_LEN],
    pub(super) card: &'a [u8; CARD_LEN],
    pub(super) c2: &'a [u8; kem::CIPHERTEXT_LEN],
    pub(super) q: &'a [u8; 32],
    pub(super) name: &'a [u8; NAME_FIELD_LEN],
    pub(super) held: &'a [u8; PAIR_ID_LEN],
}

impl ReplyTranscript<'_> {
    /// `th2`.
    pub(super) fn hash(&self) -> [u8; 32] {
        hash(&[label::REPLY_TRANSCRIPT, self.th1, self.f, self.c1, self.card, self.c2, self.q, self.name, self.held])
    }
}

/// `secret ‖ DH(e, L)` under the salt `e`: where tags and header keys of the replies to one request come from.
pub(super) struct ReplyBase {
    pub(super) e: [u8; 32],
    pub(super) secrets: Secret<48>,
}

impl ReplyBase {
    pub(super) fn new(link: &Link, e: [u8; 32], el: &Secret<32>) -> Self {
        let mut secrets = Zeroizing::new([0; 48]);
        secrets[..16].copy_from_slice(link.secret().expose());
        secrets[16..].copy_from_slice(el.expose());
        Self { e, secrets: Secret::new(*secrets) }
    }

    pub(super) fn tag(&self, number: u8) -> Tag {
        Tag(*hkdf(&self.e, self.secrets.expose(), &[label::REPLY_TAG, &[number]]).expose())
    }

    pub(super) fn tags(&self) -> [Tag; TRIES as usize] {
        std::array::from_fn(|number| self.tag(number as u8))
    }

    pub(super) fn header_key(&self, number: u8) -> Secret<32> {
        hkdf(&self.e, self.secrets.expose(), &[label::REPLY_HEADER, &[number]])
    }

    /// The message key of a reply with the ephemeral `f`; `fe` is `DH(f, e)`.
    pub(super) fn message_key(&self, f: &[u8; 32], fe: &Secret<32>) -> Secret<32> {
        let salt = [self.e, *f].concat();
        hkdf(&salt, &concat(&[self.secrets.expose(), fe.expose()]), &[label::REPLY])
    }

    /// The key `ik` of a reply's inner part.
    pub(super) fn inner_key(&self, f: &[u8; 32], fe: &Secret<32>, s1: &Secret<32>) -> Secret<32> {
        let salt = [self.e, *f].concat();
        hkdf(&salt, &concat(&[self.secrets.expose(), fe.expose(), s1.expose()]), &[label::REPLY_INNER])
    }
}

impl AnswerBase for ReplyBase {
    const VERSION: u8 = 1;
    const BODY_LEN: usize = REPLY_LEN;

    fn parts(&self) -> [&[u8]; 2] {
        [&self.e, self.secrets.expose()]
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, LengthError> {
        Ok(Self { e: reader.array()?, secrets: secret(reader)? })
    }

    fn bundle_keys(&self, number: u8, message: Secret<32>) -> BundleKeys {
        BundleKeys { tag: self.tag(number), header: self.header_key(number), message }
    }
}

/// The shared secrets of an exchange beside [`ReplyBase::secrets`], in the order of the protocol.
pub(super) struct PairSecrets {
    /// `DH(f, e)`.
    pub(super) fe: Secret<32>,
    /// `DH(A_issuer, e)`.
    pub(super) ae: Secret<32>,
    /// `DH(f, A_invitee)`.
    pub(super) fa: Secret<32>,
    /// `DH(A_invitee, L)`.
    pub(super) al: Secret<32>,
    /// What was encapsulated to `k`.
    pub(super) s1: Secret<32>,
    /// What was encapsulated to the invitee's `M`.
    pub(super) s2: Secret<32>,
}

/// What an exchange was about, and the key by which either side says something about it.
pub(super) struct Bond {
    pub(super) th2: [u8; 32],
    pub(super) confirm: Secret<32>,
}

/// The 160 bytes that an exchange yields, before they are given their places.
pub(super) struct DerivedKeys(pub(super) Secret<160>);

impl DerivedKeys {
    pub(super) fn derive(base: &ReplyBase, secrets: &PairSecrets, th2: &[u8; 32]) -> Self {
        let PairSecrets { fe, ae, fa, al, s1, s2 } = secrets;
        let ikm = concat(&[base.secrets.expose(), fe.expose(), ae.expose(), fa.expose(), al.expose(), s1.expose(), s2.expose()]);
        Self(hkdf(th2, &ikm, &[label::PAIR]))
    }

    /// The proof that the issuer holds `A`, and that both have the same keys.
    pub(super) fn proof(&self, th2: &[u8; 32]) -> [u8; PROOF_LEN] {
        mac(self.confirm(), &[label::REPLY_PROOF, th2])
    }

    /// What both sides hold beside the keys of the pair.
    pub(super) fn bond(&self, th2: [u8; 32]) -> Bond {
        Bond { th2, confirm: Secret::new(*self.confirm()) }
    }

    /// The key that proofs are made with.
    pub(super) fn confirm(&self) -> &[u8; 32] {
        let [.., confirm] = self.split();
        confirm
    }

    pub(super) fn into_pair(self, role: PairRole, own_ratchet: Secret<32>, other_ratchet: [u8; 32]) -> PairKeys {
        let [root, issuer_header, invitee_header, pair_secret, _] = self.split().map(|key| Secret::new(*key));
        PairKeys { role, root, issuer_header, invitee_header, pair_secret, own_ratchet, other_ratchet }
    }

    fn split(&self) -> [&[u8; 32]; 5] {
        const NOTHING: &[u8; 32] = &[0; 32];
        let (keys, _) = self.0.expose().as_chunks::<32>();
        let mut out = [NOTHING; 5];
        for (to, from) in out.iter_mut().zip(keys) {
            *to = from;
        }
        out
    }
}
