//! How much others may fill, and what of it gives way first (docs/design/006-carrying.md; protocol review, H3).

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use hedgerow_transports::{Direction, TransportKind};

use super::{Engine, config::EngineConfig};
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
/// Bundles of one pool and slot that go out before it is another's turn (guess).
const ROUND: usize = 16;
/// Small bundles, as chunks of files are not there yet, have no other order than this: most forwarded, then nearest expiry.
type Order = (Reverse<u16>, Hour, BundleId);

/// Who brought a bundle, as far as room is concerned.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Pool {
    /// This contact.
    Contact(ContactId),
    /// Strangers who dialled us.
    Inbound,
    /// Strangers whom we dialled.
    Outbound,
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

    /// Bytes that it may fill of a relay space of `space`.
    fn share(self, space: u64, config: &EngineConfig) -> u64 {
        let percent = match self {
            Self::Contact(_) => config.contact_share,
            Self::Inbound | Self::Outbound => config.stranger_share / 2,
        };
        space / 100 * u64::from(percent)
    }

    const fn slot(self, row: &BundleRow) -> u32 {
        match self {
            Self::Contact(_) => 0,
            Self::Inbound | Self::Outbound => row.stored.0 % SLOTS,
        }
    }
}

/// Bundles that came in one hour of the day.
#[derive(Default)]
struct PoolSlot {
    bytes: u64,
    order: BTreeSet<Order>,
}

/// One pool.
#[derive(Default)]
struct PoolState {
    bytes: u64,
    urgent: u64,
    slots: BTreeMap<u32, PoolSlot>,
}

/// What others' bundles take.
#[derive(Default)]
pub(super) struct Pools {
    pools: BTreeMap<Pool, PoolState>,
    bytes: u64,
    count: usize,
    /// How many were sealed here.
    own: usize,
}

impl Pools {
    /// Counts a bundle that is held.
    pub(super) fn insert(&mut self, row: &BundleRow, expiry: Option<Hour>) {
        let Some(pool) = Pool::of(row.origin) else {
            self.own += 1;
            return;
        };
        let size = u64::from(row.size);
        let state = self.pools.entry(pool).or_default();
        let slot = state.slots.entry(pool.slot(row)).or_default();
        slot.order.insert(order_of(row, expiry));
        slot.bytes += size;
        state.bytes += size;
        state.urgent += if row.class == Class::Urgent { size } else { 0 };
        self.bytes += size;
        self.count += 1;
    }

    /// Takes a bundle out that was counted with this row.
    pub(super) fn remove(&mut self, row: &BundleRow, expiry: Option<Hour>) {
        let Some(pool) = Pool::of(row.origin) else {
            self.own = self.own.saturating_sub(1);
            return;
        };
        let size = u64::from(row.size);
        let Some(state) = self.pools.get_mut(&pool) else { return };
        let number = pool.slot(row);
        let Some(slot) = state.slots.get_mut(&number) else { return };
        if !slot.order.remove(&order_of(row, expiry)) {
            return;
        }
        slot.bytes -= size;
        state.bytes -= size;
        state.urgent -= if row.class == Class::Urgent { size } else { 0 };
        self.bytes -= size;
        self.count -= 1;
        if slot.order.is_empty() {
            state.slots.remove(&number);
        }
        if state.slots.is_empty() {
            self.pools.remove(&pool);
        }
    }

    /// In which round a bundle goes out that is about to be counted: of each pool and slot a few in turn, so that who brings much does not
    /// keep back what others bring.
    pub(super) fn turn(&self, row: &BundleRow) -> u16 {
        let before = match Pool::of(row.origin) {
            Some(pool) => self.pools.get(&pool).and_then(|state| state.slots.get(&pool.slot(row))).map_or(0, |slot| slot.order.len()),
            None => self.own,
        };
        u16::try_from(before / ROUND).unwrap_or(u16::MAX)
    }

    /// The class that a bundle counts as here: strangers' urgent ones are normal beyond their part.
    pub(super) fn class_of(&self, origin: Origin, size: u16, class: Class) -> Class {
        let strangers = [Pool::Inbound, Pool::Outbound].map(|pool| self.pools.get(&pool));
        let sum = |field: fn(&PoolState) -> u64| strangers.iter().flatten().map(|state| field(state)).sum::<u64>();
        let most = (sum(|state| state.bytes) / URGENT_PART).max(URGENT_FREE);
        let is_strangers = matches!(origin, Origin::StrangerInbound | Origin::StrangerOutbound);
        if is_strangers && class == Class::Urgent && sum(|state| state.urgent) + u64::from(size) > most { Class::Normal } else { class }
    }

    /// The bundle that gives way first: of the fullest slot the one forwarded most, then the one that expires first.
    pub(super) fn victim(&self, pool: Pool) -> Option<BundleId> {
        let slots = &self.pools.get(&pool)?.slots;
        let fullest = slots.values().max_by_key(|slot| slot.bytes)?;
        fullest.order.first().map(|(_, _, id)| *id)
    }

    /// Bytes in a pool.
    pub(super) fn bytes_in(&self, pool: Pool) -> u64 {
        self.pools.get(&pool).map_or(0, |state| state.bytes)
    }

    /// Bytes of all contacts' pools.
    pub(super) fn bytes_of_contacts(&self) -> u64 {
        self.bytes - self.bytes_in(Pool::Inbound) - self.bytes_in(Pool::Outbound)
    }

    /// How many bundles of others are held, and their bytes.
    pub(super) const fn size(&self) -> (usize, u64) {
        (self.count, self.bytes)
    }

    /// The pool that is furthest over its share, or nearest to it.
    fn fullest(&self, space: u64, config: &EngineConfig) -> Option<Pool> {
        let part = |(pool, state): &(&Pool, &PoolState)| u128::from(state.bytes) * 1_000_000 / u128::from(pool.share(space, config).max(1));
        self.pools.iter().max_by_key(part).map(|(pool, _)| *pool)
    }
}

fn order_of(row: &BundleRow, expiry: Option<Hour>) -> Order {
    (Reverse(row.forwarded), expiry.unwrap_or(Hour(u32::MAX)), row.id)
}

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
    /// Bytes that strangers may bring now. `bytes_a_day` is for both directions together.
    pub(super) fn available(&mut self, now: Instant, kind: TransportKind, direction: Direction, bytes_a_day: u64) -> u64 {
        let half = u128::from(bytes_a_day / 2);
        let depth = half * 1000 / 24;
        let bucket = self.buckets.entry((kind, direction == Direction::Inbound)).or_insert(Bucket { filled: depth, at: now });
        let gained = half * now.since(bucket.at).as_millis() / 86_400;
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
    /// Drops others' bundles until one more of `size` bytes fits into its pool and into the whole; `false` if it never would.
    pub(super) fn make_room(&mut self, now: Now, pool: Pool, size: u64) -> Result<bool, StoreError> {
        let space = self.policy.relay.bytes;
        let share = pool.share(space, &self.config);
        if size > share.min(space) {
            return Ok(false);
        }
        while self.holdings.pools().bytes_in(pool) + size > share {
            if !self.drop_from(now, pool)? {
                return Ok(false);
            }
        }
        self.shrink(now, space - size)?;
        Ok(true)
    }

    /// Drops others' bundles until they fit into the space that the owner gives.
    pub(super) fn shrink_to_settings(&mut self, now: Now) -> Result<(), StoreError> {
        self.shrink(now, self.policy.relay.bytes)
    }

    fn shrink(&mut self, now: Now, space: u64) -> Result<(), StoreError> {
        while self.holdings.pools().size().1 > space {
            let Some(pool) = self.holdings.pools().fullest(self.policy.relay.bytes, &self.config) else { return Ok(()) };
            if !self.drop_from(now, pool)? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Whether strangers' pools are so far from full that what was dropped may come again.
    pub(super) fn strangers_have_room(&self) -> bool {
        let space = self.policy.relay.bytes;
        [Pool::Inbound, Pool::Outbound]
            .into_iter()
            .all(|pool| self.holdings.pools().bytes_in(pool) / 4 < pool.share(space, &self.config) / 5)
    }

    fn drop_from(&mut self, now: Now, pool: Pool) -> Result<bool, StoreError> {
        let hour = self.hour(now);
        let Some(id) = self.holdings.victim(pool) else { return Ok(false) };
        Ok(self.holdings.remove(self.store.as_mut(), &id, Some((GoneReason::Dropped, [0; 16], hour)))?.is_some())
    }
}
