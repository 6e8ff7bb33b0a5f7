//! What tests of hostile peers and of disasters need: puppets, taps, cuts at a given message, restored backups.

use std::time::Duration;

use hedgerow_transports::LinkId;

use super::{Crossing, Input, NodeId, Role, Session, Sim, Verdict, WireId, build_list};
use crate::store::{Store, memory::MemoryStore};

/// Sees each record that an engine sends, before it is sealed; `false` loses it.
pub(super) type OnTransmit = Box<dyn FnMut(NodeId, LinkId, &[u8]) -> bool>;

impl Sim {
    /// Takes a node's engine off its links: from now on the test speaks for it by [`send_raw`](Self::send_raw) and hears by
    /// [`take_records`](Self::take_records). Sessions that are open stay open; in new ones it is a stranger.
    pub fn possess(&mut self, node: NodeId) {
        self.nodes[node.0].puppet = true;
    }

    /// Adds a node that is nobody's contact and speaks only for the test.
    pub fn stranger(&mut self, name: &str) -> NodeId {
        let (node, _) = self.node(name);
        self.possess(node);
        node
    }

    /// Takes what a puppet was sent.
    pub fn take_records(&mut self, puppet: NodeId) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.nodes[puppet.0].records).into_iter().map(|(_, record)| record).collect()
    }

    /// A puppet recognises nobody, as a stranger does.
    pub(super) fn move_puppet(&mut self, node: NodeId, inputs: Vec<Input>) {
        for input in inputs {
            match input {
                Input::Handshaken { link, .. } => {
                    let list = build_list(std::iter::empty(), &mut self.rng);
                    self.with_session(node, link, |session| session.recognise(&list));
                }
                Input::PeerList { link, .. } => {
                    let verdict = Verdict::unrecognised(&mut self.rng);
                    self.with_session(node, link, |session| session.confirm(verdict));
                }
                Input::Record { link, record } => self.nodes[node.0].records.push((link, record)),
                _ => {}
            }
        }
    }

    /// Shows every record that an engine sends to `passes`, before it is sealed; those for which it says `false` are lost.
    pub fn on_transmit(&mut self, passes: impl FnMut(NodeId, LinkId, &[u8]) -> bool + 'static) {
        self.on_transmit = Some(Box::new(passes));
    }

    /// Lets all records pass again.
    pub fn transmit_all(&mut self) {
        self.on_transmit = None;
    }

    /// Breaks a wire in place of the message after the next `count`, whoever sends it; once.
    pub fn cut_after_messages(&mut self, wire: WireId, count: u64) {
        self.wires[wire.0].cut_before = Some(count.saturating_add(1));
    }

    /// Feeds a node's inputs in batches, gathered for this long, as a driver with much to do does.
    pub fn gather(&mut self, node: NodeId, span: Duration) {
        self.nodes[node.0].gather = Some(span);
    }

    /// The link that a wire is to one of its ends, while it is up.
    pub fn link_of(&self, wire: WireId, node: NodeId) -> Option<LinkId> {
        self.nodes[node.0].wires.iter().find(|(_, other)| **other == wire).map(|(link, _)| *link)
    }

    /// Takes the messages that were put on wires so far, in order.
    pub fn take_crossings(&mut self) -> Vec<Crossing> {
        std::mem::take(&mut self.messages)
    }

    /// How often a node's time-out came.
    pub fn wakes(&self, node: NodeId) -> u64 {
        self.nodes[node.0].wakes
    }

    /// Puts another store into a node, as a backup is restored, and starts it again.
    pub fn restore(&mut self, node: NodeId, backup: &MemoryStore) {
        self.kill(node);
        let store = backup.handle();
        self.nodes[node.0].open = Box::new(move || {
            store.reopen();
            Box::new(store.handle()) as Box<dyn Store>
        });
        self.revive(node);
    }

    /// The role that a node has on a wire.
    pub fn role_of(&self, wire: WireId, node: NodeId) -> Option<Role> {
        let link = self.link_of(wire, node)?;
        self.nodes[node.0].sessions.get(&link).map(Session::role)
    }
}
