//! The ways to add a contact, and people in one room.

mod common;
#[path = "common/meet.rs"]
mod meet;

use std::time::Duration;

use common::{Daemon, Desk};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use hedgerow_sync::{
    id::ContactId,
    view::{Answer, Command, ContactState, Event, Nearby, NearbyState},
};
use hedgerow_tui::{Effect, Input, Reply};
use meet::*;

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
