//! The thread that owns the engine.
//!
//! ```text
//!   links, transports, clients ──Message──▶ [ begin · handle … · commit ] ──outputs──▶ links, transports, clients
//! ```
//!
//! Everything that has queued up is one batch and one commit, so that the cost of a commit is shared when there is much to do and nothing
//! waits when there is little. Nothing leaves before its commit. If storage fails, the engine is dropped, its links closed, everybody who
//! waits is told, and the profile is opened again from what was committed.

use std::{
    collections::{BTreeMap, VecDeque},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use hedgerow_sync::{
    crypto::secret::Secret,
    engine::{Engine, Input, Output, RequestId},
    store::StoreError,
    time::Instant,
    view::{Answer, Command, Event, Leak, LinkStatus, NodeState, NodeStatus, Status, Trouble},
};
use hedgerow_transports::{
    BeaconId, LinkId, TransportCommand, TransportKind,
    lan::{LanConfig, LanError},
};
use serde::Serialize;
use tokio::{
    runtime::Handle,
    sync::{broadcast, mpsc},
};
use zeroize::Zeroizing;

use super::{
    clock::Clock,
    lan::LanHandle,
    link::{LinkHandle, Order},
    reply::ReplyTo,
};
use crate::{
    backup,
    failure::{Failure, FailureKind},
    json,
    profile::Profile,
};

/// Messages that may wait for the driver (policy); beyond it links and clients are held back.
pub(super) const MAX_MESSAGES: usize = 512;
/// Most inputs of one commit (policy).
const MAX_BATCH: usize = 512;
/// Most bytes of records of one commit (policy).
const MAX_BATCH_BYTES: usize = 4 << 20;
/// Pause before the profile is opened again after storage has failed, doubled each time (policy).
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// The longest such pause (policy).
const LAST_RETRY: Duration = Duration::from_secs(60);

/// What the driver is told.
pub(super) enum Message {
    /// A client's command.
    Request(Command, ReplyTo),
    /// A client's wish to the daemon itself.
    Control(Control, ReplyTo),
    /// A link came up.
    LinkUp(LinkId, LinkHandle),
    /// A link's session has something for the engine.
    FromLink(Input),
    /// A link has ended.
    LinkDown(LinkId),
    /// A transport uses another beacon.
    Beacon(TransportKind, BeaconId),
    /// A transport has neighbours in sight without a link, or has none.
    Others(TransportKind, bool),
    /// A transport's device is on another network, or on one more.
    NetworkChanged(TransportKind),
    /// A transport has a lasting condition, or it is over.
    Trouble(TransportKind, Option<String>),
    /// The daemon ends.
    Stop,
}

/// What a client can ask of the daemon itself.
pub(super) enum Control {
    /// Answer once the profile is open, or locked.
    Ready,
    /// Close the profile and forget its key.
    Lock,
    /// Open the profile.
    Unlock(Zeroizing<String>),
    /// Say whether this is the profile's passphrase.
    CheckPassphrase(Zeroizing<String>),
    /// Copy the profile to a file that does not exist.
    Backup(PathBuf),
    /// End.
    Stop,
}

/// What the driver needs to begin.
pub(super) struct Setup {
    /// The runtime of links and transports.
    pub(super) runtime: Handle,
    /// The clock.
    pub(super) clock: Clock,
    /// The profile.
    pub(super) profile: Profile,
    /// Its passphrase.
    pub(super) passphrase: Zeroizing<String>,
    /// What the local network is to do; absent for none.
    pub(super) lan: Option<LanConfig>,
    /// Where links and transports send to.
    pub(super) sender: mpsc::Sender<Message>,
    /// The other end of it.
    pub(super) messages: mpsc::Receiver<Message>,
    /// Where subscribers listen.
    pub(super) events: broadcast::Sender<Arc<str>>,
    /// Held by every link, so that the daemon can wait for their end.
    pub(super) alive: mpsc::Sender<()>,
}

/// Why the daemon could not begin.
#[derive(Debug, thiserror::Error)]
pub(super) enum StartError {
    /// The profile can't be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The local network can't be used as told.
    #[error(transparent)]
    Lan(#[from] LanError),
}

/// How far the daemon's profile is open.
enum State {
    Open(Box<Engine>),
    Locked,
    /// Storage failed.
    Failed {
        retry_at: Instant,
        pause: Duration,
    },
}

#[derive(Serialize)]
struct Notification<'a> {
    jsonrpc: &'static str,
    method: &'static str,
    params: &'a Event,
}

/// The thread's state.
pub(super) struct Driver {
    runtime: Handle,
    clock: Clock,
    profile: Profile,
    lan_config: Option<LanConfig>,
    sender: mpsc::Sender<Message>,
    messages: mpsc::Receiver<Message>,
    events: broadcast::Sender<Arc<str>>,
    alive: mpsc::Sender<()>,
    state: State,
    /// Kept while the profile is not locked, to open it again after a failure.
    key: Option<Secret<32>>,
    lan: Option<LanHandle>,
    links: BTreeMap<LinkId, LinkHandle>,
    requests: BTreeMap<RequestId, ReplyTo>,
    last_request: u64,
    trouble: BTreeMap<&'static str, String>,
    /// What the driver itself has to tell the engine.
    own_inputs: VecDeque<Input>,
}

impl Driver {
    /// Opens the profile and starts its transports. Takes a good fraction of a second.
    ///
    /// # Errors
    ///
    /// [`StartError`] if either fails.
    pub(super) fn start(setup: Setup) -> Result<Self, StartError> {
        let Setup { runtime, clock, profile, passphrase, lan, sender, messages, events, alive } = setup;
        let key = profile.unlock(&passphrase)?;
        let engine = profile.open(&key, &clock)?;
        let mut driver = Self {
            runtime,
            clock,
            profile,
            lan_config: lan,
            sender,
            messages,
            events,
            alive,
            state: State::Open(Box::new(engine)),
            key: Some(key),
            lan: None,
            links: BTreeMap::new(),
            requests: BTreeMap::new(),
            last_request: 0,
            trouble: BTreeMap::new(),
            own_inputs: VecDeque::new(),
        };
        driver.start_transports()?;
        Ok(driver)
    }

    /// The addresses listened on.
    pub(super) fn listening(&self) -> Vec<String> {
        self.lan.as_ref().map(LanHandle::listening).unwrap_or_default()
    }

    /// Works until told to stop.
    pub(super) fn run(mut self) {
        loop {
            match self.wait() {
                Wake::Message(Message::Stop) | Wake::Gone => break,
                Wake::Message(message) => {
                    if self.turn(Some(message)).is_break() {
                        break;
                    }
                }
                Wake::Time => {
                    if self.turn(None).is_break() {
                        break;
                    }
                }
            }
        }
        self.close();
    }

    fn wait(&mut self) -> Wake {
        let due = match &self.state {
            _ if !self.own_inputs.is_empty() => Some(Instant::ZERO),
            State::Open(engine) => engine.poll_timeout(),
            State::Locked => None,
            State::Failed { retry_at, .. } => Some(*retry_at),
        };
        let received = match due {
            None => self.messages.blocking_recv(),
            Some(due) => {
                let pause = due.since(self.clock.mono());
                let messages = &mut self.messages;
                match self.runtime.block_on(async { tokio::time::timeout(pause, messages.recv()).await }) {
                    Ok(received) => received,
                    Err(_) => return Wake::Time,
                }
            }
        };
        received.map_or(Wake::Gone, Wake::Message)
    }

    /// Handles everything that has queued up as one batch, then a wish to the daemon itself if one ended the batch.
    fn turn(&mut self, first: Option<Message>) -> std::ops::ControlFlow<()> {
        let mut batch: Vec<Input> = self.own_inputs.drain(..).collect();
        let mut bytes = 0;
        let mut next = first.or_else(|| self.messages.try_recv().ok());
        let mut control = None;
        while let Some(message) = next.take() {
            match message {
                Message::Stop => return std::ops::ControlFlow::Break(()),
                Message::Control(wish, reply) => {
                    control = Some((wish, reply));
                    break;
                }
                Message::Request(command, reply) => batch.extend(self.take_request(command, reply)),
                message => batch.extend(self.take(message)),
            }
            if let Some(Input::Record { record, .. }) = batch.last() {
                bytes += record.len();
            }
            if batch.len() < MAX_BATCH && bytes < MAX_BATCH_BYTES {
                next = self.messages.try_recv().ok();
            }
        }
        self.handle_batch(batch);
        self.retry_if_due();
        match control {
            Some((Control::Stop, reply)) => {
                reply.succeed(serde_json::json!({}));
                return std::ops::ControlFlow::Break(());
            }
            Some((wish, reply)) => self.control(wish, reply),
            None => {}
        }
        std::ops::ControlFlow::Continue(())
    }

    fn take_request(&mut self, command: Command, reply: ReplyTo) -> Option<Input> {
        match &self.state {
            State::Open(_) => {
                self.last_request += 1;
                let request = RequestId(self.last_request);
                self.requests.insert(request, reply);
                Some(Input::Command(request, command))
            }
            State::Locked | State::Failed { .. } if command == (Command::Status {}) => {
                reply.succeed(self.status(None));
                None
            }
            State::Locked => {
                reply.fail(&Failure::locked());
                None
            }
            State::Failed { .. } => {
                let text = self.trouble.get("store").map_or("the profile can't be used now", String::as_str);
                reply.fail(&Failure::new(FailureKind::Store, text));
                None
            }
        }
    }

    /// Turns a message into an input, unless it is about a link that is no longer ours.
    fn take(&mut self, message: Message) -> Option<Input> {
        let open = matches!(self.state, State::Open(_));
        match message {
            Message::LinkUp(id, handle) => {
                // Otherwise the handle is dropped here, and the link with it.
                if open {
                    self.links.insert(id, handle);
                }
                None
            }
            Message::FromLink(input) => input_link(&input).is_some_and(|link| self.links.contains_key(&link)).then_some(input),
            Message::LinkDown(id) => {
                self.links.remove(&id)?;
                Some(Input::LinkDown(id))
            }
            Message::Beacon(kind, beacon) => open.then_some(Input::Beacon(kind, beacon)),
            Message::Others(kind, others) => open.then_some(Input::Others(kind, others)),
            Message::NetworkChanged(kind) => open.then_some(Input::NetworkChanged(kind)),
            Message::Trouble(kind, trouble) => {
                match trouble {
                    Some(text) => {
                        tracing::warn!(transport = kind.name(), "a transport has trouble; see status");
                        self.trouble.insert(kind.name(), text)
                    }
                    None => self.trouble.remove(kind.name()),
                };
                None
            }
            Message::Request(..) | Message::Control(..) | Message::Stop => None,
        }
    }

    fn handle_batch(&mut self, batch: Vec<Input>) {
        let State::Open(engine) = &mut self.state else { return };
        let now = self.clock.now();
        let due = engine.poll_timeout().is_some_and(|due| due <= now.mono);
        if batch.is_empty() && !due {
            return;
        }
        let handled = engine.begin().and_then(|()| {
            for input in batch {
                engine.handle_input(now, input)?;
            }
            if due {
                engine.handle_input(now, Input::Timeout)?;
            }
            engine.commit(now)
        });
        match handled {
            Ok(()) => self.drain(),
            Err(error) => self.fail(&error),
        }
    }

    /// Carries out what the engine wants done.
    fn drain(&mut self) {
        loop {
            let State::Open(engine) = &mut self.state else { return };
            let Some(output) = engine.poll_output() else { return };
            match output {
                Output::Recognise { link, list } => self.order(link, Order::Recognise(list)),
                Output::Confirm { link, verdict } => self.order(link, Order::Confirm(verdict)),
                Output::Transmit { link, record } => self.order(link, Order::Transmit(record)),
                Output::Close(link) => self.order(link, Order::Close),
                Output::Linked { kind, beacon } => self.tell_transport(kind, TransportCommand::Linked(beacon)),
                Output::Free { kind, beacon } => self.tell_transport(kind, TransportCommand::Free(beacon)),
                Output::Wanted { kind, wanted } => self.tell_transport(kind, TransportCommand::Wanted(wanted)),
                Output::LookAnew(kind) => self.tell_transport(kind, TransportCommand::LookAnew),
                Output::Crowded { kind, beacon } => self.tell_transport(kind, TransportCommand::Crowded(beacon)),
                Output::Useless { kind, beacon } => self.tell_transport(kind, TransportCommand::Useless(beacon)),
                Output::Reply(request, result) => self.reply(request, result),
                Output::Event(event) => self.publish(&event),
            }
        }
    }

    fn order(&mut self, link: LinkId, order: Order) {
        let Some(handle) = self.links.get(&link) else { return };
        if !handle.order(order) {
            self.links.remove(&link);
            self.own_inputs.push_back(Input::LinkDown(link));
        }
    }

    fn tell_transport(&self, kind: TransportKind, command: TransportCommand) {
        if let (TransportKind::Lan, Some(lan)) = (kind, &self.lan) {
            lan.command(command);
        }
    }

    fn reply(&mut self, request: RequestId, result: Result<Answer, hedgerow_sync::view::CommandError>) {
        let Some(reply) = self.requests.remove(&request) else { return };
        match result {
            Ok(Answer::Status(status)) => reply.succeed(self.status(Some(status))),
            Ok(answer) => reply.succeed(answer),
            Err(error) => reply.fail(&error.into()),
        }
    }

    fn status(&self, node: Option<Status>) -> NodeStatus {
        let link_status = |(id, link): (&LinkId, &LinkHandle)| LinkStatus {
            link: id.0,
            transport: link.properties.kind.name().into(),
            address: link.address.clone(),
        };
        NodeStatus {
            state: match self.state {
                State::Open(_) => NodeState::Running,
                State::Locked => NodeState::Locked,
                State::Failed { .. } => NodeState::Failed,
            },
            listen: self.listening(),
            trouble: self
                .trouble
                .iter()
                .map(|(source, text)| Trouble { source: (*source).into(), text: text.clone() })
                .chain(self.short_delays())
                .collect(),
            links: self.links.iter().map(link_status).collect(),
            leaks: self.leaks(),
            node,
        }
    }

    /// What must not stay unseen if it ever happens outside of tests.
    fn short_delays(&self) -> Option<Trouble> {
        let divisor = self.profile.delay_divisor();
        let text = format!("delays are divided by {divisor}: for tests only, they no longer hide who writes and who reads");
        (divisor > 1).then_some(Trouble { source: "delays".into(), text })
    }

    /// What the transports in use show below us.
    fn leaks(&self) -> Vec<Leak> {
        let lan = self.lan.as_ref().and(self.lan_config.as_ref());
        let texts = lan.map(super::lan::leaks).unwrap_or_default();
        texts.into_iter().map(|text| Leak { transport: TransportKind::Lan.name().into(), text: text.into() }).collect()
    }

    fn publish(&self, event: &Event) {
        if self.events.receiver_count() == 0 {
            return;
        }
        if let Some(line) = json::line(&Notification { jsonrpc: "2.0", method: "event", params: event }) {
            // It only fails when the last subscriber has just left.
            let _ = self.events.send(line.into());
        }
    }

    fn notice(&self, kind: &'static str, text: &str) {
        self.publish(&Event::Notice { kind: kind.into(), text: text.to_owned(), contact: None });
    }

    /// Storage failed: what was not committed has not happened. Tells everybody and tries again later.
    fn fail(&mut self, error: &StoreError) {
        let pause = match self.state {
            State::Failed { pause, .. } => (pause * 2).min(LAST_RETRY),
            _ => FIRST_RETRY,
        };
        tracing::error!("the profile failed, to be opened again in {} s: {error}", pause.as_secs());
        self.state = State::Failed { retry_at: self.clock.mono() + pause, pause };
        self.drop_links();
        self.lan = None;
        let failure = Failure::from(error);
        for (_, reply) in std::mem::take(&mut self.requests) {
            reply.fail(&failure);
        }
        if self.trouble.insert("store", error.to_string()).is_none() {
            let kind = if matches!(error, StoreError::Full) { "disk_full" } else { "store_failed" };
            self.notice(kind, &error.to_string());
        }
    }

    fn retry_if_due(&mut self) {
        if let State::Failed { retry_at, .. } = self.state
            && retry_at <= self.clock.mono()
        {
            self.reopen();
        }
    }

    /// Opens the profile with the key that is at hand.
    fn reopen(&mut self) {
        let Some(key) = &self.key else { return };
        match self.profile.open(key, &self.clock) {
            Ok(engine) => {
                self.state = State::Open(Box::new(engine));
                if self.trouble.remove("store").is_some() {
                    tracing::info!("the profile is open again");
                    self.notice("store_recovered", "the profile is open again");
                }
                if let Err(error) = self.start_transports() {
                    tracing::error!("a transport did not start; see status");
                    self.trouble.insert(TransportKind::Lan.name(), error.to_string());
                }
            }
            Err(error) => self.fail(&error),
        }
    }

    fn start_transports(&mut self) -> Result<(), LanError> {
        self.trouble.remove(TransportKind::Lan.name());
        if let Some(config) = &self.lan_config {
            // Where the device is now, it may not have been when its owner decided who sees its name. Told before any link comes up.
            self.own_inputs.push_back(Input::NetworkChanged(TransportKind::Lan));
            self.lan = Some(LanHandle::start(&self.runtime, config.clone(), self.sender.clone(), self.alive.clone())?);
        }
        Ok(())
    }

    fn control(&mut self, wish: Control, reply: ReplyTo) {
        match wish {
            Control::Ready => reply.succeed(self.status(None)),
            Control::Lock => {
                self.close();
                reply.succeed(self.status(None));
            }
            Control::Unlock(passphrase) => self.unlock(&passphrase, reply),
            Control::CheckPassphrase(passphrase) => match self.profile.unlock(&passphrase) {
                Ok(_) => reply.succeed(serde_json::json!({})),
                Err(error) => reply.fail(&Failure::from(&error)),
            },
            // The batch that it ends has taken it.
            Control::Stop => reply.succeed(serde_json::json!({})),
            Control::Backup(path) => self.backup(path, reply),
        }
    }

    fn unlock(&mut self, passphrase: &str, reply: ReplyTo) {
        match self.profile.unlock(passphrase) {
            Err(error) => reply.fail(&Failure::from(&error)),
            Ok(key) => {
                if matches!(self.state, State::Locked) {
                    self.key = Some(key);
                    self.reopen();
                }
                match self.trouble.get("store") {
                    Some(text) => reply.fail(&Failure::new(FailureKind::Store, text.clone())),
                    None => reply.succeed(self.status(None)),
                }
            }
        }
    }

    /// Copies the profile while it is closed for a moment: only then are its files whole and still.
    fn backup(&mut self, path: PathBuf, reply: ReplyTo) {
        let was_open = matches!(self.state, State::Open(_));
        if was_open {
            self.close_profile();
        }
        let written = backup::write(self.profile.home(), &path);
        if was_open {
            self.reopen();
        }
        match written {
            Ok(bytes) => reply.succeed(serde_json::json!({ "file": path, "bytes": bytes })),
            Err(error) => reply.fail(&Failure::new(FailureKind::File, error.to_string())),
        }
    }

    /// Closes profile and links in order, keeping the key.
    fn close_profile(&mut self) {
        for link in self.links.values() {
            link.order(Order::Close);
        }
        self.links.clear();
        self.own_inputs.clear();
        self.lan = None;
        for (_, reply) in std::mem::take(&mut self.requests) {
            reply.fail(&Failure::locked());
        }
        self.state = State::Locked;
    }

    /// Closes everything and forgets the key.
    fn close(&mut self) {
        self.close_profile();
        self.key = None;
        self.trouble.clear();
    }

    fn drop_links(&mut self) {
        self.links.clear();
        self.own_inputs.clear();
    }
}

/// Why the driver woke up.
enum Wake {
    Message(Message),
    Time,
    Gone,
}

/// The link that an input is about.
const fn input_link(input: &Input) -> Option<LinkId> {
    match input {
        Input::Handshaken { link, .. }
        | Input::PeerList { link, .. }
        | Input::Open { link, .. }
        | Input::Record { link, .. }
        | Input::LinkDown(link) => Some(*link),
        Input::Beacon(..) | Input::Others(..) | Input::NetworkChanged(_) | Input::Command(..) | Input::Timeout => None,
    }
}
