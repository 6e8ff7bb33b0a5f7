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
