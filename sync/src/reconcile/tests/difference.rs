//! Both sides together find exactly the differences.

use std::collections::BTreeMap;

use negentropy::{Id, Negentropy, NegentropyStorageVector, Storage};
use proptest::prelude::*;

use super::*;

/// What a node has: held or remembered.
type Items = BTreeMap<(Hour, BundleId), bool>;

fn set_of(items: &Items) -> ItemSet {
    let mut set = ItemSet::new();
    for ((hour, id), held) in items {
        set.insert(*hour, *id, Some(expiry(id)), *held);
    }
    assert_eq!(set.len(), items.len());
    set
}

/// When a bundle of these tests expires: both nodes must say the same.
fn expiry(id: &BundleId) -> Hour {
    NOW.plus(u32::from(id.0[31]))
}

/// What `own` holds and `other` doesn't know.
fn only(own: &Items, other: &Items) -> BTreeSet<BundleId> {
    own.iter().filter(|(key, held)| **held && !other.contains_key(key)).map(|((_, id), _)| *id).collect()
}

/// What an independent implementation says that only the first has, and only the second.
fn judged(items: &[Items; 2]) -> [BTreeSet<BundleId>; 2] {
    let storages = items.each_ref().map(|items| {
        let mut storage = NegentropyStorageVector::new();
        for (hour, id) in items.keys() {
            storage.insert(u64::from(hour.0), Id::from_byte_array(id.0)).unwrap();
        }
        storage.seal().unwrap();
        storage
    });
    let mut client = Negentropy::new(Storage::Borrowed(&storages[0]), 0).unwrap();
    let mut server = Negentropy::new(Storage::Borrowed(&storages[1]), 0).unwrap();
    let (mut have, mut need) = (Vec::new(), Vec::new());
    let mut query = Some(client.initiate().unwrap());
    while let Some(bytes) = query {
        let reply = server.reconcile(&bytes).unwrap();
        query = client.reconcile_with_ids(&reply, &mut have, &mut need).unwrap();
    }
    [have, need].map(|ids| ids.into_iter().map(|id| BundleId(id.to_bytes())).collect())
}

fn check(items: &[Items; 2], random_bounds: bool) {
    check_cut(items, Hour(0), random_bounds);
}

/// Compares, leaving out what has expired at `cut`, and judges what was found.
fn check_cut(items: &[Items; 2], cut: Hour, random_bounds: bool) {
    let sets = items.each_ref().map(set_of);
    let outcome = reconcile_views([&sets[0], &sets[1]], [SessionView { cut, empty: false }; 2], &mut rng(random_bounds));
    let items =
        &items.each_ref().map(|items| items.iter().filter(|((_, id), _)| expiry(id) > cut).map(|(key, held)| (*key, *held)).collect());
    let judged = judged(items);
    for (own, other) in [(0, 1), (1, 0)] {
        let expected = only(&items[own], &items[other]);
        let by_judge: BTreeSet<_> =
            judged[own].iter().copied().filter(|id| items[own].iter().any(|((_, own), held)| own == id && *held)).collect();
        assert_eq!(expected, by_judge);
        // What only one side has, either that side or the other finds, not both.
        let lacking: Vec<_> =
            outcome.findings[own].iter().filter_map(|finding| if let Finding::Lacking(id) = finding { Some(*id) } else { None }).collect();
        let wanted: Vec<_> = outcome.findings[other]
            .iter()
            .filter_map(|finding| if let Finding::Want(short) = finding { Some(*short) } else { None })
            .collect();
        let mut found: Vec<ShortId> = wanted.into_iter().chain(shorts(&lacking)).collect();
        found.sort_unstable();
        assert_eq!(found, shorts(&expected).into_iter().collect::<Vec<_>>());
    }
}

/// Draws two sets: `counts` of common, first's own and second's own items, spread over `hours`; `remembered` in 256 are not held.
fn draw(seed: u64, counts: [usize; 3], hours: u32, remembered: u8) -> [Items; 2] {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let mut items = [Items::new(), Items::new()];
    for (owners, count) in [(0..2, counts[0]), (0..1, counts[1]), (1..2, counts[2])] {
        for _ in 0..count {
            let key = (Hour(NOW.0 - rng.next_u32() % hours), random_id(&mut rng));
            for own in &mut items[owners.clone()] {
                own.insert(key, (rng.next_u32() & 0xff) as u8 >= remembered);
            }
        }
    }
    items
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn findings_are_exactly_the_differences(
        seed in any::<u64>(),
        common in 0..1_500_usize,
        own in prop_oneof![Just(0), Just(1), 0..40_usize, 0..600_usize],
        other in prop_oneof![Just(0), Just(1), 0..40_usize, 0..600_usize],
        hours in prop_oneof![Just(1), 1..48_u32],
        remembered in prop_oneof![Just(0), any::<u8>()],
        random_bounds in any::<bool>(),
        expired in prop_oneof![Just(0), 0..256_u32],
    ) {
        check_cut(&draw(seed, [common, own, other], hours, remembered), NOW.plus(expired), random_bounds);
    }

    #[test]
    fn close_ids_are_told_apart(bytes in prop::collection::vec((0..3_u8, 0..32_usize, 1..3_u8), 0..300)) {
        let mut items = [Items::new(), Items::new()];
        for (owner, position, value) in bytes {
            let mut id = [0; 32];
            id[position] = value;
            for own in items.iter_mut().enumerate().filter(|(at, _)| owner != *at as u8).map(|(_, own)| own) {
                own.insert((Hour(0), BundleId(id)), true);
            }
        }
        check(&items, false);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 1..20)) {
        let set = set_of(&draw(1, [200, 0, 0], 3, 0)[0]);
        let mut reconciler = Reconciler::new(SESSION, false, OPEN);
        for mut body in bodies {
            let _ = reconciler.handle_ranges(&body, &set);
            // Most random flags are refused; go further in too.
            if let Some(flags) = body.first_mut() {
                *flags = 1;
            }
            let _ = reconciler.handle_ranges(&body, &set);
            while reconciler.poll_record().is_some() {}
        }
    }

    #[test]
    fn set_sums_survive_any_order_of_changes(seed in any::<u64>(), changes in 1..3_000_usize) {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let (mut set, mut items) = (ItemSet::new(), Items::new());
        for _ in 0..changes {
            let mut id = [0; 32];
            id[0] = (rng.next_u32() & 0xff) as u8;
            let key = (Hour(rng.next_u32() % 4), BundleId(id));
            if rng.next_u32() % 5 < 3 {
                assert_eq!(set.insert(key.0, key.1, None, true), items.insert(key, true).is_none());
            } else {
                assert_eq!(set.remove(key.0, &key.1), items.remove(&key).is_some());
            }
        }
        let fresh = set_of(&items);
        prop_assert_eq!(set.len(), items.len());
        // A question and its answer; a set of one or none is listed, which needs no answer, and so are random ranges that hold one item each.
        let records = reconcile([&set, &fresh], &mut rng).records.len();
        prop_assert!(if items.len() > 16 { records == 2 } else { (1..=2).contains(&records) }, "{records} records");
    }
}

#[test]
fn thousands_in_one_hour() {
    check(&draw(2, [4_000, 1_000, 800], 1, 20), false);
}

#[test]
fn sets_without_anything_in_common() {
    check(&draw(3, [0, 3_000, 2_000], 24, 0), false);
}

#[test]
fn empty_sides() {
    check(&draw(4, [0, 0, 0], 1, 0), false);
    for random_bounds in [false, true] {
        check(&draw(4, [0, 3_000, 0], 24, 0), random_bounds);
        check(&draw(4, [0, 0, 3_000], 24, 0), random_bounds);
    }
}

#[test]
fn remembered_items_are_neither_asked_for_nor_offered() {
    let items = draw(5, [300, 300, 300], 4, 255);
    check(&items, false);
}
