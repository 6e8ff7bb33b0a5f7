//! What attackers hand on: bundles that nobody can open.

use std::{collections::BTreeMap, time::Duration};

use rand_chacha::ChaCha20Rng;
use rand_core::Rng;

use super::FLOOD_FACTOR;
use crate::{
    id::{BundleId, Commitment, Tag},
    reconcile::ItemSet,
    sim::{draw::between, workload::Workload},
    time::Hour,
    wire::bundle::{BUNDLE_HEADER_LEN, BundleHeader, Class, Lifetime, MAX_BUNDLE_LEN, body_capacity, size_for},
};

/// What a message takes in its bundle beside its text, bytes (guess: kind, number, receipts).
const TEXT_OVERHEAD: usize = 64;

/// When an attacker makes which bundle: as large as the letters of a workload, within their span.
pub(super) struct Supply {
    /// Latest first.
    due: Vec<(Duration, usize)>,
}

impl Supply {
    /// Nothing, ever.
    pub(super) const fn none() -> Self {
        Self { due: Vec::new() }
    }

    /// One attacker's part, the `turn`-th of `of`, of so many times the bundles that the workload makes.
    pub(super) fn of(workload: &Workload, [turn, of]: [usize; 2], rng: &mut ChaCha20Rng) -> Self {
        let created = || workload.letters.iter().map(|letter| letter.created);
        let (first, last) = (created().min().unwrap_or(0), created().max().unwrap_or(0));
        let copies = workload.letters.iter().flat_map(|letter| [letter.size as usize; FLOOD_FACTOR]);
        let own = copies.enumerate().filter(|(place, _)| place % of.max(1) == turn);
        let mut due = Vec::new();
        for (_, size) in own {
            let at = Duration::from_secs(between(rng, first, last).into());
            due.extend(bundles_of(size).map(|size| (at, size)));
        }
        due.sort_unstable_by(|one, other| other.cmp(one));
        Self { due }
    }

    /// The size of a bundle that is to be made by now, if there is one.
    pub(super) fn next(&mut self, now: Duration) -> Option<usize> {
        self.due.pop_if(|(at, _)| *at <= now).map(|(_, size)| size)
    }
}

/// The bundles that a letter of so many bytes becomes: one, or a manifest and chunks.
fn bundles_of(letter: usize) -> impl Iterator<Item = usize> {
    let small = size_for(letter + TEXT_OVERHEAD);
    let chunks = if small.is_some() { 0 } else { letter.div_ceil(body_capacity(MAX_BUNDLE_LEN)) };
    std::iter::once(small.unwrap_or(MAX_BUNDLE_LEN)).chain(std::iter::repeat_n(MAX_BUNDLE_LEN, chunks))
}

/// A bundle of so many bytes under a tag that nobody expects.
pub(super) fn unopenable(size: usize, class: Class, hour: Hour, rng: &mut ChaCha20Rng) -> Vec<u8> {
    let (mut tag, mut commitment) = ([0; 16], [0; 16]);
    rng.fill_bytes(&mut tag);
    rng.fill_bytes(&mut commitment);
    let header = BundleHeader { class, lifetime: Lifetime::Fortnight, created: hour, tag: Tag(tag), commitment: Commitment(commitment) };
    under(&header.encode(), size, rng)
}

/// A bundle of so many bytes: this header, and garbage.
pub(super) fn under(header: &[u8], size: usize, rng: &mut ChaCha20Rng) -> Vec<u8> {
    let mut bytes = vec![0; size.max(BUNDLE_HEADER_LEN)];
    rng.fill_bytes(&mut bytes);
    bytes.splice(..BUNDLE_HEADER_LEN, header.iter().copied().take(BUNDLE_HEADER_LEN));
    bytes
}

/// One bundle that is to be handed on, and how old it is said to be.
pub(super) struct Held {
    pub(super) age: u16,
    pub(super) bytes: Vec<u8>,
}

/// What an attacker holds to hand on.
#[derive(Default)]
pub(super) struct Stock {
    pub(super) set: ItemSet,
    held: BTreeMap<BundleId, Held>,
}

impl Stock {
    /// Takes a bundle in; its id, unless it is held already or is no bundle.
    pub(super) fn take(&mut self, age: u16, bytes: Vec<u8>) -> Option<BundleId> {
        let bundle = crate::wire::bundle::Bundle::decode(bytes).ok()?;
        let (id, header) = (bundle.id(), *bundle.header());
        if self.held.contains_key(&id) {
            return None;
        }
        self.set.insert(header.created, id, header.expiry(), true);
        self.held.insert(id, Held { age, bytes: bundle.bytes().to_vec() });
        Some(id)
    }

    pub(super) fn bundle(&self, id: &BundleId) -> Option<&Held> {
        self.held.get(id)
    }

    pub(super) fn contains(&self, id: &BundleId) -> bool {
        self.held.contains_key(id)
    }

    pub(super) fn len(&self) -> usize {
        self.held.len()
    }
}
