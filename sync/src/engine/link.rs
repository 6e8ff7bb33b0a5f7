//! One link as the engine sees it: who is at the other end, and what is on its way.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque},
    time::Duration,
};

use hedgerow_transports::{BeaconId, Direction, LinkId, LinkProperties};

use super::{
    config::{EngineConfig, MAX_ASKED_IDS, MAX_KNOWN_IDS, MAX_WINDOW, MIN_WINDOW},
    nearby::LinkNearby,
    recognise::Listed,
    relay::Rank,
    routing::Scope,
    transfer::{Names, Talk},
};
use crate::{
    crypto::identity::Name,
    id::{BundleId, ContactId, ShortId},
    reconcile::{ItemSet, Reconciler},
    session::{SessionInfo, ShortIds},
    time::{Hour, Instant},
    wire::record::{Hello, Refusal},
};

/// How long a bundle counts as known that was refused for its time or for lack of room (policy).
const OFFER_AGAIN_AFTER: Duration = Duration::from_secs(3600);

/// Who is at the other end, as far as it has been proven.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Peer {
    /// Nobody we know.
    Stranger,
    /// Somebody who holds the pending link of this contact-to-be, or the repair secret of this contact.
    Invited(ContactId),
    /// This contact.
    Contact(ContactId),
}

impl Peer {
    /// The contact, if proven.
    pub(super) const fn contact(self) -> Option<ContactId> {
        match self {
            Self::Contact(contact) => Some(contact),
            Self::Stranger | Self::Invited(_) => None,
        }
    }
}

/// How far a session has come.
pub(super) enum Phase {
    /// Our list went out; the other's is awaited.
    Recognising,
    /// Our confirmation went out: whom it is for, should the other's be right.
    Confirming(Peer),
    /// Records flow.
    Open,
}

/// How a peer came to know a bundle.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Given {
    /// It has it from elsewhere, or passes over it.
    NotByUs,
    /// We sent it in this session.
    Once,
    /// We sent it again, because the peer asked: that counts for nothing, and there is no third time.
    Again,
}

/// Bundles that wait, in order.
#[derive(Default)]
pub(super) struct Waiting {
    order: BTreeSet<(Rank, BundleId)>,
    ranks: HashMap<BundleId, Rank>,
}

impl Waiting {
    /// Enters a bundle; one that waits already keeps the better place.
    fn insert(&mut self, rank: Rank, id: BundleId) {
        match self.ranks.get(&id) {
            Some(before) if *before <= rank => return,
            Some(before) => {
                self.order.remove(&(*before, id));
            }
            None => {}
        }
        self.ranks.insert(id, rank);
        self.order.insert((rank, id));
    }

    /// The first, which stays.
    pub(super) fn first(&self) -> Option<BundleId> {
        self.order.first().map(|(_, id)| *id)
    }

    /// Takes the first out.
    pub(super) fn pop(&mut self) -> Option<BundleId> {
        let (_, id) = self.order.pop_first()?;
        self.ranks.remove(&id);
        Some(id)
    }

    /// Whether a bundle waits.
    pub(super) fn contains(&self, id: &BundleId) -> bool {
        self.ranks.contains_key(id)
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether none waits.
    pub(super) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }
}

/// An offer that is not answered yet, because another link may bring the same.
pub(super) struct WaitingOffer {
    pub(super) since: Instant,
    pub(super) batch: u16,
    pub(super) ids: Vec<ShortId>,
}

/// A bundle that was sent and not answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct InFlight {
    pub(super) id: BundleId,
    pub(super) size: usize,
    /// Copies that went with it.
    pub(super) copies: u8,
}

/// One link.
pub(super) struct LinkState {
    pub(super) properties: LinkProperties,
    pub(super) info: SessionInfo,
    pub(super) phase: Phase,
    pub(super) peer: Peer,
    /// UPGRADE went out (docs/protocol.md, section 7.6).
    pub(super) upgrade_sent: bool,
    /// This contact listed its repair, and this node did not (docs/protocol.md, section 7.7).
    pub(super) repair_hint: Option<ContactId>,
    /// The entry that matched was that of a repair.
    pub(super) repairing: bool,
    /// It has a stranger's place, if any, though its peer is invited.
    pub(super) ordinary: bool,
    pub(super) shorts: ShortIds,
    /// The hour in our HELLO.
    pub(super) hour_told: Hour,
    /// Our HELLO said that we carry for this peer.
    pub(super) carries_told: bool,
    pub(super) hello: Option<Hello>,
    /// NAME went out.
    pub(super) name_sent: bool,
    /// What the peer calls itself.
    pub(super) claimed_name: Option<Name>,
    /// CURSOR has come from somebody who is no contact, and says nothing.
    pub(super) empty_cursor: bool,
    /// How many bundles had been let go at the last two looks at this link: by the second their acks have arrived, or the link is dead.
    pub(super) told_acks: [Option<u64>; 2],
    /// When a link is closed to somebody who is shown nothing, or becomes a stranger's whose peer was invited.
    pub(super) give_up: Option<Instant>,
    /// The beacon that is not to be dialled while this link lives.
    pub(super) linked: Option<BeaconId>,
    pub(super) opened: Instant,
    pub(super) last_heard: Instant,
    /// When it last brought a bundle or took one, or else opened.
    pub(super) last_useful: Instant,
    pub(super) ping_sent: Option<Instant>,
    /// People were told that it is up.
    pub(super) told: bool,
    /// Whom our list named, until the other's list has come.
    pub(super) listed: Listed,
    /// A newer link to the same device, and when this one was asked for a sign of life because of it.
    pub(super) rival: Option<(LinkId, Instant)>,
    /// The PING by which it was asked: its PONG says that the other side has not ended it.
    pub(super) rival_ping: u64,
    /// What it is to those nearby.
    pub(super) nearby: LinkNearby,
    /// The link is being closed; nothing more is sent or handled.
    pub(super) closing: bool,

    /// What the peer is shown.
    pub(super) scope: Scope,
    /// What this session compares where it is not one of the shared sets.
    pub(super) set: ItemSet,
    pub(super) reconciler: Option<Reconciler>,
    /// What may be said of bundles while some wait.
    pub(super) talk: Talk,
    /// The peer has been sent, holds or refuses these.
    pub(super) known: HashMap<BundleId, Given>,
    /// The peer picked or asked for these, and they have not been sent: it waits for an answer.
    pub(super) owed: HashSet<BundleId>,
    /// Own bundles that are held back and were offered here.
    pub(super) let_in: HashSet<BundleId>,
    /// To be sent.
    pub(super) queue: Waiting,
    pub(super) in_flight: BTreeMap<ShortId, InFlight>,
    pub(super) in_flight_bytes: usize,
    /// To be offered.
    pub(super) backlog: Waiting,
    /// Offers without an answer, oldest first.
    pub(super) offers: VecDeque<(u16, Vec<BundleId>)>,
    /// What they name.
    pub(super) offered: HashSet<BundleId>,
    pub(super) next_offer: u16,
    pub(super) next_peer_offer: u16,
    /// Short ids of all that is held or remembered.
    pub(super) names: Names,
    /// Offers of the peer that wait, oldest first.
    pub(super) waiting_offers: VecDeque<WaitingOffer>,
    /// Bodies of a contact's RANGES that wait until it has brought what it was asked for, oldest first.
    pub(super) waiting_ranges: VecDeque<Vec<u8>>,
    /// How often the peer has asked for what it was not given.
    pub(super) vain_wants: usize,
    /// Ack secrets to be told.
    pub(super) acks: Vec<[u8; 16]>,
    /// Short ids of what the peer was asked for, so that nothing is asked twice.
    pub(super) asked: BTreeSet<ShortId>,
    /// Since when it owes what it was asked for without having brought anything new; absent once it has brought all.
    pub(super) asked_since: Option<Instant>,
    /// What a stranger has named and may not bring now: asked for as room comes.
    pub(super) put_off: VecDeque<ShortId>,
    /// To be told once the batch is durable.
    pub(super) stored: Vec<ShortId>,
    pub(super) refused: Vec<(ShortId, Refusal)>,
    /// CURSOR has come.
    pub(super) has_cursor: bool,
    /// What differs is being found, and what is new is offered.
    pub(super) live: bool,
    /// Cursors fit, and yet ranges are to be compared once something else has crossed.
    pub(super) compare_later: bool,
    /// When the contact was met before this session.
    pub(super) met_before: Option<Hour>,
    /// The initiator is to begin a comparison, because the cursors did not fit.
    pub(super) awaits_comparison: bool,
    /// What was listed last may still be asked for: a PING is to follow the comparison.
    pub(super) fence_owed: bool,
    /// The PING whose PONG says that everything listed before it was asked for or passed over.
    pub(super) fence: u64,
    pub(super) pings: u64,
    pub(super) pongs: u64,
    /// What the peer refused for now, and when: offered again after a while.
    pub(super) refused_lately: VecDeque<(Instant, BundleId)>,
    /// The lowest arrival sequence that the peer refused for now: no MARK goes past it, so that the next session tries again.
    pub(super) refused_from: Option<u64>,
    /// Up to which of our arrivals the contact has been told that it has everything.
    pub(super) marked: Option<u64>,
    pub(super) next_mark: Instant,
}

impl LinkState {
    /// A link whose handshake is done.
    pub(super) fn new(properties: LinkProperties, info: SessionInfo, now: Instant) -> Self {
        Self {
            properties,
            shorts: ShortIds::new(&info.hash),
            info,
            phase: Phase::Recognising,
            peer: Peer::Stranger,
            upgrade_sent: false,
            repair_hint: None,
            repairing: false,
            ordinary: false,
            hour_told: Hour::UNKNOWN,
            carries_told: false,
            hello: None,
            name_sent: false,
            claimed_name: None,
            empty_cursor: false,
            told_acks: [None; 2],
            give_up: None,
            linked: None,
            opened: now,
            last_heard: now,
            last_useful: now,
            ping_sent: None,
            told: false,
            listed: Vec::new(),
            rival: None,
            rival_ping: 0,
            nearby: LinkNearby::default(),
            closing: false,
            scope: Scope::Nothing,
            set: ItemSet::new(),
            reconciler: None,
            talk: Talk::default(),
            known: HashMap::new(),
            owed: HashSet::new(),
            let_in: HashSet::new(),
            queue: Waiting::default(),
            in_flight: BTreeMap::new(),
            in_flight_bytes: 0,
            backlog: Waiting::default(),
            offers: VecDeque::new(),
            offered: HashSet::new(),
            next_offer: 0,
            next_peer_offer: 0,
            names: Names::default(),
            waiting_offers: VecDeque::new(),
            waiting_ranges: VecDeque::new(),
            vain_wants: 0,
            acks: Vec::new(),
            asked: BTreeSet::new(),
            asked_since: None,
            put_off: VecDeque::new(),
            stored: Vec::new(),
            refused: Vec::new(),
            has_cursor: false,
            live: false,
            compare_later: false,
            met_before: None,
            awaits_comparison: false,
            fence_owed: false,
            fence: 0,
            pings: 0,
            pongs: 0,
            refused_lately: VecDeque::new(),
            refused_from: None,
            marked: None,
            next_mark: now,
        }
    }

    /// Whether records may be sent.
    pub(super) const fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open) && !self.closing
    }

    /// Whether nothing has crossed that says more than that a session is open. What can wait then waits, so that the session of two contacts
    /// who have nothing to exchange looks like one of strangers.
    pub(super) fn is_quiet(&self) -> bool {
        let compared = self.reconciler.as_ref().is_some_and(Reconciler::has_begun);
        !compared && self.known.is_empty() && self.next_offer == 0 && self.next_peer_offer == 0
    }

    /// Notes that the peer has a bundle, or knows it.
    pub(super) fn note_known(&mut self, id: BundleId) {
        if self.known.len() < MAX_KNOWN_IDS {
            self.known.entry(id).or_insert(Given::NotByUs);
        }
    }

    /// Queues what the peer has picked or asked for; `false` if it has had it twice.
    pub(super) fn owe(&mut self, rank: Rank, id: BundleId, short: &ShortId) -> bool {
        if self.in_flight.contains_key(short) {
            return true;
        }
        if self.known.get(&id) == Some(&Given::Again) {
            return false;
        }
        self.owed.insert(id);
        self.queue.insert(rank.called(*short), id);
        true
    }

    /// Queues a bundle for sending, unless the peer has it.
    pub(super) fn push(&mut self, rank: Rank, id: BundleId) {
        if !self.known.contains_key(&id) {
            self.queue.insert(rank.called(self.shorts.short(&id)), id);
        }
    }

    /// Notes a bundle to be offered, unless the peer has it or it is on its way.
    pub(super) fn offer(&mut self, rank: Rank, id: BundleId) {
        if !self.known.contains_key(&id) && !self.queue.contains(&id) && !self.offered.contains(&id) {
            self.backlog.insert(rank.called(self.shorts.short(&id)), id);
        }
    }

    /// Takes what was refused so long ago that time may have come or room been made; it is to be offered again.
    pub(super) fn take_refused(&mut self, now: Instant) -> Vec<BundleId> {
        let mut again = Vec::new();
        while let Some(&(at, id)) = self.refused_lately.front()
            && now.since(at) >= OFFER_AGAIN_AFTER
        {
            self.refused_lately.pop_front();
            self.known.remove(&id);
            again.push(id);
            if self.refused_lately.is_empty() {
                self.refused_from = None;
            }
        }
        again
    }

    /// Whether more may be said of bundles now.
    pub(super) fn may_say(&self) -> bool {
        self.queue.is_empty() || self.talk.has_room()
    }

    /// How many bytes of bundles may be unanswered: what the peer grants, and no more than keeps the link busy. That is one bundle on its
    /// way and one behind it, and beside them what crosses while the answer comes back; all of it is lost when the link breaks.
    pub(super) fn window(&self, config: &EngineConfig) -> usize {
        let granted = self.hello.map_or(0, |hello| hello.window as usize);
        let there_and_back = Duration::from_millis(2 * u64::from(self.properties.latency_ms));
        let crossing = (f64::from(self.properties.rate) * (there_and_back + config.window_time).as_secs_f64()) as usize;
        granted.min(crossing.saturating_add(2 * MIN_WINDOW).min(MAX_WINDOW))
    }

    /// Silence after which PING is sent. The side that was dialled waits a little longer, so that an idle link costs one PING, not two.
    pub(super) fn ping_after(&self, config: &EngineConfig) -> Duration {
        match self.properties.direction {
            Direction::Outbound => config.ping_after,
            Direction::Inbound => config.ping_after + config.ping_after / 10,
        }
    }

    /// Takes a bundle out of those in flight; `None` if the peer answers what was not sent.
    pub(super) fn answered(&mut self, short: &ShortId) -> Option<InFlight> {
        let sent = self.in_flight.remove(short)?;
        self.in_flight_bytes -= sent.size;
        Some(sent)
    }

    /// Keeps an id that the peer may not bring now.
    pub(super) fn put_off(&mut self, short: ShortId) {
        if self.put_off.len() < MAX_ASKED_IDS {
            self.put_off.push_back(short);
        }
    }

    /// Whether the peer is to be asked for a bundle: once, and not for more than it can be expected to send.
    pub(super) fn ask(&mut self, now: Instant, short: ShortId) -> bool {
        let asks = self.asked.len() < MAX_ASKED_IDS && self.asked.insert(short);
        if asks {
            self.asked_since.get_or_insert(now);
        }
        asks
    }

    /// Whether the peer may be asked for so many more. A contact's records wait until it may, as what is passed over is not offered again;
    /// what a stranger names is put off or passed over.
    pub(super) fn may_ask(&self, count: usize) -> bool {
        self.peer.contact().is_none() || self.asked.len() + count <= MAX_ASKED_IDS
    }

    /// Whether everything queued, offered and sent has been answered.
    pub(super) fn is_idle(&self) -> bool {
        self.queue.is_empty()
            && self.in_flight.is_empty()
            && self.backlog.is_empty()
            && self.offers.is_empty()
            && !self.fence_owed
            && self.pongs >= self.fence
            && self.reconciler.as_ref().is_none_or(|reconciler| reconciler.is_done() || !(self.awaits_comparison || reconciler.has_begun()))
    }
}
