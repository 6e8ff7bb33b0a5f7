//! A message is taken back before it leaves, or not at all, and sent once more: whatever the moment, its reader never sees what was taken
//! back, and each text once at most.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test: what fails ends it")]

mod common;

use common::{DAY, HOUR, MINUTE, SECOND, Two, add_with, bundles, contacts, invite, listen, seed, states, texts};
use hedgerow_sync::{
    id::MessageId,
    sim::{Faults, NodeId, Sim},
    store::{Setting, Store, memory::MemoryStore},
    view::{Answer, Command, CommandError, ContactState, Explanation, HelpCode, Message, MessageState, What},
};

fn cancel(sim: &mut Sim, node: NodeId, id: MessageId) -> Result<Message, CommandError> {
    match sim.ask(node, Command::Cancel { id }).expect("the node restarted")? {
        Answer::Message(message) => Ok(message),
        other => panic!("{other:?}"),
    }
}

fn retry(sim: &mut Sim, node: NodeId, id: MessageId) -> Result<MessageState, CommandError> {
    match sim.ask(node, Command::Retry { id }).expect("the node restarted")? {
        Answer::Sent(sent) => {
            assert_eq!(sent.id, id);
            Ok(sent.state)
        }
        other => panic!("{other:?}"),
    }
}

fn explain(sim: &mut Sim, node: NodeId, id: MessageId) -> Explanation {
    match sim.tell(node, Command::Explain { id }) {
        Answer::Explanation(explanation) => *explanation,
        other => panic!("{other:?}"),
    }
}

fn is_refused<T: std::fmt::Debug>(outcome: Result<T, CommandError>, word: &str) {
    match outcome {
        Err(CommandError::MessageState(why)) => assert!(why.contains(word), "{why}"),
        other => panic!("{other:?}"),
    }
}

/// How many bundles a store holds that were sealed there.
fn held(store: &MemoryStore) -> usize {
    store.bundle_ids().len()
}

#[test]
fn sim_what_has_not_left_is_taken_back_and_can_be_sent_once_more() {
    let mut two = Two::contacts(seed());
    two.sim.cut(two.wire);
    two.sim.run_for(10 * HOUR); // acks of the exchange are told, its bundles gone
    let before = held(&two.ann_store);
    let id = two.sim.send(two.ann, "ben", "not yet");
    assert_eq!(held(&two.ann_store), before + 1);
    let kept = two.sim.send(two.ann, "ben", "this stays");
    two.sim.run_for(10 * MINUTE);
    let taken_back = cancel(&mut two.sim, two.ann, id).unwrap();
    assert_eq!((taken_back.state, taken_back.why.as_deref()), (MessageState::Failed, Some("taken back before it left this device")));
    assert_eq!(taken_back.text, "not yet", "it is kept");
    assert_eq!(held(&two.ann_store), before + 1, "its bundle is not");
    let explained = explain(&mut two.sim, two.ann, id);
    assert_eq!(explained.log.last().unwrap().what, What::TakenBack {});
    assert_eq!(explained.helps[0].code, HelpCode::SendAgain);
    is_refused(cancel(&mut two.sim, two.ann, id), "waits no longer");
    two.sim.mend(two.wire);
    two.sim.run_for(MINUTE);
    assert_eq!(texts(&mut two.sim, two.ben, "ann"), ["this stays"]);
    assert_eq!(states(&mut two.sim, two.ann, "ben"), [MessageState::Failed, MessageState::Delivered]);
    is_refused(cancel(&mut two.sim, two.ann, kept), "has arrived");
    is_refused(retry(&mut two.sim, two.ann, kept), "has arrived");

    // The number that was given up holds up neither side, for longer than the reader would wait before it asks.
    for round in 0..30 {
        two.sim.send(two.ann, "ben", &format!("later {round}"));
        two.sim.run_for(2 * HOUR);
    }
    assert_eq!(texts(&mut two.sim, two.ben, "ann").len(), 31);
    assert!(states(&mut two.sim, two.ann, "ben")[1..].iter().all(|state| *state == MessageState::Delivered));

    assert_eq!(retry(&mut two.sim, two.ann, id).unwrap(), MessageState::Queued);
    is_refused(retry(&mut two.sim, two.ann, id), "on its way");
    two.sim.run_for(MINUTE);
    assert!(texts(&mut two.sim, two.ben, "ann").contains(&"not yet".to_owned()));
    let explained = explain(&mut two.sim, two.ann, id);
    let log: Vec<&What> = explained.log.iter().map(|happening| &happening.what).collect();
    assert!(
        matches!(log[..], [What::Written {}, What::Sealed { number: first, .. }, What::TakenBack {}, What::Retried {},
        What::Sealed { number: second, .. }, What::Handed { .. }, What::Receipt {}] if first < second),
        "{log:?}"
    );
    assert_eq!(explained.message.handed_contacts, 1);
}

#[test]
fn sim_what_was_taken_back_can_be_taken_back_again_and_after_a_restart() {
    let mut two = Two::contacts(seed());
    two.sim.cut(two.wire);
    let id = two.sim.send(two.ann, "ben", "back and forth");
    for _ in 0..20 {
        two.sim.kill(two.ann);
        two.sim.revive(two.ann);
        cancel(&mut two.sim, two.ann, id).unwrap();
        two.sim.kill(two.ann);
        two.sim.revive(two.ann);
        assert_eq!(states(&mut two.sim, two.ann, "ben"), [MessageState::Failed]);
        retry(&mut two.sim, two.ann, id).unwrap();
    }
    two.sim.mend(two.wire);
    two.sim.run_for(MINUTE);
    assert_eq!(texts(&mut two.sim, two.ben, "ann"), ["back and forth"]);
    assert_eq!(states(&mut two.sim, two.ann, "ben"), [MessageState::Delivered]);
}

#[test]
fn sim_what_went_to_a_link_and_was_not_answered_has_left_even_after_a_restart() {
    let mut two = Two::contacts(seed());
    let ann = two.ann;
    two.sim.on_transmit(move |node, _, record| !(node == ann && record[0] == 5)); // no bundle of hers arrives
    let id = two.sim.send(two.ann, "ben", "gone");
    is_refused(cancel(&mut two.sim, two.ann, id), "left");
    two.sim.cut(two.wire);
    two.sim.kill(two.ann);
    two.sim.transmit_all();
    two.sim.revive(two.ann);
    assert_eq!(states(&mut two.sim, two.ann, "ben"), [MessageState::Queued]);
    is_refused(cancel(&mut two.sim, two.ann, id), "left");
    // One that is written after it has not.
    let later = two.sim.send(two.ann, "ben", "here");
    cancel(&mut two.sim, two.ann, later).unwrap();
    two.sim.mend(two.wire);
    two.sim.run_for(MINUTE);
    assert_eq!(texts(&mut two.sim, two.ben, "ann"), ["gone"]);
}

#[test]
fn sim_an_expired_message_is_sent_once_more_and_shown_once() {
    let mut two = Two::contacts(seed());
    two.sim.run_for(26 * HOUR);
    let ben = two.ben;
    two.sim.on_transmit(move |node, _, record| node != ben || record[0] != 5 && record[0] != 6); // she hears neither STORED nor receipts
    let arrived = two.sim.send(two.ann, "ben", "arrived, but nobody said so");
    two.sim.run_for(SECOND);
    assert_eq!(texts(&mut two.sim, two.ben, "ann").len(), 1);
    two.sim.cut(two.wire);
    let lost = two.sim.send(two.ann, "ben", "never left");
    two.sim.run_for(15 * DAY);
    two.sim.transmit_all();
    assert_eq!(states(&mut two.sim, two.ann, "ben"), [MessageState::Expired; 2]);
    for id in [arrived, lost] {
        is_refused(cancel(&mut two.sim, two.ann, id), "waits no longer");
        assert_eq!(retry(&mut two.sim, two.ann, id).unwrap(), MessageState::Queued);
    }
    is_refused(cancel(&mut two.sim, two.ann, arrived), "left");
    two.sim.mend(two.wire);
    two.sim.run_for(MINUTE);
    assert_eq!(texts(&mut two.sim, two.ben, "ann"), ["arrived, but nobody said so", "never left"]);
    assert_eq!(states(&mut two.sim, two.ann, "ben"), [MessageState::Delivered; 2]);
}

#[test]
fn sim_what_can_not_be_sent_again_or_taken_back_is_refused_and_changes_nothing() {
    let mut two = Two::contacts(seed());
    let came = two.sim.send(two.ben, "ann", "from ben");
    two.sim.run_for(SECOND);
    is_refused(cancel(&mut two.sim, two.ann, came), "came here");
    is_refused(retry(&mut two.sim, two.ann, came), "came here");
    for command in [Command::Cancel { id: MessageId([7; 16]) }, Command::Retry { id: MessageId([7; 16]) }] {
        assert_eq!(two.sim.ask(two.ann, command).unwrap(), Err(CommandError::UnknownMessage));
    }
    two.sim.cut(two.wire);
    let id = two.sim.send(two.ann, "ben", "to nobody");
    cancel(&mut two.sim, two.ann, id).unwrap();
    two.sim.tell(two.ann, Command::BlockContact { contact: "ben".into(), blocked: true });
    assert!(matches!(retry(&mut two.sim, two.ann, id), Err(CommandError::ContactState("blocked"))));
    let queued = {
        two.sim.tell(two.ann, Command::BlockContact { contact: "ben".into(), blocked: false });
        let queued = two.sim.send(two.ann, "ben", "still here");
        two.sim.tell(two.ann, Command::BlockContact { contact: "ben".into(), blocked: true });
        queued
    };
    cancel(&mut two.sim, two.ann, queued).expect("whoever is blocked does not get it either way");

    let mut sim = Sim::new(seed());
    let (ann, _) = sim.node("ann");
    invite(&mut sim, ann, 1);
    let id = sim.send(ann, "1", "to whoever takes the link");
    sim.run_for(60 * DAY);
    assert_eq!(contacts(&mut sim, ann)[0].state, ContactState::Failed);
    assert!(matches!(retry(&mut sim, ann, id), Err(CommandError::ContactState(_))));
}

#[test]
fn sim_a_restored_profile_takes_nothing_back_that_may_have_left_since_its_backup() {
    let mut two = Two::contacts(seed());
    two.sim.cut(two.wire);
    let id = two.sim.send(two.ann, "ben", "in the backup");
    let mut backup = two.ann_store.clone();
    two.sim.mend(two.wire);
    two.sim.run_for(MINUTE);
    assert_eq!(texts(&mut two.sim, two.ben, "ann"), ["in the backup"]);
    two.sim.cut(two.wire);
    // Marked as `hedgerow restore` does.
    backup.reopen();
    backup.begin().unwrap();
    backup.save_setting(Setting::Restored, &[1]).unwrap();
    backup.commit().unwrap();
    two.sim.restore(two.ann, &backup);
    assert_eq!(states(&mut two.sim, two.ann, "ben"), [MessageState::Queued]);
    is_refused(cancel(&mut two.sim, two.ann, id), "left");
}

#[test]
fn sim_a_text_is_taken_off_a_contact_request_that_has_not_left() {
    let mut two = Two::strangers(seed(), Faults::NONE);
    two.sim.cut(two.wire);
    let link = invite(&mut two.sim, two.ann, 336);
    let id = add_with(&mut two.sim, two.ben, &link, "too early").message.unwrap();
    let waits = two.sim.send(two.ben, "1", "this may come");
    two.sim.run_for(20 * MINUTE);
    let heard = listen(&mut two.sim);
    assert_eq!(cancel(&mut two.sim, two.ben, id).unwrap().state, MessageState::Failed);
    two.sim.kill(two.ben);
    two.sim.revive(two.ben);
    let ann = two.ann;
    two.sim.on_transmit(move |node, _, record| !(node == ann && record[0] == 5)); // no reply arrives
    two.sim.mend(two.wire);
    two.sim.run_for(MINUTE);
    assert_eq!(texts(&mut two.sim, two.ann, "ben"), ["this may come"], "it rides on the try that was made anew");
    is_refused(cancel(&mut two.sim, two.ben, waits), "left");
    let explained = explain(&mut two.sim, two.ben, waits);
    assert!(explained.log.iter().any(|happening| happening.what == What::LeftWithRequest {}), "{:?}", explained.log);
    two.sim.transmit_all();
    two.sim.cut(two.wire);
    two.sim.mend(two.wire);
    two.sim.run_for(MINUTE);
    assert_eq!(states(&mut two.sim, two.ben, "ann"), [MessageState::Failed, MessageState::Delivered]);
    retry(&mut two.sim, two.ben, id).unwrap();
    two.sim.run_for(MINUTE);
    assert_eq!(texts(&mut two.sim, two.ann, "ben").len(), 2);
    drop(heard);
}

#[test]
fn sim_a_request_goes_out_without_the_text_that_was_taken_off_it() {
    let mut two = Two::strangers(seed(), Faults::NONE);
    two.sim.cut(two.wire);
    let link = invite(&mut two.sim, two.ann, 336);
    let id = add_with(&mut two.sim, two.ben, &link, "too early").message.unwrap();
    cancel(&mut two.sim, two.ben, id).unwrap();
    two.sim.mend(two.wire);
    two.sim.run_for(MINUTE);
    assert_eq!(contacts(&mut two.sim, two.ben)[0].state, ContactState::Established, "at once, not at the next try");
    assert_eq!(texts(&mut two.sim, two.ann, "ben"), [""; 0]);
}

#[test]
fn sim_a_text_taken_off_all_requests_is_sent_once_more_while_pending() {
    let mut two = Two::strangers(seed(), Faults::NONE);
    two.sim.cut(two.wire);
    let link = invite(&mut two.sim, two.ann, 336);
    let id = add_with(&mut two.sim, two.ben, &link, "back and forth").message.unwrap();
    let mut taken_back = 0;
    loop {
        match cancel(&mut two.sim, two.ben, id) {
            Ok(_) => taken_back += 1,
            Err(CommandError::MessageState(why)) => {
                assert!(why.contains("made anew"), "{why}");
                break;
            }
            Err(other) => panic!("{other:?}"),
        }
        retry(&mut two.sim, two.ben, id).unwrap();
        two.sim.run_for(HOUR);
    }
    assert!((2..=5).contains(&taken_back), "the tries that are left are for the time that the link lasts: {taken_back}");
    two.sim.mend(two.wire);
    two.sim.run_for(MINUTE);
    assert_eq!(texts(&mut two.sim, two.ann, "ben"), ["back and forth"]);
    assert_eq!(states(&mut two.sim, two.ben, "ann"), [MessageState::Delivered]);
}

/// Says what must hold wherever a message was taken back: nothing of it arrives if it was, it arrives once otherwise, and once more at
/// most if it is then sent again; no tag ever has two bundles.
fn check_outcome(two: &mut Two, heard: &common::Heard, id: MessageId, taken_back: bool, what: &str) {
    two.sim.mend(two.wire);
    two.sim.run_for(2 * MINUTE);
    let times = |two: &mut Two| texts(&mut two.sim, two.ben, "ann").iter().filter(|text| *text == "think again").count();
    assert_eq!(times(two), usize::from(!taken_back), "{what}");
    if taken_back {
        retry(&mut two.sim, two.ann, id).unwrap();
        two.sim.run_for(2 * MINUTE);
        assert_eq!(times(two), 1, "{what}: after it was sent again");
    }
    assert!(texts(&mut two.sim, two.ben, "ann").contains(&"another".to_owned()), "{what}");
    let mut by_tag = std::collections::BTreeMap::new();
    for bundle in bundles(heard, two.ann) {
        let first = by_tag.entry(bundle[8..24].to_vec()).or_insert_with(|| bundle.clone());
        assert!(*first == bundle, "{what}: a tag left with two bundles");
    }
}

#[test]
fn sim_at_each_moment_of_a_session_a_message_is_taken_back_whole_or_not_at_all() {
    let (mut back, mut gone) = (0, 0);
    for relaying in [true, false] {
        for at in (0..1500).step_by(15) {
            let mut two = Two::contacts_over(seed(), Faults { delay: std::time::Duration::from_millis(90), ..Faults::NONE });
            if !relaying {
                two.stop_relaying();
            }
            two.sim.cut(two.wire);
            let heard = listen(&mut two.sim);
            let id = two.sim.send(two.ann, "ben", "think again");
            two.sim.send(two.ann, "ben", "another");
            two.sim.mend(two.wire);
            two.sim.run_for(std::time::Duration::from_millis(at));
            let taken_back = cancel(&mut two.sim, two.ann, id).is_ok();
            *(if taken_back { &mut back } else { &mut gone }) += 1;
            check_outcome(&mut two, &heard, id, taken_back, &format!("relaying {relaying}, at {at} ms"));
        }
    }
    assert!(back > 10 && gone > 10, "both are tried: {back} and {gone}");
}

#[test]
fn sim_a_crash_around_taking_back_leaves_it_done_or_not_done() {
    for past in [false, true] {
        for point in 1..40 {
            let mut two = Two::contacts(seed());
            two.sim.cut(two.wire);
            let heard = listen(&mut two.sim);
            let id = two.sim.send(two.ann, "ben", "think again");
            two.sim.send(two.ann, "ben", "another");
            let before = two.ann_store.point_count();
            if past {
                two.ann_store.crash_past_commit();
            } else {
                two.ann_store.crash_after_writes(point);
            }
            let answer = two.sim.ask(two.ann, Command::Cancel { id });
            let crashed = answer.is_none();
            let points = two.ann_store.point_count() - before;
            // The fault that was not met is not to come later.
            two.ann_store.reopen();
            two.sim.kill(two.ann);
            two.sim.revive(two.ann);
            let taken_back = states(&mut two.sim, two.ann, "ben")[0] == MessageState::Failed;
            assert_eq!(taken_back, !crashed || past, "point {point}");
            check_outcome(&mut two, &heard, id, taken_back, &format!("point {point} of {points}, past {past}"));
            if !crashed || past {
                assert!(past || point > 3, "the crash was tried at some points at least");
                break;
            }
        }
    }
}
