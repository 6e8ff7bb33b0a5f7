//! How much others may fill, and what of it gives way first (docs/design/006-carrying.md; protocol review, H3).

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use hedgerow_transports::{Direction, TransportKind};

use super::{
    Engine,
    config::EngineConfig,
    relay::{Copies, Kind, Place, RelayPolicy, Yield},
};
use crate::{
    id::{BundleId, ContactId},
    store::{BundleRow, GoneReason, Origin, StoreError},
    time::{Hour, Instant, Now},
    wire::bundle::Class,
};

/// Parts of a strangers' pool, by the hour of arrival modulo this.
const SLOTS: u32 = 24;
/// Of what strangers hold here, urgent bundles may be one part in so many (protocol review, M6: 10 %).
const URGENT_PART: u64 = 10;
/// Urgent bytes of strangers that always count as urgent, so that a nearly empty pool does not turn the first ones away (guess).
const URGENT_FREE: u64 = 64 << 10;
/// Bundles of one pool and slot that go out before it is another's turn, small ones and chunks (guess: of chunks as many as the largest file
/// of a conversation has).
const ROUND: usize = 16;
const ROUND_OF_CHUNKS: usize = 128;

/// Who brought a bundle, as far as room is concerned.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Pool {
    /// This contact.
    Contact(ContactId),
    /// Strangers who dialled us.
    Inbound,
    /// Strangers whom we dialled.
    Outbound,
    /// Everybody, where the relay policy has no pools.
    Common,
}

impl Pool {
    /// The pool of an origin; none for what was sealed here.
    pub(super) const fn of(origin: Origin) -> Option<Self> {
        match origin {
            Origin::Own(_) => None,
            Origin::Contact(contact) => Some(Self::Contact(contact)),
            Origin::StrangerInbound => Some(Self::Inbound),
            Origin::StrangerOutbound => Some(Self::Outbound),
        }
    }

    /// Bytes of a relay space of `space` that nobody takes from it who is further over its own.
    fn share(self, space: u64, config: &EngineConfig) -> u64 {
        let percent = match self {
            Self::Contact(_) => config.contact_share,
            Self::Inbound | Self::Outbound => config.stranger_share / 2,
            Self::Common => 100,
        };
        space / 100 * u64::from(percent)
    }

    const fn slot(self, row: &BundleRow) -> u32 {
        match self {
            Self::Contact(_) | Self::Common => 0,
            Self::Inbound | Self::Outbound => row.stored.0 % SLOTS,
        }
    }
}

/// Bundles of one kind that came in one hour of the day.
#[derive(Default)]
struct PoolSlot {
    bytes: u64,
    order: BTreeSet<Yield>,
}

/// One pool.
#[derive(Default)]
struct PoolState {
    bytes: u64,
    urgent: u64,
    slots: BTreeMap<Place, PoolSlot>,
}

/// What others' bundles take.
#[derive(Default)]
pub(super) struct Pools {
    relay: RelayPolicy,
    pools: BTreeMap<Pool, PoolState>,
    bytes: u64,
    count: usize,
    /// How many were sealed here.
    own: usize,
}

impl Pools {
    /// Nothing is held yet.
    pub(super) fn new(relay: RelayPolicy) -> Self {
        Self { relay, ..Self::default() }
    }

    /// How bundles spread.
    pub(super) const fn relay(&self) -> RelayPolicy {
        self.relay
    }

    /// Where a bundle is counted; nowhere if it was sealed here.
    fn pool_of(&self, origin: Origin) -> Option<Pool> {
        Pool::of(origin).map(|pool| self.pool(pool))
    }

    /// Where those are counted who would have this pool.
    const fn pool(&self, pool: Pool) -> Pool {
        if self.relay.has_pools() { pool } else { Pool::Common }
    }

    /// Counts a bundle that is held.
    pub(super) fn insert(&mut self, row: &BundleRow, expiry: Option<Hour>) {
        let Some(pool) = self.pool_of(row.origin) else {
            self.own += 1;
            return;
        };
        let size = u64::from(row.size);
        let state = self.pools.entry(pool).or_default();
        let slot = state.slots.entry(self.relay.place(row, pool.slot(row))).or_default();
        slot.order.insert(self.relay.yields(row, expiry));
        slot.bytes += size;
        state.bytes += size;
        state.urgent += if row.class == Class::Urgent { size } else { 0 };
        self.bytes += size;
        self.count += 1;
    }

    /// Takes a bundle out that was counted with this row.
    pub(super) fn remove(&mut self, row: &BundleRow, expiry: Option<Hour>) {
        let Some(pool) = self.pool_of(row.origin) else {
            self.own = self.own.saturating_sub(1);
            return;
        };
        let size = u64::from(row.size);
        let Some(state) = self.pools.get_mut(&pool) else { return };
        let place = self.relay.place(row, pool.slot(row));
        let Some(slot) = state.slots.get_mut(&place) else { return };
        if !slot.order.remove(&self.relay.yields(row, expiry)) {
            return;
        }
        slot.bytes -= size;
        state.bytes -= size;
        state.urgent -= if row.class == Class::Urgent { size } else { 0 };
        self.bytes -= size;
        self.count -= 1;
        if slot.order.is_empty() {
            state.slots.remove(&place);
        }
        if state.slots.is_empty() {
            self.pools.remove(&pool);
        }
    }

    /// In which round a bundle goes out that is about to be counted: of each pool and slot a few in turn, so that who brings much does not
    /// keep back what others bring.
    pub(super) fn turn(&self, row: &BundleRow) -> u16 {
        let place = |pool: Pool| self.relay.place(row, pool.slot(row));
        let before = match self.pool_of(row.origin) {
            Some(pool) => self.pools.get(&pool).and_then(|state| state.slots.get(&place(pool))).map_or(0, |slot| slot.order.len()),
            None => self.own,
        };
        let round = if Kind::of(row.size, row.class) == Kind::Chunk { ROUND_OF_CHUNKS } else { ROUND };
        u16::try_from(before / round).unwrap_or(u16::MAX)
    }

    /// The class that a bundle counts as here: strangers' urgent ones are normal beyond their part.
    pub(super) fn class_of(&self, origin: Origin, size: u16, class: Class) -> Class {
        let strangers = [Pool::Inbound, Pool::Outbound].map(|pool| self.pools.get(&pool));
        let sum = |field: fn(&PoolState) -> u64| strangers.iter().flatten().map(|state| field(state)).sum::<u64>();
        let most = (sum(|state| state.bytes) / URGENT_PART).max(URGENT_FREE);
        let is_strangers = matches!(origin, Origin::StrangerInbound | Origin::StrangerOutbound);
        if is_strangers && class == Class::Urgent && sum(|state| state.urgent) + u64::from(size) > most { Class::Normal } else { class }
    }

    /// The bundle that gives way first in this hour: of the kind that goes first the slot that weighs most, and in it as the relay policy has it.
    ///
    /// A slot weighs its bytes times the square of its age in hours, counted from one. So under steady pressure an hour keeps room by the
    /// inverse square of its age: what has lain longest has spread furthest, and what a short flood has left behind is soon gone.
    pub(super) fn victim(&self, pool: Pool, hour: Hour) -> Option<BundleId> {
        let slots = &self.pools.get(&pool)?.slots;
        let (first, _) = slots.first_key_value()?;
        let alike = slots.iter().take_while(|(place, _)| place.kind == first.kind);
        let age = |place: &Place| u64::from((hour.0 % SLOTS + SLOTS - place.slot) % SLOTS) + 1;
        let (_, heaviest) = alike.max_by_key(|(place, slot)| slot.bytes * age(place).pow(2))?;
        heaviest.order.first().map(|first| first.id)
    }

    /// Bytes in a pool.
    pub(super) fn bytes_in(&self, pool: Pool) -> u64 {
        self.pools.get(&pool).map_or(0, |state| state.bytes)
    }

    /// Bytes of all contacts' pools.
    pub(super) fn bytes_of_contacts(&self) -> u64 {
        [Pool::Inbound, Pool::Outbound, Pool::Common].into_iter().fold(self.bytes, |bytes, pool| bytes - self.bytes_in(pool))
    }

    /// How many bundles of others are held, and their bytes.
    pub(super) const fn size(&self) -> (usize, u64) {
        (self.count, self.bytes)
    }

    /// The pool that is furthest over its share, or nearest to it, once `more` bytes of a newcomer are counted.
    fn fullest(&self, space: u64, config: &EngineConfig, more: Option<(Pool, u64)>) -> Option<Pool> {
        let filled = |pool: Pool, bytes: u64| {
            let bytes = bytes + more.filter(|(newcomer, _)| *newcomer == pool).map_or(0, |(_, size)| size);
            // Parts of its share, so that a small one is over it as soon as a large one.
            u128::from(bytes) * 1_000_000 / u128::from(pool.share(space, config).max(1))
        };
        self.pools.iter().max_by_key(|(pool, state)| filled(**pool, state.bytes)).map(|(pool, _)| *pool)
    }
}

/// After so many hours without a receipt an own bundle that is counted gets copies anew (protocol review, M4).
const RENEWED_AFTER: u32 = 24;

const DAY: Duration = Duration::from_secs(86_400);

/// What strangers may bring on one transport: refilled as time goes on.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// Thousandths of a byte, so that short spans are not lost to rounding.
    filled: u128,
    at: Instant,
}

/// The token buckets of all transports, by who dialled.
#[derive(Default)]
pub(super) struct Buckets {
    buckets: BTreeMap<(TransportKind, bool), Bucket>,
}

impl Buckets {
    /// Bytes that strangers may bring now, by what the configuration gives both directions together.
    pub(super) fn available(&mut self, now: Instant, kind: TransportKind, direction: Direction, config: &EngineConfig) -> u64 {
        let half = u128::from(config.stranger_bytes_a_day / 2);
        let depth = half * config.stranger_bytes_saved.as_millis() / u128::from(DAY.as_secs());
        let bucket = self.buckets.entry((kind, direction == Direction::Inbound)).or_insert(Bucket { filled: depth, at: now });
        let gained = half * now.since(bucket.at).as_millis() / u128::from(DAY.as_secs());
        if gained > 0 {
            bucket.filled = (bucket.filled + gained).min(depth);
            bucket.at = now;
        }
        u64::try_from(bucket.filled / 1000).unwrap_or(u64::MAX)
    }

    /// Takes out what a stranger has brought.
    pub(super) fn take(&mut self, kind: TransportKind, direction: Direction, bytes: u64) {
        if let Some(bucket) = self.buckets.get_mut(&(kind, direction == Direction::Inbound)) {
            bucket.filled = bucket.filled.saturating_sub(u128::from(bytes) * 1000);
        }
    }
}

impl Engine {
    /// Drops others' bundles until one more of `size` bytes fits into the space; `false` if it never would.
    ///
    /// Anybody may fill what is free. Where nothing is, the pool that is furthest over its share gives way, the newcomer's own if that is it:
    /// so a pool within its share loses nothing while another is beyond its own.
    pub(super) fn make_room(&mut self, now: Now, pool: Pool, size: u64) -> Result<bool, StoreError> {
        let space = self.policy.relay.bytes;
        if size > space {
            return Ok(false);
        }
        let newcomer = (self.holdings.pools().pool(pool), size);
        self.shrink(now, space - size, Some(newcomer))?;
        Ok(self.holdings.pools().size().1 + size <= space)
    }

    /// Drops others' bundles until they fit into the space that the owner gives.
    pub(super) fn shrink_to_settings(&mut self, now: Now) -> Result<(), StoreError> {
        self.shrink(now, self.policy.relay.bytes, None)
    }

    fn shrink(&mut self, now: Now, space: u64, newcomer: Option<(Pool, u64)>) -> Result<(), StoreError> {
        while self.holdings.pools().size().1 > space {
            let Some(pool) = self.holdings.pools().fullest(self.policy.relay.bytes, &self.config, newcomer) else { return Ok(()) };
            if !self.drop_from(now, pool)? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Whether there is so much room again that what strangers brought and was dropped may come again.
    pub(super) fn strangers_have_room(&self) -> bool {
        self.holdings.pools().size().1 / 4 < self.policy.relay.bytes / 5
    }

    /// Whether so little room is left that copies of chunks are counted.
    pub(super) fn is_tight(&self) -> bool {
        self.holdings.pools().size().1 >= self.policy.relay.bytes / 2
    }

    /// With how many copies an own bundle starts.
    pub(super) fn copies_at_start(&mut self, id: &BundleId) -> Option<Copies> {
        let is_tight = self.is_tight();
        let row = self.holdings.row(id)?;
        Some(self.config.relay.start(row, is_tight, &mut self.jitter))
    }

    /// Gives a second load of copies to own bundles that nobody has confirmed for so long, once.
    pub(super) fn renew_copies(&mut self, hour: Hour) -> Result<(), StoreError> {
        let is_old = |row: &&BundleRow| row.stored != Hour::UNKNOWN && hour.0.saturating_sub(row.stored.0) >= RENEWED_AFTER;
        let own: Vec<BundleRow> = self.holdings.rows().filter(|row| Pool::of(row.origin).is_none()).filter(is_old).cloned().collect();
        for row in own {
            let Some(copies) = self.config.relay.renew(&row, &mut self.jitter) else { continue };
            self.holdings.set_copies(self.store.as_mut(), &row.id, copies)?;
            self.offer_again(&row.id);
        }
        Ok(())
    }

    fn drop_from(&mut self, now: Now, pool: Pool) -> Result<bool, StoreError> {
        let hour = self.hour(now);
        let Some(id) = self.holdings.victim(pool, hour) else { return Ok(false) };
        Ok(self.holdings.remove(self.store.as_mut(), &id, Some((GoneReason::Dropped, [0; 16], hour)))?.is_some())
    }
}

#[cfg(test)]
mod tests;
