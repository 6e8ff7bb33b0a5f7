//! Chains of keys: root step, message step and tag step (docs/protocol.md, section 8.1).

use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use crate::{
    crypto::{
        kdf::{dh, hkdf, label, mac},
        secret::Secret,
    },
    id::Tag,
};

/// Constant of the message step that gives the message key.
const MESSAGE_KEY: &[u8] = &[0x01];
/// Constant of the message step that gives the next chain key.
const CHAIN_KEY: &[u8] = &[0x02];

/// Copies `N` secret bytes out of a longer secret. `START + N` ≤ `T` is checked when this is compiled.
fn part<const START: usize, const N: usize, const T: usize>(whole: &Secret<T>) -> Secret<N> {
    const { assert!(START + N <= T, "the part lies within the whole") };
    let mut out = Zeroizing::new([0; N]);
    out.copy_from_slice(&whole.expose()[START..START + N]);
    Secret::new(*out)
}

/// What a root step gives.
pub(super) struct RootStep {
    /// The next root key.
    pub(super) root: Secret<32>,
    /// First key of a message chain.
    pub(super) chain: Secret<32>,
    /// Header key of the chain after the one that begins, same direction.
    pub(super) next_header: Secret<32>,
}

/// The root step.
pub(super) fn root_step(root: &Secret<32>, shared: &Secret<32>) -> RootStep {
    let derived: Secret<96> = hkdf(root.expose(), shared.expose(), &[label::ROOT]);
    RootStep { root: part::<0, 32, 96>(&derived), chain: part::<32, 32, 96>(&derived), next_header: part::<64, 32, 96>(&derived) }
}

/// The hybrid step of the root (docs/protocol.md, section 8.4).
pub(super) fn mix_into_root(root: &Secret<32>, shared: &Secret<32>) -> Secret<32> {
    hkdf(root.expose(), shared.expose(), &[label::PQ_ROOT])
}

/// A ratchet key pair; the private half is stored as its 32 bytes.
pub(super) struct RatchetKey {
    secret: Secret<32>,
    public: [u8; 32],
}

impl RatchetKey {
    /// Takes over the private half.
    pub(super) fn new(secret: Secret<32>) -> Self {
        let public = PublicKey::from(&StaticSecret::from(*secret.expose())).to_bytes();
        Self { secret, public }
    }

    /// The private half.
    pub(super) const fn secret(&self) -> &Secret<32> {
        &self.secret
    }

    /// The public half.
    pub(super) const fn public(&self) -> &[u8; 32] {
        &self.public
    }

    /// `DH` with the other side's key; `None` if that is of low order.
    pub(super) fn agree(&self, other: &[u8; 32]) -> Option<Secret<32>> {
        dh(&StaticSecret::from(*self.secret.expose()), other)
    }
}

/// Gives the message keys of one chain in order; copies nothing, keeps nothing behind it.
pub(super) struct MessageChain(Secret<32>);

impl MessageChain {
    /// Starts at a chain key.
    pub(super) const fn new(key: Secret<32>) -> Self {
        Self(key)
    }

    /// The chain key it stands at.
    pub(super) const fn key(&self) -> &Secret<32> {
        &self.0
    }

    /// The next message key; the chain moves on.
    pub(super) fn step(&mut self) -> Secret<32> {
        let message = Secret::new(mac(self.0.expose(), &[MESSAGE_KEY]));
        self.0 = Secret::new(mac(self.0.expose(), &[CHAIN_KEY]));
        message
    }

    /// A second chain that stands where this one stands.
    pub(super) fn duplicate(&self) -> Self {
        Self(self.0.duplicate())
    }
}

/// Gives the tags and header keys of one chain in order.
pub(super) struct TagChain(Secret<32>);

impl TagChain {
    /// Starts at the header key of a chain, or at a later key of the tag chain.
    pub(super) const fn new(key: Secret<32>) -> Self {
        Self(key)
    }

    /// The key it stands at.
    pub(super) const fn key(&self) -> &Secret<32> {
        &self.0
    }

    /// The next tag and header key; the chain moves on.
    pub(super) fn step(&mut self) -> (Tag, Secret<32>) {
        let derived = self.derive();
        (tag_of(&derived), part::<16, 32, 80>(&derived))
    }

    /// The next tag alone; the chain moves on.
    pub(super) fn tag(&mut self) -> Tag {
        tag_of(&self.derive())
    }

    /// A second chain that stands where this one stands.
    pub(super) fn duplicate(&self) -> Self {
        Self(self.0.duplicate())
    }

    /// Goes `steps` on from here, to the keys of a bundle with `tag`; `None` if that place has another tag.
    pub(super) fn reach(&self, steps: u32, tag: Tag) -> Option<Reached> {
        let mut after = self.duplicate();
        let passed = (0..steps).map(|_| after.step()).collect();
        let (found, header) = after.step();
        (found == tag).then_some(Reached { passed, header, after })
    }

    fn derive(&mut self) -> Secret<80> {
        let derived: Secret<80> = hkdf(b"", self.0.expose(), &[label::TAG]);
        self.0 = part::<48, 32, 80>(&derived);
        derived
    }
}

fn tag_of(derived: &Secret<80>) -> Tag {
    let mut tag = [0; 16];
    tag.copy_from_slice(&derived.expose()[..16]);
    Tag(tag)
}

/// How far a tag chain has to go for one bundle. Nothing of it is kept unless that bundle verifies.
pub(super) struct Reached {
    /// Tags and header keys of the places passed over.
    pub(super) passed: Vec<(Tag, Secret<32>)>,
    /// Header key of the bundle.
    pub(super) header: Secret<32>,
    /// The chain behind the bundle's place.
    pub(super) after: TagChain,
}
