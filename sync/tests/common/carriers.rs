//! Nodes that carry from the start: their stores are filled before they open them.

use hedgerow_sync::{
    engine::EngineConfig,
    id::{Commitment, Tag},
    sim::{NodeId, START_MILLIS, Sim},
    store::{BundleRow, Origin, Store, memory::MemoryStore},
    time::Hour,
    wire::{
        bundle::{Bundle, BundleHeader, Class, Lifetime},
        record::COPIES_UNLIMITED,
    },
};
use rand_chacha::ChaCha20Rng;
use rand_core::Rng;

/// The hour in which a simulation starts.
pub(crate) const START: Hour = Hour((START_MILLIS / 3_600_000) as u32);

/// A bundle of 512 bytes that nobody can open, of the last `hours`; it lives for a fortnight.
pub(crate) fn bundle(rng: &mut ChaCha20Rng, hours: u32) -> Bundle {
    let mut bytes = vec![0; 512];
    rng.fill_bytes(&mut bytes);
    let (mut tag, mut commitment) = ([0; 16], [0; 16]);
    rng.fill_bytes(&mut tag);
    rng.fill_bytes(&mut commitment);
    let created = Hour(START.0 - rng.next_u32() % hours);
    let (tag, commitment) = (Tag(tag), Commitment(commitment));
    let header = BundleHeader { class: Class::Normal, lifetime: Lifetime::Fortnight, created, tag, commitment };
    bytes[..48].copy_from_slice(&header.encode());
    Bundle::decode(bytes).unwrap()
}

/// A new node that carries these, and may take from strangers as much as they have.
pub(crate) fn carrier<'a>(sim: &mut Sim, name: &str, bundles: impl Iterator<Item = &'a Bundle>) -> (NodeId, MemoryStore) {
    let config = EngineConfig { stranger_bytes_a_day: 1 << 40, ..EngineConfig::default() };
    let (node, store) = super::three::node_as(sim, name, config);
    load(sim, node, &store, bundles);
    (node, store)
}

/// Gives a node bundles that it has carried for strangers, as if it had always had them.
pub(crate) fn load<'a>(sim: &mut Sim, node: NodeId, store: &MemoryStore, bundles: impl Iterator<Item = &'a Bundle>) {
    sim.kill(node);
    let mut store = store.handle();
    store.reopen();
    store.begin().unwrap();
    for bundle in bundles {
        let header = bundle.header();
        let row = BundleRow {
            id: bundle.id(),
            sequence: 0,
            size: bundle.bytes().len() as u16,
            class: header.class,
            lifetime: header.lifetime,
            created: header.created,
            tag: header.tag,
            commitment: header.commitment,
            origin: Origin::StrangerOutbound,
            age: 0,
            stored: START,
            forwarded: 0,
            copies: COPIES_UNLIMITED,
        };
        store.insert_bundle(&row, bundle.bytes()).unwrap();
    }
    store.commit().unwrap();
    sim.revive(node);
}
