//! The reader's side: a manifest opens, chunks come in any order and from any hand, and their writer is told when all are there.
//!
//! A chunk that opens is stored, and its tag spent, in one transaction; the bundle itself goes on being carried like any other. One that
//! does not is a stranger's bundle like any other, and spends nothing (protocol review, C3).

use std::collections::BTreeSet;

use zeroize::Zeroizing;

use super::{
    super::{
        Changed, Engine, Expected,
        config::{MAX_EXPECTED_CHUNKS, MAX_OPEN_DATA},
    },
    Slot, bytes_of, content_key,
};
use crate::{
    crypto::chunk::{CHUNK_LIFETIME, ContentKey, chunk_count, chunk_len, content_hash},
    id::{BundleId, ContactId, MessageId, Tag},
    store::{DataRow, DataState, MessageLog, MessageRow, StoreError},
    time::{Hour, Now},
    view::MessageState,
    wire::{
        bundle::Bundle,
        item::{MAX_DATA_LEN, Manifest},
    },
};

/// How often an interface hears how far a message has come.
const PROGRESS_STEPS: u64 = 10;

/// A large message of which parts are missing.
pub(super) struct Incoming {
    pub(super) contact: ContactId,
    id: MessageId,
    length: u32,
    key: ContentKey,
    missing: BTreeSet<u32>,
}

impl Incoming {
    /// The tags of the chunks that are missing, with their indexes.
    pub(super) fn tags(&self) -> impl Iterator<Item = (Tag, u32)> {
        self.missing.iter().map(|index| (self.key.tag(*index), *index))
    }

    /// How many bytes are here; about, while the last chunk is and others are not.
    pub(super) fn received(&self) -> u32 {
        bytes_of(chunk_count(self.length).saturating_sub(self.missing.len() as u32), self.length)
    }

    fn step(&self) -> u64 {
        u64::from(self.received()) * PROGRESS_STEPS / u64::from(self.length.max(1))
    }
}

impl Engine {
    /// A contact announces a large message.
    pub(in super::super) fn take_manifest(
        &mut self,
        now: Now,
        contact: ContactId,
        number: Option<u32>,
        manifest: &Manifest,
    ) -> Result<(), StoreError> {
        if let Some(row) = self.store.find_data(contact, false, manifest.id)? {
            return self.take_manifest_again(now, contact, manifest, row);
        }
        // Longer ones may be for programs to come; one that hides a text is nobody's.
        if manifest.length as usize > MAX_DATA_LEN || self.open_data_of(contact) >= MAX_OPEN_DATA {
            let text = "a message of this contact is larger than this program takes, or too many are on their way: it will not come";
            self.notice("too_large", text.into(), Some(contact));
            return Ok(());
        }
        let order = self.place_order(contact, manifest.order);
        let row = MessageRow {
            contact,
            outgoing: false,
            id: manifest.id,
            order,
            text: String::new(),
            sent: manifest.sent,
            stored: now.wall,
            state: MessageState::Carried,
            urgent: false,
            number,
            expires: Some(expiry(manifest.created)),
            handed_contacts: 0,
            handed_strangers: 0,
            sealed: 0,
            log: MessageLog::default(),
        };
        if !self.store.insert_message(&row)? {
            return Ok(());
        }
        self.store.insert_data(&DataRow {
            contact,
            outgoing: false,
            id: manifest.id,
            length: manifest.length,
            hash: manifest.hash,
            key: Some(manifest.key.clone()),
            created: manifest.created,
            state: DataState::Open,
            number: None,
        })?;
        self.count_mail(contact, manifest.length.into());
        self.changed.insert((contact, false, row.id), Changed { row, saved: true });
        self.large.waiting.insert((contact, manifest.id));
        self.admit_and_open(now, contact)
    }

    /// The same message is announced once more: asked for again, sent once more, or repeated by a faulty program. What was received counts.
    fn take_manifest_again(&mut self, now: Now, contact: ContactId, manifest: &Manifest, row: DataRow) -> Result<(), StoreError> {
        if (row.length, row.hash) != (manifest.length, manifest.hash) {
            return Ok(());
        }
        if matches!(row.state, DataState::Complete | DataState::Told) {
            return self.owe_complete(row);
        }
        if row.key.as_ref() == Some(&manifest.key) && row.created == manifest.created {
            return Ok(());
        }
        self.close_slot(contact, row.id);
        let id = row.id;
        let renewed = DataRow { key: Some(manifest.key.clone()), created: manifest.created, state: DataState::Open, ..row };
        self.store.save_data(&renewed)?;
        self.change_message(contact, false, id, |row| {
            row.state = MessageState::Carried;
            row.expires = Some(expiry(manifest.created));
        })?;
        self.large.waiting.insert((contact, id));
        self.admit_and_open(now, contact)
    }

    /// How many messages of a contact are on their way.
    pub(super) fn open_data_of(&self, contact: ContactId) -> usize {
        let all = (contact, MessageId([0; 16]))..=(contact, MessageId([0xff; 16]));
        self.large.slots.range(all.clone()).count() + self.large.waiting.range(all).count()
    }

    /// Expects the chunks of messages that wait, as far as there is room for their tags. One is always expected.
    pub(super) fn admit_waiting(&mut self, contact: ContactId) -> Result<(), StoreError> {
        let all = (contact, MessageId([0; 16]))..=(contact, MessageId([0xff; 16]));
        let waiting: Vec<MessageId> = self.large.waiting.range(all).map(|(_, id)| *id).collect();
        let mut expected: usize = self.large.slots_of(contact).map(|(_, incoming)| incoming.missing.len()).sum();
        for id in waiting {
            let Some(row) = self.store.find_data(contact, false, id)? else { continue };
            let count = chunk_count(row.length) as usize;
            if expected > 0 && expected + count > MAX_EXPECTED_CHUNKS {
                continue;
            }
            let Some(key) = content_key(&row) else { continue };
            let mut missing: BTreeSet<u32> = (0..chunk_count(row.length)).collect();
            self.store.visit_parts(contact, false, id, &mut |part| {
                missing.remove(&part);
            })?;
            expected += missing.len();
            let slot = self.large.next_slot;
            self.large.next_slot = slot.wrapping_add(1);
            self.large.slots.insert((contact, id), slot);
            self.large.waiting.remove(&(contact, id));
            self.large.incoming.insert(slot, Incoming { contact, id, length: row.length, key, missing });
        }
        Ok(())
    }

    /// The same, and has opened what has come before its manifest.
    fn admit_and_open(&mut self, now: Now, contact: ContactId) -> Result<(), StoreError> {
        let first = self.large.next_slot;
        self.admit_waiting(contact)?;
        let new: Vec<Slot> = self.large.incoming.range(first..).map(|(slot, _)| *slot).collect();
        for slot in new {
            let Some(incoming) = self.large.incoming.get(&slot) else { continue };
            for (tag, index) in incoming.tags().collect::<Vec<_>>() {
                self.tags.insert(tag, Expected::Chunk(contact, slot, index));
                // What was let go before anybody knew whose it is may come again.
                self.holdings.forget_dropped_under(self.store.as_mut(), &tag)?;
                for held in self.holdings.with_tag(&tag) {
                    self.open_later(now, held);
                }
            }
            self.complete_if_all_there(now, slot)?;
        }
        Ok(())
    }

    /// Takes a message out of those whose chunks are expected, or wait to be.
    fn close_slot(&mut self, contact: ContactId, id: MessageId) {
        self.large.waiting.remove(&(contact, id));
        let Some(slot) = self.large.slots.remove(&(contact, id)) else { return };
        let Some(incoming) = self.large.incoming.remove(&slot) else { return };
        for (tag, _) in incoming.tags() {
            self.tags.remove(&tag);
        }
    }

    /// Opens a bundle that came under the tag of a chunk. `false` if it is none.
    pub(in super::super) fn open_chunk(&mut self, now: Now, slot: Slot, index: u32, bundle: &Bundle) -> Result<bool, StoreError> {
        let Some(incoming) = self.large.incoming.get_mut(&slot) else { return Ok(false) };
        let Some((plaintext, ack)) = incoming.key.open(index, bundle) else { return Ok(false) };
        let (contact, id, before) = (incoming.contact, incoming.id, incoming.step());
        let part = plaintext.get(..chunk_len(incoming.length, index)).unwrap_or_default();
        self.store.save_part(contact, false, id, index, part)?;
        incoming.missing.remove(&index);
        let (more, after) = (!incoming.missing.is_empty(), incoming.step());
        self.tags.remove(&bundle.header().tag);
        self.schedule_ack(now, bundle.id(), &ack)?;
        if more && before != after {
            self.tell_progress(contact, id)?;
        }
        self.complete_if_all_there(now, slot)?;
        Ok(true)
    }

    /// Has the message told once more at the end of the batch, though nothing of its row has changed.
    fn tell_progress(&mut self, contact: ContactId, id: MessageId) -> Result<(), StoreError> {
        if !self.changed.contains_key(&(contact, false, id))
            && let Some(row) = self.store.find_message(contact, false, id)?
        {
            self.changed.insert((contact, false, id), Changed { row, saved: true });
        }
        Ok(())
    }

    /// If all parts are there, the message has come: it is what its manifest said, or is not.
    fn complete_if_all_there(&mut self, now: Now, slot: Slot) -> Result<(), StoreError> {
        let Some(incoming) = self.large.incoming.get(&slot).filter(|incoming| incoming.missing.is_empty()) else { return Ok(()) };
        let (contact, id) = (incoming.contact, incoming.id);
        let Some(row) = self.store.find_data(contact, false, id)? else { return Ok(()) };
        let mut content = Zeroizing::new(Vec::with_capacity(row.length as usize));
        for index in 0..chunk_count(row.length) {
            content.extend_from_slice(&self.store.load_part(contact, false, id, index)?.unwrap_or_default());
        }
        self.close_slot(contact, id);
        if content_hash(&content) == row.hash {
            self.change_message(contact, false, id, |row| row.state = MessageState::Delivered)?;
            self.owe_complete(row)?;
        } else {
            // Nobody but the contact can seal a chunk: its program is faulty.
            self.void_data(row, MessageState::Failed)?;
            self.notice("unreadable", "a message of this contact can't be read: its program may be faulty".into(), Some(contact));
        }
        self.admit_and_open(now, contact)
    }

    /// Keeps nothing of a message that will not come.
    fn void_data(&mut self, row: DataRow, state: MessageState) -> Result<(), StoreError> {
        let (contact, id) = (row.contact, row.id);
        self.store.delete_parts(contact, false, id)?;
        self.store.save_data(&DataRow { state: DataState::Void, ..row })?;
        self.change_message(contact, false, id, |row| row.state = state)
    }

    /// Has the writer told that a message is complete.
    fn owe_complete(&mut self, row: DataRow) -> Result<(), StoreError> {
        let (contact, id) = (row.contact, row.id);
        for (_, ids) in self.large.told.range_mut((contact, 0)..=(contact, u32::MAX)) {
            ids.retain(|other| *other != id);
        }
        self.store.save_data(&DataRow { state: DataState::Complete, number: None, ..row })?;
        self.large.due.insert((contact, id));
        self.busy_contacts.insert(contact);
        Ok(())
    }

    /// The messages whose writer is to be told that they are complete, at most so many.
    pub(in super::super) fn complete_due(&self, contact: ContactId, most: usize) -> Vec<MessageId> {
        let all = (contact, MessageId([0; 16]))..=(contact, MessageId([0xff; 16]));
        self.large.due.range(all).take(most).map(|(_, id)| *id).collect()
    }

    /// Their writer is told under this number.
    pub(in super::super) fn note_complete_told(&mut self, contact: ContactId, ids: &[MessageId], number: u32) -> Result<(), StoreError> {
        for id in ids {
            self.large.due.remove(&(contact, *id));
            self.large.told.entry((contact, number)).or_default().push(*id);
            if let Some(row) = self.store.find_data(contact, false, *id)? {
                self.store.save_data(&DataRow { number: Some(number), ..row })?;
            }
        }
        Ok(())
    }

    /// A number has arrived: the writer of what was complete under it knows.
    pub(in super::super) fn confirm_complete(&mut self, contact: ContactId, number: u32) -> Result<(), StoreError> {
        for id in self.large.told.remove(&(contact, number)).unwrap_or_default() {
            if let Some(row) = self.store.find_data(contact, false, id)? {
                self.store.save_data(&DataRow { state: DataState::Told, key: None, ..row })?;
            }
        }
        Ok(())
    }

    /// A number was given up: what was said under it is said again.
    pub(in super::super) fn repeat_complete(&mut self, contact: ContactId, number: u32) {
        for id in self.large.told.remove(&(contact, number)).unwrap_or_default() {
            self.large.due.insert((contact, id));
            self.busy_contacts.insert(contact);
        }
    }

    /// The numbers of a contact begin anew: what was said under an open one is said again.
    pub(in super::super) fn repeat_all_complete(&mut self, contact: ContactId) {
        let numbers: Vec<u32> = self.large.told.range((contact, 0)..=(contact, u32::MAX)).map(|((_, number), _)| *number).collect();
        numbers.into_iter().for_each(|number| self.repeat_complete(contact, number));
    }

    /// Gives up what can't come any more, as its chunks have expired.
    pub(in super::super) fn expire_incoming_data(&mut self, now: Now, hour: Hour) -> Result<(), StoreError> {
        let open: Vec<(ContactId, MessageId)> = self.large.slots.keys().chain(&self.large.waiting).copied().collect();
        for (contact, id) in open {
            let Some(row) = self.store.find_data(contact, false, id)? else { continue };
            if expiry(row.created) <= hour {
                self.close_slot(contact, id);
                self.void_data(row, MessageState::Expired)?;
                self.admit_and_open(now, contact)?;
            }
        }
        Ok(())
    }

    /// Whether a bundle held is expected as a chunk.
    pub(in super::super) fn is_expected_chunk(&self, bundle: &BundleId) -> bool {
        let expected = self.holdings.row(bundle).and_then(|row| self.tags.get(&row.tag));
        matches!(expected, Some(Expected::Chunk(..)))
    }
}

/// The first hour in which chunks have expired.
fn expiry(created: Hour) -> Hour {
    created.plus(CHUNK_LIFETIME.hours())
}
