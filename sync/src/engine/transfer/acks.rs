//! What was read: an ack secret proves it, carriers let the bundle go, and whoever may learn of it is told once (docs/protocol.md, section 6).
//!
//! An ack for an own bundle is a receipt too, whoever brings it. Whether a peer may be told is `routing`'s to say; here it is told.

use hedgerow_transports::LinkId;

use super::super::{Engine, config::MAX_ACKED_AT_ONCE, holdings::is_between, pair::Contact, routing::Scope};
use crate::{
    crypto::bundle_seal::commitment,
    id::{BundleId, ShortId},
    store::{Cursor, GoneReason, Origin, StoreError},
    time::{Hour, Now},
    wire::record::{MAX_RECORD_IDS, Record},
};

impl Engine {
    pub(in super::super) fn handle_acks(&mut self, now: Now, link: LinkId, secrets: &[[u8; 16]]) -> Result<(), StoreError> {
        for secret in secrets {
            // A secret that fits nothing held or dropped is ignored and never passed on.
            let mut learnt = Vec::new();
            for id in self.holdings.with_commitment(&commitment(secret), MAX_ACKED_AT_ONCE) {
                learnt.extend(self.let_go(now, &id, *secret)?);
            }
            self.tell_ack(*secret, &learnt, Some(link));
        }
        Ok(())
    }

    /// Notes that a bundle was read, and tells everybody.
    pub(in super::super) fn learn_ack(&mut self, now: Now, id: &BundleId, secret: [u8; 16]) -> Result<(), StoreError> {
        let learnt = self.let_go(now, id, secret)?;
        self.tell_ack(secret, learnt.as_slice(), None);
        Ok(())
    }

    /// Lets a bundle go because it was read; its id stays, with the secret that proves it. Returns whose it was if that is news.
    fn let_go(&mut self, now: Now, id: &BundleId, secret: [u8; 16]) -> Result<Option<Origin>, StoreError> {
        let hour = self.hour(now);
        let Some(origin) = self.holdings.origin_of(id) else { return Ok(None) };
        let removed = self.holdings.remove(self.store.as_mut(), id, Some((GoneReason::Acknowledged, secret, hour)))?;
        let learnt = removed.is_some() || self.holdings.acknowledge_dropped(self.store.as_mut(), id, secret, hour)?;
        if self.acks.remove(id).is_some() {
            self.store.delete_ack(id)?;
        }
        if !learnt {
            return Ok(None);
        }
        self.doubt_cursors(hour)?;
        if let Some(row) = &removed {
            for link in self.links.values_mut().filter(|link| matches!(link.scope, Scope::Between(_))) {
                link.set.remove(row.created, id);
            }
        }
        if let Origin::Own(contact) = origin {
            self.note_reply_read(contact, id);
        }
        // Only its reader could have told: that is a receipt, whoever brings it.
        if let Origin::Own(contact) = origin
            && let Some(number) = self.pair(contact).and_then(|pair| pair.by_bundle.get(id).copied())
        {
            self.close_delivered(now, contact, number)?;
        }
        Ok(Some(origin))
    }

    /// A clock that was set back, or is unknown, dates what was read before meetings that came earlier, and whoever was met there would not be told
    /// by its date. Their cursors are forgotten, so that the next session compares, and finds it.
    fn doubt_cursors(&mut self, hour: Hour) -> Result<(), StoreError> {
        let met_later = |contact: &Contact| contact.row.last_seen.is_some_and(|seen| seen.hour() > hour);
        for contact in self.contacts.iter().filter(|(_, contact)| met_later(contact)).map(|(id, _)| *id) {
            if self.store.load_cursor(contact)? != Cursor::default() {
                self.store.save_cursor(contact, Cursor::default())?;
            }
        }
        Ok(())
    }

    /// Tells a secret once to everybody who may learn that bundles of these origins were read.
    fn tell_ack(&mut self, secret: [u8; 16], origins: &[Origin], from: Option<LinkId>) {
        for (other, link) in &mut self.links {
            let told = match link.scope {
                Scope::Everything => !origins.is_empty(),
                Scope::Between(contact) => origins.iter().any(|origin| is_between(*origin, contact)),
                Scope::Nothing => false,
            };
            if told && link.live && link.is_open() && Some(*other) != from {
                link.acks.push(secret);
                self.busy_links.insert(*other);
            }
        }
    }

    /// Divides ids that a peer has named into those known to be acknowledged, with their secrets, and the rest.
    pub(super) fn split_acknowledged(&mut self, now: Now, link: LinkId, shorts: Vec<ShortId>) -> (Vec<[u8; 16]>, Vec<ShortId>) {
        let hour = self.hour(now);
        if shorts.is_empty() {
            return (Vec::new(), shorts);
        }
        let named = self.named(link, &shorts);
        let (mut acks, mut rest) = (Vec::new(), Vec::new());
        for (short, id) in shorts.into_iter().zip(named) {
            match id.and_then(|id| self.ack_for(link, hour, &id)) {
                Some(ack) => acks.push(ack),
                // Own bundles that are held back are in no set: they are not asked for where they were offered.
                None if id.is_some_and(|id| self.holdings.row(&id).is_some() && !self.is_hidden_from(link, &id)) => {}
                None => rest.push(short),
            }
        }
        (acks, rest)
    }

    /// Sends the ack secrets that a peer is to be told.
    pub(super) fn flush_acks(&mut self, link: LinkId) {
        let acks = self.links.get_mut(&link).map(|state| std::mem::take(&mut state.acks)).unwrap_or_default();
        for secrets in acks.chunks(MAX_RECORD_IDS) {
            self.transmit(link, &Record::Ack(secrets.to_vec()));
        }
    }
}
