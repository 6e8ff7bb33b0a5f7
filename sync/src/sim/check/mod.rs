//! Rules that hold at every step of a run, whatever happens on links, disks and clocks.
//!
//! Each node's store is watched (`journal`); once a batch is durable, what it changed is held against what the node may do (`mirror`), and
//! what the node says on its links against what is durable (`links`). The first rule that is broken stops the run: virtual time does not pass
//! any more, and [`Sim::violation`] says what, who, when, and the seed that repeats it. A step costs what it changes.

mod journal;
mod links;
mod mirror;

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    time::Duration,
};

use hedgerow_transports::LinkId;

use self::{
    journal::Watched,
    links::{Answers, Rates},
    mirror::{Broken, Mirror},
};
use super::{Input, NodeId, Sim, WireId};
use crate::{
    engine::{Engine, Hours, RelayLimits, Table},
    id::{BundleId, MessageId},
    reconcile::cut_hour,
    store::{Cursor, Store, StoreError},
};

/// What must hold.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Rule {
    /// A bundle is stored, or said to be, under the id that its bytes have, and after it came.
    Genuine,
    /// What was sealed here goes only once it is proven to be read, expired, or taken back.
    OwnKept,
    /// What was delivered stays until its contact is removed.
    PlaintextKept,
    /// Bundles of others, and ids remembered, stay within what the owner gives; no pool loses what is within its share.
    Quota,
    /// No more crosses a link than its rate allows.
    Rate,
    /// A message is delivered to its reader, and not before it could be.
    Reachable,
    /// A message is delivered once.
    Once,
    /// A contact's arrivals count as dealt with only once all that was to be shown is stored or known.
    Cursor,
    /// No table of a link is larger than its limit.
    Bounded,
    /// What is durable is there after a restart.
    Durable,
}

/// A rule that was broken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    /// Which.
    pub rule: Rule,
    /// How.
    pub what: String,
    /// By whom.
    pub node: NodeId,
    /// When, since the simulation began.
    pub at: Duration,
    /// The seed that repeats the run.
    pub seed: u64,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rule, what, node, at, seed } = self;
        write!(f, "{rule:?} broken by node {} at {:.3} s with seed {seed}: {what}", node.0, at.as_secs_f64())
    }
}

/// Where a message is awaited.
struct Promise {
    reader: NodeId,
    earliest: Option<Duration>,
}

/// Puts a layer of a test's on a store.
type Interpose = Box<dyn Fn(Box<dyn Store>) -> Box<dyn Store>>;

/// What is known of a run, to hold the next step against.
#[derive(Default)]
pub(super) struct Checker {
    interposed: HashMap<usize, Interpose>,
    nodes: Vec<Mirror>,
    epochs: HashMap<[u8; 8], usize>,
    promises: HashMap<MessageId, Promise>,
    rates: Rates,
    answers: Answers,
    violation: Option<Violation>,
}

/// What a node's engine says of itself after a batch.
struct Said {
    hours: Hours,
    limits: RelayLimits,
    carries: bool,
    tables: Vec<(LinkId, [Table; 13])>,
}

impl Said {
    fn of(engine: &Engine, now: crate::time::Now) -> Self {
        Self {
            hours: engine.hours(now),
            limits: engine.relay_limits(),
            carries: engine.carries_for_all(),
            tables: engine.link_tables().collect(),
        }
    }
}

impl Checker {
    /// Watches a store that a node opens, for the first time or again; what it has lost is told beside it.
    fn watch(&mut self, node: NodeId, store: Box<dyn Store>) -> Result<(Box<dyn Store>, Option<Broken>), StoreError> {
        let broken = match self.nodes.get_mut(node.0) {
            Some(mirror) if mirror.is_replaced => {
                let is_hostile = mirror.is_hostile;
                *mirror = Mirror::load(store.as_ref())?;
                mirror.is_hostile = is_hostile;
                None
            }
            Some(mirror) => mirror.reopen(store.as_ref())?,
            None => {
                self.nodes.push(Mirror::load(store.as_ref())?);
                None
            }
        };
        let Some(mirror) = self.nodes.get(node.0) else { return Ok((store, broken)) };
        if let Some(epoch) = mirror.epoch {
            self.epochs.insert(epoch, node.0);
        }
        let watched = Box::new(Watched::new(store, mirror.journal.clone()));
        let store = match self.interposed.get(&node.0) {
            Some(interpose) => interpose(watched),
            None => watched,
        };
        Ok((store, broken))
    }

    /// A batch of a node is durable.
    fn step(&mut self, now: Duration, node: NodeId, said: &Said) -> Result<(), Broken> {
        let Some(mirror) = self.nodes.get_mut(node.0) else { return Ok(()) };
        let done = mirror.take(said.hours, said.limits)?;
        if let Some(epoch) = mirror.epoch {
            self.epochs.insert(epoch, node.0);
        }
        done.messages.iter().try_for_each(|id| self.judge_delivery(now, node, *id))?;
        if said.carries {
            done.cursors.iter().try_for_each(|(before, cursor)| self.judge_cursor(node, *before, *cursor))?;
        }
        let tables = said.tables.iter().flat_map(|(link, tables)| tables.iter().map(move |table| (link, table)));
        for (link, (name, entries, most)) in tables {
            if entries > most {
                return Err((Rule::Bounded, format!("{name} of {link:?}: {entries}, at most {most}")));
            }
        }
        Ok(())
    }

    fn judge_delivery(&self, now: Duration, node: NodeId, id: MessageId) -> Result<(), Broken> {
        let Some(promise) = self.promises.get(&id) else { return Ok(()) };
        if promise.reader != node {
            return Err((Rule::Reachable, format!("{id:?} was delivered to another than node {}", promise.reader.0)));
        }
        match promise.earliest {
            Some(earliest) if earliest <= now => Ok(()),
            Some(earliest) => Err((Rule::Reachable, format!("{id:?} was delivered before {:.3} s", earliest.as_secs_f64()))),
            None => Err((Rule::Reachable, format!("{id:?} was delivered, which nobody can have carried"))),
        }
    }

    fn judge_cursor(&self, node: NodeId, before: u64, cursor: Cursor) -> Result<(), Broken> {
        let Some(owner) = self.epochs.get(&cursor.epoch).copied() else { return Ok(()) };
        let (Some(here), Some(there)) = (self.nodes.get(node.0), self.nodes.get(owner)) else { return Ok(()) };
        if there.is_hostile {
            return Ok(());
        }
        if cursor.sequence > there.last_sequence() {
            let last = there.last_sequence();
            return Err((Rule::Cursor, format!("arrivals of node {owner} count up to {}, of which there are {last}", cursor.sequence)));
        }
        // What has expired for either, or is about to, is not shown or not taken (docs/protocol.md, section 6.1).
        let hour = cut_hour(here.hour, there.hour).max(cut_hour(there.hour, here.hour));
        match there.shown(before, cursor.sequence, hour).find(|id| !here.knows(id)) {
            Some(id) => {
                let (up_to, bundle) = (cursor.sequence, there.describe(id));
                let hours = format!("in hour {} here and {} there", here.hour.0, there.hour.0);
                Err((Rule::Cursor, format!("arrivals of node {owner} count up to {up_to}, but {id:?} ({bundle}) is not known, {hours}")))
            }
            None => Ok(()),
        }
    }
}

impl Sim {
    /// Holds every step against the rules from now on; before the first node.
    #[must_use]
    pub fn checked(mut self) -> Self {
        self.checker = Some(Box::default());
        self
    }

    /// The rule that was broken first and has stopped the run, if any.
    pub fn violation(&self) -> Option<&Violation> {
        self.checker.as_ref()?.violation.as_ref()
    }

    /// Says to whom a message is on its way and when it can be there at the earliest; never if absent. For runs that are checked.
    pub fn expect_delivery(&mut self, id: MessageId, reader: NodeId, earliest: Option<Duration>) {
        if let Some(checker) = &mut self.checker {
            checker.promises.insert(id, Promise { reader, earliest });
        }
    }

    /// The ids of all bundles that a node holds durably and that anybody may carry; nothing in a run that is not checked.
    pub fn shared(&self, node: NodeId) -> BTreeSet<BundleId> {
        let mirror = self.checker.as_ref().and_then(|checker| checker.nodes.get(node.0));
        mirror.map(|mirror| mirror.shared().copied().collect()).unwrap_or_default()
    }

    /// Puts a layer between a node's engine and its store, from the next time that it is opened on: to what it does the rules apply as if the
    /// engine did it.
    pub fn interpose(&mut self, node: NodeId, layer: impl Fn(Box<dyn Store>) -> Box<dyn Store> + 'static) {
        if let Some(checker) = &mut self.checker {
            checker.interposed.insert(node.0, Box::new(layer));
        }
    }

    /// Nothing that a node says of itself binds anybody any more.
    pub(super) fn distrust(&mut self, node: NodeId) {
        if let Some(mirror) = self.checker.as_mut().and_then(|checker| checker.nodes.get_mut(node.0)) {
            mirror.is_hostile = true;
        }
    }

    /// A node's store is to be another one when it is opened next.
    pub(super) fn expect_other_store(&mut self, node: NodeId) {
        if let Some(mirror) = self.checker.as_mut().and_then(|checker| checker.nodes.get_mut(node.0)) {
            mirror.is_replaced = true;
        }
    }

    fn judge(&mut self, node: NodeId, verdict: Result<(), Broken>) {
        let (at, seed) = (self.now, self.seed);
        if let (Some(checker), Err((rule, what))) = (&mut self.checker, verdict) {
            checker.violation.get_or_insert(Violation { rule, what, node, at, seed });
        }
    }

    /// A node opens its store.
    pub(super) fn watch(&mut self, node: NodeId, store: Box<dyn Store>) -> Result<Box<dyn Store>, StoreError> {
        let Some(checker) = &mut self.checker else { return Ok(store) };
        let (store, broken) = checker.watch(node, store)?;
        self.judge(node, broken.map_or(Ok(()), Err));
        Ok(store)
    }

    /// A node's batch is durable; none of its outputs has left.
    pub(super) fn check_batch(&mut self, node: NodeId) {
        if self.checker.is_none() {
            return;
        }
        let now = self.now_of(node);
        let Some(said) = self.nodes[node.0].engine.as_ref().map(|engine| Said::of(engine, now)) else { return };
        let at = self.now;
        let verdict = self.checker.as_mut().map_or(Ok(()), |checker| checker.step(at, node, &said));
        self.judge(node, verdict);
    }

    /// A message reaches one end of a wire.
    pub(super) fn check_arrival(&mut self, wire: WireId, to: usize, length: usize) {
        let Some(checker) = &mut self.checker else { return };
        let state = &self.wires[wire.0];
        let node = NodeId(state.ends[to]);
        let verdict = checker.rates.arrive(wire, to, (state.connection, state.since), (self.now, length), &state.faults);
        self.judge(node, verdict);
    }

    /// Records come in at a node.
    pub(super) fn check_inputs(&mut self, node: NodeId, link: LinkId, inputs: &[Input]) {
        let Some(checker) = &mut self.checker else { return };
        let Some(info) = self.nodes[node.0].infos.get(&link) else { return };
        for input in inputs {
            if let Input::Record { record, .. } = input {
                checker.answers.hear(link, &info.hash, record);
            }
        }
    }

    /// A node's engine sends a record.
    pub(super) fn check_transmit(&mut self, node: NodeId, link: LinkId, record: &[u8]) {
        let Some(checker) = &mut self.checker else { return };
        let invited = self.nodes[node.0].engine.as_ref().is_some_and(|engine| engine.is_invited(link));
        let verdict = checker.answers.say(link, record).and_then(|stored| {
            let mirror = checker.nodes.get(node.0);
            match stored.iter().find(|id| !invited && !mirror.is_some_and(|mirror| mirror.knows(id))) {
                Some(id) => Err((Rule::Genuine, format!("said that {id:?} is stored, which is not"))),
                None => Ok(()),
            }
        });
        self.judge(node, verdict);
    }

    /// A link has ended at one of its ends.
    pub(super) fn check_end(&mut self, link: LinkId) {
        if let Some(checker) = &mut self.checker {
            checker.answers.end(link);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{store::memory::MemoryStore, time::Hour};

    #[test]
    fn a_table_over_its_limit_is_told_with_its_name() {
        let mut checker = Checker::default();
        checker.watch(NodeId(0), Box::new(MemoryStore::new())).unwrap();
        let mut said = Said {
            hours: Hours { mesh: Hour(500_000), settled: None },
            limits: RelayLimits { space: 1, has_pools: true, contact: 1, strangers: 1, gone: 1, gone_of_strangers: 1 },
            carries: true,
            tables: vec![(LinkId(3), [("things", 7, 7); 13])],
        };
        assert_eq!(checker.step(Duration::ZERO, NodeId(0), &said), Ok(()));
        said.tables[0].1[12] = ("others", 8, 7);
        let (rule, what) = checker.step(Duration::ZERO, NodeId(0), &said).unwrap_err();
        assert_eq!(rule, Rule::Bounded);
        assert!(what.contains("others") && what.contains('8'), "{what}");
    }
}
