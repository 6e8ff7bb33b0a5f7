//! What only simulations need (feature `sim`): contacts without an exchange, for people who knew each other before, and a look at the room.

use x25519_dalek::{PublicKey, StaticSecret};

use super::Engine;
use crate::{
    crypto::{
        identity::{Card, Name},
        kdf::hash,
        pair_keys::{PairKeys, PairRole},
        secret::Secret,
    },
    id::ContactId,
    store::StoreError,
    time::Now,
    view::ContactState,
};

/// What bundles of others take.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Room {
    /// How many.
    pub bundles: usize,
    /// Their bytes.
    pub bytes: u64,
    /// How many were let go for lack of room since the engine was opened.
    pub evicted: u64,
}

impl Engine {
    /// What bundles of others take.
    pub(crate) fn room(&self) -> Room {
        let (bundles, bytes) = self.holdings.pools().size();
        Room { bundles, bytes, evicted: self.holdings.evicted() }
    }

    /// What others are shown of this device.
    pub(crate) const fn card(&self) -> &Card {
        self.profile.device.card()
    }

    /// Makes a contact of the device that this card shows, with keys that both sides derive from `secret`; within a batch. Exactly one side
    /// `issues`. Returns the contact's number here.
    pub(crate) fn befriend(
        &mut self,
        now: Now,
        card: &Card,
        name: &Name,
        secret: &[u8; 32],
        issues: bool,
    ) -> Result<ContactId, StoreError> {
        let contact = self.add_contact_row(now, None, ContactState::Pending, None)?;
        self.establish(now, contact, keys(secret, issues), card, name)?;
        Ok(contact)
    }
}

/// The outcome of an exchange whose secrets are hashes of one secret.
fn keys(secret: &[u8; 32], issues: bool) -> PairKeys {
    let part = |label: &[u8]| Secret::new(hash(&[secret, label]));
    let ratchets = [part(b"issuer's ratchet"), part(b"invitee's ratchet")].map(|key| StaticSecret::from(*key.expose()));
    let [own, other] = if issues { [0, 1] } else { [1, 0] };
    PairKeys {
        role: if issues { PairRole::Issuer } else { PairRole::Invitee },
        root: part(b"root"),
        issuer_header: part(b"issuer's header"),
        invitee_header: part(b"invitee's header"),
        pair_secret: part(b"pair"),
        own_ratchet: Secret::new(ratchets[own].to_bytes()),
        other_ratchet: PublicKey::from(&ratchets[other]).to_bytes(),
    }
}
