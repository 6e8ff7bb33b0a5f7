//! One attacker: what it says on each of its links.
//!
//! It compares sets as any carrier does, so that it knows what a neighbour lacks of its poison, and hands that over as fast as the neighbour
//! stores it. It acts when a session opens and when a record comes, and at no other time.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use hedgerow_transports::LinkId;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use super::{
    Abuse, Tally,
    poison::{Stock, Supply, under, unopenable},
};
use crate::{
    id::{BundleId, ShortId},
    reconcile::{Finding, Reconciler, SessionView, cut_hour},
    session::{Role, SessionInfo, ShortIds},
    sim::{
        hostile::{Moment, Puppeteer, hello, pick},
        workload::Workload,
    },
    time::Hour,
    wire::{
        bundle::{BUNDLE_HEADER_LEN, Bundle, Class},
        record::{COPIES_UNLIMITED, MAX_RECORD_IDS, Record, Refusal},
    },
};

/// Bytes that are handed over before the peer has answered for those before them (guess: a second of a slow radio).
const UNANSWERED: usize = 64 << 10;
/// Links that are remembered: more than one node of a trace has at once.
const MAX_LINKS: usize = 32;
/// Garbage for each header that is copied.
const COPIES_OF_A_TAG: usize = 8;
/// Bundles that one attacker holds at once where it lives on others' mail.
const MAX_STOCK: usize = 10_000;

/// What an attacker knows of one of its links.
struct Face {
    hash: [u8; 32],
    initiator: bool,
    shorts: ShortIds,
    reconciler: Option<Reconciler>,
    /// To be handed over, in order.
    owed: VecDeque<BundleId>,
    /// Handed over, or owed.
    named: BTreeSet<BundleId>,
    /// Handed over and not answered for: their lengths.
    unanswered: BTreeMap<ShortId, usize>,
}

impl Face {
    fn owe(&mut self, id: BundleId) {
        if self.named.insert(id) {
            self.owed.push_back(id);
        }
    }
}

/// A node that attacks.
pub(in super::super) struct Attacker {
    abuse: Abuse,
    rng: ChaCha20Rng,
    faces: BTreeMap<LinkId, Face>,
    supply: Supply,
    stock: Stock,
    tally: Tally,
}

impl Attacker {
    /// One of `of` attackers, the `turn`-th; `workload` is the honest traffic.
    pub(super) fn new(abuse: Abuse, workload: &Workload, [turn, of]: [usize; 2], seed: u64) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let floods = matches!(abuse, Abuse::Flood | Abuse::Urgent);
        let supply = if floods { Supply::of(workload, [turn, of], &mut rng) } else { Supply::none() };
        Self { abuse, rng, faces: BTreeMap::new(), supply, stock: Stock::default(), tally: Tally::default() }
    }

    /// Makes what is due.
    fn make_poison(&mut self, now: Duration, hour: Hour) {
        let class = if self.abuse == Abuse::Urgent { Class::Urgent } else { Class::Normal };
        while let Some(size) = self.supply.next(now) {
            let bytes = unopenable(size, class, hour, &mut self.rng);
            self.add(0, bytes);
        }
    }

    /// Takes something into the stock, for everybody who is in reach and whom it did not come from.
    fn add(&mut self, age: u16, bytes: Vec<u8>) {
        let length = bytes.len() as u64;
        let Some(id) = self.stock.take(age, bytes) else { return };
        self.tally.made += 1;
        self.tally.made_bytes += length;
        self.faces.values_mut().filter(|face| face.reconciler.is_some()).for_each(|face| face.owe(id));
    }

    /// Whether others' bundles are of any use to it.
    const fn takes(&self) -> bool {
        matches!(self.abuse, Abuse::Aged | Abuse::CopiedTags | Abuse::LyingStored)
    }

    /// A bundle comes: what it is used for, and what is answered.
    fn receive(&mut self, link: LinkId, bytes: Vec<u8>) -> Option<Record> {
        let id = BundleId::of(&bytes);
        let face = self.faces.get_mut(&link)?;
        face.named.insert(id);
        let short = face.shorts.short(&id);
        if !self.takes() {
            return Some(Record::Refused(vec![(short, Refusal::Room)]));
        }
        let full = self.stock.len() >= MAX_STOCK;
        match self.abuse {
            Abuse::Aged if !full => {
                let lifetime = Bundle::decode(bytes.clone()).ok()?.header().lifetime;
                let nearly_over = u16::try_from(lifetime.hours().saturating_sub(1)).unwrap_or(u16::MAX);
                self.add(nearly_over, bytes);
            }
            Abuse::CopiedTags if !full && !self.stock.contains(&id) => self.copy_tag(&bytes),
            _ => {}
        }
        if self.abuse != Abuse::Aged {
            self.tally.swallowed += 1;
        }
        Some(Record::Stored(vec![short]))
    }

    fn copy_tag(&mut self, bytes: &[u8]) {
        let Some(header) = bytes.get(..BUNDLE_HEADER_LEN) else { return };
        for _ in 0..COPIES_OF_A_TAG {
            let copy = under(header, bytes.len(), &mut self.rng);
            self.add(0, copy);
        }
    }

    fn compare(&mut self, link: LinkId, record: &Record, hour: Hour) -> Vec<Record> {
        let takes = self.takes();
        let Some(face) = self.faces.get_mut(&link) else { return Vec::new() };
        let mut wants = Vec::new();
        match record {
            Record::Hello(hello) => {
                let view = SessionView { cut: cut_hour(hour, hello.hour), empty: false };
                let mut reconciler = Reconciler::new(face.hash, face.initiator, view);
                if face.initiator {
                    reconciler.start(&self.stock.set, &mut self.rng);
                }
                face.reconciler = Some(reconciler);
            }
            Record::Ranges(body) => {
                let Some(reconciler) = &mut face.reconciler else { return Vec::new() };
                for finding in reconciler.handle_ranges(body, &self.stock.set).unwrap_or_default() {
                    match finding {
                        Finding::Want(short) => wants.push(short),
                        Finding::Lacking(id) => face.owe(id),
                    }
                }
            }
            Record::Want(shorts) => {
                let listed = face.reconciler.as_ref().map(|reconciler| shorts.iter().filter_map(|short| reconciler.listed(short)));
                let listed: Vec<_> = listed.into_iter().flatten().collect();
                listed.into_iter().for_each(|id| face.owe(id));
            }
            _ => {}
        }
        let ranges = face.reconciler.iter_mut().flat_map(|reconciler| std::iter::from_fn(|| reconciler.poll_record()));
        let mut said: Vec<Record> = ranges.map(Record::Ranges).collect();
        if takes {
            said.extend(wants.chunks(MAX_RECORD_IDS).map(|shorts| Record::Want(shorts.to_vec())));
        }
        said
    }

    /// The peer has answered for bundles.
    fn settle(&mut self, link: LinkId, shorts: impl Iterator<Item = ShortId>, stored: bool) {
        let Some(face) = self.faces.get_mut(&link) else { return };
        for short in shorts {
            if face.unanswered.remove(&short).is_some() && stored {
                self.tally.placed += 1;
            }
        }
    }

    /// Hands over as much as the peer keeps up with.
    fn hand_over(&mut self, link: LinkId) -> Vec<Record> {
        let Some(face) = self.faces.get_mut(&link) else { return Vec::new() };
        let mut said = Vec::new();
        let mut unanswered: usize = face.unanswered.values().sum();
        while unanswered < UNANSWERED
            && let Some(id) = face.owed.pop_front()
        {
            let Some(held) = self.stock.bundle(&id) else { continue };
            unanswered += held.bytes.len();
            face.unanswered.insert(face.shorts.short(&id), held.bytes.len());
            self.tally.handed += 1;
            said.push(Record::Bundle { age: held.age, copies: COPIES_UNLIMITED, bytes: held.bytes.clone() });
        }
        said
    }
}

impl Puppeteer for Attacker {
    fn greet(&mut self, link: LinkId, info: &SessionInfo, at: Moment) -> Vec<Vec<u8>> {
        self.make_poison(at.elapsed, at.hour);
        while self.faces.len() >= MAX_LINKS {
            self.faces.pop_first();
        }
        let face = Face {
            hash: info.hash,
            initiator: info.role == Role::Initiator,
            shorts: ShortIds::new(&info.hash),
            reconciler: None,
            owed: VecDeque::new(),
            named: BTreeSet::new(),
            unanswered: BTreeMap::new(),
        };
        self.faces.insert(link, face);
        vec![hello(&mut self.rng, at.hour).encode()]
    }

    fn answer(&mut self, link: LinkId, bytes: &[u8], at: Moment) -> Vec<Vec<u8>> {
        self.make_poison(at.elapsed, at.hour);
        let Ok(record) = Record::decode(bytes) else { return Vec::new() };
        let mut said = match record {
            Record::Bundle { bytes, .. } => self.receive(link, bytes).into_iter().collect(),
            Record::Offer { batch, ids } => vec![pick(batch, ids.len(), self.takes())],
            Record::Ping => vec![Record::Pong],
            Record::Stored(shorts) => {
                self.settle(link, shorts.into_iter(), true);
                Vec::new()
            }
            Record::Refused(refusals) => {
                self.settle(link, refusals.into_iter().map(|(short, _)| short), false);
                Vec::new()
            }
            other => self.compare(link, &other, at.hour),
        };
        said.extend(self.hand_over(link));
        said.iter().map(Record::encode).collect()
    }

    fn tally(&self) -> Tally {
        self.tally
    }
}
