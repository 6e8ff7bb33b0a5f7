//! A city with commuters: six districts around a centre, a line from each, and work in the centre.
//!
//! Three people share a home. From Monday to Friday most leave it in the morning, each at their own hour, walk to the district's stop, wait
//! for the next train, and ride with whoever is in the same carriage; they work with some twenty others, eat in the canteen, and ride back
//! in the evening. Some then go to their district's café. At weekends, and whoever has no work, stay around home and go to the café at any
//! hour. So districts meet each other only in the centre, and on weekdays.

use rand_core::Rng;

use super::{
    super::draw::{between, percent},
    path::{HOUR, Path, Point, day_of, next, time_of_day},
};

/// People of a home.
const HOME: u32 = 3;
/// Districts, and where they lie around the centre, metres.
const DISTRICTS: u32 = 6;
const CENTRE: (u32, u32) = (6_000, 6_000);
const PLACES: [(u32, u32); DISTRICTS as usize] =
    [(1_000, 6_000), (3_500, 1_500), (8_500, 1_500), (11_000, 6_000), (8_500, 10_500), (3_500, 10_500)];
/// From the stop to the farthest homes, metres.
const DISTRICT: u32 = 500;
/// People who work in one place, and how large it is, metres.
const STAFF: u32 = 20;
const OFFICE: (u32, u32) = (20, 12);
/// How many of a hundred have work in the centre, and go to the café of an evening.
const WORKERS: u32 = 85;
const EVENINGS: u32 = 25;
/// Seconds between two trains, and how long one takes.
const HEADWAY: u32 = 600;
const RIDE: u32 = 1_200;
/// A train's length, metres: those in its other half are out of reach.
const TRAIN: u32 = 40;
const BEDTIME: u32 = 23 * HOUR;
const WAKE: u32 = 6 * HOUR + HOUR / 2;

/// Everybody's way.
pub(super) fn paths(nodes: u32, seconds: u32, rng: &mut impl Rng) -> Vec<Path> {
    (0..nodes)
        .map(|person| {
            let resident = Resident::new(person, nodes, rng);
            let mut path = Path::new(resident.home.near(rng, 8, 8), seconds);
            while !path.is_done() {
                resident.live_a_day(&mut path, rng);
            }
            path
        })
        .collect()
}

struct Resident {
    home: Point,
    stop: Point,
    cafe: Point,
    /// Where they work and when they leave home, seconds of the day.
    work: Option<(Work, u32)>,
}

struct Work {
    stop: Point,
    office: Point,
    canteen: Point,
}

impl Resident {
    fn new(person: u32, nodes: u32, rng: &mut impl Rng) -> Self {
        let household = person / HOME;
        let (x, y) = PLACES[(household % DISTRICTS) as usize];
        let stop = Point::metres(x, y);
        // The same for all of a household, whoever asks.
        let number = household / DISTRICTS;
        let home = Point::metres(x + 60 + number * 137 % DISTRICT, y + 60 + number * 89 % DISTRICT);
        let work = percent(rng, WORKERS).then(|| {
            let office = between(rng, 0, (nodes / STAFF).max(1) - 1);
            (Work::new(office, household % DISTRICTS), between(rng, 6 * HOUR + HOUR / 2, 9 * HOUR))
        });
        Self { home, stop, cafe: Point::metres(x + 30, y), work }
    }

    /// From waking up to going to bed.
    fn live_a_day(&self, path: &mut Path, rng: &mut impl Rng) {
        let is_weekday = day_of(path.now()) % 7 < 5;
        let time = time_of_day(path.now());
        match &self.work {
            Some((work, leaves)) if is_weekday && time < *leaves => {
                path.stay_until(next(path.now(), *leaves) + between(rng, 0, 900));
                self.work(work, path, rng);
                if percent(rng, EVENINGS) {
                    path.walk(self.cafe.near(rng, 15, 10));
                    path.stay_minutes(rng, 45, 120);
                }
            }
            _ => self.stay_around(path, rng),
        }
        path.walk(self.home.near(rng, 8, 8));
        let wake = next(path.now(), WAKE);
        path.stay_until(wake + between(rng, 0, 900));
    }

    /// There and back.
    fn work(&self, work: &Work, path: &mut Path, rng: &mut impl Rng) {
        ride(path, self.stop, work.stop, rng);
        let until = path.now() + between(rng, 8 * HOUR, 9 * HOUR);
        let desk = work.office.near(rng, OFFICE.0, OFFICE.1);
        let noon = next(path.now(), 12 * HOUR) + between(rng, 0, HOUR);
        work_until(path, work, desk, noon.min(until), rng);
        if noon < until {
            path.walk(work.canteen.near(rng, 20, 15));
            path.stay_minutes(rng, 20, 40);
        }
        work_until(path, work, desk, until, rng);
        ride(path, work.stop, self.stop, rng);
    }

    /// At home and in the café until it is late.
    fn stay_around(&self, path: &mut Path, rng: &mut impl Rng) {
        let late = next(path.now(), BEDTIME);
        while path.now() < late {
            let place = if percent(rng, 20) { self.cafe.near(rng, 15, 10) } else { self.home.near(rng, 8, 8) };
            path.walk(place);
            path.stay_minutes(rng, 30, 150);
        }
    }
}

impl Work {
    fn new(office: u32, district: u32) -> Self {
        // Offices stand in rows of ten; every ten have a canteen. Trains of each district have a platform of their own.
        let (x, y) = (CENTRE.0 + 100 + office % 10 * 40, CENTRE.1 + office / 10 * 60);
        let canteen = Point::metres(CENTRE.0 + 300, CENTRE.1 + office / 10 * 60 + 25);
        Self { stop: Point::metres(CENTRE.0, CENTRE.1 + district * 20), office: Point::metres(x, y), canteen }
    }
}

/// At the desk, with a while at somebody else's now and then.
fn work_until(path: &mut Path, work: &Work, desk: Point, until: u32, rng: &mut impl Rng) {
    while path.now() < until {
        path.walk(desk);
        path.stay_minutes(rng, 30, 120);
        if percent(rng, 50) {
            path.walk(work.office.near(rng, OFFICE.0, OFFICE.1));
            path.stay_minutes(rng, 5, 45);
        }
    }
}

/// Walks to a stop, waits for the next train, and rides in the same half of it from end to end.
fn ride(path: &mut Path, from: Point, to: Point, rng: &mut impl Rng) {
    let seat = Point::default().near(rng, TRAIN, 3);
    let at = |stop: Point| Point { x: stop.x + seat.x, y: stop.y + seat.y };
    path.walk(at(from));
    let leaves = path.now().next_multiple_of(HEADWAY);
    path.stay_until(leaves);
    path.reach(at(to), leaves + RIDE);
}
