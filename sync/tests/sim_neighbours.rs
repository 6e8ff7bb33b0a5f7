//! Several links between two nodes, blocked and removed contacts, idle links, and what an eavesdropper can count.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test: what fails ends it")]

mod common;

use std::collections::BTreeMap;

use common::{DAY, HOUR, MINUTE, SECOND, Two, contacts, in_reach, seed, status, texts};
use hedgerow_sync::{
    sim::{Crossing, Faults, NodeId, WireId},
    store::Store,
    view::{Command, MessageState},
    wire::record::Record,
};

#[test]
fn sim_of_two_links_between_two_nodes_one_stays_and_nothing_is_lost() {
    for seed in seed()..seed() + 6 {
        let mut two = Two::contacts(seed);
        let heard = common::listen(&mut two.sim);
        two.sim.cut(two.wire);
        two.write(two.ann, 30);
        // Both dial at the same time.
        let other = two.sim.connect(two.ben, two.ann, Faults::NONE);
        two.sim.mend(two.wire);
        two.sim.keep_down(two.wire);
        two.sim.keep_down(other);
        two.sim.run_for(3 * SECOND);
        let up = [two.wire, other].into_iter().filter(|wire| two.sim.is_up(*wire)).count();
        assert_eq!(up, 1, "seed {seed}");
        assert_eq!(status(&mut two.sim, two.ann).neighbours.len(), 1);
        two.write(two.ben, 10);
        two.sim.run_for(3 * SECOND);
        two.expect_all(two.ann, 30);
        two.expect_all(two.ben, 10);
        let sent = common::bundles(&heard, two.ann);
        let mut times = BTreeMap::new();
        for bundle in sent {
            *times.entry(bundle).or_insert(0) += 1;
        }
        assert!(times.values().all(|times| *times <= 2), "once a link");
    }
}

#[test]
fn sim_a_second_link_to_a_contact_that_is_there_is_closed() {
    let mut two = Two::contacts(seed());
    two.sim.run_for(MINUTE);
    two.write(two.ann, 1);
    two.sim.run_for(SECOND);
    let link = two.sim.link_of(two.wire, two.ann);
    let other = two.sim.connect(two.ben, two.ann, Faults::NONE);
    two.sim.keep_down(other);
    two.sim.run_for(3 * SECOND);
    assert!(!two.sim.is_up(other));
    assert_eq!(two.sim.link_of(two.wire, two.ann), link);
}

#[test]
fn sim_a_new_link_takes_over_from_a_dead_one() {
    let mut two = Two::contacts(seed());
    two.sim.run_for(MINUTE);
    // The old wire swallows everything from here on.
    two.sim.set_faults(two.wire, Faults { loss: 1.0, ..Faults::NONE });
    two.sim.keep_down(two.wire);
    two.sim.run_for(7 * SECOND);
    two.write(two.ann, 3);
    let other = two.sim.connect(two.ben, two.ann, Faults::NONE);
    // The old link has 5 s to answer a PING.
    two.sim.run_for(7 * SECOND);
    assert!(two.sim.is_up(other) && !two.sim.is_up(two.wire));
    two.expect_all(two.ann, 3);
}

#[test]
fn sim_a_removed_contact_is_not_recognised_and_gets_what_a_stranger_gets() {
    let mut two = Two::contacts(seed());
    two.write(two.ann, 3);
    two.write(two.ben, 3);
    two.sim.run_for(MINUTE);
    let epoch = two.epoch_of_ann();
    let heard = common::listen(&mut two.sim);
    two.sim.send(two.ann, "ben", "sealed and never handed over");
    let as_contacts = two.sim.link_of(two.wire, two.ann);
    two.sim.tell(two.ann, Command::RemoveContact { contact: "ben".into() });
    two.sim.run_for(SECOND);
    assert!(contacts(&mut two.sim, two.ann).is_empty());
    assert!(as_contacts.is_some() && two.sim.link_of(two.wire, two.ann) != as_contacts, "the session of two contacts is over at once");
    heard.borrow_mut().clear();
    two.sim.send(two.ben, "ann", "are you there?");
    two.sim.run_for(HOUR);
    assert!(two.sim.is_up(two.wire), "a stranger's link");
    assert!(!in_reach(&mut two.sim, two.ben, "ann"));
    let ann = two.ann;
    let told: Vec<u8> = heard.borrow().iter().filter(|(node, _)| *node == ann).map(|(_, record)| record[0]).collect();
    assert!(!told.iter().any(|kind| [0x0b, 0x0c].contains(kind)), "neither MARK nor UPGRADE: {told:x?}");
    let names_epoch = |record: &[u8]| record[0] == 0x0a && record[1..9] == epoch;
    assert!(!heard.borrow().iter().any(|(_, record)| names_epoch(record)), "a CURSOR that says nothing");
    two.sim.cut(two.wire);
    two.sim.run_for(31 * DAY);
    assert_eq!(status(&mut two.sim, two.ann).bundles, 0, "what was sealed for it is gone, what came from it has run out");
}

#[test]
fn sim_a_removed_contact_learns_nothing_from_ids_it_still_knows() {
    let mut two = Two::contacts(seed());
    two.write(two.ben, 3);
    two.sim.run_for(6 * HOUR); // the acks have been told, so both remember
    let epoch = two.epoch_of_ann();
    two.sim.tell(two.ann, Command::RemoveContact { contact: "ben".into() });
    two.sim.run_for(5 * SECOND);
    let heard = common::listen(&mut two.sim);
    two.sim.cut(two.wire);
    two.sim.mend(two.wire);
    two.sim.run_for(5 * SECOND);
    let ann = two.ann;
    assert!(heard.borrow().iter().all(|(node, record)| *node != ann || ![0x08, 0x0b, 0x0c].contains(&record[0])));
    assert!(!heard.borrow().iter().any(|(_, record)| record[0] == 0x0a && record[1..9] == epoch), "a CURSOR that says nothing");
}

#[test]
fn sim_a_blocked_contact_waits_until_it_is_taken_again() {
    let mut two = Two::contacts(seed());
    two.write(two.ben, 2);
    two.sim.run_for(SECOND);
    two.sim.tell(two.ann, Command::BlockContact { contact: "ben".into(), blocked: true });
    for number in 2..5 {
        two.sim.send(two.ben, "ann", &format!("ben {number}"));
    }
    two.sim.run_for(MINUTE);
    assert_eq!(texts(&mut two.sim, two.ann, "ben").len(), 2);
    assert!(!in_reach(&mut two.sim, two.ben, "ann"), "a blocked contact sees nobody");
    let refused = two.sim.ask(two.ann, Command::Send { contact: "ben".into(), text: "x".into(), id: None, urgent: false });
    assert!(refused.unwrap().is_err());
    two.sim.kill(two.ann);
    two.sim.revive(two.ann);
    two.sim.run_for(MINUTE);
    assert_eq!(texts(&mut two.sim, two.ann, "ben").len(), 2);
    two.sim.tell(two.ann, Command::BlockContact { contact: "ben".into(), blocked: false });
    two.sim.cut(two.wire);
    two.sim.mend(two.wire);
    two.sim.run_for(5 * SECOND);
    two.expect_all(two.ben, 5);
}

#[test]
fn sim_what_is_refused_for_lack_of_room_is_tried_again() {
    let mut two = Two::contacts(seed());
    two.sim.run_for(MINUTE);
    // Ben's engine is replaced by one that has no room today.
    two.sim.possess(two.ben);
    two.sim.take_records(two.ben);
    let before = two.ann_store.bundle_ids();
    two.write(two.ann, 4);
    two.sim.run_for(SECOND);
    let sent = two.sim.take_records(two.ben).into_iter().filter(|record| record[0] == 5).count();
    assert_eq!(sent, 4);
    two.sim.refuse_all(two.wire, two.ben);
    let mut sequences = Vec::new();
    two.ann_store.visit_bundles(&mut |row| sequences.push((row.id, row.sequence))).unwrap();
    let refused_from = sequences.iter().filter(|(id, _)| !before.contains(id)).map(|(_, sequence)| *sequence).min().unwrap();
    // Longer than own bundles are held back, which MARK does not pass either.
    let mut marks = Vec::new();
    for _ in 0..40 {
        two.sim.run_for(10 * SECOND);
        for record in two.sim.take_records(two.ben) {
            match Record::decode(&record).unwrap() {
                Record::Ping => two.sim.send_raw(two.wire, two.ben, &Record::Pong.encode()),
                Record::Mark { sequence, .. } => marks.push(sequence),
                _ => {}
            }
        }
    }
    assert!(in_reach(&mut two.sim, two.ann, "ben"), "the session has lasted");
    assert!(marks.iter().all(|mark| *mark < refused_from), "MARKs of {marks:?} go past what was refused from {refused_from} on");
    assert_eq!(common::states(&mut two.sim, two.ann, "ben"), [MessageState::Queued; 4]);
    two.sim.kill(two.ben);
    two.sim.release(two.ben);
    two.sim.revive(two.ben);
    two.sim.run_for(5 * SECOND);
    two.expect_all(two.ann, 4);
}

#[test]
fn sim_idle_links_are_quiet_and_timers_do_not_spin() {
    let mut two = Two::contacts(seed());
    two.write(two.ann, 20);
    two.write(two.ben, 20);
    two.sim.run_for(10 * HOUR);
    let (bytes, wakes) = (two.sim.bytes(), two.sim.wakes(two.ann) + two.sim.wakes(two.ben));
    two.sim.run_for(HOUR);
    let a_minute = (two.sim.bytes() - bytes) / 60;
    assert!(a_minute <= 400, "{a_minute} bytes a minute");
    let woken = two.sim.wakes(two.ann) + two.sim.wakes(two.ben) - wakes;
    assert!(woken <= 2 * 4 * 180 + 20, "{woken} wake-ups an hour");
    two.sim.cut(two.wire);
    two.sim.run_for(MINUTE);
    let wakes = two.sim.wakes(two.ann);
    two.sim.run_for(DAY);
    assert!(two.sim.wakes(two.ann) - wakes <= 24 + 8, "{} wake-ups a day alone", two.sim.wakes(two.ann) - wakes);
}

/// Lengths of the first messages of a session, by sender.
fn opening(crossings: &[Crossing], wire: WireId, ends: [NodeId; 2]) -> [Vec<usize>; 2] {
    ends.map(|end| crossings.iter().filter(|it| it.wire == wire && it.from == end).map(|it| it.length).take(3).collect())
}

#[test]
fn sim_recognised_and_unrecognised_sessions_look_alike_until_records_flow() {
    let shapes: Vec<[Vec<usize>; 2]> = (0..3)
        .map(|kind| {
            let mut two = Two::strangers(seed(), Faults::NONE);
            if kind == 1 {
                two.sim.introduce(two.ann, two.ben);
                two.sim.run_for(5 * SECOND);
                assert!(in_reach(&mut two.sim, two.ann, "ben"));
            }
            if kind == 2 {
                two.sim.cut(two.wire);
                two.sim.introduce(two.ann, two.ben);
            }
            two.sim.cut(two.wire);
            two.sim.take_crossings();
            two.sim.mend(two.wire);
            two.sim.run_for(5 * SECOND);
            opening(&two.sim.take_crossings(), two.wire, [two.ann, two.ben])
        })
        .collect();
    assert_eq!(shapes[0][0].len(), 3, "handshake, list, confirmation");
    assert!(shapes.iter().all(|shape| *shape == shapes[0]), "{shapes:?}");
}
