//! Sending a message once more, and taking one back that has not left this device.
//!
//! ```text
//!   queued ──cancel──▶ failed, taken back ──retry──▶ queued
//!                      expired ─────────────retry──▶ queued
//! ```
//!
//! A message has *left* once its bundle, or a contact request with its text, was handed to a link. That is noted in the transaction after
//! which the first byte may go: for the bundles of a pair as one number, below which all count as having left, for requests in the logs of
//! the texts on them. Where that says nothing, as after new keys, a message counts as having left.

use super::{
    Engine, Exchange,
    command::{Outcome, accept},
    riding::MAX_TRIES_FOR_TEXTS,
};
use crate::{
    id::{BundleId, ContactId, MessageId},
    store::{BundleRow, LogEvent, MessageRow, StoreError},
    time::Now,
    view::{CommandError, ContactState, Message, MessageState, Sent},
};

impl Engine {
    /// Has a message that failed or expired sealed and sent once more. Its reader takes the same id once.
    pub(super) fn retry(&mut self, now: Now, id: MessageId) -> Outcome<Sent> {
        let row = accept!(self.own_message(id)?);
        let refusal = match row.state {
            MessageState::Expired | MessageState::Failed => None,
            MessageState::Queued | MessageState::Carried => Some("is on its way"),
            MessageState::Delivered | MessageState::Read => Some("has arrived"),
        };
        if let Some(refusal) = refusal {
            return Ok(Err(CommandError::MessageState(refusal)));
        }
        accept!(self.may_write_to(row.contact));
        self.unseal_data(row.contact, id)?;
        self.change_message(row.contact, true, id, |row| row.send_again(now.wall))?;
        if let Some(pair) = self.pair(row.contact) {
            pair.unsealed = true;
        }
        self.busy_contacts.insert(row.contact);
        Ok(Ok(Sent { id, state: MessageState::Queued }))
    }

    /// Takes a message back that has not left this device: it has failed then, and says why. Its number stays unused.
    pub(super) fn cancel(&mut self, now: Now, id: MessageId) -> Outcome<Message> {
        let row = accept!(self.own_message(id)?);
        accept!(self.may_take_back(&row));
        if let Some(number) = row.number {
            self.give_number_up(row.contact, number)?;
        }
        self.unseal_data(row.contact, id)?;
        let mut taken_back = row;
        taken_back.take_back(now.wall);
        self.change_message(taken_back.contact, true, id, |row| *row = taken_back.clone())?;
        self.renew_requests_with(now, taken_back.contact, id)?;
        Ok(Ok(self.view_message(now, &taken_back)?))
    }

    /// Whether something may be written to a contact.
    pub(super) fn may_write_to(&self, contact: ContactId) -> Result<(), CommandError> {
        match self.contacts.get(&contact).map(|contact| contact.row.state) {
            Some(ContactState::Established | ContactState::Pending | ContactState::Invited) => Ok(()),
            Some(ContactState::Blocked) => Err(CommandError::ContactState("blocked")),
            Some(ContactState::Failed) | None => Err(CommandError::ContactState("not a contact: its link failed")),
        }
    }

    /// Finds a message that was written here.
    fn own_message(&mut self, id: MessageId) -> Outcome<MessageRow> {
        self.flush_messages()?;
        let rows = self.store.find_messages_by_id(id)?;
        let came = !rows.is_empty();
        let own = rows.into_iter().find(|row| row.outgoing);
        Ok(own.ok_or(if came { CommandError::MessageState("came here and was not written here") } else { CommandError::UnknownMessage }))
    }

    fn may_take_back(&self, row: &MessageRow) -> Result<(), CommandError> {
        let refusal = match row.state {
            MessageState::Queued if self.is_frozen(row.contact) => "may have left before this profile was restored",
            MessageState::Queued if self.may_have_left(row) => "may have left this device",
            MessageState::Queued if self.has_spent_tries(row) => "is part of a contact request that can't be made anew",
            MessageState::Queued => return Ok(()),
            MessageState::Carried => "has left this device",
            MessageState::Delivered | MessageState::Read => "has arrived",
            MessageState::Expired | MessageState::Failed => "waits no longer",
        };
        Err(CommandError::MessageState(refusal))
    }

    /// Whether a byte of what was sealed for a message may have been put on a link, or is about to be: what a peer has picked, it is owed.
    fn may_have_left(&self, row: &MessageRow) -> bool {
        let pair = self.contacts.get(&row.contact).and_then(|contact| contact.pair.as_ref());
        let sealed = match row.number {
            Some(number) => {
                let bundle = self.open_bundle_of(row);
                pair.is_none_or(|pair| number < pair.left_below) || bundle.is_none_or(|bundle| self.is_out_of_hand(&bundle))
            }
            // It was sealed, and given up since.
            None => row.sealed > 0,
        };
        let handed = row.handed_contacts > 0 || row.handed_strangers > 0;
        sealed
            || handed
            || self.may_chunk_have_left(row.contact, row.id)
            || row.log.may_have_left()
            || self.requests_with(row).any(|bundle| self.is_out_of_hand(&bundle))
    }

    /// Whether a bundle is not held any more, or promised to a peer.
    fn is_out_of_hand(&self, bundle: &BundleId) -> bool {
        self.holdings.row(bundle).is_none() || self.links.values().any(|link| link.owed.contains(bundle))
    }

    /// The tries of a contact request that have a message's text with them.
    fn requests_with(&self, row: &MessageRow) -> impl Iterator<Item = BundleId> {
        let tries = match self.contacts.get(&row.contact).and_then(|contact| contact.exchange.as_ref()) {
            Some(Exchange::Requested { tries, .. }) => tries.as_slice(),
            Some(Exchange::Issued { .. }) | None => &[],
        };
        let id = row.id;
        tries.iter().filter(move |sealed| sealed.riders.contains(&id)).map(|sealed| sealed.bundle)
    }

    /// Whether too few tries of the request are left for one to be made anew without this message.
    fn has_spent_tries(&self, row: &MessageRow) -> bool {
        let tries = match self.contacts.get(&row.contact).and_then(|contact| contact.exchange.as_ref()) {
            Some(Exchange::Requested { tries, .. }) => tries.len(),
            Some(Exchange::Issued { .. }) | None => 0,
        };
        tries > MAX_TRIES_FOR_TEXTS && self.requests_with(row).next().is_some()
    }

    /// Gives up a number that no one has seen, and deletes its bundle.
    fn give_number_up(&mut self, contact: ContactId, number: u32) -> Result<(), StoreError> {
        let Some(pair) = self.pair(contact) else { return Ok(()) };
        let Some(open) = pair.give_up(number) else { return Ok(()) };
        pair.dirty = true;
        self.store.delete_outbox(contact, number)?;
        self.discard_bundle(&open.bundle).map(drop)
    }

    /// Deletes the tries that have a message's text with them, and seals another without it.
    fn renew_requests_with(&mut self, now: Now, contact: ContactId, id: MessageId) -> Result<(), StoreError> {
        let Some(Exchange::Requested { tries, .. }) = self.contacts.get_mut(&contact).and_then(|contact| contact.exchange.as_mut()) else {
            return Ok(());
        };
        let with_it = tries.iter_mut().filter(|sealed| sealed.riders.contains(&id));
        let bundles: Vec<BundleId> = with_it
            .map(|sealed| {
                // The others ride on the next one.
                sealed.riders.clear();
                sealed.bundle
            })
            .collect();
        for bundle in &bundles {
            self.discard_bundle(bundle)?;
        }
        if bundles.is_empty() { Ok(()) } else { self.seal_request(now, contact) }
    }

    /// A bundle sealed here for this contact is handed to a link in this batch.
    pub(super) fn note_left(&mut self, now: Now, contact: ContactId, bundle: &BundleId) -> Result<(), StoreError> {
        if let Some(pair) = self.pair(contact)
            && let Some(number) = pair.by_bundle.get(bundle)
        {
            let below = number.saturating_add(1);
            pair.dirty |= below > pair.left_below;
            pair.left_below = pair.left_below.max(below);
            return Ok(());
        }
        if self.note_chunk_left(bundle)? {
            return Ok(());
        }
        for message in self.riders_of(contact, bundle) {
            self.change_message(contact, true, message, |row| {
                if !row.log.may_have_left() {
                    row.log.push(now.wall, LogEvent::LeftWithRequest);
                }
            })?;
        }
        Ok(())
    }

    /// Deletes a bundle that is of no use any more, here and where it waits to be shown; returns what it was, if it was held.
    pub(super) fn discard_bundle(&mut self, id: &BundleId) -> Result<Option<BundleRow>, StoreError> {
        let row = self.holdings.remove(self.store.as_mut(), id, None)?;
        if let Some(row) = &row {
            for link in self.links.values_mut() {
                link.set.remove(row.created, id);
            }
            self.releases.retain(|(_, other)| other != id);
            self.without_stem.remove(id);
        }
        if self.acks.remove(id).is_some() {
            self.store.delete_ack(id)?;
        }
        Ok(row)
    }
}
