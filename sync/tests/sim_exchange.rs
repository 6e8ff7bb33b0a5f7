//! The contact exchange under attack and on bad luck: links used twice, expired, guessed, and cuts at every message.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test: what fails ends it")]

mod common;

use common::{DAY, HOUR, MINUTE, SECOND, Two, add, add_with, contact_states, contacts, invite, notices, seed, states, texts};
use hedgerow_sync::{
    sim::{Faults, Sim},
    view::{Command, CommandError, ContactState, MessageState},
};

#[test]
fn sim_a_link_used_by_two_serves_the_first_and_warns() {
    let mut sim = Sim::new(seed());
    let ((ann, _), (ben, _), (eve, _)) = (sim.node("ann"), sim.node("ben"), sim.node("eve"));
    let link = invite(&mut sim, ann, 24);
    add(&mut sim, ben, &link).unwrap();
    add(&mut sim, eve, &link).unwrap();
    let wire = sim.connect(ann, ben, Faults::NONE);
    sim.run_for(5 * SECOND);
    assert_eq!(contact_states(&mut sim, ben), [ContactState::Established]);
    sim.connect(ann, eve, Faults::NONE);
    sim.run_for(MINUTE);
    assert_eq!(contact_states(&mut sim, eve), [ContactState::Failed]);
    assert!(notices(&mut sim, eve).contains(&"link_reused".into()));
    assert!(notices(&mut sim, ann).contains(&"link_reused".into()));
    assert_eq!(contact_states(&mut sim, ann), [ContactState::Established]);
    assert_eq!(contacts(&mut sim, ann)[0].own_name.as_deref(), Some("ben"));
    assert!(sim.is_up(wire));
}

#[test]
fn sim_a_second_user_before_the_first_is_met_is_refused_and_both_are_warned() {
    let mut sim = Sim::new(seed());
    let ((ann, _), (ben, _), (eve, _)) = (sim.node("ann"), sim.node("ben"), sim.node("eve"));
    let link = invite(&mut sim, ann, 24);
    add(&mut sim, ben, &link).unwrap();
    add(&mut sim, eve, &link).unwrap();
    // The reply to Ben is lost: Ann has accepted him and does not know that he knows.
    let wire = sim.connect(ann, ben, Faults::NONE);
    sim.on_transmit(move |node, _, record| !(node == ann && record[0] == 5));
    sim.run_for(5 * SECOND);
    sim.cut(wire);
    sim.transmit_all();
    assert_eq!(contact_states(&mut sim, ben), [ContactState::Pending]);
    let other = sim.connect(ann, eve, Faults::NONE);
    sim.run_for(5 * SECOND);
    assert_eq!(contact_states(&mut sim, eve), [ContactState::Failed]);
    assert!(notices(&mut sim, eve).contains(&"link_reused".into()));
    assert!(notices(&mut sim, ann).contains(&"link_reused".into()));
    sim.cut(other);
    sim.mend(wire);
    sim.run_for(5 * SECOND);
    assert_eq!(contact_states(&mut sim, ben), [ContactState::Established]);
    sim.send(ben, "ann", "hello");
    sim.run_for(5 * SECOND);
    assert_eq!(common::texts(&mut sim, ann, "ben"), ["hello"]);
}

#[test]
fn sim_two_users_at_the_same_time_end_with_one_contact() {
    for seed in seed()..seed() + 6 {
        let mut sim = Sim::new(seed);
        let ((ann, _), (ben, _), (eve, _)) = (sim.node("ann"), sim.node("ben"), sim.node("eve"));
        let link = invite(&mut sim, ann, 24);
        add(&mut sim, ben, &link).unwrap();
        add(&mut sim, eve, &link).unwrap();
        for node in [ben, eve] {
            sim.connect(ann, node, Faults::NONE);
        }
        sim.run_for(MINUTE);
        let mut states = [contact_states(&mut sim, ben)[0], contact_states(&mut sim, eve)[0]];
        states.sort_by_key(|state| *state != ContactState::Established);
        assert_eq!(states[0], ContactState::Established, "seed {seed}");
        assert_eq!(states[1], ContactState::Failed, "seed {seed}");
        assert!(notices(&mut sim, ann).contains(&"link_reused".into()));
        assert_eq!(contact_states(&mut sim, ann), [ContactState::Established], "seed {seed}");
    }
}

#[test]
fn sim_an_expired_link_makes_no_contact() {
    let mut two = Two::strangers(seed(), Faults::NONE);
    let link = invite(&mut two.sim, two.ann, 2);
    two.sim.cut(two.wire);
    add(&mut two.sim, two.ben, &link).unwrap();
    two.sim.run_for(15 * DAY); // the clock has settled, and no answer can be under way any more
    two.sim.mend(two.wire);
    two.sim.run_for(MINUTE);
    assert_eq!(contact_states(&mut two.sim, two.ann), [ContactState::Failed]);
    assert_eq!(contact_states(&mut two.sim, two.ben), [ContactState::Failed]);
    assert!(matches!(add(&mut two.sim, two.ben, &link), Err(CommandError::Link(_))));
}

#[test]
fn sim_a_request_that_comes_after_its_link_expired_is_not_answered() {
    let mut two = Two::strangers(seed(), Faults::NONE);
    let link = invite(&mut two.sim, two.ann, 2);
    two.sim.cut(two.wire);
    add(&mut two.sim, two.ben, &link).unwrap();
    two.sim.run_for(HOUR);
    // Ben's clock says that there is time; the issuer's counts.
    two.sim.set_clock(two.ben, -(6 * 3_600_000));
    two.sim.run_for(2 * HOUR + MINUTE);
    two.sim.mend(two.wire);
    two.sim.run_for(MINUTE);
    assert_ne!(contact_states(&mut two.sim, two.ann), [ContactState::Established]);
    assert_ne!(contact_states(&mut two.sim, two.ben), [ContactState::Established]);
}

#[test]
fn sim_a_guessed_link_meets_nobody() {
    let mut sim = Sim::new(seed());
    let ((ann, _), (eve, _), (other, _)) = (sim.node("ann"), sim.node("eve"), sim.node("other"));
    invite(&mut sim, ann, 24);
    let guess = invite(&mut sim, other, 24);
    add(&mut sim, eve, &guess).unwrap();
    sim.connect(eve, ann, Faults::NONE);
    sim.run_for(MINUTE);
    assert_eq!(contact_states(&mut sim, eve), [ContactState::Pending]);
    assert_eq!(contact_states(&mut sim, ann), [ContactState::Invited]);
    let mut damaged = guess.into_bytes();
    damaged[30] = if damaged[30] == b'a' { b'b' } else { b'a' };
    let damaged = String::from_utf8(damaged).unwrap();
    assert!(matches!(add(&mut sim, eve, &damaged), Err(CommandError::Link(_))));
}

#[test]
fn sim_ones_own_link_is_refused_and_a_link_taken_twice_is_one_contact() {
    let mut two = Two::strangers(seed(), Faults::NONE);
    let link = invite(&mut two.sim, two.ann, 24);
    assert!(matches!(add(&mut two.sim, two.ann, &link), Err(CommandError::Link(_))));
    add(&mut two.sim, two.ben, &link).unwrap();
    add(&mut two.sim, two.ben, &link).unwrap();
    assert_eq!(contacts(&mut two.sim, two.ben).len(), 1);
    two.sim.run_for(5 * SECOND);
    assert_eq!(contact_states(&mut two.sim, two.ben), [ContactState::Established]);
}

#[test]
fn sim_a_link_taken_up_again_is_the_contact_that_it_led_to() {
    let mut two = Two::strangers(seed(), Faults::NONE);
    let link = invite(&mut two.sim, two.ann, 336);
    let first = add_with(&mut two.sim, two.ben, &link, "ben 0");
    two.sim.run_for(MINUTE);
    for days in [0, 1, 20] {
        two.sim.run_for(days * DAY);
        two.sim.kill(two.ben);
        two.sim.revive(two.ben);
        let again = add_with(&mut two.sim, two.ben, &link, "ben 0");
        assert_eq!((again.contact, again.message, again.state), (first.contact, first.message, ContactState::Established));
        two.sim.cut(two.wire);
        two.sim.mend(two.wire);
        two.sim.run_for(MINUTE);
        for (node, _) in two.sides() {
            assert_eq!(contact_states(&mut two.sim, node), [ContactState::Established]);
            assert!(!notices(&mut two.sim, node).contains(&"link_reused".into()));
        }
    }
    two.sim.run_for(60 * DAY);
    assert!(matches!(add(&mut two.sim, two.ben, &link), Err(CommandError::Link(_))), "forgotten by then");
}

#[test]
fn sim_a_link_taken_up_again_leads_to_the_contact_of_a_later_link() {
    let mut two = Two::strangers(seed(), Faults::NONE);
    let old = invite(&mut two.sim, two.ann, 336);
    add(&mut two.sim, two.ben, &old).unwrap();
    two.sim.run_for(MINUTE);
    let new = invite(&mut two.sim, two.ann, 336);
    let renewed = add_with(&mut two.sim, two.ben, &new, "ben 0").contact;
    two.sim.cut(two.wire);
    two.sim.mend(two.wire);
    two.sim.run_for(MINUTE);
    for link in [&old, &new] {
        assert_eq!(add_with(&mut two.sim, two.ben, link, "ben 0").contact, renewed);
    }
    assert_eq!(contact_states(&mut two.sim, two.ben), [ContactState::Established]);
}

#[test]
fn sim_who_removes_a_contact_and_uses_its_link_again_is_nobody_else() {
    let mut two = Two::strangers(seed(), Faults::NONE);
    let link = invite(&mut two.sim, two.ann, 336);
    add(&mut two.sim, two.ben, &link).unwrap();
    two.sim.run_for(MINUTE);
    two.sim.tell(two.ben, Command::RemoveContact { contact: "ann".into() });
    add(&mut two.sim, two.ben, &link).unwrap();
    two.sim.cut(two.wire);
    two.sim.mend(two.wire);
    two.sim.run_for(MINUTE);
    assert_eq!(contact_states(&mut two.sim, two.ben), [ContactState::Failed]);
    assert!(!notices(&mut two.sim, two.ann).contains(&"link_reused".into()));
}

#[test]
fn sim_a_blocked_contact_stays_blocked_whatever_link_is_used() {
    for blocker_invites in [true, false] {
        let mut two = Two::contacts(seed());
        two.sim.tell(two.ann, Command::BlockContact { contact: "ben".into(), blocked: true });
        let (issuer, invitee) = if blocker_invites { (two.ann, two.ben) } else { (two.ben, two.ann) };
        let link = invite(&mut two.sim, issuer, 336);
        add(&mut two.sim, invitee, &link).unwrap();
        two.sim.cut(two.wire);
        two.sim.mend(two.wire);
        two.sim.run_for(MINUTE);
        two.sim.send(two.ben, "ann", "let me in");
        for _ in 0..2 {
            two.sim.cut(two.wire);
            two.sim.mend(two.wire);
            two.sim.run_for(HOUR);
        }
        let known = contacts(&mut two.sim, two.ann);
        let known: Vec<_> = known.iter().map(|contact| (contact.name.as_deref(), contact.state, contact.in_reach)).collect();
        assert!(known.contains(&(Some("ben"), ContactState::Blocked, false)), "{known:?}");
        assert!(known.iter().all(|(_, state, _)| *state != ContactState::Established), "{known:?}");
        assert_eq!(texts(&mut two.sim, two.ann, "ben"), Vec::<String>::new());
        // What was agreed on meanwhile is of use once the contact is unblocked.
        two.sim.tell(two.ann, Command::BlockContact { contact: "ben".into(), blocked: false });
        for _ in 0..2 {
            two.sim.cut(two.wire);
            two.sim.mend(two.wire);
            two.sim.run_for(HOUR);
        }
        assert_eq!(texts(&mut two.sim, two.ann, "ben"), ["let me in"], "blocker invites: {blocker_invites}");
    }
}

#[test]
fn sim_the_same_person_twice_stays_one_contact() {
    let mut two = Two::contacts(seed());
    two.sim.introduce(two.ann, two.ben);
    two.sim.introduce(two.ben, two.ann);
    two.sim.run_for(MINUTE);
    for _ in 0..2 {
        two.sim.cut(two.wire);
        two.sim.mend(two.wire);
        two.sim.run_for(MINUTE);
    }
    for (node, other) in two.sides() {
        let known = contacts(&mut two.sim, node);
        let established = known.iter().filter(|contact| contact.state == ContactState::Established);
        assert_eq!(established.map(|contact| contact.name.as_deref()).collect::<Vec<_>>(), [Some(other)]);
    }
    two.write(two.ann, 3);
    two.write(two.ben, 3);
    two.sim.run_for(5 * SECOND);
    two.expect_all(two.ann, 3);
    two.expect_all(two.ben, 3);
}

#[test]
fn sim_both_make_a_link_for_the_other() {
    let mut two = Two::strangers(seed(), Faults::NONE);
    two.sim.introduce(two.ann, two.ben);
    two.sim.introduce(two.ben, two.ann);
    two.sim.run_for(MINUTE);
    two.sim.cut(two.wire);
    two.sim.mend(two.wire);
    two.sim.run_for(MINUTE);
    let established = |states: Vec<ContactState>| states.iter().filter(|state| **state == ContactState::Established).count();
    assert_eq!(established(contact_states(&mut two.sim, two.ann)), 1);
    assert_eq!(established(contact_states(&mut two.sim, two.ben)), 1);
}

#[test]
fn sim_an_exchange_cut_at_any_message_is_finished_later() {
    for cut in 0..24 {
        let mut two = Two::strangers(seed(), Faults::NONE);
        two.sim.cut(two.wire);
        two.sim.introduce(two.ann, two.ben);
        two.sim.send(two.ann, "1", "ann 0");
        two.sim.send(two.ben, "1", "ben 0");
        two.sim.mend(two.wire);
        two.sim.cut_after_messages(two.wire, cut);
        two.sim.run_for(10 * SECOND);
        for (node, _) in two.sides() {
            assert_eq!(contact_states(&mut two.sim, node), [ContactState::Established], "cut at {cut}");
        }
        two.expect_all(two.ann, 1);
        two.expect_all(two.ben, 1);
    }
}

#[test]
fn sim_an_exchange_cut_twice_with_restarts_is_finished_later() {
    for cut in 4..16 {
        let mut two = Two::strangers(seed(), Faults::NONE);
        two.sim.cut(two.wire);
        two.sim.introduce(two.ann, two.ben);
        two.sim.mend(two.wire);
        for again in [0, 3] {
            two.sim.cut_after_messages(two.wire, cut + again);
            two.sim.run_for(SECOND / 2);
            two.sim.kill(two.ben);
            two.sim.kill(two.ann);
            two.sim.revive(two.ann);
            two.sim.revive(two.ben);
        }
        two.sim.run_for(10 * SECOND);
        two.write(two.ann, 2);
        two.write(two.ben, 2);
        two.sim.run_for(10 * SECOND);
        two.expect_all(two.ann, 2);
        two.expect_all(two.ben, 2);
    }
}

#[test]
fn sim_an_unanswered_request_is_sealed_again_and_ends_with_its_link() {
    let mut two = Two::strangers(seed(), Faults::NONE);
    two.sim.cut(two.wire);
    two.sim.introduce(two.ann, two.ben);
    two.sim.run_for(4 * DAY);
    assert_eq!(contact_states(&mut two.sim, two.ben), [ContactState::Pending]);
    two.sim.mend(two.wire);
    two.sim.run_for(MINUTE);
    assert_eq!(contact_states(&mut two.sim, two.ben), [ContactState::Established]);
    assert_eq!(contact_states(&mut two.sim, two.ann), [ContactState::Established]);
}

#[test]
fn sim_a_first_word_rides_on_the_request() {
    let mut two = Two::strangers(seed(), Faults::NONE);
    let link = invite(&mut two.sim, two.ann, 336);
    let ann = two.ann;
    two.sim.on_transmit(move |node, _, record| !(node == ann && record[0] == 5)); // no reply arrives
    let added = add_with(&mut two.sim, two.ben, &link, "ben 0");
    two.sim.run_for(MINUTE);
    assert_eq!(texts(&mut two.sim, two.ann, "ben"), ["ben 0"], "there before Ben knows of it");
    assert_eq!(contact_states(&mut two.sim, two.ben), [ContactState::Pending]);
    let again = add_with(&mut two.sim, two.ben, &link, "ben 0");
    assert_eq!((again.contact, again.message), (added.contact, added.message), "a repetition does nothing more");
    assert!(added.message.is_some());
    let ridden = two.sim.messages(two.ben, "1").remove(0);
    assert_eq!((ridden.state, ridden.handed_contacts, ridden.handed_strangers), (MessageState::Carried, 1, 0), "nothing has confirmed it");
    two.sim.transmit_all();
    two.sim.cut(two.wire);
    two.sim.mend(two.wire);
    two.sim.run_for(MINUTE);
    two.expect_all(two.ben, 1);
    assert_eq!(two.sim.messages(two.ann, "ben")[0].id, added.message.unwrap());
}

/// How often a node has asked for its only contact.
fn tries(two: &mut Two) -> u8 {
    contacts(&mut two.sim, two.ben)[0].tries.unwrap_or_default()
}

#[test]
fn sim_later_texts_ride_on_further_tries_until_five_are_spent() {
    let mut two = Two::strangers(seed(), Faults::NONE);
    two.sim.cut(two.wire);
    two.sim.introduce(two.ann, two.ben);
    two.sim.run_for(MINUTE);
    two.sim.send(two.ben, "1", "ben 0");
    two.sim.run_for(MINUTE);
    assert_eq!(tries(&mut two), 1, "too soon after the first");
    two.sim.run_for(HOUR);
    assert_eq!(tries(&mut two), 2, "it did not have to wait for the next retry");
    two.sim.send(two.ben, "1", &"x".repeat(2000));
    assert_eq!(tries(&mut two), 2, "too long to ride");
    for number in 1..8 {
        two.sim.run_for(20 * MINUTE);
        two.sim.send(two.ben, "1", &format!("ben {number}"));
    }
    assert_eq!(tries(&mut two), 5, "the rest is for the time that the link lasts");
    let ann = two.ann;
    two.sim.on_transmit(move |node, _, record| !(node == ann && record[0] == 5));
    two.sim.mend(two.wire);
    two.sim.run_for(MINUTE);
    let ridden = texts(&mut two.sim, two.ann, "ben");
    assert_eq!(ridden, ["ben 0", "ben 1", "ben 2", "ben 3"], "all that was on the last try, in order");
    two.sim.transmit_all();
    two.sim.cut(two.wire);
    two.sim.mend(two.wire);
    two.sim.run_for(MINUTE);
    assert_eq!(texts(&mut two.sim, two.ann, "ben").len(), 9, "each once");
    assert!(states(&mut two.sim, two.ben, "ann").iter().all(|state| *state == MessageState::Delivered));
}

#[test]
fn sim_what_was_written_to_a_lost_link_says_why() {
    let mut sim = Sim::new(seed());
    let ((ann, _), (ben, _), (eve, _)) = (sim.node("ann"), sim.node("ben"), sim.node("eve"));
    let link = invite(&mut sim, ann, 24);
    add(&mut sim, ben, &link).unwrap();
    add_with(&mut sim, eve, &link, "I am ben");
    sim.connect(ann, ben, Faults::NONE);
    sim.run_for(5 * SECOND);
    sim.connect(ann, eve, Faults::NONE);
    sim.run_for(MINUTE);
    assert_eq!(texts(&mut sim, ann, "ben"), Vec::<String>::new());
    let message = sim.messages(eve, "1").remove(0);
    assert_eq!(message.state, MessageState::Failed);
    assert!(message.why.unwrap().contains("used by somebody else"));
}

#[test]
fn sim_a_request_is_tried_as_long_as_its_link_lasts() {
    for (hours, most) in [(336, 11), (720, 16)] {
        let mut two = Two::strangers(seed(), Faults::NONE);
        two.sim.cut(two.wire);
        let link = invite(&mut two.sim, two.ann, hours);
        add(&mut two.sim, two.ben, &link).unwrap();
        two.sim.run_for(HOUR * (hours - 1));
        assert_eq!(tries(&mut two), most);
        two.sim.mend(two.wire);
        two.sim.run_for(MINUTE);
        assert_eq!(contact_states(&mut two.sim, two.ben), [ContactState::Established], "{hours} h");
    }
}
