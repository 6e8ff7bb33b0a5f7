//! The one source of randomness: the operating system's.

use getrandom::SysRng;
use rand_core::{Rng, UnwrapErr};

use crate::cli::error::{CliError, Kind};

/// The operating system's generator as an infallible one. It holds no state that could leak or repeat, at the price of a system call.
pub(crate) type SystemRandom = UnwrapErr<SysRng>;

/// The generator. [`check`] comes before its first use.
pub(crate) const fn system() -> SystemRandom {
    UnwrapErr(SysRng)
}

/// Draws once. A system that has given randomness does not stop giving it, so that the panic inside [`UnwrapErr`] is out of reach
/// afterwards.
///
/// # Errors
///
/// A configuration error if the system has no randomness to give.
pub(crate) fn check() -> Result<(), CliError> {
    let mut probe = [0; 16];
    getrandom::fill(&mut probe).map_err(|error| {
        CliError::new(
            Kind::Config,
            format!("the system gives no random numbers: {error}"),
            "Check that getrandom(2) or /dev/urandom works.",
        )
    })
}

/// Draws a seed for the engine's jitter, where secrecy does not matter but two nodes must differ.
pub(crate) fn seed() -> u64 {
    system().next_u64()
}
