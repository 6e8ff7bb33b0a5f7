//! Who is in reach of whom: two people are in contact while they are at most [`REACH`] apart, looked at every [`STEP`] seconds.

use std::cmp::Ordering;

use super::{
    super::trace::Contact,
    path::{Path, Point},
};

/// How far a link reaches, centimetres: phones in pockets, by Bluetooth LE (guess: 10 m, where open ground gives several times that).
const REACH: u32 = 1_000;
/// Seconds between two looks.
pub(super) const STEP: u32 = 10;

/// Who is in contact with whom, sorted by nodes; the second node is the larger.
type Pairs = Vec<(u32, u32)>;

/// Everybody's meetings in so many seconds, in no order; node `n` is on path `n`. Those that last are cut off at the end.
pub(super) fn meetings(paths: &[Path], seconds: u32) -> Vec<Contact> {
    let mut followers: Vec<_> = paths.iter().map(Path::follow).collect();
    let mut met = Vec::new();
    let mut open: Vec<(u32, u32, u32)> = Vec::new();
    for now in (0..seconds).step_by(STEP as usize) {
        let people = (0_u32..).zip(&mut followers).map(|(node, follower)| (node, follower.at(now)));
        open = carry_on(open, &pairs_in_reach(people.collect()), now, &mut met);
    }
    carry_on(open, &Pairs::new(), seconds, &mut met);
    met
}

/// Ends the contacts that are not among `pairs` any more, and begins those that are new; both lists are sorted by nodes.
fn carry_on(open: Vec<(u32, u32, u32)>, pairs: &Pairs, now: u32, met: &mut Vec<Contact>) -> Vec<(u32, u32, u32)> {
    let mut still = Vec::with_capacity(pairs.len());
    let mut open = open.into_iter().peekable();
    let mut end = |(a, b, start): (u32, u32, u32)| met.push(Contact { start, end: now, a, b });
    for &(a, b) in pairs {
        while let Some(gone) = open.next_if(|&(c, d, _)| (c, d) < (a, b)) {
            end(gone);
        }
        still.push(open.next_if(|&(c, d, _)| (c, d) == (a, b)).unwrap_or((a, b, now)));
    }
    open.for_each(end);
    still
}

/// Those who are in reach of each other. People are sorted into strips as wide as a link reaches, so that each is held against few.
fn pairs_in_reach(mut people: Vec<(u32, Point)>) -> Pairs {
    let strip = |at: Point| at.y.div_euclid(REACH as i32);
    let order = |one: Point, other: Point| strip(one).cmp(&strip(other)).then(one.x.cmp(&other.x));
    people.sort_unstable_by(|(one, here), (other, there)| order(*here, *there).then(one.cmp(other)));
    let mut pairs = Pairs::new();
    for (index, &(node, here)) in people.iter().enumerate() {
        let first_above = Point { x: here.x.saturating_sub(REACH as i32), y: here.y.saturating_add(REACH as i32) };
        let above = people.partition_point(|(_, at)| order(*at, first_above) == Ordering::Less);
        for (from, row) in [(index + 1, strip(here)), (above.max(index + 1), strip(first_above))] {
            let near = people[from..].iter().take_while(|(_, at)| strip(*at) == row && at.x <= here.x.saturating_add(REACH as i32));
            let met = near.filter(|(_, at)| here.is_within(*at, REACH));
            pairs.extend(met.map(|&(other, _)| (node.min(other), node.max(other))));
        }
    }
    pairs.sort_unstable();
    pairs
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_contact_lasts_while_two_are_near() {
        let mut walker = Path::new(Point::metres(0, 0), 100);
        walker.reach(Point::metres(100, 0), 100);
        let paths = [Path::new(Point::metres(50, 0), 100), walker, Path::new(Point::metres(50, 11), 100)];
        // In reach from 40 m to 60 m; at 60 s exactly ten metres away.
        assert_eq!(meetings(&paths, 100), [Contact { start: 40, end: 70, a: 0, b: 1 }]);
        assert_eq!(meetings(&paths, 45), [Contact { start: 40, end: 45, a: 0, b: 1 }], "cut off at the end");
    }

    proptest! {
        #[test]
        fn strips_find_the_pairs_that_a_full_search_finds(places in prop::collection::vec((-4_000..4_000_i32, -4_000..4_000_i32), 0..60)) {
            let people: Vec<(u32, Point)> = (0..).zip(places).map(|(node, (x, y))| (node, Point { x, y })).collect();
            let mut expected = Vec::new();
            for &(a, here) in &people {
                for &(b, there) in &people {
                    if a < b && f64::from(here.x - there.x).hypot(f64::from(here.y - there.y)) <= 1_000.0 {
                        expected.push((a, b));
                    }
                }
            }
            prop_assert_eq!(pairs_in_reach(people), expected);
        }
    }
}
