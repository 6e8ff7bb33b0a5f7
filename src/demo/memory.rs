//! A profile that is nowhere but in memory.

use std::path::Path;

use hedgerow_sync::{
    crypto::{identity::Name, secret::Secret},
    engine::{Engine, create_profile},
    store::{StoreError, memory::MemoryStore},
};

use crate::{
    backup::BackupError,
    daemon::{clock::Clock, keeper::Keeper},
    profile::with_delays_divided_by,
    random,
};

/// Keeps a profile in memory; any passphrase opens it.
pub(crate) struct MemoryKeeper {
    store: MemoryStore,
    delay_divisor: u32,
}

impl MemoryKeeper {
    /// Makes a profile.
    ///
    /// # Errors
    ///
    /// [`StoreError`], which a store in memory has no cause for.
    pub(crate) fn new(name: &Name, delay_divisor: u32) -> Result<Self, StoreError> {
        let store = MemoryStore::new();
        create_profile(&mut store.handle(), name, &mut random::system())?;
        Ok(Self { store, delay_divisor })
    }
}

impl Keeper for MemoryKeeper {
    fn unlock(&self, _passphrase: &str) -> Result<Secret<32>, StoreError> {
        Ok(Secret::random(&mut random::system()))
    }

    fn open(&self, _key: &Secret<32>, clock: &Clock) -> Result<Engine, StoreError> {
        self.store.reopen();
        let config = with_delays_divided_by(self.delay_divisor);
        Engine::open(config, Box::new(self.store.handle()), Box::new(random::system()), random::seed(), clock.now())
    }

    fn backup(&self, _file: &Path) -> Result<u64, BackupError> {
        Err(BackupError::NothingToKeep)
    }

    /// The demo says it in its title.
    fn short_delays(&self) -> Option<String> {
        None
    }
}
