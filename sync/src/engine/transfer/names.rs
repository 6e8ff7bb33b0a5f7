//! Which bundles a peer means by the short ids of its session.
//!
//! A short id says nothing of where its bundle lies: to know one, those of all known bundles are computed, under the session's key. Most
//! sessions are short and many need none of them, so nothing is computed before a peer names something, and then only a list is made, which is
//! run through for each record. Only a session that names much is given a table.

use std::collections::HashMap;

use super::super::holdings::Slot;
use crate::{
    id::{BundleId, ShortId},
    session::ShortIds,
};

/// So many records are looked up in the list before there is a table. measured: a table takes as long to make as 40 run-throughs.
const LOOKS_BEFORE_TABLE: u32 = 40;

/// Entries of a table that may stand for what has been forgotten, beside as many as were known when it was made.
pub(in super::super) const STALE_KEPT: usize = 8_192;

/// Bits of a short id that decide whether it may be among those looked for; 2 kB say so for all.
const FILTER_BITS: u32 = 14;

/// The names of all that is known, in one session: made when first asked for, then kept up. What they lead to may have been let go since.
#[derive(Default)]
pub(in super::super) enum Names {
    /// Nobody has asked.
    #[default]
    Unknown,
    /// By slot.
    List { by_slot: Vec<ShortId>, looks: u32 },
    /// By name; made anew once there are more than `most`.
    Table { by_name: HashMap<ShortId, Slot>, most: usize },
}

impl Names {
    /// The bundles named, in the order of `named`; `slots` holds all ids that are known, some that were, and none twice while it is known.
    pub(super) fn find(&mut self, shorts: &ShortIds, slots: &[BundleId], named: &[ShortId]) -> Vec<Option<BundleId>> {
        if named.is_empty() {
            return Vec::new();
        }
        // A slot may stand for another id since.
        let id_in = |slot: Slot, short: &ShortId| slots.get(slot as usize).copied().filter(|id| shorts.short(id) == *short);
        if let Self::List { by_slot, looks: LOOKS_BEFORE_TABLE } = self {
            *self = Self::Table { by_name: by_slot.iter().copied().zip(0..).collect(), most: 2 * by_slot.len() + STALE_KEPT };
        }
        if matches!(self, Self::Unknown) {
            *self = Self::List { by_slot: slots.iter().map(|id| shorts.short(id)).collect(), looks: 0 };
        }
        match self {
            Self::Unknown => vec![None; named.len()],
            Self::List { by_slot, looks } => {
                *looks += 1;
                let mut wanted: Vec<(ShortId, usize)> = named.iter().copied().zip(0..).collect();
                wanted.sort_unstable();
                let mut found = vec![None; named.len()];
                for (short, slot) in Filter::of(named).among(by_slot) {
                    let from = wanted.partition_point(|(other, _)| *other < short);
                    for (_, at) in wanted.iter().skip(from).take_while(|(other, _)| *other == short) {
                        if let Some(place) = found.get_mut(*at) {
                            *place = place.or_else(|| id_in(slot, &short));
                        }
                    }
                }
                found
            }
            Self::Table { by_name, .. } => named.iter().map(|short| id_in(*by_name.get(short)?, short)).collect(),
        }
    }

    /// How many names are kept.
    #[cfg(feature = "sim")]
    pub(in super::super) fn len(&self) -> usize {
        match self {
            Self::Unknown => 0,
            Self::List { by_slot, .. } => by_slot.len(),
            Self::Table { by_name, .. } => by_name.len(),
        }
    }

    /// Notes that a bundle has been given a slot.
    pub(in super::super) fn note(&mut self, shorts: &ShortIds, slot: Slot, id: &BundleId) {
        match self {
            Self::Unknown => {}
            Self::List { by_slot, .. } => {
                let is_next = by_slot.len() == slot as usize;
                match by_slot.get_mut(slot as usize) {
                    Some(place) => *place = shorts.short(id),
                    None if is_next => by_slot.push(shorts.short(id)),
                    None => *self = Self::Unknown,
                }
            }
            Self::Table { by_name, most } => {
                by_name.insert(shorts.short(id), slot);
                if by_name.len() > *most {
                    *self = Self::Unknown;
                }
            }
        }
    }
}

/// Tells of nearly every short id that it is not among some.
struct Filter(Vec<u64>);

impl Filter {
    fn of(named: &[ShortId]) -> Self {
        let mut bits = vec![0; 1 << (FILTER_BITS - u64::BITS.ilog2())];
        for short in named {
            let (word, bit) = Self::place(short);
            if let Some(word) = bits.get_mut(word) {
                *word |= bit;
            }
        }
        Self(bits)
    }

    /// Those of a list that may be among them, with their places.
    fn among<'a>(&'a self, list: &'a [ShortId]) -> impl Iterator<Item = (ShortId, Slot)> + 'a {
        let may = |short: &ShortId| {
            let (word, bit) = Self::place(short);
            self.0.get(word).is_some_and(|word| word & bit != 0)
        };
        list.iter().copied().zip(0..).filter(move |(short, _)| may(short))
    }

    const fn place(short: &ShortId) -> (usize, u64) {
        let bits = u64::from_le_bytes(short.0) & ((1 << FILTER_BITS) - 1);
        ((bits >> 6) as usize, 1 << (bits & 63))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(range: std::ops::Range<u16>) -> Vec<BundleId> {
        let id = |number: u16| {
            let mut id = [0x5e; 32];
            id[..2].copy_from_slice(&number.to_be_bytes());
            BundleId(id)
        };
        range.map(id).collect()
    }

    /// Looks up every id of `range`, and says which were found as what they are; none may be taken for another.
    fn found(names: &mut Names, slots: &[BundleId], range: std::ops::Range<u16>) -> Vec<bool> {
        let shorts = ShortIds::new(&[7; 32]);
        let ids = ids(range);
        let named: Vec<ShortId> = ids.iter().map(|id| shorts.short(id)).collect();
        let found = names.find(&shorts, slots, &named);
        assert_eq!(found.len(), ids.len());
        found.into_iter().zip(&ids).map(|(found, id)| found.inspect(|found| assert_eq!(found, id)).is_some()).collect()
    }

    /// So many look-ups before, so that there is a list or a table.
    fn after(looks: u32, slots: &[BundleId]) -> Names {
        let mut names = Names::default();
        for _ in 0..looks {
            found(&mut names, slots, 0..1);
        }
        assert_eq!(matches!(names, Names::Table { .. }), looks > LOOKS_BEFORE_TABLE);
        names
    }

    #[test]
    fn what_is_known_is_found_and_nothing_else() {
        let slots = ids(0..3_000);
        for looks in [0, 1, LOOKS_BEFORE_TABLE + 1] {
            let mut names = after(looks, &slots);
            assert_eq!(found(&mut names, &slots, 2_900..3_100), [vec![true; 100], vec![false; 100]].concat(), "after {looks}");
        }
    }

    #[test]
    fn one_that_is_named_twice_is_found_twice() {
        let (slots, shorts) = (ids(0..10), ShortIds::new(&[7; 32]));
        let named = [shorts.short(&slots[3]), shorts.short(&ids(11..12)[0]), shorts.short(&slots[3])];
        assert_eq!(Names::default().find(&shorts, &slots, &named), [Some(slots[3]), None, Some(slots[3])]);
    }

    #[test]
    fn names_follow_the_slots() {
        let shorts = ShortIds::new(&[7; 32]);
        for looks in [1, LOOKS_BEFORE_TABLE + 1] {
            let mut slots = ids(0..100);
            let mut names = after(looks, &slots);
            // One is let go and another one takes its slot; a further one takes a new slot.
            slots[5] = ids(500..501)[0];
            names.note(&shorts, 5, &slots[5]);
            slots.push(ids(501..502)[0]);
            names.note(&shorts, 100, &slots[100]);
            assert_eq!(found(&mut names, &slots, 4..7), [true, false, true], "after {looks}");
            assert_eq!(found(&mut names, &slots, 500..503), [true, true, false], "after {looks}");
        }
    }

    #[test]
    fn table_of_what_has_been_forgotten_is_made_anew() {
        let shorts = ShortIds::new(&[7; 32]);
        let mut slots = ids(0..2);
        let mut names = after(LOOKS_BEFORE_TABLE + 1, &slots);
        for id in ids(100..100 + STALE_KEPT as u16 + 10) {
            slots[1] = id;
            names.note(&shorts, 1, &id);
        }
        assert!(!matches!(names, Names::Table { .. }), "it does not grow for ever");
        assert_eq!(names.find(&shorts, &slots, &[shorts.short(&slots[1])]), [Some(slots[1])]);
    }
}
