//! What goes wrong in a run: kinds of faults that combine, and, drawn from a seed, what befalls which node when.
//!
//! A driver lays its wires with [`FaultPlan::wire`] and calls [`FaultPlan::apply`] once its nodes are there; the rest happens by itself.

mod breaker;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr,
    time::Duration,
};

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

pub(super) use self::breaker::Breaker;
pub use self::breaker::Trouble;
use super::{Faults, NodeId, START_MILLIS, Sim, draw::between, hostile::Hostility};
use crate::delay::exponential;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
/// Mean time until a contact is cut, and how long it stays down then (issue of the simulator: `cut`).
const CUT_MEAN: Duration = Duration::from_secs(10);
const DOWN_FOR: Duration = Duration::from_secs(5);
/// How often a break is noticed by one side only (guess).
const HALF_OPEN: f64 = 0.5;
/// How often a message is lost below the transport, and as often comes twice (guess: a session of a hundred messages rarely survives).
const LOSS: f64 = 0.01;
/// One node of so many does harm (issue of the simulator: 10 %), at least one.
const HOSTILE_SHARE: usize = 10;
/// Writes and commits that a crash waits for, at most (guess: some batches' worth).
const MAX_CRASH_POINTS: u32 = 64;
/// One crash in so many comes after its commit.
const PAST_COMMIT_SHARE: u32 = 8;
/// A clock that stands at 1970 when a simulation starts.
const NEVER_SET_MS: i64 = -(START_MILLIS as i64);
/// How far a clock is off, at most, and how far it jumps, in minutes.
const OFF_MINUTES: u32 = 120;
const JUMP_MINUTES: u32 = 2 * 24 * 60;

/// One kind of fault.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum FaultKind {
    /// Links break after ten seconds on average, and come up again five seconds later.
    Cut,
    /// Of links that break, one side of two learns fifteen seconds late.
    HalfOpen,
    /// Messages are lost, or come twice, below the transport.
    Loss,
    /// Nodes stop between a write and its commit.
    Crash,
    /// Disks are full for a while.
    Full,
    /// Clocks are off, stand at 1970, or jump.
    Clocks,
    /// Nodes do harm.
    Hostile,
}

impl FaultKind {
    /// All kinds, with their names on the command line.
    pub const ALL: [(&str, Self); 7] = [
        ("cut", Self::Cut),
        ("half-open", Self::HalfOpen),
        ("loss", Self::Loss),
        ("crash", Self::Crash),
        ("full", Self::Full),
        ("clocks", Self::Clocks),
        ("hostile", Self::Hostile),
    ];
}

/// Kinds of faults that come together.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct FaultMix(BTreeSet<FaultKind>);

/// A name that is no kind of fault.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "no such fault: {0:?}; there are none, cut, half-open, loss, crash, full, clocks, hostile, and mix for all of them, joined by commas"
)]
pub struct UnknownFault(String);

impl FaultMix {
    /// No faults.
    pub const fn none() -> Self {
        Self(BTreeSet::new())
    }

    /// All of them.
    pub fn all() -> Self {
        Self(FaultKind::ALL.into_iter().map(|(_, kind)| kind).collect())
    }

    /// Whether nodes crash, or their disks fill.
    pub fn breaks_stores(&self) -> bool {
        self.has(FaultKind::Crash) || self.has(FaultKind::Full)
    }

    /// Whether a kind is among them.
    pub fn has(&self, kind: FaultKind) -> bool {
        self.0.contains(&kind)
    }
}

impl FromStr for FaultMix {
    type Err = UnknownFault;

    fn from_str(names: &str) -> Result<Self, UnknownFault> {
        let mut mix = Self::none();
        for name in names.split(',').map(str::trim) {
            match (name, FaultKind::ALL.into_iter().find(|(other, _)| *other == name)) {
                ("none", _) => {}
                ("mix", _) => mix = Self::all(),
                (_, Some((_, kind))) => drop(mix.0.insert(kind)),
                (_, None) => return Err(UnknownFault(name.into())),
            }
        }
        Ok(mix)
    }
}

impl fmt::Display for FaultMix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = FaultKind::ALL.into_iter().filter(|(_, kind)| self.has(*kind)).map(|(name, _)| name).collect();
        match names.len() {
            0 => f.write_str("none"),
            all if all == FaultKind::ALL.len() => f.write_str("mix"),
            _ => f.write_str(&names.join(",")),
        }
    }
}

/// What goes wrong in one run: equal for equal seeds.
#[derive(Clone, Debug)]
pub struct FaultPlan {
    mix: FaultMix,
    hostile: BTreeMap<usize, Hostility>,
    troubles: Vec<(Duration, usize, Trouble)>,
}

impl FaultPlan {
    /// Draws what befalls which of so many nodes within a span.
    pub fn draw(mix: &FaultMix, nodes: usize, span: Duration, seed: u64) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed ^ 0xfa17_5000);
        let hostile = if mix.has(FaultKind::Hostile) { draw_hostile(nodes, &mut rng) } else { BTreeMap::new() };
        let mut plan = Self { mix: mix.clone(), hostile, troubles: Vec::new() };
        for node in 0..nodes {
            plan.draw_crashes(node, span, &mut rng);
            plan.draw_full(node, span, &mut rng);
            plan.draw_clock(node, span, &mut rng);
        }
        plan.troubles.sort_unstable();
        plan
    }

    fn draw_crashes(&mut self, node: usize, span: Duration, rng: &mut ChaCha20Rng) {
        if !self.mix.has(FaultKind::Crash) {
            return;
        }
        let mean = (span / 4).clamp(MINUTE, 6 * HOUR);
        let mut at = exponential(mean, rng);
        while at < span {
            let past_commit = between(rng, 1, PAST_COMMIT_SHARE) == 1;
            let points = u64::from(between(rng, 1, MAX_CRASH_POINTS));
            self.troubles.push((at, node, if past_commit { Trouble::CrashPastCommit } else { Trouble::Crash(points) }));
            at += exponential(mean, rng);
        }
    }

    fn draw_full(&mut self, node: usize, span: Duration, rng: &mut ChaCha20Rng) {
        if !self.mix.has(FaultKind::Full) || between(rng, 0, 1) == 0 {
            return;
        }
        let from = uniform(span, rng);
        let until = (from + MINUTE + exponential(10 * MINUTE, rng)).min(span);
        self.troubles.extend([(from, node, Trouble::DiskFull), (until, node, Trouble::DiskFree)]);
    }

    /// Of ten clocks three are right, four off by up to two hours; the rest stand at 1970 at the start, or jump twice by up to two days.
    fn draw_clock(&mut self, node: usize, span: Duration, rng: &mut ChaCha20Rng) {
        if !self.mix.has(FaultKind::Clocks) {
            return;
        }
        match between(rng, 0, 9) {
            0..3 => {}
            3..7 => self.troubles.push((Duration::ZERO, node, Trouble::Clock(off_by(OFF_MINUTES, rng)))),
            7 => self.troubles.push((Duration::ZERO, node, Trouble::Clock(NEVER_SET_MS))),
            _ => {
                for _ in 0..2 {
                    self.troubles.push((uniform(span, rng), node, Trouble::Clock(off_by(JUMP_MINUTES, rng))));
                }
            }
        }
    }

    /// What a wire is like under these faults that is otherwise like `base`.
    pub fn wire(&self, base: Faults) -> Faults {
        let mut wire = base;
        if self.mix.has(FaultKind::Cut) {
            (wire.cut_mean, wire.redial) = (Some(CUT_MEAN), DOWN_FOR);
        }
        if self.mix.has(FaultKind::HalfOpen) {
            wire.half_open = HALF_OPEN;
        }
        if self.mix.has(FaultKind::Loss) {
            (wire.loss, wire.duplicate) = (LOSS, LOSS);
        }
        wire
    }

    /// Lets happen from now on what was drawn, to nodes in the order in which they were numbered.
    pub fn apply(&self, sim: &mut Sim, nodes: &[NodeId]) {
        let start = sim.elapsed();
        for (at, node, trouble) in &self.troubles {
            if let Some(node) = nodes.get(*node) {
                sim.trouble(start + *at, *node, *trouble);
            }
        }
        for (node, hostility) in &self.hostile {
            if let Some(node) = nodes.get(*node) {
                sim.turn_hostile(*node, *hostility);
            }
        }
    }

    /// Whether a node's clock stands at 1970 at the start.
    pub fn has_no_clock(&self, node: usize) -> bool {
        let never = Trouble::Clock(NEVER_SET_MS);
        self.troubles.iter().any(|(_, other, trouble)| (*other, *trouble) == (node, never))
    }

    /// Whether a node does no harm.
    pub fn is_honest(&self, node: usize) -> bool {
        !self.hostile.contains_key(&node)
    }
}

fn draw_hostile(nodes: usize, rng: &mut ChaCha20Rng) -> BTreeMap<usize, Hostility> {
    let count = nodes.div_ceil(HOSTILE_SHARE).min(nodes.saturating_sub(1));
    let mut hostile = BTreeMap::new();
    while hostile.len() < count {
        let node = between(rng, 0, nodes as u32 - 1) as usize;
        let kind = Hostility::ALL[between(rng, 0, Hostility::ALL.len() as u32 - 1) as usize];
        hostile.entry(node).or_insert(kind);
    }
    hostile
}

fn uniform(span: Duration, rng: &mut impl Rng) -> Duration {
    Duration::from_secs(between(rng, 0, u32::try_from(span.as_secs()).unwrap_or(u32::MAX)).into())
}

/// Milliseconds, at most so many minutes either way.
fn off_by(minutes: u32, rng: &mut impl Rng) -> i64 {
    (i64::from(between(rng, 0, 2 * minutes)) - i64::from(minutes)) * 60_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_combine_in_any_order_and_are_told_in_one() {
        let mix: FaultMix = "loss, cut".parse().unwrap();
        assert!(mix.has(FaultKind::Cut) && mix.has(FaultKind::Loss) && !mix.has(FaultKind::Crash));
        assert_eq!(mix.to_string(), "cut,loss");
        assert_eq!("mix".parse::<FaultMix>().unwrap(), FaultMix::all());
        assert_eq!("none".parse::<FaultMix>().unwrap().to_string(), "none");
        let every: Vec<&str> = FaultKind::ALL.into_iter().map(|(name, _)| name).collect();
        assert_eq!(every.join(",").parse::<FaultMix>().unwrap().to_string(), "mix");
        for wrong in ["", "cuts", "cut,", "Cut", "cut;loss"] {
            assert!(wrong.parse::<FaultMix>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_plan_is_the_same_for_one_seed_and_within_its_span() {
        let plan = |seed| FaultPlan::draw(&FaultMix::all(), 20, 3 * HOUR, seed);
        let (one, same, other) = (plan(1), plan(1), plan(2));
        assert_eq!((&one.troubles, &one.hostile), (&same.troubles, &same.hostile));
        assert_ne!(one.troubles, other.troubles);
        assert!(one.troubles.iter().all(|(at, node, _)| *at <= 3 * HOUR && *node < 20));
        assert_eq!(one.hostile.len(), 2, "one in ten");
        let quiet = FaultPlan::draw(&FaultMix::none(), 20, 3 * HOUR, 1);
        assert!(quiet.troubles.is_empty() && quiet.hostile.is_empty());
        let base = Faults { rate: 10_000, ..Faults::NONE };
        assert_eq!(quiet.wire(base), base);
        assert_ne!(one.wire(base), base);
    }
}
