//! Devices that behave like any other and pool what they are shown: who wrote a letter, and who has read it?
//!
//! They know which device they meet, as somebody who sees its owner does. *Writer*: the device that was the first of all to name or hand them
//! the letter's bundle. *Reader, by the ack*: the device that was the first to tell them the secret that proves that it was read. *Reader, by
//! who lets go*: they ask devices that had a bundle for it again; the first that has it no longer, while nobody has told the ack.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet, HashMap},
    ops::ControlFlow,
    rc::Rc,
    time::Duration,
};

use super::{
    super::{
        NodeId, Observer, Sim, WireId,
        replay::{Companion, Plan, Progress, run_beside},
    },
    Row, Rules,
    rate::Rate,
};
use crate::{
    crypto::bundle_seal::commitment,
    id::{BundleId, Commitment, ShortId},
    session::ShortIds,
    store::{BundleRow, Origin, Store, memory::MemoryStore},
    wire::record::{Record, Refusal},
};

/// How long after coming into reach a device is asked for what it had.
const ASK_AFTER: Duration = Duration::from_secs(10);
/// Bundles that one device is asked for at a time.
const ASKED_AT_ONCE: usize = 16;

/// What the attackers have together.
#[derive(Default)]
struct Pool {
    attackers: BTreeSet<u32>,
    /// Letters' bundles, in the order in which they were written.
    letters: Vec<(usize, BundleId)>,
    by_id: HashMap<BundleId, usize>,
    by_commitment: HashMap<Commitment, usize>,
    /// Of each session what its short ids stand for, and of how many letters it was made.
    names: HashMap<[u8; 32], (usize, HashMap<ShortId, usize>)>,
    /// Who showed a letter first, and who acked it first.
    shown: BTreeMap<usize, u32>,
    acked: BTreeMap<usize, u32>,
    /// What each device is known to have had.
    had: BTreeSet<(u32, usize)>,
    asked: BTreeSet<([u8; 32], usize)>,
    let_go: BTreeMap<usize, u32>,
    met: BTreeSet<u32>,
}

impl Pool {
    fn learn(&mut self, letter: usize, row: &BundleRow) {
        self.letters.push((letter, row.id));
        self.by_id.insert(row.id, letter);
        self.by_commitment.insert(row.commitment, letter);
    }

    /// What short ids of a session stand for; all letters so far are known in it.
    fn names(&mut self, session: &[u8; 32]) -> &HashMap<ShortId, usize> {
        let (known, names) = self.names.entry(*session).or_default();
        if *known < self.letters.len() {
            let shorts = ShortIds::new(session);
            names.extend(self.letters.iter().skip(*known).map(|(letter, id)| (shorts.short(id), *letter)));
            *known = self.letters.len();
        }
        names
    }

    fn named(&mut self, session: &[u8; 32], ids: impl Iterator<Item = ShortId>) -> Vec<usize> {
        let names = self.names(session);
        ids.filter_map(|short| names.get(&short).copied()).collect()
    }

    fn show(&mut self, device: u32, letters: &[usize]) {
        for letter in letters {
            self.shown.entry(*letter).or_insert(device);
            self.had.insert((device, *letter));
        }
    }

    fn hear(&mut self, device: u32, session: &[u8; 32], record: &[u8]) {
        self.met.insert(device);
        match Record::decode(record) {
            Ok(Record::Bundle { bytes, .. }) => {
                let letter = self.by_id.get(&BundleId::of(&bytes)).copied();
                self.show(device, letter.as_slice());
            }
            Ok(Record::Offer { ids, .. }) => {
                let letters = self.named(session, ids.into_iter());
                self.show(device, &letters);
            }
            // Whatever it lists, listed ids stand in it as they are.
            Ok(Record::Ranges(body)) => {
                let letters = self.named(session, body.windows(8).filter_map(|id| id.try_into().ok().map(ShortId)));
                self.show(device, &letters);
            }
            Ok(Record::Stored(ids)) => {
                let letters = self.named(session, ids.into_iter());
                self.had.extend(letters.into_iter().map(|letter| (device, letter)));
            }
            Ok(Record::Ack(secrets)) => {
                for letter in secrets.iter().filter_map(|secret| self.by_commitment.get(&commitment(secret))) {
                    self.acked.entry(*letter).or_insert(device);
                }
            }
            Ok(Record::Refused(refusals)) => {
                let unwanted = refusals.into_iter().filter(|(_, why)| *why == Refusal::Unwanted).map(|(id, _)| id);
                for letter in self.named(session, unwanted) {
                    if self.asked.contains(&(*session, letter)) && !self.acked.contains_key(&letter) {
                        self.let_go.entry(letter).or_insert(device);
                    }
                }
            }
            _ => {}
        }
    }

    /// What a device is to be asked for in a session, newest first.
    fn questions(&mut self, device: u32, session: &[u8; 32]) -> Vec<ShortId> {
        let shorts = ShortIds::new(session);
        let had = |letter: &usize| self.had.contains(&(device, *letter)) && !self.acked.contains_key(letter);
        let chosen: Vec<(usize, BundleId)> =
            self.letters.iter().rev().filter(|(letter, _)| had(letter)).take(ASKED_AT_ONCE).copied().collect();
        self.asked.extend(chosen.iter().map(|(letter, _)| (*session, *letter)));
        chosen.iter().map(|(_, id)| shorts.short(id)).collect()
    }
}

/// What is heard at the attackers' devices.
struct Ears(Rc<RefCell<Pool>>);

impl Observer for Ears {
    fn heard(&mut self, _: Duration, [from, to]: [NodeId; 2], session: &[u8; 32], record: &[u8]) {
        let mut pool = self.0.borrow_mut();
        let [from, to] = [from, to].map(|node| node.0 as u32);
        if pool.attackers.contains(&to) && !pool.attackers.contains(&from) {
            pool.hear(from, session, record);
        }
    }
}

/// Goes along: notes which bundle is which letter's, as the judge, and asks, as the attackers.
struct Crowd<'a> {
    plan: &'a Plan,
    pool: Rc<RefCell<Pool>>,
    stores: Vec<MemoryStore>,
    /// When whom to ask on which wire: attacker, device.
    to_ask: BTreeSet<(Duration, WireId, NodeId, NodeId)>,
}

impl Companion for Crowd<'_> {
    fn observer(&self) -> Box<dyn Observer> {
        Box::new(Ears(Rc::clone(&self.pool)))
    }

    fn begin(&mut self, _: &mut Sim, stores: &[MemoryStore]) {
        self.stores = stores.iter().map(MemoryStore::handle).collect();
    }

    fn written(&mut self, letter: usize) {
        let writer = self.plan.workload.letters.get(letter).map(|letter| letter.src as usize);
        let newest = writer.and_then(|writer| self.stores.get(writer)).and_then(newest_own);
        let mut pool = self.pool.borrow_mut();
        // One that is sealed later, as the window is full, is not judged.
        if let Some(row) = newest.filter(|row| !pool.by_id.contains_key(&row.id)) {
            pool.learn(letter, &row);
        }
    }

    fn met(&mut self, sim: &mut Sim, wire: WireId, between: [NodeId; 2]) {
        let [one, other] = between.map(|node| self.pool.borrow().attackers.contains(&(node.0 as u32)));
        let [a, b] = between;
        if one != other {
            let (attacker, device) = if one { (a, b) } else { (b, a) };
            self.to_ask.insert((sim.elapsed() + ASK_AFTER, wire, attacker, device));
        }
    }

    fn due(&self) -> Option<Duration> {
        self.to_ask.first().map(|(at, ..)| *at)
    }

    fn wake(&mut self, sim: &mut Sim) {
        let Some((_, wire, attacker, device)) = self.to_ask.pop_first() else { return };
        let Some(session) = sim.session_hash(wire, attacker) else { return };
        let ids = self.pool.borrow_mut().questions(device.0 as u32, &session);
        if !ids.is_empty() {
            sim.send_raw(wire, attacker, &Record::Want(ids).encode());
        }
    }
}

/// What a node has sealed last.
fn newest_own(store: &MemoryStore) -> Option<BundleRow> {
    let mut newest: Option<BundleRow> = None;
    let visited = store.visit_bundles(&mut |row| {
        if matches!(row.origin, Origin::Own(_)) && newest.as_ref().is_none_or(|other| other.sequence < row.sequence) {
            newest = Some(row);
        }
    });
    visited.ok().and(newest)
}

/// Lets a plan run with attackers among its devices and some of the rules; what they can tell, and what was delivered.
pub(super) fn run(
    plan: &Plan,
    attackers: &BTreeSet<u32>,
    rules: Rules,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Option<Vec<Row>> {
    let plan = &Plan { config: rules.apply(&plan.config), ..plan.clone() };
    let pool = Rc::new(RefCell::new(Pool { attackers: attackers.clone(), ..Pool::default() }));
    let mut crowd = Crowd { plan, pool: Rc::clone(&pool), stores: Vec::new(), to_ask: BTreeSet::new() };
    let outcome = run_beside(plan, &mut crowd, progress)?;
    let pool = pool.borrow();
    let guess = 1.0 / pool.met.len().max(1) as f64;
    let row = |question: &str, named: &BTreeMap<usize, u32>, is_reader: bool| {
        let person = |letter: &usize| plan.workload.letters.get(*letter).map(|letter| if is_reader { letter.dst } else { letter.src });
        let right = named.iter().filter(|(letter, device)| person(letter) == Some(**device)).count();
        let note = format!("of {} letters, {} devices met", pool.letters.len(), pool.met.len());
        Row::new("active", rules, question, Rate::of_counts(right, named.len()), guess, &note).priced(plan, &outcome)
    };
    Some(vec![
        row("writer, the first to show the bundle", &pool.shown, false),
        row("reader, the first to tell the ack", &pool.acked, true),
        row("reader, the first to have let go", &pool.let_go, true),
    ])
}
