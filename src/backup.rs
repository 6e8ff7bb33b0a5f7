//! A profile in one file, encrypted as it lies on the disk (docs/api.md, "Backups").
//!
//! | size | field |
//! | --- | --- |
//! | 18 | `hedgerow backup 1\n` |
//! | 8 | length of the key file, big-endian |
//! | 8 | length of the database, big-endian |
//! | … | the key file: the database's key, wrapped under the passphrase |
//! | … | the database, SQLCipher |
//! | 32 | SHA-256 of everything before it: against accidents; SQLCipher itself notices forgery |

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use hedgerow_sync::store::{Setting, StoreError};
use rand_core::Rng;
use sha2::{Digest, Sha256};

use crate::{
    cli::error::{CliError, Kind},
    daemon::keeper::Keeper,
    profile::Profile,
    random,
};

const MAGIC: &[u8; 18] = b"hedgerow backup 1\n";
const HEADER_LEN: u64 = 18 + 8 + 8;
const DIGEST_LEN: u64 = 32;
/// Longest key file (policy); ours has far less.
const MAX_KEY_LEN: u64 = 4_096;
/// Files of a profile (docs/store.md).
const KEY_FILE: &str = "key";
const DATABASE: &str = "profile.db";
/// A database whose key file comes next; the store gives it its name once that is there.
const NEW_DATABASE: &str = "new.db";

/// Why there is no backup, or nothing restored.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BackupError {
    /// The system refused something.
    #[error("{0}: {1}")]
    Io(&'static str, io::Error),
    /// The profile has a write-ahead log that could not be folded into it.
    #[error("the profile could not be closed")]
    Unsettled,
    /// It is no backup, or not whole.
    #[error("the file is not a whole backup")]
    NotABackup,
    /// The profile is in memory alone.
    #[error("this profile is kept nowhere: there is nothing to copy")]
    NothingToKeep,
    /// The profile in it can't be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl BackupError {
    /// The error as a person sees it.
    pub(crate) fn explain(self) -> CliError {
        match self {
            Self::Io(what, error) => CliError::io(what, &error),
            Self::Unsettled => CliError::new(Kind::Store, self.to_string(), "Make room on the disk, and try again."),
            Self::NotABackup => {
                CliError::new(Kind::Config, self.to_string(), "Name a file that `hedgerow backup` made; copy it again if it was cut short.")
            }
            Self::NothingToKeep => {
                CliError::new(Kind::Config, self.to_string(), "Make a profile of your own with `hedgerow init --name NAME`.")
            }
            Self::Store(error) => error.into(),
        }
    }
}

fn at(what: &'static str) -> impl Fn(io::Error) -> BackupError {
    move |error| BackupError::Io(what, error)
}

/// Copies a profile that nobody has open into a new file, and returns that file's length.
///
/// # Errors
///
/// [`BackupError`]; no file is left then.
pub(crate) fn write(home: &Path, target: &Path) -> Result<u64, BackupError> {
    for companion in ["profile.db-wal", "profile.db-journal"] {
        if fs::metadata(home.join(companion)).is_ok_and(|metadata| metadata.len() > 0) {
            return Err(BackupError::Unsettled);
        }
    }
    let no_target = at("the backup can't be written");
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(target).map_err(&no_target)?;
    let written = write_to(home, &mut file);
    if written.is_err() {
        // It is incomplete and ours. The first error is the one to tell.
        let _ = fs::remove_file(target);
    }
    written
}

fn write_to(home: &Path, file: &mut File) -> Result<u64, BackupError> {
    let (unreadable, unwritable) = (at("the profile can't be read"), at("the backup can't be written"));
    let mut parts = Vec::new();
    let mut out = Hashing { file, digest: Sha256::new(), length: 0 };
    out.write_all(MAGIC).map_err(&unwritable)?;
    for name in [KEY_FILE, DATABASE] {
        let part = File::open(home.join(name)).map_err(&unreadable)?;
        let length = part.metadata().map_err(&unreadable)?.len();
        out.write_all(&length.to_be_bytes()).map_err(&unwritable)?;
        parts.push((part, length));
    }
    for (part, length) in parts {
        if io::copy(&mut part.take(length), &mut out).map_err(&unwritable)? != length {
            return Err(BackupError::Unsettled);
        }
    }
    let Hashing { file, digest, length } = out;
    file.write_all(&digest.finalize()).and_then(|()| file.sync_all()).map_err(&unwritable)?;
    Ok(length + DIGEST_LEN)
}

/// Writes and hashes.
struct Hashing<'a> {
    file: &'a mut File,
    digest: Sha256,
    length: u64,
}

impl Write for Hashing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = self.file.write(bytes)?;
        self.digest.update(bytes.get(..length).unwrap_or_default());
        self.length += length as u64;
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// A backup that was found whole.
#[derive(Debug)]
pub(crate) struct Backup {
    file: File,
    key_len: u64,
    database_len: u64,
}

/// Opens a backup and checks that it is whole.
///
/// # Errors
///
/// [`BackupError`].
pub(crate) fn open(path: &Path) -> Result<Backup, BackupError> {
    let unreadable = at("the backup can't be read");
    let mut file = File::open(path).map_err(&unreadable)?;
    let total = file.metadata().map_err(&unreadable)?.len();
    let mut header = [0; HEADER_LEN as usize];
    file.read_exact(&mut header).map_err(|_| BackupError::NotABackup)?;
    let Some((magic, lengths)) = header.split_first_chunk::<18>() else { return Err(BackupError::NotABackup) };
    let Some((key_len, database_len)) = lengths.split_first_chunk::<8>() else { return Err(BackupError::NotABackup) };
    let key_len = u64::from_be_bytes(*key_len);
    let database_len = database_len.try_into().map(u64::from_be_bytes).map_err(|_| BackupError::NotABackup)?;
    let content = (HEADER_LEN + DIGEST_LEN).checked_add(key_len).and_then(|length| length.checked_add(database_len));
    if magic != MAGIC || key_len > MAX_KEY_LEN || content != Some(total) {
        return Err(BackupError::NotABackup);
    }
    file.seek(SeekFrom::Start(0)).map_err(&unreadable)?;
    let mut digest = Sha256::new();
    let mut rest = total - DIGEST_LEN;
    let mut buffer = vec![0; 64 << 10];
    while rest > 0 {
        let wanted = usize::try_from(rest).unwrap_or(usize::MAX).min(buffer.len());
        let Some(piece) = buffer.get_mut(..wanted) else { return Err(BackupError::NotABackup) };
        file.read_exact(piece).map_err(&unreadable)?;
        digest.update(&*piece);
        rest -= wanted as u64;
    }
    let mut expected = [0; DIGEST_LEN as usize];
    file.read_exact(&mut expected).map_err(&unreadable)?;
    if digest.finalize().as_slice() != expected {
        return Err(BackupError::NotABackup);
    }
    file.seek(SeekFrom::Start(HEADER_LEN)).map_err(&unreadable)?;
    Ok(Backup { file, key_len, database_len })
}

/// Makes a profile of a backup in a home that is ready for one, and notes in it that it was restored: its arrivals are numbered under a
/// new epoch (docs/protocol.md, section 6.4), and its ratchets may lie behind what was sent since.
///
/// # Errors
///
/// [`BackupError`]; nothing of the profile is left then.
pub(crate) fn restore(backup: Backup, profile: &Profile, passphrase: &str) -> Result<(), BackupError> {
    let restored = unpack(backup, profile.home()).and_then(|()| Ok(mark(profile, passphrase)?));
    if restored.is_err() {
        // Only what was just unpacked; the backup is still there. The first error is the one to tell.
        let _ = profile.wipe();
    }
    restored
}

fn unpack(mut backup: Backup, home: &Path) -> Result<(), BackupError> {
    let (unreadable, unwritable) = (at("the backup can't be read"), at("the profile can't be written"));
    let mut key = Vec::new();
    (&mut backup.file).take(backup.key_len).read_to_end(&mut key).map_err(&unreadable)?;
    let create = |name: &str| OpenOptions::new().write(true).create_new(true).mode(0o600).open(home.join(name));
    // The key comes last: before it is there, there is no profile.
    let mut database = create(NEW_DATABASE).map_err(&unwritable)?;
    let length = io::copy(&mut (&mut backup.file).take(backup.database_len), &mut database).map_err(&unwritable)?;
    if length != backup.database_len || key.len() as u64 != backup.key_len {
        return Err(BackupError::NotABackup);
    }
    database.sync_all().map_err(&unwritable)?;
    let mut file = create(KEY_FILE).map_err(&unwritable)?;
    file.write_all(&key).and_then(|()| file.sync_all()).map_err(&unwritable)?;
    File::open(home).and_then(|folder| folder.sync_all()).map_err(&unwritable)
}

fn mark(profile: &Profile, passphrase: &str) -> Result<(), StoreError> {
    let key = profile.unlock(passphrase)?;
    let mut store = profile.open_store(&key)?;
    let mut epoch = [0; 8];
    random::system().fill_bytes(&mut epoch);
    store.begin()?;
    store.save_setting(Setting::Epoch, &epoch)?;
    store.save_setting(Setting::Restored, &[1])?;
    store.commit()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home(key: &[u8], database: &[u8]) -> tempfile::TempDir {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join(KEY_FILE), key).unwrap();
        fs::write(home.path().join(DATABASE), database).unwrap();
        home
    }

    #[test]
    fn what_was_packed_is_unpacked() {
        let from = home(b"key", &[7; 200_000]);
        let file = from.path().join("backup");
        let length = write(from.path(), &file).unwrap();
        assert_eq!(length, fs::metadata(&file).unwrap().len());
        assert!(write(from.path(), &file).is_err(), "a file that is there is not replaced");
        let to = tempfile::tempdir().unwrap();
        unpack(open(&file).unwrap(), to.path()).unwrap();
        assert_eq!(fs::read(to.path().join(KEY_FILE)).unwrap(), b"key");
        assert_eq!(fs::read(to.path().join(NEW_DATABASE)).unwrap(), [7; 200_000]);
    }

    #[test]
    fn a_backup_that_was_cut_changed_or_lies_about_lengths_is_refused() {
        let from = home(b"key", b"database");
        let file = from.path().join("backup");
        write(from.path(), &file).unwrap();
        let whole = fs::read(&file).unwrap();
        let refused = |bytes: &[u8]| {
            fs::write(&file, bytes).unwrap();
            matches!(open(&file), Err(BackupError::NotABackup))
        };
        for length in 0..whole.len() {
            assert!(refused(&whole[..length]), "{length}");
        }
        for index in 0..whole.len() {
            let mut changed = whole.clone();
            changed[index] ^= 0x80;
            assert!(refused(&changed), "{index}");
        }
        assert!(refused(&[whole.clone(), vec![0]].concat()));
        assert!(!refused(&whole));
    }

    #[test]
    fn a_profile_with_an_unfolded_log_is_not_copied() {
        let from = home(b"key", b"database");
        fs::write(from.path().join("profile.db-wal"), b"log").unwrap();
        assert!(matches!(write(from.path(), &from.path().join("backup")), Err(BackupError::Unsettled)));
    }
}
