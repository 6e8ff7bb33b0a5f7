//! The link of two nodes is cut after every byte of their session in turn: what they hold is the same once they have met again, and little
//! had to be sent twice.
//!
//! A byte is counted when it arrives, whichever end it comes from; a message whose last byte has not arrived is lost. Each cut is a run of its
//! own: two engines over copies of the same stores, and the same seed, so that up to the cut all runs are one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test: what fails ends it")]

mod common;

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
    time::Duration,
};

use common::{
    SECOND, seed,
    three::{START_HOUR, garbage},
};
use hedgerow_sync::{
    engine::EngineConfig,
    id::BundleId,
    sim::{Crossing, Faults, NodeId, Sim},
    store::{BundleRow, Origin, Store, memory::MemoryStore},
    time::Hour,
    wire::bundle::{Bundle, Lifetime},
};

/// Bytes of a bundle that may be unanswered: the least that lets the largest pass.
const WINDOW: usize = 4_096;
const LARGEST: usize = 4_096;
/// So slow that each byte takes a while, so fast that a session is over long before silence is noticed.
const WIRE: Faults = Faults { rate: 50_000, delay: Duration::from_millis(2), ..Faults::NONE };
const FRAMING: usize = 2;
/// In this time a session has said everything, and the silence that follows is not noticed yet.
const SESSION: Duration = Duration::from_secs(8);
/// Of the bytes within messages one in so many, where not all are tried.
const SAMPLE: usize = 11;
const BUNDLE: u8 = 0x05;
const RANGES: u8 = 0x09;

/// The sizes of each side's twenty bundles.
fn size(number: u64) -> usize {
    match number % 20 {
        3 => 2_048,
        7 | 12 => 1_024,
        17 if number < 20 => 4_096,
        _ => 512,
    }
}

fn config() -> EngineConfig {
    EngineConfig { window: WINDOW as u32, ..EngineConfig::default() }
}

/// Stores bundles as if a stranger had brought them long ago.
fn put(store: &MemoryStore, numbers: std::ops::Range<u64>) {
    let mut store = store.handle();
    store.begin().unwrap();
    for number in numbers {
        let bundle = Bundle::decode(garbage(number, START_HOUR, Lifetime::Fortnight, size(number))).unwrap();
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
}

/// Two nodes before the session that is cut, and what they are to hold after it.
struct Scene {
    stores: [MemoryStore; 2],
    union: BTreeSet<BundleId>,
    seed: u64,
}

/// A session that went on to its end.
struct Whole {
    /// When each byte arrives, in order: just after it.
    bytes: Vec<Duration>,
    /// Places in it where a message has just arrived, whichever way.
    ends: BTreeSet<usize>,
    /// Types of the records that crossed.
    kinds: BTreeSet<u8>,
}

/// What crossed: for each sender and bundle the length and how often.
type Sent = Rc<RefCell<BTreeMap<(NodeId, Vec<u8>), (usize, usize)>>>;

impl Scene {
    /// Each side holds twenty bundles that the other lacks.
    fn new(seed: u64, are_contacts: bool) -> Self {
        let mut sim = Sim::new(seed);
        let [(ann, ann_store), (ben, ben_store)] = ["ann", "ben"].map(|name| sim.node(name));
        if are_contacts {
            // They have met and handed something over, so that each has a cursor into the other's arrivals.
            sim.befriend(ann, ben, &[7; 32]);
            for (node, store, first) in [(ann, &ann_store, 1_000), (ben, &ben_store, 1_001)] {
                sim.kill(node);
                store.reopen();
                put(store, first..first + 1);
                sim.revive(node);
            }
            sim.connect(ann, ben, Faults::NONE);
            sim.run_for(60 * SECOND);
            assert_eq!(ann_store.bundle_ids(), ben_store.bundle_ids(), "the first meeting is over");
        }
        sim.kill(ann);
        sim.kill(ben);
        put(&ann_store, 0..20);
        put(&ben_store, 20..40);
        let union: BTreeSet<_> = [&ann_store, &ben_store].into_iter().flat_map(MemoryStore::bundle_ids).collect();
        assert!(union.len() >= 40);
        Self { stores: [ann_store, ben_store], union, seed }
    }

    /// The two nodes at the beginning of their session.
    fn begin(&self) -> (Sim, [MemoryStore; 2], hedgerow_sync::sim::WireId) {
        let mut sim = Sim::new(self.seed);
        let [(ann, ann_store), (ben, ben_store)] = self.stores.each_ref().map(|store| sim.node_over(store, config()));
        sim.take_crossings();
        let wire = sim.connect(ann, ben, WIRE);
        (sim, [ann_store, ben_store], wire)
    }

    fn has_all(&self, store: &MemoryStore) -> bool {
        store.bundle_ids().into_iter().collect::<BTreeSet<_>>() == self.union
    }

    /// The session without a cut.
    fn whole(&self) -> Whole {
        let (mut sim, stores, _) = self.begin();
        let heard = common::listen(&mut sim);
        sim.run_for(SESSION);
        assert!(stores.iter().all(|store| self.has_all(store)), "without a cut all is exchanged");
        let kinds = heard.borrow().iter().map(|(_, record)| record[0]).collect();
        let arrivals = arrivals(&sim.take_crossings());
        let ends = arrivals.iter().enumerate().filter(|(_, (_, is_last))| *is_last).map(|(place, _)| place).collect();
        Whole { bytes: arrivals.into_iter().map(|(at, _)| at).collect(), ends, kinds }
    }

    /// Cuts the session at `at`, lets the two meet again, and says what must hold then. Returns the most bytes that one side had to send again.
    fn cut(&self, place: usize, at: Duration) -> usize {
        let (mut sim, stores, wire) = self.begin();
        let sent = Sent::default();
        let ear = Rc::clone(&sent);
        sim.on_transmit(move |node, _, record| {
            if record[0] == BUNDLE {
                // Type, age and copies; then the bundle.
                let (length, times) = (record.len() - 4, &mut ear.borrow_mut());
                let entry = times.entry((node, record[4..].to_vec())).or_insert((length, 0));
                entry.1 += 1;
            }
            true
        });
        sim.cut_at(wire, at);
        sim.run_for(at + SESSION);
        assert!(sim.is_up(wire), "they have met again after byte {place}");
        for store in &stores {
            assert!(self.has_all(store), "cut after byte {place}: {} of {} bundles", store.bundle_ids().len(), self.union.len());
        }
        let sent = sent.borrow();
        let again = [NodeId(0), NodeId(1)].map(|node| {
            let own = sent.iter().filter(|((from, _), _)| *from == node);
            own.map(|(_, (length, times))| length * (times - 1)).sum::<usize>()
        });
        assert!(again.iter().all(|again| *again <= LARGEST + WINDOW), "cut after byte {place}: {again:?} bytes sent again");
        again.into_iter().max().unwrap()
    }
}

/// When each byte of a session arrives, in order, and whether it is its message's last.
fn arrivals(crossings: &[Crossing]) -> Vec<(Duration, bool)> {
    let byte = |count: usize| Duration::from_secs_f64(count as f64 / f64::from(WIRE.rate));
    let mut busy: BTreeMap<NodeId, Duration> = BTreeMap::new();
    let mut arrivals = Vec::new();
    for crossing in crossings {
        let length = crossing.length + FRAMING;
        let start = busy.get(&crossing.from).copied().unwrap_or_default().max(crossing.at);
        busy.insert(crossing.from, start + byte(length));
        // The cut comes when the byte is there, and whatever its message was has been taken.
        arrivals.extend((1..=length).map(|count| (start + byte(count) + WIRE.delay + Duration::from_nanos(1), count == length)));
    }
    arrivals.sort_unstable();
    arrivals
}

/// Cuts after every byte beside which a message ends, and after one in so many of the others; the seed says which.
fn cut_after(are_contacts: bool, one_in: usize) {
    let seed = seed();
    let scene = Scene::new(seed, are_contacts);
    let whole = scene.whole();
    assert_eq!(whole.kinds.contains(&RANGES), !are_contacts, "contacts go by their cursors, strangers compare: {:?}", whole.kinds);
    let is_chosen = |place: usize| {
        let at_an_edge = (place.saturating_sub(1)..=place + 1).any(|place| whole.ends.contains(&place));
        at_an_edge || (place + seed as usize).is_multiple_of(one_in)
    };
    let again: Vec<usize> =
        whole.bytes.iter().enumerate().filter(|(place, _)| is_chosen(*place)).map(|(place, at)| scene.cut(place + 1, *at)).collect();
    let most = again.iter().max().unwrap();
    println!("{} cuts in {} bytes and {} messages; at most {most} bytes sent again", again.len(), whole.bytes.len(), whole.ends.len());
    assert!(*most > 0, "some cut strikes a bundle");
}

#[test]
fn sim_strangers_lose_nothing_by_a_cut_at_the_edges_of_every_message_and_at_many_bytes_between() {
    cut_after(false, SAMPLE);
}

#[test]
fn sim_contacts_lose_nothing_by_a_cut_at_the_edges_of_every_message_and_at_many_bytes_between() {
    cut_after(true, SAMPLE);
}

#[test]
#[ignore = "takes minutes: every byte of a session"]
fn sim_strangers_lose_nothing_by_a_cut_after_any_byte() {
    cut_after(false, 1);
}

#[test]
#[ignore = "takes minutes: every byte of a session"]
fn sim_contacts_lose_nothing_by_a_cut_after_any_byte() {
    cut_after(true, 1);
}
