//! What a hostile peer nearby can try: steps out of turn, lies in them, somebody in between, floods.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test: what fails ends it")]

mod common;

use common::{
    SECOND, contacts,
    nearby::{Guest, choose, close, confirm, ends, list, only, open, state},
    notices, seed,
};
use hedgerow_sync::{
    crypto::identity::Name,
    sim::{NodeId, Sim},
    store::memory::MemoryStore,
    view::{Event, NearbyState},
    wire::{
        nearby::{End, NEARBY_VERSION, Step},
        record::Record,
    },
};

fn alone() -> (Sim, NodeId, MemoryStore) {
    let mut sim = Sim::new(seed());
    let (ann, store) = sim.node("ann");
    (sim, ann, store)
}

fn choices() -> [Step; 7] {
    [
        Step::Choose,
        Step::Gone,
        Step::Commit { secret: [1; 16], key: [9; 32], commitment: [2; 32] },
        Step::Request(Box::new([3; 4096])),
        Step::Open { nonce: [4; 32], reply: Box::new([5; 4096]) },
        Step::Prove { held: [0; 16], proof: [6; 32] },
        Step::Confirm([7; 32]),
    ]
}

#[test]
fn sim_nothing_is_said_to_anybody_while_the_window_is_closed() {
    let (mut sim, ann, _) = alone();
    let guest = Guest::first(&mut sim, ann);
    guest.here(&mut sim);
    sim.run_for(5 * SECOND);
    assert_eq!(guest.hear(&mut sim), []);
    assert_eq!(list(&mut sim, ann).peers, [], "and nobody is shown");
    assert!(guest.is_there(&sim));
    guest.say(&mut sim, Step::Choose);
    assert_eq!(guest.hear(&mut sim), []);
    assert!(choose(&mut sim, ann, "eve").is_err(), "nobody can be chosen");
    open(&mut sim, ann);
    assert_eq!(state(&mut sim, ann), NearbyState::Seen, "who came before is remembered; a choice of nobody who was there is not");
}

#[test]
fn sim_steps_before_their_turn_end_the_session_or_are_turned_down() {
    for step in choices() {
        let (mut sim, ann, _) = alone();
        let guest = Guest::first(&mut sim, ann);
        open(&mut sim, ann);
        guest.say(&mut sim, step);
        assert!(!guest.is_there(&sim), "nobody is there who has not said so");
    }
    for (index, step) in choices().into_iter().enumerate() {
        let (mut sim, ann, _) = alone();
        let guest = Guest::first(&mut sim, ann);
        open(&mut sim, ann);
        guest.here(&mut sim);
        guest.hear(&mut sim);
        guest.say(&mut sim, step);
        assert_eq!(guest.is_there(&sim), index <= 2, "step {index} without a choice of ours");
        assert_eq!(ends(&guest.hear(&mut sim)), (index == 2).then_some(End::Withdrawn), "step {index}");
        assert!(contacts(&mut sim, ann).is_empty());
    }
}

#[test]
fn sim_steps_of_the_wrong_side_end_the_session() {
    // She is the second: a commitment is not hers to make. She is the first: a request is not hers.
    for first in [false, true] {
        let (mut sim, ann, _) = alone();
        let guest = if first { Guest::first(&mut sim, ann) } else { Guest::second(&mut sim, ann) };
        guest.both_choose(&mut sim, ann);
        guest.say(&mut sim, choices()[if first { 3 } else { 2 }].clone());
        assert!(!guest.is_there(&sim));
        assert_eq!(list(&mut sim, ann).peers, [], "who is gone is not shown");
    }
}

#[test]
fn sim_a_step_that_comes_twice_ends_the_session_and_counts_like_breaking_off() {
    let (mut sim, ann, _) = alone();
    for _ in 0..3 {
        let mut guest = Guest::first(&mut sim, ann);
        guest.both_choose(&mut sim, ann);
        let (_, step) = guest.commit();
        guest.say(&mut sim, step.clone());
        assert!(matches!(guest.hear(&mut sim)[..], [Step::Request(_)]));
        guest.say(&mut sim, step);
        assert!(!guest.is_there(&sim));
    }
    assert_eq!(list(&mut sim, ann).until, None, "each time the other could have known the words: three are enough");
    assert!(notices(&mut sim, ann).contains(&"nearby_closed".into()));
}

#[test]
fn sim_a_commitment_that_does_not_open_is_told_as_somebody_in_between() {
    let (mut sim, ann, _) = alone();
    let mut guest = Guest::first(&mut sim, ann);
    guest.both_choose(&mut sim, ann);
    let (committed, step) = guest.commit();
    guest.say(&mut sim, step);
    let heard = guest.hear(&mut sim);
    let (opening, _) = guest.open(committed, &heard);
    let Step::Open { mut nonce, reply } = opening else { unreachable!() };
    nonce[0] ^= 1;
    guest.say(&mut sim, Step::Open { nonce, reply });
    assert_eq!(ends(&guest.hear(&mut sim)), Some(End::Failed));
    let shown = list(&mut sim, ann);
    assert_eq!((shown.mismatches, shown.peers[0].state), (1, NearbyState::Failed));
    assert!(shown.peers[0].why.as_ref().unwrap().contains("in between"));
    assert!(notices(&mut sim, ann).contains(&"words_differ".into()));
    assert!(contacts(&mut sim, ann).is_empty());
}

#[test]
fn sim_garbage_and_keys_of_others_end_the_exchange_and_not_the_session() {
    type Spoil = fn(&mut Guest, &[Step]) -> Step;
    let as_second: [Spoil; 3] = [
        // No bundle at all.
        |_, _| Step::Request(Box::new([0; 4096])),
        // A request to another link.
        |guest, _| {
            let other = Step::Commit { secret: [1; 16], key: [9; 32], commitment: [2; 32] };
            guest.ask(&[other]).1
        },
        // Another name than she told before.
        |guest, heard| {
            guest.name = Name::new("bob").unwrap();
            guest.ask(heard).1
        },
    ];
    for (index, spoil) in as_second.into_iter().enumerate() {
        let (mut sim, ann, _) = alone();
        let mut guest = Guest::second(&mut sim, ann);
        let heard = guest.both_choose(&mut sim, ann);
        let step = spoil(&mut guest, &heard);
        guest.say(&mut sim, step);
        assert_eq!(ends(&guest.hear(&mut sim)), Some(End::Failed), "case {index}");
        assert_eq!(state(&mut sim, ann), NearbyState::Failed);
        assert!(guest.is_there(&sim) && contacts(&mut sim, ann).is_empty());
    }
    // A key of low order in the commitment.
    for key in [[0; 32], [1; 32]].into_iter().map(|mut key: [u8; 32]| {
        key[1..].fill(0);
        key
    }) {
        let (mut sim, ann, _) = alone();
        let guest = Guest::first(&mut sim, ann);
        guest.both_choose(&mut sim, ann);
        guest.say(&mut sim, Step::Commit { secret: [1; 16], key, commitment: [2; 32] });
        assert_eq!(ends(&guest.hear(&mut sim)), Some(End::Failed));
    }
}

#[test]
fn sim_a_proof_that_is_none_shows_no_words() {
    let (mut sim, ann, _) = alone();
    let mut guest = Guest::second(&mut sim, ann);
    let heard = guest.both_choose(&mut sim, ann);
    let (asked, step) = guest.ask(&heard);
    guest.say(&mut sim, step);
    let heard = guest.hear(&mut sim);
    let agreed = guest.opened(asked, &heard);
    assert_eq!(only(&mut sim, ann).words, None, "not before the proof");
    guest.say(&mut sim, Step::Prove { held: [1; 16], proof: agreed.proof(&[0; 16]) });
    assert_eq!(ends(&guest.hear(&mut sim)), Some(End::Failed));
    assert_eq!(only(&mut sim, ann).words, None);
}

#[test]
fn sim_nobody_confirms_for_somebody_else() {
    for said_back in [false, true] {
        let (mut sim, ann, _) = alone();
        let mut guest = Guest::first(&mut sim, ann);
        guest.compare(&mut sim, ann);
        confirm(&mut sim, ann, "eve", true).unwrap();
        let heard = guest.hear(&mut sim);
        let [Step::Confirm(own)] = heard[..] else { panic!("{heard:?}") };
        guest.say(&mut sim, Step::Confirm(if said_back { own } else { [8; 32] }));
        assert!(!guest.is_there(&sim));
        assert_eq!(list(&mut sim, ann).peers[0].state, NearbyState::Confirmed);
        assert_eq!(contacts(&mut sim, ann)[0].state, hedgerow_sync::view::ContactState::Pending);
    }
}

#[test]
fn sim_somebody_in_between_gets_other_words_or_is_noticed() {
    let mut sim = Sim::new(seed());
    let ((ann, _), (ben, _)) = (sim.node("ann"), sim.node("ben"));
    // Eve calls herself ben towards Ann, and ann towards Ben, and has an exchange of her own with each.
    let (mut to_ann, mut to_ben) = (Guest::first(&mut sim, ann), Guest::first(&mut sim, ben));
    to_ann.name = Name::new("ben").unwrap();
    to_ben.name = Name::new("ann").unwrap();
    to_ann.compare(&mut sim, ann);
    to_ben.compare(&mut sim, ben);
    let (at_ann, at_ben) = (only(&mut sim, ann), only(&mut sim, ben));
    assert_eq!((at_ann.state, at_ben.state), (NearbyState::Comparing, NearbyState::Comparing));
    assert_ne!(at_ann.words, at_ben.words);
    confirm(&mut sim, ann, "ben", false).unwrap();
    let shown = list(&mut sim, ann);
    assert_eq!((shown.mismatches, shown.peers[0].state), (1, NearbyState::Failed));
    assert_eq!(ends(&to_ann.hear(&mut sim)), Some(End::Differ));
    assert!(notices(&mut sim, ann).contains(&"words_differ".into()));
    assert!(contacts(&mut sim, ann).is_empty());
}

#[test]
fn sim_who_only_relays_is_noticed_too() {
    let mut sim = Sim::new(seed());
    let ((ann, _), (ben, _)) = (sim.node("ann"), sim.node("ben"));
    // Ann dials her, she dials Ben: the roles fit, and every record is passed on as it is.
    let (to_ann, to_ben) = (Guest::second(&mut sim, ann), Guest::first(&mut sim, ben));
    open(&mut sim, ann);
    open(&mut sim, ben);
    for round in 0..40 {
        for step in to_ann.hear(&mut sim) {
            to_ben.say(&mut sim, step);
        }
        for step in to_ben.hear(&mut sim) {
            to_ann.say(&mut sim, step);
        }
        if round == 5 {
            choose(&mut sim, ann, "ben").unwrap();
            choose(&mut sim, ben, "ann").unwrap();
        }
    }
    for node in [ann, ben] {
        let peer = only(&mut sim, node);
        assert_eq!((peer.state, peer.words), (NearbyState::Failed, None));
    }
    assert_eq!(list(&mut sim, ben).mismatches, 1, "what is opened is bound to the session");
}

#[test]
fn sim_floods_of_names_are_bounded() {
    let (mut sim, ann, _) = alone();
    open(&mut sim, ann);
    let guest = Guest::first(&mut sim, ann);
    for number in 0..10_000 {
        let name = Name::new(&format!("eve {number}")).unwrap();
        guest.eve.say(&mut sim, &Record::Nearby(Step::Here { version: NEARBY_VERSION, name }));
    }
    sim.run_for(SECOND);
    assert!(!guest.is_there(&sim) && list(&mut sim, ann).peers.is_empty());
    // With what an honest peer would say between.
    let guest = Guest::first(&mut sim, ann);
    sim.take_events(ann);
    for number in 0..10_000 {
        let name = Name::new(&format!("eve {number}")).unwrap();
        guest.eve.say(&mut sim, &Record::Nearby(Step::Here { version: NEARBY_VERSION, name }));
        guest.eve.say(&mut sim, &Record::Nearby(Step::Gone));
    }
    sim.run_for(SECOND);
    assert!(!guest.is_there(&sim));
    let told = sim.take_events(ann).iter().filter(|event| matches!(event, Event::Nearby(_))).count();
    assert!(told <= 1_025, "{told} events");
}

#[test]
fn sim_many_peers_take_no_more_than_their_places_and_none_who_was_chosen_is_cut_off() {
    let (mut sim, ann, _) = alone();
    open(&mut sim, ann);
    let mut chosen = Guest::first(&mut sim, ann);
    chosen.here(&mut sim);
    choose(&mut sim, ann, "eve").unwrap();
    let others: Vec<Guest> = (0..30)
        .filter_map(|_| {
            let mut guest = Guest::try_first(&mut sim, ann)?;
            guest.name = Name::new("mallory").unwrap();
            guest.here(&mut sim);
            Some(guest)
        })
        .collect();
    let shown = list(&mut sim, ann).peers;
    assert!(shown.len() <= 1 + 4 + 12, "{}", shown.len());
    assert!(shown.len() > 12, "{}", shown.len());
    assert!(chosen.is_there(&sim));
    assert!(matches!(choose(&mut sim, ann, "mallory"), Err(error) if error.to_string().contains("number")));
    chosen.say(&mut sim, Step::Choose);
    chosen.hear(&mut sim);
    let (committed, step) = chosen.commit();
    chosen.say(&mut sim, step);
    let heard = chosen.hear(&mut sim);
    let (step, agreed) = chosen.open(committed, &heard);
    chosen.say(&mut sim, step);
    let words = list(&mut sim, ann).peers.into_iter().find_map(|peer| peer.words).unwrap();
    assert_eq!(words, agreed.words());
    // When the window closes, the others are as good as any strangers.
    for guest in &others {
        guest.hear(&mut sim);
    }
    close(&mut sim, ann);
    sim.run_for(SECOND);
    assert!(others.iter().filter(|guest| guest.is_there(&sim)).count() <= 4);
}

#[test]
fn sim_who_says_nothing_is_let_go_for_the_next() {
    let (mut sim, ann, _) = alone();
    open(&mut sim, ann);
    let silent: Vec<Guest> = (0..20).map(|_| Guest::first(&mut sim, ann)).collect();
    let guest = Guest::first(&mut sim, ann);
    guest.here(&mut sim);
    assert_eq!(list(&mut sim, ann).peers.len(), 1, "there is room for a newcomer");
    sim.run_for(6 * SECOND);
    let left = silent.iter().filter(|guest| guest.is_there(&sim)).count();
    assert!(left <= 4, "{left} have more than a stranger's places");
    assert!(guest.is_there(&sim));
}

#[test]
fn sim_an_exchange_without_an_answer_ends_by_itself() {
    for step in 0..3 {
        let (mut sim, ann, _) = alone();
        let mut guest = if step == 2 { Guest::second(&mut sim, ann) } else { Guest::first(&mut sim, ann) };
        let heard = guest.both_choose(&mut sim, ann);
        if step == 1 {
            let (_, step) = guest.commit();
            guest.say(&mut sim, step);
        }
        if step == 2 {
            let (_, step) = guest.ask(&heard);
            guest.say(&mut sim, step);
        }
        guest.hear(&mut sim);
        sim.run_for(11 * SECOND);
        assert_eq!(ends(&guest.hear(&mut sim)), Some(End::Failed), "step {step}");
        assert_eq!(state(&mut sim, ann), NearbyState::Failed);
        assert!(guest.is_there(&sim));
    }
}

#[test]
fn sim_ends_are_answered_once() {
    let (mut sim, ann, _) = alone();
    let guest = Guest::first(&mut sim, ann);
    open(&mut sim, ann);
    guest.here(&mut sim);
    guest.hear(&mut sim);
    guest.say(&mut sim, Step::End(End::Differ));
    assert_eq!(guest.hear(&mut sim), [Step::End(End::Withdrawn)]);
    let shown = list(&mut sim, ann);
    assert_eq!((shown.mismatches, shown.peers[0].state), (0, NearbyState::Seen), "there were no words");
    choose(&mut sim, ann, "eve").unwrap();
    guest.hear(&mut sim);
    guest.say(&mut sim, Step::Commit { secret: [1; 16], key: [9; 32], commitment: [2; 32] });
    assert_eq!(guest.hear(&mut sim), [Step::End(End::Withdrawn)], "it has not chosen");
    guest.say(&mut sim, Step::Request(Box::new([3; 4096])));
    assert!(guest.is_there(&sim), "what it sent before it heard of the end is passed over");
    guest.say(&mut sim, Step::End(End::Withdrawn));
    assert_eq!(guest.hear(&mut sim), []);
    sim.run_for(20 * SECOND);
    assert!(guest.is_there(&sim));
}

/// Three exchanges that come as far as the words, each spoilt in the same way; whether the window is closed then.
fn spoilt_by(spoil: impl Fn(&mut Sim, NodeId, &Guest)) -> bool {
    let (mut sim, ann, _) = alone();
    for number in 0..3 {
        let mut guest = Guest::first(&mut sim, ann);
        guest.name = Name::new(&format!("eve {number}")).unwrap();
        guest.compare(&mut sim, ann);
        assert!(list(&mut sim, ann).until.is_some(), "after {number}");
        spoil(&mut sim, ann, &guest);
    }
    let is_told = notices(&mut sim, ann).contains(&"nearby_closed".into());
    let is_closed = list(&mut sim, ann).until.is_none();
    assert_eq!(is_closed, is_told);
    is_closed
}

#[test]
fn sim_who_knows_the_words_and_ends_it_before_they_are_compared_has_used_up_a_guess() {
    for end in [End::Differ, End::Withdrawn, End::Failed] {
        assert!(spoilt_by(|sim, _, guest| guest.say(sim, Step::End(end))), "{end:?}");
    }
    let run_out = |sim: &mut Sim, ann: NodeId, _: &Guest| {
        for _ in 0..5 {
            open(sim, ann);
            sim.run_for(60 * SECOND);
        }
        sim.run_for(SECOND);
    };
    assert!(spoilt_by(run_out), "nobody has compared");
}
