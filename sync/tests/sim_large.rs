//! Large messages over wires that break, by strangers who bring parts of them, and past restarts of both sides.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test: what fails ends it")]

mod common;

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use common::{
    DAY, HOUR, MINUTE, SECOND, Two, seed, status,
    three::{Three, node_as},
};
use hedgerow_sync::{
    engine::EngineConfig,
    id::{BundleId, ContactId, MessageId},
    sim::{Faults, NodeId, Sim},
    store::{Setting, Store, memory::MemoryStore},
    view::{Answer, Command, CommandError, Data, Event, Message, MessageState},
    wire::{bundle::Bundle, item::MAX_DATA_LEN},
};

const CHUNK: usize = 4_096;

fn content(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index * 7 % 251) as u8).collect()
}

fn send_data(sim: &mut Sim, from: NodeId, to: &str, data: &[u8]) -> MessageId {
    match sim.tell(from, Command::SendData { contact: to.into(), data: data.to_vec(), id: None }) {
        Answer::Sent(sent) => sent.id,
        other => panic!("{other:?}"),
    }
}

/// The content of an incoming message, as far as it is there.
fn received(store: &MemoryStore, id: MessageId) -> Vec<u8> {
    let mut content = Vec::new();
    for contact in store.load_contacts().unwrap() {
        let mut parts = Vec::new();
        store.visit_parts(contact.id, false, id, &mut |part| parts.push(part)).unwrap();
        content.extend(parts.iter().flat_map(|part| store.load_part(contact.id, false, id, *part).unwrap().unwrap().to_vec()));
    }
    content
}

fn count_parts(store: &MemoryStore, outgoing: bool, id: MessageId) -> usize {
    let mut count = 0;
    for contact in store.load_contacts().unwrap() {
        store.visit_parts(contact.id, outgoing, id, &mut |_| count += 1).unwrap();
    }
    count
}

fn message(sim: &mut Sim, node: NodeId, contact: &str, id: MessageId) -> Message {
    sim.messages(node, contact).into_iter().find(|message| message.id == id).expect("the message is there")
}

/// How often a node has told that an incoming message is delivered.
fn deliveries(sim: &mut Sim, node: NodeId) -> usize {
    let is_delivery =
        |event: &Event| matches!(event, Event::Message(message) if !message.outgoing && message.state == MessageState::Delivered);
    sim.take_events(node).iter().filter(|event| is_delivery(event)).count()
}

/// Says that a large message is there, once, whole, and known to be; its writer keeps nothing of it.
fn expect_whole(two: &mut Two, id: MessageId, data: &[u8]) {
    let (ann, ben) = (two.ann, two.ben);
    let got = message(&mut two.sim, ben, "ann", id);
    let length = data.len() as u32;
    assert_eq!((got.state, got.data), (MessageState::Delivered, Some(Data { length, received: length })));
    assert!(got.text.is_empty());
    assert_eq!(received(&two.ben_store, id), data);
    let sent = message(&mut two.sim, ann, "ben", id);
    assert_eq!((sent.state, sent.data), (MessageState::Delivered, Some(Data { length, received: length })));
    assert_eq!(count_parts(&two.ann_store, true, id), 0, "nothing of the content is kept");
}

type Counts = Rc<RefCell<BTreeMap<BundleId, usize>>>;

/// Counts how often each bundle as large as a chunk is handed to a link by a node.
fn count_bundles(sim: &mut Sim, node: NodeId) -> Counts {
    let counts = Counts::default();
    let counter = Rc::clone(&counts);
    sim.on_transmit(move |from, _, record| {
        if from == node && record[0] == 5 && record.len() > CHUNK {
            let id = Bundle::decode(record[4..].to_vec()).unwrap().id();
            *counter.borrow_mut().entry(id).or_default() += 1;
        }
        true
    });
    counts
}

#[test]
fn sim_500_kb_over_a_wire_that_breaks_every_ten_seconds() {
    for (lasts, most_cuts) in [(10, 3), (3, 12)] {
        let mut two = Two::contacts_over(seed(), Faults { rate: 50_000, ..Faults::NONE });
        let (ann, ben, data) = (two.ann, two.ben, content(500_000));
        let counts = count_bundles(&mut two.sim, ann);
        deliveries(&mut two.sim, ben);
        let id = send_data(&mut two.sim, ann, "ben", &data);
        let mut cuts = 0;
        loop {
            two.sim.run_for(lasts * SECOND);
            if message(&mut two.sim, ann, "ben", id).state == MessageState::Delivered {
                break;
            }
            two.sim.cut(two.wire);
            cuts += 1;
            assert!(cuts <= most_cuts, "{cuts} cuts of a wire that lasts {lasts} s");
            two.sim.run_for(5 * SECOND);
            two.sim.mend(two.wire);
        }
        assert!(cuts > 0, "the wire breaks meanwhile");
        expect_whole(&mut two, id, &data);
        assert_eq!(deliveries(&mut two.sim, ben), 1);
        let counts = counts.borrow();
        let again: usize = counts.values().map(|times| times - 1).sum();
        // Two seconds' worth of the wire are unanswered at most.
        let window = 2 * 50_000 / CHUNK;
        println!("{} bundles, {again} again after {cuts} cuts", counts.len());
        assert!(counts.len() >= 125 && again <= cuts * (window + 1), "{again} of {} again after {cuts} cuts", counts.len());
    }
}

#[test]
fn sim_two_strangers_bring_a_half_each() {
    let mut three = Three::new(seed());
    let (ann, carol) = (three.ann, three.carol);
    let (dan, _) = node_as(&mut three.sim, "dan", EngineConfig::default());
    let near = three.sim.connect(ann, dan, Faults::NONE);
    let far = three.sim.connect(carol, dan, Faults::NONE);
    three.sim.cut(near);
    three.sim.cut(far);
    let data = content(300_000);
    let id = send_data(&mut three.sim, ann, "carol", &data);
    three.sim.run_for(6 * MINUTE);
    // Each is given the chunks that the other is not.
    for (wire, other_half) in [(three.near, 0), (near, 1)] {
        three
            .sim
            .on_transmit(move |from, _, record| from != ann || record[0] != 5 || record.len() < CHUNK || record[4 + 8] % 2 != other_half);
        // What is kept from it is never answered, and fills the window: a new meeting goes on with the rest.
        for _ in 0..8 {
            three.meet(wire, 20 * SECOND);
        }
    }
    three.sim.transmit_all();
    three.meet(three.far, 20 * SECOND);
    let half = message(&mut three.sim, carol, "ann", id);
    let got = half.data.unwrap().received;
    assert!(half.state == MessageState::Carried && (80_000..220_000).contains(&got), "{got} bytes by one of them");
    three.meet(far, 20 * SECOND);
    let whole = message(&mut three.sim, carol, "ann", id);
    assert_eq!(whole.state, MessageState::Delivered);
    assert_eq!(received(&three.carol_store, id), data);
    // The word that it is complete goes back by carriers, too.
    three.sim.run_for(6 * MINUTE);
    three.meet(far, 20 * SECOND);
    three.meet(near, 20 * SECOND);
    assert_eq!(message(&mut three.sim, ann, "carol", id).state, MessageState::Delivered);
    // And the acks of all chunks: in the end nobody carries anything.
    for _ in 0..3 {
        three.sim.run_for(5 * HOUR);
        for wire in [far, near, three.far, three.near] {
            three.meet(wire, 20 * SECOND);
        }
    }
    for node in [ann, carol, three.bob, dan] {
        assert_eq!(status(&mut three.sim, node).bundles, 0, "{node:?}");
    }
}

#[test]
fn sim_either_side_restarts_in_the_middle() {
    for side in 0..2 {
        let mut two = Two::contacts_over(seed(), Faults { rate: 100_000, ..Faults::NONE });
        let (ann, data) = (two.ann, content(400_000));
        let node = [two.ann, two.ben][side];
        let counts = count_bundles(&mut two.sim, ann);
        let id = send_data(&mut two.sim, ann, "ben", &data);
        for _ in 0..3 {
            two.sim.run_for(SECOND);
            two.sim.kill(node);
            two.sim.run_for(SECOND);
            two.sim.revive(node);
        }
        two.sim.run_for(10 * SECOND);
        expect_whole(&mut two, id, &data);
        assert!(counts.borrow().len() <= 102, "100 chunks are the same after a restart: {}", counts.borrow().len());
    }
}

#[test]
fn sim_a_stop_at_any_write_loses_and_doubles_nothing() {
    let data = content(9_000);
    let run = |fault: Option<(usize, u64)>| {
        let mut two = Two::contacts(seed());
        let stores = [two.ann_store.handle(), two.ben_store.handle()];
        let first = [stores[0].point_count(), stores[1].point_count()];
        let id = MessageId([9; 16]);
        if let Some((side, point)) = fault {
            stores[side].crash_after_writes(point);
        }
        // As a script does that gets no answer.
        let command = Command::SendData { contact: "ben".into(), data: data.clone(), id: Some(id) };
        let answered = (0..3).any(|_| {
            let answer = two.sim.ask(two.ann, command.clone());
            two.sim.run_for(SECOND);
            answer.is_some_and(|answer| answer.is_ok())
        });
        assert!(answered, "{fault:?}");
        two.sim.run_for(5 * SECOND);
        let points = [0, 1].map(|side: usize| stores[side].point_count() - first[side]);
        (two, id, points)
    };
    let (mut quiet, id, points) = run(None);
    expect_whole(&mut quiet, id, &data);
    for (side, points) in points.into_iter().enumerate() {
        assert!(points > 20, "the run writes enough to be worth it: {points}");
        for point in 1..=points {
            let (mut two, id, _) = run(Some((side, point)));
            assert_eq!(two.sim.restarts([two.ann, two.ben][side]), 1, "side {side}, point {point}");
            println!("side {side}, point {point} of {points}");
            expect_whole(&mut two, id, &data);
        }
    }
}

#[test]
fn sim_chunks_that_come_before_their_manifest_need_not_come_again() {
    let mut two = Two::contacts(seed());
    let (ann, data) = (two.ann, content(100_000));
    two.sim.on_transmit(move |from, _, record| from != ann || record[0] != 5 || record.len() > CHUNK);
    let id = send_data(&mut two.sim, ann, "ben", &data);
    two.sim.run_for(3 * SECOND);
    assert!(two.sim.messages(two.ben, "ann").is_empty());
    let counts = count_bundles(&mut two.sim, ann);
    two.sim.cut(two.wire);
    two.sim.mend(two.wire);
    two.sim.run_for(3 * SECOND);
    expect_whole(&mut two, id, &data);
    // A bundle of the contact exchange is as large, and may come again.
    assert!(counts.borrow().len() <= 1, "25 chunks were there: {}", counts.borrow().len());
}

#[test]
fn sim_taken_back_before_it_left_and_sent_once_more() {
    let mut two = Two::contacts(seed());
    let (ann, data) = (two.ann, content(50_000));
    two.sim.cut(two.wire);
    let before = status(&mut two.sim, ann).bundles;
    let id = send_data(&mut two.sim, ann, "ben", &data);
    assert_eq!(status(&mut two.sim, ann).bundles - before, 14, "a manifest and 13 chunks");
    two.sim.tell(ann, Command::Cancel { id });
    assert_eq!(status(&mut two.sim, ann).bundles, before);
    assert_eq!(message(&mut two.sim, ann, "ben", id).state, MessageState::Failed);
    two.sim.tell(ann, Command::Retry { id });
    assert_eq!(status(&mut two.sim, ann).bundles - before, 14);
    two.sim.mend(two.wire);
    two.sim.run_for(SECOND / 2);
    let refused = two.sim.ask(ann, Command::Cancel { id }).unwrap();
    assert!(matches!(refused, Err(CommandError::MessageState(_))), "{refused:?}");
    two.sim.run_for(5 * SECOND);
    expect_whole(&mut two, id, &data);
}

#[test]
fn sim_what_ran_out_is_said_on_both_sides_and_goes_on_when_it_is_sent_once_more() {
    let mut two = Two::contacts(seed());
    let (ann, ben, data) = (two.ann, two.ben, content(40_000));
    // Of the chunks only some arrive.
    let mut passed = 0;
    two.sim.on_transmit(move |from, _, record| {
        let is_chunk = from == ann && record[0] == 5 && record.len() > CHUNK;
        passed += usize::from(is_chunk);
        !is_chunk || passed <= 4
    });
    let id = send_data(&mut two.sim, ann, "ben", &data);
    two.sim.run_for(3 * SECOND);
    two.sim.cut(two.wire);
    assert_eq!(message(&mut two.sim, ben, "ann", id).data, Some(Data { length: 40_000, received: 4 * 4_032 }));
    for _ in 0..16 {
        two.sim.run_for(DAY);
    }
    assert_eq!(message(&mut two.sim, ann, "ben", id).state, MessageState::Expired);
    let there = message(&mut two.sim, ben, "ann", id);
    assert_eq!((there.state, count_parts(&two.ben_store, false, id)), (MessageState::Expired, 0));
    assert!(there.why.is_some());
    two.sim.transmit_all();
    two.sim.tell(ann, Command::Retry { id });
    two.sim.mend(two.wire);
    two.sim.run_for(5 * SECOND);
    expect_whole(&mut two, id, &data);
}

#[test]
fn sim_new_keys_after_a_restore_bring_what_is_missing() {
    for side in 0..2 {
        let mut two = Two::contacts_over(seed(), Faults { rate: 50_000, ..Faults::NONE });
        let (ann, data) = (two.ann, content(300_000));
        let id = send_data(&mut two.sim, ann, "ben", &data);
        two.sim.run_for(2 * SECOND);
        let node = [two.ann, two.ben][side];
        let backup = [&two.ann_store, &two.ben_store][side].clone();
        two.sim.run_for(2 * SECOND);
        backup.reopen();
        let mut restored = backup.handle();
        restored.begin().unwrap();
        restored.save_setting(Setting::Restored, &[1]).unwrap();
        restored.commit().unwrap();
        two.sim.restore(node, &restored);
        *[&mut two.ann_store, &mut two.ben_store][side] = restored;
        two.sim.run_for(HOUR);
        expect_whole(&mut two, id, &data);
    }
}

#[test]
fn sim_what_is_no_content_is_refused_and_an_id_names_one() {
    let mut two = Two::contacts(seed());
    let ann = two.ann;
    for length in [0, MAX_DATA_LEN + 1] {
        let refused = two.sim.ask(ann, Command::SendData { contact: "ben".into(), data: vec![0; length], id: None }).unwrap();
        assert_eq!(refused, Err(CommandError::TextLength { length, limit: MAX_DATA_LEN }));
    }
    let id = Some(MessageId([5; 16]));
    let mut send = |data: &[u8]| two.sim.ask(ann, Command::SendData { contact: "ben".into(), data: data.to_vec(), id }).unwrap();
    assert!(send(b"binary \xff").is_ok() && send(b"binary \xff").is_ok());
    assert_eq!(send(b"other"), Err(CommandError::IdTaken));
    let text = Command::Send { contact: "ben".into(), text: "words".into(), id, urgent: false };
    assert_eq!(two.sim.ask(ann, text).unwrap(), Err(CommandError::IdTaken));
    two.sim.run_for(2 * SECOND);
    expect_whole(&mut two, MessageId([5; 16]), b"binary \xff");
}

#[test]
fn sim_the_largest_arrives_and_texts_go_on_meanwhile() {
    let mut two = Two::contacts(seed());
    let (ann, data) = (two.ann, content(MAX_DATA_LEN));
    let id = send_data(&mut two.sim, ann, "ben", &data);
    let text = two.sim.send(ann, "ben", "meanwhile");
    two.sim.run_for(20 * SECOND);
    expect_whole(&mut two, id, &data);
    assert_eq!(message(&mut two.sim, two.ben, "ann", text).state, MessageState::Delivered);
}

#[test]
fn sim_data_written_to_who_is_no_contact_yet_waits_for_it() {
    let mut two = Two::strangers(seed(), Faults::NONE);
    two.sim.cut(two.wire);
    two.sim.introduce(two.ben, two.ann);
    let (ann, data) = (two.ann, content(20_000));
    let id = send_data(&mut two.sim, ann, "1", &data);
    two.sim.mend(two.wire);
    two.sim.run_for(5 * SECOND);
    expect_whole(&mut two, id, &data);
    assert!(two.ann_store.load_contacts().unwrap().iter().all(|contact| contact.id == ContactId(1)));
}
