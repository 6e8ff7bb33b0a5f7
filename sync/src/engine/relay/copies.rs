//! How many copies of a bundle may be made.
//!
//! ```text
//!  sealed here ─start─▶ copies ─share─▶ given, on the wire ─take─▶ the peer's copies
//!                          └──── once it is STORED: what is left
//! ```
//!
//! A count is only reduced once the other side says STORED: a link that breaks costs no copies.

use rand_core::Rng;

use super::{Kind, RelayPolicy};
use crate::{
    store::{BundleRow, Origin},
    wire::record::COPIES_UNLIMITED,
};

/// Copies of a chunk where room is short: drawn from these, so that a count does not tell who wrote it (protocol review, C1).
const START: std::ops::RangeInclusive<u8> = 24..=40;
/// Most copies that are taken with one hand-over (protocol review, C1).
const MOST_TAKEN: u8 = 16;
/// Fewest copies that a stranger is given, or may give: what spreads no further is a mark (protocol review, H5).
const FEWEST_STRANGERS: u8 = 4;
/// Copies of an own bundle that no stranger gets: any of them may lie about what it stored (protocol review, M4).
const KEPT_FOR_CONTACTS: u8 = 8;

/// Set in [`Copies::encode`] where the writer has begun anew.
const RENEWED: u8 = 0x80;

/// How many copies of a bundle a node may still hand on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in super::super) enum Copies {
    /// As many as it likes.
    Unlimited,
    /// So many, below 128.
    Left {
        count: u8,
        /// The writer has given a second load of copies out, and gives no third.
        renewed: bool,
    },
}

impl Copies {
    /// What the store keeps.
    pub(in super::super) const fn encode(self) -> u8 {
        match self {
            Self::Unlimited => COPIES_UNLIMITED,
            Self::Left { count, renewed: false } => count,
            Self::Left { count, renewed: true } => count | RENEWED,
        }
    }

    /// What a row of the store says.
    pub(in super::super) const fn of(row: &BundleRow) -> Self {
        match row.copies {
            COPIES_UNLIMITED => Self::Unlimited,
            copies => Self::Left { count: copies & !RENEWED, renewed: copies & RENEWED != 0 },
        }
    }

    const fn some(count: u8) -> Self {
        Self::Left { count, renewed: false }
    }

    /// What is left once the peer holds what it was given.
    pub(in super::super) const fn without(self, given: u8) -> Self {
        match self {
            Self::Left { count, renewed } if given != COPIES_UNLIMITED => Self::Left { count: count.saturating_sub(given), renewed },
            Self::Unlimited | Self::Left { .. } => self,
        }
    }
}

/// Who stands at the other end, as far as copies are concerned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in super::super) enum Side {
    /// Whom the bundle is for.
    Reader,
    /// A contact.
    Contact,
    /// Anybody else.
    Stranger,
}

/// What of a bundle's copies goes to a peer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in super::super) struct Share {
    /// What this node counts from now on, until the peer says STORED.
    pub(in super::super) counted: Copies,
    /// What goes out with the bundle, on the wire.
    pub(in super::super) given: u8,
}

impl RelayPolicy {
    /// Copies of a bundle that was sealed here; `is_tight`: the room for bundles of others is half full.
    pub(in super::super) fn start(self, row: &BundleRow, is_tight: bool, rng: &mut impl Rng) -> Copies {
        match self {
            Self::Standard | Self::Unpooled => self.limited(row, Copies::Unlimited, is_tight, rng),
            Self::Direct => Copies::some(0),
            Self::Spray(copies) => Copies::some(copies),
            Self::EpidemicOldest | Self::EpidemicRandom => Copies::Unlimited,
        }
    }

    /// A second load of copies of an own bundle that nobody has confirmed for a day; `None` if it has none to renew, or was renewed before.
    pub(in super::super) fn renew(self, row: &BundleRow, rng: &mut impl Rng) -> Option<Copies> {
        let is_spent = matches!(Copies::of(row), Copies::Left { renewed: false, .. });
        let renews = matches!(self, Self::Standard | Self::Unpooled) && is_spent && matches!(row.origin, Origin::Own(_));
        renews.then(|| Copies::Left { count: draw(rng), renewed: true })
    }

    /// Whether a peer on this side may have a bundle at all; what it would be given is drawn only when it is sent.
    pub(in super::super) fn hands_on(self, row: &BundleRow, to: Side) -> bool {
        let copies = Copies::of(row);
        matches!(copies, Copies::Unlimited) || to == Side::Reader || self.portion(row, copies, to) > 0
    }

    /// What a peer is given of a bundle's copies; `None` if it is given none and so not the bundle.
    pub(in super::super) fn share(self, row: &BundleRow, to: Side, is_tight: bool, rng: &mut impl Rng) -> Option<Share> {
        let counted = match (Copies::of(row), self) {
            (Copies::Unlimited, Self::Standard | Self::Unpooled) => self.limited(row, Copies::Unlimited, is_tight, rng),
            (copies, _) => copies,
        };
        let given = match counted {
            Copies::Unlimited => COPIES_UNLIMITED,
            // Whom it is for gets it in any case, and is then a carrier like any other.
            Copies::Left { .. } if to == Side::Reader => self.portion(row, counted, to).max(1),
            Copies::Left { .. } => self.portion(row, counted, to),
        };
        (given > 0).then_some(Share { counted, given })
    }

    /// What a node makes of the copies that a bundle comes with; `None` if it is not taken with so few.
    pub(in super::super) fn take(self, kind: Kind, given: u8, from: Side) -> Option<Copies> {
        match self {
            // Small ones go to everybody, whatever a peer says.
            Self::Standard | Self::Unpooled if kind != Kind::Chunk => Some(Copies::Unlimited),
            Self::EpidemicOldest | Self::EpidemicRandom => Some(Copies::Unlimited),
            Self::Standard | Self::Unpooled if given == COPIES_UNLIMITED => Some(Copies::Unlimited),
            Self::Standard | Self::Unpooled if from == Side::Stranger && given < FEWEST_STRANGERS => None,
            Self::Standard | Self::Unpooled => Some(Copies::some(given.min(MOST_TAKEN))),
            Self::Direct => Some(Copies::some(0)),
            Self::Spray(copies) => Some(Copies::some(given.min(copies))),
        }
    }

    /// Chunks are counted once room is short; by whoever has too little of it, and by all who have it from there.
    fn limited(self, row: &BundleRow, copies: Copies, is_tight: bool, rng: &mut impl Rng) -> Copies {
        if is_tight && Kind::of(row.size, row.class) == Kind::Chunk { Copies::some(draw(rng)) } else { copies }
    }

    /// Half of the copies, as far as this side may have them.
    fn portion(self, row: &BundleRow, copies: Copies, to: Side) -> u8 {
        let Copies::Left { count, .. } = copies else { return COPIES_UNLIMITED };
        match (self, to) {
            (Self::Spray(_), _) => count / 2,
            (_, Side::Reader | Side::Contact) => (count / 2).min(MOST_TAKEN),
            (_, Side::Stranger) => {
                let free = if matches!(row.origin, Origin::Own(_)) { count.saturating_sub(KEPT_FOR_CONTACTS) } else { count };
                let part = (count / 2).min(MOST_TAKEN).min(free);
                if part < FEWEST_STRANGERS { 0 } else { part }
            }
        }
    }
}

/// A start of the count, evenly out of [`START`].
fn draw(rng: &mut impl Rng) -> u8 {
    let span = u64::from(START.end() - START.start()) + 1;
    START.start() + ((u64::from(rng.next_u32()) * span) >> 32) as u8
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::*;
    use crate::{
        id::{BundleId, Commitment, ContactId, Tag},
        time::Hour,
        wire::bundle::{Class, Lifetime},
    };

    const STANDARD: RelayPolicy = RelayPolicy::Standard;
    const ANN: Origin = Origin::Own(ContactId(1));

    fn rng() -> ChaCha20Rng {
        ChaCha20Rng::seed_from_u64(3)
    }

    fn row(size: u16, origin: Origin, copies: Copies) -> BundleRow {
        BundleRow {
            id: BundleId([1; 32]),
            sequence: 1,
            size,
            class: Class::Normal,
            lifetime: Lifetime::Week,
            created: Hour(500_000),
            tag: Tag([2; 16]),
            commitment: Commitment([3; 16]),
            origin,
            age: 0,
            stored: Hour(500_000),
            forwarded: 0,
            copies: copies.encode(),
        }
    }

    #[test]
    fn a_count_survives_the_store() {
        for copies in (0..=64).flat_map(|count| [false, true].map(|renewed| Copies::Left { count, renewed })).chain([Copies::Unlimited]) {
            assert_eq!(Copies::of(&row(4096, ANN, copies)), copies);
        }
    }

    #[test]
    fn only_chunks_are_counted_and_only_where_room_is_short() {
        let mut rng = rng();
        for (size, is_tight, is_counted) in [(512, true, false), (2048, true, false), (4096, false, false), (4096, true, true)] {
            let row = row(size, ANN, Copies::Unlimited);
            let start = STANDARD.start(&row, is_tight, &mut rng);
            assert_eq!(start != Copies::Unlimited, is_counted, "{size} {is_tight}");
            let share = STANDARD.share(&row, Side::Stranger, is_tight, &mut rng).unwrap();
            assert_eq!((share.counted != Copies::Unlimited, share.given != COPIES_UNLIMITED), (is_counted, is_counted));
        }
        let urgent = BundleRow { class: Class::Urgent, ..row(4096, ANN, Copies::Unlimited) };
        assert_eq!(STANDARD.start(&urgent, true, &mut rng), Copies::Unlimited);
    }

    #[test]
    fn counts_start_anywhere_between_their_bounds() {
        let mut rng = rng();
        let mut starts: Vec<u8> = (0..2000).map(|_| draw(&mut rng)).collect();
        starts.sort_unstable();
        starts.dedup();
        assert_eq!(starts, START.collect::<Vec<u8>>());
    }

    #[test]
    fn a_hand_over_takes_half_and_never_makes_copies() {
        let mut rng = rng();
        for policy in [STANDARD, RelayPolicy::Spray(64)] {
            for (count, to) in (0..=64).flat_map(|count| [Side::Contact, Side::Stranger].map(|to| (count, to))) {
                let row = row(4096, Origin::StrangerInbound, Copies::some(count));
                assert_eq!(policy.hands_on(&row, to), policy.share(&row, to, true, &mut rng).is_some());
                let Some(share) = policy.share(&row, to, true, &mut rng) else { continue };
                assert_eq!(share.counted, Copies::some(count), "nothing is spent before it is stored");
                let left = share.counted.without(share.given);
                assert!(share.given <= count / 2 && left == Copies::some(count - share.given));
                assert!(policy == RelayPolicy::Spray(64) || share.given <= 16);
                let least = if to == Side::Stranger && policy == STANDARD { 4 } else { 1 };
                assert!(share.given >= least, "{policy} {count} {to:?}");
            }
        }
    }

    /// Strangers who say STORED and throw it away, one after the other.
    #[test]
    fn liars_leave_a_writer_the_copies_for_contacts() {
        let mut rng = rng();
        let mut mine = row(4096, ANN, Copies::some(40));
        let mut liars = 0;
        while let Some(share) = STANDARD.share(&mine, Side::Stranger, true, &mut rng) {
            mine.copies = share.counted.without(share.given).encode();
            liars += 1;
        }
        assert!(liars >= 2 && mine.copies >= KEPT_FOR_CONTACTS, "{} left after {liars}", mine.copies);
        assert!(STANDARD.hands_on(&mine, Side::Contact));
        mine.copies = STANDARD.renew(&mine, &mut rng).unwrap().encode();
        assert!(STANDARD.hands_on(&mine, Side::Stranger));
        mine.copies = Copies::of(&mine).without(30).encode();
        assert_eq!(STANDARD.renew(&mine, &mut rng), None, "once");
        let carried = row(4096, Origin::StrangerInbound, Copies::some(0));
        assert_eq!(STANDARD.renew(&carried, &mut rng), None, "a carrier never");
        assert_eq!(STANDARD.renew(&row(512, ANN, Copies::Unlimited), &mut rng), None, "nothing to renew");
    }

    #[test]
    fn its_reader_gets_a_bundle_whatever_is_left() {
        let mut rng = rng();
        for policy in [STANDARD, RelayPolicy::Direct, RelayPolicy::Spray(4)] {
            for count in 0..4 {
                let mine = row(4096, ANN, Copies::some(count));
                assert!(policy.hands_on(&mine, Side::Reader));
                assert!(policy.share(&mine, Side::Reader, true, &mut rng).unwrap().given >= 1);
            }
        }
        let written = RelayPolicy::Direct.start(&row(512, ANN, Copies::Unlimited), false, &mut rng);
        let mine = row(512, ANN, written);
        assert!([Side::Contact, Side::Stranger].into_iter().all(|to| !RelayPolicy::Direct.hands_on(&mine, to)));
    }

    #[test]
    fn what_a_peer_says_of_copies_is_held_within_bounds() {
        let take = |given, from| STANDARD.take(Kind::Chunk, given, from);
        assert_eq!([0, 1, 3].map(|given| take(given, Side::Stranger)), [None; 3], "what spreads no further is a mark");
        assert_eq!(take(4, Side::Stranger), Some(Copies::some(4)));
        assert_eq!([17, 64, 200, 254].map(|given| take(given, Side::Stranger)), [Some(Copies::some(16)); 4]);
        assert_eq!(take(COPIES_UNLIMITED, Side::Stranger), Some(Copies::Unlimited));
        assert_eq!([0, 1].map(|given| take(given, Side::Contact)), [0, 1].map(|count| Some(Copies::some(count))));
        for given in [0, 1, 16, 254, 255] {
            assert_eq!(STANDARD.take(Kind::Small, given, Side::Stranger), Some(Copies::Unlimited), "small ones are not counted");
        }
        assert_eq!(RelayPolicy::Spray(8).take(Kind::Small, 255, Side::Stranger), Some(Copies::some(8)));
    }
}
