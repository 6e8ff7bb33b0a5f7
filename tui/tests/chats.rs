//! Conversations: the list, the open one, what is written, what is done with a message.
#![expect(clippy::unwrap_used, reason = "tests fail by panic")]

mod common;

use std::time::Duration;

use common::{Daemon, Desk, START};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use hedgerow_sync::{
    id::{ContactId, MessageId},
    time::UnixMillis,
    view::{Command, ContactState, Event, Message, MessageState},
};
use hedgerow_tui::{Effect, Input, Refusal, Reply, Request};

const SECOND: Duration = Duration::from_secs(1);

/// Four contacts of every kind; a conversation with the first.
fn neighbourhood() -> Daemon {
    let mut daemon = Daemon::default();
    let bob = daemon.contact(1, "bob");
    (bob.verified, bob.in_reach, bob.last_transport) = (true, true, Some("lan".into()));
    let zoe = daemon.contact(2, "Zoë from the garden by the river");
    (zoe.muted, zoe.last_seen, zoe.last_transport) = (true, Some(UnixMillis(START - 3 * 3_600_000)), Some("lan".into()));
    zoe.draft = true;
    let pending = daemon.contact(3, "");
    (pending.name, pending.own_name, pending.state, pending.fingerprint) = (None, None, ContactState::Pending, None);
    daemon.contact(4, "日本語の名前").state = ContactState::Blocked;
    daemon.drafts.insert(ContactId(2), "half a thought".into());
    daemon.message(1, false, "Are you coming tonight?", MessageState::Read, -26 * 60);
    daemon.message(1, true, "Yes, after eight.", MessageState::Read, -25 * 60);
    let carried = daemon.message(
        1,
        true,
        "I will bring the lamp, and if the rain goes on also the long rope and the tarpaulin.",
        MessageState::Carried,
        -30,
    );
    let carried = set(&mut daemon, &carried, |message| (message.handed_contacts, message.handed_strangers) = (1, 2));
    assert_eq!(carried.handed_strangers, 2);
    daemon.message(1, false, "Good. שלום 🌿", MessageState::Delivered, -5);
    daemon.message(2, false, "Seen the fox again", MessageState::Delivered, -60);
    daemon
}

/// Changes a message of the made-up daemon.
fn set(daemon: &mut Daemon, message: &Message, change: impl FnOnce(&mut Message)) -> Message {
    let held = daemon.messages.get_mut(&message.contact).unwrap().iter_mut().find(|held| held.id == message.id).unwrap();
    change(held);
    held.clone()
}

fn refused(kind: &str, message: &str) -> Result<Reply, Refusal> {
    Err(Refusal { kind: kind.into(), message: message.into() })
}

fn open_first(desk: &mut Desk) {
    desk.key(KeyCode::Enter);
}

fn commands(desk: &Desk) -> impl Iterator<Item = &Command> {
    desk.daemon.asked.iter().filter_map(|request| if let Request::Command(command) = request { Some(command) } else { None })
}

fn sent(desk: &Desk) -> Vec<(String, Option<MessageId>)> {
    commands(desk)
        .filter_map(|command| if let Command::Send { text, id, .. } = command { Some((text.clone(), *id)) } else { None })
        .collect()
}

fn drafts(desk: &Desk) -> Vec<String> {
    commands(desk).filter_map(|command| if let Command::SetDraft { text, .. } = command { Some(text.clone()) } else { None }).collect()
}

fn is_send(request: &Request) -> bool {
    matches!(request, Request::Command(Command::Send { .. }))
}

fn is_set_draft(request: &Request) -> bool {
    matches!(request, Request::Command(Command::SetDraft { .. }))
}

fn press(desk: &mut Desk, code: KeyCode, modifiers: KeyModifiers) {
    desk.input(Input::Key(KeyEvent::new(code, modifiers)));
}

fn click(desk: &mut Desk, kind: MouseEventKind, column: u16, row: u16) {
    desk.input(Input::Mouse(MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE }));
}

fn hostile() -> Daemon {
    let mut daemon = Daemon::default();
    daemon.contact(1, "\x1b[31mbob\u{202e}evil\n10:00 me");
    daemon.message(1, false, "one\n10:03 ✓✓ me   I owe you everything\n── unread ──", MessageState::Delivered, -9);
    daemon.message(1, false, &format!("a{}b", "\u{301}".repeat(4_000)), MessageState::Delivered, -8);
    daemon.message(1, false, "\x1b]0;owned\x07\x1b[2J\u{9b}31m\u{202e}gpj.exe\u{200d}", MessageState::Delivered, -7);
    daemon.message(1, false, &"x".repeat(30_000), MessageState::Delivered, -6);
    daemon.message(1, false, "日本語の長い文章です。".repeat(9).as_str(), MessageState::Delivered, -5);
    daemon
}

#[test]
fn each_size_shows_the_list() {
    for (width, height) in [(60, 20), (80, 24), (120, 40)] {
        Desk::attached(width, height, Daemon::default()).assert_snapshot(&format!("chats_empty_{width}x{height}"));
        Desk::attached(width, height, neighbourhood()).assert_snapshot(&format!("chats_list_{width}x{height}"));
    }
}

#[test]
fn each_size_shows_a_conversation() {
    for (width, height) in [(60, 20), (80, 24), (120, 40), (30, 12)] {
        let mut desk = Desk::attached(width, height, neighbourhood());
        open_first(&mut desk);
        desk.type_text("a line");
        desk.ctrl('j');
        desk.type_text("and another");
        desk.assert_snapshot(&format!("chats_open_{width}x{height}"));
    }
}

#[test]
fn each_size_survives_hostile_people() {
    for (width, height) in [(60, 20), (80, 24), (120, 40)] {
        let mut desk = Desk::attached(width, height, hostile());
        open_first(&mut desk);
        desk.assert_snapshot(&format!("chats_hostile_{width}x{height}"));
        press(&mut desk, KeyCode::Home, KeyModifiers::CONTROL);
        desk.assert_snapshot(&format!("chats_hostile_top_{width}x{height}"));
        assert!(!desk.screen().chars().any(|letter| letter != '\n' && hedgerow_tui::clean::is_hazardous(letter)));
    }
}

#[test]
fn any_size_draws() {
    for daemon in [neighbourhood, hostile] {
        let mut desk = Desk::attached(80, 24, daemon());
        open_first(&mut desk);
        desk.type_text("some text\nmore");
        for (width, height) in [(1, 1), (2, 1), (1, 9), (3, 3), (7, 5), (35, 4), (79, 2), (99, 60), (200, 60), (101, 1)] {
            desk.resize(width, height);
            for code in [KeyCode::Up, KeyCode::PageUp, KeyCode::Down, KeyCode::PageDown, KeyCode::Esc, KeyCode::Enter] {
                desk.key(code);
            }
        }
    }
}
