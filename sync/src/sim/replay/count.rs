//! What crossed the links of a run, and what arrived.

use std::{
    cell::RefCell,
    collections::{HashMap, HashSet},
    rc::Rc,
    time::Duration,
};

use super::super::{NodeId, Observer, What};
use crate::{
    id::MessageId,
    view::{Event, MessageState},
};

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
    /// Of them what had left before, from the same node to the same node: of a bundle that was cut off, what of it is sent again.
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

/// Counts, and notes what arrives.
pub(super) struct Watch {
    pub(super) counts: Counts,
    pub(super) arrivals: Vec<Option<Duration>>,
    /// Bytes of each bundle that have left from one node for another.
    sent: HashMap<(u32, u32, u64), u64>,
    held: HashSet<(u32, u64)>,
    delivered: usize,
}

impl Watch {
    pub(super) fn new(letters: usize) -> Self {
        Self { counts: Counts::default(), arrivals: vec![None; letters], sent: HashMap::new(), held: HashSet::new(), delivered: 0 }
    }

    pub(super) const fn delivered(&self) -> usize {
        self.delivered
    }

    /// A message is whole at its reader, whose id is the letter's number.
    fn note(&mut self, at: Duration, id: MessageId) {
        let [letter, _] = id.0.as_chunks::<8>().0 else { return };
        let place = usize::try_from(u64::from_be_bytes(*letter)).ok().and_then(|letter| self.arrivals.get_mut(letter));
        if let Some(arrival) = place.filter(|arrival| arrival.is_none()) {
            *arrival = Some(at);
            self.delivered += 1;
        }
    }
}

impl Observer for Rc<RefCell<Watch>> {
    fn event(&mut self, at: Duration, _: NodeId, event: &Event) {
        if let Event::Message(message) = event
            && !message.outgoing
            && message.state >= MessageState::Delivered
        {
            self.borrow_mut().note(at, message.id);
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
                let before = watch.sent.entry((from.0 as u32, to.0 as u32, tag)).or_default();
                let again = length.min(*before);
                *before = length.max(*before);
                watch.counts.resent += again;
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
