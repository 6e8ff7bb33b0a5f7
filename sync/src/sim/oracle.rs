//! What no store-carry-forward protocol can beat: the earliest arrival over time-respecting paths.
//!
//! Links are ideal: after the set-up of a contact everything crosses at once, whatever its size, and nodes hold all they ever got. A letter
//! that is at one end at `t` is at the other at `max(t, start + setup)` if that is before the contact's end; so it may pass along a
//! chain of contacts that stand at the same instant. Times only grow along a path, which makes it a search in order of arrival.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    time::Duration,
};

use super::{trace::Trace, workload::Workload};

/// When each letter arrives at the earliest over ideal links that need `setup` before they carry, on the trace's clock, in the workload's
/// order; `None`: never.
pub fn earliest(trace: &Trace, workload: &Workload, setup: Duration) -> Vec<Option<Duration>> {
    let meetings = Meetings::new(trace, setup);
    let arrive = workload.letters.iter().map(|letter| {
        let created = Duration::from_secs(letter.created.into());
        meetings.arrival(letter.src, letter.dst, created)
    });
    arrive.collect()
}

/// When a link between two nodes carries: from the end of its set-up until the contact ends.
#[derive(Clone, Copy, Debug)]
struct Opening {
    from: Duration,
    until: Duration,
}

/// For each node whom it meets and when, leaving out contacts that are over before they are set up.
struct Meetings {
    /// For each node its peers, and where their openings lie; in order of peers.
    peers: Vec<Vec<(u32, std::ops::Range<usize>)>>,
    /// Those of one pair stand together, in order of time, and don't overlap.
    openings: Vec<Opening>,
}

impl Meetings {
    fn new(trace: &Trace, setup: Duration) -> Self {
        let mut pairs: BTreeMap<(u32, u32), Vec<Opening>> = BTreeMap::new();
        for contact in &trace.contacts {
            let from = Duration::from_secs(contact.start.into()).saturating_add(setup);
            let until = Duration::from_secs(contact.end.into());
            if from < until {
                pairs.entry((contact.a, contact.b)).or_default().push(Opening { from, until });
            }
        }
        let mut meetings = Self { peers: vec![Vec::new(); trace.nodes as usize], openings: Vec::with_capacity(trace.contacts.len()) };
        for ((a, b), openings) in pairs {
            let range = meetings.openings.len()..meetings.openings.len() + openings.len();
            meetings.openings.extend(openings);
            for (node, peer) in [(a, b), (b, a)] {
                if let Some(peers) = meetings.peers.get_mut(node as usize) {
                    peers.push((peer, range.clone()));
                }
            }
        }
        meetings
    }

    /// When a letter that is at `src` at `created` can be at `dst` at the earliest.
    fn arrival(&self, src: u32, dst: u32, created: Duration) -> Option<Duration> {
        let mut best: Vec<Option<Duration>> = vec![None; self.peers.len()];
        let mut reached = BinaryHeap::from([Reverse((created, src))]);
        *best.get_mut(src as usize)? = Some(created);
        while let Some(Reverse((time, node))) = reached.pop() {
            if node == dst {
                return Some(time);
            }
            if best.get(node as usize).copied().flatten() != Some(time) {
                continue;
            }
            for (peer, openings) in self.peers.get(node as usize)? {
                let Some(crossed) = self.crossing(openings.clone(), time) else { continue };
                let known = best.get_mut(*peer as usize)?;
                if known.is_none_or(|known| crossed < known) {
                    *known = Some(crossed);
                    reached.push(Reverse((crossed, *peer)));
                }
            }
        }
        None
    }

    /// When a letter that is at one end of a pair at `time` crosses at the earliest. Every opening is longer than nothing, so the first
    /// that has not ended is the one.
    fn crossing(&self, openings: std::ops::Range<usize>, time: Duration) -> Option<Duration> {
        let openings = self.openings.get(openings)?;
        let next = openings.partition_point(|opening| opening.until <= time);
        openings.get(next).map(|opening| opening.from.max(time))
    }
}
