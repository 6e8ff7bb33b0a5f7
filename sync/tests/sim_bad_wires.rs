//! Wires that lose, repeat, reorder and break: everything arrives once, and the same seed gives the same run.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test: what fails ends it")]

mod common;

use std::time::Duration;

use common::{MINUTE, SECOND, Two, contact_states, seed, texts};
use hedgerow_sync::{sim::Faults, view::ContactState};

/// Contacts are made on the wire too, then both write, then the wire is good again.
fn run(seed: u64, faults: Faults, count: usize) -> Two {
    let mut two = Two::strangers(seed, faults);
    two.sim.introduce(two.ann, two.ben);
    two.sim.run_for(MINUTE);
    for number in 0..count {
        two.sim.send(two.ann, "1", &format!("ann {number}"));
        two.sim.send(two.ben, "1", &format!("ben {number}"));
        two.sim.run_for(SECOND / 2);
    }
    two
}

fn heal(two: &mut Two, count: usize) {
    two.sim.cut(two.wire);
    let wire = two.sim.connect(two.ann, two.ben, Faults::NONE);
    two.sim.run_for(MINUTE);
    for (node, _) in two.sides() {
        assert_eq!(contact_states(&mut two.sim, node), [ContactState::Established]);
    }
    two.expect_all(two.ann, count);
    two.expect_all(two.ben, count);
    assert!(two.sim.is_up(wire));
}

fn everything_arrives(faults: Faults, seeds: u64, count: usize) {
    let first = seed();
    for seed in first..first + seeds {
        println!("seed {seed}, {faults:?}");
        let mut two = run(seed, faults, count);
        heal(&mut two, count);
    }
}

#[test]
fn sim_lost_messages_cost_a_session_and_nothing_else() {
    everything_arrives(Faults { loss: 0.03, ..Faults::NONE }, 5, 15);
}

#[test]
fn sim_repeated_messages_cost_a_session_and_nothing_else() {
    everything_arrives(Faults { duplicate: 0.03, ..Faults::NONE }, 5, 15);
}

#[test]
fn sim_reordered_messages_cost_a_session_and_nothing_else() {
    everything_arrives(Faults { reorder: 0.05, delay: Duration::from_millis(30), ..Faults::NONE }, 5, 15);
}

#[test]
fn sim_breaks_every_ten_seconds_lose_nothing() {
    everything_arrives(Faults { cut_mean: Some(10 * SECOND), rate: 20_000, delay: Duration::from_millis(80), ..Faults::NONE }, 5, 20);
}

#[test]
fn sim_breaks_within_handshakes_lose_nothing() {
    everything_arrives(Faults { cut_mean: Some(SECOND), rate: 10_000, delay: Duration::from_millis(100), ..Faults::NONE }, 5, 10);
}

#[test]
fn sim_everything_at_once_loses_nothing() {
    let faults = Faults {
        rate: 30_000,
        delay: Duration::from_millis(40),
        loss: 0.02,
        duplicate: 0.02,
        reorder: 0.02,
        cut_mean: Some(20 * SECOND),
        ..Faults::NONE
    };
    everything_arrives(faults, 5, 20);
}

#[test]
fn sim_same_seed_same_log() {
    let faults = Faults {
        rate: 50_000,
        delay: Duration::from_millis(20),
        loss: 0.01,
        duplicate: 0.01,
        reorder: 0.01,
        cut_mean: Some(15 * SECOND),
        ..Faults::NONE
    };
    let first = seed();
    for seed in first..first + 3 {
        let (one, other) = (run(seed, faults, 15), run(seed, faults, 15));
        assert_eq!(one.sim.log_hash(), other.sim.log_hash(), "seed {seed}");
        assert_ne!(one.sim.log_hash(), run(seed + 1000, faults, 15).sim.log_hash());
    }
}

#[test]
fn sim_a_wire_that_breaks_after_every_few_messages_still_moves_on() {
    let mut two = Two::contacts(seed());
    two.write(two.ann, 30);
    two.write(two.ben, 30);
    // A session needs about seven messages each way before the first bundle.
    for round in 0..60 {
        two.sim.cut(two.wire);
        two.sim.mend(two.wire);
        two.sim.cut_after_messages(two.wire, 10 + round % 9);
        two.sim.run_for(5 * SECOND);
    }
    two.sim.run_for(MINUTE);
    assert_eq!(texts(&mut two.sim, two.ben, "ann").len(), 30);
    two.expect_all(two.ann, 30);
    two.expect_all(two.ben, 30);
}
