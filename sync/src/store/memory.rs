//! A store in memory for tests and the simulator, with crash points.
//!
//! Tables keep an undo log (`table.rs`), so a transaction costs what it changes. A *point* is a write or a commit; a test counts the
//! points of a run ([`MemoryStore::point_count`]), then repeats the run and stops it at each of them
//! ([`MemoryStore::crash_after_writes`], [`MemoryStore::fail_full_after`]).

mod pool;
mod tables;
#[cfg(test)]
mod tests;

use std::{
    cmp::Reverse,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use zeroize::Zeroizing;

pub use self::pool::BundlePool;
use self::tables::{Kept, Outbox, Skipped, SkippedAge, Tables};
use super::{
    AckRow, BundleRow, CONSTRAINT, ContactRow, Cursor, ExchangeRow, GoneRow, MISUSE, MessageRow, NOT_FOUND, Origin, OutboxRow, SecretBytes,
    Setting, SkippedRow, Store, StoreError, Summary,
};
use crate::{
    id::{BundleId, ContactId, MessageId, Tag},
    time::Hour,
    view::MessageState,
};

/// A store in memory.
///
/// A clone is a snapshot: it has all rows, the open transaction and the faults that are set, and from then on goes its own way. A
/// [`handle`](Self::handle) is the same store once more.
#[derive(Default)]
pub struct MemoryStore(Arc<Mutex<State>>);

impl Clone for MemoryStore {
    fn clone(&self) -> Self {
        Self(Arc::new(Mutex::new(self.state().clone())))
    }
}

impl std::fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryStore").finish_non_exhaustive()
    }
}

impl MemoryStore {
    /// Makes an empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes an empty store that holds bundles which others of the same pool hold together with them.
    pub fn in_pool(pool: &BundlePool) -> Self {
        Self(Arc::new(Mutex::new(State { pool: pool.clone(), ..State::default() })))
    }

    /// Returns the same store once more, so that a test can steer it while an engine owns it.
    #[must_use]
    pub fn handle(&self) -> Self {
        Self(Arc::clone(&self.0))
    }

    /// Fails the `n`-th point from now, 1 being the next, with [`StoreError::Crash`], and everything after it until
    /// [`reopen`](Self::reopen). A commit that fails so has not happened.
    pub fn crash_after_writes(&self, n: u64) {
        let mut state = self.state();
        state.crash_at = Some(state.points.saturating_add(n));
    }

    /// Lets the next commit become durable and then fail with [`StoreError::Crash`], as if the power went before it was reported.
    pub fn crash_past_commit(&self) {
        self.crash_past_commits(1);
    }

    /// The same for the `n`-th commit from now, 1 being the next.
    pub fn crash_past_commits(&self, n: u64) {
        let mut state = self.state();
        state.crash_past = Some(state.commits.saturating_add(n));
    }

    /// Fails the `n`-th point from now, 1 being the next, with [`StoreError::Full`], and all writes and commits after it until
    /// [`reopen`](Self::reopen). Reads and rollbacks work.
    pub fn fail_full_after(&self, n: u64) {
        let mut state = self.state();
        state.full_at = Some(state.points.saturating_add(n));
    }

    /// The ids of all bundles held.
    pub fn bundle_ids(&self) -> Vec<BundleId> {
        self.state().tables.sequences.iter().map(|(id, _)| *id).collect()
    }

    /// Loses a bundle behind everybody's back, as a damaged file would.
    pub fn lose_bundle(&self, id: &BundleId) {
        let mut state = self.state();
        state.tables.remove_bundle(id);
        state.tables.commit();
    }

    /// Comes back as after a restart: with what was committed and without faults.
    pub fn reopen(&self) {
        let mut state = self.state();
        state.tables.rollback();
        state.open = false;
        state.crashed = false;
        state.crash_at = None;
        state.crash_past = None;
        state.full_at = None;
    }

    /// How many points there were: writes and commits, failed ones too.
    pub fn point_count(&self) -> u64 {
        self.state().points
    }

    /// How many commits became durable.
    pub fn commit_count(&self) -> u64 {
        self.state().commits
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic in a test that holds a handle leaves the tables as some write left them, which is what a crash does too.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read<T>(&self, read: impl FnOnce(&Tables) -> T) -> Result<T, StoreError> {
        let state = self.state();
        if state.crashed { Err(StoreError::Crash) } else { Ok(read(&state.tables)) }
    }

    fn write<T>(&self, write: impl FnOnce(&mut Tables) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let mut state = self.state();
        state.pass_point()?;
        write(&mut state.tables)
    }

    /// Writes something that belongs to a contact.
    fn write_for<T>(&self, contact: ContactId, write: impl FnOnce(&mut Tables) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.write(|tables| if tables.contacts.has(&contact) { write(tables) } else { Err(StoreError::Io(CONSTRAINT)) })
    }
}

#[derive(Clone, Default)]
struct State {
    tables: Tables,
    pool: BundlePool,
    open: bool,
    points: u64,
    commits: u64,
    crashed: bool,
    crash_at: Option<u64>,
    crash_past: Option<u64>,
    full_at: Option<u64>,
}

impl State {
    fn pass_point(&mut self) -> Result<(), StoreError> {
        if self.crashed {
            return Err(StoreError::Crash);
        }
        if !self.open {
            return Err(StoreError::Io(MISUSE));
        }
        self.points = self.points.saturating_add(1);
        if self.crash_at.is_some_and(|at| at <= self.points) {
            self.crashed = true;
            return Err(StoreError::Crash);
        }
        if self.full_at.is_some_and(|at| at <= self.points) {
            return Err(StoreError::Full);
        }
        Ok(())
    }
}

impl Store for MemoryStore {
    fn begin(&mut self) -> Result<(), StoreError> {
        let mut state = self.state();
        if state.crashed {
            return Err(StoreError::Crash);
        }
        if state.open {
            return Err(StoreError::Io(MISUSE));
        }
        state.open = true;
        Ok(())
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        let mut state = self.state();
        state.pass_point()?;
        state.tables.commit();
        state.open = false;
        state.commits = state.commits.saturating_add(1);
        if state.crash_past.is_some_and(|at| at <= state.commits) {
            state.crash_past = None;
            state.crashed = true;
            return Err(StoreError::Crash);
        }
        Ok(())
    }

    fn rollback(&mut self) -> Result<(), StoreError> {
        let mut state = self.state();
        if state.crashed {
            return Err(StoreError::Crash);
        }
        state.tables.rollback();
        state.open = false;
        Ok(())
    }

    fn load_setting(&self, setting: Setting) -> Result<Option<SecretBytes>, StoreError> {
        self.read(|tables| tables.settings.get(&setting).cloned())
    }

    fn save_setting(&mut self, setting: Setting, value: &[u8]) -> Result<(), StoreError> {
        self.write(|tables| {
            tables.settings.put(setting, Zeroizing::new(value.to_vec()));
            Ok(())
        })
    }

    fn load_contacts(&self) -> Result<Vec<ContactRow>, StoreError> {
        self.read(|tables| tables.contacts.iter().map(|(_, row)| row.clone()).collect())
    }

    fn insert_contact(&mut self, row: &ContactRow) -> Result<ContactId, StoreError> {
        self.write(|tables| {
            let last = tables.last_contact.get(&()).copied().unwrap_or(0);
            let number = last.checked_add(1).ok_or(StoreError::Full)?;
            let id = ContactId(number);
            tables.last_contact.put((), number);
            tables.contacts.put(id, ContactRow { id, ..row.clone() });
            Ok(id)
        })
    }

    fn save_contact(&mut self, row: &ContactRow) -> Result<(), StoreError> {
        self.write(|tables| {
            if !tables.contacts.has(&row.id) {
                return Err(StoreError::Io(NOT_FOUND));
            }
            tables.contacts.put(row.id, row.clone());
            Ok(())
        })
    }

    fn delete_contact(&mut self, id: ContactId) -> Result<(), StoreError> {
        self.write(|tables| {
            tables.remove_contact(id);
            Ok(())
        })
    }

    fn move_messages(&mut self, from: ContactId, to: ContactId) -> Result<(), StoreError> {
        self.write_for(to, |tables| {
            for row in tables.remove_messages(from) {
                let again = row.outgoing && row.state <= MessageState::Carried;
                let (state, number) = if again { (MessageState::Queued, None) } else { (row.state, row.number) };
                tables.put_message(MessageRow { contact: to, state, number, ..row });
            }
            Ok(())
        })
    }

    fn load_pair(&self, contact: ContactId) -> Result<Option<SecretBytes>, StoreError> {
        self.read(|tables| tables.pairs.get(&contact).cloned())
    }

    fn save_pair(&mut self, contact: ContactId, state: &[u8]) -> Result<(), StoreError> {
        self.write_for(contact, |tables| {
            tables.pairs.put(contact, Zeroizing::new(state.to_vec()));
            Ok(())
        })
    }

    fn load_exchanges(&self) -> Result<Vec<ExchangeRow>, StoreError> {
        self.read(|tables| tables.exchanges.iter().map(|(&contact, state)| ExchangeRow { contact, state: state.clone() }).collect())
    }

    fn save_exchange(&mut self, row: &ExchangeRow) -> Result<(), StoreError> {
        self.write_for(row.contact, |tables| {
            tables.exchanges.put(row.contact, row.state.clone());
            Ok(())
        })
    }

    fn delete_exchange(&mut self, contact: ContactId) -> Result<(), StoreError> {
        self.write(|tables| {
            tables.exchanges.remove(&contact);
            Ok(())
        })
    }

    fn insert_skipped(&mut self, row: &SkippedRow) -> Result<(), StoreError> {
        self.write_for(row.contact, |tables| {
            tables.remove_skipped(&row.tag);
            let SkippedRow { contact, tag, number, chain, stored_hour, ref keys } = *row;
            let skipped = Skipped { contact, number, chain, stored_hour, keys: keys.clone() };
            tables.skipped_by_age.put(skipped.age(tag), ());
            tables.skipped.put(tag, skipped);
            Ok(())
        })
    }

    fn find_skipped(&self, tag: &Tag) -> Result<Option<SkippedRow>, StoreError> {
        self.read(|tables| {
            tables.skipped.get(tag).map(|&Skipped { contact, number, chain, stored_hour, ref keys }| SkippedRow {
                contact,
                tag: *tag,
                number,
                chain,
                stored_hour,
                keys: keys.clone(),
            })
        })
    }

    fn visit_skipped(&self, visit: &mut dyn FnMut(Tag)) -> Result<(), StoreError> {
        self.read(|tables| tables.skipped.iter().for_each(|(tag, _)| visit(*tag)))
    }

    fn delete_skipped(&mut self, tag: &Tag) -> Result<(), StoreError> {
        self.write(|tables| {
            tables.remove_skipped(tag);
            Ok(())
        })
    }

    fn prune_skipped(&mut self, contact: ContactId, before: u32, keep: u32) -> Result<u64, StoreError> {
        self.write(|tables| {
            let ages: Vec<SkippedAge> = tables.skipped_of(contact).copied().collect();
            let old = ages.partition_point(|&(_, stored_hour, ..)| stored_hour < before);
            let surplus = ages.len().saturating_sub(usize::try_from(keep).unwrap_or(usize::MAX));
            let going = old.max(surplus);
            for (.., tag) in ages.iter().take(going) {
                tables.remove_skipped(tag);
            }
            Ok(going as u64)
        })
    }

    fn insert_message(&mut self, row: &MessageRow) -> Result<bool, StoreError> {
        self.write_for(row.contact, |tables| {
            if tables.messages.has(&(row.contact, row.outgoing, row.id)) {
                return Ok(false);
            }
            tables.put_message(row.clone());
            Ok(true)
        })
    }

    fn find_message(&self, contact: ContactId, outgoing: bool, id: MessageId) -> Result<Option<MessageRow>, StoreError> {
        self.read(|tables| tables.messages.get(&(contact, outgoing, id)).cloned())
    }

    fn find_messages_by_id(&self, id: MessageId) -> Result<Vec<MessageRow>, StoreError> {
        self.read(|tables| {
            let keys = tables.contacts.iter().flat_map(|(&contact, _)| [(contact, false, id), (contact, true, id)]);
            keys.filter_map(|key| tables.messages.get(&key).cloned()).collect()
        })
    }

    fn save_message(&mut self, row: &MessageRow) -> Result<(), StoreError> {
        self.write(|tables| {
            let before = tables.messages.get(&(row.contact, row.outgoing, row.id)).ok_or(StoreError::Io(NOT_FOUND))?;
            let row = MessageRow { order: before.order, text: before.text.clone(), ..row.clone() };
            tables.put_message(row);
            Ok(())
        })
    }

    fn load_messages(
        &self,
        contact: ContactId,
        after: Option<(u64, MessageId)>,
        before: Option<(u64, MessageId)>,
        limit: Option<u32>,
    ) -> Result<Vec<MessageRow>, StoreError> {
        use std::ops::Bound::{Excluded, Included};
        self.read(|tables| {
            let first = match after {
                Some((order, id)) => Excluded((contact, order, id, true)),
                None => Included((contact, 0, MessageId([0; 16]), false)),
            };
            let last = match before {
                Some((order, id)) => Excluded((contact, order, id, false)),
                None => Included((contact, u64::MAX, MessageId([0xff; 16]), true)),
            };
            // A range neither ends before it begins nor excludes its only key.
            if after.is_some_and(|after| after >= before.unwrap_or((u64::MAX, MessageId([0xff; 16])))) {
                return Vec::new();
            }
            let limit = limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
            let keys = tables.by_order.range((first, last)).rev().take(limit);
            let mut rows: Vec<_> =
                keys.filter_map(|(&(contact, _, id, outgoing), ())| tables.messages.get(&(contact, outgoing, id)).cloned()).collect();
            rows.reverse();
            rows
        })
    }

    fn load_unsealed(&self, contact: ContactId, limit: u32) -> Result<Vec<MessageRow>, StoreError> {
        self.read(|tables| {
            let first = (contact, Reverse(true), 0, MessageId([0; 16]));
            let last = (contact, Reverse(false), u64::MAX, MessageId([0xff; 16]));
            let keys = tables.unsealed.range(first..=last).take(usize::try_from(limit).unwrap_or(usize::MAX));
            keys.filter_map(|(&(contact, _, _, id), ())| tables.messages.get(&(contact, true, id)).cloned()).collect()
        })
    }

    fn last_order(&self, contact: ContactId) -> Result<u64, StoreError> {
        self.read(|tables| {
            let all = (contact, 0, MessageId([0; 16]), false)..=(contact, u64::MAX, MessageId([0xff; 16]), true);
            tables.by_order.range(all).next_back().map_or(0, |(&(_, order, ..), ())| order)
        })
    }

    fn summarise(&self, contact: ContactId) -> Result<Summary, StoreError> {
        self.read(|tables| tables.summarise(contact))
    }

    fn summarise_all(&self) -> Result<Vec<(ContactId, Summary)>, StoreError> {
        self.read(|tables| tables.contacts.iter().map(|(&id, _)| (id, tables.summarise(id))).collect())
    }

    fn load_draft(&self, contact: ContactId) -> Result<Option<String>, StoreError> {
        self.read(|tables| tables.drafts.get(&contact).cloned())
    }

    fn save_draft(&mut self, contact: ContactId, text: &str) -> Result<(), StoreError> {
        self.write_for(contact, |tables| {
            tables.drafts.put(contact, text.to_owned());
            Ok(())
        })
    }

    fn delete_draft(&mut self, contact: ContactId) -> Result<(), StoreError> {
        self.write(|tables| {
            tables.drafts.remove(&contact);
            Ok(())
        })
    }

    fn first_unread(&self, contact: ContactId) -> Result<Option<(u64, MessageId)>, StoreError> {
        self.read(|tables| tables.unread(contact).next())
    }

    fn mark_read(&mut self, contact: ContactId, outgoing: bool, before: (u64, MessageId)) -> Result<Vec<MessageId>, StoreError> {
        self.write(|tables| {
            let (first, end) = ((contact, outgoing, 0, MessageId([0; 16])), (contact, outgoing, before.0, before.1));
            let ids: Vec<MessageId> = tables.delivered.range(first..end).map(|(&(.., id), ())| id).collect();
            for &id in &ids {
                if let Some(row) = tables.messages.get(&(contact, outgoing, id)) {
                    let row = MessageRow { state: MessageState::Read, ..row.clone() };
                    tables.put_message(row);
                }
            }
            Ok(ids)
        })
    }

    fn count_undelivered(&self) -> Result<u64, StoreError> {
        self.read(|tables| tables.undelivered.len() as u64)
    }

    fn insert_outbox(&mut self, row: &OutboxRow) -> Result<(), StoreError> {
        self.write_for(row.contact, |tables| {
            let key = (row.contact, row.number);
            if tables.outbox.has(&key) {
                return Err(StoreError::Io(CONSTRAINT));
            }
            let OutboxRow { message, wants_receipt, bundle, ref ack, .. } = *row;
            tables.outbox.put(key, Outbox { message, wants_receipt, bundle, ack: ack.clone() });
            Ok(())
        })
    }

    fn load_outbox(&self, contact: ContactId) -> Result<Vec<OutboxRow>, StoreError> {
        self.read(|tables| {
            let rows = tables.outbox.range((contact, 0)..=(contact, u32::MAX));
            rows.map(|(&(contact, number), &Outbox { message, wants_receipt, bundle, ref ack })| OutboxRow {
                contact,
                number,
                message,
                wants_receipt,
                bundle,
                ack: ack.clone(),
            })
            .collect()
        })
    }

    fn delete_outbox(&mut self, contact: ContactId, number: u32) -> Result<(), StoreError> {
        self.write(|tables| {
            tables.outbox.remove(&(contact, number));
            Ok(())
        })
    }

    fn insert_bundle(&mut self, row: &BundleRow, bytes: &[u8]) -> Result<u64, StoreError> {
        let body = self.state().pool.share(row, bytes);
        self.write(|tables| {
            if tables.sequences.has(&row.id) {
                return Err(StoreError::Io(CONSTRAINT));
            }
            let last = tables.last_sequence.get(&()).copied().unwrap_or(0);
            let sequence = last.checked_add(1).ok_or(StoreError::Full)?;
            tables.last_sequence.put((), sequence);
            tables.sequences.put(row.id, sequence);
            tables.bundles.put(sequence, Kept::new(row, body));
            Ok(sequence)
        })
    }

    fn visit_bundles(&self, visit: &mut dyn FnMut(BundleRow)) -> Result<(), StoreError> {
        self.read(|tables| tables.bundles.iter().for_each(|(sequence, kept)| visit(kept.row(*sequence))))
    }

    fn load_bundle(&self, id: &BundleId) -> Result<Option<Vec<u8>>, StoreError> {
        self.read(|tables| {
            let sequence = tables.sequences.get(id)?;
            tables.bundles.get(sequence).map(|kept| kept.body.bytes.to_vec())
        })
    }

    fn save_forwarded(&mut self, id: &BundleId, forwarded: u16) -> Result<(), StoreError> {
        self.write(|tables| {
            tables.change_bundle(id, |kept| kept.forwarded = forwarded);
            Ok(())
        })
    }

    fn save_stored(&mut self, id: &BundleId, stored: Hour) -> Result<(), StoreError> {
        self.write(|tables| {
            tables.change_bundle(id, |kept| kept.stored = stored);
            Ok(())
        })
    }

    fn save_origin(&mut self, id: &BundleId, origin: Origin) -> Result<(), StoreError> {
        self.write(|tables| {
            tables.change_bundle(id, |kept| kept.origin = origin);
            Ok(())
        })
    }

    fn delete_bundle(&mut self, id: &BundleId) -> Result<(), StoreError> {
        self.write(|tables| {
            tables.remove_bundle(id);
            Ok(())
        })
    }

    fn insert_gone(&mut self, row: &GoneRow) -> Result<(), StoreError> {
        self.write(|tables| {
            tables.gone.put(row.id, row.clone());
            Ok(())
        })
    }

    fn last_sequence(&self) -> Result<u64, StoreError> {
        self.read(|tables| tables.last_sequence.get(&()).copied().unwrap_or(0))
    }

    fn load_gone(&self) -> Result<Vec<GoneRow>, StoreError> {
        self.read(|tables| {
            let mut rows: Vec<GoneRow> = tables.gone.iter().map(|(_, row)| row.clone()).collect();
            rows.sort_by_key(|row| row.at); // stable: by id within an hour
            rows
        })
    }

    fn delete_gone(&mut self, id: &BundleId) -> Result<(), StoreError> {
        self.write(|tables| {
            tables.gone.remove(id);
            Ok(())
        })
    }

    fn insert_ack(&mut self, row: &AckRow) -> Result<(), StoreError> {
        self.write(|tables| {
            tables.acks.put(row.bundle, (row.secret.clone(), row.due));
            Ok(())
        })
    }

    fn load_acks(&self) -> Result<Vec<AckRow>, StoreError> {
        self.read(|tables| {
            let acks = tables.acks.iter();
            let mut rows: Vec<AckRow> = acks.map(|(&bundle, (secret, due))| AckRow { bundle, secret: secret.clone(), due: *due }).collect();
            rows.sort_by_key(|row| row.due); // stable: by id within a millisecond
            rows
        })
    }

    fn delete_ack(&mut self, bundle: &BundleId) -> Result<(), StoreError> {
        self.write(|tables| {
            tables.acks.remove(bundle);
            Ok(())
        })
    }

    fn load_cursor(&self, contact: ContactId) -> Result<Cursor, StoreError> {
        self.read(|tables| tables.cursors.get(&contact).copied().unwrap_or_default())
    }

    fn save_cursor(&mut self, contact: ContactId, cursor: Cursor) -> Result<(), StoreError> {
        self.write_for(contact, |tables| {
            tables.cursors.put(contact, cursor);
            Ok(())
        })
    }
}
