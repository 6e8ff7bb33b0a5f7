//! The set against a sorted list that does everything item by item, and the shape of its tree after every kind of change.

use proptest::prelude::*;

use super::*;
use crate::reconcile::{
    item::Item,
    order::{Bound, Key, Range},
};

/// An item as the list has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Known {
    key: Key,
    expiry: Option<Hour>,
    held: bool,
}

/// The judge: items in ascending order.
#[derive(Default)]
struct List(Vec<Known>);

impl List {
    fn place(&self, key: &Key) -> Result<usize, usize> {
        self.0.binary_search_by_key(key, |known| known.key)
    }

    /// What a range holds, newest first.
    fn known(&self, range: Range) -> impl Iterator<Item = &Known> {
        let inside = move |key| Bound::At(key) < range.above && Bound::At(key) >= range.from;
        self.0.iter().rev().filter(move |known| inside(known.key))
    }

    fn shown(&self, range: Range, cut: Hour) -> Vec<&Known> {
        self.known(range).filter(|known| known.expiry.is_none_or(|expiry| cut == Hour::UNKNOWN || expiry > cut)).collect()
    }

    fn split_at(&self, range: Range, cut: Hour, positions: &[usize]) -> Vec<Range> {
        let shown = self.shown(range, cut);
        let mut bounds = vec![range.above];
        bounds.extend((1..shown.len()).filter(|at| positions.contains(at)).map(|at| between(&shown[at - 1].key, &shown[at].key)));
        bounds.push(range.from);
        bounds.windows(2).map(|edges| Range { above: edges[0], from: edges[1] }).collect()
    }
}

/// The sum of some ids, byte by byte.
fn sum<'a>(keys: impl Iterator<Item = &'a Key>) -> [u8; 32] {
    keys.fold([0; 32], |mut sum, key| {
        let mut carry = 0;
        for (to, from) in sum.iter_mut().zip(key.id).rev() {
            let digit = u16::from(*to) + u16::from(from) + carry;
            (*to, carry) = (digit as u8, digit >> 8);
        }
        sum
    })
}

/// The shortest bound between two neighbours: the first prefix that is above the older.
fn between(newer: &Key, older: &Key) -> Bound {
    let prefix = |len: usize| {
        let mut id = [0; 32];
        id[..len].copy_from_slice(&newer.id[..len]);
        Key { hour: newer.hour, id }
    };
    Bound::At((0..=32).map(prefix).find(|bound| bound > older).unwrap())
}

/// How a test draws its items.
#[derive(Clone, Copy, Debug)]
enum Shape {
    /// As honest nodes make them: two weeks and five lifetimes.
    Honest,
    /// All in one hour.
    OneHour,
    /// Without a created hour, so that they expire at any hour.
    Clockless,
    /// Any hour and any expiry, also before they were made.
    AtOdds,
    /// Ids that differ in few bits, hours that are next to each other, so that many are drawn twice.
    Close,
    /// All of these.
    Mixed,
}

impl Shape {
    fn draw(self, rng: &mut ChaCha20Rng) -> Known {
        let lifetime = [24, 72, 168, 336, 720][(rng.next_u32() % 5) as usize];
        let (recent, mut id) = (Hour(NOW.0 - rng.next_u32() % 336), random_id(rng).0);
        let (hour, expiry) = match self {
            Self::Honest => (recent, Some(recent.plus(lifetime))),
            Self::OneHour => (NOW, Some(NOW.plus(lifetime))),
            Self::Clockless => (Hour::UNKNOWN, Some(NOW.plus(rng.next_u32() % 720))),
            Self::AtOdds => (Hour(rng.next_u32()), Some(Hour(rng.next_u32())).filter(|hour| hour.0 % 7 != 0)),
            Self::Close => {
                let first = id[0] & 3;
                let last = id[31];
                id = [0; 32];
                (id[0], id[31]) = (first, last);
                (Hour(NOW.0 + u32::from(last & 1)), Some(NOW.plus(u32::from(last % 5))).filter(|_| last % 3 != 0))
            }
            Self::Mixed => {
                let shapes = [Self::Honest, Self::OneHour, Self::Clockless, Self::AtOdds, Self::Close];
                return shapes[(rng.next_u32() % 5) as usize].draw(rng);
            }
        };
        Known { key: Key { hour, id }, expiry, held: rng.next_u32().is_multiple_of(2) }
    }
}

/// A set, the list that judges it, and where both draw from.
struct Two {
    set: ItemSet,
    list: List,
    shape: Shape,
    rng: ChaCha20Rng,
}

impl Two {
    fn new(shape: Shape, seed: u64) -> Self {
        Self { set: ItemSet::new(), list: List::default(), shape, rng: ChaCha20Rng::seed_from_u64(seed) }
    }

    fn below(&mut self, end: usize) -> usize {
        (self.rng.next_u64() % end.max(1) as u64) as usize
    }

    fn insert(&mut self, known: Known) {
        let place = self.list.place(&known.key);
        assert_eq!(self.set.insert(known.key.hour, BundleId(known.key.id), known.expiry, known.held), place.is_err());
        if let Err(at) = place {
            self.list.0.insert(at, known);
        }
    }

    fn remove(&mut self, key: Key) {
        let place = self.list.place(&key);
        assert_eq!(self.set.contains(key.hour, &BundleId(key.id)), place.is_ok());
        assert_eq!(self.set.remove(key.hour, &BundleId(key.id)), place.is_ok());
        if let Ok(at) = place {
            self.list.0.remove(at);
        }
    }

    fn grow(&mut self, count: usize) {
        for _ in 0..count {
            let known = self.shape.draw(&mut self.rng);
            self.insert(known);
        }
    }

    /// A place at, beside or far from an item.
    fn place(&mut self) -> Key {
        let at = self.below(self.list.0.len());
        let mut key = match self.list.0.get(at) {
            Some(known) if !self.rng.next_u32().is_multiple_of(8) => known.key,
            _ => self.shape.draw(&mut self.rng).key,
        };
        match self.rng.next_u32() % 6 {
            0 => key.id = [0; 32],
            1 => key.hour = key.hour.plus(1),
            2 => key.id[31] = key.id[31].wrapping_add(1),
            _ => {}
        }
        key
    }

    fn change(&mut self) {
        match self.rng.next_u32() % 8 {
            0..3 => self.grow(1),
            3..6 => {
                let key = self.place();
                self.remove(key);
            }
            _ => {
                let (key, held) = (self.place(), self.rng.next_u32().is_multiple_of(2));
                let place = self.list.place(&key);
                assert_eq!(self.set.set_held(key.hour, &BundleId(key.id), held), place.is_ok());
                if let Ok(at) = place {
                    self.list.0[at].held = held;
                }
            }
        }
    }

    fn range(&mut self) -> Range {
        let mut edges = [(); 2].map(|()| match self.rng.next_u32() % 8 {
            0 => Bound::Top,
            1 => Bound::END,
            _ => Bound::At(self.place()),
        });
        edges.sort_unstable();
        Range { above: edges[1], from: edges[0] }
    }

    fn cut(&mut self) -> Hour {
        match self.rng.next_u32() % 8 {
            0 => Hour::UNKNOWN,
            1 => Hour(u32::MAX),
            2 => Hour(self.rng.next_u32()),
            _ => Hour(NOW.0 - 300 + self.rng.next_u32() % 1_200),
        }
    }

    /// The tree is sound, and holds what the list holds.
    fn check(&self) {
        let items = self.set.check();
        let has = |item: &Item, known: &Known| {
            item.key == known.key && item.is_held() == known.held && item.lifetime().is_some() == known.expiry.is_some()
        };
        assert!(items.len() == self.list.0.len() && items.iter().zip(&self.list.0).all(|(item, known)| has(item, known)));
    }

    /// One question, whose answers are those of the list.
    fn ask(&mut self) {
        // The set has 31 bits for an hour, and what expires at hour 0 expires at hour 1.
        const LAST: u32 = (u32::MAX >> 1) - 1;
        let (range, cut) = (self.range(), self.cut());
        let visible = self.set.visible(SessionView { cut, empty: false });
        let judge = List(
            self.list.0.iter().map(|known| Known { expiry: known.expiry.map(|hour| Hour(hour.0.clamp(1, LAST))), ..*known }).collect(),
        );
        let cut = Hour(cut.0.min(LAST));
        let shown = judge.shown(range, cut);
        let total = visible.total(range);
        assert_eq!(
            [total.high.to_be_bytes(), total.low.to_be_bytes()].concat(),
            sum(shown.iter().map(|known| &known.key)),
            "{range:?} {cut:?}"
        );
        assert_eq!((total.count as usize, visible.count(range)), (shown.len(), shown.len()), "{range:?} {cut:?}");
        assert!(visible.shown(range).map(|item| item.key).eq(shown.iter().map(|known| known.key)));
        assert!(visible.known(range).map(|item| item.key).eq(judge.known(range).map(|known| known.key)));
        let mut positions: Vec<usize> = (0..self.rng.next_u32() % 20).map(|_| self.rng.next_u32() as usize % (shown.len() + 2)).collect();
        positions.sort_unstable();
        assert_eq!(visible.split_at(range, positions.iter().copied()), judge.split_at(range, cut, &positions), "{positions:?}");
    }
}

fn shapes() -> impl Strategy<Value = Shape> {
    use Shape::{AtOdds, Clockless, Close, Honest, Mixed, OneHour};
    prop::sample::select(vec![Honest, OneHour, Clockless, AtOdds, Close, Mixed])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn set_answers_as_a_list_does(shape in shapes(), seed in any::<u64>(), count in prop_oneof![0..300_usize, 0..8_000_usize]) {
        let mut two = Two::new(shape, seed);
        two.grow(count);
        two.check();
        for _ in 0..30 {
            (0..10).for_each(|_| two.change());
            two.ask();
        }
        two.check();
    }

    #[test]
    fn tree_is_sound_after_every_change(shape in shapes(), seed in any::<u64>(), count in prop_oneof![0..300_usize, 0..3_000_usize]) {
        let mut two = Two::new(shape, seed);
        two.grow(count);
        for _ in 0..60 {
            two.change();
            two.check();
        }
    }

    #[test]
    fn what_is_left_after_most_has_gone_is_right(shape in shapes(), seed in any::<u64>(), kept in 1..200_usize, order in 0..3_u8) {
        let mut two = Two::new(shape, seed);
        two.grow(5_000);
        let mut gone: Vec<Key> = two.list.0.iter().enumerate().filter(|(at, _)| at % kept != 0).map(|(_, known)| known.key).collect();
        match order {
            0 => {}
            1 => gone.reverse(),
            _ => gone.sort_unstable_by_key(|key| key.id[1]),
        }
        for (at, key) in gone.into_iter().enumerate() {
            two.remove(key);
            if at % 250 == 0 {
                two.check();
                two.ask();
            }
        }
        two.check();
        (0..10).for_each(|_| two.ask());
    }
}

/// Puts in and takes out so many items in orders of their own; `order` says which place is the `at`th.
fn in_order(count: usize, inwards: impl Fn(usize) -> usize, outwards: impl Fn(usize) -> usize) {
    let mut two = Two::new(Shape::Honest, 1);
    let mut items: Vec<Known> = (0..count).map(|_| two.shape.draw(&mut two.rng)).collect();
    items.sort_unstable_by_key(|known| known.key);
    for at in 0..count {
        two.insert(items[inwards(at)]);
        if at % 97 == 0 {
            two.check();
        }
    }
    two.check();
    (0..20).for_each(|_| two.ask());
    for at in 0..count {
        two.remove(items[outwards(at)].key);
        if at % 97 == 0 {
            two.check();
            two.ask();
        }
    }
    assert!(two.set.is_empty());
    two.check();
    two.grow(10);
    two.check();
    (0..10).for_each(|_| two.ask());
}

#[test]
fn orders_that_are_hard_on_trees() {
    const COUNT: usize = 6_000;
    let up = |at| at;
    let down = |at| COUNT - 1 - at;
    let from_both_ends = |at: usize| if at.is_multiple_of(2) { at / 2 } else { COUNT - 1 - at / 2 };
    // 7 and 6,000 have no common divisor.
    let scattered = |at: usize| at * 7 * 101 % COUNT;
    in_order(COUNT, up, down);
    in_order(COUNT, down, up);
    in_order(COUNT, up, up);
    in_order(COUNT, from_both_ends, scattered);
    in_order(COUNT, scattered, |at| from_both_ends(COUNT - 1 - at));
}

#[test]
fn change_to_and_fro_at_one_place_is_harmless() {
    let mut two = Two::new(Shape::OneHour, 5);
    for count in [64, 65, 128, 256, 257, 1_025, 4_097] {
        two.grow(count - two.list.0.len());
        let one = two.list.0[two.list.0.len() / 2];
        for _ in 0..5 {
            two.remove(one.key);
            two.check();
            two.insert(one);
            two.check();
        }
    }
}

/// A set of so many honest items, and their places.
fn honest(count: usize) -> (ItemSet, Vec<Key>) {
    let mut rng = ChaCha20Rng::seed_from_u64(count as u64);
    let mut items: Vec<Known> = (0..count).map(|_| Shape::Honest.draw(&mut rng)).collect();
    items.sort_unstable_by_key(|known| known.key);
    let mut set = ItemSet::new();
    items.iter().for_each(|known| assert!(set.insert(known.key.hour, BundleId(known.key.id), known.expiry, known.held)));
    (set, items.into_iter().map(|known| known.key).collect())
}

/// Steps of the fingerprints of random ranges of a set: the mean, and the most.
fn steps_of_ranges(set: &ItemSet, keys: &[Key], cut: Hour) -> (u64, u64) {
    const RANGES: u64 = 500;
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let mut steps = Vec::new();
    for _ in 0..RANGES {
        let mut edges = [(); 2].map(|()| Bound::At(keys[rng.next_u64() as usize % keys.len()]));
        edges.sort_unstable();
        let visible = set.visible(SessionView { cut, empty: false });
        visible.fingerprint(&SESSION, visible.total(Range { above: edges[1], from: edges[0] }));
        steps.push(visible.steps());
    }
    (steps.iter().sum::<u64>() / RANGES, steps.into_iter().max().unwrap())
}

#[test]
fn fingerprint_costs_the_logarithm_of_the_set() {
    for count in [1_000, 10_000, 100_000, 1_000_000] {
        let (set, keys) = honest(count);
        // Nothing is left out; the oldest of a day; half of all.
        for (cut, most) in [(Hour::UNKNOWN, 1_000), (Hour(NOW.0 - 300), 2_000), (NOW, 3_000)] {
            let (mean, max) = steps_of_ranges(&set, &keys, cut);
            println!("{count} items, cut at {cut:?}: {mean} steps, at most {max}");
            assert!(max <= most, "{count} items, cut at {cut:?}: {max} steps");
        }
    }
}
