//! The ids whose bundles are gone: for how long they are remembered, and who is told of them.
//!
//! A bundle that was read leaves its ack secret behind, one that was dropped a mark that it is not wanted again. Contacts are told of both until
//! the bundle has expired, strangers of what was read for a week and of what was dropped for a day. How many are remembered is limited, strangers'
//! to half of it; the oldest are forgotten first.

use super::{Holdings, Known, Slot, is_between};
use crate::{
    id::{BundleId, ContactId, Tag},
    store::{GoneReason, GoneRow, Origin, Store, StoreError},
    time::Hour,
};

/// For how long strangers are told of ids whose bundles were dropped, hours (protocol review, H5).
const TOLD_TO_STRANGERS: u32 = 24;
/// The same for bundles that were read. measured: taken anew after a day, such mail went round and took a quarter of all links
/// (docs/design/001-acknowledged-ids.md).
const ACKS_TOLD_TO_STRANGERS: u32 = 7 * 24;

/// An id remembered.
pub(super) struct Gone {
    pub(super) row: GoneRow,
    pub(super) slot: Slot,
    /// Counts what was let go, or learnt to be read, since the program started; 0 for what was gone before.
    pub(super) number: u64,
    /// The running hour since which it is told of; counts while there is no mesh hour, or was none when it went.
    pub(super) since: u32,
}

impl Gone {
    /// Whether strangers are still told of it; without a mesh hour, now or when it went, running time counts.
    const fn is_told_to_strangers(&self, hour: Hour, running: u32) -> bool {
        let is_timed = hour.0 != Hour::UNKNOWN.0 && self.row.at.0 != Hour::UNKNOWN.0;
        let (now, since) = if is_timed { (hour.0, self.row.at.0) } else { (running, self.since) };
        now < since.saturating_add(self.told_to_strangers())
    }

    /// For how long strangers are told of it, hours.
    const fn told_to_strangers(&self) -> u32 {
        match self.row.reason {
            GoneReason::Acknowledged => ACKS_TOLD_TO_STRANGERS,
            GoneReason::Dropped => TOLD_TO_STRANGERS,
        }
    }

    /// The mesh hour at which it expires, or strangers are told of it no longer.
    fn due(&self) -> Hour {
        self.row.expiry.min(self.row.at.plus(self.told_to_strangers()))
    }
}

impl Holdings {
    pub(super) fn index_gone(&mut self, gone: Gone, hour: Hour) {
        let row = &gone.row;
        self.gone_by_age.insert((row.at, row.id));
        if is_strangers(row.origin) {
            self.gone_of_strangers.insert((row.at, row.id));
        }
        if row.reason == GoneReason::Dropped {
            self.by_commitment.insert((row.commitment, gone.slot));
            self.dropped_by_tag.insert((row.tag, gone.slot));
            self.shown.insert(row.created, row.id, Some(row.expiry), false, gone.is_told_to_strangers(hour, self.running));
        }
        self.no_gone_due_before = self.no_gone_due_before.min(gone.due());
        self.gone.insert(row.id, gone);
    }

    pub(super) fn unindex_gone(&mut self, id: &BundleId) -> Option<Gone> {
        let gone = self.gone.remove(id)?;
        self.gone_by_age.remove(&(gone.row.at, gone.row.id));
        self.gone_of_strangers.remove(&(gone.row.at, gone.row.id));
        if gone.row.reason == GoneReason::Dropped {
            self.by_commitment.remove(&(gone.row.commitment, gone.slot));
            self.dropped_by_tag.remove(&(gone.row.tag, gone.slot));
            self.shown.remove(gone.row.created, id);
        }
        Some(gone)
    }

    pub(super) fn limit_gone(&mut self, store: &mut dyn Store) -> Result<(), StoreError> {
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
    pub(in super::super) fn forget_gone(&mut self, store: &mut dyn Store, id: &BundleId) -> Result<(), StoreError> {
        if let Some(gone) = self.unindex_gone(id) {
            self.free_slots.push(gone.slot);
            store.delete_gone(id)?;
        }
        Ok(())
    }

    /// Notes of an id that was dropped that it was also acknowledged; `false` if it was not dropped.
    pub(in super::super) fn acknowledge_dropped(
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

    /// Forgets the ids dropped under a tag: they are wanted again.
    pub(in super::super) fn forget_dropped_under(&mut self, store: &mut dyn Store, tag: &Tag) -> Result<(), StoreError> {
        let ids: Vec<BundleId> = self.under(&self.dropped_by_tag, *tag).collect();
        ids.iter().try_for_each(|id| self.forget_gone(store, id))
    }

    /// Dates what went while there was no hour back from `hour` by running time: else it would count as gone for ages.
    pub(in super::super) fn stamp_gone(&mut self, store: &mut dyn Store, hour: Hour) -> Result<(), StoreError> {
        while let Some(id) = self.gone_by_age.first().filter(|(at, _)| *at == Hour::UNKNOWN).map(|(_, id)| *id)
            && let Some(Gone { row, slot, number, since }) = self.unindex_gone(&id)
        {
            let at = Hour(hour.0.saturating_sub(self.running.saturating_sub(since)).max(Hour::UNKNOWN.0 + 1));
            let row = GoneRow { at, ..row };
            store.insert_gone(&row)?;
            self.index_gone(Gone { row, slot, number, since }, hour);
        }
        Ok(())
    }

    /// Forgets ids that need not be remembered at `hour`: expired ones, and where strangers' pool has room again those that were dropped
    /// from it a day ago. What is a day old is no longer shown to strangers.
    pub(in super::super) fn prune_gone(&mut self, store: &mut dyn Store, hour: Hour, strangers_have_room: bool) -> Result<(), StoreError> {
        let is_known = hour != Hour::UNKNOWN;
        if is_known && hour < self.no_gone_due_before && (self.strangers_had_room || !strangers_have_room) {
            return Ok(());
        }
        let (mut doomed, mut faded, mut next) = (Vec::new(), Vec::new(), Hour(u32::MAX));
        for gone in self.gone.values() {
            let (row, is_old) = (&gone.row, !gone.is_told_to_strangers(hour, self.running));
            if row.expiry <= hour || (is_old && strangers_have_room && is_strangers(row.origin) && row.reason == GoneReason::Dropped) {
                doomed.push(row.id);
                continue;
            }
            if is_old {
                faded.push((row.created, row.id));
            }
            next = next.min(if is_old { row.expiry } else { gone.due() });
        }
        if is_known {
            (self.no_gone_due_before, self.strangers_had_room) = (next, strangers_have_room);
        }
        for (created, id) in faded {
            self.shown.fade(created, &id);
        }
        doomed.iter().try_for_each(|id| self.forget_gone(store, id))
    }

    /// The ack secret of an id that is known to be acknowledged.
    pub(in super::super) fn ack_of(&self, id: &BundleId) -> Option<[u8; 16]> {
        let gone = self.gone.get(id).filter(|gone| gone.row.reason == GoneReason::Acknowledged)?;
        Some(gone.row.ack)
    }

    /// Whether strangers are still told of an id that is gone.
    pub(in super::super) fn is_told_to_strangers(&self, id: &BundleId, hour: Hour) -> bool {
        self.gone.get(id).is_some_and(|gone| gone.is_told_to_strangers(hour, self.running))
    }

    /// Ack secrets learnt since `hour`, and after the first `told` bundles that were let go; the newest first.
    pub(in super::super) fn acks_since(&self, hour: Hour, told: Option<u64>) -> impl Iterator<Item = [u8; 16]> {
        let later = move |id: &BundleId| told.is_none_or(|told| self.gone.get(id).is_some_and(|gone| gone.number > told));
        self.gone_by_age.range((hour, BundleId([0; 32]))..).rev().filter(move |(_, id)| later(id)).filter_map(|(_, id)| self.ack_of(id))
    }

    /// How many bundles were let go, or learnt to be read, since the program started.
    pub(in super::super) const fn let_go(&self) -> u64 {
        self.let_go
    }

    /// The ids remembered of bundles to or from this contact.
    pub(in super::super) fn gone_with(&self, contact: ContactId) -> impl Iterator<Item = &GoneRow> {
        self.gone.values().map(|gone| &gone.row).filter(move |row| is_between(row.origin, contact))
    }

    /// The tag of an id that is remembered.
    pub(in super::super) fn gone_tag(&self, id: &BundleId) -> Option<Tag> {
        self.gone.get(id).map(|gone| gone.row.tag)
    }
}

const fn is_strangers(origin: Origin) -> bool {
    matches!(origin, Origin::StrangerInbound | Origin::StrangerOutbound)
}
