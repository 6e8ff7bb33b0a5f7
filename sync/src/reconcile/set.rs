//! The ordered set of known bundles, with sums over ranges.
//!
//! Items lie in ascending order in chunks of at most [`MAX_CHUNK`]; each chunk keeps the sum of its ids, and that of those that expire, by
//! hour. A range costs its number of chunks, a few additions in each that holds items which a session leaves out, and a scan of those at
//! its edges. [`Visible`] counts these steps. Whoever replaces this by a tree keeps [`Visible`] as it is.

use std::cell::Cell;

use super::chunk::{Chunk, Cut, Item, MAX_CHUNK, Total, total_shown};
use crate::{
    crypto::kdf::{self, label},
    id::BundleId,
    time::Hour,
};

/// Hours left out below an item's expiry, so that two clocks need not agree (docs/protocol.md, section 6.1).
const EXPIRY_MARGIN: u32 = 2;

/// Most hours that two nodes' clocks may differ to be compared (docs/protocol.md, section 6.1).
const MAX_CLOCK_DIFFERENCE: u32 = 24;

/// Length of a fingerprint, bytes (docs/protocol.md, section 6.2).
pub(super) const FINGERPRINT_LEN: usize = 12;

/// What a fingerprint costs beside the range's sum, in steps. measured: a hash, against adding up an item.
const FINGERPRINT_STEPS: usize = 128;

/// What it costs to find a range's chunks, in steps. guess: two searches.
const SEARCH_STEPS: usize = 16;

/// A fingerprint of one range in one session.
pub(super) type Fingerprint = [u8; FINGERPRINT_LEN];

/// Returns the hour up to which expiring items are left out of a session: docs/protocol.md, section 6.1.
///
/// `own` and `other` are the hours of the two HELLOs, [`Hour::UNKNOWN`] where a node has none. If neither has one nothing is left out, and
/// this is [`Hour::UNKNOWN`].
pub const fn cut_hour(own: Hour, other: Hour) -> Hour {
    let hour = match (own, other) {
        (Hour::UNKNOWN, Hour::UNKNOWN) => return Hour::UNKNOWN,
        (Hour::UNKNOWN, known) | (known, Hour::UNKNOWN) => known,
        (own, other) if other.0 > own.0 && other.0 - own.0 <= MAX_CLOCK_DIFFERENCE => other,
        (own, _) => own,
    };
    hour.plus(EXPIRY_MARGIN)
}

/// What of the set one session shows (docs/protocol.md, section 6.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SessionView {
    /// Items that expire at this hour or before are left out: [`cut_hour`]. [`Hour::UNKNOWN`] leaves out nothing.
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
        let item = Item::new(Key { hour, id: id.0 }, expiry, held);
        let at = self.chunk_of(&item.key).min(self.chunks.len().saturating_sub(1));
        let Some(chunk) = self.chunks.get_mut(at) else {
            self.chunks.push(Chunk::new(vec![item]));
            self.len += 1;
            return true;
        };
        let Err(position) = chunk.search(&item.key) else {
            return false;
        };
        if !chunk.is_full() {
            chunk.insert(position, item);
        } else if position == MAX_CHUNK {
            // Above all there are: whoever inserts in order fills each chunk.
            self.chunks.push(Chunk::new(vec![item]));
        } else {
            let mut upper = chunk.split_off(MAX_CHUNK / 2);
            match position.checked_sub(MAX_CHUNK / 2) {
                Some(position) => upper.insert(position, item),
                None => chunk.insert(position, item),
            }
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
        chunk.remove(position);
        self.len -= 1;
        self.merge(at);
        true
    }

    /// Says that a bundle in the set is now held, or only remembered. `false` if it is not there.
    pub fn set_held(&mut self, hour: Hour, id: &BundleId, held: bool) -> bool {
        let Some((at, position)) = self.place(hour, id) else {
            return false;
        };
        self.chunks.get_mut(at).map(|chunk| chunk.set_held(position, held)).is_some()
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
    pub(super) fn visible(&self, view: SessionView) -> Visible<'_> {
        Visible { chunks: if view.empty { &[] } else { &self.chunks }, cut: Cut::at(view.cut), steps: Cell::new(0) }
    }

    /// Bytes that it takes.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.chunks.capacity() * size_of::<Chunk>() + self.chunks.iter().map(Chunk::bytes).sum::<usize>()
    }

    /// The first chunk that could hold `key`.
    fn chunk_of(&self, key: &Key) -> usize {
        first_not_below(&self.chunks, key)
    }

    fn place(&self, hour: Hour, id: &BundleId) -> Option<(usize, usize)> {
        let key = Key { hour, id: id.0 };
        let at = self.chunk_of(&key);
        let position = self.chunks.get(at)?.search(&key).ok()?;
        Some((at, position))
    }

    /// Joins a chunk that has become small with a neighbour, or drops it if it is empty.
    fn merge(&mut self, at: usize) {
        let len_of = |at: usize| self.chunks.get(at).map_or(MAX_CHUNK, |chunk| chunk.items().len());
        let are_few = |lower: usize| len_of(lower) + len_of(lower + 1) <= MAX_CHUNK / 2;
        if len_of(at) == 0 {
            self.chunks.remove(at);
        } else if let Some(lower) = [Some(at), at.checked_sub(1)].into_iter().flatten().find(|lower| are_few(*lower)) {
            let upper = self.chunks.remove(lower + 1);
            if let Some(chunk) = self.chunks.get_mut(lower) {
                chunk.absorb(upper);
            }
        }
    }
}

/// The first of some chunks that could hold `key`.
fn first_not_below(chunks: &[Chunk], key: &Key) -> usize {
    chunks.partition_point(|chunk| chunk.items().last().is_some_and(|last| last.key < *key))
}

/// What of one chunk lies in a range.
#[derive(Clone, Copy)]
struct Piece<'a> {
    chunk: &'a Chunk,
    items: &'a [Item],
}

impl<'a> Piece<'a> {
    fn of(chunk: &'a Chunk, range: &Range) -> Self {
        let items = chunk.items();
        let inside = |item: &Item| range.above.is_above(&item.key) && !range.from.is_above(&item.key);
        if items.first().is_some_and(inside) && items.last().is_some_and(inside) {
            return Self { chunk, items };
        }
        let low = items.partition_point(|item| range.from.is_above(&item.key));
        let high = items.partition_point(|item| range.above.is_above(&item.key));
        Self { chunk, items: items.get(low..high).unwrap_or_default() }
    }

    fn is_whole(&self) -> bool {
        self.items.len() == self.chunk.items().len()
    }
}

/// What a session sees of the set: the narrow side towards the comparison.
pub(super) struct Visible<'a> {
    chunks: &'a [Chunk],
    cut: Cut,
    steps: Cell<u64>,
}

impl<'a> Visible<'a> {
    /// What was done for the methods below so far: about as many times what it takes to add up one item.
    pub(super) const fn steps(&self) -> u64 {
        self.steps.get()
    }

    /// The number of items shown in a range.
    pub(super) fn count(&self, range: Range) -> usize {
        self.pieces(range).map(|piece| self.count_of(piece)).sum()
    }

    /// The number of items shown in a range, and the sum of their ids.
    pub(super) fn total(&self, range: Range) -> Total {
        self.pieces(range).map(|piece| self.total_of(piece)).fold(Total::default(), Total::plus)
    }

    /// The fingerprint of a range with this total in the session of `session_hash` (docs/protocol.md, section 6.2).
    pub(super) fn fingerprint(&self, session_hash: &[u8; 32], total: Total) -> Fingerprint {
        self.charge(FINGERPRINT_STEPS);
        let (high, low) = (total.high.to_be_bytes(), total.low.to_be_bytes());
        let hash = kdf::hash(&[label::FINGERPRINT, session_hash, &high, &low, &total.count.to_be_bytes()]);
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
        let mut passed_last: Option<Piece<'_>> = None;
        for piece in self.pieces(range).rev() {
            let end = passed + self.count_of(piece);
            let mut newer = None;
            let mut walk = (passed..end).zip(self.shown_of(piece).rev());
            while positions.peek().is_some_and(|&position| position < end)
                && let Some((at, Item { key: older, .. })) = walk.next()
            {
                if positions.peek() == Some(&at) {
                    newer = newer.or_else(|| self.shown_of(passed_last?).next().map(|item| &item.key));
                    let from = newer.map(|newer| Bound::between(newer, older));
                    if let Some(from) = from.filter(|from| *from < above) {
                        parts.push(Range { above, from });
                        above = from;
                    }
                    while positions.next_if(|&position| position <= at).is_some() {}
                }
                newer = Some(older);
            }
            if end > passed {
                passed_last = Some(piece);
            }
            passed = end;
        }
        parts.push(Range { above, from: range.from });
        parts
    }

    /// The items shown in a range, newest first.
    pub(super) fn shown(&self, range: Range) -> impl Iterator<Item = &'a Item> {
        self.known(range).filter(|item| self.shows(item))
    }

    /// The items of a range with those left out, newest first.
    pub(super) fn known(&self, range: Range) -> impl Iterator<Item = &'a Item> {
        self.pieces(range).rev().flat_map(|piece| piece.items.iter().rev()).inspect(|_| self.charge(1))
    }

    /// Says whether the session shows this item.
    pub(super) const fn shows(&self, item: &Item) -> bool {
        item.is_shown(self.cut)
    }

    /// The parts of chunks that lie in `range`, ascending.
    fn pieces(&self, range: Range) -> impl DoubleEndedIterator<Item = Piece<'a>> {
        self.charge(SEARCH_STEPS);
        let first = match range.from {
            Bound::At(key) => first_not_below(self.chunks, &key),
            Bound::Top => self.chunks.len(),
        };
        let end = self.chunks.partition_point(|chunk| chunk.items().first().is_some_and(|first| range.above.is_above(&first.key)));
        let chunks = self.chunks.get(first..end).unwrap_or_default();
        chunks.iter().inspect(|_| self.charge(1)).map(move |chunk| Piece::of(chunk, &range))
    }

    fn count_of(&self, piece: Piece<'_>) -> usize {
        if piece.chunk.hides(self.cut) { self.total_of(piece).count as usize } else { piece.items.len() }
    }

    fn total_of(&self, piece: Piece<'_>) -> Total {
        if piece.is_whole() {
            let hidden = piece.chunk.hidden(self.cut);
            self.charge(hidden.len());
            return hidden.fold(piece.chunk.total(), Total::minus);
        }
        self.charge(piece.items.len());
        total_shown(piece.items, self.cut)
    }

    fn shown_of<'b>(&self, piece: Piece<'b>) -> impl DoubleEndedIterator<Item = &'b Item> {
        piece.items.iter().inspect(|_| self.charge(1)).filter(|item| self.shows(item))
    }

    fn charge(&self, steps: usize) {
        self.steps.set(self.steps.get() + steps as u64);
    }
}
