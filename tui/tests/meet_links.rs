//! Contacts by a link: one of ours, and one of somebody else.

mod common;
#[path = "common/meet.rs"]
mod meet;

use common::{Daemon, Desk};
use crossterm::event::KeyCode;
use hedgerow_sync::{
    id::ContactId,
    view::{Command, ContactState, Event},
};
use hedgerow_tui::{Effect, Input};
use meet::*;

#[test]
fn a_link_lives_as_long_as_is_chosen() {
    assert_snapshots("meet_invite_lives", Daemon::default, |desk| add(desk, '2'));
    for (key, hours) in [('1', 24), ('2', 72), ('3', 336), ('4', 720)] {
        let mut desk = Desk::attached(80, 24, Daemon::default());
        add(&mut desk, '2');
        invitation(&mut desk);
        desk.key(KeyCode::Char(key));
        assert!(was_asked(&desk, &Command::Invite { hours }));
    }
    let mut desk = Desk::attached(80, 24, Daemon::default());
    invite(&mut desk);
    assert!(was_asked(&desk, &Command::Invite { hours: 336 }));
}

#[test]
fn the_link_is_shown_as_text_and_code_and_copied() {
    assert_snapshots("meet_invite_link", Daemon::default, invite);
    let mut desk = Desk::attached(80, 24, Daemon::default());
    invite(&mut desk);
    desk.ctrl('y');
    assert!(desk.effects.contains(&Effect::Copy(LINK.into())));
    assert!(desk.shows("▀"));
    desk.key(KeyCode::Tab);
    assert!(!desk.shows("▀"));
    let joined: String = desk.screen().lines().map(str::trim).collect();
    assert!(joined.contains(LINK), "{}", desk.screen());
    desk.key(KeyCode::Tab);
    for (height, has_code) in [(23, true), (21, true), (20, false)] {
        desk.resize(80, height);
        assert_eq!(desk.shows("▀"), has_code, "{}", desk.screen());
        assert!(desk.shows("Ctrl-Y copies the link."), "{}", desk.screen());
    }
    desk.resize(60, 20);
    assert!(!desk.shows("▀") && desk.shows("needs a larger terminal"), "{}", desk.screen());
}

#[test]
fn the_code_is_black_on_white_whatever_the_terminal() {
    use ratatui::style::Color;
    let mut desk = Desk::attached(80, 24, Daemon::default());
    invite(&mut desk);
    let buffer = desk.terminal.backend().buffer();
    let modules: Vec<_> = buffer.content.iter().filter(|cell| matches!(cell.symbol(), "█" | "▀" | "▄")).collect();
    assert!(modules.len() > 500);
    assert!(modules.iter().all(|cell| cell.fg == Color::White && matches!(cell.bg, Color::White | Color::Black)));
}

#[test]
fn whoever_uses_the_link_appears() {
    let used = |desk: &mut Desk| {
        invite(desk);
        told(desk, waits);
        told(desk, |contact| {
            contact.state = ContactState::Established;
            contact.name = Some("Ben".into());
            contact.fingerprint = Some(FINGERPRINT.into());
        });
    };
    assert_snapshots("meet_invite_used", Daemon::default, used);
    let mut desk = Desk::attached(80, 24, Daemon::default());
    used(&mut desk);
    desk.key(KeyCode::Enter);
    assert!(!desk.shows("has used the link"), "{}", desk.screen());
    let mut desk = Desk::attached(80, 24, Daemon::default());
    used(&mut desk);
    desk.key(KeyCode::Char('v'));
    assert!(desk.shows("Verify: compare fingerprints"), "{}", desk.screen());
}

#[test]
fn a_link_used_by_somebody_known_says_so() {
    let mut daemon = Daemon::default();
    daemon.contact(2, "Cleo");
    let mut desk = Desk::attached(80, 24, daemon);
    invite(&mut desk);
    desk.input(Input::Event(Event::ContactRemoved { contact: ContactId(5), same_as: Some(ContactId(2)) }));
    assert!(desk.shows("Cleo has used the link: you knew each other already."), "{}", desk.screen());
}

#[test]
fn a_link_that_is_dead_is_not_shown() {
    let mut desk = Desk::attached(80, 24, Daemon::default());
    invite(&mut desk);
    told(&mut desk, |contact| contact.state = ContactState::Failed);
    assert!(desk.shows("can't be used any more") && !desk.shows("hedgerow:") && !desk.shows("▀"), "{}", desk.screen());
    let mut desk = Desk::attached(80, 24, Daemon::default());
    invite(&mut desk);
    desk.input(Input::Event(Event::ContactRemoved { contact: ContactId(5), same_as: None }));
    assert!(desk.shows("can't be used any more") && !desk.shows("hedgerow:"), "{}", desk.screen());
    desk.ctrl('y');
    assert!(!desk.effects.contains(&Effect::Copy(LINK.into())));
}

#[test]
fn the_link_is_not_in_debug() {
    let mut desk = Desk::attached(80, 24, Daemon::default());
    invite(&mut desk);
    assert!(!format!("{:?}", desk.app).contains("abcdefgh"), "{:?}", desk.app);
}

#[test]
fn a_link_that_was_not_made_says_why_and_a_lost_one_too() {
    let mut desk = Desk::attached(80, 24, Daemon::default());
    script(&mut desk, is_invite, refuse("too_many", "too many links waiting for an answer at once"));
    add(&mut desk, '2');
    desk.key(KeyCode::Enter);
    assert!(desk.shows("Too many links waiting for an answer at once."), "{}", desk.screen());
    desk.is_up = false;
    desk.key(KeyCode::Enter);
    assert!(desk.shows("Making the link"));
    desk.input(Input::Lost("gone".into()));
    assert!(desk.shows("may or may not be done"), "{}", desk.screen());
    desk.is_up = true;
    desk.input(Input::Attached);
    invitation(&mut desk);
    desk.key(KeyCode::Enter);
    assert!(desk.shows("Works once, until 6 Dec 10:00."), "{}", desk.screen());
    // What is shown stays while the daemon is away.
    desk.input(Input::Lost("gone".into()));
    desk.input(Input::Attached);
    assert!(desk.shows("Works once"), "{}", desk.screen());
}

#[test]
fn a_link_is_taken_with_text_around_it() {
    let mut desk = Desk::attached(80, 24, Daemon::default());
    add(&mut desk, '3');
    desk.input(Input::Paste(format!("Hi Ada,\r\nhere it is: {LINK}\r\nsee you!\n")));
    desk.key(KeyCode::Tab);
    desk.type_text("Dora");
    desk.key(KeyCode::Down);
    desk.input(Input::Paste("Hello\nthere".into()));
    added(&mut desk, ContactState::Pending);
    desk.key(KeyCode::Enter);
    let expected = Command::AddContact {
        link: format!("Hi Ada, here it is: {LINK} see you! "),
        alias: Some("Dora".into()),
        message: Some("Hello\nthere".into()),
    };
    assert!(was_asked(&desk, &expected), "{:?}", commands(&desk));
    assert!(!desk.shows("The link that you were given") && desk.shows("Waiting for the answer"), "{}", desk.screen());
}

#[test]
fn what_stays_empty_is_not_sent_and_an_empty_link_is_asked_for() {
    let mut desk = Desk::attached(80, 24, Daemon::default());
    add(&mut desk, '3');
    desk.key(KeyCode::Enter);
    assert!(desk.shows("Paste the link first"), "{}", desk.screen());
    desk.type_text(LINK);
    added(&mut desk, ContactState::Established);
    desk.key(KeyCode::Enter);
    assert!(was_asked(&desk, &Command::AddContact { link: LINK.into(), alias: None, message: None }));
    assert!(desk.shows("whom you had added before"), "{}", desk.screen());
}

#[test]
fn the_form_at_each_size_empty_full_and_refused() {
    assert_snapshots("meet_paste_empty", Daemon::default, |desk| add(desk, '3'));
    let fill = |desk: &mut Desk| {
        add(desk, '3');
        desk.input(Input::Paste(format!("Hi, here it is: {LINK} see you!")));
        desk.key(KeyCode::Tab);
        desk.input(Input::Paste("日本語の名前".into()));
        desk.key(KeyCode::Tab);
        desk.input(Input::Paste("a line\nof several, long enough to wrap at every size of a terminal. ".repeat(6)));
    };
    assert_snapshots("meet_paste_full", Daemon::default, fill);
    assert_snapshots("meet_paste_refused", Daemon::default, |desk| {
        fill(desk);
        script(desk, is_add, refuse("link", "this link can't be used: it has expired; ask for a new one"));
        desk.key(KeyCode::Enter);
    });
}

#[test]
fn a_flood_is_cut_and_said() {
    let mut desk = Desk::attached(80, 24, Daemon::default());
    add(&mut desk, '3');
    desk.input(Input::Paste("x\u{1b}[2J\u{202e}".repeat(30_000)));
    assert!(says(&desk, "Paste the link alone."), "{}", desk.screen());
    assert_harmless(&desk);
    desk.key(KeyCode::BackTab);
    desk.input(Input::Paste(format!("{HOSTILE}{}", "e\u{301}".repeat(4_000))));
    assert!(says(&desk, "Write the rest in the conversation."), "{}", desk.screen());
    assert_harmless(&desk);
    script(&mut desk, is_add, refuse("link", &format!("this link can't be used: {HOSTILE}{}", "y".repeat(30_000))));
    desk.key(KeyCode::Enter);
    assert_harmless(&desk);
}

#[test]
fn a_lost_answer_says_that_it_can_be_asked_again() {
    let mut desk = Desk::attached(80, 24, Daemon::default());
    add(&mut desk, '3');
    desk.type_text(LINK);
    desk.is_up = false;
    desk.key(KeyCode::Enter);
    desk.key(KeyCode::Enter);
    desk.input(Input::Lost("gone".into()));
    assert!(desk.shows("Doing it twice does no harm."), "{}", desk.screen());
    desk.key(KeyCode::Enter);
    assert!(desk.shows("There is no connection to the daemon"), "{}", desk.screen());
    desk.is_up = true;
    desk.input(Input::Attached);
    added(&mut desk, ContactState::Pending);
    desk.key(KeyCode::Enter);
    assert!(!desk.shows("The link that you were given"), "{}", desk.screen());
}

#[test]
fn a_click_chooses_the_field() {
    let mut desk = Desk::attached(80, 24, Daemon::default());
    add(&mut desk, '3');
    click(&mut desk, "What you call them");
    desk.type_text("Dora");
    desk.key(KeyCode::BackTab);
    desk.type_text(LINK);
    added(&mut desk, ContactState::Pending);
    desk.key(KeyCode::Enter);
    assert!(was_asked(&desk, &Command::AddContact { link: LINK.into(), alias: Some("Dora".into()), message: None }));
}
