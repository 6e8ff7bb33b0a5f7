//! Making a profile from the interface: the same steps as `hedgerow init` and `hedgerow restore`.

use std::path::PathBuf;

use etcetera::home_dir;

use crate::{
    backup,
    cli::{
        error::{CliError, Kind},
        setup::usable_name,
    },
    config::Config,
    profile::Profile,
};

/// Makes a new profile.
///
/// # Errors
///
/// As `hedgerow init`; nothing of a profile is left then.
pub(super) fn create(config: &Config, name: &str, visible: bool, passphrase: &str) -> Result<(), CliError> {
    let name = usable_name(name)?;
    let profile = Profile::at(&config.home);
    let _lock = profile.prepare()?;
    Ok(profile.create(&name, visible, passphrase)?)
}

/// Makes the profile of a backup; `~/` at the beginning of its path is the person's home folder.
///
/// # Errors
///
/// As `hedgerow restore`; nothing of the profile is left then, and the backup is as it was.
pub(super) fn restore(config: &Config, file: &str, passphrase: &str) -> Result<(), CliError> {
    let path = match file.strip_prefix("~/") {
        Some(rest) => home_dir().map_err(|_| CliError::new(Kind::Config, "no home folder is known", "Write the whole path."))?.join(rest),
        None => PathBuf::from(file),
    };
    let backup = backup::open(&path).map_err(|error| error.explain())?;
    let profile = Profile::at(&config.home);
    let _lock = profile.prepare()?;
    backup::restore(backup, &profile, passphrase).map_err(|error| error.explain())
}
