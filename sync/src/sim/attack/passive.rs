//! Somebody who listens on every link and takes part in none: has each session message with its link, direction, time and length, and the
//! sealed bytes. Who is at either end of a link is given, as who watches a square sees it; keys are not.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    ops::ControlFlow,
    rc::Rc,
    time::Duration,
};

use super::{
    super::{
        Observer, Tapped, What, WireId,
        replay::{Companion, Plan, Progress, run_beside},
    },
    Row,
    rate::Rate,
    repeats::Repeats,
    traffic::{Flow, Traffic},
};

/// Strings that are kept of the messages that open sessions, and of all others: 16 bytes each.
const MOST_OPENING: usize = 1 << 24;
const MOST_LATER: usize = 1 << 24;
/// So many messages after the opening make up how a session goes on.
const FIRST_RECORDS: usize = 6;

/// One message of a session's opening: whether the side that dialled sent it, its length, and microseconds since the first.
type Step = (bool, u32, u64);

/// What is seen of one session.
#[derive(Default)]
struct Seen {
    dialler: u32,
    responder: u32,
    began: Duration,
    opening: Vec<Step>,
    /// Directions and lengths of the records that follow.
    then: Vec<(bool, u32)>,
}

/// What a listener has written down.
pub(super) struct Notes {
    sessions: BTreeMap<(WireId, u64), (u32, Seen)>,
    opening: Repeats,
    later: Repeats,
    flows: Vec<Flow>,
    /// Put into each session's first record, to see whether it would be noticed.
    leak: Option<[u8; 8]>,
}

impl Notes {
    fn new(leak: Option<[u8; 8]>) -> Self {
        let (opening, later) = (Repeats::new(MOST_OPENING), Repeats::new(MOST_LATER));
        Self { sessions: BTreeMap::new(), opening, later, flows: Vec::new(), leak }
    }

    fn note(&mut self, at: Duration, tapped: &Tapped<'_>) {
        let next = self.sessions.len() as u32;
        let (number, session) = self.sessions.entry((tapped.wire, tapped.connection)).or_default();
        let (from, to) = (tapped.from.0 as u32, tapped.to.0 as u32);
        if session.opening.is_empty() {
            let (dialler, responder) = if tapped.dialled { (from, to) } else { (to, from) };
            *number = next;
            *session = Seen { dialler, responder, began: at, ..Seen::default() };
        }
        let length = tapped.message.len() as u32;
        if matches!(tapped.what, What::Handshake | What::Recognition) {
            session.opening.push((tapped.dialled, length, at.saturating_sub(session.began).as_micros() as u64));
            self.opening.add(*number, tapped.message);
        } else {
            if session.then.len() < FIRST_RECORDS {
                session.then.push((tapped.dialled, length));
            }
            match self.leak.filter(|_| session.then.len() == 1) {
                Some(leak) => self.later.add(*number, &[tapped.message, &leak].concat()),
                None => self.later.add(*number, tapped.message),
            }
        }
        self.flows.push(Flow { at, wire: tapped.wire, from, to, length });
    }
}

/// The listener's ears.
struct Ears(Rc<RefCell<Notes>>);

impl Observer for Ears {
    fn tapped(&mut self, at: Duration, tapped: &Tapped<'_>) {
        self.0.borrow_mut().note(at, tapped);
    }
}

impl Companion for Ears {
    fn observer(&self) -> Box<dyn Observer> {
        Box::new(Self(Rc::clone(&self.0)))
    }
}

/// Lets a plan run while somebody listens; what they can tell.
pub(super) fn run(plan: &Plan, leak: Option<[u8; 8]>, progress: &mut dyn FnMut(Progress) -> ControlFlow<()>) -> Option<Vec<Row>> {
    let notes = Rc::new(RefCell::new(Notes::new(leak)));
    run_beside(plan, &mut Ears(Rc::clone(&notes)), progress)?;
    let mut notes = notes.borrow_mut();
    let mut rows = Vec::new();
    for (question, repeats) in [("strings repeated, openings", 0), ("strings repeated, all else", 1)] {
        let repeats = if repeats == 0 { &mut notes.opening } else { &mut notes.later };
        let ((found, looked_at), (seen, one_in)) = (repeats.found(), (repeats.seen(), repeats.one_in()));
        let note = format!("of {seen} strings of 8 bytes, one in {one_in} looked at");
        rows.push(Row::passive(question, Rate::of_counts(found, looked_at), 0.0, &note));
    }
    let pairs: BTreeSet<(u32, u32)> =
        plan.workload.letters.iter().flat_map(|letter| [(letter.src, letter.dst), (letter.dst, letter.src)]).collect();
    let complete: Vec<&Seen> = notes.sessions.values().map(|(_, seen)| seen).filter(|seen| !seen.then.is_empty()).collect();
    let is_contacts = |seen: &Seen| pairs.contains(&(seen.dialler, seen.responder));
    let opening: Vec<(&Vec<Step>, bool)> = complete.iter().map(|seen| (&seen.opening, is_contacts(seen))).collect();
    let then: Vec<(&Vec<(bool, u32)>, bool)> = complete.iter().map(|seen| (&seen.then, is_contacts(seen))).collect();
    let of = format!("{} sessions, {} of contacts", complete.len(), opening.iter().filter(|(_, contacts)| *contacts).count());
    rows.push(Row::passive("contacts or strangers, by the opening", two_kinds(&opening, plan.seed), 0.5, &of));
    rows.push(Row::passive("contacts or strangers, by the first records", two_kinds(&then, plan.seed), 0.5, &of));
    let own = complete
        .iter()
        .flat_map(|seen| [(seen.dialler, true), (seen.responder, false)].map(|(node, dialled)| (node, own_steps(seen, dialled))));
    let own: Vec<(u32, Vec<(u32, u64)>)> = own.collect();
    let (rate, devices) = which_device(&own, plan.seed);
    let of = format!("{devices} devices");
    rows.push(Row::passive("which device, by its opening records", rate, 1.0 / devices.max(1) as f64, &of));
    rows.extend(Traffic::new(plan, std::mem::take(&mut notes.flows)).rows());
    Some(rows)
}

/// What one side says in an opening: lengths, and when.
fn own_steps(seen: &Seen, dialled: bool) -> Vec<(u32, u64)> {
    seen.opening.iter().filter(|step| step.0 == dialled).map(|(_, length, after)| (*length, *after)).collect()
}

/// How often things of two kinds are told apart by what is seen of them: learnt from every second one, tried on the others, either kind
/// counting for a half. Guessing is right in one of two.
fn two_kinds<T: Ord>(things: &[(T, bool)], seed: u64) -> Rate {
    let mut learnt: BTreeMap<&T, [u64; 2]> = BTreeMap::new();
    let mut all = [0_u64; 2];
    for (seen, kind) in things.iter().step_by(2) {
        learnt.entry(seen).or_default()[usize::from(*kind)] += 1;
        all[usize::from(*kind)] += 1;
    }
    let mut worths: [Vec<f64>; 2] = [Vec::new(), Vec::new()];
    for (seen, kind) in things.iter().skip(1).step_by(2) {
        let times = learnt.get(seen).copied().unwrap_or_default();
        // How common it is among either kind, without division.
        let (first, second) = (times[0] * all[1], times[1] * all[0]);
        let worth = if first == second { 0.5 } else { f64::from(u8::from((second > first) == *kind)) };
        worths[usize::from(*kind)].push(worth);
    }
    balanced(&worths, seed)
}

/// The mean over two kinds of their means, with an interval; each try of the rarer kind weighs more.
fn balanced(worths: &[Vec<f64>; 2], seed: u64) -> Rate {
    let [one, other] = [0, 1].map(|kind| Rate::of_worths(&worths[kind], seed ^ kind as u64));
    let half = |low: f64, high: f64| f64::midpoint(low, high);
    // Half-widths of independent means add as squares.
    let right = half(one.right, other.right);
    let below = (one.right - one.low).hypot(other.right - other.low) / 2.0;
    let above = (one.high - one.right).hypot(other.high - other.right) / 2.0;
    Rate { of: one.of + other.of, right, low: right - below, high: right + above }
}

/// How often a device is named by what it says in an opening: learnt from every second one, tried on the others; of several that are as
/// likely, one at random. Also how many devices were learnt; others are not asked about.
fn which_device<T: Ord>(things: &[(u32, T)], seed: u64) -> (Rate, usize) {
    let mut learnt: BTreeMap<&T, BTreeMap<u32, u64>> = BTreeMap::new();
    let mut all: BTreeMap<u32, u64> = BTreeMap::new();
    for (device, seen) in things.iter().step_by(2) {
        *learnt.entry(seen).or_default().entry(*device).or_default() += 1;
        *all.entry(*device).or_default() += 1;
    }
    let worth = |(device, seen): &(u32, T)| {
        let nobody = BTreeMap::new();
        let times = learnt.get(seen).unwrap_or(&nobody);
        // Shares as whole numbers: of a million, each device's sessions that look so.
        let likely = |device: u32, all: u64| times.get(&device).copied().unwrap_or(0) * 1_000_000 / all.max(1);
        let best = all.iter().map(|(device, all)| likely(*device, *all)).max().unwrap_or(0);
        let named: Vec<u32> = all.iter().filter(|(device, all)| likely(**device, **all) == best).map(|(device, _)| *device).collect();
        if named.contains(device) { 1.0 / named.len() as f64 } else { 0.0 }
    };
    let asked = things.iter().skip(1).step_by(2).filter(|(device, _)| all.contains_key(device));
    let worths: Vec<f64> = asked.map(worth).collect();
    (Rate::of_worths(&worths, seed), all.len())
}

#[cfg(test)]
mod tests {
    use super::{super::super::NodeId, *};

    #[test]
    fn kinds_that_look_alike_are_guessed_and_others_are_told_apart() {
        let alike: Vec<(u8, bool)> = (0..400_u32).map(|index| (7, index % 5 < 2)).collect();
        let rate = two_kinds(&alike, 1);
        assert!((rate.right - 0.5).abs() < 1e-12 && rate.allows(0.5));
        let apart: Vec<(u8, bool)> = (0..400_u32).map(|index| (u8::from(index % 5 < 2), index % 5 < 2)).collect();
        assert!(two_kinds(&apart, 1).low > 0.95);
    }

    #[test]
    fn devices_that_look_alike_are_guessed_and_an_odd_one_is_named() {
        let things =
            |odd: bool| -> Vec<(u32, u8)> { (0..600_u32).map(|index| (index / 2 % 6, u8::from(odd && index / 2 % 6 == 3))).collect() };
        let (rate, devices) = which_device(&things(false), 1);
        assert_eq!(devices, 6);
        assert!((rate.right - 1.0 / 6.0).abs() < 1e-9, "{rate:?}");
        let (rate, _) = which_device(&things(true), 1);
        assert!((rate.right - (1.0 / 6.0 + 5.0 / 6.0 / 5.0)).abs() < 1e-9, "{rate:?}");
    }

    #[test]
    fn a_listener_tells_openings_from_what_follows() {
        let mut notes = Notes::new(None);
        let tapped = |what, dialled: bool, message| Tapped {
            wire: WireId(0),
            connection: 1,
            from: NodeId(usize::from(!dialled)),
            to: NodeId(usize::from(dialled)),
            dialled,
            what,
            message,
        };
        notes.note(Duration::from_secs(5), &tapped(What::Handshake, true, &[0; 32]));
        notes.note(Duration::from_secs(6), &tapped(What::Recognition, false, &[0; 1_040]));
        notes.note(Duration::from_secs(7), &tapped(What::Control, false, &[0; 34]));
        let (_, seen) = notes.sessions.values().next().unwrap();
        assert_eq!(seen.opening, [(true, 32, 0), (false, 1_040, 1_000_000)]);
        assert_eq!((seen.dialler, seen.responder, seen.then.as_slice()), (0, 1, &[(false, 34)][..]));
        assert_eq!(own_steps(seen, false), [(1_040, 1_000_000)]);
    }
}
