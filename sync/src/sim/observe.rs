//! Watching a run: what crosses the wires, and what people are told.

use std::time::Duration;

use hedgerow_transports::LinkId;

use super::{NodeId, Sim, WireId};
use crate::{engine::Input, view::Event};

/// Type byte of a BUNDLE record (docs/protocol.md, section 4), and where in it the bundle's tag begins: after type, age and copies, eight
/// bytes into the bundle's header.
const BUNDLE_RECORD: u8 = 0x05;
const TAG_AT: usize = 12;

/// What a session message on a wire is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum What {
    /// Part of the handshake.
    Handshake,
    /// A recognition list or a confirmation: the same length for everyone, whatever happened.
    Recognition,
    /// A record that says something about bundles: anything but a bundle.
    Control,
    /// A bundle, by the first half of its one-time tag, and its length without the record's framing.
    Bundle {
        /// Tells bundles of a run apart.
        tag: u64,
        /// Bytes.
        length: u16,
    },
}

impl What {
    /// What a record is, by its first bytes.
    pub fn of_record(record: &[u8]) -> Self {
        match (record.first(), record.get(TAG_AT..TAG_AT + 8).and_then(|tag| tag.try_into().ok())) {
            (Some(&BUNDLE_RECORD), Some(tag)) => Self::Bundle { tag: u64::from_be_bytes(tag), length: (record.len() - TAG_AT + 8) as u16 },
            _ => Self::Control,
        }
    }
}

/// A message of a session as it is put on a wire: with `what` left aside, all that a listener on that wire has.
#[derive(Clone, Copy, Debug)]
pub struct Tapped<'a> {
    /// Where.
    pub wire: WireId,
    /// Which connection of this wire, counted from 1.
    pub connection: u64,
    /// Who sends.
    pub from: NodeId,
    /// To whom.
    pub to: NodeId,
    /// Whether the sender has dialled.
    pub dialled: bool,
    /// What it is.
    pub what: What,
    /// The message, sealed, without framing.
    pub message: &'a [u8],
}

/// Is told of a run as it goes on. Nothing it does may change the run.
pub trait Observer {
    /// A node tells its person something; it is not kept for [`Sim::take_events`].
    fn event(&mut self, at: Duration, node: NodeId, event: &Event) {
        let _ = (at, node, event);
    }

    /// A message is put on a wire.
    fn tapped(&mut self, at: Duration, tapped: &Tapped<'_>) {
        let _ = (at, tapped);
    }

    /// A node has opened a record that came from another in the session of this handshake hash.
    fn heard(&mut self, at: Duration, [from, to]: [NodeId; 2], session: &[u8; 32], record: &[u8]) {
        let _ = (at, from, to, session, record);
    }

    /// Bytes of a message have left `from` for `to`, with framing; all of them if it is `whole`, as many as there was time for if the wire broke.
    fn crossed(&mut self, at: Duration, [from, to]: [NodeId; 2], what: What, length: usize, whole: bool) {
        let _ = (at, from, to, what, length, whole);
    }

    /// A node has taken in a record that came from another.
    fn arrived(&mut self, at: Duration, [from, to]: [NodeId; 2], what: What) {
        let _ = (at, from, to, what);
    }
}

impl Sim {
    /// Lets somebody watch from now on.
    pub fn observe(&mut self, observer: impl Observer + 'static) {
        self.observer = Some(Box::new(observer));
    }

    /// The oldest message on a wire has crossed it.
    pub(super) fn note_crossed(&mut self, wire: WireId) {
        let Some(observer) = &mut self.observer else { return };
        let state = &mut self.wires[wire.0];
        // The two directions are queued together: those that have left are told, whichever comes first.
        while state.queue.front().is_some_and(|queued| queued.sent <= self.now)
            && let Some(queued) = state.queue.pop_front()
        {
            let [first, second] = state.ends.map(NodeId);
            let between = if queued.to == 0 { [second, first] } else { [first, second] };
            observer.crossed(self.now, between, queued.what, queued.length, true);
        }
    }

    /// A wire has broken: what is still under way has left as far as there was time.
    pub(super) fn note_torn(&mut self, wire: WireId) {
        let Some(observer) = &mut self.observer else { return };
        let state = &mut self.wires[wire.0];
        let [first, second] = state.ends.map(NodeId);
        while let Some(queued) = state.queue.pop_front() {
            let missing = (queued.sent.saturating_sub(self.now).as_secs_f64() * f64::from(state.faults.rate)).ceil() as usize;
            let between = if queued.to == 0 { [second, first] } else { [first, second] };
            let length = queued.length.saturating_sub(missing);
            if length > 0 {
                observer.crossed(self.now, between, queued.what, length, missing == 0);
            }
        }
    }

    /// Records have come in at a node.
    pub(super) fn observe_inputs(&mut self, node: NodeId, link: LinkId, inputs: &[Input]) {
        let Some(observer) = &mut self.observer else { return };
        let Some(wire) = self.nodes[node.0].wires.get(&link) else { return };
        let ends = self.wires[wire.0].ends;
        let other = if ends[0] == node.0 { ends[1] } else { ends[0] };
        let session = self.nodes[node.0].infos.get(&link).map(|info| info.hash);
        for input in inputs {
            if let Input::Record { record, .. } = input {
                observer.arrived(self.now, [NodeId(other), node], What::of_record(record));
                if let Some(session) = &session {
                    observer.heard(self.now, [NodeId(other), node], session, record);
                }
            }
        }
    }
}
