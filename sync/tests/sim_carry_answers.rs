//! What a node does because of a bundle that somebody carried to it: when it is opened, when the answer leaves, and what MARK says of an
//! upgraded session.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test: what fails ends it")]

mod common;

use std::{collections::BTreeSet, time::Duration};

use common::{
    HOUR, MINUTE, SECOND, Two, seed,
    three::{Eve, START_HOUR, Three, garbage, held, id_of, node_as},
};
use hedgerow_sync::{
    engine::EngineConfig,
    id::{BundleId, ShortId},
    sim::{Faults, NodeId, Sim},
    store::memory::MemoryStore,
    view::{Command, Mode},
    wire::{bundle::Lifetime, record::Record},
};

/// Own bundles are held back for the longest time, always: of hundreds none is released before the third minute.
fn slow() -> EngineConfig {
    EngineConfig { own_delay: (1_000_000 * HOUR, 300 * SECOND), ..EngineConfig::default() }
}

/// What Eve is offered within a time, in which she says only that she lives.
fn offered(sim: &mut Sim, eve: &Eve, span: Duration) -> Vec<ShortId> {
    let end = sim.elapsed() + span;
    let mut offered = Vec::new();
    while sim.elapsed() < end {
        sim.run_for(5 * SECOND);
        for record in eve.hear(sim) {
            if let Record::Offer { ids, .. } = record {
                offered.extend(ids);
            }
        }
    }
    offered
}

/// What came of bundles that were handed to a node without other neighbours.
struct Answers {
    /// Sealed as these were opened.
    caused: BTreeSet<BundleId>,
    /// Of these, offered in three minutes after it, over two sessions, and in the four after them.
    early: usize,
    late: usize,
    /// Offered in the first three minutes, whatever it was.
    any_early: usize,
}

fn answers_to(sim: &mut Sim, node: NodeId, store: &MemoryStore, bundles: &[Vec<u8>]) -> Answers {
    let mut eve = Eve::dial(sim, node);
    sim.run_for(5 * SECOND);
    eve.hear(sim);
    let before: BTreeSet<BundleId> = store.bundle_ids().into_iter().chain(bundles.iter().map(|bytes| id_of(bytes))).collect();
    for bytes in bundles {
        eve.say(sim, &Record::Bundle { age: 0, copies: 255, bytes: bytes.clone() });
    }
    // All are opened by then; a receipt that is owed since leaves a while later, as any does.
    sim.run_for(2 * SECOND);
    let caused: BTreeSet<BundleId> = store.bundle_ids().into_iter().filter(|id| !before.contains(id)).collect();
    let count = |eve: &Eve, offered: &[ShortId]| caused.iter().filter(|id| offered.contains(&eve.short(id))).count();
    let first = offered(sim, &eve, 90 * SECOND);
    let mut early = count(&eve, &first);
    eve.come_again(sim);
    let second = offered(sim, &eve, 90 * SECOND);
    early += count(&eve, &second);
    let third = offered(sim, &eve, 4 * MINUTE);
    let late = count(&eve, &third);
    sim.cut(eve.wire);
    Answers { any_early: first.len() + second.len(), early, late, caused }
}

#[test]
fn sim_the_answer_to_a_carried_request_leaves_no_sooner_than_anything_sealed() {
    let mut sim = Sim::new(seed());
    let (ann, ann_store) = node_as(&mut sim, "ann", slow());
    let (ben, ben_store) = node_as(&mut sim, "ben", EngineConfig::default());
    let (dave, dave_store) = node_as(&mut sim, "dave", slow());
    let link = common::invite(&mut sim, ann, 336);
    common::add(&mut sim, ben, &link).unwrap();
    sim.run_for(10 * MINUTE);
    let requests: Vec<Vec<u8>> = held(&ben_store).into_iter().map(|(_, bytes)| bytes).collect();
    assert_eq!(requests.len(), 1);
    let said = answers_to(&mut sim, dave, &dave_store, &requests);
    assert_eq!((said.caused.len(), said.any_early), (0, 0), "to whom they say nothing");
    let said = answers_to(&mut sim, ann, &ann_store, &requests);
    assert_eq!((said.caused.len(), said.any_early), (1, 0), "whoever brings a request does not see that this is its reader");
    assert_eq!(said.late, 1, "the answer leaves all the same");
}

#[test]
fn sim_texts_that_waited_for_a_carried_receipt_leave_no_sooner_than_anything_sealed() {
    const TEXTS: usize = 600;
    let mut three = Three::with(seed(), &slow(), EngineConfig::default());
    three.write(three.ann, TEXTS);
    let sealed = three.ann_store.bundle_ids().len();
    assert!(sealed < TEXTS, "not all at once: {sealed}");
    three.sim.run_for(10 * MINUTE);
    three.meet(three.near, 20 * SECOND);
    three.meet(three.far, 20 * SECOND);
    three.sim.run_for(15 * MINUTE);
    let eve = Eve::dial(&mut three.sim, three.carol);
    let ann = three.ann_store.bundle_ids();
    let receipts: Vec<Vec<u8>> =
        eve.collect(&mut three.sim, 20 * SECOND).into_iter().filter(|bytes| !ann.contains(&id_of(bytes))).collect();
    three.sim.cut(eve.wire);
    assert!(!receipts.is_empty());
    let said = answers_to(&mut three.sim, three.ann, &three.ann_store, &receipts);
    assert!(said.caused.len() > 100, "more was sealed: {}", said.caused.len());
    assert_eq!(said.early, 0, "whoever brings a receipt does not see whose it is");
    assert_eq!(said.late, said.caused.len(), "what was sealed leaves all the same");
}

/// Which of what is held back is an answer is not stored.
#[test]
fn sim_an_answer_that_is_held_back_over_a_restart_is_offered_to_no_stem() {
    let mut sim = Sim::new(seed());
    let (ann, ann_store) = node_as(&mut sim, "ann", slow());
    let (ben, ben_store) = node_as(&mut sim, "ben", EngineConfig::default());
    let link = common::invite(&mut sim, ann, 336);
    common::add(&mut sim, ben, &link).unwrap();
    sim.run_for(10 * MINUTE);
    let requests: Vec<Vec<u8>> = held(&ben_store).into_iter().map(|(_, bytes)| bytes).collect();
    let mut eve = Eve::dial(&mut sim, ann);
    eve.hand(&mut sim, &requests, 0);
    let answers: Vec<BundleId> = ann_store.bundle_ids().into_iter().filter(|id| *id != id_of(&requests[0])).collect();
    assert_eq!(answers.len(), 1);
    sim.kill(ann);
    sim.revive(ann);
    eve.come_again(&mut sim);
    let early = offered(&mut sim, &eve, 3 * MINUTE);
    assert!(!early.contains(&eve.short(&answers[0])), "whoever brings a request does not see that this is its reader");
    let late = offered(&mut sim, &eve, 4 * MINUTE);
    assert!(late.contains(&eve.short(&answers[0])), "the answer leaves all the same");
}

#[test]
fn sim_own_words_still_leave_at_once() {
    let mut three = Three::with(seed(), &slow(), EngineConfig::default());
    three.round();
    three.sim.run_for(6 * HOUR);
    let eve = Eve::dial(&mut three.sim, three.ann);
    three.sim.run_for(5 * SECOND);
    eve.hear(&mut three.sim);
    three.sim.send(three.ann, "carol", "who wrote this?");
    assert_eq!(offered(&mut three.sim, &eve, 5 * SECOND).len(), 1, "the stem is offered what a person has written");
}

/// A driver that is behind feeds the time-out after what came meanwhile, in one batch.
#[test]
fn sim_what_a_stranger_brings_is_opened_after_it_is_answered() {
    let mut three = Three::new(seed());
    three.round();
    three.sim.run_for(6 * HOUR);
    let before = three.carol_store.bundle_ids();
    three.sim.send(three.carol, "ann", "for ann alone");
    three.sim.run_for(10 * MINUTE);
    let new: Vec<Vec<u8>> = held(&three.carol_store).into_iter().filter(|(id, _)| !before.contains(id)).map(|(_, bytes)| bytes).collect();
    assert_eq!(new.len(), 1);
    let eve = Eve::dial(&mut three.sim, three.ann);
    three.sim.run_for(SECOND);
    eve.hear(&mut three.sim);
    three.sim.gather(three.ann, SECOND / 20);
    // What is to be opened of this one is due when the other comes.
    let first = garbage(1, three.hour(), Lifetime::Fortnight, 512);
    eve.say(&mut three.sim, &Record::Bundle { age: 0, copies: 255, bytes: first });
    three.sim.run_for(SECOND * 6 / 100);
    eve.say(&mut three.sim, &Record::Bundle { age: 0, copies: 255, bytes: new[0].clone() });
    let short = eve.short(&id_of(&new[0]));
    let mut waited = 0;
    while !eve.hear(&mut three.sim).iter().any(|record| matches!(record, Record::Stored(ids) if ids.contains(&short))) {
        three.sim.run_for(SECOND / 1000);
        waited += 1;
        assert!(waited < 1000, "it is answered");
    }
    assert!(!three.got(three.ann).iter().any(|text| text == "for ann alone"), "answered before it is opened");
    three.sim.run_for(SECOND);
    assert!(three.got(three.ann).iter().any(|text| text == "for ann alone"));
}

/// Ann, in mode contacts, becomes a contact of Ben's over a wire; he carries for her what came before.
#[test]
fn sim_an_upgraded_session_marks_nothing_that_it_did_not_show() {
    for modes in [[Mode::Contacts, Mode::Mesh], [Mode::Mesh, Mode::Contacts], [Mode::Contacts, Mode::Contacts]] {
        let mut two = Two::strangers(seed(), Faults::NONE);
        two.sim.cut(two.wire);
        let stores = [(two.ann, &two.ann_store), (two.ben, &two.ben_store)];
        let mut carried = Vec::new();
        for (index, (node, store)) in stores.iter().enumerate() {
            let bundles: Vec<Vec<u8>> =
                (0..5).map(|number| garbage(10 * index as u64 + number, START_HOUR, Lifetime::Fortnight, 512)).collect();
            let eve = Eve::dial(&mut two.sim, *node);
            eve.hand(&mut two.sim, &bundles, 0);
            two.sim.cut(eve.wire);
            assert_eq!(store.bundle_ids().len(), 5);
            two.sim.tell(*node, Command::SetMode { mode: modes[index] });
            carried.extend(bundles);
        }
        two.sim.mend(two.wire);
        two.sim.introduce(two.ann, two.ben);
        two.sim.run_for(3 * MINUTE);
        two.sim.send(two.ann, "ben", "something crosses");
        two.sim.run_for(3 * MINUTE);
        two.sim.cut(two.wire);
        two.sim.run_for(MINUTE);
        two.sim.mend(two.wire);
        two.sim.run_for(3 * MINUTE);
        let has_all = stores.map(|(_, store)| carried.iter().filter(|bytes| store.bundle_ids().contains(&id_of(bytes))).count());
        assert_eq!(has_all, [10, 10], "after the next session, of what both carried: {modes:?}");
    }
}
