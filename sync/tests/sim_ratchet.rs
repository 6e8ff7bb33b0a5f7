//! Long conversations: hybrid steps and pair epochs through restarts, questions for what is missing, backups.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test: what fails ends it")]

mod common;

use common::{DAY, HOUR, MINUTE, SECOND, Two, in_reach, seed, states, texts};
use hedgerow_sync::{sim::Faults, view::MessageState};

#[test]
fn sim_hybrid_steps_happen_and_recognition_goes_on_through_restarts() {
    let mut two = Two::contacts(seed());
    let heard = common::listen(&mut two.sim);
    let mut number = 0;
    for round in 0..20 {
        for _ in 0..12 {
            two.sim.send(two.ann, "ben", &format!("ann {number}"));
            two.sim.send(two.ben, "ann", &format!("ben {number}"));
            two.sim.run_for(SECOND / 5);
            number += 1;
        }
        let node = [two.ann, two.ben][round % 2];
        two.sim.kill(node);
        two.sim.run_for(SECOND);
        two.sim.revive(node);
        two.sim.run_for(3 * SECOND);
        assert!(in_reach(&mut two.sim, two.ann, "ben") && in_reach(&mut two.sim, two.ben, "ann"), "round {round}");
    }
    two.expect_all(two.ann, number);
    two.expect_all(two.ben, number);
    let [from_ann, from_ben] = [two.ann, two.ben].map(|node| two.sim.pair_epoch(node).unwrap());
    assert!(from_ann >= 3 && from_ann.abs_diff(from_ben) <= 1, "{from_ann} and {from_ben}");
    // The items are as large as two small bundles: they went out, and not in every message.
    let large =
        common::bundles(&heard, two.ann).iter().chain(&common::bundles(&heard, two.ben)).filter(|bundle| bundle.len() == 2048).count();
    assert!((6..60).contains(&large), "{large}");
}

#[test]
fn sim_a_message_lost_for_good_is_asked_for_and_sealed_again_after_a_day() {
    let mut two = Two::contacts(seed());
    two.write(two.ann, 1);
    two.sim.run_for(MINUTE);
    // The next bundle leaves its sender's store behind its back, and the wire loses it.
    let ann = two.ann;
    two.sim.cut(two.wire);
    let before = two.ann_store.bundle_ids();
    two.sim.send(ann, "ben", "ann 1");
    for id in two.ann_store.bundle_ids() {
        if !before.contains(&id) {
            two.ann_store.lose_bundle(&id);
        }
    }
    two.sim.kill(ann);
    two.sim.revive(ann);
    two.sim.mend(two.wire);
    two.sim.send(ann, "ben", "ann 2");
    two.sim.run_for(5 * SECOND);
    assert_eq!(texts(&mut two.sim, two.ben, "ann"), ["ann 0", "ann 2"]);
    two.sim.run_for(20 * HOUR);
    assert_eq!(texts(&mut two.sim, two.ben, "ann"), ["ann 0", "ann 2"]);
    two.sim.run_for(8 * HOUR);
    two.expect_all(ann, 3);
}

#[test]
fn sim_what_a_lost_read_told_is_told_again() {
    let mut two = Two::contacts(seed());
    two.write(two.ann, 2);
    two.sim.run_for(MINUTE);
    two.sim.cut(two.wire);
    let before = two.ben_store.bundle_ids();
    two.sim.tell(
        two.ben,
        hedgerow_sync::view::Command::Messages { contact: "ann".into(), since: None, before: None, limit: None, mark_read: true },
    );
    two.sim.run_for(10 * MINUTE);
    let lost: Vec<_> = two.ben_store.bundle_ids().into_iter().filter(|id| !before.contains(id)).collect();
    assert!(!lost.is_empty());
    lost.iter().for_each(|id| two.ben_store.lose_bundle(id));
    two.sim.kill(two.ben);
    two.sim.revive(two.ben);
    two.sim.mend(two.wire);
    two.write(two.ben, 1);
    two.sim.run_for(2 * DAY);
    assert_eq!(states(&mut two.sim, two.ann, "ben"), [MessageState::Read; 2]);
}

#[test]
fn sim_a_restored_backup_loses_nothing_that_its_own_side_had_confirmed() {
    let mut two = Two::contacts(seed());
    two.write(two.ann, 5);
    two.write(two.ben, 5);
    two.sim.run_for(10 * MINUTE);
    let backup = two.ben_store.clone();
    // A copy that was put back at once is as good as the original.
    two.sim.restore(two.ben, &backup);
    two.sim.run_for(5 * SECOND);
    for number in 5..8 {
        two.sim.send(two.ann, "ben", &format!("ann {number}"));
        two.sim.send(two.ben, "ann", &format!("ben {number}"));
    }
    two.sim.run_for(10 * SECOND);
    two.expect_all(two.ann, 8);
    two.expect_all(two.ben, 8);
    assert!(two.sim.is_up(two.wire));
}

#[test]
fn sim_weeks_of_silence_and_talk_leave_nothing_behind() {
    let mut two = Two::strangers(seed(), Faults::NONE);
    two.sim.introduce(two.ann, two.ben);
    two.sim.run_for(MINUTE);
    for round in 0..6 {
        two.sim.cut(two.wire);
        for number in 0..10 {
            two.sim.send(two.ann, "ben", &format!("ann {}", round * 10 + number));
            two.sim.send(two.ben, "ann", &format!("ben {}", round * 10 + number));
        }
        two.sim.run_for(5 * DAY);
        two.sim.mend(two.wire);
        two.sim.run_for(6 * HOUR);
        assert!(in_reach(&mut two.sim, two.ann, "ben"));
    }
    two.expect_all(two.ann, 60);
    two.expect_all(two.ben, 60);
    two.sim.cut(two.wire);
    two.sim.run_for(15 * DAY);
    for node in [two.ann, two.ben] {
        // Acknowledged or run out, but for the hybrid step that goes out once a day until it is heard.
        assert!(common::status(&mut two.sim, node).bundles <= 14, "{}", common::status(&mut two.sim, node).bundles);
        assert_eq!(common::status(&mut two.sim, node).undelivered, 0);
    }
}
