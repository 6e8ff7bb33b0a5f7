//! The bundles this node holds or remembers: an index in memory over the store's rows. What is held is here, what is gone in `gone`.

mod gone;
mod shown;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use self::{gone::Gone, shown::Shown};
use super::{
    config::EngineConfig,
    pools::{Pool, Pools},
    relay::{Copies, RelayPolicy},
};
use crate::{
    id::{BundleId, Commitment, ContactId, Tag},
    reconcile::ItemSet,
    store::{BundleRow, GoneReason, GoneRow, Origin, Setting, Store, StoreError},
    time::Hour,
    wire::{bundle::Bundle, record::COPIES_UNLIMITED},
};

/// What [`Holdings`] says of an id.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Known {
    /// Its bytes are here.
    Held,
    /// It was here.
    Gone(GoneReason),
}

/// Stands for an id that is known, in tables where 32 bytes are too many. Used again once the id is forgotten: look at the id again.
pub(super) type Slot = u32;

/// A bundle held.
struct Held {
    row: BundleRow,
    slot: Slot,
    /// Others than its reader and the stem may see it.
    released: bool,
    /// See [`Pools::turn`].
    turn: u16,
}

/// The index. Every change goes to the store in the same call.
#[derive(Default)]
pub(super) struct Holdings {
    held: BTreeMap<BundleId, Held>,
    gone: BTreeMap<BundleId, Gone>,
    by_sequence: BTreeMap<u64, Slot>,
    /// How many bundles were let go, or learnt to be read, since the program started.
    let_go: u64,
    /// How many of others were dropped for lack of room since then.
    evicted: u64,
    /// The highest arrival sequence given so far.
    arrived: u64,
    /// How many hours this profile has been running.
    running: u32,
    slots: Vec<BundleId>,
    free_slots: Vec<Slot>,
    by_tag: BTreeSet<(Tag, Slot)>,
    /// Bundles dropped.
    dropped_by_tag: BTreeSet<(Tag, Slot)>,
    /// Bundles held or dropped; several may show one commitment, as anybody can copy it.
    by_commitment: BTreeSet<(Commitment, Slot)>,
    /// Bytes of bundles sealed in this batch: they leave in it, without being read again.
    fresh: HashMap<BundleId, Vec<u8>>,
    bytes: u64,
    pools: Pools,
    /// Bytes that each contact brought and that nobody here could open.
    unopened: HashMap<ContactId, u64>,
    /// Bundles that were opened and wait for their ack to be told.
    opened: HashSet<BundleId>,
    /// Own bundles that are held back, by arrival.
    held_back: BTreeMap<u64, BundleId>,
    /// The highest arrival sequence of an own bundle, and the one up to which all are released, as the store has it.
    last_own: u64,
    released_up_to: u64,
    /// The gone, oldest first; apart those of strangers.
    gone_by_age: BTreeSet<(Hour, BundleId)>,
    gone_of_strangers: BTreeSet<(Hour, BundleId)>,
    /// How many ids are remembered without their bundles; strangers' may be half of them.
    gone_limit: usize,
    /// No id remembered expires, or fades for strangers, before this hour.
    no_gone_due_before: Hour,
    /// Strangers had room when the ids remembered were looked through last: none was kept for want of it.
    strangers_had_room: bool,
    shown: Shown,
    /// No bundle held expires before this hour.
    no_expiry_before: Hour,
    /// How many are held whose sender had no clock.
    clockless: usize,
}

impl Holdings {
    /// Builds the index at `hour`, after so many hours of running; at most `gone_ids` ids are remembered without their bundles, the oldest
    /// are forgotten first. What was sealed here and not released before the end is held back anew.
    pub(super) fn load(store: &dyn Store, config: &EngineConfig, hour: Hour, running: u32) -> Result<Self, StoreError> {
        let mark = store.load_setting(Setting::Released)?.and_then(|bytes| Some(u64::from_be_bytes(bytes.as_slice().try_into().ok()?)));
        let mark = mark.unwrap_or(0);
        let mut holdings = Self {
            gone_limit: config.gone_ids,
            running,
            released_up_to: mark,
            arrived: store.last_sequence()?,
            pools: Pools::new(config.relay),
            ..Self::default()
        };
        store.visit_bundles(&mut |row| {
            let released = !matches!(row.origin, Origin::Own(_)) || (row.sequence <= mark && row.created != Hour::UNKNOWN);
            let slot = holdings.take_slot(row.id);
            holdings.index(row, slot, released);
        })?;
        for row in store.load_gone()? {
            let slot = holdings.take_slot(row.id);
            holdings.index_gone(Gone { row, slot, number: 0, since: running }, hour);
        }
        Ok(holdings)
    }

    fn take_slot(&mut self, id: BundleId) -> Slot {
        if let Some(slot) = self.free_slots.pop()
            && let Some(place) = self.slots.get_mut(slot as usize)
        {
            *place = id;
            return slot;
        }
        self.slots.push(id);
        (self.slots.len() - 1) as Slot
    }

    fn index(&mut self, row: BundleRow, slot: Slot, released: bool) {
        let held = Held { turn: self.pools.turn(&row), row, slot, released };
        let row = &held.row;
        self.by_sequence.insert(row.sequence, slot);
        self.arrived = self.arrived.max(row.sequence);
        self.by_tag.insert((row.tag, slot));
        self.by_commitment.insert((row.commitment, slot));
        self.no_expiry_before = expiry_of(row).map_or(self.no_expiry_before, |expiry| self.no_expiry_before.min(expiry));
        self.clockless += usize::from(row.created == Hour::UNKNOWN);
        self.bytes += u64::from(row.size);
        self.pools.insert(row, expiry_of(row));
        if let Origin::Contact(contact) = row.origin {
            *self.unopened.entry(contact).or_default() += u64::from(row.size);
        }
        if matches!(row.origin, Origin::Own(_)) {
            self.last_own = self.last_own.max(row.sequence);
        }
        if held.released {
            self.shown.insert(row.created, row.id, expiry_of(row), true, true);
        } else {
            self.held_back.insert(row.sequence, row.id);
        }
        self.held.insert(row.id, held);
    }

    fn unindex(&mut self, id: &BundleId) -> Option<Held> {
        let held = self.held.remove(id)?;
        let row = &held.row;
        self.by_sequence.remove(&row.sequence);
        self.held_back.remove(&row.sequence);
        self.fresh.remove(id);
        self.bytes -= u64::from(row.size);
        self.pools.remove(row, expiry_of(row));
        let was_opened = self.opened.remove(id);
        if let Origin::Contact(contact) = row.origin
            && let Some(unopened) = self.unopened.get_mut(&contact).filter(|_| !was_opened)
        {
            *unopened -= u64::from(row.size);
            if *unopened == 0 {
                self.unopened.remove(&contact);
            }
        }
        self.by_tag.remove(&(row.tag, held.slot));
        self.by_commitment.remove(&(row.commitment, held.slot));
        self.clockless -= usize::from(row.created == Hour::UNKNOWN);
        self.shown.remove(row.created, id);
        Some(held)
    }

    /// Stores a bundle that is neither held nor gone; returns its arrival sequence. Own ones are held back until they are released.
    pub(super) fn insert(
        &mut self,
        store: &mut dyn Store,
        bundle: &Bundle,
        origin: Origin,
        age: u16,
        stored: Hour,
    ) -> Result<u64, StoreError> {
        let header = bundle.header();
        let size = bundle.bytes().len() as u16;
        let mut row = BundleRow {
            id: bundle.id(),
            sequence: 0,
            size,
            class: self.pools.class_of(origin, size, header.class),
            lifetime: header.lifetime,
            created: header.created,
            tag: header.tag,
            commitment: header.commitment,
            origin,
            age,
            stored,
            forwarded: 0,
            copies: COPIES_UNLIMITED,
        };
        row.sequence = store.insert_bundle(&row, bundle.bytes())?;
        let sequence = row.sequence;
        let slot = self.take_slot(row.id);
        let own = matches!(origin, Origin::Own(_));
        self.index(row, slot, !own);
        if own {
            self.fresh.insert(bundle.id(), bundle.bytes().to_vec());
        }
        Ok(sequence)
    }

    /// Lets everybody see an own bundle; `false` if it was released before or is not held.
    pub(super) fn release(&mut self, id: &BundleId) -> bool {
        let Some(held) = self.held.get_mut(id).filter(|held| !held.released) else { return false };
        held.released = true;
        let (created, expiry, sequence) = (held.row.created, expiry_of(&held.row), held.row.sequence);
        self.held_back.remove(&sequence);
        self.shown.insert(created, *id, expiry, true, true);
        true
    }

    /// Saves up to where own bundles are released, if that has changed.
    pub(super) fn save_released(&mut self, store: &mut dyn Store) -> Result<(), StoreError> {
        let mark = self.held_back.first_key_value().map_or(self.last_own, |(first, _)| first.saturating_sub(1));
        if mark > self.released_up_to {
            self.released_up_to = mark;
            store.save_setting(Setting::Released, &mark.to_be_bytes())?;
        }
        Ok(())
    }

    /// Own bundles that are held back, in the order in which they were sealed.
    pub(super) fn held_back(&self) -> impl Iterator<Item = &BundleRow> {
        self.held_back.values().filter_map(|id| self.row(id))
    }

    /// Whether a bundle is held and not held back.
    pub(super) fn is_released(&self, id: &BundleId) -> bool {
        self.held.get(id).is_some_and(|held| held.released)
    }

    /// The set that strangers, or contacts, are compared with.
    pub(super) fn set(&self, for_contacts: bool) -> &ItemSet {
        self.shown.set(for_contacts)
    }

    /// The bytes of a bundle that is held.
    pub(super) fn bytes_of(&self, store: &dyn Store, id: &BundleId) -> Result<Option<Vec<u8>>, StoreError> {
        match self.fresh.get(id) {
            Some(bytes) => Ok(Some(bytes.clone())),
            None => store.load_bundle(id),
        }
    }

    /// Forgets the bytes kept for this batch.
    pub(super) fn end_batch(&mut self) {
        self.fresh.clear();
    }

    /// Deletes a bundle; `remember` says why its id is kept, with its ack secret (zeros if dropped) and the hour.
    pub(super) fn remove(
        &mut self,
        store: &mut dyn Store,
        id: &BundleId,
        remember: Option<(GoneReason, [u8; 16], Hour)>,
    ) -> Result<Option<BundleRow>, StoreError> {
        let Some(Held { row, slot, .. }) = self.unindex(id) else { return Ok(None) };
        store.delete_bundle(id)?;
        match remember.zip(expiry_of(&row)) {
            Some(((reason, ack, at), expiry)) => {
                let BundleRow { created, tag, commitment, origin, .. } = row;
                let gone = GoneRow { id: *id, created, expiry, tag, commitment, reason, ack, at, origin };
                store.insert_gone(&gone)?;
                self.let_go += 1;
                self.evicted += u64::from(reason == GoneReason::Dropped);
                self.index_gone(Gone { row: gone, slot, number: self.let_go, since: self.running }, at);
                self.limit_gone(store)?;
            }
            None => self.free_slots.push(slot),
        }
        Ok(Some(row))
    }

    /// Takes out what was sealed for a contact that the store has deleted, and forgets the ids it could ask for.
    pub(super) fn forget_contact(&mut self, store: &mut dyn Store, contact: ContactId) -> Result<(), StoreError> {
        let own: Vec<BundleId> = self.rows().filter(|row| row.origin == Origin::Own(contact)).map(|row| row.id).collect();
        for id in &own {
            if let Some(held) = self.unindex(id) {
                self.free_slots.push(held.slot);
            }
        }
        let gone: Vec<BundleId> = self.gone_with(contact).map(|row| row.id).collect();
        gone.iter().try_for_each(|id| self.forget_gone(store, id))
    }

    /// Notes that a bundle sealed here is for another contact from now on, who is the same person; what is shown of it stays as it is.
    pub(super) fn move_own(&mut self, store: &mut dyn Store, id: &BundleId, to: ContactId) -> Result<(), StoreError> {
        let Some(held) = self.held.get_mut(id).filter(|held| matches!(held.row.origin, Origin::Own(_))) else { return Ok(()) };
        held.row.origin = Origin::Own(to);
        store.save_origin(id, held.row.origin)
    }

    /// Notes how many hours this profile has been running.
    pub(super) const fn note_running(&mut self, hours: u32) {
        self.running = hours;
    }

    /// Notes that a bundle held was opened; it only waits for its ack to be told.
    pub(super) fn note_opened(&mut self, id: &BundleId) {
        if let Some(Held { row, .. }) = self.held.get(id)
            && let Origin::Contact(contact) = row.origin
            && let Some(unopened) = self.unopened.get_mut(&contact)
            && self.opened.insert(*id)
        {
            *unopened -= u64::from(row.size);
        }
    }

    /// Notes that a bundle was handed on.
    pub(super) fn note_forwarded(&mut self, store: &mut dyn Store, id: &BundleId) -> Result<(), StoreError> {
        let Some(Held { row, .. }) = self.held.get_mut(id) else { return Ok(()) };
        self.pools.remove(row, expiry_of(row));
        row.forwarded = row.forwarded.saturating_add(1);
        self.pools.insert(row, expiry_of(row));
        store.save_forwarded(id, row.forwarded)
    }

    /// Notes how many copies of a bundle are left.
    pub(super) fn set_copies(&mut self, store: &mut dyn Store, id: &BundleId, copies: Copies) -> Result<(), StoreError> {
        let Some(Held { row, .. }) = self.held.get_mut(id).filter(|held| Copies::of(&held.row) != copies) else { return Ok(()) };
        row.copies = copies.encode();
        store.save_copies(id, row.copies)
    }

    /// How bundles spread.
    pub(super) const fn relay(&self) -> RelayPolicy {
        self.pools.relay()
    }

    /// Notes that another copy of a bundle is younger than the one held.
    pub(super) fn note_age(&mut self, id: &BundleId, age: u16, hour: Hour) {
        let Some(Held { row, .. }) = self.held.get_mut(id) else { return };
        let lived = if row.stored == Hour::UNKNOWN { 0 } else { hour.0.saturating_sub(row.stored.0) };
        let before = u32::from(row.age) + lived;
        if u32::from(age) < before {
            self.pools.remove(row, expiry_of(row));
            row.age = u16::try_from(u32::from(age).saturating_sub(lived)).unwrap_or(age);
            self.pools.insert(row, expiry_of(row));
        }
    }

    /// Bytes of bundles that a contact has brought and that could not be opened.
    pub(super) fn unopened_of(&self, contact: ContactId) -> u64 {
        self.unopened.get(&contact).copied().unwrap_or(0)
    }

    /// How many bundles were dropped for lack of room since the program started.
    #[cfg(feature = "sim")]
    pub(super) const fn evicted(&self) -> u64 {
        self.evicted
    }

    /// What others' bundles take, by pool.
    pub(super) const fn pools(&self) -> &Pools {
        &self.pools
    }

    /// The bundle that gives way first in a pool, in this hour.
    pub(super) fn victim(&self, pool: Pool, hour: Hour) -> Option<BundleId> {
        self.pools.victim(pool, hour)
    }

    /// Begins to count the age of bundles whose sender had no clock and that came while there was none here, or while it was ahead.
    pub(super) fn stamp_stored(&mut self, store: &mut dyn Store, hour: Hour) -> Result<(), StoreError> {
        if self.clockless == 0 {
            return Ok(());
        }
        let clockless = self.held.values_mut().map(|held| &mut held.row).filter(|row| row.created == Hour::UNKNOWN);
        for row in clockless.filter(|row| row.stored == Hour::UNKNOWN || row.stored > hour) {
            self.pools.remove(row, expiry_of(row));
            row.stored = hour;
            self.pools.insert(row, expiry_of(row));
            self.no_expiry_before = expiry_of(row).map_or(self.no_expiry_before, |expiry| self.no_expiry_before.min(expiry));
            store.save_stored(&row.id, hour)?;
        }
        Ok(())
    }

    /// The bundles held that have expired at `hour`, with whose they are.
    pub(super) fn expired(&mut self, hour: Hour) -> Vec<(BundleId, Origin, Tag)> {
        if hour < self.no_expiry_before {
            return Vec::new();
        }
        let (mut expired, mut first) = (Vec::new(), Hour(u32::MAX));
        for row in self.held.values().map(|held| &held.row) {
            let Some(expiry) = expiry_of(row) else { continue };
            first = first.min(expiry);
            if expiry <= hour {
                expired.push((row.id, row.origin, row.tag));
            }
        }
        self.no_expiry_before = first;
        expired
    }

    /// The slot of an id that is held or remembered.
    pub(super) fn slot_of(&self, id: &BundleId) -> Option<Slot> {
        self.held.get(id).map(|held| held.slot).or_else(|| Some(self.gone.get(id)?.slot))
    }

    /// The id that a slot stands for now, or stood for last.
    fn in_slot(&self, slot: Slot) -> Option<BundleId> {
        self.slots.get(slot as usize).copied()
    }

    /// The ids that the slots stand for now, or stood for last: all that is held or remembered, and some that was.
    pub(super) fn slots(&self) -> &[BundleId] {
        &self.slots
    }

    /// What is known of an id.
    pub(super) fn known(&self, id: &BundleId) -> Option<Known> {
        if self.held.contains_key(id) { Some(Known::Held) } else { self.gone.get(id).map(|gone| Known::Gone(gone.row.reason)) }
    }

    /// The row of a bundle that is held.
    pub(super) fn row(&self, id: &BundleId) -> Option<&BundleRow> {
        self.held.get(id).map(|held| &held.row)
    }

    /// How many rounds of others' bundles go before this one.
    pub(super) fn turn_of(&self, id: &BundleId) -> u16 {
        self.held.get(id).map_or(0, |held| held.turn)
    }

    /// Whose an id is, held or remembered.
    pub(super) fn origin_of(&self, id: &BundleId) -> Option<Origin> {
        self.row(id).map(|row| row.origin).or_else(|| Some(self.gone.get(id)?.row.origin))
    }

    /// Bundles held under a tag.
    pub(super) fn with_tag(&self, tag: &Tag) -> Vec<BundleId> {
        self.under(&self.by_tag, *tag).collect()
    }

    /// The bundles held or dropped with this commitment, at most so many.
    pub(super) fn with_commitment(&self, commitment: &Commitment, most: usize) -> Vec<BundleId> {
        self.under(&self.by_commitment, *commitment).take(most).collect()
    }

    /// Bundles that arrived after `sequence`, in order of arrival.
    pub(super) fn after(&self, sequence: u64) -> impl Iterator<Item = &BundleRow> {
        self.by_sequence.range(sequence.saturating_add(1)..).filter_map(|(_, slot)| self.row(&self.in_slot(*slot)?))
    }

    /// All bundles held.
    pub(super) fn rows(&self) -> impl Iterator<Item = &BundleRow> {
        self.held.values().map(|held| &held.row)
    }

    /// The highest arrival sequence up to which nothing is held back; bundles that are gone count, so that a cursor fits without them.
    pub(super) fn last_sequence(&self) -> u64 {
        self.held_back.first_key_value().map_or(self.arrived, |(first, _)| self.arrived.min(first.saturating_sub(1)))
    }

    /// The highest arrival sequence given so far.
    pub(super) const fn arrived(&self) -> u64 {
        self.arrived
    }

    /// How many bundles are held, and their bytes.
    pub(super) fn size(&self) -> (usize, u64) {
        (self.held.len(), self.bytes)
    }

    /// The ids in an index under one key.
    fn under<K: Copy + Ord>(&self, index: &BTreeSet<(K, Slot)>, key: K) -> impl Iterator<Item = BundleId> {
        index.range((key, Slot::MIN)..=(key, Slot::MAX)).filter_map(|(_, slot)| self.in_slot(*slot))
    }
}

/// Whether a bundle goes between this node and this contact.
pub(super) fn is_between(origin: Origin, contact: ContactId) -> bool {
    [Origin::Own(contact), Origin::Contact(contact)].contains(&origin)
}

/// The first hour in which a bundle has expired: by its created hour, or, where its sender had no clock, by its age.
pub(super) fn expiry_of(row: &BundleRow) -> Option<Hour> {
    if row.created != Hour::UNKNOWN {
        return Some(row.created.plus(row.lifetime.hours()));
    }
    (row.stored != Hour::UNKNOWN).then(|| row.stored.plus(row.lifetime.hours().saturating_sub(row.age.into())))
}

/// Whose bundle it is for: only known of those sealed here.
pub(super) fn reader_of(row: &BundleRow) -> Option<ContactId> {
    match row.origin {
        Origin::Own(contact) => Some(contact),
        Origin::Contact(_) | Origin::StrangerInbound | Origin::StrangerOutbound => None,
    }
}
