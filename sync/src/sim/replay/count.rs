//! What crossed the links of a run, and what arrived.

use std::{
    cell::RefCell,
    collections::{HashMap, HashSet},
    rc::Rc,
    time::Duration,
};

use super::super::{NodeId, Observer, What};
use crate::{id::MessageId, view::Event};

/// Sums over all links and nodes of a run.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Counts {
    /// Bytes that left on links, framing included; of a message that was cut off, as many as there was time for.
    pub bytes: u64,
    /// Of them recognition lists and confirmations: the same for everybody.
    pub recognition: u64,
    /// Of them handshakes and everything said about bundles.
    pub control: u64,
    /// Bytes of BUNDLE records.
    pub bundles: u64,
    /// Of them such as were sent before from the same node to the same node.
    pub resent: u64,
    /// BUNDLE records that came in whole.
    pub taken: u64,
    /// Of them such as the node had taken in before, from anybody.
    pub duplicate: u64,
    /// Bundles of others that were let go for lack of room.
    pub evicted: u64,
    /// Most bytes of bundles of others at one node.
    pub store_max: u64,
}

/// What is still to come of a letter.
struct Awaited {
    letter: usize,
    parts: usize,
}

/// Counts, and notes what arrives.
pub(super) struct Watch {
    pub(super) counts: Counts,
    pub(super) arrivals: Vec<Option<Duration>>,
    awaited: HashMap<(usize, u64), Awaited>,
    seen: HashSet<(usize, MessageId)>,
    sent: HashSet<(u32, u32, u64)>,
    held: HashSet<(u32, u64)>,
    delivered: usize,
}

impl Watch {
    pub(super) fn new(letters: usize) -> Self {
        Self {
            counts: Counts::default(),
            arrivals: vec![None; letters],
            awaited: HashMap::new(),
            seen: HashSet::new(),
            sent: HashSet::new(),
            held: HashSet::new(),
            delivered: 0,
        }
    }

    /// Waits for a letter of so many parts at a node.
    pub(super) fn expect(&mut self, letter: usize, reader: u32, parts: usize) {
        self.awaited.insert((reader as usize, letter as u64), Awaited { letter, parts });
    }

    pub(super) const fn delivered(&self) -> usize {
        self.delivered
    }

    fn note(&mut self, at: Duration, node: NodeId, id: MessageId) {
        let [letter, _] = id.0.as_chunks::<8>().0 else { return };
        let letter = u64::from_be_bytes(*letter);
        let Some(awaited) = self.awaited.get_mut(&(node.0, letter)) else { return };
        if !self.seen.insert((node.0, id)) {
            return;
        }
        awaited.parts = awaited.parts.saturating_sub(1);
        if awaited.parts == 0
            && let Some(arrival) = self.arrivals.get_mut(awaited.letter)
        {
            *arrival = Some(at);
            self.delivered += 1;
        }
    }
}

impl Observer for Rc<RefCell<Watch>> {
    fn event(&mut self, at: Duration, node: NodeId, event: &Event) {
        if let Event::Message(message) = event
            && !message.outgoing
        {
            self.borrow_mut().note(at, node, message.id);
        }
    }

    fn crossed(&mut self, _: Duration, [from, to]: [NodeId; 2], what: What, length: usize, _: bool) {
        let mut watch = self.borrow_mut();
        let length = length as u64;
        watch.counts.bytes += length;
        match what {
            What::Recognition => watch.counts.recognition += length,
            What::Handshake | What::Control => watch.counts.control += length,
            What::Bundle { tag, .. } => {
                watch.counts.bundles += length;
                if !watch.sent.insert((from.0 as u32, to.0 as u32, tag)) {
                    watch.counts.resent += length;
                }
            }
        }
    }

    fn arrived(&mut self, _: Duration, [_, to]: [NodeId; 2], what: What) {
        if let What::Bundle { tag, .. } = what {
            let mut watch = self.borrow_mut();
            watch.counts.taken += 1;
            if !watch.held.insert((to.0 as u32, tag)) {
                watch.counts.duplicate += 1;
            }
        }
    }
}
