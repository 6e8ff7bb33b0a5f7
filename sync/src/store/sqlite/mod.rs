//! A profile on disk: SQLCipher under a random key, and beside it that key wrapped under the passphrase.
//!
//! A folder holds `key` (`cipher.rs`) and `profile.db` with its write-ahead log. Making a profile goes `new.db` → `key` → `profile.db`:
//! before `key` is there nothing was made and [`SqliteStore::create`] begins again; after it [`SqliteStore::open`] finishes the last
//! step. Wiping destroys `key` first. One process at a time holds the database. docs/store.md has tables, parameters and reasons.
//!
//! Whoever makes a profile also writes its first rows; an opened store without them is a profile whose making was cut short.

mod cipher;
mod files;
mod ids;
mod migrate;
mod rows;
mod tables;
#[cfg(test)]
mod tests;

use std::{fmt::Write, path::Path, time::Duration};

use rand_core::CryptoRng;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use zeroize::Zeroizing;

pub use self::cipher::KdfParams;
use self::{
    files::{Files, create_new, present},
    ids::Ids,
};
use super::{CONSTRAINT, MISUSE, StoreError};
use crate::crypto::secret::Secret;

/// The code of [`StoreError::Io`] where the memory for the key derivation is not there (`SQLITE_NOMEM`).
const OUT_OF_MEMORY: i32 = 7;
/// The code of [`StoreError::Io`] where a profile is to be made and one is there (`EEXIST`).
pub const ALREADY_THERE: i32 = 17;
/// Statements kept compiled: more than the store has (measured: compiling them costs more than running them).
const STATEMENTS: usize = 64;
/// Pages of write-ahead log before they are copied into the database: 16 MiB. Pages of indexes are written many times before one
/// copy (measured: docs/store.md).
const CHECKPOINT_PAGES: u32 = 4096;
/// Page cache, KiB (guess: the indexes of 100,000 bundles and messages fit).
const CACHE_KIB: u32 = 32 * 1024;

/// The engine's durable state in an encrypted database.
pub struct SqliteStore {
    connection: Connection,
    bundles: Ids,
    gone: Ids,
    acks: Ids,
}

impl std::fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { connection: _, bundles: _, gone: _, acks: _ } = self; // a new field must be judged here to compile
        f.debug_struct("SqliteStore").finish_non_exhaustive()
    }
}

impl SqliteStore {
    /// Makes a profile in `dir`, which is made too, and opens it. What an earlier attempt left that was cut short is replaced.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] with [`ALREADY_THERE`] if there is a profile or what remains of one; otherwise as [`open`](Self::open).
    pub fn create(dir: &Path, passphrase: &[u8], params: KdfParams, rng: &mut (impl CryptoRng + ?Sized)) -> Result<Self, StoreError> {
        if Self::exists(dir)? {
            return Err(StoreError::Io(ALREADY_THERE));
        }
        let files = Files::of(dir);
        files.make_dir()?;
        files.remove_database(&files.new_database)?;
        let key = Secret::random(rng);
        let wrapped = cipher::wrap(&key, passphrase, params, rng)?;

        let file = create_new(&files.new_database)?;
        let mut connection = connect(&files.new_database, &key)?;
        migrate::migrate(&mut connection, migrate::MIGRATIONS)?;
        connection.close().map_err(|(_, error)| error)?;
        file.sync_all()?;
        files.replace_key(&wrapped)?;
        Self::open_with_key(dir, &key)
    }

    /// Opens the profile in `dir`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Passphrase`] if it is wrong, [`StoreError::Damaged`] if there is no profile or it can't be read,
    /// [`StoreError::Newer`] if a newer program wrote it, [`StoreError::Busy`] if it is open already.
    pub fn open(dir: &Path, passphrase: &[u8]) -> Result<Self, StoreError> {
        Self::open_with_key(dir, &Self::unlock_key(dir, passphrase)?)
    }

    /// Unwraps the database's key; for [`open_with_key`](Self::open_with_key) after a failed commit, without asking again. Takes as long
    /// and as much memory as the key file says.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn unlock_key(dir: &Path, passphrase: &[u8]) -> Result<Secret<32>, StoreError> {
        cipher::unwrap(&Files::of(dir).read_key()?, passphrase)
    }

    /// Opens the profile in `dir` with its unwrapped key.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn open_with_key(dir: &Path, key: &Secret<32>) -> Result<Self, StoreError> {
        let files = Files::of(dir);
        if !present(&files.database)? {
            if !present(&files.key)? || !present(&files.new_database)? {
                return Err(StoreError::Damaged("the database is missing"));
            }
            files.adopt_new_database()?;
        }
        let mut connection = connect(&files.database, key)?;
        migrate::migrate(&mut connection, migrate::MIGRATIONS)?;
        Ok(Self {
            connection,
            bundles: Ids::new("SELECT sequence, id FROM bundle"),
            gone: Ids::new("SELECT row, id FROM gone"),
            acks: Ids::new("SELECT row, bundle FROM ack"),
        })
    }

    /// Wraps the database's key under another passphrase. The database may be open meanwhile.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open). After [`StoreError::Io`] either passphrase may be the one that opens it, after others the old one.
    pub fn change_passphrase(
        dir: &Path,
        before: &[u8],
        after: &[u8],
        params: KdfParams,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(), StoreError> {
        let key = Self::unlock_key(dir, before)?;
        let wrapped = cipher::wrap(&key, after, params, rng)?;
        Ok(Files::of(dir).replace_key(&wrapped)?)
    }

    /// Destroys the profile in `dir`: the wrapped key first, without which the rest says nothing, then the rest. Harmless where there is
    /// none; can be repeated after an error.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] if something could not be removed.
    pub fn wipe(dir: &Path) -> Result<(), StoreError> {
        let files = Files::of(dir);
        files.destroy_key()?;
        files.remove_database(&files.database)?;
        files.remove_database(&files.new_database)?;
        Ok(files.remove_dir()?)
    }

    /// Whether `dir` holds a profile or what remains of one.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] if the folder can't be read.
    pub fn exists(dir: &Path) -> Result<bool, StoreError> {
        let files = Files::of(dir);
        Ok(present(&files.key)? || present(&files.database)?)
    }

    /// The indexes in memory.
    fn indexes(&self) -> [&Ids; 3] {
        [&self.bundles, &self.gone, &self.acks]
    }

    /// The connection, for a write.
    fn writing(&self) -> Result<&Connection, StoreError> {
        // Outside of a transaction each write would be durable at once; SQLite also ends one by itself after some errors.
        if self.connection.is_autocommit() { Err(StoreError::Io(MISUSE)) } else { Ok(&self.connection) }
    }
}

/// Opens a database file that exists.
fn connect(path: &Path, key: &Secret<32>) -> Result<Connection, StoreError> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(Duration::ZERO)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // With plain SQLite the key would be ignored and everything written in the clear.
    let cipher: Result<String, _> = connection.query_row("PRAGMA cipher_version", [], |row| row.get(0));
    if cipher.is_err() {
        return Err(StoreError::Io(MISUSE));
    }
    connection.execute_batch("PRAGMA cipher_log_level = NONE")?; // it would write to the terminal
    connection.execute_batch(&key_pragma(key))?;
    // EXCLUSIVE before WAL: no other process gets in, and the index of the log lives in our memory instead of a file.
    connection.execute_batch(&format!(
        "PRAGMA locking_mode = EXCLUSIVE;
         PRAGMA cache_size = -{CACHE_KIB};
         PRAGMA temp_store = MEMORY;
         PRAGMA secure_delete = ON;
         PRAGMA trusted_schema = OFF;
         PRAGMA cell_size_check = ON;
         PRAGMA foreign_keys = ON;"
    ))?;
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    if mode != "wal" {
        return Err(StoreError::Io(MISUSE));
    }
    connection.execute_batch(&format!(
        "PRAGMA synchronous = FULL;
         PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES};
         BEGIN IMMEDIATE;
         ROLLBACK;" // takes the lock now rather than at the first write
    ))?;
    Ok(connection)
}

/// The statement that hands SQLCipher a raw key. Wiped here; SQLite's own copy lives until the statement ends.
fn key_pragma(key: &Secret<32>) -> Zeroizing<String> {
    let mut sql = Zeroizing::new(String::with_capacity(96)); // enough: growing would leave a copy
    sql.push_str("PRAGMA key = \"x'");
    for byte in key.expose() {
        let _ = write!(sql, "{byte:02x}"); // writing to a string does not fail
    }
    sql.push_str("'\"");
    sql
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        let rusqlite::Error::SqliteFailure(failure, _) = error else {
            return Self::Damaged("a row is not what it should be"); // SQL and parameters are constants; what is left is values
        };
        match failure.code {
            ErrorCode::DiskFull => Self::Full,
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Self::Busy,
            ErrorCode::NotADatabase => Self::Damaged("the database does not open with its key"),
            ErrorCode::DatabaseCorrupt => Self::Damaged("the database is damaged"),
            ErrorCode::ConstraintViolation => Self::Io(CONSTRAINT),
            _ => Self::Io(failure.extended_code),
        }
    }
}
