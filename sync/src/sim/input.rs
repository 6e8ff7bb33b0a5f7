//! Rows of whole numbers under a header, as traces and workloads are written, and what may be wrong with them.
//!
//! Strict: every line is a row, every row has all its fields, a field holds digits and nothing else. An error names the line, so that a
//! person can mend the file. Nothing is read here but text that somebody else has fetched.

use std::str::Lines;

/// What is wrong with a trace or a workload, and in which line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {fault}")]
pub struct InputError {
    /// Counted from 1; the header is line 1.
    pub line: usize,
    /// What is wrong there.
    pub fault: InputFault,
}

/// What may be wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InputFault {
    /// Packed text that ends too early.
    #[error("the gzip data breaks off here: a part of the file is missing")]
    CutShort,
    /// Packed text that is not what was packed: a checksum does not fit, or something else follows.
    #[error("the gzip data is damaged here or further up")]
    Damaged,
    /// More text than any trace that the simulator takes.
    #[error("the text is longer than {0} bytes")]
    TooLong(usize),
    /// Bytes that are no UTF-8.
    #[error("this is no text")]
    NotText,
    /// The file does not begin with this header.
    #[error("the file must begin with the header `{0}`")]
    Header(&'static str),
    /// A field is missing or one is too many, or the line is empty.
    #[error("{expected} fields with commas between them are needed, {found} found")]
    Fields {
        /// How many there must be.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// A field holds something else than digits.
    #[error("{0} is not a whole number")]
    NotANumber(&'static str),
    /// A number below zero.
    #[error("{0} is negative")]
    Negative(&'static str),
    /// A number above the largest that this field may hold.
    #[error("{field} is more than {most}")]
    TooLarge {
        /// The field's name in the header.
        field: &'static str,
        /// The largest that it may hold.
        most: u32,
    },
    /// More rows than the simulator takes.
    #[error("at most {0} rows are taken, and this is one more")]
    TooManyRows(usize),
    /// A header and nothing below it.
    #[error("a row is needed below the header")]
    NoRows,
    /// A contact of a node with itself.
    #[error("node {0} is in contact with itself")]
    SelfContact(u32),
    /// The nodes of a contact in the wrong order.
    #[error("node_a ({a}) must be smaller than node_b ({b})")]
    Swapped {
        /// What stands first.
        a: u32,
        /// What stands second.
        b: u32,
    },
    /// A contact that ends when or before it starts.
    #[error("end_s ({end}) must be larger than start_s ({start})")]
    Ends {
        /// When it starts.
        start: u32,
        /// When it is said to end.
        end: u32,
    },
    /// A contact that should stand further up.
    #[error("rows must be sorted by start_s, end_s, node_a, node_b, and this one belongs before the last")]
    Unsorted,
    /// A pair that is in contact already, or was until this very second.
    #[error("nodes {a} and {b} are in contact until {until} already: overlapping and touching intervals of a pair must be merged")]
    Overlap {
        /// The smaller of the pair.
        a: u32,
        /// The larger.
        b: u32,
        /// When the contact before ends.
        until: u32,
    },
    /// A letter from or to a node that the trace does not have.
    #[error("{field} is {node}, and the trace has nodes 0 to {last} only")]
    UnknownNode {
        /// The field's name in the header.
        field: &'static str,
        /// What it holds.
        node: u32,
        /// The last node of the trace.
        last: u32,
    },
    /// A letter to its own sender.
    #[error("node {0} writes to itself")]
    ToItself(u32),
    /// A letter that nobody can carry any more.
    #[error("created_s is {created}, and the trace ends at {length}")]
    AfterEnd {
        /// When it is written.
        created: u32,
        /// When the trace ends.
        length: u32,
    },
    /// A letter without a byte.
    #[error("a message of 0 bytes is none")]
    EmptyLetter,
}

impl InputFault {
    /// Says in which line.
    pub(super) fn at(self, line: usize) -> InputError {
        InputError { line, fault: self }
    }
}

/// A column: its name in the header and the largest number that it may hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    pub(super) name: &'static str,
    pub(super) most: u32,
}

/// The rows of a table of `N` columns, each with its line.
#[derive(Debug)]
pub(super) struct Rows<'a, const N: usize> {
    lines: Lines<'a>,
    line: usize,
    columns: [Column; N],
}

impl<'a, const N: usize> Rows<'a, N> {
    /// Checks the header, and counts the lines so that nobody takes memory for more than `most_rows`; says how many there are.
    pub(super) fn open(text: &'a str, header: &'static str, columns: [Column; N], most_rows: usize) -> Result<(Self, usize), InputError> {
        let mut lines = text.lines();
        if lines.next() != Some(header) {
            return Err(InputFault::Header(header).at(1));
        }
        let count = lines.clone().count();
        if count > most_rows {
            return Err(InputFault::TooManyRows(most_rows).at(most_rows.saturating_add(2)));
        }
        if count == 0 {
            return Err(InputFault::NoRows.at(2));
        }
        Ok((Self { lines, line: 1, columns }, count))
    }

    fn read(&self, row: &str) -> Result<[u32; N], InputFault> {
        let found = row.split(',').count();
        if row.is_empty() || found != N {
            return Err(InputFault::Fields { expected: N, found: if row.is_empty() { 0 } else { found } });
        }
        let mut numbers = [0; N];
        for ((number, column), field) in numbers.iter_mut().zip(self.columns).zip(row.split(',')) {
            *number = read_number(field, column)?;
        }
        Ok(numbers)
    }
}

impl<const N: usize> Iterator for Rows<'_, N> {
    type Item = Result<(usize, [u32; N]), InputError>;

    fn next(&mut self) -> Option<Self::Item> {
        let row = self.lines.next()?;
        self.line += 1;
        Some(self.read(row).map(|numbers| (self.line, numbers)).map_err(|fault| fault.at(self.line)))
    }
}

/// Reads digits and nothing else.
fn read_number(field: &str, column: Column) -> Result<u32, InputFault> {
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if field.strip_prefix('-').is_some_and(is_digits) {
        return Err(InputFault::Negative(column.name));
    }
    if !is_digits(field) {
        return Err(InputFault::NotANumber(column.name));
    }
    let too_large = InputFault::TooLarge { field: column.name, most: column.most };
    field.parse().ok().filter(|number| *number <= column.most).ok_or(too_large)
}
