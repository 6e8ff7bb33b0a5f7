//! Who meets whom, and when: the contact traces that the simulator replays.
//!
//! ```text
//! start_s,end_s,node_a,node_b
//! 0,20,24,65
//! ```
//!
//! Whole seconds from the first contact, `[start_s, end_s)` half open, `node_a < node_b`, nodes numbered from 0, intervals of one pair
//! neither overlapping nor touching, rows sorted by all four columns in their order.

use super::input::{Column, InputError, InputFault, Rows};

const HEADER: &str = "start_s,end_s,node_a,node_b";
/// Most nodes of a trace.
pub const MAX_NODES: u32 = 100_000;
/// Most contacts of a trace: 320 MB of them in memory.
pub const MAX_CONTACTS: usize = 20_000_000;
/// The last second of a trace: ten years.
pub const MAX_SECONDS: u32 = 315_360_000;

/// One meeting: `[start, end)`, whole seconds from the first of the trace; `a < b`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct Contact {
    /// When the two come into reach, seconds.
    pub start: u32,
    /// When they are out of reach again, seconds; more than `start`.
    pub end: u32,
    /// The node with the smaller number.
    pub a: u32,
    /// The node with the larger number.
    pub b: u32,
}

/// Who meets whom, and when.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trace {
    /// What the table calls it.
    pub name: String,
    /// How many nodes there are: the highest number and one.
    pub nodes: u32,
    /// Sorted by start, end, `a`, `b`; those of one pair neither overlap nor touch.
    pub contacts: Vec<Contact>,
}

impl Trace {
    /// Reads a trace from the text of its file.
    ///
    /// # Errors
    ///
    /// The first line that does not fit, and why: see [`InputFault`]. At most [`MAX_CONTACTS`] rows, nodes below [`MAX_NODES`], times up
    /// to [`MAX_SECONDS`].
    pub fn parse(name: &str, csv: &str) -> Result<Self, InputError> {
        let time = |name| Column { name, most: MAX_SECONDS };
        let node = |name| Column { name, most: MAX_NODES - 1 };
        let columns = [time("start_s"), time("end_s"), node("node_a"), node("node_b")];
        let (rows, count) = Rows::open(csv, HEADER, columns, MAX_CONTACTS)?;
        let mut contacts: Vec<Contact> = Vec::with_capacity(count);
        for row in rows {
            let (line, [start, end, a, b]) = row?;
            let contact = Contact { start, end, a, b };
            check(&contact).and_then(|()| check_order(contacts.last(), &contact)).map_err(|fault| fault.at(line))?;
            contacts.push(contact);
        }
        // Row `index` stands in line `index + 2`: the header is line 1.
        first_overlap(&contacts).map_or(Ok(()), |(index, fault)| Err(fault.at(index.saturating_add(2))))?;
        let nodes = contacts.iter().map(|contact| contact.b.saturating_add(1)).max().unwrap_or(0);
        Ok(Self { name: name.to_owned(), nodes, contacts })
    }

    /// When the last contact ends, seconds.
    pub fn length(&self) -> u32 {
        self.contacts.iter().map(|contact| contact.end).max().unwrap_or(0)
    }
}

fn check(contact: &Contact) -> Result<(), InputFault> {
    let Contact { start, end, a, b } = *contact;
    if a == b {
        return Err(InputFault::SelfContact(a));
    }
    if a > b {
        return Err(InputFault::Swapped { a, b });
    }
    if end <= start {
        return Err(InputFault::Ends { start, end });
    }
    Ok(())
}

/// A row that stands twice is left to [`first_overlap`], which says more.
fn check_order(last: Option<&Contact>, next: &Contact) -> Result<(), InputFault> {
    if last.is_some_and(|last| last > next) { Err(InputFault::Unsorted) } else { Ok(()) }
}

/// The first contact, in the order of the trace, that begins when or before an earlier one of the same pair ends.
fn first_overlap(contacts: &[Contact]) -> Option<(usize, InputFault)> {
    let mut by_pair: Vec<(usize, &Contact)> = contacts.iter().enumerate().collect();
    by_pair.sort_unstable_by_key(|(index, contact)| (contact.a, contact.b, *index));
    let neighbours = by_pair.windows(2).filter_map(|pair| match pair {
        [(_, before), (index, after)] if (before.a, before.b) == (after.a, after.b) && after.start <= before.end => {
            Some((*index, InputFault::Overlap { a: after.a, b: after.b, until: before.end }))
        }
        _ => None,
    });
    neighbours.min_by_key(|(index, _)| *index)
}
