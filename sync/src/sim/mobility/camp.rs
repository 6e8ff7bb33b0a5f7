//! A camp: tents in rows, each with five people, and in their middle a kitchen, a clinic and a place with water for every two hundred.
//!
//! People sleep in their tent from ten to six. They eat three times a day, each when it suits them within the hours of the meal, and wait for
//! it. Between, they are at home, visit one of three tents that they know, fetch water, stroll, or sit in the clinic's shade. So everybody
//! meets the same few people at length, and many briefly, where all queue.

use rand_core::Rng;

use super::{
    super::draw::between,
    path::{HOUR, Path, Point, next, time_of_day},
};

/// People of a tent.
const TENT: u32 = 5;
/// From one tent to the next, metres; and how large a tent is.
const ROW: u32 = 15;
const TENT_SIZE: u32 = 4;
/// People for whom there is a kitchen, a clinic and a place with water.
const QUARTER: u32 = 200;
/// Tents that everybody knows besides their own.
const KNOWN: usize = 3;
/// When meals begin and end, seconds of the day.
const MEALS: [(u32, u32); 3] = [(7 * HOUR, 9 * HOUR), (12 * HOUR, 14 * HOUR), (18 * HOUR, 20 * HOUR)];
const BEDTIME: u32 = 22 * HOUR;
const MORNING: u32 = 6 * HOUR;

/// Everybody's way.
pub(super) fn paths(nodes: u32, seconds: u32, rng: &mut impl Rng) -> Vec<Path> {
    let camp = Camp { tents: nodes.div_ceil(TENT), quarters: nodes.div_ceil(QUARTER) };
    (0..nodes).map(|person| camp.path(person, seconds, rng)).collect()
}

struct Camp {
    tents: u32,
    quarters: u32,
}

/// A place that all use, in the middle of a quarter.
#[derive(Clone, Copy)]
enum Shared {
    Kitchen,
    Clinic,
    Water,
}

impl Camp {
    fn path(&self, person: u32, seconds: u32, rng: &mut impl Rng) -> Path {
        let tent = person / TENT;
        let known: [u32; KNOWN] = std::array::from_fn(|_| self.near(tent, rng));
        let mut path = Path::new(self.in_tent(tent, rng), seconds);
        while !path.is_done() {
            self.go_on(&mut path, tent, &known, rng);
        }
        path
    }

    /// The next thing that somebody does.
    fn go_on(&self, path: &mut Path, tent: u32, known: &[u32; KNOWN], rng: &mut impl Rng) {
        let time = time_of_day(path.now());
        if !(MORNING..BEDTIME).contains(&time) {
            path.walk(self.in_tent(tent, rng));
            let lie_in = between(rng, 0, HOUR);
            path.stay_until(next(path.now(), MORNING) + lie_in);
            return;
        }
        let is_meal = MEALS.iter().any(|(from, until)| (*from..*until).contains(&time));
        if is_meal && between(rng, 0, 2) == 0 {
            path.walk(self.shared(Shared::Kitchen, tent, rng));
            path.stay_minutes(rng, 20, 50);
            return;
        }
        match between(rng, 0, 99) {
            0..40 => {
                path.walk(self.in_tent(tent, rng));
                path.stay_minutes(rng, 20, 90);
            }
            40..62 => {
                let other = known[between(rng, 0, KNOWN as u32 - 1) as usize];
                path.walk(self.in_tent(other, rng));
                path.stay_minutes(rng, 15, 60);
            }
            62..80 => {
                path.walk(self.shared(Shared::Water, tent, rng));
                path.stay_minutes(rng, 5, 15);
            }
            80..85 => {
                path.walk(self.shared(Shared::Clinic, tent, rng));
                path.stay_minutes(rng, 30, 120);
            }
            _ => {
                let side = self.side() * ROW;
                path.walk(Point::default().near(rng, side, side));
                path.stay_minutes(rng, 5, 20);
            }
        }
    }

    /// Tents in a row, and rows.
    fn side(&self) -> u32 {
        let root = self.tents.isqrt();
        if root * root < self.tents { root + 1 } else { root }
    }

    fn in_tent(&self, tent: u32, rng: &mut impl Rng) -> Point {
        let side = self.side();
        Point::metres(tent % side * ROW, tent / side * ROW).near(rng, TENT_SIZE, TENT_SIZE)
    }

    /// A tent at most four rows away.
    fn near(&self, tent: u32, rng: &mut impl Rng) -> u32 {
        let side = self.side();
        let mut step = |at: u32| between(rng, at.saturating_sub(4), (at + 4).min(side - 1));
        (step(tent / side) * side + step(tent % side)).min(self.tents - 1)
    }

    /// A spot in the shared place of a tent's quarter; quarters are strips of rows.
    fn shared(&self, place: Shared, tent: u32, rng: &mut impl Rng) -> Point {
        let (side, quarter) = (self.side() * ROW, tent * self.quarters / self.tents);
        let middle = side * (2 * quarter + 1) / (2 * self.quarters);
        match place {
            Shared::Kitchen => Point::metres(side / 2, middle).near(rng, 25, 12),
            Shared::Clinic => Point::metres(side / 4, middle).near(rng, 12, 8),
            Shared::Water => Point::metres(3 * side / 4, middle).near(rng, 8, 5),
        }
    }
}
