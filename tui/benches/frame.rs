//! How long a frame takes, and a key under load: `cargo bench -p hedgerow-tui --bench frame`.
//!
//! 1,000 contacts, 100,000 messages loaded in the open conversation, 120×40 cells, through ratatui's crossterm backend, whose bytes go nowhere. The
//! second part gives the interface 1,000 new messages in each of ten simulated seconds, draws after each millisecond's worth only if a
//! key was pressed in it, and measures from the millisecond's first message to the end of the key's frame.
//!
//! Each line tells running time, and time on a processor as Linux counts it: where a machine does other things too, the two differ by what
//! its scheduler gave to others.
#![expect(clippy::panic, clippy::unwrap_used, reason = "a benchmark stops at the first error")]
#![expect(clippy::disallowed_methods, reason = "it measures time")]

use std::{
    borrow::Cow,
    io::{Sink, sink},
    time::{Duration, Instant as Stopwatch},
};

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use hedgerow_sync::{
    id::{ContactId, MessageId},
    time::{Instant, Now, UnixMillis},
    view::{Answer, Command, Contact, ContactState, Event, Message, MessageState},
};
use hedgerow_tui::{App, Civil, Effect, Input, Options, Reply, Request, Start, render, theme::Theme};
use ratatui::{Terminal, TerminalOptions, Viewport, backend::CrosstermBackend, layout::Rect};

const CONTACTS: u32 = 1_000;
const MESSAGES: u64 = 100_000;
const FRAMES: usize = 2_000;
const WIDTH: u16 = 120;
const HEIGHT: u16 = 40;
/// New messages in a simulated second.
const RATE: u64 = 1_000;
const SECONDS: u64 = 10;
/// Milliseconds between two keys.
const TYPING: u64 = 20;
/// 2026-11-22 10:00 UTC.
const START: u64 = 1_795_341_600_000;

fn main() {
    let mut bench = Bench::new();
    bench.measure_frames("frame at the end", |_, _| {});
    bench.measure_frames("frame while scrolling", |bench, _| bench.key(KeyCode::PageUp));
    bench.measure_frames("frame while choosing", |bench, _| bench.key(KeyCode::Up));
    bench.key(KeyCode::Esc);
    bench.measure_frames("frame while typing", |bench, index| bench.key(KeyCode::Char(if index % 8 == 7 { ' ' } else { 'x' })));
    bench.measure_load("key to frame, 1,000 messages/s in the open conversation", |_| 1);
    bench.measure_load("key to frame, 1,000 messages/s in all conversations", |index| (index % u64::from(CONTACTS)) as u32 + 1);
}

struct Bench {
    app: App,
    now: Now,
    terminal: Terminal<CrosstermBackend<Sink>>,
    arrived: u64,
}

impl Bench {
    fn new() -> Self {
        let now = Now { mono: Instant::from_origin(Duration::from_secs(1)), wall: UnixMillis(START) };
        let options = Options { theme: Theme::colours(), words: false, civil, banner: None, home: None, seed: [0; 32] };
        let app = App::new(options, Start::Daemon, (WIDTH, HEIGHT), now);
        let viewport = Viewport::Fixed(Rect::new(0, 0, WIDTH, HEIGHT));
        let terminal = Terminal::with_options(CrosstermBackend::new(sink()), TerminalOptions { viewport }).unwrap();
        let mut bench = Self { app, now, terminal, arrived: MESSAGES };
        bench.input(Input::Attached);
        bench.key(KeyCode::Enter);
        bench
    }

    /// Gives one input, and answers what the interface asks.
    fn input(&mut self, input: Input) {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            for effect in self.app.update(self.now, input) {
                if let Effect::Ask(id, Request::Command(command)) = effect
                    && let Some(answer) = answer(&command)
                {
                    inputs.push(Input::Reply(id, Ok(Reply::Answer(answer))));
                }
            }
        }
    }

    fn key(&mut self, code: KeyCode) {
        self.input(Input::Key(KeyEvent::new(code, KeyModifiers::NONE)));
    }

    fn draw(&mut self) {
        self.terminal.draw(|frame| render(&self.app, frame)).unwrap();
    }

    fn measure_frames(&mut self, what: &str, mut before: impl FnMut(&mut Self, usize)) {
        let mut spans = Vec::with_capacity(FRAMES);
        for index in 0..FRAMES {
            let watch = Watch::start();
            before(self, index);
            self.draw();
            spans.push(watch.elapsed());
        }
        print(what, &spans);
    }

    fn measure_load(&mut self, what: &str, contact: impl Fn(u64) -> u32) {
        let mut spans = Vec::new();
        for millisecond in 0..SECONDS * 1_000 {
            self.now.mono = self.now.mono + Duration::from_millis(1);
            self.now.wall = UnixMillis(self.now.wall.0 + 1);
            let watch = Watch::start();
            for _ in 0..RATE / 1_000 {
                self.arrived += 1;
                let message = message(contact(self.arrived), self.arrived, MessageState::Delivered);
                self.input(Input::Event(Event::Message(message)));
            }
            if self.app.poll_timeout().is_some_and(|due| due <= self.now.mono) {
                self.input(Input::Tick);
            }
            if millisecond % TYPING == 0 {
                self.key(KeyCode::Char('x'));
                self.draw();
                spans.push(watch.elapsed());
                self.input(Input::Key(KeyEvent::new(KeyCode::Char('u'), KeyModifiers::CONTROL)));
            }
        }
        print(what, &spans);
    }
}

/// Both clocks at one moment.
struct Watch {
    running: Stopwatch,
    on_processor: Duration,
}

impl Watch {
    fn start() -> Self {
        let on_processor = on_processor();
        Self { running: Stopwatch::now(), on_processor }
    }

    /// Running time, and time on a processor.
    fn elapsed(&self) -> [Duration; 2] {
        let running = self.running.elapsed();
        [running, on_processor().saturating_sub(self.on_processor)]
    }
}

/// How long this thread has been on a processor; zero where no `/proc` tells. It is brought up to date when the thread gives way.
fn on_processor() -> Duration {
    std::thread::yield_now();
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(told.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or_default())
}

/// Prints percentiles and the longest.
fn print(what: &str, spans: &[[Duration; 2]]) {
    for (clock, name) in ["running", "on processor"].into_iter().enumerate() {
        let mut spans: Vec<Duration> = spans.iter().map(|span| span[clock]).collect();
        spans.sort_unstable();
        let at = |percent: usize| spans[(spans.len() * percent / 100).min(spans.len() - 1)];
        println!("{what:<56} {name:<12} p50 {:>9.3?}  p99 {:>9.3?}  max {:>9.3?}", at(50), at(99), at(100));
    }
}

/// What the daemon would answer; everything that is loaded comes at once.
fn answer(command: &Command) -> Option<Answer> {
    Some(match command {
        Command::Contacts {} => Answer::Contacts((1..=CONTACTS).map(contact).collect()),
        Command::Messages { contact, before: None, .. } if contact == "1" => {
            Answer::Messages((1..=MESSAGES).map(|order| message(1, order, MessageState::Read)).collect())
        }
        Command::Messages { .. } => Answer::Messages(Vec::new()),
        Command::MarkRead { contact: number, .. } => Answer::Contact(contact(number.parse().unwrap())),
        _ => return None,
    })
}

fn contact(number: u32) -> Contact {
    Contact {
        contact: ContactId(number),
        name: Some(format!("contact {number:04}")),
        own_name: None,
        state: ContactState::Established,
        verified: number.is_multiple_of(2),
        fingerprint: None,
        unread: u64::from(number % 7),
        receipts: true,
        muted: number.is_multiple_of(5),
        draft: false,
        last_message: Some(UnixMillis(START - u64::from(number) * 1_000)),
        in_reach: number.is_multiple_of(3),
        last_seen: Some(UnixMillis(START - u64::from(number) * 60_000)),
        last_transport: Some(Cow::Borrowed("lan")),
        link_expires: None,
        tries: None,
        why: None,
    }
}

fn message(contact: u32, order: u64, state: MessageState) -> Message {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&order.to_be_bytes());
    let outgoing = state == MessageState::Read && order.is_multiple_of(3);
    let length = (order % 5) as usize + 1;
    Message {
        id: MessageId(id),
        contact: ContactId(contact),
        order,
        from: if outgoing { "me".to_owned() } else { format!("contact {contact:04}") },
        outgoing,
        text: "Words of a sentence that somebody could have written, with 日本語 and 🌿 in it. ".repeat(length),
        sent: UnixMillis(START - (MESSAGES.saturating_sub(order)) * 60_000),
        stored: UnixMillis(START - (MESSAGES.saturating_sub(order)) * 60_000),
        state,
        data: None,
        handed_contacts: 0,
        handed_strangers: 0,
        expires: None,
        why: None,
    }
}

/// Near enough to a calendar for drawing: years of 372 days.
fn civil(at: UnixMillis) -> Civil {
    let minutes = at.0 / 60_000;
    let days = minutes / 1_440;
    let part = |number: u64| u8::try_from(number).unwrap_or_else(|_| panic!("{number} is no part of a date"));
    Civil {
        year: i16::try_from(1970 + days / 372).unwrap(),
        month: part(days / 31 % 12 + 1),
        day: part(days % 31 + 1),
        hour: part(minutes / 60 % 24),
        minute: part(minutes % 60),
    }
}
