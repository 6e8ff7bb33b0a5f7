//! Ann and Carol write through Bert while Mallory, a neighbour of all three, does what neighbours must not. Needs root and iproute2:
//! `cargo test --features test-delays --test netns_hostile -- --ignored --nocapture --test-threads 1`. `HOSTILE_SEED` repeats a run's choices.
//!
//! What the engine makes of such records in detail is tested over the harness (`sync/tests/sim_hostile.rs` and its neighbours); here are
//! the built program, its sockets and its store.
#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "these tests measure time and fail by panic")]

#[path = "common/clock.rs"]
mod clock;
mod common;
#[path = "common/hostile.rs"]
mod hostile;
#[path = "common/lab.rs"]
mod lab;
#[path = "common/line.rs"]
mod line;
#[path = "common/netns.rs"]
mod netns;

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use clock::ClockShim;
use hedgerow_sync::wire::{bundle::Class, record::Record};
use hostile::{Stranger, junk};
use lab::{Chance, Client, SHORT, incoming, introduce};
use line::{ANN, BERT, CAROL, Line, NAMES, SOON, carried, handed, text};
use serde_json::{Value, json};

/// Length of the bundle of a short message, bytes.
const MESSAGE_BUNDLE: usize = 512;
/// Longest that Mallory waits for one more bundle before she looks whether there is any.
const TAKEN_WITHIN: Duration = Duration::from_millis(100);

/// Ann and Carol are contacts, and Bert is gone; Ann has written `count` messages that nobody has taken.
fn waiting(count: usize) -> (Line, Client, Vec<String>) {
    let mut line = Line::of_friends(SHORT);
    line.kill(BERT);
    let mut writer = line.client(ANN);
    writer.wait_for_status(|status| status["neighbours"].as_array().unwrap().is_empty());
    let ids = (0..count).map(|number| writer.send(NAMES[CAROL], &text(ANN, &format!("number {number}")))).collect();
    (line, writer, ids)
}

/// Mallory passes for Ann's only neighbour, and takes what she gives until all these messages are said to be carried; gives their bundles.
fn robbed(line: &Line, writer: &mut Client, ids: &[String], chance: &mut Chance) -> Vec<Vec<u8>> {
    let mut mallory = line.mallory(0, ANN, chance);
    let (mut taken, end) = (BTreeSet::new(), Instant::now() + SOON);
    // Ann holds more than these: what made the two contacts, in larger bundles, may come in between.
    while !ids.iter().all(|id| writer.call("explain", json!({ "id": id })).unwrap()["state"] == "carried") {
        assert!(Instant::now() < end, "{} bundles taken of {} messages, not all carried", taken.len(), ids.len());
        taken.extend(mallory.take(1, TAKEN_WITHIN).unwrap().into_iter().filter(|bundle| bundle.len() == MESSAGE_BUNDLE));
    }
    assert_eq!(taken.len(), ids.len());
    for id in ids {
        let explained = line.explain(ANN, id);
        assert_eq!(handed(&explained), (0, 1), "{explained}");
    }
    taken.into_iter().collect()
}

fn texts_at(line: &Line, reader: usize, writer: usize) -> Vec<String> {
    incoming(&line.homes[reader].json(&["messages", NAMES[writer]]))
}

#[test]
#[ignore = "needs root and network namespaces"]
fn a_carrier_that_claims_stored_and_drops_all_only_costs_time() {
    let mut chance = Chance::from_env("HOSTILE_SEED");
    let (mut line, mut writer, ids) = waiting(10);
    robbed(&line, &mut writer, &ids, &mut chance);
    let start = Instant::now();
    line.start(BERT);
    line.settle(SOON);
    println!("honest carrier back to all delivered: {:?}", start.elapsed());
    for id in &ids {
        assert_eq!(line.explain(ANN, id)["state"], "delivered");
    }
}

#[test]
#[ignore = "needs root and network namespaces"]
fn a_poisoned_age_keeps_no_honest_copy_away() {
    let mut chance = Chance::from_env("HOSTILE_SEED");
    let shim = ClockShim::new();
    for without_clock in [false, true] {
        let (mut line, mut writer, ids) = waiting(3);
        let taken = robbed(&line, &mut writer, &ids, &mut chance);
        line.kill(CAROL);
        line.set(ANN, "down");
        line.start_with(BERT, if without_clock { shim.in_1970() } else { shim.ahead(0) }.as_slice());
        let mut mallory = line.mallory(1, BERT, &mut chance);
        let fate = mallory.hand_over(&taken, u16::MAX).unwrap();
        println!("without a clock {without_clock}: {fate:?}");
        // These have a created hour, by which they will expire wherever there is a clock; an age is no reason to refuse them.
        assert_eq!(fate.stored.len(), taken.len(), "{fate:?}");
        drop(mallory);
        line.set(ANN, "up");
        line.client(BERT).wait_for_status(|status| carried(status) >= ids.len() as u64);
        line.start(CAROL);
        line.settle(SOON);
    }
}

#[test]
#[ignore = "needs root and network namespaces"]
fn wrong_acks_let_nothing_go() {
    let mut chance = Chance::from_env("HOSTILE_SEED");
    let (mut line, mut writer, ids) = waiting(10);
    let taken = robbed(&line, &mut writer, &ids, &mut chance);
    line.kill(CAROL);
    line.start(BERT);
    let mut bert = line.client(BERT);
    let before = carried(&bert.wait_for_status(|status| carried(status) >= ids.len() as u64));
    let mut mallory = line.mallory(0, BERT, &mut chance);
    // Random ones, what stands in the header as commitment, and tags.
    let shown = taken.iter().flat_map(|bundle| [&bundle[24..40], &bundle[8..24]]).map(|part| part.try_into().unwrap());
    let secrets: Vec<[u8; 16]> = shown.chain((0..200).map(|_| chance.bytes())).collect();
    for part in secrets.chunks(100) {
        mallory.say(&Record::Ack(part.to_vec())).unwrap();
    }
    mallory.say(&Record::Ping).unwrap();
    mallory.hear(|_, record| matches!(record, Record::Pong).then_some(())).unwrap();
    assert_eq!(carried(&bert.call("status", json!({})).unwrap()), before, "an ack of nothing let something go");
    line.start(CAROL);
    line.settle(SOON);
}

#[test]
#[ignore = "needs root and network namespaces"]
fn copies_altered_in_every_byte_bring_nothing_and_keep_nothing_away() {
    let mut chance = Chance::from_env("HOSTILE_SEED");
    let (mut line, mut writer, ids) = waiting(1);
    let taken = robbed(&line, &mut writer, &ids, &mut chance);
    let honest = taken.iter().find(|bundle| bundle.len() == MESSAGE_BUNDLE).unwrap();
    let altered: Vec<Vec<u8>> = (0..honest.len())
        .map(|place| {
            let mut bytes = honest.clone();
            bytes[place] ^= 1 << chance.below(8);
            bytes
        })
        .collect();
    let start = Instant::now();
    let mut mallory = line.mallory(1, CAROL, &mut chance);
    let fate = mallory.hand_over(&altered, 0).unwrap();
    println!(
        "{} altered copies: {} stored, {} refused, {} not wanted, in {:?}",
        altered.len(),
        fate.stored.len(),
        fate.refused.len(),
        fate.unwanted.len(),
        start.elapsed()
    );
    assert!(!fate.stored.is_empty() && !fate.refused.is_empty(), "{fate:?}");
    assert!(texts_at(&line, CAROL, ANN).is_empty());
    // The honest copy by the same hand is a stranger's bundle like those before; Bert brings another.
    drop(mallory);
    line.start(BERT);
    line.settle(SOON);
    assert_eq!(texts_at(&line, CAROL, ANN), [text(ANN, "number 0")]);
}

#[test]
#[ignore = "needs root and network namespaces"]
fn a_mark_is_not_found_at_a_node_that_carries_for_contacts_only() {
    let mut chance = Chance::from_env("HOSTILE_SEED");
    let mut line = Line::new(SHORT);
    line.start(BERT);
    let mark = junk(&mut chance, 512, Class::Normal);
    let planted = line.mallory(0, BERT, &mut chance).hand_over(std::slice::from_ref(&mark), 0).unwrap();
    assert_eq!(planted.stored.len(), 1, "{planted:?}");
    // What the threat model says of mode mesh: another beacon hides nobody from who has planted a mark.
    line.kill(BERT);
    line.start(BERT);
    let shown = line.mallory(0, BERT, &mut chance).take(2, Duration::from_secs(3)).unwrap();
    assert_eq!(shown, std::slice::from_ref(&mark));

    line.homes[BERT].ok(&["mode", "contacts"]);
    let shown = line.mallory(0, BERT, &mut chance).take(1, Duration::from_secs(3)).unwrap();
    assert!(shown.is_empty(), "a mark from before shows");
    let mut mallory = line.mallory(0, BERT, &mut chance);
    assert!(!mallory.hello.carries);
    let planted = mallory.hand_over(&[junk(&mut chance, 512, Class::Normal)], 0).unwrap();
    assert_eq!((planted.stored.len(), planted.unwanted.len()), (0, 1), "{planted:?}");
}

/// What a flood is: sessions, each with an identity of its own, and bundles of each.
const SESSIONS: usize = 300;
const BUNDLES_EACH: usize = 10;

#[test]
#[ignore = "needs root and network namespaces"]
fn a_flood_of_sessions_into_a_small_store_leaves_own_and_contacts_mail_alone() {
    let mut chance = Chance::from_env("HOSTILE_SEED");
    let line = Line::of_friends(SHORT);
    // Bert is a friend of both here: what contacts bring has its own share of his store.
    for friend in [ANN, CAROL] {
        introduce(&line.homes[friend], &line.homes[BERT]);
    }
    line.homes[BERT].ok(&["relay", "--space", "5M"]);
    line.client(BERT).wait_for_status(|status| status["neighbours"].as_array().unwrap().len() == 2);
    let (address, start) = (line.address(0, BERT), Instant::now());
    let (mut stored, mut refused, mut turned_away) = (0, 0, 0);
    for session in 0..SESSIONS {
        if session % 30 == 0 {
            line.write(2, &format!("under session {session}, number"));
            line.homes[BERT].ok(&["send", NAMES[CAROL], &format!("from Bert under session {session}")]);
        }
        let bundles: Vec<Vec<u8>> = (0..BUNDLES_EACH).map(|_| junk(&mut chance, 4096, Class::Urgent)).collect();
        let fate = Stranger::dial(&line.network, line::MALLORY, address, &mut chance).and_then(|mut one| one.hand_over(&bundles, 0));
        match fate {
            Ok(fate) => {
                stored += fate.stored.len();
                refused += fate.refused.len() + fate.unwanted.len();
            }
            Err(_) => turned_away += 1,
        }
    }
    let flood = start.elapsed();
    let mut from_bert = line.client(BERT);
    from_bert.patience = SOON;
    from_bert.wait_until_delivered(NAMES[CAROL]);
    line.settle(SOON);
    println!("{SESSIONS} sessions in {flood:?}: {stored} bundles taken, {refused} not, {turned_away} sessions ended; all mail through");
    assert!(stored + refused >= SESSIONS * BUNDLES_EACH / 2, "this was no flood");
    let status = from_bert.call("status", json!({})).unwrap();
    assert!(status["relay"]["carried_bytes"].as_u64().unwrap() <= 5 << 20, "{status}");
}

#[test]
#[ignore = "needs root and network namespaces"]
fn fake_neighbours_that_dial_in_shut_nobody_out() {
    let mut chance = Chance::from_env("HOSTILE_SEED");
    let mut line = Line::new(SHORT);
    line.start(BERT);
    let mut fakes: Vec<Stranger> = (0..14)
        .filter_map(|number| Stranger::dial(&line.network, line::MALLORY, line.address(number % 2, BERT), &mut chance).ok())
        .collect();
    let stay: usize = fakes.iter_mut().map(|fake| usize::from(!fake.is_ended(Duration::from_millis(200)))).sum();
    println!("{stay} of {} fake neighbours hold a link", fakes.len());
    let start = Instant::now();
    line.start(ANN);
    line.start(CAROL);
    for node in [ANN, CAROL] {
        line.client(node).wait_for_link();
    }
    line.introduce();
    line.write(5, "past the fakes, number");
    line.settle(SOON);
    println!("two daemons started to their mail delivered: {:?}", start.elapsed());
    let neighbours = line.client(BERT).call("status", json!({})).unwrap()["neighbours"].as_array().unwrap().clone();
    let inbound = neighbours.iter().filter(|neighbour| neighbour["outbound"] == Value::Bool(false)).count();
    assert!(inbound <= 8, "{neighbours:?}");
}
