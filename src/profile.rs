//! A profile on disk as the program uses it: made, opened, asked without a daemon.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use hedgerow_sync::{
    crypto::{identity::Name, secret::Secret},
    engine::{Engine, EngineConfig, Input, Output, RequestId, create_profile, make_visible},
    store::{
        Store, StoreError,
        sqlite::{KdfParams, SqliteStore},
    },
    view::{Answer, Command},
};

use crate::{
    backup::{self, BackupError},
    cli::error::{CliError, Kind},
    daemon::{
        clock::Clock,
        keeper::Keeper,
        lock::{LOCK_FILE, ProfileLock},
    },
    failure::{Failure, FailureKind},
    random,
};

/// Names in a home that are no profile.
const NO_PROFILE: [&str; 2] = [LOCK_FILE, "socket"];

/// A profile's folder.
#[derive(Clone, Debug)]
pub(crate) struct Profile {
    home: PathBuf,
    delay_divisor: u32,
}

impl Profile {
    /// Names the profile in `home`, which need not exist.
    pub(crate) fn at(home: &Path) -> Self {
        Self { home: home.to_owned(), delay_divisor: 1 }
    }

    /// For tests: the engine's delays become so many times shorter.
    pub(crate) fn with_delays_divided_by(self, divisor: u32) -> Self {
        Self { delay_divisor: divisor.max(1), ..self }
    }

    /// Whether there is a profile.
    ///
    /// # Errors
    ///
    /// A store error if the folder can't be looked into.
    pub(crate) fn exists(&self) -> Result<bool, CliError> {
        Ok(SqliteStore::exists(&self.home)?)
    }

    /// Fails unless there is a profile.
    ///
    /// # Errors
    ///
    /// A configuration error, with the way to make one.
    pub(crate) fn require(&self) -> Result<(), CliError> {
        if self.exists()? {
            return Ok(());
        }
        Err(CliError::new(
            Kind::Config,
            format!("there is no profile in {}", self.home.display()),
            "Make one with `hedgerow init --name NAME`, or name its folder with --home DIR.",
        ))
    }

    /// Makes the home ready for a new profile, private and locked.
    ///
    /// # Errors
    ///
    /// A configuration error if something is in it.
    pub(crate) fn prepare(&self) -> Result<ProfileLock, CliError> {
        let taken = |what: &str| {
            CliError::new(
                Kind::Config,
                format!("{} {what}", self.home.display()),
                "Choose a folder that is empty or does not exist with --home DIR.",
            )
        };
        let unusable = |error: &std::io::Error| CliError::io("the home folder can't be made", error);
        if SqliteStore::exists(&self.home)? {
            return Err(taken("holds a profile already"));
        }
        fs::create_dir_all(&self.home).map_err(|error| unusable(&error))?;
        for entry in fs::read_dir(&self.home).map_err(|error| unusable(&error))? {
            let name = entry.map_err(|error| unusable(&error))?.file_name();
            if !NO_PROFILE.iter().any(|known| name == *known) {
                return Err(taken("is not empty"));
            }
        }
        fs::set_permissions(&self.home, fs::Permissions::from_mode(0o700)).map_err(|error| unusable(&error))?;
        ProfileLock::try_take(&self.home)?.ok_or_else(|| taken("is in use by another process"))
    }

    /// Makes the profile in a home that is ready; a visible one tells neighbours its name for a while.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; nothing of a profile is left then.
    pub(crate) fn create(&self, name: &Name, visible: bool, passphrase: &str) -> Result<(), StoreError> {
        let mut random = random::system();
        let made = SqliteStore::create(&self.home, passphrase.as_bytes(), KdfParams::interactive(), &mut random).and_then(|mut store| {
            create_profile(&mut store, name, &mut random)?;
            if visible { make_visible(&mut store, Clock::start().now().wall) } else { Ok(()) }
        });
        if made.is_err() {
            // Only what was just made: `prepare` has seen that there was nothing. The first error is the one to tell.
            let _ = SqliteStore::wipe(&self.home);
        }
        made
    }

    /// Opens the store alone.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the profile can't be read.
    pub(crate) fn open_store(&self, key: &Secret<32>) -> Result<Box<dyn Store>, StoreError> {
        Ok(Box::new(SqliteStore::open_with_key(&self.home, key)?))
    }

    /// Puts the key under another passphrase, whether or not a daemon runs.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; the old passphrase is then still the right one.
    pub(crate) fn change_passphrase(&self, before: &str, after: &str) -> Result<(), StoreError> {
        let mut random = random::system();
        SqliteStore::change_passphrase(&self.home, before.as_bytes(), after.as_bytes(), KdfParams::interactive(), &mut random)
    }

    /// Destroys the profile, its key first.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if something could not be removed.
    pub(crate) fn wipe(&self) -> Result<(), StoreError> {
        SqliteStore::wipe(&self.home)
    }

    /// The profile's folder.
    pub(crate) fn home(&self) -> &Path {
        &self.home
    }
}

impl Keeper for Profile {
    fn unlock(&self, passphrase: &str) -> Result<Secret<32>, StoreError> {
        SqliteStore::unlock_key(&self.home, passphrase.as_bytes())
    }

    fn open(&self, key: &Secret<32>, clock: &Clock) -> Result<Engine, StoreError> {
        let store = SqliteStore::open_with_key(&self.home, key)?;
        let config = with_delays_divided_by(self.delay_divisor);
        Engine::open(config, Box::new(store), Box::new(random::system()), random::seed(), clock.now())
    }

    fn backup(&self, file: &Path) -> Result<u64, BackupError> {
        backup::write(&self.home, file)
    }

    fn short_delays(&self) -> Option<String> {
        let divisor = self.delay_divisor;
        (divisor > 1).then(|| format!("delays are divided by {divisor}: for tests only, they no longer hide who writes and who reads"))
    }
}

/// The default settings, but for the delays that hide who writes and who reads.
pub(crate) fn with_delays_divided_by(divisor: u32) -> EngineConfig {
    let EngineConfig { own_delay, receipt_delay, ack_delay, .. } = EngineConfig::default();
    let short = |delay: Duration| delay / divisor.max(1);
    let both = |(mean, most)| (short(mean), short(most));
    EngineConfig { own_delay: both(own_delay), receipt_delay: short(receipt_delay), ack_delay: both(ack_delay), ..EngineConfig::default() }
}

/// A profile that this process has to itself, with no links.
pub(crate) struct ClosedProfile {
    engine: Engine,
    clock: Clock,
    _lock: ProfileLock,
}

impl ClosedProfile {
    /// Opens a profile whose lock this process holds.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if it can't be opened.
    pub(crate) fn open(profile: &Profile, passphrase: &str, lock: ProfileLock) -> Result<Self, StoreError> {
        let clock = Clock::start();
        let key = profile.unlock(passphrase)?;
        Ok(Self { engine: profile.open(&key, &clock)?, clock, _lock: lock })
    }

    /// Lets the engine do one command, durably.
    ///
    /// # Errors
    ///
    /// [`Failure`] if it refuses or storage fails.
    pub(crate) fn request(&mut self, command: Command) -> Result<Answer, Failure> {
        let request = RequestId(0);
        let now = self.clock.now();
        self.engine
            .begin()
            .and_then(|()| self.engine.handle_input(now, Input::Command(request, command)))
            .and_then(|()| self.engine.commit(now))
            .map_err(|error| Failure::from(&error))?;
        let mut reply = None;
        while let Some(output) = self.engine.poll_output() {
            if let Output::Reply(_, result) = output {
                reply = Some(result);
            }
        }
        reply.ok_or_else(|| Failure::new(FailureKind::Internal, "the command was not answered"))?.map_err(Failure::from)
    }
}
