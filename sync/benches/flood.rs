//! What a flood of strangers' bundles does to honest mail at a small carrier, with and without pools: a table.
//!
//! `cargo bench -p hedgerow-sync --features sim --bench flood [-- HOURS]`. Deterministic (`SIM_SEED`); virtual time. Prints; asserts only
//! that what no flood touches arrives. docs/performance.md says how to read it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a benchmark: what fails ends it")]

#[path = "../tests/common/mod.rs"]
mod common;

use std::time::Duration;

use common::three::{Eve, acquaint, garbage, give_space, handing, node_as};
use hedgerow_sync::{
    engine::EngineConfig,
    sim::{Faults, NodeId, Sim, WireId},
    store::{Origin, Store, memory::MemoryStore},
    view::MessageState,
    wire::bundle::Lifetime,
};

/// Room for bundles of others at a small carrier, and at one with the default, bytes.
const SMALL: u64 = 5 << 20;
const DEFAULT: u64 = 256 << 20;
/// Bundles of 512 bytes that the attacker hands over in ten seconds: 2 MB an hour.
const FLOOD: u64 = 11;
const STEP: Duration = Duration::from_secs(10);
const STEPS_AN_HOUR: u64 = 360;
/// In hours: each of a carrier's acquaintances meets it so often, for a minute.
const ROUND: u64 = 6;
/// Messages of each writer in an hour.
const WRITTEN: u64 = 2;

/// Two people whose mail the carrier takes from one to the other.
struct Route {
    what: &'static str,
    from: NodeId,
    to: NodeId,
    from_name: &'static str,
    to_name: &'static str,
    /// Their wires to the carrier; the writer has none where it is the carrier itself.
    wires: [Option<WireId>; 2],
}

/// Who floods.
#[derive(Clone, Copy, PartialEq)]
enum Attack {
    None,
    /// On one session, from beginning to end.
    OneSession,
    /// On a new session every ten steps.
    NewSessions,
}

struct Outcome {
    /// For each route: delivered, of how many, median delay in hours.
    routes: Vec<(&'static str, usize, usize, Option<f64>)>,
    /// Bundles of strangers held at the end.
    held: usize,
}

struct World {
    sim: Sim,
    bob: NodeId,
    bob_store: MemoryStore,
    routes: Vec<Route>,
}

/// A wire that is down, between the carrier and somebody who dials or is dialled.
fn wire(sim: &mut Sim, bob: NodeId, other: NodeId, dials: bool) -> WireId {
    let wire = if dials { sim.connect(other, bob, Faults::NONE) } else { sim.connect(bob, other, Faults::NONE) };
    sim.cut(wire);
    wire
}

fn world(seed: u64, config: EngineConfig, space: u64) -> World {
    let mut sim = Sim::new(seed);
    let (bob, bob_store) = node_as(&mut sim, "bob", config);
    give_space(&mut sim, bob, &bob_store, space);
    let [dora, flora, ann, carol, gus, hal] = ["dora", "flora", "ann", "carol", "gus", "hal"].map(|name| sim.node(name).0);
    for (one, other) in [(bob, dora), (bob, flora), (dora, flora), (ann, carol), (gus, hal)] {
        acquaint(&mut sim, one, other);
    }
    let [doras, floras] = [dora, flora].map(|node| wire(&mut sim, bob, node, true));
    let [anns, carols] = [ann, carol].map(|node| wire(&mut sim, bob, node, false));
    let [guss, hals] = [gus, hal].map(|node| wire(&mut sim, bob, node, true));
    let route = |what, from, to, from_name, to_name, wires| Route { what, from, to, from_name, to_name, wires };
    let routes = vec![
        route("own", bob, flora, "bob", "flora", [None, Some(floras)]),
        route("contacts'", dora, flora, "dora", "flora", [Some(doras), Some(floras)]),
        route("strangers', dialled", ann, carol, "ann", "carol", [Some(anns), Some(carols)]),
        route("strangers', dialling in", gus, hal, "gus", "hal", [Some(guss), Some(hals)]),
    ];
    World { sim, bob, bob_store, routes }
}

fn run(seed: u64, config: EngineConfig, space: u64, attack: Attack, hours: u64) -> Outcome {
    let mut world = world(seed, config, space);
    let start = world.sim.elapsed();
    let mut eve = (attack != Attack::None).then(|| Eve::dial(&mut world.sim, world.bob));
    let mut number = 1 << 40;
    // The last round is for bringing home what is under way.
    for hour in 0..hours + 2 * ROUND {
        let created = common::three::START_HOUR + (world.sim.elapsed().as_secs() / 3600) as u32;
        for index in 0..world.routes.len() {
            let (from, to) = (world.routes[index].from, world.routes[index].to_name);
            for _ in 0..if hour < hours { WRITTEN } else { 0 } {
                world.sim.send(from, to, "honest mail");
            }
        }
        for step in 0..STEPS_AN_HOUR {
            // In the third minute of an hour one end of each route comes, three hours later the other.
            if step == 18 || step == 24 {
                for index in 0..world.routes.len() {
                    let due = [0, ROUND / 2].map(|offset| hour % ROUND == (index as u64 + offset) % ROUND);
                    for (wire, _) in world.routes[index].wires.iter().zip(due).filter(|(_, due)| *due) {
                        match wire {
                            Some(wire) if step == 18 => world.sim.mend(*wire),
                            Some(wire) => world.sim.cut(*wire),
                            None => {}
                        }
                    }
                }
            }
            if let Some(eve) = &mut eve {
                if attack == Attack::NewSessions && step % 10 == 0 {
                    eve.come_again(&mut world.sim);
                }
                for _ in 0..FLOOD {
                    number += 1;
                    let bundle = garbage(number, created, Lifetime::Fortnight, 512);
                    world.sim.send_raw(eve.wire, eve.node, &handing(&bundle, 0));
                }
                if !eve.is_there(&world.sim) {
                    eve.come_again(&mut world.sim);
                }
                eve.hear(&mut world.sim);
            }
            world.sim.run_for(STEP);
        }
    }
    assert!(world.sim.elapsed() > start);
    let mut held = 0;
    let strange = |origin| matches!(origin, Origin::StrangerInbound | Origin::StrangerOutbound);
    world.bob_store.visit_bundles(&mut |row| held += usize::from(strange(row.origin))).unwrap();
    let routes = (0..world.routes.len()).map(|index| world.outcome(index)).collect();
    Outcome { routes, held }
}

impl World {
    fn outcome(&mut self, index: usize) -> (&'static str, usize, usize, Option<f64>) {
        let Route { what, from, to, from_name, to_name, .. } = self.routes[index];
        let written = self.sim.messages(from, to_name).into_iter().filter(|message| message.outgoing).count();
        let mut delays: Vec<u64> = self
            .sim
            .messages(to, from_name)
            .into_iter()
            .filter(|message| !message.outgoing && message.state >= MessageState::Delivered)
            .map(|message| message.stored.0 - message.sent.0)
            .collect();
        delays.sort_unstable();
        let median = delays.get(delays.len() / 2).map(|delay| *delay as f64 / 3_600_000.0);
        (what, delays.len(), written, median)
    }
}

fn main() {
    let hours = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(24);
    let seed = common::seed();
    let pools = EngineConfig::default();
    // A half of 200 % is the whole; no day brings 1 TB.
    let open = EngineConfig { contact_share: 100, stranger_share: 200, stranger_bytes_a_day: 1 << 40, ..EngineConfig::default() };
    let cases = [
        ("no flood", &pools, SMALL, Attack::None),
        ("pools, one session", &pools, SMALL, Attack::OneSession),
        ("pools, new sessions", &pools, SMALL, Attack::NewSessions),
        ("no pools, one session", &open, SMALL, Attack::OneSession),
        ("no pools, new sessions", &open, SMALL, Attack::NewSessions),
        ("pools, new sessions, 256 MiB", &pools, DEFAULT, Attack::NewSessions),
    ];
    println!("{hours} h, {} kB an hour of flood, room for {} MB", FLOOD * STEPS_AN_HOUR * 512 / 1000, SMALL >> 20);
    for (name, config, space, attack) in cases {
        let outcome = run(seed, config.clone(), space, attack, hours);
        println!("{name} ({} of strangers held)", outcome.held);
        for (what, delivered, written, median) in outcome.routes {
            let median = median.map_or("-".to_owned(), |median| format!("{median:.1} h"));
            println!("  {what:<24} {:>5.2}  {median:>7}   {delivered} of {written}", delivered as f64 / written as f64);
        }
    }
}
