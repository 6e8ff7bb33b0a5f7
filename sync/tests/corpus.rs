//! Replays the committed inputs of every fuzz target (`fuzz/targets`), so that what a fuzzer found once is looked at on every build.
//!
//! The folders lie in `sync/tests/data/corpus`. What begins with `made-` was written by `corpus_is_written_on_demand`; anything else was
//! found by a fuzzer. CONTRIBUTING.md says how to run one.
#![expect(clippy::expect_used, clippy::panic, reason = "a target fails by panicking")]

use std::{fs, path::PathBuf};

#[path = "corpus/made.rs"]
mod made;
#[path = "../../fuzz/targets/mod.rs"]
#[expect(unreachable_pub, dead_code, reason = "the programs of the fuzzer use the same files")]
mod targets;

/// Most files of one target, and most bytes of one file and of all: the corpora are read by people and on every build.
const MAX_FILES: usize = 40;
/// See [`MAX_FILES`].
const MAX_FILE_LEN: usize = 8_192;
/// See [`MAX_FILES`].
const MAX_CORPUS_LEN: usize = 400_000;

fn folder(target: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "data", "corpus", target].iter().collect()
}

/// The files of one target by name.
fn files(target: &str) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(folder(target)).unwrap_or_else(|error| panic!("no corpus of {target}: {error}"));
    let paths = entries.map(|entry| entry.expect("the folder can be read").path());
    let mut files: Vec<_> = paths.map(|path| (path.display().to_string(), fs::read(&path).expect("the file can be read"))).collect();
    files.sort();
    files
}

/// Runs a target on every file. Something must be taken and something refused, or the corpus no longer says anything about the code.
fn replay(target: &str, run: fn(&[u8]) -> bool) {
    let files = files(target);
    assert!(!files.is_empty() && files.len() <= MAX_FILES, "{} files for {target}", files.len());
    let mut taken = 0;
    for (name, bytes) in &files {
        assert!(bytes.len() <= MAX_FILE_LEN, "{name} is too long");
        // Printed by the harness if the target fails.
        println!("{name}");
        taken += usize::from(run(bytes));
    }
    assert!(taken > 0, "the code takes none of the inputs of {target}: write them anew, see CONTRIBUTING.md");
    assert!(taken < files.len(), "the code takes all of the inputs of {target}: where are the hostile ones?");
}

macro_rules! corpora {
    ($($module:ident::$target:ident => $test:ident;)*) => {
        $(#[test]
        fn $test() {
            replay(stringify!($target), targets::$module::$target);
        })*

        /// The targets by name.
        const TARGETS: &[&str] = &[$(stringify!($target)),*];
    };
}

corpora! {
    wire::record => record_corpus_never_panics;
    wire::nearby => nearby_corpus_never_panics;
    wire::bundle => bundle_corpus_never_panics;
    wire::item => item_corpus_never_panics;
    wire::frame => frame_corpus_never_panics;
    wire::frame_pieces => frame_pieces_corpus_never_panics;
    exchange::link_text => link_text_corpus_never_panics;
    exchange::card => card_corpus_never_panics;
    exchange::name => name_corpus_never_panics;
    exchange::exchange_state => exchange_state_corpus_never_panics;
    exchange::exchange_bundle => exchange_bundle_corpus_never_panics;
    exchange::exchange_request => exchange_request_corpus_never_panics;
    ratchet::ratchet_state => ratchet_state_corpus_never_panics;
    ratchet::skipped_key => skipped_key_corpus_never_panics;
    ratchet::ratchet_header => ratchet_header_corpus_never_panics;
    ratchet::ratchet_pair => ratchet_pair_corpus_never_panics;
    session::session_message => session_message_corpus_never_panics;
    session::session_pair => session_pair_corpus_never_panics;
    reconcile::ranges => ranges_corpus_never_panics;
    reconcile::reconcile_pair => reconcile_pair_corpus_never_panics;
}

#[test]
fn every_target_is_a_program_with_a_corpus_and_no_corpus_is_without_one() {
    let manifest = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/Cargo.toml")).expect("the manifest of the fuzzer");
    let programs: Vec<&str> =
        manifest.lines().filter_map(|line| line.strip_prefix("path = \"fuzz_targets/")?.strip_suffix(".rs\"")).collect();
    assert_eq!(programs, TARGETS);
    let mut corpora: Vec<String> = fs::read_dir(folder(""))
        .expect("the corpora")
        .map(|entry| entry.expect("the folder can be read").file_name().into_string().expect("a name in ASCII"))
        .collect();
    corpora.sort();
    let mut targets = TARGETS.to_vec();
    targets.sort_unstable();
    assert_eq!(corpora, targets);
    let total: usize = targets.iter().flat_map(|target| files(target)).map(|(_, bytes)| bytes.len()).sum();
    assert!(total <= MAX_CORPUS_LEN, "the corpora have {total} bytes");
}

/// Writes the inputs that the code makes itself, where `HEDGEROW_WRITE_CORPUS=1` asks for it; otherwise only makes them, twice.
#[test]
fn corpus_is_written_on_demand() {
    let made = made::corpus();
    assert!(made == made::corpus(), "the corpus is the same in every run");
    assert!(TARGETS.iter().all(|target| made.iter().any(|(of, _, _)| of == target)));
    if std::env::var_os("HEDGEROW_WRITE_CORPUS").is_none_or(|value| value != "1") {
        return;
    }
    for target in TARGETS {
        fs::create_dir_all(folder(target)).expect("the folder can be made");
        for (path, _) in files(target) {
            if path.contains("/made-") {
                fs::remove_file(&path).expect("the file can be removed");
            }
        }
    }
    for (target, name, bytes) in made {
        fs::write(folder(target).join(format!("made-{name}")), bytes).expect("the file can be written");
    }
}
