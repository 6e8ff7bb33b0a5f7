//! Carriers and strangers who mean harm to mail that is on its way: what they must not be able to stop, change or forge.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test: what fails ends it")]

mod common;

use std::collections::BTreeSet;

use common::{
    HOUR, MINUTE, SECOND, listen, seed,
    three::{Eve, Heard, Three, acquaint, garbage, give_space, gone, held, id_of, node_as},
};
use hedgerow_sync::{
    crypto::bundle_seal::commitment,
    engine::EngineConfig,
    id::BundleId,
    sim::{Faults, NodeId},
    store::{GoneReason, Store, memory::MemoryStore},
    view::MessageState,
    wire::{
        bundle::{Bundle, Lifetime},
        record::{Record, Refusal},
    },
};

const ACK: u8 = 0x08;

/// Bob carries one message of Ann's to Carol; its bundle.
fn with_one(seed: u64, text: &str) -> (Three, BundleId, Vec<u8>) {
    let mut three = Three::new(seed);
    three.round();
    let before: BTreeSet<BundleId> = three.bob_store.bundle_ids().into_iter().collect();
    three.sim.send(three.ann, "carol", text);
    three.meet(three.near, 5 * SECOND);
    let mut new: Vec<_> = held(&three.bob_store).into_iter().filter(|(id, _)| !before.contains(id)).collect();
    assert_eq!(new.len(), 1, "one new bundle");
    let (id, bytes) = new.remove(0);
    (three, id, bytes)
}

/// Carries the message home, with its receipt.
fn expect_through(three: &mut Three, text: &str) {
    three.round();
    assert_eq!(three.got(three.carol), [text]);
    assert_eq!(three.only(three.ann).state, MessageState::Delivered);
}

#[test]
fn sim_a_poisoned_age_kills_no_honest_copy() {
    let (mut source, _, bytes) = with_one(seed(), "old before its time");
    // A carrier with a clock, one that believes it is 1970, one without any.
    for offset in [0, -(hedgerow_sync::sim::START_MILLIS as i64) + 86_400_000, -(hedgerow_sync::sim::START_MILLIS as i64)] {
        let (dave, dave_store) = source.sim.node("dave");
        source.sim.set_clock(dave, offset);
        let eve = Eve::dial(&mut source.sim, dave);
        assert_eq!(eve.hand(&mut source.sim, std::slice::from_ref(&bytes), u16::MAX), [Heard::Stored], "clock {offset}");
        source.sim.cut(eve.wire);
        source.sim.run_for(3 * HOUR);
        // An honest copy comes from Bob, and goes on from here.
        let wire = source.sim.connect(source.bob, dave, Faults::NONE);
        source.sim.run_for(5 * SECOND);
        source.sim.cut(wire);
        source.sim.run_for(3 * HOUR);
        assert!(dave_store.bundle_ids().contains(&id_of(&bytes)), "clock {offset}: it is carried");
        let heir = Eve::dialled(&mut source.sim, dave);
        let got = heir.collect(&mut source.sim, 5 * SECOND);
        assert!(got.contains(&bytes), "clock {offset}: and handed on");
        source.sim.cut(heir.wire);
    }
    expect_through(&mut source, "old before its time");
}

#[test]
fn sim_a_bundle_without_an_hour_lives_by_the_lowest_age_heard() {
    let mut three = Three::new(seed());
    let clockless = garbage(1, 0, Lifetime::Day, 512);
    let eve = Eve::dial(&mut three.sim, three.bob);
    assert_eq!(eve.hand(&mut three.sim, std::slice::from_ref(&clockless), 23), [Heard::Stored]);
    let honest = Eve::dial(&mut three.sim, three.bob);
    let heard = honest.hand(&mut three.sim, std::slice::from_ref(&clockless), 1);
    assert_ne!(heard, [Heard::Nothing], "every bundle is answered");
    three.sim.cut(eve.wire);
    three.sim.cut(honest.wire);
    three.sim.run_for(4 * HOUR);
    assert!(three.bob_store.bundle_ids().contains(&id_of(&clockless)), "a lower age heard later wins");
    three.sim.run_for(24 * HOUR);
    assert!(!three.bob_store.bundle_ids().contains(&id_of(&clockless)));
    // What left by its age is forgotten: an honest copy is taken again.
    let again = Eve::dial(&mut three.sim, three.bob);
    assert_eq!(again.hand(&mut three.sim, std::slice::from_ref(&clockless), 2), [Heard::Stored]);
}

/// Lets Carol read a message and tell its ack to Bob; the secret.
fn told_ack(three: &mut Three, id: BundleId) -> [u8; 16] {
    let heard = listen(&mut three.sim);
    three.sim.mend(three.far);
    three.sim.run_for(5 * HOUR);
    three.sim.cut(three.far);
    three.sim.transmit_all();
    assert!(gone(&three.bob_store, GoneReason::Acknowledged).contains(&id));
    let row = three.bob_store.load_gone().unwrap().into_iter().find(|row| row.id == id).unwrap();
    let carol = three.carol;
    let told = heard.borrow().iter().any(|(node, record)| *node == carol && record[0] == ACK);
    assert!(told && commitment(&row.ack) == row.commitment);
    row.ack
}

#[test]
fn sim_a_wrong_ack_and_one_for_what_is_not_held_do_nothing_and_go_nowhere() {
    let (mut three, id, bytes) = with_one(seed(), "not yet read");
    let (dave, dave_store) = three.sim.node("dave");
    three.sim.connect(dave, three.bob, Faults::NONE);
    let eve = Eve::dial(&mut three.sim, three.bob);
    three.sim.run_for(5 * SECOND);
    assert!(dave_store.bundle_ids().contains(&id));
    let heard = listen(&mut three.sim);
    let header = *Bundle::decode(bytes).unwrap().header();
    // Random ones, the commitment itself, the tag, and as many as a record holds.
    let mut wrong: Vec<[u8; 16]> = (0..254).map(|byte| [byte; 16]).collect();
    wrong.extend([header.commitment.0, header.tag.0]);
    for _ in 0..100 {
        eve.say(&mut three.sim, &Record::Ack(wrong.clone()));
    }
    three.sim.run_for(20 * SECOND);
    assert!(eve.is_there(&three.sim), "she may have seen bundles that we have not");
    let (bob, held_on) = (three.bob, [&three.bob_store, &dave_store]);
    assert!(held_on.iter().all(|store| store.bundle_ids().contains(&id) && gone(store, GoneReason::Acknowledged).is_empty()));
    assert!(!heard.borrow().iter().any(|(node, record)| *node == bob && record[0] == ACK), "not passed on");
    three.sim.cut(eve.wire);
    expect_through(&mut three, "not yet read");
}

#[test]
fn sim_an_ack_for_a_dropped_bundle_corrects_the_memory_and_goes_on() {
    let (mut three, id, bytes) = with_one(seed(), "read and told");
    // Dave has room for little: what he was given first gives way.
    let (dave, dave_store) = three.sim.node("dave");
    give_space(&mut three.sim, dave, &dave_store, 100_000);
    let eve = Eve::dial(&mut three.sim, dave);
    assert_eq!(eve.hand(&mut three.sim, std::slice::from_ref(&bytes), 0), [Heard::Stored]);
    let mut number = 0;
    while dave_store.bundle_ids().contains(&id) {
        let hour = three.hour();
        let more: Vec<_> = (0..16).map(|index| garbage(number + index, hour, Lifetime::Fortnight, 512)).collect();
        number += 16;
        assert!(number < 2_000, "it is dropped at last");
        eve.hand(&mut three.sim, &more, 0);
    }
    assert!(gone(&dave_store, GoneReason::Dropped).contains(&id));
    let secret = told_ack(&mut three, id);

    let (zoe, zoe_store) = three.sim.node("zoe");
    let far = Eve::dial(&mut three.sim, zoe);
    far.hand(&mut three.sim, std::slice::from_ref(&bytes), 0);
    three.sim.cut(far.wire);
    three.sim.connect(zoe, dave, Faults::NONE);
    three.sim.run_for(5 * SECOND);
    assert!(zoe_store.bundle_ids().contains(&id));
    let teller = Eve::dial(&mut three.sim, dave);
    teller.say(&mut three.sim, &Record::Ack(vec![secret]));
    three.sim.run_for(SECOND);
    assert!(gone(&dave_store, GoneReason::Acknowledged).contains(&id), "no longer only dropped");
    assert!(gone(&zoe_store, GoneReason::Acknowledged).contains(&id), "and told to who holds it");
    // The same again is nothing new, and nobody is told twice.
    let heard = listen(&mut three.sim);
    teller.say(&mut three.sim, &Record::Ack(vec![secret]));
    three.sim.run_for(SECOND);
    assert!(!heard.borrow().iter().any(|(node, record)| *node == dave && record[0] == ACK));
}

#[test]
fn sim_a_carrier_that_says_stored_and_drops_everything_delays_and_stops_nothing() {
    let mut three = Three::new(seed());
    three.round();
    three.write(three.ann, 10);
    let liar = Eve::dialled(&mut three.sim, three.ann);
    let taken = liar.collect(&mut three.sim, 10 * SECOND);
    assert!(taken.len() >= 10, "it takes them all: {}", taken.len());
    three.sim.cut(liar.wire);
    let claimed = three.sent(three.ann);
    assert!(claimed.iter().all(|message| (message.handed_contacts, message.handed_strangers) == (0, 1)), "a claim, and counted as one");
    assert!(claimed.iter().all(|message| message.state == MessageState::Carried));
    three.round();
    three.expect_all(three.ann, 10);
}

#[test]
fn sim_liars_without_end_do_not_use_up_what_others_are_offered() {
    let mut three = Three::new(seed());
    three.round();
    three.write(three.ann, 5);
    for _ in 0..40 {
        let liar = Eve::dial(&mut three.sim, three.ann);
        liar.collect(&mut three.sim, 2 * SECOND);
        three.sim.cut(liar.wire);
    }
    three.sim.run_for(5 * MINUTE);
    three.round();
    three.expect_all(three.ann, 5);
}

#[test]
fn sim_a_bundle_altered_in_any_byte_is_not_opened_and_spends_nothing() {
    let (mut three, id, bytes) = with_one(seed(), "as it was written");
    let altered: Vec<Vec<u8>> = (0..bytes.len())
        .map(|at| {
            let mut other = bytes.clone();
            other[at] ^= 1;
            other
        })
        .collect();
    let eve = Eve::dialled(&mut three.sim, three.carol);
    let mut heard = Vec::new();
    for part in altered.chunks(64) {
        // What isn't a bundle has no id of its own kind: only what can be told apart is looked at.
        let (bundles, malformed): (Vec<_>, Vec<_>) = part.iter().cloned().partition(|bytes| Bundle::decode(bytes.clone()).is_ok());
        for bytes in malformed {
            eve.say(&mut three.sim, &Record::Bundle { age: 0, copies: 255, bytes });
        }
        heard.extend(eve.hand(&mut three.sim, &bundles, 0));
    }
    assert!(eve.is_there(&three.sim));
    assert_eq!(three.got(three.carol), [""; 0], "none opened");
    assert!(heard.iter().filter(|heard| **heard == Heard::Stored).count() > 400, "as bundles of somebody they are carried");
    assert!(!three.carol_store.bundle_ids().contains(&id), "none was taken for the honest one");
    three.sim.cut(eve.wire);
    expect_through(&mut three, "as it was written");
}

/// Strangers flood Carol with other bundles under the tag of one that is for her.
fn copied_tag(dials: bool) {
    let (mut three, _, bytes) = with_one(seed(), "the real one");
    let mut eve = if dials { Eve::dial(&mut three.sim, three.carol) } else { Eve::dialled(&mut three.sim, three.carol) };
    let mut stored = 0;
    for round in 0..20_u32 {
        let copies: Vec<Vec<u8>> = (0..500_u32)
            .map(|number| {
                let mut copy = bytes.clone();
                copy[100..104].copy_from_slice(&(round * 500 + number).to_be_bytes());
                copy[300] ^= 1;
                copy
            })
            .collect();
        let heard = eve.hand(&mut three.sim, &copies, 0);
        assert!(!heard.contains(&Heard::Nothing), "round {round}: every bundle is answered");
        stored += heard.iter().filter(|heard| **heard == Heard::Stored).count();
        eve.come_again(&mut three.sim);
    }
    assert!(stored > 500, "what fits in is stored as anybody's: {stored}");
    assert_eq!(three.got(three.carol), [""; 0]);
    three.sim.cut(eve.wire);
    // Bob is dialled by Carol, or dials after a while; either way he is one stranger more.
    three.sim.run_for(HOUR);
    three.round();
    expect_through(&mut three, "the real one");
}

#[test]
fn sim_ten_thousand_copies_of_a_tag_by_strangers_who_dial_do_not_stop_the_real_message() {
    copied_tag(true);
}

#[test]
fn sim_ten_thousand_copies_of_a_tag_by_strangers_whom_she_dials_do_not_stop_the_real_message() {
    copied_tag(false);
}

#[test]
fn sim_twenty_copies_of_a_tag_through_the_same_carrier_do_not_stop_the_real_message() {
    let (mut three, _, bytes) = with_one(seed(), "the real one");
    let eve = Eve::dial(&mut three.sim, three.bob);
    let copies: Vec<Vec<u8>> = (0..20_u8)
        .map(|number| {
            let mut copy = bytes.clone();
            copy[200] ^= number + 1;
            copy
        })
        .collect();
    assert_eq!(eve.hand(&mut three.sim, &copies, 0), [Heard::Stored; 20]);
    three.sim.cut(eve.wire);
    // He hands over the newest first, so that the real one comes last.
    let far = three.far;
    three.meet(far, 5 * SECOND);
    three.sim.run_for(10 * SECOND);
    assert_eq!(three.got(three.carol), ["the real one"]);
    expect_through(&mut three, "the real one");
}

#[test]
fn sim_bundles_that_live_too_long_are_not_taken_from_strangers() {
    let mut three = Three::new(seed());
    let hour = three.hour();
    let eve = Eve::dial(&mut three.sim, three.bob);
    let month = garbage(1, hour, Lifetime::Month, 512);
    let fortnight = garbage(2, hour, Lifetime::Fortnight, 512);
    let month_old = garbage(3, hour - 17 * 24, Lifetime::Month, 512);
    let ahead = garbage(4, hour + 4, Lifetime::Day, 512);
    let expired = garbage(5, hour - 25, Lifetime::Day, 512);
    let heard = eve.hand(&mut three.sim, &[month, fortnight, month_old, ahead, expired], 0);
    assert!(matches!(heard[0], Heard::Refused(Refusal::Time | Refusal::NotCarried)), "30 days are left: {heard:?}");
    assert_eq!(heard[1..3], [Heard::Stored, Heard::Stored], "14 and 13 days are left");
    assert_eq!(heard[3..], [Heard::Refused(Refusal::Time), Heard::Refused(Refusal::Time)]);
    assert!(eve.is_there(&three.sim));
}

/// A node with a little room among strangers who flood it, a contact whose mail it carries, and mail of its own.
struct Flooded {
    three: Three,
    /// A contact of Bob's, and her wire to him.
    dora: NodeId,
    flora: NodeId,
    floras_store: MemoryStore,
    wire: hedgerow_sync::sim::WireId,
}

fn flooded(seed: u64) -> Flooded {
    let mut three = Three::new(seed);
    give_space(&mut three.sim, three.bob, &three.bob_store, 5 << 20);
    let (dora, _) = three.sim.node("dora");
    let (flora, floras_store) = three.sim.node("flora");
    acquaint(&mut three.sim, three.bob, dora);
    acquaint(&mut three.sim, dora, flora);
    let wire = three.sim.connect(dora, three.bob, Faults::NONE);
    three.sim.cut(wire);
    Flooded { three, dora, flora, floras_store, wire }
}

impl Flooded {
    /// Hands `count` bundles over, `a_session` in each session of a new stranger; how many Bob said he had stored.
    fn flood(&mut self, first: u64, count: u64, a_session: u64) -> usize {
        let mut stored = 0;
        for session in 0..count.div_ceil(a_session) {
            let eve = Eve::dial(&mut self.three.sim, self.three.bob);
            let hour = self.three.hour();
            let from = first + session * a_session;
            let bundles: Vec<_> = (from..from + a_session).map(|number| garbage(number, hour, Lifetime::Fortnight, 512)).collect();
            stored += eve.hand(&mut self.three.sim, &bundles, 0).iter().filter(|heard| **heard == Heard::Stored).count();
            self.three.sim.cut(eve.wire);
        }
        stored
    }
}

#[test]
fn sim_a_flood_of_new_strangers_leaves_own_mail_and_contacts_mail_alone() {
    let mut flooded = flooded(seed());
    let bob = flooded.three.bob;
    // Before it: mail of Bob's own, of a contact for somebody else, and of strangers.
    for number in 0..20 {
        flooded.three.sim.send(bob, "dora", &format!("own {number}"));
        flooded.three.sim.send(flooded.dora, "flora", &format!("contact {number}"));
    }
    flooded.three.sim.mend(flooded.wire);
    flooded.three.sim.run_for(10 * SECOND);
    flooded.three.sim.cut(flooded.wire);
    for number in 20..40 {
        flooded.three.sim.send(bob, "dora", &format!("own {number}"));
    }
    flooded.three.write(flooded.three.ann, 20);
    let near = flooded.three.near;
    flooded.three.meet(near, 5 * SECOND);

    // Twenty thousand at once, and a hundred more in each hour of two days.
    let mut stored = flooded.flood(1_000_000, 20_000, 500);
    for hour in 0..48_u64 {
        flooded.three.sim.run_for(HOUR);
        stored += flooded.flood(2_000_000 + hour * 100, 100, 50);
    }
    assert!(stored > 2_000, "the flood is real: {stored}");
    let bytes: u64 = held(&flooded.three.bob_store).iter().map(|(_, bytes)| bytes.len() as u64).sum();
    // Of others' bundles the room may be full; beside it lies own mail.
    assert!(bytes <= (5 << 20) + (64 << 10), "and bounded: {bytes}");

    flooded.three.sim.mend(flooded.wire);
    flooded.three.sim.run_for(10 * SECOND);
    flooded.three.sim.cut(flooded.wire);
    let own: Vec<String> = (0..40).map(|number| format!("own {number}")).collect();
    assert_eq!(common::texts(&mut flooded.three.sim, flooded.dora, "bob"), own, "own mail");
    let wire = flooded.three.sim.connect(bob, flooded.flora, Faults::NONE);
    flooded.three.sim.run_for(20 * SECOND);
    flooded.three.sim.cut(wire);
    let of_contact: Vec<String> = (0..20).map(|number| format!("contact {number}")).collect();
    assert_eq!(common::texts(&mut flooded.three.sim, flooded.flora, "dora"), of_contact, "a contact's mail");
    assert!(!flooded.floras_store.bundle_ids().is_empty());
}

#[test]
fn sim_a_flood_by_those_who_dial_leaves_room_for_those_who_are_dialled() {
    let mut flooded = flooded(seed());
    let bob = flooded.three.bob;
    flooded.flood(3_000_000, 10_000, 500);
    // Bob dials Ann and Carol now, while the flood goes on.
    let sim = &mut flooded.three.sim;
    let (near, far) = (sim.connect(bob, flooded.three.ann, Faults::NONE), sim.connect(bob, flooded.three.carol, Faults::NONE));
    sim.cut(far);
    flooded.three.write(flooded.three.ann, 20);
    flooded.three.sim.run_for(10 * SECOND);
    flooded.three.sim.cut(near);
    for hour in 0..12_u64 {
        flooded.three.sim.run_for(HOUR);
        flooded.flood(4_000_000 + hour * 200, 200, 100);
    }
    flooded.three.sim.mend(far);
    flooded.three.sim.run_for(20 * SECOND);
    assert_eq!(flooded.three.got(flooded.three.carol).len(), 20);
}

#[test]
fn sim_a_flood_of_one_moment_does_not_push_out_what_came_in_other_hours() {
    let mut flooded = flooded(seed());
    flooded.three.write(flooded.three.ann, 20);
    let near = flooded.three.near;
    flooded.three.meet(near, 5 * SECOND);
    assert!(flooded.three.sent(flooded.three.ann).iter().all(|message| message.handed_strangers == 1));
    flooded.three.sim.run_for(2 * HOUR);
    flooded.flood(5_000_000, 10_000, 250);
    let far = flooded.three.far;
    flooded.three.meet(far, 20 * SECOND);
    assert_eq!(flooded.three.got(flooded.three.carol).len(), 20, "they came in another hour than the flood");
}

#[test]
fn sim_a_stranger_who_offers_and_never_sends_takes_nobodys_room() {
    for dials in [true, false] {
        let mut three = Three::new(seed());
        let mut eve = if dials { Eve::dial(&mut three.sim, three.bob) } else { Eve::dialled(&mut three.sim, three.bob) };
        // More ids than strangers may bring at once, each of which she is asked for.
        let mut asked = 0;
        for batch in 0..14_u8 {
            let ids: Vec<BundleId> = (0..=255_u8)
                .map(|number| {
                    let mut id = [batch; 32];
                    id[0] = number;
                    BundleId(id)
                })
                .collect();
            asked += eve.offer(&mut three.sim, &ids).iter().filter(|wanted| **wanted).count();
        }
        assert!(asked > 1_000, "{asked}");
        three.write(three.ann, 20);
        three.sim.mend(three.near);
        three.sim.run_for(20 * SECOND);
        assert!(eve.is_there(&three.sim), "she is still there");
        let taken = three.sent(three.ann).iter().filter(|message| message.handed_strangers == 1).count();
        assert_eq!(taken, 20, "dials: {dials}");
        three.sim.cut(three.near);
    }
}

#[test]
fn sim_what_has_no_room_today_comes_on_the_same_link_as_room_comes() {
    let mut three = Three::new(seed());
    // Dave has brought together more than strangers may bring Bob in an hour.
    let rich = EngineConfig { stranger_bytes_a_day: 1 << 40, ..EngineConfig::default() };
    let (dave, dave_store) = node_as(&mut three.sim, "dave", rich);
    let hour = three.hour();
    let eve = Eve::dial(&mut three.sim, dave);
    let bundles: Vec<_> = (0..3_500).map(|number| garbage(number, hour, Lifetime::Fortnight, 512)).collect();
    eve.hand(&mut three.sim, &bundles, 0);
    three.sim.cut(eve.wire);
    assert_eq!(dave_store.bundle_ids().len(), 3_500);
    for dials in [true, false] {
        // What strangers did not bring is saved up for an hour.
        let (taker, store) = node_as(&mut three.sim, "taker", EngineConfig { stranger_bytes_saved: HOUR, ..EngineConfig::default() });
        let wire = if dials { three.sim.connect(dave, taker, Faults::NONE) } else { three.sim.connect(taker, dave, Faults::NONE) };
        three.sim.run_for(MINUTE);
        let at_once = store.bundle_ids().len();
        assert!((2_000..3_000).contains(&at_once), "what may come at once: {at_once}");
        let link = three.sim.link_of(wire, dave);
        three.sim.run_for(HOUR);
        assert_eq!(three.sim.link_of(wire, dave), link, "on the same link");
        assert_eq!(store.bundle_ids().len(), 3_500, "dials: {dials}");
        three.sim.cut(wire);
    }
}
