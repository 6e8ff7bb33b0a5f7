//! Dialling as a transport does it, in a crowd: whom an engine has turned away is left alone for a while, and afterwards dialled once one of the
//! two wants more neighbours (docs/design/007-crowd.md). Without it a wire comes up again whatever the engines say.

use std::time::Duration;

use rand_core::Rng;

use super::{Happening, NodeId, REDIAL_AFTER, Sim, wire::WireId};
use crate::delay::exponential;

/// How long a neighbour rests that had no place for a link, at first; each time in a row it is twice as long (the local network's dialling).
const CROWDED_REST: Duration = Duration::from_secs(60);
/// How long at most, and after a link that was of no use.
const LONGEST_REST: Duration = Duration::from_secs(600);
/// After what time, on average, a neighbour that has rested is thought of again, while nobody is wanted (the local network's dialling).
const THOUGHT_OF_AFTER: Duration = Duration::from_secs(10);

impl Sim {
    /// From now on a wire whose link an engine has ended, for want of a place or of use, comes up again only when a transport would dial.
    #[must_use]
    pub fn dialled_as_wanted(mut self) -> Self {
        self.dials_as_wanted = true;
        self
    }

    /// After what time a wire that has just come down is thought of again.
    pub(super) fn rest(&mut self, wire_id: WireId) -> Duration {
        let wire = &self.wires[wire_id.0];
        let (ends, redial, turned_away) = (wire.ends, wire.faults.redial, wire.turned_away);
        if !self.dials_as_wanted {
            return redial;
        }
        let [crowded, useless] = self.forget_why(ends);
        self.wires[wire_id.0].turned_away = if crowded { turned_away.saturating_add(1) } else { 0 };
        let rest = match (useless, crowded) {
            (true, _) => LONGEST_REST,
            (false, true) => (CROWDED_REST * 2_u32.pow(turned_away.min(8))).min(LONGEST_REST),
            (false, false) => return redial,
        };
        // A quarter more or less, so that a crowd does not come back in step.
        rest.mul_f64(0.75 + f64::from(self.rng.next_u32()) / f64::from(u32::MAX) / 2.0)
    }

    /// Whether one of two ends has no place for the other, or no use: each is said once.
    fn forget_why(&mut self, [a, b]: [usize; 2]) -> [bool; 2] {
        let beacons = [self.nodes[b].beacon, self.nodes[a].beacon];
        let mut why = [false; 2];
        for (node, beacon) in [a, b].into_iter().zip(beacons) {
            why[0] |= self.nodes[node].crowded.remove(&beacon);
            why[1] |= self.nodes[node].useless.remove(&beacon);
        }
        why
    }

    /// Brings a wire up again, if it is to be dialled; else it is thought of again later.
    pub(super) fn redial(&mut self, wire_id: WireId) {
        let wire = &self.wires[wire_id.0];
        if self.dials_as_wanted && wire.turned_away > 0 && wire.wanted && wire.links.is_none() {
            let Some(dialler) = wire.ends.into_iter().find(|end| self.nodes[*end].wanted.is_some_and(|wanted| wanted.neighbours > 0))
            else {
                let later = exponential(THOUGHT_OF_AFTER, &mut self.rng).max(REDIAL_AFTER);
                return self.schedule(self.now + later, Happening::Redial { wire: wire_id });
            };
            self.set_dialler(wire_id, NodeId(dialler));
        }
        self.bring_up(wire_id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::Faults;

    const CROWD: usize = 20;
    const MINUTE: Duration = Duration::from_secs(60);

    /// Everybody in reach of everybody, for a while.
    fn crowd(mut sim: Sim, span: Duration) -> (Sim, Vec<NodeId>) {
        let nodes: Vec<NodeId> = (0..CROWD).map(|number| sim.node(&format!("node {number}")).0).collect();
        for (number, a) in nodes.iter().enumerate() {
            for b in nodes.iter().skip(number + 1) {
                sim.connect(*a, *b, Faults::NONE);
            }
        }
        sim.run_for(span);
        (sim, nodes)
    }

    /// How often two nodes were connected, for each pair on average.
    fn connections(sim: &Sim) -> u64 {
        sim.wires.iter().map(|wire| wire.connection).sum::<u64>() / sim.wires.len() as u64
    }

    fn links(sim: &Sim, node: NodeId) -> usize {
        sim.wires.iter().filter(|wire| wire.links.is_some() && wire.ends.contains(&node.0)).count()
    }

    #[test]
    fn in_a_crowd_who_was_turned_away_is_left_alone() {
        let (sim, nodes) = crowd(Sim::new(1).dialled_as_wanted(), MINUTE);
        assert!(connections(&sim) <= 2, "{} connections a pair", connections(&sim));
        assert!(nodes.iter().all(|node| (3..=12).contains(&links(&sim, *node))), "as many links as there are places for");
        let (careless, _) = crowd(Sim::new(1), MINUTE);
        assert!(connections(&careless) > 10, "{} connections a pair", connections(&careless));
    }

    #[test]
    fn places_that_become_free_are_taken_again() {
        let (mut sim, nodes) = crowd(Sim::new(1).dialled_as_wanted(), MINUTE);
        let (gone, left) = nodes.split_at(CROWD / 2);
        gone.iter().for_each(|node| sim.kill(*node));
        sim.run_for(Duration::from_secs(1_200));
        let links: Vec<usize> = left.iter().map(|node| links(&sim, *node)).collect();
        assert!(links.iter().all(|links| *links >= 3), "{links:?}");
    }
}
