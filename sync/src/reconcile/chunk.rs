//! A run of neighbouring items, with what sessions ask of all of it kept beside it.

use super::set::Key;
use crate::{id::BundleId, time::Hour};

/// Most items in one chunk. guess: a scan of it costs less than a round trip by far, and 100,000 items are 200 to 400 chunks.
pub(super) const MAX_CHUNK: usize = 512;

/// Places that a chunk takes at once when it grows; it keeps at most two times as many unused. A `Vec` itself would double.
const SPARE: usize = 32;

/// In an item's or a session's hour of expiry: later than every hour. They have 31 bits; what lies beyond is the hour before this one.
const NEVER: u32 = u32::MAX >> 1;

/// Up to which hour of expiry items are left out of a session.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cut(u32);

impl Cut {
    /// Leaves out what expires at `hour` or before; nothing if it is [`Hour::UNKNOWN`].
    pub(super) fn at(hour: Hour) -> Self {
        Self(hour.0.min(NEVER - 1))
    }
}

/// One known bundle.
#[derive(Clone, Copy, Debug)]
pub(super) struct Item {
    /// Its place.
    pub(super) key: Key,
    /// The hour of expiry in the upper 31 bits, [`NEVER`] for a bundle that expires by age; in the lowest whether it is held.
    expiry_and_held: u32,
}

const _: () = assert!(size_of::<Item>() == 40, "100,000 items are to take less than 5 MB");

impl Item {
    /// A bundle by its place; `expiry` is `None` if it expires by age.
    pub(super) fn new(key: Key, expiry: Option<Hour>, held: bool) -> Self {
        let expiry = expiry.map_or(NEVER, |hour| hour.0.clamp(1, NEVER - 1));
        Self { key, expiry_and_held: expiry << 1 | u32::from(held) }
    }

    /// The bundle.
    pub(super) const fn id(&self) -> BundleId {
        BundleId(self.key.id)
    }

    /// Says whether it is held, or dropped and only remembered.
    pub(super) const fn is_held(&self) -> bool {
        self.expiry_and_held & 1 != 0
    }

    /// Says whether a session shows it.
    pub(super) const fn is_shown(&self, cut: Cut) -> bool {
        self.expiry() > cut.0
    }

    const fn expiry(&self) -> u32 {
        self.expiry_and_held >> 1
    }
}

/// How many items there are, and the sum of their ids as big-endian integers, modulo 2²⁵⁶.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Total {
    pub(super) high: u128,
    pub(super) low: u128,
    pub(super) count: u64,
}

impl Total {
    fn of(item: &Item) -> Self {
        let mut halves = item.key.id.as_chunks::<16>().0.iter().map(|half| u128::from_be_bytes(*half));
        Self { high: halves.next().unwrap_or(0), low: halves.next().unwrap_or(0), count: 1 }
    }

    /// Both together.
    pub(super) const fn plus(self, other: Self) -> Self {
        let (low, carry) = self.low.overflowing_add(other.low);
        Self { high: self.high.wrapping_add(other.high).wrapping_add(carry as u128), low, count: self.count + other.count }
    }

    /// This without `part`.
    pub(super) const fn minus(self, part: Self) -> Self {
        let (low, borrow) = self.low.overflowing_sub(part.low);
        Self { high: self.high.wrapping_sub(part.high).wrapping_sub(borrow as u128), low, count: self.count - part.count }
    }
}

/// What of a chunk expires at one hour.
#[derive(Clone, Debug)]
struct Expiring {
    expiry: u32,
    total: Total,
}

/// A run of neighbouring items, never empty where it is kept.
///
/// Neighbours are of few hours and there are five lifetimes, so that few hours of expiry occur in a chunk: what a session leaves out, at
/// whichever cut, is the sum of a few entries.
#[derive(Clone, Debug)]
pub(super) struct Chunk {
    /// Ascending.
    items: Vec<Item>,
    total: Total,
    /// Ascending by hour; without what expires by age.
    expiring: Vec<Expiring>,
}

impl Chunk {
    /// Takes over some items, ascending.
    pub(super) fn new(mut items: Vec<Item>) -> Self {
        items.shrink_to(items.len() + SPARE);
        let mut chunk = Self { items: Vec::new(), total: Total::default(), expiring: Vec::new() };
        items.iter().for_each(|item| chunk.count_in(item));
        chunk.items = items;
        chunk
    }

    /// All items, ascending.
    pub(super) fn items(&self) -> &[Item] {
        &self.items
    }

    /// Where an item lies, or where it would.
    pub(super) fn search(&self, key: &Key) -> Result<usize, usize> {
        self.items.binary_search_by_key(key, |item| item.key)
    }

    /// Says whether it can take no more.
    pub(super) const fn is_full(&self) -> bool {
        self.items.len() >= MAX_CHUNK
    }

    /// Puts an item where [`search`](Self::search) says it would lie.
    pub(super) fn insert(&mut self, position: usize, item: Item) {
        if self.items.len() == self.items.capacity() {
            self.items.reserve_exact(SPARE);
        }
        self.count_in(&item);
        self.items.insert(position, item);
    }

    /// Takes out the item at a position.
    pub(super) fn remove(&mut self, position: usize) {
        let removed = self.items.remove(position);
        if self.items.capacity() > self.items.len() + 2 * SPARE {
            self.items.shrink_to(self.items.len() + SPARE);
        }
        let one = Total::of(&removed);
        self.total = self.total.minus(one);
        if let Ok(at) = self.expiring_at(removed.expiry())
            && let Some(entry) = self.expiring.get_mut(at)
        {
            entry.total = entry.total.minus(one);
            if entry.total.count == 0 {
                self.expiring.remove(at);
            }
        }
    }

    /// Says that the item at a position is held, or only remembered.
    pub(super) fn set_held(&mut self, position: usize, held: bool) {
        if let Some(item) = self.items.get_mut(position) {
            item.expiry_and_held = item.expiry() << 1 | u32::from(held);
        }
    }

    /// Takes out the items from a position on, as a chunk of their own.
    pub(super) fn split_off(&mut self, position: usize) -> Self {
        let upper = self.items.split_off(position);
        *self = Self::new(std::mem::take(&mut self.items));
        Self::new(upper)
    }

    /// Takes over the items of a chunk that lies above this one.
    pub(super) fn absorb(&mut self, upper: Self) {
        self.items.reserve_exact(upper.items.len());
        self.items.extend(upper.items);
        *self = Self::new(std::mem::take(&mut self.items));
    }

    /// All items.
    pub(super) const fn total(&self) -> Total {
        self.total
    }

    /// What a session leaves out, by hour of expiry.
    pub(super) fn hidden(&self, cut: Cut) -> impl ExactSizeIterator<Item = Total> {
        let end = self.expiring.partition_point(|entry| entry.expiry <= cut.0);
        self.expiring.get(..end).unwrap_or_default().iter().map(|entry| entry.total)
    }

    /// Says whether a session leaves out any item.
    pub(super) fn hides(&self, cut: Cut) -> bool {
        self.expiring.first().is_some_and(|first| first.expiry <= cut.0)
    }

    /// Bytes that it takes.
    #[cfg(test)]
    pub(super) const fn bytes(&self) -> usize {
        self.items.capacity() * size_of::<Item>() + self.expiring.capacity() * size_of::<Expiring>()
    }

    fn count_in(&mut self, item: &Item) {
        let one = Total::of(item);
        self.total = self.total.plus(one);
        if item.expiry() == NEVER {
            return;
        }
        match self.expiring_at(item.expiry()) {
            Ok(at) => {
                if let Some(entry) = self.expiring.get_mut(at) {
                    entry.total = entry.total.plus(one);
                }
            }
            Err(at) => self.expiring.insert(at, Expiring { expiry: item.expiry(), total: one }),
        }
    }

    fn expiring_at(&self, expiry: u32) -> Result<usize, usize> {
        self.expiring.binary_search_by_key(&expiry, |entry| entry.expiry)
    }
}

/// Adds up those of some items that a session shows.
pub(super) fn total_shown(items: &[Item], cut: Cut) -> Total {
    items.iter().filter(|item| item.is_shown(cut)).fold(Total::default(), |total, item| total.plus(Total::of(item)))
}
