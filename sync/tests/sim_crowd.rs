//! A crowd: bounded links, contacts first, a random view that is refreshed, and fake neighbours who would hold every place.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test: what fails ends it")]

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::{
    HOUR, MINUTE, SECOND, in_reach, nearby, seed, status,
    three::{Eve, Heard, START_HOUR, garbage},
};
use hedgerow_sync::{
    engine::Input,
    sim::{Faults, NodeId, Sim, WireId},
    view::{Command, ContactState, Mode},
    wire::{bundle::Lifetime, record::Record},
};
use hedgerow_transports::{LinkId, TransportKind};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

/// Links of a node, and those that strangers may hold by whom they dialled.
const LINKS: usize = 12;
const INBOUND: usize = 4;
const OUTBOUND: usize = 3;

/// HELLO of somebody with this beacon, without a clock.
fn hello(beacon: [u8; 8], carries: bool) -> Vec<u8> {
    [&[0x01][..], &beacon, &0_u32.to_be_bytes(), &1_048_576_u32.to_be_bytes(), &[u8::from(carries)]].concat()
}

/// Nodes in sight of each other, dialled as a transport would: whoever is wanted, at random, who said that it is full last.
struct Hall {
    sim: Sim,
    nodes: Vec<NodeId>,
    /// Nodes that speak only for the test: they dial at will, and never let go.
    fakes: BTreeSet<NodeId>,
    wires: BTreeMap<(NodeId, NodeId), WireId>,
    /// Links on which a fake has said HELLO.
    greeted: BTreeSet<LinkId>,
    rng: ChaCha20Rng,
}

impl Hall {
    fn new(seed: u64) -> Self {
        Self {
            sim: Sim::new(seed),
            nodes: Vec::new(),
            fakes: BTreeSet::new(),
            wires: BTreeMap::new(),
            greeted: BTreeSet::new(),
            rng: ChaCha20Rng::seed_from_u64(seed),
        }
    }

    fn join(&mut self, name: &str) -> NodeId {
        let (node, _) = self.sim.node(name);
        self.nodes.push(node);
        self.sim.inject(node, Input::Others(TransportKind::Memory, true));
        node
    }

    fn fake(&mut self) -> NodeId {
        let node = self.sim.stranger("eve");
        self.nodes.push(node);
        self.fakes.insert(node);
        node
    }

    fn is_linked(&self, a: NodeId, b: NodeId) -> bool {
        [(a, b), (b, a)].iter().any(|ends| self.wires.get(ends).is_some_and(|wire| self.sim.is_up(*wire)))
    }

    fn dial(&mut self, from: NodeId, to: NodeId) -> WireId {
        let wire = match self.wires.get(&(from, to)) {
            Some(wire) => {
                self.sim.mend(*wire);
                *wire
            }
            None => self.sim.connect(from, to, Faults::NONE),
        };
        self.wires.insert((from, to), wire);
        self.sim.keep_down(wire);
        wire
    }

    /// One second of everybody's dialling.
    fn step(&mut self) {
        for node in self.nodes.clone() {
            if self.fakes.contains(&node) {
                continue;
            }
            let wanted = self.sim.wanted(node).map_or(0, |wanted| wanted.neighbours);
            let mut others: Vec<NodeId> =
                self.nodes.iter().copied().filter(|other| *other != node && !self.is_linked(node, *other)).collect();
            for index in (1..others.len()).rev() {
                others.swap(index, self.rng.next_u32() as usize % (index + 1));
            }
            others.sort_by_key(|other| self.sim.is_crowded(node, self.sim.beacon(*other)));
            for other in others.into_iter().take(wanted) {
                self.dial(node, other);
            }
        }
        self.sim.run_for(SECOND);
        self.fakes_speak();
    }

    /// Fake neighbours say HELLO once on each link, and then show signs of life; a second after they were linked.
    fn fakes_speak(&mut self) {
        for ((from, to), wire) in self.wires.clone() {
            for fake in [from, to] {
                if let Some(link) = self.sim.link_of(wire, fake).filter(|_| self.fakes.contains(&fake)) {
                    let beacon = self.sim.beacon(fake).0;
                    let record = if self.greeted.insert(link) { hello(beacon, true) } else { vec![0x0e] };
                    self.sim.send_raw(wire, fake, &record);
                }
            }
        }
    }

    /// The open links of a node as it says itself: those that it dialled, and all.
    fn links(&mut self, node: NodeId) -> (usize, usize) {
        let neighbours = status(&mut self.sim, node).neighbours;
        (neighbours.iter().filter(|neighbour| neighbour.outbound).count(), neighbours.len())
    }

    fn is_connected(&self) -> bool {
        let first = self.nodes[0];
        let (mut seen, mut open) = (BTreeSet::from([first]), vec![first]);
        while let Some(node) = open.pop() {
            open.extend(self.nodes.iter().copied().filter(|other| self.is_linked(node, *other) && seen.insert(*other)));
        }
        seen.len() == self.nodes.len()
    }
}

#[test]
fn sim_a_hall_of_thirty_is_one_graph_with_few_links_and_quiet() {
    let mut hall = Hall::new(seed());
    for number in 0..30 {
        hall.join(&format!("node {number}"));
        hall.step();
    }
    (0..60).for_each(|_| hall.step());
    assert!(hall.is_connected());
    for node in hall.nodes.clone() {
        let (outbound, all) = hall.links(node);
        assert!(outbound <= OUTBOUND && (outbound..=OUTBOUND + INBOUND).contains(&all), "{outbound} of {all}");
    }
    let up = hall.wires.values().filter(|wire| hall.sim.is_up(**wire)).count() as u64;
    let before = hall.sim.bytes();
    hall.sim.run_for(5 * MINUTE);
    let a_minute = (hall.sim.bytes() - before) / 5 / up;
    println!("{up} links, {a_minute} bytes a minute and link");
    assert!(a_minute <= 1_000, "{a_minute} bytes a minute and link");

    // A third of them goes at once.
    for node in hall.nodes.drain(..10) {
        hall.sim.kill(node);
    }
    (0..60).for_each(|_| hall.step());
    assert!(hall.is_connected());
}

#[test]
fn sim_people_nearby_find_each_other_in_a_hall_within_their_window() {
    for count in [30, 60] {
        let mut hall = Hall::new(seed());
        for number in 0..count {
            hall.join(&format!("node {number}"));
            hall.step();
        }
        (0..60).for_each(|_| hall.step());
        let nodes = hall.nodes.clone();
        let far = |hall: &Hall, node: &NodeId| !hall.is_linked(nodes[0], *node);
        let (ann, ben) = (nodes[0], nodes.iter().copied().rev().find(|node| far(&hall, node)).unwrap());
        for node in [ann, ben] {
            nearby::open(&mut hall.sim, node);
        }
        let sees = |sim: &mut Sim, node| !nearby::list(sim, node).peers.is_empty();
        let took = (0..120).find(|_| {
            hall.step();
            sees(&mut hall.sim, ann) && sees(&mut hall.sim, ben)
        });
        println!("{count} in the hall: both are there after {took:?} s");
        assert!(took.is_some_and(|seconds| seconds <= 60), "{took:?}");
        // Afterwards the hall is what it was.
        nearby::close(&mut hall.sim, ann);
        nearby::close(&mut hall.sim, ben);
        (0..20).for_each(|_| hall.step());
        for node in [ann, ben] {
            assert!(hall.links(node).1 <= OUTBOUND + INBOUND);
        }
        assert!(hall.is_connected());
    }
}

#[test]
fn sim_a_contact_gets_in_though_every_place_is_held() {
    let mut hall = Hall::new(seed());
    let ann = hall.join("ann");
    let friends: Vec<NodeId> = (0..6).map(|number| hall.join(&format!("friend {number}"))).collect();
    for friend in friends.iter().copied() {
        hall.sim.introduce(ann, friend);
        hall.dial(friend, ann);
        hall.sim.run_for(2 * SECOND);
        assert_eq!(common::contact_states(&mut hall.sim, friend), [ContactState::Established]);
    }
    let last = *friends.last().unwrap();
    hall.sim.cut(hall.wires[&(last, ann)]);
    for _ in 0..20 {
        let eve = hall.fake();
        hall.dial(eve, ann);
    }
    for _ in 0..5 {
        let eve = hall.fake();
        hall.dial(ann, eve);
    }
    hall.sim.run_for(SECOND);
    (0..10).for_each(|_| {
        hall.fakes_speak();
        hall.sim.run_for(SECOND);
    });
    assert_eq!(hall.links(ann), (OUTBOUND, LINKS), "four who dialled, three whom we dialled, five contacts");
    hall.dial(last, ann);
    hall.sim.run_for(SECOND);
    for number in 0..6 {
        assert!(in_reach(&mut hall.sim, ann, &format!("friend {number}")));
    }
    assert_eq!(hall.links(ann).1, LINKS, "one stranger less");
}

#[test]
fn sim_a_stranger_too_many_is_told_so_once_it_is_recognised_as_one() {
    let mut hall = Hall::new(seed());
    let ann = hall.join("ann");
    for _ in 0..INBOUND {
        let eve = hall.fake();
        hall.dial(eve, ann);
    }
    hall.sim.run_for(SECOND);
    hall.fakes_speak();
    let ben = hall.join("ben");
    let heard = common::listen(&mut hall.sim);
    let wire = hall.dial(ben, ann);
    hall.sim.run_for(SECOND);
    assert!(!hall.sim.is_up(wire));
    let said: Vec<Vec<u8>> = heard.borrow().iter().filter(|(node, _)| *node == ann).map(|(_, record)| record.clone()).collect();
    assert_eq!(said, [[0x0f, 5]], "BYE 5 and nothing else");
    assert!(hall.sim.is_crowded(ben, hall.sim.beacon(ann)), "Ben tries others first");
    assert!(!hall.sim.is_crowded(ann, hall.sim.beacon(ben)), "Ann has not dialled");
}

#[test]
fn sim_fake_neighbours_who_hold_every_place_of_strangers_lose_them() {
    let mut hall = Hall::new(seed());
    let ann = hall.join("ann");
    for number in 0..8 {
        let eve = hall.fake();
        if number < INBOUND {
            hall.dial(eve, ann);
        }
    }
    (0..30).for_each(|_| hall.step());
    assert_eq!(hall.links(ann), (OUTBOUND, OUTBOUND + INBOUND));
    let honest: Vec<NodeId> = (0..4).map(|number| hall.join(&format!("honest {number}"))).collect();
    let (mut since, mut linked) = (0, None);
    for second in 0..3 * 3600 {
        hall.step();
        // They come back at once.
        for eve in hall.fakes.clone().into_iter().take(INBOUND) {
            if !hall.is_linked(eve, ann) {
                hall.dial(eve, ann);
            }
        }
        // One that is sent away is linked for a moment only.
        since = if honest.iter().any(|node| hall.is_linked(ann, *node)) { since + 1 } else { 0 };
        if since == 30 {
            linked = Some(second);
            break;
        }
    }
    println!("an honest neighbour that stayed, after {linked:?} s");
    assert!(linked.is_some());
}

#[test]
fn sim_who_brings_the_same_again_and_again_is_of_no_use() {
    let mut hall = Hall::new(seed());
    let ann = hall.join("ann");
    let fakes: Vec<Eve> = (0..INBOUND).map(|_| Eve::dial(&mut hall.sim, ann)).collect();
    let bundle = |number: usize| garbage(number as u64, START_HOUR, Lifetime::Fortnight, 512);
    for (number, eve) in fakes.iter().enumerate() {
        assert_eq!(eve.hand(&mut hall.sim, &[bundle(number)], 0), [Heard::Stored]);
    }
    while fakes.iter().all(|eve| eve.is_there(&hall.sim)) {
        fakes[0].say(&mut hall.sim, &Record::Bundle { age: 0, copies: 255, bytes: bundle(0) });
        hall.sim.run_for(5 * SECOND);
        fakes.iter().for_each(|eve| drop(eve.hear(&mut hall.sim)));
        assert!(hall.sim.elapsed() < 3 * HOUR, "one gives way");
    }
    let stay: Vec<bool> = fakes.iter().map(|eve| eve.is_there(&hall.sim)).collect();
    assert_eq!(stay, [false, true, true, true], "the first, who has brought nothing new for longest");
}

#[test]
fn sim_who_holds_a_pending_link_holds_no_places_for_good() {
    for mode in [Mode::Mesh, Mode::Contacts] {
        let mut hall = Hall::new(seed());
        let ann = hall.join("ann");
        hall.sim.tell(ann, Command::SetMode { mode });
        let leaked = common::invite(&mut hall.sim, ann, 24);
        let link = common::invite(&mut hall.sim, ann, 24);
        let eves: Vec<NodeId> = (0..7).map(|number| hall.join(&format!("eve {number}"))).collect();
        let mut wires = Vec::new();
        let silent = eves.clone();
        // They hold the link, say so, and bring nothing.
        hall.sim.on_transmit(move |node, _, record| !(silent.contains(&node) && [0x02, 0x04, 0x05].contains(&record[0])));
        for eve in &eves {
            common::add(&mut hall.sim, *eve, &leaked).unwrap();
            wires.push(hall.dial(*eve, ann));
            hall.sim.run_for(SECOND);
        }
        let up = |hall: &Hall| wires.iter().filter(|wire| hall.sim.is_up(**wire)).count();
        // Two have the one place, since HELLO settles which of two stays; the others are strangers.
        assert_eq!(up(&hall), if mode == Mode::Mesh { 2 + INBOUND } else { 7 });
        // Who holds another link of hers gets in all the same.
        let ben = hall.join("ben");
        common::add(&mut hall.sim, ben, &link).unwrap();
        hall.dial(ben, ann);
        hall.sim.run_for(3 * SECOND);
        assert_eq!(common::contact_states(&mut hall.sim, ben), [ContactState::Established]);
        assert!(in_reach(&mut hall.sim, ann, "ben"));
        // And in the end all of them are but strangers, or are not there.
        hall.sim.run_for(MINUTE);
        assert_eq!(up(&hall), if mode == Mode::Mesh { INBOUND } else { 0 });
    }
}

#[test]
fn sim_where_nobody_else_is_in_sight_no_link_is_let_go() {
    let mut hall = Hall::new(seed());
    let ann = hall.join("ann");
    hall.sim.inject(ann, Input::Others(TransportKind::Memory, false));
    for _ in 0..OUTBOUND {
        let eve = hall.fake();
        hall.dial(ann, eve);
    }
    for _ in 0..4 * HOUR.as_secs() / 10 {
        hall.sim.run_for(10 * SECOND);
        hall.fakes_speak();
    }
    assert_eq!(hall.links(ann), (OUTBOUND, OUTBOUND));
}
