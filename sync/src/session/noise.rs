//! The handshake, with randomness and Diffie–Hellman of our own under `snow`.
//!
//! `snow` never sees a random source: its resolver hands it the one ephemeral key that was drawn when the session was made. The
//! Diffie–Hellman function is ours too, so that the key is wiped and points of low order are refused (docs/protocol.md, section 1).

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
    kdf::{dh, label},
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
        DefaultResolver.resolve_cipher(choice)
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
