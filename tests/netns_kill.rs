//! Daemons that are killed at any moment while both sides write: nothing whose id was printed is lost, nothing comes twice. Needs root and
//! iproute2: `cargo test --test netns_kill -- --ignored --nocapture`. `KILL_SEED` repeats a run's choices.
#![expect(clippy::disallowed_methods, reason = "this test measures time")]

mod common;
#[path = "common/lab.rs"]
mod lab;
#[path = "common/netns.rs"]
mod netns;

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use common::Home;
use lab::{Chance, Client, daemon_on, introduce};
use netns::Network;

/// How often a daemon is killed.
const KILLS: u32 = 50;
/// The longest life of a daemon after it is ready, milliseconds: some die while they dial, some in the midst of traffic.
const LONGEST_LIFE: u64 = 1_200;
/// Everything must be delivered so long after the last kill.
const SETTLE: Duration = Duration::from_secs(120);

/// Writes with ids of its own until told to stop, each message again and again until its id is printed; gives ids and texts in order.
fn write(home: &Home, other: &str, mut chance: Chance, stop: &AtomicBool, answered: &AtomicU64) -> Vec<(String, String)> {
    let mut written = Vec::new();
    while !stop.load(Ordering::Acquire) {
        let id = format!("{:016x}{:016x}", chance.next(), chance.next());
        let text = format!("number {} to {other} {}", written.len(), "x".repeat(chance.below(300) as usize));
        loop {
            let output = home.run(&["send", other, &text, "--id", &id]);
            if output.status.success() {
                assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), id);
                break;
            }
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            // 5: no daemon, or it went away before it answered.
            assert_eq!(output.status.code(), Some(5), "{said}");
        }
        written.push((id, text));
        answered.fetch_add(1, Ordering::Release);
    }
    written
}

#[test]
#[ignore = "needs root and network namespaces"]
fn nothing_answered_is_lost_and_nothing_comes_twice_when_daemons_are_killed_at_any_moment() {
    let mut chance = Chance::from_env("KILL_SEED");
    let network = Network::new(2, true);
    let homes = [Home::with_profile("alice"), Home::with_profile("bob")];
    let names = ["alice", "bob"];
    let mut daemons: Vec<_> = homes.iter().enumerate().map(|(node, home)| Some(daemon_on(&network, node, home, &[]))).collect();
    introduce(&homes[0], &homes[1]);

    let (stop, answered) = (AtomicBool::new(false), AtomicU64::new(0));
    let start = Instant::now();
    let written = thread::scope(|scope| {
        let writers: Vec<_> = (0..2)
            .map(|side| {
                let (chance, home, stop, answered) = (Chance(chance.next()), &homes[side], &stop, &answered);
                scope.spawn(move || write(home, names[1 - side], chance, stop, answered))
            })
            .collect();
        // However the kills end, the writers must.
        let kills = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for _ in 0..KILLS {
                // The moment is what is tested: it follows nothing.
                thread::sleep(Duration::from_millis(chance.below(LONGEST_LIFE)));
                let side = chance.below(2) as usize;
                drop(daemons[side].take());
                // It opens the database and says so, or this fails.
                daemons[side] = Some(daemon_on(&network, side, &homes[side], &[]));
            }
        }));
        stop.store(true, Ordering::Release);
        let written: Vec<_> = writers.into_iter().map(|writer| writer.join().unwrap()).collect();
        kills.unwrap();
        written
    });
    println!("{KILLS} kills in {:?}; {} messages answered", start.elapsed(), answered.load(Ordering::Acquire));
    let settle = Instant::now();
    for side in 0..2 {
        Client::subscribe(&homes[side]).wait_until_delivered(names[1 - side]);
    }
    println!("all delivered after {:?} more", settle.elapsed());
    assert!(settle.elapsed() < SETTLE);
    for side in 0..2 {
        let sent: BTreeMap<_, _> = written[1 - side].iter().cloned().collect();
        let messages = homes[side].json(&["messages", names[1 - side]]);
        let arrived: Vec<(String, String)> = messages
            .as_array()
            .unwrap()
            .iter()
            .filter(|message| message["outgoing"] == false)
            .map(|message| (message["id"].as_str().unwrap().to_owned(), message["text"].as_str().unwrap().to_owned()))
            .collect();
        assert_eq!(arrived.len(), sent.len(), "a message is lost or came twice at {}", names[side]);
        assert_eq!(arrived.iter().cloned().collect::<BTreeMap<_, _>>(), sent, "at {}", names[side]);
        let late = arrived.iter().zip(&written[1 - side]).filter(|(arrived, written)| arrived != written).count();
        println!("{}: {} arrived, {late} not in their place", names[side], arrived.len());
        assert_eq!(late, 0, "out of order");
    }
}
