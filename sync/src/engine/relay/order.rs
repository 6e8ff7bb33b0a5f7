//! In which order bundles leave on a link, and in which they give way.

use std::cmp::Reverse;

use super::RelayPolicy;
use crate::{
    id::{BundleId, ShortId},
    store::BundleRow,
    time::Hour,
    wire::bundle::{BUNDLE_SIZES, Class},
};

/// What a bundle is to carriers, who see its size alone: the largest are chunks of something larger.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(in super::super) enum Kind {
    /// Goes first of all: what makes the two ends contacts.
    First,
    /// Marked urgent, and counted so.
    Urgent,
    /// Up to 2,048 bytes.
    Small,
    /// 4,096 bytes.
    Chunk,
}

impl Kind {
    /// What a bundle of this size and class is.
    pub(in super::super) const fn of(size: u16, class: Class) -> Self {
        match class {
            Class::Urgent => Self::Urgent,
            Class::Normal if size < BUNDLE_SIZES[BUNDLE_SIZES.len() - 1] as u16 => Self::Small,
            Class::Normal => Self::Chunk,
        }
    }
}

/// The order in which bundles wait for a link; lower goes first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(in super::super) struct Rank {
    kind: Kind,
    /// Not asked for by id.
    later: bool,
    /// Not for the peer itself.
    others: bool,
    /// How often it was handed on.
    forwarded: u16,
    /// How many rounds of others come before it.
    turn: u16,
    /// Ascending.
    hour: u32,
    /// Ascending.
    sequence: u64,
    /// Ascending: what the link calls it.
    name: u64,
}

impl Rank {
    /// Before all others: what makes the two ends contacts.
    pub(in super::super) const FIRST: Self =
        Self { kind: Kind::First, later: false, others: false, forwarded: 0, turn: 0, hour: 0, sequence: 0, name: 0 };

    /// Its place on the link that calls it so.
    pub(in super::super) const fn called(self, short: ShortId) -> Self {
        Self { name: u64::from_be_bytes(short.0), ..self }
    }
}

/// A bundle that is to wait for a link, and what it is to the peer there.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Candidate<'a> {
    pub(in super::super) row: &'a BundleRow,
    /// The peer is its reader.
    pub(in super::super) for_peer: bool,
    /// The peer has asked for it by id.
    pub(in super::super) asked: bool,
    /// In which round of those who brought something it goes.
    pub(in super::super) turn: u16,
}

/// Among which bundles of its pool one gives way: those of the first kind before all others, of a kind those of the fullest slot.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(in super::super) struct Place {
    /// Chunks before all others.
    pub(in super::super) kind: Reverse<Kind>,
    /// A part of the pool.
    pub(in super::super) slot: u32,
}

/// The order in which bundles of one slot give way; lower goes first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(in super::super) struct Yield {
    forwarded: Reverse<u16>,
    since: u64,
    expiry: Hour,
    pub(in super::super) id: BundleId,
}

impl RelayPolicy {
    /// The place of a bundle among those that wait for a link.
    ///
    /// Within an hour of creation it goes by what the link calls the bundle, at random as far as others are concerned: two links that bring
    /// a node the same do not bring it in step, and so hardly ever twice. What is for the peer itself goes in the order it was sealed.
    pub(in super::super) fn rank(self, candidate: &Candidate<'_>) -> Rank {
        let Candidate { row, for_peer, asked, turn } = *candidate;
        let first = Rank { kind: Kind::Urgent, later: !asked, ..Rank::FIRST };
        match self {
            Self::Standard | Self::Unpooled | Self::Direct | Self::Spray(_) => {
                let rank = Rank { kind: Kind::of(row.size, row.class), others: !for_peer, turn, ..first };
                if for_peer {
                    Rank { sequence: row.sequence, ..rank }
                } else {
                    Rank { forwarded: row.forwarded, hour: u32::MAX - row.created.0, ..rank }
                }
            }
            Self::EpidemicOldest => Rank { hour: row.created.0, sequence: row.sequence, ..first },
            Self::EpidemicRandom => first,
        }
    }

    /// Among which bundles of its pool one gives way, if the pool has such slots.
    pub(in super::super) fn place(self, row: &BundleRow, slot: u32) -> Place {
        match self {
            Self::Standard | Self::Direct | Self::Spray(_) => {
                // Urgent and small share their slots: urgent ones are few by their own limit.
                Place { kind: Reverse(Kind::of(row.size, row.class).max(Kind::Small)), slot }
            }
            Self::Unpooled => Place { kind: Reverse(Kind::of(row.size, row.class).max(Kind::Small)), slot: 0 },
            Self::EpidemicOldest | Self::EpidemicRandom => Place { kind: Reverse(Kind::Small), slot: 0 },
        }
    }

    /// The order in which a bundle gives way among those of its place.
    pub(in super::super) fn yields(self, row: &BundleRow, expiry: Option<Hour>) -> Yield {
        let (forwarded, since, expiry) = match self {
            Self::Standard | Self::Unpooled | Self::Direct | Self::Spray(_) => {
                (Reverse(row.forwarded), 0, expiry.unwrap_or(Hour(u32::MAX)))
            }
            Self::EpidemicOldest => (Reverse(0), row.sequence, Hour::UNKNOWN),
            Self::EpidemicRandom => (Reverse(0), 0, Hour::UNKNOWN),
        };
        Yield { forwarded, since, expiry, id: row.id }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        id::{Commitment, Tag},
        store::Origin,
        wire::{bundle::Lifetime, record::COPIES_UNLIMITED},
    };

    const STANDARD: RelayPolicy = RelayPolicy::Standard;

    fn row(sequence: u64, size: u16, created: u32, forwarded: u16) -> BundleRow {
        BundleRow {
            id: BundleId([sequence as u8; 32]),
            sequence,
            size,
            class: Class::Normal,
            lifetime: Lifetime::Week,
            created: Hour(created),
            tag: Tag([2; 16]),
            commitment: Commitment([3; 16]),
            origin: Origin::StrangerInbound,
            age: 0,
            stored: Hour(created),
            forwarded,
            copies: COPIES_UNLIMITED,
        }
    }

    fn rank(policy: RelayPolicy, row: &BundleRow, asked: bool, for_peer: bool, turn: u16) -> Rank {
        policy.rank(&Candidate { row, for_peer, asked, turn })
    }

    #[test]
    fn bundles_are_sent_by_kind_then_asked_for_then_for_the_peer_then_fewest_hand_overs_then_newest() {
        let urgent = BundleRow { class: Class::Urgent, ..row(1, 4096, 100, 9) };
        let (small, chunk) = (row(2, 2048, 100, 9), row(3, 4096, 100, 0));
        let order = [
            Rank::FIRST,
            rank(STANDARD, &urgent, false, false, 9),
            rank(STANDARD, &small, true, false, 9),
            rank(STANDARD, &small, false, true, 9),
            rank(STANDARD, &row(4, 512, 99, 0), false, false, 9),
            rank(STANDARD, &row(5, 512, 101, 1), false, false, 0),
            rank(STANDARD, &row(6, 512, 102, 1), false, false, 1),
            rank(STANDARD, &row(7, 512, 101, 1), false, false, 1),
            rank(STANDARD, &chunk, true, true, 0),
            rank(STANDARD, &chunk, false, false, 0),
        ];
        assert!(order.is_sorted(), "{order:?}");
    }

    #[test]
    fn what_is_for_the_peer_goes_in_the_order_it_was_sealed_and_the_rest_as_the_link_calls_it() {
        let called = |row: &BundleRow, for_peer, name| rank(STANDARD, row, false, for_peer, 0).called(ShortId([name; 8]));
        let (first, second) = (row(1, 512, 100, 5), row(2, 512, 101, 0));
        assert!(called(&first, true, 9) < called(&second, true, 1));
        let (first, second) = (row(1, 512, 100, 0), row(2, 512, 100, 0));
        assert!(called(&first, false, 9) > called(&second, false, 1));
    }

    #[test]
    fn chunks_give_way_before_small_ones_then_what_was_handed_on_most_then_what_expires_first() {
        let place = |row: &BundleRow| STANDARD.place(row, 7);
        let urgent = BundleRow { class: Class::Urgent, ..row(1, 4096, 100, 9) };
        assert!(place(&row(1, 4096, 100, 0)) < place(&row(2, 2048, 100, 9)));
        assert_eq!(place(&urgent), place(&row(2, 2048, 100, 9)));
        let yields = |row: &BundleRow| STANDARD.yields(row, Some(Hour(row.created.0 + 168)));
        assert!(yields(&row(1, 512, 200, 3)) < yields(&row(2, 512, 100, 2)));
        assert!(yields(&row(2, 512, 100, 2)) < yields(&row(1, 512, 200, 2)));
        assert!(yields(&row(1, 512, 200, 0)) < STANDARD.yields(&row(2, 512, 100, 0), None), "what has no end yet comes last");
    }

    #[test]
    fn the_oldest_go_and_give_way_first_where_that_is_the_policy() {
        let oldest = RelayPolicy::EpidemicOldest;
        let (old, new) = (row(1, 4096, 100, 9), row(2, 512, 200, 0));
        assert!(rank(oldest, &old, false, false, 5) < rank(oldest, &new, false, true, 0));
        assert!(oldest.yields(&old, None) < oldest.yields(&new, Some(Hour(1))));
        assert_eq!(oldest.place(&old, 3), oldest.place(&new, 4));
    }
}
