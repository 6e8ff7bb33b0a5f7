//! What a peer can make a node do, counted in steps: nothing here looks at a clock.

use super::*;

/// Hours in which bundles were created, and their lifetimes: at [`NOW`] about half have expired.
const HOURS: u32 = 14 * 24;
const LIFETIMES: [u32; 5] = [24, 72, 168, 336, 720];

const VIEW: SessionView = SessionView { cut: NOW, empty: false };

/// Steps that a session may cost a node with so many items (docs/protocol.md, section 6.3).
const fn allowed(len: usize) -> u64 {
    (2 << 20) + 256 * len as u64
}

/// Puts `count` bundles of the last two weeks into a set, some of which have expired in every hour.
fn fill(set: &mut ItemSet, seed: u64, count: usize) {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    for _ in 0..count {
        let hour = Hour(NOW.0 - rng.next_u32() % HOURS);
        let lifetime = LIFETIMES[(rng.next_u32() % 5) as usize];
        set.insert(hour, random_id(&mut rng), Some(hour.plus(lifetime)), true);
    }
}

/// As a node without a clock may hold them: no two expire at one hour.
fn fill_at_odds(set: &mut ItemSet, seed: u64, count: usize) {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    for _ in 0..count {
        let hour = Hour(NOW.0 - rng.next_u32() % HOURS);
        set.insert(hour, random_id(&mut rng), Some(Hour(rng.next_u32() % (2 * NOW.0))), true);
    }
}

/// Puts so many bundles of a seed into a set.
type Fill = fn(&mut ItemSet, u64, usize);

/// Two sets with `own` and `other` items of their own and `common` ones.
fn two(fill: Fill, own: usize, other: usize, common: usize) -> [ItemSet; 2] {
    [(2, own), (3, other)].map(|(seed, count)| {
        let mut set = ItemSet::new();
        fill(&mut set, 1, common);
        fill(&mut set, seed, count);
        set
    })
}

#[test]
fn honest_comparisons_take_less_than_half_of_what_is_allowed() {
    let shapes: [(Fill, _); 2] = [
        (fill, [(0, 1_000, 100_000), (5_000, 60_000, 0), (1_000, 0, 30)]),
        (fill_at_odds, [(0, 200, 20_000), (2_000, 20_000, 0), (30, 1_000, 0)]),
    ];
    for (fill, counts) in shapes {
        for (own, other, common) in counts {
            let sets = two(fill, own, other, common);
            for view in [VIEW, OPEN] {
                let outcome = reconcile_views([&sets[0], &sets[1]], [view; 2], &mut rng(false));
                for (steps, set) in outcome.steps.iter().zip(&sets) {
                    println!("{own}, {other} and {common} in common: {steps} steps, {} items", set.len());
                    assert!(*steps < allowed(set.len()) / 2, "{own}, {other} and {common} in common: {steps} steps");
                }
            }
        }
    }
}

#[test]
fn items_left_out_make_a_question_hardly_dearer() {
    let sets = two(fill, 0, 0, 100_000);
    let cost = |view| reconcile_views([&sets[0], &sets[1]], [view; 2], &mut rng(false)).steps[1];
    let (open, cut) = (cost(OPEN), cost(VIEW));
    assert!(cut < 2 * open && cut < 10_000, "{cut} steps instead of {open}");
}

/// Asks about ranges with fingerprints that are wrong, and answers with more of them, until the session is ended; returns its steps.
fn attack(set: &ItemSet, body: &[u8]) -> (u64, u64) {
    let mut responder = Reconciler::new(SESSION, false, VIEW);
    let (mut asked, mut dearest) = (false, 0);
    for _ in 0..1_000_000 {
        let mut body = body.to_vec();
        body[0] |= if asked { 2 } else { 0 };
        let before = responder.steps();
        let result = responder.handle_ranges(&body, set);
        dearest = dearest.max(responder.steps() - before);
        if let Err(error) = result {
            assert_eq!(error, RangesError::Budget);
            return (responder.steps(), dearest);
        }
        asked = std::iter::from_fn(|| responder.poll_record()).fold(false, |asked, body| asked | (body[0] & 1 != 0));
    }
    panic!("no end in sight");
}

/// Wrong fingerprints of ranges `hours` long, as many as fit, from the newest on.
fn questions(hours: u8) -> Vec<u8> {
    let mut body = vec![1, 0x00];
    crate::wire::codec::put_leb128(&mut body, u32::MAX - NOW.0 - 1);
    while body.len() + 14 <= MAX_BODY_LEN && body.len() / 14 * usize::from(hours) < HOURS as usize {
        body.extend([0x40, hours]);
        body.extend([0xee; 12]);
    }
    body
}

#[test]
fn who_makes_a_node_look_through_its_set_again_and_again_is_cut_off() {
    let everything = [&[1, 0x7f][..], &[0xee; 12]].concat();
    for fill in [fill, fill_at_odds] {
        let mut set = ItemSet::new();
        fill(&mut set, 1, 20_000);
        for body in [everything.clone(), questions(1), questions(9)] {
            let (steps, dearest) = attack(&set, &body);
            println!("{steps} steps, {dearest} for one record");
            // One record costs what a few looks at every item do.
            assert!(dearest <= 20 * set.len() as u64, "{dearest} steps for one record");
            assert!(steps <= allowed(set.len()) + dearest, "{steps} steps");
        }
        let (steps, _) = attack(&set, &everything);
        assert!(steps > allowed(set.len()), "it is the work that ends it");
    }
}

#[test]
fn what_an_item_takes_is_at_most_48_bytes() {
    const COUNT: usize = 100_000;
    let mut rng = ChaCha20Rng::seed_from_u64(4);
    let mut set = ItemSet::new();
    let mut keys = Vec::new();
    let bytes_per_item = |set: &ItemSet, when: &str| {
        let bytes = set.bytes() as f64 / set.len() as f64;
        println!("{when}: {bytes:.1} bytes an item");
        assert!(bytes <= 48.0, "{when}: {bytes:.1} bytes an item");
    };
    let draw = |rng: &mut ChaCha20Rng| {
        let hour = Hour(NOW.0 - rng.next_u32() % HOURS);
        (hour, random_id(rng), Some(hour.plus(LIFETIMES[(rng.next_u32() % 5) as usize])))
    };
    for _ in 0..COUNT {
        let (hour, id, expiry) = draw(&mut rng);
        set.insert(hour, id, expiry, true);
        keys.push((hour, id));
    }
    bytes_per_item(&set, "inserted anyhow");
    for _ in 0..COUNT {
        let (hour, id, expiry) = draw(&mut rng);
        let at = rng.next_u32() as usize % COUNT;
        assert!(set.remove(keys[at].0, &keys[at].1) && set.insert(hour, id, expiry, true));
        keys[at] = (hour, id);
    }
    bytes_per_item(&set, "after many changes");
    let mut in_order = ItemSet::new();
    keys.sort_unstable();
    keys.iter().for_each(|(hour, id)| _ = in_order.insert(*hour, *id, Some(hour.plus(HOURS)), true));
    bytes_per_item(&in_order, "inserted in order");
    keys.iter().skip(COUNT / 2).for_each(|(hour, id)| _ = set.remove(*hour, id));
    bytes_per_item(&set, "after half has been let go");
}
