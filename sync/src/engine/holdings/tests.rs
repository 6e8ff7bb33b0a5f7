use super::*;
use crate::store::memory::MemoryStore;

/// A bundle that shows the commitment of all others here.
fn bundle(number: u8) -> Bundle {
    let mut bytes = vec![number; 512];
    bytes[..8].copy_from_slice(&[1, 0, 3, 0, 0, 7, 0x9c, 0x0e]);
    bytes[24..40].fill(7);
    bytes[40..48].fill(0);
    Bundle::decode(bytes).unwrap()
}

fn with(numbers: std::ops::Range<u8>) -> (Holdings, MemoryStore) {
    let (mut holdings, mut store) = (Holdings { gone_limit: 9, ..Holdings::default() }, MemoryStore::new());
    store.begin().unwrap();
    for number in numbers {
        let origin = if number == 0 { Origin::Own(ContactId(1)) } else { Origin::Contact(ContactId(u32::from(number))) };
        holdings.insert(&mut store, &bundle(number), origin, 0, Hour(498_800)).unwrap();
    }
    (holdings, store)
}

#[test]
fn a_copied_commitment_hides_no_bundle() {
    let (mut holdings, mut store) = with(0..3);
    let commitment = bundle(0).header().commitment;
    assert_eq!(holdings.with_commitment(&commitment, 9).len(), 3);
    holdings.remove(&mut store, &bundle(2).id(), Some((GoneReason::Dropped, [0; 16], Hour(1)))).unwrap();
    holdings.forget_gone(&mut store, &bundle(2).id()).unwrap();
    holdings.remove(&mut store, &bundle(1).id(), None).unwrap();
    assert_eq!(holdings.with_commitment(&commitment, 9), [bundle(0).id()], "the one that is left is still found");
    holdings.forget_contact(&mut store, ContactId(1)).unwrap();
    assert!(holdings.by_commitment.is_empty() && holdings.by_tag.is_empty() && holdings.dropped_by_tag.is_empty(), "nothing stays behind");
}

#[test]
fn own_bundles_are_in_no_set_and_no_pool_until_released_and_then_in_both_sets() {
    let (mut holdings, mut store) = with(0..3);
    let own = bundle(0);
    let sees = |holdings: &Holdings| [false, true].map(|set| holdings.set(set).contains(own.header().created, &own.id()));
    assert_eq!((sees(&holdings), holdings.pools().size().0, holdings.last_sequence()), ([false; 2], 2, 0));
    assert!(holdings.release(&own.id()) && !holdings.release(&own.id()));
    assert_eq!((sees(&holdings), holdings.pools().size().0, holdings.last_sequence()), ([true; 2], 2, 3));
    holdings.remove(&mut store, &own.id(), Some((GoneReason::Acknowledged, [1; 16], Hour(1)))).unwrap();
    assert_eq!((sees(&holdings), holdings.ack_of(&own.id())), ([false; 2], Some([1; 16])));
}

#[test]
fn a_dropped_bundle_fades_for_strangers_after_a_day_and_stays_for_contacts() {
    let (mut holdings, mut store) = with(1..3);
    let dropped = bundle(1);
    holdings.remove(&mut store, &dropped.id(), Some((GoneReason::Dropped, [0; 16], Hour(498_800)))).unwrap();
    let sees = |holdings: &Holdings| [false, true].map(|set| holdings.set(set).contains(dropped.header().created, &dropped.id()));
    holdings.prune_gone(&mut store, Hour(498_823), false).unwrap();
    assert_eq!(sees(&holdings), [true; 2]);
    assert!(holdings.is_told_to_strangers(&dropped.id(), Hour(498_823)) && !holdings.is_told_to_strangers(&dropped.id(), Hour(498_824)));
    holdings.prune_gone(&mut store, Hour(498_824), false).unwrap();
    assert_eq!(sees(&holdings), [false, true]);
}

#[test]
fn what_is_remembered_is_forgotten_when_strangers_have_room_and_when_it_expires_whenever_it_came() {
    let (mut holdings, mut store) = with(1..3);
    let (dropped, first, last) = (bundle(5), bundle(1), bundle(2));
    holdings.insert(&mut store, &dropped, Origin::StrangerInbound, 0, Hour(498_800)).unwrap();
    holdings.remove(&mut store, &dropped.id(), Some((GoneReason::Dropped, [0; 16], Hour(498_800)))).unwrap();
    for (hour, has_room, known) in [(498_823, true, true), (498_824, false, true), (498_825, false, true), (498_825, true, false)] {
        holdings.prune_gone(&mut store, Hour(hour), has_room).unwrap();
        assert_eq!(holdings.known(&dropped.id()).is_some(), known, "at {hour}, with room: {has_room}");
    }
    let expiry = expiry_of(holdings.row(&first.id()).unwrap()).unwrap();
    for bundle in [&first, &last] {
        holdings.prune_gone(&mut store, Hour(expiry.0 - 1), true).unwrap();
        holdings.remove(&mut store, &bundle.id(), Some((GoneReason::Acknowledged, [1; 16], Hour(expiry.0 - 1)))).unwrap();
    }
    let known = |holdings: &Holdings| [&first, &last].map(|bundle| holdings.known(&bundle.id()).is_some());
    assert_eq!(known(&holdings), [true; 2]);
    holdings.prune_gone(&mut store, expiry, true).unwrap();
    assert_eq!(known(&holdings), [false; 2]);
}

#[test]
fn without_a_clock_a_mark_fades_after_a_day_of_running() {
    let (mut holdings, mut store) = with(1..3);
    let dropped = bundle(1);
    let told = |holdings: &Holdings| {
        (holdings.set(false).contains(dropped.header().created, &dropped.id()), holdings.is_told_to_strangers(&dropped.id(), Hour::UNKNOWN))
    };
    holdings.note_running(500);
    holdings.remove(&mut store, &dropped.id(), Some((GoneReason::Dropped, [0; 16], Hour::UNKNOWN))).unwrap();
    for (running, is_told) in [(523, true), (524, false)] {
        holdings.note_running(running);
        holdings.prune_gone(&mut store, Hour::UNKNOWN, false).unwrap();
        assert_eq!(told(&holdings), (is_told, is_told), "after {running} hours");
    }
    assert!(holdings.set(true).contains(dropped.header().created, &dropped.id()), "contacts are told as long as it is remembered");
    // A restart begins the day anew.
    store.commit().unwrap();
    let config = EngineConfig { gone_ids: 9, ..EngineConfig::default() };
    assert_eq!(told(&Holdings::load(&store, &config, Hour::UNKNOWN, 530).unwrap()), (true, true));
}

#[test]
fn what_was_read_without_a_clock_is_told_for_a_week_of_running_and_dated_once_there_is_one() {
    let (mut holdings, mut store) = with(1..3);
    let [read, dropped] = [bundle(1).id(), bundle(2).id()];
    holdings.note_running(500);
    holdings.remove(&mut store, &read, Some((GoneReason::Acknowledged, [9; 16], Hour::UNKNOWN))).unwrap();
    holdings.note_running(506);
    holdings.remove(&mut store, &dropped, Some((GoneReason::Dropped, [0; 16], Hour::UNKNOWN))).unwrap();
    holdings.note_running(510);
    let now = Hour(498_810);
    let told = |holdings: &Holdings, hour| [read, dropped].map(|id| holdings.is_told_to_strangers(&id, hour));
    assert_eq!(told(&holdings, now), [true; 2], "also before they are dated");
    holdings.stamp_gone(&mut store, now).unwrap();
    for (hour, is_told) in [(498_829, [true; 2]), (498_830, [true, false]), (498_967, [true, false]), (498_968, [false; 2])] {
        assert_eq!(told(&holdings, Hour(hour)), is_told, "at {hour}");
    }
    assert_eq!(holdings.acks_since(Hour(498_800), None).collect::<Vec<_>>(), [[9; 16]], "a contact that was met before is told");
    assert_eq!(holdings.acks_since(Hour(498_801), None).count(), 0);
    // A second time changes nothing, and a restart neither.
    holdings.stamp_gone(&mut store, now.plus(24)).unwrap();
    store.commit().unwrap();
    let config = EngineConfig { gone_ids: 9, ..EngineConfig::default() };
    let again = Holdings::load(&store, &config, now, 510).unwrap();
    let dates = |holdings: &Holdings| [read, dropped].map(|id| holdings.gone[&id].row.at);
    assert_eq!((dates(&holdings), dates(&again)), ([Hour(498_800), Hour(498_806)], [Hour(498_800), Hour(498_806)]));
    forget_the_oldest(holdings, &mut store, &read);
}

/// They are forgotten in the order of their dates.
fn forget_the_oldest(mut holdings: Holdings, store: &mut MemoryStore, oldest: &BundleId) {
    store.begin().unwrap();
    holdings.gone_limit = 1;
    holdings.limit_gone(store).unwrap();
    assert!(holdings.known(oldest).is_none() && holdings.gone.len() == 1);
}

#[test]
fn a_slot_is_used_again_and_names_what_it_holds_now() {
    let (mut holdings, mut store) = with(0..3);
    let slot = holdings.slot_of(&bundle(1).id()).unwrap();
    holdings.remove(&mut store, &bundle(1).id(), None).unwrap();
    holdings.insert(&mut store, &bundle(5), Origin::StrangerInbound, 0, Hour(498_800)).unwrap();
    assert_eq!((holdings.slot_of(&bundle(5).id()), holdings.slots()[slot as usize]), (Some(slot), bundle(5).id()));
}

#[test]
fn expired_bundles_are_named_until_they_are_gone_and_later_ones_in_their_time() {
    let (mut holdings, mut store) = with(0..2);
    let expiry = expiry_of(holdings.row(&bundle(0).id()).unwrap()).unwrap();
    let ids = |expired: Vec<(BundleId, Origin, Tag)>| expired.into_iter().map(|(id, ..)| id).collect::<Vec<_>>();
    assert_eq!(holdings.expired(Hour(expiry.0 - 1)), []);
    assert_eq!(holdings.expired(expiry).len(), 2);
    holdings.remove(&mut store, &bundle(0).id(), None).unwrap();
    assert_eq!(ids(holdings.expired(expiry)), [bundle(1).id()]);
    holdings.remove(&mut store, &bundle(1).id(), None).unwrap();
    assert_eq!(holdings.expired(expiry), []);
    holdings.insert(&mut store, &bundle(2), Origin::StrangerInbound, 0, Hour(498_800)).unwrap();
    assert_eq!(ids(holdings.expired(expiry)), [bundle(2).id()], "one that came after the last look");
}

#[test]
fn without_a_created_hour_a_bundle_expires_by_its_age_once_that_counts() {
    let (mut holdings, mut store) = with(0..1);
    let mut bytes = bundle(3).into_bytes();
    bytes[4..8].fill(0);
    let clockless = Bundle::decode(bytes).unwrap();
    holdings.insert(&mut store, &clockless, Origin::StrangerInbound, 0, Hour::UNKNOWN).unwrap();
    assert_eq!(holdings.expired(Hour(400_000)), []);
    holdings.stamp_stored(&mut store, Hour(400_000)).unwrap();
    let expiry = expiry_of(holdings.row(&clockless.id()).unwrap()).unwrap();
    assert_eq!((holdings.expired(Hour(expiry.0 - 1)), holdings.expired(expiry).len()), (vec![], 1));
}
