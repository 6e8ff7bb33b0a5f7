//! What a person decides about a node: it lasts, takes effect at once on links that are open, and visibility ends by itself.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test: what fails ends it")]

mod common;

use common::{HOUR, MINUTE, SECOND, Two, seed, status};
use hedgerow_sync::{
    sim::{Faults, NodeId, Sim},
    view::{Answer, Command, CommandError, Mode, Settings},
};

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
fn sim_a_change_renews_the_links_that_it_concerns_and_no_others() {
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
    assert_eq!(renewed(&mut two, Command::SetMode { mode: Mode::Contacts }), [false, true]);
    assert_eq!(renewed(&mut two, relay(Some(false), None, None)), [true, false], "the stranger was shown nothing before");
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
