//! Tests of the comparison, and what they share.

mod budget;
mod changes;
mod difference;
mod hostile;
mod tree;
mod vectors;
mod work;

use std::collections::BTreeSet;

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

use super::*;
use crate::{
    id::{BundleId, ShortId},
    session::ShortIds,
    time::Hour,
};

/// The handshake hash of the tests' sessions.
const SESSION: [u8; 32] = [0x5e; 32];

/// An hour of 2026.
const NOW: Hour = Hour(496_000);

/// Everything is shown.
const OPEN: SessionView = SessionView { cut: Hour(0), empty: false };

/// A source whose first draw decides whether the first question has random bounds.
fn rng(random_bounds: bool) -> ChaCha20Rng {
    (0..).map(ChaCha20Rng::seed_from_u64).find(|rng| rng.clone().next_u32().is_multiple_of(16) == random_bounds).unwrap()
}

fn random_id(rng: &mut ChaCha20Rng) -> BundleId {
    let mut id = [0; 32];
    rng.fill_bytes(&mut id);
    BundleId(id)
}

/// What two nodes found, and what it cost.
#[derive(Default)]
struct Outcome {
    /// Found by the initiator and by the responder.
    findings: [Vec<Finding>; 2],
    /// Bodies of both directions, in the order in which they were sent; `true` from the initiator.
    records: Vec<(bool, Vec<u8>)>,
    /// How often the direction changed.
    trips: usize,
    /// What the initiator and the responder did for it.
    steps: [u64; 2],
}

impl Outcome {
    /// Bytes of RANGES records with their type, and 8 for each id that is wanted or offered.
    fn bytes(&self) -> usize {
        let records: usize = self.records.iter().map(|(_, body)| body.len() + 1).sum();
        records + 8 * (self.findings[0].len() + self.findings[1].len())
    }
}

/// Lets two nodes compare their sets until both are done.
fn reconcile_views(sets: [&ItemSet; 2], views: [SessionView; 2], rng: &mut ChaCha20Rng) -> Outcome {
    let [mut initiator, mut responder] = [Reconciler::new(SESSION, true, views[0]), Reconciler::new(SESSION, false, views[1])];
    assert!(!initiator.is_done() && !responder.is_done());
    initiator.start(sets[0], rng);
    let mut outcome = Outcome::default();
    loop {
        let before = outcome.records.len();
        for (from, to) in [(true, 1), (false, 0)] {
            let (sender, receiver) = if from { (&mut initiator, &mut responder) } else { (&mut responder, &mut initiator) };
            let bodies: Vec<_> = std::iter::from_fn(|| sender.poll_record()).collect();
            outcome.trips += usize::from(!bodies.is_empty());
            for body in bodies {
                assert!(body.len() <= MAX_BODY_LEN);
                outcome.findings[to].extend(receiver.handle_ranges(&body, sets[to]).unwrap());
                outcome.records.push((from, body));
            }
        }
        if outcome.records.len() == before {
            break;
        }
    }
    assert!(initiator.is_done() && responder.is_done(), "both know that they are done");
    outcome.steps = [initiator.steps(), responder.steps()];
    outcome
}

fn reconcile(sets: [&ItemSet; 2], rng: &mut ChaCha20Rng) -> Outcome {
    reconcile_views(sets, [OPEN; 2], rng)
}

/// The short ids of this session for some ids.
fn shorts<'a>(ids: impl IntoIterator<Item = &'a BundleId>) -> BTreeSet<ShortId> {
    let shorts = ShortIds::new(&SESSION);
    ids.into_iter().map(|id| shorts.short(id)).collect()
}

#[test]
fn cut_follows_the_later_of_two_close_clocks() {
    assert_eq!(cut_hour(Hour(100), Hour(110)), Hour(112));
    assert_eq!(cut_hour(Hour(110), Hour(100)), Hour(112));
    assert_eq!(cut_hour(Hour(100), Hour(124)), Hour(126));
    assert_eq!(cut_hour(Hour(100), Hour(125)), Hour(102), "a stranger at 2100 cuts nothing off");
    assert_eq!(cut_hour(Hour(u32::MAX), Hour(0)), Hour(u32::MAX));
}

#[test]
fn node_without_a_clock_takes_the_other_hour() {
    assert_eq!(cut_hour(Hour::UNKNOWN, NOW), NOW.plus(2));
    assert_eq!(cut_hour(NOW, Hour::UNKNOWN), NOW.plus(2));
    assert_eq!(cut_hour(Hour::UNKNOWN, Hour(3)), Hour(5));
    assert_eq!(cut_hour(Hour(3), Hour::UNKNOWN), Hour(5));
    assert_eq!(cut_hour(Hour::UNKNOWN, Hour::UNKNOWN), Hour::UNKNOWN, "nothing is left out");
}

/// Two nodes by the hours of their HELLOs, with 400 bundles in common. Of those that have expired half are still with the first alone,
/// which could not know it; `alive` bundles that live on are with the first alone too.
fn with_expired(hours: [Hour; 2], alive: usize) -> Outcome {
    let mut rng = rng(false);
    let mut sets = [ItemSet::new(), ItemSet::new()];
    for at in 0..800 + alive {
        let (id, hour) = (random_id(&mut rng), Hour(NOW.0 - rng.next_u32() % 300));
        let has_expired = (400..800).contains(&at);
        let expiry = if has_expired { Hour(NOW.0 - rng.next_u32() % 200).plus(2) } else { NOW.plus(3 + rng.next_u32() % 300) };
        sets[0].insert(hour, id, Some(expiry), true);
        if at < 400 || has_expired && at % 2 == 0 {
            sets[1].insert(hour, id, Some(expiry), true);
        }
    }
    let views = [cut_hour(hours[0], hours[1]), cut_hour(hours[1], hours[0])].map(|cut| SessionView { cut, empty: false });
    reconcile_views([&sets[0], &sets[1]], views, &mut rng)
}

#[test]
fn what_a_node_without_a_clock_could_not_let_go_is_no_difference() {
    for hours in [[Hour::UNKNOWN, NOW], [NOW, Hour::UNKNOWN]] {
        let outcome = with_expired(hours, 0);
        assert_eq!((outcome.findings, outcome.records.len()), (Default::default(), 2), "one question and its answer");
        let found: usize = with_expired(hours, 7).findings.iter().map(Vec::len).sum();
        assert_eq!(found, 7);
    }
    let outcome = with_expired([Hour::UNKNOWN; 2], 7);
    assert_eq!(outcome.findings.iter().map(Vec::len).sum::<usize>(), 207, "two without a clock leave out nothing");
}

#[test]
fn liar_about_the_hour_hides_only_in_its_own_session() {
    let mut rng = rng(false);
    let mut set = ItemSet::new();
    for _ in 0..100 {
        set.insert(NOW, random_id(&mut rng), Some(NOW.plus(336)), true);
    }
    set.insert(NOW, random_id(&mut rng), None, true);
    let found = |cut| {
        let views = [SessionView { cut, empty: false }, OPEN];
        reconcile_views([&set, &ItemSet::new()], views, &mut rng.clone()).findings.iter().map(Vec::len).sum::<usize>()
    };
    assert_eq!(found(cut_hour(Hour::UNKNOWN, Hour(u32::MAX))), 1, "what expires by age is shown whatever the hour");
    assert_eq!(found(cut_hour(Hour::UNKNOWN, NOW)), 101);
    assert_eq!(found(cut_hour(Hour::UNKNOWN, Hour::UNKNOWN)), 101);
}

#[test]
fn set_tells_what_it_holds() {
    let mut set = ItemSet::new();
    let id = BundleId([7; 32]);
    assert!(set.is_empty() && !set.contains(NOW, &id) && !set.remove(NOW, &id) && !set.set_held(NOW, &id, true));
    assert!(set.insert(NOW, id, None, true));
    assert!(!set.insert(NOW, id, None, false), "a second time changes nothing");
    assert!(set.contains(NOW, &id) && !set.contains(NOW.plus(1), &id));
    assert!(set.set_held(NOW, &id, false));
    assert_eq!(set.len(), 1);
    assert!(set.remove(NOW, &id) && set.is_empty());
}

#[test]
fn farthest_hours_are_kept_apart() {
    let mut set = ItemSet::new();
    for (at, expiry) in [None, Some(Hour(0)), Some(Hour(1)), Some(Hour(u32::MAX >> 1)), Some(Hour(u32::MAX))].into_iter().enumerate() {
        set.insert(NOW, BundleId([at as u8; 32]), expiry, at % 2 == 0);
    }
    let shown = |cut| {
        let visible = set.visible(SessionView { cut, empty: false });
        let shown: Vec<u8> = visible.shown(order::Range::ALL).map(|item| item.key.id[0]).collect();
        assert_eq!(visible.count(order::Range::ALL), shown.len());
        shown
    };
    assert_eq!(shown(Hour::UNKNOWN), [4, 3, 2, 1, 0], "nothing is left out");
    assert_eq!(shown(Hour(1)), [4, 3, 0]);
    assert_eq!(shown(Hour(u32::MAX)), [0], "what expires by age is not left out");
    let held = set.visible(OPEN).shown(order::Range::ALL).map(item::Item::is_held).collect::<Vec<_>>();
    assert_eq!(held, [true, false, true, false, true]);
}

#[test]
fn expiring_items_are_neither_compared_nor_asked_for() {
    let mut rng = rng(false);
    let ids: Vec<_> = (0..40).map(|_| random_id(&mut rng)).collect();
    let [mut a, mut b] = [ItemSet::new(), ItemSet::new()];
    for (at, id) in ids.iter().enumerate() {
        let expiry = Some(if at < 20 { NOW } else { NOW.plus(24) });
        a.insert(NOW, *id, expiry, true);
        if at % 2 == 0 {
            b.insert(NOW, *id, expiry, true);
        }
    }
    let view = SessionView { cut: NOW, empty: false };
    let outcome = reconcile_views([&a, &b], [view; 2], &mut rng);
    let found: usize = outcome.findings.iter().map(Vec::len).sum();
    assert_eq!(found, 10, "those that live on and are on one side");
    // A node with another clock shows more; what the other leaves out is not asked for.
    let outcome = reconcile_views([&a, &a], [OPEN, view], &mut rng);
    assert!(outcome.findings[1].is_empty());
}

#[test]
fn empty_view_shows_and_finds_nothing() {
    let mut rng = rng(false);
    let mut set = ItemSet::new();
    for _ in 0..500 {
        set.insert(NOW, random_id(&mut rng), None, true);
    }
    let closed = SessionView { cut: Hour(0), empty: true };
    let hidden = reconcile_views([&set, &set], [OPEN, closed], &mut rng.clone());
    let absent = reconcile([&set, &ItemSet::new()], &mut rng.clone());
    assert_eq!(hidden.records, absent.records, "it looks like a node without anything");
    assert!(hidden.findings[1].is_empty());
    assert!(reconcile_views([&set, &set], [closed, OPEN], &mut rng).findings[0].is_empty());
}

#[test]
fn other_session_keys_give_other_fingerprints_and_short_ids() {
    let mut source = rng(false);
    let mut set = ItemSet::new();
    for _ in 0..5 {
        set.insert(NOW, random_id(&mut source), None, true);
    }
    let first = |hash| {
        let mut reconciler = Reconciler::new(hash, true, OPEN);
        reconciler.start(&set, &mut rng(false));
        reconciler.poll_record().unwrap()
    };
    assert_eq!(first(SESSION), first(SESSION));
    assert_ne!(first(SESSION), first([0x5f; 32]));
    let id = BundleId([1; 32]);
    assert_ne!(ShortIds::new(&SESSION).short(&id), ShortIds::new(&[0x5f; 32]).short(&id));
}

#[test]
fn difference_that_appears_while_comparing_does_no_harm() {
    let mut rng = rng(false);
    let mut sets = [ItemSet::new(), ItemSet::new()];
    for _ in 0..2_000 {
        let (id, side) = (random_id(&mut rng), rng.next_u32() % 4);
        for (at, set) in sets.iter_mut().enumerate() {
            if side != at as u32 {
                set.insert(NOW, id, None, true);
            }
        }
    }
    let mut nodes = [Reconciler::new(SESSION, true, OPEN), Reconciler::new(SESSION, false, OPEN)];
    nodes[0].start(&sets[0], &mut rng);
    for round in 0..1_000 {
        let (from, to) = (round % 2, 1 - round % 2);
        while let Some(body) = nodes[from].poll_record() {
            sets[to].insert(NOW, random_id(&mut rng), None, true);
            nodes[to].handle_ranges(&body, &sets[to]).unwrap();
        }
    }
    assert!(nodes.iter().all(Reconciler::is_done));
}
