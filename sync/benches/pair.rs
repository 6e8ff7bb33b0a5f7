//! Two nodes, one thread each, joined by the memory transport: messages a second from key press to receipt, durable on both sides.
//!
//! `cargo bench -p hedgerow-sync --bench pair -- [MESSAGES] [MILLISECONDS ADDED TO EACH COMMIT]`. Prints; asserts nothing but that all
//! messages arrived. docs/performance.md says how to read it.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a benchmark: it reads the clock, and what fails ends it"
)]

use std::{
    collections::BTreeMap,
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    time::{Duration, Instant as Clock},
};

use hedgerow_sync::{
    crypto::identity::Name,
    engine::{Engine, EngineConfig, Input, Output, RequestId, create_profile},
    session::{Role, Session, SessionEvent},
    store::{
        Store,
        delayed::DelayedCommit,
        sqlite::{KdfParams, SqliteStore},
    },
    time::{Instant, Now, UnixMillis},
    view::{Answer, Command, ContactState, Event, MessageState},
};
use hedgerow_transports::{BeaconId, Direction, Flow, LinkId, LinkProperties, TransportKind};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

const LINK: LinkId = LinkId(1);
const MESSAGE_LEN: usize = 200;
const BATCH: usize = 512;
/// Frames in flight between the two threads before the sender waits.
const CHANNEL: usize = 4096;

/// One side: engine, session, and the wire to the other thread.
struct Side {
    engine: Engine,
    session: Session,
    out: SyncSender<Vec<u8>>,
    inbox: Receiver<Vec<u8>>,
    origin: Clock,
    bytes: u64,
    events: Vec<Event>,
    replies: BTreeMap<RequestId, Answer>,
    batches: u64,
}

impl Side {
    fn now(&self) -> Now {
        let elapsed = self.origin.elapsed();
        Now { mono: Instant::from_origin(elapsed), wall: UnixMillis(1_795_327_200_000 + elapsed.as_millis() as u64) }
    }

    fn batch(&mut self, inputs: Vec<Input>) {
        let now = self.now();
        self.engine.begin().unwrap();
        for input in inputs {
            self.engine.handle_input(now, input).unwrap();
        }
        self.engine.commit(now).unwrap();
        self.batches += 1;
        while let Some(output) = self.engine.poll_output() {
            match output {
                Output::Recognise { list, .. } => self.session.recognise(&list).unwrap(),
                Output::Confirm { verdict, .. } => self.session.confirm(verdict).unwrap(),
                Output::Transmit { record, .. } => {
                    self.session.seal_record(&record).unwrap();
                    self.flush();
                }
                Output::Close(_) => panic!("the link was closed: {:?}", self.events.len()),
                Output::Reply(request, answer) => {
                    self.replies.insert(request, answer.unwrap());
                }
                Output::Event(event) => self.events.push(event),
                Output::Linked { .. }
                | Output::Free { .. }
                | Output::Wanted { .. }
                | Output::Crowded { .. }
                | Output::Useless { .. }
                | Output::LookAnew(_) => {}
            }
        }
        self.flush();
    }

    fn flush(&mut self) {
        while let Some(message) = self.session.poll_message() {
            self.bytes += message.len() as u64 + 2;
            // The other side has gone once its work is done.
            let _ = self.out.send(message);
        }
    }

    /// Waits for something to arrive, takes all there is up to a batch, and handles it. `false` if the other side is gone.
    fn step(&mut self, wait: Duration, mut inputs: Vec<Input>) -> bool {
        let mut arrived = Vec::new();
        if inputs.is_empty() {
            match self.inbox.recv_timeout(wait) {
                Ok(message) => arrived.push(message),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
        arrived.extend(self.inbox.try_iter().take(BATCH));
        for message in arrived {
            self.session.handle_message(&message).unwrap();
            while let Some(event) = self.session.poll_event() {
                inputs.push(match event {
                    SessionEvent::Handshaken(info) => Input::Handshaken { link: LINK, properties: properties(), info },
                    SessionEvent::PeerList(list) => Input::PeerList { link: LINK, list },
                    SessionEvent::Open { recognised } => Input::Open { link: LINK, recognised },
                    SessionEvent::Record(record) => Input::Record { link: LINK, record },
                });
            }
        }
        if self.engine.poll_timeout().is_some_and(|due| due <= self.now().mono) {
            inputs.push(Input::Timeout);
        }
        if inputs.is_empty() {
            self.flush()
        } else {
            self.batch(inputs)
        }
        true
    }
}

fn properties() -> LinkProperties {
    LinkProperties {
        kind: TransportKind::Memory,
        direction: Direction::Outbound,
        dialled: None,
        flow: Flow::Duplex,
        rate: 100_000_000,
        latency_ms: 0,
        metered: false,
    }
}

/// Processor time of this thread.
fn thread_cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(text.split_whitespace().next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0))
}

fn side(
    name: &str,
    role: Role,
    out: SyncSender<Vec<u8>>,
    inbox: Receiver<Vec<u8>>,
    delay: Duration,
    seed: u64,
) -> (Side, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let sqlite = SqliteStore::create(dir.path(), b"bench", KdfParams::cheap_for_tests(), &mut rng).unwrap();
    let mut store: Box<dyn Store> = if delay.is_zero() { Box::new(sqlite) } else { Box::new(DelayedCommit::new(sqlite, delay)) };
    create_profile(store.as_mut(), &Name::new(name).unwrap(), &mut rng).unwrap();
    let origin = Clock::now();
    let start = Now { mono: Instant::ZERO, wall: UnixMillis(1_795_327_200_000) };
    let session = Session::new(role, &mut rng);
    let engine = Engine::open(EngineConfig::default(), store, Box::new(rng), seed, start).unwrap();
    let side = Side { engine, session, out, inbox, origin, bytes: 0, events: Vec::new(), replies: BTreeMap::new(), batches: 0 };
    (side, dir)
}

fn run(messages: usize, delay: Duration) {
    let (to_ben, from_ann) = sync_channel(CHANNEL);
    let (to_ann, from_ben) = sync_channel(CHANNEL);
    let (mut ann, _ann_dir) = side("ann", Role::Initiator, to_ben, from_ben, delay, 1);
    let (mut ben, _ben_dir) = side("ben", Role::Responder, to_ann, from_ann, delay, 2);
    ann.batch(vec![Input::Beacon(TransportKind::Memory, BeaconId([1; 8])), Input::Command(RequestId(1), Command::Invite { hours: 24 })]);
    let Some(Answer::Invitation(invitation)) = ann.replies.remove(&RequestId(1)) else { panic!("no invitation") };
    let add = Command::AddContact { link: invitation.link, alias: None, message: None };
    ben.batch(vec![Input::Beacon(TransportKind::Memory, BeaconId([2; 8])), Input::Command(RequestId(2), add)]);
    ann.flush();

    let reader = std::thread::spawn(move || {
        let mut delivered = 0;
        let mut cpu = Duration::ZERO;
        while ben.step(Duration::from_millis(100), Vec::new()) {
            for event in ben.events.drain(..) {
                delivered += usize::from(matches!(event, Event::Message(message) if !message.outgoing));
            }
            cpu = thread_cpu();
            if delivered == messages {
                // The receipt went out with the last batch; the other side hangs up once it has it.
                delivered += 0;
            }
        }
        (delivered, cpu, ben.bytes, ben.batches)
    });

    let established =
        |event: &Event| matches!(event, Event::Contact(contact) if contact.state == ContactState::Established && contact.in_reach);
    while !ann.events.iter().any(established) {
        ann.step(Duration::from_millis(100), Vec::new());
    }
    ann.events.clear();
    let (bytes_before, cpu_before, batches_before) = (ann.bytes, thread_cpu(), ann.batches);
    let text = "x".repeat(MESSAGE_LEN);
    let started = Clock::now();
    let (mut sent, mut receipted) = (0, 0);
    while receipted < messages {
        let chunk = BATCH.min(messages - sent);
        let sends = (0..chunk).map(|index| {
            let command = Command::Send { contact: "ben".into(), text: text.clone(), id: None, urgent: false };
            Input::Command(RequestId((sent + index) as u64 + 10), command)
        });
        let sends: Vec<Input> = sends.collect();
        sent += chunk;
        ann.step(Duration::from_millis(100), sends);
        ann.replies.clear();
        for event in ann.events.drain(..) {
            receipted += usize::from(matches!(event, Event::Message(message) if message.state >= MessageState::Delivered));
        }
    }
    let took = started.elapsed();
    let (cpu, bytes, batches) = (thread_cpu() - cpu_before, ann.bytes - bytes_before, ann.batches - batches_before);
    drop(ann);
    let (delivered, reader_cpu, reader_bytes, reader_batches) = reader.join().unwrap();
    assert_eq!(delivered, messages, "every message arrived once");
    let each = |cpu: Duration| cpu.as_secs_f64() * 1e3 / messages as f64;
    println!(
        "{messages} messages, {} ms added to each commit: {:.0}/s; processor ms a message: sender {:.3}, reader {:.3}; bytes a message: out {:.0}, back {:.0}; batches {batches} and {reader_batches}",
        delay.as_millis(),
        messages as f64 / took.as_secs_f64(),
        each(cpu),
        each(reader_cpu),
        bytes as f64 / messages as f64,
        reader_bytes as f64 / messages as f64,
    );
}

fn main() {
    let numbers: Vec<u64> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    let messages = numbers.first().map_or(20_000, |count| *count as usize);
    match numbers.get(1) {
        Some(delay) => run(messages, Duration::from_millis(*delay)),
        None => [0, 5].into_iter().for_each(|delay| run(messages, Duration::from_millis(delay))),
    }
}
