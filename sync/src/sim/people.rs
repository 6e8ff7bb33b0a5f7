//! Who knows whom, and what each node carries, from the start of a run.

use super::{NodeId, Sim};
use crate::{
    crypto::identity::Name,
    engine::{EngineConfig, Room},
    id::ContactId,
    store::{Store, memory::MemoryStore},
};

impl Sim {
    /// Adds a node with a store in memory and so much room for bundles of others, bytes.
    pub fn carrier(&mut self, name: &str, config: EngineConfig, bytes: u64) -> (NodeId, MemoryStore) {
        let store = self.store();
        let (handle, reopened) = (store.handle(), store.handle());
        let open = Box::new(move || {
            reopened.reopen();
            Box::new(reopened.handle()) as Box<dyn Store>
        });
        let node = self.node_with(name, Box::new(store), open, config);
        self.give_room(node, bytes);
        (node, handle)
    }

    /// Gives a node so much room for bundles of others, bytes; also less than a person may choose.
    #[expect(clippy::expect_used, reason = "a harness: a node that can't be given room ends the run")]
    fn give_room(&mut self, node: NodeId, bytes: u64) {
        let now = self.now_of(node);
        let engine = self.nodes[node.0].engine.as_mut().expect("the node is on");
        engine.begin().expect("the store takes a batch");
        engine.give_room(now, bytes).expect("the store takes a setting");
        engine.commit(now).expect("the store commits");
        self.let_out(node);
    }

    /// Makes two nodes contacts without a link between them; what each calls the other: the number of the second at the first, and of the
    /// first at the second.
    #[expect(clippy::expect_used, reason = "a harness: nodes that can't become contacts end the run")]
    pub fn befriend(&mut self, a: NodeId, b: NodeId, secret: &[u8; 32]) -> [ContactId; 2] {
        let nodes = [a, b];
        let cards = nodes.map(|node| self.nodes[node.0].engine.as_ref().expect("the node is on").card().clone());
        [(0, 1), (1, 0)].map(|(own, other)| {
            let now = self.now_of(nodes[own]);
            let name = Name::new(&format!("node {}", nodes[other].0)).expect("a good name");
            let engine = self.nodes[nodes[own].0].engine.as_mut().expect("the node is on");
            engine.begin().expect("the store takes a batch");
            let contact = engine.befriend(now, &cards[other], &name, secret, own == 0).expect("the store takes a contact");
            engine.commit(now).expect("the store commits");
            self.let_out(nodes[own]);
            contact
        })
    }

    /// What bundles of others take at a node; nothing while it is stopped.
    pub fn room(&self, node: NodeId) -> Room {
        self.nodes[node.0].engine.as_ref().map(crate::engine::Engine::room).unwrap_or_default()
    }
}
