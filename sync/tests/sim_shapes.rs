//! What an observer of lengths and times sees of a session in contacts-only mode: nothing by which two contacts differ from strangers,
//! while there is nothing to exchange (docs/protocol.md, sections 4 and 6.4).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test: what fails ends it")]

mod common;

use std::time::Duration;

use common::{HOUR, MINUTE, SECOND, Two, in_reach, seed};
use hedgerow_sync::{
    sim::{Faults, NodeId, Sim, WireId},
    view::{Command, Mode},
};

/// One message as an observer sees it: since the session began, whether by the side that dialled, its length.
type Shape = Vec<(Duration, bool, usize)>;

/// Renews the session of two nodes and notes what crosses in half a minute.
fn renewed(two: &mut Two) -> Shape {
    observe(&mut two.sim, two.wire, |sim, wire| {
        sim.cut(wire);
        sim.mend(wire);
    })
}

fn observe(sim: &mut Sim, wire: WireId, begin: impl FnOnce(&mut Sim, WireId)) -> Shape {
    begin(sim, wire);
    sim.take_crossings();
    sim.run_for(30 * SECOND);
    let crossings: Vec<_> = sim.take_crossings().into_iter().filter(|crossing| crossing.wire == wire).collect();
    let first = *crossings.first().expect("a session begins");
    crossings.iter().map(|crossing| (crossing.at - first.at, crossing.from == first.from, crossing.length)).collect()
}

fn contacts_only(two: &mut Two) {
    for node in [two.ann, two.ben] {
        two.sim.tell(node, Command::SetMode { mode: Mode::Contacts });
    }
}

/// Two strangers in contacts-only mode, as the observer sees them on such a wire.
fn strangers(seed: u64, faults: Faults) -> Shape {
    let mut two = Two::strangers(seed, faults);
    contacts_only(&mut two);
    two.sim.run_for(MINUTE);
    renewed(&mut two)
}

/// Two contacts that have written to each other and have nothing left to say.
fn settled_contacts(seed: u64, faults: Faults) -> Two {
    let mut two = Two::contacts_over(seed, faults);
    contacts_only(&mut two);
    two.write(two.ann, 3);
    two.write(two.ben, 2);
    two.sim.run_for(12 * HOUR);
    two.expect_all(two.ann, 3);
    two
}

#[test]
fn sim_an_idle_session_of_contacts_looks_like_one_of_strangers() {
    for seed in seed()..seed() + 4 {
        let expected = strangers(seed, Faults::NONE);
        assert!(expected.iter().any(|(at, ..)| *at > 20 * SECOND), "a sign of life is in it: {expected:?}");
        assert_eq!(strangers(seed + 100, Faults::NONE), expected, "strangers look alike");
        let mut two = settled_contacts(seed, Faults::NONE);
        // Often enough to meet the one session in sixteen that would compare what fits.
        for session in 0..40 {
            assert_eq!(renewed(&mut two), expected, "seed {seed}, session {session}");
            assert!(in_reach(&mut two.sim, two.ann, "ben"), "they do recognise each other");
        }
        // Nor after a restart of either.
        for node in [two.ann, two.ben] {
            two.sim.kill(node);
            two.sim.revive(node);
            two.sim.run_for(2 * MINUTE);
            assert_eq!(renewed(&mut two), expected, "seed {seed}, after a restart");
        }
        // And what is written still crosses at once.
        two.write(two.ann, 1);
        two.sim.run_for(SECOND);
        assert_eq!(common::texts(&mut two.sim, two.ben, "ann").len(), 4);
    }
}

#[test]
fn sim_a_raw_relay_between_two_contacts_sees_what_it_sees_between_strangers() {
    // Whoever hands bytes on between two nodes sees lengths and times, those of a longer wire.
    let relayed = Faults { delay: Duration::from_millis(180), rate: 20_000, ..Faults::NONE };
    for seed in seed()..seed() + 3 {
        let expected = strangers(seed, relayed);
        let mut two = settled_contacts(seed, relayed);
        for session in 0..20 {
            assert_eq!(renewed(&mut two), expected, "seed {seed}, session {session}");
        }
    }
}

#[test]
fn sim_visible_contacts_and_visible_strangers_look_alike() {
    let seed = seed();
    let mut two = Two::strangers(seed, Faults::NONE);
    contacts_only(&mut two);
    two.sim.tell(two.ann, Command::SetVisible { visible: true });
    two.sim.run_for(MINUTE);
    let expected = renewed(&mut two);
    let mut two = settled_contacts(seed, Faults::NONE);
    two.sim.tell(two.ann, Command::SetVisible { visible: true });
    assert_eq!(renewed(&mut two), expected);
    assert_ne!(expected, strangers(seed, Faults::NONE), "a name is seen to be told");
}

/// Idle strangers with links to a node, which they dialled.
fn crowd_at(sim: &mut Sim, node: NodeId, count: usize) -> Vec<WireId> {
    let dial = |sim: &mut Sim| {
        let eve = sim.stranger("eve");
        let wire = sim.connect(eve, node, Faults::NONE);
        sim.keep_down(wire);
        wire
    };
    // A few at a time: of those that are being recognised there may be no more.
    let few = |sim: &mut Sim, from: usize| -> Vec<WireId> {
        let wires = (from..count.min(from + 12)).map(|_| dial(sim)).collect();
        sim.run_for(SECOND);
        wires
    };
    (0..count).step_by(12).flat_map(|from| few(sim, from)).collect()
}

#[test]
fn sim_who_fills_the_places_of_strangers_does_not_see_who_is_a_contact() {
    for seed in seed()..seed() + 4 {
        let expected = strangers(seed, Faults::NONE);
        // More than there are places, and as many as the local network lets in.
        for count in [4, 14, 23] {
            let mut two = Two::strangers(seed, Faults::NONE);
            contacts_only(&mut two);
            two.sim.run_for(MINUTE);
            let eves = crowd_at(&mut two.sim, two.ben, count);
            assert!(eves.iter().all(|wire| two.sim.is_up(*wire)));
            assert_eq!(renewed(&mut two), expected, "seed {seed}: a stranger among {count}");
            let mut two = settled_contacts(seed, Faults::NONE);
            crowd_at(&mut two.sim, two.ben, count);
            assert_eq!(renewed(&mut two), expected, "seed {seed}: a contact among {count}");
        }
    }
}

#[test]
fn sim_strangers_without_a_place_are_bounded_and_the_oldest_goes() {
    let mut two = Two::strangers(seed(), Faults::NONE);
    contacts_only(&mut two);
    two.sim.run_for(2 * SECOND);
    two.sim.cut(two.wire);
    two.sim.keep_down(two.wire);
    let first = crowd_at(&mut two.sim, two.ann, 1)[0];
    let others = crowd_at(&mut two.sim, two.ann, 35);
    assert!(two.sim.is_up(first));
    let last = crowd_at(&mut two.sim, two.ann, 1)[0];
    assert!(!two.sim.is_up(first));
    assert!(two.sim.is_up(last) && others.iter().all(|wire| two.sim.is_up(*wire)));
}

#[test]
fn sim_no_decision_ends_the_links_of_strangers_alone() {
    /// Ann's links to a contact and to a stranger: whether each is the same after this.
    fn renews(two: &mut Two, other: WireId, command: Command) -> [bool; 2] {
        let links = |two: &Two| [two.wire, other].map(|wire| two.sim.link_of(wire, two.ann));
        let before = links(two);
        assert!(before.iter().all(Option::is_some), "both are up");
        two.sim.tell(two.ann, command);
        two.sim.run_for(4 * SECOND);
        let after = links(two);
        [0, 1].map(|wire| before[wire] != after[wire])
    }
    let mut two = Two::contacts(seed());
    let (cat, dan) = (two.sim.node("cat").0, two.sim.node("dan").0);
    let other = two.sim.connect(two.ann, cat, Faults::NONE);
    two.sim.run_for(2 * SECOND);
    let mode = |mode| Command::SetMode { mode };
    assert_eq!(renews(&mut two, other, mode(Mode::Contacts)), [true, true]);
    let link = common::invite(&mut two.sim, dan, 24);
    assert_eq!(renews(&mut two, other, Command::AddContact { link, alias: None, message: None }), [true, true]);
    assert_eq!(renews(&mut two, other, mode(Mode::Mesh)), [true, true]);
    // Here strangers are shown what is carried: their sessions differ from contacts' anyway.
    let link = common::invite(&mut two.sim, dan, 24);
    assert_eq!(renews(&mut two, other, Command::AddContact { link, alias: None, message: None }), [false, true]);
}

#[test]
fn sim_an_unrecognised_session_ends_by_itself_and_a_contacts_lives_on() {
    for seed in seed()..seed() + 6 {
        let mut two = Two::strangers(seed, Faults::NONE);
        contacts_only(&mut two);
        two.sim.run_for(MINUTE);
        two.sim.cut(two.wire);
        two.sim.mend(two.wire);
        two.sim.keep_down(two.wire);
        let heard = common::listen(&mut two.sim);
        two.sim.run_for(30 * SECOND);
        assert!(two.sim.is_up(two.wire), "seed {seed}: not before half a minute");
        two.sim.run_for(31 * SECOND);
        assert!(!two.sim.is_up(two.wire), "seed {seed}: not after a minute");
        let last = heard.borrow().last().cloned().unwrap().1;
        assert_eq!(last, [0x0f, 1], "it ends with BYE, closing");

        let mut two = settled_contacts(seed, Faults::NONE);
        let link = two.sim.link_of(two.wire, two.ann);
        two.sim.run_for(HOUR);
        assert_eq!(two.sim.link_of(two.wire, two.ann), link);
    }
    // Strangers who carry for each other stay.
    let mut two = Two::strangers(seed(), Faults::NONE);
    two.sim.run_for(SECOND);
    let link = two.sim.link_of(two.wire, two.ann);
    two.sim.run_for(HOUR);
    assert_eq!(two.sim.link_of(two.wire, two.ann), link);
}
