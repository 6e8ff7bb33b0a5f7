//! What a hostile peer may try: each ends the session or costs a bounded amount.

use super::*;
use crate::wire::codec::{LengthError, put_leb128};

/// First bytes of entries.
const SKIP: u8 = 0x00;
const FINGERPRINT: u8 = 0x40;
const IDS: u8 = 0x80;
const TO_END: u8 = 63;

fn set_of(count: usize) -> ItemSet {
    let mut rng = ChaCha20Rng::seed_from_u64(9);
    let mut set = ItemSet::new();
    for _ in 0..count {
        set.insert(Hour(NOW.0 - rng.next_u32() % 100), random_id(&mut rng), None, true);
    }
    set
}

/// Hands one body to a responder with a few items.
fn refusal(body: &[u8]) -> RangesError {
    Reconciler::new(SESSION, false, OPEN).handle_ranges(body, &set_of(100)).unwrap_err()
}

/// A question: an entry whose bound is `hours` below the highest hour, then what follows the bound.
fn question(head: u8, hours: u32, rest: &[u8]) -> Vec<u8> {
    let mut body = vec![1, head];
    put_leb128(&mut body, hours);
    body.extend_from_slice(rest);
    body
}

/// A question for everything with a fingerprint that is wrong.
fn wrong_fingerprint() -> Vec<u8> {
    [&[1, FINGERPRINT | TO_END][..], &[0xee; 12]].concat()
}

#[test]
fn truncated_records_are_refused() {
    let mut sender = Reconciler::new(SESSION, true, OPEN);
    sender.start(&set_of(500), &mut rng(false));
    let whole = sender.poll_record().unwrap();
    let mut refused = 0;
    for len in 0..whole.len() {
        refused += usize::from(Reconciler::new(SESSION, false, OPEN).handle_ranges(&whole[..len], &set_of(5)).is_err());
    }
    assert_eq!(refused, whole.len() - 3, "all but those cut before one of the 3 ranges");
    assert!(Reconciler::new(SESSION, false, OPEN).handle_ranges(&whole, &set_of(5)).is_ok());
}

#[test]
fn oversized_record_is_refused() {
    let mut body = vec![1];
    body.resize(MAX_BODY_LEN + 1, 0);
    assert_eq!(refusal(&body), RangesError::Malformed(DecodeError::TooLong(MAX_BODY_LEN + 1)));
}

#[test]
fn unknown_flags_and_modes_are_refused() {
    assert_eq!(refusal(&[0x09]), RangesError::Malformed(DecodeError::Flags(0x09)));
    assert_eq!(refusal(&[1, 0xc0 | TO_END]), RangesError::Malformed(DecodeError::Mode(0xc0 | TO_END)));
}

#[test]
fn fingerprint_that_asks_nothing_is_refused() {
    let mut body = wrong_fingerprint();
    body[0] = 0;
    assert_eq!(refusal(&body), RangesError::Malformed(DecodeError::Unasked));
}

#[test]
fn huge_counts_are_refused_before_memory_is_taken() {
    for count in [MAX_LISTED as u32 + 1, u32::MAX] {
        let mut body = vec![1, IDS | TO_END];
        put_leb128(&mut body, count);
        assert_eq!(refusal(&body), RangesError::Malformed(DecodeError::TooManyIds(count)));
    }
    assert_eq!(refusal(&[1, IDS | TO_END, 0x80, 0x02]), RangesError::Malformed(DecodeError::Length(LengthError)));
}

#[test]
fn bounds_that_do_not_descend_are_refused() {
    let order = RangesError::Malformed(DecodeError::Order);
    assert_eq!(refusal(&question(SKIP | 1, 5, &[7, SKIP | 1, 0, 7])), order, "the same bound");
    assert_eq!(refusal(&question(SKIP | 1, 5, &[7, SKIP | 1, 0, 8])), order, "a newer bound");
    assert_eq!(refusal(&question(SKIP, u32::MAX, &[SKIP, 1])), order, "below hour 0");
    assert_eq!(refusal(&[1, SKIP | TO_END, SKIP | TO_END]), order, "below the end");
    assert_eq!(refusal(&question(SKIP, u32::MAX, &[SKIP | TO_END])), order, "the end twice, in two forms");
}

#[test]
fn prefixes_too_long_or_not_the_shortest_are_refused() {
    assert_eq!(refusal(&question(SKIP | 33, 5, &[1; 33])), RangesError::Malformed(DecodeError::Prefix(33)));
    assert_eq!(refusal(&question(SKIP | 2, 5, &[1, 0])), RangesError::Malformed(DecodeError::Prefix(2)));
    assert_eq!(refusal(&question(SKIP | 62, 5, &[1; 62])), RangesError::Malformed(DecodeError::Prefix(62)));
}

#[test]
fn long_forms_of_integers_are_refused() {
    for long in [&[0x85, 0x00][..], &[0xff, 0xff, 0xff, 0xff, 0x1f], &[0x80, 0x80, 0x80, 0x80, 0x80, 0x01]] {
        let body = [&[1, SKIP][..], long].concat();
        assert_eq!(refusal(&body), RangesError::Malformed(DecodeError::Length(LengthError)));
    }
}

#[test]
fn list_that_names_an_id_twice_is_refused() {
    let body = [&[1, IDS | TO_END, 2][..], &[5; 16], &[0xc0]].concat();
    assert_eq!(refusal(&body), RangesError::Malformed(DecodeError::RepeatedId));
}

#[test]
fn bits_after_the_end_of_a_bitmap_are_refused() {
    let body = |bitmap: u8| [&[1, IDS | TO_END, 1][..], &[5; 8], &[bitmap]].concat();
    assert_eq!(refusal(&body(0xc0)), RangesError::Malformed(DecodeError::Bitmap));
    assert!(Reconciler::new(SESSION, false, OPEN).handle_ranges(&body(0x80), &set_of(3)).is_ok());
}

#[test]
fn answer_to_a_question_never_asked_is_refused() {
    assert_eq!(refusal(&[2]), RangesError::NotAsked);
    let set = set_of(5);
    let mut initiator = Reconciler::new(SESSION, true, OPEN);
    initiator.start(&set, &mut rng(false));
    assert!(initiator.poll_record().is_some());
    assert_eq!(initiator.handle_ranges(&[2], &set), Ok(vec![]));
    assert_eq!(initiator.handle_ranges(&[2], &set), Err(RangesError::NotAsked), "replayed");
}

#[test]
fn responder_that_begins_is_refused() {
    let mut initiator = Reconciler::new(SESSION, true, OPEN);
    assert_eq!(initiator.handle_ranges(&wrong_fingerprint(), &set_of(5)), Err(RangesError::OutOfTurn));
}

#[test]
fn responder_does_not_start() {
    let mut responder = Reconciler::new(SESSION, false, OPEN);
    responder.start(&set_of(5), &mut rng(false));
    assert_eq!(responder.poll_record(), None);
    assert!(!responder.is_done());
}

#[test]
fn flood_of_questions_is_refused() {
    let set = set_of(5);
    let mut responder = Reconciler::new(SESSION, false, OPEN);
    for _ in 0..4 {
        responder.handle_ranges(&[1], &set).unwrap();
    }
    assert_eq!(responder.handle_ranges(&[1], &set), Err(RangesError::TooManyQuestions));
}

#[test]
fn at_most_four_questions_are_out_and_answers_do_not_wait() {
    let set = set_of(20_000);
    let mut responder = Reconciler::new(SESSION, false, OPEN);
    let mut asked = 0;
    for _ in 0..20 {
        // Never answered, while it is asked on and on.
        responder.handle_ranges(&wrong_fingerprint(), &set).unwrap();
        let bodies: Vec<_> = std::iter::from_fn(|| responder.poll_record()).collect();
        assert_eq!(bodies.iter().filter(|body| body[0] & 2 != 0).count(), 1, "one answer to each question");
        asked += bodies.iter().filter(|body| body[0] & 1 != 0).count();
    }
    assert_eq!(asked, 4);
    assert!(!responder.is_done());
}

/// Hands `body` over until the session is ended; returns how many bytes came back.
fn bytes_until_ended(set: &ItemSet, mut body: impl FnMut(usize, bool) -> Vec<u8>) -> usize {
    let mut responder = Reconciler::new(SESSION, false, OPEN);
    let (mut sent, mut asked) = (0, false);
    for round in 0..1_000_000 {
        match responder.handle_ranges(&body(round, asked), set) {
            Ok(_) => {
                asked = false;
                while let Some(body) = responder.poll_record() {
                    asked |= body[0] & 1 != 0;
                    sent += body.len();
                }
            }
            Err(error) => {
                assert_eq!(error, RangesError::Budget);
                return sent;
            }
        }
    }
    panic!("no end in sight");
}

#[test]
fn fingerprints_that_never_match_end_the_session() {
    let set = set_of(1_000);
    let sent = bytes_until_ended(&set, |_, asked| {
        let mut body = wrong_fingerprint();
        body[0] |= if asked { 2 } else { 0 };
        body
    });
    assert!(sent <= 256 * 1024 + 64 * set.len() + 5 * MAX_BODY_LEN, "{sent}");
}

#[test]
fn endless_empty_questions_end_the_session() {
    let sent = bytes_until_ended(&set_of(10), |_, _| vec![1]);
    assert!(sent <= 10_000, "{sent}");
}

#[test]
fn endless_ranges_end_the_session() {
    let many = [&question(SKIP, 5, &[])[..], &[SKIP, 1].repeat(1_000)].concat();
    bytes_until_ended(&set_of(10), |_, _| many.clone());
}

#[test]
fn lists_of_the_same_range_again_and_again_end_the_session() {
    let mut rounds = 0;
    bytes_until_ended(&set_of(20_000), |round, _| {
        rounds = round;
        vec![1, IDS | TO_END, 0]
    });
    assert!(rounds <= 8, "{rounds}");
}

#[test]
fn overlapping_ranges_cost_no_more_than_the_budget() {
    let set = set_of(200);
    bytes_until_ended(&set, |round, asked| {
        let mut body = question(FINGERPRINT, u32::MAX - NOW.0 + (round % 90) as u32, &[0xee; 12]);
        body[0] |= if asked { 2 } else { 0 };
        body
    });
}

#[test]
fn crafted_sums_hide_nothing_where_bounds_are_random() {
    // Two bundles on either side whose ids have one sum, in one range of the first question: between the newest 160 and the newest 672.
    let with = |last: [u8; 2]| {
        let mut set = set_of(1_000);
        for (back, last) in [(20, last[0]), (60, last[1])] {
            let mut id = [0x40; 32];
            id[31] = last;
            set.insert(Hour(NOW.0 - back), BundleId(id), None, true);
        }
        set
    };
    let sets = [with([5, 9]), with([6, 8])];
    let found = |random_bounds| reconcile([&sets[0], &sets[1]], &mut rng(random_bounds)).findings.iter().map(Vec::len).sum::<usize>();
    assert_eq!(found(false), 0, "a sum can be crafted");
    assert_eq!(found(true), 4, "and does not hold in parts of it");
}
