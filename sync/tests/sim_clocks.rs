//! Clocks that are wrong, that disagree, and that jump.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test: what fails ends it")]

mod common;

use common::{
    DAY, HOUR, MINUTE, SECOND, Two, notices, seed, states, status, texts,
    three::{Eve, Heard, START_HOUR, garbage},
};
use hedgerow_sync::{
    id::BeaconId,
    sim::{Faults, START_MILLIS, Sim},
    time::Hour,
    view::{ClockSource, MessageState},
    wire::{
        bundle::Lifetime,
        record::{Hello, Record, Refusal},
    },
};

const YEAR_MS: i64 = 365 * 24 * 3_600_000;
/// From the start of a simulation to 1970-01-01 and to 2100-01-01.
const TO_1970: i64 = -(START_MILLIS as i64);
const TO_2100: i64 = 4_102_444_800_000 - START_MILLIS as i64;

#[test]
fn sim_messages_cross_whatever_the_clocks_say() {
    let offsets = [0, TO_1970, TO_2100, YEAR_MS, -20 * 24 * 3_600_000];
    for ann_offset in offsets {
        for ben_offset in offsets {
            let mut two = Two::strangers(seed(), Faults::NONE);
            two.sim.cut(two.wire);
            two.sim.set_clock(two.ann, ann_offset);
            two.sim.set_clock(two.ben, ben_offset);
            // The clocks were like this when the nodes were started.
            for node in [two.ann, two.ben] {
                two.sim.kill(node);
                two.sim.revive(node);
            }
            let link = common::invite(&mut two.sim, two.ann, 720);
            let what = format!("clocks off by {ann_offset} and {ben_offset} ms");
            if common::add(&mut two.sim, two.ben, &link).is_err() {
                assert!(ben_offset == YEAR_MS || ann_offset < 0, "refused only as run out: {what}");
                continue;
            }
            two.sim.mend(two.wire);
            two.sim.run_for(5 * SECOND);
            if common::contact_states(&mut two.sim, two.ben) != [hedgerow_sync::view::ContactState::Established] {
                panic!("no contact: {what}");
            }
            two.write(two.ann, 5);
            two.write(two.ben, 5);
            two.sim.run_for(5 * SECOND);
            two.sim.cut(two.wire);
            two.sim.mend(two.wire);
            two.sim.run_for(5 * SECOND);
            for (node, other) in two.sides() {
                assert_eq!(texts(&mut two.sim, node, other).len(), 5, "{what}");
                let states = states(&mut two.sim, node, other);
                assert!(states.iter().all(|state| *state == MessageState::Delivered), "{states:?} {what}");
            }
        }
    }
}

#[test]
fn sim_a_stranger_that_claims_2100_moves_no_clock() {
    for offset in [0, TO_1970] {
        let mut two = Two::strangers(seed(), Faults::NONE);
        two.sim.set_clock(two.ann, offset);
        let before = status(&mut two.sim, two.ann).clock.source;
        for number in 0..8 {
            let eve = two.sim.stranger("eve");
            let wire = two.sim.connect(eve, two.ann, Faults::NONE);
            two.sim.run_for(SECOND);
            let hello = Hello { beacon: BeaconId([number; 8]), hour: Hour(1_139_592), window: 4096, carries: false };
            two.sim.send_raw(wire, eve, &Record::Hello(hello).encode());
            two.sim.keep_down(wire);
            two.sim.run_for(4 * HOUR);
        }
        let after = status(&mut two.sim, two.ann).clock;
        assert_eq!(after.source, before);
        assert_ne!(after.source, ClockSource::Strangers);
    }
}

#[test]
fn sim_a_jump_of_a_year_destroys_nothing_for_a_day() {
    let mut two = Two::contacts(seed());
    two.sim.cut(two.wire);
    two.write(two.ann, 5);
    two.write(two.ben, 5);
    two.sim.run_for(MINUTE);
    two.sim.take_events(two.ann);
    two.sim.set_clock(two.ann, YEAR_MS);
    two.sim.run_for(20 * HOUR);
    assert!(notices(&mut two.sim, two.ann).contains(&"clock_jump".into()));
    assert_eq!(states(&mut two.sim, two.ann, "ben"), [MessageState::Queued; 5]);
    // Messages cross while the clocks disagree, both ways.
    two.sim.mend(two.wire);
    two.sim.run_for(5 * SECOND);
    two.expect_all(two.ann, 5);
    two.expect_all(two.ben, 5);
}

#[test]
fn sim_a_jump_that_is_set_right_within_the_day_leaves_no_trace() {
    let mut two = Two::contacts(seed());
    two.sim.cut(two.wire);
    two.write(two.ann, 5);
    two.sim.set_clock(two.ann, YEAR_MS);
    two.sim.run_for(20 * HOUR);
    two.sim.kill(two.ann);
    two.sim.revive(two.ann);
    two.sim.run_for(2 * HOUR);
    two.sim.set_clock(two.ann, 0);
    two.sim.run_for(2 * DAY);
    assert_eq!(states(&mut two.sim, two.ann, "ben"), [MessageState::Queued; 5]);
    two.sim.mend(two.wire);
    two.sim.run_for(5 * SECOND);
    two.expect_all(two.ann, 5);
}

#[test]
fn sim_a_message_without_a_reader_expires_after_a_fortnight() {
    let mut two = Two::contacts(seed());
    two.sim.cut(two.wire);
    two.write(two.ann, 2);
    two.sim.run_for(13 * DAY);
    assert_eq!(states(&mut two.sim, two.ann, "ben"), [MessageState::Queued; 2]);
    two.sim.run_for(2 * DAY);
    assert_eq!(states(&mut two.sim, two.ann, "ben"), [MessageState::Expired; 2]);
    two.sim.mend(two.wire);
    two.sim.run_for(MINUTE);
    assert_eq!(texts(&mut two.sim, two.ben, "ann"), [""; 0]);
    two.sim.send(two.ann, "ben", "later");
    two.sim.run_for(SECOND);
    assert_eq!(texts(&mut two.sim, two.ben, "ann"), ["later"]);
}

#[test]
fn sim_a_node_without_a_clock_takes_nothing_from_strangers_that_it_could_not_pass_on() {
    let mut sim = Sim::new(seed());
    let (ann, _) = sim.node("ann");
    sim.set_clock(ann, TO_1970);
    let eve = Eve::dial(&mut sim, ann);
    let bundles = [Lifetime::Fortnight, Lifetime::Month].map(|lifetime| garbage(1, START_HOUR, lifetime, 512));
    assert_eq!(eve.hand(&mut sim, &bundles, 0), [Heard::Stored, Heard::Refused(Refusal::Time)]);
}
