//! The profile's lock: one process at a time uses a profile.

use std::{
    fs::{File, OpenOptions, TryLockError},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use crate::cli::error::CliError;

/// Name of the lock file in the home. It stays when the lock is released: removing it could let two processes hold "the" lock.
pub(crate) const LOCK_FILE: &str = "lock";

/// Holds the lock until dropped, or until the process ends in whatever way.
#[derive(Debug)]
pub(crate) struct ProfileLock {
    _file: File,
}

impl ProfileLock {
    /// Tries to take the lock; `None` if another process has it.
    ///
    /// # Errors
    ///
    /// A configuration error if the home does not exist or the file can't be made.
    pub(crate) fn try_take(home: &Path) -> Result<Option<Self>, CliError> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(home.join(LOCK_FILE))
            .map_err(|error| CliError::io("the profile's lock file can't be opened", &error))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(CliError::io("the profile can't be locked", &error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn second_taker_gets_nothing_until_the_first_lets_go() {
        let home = tempfile::tempdir().unwrap();
        let first = ProfileLock::try_take(home.path()).unwrap();
        assert!(first.is_some());
        assert!(ProfileLock::try_take(home.path()).unwrap().is_none());
        drop(first);
        assert!(ProfileLock::try_take(home.path()).unwrap().is_some());
    }
}
