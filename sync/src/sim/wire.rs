//! A wire between two nodes: rate, delay, and what goes wrong on it.

use std::{collections::VecDeque, time::Duration};

use hedgerow_transports::LinkId;
use rand_core::Rng;

use super::{FRAME_LEN, REDIAL_AFTER, observe::What};
use crate::delay::exponential;

/// Names a wire of one simulation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct WireId(pub usize);

/// What a wire is like. Probabilities are per message. Loss, repetition and reordering are below the transport's promise of order, so
/// that a session meets them as damage and must end.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Faults {
    /// Bytes a second, each way.
    pub rate: u32,
    /// From one end to the other.
    pub delay: Duration,
    /// How often a message is lost.
    pub loss: f64,
    /// How often a message comes twice.
    pub duplicate: f64,
    /// How often a message is overtaken by the next one.
    pub reorder: f64,
    /// After how long a connection breaks, on average; never if absent.
    pub cut_mean: Option<Duration>,
    /// How long it stays down then, before it comes up again by itself.
    pub redial: Duration,
    /// How often one end alone notices that a connection broke; what the other sends for fifteen seconds is lost.
    pub half_open: f64,
}

impl Faults {
    /// A good wire: 1 MB/s, 1 ms, nothing goes wrong.
    pub const NONE: Self = Self {
        rate: 1_000_000,
        delay: Duration::from_millis(1),
        loss: 0.0,
        duplicate: 0.0,
        reorder: 0.0,
        cut_mean: None,
        redial: REDIAL_AFTER,
        half_open: 0.0,
    };

    /// How long a message occupies the wire.
    pub(super) fn takes(&self, length: usize) -> Duration {
        Duration::from_secs_f64((length + FRAME_LEN) as f64 / f64::from(self.rate))
    }

    /// Draws which end of a connection that breaks learns of it late, if any.
    pub(super) fn draw_late(&self, rng: &mut impl Rng) -> Option<usize> {
        (self.half_open > 0.0 && draw(rng) < self.half_open).then(|| rng.next_u32() as usize & 1)
    }

    /// Draws when a connection breaks.
    pub(super) fn cut_after(&self, rng: &mut impl Rng) -> Option<Duration> {
        self.cut_mean.map(|mean| exponential(mean, rng))
    }
}

/// A number in [0, 1).
fn draw(rng: &mut impl Rng) -> f64 {
    f64::from(rng.next_u32()) / (f64::from(u32::MAX) + 1.0)
}

/// A message that has not arrived yet, for whoever counts what has crossed when a wire breaks.
pub(super) struct Queued {
    /// At which end it will arrive.
    pub(super) to: usize,
    pub(super) what: What,
    /// With its framing, bytes.
    pub(super) length: usize,
    /// When its last byte has left.
    pub(super) sent: Duration,
}

/// The state of a wire.
pub(super) struct Wire {
    pub(super) ends: [usize; 2],
    pub(super) faults: Faults,
    /// Both ends' links while it is up; the first end has dialled.
    pub(super) links: Option<[LinkId; 2]>,
    /// Counts connections, so that nothing of an older one arrives.
    pub(super) connection: u64,
    pub(super) wanted: bool,
    /// How often in a row its link was ended for want of a place.
    pub(super) turned_away: u32,
    pub(super) last_arrival: Duration,
    /// When it came up.
    pub(super) since: Duration,
    /// Breaks in place of the message after so many.
    pub(super) cut_before: Option<u64>,
    /// Until when each direction's transmitter is busy.
    busy: [Duration; 2],
    /// What is under way, by when it was put on the wire.
    pub(super) queue: VecDeque<Queued>,
}

impl Wire {
    pub(super) const fn new(ends: [usize; 2], faults: Faults) -> Self {
        Self {
            ends,
            faults,
            links: None,
            connection: 0,
            wanted: true,
            turned_away: 0,
            last_arrival: Duration::ZERO,
            since: Duration::ZERO,
            cut_before: None,
            busy: [Duration::ZERO; 2],
            queue: VecDeque::new(),
        }
    }

    pub(super) fn up(&mut self, links: [LinkId; 2], now: Duration) {
        self.links = Some(links);
        self.connection += 1;
        self.busy = [now; 2];
        self.last_arrival = now;
        self.since = now;
        self.queue.clear();
    }

    /// When the last byte of a message of `length` bytes to end `to` will have left, if it is put on the wire now.
    pub(super) fn sent_at(&self, now: Duration, to: usize, length: usize) -> Duration {
        self.busy.get(to).map_or(now, |busy| *busy).max(now) + self.faults.takes(length)
    }

    /// When a message of `length` bytes arrives at end `to`: once, never, or twice.
    pub(super) fn arrivals(&mut self, now: Duration, to: usize, length: usize, rng: &mut impl Rng) -> Vec<Duration> {
        let [lost, doubled, reordered] = [self.faults.loss, self.faults.duplicate, self.faults.reorder].map(|p| draw(rng) < p);
        let sent = self.sent_at(now, to, length);
        let Some(busy) = self.busy.get_mut(to) else { return Vec::new() };
        *busy = sent;
        let mut at = sent + self.faults.delay;
        if reordered {
            at += self.faults.delay * 3;
        }
        self.last_arrival = self.last_arrival.max(at);
        match (lost, doubled) {
            (true, _) => Vec::new(),
            (false, true) => {
                *busy += self.faults.takes(length);
                vec![at, at + self.faults.takes(length)]
            }
            (false, false) => vec![at],
        }
    }
}
