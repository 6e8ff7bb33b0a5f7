//! How many bytes a comparison takes: 100,000 bundles over 14 days.

use std::sync::OnceLock;

use super::*;

const COUNT: usize = 100_000;
const HOURS: u32 = 14 * 24;

/// The set both nodes have.
fn common() -> &'static ItemSet {
    static SET: OnceLock<ItemSet> = OnceLock::new();
    SET.get_or_init(|| {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let mut set = ItemSet::new();
        for at in 0..COUNT {
            let back = (COUNT - 1 - at) as u32 * HOURS / COUNT as u32;
            let hour = Hour(NOW.0 - back);
            set.insert(hour, random_id(&mut rng), Some(hour.plus(HOURS)), true);
        }
        set
    })
}

/// Compares with `count` differences, half of them on each side, in the newest `hours`.
fn with_differences(count: usize, hours: u32) -> Outcome {
    let mut rng = rng(false);
    let mut sets = [common().clone(), common().clone()];
    for at in 0..count {
        let hour = Hour(NOW.0 - rng.next_u32() % hours);
        assert!(sets[at % 2].insert(hour, random_id(&mut rng), Some(hour.plus(HOURS)), true));
    }
    let outcome = reconcile([&sets[0], &sets[1]], &mut rng);
    assert_eq!(outcome.findings[0].len() + outcome.findings[1].len(), count);
    println!("{count} in {hours} h: {} bytes, {} trips, {} records", outcome.bytes(), outcome.trips, outcome.records.len());
    outcome
}

#[test]
fn equal_sets_take_at_most_200_bytes() {
    let outcome = with_differences(0, 1);
    assert!(outcome.bytes() <= 200, "{}", outcome.bytes());
    assert_eq!(outcome.trips, 2, "one question and its answer");
}

#[test]
fn equal_sets_with_random_bounds_take_at_most_280_bytes() {
    let outcome = reconcile([common(), common()], &mut rng(true));
    println!("random bounds: {} bytes", outcome.bytes());
    assert!(outcome.bytes() <= 280, "{}", outcome.bytes());
}

#[test]
fn hundred_recent_differences_take_at_most_12_kilobytes() {
    for hours in [1, 2] {
        let outcome = with_differences(100, hours);
        assert!(outcome.bytes() <= 12_000, "{}", outcome.bytes());
    }
}

#[test]
fn thousand_recent_differences_take_at_most_25_kilobytes() {
    for hours in [1, 3] {
        let outcome = with_differences(1_000, hours);
        assert!(outcome.bytes() <= 25_000, "{}", outcome.bytes());
    }
}

#[test]
fn hundred_differences_anywhere_take_at_most_50_kilobytes() {
    let outcome = with_differences(100, HOURS);
    assert!(outcome.bytes() <= 50_000, "{}", outcome.bytes());
}
