//! A march: a crowd that moves along streets for hours, in which neighbours change slowly.
//!
//! The column goes at a stroll for fifty minutes and stands for ten, along streets that turn a corner every few hundred metres. Everybody
//! has a place in it, along and across, which drifts by a few steps a minute; once in a while somebody looks for friends somewhere else in
//! it. So news spreads along the column from neighbour to neighbour: there are always many in reach, and they are nearly always the same.

use rand_core::Rng;

use super::{
    super::draw::between,
    path::{Path, Point},
};

/// How fast the column moves, centimetres a second.
const PACE: u32 = 80;
/// It moves for the first part of each such time, seconds, and then stands.
const ROUND: u32 = 3_600;
const MOVES_FOR: u32 = 3_000;
/// Column that each person takes, and its width, centimetres: a person on twelve square metres.
const SPACE: u32 = 100;
const STREET: u32 = 1_200;
/// Streets to the east and to the north, by turns, metres.
const EAST: u32 = 400;
const NORTH: u32 = 300;
/// How long people keep a direction, seconds, and how far they drift meanwhile, along and across, centimetres.
const STRIDE: u32 = 60;
const DRIFT: u32 = 300;
const SWAY: u32 = 150;
/// Once in so many strides, somebody goes elsewhere in the column, within so many of them.
const SELDOM: u32 = 90;
const SEARCH: u32 = 5;

/// Everybody's way.
pub(super) fn paths(nodes: u32, seconds: u32, rng: &mut impl Rng) -> Vec<Path> {
    let length = nodes * SPACE;
    (0..nodes).map(|_| path(length, seconds, rng)).collect()
}

fn path(length: u32, seconds: u32, rng: &mut impl Rng) -> Path {
    let (mut along, mut across) = (between(rng, 0, length), between(rng, 0, STREET));
    let mut path = Path::new(spot(0, along, across), seconds);
    while !path.is_done() {
        let search = between(rng, 1, SELDOM) == 1;
        let when = path.now() + if search { STRIDE * SEARCH } else { STRIDE };
        along = if search { between(rng, 0, length) } else { drifted(rng, along, DRIFT, length) };
        across = drifted(rng, across, SWAY, STREET);
        path.reach(spot(when, along, across), when);
    }
    path
}

/// A place that has changed by so much at most, within its bounds.
fn drifted(rng: &mut impl Rng, place: u32, most: u32, bound: u32) -> u32 {
    (place + between(rng, 0, 2 * most)).saturating_sub(most).min(bound)
}

/// Where a place in the column is at a second, counted from the column's end.
fn spot(now: u32, along: u32, across: u32) -> Point {
    let moved = (now / ROUND * MOVES_FOR + (now % ROUND).min(MOVES_FOR)) * PACE;
    let (block, rest) = ((moved + along) / ((EAST + NORTH) * 100), (moved + along) % ((EAST + NORTH) * 100));
    let corner = Point::metres(block * EAST, block * NORTH);
    let (east, across) = ((rest.min(EAST * 100)) as i32, across as i32);
    let north = rest.saturating_sub(EAST * 100) as i32;
    if north == 0 { Point { x: corner.x + east, y: corner.y + across } } else { Point { x: corner.x + east + across, y: corner.y + north } }
}
