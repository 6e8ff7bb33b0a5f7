//! Lets attackers loose on a contact trace: `attack TRACE.csv HOURS LETTERS SEED passive|active [ATTACKERS]`; prints a table
//! (docs/simulation.md).
//!
//! In place of a trace, `rooms` are forty people who sit in ten rooms and change places every hour: all in one room are in reach of each
//! other for fifty minutes, and everybody writes to six friends. Long links, as between phones on desks; the traces of badges know short ones only.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a tool of the laboratory: what fails ends it")]

use std::{ops::ControlFlow, sync::Arc};

use hedgerow_sync::{
    engine::EngineConfig,
    sim::{
        attack::{self, Attack, Row},
        faults::FaultMix,
        profile::Profile,
        replay::Plan,
        trace::{Contact, Trace},
        workload::Workload,
    },
};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

const PEOPLE: u32 = 40;
/// Who is whose friend: so many places on, of all people in a ring.
const FRIENDS: [u32; 6] = [1, 7, 13, PEOPLE - 13, PEOPLE - 7, PEOPLE - 1];
const IN_A_ROOM: usize = 4;

/// People who change rooms every hour.
fn rooms(hours: u32, seed: u64) -> Trace {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let mut contacts = Vec::new();
    for hour in 0..hours {
        let mut people: Vec<(u32, u32)> = (0..PEOPLE).map(|person| (rng.next_u32(), person)).collect();
        people.sort_unstable();
        for room in people.chunks(IN_A_ROOM) {
            for (index, (_, one)) in room.iter().enumerate() {
                for (_, other) in room.iter().skip(index + 1) {
                    let start = hour * 3_600 + rng.next_u32() % 120;
                    contacts.push(Contact { start, end: hour * 3_600 + 3_000, a: *one.min(other), b: *one.max(other) });
                }
            }
        }
    }
    contacts.sort_unstable();
    Trace { name: "rooms".into(), nodes: PEOPLE, contacts }
}

fn read(file: &str, hours: u32) -> Trace {
    let csv = std::fs::read_to_string(file).expect("a trace");
    let mut trace = Trace::parse(file, &csv).expect("a trace");
    trace.contacts.retain(|contact| contact.end <= hours * 3_600);
    trace
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, file, hours, letters, seed, attack, rest @ ..] = arguments.as_slice() else { panic!("TRACE HOURS LETTERS SEED ATTACK [N]") };
    let (hours, seed) = (hours.parse().expect("hours"), seed.parse().expect("a seed"));
    let trace = if file == "rooms" { rooms(hours, seed) } else { read(file, hours) };
    let mut workload = Workload::draw(&trace, letters.parse().expect("a number"), seed);
    for letter in &mut workload.letters {
        letter.size = letter.size.min(1_000);
        if file == "rooms" {
            // Everybody writes to six friends.
            letter.dst = (letter.src + FRIENDS[letter.dst as usize % FRIENDS.len()]) % PEOPLE;
        }
    }
    let attackers = rest.first().map_or(trace.nodes as usize / 20, |count| count.parse().expect("a number"));
    let plan = Plan {
        trace: Arc::new(trace),
        workload: Arc::new(workload),
        profile: Profile::BleGood,
        faults: FaultMix::none(),
        checked: false,
        assault: None,
        store_bytes: 20_000_000,
        seed,
        config: EngineConfig::default(),
    };
    let attack = if attack == "passive" { Attack::Passive } else { Attack::Active };
    println!("{}", Row::head());
    let mut said = String::new();
    let rows = attack::run(&plan, attack, attackers, &mut |what, _| {
        if said != what {
            said = what.to_owned();
            eprintln!("{what}");
        }
        ControlFlow::Continue(())
    });
    rows.into_iter().flatten().for_each(|row| println!("{row}"));
}
