//! Which neighbours are remembered.

use super::{super::addresses::*, super::sightings::*, *};

/// As many neighbours as are remembered, at addresses of their own.
fn fill(dialler: &mut Dialler, now: Instant) {
    for index in 0..MAX_BEACONS as u64 {
        assert!(dialler.seen(BeaconId(index.to_be_bytes()), far_at(index), now));
    }
}

#[test]
fn invented_neighbours_whose_links_end_at_once_make_room() {
    let (mut dialler, now) = dialler(0);
    dialler.random = || u32::MAX;
    fill(&mut dialler, now);
    assert!(!dialler.seen(A, at(2), now), "none was of no use yet, and the lot falls on the new one");
    let (target, addresses) = dialler.next(true, now + FIRST_DELAY_MAX).unwrap();
    dialler.connected(target, addresses[0], now);
    dialler.ended(target, Duration::from_secs(1), now);
    assert!(dialler.seen(A, at(2), now));
    assert_eq!(dialler.beacons().count(), MAX_BEACONS);
}

#[test]
fn invented_neighbours_neither_fill_the_table_nor_push_out_the_good() {
    let (mut dialler, now) = dialler(0);
    dialler.random = || u32::MAX;
    fill(&mut dialler, now);
    assert!(!dialler.seen(A, at(1), now));
    let now = now + FIRST_DELAY_MAX;
    let (target, _) = dialler.next(true, now).unwrap();
    dialler.failed(target, now);
    assert!(dialler.seen(A, at(1), now));
    assert_eq!(dialler.beacons().count(), MAX_BEACONS);
    assert!(!dialler.entries.contains_key(&target));
}

#[test]
fn neighbours_not_seen_again_are_swept() {
    let (mut dialler, now) = dialler(1);
    dialler.seen(A, at(1), now);
    dialler.seen(B, at(2), now);
    dialler.forget_sightings();
    dialler.seen(B, at(2), now);
    assert_eq!(dialler.sweep(), [A]);
    assert_eq!(dialler.sweep(), []);
    assert!(dialler.gone(B) && !dialler.gone(B));
}

#[test]
fn one_address_has_few_of_the_places_once_it_was_reached() {
    let (mut dialler, mut now) = dialler(0);
    for index in 0..MAX_BEACONS_AT_ADDRESS as u64 {
        assert!(dialler.seen(BeaconId(index.to_be_bytes()), at(1), now));
    }
    while let Some((target, addresses)) = dialler.next(true, now) {
        dialler.connected(target, addresses[0], now);
        now += ADDRESS_PAUSE;
    }
    let targets: Vec<_> = dialler.entries.keys().copied().collect();
    targets.into_iter().for_each(|target| dialler.ended(target, BRIEF_LINK, now));
    assert!(!dialler.seen(A, at(1), now), "all are of use");
    assert!(dialler.seen(A, at(2), now));
    dialler.gone(A);
    dialler.entries.values_mut().next().unwrap().brief_links = 1;
    assert!(dialler.seen(A, at(1), now) && !dialler.entries.contains_key(&Target::Beacon(BeaconId([0; 8]))));
}

#[test]
fn names_that_list_others_addresses_keep_nobody_out() {
    let (mut dialler, mut now) = dialler(0);
    let victims: Vec<SocketAddr> = (1..9).flat_map(at).collect();
    for index in 0..MAX_BEACONS_AT_ADDRESS as u64 {
        assert!(dialler.seen(BeaconId(index.to_be_bytes()), victims.clone(), now));
    }
    assert!(dialler.seen(A, at(1), now) && dialler.seen(B, at(8), now), "a claim counts for nothing");
    dialler.gone(A);
    // Even where the victim itself answers, to a name that isn't its own.
    for _ in 0..2 * MAX_BEACONS_AT_ADDRESS {
        now += ATTEMPT_MAX;
        visit(&mut dialler, Duration::from_millis(20), now);
    }
    assert!(dialler.seen(A, at(1), now));
}

#[test]
fn of_many_neighbours_those_remembered_are_chosen_by_lot() {
    let (mut dialler, now) = dialler(0);
    dialler.random = jitter;
    let count = 2 * MAX_BEACONS as u64;
    for index in 0..count {
        dialler.seen(BeaconId(index.to_be_bytes()), far_at(index), now);
    }
    assert_eq!(dialler.beacons().count(), MAX_BEACONS);
    let late = dialler.beacons().filter(|(beacon, _)| u64::from_be_bytes(beacon.0) >= count / 2).count();
    // Half of them, within six standard deviations.
    assert!((80..=176).contains(&late), "{late}");
}
