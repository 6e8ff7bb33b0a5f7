//! Short ids: 8 bytes in place of 32, for one session.

use siphasher::sip::SipHasher24;

use crate::{
    crypto::{
        kdf::{self, label},
        secret::Secret,
    },
    id::{BundleId, ShortId},
};

/// Computes the short ids of one session: SipHash-2-4 under a key of its handshake hash (docs/protocol.md, section 4).
#[derive(Debug)]
pub struct ShortIds {
    key: Secret<16>,
}

impl ShortIds {
    /// Derives the key from the session's handshake hash.
    pub fn new(session_hash: &[u8; 32]) -> Self {
        Self { key: kdf::hkdf(&[], session_hash, &[label::SHORT]) }
    }

    /// Shortens one id.
    pub fn short(&self, id: &BundleId) -> ShortId {
        ShortId(SipHasher24::new_with_key(self.key.expose()).hash(&id.0).to_le_bytes())
    }
}
