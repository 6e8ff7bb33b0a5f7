//! Stops a carrier at every commit of a carrying run, before it and behind it, and fills its disk: the same outcome, later.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test: what fails ends it")]

mod common;

use common::{
    SECOND, listen, seed,
    three::{Three, held},
};
use hedgerow_sync::{sim::NodeId, store::memory::MemoryStore, view::MessageState};

/// What is done to a store, given the point.
type Fault = fn(&MemoryStore, u64);

/// Whose store it is done to.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Whose {
    Carrier,
    Reader,
    Writer,
}

fn store(three: &Three, whose: Whose) -> (NodeId, MemoryStore) {
    match whose {
        Whose::Carrier => (three.bob, three.bob_store.handle()),
        Whose::Reader => (three.carol, three.carol_store.handle()),
        Whose::Writer => (three.ann, three.ann_store.handle()),
    }
}

/// Three messages there and three back by way of Bob, who is stopped somewhere between.
fn run(base: u64, set: impl FnOnce(&Three)) -> Three {
    let mut three = Three::new(base);
    set(&three);
    let (ann, carol) = (three.ann, three.carol);
    for number in 0..3 {
        for (from, to) in [(ann, "carol"), (carol, "ann")] {
            // A node that stopped while it was asked is asked again, under the same id.
            let id = Some(hedgerow_sync::id::MessageId([number + 1; 16]));
            let command = hedgerow_sync::view::Command::Send { contact: to.into(), text: format!("{number}"), id, urgent: false };
            if three.sim.ask(from, command.clone()).is_none() {
                three.sim.run_for(SECOND);
                three.sim.ask(from, command).expect("one fault only").expect("a good command");
            }
        }
    }
    for wire in [three.near, three.far, three.near, three.far] {
        three.sim.mend(wire);
        three.sim.run_for(5 * SECOND);
        three.sim.cut(wire);
    }
    three.round();
    // What a writer or reader that was stopped had not released goes to no stem any more, and so leaves one journey later.
    three.round();
    three
}

fn check(three: &mut Three, what: &str) {
    for node in [three.ann, three.carol] {
        assert_eq!(three.got(node), ["0", "1", "2"], "{what}");
        let states: Vec<MessageState> = three.sent(node).into_iter().map(|message| message.state).collect();
        assert!(states.iter().all(|state| *state == MessageState::Delivered), "{what}: {states:?}");
    }
}

/// Repeats the run with a fault at every `step`-th point from `from` on, as `count` counts them.
fn at_each_point(whose: Whose, fault: Fault, count: fn(&MemoryStore) -> u64, (from, step): (u64, usize)) {
    let seed = seed();
    let mut first = 0;
    let mut quiet = run(seed, |three| first = count(&store(three, whose).1));
    let points = count(&store(&quiet, whose).1) - first;
    check(&mut quiet, "without a fault");
    assert!(points > 20, "the run writes enough to be worth it: {points}");
    for point in (from..=points).step_by(step) {
        let what = format!("seed {seed}, {whose:?}, point {point} of {points}");
        let mut three = run(seed, |three| fault(&store(three, whose).1, point));
        assert_eq!(three.sim.restarts(store(&three, whose).0), 1, "{what}");
        check(&mut three, &what);
    }
}

#[test]
fn sim_a_carrier_killed_at_a_write_delivers_first_third() {
    at_each_point(Whose::Carrier, MemoryStore::crash_after_writes, MemoryStore::point_count, (1, 3));
}

#[test]
fn sim_a_carrier_killed_at_a_write_delivers_second_third() {
    at_each_point(Whose::Carrier, MemoryStore::crash_after_writes, MemoryStore::point_count, (2, 3));
}

#[test]
fn sim_a_carrier_killed_at_a_write_delivers_last_third() {
    at_each_point(Whose::Carrier, MemoryStore::crash_after_writes, MemoryStore::point_count, (3, 3));
}

#[test]
fn sim_a_carrier_killed_behind_any_odd_commit_delivers() {
    at_each_point(Whose::Carrier, MemoryStore::crash_past_commits, MemoryStore::commit_count, (1, 2));
}

#[test]
fn sim_a_carrier_killed_behind_any_even_commit_delivers() {
    at_each_point(Whose::Carrier, MemoryStore::crash_past_commits, MemoryStore::commit_count, (2, 2));
}

#[test]
fn sim_a_carrier_whose_disk_fills_delivers() {
    at_each_point(Whose::Carrier, MemoryStore::fail_full_after, MemoryStore::point_count, (1, 3));
}

#[test]
fn sim_a_reader_killed_at_a_write_gets_its_mail() {
    at_each_point(Whose::Reader, MemoryStore::crash_after_writes, MemoryStore::point_count, (1, 2));
}

#[test]
fn sim_a_writer_killed_at_a_write_gets_its_mail_through() {
    at_each_point(Whose::Writer, MemoryStore::crash_after_writes, MemoryStore::point_count, (1, 2));
}

#[test]
fn sim_what_a_carrier_said_stored_to_is_there_after_it_was_killed() {
    let base = seed();
    for point in 1..=40 {
        let mut three = Three::new(base);
        let heard = listen(&mut three.sim);
        three.write(three.ann, 5);
        three.bob_store.crash_past_commits(point);
        three.sim.mend(three.near);
        three.sim.run_for(10 * SECOND);
        three.sim.cut(three.near);
        three.sim.kill(three.bob);
        three.sim.revive(three.bob);
        let bob = three.bob;
        let said = |(node, record): &(NodeId, Vec<u8>)| if *node == bob && record[0] == 6 { record.len() / 8 } else { 0 };
        let claims: usize = heard.borrow().iter().map(said).sum();
        // What is left of the exchange is carried too.
        let kept = held(&three.bob_store).len();
        assert!(kept >= 5 && kept >= claims, "point {point}: {claims} claims, {kept} kept");
        let carried = three.sent(three.ann).iter().filter(|message| message.state == MessageState::Carried).count();
        assert!(carried <= claims, "point {point}: an answer that was lost is not made up");
    }
}
