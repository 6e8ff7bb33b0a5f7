//! Abuse: a few of a trace's nodes turn against the others, over real sessions, as strangers that nobody knows again.
//!
//! ```text
//!  Assault (which abuse, with or without the defence) ──▶ who attacks: the nodes that meet most
//!                                                     ──▶ Attacker, one a node: its poison, what it says on each link
//!  replay: letters between the others ──▶ what of them arrives ──▶ Row, beside the same run without an attack
//! ```
//!
//! Attackers know everything that the protocol says. They have no contacts, a new beacon and new keys in each session, and say nothing in one
//! session that could be linked to another but their poison itself.

mod attacker;
mod poison;

use std::{fmt, str::FromStr, sync::Arc};

use rand_core::Rng;

pub(super) use self::attacker::Attacker;
use super::{NodeId, Sim, trace::Trace, workload::Workload};
use crate::engine::{EngineConfig, RelayPolicy};

/// How many nodes of a trace attack (issue of the simulator: three of 327).
pub const ATTACKERS: usize = 3;
/// How many bytes of poison a flood has for each honest one (issue of the simulator).
pub const FLOOD_FACTOR: usize = 6;

/// What attackers do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Abuse {
    /// Nothing: the nodes that would attack are honest carriers without mail of their own.
    Carrying,
    /// Nothing: the nodes that would attack are switched off. What the rows of attacks are to be held against.
    Absent,
    /// They bring [`FLOOD_FACTOR`] times the honest traffic, in bundles that nobody can open.
    Flood,
    /// They carry honest bundles, and hand them on as if they had lived for all but the last hour.
    Aged,
    /// They keep what they are given, and hand on garbage under its headers.
    CopiedTags,
    /// They take everything, say that it is stored, and drop it.
    LyingStored,
    /// A flood in which everything is urgent.
    Urgent,
}

impl Abuse {
    /// All of them, with their names on the command line.
    pub const ALL: [(&str, Self); 7] = [
        ("carrying", Self::Carrying),
        ("absent", Self::Absent),
        ("flood", Self::Flood),
        ("aged", Self::Aged),
        ("copied-tags", Self::CopiedTags),
        ("lying-stored", Self::LyingStored),
        ("urgent", Self::Urgent),
    ];

    /// Whether there is a run without the defence: the others are held off by rules that can't be switched off.
    pub const fn has_undefended(self) -> bool {
        matches!(self, Self::Carrying | Self::Absent | Self::Flood | Self::Urgent)
    }

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        Self::ALL.into_iter().find(|(_, abuse)| *abuse == self).map_or("", |(name, _)| name)
    }
}

impl fmt::Display for Abuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A name that is no abuse.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("no such abuse: {0:?}; there are carrying, absent, flood, aged, copied-tags, lying-stored, urgent, and all")]
pub struct UnknownAbuse(String);

/// Abuses that are run one after another: one, or all.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Abuses(pub Vec<Abuse>);

impl FromStr for Abuses {
    type Err = UnknownAbuse;

    fn from_str(name: &str) -> Result<Self, UnknownAbuse> {
        if name == "all" {
            return Ok(Self(Abuse::ALL.into_iter().map(|(_, abuse)| abuse).collect()));
        }
        let known = Abuse::ALL.into_iter().find(|(other, _)| *other == name);
        known.map(|(_, abuse)| Self(vec![abuse])).ok_or_else(|| UnknownAbuse(name.into()))
    }
}

/// An abuse, and whether the nodes that are attacked have their defence.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Assault {
    /// What attackers do.
    pub abuse: Abuse,
    /// Whether there are pools by who brought a bundle, and token buckets for what strangers bring.
    pub defended: bool,
}

impl Assault {
    /// The engines' numbers: those that ship, or without pools and buckets.
    pub fn config(self) -> EngineConfig {
        let shipping = EngineConfig::default();
        if self.defended {
            return shipping;
        }
        EngineConfig { relay: RelayPolicy::Unpooled, stranger_bytes_a_day: UNLIMITED, ..shipping }
    }

    /// Turns the nodes against the others, `workload` being the letters between these.
    pub(super) fn begin(self, sim: &mut Sim, nodes: &[u32], workload: &Workload) {
        for (turn, node) in nodes.iter().enumerate() {
            let node = NodeId(*node as usize);
            match self.abuse {
                Abuse::Carrying => {}
                Abuse::Absent => sim.kill(node),
                _ => {
                    let seed = sim.rng.next_u64();
                    sim.turn_against(node, Box::new(Attacker::new(self.abuse, workload, [turn, nodes.len()], seed)));
                }
            }
        }
    }
}

/// Bytes a day that nobody ever brings.
const UNLIMITED: u64 = 1 << 50;

/// What attackers did in a run.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Tally {
    /// Bundles of poison that were made; under [`Abuse::Aged`] honest ones that were kept to be handed on.
    pub made: u64,
    /// Bytes of them.
    pub made_bytes: u64,
    /// Bundles that were handed over, to anybody.
    pub handed: u64,
    /// Of them, how often somebody said that it is stored.
    pub placed: u64,
    /// Bundles that were said to be stored, and dropped.
    pub swallowed: u64,
}

impl Tally {
    pub(super) const fn add(&mut self, other: &Self) {
        self.made += other.made;
        self.made_bytes += other.made_bytes;
        self.handed += other.handed;
        self.placed += other.placed;
        self.swallowed += other.swallowed;
    }
}

/// The nodes that attack: those with most contacts, of equals the lower numbers; always so few that two others are left.
pub fn attackers(trace: &Trace) -> Vec<u32> {
    let mut meetings = vec![0_u32; trace.nodes as usize];
    for contact in &trace.contacts {
        for end in [contact.a, contact.b] {
            if let Some(count) = meetings.get_mut(end as usize) {
                *count += 1;
            }
        }
    }
    let mut nodes: Vec<u32> = (0..trace.nodes).collect();
    nodes.sort_by_key(|node| (std::cmp::Reverse(meetings.get(*node as usize).copied()), *node));
    nodes.truncate(ATTACKERS.min(nodes.len().saturating_sub(2)));
    nodes
}

/// The letters of which neither end attacks.
pub fn between_others(workload: &Arc<Workload>, attackers: &[u32]) -> Arc<Workload> {
    let letters = workload.letters.iter().filter(|letter| ![letter.src, letter.dst].iter().any(|end| attackers.contains(end)));
    Arc::new(Workload { letters: letters.copied().collect() })
}

/// The contacts of which neither end attacks: what the oracle may use.
pub fn without(trace: &Trace, attackers: &[u32]) -> Trace {
    let contacts = trace.contacts.iter().filter(|contact| ![contact.a, contact.b].iter().any(|end| attackers.contains(end)));
    Trace { name: trace.name.clone(), nodes: trace.nodes, contacts: contacts.copied().collect() }
}

#[cfg(test)]
mod tests;
