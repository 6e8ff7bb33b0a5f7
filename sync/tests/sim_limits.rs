//! What one contact may fill.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test: what fails ends it")]

mod common;

use common::{SECOND, Two, seed, status};
use hedgerow_sync::{
    id::{Commitment, Tag},
    sim::START_MILLIS,
    time::UnixMillis,
    wire::{
        bundle::{BundleHeader, Class, Lifetime},
        record::{COPIES_UNLIMITED, Record, Refusal},
    },
};

/// A bundle that nobody can open.
fn garbage(number: u32) -> Vec<u8> {
    let mut tag = [7; 16];
    tag[..4].copy_from_slice(&number.to_be_bytes());
    let header = BundleHeader {
        class: Class::Normal,
        lifetime: Lifetime::Month,
        created: UnixMillis(START_MILLIS).hour(),
        tag: Tag(tag),
        commitment: Commitment(tag),
    };
    let mut bytes = header.encode().to_vec();
    bytes.resize(4096, 9);
    bytes
}

/// Ben hands 1,100 bundles of 4 KiB to Ann; how many she stored, and how many she refused for lack of room.
fn hand_over_garbage(two: &mut Two) -> (usize, usize) {
    two.sim.possess(two.ben);
    for number in 0..1_100 {
        let record = Record::Bundle { age: 0, copies: COPIES_UNLIMITED, bytes: garbage(number) };
        two.sim.send_raw(two.wire, two.ben, &record.encode());
        two.sim.run_for(SECOND / 50);
    }
    let (mut stored, mut refused) = (0, 0);
    for record in two.sim.take_records(two.ben) {
        match Record::decode(&record) {
            Ok(Record::Stored(ids)) => stored += ids.len(),
            Ok(Record::Refused(ids)) => {
                assert!(ids.iter().all(|(_, reason)| *reason == Refusal::Room), "{ids:?}");
                refused += ids.len();
            }
            _ => {}
        }
    }
    assert_eq!(stored + refused, 1_100, "each is answered");
    (stored, refused)
}

#[test]
fn sim_where_nothing_is_carried_a_contacts_garbage_is_refused_above_four_mebibytes() {
    let mut two = Two::contacts(seed());
    two.stop_relaying();
    let before = status(&mut two.sim, two.ann).bundle_bytes;
    let (stored, _) = hand_over_garbage(&mut two);
    assert!((1_000..=1_024).contains(&stored), "{stored}");
    assert!(status(&mut two.sim, two.ann).bundle_bytes <= before + (4 << 20));
}

/// Whether somebody else can open it is not for a carrier to know.
#[test]
fn sim_a_carrier_takes_more_of_a_contact_than_it_could_open() {
    let mut two = Two::contacts(seed());
    let before = status(&mut two.sim, two.ann).bundle_bytes;
    assert_eq!(hand_over_garbage(&mut two), (1_100, 0));
    assert_eq!(status(&mut two.sim, two.ann).bundle_bytes, before + 1_100 * 4096);
}
