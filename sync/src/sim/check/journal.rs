//! A store that is watched: what a transaction changed is told once it is durable.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{
    crypto::{bundle_seal::commitment, kdf::hash},
    id::{BundleId, ContactId, MessageId},
    store::{BundleRow, Cursor, GoneReason, GoneRow, MessageRow, Origin, OutboxRow, Setting, Store, StoreError, layer::Layer},
    time::Hour,
};

/// One change to a store that a rule is about.
#[derive(Clone, Debug)]
pub(super) enum Change {
    /// A bundle came; `genuine` if its id is the hash of its bytes.
    Bundle { row: BundleRow, genuine: bool },
    /// A bundle went.
    Deleted(BundleId),
    /// A bundle is another's.
    Origin(BundleId, Origin),
    /// A bundle's age counts from here.
    Stored(BundleId, Hour),
    /// An id is remembered; `proven` if the ack secret fits the commitment.
    Gone { id: BundleId, reason: GoneReason, origin: Origin, proven: bool },
    /// An id is not remembered any more.
    Forgotten(BundleId),
    /// A number is open, under which this bundle travels.
    Opened { contact: ContactId, number: u32, bundle: BundleId },
    /// A number is closed.
    Closed { contact: ContactId, number: u32 },
    /// A message came in.
    Message(ContactId, MessageId),
    /// A message that came in is not to be found any more.
    Vanished(MessageId),
    /// A contact was deleted, with all that belongs to it.
    Removed(ContactId),
    /// A contact's messages are another's.
    Moved(ContactId, ContactId),
    /// A pair has new keys: what was sealed under the old ones can't be opened any more.
    Renewed(ContactId),
    /// A contact's arrivals are dealt with up to here.
    Cursor(ContactId, Cursor),
    /// The store has this epoch.
    Epoch([u8; 8]),
}

/// What was changed: in the open transaction, or one that failed and may have become durable all the same; and durably, until it is taken.
#[derive(Default)]
pub(super) struct Journal {
    pub(super) open: Vec<Change>,
    pub(super) durable: Vec<Change>,
    /// Messages that came in, of which each commit looks for one.
    kept: Vec<(ContactId, MessageId)>,
    next: usize,
}

impl Journal {
    fn settle(&mut self) {
        for change in &self.open {
            match change {
                Change::Message(contact, id) => self.kept.push((*contact, *id)),
                Change::Removed(gone) => self.kept.retain(|(contact, _)| contact != gone),
                Change::Moved(from, to) => self.kept.iter_mut().filter(|(contact, _)| contact == from).for_each(|kept| kept.0 = *to),
                _ => {}
            }
        }
        self.durable.append(&mut self.open);
    }

    /// What was in doubt has become durable.
    pub(super) fn confirm(&mut self) {
        self.settle();
    }

    /// The message to look for next.
    fn turn(&mut self) -> Option<(ContactId, MessageId)> {
        self.next = if self.next + 1 < self.kept.len() { self.next + 1 } else { 0 };
        self.kept.get(self.next).copied()
    }
}

/// A journal, shared by the store that writes it and the checker that reads it.
#[derive(Clone, Default)]
pub(super) struct SharedJournal(Arc<Mutex<Journal>>);

impl SharedJournal {
    pub(super) fn lock(&self) -> MutexGuard<'_, Journal> {
        // A panic elsewhere in a run ends it anyway.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A store whose journal is kept.
pub(super) struct Watched {
    store: Box<dyn Store>,
    journal: SharedJournal,
}

impl Watched {
    pub(super) fn new(store: Box<dyn Store>, journal: SharedJournal) -> Self {
        Self { store, journal }
    }

    fn note(&self, change: Change) {
        self.journal.lock().open.push(change);
    }
}

impl Layer for Watched {
    fn below(&self) -> &dyn Store {
        self.store.as_ref()
    }

    fn below_mut(&mut self) -> &mut dyn Store {
        self.store.as_mut()
    }

    fn begin(&mut self) -> Result<(), StoreError> {
        self.journal.lock().open.clear();
        self.store.begin()
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        self.store.commit()?;
        let mut journal = self.journal.lock();
        journal.settle();
        if let Some((contact, id)) = journal.turn()
            && self.store.find_message(contact, false, id)?.is_none()
        {
            journal.durable.push(Change::Vanished(id));
        }
        Ok(())
    }

    fn rollback(&mut self) -> Result<(), StoreError> {
        self.journal.lock().open.clear();
        self.store.rollback()
    }

    fn save_setting(&mut self, setting: Setting, value: &[u8]) -> Result<(), StoreError> {
        if let (Setting::Epoch, Ok(epoch)) = (setting, value.try_into()) {
            self.note(Change::Epoch(epoch));
        }
        self.store.save_setting(setting, value)
    }

    fn delete_contact(&mut self, id: ContactId) -> Result<(), StoreError> {
        self.note(Change::Removed(id));
        self.store.delete_contact(id)
    }

    fn move_messages(&mut self, from: ContactId, to: ContactId) -> Result<(), StoreError> {
        self.note(Change::Moved(from, to));
        self.store.move_messages(from, to)
    }

    fn prune_skipped(&mut self, contact: ContactId, before: u32, keep: u32) -> Result<u64, StoreError> {
        // No key of before is kept only where a repair has made new ones.
        if (before, keep) == (u32::MAX, 0) {
            self.note(Change::Renewed(contact));
        }
        self.store.prune_skipped(contact, before, keep)
    }

    fn insert_message(&mut self, row: &MessageRow) -> Result<bool, StoreError> {
        let is_new = self.store.insert_message(row)?;
        if is_new && !row.outgoing {
            self.note(Change::Message(row.contact, row.id));
        }
        Ok(is_new)
    }

    fn insert_outbox(&mut self, row: &OutboxRow) -> Result<(), StoreError> {
        self.note(Change::Opened { contact: row.contact, number: row.number, bundle: row.bundle });
        self.store.insert_outbox(row)
    }

    fn delete_outbox(&mut self, contact: ContactId, number: u32) -> Result<(), StoreError> {
        self.note(Change::Closed { contact, number });
        self.store.delete_outbox(contact, number)
    }

    fn insert_bundle(&mut self, row: &BundleRow, bytes: &[u8]) -> Result<u64, StoreError> {
        let sequence = self.store.insert_bundle(row, bytes)?;
        let genuine = hash(&[bytes]) == row.id.0 && usize::from(row.size) == bytes.len();
        self.note(Change::Bundle { row: BundleRow { sequence, ..row.clone() }, genuine });
        Ok(sequence)
    }

    fn save_stored(&mut self, id: &BundleId, stored: Hour) -> Result<(), StoreError> {
        self.note(Change::Stored(*id, stored));
        self.store.save_stored(id, stored)
    }

    fn save_origin(&mut self, id: &BundleId, origin: Origin) -> Result<(), StoreError> {
        self.note(Change::Origin(*id, origin));
        self.store.save_origin(id, origin)
    }

    fn delete_bundle(&mut self, id: &BundleId) -> Result<(), StoreError> {
        self.note(Change::Deleted(*id));
        self.store.delete_bundle(id)
    }

    fn insert_gone(&mut self, row: &GoneRow) -> Result<(), StoreError> {
        let proven = commitment(&row.ack) == row.commitment;
        self.note(Change::Gone { id: row.id, reason: row.reason, origin: row.origin, proven });
        self.store.insert_gone(row)
    }

    fn delete_gone(&mut self, id: &BundleId) -> Result<(), StoreError> {
        self.note(Change::Forgotten(*id));
        self.store.delete_gone(id)
    }

    fn save_cursor(&mut self, contact: ContactId, cursor: Cursor) -> Result<(), StoreError> {
        self.note(Change::Cursor(contact, cursor));
        self.store.save_cursor(contact, cursor)
    }
}
