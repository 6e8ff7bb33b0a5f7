//! The ordered set of known bundles, with sums over ranges.
//!
//! Items lie in ascending order in chunks of at most [`MAX_CHUNK`]; each chunk keeps the sum of its ids and its earliest expiry. A range
//! costs its number of chunks, and a scan of those at its edges and of those that hold items which a session leaves out. Whoever
//! replaces this by a tree keeps [`Visible`] as it is.

use crate::{
    crypto::kdf::{self, label},
    id::BundleId,
    time::Hour,
};

/// Most items in one chunk. guess: a scan of it costs less than a round trip by far, and 100,000 items are 200 to 400 chunks.
const MAX_CHUNK: usize = 512;

/// Hours left out below an item's expiry, so that two clocks need not agree (docs/protocol.md, section 6.1).
const EXPIRY_MARGIN: u32 = 2;

/// Most hours that two nodes' clocks may differ to be compared (docs/protocol.md, section 6.1).
const MAX_CLOCK_DIFFERENCE: u32 = 24;

/// Length of a fingerprint, bytes (docs/protocol.md, section 6.2).
pub(super) const FINGERPRINT_LEN: usize = 12;

/// A fingerprint of one range in one session.
pub(super) type Fingerprint = [u8; FINGERPRINT_LEN];

/// Returns the hour up to which expiring items are left out of a session: docs/protocol.md, section 6.1.
///
/// `own` and `other` are the hours of the two HELLOs, [`Hour::UNKNOWN`] where a node has none.
pub const fn cut_hour(own: Hour, other: Hour) -> Hour {
    let close = own.0.abs_diff(other.0) <= MAX_CLOCK_DIFFERENCE;
    let hour = if close && other.0 > own.0 { other } else { own };
    hour.plus(EXPIRY_MARGIN)
}

/// What of the set one session shows (docs/protocol.md, section 6.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SessionView {
    /// Items that expire at this hour or before are left out: [`cut_hour`].
    pub cut: Hour,
    /// Nothing is shown and nothing is found: what a node that carries only for contacts is towards a stranger.
    pub empty: bool,
}

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
    fn is_above(&self, key: &Key) -> bool {
        *self > Self::At(*key)
    }

    /// The lowest bound with the shortest prefix that lies at or below `newer` and above `older`.
    fn between(newer: &Key, older: &Key) -> Self {
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

/// One known bundle.
#[derive(Clone, Copy, Debug)]
pub(super) struct Item {
    /// Its place.
    pub(super) key: Key,
    /// When it expires by created hour and lifetime; `None` for bundles that expire by age.
    expiry: Option<Hour>,
    /// Held, or dropped and only remembered.
    pub(super) held: bool,
}

impl Item {
    /// The bundle.
    pub(super) const fn id(&self) -> BundleId {
        BundleId(self.key.id)
    }

    fn is_shown(&self, cut: Hour) -> bool {
        self.expiry.is_none_or(|expiry| expiry > cut)
    }
}

/// The sum of ids as big-endian integers, modulo 2²⁵⁶.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Sum {
    high: u128,
    low: u128,
}

impl Sum {
    fn of(id: &[u8; 32]) -> Self {
        let mut halves = id.as_chunks::<16>().0.iter().map(|half| u128::from_be_bytes(*half));
        Self { high: halves.next().unwrap_or(0), low: halves.next().unwrap_or(0) }
    }

    const fn plus(self, other: Self) -> Self {
        let (low, carry) = self.low.overflowing_add(other.low);
        Self { high: self.high.wrapping_add(other.high).wrapping_add(carry as u128), low }
    }

    const fn minus(self, other: Self) -> Self {
        let (low, borrow) = self.low.overflowing_sub(other.low);
        Self { high: self.high.wrapping_sub(other.high).wrapping_sub(borrow as u128), low }
    }
}

/// A run of neighbouring items, never empty.
#[derive(Clone, Debug)]
struct Chunk {
    /// Ascending.
    items: Vec<Item>,
    sum: Sum,
    /// The earliest expiry, [`Hour`]'s maximum if none expires.
    first_expiry: Hour,
}

impl Chunk {
    fn new(items: Vec<Item>) -> Self {
        let sum = items.iter().fold(Sum::default(), |sum, item| sum.plus(Sum::of(&item.key.id)));
        let first_expiry = items.iter().filter_map(|item| item.expiry).min().unwrap_or(Hour(u32::MAX));
        Self { items, sum, first_expiry }
    }

    fn is_all_below(&self, key: &Key) -> bool {
        self.items.last().is_some_and(|last| last.key < *key)
    }

    fn lies_in(&self, range: &Range) -> bool {
        let inside = |item: &Item| range.above.is_above(&item.key) && !range.from.is_above(&item.key);
        self.items.first().is_some_and(inside) && self.items.last().is_some_and(inside)
    }

    fn begins_below(&self, bound: &Bound) -> bool {
        self.items.first().is_some_and(|first| bound.is_above(&first.key))
    }
}

/// The bundles a node holds, and those it has dropped for lack of room and remembers (docs/protocol.md, section 6.1).
///
/// Acknowledged bundles are not in it. One set serves many sessions; each sees it through its [`SessionView`]. What strangers are told less
/// of than contacts, long dropped bundles, is kept out of a second set, which their sessions are given.
#[derive(Clone, Debug, Default)]
pub struct ItemSet {
    /// Ascending.
    chunks: Vec<Chunk>,
    len: usize,
}

impl ItemSet {
    /// Starts empty.
    pub const fn new() -> Self {
        Self { chunks: Vec::new(), len: 0 }
    }

    /// Adds a bundle by its created hour and id. `expiry` is `None` for one that expires by age. `false` if it was there: it is unchanged.
    pub fn insert(&mut self, hour: Hour, id: BundleId, expiry: Option<Hour>, held: bool) -> bool {
        let item = Item { key: Key { hour, id: id.0 }, expiry, held };
        let at = self.chunk_of(&item.key).min(self.chunks.len().saturating_sub(1));
        let Some(chunk) = self.chunks.get_mut(at) else {
            self.chunks.push(Chunk::new(vec![item]));
            self.len += 1;
            return true;
        };
        let Err(position) = chunk.items.binary_search_by_key(&item.key, |item| item.key) else {
            return false;
        };
        chunk.items.insert(position, item);
        chunk.sum = chunk.sum.plus(Sum::of(&id.0));
        chunk.first_expiry = chunk.first_expiry.min(expiry.unwrap_or(Hour(u32::MAX)));
        if chunk.items.len() > MAX_CHUNK {
            let upper = Chunk::new(chunk.items.split_off(MAX_CHUNK / 2));
            *chunk = Chunk::new(std::mem::take(&mut chunk.items));
            self.chunks.insert(at + 1, upper);
        }
        self.len += 1;
        true
    }

    /// Takes a bundle out. `false` if it was not there.
    pub fn remove(&mut self, hour: Hour, id: &BundleId) -> bool {
        let Some((at, position)) = self.place(hour, id) else {
            return false;
        };
        let Some(chunk) = self.chunks.get_mut(at) else {
            return false;
        };
        let removed = chunk.items.remove(position);
        chunk.sum = chunk.sum.minus(Sum::of(&removed.key.id));
        if removed.expiry == Some(chunk.first_expiry) {
            *chunk = Chunk::new(std::mem::take(&mut chunk.items));
        }
        self.len -= 1;
        self.merge(at);
        true
    }

    /// Says that a bundle in the set is now held, or only remembered. `false` if it is not there.
    pub fn set_held(&mut self, hour: Hour, id: &BundleId, held: bool) -> bool {
        let item = self.place(hour, id).and_then(|(at, position)| self.chunks.get_mut(at)?.items.get_mut(position));
        item.map(|item| item.held = held).is_some()
    }

    /// Says whether a bundle is in the set.
    pub fn contains(&self, hour: Hour, id: &BundleId) -> bool {
        self.place(hour, id).is_some()
    }

    /// Returns how many bundles are in the set.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Says whether the set is empty.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The set as one session sees it.
    pub(super) const fn visible(&self, view: SessionView) -> Visible<'_> {
        Visible { set: self, view }
    }

    /// The first chunk that could hold `key`.
    fn chunk_of(&self, key: &Key) -> usize {
        self.chunks.partition_point(|chunk| chunk.is_all_below(key))
    }

    fn place(&self, hour: Hour, id: &BundleId) -> Option<(usize, usize)> {
        let key = Key { hour, id: id.0 };
        let at = self.chunk_of(&key);
        let position = self.chunks.get(at)?.items.binary_search_by_key(&key, |item| item.key).ok()?;
        Some((at, position))
    }

    /// Joins a chunk that has become small with the one above it, or drops it if it is empty.
    fn merge(&mut self, at: usize) {
        let len_of = |at: usize| self.chunks.get(at).map_or(MAX_CHUNK, |chunk| chunk.items.len());
        if len_of(at) == 0 {
            self.chunks.remove(at);
        } else if len_of(at) + len_of(at + 1) <= MAX_CHUNK / 2 {
            let upper = self.chunks.remove(at + 1);
            if let Some(chunk) = self.chunks.get_mut(at) {
                chunk.items.extend(upper.items);
                chunk.sum = chunk.sum.plus(upper.sum);
                chunk.first_expiry = chunk.first_expiry.min(upper.first_expiry);
            }
        }
    }

    /// The parts of chunks that lie in `range`, ascending; beside each the chunk's own sum if the whole of it does.
    fn pieces(&self, range: Range) -> impl DoubleEndedIterator<Item = Piece<'_>> {
        let first = match range.from {
            Bound::At(key) => self.chunk_of(&key),
            Bound::Top => self.chunks.len(),
        };
        let end = self.chunks.partition_point(|chunk| chunk.begins_below(&range.above));
        self.chunks.get(first..end).unwrap_or_default().iter().map(move |chunk| {
            if chunk.lies_in(&range) {
                return Piece { items: &chunk.items, sum: Some(chunk.sum), first_expiry: chunk.first_expiry };
            }
            let low = chunk.items.partition_point(|item| range.from.is_above(&item.key));
            let high = chunk.items.partition_point(|item| range.above.is_above(&item.key));
            Piece { items: chunk.items.get(low..high).unwrap_or_default(), sum: None, first_expiry: chunk.first_expiry }
        })
    }
}

/// What of one chunk lies in a range.
struct Piece<'a> {
    items: &'a [Item],
    sum: Option<Sum>,
    first_expiry: Hour,
}

impl Piece<'_> {
    fn count(&self, cut: Hour) -> usize {
        if self.first_expiry > cut { self.items.len() } else { self.shown(cut).count() }
    }

    fn sum(&self, cut: Hour) -> Sum {
        match self.sum {
            Some(sum) if self.first_expiry > cut => sum,
            _ => self.shown(cut).fold(Sum::default(), |sum, item| sum.plus(Sum::of(&item.key.id))),
        }
    }

    /// The key of the shown item at a position counted from the newest.
    fn nth_newest(&self, cut: Hour, position: usize) -> Option<Key> {
        let item = if self.first_expiry > cut { self.items.iter().nth_back(position) } else { self.shown(cut).nth_back(position) };
        item.map(|item| item.key)
    }

    fn shown(&self, cut: Hour) -> impl DoubleEndedIterator<Item = &Item> {
        self.items.iter().filter(move |item| item.is_shown(cut))
    }
}

/// What a session sees of the set: the narrow side towards the comparison.
#[derive(Clone, Copy)]
pub(super) struct Visible<'a> {
    set: &'a ItemSet,
    view: SessionView,
}

impl<'a> Visible<'a> {
    /// The number of items shown in a range.
    pub(super) fn count(&self, range: Range) -> usize {
        self.pieces(range).map(|piece| piece.count(self.view.cut)).sum()
    }

    /// The range's fingerprint in the session of `session_hash` (docs/protocol.md, section 6.2).
    pub(super) fn fingerprint(&self, session_hash: &[u8; 32], range: Range) -> Fingerprint {
        let (sum, count) = self.pieces(range).fold((Sum::default(), 0_u64), |(sum, count), piece| {
            (sum.plus(piece.sum(self.view.cut)), count + piece.count(self.view.cut) as u64)
        });
        let (high, low) = (sum.high.to_be_bytes(), sum.low.to_be_bytes());
        let hash = kdf::hash(&[label::FINGERPRINT, session_hash, &high, &low, &count.to_be_bytes()]);
        let mut fingerprint = [0; FINGERPRINT_LEN];
        fingerprint.copy_from_slice(hash.split_at(FINGERPRINT_LEN).0);
        fingerprint
    }

    /// Divides a range so that `positions` (ascending, counted from the newest item) begin a new part; positions at the ends divide nothing.
    pub(super) fn split_at(&self, range: Range, positions: impl IntoIterator<Item = usize>) -> Vec<Range> {
        let mut parts = Vec::new();
        let mut above = range.above;
        let mut positions = positions.into_iter().peekable();
        let mut passed = 0;
        let mut last_passed = None;
        for piece in self.pieces(range).rev() {
            let count = piece.count(self.view.cut);
            while let Some(position) = positions.next_if(|&position| position < passed + count) {
                let older = position.checked_sub(passed).and_then(|at| piece.nth_newest(self.view.cut, at));
                let newer = match position.checked_sub(passed + 1) {
                    Some(at) => piece.nth_newest(self.view.cut, at),
                    None => last_passed,
                };
                if let (Some(newer), Some(older)) = (newer, older) {
                    let from = Bound::between(&newer, &older);
                    if from < above {
                        parts.push(Range { above, from });
                        above = from;
                    }
                }
            }
            passed += count;
            last_passed = count.checked_sub(1).and_then(|last| piece.nth_newest(self.view.cut, last)).or(last_passed);
        }
        parts.push(Range { above, from: range.from });
        parts
    }

    /// The items shown in a range, newest first.
    pub(super) fn shown(&self, range: Range) -> impl Iterator<Item = &'a Item> {
        let cut = self.view.cut;
        self.known(range).filter(move |item| item.is_shown(cut))
    }

    /// The items of a range with those left out, newest first.
    pub(super) fn known(&self, range: Range) -> impl Iterator<Item = &'a Item> {
        self.pieces(range).rev().flat_map(|piece| piece.items.iter().rev())
    }

    /// Says whether the session shows this item.
    pub(super) fn shows(&self, item: &Item) -> bool {
        !self.view.empty && item.is_shown(self.view.cut)
    }

    fn pieces(&self, range: Range) -> impl DoubleEndedIterator<Item = Piece<'a>> {
        (!self.view.empty).then(|| self.set.pieces(range)).into_iter().flatten()
    }
}
