//! Everything goes wrong at once, by seed: no rule is ever broken, and once it is over everything arrives and all are at one.
//!
//! Small made-up traces. Each seed draws who meets whom and when, who writes what, which node does harm and how, and what befalls disks, clocks
//! and links; afterwards the honest nodes stand in a ring of good links.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test: what fails ends it")]
#![cfg(feature = "sqlite")]

mod common;

use std::{cell::RefCell, collections::BTreeMap, rc::Rc, time::Duration};

use common::{DAY, HOUR, MINUTE, SECOND, texts};
use hedgerow_sync::{
    engine::EngineConfig,
    id::MessageId,
    sim::{
        FaultMix, FaultPlan, Faults, NodeId, Sim, WireId,
        oracle::earliest,
        trace::{Contact, Trace},
        workload::{Letter, Workload},
    },
    store::{
        Store,
        memory::MemoryStore,
        sqlite::{KdfParams, SqliteStore},
    },
    view::{Command, MessageState},
};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

/// How long people meet, seconds.
const LENGTH: u32 = 4 * 3600;
const CONTACTS: usize = 40;
const LETTERS: usize = 30;
/// Of a further meeting, records each way together, bytes (issue of the simulator).
const QUIET_BYTES: usize = 200;

/// Where nodes keep what they have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Memory,
    Sqlite,
}

fn pick(rng: &mut impl Rng, below: u32) -> u32 {
    rng.next_u32() % below
}

/// People who meet for half a minute to ten minutes, by chance.
fn draw_trace(rng: &mut ChaCha20Rng) -> Trace {
    let nodes = 8 + pick(rng, 5);
    let mut contacts: Vec<Contact> = Vec::new();
    while contacts.len() < CONTACTS {
        let (a, b) = (pick(rng, nodes), pick(rng, nodes));
        let start = pick(rng, LENGTH - 630);
        let contact = Contact { start, end: start + 30 + pick(rng, 600), a: a.min(b), b: a.max(b) };
        let overlaps =
            |other: &Contact| (other.a, other.b) == (contact.a, contact.b) && other.start <= contact.end && contact.start <= other.end;
        if a != b && !contacts.iter().any(overlaps) {
            contacts.push(contact);
        }
    }
    contacts.sort_unstable_by_key(|contact| (contact.start, contact.end, contact.a, contact.b));
    Trace { name: "by chance".into(), nodes, contacts }
}

/// Letters between ten pairs of honest people.
fn draw_letters(trace: &Trace, plan: &FaultPlan, rng: &mut ChaCha20Rng) -> Workload {
    let honest: Vec<u32> = (0..trace.nodes).filter(|node| plan.is_honest(*node as usize)).collect();
    let mut draw = |others: &[u32]| others[pick(rng, others.len() as u32) as usize];
    let pairs: Vec<(u32, u32)> = (0..10)
        .map(|_| {
            let src = draw(&honest);
            let others: Vec<u32> = honest.iter().copied().filter(|node| *node != src).collect();
            (src, draw(&others))
        })
        .collect();
    let letters = (0..LETTERS).map(|_| {
        let (src, dst) = pairs[pick(rng, pairs.len() as u32) as usize];
        Letter { created: pick(rng, LENGTH), src, dst, size: 20 + pick(rng, 800) }
    });
    Workload { letters: letters.collect() }
}

fn message_id(letter: usize) -> MessageId {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&(letter as u64).to_be_bytes());
    MessageId(id)
}

/// One run.
struct Run {
    sim: Sim,
    nodes: Vec<NodeId>,
    plan: FaultPlan,
    trace: Trace,
    workload: Workload,
    /// What each letter's writer and reader call each other.
    names: BTreeMap<(u32, u32), String>,
    wires: BTreeMap<(u32, u32), WireId>,
    /// Letters that the writer's node has said it took.
    written: Vec<usize>,
    _folder: Option<tempfile::TempDir>,
}

impl Run {
    fn new(seed: u64, mix: &FaultMix, kind: Kind) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let trace = draw_trace(&mut rng);
        let plan = FaultPlan::draw(mix, trace.nodes as usize, Duration::from_secs(LENGTH.into()), seed);
        let workload = draw_letters(&trace, &plan, &mut rng);
        let mut sim = Sim::new(seed).checked().breakable();
        let folder = match kind {
            Kind::Memory => None,
            Kind::Sqlite => Some(tempfile::tempdir().unwrap()),
        };
        let nodes: Vec<NodeId> = (0..trace.nodes).map(|node| add_node(&mut sim, node, folder.as_ref())).collect();
        let mut names = BTreeMap::new();
        for letter in &workload.letters {
            let pair = (letter.src, letter.dst);
            if !names.contains_key(&pair) {
                let mut secret = [0; 32];
                rng.fill_bytes(&mut secret);
                let [there, here] = sim.befriend(nodes[letter.src as usize], nodes[letter.dst as usize], &secret);
                names.insert(pair, there.0.to_string());
                names.insert((letter.dst, letter.src), here.0.to_string());
            }
        }
        plan.apply(&mut sim, &nodes);
        Self { sim, nodes, plan, trace, workload, names, wires: BTreeMap::new(), written: Vec::new(), _folder: folder }
    }

    /// Lets people meet and write as the trace says.
    fn meet(&mut self) {
        let setup = Duration::ZERO;
        let soonest = earliest(&self.trace, &self.workload, setup);
        // What nobody could have carried by then may arrive once all are joined.
        let joined = Duration::from_secs(self.trace.length().max(LENGTH).into());
        for (letter, soonest) in soonest.iter().enumerate() {
            let reader = self.nodes[self.workload.letters[letter].dst as usize];
            self.sim.expect_delivery(message_id(letter), reader, Some(soonest.unwrap_or(joined)));
        }
        let mut acts: Vec<(u32, u8, usize)> = Vec::new();
        for (index, contact) in self.trace.contacts.iter().enumerate() {
            acts.extend([(contact.start, 1, index), (contact.end, 0, index)]);
        }
        acts.extend(self.workload.letters.iter().enumerate().map(|(index, letter)| (letter.created, 2, index)));
        acts.sort_unstable();
        for (at, act, index) in acts {
            self.sim.run_until(Duration::from_secs(at.into()));
            match act {
                2 => self.write(index),
                _ => self.join(index, act == 1),
            }
        }
        self.sim.run_until(joined);
    }

    fn join(&mut self, contact: usize, up: bool) {
        let Contact { a, b, .. } = self.trace.contacts[contact];
        let (sim, plan) = (&mut self.sim, &self.plan);
        let [one, other] = [a, b].map(|node| self.nodes[node as usize]);
        let wire = *self.wires.entry((a, b)).or_insert_with(|| {
            let base = Faults { rate: 50_000, delay: Duration::from_millis(20), ..Faults::NONE };
            sim.lay(one, other, plan.wire(base))
        });
        if up { self.sim.mend(wire) } else { self.sim.cut(wire) }
    }

    /// A person writes, and tries again as long as the device does not answer.
    fn write(&mut self, index: usize) {
        let Letter { src, dst, size, .. } = self.workload.letters[index];
        let text = format!("{index}:{}", "x".repeat(size as usize));
        let command =
            Command::Send { contact: self.names[&(src, dst)].clone(), text, id: Some(message_id(index)), urgent: index.is_multiple_of(7) };
        for _ in 0..3 {
            match self.sim.ask(self.nodes[src as usize], command.clone()) {
                Some(Ok(_)) => return self.written.push(index),
                Some(Err(error)) => panic!("letter {index} is refused: {error:?}"),
                None => {}
            }
        }
    }

    /// Nothing goes wrong any more: clocks are right again, those that jumped two days ahead are caught up with, and the honest stand in a ring.
    fn settle(&mut self) -> Vec<(WireId, [NodeId; 2])> {
        self.wires.values().for_each(|wire| self.sim.cut(*wire));
        for node in self.nodes.clone() {
            self.sim.heal(node);
        }
        self.sim.run_for(3 * DAY);
        let honest: Vec<NodeId> = self.nodes.iter().enumerate().filter(|(node, _)| self.plan.is_honest(*node)).map(|(_, id)| *id).collect();
        let neighbours = (0..honest.len()).map(|index| [honest[index], honest[(index + 1) % honest.len()]]);
        let ring = neighbours.map(|[one, other]| (self.sim.connect(one, other, Faults::NONE), [one, other])).collect();
        // Whatever was written is released, read, receipted and acknowledged.
        self.sim.run_for(12 * HOUR);
        self.meet_in_person();
        ring
    }

    /// What was written without a clock nobody carries: its writer has to meet the reader.
    fn meet_in_person(&mut self) {
        let late: BTreeMap<(u32, u32), [NodeId; 2]> = self
            .written
            .iter()
            .map(|index| {
                let Letter { src, dst, .. } = self.workload.letters[*index];
                ((src, dst), [src, dst].map(|node| self.nodes[node as usize]))
            })
            .filter(|((src, _), _)| self.plan.has_no_clock(*src as usize))
            .collect();
        for [writer, reader] in late.into_values() {
            let wire = self.sim.connect(writer, reader, Faults::NONE);
            self.sim.run_for(HOUR);
            self.sim.cut(wire);
        }
        self.sim.run_for(6 * HOUR);
    }

    fn expect_rules(&self, seed: u64) {
        assert_eq!(self.sim.violation(), None, "seed {seed}: {}", self.sim.violation().unwrap());
    }

    /// Every letter that was taken is at its reader, once, and its writer knows.
    fn expect_delivered(&mut self, seed: u64) {
        for index in self.written.clone() {
            let Letter { src, dst, .. } = self.workload.letters[index];
            let [writer, reader] = [src, dst].map(|node| self.nodes[node as usize]);
            let got = texts(&mut self.sim, reader, &self.names[&(dst, src)]);
            let start = format!("{index}:");
            assert_eq!(got.iter().filter(|text| text.starts_with(&start)).count(), 1, "seed {seed}: letter {index} from {src} to {dst}");
            let sent = self.sim.messages(writer, &self.names[&(src, dst)]);
            let message = sent.iter().find(|message| message.outgoing && message.id == message_id(index)).unwrap();
            assert!(message.state >= MessageState::Delivered, "seed {seed}: letter {index} from {src} to {dst} is {:?}", message.state);
        }
    }

    /// All honest nodes share the same.
    fn expect_one_set(&self, seed: u64) {
        let mut honest = self.nodes.iter().enumerate().filter(|(node, _)| self.plan.is_honest(*node)).map(|(_, id)| *id);
        let first = honest.next().unwrap();
        let wanted = self.sim.shared(first);
        for node in honest {
            let held = self.sim.shared(node);
            let (missing, more) = (wanted.difference(&held).count(), held.difference(&wanted).count());
            assert_eq!((missing, more), (0, 0), "seed {seed}: node {} against node {} with {}", node.0, first.0, wanted.len());
        }
    }

    /// Two neighbours that meet again have next to nothing to say. One session in sixteen looks closer though nothing calls for it (docs/protocol.md,
    /// section 6.4): of three meetings two may.
    fn expect_quiet(&mut self, ring: &[(WireId, [NodeId; 2])], seed: u64) {
        for (wire, ends) in ring.iter().take(3) {
            let said: Vec<usize> = (0..3).map(|_| self.meet_again(*wire, *ends)).collect();
            assert!(said.iter().all(|said| *said > 0), "seed {seed}: nothing was said");
            assert!(said.iter().any(|said| *said <= QUIET_BYTES), "seed {seed}: {said:?} bytes of records");
        }
    }

    /// Two neighbours meet once more; how many bytes of records that takes, both ways.
    fn meet_again(&mut self, wire: WireId, ends: [NodeId; 2]) -> usize {
        let said = Rc::new(RefCell::new(0));
        let ear = Rc::clone(&said);
        let sim = &mut self.sim;
        sim.cut(wire);
        sim.run_for(SECOND);
        sim.mend(wire);
        let links = ends.map(|node| sim.link_of(wire, node).unwrap());
        sim.on_transmit(move |_, link, record| {
            if links.contains(&link) {
                *ear.borrow_mut() += record.len();
            }
            true
        });
        sim.run_for(20 * SECOND);
        sim.transmit_all();
        said.take()
    }
}

fn add_node(sim: &mut Sim, node: u32, folder: Option<&tempfile::TempDir>) -> NodeId {
    let name = format!("node {node}");
    // A link that is idle for days need not be asked every half minute.
    let config = EngineConfig { ping_after: 10 * MINUTE, ..EngineConfig::default() };
    match folder {
        None => {
            let store = MemoryStore::new();
            let again = store.handle();
            let open = move || {
                again.reopen();
                Box::new(again.handle()) as Box<dyn Store>
            };
            sim.node_with(&name, Box::new(store), Box::new(open), config)
        }
        Some(folder) => {
            let path = folder.path().join(node.to_string());
            // The keys of the file are no part of the run: its log is that of a store in memory.
            let mut rng = ChaCha20Rng::seed_from_u64(node.into());
            let store = SqliteStore::create(&path, b"mix", KdfParams::cheap_for_tests(), &mut rng).unwrap();
            let key = SqliteStore::unlock_key(&path, b"mix").unwrap();
            let open = move || Box::new(SqliteStore::open_with_key(&path, &key).unwrap()) as Box<dyn Store>;
            sim.node_with(&name, Box::new(store), Box::new(open), config)
        }
    }
}

/// Runs one seed with all that must hold during it and after it; the hash of all that happened.
fn live(seed: u64, mix: &FaultMix, kind: Kind) -> [u8; 32] {
    let mut run = Run::new(seed, mix, kind);
    run.meet();
    run.expect_rules(seed);
    let ring = run.settle();
    run.expect_rules(seed);
    run.expect_delivered(seed);
    run.expect_one_set(seed);
    run.expect_quiet(&ring, seed);
    run.expect_rules(seed);
    run.sim.log_hash()
}

/// Runs seeds of all faults together.
fn live_all(seeds: std::ops::Range<u64>) {
    for seed in seeds {
        println!("SIM_SEED={seed}");
        live(seed, &FaultMix::all(), Kind::Memory);
    }
}

/// The first seeds of all; `SIM_SEED` chooses others.
#[test]
fn sim_first_seeds_of_the_fault_mix_break_no_rule() {
    let first = common::seed();
    live_all(first..first + 6);
}

/// Two hundred seeds, in two halves that run at the same time where there are two cores.
#[test]
#[ignore = "takes minutes"]
fn sim_two_hundred_seeds_of_the_fault_mix_break_no_rule_first_half() {
    let first = common::seed();
    live_all(first..first + 100);
}

#[test]
#[ignore = "takes minutes"]
fn sim_two_hundred_seeds_of_the_fault_mix_break_no_rule_second_half() {
    let first = common::seed() + 100;
    live_all(first..first + 100);
}

#[test]
#[ignore = "takes minutes"]
fn sim_the_fault_mix_breaks_no_rule_on_disk() {
    for seed in common::seed()..common::seed() + 5 {
        live(seed, &FaultMix::all(), Kind::Sqlite);
    }
}

#[test]
fn sim_each_kind_of_fault_alone_breaks_no_rule() {
    for (name, _) in hedgerow_sync::sim::FaultKind::ALL {
        println!("faults {name}");
        live(common::seed() + 1_000, &name.parse().unwrap(), Kind::Memory);
    }
}

/// What happens in a run while it lasts, of one kind of store.
fn log_of(seed: u64, mix: &FaultMix, kind: Kind) -> [u8; 32] {
    let mut run = Run::new(seed, mix, kind);
    run.meet();
    run.expect_rules(seed);
    run.sim.log_hash()
}

#[test]
fn sim_same_seed_same_log_whatever_the_store_and_the_faults() {
    let first = common::seed();
    for (seed, mix) in (first..).zip([FaultMix::none(), FaultMix::all()]) {
        let log = log_of(seed, &mix, Kind::Memory);
        assert_eq!(log, log_of(seed, &mix, Kind::Memory), "seed {seed}, faults {mix}");
        assert_eq!(log, log_of(seed, &mix, Kind::Sqlite), "seed {seed}, faults {mix}, SQLCipher");
        assert_ne!(log, log_of(seed + 100, &mix, Kind::Memory), "another seed is another run");
    }
}

#[test]
#[ignore = "repeats the seed in SIM_SEED"]
fn sim_one_seed_of_the_fault_mix() {
    live(common::seed(), &FaultMix::all(), Kind::Memory);
}
