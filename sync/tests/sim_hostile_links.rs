//! What strangers, link holders and contacts who mean harm can do on a link, and what they must not.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test: what fails ends it")]

mod common;

use common::{
    HOUR, MINUTE, SECOND, Two, bundles, listen, seed,
    three::{Eve, START_HOUR, garbage},
};
use hedgerow_sync::{
    engine::Input,
    id::BundleId,
    session::{Role, SessionInfo},
    sim::{Faults, NodeId, Sim, WireId},
    store::Store,
    time::Hour,
    view::Command,
    wire::{
        bundle::{Bundle, Lifetime},
        record::{Hello, Record},
    },
};
use hedgerow_transports::{Direction, Flow, LinkId, LinkProperties, TransportKind};

const PICK: u8 = 0x03;
const BUNDLE: u8 = 0x05;
const STORED: u8 = 0x06;
const REFUSED: u8 = 0x07;
const ACK: u8 = 0x08;
const BYE: u8 = 0x0f;

/// The record that carries a bundle.
fn bundle_record(bundle: &[u8]) -> Vec<u8> {
    [&[BUNDLE, 0, 0, 255], bundle].concat()
}

/// The types of records that a puppet was sent.
fn kinds(records: &[Vec<u8>]) -> Vec<u8> {
    records.iter().map(|record| record[0]).collect()
}

/// Records of one type.
fn of_kind(records: &[Vec<u8>], kind: u8) -> Vec<Vec<u8>> {
    records.iter().filter(|record| record[0] == kind).cloned().collect()
}

/// HELLO of somebody with this beacon, without a clock.
fn hello(beacon: u8) -> Vec<u8> {
    [&[0x01][..], &[beacon; 8], &0_u32.to_be_bytes(), &1_048_576_u32.to_be_bytes(), &[0]].concat()
}

/// A stranger with a wire to a node, past HELLO; it has dialled.
fn stranger_at(sim: &mut Sim, node: NodeId, beacon: u8) -> (NodeId, WireId) {
    let eve = sim.stranger("eve");
    let wire = sim.connect(eve, node, Faults::NONE);
    sim.run_for(SECOND);
    sim.send_raw(wire, eve, &hello(beacon));
    sim.run_for(SECOND);
    sim.take_records(eve);
    (eve, wire)
}

/// Two contacts, of whom Ben has written, and whose bundles are acknowledged; the bundles.
fn long_read(two: &mut Two) -> Vec<Vec<u8>> {
    let heard = listen(&mut two.sim);
    two.write(two.ben, 3);
    two.sim.run_for(5 * HOUR);
    let bundles = bundles(&heard, two.ben);
    assert!(bundles.len() >= 3 && two.ann_store.load_gone().unwrap().len() >= 3, "read and let go");
    bundles
}

#[test]
fn sim_a_contact_that_brings_what_others_have_read_is_told_like_any_carrier() {
    let mut two = Two::contacts(seed());
    let bundles = long_read(&mut two);
    let (cat, _) = two.sim.node("cat");
    two.sim.introduce(two.ann, cat);
    let wire = two.sim.connect(cat, two.ann, Faults::NONE);
    two.sim.run_for(2 * SECOND);
    two.sim.possess(cat);
    for bundle in &bundles {
        two.sim.send_raw(wire, cat, &bundle_record(bundle));
    }
    two.sim.run_for(SECOND);
    let answers = two.sim.take_records(cat);
    assert!(of_kind(&answers, STORED).is_empty(), "{:?}", kinds(&answers));
    assert_eq!(of_kind(&answers, ACK).len(), bundles.len(), "the acks have been told to all before");
}

#[test]
fn sim_the_other_end_of_a_bundle_is_told_that_it_was_read() {
    let mut two = Two::contacts(seed());
    let bundles = long_read(&mut two);
    two.sim.possess(two.ben);
    two.sim.send_raw(two.wire, two.ben, &bundle_record(&bundles[0]));
    two.sim.run_for(SECOND);
    let answers = two.sim.take_records(two.ben);
    assert_eq!((of_kind(&answers, ACK).len(), of_kind(&answers, REFUSED).len()), (1, 1), "{:?}", kinds(&answers));
}

#[test]
fn sim_a_contact_that_carries_is_told_once_what_was_read_at_once_or_when_it_comes_again() {
    for stays in [true, false] {
        let mut two = Two::contacts(seed());
        let (cat, cat_store) = two.sim.node("cat");
        two.sim.introduce(two.ann, cat);
        let wire = two.sim.connect(cat, two.ann, Faults::NONE);
        two.sim.run_for(MINUTE);
        let heard = listen(&mut two.sim);
        two.write(two.ben, 3);
        two.sim.run_for(5 * SECOND);
        let written: Vec<BundleId> = bundles(&heard, two.ben).into_iter().map(|bytes| Bundle::decode(bytes).unwrap().id()).collect();
        let carried = || cat_store.bundle_ids().iter().filter(|id| written.contains(id)).count();
        assert!(written.len() >= 3 && carried() >= 3, "stays: {stays}");
        if !stays {
            // Until either has said that it has dealt with everything: else she is told because she offers them.
            two.sim.run_for(MINUTE);
            two.sim.cut(wire);
        }
        two.sim.run_for(5 * HOUR);
        if !stays {
            assert!(carried() >= 3, "nobody could tell her");
            two.sim.mend(wire);
            two.sim.run_for(MINUTE);
        }
        assert_eq!(carried(), 0, "stays: {stays}");
        heard.borrow_mut().clear();
        two.sim.cut(wire);
        two.sim.mend(wire);
        two.sim.run_for(MINUTE);
        assert!(!heard.borrow().iter().any(|(_, record)| record[0] == ACK), "nor told again, stays: {stays}");
    }
}

#[test]
fn sim_a_stranger_is_answered_without_a_look() {
    let mut two = Two::contacts(seed());
    let bundles = long_read(&mut two);
    let (eve, wire) = stranger_at(&mut two.sim, two.ann, 1);
    two.sim.send_raw(wire, eve, &[&[0x02, 0, 0][..], &[7; 16]].concat());
    two.sim.send_raw(wire, eve, &bundle_record(&bundles[0]));
    two.sim.run_for(SECOND / 2);
    let answers = two.sim.take_records(eve);
    assert_eq!(of_kind(&answers, PICK), [[PICK, 0, 0, 0]]);
    assert!(of_kind(&answers, ACK).is_empty());
    assert_eq!(of_kind(&answers, REFUSED)[0].last(), Some(&4), "not carried");
}

#[test]
fn sim_removing_a_contact_forgets_the_ids_it_could_ask_for() {
    let mut two = Two::contacts(seed());
    long_read(&mut two);
    two.sim.tell(two.ann, Command::RemoveContact { contact: "ben".into() });
    assert_eq!(two.ann_store.load_gone().unwrap(), []);
}

#[test]
fn sim_a_stranger_who_names_a_contacts_beacon_does_not_keep_it_from_being_dialled() {
    let mut two = Two::contacts(seed());
    two.sim.cut(two.wire);
    let beacon = two.sim.beacon(two.ben);
    assert!(!two.sim.is_linked(two.ann, beacon));
    let eve = two.sim.stranger("eve");
    let wire = two.sim.connect(eve, two.ann, Faults::NONE);
    two.sim.run_for(SECOND);
    let hello = [&[0x01][..], &beacon.0, &0_u32.to_be_bytes(), &1_048_576_u32.to_be_bytes(), &[0]].concat();
    two.sim.send_raw(wire, eve, &hello);
    two.sim.run_for(SECOND);
    assert!(two.sim.is_up(wire) && !two.sim.is_linked(two.ann, beacon));
    two.sim.mend(two.wire);
    two.sim.run_for(SECOND);
    assert!(two.sim.is_linked(two.ann, beacon), "the contact itself is believed");
    two.sim.cut(two.wire);
    assert!(!two.sim.is_linked(two.ann, beacon), "and free once its link is down");
}

#[test]
fn sim_a_stranger_who_was_dialled_is_not_dialled_again_while_the_link_lives() {
    let mut two = Two::strangers(seed(), Faults::NONE);
    two.sim.run_for(SECOND);
    let (ann, ben) = (two.sim.beacon(two.ann), two.sim.beacon(two.ben));
    assert!(two.sim.is_linked(two.ann, ben), "dialled");
    assert!(!two.sim.is_linked(two.ben, ann), "was dialled by");
    two.sim.cut(two.wire);
    assert!(!two.sim.is_linked(two.ann, ben));
}

/// Blocks or removes Ben at Ann once recognition has come to each of its steps; whatever he had confirmed, he is not let in.
fn while_recognising(command: &Command) {
    for step in 0..8 {
        let mut two = Two::contacts(seed());
        let epoch = two.epoch_of_ann();
        two.sim.cut(two.wire);
        two.sim.mend(two.wire);
        two.sim.run_for(SECOND / 1000 * step);
        two.sim.tell(two.ann, command.clone());
        let heard = listen(&mut two.sim);
        two.sim.run_for(2 * SECOND);
        let said = heard.borrow();
        let cursors = said.iter().filter(|(_, record)| record[0] == 0x0a && record[1..9] == epoch).count();
        assert_eq!(cursors, 0, "step {step}: met as a contact");
        drop(said);
        let neighbours = common::status(&mut two.sim, two.ann).neighbours;
        assert!(neighbours.iter().all(|neighbour| neighbour.contact.is_none()), "step {step}: {neighbours:?}");
    }
}

#[test]
fn sim_a_contact_blocked_while_it_is_recognised_is_not_let_in() {
    while_recognising(&Command::BlockContact { contact: "ben".into(), blocked: true });
}

#[test]
fn sim_a_contact_removed_while_it_is_recognised_is_not_let_in() {
    while_recognising(&Command::RemoveContact { contact: "ben".into() });
}

#[test]
fn sim_a_stranger_who_sends_bundles_is_refused_and_sent_away() {
    let mut two = Two::contacts(seed());
    let (eve, wire) = stranger_at(&mut two.sim, two.ann, 1);
    for _ in 0..3 {
        two.sim.send_raw(wire, eve, &bundle_record(&[1; 512]));
    }
    two.sim.run_for(SECOND / 2);
    let answers = two.sim.take_records(eve);
    assert_eq!(kinds(&answers), [REFUSED, BYE]);
    assert_eq!((answers[0].last(), answers[1].last()), (Some(&4), Some(&3)));
    assert!(!two.sim.is_up(wire));
}

#[test]
fn sim_what_is_no_bundle_is_refused_and_the_session_lives() {
    let mut two = Two::contacts(seed());
    two.sim.possess(two.ben);
    for bundle in [vec![1; 100], vec![9; 512], vec![1; 4096]] {
        two.sim.send_raw(two.wire, two.ben, &bundle_record(&bundle));
    }
    two.sim.run_for(SECOND / 2);
    let answers = two.sim.take_records(two.ben);
    let reasons: Vec<u8> = of_kind(&answers, REFUSED).iter().flat_map(|record| record[1..].chunks(9).map(|one| one[8])).collect();
    assert_eq!(reasons, [5, 5, 5]);
    assert!(two.sim.is_up(two.wire) && of_kind(&answers, BYE).is_empty());
}

/// Ann has made a link, of which Ben is a holder who speaks only for the test; the request he would have sent.
fn link_holder() -> (Two, Vec<u8>) {
    let mut two = Two::strangers(seed(), Faults::NONE);
    let requests = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
    let (ben, kept) = (two.ben, std::rc::Rc::clone(&requests));
    two.sim.on_transmit(move |node, _, record| {
        let is_request = node == ben && record[0] == BUNDLE;
        if is_request {
            kept.borrow_mut().push(record[4..].to_vec());
        }
        !is_request
    });
    two.sim.introduce(two.ann, two.ben);
    two.sim.run_for(2 * SECOND);
    two.sim.possess(two.ben);
    let request = requests.borrow()[0].clone();
    (two, request)
}

#[test]
fn sim_a_link_holder_who_repeats_his_request_has_one_answer_and_fills_nothing() {
    let (mut two, request) = link_holder();
    for _ in 0..40 {
        two.sim.send_raw(two.wire, two.ben, &bundle_record(&request));
        two.sim.run_for(SECOND / 10);
    }
    let answers = two.sim.take_records(two.ben);
    assert_eq!(of_kind(&answers, BUNDLE).len(), 1, "further tries have other tags; this one has its answer");
    assert_eq!(common::status(&mut two.sim, two.ann).bundles, 1, "the answer, none of the requests");
}

#[test]
fn sim_a_link_holder_who_sends_garbage_has_eight_tries() {
    let (mut two, mut request) = link_holder();
    two.sim.take_events(two.ann);
    for number in 0..30 {
        *request.last_mut().unwrap() = number;
        two.sim.send_raw(two.wire, two.ben, &bundle_record(&request));
    }
    two.sim.run_for(SECOND);
    assert_eq!(common::status(&mut two.sim, two.ann).bundles, 0);
    assert_eq!(common::notices(&mut two.sim, two.ann), ["unopened"]);
    let answers = two.sim.take_records(two.ben);
    let refused: usize = of_kind(&answers, REFUSED).iter().map(|record| (record.len() - 1) / 9).sum();
    assert!((21..=22).contains(&refused), "{refused}");
}

#[test]
fn sim_an_idle_link_is_not_replaced_while_it_lives() {
    for dialled_by_ann in [true, false] {
        let mut two = Two::contacts(seed());
        two.sim.run_for(15 * SECOND);
        let older = two.sim.link_of(two.wire, two.ann);
        let (from, to) = if dialled_by_ann { (two.ann, two.ben) } else { (two.ben, two.ann) };
        let second = two.sim.connect(from, to, Faults::NONE);
        two.sim.run_for(SECOND / 2);
        assert!(!two.sim.is_up(second), "the newer one went");
        two.sim.run_for(20 * SECOND);
        assert!(older.is_some() && two.sim.link_of(two.wire, two.ann) == older, "the older one stayed");
    }
}

#[test]
fn sim_a_new_link_is_not_ended_by_who_names_its_beacon() {
    let mut two = Two::strangers(seed(), Faults::NONE);
    let mut lost = 0;
    for _ in 0..8 {
        two.sim.cut(two.wire);
        two.sim.run_for(MINUTE);
        two.sim.mend(two.wire);
        two.sim.keep_down(two.wire);
        two.sim.run_for(SECOND / 2);
        assert!(two.sim.is_up(two.wire));
        let beacon = two.sim.beacon(two.ben);
        let mut wires = Vec::new();
        // Among three sessions there is most often one whose hash is lower.
        for _ in 0..3 {
            let eve = two.sim.stranger("eve");
            let wire = two.sim.connect(eve, two.ann, Faults::NONE);
            two.sim.keep_down(wire);
            two.sim.run_for(SECOND / 10);
            let hello = Hello { beacon, hour: Hour(0), window: 1_048_576, carries: true };
            two.sim.send_raw(wire, eve, &Record::Hello(hello).encode());
            two.sim.run_for(SECOND / 10);
            wires.push(wire);
        }
        two.sim.run_for(12 * SECOND);
        lost += usize::from(!two.sim.is_up(two.wire));
        assert!(wires.into_iter().all(|wire| !two.sim.is_up(wire)), "they are taken for second links to Ben");
    }
    assert_eq!(lost, 0, "of 8 honest links");
}

#[test]
fn sim_of_two_links_between_two_strangers_one_stays() {
    for number in 0..24 {
        let mut two = Two::strangers(seed() + number, Faults::NONE);
        // Records flow from the beginning.
        for (node, first) in [(two.ann, 0), (two.ben, 50)] {
            let eve = Eve::dial(&mut two.sim, node);
            let bundles: Vec<Vec<u8>> = (first..first + 20).map(|number| garbage(number, START_HOUR, Lifetime::Fortnight, 512)).collect();
            two.sim.cut(two.wire);
            eve.hand(&mut two.sim, &bundles, 0);
            two.sim.cut(eve.wire);
        }
        // Both dial at nearly the same time, over ways of different lengths: HELLOs come in any order.
        let delay = SECOND / 1000 * [1, 20, 300][number as usize % 3];
        let other = two.sim.connect(two.ben, two.ann, Faults { delay, ..Faults::NONE });
        two.sim.keep_down(other);
        two.sim.run_for(SECOND / 1000 * (number as u32 / 3 * 40));
        two.sim.mend(two.wire);
        two.sim.keep_down(two.wire);
        two.sim.run_for(13 * SECOND);
        let up = [two.wire, other].into_iter().filter(|wire| two.sim.is_up(*wire)).count();
        assert_eq!(up, 1, "number {number}");
    }
}

#[test]
fn sim_a_dead_link_is_replaced_by_a_newer_one() {
    for dialled_by_ann in [true, false] {
        let mut two = Two::contacts(seed());
        two.sim.run_for(6 * SECOND);
        let dead = [two.sim.link_of(two.wire, two.ann), two.sim.link_of(two.wire, two.ben)];
        two.sim.on_transmit(move |_, link, _| !dead.contains(&Some(link)));
        let (from, to) = if dialled_by_ann { (two.ann, two.ben) } else { (two.ben, two.ann) };
        let second = two.sim.connect(from, to, Faults::NONE);
        two.sim.run_for(SECOND);
        let newer = two.sim.link_of(second, two.ann);
        two.sim.run_for(5 * SECOND);
        assert!(newer.is_some() && two.sim.link_of(second, two.ann) == newer, "the newer one stayed");
        assert!(!dead.contains(&two.sim.link_of(two.wire, two.ann)), "the older one went");
    }
}

#[test]
fn sim_an_idle_link_costs_one_ping_and_one_pong() {
    let mut two = Two::contacts(seed());
    two.sim.run_for(6 * common::MINUTE);
    let heard = listen(&mut two.sim);
    two.sim.run_for(10 * common::MINUTE);
    let heard = heard.borrow();
    let pings: Vec<_> = heard.iter().filter(|(_, record)| record[0] == 0x0d).collect();
    assert!((20..=25).contains(&pings.len()), "{}", pings.len());
    assert!(heard.len() <= 2 * pings.len() + 2, "{}", heard.len());
}

#[test]
fn sim_links_that_never_finish_recognition_do_not_keep_a_contact_out() {
    let mut two = Two::contacts(seed());
    two.sim.cut(two.wire);
    two.sim.mend(two.wire);
    for number in 0..40 {
        let properties = LinkProperties {
            kind: TransportKind::Memory,
            direction: Direction::Inbound,
            dialled: None,
            flow: Flow::Duplex,
            rate: 1_000_000,
            latency_ms: 1,
            metered: false,
        };
        let info = SessionInfo { hash: [number; 32], role: Role::Responder, version: 1 };
        two.sim.inject(two.ann, Input::Handshaken { link: LinkId(1_000_000 + u64::from(number)), properties, info });
    }
    two.sim.run_for(SECOND);
    assert!(common::in_reach(&mut two.sim, two.ann, "ben"));
}

#[test]
fn sim_strangers_who_dialled_are_few() {
    let mut two = Two::contacts(seed());
    two.sim.cut(two.wire);
    for _ in 0..20 {
        let eve = two.sim.stranger("eve");
        two.sim.connect(eve, two.ann, Faults::NONE);
    }
    let dialled = two.sim.stranger("dan");
    two.sim.connect(two.ann, dialled, Faults::NONE);
    two.sim.run_for(SECOND / 2);
    let neighbours = common::status(&mut two.sim, two.ann).neighbours;
    assert_eq!(neighbours.iter().filter(|neighbour| !neighbour.outbound).count(), 4);
    assert_eq!(neighbours.iter().filter(|neighbour| neighbour.outbound).count(), 1, "whom we dial is our own choice");
    two.sim.mend(two.wire);
    two.sim.run_for(SECOND);
    assert!(common::in_reach(&mut two.sim, two.ann, "ben"));
}

#[test]
fn sim_what_was_refused_for_lack_of_room_is_offered_again_within_a_long_session() {
    const OFFER: u8 = 0x02;
    let mut two = Two::contacts(seed());
    two.sim.run_for(common::MINUTE);
    two.sim.possess(two.ben);
    two.write(two.ann, 4);
    two.sim.run_for(SECOND);
    two.sim.refuse_all(two.wire, two.ben);
    let link = two.sim.link_of(two.wire, two.ann);
    two.sim.take_records(two.ben);
    let mut offers = Vec::new();
    for _ in 0..70 * 4 {
        two.sim.send_raw(two.wire, two.ben, &[0x0d]);
        two.sim.run_for(15 * SECOND);
        offers.push(of_kind(&two.sim.take_records(two.ben), OFFER).len());
    }
    assert_eq!(two.sim.link_of(two.wire, two.ann), link, "one session");
    assert_eq!(offers[..59 * 4].iter().sum::<usize>(), 0, "not within an hour");
    assert_eq!(offers.iter().sum::<usize>(), 1);
}
