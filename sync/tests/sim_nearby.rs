//! People in one room become contacts: by choosing each other and comparing words, whatever breaks meanwhile.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test: what fails ends it")]

mod common;

use common::{
    HOUR, MINUTE, SECOND, Two, contacts, in_reach_any,
    nearby::{Guest, choose, close, confirm, is_settled, list, only, only_contact, open, state},
    notices, seed, texts,
};
use hedgerow_sync::{
    engine::EngineConfig,
    sim::{Faults, NodeId, Sim},
    store::memory::MemoryStore,
    view::{Answer, Command, Contact, ContactState, Event, Mode, NearbyState},
    wire::nearby::Step,
};

fn open_both(two: &mut Two) {
    open(&mut two.sim, two.ann);
    open(&mut two.sim, two.ben);
    two.sim.run_for(SECOND);
}

fn choose_both(two: &mut Two) {
    for (node, other) in two.sides() {
        choose(&mut two.sim, node, other).unwrap();
    }
    two.sim.run_for(SECOND);
}

/// Both say that the words are the same; nothing has crossed yet.
fn confirm_both(two: &mut Two) {
    for (node, other) in two.sides() {
        confirm(&mut two.sim, node, other, true).unwrap();
    }
}

/// Two strangers on a wire, whose windows are open; Ann has dialled.
fn met() -> Two {
    let mut two = Two::strangers(seed(), Faults::NONE);
    two.sim.run_for(SECOND);
    open_both(&mut two);
    two
}

/// The same, who have chosen each other and see words.
fn comparing() -> Two {
    let mut two = met();
    choose_both(&mut two);
    two
}

fn both_states(two: &mut Two) -> [NearbyState; 2] {
    [state(&mut two.sim, two.ann), state(&mut two.sim, two.ben)]
}

fn both_settled(two: &mut Two) -> bool {
    is_settled(&mut two.sim, two.ann) && is_settled(&mut two.sim, two.ben)
}

/// Both write, and both have it.
fn talk(two: &mut Two) {
    two.write(two.ann, 2);
    two.write(two.ben, 2);
    two.sim.run_for(5 * SECOND);
    two.expect_all(two.ann, 2);
    two.expect_all(two.ben, 2);
}

#[test]
fn sim_two_people_choose_each_other_compare_and_talk() {
    let mut two = met();
    let peer = only(&mut two.sim, two.ann);
    assert_eq!((peer.name.as_str(), &*peer.transport, peer.state, peer.contact), ("ben", "memory", NearbyState::Seen, None));
    assert_eq!(choose(&mut two.sim, two.ann, "ben").unwrap().state, NearbyState::Chosen);
    two.sim.run_for(SECOND);
    assert_eq!(both_states(&mut two), [NearbyState::Chosen, NearbyState::ChoseUs]);
    let number = only(&mut two.sim, two.ben).peer.to_string();
    choose(&mut two.sim, two.ben, &number).unwrap();
    two.sim.run_for(SECOND);
    assert_eq!(both_states(&mut two), [NearbyState::Comparing; 2]);
    let (at_ann, at_ben) = (only(&mut two.sim, two.ann), only(&mut two.sim, two.ben));
    assert!(at_ann.words == at_ben.words && at_ann.words.as_ref().is_some_and(|words| words.len() == 4), "{:?}", at_ann.words);
    assert!(contacts(&mut two.sim, two.ann).is_empty(), "nothing is kept before a person has said so");

    let confirmed = confirm(&mut two.sim, two.ann, "ben", true).unwrap();
    assert_eq!((confirmed.state, confirmed.words), (NearbyState::Confirmed, at_ann.words));
    two.sim.run_for(SECOND);
    let contact = only_contact(&mut two.sim, two.ann).unwrap();
    assert_eq!((contact.state, contact.verified, confirmed.contact), (ContactState::Pending, true, Some(contact.contact)));
    assert_eq!(state(&mut two.sim, two.ben), NearbyState::Comparing, "it is for each to say");

    assert_eq!(confirm(&mut two.sim, two.ben, "ann", true).unwrap().state, NearbyState::Established);
    two.sim.run_for(SECOND);
    assert_eq!(both_states(&mut two), [NearbyState::Established; 2]);
    assert!(both_settled(&mut two));
    assert!(in_reach_any(&mut two.sim, two.ann) && in_reach_any(&mut two.sim, two.ben), "on the session they have");
    talk(&mut two);
    assert_eq!(list(&mut two.sim, two.ann).mismatches, 0);
    assert_eq!(choose(&mut two.sim, two.ann, "ben").unwrap().state, NearbyState::Established, "there is nothing left to choose");
}

#[test]
fn sim_the_order_of_opening_and_of_choosing_does_not_matter() {
    for (first_opens, first_chooses, together) in [(0, 0, false), (0, 1, false), (1, 0, false), (1, 1, false), (0, 0, true), (1, 1, true)] {
        let mut two = Two::strangers(seed(), Faults::NONE);
        two.sim.run_for(SECOND);
        let sides = two.sides();
        let order = |first: usize| [sides[first], sides[1 - first]];
        for (node, _) in order(first_opens) {
            open(&mut two.sim, node);
            two.sim.run_for(SECOND);
        }
        for (node, other) in order(first_chooses) {
            choose(&mut two.sim, node, other).unwrap();
            if !together {
                two.sim.run_for(SECOND);
            }
        }
        two.sim.run_for(SECOND);
        assert_eq!(both_states(&mut two), [NearbyState::Comparing; 2]);
    }
}

#[test]
fn sim_both_say_so_at_once() {
    let mut two = comparing();
    for (node, other) in two.sides() {
        assert_eq!(confirm(&mut two.sim, node, other, true).unwrap().state, NearbyState::Confirmed);
    }
    two.sim.run_for(SECOND);
    assert!(both_settled(&mut two));
    talk(&mut two);
}

#[test]
fn sim_words_that_differ_end_it_on_both_sides_whoever_says_so_when() {
    for after_the_other in [false, true] {
        let mut two = comparing();
        if after_the_other {
            confirm(&mut two.sim, two.ben, "ann", true).unwrap();
            two.sim.run_for(SECOND);
        }
        assert_eq!(confirm(&mut two.sim, two.ann, "ben", false).unwrap().state, NearbyState::Failed);
        two.sim.run_for(SECOND);
        assert_eq!(both_states(&mut two), [NearbyState::Failed; 2]);
        for (node, other) in two.sides() {
            assert_eq!(list(&mut two.sim, node).mismatches, 1);
            assert!(notices(&mut two.sim, node).contains(&"words_differ".into()), "told at {other}'s peer");
        }
        assert!(only_contact(&mut two.sim, two.ann).is_none());
        let at_ben = only_contact(&mut two.sim, two.ben).map(|contact| (contact.state, contact.verified));
        assert_eq!(at_ben, after_the_other.then_some((ContactState::Failed, false)));
        // They may try again, and nothing of before is in the way.
        choose_both(&mut two);
        confirm_both(&mut two);
        two.sim.run_for(SECOND);
        assert!(both_settled(&mut two), "after_the_other {after_the_other}");
        talk(&mut two);
    }
}

#[test]
fn sim_three_failures_close_the_window() {
    let mut two = comparing();
    for round in 1..=3 {
        confirm(&mut two.sim, two.ann, "ben", false).unwrap();
        two.sim.run_for(SECOND);
        let shown = list(&mut two.sim, two.ann);
        assert_eq!((shown.mismatches, shown.until.is_some()), (round, round < 3));
        if round < 3 {
            choose(&mut two.sim, two.ann, "ben").unwrap();
            choose(&mut two.sim, two.ben, "ann").unwrap();
            two.sim.run_for(SECOND);
        }
    }
    assert!(notices(&mut two.sim, two.ben).contains(&"nearby_closed".into()));
    assert!(choose(&mut two.sim, two.ann, "ben").is_err());
    open(&mut two.sim, two.ann);
    assert_eq!(list(&mut two.sim, two.ann).mismatches, 3, "counted since the profile was opened");
}

#[test]
fn sim_the_window_lasts_two_minutes_and_can_be_prolonged_and_closed() {
    let mut two = met();
    two.sim.run_for(90 * SECOND);
    assert_eq!(list(&mut two.sim, two.ben).peers.len(), 1);
    open(&mut two.sim, two.ann);
    two.sim.run_for(60 * SECOND);
    assert_eq!(list(&mut two.sim, two.ben).until, None);
    assert!(list(&mut two.sim, two.ann).until.is_some() && list(&mut two.sim, two.ann).peers.is_empty(), "the other's is closed");
    open(&mut two.sim, two.ben);
    two.sim.run_for(SECOND);
    assert_eq!(both_states(&mut two), [NearbyState::Seen; 2]);
    choose(&mut two.sim, two.ann, "ben").unwrap();
    two.sim.run_for(SECOND);
    close(&mut two.sim, two.ben);
    two.sim.run_for(SECOND);
    assert!(list(&mut two.sim, two.ann).peers.is_empty(), "and with it our choice");
    open(&mut two.sim, two.ben);
    two.sim.run_for(SECOND);
    assert_eq!(both_states(&mut two), [NearbyState::Seen; 2]);
}

#[test]
fn sim_people_may_compare_though_the_window_has_closed_but_not_for_ever() {
    let mut two = comparing();
    two.sim.run_for(3 * MINUTE);
    for (node, other) in two.sides() {
        assert_eq!(list(&mut two.sim, node).until, None);
        confirm(&mut two.sim, node, other, true).unwrap();
    }
    two.sim.run_for(SECOND);
    assert!(both_settled(&mut two));

    let mut two = comparing();
    confirm(&mut two.sim, two.ann, "ben", true).unwrap();
    two.sim.run_for(6 * MINUTE);
    assert_eq!(both_states(&mut two), [NearbyState::Failed; 2]);
    assert_eq!(only_contact(&mut two.sim, two.ann).unwrap().state, ContactState::Failed);
    assert_eq!(list(&mut two.sim, two.ben).mismatches, 0);
}

#[test]
fn sim_closing_by_hand_ends_what_nobody_has_confirmed() {
    let mut two = comparing();
    close(&mut two.sim, two.ann);
    two.sim.run_for(SECOND);
    assert_eq!(both_states(&mut two), [NearbyState::Failed; 2]);
    assert!(contacts(&mut two.sim, two.ann).is_empty() && contacts(&mut two.sim, two.ben).is_empty());

    let mut two = comparing();
    confirm(&mut two.sim, two.ann, "ben", true).unwrap();
    close(&mut two.sim, two.ann);
    two.sim.run_for(SECOND);
    confirm(&mut two.sim, two.ben, "ann", true).unwrap();
    two.sim.run_for(SECOND);
    assert!(both_settled(&mut two), "who has confirmed may close");
}

#[test]
fn sim_a_link_that_breaks_before_the_words_lets_both_choose_again() {
    // Session messages from the choices on: 2 CHOOSE, COMMIT, REQUEST, OPEN, PROVE.
    for after in 0..6 {
        let mut two = met();
        two.sim.cut_after_messages(two.wire, after);
        choose(&mut two.sim, two.ann, "ben").unwrap();
        choose(&mut two.sim, two.ben, "ann").unwrap();
        two.sim.run_for(5 * SECOND);
        for node in [two.ann, two.ben] {
            let seen = list(&mut two.sim, node).peers.into_iter().filter(|peer| peer.state == NearbyState::Seen).count();
            assert_eq!(seen, 1, "after {after}: each is there anew");
        }
        for node in [two.ann, two.ben] {
            let anew = list(&mut two.sim, node).peers.into_iter().find(|peer| peer.state == NearbyState::Seen).unwrap();
            choose(&mut two.sim, node, &anew.peer.to_string()).unwrap();
        }
        two.sim.run_for(SECOND);
        for node in [two.ann, two.ben] {
            let peers = list(&mut two.sim, node).peers;
            let last = peers.last().unwrap();
            assert_eq!(last.state, NearbyState::Comparing, "after {after}");
            let number = last.peer.to_string();
            confirm(&mut two.sim, node, &number, true).unwrap();
        }
        two.sim.run_for(SECOND);
        assert!(both_settled(&mut two), "after {after}");
    }
}

#[test]
fn sim_a_link_that_breaks_while_people_compare_costs_nothing() {
    for confirmed_before in [&[][..], &[0], &[1]] {
        let mut two = comparing();
        let sides = two.sides();
        for &side in confirmed_before {
            confirm(&mut two.sim, sides[side].0, sides[side].1, true).unwrap();
        }
        // What either has said since is lost.
        two.sim.cut(two.wire);
        two.sim.run_for(SECOND);
        for (side, (node, other)) in sides.into_iter().enumerate() {
            if !confirmed_before.contains(&side) {
                assert_eq!(confirm(&mut two.sim, node, other, true).unwrap().state, NearbyState::Confirmed);
            }
        }
        two.sim.mend(two.wire);
        two.sim.run_for(5 * SECOND);
        assert!(both_settled(&mut two), "{confirmed_before:?}: the pair's own keys say it");
        talk(&mut two);
    }
}

#[test]
fn sim_what_is_kept_outlives_either_side() {
    for killed in 0..2 {
        for confirmed_by in [&[][..], &[0], &[1], &[0, 1]] {
            let mut two = comparing();
            let sides = two.sides();
            // Nobody hears of it.
            two.sim.cut(two.wire);
            for &side in confirmed_by {
                confirm(&mut two.sim, sides[side].0, sides[side].1, true).unwrap();
            }
            two.sim.kill(sides[killed].0);
            two.sim.revive(sides[killed].0);
            two.sim.mend(two.wire);
            two.sim.run_for(5 * SECOND);
            let what = format!("killed {killed}, confirmed by {confirmed_by:?}");
            assert_eq!(list(&mut two.sim, sides[killed].0).until, None, "{what}: a window does not outlive its process");
            if confirmed_by.len() == 2 {
                assert!(both_settled(&mut two), "{what}");
                talk(&mut two);
                continue;
            }
            // One has the pair, or none: they choose each other anew, and all is well.
            for (node, _) in sides {
                open(&mut two.sim, node);
            }
            two.sim.run_for(SECOND);
            for (node, _) in sides {
                let number = list(&mut two.sim, node).peers.last().unwrap().peer.to_string();
                choose(&mut two.sim, node, &number).unwrap();
            }
            two.sim.run_for(SECOND);
            for (node, _) in sides {
                let number = list(&mut two.sim, node).peers.last().unwrap().peer.to_string();
                confirm(&mut two.sim, node, &number, true).unwrap();
            }
            two.sim.run_for(2 * SECOND);
            assert!(both_settled(&mut two), "{what}");
            talk(&mut two);
        }
    }
}

/// One run from strangers to contacts, in which a store may fail: each asks again until it is done.
fn run_with(seed: u64, set: impl FnOnce(&Two)) -> (Two, bool) {
    let mut two = Two::strangers(seed, Faults::NONE);
    two.sim.run_for(SECOND);
    set(&two);
    for _ in 0..6 {
        for (node, _) in two.sides() {
            let _ = two.sim.ask(node, Command::NearbyOpen {});
        }
        two.sim.run_for(2 * SECOND);
        for act in [|peer| Command::NearbyAdd { peer }, |peer| Command::NearbyConfirm { peer, matches: true }] {
            for (node, _) in two.sides() {
                let Some(Ok(Answer::Nearby(shown))) = two.sim.ask(node, Command::Nearby {}) else { continue };
                if let Some(peer) = shown.peers.last() {
                    let _ = two.sim.ask(node, act(peer.peer.to_string()));
                }
            }
            two.sim.run_for(2 * SECOND);
        }
        // The fault may be hit by a question, too.
        let settled = |contacts: &[Contact]| matches!(contacts, [one] if one.state == ContactState::Established && one.verified);
        let nodes = [two.ann, two.ben];
        let ask = |node| matches!(two.sim.ask(node, Command::Contacts {}), Some(Ok(Answer::Contacts(contacts))) if settled(&contacts));
        if nodes.map(ask) == [true; 2] {
            return (two, true);
        }
    }
    (two, false)
}

#[test]
fn sim_a_store_that_fails_at_any_commit_delays_it_and_no_more() {
    type Fault = fn(&MemoryStore, u64);
    type Count = fn(&MemoryStore) -> u64;
    let faults: [(Fault, Count); 3] = [
        (MemoryStore::crash_after_writes, MemoryStore::point_count),
        (MemoryStore::crash_past_commits, MemoryStore::commit_count),
        (MemoryStore::fail_full_after, MemoryStore::point_count),
    ];
    for (fault, count) in faults {
        for side in 0..2 {
            let store = |two: &Two| [&two.ann_store, &two.ben_store][side].handle();
            let mut first = 0;
            let (quiet, done) = run_with(seed(), |two| first = count(&store(two)));
            assert!(done, "without a fault");
            let points = count(&store(&quiet)) - first;
            assert!(points > 5, "{points}");
            for point in 1..=points {
                let (mut two, done) = run_with(seed(), |two| fault(&store(two), point));
                assert!(done, "side {side}, point {point} of {points}: {:?}", [two.ann, two.ben].map(|node| contacts(&mut two.sim, node)));
                talk(&mut two);
            }
        }
    }
}

#[test]
fn sim_a_pair_that_only_carriers_connect_is_found_by_its_mail() {
    let mut two = comparing();
    let (cat, _) = two.sim.node("cat");
    let near = two.sim.connect(two.ann, cat, Faults::NONE);
    let far = two.sim.connect(two.ben, cat, Faults::NONE);
    two.sim.cut(near);
    two.sim.cut(far);
    two.sim.cut(two.wire);
    confirm_both(&mut two);
    two.sim.send(two.ann, "ben", "are we?");
    two.sim.mend(near);
    two.sim.run_for(10 * MINUTE);
    two.sim.cut(near);
    two.sim.mend(far);
    two.sim.run_for(MINUTE);
    assert_eq!(texts(&mut two.sim, two.ben, "ann"), ["are we?"]);
    assert!(is_settled(&mut two.sim, two.ben), "what the pair's keys open says it");
    two.sim.run_for(10 * MINUTE);
    two.sim.cut(far);
    two.sim.mend(near);
    two.sim.run_for(MINUTE);
    assert!(is_settled(&mut two.sim, two.ann), "and the receipt says it back");
}

#[test]
fn sim_contacts_show_as_such_and_can_be_verified() {
    let mut two = Two::contacts(seed());
    two.sim.run_for(SECOND);
    talk(&mut two);
    open_both(&mut two);
    let before = only_contact(&mut two.sim, two.ann).unwrap();
    let peer = only(&mut two.sim, two.ann);
    assert_eq!((peer.state, peer.contact), (NearbyState::Seen, Some(before.contact)), "not verified yet");
    choose_both(&mut two);
    confirm_both(&mut two);
    two.sim.run_for(SECOND);
    assert!(both_settled(&mut two));
    let after = only_contact(&mut two.sim, two.ann).unwrap();
    assert_eq!(after.contact, before.contact, "the pair is as it was");
    open(&mut two.sim, two.ann);
    assert_eq!(state(&mut two.sim, two.ann), NearbyState::Established);
    two.sim.send(two.ann, "ben", "still here");
    two.sim.run_for(5 * SECOND);
    assert_eq!(texts(&mut two.sim, two.ben, "ann").last().unwrap(), "still here");
}

#[test]
fn sim_a_difference_takes_back_what_was_just_said_of_a_contact_and_no_more() {
    let mut two = Two::contacts(seed());
    two.sim.run_for(SECOND);
    open_both(&mut two);
    choose_both(&mut two);
    confirm(&mut two.sim, two.ann, "ben", true).unwrap();
    two.sim.run_for(SECOND);
    confirm(&mut two.sim, two.ben, "ann", false).unwrap();
    two.sim.run_for(SECOND);
    let contact = only_contact(&mut two.sim, two.ann).unwrap();
    assert_eq!((contact.state, contact.verified), (ContactState::Established, false));
    talk(&mut two);
}

#[test]
fn sim_a_contact_whom_the_other_has_lost_is_found_again_with_its_conversation() {
    let mut two = Two::contacts(seed());
    two.sim.run_for(SECOND);
    two.write(two.ann, 2);
    two.sim.run_for(5 * SECOND);
    two.sim.tell(two.ben, Command::RemoveContact { contact: "ann".into() });
    two.sim.run_for(5 * SECOND);
    open_both(&mut two);
    choose_both(&mut two);
    confirm_both(&mut two);
    two.sim.run_for(2 * SECOND);
    assert!(both_settled(&mut two));
    assert_eq!(two.sim.messages(two.ann, "ben").len(), 2, "the conversation stays");
    two.sim.send(two.ann, "ben", "again");
    two.sim.run_for(5 * SECOND);
    assert_eq!(texts(&mut two.sim, two.ben, "ann"), ["again"]);
}

#[test]
fn sim_a_contact_that_is_removed_meanwhile_is_none_on_either_side() {
    // Ann has found the words equal, and removes whom she has just made a contact; or both are contacts who compare.
    for known in [false, true] {
        let mut two = if known { Two::contacts(seed()) } else { comparing() };
        if known {
            two.sim.run_for(SECOND);
            open(&mut two.sim, two.ann);
            open(&mut two.sim, two.ben);
            two.sim.run_for(SECOND);
            choose(&mut two.sim, two.ann, "ben").unwrap();
            choose(&mut two.sim, two.ben, "ann").unwrap();
            two.sim.run_for(SECOND);
        } else {
            confirm(&mut two.sim, two.ann, "ben", true).unwrap();
            two.sim.run_for(SECOND);
        }
        two.sim.tell(two.ann, Command::RemoveContact { contact: "ben".into() });
        let at_ann = list(&mut two.sim, two.ann).peers.remove(0);
        assert_eq!((at_ann.state, at_ann.contact), (NearbyState::Failed, None), "known: {known}");
        assert_eq!(at_ann.why.unwrap(), "the contact was removed or blocked");
        two.sim.run_for(SECOND);
        assert!(known || confirm(&mut two.sim, two.ben, "ann", true).is_err(), "it was ended");
        assert!(confirm(&mut two.sim, two.ann, "1", true).is_err());
        two.sim.run_for(5 * SECOND);
        assert_eq!(only_contact(&mut two.sim, two.ann), None);
        assert!(known || only_contact(&mut two.sim, two.ben).is_none());
    }
}

#[test]
fn sim_a_contact_that_is_blocked_while_words_are_compared_hears_no_confirmation() {
    let mut two = Two::contacts(seed());
    two.sim.run_for(SECOND);
    open(&mut two.sim, two.ann);
    open(&mut two.sim, two.ben);
    two.sim.run_for(SECOND);
    choose(&mut two.sim, two.ann, "ben").unwrap();
    choose(&mut two.sim, two.ben, "ann").unwrap();
    two.sim.run_for(SECOND);
    two.sim.tell(two.ann, Command::BlockContact { contact: "ben".into(), blocked: true });
    assert!(confirm(&mut two.sim, two.ann, "1", true).is_err());
    two.sim.run_for(5 * SECOND);
    let contact = only_contact(&mut two.sim, two.ann).unwrap();
    assert_eq!((contact.state, contact.verified), (ContactState::Blocked, false));
}

#[test]
fn sim_who_is_blocked_learns_nothing() {
    let mut two = Two::contacts(seed());
    two.sim.run_for(SECOND);
    two.sim.tell(two.ann, Command::BlockContact { contact: "ben".into(), blocked: true });
    two.sim.run_for(5 * SECOND);
    open_both(&mut two);
    choose_both(&mut two);
    let (at_ann, at_ben) = (only(&mut two.sim, two.ann), only(&mut two.sim, two.ben));
    assert!(at_ann.state == NearbyState::Failed && at_ann.why.unwrap().contains("blocked"));
    assert!(at_ben.state == NearbyState::Failed && at_ben.why.unwrap() == "the other side ended it");
    assert_eq!(only_contact(&mut two.sim, two.ann).unwrap().state, ContactState::Blocked);
}

#[test]
fn sim_ones_own_profile_restored_twice_is_no_contact() {
    let mut two = Two::strangers(seed(), Faults::NONE);
    two.sim.run_for(SECOND);
    two.sim.restore(two.ben, &two.ann_store.handle());
    two.sim.run_for(5 * SECOND);
    open_both(&mut two);
    for node in [two.ann, two.ben] {
        choose(&mut two.sim, node, "ann").unwrap();
    }
    two.sim.run_for(SECOND);
    let peer = only(&mut two.sim, two.ann);
    assert!(peer.state == NearbyState::Failed && peer.why.unwrap().contains("your own"));
    assert!(contacts(&mut two.sim, two.ann).is_empty());
}

#[test]
fn sim_another_of_the_same_name_gets_a_number() {
    let mut two = comparing();
    confirm_both(&mut two);
    let (other_ben, _) = two.sim.node("ben");
    two.sim.connect(two.ann, other_ben, Faults::NONE);
    open(&mut two.sim, two.ann);
    open(&mut two.sim, other_ben);
    two.sim.run_for(SECOND);
    let peers = list(&mut two.sim, two.ann).peers;
    assert_eq!(peers.len(), 2);
    assert!(choose(&mut two.sim, two.ann, "ben").is_err(), "which?");
    let number = peers.last().unwrap().peer.to_string();
    choose(&mut two.sim, two.ann, &number).unwrap();
    choose(&mut two.sim, other_ben, "ann").unwrap();
    two.sim.run_for(SECOND);
    confirm(&mut two.sim, two.ann, &number, true).unwrap();
    confirm(&mut two.sim, other_ben, "ann", true).unwrap();
    two.sim.run_for(SECOND);
    let names: Vec<_> = contacts(&mut two.sim, two.ann).into_iter().filter_map(|contact| contact.name).collect();
    assert_eq!(names, ["ben", "ben-2"]);
}

#[test]
fn sim_it_works_where_strangers_are_shown_nothing_and_links_are_short() {
    let mut two = Two::strangers(seed(), Faults::NONE);
    for node in [two.ann, two.ben] {
        two.sim.tell(node, Command::SetMode { mode: Mode::Contacts });
    }
    two.sim.run_for(2 * SECOND);
    open_both(&mut two);
    let number = only(&mut two.sim, two.ann).peer;
    // Longer than a link to a stranger lasts.
    two.sim.run_for(100 * SECOND);
    assert_eq!(only(&mut two.sim, two.ann).peer, number, "the same link");
    choose_both(&mut two);
    two.sim.run_for(59 * SECOND);
    confirm_both(&mut two);
    two.sim.run_for(SECOND);
    assert!(both_settled(&mut two));
}

/// A node whose strangers' places are all taken.
fn full(sim: &mut Sim, node: NodeId) -> Vec<Guest> {
    let mut guests: Vec<Guest> = (0..4).map(|_| Guest::first(sim, node)).collect();
    guests.extend((0..3).map(|_| Guest::second(sim, node)));
    assert!(guests.iter().all(|guest| guest.is_there(sim)));
    assert!(Guest::try_first(sim, node).is_none(), "no place is left");
    guests
}

#[test]
fn sim_people_in_a_full_room_get_linked() {
    let mut sim = Sim::new(seed());
    let ((ann, _), (ben, _)) = (sim.node("ann"), sim.node("ben"));
    let _around_ann = full(&mut sim, ann);
    let _around_ben = full(&mut sim, ben);
    open(&mut sim, ann);
    open(&mut sim, ben);
    assert!(sim.wanted(ann).unwrap().neighbours >= 12 && sim.wanted(ann).unwrap().contacts, "{:?}", sim.wanted(ann));
    let wire = sim.connect(ben, ann, Faults::NONE);
    sim.run_for(SECOND);
    choose(&mut sim, ann, "ben").unwrap();
    choose(&mut sim, ben, "ann").unwrap();
    // Meanwhile the window closes, and strangers come.
    sim.run_for(130 * SECOND);
    let _more: Vec<Guest> = (0..6).filter_map(|_| Guest::try_first(&mut sim, ann)).collect();
    assert!(sim.is_up(wire));
    confirm(&mut sim, ann, "ben", true).unwrap();
    confirm(&mut sim, ben, "ann", true).unwrap();
    sim.run_for(SECOND);
    assert!(is_settled(&mut sim, ann) && is_settled(&mut sim, ben));
    assert!(sim.is_up(wire), "it is a contact's place now");
    assert!(sim.wanted(ann).unwrap().neighbours < 12);
}

#[test]
fn sim_events_tell_each_change_once() {
    let mut two = Two::strangers(seed(), Faults::NONE);
    two.sim.run_for(SECOND);
    two.sim.take_events(two.ann);
    let told = |two: &mut Two| {
        let events = two.sim.take_events(two.ann).into_iter();
        events.filter_map(|event| if let Event::Nearby(nearby) = event { Some(nearby) } else { None }).collect::<Vec<_>>()
    };
    open(&mut two.sim, two.ann);
    assert!(matches!(&told(&mut two)[..], [nearby] if nearby.until.is_some() && nearby.peers.is_empty()));
    open(&mut two.sim, two.ben);
    two.sim.run_for(SECOND);
    assert!(matches!(&told(&mut two)[..], [nearby] if nearby.peers[0].state == NearbyState::Seen));
    choose(&mut two.sim, two.ben, "ann").unwrap();
    two.sim.run_for(SECOND);
    assert!(matches!(&told(&mut two)[..], [nearby] if nearby.peers[0].state == NearbyState::ChoseUs));
    choose(&mut two.sim, two.ann, "ben").unwrap();
    two.sim.run_for(SECOND);
    let states: Vec<_> = told(&mut two).iter().map(|nearby| nearby.peers[0].state).collect();
    assert_eq!((states.first(), states.last()), (Some(&NearbyState::Chosen), Some(&NearbyState::Comparing)));
    two.sim.run_for(2 * HOUR);
    assert!(told(&mut two).last().unwrap().until.is_none(), "the window's end is told");
}

#[test]
fn sim_a_session_with_an_open_window_differs_from_another_by_the_steps_alone() {
    // HERE goes to contacts as to strangers, in the same size.
    let sizes = |two: &mut Two| {
        two.sim.run_for(MINUTE);
        two.sim.take_crossings();
        open(&mut two.sim, two.ann);
        two.sim.run_for(SECOND);
        two.sim.take_crossings().into_iter().map(|crossing| crossing.length).collect::<Vec<_>>()
    };
    let strangers = sizes(&mut Two::strangers(seed(), Faults::NONE));
    let contacts = sizes(&mut Two::contacts(seed()));
    assert!(!strangers.is_empty() && strangers == contacts, "{strangers:?} {contacts:?}");
}

#[test]
fn sim_the_window_is_a_setting() {
    let mut sim = Sim::new(seed());
    let config = EngineConfig { nearby_window: 3 * SECOND, ..EngineConfig::default() };
    let (ann, _) = common::three::node_as(&mut sim, "ann", config);
    open(&mut sim, ann);
    sim.run_for(2 * SECOND);
    assert!(list(&mut sim, ann).until.is_some());
    let guest = Guest::first(&mut sim, ann);
    assert!(matches!(guest.hear(&mut sim)[..], [Step::Here { .. }]));
    sim.run_for(2 * SECOND);
    assert!(list(&mut sim, ann).until.is_none());
    assert_eq!(guest.hear(&mut sim), [Step::Gone]);
}
