//! A contact trace replayed: who met whom becomes links between real engines, a workload becomes messages, and what arrives is compared with
//! the oracle (docs/simulation.md).

mod agenda;
mod beside;
mod count;

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap, VecDeque},
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
use super::{
    Faults, NodeId, Sim, WireId,
    abuse::{self, Assault, Tally},
    faults::{FaultMix, FaultPlan},
    oracle::earliest,
    profile::Profile,
    trace::Trace,
    workload::{Letter, Workload},
};
use crate::{
    engine::EngineConfig,
    id::{ContactId, MessageId},
    store::memory::MemoryStore,
    view::Command,
    wire::item::MAX_TEXT_LEN,
};

/// How often a run tells how far it has come, in steps of its agenda.
const STEPS_A_REPORT: usize = 512;

/// After how long somebody tries again whose node took no message (guess).
const TRY_AGAIN: Duration = Duration::from_secs(60);

/// The shortest time.
const INSTANT: Duration = Duration::from_nanos(1);

/// What is to be run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Who meets whom.
    pub trace: Arc<Trace>,
    /// Who writes to whom. Each pair of it are contacts from the start; everybody else is a stranger.
    pub workload: Arc<Workload>,
    /// What links are like.
    pub profile: Profile,
    /// What goes wrong.
    pub faults: FaultMix,
    /// Who does harm beside that, and how: the nodes that [`abuse::attackers`] names.
    pub assault: Option<Assault>,
    /// Whether every step is held against the rules; costs time.
    pub checked: bool,
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
    /// The letters that count: those between people whose nodes do no harm, which is all but under the fault `hostile` and where there are attackers.
    pub workload: Arc<Workload>,
    /// When each of them had arrived whole, in their order; `None`: not within the trace.
    pub arrivals: Vec<Option<Duration>>,
    /// What crossed the links.
    pub counts: Counts,
    /// What attackers did.
    pub tally: Tally,
    /// Equal for equal plans.
    pub log_hash: [u8; 32],
    /// The rule that was broken first, if any; the run stopped there.
    pub violation: Option<String>,
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
    for (step, (at, act)) in agenda(plan, &replay.workload).into_iter().enumerate() {
        if step % STEPS_A_REPORT == 0 {
            let delivered = replay.watch.borrow().delivered();
            if progress(Progress { at, length, delivered }).is_break() {
                return None;
            }
        }
        // A contact ends before its last instant, as the oracle has it: what would arrive then does not.
        let until = if matches!(act, Act::Down { .. }) { at.saturating_sub(INSTANT) } else { at };
        replay.run_until(until, companion);
        replay.act(at, act);
        if replay.sim.violation().is_some() {
            return Some(replay.finish());
        }
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
    faults: FaultPlan,
    workload: Arc<Workload>,
    /// Letters that a node could not take, and when its person tries again; in order.
    again: VecDeque<(Duration, usize)>,
    /// By node.
    stores: Vec<MemoryStore>,
}

impl<'a> Replay<'a> {
    fn new(plan: &'a Plan) -> Self {
        let span = Duration::from_secs(plan.trace.length().into());
        let faults = FaultPlan::draw(&plan.faults, plan.trace.nodes as usize, span, plan.seed);
        let attackers = plan.assault.map(|_| abuse::attackers(&plan.trace)).unwrap_or_default();
        let workload = abuse::between_others(&between_honest(&plan.workload, &faults), &attackers);
        let mut sim = Sim::new(plan.seed).dialled_as_wanted();
        if plan.checked {
            sim = sim.checked();
        }
        if plan.faults.breaks_stores() {
            sim = sim.breakable();
        }
        let stores =
            (0..plan.trace.nodes).map(|node| sim.carrier(&format!("node {node}"), plan.config.clone(), plan.store_bytes).1).collect();
        let mut contacts = HashMap::new();
        for letter in &workload.letters {
            let (from, to) = (letter.src, letter.dst);
            if !contacts.contains_key(&(from, to)) {
                let [there, here] = sim.befriend(node(from), node(to), &pair_secret(plan.seed, from, to));
                contacts.insert((from, to), there);
                contacts.insert((to, from), here);
            }
        }
        if plan.checked {
            for (index, earliest) in earliest(&plan.trace, &workload, plan.profile.set_up()).into_iter().enumerate() {
                if let Some(letter) = workload.letters.get(index) {
                    sim.expect_delivery(message_id(index), node(letter.dst), earliest);
                }
            }
        }
        faults.apply(&mut sim, &(0..plan.trace.nodes).map(node).collect::<Vec<_>>());
        if let Some(assault) = plan.assault {
            assault.begin(&mut sim, &attackers, &workload);
        }
        let watch = Rc::new(RefCell::new(Watch::new(workload.letters.len())));
        Self { plan, sim, wires: BTreeMap::new(), contacts, watch, faults, workload, again: VecDeque::new(), stores }
    }

    /// Lets time pass; meanwhile the companion acts when it wants to, and what could not be written is tried again.
    fn run_until(&mut self, end: Duration, companion: &mut dyn Companion) {
        loop {
            let (again, due) = (self.again.front().map(|(at, _)| *at), companion.due());
            let Some(next) = [again, due].into_iter().flatten().min().filter(|next| *next <= end) else { break };
            self.sim.run_until(next);
            if due == Some(next) {
                companion.wake(&mut self.sim);
            } else if let Some((at, letter)) = self.again.pop_front() {
                self.write(at, letter);
            }
        }
        self.sim.run_until(end);
    }

    fn act(&mut self, at: Duration, act: Act) {
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
            Act::Write { letter } => self.write(at, letter),
        }
    }

    /// Lets a letter be written: as a text, or as data if it is longer.
    fn write(&mut self, at: Duration, index: usize) {
        let Some(letter) = self.workload.letters.get(index).copied() else { return };
        let Some(contact) = self.contacts.get(&(letter.src, letter.dst)).map(|contact| contact.0.to_string()) else { return };
        let (length, id) = (letter.size as usize, Some(message_id(index)));
        let command = if length <= MAX_TEXT_LEN {
            Command::Send { contact, text: "x".repeat(length), id, urgent: false }
        } else {
            Command::SendData { contact, data: vec![b'x'; length], id }
        };
        // A node that stopped meanwhile, or whose disk is full, has not taken it.
        if !matches!(self.sim.ask(node(letter.src), command), Some(Ok(_))) {
            self.again.push_back((at + TRY_AGAIN, index));
        }
    }

    fn wire(&mut self, a: u32, b: u32) -> WireId {
        let profile = self.plan.profile;
        let sim = &mut self.sim;
        *self.wires.entry((a, b)).or_insert_with(|| {
            let faults = self.faults.wire(Faults { rate: profile.rate(), delay: profile.delay(), ..Faults::NONE });
            sim.lay(node(a), node(b), faults)
        })
    }

    fn finish(self) -> Outcome {
        let Self { plan, sim, watch, workload, .. } = self;
        let mut watch = watch.borrow_mut();
        watch.counts.evicted = (0..plan.trace.nodes).map(|at| sim.room(node(at)).evicted).sum();
        let violation = sim.violation().map(ToString::to_string);
        let (arrivals, counts) = (watch.arrivals.clone(), watch.counts);
        Outcome { workload, arrivals, counts, tally: sim.tally(), log_hash: sim.log_hash(), violation }
    }
}

/// The harness' name for a node of a trace.
const fn node(number: u32) -> NodeId {
    NodeId(number as usize)
}

/// The id of a letter's message.
fn message_id(letter: usize) -> MessageId {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&(letter as u64).to_be_bytes());
    MessageId(id)
}

/// The letters between people whose nodes do no harm.
fn between_honest(workload: &Arc<Workload>, faults: &FaultPlan) -> Arc<Workload> {
    let counts = |letter: &Letter| [letter.src, letter.dst].iter().all(|end| faults.is_honest(*end as usize));
    if workload.letters.iter().all(counts) {
        return Arc::clone(workload);
    }
    Arc::new(Workload { letters: workload.letters.iter().copied().filter(counts).collect() })
}

/// What two contacts share.
fn pair_secret(seed: u64, a: u32, b: u32) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(seed.to_be_bytes());
    hash.update(a.to_be_bytes());
    hash.update(b.to_be_bytes());
    hash.finalize().into()
}
