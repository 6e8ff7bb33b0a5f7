//! The files of a profile: names, modes, and changes that survive a power cut.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
};

use super::cipher::KEY_FILE_LEN;
use crate::store::StoreError;

/// Where everything of one profile lies.
pub(super) struct Files {
    dir: PathBuf,
    /// The wrapped key.
    pub(super) key: PathBuf,
    /// The wrapped key while it is written.
    new_key: PathBuf,
    /// The database.
    pub(super) database: PathBuf,
    /// The database while it is made; its key file isn't written yet, or only just.
    pub(super) new_database: PathBuf,
}

/// What SQLite puts beside a database.
const COMPANIONS: [&str; 4] = ["", "-wal", "-shm", "-journal"];

impl Files {
    pub(super) fn of(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            key: dir.join("key"),
            new_key: dir.join("key.new"),
            database: dir.join("profile.db"),
            new_database: dir.join("new.db"),
        }
    }

    /// Makes the folder, for its owner only.
    pub(super) fn make_dir(&self) -> io::Result<()> {
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&self.dir)?;
        match self.dir.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => sync_dir(parent),
            _ => Ok(()),
        }
    }

    /// Reads the key file, at most a byte more than it may have.
    pub(super) fn read_key(&self) -> Result<Vec<u8>, StoreError> {
        let file = match File::open(&self.key) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let reason = if present(&self.database)? { "the key file is missing" } else { "there is no profile here" };
                return Err(StoreError::Damaged(reason));
            }
            Err(error) => return Err(error.into()),
        };
        let mut bytes = Vec::with_capacity(KEY_FILE_LEN + 1);
        file.take(KEY_FILE_LEN as u64 + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Puts a key file in place of what is there, whole or not at all, then overwrites what was there.
    pub(super) fn replace_key(&self, bytes: &[u8]) -> io::Result<()> {
        let before = match OpenOptions::new().write(true).open(&self.key) {
            Ok(file) => Some(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        remove(&self.new_key)?;
        let mut file = create_new(&self.new_key)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&self.new_key, &self.key)?;
        self.sync_dir()?;
        before.map_or(Ok(()), overwrite)
    }

    /// Destroys the wrapped key, first its bytes and then its name.
    pub(super) fn destroy_key(&self) -> io::Result<()> {
        for path in [&self.key, &self.new_key] {
            match OpenOptions::new().write(true).open(path) {
                Ok(file) => overwrite(file)?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            }
            remove(path)?;
        }
        self.sync_dir()
    }

    /// Removes a database with what SQLite put beside it.
    pub(super) fn remove_database(&self, database: &Path) -> io::Result<()> {
        for companion in COMPANIONS {
            let mut name = database.as_os_str().to_owned();
            name.push(companion);
            remove(Path::new(&name))?;
        }
        self.sync_dir()
    }

    /// Removes the folder if nothing else lies in it.
    pub(super) fn remove_dir(&self) -> io::Result<()> {
        match fs::remove_dir(&self.dir) {
            Err(error) if !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::DirectoryNotEmpty) => Err(error),
            _ => Ok(()),
        }
    }

    /// Gives a new database its name, once its key file is durable.
    pub(super) fn adopt_new_database(&self) -> io::Result<()> {
        fs::rename(&self.new_database, &self.database)?;
        self.sync_dir()
    }

    fn sync_dir(&self) -> io::Result<()> {
        sync_dir(&self.dir)
    }
}

/// Makes names in a folder durable; other systems than Unix have no way to.
fn sync_dir(dir: &Path) -> io::Result<()> {
    if cfg!(unix) && dir.is_dir() {
        File::open(dir)?.sync_all()?;
    }
    Ok(())
}

/// Whether a file is there.
pub(super) fn present(path: &Path) -> io::Result<bool> {
    match path.symlink_metadata() {
        Ok(_) => Ok(true),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Makes an empty file for its owner only; fails if there is one. SQLite gives its companions the same mode.
pub(super) fn create_new(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn overwrite(mut file: File) -> io::Result<()> {
    let length = file.metadata()?.len().min(KEY_FILE_LEN as u64);
    file.rewind()?;
    io::copy(&mut io::repeat(0).take(length), &mut file)?;
    file.sync_all()
}

impl From<io::Error> for StoreError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full,
            _ => Self::Io(error.raw_os_error().unwrap_or(-1)),
        }
    }
}
