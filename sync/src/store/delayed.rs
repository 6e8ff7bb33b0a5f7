//! A store on a slow disk, for the simulator and benchmarks.

use std::time::Duration;

use super::{
    AckRow, BundleRow, ContactRow, Cursor, DataRow, ExchangeRow, GoneRow, MessageRow, Origin, OutboxRow, SecretBytes, Setting, SkippedRow,
    Store, StoreError, Summary,
};
use crate::{
    id::{BundleId, ContactId, MessageId, Tag},
    time::Hour,
};

/// Hands everything on to another store and sleeps in each commit, as a slow disk does.
#[derive(Debug)]
pub struct DelayedCommit<S> {
    store: S,
    delay: Duration,
}

impl<S> DelayedCommit<S> {
    /// Wraps a store.
    pub fn new(store: S, delay: Duration) -> Self {
        Self { store, delay }
    }

    /// Gives the store back.
    pub fn into_inner(self) -> S {
        self.store
    }
}

impl<S: Store> Store for DelayedCommit<S> {
    fn commit(&mut self) -> Result<(), StoreError> {
        std::thread::sleep(self.delay);
        self.store.commit()
    }

    fn begin(&mut self) -> Result<(), StoreError> {
        self.store.begin()
    }

    fn rollback(&mut self) -> Result<(), StoreError> {
        self.store.rollback()
    }

    fn load_setting(&self, setting: Setting) -> Result<Option<SecretBytes>, StoreError> {
        self.store.load_setting(setting)
    }

    fn save_setting(&mut self, setting: Setting, value: &[u8]) -> Result<(), StoreError> {
        self.store.save_setting(setting, value)
    }

    fn load_contacts(&self) -> Result<Vec<ContactRow>, StoreError> {
        self.store.load_contacts()
    }

    fn insert_contact(&mut self, row: &ContactRow) -> Result<ContactId, StoreError> {
        self.store.insert_contact(row)
    }

    fn save_contact(&mut self, row: &ContactRow) -> Result<(), StoreError> {
        self.store.save_contact(row)
    }

    fn delete_contact(&mut self, id: ContactId) -> Result<(), StoreError> {
        self.store.delete_contact(id)
    }

    fn move_messages(&mut self, from: ContactId, to: ContactId) -> Result<(), StoreError> {
        self.store.move_messages(from, to)
    }

    fn load_pair(&self, contact: ContactId) -> Result<Option<SecretBytes>, StoreError> {
        self.store.load_pair(contact)
    }

    fn save_pair(&mut self, contact: ContactId, state: &[u8]) -> Result<(), StoreError> {
        self.store.save_pair(contact, state)
    }

    fn load_exchanges(&self) -> Result<Vec<ExchangeRow>, StoreError> {
        self.store.load_exchanges()
    }

    fn save_exchange(&mut self, row: &ExchangeRow) -> Result<(), StoreError> {
        self.store.save_exchange(row)
    }

    fn delete_exchange(&mut self, contact: ContactId) -> Result<(), StoreError> {
        self.store.delete_exchange(contact)
    }

    fn insert_skipped(&mut self, row: &SkippedRow) -> Result<(), StoreError> {
        self.store.insert_skipped(row)
    }

    fn find_skipped(&self, tag: &Tag) -> Result<Option<SkippedRow>, StoreError> {
        self.store.find_skipped(tag)
    }

    fn visit_skipped(&self, visit: &mut dyn FnMut(Tag)) -> Result<(), StoreError> {
        self.store.visit_skipped(visit)
    }

    fn delete_skipped(&mut self, tag: &Tag) -> Result<(), StoreError> {
        self.store.delete_skipped(tag)
    }

    fn prune_skipped(&mut self, contact: ContactId, before: u32, keep: u32) -> Result<u64, StoreError> {
        self.store.prune_skipped(contact, before, keep)
    }

    fn insert_message(&mut self, row: &MessageRow) -> Result<bool, StoreError> {
        self.store.insert_message(row)
    }

    fn find_message(&self, contact: ContactId, outgoing: bool, id: MessageId) -> Result<Option<MessageRow>, StoreError> {
        self.store.find_message(contact, outgoing, id)
    }

    fn find_messages_by_id(&self, id: MessageId) -> Result<Vec<MessageRow>, StoreError> {
        self.store.find_messages_by_id(id)
    }

    fn save_message(&mut self, row: &MessageRow) -> Result<(), StoreError> {
        self.store.save_message(row)
    }

    fn load_messages(
        &self,
        contact: ContactId,
        after: Option<(u64, MessageId)>,
        before: Option<(u64, MessageId)>,
        limit: Option<u32>,
    ) -> Result<Vec<MessageRow>, StoreError> {
        self.store.load_messages(contact, after, before, limit)
    }

    fn load_unsealed(&self, contact: ContactId, limit: u32) -> Result<Vec<MessageRow>, StoreError> {
        self.store.load_unsealed(contact, limit)
    }

    fn last_order(&self, contact: ContactId) -> Result<u64, StoreError> {
        self.store.last_order(contact)
    }

    fn summarise(&self, contact: ContactId) -> Result<Summary, StoreError> {
        self.store.summarise(contact)
    }

    fn summarise_all(&self) -> Result<Vec<(ContactId, Summary)>, StoreError> {
        self.store.summarise_all()
    }

    fn load_draft(&self, contact: ContactId) -> Result<Option<String>, StoreError> {
        self.store.load_draft(contact)
    }

    fn save_draft(&mut self, contact: ContactId, text: &str) -> Result<(), StoreError> {
        self.store.save_draft(contact, text)
    }

    fn delete_draft(&mut self, contact: ContactId) -> Result<(), StoreError> {
        self.store.delete_draft(contact)
    }

    fn first_unread(&self, contact: ContactId) -> Result<Option<(u64, MessageId)>, StoreError> {
        self.store.first_unread(contact)
    }

    fn mark_read(&mut self, contact: ContactId, outgoing: bool, before: (u64, MessageId)) -> Result<Vec<MessageId>, StoreError> {
        self.store.mark_read(contact, outgoing, before)
    }

    fn insert_data(&mut self, row: &DataRow) -> Result<(), StoreError> {
        self.store.insert_data(row)
    }

    fn find_data(&self, contact: ContactId, outgoing: bool, id: MessageId) -> Result<Option<DataRow>, StoreError> {
        self.store.find_data(contact, outgoing, id)
    }

    fn load_open_data(&self, contact: ContactId) -> Result<Vec<DataRow>, StoreError> {
        self.store.load_open_data(contact)
    }

    fn save_data(&mut self, row: &DataRow) -> Result<(), StoreError> {
        self.store.save_data(row)
    }

    fn save_part(&mut self, contact: ContactId, outgoing: bool, id: MessageId, part: u32, bytes: &[u8]) -> Result<(), StoreError> {
        self.store.save_part(contact, outgoing, id, part, bytes)
    }

    fn load_part(&self, contact: ContactId, outgoing: bool, id: MessageId, part: u32) -> Result<Option<SecretBytes>, StoreError> {
        self.store.load_part(contact, outgoing, id, part)
    }

    fn visit_parts(&self, contact: ContactId, outgoing: bool, id: MessageId, visit: &mut dyn FnMut(u32)) -> Result<(), StoreError> {
        self.store.visit_parts(contact, outgoing, id, visit)
    }

    fn delete_parts(&mut self, contact: ContactId, outgoing: bool, id: MessageId) -> Result<(), StoreError> {
        self.store.delete_parts(contact, outgoing, id)
    }

    fn count_undelivered(&self) -> Result<u64, StoreError> {
        self.store.count_undelivered()
    }

    fn insert_outbox(&mut self, row: &OutboxRow) -> Result<(), StoreError> {
        self.store.insert_outbox(row)
    }

    fn load_outbox(&self, contact: ContactId) -> Result<Vec<OutboxRow>, StoreError> {
        self.store.load_outbox(contact)
    }

    fn delete_outbox(&mut self, contact: ContactId, number: u32) -> Result<(), StoreError> {
        self.store.delete_outbox(contact, number)
    }

    fn insert_bundle(&mut self, row: &BundleRow, bytes: &[u8]) -> Result<u64, StoreError> {
        self.store.insert_bundle(row, bytes)
    }

    fn visit_bundles(&self, visit: &mut dyn FnMut(BundleRow)) -> Result<(), StoreError> {
        self.store.visit_bundles(visit)
    }

    fn load_bundle(&self, id: &BundleId) -> Result<Option<Vec<u8>>, StoreError> {
        self.store.load_bundle(id)
    }

    fn save_forwarded(&mut self, id: &BundleId, forwarded: u16) -> Result<(), StoreError> {
        self.store.save_forwarded(id, forwarded)
    }

    fn save_copies(&mut self, id: &BundleId, copies: u8) -> Result<(), StoreError> {
        self.store.save_copies(id, copies)
    }

    fn save_stored(&mut self, id: &BundleId, stored: Hour) -> Result<(), StoreError> {
        self.store.save_stored(id, stored)
    }

    fn save_origin(&mut self, id: &BundleId, origin: Origin) -> Result<(), StoreError> {
        self.store.save_origin(id, origin)
    }

    fn delete_bundle(&mut self, id: &BundleId) -> Result<(), StoreError> {
        self.store.delete_bundle(id)
    }

    fn insert_gone(&mut self, row: &GoneRow) -> Result<(), StoreError> {
        self.store.insert_gone(row)
    }

    fn last_sequence(&self) -> Result<u64, StoreError> {
        self.store.last_sequence()
    }

    fn load_gone(&self) -> Result<Vec<GoneRow>, StoreError> {
        self.store.load_gone()
    }

    fn delete_gone(&mut self, id: &BundleId) -> Result<(), StoreError> {
        self.store.delete_gone(id)
    }

    fn insert_ack(&mut self, row: &AckRow) -> Result<(), StoreError> {
        self.store.insert_ack(row)
    }

    fn load_acks(&self) -> Result<Vec<AckRow>, StoreError> {
        self.store.load_acks()
    }

    fn delete_ack(&mut self, bundle: &BundleId) -> Result<(), StoreError> {
        self.store.delete_ack(bundle)
    }

    fn load_cursor(&self, contact: ContactId) -> Result<Cursor, StoreError> {
        self.store.load_cursor(contact)
    }

    fn save_cursor(&mut self, contact: ContactId, cursor: Cursor) -> Result<(), StoreError> {
        self.store.save_cursor(contact, cursor)
    }
}
