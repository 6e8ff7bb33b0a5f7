//! Carrying where people and their devices are odd: removed contacts, wrong clocks, restored backups, links in two hands.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test: what fails ends it")]

mod common;

use std::collections::BTreeSet;

use common::{
    DAY, HOUR, MINUTE, SECOND, Two, add, contact_states, contacts, in_reach, invite, notices, seed,
    three::{Eve, Heard, START_HOUR, Three, acked_by, id_of},
};
use hedgerow_sync::{
    id::BundleId,
    sim::{Faults, NodeId, START_MILLIS, Sim, WireId},
    store::{GoneRow, Origin, Setting, Store, memory::MemoryStore},
    view::{Command, ContactState, Event, MessageState},
    wire::record::Record,
};

/// Milliseconds from the start of a simulation to 2100.
const TO_2100: i64 = 4_102_444_800_000 - START_MILLIS as i64;
const YEAR: i64 = 365 * 86_400_000;

#[test]
fn sim_a_removed_contact_that_comes_back_gets_what_a_stranger_gets() {
    let mut three = Three::new(seed());
    let [ann, bob, carol] = [three.ann, three.bob, three.carol];
    three.write(ann, 5);
    three.write(carol, 5);
    three.round();
    three.sim.send(ann, "carol", "sealed and never read");
    three.sim.tell(ann, Command::RemoveContact { contact: "carol".into() });
    let mut sealed_for_her = 0;
    three.ann_store.visit_bundles(&mut |row| sealed_for_her += usize::from(matches!(row.origin, Origin::Own(_)))).unwrap();
    assert_eq!(sealed_for_her, 0);
    three.sim.run_for(30 * HOUR);

    // Carol, who was removed, and Eve, who never was anybody, come to Ann on wires of their own.
    three.sim.send(carol, "ann", "do you still know me?");
    let wire = three.sim.connect(carol, ann, Faults::NONE);
    three.sim.run_for(10 * MINUTE);
    assert!(!in_reach(&mut three.sim, carol, "ann"));
    assert!(contacts(&mut three.sim, ann).is_empty());
    assert_eq!(three.sim.messages(carol, "ann").last().unwrap().state, MessageState::Carried, "as by any stranger");
    assert_eq!(three.sim.messages(carol, "ann").last().unwrap().handed_strangers, 1);
    three.sim.cut(wire);
    three.sim.possess(carol);
    three.sim.mend(wire);
    three.sim.keep_down(wire);
    let returned = Eve::over(&mut three.sim, carol, wire);
    let hers = returned.collect(&mut three.sim, 5 * SECOND);
    three.sim.cut(wire);
    let eve = Eve::dial(&mut three.sim, ann);
    let anybodys = eve.collect(&mut three.sim, 5 * SECOND);
    assert_eq!(hers.iter().collect::<BTreeSet<_>>(), anybodys.iter().collect::<BTreeSet<_>>());
    assert!(!anybodys.is_empty());
    three.sim.release(carol);
    assert_eq!(contacts(&mut three.sim, bob), []);
}

#[test]
fn sim_a_removed_contact_is_told_no_more_acks_than_a_stranger() {
    let mut three = Three::new(seed());
    let [ann, carol] = [three.ann, three.carol];
    three.write(carol, 5);
    three.round();
    three.sim.run_for(5 * HOUR);
    // What strangers brought any carrier knows, and that it was read; what was sealed here only Ann could.
    let is_own = |origin: Origin| matches!(origin, Origin::Own(_) | Origin::Contact(_));
    let gone = three.ann_store.load_gone().unwrap();
    let (own, carried): (Vec<GoneRow>, Vec<GoneRow>) = gone.into_iter().partition(|row| is_own(row.origin));
    let [own, carried] = [own, carried].map(|rows| rows.into_iter().map(|row| row.id).collect::<Vec<BundleId>>());
    assert!(!own.is_empty() && carried.len() >= 5, "{} sealed here, {} carried", own.len(), carried.len());
    three.sim.tell(ann, Command::RemoveContact { contact: "carol".into() });
    // She knows ids that a stranger does not; both ask the same.
    three.sim.run_for(30 * HOUR);
    let mut eve = Eve::dial(&mut three.sim, ann);
    assert_eq!(eve.offer(&mut three.sim, &own), vec![true; own.len()], "what was between the two is not known any more");
    assert_eq!(eve.offer(&mut three.sim, &carried), vec![false; carried.len()], "that it was read is told as by any carrier");
}

/// Both ends write while a clock is off; everything arrives, and neither end tells a lie.
fn with_clock(set: impl FnOnce(&mut Three)) {
    let mut three = Three::new(seed());
    set(&mut three);
    let [ann, carol] = [three.ann, three.carol];
    three.write(ann, 5);
    three.write(carol, 5);
    three.round();
    three.round();
    three.expect_all(ann, 5);
    three.expect_all(carol, 5);
}

#[test]
fn sim_a_carrier_whose_clock_says_1970_carries() {
    with_clock(|three| three.sim.set_clock(three.bob, -(START_MILLIS as i64) + 86_400_000));
}

#[test]
fn sim_a_carrier_without_a_clock_carries() {
    with_clock(|three| {
        let elapsed = three.sim.elapsed().as_millis() as i64;
        three.sim.set_clock(three.bob, -(START_MILLIS as i64) - elapsed);
    });
}

/// Else the first stranger that still has it would bring it again.
#[test]
fn sim_what_was_read_while_a_carrier_had_no_clock_is_not_taken_again_once_it_has_one() {
    let mut three = Three::new(seed());
    let elapsed = three.sim.elapsed().as_millis() as i64;
    three.sim.set_clock(three.bob, -(START_MILLIS as i64) - elapsed);
    let secret = [7; 16];
    let bytes = acked_by(&secret, 1, three.hour());
    let eve = Eve::dial(&mut three.sim, three.bob);
    assert_eq!(eve.hand(&mut three.sim, std::slice::from_ref(&bytes), 0), [Heard::Stored]);
    eve.say(&mut three.sim, &Record::Ack(vec![secret]));
    three.sim.run_for(SECOND);
    three.sim.cut(eve.wire);
    three.sim.set_clock(three.bob, 0);
    // At once, a day later, and a week after it was read.
    for (after, is_wanted) in [(SECOND, false), (DAY, false), (6 * DAY, true)] {
        three.sim.run_for(after);
        let mut eve = Eve::dial(&mut three.sim, three.bob);
        assert_eq!(eve.offer(&mut three.sim, &[id_of(&bytes)]), [is_wanted], "{after:?} later");
        three.sim.cut(eve.wire);
    }
}

/// By its date that was before the last meeting, at which the contact would have been told.
#[test]
fn sim_a_contact_hears_of_what_was_read_while_the_clock_was_set_back() {
    let elsewhen = [-2 * 86_400_000, -(START_MILLIS as i64) - 86_400_000];
    for offset in elsewhen {
        let mut two = Two::contacts(seed());
        let secret = [7; 16];
        let bytes = acked_by(&secret, 1, START_HOUR);
        let id = id_of(&bytes);
        let eve = Eve::dial(&mut two.sim, two.ann);
        assert_eq!(eve.hand(&mut two.sim, std::slice::from_ref(&bytes), 0), [Heard::Stored]);
        two.sim.cut(eve.wire);
        two.sim.run_for(3 * HOUR);
        assert!(two.ben_store.bundle_ids().contains(&id));
        two.sim.cut(two.wire);
        two.sim.set_clock(two.ann, offset);
        two.sim.run_for(MINUTE);
        let eve = Eve::dial(&mut two.sim, two.ann);
        eve.say(&mut two.sim, &Record::Ack(vec![secret]));
        two.sim.run_for(SECOND);
        two.sim.cut(eve.wire);
        assert!(!two.ann_store.bundle_ids().contains(&id));
        two.sim.set_clock(two.ann, 0);
        two.sim.kill(two.ann);
        two.sim.revive(two.ann);
        two.sim.mend(two.wire);
        two.sim.run_for(MINUTE);
        assert!(!two.ben_store.bundle_ids().contains(&id), "the clock was {offset} ms off");
    }
}

#[test]
fn sim_a_carrier_whose_clock_says_2100_carries() {
    with_clock(|three| three.sim.set_clock(three.bob, TO_2100));
}

#[test]
fn sim_a_carrier_that_is_a_year_ahead_refuses_and_the_sender_says_so() {
    let mut three = Three::new(seed());
    let [ann, carol] = [three.ann, three.carol];
    three.sim.set_clock(three.bob, YEAR);
    three.write(ann, 5);
    three.meet(three.near, 10 * MINUTE);
    let sent = three.sent(ann);
    let claims = sent.iter().all(|message| (message.state == MessageState::Queued) == (message.handed_strangers == 0));
    assert!(claims, "carried is what is held: {sent:?}");
    // Its clock is set right; it takes the same mail.
    three.sim.set_clock(three.bob, 0);
    three.sim.kill(three.bob);
    three.sim.revive(three.bob);
    three.sim.run_for(26 * HOUR);
    three.round();
    three.round();
    three.expect_all(ann, 5);
    assert_eq!(three.got(carol).len(), 5);
}

#[test]
fn sim_strangers_with_a_wrong_clock_move_none_and_expire_nothing() {
    let mut three = Three::new(seed());
    three.write(three.ann, 5);
    three.meet(three.near, 5 * SECOND);
    let carried = three.bob_store.bundle_ids();
    for round in 0..20 {
        let (liar, _) = three.sim.node("liar");
        three.sim.set_clock(liar, if round % 2 == 0 { YEAR } else { TO_2100 });
        let wire = three.sim.connect(liar, three.bob, Faults::NONE);
        three.sim.run_for(5 * SECOND);
        three.sim.cut(wire);
        three.sim.run_for(7 * HOUR);
    }
    assert!(carried.iter().all(|id| three.bob_store.bundle_ids().contains(id)));
    three.round();
    three.expect_all(three.ann, 5);
}

#[test]
fn sim_a_contact_whose_clock_says_2100_gets_mail_and_its_own_crosses() {
    let mut three = Three::new(seed());
    three.sim.set_clock(three.carol, TO_2100);
    let [ann, carol] = [three.ann, three.carol];
    three.write(ann, 5);
    three.round();
    // She seals nothing for carriers without an hour; but in time she tells acks, which none but the reader can.
    three.sim.run_for(5 * HOUR);
    three.round();
    three.expect_all(ann, 5);
    // What she writes waits, and says so, until her clock is right.
    three.write(carol, 2);
    three.round();
    let states: Vec<MessageState> = three.sent(carol).iter().map(|message| message.state).collect();
    assert_eq!(three.got(ann).len(), states.iter().filter(|state| **state >= MessageState::Delivered).count(), "{states:?}");
    three.sim.set_clock(carol, 0);
    three.sim.run_for(26 * HOUR);
    three.round();
    three.round();
    three.expect_all(carol, 2);
}

/// Stops a node and starts it with a copy of a store, marked as a restored backup.
fn restore(sim: &mut Sim, node: NodeId, backup: &MemoryStore) {
    let mut store = backup.clone();
    store.reopen();
    store.begin().unwrap();
    store.save_setting(Setting::Restored, &[1]).unwrap();
    store.commit().unwrap();
    sim.restore(node, &store);
}

#[test]
fn sim_a_restored_backup_is_repaired_through_a_carrier() {
    let mut three = Three::new(seed());
    let [ann, carol] = [three.ann, three.carol];
    let backup = three.carol_store.clone();
    for index in 0..4 {
        three.sim.send(ann, "carol", &format!("ann before {index}"));
        three.sim.send(carol, "ann", &format!("carol before {index}"));
        three.round();
    }
    restore(&mut three.sim, carol, &backup);
    three.sim.take_events(ann);
    three.sim.take_events(carol);
    three.sim.send(ann, "carol", "ann after");
    three.sim.send(carol, "ann", "carol after");
    for _ in 0..6 {
        three.round();
        three.sim.run_for(6 * HOUR);
    }
    for node in [ann, carol] {
        let repaired =
            three.sim.take_events(node).iter().filter(|event| matches!(event, Event::Notice { kind, .. } if kind == "repaired")).count();
        assert_eq!(repaired, 1, "both are told, once");
    }
    assert!(three.got(carol).contains(&"ann after".to_owned()), "{:?}", three.got(carol));
    assert!(three.got(ann).contains(&"carol after".to_owned()), "{:?}", three.got(ann));
    for node in [ann, carol] {
        let got = three.got(node);
        assert_eq!(got.len(), got.iter().collect::<BTreeSet<_>>().len(), "nothing comes twice");
        let late = three.sent(node).into_iter().filter(|message| message.text.contains("after") && message.state < MessageState::Delivered);
        assert_eq!(late.count(), 0);
    }
}

/// People who have never met, and Bob between them.
struct Scattered {
    sim: Sim,
    nodes: Vec<NodeId>,
    wires: Vec<WireId>,
}

fn scattered(seed: u64, names: &[&str]) -> Scattered {
    let mut sim = Sim::new(seed);
    let (bob, _) = sim.node("bob");
    let nodes: Vec<NodeId> = names.iter().map(|name| sim.node(name).0).collect();
    let wires = nodes
        .iter()
        .map(|node| {
            let wire = sim.connect(*node, bob, Faults::NONE);
            sim.cut(wire);
            wire
        })
        .collect();
    Scattered { sim, nodes, wires }
}

impl Scattered {
    /// Bob goes from one to the next.
    fn tour(&mut self, order: &[usize]) {
        for &index in order {
            self.sim.mend(self.wires[index]);
            self.sim.run_for(10 * SECOND);
            self.sim.cut(self.wires[index]);
            self.sim.run_for(6 * MINUTE);
        }
    }
}

#[test]
fn sim_contacts_are_made_through_a_stranger() {
    let mut all = scattered(seed(), &["ann", "carol"]);
    let [ann, carol] = [all.nodes[0], all.nodes[1]];
    let link = invite(&mut all.sim, ann, 336);
    add(&mut all.sim, carol, &link).unwrap();
    // The reply leaves a while after the request has come.
    all.tour(&[1, 0, 0, 1]);
    assert_eq!(contact_states(&mut all.sim, ann), [ContactState::Established]);
    assert_eq!(contact_states(&mut all.sim, carol), [ContactState::Established]);
    all.sim.send(ann, "carol", "welcome");
    all.sim.send(carol, "ann", "thanks");
    all.tour(&[0, 1, 0]);
    assert_eq!(common::texts(&mut all.sim, carol, "ann"), ["welcome"]);
    assert_eq!(common::texts(&mut all.sim, ann, "carol"), ["thanks"]);
}

#[test]
fn sim_a_link_used_by_two_through_a_carrier_serves_the_first_and_warns_all() {
    for (first, second) in [(1, 2), (2, 1)] {
        let mut all = scattered(seed(), &["ann", "carol", "mallory"]);
        let names = ["ann", "carol", "mallory"];
        let ann = all.nodes[0];
        let link = invite(&mut all.sim, ann, 336);
        add(&mut all.sim, all.nodes[1], &link).unwrap();
        add(&mut all.sim, all.nodes[2], &link).unwrap();
        all.tour(&[first, 0, second, 0, first, 0, second, 0]);
        assert_eq!(contact_states(&mut all.sim, all.nodes[first]), [ContactState::Established], "{} was first", names[first]);
        assert_eq!(contact_states(&mut all.sim, all.nodes[second]), [ContactState::Failed], "{} was second", names[second]);
        assert_eq!(contact_states(&mut all.sim, ann), [ContactState::Established]);
        assert_eq!(contacts(&mut all.sim, ann)[0].own_name.as_deref(), Some(names[first]));
        assert!(notices(&mut all.sim, ann).contains(&"link_reused".into()));
        assert!(notices(&mut all.sim, all.nodes[second]).contains(&"link_reused".into()));
    }
}

#[test]
fn sim_a_request_that_a_carrier_loses_is_made_again() {
    let mut all = scattered(seed(), &["ann", "carol"]);
    let [ann, carol] = [all.nodes[0], all.nodes[1]];
    let link = invite(&mut all.sim, ann, 336);
    add(&mut all.sim, carol, &link).unwrap();
    let liar = Eve::dialled(&mut all.sim, carol);
    assert!(!liar.collect(&mut all.sim, 10 * SECOND).is_empty(), "she takes the request with her");
    all.sim.cut(liar.wire);
    all.sim.run_for(2 * DAY);
    all.tour(&[1, 0, 1]);
    assert_eq!(contact_states(&mut all.sim, carol), [ContactState::Established]);
}
