//! A balanced tree of items, with sums beside every node.
//!
//! A B+ tree: items lie in leaves, in ascending order, all leaves at one depth. Every node but the root is at least a quarter full. A full
//! node is divided in the middle; one that gets too empty takes over its neighbour's content, or half of what both have. Each change so
//! touches one node a level, and now and then a neighbour. What lies in a range is found by [`Walk`](super::walk::Walk).

#[cfg(test)]
mod check;

use super::{item::Item, order::Key, sums::Sums};

/// Most items in one leaf. guess: at the edges of a range half a leaf is added up, and what stands beside a leaf is shared by enough items.
const MAX_ITEMS: usize = 256;

/// Most nodes below one node. guess: five levels hold a million items, and a range takes at most sixteen sums at each end of a level.
const MAX_CHILDREN: usize = 16;

/// Places that a leaf takes at once when it grows; it keeps at most two times as many unused. A `Vec` itself would double.
const SPARE: usize = 8;

/// Lifetimes for which a leaf has sums: the five there are, and some of bundles without a created hour. With more, going through its items
/// costs little more than adding up such sums, which would take more room than an eighth of the items.
const MAX_LEAF_LIFETIMES: usize = 32;

/// Lifetimes for which an inner node has sums: all hours at which bundles without a created hour may expire, 720 and some for clocks that
/// differ.
const MAX_INNER_LIFETIMES: usize = 1_024;

/// The items, or a part of them.
#[derive(Clone, Debug)]
pub(super) enum Node {
    /// Items themselves.
    Leaf(Leaf),
    /// Further nodes.
    Inner(Box<Inner>),
}

/// A run of items: at least one, unless it is the root.
#[derive(Clone, Debug)]
pub(super) struct Leaf {
    /// Ascending.
    items: Vec<Item>,
    sums: Sums,
}

/// Neighbouring nodes of one depth, at least two.
#[derive(Clone, Debug)]
pub(super) struct Inner {
    /// Ascending.
    children: Vec<Node>,
    /// The oldest item's place.
    first: Key,
    /// The newest item's place.
    last: Key,
    sums: Sums,
}

/// What has become of an item that was to be put in.
enum Inserted {
    /// Its place is taken: nothing has changed.
    Not,
    /// It is in the node.
    Here,
    /// It is in the node or in this one, which is to stand above it.
    Divided(Node),
}

impl Node {
    /// Without items.
    pub(super) const EMPTY: Self = Self::Leaf(Leaf { items: Vec::new(), sums: Sums::EMPTY });

    /// Puts an item in. `false` if its place is taken: nothing has changed.
    pub(super) fn insert(&mut self, item: &Item) -> bool {
        match self.insert_below(item) {
            Inserted::Not => false,
            Inserted::Here => true,
            Inserted::Divided(upper) => {
                let lower = std::mem::replace(self, Self::EMPTY);
                *self = Self::Inner(Box::new(Inner::new(vec![lower, upper])));
                true
            }
        }
    }

    /// Takes an item out. `false` if it is not there.
    pub(super) fn remove(&mut self, key: &Key) -> bool {
        let removed = self.remove_below(key).is_some();
        if let Self::Inner(inner) = self
            && inner.children.len() == 1
            && let Some(only) = inner.children.pop()
        {
            *self = only;
        }
        removed
    }

    /// Says that an item is held, or only remembered. `false` if it is not there.
    pub(super) fn set_held(&mut self, key: &Key, held: bool) -> bool {
        let item = match self {
            Self::Leaf(leaf) => leaf.search(key).ok().and_then(|at| leaf.items.get_mut(at)),
            Self::Inner(inner) => {
                let at = inner.position(key);
                return inner.children.get_mut(at).is_some_and(|child| child.set_held(key, held));
            }
        };
        item.map(|item| item.set_held(held)).is_some()
    }

    /// Says whether an item is there.
    pub(super) fn contains(&self, key: &Key) -> bool {
        match self {
            Self::Leaf(leaf) => leaf.search(key).is_ok(),
            Self::Inner(inner) => inner.children.get(inner.position(key)).is_some_and(|child| child.contains(key)),
        }
    }

    /// The oldest item's place.
    pub(super) fn first(&self) -> Option<&Key> {
        match self {
            Self::Leaf(leaf) => leaf.items.first().map(|item| &item.key),
            Self::Inner(inner) => Some(&inner.first),
        }
    }

    /// The newest item's place.
    pub(super) fn last(&self) -> Option<&Key> {
        match self {
            Self::Leaf(leaf) => leaf.items.last().map(|item| &item.key),
            Self::Inner(inner) => Some(&inner.last),
        }
    }

    /// What is known of all items together.
    pub(super) const fn sums(&self) -> &Sums {
        match self {
            Self::Leaf(leaf) => &leaf.sums,
            Self::Inner(inner) => &inner.sums,
        }
    }

    /// Bytes that it takes beside itself.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        let own = match self {
            Self::Leaf(leaf) => leaf.items.capacity() * size_of::<Item>(),
            Self::Inner(inner) => {
                let children: usize = inner.children.iter().map(Self::bytes).sum();
                size_of::<Inner>() + inner.children.capacity() * size_of::<Self>() + children
            }
        };
        own + self.sums().bytes()
    }

    fn insert_below(&mut self, item: &Item) -> Inserted {
        match self {
            Self::Leaf(leaf) => leaf.insert(item),
            Self::Inner(inner) => inner.insert(item),
        }
    }

    fn remove_below(&mut self, key: &Key) -> Option<Item> {
        match self {
            Self::Leaf(leaf) => leaf.remove(key),
            Self::Inner(inner) => inner.remove(key),
        }
    }

    /// Says whether it is emptier than any but the root may be.
    const fn is_thin(&self) -> bool {
        match self {
            Self::Leaf(leaf) => leaf.items.len() < MAX_ITEMS / 4,
            Self::Inner(inner) => inner.children.len() < MAX_CHILDREN / 4,
        }
    }

    /// Takes over the content of the node above, or half of what both have if that is more than three quarters of what one may hold: the
    /// other half is returned.
    fn absorb(&mut self, upper: Self) -> Option<Self> {
        match (self, upper) {
            (Self::Leaf(lower), Self::Leaf(upper)) => {
                let mut items = std::mem::take(&mut lower.items);
                items.extend(upper.items);
                let rest = halved(&mut items, MAX_ITEMS);
                *lower = Leaf::new(items);
                rest.map(|rest| Self::Leaf(Leaf::new(rest)))
            }
            (Self::Inner(lower), Self::Inner(upper)) => {
                let mut children = std::mem::take(&mut lower.children);
                children.extend(upper.children);
                let rest = halved(&mut children, MAX_CHILDREN);
                **lower = Inner::new(children);
                rest.map(|rest| Self::Inner(Box::new(Inner::new(rest))))
            }
            // Not of one depth: there are no such neighbours.
            (_, upper) => Some(upper),
        }
    }
}

/// Takes off the upper half if there is more than three quarters of `most`.
fn halved<T>(all: &mut Vec<T>, most: usize) -> Option<Vec<T>> {
    (all.len() > most / 4 * 3).then(|| all.split_off(all.len() / 2))
}

impl Leaf {
    /// Of some items, ascending.
    fn new(mut items: Vec<Item>) -> Self {
        items.shrink_to(items.len() + SPARE);
        Self { sums: Sums::of_items(&items, MAX_LEAF_LIFETIMES), items }
    }

    /// All items, ascending.
    pub(super) fn items(&self) -> &[Item] {
        &self.items
    }

    /// Where an item lies, or where it would.
    fn search(&self, key: &Key) -> Result<usize, usize> {
        self.items.binary_search_by(|item| item.key.cmp(key))
    }

    fn insert(&mut self, item: &Item) -> Inserted {
        let Err(position) = self.search(&item.key) else {
            return Inserted::Not;
        };
        if self.items.len() == self.items.capacity() {
            self.items.reserve_exact(SPARE);
        }
        self.items.insert(position, *item);
        if self.items.len() <= MAX_ITEMS {
            self.sums.add(item, MAX_LEAF_LIFETIMES);
            return Inserted::Here;
        }
        let upper = self.items.split_off(self.items.len() / 2);
        *self = Self::new(std::mem::take(&mut self.items));
        Inserted::Divided(Node::Leaf(Self::new(upper)))
    }

    fn remove(&mut self, key: &Key) -> Option<Item> {
        let position = self.search(key).ok()?;
        let removed = self.items.remove(position);
        if self.items.capacity() > self.items.len() + 2 * SPARE {
            self.items.shrink_to(self.items.len() + SPARE);
        }
        match self.items.as_slice() {
            [] => self.sums = Sums::EMPTY,
            [first, .., last] | [first @ last] => {
                self.sums.remove(&removed);
                self.sums.set_hours([first.key.hour, last.key.hour]);
            }
        }
        Some(removed)
    }
}

impl Inner {
    /// Of some nodes, ascending.
    fn new(mut children: Vec<Node>) -> Self {
        // Room for the one more that makes it divide itself.
        children.reserve_exact((MAX_CHILDREN + 1).saturating_sub(children.len()));
        let sums = Sums::of_runs(children.iter().map(Node::sums), MAX_INNER_LIFETIMES);
        let mut inner = Self { children, first: Key::END, last: Key::END, sums };
        inner.measure();
        inner
    }

    /// All nodes, ascending.
    pub(super) fn children(&self) -> &[Node] {
        &self.children
    }

    /// Of which child an item is, or would be.
    fn position(&self, key: &Key) -> usize {
        self.children.partition_point(|child| child.first().is_some_and(|first| first <= key)).saturating_sub(1)
    }

    fn insert(&mut self, item: &Item) -> Inserted {
        let at = self.position(&item.key);
        match self.children.get_mut(at).map_or(Inserted::Not, |child| child.insert_below(item)) {
            Inserted::Not => return Inserted::Not,
            Inserted::Here => {}
            Inserted::Divided(upper) => self.children.insert(at + 1, upper),
        }
        if self.children.len() <= MAX_CHILDREN {
            self.sums.add(item, MAX_INNER_LIFETIMES);
            self.measure();
            return Inserted::Here;
        }
        let upper = self.children.split_off(self.children.len() / 2);
        *self = Self::new(std::mem::take(&mut self.children));
        Inserted::Divided(Node::Inner(Box::new(Self::new(upper))))
    }

    fn remove(&mut self, key: &Key) -> Option<Item> {
        let at = self.position(key);
        let child = self.children.get_mut(at)?;
        let removed = child.remove_below(key)?;
        if child.is_thin() {
            self.mend(at);
        }
        self.sums.remove(&removed);
        self.measure();
        Some(removed)
    }

    /// Joins a child with its neighbour, and divides them anew if they are too much for one.
    fn mend(&mut self, at: usize) {
        let lower = at.min(self.children.len().saturating_sub(2));
        if lower + 1 >= self.children.len() {
            return;
        }
        let upper = self.children.remove(lower + 1);
        if let Some(rest) = self.children.get_mut(lower).and_then(|lower| lower.absorb(upper)) {
            self.children.insert(lower + 1, rest);
        }
    }

    /// Takes note of where it begins and ends.
    fn measure(&mut self) {
        if let Some(first) = self.children.first().and_then(Node::first) {
            self.first = *first;
        }
        if let Some(last) = self.children.last().and_then(Node::last) {
            self.last = *last;
        }
        self.sums.set_hours([self.first.hour, self.last.hour]);
    }
}
