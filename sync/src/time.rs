//! Time as an argument: the driver reads the one clock, everything here only compares.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A moment of running time, counted from an origin of the driver's choice; for timers only, never stored or sent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Instant(Duration);

impl Instant {
    /// The origin.
    pub const ZERO: Self = Self(Duration::ZERO);

    /// The moment `elapsed` after the origin.
    pub const fn from_origin(elapsed: Duration) -> Self {
        Self(elapsed)
    }

    /// How long after `earlier` this moment lies; zero if it lies before.
    pub const fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl std::ops::Add<Duration> for Instant {
    type Output = Self;

    fn add(self, later: Duration) -> Self {
        Self(self.0.saturating_add(later))
    }
}

/// Milliseconds since 1970-01-01 00:00 UTC, as some clock had it; a stranger's is data, not truth.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnixMillis(pub u64);

impl UnixMillis {
    /// The whole hours since 1970, at most what the type holds.
    pub const fn hour(self) -> Hour {
        let hours = self.0 / 3_600_000;
        Hour(if hours > u32::MAX as u64 { u32::MAX } else { hours as u32 })
    }
}

/// Whole hours since 1970-01-01 00:00 UTC (docs/protocol.md, section 1); 0 where there was no clock.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Hash)]
pub struct Hour(pub u32);

impl Hour {
    /// What a node without a clock says.
    pub const UNKNOWN: Self = Self(0);

    /// This hour moved by `hours`, held within the range of the type.
    pub const fn plus(self, hours: u32) -> Self {
        Self(self.0.saturating_add(hours))
    }
}

/// Both clocks at one moment, as the driver hands them in with every input.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Now {
    /// Running time, for timers.
    pub mono: Instant,
    /// What the system clock says, plausible or not.
    pub wall: UnixMillis,
}
