//! What a link does with its time: it is never idle while something can be sent, little is lost when it breaks, and nothing comes twice.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test: what fails ends it")]

mod common;

use std::{cell::RefCell, collections::BTreeMap, rc::Rc, time::Duration};

use common::{
    MINUTE, SECOND, bundles, listen, seed,
    three::{Eve, Heard, START_HOUR, garbage, give_space, id_of, node_as},
};
use hedgerow_sync::{
    engine::{EngineConfig, RelayPolicy},
    id::BundleId,
    sim::{Faults, NodeId, Observer, Sim, What},
    wire::{
        bundle::Lifetime,
        record::{COPIES_UNLIMITED, Record, Refusal},
    },
};

/// What came, of bundles.
#[derive(Default)]
struct Seen {
    /// Times at which bundles came in at a node, with their bytes.
    came: BTreeMap<NodeId, Vec<(Duration, u64)>>,
    /// How often each bundle came in at a node.
    times: BTreeMap<(NodeId, u64), usize>,
}

struct Ears(Rc<RefCell<Seen>>);

impl Observer for Ears {
    fn arrived(&mut self, at: Duration, [_, to]: [NodeId; 2], what: What) {
        if let What::Bundle { tag, length } = what {
            let mut seen = self.0.borrow_mut();
            seen.came.entry(to).or_default().push((at, length.into()));
            *seen.times.entry((to, tag)).or_default() += 1;
        }
    }
}

/// A carrier to whom a stranger has handed so many bundles.
fn carrier(sim: &mut Sim, name: &str, numbers: impl Iterator<Item = u64>, size: usize) -> NodeId {
    let (node, _) = sim.node(name);
    fill(sim, node, numbers, size);
    node
}

/// Has a stranger hand so many bundles to a node.
fn fill(sim: &mut Sim, node: NodeId, numbers: impl Iterator<Item = u64>, size: usize) {
    let eve = Eve::dial(sim, node);
    let bundles: Vec<Vec<u8>> = numbers.map(|number| garbage(number, START_HOUR, Lifetime::Week, size)).collect();
    eve.hand(sim, &bundles, 0);
    sim.cut(eve.wire);
    sim.run_for(MINUTE);
}

fn wire(rate: u32, delay_ms: u64) -> Faults {
    Faults { rate, delay: Duration::from_millis(delay_ms), ..Faults::NONE }
}

/// For how long a link carries bundles, and what is on its way when it breaks.
#[test]
fn sim_a_link_is_never_idle_and_loses_little_when_it_breaks() {
    for (rate, delay_ms, most_lost) in [(10_000, 20, 12_000), (50_000, 20, 18_000), (50_000, 400, 58_000), (300_000, 5, 47_000)] {
        let mut sim = Sim::new(seed());
        let count = u64::from(rate) / 40;
        let full = carrier(&mut sim, "full", 0..count, 1024);
        let (empty, _) = sim.node("empty");
        let seen = Rc::new(RefCell::new(Seen::default()));
        sim.observe(Ears(Rc::clone(&seen)));
        let heard = listen(&mut sim);
        let link = sim.connect(empty, full, wire(rate, delay_ms));
        let begun = sim.elapsed();
        sim.run_for(15 * SECOND);
        sim.cut(link);
        sim.run_for(SECOND);
        let seen = seen.borrow();
        let came = &seen.came[&empty];
        let first = came[0].0 - begun;
        let carried: u64 = came.iter().map(|(_, bytes)| bytes).sum();
        let span = came[came.len() - 1].0 - came[0].0;
        let used = carried as f64 / f64::from(rate) / span.as_secs_f64();
        // On its way, or waiting for the wire.
        let lost = bundles(&heard, full).iter().map(|bytes| bytes.len() as u64).sum::<u64>() - carried;
        println!("{rate} B/s, {delay_ms} ms: first after {first:?}, {:.0} % used, {lost} bytes lost", used * 100.0);
        assert!(span > 8 * SECOND, "there was enough to carry");
        assert!(used > 0.93, "{rate} B/s, {delay_ms} ms: {used:.2} of it used");
        assert!(lost < most_lost, "{rate} B/s, {delay_ms} ms: {lost} bytes lost");
        // Handshake, lists and HELLO take about seven journeys and four kilobytes, comparing about eight journeys more.
        let most = Duration::from_millis(15 * delay_ms) + Duration::from_secs_f64(9_000.0 / f64::from(rate)) + SECOND / 10;
        assert!(first < most, "{rate} B/s, {delay_ms} ms: the first bundle came after {first:?}");
    }
}

/// How many bundles of so many, each of so many bytes, come to a node more than once that meets two carriers of all of them at the same instant.
/// If it has met them before, it is a contact of theirs and they offer what is new; else all is compared.
fn come_twice(count: u64, size: usize, have_met: bool) -> usize {
    let mut sim = Sim::new(seed());
    let (empty, _) = sim.node("empty");
    let carriers = ["one", "other"].map(|name| sim.node(name).0);
    let wires = carriers.map(|carrier| sim.lay(empty, carrier, wire(50_000, 20)));
    if have_met {
        for (number, (carrier, wire)) in carriers.into_iter().zip(wires).enumerate() {
            sim.befriend(empty, carrier, &[number as u8; 32]);
            sim.mend(wire);
            sim.run_for(MINUTE);
            sim.cut(wire);
        }
    }
    // They got them in different orders, as carriers do.
    fill(&mut sim, carriers[0], 0..count, size);
    fill(&mut sim, carriers[1], (0..count).rev(), size);
    let seen = Rc::new(RefCell::new(Seen::default()));
    sim.observe(Ears(Rc::clone(&seen)));
    wires.into_iter().for_each(|wire| sim.mend(wire));
    sim.run_for(MINUTE);
    let seen = seen.borrow();
    let times: Vec<usize> = seen.times.iter().filter(|((node, _), _)| *node == empty).map(|(_, times)| *times).collect();
    assert_eq!(times.len() as u64, count, "all came");
    times.iter().sum::<usize>() - times.len()
}

#[test]
fn sim_what_two_links_bring_at_once_hardly_comes_twice() {
    // Strangers compare, and nothing waits. What contacts offer waits for 2 s, in which the one brings these 77 kB.
    for (count, size, have_met, most) in [(120, 2048, false, 14), (150, 512, true, 2)] {
        let twice = come_twice(count, size, have_met);
        println!("{twice} of {count} of {size} bytes came twice, from {}", if have_met { "contacts" } else { "strangers" });
        assert!(twice <= most, "{twice} of {count} came twice");
    }
}

/// How long a node takes to answer an offer of one bundle that it does not know.
fn until_picked(sim: &mut Sim, eve: &Eve, batch: u16, id: &BundleId) -> Duration {
    eve.hear(sim);
    eve.say(sim, &Record::Offer { batch, ids: vec![eve.short(id)] });
    let begun = sim.elapsed();
    while sim.elapsed() < begun + MINUTE {
        sim.run_for(SECOND / 20);
        if eve.hear(sim).iter().any(|record| matches!(record, Record::Pick { batch: of, .. } if *of == batch)) {
            return sim.elapsed() - begun;
        }
    }
    panic!("the offer was not answered");
}

/// Whether the time that an answer took shows that it waited for another link.
fn has_waited(answer: Duration) -> bool {
    assert!(answer <= 2 * SECOND + SECOND / 10, "no offer waits longer: {answer:?}");
    answer > SECOND
}

/// However much she names: what others offer waits for her once, and again only when she has brought something new.
#[test]
fn sim_who_names_much_and_brings_nothing_is_waited_for_once() {
    let mut sim = Sim::new(seed());
    let (node, _) = sim.node("bob");
    let bundle = |number| garbage(number, START_HOUR, Lifetime::Week, 512);
    let (eve, other) = (Eve::dial(&mut sim, node), Eve::dial(&mut sim, node));
    let mut batch = 0..;
    let mut waits = |sim: &mut Sim| {
        let batch = batch.next().unwrap();
        let answer = until_picked(sim, &other, batch, &id_of(&bundle(1_000 + u64::from(batch))));
        // What the other owes now is not to be waited for either.
        other.say(sim, &Record::Refused(vec![(other.short(&id_of(&bundle(1_000 + u64::from(batch)))), Refusal::Unwanted)]));
        has_waited(answer)
    };
    assert!(!waits(&mut sim), "nobody owes anything");
    eve.say(&mut sim, &Record::Offer { batch: 0, ids: (0..200).map(|number| eve.short(&id_of(&bundle(number)))).collect() });
    sim.run_for(SECOND / 10);
    let picked =
        eve.hear(&mut sim).into_iter().find_map(|record| if let Record::Pick { wanted, .. } = record { Some(wanted) } else { None });
    assert_eq!(picked, Some(vec![0xff; 25]), "all of it is wanted");
    assert_eq!([waits(&mut sim), waits(&mut sim), waits(&mut sim)], [true, false, false]);
    // Nothing is gained by what is not taken, or by giving up what was named and naming more.
    let broken = |number| Record::Bundle { age: 0, copies: 255, bytes: bundle(number)[..300].to_vec() };
    eve.say(&mut sim, &broken(0));
    assert!(!waits(&mut sim));
    let given_up = (0..200).map(|number| (eve.short(&id_of(&bundle(number))), Refusal::Unwanted)).collect();
    eve.say(&mut sim, &Record::Refused(given_up));
    eve.say(&mut sim, &Record::Offer { batch: 1, ids: (200..400).map(|number| eve.short(&id_of(&bundle(number)))).collect() });
    sim.run_for(SECOND / 10);
    assert!(!waits(&mut sim));
    assert_eq!(eve.hand(&mut sim, &[bundle(200)], 0), [Heard::Stored]);
    assert_eq!([waits(&mut sim), waits(&mut sim)], [true, false], "each new bundle is good for one wait");
}

/// Else each offer would wait out its two seconds, of the few that a contact in passing has.
#[test]
fn sim_whose_link_breaks_is_waited_for_no_longer() {
    let mut sim = Sim::new(seed());
    let (node, _) = sim.node("bob");
    let id = |number| id_of(&garbage(number, START_HOUR, Lifetime::Week, 512));
    let (eve, other) = (Eve::dial(&mut sim, node), Eve::dial(&mut sim, node));
    eve.say(&mut sim, &Record::Offer { batch: 0, ids: vec![eve.short(&id(1))] });
    sim.run_for(SECOND / 10);
    other.say(&mut sim, &Record::Offer { batch: 0, ids: vec![other.short(&id(2))] });
    let is_picked = |sim: &mut Sim| other.hear(sim).iter().any(|record| matches!(record, Record::Pick { .. }));
    sim.run_for(SECOND / 2);
    assert!(!is_picked(&mut sim), "Eve may bring it");
    sim.cut(eve.wire);
    sim.run_for(SECOND / 10);
    assert!(is_picked(&mut sim));
}

/// The copies that a node hands out with chunks and with small bundles.
fn copies_given(space: u64, relay: RelayPolicy) -> (Vec<u8>, Vec<u8>) {
    let mut sim = Sim::new(seed());
    let (node, store) = node_as(&mut sim, "bob", EngineConfig { relay, ..EngineConfig::default() });
    give_space(&mut sim, node, &store, space);
    let eve = Eve::dial(&mut sim, node);
    let chunks: Vec<Vec<u8>> = (0..200).map(|number| garbage(number, START_HOUR, Lifetime::Week, 4096)).collect();
    let small: Vec<Vec<u8>> = (200..220).map(|number| garbage(number, START_HOUR, Lifetime::Week, 512)).collect();
    eve.hand(&mut sim, &chunks, 0);
    eve.hand(&mut sim, &small, 0);
    sim.cut(eve.wire);
    let heard = listen(&mut sim);
    Eve::dial(&mut sim, node).collect(&mut sim, 10 * SECOND);
    let given = |is_chunk: fn(usize) -> bool| -> Vec<u8> {
        let heard = heard.borrow();
        let records = heard.iter().filter(|(from, _)| *from == node).map(|(_, record)| Record::decode(record).unwrap());
        records
            .filter_map(|record| match record {
                Record::Bundle { copies, bytes, .. } if is_chunk(bytes.len()) => Some(copies),
                _ => None,
            })
            .collect()
    };
    (given(|len| len == 4096), given(|len| len < 4096))
}

#[test]
fn sim_chunks_carry_counts_only_where_room_is_short() {
    let (chunks, small) = copies_given(256 << 20, RelayPolicy::Standard);
    assert_eq!((chunks, small), (vec![COPIES_UNLIMITED; 200], vec![COPIES_UNLIMITED; 20]));
    // 800 kB of the least room there is.
    let (chunks, small) = copies_given(1 << 20, RelayPolicy::Standard);
    assert_eq!((chunks.len(), small), (200, vec![COPIES_UNLIMITED; 20]));
    assert!(chunks.iter().all(|copies| (12..=16).contains(copies)), "{chunks:?}");
}

#[test]
fn sim_a_carrier_that_only_delivers_hands_nothing_on() {
    assert_eq!(copies_given(256 << 20, RelayPolicy::Direct), (Vec::new(), Vec::new()));
}
