//! Nodes that do harm over sessions of their own: strangers to everybody, and new ones each time.
//!
//! A hostile node acts when something happens to it and at no other time: when a session opens, and for each record that comes, until it has
//! sent so many on a link. What it says is decided in [`Hostile`], which knows nothing of the network.

mod records;

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use hedgerow_transports::LinkId;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

use self::records::{garbage_bundle, garbage_record};
pub(super) use self::records::{hello, pick};
use super::{Input, NodeId, Role, Sim, Verdict, What, abuse::Tally, build_list};
use crate::{
    crypto::kdf::hash,
    id::{BeaconId, BundleId},
    reconcile::{Finding, ItemSet, Reconciler, SessionView, cut_hour},
    session::{SessionInfo, ShortIds},
    time::Hour,
    wire::record::{Record, Refusal},
};

/// Records that one hostile node sends on one link, at most: a run is to end.
const MAX_SENT: u32 = 64;
/// Records of others that are kept to be said again.
const MAX_CAPTURED: usize = 64;
/// Bundles of a flood at once, and with each answer.
const FLOOD_AT_ONCE: usize = 32;
/// Ids that exist nowhere, in the set that endless ranges are about.
const INVENTED_IDS: u32 = 1_000;
/// Links that are remembered: far more than one node has at once.
const MAX_LINKS: usize = 64;

/// How a node does harm.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Hostility {
    /// Says what nobody understands, or what breaks the protocol.
    Garbage,
    /// Compares sets without end, and lists what does not exist.
    EndlessRanges,
    /// Says again what others said, on other links too.
    Replay,
    /// Brings new bundles that nobody can open, as many as it can.
    Flood,
    /// Asks for everything and takes nothing.
    Refuse,
    /// Asks for everything, says that it is stored, and drops it.
    Lie,
}

impl Hostility {
    /// All ways.
    pub const ALL: [Self; 6] = [Self::Garbage, Self::EndlessRanges, Self::Replay, Self::Flood, Self::Refuse, Self::Lie];
}

/// When something happens to a hostile node.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    /// Since the simulation began.
    pub(super) elapsed: Duration,
    /// By the node's clock.
    pub(super) hour: Hour,
}

/// Decides what a hostile node says: whole records, in order. It knows nothing of the network.
pub(super) trait Puppeteer {
    /// A session opens: what is said at once, HELLO first.
    fn greet(&mut self, link: LinkId, info: &SessionInfo, at: Moment) -> Vec<Vec<u8>>;

    /// A record comes: what is said to it.
    fn answer(&mut self, link: LinkId, bytes: &[u8], at: Moment) -> Vec<Vec<u8>>;

    /// What was done so far, where it is counted.
    fn tally(&self) -> Tally {
        Tally::default()
    }
}

/// What a hostile node knows of one of its links.
struct Face {
    hash: [u8; 32],
    initiator: bool,
    shorts: ShortIds,
    reconciler: Option<Reconciler>,
    set: ItemSet,
    sent: u32,
}

/// A hostile node.
pub(super) struct Hostile {
    kind: Hostility,
    rng: ChaCha20Rng,
    faces: BTreeMap<LinkId, Face>,
    captured: VecDeque<Vec<u8>>,
}

impl Hostile {
    fn new(kind: Hostility, seed: u64) -> Self {
        Self { kind, rng: ChaCha20Rng::seed_from_u64(seed), faces: BTreeMap::new(), captured: VecDeque::new() }
    }

    /// What an honest node that carries would say, as far as that is needed to be listened to.
    fn answer_as_anybody(&mut self, link: LinkId, record: &Record, hour: Hour) -> Vec<Vec<u8>> {
        let Some(face) = self.faces.get_mut(&link) else { return Vec::new() };
        match record {
            Record::Hello(hello) => {
                let view = SessionView { cut: cut_hour(hour, hello.hour), empty: false };
                let mut reconciler = Reconciler::new(face.hash, face.initiator, view);
                if face.initiator {
                    reconciler.start(&face.set, &mut self.rng);
                }
                let said = std::iter::from_fn(|| reconciler.poll_record()).map(|body| Record::Ranges(body).encode()).collect();
                face.reconciler = Some(reconciler);
                said
            }
            Record::Ping => vec![Record::Pong.encode()],
            Record::Offer { batch, ids } => vec![pick(*batch, ids.len(), true).encode()],
            Record::Ranges(body) => {
                let Some(reconciler) = &mut face.reconciler else { return Vec::new() };
                let findings = reconciler.handle_ranges(body, &face.set).unwrap_or_default();
                let wants = findings.into_iter().filter_map(|finding| if let Finding::Want(short) = finding { Some(short) } else { None });
                let wants: Vec<_> = wants.collect();
                let mut said: Vec<Vec<u8>> =
                    std::iter::from_fn(|| reconciler.poll_record()).map(|body| Record::Ranges(body).encode()).collect();
                said.extend(wants.chunks(crate::wire::record::MAX_RECORD_IDS).map(|ids| Record::Want(ids.to_vec()).encode()));
                said
            }
            _ => Vec::new(),
        }
    }

    /// Asks about everything anew, as if nothing had been compared.
    fn begin_again(&mut self, link: LinkId) -> Vec<Vec<u8>> {
        let Some(face) = self.faces.get_mut(&link) else { return Vec::new() };
        let Some(reconciler) = &mut face.reconciler else { return Vec::new() };
        reconciler.start(&face.set, &mut self.rng);
        std::iter::from_fn(|| reconciler.poll_record()).map(|body| Record::Ranges(body).encode()).collect()
    }

    fn flood(&mut self, hour: Hour) -> Vec<Vec<u8>> {
        let bundles = (0..FLOOD_AT_ONCE).map(|_| garbage_bundle(&mut self.rng, hour));
        bundles.map(|bytes| Record::Bundle { age: 0, copies: u8::MAX, bytes }.encode()).collect()
    }

    /// Keeps what was said, and says something that was said before.
    fn replay(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        if self.captured.len() >= MAX_CAPTURED {
            self.captured.pop_front();
        }
        self.captured.push_back(bytes.to_vec());
        let index = self.rng.next_u32() as usize % self.captured.len();
        self.captured.get(index).cloned().into_iter().collect()
    }

    /// Answers a bundle.
    fn settle(&self, link: LinkId, record: &Record, answer: impl Fn(crate::id::ShortId) -> Record) -> Option<Vec<u8>> {
        let (Record::Bundle { bytes, .. }, Some(face)) = (record, self.faces.get(&link)) else { return None };
        Some(answer(face.shorts.short(&BundleId(hash(&[bytes])))).encode())
    }

    fn within_limit(&mut self, link: LinkId, mut said: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
        let Some(face) = self.faces.get_mut(&link) else { return Vec::new() };
        said.truncate(MAX_SENT.saturating_sub(face.sent) as usize);
        face.sent += said.len() as u32;
        said
    }
}

impl Puppeteer for Hostile {
    fn greet(&mut self, link: LinkId, info: &SessionInfo, Moment { hour, .. }: Moment) -> Vec<Vec<u8>> {
        let initiator = info.role == Role::Initiator;
        let mut set = ItemSet::new();
        if self.kind == Hostility::EndlessRanges {
            for _ in 0..INVENTED_IDS {
                let mut id = [0; 32];
                self.rng.fill_bytes(&mut id);
                set.insert(hour, BundleId(id), Some(hour.plus(24)), true);
            }
        }
        let face = Face { hash: info.hash, initiator, shorts: ShortIds::new(&info.hash), reconciler: None, set, sent: 0 };
        while self.faces.len() >= MAX_LINKS {
            self.faces.pop_first();
        }
        self.faces.insert(link, face);
        let mut said = vec![hello(&mut self.rng, hour).encode()];
        match self.kind {
            Hostility::Garbage => said.push(garbage_record(&mut self.rng)),
            Hostility::Flood => said.extend(self.flood(hour)),
            Hostility::EndlessRanges | Hostility::Replay | Hostility::Refuse | Hostility::Lie => {}
        }
        self.within_limit(link, said)
    }

    fn answer(&mut self, link: LinkId, bytes: &[u8], Moment { hour, .. }: Moment) -> Vec<Vec<u8>> {
        let Ok(record) = Record::decode(bytes) else { return Vec::new() };
        let mut said = self.answer_as_anybody(link, &record, hour);
        match self.kind {
            Hostility::Garbage => said.push(garbage_record(&mut self.rng)),
            Hostility::Flood => said.extend(self.flood(hour)),
            Hostility::EndlessRanges => said.extend(self.begin_again(link)),
            Hostility::Replay => said.extend(self.replay(bytes)),
            Hostility::Refuse => said.extend(self.settle(link, &record, |short| Record::Refused(vec![(short, Refusal::Room)]))),
            Hostility::Lie => said.extend(self.settle(link, &record, |short| Record::Stored(vec![short]))),
        }
        self.within_limit(link, said)
    }
}

impl Sim {
    /// Lets a node do harm from now on, in sessions in which it is a stranger. Those that are open end.
    pub fn turn_hostile(&mut self, node: NodeId, kind: Hostility) {
        let seed = self.rng.next_u64();
        self.turn_against(node, Box::new(Hostile::new(kind, seed)));
    }

    /// Lets somebody speak for a node from now on, in sessions in which it is a stranger. Those that are open end.
    pub(super) fn turn_against(&mut self, node: NodeId, puppeteer: Box<dyn Puppeteer>) {
        self.possess(node);
        self.nodes[node.0].hostile = Some(puppeteer);
        let wires: Vec<_> = self.nodes[node.0].wires.values().copied().collect();
        wires.into_iter().for_each(|wire| self.tear_down(wire));
    }

    /// What hostile nodes have done so far, where it is counted.
    pub(super) fn tally(&self) -> Tally {
        let mut sum = Tally::default();
        self.nodes.iter().filter_map(|node| node.hostile.as_ref()).for_each(|hostile| sum.add(&hostile.tally()));
        sum
    }

    /// Gives a node that is hostile a new beacon, before a session: nobody is to know it again.
    pub(super) fn mask(&mut self, node: NodeId) {
        if self.nodes[node.0].hostile.is_some() {
            let mut beacon = [0; 8];
            self.rng.fill_bytes(&mut beacon);
            self.nodes[node.0].beacon = BeaconId(beacon);
        }
    }

    /// Something happens to a hostile node.
    pub(super) fn act_hostile(&mut self, node: NodeId, inputs: Vec<Input>) {
        let at = Moment { elapsed: self.now, hour: self.now_of(node).wall.hour() };
        for input in inputs {
            let Some(hostile) = self.nodes[node.0].hostile.as_mut() else { return };
            let (link, said) = match input {
                Input::Handshaken { link, .. } => {
                    let list = build_list(std::iter::empty(), &mut self.rng);
                    self.with_session(node, link, What::Recognition, |session| session.recognise(&list));
                    continue;
                }
                Input::PeerList { link, .. } => {
                    let verdict = Verdict::unrecognised(&mut self.rng);
                    self.with_session(node, link, What::Recognition, |session| session.confirm(verdict));
                    continue;
                }
                Input::Open { link, .. } => {
                    let Some(info) = self.nodes[node.0].infos.get(&link).cloned() else { continue };
                    let Some(hostile) = self.nodes[node.0].hostile.as_mut() else { return };
                    (link, hostile.greet(link, &info, at))
                }
                Input::Record { link, record } => (link, hostile.answer(link, &record, at)),
                _ => continue,
            };
            for record in said {
                self.with_session(node, link, What::of_record(&record), |session| session.seal_record(&record));
            }
        }
    }
}
