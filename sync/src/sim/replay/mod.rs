//! A contact trace replayed: who met whom becomes links between real engines, a workload becomes messages, and what arrives is compared with
//! the oracle (docs/simulation.md).

mod agenda;
mod beside;
mod count;

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap},
    ops::ControlFlow,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use sha2::{Digest, Sha256};

pub(super) use self::beside::Companion;
pub use self::count::Counts;
use self::{
    agenda::{Act, agenda},
    beside::{Alone, Both},
    count::Watch,
};
use super::{Faults, NodeId, Sim, WireId, profile::Profile, trace::Trace, workload::Workload};
use crate::{
    engine::EngineConfig,
    id::{ContactId, MessageId},
    store::memory::MemoryStore,
    view::Command,
    wire::item::MAX_TEXT_LEN,
};

/// How often a run tells how far it has come, in steps of its agenda.
const STEPS_A_REPORT: usize = 512;

/// What is to be run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Who meets whom.
    pub trace: Arc<Trace>,
    /// Who writes to whom. Each pair of it are contacts from the start; everybody else is a stranger.
    pub workload: Arc<Workload>,
    /// What links are like.
    pub profile: Profile,
    /// Whether links break.
    pub cuts: bool,
    /// Room at each node for bundles of others, bytes.
    pub store_bytes: u64,
    /// Decides everything random.
    pub seed: u64,
    /// The engines' numbers.
    pub config: EngineConfig,
}

/// How far a run has come.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Virtual time that has passed.
    pub at: Duration,
    /// Virtual time in all.
    pub length: Duration,
    /// Letters that have arrived.
    pub delivered: usize,
}

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// When each letter had arrived whole, in the workload's order; `None`: not within the trace.
    pub arrivals: Vec<Option<Duration>>,
    /// What crossed the links.
    pub counts: Counts,
    /// Equal for equal plans.
    pub log_hash: [u8; 32],
}

/// Runs a plan to its end, or until `progress` breaks it off: then there is no outcome.
pub fn run(plan: &Plan, progress: &mut dyn FnMut(Progress) -> ControlFlow<()>) -> Option<Outcome> {
    run_beside(plan, &mut Alone, progress)
}

/// Runs a plan while somebody goes along: listens, or takes part with nodes of its own.
pub(super) fn run_beside(
    plan: &Plan,
    companion: &mut dyn Companion,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Option<Outcome> {
    let mut replay = Replay::new(plan);
    replay.sim.observe(Both(Rc::clone(&replay.watch), companion.observer()));
    companion.begin(&mut replay.sim, &replay.stores);
    let length = Duration::from_secs(plan.trace.length().into());
    for (step, (at, act)) in agenda(plan).into_iter().enumerate() {
        if step % STEPS_A_REPORT == 0 {
            let delivered = replay.watch.borrow().delivered();
            if progress(Progress { at, length, delivered }).is_break() {
                return None;
            }
        }
        replay.run_until(at, companion);
        replay.act(act);
        match act {
            Act::Write { letter } => companion.written(letter),
            Act::Up { a, b, .. } => {
                let wire = replay.wire(a, b);
                companion.met(&mut replay.sim, wire, [node(a), node(b)]);
            }
            Act::Down { .. } => {}
        }
    }
    replay.run_until(length, companion);
    Some(replay.finish())
}

struct Replay<'a> {
    plan: &'a Plan,
    sim: Sim,
    wires: BTreeMap<(u32, u32), WireId>,
    contacts: HashMap<(u32, u32), ContactId>,
    watch: Rc<RefCell<Watch>>,
    /// By node.
    stores: Vec<MemoryStore>,
}

impl<'a> Replay<'a> {
    fn new(plan: &'a Plan) -> Self {
        let mut sim = Sim::new(plan.seed);
        let stores =
            (0..plan.trace.nodes).map(|node| sim.carrier(&format!("node {node}"), plan.config.clone(), plan.store_bytes).1).collect();
        let mut contacts = HashMap::new();
        for letter in &plan.workload.letters {
            let (from, to) = (letter.src, letter.dst);
            if !contacts.contains_key(&(from, to)) {
                let [there, here] = sim.befriend(node(from), node(to), &pair_secret(plan.seed, from, to));
                contacts.insert((from, to), there);
                contacts.insert((to, from), here);
            }
        }
        let watch = Rc::new(RefCell::new(Watch::new(plan.workload.letters.len())));
        Self { plan, sim, wires: BTreeMap::new(), contacts, watch, stores }
    }

    /// Lets time pass, and the companion act when it wants to.
    fn run_until(&mut self, end: Duration, companion: &mut dyn Companion) {
        while let Some(due) = companion.due().filter(|due| *due <= end) {
            self.sim.run_until(due);
            companion.wake(&mut self.sim);
        }
        self.sim.run_until(end);
    }

    fn act(&mut self, act: Act) {
        match act {
            Act::Up { a, b, turned } => {
                let wire = self.wire(a, b);
                self.sim.set_dialler(wire, if turned { node(b) } else { node(a) });
                self.sim.mend(wire);
            }
            Act::Down { a, b } => {
                let wire = self.wire(a, b);
                self.sim.cut(wire);
                for end in [a, b] {
                    let held = self.sim.room(node(end)).bytes;
                    let mut watch = self.watch.borrow_mut();
                    watch.counts.store_max = watch.counts.store_max.max(held);
                }
            }
            Act::Write { letter } => self.write(letter),
        }
    }

    /// Lets a letter be written: as texts, as long as there are no longer messages.
    fn write(&mut self, index: usize) {
        let Some(letter) = self.plan.workload.letters.get(index) else { return };
        let Some(contact) = self.contacts.get(&(letter.src, letter.dst)) else { return };
        let parts = (letter.size as usize).div_ceil(MAX_TEXT_LEN);
        self.watch.borrow_mut().expect(index, letter.dst, parts);
        for part in 0..parts {
            let length = (letter.size as usize - part * MAX_TEXT_LEN).min(MAX_TEXT_LEN);
            let command = Command::Send {
                contact: contact.0.to_string(),
                text: "x".repeat(length),
                id: Some(message_id(index, part)),
                urgent: false,
            };
            self.sim.ask(node(letter.src), command);
        }
    }

    fn wire(&mut self, a: u32, b: u32) -> WireId {
        let profile = self.plan.profile;
        let sim = &mut self.sim;
        *self.wires.entry((a, b)).or_insert_with(|| {
            let faults = Faults { rate: profile.rate(), delay: profile.delay(), ..Faults::NONE };
            sim.lay(node(a), node(b), faults)
        })
    }

    fn finish(self) -> Outcome {
        let Self { plan, sim, watch, .. } = self;
        let mut watch = watch.borrow_mut();
        watch.counts.evicted = (0..plan.trace.nodes).map(|at| sim.room(node(at)).evicted).sum();
        Outcome { arrivals: watch.arrivals.clone(), counts: watch.counts, log_hash: sim.log_hash() }
    }
}

/// The harness' name for a node of a trace.
const fn node(number: u32) -> NodeId {
    NodeId(number as usize)
}

/// The id of a part of a letter.
fn message_id(letter: usize, part: usize) -> MessageId {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&(letter as u64).to_be_bytes());
    id[8..].copy_from_slice(&(part as u64).to_be_bytes());
    MessageId(id)
}

/// What two contacts share.
fn pair_secret(seed: u64, a: u32, b: u32) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(seed.to_be_bytes());
    hash.update(a.to_be_bytes());
    hash.update(b.to_be_bytes());
    hash.finalize().into()
}
