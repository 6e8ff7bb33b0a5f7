//! How many are dialled, and how fast, where there are many.

use std::net::Ipv6Addr;

use super::{super::pace::*, *};

/// A dialler with these neighbours in sight, all due, that wants so many.
fn wanting(neighbours: usize, count: u64) -> (Dialler, Instant) {
    let (mut dialler, now) = dialler(0);
    (0..count).for_each(|index| assert!(dialler.seen(BeaconId(index.to_be_bytes()), far_at(index), now)));
    dialler.want(Wanted { neighbours, contacts: true });
    dialler.pace.probe_at = now + FIRST_DELAY_MAX + PROBE_AFTER;
    (dialler, now + FIRST_DELAY_MAX)
}

#[test]
fn no_more_are_dialled_than_are_wanted() {
    let (mut dialler, now) = wanting(3, 10);
    let dialled: Vec<_> = (0..3).map(|_| dialler.next(true, now).unwrap()).collect();
    assert_eq!(dialler.next(true, now), None);
    for (target, addresses) in &dialled {
        dialler.connected(*target, addresses[0], now);
    }
    assert_eq!(dialler.next(true, now), None, "they may stay");
    dialler.linked(beacon_of(dialled[0].0), now);
    dialler.want(Wanted { neighbours: 2, contacts: true });
    assert_eq!(dialler.next(true, now), None, "two may stay");
    dialler.failed(dialled[1].0, now);
    assert!(dialler.next(true, now).is_some());
    let later = now + BRIEF_LINK - Duration::from_millis(1);
    assert!(dialler.next_due(true, later).unwrap() <= now + BRIEF_LINK, "one of which nothing is heard counts for a while only");
}

#[test]
fn when_enough_are_linked_new_neighbours_are_dialled_now_and_then_and_once() {
    let (mut dialler, mut now) = wanting(0, 5);
    let mut dialled = BTreeSet::new();
    for _ in 0..5 {
        assert_eq!(dialler.next(true, now), None);
        now = dialler.next_due(true, now).unwrap();
        let (target, addresses) = dialler.next(true, now).unwrap();
        assert!(dialled.insert(target));
        dialler.connected(target, addresses[0], now);
        dialler.crowded(beacon_of(target), now);
        dialler.ended(target, Duration::from_millis(50), now);
        assert_eq!(dialler.next(true, now), None);
    }
    assert_eq!(dialler.next_due(true, now), None, "each beacon once");
    dialler.look_anew();
    assert!(dialler.next_due(true, now).is_some(), "and once more if others may be recognised");
    dialler.entries.values_mut().for_each(|entry| entry.passed = true);
    dialler.seen(A, at(1), now);
    assert!(dialler.next_due(true, now).is_some());
    dialler.want(Wanted { neighbours: 0, contacts: false });
    assert_eq!(dialler.next_due(true, now), None, "no place even for a contact");
    dialler.want(Wanted { neighbours: 1, contacts: true });
    let (target, addresses) = dialler.next(true, now + FIRST_DELAY_MAX).unwrap();
    assert_eq!(beacon_of(target), A, "who was not dialled before comes first");
    // A link that was held and broke is dialled anew at once, even while no more are wanted: it may have been a contact's.
    dialler.connected(target, addresses[0], now);
    dialler.linked(A, now);
    dialler.want(Wanted { neighbours: 0, contacts: true });
    dialler.free(A, now);
    dialler.ended(target, Duration::from_secs(60), now);
    assert!(dialler.next_due(true, now).unwrap() <= now + BACK_OFF_MIN);
}

/// A neighbour whose link was kept for a while, and the dialler that held it.
fn linked_for(lifetime: Duration) -> (Dialler, Target, Instant) {
    let (mut dialler, now) = wanting(3, 1);
    let (target, addresses) = dialler.next(true, now).unwrap();
    dialler.connected(target, addresses[0], now);
    dialler.link_opened(addresses[0].ip());
    dialler.linked(beacon_of(target), now);
    (dialler, target, now + lifetime)
}

fn end(dialler: &mut Dialler, target: Target, now: Instant) {
    dialler.link_closed(far_at(0)[0].ip(), now);
    dialler.ended(target, Duration::from_secs(45), now);
    dialler.free(beacon_of(target), now);
}

#[test]
fn a_neighbour_whose_link_was_of_no_use_is_left_alone_for_minutes() {
    for word_first in [true, false] {
        let (mut dialler, target, now) = linked_for(Duration::from_secs(45));
        if word_first {
            dialler.useless(beacon_of(target), now);
            end(&mut dialler, target, now);
        } else {
            end(&mut dialler, target, now);
            dialler.useless(beacon_of(target), now);
        }
        // Whatever else would make it due: a link that its device dials and that ends, its records, a new address.
        dialler.inbound(far_at(0)[0].ip(), now);
        dialler.link_opened(far_at(0)[0].ip());
        dialler.link_closed(far_at(0)[0].ip(), now + Duration::from_secs(45));
        dialler.seen(beacon_of(target), [far_at(0), at(1)].concat(), now + Duration::from_secs(46));
        dialler.network_changed(now + Duration::from_secs(47));
        assert_eq!(dialler.next_due(true, now), Some(now + REST.mul_f64(0.75)), "word first: {word_first}");
        assert!(!dialler.has_others(now) && dialler.has_others(now + REST), "nobody gives way for it meanwhile");
        assert_eq!(dialler.next(true, now + REST).map(|(target, _)| target), Some(target));
    }
}

#[test]
fn a_neighbour_that_was_of_no_use_is_dialled_at_once_if_it_may_be_recognised() {
    let (mut dialler, target, now) = linked_for(Duration::from_secs(45));
    dialler.useless(beacon_of(target), now);
    end(&mut dialler, target, now);
    dialler.look_anew();
    assert!(dialler.next_due(true, now).unwrap() <= now + BACK_OFF_MIN);
    // Or if it was recognised when it dialled us, and that link broke.
    dialler.useless(beacon_of(target), now);
    dialler.linked(beacon_of(target), now);
    dialler.free(beacon_of(target), now);
    assert!(dialler.next_due(true, now).unwrap() <= now + BACK_OFF_MIN);
}

#[test]
fn a_neighbour_without_a_place_for_us_is_tried_ever_more_rarely() {
    for word_first in [true, false] {
        let (mut dialler, target, mut now) = linked_for(Duration::from_secs(45));
        let mut pauses = Vec::new();
        for _ in 0..6 {
            if word_first {
                dialler.crowded(beacon_of(target), now);
                end(&mut dialler, target, now);
            } else {
                end(&mut dialler, target, now);
                dialler.crowded(beacon_of(target), now);
            }
            let due = dialler.next_due(true, now).unwrap();
            pauses.push((due - now).as_secs());
            now = due;
            let (target, addresses) = dialler.next(true, now).unwrap();
            dialler.connected(target, addresses[0], now);
            dialler.link_opened(addresses[0].ip());
        }
        assert_eq!(pauses, [48, 96, 192, 384, 450, 450], "word first: {word_first}");
    }
}

#[test]
fn who_has_looked_at_us_is_not_looked_at_again() {
    let (mut dialler, now) = wanting(0, 3);
    let later = now + PROBE_AFTER_MAX;
    for index in 0..3 {
        dialler.visited(far_at(index)[0].ip(), Duration::from_secs(60));
    }
    assert!(dialler.next_due(true, later).is_some(), "links that lasted say nothing");
    dialler.visited(far_at(0)[0].ip(), Duration::from_millis(30));
    dialler.visited(far_at(1)[0].ip(), Duration::from_millis(30));
    let (target, _) = dialler.next(true, later).unwrap();
    assert_eq!(beacon_of(target), BeaconId(2_u64.to_be_bytes()));
    dialler.ended(target, Duration::from_secs(60), later);
    dialler.linked(BeaconId(2_u64.to_be_bytes()), later);
    dialler.visited(far_at(2)[0].ip(), Duration::from_millis(30));
    assert!(!dialler.entries[&target].passed, "one link too many to a neighbour that is linked");
    dialler.free(BeaconId(2_u64.to_be_bytes()), later);
    dialler.seen(A, far_at(2), later);
    dialler.visited(far_at(2)[0].ip(), Duration::from_millis(30));
    assert!(dialler.next_due(true, later).is_some(), "of two on one device nobody knows which it was");
}

#[test]
fn where_nobody_has_a_place_dialling_slows_down_until_somebody_has() {
    let (mut dialler, start) = wanting(3, 100);
    let (mut now, mut attempts) = (start, 0);
    while now < start + Duration::from_secs(120) {
        match dialler.next(true, now) {
            Some((target, addresses)) => {
                dialler.connected(target, addresses[0], now);
                dialler.crowded(beacon_of(target), now);
                dialler.ended(target, Duration::from_millis(50), now);
                attempts += 1;
            }
            None => now = dialler.next_due(true, now).unwrap(),
        }
    }
    assert!((10..=70).contains(&attempts), "{attempts} in two minutes");
    let (target, _) = dialler.next(true, now + CROWDED_PAUSE_MAX).unwrap();
    dialler.linked(beacon_of(target), now);
    assert_eq!(dialler.pace.until, now);
}

/// Has everybody who is dialled say that it has no place until `honest` is dialled, and tells when that was.
fn until_dialled(dialler: &mut Dialler, honest: BeaconId, mut now: Instant) -> Instant {
    loop {
        let Some((target, addresses)) = dialler.next(true, now) else {
            now = dialler.next_due(true, now).unwrap();
            continue;
        };
        if beacon_of(target) == honest {
            return now;
        }
        dialler.connected(target, addresses[0], now);
        dialler.crowded(beacon_of(target), now);
        dialler.ended(target, Duration::from_millis(20), now);
    }
}

#[test]
fn one_host_without_a_place_slows_nobody_down() {
    for addresses in [at(1), v6_at(1)] {
        let (mut dialler, now) = dialler(0);
        for index in 0..16_u64 {
            let mut of_it = addresses.clone();
            if let SocketAddr::V6(v6) = &mut of_it[0] {
                v6.set_ip(Ipv6Addr::from_bits(v6.ip().to_bits() + u128::from(index)));
            }
            dialler.seen(BeaconId(index.to_be_bytes()), of_it, now);
        }
        let now = now + FIRST_DELAY_MAX;
        for _ in 0..2 {
            let (target, addresses) = dialler.next(true, now).unwrap();
            dialler.connected(target, addresses[0], now);
            dialler.crowded(beacon_of(target), now);
            dialler.ended(target, Duration::from_millis(20), now);
            if addresses[0].is_ipv4() {
                break;
            }
        }
        dialler.seen(A, at(2), now);
        assert_eq!(until_dialled(&mut dialler, A, now), now, "who is at a site that has not refused comes first");
        assert_eq!(dialler.pace.until, now - FIRST_DELAY_MAX);
    }
}

#[test]
fn refusals_of_whom_we_never_reached_slow_nobody_down() {
    let (mut dialler, now) = wanting(3, 20);
    (0..20_u64).for_each(|index| dialler.crowded(BeaconId(index.to_be_bytes()), now));
    assert!(dialler.pace.crowded.is_empty() && dialler.pace.until < now);
}

#[test]
fn whom_we_never_dialled_waits_three_seconds_at_most() {
    let (mut dialler, mut now) = wanting(3, 40);
    for _ in 0..30 {
        now = dialler.next_due(true, now).unwrap();
        let (target, addresses) = dialler.next(true, now).unwrap();
        dialler.connected(target, addresses[0], now);
        dialler.crowded(beacon_of(target), now);
        dialler.ended(target, Duration::from_millis(20), now);
    }
    assert!(dialler.pace.until > now + CROWDED_PAUSE_NEW);
    assert!(dialler.next_due(true, now).unwrap() <= now + CROWDED_PAUSE_NEW);
}
