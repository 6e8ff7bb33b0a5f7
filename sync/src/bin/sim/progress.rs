//! How far a run has come, on standard error: a line that is written over on a terminal, one every ten seconds elsewhere.

use std::{
    io::{self, IsTerminal, Write},
    time::Duration,
};

use hedgerow_sync::sim::replay::Progress;

use crate::clock::Stopwatch;

const ON_A_TERMINAL: Duration = Duration::from_millis(200);
const ELSEWHERE: Duration = Duration::from_secs(10);

/// Tells of one run.
pub(crate) struct Teller {
    label: String,
    letters: usize,
    started: Stopwatch,
    told: Duration,
    every: Duration,
    terminal: bool,
}

impl Teller {
    /// Starts with a run, called so, of so many letters.
    pub(crate) fn new(label: String, letters: usize) -> Self {
        let terminal = io::stderr().is_terminal();
        let every = if terminal { ON_A_TERMINAL } else { ELSEWHERE };
        Self { label, letters, started: Stopwatch::start(), told: Duration::ZERO, every, terminal }
    }

    /// What has passed since the run began.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Says how far the run has come, if it is time to.
    pub(crate) fn tell(&mut self, progress: Progress) {
        let now = self.elapsed();
        if now < self.told + self.every {
            return;
        }
        self.told = now;
        let line = self.line(progress, now);
        // Nothing depends on whether anybody reads it.
        let _ = if self.terminal { write!(io::stderr(), "\r\x1b[K{line}") } else { writeln!(io::stderr(), "{line}") };
    }

    /// Takes the line away again, before a row is written.
    pub(crate) fn clear(&self) {
        if self.terminal {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }

    fn line(&self, progress: Progress, elapsed: Duration) -> String {
        let done = 100.0 * progress.at.as_secs_f64() / progress.length.as_secs_f64().max(1.0);
        let (label, letters, delivered) = (&self.label, self.letters, progress.delivered);
        format!("{label}: {done:.0} % of the trace, {delivered} of {letters} messages, {} s", elapsed.as_secs())
    }
}
