//! The table of neighbours: helpers of these tests, and the life of one that is dialled.

mod addresses;
mod crowd;
mod sightings;

use super::{neighbour::*, *};

const A: BeaconId = BeaconId([1; 8]);
const B: BeaconId = BeaconId([2; 8]);
const MANY: Wanted = Wanted { neighbours: 100, contacts: true };

fn dialler(fixed: usize) -> (Dialler, Instant) {
    #[expect(clippy::disallowed_methods, reason = "any instant will do; none can be made otherwise")]
    let now = Instant::from_std(std::time::Instant::now());
    (Dialler::new(fixed, MANY, now, || 0), now)
}

fn at(last: u8) -> Vec<SocketAddr> {
    vec![SocketAddr::from(([10, 0, 0, last], 4000))]
}

fn v6_at(last: u16) -> Vec<SocketAddr> {
    vec![SocketAddr::from(([0xfd00, 0, 0, 0, 0, 0, 0, last], 4000))]
}

/// The address of the neighbour of this number, among many.
fn far_at(number: u64) -> Vec<SocketAddr> {
    vec![SocketAddr::from(([10, 1, (number >> 8) as u8, number as u8], 4000))]
}

/// Dials whoever is next, over its first address, for a link of that lifetime.
fn visit(dialler: &mut Dialler, lifetime: Duration, now: Instant) -> Target {
    let (target, addresses) = dialler.next(true, now).unwrap();
    dialler.connected(target, addresses[0], now);
    dialler.ended(target, lifetime, now);
    target
}

/// A generator for tests that need spread, not secrecy.
fn jitter() -> u32 {
    use std::cell::Cell;
    thread_local!(static STATE: Cell<u64> = const { Cell::new(7) });
    STATE.with(|state| {
        state.set(state.get().wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407));
        (state.get() >> 32) as u32
    })
}

fn beacon_of(target: Target) -> BeaconId {
    match target {
        Target::Beacon(beacon) => beacon,
        Target::Fixed(_) => panic!("not a neighbour"),
    }
}

#[test]
fn a_neighbour_is_dialled_once_and_not_while_its_link_lives() {
    let (mut dialler, now) = dialler(0);
    assert!(dialler.seen(A, at(1), now));
    assert!(!dialler.seen(A, at(1), now));
    assert_eq!(dialler.next(true, now), Some((Target::Beacon(A), at(1))));
    assert_eq!(dialler.next(true, now), None);
    dialler.connected(Target::Beacon(A), at(1)[0], now);
    assert_eq!(dialler.next_due(true, now), None);
    dialler.ended(Target::Beacon(A), Duration::from_secs(60), now);
    assert!(dialler.next_due(true, now).unwrap() <= now + BACK_OFF_MIN);
}

#[test]
fn a_linked_neighbour_waits_until_it_is_free() {
    let (mut dialler, now) = dialler(0);
    dialler.linked(A, now);
    dialler.seen(A, at(1), now);
    assert_eq!(dialler.next(true, now + Duration::from_secs(9)), None);
    dialler.free(A, now);
    assert!(dialler.next(true, now + FIRST_DELAY_MAX).is_some());
}

#[test]
fn without_room_only_the_owners_addresses_are_dialled() {
    let (mut dialler, now) = dialler(1);
    dialler.seen(A, at(1), now);
    assert_eq!(dialler.next(false, now).unwrap().0, Target::Fixed(0));
    assert_eq!(dialler.next(false, now), None);
    assert_eq!(dialler.next_due(false, now), None);
}

#[test]
fn pauses_double_up_to_their_limit_and_end_with_the_networks_change() {
    for (target, longest) in [(Target::Beacon(A), BACK_OFF_MAX), (Target::Fixed(0), BACK_OFF_MAX_FIXED)] {
        let (mut dialler, start) = dialler(usize::from(target == Target::Fixed(0)));
        if target == Target::Beacon(A) {
            dialler.seen(A, at(1), start);
        }
        let (mut now, mut pauses) = (start, Vec::new());
        for _ in 0..20 {
            assert_eq!(dialler.next(true, now).map(|(target, _)| target), Some(target));
            dialler.failed(target, now);
            let due = dialler.next_due(true, now).unwrap();
            pauses.push(due - now);
            now = due;
        }
        assert_eq!(pauses[0], BACK_OFF_MIN.mul_f64(0.75));
        assert!(pauses.is_sorted());
        assert_eq!(pauses[19], longest.mul_f64(0.75));
        dialler.next(true, now);
        dialler.failed(target, now);
        dialler.network_changed(now);
        assert!(dialler.next_due(true, now).unwrap() <= now + FIRST_DELAY_MAX);
    }
}

#[test]
fn jitter_stays_within_a_quarter() {
    assert_eq!(back_off(0, BACK_OFF_MAX, 0), Duration::from_micros(187_500));
    assert_eq!(back_off(0, BACK_OFF_MAX, u32::MAX), Duration::from_micros(312_500));
    assert_eq!(back_off(u32::MAX, BACK_OFF_MAX, u32::MAX), Duration::from_micros(37_500_000));
}

#[test]
fn an_address_whose_links_end_at_once_is_dialled_ever_more_rarely() {
    let (mut dialler, mut now) = dialler(1);
    let mut last = Duration::ZERO;
    for _ in 0..12 {
        dialler.next(true, now).unwrap();
        dialler.connected(Target::Fixed(0), at(1)[0], now);
        dialler.ended(Target::Fixed(0), Duration::from_millis(20), now);
        let due = dialler.next_due(true, now).unwrap();
        assert!(due - now >= last);
        last = due - now;
        now = due;
    }
    assert_eq!(last, BACK_OFF_MAX_BRIEF.mul_f64(0.75));
    dialler.next(true, now).unwrap();
    dialler.ended(Target::Fixed(0), Duration::ZERO, now);
    dialler.free(B, now);
    assert_eq!(dialler.next_due(true, now), Some(now + BACK_OFF_MIN));
}

#[test]
fn a_fixed_address_is_not_dialled_beside_a_link_to_the_same_place() {
    let (mut dialler, now) = dialler(1);
    dialler.next(true, now).unwrap();
    dialler.connected(Target::Fixed(0), at(1)[0], now);
    dialler.ended(Target::Fixed(0), Duration::ZERO, now);
    dialler.seen(A, at(1), now);
    dialler.linked(A, now);
    assert_eq!(dialler.next_due(true, now), None);
    dialler.free(A, now);
    assert!(dialler.next_due(true, now).is_some());
}

#[test]
fn a_neighbour_that_has_just_dialled_us_is_left_alone_for_a_moment_once() {
    let (mut dialler, now) = dialler(0);
    dialler.seen(A, at(1), now);
    dialler.inbound(at(2)[0].ip(), now);
    assert_eq!(dialler.next_due(true, now), Some(now));
    dialler.inbound(at(1)[0].ip(), now);
    assert_eq!(dialler.next_due(true, now), Some(now + INBOUND_PAUSE));
    dialler.inbound(at(1)[0].ip(), now + INBOUND_PAUSE / 2);
    assert_eq!(dialler.next_due(true, now), Some(now + INBOUND_PAUSE));
}

#[test]
fn only_so_many_changes_of_the_network_undo_what_failed() {
    let (mut dialler, mut now) = dialler(0);
    dialler.seen(A, at(1), now);
    let mut undone = 0_u32;
    for _ in 0..600 {
        dialler.entries.values_mut().for_each(|entry| entry.failures = 9);
        dialler.network_changed(now);
        undone += u32::from(dialler.entries.values().all(|entry| entry.failures == 0));
        now += Duration::from_secs(1);
    }
    assert_eq!(undone, RESETS_AT_ONCE + 9, "the first few, and one a minute");
}

#[test]
fn the_order_of_dialling_is_random() {
    let mut firsts = BTreeSet::new();
    for _ in 0..100 {
        let (mut dialler, now) = dialler(0);
        dialler.random = jitter;
        (0..10).for_each(|index: u64| assert!(dialler.seen(BeaconId(index.to_be_bytes()), far_at(index), now)));
        let (target, _) = dialler.next(true, now + FIRST_DELAY_MAX).unwrap();
        firsts.insert(target);
    }
    assert_eq!(firsts.len(), 10);
}
