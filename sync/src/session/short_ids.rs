//! Short ids: bundles' names within one session.

use siphasher::sip::SipHasher24;

use crate::{
    crypto::kdf::{hkdf, label},
    id::{BundleId, ShortId},
};

/// Computes the short ids of one session: SipHash-2-4 under a key of that session (docs/protocol.md, section 4).
///
/// Both sides of a session compute the same; in another session every id differs.
#[derive(Clone)]
pub struct ShortIds(SipHasher24);

impl ShortIds {
    /// Derives the key from a session's handshake hash.
    pub fn new(hash: &[u8; 32]) -> Self {
        let key = hkdf::<16>(&[], hash, &[label::SHORT]);
        Self(SipHasher24::new_with_key(key.expose()))
    }

    /// The short id of a bundle.
    pub fn short(&self, id: &BundleId) -> ShortId {
        ShortId(self.0.hash(&id.0).to_le_bytes())
    }
}

impl std::fmt::Debug for ShortIds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ShortIds(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_in_the_order_of_siphash_authors() {
        // The first vector of siphash's `vectors.h` for SipHash-2-4: key 00 … 0f, empty input.
        let key: [u8; 16] = std::array::from_fn(|i| i as u8);
        assert_eq!(SipHasher24::new_with_key(&key).hash(&[]).to_le_bytes(), [0x31, 0x0e, 0x0e, 0xdd, 0x47, 0xdb, 0x6f, 0x72]);
    }

    #[test]
    fn short_ids_differ_between_bundles_and_between_sessions() {
        let (one, other) = (ShortIds::new(&[1; 32]), ShortIds::new(&[2; 32]));
        assert_eq!(one.short(&BundleId([7; 32])), one.short(&BundleId([7; 32])));
        assert_ne!(one.short(&BundleId([7; 32])), one.short(&BundleId([8; 32])));
        assert_ne!(one.short(&BundleId([7; 32])), other.short(&BundleId([7; 32])));
    }
}
