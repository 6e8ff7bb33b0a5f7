//! The order of items: places, bounds between them, and ranges.

use crate::time::Hour;

/// An item's place in the order: by hour, then by id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Key {
    /// Created hour.
    pub(super) hour: Hour,
    /// The id, or for a bound its prefix followed by zeros.
    pub(super) id: [u8; 32],
}

impl Key {
    /// Below or at every item.
    pub(super) const END: Self = Self { hour: Hour(0), id: [0; 32] };
}

/// The upper or lower edge of a range.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Bound {
    /// At this place.
    At(Key),
    /// Above every item.
    Top,
}

impl Bound {
    /// Below or at every item.
    pub(super) const END: Self = Self::At(Key::END);

    /// Says whether `key` lies below this bound.
    pub(super) fn is_above(&self, key: &Key) -> bool {
        match self {
            Self::At(bound) => bound > key,
            Self::Top => true,
        }
    }

    /// The lowest bound with the shortest prefix that lies at or below `newer` and above `older`.
    pub(super) fn between(newer: &Key, older: &Key) -> Self {
        let mut id = [0; 32];
        if newer.hour == older.hour {
            let common = newer.id.iter().zip(&older.id).take_while(|(a, b)| a == b).count();
            for (to, from) in id.iter_mut().zip(&newer.id).take(common + 1) {
                *to = *from;
            }
        }
        Self::At(Key { hour: newer.hour, id })
    }
}

/// The items below `above` and at or above `from`. Ordered newest first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Range {
    /// Upper edge, not contained.
    pub(super) above: Bound,
    /// Lower edge, contained.
    pub(super) from: Bound,
}

impl Range {
    /// Everything.
    pub(super) const ALL: Self = Self { above: Bound::Top, from: Bound::END };

    /// Says whether `key` lies in it.
    pub(super) fn contains(&self, key: &Key) -> bool {
        self.above.is_above(key) && !self.from.is_above(key)
    }
}

impl Ord for Range {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        other.above.cmp(&self.above).then_with(|| other.from.cmp(&self.from))
    }
}

impl PartialOrd for Range {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
