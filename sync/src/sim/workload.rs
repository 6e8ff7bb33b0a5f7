//! Who writes to whom, when, and how much.
//!
//! ```text
//! created_s,src,dst,size
//! 777,27,133,222
//! ```
//!
//! One-to-one letters between nodes of a trace; seconds on the trace's clock, sizes in bytes of what a person wrote.

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

use super::{
    draw::between,
    input::{Column, InputError, InputFault, Rows},
    trace::{MAX_NODES, MAX_SECONDS, Trace},
};

const HEADER: &str = "created_s,src,dst,size";
/// Most letters of a workload.
pub const MAX_LETTERS: usize = 1_000_000;
/// The longest letter that the engine carries, bytes.
pub const MAX_LETTER_BYTES: u32 = 4 << 20;

/// One message of the workload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Letter {
    /// When it is written, seconds on the trace's clock.
    pub created: u32,
    /// Who writes.
    pub src: u32,
    /// To whom; another node.
    pub dst: u32,
    /// How long it is, bytes; at least 1, at most [`MAX_LETTER_BYTES`].
    pub size: u32,
}

/// Who writes to whom.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Workload {
    /// In the order of the file.
    pub letters: Vec<Letter>,
}

impl Workload {
    /// Reads a workload for `trace` from the text of its file. The rows may stand in any order, which is kept.
    ///
    /// # Errors
    ///
    /// The first line that does not fit, and why: see [`InputFault`]. At most [`MAX_LETTERS`] rows.
    pub fn parse(csv: &str, trace: &Trace) -> Result<Self, InputError> {
        let node = |name| Column { name, most: MAX_NODES - 1 };
        let columns =
            [Column { name: "created_s", most: MAX_SECONDS }, node("src"), node("dst"), Column { name: "size", most: MAX_LETTER_BYTES }];
        let (rows, count) = Rows::open(csv, HEADER, columns, MAX_LETTERS)?;
        let length = trace.length();
        let mut letters = Vec::with_capacity(count);
        for row in rows {
            let (line, [created, src, dst, size]) = row?;
            let letter = Letter { created, src, dst, size };
            check(&letter, trace.nodes, length).map_err(|fault| fault.at(line))?;
            letters.push(letter);
        }
        Ok(Self { letters })
    }

    /// Draws `count` letters, at most [`MAX_LETTERS`], sorted by when they are written; the same seed draws the same.
    ///
    /// Random ordered pairs, times uniform over the first half of the trace, sizes 80 % of 120–1,000 bytes, 15 % of 8–60 kB, 5 % of
    /// 150–500 kB. A trace of fewer than two nodes gets none.
    pub fn draw(trace: &Trace, count: usize, seed: u64) -> Self {
        if trace.nodes < 2 {
            return Self { letters: Vec::new() };
        }
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let half = trace.length() / 2;
        let mut letters: Vec<Letter> = (0..count.min(MAX_LETTERS)).map(|_| draw_letter(trace.nodes, half, &mut rng)).collect();
        letters.sort_by_key(|letter| letter.created);
        Self { letters }
    }
}

fn check(letter: &Letter, nodes: u32, length: u32) -> Result<(), InputFault> {
    let Letter { created, src, dst, size } = *letter;
    for (field, node) in [("src", src), ("dst", dst)] {
        if node >= nodes {
            return Err(InputFault::UnknownNode { field, node, last: nodes.saturating_sub(1) });
        }
    }
    if src == dst {
        return Err(InputFault::ToItself(src));
    }
    if created > length {
        return Err(InputFault::AfterEnd { created, length });
    }
    if size == 0 {
        return Err(InputFault::EmptyLetter);
    }
    Ok(())
}

fn draw_letter(nodes: u32, half: u32, rng: &mut impl Rng) -> Letter {
    let created = between(rng, 0, half);
    let src = between(rng, 0, nodes - 1);
    // One of the others: those from `src` on move up by one.
    let other = between(rng, 0, nodes - 2);
    let dst = if other < src { other } else { other + 1 };
    let size = match between(rng, 0, 99) {
        0..80 => between(rng, 120, 1_000),
        80..95 => between(rng, 8_000, 60_000),
        _ => between(rng, 150_000, 500_000),
    };
    Letter { created, src, dst, size }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sim::trace::Contact;

    fn trace(nodes: u32, length: u32) -> Trace {
        let contact = Contact { start: 0, end: length, a: 0, b: nodes - 1 };
        Trace { name: "t".to_owned(), nodes, contacts: vec![contact] }
    }

    fn fault(rows: &str) -> (usize, InputFault) {
        let error = Workload::parse(&format!("{HEADER}\n{rows}"), &trace(10, 100)).unwrap_err();
        (error.line, error.fault)
    }

    #[test]
    fn rows_become_letters_in_their_order() {
        let workload = Workload::parse("created_s,src,dst,size\n100,9,0,4194304\n7,0,9,1\n", &trace(10, 100)).unwrap();
        let letter = |created, src, dst, size| Letter { created, src, dst, size };
        assert_eq!(workload.letters, [letter(100, 9, 0, 4 << 20), letter(7, 0, 9, 1)]);
    }

    #[test]
    fn what_no_node_can_send_is_refused_with_its_line() {
        assert_eq!(fault("1,10,2,5"), (2, InputFault::UnknownNode { field: "src", node: 10, last: 9 }));
        assert_eq!(fault("1,2,3,5\n1,2,10,5"), (3, InputFault::UnknownNode { field: "dst", node: 10, last: 9 }));
        assert_eq!(fault("1,2,2,5"), (2, InputFault::ToItself(2)));
        assert_eq!(fault("101,2,3,5"), (2, InputFault::AfterEnd { created: 101, length: 100 }));
        assert_eq!(fault("1,2,3,0"), (2, InputFault::EmptyLetter));
        assert_eq!(fault("1,2,3,4194305"), (2, InputFault::TooLarge { field: "size", most: MAX_LETTER_BYTES }));
        assert_eq!(fault("-1,2,3,5"), (2, InputFault::Negative("created_s")));
        assert_eq!(fault("1,2,3"), (2, InputFault::Fields { expected: 4, found: 3 }));
        assert_eq!(fault(""), (2, InputFault::NoRows));
    }

    #[test]
    fn drawn_sizes_have_the_shares_of_the_published_workloads() {
        let letters = Workload::draw(&trace(300, 100_000), 100_000, 1).letters;
        let share = |sizes: std::ops::RangeInclusive<u32>| letters.iter().filter(|letter| sizes.contains(&letter.size)).count();
        let (text, picture, large) = (share(120..=1_000), share(8_000..=60_000), share(150_000..=500_000));
        assert_eq!(text + picture + large, 100_000);
        for (count, expected) in [(text, 80_000_usize), (picture, 15_000), (large, 5_000)] {
            assert!(count.abs_diff(expected) < 500, "{count}, not about {expected}");
        }
        let mean = |of: &dyn Fn(&Letter) -> u32| letters.iter().map(|letter| f64::from(of(letter))).sum::<f64>() / 100_000.0;
        assert!((mean(&|letter| letter.created) - 25_000.0).abs() < 250.0, "times are uniform over the first half");
        assert!((mean(&|letter| letter.src) - 149.5).abs() < 2.0 && (mean(&|letter| letter.dst) - 149.5).abs() < 2.0, "so are nodes");
    }

    #[test]
    fn a_trace_without_a_pair_gets_no_letters() {
        let alone = Trace { name: "t".to_owned(), nodes: 1, contacts: Vec::new() };
        assert_eq!(Workload::draw(&alone, 5, 1).letters, []);
    }

    proptest! {
        #[test]
        fn drawn_letters_are_valid_and_the_same_for_the_same_seed(nodes in 2_u32..50, length in 1_u32..1_000, count in 1_usize..100, seed: u64) {
            let trace = trace(nodes, length);
            let drawn = Workload::draw(&trace, count, seed);
            let rows: String = drawn.letters.iter().map(|letter| format!("{},{},{},{}\n", letter.created, letter.src, letter.dst, letter.size)).collect();
            prop_assert_eq!(&Workload::parse(&format!("{HEADER}\n{rows}"), &trace).unwrap(), &drawn);
            prop_assert_eq!(drawn.letters.len(), count);
            prop_assert!(drawn.letters.is_sorted_by_key(|letter| letter.created));
            prop_assert!(drawn.letters.iter().all(|letter| letter.created <= length / 2));
            prop_assert_eq!(Workload::draw(&trace, count, seed), drawn);
        }
    }
}
