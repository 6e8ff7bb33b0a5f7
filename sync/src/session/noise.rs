//! The handshake, with randomness, Diffie–Hellman and cipher of our own under `snow`.
//!
//! `snow` never sees a random source: its resolver hands it the one ephemeral key that was drawn when the session was made. The
//! Diffie–Hellman function is ours too, so that the key is wiped and points of low order are refused (docs/protocol.md, section 1). The
//! cipher is that of bundles: its keys are wiped, and it seals and opens from one buffer into the other.

use chacha20poly1305::{
    ChaCha20Poly1305, KeyInit,
    aead::{AeadInOut, Nonce, inout::InOutBuf},
};
use snow::{
    Builder, Error, HandshakeState,
    params::{CipherChoice, DHChoice, HashChoice},
    resolvers::{CryptoResolver, DefaultResolver},
    types::{Cipher, Dh, Hash, Random},
};
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use super::Role;
use crate::crypto::{
    kdf::{AUTHENTICATOR_LEN, dh, label},
    secret::Secret,
};

/// The Noise protocol of all sessions (docs/protocol.md, section 3).
pub(super) const NOISE: &str = "Noise_NN_25519_ChaChaPoly_BLAKE2s";

/// Prepares the handshake of a session; `ephemeral` is this side's private key.
pub(super) fn handshake(role: Role, ephemeral: Secret<32>) -> HandshakeState {
    #[expect(clippy::expect_used, reason = "the name is a constant, and tests parse it")]
    let params = NOISE.parse().expect("a Noise protocol that snow knows");
    let builder = Builder::with_resolver(params, Box::new(Resolver { ephemeral })).prologue(label::SESSION);
    let state = builder.and_then(|builder| match role {
        Role::Initiator => builder.build_initiator(),
        Role::Responder => builder.build_responder(),
    });
    #[expect(clippy::expect_used, reason = "NN needs no key beforehand, and the resolver knows every primitive of the name")]
    state.expect("nothing is missing")
}

/// The two keys of a finished handshake: the initiator's direction, the responder's.
pub(super) fn split(handshake: &mut HandshakeState) -> (Secret<32>, Secret<32>) {
    let keys = Zeroizing::new(handshake.dangerously_get_raw_split());
    (Secret::new(keys.0), Secret::new(keys.1))
}

/// Gives `snow` its primitives.
struct Resolver {
    ephemeral: Secret<32>,
}

impl CryptoResolver for Resolver {
    fn resolve_rng(&self) -> Option<Box<dyn Random>> {
        Some(Box::new(HandedIn(Some(self.ephemeral.duplicate()))))
    }

    fn resolve_dh(&self, choice: &DHChoice) -> Option<Box<dyn Dh>> {
        matches!(choice, DHChoice::Curve25519).then(|| Box::new(KeyPair::unset()) as Box<dyn Dh>)
    }

    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn Hash>> {
        DefaultResolver.resolve_hash(choice)
    }

    fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn Cipher>> {
        matches!(choice, CipherChoice::ChaChaPoly).then(|| Box::new(ChaChaPoly::unset()) as Box<dyn Cipher>)
    }
}

/// Yields the bytes handed in, once; a handshake of pattern NN draws one ephemeral key and nothing else.
struct HandedIn(Option<Secret<32>>);

impl Random for HandedIn {
    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), Error> {
        let bytes = self.0.take().ok_or(Error::Rng)?;
        if dest.len() != bytes.expose().len() {
            return Err(Error::Rng);
        }
        dest.copy_from_slice(bytes.expose());
        Ok(())
    }
}

/// An X25519 key pair in the form that `snow` wants.
struct KeyPair {
    private: StaticSecret,
    public: PublicKey,
}

impl KeyPair {
    /// What is there until a key is set or generated: `snow` makes two for each handshake and uses one. Its public key isn't computed.
    fn unset() -> Self {
        Self { private: StaticSecret::from([0; 32]), public: PublicKey::from([0; 32]) }
    }

    fn new(private: StaticSecret) -> Self {
        Self { public: PublicKey::from(&private), private }
    }
}

impl Dh for KeyPair {
    fn name(&self) -> &'static str {
        "25519"
    }

    fn pub_len(&self) -> usize {
        32
    }

    fn priv_len(&self) -> usize {
        32
    }

    /// Called for static keys only, of which this pattern has none; a key of another length is left out.
    fn set(&mut self, privkey: &[u8]) {
        if let Some(bytes) = Secret::<32>::from_slice(privkey) {
            *self = Self::new(StaticSecret::from(*bytes.expose()));
        }
    }

    fn generate(&mut self, rng: &mut dyn Random) -> Result<(), Error> {
        let mut bytes = Zeroizing::new([0; 32]);
        rng.try_fill_bytes(bytes.as_mut_slice())?;
        *self = Self::new(StaticSecret::from(*bytes));
        Ok(())
    }

    fn pubkey(&self) -> &[u8] {
        self.public.as_bytes()
    }

    fn privkey(&self) -> &[u8] {
        self.private.as_bytes()
    }

    /// Both slices may be longer than a key: `snow` has room for longer curves in them.
    fn dh(&self, pubkey: &[u8], out: &mut [u8]) -> Result<(), Error> {
        let public = pubkey.first_chunk().ok_or(Error::Dh)?;
        let shared = dh(&self.private, public).ok_or(Error::Dh)?;
        out.first_chunk_mut().ok_or(Error::Dh).map(|out: &mut [u8; 32]| *out = *shared.expose())
    }
}

/// ChaCha20-Poly1305 in the form that `snow` wants.
struct ChaChaPoly(ChaCha20Poly1305);

impl ChaChaPoly {
    /// What is there until a key is set; `snow` refuses to seal or open before.
    fn unset() -> Self {
        Self(ChaCha20Poly1305::new(&[0; 32].into()))
    }

    /// Four zero bytes, then the counter, little endian (Noise, section 12.3).
    fn nonce(counter: u64) -> Nonce<ChaCha20Poly1305> {
        let mut nonce = Nonce::<ChaCha20Poly1305>::default();
        nonce[4..].copy_from_slice(&counter.to_le_bytes());
        nonce
    }
}

impl Cipher for ChaChaPoly {
    fn name(&self) -> &'static str {
        "ChaChaPoly"
    }

    fn set(&mut self, key: &[u8; 32]) {
        self.0 = ChaCha20Poly1305::new(key.into());
    }

    /// `snow` has seen to it that `out` has room for the message and its authenticator.
    #[expect(clippy::expect_used, reason = "a message of a session is at most 65,535 bytes")]
    fn encrypt(&self, counter: u64, associated: &[u8], plaintext: &[u8], out: &mut [u8]) -> usize {
        let (sealed, rest) = out.split_at_mut(plaintext.len());
        let buffer = InOutBuf::new(plaintext, sealed).expect("as long as each other");
        let tag = self.0.encrypt_inout_detached(&Self::nonce(counter), associated, buffer).expect("shorter than 256 GiB");
        rest[..AUTHENTICATOR_LEN].copy_from_slice(&tag);
        plaintext.len() + AUTHENTICATOR_LEN
    }

    fn decrypt(&self, counter: u64, associated: &[u8], ciphertext: &[u8], out: &mut [u8]) -> Result<usize, Error> {
        let (sealed, tag) = ciphertext.split_last_chunk::<AUTHENTICATOR_LEN>().ok_or(Error::Decrypt)?;
        let opened = out.get_mut(..sealed.len()).ok_or(Error::Decrypt)?;
        let buffer = InOutBuf::new(sealed, opened).map_err(|_| Error::Decrypt)?;
        self.0.decrypt_inout_detached(&Self::nonce(counter), associated, buffer, tag.into()).map_err(|_| Error::Decrypt)?;
        Ok(sealed.len())
    }
}
