//! What comparing costs on a link, in bytes, and that it never holds up the mail (design brief, section 4.3).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test: what fails ends it")]

mod common;

use std::time::Duration;

use common::{
    Heard, MINUTE, SECOND, Two,
    carriers::{bundle, carrier, load},
    listen, seed,
    three::Eve,
};
use hedgerow_sync::{
    id::ShortId,
    sim::{Faults, NodeId, Sim, WireId},
    store::memory::MemoryStore,
    wire::{bundle::Bundle, record::Record},
};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

const BUNDLE: u8 = 5;
const RANGES: u8 = 9;
/// OFFER, PICK, WANT, RANGES, CURSOR and MARK: what finds differences.
const FINDING: [u8; 6] = [2, 3, 4, RANGES, 10, 11];
/// A poor radio link.
const POOR: Faults = Faults { rate: 10_000, delay: Duration::from_millis(20), ..Faults::NONE };

fn draw(seed: u64, count: usize, hours: u32) -> Vec<Bundle> {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    (0..count).map(|_| bundle(&mut rng, hours)).collect()
}

/// Bytes of the records said since, of some types.
fn take_bytes(heard: &Heard, counts: impl Fn(u8) -> bool) -> usize {
    heard.borrow_mut().drain(..).filter(|(_, record)| counts(record[0])).map(|(_, record)| record.len()).sum()
}

/// Meets again for ten seconds; bytes that finding what differs took.
fn meet(sim: &mut Sim, wire: WireId, heard: &Heard) -> usize {
    heard.borrow_mut().clear();
    sim.mend(wire);
    sim.run_for(10 * SECOND);
    sim.cut(wire);
    take_bytes(heard, |kind| FINDING.contains(&kind))
}

#[test]
fn sim_a_further_meeting_takes_at_most_200_bytes() {
    let mut sim = Sim::new(seed());
    let [common, own, others] = [(1, 3_000), (2, 150), (3, 250)].map(|(seed, count)| draw(seed, count, 200));
    let (ann, ann_store) = carrier(&mut sim, "ann", common.iter().chain(&own));
    let (ben, ben_store) = carrier(&mut sim, "ben", common.iter().chain(&others));
    let heard = listen(&mut sim);
    let wire = sim.connect(ann, ben, Faults::NONE);
    sim.run_for(MINUTE);
    sim.cut(wire);
    assert_eq!(ann_store.bundle_ids().len(), 3_400);
    assert_eq!(ann_store.bundle_ids(), ben_store.bundle_ids(), "they have met");
    let mut costs: Vec<usize> = (0..12).map(|_| meet(&mut sim, wire, &heard)).collect();
    costs.sort_unstable();
    println!("twelve further meetings of strangers: {costs:?} bytes");
    assert!(costs[0] > 50, "they do compare: {costs:?}");
    assert!(costs[8] <= 200, "{costs:?}");
    assert!(costs[11] <= 330, "one in sixteen begins with ranges of random bounds: {costs:?}");
}

#[test]
fn sim_a_known_peer_with_100_new_takes_at_most_1500_bytes() {
    let mut two = Two::contacts(seed());
    two.write(two.ann, 2);
    two.sim.run_for(MINUTE);
    two.sim.cut(two.wire);
    let known = draw(1, 2_000, 100);
    load(&mut two.sim, two.ann, &two.ann_store, known.iter());
    // What Ann has written is held back anew after the restart, and no MARK goes past it.
    two.sim.run_for(10 * MINUTE);
    let heard = listen(&mut two.sim);
    let first = meet(&mut two.sim, two.wire, &heard);
    assert!(first > 15_000, "2,000 are new to Ben: {first} bytes");
    // A second MARK on a link comes half a minute after the first.
    two.sim.mend(two.wire);
    two.sim.run_for(MINUTE);
    two.sim.cut(two.wire);
    let nothing = meet(&mut two.sim, two.wire, &heard);
    assert!(nothing <= 200, "nothing is new: {nothing} bytes");
    let new = draw(2, 100, 1);
    load(&mut two.sim, two.ann, &two.ann_store, new.iter());
    let cost = meet(&mut two.sim, two.wire, &heard);
    println!("2,000 new {first}, none {nothing}, 100 new {cost} bytes");
    let brought = two.ben_store.bundle_ids();
    assert!(new.iter().all(|bundle| brought.contains(&bundle.id())));
    assert!((800..=1_500).contains(&cost), "{cost} bytes");
}

/// Two strangers on a poor link who have `common` bundles in common and `apart` each of their own, all over two weeks.
fn poor(common: usize, apart: usize) -> (Sim, [NodeId; 2], [MemoryStore; 2], Heard) {
    let mut sim = Sim::new(seed());
    let [common, own, others] = [(1, common), (2, apart), (3, apart)].map(|(seed, count)| draw(seed, count, 14 * 24 - 2));
    let (ann, ann_store) = carrier(&mut sim, "ann", common.iter().chain(&own));
    let (ben, ben_store) = carrier(&mut sim, "ben", common.iter().chain(&others));
    let heard = listen(&mut sim);
    sim.connect(ann, ben, POOR);
    (sim, [ann, ben], [ann_store, ben_store], heard)
}

#[test]
fn sim_bundles_leave_before_the_comparison_is_over() {
    let (mut sim, nodes, _, heard) = poor(15_000, 2_000);
    sim.run_for(2 * MINUTE);
    for node in nodes {
        let kinds: Vec<(u8, usize)> =
            heard.borrow().iter().filter(|(from, _)| *from == node).map(|(_, record)| (record[0], record.len())).collect();
        let first = kinds.iter().position(|(kind, _)| *kind == BUNDLE).expect("bundles cross");
        let last = kinds.iter().rposition(|(kind, _)| *kind == RANGES).expect("ranges cross");
        let before: usize = kinds[..first].iter().filter(|(kind, _)| *kind == RANGES).map(|(_, len)| len).sum();
        let all: usize = kinds.iter().filter(|(kind, _)| *kind == RANGES).map(|(_, len)| len).sum();
        println!("{node:?}: {before} of {all} bytes of ranges before the first bundle");
        assert!(first < last && before <= 24_000 && all >= 2 * before, "{before} of {all}");
    }
}

#[test]
fn sim_what_is_said_of_bundles_takes_at_most_a_quarter_while_bundles_wait() {
    let (mut sim, nodes, stores, heard) = poor(15_000, 3_000);
    // Connection, recognition, and the first leaves.
    sim.run_for(10 * SECOND);
    assert!(take_bytes(&heard, |kind| kind == BUNDLE) > 0);
    for window in 1..12 {
        sim.run_for(10 * SECOND);
        for node in nodes {
            let bytes = |bundles: bool| -> usize {
                let heard = heard.borrow();
                heard
                    .iter()
                    .filter(|(from, record)| *from == node && (record[0] == BUNDLE) == bundles)
                    .map(|(_, record)| record.len())
                    .sum()
            };
            let (control, data) = (bytes(false), bytes(true));
            println!("window {window}, {node:?}: {control} bytes beside {data}");
            assert!(data >= 60_000, "the link is not idle: {data} bytes in ten seconds");
            assert!(4 * control <= control + data, "window {window}, {node:?}: {control} bytes beside {data}");
        }
        heard.borrow_mut().clear();
    }
    sim.run_for(20 * MINUTE);
    let [one, other] = stores.map(|store| store.bundle_ids());
    assert_eq!(one.len(), 21_000);
    assert_eq!(one, other, "and in the end nothing is left out");
}

/// A node that carries `count` bundles, and a stranger who has compared and knows their names; these.
fn with_eve(count: usize) -> (Sim, MemoryStore, Eve, Vec<ShortId>) {
    let mut sim = Sim::new(seed());
    let (ann, store) = carrier(&mut sim, "ann", draw(1, count, 100).iter());
    let eve = Eve::dial(&mut sim, ann);
    let shorts = store.bundle_ids().iter().map(|id| eve.short(id)).collect();
    eve.hear(&mut sim);
    (sim, store, eve, shorts)
}

/// The bundles and refusals that Eve has heard; she says STORED.
fn answers(sim: &mut Sim, eve: &Eve) -> (usize, usize) {
    let (mut bundles, mut refusals) = (0, 0);
    loop {
        let heard = eve.hear(sim);
        let before = bundles + refusals;
        for record in heard {
            match record {
                Record::Bundle { bytes, .. } => {
                    bundles += 1;
                    eve.say(sim, &Record::Stored(vec![eve.short(&common::three::id_of(&bytes))]));
                }
                Record::Refused(ids) => refusals += ids.len(),
                _ => {}
            }
        }
        if before == bundles + refusals {
            return (bundles, refusals);
        }
        sim.run_for(SECOND);
    }
}

#[test]
fn sim_who_asks_for_everything_again_and_again_has_it_twice() {
    let (mut sim, _, eve, shorts) = with_eve(200);
    for round in 0..10 {
        for ids in shorts.chunks(100) {
            eve.say(&mut sim, &Record::Want(ids.to_vec()));
        }
        sim.run_for(SECOND);
        assert!(eve.is_there(&sim));
        let expected = if round < 2 { (200, 0) } else { (0, 200) };
        assert_eq!(answers(&mut sim, &eve), expected, "round {round}");
    }
}

#[test]
fn sim_asking_in_vain_without_end_ends_the_session() {
    let (mut sim, _, eve, shorts) = with_eve(100);
    let mut rng = ChaCha20Rng::seed_from_u64(5);
    let mut asked = 0;
    while eve.is_there(&sim) && asked < 200_000 {
        let made_up: Vec<ShortId> = (0..256).map(|_| ShortId(rng.next_u64().to_be_bytes())).collect();
        eve.say(&mut sim, &Record::Want(made_up));
        asked += 256;
        sim.run_for(SECOND / 100);
    }
    assert!((65_536 + shorts.len()..65_536 + shorts.len() + 2_048).contains(&asked), "ended after {asked}");
}

#[test]
fn sim_wrong_fingerprints_without_end_end_the_session_within_its_budget_and_no_other() {
    let (mut sim, store, eve, _) = with_eve(2_000);
    let ann = NodeId(0);
    let honest = sim.node("hal").0;
    let wire = sim.connect(honest, ann, Faults::NONE);
    sim.run_for(2 * SECOND);
    let heard = listen(&mut sim);
    // Everything differs; each answer's question is answered by the same again.
    let question = |answers: bool| [&[RANGES, if answers { 3 } else { 1 }, 0x7f][..], &[0xee; 12]].concat();
    let (mut said, mut asked) = (0, false);
    while eve.is_there(&sim) && said < 100_000 {
        sim.send_raw(eve.wire, eve.node, &question(asked));
        said += 1;
        sim.run_for(SECOND / 100);
        asked = eve.hear(&mut sim).into_iter().any(|record| matches!(record, Record::Ranges(body) if body[0] & 1 != 0));
    }
    assert!(!eve.is_there(&sim), "it is ended");
    let answered: usize =
        heard.borrow().iter().filter(|(from, record)| *from == ann && record[0] == RANGES).map(|(_, record)| record.len()).sum();
    println!("{said} questions, {answered} bytes of answers");
    assert!(answered <= 256 * 1024 + 64 * store.bundle_ids().len() + 5 * 4_096, "{answered} bytes");
    assert!(sim.is_up(wire), "who did nothing keeps its link");
}
