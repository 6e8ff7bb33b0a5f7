//! After any mess the nodes are joined in a ring without faults: all come to hold and to know the same, everything written has arrived, and a
//! further meeting of two finds so for next to nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test: what fails ends it")]

mod common;

use std::{collections::BTreeSet, time::Duration};

use common::{
    HOUR, MINUTE, SECOND, seed,
    three::{Eve, START_HOUR, garbage},
};
use hedgerow_sync::{
    id::{BundleId, ContactId},
    sim::{Faults, NodeId, Sim, WireId},
    store::memory::MemoryStore,
    view::{Answer, Command, Message, MessageState},
    wire::bundle::Lifetime,
};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

const NODES: usize = 8;
/// Bundles that nobody can open.
const GARBAGE: usize = 5;
/// What two that have nothing to tell each other may say for it, bytes of records.
const MEETING: usize = 200;
const MESSY: Faults =
    Faults { rate: 50_000, loss: 0.01, duplicate: 0.01, reorder: 0.01, cut_mean: Some(Duration::from_secs(4)), ..Faults::NONE };

struct World {
    sim: Sim,
    nodes: Vec<(NodeId, MemoryStore)>,
    /// Who knows whom: pairs at the far sides of the ring, and one of neighbours.
    pairs: Vec<([usize; 2], [ContactId; 2])>,
    rng: ChaCha20Rng,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut sim = Sim::new(seed);
        let nodes: Vec<_> = (0..NODES).map(|number| sim.node(&format!("node {number}"))).collect();
        let mut pairs = Vec::new();
        for (one, other) in (0..NODES / 2).map(|one| (one, one + NODES / 2)).chain([(0, 1)]) {
            let mut secret = [0; 32];
            secret[..2].copy_from_slice(&[one as u8, other as u8]);
            pairs.push(([one, other], sim.befriend(nodes[one].0, nodes[other].0, &secret)));
        }
        Self { sim, nodes, pairs, rng: ChaCha20Rng::seed_from_u64(seed) }
    }

    fn draw(&mut self, below: usize) -> usize {
        self.rng.next_u32() as usize % below
    }

    /// Wires that break and damage, crashes of programs and of stores, mail both ways, and bundles of a stranger who is gone afterwards.
    fn mess(&mut self) {
        for number in 0..GARBAGE {
            let eve = Eve::dial(&mut self.sim, self.nodes[number].0);
            eve.hand(&mut self.sim, &[garbage(number as u64, START_HOUR, Lifetime::Week, 1_024)], 0);
            self.sim.cut(eve.wire);
        }
        let first = WireId(GARBAGE);
        for one in 0..NODES {
            for step in [1, 3] {
                self.sim.connect(self.nodes[one].0, self.nodes[(one + step) % NODES].0, MESSY);
            }
        }
        for round in 0..20 {
            for ([one, other], [there, here]) in self.pairs.clone() {
                for (from, to, what) in [(one, there, "there"), (other, here, "here")] {
                    let text = format!("{what} {round}");
                    self.sim.ask(self.nodes[from].0, Command::Send { contact: to.0.to_string(), text, id: None, urgent: false });
                }
            }
            let (stopped, crashed) = (self.draw(NODES), self.draw(NODES));
            let after = 1 + self.draw(40) as u64;
            self.nodes[crashed].1.crash_after_writes(after);
            self.sim.kill(self.nodes[stopped].0);
            let pause = Duration::from_millis(self.draw(20_000) as u64);
            self.sim.run_for(pause);
            self.sim.revive(self.nodes[stopped].0);
            self.sim.run_for(10 * SECOND);
        }
        for wire in 0..2 * NODES {
            self.sim.cut(WireId(first.0 + wire));
        }
    }

    /// Joins all in a ring without faults for so long; its wires are cut in the end.
    fn ring(&mut self, span: Duration) -> Vec<WireId> {
        let next = |one: usize| (one + 1) % NODES;
        let ring: Vec<WireId> = (0..NODES).map(|one| self.sim.connect(self.nodes[one].0, self.nodes[next(one)].0, Faults::NONE)).collect();
        self.sim.run_for(span);
        ring.iter().for_each(|wire| self.sim.cut(*wire));
        self.sim.run_for(SECOND);
        ring
    }

    fn messages(&mut self, node: usize, contact: ContactId) -> Vec<Message> {
        let command = Command::Messages { contact: contact.0.to_string(), since: None, before: None, limit: None, mark_read: false };
        match self.sim.tell(self.nodes[node].0, command) {
            Answer::Messages(messages) => messages,
            other => panic!("{other:?}"),
        }
    }

    /// What each holds.
    fn held(&self) -> Vec<BTreeSet<BundleId>> {
        self.nodes.iter().map(|(_, store)| store.bundle_ids().into_iter().collect()).collect()
    }

    /// Lets two meet for a while; the bytes of their records, before they are sealed.
    fn meeting(&mut self, wire: WireId) -> usize {
        let heard = common::listen(&mut self.sim);
        self.sim.mend(wire);
        self.sim.run_for(20 * SECOND);
        assert!(self.sim.is_up(wire));
        self.sim.cut(wire);
        self.sim.run_for(10 * MINUTE);
        heard.borrow().iter().map(|(_, record)| record.len()).sum()
    }
}

#[test]
fn sim_after_any_mess_a_ring_makes_all_sets_equal_and_a_further_meeting_costs_next_to_nothing() {
    let mut world = World::new(seed());
    world.mess();
    let before = world.held();
    assert!(before.iter().any(|held| *held != before[0]), "the mess leaves differences");
    // Receipts wait for minutes, secrets that tell what was read for hours.
    let ring = world.ring(12 * HOUR);

    for ([one, other], [there, here]) in world.pairs.clone() {
        for (node, contact, peer, back) in [(one, there, other, here), (other, here, one, there)] {
            let sent: Vec<Message> = world.messages(node, contact).into_iter().filter(|message| message.outgoing).collect();
            let got: Vec<String> =
                world.messages(peer, back).into_iter().filter(|message| !message.outgoing).map(|message| message.text).collect();
            let wanted: BTreeSet<&String> = sent.iter().map(|message| &message.text).collect();
            assert!(wanted.len() > 10, "{} were written", wanted.len());
            assert_eq!((got.len(), got.iter().collect::<BTreeSet<_>>()), (wanted.len(), wanted), "each arrives once");
            assert!(sent.iter().all(|message| message.state >= MessageState::Delivered), "and is known to");
        }
    }
    let held = world.held();
    for (node, held_there) in held.iter().enumerate() {
        assert_eq!(held_there, &held[0], "node {node} holds what the first one does");
    }
    assert_eq!(held[0].len(), GARBAGE, "what a stranger brought is there, and mail that was read is not");
    // The first wire joins contacts, the others strangers. Now and then two begin a comparison with more than they need: the middle one of three.
    for wire in ring {
        let mut bytes = [0; 3].map(|_| world.meeting(wire));
        bytes.sort_unstable();
        assert!(bytes[1] <= MEETING, "{bytes:?} bytes for nothing on {wire:?}");
    }
}
