//! Where a message is, network, settings, help, the list of commands, and what stands around every screen.

mod common;

use std::{borrow::Cow, time::Duration};

use common::{Daemon, Desk, START};
use crossterm::event::{KeyCode, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use hedgerow_sync::{
    id::{ContactId, MessageId},
    time::UnixMillis,
    view::{
        Answer, ClockJump, ClockSource, Command, Event, Explanation, Happening, Help, HelpCode, Holder, Leak, LinkStatus, Message,
        MessageState, Mode, Neighbour, NeighbourCount, Reader, SealedBundle, Trouble, WaitCode, Waits, What,
    },
};
use hedgerow_tui::{Control, Effect, Input, Refusal, Reply, Request};

const SIZES: [(u16, u16); 3] = [(60, 20), (80, 24), (120, 40)];
const HOUR: u64 = 3_600_000;
const MESSAGE: MessageId = MessageId([7; 16]);

/// What must never reach a terminal, in one name.
fn hostile() -> String {
    format!("\u{1b}]0;owned\u{7}\u{1b}[2J\u{202e}gpj\u{200d}\u{9b}31m a{}\nfake line", "\u{301}".repeat(4_000))
}

/// Types a command into the list of everything that can be done, and does it.
fn run(desk: &mut Desk, line: &str) {
    desk.ctrl('p');
    desk.type_text(line);
    desk.key(KeyCode::Enter);
}

fn ago(hours: u64) -> UnixMillis {
    UnixMillis(START - hours * HOUR)
}

fn message() -> Message {
    Message {
        id: MESSAGE,
        contact: ContactId(3),
        order: 1,
        from: "me".into(),
        outgoing: true,
        text: "Come at eight\nand bring the map".into(),
        sent: ago(5),
        stored: ago(5),
        state: MessageState::Carried,
        data: None,
        handed_contacts: 1,
        handed_strangers: 1,
        expires: Some(UnixMillis(START + 331 * HOUR)),
        why: None,
    }
}

fn happened(what: What, hours: u64) -> Happening {
    Happening { what, at: ago(hours) }
}

fn explanation() -> Explanation {
    let handed = |to, name: Option<&str>| What::Handed { to, transport: "lan".into(), contact: None, name: name.map(str::to_owned) };
    Explanation {
        message: message(),
        now: UnixMillis(START),
        words: "carried: 1 contact holds it, a stranger says that it holds it".into(),
        log: vec![
            happened(What::Written {}, 25),
            happened(What::Sealed { number: 17, bytes: 512 }, 5),
            happened(handed(Holder::Contact, Some("bob")), 4),
            happened(handed(Holder::Stranger, None), 1),
        ],
        log_omitted: 3,
        tries: 2,
        bundle: Some(SealedBundle {
            number: 17,
            bytes: 512,
            class: "normal".into(),
            created: Some(ago(5)),
            expires: Some(UnixMillis(START + 331 * HOUR)),
            held: Some(true),
        }),
        waits: Some(Waits {
            code: WaitCode::Carried,
            text: "waits until one of those who carry it meets carol, and for the receipt".into(),
        }),
        reader: Some(Reader {
            contact: ContactId(3),
            name: Some("carol".into()),
            in_reach: false,
            last_seen: Some(ago(3)),
            last_transport: Some("lan".into()),
        }),
        neighbours: NeighbourCount { contacts: 1, strangers: 2 },
        helps: vec![
            Help { code: HelpCode::CarriersKeep, text: "nothing needs to be done: carriers keep it for another 13 d".into() },
            Help { code: HelpCode::MeetReader, text: "come within reach of carol".into() },
        ],
    }
}

fn fresh() -> Explanation {
    let mut fresh = explanation();
    fresh.message.state = MessageState::Queued;
    fresh.words = "queued: it is on this device alone".into();
    fresh.log.truncate(1);
    (fresh.log_omitted, fresh.tries, fresh.bundle) = (0, 0, None);
    (fresh.message.expires, fresh.message.handed_strangers, fresh.message.handed_contacts) = (None, 0, 0);
    fresh.waits = Some(Waits { code: WaitCode::NoLink, text: "no device is in reach".into() });
    fresh.neighbours = NeighbourCount { contacts: 0, strangers: 0 };
    fresh.helps.clear();
    fresh
}

fn hostile_explanation() -> Explanation {
    let mut explanation = explanation();
    explanation.message.text = hostile() + &"x".repeat(30_000);
    explanation.words = hostile();
    explanation.waits = Some(Waits { code: WaitCode::Carried, text: hostile() });
    explanation.helps = vec![Help { code: HelpCode::MeetReader, text: hostile() }];
    if let Some(reader) = &mut explanation.reader {
        reader.name = Some(hostile());
        reader.last_transport = Some(Cow::Owned(hostile()));
    }
    if let Some(bundle) = &mut explanation.bundle {
        bundle.class = Cow::Owned(hostile());
        bundle.expires = Some(UnixMillis(u64::MAX));
    }
    explanation
        .log
        .push(happened(What::Handed { to: Holder::Contact, transport: Cow::Owned(hostile()), contact: None, name: Some(hostile()) }, 0));
    explanation
}

fn asks_where(request: &Request) -> bool {
    matches!(request, Request::Command(Command::Explain { .. }))
}

fn explains(daemon: &mut Daemon, explanation: Explanation) {
    daemon.scripted.push((asks_where, Ok(Reply::Answer(Answer::Explanation(Box::new(explanation))))));
}

fn refuses(daemon: &mut Daemon, fits: fn(&Request) -> bool, kind: &str, message: &str) {
    daemon.scripted.push((fits, Err(Refusal { kind: kind.into(), message: message.into() })));
}

fn asked_where(desk: &Desk) -> usize {
    desk.daemon.asked.iter().filter(|request| asks_where(request)).count()
}

fn open_where(width: u16, height: u16, explanation: Explanation) -> Desk {
    let mut daemon = Daemon::default();
    explains(&mut daemon, explanation);
    let mut desk = Desk::attached(width, height, daemon);
    run(&mut desk, &format!("/where {MESSAGE}"));
    desk
}

fn neighbour(link: u64, name: Option<&str>, claimed: Option<&str>) -> Neighbour {
    Neighbour {
        link,
        transport: "lan".into(),
        contact: name.map(|_| ContactId(3)),
        name: name.map(str::to_owned),
        outbound: link.is_multiple_of(2),
        carries: link > 1,
        claimed_name: claimed.map(str::to_owned),
    }
}

fn busy() -> Daemon {
    let mut daemon = Daemon::default();
    daemon.contact(3, "carol").unread = 2;
    daemon.contact(4, "Łukasz 日本").muted = true;
    daemon.settings.relay.bytes = 64 << 20;
    let status = &mut daemon.status;
    status.links = vec![LinkStatus { link: 1, transport: "lan".into(), address: "192.0.2.9:4711".into() }];
    status.leaks = vec![Leak {
        transport: "lan".into(),
        text: "Devices on this network see that Hedgerow runs here, and this machine's IP and MAC address.".into(),
    }];
    status.trouble = vec![Trouble { source: "lan".into(), text: "multicast is refused: others do not find this device".into() }];
    let Some(node) = &mut status.node else { return daemon };
    node.neighbours = vec![neighbour(1, Some("carol"), None), neighbour(2, None, None), neighbour(3, None, Some("Eve"))];
    (node.contacts, node.pending, node.undelivered) = (2, 1, 4);
    (node.relay.carried_bundles, node.relay.carried_bytes) = (1_200, 12 << 20);
    (node.relay.from_contacts_bytes, node.relay.from_strangers_inbound_bytes) = (10 << 20, 2 << 20);
    node.clock.source = ClockSource::Contacts;
    node.clock.trust = "the median of what contacts say".into();
    node.clock.settles_in_hours = Some(5);
    node.clock.jump = Some(ClockJump { at: ago(20), hours: -7 });
    daemon
}

fn hostile_daemon() -> Daemon {
    let mut daemon = busy();
    daemon.contact(5, &hostile());
    let status = &mut daemon.status;
    status.trouble = vec![Trouble { source: Cow::Owned(hostile()), text: hostile() }];
    status.leaks = vec![Leak { transport: Cow::Owned(hostile()), text: Cow::Owned(hostile()) }];
    status.listen = vec![hostile()];
    let Some(node) = &mut status.node else { return daemon };
    node.name = hostile();
    node.clock.trust = Cow::Owned(hostile());
    node.clock.hour = Some(u32::MAX);
    node.relay.carried_bytes = u64::MAX;
    node.neighbours = vec![neighbour(1, Some(&hostile()), None), neighbour(2, None, Some(&hostile()))];
    node.neighbours[1].transport = Cow::Owned(hostile());
    daemon
}

fn assert_harmless(desk: &Desk) {
    let screen = desk.screen();
    assert!(!screen.chars().any(|letter| letter != '\n' && hedgerow_tui::clean::is_hazardous(letter)), "{screen:?}");
    assert!(!screen.lines().any(|line| line == "fake line"), "{screen}");
}

#[test]
fn where_looks_as_stored() {
    for (width, height) in SIZES {
        for (name, explanation) in [("empty", fresh()), ("long", explanation()), ("hostile", hostile_explanation())] {
            let mut desk = open_where(width, height, explanation);
            desk.assert_snapshot(&format!("where_{name}_{width}x{height}"));
            assert_harmless(&desk);
            desk.input(key(KeyCode::End, KeyModifiers::CONTROL));
            assert_harmless(&desk);
            if name == "long" {
                desk.assert_snapshot(&format!("where_{name}_end_{width}x{height}"));
            }
        }
    }
}

fn key(code: KeyCode, modifiers: KeyModifiers) -> Input {
    Input::Key(crossterm::event::KeyEvent::new(code, modifiers))
}

fn mouse(kind: MouseEventKind, column: u16, row: u16) -> Input {
    Input::Mouse(MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE })
}

#[test]
fn where_is_asked_anew_by_time_and_by_events_about_it() {
    let mut desk = open_where(80, 24, explanation());
    assert_eq!(asked_where(&desk), 1);
    explains(&mut desk.daemon, explanation());
    desk.pass(Duration::from_secs(5));
    assert_eq!(asked_where(&desk), 2);
    let mut other = message();
    other.id = MessageId([8; 16]);
    desk.input(Input::Event(Event::Message(other)));
    assert_eq!(asked_where(&desk), 2);
    let mut delivered = explanation();
    delivered.message.state = MessageState::Delivered;
    delivered.words = "delivered: the receipt came".into();
    delivered.waits = None;
    explains(&mut desk.daemon, delivered);
    desk.input(Input::Event(Event::Message(message())));
    assert_eq!(asked_where(&desk), 3);
    assert!(desk.shows("✓ delivered: the receipt came") && !desk.shows("why:"), "{}", desk.screen());
    explains(&mut desk.daemon, explanation());
    desk.input(Input::Event(Event::LinkUp(neighbour(9, None, None))));
    assert_eq!(asked_where(&desk), 4);
}

#[test]
fn where_says_that_a_message_is_gone() {
    let mut daemon = Daemon::default();
    refuses(&mut daemon, asks_where, "unknown_message", "no message has this id");
    let mut desk = Desk::attached(80, 24, daemon);
    run(&mut desk, &format!("/where {MESSAGE}"));
    assert!(desk.shows("not here any more"), "{}", desk.screen());
    // It is not asked for again and again.
    desk.pass(Duration::from_secs(30));
    assert_eq!(asked_where(&desk), 1);
    desk.key(KeyCode::Esc);
    assert!(!desk.shows("not here any more"));
}

#[test]
fn where_keeps_what_it_knows_while_the_daemon_is_away() {
    let mut desk = open_where(80, 24, explanation());
    desk.is_up = false;
    desk.pass(Duration::from_secs(5));
    desk.input(Input::Lost("the daemon ended".into()));
    assert!(desk.shows("was true when it went") && desk.shows("handed to bob") && desk.shows("not connected"), "{}", desk.screen());
    desk.pass(Duration::from_secs(30));
    desk.is_up = true;
    explains(&mut desk.daemon, explanation());
    desk.input(Input::Attached);
    assert!(!desk.shows("was true when it went") && desk.shows("handed to bob"), "{}", desk.screen());
}

#[test]
fn where_scrolls_by_keys_and_wheel_and_stops_at_the_ends() {
    let mut desk = open_where(60, 12, explanation());
    let top = desk.screen();
    for _ in 0..100 {
        desk.key(KeyCode::Down);
    }
    let end = desk.screen();
    assert!(end.contains("sealed 2 times") && !end.contains("Come at eight"), "{end}");
    desk.key(KeyCode::Up);
    assert_ne!(desk.screen(), end);
    for _ in 0..100 {
        desk.input(mouse(MouseEventKind::ScrollUp, 5, 5));
    }
    assert_eq!(desk.screen(), top);
}

#[test]
fn network_looks_as_stored() {
    for (width, height) in SIZES {
        for (name, daemon) in [("empty", Daemon::default()), ("long", busy()), ("hostile", hostile_daemon())] {
            let mut desk = Desk::attached(width, height, daemon);
            desk.key(KeyCode::F(3));
            desk.assert_snapshot(&format!("network_{name}_{width}x{height}"));
            assert_harmless(&desk);
            desk.input(key(KeyCode::End, KeyModifiers::CONTROL));
            assert_harmless(&desk);
            if name == "long" {
                desk.assert_snapshot(&format!("network_{name}_end_{width}x{height}"));
            }
        }
    }
}

#[test]
fn network_follows_events() {
    let mut desk = Desk::attached(80, 40, Daemon::default());
    let asked = |desk: &Desk| desk.daemon.asked.iter().filter(|request| matches!(request, Request::Status)).count();
    let before = asked(&desk);
    desk.key(KeyCode::F(3));
    assert_eq!(asked(&desk), before + 1);
    assert!(desk.shows("In reach now: 0 devices") && desk.shows("Nobody."));
    desk.input(Input::Event(Event::LinkUp(neighbour(3, None, Some("Eve")))));
    assert!(desk.shows("a stranger that calls itself “Eve” (unchecked), came to us, carries for us"), "{}", desk.screen());
    desk.input(Input::Event(Event::LinkDown(neighbour(3, None, Some("Eve")))));
    assert!(desk.shows("In reach now: 0 devices"));
    desk.input(Input::Event(Event::Notice { kind: "disk_full".into(), text: "the disk is full".into(), contact: None }));
    assert!(desk.shows("10:00        0 s ago     the disk is full"), "{}", desk.screen());
}

#[test]
fn network_claims_nothing_about_neighbours_while_the_daemon_is_away() {
    let mut desk = Desk::attached(80, 40, busy());
    desk.key(KeyCode::F(3));
    assert!(desk.shows("carol"));
    desk.input(Input::Lost("it ended".into()));
    assert!(!desk.shows("In reach now") && desk.shows("is not known"), "{}", desk.screen());
    desk.input(Input::Attached);
    assert!(desk.shows("In reach now: 3 devices"), "{}", desk.screen());
}

#[test]
fn settings_look_as_stored() {
    for (width, height) in SIZES {
        for (name, daemon) in [("default", Daemon::default()), ("hostile", hostile_daemon())] {
            let mut desk = Desk::attached(width, height, daemon);
            desk.key(KeyCode::F(5));
            desk.assert_snapshot(&format!("settings_{name}_{width}x{height}"));
            assert_harmless(&desk);
        }
        let mut desk = Desk::attached(width, height, Daemon::default());
        refuses(&mut desk.daemon, is_backup, "file", &hostile());
        run(&mut desk, &format!("/backup /{}", "long/".repeat(60)));
        desk.type_text("file");
        desk.key(KeyCode::Enter);
        desk.assert_snapshot(&format!("settings_refused_{width}x{height}"));
        assert_harmless(&desk);
    }
}

fn is_backup(request: &Request) -> bool {
    matches!(request, Request::Control(Control::Backup(_)))
}

fn is_relay(request: &Request) -> bool {
    matches!(request, Request::Command(Command::SetRelay { .. }))
}

fn last_asked(desk: &Desk) -> &Request {
    desk.daemon.asked.iter().rev().find(|request| **request != Request::Status).unwrap_or(&Request::Status)
}

#[test]
fn each_setting_is_asked_for_at_once_and_shown_when_done() {
    let mut desk = Desk::attached(80, 24, Daemon::default());
    desk.key(KeyCode::F(5));
    let mut settings = desk.daemon.settings;
    assert!(desk.shows("strangers too (mesh)"));
    desk.key(KeyCode::Enter);
    assert_eq!(last_asked(&desk), &Request::Command(Command::SetMode { mode: Mode::Contacts }));
    assert!(desk.shows("contacts only") && !desk.shows("(mesh)"), "{}", desk.screen());
    desk.key(KeyCode::Left);
    assert_eq!(last_asked(&desk), &Request::Command(Command::SetMode { mode: Mode::Mesh }));
    // Off and on, space, networks that cost: the daemon tells what holds then.
    let relays = [
        (KeyCode::Char(' '), Command::SetRelay { on: Some(false), bytes: None, metered: None }),
        (KeyCode::Right, Command::SetRelay { on: None, bytes: Some(2 << 30), metered: None }),
        (KeyCode::Enter, Command::SetRelay { on: None, bytes: None, metered: Some(false) }),
    ];
    for (code, command) in relays {
        desk.key(KeyCode::Down);
        settings.relay.on = false;
        settings.relay.bytes = 1 << 30;
        settings.relay.metered = true;
        desk.daemon.scripted.push((is_relay, Ok(Reply::Answer(Answer::Settings(settings)))));
        desk.key(code);
        assert_eq!(last_asked(&desk), &Request::Command(command));
        assert!(desk.shows("1 GiB") && desk.shows("carry there too"), "{}", desk.screen());
    }
    for command in [
        Command::SetVisible { visible: true },
        Command::SetAlerts { bell: Some(false), notify: None, content: None },
        Command::SetAlerts { bell: None, notify: Some(true), content: None },
        Command::SetAlerts { bell: None, notify: None, content: Some(true) },
    ] {
        desk.key(KeyCode::Down);
        desk.key(KeyCode::Enter);
        assert_eq!(last_asked(&desk), &Request::Command(command));
    }
    assert!(desk.shows("told to all near") && desk.shows("who wrote, and what"), "{}", desk.screen());
    desk.key(KeyCode::Down);
    desk.key(KeyCode::Enter);
    assert_eq!(desk.effects.last(), Some(&Effect::Mouse(false)));
}

#[test]
fn a_refused_setting_says_so_and_stays() {
    let mut desk = Desk::attached(80, 24, Daemon::default());
    desk.key(KeyCode::F(5));
    refuses(&mut desk.daemon, |request| matches!(request, Request::Command(Command::SetMode { .. })), "store", "the disk is full");
    desk.key(KeyCode::Enter);
    assert!(desk.shows("This was not changed: the disk is full") && desk.shows("(mesh)"), "{}", desk.screen());
    // The daemon goes away before it answers, and while it is away nothing is asked.
    desk.is_up = false;
    desk.key(KeyCode::Enter);
    assert!(desk.shows("asking"), "{}", desk.screen());
    desk.input(Input::Lost("it ended".into()));
    assert!(desk.shows("went away before it answered"), "{}", desk.screen());
    let asked = desk.daemon.asked.len();
    desk.key(KeyCode::Enter);
    assert!(desk.shows("nothing has changed") && desk.daemon.asked.len() == asked, "{}", desk.screen());
    desk.is_up = true;
    desk.input(Input::Attached);
    desk.key(KeyCode::Enter);
    assert_eq!(last_asked(&desk), &Request::Command(Command::SetMode { mode: Mode::Contacts }));
}

#[test]
fn a_backup_is_made_and_its_size_is_shown() {
    let mut desk = Desk::attached(80, 24, Daemon::default());
    desk.daemon.scripted.push((is_backup, Ok(Reply::Saved { file: "/mnt/stick/my ada".into(), bytes: 3 << 20 })));
    run(&mut desk, "/backup /mnt/stick/my ada");
    assert_eq!(last_asked(&desk), &Request::Control(Control::Backup("/mnt/stick/my ada".into())));
    assert!(desk.shows("Saved: /mnt/stick/my ada, 3 MiB."), "{}", desk.screen());
    desk.type_text("not/whole");
    let asked = desk.daemon.asked.len();
    desk.key(KeyCode::Enter);
    assert!(desk.shows("begins with / or ~/") && desk.daemon.asked.len() == asked, "{}", desk.screen());
}

#[test]
fn the_mouse_chooses_first_and_changes_then() {
    let mut desk = Desk::attached(80, 24, Daemon::default());
    desk.key(KeyCode::F(5));
    let row = desk.screen().lines().position(|line| line.contains("bell ")).map_or(0, |row| row as u16);
    let click = || mouse(MouseEventKind::Down(MouseButton::Left), 4, row);
    let asked = desk.daemon.asked.len();
    desk.input(click());
    assert!(desk.daemon.asked.len() == asked && desk.shows("Rings the terminal's bell"), "{}", desk.screen());
    desk.input(click());
    assert_eq!(last_asked(&desk), &Request::Command(Command::SetAlerts { bell: Some(false), notify: None, content: None }));
}

#[test]
fn help_looks_as_stored() {
    for (width, height) in SIZES {
        let mut desk = Desk::attached(width, height, Daemon::default());
        desk.key(KeyCode::F(1));
        desk.assert_snapshot(&format!("help_{width}x{height}"));
        desk.key(KeyCode::PageDown);
        desk.assert_snapshot(&format!("help_next_{width}x{height}"));
    }
}

#[test]
fn help_names_every_key_and_every_command() {
    let mut desk = Desk::attached(200, 200, Daemon::default());
    desk.key(KeyCode::F(1));
    let screen = desk.screen();
    for binding in hedgerow_tui::keymap::BINDINGS {
        assert!(screen.contains(binding.help), "{} is missing:\n{screen}", binding.help);
        assert!(binding.keys.iter().all(|key| screen.contains(&key.name())), "{}", binding.help);
    }
    for row in hedgerow_tui::command::COMMANDS {
        assert!(screen.contains(row.help) && screen.contains(&row.usage()), "{}", row.name);
    }
    for sign in ["○ queued", "◐ carried", "✓ delivered", "✓✓ read", "✗ expired", "✗ failed"] {
        assert!(screen.contains(sign), "{sign}");
    }
}

#[test]
fn a_question_mark_shows_the_keys_where_no_text_is_written() {
    for opener in [KeyCode::F(3), KeyCode::F(5)] {
        let mut desk = Desk::attached(80, 24, Daemon::default());
        desk.key(opener);
        desk.key(KeyCode::Char('?'));
        assert!(desk.shows("The three things to know"), "{}", desk.screen());
    }
    let mut desk = Desk::attached(80, 24, Daemon::default());
    desk.ctrl('p');
    desk.key(KeyCode::Char('?'));
    assert!(desk.shows("> ?") && !desk.shows("The three things"), "{}", desk.screen());
}

#[test]
fn the_commands_look_as_stored() {
    for (width, height) in SIZES {
        for (name, daemon, typed) in [("all", Daemon::default(), ""), ("hostile", hostile_daemon(), "gpj"), ("none", busy(), "qqq")] {
            let mut desk = Desk::attached(width, height, daemon);
            desk.ctrl('p');
            desk.type_text(typed);
            desk.assert_snapshot(&format!("commands_{name}_{width}x{height}"));
            assert_harmless(&desk);
        }
    }
}

#[test]
fn typing_finds_commands_and_conversations_best_first() {
    let mut desk = Desk::attached(80, 24, busy());
    desk.ctrl('p');
    desk.type_text("caro");
    assert!(desk.shows("\n> carol "), "{}", desk.screen());
    for _ in 0..4 {
        desk.key(KeyCode::Backspace);
    }
    desk.type_text("setngs");
    assert!(desk.shows("\n> /settings "), "{}", desk.screen());
    desk.key(KeyCode::Enter);
    assert!(desk.screen().contains("· settings"), "{}", desk.screen());
    // The list is not behind it.
    desk.key(KeyCode::Esc);
    assert!(!desk.screen().contains("· commands"), "{}", desk.screen());
}

#[test]
fn a_command_that_needs_more_is_begun() {
    let mut desk = Desk::attached(80, 24, busy());
    desk.ctrl('p');
    desk.type_text("ren");
    desk.key(KeyCode::Enter);
    assert!(desk.shows("> /rename"), "{}", desk.screen());
    desk.type_text("Bob");
    desk.key(KeyCode::Enter);
    assert!(desk.shows("Open a conversation first"), "{}", desk.screen());
    desk.ctrl('p');
    desk.key(KeyCode::Esc);
    run(&mut desk, "/mode con");
    assert!(desk.shows("/mode takes mesh or contacts"), "{}", desk.screen());
    desk.key(KeyCode::Tab);
    desk.key(KeyCode::Enter);
    assert_eq!(last_asked(&desk), &Request::Command(Command::SetMode { mode: Mode::Contacts }));
    assert!(desk.shows("contacts only: strangers carry nothing for you"), "{}", desk.screen());
}

#[test]
fn what_is_said_when_done_is_not_said_when_refused() {
    let mut desk = Desk::attached(80, 24, busy());
    refuses(&mut desk.daemon, |request| matches!(request, Request::Command(Command::SetMode { .. })), "store", "the disk is full");
    run(&mut desk, "/mode contacts");
    assert!(desk.shows("the disk is full") && !desk.shows("strangers carry nothing"), "{}", desk.screen());
}

#[test]
fn a_command_while_the_daemon_is_away_does_nothing_and_says_so() {
    let mut desk = Desk::attached(80, 24, busy());
    desk.input(Input::Lost("it ended".into()));
    let asked = desk.daemon.asked.len();
    run(&mut desk, "/hidden");
    assert!(desk.shows("nothing is done. Try again when it is back."), "{}", desk.screen());
    desk.key(KeyCode::Esc);
    run(&mut desk, "/backup /mnt/a");
    assert!(desk.shows("no backup was made") && desk.daemon.asked.len() == asked, "{}", desk.screen());
    desk.key(KeyCode::Esc);
    desk.input(Input::Attached);
    run(&mut desk, "/hidden");
    assert!(desk.shows("hidden: your name is told to contacts alone"), "{}", desk.screen());
}

#[test]
fn a_click_does_what_stands_there() {
    let mut desk = Desk::attached(80, 24, busy());
    desk.ctrl('p');
    desk.type_text("ne");
    let row = desk.screen().lines().position(|line| line.contains("/network")).map_or(0, |row| row as u16);
    desk.input(mouse(MouseEventKind::Down(MouseButton::Left), 4, row));
    assert!(desk.screen().contains("· network"), "{}", desk.screen());
}

#[test]
fn around_every_screen_it_is_said_how_things_stand() {
    for (width, height) in SIZES {
        let mut desk = Desk::attached(width, height, busy());
        desk.assert_snapshot(&format!("shell_trouble_{width}x{height}"));
        desk.input(Input::Lost("the daemon ended".into()));
        desk.pass(Duration::from_secs(61));
        desk.assert_snapshot(&format!("shell_lost_{width}x{height}"));
    }
    let mut desk = Desk::attached(80, 24, busy());
    assert!(desk.screen().lines().next().is_some_and(|line| line.ends_with("3 in reach · 2 new")), "{}", desk.screen());
    desk.daemon.status.trouble.push(Trouble { source: "store".into(), text: "the disk is full".into() });
    desk.pass(Duration::from_secs(16));
    assert!(desk.shows("the disk is full (and 1 more: F3)"), "{}", desk.screen());
    run(&mut desk, "/mouse");
    assert!(desk.shows("F8 takes it back"), "{}", desk.screen());
    desk.pass(Duration::from_secs(6));
    assert!(!desk.shows("F8 takes it back"), "{}", desk.screen());
}

#[test]
fn no_size_of_a_terminal_breaks_a_screen() {
    let mut desk = Desk::attached(80, 24, hostile_daemon());
    for (width, height) in [(1, 1), (1, 60), (200, 1), (2, 2), (3, 3), (10, 4), (20, 60), (200, 60)] {
        for code in [KeyCode::F(1), KeyCode::F(3), KeyCode::F(5)] {
            desk.resize(width, height);
            desk.key(code);
            for press in [KeyCode::Down, KeyCode::PageDown, KeyCode::Enter, KeyCode::PageUp] {
                desk.key(press);
                assert_harmless(&desk);
            }
            desk.key(KeyCode::Esc);
        }
        desk.ctrl('p');
        desk.type_text("a");
        desk.input(mouse(MouseEventKind::ScrollDown, 0, 0));
        desk.key(KeyCode::Esc);
        explains(&mut desk.daemon, hostile_explanation());
        run(&mut desk, &format!("/where {MESSAGE}"));
        assert_harmless(&desk);
        desk.key(KeyCode::Esc);
    }
}

/// The parts of the guide that are made from the tables, by the word that marks them.
fn guide_parts() -> [(&'static str, String); 4] {
    use hedgerow_tui::{
        command::COMMANDS,
        keymap::{BINDINGS, SCOPES},
        name_signs, signs,
    };
    let cell = |text: &str| text.replace('|', "\\|");
    let mut states = "| sign | state | meaning |\n| --- | --- | --- |\n".to_owned();
    for (sign, word, help) in signs() {
        states.push_str(&format!("| {sign} | {word} | {} |\n", cell(help)));
    }
    let mut names = "| sign | word | meaning |\n| --- | --- | --- |\n".to_owned();
    for (sign, word, help) in name_signs() {
        names.push_str(&format!("| {sign} | {word} | {} |\n", cell(help)));
    }
    let mut keys = String::new();
    for (scope, heading) in SCOPES {
        let of_scope: Vec<_> = BINDINGS.iter().filter(|binding| binding.scopes.first() == Some(scope)).collect();
        if of_scope.is_empty() {
            continue;
        }
        keys.push_str(&format!("\n### {heading}\n\n| key | what it does |\n| --- | --- |\n"));
        for binding in of_scope {
            keys.push_str(&format!("| {} | {} |\n", cell(&binding.key_names()), cell(binding.help)));
        }
    }
    let mut commands = "| command | what it does |\n| --- | --- |\n".to_owned();
    for row in COMMANDS {
        commands.push_str(&format!("| `{}` | {} |\n", cell(&row.usage()), cell(row.help)));
    }
    [("signs", states), ("names", names), ("keys", keys.trim_start().to_owned()), ("commands", commands)]
}

#[test]
fn the_guide_says_what_the_tables_say() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/user-guide.md");
    let guide = std::fs::read_to_string(&path).unwrap_or_default();
    let mut made = guide.clone();
    for (mark, part) in guide_parts() {
        let begin = made.find(&format!("<!-- {mark}: ")).and_then(|at| Some(at + made[at..].find('\n')? + 1));
        let end = begin.and_then(|begin| Some(begin + made[begin..].find("<!-- end -->")?));
        assert!(begin.zip(end).is_some(), "docs/user-guide.md has no place for the {mark}");
        if let (Some(begin), Some(end)) = (begin, end) {
            made.replace_range(begin..end, &format!("\n{part}\n"));
        }
    }
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        assert!(std::fs::write(&path, &made).is_ok());
        return;
    }
    assert!(guide == made, "docs/user-guide.md differs from the tables; UPDATE_SNAPSHOTS=1 stores them. They are now:\n{made}");
}
