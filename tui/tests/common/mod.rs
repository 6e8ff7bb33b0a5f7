//! A person at a terminal in memory, with a daemon that is made up of view types: what the screens are tested with.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::panic, reason = "a part for each test binary; it fails by panic")]

use std::{collections::BTreeMap, env, fs, path::PathBuf, time::Duration};

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use hedgerow_sync::{
    id::{ContactId, MessageId},
    time::{Instant, Now, UnixMillis},
    view::{
        Alerts, Answer, Clock, ClockSource, Command, Contact, ContactState, Draft, Event, Message, MessageState, Mode, Nearby, NodeState,
        NodeStatus, Relay, RelaySettings, Sent, Settings, Shown, Status,
    },
};
use hedgerow_tui::{App, Civil, Effect, Input, Options, Refusal, Reply, Request, Start, render, theme::Theme};
use ratatui::{Terminal, backend::TestBackend};

/// 2026-11-22 10:00 UTC.
pub const START: u64 = 1_795_341_600_000;

/// A person at a terminal.
pub struct Desk {
    pub app: App,
    pub now: Now,
    pub terminal: Terminal<TestBackend>,
    pub daemon: Daemon,
    /// What was to be done outside and is not a request.
    pub effects: Vec<Effect>,
    /// Whether the daemon answers.
    pub is_up: bool,
}

impl Desk {
    /// Sits down at a terminal of this size.
    pub fn new(start: Start, width: u16, height: u16, daemon: Daemon) -> Self {
        let now = Now { mono: Instant::from_origin(Duration::from_secs(1)), wall: UnixMillis(START) };
        let options = options();
        let app = App::new(options, start, (width, height), now);
        let terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        Self { app, now, terminal, daemon, effects: Vec::new(), is_up: true }
    }

    /// Sits down where a daemon runs.
    pub fn attached(width: u16, height: u16, daemon: Daemon) -> Self {
        let mut desk = Self::new(Start::Daemon, width, height, daemon);
        desk.input(Input::Attached);
        desk
    }

    /// Gives one input, and lets the daemon answer until nothing more is asked.
    pub fn input(&mut self, input: Input) {
        let mut inputs = std::collections::VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            for effect in self.app.update(self.now, input) {
                match effect {
                    Effect::Ask(id, request) if self.is_up => inputs.push_back(Input::Reply(id, self.daemon.reply(&request))),
                    Effect::Ask(..) => {}
                    other => self.effects.push(other),
                }
            }
        }
        self.terminal.draw(|frame| render(&self.app, frame)).unwrap();
    }

    /// Presses a key.
    pub fn key(&mut self, code: KeyCode) {
        self.input(Input::Key(KeyEvent::new(code, KeyModifiers::NONE)));
    }

    /// Presses a letter with Ctrl.
    pub fn ctrl(&mut self, letter: char) {
        self.input(Input::Key(KeyEvent::new(KeyCode::Char(letter), KeyModifiers::CONTROL)));
    }

    /// Types a text.
    pub fn type_text(&mut self, text: &str) {
        text.chars().for_each(|letter| self.key(KeyCode::Char(letter)));
    }

    /// Lets time pass.
    pub fn pass(&mut self, span: Duration) {
        let end = self.now.mono + span;
        while let Some(due) = self.app.poll_timeout().filter(|due| *due <= end) {
            let step = due.since(self.now.mono).max(Duration::from_millis(1));
            self.now = Now { mono: self.now.mono + step, wall: UnixMillis(self.now.wall.0 + step.as_millis() as u64) };
            self.input(Input::Tick);
        }
        let rest = end.since(self.now.mono);
        self.now = Now { mono: end, wall: UnixMillis(self.now.wall.0 + rest.as_millis() as u64) };
    }

    /// Makes the terminal another size.
    pub fn resize(&mut self, width: u16, height: u16) {
        self.terminal.backend_mut().resize(width, height);
        self.terminal.resize(ratatui::layout::Rect::new(0, 0, width, height)).unwrap();
        self.input(Input::Resize(width, height));
    }

    /// What the screen shows, line by line, without spaces at the ends.
    pub fn screen(&self) -> String {
        let buffer = self.terminal.backend().buffer();
        let mut out = String::new();
        for y in 0..buffer.area.height {
            let mut line = String::new();
            let mut skip = 0;
            for x in 0..buffer.area.width {
                if skip > 0 {
                    skip -= 1;
                    continue;
                }
                let symbol = buffer[(x, y)].symbol();
                skip = hedgerow_tui::clean::width(symbol).saturating_sub(1);
                line.push_str(symbol);
            }
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out
    }

    /// Whether the screen shows this.
    pub fn shows(&self, text: &str) -> bool {
        self.screen().contains(text)
    }

    /// Compares the screen with the stored one; `UPDATE_SNAPSHOTS=1` stores it.
    pub fn assert_snapshot(&self, name: &str) {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots").join(format!("{name}.txt"));
        let screen = self.screen();
        if env::var_os("UPDATE_SNAPSHOTS").is_some() {
            fs::write(&path, &screen).unwrap();
            return;
        }
        let stored = fs::read_to_string(&path).unwrap_or_default();
        assert!(stored == screen, "{name} differs (UPDATE_SNAPSHOTS=1 stores it).\n--- stored\n{stored}\n--- now\n{screen}");
    }
}

/// What the interface is told at its start.
pub fn options() -> Options {
    Options { theme: Theme::plain(), words: false, civil, banner: None, home: None, seed: [7; 32] }
}

/// The person's clock shows UTC.
pub fn civil(at: UnixMillis) -> Civil {
    let minutes = at.0 / 60_000;
    let (days, minute_of_day) = ((minutes / 1_440) as i64, minutes % 1_440);
    // Days to year, month and day (proleptic Gregorian), by the shifted era.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    Civil { year: year as i16, month: month as u8, day: day as u8, hour: (minute_of_day / 60) as u8, minute: (minute_of_day % 60) as u8 }
}

/// A reply that is not made from the rest: to what, and which.
pub type Scripted = (fn(&Request) -> bool, Result<Reply, Refusal>);

/// A daemon made up of what it answers.
pub struct Daemon {
    pub status: NodeStatus,
    pub settings: Settings,
    pub contacts: BTreeMap<ContactId, Contact>,
    pub messages: BTreeMap<ContactId, Vec<Message>>,
    pub drafts: BTreeMap<ContactId, String>,
    pub nearby: Nearby,
    /// Answers that are not made from the rest, by what is asked; the first that fits is taken out.
    pub scripted: Vec<Scripted>,
    /// All that was asked.
    pub asked: Vec<Request>,
}

impl Default for Daemon {
    fn default() -> Self {
        let shown = Shown { mode: Mode::Mesh, visible: false, visible_until: None };
        let relay = RelaySettings::default();
        let node = Status {
            name: "ada".into(),
            fingerprint: "2xyz 4abc 5def 6ghi 7jkl 2mno 3pqr 4stu".into(),
            neighbours: Vec::new(),
            transports: Vec::new(),
            contacts: 0,
            pending: 0,
            undelivered: 0,
            bundles: 0,
            bundle_bytes: 0,
            shown,
            relay: Relay {
                settings: relay,
                carried_bundles: 0,
                carried_bytes: 0,
                from_contacts_bytes: 0,
                from_strangers_inbound_bytes: 0,
                from_strangers_outbound_bytes: 0,
            },
            clock: Clock {
                hour: Some((START / 3_600_000) as u32),
                source: ClockSource::System,
                trust: "this machine's clock, which contacts do not contradict".into(),
                settles_in_hours: None,
                jump: None,
            },
        };
        let status = NodeStatus {
            state: NodeState::Running,
            listen: vec!["192.0.2.7:40000".into()],
            trouble: Vec::new(),
            links: Vec::new(),
            leaks: Vec::new(),
            node: Some(node),
        };
        Self {
            status,
            settings: Settings { shown, relay, alerts: Alerts::default() },
            contacts: BTreeMap::new(),
            messages: BTreeMap::new(),
            drafts: BTreeMap::new(),
            nearby: Nearby::default(),
            scripted: Vec::new(),
            asked: Vec::new(),
        }
    }
}

impl Daemon {
    /// Adds an established contact.
    pub fn contact(&mut self, number: u32, name: &str) -> &mut Contact {
        let contact = Contact {
            contact: ContactId(number),
            name: Some(name.into()),
            own_name: Some(name.into()),
            state: ContactState::Established,
            verified: false,
            fingerprint: Some("aaaa bbbb cccc dddd eeee ffff 2222 3333".into()),
            unread: 0,
            receipts: true,
            muted: false,
            draft: false,
            last_message: None,
            in_reach: false,
            last_seen: None,
            last_transport: None,
            link_expires: None,
            tries: None,
            why: None,
        };
        self.contacts.entry(ContactId(number)).or_insert(contact)
    }

    /// Adds a message to a conversation, `minutes` after the start.
    pub fn message(&mut self, contact: u32, outgoing: bool, text: &str, state: MessageState, minutes: i64) -> Message {
        let name = self.contacts[&ContactId(contact)].name.clone().unwrap_or_default();
        let list = self.messages.entry(ContactId(contact)).or_default();
        let at = UnixMillis(START.saturating_add_signed(minutes * 60_000));
        let mut id = [0; 16];
        id[..4].copy_from_slice(&contact.to_be_bytes());
        id[4..12].copy_from_slice(&(list.len() as u64).to_be_bytes());
        let message = Message {
            id: MessageId(id),
            contact: ContactId(contact),
            order: list.len() as u64 + 1,
            from: if outgoing { "me".into() } else { name },
            outgoing,
            text: text.into(),
            sent: at,
            stored: at,
            state,
            data: None,
            handed_contacts: 0,
            handed_strangers: 0,
            expires: None,
            why: None,
        };
        list.push(message.clone());
        let unread = list.iter().filter(|message| !message.outgoing && message.state == MessageState::Delivered).count();
        let contact = self.contacts.get_mut(&ContactId(contact)).unwrap();
        contact.unread = unread as u64;
        contact.last_message = Some(at);
        message
    }

    /// Replies as the daemon would.
    pub fn reply(&mut self, request: &Request) -> Result<Reply, Refusal> {
        self.asked.push(request.clone());
        if let Some(index) = self.scripted.iter().position(|(fits, _)| fits(request)) {
            return self.scripted.remove(index).1;
        }
        match request {
            Request::Status => Ok(Reply::Status(Box::new(self.status.clone()))),
            Request::Control(_) => Ok(Reply::Done),
            Request::Command(command) => self.answer(command).map(Reply::Answer),
        }
    }

    fn find(&self, contact: &str) -> Result<ContactId, Refusal> {
        let found = contact.parse().ok().map(ContactId).filter(|id| self.contacts.contains_key(id));
        found.ok_or_else(|| Refusal { kind: "unknown_contact".into(), message: format!("no contact is called {contact:?}") })
    }

    /// Answers as the daemon would, on what is held here.
    fn answer(&mut self, command: &Command) -> Result<Answer, Refusal> {
        Ok(match command {
            Command::Contacts {} => Answer::Contacts(self.contacts.values().cloned().collect()),
            Command::Settings {} => Answer::Settings(self.settings),
            Command::Nearby {} => Answer::Nearby(self.nearby.clone()),
            Command::Contact { contact } => Answer::Contact(self.contacts[&self.find(contact)?].clone()),
            Command::Messages { contact, before, limit, .. } => {
                let id = self.find(contact)?;
                let list = self.messages.get(&id).cloned().unwrap_or_default();
                let end = before.and_then(|before| list.iter().position(|message| message.id == before)).unwrap_or(list.len());
                let start = limit.map_or(0, |limit| end.saturating_sub(limit as usize));
                Answer::Messages(list[start..end].to_vec())
            }
            Command::MarkRead { contact, id } => {
                let contact = self.find(contact)?;
                let list = self.messages.entry(contact).or_default();
                let end = list.iter().position(|message| message.id == *id).map_or(0, |index| index + 1);
                for message in list[..end].iter_mut().filter(|message| !message.outgoing) {
                    message.state = MessageState::Read;
                }
                let contact = self.contacts.get_mut(&contact).unwrap();
                contact.unread = 0;
                Answer::Contact(contact.clone())
            }
            Command::Send { contact, text, id, .. } => {
                let contact = self.find(contact)?;
                let known = self.messages.get(&contact).and_then(|list| list.iter().find(|message| Some(message.id) == *id));
                if let Some(known) = known {
                    return Ok(Answer::Sent(Sent { id: known.id, state: known.state }));
                }
                let mut message = self.message(contact.0, true, text, MessageState::Queued, 0);
                if let (Some(id), Some(last)) = (id, self.messages.get_mut(&contact).and_then(|list| list.last_mut())) {
                    (last.id, message.id) = (*id, *id);
                }
                Answer::Sent(Sent { id: message.id, state: MessageState::Queued })
            }
            Command::Draft { contact } => {
                let contact = self.find(contact)?;
                Answer::Draft(Draft { contact, text: self.drafts.get(&contact).cloned().unwrap_or_default() })
            }
            Command::SetDraft { contact, text } => {
                let contact = self.find(contact)?;
                self.drafts.insert(contact, text.clone());
                Answer::Draft(Draft { contact, text: text.clone() })
            }
            Command::SetAlerts { bell, notify, content } => {
                let alerts = &mut self.settings.alerts;
                alerts.bell = bell.unwrap_or(alerts.bell);
                alerts.notify = notify.unwrap_or(alerts.notify);
                alerts.content = content.unwrap_or(alerts.content);
                Answer::Settings(self.settings)
            }
            Command::SetMode { mode } => {
                self.settings.shown.mode = *mode;
                Answer::Settings(self.settings)
            }
            Command::SetRelay { on, bytes, metered } => {
                let relay = &mut self.settings.relay;
                relay.on = on.unwrap_or(relay.on);
                relay.bytes = bytes.unwrap_or(relay.bytes);
                relay.metered = metered.unwrap_or(relay.metered);
                Answer::Settings(self.settings)
            }
            Command::SetVisible { visible } => {
                self.settings.shown.visible = *visible;
                Answer::Settings(self.settings)
            }
            other => panic!("the made-up daemon has no answer to {other:?}: script one"),
        })
    }

    /// The message as an event.
    pub fn event(message: &Message) -> Event {
        Event::Message(message.clone())
    }
}
