//! What holds of every tree, whatever was done to it.

use super::*;

impl Node {
    /// Panics unless the tree is well formed: order, fill, depth, and sums that are those of its items. Returns its items.
    pub(in crate::reconcile) fn check(&self) -> Vec<Item> {
        let root_may_have = match self {
            Self::Leaf(_) => 0,
            Self::Inner(_) => 2,
        };
        let (items, _) = self.check_below(root_may_have);
        assert!(items.is_sorted_by(|lower, upper| lower.key < upper.key), "items ascend, and none is there twice");
        items
    }

    /// Checks a node with at least so many parts; returns its items and its depth.
    fn check_below(&self, least: usize) -> (Vec<Item>, usize) {
        let (items, depth) = match self {
            Self::Leaf(leaf) => {
                assert!((least..=MAX_ITEMS).contains(&leaf.items.len()), "{} items in a leaf", leaf.items.len());
                assert!(leaf.items.capacity() <= MAX_ITEMS + 2 * SPARE, "room for {} items", leaf.items.capacity());
                (leaf.items.clone(), 0)
            }
            Self::Inner(inner) => {
                assert!((least..=MAX_CHILDREN).contains(&inner.children.len()), "{} children", inner.children.len());
                let least = if let Some(Self::Leaf(_)) = inner.children.first() { MAX_ITEMS / 4 } else { MAX_CHILDREN / 4 };
                let (items, depths): (Vec<_>, Vec<_>) = inner.children.iter().map(|child| child.check_below(least)).unzip();
                assert!(depths.iter().all(|depth| *depth == depths[0]), "all leaves lie at one depth");
                (items.concat(), depths[0] + 1)
            }
        };
        assert_eq!([self.first(), self.last()], [items.first(), items.last()].map(|item| item.map(|item| &item.key)));
        assert!(items.is_empty() || self.sums().are_of(&items), "sums are those of the items");
        (items, depth)
    }
}
