//! What tests of hostile peers and of disasters need: puppets, taps, cuts at a given message, restored backups.

use std::time::Duration;

use hedgerow_transports::{BeaconId, LinkId, Wanted};

use super::{Crossing, Engine, EngineConfig, Faults, Happening, Input, NodeId, Role, Session, Sim, Verdict, What, WireId, build_list};
use crate::{
    session::ShortIds,
    store::{Store, memory::MemoryStore},
    wire::{
        bundle::Bundle,
        record::{Record, Refusal},
    },
};

/// Sees each record that an engine sends, before it is sealed; `false` loses it.
pub(super) type OnTransmit = Box<dyn FnMut(NodeId, LinkId, &[u8]) -> bool>;

impl Sim {
    /// Takes a node's engine off its links: from now on the test speaks for it by [`send_raw`](Self::send_raw) and hears by
    /// [`take_records`](Self::take_records). Sessions that are open stay open; in new ones it is a stranger.
    pub fn possess(&mut self, node: NodeId) {
        self.nodes[node.0].puppet = true;
        self.distrust(node);
    }

    /// Adds a node that is nobody's contact and speaks only for the test.
    pub fn stranger(&mut self, name: &str) -> NodeId {
        let (node, _) = self.node(name);
        self.possess(node);
        node
    }

    /// Adds a node that says nothing after its handshakes, not even whom it recognises.
    pub fn mute_stranger(&mut self, name: &str) -> NodeId {
        let node = self.stranger(name);
        self.nodes[node.0].mute = true;
        node
    }

    /// Gives a puppet's place back to its engine; best while the node is stopped.
    pub fn release(&mut self, node: NodeId) {
        self.nodes[node.0].puppet = false;
        self.nodes[node.0].hostile = None;
    }

    /// Lets a wire stay down once it breaks.
    pub fn keep_down(&mut self, wire: WireId) {
        self.wires[wire.0].wanted = false;
    }

    /// Changes what a wire is like from now on.
    pub fn set_faults(&mut self, wire: WireId, faults: Faults) {
        self.wires[wire.0].faults = faults;
    }

    /// Lets a puppet refuse, for lack of room, every bundle that its wire's other end has sent on this connection.
    pub fn refuse_all(&mut self, wire: WireId, puppet: NodeId) {
        let sent = std::mem::take(&mut self.nodes[puppet.0].in_hand);
        let Some(info) = self.link_of(wire, puppet).and_then(|link| self.nodes[puppet.0].infos.get(&link)) else { return };
        let shorts = ShortIds::new(&info.hash);
        let refusals = sent.iter().map(|id| (shorts.short(id), Refusal::Room)).collect();
        self.send_raw(wire, puppet, &Record::Refused(refusals).encode());
    }

    /// Lets a puppet say that it has stored every bundle that its wire's other end has sent on this connection; how many those are.
    pub fn stored_all(&mut self, wire: WireId, puppet: NodeId) -> usize {
        let sent = std::mem::take(&mut self.nodes[puppet.0].in_hand);
        let Some(info) = self.link_of(wire, puppet).and_then(|link| self.nodes[puppet.0].infos.get(&link)) else { return 0 };
        let shorts = ShortIds::new(&info.hash);
        let ids: Vec<_> = sent.iter().map(|id| shorts.short(id)).collect();
        let count = ids.len();
        self.send_raw(wire, puppet, &Record::Stored(ids).encode());
        count
    }

    /// The pair epoch that a node's recognition lists use for its first contact.
    pub fn pair_epoch(&self, node: NodeId) -> Option<u32> {
        self.nodes[node.0].engine.as_ref().and_then(Engine::first_pair_epoch)
    }

    /// Takes what a puppet was sent.
    pub fn take_records(&mut self, puppet: NodeId) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.nodes[puppet.0].records).into_iter().map(|(_, record)| record).collect()
    }

    /// Takes what a puppet was sent on one wire, since it last came up.
    pub(super) fn take_records_on(&mut self, wire: WireId, puppet: NodeId) -> Vec<Vec<u8>> {
        let Some(link) = self.link_of(wire, puppet) else { return Vec::new() };
        let here = self.nodes[puppet.0].records.extract_if(.., |(on, _)| *on == link);
        here.map(|(_, record)| record).collect()
    }

    /// A puppet recognises nobody, as a stranger does.
    pub(super) fn move_puppet(&mut self, node: NodeId, inputs: Vec<Input>) {
        if self.nodes[node.0].hostile.is_some() {
            return self.act_hostile(node, inputs);
        }
        for input in inputs {
            match input {
                _ if self.nodes[node.0].mute => {}
                Input::Handshaken { link, .. } => {
                    let list = build_list(std::iter::empty(), &mut self.rng);
                    self.with_session(node, link, What::Recognition, |session| session.recognise(&list));
                }
                Input::PeerList { link, .. } => {
                    let verdict = Verdict::unrecognised(&mut self.rng);
                    self.with_session(node, link, What::Recognition, |session| session.confirm(verdict));
                }
                Input::Record { link, record } => {
                    if let Ok(Record::Bundle { bytes, .. }) = Record::decode(&record) {
                        self.nodes[node.0].in_hand.extend(Bundle::decode(bytes).map(|bundle| bundle.id()));
                    }
                    self.nodes[node.0].records.push((link, record));
                }
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

    /// The hash of the session that a wire is to one of its ends, once its handshake is done.
    pub fn session_hash(&self, wire: WireId, node: NodeId) -> Option<[u8; 32]> {
        let link = self.link_of(wire, node)?;
        self.nodes[node.0].infos.get(&link).map(|info| info.hash)
    }

    /// How much virtual time has passed.
    pub fn elapsed(&self) -> Duration {
        self.now
    }

    /// Takes the messages that were put on wires since the last call, in order. They are kept from the first call on.
    pub fn take_crossings(&mut self) -> Vec<Crossing> {
        self.crossings.replace(Vec::new()).unwrap_or_default()
    }

    /// A node's beacon.
    pub fn beacon(&self, node: NodeId) -> BeaconId {
        self.nodes[node.0].beacon
    }

    /// Whether a node's transport was told not to dial this beacon.
    pub fn is_linked(&self, node: NodeId, beacon: BeaconId) -> bool {
        self.nodes[node.0].linked.contains(&beacon)
    }

    /// Whom a node's transport was last told to dial.
    pub fn wanted(&self, node: NodeId) -> Option<Wanted> {
        self.nodes[node.0].wanted
    }

    /// Whether a node's transport was told that there is no place for a link to this beacon.
    pub fn is_crowded(&self, node: NodeId, beacon: BeaconId) -> bool {
        self.nodes[node.0].crowded.contains(&beacon)
    }

    /// Whether a node's transport was told that a link to this beacon was of no use, and not that it may look anew.
    pub fn is_useless(&self, node: NodeId, beacon: BeaconId) -> bool {
        self.nodes[node.0].useless.contains(&beacon)
    }

    /// How often a node's time-out came.
    pub fn wakes(&self, node: NodeId) -> u64 {
        self.nodes[node.0].wakes
    }

    /// Adds a node with a profile that is in a store already; it works on a copy, whose handle is returned.
    pub fn node_over(&mut self, store: &MemoryStore, config: EngineConfig) -> (NodeId, MemoryStore) {
        let copy = store.clone();
        let (handle, opened) = (copy.handle(), copy);
        let open = Box::new(move || {
            opened.reopen();
            Box::new(opened.handle()) as Box<dyn Store>
        });
        (self.add_node(open, config), handle)
    }

    /// Breaks a wire once, at this time after the start, unless it has broken before.
    pub fn cut_at(&mut self, wire: WireId, at: Duration) {
        let connection = self.wires[wire.0].connection;
        self.schedule(at.max(self.now), Happening::Break { wire, connection });
    }

    /// Puts another store into a node, as a backup is restored, and starts it again.
    pub fn restore(&mut self, node: NodeId, backup: &MemoryStore) {
        self.kill(node);
        self.expect_other_store(node);
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
