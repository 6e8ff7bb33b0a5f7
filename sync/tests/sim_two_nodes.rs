//! Two nodes on virtual time: the whole path from link to receipt, on good wires.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test: what fails ends it")]

mod common;

use common::{MINUTE, SECOND, Two, bundles, contact_states, contacts, in_reach, listen, seed, states, texts};
use hedgerow_sync::{
    sim::{Faults, Sim},
    view::{Command, ContactState, Event, MessageState},
};

#[test]
fn sim_a_link_makes_contacts_who_write_both_ways() {
    let mut two = Two::contacts(seed());
    for (node, other) in two.sides() {
        let known = contacts(&mut two.sim, node);
        assert_eq!(known[0].name.as_deref(), Some(other));
        assert!(known.iter().all(|contact| contact.state == ContactState::Established && contact.in_reach));
    }
    two.write(two.ann, 1);
    two.write(two.ben, 1);
    two.sim.run_for(SECOND);
    two.expect_all(two.ann, 1);
    two.expect_all(two.ben, 1);
}

#[test]
fn sim_partition_heals() {
    let mut two = Two::contacts(seed());
    two.sim.kill(two.ben);
    two.write(two.ann, 100);
    assert_eq!(states(&mut two.sim, two.ann, "ben"), vec![MessageState::Queued; 100]);
    two.sim.run_for(MINUTE);
    assert!(!in_reach(&mut two.sim, two.ann, "ben"));
    two.sim.take_events(two.ann);
    two.sim.revive(two.ben);
    two.sim.run_for(5 * SECOND);
    two.expect_all(two.ann, 100);
    // Every message went through carried: the bundle was durable there before the receipt came.
    let mut told = std::collections::BTreeMap::new();
    for event in two.sim.take_events(two.ann) {
        if let Event::Message(message) = event {
            let states: &mut Vec<MessageState> = told.entry(message.id).or_default();
            states.push(message.state);
        }
    }
    assert_eq!(told.len(), 100);
    assert!(told.values().all(|states| states.is_sorted() && states.contains(&MessageState::Carried)), "{told:?}");

    two.sim.tell(two.ben, Command::Messages { contact: "ann".into(), since: None, before: None, limit: None, mark_read: true });
    two.sim.run_for(5 * SECOND);
    assert_eq!(states(&mut two.sim, two.ann, "ben"), vec![MessageState::Read; 100]);
}

#[test]
fn sim_read_state_crosses_though_the_reader_was_alone() {
    let mut two = Two::contacts(seed());
    two.write(two.ann, 3);
    two.sim.run_for(SECOND);
    two.sim.cut(two.wire);
    two.sim.tell(two.ben, Command::Messages { contact: "ann".into(), since: None, before: None, limit: None, mark_read: true });
    two.sim.run_for(10 * MINUTE);
    two.sim.mend(two.wire);
    two.sim.run_for(5 * SECOND);
    assert_eq!(states(&mut two.sim, two.ann, "ben"), vec![MessageState::Read; 3]);
}

#[test]
fn sim_three_thousand_one_way_messages_cross_in_windows() {
    const COUNT: usize = 3_000;
    let mut two = Two::strangers(seed(), Faults { rate: 100_000_000, ..Faults::NONE });
    two.sim.introduce(two.ann, two.ben);
    two.sim.run_for(2 * SECOND);
    two.sim.cut(two.wire);
    two.write(two.ann, COUNT);
    two.sim.mend(two.wire);
    two.sim.run_for(MINUTE);
    two.expect_all(two.ann, COUNT);
}

#[test]
fn sim_full_windows_both_ways_do_not_block_each_other() {
    const COUNT: usize = 1_100;
    let mut two = Two::contacts_over(seed(), Faults { rate: 10_000_000, ..Faults::NONE });
    two.sim.cut(two.wire);
    two.write(two.ann, COUNT);
    two.write(two.ben, COUNT);
    two.sim.mend(two.wire);
    two.sim.run_for(MINUTE);
    two.expect_all(two.ann, COUNT);
    two.expect_all(two.ben, COUNT);
}

#[test]
fn sim_what_was_written_before_the_exchange_arrives_after_it() {
    let mut two = Two::strangers(seed(), Faults::NONE);
    two.sim.cut(two.wire);
    two.sim.introduce(two.ann, two.ben);
    for number in 0..5 {
        two.sim.send(two.ann, "1", &format!("ann {number}"));
        two.sim.send(two.ben, "1", &format!("ben {number}"));
    }
    two.sim.mend(two.wire);
    two.sim.run_for(5 * SECOND);
    two.expect_all(two.ann, 5);
    two.expect_all(two.ben, 5);
}

#[test]
fn sim_inputs_in_batches_change_nothing() {
    for seed in seed()..seed() + 6 {
        let mut two = Two::strangers(seed, Faults::NONE);
        for (node, _) in two.sides() {
            two.sim.gather(node, SECOND / 20);
        }
        let heard = listen(&mut two.sim);
        two.sim.introduce(two.ann, two.ben);
        two.sim.run_for(5 * SECOND);
        assert_eq!(contact_states(&mut two.sim, two.ben), [ContactState::Established]);
        assert!(in_reach(&mut two.sim, two.ann, "ben") && in_reach(&mut two.sim, two.ben, "ann"), "seed {seed}");
        let byes = heard.borrow().iter().filter(|(_, record)| record[0] == 0x0f).count();
        assert_eq!(byes, 0, "the first session goes on as a contact's, seed {seed}");
        two.write(two.ann, 20);
        two.write(two.ben, 20);
        two.sim.run_for(5 * SECOND);
        two.expect_all(two.ann, 20);
        two.expect_all(two.ben, 20);
    }
}

#[test]
fn sim_nothing_crosses_a_link_twice() {
    let mut two = Two::contacts(seed());
    let heard = listen(&mut two.sim);
    two.write(two.ann, 30);
    two.sim.run_for(5 * SECOND);
    for _ in 0..3 {
        two.sim.cut(two.wire);
        two.write(two.ben, 0);
        two.sim.mend(two.wire);
        two.sim.run_for(2 * MINUTE);
    }
    for node in [two.ann, two.ben] {
        let all = bundles(&heard, node);
        let unique: std::collections::BTreeSet<&Vec<u8>> = all.iter().collect();
        assert_eq!(unique.len(), all.len());
    }
    assert_eq!(texts(&mut two.sim, two.ben, "ann").len(), 30);
}

#[test]
fn sim_what_a_mark_covers_is_not_offered_again() {
    let mut two = Two::contacts(seed());
    two.write(two.ann, 40);
    two.sim.run_for(2 * MINUTE);
    // The first reunion settles it, whatever the first session left open.
    for _ in 0..2 {
        two.sim.cut(two.wire);
        two.sim.mend(two.wire);
        two.sim.run_for(2 * MINUTE);
    }
    let heard = listen(&mut two.sim);
    for _ in 0..8 {
        two.sim.cut(two.wire);
        two.sim.mend(two.wire);
        two.sim.run_for(2 * MINUTE);
    }
    let offers = heard.borrow().iter().filter(|(_, record)| record[0] == 0x02).count();
    assert!(offers <= 2, "all of it had been answered and marked; a comparison by chance may offer: {offers}");
}

#[test]
fn sim_marks_move_in_sessions_without_a_comparison() {
    let mut two = Two::contacts(seed());
    two.write(two.ann, 2);
    two.sim.run_for(2 * MINUTE);
    two.sim.cut(two.wire);
    two.sim.mend(two.wire);
    two.sim.run_for(2 * MINUTE);
    let heard = listen(&mut two.sim);
    two.write(two.ann, 5);
    // Own bundles are held back for up to five minutes; no MARK goes past them.
    two.sim.run_for(7 * MINUTE);
    let marks = heard.borrow().iter().filter(|(node, record)| *node == two.ann && record[0] == 0x0b).count();
    assert!(marks >= 1, "what was pushed and stored is marked");
}

#[test]
fn sim_two_thousand_queued_messages_arrive_in_order() {
    let mut sim = Sim::new(seed());
    let ((ann, _), (ben, _)) = (sim.node("ann"), sim.node("ben"));
    sim.introduce(ann, ben);
    let wire = sim.connect(ann, ben, Faults { rate: 50_000_000, ..Faults::NONE });
    sim.run_for(SECOND);
    for index in 0..2000 {
        sim.send(ann, "ben", &format!("message {index}"));
    }
    sim.run_for(SECOND * 10);
    assert!(sim.is_up(wire));
    let texts: Vec<String> = sim.messages(ben, "ann").into_iter().map(|message| message.text).collect();
    assert_eq!(texts, (0..2000).map(|index| format!("message {index}")).collect::<Vec<_>>());
    assert!(sim.messages(ann, "ben").iter().all(|message| message.state == MessageState::Delivered));
}
