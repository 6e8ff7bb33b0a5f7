//! What the harness costs: `cargo bench -p hedgerow-sync --features sim --bench harness [-- memory|meet|hand|idle …]`; all without a word.
//!
//! A replay of a contact trace is hundreds of engines that hold the same bundles, tens of thousands of meetings of two that have little to
//! tell each other, and a hand-over for each bundle and node. Times are of the processor (of the clock where the system does not tell), both
//! sides of a link and all of the harness included.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a benchmark: what fails ends it")]
#![expect(clippy::disallowed_methods, reason = "it measures time")]

#[path = "../tests/common/mod.rs"]
mod common;

use std::time::{Duration, Instant};

use common::three::{START_HOUR, garbage};
use hedgerow_sync::{
    engine::EngineConfig,
    sim::{Faults, NodeId, Sim},
    store::{BundleRow, Origin, Store, memory::MemoryStore},
    time::Hour,
    wire::bundle::{Bundle, Lifetime},
};

const SECOND: Duration = Duration::from_secs(1);
const NODES: usize = 327;
const BUNDLES: u64 = 3_300;
const MEETINGS: u32 = 500;
const HANDED: u64 = 1_000;
const SEED: u64 = 1;
/// Good enough not to be what limits a hand-over in virtual time.
const FAST: Faults = Faults { rate: 50_000_000, ..Faults::NONE };

/// The first `count` of the bundles that every part uses.
fn bundles(count: u64) -> Vec<Bundle> {
    (0..count).map(|number| Bundle::decode(garbage(number, START_HOUR, Lifetime::Fortnight, 4_096)).unwrap()).collect()
}

/// A node that takes from strangers what they bring.
fn node(sim: &mut Sim, name: &str) -> (NodeId, MemoryStore) {
    common::three::node_as(sim, name, EngineConfig { stranger_bytes_a_day: 64 << 30, ..EngineConfig::default() })
}

/// Gives a node bundles as if it had held them for long: it is restarted over them.
fn fill(sim: &mut Sim, node: NodeId, store: &MemoryStore, bundles: &[Bundle]) {
    sim.kill(node);
    let mut store = store.handle();
    store.reopen();
    store.begin().unwrap();
    for bundle in bundles {
        let header = bundle.header();
        let row = BundleRow {
            id: bundle.id(),
            sequence: 0,
            size: bundle.bytes().len() as u16,
            class: header.class,
            lifetime: header.lifetime,
            created: header.created,
            tag: header.tag,
            commitment: header.commitment,
            origin: Origin::StrangerInbound,
            age: 0,
            stored: Hour(START_HOUR),
            forwarded: 0,
            copies: 255,
        };
        store.insert_bundle(&row, bundle.bytes()).unwrap();
    }
    store.commit().unwrap();
    sim.revive(node);
}

/// A clock that stands while others have the processor.
struct Watch {
    begun: Instant,
    processor: Option<Duration>,
}

impl Watch {
    fn start() -> Self {
        Self { begun: Instant::now(), processor: Self::processor() }
    }

    fn micros(&self) -> f64 {
        let spent = Self::processor().zip(self.processor).map(|(now, begun)| now - begun);
        spent.unwrap_or_else(|| self.begun.elapsed()).as_secs_f64() * 1e6
    }

    fn processor() -> Option<Duration> {
        let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
        Some(Duration::from_nanos(told.split_ascii_whitespace().next()?.parse().ok()?))
    }
}

/// Bytes of this process that are in memory.
fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split_ascii_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 4_096
}

fn memory() {
    let bundles = bundles(BUNDLES);
    let mut sim = Sim::new(SEED);
    let nodes: Vec<_> = (0..NODES).map(|number| node(&mut sim, &format!("node {number}"))).collect();
    let before = resident();
    let watch = Watch::start();
    nodes.iter().for_each(|(node, store)| fill(&mut sim, *node, store, &bundles));
    let (grown, rows) = (resident() - before, NODES * bundles.len());
    println!("memory: {NODES} nodes that hold the same {BUNDLES} bundles of 4,096 bytes take {} MB,", grown / 1_000_000);
    println!("  {} bytes for each bundle at a node; filled in {:.1} s", grown / rows, watch.micros() / 1e6);
}

/// Lets two nodes with the same bundles meet again and again.
fn meet(what: &str, are_contacts: bool) {
    let bundles = bundles(BUNDLES);
    let mut sim = Sim::new(SEED);
    let ((ann, ann_store), (ben, ben_store)) = (node(&mut sim, "ann"), node(&mut sim, "ben"));
    if are_contacts {
        common::three::acquaint(&mut sim, ann, ben);
    }
    fill(&mut sim, ann, &ann_store, &bundles);
    fill(&mut sim, ben, &ben_store, &bundles);
    let wire = sim.connect(ann, ben, FAST);
    sim.run_for(60 * SECOND);
    sim.cut(wire);
    let (watch, bytes) = (Watch::start(), sim.bytes());
    for _ in 0..MEETINGS {
        sim.mend(wire);
        sim.run_for(20 * SECOND);
        assert!(sim.is_up(wire), "the meeting lasts");
        sim.cut(wire);
        sim.run_for(40 * SECOND);
    }
    let micros = watch.micros() / f64::from(MEETINGS);
    let bytes = (sim.bytes() - bytes) / u64::from(MEETINGS);
    println!("meet: two {what} that hold the same {BUNDLES} bundles: {micros:.0} µs and {bytes} bytes a meeting");
}

/// Lets one node hand bundles to the other.
fn hand(what: &str, are_contacts: bool) {
    let bundles = bundles(HANDED);
    let rounds = 5;
    let mut micros = 0.0;
    for round in 0..rounds {
        let mut sim = Sim::new(SEED + round);
        let ((ann, ann_store), (ben, ben_store)) = (node(&mut sim, "ann"), node(&mut sim, "ben"));
        if are_contacts {
            common::three::acquaint(&mut sim, ann, ben);
        }
        fill(&mut sim, ann, &ann_store, &bundles);
        let before = ben_store.bundle_ids().len();
        let watch = Watch::start();
        sim.connect(ann, ben, FAST);
        sim.run_for(20 * SECOND);
        micros += watch.micros();
        assert!(ben_store.bundle_ids().len() >= before + bundles.len(), "all are handed over");
    }
    let micros = micros / (HANDED * rounds) as f64;
    println!("hand: {HANDED} bundles of 4,096 bytes to a {what}: {micros:.2} µs each");
}

/// Lets nodes that hold much pass the time alone.
fn idle() {
    let bundles = bundles(BUNDLES);
    let (nodes, hours) = (20, 48);
    let mut sim = Sim::new(SEED);
    for number in 0..nodes {
        let (node, store) = node(&mut sim, &format!("node {number}"));
        fill(&mut sim, node, &store, &bundles);
    }
    let watch = Watch::start();
    sim.run_for(3600 * SECOND * hours);
    let micros = watch.micros() / f64::from(nodes * hours);
    println!("idle: an hour alone with {BUNDLES} bundles: {micros:.1} µs");
}

fn main() {
    let chosen: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let is_chosen = |part: &str| chosen.is_empty() || chosen.iter().any(|word| word == part);
    if is_chosen("memory") {
        memory();
    }
    if is_chosen("meet") {
        meet("strangers", false);
        meet("contacts", true);
    }
    if is_chosen("hand") {
        hand("stranger", false);
        hand("contact", true);
    }
    if is_chosen("idle") {
        idle();
    }
}
