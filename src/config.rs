//! What the command line and the environment say, resolved once.

use std::{
    fs::{self, DirBuilder},
    io::Read,
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use etcetera::BaseStrategy;
use zeroize::Zeroizing;

use crate::cli::{
    args::Globals,
    error::{CliError, Kind},
};

/// Longest passphrase file, bytes (policy).
const MAX_PASSPHRASE_LEN: u64 = 4_096;
/// Longest path that a socket address takes on Linux: 108 bytes with the final zero (unix(7)).
const MAX_SOCKET_PATH: usize = 107;

/// Settings that every command shares.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// The profile's folder.
    pub(crate) home: PathBuf,
    /// Where the passphrase stands; it is asked for if absent.
    pub(crate) passphrase_file: Option<PathBuf>,
    /// Whether output is JSON.
    pub(crate) json: bool,
}

impl Config {
    /// Resolves arguments, then `HEDGEROW_HOME` and `HEDGEROW_PASSPHRASE_FILE`, then the platform's data folder.
    ///
    /// # Errors
    ///
    /// A configuration error if there is no place for a home.
    pub(crate) fn resolve(globals: &Globals) -> Result<Self, CliError> {
        let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let home = match globals.home.clone().or_else(|| variable("HEDGEROW_HOME")) {
            Some(home) => home,
            None => etcetera::choose_base_strategy()
                .map_err(|_| {
                    CliError::new(Kind::Config, "no home folder is known for this user", "Name the profile's folder with --home DIR.")
                })?
                .data_dir()
                .join("hedgerow"),
        };
        // Two spellings of one folder must find one socket.
        let home = fs::canonicalize(&home).or_else(|_| std::path::absolute(&home)).unwrap_or(home);
        let passphrase_file = globals.passphrase_file.clone().or_else(|| variable("HEDGEROW_PASSPHRASE_FILE"));
        Ok(Self { home, passphrase_file, json: globals.json })
    }

    /// Reads the passphrase of an existing profile: from the file, or from the terminal.
    ///
    /// # Errors
    ///
    /// A configuration error if the file can't be read, or there is neither a file nor a terminal.
    pub(crate) fn passphrase(&self) -> Result<Zeroizing<String>, CliError> {
        match &self.passphrase_file {
            Some(file) => read_passphrase(file),
            None => ask("Passphrase: "),
        }
    }

    /// Reads a passphrase to be set: from `file`, or twice from the terminal.
    ///
    /// # Errors
    ///
    /// As [`passphrase`](Self::passphrase), and a usage error if the two differ or it is empty.
    pub(crate) fn new_passphrase(file: Option<&Path>) -> Result<Zeroizing<String>, CliError> {
        let passphrase = match file {
            Some(file) => read_passphrase(file)?,
            None => {
                let first = ask("New passphrase: ")?;
                if *first != *ask("The same again: ")? {
                    return Err(CliError::usage("the two passphrases differ", "Try again."));
                }
                first
            }
        };
        if passphrase.is_empty() {
            return Err(CliError::usage("the passphrase is empty", "Choose one of several words: everything on the disk rests on it."));
        }
        Ok(passphrase)
    }

    /// The daemon's socket: in the home, or where that path is too long in a private folder of this user under a name made of it.
    ///
    /// # Errors
    ///
    /// A configuration error if the home is unreadable or the private folder is not this user's own.
    pub(crate) fn socket(&self) -> Result<PathBuf, CliError> {
        let own = self.home.join("socket");
        if own.as_os_str().len() <= MAX_SOCKET_PATH {
            return Ok(own);
        }
        let owner = fs::metadata(&self.home).map_err(|error| CliError::io("the home folder can't be read", &error))?.uid();
        let folder = match std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_absolute() && path.is_dir()) {
            Some(runtime) => runtime.join("hedgerow"),
            None => std::env::temp_dir().join(format!("hedgerow-{owner}")),
        };
        private_folder(&folder, owner)?;
        let digest = hedgerow_sync::crypto::kdf::hash(&[self.home.as_os_str().as_encoded_bytes()]);
        let name: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        let path = folder.join(name);
        if path.as_os_str().len() > MAX_SOCKET_PATH {
            return Err(CliError::new(Kind::Config, "no path is short enough for the socket", "Use a shorter --home or XDG_RUNTIME_DIR."));
        }
        Ok(path)
    }
}

/// Makes a folder that only `owner` can enter, or checks that an existing one is such.
fn private_folder(folder: &Path, owner: u32) -> Result<(), CliError> {
    // Whatever goes wrong here shows in the check.
    let _ = DirBuilder::new().mode(0o700).create(folder);
    let metadata = fs::symlink_metadata(folder).map_err(|error| CliError::io("the folder for the socket can't be made", &error))?;
    if metadata.is_dir() && metadata.uid() == owner && metadata.permissions().mode() & 0o077 == 0 {
        return Ok(());
    }
    Err(CliError::new(
        Kind::Config,
        format!("{} is not a private folder of this user", folder.display()),
        "Remove it, or use a shorter --home, for which the socket stands in the home itself.",
    ))
}

/// Reads a passphrase file; one newline at its end does not count.
fn read_passphrase(path: &Path) -> Result<Zeroizing<String>, CliError> {
    let unreadable = |error: &std::io::Error| CliError::io("the passphrase file can't be read", error);
    let file = fs::File::open(path).map_err(|error| unreadable(&error))?;
    let mut text = Zeroizing::new(String::with_capacity(MAX_PASSPHRASE_LEN as usize + 1));
    file.take(MAX_PASSPHRASE_LEN + 1).read_to_string(&mut text).map_err(|error| unreadable(&error))?;
    if text.len() as u64 > MAX_PASSPHRASE_LEN {
        return Err(CliError::new(
            Kind::Config,
            format!("the passphrase file has more than {MAX_PASSPHRASE_LEN} bytes"),
            "Name a file that holds the passphrase and nothing else.",
        ));
    }
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}

fn ask(prompt: &str) -> Result<Zeroizing<String>, CliError> {
    rpassword::prompt_password(prompt).map(Zeroizing::new).map_err(|_| {
        CliError::new(Kind::Config, "there is no terminal to ask for the passphrase", "Name a file that holds it with --passphrase-file.")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(home: PathBuf) -> Config {
        Config { home, passphrase_file: None, json: false }
    }

    #[test]
    fn passphrase_file_loses_one_newline_and_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pass");
        for (content, expected) in [("a b", "a b"), ("a b\n", "a b"), ("a b\r\n", "a b"), ("a b\n\n", "a b\n"), ("\n", "")] {
            fs::write(&file, content).unwrap();
            assert_eq!(*read_passphrase(&file).unwrap(), expected);
        }
        fs::write(&file, "x".repeat(5_000)).unwrap();
        assert_eq!(read_passphrase(&file).unwrap_err().kind, Kind::Config);
        fs::write(&file, [0xff, 0xfe]).unwrap();
        assert_eq!(read_passphrase(&file).unwrap_err().kind, Kind::Config);
        assert_eq!(read_passphrase(&folder.path().join("none")).unwrap_err().kind, Kind::Config);
    }

    #[test]
    fn socket_path_is_never_too_long() {
        let folder = tempfile::tempdir().unwrap();
        let short = config(folder.path().to_owned());
        assert_eq!(short.socket().unwrap(), folder.path().join("socket"));
        let long = folder.path().join("x".repeat(100)).join("y".repeat(100));
        fs::create_dir_all(&long).unwrap();
        let socket = config(long.clone()).socket().unwrap();
        assert!(socket.as_os_str().len() <= MAX_SOCKET_PATH);
        assert_eq!(config(long.clone()).socket().unwrap(), socket);
        let other = long.join("z");
        fs::create_dir(&other).unwrap();
        assert_ne!(config(other).socket().unwrap(), socket);
    }

    #[test]
    fn a_folder_open_to_others_is_refused_for_the_socket() {
        let folder = tempfile::tempdir().unwrap();
        let owner = fs::metadata(folder.path()).unwrap().uid();
        let open = folder.path().join("open");
        fs::create_dir(&open).unwrap();
        fs::set_permissions(&open, fs::Permissions::from_mode(0o755)).unwrap();
        assert!(private_folder(&open, owner).is_err());
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(folder.path(), &link).unwrap();
        assert!(private_folder(&link, owner).is_err());
        assert!(private_folder(&folder.path().join("new"), owner).is_ok());
        assert!(private_folder(&folder.path().join("new"), owner.wrapping_add(1)).is_err());
    }
}
