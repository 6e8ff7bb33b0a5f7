//! `explain`: what a message's log says at each step of its way, and what is said of why it waits and of what would help.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test: what fails ends it")]

mod common;

use common::{DAY, HOUR, MINUTE, SECOND, Two, invite, seed};
use hedgerow_sync::{
    id::MessageId,
    sim::{Faults, NodeId, START_MILLIS, Sim, WireId},
    store::{LogEvent, Store},
    time::UnixMillis,
    view::{Answer, Command, CommandError, Explanation, HelpCode, Holder, MessageState, NeighbourCount, WaitCode, What},
};

/// Explains a message, and says that a list of messages gives the same reason.
fn explain(sim: &mut Sim, node: NodeId, id: MessageId) -> Explanation {
    let explanation = match sim.tell(node, Command::Explain { id }) {
        Answer::Explanation(explanation) => *explanation,
        other => panic!("{other:?}"),
    };
    let listed = sim.messages(node, &explanation.message.contact.0.to_string());
    assert_eq!(listed.iter().find(|message| message.id == id), Some(&explanation.message));
    explanation
}

/// The words for what is in the log.
fn log(explanation: &Explanation) -> Vec<&'static str> {
    let word = |what: &What| match what {
        What::Written {} => "written",
        What::Received { .. } => "received",
        What::Sealed { .. } => "sealed",
        What::Handed { to: Holder::Reader, .. } => "handed to reader",
        What::Handed { to: Holder::Contact, .. } => "handed to contact",
        What::Handed { to: Holder::Stranger, .. } => "handed to stranger",
        What::AskedAgain {} => "asked again",
        What::Receipt {} => "receipt",
        What::Read {} => "read",
        What::Expired {} => "expired",
        What::NewKeys {} => "new keys",
        What::LeftWithRequest {} => "left with request",
        What::TakenBack {} => "taken back",
        What::Retried {} => "retried",
    };
    explanation.log.iter().map(|happening| word(&happening.what)).collect()
}

fn code(explanation: &Explanation) -> Option<WaitCode> {
    explanation.waits.as_ref().map(|waits| waits.code)
}

fn helps(explanation: &Explanation) -> Vec<HelpCode> {
    explanation.helps.iter().map(|help| help.code).collect()
}

fn mark_read(sim: &mut Sim, node: NodeId, contact: &str) {
    sim.tell(node, Command::Messages { contact: contact.into(), since: None, before: None, limit: None, mark_read: true });
}

#[test]
fn sim_a_message_is_explained_at_each_step_of_its_way() {
    let mut two = Two::contacts(seed());
    two.sim.run_for(10 * MINUTE);
    two.sim.cut(two.wire);
    two.sim.run_for(3 * HOUR);
    let id = two.sim.send(two.ann, "ben", "Come at eight");
    two.sim.run_for(5 * MINUTE);

    let waiting = explain(&mut two.sim, two.ann, id);
    assert_eq!(log(&waiting), ["written", "sealed"]);
    assert_eq!((waiting.message.state, code(&waiting)), (MessageState::Queued, Some(WaitCode::NoLink)));
    assert_eq!(waiting.now, UnixMillis(waiting.log[0].at.0 + 300_000));
    assert_eq!(waiting.neighbours, NeighbourCount { contacts: 0, strangers: 0 });
    let reader = waiting.reader.as_ref().unwrap();
    assert_eq!((reader.name.as_deref(), reader.in_reach, reader.last_transport.as_deref()), (Some("ben"), false, Some("memory")));
    let away = waiting.now.0 - reader.last_seen.unwrap().0;
    assert!(
        (3 * 3_600_000 + 300_000..3 * 3_600_000 + 360_000).contains(&away),
        "last heard as the wire was cut, not as it came up: {away}"
    );
    assert_eq!(helps(&waiting), [HelpCode::MeetReader, HelpCode::MeetOthers]);
    assert!(waiting.helps[0].text.starts_with("ben was last in reach 3 h ago by a link in memory"), "{}", waiting.helps[0].text);
    let bundle = waiting.bundle.unwrap();
    assert_eq!((bundle.bytes, bundle.class.as_ref(), bundle.held), (512, "normal", Some(true)));
    assert_eq!(bundle.created, Some(UnixMillis((START_MILLIS / 3_600_000 + 3) * 3_600_000)));
    assert_eq!(bundle.expires.unwrap().0 - bundle.created.unwrap().0, 14 * 24 * 3_600_000);
    assert_eq!((bundle.expires, waiting.tries), (waiting.message.expires, 1));

    two.sim.mend(two.wire);
    two.sim.run_for(10 * SECOND);
    let delivered = explain(&mut two.sim, two.ann, id);
    assert_eq!(log(&delivered), ["written", "sealed", "handed to reader", "receipt"]);
    assert_eq!((delivered.message.state, code(&delivered)), (MessageState::Delivered, None));
    assert_eq!(delivered.neighbours, NeighbourCount { contacts: 1, strangers: 0 });
    assert!(delivered.reader.unwrap().in_reach && delivered.helps.is_empty());
    let What::Handed { transport, contact, name, .. } = &delivered.log[2].what else { panic!("{:?}", delivered.log) };
    assert_eq!((transport.as_ref(), *contact, name.as_deref()), ("memory", Some(delivered.message.contact), Some("ben")));
    let times: Vec<u64> = delivered.log.iter().map(|happening| happening.at.0).collect();
    assert!(times.is_sorted() && times[2] >= times[1] + 300_000, "{times:?}");

    mark_read(&mut two.sim, two.ben, "ann");
    two.sim.run_for(10 * SECOND);
    let read = explain(&mut two.sim, two.ann, id);
    assert_eq!(log(&read), ["written", "sealed", "handed to reader", "receipt", "read"]);
    assert_eq!((read.message.state, read.words.as_str()), (MessageState::Read, "read by ben"));

    let at_ben = explain(&mut two.sim, two.ben, id);
    assert_eq!(log(&at_ben), ["received"]);
    assert_eq!(at_ben.log[0].what, What::Received { number: Some(bundle.number) });
    assert_eq!((at_ben.reader, at_ben.bundle, at_ben.waits), (None, None, None));
}

#[test]
fn sim_a_log_survives_restarts_and_a_restart_tells_when_a_contact_was_last_heard() {
    let mut two = Two::contacts(seed());
    let id = two.sim.send(two.ann, "ben", "kept");
    two.sim.run_for(10 * SECOND);
    let before = explain(&mut two.sim, two.ann, id);
    assert_eq!(log(&before), ["written", "sealed", "handed to reader", "receipt"]);
    two.sim.run_for(5 * HOUR);
    two.sim.cut(two.wire);
    two.sim.kill(two.ann);
    two.sim.run_for(HOUR);
    two.sim.revive(two.ann);
    let after = explain(&mut two.sim, two.ann, id);
    assert_eq!(after.log, before.log);
    let waiting = two.sim.send(two.ann, "ben", "waits");
    let reader = explain(&mut two.sim, two.ann, waiting).reader.unwrap();
    let away = after.now.0 - reader.last_seen.unwrap().0;
    assert!(away <= 2 * 3_600_000 + 60_000, "{away} ms: no link end was seen, but housekeeping noted the contact every hour");
}

#[test]
fn sim_an_expired_message_says_that_its_reader_may_have_it() {
    let mut two = Two::contacts(seed());
    two.sim.run_for(26 * HOUR);
    two.sim.cut(two.wire);
    let id = two.sim.send(two.ann, "ben", "late");
    two.sim.run_for(15 * DAY);
    let expired = explain(&mut two.sim, two.ann, id);
    assert_eq!(log(&expired), ["written", "sealed", "expired"]);
    assert_eq!((expired.message.state, code(&expired), helps(&expired)), (MessageState::Expired, None, vec![HelpCode::SendAgain]));
    assert_eq!(expired.bundle.unwrap().held, Some(false));
    assert!(expired.words.contains("not known"), "{}", expired.words);
}

#[test]
fn sim_a_message_that_was_lost_is_asked_for_and_sealed_again_and_says_so() {
    let mut two = Two::contacts(seed());
    two.write(two.ann, 1);
    two.sim.run_for(MINUTE);
    two.sim.cut(two.wire);
    let before = two.ann_store.bundle_ids();
    let id = two.sim.send(two.ann, "ben", "lost");
    for bundle in two.ann_store.bundle_ids().into_iter().filter(|bundle| !before.contains(bundle)) {
        two.ann_store.lose_bundle(&bundle);
    }
    two.sim.kill(two.ann);
    two.sim.revive(two.ann);
    let lost = explain(&mut two.sim, two.ann, id);
    assert_eq!(
        (code(&lost), lost.bundle.map(|bundle| (bundle.bytes, bundle.held))),
        (Some(WaitCode::BundleLost), Some((512, Some(false))))
    );
    two.sim.mend(two.wire);
    two.sim.send(two.ann, "ben", "the next");
    two.sim.run_for(30 * HOUR);
    let found = explain(&mut two.sim, two.ann, id);
    assert_eq!(log(&found), ["written", "sealed", "asked again", "sealed", "handed to reader", "receipt"]);
    assert_eq!((found.tries, found.message.handed_contacts), (2, 1));
}

#[test]
fn sim_a_reader_that_takes_a_message_and_confirms_nothing_is_said_to_hold_it() {
    let mut two = Two::contacts(seed());
    two.sim.possess(two.ben);
    let id = two.sim.send(two.ann, "ben", "stored");
    two.sim.run_for(SECOND);
    let sent = explain(&mut two.sim, two.ann, id);
    assert_eq!((log(&sent), code(&sent)), (vec!["written", "sealed"], Some(WaitCode::HandingOver)));
    let stored = two.sim.stored_all(two.wire, two.ben);
    assert_eq!(stored, 1);
    two.sim.run_for(SECOND);
    let held = explain(&mut two.sim, two.ann, id);
    assert_eq!((log(&held), code(&held)), (vec!["written", "sealed", "handed to reader"], Some(WaitCode::ReceiptAwaited)));
    assert_eq!((held.message.state, held.words.as_str()), (MessageState::Carried, "carried: 1 contact holds it"));
}

#[test]
fn sim_a_reader_without_room_is_said_to_have_refused() {
    let mut two = Two::contacts(seed());
    two.sim.possess(two.ben);
    let id = two.sim.send(two.ann, "ben", "too much");
    two.sim.run_for(SECOND);
    two.sim.refuse_all(two.wire, two.ben);
    two.sim.run_for(SECOND);
    assert_eq!(code(&explain(&mut two.sim, two.ann, id)), Some(WaitCode::Refused));
}

/// The type of a record that carries a bundle (docs/protocol.md, section 4).
const BUNDLE: u8 = 5;

/// Ann and Ben, contacts that are apart, and a stranger who is linked with Ann.
fn with_a_carrier() -> (Two, NodeId, WireId) {
    let mut two = Two::contacts(seed());
    two.sim.cut(two.wire);
    let (cam, _) = two.sim.node("cam");
    let wire = two.sim.connect(two.ann, cam, Faults::NONE);
    two.sim.run_for(10 * SECOND);
    (two, cam, wire)
}

#[test]
fn sim_what_a_stranger_carries_is_told_as_its_claim_until_the_receipt_comes() {
    let (mut two, cam, to_ann) = with_a_carrier();
    let id = two.sim.send(two.ann, "ben", "by another hand");
    two.sim.run_for(10 * SECOND);
    let carried = explain(&mut two.sim, two.ann, id);
    assert_eq!(log(&carried), ["written", "sealed", "handed to stranger"]);
    let What::Handed { transport, contact, name, .. } = &carried.log[2].what else { panic!("{:?}", carried.log) };
    assert_eq!((transport.as_ref(), contact, name), ("memory", &None, &None));
    assert_eq!((carried.message.state, code(&carried)), (MessageState::Carried, Some(WaitCode::Carried)));
    assert_eq!(carried.words, "carried: a stranger says that it holds it");
    assert_eq!(carried.neighbours, NeighbourCount { contacts: 0, strangers: 1 });
    assert_eq!(helps(&carried), [HelpCode::MeetReader, HelpCode::CarriersKeep, HelpCode::MeetOthers]);
    assert!(carried.helps[1].text.ends_with("another 14 d") || carried.helps[1].text.ends_with("another 13 d"), "{:?}", carried.helps);

    two.sim.cut(to_ann);
    let to_ben = two.sim.connect(cam, two.ben, Faults::NONE);
    two.sim.run_for(20 * MINUTE);
    assert_eq!(log(&explain(&mut two.sim, two.ben, id)), ["received"]);
    assert_eq!(code(&explain(&mut two.sim, two.ann, id)), Some(WaitCode::Carried), "nobody has told Ann yet");
    two.sim.cut(to_ben);
    two.sim.mend(to_ann);
    two.sim.run_for(MINUTE);
    let delivered = explain(&mut two.sim, two.ann, id);
    assert_eq!(log(&delivered), ["written", "sealed", "handed to stranger", "receipt"]);
    assert_eq!((delivered.message.state, code(&delivered), delivered.log_omitted), (MessageState::Delivered, None, 0));
}

#[test]
fn sim_the_proof_that_a_carrier_brings_is_a_receipt() {
    let (mut two, cam, to_ann) = with_a_carrier();
    let id = two.sim.send(two.ann, "ben", "proven");
    two.sim.run_for(10 * SECOND);
    two.sim.cut(to_ann);
    two.sim.connect(cam, two.ben, Faults::NONE);
    two.sim.run_for(5 * HOUR);
    two.sim.on_transmit(move |node, _, record| !(node == cam && record[0] == BUNDLE));
    two.sim.mend(to_ann);
    two.sim.run_for(MINUTE);
    let proven = explain(&mut two.sim, two.ann, id);
    assert_eq!(log(&proven), ["written", "sealed", "handed to stranger", "receipt"]);
    assert_eq!((proven.message.state, proven.helps), (MessageState::Delivered, vec![]));
}

#[test]
fn sim_what_is_held_back_says_for_how_long_and_then_that_it_is_offered() {
    let (mut two, _, _) = with_a_carrier();
    let ann = two.ann;
    two.sim.on_transmit(move |node, _, record| !(node == ann && record[0] == BUNDLE));
    let id = two.sim.send(ann, "ben", "not yet for all");
    let waiting = explain(&mut two.sim, ann, id);
    assert_eq!((code(&waiting), helps(&waiting)), (Some(WaitCode::HeldBack), vec![HelpCode::MeetReader]));
    two.sim.run_for(6 * MINUTE);
    assert_eq!(code(&explain(&mut two.sim, ann, id)), Some(WaitCode::HandingOver));
}

#[test]
fn sim_a_neighbour_that_carries_nothing_is_no_taker() {
    let mut two = Two::contacts(seed());
    two.sim.cut(two.wire);
    let quiet = two.sim.stranger("quiet");
    two.sim.connect(two.ann, quiet, Faults::NONE);
    two.sim.run_for(SECOND);
    let id = two.sim.send(two.ann, "ben", "for whom?");
    let waiting = explain(&mut two.sim, two.ann, id);
    assert_eq!((code(&waiting), waiting.neighbours.strangers), (Some(WaitCode::NoTaker), 1));
    assert_eq!(helps(&waiting), [HelpCode::MeetReader, HelpCode::MeetOthers]);
}

#[test]
fn sim_what_is_written_before_the_link_is_used_waits_for_that() {
    let mut sim = Sim::new(seed());
    let ((ann, _), (ben, _)) = (sim.node("ann"), sim.node("ben"));
    let link = invite(&mut sim, ann, 24);
    sim.tell(ben, Command::AddContact { link, alias: Some("ann".into()), message: None });
    let id = sim.send(ben, "ann", "hello?");
    let pending = explain(&mut sim, ben, id);
    assert_eq!((log(&pending), code(&pending)), (vec!["written"], Some(WaitCode::NotAContact)));
    assert_eq!((helps(&pending), pending.bundle, pending.tries), (vec![HelpCode::RenewLink], None, 0));
    assert_eq!(pending.message.why, pending.waits.map(|waits| waits.text));
    sim.connect(ann, ben, Faults::NONE);
    sim.run_for(5 * SECOND);
    let delivered = explain(&mut sim, ben, id);
    assert_eq!(log(&delivered).last(), Some(&"receipt"), "{delivered:?}");
}

#[test]
fn sim_a_full_window_says_that_receipts_come_first() {
    let mut two = Two::contacts(seed());
    two.sim.cut(two.wire);
    two.write(two.ann, 1_100);
    let id = two.sim.send(two.ann, "ben", "the last");
    let full = explain(&mut two.sim, two.ann, id);
    assert_eq!((log(&full), code(&full)), (vec!["written"], Some(WaitCode::WindowFull)));
    assert_eq!(helps(&full), [HelpCode::ReceiptsFirst, HelpCode::MeetReader]);
    two.sim.mend(two.wire);
    two.sim.run_for(30 * SECOND);
    assert_eq!(explain(&mut two.sim, two.ann, id).message.state, MessageState::Delivered);
}

#[test]
fn sim_without_a_clock_a_message_waits_for_its_reader_and_says_so() {
    let mut two = Two::contacts(seed());
    two.sim.cut(two.wire);
    two.sim.set_clock(two.ann, -(START_MILLIS as i64));
    two.sim.kill(two.ann);
    two.sim.revive(two.ann);
    let id = two.sim.send(two.ann, "ben", "when is it?");
    let waiting = explain(&mut two.sim, two.ann, id);
    assert_eq!(code(&waiting), Some(WaitCode::ClockUnknown));
    assert_eq!(helps(&waiting), [HelpCode::SetClock, HelpCode::MeetReader]);
    assert!(waiting.helps[1].text.contains("a clock that has been set back"), "{}", waiting.helps[1].text);
}

#[test]
fn sim_a_blocked_contact_is_named_as_the_reason() {
    let mut two = Two::contacts(seed());
    two.sim.cut(two.wire);
    two.sim.set_clock(two.ann, -(START_MILLIS as i64));
    two.sim.kill(two.ann);
    two.sim.revive(two.ann);
    let id = two.sim.send(two.ann, "ben", "unsealed");
    two.sim.tell(two.ann, Command::BlockContact { contact: "ben".into(), blocked: true });
    let blocked = explain(&mut two.sim, two.ann, id);
    assert_eq!((code(&blocked), helps(&blocked)), (Some(WaitCode::Blocked), vec![HelpCode::Unblock]));
}

#[test]
fn sim_a_restored_profile_says_that_new_keys_come_first() {
    let mut two = Two::contacts(seed());
    two.sim.run_for(MINUTE);
    let mut backup = two.ann_store.clone();
    backup.reopen();
    backup.begin().unwrap();
    backup.save_setting(hedgerow_sync::store::Setting::Restored, &[1]).unwrap();
    backup.commit().unwrap();
    two.sim.cut(two.wire);
    two.sim.restore(two.ann, &backup);
    let id = two.sim.send(two.ann, "ben", "after the restore");
    let frozen = explain(&mut two.sim, two.ann, id);
    assert_eq!((code(&frozen), helps(&frozen)), (Some(WaitCode::Frozen), vec![HelpCode::MeetReader]));
    two.sim.mend(two.wire);
    two.sim.run_for(MINUTE);
    assert_eq!(explain(&mut two.sim, two.ann, id).message.state, MessageState::Delivered);
}

#[test]
fn sim_nobody_hides_a_message_of_ours_behind_one_with_its_id() {
    let mut two = Two::contacts(seed());
    let id = two.sim.send(two.ann, "ben", "the first");
    two.sim.run_for(SECOND);
    two.sim.tell(two.ben, Command::Send { contact: "ann".into(), text: "a copy".into(), id: Some(id), urgent: false });
    two.sim.run_for(SECOND);
    let at_ann = explain(&mut two.sim, two.ann, id);
    assert_eq!((at_ann.message.text.as_str(), at_ann.message.outgoing), ("the first", true));
    let unknown = two.sim.ask(two.ann, Command::Explain { id: MessageId([9; 16]) }).unwrap();
    assert_eq!(unknown, Err(CommandError::UnknownMessage));
}

#[test]
fn sim_a_log_stays_bounded_whatever_is_done_to_a_message() {
    let mut two = Two::contacts(seed());
    let id = two.sim.send(two.ann, "ben", "handed on and on");
    two.sim.run_for(10 * SECOND);
    // As many hand-overs as a busy square brings, written into the row as the engine writes them.
    two.sim.kill(two.ann);
    let contact = explain_contact(&two);
    let mut row = two.ann_store.find_message(contact, true, id).unwrap().unwrap();
    for second in 0..1_000 {
        row.handed_strangers += 1;
        row.log.push(
            UnixMillis(START_MILLIS + 60_000 + second),
            LogEvent::Handed { to: None, transport: hedgerow_transports::TransportKind::Lan },
        );
    }
    two.ann_store.begin().unwrap();
    two.ann_store.save_message(&row).unwrap();
    two.ann_store.commit().unwrap();
    two.sim.revive(two.ann);
    let told = explain(&mut two.sim, two.ann, id);
    assert_eq!(told.log.len(), 1 + 24);
    assert_eq!(log(&told)[..4], ["written", "sealed", "handed to reader", "receipt"]);
    assert_eq!((told.log_omitted, told.message.handed_strangers), (1_000 - 21, 1_000));
}

fn explain_contact(two: &Two) -> hedgerow_sync::id::ContactId {
    two.ann_store.load_contacts().unwrap()[0].id
}

#[test]
fn sim_who_was_met_through_carriers_alone_has_not_been_in_reach() {
    let mut sim = Sim::new(seed());
    let ((ann, _), (ben, _), (carol, _)) = (sim.node("ann"), sim.node("ben"), sim.node("carol"));
    let wires = [ann, carol].map(|node| sim.connect(node, ben, Faults::NONE));
    sim.run_for(SECOND);
    sim.introduce(carol, ann);
    sim.run_for(HOUR);
    wires.into_iter().for_each(|wire| sim.cut(wire));
    let id = sim.send(ann, "carol", "We have not met");
    let waiting = explain(&mut sim, ann, id);
    let reader = waiting.reader.as_ref().unwrap();
    assert_eq!(
        (reader.name.as_deref(), reader.in_reach, reader.last_seen, reader.last_transport.as_deref()),
        (Some("carol"), false, None, None)
    );
    assert!(waiting.helps[0].text.starts_with("carol has not been in reach of this device yet"), "{}", waiting.helps[0].text);
}
