//! The one source of randomness: the operating system's.

use getrandom::SysRng;
use rand_core::UnwrapErr;

use crate::cli::error::{CliError, Kind};

/// The operating system's generator as an infallible one. It holds no state that could leak or repeat, at the price of a system call.
pub(crate) type SystemRandom = UnwrapErr<SysRng>;

/// Makes the generator after drawing from it once: a system that has given randomness does not stop giving it, so that the panic inside
/// [`UnwrapErr`] is out of reach afterwards.
///
/// # Errors
///
/// A configuration error if the system has no randomness to give.
pub(crate) fn system_random() -> Result<SystemRandom, CliError> {
    let mut probe = [0; 16];
    getrandom::fill(&mut probe).map_err(|error| {
        CliError::new(Kind::Config, format!("the system gives no random numbers: {error}"), "Check that getrandom(2) or /dev/urandom works.")
    })?;
    Ok(UnwrapErr(SysRng))
}

/// Draws a seed for the engine's jitter, where secrecy does not matter but two nodes must differ.
///
/// # Errors
///
/// As [`system_random`].
pub(crate) fn seed() -> Result<u64, CliError> {
    use rand_core::Rng;
    Ok(system_random()?.next_u64())
}
