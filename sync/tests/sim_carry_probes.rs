//! What a stranger can find out by planting bundles and asking: whether a node reads, has read, or has seen something before.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test: what fails ends it")]

mod common;

use std::time::Duration;

use common::{
    DAY, HOUR, MINUTE, SECOND, seed,
    three::{Eve, Heard, START_HOUR, Three, garbage, give_space, gone, held, id_of},
};
use hedgerow_sync::{
    engine::EngineConfig,
    id::BundleId,
    sim::{Faults, NodeId, Sim},
    store::{GoneReason, Store, memory::MemoryStore},
    wire::{bundle::Lifetime, record::Record},
};

/// Longer than any answer takes, in steps of a millisecond.
const STEPS: usize = 300;

/// What a stranger measures: after how many milliseconds how many bytes came, record by record.
type Trace = Vec<(usize, u8, usize)>;

/// Says records at one moment and measures what comes.
fn measure(sim: &mut Sim, eve: &Eve, records: &[Record]) -> Trace {
    eve.hear(sim);
    for record in records {
        eve.say(sim, record);
    }
    let mut trace = Vec::new();
    for step in 0..STEPS {
        sim.run_for(Duration::from_millis(1));
        trace.extend(sim.take_records(eve.node).into_iter().map(|record| (step, record[0], record.len())));
    }
    trace
}

fn handing(bytes: &[u8]) -> Record {
    Record::Bundle { age: 0, copies: 255, bytes: bytes.to_vec() }
}

/// A copy of a bundle under its tag that does not open.
fn forged(bytes: &[u8], number: u8) -> Vec<u8> {
    let mut copy = bytes.to_vec();
    copy[150] ^= number + 1;
    copy
}

/// Carol, who reads what `bytes` holds, and Dave, for whom it is anybody's; neither has seen it. Both have met the same strangers.
struct Suspects {
    three: Three,
    dave: NodeId,
    dave_store: MemoryStore,
    bytes: Vec<u8>,
}

fn suspects(seed: u64) -> Suspects {
    suspects_as(seed, &EngineConfig::default())
}

/// With settings for Carol, who reads, and for Ann, who wrote.
fn suspects_as(seed: u64, ends: &EngineConfig) -> Suspects {
    let mut three = Three::with(seed, ends, EngineConfig::default());
    three.round();
    let before = three.bob_store.bundle_ids();
    three.sim.send(three.ann, "carol", "whose is it?");
    three.meet(three.near, 5 * SECOND);
    let (_, bytes) = held(&three.bob_store).into_iter().find(|(id, _)| !before.contains(id)).unwrap();
    let (dave, dave_store) = three.sim.node("dave");
    // Dave holds what Carol has come to hold, so that both show the same set.
    let wire = three.sim.connect(three.carol, dave, Faults::NONE);
    three.sim.run_for(10 * MINUTE);
    three.sim.cut(wire);
    Suspects { three, dave, dave_store, bytes }
}

impl Suspects {
    /// Asks both the same on a session each.
    fn both(&mut self, records: &[Record]) -> [Trace; 2] {
        [self.three.carol, self.dave].map(|node| {
            let eve = Eve::dial(&mut self.three.sim, node);
            let trace = measure(&mut self.three.sim, &eve, records);
            assert!(eve.is_there(&self.three.sim), "{records:?} is no breach");
            self.three.sim.cut(eve.wire);
            trace
        })
    }

    /// Offers an id to both; whether they pick it, and what else comes.
    fn both_offered(&mut self, id: BundleId) -> [Trace; 2] {
        [self.three.carol, self.dave].map(|node| {
            let eve = Eve::dial(&mut self.three.sim, node);
            let short = eve.short(&id);
            let mut trace = measure(&mut self.three.sim, &eve, &[Record::Offer { batch: 0, ids: vec![short] }]);
            // The bit matters, not the length alone.
            let mut again = Eve::dial(&mut self.three.sim, node);
            trace.push((0, u8::from(again.offer(&mut self.three.sim, &[id])[0]), 0));
            self.three.sim.cut(eve.wire);
            self.three.sim.cut(again.wire);
            trace
        })
    }

    fn expect_equal(&mut self, what: &str) {
        let (bytes, id) = (self.bytes.clone(), id_of(&self.bytes));
        let [reader, other] = self.both_offered(id);
        assert_eq!(reader, other, "{what}: offered");
        let [reader, other] = self.both(&[handing(&bytes)]);
        assert_eq!(reader, other, "{what}: handed over");
        let [reader, other] = self.both(&[handing(&forged(&bytes, 100)), handing(&bytes), Record::Ping]);
        assert_eq!(reader, other, "{what}: among others");
    }
}

#[test]
fn sim_a_reader_answers_a_stranger_as_anybody_does_before_it_has_read() {
    let mut suspects = suspects(seed());
    let bytes = suspects.bytes.clone();
    for number in 0..12 {
        let [reader, other] = suspects.both(&[handing(&forged(&bytes, number))]);
        assert!(!reader.is_empty());
        assert_eq!(reader, other, "garbage {number}");
    }
    let many: Vec<Record> = (12..40).map(|number| handing(&forged(&bytes, number))).collect();
    let [reader, other] = suspects.both(&many);
    assert_eq!(reader, other, "much garbage at once");
}

#[test]
fn sim_a_reader_answers_a_stranger_as_anybody_does_when_it_reads_and_after() {
    let mut suspects = suspects(seed());
    let bytes = suspects.bytes.clone();
    let [reader, other] = suspects.both(&[handing(&bytes), Record::Ping]);
    assert_eq!(reader, other, "the moment of reading");
    assert!(reader.iter().any(|(_, kind, _)| *kind == 6), "STORED");
    assert_eq!(suspects.three.got(suspects.three.carol), ["whose is it?"]);
    suspects.expect_equal("held and read");
}

#[test]
fn sim_what_a_reader_holds_it_hands_to_a_stranger_as_anybody_does() {
    let mut suspects = suspects(seed());
    let bytes = suspects.bytes.clone();
    suspects.both(&[handing(&bytes)]);
    let given = [suspects.three.carol, suspects.dave].map(|node| {
        let eve = Eve::dial(&mut suspects.three.sim, node);
        let given = eve.collect(&mut suspects.three.sim, 5 * SECOND);
        suspects.three.sim.cut(eve.wire);
        given.iter().filter(|other| **other == bytes).count()
    });
    assert_eq!(given, [1, 1]);
}

/// Lets Carol, who reads it, and Dave drop the bundle for lack of room.
fn dropped_by_both(suspects: &mut Suspects) -> BundleId {
    for (node, store) in [(suspects.three.carol, &suspects.three.carol_store), (suspects.dave, &suspects.dave_store)] {
        give_space(&mut suspects.three.sim, node, store, 200_000);
    }
    let bytes = suspects.bytes.clone();
    suspects.both(&[handing(&bytes)]);
    let id = id_of(&bytes);
    for node in [suspects.three.carol, suspects.dave] {
        let store = if node == suspects.dave { suspects.dave_store.handle() } else { suspects.three.carol_store.handle() };
        let mut number = 0;
        let eve = Eve::dial(&mut suspects.three.sim, node);
        while store.bundle_ids().contains(&id) {
            let hour = suspects.three.hour();
            let more: Vec<_> = (0..16).map(|index| garbage(number + index, hour, Lifetime::Fortnight, 512)).collect();
            eve.hand(&mut suspects.three.sim, &more, 0);
            number += 16;
            assert!(number < 4_000, "what was read is let go like any other");
        }
        suspects.three.sim.cut(eve.wire);
        assert!(gone(&store, GoneReason::Dropped).contains(&id));
    }
    id
}

#[test]
fn sim_a_reader_that_dropped_a_bundle_answers_as_anybody_that_dropped_it_until_its_ack_is_due() {
    // Its ack comes due after all that is asked here: only the reader could know it.
    let mut suspects = suspects_as(seed(), &EngineConfig { ack_delay: (1_000 * DAY, 1_000 * DAY), ..EngineConfig::default() });
    let id = dropped_by_both(&mut suspects);
    suspects.expect_equal("dropped");
    suspects.three.sim.run_for(25 * HOUR);
    assert!(suspects.three.carol_store.load_acks().unwrap().iter().any(|row| row.bundle == id), "it still waits");
    suspects.expect_equal("dropped a day ago");
}

#[test]
fn sim_a_reader_that_dropped_a_bundle_and_tells_its_ack_answers_as_anybody_that_was_told() {
    let mut suspects = suspects(seed());
    let id = dropped_by_both(&mut suspects);
    // Carol tells the ack to Dave, as to any stranger, within four hours.
    let wire = suspects.three.sim.connect(suspects.three.carol, suspects.dave, Faults::NONE);
    suspects.three.sim.run_for(5 * HOUR);
    suspects.three.sim.cut(wire);
    for store in [&suspects.three.carol_store, &suspects.dave_store] {
        assert!(gone(store, GoneReason::Acknowledged).contains(&id));
    }
    suspects.expect_equal("dropped and acknowledged");
    suspects.three.sim.run_for(25 * HOUR);
    suspects.expect_equal("dropped and acknowledged a day ago");
}

#[test]
fn sim_a_reader_that_knows_a_bundle_is_read_answers_as_anybody_that_knows_it() {
    let mut suspects = suspects(seed());
    let bytes = suspects.bytes.clone();
    suspects.both(&[handing(&bytes)]);
    let id = id_of(&bytes);
    // Carol tells the ack to Dave, as to any stranger, within four hours.
    let wire = suspects.three.sim.connect(suspects.three.carol, suspects.dave, Faults::NONE);
    suspects.three.sim.run_for(5 * HOUR);
    suspects.three.sim.cut(wire);
    for store in [&suspects.three.carol_store, &suspects.dave_store] {
        assert!(gone(store, GoneReason::Acknowledged).contains(&id));
    }
    suspects.expect_equal("acknowledged");
    suspects.three.sim.run_for(25 * HOUR);
    suspects.expect_equal("acknowledged a day ago");
}

/// Lets a node drop a bundle for lack of room.
fn push_out(three: &mut Three, node: NodeId, store: &MemoryStore, id: BundleId) {
    let mut number = 0;
    while store.bundle_ids().contains(&id) {
        let eve = Eve::dial(&mut three.sim, node);
        let hour = three.hour();
        // They live longer by an hour, so that it is the first to give way.
        let more: Vec<_> = (0..16).map(|index| garbage(70_000 + number + index, hour + 1, Lifetime::Fortnight, 512)).collect();
        eve.hand(&mut three.sim, &more, 0);
        three.sim.cut(eve.wire);
        number += 16;
        assert!(number < 4_000, "it is dropped at last");
    }
}

#[test]
fn sim_a_mark_that_was_planted_fades_within_a_day_of_being_let_go() {
    let mut three = Three::new(seed());
    let bob_store = three.bob_store.handle();
    let (fresh, fresh_store) = three.sim.node("fresh");
    give_space(&mut three.sim, three.bob, &bob_store, 100_000);
    give_space(&mut three.sim, fresh, &fresh_store, 100_000);
    let mark = garbage(1, START_HOUR, Lifetime::Fortnight, 512);
    let id = id_of(&mark);
    let eve = Eve::dial(&mut three.sim, three.bob);
    assert_eq!(eve.hand(&mut three.sim, std::slice::from_ref(&mark), 0), [Heard::Stored]);
    three.sim.cut(eve.wire);
    let bob = three.bob;
    push_out(&mut three, bob, &bob_store, id);
    three.sim.run_for(25 * HOUR);

    let answers = [bob, fresh].map(|node| {
        let mut eve = Eve::dial(&mut three.sim, node);
        let wanted = eve.offer(&mut three.sim, &[id]);
        three.sim.cut(eve.wire);
        let eve = Eve::dial(&mut three.sim, node);
        let trace = measure(&mut three.sim, &eve, &[handing(&mark)]);
        three.sim.cut(eve.wire);
        (wanted, trace)
    });
    assert_eq!(answers[0], answers[1], "as a node that has never seen it");
    assert_eq!(answers[0].0, [true]);
}

#[test]
fn sim_a_mark_is_shown_to_every_stranger_alike() {
    let mut three = Three::new(seed());
    let mark = garbage(1, START_HOUR, Lifetime::Fortnight, 512);
    let eve = Eve::dial(&mut three.sim, three.bob);
    assert_eq!(eve.hand(&mut three.sim, std::slice::from_ref(&mark), 0), [Heard::Stored]);
    three.sim.cut(eve.wire);
    // Whoever comes gets it: a bundle that only one stranger knows does not stay a private mark.
    for _ in 0..3 {
        let other = Eve::dial(&mut three.sim, three.bob);
        let got = other.collect(&mut three.sim, 5 * SECOND);
        three.sim.cut(other.wire);
        assert!(got.contains(&mark));
    }
}

#[test]
fn sim_bundles_altered_by_age_or_copies_are_the_same_bundle() {
    let mut three = Three::new(seed());
    let bytes = garbage(1, START_HOUR, Lifetime::Day, 512);
    let eve = Eve::dial(&mut three.sim, three.bob);
    for (age, copies) in [(0, 255), (u16::MAX, 1), (3, 0), (0, 16)] {
        eve.say(&mut three.sim, &Record::Bundle { age, copies, bytes: bytes.clone() });
        three.sim.run_for(SECOND / 10);
    }
    three.sim.run_for(SECOND);
    assert!(eve.is_there(&three.sim));
    let mut times = 0;
    three.bob_store.visit_bundles(&mut |_| times += 1).unwrap();
    assert_eq!(times, 1);
}
