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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sim::{trace::Contact, workload::Letter};

    fn trace(nodes: u32, contacts: &[(u32, u32, u32, u32)]) -> Trace {
        let contacts = contacts.iter().map(|&(start, end, a, b)| Contact { start, end, a, b }).collect();
        Trace { name: "t".to_owned(), nodes, contacts }
    }

    fn arrival(trace: &Trace, created: u32, src: u32, dst: u32, setup_ms: u64) -> Option<u128> {
        let workload = Workload { letters: vec![Letter { created, src, dst, size: 1 }] };
        earliest(trace, &workload, Duration::from_millis(setup_ms))[0].map(|at| at.as_millis())
    }

    #[test]
    fn a_letter_crosses_when_the_link_is_set_up() {
        let pair = trace(2, &[(10, 20, 0, 1)]);
        assert_eq!(arrival(&pair, 0, 0, 1, 0), Some(10_000));
        assert_eq!(arrival(&pair, 0, 1, 0, 200), Some(10_200));
        assert_eq!(arrival(&pair, 15, 0, 1, 3_000), Some(15_000), "set up already");
        assert_eq!(arrival(&pair, 19, 0, 1, 0), Some(19_000));
        assert_eq!(arrival(&pair, 20, 0, 1, 0), None, "the end is not part of a contact");
        assert_eq!(arrival(&pair, 0, 0, 1, 10_000), None, "over before it is set up");
        assert_eq!(arrival(&pair, 0, 0, 1, 9_999), Some(19_999));
    }

    #[test]
    fn paths_respect_time() {
        let chain = trace(4, &[(0, 5, 1, 2), (7, 9, 0, 1), (20, 25, 1, 2), (22, 30, 2, 3)]);
        assert_eq!(arrival(&chain, 0, 0, 3, 0), Some(22_000));
        assert_eq!(arrival(&chain, 0, 0, 2, 3_000), None, "the first meeting is too short");
        assert_eq!(arrival(&chain, 0, 3, 0, 0), None, "it does not go back in time");
        assert_eq!(arrival(&chain, 8, 0, 3, 0), Some(22_000));
    }

    #[test]
    fn a_chain_of_links_that_stand_is_crossed_in_an_instant() {
        // In the worst order for a search that reads contacts once from first to last.
        let chain = trace(5, &[(0, 9, 3, 4), (1, 9, 2, 3), (2, 9, 1, 2), (3, 9, 0, 1)]);
        assert_eq!(arrival(&chain, 0, 0, 4, 0), Some(3_000));
        assert_eq!(arrival(&chain, 5, 0, 4, 1_000), Some(5_000));
    }

    #[test]
    fn a_later_contact_serves_where_the_first_is_too_short() {
        let pair = trace(3, &[(0, 2, 0, 1), (5, 6, 0, 1), (8, 20, 0, 1), (11, 12, 1, 2)]);
        assert_eq!(arrival(&pair, 0, 0, 1, 2_000), Some(10_000));
        assert_eq!(arrival(&pair, 0, 2, 1, 500), Some(11_500));
    }

    /// The same by brute force: at every tenth of a second everything spreads over all links that stand.
    fn flood(trace: &Trace, letter: &Letter, setup: u32) -> Option<u32> {
        let mut has = vec![false; trace.nodes as usize];
        for tick in letter.created * 10..=trace.length() * 10 {
            has[letter.src as usize] = true;
            if has[letter.dst as usize] {
                return Some(tick);
            }
            let stands = |contact: &&Contact| contact.start * 10 + setup <= tick && tick < contact.end * 10;
            for _ in 0..trace.nodes {
                for contact in trace.contacts.iter().filter(stands) {
                    let (a, b) = (contact.a as usize, contact.b as usize);
                    (has[a], has[b]) = (has[a] || has[b], has[a] || has[b]);
                }
            }
            if has[letter.dst as usize] {
                return Some(tick);
            }
        }
        None
    }

    prop_compose! {
        /// Up to thirty contacts of up to eight nodes, merged so that they are a valid trace.
        fn small_trace()(nodes in 2_u32..8, drawn in prop::collection::vec((0_u32..40, 1_u32..12, 0_u32..8, 1_u32..8), 1..30)) -> Trace {
            let contacts = drawn.into_iter().map(|(start, length, a, step)| {
                let (a, b) = (a % nodes, (a + 1 + step % (nodes - 1)) % nodes);
                Contact { start, end: start + length, a: a.min(b), b: a.max(b) }
            });
            Trace::merged("small", nodes, contacts.collect())
        }
    }

    proptest! {
        #[test]
        fn the_search_finds_what_a_flood_finds(trace in small_trace(), setup in 0_u32..60, pairs in prop::collection::vec((0_u32..40, 0_u32..8, 1_u32..8), 20)) {
            let letters = pairs.into_iter().map(|(created, src, step)| {
                let src = src % trace.nodes;
                Letter { created, src, dst: (src + 1 + step % (trace.nodes - 1)) % trace.nodes, size: 1 }
            });
            let workload = Workload { letters: letters.filter(|letter| letter.src != letter.dst).collect() };
            let found = earliest(&trace, &workload, Duration::from_millis(u64::from(setup) * 100));
            let flooded: Vec<_> = workload.letters.iter().map(|letter| flood(&trace, letter, setup)).collect();
            let expected: Vec<_> = flooded.into_iter().map(|tick| tick.map(|tick| Duration::from_millis(u64::from(tick) * 100))).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
