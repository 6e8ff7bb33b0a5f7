//! The comparison of two sets (docs/protocol.md, sections 6.2 and 6.3).

use std::collections::BTreeSet;

use hedgerow_sync::{
    crypto::kdf::hash,
    id::BundleId,
    reconcile::{Finding, ItemSet, MAX_BODY_LEN, Reconciler, SessionView},
    session::ShortIds,
    time::Hour,
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use super::Script;

/// The handshake hash of every session here.
pub const SESSION: [u8; 32] = [0x5e; 32];
/// Every bundle below this hour is left out of what a session shows.
pub const CUT: Hour = Hour(1_000);
/// Most bodies that are fed to one node, or cross between two.
const MAX_BODIES: usize = 2_000;

/// A bundle's id, drawn by its number.
pub fn id(number: u32) -> BundleId {
    BundleId(hash(&[b"fuzz", &number.to_be_bytes()]))
}

/// Where a bundle lies: in some hours many, in most few; every 16th has expired.
pub fn hour(number: u32) -> Hour {
    Hour(2_000 + number / 7 % 40)
}

fn add(set: &mut ItemSet, number: u32) {
    let expiry = match number % 16 {
        0 => Some(CUT),
        1..=7 => None,
        _ => Some(hour(number).plus(336)),
    };
    set.insert(hour(number), id(number), expiry, !number.is_multiple_of(5));
}

/// Bodies from a hostile peer: one byte for the shape of the node, then each body after its length in two bytes.
///
/// Whatever comes, the node answers with bodies that fit their record, finds nothing that it can't know, and gives up in the end.
pub fn ranges(data: &[u8]) -> bool {
    let mut script = Script::new(data);
    let shape = script.byte();
    let count = [0, 1, 33, 700][usize::from(shape & 3)];
    let (initiator, empty) = (shape & 4 != 0, shape & 8 != 0);
    let mut set = ItemSet::new();
    (0..count).for_each(|number| add(&mut set, number));
    let mut reconciler = Reconciler::new(SESSION, initiator, SessionView { cut: CUT, empty });
    reconciler.start(&set, &mut ChaCha20Rng::seed_from_u64(u64::from(shape)));
    let own: BTreeSet<BundleId> = (0..count).map(id).collect();
    let mut taken = false;
    for _ in 0..MAX_BODIES {
        while let Some(body) = reconciler.poll_record() {
            assert!((1..=MAX_BODY_LEN).contains(&body.len()));
            assert!(!empty || body.len() < 200, "nothing is told about a set that is not shown");
        }
        let body = script.piece();
        if body.is_empty() {
            break;
        }
        let Ok(findings) = reconciler.handle_ranges(body, &set) else { return false };
        taken = true;
        assert!(!empty || findings.is_empty());
        let wanted = findings.iter().filter(|finding| matches!(finding, Finding::Want(_))).count();
        assert!(wanted * 8 <= body.len(), "a bundle is wanted that nobody named");
        let lacking: Vec<_> = findings.iter().filter_map(|f| if let Finding::Lacking(id) = f { Some(*id) } else { None }).collect();
        assert!(lacking.iter().all(|id| own.contains(id)));
        assert_eq!(lacking.iter().collect::<BTreeSet<_>>().len(), lacking.len(), "one body lists a bundle as lacking twice");
    }
    taken
}

/// Two sets, told by operations of two bytes, are compared until both nodes are done; between bodies a set may change.
///
/// If nothing changed meanwhile, the two together have found all of the difference and nothing else.
pub fn reconcile_pair(data: &[u8]) -> bool {
    let mut script = Script::new(data);
    let (seed, changes) = (script.byte(), script.byte());
    let mut numbers: [BTreeSet<u32>; 2] = Default::default();
    let mut later = Vec::new();
    while let Some(op) = script.next() {
        let (side, number) = (op & 3, u32::from(script.byte()) * 8 + u32::from(op >> 5));
        match side {
            0 | 1 if op & 4 != 0 => later.push((usize::from(side), number)),
            0 | 1 => _ = numbers[usize::from(side)].insert(number),
            // A run in both: what nodes that meet often have.
            2 => numbers.iter_mut().for_each(|set| set.extend(number..number + 60)),
            _ => _ = numbers[usize::from(op >> 4 & 1)].insert(number + 5_000),
        }
    }
    let mut sets = [ItemSet::new(), ItemSet::new()];
    for (set, numbers) in sets.iter_mut().zip(&numbers) {
        numbers.iter().for_each(|&number| add(set, number));
        assert_eq!(set.len(), numbers.len());
    }
    later.truncate(usize::from(changes));
    let unchanged = later.is_empty();
    let view = SessionView { cut: CUT, empty: false };
    let mut nodes = [Reconciler::new(SESSION, true, view), Reconciler::new(SESSION, false, view)];
    nodes[0].start(&sets[0], &mut ChaCha20Rng::seed_from_u64(u64::from(seed)));
    let mut findings: [BTreeSet<Finding>; 2] = Default::default();
    let mut bodies = 0;
    loop {
        let before = bodies;
        for from in [0, 1] {
            while let Some(body) = nodes[from].poll_record() {
                bodies += 1;
                assert!(bodies < MAX_BODIES, "the comparison doesn't come to an end");
                findings[1 - from].extend(nodes[1 - from].handle_ranges(&body, &sets[1 - from]).expect("our own node keeps to the rules"));
                if let Some((side, number)) = later.pop() {
                    add(&mut sets[side], number);
                }
            }
        }
        if bodies == before {
            break;
        }
    }
    assert!(nodes.iter().all(Reconciler::is_done));
    if unchanged {
        let shorts = ShortIds::new(&SESSION);
        let mut expected: [BTreeSet<Finding>; 2] = Default::default();
        for side in [0, 1] {
            // What has expired, or is only remembered, is not worth telling.
            for &number in numbers[side].difference(&numbers[1 - side]).filter(|n| !n.is_multiple_of(16) && !n.is_multiple_of(5)) {
                let (lacking, want) = (Finding::Lacking(id(number)), Finding::Want(shorts.short(&id(number))));
                assert!(findings[side].contains(&lacking) || findings[1 - side].contains(&want), "neither side has found {number}");
                expected[side].insert(lacking);
                expected[1 - side].insert(want);
            }
        }
        assert!(
            findings.iter().zip(&expected).all(|(found, expected)| found.is_subset(expected)),
            "something is found that is no difference"
        );
    }
    numbers.iter().any(|numbers| !numbers.is_empty())
}
