//! What a person decides about a node: it lasts, takes effect at once on links that are open, and visibility ends by itself.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test: what fails ends it")]

mod common;

use common::{HOUR, MINUTE, SECOND, Two, seed, status};
use hedgerow_sync::{
    engine::{Input, make_visible},
    id::BundleId,
    session::{RECOGNITION_LIST_LEN, Role, SessionInfo},
    sim::{Faults, NodeId, START_MILLIS, Sim},
    store::memory::MemoryStore,
    time::UnixMillis,
    view::{Answer, Command, CommandError, Event, Mode, Settings},
};
use hedgerow_transports::{BeaconId, Direction, Flow, LinkId, LinkProperties, TransportKind};

fn decide(sim: &mut Sim, node: NodeId, command: Command) -> Settings {
    match sim.tell(node, command) {
        Answer::Settings(settings) => settings,
        other => panic!("{other:?}"),
    }
}

fn relay(on: Option<bool>, bytes: Option<u64>, metered: Option<bool>) -> Command {
    Command::SetRelay { on, bytes, metered }
}

#[test]
fn sim_settings_outlive_a_crash() {
    let mut two = Two::strangers(seed(), Faults::NONE);
    let (sim, ann) = (&mut two.sim, two.ann);
    decide(sim, ann, Command::SetMode { mode: Mode::Contacts });
    decide(sim, ann, relay(Some(false), Some(1 << 20), None));
    let before = decide(sim, ann, relay(None, None, Some(true)));
    assert_eq!((before.relay.on, before.relay.bytes, before.relay.metered), (false, 1 << 20, true), "what is absent stays");
    sim.kill(ann);
    sim.revive(ann);
    assert_eq!(decide(sim, ann, Command::Settings {}), before);
    for bytes in [0, (1 << 20) - 1, (1 << 40) + 1, u64::MAX] {
        let refused = sim.ask(ann, relay(Some(true), Some(bytes), None)).unwrap();
        assert!(matches!(refused, Err(CommandError::Range { .. })), "{bytes}");
    }
    assert_eq!(decide(sim, ann, Command::Settings {}), before, "what is refused changes nothing");
}

#[test]
fn sim_a_change_of_what_is_shown_renews_all_links_so_that_none_stands_out() {
    let mut two = Two::contacts(seed());
    let carl = two.sim.node("carl").0;
    let stranger = two.sim.connect(two.ann, carl, Faults::NONE);
    two.sim.run_for(2 * SECOND);
    let ann = two.ann;
    let mut links = [two.wire, stranger].map(|wire| two.sim.link_of(wire, ann));
    assert!(links.iter().all(Option::is_some));
    let mut renewed = |two: &mut Two, command: Command| {
        decide(&mut two.sim, ann, command);
        // Less than half a minute: then links to strangers who are shown nothing end by themselves.
        two.sim.run_for(4 * SECOND);
        let now = [two.wire, stranger].map(|wire| two.sim.link_of(wire, ann));
        assert!(now.iter().all(Option::is_some), "both are linked again");
        let before = std::mem::replace(&mut links, now);
        [now[0] != before[0], now[1] != before[1]]
    };
    // To the contact, to the stranger.
    assert_eq!(renewed(&mut two, Command::SetMode { mode: Mode::Mesh }), [false, false], "nothing changed");
    assert_eq!(renewed(&mut two, Command::SetMode { mode: Mode::Contacts }), [true, true]);
    assert_eq!(renewed(&mut two, relay(Some(false), None, None)), [true, true], "though the stranger was shown nothing before");
    assert_eq!(renewed(&mut two, Command::SetMode { mode: Mode::Mesh }), [false, false], "and still is");
    assert_eq!(renewed(&mut two, relay(Some(true), None, None)), [true, true]);
    assert_eq!(renewed(&mut two, relay(None, Some(1 << 30), Some(true))), [false, false], "neither link costs money");
    assert_eq!(renewed(&mut two, Command::SetVisible { visible: true }), [false, false]);
    // Nothing was lost by all this.
    two.write(two.ann, 2);
    two.sim.run_for(MINUTE);
    two.expect_all(two.ann, 2);
}

#[test]
fn sim_visibility_ends_after_twelve_hours_whatever_the_clock_says() {
    let mut two = Two::strangers(seed(), Faults::NONE);
    let (sim, ann) = (&mut two.sim, two.ann);
    let visible = |sim: &mut Sim| status(sim, ann).shown.visible;
    decide(sim, ann, Command::SetVisible { visible: true });
    sim.run_for(11 * HOUR);
    assert!(visible(sim));
    sim.run_for(HOUR + MINUTE);
    assert!(!visible(sim));

    decide(sim, ann, Command::SetVisible { visible: true });
    for _ in 0..13 {
        // The clock is set back again and again, and the program crashes: each time up to 5 min of running time are forgotten.
        sim.run_for(HOUR + MINUTE);
        sim.set_clock(ann, -1_000 * 3_600_000);
        sim.kill(ann);
        sim.revive(ann);
    }
    assert!(!visible(sim), "a clock set back prolongs nothing");

    sim.set_clock(ann, 0);
    decide(sim, ann, Command::SetVisible { visible: true });
    sim.kill(ann);
    sim.set_clock(ann, 13 * 3_600_000);
    sim.revive(ann);
    assert!(!visible(sim), "a night switched off ends it");

    decide(sim, ann, Command::SetVisible { visible: true });
    assert!(visible(sim));
    decide(sim, ann, Command::SetVisible { visible: false });
    assert!(!visible(sim));
}

/// Ann with three contacts, Ben, Eve and Dora, and a stranger, Carl. Ben and Eve are away, the others are in reach; Ann has written to Ben.
struct Four {
    sim: Sim,
    ann: NodeId,
    carl: NodeId,
    dora: NodeId,
    stores: [MemoryStore; 3],
    for_ben: Vec<BundleId>,
}

impl Four {
    fn new(seed: u64, decide_first: Command) -> Self {
        let mut sim = Sim::new(seed);
        let [(ann, at_ann), (ben, _), (eve, _), (carl, at_carl), (dora, at_dora)] =
            ["ann", "ben", "eve", "carl", "dora"].map(|name| sim.node(name));
        let wires = [ben, eve, dora].map(|other| sim.connect(ann, other, Faults::NONE));
        for other in [ben, eve, dora] {
            sim.introduce(ann, other);
        }
        sim.run_for(2 * MINUTE);
        for wire in &wires[..2] {
            sim.keep_down(*wire);
            sim.cut(*wire);
        }
        decide(&mut sim, ann, decide_first);
        sim.connect(carl, ann, Faults::NONE);
        sim.run_for(MINUTE);
        let before = at_ann.bundle_ids();
        sim.send(ann, "ben", "held for Ben");
        let for_ben: Vec<BundleId> = at_ann.bundle_ids().into_iter().filter(|id| !before.contains(id)).collect();
        assert_eq!(for_ben.len(), 1);
        sim.run_for(20 * MINUTE);
        Self { sim, ann, carl, dora, stores: [at_ann, at_carl, at_dora], for_ben }
    }

    /// Whether Carl and Dora carry what is for Ben.
    fn carry(&self) -> [bool; 2] {
        let [_, carl, dora] = &self.stores;
        [carl, dora].map(|store| store.bundle_ids().contains(&self.for_ben[0]))
    }
}

#[test]
fn sim_contacts_only_shows_strangers_nothing_until_it_is_left() {
    let mut four = Four::new(seed(), Command::SetMode { mode: Mode::Contacts });
    assert_eq!(four.carry(), [false, true], "only a contact carries");
    let heard = common::listen(&mut four.sim);
    four.sim.run_for(20 * MINUTE);
    // HELLO, CURSOR, signs of life, BYE, and nothing else from the stranger, who is asked and offered nothing.
    let kinds: std::collections::BTreeSet<u8> =
        heard.borrow().iter().filter(|(node, _)| *node == four.carl).map(|(_, record)| record[0]).collect();
    assert!(kinds.iter().all(|kind| [0x01, 0x0a, 0x0d, 0x0e, 0x0f].contains(kind)), "{kinds:?}");
    assert!(!status(&mut four.sim, four.carl).neighbours.iter().any(|neighbour| neighbour.carries), "and is told so");
    decide(&mut four.sim, four.ann, Command::SetMode { mode: Mode::Mesh });
    four.sim.run_for(2 * MINUTE);
    assert_eq!(four.carry(), [true, true], "the link is renewed, and the stranger carries");
    assert!(status(&mut four.sim, four.carl).neighbours.iter().all(|neighbour| neighbour.carries));
}

#[test]
fn sim_who_has_dialled_a_stranger_for_nothing_leaves_him_alone_until_more_is_shown() {
    // Whichever of the two shows nothing: Ann has dialled.
    for closed in [0, 1] {
        let mut two = Two::strangers(seed(), Faults::NONE);
        let (ann, ben) = (two.ann, two.ben);
        let [at_ann, at_ben] = [ann, ben].map(|node| two.sim.beacon(node));
        let told = |two: &Two| [two.sim.is_useless(ann, at_ben), two.sim.is_useless(ben, at_ann)];
        two.sim.run_for(2 * MINUTE);
        assert_eq!(told(&two), [false; 2], "strangers who carry are of use to each other");
        decide(&mut two.sim, [ann, ben][closed], Command::SetMode { mode: Mode::Contacts });
        two.sim.run_for(20 * SECOND);
        assert_eq!(told(&two), [false; 2], "a link that is renewed says nothing");
        two.sim.run_for(MINUTE);
        assert_eq!(told(&two), [true, false], "only what was dialled is known");
        decide(&mut two.sim, ann, Command::SetMode { mode: Mode::Mesh });
        two.sim.run_for(SECOND);
        assert_eq!(told(&two)[0], closed == 1, "she looks anew once she shows more");
    }
}

#[test]
fn sim_a_node_that_does_not_relay_shows_contacts_only_what_is_between_them() {
    let mut four = Four::new(seed(), relay(Some(false), None, None));
    four.sim.send(four.ann, "dora", "for Dora herself");
    four.sim.run_for(20 * MINUTE);
    assert_eq!(four.carry(), [false, false]);
    assert_eq!(common::texts(&mut four.sim, four.dora, "ann"), ["for Dora herself"]);
    decide(&mut four.sim, four.ann, relay(Some(true), None, None));
    four.sim.run_for(2 * MINUTE);
    assert_eq!(four.carry(), [true, true], "the links are renewed, and both carry");
    // What was given cannot be taken back; what comes from now on stays.
    decide(&mut four.sim, four.ann, relay(Some(false), None, None));
    let before = four.stores[0].bundle_ids();
    four.sim.send(four.ann, "ben", "for Ben as well");
    four.for_ben = four.stores[0].bundle_ids().into_iter().filter(|id| !before.contains(id)).collect();
    four.sim.run_for(20 * MINUTE);
    assert_eq!(four.carry(), [false, false]);
}

#[test]
fn sim_less_space_takes_effect_at_once() {
    let mut four = Four::new(seed(), Command::Settings {});
    for number in 0..400 {
        for away in ["ben", "eve"] {
            four.sim.send(four.ann, away, &format!("{number} {}", "x".repeat(3_000)));
        }
    }
    four.sim.run_for(20 * MINUTE);
    let held = status(&mut four.sim, four.dora).relay;
    assert!(held.carried_bytes > 1 << 20, "{held:?}");
    decide(&mut four.sim, four.dora, relay(None, Some(1 << 20), None));
    let left = status(&mut four.sim, four.dora).relay;
    assert!(left.carried_bytes <= 1 << 20 && left.carried_bytes > 0, "{left:?}");
    assert_eq!(left.carried_bytes, left.from_contacts_bytes + left.from_strangers_inbound_bytes + left.from_strangers_outbound_bytes);
}

fn claimed(sim: &mut Sim, node: NodeId) -> Vec<Option<String>> {
    status(sim, node).neighbours.into_iter().map(|neighbour| neighbour.claimed_name).collect()
}

#[test]
fn sim_a_name_is_told_while_visible_and_no_longer() {
    let mut two = Two::strangers(seed(), Faults::NONE);
    let (ann, ben) = (two.ann, two.ben);
    two.sim.run_for(2 * SECOND);
    assert_eq!(claimed(&mut two.sim, ben), [None]);
    two.sim.take_events(ben);
    let heard = common::listen(&mut two.sim);
    for _ in 0..3 {
        decide(&mut two.sim, ann, Command::SetVisible { visible: true });
        two.sim.run_for(SECOND);
    }
    assert_eq!(claimed(&mut two.sim, ben), [Some("ann".to_owned())], "on a link that is open too");
    assert_eq!(claimed(&mut two.sim, ann), [None], "Ben stays hidden");
    let told = two.sim.take_events(ben).into_iter();
    let told: Vec<_> = told.filter_map(|event| if let Event::Neighbour(neighbour) = event { Some(neighbour) } else { None }).collect();
    assert!(told.len() == 1 && told[0].claimed_name.as_deref() == Some("ann") && told[0].name.is_none());
    let renew = |two: &mut Two| {
        two.sim.cut(two.wire);
        two.sim.mend(two.wire);
        two.sim.run_for(2 * SECOND);
    };
    renew(&mut two);
    assert_eq!(claimed(&mut two.sim, ben), [Some("ann".to_owned())]);
    let names = heard.borrow().iter().filter(|(_, record)| record[0] == 0x10).count();
    assert_eq!(names, 2, "once a session");

    two.sim.inject(ann, Input::NetworkChanged(TransportKind::Lan));
    assert!(!status(&mut two.sim, ann).shown.visible);
    assert_eq!(common::notices(&mut two.sim, ann), ["hidden"]);
    renew(&mut two);
    assert_eq!(claimed(&mut two.sim, ben), [None], "another network was not meant");

    decide(&mut two.sim, ann, Command::SetVisible { visible: true });
    two.sim.run_for(12 * HOUR + MINUTE);
    renew(&mut two);
    assert_eq!(claimed(&mut two.sim, ben), [None], "nor another day");
}

#[test]
fn sim_a_profile_that_was_made_visible_is_so_where_it_first_runs_and_nowhere_else() {
    let mut sim = Sim::new(seed());
    let (ann, store) = sim.node("ann");
    sim.kill(ann);
    let mut store = store.handle();
    store.reopen();
    make_visible(&mut store, UnixMillis(START_MILLIS)).unwrap();
    sim.revive(ann);
    let joins = |sim: &mut Sim| {
        sim.inject(ann, Input::NetworkChanged(TransportKind::Lan));
        status(sim, ann).shown.visible
    };
    assert!(joins(&mut sim), "this is the network that was meant");
    sim.kill(ann);
    sim.revive(ann);
    assert!(status(&mut sim, ann).shown.visible);
    assert!(!joins(&mut sim), "and nobody knows whether this is the same");
    assert!(!joins(&mut sim));
}

#[test]
fn sim_a_name_is_not_told_to_an_address_that_was_given() {
    let mut sim = Sim::new(seed());
    let ann = sim.node("ann").0;
    decide(&mut sim, ann, Command::SetVisible { visible: true });
    let heard = common::listen(&mut sim);
    let names = |heard: &common::Heard| heard.borrow().iter().filter(|(_, record)| record[0] == 0x10).count();
    // A link to somebody who answers as a stranger: dialled by its beacon, by an address, or the other side has dialled.
    let cases = [(Direction::Outbound, true, 1), (Direction::Outbound, false, 0), (Direction::Inbound, false, 1)];
    for (number, (direction, by_beacon, told)) in cases.into_iter().enumerate() {
        let (link, before) = (LinkId(1_000 + number as u64), names(&heard));
        let properties = LinkProperties {
            kind: TransportKind::Memory,
            direction,
            dialled: by_beacon.then_some(BeaconId([7; 8])),
            flow: Flow::Duplex,
            rate: 1_000_000,
            latency_ms: 1,
            metered: false,
        };
        let role = Role::from(direction);
        sim.inject(ann, Input::Handshaken { link, properties, info: SessionInfo { role, hash: [number as u8; 32], version: 1 } });
        sim.inject(ann, Input::PeerList { link, list: Box::new([0; RECOGNITION_LIST_LEN]) });
        sim.inject(ann, Input::Open { link, recognised: false });
        decide(&mut sim, ann, Command::SetVisible { visible: true });
        assert_eq!(names(&heard) - before, told, "{direction:?}, by beacon: {by_beacon}");
    }
}

#[test]
fn sim_a_second_name_or_a_hostile_one_ends_the_link_and_no_contact_is_renamed() {
    let name = |text: &[u8]| {
        let mut record = vec![0x10, text.len() as u8];
        record.extend_from_slice(text);
        record.resize(52, 0);
        record
    };
    let cases: [&[&[u8]]; 4] = [&[b"eve", b"eve"], &[b"e\x1b[2Jve"], &["ev\u{202e}e".as_bytes()], &[b""]];
    for names in cases {
        let mut two = Two::strangers(seed(), Faults::NONE);
        two.sim.keep_down(two.wire);
        two.sim.run_for(2 * SECOND);
        two.sim.possess(two.ben);
        for text in names {
            assert!(two.sim.is_up(two.wire));
            two.sim.send_raw(two.wire, two.ben, &name(text));
            two.sim.run_for(SECOND);
        }
        assert!(!two.sim.is_up(two.wire), "{names:?}");
    }
    // A contact that calls itself otherwise is still called as before.
    let mut two = Two::contacts(seed());
    two.sim.possess(two.ben);
    two.sim.send_raw(two.wire, two.ben, &name(b"dora"));
    two.sim.run_for(SECOND);
    let status = status(&mut two.sim, two.ann);
    assert_eq!(status.neighbours[0].name.as_deref(), Some("ben"));
    assert_eq!(status.neighbours[0].claimed_name.as_deref(), Some("dora"));
}
