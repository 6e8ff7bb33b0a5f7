//! The only clock of the program.

use std::time::{Duration, SystemTime};

use hedgerow_sync::time::{Instant, Now, UnixMillis};

/// Reads running time and the system clock; running time counts from when it was made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    origin: std::time::Instant,
}

impl Clock {
    /// Starts running time.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads clocks")]
    pub(crate) fn start() -> Self {
        Self { origin: std::time::Instant::now() }
    }

    /// Both clocks. A system clock before 1970 reads as 1970.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads clocks")]
    pub(crate) fn now(&self) -> Now {
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Now { mono: Instant::from_origin(self.origin.elapsed()), wall: UnixMillis(u64::try_from(wall.as_millis()).unwrap_or(u64::MAX)) }
    }

    /// Running time alone.
    pub(crate) fn mono(&self) -> Instant {
        Instant::from_origin(self.origin.elapsed())
    }
}
