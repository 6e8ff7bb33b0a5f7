//! What the order of records, repetition and restarts must not lose, count twice or show.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test: what fails ends it")]

mod common;

use std::{cell::Cell, collections::BTreeSet, rc::Rc};

use common::{
    DAY, HOUR, MINUTE, SECOND, Two, seed, texts,
    three::{Eve, Heard, START_HOUR, Three, acked_by, garbage, held, id_of},
};
use hedgerow_sync::{
    engine::EngineConfig,
    id::BundleId,
    sim::{Faults, Sim},
    store::{BundleRow, Origin, Store},
    time::Hour,
    view::Command,
    wire::{
        bundle::{Bundle, Lifetime},
        record::{Record, Refusal, encode_bitmap},
    },
};

/// Own bundles are held back for the longest time.
fn slow() -> EngineConfig {
    EngineConfig { own_delay: (100 * HOUR, 300 * SECOND), ..EngineConfig::default() }
}

/// What Ann has sealed since.
fn new_of(store: &hedgerow_sync::store::memory::MemoryStore, before: &BTreeSet<BundleId>) -> Vec<(BundleId, Vec<u8>)> {
    held(store).into_iter().filter(|(id, _)| !before.contains(id)).collect()
}

/// The stem declines an own bundle that is held back, and wants it after all: a carrier would send it.
#[test]
fn sim_the_stem_is_given_what_it_was_offered() {
    let mut three = Three::with(seed(), &slow(), EngineConfig::default());
    three.round();
    three.sim.run_for(6 * HOUR);
    let before: BTreeSet<BundleId> = three.ann_store.bundle_ids().into_iter().collect();
    let stem = Eve::dial(&mut three.sim, three.ann);
    three.sim.run_for(3 * SECOND);
    stem.hear(&mut three.sim);
    three.sim.send(three.ann, "carol", "who wrote this?");
    three.sim.run_for(SECOND);
    let new = new_of(&three.ann_store, &before);
    assert_eq!(new.len(), 1);
    let short = stem.short(&new[0].0);
    let offer = stem.hear(&mut three.sim).into_iter().find_map(|record| match record {
        Record::Offer { batch, ids } if ids.contains(&short) => Some((batch, ids.len())),
        _ => None,
    });
    let (batch, len) = offer.expect("the stem is offered it");
    stem.say(&mut three.sim, &Record::Pick { batch, wanted: encode_bitmap((0..len).map(|_| false)) });
    stem.say(&mut three.sim, &Record::Want(vec![short]));
    three.sim.run_for(SECOND);
    let heard = stem.hear(&mut three.sim);
    assert!(heard.iter().any(|record| matches!(record, Record::Bundle { .. })), "own: {heard:?}");
}

/// Somebody else offers what is held back: a node that has not seen it would pick it, one that carries it would offer nothing.
#[test]
fn sim_who_offers_a_held_back_bundle_is_answered_as_by_anybody() {
    let mut three = Three::with(seed(), &slow(), EngineConfig::default());
    three.round();
    three.sim.run_for(6 * HOUR);
    let before: BTreeSet<BundleId> = three.ann_store.bundle_ids().into_iter().collect();
    let mut eve = Eve::dial(&mut three.sim, three.bob);
    // The stem, which declines.
    let stem = Eve::dial(&mut three.sim, three.ann);
    three.sim.run_for(3 * SECOND);
    three.sim.send(three.ann, "carol", "who wrote this?");
    three.sim.run_for(SECOND);
    let new = new_of(&three.ann_store, &before);
    assert_eq!(new.len(), 1);
    // Bob has it as any carrier.
    assert_eq!(eve.hand(&mut three.sim, &[new[0].1.clone()], 0).len(), 1);
    three.sim.cut(eve.wire);
    assert!(stem.is_there(&three.sim));
    let mut answers = Vec::new();
    for node in [three.ann, three.bob] {
        eve = Eve::dial(&mut three.sim, node);
        // She has compared: what is in the set is known.
        let shown = eve.collect(&mut three.sim, 2 * SECOND).contains(&new[0].1);
        eve.hear(&mut three.sim);
        let short = eve.short(&new[0].0);
        eve.say(&mut three.sim, &Record::Offer { batch: 0, ids: vec![short] });
        three.sim.run_for(3 * SECOND);
        let heard = eve.hear(&mut three.sim);
        let picked = heard.iter().any(|record| matches!(record, Record::Pick { wanted, .. } if wanted[0] != 0));
        let offered_back = heard.iter().any(|record| matches!(record, Record::Offer { ids, .. } if ids.contains(&short)));
        answers.push((shown, picked, offered_back));
        three.sim.cut(eve.wire);
    }
    println!("(in the set, picked, offered back): Ann {:?}, Bob {:?}", answers[0], answers[1]);
    assert!(!answers[0].2, "what was just offered here is offered back by its author alone");
    assert!(answers[0].0 || answers[0].1, "not in the set, and known: its author's answer alone");
}

/// A restart takes own bundles, and nothing else, out of what strangers are shown.
#[test]
fn sim_a_restart_does_not_show_which_bundles_are_own() {
    let mut three = Three::with(seed(), &slow(), EngineConfig::default());
    three.round();
    three.sim.run_for(6 * HOUR);
    let before: BTreeSet<BundleId> = three.ann_store.bundle_ids().into_iter().collect();
    three.sim.send(three.ann, "carol", "who wrote this?");
    let carried = garbage(1, three.hour(), Lifetime::Fortnight, 512);
    let eve = Eve::dial(&mut three.sim, three.ann);
    eve.hand(&mut three.sim, std::slice::from_ref(&carried), 0);
    three.sim.cut(eve.wire);
    three.sim.run_for(10 * MINUTE);
    let new: Vec<Vec<u8>> = new_of(&three.ann_store, &before).into_iter().map(|(_, bytes)| bytes).collect();
    assert_eq!(new.len(), 2);
    let mut seen = Vec::new();
    for restart in [false, true] {
        if restart {
            three.sim.kill(three.ann);
            three.sim.revive(three.ann);
        }
        let eve = Eve::dial(&mut three.sim, three.ann);
        let got = eve.collect(&mut three.sim, 3 * SECOND);
        // What the stem is offered is no comparison: another stranger's view counts.
        let second = Eve::dial(&mut three.sim, three.ann);
        let got_second = second.collect(&mut three.sim, 3 * SECOND);
        let count = |got: &[Vec<u8>]| new.iter().filter(|bytes| got.contains(bytes)).count();
        seen.push((count(&got), count(&got_second)));
        three.sim.cut(eve.wire);
        three.sim.cut(second.wire);
    }
    assert_eq!(seen[0], seen[1], "the second stranger's view before and after the restart");
}

/// One stranger wants one bundle again and again and says STORED each time.
#[test]
fn sim_one_stranger_counts_once() {
    let mut three = Three::new(seed());
    three.round();
    three.sim.run_for(6 * HOUR);
    let before: BTreeSet<BundleId> = three.ann_store.bundle_ids().into_iter().collect();
    three.sim.send(three.ann, "carol", "how many carry it?");
    three.sim.run_for(10 * MINUTE);
    let new = new_of(&three.ann_store, &before);
    assert_eq!(new.len(), 1);
    let eve = Eve::dial(&mut three.sim, three.ann);
    let short = eve.short(&new[0].0);
    let mut given = 0;
    for _ in 0..50 {
        eve.say(&mut three.sim, &Record::Want(vec![short]));
        three.sim.run_for(SECOND / 10);
        for record in eve.hear(&mut three.sim) {
            if let Record::Bundle { bytes, .. } = record {
                given += usize::from(id_of(&bytes) == new[0].0);
                eve.say(&mut three.sim, &Record::Stored(vec![eve.short(&id_of(&bytes))]));
            }
        }
    }
    three.sim.run_for(SECOND);
    let mut forwarded = 0;
    three
        .ann_store
        .visit_bundles(&mut |row| {
            if row.id == new[0].0 {
                forwarded = row.forwarded
            }
        })
        .unwrap();
    let message = three.sent(three.ann).into_iter().find(|message| message.text == "how many carry it?").unwrap();
    println!("given {given} times, forwarded {forwarded}, handed to {} strangers", message.handed_strangers);
    assert!(forwarded <= 1, "one stranger moves a bundle to the front of those that give way: {forwarded}");
    assert!(message.handed_strangers <= 1, "and makes the screen lie: {}", message.handed_strangers);
}

/// A bundle is listed in the first RANGES, and so wanted, and offered beside it, and so declined, as it is wanted already.
#[test]
fn sim_what_is_wanted_and_offered_at_once_arrives() {
    let mut two = Two::contacts(seed());
    two.sim.run_for(MINUTE);
    two.sim.cut(two.wire);
    two.sim.run_for(20 * DAY);
    let mut written = 0;
    // Ranges of the first question: the newest 32, then one alone, which is listed.
    while two.ann_store.bundle_ids().len() < 33 {
        two.sim.send(two.ann, "ben", &format!("ann {written}"));
        written += 1;
        two.sim.run_for(SECOND);
    }
    two.sim.run_for(10 * MINUTE);
    assert_eq!(two.ann_store.bundle_ids().len(), 33);
    for on in [false, true] {
        two.sim.tell(two.ann, Command::SetRelay { on: Some(on), bytes: None, metered: None });
    }
    // As a driver with anything to do feeds its engine.
    two.sim.gather(two.ann, SECOND / 20);
    let mut got = Vec::new();
    for _ in 0..4 {
        two.sim.mend(two.wire);
        two.sim.run_for(2 * MINUTE);
        let ben = two.ben;
        got.push(texts(&mut two.sim, ben, "ann").len());
        two.sim.cut(two.wire);
        two.sim.run_for(MINUTE);
    }
    assert_eq!(got[0], written, "in the first meeting; by meeting {got:?} of {written}");
}

/// A contact lacks more bundles than it may ask for at a time: the rest follows as these come, and no MARK goes past it.
#[test]
fn sim_a_large_store_is_copied_to_a_contact() {
    const COUNT: u64 = 20_000;
    let mut two = Two::contacts_over(seed(), Faults { rate: 100_000, ..Faults::NONE });
    two.sim.run_for(MINUTE);
    two.sim.cut(two.wire);
    two.sim.kill(two.ann);
    let mut store = two.ann_store.handle();
    store.reopen();
    store.begin().unwrap();
    for number in 0..COUNT {
        let bytes = garbage(number, START_HOUR, Lifetime::Fortnight, 512);
        let bundle = Bundle::decode(bytes.clone()).unwrap();
        let header = bundle.header();
        let row = BundleRow {
            id: bundle.id(),
            sequence: 0,
            size: 512,
            class: header.class,
            lifetime: header.lifetime,
            created: header.created,
            tag: header.tag,
            commitment: header.commitment,
            origin: Origin::StrangerInbound,
            age: 0,
            stored: Hour(START_HOUR),
            forwarded: 0,
            copies: 255,
        };
        store.insert_bundle(&row, &bytes).unwrap();
    }
    store.commit().unwrap();
    two.sim.revive(two.ann);
    let (asked, most) = (Rc::new(Cell::new(0_usize)), Rc::new(Cell::new(0)));
    let (asks, highest, ben) = (Rc::clone(&asked), Rc::clone(&most), two.ben);
    two.sim.on_transmit(move |node, _, record| {
        match Record::decode(record).unwrap() {
            Record::Want(ids) if node == ben => asks.set(asks.get() + ids.len()),
            Record::Pick { wanted, .. } if node == ben => {
                asks.set(asks.get() + wanted.iter().map(|byte| byte.count_ones() as usize).sum::<usize>());
            }
            Record::Bundle { .. } if node != ben => asks.set(asks.get().saturating_sub(1)),
            _ => {}
        }
        highest.set(asks.get().max(highest.get()));
        true
    });
    two.sim.mend(two.wire);
    two.sim.run_for(10 * MINUTE);
    assert!(two.ben_store.bundle_ids().len() as u64 >= COUNT, "in one meeting: {}", two.ben_store.bundle_ids().len());
    assert!((8_192..=16_384).contains(&most.get()), "as many are asked for at a time as keep a link busy, and no more: {}", most.get());
}

/// The secrets that Eve was told since she last looked.
fn acks_heard(sim: &mut Sim, eve: &Eve) -> Vec<[u8; 16]> {
    eve.hear(sim).into_iter().flat_map(|record| if let Record::Ack(secrets) = record { secrets } else { Vec::new() }).collect()
}

/// Copies of one commitment are told of once.
#[test]
fn sim_an_ack_of_many_copies_is_told_once() {
    let mut three = Three::new(seed());
    let secret = [7; 16];
    let hour = three.hour();
    let copies: Vec<Vec<u8>> = (0..500).map(|number| acked_by(&secret, number, hour)).collect();
    let eve = Eve::dial(&mut three.sim, three.bob);
    let other = Eve::dial(&mut three.sim, three.bob);
    eve.hand(&mut three.sim, &copies, 0);
    three.sim.run_for(5 * SECOND);
    other.hear(&mut three.sim);
    eve.say(&mut three.sim, &Record::Ack(vec![secret]));
    three.sim.run_for(2 * SECOND);
    assert_eq!(acks_heard(&mut three.sim, &other), [secret], "secrets told to each other link for one of 16 bytes");
}

/// Bob offers a bundle to somebody who is about to get it from elsewhere, and hears meanwhile that it was read: what he tells of it at once comes
/// too early. Who says by its PICK that it has it hears it again, who wants it after all hears that it is gone.
#[test]
fn sim_an_ack_that_came_before_its_bundle_is_told_again() {
    for wanted in [false, true] {
        let mut three = Three::new(seed());
        let secret = [7; 16];
        let bytes = acked_by(&secret, 1, three.hour());
        let (reader, carrier) = (Eve::dial(&mut three.sim, three.bob), Eve::dial(&mut three.sim, three.bob));
        three.sim.run_for(SECOND);
        carrier.hear(&mut three.sim);
        assert_eq!(reader.hand(&mut three.sim, std::slice::from_ref(&bytes), 0), [Heard::Stored]);
        let short = carrier.short(&id_of(&bytes));
        let offer = carrier.hear(&mut three.sim).into_iter().find_map(|record| match record {
            Record::Offer { batch, ids } if ids == [short] => Some(batch),
            _ => None,
        });
        reader.say(&mut three.sim, &Record::Ack(vec![secret]));
        three.sim.run_for(SECOND);
        assert_eq!(acks_heard(&mut three.sim, &carrier), [secret], "all are told at once");
        let batch = offer.expect("it is offered");
        carrier.say(&mut three.sim, &Record::Pick { batch, wanted: encode_bitmap([wanted].into_iter()) });
        three.sim.run_for(SECOND);
        let answer = if wanted { Record::Refused(vec![(short, Refusal::Unwanted)]) } else { Record::Ack(vec![secret]) };
        assert_eq!(carrier.hear(&mut three.sim), [answer], "wanted: {wanted}");
    }
}
