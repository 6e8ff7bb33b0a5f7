//! Several neighbours at one address, and addresses that are not their own.

use super::{super::addresses::*, *};

#[test]
fn a_neighbours_next_beacon_brings_no_second_link() {
    let (mut dialler, now) = dialler(0);
    dialler.seen(A, at(1), now);
    dialler.next(true, now).unwrap();
    dialler.connected(Target::Beacon(A), at(1)[0], now);
    dialler.link_opened(at(1)[0].ip());
    dialler.linked(A, now);
    // B is A's next beacon; while A's records have not lapsed, B might be another node on the same device. The families' addresses come
    // one after the other.
    dialler.seen(B, v6_at(1), now);
    dialler.seen(B, [v6_at(1), at(1)].concat(), now);
    assert_eq!(dialler.next_due(true, now), Some(now + LAPSE));
    dialler.gone(A);
    assert_eq!(dialler.next_due(true, now), None);
    // The link ends: B is dialled at once.
    dialler.link_closed(at(1)[0].ip(), now);
    dialler.free(A, now);
    assert_eq!(dialler.next(true, now + FIRST_DELAY_MAX).unwrap().0, Target::Beacon(B));
}

#[test]
fn two_neighbours_on_one_device_are_both_dialled() {
    let (mut dialler, now) = dialler(0);
    dialler.seen(A, at(1), now);
    dialler.seen(B, at(1), now);
    let (first, _) = dialler.next(true, now).unwrap();
    dialler.connected(first, at(1)[0], now);
    dialler.link_opened(at(1)[0].ip());
    assert_eq!(dialler.next_due(true, now), Some(now + ADDRESS_PAUSE));
    assert!(dialler.next(true, now + ADDRESS_PAUSE).is_some());
}

#[test]
fn an_address_is_dialled_once_a_second_under_however_many_names() {
    let (mut dialler, start) = dialler(0);
    dialler.random = jitter;
    let (mut now, mut attempts) = (start, 0_u32);
    while now < start + Duration::from_secs(20) {
        // The names come anew all the time, and two of them say goodbye in between.
        for index in 0..20_u64 {
            dialler.seen(BeaconId(index.to_be_bytes()), at(1), now);
        }
        if let Some((target, _)) = dialler.next(true, now) {
            attempts += 1;
            dialler.failed(target, now);
            dialler.gone(beacon_of(target));
        }
        now += Duration::from_millis(50);
    }
    assert!((15..=21).contains(&attempts), "{attempts} in 20 s");
}

#[test]
fn who_alternates_a_neighbours_addresses_gains_no_dials() {
    let (mut dialler, start) = dialler(0);
    let (mut now, mut attempts) = (start, 0_u32);
    while now < start + Duration::from_secs(60) {
        dialler.seen(A, at(1 + u8::try_from(now.duration_since(start).as_millis() / 100 % 2).unwrap()), now);
        if let Some((target, _)) = dialler.next(true, now) {
            attempts += 1;
            dialler.failed(target, now);
        }
        now += Duration::from_millis(100);
    }
    assert!(attempts <= 9, "{attempts} in a minute: 0.25 s doubling to 30 s");
}

#[test]
fn nobody_is_put_off_by_a_linked_strangers_address_among_its_own() {
    let (mut dialler, now) = dialler(0);
    dialler.link_opened(at(6)[0].ip());
    dialler.linked(B, now);
    dialler.seen(A, [at(1), at(6)].concat(), now);
    assert!(dialler.next_due(true, now).unwrap() <= now + FIRST_DELAY_MAX);
    // With none but the stranger's it waits, once: what comes later doesn't lengthen it.
    dialler.gone(A);
    for later in [0, 40, 80, 120].map(Duration::from_secs) {
        dialler.seen(A, at(6), now + later);
        dialler.seen(B, at(6), now + later);
        assert_eq!(dialler.next_due(true, now + later), Some(now + LAPSE));
        dialler.seen(A, [at(6), v6_at(1)].concat(), now + later);
    }
    // Whom we had reached elsewhere is dialled there again.
    dialler.gone(A);
    dialler.seen(A, at(1), now);
    assert_eq!(visit(&mut dialler, Duration::from_secs(60), now), Target::Beacon(A));
    dialler.gone(B);
    dialler.seen(A, at(6), now);
    assert!(dialler.next_due(true, now).unwrap() <= now + BACK_OFF_MIN);
}

#[test]
fn attempts_within_one_ipv6_network_leave_room_for_others() {
    let (mut dialler, now) = dialler(0);
    (0..10).for_each(|index: u64| assert!(dialler.seen(BeaconId(index.to_be_bytes()), v6_at(index as u16), now)));
    let dialled: Vec<_> = std::iter::from_fn(|| dialler.next(true, now)).collect();
    assert_eq!(dialled.len(), MAX_ATTEMPTS_IN_NETWORK);
    dialler.seen(A, [at(1), v6_at(77)].concat(), now);
    assert_eq!(dialler.next(true, now), Some((Target::Beacon(A), at(1))));
    assert_eq!(dialler.next_due(true, now), Some(now + ATTEMPT_MAX));
    dialler.failed(dialled[0].0, now);
    assert!(dialler.next(true, now).is_some());
}
