use std::time::Duration;

use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use super::*;
use crate::{
    crypto::identity::Name,
    engine::create_profile,
    id::{Commitment, Tag},
    store::memory::MemoryStore,
    time::UnixMillis,
    wire::bundle::{Bundle, BundleHeader, Lifetime},
};

const ANN: Origin = Origin::Contact(ContactId(1));
const BEN: Origin = Origin::Contact(ContactId(2));
const IN: Origin = Origin::StrangerInbound;
const OUT: Origin = Origin::StrangerOutbound;
/// A hundred chunks: a hundredth is one.
const SPACE: u64 = 100 * 4096;

fn now(hours: u64) -> Now {
    let span = Duration::from_secs(hours * 3600);
    Now { mono: Instant::from_origin(span), wall: UnixMillis(1_795_327_200_000 + span.as_millis() as u64) }
}

struct Room {
    engine: Engine,
    number: u32,
}

impl Room {
    fn with(relay: RelayPolicy) -> Self {
        let mut store = Box::new(MemoryStore::new());
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        create_profile(store.as_mut(), &Name::new("carol").unwrap(), &mut rng).unwrap();
        let config = EngineConfig { relay, ..EngineConfig::default() };
        let mut engine = Engine::open(config, store, Box::new(rng), 1, now(0)).unwrap();
        engine.begin().unwrap();
        engine.policy.relay.bytes = SPACE;
        Self { engine, number: 0 }
    }

    fn new() -> Self {
        Self::with(RelayPolicy::Standard)
    }

    /// Takes a bundle in as a link would; its id, if there is room.
    fn take(&mut self, origin: Origin, size: usize, hours: u64) -> Option<BundleId> {
        self.number += 1;
        let mut tag = [0; 16];
        tag[..4].copy_from_slice(&self.number.to_be_bytes());
        let created = now(hours).wall.hour();
        let (class, lifetime) = (Class::Normal, Lifetime::Week);
        let header = BundleHeader { class, lifetime, created, tag: Tag(tag), commitment: Commitment(tag) };
        let mut bytes = header.encode().to_vec();
        bytes.resize(size, 7);
        let bundle = Bundle::decode(bytes).unwrap();
        if let Some(pool) = Pool::of(origin)
            && !self.engine.make_room(now(hours), pool, size as u64).unwrap()
        {
            return None;
        }
        let engine = &mut self.engine;
        engine.holdings.insert(engine.store.as_mut(), &bundle, origin, 0, created).unwrap();
        Some(bundle.id())
    }

    fn flood(&mut self, origin: Origin, size: usize, count: usize) -> Vec<BundleId> {
        (0..count).filter_map(|_| self.take(origin, size, 0)).collect()
    }

    fn chunks(&self, origin: Origin) -> u64 {
        self.engine.holdings.pools().bytes_in(Pool::of(origin).unwrap()) / 4096
    }

    fn held(&self, ids: &[BundleId]) -> usize {
        ids.iter().filter(|id| self.engine.holdings.row(id).is_some()).count()
    }
}

#[test]
fn strangers_may_fill_all_that_is_free_and_a_contact_displaces_them_at_once() {
    let mut room = Room::new();
    room.flood(IN, 4096, 100);
    assert_eq!(room.chunks(IN), 100, "what nobody uses is anybody's");
    for brought in 1..=20 {
        assert!(room.take(ANN, 4096, 0).is_some());
        assert_eq!((room.chunks(ANN), room.chunks(IN)), (brought, 100 - brought));
    }
}

#[test]
fn a_flood_leaves_everybody_else_within_his_share_untouched() {
    for flood in [IN, OUT, ANN] {
        let mut room = Room::new();
        let others: Vec<(Origin, usize)> =
            [(IN, 15), (OUT, 15), (ANN, 20), (BEN, 20)].into_iter().filter(|(origin, _)| *origin != flood).collect();
        // The flood is there before them, comes between them, and goes on afterwards.
        room.flood(flood, 4096, 150);
        let honest: Vec<BundleId> = others
            .iter()
            .flat_map(|(origin, count)| {
                let ids = room.flood(*origin, 4096, *count);
                room.flood(flood, 512, 50);
                ids
            })
            .collect();
        room.flood(flood, 4096, 300);
        room.flood(flood, 512, 2000);
        assert_eq!(room.held(&honest), honest.len(), "a flood of {flood:?}");
        assert_eq!(room.engine.holdings.pools().size().1, SPACE);
    }
}

#[test]
fn who_is_furthest_over_the_share_displaces_only_what_is_his() {
    let mut room = Room::new();
    room.flood(IN, 4096, 60);
    let theirs = room.flood(OUT, 4096, 40);
    let more = room.flood(IN, 4096, 10);
    assert_eq!((room.held(&theirs), room.chunks(IN)), (40, 60), "inbound is further over its share");
    assert!(room.held(&more) <= 10 && !more.is_empty());
    room.flood(OUT, 4096, 10);
    assert_eq!((room.chunks(IN), room.chunks(OUT)), (50, 50), "until both are as far over it");
}

#[test]
fn of_a_pool_chunks_give_way_before_small_ones_and_those_of_the_hour_that_brought_most() {
    let mut room = Room::new();
    let early = [room.take(IN, 4096, 1), room.take(IN, 4096, 2)].map(Option::unwrap);
    let small: Vec<BundleId> = (0..16).filter_map(|_| room.take(IN, 512, 3)).collect();
    (0..200).for_each(|_| {
        room.take(IN, 4096, 4);
    });
    assert_eq!((room.held(&early), room.held(&small)), (2, 16), "the flood of an hour displaces what came in that hour");
    // A flood of small ones takes the chunks' room, and then its own.
    (0..2000).for_each(|_| {
        room.take(IN, 512, 5);
    });
    assert_eq!((room.held(&early), room.held(&small)), (0, 16));
}

#[test]
fn under_steady_pressure_an_hour_keeps_room_by_the_inverse_square_of_its_age() {
    let mut room = Room::new();
    let brought: Vec<Vec<BundleId>> = (1..=24).map(|hour| (0..100).filter_map(|_| room.take(IN, 4096, hour)).collect()).collect();
    let kept: Vec<usize> = brought.iter().rev().map(|ids| room.held(ids)).collect();
    assert_eq!(kept.iter().sum::<usize>(), 100);
    assert_eq!(kept[..4], [68, 16, 7, 4], "1, 1/4, 1/9, 1/16 of what the newest keeps, but for what is less than one chunk");
}

#[test]
fn what_a_flood_of_an_hour_leaves_behind_goes_before_what_comes_later() {
    let mut room = Room::new();
    let before: Vec<BundleId> = (1..=10).flat_map(|hour| [hour; 10]).filter_map(|hour| room.take(IN, 4096, hour)).collect();
    let flood: Vec<BundleId> = (0..1000).filter_map(|_| room.take(IN, 4096, 11)).collect();
    let kept = room.held(&before);
    assert!(kept >= 25, "a flood of ten times the room has left {kept} of 100");
    let after: Vec<BundleId> = (0..60).filter_map(|_| room.take(IN, 4096, 15)).collect();
    assert_eq!(room.held(&after), 60);
    assert!(room.held(&flood) < 20, "{} of the flood are left", room.held(&flood));
}

#[test]
fn own_bundles_give_way_to_nobody_and_take_no_room() {
    let mut room = Room::new();
    let own: Vec<BundleId> = (0..200).filter_map(|_| room.take(Origin::Own(ContactId(1)), 4096, 0)).collect();
    room.flood(IN, 4096, 300);
    assert_eq!((room.held(&own), room.chunks(IN)), (200, 100));
}

#[test]
fn a_bundle_larger_than_the_room_is_refused_and_displaces_nothing() {
    let mut room = Room::new();
    room.engine.policy.relay.bytes = 4000;
    let small = room.take(IN, 2048, 0).unwrap();
    assert_eq!(room.take(ANN, 4096, 0), None);
    assert_eq!(room.held(&[small]), 1);
}

#[test]
fn without_pools_a_flood_displaces_everybody() {
    let mut room = Room::with(RelayPolicy::EpidemicOldest);
    let honest = room.flood(OUT, 4096, 15);
    room.flood(IN, 4096, 150);
    assert_eq!(room.held(&honest), 0);
    assert_eq!(room.engine.holdings.pools().bytes_in(Pool::Common), SPACE);
}

#[test]
fn a_quiet_day_may_be_made_up_for_at_once_and_no_more() {
    let config = EngineConfig::default();
    let half = config.stranger_bytes_a_day / 2;
    let mut buckets = Buckets::default();
    let mut available = |hours: u64, taken: u64| {
        let bytes = buckets.available(now(hours).mono, TransportKind::Lan, Direction::Inbound, &config);
        buckets.take(TransportKind::Lan, Direction::Inbound, taken);
        bytes
    };
    assert_eq!(available(0, half), half);
    assert_eq!(available(0, 0), 0);
    assert_eq!(available(6, half / 4), half / 4);
    assert_eq!(available(6 + 1000, 0), half, "never more than a day's");
}

proptest! {
    /// Whoever brings what: the room is kept, and nobody within his share loses anything.
    #[test]
    fn nobody_within_his_share_loses_anything(steps in prop::collection::vec((0usize..4, 0usize..4, 0u64..30), 1..400)) {
        let mut room = Room::new();
        let origins = [(IN, 15), (OUT, 15), (ANN, 20), (BEN, 20)];
        for (who, size, hours) in steps {
            let before = origins.map(|(origin, _)| room.engine.holdings.pools().bytes_in(Pool::of(origin).unwrap()));
            room.take(origins[who].0, [512, 1024, 2048, 4096][size], hours);
            prop_assert!(room.engine.holdings.pools().size().1 <= SPACE);
            for (index, (origin, share)) in origins.into_iter().enumerate() {
                let bytes = room.engine.holdings.pools().bytes_in(Pool::of(origin).unwrap());
                prop_assert!(bytes >= before[index] || before[index] > share * SPACE / 100 || index == who);
            }
        }
    }
}
