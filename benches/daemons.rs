//! Two daemons, each on a node of a network of their own: first link, latency, 10,000 messages that waited, and what an idle pair costs.
//! Three in a line: what waits with a carrier when it meets the reader. Thirty on one bridge: what a message takes between two who have no
//! link, and what idle ones cost.
//!
//! `cargo bench --features test-delays --bench daemons [-- PART…]`, PART being `link`, `latency`, `queue`, `carry`, `idle` (four minutes) or `crowd` (eight); all without.
//! Needs root and iproute2. Prints; asserts nothing but that everything arrived. docs/performance.md says how to read it.
#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "a benchmark: it reads the clock, and what fails ends it")]

#[path = "../tests/common/mod.rs"]
mod common;
#[path = "../tests/common/hall.rs"]
mod hall;
#[path = "../tests/common/hostile.rs"]
mod hostile;
#[path = "../tests/common/lab.rs"]
mod lab;
#[path = "../tests/common/line.rs"]
mod line;
#[path = "../tests/common/netns.rs"]
mod netns;

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use common::{Daemon, Home, PATIENCE};
use hall::{Hall, is_connected, median};
use lab::{ANSWER, Client, daemon_on, introduce, introduce_through_others};
use line::{ANN, BERT, CAROL, Line, NAMES};
use netns::{Network, processor_time};
use serde_json::json;

/// Length of a message's text, bytes.
const MESSAGE_LEN: usize = 200;
/// Starts of both daemons.
const STARTS: usize = 10;
/// Messages one at a time: not measured, then measured.
const WARM_UP: usize = 50;
const SINGLE: usize = 1_000;
/// Messages that wait for who is away.
const QUEUED: usize = 10_000;
/// Sends that may be under way at once on one connection of the API (docs/api.md).
const UNDER_WAY: usize = 256;
/// Messages that wait with a carrier, and how often it meets the reader.
const CARRIED: usize = 10;
const MEETINGS: usize = 5;
/// How long the traffic of a meeting is counted, from its link on: shorter than the silence after which a sign of life is asked for.
const MEETING: Duration = Duration::from_secs(5);
/// mDNS asks for neighbours after 1, 3, 7, 15, … s and renews its records every 96 s: after this, one renewal is measured and no question.
const SETTLE: Duration = Duration::from_secs(135);
const MEASURE: Duration = Duration::from_secs(96);

fn main() {
    let parts: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let all: [(&str, fn()); 6] =
        [("link", first_link), ("latency", latency), ("queue", queue), ("carry", carry), ("idle", idle), ("crowd", crowd)];
    for (name, part) in all {
        if parts.is_empty() || parts.iter().any(|wanted| wanted == name) {
            part();
        }
    }
}

/// A network with a person on each of two nodes.
struct Pair {
    network: Network,
    alice: Home,
    bob: Home,
}

impl Pair {
    fn new() -> Self {
        let network = Network::new(2, true);
        (0..2).for_each(|node| network.wait_for_v6(node));
        Self { network, alice: Home::with_profile("alice"), bob: Home::with_profile("bob") }
    }

    /// Starts both at once; how long it takes until they are ready, and linked.
    fn start(&self) -> (Daemon, Daemon, Duration, Duration) {
        let start = Instant::now();
        let one = |node, home| {
            let daemon = daemon_on(&self.network, node, home, &[]);
            let ready = start.elapsed();
            Client::subscribe(home).wait_for_link();
            (daemon, ready, start.elapsed())
        };
        thread::scope(|scope| {
            let at_bob = scope.spawn(|| one(1, &self.bob));
            let (at_alice, ready, linked) = one(0, &self.alice);
            let (at_bob, ready_too, linked_too) = at_bob.join().unwrap();
            (at_alice, at_bob, ready.max(ready_too), linked.max(linked_too))
        })
    }
}

fn quantile(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() - 1) * percent / 100]
}

fn print_spread(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let [p50, p95, worst] = [50, 95, 100].map(|percent| quantile(&times, percent));
    println!("{what}: p50 {p50:.1?}, p95 {p95:.1?}, most {worst:.1?}, of {}", times.len());
}

fn first_link() {
    let pair = Pair::new();
    let (ready, linked) = (0..STARTS)
        .map(|_| {
            let (at_alice, at_bob, ready, linked) = pair.start();
            assert!(at_alice.terminate().success() && at_bob.terminate().success());
            (ready, linked)
        })
        .unzip();
    print_spread("both started to both ready", ready);
    print_spread("both started to first link", linked);
}

fn latency() {
    let pair = Pair::new();
    let _daemons = pair.start();
    introduce(&pair.alice, &pair.bob);
    let (mut writer, mut reader) = (Client::subscribe(&pair.alice), Client::subscribe(&pair.bob));
    let (mut to_reader, mut to_receipt) = (Vec::new(), Vec::new());
    for number in 0..WARM_UP + SINGLE {
        let text = format!("{number:0MESSAGE_LEN$}");
        let start = Instant::now();
        writer.begin("send", json!({ "contact": "bob", "text": text })).unwrap();
        while reader.event_of("message")["text"] != text {}
        let there = start.elapsed();
        let id = writer.answer().unwrap()["id"].clone();
        loop {
            let event = writer.event_of("message");
            if event["id"] == id && event["state"] == "delivered" {
                break;
            }
        }
        if number >= WARM_UP {
            to_reader.push(there);
            to_receipt.push(start.elapsed());
        }
    }
    print_spread("one message, API to the reader's event", to_reader);
    print_spread("one message, API to the writer's receipt", to_receipt);
}

fn queue() {
    let pair = Pair::new();
    let (at_alice, at_bob, ..) = pair.start();
    introduce(&pair.alice, &pair.bob);
    assert!(at_bob.terminate().success());
    let mut writer = Client::connect(&pair.alice).unwrap();
    let before = processor_time(at_alice.id());
    let start = Instant::now();
    for number in 0..QUEUED + UNDER_WAY {
        if number < QUEUED {
            writer.begin("send", json!({ "contact": "bob", "text": format!("{number:0MESSAGE_LEN$}") })).unwrap();
        }
        if number >= UNDER_WAY {
            writer.answer().unwrap();
        }
    }
    let rate = |taken: Duration| QUEUED as f64 / taken.as_secs_f64();
    let taken = start.elapsed();
    let processor = processor_time(at_alice.id()) - before;
    println!("{QUEUED} messages written: {taken:.2?}, {:.0}/s, {:.3} ms of processor each", rate(taken), per_message(processor));

    let (traffic, before) = (pair.network.traffic(0).0, processor_time(at_alice.id()));
    let at_bob = daemon_on(&pair.network, 1, &pair.bob, &[]);
    Client::subscribe(&pair.bob).wait_for_link();
    let (start, at_start) = (Instant::now(), processor_time(at_bob.id()));
    let mut reader = Client::connect(&pair.bob).unwrap();
    // Asking is cheaper for all than ten thousand events; the moment is known to within the pause.
    let wait_until = |client: &mut Client, field: &str, count: u64| {
        while count_of(client, field) != count {
            assert!(start.elapsed() < PATIENCE, "{field} is not {count}");
            thread::sleep(Duration::from_millis(20));
        }
        start.elapsed()
    };
    let received = wait_until(&mut reader, "unread", QUEUED as u64);
    let receipted = wait_until(&mut writer, "undelivered", 0);
    let bytes = pair.network.traffic(0).0 - traffic;
    let processor = [processor_time(at_alice.id()) - before, processor_time(at_bob.id()) - at_start].map(per_message);
    println!("{QUEUED} messages over TCP, link up to the last received: {received:.2?}, {:.0}/s", rate(received));
    println!("{QUEUED} messages over TCP, link up to the last receipt: {receipted:.2?}, {:.0}/s", rate(receipted));
    println!(
        "a message: {} bytes on the wire, {:.3} ms of processor at its writer, {:.3} ms at its reader",
        bytes / QUEUED as u64,
        processor[0],
        processor[1]
    );
    println!("resident after it: writer {} kB, reader {} kB", resident(&at_alice), resident(&at_bob));
    let texts = lab::incoming(&pair.bob.json(&["messages", "alice"]));
    assert!(texts.len() == QUEUED && texts.is_sorted(), "a message is lost, came twice or out of order");
}

/// The contact's unread messages at the reader, or all undelivered ones at the writer.
fn count_of(client: &mut Client, field: &str) -> u64 {
    match field {
        "unread" => client.call("contact", json!({ "contact": "alice" })),
        _ => client.call("status", json!({})),
    }
    .unwrap()[field]
        .as_u64()
        .unwrap()
}

fn per_message(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0 / QUEUED as f64
}

fn carry() {
    // Without discovery, whose bytes come by chance. The reader keeps its receipts for as long as everybody does, so that meetings are of
    // messages alone; the others needn't wait for what is not measured.
    let mut line = Line::new(&[]);
    line.arguments = [
        &["--no-mdns", "--listen", "10.99.0.1:7000", "--shorten-delays", "120"],
        &["--no-mdns", "--connect", "10.99.0.1:7000", "--connect", "10.98.0.3:7000", "--shorten-delays", "120"],
        &["--no-mdns", "--listen", "10.98.0.3:7000"],
    ];
    (0..3).for_each(|node| line.start(node));
    line.introduce();
    let (mut times, mut bytes, mut empty) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..MEETINGS {
        part(&mut line);
        line.set(ANN, "up");
        let mut writer = line.client(ANN);
        let text = |number: usize| format!("{round} {number:0>width$}", width = MESSAGE_LEN - 2);
        let ids: Vec<String> = (0..CARRIED).map(|number| writer.send(NAMES[CAROL], &text(number))).collect();
        for id in ids {
            writer.wait_for_state(&id, &["carried"]);
        }
        part(&mut line);
        let (time, counted) = meeting(&line, CARRIED);
        times.push(time);
        bytes.push(counted);
        part(&mut line);
        empty.push(meeting(&line, 0).1);
    }
    print_spread(&format!("{CARRIED} messages with a carrier, link up to the last at their reader"), times);
    for list in [&mut bytes, &mut empty] {
        list.sort_unstable();
    }
    println!("bytes of a meeting with {CARRIED} messages: {bytes:?}; of one without: {empty:?}");
    let each = bytes[MEETINGS / 2].saturating_sub(empty[MEETINGS / 2]) / CARRIED as u64;
    println!("a message and hop: {each} bytes on the wire (difference of the medians)");
}

/// The carrier leaves everybody and starts anew, so that nobody waits for a link that is dead.
fn part(line: &mut Line) {
    line.kill(BERT);
    [ANN, CAROL].into_iter().for_each(|who| line.set(who, "down"));
    line.start(BERT);
    for who in [ANN, CAROL] {
        line.client(who).wait_for_status(|status| status["neighbours"].as_array().unwrap().is_empty());
    }
}

/// The carrier meets the reader: from the link to the last message that waited, and all bytes on the reader's wire in [`MEETING`].
fn meeting(line: &Line, messages: usize) -> (Duration, u64) {
    let mut reader = line.client(CAROL);
    let before = line.network.traffic(CAROL).0;
    line.set(CAROL, "up");
    reader.event_of("link_up");
    let linked = Instant::now();
    for _ in 0..messages {
        while reader.event_of("message")["outgoing"] != false {}
    }
    let time = linked.elapsed();
    thread::sleep(MEETING.saturating_sub(linked.elapsed()));
    (time, line.network.traffic(CAROL).0 - before)
}

fn idle() {
    let pair = Pair::new();
    let (at_alice, at_bob, ..) = pair.start();
    introduce(&pair.alice, &pair.bob);
    pair.alice.ok(&["send", "bob", "hello", "--wait", "60"]);
    thread::sleep(SETTLE);
    let (traffic, before) = (pair.network.traffic(0), [&at_alice, &at_bob].map(|daemon| processor_time(daemon.id())));
    thread::sleep(MEASURE);
    let (later, after) = (pair.network.traffic(0), [&at_alice, &at_bob].map(|daemon| processor_time(daemon.id())));
    let minutes = MEASURE.as_secs_f64() / 60.0;
    let processor = [after[0] - before[0], after[1] - before[1]].map(|time| time.div_f64(minutes));
    let (bytes, packets) = ((later.0 - traffic.0) as f64 / minutes, (later.1 - traffic.1) as f64 / minutes);
    println!("idle, a minute: {bytes:.0} bytes in {packets:.1} packets on the wire, processor {processor:.1?}");
    println!("idle, resident: {} kB and {} kB", resident(&at_alice), resident(&at_bob));
}

/// What thirty idle nodes cost, before and after messages between two contacts who can't hear each other, over whoever carries.
fn crowd() {
    const NODES: usize = 30;
    const MESSAGES: usize = 200;
    let mut hall = Hall::new(NODES, |_| &[]);
    introduce_through_others(&hall.homes[0], &hall.homes[1]);
    hall.network.part(&[0, 1]);
    // Their link ends 10 s after the PING that follows 25 s of silence.
    let end = Instant::now() + PATIENCE;
    while hall.graph()[0].contains(&1) {
        assert!(Instant::now() < end, "still linked");
        thread::sleep(Duration::from_millis(500));
    }
    print_idle(&mut hall, "before any message");
    let (mut writer, mut reader) = (Client::subscribe(&hall.homes[0]), Client::subscribe(&hall.homes[1]));
    // What is written at the moment in which others bring a receipt may pass for an answer to it.
    reader.patience = ANSWER;
    let mut to_reader = Vec::new();
    for number in 0..MESSAGES {
        let text = format!("{number:0MESSAGE_LEN$}");
        let start = Instant::now();
        writer.begin("send", json!({ "contact": "node1", "text": text })).unwrap();
        while reader.event_of("message")["text"] != text {}
        to_reader.push(start.elapsed());
        writer.answer().unwrap();
    }
    print_spread("one message to somebody without a link, API to the reader's event", to_reader);
    print_idle(&mut hall, "after them");
    let graph = hall.graph();
    assert!(is_connected(&graph), "{graph:?}");
    println!("links of a node: median {}, most {}", median(graph.iter().map(Vec::len)), graph.iter().map(Vec::len).max().unwrap());
}

/// What thirty nodes cost while nobody writes.
fn print_idle(hall: &mut Hall, when: &str) {
    thread::sleep(SETTLE);
    let before = hall.costs();
    thread::sleep(MEASURE);
    let after = hall.costs();
    let graph = hall.graph();
    let minutes = MEASURE.as_secs_f64() / 60.0;
    let bytes = || before.iter().zip(&after).map(|(before, after)| (after.0 - before.0) as f64 / minutes);
    let processor = median(before.iter().zip(&after).map(|(before, after)| (after.1 - before.1).div_f64(minutes)));
    let a_link = median(bytes().zip(&graph).map(|(bytes, links)| bytes / links.len().max(1) as f64));
    println!(
        "idle in a crowd {when}, a minute and node, medians: {:.0} bytes, {a_link:.0} a link, processor {processor:.1?}",
        median(bytes())
    );
}

/// `VmRSS`, kB.
fn resident(daemon: &Daemon) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", daemon.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}
