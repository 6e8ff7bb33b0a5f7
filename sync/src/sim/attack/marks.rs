//! Devices that plant bundles which nobody else has, and know by them later whom they meet.
//!
//! At each meeting an attacker offers, in a session of its own, all marks planted so far: what is not wanted is known there. Then it
//! plants two more: one to be carried, and one whose ack it tells in the same moment, so that nobody else ever gets it.
//! Beacons, ports and session keys play no part in it: that they change does not help.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    ops::ControlFlow,
    rc::Rc,
    time::Duration,
};

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

use super::{
    super::{
        NodeId, Observer, START_MILLIS, Sim, WireId,
        replay::{Companion, Plan, Progress, run_beside},
    },
    Row, Rules,
    rate::Rate,
};
use crate::{
    crypto::bundle_seal::commitment,
    id::{BeaconId, BundleId, Tag},
    session::ShortIds,
    store::{GoneReason, Store, memory::MemoryStore},
    time::{Hour, UnixMillis},
    wire::{
        bundle::{BundleHeader, Class, Lifetime},
        record::{Hello, MAX_RECORD_IDS, Record, bitmap_bit},
    },
};

/// When, after two devices come into reach, an attacker says HELLO and offers; looks at the answers and plants; and goes.
const OFFERS_AFTER: Duration = Duration::from_secs(2);
const PLANTS_AFTER: Duration = Duration::from_secs(5);
const GOES_AFTER: Duration = Duration::from_secs(2);
/// Size of a mark, bytes, of its header, and the marks that are offered at most, newest first: sixteen offers.
const MARK_LEN: usize = 512;
const MOST_OFFERED: usize = 16 * MAX_RECORD_IDS;
/// Ages of marks that are told apart: up to so long, and above it.
const AGES: [(&str, Duration); 4] = [
    ("up to 1 h", Duration::from_secs(3_600)),
    ("up to 6 h", Duration::from_secs(6 * 3_600)),
    ("up to 24 h", Duration::from_secs(24 * 3_600)),
    ("older", Duration::MAX),
];

/// How a mark is planted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Kind {
    Carried,
    Acked,
}

/// What a device has of a mark.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum State {
    Held,
    Dropped,
    Acknowledged,
    Nothing,
}

/// A bundle that was planted on one device.
struct Mark {
    id: BundleId,
    kind: Kind,
    device: u32,
    at: Duration,
}

/// One answer about one mark: known where it was planted, or elsewhere.
struct Answer {
    kind: Kind,
    age: Duration,
    own: bool,
    known: bool,
    state: State,
}

/// A visit to a device.
struct Visit {
    wire: WireId,
    attacker: NodeId,
    device: NodeId,
    session: [u8; 32],
    offered: Vec<usize>,
    planted: Vec<Mark>,
}

/// The steps of a visit.
enum Step {
    Offer { wire: WireId, attacker: NodeId, device: NodeId },
    Plant(Visit),
    Go(Visit),
}

/// A device named at a visit by what it knows: with how much right, `None` if it had no mark of this kind.
type Named = BTreeMap<Kind, Vec<f64>>;

struct Planters {
    attackers: BTreeSet<u32>,
    stores: Vec<MemoryStore>,
    steps: BTreeMap<(Duration, u64), Step>,
    next_step: u64,
    marks: Vec<Mark>,
    answers: Vec<Answer>,
    named: Named,
    rng: ChaCha20Rng,
}

/// Watches nothing: a puppet's records are kept by the simulation.
struct Nothing;
impl Observer for Nothing {}

impl Companion for Rc<RefCell<Planters>> {
    fn observer(&self) -> Box<dyn Observer> {
        Box::new(Nothing)
    }

    fn begin(&mut self, sim: &mut Sim, stores: &[MemoryStore]) {
        let mut planters = self.borrow_mut();
        planters.stores = stores.iter().map(MemoryStore::handle).collect();
        planters.attackers.iter().for_each(|node| sim.possess(NodeId(*node as usize)));
    }

    fn met(&mut self, sim: &mut Sim, wire: WireId, between: [NodeId; 2]) {
        let mut planters = self.borrow_mut();
        let [one, other] = between.map(|node| planters.attackers.contains(&(node.0 as u32)));
        let [a, b] = between;
        if one != other {
            let (attacker, device) = if one { (a, b) } else { (b, a) };
            planters.later(sim.elapsed() + OFFERS_AFTER, Step::Offer { wire, attacker, device });
        }
    }

    fn due(&self) -> Option<Duration> {
        self.borrow().steps.first_key_value().map(|((at, _), _)| *at)
    }

    fn wake(&mut self, sim: &mut Sim) {
        let mut planters = self.borrow_mut();
        match planters.steps.pop_first() {
            Some((_, Step::Offer { wire, attacker, device })) => planters.offer(sim, wire, attacker, device),
            Some((_, Step::Plant(visit))) => planters.plant(sim, visit),
            Some((_, Step::Go(visit))) => planters.go(sim, visit),
            None => {}
        }
    }
}

impl Planters {
    fn later(&mut self, at: Duration, step: Step) {
        self.next_step += 1;
        self.steps.insert((at, self.next_step), step);
    }

    fn offer(&mut self, sim: &mut Sim, wire: WireId, attacker: NodeId, device: NodeId) {
        let Some(session) = sim.session_hash(wire, attacker) else { return };
        let mut beacon = BeaconId([0; 8]);
        self.rng.fill_bytes(&mut beacon.0);
        let hello = Hello { beacon, hour: hour(sim), window: 1 << 20, carries: true };
        sim.send_raw(wire, attacker, &Record::Hello(hello).encode());
        let first = self.marks.len().saturating_sub(MOST_OFFERED);
        let offered: Vec<usize> = (first..self.marks.len()).collect();
        let shorts = ShortIds::new(&session);
        for (batch, marks) in offered.chunks(MAX_RECORD_IDS).enumerate() {
            let ids = marks.iter().filter_map(|mark| self.marks.get(*mark)).map(|mark| shorts.short(&mark.id)).collect();
            sim.send_raw(wire, attacker, &Record::Offer { batch: batch as u16, ids }.encode());
        }
        let visit = Visit { wire, attacker, device, session, offered, planted: Vec::new() };
        self.later(sim.elapsed() + PLANTS_AFTER, Step::Plant(visit));
    }

    fn plant(&mut self, sim: &mut Sim, mut visit: Visit) {
        if sim.session_hash(visit.wire, visit.attacker) != Some(visit.session) {
            return;
        }
        let mut known = BTreeMap::new();
        for record in sim.take_records_on(visit.wire, visit.attacker) {
            if let Ok(Record::Pick { batch, wanted }) = Record::decode(&record) {
                let marks = visit.offered.chunks(MAX_RECORD_IDS).nth(batch.into()).unwrap_or_default();
                known.extend(marks.iter().enumerate().map(|(index, mark)| (*mark, !bitmap_bit(&wanted, index))));
            }
        }
        self.judge(sim.elapsed(), visit.device, &known);
        for kind in [Kind::Carried, Kind::Acked] {
            let (bytes, secret) = mark(&mut self.rng, hour(sim));
            visit.planted.push(Mark { id: BundleId::of(&bytes), kind, device: visit.device.0 as u32, at: sim.elapsed() });
            sim.send_raw(visit.wire, visit.attacker, &Record::Bundle { age: 0, copies: 255, bytes }.encode());
            if kind == Kind::Acked {
                sim.send_raw(visit.wire, visit.attacker, &Record::Ack(vec![secret]).encode());
            }
        }
        self.later(sim.elapsed() + GOES_AFTER, Step::Go(visit));
    }

    /// Marks that were stored are planted.
    fn go(&mut self, sim: &mut Sim, visit: Visit) {
        if sim.session_hash(visit.wire, visit.attacker) != Some(visit.session) {
            return;
        }
        let shorts = ShortIds::new(&visit.session);
        let mut stored = BTreeSet::new();
        for record in sim.take_records_on(visit.wire, visit.attacker) {
            if let Ok(Record::Stored(ids)) = Record::decode(&record) {
                stored.extend(ids);
            }
        }
        self.marks.extend(visit.planted.into_iter().filter(|mark| stored.contains(&shorts.short(&mark.id))));
        sim.cut(visit.wire);
    }

    /// Compares what a device knows with what was planted on it, and names it by that.
    fn judge(&mut self, now: Duration, device: NodeId, known: &BTreeMap<usize, bool>) {
        let states = self.stores.get(device.0).map(states).unwrap_or_default();
        let node = device.0 as u32;
        let mut of_devices: BTreeMap<Kind, BTreeMap<u32, [u32; 2]>> = BTreeMap::new();
        for (mark, known) in known.iter().filter_map(|(mark, known)| Some((self.marks.get(*mark)?, *known))) {
            let state = states.get(&mark.id).copied().unwrap_or(State::Nothing);
            self.answers.push(Answer { kind: mark.kind, age: now.saturating_sub(mark.at), own: mark.device == node, known, state });
            let counts = of_devices.entry(mark.kind).or_default().entry(mark.device).or_default();
            counts[0] += u32::from(known);
            counts[1] += 1;
        }
        for (kind, devices) in of_devices.into_iter().filter(|(_, devices)| devices.contains_key(&node)) {
            self.named.entry(kind).or_default().push(named(&devices, node));
        }
    }
}

/// How right it is to name a device that of those with the largest share of its marks known; of several, one at random.
fn named(devices: &BTreeMap<u32, [u32; 2]>, device: u32) -> f64 {
    let share = |[known, all]: &[u32; 2]| u64::from(*known) * 1_000_000 / u64::from((*all).max(1));
    let best = devices.values().map(share).max().unwrap_or(0);
    let likely: Vec<u32> = devices.iter().filter(|(_, counts)| share(counts) == best).map(|(device, _)| *device).collect();
    if likely.contains(&device) { 1.0 / likely.len() as f64 } else { 0.0 }
}

/// What a device has of every bundle that it knows.
fn states(store: &MemoryStore) -> BTreeMap<BundleId, State> {
    let mut states = BTreeMap::new();
    for gone in store.load_gone().unwrap_or_default() {
        let state = if gone.reason == GoneReason::Acknowledged { State::Acknowledged } else { State::Dropped };
        states.insert(gone.id, state);
    }
    let visited = store.visit_bundles(&mut |row| {
        states.insert(row.id, State::Held);
    });
    visited.map(|()| states).unwrap_or_default()
}

fn hour(sim: &Sim) -> Hour {
    UnixMillis(START_MILLIS + sim.elapsed().as_millis() as u64).hour()
}

/// A bundle that nobody can open, and the secret that acks it.
fn mark(rng: &mut ChaCha20Rng, created: Hour) -> (Vec<u8>, [u8; 16]) {
    let (mut bytes, mut tag, mut secret) = (vec![0; MARK_LEN], [0; 16], [0; 16]);
    [&mut bytes[..], &mut tag, &mut secret].into_iter().for_each(|part| rng.fill_bytes(part));
    let (class, lifetime) = (Class::Normal, Lifetime::Fortnight);
    let header = BundleHeader { class, lifetime, created, tag: Tag(tag), commitment: commitment(&secret) }.encode();
    for (byte, of_header) in bytes.iter_mut().zip(header) {
        *byte = of_header;
    }
    (bytes, secret)
}

/// Lets a plan run with attackers who mark devices; how well they know them again.
pub(super) fn run(
    plan: &Plan,
    attackers: &BTreeSet<u32>,
    note: &str,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Option<Vec<Row>> {
    let planters = Planters {
        attackers: attackers.clone(),
        stores: Vec::new(),
        steps: BTreeMap::new(),
        next_step: 0,
        marks: Vec::new(),
        answers: Vec::new(),
        named: Named::new(),
        rng: ChaCha20Rng::seed_from_u64(plan.seed ^ 0x0003_a4c5),
    };
    let mut planters = Rc::new(RefCell::new(planters));
    run_beside(plan, &mut planters, progress)?;
    let planters = planters.borrow();
    let devices: BTreeSet<u32> = planters.marks.iter().map(|mark| mark.device).collect();
    let guess = 1.0 / devices.len().max(1) as f64;
    let mut rows = Vec::new();
    for (kind, name) in [(Kind::Carried, "carried"), (Kind::Acked, "acked at once")] {
        let row = |question: String, rate: Rate, guess| Row::new("marks", Rules::All, &question, rate, guess, note);
        let worths = planters.named.get(&kind).cloned().unwrap_or_default();
        rows.push(row(format!("which device, by marks {name}"), Rate::of_worths(&worths, plan.seed), guess));
        let of_kind: Vec<&Answer> = planters.answers.iter().filter(|answer| answer.kind == kind).collect();
        let mut over = Duration::ZERO;
        for (age, most) in AGES {
            let these = of_kind.iter().copied().filter(|answer| over < answer.age && answer.age <= most);
            rows.extend(found(these, &format!("{name}, {age}")).into_iter().map(|(question, rate)| row(question, rate, guess)));
            over = most;
        }
        for (state, word) in
            [(State::Held, "held"), (State::Dropped, "dropped"), (State::Acknowledged, "acknowledged"), (State::Nothing, "forgotten")]
        {
            let these = of_kind.iter().copied().filter(|answer| answer.state == state);
            rows.extend(found(these, &format!("{name}, {word}")).into_iter().map(|(question, rate)| row(question, rate, guess)));
        }
    }
    Some(rows)
}

/// Of marks planted on the device that was asked, those it knew; of those known, such as were planted on it. Nothing of nothing.
fn found<'a>(answers: impl Iterator<Item = &'a Answer>, which: &str) -> Vec<(String, Rate)> {
    let (mut known, mut own, mut elsewhere) = (0, 0, 0);
    for answer in answers {
        known += usize::from(answer.own && answer.known);
        own += usize::from(answer.own);
        elsewhere += usize::from(!answer.own && answer.known);
    }
    let rates = [("known again", known, own), ("known, and of this device", known, known + elsewhere)];
    let judged = rates.into_iter().filter(|(.., of)| *of > 0);
    judged.map(|(what, part, of)| (format!("{which}: {what}"), Rate::of_counts(part, of))).collect()
}
