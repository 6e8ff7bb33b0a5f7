//! Why the program ends without success: what, where, what to do, and an exit code.

use std::{fmt, io, path::Path, process::ExitCode};

use hedgerow_sync::sim::input::InputError;

/// Why the program ends without success.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// Options that don't go together.
    #[error("{what}")]
    Usage { what: String, hint: &'static str },
    /// A file that can't be read or written.
    #[error("{}: {error}", Shown(.path))]
    File { path: String, error: io::Error, hint: &'static str },
    /// A file that isn't what it should be.
    #[error("{}:{}: {}", Shown(.path), .error.line, .error.fault)]
    Input { path: String, error: InputError },
    /// Whoever reads our output is gone, or its disk is full.
    #[error("can't write the results: {0}")]
    Output(io::Error),
    /// Somebody pressed Ctrl-C.
    #[error("stopped after {done} of {runs} runs")]
    Stopped { done: usize, runs: usize },
    /// The engine has done what it must never do.
    #[error("a rule was broken: {what}")]
    Violation { what: String },
    /// The simulator contradicts itself.
    #[error("message {letter} of the workload arrived before any protocol could have delivered it")]
    TooEarly { letter: usize },
}

impl Failure {
    /// A file that can't be read.
    pub(crate) fn reading(path: &Path, error: io::Error) -> Self {
        Self::File { path: path.display().to_string(), error, hint: "Check that the file exists and that you may read it." }
    }

    /// A file that can't be written.
    pub(crate) fn writing(path: &Path, error: io::Error) -> Self {
        Self::File { path: path.display().to_string(), error, hint: "Check that the folder exists and that you may write to it." }
    }

    /// A file that isn't what it should be.
    pub(crate) fn input(path: &Path, error: InputError) -> Self {
        Self::Input { path: path.display().to_string(), error }
    }

    const fn hint(&self) -> &'static str {
        match self {
            Self::Usage { hint, .. } | Self::File { hint, .. } => hint,
            Self::Input { .. } => "Nothing was run. Mend that line, or fetch the file again; docs/simulation.md describes the form.",
            Self::Output(_) => "Rows that were written before are whole.",
            Self::Stopped { .. } => "Rows that were written before are whole; the same seed gives the same ones again.",
            Self::Violation { .. } => {
                "This is a mistake in the engine or in the rule: please report it with the command line and the seed."
            }
            Self::TooEarly { .. } => "This is a mistake in the simulator: please report it with the command line and the seed.",
        }
    }

    const fn code(&self) -> u8 {
        match self {
            Self::Usage { .. } | Self::File { .. } | Self::Input { .. } => 2,
            Self::Output(_) => 1,
            Self::Stopped { .. } => 130,
            Self::Violation { .. } | Self::TooEarly { .. } => 70,
        }
    }

    /// Says it on standard error.
    pub(crate) fn report(&self) -> ExitCode {
        eprintln!("error: {self}\nhint: {}", self.hint());
        ExitCode::from(self.code())
    }
}

/// Text from the command line as a terminal may see it: without control characters.
struct Shown<'a>(&'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|letter| if letter.is_control() { f.write_str("\u{fffd}") } else { write!(f, "{letter}") })
    }
}
