//! What a session sees of the set: the narrow side towards the comparison.

use std::cell::Cell;

use super::{
    item::{Cut, Item, Total},
    order::{Bound, Range},
    tree::Node,
    walk::{Piece, Walk},
};
use crate::crypto::kdf::{self, label};

/// Length of a fingerprint, bytes (docs/protocol.md, section 6.2).
pub(super) const FINGERPRINT_LEN: usize = 12;

/// What a fingerprint costs beside the range's sum, in steps. measured: a hash, against adding up an item.
const FINGERPRINT_STEPS: usize = 128;

/// What it costs to find where a range begins and ends, in steps. guess: two searches.
const SEARCH_STEPS: usize = 16;

/// A fingerprint of one range in one session.
pub(super) type Fingerprint = [u8; FINGERPRINT_LEN];

/// The items that one session shows, and those it leaves out.
pub(super) struct Visible<'a> {
    root: Option<&'a Node>,
    cut: Cut,
    steps: Cell<u64>,
}

impl<'a> Visible<'a> {
    /// Of the items of a tree, or of nothing.
    pub(super) const fn new(root: Option<&'a Node>, cut: Cut) -> Self {
        Self { root, cut, steps: Cell::new(0) }
    }

    /// What was done for the methods below so far: about as many times what it takes to add up one item.
    pub(super) const fn steps(&self) -> u64 {
        self.steps.get()
    }

    /// The number of items shown in a range.
    pub(super) fn count(&self, range: Range) -> usize {
        let mut count = 0;
        let mut walk = self.walk(range);
        while let Some(piece) = self.next(&mut walk) {
            match piece {
                Piece::Items(items) => count += self.shown_of(items).count(),
                Piece::Whole(node) => match self.total_of(node) {
                    Some(total) => count += total.count as usize,
                    None => walk.open(node),
                },
            }
        }
        count
    }

    /// The number of items shown in a range, and the sum of their ids.
    pub(super) fn total(&self, range: Range) -> Total {
        let mut sum = Total::default();
        let mut walk = self.walk(range);
        while let Some(piece) = self.next(&mut walk) {
            match piece {
                Piece::Items(items) => {
                    self.charge(items.len());
                    sum = sum.plus(Total::of_shown(items, self.cut));
                }
                Piece::Whole(node) => match self.total_of(node) {
                    Some(total) => sum = sum.plus(total),
                    None => walk.open(node),
                },
            }
        }
        sum
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
        // Items passed, and the last of them if it was looked at: always before a position.
        let (mut passed, mut newer) = (0, None::<&Item>);
        let mut walk = self.walk(range);
        while let Some(&position) = positions.peek()
            && let Some(piece) = self.next(&mut walk)
        {
            let items = match piece {
                Piece::Items(items) => items,
                Piece::Whole(node) => {
                    match self.total_of(node).map(|total| passed + total.count as usize) {
                        Some(end) if end < position => passed = end,
                        _ => walk.open(node),
                    }
                    continue;
                }
            };
            for older in self.shown_of(items).rev() {
                if positions.next_if_eq(&passed).is_some() {
                    let from = newer.map(|newer| Bound::between(&newer.key, &older.key));
                    if let Some(from) = from.filter(|from| *from < above) {
                        parts.push(Range { above, from });
                        above = from;
                    }
                    while positions.next_if(|&position| position <= passed).is_some() {}
                    if positions.peek().is_none() {
                        break;
                    }
                }
                newer = Some(older);
                passed += 1;
            }
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
        let mut walk = self.walk(range);
        let leaves = std::iter::from_fn(move || {
            loop {
                match self.next(&mut walk)? {
                    Piece::Items(items) => return Some(items),
                    Piece::Whole(node) => walk.open(node),
                }
            }
        });
        leaves.flat_map(|items| items.iter().rev()).inspect(|_| self.charge(1))
    }

    /// Says whether the session shows this item.
    pub(super) const fn shows(&self, item: &Item) -> bool {
        item.is_shown(self.cut)
    }

    fn walk(&self, range: Range) -> Walk<'a> {
        self.charge(SEARCH_STEPS);
        Walk::new(self.root, range)
    }

    fn next(&self, walk: &mut Walk<'a>) -> Option<Piece<'a>> {
        let piece = walk.next();
        self.charge(walk.take_visited());
        piece
    }

    /// What is shown of a node; `None` if one has to look into it.
    fn total_of(&self, node: &Node) -> Option<Total> {
        let (total, taken_off) = node.sums().shown(self.cut)?;
        self.charge(taken_off);
        Some(total)
    }

    fn shown_of<'b>(&self, items: &'b [Item]) -> impl DoubleEndedIterator<Item = &'b Item> {
        items.iter().inspect(|_| self.charge(1)).filter(|item| self.shows(item))
    }

    fn charge(&self, steps: usize) {
        self.steps.set(self.steps.get() + steps as u64);
    }
}
