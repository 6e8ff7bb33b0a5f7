//! Villages that a bus joins: five of them along a road, eight kilometres apart, too far for any link.
//!
//! Four people share a house. By day they are at home, in the fields, at the well or on the square; at night in their house. The bus goes
//! up and down the road from six to eight in the evening, and stands on each square for five minutes; its driver, node 0, meets whoever is
//! there. Of a hundred people some eight ride to another village on a day and come back on a later bus, or on the next day's. All that goes
//! from one village to another goes with the driver or with them.

use rand_core::Rng;

use super::{
    super::draw::{between, percent},
    path::{DAY, HOUR, Path, Point, next, time_of_day},
};

const VILLAGES: u32 = 5;
/// From one village to the next, metres.
const APART: u32 = 8_000;
/// People of a house, and from one house to the next, metres.
const HOUSE: u32 = 4;
const ROW: u32 = 30;
/// How long the bus stands on a square and how long it takes to the next, seconds.
const STANDS: u32 = 300;
const DRIVES: u32 = 800;
/// One leg of the bus: standing, then driving.
const LEG: u32 = STANDS + DRIVES;
/// The first leg of a day begins now, and the last not after, seconds of the day.
const FIRST: u32 = 6 * HOUR;
const LAST: u32 = 20 * HOUR;
/// How many of a hundred ride on a day.
const TRAVELLERS: u32 = 8;
const BEDTIME: u32 = 21 * HOUR;

/// Everybody's way.
pub(super) fn paths(nodes: u32, seconds: u32, rng: &mut impl Rng) -> Vec<Path> {
    let driver = drive(seconds);
    let villagers = (1..nodes).map(|person| villager(person, seconds, rng));
    std::iter::once(driver).chain(villagers).collect()
}

fn square(village: u32) -> Point {
    Point::metres(village * APART, 0)
}

/// Where the bus stands on the leg of that number, counted from the day's first: up the road and down again.
const fn halt(leg: u32) -> u32 {
    let place = leg % (2 * (VILLAGES - 1));
    if place < VILLAGES { place } else { 2 * (VILLAGES - 1) - place }
}

/// Legs of a day; an even number of whole ways, so that the bus sleeps where it starts.
const fn legs() -> u32 {
    let ways = (LAST - FIRST) / LEG / (2 * (VILLAGES - 1));
    ways * 2 * (VILLAGES - 1)
}

/// The driver's way.
fn drive(seconds: u32) -> Path {
    let mut path = Path::new(square(0), seconds);
    // A trace begins at six, as the bus does.
    let mut morning = 0;
    while !path.is_done() {
        for leg in 0..legs() {
            let leaves = morning + leg * LEG + STANDS;
            path.stay_until(leaves);
            path.reach(square(halt(leg + 1)), leaves + DRIVES);
        }
        morning += DAY;
        path.stay_until(morning);
    }
    path
}

fn villager(person: u32, seconds: u32, rng: &mut impl Rng) -> Path {
    let house = person / HOUSE;
    let (village, number) = (house % VILLAGES, house / VILLAGES);
    let corner = square(village);
    let home = Point { x: corner.x + (number % 8 * ROW) as i32 * 100 + 4_000, y: corner.y + (number / 8 * ROW) as i32 * 100 + 2_000 };
    let mut path = Path::new(home.near(rng, 8, 8), seconds);
    while !path.is_done() {
        if percent(rng, TRAVELLERS) {
            let other = (village + between(rng, 1, VILLAGES - 1)) % VILLAGES;
            travel(&mut path, village, other, rng);
            spend_time(&mut path, square(other), rng);
            travel(&mut path, other, village, rng);
        }
        let night = next(path.now(), BEDTIME);
        while path.now() < night && time_of_day(path.now()) >= FIRST {
            be_around(&mut path, corner, home, rng);
        }
        path.walk(home.near(rng, 8, 8));
        let morning = next(path.now(), FIRST);
        path.stay_until(morning + between(rng, 0, HOUR));
    }
    path
}

/// An hour or four in another village: its square, and its houses.
fn spend_time(path: &mut Path, corner: Point, rng: &mut impl Rng) {
    for _ in 0..between(rng, 2, 6) {
        path.walk(corner.near(rng, 100, 60));
        path.stay_minutes(rng, 15, 60);
    }
}

/// The next thing that somebody does by day.
fn be_around(path: &mut Path, corner: Point, home: Point, rng: &mut impl Rng) {
    match between(rng, 0, 99) {
        0..45 => {
            path.walk(home.near(rng, 8, 8));
            path.stay_minutes(rng, 30, 120);
        }
        45..65 => {
            let fields = Point { x: corner.x - 50_000, y: corner.y + 30_000 };
            path.walk(fields.near(rng, 300, 300));
            path.stay_minutes(rng, 60, 180);
        }
        65..80 => {
            let well = Point { x: corner.x + 9_000, y: corner.y };
            path.walk(well.near(rng, 8, 8));
            path.stay_minutes(rng, 5, 20);
        }
        _ => {
            path.walk(corner.near(rng, 25, 15));
            path.stay_minutes(rng, 15, 60);
        }
    }
}

/// Walks to the square, waits for a bus that goes there today or tomorrow, and rides on it, by the driver's side.
fn travel(path: &mut Path, from: u32, to: u32, rng: &mut impl Rng) {
    path.walk(square(from).near(rng, 4, 3));
    let (leaves, arrives) = connection(path.now(), from, to);
    path.stay_until(leaves);
    // The bus stands at the villages between: its passengers sit in it.
    let (mut now, mut village) = (leaves, from);
    while village != to && now < arrives {
        village = if village < to { village + 1 } else { village - 1 };
        now += DRIVES;
        path.reach(square(village).near(rng, 4, 2), now);
        if village != to {
            now += STANDS;
            path.stay_until(now);
        }
    }
}

/// When the next bus leaves that goes straight from one village to another, and when it is there.
fn connection(now: u32, from: u32, to: u32) -> (u32, u32) {
    let hops = from.abs_diff(to);
    let mut morning = now / DAY * DAY;
    loop {
        for leg in 0..legs().saturating_sub(hops - 1) {
            let leaves = morning + leg * LEG + STANDS;
            let is_straight = halt(leg) == from && halt(leg + hops) == to;
            if leaves >= now && is_straight {
                return (leaves, leaves + hops * LEG - STANDS);
            }
        }
        morning += DAY;
    }
}
