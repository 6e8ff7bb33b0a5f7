//! Commands on the profile as a whole: made, locked with another passphrase, copied, destroyed.

use std::path::Path;

use hedgerow_sync::crypto::identity::Name;
use serde_json::json;

use super::{
    error::{CliError, Kind},
    output::show,
};
use crate::{
    backup,
    client::{self, Reach},
    config::Config,
    daemon::keeper::Keeper as _,
    daemon::lock::ProfileLock,
    profile::Profile,
};

/// `init`.
pub(super) fn init(config: &Config, name: &str, visible: bool) -> Result<(), CliError> {
    let name = usable_name(name)?;
    let profile = Profile::at(&config.home);
    let _lock = profile.prepare()?;
    let passphrase = Config::new_passphrase(config.passphrase_file.as_deref())?;
    profile.create(&name, visible, &passphrase)?;
    show(config, &json!({ "home": config.home, "visible": visible }), |_| {
        format!(
            "The profile is in {}.\nStart it with `hedgerow daemon`. Without the passphrase nobody can read it, you included.",
            config.home.display()
        )
    })
}

/// Takes a name for a new profile.
///
/// # Errors
///
/// A usage error if it can't be one.
pub(crate) fn usable_name(name: &str) -> Result<Name, CliError> {
    Name::new(name).map_err(|error| CliError::usage(format!("this name can't be used: {error}"), "Choose one of 1 to 50 bytes."))
}

/// `passwd`.
pub(super) fn change_passphrase(config: &Config, new_file: Option<&Path>) -> Result<(), CliError> {
    let profile = Profile::at(&config.home);
    profile.require()?;
    let before = config.passphrase()?;
    // Before anybody thinks of a new one.
    profile.unlock(&before)?;
    let after = Config::new_passphrase(new_file)?;
    profile.change_passphrase(&before, &after)?;
    show(config, &json!({ "changed": true }), |_| "The passphrase is changed. Older backups still open with the old one.".to_owned())
}

/// `wipe`.
pub(super) fn wipe(config: &Config) -> Result<(), CliError> {
    let profile = Profile::at(&config.home);
    profile.require()?;
    let Some(lock) = ProfileLock::try_take(&config.home)? else {
        return Err(CliError::new(
            Kind::Config,
            "a daemon or another command uses the profile",
            "Stop it first (SIGTERM or Ctrl-C), then wipe.",
        ));
    };
    profile.wipe()?;
    // What is left holds nothing; it only keeps the folder from going too.
    if let Ok(socket) = config.socket() {
        let _ = std::fs::remove_file(socket);
    }
    let _ = std::fs::remove_file(config.home.join(crate::daemon::lock::LOCK_FILE));
    let _ = std::fs::remove_dir(&config.home);
    drop(lock);
    show(config, &json!({ "wiped": true }), |_| "The profile is destroyed. Backups, if there are any, are not.".to_owned())
}

/// `backup`.
pub(super) fn backup(config: &Config, file: &Path) -> Result<(), CliError> {
    let file = std::path::absolute(file).map_err(|error| CliError::io("the backup can't be made there", &error))?;
    let document = match client::reach(config)? {
        Reach::Daemon(mut client) => client.call("backup", json!({ "file": file }))?,
        Reach::Alone(lock) => {
            let bytes = backup::write(&config.home, &file).map_err(|error| error.explain())?;
            drop(lock);
            json!({ "file": file, "bytes": bytes })
        }
    };
    show(config, &document, |_| {
        "The backup is made. It opens with the passphrase of now, on this device or another, but never on two at once.".to_owned()
    })
}

/// `restore`.
pub(super) fn restore(config: &Config, file: &Path) -> Result<(), CliError> {
    let profile = Profile::at(&config.home);
    let file = backup::open(file).map_err(|error| error.explain())?;
    let _lock = profile.prepare()?;
    let passphrase = config.passphrase()?;
    backup::restore(file, &profile, &passphrase).map_err(|error| error.explain())?;
    show(config, &json!({ "home": config.home }), |_| {
        format!(
            "The profile is in {}. Messages since the backup are not in it; don't use the profile anywhere else.",
            config.home.display()
        )
    })
}
