//! The set is another one at every record: what was shared changes, or the link is given another set.

use proptest::prelude::*;

use super::*;

/// Records after which two nodes must be done, whatever happened to their sets. guess: five times what was seen.
const MAX_RECORDS: usize = 2_000;

/// Draws where a bundle lies and when it expires, by a small number so that it may be drawn again.
fn bundle(number: u32) -> (Hour, BundleId, Option<Hour>) {
    let id = crate::crypto::kdf::hash(&[&number.to_be_bytes()]);
    (Hour(NOW.0 - number % 5), BundleId(id), (!number.is_multiple_of(3)).then(|| NOW.plus(number % 7)))
}

fn set_of(numbers: impl Iterator<Item = u32>) -> ItemSet {
    let mut set = ItemSet::new();
    for (hour, id, expiry) in numbers.map(bundle) {
        set.insert(hour, id, expiry, true);
    }
    set
}

/// Compares two sets; `change` is called before each record is taken. Returns how many records there were.
fn compare_changing(cuts: [Hour; 2], rng: &mut ChaCha20Rng, sets: &mut [ItemSet; 2], mut change: impl FnMut(&mut [ItemSet; 2])) -> usize {
    let mut nodes = [0, 1].map(|at| Reconciler::new(SESSION, at == 0, SessionView { cut: cuts[at], empty: false }));
    nodes[0].start(&sets[0], rng);
    let mut records = 0;
    loop {
        let before = records;
        for (from, to) in [(0, 1), (1, 0)] {
            while let Some(body) = nodes[from].poll_record() {
                records += 1;
                assert!(records < MAX_RECORDS, "the comparison doesn't come to an end");
                change(sets);
                nodes[to].handle_ranges(&body, &sets[to]).expect("nobody has broken the protocol");
            }
        }
        if records == before {
            assert!(nodes.iter().all(Reconciler::is_done), "both know that they are done");
            return records;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn sets_that_change_between_records_do_no_harm(
        seed in any::<u64>(),
        sizes in [0..3_000_u32, 0..3_000_u32],
        first in 0..3_000_u32,
        changes in 0..100_u32,
        kept in 1..8_u32,
        cuts in [0..4_u32, 0..4_u32],
    ) {
        let (mut rng, mut source) = (ChaCha20Rng::seed_from_u64(seed), rng(seed.is_multiple_of(2)));
        let mut sets = [set_of(0..sizes[0]), set_of(first..first + sizes[1])];
        compare_changing(cuts.map(|hours| NOW.plus(hours)), &mut source, &mut sets, |sets| {
            for _ in 0..changes {
                let (hour, id, expiry) = bundle(rng.next_u32() % 6_000);
                let set = &mut sets[(rng.next_u32() % 2) as usize];
                if rng.next_u32() % 8 < kept {
                    set.insert(hour, id, expiry, rng.next_u32().is_multiple_of(2));
                } else {
                    set.remove(hour, &id);
                }
            }
        });
    }

    #[test]
    fn link_that_is_given_another_set_goes_on(
        seed in any::<u64>(),
        sizes in prop::array::uniform4(prop_oneof![Just(0), 0..40_u32, 0..3_000_u32]),
        at in prop::collection::vec(0..20_usize, 0..4),
    ) {
        let mut sets = [set_of(0..sizes[0]), set_of(1_000..1_000 + sizes[1])];
        let mut others = [set_of(500..500 + sizes[2]), set_of(100..100 + sizes[3])];
        let mut records = 0;
        compare_changing([NOW; 2], &mut rng(seed.is_multiple_of(2)), &mut sets, |sets| {
            records += 1;
            for _ in at.iter().filter(|at| **at == records) {
                let side = (seed >> records & 1) as usize;
                std::mem::swap(&mut sets[side], &mut others[side]);
            }
        });
    }
}

#[test]
fn large_set_that_is_taken_away_breaks_nothing() {
    let mut rng = rng(false);
    let mut sets = [ItemSet::new(), ItemSet::new()];
    for set in &mut sets {
        for _ in 0..60_000 {
            set.insert(NOW, random_id(&mut rng), None, true);
        }
    }
    // The work was allowed for the large set: it is not held against the peer when the link has an empty one.
    let mut records = 0;
    let needed = compare_changing([NOW; 2], &mut rng, &mut sets, |sets| {
        records += 1;
        if records == 200 {
            *sets = [ItemSet::new(), ItemSet::new()];
        }
    });
    assert!(needed > 200, "it was not over before: {needed} records");
}
