//! Decides what to send, to whom and when: sans-IO.
//!
//! ```text
//!            begin        handle_input …        commit              poll_output …
//!  driver ──────────▶ ┌──────────────────────────────────┐ ──────▶ outputs leave
//!                     │ recognise → records → transfer   │
//!                     │ exchange, conversation, command  │ ◀──▶ Store (one transaction a batch)
//!                     └──────────────────────────────────┘
//! ```
//!
//! The caller feeds a batch of [`Input`]s between [`Engine::begin`] and [`Engine::commit`]; every [`Output`] of the batch leaves after
//! its commit. If any call fails, the engine is dropped, its links are closed, and it is opened again from the store: everything it
//! knows can be rebuilt from there. Time and randomness are handed in; the same inputs and seeds give the same outputs.
//!
//! One file a mechanism: `recognise` (who is at the other end), `crowd` (how many links, and to whom), `records` and `transfer` (bundles on a
//! link), `routing` (what is shown and sent to whom), `relay` (how bundles spread), `pools` (what others may fill), `exchange` (becoming contacts),
//! `nearby` (in one room), `riding` (texts on a request), `repair` (after a restored backup), `conversation` (messages and receipts), `large`
//! (what no bundle holds), `command` (what people ask),
//! `pages` (what an interface works with), `takeback` (sent once more, or taken back), `explain` (where a message is and why),
//! `housekeeping`.
//!
//! Whoever is linked is shown what is held for anybody (`routing`), within what others may fill (`pools`).

#[cfg(feature = "sim")]
mod befriend;
mod clock;
mod command;
mod config;
mod conversation;
mod crowd;
mod event;
mod exchange;
mod explain;
mod holdings;
mod housekeeping;
mod large;
mod limits;
mod link;
mod nearby;
mod pages;
mod pair;
mod policy;
mod pools;
#[cfg(feature = "sim")]
mod probe;
mod profile;
mod recognise;
mod records;
mod relay;
mod repair;
mod riding;
mod routing;
mod takeback;
mod transfer;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use hedgerow_transports::{BeaconId, LinkId, TransportKind};
use rand_chacha::ChaCha20Rng;
use rand_core::{CryptoRng, SeedableRng};
use zeroize::Zeroizing;

#[cfg(feature = "sim")]
pub use self::befriend::Room;
#[cfg(feature = "sim")]
pub use self::config::LeftOut;
#[cfg(feature = "sim")]
pub(crate) use self::probe::{Hours, RelayLimits, Table};
use self::{
    clock::MeshTime,
    crowd::Crowd,
    holdings::Holdings,
    large::Large,
    limits::Mail,
    link::LinkState,
    nearby::Nearby,
    pair::{Contact, Exchange, Pair},
    policy::Policy,
    pools::Buckets,
    profile::Profile,
    routing::Stem,
};
pub use self::{
    config::EngineConfig,
    event::{Input, Output, RequestId},
    policy::make_visible,
    profile::create_profile,
    relay::{RelayPolicy, UnknownPolicy},
};
use crate::{
    crypto::{exchange::repair::Day, ratchet::Place},
    id::{BundleId, ContactId, MessageId, Tag},
    store::{MessageRow, Origin, Setting, Store, StoreError},
    time::{Hour, Instant, Now, UnixMillis},
    view::{ContactState, Event},
    wire::record::Record,
};

/// Whose bundle an expected tag announces.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Expected {
    /// A contact's message.
    Message(ContactId, Place),
    /// A chunk of a contact's large message: which message, and its index.
    Chunk(ContactId, large::Slot, u32),
    /// A request for the link of this contact-to-be.
    Request(ContactId),
    /// The reply to our request.
    Reply(ContactId),
    /// A contact's offer of a repair, of this day.
    RepairOffer(ContactId, Day),
    /// The answer to our offer of a repair.
    RepairAnswer(ContactId),
}

impl Expected {
    /// Who uses the tag.
    fn contact(self) -> ContactId {
        match self {
            Self::Message(id, _)
            | Self::Chunk(id, ..)
            | Self::Request(id)
            | Self::Reply(id)
            | Self::RepairOffer(id, _)
            | Self::RepairAnswer(id) => id,
        }
    }

    /// Whether it belongs to an exchange or repair with this contact, and so to a session of those who are not contacts yet or again.
    fn is_exchange_of(self, contact: ContactId) -> bool {
        !matches!(self, Self::Message(..) | Self::Chunk(..)) && self.contact() == contact
    }
}

/// A message that changed in this batch.
struct Changed {
    row: MessageRow,
    /// The store has it as it is here.
    saved: bool,
}

/// What a timer is for. Timers may fire without need: their handlers look again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Timer {
    /// Housekeeping.
    Tick,
    /// A link's silence.
    Link(LinkId),
    /// A link's next MARK.
    Mark(LinkId),
    /// An older link was asked for a sign of life because there is a newer one.
    Rival(LinkId),
    /// A receipt goes out though its reader is not in reach.
    Receipt(ContactId),
    /// An ack secret is due.
    Acks,
    /// An own bundle is released.
    Release,
    /// Offers on a link have waited long enough.
    Offers(LinkId),
    /// Bundles that strangers brought are opened.
    Open,
    /// A receipt may be late, or a repair no longer listed.
    Repair(ContactId),
    /// A stranger's link gives way to another.
    Refresh,
    /// The window for people nearby closes, or something in it has lasted long enough.
    Nearby,
}

/// The engine of one profile.
pub struct Engine {
    config: EngineConfig,
    store: Box<dyn Store>,
    /// For keys.
    rng: Box<dyn CryptoRng + Send>,
    /// For delays and choices.
    jitter: ChaCha20Rng,
    outputs: VecDeque<Output>,
    timers: BTreeSet<(Instant, Timer)>,

    profile: Profile,
    policy: Policy,
    clock: MeshTime,
    beacons: BTreeMap<TransportKind, BeaconId>,
    links: BTreeMap<LinkId, LinkState>,
    crowd: Crowd,
    nearby: Nearby,
    /// Where the contacts that take turns in recognition lists have come to.
    turn: usize,
    holdings: Holdings,
    contacts: BTreeMap<ContactId, Contact>,
    /// Large messages under way.
    large: Large,
    // Looked up, never iterated.
    tags: HashMap<Tag, Expected>,
    /// Failed openings under tags of exchanges, on sessions that their links opened.
    tries: HashMap<Tag, u8>,
    /// Unread mail of contacts, counted since the program started.
    mail: BTreeMap<ContactId, Mail>,
    /// Ack secrets that wait, with their due time.
    acks: BTreeMap<BundleId, (UnixMillis, Zeroizing<[u8; 16]>)>,
    /// When own bundles that are held back are released.
    releases: BTreeSet<(Instant, BundleId)>,
    /// Of those the ones that no stem is offered.
    without_stem: BTreeSet<BundleId>,
    /// Which link is offered own bundles at once.
    stem: Option<Stem>,
    /// What strangers may bring now.
    buckets: Buckets,
    /// How many batches have begun.
    batch: u64,
    /// Bundles to be opened in a later batch than the one they came in, which is noted with them.
    to_open: Vec<(u64, BundleId)>,
    /// The day of whose weeks the tags of repairs are expected; absent without mesh time.
    repair_day: Option<Day>,
    /// Counts rounds of housekeeping, for repairs that are listed by turns.
    repair_turn: u32,

    /// Messages that changed in this batch; told once at its end, and saved then if they aren't yet.
    changed: BTreeMap<(ContactId, bool, MessageId), Changed>,
    /// Contacts to be told of at the end of the batch.
    told: BTreeSet<ContactId>,
    /// Contacts whose exchange changed in this batch.
    exchanges: BTreeSet<ContactId>,
    /// Links and contacts that may have something to send.
    busy_links: BTreeSet<LinkId>,
    busy_contacts: BTreeSet<ContactId>,
    /// Contacts established in this batch, whose links are to be upgraded once the reply is on its way.
    upgrades: BTreeSet<ContactId>,
    /// Contacts of whom somebody else brought a bundle that was opened in this batch: what is sealed for them now may answer it.
    answered: BTreeSet<ContactId>,
}

impl Engine {
    /// Opens the profile in `store`, at `now`. `rng` is a cryptographic source, `seed` only chooses delays.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store fails or holds no profile.
    pub fn open(
        config: EngineConfig,
        mut store: Box<dyn Store>,
        rng: Box<dyn CryptoRng + Send>,
        seed: u64,
        now: Now,
    ) -> Result<Self, StoreError> {
        store.rollback()?;
        let profile = Profile::load(store.as_ref())?;
        let policy = Policy::load(store.as_ref())?;
        let clock = MeshTime::load(now, store.load_setting(Setting::Clock)?.as_ref().map(|bytes| bytes.as_slice()))?;
        let mut holdings = Holdings::load(store.as_ref(), &config, clock.read(now).0, clock.running_hours())?;
        let acks: BTreeMap<_, _> = store.load_acks()?.into_iter().map(|row| (row.bundle, (row.due, row.secret))).collect();
        acks.keys().for_each(|id| holdings.note_opened(id));
        let mut engine = Self {
            clock,
            config,
            rng,
            jitter: ChaCha20Rng::seed_from_u64(seed),
            outputs: VecDeque::new(),
            timers: BTreeSet::from([(now.mono, Timer::Tick), (now.mono, Timer::Acks)]),
            profile,
            policy,
            beacons: BTreeMap::new(),
            links: BTreeMap::new(),
            crowd: Crowd::default(),
            nearby: Nearby::default(),
            turn: 0,
            holdings,
            contacts: BTreeMap::new(),
            large: Large::default(),
            tags: HashMap::new(),
            tries: HashMap::new(),
            mail: BTreeMap::new(),
            acks,
            releases: BTreeSet::new(),
            without_stem: BTreeSet::new(),
            stem: None,
            buckets: Buckets::default(),
            batch: 0,
            to_open: Vec::new(),
            repair_day: None,
            repair_turn: 0,
            changed: BTreeMap::new(),
            told: BTreeSet::new(),
            exchanges: BTreeSet::new(),
            busy_links: BTreeSet::new(),
            busy_contacts: BTreeSet::new(),
            upgrades: BTreeSet::new(),
            answered: BTreeSet::new(),
            store,
        };
        engine.load_contacts(now)?;
        engine.note_restored(now)?;
        engine.hold_back_again(now);
        engine.open_all_expected(now)?;
        Ok(engine)
    }

    fn load_contacts(&mut self, now: Now) -> Result<(), StoreError> {
        for row in self.store.load_contacts()? {
            let id = row.id;
            let pair = match self.store.load_pair(id)? {
                Some(bytes) => Some(Pair::decode(&bytes, self.store.last_order(id)?, self.store.load_outbox(id)?)?),
                None => None,
            };
            if pair.as_ref().is_some_and(|pair| pair.receipt_owed) {
                self.timers.insert((now.mono, Timer::Receipt(id)));
            }
            self.contacts.insert(id, Contact { row, dirty: false, exchange: None, pair, told_acks: None });
            self.busy_contacts.insert(id);
        }
        for row in self.store.load_exchanges()? {
            if let Some(contact) = self.contacts.get_mut(&row.contact) {
                contact.exchange = Some(Exchange::decode(&row.state)?);
            }
        }
        for id in self.contacts.keys().copied().collect::<Vec<_>>() {
            self.load_large(id)?;
            self.expect_tags_of(id);
        }
        Ok(())
    }

    /// Opens the transaction of a batch.
    ///
    /// # Errors
    ///
    /// [`StoreError`]: the engine is to be dropped.
    pub fn begin(&mut self) -> Result<(), StoreError> {
        self.batch += 1;
        self.store.begin()
    }

    /// Feeds one input. Never blocks, reads a clock or performs I/O but through the store.
    ///
    /// # Errors
    ///
    /// [`StoreError`]: the engine is to be dropped. What a peer does wrong is no error here; it closes that peer's link.
    pub fn handle_input(&mut self, now: Now, input: Input) -> Result<(), StoreError> {
        if self.clock.observe(now) {
            self.notice("clock_jump", "the clock jumped: nothing expires by what it says now for a day of running time".into(), None);
        }
        match input {
            Input::Beacon(kind, beacon) => {
                self.beacons.insert(kind, beacon);
            }
            Input::Others(kind, others) => self.crowd.note_others(kind, others),
            Input::NetworkChanged(_) => self.end_visibility(now)?,
            Input::Handshaken { link, properties, info } => self.handle_handshaken(now, link, properties, info),
            Input::PeerList { link, list } => self.handle_peer_list(link, &list),
            Input::Open { link, recognised } => self.handle_open(now, link, recognised)?,
            Input::Record { link, record } => self.handle_record(now, link, &record)?,
            Input::LinkDown(link) => {
                self.note_parted(now, link);
                self.part_nearby(now, link);
                self.handle_link_down(link);
            }
            Input::Command(request, command) => {
                let answer = self.execute(now, command)?;
                self.outputs.push_back(Output::Reply(request, answer));
            }
            Input::Timeout => self.handle_timeout(now)?,
        }
        Ok(())
    }

    /// Seals and schedules what the batch gave rise to, saves what changed and commits.
    ///
    /// # Errors
    ///
    /// [`StoreError`]: the engine is to be dropped, and none of the batch's outputs may leave.
    pub fn commit(&mut self, now: Now) -> Result<(), StoreError> {
        for contact in std::mem::take(&mut self.busy_contacts) {
            self.seal_due(now, contact)?;
        }
        self.answer_waiting_offers(now);
        for link in std::mem::take(&mut self.busy_links) {
            self.pump(now, link)?;
        }
        for contact in std::mem::take(&mut self.upgrades) {
            self.send_upgrades(contact);
        }
        self.answered.clear();
        self.tell_wanted();
        self.save_changed(now)?;
        self.tell_nearby();
        self.holdings.save_released(self.store.as_mut())?;
        if let Some(state) = self.clock.poll_state() {
            self.store.save_setting(Setting::Clock, &state)?;
        }
        self.store.commit()?;
        self.holdings.end_batch();
        Ok(())
    }

    /// Takes the next thing to do, or `None` once there is nothing; only after [`commit`](Self::commit).
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Returns when to come back with [`Input::Timeout`], if ever.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// The pair epoch that recognition lists use for the first contact.
    #[cfg(feature = "sim")]
    pub(crate) fn first_pair_epoch(&self) -> Option<u32> {
        self.contacts.values().find_map(|contact| Some(contact.pair.as_ref()?.ratchet.sending_epoch()))
    }

    /// Gives the store back.
    pub fn into_store(self) -> Box<dyn Store> {
        self.store
    }

    fn handle_timeout(&mut self, now: Now) -> Result<(), StoreError> {
        while let Some(&(at, timer)) = self.timers.first().filter(|(at, _)| *at <= now.mono) {
            self.timers.remove(&(at, timer));
            match timer {
                Timer::Tick => {
                    self.keep_house(now)?;
                    self.timers.insert((now.mono + self.config.tick, Timer::Tick));
                }
                Timer::Link(link) => self.check_link(now, link),
                Timer::Mark(link) => {
                    self.busy_links.insert(link);
                }
                Timer::Rival(link) => self.settle_rival(now, link),
                Timer::Receipt(contact) => {
                    self.busy_contacts.insert(contact);
                }
                Timer::Acks => self.tell_due_acks(now)?,
                Timer::Release => self.release_due(now),
                // The batch ends with it.
                Timer::Offers(_) => {}
                Timer::Open => self.open_waiting(now)?,
                Timer::Repair(contact) => self.check_repair(now, contact),
                Timer::Refresh => self.refresh_view(now),
                Timer::Nearby => self.check_nearby(now),
            }
        }
        Ok(())
    }

    fn save_changed(&mut self, now: Now) -> Result<(), StoreError> {
        self.flush_messages()?;
        for Changed { row, saved: _ } in std::mem::take(&mut self.changed).into_values() {
            self.told.insert(row.contact);
            let message = self.view_message(now, &row)?;
            self.outputs.push_back(Output::Event(Event::Message(message)));
        }
        for id in std::mem::take(&mut self.exchanges) {
            match self.contacts.get(&id).and_then(|contact| contact.exchange.as_ref()) {
                Some(exchange) => {
                    self.store.save_exchange(&crate::store::ExchangeRow { contact: id, state: exchange.encode() })?;
                }
                None => self.store.delete_exchange(id)?,
            }
        }
        for contact in self.contacts.values_mut() {
            if std::mem::take(&mut contact.dirty) {
                self.store.save_contact(&contact.row)?;
            }
            if let Some(pair) = contact.pair.as_mut().filter(|pair| pair.dirty) {
                self.store.save_pair(contact.row.id, &pair.encode())?;
                pair.dirty = false;
            }
        }
        for id in std::mem::take(&mut self.told) {
            if let Some(view) = self.view_contact(id)? {
                self.outputs.push_back(Output::Event(Event::Contact(view)));
            }
        }
        Ok(())
    }

    /// The mesh hour, [`Hour::UNKNOWN`] if there is none.
    fn hour(&self, now: Now) -> Hour {
        self.clock.read(now).0
    }

    fn notice(&mut self, kind: &'static str, text: String, contact: Option<ContactId>) {
        self.outputs.push_back(Output::Event(Event::Notice { kind: kind.into(), text, contact }));
    }

    fn transmit(&mut self, link: LinkId, record: &Record) {
        self.outputs.push_back(Output::Transmit { link, record: record.encode() });
    }

    /// Marks a contact's row as changed, to be saved and told at the end of the batch.
    fn touch(&mut self, id: ContactId) -> Option<&mut Contact> {
        let contact = self.contacts.get_mut(&id)?;
        contact.dirty = true;
        self.told.insert(id);
        Some(contact)
    }

    fn pair(&mut self, id: ContactId) -> Option<&mut Pair> {
        self.contacts.get_mut(&id)?.pair.as_mut()
    }

    /// Enters every tag that a contact may send under.
    fn expect_tags_of(&mut self, id: ContactId) {
        let Some(contact) = self.contacts.get(&id) else { return };
        if matches!(contact.row.state, ContactState::Blocked | ContactState::Failed) {
            return;
        }
        if let Some(pair) = &contact.pair {
            self.tags.extend(pair.ratchet.expected().into_iter().map(|(tag, place)| (tag, Expected::Message(id, place))));
        }
        match &contact.exchange {
            Some(Exchange::Issued { link, .. }) => {
                self.tags.extend(link.request_tags().into_iter().map(|tag| (tag, Expected::Request(id))));
            }
            Some(Exchange::Requested { request, .. }) => {
                self.tags.extend(request.reply_tags().into_iter().map(|tag| (tag, Expected::Reply(id))));
            }
            None => {}
        }
        self.tags.extend(self.repair_tags(contact));
        self.tags.extend(self.large.tags_of(id));
    }

    /// Takes out every tag that a contact may send under.
    fn forget_tags_of(&mut self, id: ContactId) {
        self.tags.retain(|_, expected| expected.contact() != id);
    }

    /// Links that are open and lead to this contact, or to the holder of its pending link.
    fn links_to(&self, contact: ContactId) -> Vec<LinkId> {
        let leads = |link: &LinkState| match link.peer {
            link::Peer::Contact(id) | link::Peer::Invited(id) => id == contact,
            link::Peer::Stranger => false,
        };
        self.links.iter().filter(|(_, link)| link.is_open() && leads(link)).map(|(id, _)| *id).collect()
    }

    /// Whether a link to this contact is open.
    fn is_in_reach(&self, contact: ContactId) -> bool {
        self.links.values().any(|link| link.is_open() && link.peer == link::Peer::Contact(contact))
    }

    /// Stores a bundle sealed here and schedules it.
    fn add_own_bundle(&mut self, now: Now, contact: ContactId, bundle: &crate::wire::bundle::Bundle) -> Result<(), StoreError> {
        let hour = self.hour(now);
        self.holdings.insert(self.store.as_mut(), bundle, Origin::Own(contact), 0, hour)?;
        if let Some(copies) = self.copies_at_start(&bundle.id()) {
            self.holdings.set_copies(self.store.as_mut(), &bundle.id(), copies)?;
        }
        self.route_new(now, &bundle.id(), None);
        Ok(())
    }
}
