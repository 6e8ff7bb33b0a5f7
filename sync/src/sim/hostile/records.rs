//! What hostile nodes say: records that mean nothing, and bundles that nobody can open.

use rand_core::Rng;

use crate::{
    id::{BeaconId, Commitment, ShortId, Tag},
    time::Hour,
    wire::{
        bundle::{BUNDLE_HEADER_LEN, BUNDLE_SIZES, BundleHeader, Class, Lifetime},
        record::{Hello, MAX_RECORD_IDS, Record, WINDOW_RANGE, encode_bitmap},
    },
};

/// Longest record of random bytes.
const MAX_GARBAGE: u32 = 1_024;

/// HELLO of a node that carries, with a beacon of its own.
pub(in super::super) fn hello(rng: &mut impl Rng, hour: Hour) -> Record {
    Record::Hello(Hello { beacon: BeaconId(random(rng)), hour, window: *WINDOW_RANGE.end(), carries: true })
}

/// Asks for everything of an offer, or for nothing.
pub(in super::super) fn pick(batch: u16, count: usize, all: bool) -> Record {
    Record::Pick { batch, wanted: encode_bitmap((0..count).map(|_| all)) }
}

/// A bundle of random bytes under a good header.
pub(super) fn garbage_bundle(rng: &mut impl Rng, hour: Hour) -> Vec<u8> {
    let size = BUNDLE_SIZES.get(rng.next_u32() as usize % BUNDLE_SIZES.len()).copied().unwrap_or(BUNDLE_SIZES[0]);
    let mut bytes = vec![0; size];
    rng.fill_bytes(&mut bytes);
    let header = BundleHeader {
        class: if rng.next_u32().is_multiple_of(2) { Class::Urgent } else { Class::Normal },
        lifetime: Lifetime::at_least(rng.next_u32() % Lifetime::Month.hours()),
        created: hour,
        tag: Tag(random(rng)),
        commitment: Commitment(random(rng)),
    };
    bytes.splice(..BUNDLE_HEADER_LEN, header.encode());
    bytes
}

/// Random bytes; a type that exists with a random body; a good record that means nothing here.
pub(super) fn garbage_record(rng: &mut impl Rng) -> Vec<u8> {
    let choice = rng.next_u32() % 8;
    let mut bytes = vec![0; 1 + (rng.next_u32() % MAX_GARBAGE) as usize];
    rng.fill_bytes(&mut bytes);
    let ids = (0..=rng.next_u32() as usize % MAX_RECORD_IDS).map(|_| ShortId(random(rng)));
    match choice {
        0 => bytes,
        1 | 2 => {
            if let Some(kind) = bytes.first_mut() {
                *kind = 1 + *kind % 17;
            }
            bytes
        }
        3 => Record::Want(ids.collect()).encode(),
        4 => Record::Offer { batch: 0, ids: ids.collect() }.encode(),
        5 => Record::Ack(ids.map(|_| [7; 16]).collect()).encode(),
        6 => Record::Stored(ids.collect()).encode(),
        _ => Record::Bundle { age: 9, copies: 1, bytes }.encode(),
    }
}

fn random<const N: usize>(rng: &mut impl Rng) -> [u8; N] {
    let mut bytes = [0; N];
    rng.fill_bytes(&mut bytes);
    bytes
}
