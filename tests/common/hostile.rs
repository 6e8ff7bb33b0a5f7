//! A neighbour that does what it likes: the real handshake and the real records, said by a test. Included by `#[path]` beside `netns`
//! and `lab`.
//!
//! It is a stranger to everybody: its recognition lists and confirmations are random, as those of any device without contacts in reach.
#![allow(
    dead_code,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a part for each test binary; it fails by panic and measures time"
)]

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    os::fd::AsFd,
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use getrandom::SysRng;
use hedgerow_sync::{
    crypto::kdf::hash,
    id::{BundleId, Commitment, ShortId, Tag},
    session::{Role, Session, SessionEvent, SessionInfo, ShortIds, Verdict, recognition::build_list},
    time::Hour,
    wire::{
        bundle::{BundleHeader, Class, Lifetime},
        record::{COPIES_UNLIMITED, Hello, MAX_RECORD_IDS, Record, Refusal, bitmap_bit, encode_bitmap},
    },
};
use hedgerow_transports::{BeaconId, FrameDecoder, encode_frame};
use rand_core::UnwrapErr;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::{lab::Chance, netns::Network};

/// Longest that a daemon may take to say something that it owes.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);
/// The window that a stranger grants, bytes (docs/protocol.md, section 4).
const WINDOW: u32 = 1 << 20;
/// RANGES that answers, with the empty list of everything: "I hold nothing" (docs/protocol.md, section 6.2).
const ANSWER_NOTHING: [u8; 3] = [0x02, 0xbf, 0x00];
/// The same as a question, so that the other side lists or offers what it holds.
const ASK_WITH_NOTHING: [u8; 3] = [0x01, 0xbf, 0x00];

/// Runs something on a thread of its own within a node's network: sockets that it makes stay there.
pub(crate) fn within<T: Send>(network: &Network, node: usize, act: impl FnOnce() -> T + Send) -> T {
    let namespace = File::open(network.namespace(node)).unwrap();
    let enter = move || {
        move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
        act()
    };
    thread::scope(|scope| scope.spawn(enter).join().unwrap())
}

/// What became of bundles that were offered.
#[derive(Default, Debug)]
pub(crate) struct Fate {
    /// Said to be durable.
    pub(crate) stored: Vec<BundleId>,
    /// Not taken, and why.
    pub(crate) refused: Vec<(BundleId, Refusal)>,
    /// Not picked from the offer.
    pub(crate) unwanted: Vec<BundleId>,
}

/// One open link to a daemon.
pub(crate) struct Stranger {
    stream: TcpStream,
    frames: FrameDecoder,
    session: Session,
    info: SessionInfo,
    shorts: ShortIds,
    /// What the daemon said of itself.
    pub(crate) hello: Hello,
    /// Heard and not yet asked for.
    heard: VecDeque<Record>,
    next_offer: u16,
    compared: bool,
}

impl Stranger {
    /// Dials a daemon from a node and goes through handshake, recognition and HELLO, with a beacon of its own.
    ///
    /// # Errors
    ///
    /// If the daemon ends the link meanwhile, or does not go on in time.
    pub(crate) fn dial(network: &Network, node: usize, address: SocketAddr, chance: &mut Chance) -> io::Result<Self> {
        let stream = within(network, node, || TcpStream::connect_timeout(&address, ANSWER_WITHIN))?;
        stream.set_nodelay(true)?;
        let session = Session::new(Role::Initiator, &mut UnwrapErr(SysRng));
        let unknown = SessionInfo { hash: [0; 32], role: Role::Initiator, version: 0 };
        let hello = Hello { beacon: BeaconId(chance.bytes()), hour: this_hour(), window: WINDOW, carries: true };
        let mut stranger = Self {
            stream,
            frames: FrameDecoder::default(),
            session,
            shorts: ShortIds::new(&unknown.hash),
            info: unknown,
            hello,
            heard: VecDeque::new(),
            next_offer: 0,
            compared: false,
        };
        stranger.open()?;
        stranger.say(&Record::Hello(hello))?;
        match stranger.hear_within(ANSWER_WITHIN)? {
            Some(Record::Hello(hello)) => stranger.hello = hello,
            other => return Err(io::Error::other(format!("{other:?} in place of HELLO"))),
        }
        Ok(stranger)
    }

    fn open(&mut self) -> io::Result<()> {
        let mut random = UnwrapErr(SysRng);
        let end = Instant::now() + ANSWER_WITHIN;
        loop {
            while let Some(event) = self.session.poll_event() {
                match event {
                    SessionEvent::Handshaken(info) => {
                        self.shorts = ShortIds::new(&info.hash);
                        self.info = info;
                        self.session.recognise(&build_list(std::iter::empty(), &mut random)).map_err(io::Error::other)?;
                    }
                    SessionEvent::PeerList(_) => self.session.confirm(Verdict::unrecognised(&mut random)).map_err(io::Error::other)?,
                    SessionEvent::Open { recognised } => {
                        assert!(!recognised, "a daemon recognises random entries");
                        return self.flush();
                    }
                    SessionEvent::Record(_) => panic!("a record before the session is open"),
                }
            }
            self.flush()?;
            if !self.receive(end)? {
                return Err(ErrorKind::TimedOut.into());
            }
        }
    }

    /// Says one record.
    ///
    /// # Errors
    ///
    /// If the link has ended.
    pub(crate) fn say(&mut self, record: &Record) -> io::Result<()> {
        self.session.seal_record(&record.encode()).map_err(io::Error::other)?;
        self.flush()
    }

    /// The next record that is not a sign of life; `None` if none comes in time.
    ///
    /// # Errors
    ///
    /// If the link has ended.
    pub(crate) fn hear_within(&mut self, patience: Duration) -> io::Result<Option<Record>> {
        let end = Instant::now() + patience;
        loop {
            while let Some(event) = self.session.poll_event() {
                let SessionEvent::Record(bytes) = event else { panic!("{event:?} on an open session") };
                match Record::decode(&bytes).unwrap() {
                    Record::Ping => self.say(&Record::Pong)?,
                    record => self.heard.push_back(record),
                }
            }
            if let Some(record) = self.heard.pop_front() {
                return Ok(Some(record));
            }
            if !self.receive(end)? {
                return Ok(None);
            }
        }
    }

    /// The next record that `chosen` takes; others are answered as a device that wants nothing would, and dropped.
    ///
    /// # Errors
    ///
    /// If the link has ended, or none comes in time.
    pub(crate) fn hear<T>(&mut self, mut chosen: impl FnMut(&Self, &Record) -> Option<T>) -> io::Result<T> {
        let end = Instant::now() + ANSWER_WITHIN;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let record = self.hear_within(left)?.ok_or(ErrorKind::TimedOut)?;
            match chosen(self, &record) {
                Some(found) => return Ok(found),
                None => self.answer_idly(&record)?,
            }
        }
    }

    fn answer_idly(&mut self, record: &Record) -> io::Result<()> {
        match record {
            Record::Offer { batch, ids } => self.say(&Record::Pick { batch: *batch, wanted: encode_bitmap(ids.iter().map(|_| false)) }),
            Record::Ranges(body) if body.first().is_some_and(|flags| flags & 1 != 0) => self.say(&Record::Ranges(ANSWER_NOTHING.to_vec())),
            _ => Ok(()),
        }
    }

    /// Offers bundles, or what is none, and hands over those that are picked, with this age; says what became of each.
    ///
    /// # Errors
    ///
    /// If the link ends before all is answered.
    pub(crate) fn hand_over(&mut self, bundles: &[Vec<u8>], age: u16) -> io::Result<Fate> {
        let mut fate = Fate::default();
        for bundles in bundles.chunks(MAX_RECORD_IDS) {
            let batch = self.next_offer;
            self.next_offer = batch.wrapping_add(1);
            let ids: Vec<BundleId> = bundles.iter().map(|bytes| BundleId(hash(&[bytes]))).collect();
            let shorts = ids.iter().map(|id| self.shorts.short(id)).collect();
            self.say(&Record::Offer { batch, ids: shorts })?;
            let wanted = self.hear(|_, record| match record {
                Record::Pick { batch: answered, wanted } if *answered == batch => Some(wanted.clone()),
                _ => None,
            })?;
            let mut owed = Vec::new();
            for (index, (id, bytes)) in ids.iter().zip(bundles).enumerate() {
                if bitmap_bit(&wanted, index) {
                    owed.push(*id);
                    self.say(&Record::Bundle { age, copies: COPIES_UNLIMITED, bytes: bytes.clone() })?;
                } else {
                    fate.unwanted.push(*id);
                }
            }
            self.settle(owed, &mut fate)?;
        }
        Ok(fate)
    }

    fn settle(&mut self, mut owed: Vec<BundleId>, fate: &mut Fate) -> io::Result<()> {
        while !owed.is_empty() {
            let answers: Vec<(ShortId, Option<Refusal>)> = self.hear(|_, record| match record {
                Record::Stored(ids) => Some(ids.iter().map(|id| (*id, None)).collect()),
                Record::Refused(ids) => Some(ids.iter().map(|(id, why)| (*id, Some(*why))).collect()),
                _ => None,
            })?;
            for (short, refusal) in answers {
                let place = owed.iter().position(|id| self.shorts.short(id) == short).expect("what was not sent is not answered");
                let id = owed.swap_remove(place);
                match refusal {
                    None => fate.stored.push(id),
                    Some(why) => fate.refused.push((id, why)),
                }
            }
        }
        Ok(())
    }

    /// Takes bundles that the daemon offers or pushes, says STORED to each, and keeps them, until there are `count` or time is up.
    ///
    /// # Errors
    ///
    /// If the link has ended.
    pub(crate) fn take(&mut self, count: usize, patience: Duration) -> io::Result<Vec<Vec<u8>>> {
        let end = Instant::now() + patience;
        self.compare()?;
        let mut taken = Vec::new();
        while taken.len() < count {
            let left = end.saturating_duration_since(Instant::now());
            match self.hear_within(left)? {
                None => break,
                Some(Record::Offer { batch, ids }) => {
                    self.say(&Record::Pick { batch, wanted: encode_bitmap(ids.iter().map(|_| true)) })?;
                }
                Some(Record::Bundle { bytes, .. }) => {
                    self.say(&Record::Stored(vec![self.shorts.short(&BundleId(hash(&[&bytes])))]))?;
                    taken.push(bytes);
                }
                Some(record) => self.answer_idly(&record)?,
            }
        }
        Ok(taken)
    }

    /// Compares sets, once: this side holds nothing. Only then does the daemon offer what it holds.
    ///
    /// # Errors
    ///
    /// If the link has ended.
    pub(crate) fn compare(&mut self) -> io::Result<()> {
        if !std::mem::replace(&mut self.compared, true) {
            self.say(&Record::Ranges(ASK_WITH_NOTHING.to_vec()))?;
        }
        Ok(())
    }

    /// Whether the daemon has ended the link; waits so long for it.
    pub(crate) fn is_ended(&mut self, patience: Duration) -> bool {
        let end = Instant::now() + patience;
        loop {
            match self.hear_within(end.saturating_duration_since(Instant::now())) {
                Err(_) | Ok(Some(Record::Bye(_))) => return true,
                Ok(None) => return false,
                Ok(Some(record)) if self.answer_idly(&record).is_err() => return true,
                Ok(Some(_)) => {}
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut bytes = Vec::new();
        while let Some(message) = self.session.poll_message() {
            encode_frame(&message, &mut bytes).map_err(io::Error::other)?;
        }
        self.stream.write_all(&bytes)
    }

    /// Feeds the session with what comes; `false` if nothing comes before `end`.
    fn receive(&mut self, end: Instant) -> io::Result<bool> {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(false);
        }
        self.stream.set_read_timeout(Some(left))?;
        let mut bytes = [0; 16 << 10];
        match self.stream.read(&mut bytes) {
            Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
            Ok(length) => {
                self.frames.feed(&bytes[..length]);
                while let Some(message) = self.frames.next_message().map_err(io::Error::other)? {
                    self.session.handle_message(&message).map_err(io::Error::other)?;
                }
                Ok(true)
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// The hour of this machine's clock.
pub(crate) fn this_hour() -> Hour {
    Hour(u32::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() / 3600).unwrap())
}

/// A bundle that any carrier takes and nobody can open.
pub(crate) fn junk(chance: &mut Chance, size: usize, class: Class) -> Vec<u8> {
    let header = BundleHeader {
        class,
        lifetime: Lifetime::Fortnight,
        created: this_hour(),
        tag: Tag(chance.bytes()),
        commitment: Commitment(chance.bytes()),
    };
    let mut bytes = header.encode().to_vec();
    bytes.resize_with(size, || chance.next() as u8);
    bytes
}
