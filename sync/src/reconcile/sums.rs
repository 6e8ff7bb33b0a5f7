//! What sessions ask of a run of neighbouring items, kept beside it.
//!
//! A session leaves out what expires up to its cut, and sessions have different cuts. What expires is *created hour + lifetime*, the order
//! is by created hour, and there are five lifetimes. So a run keeps one sum for each lifetime, and none by hour: where all of a lifetime
//! lies on one side of the cut its sum counts or doesn't, as a whole. Only a run in which the cut falls between items of one lifetime has
//! to be looked into, and of runs that lie beside each other that is one for each lifetime.
//!
//! Bundles without a created hour lie together at hour 0, and their lifetimes are hours of expiry: as many as there are hours in the
//! longest lifetime. A run with more lifetimes than its owner allows keeps no such sums, and is looked into for every cut.

use super::item::{Cut, Item, Total};
use crate::time::Hour;

/// What of a run has one lifetime: a [`Total`] without the gaps that its alignment would leave here.
#[derive(Clone, Copy, Debug)]
struct Share {
    high: u128,
    low: u128,
    count: u64,
    /// Hours from creation to expiry.
    lifetime: i64,
}

const _: () = assert!(size_of::<Share>() == 48, "five of them beside a hundred items and more");

impl Share {
    const fn new(lifetime: i64, Total { high, low, count }: Total) -> Self {
        Self { high, low, count, lifetime }
    }

    const fn total(&self) -> Total {
        Total { high: self.high, low: self.low, count: self.count }
    }
}

/// The sums of a run of items.
#[derive(Clone, Debug)]
pub(super) struct Sums {
    total: Total,
    /// Created hours of the oldest and of the newest item.
    hours: [Hour; 2],
    /// Ascending by lifetime; without what expires by age. `None` if there are, or were once, too many.
    shares: Option<Vec<Share>>,
}

impl Sums {
    /// Of no items.
    pub(super) const EMPTY: Self =
        Self { total: Total { high: 0, low: 0, count: 0 }, hours: [Hour(u32::MAX), Hour(0)], shares: Some(Vec::new()) };

    /// Of these items, ascending, with sums for at most so many lifetimes.
    pub(super) fn of_items(items: &[Item], most: usize) -> Self {
        let mut sums = Self::EMPTY;
        items.iter().for_each(|item| sums.add(item, most));
        sums
    }

    /// Of these runs together, with sums for at most so many lifetimes.
    pub(super) fn of_runs<'a>(runs: impl Iterator<Item = &'a Self>, most: usize) -> Self {
        let mut sums = Self::EMPTY;
        let mut all = Some(Vec::new());
        for run in runs {
            sums.total = sums.total.plus(run.total);
            sums.widen(run.hours);
            all = all.zip(run.shares.as_deref()).map(|(mut all, shares)| {
                all.extend_from_slice(shares);
                all
            });
        }
        sums.shares = all.map(joined).filter(|shares| shares.len() <= most);
        sums
    }

    /// Counts an item in.
    pub(super) fn add(&mut self, item: &Item, most: usize) {
        let one = Total::of(item);
        self.total = self.total.plus(one);
        self.widen([item.key.hour; 2]);
        let (Some(lifetime), Some(shares)) = (item.lifetime(), &mut self.shares) else {
            return;
        };
        match shares.binary_search_by_key(&lifetime, |share| share.lifetime) {
            Ok(at) => {
                if let Some(share) = shares.get_mut(at) {
                    *share = Share::new(lifetime, share.total().plus(one));
                }
            }
            Err(_) if shares.len() >= most => self.shares = None,
            Err(at) => {
                if shares.len() == shares.capacity() {
                    shares.reserve_exact(1 + shares.len() / 8);
                }
                shares.insert(at, Share::new(lifetime, one));
            }
        }
    }

    /// Takes an item out of the sums; which hours are left, [`set_hours`](Self::set_hours) is to be told.
    pub(super) fn remove(&mut self, item: &Item) {
        let one = Total::of(item);
        self.total = self.total.minus(one);
        if let (Some(lifetime), Some(shares)) = (item.lifetime(), &mut self.shares)
            && let Ok(at) = shares.binary_search_by_key(&lifetime, |share| share.lifetime)
            && let Some(share) = shares.get_mut(at)
        {
            *share = Share::new(lifetime, share.total().minus(one));
            if share.count == 0 {
                shares.remove(at);
            }
        }
    }

    /// Says of which hours the oldest and the newest item are.
    pub(super) const fn set_hours(&mut self, hours: [Hour; 2]) {
        self.hours = hours;
    }

    /// What a session shows of the run, and how many sums were taken off for it; `None` if one has to look into the run.
    pub(super) fn shown(&self, cut: Cut) -> Option<(Total, usize)> {
        if cut.shows_all() {
            return Some((self.total, 0));
        }
        let shares = self.shares.as_deref()?;
        let [hidden_for_some, hidden_for_all] =
            self.hours.map(|hour| shares.partition_point(|share| share.lifetime <= cut.hidden_lifetime(hour)));
        if hidden_for_some != hidden_for_all {
            return None;
        }
        let hidden = shares.get(..hidden_for_all)?;
        Some((hidden.iter().fold(self.total, |total, share| total.minus(share.total())), hidden.len()))
    }

    /// Bytes that it takes elsewhere.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.shares.as_ref().map_or(0, |shares| shares.capacity() * size_of::<Share>())
    }

    /// Says whether these are the sums of `items`: of all they tell, as they may have lost the sums by lifetime.
    #[cfg(test)]
    pub(super) fn are_of(&self, items: &[Item]) -> bool {
        let true_sums = Self::of_items(items, usize::MAX);
        let plain =
            |shares: &Option<Vec<Share>>| shares.as_ref().map(|shares| shares.iter().map(|s| (s.lifetime, s.total())).collect::<Vec<_>>());
        self.total == true_sums.total
            && self.hours == true_sums.hours
            && (self.shares.is_none() || plain(&self.shares) == plain(&true_sums.shares))
    }

    fn widen(&mut self, [oldest, newest]: [Hour; 2]) {
        let [first, last] = &mut self.hours;
        *first = oldest.min(*first);
        *last = newest.max(*last);
    }
}

/// Sorts shares, and makes one of those of one lifetime.
fn joined(mut shares: Vec<Share>) -> Vec<Share> {
    shares.sort_unstable_by_key(|share| share.lifetime);
    shares.dedup_by(|next, kept| {
        let same = next.lifetime == kept.lifetime;
        if same {
            *kept = Share::new(kept.lifetime, kept.total().plus(next.total()));
        }
        same
    });
    shares.shrink_to_fit();
    shares
}
