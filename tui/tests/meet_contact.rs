//! One contact's own screen, and hostile names on all screens where people meet.

mod common;
#[path = "common/meet.rs"]
mod meet;

use common::{Daemon, Desk, START};
use crossterm::event::KeyCode;
use hedgerow_sync::{
    id::ContactId,
    time::UnixMillis,
    view::{Answer, Command, ContactState, Event, NearbyState, Removed},
};
use hedgerow_tui::{Input, Reply};
use meet::*;

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
