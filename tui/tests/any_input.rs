//! Whatever comes from keys, mouse, daemon and network, in whatever order: the interface goes on, and nothing that was written is lost.

mod common;

use std::{collections::VecDeque, time::Duration};

use common::{Daemon, START};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use hedgerow_sync::{
    id::ContactId,
    time::{Instant, Now, UnixMillis},
    view::{Command, ContactState, Event, Message, MessageState, Neighbour},
};
use hedgerow_tui::{App, Effect, Input, Options, Refusal, Reply, Request, Start, render, theme::Theme};
use proptest::prelude::*;
use ratatui::{Terminal, backend::TestBackend};

/// A person at a terminal, with a daemon that answers late, wrongly or not at all.
struct Seat {
    app: App,
    now: Now,
    terminal: Terminal<TestBackend>,
    daemon: Daemon,
    /// Replies and events that are on their way, and whether they are held up.
    on_the_way: VecDeque<Input>,
    is_held: bool,
    is_up: bool,
    /// How many of the next requests are refused.
    refusals: usize,
}

impl Seat {
    fn new(daemon: Daemon) -> Self {
        let now = Now { mono: Instant::from_origin(Duration::from_secs(1)), wall: UnixMillis(START) };
        let options = Options { theme: Theme::plain(), words: false, civil: common::civil, banner: None, home: None, seed: [9; 32] };
        let app = App::new(options, Start::Daemon, (80, 24), now);
        let terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
        let mut seat = Self { app, now, terminal, daemon, on_the_way: VecDeque::new(), is_held: false, is_up: true, refusals: 0 };
        seat.input(Input::Attached);
        seat
    }

    fn input(&mut self, input: Input) {
        self.give(input);
        while !self.is_held
            && let Some(next) = self.on_the_way.pop_front()
        {
            self.give(next);
        }
        self.terminal.draw(|frame| render(&self.app, frame)).unwrap();
    }

    fn give(&mut self, input: Input) {
        for effect in self.app.update(self.now, input) {
            if let Effect::Ask(id, request) = effect
                && self.is_up
            {
                let reply = self.reply(&request);
                let sent = matches!(request, Request::Command(Command::Send { .. })).then(|| self.newest(&request)).flatten();
                self.on_the_way.extend(sent.map(|message| Input::Event(Event::Message(message))));
                self.on_the_way.push_back(Input::Reply(id, reply));
            }
        }
    }

    fn reply(&mut self, request: &Request) -> Result<Reply, Refusal> {
        if self.refusals > 0 && !matches!(request, Request::Status) {
            self.refusals -= 1;
            return Err(Refusal { kind: "disk_full".into(), message: "the disk is full".into() });
        }
        let is_known = match request {
            Request::Command(command) => matches!(
                command,
                Command::Contacts {}
                    | Command::Contact { .. }
                    | Command::Settings {}
                    | Command::Nearby {}
                    | Command::Messages { .. }
                    | Command::MarkRead { .. }
                    | Command::Send { .. }
                    | Command::Draft { .. }
                    | Command::SetDraft { .. }
            ),
            _ => true,
        };
        if is_known { self.daemon.reply(request) } else { Err(Refusal { kind: "internal".into(), message: "not known here".into() }) }
    }

    /// The message that a request has made, if it has.
    fn newest(&self, request: &Request) -> Option<Message> {
        let Request::Command(Command::Send { contact, id, .. }) = request else { return None };
        let list = self.daemon.messages.get(&ContactId(contact.parse().ok()?))?;
        list.iter().find(|message| Some(message.id) == *id).cloned()
    }

    fn key(&mut self, code: KeyCode, modifiers: KeyModifiers) {
        self.input(Input::Key(KeyEvent::new(code, modifiers)));
    }

    fn pass(&mut self, span: Duration) {
        let end = self.now.mono + span;
        while let Some(due) = self.app.poll_timeout().filter(|due| *due <= end) {
            self.advance(due.since(self.now.mono).max(Duration::from_millis(1)));
            self.input(Input::Tick);
        }
        self.advance(end.since(self.now.mono));
    }

    fn advance(&mut self, span: Duration) {
        self.now = Now { mono: self.now.mono + span, wall: UnixMillis(self.now.wall.0 + span.as_millis() as u64) };
    }

    fn lose(&mut self) {
        self.on_the_way.clear();
        self.is_up = false;
        self.input(Input::Lost("it was stopped".into()));
    }

    fn come_back(&mut self) {
        self.on_the_way.clear();
        self.is_up = true;
        self.input(Input::Attached);
    }

    fn resize(&mut self, width: u16, height: u16) {
        self.terminal.backend_mut().resize(width, height);
        self.terminal.resize(ratatui::layout::Rect::new(0, 0, width, height)).unwrap();
        self.input(Input::Resize(width, height));
    }

    fn arrive(&mut self, contact: u32, text: &str, order: u64, state: MessageState, outgoing: bool) {
        if !self.daemon.contacts.contains_key(&ContactId(contact)) {
            return;
        }
        let mut message = self.daemon.message(contact, outgoing, text, state, 1);
        message.order = order;
        if let Some(held) = self.daemon.messages.get_mut(&ContactId(contact)) {
            if let Some(last) = held.last_mut() {
                *last = message.clone();
            }
            held.sort_by_key(|message| (message.order, message.id));
        }
        self.on_the_way.push_back(Input::Event(Event::Message(message)));
        self.on_the_way.push_back(Input::Event(Event::Contact(self.daemon.contacts[&ContactId(contact)].clone())));
        self.input(Input::Tick);
    }
}

fn people() -> Daemon {
    let mut daemon = Daemon::default();
    for (number, name) in [(1, "ann"), (2, "bob"), (3, "\x1b[31mcy\u{202e}")] {
        daemon.contact(number, name);
        for message in 0..40 {
            daemon.message(number, message % 2 == 0, &format!("text {message}"), MessageState::Delivered, message);
        }
    }
    daemon.contact(2, "bob").draft = true;
    daemon.drafts.insert(ContactId(2), "t000t".into());
    daemon
}

/// Texts that people send to break things.
fn hostile_text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-z /]{0,12}",
        2 => any::<String>(),
        1 => Just("\x1b]0;x\x07\x1b[2J\u{9b}31m\u{202e}abc\u{2066}".to_owned()),
        1 => Just(format!("a{}", "\u{301}".repeat(4_000))),
        1 => Just("x".repeat(30_000)),
        1 => Just("👩\u{200d}🚀日本\n\n\r\n\tשלום".repeat(20)),
        1 => Just("/quit\n//x".to_owned()),
    ]
}

fn any_state() -> impl Strategy<Value = MessageState> {
    use MessageState::{Carried, Delivered, Expired, Failed, Queued, Read};
    prop::sample::select(vec![Queued, Carried, Delivered, Read, Expired, Failed])
}

fn any_key() -> impl Strategy<Value = (KeyCode, KeyModifiers)> {
    let plain = prop::sample::select(vec![
        KeyCode::Enter,
        KeyCode::Esc,
        KeyCode::Tab,
        KeyCode::BackTab,
        KeyCode::Up,
        KeyCode::Down,
        KeyCode::Left,
        KeyCode::Right,
        KeyCode::Home,
        KeyCode::End,
        KeyCode::PageUp,
        KeyCode::PageDown,
        KeyCode::Backspace,
        KeyCode::Delete,
        KeyCode::Insert,
        KeyCode::Null,
    ]);
    let code = prop_oneof![6 => plain, 2 => (1..13u8).prop_map(KeyCode::F), 4 => any::<char>().prop_map(KeyCode::Char), 3 => prop::char::range('a', 'z').prop_map(KeyCode::Char)];
    let modifiers = prop_oneof![
        6 => Just(KeyModifiers::NONE),
        2 => Just(KeyModifiers::CONTROL),
        1 => Just(KeyModifiers::ALT),
        1 => Just(KeyModifiers::SHIFT),
    ];
    (code, modifiers)
}

/// Something that happens to an interface.
#[derive(Clone, Debug)]
enum Happening {
    Key((KeyCode, KeyModifiers)),
    Paste(String),
    Mouse(u8, u16, u16),
    Resize(u16, u16),
    Arrives(u32, String, u64, MessageState, bool),
    Changes(u32, usize, MessageState),
    ContactComes(u32, String, bool),
    ContactGoes(u32, Option<u32>),
    Link(u64, Option<u32>, bool),
    Notice(String),
    Refuse(usize),
    Hold(bool),
    Lose,
    ComeBack,
    NoDaemon,
    NotStarted,
    Pass(u64),
}

fn anything() -> impl Strategy<Value = Happening> {
    prop_oneof![
        12 => any_key().prop_map(Happening::Key),
        3 => hostile_text().prop_map(Happening::Paste),
        3 => (0..5u8, 0..210u16, 0..70u16).prop_map(|(kind, x, y)| Happening::Mouse(kind, x, y)),
        3 => (1..=200u16, 1..=60u16).prop_map(|(width, height)| Happening::Resize(width, height)),
        1 => (1..30u16, 1..6u16).prop_map(|(width, height)| Happening::Resize(width, height)),
        4 => (1..6u32, hostile_text(), 0..60u64, any_state(), any::<bool>())
            .prop_map(|(contact, text, order, state, outgoing)| Happening::Arrives(contact, text, order, state, outgoing)),
        2 => (1..4u32, 0..50usize, any_state()).prop_map(|(contact, index, state)| Happening::Changes(contact, index, state)),
        1 => (1..6u32, hostile_text(), any::<bool>()).prop_map(|(contact, name, pending)| Happening::ContactComes(contact, name, pending)),
        1 => (1..6u32, prop::option::of(1..6u32)).prop_map(|(contact, same_as)| Happening::ContactGoes(contact, same_as)),
        1 => (0..4u64, prop::option::of(1..4u32), any::<bool>()).prop_map(|(link, contact, up)| Happening::Link(link, contact, up)),
        1 => hostile_text().prop_map(Happening::Notice),
        2 => (0..4usize).prop_map(Happening::Refuse),
        2 => any::<bool>().prop_map(Happening::Hold),
        1 => Just(Happening::Lose),
        2 => Just(Happening::ComeBack),
        1 => Just(Happening::NoDaemon),
        1 => Just(Happening::NotStarted),
        3 => (0..5_000u64).prop_map(Happening::Pass),
    ]
}

impl Seat {
    fn happens(&mut self, happening: Happening) {
        match happening {
            Happening::Key((code, modifiers)) => self.key(code, modifiers),
            Happening::Paste(text) => self.input(Input::Paste(text)),
            Happening::Mouse(kind, column, row) => {
                let kind = match kind {
                    0 => MouseEventKind::ScrollUp,
                    1 => MouseEventKind::ScrollDown,
                    2 => MouseEventKind::Moved,
                    3 => MouseEventKind::Down(MouseButton::Right),
                    _ => MouseEventKind::Down(MouseButton::Left),
                };
                self.input(Input::Mouse(MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE }));
            }
            Happening::Resize(width, height) => self.resize(width, height),
            Happening::Arrives(contact, text, order, state, outgoing) => self.arrive(contact, &text, order, state, outgoing),
            Happening::Changes(contact, index, state) => {
                let list = self.daemon.messages.get_mut(&ContactId(contact));
                if let Some(message) = list.and_then(|list| list.get_mut(index)) {
                    message.state = state;
                    let message = message.clone();
                    self.input(Input::Event(Event::Message(message)));
                }
            }
            Happening::ContactComes(number, name, pending) => {
                let contact = self.daemon.contact(number, &name);
                if pending {
                    (contact.name, contact.state) = (None, ContactState::Pending);
                }
                let contact = contact.clone();
                self.input(Input::Event(Event::Contact(contact)));
            }
            Happening::ContactGoes(number, same_as) => {
                self.daemon.contacts.remove(&ContactId(number));
                self.daemon.messages.remove(&ContactId(number));
                let same_as = same_as.filter(|other| *other != number).map(ContactId);
                self.input(Input::Event(Event::ContactRemoved { contact: ContactId(number), same_as }));
            }
            Happening::Link(link, contact, up) => {
                let neighbour = Neighbour {
                    link,
                    transport: "lan".into(),
                    contact: contact.map(ContactId),
                    name: None,
                    outbound: true,
                    carries: true,
                    claimed_name: Some("\x1b[2J".into()),
                };
                self.input(Input::Event(if up { Event::LinkUp(neighbour) } else { Event::LinkDown(neighbour) }));
            }
            Happening::Notice(text) => self.input(Input::Event(Event::Notice { kind: "clock_jump".into(), text, contact: None })),
            Happening::Refuse(count) => self.refusals = count,
            Happening::Hold(is_held) => self.is_held = is_held,
            Happening::Lose => self.lose(),
            Happening::ComeBack => self.come_back(),
            Happening::NoDaemon => self.input(Input::NoDaemon),
            Happening::NotStarted => self.input(Input::NotStarted("no such file".into())),
            Happening::Pass(millis) => self.pass(Duration::from_millis(millis)),
        }
        let screen = self.terminal.backend().buffer();
        for cell in screen.content() {
            assert!(!cell.symbol().chars().any(hedgerow_tui::clean::is_hazardous), "{:?} reaches the terminal", cell.symbol());
        }
    }
}

/// Something that happens while a person writes and takes nothing back.
#[derive(Clone, Debug)]
enum Writing {
    Word,
    Slowly(u16),
    Send,
    Line,
    Switch(bool),
    ThroughTheList,
    Unread,
    Choose(u8),
    Scroll(bool),
    Happens(Happening),
}

fn writing() -> impl Strategy<Value = Writing> {
    let happens = prop_oneof![
        3 => (1..4u32, "[a-z]{1,9}", 0..60u64, any_state(), any::<bool>())
            .prop_map(|(contact, text, order, state, outgoing)| Happening::Arrives(contact, text, order, state, outgoing)),
        2 => (1..=120u16, 1..=40u16).prop_map(|(width, height)| Happening::Resize(width, height)),
        4 => (0..4usize).prop_map(Happening::Refuse),
        4 => any::<bool>().prop_map(Happening::Hold),
        3 => Just(Happening::Lose),
        4 => Just(Happening::ComeBack),
        4 => (0..3_000u64).prop_map(Happening::Pass),
    ];
    prop_oneof![
        8 => Just(Writing::Word),
        2 => (0..1_500u16).prop_map(Writing::Slowly),
        6 => Just(Writing::Send),
        2 => Just(Writing::Line),
        3 => any::<bool>().prop_map(Writing::Switch),
        1 => Just(Writing::ThroughTheList),
        1 => Just(Writing::Unread),
        1 => (1..4u8).prop_map(Writing::Choose),
        1 => any::<bool>().prop_map(Writing::Scroll),
        12 => happens.prop_map(Writing::Happens),
    ]
}

impl Seat {
    /// Does it; `words` counts what was written.
    fn write(&mut self, what: Writing, words: &mut usize) {
        let mut word = |seat: &mut Self| {
            *words += 1;
            seat.input(Input::Paste(format!("t{words:03}t ")));
        };
        // On the way to the messages the cursor may have come into a word.
        if !matches!(what, Writing::Happens(_)) {
            self.key(KeyCode::End, KeyModifiers::NONE);
        }
        match what {
            Writing::Word => word(self),
            Writing::Slowly(millis) => {
                word(self);
                self.pass(Duration::from_millis(millis.into()));
            }
            Writing::Send => {
                // A chosen message is none to send; Esc ends choosing, and would close the conversation without.
                self.input(Input::Paste(" ".into()));
                self.key(KeyCode::Enter, KeyModifiers::NONE);
            }
            Writing::Line => self.key(KeyCode::Char('j'), KeyModifiers::CONTROL),
            Writing::Switch(down) => self.key(if down { KeyCode::Down } else { KeyCode::Up }, KeyModifiers::CONTROL),
            Writing::ThroughTheList => {
                self.input(Input::Paste(" ".into()));
                self.key(KeyCode::Esc, KeyModifiers::NONE);
                self.key(KeyCode::Enter, KeyModifiers::NONE);
            }
            Writing::Unread => self.key(KeyCode::Char('n'), KeyModifiers::CONTROL),
            Writing::Choose(rows) => (0..rows).for_each(|_| self.key(KeyCode::Up, KeyModifiers::NONE)),
            Writing::Scroll(down) => self.key(if down { KeyCode::PageDown } else { KeyCode::PageUp }, KeyModifiers::NONE),
            Writing::Happens(happening) => self.happens(happening),
        }
    }

    /// How often the daemon has a word, as draft or message.
    fn count(&self, word: &str) -> usize {
        let messages = self.daemon.messages.values().flatten().map(|message| message.text.as_str());
        messages.chain(self.daemon.drafts.values().map(String::as_str)).map(|text| text.matches(word).count()).sum()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn no_input_stops_the_interface(happenings in prop::collection::vec(anything(), 1..60)) {
        let mut seat = Seat::new(people());
        for happening in happenings {
            seat.happens(happening);
        }
    }

    #[test]
    fn nothing_that_was_written_is_lost_or_sent_twice(written in prop::collection::vec(writing(), 1..60)) {
        let mut seat = Seat::new(people());
        seat.key(KeyCode::Enter, KeyModifiers::NONE);
        let mut words = 0;
        for what in written {
            seat.write(what, &mut words);
        }
        // All is well again for a while.
        (seat.refusals, seat.is_held) = (0, false);
        seat.come_back();
        seat.pass(Duration::from_secs(12));
        for word in (0..=words).map(|word| format!("t{word:03}t")) {
            prop_assert_eq!(seat.count(&word), 1, "{} of {}: {:?}", word, words, seat.daemon.drafts);
        }
    }
}
