//! A way through the items of a range, newest first, that goes into a node only where it has to.

use super::{
    item::Item,
    order::Range,
    tree::{Inner, Leaf, Node},
};

/// A part of a range.
pub(super) enum Piece<'a> {
    /// All of a node: to be taken as a whole, or [opened](Walk::open).
    Whole(&'a Node),
    /// Some items of a leaf, ascending.
    Items(&'a [Item]),
}

/// A node still to be walked through.
enum Pending<'a> {
    /// Perhaps not all of it lies in the range.
    Edge(&'a Node),
    /// See [`Piece`].
    Piece(Piece<'a>),
}

/// What lies in a range of a tree, in pieces, newest first.
pub(super) struct Walk<'a> {
    range: Range,
    /// The next one last.
    pending: Vec<Pending<'a>>,
    visited: usize,
}

impl<'a> Walk<'a> {
    /// Through a tree, or through nothing.
    pub(super) fn new(root: Option<&'a Node>, range: Range) -> Self {
        Self { range, pending: root.map(Pending::Edge).into_iter().collect(), visited: 0 }
    }

    /// The next part.
    pub(super) fn next(&mut self) -> Option<Piece<'a>> {
        loop {
            self.visited += 1;
            match self.pending.pop()? {
                Pending::Piece(piece) => return Some(piece),
                Pending::Edge(node) if self.has_all_of(node) => return Some(Piece::Whole(node)),
                Pending::Edge(Node::Leaf(leaf)) => return Some(Piece::Items(self.items_of(leaf))),
                Pending::Edge(Node::Inner(inner)) => self.push_children_of(inner),
            }
        }
    }

    /// Goes on with the parts of a node that was returned as a whole.
    pub(super) fn open(&mut self, node: &'a Node) {
        match node {
            Node::Leaf(leaf) => self.pending.push(Pending::Piece(Piece::Items(leaf.items()))),
            Node::Inner(inner) => self.pending.extend(inner.children().iter().map(|child| Pending::Piece(Piece::Whole(child)))),
        }
    }

    /// How many nodes were looked at since this was asked last.
    pub(super) fn take_visited(&mut self) -> usize {
        std::mem::take(&mut self.visited)
    }

    fn has_all_of(&self, node: &Node) -> bool {
        [node.first(), node.last()].into_iter().flatten().all(|key| self.range.contains(key))
    }

    fn items_of(&self, leaf: &'a Leaf) -> &'a [Item] {
        let items = leaf.items();
        let low = items.partition_point(|item| self.range.from.is_above(&item.key));
        let high = items.partition_point(|item| self.range.above.is_above(&item.key));
        items.get(low..high).unwrap_or_default()
    }

    fn push_children_of(&mut self, inner: &'a Inner) {
        let children = inner.children();
        let low = children.partition_point(|child| child.last().is_some_and(|last| self.range.from.is_above(last)));
        let high = children.partition_point(|child| child.first().is_some_and(|first| self.range.above.is_above(first)));
        match children.get(low..high).unwrap_or_default() {
            [] => {}
            [only] => self.pending.push(Pending::Edge(only)),
            [oldest, between @ .., newest] => {
                self.pending.push(Pending::Edge(oldest));
                self.pending.extend(between.iter().map(|child| Pending::Piece(Piece::Whole(child))));
                self.pending.push(Pending::Edge(newest));
            }
        }
    }
}
