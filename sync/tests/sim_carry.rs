//! Mail between two who never meet, by way of others: what arrives, what it costs, what is said of it, and when it is let go.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test: what fails ends it")]

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::{
    DAY, HOUR, MINUTE, SECOND, listen, seed,
    three::{Three, acquaint, gone, held, node_as},
};
use hedgerow_sync::{
    engine::EngineConfig,
    id::BundleId,
    sim::{Faults, NodeId, Sim, WireId},
    store::{GoneReason, Origin, Setting, Store, memory::MemoryStore},
    view::{Command, MessageState},
};

const OFFER: u8 = 0x02;
const BUNDLE: u8 = 0x05;
const ACK: u8 = 0x08;

#[test]
fn sim_a_hundred_messages_each_way_cross_a_stranger_once_and_in_order() {
    let mut three = Three::new(seed());
    let [ann, carol] = [three.ann, three.carol];
    three.write(ann, 100);
    three.write(carol, 100);
    three.round();
    three.round();
    three.expect_all(ann, 100);
    three.expect_all(carol, 100);
}

#[test]
fn sim_messages_written_between_meetings_cross_in_order_on_lossy_wires() {
    let mut three = Three::new(seed());
    let faults = Faults { loss: 0.01, duplicate: 0.01, reorder: 0.01, cut_mean: Some(3 * SECOND), ..Faults::NONE };
    three.sim.set_faults(three.near, faults);
    three.sim.set_faults(three.far, faults);
    for number in 0..20 {
        for (from, to, name) in [(three.ann, "carol", "ann"), (three.carol, "ann", "carol")] {
            three.sim.send(from, to, &format!("{name} {number}"));
        }
        for wire in [three.near, three.far] {
            three.sim.mend(wire);
            three.sim.run_for(15 * SECOND);
            three.sim.cut(wire);
        }
    }
    three.sim.set_faults(three.near, Faults::NONE);
    three.sim.set_faults(three.far, Faults::NONE);
    // What was written last is released within five minutes; the breaks have used up the stems of the hour.
    three.round();
    let [ann, carol] = [three.ann, three.carol];
    assert_eq!([three.got(carol).len(), three.got(ann).len()], [20, 20], "all of it arrives in one round");
    // Its receipt waits up to five minutes for another one, and sealed up to five more.
    three.round();
    three.round();
    three.expect_all(ann, 20);
    three.expect_all(carol, 20);
}

/// Everything that a store of a carrier holds, as bytes and in words.
fn dump(store: &MemoryStore) -> Vec<u8> {
    let mut all = Vec::new();
    store.visit_bundles(&mut |row| all.extend(format!("{row:?}").bytes())).unwrap();
    for (_, bytes) in held(store) {
        all.extend(bytes);
    }
    all.extend(format!("{:?}{:?}", store.load_gone().unwrap(), store.load_contacts().unwrap()).bytes());
    for setting in [Setting::Name, Setting::Epoch, Setting::Clock, Setting::Policy] {
        all.extend(store.load_setting(setting).unwrap().iter().flat_map(|bytes| bytes.iter().copied()));
    }
    all
}

#[test]
fn sim_a_carrier_learns_no_name_and_no_text() {
    let mut three = Three::new(seed());
    let heard = listen(&mut three.sim);
    three.sim.send(three.ann, "carol", "the harbour at dawn");
    three.sim.send(three.carol, "ann", "bring the lantern");
    three.meet(three.near, 5 * SECOND);
    three.meet(three.far, 5 * SECOND);
    assert!(held(&three.bob_store).len() >= 2, "it does carry them");
    let kept = dump(&three.bob_store);
    let said: Vec<u8> = heard.borrow().iter().flat_map(|(_, record)| record.clone()).collect();
    let cards: Vec<Vec<u8>> =
        [&three.ann_store, &three.carol_store].iter().map(|store| store.load_contacts().unwrap()[0].card.clone()).collect();
    let mut secrets: Vec<&[u8]> = vec![b"harbour", b"lantern", b"ann", b"carol"];
    secrets.extend(cards.iter().map(|card| &card[16..48]));
    assert!(kept.windows(3).any(|window| window == b"bob"), "what is there is found");
    for secret in secrets {
        for (place, bytes) in [("kept", &kept), ("heard", &said)] {
            // Three letters turn up by chance: they must not turn up as a word.
            let times = bytes.windows(secret.len()).filter(|window| *window == secret).count();
            assert!(times <= usize::from(secret.len() == 3), "{:?} is {place}", String::from_utf8_lossy(secret));
        }
    }
    assert!(three.bob_store.load_contacts().unwrap().is_empty());
    assert_eq!(three.sim.messages(three.carol, "ann").len(), 2);
}

#[test]
fn sim_states_tell_the_truth_at_each_step() {
    let mut three = Three::new(seed());
    let [ann, carol] = [three.ann, three.carol];
    let id = three.sim.send(ann, "carol", "hi");
    assert_eq!(three.only(ann).state, MessageState::Queued);

    three.meet(three.near, 5 * SECOND);
    let carried = three.only(ann);
    assert_eq!((carried.state, carried.handed_contacts, carried.handed_strangers), (MessageState::Carried, 0, 1));
    assert!(carried.expires.is_some());
    assert_eq!(three.got(carol), [""; 0]);

    three.meet(three.far, 5 * SECOND);
    assert_eq!(three.got(carol), ["hi"]);
    assert_eq!(three.only(ann).state, MessageState::Carried, "nobody has told her");

    three.sim.run_for(6 * MINUTE);
    three.meet(three.far, 5 * SECOND);
    three.meet(three.near, 5 * SECOND);
    let delivered = three.only(ann);
    assert_eq!((delivered.id, delivered.state), (id, MessageState::Delivered));
    assert_eq!(delivered.handed_strangers, 1, "the same stranger again is not another one");

    three.sim.tell(carol, Command::Messages { contact: "ann".into(), since: None, before: None, limit: None, mark_read: true });
    three.sim.run_for(6 * MINUTE);
    three.meet(three.far, 5 * SECOND);
    three.meet(three.near, 5 * SECOND);
    assert_eq!(three.only(ann).state, MessageState::Read);
    assert_eq!(three.got(carol).len(), 1);
}

/// Bytes of records that crossed a wire since crossings were last taken, without handshake, recognition and confirmation.
fn record_bytes(sim: &mut Sim, wire: WireId) -> usize {
    let mut opening: BTreeMap<NodeId, usize> = BTreeMap::new();
    let crossings = sim.take_crossings();
    let records = crossings.iter().filter(|crossing| crossing.wire == wire).filter(|crossing| {
        let count = opening.entry(crossing.from).or_default();
        *count += 1;
        *count > 3
    });
    // Two bytes of each frame are its length.
    records.map(|crossing| crossing.length + 2).sum()
}

#[test]
fn sim_ten_messages_cross_a_meeting_in_two_seconds_and_700_bytes_a_hop() {
    let mut three = Three::new(seed());
    let [ann, carol] = [three.ann, three.carol];
    // What is left of their exchange is out of the way.
    three.round();
    three.write(ann, 10);
    three.sim.take_crossings();
    three.meet(three.near, 10 * SECOND);
    assert!(three.sent(ann).iter().all(|message| message.state == MessageState::Carried));
    let near = record_bytes(&mut three.sim, three.near);
    assert!((5_120..=7_000).contains(&near), "{near} bytes for ten messages to the carrier");

    three.sim.mend(three.far);
    three.sim.run_for(2 * SECOND);
    assert_eq!(three.got(carol).len(), 10, "within two seconds of the meeting");
    three.sim.run_for(8 * SECOND);
    three.sim.cut(three.far);
    let far = record_bytes(&mut three.sim, three.far);
    assert!((5_120..=7_000).contains(&far), "{far} bytes for ten messages from the carrier");
}

#[test]
fn sim_two_carriers_in_a_row() {
    let mut three = Three::new(seed());
    let [ann, carol] = [three.ann, three.carol];
    let (dave, _) = three.sim.node("dave");
    let middle = three.sim.connect(dave, three.bob, Faults::NONE);
    let last = three.sim.connect(dave, carol, Faults::NONE);
    three.sim.cut(middle);
    three.sim.cut(last);
    three.write(ann, 10);
    let walk = |three: &mut Three, wires: [WireId; 3]| {
        for wire in wires {
            three.sim.mend(wire);
            three.sim.run_for(5 * SECOND);
            three.sim.cut(wire);
        }
    };
    let there = [three.near, middle, last];
    walk(&mut three, there);
    assert_eq!(three.got(carol).len(), 10);
    three.sim.run_for(6 * MINUTE);
    walk(&mut three, [last, middle, there[0]]);
    three.expect_all(ann, 10);
    assert_eq!(three.sent(ann)[0].handed_strangers, 1, "handed to Bob alone; Dave is nobody she met");
}

#[test]
fn sim_a_contact_carries_and_is_counted_as_one() {
    let mut three = Three::new(seed());
    let [ann, bob, carol] = [three.ann, three.bob, three.carol];
    acquaint(&mut three.sim, ann, bob);
    acquaint(&mut three.sim, bob, carol);
    three.write(ann, 10);
    three.write(carol, 10);
    three.meet(three.near, 5 * SECOND);
    let carried = three.sent(ann).remove(0);
    assert_eq!((carried.state, carried.handed_contacts, carried.handed_strangers), (MessageState::Carried, 1, 0));
    three.meet(three.far, 5 * SECOND);
    three.round();
    three.expect_all(ann, 10);
    three.expect_all(carol, 10);
    assert!(three.sim.messages(bob, "ann").is_empty() && three.sim.messages(bob, "carol").is_empty());
}

/// Ann among strangers, all of them linked to her and to nobody else.
struct Crowd {
    three: Three,
    stores: Vec<(NodeId, MemoryStore)>,
    wires: Vec<WireId>,
    /// What was there before.
    old: BTreeSet<BundleId>,
}

fn crowd(seed: u64, count: usize) -> Crowd {
    let mut three = Three::new(seed);
    let (mut stores, mut wires) = (Vec::new(), Vec::new());
    for number in 0..count {
        let (node, store) = three.sim.node(&format!("stranger {number}"));
        wires.push(three.sim.connect(three.ann, node, Faults::NONE));
        stores.push((node, store));
    }
    three.sim.run_for(10 * MINUTE);
    let old = three.ann_store.bundle_ids().into_iter().collect();
    Crowd { three, stores, wires, old }
}

impl Crowd {
    /// Who holds each of Ann's new bundles.
    fn holders(&self) -> BTreeMap<BundleId, BTreeSet<NodeId>> {
        let mut holders: BTreeMap<BundleId, BTreeSet<NodeId>> = BTreeMap::new();
        for (node, store) in &self.stores {
            for id in store.bundle_ids().into_iter().filter(|id| !self.old.contains(id)) {
                holders.entry(id).or_default().insert(*node);
            }
        }
        holders
    }
}

#[test]
fn sim_own_bundles_go_to_one_link_and_within_five_minutes_to_all() {
    let mut crowd = crowd(seed(), 5);
    let heard = listen(&mut crowd.three.sim);
    crowd.three.write(crowd.three.ann, 10);
    crowd.three.sim.run_for(SECOND / 2);
    let at_once = crowd.holders();
    assert_eq!(at_once.len(), 10, "all of them left at once");
    let stems: BTreeSet<&BTreeSet<NodeId>> = at_once.values().collect();
    assert_eq!(stems.len(), 1, "to the same link");
    let stem = stems.first().unwrap();
    assert_eq!(stem.len(), 1, "to one link");
    let offers = heard.borrow().iter().filter(|(node, record)| *node == crowd.three.ann && [OFFER, BUNDLE].contains(&record[0])).count();
    assert!(offers <= 20, "nobody else was offered anything: {offers}");

    let mut spread = Vec::new();
    for _ in 0..31 {
        crowd.three.sim.run_for(10 * SECOND);
        // A node keeps links to some of many strangers only.
        let linked: Vec<NodeId> =
            crowd.stores.iter().zip(&crowd.wires).filter(|(_, wire)| crowd.three.sim.is_up(**wire)).map(|((node, _), _)| *node).collect();
        assert!(linked.len() >= 2, "{linked:?}");
        spread.push(crowd.holders().values().filter(|holders| linked.iter().all(|node| holders.contains(node))).count());
    }
    assert_eq!(spread.last(), Some(&10), "all are everywhere after five minutes: {spread:?}");
    assert!(spread[0] < 10, "drawn for each: {spread:?}");
    assert!(spread.iter().collect::<BTreeSet<_>>().len() > 2, "not all at the same moment: {spread:?}");
}

#[test]
fn sim_who_comes_while_a_bundle_is_held_back_is_not_offered_it() {
    for seed in seed()..seed() + 8 {
        let mut crowd = crowd(seed, 1);
        crowd.three.write(crowd.three.ann, 1);
        crowd.three.sim.run_for(SECOND / 2);
        let (late, store) = crowd.three.sim.node("late");
        crowd.three.sim.connect(late, crowd.three.ann, Faults::NONE);
        crowd.stores.push((late, store));
        let (mut before, mut first) = (0, None);
        for second in 0..320 {
            crowd.three.sim.run_for(SECOND);
            let holders = crowd.holders().into_values().next().unwrap();
            if holders.contains(&late) {
                first.get_or_insert(second);
            } else {
                before += 1;
            }
        }
        assert!(first.is_some(), "seed {seed}: released at last");
        if before > 3 {
            return;
        }
    }
    panic!("in eight runs it was never held back from who came late");
}

#[test]
fn sim_a_reader_goes_on_carrying_what_it_read() {
    let mut three = Three::new(seed());
    three.write(three.ann, 5);
    three.meet(three.near, 5 * SECOND);
    three.meet(three.far, 5 * SECOND);
    assert_eq!(three.got(three.carol).len(), 5);
    let carried: BTreeSet<BundleId> = three.bob_store.bundle_ids().into_iter().collect();
    let (dave, dave_store) = three.sim.node("dave");
    let wire = three.sim.connect(dave, three.carol, Faults::NONE);
    three.sim.run_for(5 * SECOND);
    three.sim.cut(wire);
    let offered: BTreeSet<BundleId> = dave_store.bundle_ids().into_iter().collect();
    assert!(carried.iter().filter(|id| offered.contains(id)).count() >= 5, "what she read is offered like any other");
}

#[test]
fn sim_acks_are_told_late_and_carriers_let_go() {
    let mut three = Three::new(seed());
    three.round();
    let old: BTreeSet<BundleId> = three.bob_store.bundle_ids().into_iter().collect();
    let heard = listen(&mut three.sim);
    three.write(three.ann, 20);
    three.meet(three.near, 5 * SECOND);
    let (dave, dave_store) = three.sim.node("dave");
    three.sim.connect(dave, three.bob, Faults::NONE);
    three.sim.run_for(5 * SECOND);
    let written: BTreeSet<BundleId> = three.bob_store.bundle_ids().into_iter().filter(|id| !old.contains(id)).collect();
    assert!(written.len() == 20 && dave_store.bundle_ids().len() >= 20);
    let left = |store: &MemoryStore| store.bundle_ids().iter().filter(|id| written.contains(id)).count();

    // Carol stays with Bob and tells one after the other.
    three.sim.mend(three.far);
    three.sim.run_for(5 * MINUTE);
    assert_eq!(three.got(three.carol).len(), 20);
    assert!(left(&three.bob_store) >= 12, "five minutes are early: {}", left(&three.bob_store));
    three.sim.run_for(4 * HOUR);
    assert_eq!((left(&three.bob_store), left(&three.carol_store), left(&dave_store)), (0, 0, 0), "four hours are enough");
    for store in [&three.bob_store, &dave_store] {
        let known: BTreeSet<BundleId> = gone(store, GoneReason::Acknowledged).into_iter().collect();
        assert!(written.iter().all(|id| known.contains(id)), "their ids are remembered");
    }
    let bob = three.bob;
    assert!(heard.borrow().iter().any(|(node, record)| *node == bob && record[0] == ACK), "passed on by who was told");
    // Who still has a bundle hears it from whoever knows.
    three.sim.cut(three.far);
    three.meet(three.near, 5 * SECOND);
    assert_eq!(left(&three.ann_store), 0, "Ann's too");
}

#[test]
fn sim_receipts_through_carriers_are_few() {
    let mut three = Three::new(seed());
    let own = |store: &MemoryStore| {
        let mut own = 0;
        store.visit_bundles(&mut |row| own += usize::from(matches!(row.origin, Origin::Own(_)))).unwrap();
        own
    };
    let before = own(&three.carol_store);
    three.write(three.ann, 100);
    three.meet(three.near, 5 * SECOND);
    three.meet(three.far, 5 * SECOND);
    assert_eq!(three.got(three.carol).len(), 100);
    three.sim.run_for(10 * MINUTE);
    let sealed = own(&three.carol_store) - before;
    assert!((1..=3).contains(&sealed), "{sealed} bundles tell of a hundred messages");
}

#[test]
fn sim_what_no_carrier_brings_expires_and_says_so() {
    let mut three = Three::new(seed());
    let [ann, carol] = [three.ann, three.carol];
    three.write(ann, 3);
    three.meet(three.near, 5 * SECOND);
    let carried = three.bob_store.bundle_ids();
    assert!(carried.len() >= 3);
    three.sim.run_for(13 * DAY);
    assert!(three.sent(ann).iter().all(|message| message.state == MessageState::Carried), "they live for a fortnight");
    assert!(three.bob_store.bundle_ids().len() >= 3);
    three.sim.run_for(2 * DAY);
    assert!(three.sent(ann).iter().all(|message| message.state == MessageState::Expired));
    assert_eq!(three.bob_store.bundle_ids(), [], "a carrier lets them go");
    three.meet(three.far, 5 * SECOND);
    assert_eq!(three.got(carol), [""; 0]);
    // The next ones cross as if nothing had been.
    three.sim.send(ann, "carol", "again");
    three.round();
    assert_eq!(three.got(carol), ["again"]);
    assert_eq!(three.sent(ann).last().unwrap().state, MessageState::Delivered);
}

#[test]
fn sim_a_receipt_that_is_lost_leaves_expired_until_it_is_heard_of() {
    let mut three = Three::new(seed());
    let [ann, carol] = [three.ann, three.carol];
    three.write(ann, 1);
    three.meet(three.near, 5 * SECOND);
    three.meet(three.far, 5 * SECOND);
    assert_eq!(three.got(carol).len(), 1);
    three.sim.run_for(30 * DAY);
    assert_eq!(three.only(ann).state, MessageState::Expired, "no receipt came in time: that is all she knows");
    assert_eq!(three.got(carol).len(), 1, "what was read stays");
}

#[test]
fn sim_a_message_that_two_carriers_bring_is_there_once() {
    let mut three = Three::new(seed());
    let [ann, carol] = [three.ann, three.carol];
    let (dave, _) = node_as(&mut three.sim, "dave", EngineConfig::default());
    let (near, far) = (three.sim.connect(dave, ann, Faults::NONE), three.sim.connect(dave, carol, Faults::NONE));
    three.sim.cut(far);
    three.sim.cut(near);
    three.write(ann, 20);
    three.sim.mend(three.near);
    three.sim.mend(near);
    three.sim.run_for(6 * MINUTE);
    assert!(three.sent(ann).iter().all(|message| message.handed_strangers == 2), "to Bob at once, to Dave later");
    let heard = listen(&mut three.sim);
    for wire in [three.near, near] {
        three.sim.cut(wire);
    }
    three.sim.mend(three.far);
    three.sim.mend(far);
    three.sim.run_for(10 * SECOND);
    assert_eq!(three.got(carol).len(), 20);
    let brought = heard.borrow().iter().filter(|(node, record)| [three.bob, dave].contains(node) && record[0] == BUNDLE).count();
    assert!(brought <= 22, "{brought} bundles for twenty: two copies of one on two links are a defect");
}
