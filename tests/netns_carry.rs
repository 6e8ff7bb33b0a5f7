//! Ann and Carol are never on one network; Bert's laptop, a stranger's, meets both and carries. Needs root and iproute2:
//! `cargo test --features test-delays --test netns_carry -- --ignored --nocapture --test-threads 1`. `CARRY_SEED` repeats a run's choices.
//!
//! Most of these tests shorten the delays that hide who writes (`--shorten-delays`, of which `status` tells): what is waited for is the
//! same, only sooner. What becomes of contacts and messages until the receipt is tested with the numbers that everybody has.
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
#[path = "common/memory.rs"]
mod memory;
#[path = "common/netns.rs"]
mod netns;

use std::{
    cell::Cell,
    net::{SocketAddr, TcpStream},
    thread,
    time::{Duration, Instant},
};

use clock::ClockShim;
use common::Home;
use hedgerow_sync::{
    crypto::{identity::Device, link::Link},
    store::{Setting, Store, sqlite::SqliteStore},
};
use hostile::within;
use lab::{ANSWER, Chance, SHORT, incoming};
use line::{ANN, BERT, CAROL, Line, NAMES, SOON, carried, handed, text};
use memory::Needles;
use serde_json::{Value, json};

/// Messages of each side.
const MESSAGES: usize = 100;
/// How often Bert's daemon is killed while messages cross it.
const KILLS: usize = 10;
/// What of Ann and Carol must show nowhere at Bert.
fn secrets(homes: &[Home; 3], link: &str) -> Needles {
    let mut needles = Needles::new();
    let symbols = link.strip_prefix("hedgerow:").unwrap();
    needles.words("the link", symbols);
    // docs/protocol.md, section 7.2: version 1, hour 4, secret 16, one-time key 32, checksum 4.
    let bytes = base32(symbols);
    needles.key("the link's secret", &bytes[5..21]);
    needles.key("the link's one-time key", &bytes[21..53]);
    let keys = Link::parse(link).unwrap().keys();
    for (what, key) in [("to the issuer", keys.invitee_to_issuer), ("to the invitee", keys.issuer_to_invitee), ("of the link", keys.link)] {
        needles.key(&format!("the key {what}"), key.expose());
    }
    needles.words("words of a message", "green umbrella in the belfry");
    for node in [ANN, CAROL] {
        let name = NAMES[node];
        needles.words(&format!("the name {name}"), name);
        let key = SqliteStore::unlock_key(homes[node].path(), b"correct horse").unwrap();
        let store = SqliteStore::open_with_key(homes[node].path(), &key).unwrap();
        let encoded = store.load_setting(Setting::Device).unwrap().unwrap();
        let device = Device::decode(&encoded).unwrap();
        needles.words(&format!("the fingerprint of {name}"), &device.card().fingerprint());
        needles.words(&format!("the fingerprint of {name} in one"), &device.card().fingerprint().replace(' ', ""));
        needles.key(&format!("the identity key of {name}"), device.card().identity());
        needles.key(&format!("the agreement key of {name}"), device.card().agreement());
        needles.key(&format!("the card of {name}"), &device.card().encode());
        needles.key(&format!("the device of {name}"), &encoded[1..]);
        needles.key(&format!("the store key of {name}"), key.expose());
    }
    needles
}

fn base32(symbols: &str) -> Vec<u8> {
    let (mut bytes, mut pending, mut bits) = (Vec::new(), 0_u32, 0);
    for symbol in symbols.bytes() {
        let value = "abcdefghijklmnopqrstuvwxyz234567".bytes().position(|known| known == symbol).unwrap();
        (pending, bits) = (pending << 5 | value as u32, bits + 5);
        if bits >= 8 {
            bits -= 8;
            bytes.push((pending >> bits) as u8);
            pending &= (1 << bits) - 1;
        }
    }
    bytes
}

#[test]
#[ignore = "needs root and network namespaces"]
fn the_only_way_from_ann_to_carol_is_what_bert_carries() {
    let mut line = Line::new(&[]);
    (0..3).for_each(|node| line.start(node));
    let dial =
        |from: usize, to: SocketAddr| within(&line.network, from, || TcpStream::connect_timeout(&to, Duration::from_secs(1))).is_ok();
    assert!(dial(ANN, line.address(0, BERT)) && dial(CAROL, line.address(1, BERT)));
    for wire in 0..2 {
        assert!(!dial(ANN, line.address(wire, CAROL)) && !dial(CAROL, line.address(wire, ANN)), "wire {wire}");
    }
    for file in ["/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv6/conf/all/forwarding"] {
        let output = line.network.command(BERT, "cat").arg(file).output().unwrap();
        assert_eq!(output.stdout, b"0\n", "{file}");
    }
    line.client(BERT).wait_for_status(|status| status["neighbours"].as_array().unwrap().len() == 2);
    for node in [ANN, CAROL] {
        let status = line.client(node).wait_for_status(|status| status["neighbours"].as_array().unwrap().len() == 1);
        assert!(status["trouble"].as_array().unwrap().is_empty(), "{status}");
    }
}

#[test]
#[ignore = "needs root and network namespaces"]
fn strangers_become_contacts_and_write_through_a_carrier() {
    let mut line = Line::new(&[]);
    (0..3).for_each(|node| line.start(node));
    let start = Instant::now();
    let link = line.introduce();
    println!("contacts through a stranger: {:?}", start.elapsed());
    let mut reader = line.client(CAROL);
    let start = Instant::now();
    let from_ann = line.write_from(ANN, MESSAGES, "number");
    while incoming(&reader.call("messages", json!({ "contact": NAMES[ANN] })).unwrap()).len() < MESSAGES {
        reader.event_of("message");
    }
    println!("{MESSAGES} messages, first written to last arrived at Carol: {:?}", start.elapsed());
    // What she writes while others bring her Ann's may pass for an answer, and wait as one.
    let start = Instant::now();
    let from_carol = line.write_from(CAROL, MESSAGES, "number");
    let mut carol = line.client(CAROL);
    carol.patience = ANSWER;
    for (id, _) in &from_carol {
        carol.wait_for_state(id, &["carried", "delivered"]);
    }
    println!("{MESSAGES} messages of Carol's, first written to last handed to Bert: {:?}", start.elapsed());
    // All of it lay at Bert's: a request, a reply, and what was written. Acks come by and by, and take some away: half an hour on average after
    // a message was read, and again after its receipt.
    let status = line.client(BERT).call("status", json!({})).unwrap();
    assert!(carried(&status) > MESSAGES as u64, "{status}");
    assert_eq!(status["contacts"], 0);
    let (first, _) = &from_ann[0];
    // What Carol has written since says what she had by then; Ann has not answered, so that her receipt is on no way yet, unless it was quick.
    let (last, _) = from_carol.last().unwrap();
    let explained = line.client(CAROL).wait_for_state(last, &["carried", "delivered"]);
    println!("Carol's last message is {}, Ann's first {}", explained["state"], line.explain(ANN, first)["state"]);
    assert_eq!(handed(&explained), (0, 1), "{explained}");

    let mut own = Needles::new();
    own.words("the own name", NAMES[BERT]);
    let mut known_to_ann = Needles::new();
    known_to_ann.words("words of a message", "green umbrella in the belfry");
    let id = |node: usize| line.daemons[node].as_ref().unwrap().id();
    assert!(own.found_in_process(id(BERT)).0.contains("the own name"), "this search finds nothing");
    assert!(known_to_ann.found_in_process(id(ANN)).0.contains("words of a message"), "this search finds nothing");
    let bert = id(BERT);
    [ANN, CAROL].into_iter().for_each(|node| line.kill(node));
    let secrets = secrets(&line.homes, &link);
    let (found, bytes) = secrets.found_in_process(bert);
    println!("searched {bytes} bytes of memory");
    assert!(found.is_empty(), "in Bert's memory: {found:?}");

    // Receipts wait for a minute on average, at most five: from here on for less.
    line.arguments = [SHORT, &[], SHORT];
    [ANN, CAROL].into_iter().for_each(|node| line.start(node));
    line.settle(SOON);
    let explained = line.explain(ANN, first);
    assert_eq!((explained["state"].as_str(), handed(&explained)), (Some("delivered"), (0, 1)), "{explained}");
    let (found, _) = secrets.found_in_process(bert);
    assert!(found.is_empty(), "in Bert's memory: {found:?}");
    line.kill(BERT);
    let found = secrets.found_in_folder(line.homes[BERT].path());
    assert!(found.is_empty(), "in Bert's files: {found:?}");
}

/// With [`SHORT`], what a receipt waits to be sealed and to be released, at most, and as much again for what offers wait.
const LONGEST_ANSWER: Duration = Duration::from_secs(10);

#[test]
#[ignore = "needs root and network namespaces"]
fn each_step_is_told_truthfully_where_the_carrier_only_meets_and_is_killed_between() {
    let mut line = Line::new(SHORT);
    line.set(ANN, "down");
    line.set(CAROL, "down");
    (0..3).for_each(|node| line.start(node));
    let link = line.homes[CAROL].json(&["invite"])["link"].as_str().unwrap().to_owned();
    line.homes[ANN].json(&["contact", "add", &link]);
    // Whatever is under way when Bert leaves is durable with him: that is what STORED says. He holds more then than the least since they met; but
    // what was read before may go in the same moment, so he stays no longer than answers can take.
    let visit = |line: &mut Line, who: usize| {
        let least = Cell::new(u64::MAX);
        line.meet(who);
        let met = Instant::now();
        line.client(BERT).wait_for_status(|status| {
            let now = carried(status);
            now > least.replace(least.get().min(now)) || met.elapsed() > LONGEST_ANSWER
        });
        line.kill(BERT);
        line.start(BERT);
    };
    visit(&mut line, ANN);
    visit(&mut line, CAROL);
    line.client(CAROL).wait_until_established();
    line.meet(ANN);
    line.client(ANN).wait_until_established();

    line.kill(BERT);
    let mut writer = line.client(ANN);
    let id = writer.send(NAMES[CAROL], &text(ANN, "by meetings alone"));
    let explained = line.explain(ANN, &id);
    assert_eq!((explained["state"].as_str(), handed(&explained)), (Some("queued"), (0, 0)), "{explained}");
    assert_eq!(explained["waits"]["code"], "no_link", "{explained}");

    line.start(BERT);
    line.meet(ANN);
    let explained = writer.wait_for_state(&id, &["carried"]);
    assert_eq!(handed(&explained), (0, 1), "{explained}");
    assert!(explained["expires"].as_u64().unwrap() > explained["sent"].as_u64().unwrap());
    assert_eq!(explained["waits"]["code"], "carried", "{explained}");
    line.kill(BERT);
    line.start(BERT);

    line.meet(CAROL);
    let mut reader = line.client(CAROL);
    while incoming(&reader.call("messages", json!({ "contact": NAMES[ANN] })).unwrap()).is_empty() {
        reader.event_of("message");
    }
    // Ann can't know yet.
    assert_eq!(line.explain(ANN, &id)["state"], "carried");
    visit(&mut line, CAROL);
    line.meet(ANN);
    let explained = writer.wait_for_state(&id, &["delivered"]);
    assert_eq!(handed(&explained), (0, 1), "{explained}");
    let said: Vec<&str> = explained["log"].as_array().unwrap().iter().map(|entry| entry["what"].as_str().unwrap()).collect();
    assert_eq!(said, ["written", "sealed", "handed", "receipt"], "{explained}");
    assert_eq!(explained["reader"]["last_seen"], Value::Null, "they never met: {explained}");
}

#[test]
#[ignore = "needs root and network namespaces"]
fn nothing_is_lost_where_the_carrier_is_killed_ten_times_at_random() {
    let mut chance = Chance::from_env("CARRY_SEED");
    let mut line = Line::of_friends(SHORT);
    let start = Instant::now();
    for kill in 0..KILLS {
        line.write(MESSAGES / KILLS, &format!("kill {kill}, number"));
        // The moment is what is tested: it follows nothing.
        thread::sleep(Duration::from_millis(chance.below(400)));
        line.kill(BERT);
        line.start(BERT);
    }
    line.settle(SOON);
    println!("{KILLS} kills, {MESSAGES} messages each way delivered within {:?}", start.elapsed());
}

#[test]
#[ignore = "needs root and network namespaces"]
fn a_carrier_with_a_full_disk_says_so_keeps_its_promises_and_goes_on() {
    let [ann, carol] = [NAMES[ANN], NAMES[CAROL]].map(Home::with_profile);
    let bert = Home::on_small_disk(NAMES[BERT], 4 << 20);
    let mut line = Line::of([ann, bert, carol], SHORT);
    (0..3).for_each(|node| line.start(node));
    line.introduce();
    let mut writer = line.client(ANN);
    line.meet(ANN);
    let promised: Vec<String> = (0..10).map(|number| writer.send(NAMES[CAROL], &text(ANN, &format!("promised {number}")))).collect();
    for id in &promised {
        writer.wait_for_state(id, &["carried"]);
    }
    line.homes[BERT].disk().fill();
    let late: Vec<String> = (0..10).map(|number| writer.send(NAMES[CAROL], &text(ANN, &format!("too late {number}")))).collect();
    let says_so = |line: &Line| {
        line.client(BERT).wait_for_status(|status| {
            status["state"] == "failed"
                && status["trouble"].as_array().unwrap().contains(&json!({ "source": "store", "text": "the disk is full" }))
        });
    };
    says_so(&line);
    for id in &late {
        let explained = line.explain(ANN, id);
        assert_eq!((explained["state"].as_str(), handed(&explained)), (Some("queued"), (0, 0)), "{explained}");
    }
    // Its power fails too, and it starts with no room at all.
    line.kill(BERT);
    line.start(BERT);
    says_so(&line);
    line.homes[BERT].disk().free();
    let status = line.client(BERT).wait_for_status(|status| status["state"] == "running");
    assert!(carried(&status) >= promised.len() as u64, "{status}");
    for id in &late {
        writer.wait_for_state(id, &["carried"]);
    }
    for id in &promised {
        assert_eq!(line.explain(ANN, id)["state"], "carried");
    }
    line.meet(CAROL);
    line.set(ANN, "up");
    line.settle(SOON);
    assert_eq!(incoming(&line.homes[CAROL].json(&["messages", NAMES[ANN]])).len(), promised.len() + late.len());
}

#[test]
#[ignore = "needs root and network namespaces"]
fn a_carrier_in_1970_carries_as_any_other() {
    let shim = ClockShim::new();
    let mut line = Line::new(SHORT);
    line.start(ANN);
    line.start_with(BERT, &shim.in_1970());
    line.start(CAROL);
    let status = line.homes[BERT].json(&["status"]);
    assert_eq!(status["clock"]["hour"], Value::Null, "{status}");
    line.introduce();
    line.write(10, "at another time, number");
    line.kill(BERT);
    line.start_with(BERT, &shim.in_1970());
    line.write(10, "and after a restart, number");
    line.settle(SOON);
}

/// A bundle from tomorrow is refused by whoever knows today (docs/protocol.md, section 5), by its reader too, so that a reader looks like
/// any other carrier: what is written with such a clock waits, and its writer is told so.
#[test]
#[ignore = "needs root and network namespaces"]
fn a_writer_a_day_ahead_is_told_the_truth_and_goes_on_when_the_clock_is_right() {
    let shim = ClockShim::new();
    let mut line = Line::of_friends(SHORT);
    line.kill(ANN);
    line.start_with(ANN, &shim.ahead(24 * 3600));
    line.client(ANN).wait_for_link();
    let [from_ann, from_carol] = line.write(5, "yesterday or tomorrow, number");
    // What comes from Carol is a day old for Ann, no more; but Ann's receipt is from tomorrow.
    let mut ann = line.client(ANN);
    while incoming(&ann.call("messages", json!({ "contact": NAMES[CAROL] })).unwrap()).len() < from_carol.len() {
        ann.event_of("message");
    }
    let mut carol = line.client(CAROL);
    for (id, _) in &from_carol {
        carol.wait_for_state(id, &["carried"]);
    }
    for (id, _) in &from_ann {
        // Bert is the first to be offered it, or one of all a moment later.
        let explained = ann.wait_for("explain", &json!({ "id": id }), |explained| explained["waits"]["code"] == "refused");
        assert_eq!((explained["state"].as_str(), handed(&explained)), (Some("queued"), (0, 0)), "{explained}");
    }
    assert!(incoming(&line.homes[CAROL].json(&["messages", NAMES[ANN]])).is_empty());

    line.kill(ANN);
    line.start(ANN);
    let mut ann = line.client(ANN);
    let id = ann.send(NAMES[CAROL], &text(ANN, "the clock is right again"));
    ann.wait_for_state(&id, &["delivered"]);
    carol.wait_until_delivered(NAMES[ANN]);
}

#[test]
fn what_stands_in_memory_is_found_in_any_encoding() {
    let mut needles = Needles::new();
    needles.words("words", "Green Umbrella");
    needles.key("key", &(0..32).collect::<Vec<u8>>());
    let wide: Vec<u8> = "GREEN umbrella".encode_utf16().flat_map(u16::to_be_bytes).collect();
    let digits = "477265656e20556d6272656c6c61".to_ascii_uppercase();
    for (shown, what) in [
        (b"..greeN umbrellA..".to_vec(), "words"),
        ([&b"\0"[..], &wide].concat(), "words in UTF-16BE"),
        (digits.into_bytes(), "words in hexadecimal"),
        ((8..16).collect(), "bytes 8 to 16 of key"),
        (b"0001020304050607".to_vec(), "key in hexadecimal"),
    ] {
        assert_eq!(needles.found_in(&shown).into_iter().collect::<Vec<_>>(), [what]);
    }
    assert!(needles.found_in(b"green  umbrella 000102030405").is_empty());
}
