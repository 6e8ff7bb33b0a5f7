//! Where the interface finds its daemon.

use crate::{cli::error::CliError, config::Config, demo::Demo};

/// Where the interface finds its daemon.
pub(super) enum Place {
    /// On this machine, by the profile's socket.
    Profile(Config),
    /// In this process.
    Demo(Demo),
}

impl Place {
    /// The profile's settings.
    ///
    /// # Errors
    ///
    /// A configuration error in the demo, which has no profile on disk.
    pub(super) fn profile(&self) -> Result<&Config, CliError> {
        match self {
            Self::Profile(config) => Ok(config),
            Self::Demo(_) => Err(CliError::usage("the demo keeps nothing", "Leave it; `hedgerow` alone makes a profile of your own.")),
        }
    }
}
