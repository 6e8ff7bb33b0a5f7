//! A table that can take back what was done to it since the last commit.

use std::{collections::BTreeMap, ops::RangeBounds};

/// Entries for which a log's memory is kept from one transaction to the next. Guess: most batches change less.
const MOST_KEPT: usize = 64;

/// Rows by key, and an undo log: what stood under each key before a write of the open transaction, in order of the writes.
///
/// A transaction costs what it changes, not what the table holds.
#[derive(Clone)]
pub(super) struct Table<K, V> {
    rows: BTreeMap<K, V>,
    undo: Vec<(K, Option<V>)>,
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self { rows: BTreeMap::new(), undo: Vec::new() }
    }
}

impl<K: Ord + Clone, V> Table<K, V> {
    /// Puts a row, in place of the one that is there.
    pub(super) fn put(&mut self, key: K, value: V) {
        let before = self.rows.insert(key.clone(), value);
        self.undo.push((key, before));
    }

    /// Removes a row, if it is there; says whether it was.
    pub(super) fn remove(&mut self, key: &K) -> bool {
        let before = self.rows.remove(key);
        let there = before.is_some();
        if there {
            self.undo.push((key.clone(), before));
        }
        there
    }

    /// Removes all rows of a range.
    pub(super) fn remove_range(&mut self, range: impl RangeBounds<K>) {
        let keys: Vec<K> = self.rows.range(range).map(|(key, _)| key.clone()).collect();
        for key in &keys {
            self.remove(key);
        }
    }

    /// Keeps what was done.
    pub(super) fn commit(&mut self) {
        if self.undo.capacity() > MOST_KEPT {
            self.undo = Vec::new();
        }
        self.undo.clear();
    }

    /// Takes back what was done since the last commit.
    pub(super) fn rollback(&mut self) {
        while let Some((key, before)) = self.undo.pop() {
            match before {
                Some(value) => self.rows.insert(key, value),
                None => self.rows.remove(&key),
            };
        }
    }

    /// The row under a key.
    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.rows.get(key)
    }

    /// Whether there is a row under a key.
    pub(super) fn has(&self, key: &K) -> bool {
        self.rows.contains_key(key)
    }

    /// All rows, by key.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = (&K, &V)> {
        self.rows.iter()
    }

    /// The rows of a range, by key.
    pub(super) fn range(&self, range: impl RangeBounds<K>) -> impl DoubleEndedIterator<Item = (&K, &V)> {
        self.rows.range(range)
    }

    /// How many rows there are.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rollback_inverts_any_writes_of_one_key() {
        let mut table = Table::default();
        table.put(1, "one");
        table.put(2, "two");
        table.commit();
        table.put(1, "uno");
        table.remove(&1);
        table.put(1, "eins");
        table.remove(&2);
        table.put(3, "three");
        table.rollback();
        assert_eq!(table.iter().collect::<Vec<_>>(), [(&1, &"one"), (&2, &"two")]);
        table.rollback();
        assert_eq!(table.len(), 2, "there is nothing more to take back");
    }
}
