//! Ann and Carol are contacts and never meet; Bob is a stranger to both and meets them in turn. And Eve, a stranger who speaks as a test
//! wants, and honestly where it does not care.

use hedgerow_sync::{
    crypto::bundle_seal::commitment,
    engine::EngineConfig,
    id::{BeaconId, BundleId, ShortId},
    reconcile::{Finding, ItemSet, Reconciler, SessionView},
    session::ShortIds,
    sim::{Faults, NodeId, Sim, WireId},
    store::{GoneReason, Setting, Store, memory::MemoryStore},
    time::Hour,
    view::{Message, MessageState},
    wire::{
        bundle::{Bundle, BundleHeader, Class, Lifetime},
        record::{Hello, Record, Refusal, encode_bitmap},
    },
};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

use super::{Duration, HOUR, MINUTE, SECOND};

/// The hour in which a simulation starts.
pub(crate) const START_HOUR: u32 = 498_702;

/// Two contacts that never meet, and a stranger between them.
pub(crate) struct Three {
    pub(crate) sim: Sim,
    pub(crate) ann: NodeId,
    pub(crate) bob: NodeId,
    pub(crate) carol: NodeId,
    pub(crate) ann_store: MemoryStore,
    pub(crate) bob_store: MemoryStore,
    pub(crate) carol_store: MemoryStore,
    /// Between Ann, who dials, and Bob.
    pub(crate) near: WireId,
    /// Between Carol, who dials, and Bob.
    pub(crate) far: WireId,
}

/// Adds a node with its own settings.
pub(crate) fn node_as(sim: &mut Sim, name: &str, config: EngineConfig) -> (NodeId, MemoryStore) {
    let store = sim.store();
    let (handle, reopened) = (store.handle(), store.handle());
    let open = move || {
        reopened.reopen();
        Box::new(reopened.handle()) as Box<dyn Store>
    };
    (sim.node_with(name, Box::new(store), Box::new(open), config), handle)
}

/// Lets a node that was just made give so much space to bundles of others.
pub(crate) fn give_space(sim: &mut Sim, node: NodeId, store: &MemoryStore, bytes: u64) {
    sim.kill(node);
    let policy = [&[1, 0, 1, 0][..], &bytes.to_be_bytes(), &[0; 16]].concat();
    let mut store = store.handle();
    store.reopen();
    store.begin().unwrap();
    store.save_setting(Setting::Policy, &policy).unwrap();
    store.commit().unwrap();
    sim.revive(node);
}

/// Makes two nodes contacts over a wire that is cut for good once nothing of the exchange is left.
pub(crate) fn acquaint(sim: &mut Sim, one: NodeId, other: NodeId) {
    sim.introduce(one, other);
    let wire = sim.connect(one, other, Faults::NONE);
    sim.run_for(MINUTE);
    assert!(super::in_reach_any(sim, one) && super::in_reach_any(sim, other), "they know each other");
    sim.cut(wire);
    // What was sealed meanwhile is not new any more.
    sim.run_for(2 * HOUR);
}

impl Three {
    pub(crate) fn new(seed: u64) -> Self {
        Self::with(seed, &EngineConfig::default(), EngineConfig::default())
    }

    /// With settings for the two ends, and for Bob.
    pub(crate) fn with(seed: u64, ends: &EngineConfig, between: EngineConfig) -> Self {
        let mut sim = Sim::new(seed);
        let (ann, ann_store) = node_as(&mut sim, "ann", ends.clone());
        let (carol, carol_store) = node_as(&mut sim, "carol", ends.clone());
        acquaint(&mut sim, ann, carol);
        let (bob, bob_store) = node_as(&mut sim, "bob", between);
        let near = sim.connect(ann, bob, Faults::NONE);
        sim.cut(near);
        let far = sim.connect(carol, bob, Faults::NONE);
        sim.cut(far);
        Self { sim, ann, bob, carol, ann_store, bob_store, carol_store, near, far }
    }

    /// The hour it is.
    pub(crate) fn hour(&self) -> u32 {
        START_HOUR + (self.sim.elapsed().as_secs() / 3600) as u32
    }

    /// Bob meets one of the two for a while; at the end he is alone.
    pub(crate) fn meet(&mut self, wire: WireId, span: Duration) {
        self.sim.cut(if wire == self.near { self.far } else { self.near });
        self.sim.mend(wire);
        self.sim.run_for(span);
        assert!(self.sim.is_up(wire), "the meeting lasts");
        self.sim.cut(wire);
    }

    /// Bob goes to and fro: each end has what was written before, and then its receipts.
    pub(crate) fn round(&mut self) {
        self.meet(self.near, 5 * SECOND);
        self.meet(self.far, 5 * SECOND);
        // Receipts through carriers wait up to five minutes.
        self.sim.run_for(6 * MINUTE);
        self.meet(self.near, 5 * SECOND);
        self.meet(self.far, 5 * SECOND);
        self.meet(self.near, 5 * SECOND);
    }

    /// Writes `count` messages named by their sender and number.
    pub(crate) fn write(&mut self, from: NodeId, count: usize) {
        let (name, to) = self.name_and_other(from);
        for number in 0..count {
            self.sim.send(from, to, &format!("{name} {number}"));
        }
    }

    fn name_and_other(&self, from: NodeId) -> (&'static str, &'static str) {
        if from == self.ann { ("ann", "carol") } else { ("carol", "ann") }
    }

    /// What one of the two wrote to the other.
    pub(crate) fn sent(&mut self, from: NodeId) -> Vec<Message> {
        let (_, to) = self.name_and_other(from);
        self.sim.messages(from, to).into_iter().filter(|message| message.outgoing).collect()
    }

    /// What one of the two has got from the other, in order.
    pub(crate) fn got(&mut self, by: NodeId) -> Vec<String> {
        let (_, from) = self.name_and_other(by);
        super::texts(&mut self.sim, by, from)
    }

    /// The one message that one of the two wrote.
    pub(crate) fn only(&mut self, from: NodeId) -> Message {
        let sent = self.sent(from);
        assert_eq!(sent.len(), 1);
        sent[0].clone()
    }

    /// Says that all messages that one of the two wrote are at the other, once, in order, and known to be.
    pub(crate) fn expect_all(&mut self, from: NodeId, count: usize) {
        let (name, _) = self.name_and_other(from);
        let wanted: Vec<String> = (0..count).map(|number| format!("{name} {number}")).collect();
        let other = if from == self.ann { self.carol } else { self.ann };
        let got = self.got(other);
        assert_eq!(got.len(), count, "arrived from {name}");
        assert_eq!(got, wanted, "order of what came from {name}");
        let late = self.sent(from).into_iter().filter(|message| message.state < MessageState::Delivered).count();
        assert_eq!(late, 0, "of {name} are not known to be delivered");
    }
}

/// The bundles that a store holds, with their bytes, in order of arrival.
pub(crate) fn held(store: &MemoryStore) -> Vec<(BundleId, Vec<u8>)> {
    let mut ids = Vec::new();
    store.visit_bundles(&mut |row| ids.push(row.id)).unwrap();
    ids.into_iter().map(|id| (id, store.load_bundle(&id).unwrap().unwrap())).collect()
}

/// The ids that a store remembers for this reason.
pub(crate) fn gone(store: &MemoryStore, reason: GoneReason) -> Vec<BundleId> {
    store.load_gone().unwrap().into_iter().filter(|row| row.reason == reason).map(|row| row.id).collect()
}

/// A bundle that nobody can open: told from others by its number, random otherwise.
pub(crate) fn garbage(number: u64, created: u32, lifetime: Lifetime, size: usize) -> Vec<u8> {
    let mut rng = ChaCha20Rng::seed_from_u64(number);
    let mut bytes = vec![0; size];
    rng.fill_bytes(&mut bytes);
    let [mut tag, mut commitment] = [[0; 16]; 2];
    rng.fill_bytes(&mut tag);
    rng.fill_bytes(&mut commitment);
    let header = BundleHeader {
        class: Class::Normal,
        lifetime,
        created: Hour(created),
        tag: hedgerow_sync::id::Tag(tag),
        commitment: hedgerow_sync::id::Commitment(commitment),
    };
    bytes[..48].copy_from_slice(&header.encode());
    bytes
}

/// A bundle that nobody can read, let go by the ack that shows this secret.
pub(crate) fn acked_by(secret: &[u8; 16], number: u64, created: u32) -> Vec<u8> {
    let mut bytes = garbage(number, created, Lifetime::Fortnight, 512);
    bytes[24..40].copy_from_slice(&commitment(secret).0);
    bytes
}

/// The record that hands a bundle over.
pub(crate) fn handing(bytes: &[u8], age: u16) -> Vec<u8> {
    Record::Bundle { age, copies: 255, bytes: bytes.to_vec() }.encode()
}

/// The id of a bundle.
pub(crate) fn id_of(bytes: &[u8]) -> BundleId {
    Bundle::decode(bytes.to_vec()).unwrap().id()
}

/// What a stranger hears on a handed bundle.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Heard {
    Stored,
    Refused(Refusal),
    Nothing,
}

/// A stranger with a session of her own, for whom a test speaks.
pub(crate) struct Eve {
    pub(crate) node: NodeId,
    pub(crate) wire: WireId,
    shorts: ShortIds,
    next_offer: u16,
}

impl Eve {
    /// A new stranger who dials a node, past HELLO. She says that she carries, and the right hour.
    pub(crate) fn dial(sim: &mut Sim, node: NodeId) -> Self {
        let eve = sim.stranger("eve");
        let wire = sim.connect(eve, node, Faults::NONE);
        Self::greet(sim, eve, wire)
    }

    /// A new stranger whom a node dials.
    pub(crate) fn dialled(sim: &mut Sim, node: NodeId) -> Self {
        let eve = sim.stranger("eve");
        let wire = sim.connect(node, eve, Faults::NONE);
        Self::greet(sim, eve, wire)
    }

    /// The same device comes again on its wire: a new session, of which nobody can tell that it is hers.
    pub(crate) fn come_again(&mut self, sim: &mut Sim) {
        sim.cut(self.wire);
        sim.mend(self.wire);
        *self = Self::greet(sim, self.node, self.wire);
    }

    /// A node that is a puppet already says HELLO on a wire that has just come up.
    pub(crate) fn over(sim: &mut Sim, eve: NodeId, wire: WireId) -> Self {
        sim.take_records(eve);
        Self::greet(sim, eve, wire)
    }

    fn greet(sim: &mut Sim, eve: NodeId, wire: WireId) -> Self {
        sim.keep_down(wire);
        sim.run_for(SECOND / 10);
        let hash = sim.session_hash(wire, eve).expect("the session is open");
        let mut beacon = [0; 8];
        beacon.copy_from_slice(&hash[..8]);
        let hour = Hour(START_HOUR + (sim.elapsed().as_secs() / 3600) as u32);
        let hello = Hello { beacon: BeaconId(beacon), hour, window: 1_048_576, carries: true };
        sim.send_raw(wire, eve, &Record::Hello(hello).encode());
        sim.run_for(SECOND / 10);
        Self { node: eve, wire, shorts: ShortIds::new(&hash), next_offer: 0 }
    }

    pub(crate) fn say(&self, sim: &mut Sim, record: &Record) {
        sim.send_raw(self.wire, self.node, &record.encode());
    }

    pub(crate) fn is_there(&self, sim: &Sim) -> bool {
        sim.is_up(self.wire)
    }

    pub(crate) fn short(&self, id: &BundleId) -> ShortId {
        self.shorts.short(id)
    }

    /// What she was sent since she last looked; she says that she lives.
    pub(crate) fn hear(&self, sim: &mut Sim) -> Vec<Record> {
        let records: Vec<Record> = sim.take_records(self.node).iter().map(|record| Record::decode(record).unwrap()).collect();
        for _ in records.iter().filter(|record| **record == Record::Ping) {
            self.say(sim, &Record::Pong);
        }
        records
    }

    /// Hands bundles over, and hears what becomes of each.
    pub(crate) fn hand(&self, sim: &mut Sim, bundles: &[Vec<u8>], age: u16) -> Vec<Heard> {
        self.hear(sim);
        for bytes in bundles {
            sim.send_raw(self.wire, self.node, &handing(bytes, age));
        }
        // 1 MB/s, and answers may come a batch later.
        sim.run_for(SECOND + Duration::from_micros(bundles.iter().map(|bytes| bytes.len() as u64 * 2).sum()));
        let (mut stored, mut refused) = (Vec::new(), Vec::new());
        for record in self.hear(sim) {
            match record {
                Record::Stored(ids) => stored.extend(ids),
                Record::Refused(ids) => refused.extend(ids),
                _ => {}
            }
        }
        let heard = |bytes: &Vec<u8>| {
            let short = self.short(&id_of(bytes));
            match refused.iter().find(|(id, _)| *id == short) {
                Some((_, why)) => Heard::Refused(*why),
                None if stored.contains(&short) => Heard::Stored,
                None => Heard::Nothing,
            }
        };
        bundles.iter().map(heard).collect()
    }

    /// Offers ids; which of them are wanted.
    pub(crate) fn offer(&mut self, sim: &mut Sim, ids: &[BundleId]) -> Vec<bool> {
        self.hear(sim);
        let batch = self.next_offer;
        self.next_offer += 1;
        self.say(sim, &Record::Offer { batch, ids: ids.iter().map(|id| self.short(id)).collect() });
        // An offer waits up to two seconds for what other links owe.
        sim.run_for(3 * SECOND);
        let picks = self.hear(sim).into_iter().find_map(|record| match record {
            Record::Pick { batch: of, wanted } if of == batch => Some(wanted),
            _ => None,
        });
        let picks = picks.expect("every offer is answered");
        (0..ids.len()).map(|index| hedgerow_sync::wire::record::bitmap_bit(&picks, index)).collect()
    }

    /// Takes whatever a node would give to a stranger within `span`, and says STORED: the bundles.
    ///
    /// Compares sets as an empty node does, picks everything, keeps nothing.
    pub(crate) fn collect(&self, sim: &mut Sim, span: Duration) -> Vec<Vec<u8>> {
        let hash = sim.session_hash(self.wire, self.node).expect("the session is open");
        let initiator = sim.role_of(self.wire, self.node) == Some(hedgerow_sync::session::Role::Initiator);
        let mut reconciler = Reconciler::new(hash, initiator, SessionView { cut: Hour(0), empty: false });
        let set = ItemSet::new();
        reconciler.start(&set, &mut ChaCha20Rng::seed_from_u64(7));
        let mut bundles = Vec::new();
        let end = sim.elapsed() + span;
        loop {
            while let Some(body) = reconciler.poll_record() {
                self.say(sim, &Record::Ranges(body));
            }
            for record in self.hear(sim) {
                match record {
                    Record::Ranges(body) => {
                        let findings = reconciler.handle_ranges(&body, &set).unwrap();
                        let wanted: Vec<ShortId> = findings
                            .into_iter()
                            .filter_map(|finding| if let Finding::Want(short) = finding { Some(short) } else { None })
                            .collect();
                        for ids in wanted.chunks(256) {
                            self.say(sim, &Record::Want(ids.to_vec()));
                        }
                    }
                    Record::Offer { batch, ids } => {
                        self.say(sim, &Record::Pick { batch, wanted: encode_bitmap(ids.iter().map(|_| true)) });
                    }
                    Record::Bundle { bytes, .. } => {
                        self.say(sim, &Record::Stored(vec![self.short(&id_of(&bytes))]));
                        bundles.push(bytes);
                    }
                    _ => {}
                }
            }
            if sim.elapsed() >= end {
                return bundles;
            }
            sim.run_for(SECOND / 20);
        }
    }
}
