//! The bundles this node holds or remembers: an index in memory over the store's rows.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::{
    id::{BundleId, Commitment, ContactId, Tag},
    store::{BundleRow, GoneReason, GoneRow, Origin, Store, StoreError},
    time::Hour,
    wire::bundle::Bundle,
};

/// What [`Holdings`] says of an id.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Known {
    /// Its bytes are here.
    Held,
    /// It was here.
    Gone(GoneReason),
}

/// The index. Every change goes to the store in the same call.
#[derive(Default)]
pub(super) struct Holdings {
    held: BTreeMap<BundleId, BundleRow>,
    gone: BTreeMap<BundleId, GoneRow>,
    by_sequence: BTreeMap<u64, BundleId>,
    // Looked up, never iterated: their order can't reach an output.
    by_tag: HashMap<Tag, Vec<BundleId>>,
    /// Bundles held; several may show one commitment, as anybody can copy it.
    by_commitment: HashMap<Commitment, Vec<BundleId>>,
    /// Arrival sequences of bundles that were sealed elsewhere.
    foreign: BTreeSet<u64>,
    /// Bytes of bundles sealed in this batch: they leave in it, without being read again.
    fresh: HashMap<BundleId, Vec<u8>>,
    foreign_bytes: u64,
    bytes: u64,
    shares: HashMap<ContactId, Share>,
    /// Bundles of contacts that were opened and wait for their ack to be told.
    opened: HashSet<BundleId>,
    /// The gone, oldest first.
    gone_by_age: BTreeSet<(Hour, BundleId)>,
    /// How many ids are remembered without their bundles.
    gone_limit: usize,
}

/// What one contact has brought and is still held.
#[derive(Default)]
struct Share {
    bytes: u64,
    /// Those of them that nobody here could open.
    unopened: u64,
    sequences: BTreeSet<u64>,
}

impl Holdings {
    /// Builds the index; at most `gone_limit` ids are remembered without their bundles, the oldest are forgotten first.
    pub(super) fn load(store: &dyn Store, gone_limit: usize) -> Result<Self, StoreError> {
        let mut holdings = Self { gone_limit, ..Self::default() };
        store.visit_bundles(&mut |row| holdings.index(row))?;
        for row in store.load_gone()? {
            holdings.gone_by_age.insert((row.at, row.id));
            holdings.gone.insert(row.id, row);
        }
        Ok(holdings)
    }

    fn index(&mut self, row: BundleRow) {
        self.by_sequence.insert(row.sequence, row.id);
        self.by_tag.entry(row.tag).or_default().push(row.id);
        self.by_commitment.entry(row.commitment).or_default().push(row.id);
        self.bytes += u64::from(row.size);
        if !matches!(row.origin, Origin::Own(_)) {
            self.foreign_bytes += u64::from(row.size);
            self.foreign.insert(row.sequence);
        }
        if let Origin::Contact(contact) = row.origin {
            let share = self.shares.entry(contact).or_default();
            share.bytes += u64::from(row.size);
            share.unopened += u64::from(row.size);
            share.sequences.insert(row.sequence);
        }
        self.held.insert(row.id, row);
    }

    fn unindex(&mut self, id: &BundleId) -> Option<BundleRow> {
        let row = self.held.remove(id)?;
        self.by_sequence.remove(&row.sequence);
        self.fresh.remove(id);
        self.bytes -= u64::from(row.size);
        if !matches!(row.origin, Origin::Own(_)) {
            self.foreign_bytes -= u64::from(row.size);
            self.foreign.remove(&row.sequence);
        }
        let was_opened = self.opened.remove(id);
        if let Origin::Contact(contact) = row.origin
            && let Some(share) = self.shares.get_mut(&contact)
        {
            share.bytes -= u64::from(row.size);
            share.unopened -= if was_opened { 0 } else { u64::from(row.size) };
            share.sequences.remove(&row.sequence);
            if share.sequences.is_empty() {
                self.shares.remove(&contact);
            }
        }
        take_out(&mut self.by_tag, &row.tag, id);
        take_out(&mut self.by_commitment, &row.commitment, id);
        Some(row)
    }

    /// Stores a bundle that is neither held nor gone; returns its arrival sequence.
    pub(super) fn insert(
        &mut self,
        store: &mut dyn Store,
        bundle: &Bundle,
        origin: Origin,
        age: u16,
        stored: Hour,
    ) -> Result<u64, StoreError> {
        let header = bundle.header();
        let mut row = BundleRow {
            id: bundle.id(),
            sequence: 0,
            size: bundle.bytes().len() as u16,
            class: header.class,
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
        self.index(row);
        if matches!(origin, Origin::Own(_)) {
            self.fresh.insert(bundle.id(), bundle.bytes().to_vec());
        }
        Ok(sequence)
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
        let Some(row) = self.unindex(id) else { return Ok(None) };
        store.delete_bundle(id)?;
        if let Some(((reason, ack, at), expiry)) = remember.zip(expiry_of(&row)) {
            let BundleRow { created, tag, commitment, origin, .. } = row;
            let gone = GoneRow { id: *id, created, expiry, tag, commitment, reason, ack, at, origin };
            store.insert_gone(&gone)?;
            self.gone_by_age.insert((at, *id));
            self.gone.insert(*id, gone);
            while self.gone.len() > self.gone_limit
                && let Some((_, oldest)) = self.gone_by_age.first().copied()
            {
                self.forget_gone(store, &oldest)?;
            }
        }
        Ok(Some(row))
    }

    /// Forgets an id that is not held.
    pub(super) fn forget_gone(&mut self, store: &mut dyn Store, id: &BundleId) -> Result<(), StoreError> {
        if let Some(row) = self.gone.remove(id) {
            self.gone_by_age.remove(&(row.at, row.id));
            store.delete_gone(id)?;
        }
        Ok(())
    }

    /// The ack secret of an id that is known to be acknowledged, if this contact is the other end of the bundle. To anybody else the
    /// secret would say whose node this is.
    pub(super) fn ack_for(&self, contact: ContactId, id: &BundleId) -> Option<[u8; 16]> {
        let row = self.gone.get(id).filter(|row| row.reason == GoneReason::Acknowledged && is_between(row.origin, contact))?;
        Some(row.ack)
    }

    /// Takes out what was sealed for a contact that the store has deleted, and forgets the ids it could ask for.
    pub(super) fn forget_contact(&mut self, store: &mut dyn Store, contact: ContactId) -> Result<(), StoreError> {
        let own: Vec<BundleId> = self.held.values().filter(|row| row.origin == Origin::Own(contact)).map(|row| row.id).collect();
        for id in &own {
            self.unindex(id);
        }
        let gone: Vec<BundleId> = self.gone_with(contact).map(|row| row.id).collect();
        gone.iter().try_for_each(|id| self.forget_gone(store, id))
    }

    /// Forgets ids that need not be remembered at `hour`.
    pub(super) fn prune_gone(&mut self, store: &mut dyn Store, hour: Hour) -> Result<(), StoreError> {
        let doomed: Vec<BundleId> = self.gone.values().filter(|row| row.expiry <= hour).map(|row| row.id).collect();
        doomed.iter().try_for_each(|id| self.forget_gone(store, id))
    }

    /// Notes that a bundle held was opened; it only waits for its ack to be told.
    pub(super) fn note_opened(&mut self, id: &BundleId) {
        if let Some(row) = self.held.get(id)
            && let Origin::Contact(contact) = row.origin
            && let Some(share) = self.shares.get_mut(&contact)
            && self.opened.insert(*id)
        {
            share.unopened -= u64::from(row.size);
        }
    }

    /// Bytes that a contact has brought, and those of them that could not be opened.
    pub(super) fn share_of(&self, contact: ContactId) -> (u64, u64) {
        self.shares.get(&contact).map_or((0, 0), |share| (share.bytes, share.unopened))
    }

    /// The bundle held for longest of those that a contact has brought.
    pub(super) fn oldest_of(&self, contact: ContactId) -> Option<BundleId> {
        self.by_sequence.get(self.shares.get(&contact)?.sequences.first()?).copied()
    }

    /// Begins to count the age of bundles whose sender had no clock and that came while there was none here, or while it was ahead.
    pub(super) fn stamp_stored(&mut self, store: &mut dyn Store, hour: Hour) -> Result<(), StoreError> {
        let clockless = self.held.values_mut().filter(|row| row.created == Hour::UNKNOWN);
        for row in clockless.filter(|row| row.stored == Hour::UNKNOWN || row.stored > hour) {
            row.stored = hour;
            store.save_stored(&row.id, hour)?;
        }
        Ok(())
    }

    /// Ids of all bundles between this node and a contact, held or remembered.
    pub(super) fn between(&self, contact: ContactId) -> impl Iterator<Item = &BundleId> {
        let held = self.held.values().filter(move |row| is_between(row.origin, contact)).map(|row| &row.id);
        held.chain(self.gone_with(contact).map(|row| &row.id))
    }

    /// The tag of an id that is remembered.
    pub(super) fn gone_tag(&self, id: &BundleId) -> Option<Tag> {
        self.gone.get(id).map(|row| row.tag)
    }

    /// What is known of an id.
    pub(super) fn known(&self, id: &BundleId) -> Option<Known> {
        if self.held.contains_key(id) { Some(Known::Held) } else { self.gone.get(id).map(|row| Known::Gone(row.reason)) }
    }

    /// The row of a bundle that is held.
    pub(super) fn row(&self, id: &BundleId) -> Option<&BundleRow> {
        self.held.get(id)
    }

    /// Bundles held under a tag.
    pub(super) fn with_tag(&self, tag: &Tag) -> Vec<BundleId> {
        self.by_tag.get(tag).cloned().unwrap_or_default()
    }

    /// The bundles held with this commitment.
    pub(super) fn with_commitment(&self, commitment: &Commitment) -> Vec<BundleId> {
        self.by_commitment.get(commitment).cloned().unwrap_or_default()
    }

    /// Bundles that arrived after `sequence`, in order of arrival.
    pub(super) fn after(&self, sequence: u64) -> impl Iterator<Item = &BundleRow> {
        self.by_sequence.range(sequence.saturating_add(1)..).filter_map(|(_, id)| self.held.get(id))
    }

    /// The bundle held for longest of those that were sealed elsewhere.
    pub(super) fn oldest_foreign(&self) -> Option<BundleId> {
        self.by_sequence.get(self.foreign.first()?).copied()
    }

    /// All bundles held.
    pub(super) fn rows(&self) -> impl Iterator<Item = &BundleRow> {
        self.held.values()
    }

    /// The ids remembered of bundles to or from this contact.
    pub(super) fn gone_with(&self, contact: ContactId) -> impl Iterator<Item = &GoneRow> {
        self.gone.values().filter(move |row| is_between(row.origin, contact))
    }

    /// The highest arrival sequence of a bundle that is held, 0 if none is.
    pub(super) fn last_sequence(&self) -> u64 {
        self.by_sequence.last_key_value().map_or(0, |(sequence, _)| *sequence)
    }

    /// How many bundles are held, and their bytes.
    pub(super) fn size(&self) -> (usize, u64) {
        (self.held.len(), self.bytes)
    }

    /// Bytes of bundles that were sealed elsewhere.
    pub(super) fn foreign_bytes(&self) -> u64 {
        self.foreign_bytes
    }
}

/// Takes a bundle out of the list of those with one tag or commitment.
fn take_out<K: std::hash::Hash + Eq>(lists: &mut HashMap<K, Vec<BundleId>>, key: &K, id: &BundleId) {
    if let Some(ids) = lists.get_mut(key) {
        ids.retain(|other| other != id);
        if ids.is_empty() {
            lists.remove(key);
        }
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
            holdings.insert(&mut store, &bundle(number), origin, 0, Hour(500_000)).unwrap();
        }
        (holdings, store)
    }

    #[test]
    fn a_copied_commitment_hides_no_bundle() {
        let (mut holdings, mut store) = with(0..3);
        let commitment = bundle(0).header().commitment;
        assert_eq!(holdings.with_commitment(&commitment).len(), 3);
        holdings.remove(&mut store, &bundle(2).id(), Some((GoneReason::Dropped, [0; 16], Hour(1)))).unwrap();
        holdings.forget_gone(&mut store, &bundle(2).id()).unwrap();
        holdings.remove(&mut store, &bundle(1).id(), None).unwrap();
        assert_eq!(holdings.with_commitment(&commitment), [bundle(0).id()], "the one that is left is still found");
        holdings.forget_contact(&mut store, ContactId(1)).unwrap();
        assert!(holdings.by_commitment.is_empty() && holdings.by_tag.is_empty(), "nothing stays behind");
    }

    #[test]
    fn the_oldest_of_others_is_found_past_our_own() {
        let (mut holdings, mut store) = with(0..3);
        assert_eq!(holdings.oldest_foreign(), Some(bundle(1).id()));
        holdings.remove(&mut store, &bundle(1).id(), None).unwrap();
        holdings.remove(&mut store, &bundle(2).id(), None).unwrap();
        assert_eq!(holdings.oldest_foreign(), None);
    }
}
