//! Chunks: bundles that hold a part of a large message each (docs/protocol.md, section 8.7).
//!
//! Everything about a chunk but its bytes follows from the content key, the created hour and the index, so that a sender that was stopped
//! makes the same bundles again, and a reader knows all tags from the manifest. To a carrier a chunk is a bundle of 4,096 bytes like any other.

use zeroize::Zeroizing;

use super::{
    bundle_seal::{AckSecret, Sealed, commitment},
    kdf::{AUTHENTICATOR_LEN, hash, hkdf, label, open_once, seal_once},
    secret::Secret,
};
use crate::{
    id::Tag,
    time::Hour,
    wire::bundle::{BUNDLE_HEADER_LEN, Bundle, BundleHeader, Class, Lifetime, MAX_BUNDLE_LEN},
};

/// How many bytes of content a chunk holds.
pub const CHUNK_CAPACITY: usize = MAX_BUNDLE_LEN - BUNDLE_HEADER_LEN - AUTHENTICATOR_LEN;
/// How long a chunk lives: as long as a message, so that what its manifest promises can come.
pub const CHUNK_LIFETIME: Lifetime = Lifetime::Fortnight;

/// How many chunks hold `length` bytes.
pub const fn chunk_count(length: u32) -> u32 {
    length.div_ceil(CHUNK_CAPACITY as u32)
}

/// How many bytes of a content of `length` bytes lie in chunk `index`; 0 beyond the last.
pub fn chunk_len(length: u32, index: u32) -> usize {
    let before = u64::from(index) * CHUNK_CAPACITY as u64;
    usize::try_from(u64::from(length).saturating_sub(before)).map_or(CHUNK_CAPACITY, |left| left.min(CHUNK_CAPACITY))
}

/// The hash by which a reader knows that a content is whole.
pub fn content_hash(content: &[u8]) -> [u8; 32] {
    hash(&[label::CONTENT, content])
}

/// What the chunks of one content are derived from. The created hour stands in their headers: chunks of another hour have other keys, as
/// no key may seal under two headers.
#[derive(Debug)]
pub struct ContentKey {
    key: Secret<32>,
    created: Hour,
}

/// What belongs to one chunk.
struct ChunkKeys {
    tag: Tag,
    key: Secret<32>,
    ack: AckSecret,
}

impl ContentKey {
    /// Takes a key that was drawn, or came in a manifest.
    pub fn new(key: Secret<32>, created: Hour) -> Self {
        Self { key, created }
    }

    /// When the chunks were created, by their headers.
    pub const fn created(&self) -> Hour {
        self.created
    }

    /// Whether this is the key with these bytes, for this hour.
    pub fn matches(&self, key: &[u8; 32], created: Hour) -> bool {
        self.key.matches(key) && self.created == created
    }

    /// The tag of chunk `index`.
    pub fn tag(&self, index: u32) -> Tag {
        self.derive(index).tag
    }

    /// The ack secret of chunk `index`.
    pub fn ack(&self, index: u32) -> AckSecret {
        self.derive(index).ack
    }

    /// Seals chunk `index`; the same bundle each time.
    ///
    /// `part` is at most [`CHUNK_CAPACITY`] bytes of content, what is more is left out; it is filled up with zeros.
    pub fn seal(&self, index: u32, part: &[u8]) -> Sealed {
        let ChunkKeys { tag, key, ack } = self.derive(index);
        let header = self.header(tag, &ack);
        let mut bytes = Vec::with_capacity(MAX_BUNDLE_LEN);
        bytes.extend_from_slice(&header.encode());
        bytes.extend(part.iter().take(CHUNK_CAPACITY));
        bytes.resize(BUNDLE_HEADER_LEN + CHUNK_CAPACITY, 0);
        let (associated, plaintext) = bytes.split_at_mut(BUNDLE_HEADER_LEN);
        let authenticator = seal_once(&key, associated, plaintext);
        bytes.extend_from_slice(&authenticator);
        #[expect(clippy::expect_used, reason = "the layout above is the decoder's")]
        let bundle = Bundle::decode(bytes).expect("a sealed chunk is well-formed");
        Sealed { bundle, ack }
    }

    /// Opens chunk `index`: [`CHUNK_CAPACITY`] bytes, with their filling, and the secret to tell once they are durable. `None` if `bundle` is not
    /// this chunk.
    pub fn open(&self, index: u32, bundle: &Bundle) -> Option<(Zeroizing<Vec<u8>>, AckSecret)> {
        let ChunkKeys { tag, key, ack } = self.derive(index);
        // The header is associated data, and all of it is known: no other can verify.
        if *bundle.header() != self.header(tag, &ack) {
            return None;
        }
        let (associated, sealed) = bundle.bytes().split_at_checked(BUNDLE_HEADER_LEN)?;
        let (ciphertext, authenticator) = sealed.split_last_chunk::<AUTHENTICATOR_LEN>()?;
        let mut plaintext = Zeroizing::new(ciphertext.to_vec());
        open_once(&key, associated, &mut plaintext, authenticator).then_some((plaintext, ack))
    }

    fn header(&self, tag: Tag, ack: &AckSecret) -> BundleHeader {
        let (class, lifetime) = (Class::Normal, CHUNK_LIFETIME);
        BundleHeader { class, lifetime, created: self.created, tag, commitment: commitment(ack.expose()) }
    }

    fn derive(&self, index: u32) -> ChunkKeys {
        let derived: Secret<64> = hkdf(&[], self.key.expose(), &[label::CHUNK, &self.created.0.to_be_bytes(), &index.to_be_bytes()]);
        let bytes = derived.expose();
        let (mut tag, mut key, mut ack) = ([0; 16], Zeroizing::new([0; 32]), Zeroizing::new([0; 16]));
        tag.copy_from_slice(&bytes[..16]);
        key.copy_from_slice(&bytes[16..48]);
        ack.copy_from_slice(&bytes[48..]);
        ChunkKeys { tag: Tag(tag), key: Secret::new(*key), ack: Secret::new(*ack) }
    }
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;
    use serde_json::Value;

    use super::*;

    fn key() -> ContentKey {
        ContentKey::new(Secret::new([7; 32]), Hour(490_000))
    }

    #[test]
    fn open_inverts_seal_and_sealing_again_gives_the_same() {
        for (index, length) in [(0, CHUNK_CAPACITY), (1, 1), (u32::MAX, 4_000)] {
            let part = vec![index as u8 ^ 0x5a; length];
            let sealed = key().seal(index, &part);
            assert_eq!(sealed.bundle.bytes().len(), MAX_BUNDLE_LEN);
            assert_eq!(sealed.bundle.id(), key().seal(index, &part).bundle.id());
            let (opened, ack) = key().open(index, &sealed.bundle).unwrap();
            assert_eq!(opened[..length], part);
            assert!(opened[length..].iter().all(|&byte| byte == 0) && opened.len() == CHUNK_CAPACITY);
            assert!(ack.matches(sealed.ack.expose()) && ack.matches(key().ack(index).expose()));
            assert_eq!(sealed.bundle.header().tag, key().tag(index));
        }
    }

    #[test]
    fn any_changed_byte_another_index_hour_or_key_does_not_open() {
        let sealed = key().seal(3, b"content");
        assert!(key().open(2, &sealed.bundle).is_none());
        assert!(ContentKey::new(Secret::new([7; 32]), Hour(490_001)).open(3, &sealed.bundle).is_none());
        assert!(ContentKey::new(Secret::new([8; 32]), Hour(490_000)).open(3, &sealed.bundle).is_none());
        for offset in [1, 2, 7, 8, 23, 24, 39, 48, 2_000, MAX_BUNDLE_LEN - 17, MAX_BUNDLE_LEN - 1] {
            let mut bytes = sealed.bundle.bytes().to_vec();
            bytes[offset] ^= 1;
            let changed = Bundle::decode(bytes).unwrap();
            assert!(key().open(3, &changed).is_none(), "offset {offset}");
        }
        let mut short = sealed.bundle.bytes().to_vec();
        short.truncate(2_048);
        assert!(key().open(3, &Bundle::decode(short).unwrap()).is_none());
    }

    #[test]
    fn chunks_of_one_content_have_nothing_in_common() {
        let chunks: Vec<_> = (0..50).map(|index| key().seal(index, &[0; 10])).collect();
        for fields in [8..24, 24..40, 48..64] {
            let mut values: Vec<_> = chunks.iter().map(|chunk| chunk.bundle.bytes()[fields.clone()].to_vec()).collect();
            values.sort();
            values.dedup();
            assert_eq!(values.len(), 50, "{fields:?}");
        }
    }

    #[test]
    fn counts_and_lengths_fit_the_content() {
        for (length, count, last) in [(1, 1, 1), (4_032, 1, 4_032), (4_033, 2, 1), (500_000, 125, 32), (u32::MAX, 1_065_221, 255)] {
            assert_eq!(chunk_count(length), count);
            assert_eq!(chunk_len(length, count - 1), last, "{length}");
            assert_eq!((chunk_len(length, count), chunk_len(length, u32::MAX)), (0, 0));
        }
    }

    /// `chunk.json` is another implementation's word: `chunk.py` made it with the Python standard library and `cryptography`.
    #[test]
    fn chunks_are_those_of_the_python_script() {
        let vectors: Value = serde_json::from_str(include_str!("../../tests/data/vectors/chunk.json")).unwrap();
        let bytes = |value: &Value| HEXLOWER.decode(value.as_str().unwrap().as_bytes()).unwrap();
        let created = Hour(u32::try_from(vectors["created"].as_u64().unwrap()).unwrap());
        let key = ContentKey::new(Secret::from_slice(&bytes(&vectors["content key"])).unwrap(), created);
        let content = bytes(&vectors["content"]);
        assert_eq!(content_hash(&content).to_vec(), bytes(&vectors["content hash"]));
        let chunks = vectors["chunks"].as_array().unwrap();
        assert_eq!(chunks.len(), chunk_count(content.len() as u32) as usize);
        for (index, (chunk, part)) in (0..).zip(chunks.iter().zip(content.chunks(CHUNK_CAPACITY))) {
            let sealed = key.seal(index, part);
            assert_eq!(sealed.bundle.header().tag.0.to_vec(), bytes(&chunk["tag"]));
            assert_eq!(sealed.ack.expose().to_vec(), bytes(&chunk["ack secret"]));
            assert_eq!(sealed.bundle.bytes()[..BUNDLE_HEADER_LEN], bytes(&chunk["header"]));
            assert_eq!(sealed.bundle.bytes()[MAX_BUNDLE_LEN - AUTHENTICATOR_LEN..], bytes(&chunk["authenticator"]));
            assert_eq!(sealed.bundle.id().0.to_vec(), bytes(&chunk["bundle id"]));
        }
    }
}
