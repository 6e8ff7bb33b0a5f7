//! What an interface works with: pages, what counts as read, drafts, and what a person has chosen for a contact.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test: what fails ends it")]

mod common;

use common::{HOUR, MINUTE, SECOND, Two, contacts, invite, seed, states};
use hedgerow_sync::{
    id::MessageId,
    sim::{NodeId, Sim},
    store::{Setting, Store},
    view::{Alerts, Answer, Command, CommandError, Contact, ContactState, Event, Message, MessageState, Settings},
    wire::item::MAX_TEXT_LEN,
};

fn page(sim: &mut Sim, node: NodeId, since: Option<MessageId>, before: Option<MessageId>, limit: Option<u32>) -> Vec<Message> {
    match sim.tell(node, Command::Messages { contact: "1".into(), since, before, limit, mark_read: false }) {
        Answer::Messages(messages) => messages,
        other => panic!("{other:?}"),
    }
}

fn contact(sim: &mut Sim, node: NodeId, command: Command) -> Contact {
    match sim.tell(node, command) {
        Answer::Contact(contact) => contact,
        other => panic!("{other:?}"),
    }
}

fn show(sim: &mut Sim, node: NodeId) -> Contact {
    contact(sim, node, Command::Contact { contact: "1".into() })
}

fn draft(sim: &mut Sim, node: NodeId, name: &str) -> String {
    match sim.tell(node, Command::Draft { contact: name.into() }) {
        Answer::Draft(draft) => draft.text,
        other => panic!("{other:?}"),
    }
}

fn set_draft(sim: &mut Sim, node: NodeId, text: &str) -> Result<(), CommandError> {
    sim.ask(node, Command::SetDraft { contact: "1".into(), text: text.into() }).unwrap().map(drop)
}

fn choose(sim: &mut Sim, node: NodeId, receipts: Option<bool>, muted: Option<bool>) -> Contact {
    contact(sim, node, Command::SetContact { contact: "1".into(), receipts, muted })
}

/// Of the events that a node has told, those of contacts and how many there are of messages.
fn told(sim: &mut Sim, node: NodeId) -> (Vec<Contact>, usize) {
    let events = sim.take_events(node);
    let messages = events.iter().filter(|event| matches!(event, Event::Message(_))).count();
    (events.into_iter().filter_map(|event| if let Event::Contact(contact) = event { Some(contact) } else { None }).collect(), messages)
}

#[test]
fn sim_a_conversation_is_paged_back_to_its_beginning() {
    let mut two = Two::contacts(seed());
    two.write(two.ann, 23);
    two.sim.run_for(SECOND);
    two.write(two.ben, 14);
    two.sim.run_for(MINUTE);
    let all = page(&mut two.sim, two.ben, None, None, None);
    assert_eq!(all.len(), 37);
    let (mut shown, mut before) = (Vec::new(), None);
    loop {
        let messages = page(&mut two.sim, two.ben, None, before, Some(5));
        let Some(first) = messages.first() else { break };
        before = Some(first.id);
        shown.splice(0..0, messages);
    }
    assert_eq!(shown, all);
    assert_eq!(page(&mut two.sim, two.ben, Some(all[3].id), Some(all[9].id), None), all[4..9]);
    assert_eq!(page(&mut two.sim, two.ben, Some(all[3].id), Some(all[9].id), Some(2)), all[7..9]);
    assert_eq!(page(&mut two.sim, two.ben, Some(all[9].id), Some(all[3].id), None), []);
    for (since, before) in [(Some(MessageId([9; 16])), None), (None, Some(MessageId([9; 16])))] {
        let command = Command::Messages { contact: "1".into(), since, before, limit: None, mark_read: false };
        assert_eq!(two.sim.ask(two.ben, command).unwrap(), Err(CommandError::UnknownMessage));
    }
}

#[test]
fn sim_reading_up_to_a_message_is_told_once_and_to_its_writer() {
    let mut two = Two::contacts(seed());
    two.write(two.ann, 6);
    two.sim.run_for(MINUTE);
    let all = page(&mut two.sim, two.ben, None, None, None);
    assert_eq!((show(&mut two.sim, two.ben).unread, show(&mut two.sim, two.ben).last_message), (6, Some(all[5].stored)));
    two.sim.take_events(two.ben);
    let up_to = |id| Command::MarkRead { contact: "1".into(), id };
    assert_eq!(contact(&mut two.sim, two.ben, up_to(all[3].id)).unread, 2, "that one too");
    let (told_contacts, told_messages) = told(&mut two.sim, two.ben);
    assert_eq!((told_contacts.iter().map(|contact| contact.unread).collect::<Vec<_>>(), told_messages), (vec![2], 4));
    for id in [all[3].id, all[0].id] {
        assert_eq!(contact(&mut two.sim, two.ben, up_to(id)).unread, 2);
        assert_eq!(told(&mut two.sim, two.ben), (Vec::new(), 0), "nothing more has come of it");
    }
    two.sim.run_for(MINUTE);
    let expected = [[MessageState::Read; 4].as_slice(), &[MessageState::Delivered; 2]].concat();
    assert_eq!(states(&mut two.sim, two.ann, "ben"), expected);
    assert_eq!(two.sim.ask(two.ben, up_to(MessageId([9; 16]))).unwrap(), Err(CommandError::UnknownMessage));
    // One's own message is a place too.
    let own = two.sim.send(two.ben, "ann", "seen");
    assert_eq!(contact(&mut two.sim, two.ben, up_to(own)).unread, 0);
    two.sim.run_for(MINUTE);
    assert_eq!(states(&mut two.sim, two.ann, "ben"), [MessageState::Read; 6]);
}

#[test]
fn sim_who_is_not_told_of_reading_hears_that_messages_arrive_and_no_more() {
    let mut two = Two::contacts(seed());
    assert!(show(&mut two.sim, two.ben).receipts, "told unless a person says otherwise");
    assert!(!choose(&mut two.sim, two.ben, Some(false), None).receipts);
    let read_all = Command::Messages { contact: "1".into(), since: None, before: None, limit: None, mark_read: true };
    for round in 0..60 {
        two.sim.send(two.ann, "ben", &format!("{round}"));
        two.sim.run_for(2 * SECOND);
        two.sim.tell(two.ben, read_all.clone());
    }
    // Neither a restart nor a link that ends has it told after all.
    two.sim.kill(two.ben);
    two.sim.revive(two.ben);
    two.sim.run_for(5 * HOUR);
    assert_eq!(states(&mut two.sim, two.ann, "ben"), [MessageState::Delivered; 60], "more than one window");
    assert_eq!((show(&mut two.sim, two.ben).unread, show(&mut two.sim, two.ben).receipts), (0, false));
    choose(&mut two.sim, two.ben, Some(true), None);
    two.sim.run_for(MINUTE);
    assert_eq!(states(&mut two.sim, two.ann, "ben"), [MessageState::Delivered; 60], "not by that alone");
    two.sim.send(two.ann, "ben", "now");
    two.sim.run_for(SECOND);
    two.sim.tell(two.ben, read_all);
    two.sim.run_for(MINUTE);
    assert_eq!(states(&mut two.sim, two.ann, "ben"), [MessageState::Read; 61]);
}

#[test]
fn sim_choices_and_drafts_outlive_restarts_repairs_and_new_links() {
    let mut two = Two::contacts(seed());
    choose(&mut two.sim, two.ben, Some(false), None);
    choose(&mut two.sim, two.ben, None, Some(true));
    set_draft(&mut two.sim, two.ben, "dear Ann").unwrap();
    let is_kept = |two: &mut Two, what: &str| {
        let known = contacts(&mut two.sim, two.ben);
        assert_eq!(known.len(), 1, "{what}: {known:?}");
        assert_eq!((known[0].receipts, known[0].muted, known[0].draft), (false, true, true), "{what}");
        assert_eq!(known[0].state, ContactState::Established);
        assert_eq!(draft(&mut two.sim, two.ben, "ann"), "dear Ann", "{what}");
    };
    let mut backup = two.ann_store.clone();
    // Marked as `hedgerow restore` does.
    backup.reopen();
    backup.begin().unwrap();
    backup.save_setting(Setting::Restored, &[1]).unwrap();
    backup.commit().unwrap();
    two.sim.kill(two.ben);
    two.sim.revive(two.ben);
    is_kept(&mut two, "a restart");
    two.write(two.ben, 3);
    two.sim.run_for(MINUTE);
    two.sim.cut(two.wire);
    two.sim.restore(two.ann, &backup);
    two.sim.mend(two.wire);
    two.sim.run_for(10 * MINUTE);
    assert!(common::notices(&mut two.sim, two.ben).iter().any(|kind| kind == "repaired"));
    is_kept(&mut two, "a repair");
    two.sim.tell(two.ann, Command::RemoveContact { contact: "ben".into() });
    two.sim.run_for(3 * SECOND);
    two.sim.introduce(two.ann, two.ben);
    two.sim.run_for(MINUTE);
    is_kept(&mut two, "a new link");
}

#[test]
fn sim_drafts_are_kept_bounded_and_go_with_their_contact() {
    let mut two = Two::contacts(seed());
    assert_eq!(draft(&mut two.sim, two.ann, "ben"), "");
    two.sim.take_events(two.ann);
    set_draft(&mut two.sim, two.ann, "a").unwrap();
    assert!(told(&mut two.sim, two.ann).0.pop().unwrap().draft, "others see that there is one");
    set_draft(&mut two.sim, two.ann, "ab").unwrap();
    assert_eq!(told(&mut two.sim, two.ann).0, [], "that it has changed is told to nobody");
    assert!(show(&mut two.sim, two.ann).draft);
    let longest = "é".repeat(MAX_TEXT_LEN / 2);
    set_draft(&mut two.sim, two.ann, &longest).unwrap();
    let refused = set_draft(&mut two.sim, two.ann, &format!("{longest}x"));
    assert_eq!(refused, Err(CommandError::TextLength { length: MAX_TEXT_LEN + 1, limit: MAX_TEXT_LEN }));
    assert_eq!(draft(&mut two.sim, two.ann, "ben"), longest, "what is refused changes nothing");
    two.sim.take_events(two.ann);
    set_draft(&mut two.sim, two.ann, "").unwrap();
    assert_eq!((told(&mut two.sim, two.ann).0.pop().unwrap().draft, draft(&mut two.sim, two.ann, "ben")), (false, String::new()));
    set_draft(&mut two.sim, two.ann, "").unwrap();
    assert_eq!(told(&mut two.sim, two.ann).0, []);

    set_draft(&mut two.sim, two.ann, "gone with it").unwrap();
    two.sim.tell(two.ann, Command::RemoveContact { contact: "ben".into() });
    invite(&mut two.sim, two.ann, 24);
    assert_eq!(draft(&mut two.sim, two.ann, "2"), "");
    assert!(contacts(&mut two.sim, two.ann).iter().all(|contact| !contact.draft));
}

#[test]
fn sim_alerts_are_kept_and_end_no_link() {
    let mut two = Two::contacts(seed());
    two.sim.take_events(two.ann);
    let settings = |two: &mut Two, command| -> Settings {
        match two.sim.tell(two.ann, command) {
            Answer::Settings(settings) => settings,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(settings(&mut two, Command::Settings {}).alerts, Alerts { bell: true, notify: false, content: false });
    let set = |bell, notify, content| Command::SetAlerts { bell, notify, content };
    let alerts = settings(&mut two, set(Some(false), Some(true), None)).alerts;
    assert_eq!(alerts, Alerts { bell: false, notify: true, content: false });
    settings(&mut two, set(None, None, Some(true)));
    two.sim.run_for(MINUTE);
    assert!(two.sim.take_events(two.ann).iter().all(|event| !matches!(event, Event::LinkDown(_))));
    two.sim.kill(two.ann);
    two.sim.revive(two.ann);
    assert_eq!(settings(&mut two, Command::Settings {}).alerts, Alerts { bell: false, notify: true, content: true });
}
