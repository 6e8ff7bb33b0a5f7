//! One known bundle, and sums of them.

use super::order::Key;
use crate::{id::BundleId, time::Hour};

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

    /// Says whether every item is shown.
    pub(super) const fn shows_all(self) -> bool {
        self.0 == 0
    }

    /// The longest lifetime, in hours, of those that leave out an item created at `hour`.
    pub(super) fn hidden_lifetime(self, hour: Hour) -> i64 {
        i64::from(self.0) - i64::from(hour.0)
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

    /// Says whether it is held from now on, or dropped and only remembered.
    pub(super) const fn set_held(&mut self, held: bool) {
        self.expiry_and_held = self.expiry() << 1 | held as u32;
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

    /// Hours from its created hour to its expiry, which may be negative: nobody checks that here. `None` if it expires by age.
    pub(super) fn lifetime(&self) -> Option<i64> {
        let expiry = self.expiry();
        (expiry != NEVER).then(|| i64::from(expiry) - i64::from(self.key.hour.0))
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
    /// One item.
    pub(super) fn of(item: &Item) -> Self {
        let mut halves = item.key.id.as_chunks::<16>().0.iter().map(|half| u128::from_be_bytes(*half));
        Self { high: halves.next().unwrap_or(0), low: halves.next().unwrap_or(0), count: 1 }
    }

    /// Those of some items that a session shows.
    pub(super) fn of_shown(items: &[Item], cut: Cut) -> Self {
        items.iter().filter(|item| item.is_shown(cut)).fold(Self::default(), |total, item| total.plus(Self::of(item)))
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
