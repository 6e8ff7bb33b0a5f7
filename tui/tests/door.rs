//! Coming in and leaving: the first start, the passphrase, the locked screen, the quit screen.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "it fails by panic")]

mod common;

use std::time::Duration;

use common::{Daemon, Desk};
use crossterm::event::{KeyCode, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use hedgerow_sync::view::{MessageState, NodeState};
use hedgerow_tui::{Control, Effect, Input, Refusal, Reply, Request, Start};

const SIZES: [(u16, u16); 3] = [(60, 20), (80, 24), (120, 40)];
const PASSPHRASE: &str = "quartz mandolin ferry oblong pickle";

fn at_first_start() -> Desk {
    let mut desk = Desk::new(Start::NoProfile, 80, 24, Daemon::default());
    desk.input(Input::Resize(80, 24));
    desk
}

fn enter(desk: &mut Desk, text: &str) {
    desk.type_text(text);
    desk.key(KeyCode::Enter);
}

fn click(desk: &mut Desk, words: &str) {
    let screen = desk.screen();
    let row = screen.lines().position(|line| line.contains(words)).expect("the words are on the screen");
    let mouse = MouseEvent { kind: MouseEventKind::Down(MouseButton::Left), column: 4, row: row as u16, modifiers: KeyModifiers::NONE };
    desk.input(Input::Mouse(mouse));
}

fn asked_control(desk: &Desk, wanted: fn(&Control) -> bool) -> bool {
    desk.daemon.asked.iter().any(|request| matches!(request, Request::Control(control) if wanted(control)))
}

fn secret_of(effect: &Effect) -> Option<&str> {
    match effect {
        Effect::StartDaemon(secret) | Effect::Create { passphrase: secret, .. } | Effect::Restore { passphrase: secret, .. } => {
            Some(secret.expose())
        }
        _ => None,
    }
}

// The first start.

#[test]
fn the_first_start_takes_four_enters_and_no_other_keys_but_text() {
    let mut desk = at_first_start();
    enter(&mut desk, "ada");
    enter(&mut desk, PASSPHRASE);
    enter(&mut desk, PASSPHRASE);
    assert!(desk.effects.is_empty(), "nothing is made before the last question");
    desk.key(KeyCode::Enter);
    let [Effect::Create { name, passphrase, visible: false }] = desk.effects.as_slice() else { panic!("{:?}", desk.effects) };
    assert_eq!((name.as_str(), passphrase.expose()), ("ada", PASSPHRASE));
    desk.input(Input::Created(Ok(())));
    assert_eq!(desk.effects.last().and_then(secret_of), Some(PASSPHRASE));
    desk.input(Input::Attached);
    assert!(desk.screen().starts_with("hedgerow · ada"), "{}", desk.screen());
}

#[test]
fn visible_is_a_choice_by_arrow_or_mouse() {
    for by_mouse in [false, true] {
        let mut desk = at_first_start();
        for text in ["ada", PASSPHRASE, PASSPHRASE] {
            enter(&mut desk, text);
        }
        if by_mouse {
            click(&mut desk, "Visible nearby");
            assert!(desk.effects.is_empty(), "the first click only chooses");
            click(&mut desk, "Visible nearby");
        } else {
            desk.key(KeyCode::Down);
            desk.key(KeyCode::Enter);
        }
        assert!(matches!(desk.effects.as_slice(), [Effect::Create { visible: true, .. }]), "{:?}", desk.effects);
    }
}

#[test]
fn each_page_of_the_first_start_fits_and_reads_well() {
    for (width, height) in SIZES {
        let mut desk = Desk::new(Start::NoProfile, width, height, Daemon::default());
        let at = |page: &str| format!("door_{page}_{width}x{height}");
        desk.input(Input::Resize(width, height));
        desk.assert_snapshot(&at("welcome"));
        enter(&mut desk, "ada");
        desk.assert_snapshot(&at("passphrase"));
        desk.type_text("ada1815");
        desk.assert_snapshot(&at("passphrase_weak"));
        desk.ctrl('u');
        enter(&mut desk, PASSPHRASE);
        enter(&mut desk, "something else");
        desk.assert_snapshot(&at("passphrase_differs"));
        enter(&mut desk, PASSPHRASE);
        desk.assert_snapshot(&at("visibility"));
        desk.key(KeyCode::Enter);
        desk.pass(Duration::from_secs(2));
        desk.assert_snapshot(&at("making"));
        desk.input(Input::Created(Err("the home folder can't be made: no space left. Make room".into())));
        desk.assert_snapshot(&at("not_made"));
        let mut desk = Desk::new(Start::NoProfile, width, height, Daemon::default());
        desk.key(KeyCode::Tab);
        enter(&mut desk, "/media/ada/backup.hedgerow");
        desk.type_text("old");
        desk.assert_snapshot(&at("restore"));
    }
}

#[test]
fn esc_steps_back_and_forgets_the_passphrase() {
    let mut desk = at_first_start();
    enter(&mut desk, "ada");
    enter(&mut desk, PASSPHRASE);
    enter(&mut desk, PASSPHRASE);
    assert!(desk.shows("Who may see your name?"));
    desk.key(KeyCode::Esc);
    assert!(desk.shows("Choose a passphrase.") && !desk.shows("•"), "{}", desk.screen());
    desk.key(KeyCode::Esc);
    assert!(desk.shows("Name") && desk.shows("ada"));
    desk.key(KeyCode::Esc);
    assert!(desk.shows("ada") && desk.effects.is_empty(), "there is nothing before the first page");
}

#[test]
fn a_name_or_passphrase_that_can_t_be_is_refused_where_it_is_typed() {
    let mut desk = at_first_start();
    desk.key(KeyCode::Enter);
    assert!(desk.shows("This name can't be used"), "{}", desk.screen());
    enter(&mut desk, "a\u{202e}b");
    assert!(desk.shows("This name can't be used") && !desk.screen().contains('\u{202e}'), "{}", desk.screen());
    desk.ctrl('u');
    enter(&mut desk, &"x".repeat(200));
    assert!(desk.shows("Choose a passphrase."), "the field holds no more than a name may have");
    desk.key(KeyCode::Enter);
    assert!(desk.shows("Type a passphrase first."));
    enter(&mut desk, "one");
    enter(&mut desk, "two");
    assert!(desk.shows("not the same") && desk.effects.is_empty());
}

#[test]
fn a_backup_is_restored_with_its_passphrase_and_a_wrong_one_can_be_tried_again() {
    let mut desk = at_first_start();
    desk.key(KeyCode::Tab);
    desk.key(KeyCode::Enter);
    assert!(desk.shows("Write where the backup is."));
    desk.input(Input::Paste("~/backup\n".into()));
    desk.key(KeyCode::Enter);
    enter(&mut desk, "wrong");
    let [Effect::Restore { file, passphrase }] = desk.effects.as_slice() else { panic!("{:?}", desk.effects) };
    assert_eq!((file.as_str(), passphrase.expose()), ("~/backup", "wrong"));
    desk.input(Input::Created(Err("the passphrase is wrong. Try again".into())));
    assert!(desk.shows("The passphrase is wrong") && desk.shows("~/backup"), "{}", desk.screen());
    enter(&mut desk, "right");
    desk.input(Input::Created(Ok(())));
    assert_eq!(desk.effects.iter().filter_map(secret_of).collect::<Vec<_>>(), ["wrong", "right", "right"]);
    desk.input(Input::NotStarted("The daemon did not start: the port is taken.".into()));
    assert!(desk.shows("the port is taken") && desk.shows("Passphrase"), "{}", desk.screen());
    enter(&mut desk, "right");
    assert_eq!(desk.effects.iter().filter_map(secret_of).count(), 4);
}

// The passphrase.

#[test]
fn a_wrong_passphrase_is_said_calmly_and_the_field_is_empty_again() {
    let mut desk = Desk::new(Start::NoDaemon, 80, 24, Daemon::default());
    desk.key(KeyCode::Enter);
    assert!(desk.shows("Type your passphrase.") && desk.effects.is_empty());
    enter(&mut desk, "wrong");
    assert!(desk.shows("Opening…"), "{}", desk.screen());
    desk.key(KeyCode::Enter);
    desk.type_text("more");
    assert_eq!(desk.effects.len(), 1, "one at a time");
    desk.pass(Duration::from_secs(3));
    assert!(desk.shows("Opening… 3 s"), "{}", desk.screen());
    desk.input(Input::NotStarted("That is not the passphrase of this profile. Nothing was lost: try again.".into()));
    assert!(desk.shows("Nothing was lost") && !desk.shows("•"));
    enter(&mut desk, "right");
    desk.input(Input::Attached);
    assert!(desk.screen().starts_with("hedgerow · ada"));
}

#[test]
fn a_daemon_that_somebody_else_starts_is_found() {
    let mut desk = Desk::new(Start::NoDaemon, 80, 24, Daemon::default());
    desk.pass(Duration::from_secs(20));
    assert!(desk.effects.iter().filter(|effect| **effect == Effect::Connect).count() >= 3, "{:?}", desk.effects);
    desk.input(Input::Attached);
    assert!(!desk.shows("Passphrase"));
}

#[test]
fn a_lost_daemon_is_started_again_by_the_passphrase() {
    let mut desk = Desk::attached(80, 24, Daemon::default());
    desk.is_up = false;
    desk.input(Input::Lost("the daemon has ended".into()));
    desk.input(Input::NoDaemon);
    desk.input(Input::NoDaemon);
    assert!(desk.shows("Hedgerow's daemon has stopped.") && desk.shows("Not connected"), "{}", desk.screen());
    enter(&mut desk, "right");
    assert_eq!(desk.effects.iter().filter_map(secret_of).collect::<Vec<_>>(), ["right"]);
    desk.is_up = true;
    desk.input(Input::Attached);
    assert!(!desk.shows("has stopped") && !desk.shows("Not connected"), "{}", desk.screen());
}

#[test]
fn a_locked_profile_is_opened_over_the_api() {
    let mut daemon = Daemon::default();
    daemon.status.state = NodeState::Locked;
    let node = daemon.status.node.take();
    daemon.scripted.push((
        |request| matches!(request, Request::Control(Control::Unlock(_))),
        Err(Refusal { kind: "passphrase".into(), message: "the passphrase is wrong".into() }),
    ));
    let mut desk = Desk::attached(80, 24, daemon);
    assert!(desk.shows("Your profile is locked."), "{}", desk.screen());
    enter(&mut desk, "wrong");
    assert!(desk.shows("not the passphrase") && !desk.shows("•"), "{}", desk.screen());
    desk.daemon.status.state = NodeState::Running;
    desk.daemon.status.node = node;
    let asked = desk.daemon.asked.len();
    enter(&mut desk, "right");
    assert!(!desk.shows("locked") && desk.screen().starts_with("hedgerow · ada"), "{}", desk.screen());
    let contacts = |request: &&Request| matches!(request, Request::Command(hedgerow_sync::view::Command::Contacts {}));
    assert_eq!(desk.daemon.asked[asked..].iter().filter(contacts).count(), 1, "everything is asked anew");
    assert!(desk.effects.iter().all(|effect| secret_of(effect).is_none()), "no daemon is started where one runs");
}

#[test]
fn a_locked_daemon_that_goes_away_can_still_be_started_again() {
    let mut daemon = Daemon::default();
    daemon.status.state = NodeState::Locked;
    daemon.status.node = None;
    let mut desk = Desk::attached(80, 24, daemon);
    desk.is_up = false;
    desk.input(Input::Lost("the daemon has ended".into()));
    desk.input(Input::NoDaemon);
    assert!(desk.shows("has stopped"), "{}", desk.screen());
    enter(&mut desk, "right");
    assert_eq!(desk.effects.iter().filter_map(secret_of).collect::<Vec<_>>(), ["right"]);
}

#[test]
fn what_asks_for_a_passphrase_fits() {
    for (width, height) in SIZES {
        let mut desk = Desk::new(Start::NoDaemon, width, height, Daemon::default());
        desk.input(Input::Resize(width, height));
        desk.assert_snapshot(&format!("door_unlock_{width}x{height}"));
        let mut desk = Desk::attached(width, height, Daemon::default());
        desk.is_up = false;
        desk.input(Input::Lost("the daemon has ended".into()));
        desk.input(Input::NoDaemon);
        desk.assert_snapshot(&format!("door_lost_{width}x{height}"));
    }
}

// The locked screen.

fn locked(width: u16, height: u16) -> Desk {
    let mut daemon = Daemon::default();
    daemon.contact(1, "ben");
    daemon.message(1, false, "the plan", MessageState::Delivered, 0);
    let mut desk = Desk::attached(width, height, daemon);
    desk.key(KeyCode::F(9));
    desk
}

#[test]
fn a_locked_screen_shows_nothing_of_the_person_s() {
    for (width, height) in SIZES {
        let mut desk = locked(width, height);
        desk.assert_snapshot(&format!("door_locked_{width}x{height}"));
        assert!(desk.effects.contains(&Effect::Redraw), "what the terminal showed is cleared");
        let mut message = desk.daemon.message(1, false, "the secret", MessageState::Delivered, 1);
        message.from = "ben".into();
        desk.input(Input::Event(Daemon::event(&message)));
        let notice = hedgerow_sync::view::Event::Notice { kind: "repaired".into(), text: "ben has new keys".into(), contact: None };
        desk.input(Input::Event(notice));
        desk.input(Input::Lost("ben is why".into()));
        desk.type_text("hunter2");
        for key in [KeyCode::F(1), KeyCode::F(2), KeyCode::Esc, KeyCode::Tab, KeyCode::Up] {
            desk.key(key);
            for own in ["ben", "secret", "plan", "ada", "hunter2", "Not connected"] {
                assert!(!desk.shows(own), "{own}: {}", desk.screen());
            }
        }
    }
}

#[test]
fn what_is_shown_can_be_hidden_while_the_daemon_is_away() {
    let mut daemon = Daemon::default();
    daemon.contact(1, "ben");
    let mut desk = Desk::attached(80, 24, daemon);
    desk.is_up = false;
    desk.input(Input::Lost("the daemon has ended".into()));
    assert!(desk.shows("ben") && !desk.app.is_locked());
    desk.key(KeyCode::F(9));
    assert!(desk.app.is_locked() && !desk.shows("ben"), "{}", desk.screen());
    desk.is_up = true;
    desk.input(Input::Attached);
    enter(&mut desk, "right");
    assert!(!desk.app.is_locked() && desk.shows("ben"));
}

#[test]
fn the_passphrase_opens_the_locked_screen_and_a_wrong_one_does_not() {
    let mut desk = locked(80, 24);
    for _ in 0..2 {
        desk.daemon.scripted.push((
            |request| matches!(request, Request::Control(Control::CheckPassphrase(_))),
            Err(Refusal { kind: "passphrase".into(), message: "wrong".into() }),
        ));
        enter(&mut desk, "wrong");
        assert!(desk.app.is_locked() && desk.shows("not the passphrase") && !desk.shows("•"), "{}", desk.screen());
    }
    assert!(desk.shows("2 wrong tries"));
    enter(&mut desk, "right");
    assert!(!desk.app.is_locked() && desk.screen().starts_with("hedgerow · ada"));
    assert!(asked_control(&desk, |control| matches!(control, Control::CheckPassphrase(passphrase) if passphrase.as_str() == "right")));
}

#[test]
fn the_locked_screen_s_clock_goes_on() {
    let mut desk = locked(80, 24);
    assert!(desk.shows("10:00"));
    desk.pass(Duration::from_secs(61));
    assert!(desk.shows("10:01"), "{}", desk.screen());
}

#[test]
fn without_a_daemon_the_locked_screen_waits_or_is_left() {
    let mut desk = locked(80, 24);
    desk.is_up = false;
    desk.input(Input::Lost("the daemon has ended".into()));
    enter(&mut desk, "right");
    assert!(desk.app.is_locked() && desk.shows("The daemon is away"), "{}", desk.screen());
    desk.is_up = true;
    desk.input(Input::Attached);
    desk.key(KeyCode::Enter);
    assert!(!desk.app.is_locked(), "what was typed is still there");
    let mut desk = locked(80, 24);
    desk.is_up = false;
    enter(&mut desk, "right");
    desk.input(Input::Lost("the daemon has ended".into()));
    assert!(desk.app.is_locked() && !desk.shows("Checking"), "{}", desk.screen());
    for letter in ['q', 'c'] {
        let mut desk = locked(80, 24);
        desk.ctrl(letter);
        assert!(desk.effects.contains(&Effect::Quit));
    }
}

// Leaving.

#[test]
fn leaving_can_keep_the_daemon_stop_it_or_be_thought_over() {
    let mut desk = Desk::attached(80, 24, Daemon::default());
    desk.ctrl('q');
    desk.key(KeyCode::Enter);
    assert!(desk.effects.contains(&Effect::Quit) && !asked_control(&desk, |control| *control == Control::Stop));

    let mut desk = Desk::attached(80, 24, Daemon::default());
    desk.ctrl('q');
    desk.key(KeyCode::Down);
    desk.key(KeyCode::Enter);
    assert!(desk.effects.contains(&Effect::Quit) && asked_control(&desk, |control| *control == Control::Stop));

    for keys in [&[KeyCode::Down, KeyCode::Down, KeyCode::Enter][..], &[KeyCode::Esc]] {
        let mut desk = Desk::attached(80, 24, Daemon::default());
        desk.ctrl('q');
        assert!(desk.shows("Leave Hedgerow?"));
        keys.iter().for_each(|key| desk.key(*key));
        assert!(!desk.shows("Leave Hedgerow?") && !desk.effects.contains(&Effect::Quit), "{}", desk.screen());
    }

    let mut desk = Desk::attached(80, 24, Daemon::default());
    desk.ctrl('c');
    desk.ctrl('c');
    assert!(desk.effects.contains(&Effect::Quit), "pressed twice, it was meant");
}

#[test]
fn the_daemon_is_stopped_by_a_click_and_not_by_the_first() {
    let mut desk = Desk::attached(80, 24, Daemon::default());
    desk.ctrl('q');
    click(&mut desk, "stop the daemon");
    assert!(!desk.effects.contains(&Effect::Quit));
    click(&mut desk, "stop the daemon");
    assert!(desk.effects.contains(&Effect::Quit) && asked_control(&desk, |control| *control == Control::Stop));
}

#[test]
fn a_daemon_that_is_away_is_not_offered_to_be_stopped() {
    let mut desk = Desk::attached(80, 24, Daemon::default());
    desk.is_up = false;
    desk.input(Input::Lost("the daemon has ended".into()));
    desk.ctrl('q');
    assert!(desk.shows("Leave") && !desk.shows("stop the daemon"), "{}", desk.screen());
    desk.key(KeyCode::Enter);
    assert!(desk.effects.contains(&Effect::Quit));
}

#[test]
fn the_quit_screen_says_what_waits() {
    for (width, height) in SIZES {
        let mut daemon = Daemon::default();
        daemon.status.node.as_mut().unwrap().undelivered = 3;
        let mut desk = Desk::attached(width, height, daemon);
        desk.ctrl('q');
        desk.assert_snapshot(&format!("door_quit_{width}x{height}"));
    }
}

/// A desk where the demo runs.
fn at_the_demo() -> Desk {
    let mut desk = Desk::attached(80, 24, Daemon::default());
    let options = hedgerow_tui::Options { banner: Some("demo: nothing is kept"), ..common::options() };
    desk.app = hedgerow_tui::App::new(options, Start::Daemon, (80, 24), desk.now);
    desk.input(Input::Attached);
    desk
}

#[test]
fn the_demo_is_left_without_a_question() {
    let mut desk = at_the_demo();
    desk.ctrl('q');
    assert!(desk.effects.contains(&Effect::Quit), "{}", desk.screen());
}

#[test]
fn the_lock_of_the_demo_says_that_any_passphrase_opens_it() {
    let mut desk = at_the_demo();
    desk.key(KeyCode::F(9));
    assert!(desk.shows("any passphrase opens it"), "{}", desk.screen());
    assert!(!locked(80, 24).shows("any passphrase"));
}

#[test]
fn leaving_without_a_daemon_says_what_is_not_kept() {
    let mut desk = Desk::attached(80, 24, Daemon::default());
    desk.input(Input::Lost("the daemon ended".into()));
    desk.ctrl('q');
    assert!(desk.shows("lost if you leave now") && !desk.shows("not sent is kept"), "{}", desk.screen());
    assert!(desk.shows("The daemon does not answer now.") && !desk.shows("goes on"), "{}", desk.screen());
}

#[test]
fn a_signal_ends_it_without_a_question_wherever_it_is() {
    let mut desks = [at_first_start(), Desk::new(Start::NoDaemon, 80, 24, Daemon::default()), locked(80, 24)];
    for desk in &mut desks {
        desk.input(Input::Leave);
        assert!(desk.effects.contains(&Effect::Quit));
    }
}

// Any terminal, any input.

#[test]
fn no_size_and_no_input_breaks_a_screen() {
    let inputs = || {
        let keys =
            [KeyCode::Enter, KeyCode::Tab, KeyCode::BackTab, KeyCode::Up, KeyCode::Down, KeyCode::Esc, KeyCode::Backspace, KeyCode::Home];
        let hostile = ["\x1b]0;x\x07", "\u{202e}abc", &"\u{301}".repeat(4_000), &"日".repeat(30_000), "👩\u{200d}🚀"].map(str::to_owned);
        (keys, hostile)
    };
    for (width, height) in [(1, 1), (2, 1), (1, 30), (5, 3), (10, 4), (29, 8), (200, 60)] {
        let desks = [
            Desk::new(Start::NoProfile, width, height, Daemon::default()),
            Desk::new(Start::NoDaemon, width, height, Daemon::default()),
            locked(width, height),
        ];
        for mut desk in desks {
            let (keys, hostile) = inputs();
            for paste in hostile {
                desk.input(Input::Paste(paste));
                for key in keys {
                    desk.key(key);
                    assert!(!desk.screen().chars().any(|letter| letter != '\n' && hedgerow_tui::clean::is_hazardous(letter)));
                }
            }
            desk.resize(height, width);
            desk.ctrl('q');
        }
    }
}

#[test]
fn the_field_in_use_is_seen_however_low_the_terminal() {
    for height in 3..24 {
        let mut desk = Desk::new(Start::NoProfile, 60, height, Daemon::default());
        desk.type_text("ada");
        assert!(desk.shows("ada"), "{height}: {}", desk.screen());
        desk.key(KeyCode::Enter);
        desk.type_text("••");
        assert!(desk.shows("••"), "{height}: {}", desk.screen());
    }
}

#[test]
fn no_passphrase_is_in_debug_output() {
    let mut desk = at_first_start();
    for text in ["ada", "hunter2", "hunter2"] {
        enter(&mut desk, text);
    }
    desk.key(KeyCode::Enter);
    let mut unlock = Desk::new(Start::NoDaemon, 80, 24, Daemon::default());
    enter(&mut unlock, "hunter2");
    let mut screen = locked(80, 24);
    enter(&mut screen, "hunter2");
    for desk in [&desk, &unlock, &screen] {
        let printed = format!("{:?} {:?} {:?}", desk.app, desk.effects, desk.daemon.asked);
        assert!(!printed.contains("hunter2"), "{printed}");
    }
}

#[test]
fn a_reply_to_another_question_does_not_open_the_locked_screen() {
    let mut desk = locked(80, 24);
    let asked = desk.daemon.asked.len();
    desk.pass(Duration::from_secs(20));
    assert!(desk.daemon.asked.len() > asked, "the status is asked all the same");
    desk.input(Input::Reply(hedgerow_tui::RequestId(9_999), Ok(Reply::Done)));
    assert!(desk.app.is_locked());
}
