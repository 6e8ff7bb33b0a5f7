//! What contacts and what strangers are compared with: two sets, held as one for as long as they are the same.

use crate::{id::BundleId, reconcile::ItemSet, time::Hour};

/// Released bundles, and dropped ones: for contacts until they expire, for strangers for a day only.
#[derive(Default)]
pub(super) struct Shown {
    to_contacts: ItemSet,
    /// A part of what is shown to contacts; absent while it is all of it.
    to_strangers: Option<ItemSet>,
}

impl Shown {
    /// Shows a bundle, held or dropped, to contacts, and to strangers if so.
    pub(super) fn insert(&mut self, created: Hour, id: BundleId, expiry: Option<Hour>, held: bool, to_strangers: bool) {
        if !to_strangers {
            self.to_strangers.get_or_insert_with(|| self.to_contacts.clone());
        } else if let Some(set) = &mut self.to_strangers {
            set.insert(created, id, expiry, held);
        }
        self.to_contacts.insert(created, id, expiry, held);
    }

    /// Shows it to nobody.
    pub(super) fn remove(&mut self, created: Hour, id: &BundleId) {
        self.to_contacts.remove(created, id);
        if let Some(set) = &mut self.to_strangers {
            set.remove(created, id);
            if set.len() == self.to_contacts.len() {
                self.to_strangers = None;
            }
        }
    }

    /// Shows it to contacts only from now on.
    pub(super) fn fade(&mut self, created: Hour, id: &BundleId) {
        if self.set(false).contains(created, id) {
            self.to_strangers.get_or_insert_with(|| self.to_contacts.clone()).remove(created, id);
        }
    }

    /// The set for contacts, or for strangers.
    pub(super) fn set(&self, for_contacts: bool) -> &ItemSet {
        self.to_strangers.as_ref().filter(|_| !for_contacts).unwrap_or(&self.to_contacts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CREATED: Hour = Hour(498_700);

    fn ids(shown: &Shown) -> [Vec<u8>; 2] {
        [false, true].map(|set| (0..9).filter(|id| shown.set(set).contains(CREATED, &BundleId([*id; 32]))).collect())
    }

    #[test]
    fn strangers_are_shown_less_until_what_they_are_not_shown_has_gone() {
        let mut shown = Shown::default();
        let show = |shown: &mut Shown, id, to_strangers| shown.insert(CREATED, BundleId([id; 32]), None, true, to_strangers);
        (0..3).for_each(|id| show(&mut shown, id, true));
        shown.fade(CREATED, &BundleId([7; 32]));
        assert!(shown.to_strangers.is_none(), "one set is enough");
        shown.fade(CREATED, &BundleId([1; 32]));
        show(&mut shown, 3, true);
        show(&mut shown, 4, false);
        assert_eq!(ids(&shown), [vec![0, 2, 3], vec![0, 1, 2, 3, 4]]);
        shown.remove(CREATED, &BundleId([1; 32]));
        shown.remove(CREATED, &BundleId([0; 32]));
        assert_eq!(ids(&shown), [vec![2, 3], vec![2, 3, 4]]);
        shown.remove(CREATED, &BundleId([4; 32]));
        assert!(shown.to_strangers.is_none(), "one set is enough again");
        assert_eq!(ids(&shown), [vec![2, 3], vec![2, 3]]);
    }
}
