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

#[test]
fn the_newest_conversation_stands_first_then_names() {
    let mut daemon = neighbourhood();
    daemon.contact(5, "anna");
    let mut desk = Desk::attached(60, 20, daemon);
    let place = |desk: &Desk, name: &str| desk.screen().find(name).unwrap();
    assert!(place(&desk, "bob") < place(&desk, "Zoë") && place(&desk, "Zoë") < place(&desk, "anna"));
    let new = desk.daemon.message(2, false, "newer", MessageState::Delivered, 1);
    desk.input(Input::Event(Daemon::event(&new)));
    assert!(place(&desk, "Zoë") < place(&desk, "bob"));
    desk.key(KeyCode::Enter);
    assert!(desk.shows("Good. שלום"), "the choice stays where it was");
}

#[test]
fn typing_finds_by_name_and_esc_shows_all_again() {
    let mut desk = Desk::attached(60, 20, neighbourhood());
    desk.type_text("zo");
    assert!(desk.shows("Zoë") && !desk.shows("bob"));
    desk.type_text("x");
    assert!(desk.shows("Nobody is called that"));
    desk.key(KeyCode::Backspace);
    desk.key(KeyCode::Enter);
    assert!(desk.shows("Seen the fox again"));
    desk.key(KeyCode::Esc);
    assert!(desk.shows("bob") && desk.shows("Zoë"));
    desk.type_text("x");
    desk.key(KeyCode::Esc);
    assert!(desk.shows("bob"));
}

#[test]
fn conversations_are_switched_from_inside() {
    let mut desk = Desk::attached(60, 20, neighbourhood());
    open_first(&mut desk);
    press(&mut desk, KeyCode::Down, KeyModifiers::CONTROL);
    assert!(desk.shows("Seen the fox again"));
    press(&mut desk, KeyCode::Up, KeyModifiers::ALT);
    assert!(desk.shows("Good. שלום"));
    desk.ctrl('n');
    assert!(desk.shows("Seen the fox again"));
    desk.pass(2 * SECOND);
    desk.pass(2 * SECOND);
    desk.key(KeyCode::Esc);
    desk.ctrl('n');
    desk.pass(2 * SECOND);
    desk.ctrl('n');
    assert!(desk.shows("Nothing unread in other conversations"), "{}", desk.screen());
}

#[test]
fn a_thousand_contacts_are_listed() {
    let mut daemon = Daemon::default();
    for number in 1..=1_000 {
        daemon.contact(number, &format!("contact {number:04}"));
    }
    let mut desk = Desk::attached(80, 24, daemon);
    press(&mut desk, KeyCode::End, KeyModifiers::CONTROL);
    assert!(desk.shows("contact 1000"));
    desk.key(KeyCode::Enter);
    assert!(desk.shows("Write to contact 1000 below"), "{}", desk.screen());
}

#[test]
fn words_stand_for_signs_where_wanted() {
    let mut desk = Desk::attached(80, 24, neighbourhood());
    desk.app = hedgerow_tui::App::new(
        hedgerow_tui::Options {
            theme: hedgerow_tui::theme::Theme::plain(),
            words: true,
            civil: common::civil,
            banner: None,
            home: None,
            seed: [1; 32],
        },
        hedgerow_tui::Start::Daemon,
        (80, 24),
        desk.now,
    );
    desk.input(Input::Attached);
    open_first(&mut desk);
    assert!(desk.shows("carried") && desk.shows("verified"));
    assert!(!["◆", "✓", "◐", "●", "✎"].iter().any(|sign| desk.shows(sign)), "{}", desk.screen());
}

#[test]
fn what_is_sent_is_shown_at_once_and_once() {
    let mut desk = Desk::attached(80, 24, neighbourhood());
    open_first(&mut desk);
    desk.is_up = false;
    desk.type_text("on its way");
    desk.key(KeyCode::Enter);
    assert!(desk.shows("on its way") && desk.shows("sending…"));
    assert!(!desk.shows("> on its way"));
    desk.is_up = true;
    desk.input(Input::Lost("it was stopped".into()));
    assert!(desk.shows("not sent yet"));
    desk.input(Input::Attached);
    let sent = sent(&desk);
    assert_eq!(sent.len(), 1, "only the second request reached the daemon");
    let message = desk.daemon.messages[&ContactId(1)].last().unwrap().clone();
    assert_eq!(Some(message.id), sent[0].1);
    desk.input(Input::Event(Daemon::event(&message)));
    assert_eq!(desk.screen().matches("on its way").count(), 1);
    assert!(!desk.shows("sending…"));
}

#[test]
fn a_text_whose_answer_was_lost_is_sent_again_under_its_id() {
    let mut desk = Desk::attached(80, 24, neighbourhood());
    open_first(&mut desk);
    desk.daemon.scripted.push((is_send, Err(Refusal::gone())));
    desk.type_text("once");
    desk.key(KeyCode::Enter);
    desk.input(Input::Lost("it crashed".into()));
    assert!(desk.shows("once"));
    desk.input(Input::Attached);
    let sent = sent(&desk);
    assert_eq!(sent.len(), 2);
    assert_eq!(sent[0], sent[1]);
    assert!(sent[0].1.is_some());
}

#[test]
fn ids_differ_by_text_and_by_interface() {
    let mut desk = Desk::attached(80, 24, neighbourhood());
    open_first(&mut desk);
    for _ in 0..2 {
        desk.type_text("same");
        desk.key(KeyCode::Enter);
    }
    let sent = sent(&desk);
    assert_ne!(sent[0].1, sent[1].1);
}

#[test]
fn a_refused_text_is_back_in_its_field_with_the_reason() {
    for (kind, why) in [("disk_full", "the disk is full"), ("contact_state", "this contact is blocked"), ("text_length", "too long")] {
        let mut desk = Desk::attached(80, 24, neighbourhood());
        open_first(&mut desk);
        desk.daemon.scripted.push((is_send, refused(kind, why)));
        desk.type_text("precious");
        desk.key(KeyCode::Enter);
        assert!(desk.shows("> precious") && desk.shows(why), "{}", desk.screen());
        desk.pass(2 * SECOND);
        assert_eq!(desk.daemon.drafts[&ContactId(1)], "precious");
    }
}

#[test]
fn what_was_written_meanwhile_stays_behind_what_comes_back() {
    let mut desk = Desk::attached(80, 24, neighbourhood());
    open_first(&mut desk);
    desk.is_up = false;
    desk.type_text("first");
    desk.key(KeyCode::Enter);
    desk.type_text("second");
    desk.is_up = true;
    desk.daemon.scripted.push((is_send, refused("disk_full", "the disk is full")));
    desk.input(Input::Lost("gone".into()));
    desk.input(Input::Attached);
    assert!(desk.shows("> first\n") || desk.shows("> first") && desk.shows("  second"), "{}", desk.screen());
}

#[test]
fn while_the_daemon_is_away_nothing_is_sent_and_nothing_lost() {
    let mut desk = Desk::attached(80, 24, neighbourhood());
    open_first(&mut desk);
    desk.input(Input::Lost("it was stopped".into()));
    desk.type_text("still here");
    desk.key(KeyCode::Enter);
    assert!(desk.shows("> still here") && desk.shows("Not sent"));
    assert!(desk.shows("Good. שלום"), "what was loaded is still seen");
    desk.pass(3 * SECOND);
    assert!(sent(&desk).is_empty() && drafts(&desk).is_empty());
    desk.input(Input::Attached);
    assert_eq!(drafts(&desk), ["still here"]);
    assert!(desk.shows("> still here"));
}

#[test]
fn drafts_are_kept_within_a_second_though_typing_goes_on() {
    let mut desk = Desk::attached(80, 24, neighbourhood());
    open_first(&mut desk);
    for letter in "abcdefgh".chars() {
        desk.key(KeyCode::Char(letter));
        desk.pass(Duration::from_millis(300));
    }
    assert!(!drafts(&desk).is_empty());
    desk.pass(2 * SECOND);
    assert_eq!(desk.daemon.drafts[&ContactId(1)], "abcdefgh");
    let count = drafts(&desk).len();
    desk.pass(20 * SECOND);
    assert_eq!(drafts(&desk).len(), count, "what is kept is not kept again");
}

#[test]
fn drafts_are_kept_on_switching_locking_and_leaving() {
    for leave in [
        |desk: &mut Desk| press(desk, KeyCode::Down, KeyModifiers::CONTROL),
        |desk: &mut Desk| desk.key(KeyCode::Esc),
        |desk: &mut Desk| desk.key(KeyCode::F(9)),
        |desk: &mut Desk| (0..2).for_each(|_| desk.ctrl('c')),
    ] {
        let mut desk = Desk::attached(80, 24, neighbourhood());
        open_first(&mut desk);
        desk.type_text("half");
        leave(&mut desk);
        assert_eq!(desk.daemon.drafts[&ContactId(1)], "half");
    }
}

#[test]
fn a_draft_is_loaded_and_sending_clears_it() {
    let mut desk = Desk::attached(60, 20, neighbourhood());
    desk.type_text("zo");
    desk.key(KeyCode::Enter);
    assert!(desk.shows("> half a thought"));
    desk.key(KeyCode::Enter);
    assert_eq!(sent(&desk)[0].0, "half a thought");
    assert_eq!(desk.daemon.drafts[&ContactId(2)], "");
}

#[test]
fn a_draft_that_comes_late_stands_before_what_is_written() {
    let mut desk = Desk::attached(60, 20, neighbourhood());
    let refusal: fn(&Request) -> bool = |request| matches!(request, Request::Command(Command::Draft { .. }));
    for _ in 0..2 {
        desk.daemon.scripted.push((refusal, refused("store", "the disk is slow")));
    }
    desk.type_text("zo");
    desk.key(KeyCode::Enter);
    desk.type_text("more");
    desk.pass(8 * SECOND);
    assert!(drafts(&desk).is_empty(), "what the daemon keeps must not be overwritten unseen");
    desk.pass(5 * SECOND);
    assert!(desk.shows("> half a thought") && desk.shows("  more"), "{}", desk.screen());
    desk.pass(3 * SECOND);
    assert_eq!(desk.daemon.drafts[&ContactId(2)], "half a thought\nmore");
}

#[test]
fn a_draft_that_is_refused_is_said_and_kept_later() {
    let mut desk = Desk::attached(80, 24, neighbourhood());
    open_first(&mut desk);
    desk.daemon.scripted.push((is_set_draft, refused("disk_full", "the disk is full")));
    desk.type_text("fragile");
    desk.pass(2 * SECOND);
    assert!(desk.shows("not on the disk yet"), "{}", desk.screen());
    desk.pass(6 * SECOND);
    assert_eq!(desk.daemon.drafts[&ContactId(1)], "fragile");
    assert!(!desk.shows("not on the disk yet"));
}

#[test]
fn a_contact_that_is_another_one_takes_what_is_written_along() {
    let mut desk = Desk::attached(80, 24, neighbourhood());
    open_first(&mut desk);
    desk.type_text("to whom");
    desk.input(Input::Event(Event::ContactRemoved { contact: ContactId(1), same_as: Some(ContactId(4)) }));
    assert!(desk.shows("> to whom") && desk.shows("日本語の名前 ·"), "{}", desk.screen());
    desk.input(Input::Event(Event::ContactRemoved { contact: ContactId(4), same_as: None }));
    assert!(desk.shows("This contact was removed"));
}

#[test]
fn commands_are_never_sent_as_text() {
    let mut desk = Desk::attached(80, 24, neighbourhood());
    open_first(&mut desk);
    desk.type_text("/frobnicate now");
    desk.key(KeyCode::Enter);
    assert!(sent(&desk).is_empty() && desk.shows("> /frobnicate now"));
    desk.ctrl('u');
    desk.type_text("//etc");
    desk.key(KeyCode::Enter);
    assert_eq!(sent(&desk)[0].0, "/etc");
}

#[test]
fn nothing_but_spaces_is_not_sent() {
    let mut desk = Desk::attached(80, 24, neighbourhood());
    open_first(&mut desk);
    desk.type_text("   ");
    desk.key(KeyCode::Enter);
    assert!(sent(&desk).is_empty());
}

#[test]
fn the_limit_is_shown_when_near_and_said_when_passed() {
    let mut desk = Desk::attached(80, 24, neighbourhood());
    open_first(&mut desk);
    desk.input(Input::Paste("y".repeat(3_600)));
    assert!(!desk.shows("bytes left"));
    desk.type_text("z");
    assert!(desk.shows("299 bytes left"));
    desk.input(Input::Paste("y".repeat(400)));
    assert!(desk.shows("Only the first part had room"));
    desk.key(KeyCode::Enter);
    assert_eq!(sent(&desk)[0].0.len(), 3_900);
}

#[test]
fn messages_are_read_after_half_a_second_in_front() {
    let mark = |desk: &Desk| commands(desk).filter(|command| matches!(command, Command::MarkRead { .. })).count();
    let mut desk = Desk::attached(80, 24, neighbourhood());
    desk.pass(5 * SECOND);
    assert_eq!(mark(&desk), 0, "the list alone shows no message");
    open_first(&mut desk);
    desk.pass(Duration::from_millis(400));
    assert_eq!(mark(&desk), 0);
    desk.pass(Duration::from_millis(200));
    assert_eq!(mark(&desk), 1);
    assert!(desk.shows("── unread"), "the separator stays while it is open");
    desk.pass(5 * SECOND);
    assert_eq!(mark(&desk), 1);
}

#[test]
fn what_is_covered_or_locked_is_not_read() {
    let mark = |desk: &Desk| commands(desk).filter(|command| matches!(command, Command::MarkRead { .. })).count();
    for cover in [KeyCode::F(1), KeyCode::F(9)] {
        let mut desk = Desk::attached(80, 24, neighbourhood());
        open_first(&mut desk);
        desk.key(cover);
        desk.pass(20 * SECOND);
        assert_eq!(mark(&desk), 0, "{cover:?}");
        if cover == KeyCode::F(1) {
            desk.key(KeyCode::Esc);
            assert_eq!(mark(&desk), 0);
            desk.pass(SECOND);
            assert_eq!(mark(&desk), 1);
        }
    }
}

/// A conversation of so many messages, all read.
fn long(messages: usize) -> Daemon {
    let mut daemon = Daemon::default();
    daemon.contact(1, "bob");
    for number in 0..messages {
        daemon.message(1, number % 3 == 0, &format!("message {number:04}"), MessageState::Read, number as i64 - messages as i64);
    }
    daemon
}

#[test]
fn the_view_stays_while_messages_come_and_tells_how_many() {
    let mut desk = Desk::attached(80, 24, long(100));
    open_first(&mut desk);
    assert!(desk.shows("message 0099"));
    desk.key(KeyCode::PageUp);
    let before = desk.screen();
    for number in 0..3 {
        let new = desk.daemon.message(1, false, &format!("news {number}"), MessageState::Delivered, number);
        desk.input(Input::Event(Daemon::event(&new)));
    }
    assert!(desk.shows("3 new ↓") && !desk.shows("news 0"));
    let messages = |screen: &str| screen.lines().filter(|line| line.contains("message 00")).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(messages(&before), messages(&desk.screen()));
    press(&mut desk, KeyCode::End, KeyModifiers::CONTROL);
    assert!(desk.shows("news 2") && !desk.shows("new ↓"));
}

#[test]
fn older_messages_are_loaded_before_the_top_is_seen() {
    let pages = |desk: &Desk| {
        let is_page = |command: &&Command| matches!(command, Command::Messages { before: Some(_), limit: Some(200), .. });
        commands(desk).filter(is_page).count()
    };
    let mut desk = Desk::attached(80, 24, long(500));
    open_first(&mut desk);
    assert_eq!(pages(&desk), 0);
    for _ in 0..9 {
        desk.key(KeyCode::PageUp);
    }
    assert_eq!(pages(&desk), 1);
    for _ in 0..30 {
        desk.key(KeyCode::PageUp);
    }
    assert!(desk.shows("message 0000"));
    assert_eq!(pages(&desk), 2);
    desk.key(KeyCode::PageUp);
    assert!(desk.shows("message 0000"));
    for _ in 0..40 {
        desk.key(KeyCode::PageDown);
    }
    assert!(desk.shows("message 0499"));
}

#[test]
fn a_page_that_is_refused_is_not_asked_for_again_and_again() {
    let mut desk = Desk::attached(80, 24, long(500));
    open_first(&mut desk);
    let is_page: fn(&Request) -> bool = |request| matches!(request, Request::Command(Command::Messages { before: Some(_), .. }));
    desk.daemon.scripted.push((is_page, refused("store", "the disk is gone")));
    for _ in 0..20 {
        desk.key(KeyCode::PageUp);
    }
    assert_eq!(desk.daemon.asked.iter().filter(|request| is_page(request)).count(), 1);
    desk.input(Input::Lost("it was stopped".into()));
    desk.input(Input::Attached);
    assert_eq!(desk.daemon.asked.iter().filter(|request| is_page(request)).count(), 2);
}

#[test]
fn up_chooses_messages_and_down_comes_back() {
    let mut desk = Desk::attached(80, 24, neighbourhood());
    open_first(&mut desk);
    desk.type_text("two");
    desk.ctrl('j');
    desk.type_text("lines");
    desk.key(KeyCode::Up);
    desk.key(KeyCode::Up);
    desk.key(KeyCode::Up);
    assert!(desk.shows("carried by 1 contact, 2 strangers"), "{}", desk.screen());
    desk.assert_snapshot("chats_chosen_80x24");
    desk.ctrl('y');
    assert!(
        desk.effects.contains(&Effect::Copy("I will bring the lamp, and if the rain goes on also the long rope and the tarpaulin.".into()))
    );
    desk.key(KeyCode::Down);
    desk.key(KeyCode::Down);
    assert!(!desk.shows("came today"));
    desk.type_text("!");
    assert!(desk.shows("> two!"), "the cursor is where it was: {}", desk.screen());
    desk.key(KeyCode::Up);
    desk.key(KeyCode::Esc);
    desk.key(KeyCode::Enter);
    assert_eq!(sent(&desk)[0].0, "two!\nlines");
}

#[test]
fn the_menu_offers_what_makes_sense() {
    let mut daemon = neighbourhood();
    daemon.message(1, true, "not left", MessageState::Queued, -2);
    let failed = daemon.message(1, true, "gone wrong", MessageState::Failed, -1);
    set(&mut daemon, &failed, |message| message.why = Some("the link ran out".into()));
    let mut desk = Desk::attached(80, 24, daemon);
    open_first(&mut desk);
    assert!(desk.shows("the link ran out"));
    desk.key(KeyCode::Up);
    desk.key(KeyCode::Enter);
    assert!(desk.shows("Send it again") && !desk.shows("Take it back"));
    desk.assert_snapshot("message_failed_80x24");
    let retry: fn(&Request) -> bool = |request| matches!(request, Request::Command(Command::Retry { .. }));
    desk.daemon.scripted.push((retry, refused("store", "the disk is gone")));
    desk.ctrl('r');
    assert!(desk.shows("the disk is gone") && desk.shows("Send it again"));
    desk.daemon.scripted.push((retry, Ok(Reply::Done)));
    desk.key(KeyCode::Down);
    desk.key(KeyCode::Down);
    desk.key(KeyCode::Enter);
    assert!(desk.shows("It is sent again") && desk.shows("bob · verified"));
    desk.key(KeyCode::Up);
    desk.key(KeyCode::Enter);
    assert!(desk.shows("Take it back") && !desk.shows("Send it again"));
    desk.input(Input::Lost("it was stopped".into()));
    // Drawn anew: what a wide letter leaves behind in the terminal of the tests is not there in a real one.
    desk.resize(80, 24);
    desk.assert_snapshot("message_lost_80x24");
    desk.key(KeyCode::Esc);
    desk.input(Input::Attached);
    let cancel: fn(&Request) -> bool = |request| matches!(request, Request::Command(Command::Cancel { .. }));
    desk.daemon.scripted.push((cancel, Ok(Reply::Done)));
    desk.ctrl('x');
    assert!(desk.daemon.asked.iter().any(cancel) && desk.shows("Taken back"));
    desk.ctrl('r');
    assert!(desk.shows("Only your messages that failed"));
}

#[test]
fn a_hostile_message_is_harmless_in_its_menu() {
    for (width, height) in [(60, 20), (80, 24), (120, 40)] {
        let mut desk = Desk::attached(width, height, hostile());
        open_first(&mut desk);
        for _ in 0..3 {
            desk.key(KeyCode::Up);
        }
        desk.key(KeyCode::Enter);
        desk.assert_snapshot(&format!("message_hostile_{width}x{height}"));
        assert!(!desk.screen().chars().any(|letter| letter != '\n' && hedgerow_tui::clean::is_hazardous(letter)));
    }
}

#[test]
fn the_mouse_opens_chooses_and_scrolls() {
    let mut desk = Desk::attached(80, 24, neighbourhood());
    let left = MouseEventKind::Down(MouseButton::Left);
    click(&mut desk, left, 3, 4);
    assert!(desk.shows("Seen the fox again"));
    click(&mut desk, left, 3, 2);
    let y = desk.screen().lines().position(|line| line.contains("after eight")).unwrap();
    click(&mut desk, left, 50, y as u16);
    desk.key(KeyCode::Enter);
    assert!(desk.shows("Where is it?") && desk.shows("Yes, after eight."));
    let mut desk = Desk::attached(80, 24, long(100));
    open_first(&mut desk);
    for _ in 0..4 {
        click(&mut desk, MouseEventKind::ScrollUp, 50, 8);
    }
    assert!(!desk.shows("message 0099") && desk.shows("newer below"));
    for _ in 0..4 {
        click(&mut desk, MouseEventKind::ScrollDown, 50, 8);
    }
    assert!(desk.shows("message 0099") && !desk.shows("newer below"));
}

#[test]
fn how_long_ago_somebody_was_seen_goes_on_while_nobody_types() {
    let mut daemon = neighbourhood();
    daemon.contact(2, "Zoë").last_seen = Some(UnixMillis(START - 3_000));
    let mut desk = Desk::attached(80, 24, daemon);
    assert!(desk.shows("3 s ago"), "{}", desk.screen());
    desk.pass(Duration::from_secs(4));
    assert!(desk.shows("7 s ago"), "{}", desk.screen());
    desk.pass(Duration::from_secs(180));
    assert!(desk.shows("3 min ago"), "{}", desk.screen());
}

fn link_to_bob() -> hedgerow_sync::view::Neighbour {
    hedgerow_sync::view::Neighbour {
        link: 1,
        transport: "lan".into(),
        contact: Some(ContactId(1)),
        name: Some("bob".into()),
        outbound: true,
        carries: true,
        claimed_name: None,
    }
}

#[test]
fn why_a_message_waits_is_asked_anew_when_a_link_goes() {
    let mut daemon = neighbourhood();
    daemon.message(1, true, "Are you there?", MessageState::Queued, 0);
    let mut desk = Desk::attached(80, 24, daemon);
    open_first(&mut desk);
    desk.daemon.messages.get_mut(&ContactId(1)).unwrap().last_mut().unwrap().why = Some("no device is in reach".into());
    assert!(!desk.shows("; no device"));
    desk.input(Input::Event(Event::LinkDown(link_to_bob())));
    assert!(desk.shows("only on this device so far; no device"), "{}", desk.screen());
}

#[test]
fn nobody_is_in_reach_of_a_daemon_that_is_away() {
    let mut desk = Desk::attached(80, 24, neighbourhood());
    assert!(desk.shows("in reach, LAN"));
    desk.input(Input::Lost("the daemon ended".into()));
    assert!(!desk.shows("in reach") && !desk.shows("●"), "{}", desk.screen());
}
