//! A deterministic network of engines on virtual time: the harness of the tests, and the seed of the simulator.
//!
//! Real engines, real sessions, real stores; only wires and clocks are made up. One thread, one heap of events, one seed: the same seed
//! gives the same [`log_hash`](Sim::log_hash). Wires lose, repeat, delay and reorder messages, break, and come up again by themselves as
//! a transport's dialling would; a store that crashes between a write and its commit restarts its node.

pub mod abuse;
pub mod attack;
mod check;
mod control;
mod dial;
mod draw;
pub mod faults;
mod hostile;
pub mod input;
pub mod mobility;
mod observe;
pub mod oracle;
mod people;
pub mod profile;
pub mod replay;
pub mod report;
pub mod text;
pub mod trace;
mod wire;
pub mod workload;

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap},
    time::Duration,
};

use hedgerow_transports::{BeaconId, Direction, Flow, LinkId, LinkProperties, TransportKind, Wanted};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use sha2::{Digest, Sha256};

use self::{
    check::Checker,
    control::OnTransmit,
    faults::Breaker,
    hostile::Puppeteer,
    wire::{Queued, Wire},
};
pub use self::{
    check::{Rule, Violation},
    faults::{FaultKind, FaultMix, FaultPlan, Trouble, UnknownFault},
    hostile::Hostility,
    observe::{Observer, Tapped, What},
    wire::{Faults, WireId},
};
use crate::{
    crypto::{identity::Name, kdf::AUTHENTICATOR_LEN},
    engine::{Engine, EngineConfig, Input, Output, RequestId, create_profile},
    id::{BundleId, ContactId, MessageId},
    session::{Role, Session, SessionEvent, SessionInfo, Verdict, recognition::build_list},
    store::{
        Store, StoreError,
        memory::{BundlePool, MemoryStore},
    },
    time::{Instant, Now, UnixMillis},
    view::{Answer, Command, CommandError, ContactState, Event, Message},
};

/// What the wall clocks say when a simulation starts: 2026-11-22 06:00 UTC.
pub const START_MILLIS: u64 = 1_795_327_200_000;
/// How long a transport waits for a handshake before it gives a connection up.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
/// How long a broken wire stays down before it comes up again by itself.
const REDIAL_AFTER: Duration = Duration::from_secs(1);
/// How long one end of a half-open link does not know that it broke.
const HALF_OPEN_FOR: Duration = Duration::from_secs(15);

/// Bytes of framing before a session message.
const FRAME_LEN: usize = 2;

/// Names a node of one simulation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct NodeId(pub usize);

/// Opens a node's store, at the start and after each crash.
type OpenStore = Box<dyn FnMut() -> Box<dyn Store>>;

/// One device.
struct Node {
    engine: Option<Engine>,
    open: OpenStore,
    sessions: BTreeMap<LinkId, Session>,
    wires: BTreeMap<LinkId, WireId>,
    config: EngineConfig,
    wall_offset_ms: i64,
    restarts: u64,
    events: Vec<Event>,
    replies: BTreeMap<RequestId, Result<Answer, CommandError>>,
    on: bool,
    beacon: BeaconId,
    /// Whom the engine wants not to be dialled.
    linked: BTreeSet<BeaconId>,
    /// Whom it wants dialled, as it said last.
    wanted: Option<Wanted>,
    /// To whom it has said there is no place for a link, or who has said so.
    crowded: BTreeSet<BeaconId>,
    /// Links to whom were of no use.
    useless: BTreeSet<BeaconId>,
    /// The engine hears and says nothing more; a test speaks in its place.
    puppet: bool,
    /// A puppet that does not even answer in recognition.
    mute: bool,
    /// Links whose handshake is done.
    infos: BTreeMap<LinkId, SessionInfo>,
    /// Bundles that a puppet was sent and has not answered.
    in_hand: Vec<BundleId>,
    /// What arrived for a puppet.
    records: Vec<(LinkId, Vec<u8>)>,
    /// How often the engine's time-out came.
    wakes: u64,
    /// Inputs are gathered for so long and fed as one batch; each alone if absent.
    gather: Option<Duration>,
    gathered: Vec<Input>,
    /// It does harm; a puppet.
    hostile: Option<Box<dyn Puppeteer>>,
    /// What is to go wrong with its store.
    breaker: Breaker,
    /// It is off until its disk has room.
    awaits_room: bool,
    /// When the next [`Happening::Wake`] is due that counts.
    wake_at: Option<Duration>,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Happening {
    /// A message reaches one end of a wire, if the wire is still the same connection.
    Arrive { wire: WireId, connection: u64, to: usize, message: Vec<u8> },
    /// A wire breaks.
    Break { wire: WireId, connection: u64 },
    /// A wire may come up again.
    Redial { wire: WireId },
    /// A connection without a handshake is given up.
    GiveUp { wire: WireId, connection: u64 },
    /// What was gathered is fed.
    Feed { node: usize },
    /// An engine's time-out.
    Wake { node: usize },
    /// One end of a wire that broke a while ago learns of it.
    Learn { node: usize, link: LinkId },
    /// Something befalls a node.
    Trouble { node: usize, trouble: Trouble },
    /// A node whose disk was full tries again.
    TryAgain { node: usize },
}

/// A session message that was put on a wire; what an eavesdropper counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Crossing {
    /// Where.
    pub wire: WireId,
    /// Who sent it.
    pub from: NodeId,
    /// Its length, bytes.
    pub length: usize,
    /// When, since the simulation began.
    pub at: Duration,
}

/// A network of engines.
pub struct Sim {
    now: Duration,
    nodes: Vec<Node>,
    wires: Vec<Wire>,
    agenda: BinaryHeap<Reverse<(Duration, u64, Happening)>>,
    next_happening: u64,
    next_link: u64,
    next_request: u64,
    rng: ChaCha20Rng,
    seed: u64,
    log: Sha256,
    bytes: u64,
    /// What was put on wires, once somebody has asked.
    crossings: Option<Vec<Crossing>>,
    on_transmit: Option<OnTransmit>,
    observer: Option<Box<dyn Observer>>,
    checker: Option<Box<Checker>>,
    breakable: bool,
    /// Who was turned away is dialled again as a transport would.
    dials_as_wanted: bool,
    /// The bundles that stores of this simulation hold, each once.
    bundles: BundlePool,
}

impl Sim {
    /// Starts an empty network. The seed decides everything random.
    pub fn new(seed: u64) -> Self {
        Self {
            now: Duration::ZERO,
            nodes: Vec::new(),
            wires: Vec::new(),
            agenda: BinaryHeap::new(),
            next_happening: 0,
            next_link: 1,
            next_request: 1,
            rng: ChaCha20Rng::seed_from_u64(seed),
            seed,
            log: Sha256::new(),
            bytes: 0,
            crossings: None,
            on_transmit: None,
            observer: None,
            checker: None,
            breakable: false,
            dials_as_wanted: false,
            bundles: BundlePool::default(),
        }
    }

    /// Makes an empty store in memory that shares the bytes of bundles with the other stores of this simulation.
    pub fn store(&self) -> MemoryStore {
        MemoryStore::in_pool(&self.bundles)
    }

    /// Adds a node with a store in memory; the handle steers the store's crash points.
    pub fn node(&mut self, name: &str) -> (NodeId, MemoryStore) {
        let store = self.store();
        let (handle, reopened) = (store.handle(), store.handle());
        let open: OpenStore = Box::new(move || {
            reopened.reopen();
            Box::new(reopened.handle())
        });
        (self.node_with(name, Box::new(store), open, EngineConfig::default()), handle)
    }

    /// Adds a node with a store of any kind: `fresh` is empty and gets a profile, `open` opens the same again.
    #[expect(clippy::expect_used, reason = "a harness: a profile that can't be made ends the test")]
    pub fn node_with(&mut self, name: &str, mut fresh: Box<dyn Store>, open: OpenStore, config: EngineConfig) -> NodeId {
        let name = Name::new(name).expect("names of test nodes are good");
        create_profile(fresh.as_mut(), &name, &mut self.rng).expect("an empty store takes a profile");
        drop(fresh);
        self.add_node(open, config)
    }

    /// Adds a node with what a store holds already.
    fn add_node(&mut self, open: OpenStore, config: EngineConfig) -> NodeId {
        let id = NodeId(self.nodes.len());
        self.nodes.push(Node {
            engine: None,
            open,
            sessions: BTreeMap::new(),
            wires: BTreeMap::new(),
            config,
            wall_offset_ms: 0,
            restarts: 0,
            events: Vec::new(),
            replies: BTreeMap::new(),
            on: true,
            beacon: BeaconId([0; 8]),
            linked: BTreeSet::new(),
            wanted: None,
            crowded: BTreeSet::new(),
            useless: BTreeSet::new(),
            puppet: false,
            mute: false,
            infos: BTreeMap::new(),
            in_hand: Vec::new(),
            records: Vec::new(),
            wakes: 0,
            gather: None,
            gathered: Vec::new(),
            hostile: None,
            breaker: Breaker::default(),
            awaits_room: false,
            wake_at: None,
        });
        self.start(id);
        id
    }

    /// Sets how far a node's wall clock is off, in milliseconds.
    pub fn set_clock(&mut self, node: NodeId, offset_ms: i64) {
        self.nodes[node.0].wall_offset_ms = offset_ms;
    }

    /// Lays a wire between two nodes and brings it up; it comes up again by itself whenever it breaks.
    pub fn connect(&mut self, a: NodeId, b: NodeId, faults: Faults) -> WireId {
        let wire = self.lay(a, b, faults);
        self.mend(wire);
        wire
    }

    /// Lays a wire that stays down until [`mend`](Self::mend); the first node dials.
    pub fn lay(&mut self, a: NodeId, b: NodeId, faults: Faults) -> WireId {
        let wire = WireId(self.wires.len());
        let mut state = Wire::new([a.0, b.0], faults);
        state.wanted = false;
        self.wires.push(state);
        wire
    }

    /// Lets this end of a wire dial from now on; for a wire that is down.
    pub fn set_dialler(&mut self, wire: WireId, node: NodeId) {
        let state = &mut self.wires[wire.0];
        if state.links.is_none() && state.ends[1] == node.0 {
            state.ends.swap(0, 1);
        }
    }

    /// Breaks a wire; it stays down until [`mend`](Self::mend).
    pub fn cut(&mut self, wire: WireId) {
        self.wires[wire.0].wanted = false;
        self.tear_down(wire);
    }

    /// Lets a cut wire come up again.
    pub fn mend(&mut self, wire: WireId) {
        let state = &mut self.wires[wire.0];
        (state.wanted, state.turned_away) = (true, 0);
        self.bring_up(wire);
    }

    /// Stops a node as `kill -9` would: nothing is saved, its wires break.
    pub fn kill(&mut self, node: NodeId) {
        self.nodes[node.0].on = false;
        self.nodes[node.0].awaits_room = false;
        self.stop(node);
    }

    /// Starts a node that was stopped.
    pub fn revive(&mut self, node: NodeId) {
        self.nodes[node.0].on = true;
        self.nodes[node.0].awaits_room = false;
        self.start(node);
        for wire in 0..self.wires.len() {
            if self.wires[wire].ends.contains(&node.0) {
                self.bring_up(WireId(wire));
            }
        }
    }

    /// Asks a node something; `None` if it restarted meanwhile, so that the answer is not known.
    pub fn ask(&mut self, node: NodeId, command: Command) -> Option<Result<Answer, CommandError>> {
        let request = RequestId(self.next_request);
        self.next_request += 1;
        self.feed(node, vec![Input::Command(request, command)]);
        self.nodes[node.0].replies.remove(&request)
    }

    /// Asks a node something that must succeed.
    ///
    /// # Panics
    ///
    /// If it does not.
    #[expect(clippy::expect_used, reason = "a harness: what can't be asked ends the test")]
    pub fn tell(&mut self, node: NodeId, command: Command) -> Answer {
        self.ask(node, command).expect("the node restarted").expect("the command was refused")
    }

    /// Writes a message; the id by which both sides know it.
    #[expect(clippy::panic, reason = "a harness: an answer of another kind ends the test")]
    pub fn send(&mut self, from: NodeId, to: &str, text: &str) -> MessageId {
        let command = Command::Send { contact: to.into(), text: text.into(), id: None, urgent: false };
        match self.tell(from, command) {
            Answer::Sent(sent) => sent.id,
            other => panic!("not an answer to send: {other:?}"),
        }
    }

    /// The messages of a conversation, oldest first.
    #[expect(clippy::panic, reason = "a harness: an answer of another kind ends the test")]
    pub fn messages(&mut self, node: NodeId, contact: &str) -> Vec<Message> {
        match self.tell(node, Command::Messages { contact: contact.into(), since: None, before: None, limit: None, mark_read: false }) {
            Answer::Messages(messages) => messages,
            other => panic!("not an answer to messages: {other:?}"),
        }
    }

    /// Makes a link at one node and uses it at the other; both are contacts once a wire has let them meet.
    #[expect(clippy::panic, reason = "a harness: an answer of another kind ends the test")]
    pub fn introduce(&mut self, issuer: NodeId, invitee: NodeId) {
        let Answer::Invitation(invitation) = self.tell(issuer, Command::Invite { hours: 336 }) else { panic!("no invitation") };
        self.tell(invitee, Command::AddContact { link: invitation.link, alias: None, message: None });
    }

    /// The state of a contact as a node sees it; `None` if it has no such contact.
    pub fn contact_state(&mut self, node: NodeId, contact: ContactId) -> Option<ContactState> {
        match self.ask(node, Command::Contact { contact: contact.0.to_string() })? {
            Ok(Answer::Contact(contact)) => Some(contact.state),
            _ => None,
        }
    }

    /// Takes what a node has told its subscribers.
    pub fn take_events(&mut self, node: NodeId) -> Vec<Event> {
        std::mem::take(&mut self.nodes[node.0].events)
    }

    /// How often a node was restarted by a store that failed.
    pub fn restarts(&self, node: NodeId) -> u64 {
        self.nodes[node.0].restarts
    }

    /// Bytes that have crossed all wires.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The hash of everything that has happened: equal for equal seeds.
    pub fn log_hash(&self) -> [u8; 32] {
        self.log.clone().finalize().into()
    }

    /// Lets virtual time pass.
    pub fn run_for(&mut self, span: Duration) {
        self.run_until(self.now + span);
    }

    /// Lets virtual time pass until `end` after the start; nothing happens if that is over.
    pub fn run_until(&mut self, end: Duration) {
        while self.violation().is_none()
            && let Some(Reverse((at, _, _))) = self.agenda.peek()
        {
            if *at > end {
                break;
            }
            let Some(Reverse((at, _, happening))) = self.agenda.pop() else { break };
            self.now = at;
            self.happen(happening);
        }
        if self.violation().is_none() {
            self.now = self.now.max(end);
        }
    }

    /// Hands one input to a node's engine, as a driver with a fault of its own or a test would.
    pub fn inject(&mut self, node: NodeId, input: Input) {
        self.feed(node, vec![input]);
    }

    /// Sends a record from one end of a wire through its session, as a hostile peer with a good session would.
    pub fn send_raw(&mut self, wire: WireId, from: NodeId, record: &[u8]) {
        let Some(link) = self.nodes[from.0].wires.iter().find(|(_, other)| **other == wire).map(|(link, _)| *link) else { return };
        if let Some(session) = self.nodes[from.0].sessions.get_mut(&link) {
            let _ = session.seal_record(record);
        }
        self.drain_session(from, link, What::of_record(record));
    }

    /// Whether a wire is up.
    pub fn is_up(&self, wire: WireId) -> bool {
        self.wires[wire.0].links.is_some()
    }

    fn now_of(&self, node: NodeId) -> Now {
        let wall = (START_MILLIS + self.now.as_millis() as u64).saturating_add_signed(self.nodes[node.0].wall_offset_ms);
        Now { mono: Instant::from_origin(self.now), wall: UnixMillis(wall) }
    }

    fn schedule(&mut self, at: Duration, happening: Happening) {
        self.next_happening += 1;
        self.agenda.push(Reverse((at, self.next_happening, happening)));
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Arrive { wire, connection, to, message } => {
                let state = &self.wires[wire.0];
                if state.connection == connection
                    && let Some(links) = state.links
                {
                    // The authenticator at its end stands for all of a message.
                    let end = message.len().saturating_sub(AUTHENTICATOR_LEN);
                    self.log.update(self.now.as_micros().to_be_bytes());
                    self.log.update([wire.0 as u64, to as u64, message.len() as u64].map(u64::to_be_bytes).as_flattened());
                    self.log.update(message.get(end..).unwrap_or_default());
                    let link = links[to];
                    let node = NodeId(state.ends[to]);
                    self.note_crossed(wire);
                    self.check_arrival(wire, to, message.len() + FRAME_LEN);
                    self.arrive(node, link, &message);
                }
            }
            Happening::Break { wire, connection } => {
                if self.wires[wire.0].connection == connection {
                    self.tear_down(wire);
                }
            }
            Happening::Redial { wire } => self.redial(wire),
            Happening::GiveUp { wire, connection } => {
                let state = &self.wires[wire.0];
                let done = |(end, link): (&usize, &LinkId)| self.nodes[*end].infos.contains_key(link);
                let stuck = state.links.is_some_and(|links| !state.ends.iter().zip(&links).all(done));
                if stuck && state.connection == connection {
                    self.tear_down(wire);
                }
            }
            Happening::Feed { node } => {
                let mut inputs = std::mem::take(&mut self.nodes[node].gathered);
                // The time-out comes last, whatever came meanwhile.
                inputs.retain(|input| !matches!(input, Input::Timeout));
                inputs.extend(self.is_due(node).then_some(Input::Timeout));
                self.feed(NodeId(node), inputs);
            }
            Happening::Wake { node } => {
                self.nodes[node].wake_at.take_if(|at| *at <= self.now);
                if self.is_due(node) {
                    self.nodes[node].wakes += 1;
                    self.gather_or_feed(NodeId(node), vec![Input::Timeout]);
                } else if !self.nodes[node].puppet {
                    self.wake_later(NodeId(node));
                }
            }
            Happening::Learn { node, link } => self.learn(NodeId(node), link),
            Happening::Trouble { node, trouble } => self.befall(NodeId(node), trouble),
            Happening::TryAgain { node } => self.try_again(NodeId(node)),
        }
    }

    fn arrive(&mut self, node: NodeId, link: LinkId, message: &[u8]) {
        let Some(session) = self.nodes[node.0].sessions.get_mut(&link) else { return };
        if session.handle_message(message).is_err() {
            return self.tear_down_link(node, link);
        }
        self.drain_session(node, link, What::Handshake);
    }

    /// Carries out what a session has to say, until it has nothing more; `what` its messages are.
    fn drain_session(&mut self, node: NodeId, link: LinkId, what: What) {
        let Some(session) = self.nodes[node.0].sessions.get_mut(&link) else { return };
        let messages: Vec<_> = std::iter::from_fn(|| session.poll_message()).collect();
        let events: Vec<_> = std::iter::from_fn(|| session.poll_event()).collect();
        for message in messages {
            self.put_on_wire(node, link, message, what);
        }
        let inputs: Vec<Input> = events
            .into_iter()
            .map(|event| match event {
                SessionEvent::Handshaken(info) => Input::Handshaken { link, properties: self.properties(node, link), info },
                SessionEvent::PeerList(list) => Input::PeerList { link, list },
                SessionEvent::Open { recognised } => Input::Open { link, recognised },
                SessionEvent::Record(record) => Input::Record { link, record },
            })
            .collect();
        if inputs.is_empty() {
            return;
        }
        self.observe_inputs(node, link, &inputs);
        self.check_inputs(node, link, &inputs);
        for input in &inputs {
            if let Input::Handshaken { info, .. } = input {
                self.nodes[node.0].infos.insert(link, info.clone());
            }
        }
        if self.nodes[node.0].puppet {
            self.move_puppet(node, inputs);
        } else {
            self.gather_or_feed(node, inputs);
        }
    }

    fn is_due(&self, node: usize) -> bool {
        let due = self.nodes[node].engine.as_ref().and_then(Engine::poll_timeout);
        due.is_some_and(|due| due <= Instant::from_origin(self.now)) && !self.nodes[node].puppet
    }

    fn gather_or_feed(&mut self, node: NodeId, inputs: Vec<Input>) {
        let Some(after) = self.nodes[node.0].gather else { return self.feed(node, inputs) };
        if self.nodes[node.0].gathered.is_empty() {
            self.schedule(self.now + after, Happening::Feed { node: node.0 });
        }
        self.nodes[node.0].gathered.extend(inputs);
    }

    fn properties(&self, node: NodeId, link: LinkId) -> LinkProperties {
        let wire = self.nodes[node.0].wires.get(&link).map(|wire| &self.wires[wire.0]);
        let outbound = wire.is_some_and(|wire| wire.links.is_some_and(|links| links[0] == link));
        let dialled = wire.filter(|_| outbound).map(|wire| self.nodes[wire.ends[1]].beacon);
        LinkProperties {
            kind: TransportKind::Memory,
            direction: if outbound { Direction::Outbound } else { Direction::Inbound },
            dialled,
            flow: Flow::Duplex,
            rate: wire.map_or(1_000_000, |wire| wire.faults.rate),
            latency_ms: wire.map_or(1, |wire| wire.faults.delay.as_millis() as u32),
            metered: false,
        }
    }

    /// One batch: begin, inputs, commit, outputs. A store that fails restarts the node.
    fn feed(&mut self, node: NodeId, inputs: Vec<Input>) {
        let now = self.now_of(node);
        let Some(engine) = self.nodes[node.0].engine.as_mut() else { return };
        let batch = || -> Result<(), StoreError> {
            engine.begin()?;
            inputs.into_iter().try_for_each(|input| engine.handle_input(now, input))?;
            engine.commit(now)
        };
        if batch().is_err() {
            self.nodes[node.0].restarts += 1;
            self.stop(node);
            return self.come_back(node);
        }
        self.check_batch(node);
        self.let_out(node);
    }

    /// Carries out what a committed batch has given rise to.
    fn let_out(&mut self, node: NodeId) {
        loop {
            let Some(output) = self.nodes[node.0].engine.as_mut().and_then(Engine::poll_output) else { break };
            self.carry_out(node, output);
        }
        self.wake_later(node);
    }

    fn wake_later(&mut self, node: NodeId) {
        if let Some(due) = self.nodes[node.0].engine.as_ref().and_then(Engine::poll_timeout) {
            let at = due.since(Instant::ZERO).max(self.now);
            // It looks again when it comes: a later one is of no use.
            if self.nodes[node.0].wake_at.is_none_or(|scheduled| at < scheduled) {
                self.nodes[node.0].wake_at = Some(at);
                self.schedule(at, Happening::Wake { node: node.0 });
            }
        }
    }

    fn carry_out(&mut self, node: NodeId, output: Output) {
        match output {
            Output::Recognise { link, list } => {
                self.with_session(node, link, What::Recognition, |session| session.recognise(&list));
            }
            Output::Confirm { link, verdict } => {
                self.with_session(node, link, What::Recognition, |session| session.confirm(verdict));
            }
            Output::Transmit { link, record } => {
                let passes = self.on_transmit.as_mut().is_none_or(|passes| passes(node, link, &record));
                if passes {
                    self.check_transmit(node, link, &record);
                    let what = What::of_record(&record);
                    self.with_session(node, link, what, |session| session.seal_record(&record));
                }
            }
            Output::Close(link) => {
                if let Some(wire) = self.nodes[node.0].wires.get(&link).copied() {
                    // What was sent before goes out first.
                    let connection = self.wires[wire.0].connection;
                    let at = self.wires[wire.0].last_arrival.max(self.now);
                    self.schedule(at, Happening::Break { wire, connection });
                }
            }
            Output::Linked { beacon, .. } => {
                self.nodes[node.0].linked.insert(beacon);
            }
            Output::Free { beacon, .. } => {
                self.nodes[node.0].linked.remove(&beacon);
            }
            Output::Wanted { wanted, .. } => self.nodes[node.0].wanted = Some(wanted),
            Output::LookAnew(_) => {
                self.nodes[node.0].crowded.clear();
                self.nodes[node.0].useless.clear();
            }
            Output::Crowded { beacon, .. } => {
                self.nodes[node.0].crowded.insert(beacon);
            }
            Output::Useless { beacon, .. } => {
                self.nodes[node.0].useless.insert(beacon);
            }
            Output::Reply(request, result) => {
                self.nodes[node.0].replies.insert(request, result);
            }
            Output::Event(event) => match &mut self.observer {
                Some(observer) => observer.event(self.now, node, &event),
                None => self.nodes[node.0].events.push(event),
            },
        }
    }

    fn with_session<E>(&mut self, node: NodeId, link: LinkId, what: What, act: impl FnOnce(&mut Session) -> Result<(), E>) {
        let Some(session) = self.nodes[node.0].sessions.get_mut(&link) else { return };
        if act(session).is_err() {
            return self.tear_down_link(node, link);
        }
        self.drain_session(node, link, what);
    }

    fn put_on_wire(&mut self, node: NodeId, link: LinkId, message: Vec<u8>, what: What) {
        let Some(wire_id) = self.nodes[node.0].wires.get(&link).copied() else { return };
        let wire = &mut self.wires[wire_id.0];
        let Some(links) = wire.links else { return };
        self.bytes += (message.len() + FRAME_LEN) as u64;
        if let Some(crossings) = &mut self.crossings {
            crossings.push(Crossing { wire: wire_id, from: node, length: message.len(), at: self.now });
        }
        let to = usize::from(links[0] == link);
        let connection = wire.connection;
        if wire.cut_before == Some(0) {
            return;
        }
        if let Some(left) = &mut wire.cut_before {
            *left -= 1;
            if *left == 0 {
                let at = wire.last_arrival.max(self.now);
                self.schedule(at, Happening::Break { wire: wire_id, connection });
                return;
            }
        }
        if let Some(observer) = &mut self.observer {
            let (from, to_node) = (node, NodeId(wire.ends[to]));
            let tapped = Tapped { wire: wire_id, connection, from, to: to_node, dialled: to == 1, what, message: &message };
            observer.tapped(self.now, &tapped);
            let length = message.len() + FRAME_LEN;
            wire.queue.push_back(Queued { to, what, length, sent: wire.sent_at(self.now, to, message.len()) });
        }
        let wire = &mut self.wires[wire_id.0];
        let mut arrivals = wire.arrivals(self.now, to, message.len(), &mut self.rng);
        let last = arrivals.pop();
        for at in arrivals {
            self.schedule(at, Happening::Arrive { wire: wire_id, connection, to, message: message.clone() });
        }
        if let Some(at) = last {
            self.schedule(at, Happening::Arrive { wire: wire_id, connection, to, message });
        }
    }

    fn bring_up(&mut self, wire_id: WireId) {
        let wire = &self.wires[wire_id.0];
        let ends = wire.ends;
        if !wire.wanted || wire.links.is_some() || ends.iter().any(|end| !self.nodes[*end].on) {
            return;
        }
        ends.into_iter().for_each(|end| self.mask(NodeId(end)));
        let links = [LinkId(self.next_link), LinkId(self.next_link + 1)];
        self.next_link += 2;
        let wire = &mut self.wires[wire_id.0];
        wire.up(links, self.now);
        if let Some(after) = wire.faults.cut_after(&mut self.rng) {
            let connection = wire.connection;
            self.schedule(self.now + after, Happening::Break { wire: wire_id, connection });
        }
        for (end, role) in [(0, Role::Initiator), (1, Role::Responder)] {
            let session = Session::new(role, &mut self.rng);
            let node = &mut self.nodes[ends[end]];
            node.sessions.insert(links[end], session);
            node.wires.insert(links[end], wire_id);
        }
        let connection = self.wires[wire_id.0].connection;
        self.schedule(self.now + HANDSHAKE_WITHIN, Happening::GiveUp { wire: wire_id, connection });
        self.drain_session(NodeId(ends[0]), links[0], What::Handshake);
    }

    fn tear_down_link(&mut self, node: NodeId, link: LinkId) {
        if let Some(wire) = self.nodes[node.0].wires.get(&link).copied() {
            self.tear_down(wire);
        }
    }

    fn tear_down(&mut self, wire_id: WireId) {
        let wire = &mut self.wires[wire_id.0];
        let Some(links) = wire.links.take() else { return };
        wire.cut_before = None;
        let (ends, wanted) = (wire.ends, wire.wanted);
        self.note_torn(wire_id);
        let late = self.late_end(wire_id);
        let ended = ends.into_iter().zip(links).enumerate().map(|(end, (node, link))| (NodeId(node), link, late == Some(end)));
        for (node, link, is_late) in ended.clone() {
            self.nodes[node.0].wires.remove(&link);
            if is_late {
                self.schedule(self.now + HALF_OPEN_FOR, Happening::Learn { node: node.0, link });
            } else {
                self.end_link(node, link);
            }
        }
        if wanted {
            let after = self.rest(wire_id);
            self.schedule(self.now + after, Happening::Redial { wire: wire_id });
        }
        for (node, link, _) in ended.filter(|(_, _, is_late)| !is_late) {
            self.feed(node, vec![Input::LinkDown(link)]);
        }
    }

    /// Forgets a link at one of its ends.
    fn end_link(&mut self, node: NodeId, link: LinkId) -> bool {
        self.check_end(link);
        let state = &mut self.nodes[node.0];
        state.infos.remove(&link);
        state.sessions.remove(&link).is_some()
    }

    /// The end of a wire that does not learn at once that it broke, if any: one of those that are up.
    fn late_end(&mut self, wire: WireId) -> Option<usize> {
        let Wire { ends, faults, .. } = self.wires[wire.0];
        let late = faults.draw_late(&mut self.rng)?;
        ends.iter().all(|node| self.nodes[*node].engine.is_some()).then_some(late)
    }

    /// One end of a link learns that it broke a while ago.
    fn learn(&mut self, node: NodeId, link: LinkId) {
        if self.end_link(node, link) {
            self.feed(node, vec![Input::LinkDown(link)]);
        }
    }

    fn stop(&mut self, node: NodeId) {
        self.nodes[node.0].engine = None;
        self.nodes[node.0].gathered.clear();
        let wires: Vec<WireId> = self.nodes[node.0].wires.values().copied().collect();
        for wire in wires {
            self.tear_down(wire);
        }
        // Those that nobody at this end knew to have ended.
        for link in self.nodes[node.0].sessions.keys().copied().collect::<Vec<_>>() {
            self.end_link(node, link);
        }
    }

    #[expect(clippy::expect_used, reason = "a harness: a store that can't be opened again ends the test")]
    fn start(&mut self, node: NodeId) {
        let now = self.now_of(node);
        let (keys, seed) = (self.rng.next_u64(), self.rng.next_u64());
        let rng = Box::new(ChaCha20Rng::seed_from_u64(keys ^ self.seed));
        let store = (self.nodes[node.0].open)();
        let store = self.break_store(node, store);
        let store = self.watch(node, store).expect("the store can be read");
        let state = &mut self.nodes[node.0];
        let engine = Engine::open(state.config.clone(), store, rng, seed, now).expect("the store opens again");
        state.engine = Some(engine);
        let mut beacon = [0; 8];
        self.rng.fill_bytes(&mut beacon);
        self.nodes[node.0].beacon = BeaconId(beacon);
        self.nodes[node.0].linked.clear();
        self.nodes[node.0].crowded.clear();
        self.nodes[node.0].useless.clear();
        self.feed(node, vec![Input::Beacon(TransportKind::Memory, BeaconId(beacon))]);
    }
}
