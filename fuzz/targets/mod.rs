//! What the fuzzer runs, and what `sync/tests/corpus.rs` replays on every build: one function for each decoder, and one for each
//! sequence of operations.
//!
//! Each takes any bytes, holds the code to what it promises (an assertion fails otherwise), and says whether the input was taken: decoded,
//! or carried out to its end. So a corpus that has gone stale shows: nothing of it is taken any more.

pub mod exchange;
pub mod ratchet;
pub mod reconcile;
pub mod session;
pub mod wire;

/// Takes operations and their arguments off an input; zeros once it has ended.
pub struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    /// Starts at the front of `data`.
    pub fn new(data: &'a [u8]) -> Self {
        Self(data)
    }

    /// The next byte, or `None` at the end.
    pub fn next(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        self.next().unwrap_or(0)
    }

    /// The next four bytes as a number.
    pub fn number(&mut self) -> u32 {
        u32::from_be_bytes(std::array::from_fn(|_| self.byte()))
    }

    /// The next bytes after their length in two bytes; fewer if the input ends.
    pub fn piece(&mut self) -> &'a [u8] {
        let length = usize::from(u16::from_be_bytes([self.byte(), self.byte()])).min(self.0.len());
        let (piece, rest) = self.0.split_at(length);
        self.0 = rest;
        piece
    }

    /// All that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }
}
