//! The outer form that every bundle has: sealed header, sealed body, ack secret and commitment (docs/protocol.md, section 5.1).

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::{
    kdf::{AUTHENTICATOR_LEN, hash, hkdf, label, open_once, seal_once},
    secret::Secret,
};
use crate::{
    id::{Commitment, Tag},
    time::Hour,
    wire::bundle::{BODY_OFFSET, BUNDLE_HEADER_LEN, Bundle, BundleHeader, Class, Lifetime, SEALED_HEADER_LEN, body_capacity, size_for},
};

/// Length of the header plaintext, bytes; its last [`RANDOM_LEN`] are random.
pub const HEADER_PLAINTEXT_LEN: usize = 72;
/// Length of the random end of the header plaintext, bytes.
pub const RANDOM_LEN: usize = 16;
/// Length of what a caller puts into a header, bytes.
pub const HEADER_FIELDS_LEN: usize = HEADER_PLAINTEXT_LEN - RANDOM_LEN;

/// The keys of one bundle; used once, on either side.
#[derive(Debug)]
pub struct BundleKeys {
    /// Its destination tag.
    pub tag: Tag,
    /// Seals the header.
    pub header: Secret<32>,
    /// Seals the body, after the header's random bytes have been mixed in.
    pub message: Secret<32>,
}

/// What a carrier sees, as its sender chooses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// How urgent it is.
    pub class: Class,
    /// How long it may live.
    pub lifetime: Lifetime,
    /// When it is sealed.
    pub created: Hour,
}

/// The secret whose hash the bundle carries; telling it lets carriers drop the bundle.
pub type AckSecret = Secret<16>;

/// The commitment to an ack secret.
pub fn commitment(ack: &[u8; 16]) -> Commitment {
    let mut out = [0; 16];
    out.copy_from_slice(&hash(&[label::COMMIT, ack])[..16]);
    Commitment(out)
}

/// A sealed bundle and the secret that its reader will be able to tell.
#[derive(Debug)]
pub struct Sealed {
    /// The bundle.
    pub bundle: Bundle,
    /// Its ack secret.
    pub ack: AckSecret,
}

/// The body does not fit the largest bundle: its length in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a body of {0} bytes does not fit a bundle")]
pub struct TooLong(pub usize);

/// Seals `fields` and `body` (filled up with zeros) into the smallest bundle of at least `min_size` bytes that holds them.
///
/// # Errors
///
/// [`TooLong`] if the body does not fit the largest bundle.
pub fn seal_bundle(
    keys: &BundleKeys,
    envelope: Envelope,
    fields: &[u8; HEADER_FIELDS_LEN],
    body: &[u8],
    min_size: usize,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<Sealed, TooLong> {
    let size = size_for(body.len()).ok_or(TooLong(body.len()))?.max(min_size);
    let mut random = [0; RANDOM_LEN];
    rng.fill_bytes(&mut random);
    let ack = ack_secret(&keys.message, &random);
    let header = BundleHeader {
        class: envelope.class,
        lifetime: envelope.lifetime,
        created: envelope.created,
        tag: keys.tag,
        commitment: commitment(ack.expose()),
    };

    let mut bytes = Vec::with_capacity(size);
    bytes.extend_from_slice(&header.encode());
    bytes.extend_from_slice(fields);
    bytes.extend_from_slice(&random);
    let (associated, plaintext) = bytes.split_at_mut(BUNDLE_HEADER_LEN);
    let authenticator = seal_once(&keys.header, associated, plaintext);
    bytes.extend_from_slice(&authenticator);

    let body_start = bytes.len();
    bytes.extend_from_slice(body);
    bytes.resize(body_start + body_capacity(size), 0);
    let (associated, plaintext) = bytes.split_at_mut(body_start);
    let authenticator = seal_once(&body_key(&keys.message, &random), associated, plaintext);
    bytes.extend_from_slice(&authenticator);

    #[expect(clippy::expect_used, reason = "the layout above is the decoder's")]
    let bundle = Bundle::decode(bytes).expect("a sealed bundle is well-formed");
    Ok(Sealed { bundle, ack })
}

/// Opens the header of `bundle`; `None` if it does not verify under this key.
pub fn open_header(key: &Secret<32>, bundle: &Bundle) -> Option<Zeroizing<[u8; HEADER_PLAINTEXT_LEN]>> {
    let (associated, rest) = bundle.bytes().split_at_checked(BUNDLE_HEADER_LEN)?;
    let (sealed, _) = rest.split_first_chunk::<SEALED_HEADER_LEN>()?;
    let (ciphertext, authenticator) = sealed.split_first_chunk::<HEADER_PLAINTEXT_LEN>()?;
    let mut plaintext = Zeroizing::new(*ciphertext);
    open_once(key, associated, plaintext.as_mut_slice(), authenticator.try_into().ok()?).then_some(plaintext)
}

/// What opening a body yields. Not to be printed: it holds the plaintext.
pub struct OpenedBody {
    /// The body, filled up with zeros by its sender.
    pub plaintext: Zeroizing<Vec<u8>>,
    /// The secret to tell once the plaintext is durable.
    pub ack: AckSecret,
}

/// Opens the body of `bundle`, whose header opened to `header`; `None` if it does not verify or its ack commitment is a lie.
pub fn open_body(message_key: &Secret<32>, header: &[u8; HEADER_PLAINTEXT_LEN], bundle: &Bundle) -> Option<OpenedBody> {
    let random = header.last_chunk::<RANDOM_LEN>()?;
    let (associated, sealed) = bundle.bytes().split_at_checked(BODY_OFFSET)?;
    let (ciphertext, authenticator) = sealed.split_last_chunk::<AUTHENTICATOR_LEN>()?;
    let mut plaintext = Zeroizing::new(ciphertext.to_vec());
    if !open_once(&body_key(message_key, random), associated, &mut plaintext, authenticator) {
        return None;
    }
    let ack = ack_secret(message_key, random);
    (commitment(ack.expose()) == bundle.header().commitment).then_some(OpenedBody { plaintext, ack })
}

fn body_key(message_key: &Secret<32>, random: &[u8; RANDOM_LEN]) -> Secret<32> {
    hkdf(random, message_key.expose(), &[label::BODY])
}

fn ack_secret(message_key: &Secret<32>, random: &[u8; RANDOM_LEN]) -> AckSecret {
    hkdf(random, message_key.expose(), &[label::ACK])
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::*;

    fn keys() -> BundleKeys {
        BundleKeys { tag: Tag([1; 16]), header: Secret::new([2; 32]), message: Secret::new([3; 32]) }
    }

    fn sealed(body: &[u8]) -> Sealed {
        let envelope = Envelope { class: Class::Normal, lifetime: Lifetime::Week, created: Hour(490_000) };
        seal_bundle(&keys(), envelope, &[5; HEADER_FIELDS_LEN], body, 512, &mut ChaCha20Rng::seed_from_u64(1)).unwrap()
    }

    #[test]
    fn open_inverts_seal() {
        for (length, size) in [(0, 512), (360, 512), (361, 1024), (3944, 4096)] {
            let sealed = sealed(&vec![7; length]);
            assert_eq!(sealed.bundle.bytes().len(), size);
            let header = open_header(&keys().header, &sealed.bundle).unwrap();
            assert_eq!(header[..HEADER_FIELDS_LEN], [5; HEADER_FIELDS_LEN]);
            let opened = open_body(&keys().message, &header, &sealed.bundle).unwrap();
            assert_eq!(opened.plaintext[..length], vec![7; length]);
            assert!(opened.plaintext[length..].iter().all(|&byte| byte == 0));
            assert!(opened.ack.matches(sealed.ack.expose()));
        }
    }

    #[test]
    fn a_bundle_rewrapped_in_any_byte_does_not_open() {
        let bundle = sealed(b"text").bundle;
        let header = open_header(&keys().header, &bundle).unwrap();
        for offset in 0..bundle.bytes().len() {
            let mut bytes = bundle.bytes().to_vec();
            bytes[offset] ^= 1;
            let Ok(changed) = Bundle::decode(bytes) else { continue };
            let header_holds = open_header(&keys().header, &changed).is_some();
            assert_eq!(header_holds, offset >= BODY_OFFSET, "offset {offset}");
            assert!(open_body(&keys().message, &header, &changed).is_none(), "offset {offset}");
        }
    }
}
