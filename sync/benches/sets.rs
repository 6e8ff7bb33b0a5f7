//! What the ordered set and the comparison take: `cargo bench -p hedgerow-sync --bench sets [-- ITEMS…]`; 100,000 and 500,000 items without.
//!
//! Bundles of the last two weeks with the five lifetimes; at the hour of the session about half of them have expired and are left out.
#![expect(clippy::unwrap_used, reason = "a benchmark stops at the first error")]
#![expect(clippy::disallowed_methods, reason = "it measures time")]

use std::time::{Duration, Instant};

use hedgerow_sync::{
    id::BundleId,
    reconcile::{ItemSet, RangesError, Reconciler, SessionView},
    time::Hour,
    wire::bundle::Lifetime,
};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

const NOW: Hour = Hour(496_000);
const HOURS: u32 = 14 * 24;
const VIEW: SessionView = SessionView { cut: NOW, empty: false };
const SESSION: [u8; 32] = [0x5e; 32];
const CHANGES: usize = 100_000;
const EQUAL: usize = 100;

fn draw(rng: &mut ChaCha20Rng) -> (Hour, BundleId, Option<Hour>) {
    let mut id = [0; 32];
    rng.fill_bytes(&mut id);
    let hour = Hour(NOW.0 - rng.next_u32() % HOURS);
    let lifetime = Lifetime::ALL[rng.next_u32() as usize % Lifetime::ALL.len()];
    (hour, BundleId(id), Some(hour.plus(lifetime.hours())))
}

/// Takes `action` for each of many and prints how long one took.
fn each(what: &str, count: usize, mut action: impl FnMut(usize)) {
    let begun = Instant::now();
    (0..count).for_each(&mut action);
    println!("  {what}: {:.2} µs each", begun.elapsed().as_secs_f64() * 1e6 / count as f64);
}

/// Compares two sets; returns how long that took both sides, and the bytes sent.
fn compare(sets: [&ItemSet; 2], rng: &mut ChaCha20Rng) -> (Duration, usize) {
    let begun = Instant::now();
    let mut nodes = [true, false].map(|initiator| Reconciler::new(SESSION, initiator, VIEW));
    nodes[0].start(sets[0], rng);
    let mut bytes = 0;
    while !nodes.iter().all(Reconciler::is_done) {
        for (from, to) in [(0, 1), (1, 0)] {
            while let Some(body) = nodes[from].poll_record() {
                bytes += body.len();
                nodes[to].handle_ranges(&body, sets[to]).unwrap();
            }
        }
    }
    (begun.elapsed(), bytes)
}

/// Asks with fingerprints that are wrong until the session is ended; returns how long that took, and the records.
fn attack(set: &ItemSet, body: &[u8]) -> (Duration, usize) {
    let begun = Instant::now();
    let mut node = Reconciler::new(SESSION, false, VIEW);
    let mut asked = false;
    for records in 1.. {
        let mut body = body.to_vec();
        body[0] |= if asked { 2 } else { 0 };
        if node.handle_ranges(&body, set) == Err(RangesError::Budget) {
            return (begun.elapsed(), records);
        }
        asked = std::iter::from_fn(|| node.poll_record()).fold(false, |asked, body| asked | (body[0] & 1 != 0));
    }
    unreachable!("the budget is finite")
}

fn measure(count: usize) {
    println!("{count} items");
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let mut items: Vec<_> = (0..count + CHANGES).map(|_| draw(&mut rng)).collect();
    let fresh = items.split_off(count);
    let mut set = ItemSet::new();
    each("insert, all", count, |at| _ = set.insert(items[at].0, items[at].1, items[at].2, true));
    let chosen: Vec<usize> = (0..CHANGES).map(|at| at * 7_919 % count).collect();
    each("set_held", CHANGES, |at| _ = set.set_held(items[chosen[at]].0, &items[chosen[at]].1, at.is_multiple_of(2)));
    each("remove one and insert another", CHANGES, |at| {
        let old = &mut items[chosen[at]];
        assert!(set.remove(old.0, &old.1));
        *old = fresh[at];
        assert!(set.insert(old.0, old.1, old.2, true));
    });

    let mut other = set.clone();
    each("equal, both sides", EQUAL, |_| _ = compare([&set, &other], &mut rng));
    for _ in 0..1_000 {
        let (hour, id, expiry) = draw(&mut rng);
        other.insert(hour, id, expiry, true);
    }
    println!("  1,000 differ: {:?}", compare([&set, &other], &mut rng));
    let mut apart = ItemSet::new();
    for _ in 0..count {
        let (hour, id, expiry) = draw(&mut rng);
        apart.insert(hour, id, expiry, true);
    }
    println!("  all differ: {:?}", compare([&set, &apart], &mut rng));
    let everything = [&[1, 0x7f][..], &[0xee; 12]].concat();
    println!("  everything asked for again and again: {:?}", attack(&set, &everything));
    // A bound above the newest hour, then one hour after the other.
    let mut hourly = vec![1, 0x00];
    let mut back = u32::MAX - NOW.0 - 1;
    while back >= 0x80 {
        hourly.push(back as u8 | 0x80);
        back >>= 7;
    }
    hourly.push(back as u8);
    (0..280).for_each(|_| hourly.extend([&[0x40, 1][..], &[0xee; 12]].concat()));
    println!("  280 hours asked for again and again: {:?}", attack(&set, &hourly));
}

fn main() {
    let counts: Vec<usize> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    for count in if counts.is_empty() { vec![100_000, 500_000] } else { counts } {
        measure(count);
    }
}
