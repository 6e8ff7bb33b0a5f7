//! How many messages a second the stores take: `cargo bench -p hedgerow-sync --bench store [-- FOLDER]`.
//!
//! Each transaction does for a batch of messages what the engine does, in the three steps of a message's life at its writer's node and the
//! two at its reader's ([`Step`]). After the store holds 50,000 messages and bundles of 20 contacts; the folder decides the disk. Then what an
//! interface asks of an engine with 1,000 contacts and 200,000 messages, half of them in one conversation.
#![expect(clippy::unwrap_used, reason = "a benchmark stops at the first error")]
#![expect(clippy::disallowed_methods, reason = "it measures time")]

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use hedgerow_sync::{
    crypto::identity::{Device, Name},
    engine::{Engine, EngineConfig, Input, RequestId, create_profile},
    id::{BundleId, Commitment, ContactId, MessageId, Tag},
    store::{
        AckRow, BundleRow, ContactRow, GoneReason, GoneRow, MessageLog, MessageRow, Origin, OutboxRow, Store,
        memory::MemoryStore,
        sqlite::{KdfParams, SqliteStore},
    },
    time::{Hour, Now, UnixMillis},
    view::{Command, ContactState, MessageState},
    wire::bundle::{Class, Lifetime},
};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use zeroize::Zeroizing;

const STORED_BEFORE: u64 = 50_000;
const MEASURED: usize = 20_000;
const TEXT: &str = "a message of usual length, as people write them to each other on a day like any other, I think";

/// What the engine does for each message of a batch; for each contact of the batch it saves the pair besides.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    /// Writer: inserts message, outbox and bundle.
    Send,
    /// Writer: finds the message, updates it, deletes from the outbox, inserts the ack that waits.
    Receipt,
    /// Reader: inserts message, bundle and the ack that waits.
    Read,
    /// Both: deletes the bundle and the ack, inserts what is gone.
    LetGo,
}

/// What later steps need of a message.
struct Stored {
    contact: ContactId,
    outgoing: bool,
    message: MessageId,
    number: u32,
    bundle: BundleId,
    ack: [u8; 16],
}

fn contact_row(alias: Option<String>, card: &[u8]) -> ContactRow {
    ContactRow {
        id: ContactId(0),
        alias,
        own_name: None,
        card: card.to_vec(),
        state: ContactState::Established,
        verified: false,
        created: UnixMillis(0),
        last_seen: None,
        last_transport: None,
        why: None,
        receipts: true,
        muted: false,
    }
}

struct Load {
    rng: ChaCha20Rng,
    contacts: Vec<ContactId>,
    count: u64,
}

impl Load {
    fn new(store: &mut dyn Store) -> Self {
        store.begin().unwrap();
        let row = contact_row(None, &[0; 1328]);
        let contacts = (0..20).map(|_| store.insert_contact(&row).unwrap()).collect();
        store.commit().unwrap();
        Self { rng: ChaCha20Rng::seed_from_u64(1), contacts, count: 0 }
    }

    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.rng.fill_bytes(&mut bytes);
        bytes
    }

    /// Inserts a message of about 100 characters and its bundle of 512 bytes.
    fn message(&mut self, store: &mut dyn Store, outgoing: bool) -> Stored {
        self.count += 1;
        let contact = self.contacts[self.count as usize % self.contacts.len()];
        let (id, bundle, ack) = (MessageId(self.bytes()), BundleId(self.bytes()), self.bytes());
        let number = self.count as u32;
        let message = MessageRow {
            contact,
            outgoing,
            id,
            order: self.count,
            text: TEXT.into(),
            sent: UnixMillis(1_764_000_000_000 + self.count),
            stored: UnixMillis(1_764_000_000_100 + self.count),
            state: if outgoing { MessageState::Queued } else { MessageState::Delivered },
            urgent: false,
            number: Some(number),
            expires: outgoing.then_some(Hour(490_336)),
            handed_contacts: 0,
            handed_strangers: 0,
            sealed: u32::from(outgoing),
            log: MessageLog::default(),
        };
        assert!(store.insert_message(&message).unwrap());
        if outgoing {
            let row = OutboxRow { contact, number, message: Some(id), wants_receipt: true, bundle, ack: Zeroizing::new(ack) };
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
            origin: if outgoing { Origin::Own(contact) } else { Origin::Contact(contact) },
            age: 0,
            stored: Hour(490_000),
            forwarded: 0,
            copies: 255,
        };
        let bytes: [u8; 512] = self.bytes();
        store.insert_bundle(&row, &bytes).unwrap();
        Stored { contact, outgoing, message: id, number, bundle, ack }
    }

    fn insert_ack(&mut self, store: &mut dyn Store, stored: &Stored) {
        let due = UnixMillis(1_764_000_000_000 + self.rng.next_u64() % 600_000);
        store.insert_ack(&AckRow { bundle: stored.bundle, secret: Zeroizing::new(stored.ack), due }).unwrap();
    }

    fn step(&mut self, store: &mut dyn Store, step: Step, stored: &Stored) {
        match step {
            Step::Send | Step::Read => (),
            Step::Receipt => {
                let row = store.find_message(stored.contact, stored.outgoing, stored.message).unwrap().unwrap();
                store.save_message(&MessageRow { state: MessageState::Delivered, ..row }).unwrap();
                store.delete_outbox(stored.contact, stored.number).unwrap();
                self.insert_ack(store, stored);
            }
            Step::LetGo => {
                store.delete_bundle(&stored.bundle).unwrap();
                let row = GoneRow {
                    id: stored.bundle,
                    created: Hour(490_000),
                    expiry: Hour(490_336),
                    tag: Tag(self.bytes()),
                    commitment: Commitment(self.bytes()),
                    reason: GoneReason::Acknowledged,
                    ack: stored.ack,
                    at: Hour(490_001),
                    origin: Origin::StrangerInbound,
                };
                store.insert_gone(&row).unwrap();
                store.delete_ack(&stored.bundle).unwrap();
            }
        }
    }

    /// One transaction: a step for each message of a batch, which `Send` and `Read` add to `all`.
    fn batch(&mut self, store: &mut dyn Store, step: Step, size: usize, all: &mut Vec<Stored>, done: usize) -> Duration {
        let start = Instant::now();
        store.begin().unwrap();
        for index in done..done + size {
            if matches!(step, Step::Send | Step::Read) {
                let stored = self.message(store, step == Step::Send);
                if step == Step::Read {
                    self.insert_ack(store, &stored);
                }
                all.push(stored);
            } else {
                self.step(store, step, &all[index]);
            }
        }
        for contact in self.contacts.iter().take(size) {
            store.save_pair(*contact, &[7; 1500]).unwrap();
        }
        store.commit().unwrap();
        start.elapsed()
    }
}

fn measure(name: &str, store: &mut dyn Store) {
    let mut load = Load::new(store);
    for _ in 0..STORED_BEFORE / 1000 {
        load.batch(store, Step::Send, 1000, &mut Vec::new(), 0);
    }
    for steps in [[Step::Send, Step::Receipt, Step::LetGo].as_slice(), &[Step::Read, Step::LetGo]] {
        for size in [1, 10, 100, 1000] {
            let rounds = (MEASURED / size).min(400);
            let mut all = Vec::new();
            for step in steps {
                let batches = (0..rounds).map(|round| load.batch(store, *step, size, &mut all, round * size));
                let mut times: Vec<Duration> = batches.collect();
                times.sort();
                let rate = (rounds * size) as f64 / times.iter().sum::<Duration>().as_secs_f64();
                let [median, slowest] = [times[times.len() / 2], times[times.len() - 1]];
                println!("{name} {step:?} batch {size:>4}: {rate:>8.0} messages/s, median {median:>9.2?}, slowest {slowest:>9.2?}");
            }
        }
    }
    let start = Instant::now();
    let mut bundles = 0;
    store.visit_bundles(&mut |_| bundles += 1).unwrap();
    println!("{name} visit {bundles} bundles: {:.2?}", start.elapsed());
    let start = Instant::now();
    let rows = store.load_messages(load.contacts[0], None, None, Some(200)).unwrap().len();
    println!("{name} load {rows} messages: {:.2?}, undelivered {}", start.elapsed(), store.count_undelivered().unwrap());
}

/// How long an engine takes for what an interface asks, over and over and at first.
fn people(name: &str, mut store: Box<dyn Store>) {
    const CONTACTS: u32 = 1_000;
    const MESSAGES: u64 = 100_000;
    let mut rng = ChaCha20Rng::seed_from_u64(3);
    create_profile(store.as_mut(), &Name::new("bench").unwrap(), &mut rng).unwrap();
    let card = Device::generate(&mut rng).card().encode();
    store.begin().unwrap();
    let row = |number: u32| contact_row(Some(format!("somebody {number}")), &card);
    let contacts: Vec<ContactId> = (0..CONTACTS).map(|number| store.insert_contact(&row(number)).unwrap()).collect();
    let mut insert = |contact: ContactId, order: u64, is_read: bool| {
        let mut id = [0; 16];
        rng.fill_bytes(&mut id);
        let message = MessageRow {
            contact,
            outgoing: order.is_multiple_of(2),
            id: MessageId(id),
            order,
            text: TEXT.into(),
            sent: UnixMillis(order),
            stored: UnixMillis(order),
            state: if is_read { MessageState::Read } else { MessageState::Delivered },
            urgent: false,
            number: None,
            expires: None,
            handed_contacts: 0,
            handed_strangers: 0,
            sealed: 0,
            log: MessageLog::default(),
        };
        assert!(store.insert_message(&message).unwrap());
        message.id
    };
    let long: Vec<MessageId> = (0..MESSAGES).map(|order| insert(contacts[0], order, order % 10 != 0)).collect();
    for order in 0..MESSAGES {
        insert(contacts[1 + order as usize % (contacts.len() - 1)], order, order % 10 != 0);
    }
    store.commit().unwrap();
    let now = Now { mono: hedgerow_sync::time::Instant::ZERO, wall: UnixMillis(1_764_000_000_000) };
    let mut engine = Engine::open(EngineConfig::default(), store, Box::new(rng), 1, now).unwrap();
    let page = |before: usize| Command::Messages {
        contact: "1".into(),
        since: None,
        before: Some(long[before]),
        limit: Some(50),
        mark_read: false,
    };
    for (what, command) in [
        ("contacts", Command::Contacts {}),
        ("one contact", Command::Contact { contact: "1".into() }),
        ("50 messages before the last", page(long.len() - 1)),
        ("50 messages before the middle", page(long.len() / 2)),
        ("50 messages before the 60th", page(60)),
    ] {
        let mut times: Vec<Duration> = (0..21)
            .map(|_| {
                let start = Instant::now();
                engine.begin().unwrap();
                engine.handle_input(now, Input::Command(RequestId(1), command.clone())).unwrap();
                engine.commit(now).unwrap();
                let took = start.elapsed();
                while engine.poll_output().is_some() {}
                took
            })
            .collect();
        let first = times[0];
        times.sort();
        println!("{name} {what}: first {first:.2?}, then median {:.2?}", times[times.len() / 2]);
    }
}

fn disk(folder: &Path) {
    let mut rng = ChaCha20Rng::seed_from_u64(2);
    let mut store = SqliteStore::create(folder, b"benchmark", KdfParams::interactive(), &mut rng).unwrap();
    measure("sqlcipher", &mut store);
    drop(store);
    for (what, unlock) in [("unlock", true), ("open and visit", false)] {
        let start = Instant::now();
        let key = SqliteStore::unlock_key(folder, b"benchmark").unwrap();
        let unlocked = start.elapsed();
        SqliteStore::open_with_key(folder, &key).unwrap().visit_bundles(&mut |_| ()).unwrap();
        println!("sqlcipher {what}: {:.2?}", if unlock { unlocked } else { start.elapsed() - unlocked });
    }
    SqliteStore::wipe(folder).unwrap();
}

fn main() {
    let folder = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).map(PathBuf::from);
    let temporary = tempfile::tempdir().unwrap();
    measure("memory", &mut MemoryStore::new());
    people("memory", Box::new(MemoryStore::new()));
    let mut rng = ChaCha20Rng::seed_from_u64(4);
    let folder_of_people = temporary.path().join("people");
    people("sqlcipher", Box::new(SqliteStore::create(&folder_of_people, b"benchmark", KdfParams::interactive(), &mut rng).unwrap()));
    disk(&folder.unwrap_or_else(|| temporary.path().join("profile")));
}
