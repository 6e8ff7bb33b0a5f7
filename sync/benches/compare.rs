//! What comparing takes of a processor: `cargo bench -p hedgerow-sync --features sim --bench compare [-- FILTER]`.
//!
//! `compare`: a million items and 10,000 differences, each side apart; `meeting`: all of a session of two strangers who know 5,000 bundles,
//! handshake and recognition included, with the same and with 100 different ones. Processor time, so that a busy machine does not matter.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a benchmark: what fails ends it")]

#[path = "../tests/common/mod.rs"]
mod common;

use std::{cell::LazyCell, hint::black_box, time::Duration};

use common::carriers::{START as NOW, bundle, carrier};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use hedgerow_sync::{
    id::BundleId,
    reconcile::{ItemSet, Reconciler, SessionView},
    sim::{Faults, Sim},
    time::Hour,
    wire::bundle::{Bundle, Lifetime},
};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use rustix::time::{ClockId, clock_gettime};

const HOURS: u32 = 14 * 24;
const VIEW: SessionView = SessionView { cut: NOW, empty: false };

/// What this thread has taken of a processor so far.
fn processor_time() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap()
}

fn random_id(rng: &mut ChaCha20Rng) -> BundleId {
    let mut id = [0; 32];
    rng.fill_bytes(&mut id);
    BundleId(id)
}

/// Puts `count` more bundles of the newest `hours` into a set.
fn with(mut set: ItemSet, seed: u64, count: usize, hours: u32) -> ItemSet {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    for _ in 0..count {
        let (hour, id) = (Hour(NOW.0 - rng.next_u32() % hours), random_id(&mut rng));
        let lifetime = Lifetime::ALL[rng.next_u32() as usize % Lifetime::ALL.len()];
        set.insert(hour, id, Some(hour.plus(lifetime.hours())), true);
    }
    set
}

/// Compares two sets in one of many sessions; returns what it took each side, the initiator's first.
fn compare(sets: &[ItemSet; 2], session: u8, rng: &mut ChaCha20Rng) -> [Duration; 2] {
    let mut nodes = [true, false].map(|initiator| Reconciler::new([session; 32], initiator, VIEW));
    let mut taken = [Duration::ZERO; 2];
    let begun = processor_time();
    nodes[0].start(&sets[0], rng);
    taken[0] += processor_time() - begun;
    while !nodes.iter().all(Reconciler::is_done) {
        for (from, to) in [(0, 1), (1, 0)] {
            while let Some(body) = nodes[from].poll_record() {
                let begun = processor_time();
                black_box(nodes[to].handle_ranges(&body, &sets[to]).unwrap());
                taken[to] += processor_time() - begun;
            }
        }
    }
    taken
}

fn compare_sets(criterion: &mut Criterion) {
    const COUNT: usize = 1_000_000;
    const DIFFERENCES: usize = 10_000;
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    // Not made where these benchmarks are filtered out.
    let equal = LazyCell::new(|| with(ItemSet::new(), 2, COUNT, HOURS));
    let mut group = criterion.benchmark_group("compare 1,000,000");
    group.sample_size(10);
    for (what, count, hours) in
        [("equal", 0, 1), ("10,000 differ, of a day", DIFFERENCES, 24), ("10,000 differ, anywhere", DIFFERENCES, HOURS)]
    {
        let sets = LazyCell::new(|| [3, 4].map(|seed| with(ItemSet::clone(&equal), seed, count / 2, hours)));
        for (side, name) in [(0, "initiator"), (1, "responder")] {
            group.bench_function(BenchmarkId::new(what, name), |bencher| {
                bencher.iter_custom(|rounds| (0..rounds).map(|round| compare(&sets, round as u8, &mut rng)[side]).sum());
            });
        }
    }
    group.finish();
}

/// Lets two strangers meet for five seconds who know `count` bundles and differ in so many; returns what it took both.
fn meet(count: usize, differences: usize, seed: u64) -> Duration {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let bundles: Vec<Bundle> = (0..count + differences).map(|_| bundle(&mut rng, 24)).collect();
    let mut sim = Sim::new(seed);
    let (ann, _) = carrier(&mut sim, "ann", bundles.iter().take(count + differences / 2));
    let (bob, _) = carrier(&mut sim, "bob", bundles.iter().skip(differences / 2));
    sim.run_for(Duration::from_secs(1));
    let begun = processor_time();
    let wire = sim.connect(ann, bob, Faults::NONE);
    sim.run_for(Duration::from_secs(5));
    sim.cut(wire);
    sim.run_for(Duration::from_secs(1));
    processor_time() - begun
}

fn meetings(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("meeting");
    group.sample_size(20);
    for (count, differences) in [(0, 0), (5_000, 0), (5_000, 4), (5_000, 100)] {
        group.bench_function(BenchmarkId::new(format!("{count} known"), format!("{differences} differ")), |bencher| {
            bencher.iter_custom(|rounds| (0..rounds).map(|round| meet(count, differences, round)).sum());
        });
    }
    group.finish();
}

criterion_group!(benches, compare_sets, meetings);
criterion_main!(benches);
