//! How many messages a second the stores take: `cargo bench -p hedgerow-sync --bench store [-- FOLDER]`.
//!
//! Each transaction does for a batch of messages what a writer's node does (message, outbox, bundle) or a reader's (message, bundle).
//! Medians over all transactions, after the store holds 50,000 messages; the folder decides the disk.
#![expect(clippy::unwrap_used, reason = "a benchmark stops at the first error")]
#![expect(clippy::disallowed_methods, reason = "it measures time")]

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use hedgerow_sync::{
    id::{BundleId, Commitment, ContactId, MessageId, Tag},
    store::{
        BundleRow, ContactRow, MessageRow, Origin, OutboxRow, Store,
        memory::MemoryStore,
        sqlite::{KdfParams, SqliteStore},
    },
    time::{Hour, UnixMillis},
    view::{ContactState, MessageState},
    wire::bundle::{Class, Lifetime},
};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use zeroize::Zeroizing;

const STORED_BEFORE: u64 = 50_000;
const MEASURED: u64 = 20_000;

struct Load {
    rng: ChaCha20Rng,
    contacts: Vec<ContactId>,
    count: u64,
}

impl Load {
    fn new(store: &mut dyn Store) -> Self {
        store.begin().unwrap();
        let row = ContactRow {
            id: ContactId(0),
            alias: None,
            own_name: None,
            card: vec![0; 1328],
            state: ContactState::Established,
            verified: false,
            created: UnixMillis(0),
            last_seen: None,
            why: None,
        };
        let contacts = (0..20).map(|_| store.insert_contact(&row).unwrap()).collect();
        store.commit().unwrap();
        Self { rng: ChaCha20Rng::seed_from_u64(1), contacts, count: 0 }
    }

    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.rng.fill_bytes(&mut bytes);
        bytes
    }

    /// One message of about 100 characters and its bundle of 512 bytes.
    fn message(&mut self, store: &mut dyn Store, outgoing: bool) {
        self.count += 1;
        let contact = self.contacts[self.count as usize % self.contacts.len()];
        let (id, bundle) = (MessageId(self.bytes()), BundleId(self.bytes()));
        let message = MessageRow {
            contact,
            outgoing,
            id,
            order: self.count,
            text: "a message of usual length, as people write them to each other on a day like any other, I think".into(),
            sent: UnixMillis(1_764_000_000_000 + self.count),
            stored: UnixMillis(1_764_000_000_100 + self.count),
            state: if outgoing { MessageState::Queued } else { MessageState::Delivered },
            urgent: false,
            number: Some(self.count as u32),
            expires: Some(Hour(490_336)),
            handed_contacts: 0,
            handed_strangers: 0,
            sealed: u32::from(outgoing),
        };
        assert!(store.insert_message(&message).unwrap());
        if outgoing {
            let ack = Zeroizing::new(self.bytes());
            let row = OutboxRow { contact, number: self.count as u32, message: Some(id), wants_receipt: true, bundle, ack };
            store.insert_outbox(&row).unwrap();
        }
        let row = BundleRow {
            id: bundle,
            sequence: 0,
            size: 512,
            class: Class::Normal,
            lifetime: Lifetime::Fortnight,
            created: Hour(490_000),
            tag: Tag(self.bytes()),
            commitment: Commitment(self.bytes()),
            origin: if outgoing { Origin::Own } else { Origin::Contact(contact) },
            age: 0,
            stored: Hour(490_000),
            forwarded: 0,
        };
        let bytes: [u8; 512] = self.bytes();
        store.insert_bundle(&row, &bytes).unwrap();
    }

    fn batch(&mut self, store: &mut dyn Store, size: u64, outgoing: bool) -> Duration {
        let start = Instant::now();
        store.begin().unwrap();
        for _ in 0..size {
            self.message(store, outgoing);
        }
        store.commit().unwrap();
        start.elapsed()
    }
}

fn measure(name: &str, store: &mut dyn Store) {
    let mut load = Load::new(store);
    for _ in 0..STORED_BEFORE / 1000 {
        load.batch(store, 1000, true);
    }
    for (who, outgoing) in [("writer", true), ("reader", false)] {
        for size in [1, 10, 100, 1000] {
            let rounds = (MEASURED / size).min(400);
            let mut times: Vec<Duration> = (0..rounds).map(|_| load.batch(store, size, outgoing)).collect();
            times.sort();
            let total: Duration = times.iter().sum();
            let rate = (rounds * size) as f64 / total.as_secs_f64();
            let [median, slowest] = [times[times.len() / 2], times[times.len() - 1]];
            println!("{name} {who} batch {size:>4}: {rate:>9.0} messages/s, commit median {median:>9.2?}, slowest {slowest:>9.2?}");
        }
    }
    let start = Instant::now();
    let mut bundles = 0;
    store.visit_bundles(&mut |_| bundles += 1).unwrap();
    println!("{name} visit {bundles} bundles: {:.2?}", start.elapsed());
    let start = Instant::now();
    let rows = store.load_messages(load.contacts[0], None, Some(200)).unwrap().len();
    println!("{name} load {rows} messages: {:.2?}, undelivered {}", start.elapsed(), store.count_undelivered().unwrap());
}

fn disk(folder: &Path) {
    let mut rng = ChaCha20Rng::seed_from_u64(2);
    let mut store = SqliteStore::create(folder, b"benchmark", KdfParams::interactive(), &mut rng).unwrap();
    measure("sqlcipher", &mut store);
    drop(store);
    for (what, unlock) in [("unlock", true), ("open", false)] {
        let start = Instant::now();
        let key = SqliteStore::unlock_key(folder, b"benchmark").unwrap();
        let unlocked = start.elapsed();
        drop(SqliteStore::open_with_key(folder, &key).unwrap());
        println!("sqlcipher {what}: {:.2?}", if unlock { unlocked } else { start.elapsed() - unlocked });
    }
    SqliteStore::wipe(folder).unwrap();
}

fn main() {
    let folder = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).map(PathBuf::from);
    let temporary = tempfile::tempdir().unwrap();
    measure("memory", &mut MemoryStore::new());
    disk(&folder.unwrap_or_else(|| temporary.path().join("profile")));
}
