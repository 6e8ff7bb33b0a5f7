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

    /// Makes a trace of meetings in any order: sorts them, and merges those of a pair that overlap or touch. For generators; the caller sees
    /// to `start < end`, `a < b < nodes` and the bounds of [`parse`](Self::parse).
    pub fn merged(name: &str, nodes: u32, mut meetings: Vec<Contact>) -> Self {
        meetings.sort_unstable_by_key(|meeting| (meeting.a, meeting.b, meeting.start, meeting.end));
        let mut contacts: Vec<Contact> = Vec::with_capacity(meetings.len());
        for meeting in meetings {
            match contacts.last_mut() {
                Some(last) if (last.a, last.b) == (meeting.a, meeting.b) && meeting.start <= last.end => {
                    last.end = last.end.max(meeting.end)
                }
                _ => contacts.push(meeting),
            }
        }
        contacts.sort_unstable();
        Self { name: name.to_owned(), nodes, contacts }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(rows: &str) -> (usize, InputFault) {
        let error = Trace::parse("t", &format!("{HEADER}\n{rows}")).unwrap_err();
        (error.line, error.fault)
    }

    #[test]
    fn rows_become_contacts() {
        let trace = Trace::parse("two", "start_s,end_s,node_a,node_b\n0,20,0,1\n0,60,2,9\n21,22,0,1\n").unwrap();
        let contact = |start, end, a, b| Contact { start, end, a, b };
        assert_eq!(trace.contacts, [contact(0, 20, 0, 1), contact(0, 60, 2, 9), contact(21, 22, 0, 1)]);
        assert_eq!((trace.name.as_str(), trace.nodes, trace.length()), ("two", 10, 60));
        assert_eq!(Trace::parse("two", "start_s,end_s,node_a,node_b\r\n0,20,0,1\r\n0,60,2,9\r\n21,22,0,1").unwrap(), trace);
    }

    #[test]
    fn the_header_must_stand_first() {
        for text in ["", "\n", "0,20,0,1\n", "start_s, end_s,node_a,node_b\n0,20,0,1\n", "\u{feff}start_s,end_s,node_a,node_b\n0,20,0,1\n"]
        {
            assert_eq!(Trace::parse("t", text), Err(InputFault::Header(HEADER).at(1)), "{text:?}");
        }
        assert_eq!(fault(""), (2, InputFault::NoRows));
    }

    #[test]
    fn gaps_are_named_with_their_line() {
        let fields = |found| InputFault::Fields { expected: 4, found };
        assert_eq!(fault("0,20,0,1\n\n30,40,0,1\n"), (3, fields(0)));
        assert_eq!(fault("0,20,0,1\n\n"), (3, fields(0)), "an empty line at the end");
        assert_eq!(fault("0,20,0\n"), (2, fields(3)));
        assert_eq!(fault("0,20,0,1,\n"), (2, fields(5)));
        assert_eq!(fault("0,,0,1\n"), (2, InputFault::NotANumber("end_s")));
    }

    #[test]
    fn only_digits_are_numbers() {
        for (row, field) in
            [("+1,2,0,1", "start_s"), (" 0,2,0,1", "start_s"), ("0,2e3,0,1", "end_s"), ("0,2.0,0,1", "end_s"), ("0,2,x,1", "node_a")]
        {
            assert_eq!(fault(row), (2, InputFault::NotANumber(field)), "{row}");
        }
        assert_eq!(fault("0,9,0,-"), (2, InputFault::NotANumber("node_b")));
        assert_eq!(fault("-5,9,0,1"), (2, InputFault::Negative("start_s")));
        assert_eq!(fault("0,9,0,1\n5,-9,0,1"), (3, InputFault::Negative("end_s")));
        assert_eq!(fault("0,9,0,\u{661}"), (2, InputFault::NotANumber("node_b")), "digits of another script");
    }

    #[test]
    fn numbers_are_bounded() {
        let too_large = |field, most| (2, InputFault::TooLarge { field, most });
        assert_eq!(fault("0,315360001,0,1"), too_large("end_s", MAX_SECONDS));
        assert_eq!(fault("0,18446744073709551617,0,1"), too_large("end_s", MAX_SECONDS));
        assert_eq!(fault("0,9,0,100000"), too_large("node_b", 99_999));
        assert_eq!(Trace::parse("t", &format!("{HEADER}\n0,315360000,0,99999")).unwrap().nodes, MAX_NODES);
    }

    #[test]
    fn rows_are_counted_before_memory_is_taken() {
        let columns = ["a", "b", "c", "d"].map(|name| Column { name, most: 9 });
        let open = |most| Rows::open("h\n1,1,1,1\n\n\n", "h", columns, most).map(|(_, count)| count);
        assert_eq!(open(3), Ok(3));
        assert_eq!(open(2), Err(InputFault::TooManyRows(2).at(4)));
    }

    #[test]
    fn a_contact_is_between_two_nodes_and_takes_time() {
        assert_eq!(fault("0,9,3,3"), (2, InputFault::SelfContact(3)));
        assert_eq!(fault("0,9,4,3"), (2, InputFault::Swapped { a: 4, b: 3 }));
        assert_eq!(fault("9,9,3,4"), (2, InputFault::Ends { start: 9, end: 9 }));
        assert_eq!(fault("0,9,3,4\n9,8,3,4"), (3, InputFault::Ends { start: 9, end: 8 }));
    }

    #[test]
    fn rows_are_sorted_by_all_columns() {
        for rows in ["5,9,0,1\n4,9,2,3", "4,9,0,1\n4,8,2,3", "4,9,2,3\n4,9,1,3", "4,9,2,4\n4,9,2,3"] {
            assert_eq!(fault(rows), (3, InputFault::Unsorted), "{rows:?}");
        }
    }

    #[test]
    fn overlapping_and_touching_intervals_of_a_pair_are_refused() {
        let overlap = |until| InputFault::Overlap { a: 0, b: 1, until };
        assert_eq!(fault("0,9,0,1\n1,5,2,3\n8,20,0,1"), (4, overlap(9)));
        assert_eq!(fault("0,9,0,1\n9,20,0,1"), (3, overlap(9)));
        assert_eq!(fault("0,9,0,1\n0,9,0,1"), (3, overlap(9)), "the same row twice");
        assert_eq!(fault("0,9,0,2\n1,9,0,1\n2,3,0,2\n3,4,0,1").0, 4, "the first of several, in the order of the file");
        assert_eq!(Trace::parse("t", &format!("{HEADER}\n0,9,0,1\n5,9,0,2\n10,20,0,1")).unwrap().contacts.len(), 3);
    }

    #[test]
    fn meetings_of_a_pair_that_overlap_or_touch_become_one() {
        let contact = |start, end, a, b| Contact { start, end, a, b };
        let meetings = vec![contact(9, 12, 0, 1), contact(30, 31, 0, 1), contact(0, 5, 2, 3), contact(0, 9, 0, 1), contact(1, 3, 0, 1)];
        let trace = Trace::merged("m", 5, meetings);
        assert_eq!(trace.contacts, [contact(0, 5, 2, 3), contact(0, 12, 0, 1), contact(30, 31, 0, 1)]);
        assert_eq!((trace.nodes, trace.length()), (5, 31));
    }

    #[test]
    fn errors_read_as_sentences() {
        let said = |rows: &str| Trace::parse("t", &format!("{HEADER}\n{rows}")).unwrap_err().to_string();
        assert_eq!(said("0,9,3,3"), "line 2: node 3 is in contact with itself");
        assert_eq!(said("0,9"), "line 2: 4 fields with commas between them are needed, 2 found");
        assert_eq!(said("0,9,0,100000"), "line 2: node_b is more than 99999");
    }
}
