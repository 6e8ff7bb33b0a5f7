//! The plaintext of a pair message's header (docs/protocol.md, section 8.2), without its random end.

use crate::{
    crypto::bundle_seal::{HEADER_FIELDS_LEN, HEADER_PLAINTEXT_LEN},
    wire::codec::{LengthError, Reader},
};

/// What the sender of a message says in its header.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    /// The sender's ratchet key.
    pub(super) ratchet_key: [u8; 32],
    /// PN: length of the sender's previous chain.
    pub(super) previous: u32,
    /// N: number in this chain.
    pub(super) place: u32,
    /// Epoch mixed into the root at the start of this chain, 0 if none.
    pub(super) pq: u32,
    /// Numbers of the other side dealt with: all lower ones.
    pub(super) confirmed: u32,
    /// All lower numbers of the sender's own are closed.
    pub(super) floor: u32,
}

impl Header {
    /// Encodes the fields; the reserved one is 0.
    pub(super) fn encode(&self) -> [u8; HEADER_FIELDS_LEN] {
        let mut out = [0; HEADER_FIELDS_LEN];
        out[..32].copy_from_slice(&self.ratchet_key);
        let numbers = [self.previous, self.place, self.pq, self.confirmed, self.floor];
        for (field, number) in out[32..52].chunks_exact_mut(4).zip(numbers) {
            field.copy_from_slice(&number.to_be_bytes());
        }
        out
    }

    /// Reads the fields; the reserved one may hold anything.
    pub(super) fn decode(plaintext: &[u8; HEADER_PLAINTEXT_LEN]) -> Result<Self, LengthError> {
        let mut reader = Reader::new(plaintext);
        Ok(Self {
            ratchet_key: reader.array()?,
            previous: reader.u32()?,
            place: reader.u32()?,
            pq: reader.u32()?,
            confirmed: reader.u32()?,
            floor: reader.u32()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decode_inverts_encode_and_ignores_the_reserved_field() {
        let header = Header { ratchet_key: [9; 32], previous: 1, place: 2, pq: 3, confirmed: 4, floor: 5 };
        let mut plaintext = [0xff; HEADER_PLAINTEXT_LEN];
        plaintext[..52].copy_from_slice(&header.encode()[..52]);
        assert!(Header::decode(&plaintext).unwrap() == header);
        assert_eq!(header.encode()[52..], [0; 4]);
    }
}
