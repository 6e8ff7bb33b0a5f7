//! A stranger who is linked to everybody guesses who wrote what: whoever was the first to show it (protocol review, C1).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test: what fails ends it")]

mod common;

use std::{cell::RefCell, collections::BTreeMap, rc::Rc, time::Duration};

use common::{
    MINUTE, SECOND, seed,
    three::{Eve, acquaint, id_of, node_as},
};
use hedgerow_sync::{
    engine::EngineConfig,
    id::{BundleId, ShortId},
    session::ShortIds,
    sim::{Faults, NodeId, Sim},
    store::{Origin, Store, memory::MemoryStore},
    wire::record::{Record, encode_bitmap},
};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

const NODES: usize = 10;
/// Messages of each node; more than an hour apart, as the choice of the first link is kept for an hour.
const EACH: usize = 4;

/// Records to Eve's ears, in order.
type Tap = Rc<RefCell<Vec<(NodeId, Vec<u8>)>>>;

/// The ids of what a node has sealed.
fn own(store: &MemoryStore) -> Vec<BundleId> {
    let mut own = Vec::new();
    store
        .visit_bundles(&mut |row| {
            if matches!(row.origin, Origin::Own(_)) {
                own.push(row.id);
            }
        })
        .unwrap();
    own
}

/// How many writers the stranger names rightly, and of how many.
fn guess(seed: u64, config: &EngineConfig) -> (usize, usize) {
    let mut sim = Sim::new(seed);
    let (reader, _) = node_as(&mut sim, "reader", EngineConfig::default());
    let nodes: Vec<(NodeId, MemoryStore)> = (0..NODES).map(|number| node_as(&mut sim, &format!("node {number}"), config.clone())).collect();
    for (node, _) in &nodes {
        acquaint(&mut sim, reader, *node);
    }
    // A ring with chords: everybody has four neighbours, and Eve.
    for (index, (node, _)) in nodes.iter().enumerate() {
        for step in [1, 3] {
            sim.connect(*node, nodes[(index + step) % NODES].0, Faults::NONE);
        }
    }
    let ears: Vec<Eve> = nodes.iter().map(|(node, _)| Eve::dialled(&mut sim, *node)).collect();
    let listening = |sim: &mut Sim, span: Duration| {
        let end = sim.elapsed() + span;
        while sim.elapsed() < end {
            sim.run_for(2 * SECOND);
            for eve in &ears {
                for record in eve.hear(sim) {
                    if let Record::Offer { batch, ids } = record {
                        eve.say(sim, &Record::Pick { batch, wanted: encode_bitmap(ids.iter().map(|_| false)) });
                    }
                }
            }
        }
    };
    listening(&mut sim, 10 * MINUTE);

    let links: BTreeMap<NodeId, _> = nodes.iter().zip(&ears).map(|((node, _), eve)| (*node, sim.link_of(eve.wire, *node))).collect();
    let tap = Tap::default();
    let sink = Rc::clone(&tap);
    sim.on_transmit(move |node, link, record| {
        if links.get(&node) == Some(&Some(link)) && matches!(record[0], 2 | 5) {
            sink.borrow_mut().push((node, record.to_vec()));
        }
        true
    });
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let mut written: BTreeMap<BundleId, NodeId> = BTreeMap::new();
    for round in 0..EACH {
        for (node, store) in &nodes {
            let before = own(store);
            sim.send(*node, "reader", &format!("round {round}"));
            written.extend(own(store).into_iter().filter(|id| !before.contains(id)).map(|id| (id, *node)));
            listening(&mut sim, Duration::from_secs(u64::from(rng.next_u32() % 60) + 400));
        }
    }
    assert_eq!(written.len(), NODES * EACH);

    let hashes: BTreeMap<NodeId, ShortIds> =
        nodes.iter().zip(&ears).map(|((node, _), eve)| (*node, ShortIds::new(&sim.session_hash(eve.wire, eve.node).unwrap()))).collect();
    let mut first: BTreeMap<BundleId, NodeId> = BTreeMap::new();
    for (node, record) in tap.borrow().iter() {
        let shown: Vec<ShortId> = match Record::decode(record).unwrap() {
            Record::Offer { ids, .. } => ids,
            Record::Bundle { bytes, .. } => vec![hashes[node].short(&id_of(&bytes))],
            _ => Vec::new(),
        };
        for id in written.keys().filter(|id| shown.contains(&hashes[node].short(id))) {
            first.entry(*id).or_insert(*node);
        }
    }
    assert_eq!(first.len(), written.len(), "she sees everything sooner or later");
    let right = first.iter().filter(|(id, node)| written[*id] == **node).count();
    (right, written.len())
}

#[test]
fn sim_the_first_to_show_a_bundle_is_seldom_its_writer() {
    let open = EngineConfig { own_delay: (Duration::ZERO, Duration::ZERO), ..EngineConfig::default() };
    let (with, of) = guess(seed(), &EngineConfig::default());
    let (without, _) = guess(seed(), &open);
    println!("writers named by the first link: {with} of {of} with own bundles held back, {without} without");
    assert!(without * 10 >= of * 9, "without the delay the first to show is the writer: {without} of {of}");
    assert!(with * 100 <= of * 45, "with it, about as often as the stranger is the one link chosen: {with} of {of}");
}
