//! Becoming contacts through carriers: Ann and Carol never meet; what goes between them is brought by strangers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test: what fails ends it")]

mod common;

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
    time::Duration,
};

use common::{
    DAY, HOUR, Heard, MINUTE, SECOND, add, add_with, bundles, contact_states, contacts, in_reach_any, invite, listen, notices, seed,
    states, texts,
};
use hedgerow_sync::{
    sim::{Faults, NodeId, Sim, WireId},
    store::memory::MemoryStore,
    view::{Answer, Command, CommandError, ContactState, MessageState, Mode, What},
};

/// Longer than own bundles are held back, and than the wire takes to come up.
const MEETING: Duration = Duration::from_secs(400);

/// Ann, a carrier who is a stranger to all, and Carol; the carrier's wires are cut.
struct Trip {
    sim: Sim,
    ann: NodeId,
    carrier: NodeId,
    carol: NodeId,
    stores: [MemoryStore; 3],
    to_ann: WireId,
    to_carol: WireId,
}

impl Trip {
    fn new(seed: u64) -> Self {
        let mut sim = Sim::new(seed);
        let ((ann, store), (carrier, b), (carol, c)) = (sim.node("ann"), sim.node("bob"), sim.node("carol"));
        let to_ann = sim.connect(carrier, ann, Faults::NONE);
        let to_carol = sim.connect(carrier, carol, Faults::NONE);
        sim.cut(to_ann);
        sim.cut(to_carol);
        Self { sim, ann, carrier, carol, stores: [store, b, c], to_ann, to_carol }
    }

    fn meet(&mut self, wire: WireId) {
        self.sim.mend(wire);
        self.sim.run_for(MEETING);
        self.sim.cut(wire);
        self.sim.run_for(SECOND);
    }

    /// The carrier is with both at once.
    fn meet_both(&mut self) {
        self.sim.mend(self.to_ann);
        self.sim.mend(self.to_carol);
        self.sim.run_for(MEETING);
        self.sim.cut(self.to_ann);
        self.sim.cut(self.to_carol);
        self.sim.run_for(SECOND);
    }

    /// The carrier visits Carol, Ann and Carol again.
    fn round(&mut self) {
        self.meet(self.to_carol);
        self.meet(self.to_ann);
        self.meet(self.to_carol);
    }

    /// Both are contacts, of one another only, and what either writes arrives.
    fn expect_contacts(&mut self, what: &str) {
        for node in [self.ann, self.carol] {
            assert_eq!(contact_states(&mut self.sim, node), [ContactState::Established], "{what}");
        }
        self.sim.send(self.ann, "carol", "from ann");
        self.sim.send(self.carol, "ann", "from carol");
        self.round();
        self.meet(self.to_ann);
        assert!(texts(&mut self.sim, self.ann, "carol").iter().any(|text| text == "from carol"), "{what}");
        assert!(texts(&mut self.sim, self.carol, "ann").iter().any(|text| text == "from ann"), "{what}");
    }
}

/// The tags of large bundles that a node has sent and that do not come from the other.
fn answers(heard: &Heard, node: NodeId, other: NodeId) -> BTreeSet<Vec<u8>> {
    let tags = |node| bundles(heard, node).into_iter().filter(|bundle| bundle.len() == 4096).map(|bundle| bundle[8..24].to_vec());
    let others: BTreeSet<Vec<u8>> = tags(other).collect();
    tags(node).filter(|tag| !others.contains(tag)).collect()
}

#[test]
fn sim_two_who_never_meet_become_contacts_and_the_first_word_rides() {
    let mut trip = Trip::new(seed());
    let link = invite(&mut trip.sim, trip.ann, 336);
    add_with(&mut trip.sim, trip.carol, &link, "carol 0");
    assert_eq!(states(&mut trip.sim, trip.carol, "1"), [MessageState::Queued]);
    trip.meet(trip.to_carol);
    let carried = trip.sim.messages(trip.carol, "1").remove(0);
    assert_eq!((carried.state, carried.handed_strangers, carried.handed_contacts), (MessageState::Carried, 1, 0));
    assert!(carried.expires.is_some());
    trip.meet(trip.to_ann);
    assert_eq!(texts(&mut trip.sim, trip.ann, "carol"), ["carol 0"], "with the request");
    trip.sim.send(trip.ann, "carol", "ann 0");
    trip.meet(trip.to_ann);
    assert_eq!(states(&mut trip.sim, trip.carol, "1"), [MessageState::Carried], "nobody has confirmed it");
    trip.meet(trip.to_carol);
    assert_eq!(contact_states(&mut trip.sim, trip.carol), [ContactState::Established]);
    assert_eq!(texts(&mut trip.sim, trip.carol, "ann"), ["ann 0"], "with the reply");
    trip.meet(trip.to_ann);
    trip.meet(trip.to_ann);
    trip.meet(trip.to_carol);
    assert_eq!(states(&mut trip.sim, trip.carol, "ann"), [MessageState::Delivered]);
    assert_eq!(texts(&mut trip.sim, trip.ann, "carol"), ["carol 0"], "once");
    assert_eq!(contacts(&mut trip.sim, trip.carrier), []);
    trip.expect_contacts("after the exchange");
}

#[test]
fn sim_a_lost_reply_is_asked_for_by_the_next_try() {
    let mut trip = Trip::new(seed());
    let link = invite(&mut trip.sim, trip.ann, 336);
    add_with(&mut trip.sim, trip.carol, &link, "carol 0");
    trip.meet(trip.to_carol);
    trip.meet(trip.to_ann);
    assert_eq!(contact_states(&mut trip.sim, trip.ann), [ContactState::Established]);
    // The carrier is lost with the reply, and Ann's copy of it runs out: she has only what a further try makes her say.
    trip.sim.kill(trip.carrier);
    trip.sim.run_for(34 * HOUR);
    assert_eq!(contacts(&mut trip.sim, trip.carol)[0].tries, Some(2));
    let (other, _) = trip.sim.node("dan");
    let (to_ann, to_carol) = (trip.sim.connect(other, trip.ann, Faults::NONE), trip.sim.connect(other, trip.carol, Faults::NONE));
    let heard = listen(&mut trip.sim);
    trip.sim.cut(to_ann);
    trip.sim.cut(to_carol);
    (trip.carrier, trip.to_ann, trip.to_carol) = (other, to_ann, to_carol);
    trip.round();
    let tags = answers(&heard, trip.ann, trip.carol);
    assert_eq!(tags.len(), 2, "the first answer and another under the next tag");
    trip.expect_contacts("after the second try");
    assert_eq!(texts(&mut trip.sim, trip.ann, "carol").iter().filter(|text| *text == "carol 0").count(), 1);
}

#[test]
fn sim_garbage_under_a_copied_tag_stops_no_request_through_carriers() {
    let mut trip = Trip::new(seed());
    let link = invite(&mut trip.sim, trip.ann, 336);
    let heard = listen(&mut trip.sim);
    add(&mut trip.sim, trip.carol, &link).unwrap();
    trip.meet(trip.to_carol);
    let request = bundles(&heard, trip.carol).remove(0);
    let eve = trip.sim.stranger("eve");
    let wire = trip.sim.connect(eve, trip.ann, Faults::NONE);
    trip.sim.run_for(SECOND);
    trip.sim.send_raw(wire, eve, &[&[0x01][..], &[9; 8], &0_u32.to_be_bytes(), &1_048_576_u32.to_be_bytes(), &[1]].concat());
    for number in 0..40 {
        let mut copy = request.clone();
        let at = if number % 2 == 0 { 60 + number } else { 4000 - number };
        copy[at] ^= 1; // its header in one half, its body in the other
        trip.sim.send_raw(wire, eve, &[&[0x05, 0, 0, 255], &copy[..]].concat());
    }
    trip.sim.run_for(MINUTE);
    assert!(trip.sim.is_up(wire));
    assert_eq!(contact_states(&mut trip.sim, trip.ann), [ContactState::Invited]);
    trip.meet(trip.to_ann);
    assert_eq!(contact_states(&mut trip.sim, trip.ann), [ContactState::Established]);
    for _ in 0..40 {
        trip.sim.send_raw(wire, eve, &[&[0x05, 0, 0, 255], &request[..]].concat());
    }
    trip.sim.run_for(MINUTE);
    trip.meet(trip.to_ann);
    trip.meet(trip.to_carol);
    assert_eq!(answers(&heard, trip.ann, trip.carol).len(), 1, "one request, one answer");
    trip.expect_contacts("in spite of garbage");
}

#[test]
fn sim_a_link_used_by_two_through_carriers_serves_one_and_warns_both() {
    let mut trip = Trip::new(seed());
    let link = invite(&mut trip.sim, trip.ann, 336);
    let (eve, _) = trip.sim.node("eve");
    let to_eve = trip.sim.connect(trip.carrier, eve, Faults::NONE);
    trip.sim.cut(to_eve);
    add_with(&mut trip.sim, trip.carol, &link, "I am carol");
    add_with(&mut trip.sim, eve, &link, "I am carol too");
    trip.meet(trip.to_carol);
    trip.meet(trip.to_ann);
    trip.meet(to_eve);
    trip.meet(trip.to_ann);
    assert!(notices(&mut trip.sim, trip.ann).contains(&"link_reused".into()));
    assert_eq!(texts(&mut trip.sim, trip.ann, "carol"), ["I am carol"]);
    trip.meet(trip.to_ann);
    trip.meet(to_eve);
    assert_eq!(contact_states(&mut trip.sim, eve), [ContactState::Failed]);
    assert!(notices(&mut trip.sim, eve).contains(&"link_reused".into()));
    assert_eq!(states(&mut trip.sim, eve, "1"), [MessageState::Failed]);
    trip.meet(trip.to_carol);
    trip.expect_contacts("the first");
}

#[test]
fn sim_one_link_over_a_direct_wire_and_a_carrier_at_once_gives_one_contact() {
    for seed in seed()..seed() + 4 {
        let mut trip = Trip::new(seed);
        let link = invite(&mut trip.sim, trip.ann, 336);
        add_with(&mut trip.sim, trip.carol, &link, "hello");
        trip.meet(trip.to_carol);
        let direct = trip.sim.connect(trip.ann, trip.carol, Faults::NONE);
        trip.sim.mend(trip.to_ann);
        trip.sim.run_for(MEETING);
        trip.sim.cut(direct);
        trip.sim.cut(trip.to_ann);
        trip.meet(trip.to_carol);
        assert_eq!(texts(&mut trip.sim, trip.ann, "carol"), ["hello"], "seed {seed}");
        trip.expect_contacts(&format!("seed {seed}"));
    }
}

#[test]
fn sim_a_request_that_a_carrier_brings_too_late_is_ignored() {
    let mut trip = Trip::new(seed());
    let link = invite(&mut trip.sim, trip.ann, 2);
    add_with(&mut trip.sim, trip.carol, &link, "late");
    trip.meet(trip.to_carol);
    trip.sim.run_for(3 * HOUR);
    trip.meet(trip.to_ann);
    assert_eq!(contact_states(&mut trip.sim, trip.ann), [ContactState::Invited]);
    trip.sim.run_for(2 * DAY);
    trip.meet(trip.to_ann);
    assert_eq!(contact_states(&mut trip.sim, trip.ann), [ContactState::Failed]);
    trip.sim.run_for(14 * DAY);
    assert_eq!(contact_states(&mut trip.sim, trip.carol), [ContactState::Failed]);
    assert_eq!(states(&mut trip.sim, trip.carol, "1"), [MessageState::Expired]);
}

#[test]
fn sim_a_month_long_link_is_carried_though_strangers_take_a_fortnight_at_most() {
    let mut trip = Trip::new(seed());
    let link = invite(&mut trip.sim, trip.ann, 720);
    add(&mut trip.sim, trip.carol, &link).unwrap();
    trip.sim.run_for(20 * DAY);
    trip.round();
    trip.expect_contacts("on the twentieth day");
}

#[test]
fn sim_who_is_removed_while_pending_becomes_no_contact() {
    for issuer in [true, false] {
        let mut trip = Trip::new(seed());
        let link = invite(&mut trip.sim, trip.ann, 336);
        add_with(&mut trip.sim, trip.carol, &link, "hello");
        trip.meet(trip.to_carol);
        let node = if issuer { trip.ann } else { trip.carol };
        trip.sim.tell(node, Command::RemoveContact { contact: "1".into() });
        trip.meet(trip.to_ann);
        trip.meet(trip.to_ann);
        trip.meet(trip.to_carol);
        assert_eq!(contacts(&mut trip.sim, node), []);
        let other = if issuer { (trip.carol, ContactState::Pending) } else { (trip.ann, ContactState::Established) };
        assert_eq!(contact_states(&mut trip.sim, other.0), [other.1]);
    }
}

#[test]
fn sim_a_second_link_between_contacts_renews_them() {
    for direct in [true, false] {
        let mut trip = Trip::new(seed());
        trip.sim.introduce(trip.ann, trip.carol);
        trip.round();
        trip.expect_contacts("by the first link");
        let link = invite(&mut trip.sim, trip.carol, 336);
        add(&mut trip.sim, trip.ann, &link).unwrap();
        if direct {
            let wire = trip.sim.connect(trip.ann, trip.carol, Faults::NONE);
            trip.sim.run_for(2 * MEETING);
            trip.sim.cut(wire);
        } else {
            trip.meet(trip.to_ann);
            trip.meet(trip.to_carol);
            trip.meet(trip.to_carol);
            trip.meet(trip.to_ann);
        }
        trip.expect_contacts(&format!("by the second link, direct: {direct}"));
    }
}

/// Both take up the other's link, and `visits` bring what crosses.
fn cross(seeds: u64, visits: fn(&mut Trip)) {
    for acquainted in [false, true] {
        for seed in seed()..seed() + seeds {
            let mut trip = Trip::new(seed);
            let what = format!("seed {seed}, acquainted: {acquainted}");
            if acquainted {
                trip.sim.introduce(trip.ann, trip.carol);
                trip.round();
                trip.expect_contacts(&what);
            }
            let (of_ann, of_carol) = (invite(&mut trip.sim, trip.ann, 336), invite(&mut trip.sim, trip.carol, 336));
            let from_ann = add_with(&mut trip.sim, trip.ann, &of_carol, "over carol's link");
            let from_carol = add_with(&mut trip.sim, trip.carol, &of_ann, "over ann's link");
            // Requests cross, then replies, which leave a while after them.
            for _ in 0..4 {
                visits(&mut trip);
                trip.sim.run_for(360 * SECOND);
            }
            for (node, other, word, id) in
                [(trip.ann, "carol", "over ann's link", from_carol.message), (trip.carol, "ann", "over carol's link", from_ann.message)]
            {
                assert_eq!(contact_states(&mut trip.sim, node), [ContactState::Established], "{what}");
                let messages = trip.sim.messages(node, other);
                let came: Vec<_> =
                    messages.iter().filter(|message| !message.outgoing && message.text == word).map(|message| message.id).collect();
                assert_eq!(came, [id.unwrap()], "{what}");
            }
            trip.expect_contacts(&what);
            trip.round();
            trip.meet(trip.to_ann);
            for (node, other) in [(trip.ann, "carol"), (trip.carol, "ann")] {
                let states = states(&mut trip.sim, node, other);
                assert!(states.iter().all(|state| *state == MessageState::Delivered), "{what}: {states:?}");
            }
        }
    }
}

#[test]
fn sim_both_use_the_others_link_in_turn_and_the_same_pair_is_left() {
    cross(4, |trip| {
        for wire in [trip.to_ann, trip.to_carol, trip.to_ann, trip.to_carol] {
            trip.meet(wire);
        }
    });
}

/// One side's reply comes while the other's is still held back.
#[test]
fn sim_both_use_the_others_link_at_once_and_the_same_pair_is_left() {
    cross(16, Trip::meet_both);
}

#[test]
fn sim_links_that_crossed_are_used_for_whoever_comes_later() {
    for seed in seed()..seed() + 4 {
        let mut trip = Trip::new(seed);
        let links = [invite(&mut trip.sim, trip.ann, 336), invite(&mut trip.sim, trip.carol, 336)];
        add(&mut trip.sim, trip.ann, &links[1]).unwrap();
        add(&mut trip.sim, trip.carol, &links[0]).unwrap();
        for _ in 0..4 {
            trip.meet_both();
        }
        let (eve, _) = trip.sim.node("eve");
        let to_eve = trip.sim.connect(trip.carrier, eve, Faults::NONE);
        links.iter().for_each(|link| add(&mut trip.sim, eve, link).unwrap());
        for _ in 0..2 {
            trip.sim.mend(to_eve);
            trip.meet_both();
        }
        assert_eq!(contact_states(&mut trip.sim, eve), [ContactState::Failed; 2], "seed {seed}");
        for node in [trip.ann, trip.carol] {
            assert!(notices(&mut trip.sim, node).contains(&"link_reused".into()), "seed {seed}");
        }
        trip.expect_contacts(&format!("seed {seed}"));
    }
}

#[test]
fn sim_links_that_crossed_leave_the_same_pair_though_one_has_run_out() {
    for (hours, met) in [([24, 336], false), ([24, 336], true), ([336, 24], false), ([336, 24], true)] {
        for seed in seed()..seed() + 4 {
            let what = format!("seed {seed}, links of {hours:?} h, met: {met}");
            let mut trip = Trip::new(seed);
            let (ann, carrier, carol) = (trip.ann, trip.carrier, trip.carol);
            // The carrier keeps the replies of one side back; a side's first large bundle is its request.
            let kept_back = Rc::new(Cell::new([true, true]));
            let (keeps, mut known) = (Rc::clone(&kept_back), BTreeMap::new());
            trip.sim.on_transmit(move |node, _, record| {
                if record[0] != 5 || record.len() != 4 + 4096 {
                    return true;
                }
                let first = !known.values().any(|(from, _)| *from == node);
                let (from, request) = *known.entry(record[12..28].to_vec()).or_insert((node, first));
                node != carrier || request || !keeps.get()[usize::from(from == carol)]
            });
            let (of_ann, of_carol) = (invite(&mut trip.sim, ann, hours[0]), invite(&mut trip.sim, carol, hours[1]));
            add(&mut trip.sim, ann, &of_carol).unwrap();
            add(&mut trip.sim, carol, &of_ann).unwrap();
            for _ in 0..2 {
                trip.meet_both();
            }
            for node in [ann, carol] {
                assert_eq!(contact_states(&mut trip.sim, node).len(), 2, "{what}: both have taken the other's request");
            }
            kept_back.set([false, true]);
            trip.meet(trip.to_carol);
            assert_eq!(contact_states(&mut trip.sim, carol), [ContactState::Established], "{what}");
            if met {
                trip.sim.send(carol, "ann", "over the new pair");
                trip.meet(trip.to_carol);
                trip.meet(trip.to_ann);
            }
            trip.sim.run_for(60 * HOUR);
            kept_back.set([false, false]);
            trip.meet(trip.to_ann);
            trip.expect_contacts(&what);
            trip.sim.connect(ann, carol, Faults::NONE);
            trip.sim.run_for(MINUTE);
            for node in [ann, carol] {
                assert!(in_reach_any(&mut trip.sim, node), "{what}");
            }
        }
    }
}

#[test]
fn sim_a_reply_under_way_at_the_links_last_hour_makes_a_contact() {
    let mut trip = Trip::new(seed());
    let link = invite(&mut trip.sim, trip.ann, 24);
    add_with(&mut trip.sim, trip.carol, &link, "hello");
    trip.meet(trip.to_carol);
    trip.sim.run_for(19 * HOUR);
    trip.meet(trip.to_ann);
    assert_eq!(texts(&mut trip.sim, trip.ann, "carol"), ["hello"]);
    trip.sim.run_for(36 * HOUR);
    assert_eq!(contact_states(&mut trip.sim, trip.carol), [ContactState::Pending], "its answer may be under way");
    trip.meet(trip.to_carol);
    trip.expect_contacts("36 h after the answer");
    assert!(states(&mut trip.sim, trip.carol, "ann").iter().all(|state| *state == MessageState::Delivered));
}

#[test]
fn sim_a_reply_that_no_carrier_takes_is_had_from_its_writer_after_the_last_hour() {
    let mut trip = Trip::new(seed());
    let link = invite(&mut trip.sim, trip.ann, 24);
    add_with(&mut trip.sim, trip.carol, &link, "hello");
    let ann = trip.ann;
    trip.sim.on_transmit(move |node, _, record| !(node == ann && record[0] == 5));
    trip.round();
    trip.sim.transmit_all();
    trip.sim.run_for(5 * DAY);
    trip.sim.tell(ann, Command::SetMode { mode: Mode::Contacts });
    trip.sim.connect(ann, trip.carol, Faults::NONE);
    trip.sim.run_for(2 * MINUTE);
    assert_eq!(contact_states(&mut trip.sim, trip.carol), [ContactState::Established]);
    assert_eq!(states(&mut trip.sim, trip.carol, "ann"), [MessageState::Delivered]);
}

#[test]
fn sim_a_request_fails_once_no_reply_can_come_and_what_rode_is_not_known_to_have_failed() {
    let mut trip = Trip::new(seed());
    let link = invite(&mut trip.sim, trip.ann, 24);
    add_with(&mut trip.sim, trip.carol, &link, "hello");
    trip.sim.send(trip.carol, "1", &"x".repeat(2000));
    trip.meet(trip.to_carol);
    trip.sim.run_for(3 * DAY);
    trip.sim.send(trip.carol, "1", "too late to ride");
    trip.sim.run_for(HOUR);
    let waiting = contacts(&mut trip.sim, trip.carol).remove(0);
    assert_eq!((waiting.state, waiting.tries), (ContactState::Pending, Some(1)), "no try after the last hour");
    assert!(matches!(add(&mut trip.sim, trip.carol, &link), Err(CommandError::Link(_))));
    trip.sim.run_for(13 * DAY);
    assert_eq!(contact_states(&mut trip.sim, trip.carol), [ContactState::Failed]);
    let shown = |message: hedgerow_sync::view::Message| (message.state, message.why.unwrap().contains("not known"));
    let shown: Vec<_> = trip.sim.messages(trip.carol, "1").into_iter().map(shown).collect();
    assert_eq!(shown, [(MessageState::Expired, true), (MessageState::Failed, false), (MessageState::Failed, false)]);
}

#[test]
fn sim_hand_overs_under_old_keys_do_not_count_under_new_ones() {
    let mut trip = Trip::new(seed());
    trip.sim.introduce(trip.ann, trip.carol);
    trip.round();
    trip.expect_contacts("by the first link");
    let slow = trip.sim.send(trip.ann, "carol", "slow");
    trip.meet(trip.to_ann);
    let handed = |trip: &mut Trip| {
        let message = trip.sim.messages(trip.ann, "carol").pop().unwrap();
        (message.text, message.state, message.handed_contacts, message.handed_strangers)
    };
    assert_eq!(handed(&mut trip), ("slow".into(), MessageState::Carried, 0, 1));
    // Only the exchange goes on; the message stays with the carrier.
    let carrier = trip.carrier;
    trip.sim.on_transmit(move |node, _, record| !(node == carrier && record[0] == 5 && record.len() < 4096));
    let link = invite(&mut trip.sim, trip.carol, 336);
    add(&mut trip.sim, trip.ann, &link).unwrap();
    for wire in [trip.to_ann, trip.to_carol, trip.to_ann, trip.to_ann] {
        trip.meet(wire);
    }
    assert_eq!(handed(&mut trip), ("slow".into(), MessageState::Carried, 0, 1), "what is sealed with the new keys");
    let Answer::Explanation(explanation) = trip.sim.tell(trip.ann, Command::Explain { id: slow }) else { panic!("no explanation") };
    assert_eq!(explanation.log.iter().filter(|happening| happening.what == What::NewKeys {}).count(), 1);
    trip.sim.transmit_all();
    trip.meet(trip.to_carol);
    assert_eq!(texts(&mut trip.sim, trip.carol, "ann").iter().filter(|text| *text == "slow").count(), 1);
}

/// Runs an exchange with a fault at one store; what was promised is there in the end.
fn run(seed: u64, set: impl FnOnce(&Trip)) -> Trip {
    let mut trip = Trip::new(seed);
    set(&trip);
    let ask = |trip: &mut Trip, node: NodeId, command: &Command| {
        for _ in 0..3 {
            if let Some(answer) = trip.sim.ask(node, command.clone()) {
                return answer.expect("a good command");
            }
            trip.sim.run_for(SECOND);
        }
        panic!("no answer after three restarts");
    };
    let (ann, carol) = (trip.ann, trip.carol);
    let Answer::Invitation(invitation) = ask(&mut trip, ann, &Command::Invite { hours: 336 }) else { panic!("no invitation") };
    ask(&mut trip, carol, &Command::AddContact { link: invitation.link, alias: Some("ann".into()), message: Some("hello".into()) });
    trip.round();
    trip.meet(trip.to_ann);
    trip.meet(trip.to_ann);
    trip.meet(trip.to_carol);
    trip
}

#[test]
fn kill_at_any_write_of_a_carried_exchange_loses_and_doubles_nothing() {
    let seed = seed();
    for side in [0, 2, 1] {
        let mut before = 0;
        let quiet = run(seed, |trip| before = trip.stores[side].point_count());
        let points = quiet.stores[side].point_count() - before;
        assert!(points > 20, "side {side} writes enough: {points}");
        for point in (1..=points).step_by(if side == 1 { 7 } else { 2 }) {
            let what = format!("seed {seed}, side {side}, point {point} of {points}");
            let mut trip = run(seed, |trip| trip.stores[side].crash_after_writes(point));
            let node = [trip.ann, trip.carrier, trip.carol][side];
            assert_eq!(trip.sim.restarts(node), 1, "{what}");
            let live: Vec<_> =
                contacts(&mut trip.sim, trip.ann).into_iter().filter(|contact| contact.state == ContactState::Established).collect();
            assert_eq!(live.len(), 1, "{what}");
            let number = live[0].contact.0.to_string();
            assert_eq!(texts(&mut trip.sim, trip.ann, &number), ["hello"], "{what}");
            assert_eq!(states(&mut trip.sim, trip.carol, "ann"), [MessageState::Delivered], "{what}");
        }
    }
}
