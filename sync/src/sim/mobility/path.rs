//! Where a person is at each second: a line through points in time, straight and at one speed between them.

use rand_core::Rng;

use super::super::draw::between;

/// How people walk, centimetres a second.
pub(super) const WALK: u32 = 130;
/// Seconds of an hour and of a day.
pub(super) const HOUR: u32 = 3_600;
pub(super) const DAY: u32 = 24 * HOUR;
/// The time of day at which every trace begins: six in the morning, when people get up.
const MORNING: u32 = 6 * HOUR;

/// A place on flat ground, centimetres.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Point {
    pub(super) x: i32,
    pub(super) y: i32,
}

impl Point {
    /// A place in metres.
    pub(super) const fn metres(x: u32, y: u32) -> Self {
        Self { x: x as i32 * 100, y: y as i32 * 100 }
    }

    /// A place so many metres to the right and up at most, wherever it falls.
    pub(super) fn near(self, rng: &mut impl Rng, width: u32, height: u32) -> Self {
        Self { x: self.x + between(rng, 0, width * 100) as i32, y: self.y + between(rng, 0, height * 100) as i32 }
    }

    /// Whole centimetres to another place.
    fn distance(self, other: Self) -> u64 {
        let [dx, dy] = [self.x.abs_diff(other.x), self.y.abs_diff(other.y)].map(u64::from);
        (dx * dx + dy * dy).isqrt()
    }

    /// Whether another place is so many centimetres away at most.
    pub(super) fn is_within(self, other: Self, reach: u32) -> bool {
        let [dx, dy, reach] = [self.x.abs_diff(other.x), self.y.abs_diff(other.y), reach].map(u64::from);
        dx * dx + dy * dy <= reach * reach
    }
}

/// The time of day at a second of a trace, seconds since midnight.
pub(super) const fn time_of_day(at: u32) -> u32 {
    (at + MORNING) % DAY
}

/// When it is so late next: a second of the trace after `at`.
pub(super) const fn next(at: u32, time: u32) -> u32 {
    at + (time + DAY - time_of_day(at) - 1) % DAY + 1
}

/// The days that have begun since the one on which the trace began.
pub(super) const fn day_of(at: u32) -> u32 {
    (at + MORNING) / DAY
}

/// Where a person is at each second of a trace. Written from the beginning on; it may go on past the end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Path {
    points: Vec<(u32, Point)>,
    end: u32,
}

impl Path {
    /// Starts somewhere; the trace is so many seconds long.
    pub(super) fn new(at: Point, end: u32) -> Self {
        Self { points: vec![(0, at)], end }
    }

    /// The second up to which the path is known.
    pub(super) fn now(&self) -> u32 {
        self.points.last().map_or(0, |(now, _)| *now)
    }

    /// Where it ends so far.
    pub(super) fn at(&self) -> Point {
        self.points.last().map(|(_, at)| *at).unwrap_or_default()
    }

    /// Whether the whole trace is covered.
    pub(super) fn is_done(&self) -> bool {
        self.now() >= self.end
    }

    /// Walks somewhere.
    pub(super) fn walk(&mut self, to: Point) {
        let seconds = self.at().distance(to).div_ceil(WALK.into());
        self.reach(to, self.now().saturating_add(u32::try_from(seconds).unwrap_or(u32::MAX)));
    }

    /// Moves so as to be somewhere at a second, which is not in the past.
    pub(super) fn reach(&mut self, to: Point, when: u32) {
        let when = when.max(self.now());
        self.points.push((when, to));
    }

    /// Stays until a second, if that is not in the past.
    pub(super) fn stay_until(&mut self, when: u32) {
        self.reach(self.at(), when);
    }

    /// Stays for a time between these, minutes.
    pub(super) fn stay_minutes(&mut self, rng: &mut impl Rng, least: u32, most: u32) {
        let seconds = between(rng, least * 60, most * 60);
        self.stay_until(self.now().saturating_add(seconds));
    }

    /// Follows the path from its beginning.
    pub(super) fn follow(&self) -> Follower<'_> {
        Follower { points: &self.points }
    }
}

/// Reads a path forwards.
pub(super) struct Follower<'a> {
    /// The point passed last and those to come.
    points: &'a [(u32, Point)],
}

impl Follower<'_> {
    /// Where the person is at a second that is not before the last one asked for.
    pub(super) fn at(&mut self, now: u32) -> Point {
        while let [_, rest @ ..] = self.points
            && rest.first().is_some_and(|(when, _)| *when <= now)
        {
            self.points = rest;
        }
        match self.points {
            [(left, from), (due, to), ..] => {
                let [gone, whole] = [now.saturating_sub(*left), due - left].map(i64::from);
                // A part of a way fits where the whole does.
                let part = |from: i32, to: i32| from + ((i64::from(to) - i64::from(from)) * gone / whole) as i32;
                Point { x: part(from.x, to.x), y: part(from.y, to.y) }
            }
            [(_, at)] => *at,
            [] => Point::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_followed_at_even_speed_and_stays_where_it_ends() {
        let mut path = Path::new(Point::metres(0, 0), 1_000);
        path.stay_until(10);
        path.reach(Point::metres(30, 40), 20);
        path.stay_until(15);
        path.walk(Point::metres(30, 170));
        assert_eq!((path.now(), path.is_done()), (120, false));
        let mut follower = path.follow();
        let at = |x, y| Point { x, y };
        let seen = [0, 10, 15, 20, 70, 120, 5_000].map(|now| follower.at(now));
        assert_eq!(seen, [at(0, 0), at(0, 0), at(1_500, 2_000), at(3_000, 4_000), at(3_000, 10_500), at(3_000, 17_000), at(3_000, 17_000)]);
    }

    #[test]
    fn the_day_begins_at_six() {
        assert_eq!((time_of_day(0), time_of_day(18 * HOUR), day_of(18 * HOUR - 1), day_of(18 * HOUR)), (6 * HOUR, 0, 0, 1));
        assert_eq!(next(0, 7 * HOUR), HOUR);
        assert_eq!(next(HOUR, 7 * HOUR), HOUR + DAY, "not now but next");
        assert_eq!(next(2 * HOUR, 7 * HOUR), HOUR + DAY);
    }
}
