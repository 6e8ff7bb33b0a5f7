//! The bundles this node holds or remembers: an index in memory over the store's rows.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::pools::{Pool, Pools};
use crate::{
    id::{BundleId, Commitment, ContactId, Tag},
    reconcile::ItemSet,
    store::{BundleRow, GoneReason, GoneRow, Origin, Setting, Store, StoreError},
    time::Hour,
    wire::bundle::Bundle,
};

/// For how long strangers are told of ids whose bundles are gone, hours (protocol review, H5).
const TOLD_TO_STRANGERS: u32 = 24;

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

/// An id remembered.
struct Gone {
    row: GoneRow,
    slot: Slot,
    /// Counts what was let go, or learnt to be read, since the program started; 0 for what was gone before.
    number: u64,
    /// The running hour since which it is told of; counts while there is no mesh hour.
    since: u32,
}

impl Gone {
    /// Whether strangers are still told of it; without a mesh hour, running time counts.
    const fn is_told_to_strangers(&self, hour: Hour, running: u32) -> bool {
        let (now, since) = if hour.0 == Hour::UNKNOWN.0 { (running, self.since) } else { (hour.0, self.row.at.0) };
        now < since.saturating_add(TOLD_TO_STRANGERS)
    }
}

/// The index. Every change goes to the store in the same call.
#[derive(Default)]
pub(super) struct Holdings {
    held: BTreeMap<BundleId, Held>,
    gone: BTreeMap<BundleId, Gone>,
    by_sequence: BTreeMap<u64, BundleId>,
    /// How many bundles were let go, or learnt to be read, since the program started.
    let_go: u64,
    /// The highest arrival sequence given so far.
    arrived: u64,
    /// How many hours this profile has been running.
    running: u32,
    slots: Vec<BundleId>,
    free_slots: Vec<Slot>,
    // Looked up, never iterated: their order can't reach an output.
    by_tag: BTreeSet<(Tag, BundleId)>,
    /// Bundles dropped.
    dropped_by_tag: BTreeSet<(Tag, BundleId)>,
    /// Bundles held or dropped; several may show one commitment, as anybody can copy it.
    by_commitment: BTreeSet<(Commitment, BundleId)>,
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
    /// What contacts are compared with: released bundles, and dropped ones until they expire.
    for_contacts: ItemSet,
    /// What strangers are compared with: the same, with dropped ones for a day only.
    for_strangers: ItemSet,
}

impl Holdings {
    /// Builds the index at `hour`, after so many hours of running; at most `gone_limit` ids are remembered without their bundles, the oldest
    /// are forgotten first. What was sealed here and not released before the end is held back anew.
    pub(super) fn load(store: &dyn Store, gone_limit: usize, hour: Hour, running: u32) -> Result<Self, StoreError> {
        let mark = store.load_setting(Setting::Released)?.and_then(|bytes| Some(u64::from_be_bytes(bytes.as_slice().try_into().ok()?)));
        let mark = mark.unwrap_or(0);
        let mut holdings = Self { gone_limit, running, released_up_to: mark, arrived: store.last_sequence()?, ..Self::default() };
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
        self.by_sequence.insert(row.sequence, row.id);
        self.arrived = self.arrived.max(row.sequence);
        self.by_tag.insert((row.tag, row.id));
        self.by_commitment.insert((row.commitment, row.id));
        self.bytes += u64::from(row.size);
        self.pools.insert(row, expiry_of(row));
        if let Origin::Contact(contact) = row.origin {
            *self.unopened.entry(contact).or_default() += u64::from(row.size);
        }
        if matches!(row.origin, Origin::Own(_)) {
            self.last_own = self.last_own.max(row.sequence);
        }
        if held.released {
            self.show(row.created, row.id, expiry_of(row), true, true);
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
        self.by_tag.remove(&(row.tag, row.id));
        self.by_commitment.remove(&(row.commitment, row.id));
        self.hide(row.created, id);
        Some(held)
    }

    fn index_gone(&mut self, gone: Gone, hour: Hour) {
        let row = &gone.row;
        self.gone_by_age.insert((row.at, row.id));
        if is_strangers(row.origin) {
            self.gone_of_strangers.insert((row.at, row.id));
        }
        if row.reason == GoneReason::Dropped {
            self.by_commitment.insert((row.commitment, row.id));
            self.dropped_by_tag.insert((row.tag, row.id));
            self.show(row.created, row.id, Some(row.expiry), false, gone.is_told_to_strangers(hour, self.running));
        }
        self.gone.insert(row.id, gone);
    }

    fn unindex_gone(&mut self, id: &BundleId) -> Option<Gone> {
        let gone = self.gone.remove(id)?;
        self.gone_by_age.remove(&(gone.row.at, gone.row.id));
        self.gone_of_strangers.remove(&(gone.row.at, gone.row.id));
        if gone.row.reason == GoneReason::Dropped {
            self.by_commitment.remove(&(gone.row.commitment, *id));
            self.dropped_by_tag.remove(&(gone.row.tag, *id));
            self.hide(gone.row.created, id);
        }
        Some(gone)
    }

    fn show(&mut self, created: Hour, id: BundleId, expiry: Option<Hour>, held: bool, to_strangers: bool) {
        self.for_contacts.insert(created, id, expiry, held);
        if to_strangers {
            self.for_strangers.insert(created, id, expiry, held);
        }
    }

    fn hide(&mut self, created: Hour, id: &BundleId) {
        self.for_contacts.remove(created, id);
        self.for_strangers.remove(created, id);
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
        self.show(created, *id, expiry, true, true);
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
    pub(super) const fn set(&self, for_contacts: bool) -> &ItemSet {
        if for_contacts { &self.for_contacts } else { &self.for_strangers }
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
                self.index_gone(Gone { row: gone, slot, number: self.let_go, since: self.running }, at);
                self.limit_gone(store)?;
            }
            None => self.free_slots.push(slot),
        }
        Ok(Some(row))
    }

    fn limit_gone(&mut self, store: &mut dyn Store) -> Result<(), StoreError> {
        while self.gone_of_strangers.len() > self.gone_limit / 2
            && let Some((_, oldest)) = self.gone_of_strangers.first().copied()
        {
            self.forget_gone(store, &oldest)?;
        }
        while self.gone.len() > self.gone_limit
            && let Some((_, oldest)) = self.gone_by_age.first().copied()
        {
            self.forget_gone(store, &oldest)?;
        }
        Ok(())
    }

    /// Forgets an id that is not held.
    pub(super) fn forget_gone(&mut self, store: &mut dyn Store, id: &BundleId) -> Result<(), StoreError> {
        if let Some(gone) = self.unindex_gone(id) {
            self.free_slots.push(gone.slot);
            store.delete_gone(id)?;
        }
        Ok(())
    }

    /// Notes of an id that was dropped that it was also acknowledged; `false` if it was not dropped.
    pub(super) fn acknowledge_dropped(
        &mut self,
        store: &mut dyn Store,
        id: &BundleId,
        ack: [u8; 16],
        hour: Hour,
    ) -> Result<bool, StoreError> {
        if self.known(id) != Some(Known::Gone(GoneReason::Dropped)) {
            return Ok(false);
        }
        let Some(Gone { row, slot, .. }) = self.unindex_gone(id) else { return Ok(false) };
        let row = GoneRow { reason: GoneReason::Acknowledged, ack, at: hour, ..row };
        store.insert_gone(&row)?;
        self.let_go += 1;
        self.index_gone(Gone { row, slot, number: self.let_go, since: self.running }, hour);
        Ok(true)
    }

    /// The ack secret of an id that is known to be acknowledged.
    pub(super) fn ack_of(&self, id: &BundleId) -> Option<[u8; 16]> {
        let gone = self.gone.get(id).filter(|gone| gone.row.reason == GoneReason::Acknowledged)?;
        Some(gone.row.ack)
    }

    /// Whether strangers are still told of an id that is gone.
    pub(super) fn is_told_to_strangers(&self, id: &BundleId, hour: Hour) -> bool {
        self.gone.get(id).is_some_and(|gone| gone.is_told_to_strangers(hour, self.running))
    }

    /// Ack secrets learnt since `hour`, and after the first `told` bundles that were let go; the newest first.
    pub(super) fn acks_since(&self, hour: Hour, told: Option<u64>) -> impl Iterator<Item = [u8; 16]> {
        let later = move |id: &BundleId| told.is_none_or(|told| self.gone.get(id).is_some_and(|gone| gone.number > told));
        self.gone_by_age.range((hour, BundleId([0; 32]))..).rev().filter(move |(_, id)| later(id)).filter_map(|(_, id)| self.ack_of(id))
    }

    /// How many bundles were let go, or learnt to be read, since the program started.
    pub(super) const fn let_go(&self) -> u64 {
        self.let_go
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

    /// Forgets ids that need not be remembered at `hour`: expired ones, and where strangers' pool has room again those that were dropped
    /// from it a day ago. What is a day old is no longer shown to strangers.
    pub(super) fn prune_gone(&mut self, store: &mut dyn Store, hour: Hour, strangers_have_room: bool) -> Result<(), StoreError> {
        let mut doomed = Vec::new();
        let mut faded = Vec::new();
        for gone in self.gone.values() {
            let (row, is_old) = (&gone.row, !gone.is_told_to_strangers(hour, self.running));
            if row.expiry <= hour || (is_old && strangers_have_room && is_strangers(row.origin) && row.reason == GoneReason::Dropped) {
                doomed.push(row.id);
            } else if is_old {
                faded.push((row.created, row.id));
            }
        }
        for (created, id) in faded {
            self.for_strangers.remove(created, &id);
        }
        doomed.iter().try_for_each(|id| self.forget_gone(store, id))
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

    /// What others' bundles take, by pool.
    pub(super) const fn pools(&self) -> &Pools {
        &self.pools
    }

    /// The bundle that gives way first in a pool.
    pub(super) fn victim(&self, pool: Pool) -> Option<BundleId> {
        self.pools.victim(pool)
    }

    /// Begins to count the age of bundles whose sender had no clock and that came while there was none here, or while it was ahead.
    pub(super) fn stamp_stored(&mut self, store: &mut dyn Store, hour: Hour) -> Result<(), StoreError> {
        let clockless = self.held.values_mut().map(|held| &mut held.row).filter(|row| row.created == Hour::UNKNOWN);
        for row in clockless.filter(|row| row.stored == Hour::UNKNOWN || row.stored > hour) {
            self.pools.remove(row, expiry_of(row));
            row.stored = hour;
            self.pools.insert(row, expiry_of(row));
            store.save_stored(&row.id, hour)?;
        }
        Ok(())
    }

    /// All ids held or remembered, with their slots.
    pub(super) fn all_known(&self) -> impl Iterator<Item = (&BundleId, Slot)> {
        let held = self.held.iter().map(|(id, held)| (id, held.slot));
        held.chain(self.gone.iter().map(|(id, gone)| (id, gone.slot)))
    }

    /// The slot of an id that is held or remembered.
    pub(super) fn slot_of(&self, id: &BundleId) -> Option<Slot> {
        self.held.get(id).map(|held| held.slot).or_else(|| Some(self.gone.get(id)?.slot))
    }

    /// The id that a slot stands for now, or stood for last.
    pub(super) fn in_slot(&self, slot: Slot) -> Option<BundleId> {
        self.slots.get(slot as usize).copied()
    }

    /// The tag of an id that is remembered.
    pub(super) fn gone_tag(&self, id: &BundleId) -> Option<Tag> {
        self.gone.get(id).map(|gone| gone.row.tag)
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
        under(&self.by_tag, *tag).collect()
    }

    /// Forgets the ids dropped under a tag: they are wanted again.
    pub(super) fn forget_dropped_under(&mut self, store: &mut dyn Store, tag: &Tag) -> Result<(), StoreError> {
        let ids: Vec<BundleId> = under(&self.dropped_by_tag, *tag).collect();
        ids.iter().try_for_each(|id| self.forget_gone(store, id))
    }

    /// How many ids are held or remembered.
    pub(super) fn count_known(&self) -> usize {
        self.held.len() + self.gone.len()
    }

    /// The bundles held or dropped with this commitment, at most so many.
    pub(super) fn with_commitment(&self, commitment: &Commitment, most: usize) -> Vec<BundleId> {
        under(&self.by_commitment, *commitment).take(most).collect()
    }

    /// Bundles that arrived after `sequence`, in order of arrival.
    pub(super) fn after(&self, sequence: u64) -> impl Iterator<Item = &BundleRow> {
        self.by_sequence.range(sequence.saturating_add(1)..).filter_map(|(_, id)| self.row(id))
    }

    /// All bundles held.
    pub(super) fn rows(&self) -> impl Iterator<Item = &BundleRow> {
        self.held.values().map(|held| &held.row)
    }

    /// The ids remembered of bundles to or from this contact.
    pub(super) fn gone_with(&self, contact: ContactId) -> impl Iterator<Item = &GoneRow> {
        self.gone.values().map(|gone| &gone.row).filter(move |row| is_between(row.origin, contact))
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
}

/// The ids in an index under one key.
fn under<K: Copy + Ord>(index: &BTreeSet<(K, BundleId)>, key: K) -> impl Iterator<Item = BundleId> {
    index.range((key, BundleId([0; 32]))..=(key, BundleId([u8::MAX; 32]))).map(|(_, id)| *id)
}

const fn is_strangers(origin: Origin) -> bool {
    matches!(origin, Origin::StrangerInbound | Origin::StrangerOutbound)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::memory::MemoryStore;

    /// A bundle that shows the commitment of all others here.
    fn bundle(number: u8) -> Bundle {
        let mut bytes = vec![number; 512];
        bytes[..8].copy_from_slice(&[1, 0, 3, 0, 0, 7, 0x9c, 0x0e]);
        bytes[24..40].fill(7);
        bytes[40..48].fill(0);
        Bundle::decode(bytes).unwrap()
    }

    fn with(numbers: std::ops::Range<u8>) -> (Holdings, MemoryStore) {
        let (mut holdings, mut store) = (Holdings { gone_limit: 9, ..Holdings::default() }, MemoryStore::new());
        store.begin().unwrap();
        for number in numbers {
            let origin = if number == 0 { Origin::Own(ContactId(1)) } else { Origin::Contact(ContactId(u32::from(number))) };
            holdings.insert(&mut store, &bundle(number), origin, 0, Hour(498_800)).unwrap();
        }
        (holdings, store)
    }

    #[test]
    fn a_copied_commitment_hides_no_bundle() {
        let (mut holdings, mut store) = with(0..3);
        let commitment = bundle(0).header().commitment;
        assert_eq!(holdings.with_commitment(&commitment, 9).len(), 3);
        holdings.remove(&mut store, &bundle(2).id(), Some((GoneReason::Dropped, [0; 16], Hour(1)))).unwrap();
        holdings.forget_gone(&mut store, &bundle(2).id()).unwrap();
        holdings.remove(&mut store, &bundle(1).id(), None).unwrap();
        assert_eq!(holdings.with_commitment(&commitment, 9), [bundle(0).id()], "the one that is left is still found");
        holdings.forget_contact(&mut store, ContactId(1)).unwrap();
        assert!(
            holdings.by_commitment.is_empty() && holdings.by_tag.is_empty() && holdings.dropped_by_tag.is_empty(),
            "nothing stays behind"
        );
    }

    #[test]
    fn own_bundles_are_in_no_set_and_no_pool_until_released_and_then_in_both_sets() {
        let (mut holdings, mut store) = with(0..3);
        let own = bundle(0);
        let sees = |holdings: &Holdings| [false, true].map(|set| holdings.set(set).contains(own.header().created, &own.id()));
        assert_eq!((sees(&holdings), holdings.pools().size().0, holdings.last_sequence()), ([false; 2], 2, 0));
        assert!(holdings.release(&own.id()) && !holdings.release(&own.id()));
        assert_eq!((sees(&holdings), holdings.pools().size().0, holdings.last_sequence()), ([true; 2], 2, 3));
        holdings.remove(&mut store, &own.id(), Some((GoneReason::Acknowledged, [1; 16], Hour(1)))).unwrap();
        assert_eq!((sees(&holdings), holdings.ack_of(&own.id())), ([false; 2], Some([1; 16])));
    }

    #[test]
    fn a_dropped_bundle_fades_for_strangers_after_a_day_and_stays_for_contacts() {
        let (mut holdings, mut store) = with(1..3);
        let dropped = bundle(1);
        holdings.remove(&mut store, &dropped.id(), Some((GoneReason::Dropped, [0; 16], Hour(498_800)))).unwrap();
        let sees = |holdings: &Holdings| [false, true].map(|set| holdings.set(set).contains(dropped.header().created, &dropped.id()));
        holdings.prune_gone(&mut store, Hour(498_823), false).unwrap();
        assert_eq!(sees(&holdings), [true; 2]);
        assert!(
            holdings.is_told_to_strangers(&dropped.id(), Hour(498_823)) && !holdings.is_told_to_strangers(&dropped.id(), Hour(498_824))
        );
        holdings.prune_gone(&mut store, Hour(498_824), false).unwrap();
        assert_eq!(sees(&holdings), [false, true]);
    }

    #[test]
    fn without_a_clock_a_mark_fades_after_a_day_of_running() {
        let (mut holdings, mut store) = with(1..3);
        let dropped = bundle(1);
        let told = |holdings: &Holdings| {
            (
                holdings.set(false).contains(dropped.header().created, &dropped.id()),
                holdings.is_told_to_strangers(&dropped.id(), Hour::UNKNOWN),
            )
        };
        holdings.note_running(500);
        holdings.remove(&mut store, &dropped.id(), Some((GoneReason::Dropped, [0; 16], Hour::UNKNOWN))).unwrap();
        for (running, is_told) in [(523, true), (524, false)] {
            holdings.note_running(running);
            holdings.prune_gone(&mut store, Hour::UNKNOWN, false).unwrap();
            assert_eq!(told(&holdings), (is_told, is_told), "after {running} hours");
        }
        assert!(holdings.set(true).contains(dropped.header().created, &dropped.id()), "contacts are told as long as it is remembered");
        // A restart begins the day anew.
        store.commit().unwrap();
        assert_eq!(told(&Holdings::load(&store, 9, Hour::UNKNOWN, 530).unwrap()), (true, true));
    }

    #[test]
    fn a_slot_is_used_again_and_names_what_it_holds_now() {
        let (mut holdings, mut store) = with(0..3);
        let slot = holdings.slot_of(&bundle(1).id()).unwrap();
        holdings.remove(&mut store, &bundle(1).id(), None).unwrap();
        holdings.insert(&mut store, &bundle(5), Origin::StrangerInbound, 0, Hour(498_800)).unwrap();
        assert_eq!((holdings.slot_of(&bundle(5).id()), holdings.in_slot(slot)), (Some(slot), Some(bundle(5).id())));
    }
}
