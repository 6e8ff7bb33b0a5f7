//! What time alone brings about: expiry, retries, questions for what is missing.

use super::Engine;
use crate::{
    id::{BundleId, ContactId, MessageId},
    store::{LogEvent, Origin, StoreError},
    time::{Hour, Now},
    view::MessageState,
};

impl Engine {
    /// One round of housekeeping. Nothing is destroyed while the clock is unknown, nor by more than settled time.
    pub(super) fn keep_house(&mut self, now: Now) -> Result<(), StoreError> {
        let hour = self.hour(now);
        self.holdings.note_running(self.clock.running_hours());
        if hour == Hour::UNKNOWN {
            // Nothing is forgotten by this; strangers are told less.
            self.holdings.prune_gone(self.store.as_mut(), hour, false)?;
        } else {
            self.holdings.stamp_stored(self.store.as_mut(), hour)?;
            self.holdings.stamp_gone(self.store.as_mut(), hour)?;
        }
        if let Some(hour) = self.clock.settled(now) {
            self.expire_bundles(now, hour)?;
            self.expire_incoming_data(now, hour)?;
            self.expire_exchanges(now, hour)?;
            self.forget_used_links(hour);
            let strangers_have_room = self.strangers_have_room();
            self.holdings.prune_gone(self.store.as_mut(), hour, strangers_have_room)?;
            self.renew_copies(hour)?;
        }
        self.shrink_to_settings(now)?;
        self.open_withheld(now)?;
        self.retry_requests(now)?;
        self.refresh_repairs(now)?;
        self.note_in_reach(now);
        self.busy_contacts.extend(self.contacts.keys().copied().collect::<Vec<ContactId>>());
        Ok(())
    }

    fn expire_bundles(&mut self, now: Now, hour: Hour) -> Result<(), StoreError> {
        for (id, origin, tag) in self.holdings.expired(hour) {
            self.discard_bundle(&id)?;
            if let Origin::Own(_) = origin
                && let Some((contact, message)) = self.large.message_of(&tag)
            {
                self.expire_message(now, contact, message)?;
            }
            if let Origin::Own(contact) = origin {
                self.expire_own(now, contact, &id)?;
            }
        }
        Ok(())
    }

    /// A bundle of ours ran out without a receipt: its number is given up and its message says so.
    fn expire_own(&mut self, now: Now, contact: ContactId, bundle: &BundleId) -> Result<(), StoreError> {
        let Some(pair) = self.pair(contact) else { return Ok(()) };
        let Some(number) = pair.by_bundle.get(bundle).copied() else { return Ok(()) };
        let Some(row) = pair.give_up(number) else { return Ok(()) };
        pair.dirty = true;
        self.repeat_complete(contact, number);
        self.store.delete_outbox(contact, number)?;
        match row.message {
            Some(message) => self.expire_message(now, contact, message),
            None => Ok(()),
        }
    }

    /// A message's time ran out without a receipt.
    pub(super) fn expire_message(&mut self, now: Now, contact: ContactId, message: MessageId) -> Result<(), StoreError> {
        self.change_message(contact, true, message, |row| {
            if row.state < MessageState::Delivered {
                row.state = MessageState::Expired;
                row.log.push(now.wall, LogEvent::Expired);
            }
        })
    }
}
