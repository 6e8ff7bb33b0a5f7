//! The ordered set of known bundles, as the engine keeps it.

use super::{
    item::{Cut, Item},
    order::Key,
    tree::Node,
    visible::Visible,
};
use crate::{id::BundleId, time::Hour};

/// Hours left out below an item's expiry, so that two clocks need not agree (docs/protocol.md, section 6.1).
const EXPIRY_MARGIN: u32 = 2;

/// Most hours that two nodes' clocks may differ to be compared (docs/protocol.md, section 6.1).
const MAX_CLOCK_DIFFERENCE: u32 = 24;

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

/// The bundles a node holds, and those it has dropped for lack of room and remembers (docs/protocol.md, section 6.1).
///
/// Acknowledged bundles are not in it. One set serves many sessions; each sees it through its [`SessionView`]. What strangers are told less
/// of than contacts, long dropped bundles, is kept out of a second set, which their sessions are given. A change, and the sum of a range,
/// take time that grows with the logarithm of how many there are.
#[derive(Clone, Debug)]
pub struct ItemSet {
    root: Node,
    len: usize,
}

impl Default for ItemSet {
    fn default() -> Self {
        Self::new()
    }
}

impl ItemSet {
    /// Starts empty.
    pub const fn new() -> Self {
        Self { root: Node::EMPTY, len: 0 }
    }

    /// Adds a bundle by its created hour and id. `expiry` is `None` for one that expires by age. `false` if it was there: it is unchanged.
    pub fn insert(&mut self, hour: Hour, id: BundleId, expiry: Option<Hour>, held: bool) -> bool {
        let is_new = self.root.insert(&Item::new(Key { hour, id: id.0 }, expiry, held));
        self.len += usize::from(is_new);
        is_new
    }

    /// Takes a bundle out. `false` if it was not there.
    pub fn remove(&mut self, hour: Hour, id: &BundleId) -> bool {
        let was_there = self.root.remove(&Key { hour, id: id.0 });
        self.len -= usize::from(was_there);
        was_there
    }

    /// Says that a bundle in the set is now held, or only remembered. `false` if it is not there.
    pub fn set_held(&mut self, hour: Hour, id: &BundleId, held: bool) -> bool {
        self.root.set_held(&Key { hour, id: id.0 }, held)
    }

    /// Says whether a bundle is in the set.
    pub fn contains(&self, hour: Hour, id: &BundleId) -> bool {
        self.root.contains(&Key { hour, id: id.0 })
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
        Visible::new((!view.empty).then_some(&self.root), Cut::at(view.cut))
    }

    /// Bytes that it takes.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.root.bytes()
    }

    /// Panics unless what holds of every set holds; returns its items, ascending.
    #[cfg(test)]
    pub(super) fn check(&self) -> Vec<Item> {
        let items = self.root.check();
        assert_eq!(items.len(), self.len);
        items
    }
}
