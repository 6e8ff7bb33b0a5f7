//! Windows and the set of numbers received (docs/protocol.md, section 8.3).

use std::ops::Range;

/// A sender seals no number this far or farther above what the other side has confirmed, or it has closed itself.
pub const SEND_WINDOW: u32 = 1_000;
/// How many messages a sender seals in a chain of which no number is confirmed or receipted; when all are closed, one more at a time.
///
/// Word that a number was read comes in a chain that the other side began after reading it, and opening that ends this side's chain: among
/// those who keep to the protocol this is how much one side writes between two answers.
pub const SEND_UNANSWERED: u32 = 200;
/// How many tags a receiver expects after the highest number seen in the current chain.
pub const RECEIVE_WINDOW: u32 = 1_024;
/// How many tags a receiver expects of the next chain.
pub const RECEIVE_NEXT_WINDOW: u32 = 256;
/// Most messages of one chain that a receiver skips (docs/protocol.md, section 8.3).
pub const MAX_SKIPPED_PER_CHAIN: u32 = 2_000;
/// Most skipped keys that the store keeps for one contact, oldest dropped first (section 8.3, policy).
pub const MAX_SKIPPED_PER_CONTACT: usize = 4_000;
/// For how many hours of running time the store keeps a skipped key (section 8.3, policy): 30 days.
pub const SKIPPED_KEY_HOURS: u32 = 30 * 24;
/// How far above `confirmed` a number may lie that is opened (policy): twice [`SEND_WINDOW`], which binds the honest; bounds what is kept.
pub(super) const MAX_OPEN_SPAN: u32 = 2 * SEND_WINDOW;

/// Which of the other side's numbers have been dealt with.
#[derive(Clone, PartialEq, Eq, Default)]
pub(super) struct Received {
    /// All lower numbers have been opened or lie below `floor`.
    confirmed: u32,
    /// The other side has closed all lower numbers.
    floor: u32,
    /// Numbers opened above `confirmed`: ascending, disjoint, never touching, never empty, none starting at `confirmed`.
    ranges: Vec<Range<u32>>,
}

impl Received {
    /// Puts together what has been stored; `None` if it could not have come about.
    pub(super) fn from_parts(confirmed: u32, floor: u32, ranges: Vec<Range<u32>>) -> Option<Self> {
        let mut below = confirmed;
        for range in &ranges {
            if range.start <= below || range.end <= range.start {
                return None;
            }
            below = range.end;
        }
        (floor <= confirmed && below - confirmed <= MAX_OPEN_SPAN).then_some(Self { confirmed, floor, ranges })
    }

    /// All lower numbers have been dealt with.
    pub(super) const fn confirmed(&self) -> u32 {
        self.confirmed
    }

    /// The other side has closed all lower numbers.
    pub(super) const fn floor(&self) -> u32 {
        self.floor
    }

    /// What has been opened above [`Self::confirmed`].
    pub(super) fn ranges(&self) -> &[Range<u32>] {
        &self.ranges
    }

    /// Says whether `number`, whose header tells `floor`, may be opened: it is new as far as this set knows, and within the span.
    pub(super) fn admits(&self, number: u32, floor: u32) -> bool {
        let confirmed = self.confirmed.max(floor);
        let seen = self.ranges.iter().any(|range| range.contains(&number));
        floor <= number && !seen && number < u32::MAX && number.saturating_sub(confirmed) < MAX_OPEN_SPAN
    }

    /// Notes that `number` has been opened and that the other side has closed everything below `floor`.
    pub(super) fn insert(&mut self, number: u32, floor: u32) {
        self.floor = self.floor.max(floor);
        if number >= self.confirmed {
            let at = self.ranges.partition_point(|range| range.end < number);
            match self.ranges.get_mut(at) {
                Some(range) if range.end == number => range.end += 1,
                Some(range) if range.start == number + 1 => range.start = number,
                Some(range) if range.contains(&number) => {}
                _ => self.ranges.insert(at, number..number + 1),
            }
            if let Some([left, right]) = self.ranges.get_mut(at..at.saturating_add(2))
                && left.end == right.start
            {
                left.end = right.end;
                self.ranges.remove(at + 1);
            }
        }
        self.confirmed = self.confirmed.max(self.floor);
        while let Some(first) = self.ranges.first()
            && first.start <= self.confirmed
        {
            self.confirmed = self.confirmed.max(first.end);
            self.ranges.remove(0);
        }
    }

    /// The lowest gaps below the highest number opened, at most `limit`.
    pub(super) fn missing(&self, limit: usize) -> Vec<Range<u32>> {
        let ends = std::iter::once(self.confirmed).chain(self.ranges.iter().map(|range| range.end));
        ends.zip(&self.ranges).map(|(end, next)| end..next.start).take(limit).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ranges_agree_with_a_plain_set(steps in prop::collection::vec((0..120_u32, 0..4_u32), 0..150)) {
            let mut received = Received::default();
            let (mut opened, mut floor) = (BTreeSet::new(), 0);
            for (number, rise) in steps {
                let told = if rise == 0 { number / 2 } else { 0 };
                if received.admits(number, told) {
                    received.insert(number, told);
                    opened.insert(number);
                    floor = floor.max(told);
                }
                let confirmed = (0..).find(|number| *number >= floor && !opened.contains(number)).unwrap();
                prop_assert_eq!(received.confirmed(), confirmed);
                prop_assert_eq!(received.floor(), floor);
                let above: BTreeSet<u32> = received.ranges().iter().cloned().flatten().collect();
                prop_assert_eq!(&above, &opened.iter().copied().filter(|&number| number >= confirmed).collect());
                let highest = opened.last().copied().unwrap_or(0);
                let missing: Vec<u32> = received.missing(usize::MAX).into_iter().flatten().collect();
                prop_assert_eq!(missing, (confirmed..highest.max(confirmed)).filter(|number| !opened.contains(number)).collect::<Vec<_>>());
                let again = Received::from_parts(received.confirmed(), received.floor(), received.ranges().to_vec());
                prop_assert!(again.as_ref() == Some(&received));
            }
        }
    }

    #[test]
    fn a_floor_above_the_number_itself_is_refused() {
        let received = Received::default();
        assert!(received.admits(5, 5));
        assert!(!received.admits(5, 6));
        assert!(!received.admits(u32::MAX, u32::MAX));
    }

    #[test]
    fn a_number_too_far_above_the_gaps_is_refused() {
        let received = Received::default();
        assert!(received.admits(MAX_OPEN_SPAN - 1, 0));
        assert!(!received.admits(MAX_OPEN_SPAN, 0));
        assert!(received.admits(MAX_OPEN_SPAN, 1));
    }

    #[test]
    fn stored_ranges_that_could_not_have_come_about_are_refused() {
        let cases = [
            (5, 6, vec![]),
            (5, 0, vec![(5, 6)]),
            (5, 0, vec![(4, 6)]),
            (5, 0, vec![(7, 7)]),
            (5, 0, vec![(9, 10), (7, 8)]),
            (5, 0, vec![(7, 8), (8, 9)]),
            (5, 0, vec![(7, 9_000)]),
        ];
        for (confirmed, floor, ranges) in cases {
            let ranges = ranges.into_iter().map(|(start, end)| start..end).collect();
            assert!(Received::from_parts(confirmed, floor, ranges).is_none());
        }
    }
}
