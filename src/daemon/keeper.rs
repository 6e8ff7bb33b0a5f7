//! Where a daemon's profile is kept: on disk, or in the demo in memory alone.

use std::path::Path;

use hedgerow_sync::{crypto::secret::Secret, engine::Engine, store::StoreError};

use super::clock::Clock;
use crate::backup::BackupError;

/// Keeps one profile, and opens its engine.
pub(crate) trait Keeper: Send + Sync {
    /// Unwraps the profile's key. Takes a good fraction of a second on purpose.
    ///
    /// # Errors
    ///
    /// [`StoreError::Passphrase`] and others.
    fn unlock(&self, passphrase: &str) -> Result<Secret<32>, StoreError>;

    /// Opens the store and the engine on it.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the profile can't be read.
    fn open(&self, key: &Secret<32>, clock: &Clock) -> Result<Engine, StoreError>;

    /// Copies the closed profile to a file that does not exist; its size, bytes.
    ///
    /// # Errors
    ///
    /// [`BackupError`]; no file is left then.
    fn backup(&self, file: &Path) -> Result<u64, BackupError>;

    /// What a person must be told if the delays that hide who writes and who reads are shorter than they should be.
    fn short_delays(&self) -> Option<String>;
}
