//! Hashing, key derivation and sealing, in the notation of docs/protocol.md, section 1.
//!
//! All labels stand here, each used in one construction.

use chacha20poly1305::{
    ChaCha20Poly1305, KeyInit,
    aead::{AeadInOut, Nonce, Tag as Authenticator},
};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use super::secret::Secret;

/// Length of an authenticator, bytes.
pub const AUTHENTICATOR_LEN: usize = 16;

/// Labels of docs/protocol.md; each is `hedgerow/1 ` and its name there.
pub mod label {
    macro_rules! labels {
        ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
            $($(#[$doc])* pub const $name: &[u8] = concat!("hedgerow/1 ", $text).as_bytes();)*

            #[cfg(test)]
            pub(super) const ALL: &[&[u8]] = &[$($name),*];
        };
    }

    labels! {
        /// Prologue of the session's handshake (section 3).
        SESSION = "session";
        /// Recognition entry (3.1).
        ENTRY = "entry";
        /// Confirmation (3.1).
        CONFIRM = "confirm";
        /// Rekey of the initiator's direction (3.2).
        REKEY_INITIATOR = "rekey initiator";
        /// Rekey of the responder's direction (3.2).
        REKEY_RESPONDER = "rekey responder";
        /// Key of a session's short ids (4).
        SHORT = "short";
        /// Body key (5.1).
        BODY = "body";
        /// Ack secret (5.1).
        ACK = "ack";
        /// Ack commitment (5.1).
        COMMIT = "commit";
        /// Tag, key and ack secret of a chunk (8.7).
        CHUNK = "chunk";
        /// Hash of the content of a large message (8.7).
        CONTENT = "content";
        /// Fingerprint of a range (6.2).
        FINGERPRINT = "fingerprint";
        /// Signature of a card (7.1).
        CARD = "card";
        /// Checksum of a link (7.2).
        LINK_CHECK = "link check";
        /// Recognition by a pending link (7.2).
        LINK_RECOGNISE = "link recognise";
        /// Link key of a pending link (7.2).
        LINK_REKEY = "link rekey";
        /// Tag of a request (7.2).
        REQUEST_TAG = "request tag";
        /// Header key of a request (7.3).
        REQUEST_HEADER = "request header";
        /// Message key of a request (7.3).
        REQUEST = "request";
        /// Transcript of a request (7.3).
        REQUEST_TRANSCRIPT = "request transcript";
        /// Proof of a request (7.3).
        REQUEST_PROOF = "request proof";
        /// Tag of a reply (7.4).
        REPLY_TAG = "reply tag";
        /// Header key of a reply (7.4).
        REPLY_HEADER = "reply header";
        /// Message key of a reply (7.4).
        REPLY = "reply";
        /// Key of a reply's inner part (7.4).
        REPLY_INNER = "reply inner";
        /// Transcript of a reply (7.4).
        REPLY_TRANSCRIPT = "reply transcript";
        /// Keys of a pair (7.4).
        PAIR = "pair";
        /// Proof of a reply (7.4).
        REPLY_PROOF = "reply proof";
        /// Commitment of an exchange nearby (7.8).
        NEARBY_COMMIT = "nearby commit";
        /// Words to compare (7.8).
        NEARBY_WORDS = "nearby words";
        /// Proof of the second side (7.8).
        NEARBY_PROOF = "nearby proof";
        /// That the words were found equal (7.8).
        NEARBY_CONFIRM = "nearby confirm";
        /// Upgrade of a session (7.6).
        UPGRADE = "upgrade";
        /// The id of a pair (7.4).
        PAIR_ID = "pair id";
        /// Repair secret of a pair (7.7).
        REPAIR = "repair";
        /// Recognition for a repair (7.7).
        REPAIR_RECOGNISE = "repair recognise";
        /// Link key of a repair (7.7).
        REPAIR_LINK = "repair link";
        /// Tag of a repair's offer (7.7).
        REPAIR_TAG = "repair tag";
        /// Header key of a repair's offer (7.7).
        REPAIR_HEADER = "repair header";
        /// Message key of a repair's offer (7.7).
        REPAIR_OFFER = "repair offer";
        /// Transcript of a repair's offer (7.7).
        REPAIR_OFFER_TRANSCRIPT = "repair offer transcript";
        /// Proof of a repair's offer (7.7).
        REPAIR_OFFER_PROOF = "repair offer proof";
        /// Tag of a repair's answer (7.7).
        REPAIR_ANSWER_TAG = "repair answer tag";
        /// Header key of a repair's answer (7.7).
        REPAIR_ANSWER_HEADER = "repair answer header";
        /// Message key of a repair's answer (7.7).
        REPAIR_ANSWER = "repair answer";
        /// Transcript of a repair's answer (7.7).
        REPAIR_ANSWER_TRANSCRIPT = "repair answer transcript";
        /// Keys of a repaired pair (7.7).
        REPAIR_PAIR = "repair pair";
        /// Proof of a repair's answer (7.7).
        REPAIR_ANSWER_PROOF = "repair answer proof";
        /// Root step (8.1).
        ROOT = "root";
        /// Tag step (8.1).
        TAG = "tag";
        /// Hybrid step of the root (8.4).
        PQ_ROOT = "pq root";
        /// Hybrid step of the pair secret (8.5).
        PAIR_EPOCH = "pair epoch";
        /// Recognition by a pair epoch (8.5).
        RECOGNISE = "recognise";
        /// Link key of a pair epoch (8.5).
        LINK = "link";
    }
}

/// `H(parts[0] ‖ parts[1] ‖ …)`: SHA-256.
pub fn hash(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// `MAC(key, parts[0] ‖ parts[1] ‖ …)`: HMAC-SHA-256.
pub fn mac(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key).expect("any key length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// `HKDF(salt, ikm, info[0] ‖ info[1] ‖ …)[N]`: HKDF-SHA-256, `N` ≤ 8,160.
pub fn hkdf<const N: usize>(salt: &[u8], ikm: &[u8], info: &[&[u8]]) -> Secret<N> {
    const { assert!(N <= 255 * 32, "HKDF-SHA-256 yields at most 8,160 bytes") };
    let mut out = Zeroizing::new([0; N]);
    #[expect(clippy::expect_used, reason = "the length is checked when this is compiled")]
    Hkdf::<Sha256>::new(Some(salt), ikm).expand_multi_info(info, out.as_mut_slice()).expect("length is within limits");
    Secret::new(*out)
}

/// `DH(secret, public)`: X25519. `None` if the result is all zero, which only keys of low order give.
pub fn dh(secret: &StaticSecret, public: &[u8; 32]) -> Option<Secret<32>> {
    let shared = secret.diffie_hellman(&PublicKey::from(*public));
    shared.was_contributory().then(|| Secret::new(shared.to_bytes()))
}

/// Seals `buffer` in place under a key that seals nothing else; returns the authenticator.
///
/// The nonce is all zero (docs/protocol.md, section 1).
pub fn seal_once(key: &Secret<32>, associated: &[u8], buffer: &mut [u8]) -> [u8; AUTHENTICATOR_LEN] {
    #[expect(clippy::expect_used, reason = "buffers here are at most one bundle")]
    ChaCha20Poly1305::new(key.expose().into())
        .encrypt_inout_detached(&Nonce::<ChaCha20Poly1305>::default(), associated, buffer.into())
        .expect("shorter than 256 GiB")
        .into()
}

/// Opens what [`seal_once`] sealed, in place. `false`, with the buffer unchanged or garbled, if it does not verify.
#[must_use]
pub fn open_once(key: &Secret<32>, associated: &[u8], buffer: &mut [u8], authenticator: &[u8; AUTHENTICATOR_LEN]) -> bool {
    let authenticator: &Authenticator<ChaCha20Poly1305> = authenticator.into();
    ChaCha20Poly1305::new(key.expose().into())
        .decrypt_inout_detached(&Nonce::<ChaCha20Poly1305>::default(), associated, buffer.into(), authenticator)
        .is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_distinct() {
        let mut labels = label::ALL.to_vec();
        labels.sort_unstable();
        labels.dedup();
        assert_eq!(labels.len(), label::ALL.len());
    }

    #[test]
    fn low_order_points_are_refused() {
        let secret = StaticSecret::from([9; 32]);
        assert!(dh(&secret, &[0; 32]).is_none());
        let mut one = [0; 32];
        one[0] = 1;
        assert!(dh(&secret, &one).is_none());
    }

    #[test]
    fn open_inverts_seal_and_notices_a_change() {
        let key = Secret::new([3; 32]);
        let mut buffer = *b"sealed";
        let authenticator = seal_once(&key, b"header", &mut buffer);
        let mut changed = buffer;
        assert!(!open_once(&key, b"other header", &mut changed, &authenticator));
        assert!(open_once(&key, b"header", &mut buffer, &authenticator));
        assert_eq!(&buffer, b"sealed");
    }
}
