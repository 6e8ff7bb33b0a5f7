//! Peers that break the protocol: strangers without a session of ours, and a contact whose device was taken over.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test: what fails ends it")]

mod common;

use std::collections::BTreeSet;

use common::{MINUTE, SECOND, Two, contacts, in_reach, listen, seed, status, texts};
use hedgerow_sync::{
    id::{BeaconId, ShortId},
    sim::{Faults, NodeId, Sim, WireId},
    time::Hour,
    view::MessageState,
    wire::record::{ByeReason, Hello, Record, Refusal},
};

/// A node with one contact, and a stranger who has a session and says HELLO properly.
fn with_stranger(seed: u64) -> (Two, NodeId, WireId) {
    let mut two = Two::contacts(seed);
    let eve = two.sim.stranger("eve");
    let wire = two.sim.connect(eve, two.ann, Faults::NONE);
    two.sim.run_for(SECOND);
    (two, eve, wire)
}

fn hello(beacon: u8) -> Vec<u8> {
    Record::Hello(Hello { beacon: BeaconId([beacon; 8]), hour: Hour(498_702), window: 1_048_576, carries: false }).encode()
}

fn short(byte: u8) -> ShortId {
    ShortId([byte; 8])
}

/// Sends records after HELLO; whether the link has lasted for a second.
fn survives(sim: &mut Sim, wire: WireId, from: NodeId, to: NodeId, records: &[Vec<u8>]) -> bool {
    let before = sim.link_of(wire, to);
    assert!(before.is_some(), "the link is up");
    for record in records {
        sim.send_raw(wire, from, record);
    }
    sim.run_for(SECOND / 2);
    sim.link_of(wire, to) == before
}

/// A contact whose device was taken over: recognised, with HELLO and CURSOR said, and nothing under way.
fn with_taken_contact(seed: u64) -> Two {
    let mut two = Two::contacts(seed);
    two.sim.run_for(2 * MINUTE);
    two.sim.possess(two.ben);
    two
}

fn bad_records() -> Vec<(&'static str, Vec<u8>)> {
    let ids = |kind: u8, count: usize, entry: usize| [vec![kind], vec![1; count * entry]].concat();
    vec![
        ("nothing known", vec![0x10]),
        ("type zero", vec![0]),
        ("a second HELLO", hello(9)),
        ("a short HELLO", hello(9)[..12].to_vec()),
        ("an OFFER of batch 7", Record::Offer { batch: 7, ids: vec![short(1)] }.encode()),
        ("an OFFER of 257", [vec![2, 0, 0], vec![1; 257 * 8]].concat()),
        ("an OFFER of none", vec![2, 0, 0]),
        ("a PICK of nothing offered", Record::Pick { batch: 0, wanted: vec![0x80] }.encode()),
        ("WANT of 257", ids(4, 257, 8)),
        ("a ragged WANT", ids(4, 1, 7)),
        ("a BUNDLE of 100 bytes", [vec![5, 0, 0, 255], vec![1; 100]].concat()),
        ("a BUNDLE of another version", [vec![5, 0, 0, 255], vec![2; 512]].concat()),
        ("a BUNDLE of 5000 bytes", [vec![5, 0, 0, 255], vec![1; 5000]].concat()),
        ("STORED of what was never sent", Record::Stored(vec![short(3)]).encode()),
        ("REFUSED of what was never sent", Record::Refused(vec![(short(3), Refusal::Room)]).encode()),
        ("REFUSED without a reason", [vec![7], vec![1; 8], vec![9]].concat()),
        ("an ACK of 15 bytes", ids(8, 1, 15)),
        ("an ACK of 257", ids(8, 257, 16)),
        ("RANGES of garbage", [vec![9], vec![0xff; 60]].concat()),
        ("RANGES that answer nothing", vec![9, 2]),
        ("RANGES too long", [vec![9], vec![0; 4097]].concat()),
        ("a CURSOR too much", Record::Cursor { own_epoch: [1; 8], epoch: [2; 8], sequence: 5 }.encode()),
        ("a short MARK", vec![11; 9]),
        ("a short UPGRADE", vec![12; 9]),
        ("PING with a body", vec![13, 0]),
        ("BYE without a reason", vec![15, 0]),
        ("BYE", Record::Bye(ByeReason::Closing).encode()),
    ]
}

fn cursor() -> Vec<u8> {
    Record::Cursor { own_epoch: [1; 8], epoch: [0; 8], sequence: 0 }.encode()
}

#[test]
fn sim_every_bad_record_of_a_stranger_ends_its_link_and_no_other() {
    for (what, record) in bad_records() {
        let (mut two, eve, wire) = with_stranger(seed());
        assert!(!survives(&mut two.sim, wire, eve, two.ann, &[hello(7), cursor(), record]), "{what}");
        assert!(in_reach(&mut two.sim, two.ann, "ben"), "{what}");
    }
}

#[test]
fn sim_every_bad_record_of_a_contact_ends_its_link() {
    for (what, record) in bad_records() {
        let mut two = with_taken_contact(seed());
        // What is no bundle is refused, and the session goes on; only what is longer than any is a bad record.
        let lives = ["a BUNDLE of 100 bytes", "a BUNDLE of another version"].contains(&what);
        assert_eq!(survives(&mut two.sim, two.wire, two.ben, two.ann, &[record]), lives, "{what}");
    }
}

#[test]
fn sim_a_record_before_hello_ends_the_link() {
    let samples = [
        Record::Ping.encode(),
        Record::Pong.encode(),
        Record::Want(vec![short(1)]).encode(),
        Record::Offer { batch: 0, ids: vec![short(1)] }.encode(),
        Record::Ack(vec![[1; 16]]).encode(),
        Record::Upgrade([1; 32]).encode(),
        cursor(),
        vec![9, 1],
    ];
    for record in samples {
        let (mut two, eve, wire) = with_stranger(seed());
        assert!(!survives(&mut two.sim, wire, eve, two.ann, std::slice::from_ref(&record)), "{record:?}");
    }
}

#[test]
fn sim_a_stranger_is_answered_like_at_an_empty_node() {
    let (mut two, eve, wire) = with_stranger(seed());
    two.write(two.ann, 3);
    two.sim.run_for(SECOND);
    let bundle = {
        let mut bytes = vec![1; 512];
        bytes[..8].copy_from_slice(&[1, 0, 3, 0, 0, 7, 0x9c, 0x0e]);
        bytes[40..48].fill(0);
        bytes
    };
    two.sim.take_records(eve);
    let records = [
        hello(7),
        Record::Offer { batch: 0, ids: (0..200).map(short).collect() }.encode(),
        Record::Want(vec![short(1), short(2)]).encode(),
        Record::Ack(vec![[1; 16]]).encode(),
        Record::Upgrade([1; 32]).encode(),
        // A question about nothing: a node without a relay set answers, too.
        Record::Ranges(vec![1]).encode(),
        Record::Ping.encode(),
    ];
    let before = status(&mut two.sim, two.ann).bundles;
    assert!(survives(&mut two.sim, wire, eve, two.ann, &records));
    let got: Vec<Record> = two.sim.take_records(eve).iter().map(|record| Record::decode(record).unwrap()).collect();
    assert!(
        got.iter()
            .all(|record| matches!(record, Record::Pick { .. } | Record::Refused(_) | Record::Ranges(_) | Record::Ping | Record::Pong)),
        "{got:?}"
    );
    assert!(got.contains(&Record::Ranges(vec![2])), "{got:?}");
    assert!(got.contains(&Record::Pick { batch: 0, wanted: vec![0; 25] }));
    assert!(got.contains(&Record::Refused(vec![(short(1), Refusal::Unwanted), (short(2), Refusal::Unwanted)])));
    assert!(!survives(&mut two.sim, wire, eve, two.ann, &[Record::Bundle { age: 0, copies: 255, bytes: bundle }.encode()]));
    let got: Vec<Record> = two.sim.take_records(eve).iter().map(|record| Record::decode(record).unwrap()).collect();
    assert!(got.iter().any(|record| matches!(record, Record::Refused(all) if all[0].1 == Refusal::NotCarried)));
    assert_eq!(status(&mut two.sim, two.ann).bundles, before, "nothing was taken from a stranger");
    assert!(!in_reach(&mut two.sim, two.ann, "eve"));
}

#[test]
fn sim_a_second_cursor_or_a_mark_of_a_stranger_ends_its_link() {
    let (mut two, eve, wire) = with_stranger(seed());
    assert!(survives(&mut two.sim, wire, eve, two.ann, &[hello(7), cursor()]), "everybody sends one, which says nothing");
    for record in [cursor(), Record::Mark { epoch: [1; 8], sequence: 5 }.encode()] {
        let (mut two, eve, wire) = with_stranger(seed());
        assert!(!survives(&mut two.sim, wire, eve, two.ann, &[hello(7), cursor(), record]));
    }
}

#[test]
fn sim_the_cursor_that_strangers_are_told_is_drawn_anew_for_each() {
    let mut two = Two::contacts(seed());
    two.write(two.ann, 3);
    two.sim.run_for(MINUTE);
    let heard = listen(&mut two.sim);
    // As many as have places at once.
    for _ in 0..4 {
        let eve = two.sim.stranger("eve");
        two.sim.connect(eve, two.ann, Faults::NONE);
        two.sim.run_for(SECOND);
    }
    let (ann, kind) = (two.ann, cursor()[0]);
    let told: Vec<Vec<u8>> =
        heard.borrow().iter().filter(|(node, record)| *node == ann && record[0] == kind).map(|(_, record)| record.clone()).collect();
    assert_eq!(told.len(), 4, "each has been told one, Ben none since");
    // Epochs and the sequence; nor do a sequence's upper bytes say that it is a small number.
    for (from, to) in [(1, 9), (9, 17), (17, 25), (17, 21)] {
        let values: BTreeSet<&[u8]> = told.iter().map(|record| &record[from..to]).collect();
        assert_eq!(values.len(), 4, "bytes {from} to {to}: {told:x?}");
    }
}

#[test]
fn sim_a_lying_mark_harms_only_its_sender() {
    let mut two = with_taken_contact(seed());
    for epoch in [[0; 8], [0xff; 8]] {
        let lie = Record::Mark { epoch, sequence: u64::MAX }.encode();
        assert!(survives(&mut two.sim, two.wire, two.ben, two.ann, &[lie]));
    }
    two.write(two.ann, 5);
    // Ben's own engine comes back and finds everything.
    two.sim.kill(two.ben);
    two.sim.release(two.ben);
    two.sim.revive(two.ben);
    two.write(two.ben, 5);
    two.sim.run_for(5 * SECOND);
    two.expect_all(two.ann, 5);
    two.expect_all(two.ben, 5);
}

#[test]
fn sim_a_peer_that_answers_nothing_holds_no_more_than_its_window() {
    let mut two = Two::contacts_over(seed(), Faults { rate: 50_000, ..Faults::NONE });
    two.sim.run_for(2 * MINUTE);
    two.sim.possess(two.ben);
    two.sim.take_records(two.ben);
    for number in 0..180 {
        two.sim.send(two.ann, "ben", &format!("{number} {}", "x".repeat(2_500)));
    }
    // It goes on saying that it lives.
    for _ in 0..20 {
        two.sim.send_raw(two.wire, two.ben, &Record::Pong.encode());
        two.sim.run_for(5 * SECOND);
    }
    let got = two.sim.take_records(two.ben);
    let bytes: usize = got.iter().filter(|record| record[0] == 5).map(|record| record.len() - 4).sum();
    // One bundle on its way, one behind it, and what crosses in a tenth of a second.
    assert!((8_192..=2 * 4_096 + 5_000).contains(&bytes), "little more than two bundles: {bytes}");
    assert!(common::states(&mut two.sim, two.ann, "ben").iter().all(|state| *state == MessageState::Queued));
    // Silence ends it.
    two.sim.run_for(40 * SECOND);
    assert!(!in_reach(&mut two.sim, two.ann, "ben"));
}

#[test]
fn sim_a_peer_that_stalls_in_recognition_is_given_up_and_blocks_nobody() {
    let mut two = Two::strangers(seed(), Faults::NONE);
    two.sim.introduce(two.ann, two.ben);
    two.sim.cut(two.wire);
    // More than may be opening at once, all of them mute after the handshake.
    let mut wires = Vec::new();
    for _ in 0..30 {
        let mute = two.sim.mute_stranger("mute");
        wires.push(two.sim.connect(mute, two.ann, Faults::NONE));
    }
    two.sim.run_for(SECOND / 10);
    for wire in &wires {
        two.sim.keep_down(*wire);
    }
    two.sim.run_for(15 * SECOND);
    assert!(wires.iter().all(|wire| !two.sim.is_up(*wire)), "they were given up");
    two.sim.mend(two.wire);
    two.sim.run_for(2 * SECOND);
    assert!(in_reach(&mut two.sim, two.ann, "ben"));
}

#[test]
fn sim_a_stranger_that_names_a_contacts_beacon_ends_only_its_own_link() {
    let mut two = Two::contacts(seed());
    let heard = common::listen(&mut two.sim);
    two.sim.cut(two.wire);
    two.sim.mend(two.wire);
    two.sim.run_for(SECOND);
    let ben = two.ben;
    let hello = heard.borrow().iter().rfind(|(node, record)| *node == ben && record[0] == 1).map(|(_, record)| record.clone()).unwrap();
    let link = two.sim.link_of(two.wire, two.ann);
    for _ in 0..3 {
        let eve = two.sim.stranger("eve");
        let wire = two.sim.connect(eve, two.ann, Faults::NONE);
        two.sim.run_for(SECOND);
        two.sim.send_raw(wire, eve, &hello);
        two.sim.run_for(7 * SECOND);
    }
    assert_eq!(two.sim.link_of(two.wire, two.ann), link);
    two.write(two.ann, 3);
    two.sim.run_for(SECOND);
    two.expect_all(two.ann, 3);
}

/// Offers of so many times 256 made-up ids, and what came of them: how many were answered, how many ids wanted, whether the link has lasted.
fn made_up_offers(count: u16) -> (usize, u32, bool) {
    let mut two = with_taken_contact(seed());
    // Numbered from 0, as Ben's engine had nothing to offer.
    let records: Vec<Vec<u8>> = (0..count)
        .map(|batch| {
            let ids = (0..256_u64).map(|id| ShortId((u64::from(batch) * 256 + id).to_be_bytes())).collect();
            Record::Offer { batch, ids }.encode()
        })
        .collect();
    two.sim.take_records(two.ben);
    let lasts = survives(&mut two.sim, two.wire, two.ben, two.ann, &records);
    let picks = two.sim.take_records(two.ben).into_iter().filter(|record| record[0] == 3).collect::<Vec<_>>();
    let wanted = picks.iter().flat_map(|pick| &pick[3..]).map(|byte| byte.count_ones()).sum();
    (picks.len(), wanted, lasts)
}

#[test]
fn sim_offers_of_a_contact_without_end_cost_a_bounded_memory() {
    assert_eq!(made_up_offers(64), (64, 16_384, true), "as many as one link may be asked for");
    assert_eq!(made_up_offers(80), (64, 16_384, true), "what it may not be asked for waits, in sixteen offers");
    assert_eq!(made_up_offers(81), (64, 16_384, false), "more is no honest peer's");
}

/// A list of 256 made-up ids, of everything that there is.
fn made_up_list(number: u64) -> Vec<u8> {
    let ids = (0..256).flat_map(|id| (number * 256 + id).to_be_bytes());
    [9, 0, 0xbf, 0x80, 0x02].into_iter().chain(ids).chain([0xff; 32]).collect()
}

#[test]
fn sim_lists_of_a_contact_without_end_cost_a_bounded_memory() {
    let mut two = with_taken_contact(seed());
    let wanted = |two: &mut Two| -> usize {
        let records = two.sim.take_records(two.ben).into_iter().map(|record| Record::decode(&record).unwrap());
        records.map(|record| if let Record::Want(ids) = record { ids.len() } else { 0 }).sum()
    };
    wanted(&mut two);
    let lists: Vec<Vec<u8>> = (0..96).map(made_up_list).collect();
    assert!(survives(&mut two.sim, two.wire, two.ben, two.ann, &lists[..95]), "thirty-two lists may wait");
    assert_eq!(wanted(&mut two), 63 * 256, "as many as one link may be asked for, and all of a record or none");
    let gone = (0..512).map(|id: u64| (ShortId(id.to_be_bytes()), Refusal::Unwanted)).collect::<Vec<_>>();
    let refused: Vec<Vec<u8>> = gone.chunks(256).map(|gone| Record::Refused(gone.to_vec()).encode()).collect();
    assert!(survives(&mut two.sim, two.wire, two.ben, two.ann, &refused));
    assert_eq!(wanted(&mut two), 2 * 256, "what waits is asked for as room comes");
    assert!(survives(&mut two.sim, two.wire, two.ben, two.ann, &[made_up_list(96), made_up_list(97)]));
    assert!(!survives(&mut two.sim, two.wire, two.ben, two.ann, &lists[95..]), "more is no honest peer's");
}

#[test]
fn sim_garbage_ranges_of_a_contact_end_its_link_and_nothing_is_lost() {
    let mut two = with_taken_contact(seed());
    two.write(two.ann, 2);
    for flags in [4, 7, 8, 0xff] {
        if two.sim.link_of(two.wire, two.ann).is_some() {
            two.sim.send_raw(two.wire, two.ben, &[9, flags, 1, 2, 3]);
            two.sim.run_for(SECOND);
        }
    }
    assert!(!in_reach(&mut two.sim, two.ann, "ben"));
    two.sim.kill(two.ben);
    two.sim.release(two.ben);
    two.sim.revive(two.ben);
    two.sim.run_for(10 * SECOND);
    two.expect_all(two.ann, 2);
    assert_eq!(texts(&mut two.sim, two.ben, "ann").len(), 2);
    assert_eq!(contacts(&mut two.sim, two.ann).len(), 1);
}
