//! One that may be dialled, and the pauses between attempts.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use tokio::time::Instant;

use crate::BeaconId;

/// First pause after a failure.
pub(super) const BACK_OFF_MIN: Duration = Duration::from_millis(250);
/// Longest pause for a neighbour that mDNS has found.
pub(super) const BACK_OFF_MAX: Duration = Duration::from_secs(30);
/// Longest pause for an address the owner gave.
pub(super) const BACK_OFF_MAX_FIXED: Duration = Duration::from_secs(5);
/// Longest pause for an address whose links end at once: it is ourselves, a duplicate, or a node that has no room.
pub(super) const BACK_OFF_MAX_BRIEF: Duration = Duration::from_secs(60);
/// A link that lived shorter than this was of no use (guess: handshake, HELLO and BYE with room to spare).
pub(super) const BRIEF_LINK: Duration = Duration::from_secs(10);
/// Pause for a neighbour whose link was of no use to one of the two, and the longest for one that has no place for us (guess: in the quarter of
/// an hour that its beacon lasts it is looked at once or twice, 3 kB each).
pub(super) const REST: Duration = Duration::from_secs(600);
/// The first pause for one that has no place for us is 64 s: [`BACK_OFF_MIN`] doubled so often. Each time one after the other it doubles.
pub(super) const CROWDED_DOUBLINGS: u32 = 8;

/// What is dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::lan) enum Target {
    /// A neighbour found by mDNS.
    Beacon(BeaconId),
    /// The owner's `connect` address of this index.
    Fixed(usize),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Waiting(Instant),
    Dialling,
    Up(Instant),
}

pub(super) struct Entry {
    pub(super) state: State,
    /// Where it was last found: by mDNS, or by a successful connection.
    pub(super) addresses: Vec<SocketAddr>,
    /// When it was first found.
    pub(super) since: Instant,
    /// Where the last connection to it came about.
    pub(super) reached: Option<IpAddr>,
    /// It was dialled under this beacon.
    pub(super) dialled: bool,
    pub(super) failures: u32,
    pub(super) brief_links: u32,
    /// mDNS has shown it since the last [`Dialler::forget_sightings`](super::Dialler::forget_sightings).
    pub(super) seen: bool,
    pub(super) paused: bool,
    /// Under this beacon there was no place for it, or it has left again at once: it is no contact in need of a link.
    pub(super) passed: bool,
    /// A link to it that was kept has broken, and it was not dialled since.
    pub(super) lost: bool,
    /// How often it had no place for us since it last had.
    pub(super) turned_away: u32,
    /// It is left alone until then, whatever else makes it due: a link would be of no use, or find no place.
    pub(super) rests_until: Option<Instant>,
}

impl Entry {
    pub(super) fn new(due: Instant, addresses: Vec<SocketAddr>) -> Self {
        Self {
            state: State::Waiting(due),
            addresses,
            since: due,
            reached: None,
            dialled: false,
            failures: 0,
            brief_links: 0,
            seen: true,
            paused: false,
            passed: false,
            lost: false,
            turned_away: 0,
            rests_until: None,
        }
    }

    /// How often it was dialled in vain, or for a link that ended at once.
    pub(super) fn useless(&self) -> u32 {
        self.failures.saturating_add(self.brief_links)
    }

    pub(super) fn due(&self) -> Option<Instant> {
        match self.state {
            State::Waiting(due) => Some(self.rests_until.map_or(due, |until| until.max(due))),
            State::Dialling | State::Up(_) => None,
        }
    }

    /// Leaves it alone for a while. The word may come before or after the end of its link.
    pub(super) fn rest(&mut self, until: Instant) {
        (self.passed, self.lost) = (true, false);
        self.rests_until = Some(until);
    }
}

/// The pause after so many failures: doubling, with a quarter of jitter either way.
pub(super) fn back_off(failures: u32, longest: Duration, random: u32) -> Duration {
    around(BACK_OFF_MIN.saturating_mul(1 << failures.min(16)).min(longest), random)
}

/// A pause with a quarter of jitter to both sides.
pub(super) fn around(pause: Duration, random: u32) -> Duration {
    pause.mul_f64(0.75 + 0.5 * f64::from(random) / f64::from(u32::MAX))
}

/// A pause of this mean, as of something that may happen at any moment; at most `most`.
pub(super) fn exponential(mean: Duration, most: Duration, random: u32) -> Duration {
    let uniform = (f64::from(random) + 1.0) / (f64::from(u32::MAX) + 1.0);
    mean.mul_f64(-uniform.ln()).min(most)
}
