//! How people meet: the ways to add a contact, nearby, by a link, and the contact's own screen.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panic")]

mod common;

use std::time::Duration;

use common::{Daemon, Desk, START};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use hedgerow_sync::{
    id::ContactId,
    time::UnixMillis,
    view::{Added, Answer, Command, Contact, ContactState, Event, Invitation, Nearby, NearbyPeer, NearbyState, Removed},
};
use hedgerow_tui::{Effect, Input, Refusal, Reply, Request};

const SIZES: [(u16, u16); 3] = [(60, 20), (80, 24), (120, 40)];
const LINK: &str = "hedgerow:abcdefghijklmnopqrstuvwxyz234567abcdefghijklmnopqrstuvwxyz234567abcdefghijklmnopqrstuvwxyzab";
const FINGERPRINT: &str = "aaaa bbbb cccc dddd eeee ffff 2222 3333";
/// A right-to-left override, an escape, a zero-width join, and a heap of marks.
const HOSTILE: &str = "Ben\u{202e}\u{1b}]0;x\u{7}\u{200d}e\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}";

type Script = fn(&Request) -> bool;

/// The screen at each size, stored as `NAME_80x24`.
fn assert_snapshots(name: &str, daemon: impl Fn() -> Daemon, go: impl Fn(&mut Desk)) {
    for (width, height) in SIZES {
        let mut desk = Desk::attached(width, height, daemon());
        go(&mut desk);
        desk.assert_snapshot(&format!("{name}_{width}x{height}"));
    }
}

fn add(desk: &mut Desk, way: char) {
    desk.key(KeyCode::F(2));
    desk.key(KeyCode::Char(way));
}

fn commands(desk: &Desk) -> Vec<Command> {
    let of = |request: &Request| match request {
        Request::Command(command) => Some(command.clone()),
        _ => None,
    };
    desk.daemon.asked.iter().filter_map(of).collect()
}

fn was_asked(desk: &Desk, command: &Command) -> bool {
    commands(desk).contains(command)
}

fn refuse(kind: &str, message: &str) -> Result<Reply, Refusal> {
    Err(Refusal { kind: kind.into(), message: message.into() })
}

fn click(desk: &mut Desk, text: &str) {
    let screen = desk.screen();
    let row = screen.lines().position(|line| line.contains(text)).unwrap_or_else(|| panic!("no {text:?} in\n{screen}"));
    let kind = MouseEventKind::Down(MouseButton::Left);
    desk.input(Input::Mouse(MouseEvent { kind, column: 8, row: row as u16, modifiers: KeyModifiers::NONE }));
}

/// Whether the screen says this, over the ends of lines.
fn says(desk: &Desk, words: &str) -> bool {
    desk.screen().split_whitespace().collect::<Vec<_>>().join(" ").contains(words)
}

/// Nothing that could steer a terminal is on the screen.
fn assert_harmless(desk: &Desk) {
    assert!(!desk.screen().chars().any(|letter| letter != '\n' && hedgerow_tui::clean::is_hazardous(letter)), "{}", desk.screen());
}

// The ways.

#[test]
fn the_ways_are_shown_with_their_price() {
    assert_snapshots("meet_add", Daemon::default, |desk| desk.key(KeyCode::F(2)));
}

#[test]
fn a_link_pasted_among_the_ways_is_taken_up() {
    let mut desk = Desk::attached(80, 24, Daemon::default());
    desk.key(KeyCode::F(2));
    desk.input(Input::Paste(LINK.into()));
    added(&mut desk, ContactState::Pending);
    desk.key(KeyCode::Enter);
    assert!(was_asked(&desk, &Command::AddContact { link: LINK.into(), alias: None, message: None }));
}

#[test]
fn each_way_opens_by_key_by_enter_and_by_click() {
    for (index, (key, title, first)) in
        [('1', "Nearby", "in the room"), ('2', "Make a link", "How long"), ('3', "Use a link", "that you were given")]
            .into_iter()
            .enumerate()
    {
        let mut desk = Desk::attached(80, 24, Daemon::default());
        add(&mut desk, key);
        assert!(desk.shows(first), "{}", desk.screen());
        desk.key(KeyCode::Esc);
        assert!(desk.shows("How do you want to meet?"));
        click(&mut desk, title);
        assert!(desk.shows(first), "{}", desk.screen());
        desk.key(KeyCode::Esc);
        for _ in 0..index {
            desk.key(KeyCode::Down);
        }
        desk.key(KeyCode::Enter);
        assert!(desk.shows(first), "{}", desk.screen());
    }
}

// Nearby.

fn peer(number: u32, name: &str, state: NearbyState) -> NearbyPeer {
    let words = matches!(state, NearbyState::Comparing | NearbyState::Confirmed)
        .then(|| ["amber", "walnut", "river", "candle"].map(str::to_owned).to_vec());
    let contact = (state == NearbyState::Established).then_some(ContactId(number));
    NearbyPeer { peer: number, name: name.into(), transport: "lan".into(), state, words, contact, why: None }
}

fn window(desk: &Desk, peers: Vec<NearbyPeer>) -> Nearby {
    Nearby { until: Some(UnixMillis(desk.now.wall.0 + 103_000)), mismatches: 0, peers }
}

fn sees(desk: &mut Desk, peers: Vec<NearbyPeer>) {
    let nearby = window(desk, peers);
    desk.daemon.nearby = nearby.clone();
    desk.input(Input::Event(Event::Nearby(nearby)));
}

fn script(desk: &mut Desk, fits: Script, answer: Result<Reply, Refusal>) {
    desk.daemon.scripted.push((fits, answer));
}

fn is_nearby_step(request: &Request) -> bool {
    matches!(
        request,
        Request::Command(Command::NearbyOpen {} | Command::NearbyClose {} | Command::NearbyAdd { .. } | Command::NearbyConfirm { .. })
    )
}

fn answer_nearby(desk: &mut Desk) {
    let nearby = desk.daemon.nearby.clone();
    script(desk, is_nearby_step, Ok(Reply::Answer(Answer::Nearby(nearby))));
}

#[test]
fn nearby_says_first_what_it_does_and_opens_on_enter() {
    assert_snapshots("meet_nearby_closed", Daemon::default, |desk| add(desk, '1'));
    let mut desk = Desk::attached(80, 24, Daemon::default());
    add(&mut desk, '1');
    assert!(!was_asked(&desk, &Command::NearbyOpen {}));
    let nearby = window(&desk, Vec::new());
    script(&mut desk, is_nearby_step, Ok(Reply::Answer(Answer::Nearby(nearby))));
    desk.key(KeyCode::Enter);
    assert!(was_asked(&desk, &Command::NearbyOpen {}));
    assert!(desk.shows("Open: 1:43 left"), "{}", desk.screen());
    desk.pass(Duration::from_secs(44));
    assert!(desk.shows("Open: 0:59 left"), "{}", desk.screen());
    desk.pass(Duration::from_secs(60));
    assert!(desk.shows("Press Enter to open the window"), "{}", desk.screen());
    assert!(desk.app.poll_timeout().is_none_or(|due| due > desk.now.mono));
}

#[test]
fn everybody_nearby_is_shown_with_state_and_number() {
    let everybody = |desk: &mut Desk| {
        add(desk, '1');
        let mut known = peer(2, "Cleo", NearbyState::Seen);
        known.contact = Some(ContactId(9));
        let peers = vec![
            peer(1, "Ben", NearbyState::Seen),
            known,
            peer(3, "Ben", NearbyState::Chosen),
            peer(4, "日本語の名前", NearbyState::ChoseUs),
            peer(6, "Eve", NearbyState::Established),
        ];
        sees(desk, peers);
        desk.key(KeyCode::Down);
    };
    let daemon = || {
        let mut daemon = Daemon::default();
        daemon.contact(9, "Cleopatra");
        daemon
    };
    assert_snapshots("meet_nearby_list", daemon, everybody);
}

#[test]
fn enter_goes_on_with_whoever_came_first_until_the_person_moves() {
    let mut desk = Desk::attached(80, 24, Daemon::default());
    add(&mut desk, '1');
    sees(&mut desk, vec![peer(3, "Ben", NearbyState::Seen)]);
    sees(&mut desk, vec![peer(1, "Eve", NearbyState::Seen), peer(3, "Ben", NearbyState::Seen)]);
    answer_nearby(&mut desk);
    desk.key(KeyCode::Enter);
    assert!(was_asked(&desk, &Command::NearbyAdd { peer: "3".into() }), "the choice stays when others come");
    assert!(!was_asked(&desk, &Command::NearbyOpen {}));
    let mut desk = Desk::attached(80, 24, Daemon::default());
    add(&mut desk, '1');
    sees(&mut desk, vec![peer(3, "Ben", NearbyState::Seen)]);
    desk.key(KeyCode::Up);
    sees(&mut desk, vec![peer(3, "Ben", NearbyState::Seen), peer(4, "Eve", NearbyState::Seen)]);
    answer_nearby(&mut desk);
    desk.key(KeyCode::Enter);
    assert!(was_asked(&desk, &Command::NearbyOpen {}), "the window was chosen");
}

#[test]
fn somebody_is_chosen_by_number_and_agreed_with() {
    for state in [NearbyState::Seen, NearbyState::ChoseUs] {
        let mut desk = Desk::attached(80, 24, Daemon::default());
        add(&mut desk, '1');
        sees(&mut desk, vec![peer(3, "Ben", NearbyState::Seen), peer(7, "Ben", state)]);
        desk.key(KeyCode::Down);
        desk.key(KeyCode::Down);
        answer_nearby(&mut desk);
        desk.key(KeyCode::Enter);
        assert!(was_asked(&desk, &Command::NearbyAdd { peer: "7".into() }));
    }
}

#[test]
fn who_claims_no_name_still_has_a_row_to_choose() {
    let mut desk = Desk::attached(80, 24, Daemon::default());
    add(&mut desk, '1');
    sees(&mut desk, vec![peer(1, "", NearbyState::Seen), peer(2, "   ", NearbyState::Seen)]);
    assert!(desk.shows("#1  (no name)") && desk.shows("#2  (no name)"), "{}", desk.screen());
    assert!(says(&desk, "Somebody else here claims this name too."), "{}", desk.screen());
}

#[test]
fn the_choice_stays_with_a_person_when_others_go() {
    let mut desk = Desk::attached(80, 24, Daemon::default());
    add(&mut desk, '1');
    sees(&mut desk, vec![peer(1, "Mallory", NearbyState::Seen), peer(2, "Ben", NearbyState::Seen)]);
    desk.key(KeyCode::Down);
    desk.key(KeyCode::Down);
    sees(&mut desk, vec![peer(2, "Ben", NearbyState::Seen), peer(5, "Mallory", NearbyState::Seen)]);
    answer_nearby(&mut desk);
    desk.key(KeyCode::Enter);
    assert!(was_asked(&desk, &Command::NearbyAdd { peer: "2".into() }));
    // And where the person has gone, the window alone is chosen.
    sees(&mut desk, vec![peer(5, "Mallory", NearbyState::Seen)]);
    answer_nearby(&mut desk);
    desk.key(KeyCode::Enter);
    assert!(was_asked(&desk, &Command::NearbyOpen {}) && !was_asked(&desk, &Command::NearbyAdd { peer: "5".into() }));
}

#[test]
fn words_come_in_front_and_enter_says_nothing_about_them() {
    let compare = |desk: &mut Desk| {
        add(desk, '1');
        sees(desk, vec![peer(1, "Ben", NearbyState::Chosen)]);
        sees(desk, vec![peer(1, "Ben", NearbyState::Comparing)]);
    };
    assert_snapshots("meet_nearby_words", Daemon::default, compare);
    let mut desk = Desk::attached(80, 24, Daemon::default());
    compare(&mut desk);
    let before = desk.daemon.asked.len();
    for key in [KeyCode::Enter, KeyCode::Char(' '), KeyCode::Char('x'), KeyCode::Char('t'), KeyCode::Down] {
        desk.key(key);
    }
    // Ctrl-N means something elsewhere; a pasted letter answers nothing.
    desk.ctrl('n');
    desk.input(Input::Key(KeyEvent::new(KeyCode::Char('n'), KeyModifiers::ALT)));
    desk.input(Input::Paste("y".into()));
    assert_eq!(desk.daemon.asked.len(), before, "{:?}", desk.daemon.asked);
    answer_nearby(&mut desk);
    desk.key(KeyCode::Char('y'));
    assert!(was_asked(&desk, &Command::NearbyConfirm { peer: "1".into(), matches: true }));
    sees(&mut desk, vec![peer(1, "Ben", NearbyState::Confirmed)]);
    assert!(desk.shows("Waiting for Ben to say so too") && desk.shows("walnut"), "{}", desk.screen());
    let before = desk.daemon.asked.len();
    desk.key(KeyCode::Char('n'));
    assert_eq!(desk.daemon.asked.len(), before);
}

#[test]
fn a_second_comparison_does_not_take_the_place_of_the_first() {
    let mut desk = Desk::attached(80, 24, Daemon::default());
    add(&mut desk, '1');
    sees(&mut desk, vec![peer(2, "Ben", NearbyState::Comparing), peer(1, "Eve", NearbyState::Seen)]);
    sees(&mut desk, vec![peer(2, "Ben", NearbyState::Comparing), peer(1, "Eve", NearbyState::Comparing)]);
    assert!(desk.shows("You and #2 Ben"), "{}", desk.screen());
    desk.key(KeyCode::Tab);
    assert!(desk.shows("#1  Eve") && desk.shows("#2  Ben"), "{}", desk.screen());
    // Left by hand, it does not come back by itself.
    sees(&mut desk, vec![peer(2, "Ben", NearbyState::Comparing), peer(1, "Eve", NearbyState::Comparing)]);
    assert!(desk.shows("#1  Eve"), "{}", desk.screen());
    desk.key(KeyCode::Down);
    desk.key(KeyCode::Down);
    desk.key(KeyCode::Enter);
    assert!(desk.shows("You and #1 Eve"), "{}", desk.screen());
}

#[test]
fn words_that_differ_are_said_and_explained() {
    let fail = |desk: &mut Desk| {
        add(desk, '1');
        sees(desk, vec![peer(1, "Ben", NearbyState::Comparing)]);
        answer_nearby(desk);
        desk.key(KeyCode::Char('n'));
        let mut failed = peer(1, "Ben", NearbyState::Failed);
        failed.why = Some("the words differed: somebody may be in between".into());
        let nearby = Nearby { mismatches: 2, ..window(desk, vec![failed]) };
        desk.input(Input::Event(Event::Nearby(nearby)));
    };
    assert_snapshots("meet_nearby_failed", Daemon::default, fail);
    let mut desk = Desk::attached(80, 24, Daemon::default());
    fail(&mut desk);
    assert!(was_asked(&desk, &Command::NearbyConfirm { peer: "1".into(), matches: false }));
    answer_nearby(&mut desk);
    desk.key(KeyCode::Char('t'));
    assert!(was_asked(&desk, &Command::NearbyAdd { peer: "1".into() }));
}

#[test]
fn who_was_added_is_said_and_opened() {
    let done = |desk: &mut Desk| {
        add(desk, '1');
        sees(desk, vec![peer(4, "Ben", NearbyState::Comparing)]);
        sees(desk, vec![peer(4, "Ben", NearbyState::Established)]);
    };
    let daemon = || {
        let mut daemon = Daemon::default();
        daemon.contact(4, "Ben").verified = true;
        daemon
    };
    assert_snapshots("meet_nearby_done", daemon, done);
    let mut desk = Desk::attached(80, 24, daemon());
    done(&mut desk);
    answer_nearby(&mut desk);
    desk.key(KeyCode::Enter);
    assert!(was_asked(&desk, &Command::NearbyClose {}), "nobody waits any more");
    assert!(!desk.shows("Back to who is here") && !desk.shows("is now a contact"), "{}", desk.screen());
}

#[test]
fn leaving_closes_the_window_and_asks_where_somebody_waits() {
    let mut desk = Desk::attached(80, 24, Daemon::default());
    add(&mut desk, '1');
    desk.key(KeyCode::Esc);
    assert!(!was_asked(&desk, &Command::NearbyClose {}), "nothing was open");
    desk.key(KeyCode::Char('1'));
    // Whom we have not chosen can't hold us.
    sees(&mut desk, vec![peer(1, "Ben", NearbyState::ChoseUs)]);
    answer_nearby(&mut desk);
    desk.key(KeyCode::Esc);
    assert!(was_asked(&desk, &Command::NearbyClose {}) && desk.shows("How do you want to meet?"));

    for state in [NearbyState::Chosen, NearbyState::Comparing] {
        let mut desk = Desk::attached(80, 24, Daemon::default());
        add(&mut desk, '1');
        sees(&mut desk, vec![peer(1, "Ben", state)]);
        desk.key(KeyCode::Esc);
        assert!(desk.shows("Stop here?") && !was_asked(&desk, &Command::NearbyClose {}), "{}", desk.screen());
        desk.key(KeyCode::Enter);
        assert!(desk.shows("Stop here?"));
        desk.key(KeyCode::Char('n'));
        assert!(!desk.shows("Stop here?"));
        desk.key(KeyCode::Esc);
        answer_nearby(&mut desk);
        desk.key(KeyCode::Char('y'));
        assert!(was_asked(&desk, &Command::NearbyClose {}) && desk.shows("How do you want to meet?"));
        assert!(!was_asked(&desk, &Command::NearbyConfirm { peer: "1".into(), matches: true }));
    }
    // What we have said goes on without the window.
    let mut desk = Desk::attached(80, 24, Daemon::default());
    add(&mut desk, '1');
    sees(&mut desk, vec![peer(1, "Ben", NearbyState::Confirmed)]);
    answer_nearby(&mut desk);
    desk.key(KeyCode::Esc);
    assert!(was_asked(&desk, &Command::NearbyClose {}) && desk.shows("Ben becomes a contact as soon as"), "{}", desk.screen());
    assert_snapshots("meet_nearby_leaving", Daemon::default, |desk| {
        add(desk, '1');
        sees(desk, vec![peer(1, "Ben", NearbyState::Comparing)]);
        desk.key(KeyCode::Esc);
    });
}

#[test]
fn nearby_says_why_something_was_refused() {
    let mut desk = Desk::attached(80, 24, Daemon::default());
    add(&mut desk, '1');
    sees(&mut desk, vec![peer(1, "Ben", NearbyState::Seen)]);
    desk.key(KeyCode::Down);
    script(&mut desk, is_nearby_step, refuse("nearby", "its window is closed, or it is out of reach"));
    desk.key(KeyCode::Enter);
    assert!(desk.shows("Its window is closed, or it is out of reach. Nothing has changed."), "{}", desk.screen());
}

#[test]
fn nearby_survives_the_daemon_going_away() {
    let mut desk = Desk::attached(80, 24, Daemon::default());
    add(&mut desk, '1');
    sees(&mut desk, vec![peer(1, "Ben", NearbyState::Comparing)]);
    desk.is_up = false;
    desk.key(KeyCode::Char('y'));
    desk.input(Input::Lost("the socket is closed".into()));
    assert!(desk.shows("Not connected") && desk.shows("may or may not be done"), "{}", desk.screen());
    let before = desk.daemon.asked.len();
    desk.key(KeyCode::Char('y'));
    assert!(desk.daemon.asked.len() == before && desk.shows("There is no connection"), "{}", desk.screen());
    desk.is_up = true;
    desk.daemon.nearby = Nearby::default();
    desk.input(Input::Attached);
    assert!(desk.shows("Press Enter to open the window"), "{}", desk.screen());
}

#[test]
fn what_has_ended_is_left_by_one_step_and_the_window_by_another() {
    for state in [NearbyState::Failed, NearbyState::Established] {
        let mut desk = Desk::attached(80, 24, Daemon::default());
        add(&mut desk, '1');
        sees(&mut desk, vec![peer(1, "Ben", NearbyState::Comparing)]);
        sees(&mut desk, vec![peer(1, "Ben", state)]);
        assert!(!desk.shows("Open: "), "{}", desk.screen());
        desk.key(KeyCode::Esc);
        assert!(desk.shows("Open: 1:43 left") && !was_asked(&desk, &Command::NearbyClose {}), "{}", desk.screen());
        answer_nearby(&mut desk);
        desk.key(KeyCode::Esc);
        assert!(was_asked(&desk, &Command::NearbyClose {}));
    }
}

#[test]
fn who_leaves_the_interface_is_not_shown_any_longer() {
    let mut desk = Desk::attached(80, 24, Daemon::default());
    add(&mut desk, '1');
    sees(&mut desk, Vec::new());
    answer_nearby(&mut desk);
    desk.ctrl('q');
    desk.ctrl('q');
    assert!(was_asked(&desk, &Command::NearbyClose {}) && desk.effects.contains(&Effect::Quit));
}

#[test]
fn the_mouse_chooses_and_then_agrees() {
    let mut desk = Desk::attached(80, 24, Daemon::default());
    add(&mut desk, '1');
    sees(&mut desk, vec![peer(1, "Ben", NearbyState::Seen), peer(2, "Cleo", NearbyState::Seen)]);
    click(&mut desk, "Cleo");
    assert!(!was_asked(&desk, &Command::NearbyAdd { peer: "2".into() }));
    answer_nearby(&mut desk);
    click(&mut desk, "Cleo");
    assert!(was_asked(&desk, &Command::NearbyAdd { peer: "2".into() }));
}

// A link of ours.

fn is_invite(request: &Request) -> bool {
    matches!(request, Request::Command(Command::Invite { .. }))
}

fn invitation(desk: &mut Desk) {
    let invitation = Invitation { contact: ContactId(5), link: LINK.into(), expires: UnixMillis(START + 336 * 3_600_000) };
    script(desk, is_invite, Ok(Reply::Answer(Answer::Invitation(invitation))));
}

fn invite(desk: &mut Desk) {
    invitation(desk);
    add(desk, '2');
    desk.key(KeyCode::Enter);
}

/// A contact as an event tells it.
fn told(desk: &mut Desk, change: impl Fn(&mut Contact)) {
    let contact = desk.daemon.contact(5, "Ben");
    change(contact);
    let contact = contact.clone();
    desk.input(Input::Event(Event::Contact(contact)));
}

fn waits(contact: &mut Contact) {
    contact.name = None;
    contact.own_name = None;
    contact.fingerprint = None;
    contact.state = ContactState::Invited;
    contact.link_expires = Some(UnixMillis(START + 336 * 3_600_000));
}

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

// A link of somebody else.

fn is_add(request: &Request) -> bool {
    matches!(request, Request::Command(Command::AddContact { .. }))
}

fn added(desk: &mut Desk, state: ContactState) {
    desk.daemon.contact(8, "Dora").state = state;
    script(desk, is_add, Ok(Reply::Answer(Answer::Added(Added { contact: ContactId(8), state, message: None }))));
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

// One contact.

/// Opens the screen of a contact, by way of a link that it has used.
fn contact(desk: &mut Desk, change: impl Fn(&mut Contact)) {
    invite(desk);
    told(desk, |contact| contact.state = ContactState::Established);
    desk.key(KeyCode::Char('v'));
    told(desk, change);
}

fn keep(_: &mut Contact) {}

fn is_of_contact(request: &Request) -> bool {
    matches!(
        request,
        Request::Command(
            Command::VerifyContact { .. }
                | Command::RenameContact { .. }
                | Command::SetContact { .. }
                | Command::BlockContact { .. }
                | Command::RemoveContact { .. }
        )
    )
}

/// Lets the daemon answer the next deed with the contact as it then is.
fn answer_contact(desk: &mut Desk, change: impl Fn(&mut Contact)) {
    let contact = desk.daemon.contact(5, "Ben");
    change(contact);
    let contact = contact.clone();
    script(desk, is_of_contact, Ok(Reply::Answer(Answer::Contact(contact))));
}

#[test]
fn a_contact_at_each_size_and_state() {
    assert_snapshots("meet_contact", Daemon::default, |desk| {
        contact(desk, |contact| {
            contact.own_name = Some("Benjamin".into());
            contact.last_seen = Some(UnixMillis(START - 3_600_000));
            contact.last_transport = Some("lan".into());
        });
    });
    assert_snapshots("meet_contact_pending", Daemon::default, |desk| {
        contact(desk, |contact| {
            waits(contact);
            contact.state = ContactState::Pending;
            contact.tries = Some(3);
        });
    });
    assert_snapshots("meet_contact_hostile", Daemon::default, |desk| {
        contact(desk, |contact| {
            contact.name = Some(HOSTILE.into());
            contact.own_name = Some("x".repeat(30_000));
            contact.state = ContactState::Failed;
            contact.why = Some(HOSTILE.repeat(40));
        });
    });
}

#[test]
fn fingerprints_are_compared_and_only_the_shown_one_is_confirmed() {
    let verify = |desk: &mut Desk| {
        contact(desk, keep);
        desk.key(KeyCode::Char('v'));
    };
    assert_snapshots("meet_contact_verify", Daemon::default, verify);
    let mut desk = Desk::attached(80, 24, Daemon::default());
    verify(&mut desk);
    // Meanwhile it becomes another one: what was read aloud is what counts.
    told(&mut desk, |contact| contact.fingerprint = Some("zzzz zzzz zzzz zzzz zzzz zzzz zzzz zzzz".into()));
    assert!(desk.shows("aaaa bbbb cccc dddd") && !desk.shows("zzzz"), "{}", desk.screen());
    desk.key(KeyCode::Enter);
    assert!(!commands(&desk).iter().any(|command| matches!(command, Command::VerifyContact { .. })));
    script(&mut desk, is_of_contact, refuse("fingerprint", "the fingerprint does not match: this may be somebody else"));
    desk.key(KeyCode::Char('y'));
    assert!(was_asked(&desk, &Command::VerifyContact { contact: "5".into(), fingerprint: FINGERPRINT.into() }));
    assert!(desk.shows("The fingerprint does not match: this may be somebody else."), "{}", desk.screen());
    answer_contact(&mut desk, |contact| contact.verified = true);
    desk.key(KeyCode::Char('y'));
    assert!(desk.shows("Ben is verified.") && desk.shows("yes: the fingerprint was compared"), "{}", desk.screen());
}

#[test]
fn fingerprints_that_differ_change_nothing() {
    let differ = |desk: &mut Desk| {
        contact(desk, keep);
        desk.key(KeyCode::Char('v'));
        desk.key(KeyCode::Char('n'));
    };
    assert_snapshots("meet_contact_differ", Daemon::default, differ);
    let mut desk = Desk::attached(80, 24, Daemon::default());
    differ(&mut desk);
    assert!(!commands(&desk).iter().any(|command| matches!(command, Command::VerifyContact { .. })));
    desk.key(KeyCode::Enter);
    assert!(desk.shows("Verify: compare fingerprints"), "{}", desk.screen());
}

#[test]
fn a_contact_is_renamed_and_a_refusal_said() {
    assert_snapshots("meet_contact_rename", Daemon::default, |desk| {
        contact(desk, keep);
        desk.key(KeyCode::Char('n'));
        script(desk, is_of_contact, refuse("name", "this name can't be used: another contact is called so"));
        desk.key(KeyCode::Enter);
    });
    let mut desk = Desk::attached(80, 24, Daemon::default());
    contact(&mut desk, keep);
    desk.key(KeyCode::Char('n'));
    desk.ctrl('u');
    desk.type_text("nils vor y");
    answer_contact(&mut desk, |contact| contact.name = Some("nils vor y".into()));
    desk.key(KeyCode::Enter);
    assert!(was_asked(&desk, &Command::RenameContact { contact: "5".into(), alias: "nils vor y".into() }));
    assert!(desk.shows("They are called nils vor y from now on."), "{}", desk.screen());
    desk.key(KeyCode::Char('n'));
    desk.type_text("x");
    desk.key(KeyCode::Esc);
    assert!(desk.shows("Verify: compare fingerprints"), "Esc leaves the name");
}

#[test]
fn receipts_and_bell_are_switched() {
    let mut desk = Desk::attached(80, 24, Daemon::default());
    contact(&mut desk, keep);
    answer_contact(&mut desk, |contact| contact.receipts = false);
    desk.key(KeyCode::Char('r'));
    assert!(was_asked(&desk, &Command::SetContact { contact: "5".into(), receipts: Some(false), muted: None }));
    assert!(desk.shows("off: they don't see"), "{}", desk.screen());
    answer_contact(&mut desk, |contact| contact.muted = true);
    click(&mut desk, "Mute: no bell");
    click(&mut desk, "Mute: no bell");
    assert!(was_asked(&desk, &Command::SetContact { contact: "5".into(), receipts: None, muted: Some(true) }));
    assert!(desk.shows("Ben is muted."), "{}", desk.screen());
}

#[test]
fn blocking_is_asked_twice_and_undone() {
    assert_snapshots("meet_contact_block", Daemon::default, |desk| {
        contact(desk, keep);
        desk.key(KeyCode::Char('b'));
    });
    let mut desk = Desk::attached(80, 24, Daemon::default());
    contact(&mut desk, keep);
    desk.key(KeyCode::Char('b'));
    desk.key(KeyCode::Enter);
    desk.key(KeyCode::Char('n'));
    assert!(!commands(&desk).iter().any(|command| matches!(command, Command::BlockContact { .. })));
    desk.key(KeyCode::Char('b'));
    answer_contact(&mut desk, |contact| contact.state = ContactState::Blocked);
    desk.key(KeyCode::Char('y'));
    assert!(was_asked(&desk, &Command::BlockContact { contact: "5".into(), blocked: true }));
    desk.key(KeyCode::Char('b'));
    assert!(desk.shows("Unblock Ben?"), "{}", desk.screen());
    answer_contact(&mut desk, |contact| contact.state = ContactState::Established);
    desk.key(KeyCode::Char('y'));
    assert!(was_asked(&desk, &Command::BlockContact { contact: "5".into(), blocked: false }));
}

#[test]
fn a_contact_is_removed_only_by_its_name() {
    assert_snapshots("meet_contact_remove", Daemon::default, |desk| {
        contact(desk, keep);
        desk.key(KeyCode::Char('x'));
        desk.type_text("Be");
    });
    let mut desk = Desk::attached(80, 24, Daemon::default());
    contact(&mut desk, keep);
    desk.key(KeyCode::Char('x'));
    for wrong in ["", "y", "Be", "remove", "Ben x"] {
        desk.ctrl('u');
        desk.type_text(wrong);
        desk.key(KeyCode::Enter);
    }
    assert!(!was_asked(&desk, &Command::RemoveContact { contact: "5".into() }));
    desk.ctrl('u');
    desk.type_text("ben");
    script(&mut desk, is_of_contact, Ok(Reply::Answer(Answer::Removed(Removed { contact: ContactId(5) }))));
    desk.key(KeyCode::Enter);
    assert!(was_asked(&desk, &Command::RemoveContact { contact: "5".into() }));
    assert!(desk.shows("The contact is removed, with keys and messages."), "{}", desk.screen());
}

#[test]
fn a_contact_whose_name_cannot_be_typed_can_be_removed() {
    for name in [None, Some("Ben\u{202e}".to_owned()), Some("בן".to_owned()), Some("x".repeat(200))] {
        let mut desk = Desk::attached(80, 24, Daemon::default());
        contact(&mut desk, |contact| contact.name.clone_from(&name));
        desk.key(KeyCode::Char('x'));
        assert!(desk.shows("type “remove”"), "{}", desk.screen());
        desk.type_text("remove");
        script(&mut desk, is_of_contact, Ok(Reply::Answer(Answer::Removed(Removed { contact: ContactId(5) }))));
        desk.key(KeyCode::Enter);
        assert!(was_asked(&desk, &Command::RemoveContact { contact: "5".into() }));
    }
}

#[test]
fn a_contact_that_goes_away_takes_its_screen_along() {
    let mut desk = Desk::attached(80, 24, Daemon::default());
    contact(&mut desk, keep);
    desk.input(Input::Event(Event::ContactRemoved { contact: ContactId(5), same_as: None }));
    assert!(desk.shows("The contact is removed") && !desk.shows("Verify: compare fingerprints"), "{}", desk.screen());

    let mut daemon = Daemon::default();
    daemon.contact(2, "Cleo");
    let mut desk = Desk::attached(80, 24, daemon);
    contact(&mut desk, keep);
    desk.input(Input::Event(Event::ContactRemoved { contact: ContactId(5), same_as: Some(ContactId(2)) }));
    assert!(desk.shows("Cleo") && desk.shows("Verify"), "{}", desk.screen());
}

#[test]
fn a_deed_without_a_daemon_says_so() {
    let mut desk = Desk::attached(80, 24, Daemon::default());
    contact(&mut desk, keep);
    desk.is_up = false;
    desk.key(KeyCode::Char('m'));
    desk.input(Input::Lost("gone".into()));
    assert!(desk.shows("may or may not be done"), "{}", desk.screen());
    desk.key(KeyCode::Char('m'));
    assert!(desk.shows("There is no connection"), "{}", desk.screen());
    desk.is_up = true;
    desk.input(Input::Attached);
    answer_contact(&mut desk, |contact| contact.muted = true);
    desk.key(KeyCode::Char('m'));
    assert!(desk.shows("Ben is muted."), "{}", desk.screen());
}

// Everything at once.

#[test]
fn hostile_names_and_sizes_are_drawn_without_harm() {
    let long = format!("{HOSTILE}{}", "\u{301}".repeat(4_000));
    let wide = "x".repeat(30_000);
    let states = [
        NearbyState::Seen,
        NearbyState::Chosen,
        NearbyState::ChoseUs,
        NearbyState::Comparing,
        NearbyState::Confirmed,
        NearbyState::Established,
        NearbyState::Failed,
    ];
    for state in states {
        let mut desk = Desk::attached(80, 24, Daemon::default());
        add(&mut desk, '1');
        let mut peers = vec![peer(1, &long, state), peer(2, &wide, state), peer(u32::MAX, "", state)];
        for peer in &mut peers {
            peer.words = Some(vec![long.clone(), wide.clone(), String::new()]);
            peer.why = Some(long.clone());
        }
        sees(&mut desk, peers);
        at_every_size(&mut desk);
        desk.key(KeyCode::Down);
        answer_nearby(&mut desk);
        desk.key(KeyCode::Enter);
        at_every_size(&mut desk);
    }
    for keys in ["", "v", "vn", "n", "b", "x"] {
        let mut desk = Desk::attached(80, 24, Daemon::default());
        contact(&mut desk, |contact| {
            contact.name = Some(long.clone());
            contact.own_name = Some(wide.clone());
            contact.fingerprint = Some(wide.clone());
            contact.why = Some(long.clone());
            contact.last_seen = Some(UnixMillis(u64::MAX));
            contact.last_transport = Some(HOSTILE.into());
        });
        desk.type_text(keys);
        at_every_size(&mut desk);
    }
    for way in ['1', '2', '3'] {
        let mut desk = Desk::attached(80, 24, Daemon::default());
        add(&mut desk, way);
        invitation(&mut desk);
        if way == '2' {
            desk.key(KeyCode::Enter);
        }
        at_every_size(&mut desk);
    }
}

fn at_every_size(desk: &mut Desk) {
    for (width, height) in [(1, 1), (2, 3), (5, 4), (19, 7), (21, 2), (33, 12), (45, 30), (60, 20), (80, 24), (200, 60)] {
        desk.resize(width, height);
        assert_harmless(desk);
        let click =
            MouseEvent { kind: MouseEventKind::Down(MouseButton::Left), column: width - 1, row: height - 1, modifiers: KeyModifiers::NONE };
        desk.input(Input::Mouse(MouseEvent { kind: MouseEventKind::ScrollDown, ..click }));
    }
    desk.resize(80, 24);
    desk.input(Input::Key(KeyEvent::new(KeyCode::F(12), KeyModifiers::NONE)));
}
