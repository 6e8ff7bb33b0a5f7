//! Somebody who goes along with a run: an observer of its own, and steps between those of the agenda.

use std::{cell::RefCell, rc::Rc, time::Duration};

use super::{
    super::{NodeId, Observer, Sim, Tapped, What, WireId},
    count::Watch,
};
use crate::{store::memory::MemoryStore, view::Event};

/// Goes along with a run. What it is told of, and may do, besides watching.
pub(in crate::sim) trait Companion {
    /// What watches beside whoever counts.
    fn observer(&self) -> Box<dyn Observer>;

    /// Everybody is there, and nothing has happened yet; the stores stand in the order of the nodes.
    fn begin(&mut self, sim: &mut Sim, stores: &[MemoryStore]) {
        let _ = (sim, stores);
    }

    /// A letter of the workload was written, by its place.
    fn written(&mut self, letter: usize) {
        let _ = letter;
    }

    /// Two nodes have come into reach of each other.
    fn met(&mut self, sim: &mut Sim, wire: WireId, between: [NodeId; 2]) {
        let _ = (sim, wire, between);
    }

    /// When it wants to act next. After [`wake`](Self::wake) that has to be later, or never.
    fn due(&self) -> Option<Duration> {
        None
    }

    /// What it was due for.
    fn wake(&mut self, sim: &mut Sim) {
        let _ = sim;
    }
}

/// Nobody.
pub(super) struct Alone;

impl Companion for Alone {
    fn observer(&self) -> Box<dyn Observer> {
        struct Nobody;
        impl Observer for Nobody {}
        Box::new(Nobody)
    }
}

/// Who counts, and who else watches.
pub(super) struct Both(pub(super) Rc<RefCell<Watch>>, pub(super) Box<dyn Observer>);

impl Observer for Both {
    fn event(&mut self, at: Duration, node: NodeId, event: &Event) {
        self.0.event(at, node, event);
        self.1.event(at, node, event);
    }

    fn tapped(&mut self, at: Duration, tapped: &Tapped<'_>) {
        self.1.tapped(at, tapped);
    }

    fn heard(&mut self, at: Duration, between: [NodeId; 2], session: &[u8; 32], record: &[u8]) {
        self.1.heard(at, between, session, record);
    }

    fn crossed(&mut self, at: Duration, between: [NodeId; 2], what: What, length: usize, whole: bool) {
        self.0.crossed(at, between, what, length, whole);
        self.1.crossed(at, between, what, length, whole);
    }

    fn arrived(&mut self, at: Duration, between: [NodeId; 2], what: What) {
        self.0.arrived(at, between, what);
        self.1.arrived(at, between, what);
    }
}
