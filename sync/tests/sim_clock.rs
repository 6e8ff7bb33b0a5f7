//! Clocks that are wrong, jump or stand still: nothing that people need is destroyed, and what is over goes in the end.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test: what fails ends it")]

mod common;

use common::{DAY, HOUR, MINUTE, SECOND, Two, seed, states, status, texts};
use hedgerow_sync::{
    sim::{NodeId, START_MILLIS},
    view::{ClockSource, Event, MessageState},
};

const HOUR_MILLIS: i64 = 3_600_000;
const YEAR_MILLIS: i64 = 8_766 * HOUR_MILLIS;
/// To 1970.
const TO_1970: i64 = -(START_MILLIS as i64);

/// Switches a node off for so long; virtual time goes on for all.
fn switch_off(two: &mut Two, node: NodeId, hours: u32) {
    two.sim.kill(node);
    two.sim.run_for(HOUR * hours);
    two.sim.revive(node);
}

/// Ann and Ben, apart; Ann's clock has settled, and she has just written three messages.
fn three_waiting() -> Two {
    let mut two = Two::contacts(seed());
    two.sim.run_for(26 * HOUR);
    two.sim.cut(two.wire);
    two.write(two.ann, 3);
    two
}

#[test]
fn sim_messages_expire_after_their_fortnight() {
    let mut two = three_waiting();
    two.sim.run_for(13 * DAY);
    assert_eq!(states(&mut two.sim, two.ann, "ben"), [MessageState::Queued; 3]);
    two.sim.run_for(2 * DAY);
    assert_eq!(states(&mut two.sim, two.ann, "ben"), [MessageState::Expired; 3]);
}

#[test]
fn sim_a_laptop_switched_off_every_night_lets_things_expire_within_days() {
    let mut two = three_waiting();
    for _ in 0..14 {
        two.sim.run_for(8 * HOUR);
        let ann = two.ann;
        switch_off(&mut two, ann, 16);
    }
    assert_eq!(states(&mut two.sim, two.ann, "ben"), [MessageState::Queued; 3], "not early");
    for _ in 0..7 {
        two.sim.run_for(8 * HOUR);
        let ann = two.ann;
        switch_off(&mut two, ann, 16);
    }
    assert_eq!(states(&mut two.sim, two.ann, "ben"), [MessageState::Expired; 3]);
}

#[test]
fn sim_a_year_forward_and_a_restart_destroy_nothing_for_a_day_of_running_time() {
    let mut two = three_waiting();
    two.sim.take_events(two.ann);
    two.sim.set_clock(two.ann, YEAR_MILLIS);
    two.sim.run_for(2 * HOUR);
    let noticed = |event: &Event| matches!(event, Event::Notice { kind, .. } if kind == "clock_jump");
    assert_eq!(two.sim.take_events(two.ann).iter().filter(|event| noticed(event)).count(), 1);
    for _ in 0..20 {
        two.sim.kill(two.ann);
        two.sim.revive(two.ann);
        two.sim.run_for(HOUR);
    }
    assert_eq!(states(&mut two.sim, two.ann, "ben"), [MessageState::Queued; 3]);
    // Whoever sets it right within the day has lost nothing.
    two.sim.set_clock(two.ann, 0);
    two.sim.run_for(2 * DAY);
    two.sim.mend(two.wire);
    two.sim.run_for(10 * SECOND);
    two.expect_all(two.ann, 3);
}

#[test]
fn sim_a_clock_that_stays_a_year_ahead_is_believed_after_a_day() {
    let mut two = three_waiting();
    two.sim.set_clock(two.ann, YEAR_MILLIS);
    two.sim.run_for(27 * HOUR);
    assert_eq!(states(&mut two.sim, two.ann, "ben"), [MessageState::Expired; 3]);
}

#[test]
fn sim_a_contact_at_2100_moves_nobodys_clock_and_still_talks() {
    let mut two = Two::contacts(seed());
    two.sim.set_clock(two.ben, 73 * YEAR_MILLIS);
    two.sim.cut(two.wire);
    two.sim.run_for(MINUTE);
    two.sim.mend(two.wire);
    two.sim.run_for(10 * SECOND);
    let clock = status(&mut two.sim, two.ann).clock;
    assert_eq!((clock.source, clock.hour), (ClockSource::System, Some((START_MILLIS as i64 / HOUR_MILLIS) as u32)));
    // Ben goes by his contact.
    let clock = status(&mut two.sim, two.ben).clock;
    assert_eq!((clock.source, clock.hour), (ClockSource::Contacts, Some((START_MILLIS as i64 / HOUR_MILLIS) as u32)));
    two.write(two.ann, 2);
    two.write(two.ben, 2);
    two.sim.run_for(10 * SECOND);
    two.expect_all(two.ann, 2);
    two.expect_all(two.ben, 2);
}

#[test]
fn sim_two_clocks_at_1970_still_deliver_and_what_is_left_expires_once_there_is_a_clock() {
    let mut two = Two::strangers(seed(), hedgerow_sync::sim::Faults::NONE);
    for (node, _) in two.sides() {
        two.sim.set_clock(node, TO_1970);
        two.sim.kill(node);
        two.sim.revive(node);
    }
    two.sim.introduce(two.ann, two.ben);
    two.sim.run_for(10 * SECOND);
    assert_eq!(status(&mut two.sim, two.ann).clock.source, ClockSource::Unknown);
    two.write(two.ann, 3);
    two.write(two.ben, 3);
    two.sim.run_for(10 * SECOND);
    two.expect_all(two.ann, 3);
    two.expect_all(two.ben, 3);
    let held = status(&mut two.sim, two.ann).bundles;
    assert!(held > 0, "acks are still to come");

    // Parted before any ack is told: without a created hour the bundles would stay for ever.
    two.sim.kill(two.ben);
    two.sim.run_for(20 * DAY);
    two.sim.set_clock(two.ann, 0);
    two.sim.run_for(10 * DAY);
    two.sim.kill(two.ann);
    two.sim.revive(two.ann);
    two.sim.run_for(22 * DAY);
    assert_eq!(status(&mut two.sim, two.ann).bundles, 0);
    assert_eq!(texts(&mut two.sim, two.ann, "ben").len(), 3, "messages stay");
}

#[test]
fn sim_a_clock_set_back_a_year_does_not_keep_acks_for_a_year() {
    let mut two = Two::contacts(seed());
    two.sim.run_for(6 * HOUR);
    let held = |two: &mut Two| status(&mut two.sim, two.ann).bundles + status(&mut two.sim, two.ben).bundles;
    let before = held(&mut two);
    for (node, _) in two.sides() {
        two.sim.set_clock(node, YEAR_MILLIS);
    }
    two.write(two.ann, 3);
    two.sim.run_for(MINUTE);
    assert!(held(&mut two) >= before + 6);
    for (node, _) in two.sides() {
        two.sim.set_clock(node, 0);
    }
    two.sim.run_for(6 * HOUR);
    two.expect_all(two.ann, 3);
    assert!(held(&mut two) <= before, "{} held, {before} before", held(&mut two));
}
