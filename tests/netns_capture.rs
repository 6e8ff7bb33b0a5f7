//! What others see: a capture of two runs of one profile, and the profile's folder after its daemon was killed. Needs root, iproute2 and
//! tcpdump: `cargo test --test netns_capture -- --ignored --nocapture`.
//!
//! Between the two runs nothing of 8 bytes or more may repeat above TCP. Below it addresses do. In mDNS these may repeat, and nothing else:
//! the labels of the service type ([`LABELS`]), the addresses that the packets themselves bear, and fields of at most 4 bytes (flags, types,
//! classes, times, counts).
#![expect(clippy::unwrap_used, reason = "these tests fail by panic")]

#[path = "common/capture.rs"]
mod capture;
mod common;
#[path = "common/lab.rs"]
mod lab;
#[path = "common/netns.rs"]
mod netns;

use std::{collections::BTreeSet, fs, path::Path};

use capture::{Capture, Recorder, pieces};
use common::{Daemon, Home};
use hedgerow_sync::{
    crypto::{identity::Device, kdf::hash},
    store::{Setting, Store, sqlite::SqliteStore},
};
use lab::{Client, daemon_on, introduce};
use netns::Network;

/// Labels of mDNS names that both runs may show.
const LABELS: [&str; 6] = ["_hedgerow", "_tcp", "_udp", "_services", "_dns-sd", "local"];
/// Names that nothing else holds by chance.
const NAMES: [&str; 3] = ["Adelheid-Quintus", "Balthasar-Yvonne", "Chrysanthemum-Zoe"];
/// Messages of each side in each run.
const MESSAGES: usize = 20;

/// What is written, the same in every run.
fn text(number: usize) -> String {
    format!("Meet me at the old windmill behind the orchard, number {number}")
}

fn talk(one: &Home, its_name: &str, other: &Home, other_name: &str) {
    let (mut from_one, mut from_other) = (Client::subscribe(one), Client::subscribe(other));
    for number in 0..MESSAGES {
        from_one.send(other_name, &text(number));
        from_other.send(its_name, &text(number));
    }
    from_one.wait_until_delivered(other_name);
    from_other.wait_until_delivered(its_name);
}

/// What must show nowhere: words as they are written, and keys as bytes.
struct Secrets {
    words: Vec<String>,
    keys: Vec<Vec<u8>>,
}

impl Secrets {
    /// Those of profiles whose daemons have ended.
    fn of(homes: &[&Home]) -> Self {
        let mut secrets = Self { words: NAMES.iter().map(|name| (*name).to_owned()).collect(), keys: Vec::new() };
        secrets.words.extend(["old windmill".to_owned(), "correct horse".to_owned()]);
        for home in homes {
            let key = SqliteStore::unlock_key(home.path(), b"correct horse").unwrap();
            let store = SqliteStore::open_with_key(home.path(), &key).unwrap();
            let encoded = store.load_setting(Setting::Device).unwrap().unwrap();
            let device = Device::decode(&encoded).unwrap();
            let fingerprint = device.card().fingerprint();
            assert!(!store.load_contacts().unwrap().is_empty());
            secrets.words.extend([fingerprint.replace(' ', ""), fingerprint]);
            secrets.keys.push(key.expose().to_vec());
            secrets.keys.push(encoded[1..].to_vec());
            secrets.keys.push(device.card().encode().to_vec());
            secrets.keys.push(hash(&[device.card().identity()])[..20].to_vec());
        }
        let hex = |key: &Vec<u8>| key.iter().take(32).map(|byte| format!("{byte:02x}")).collect::<String>();
        secrets.words.extend(secrets.keys.iter().map(hex).collect::<Vec<_>>());
        secrets
    }

    fn assert_absent(&self, bytes: &[u8], place: &str) {
        let folded = bytes.to_ascii_lowercase();
        for words in &self.words {
            let words = words.to_ascii_lowercase();
            assert!(!folded.windows(words.len()).any(|window| window == words.as_bytes()), "{words:?} stands in {place}");
        }
        let found = pieces([bytes]);
        for key in &self.keys {
            let shown = pieces([key.as_slice()]).intersection(&found).count();
            assert_eq!(shown, 0, "8 bytes of a key stand in {place}");
        }
    }
}

fn end(daemons: Vec<Daemon>) {
    daemons.into_iter().for_each(|daemon| assert!(daemon.terminate().success()));
}

fn assert_nothing_repeats(runs: &[Capture; 2]) {
    let [first, second] = runs.each_ref().map(|run| {
        let streams = run.tcp_streams();
        let bytes: usize = streams.iter().map(Vec::len).sum();
        println!("{} packets, {} TCP streams of {bytes} bytes, {} of mDNS", run.packets(), streams.len(), run.mdns().len());
        assert!(streams.len() >= 2 && bytes > 2 * MESSAGES * 200, "this capture shows nothing");
        streams
    });
    let seen = pieces(first.iter().map(Vec::as_slice));
    for (index, stream) in second.iter().enumerate() {
        for (offset, window) in stream.windows(8).enumerate() {
            let piece = <[u8; 8]>::try_from(window).unwrap();
            assert!(!seen.contains(&piece), "stream {index} repeats {piece:02x?} at {offset} of {}", stream.len());
        }
    }
}

fn assert_mdns_shows_nothing(runs: &[Capture; 2]) {
    let [first, second] = runs.each_ref().map(|run| {
        let told = run.mdns();
        assert!(told.labels.contains("_hedgerow"), "this capture shows no mDNS");
        let addresses = run.addresses();
        assert!(told.addresses.is_subset(&addresses), "{:?} are not the senders' own: {addresses:?}", told.addresses);
        assert!(told.texts.is_empty(), "{:?}", told.texts);
        told.labels
    });
    let both: BTreeSet<&str> = first.intersection(&second).map(String::as_str).collect();
    assert!(both.is_subset(&BTreeSet::from(LABELS)), "{both:?}");
    println!("mDNS labels: {first:?} and {second:?}");
}

fn assert_folder_is_sealed(folder: &Path, secrets: &Secrets) {
    let mut files = 0;
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        assert!(!entry.file_type().unwrap().is_dir(), "{entry:?} is not looked into");
        if entry.file_type().unwrap().is_file() {
            files += 1;
            let bytes = fs::read(entry.path()).unwrap();
            secrets.assert_absent(&bytes, &format!("the file {:?}", entry.file_name()));
        }
    }
    assert!(files >= 2, "there is no profile in {folder:?}");
}

#[test]
#[ignore = "needs root and network namespaces"]
fn neither_network_nor_disk_shows_who_talks_or_what_and_nothing_repeats_between_runs() {
    let network = Network::new(3, true);
    let homes = NAMES.map(Home::with_profile);
    let [alice, bob, carol] = &homes;
    let start = |nodes: &[usize]| -> Vec<Daemon> { nodes.iter().map(|node| daemon_on(&network, *node, &homes[*node], &[])).collect() };

    let recorder = Recorder::start(&network);
    let daemons = start(&[0, 1]);
    introduce(alice, bob);
    talk(alice, NAMES[0], bob, NAMES[1]);
    end(daemons);
    let first = recorder.stop();

    let recorder = Recorder::start(&network);
    let daemons = start(&[0, 1, 2]);
    talk(alice, NAMES[0], bob, NAMES[1]);
    introduce(alice, carol);
    talk(alice, NAMES[0], carol, NAMES[2]);
    // Killed with everything in flight: what a crash leaves behind must be sealed as well.
    let mut client = Client::subscribe(alice);
    (0..MESSAGES).for_each(|number| drop(client.send(NAMES[1], &text(number))));
    let copies = tempfile::tempdir().unwrap();
    drop(daemons);
    let second = recorder.stop();
    for (number, home) in homes.iter().enumerate() {
        copy(home.path(), &copies.path().join(number.to_string()));
    }

    let secrets = Secrets::of(&[alice, bob, carol]);
    for number in 0..homes.len() {
        assert_folder_is_sealed(&copies.path().join(number.to_string()), &secrets);
    }
    homes.iter().for_each(|home| assert_folder_is_sealed(home.path(), &secrets));
    let runs = [first, second];
    for (number, run) in runs.iter().enumerate() {
        secrets.assert_absent(run.bytes(), &format!("capture {number}"));
        for stream in run.tcp_streams() {
            secrets.assert_absent(&stream, &format!("a stream of capture {number}"));
        }
    }
    assert_mdns_shows_nothing(&runs);
    assert_nothing_repeats(&runs);
}

/// The folder as it is, before opening the profile can tidy it.
fn copy(folder: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_file() {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

#[test]
fn what_stands_in_a_file_is_found() {
    let secrets = Secrets { words: vec!["Old Windmill".to_owned()], keys: vec![(0..32).collect()] };
    for shown in [b"..the oLd windmill..".to_vec(), (10..20).collect()] {
        assert!(std::panic::catch_unwind(|| secrets.assert_absent(&shown, "this")).is_err());
    }
    secrets.assert_absent(b"the old wind mill", "this");
}
