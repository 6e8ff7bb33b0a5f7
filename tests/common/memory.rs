//! What stands in a daemon's memory and in its files. Included by `#[path]`.
//!
//! The whole image is searched: every readable mapping, heap, stacks, caches of the store, freed memory that was not wiped. Letters of any
//! case count as the same; words are also looked for as UTF-16 and as hexadecimal digits, keys piece by piece.
#![allow(dead_code, clippy::unwrap_used, clippy::panic, reason = "a part for each test binary; it fails by panic")]

use std::{
    collections::BTreeSet,
    fs::{self, File},
    os::unix::fs::FileExt,
    path::Path,
    process::Command,
};

/// Length of the pieces that keys are looked for in: found by chance once in 2⁶⁴ bytes.
const PIECE: usize = 8;
/// Bytes read at a time.
const WINDOW: usize = 1 << 20;

/// What is looked for.
pub(crate) struct Needles {
    /// What it is, and its bytes in lower case; at least [`PIECE`] of them.
    items: Vec<(String, Vec<u8>)>,
    /// Items by their first two bytes.
    by_start: Vec<Vec<usize>>,
}

impl Needles {
    /// Nothing yet.
    pub(crate) fn new() -> Self {
        Self { items: Vec::new(), by_start: vec![Vec::new(); 1 << 16] }
    }

    /// Adds words: as they are, in UTF-16 of both orders, in hexadecimal.
    pub(crate) fn words(&mut self, what: &str, words: &str) {
        let wide: Vec<u16> = words.encode_utf16().collect();
        self.add(what.to_owned(), words.as_bytes());
        self.add(format!("{what} in UTF-16LE"), &wide.iter().flat_map(|unit| unit.to_le_bytes()).collect::<Vec<_>>());
        self.add(format!("{what} in UTF-16BE"), &wide.iter().flat_map(|unit| unit.to_be_bytes()).collect::<Vec<_>>());
        self.add(format!("{what} in hexadecimal"), hex(words.as_bytes()).as_bytes());
    }

    /// Adds a key: each of its pieces, and its beginning in hexadecimal.
    pub(crate) fn key(&mut self, what: &str, key: &[u8]) {
        assert!(key.len() >= PIECE);
        for (number, piece) in key.chunks(PIECE).filter(|piece| piece.len() == PIECE && piece.iter().any(|byte| *byte != 0)).enumerate() {
            self.add(format!("bytes {} to {} of {what}", number * PIECE, (number + 1) * PIECE), piece);
        }
        self.add(format!("{what} in hexadecimal"), hex(&key[..PIECE]).as_bytes());
    }

    fn add(&mut self, what: String, bytes: &[u8]) {
        let bytes = bytes.to_ascii_lowercase();
        assert!(bytes.len() >= PIECE, "{what} is too short to be told from chance");
        self.by_start[usize::from(u16::from_be_bytes([bytes[0], bytes[1]]))].push(self.items.len());
        self.items.push((what, bytes));
    }

    /// What of it stands in these bytes.
    pub(crate) fn found_in(&self, bytes: &[u8]) -> BTreeSet<&str> {
        let folded = bytes.to_ascii_lowercase();
        let mut found = BTreeSet::new();
        for (at, start) in folded.windows(2).enumerate() {
            // Most of an image is zero, and nothing that is looked for begins with zeros.
            if start == [0, 0] {
                continue;
            }
            for &item in &self.by_start[usize::from(u16::from_be_bytes([start[0], start[1]]))] {
                let (what, needle) = &self.items[item];
                if folded[at..].starts_with(needle) {
                    found.insert(what.as_str());
                }
            }
        }
        found
    }

    fn longest(&self) -> usize {
        self.items.iter().map(|(_, bytes)| bytes.len()).max().unwrap_or(0)
    }

    /// What of it stands in the memory of a process, which stands still meanwhile; and how many bytes were read.
    pub(crate) fn found_in_process(&self, id: u32) -> (BTreeSet<&str>, u64) {
        let signal = |name: &str| assert!(Command::new("kill").args([name, &id.to_string()]).status().unwrap().success());
        signal("-STOP");
        let maps = fs::read_to_string(format!("/proc/{id}/maps")).unwrap();
        let memory = File::open(format!("/proc/{id}/mem")).unwrap();
        let (mut found, mut read, mut heaps) = (BTreeSet::new(), 0, 0);
        for line in maps.lines() {
            let (range, rest) = line.split_once(' ').unwrap();
            let (start, end) = range.split_once('-').unwrap();
            let [start, end] = [start, end].map(|number| u64::from_str_radix(number, 16).unwrap());
            // Pages of the kernel's own can't be read by others, and hold a clock.
            if !rest.starts_with('r') || rest.contains("[vvar") || rest.contains("[vsyscall]") {
                continue;
            }
            let mut at = start;
            while at < end {
                // Windows overlap, so that nothing lies across their edges.
                let length = usize::try_from(end - at).unwrap().min(WINDOW + self.longest());
                let mut bytes = vec![0; length];
                memory.read_exact_at(&mut bytes, at).unwrap_or_else(|error| panic!("{line}: {error}"));
                found.extend(self.found_in(&bytes));
                at += WINDOW as u64;
            }
            read += end - start;
            heaps += u64::from(rest.contains("[heap]"));
        }
        signal("-CONT");
        assert!(heaps > 0 && read > 1 << 20, "this is no image of a process");
        (found, read)
    }

    /// What of it stands in the files below a folder.
    pub(crate) fn found_in_folder(&self, folder: &Path) -> BTreeSet<&str> {
        let (mut found, mut files) = (BTreeSet::new(), 0);
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let kind = entry.file_type().unwrap();
            assert!(!kind.is_dir(), "{entry:?} is not looked into");
            if kind.is_file() {
                files += 1;
                found.extend(self.found_in(&fs::read(entry.path()).unwrap()));
            }
        }
        assert!(files >= 2, "there is no profile in {folder:?}");
        found
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
