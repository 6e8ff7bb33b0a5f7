//! What leaves as JSON comes back as it was: every answer, every event, and the status of a daemon in each state.

use serde::{Serialize, de::DeserializeOwned};

use super::*;
use crate::{
    id::{ContactId, MessageId},
    time::UnixMillis,
    view::{
        Alerts, Clock, ClockJump, ClockSource, ContactState, Data, Event, Happening, Help, HelpCode, Holder, Leak, LinkStatus,
        MessageState, Mode, NearbyState, Neighbour, NeighbourCount, NodeState, NodeStatus, Reach, Reader, Relay, RelaySettings,
        SealedBundle, Shown, Trouble, WaitCode, Waits, What,
    },
};

/// A text that a careless reader or writer of JSON would spoil.
const HOSTILE: &str = "a\u{1b}[31m\u{9b}\u{202e}\u{200b}\u{feff}\u{e0041}\0\n\"\\/é日👩{}";
const ID: MessageId = MessageId([0xab; 16]);
const LATE: UnixMillis = UnixMillis(u64::MAX);

/// A text that may be absent.
fn text(full: bool) -> Option<String> {
    full.then(|| HOSTILE.to_owned())
}

fn time(full: bool) -> Option<UnixMillis> {
    full.then_some(LATE)
}

fn contact(full: bool) -> Contact {
    Contact {
        contact: ContactId(u32::MAX),
        name: text(full),
        own_name: text(full),
        state: if full { ContactState::Established } else { ContactState::Invited },
        verified: full,
        fingerprint: text(full),
        unread: u64::MAX,
        receipts: !full,
        muted: full,
        draft: full,
        last_message: time(full),
        in_reach: full,
        last_seen: time(full),
        last_transport: full.then(|| "lan".into()),
        link_expires: time(full),
        tries: full.then_some(u8::MAX),
        why: text(full),
    }
}

fn message(full: bool) -> Message {
    Message {
        id: ID,
        contact: ContactId(1),
        order: 1,
        from: HOSTILE.into(),
        outgoing: full,
        text: HOSTILE.into(),
        data: full.then_some(Data { length: u32::MAX, received: 0 }),
        sent: LATE,
        stored: UnixMillis(0),
        state: MessageState::Carried,
        handed_contacts: u32::MAX,
        handed_strangers: 0,
        expires: time(full),
        why: text(full),
    }
}

fn explanation(full: bool) -> Explanation {
    let what = [
        What::Written {},
        What::Received { number: full.then_some(u32::MAX) },
        What::Sealed { number: 0, bytes: 4096 },
        What::Handed { to: Holder::Contact, transport: "lan".into(), contact: full.then_some(ContactId(2)), name: text(full) },
        What::Handed { to: Holder::Stranger, transport: "lan".into(), contact: None, name: None },
        What::AskedAgain {},
        What::Receipt {},
        What::Read {},
        What::Expired {},
        What::NewKeys {},
        What::LeftWithRequest {},
        What::TakenBack {},
        What::Retried {},
    ];
    Explanation {
        message: message(full),
        now: LATE,
        words: HOSTILE.into(),
        log: what.into_iter().map(|what| Happening { what, at: LATE }).collect(),
        log_omitted: 7,
        tries: 2,
        bundle: full.then(|| SealedBundle {
            number: 3,
            bytes: 512,
            class: "urgent".into(),
            created: time(full),
            expires: None,
            held: Some(false),
        }),
        waits: full.then(|| Waits { code: WaitCode::HeldBack, text: HOSTILE.into() }),
        reader: full.then(|| Reader {
            contact: ContactId(1),
            name: text(full),
            in_reach: true,
            last_seen: time(full),
            last_transport: Some("lan".into()),
        }),
        neighbours: NeighbourCount { contacts: 1, strangers: usize::MAX },
        helps: vec![Help { code: HelpCode::SendAgain, text: HOSTILE.into() }],
    }
}

fn shown(full: bool) -> Shown {
    Shown { mode: if full { Mode::Contacts } else { Mode::Mesh }, visible: full, visible_until: time(full) }
}

fn settings(full: bool) -> Settings {
    let relay = RelaySettings { on: full, bytes: u64::MAX, metered: full };
    Settings { shown: shown(full), relay, alerts: Alerts { bell: !full, notify: full, content: full } }
}

fn neighbour(full: bool) -> Neighbour {
    Neighbour {
        link: u64::MAX,
        transport: "lan".into(),
        contact: full.then_some(ContactId(3)),
        name: text(full),
        outbound: full,
        carries: full,
        claimed_name: text(full),
    }
}

fn status(full: bool) -> Status {
    Status {
        name: HOSTILE.into(),
        fingerprint: "abc".into(),
        neighbours: if full { vec![neighbour(true), neighbour(false)] } else { Vec::new() },
        transports: vec![Reach { transport: "lan".into(), contacts: 1, strangers: 2 }],
        contacts: 1,
        pending: 2,
        undelivered: 3,
        bundles: 4,
        bundle_bytes: u64::MAX,
        shown: shown(full),
        relay: Relay {
            settings: RelaySettings::default(),
            carried_bundles: 1,
            carried_bytes: u64::MAX,
            from_contacts_bytes: 3,
            from_strangers_inbound_bytes: 4,
            from_strangers_outbound_bytes: 5,
        },
        clock: Clock {
            hour: full.then_some(u32::MAX),
            source: ClockSource::Strangers,
            trust: "in words".into(),
            settles_in_hours: full.then_some(24),
            jump: full.then_some(ClockJump { at: LATE, hours: i32::MIN }),
        },
    }
}

fn nearby_peer(full: bool) -> NearbyPeer {
    NearbyPeer {
        peer: u32::MAX,
        name: HOSTILE.into(),
        transport: "lan".into(),
        state: if full { NearbyState::Comparing } else { NearbyState::ChoseUs },
        words: full.then(|| vec!["one".into(), HOSTILE.into()]),
        contact: full.then_some(ContactId(1)),
        why: text(full),
    }
}

fn nearby(full: bool) -> Nearby {
    Nearby { until: time(full), mismatches: 3, peers: if full { vec![nearby_peer(true), nearby_peer(false)] } else { Vec::new() } }
}

/// One command of each kind.
fn commands() -> Vec<Command> {
    let (contact, text, peer) = (|| "bob".to_owned(), || HOSTILE.to_owned(), || "1".to_owned());
    vec![
        Command::Status {},
        Command::Invite { hours: 1 },
        Command::AddContact { link: text(), alias: None, message: Some(text()) },
        Command::Contacts {},
        Command::Contact { contact: contact() },
        Command::VerifyContact { contact: contact(), fingerprint: text() },
        Command::RenameContact { contact: contact(), alias: text() },
        Command::BlockContact { contact: contact(), blocked: true },
        Command::SetContact { contact: contact(), receipts: Some(false), muted: None },
        Command::RemoveContact { contact: contact() },
        Command::Send { contact: contact(), text: text(), id: Some(ID), urgent: true },
        Command::Messages { contact: contact(), since: Some(ID), before: Some(ID), limit: Some(u32::MAX), mark_read: true },
        Command::MarkRead { contact: contact(), id: ID },
        Command::Retry { id: ID },
        Command::Cancel { id: ID },
        Command::Draft { contact: contact() },
        Command::SetDraft { contact: contact(), text: text() },
        Command::Explain { id: ID },
        Command::Settings {},
        Command::SetMode { mode: Mode::Contacts },
        Command::SetRelay { on: None, bytes: Some(u64::MAX), metered: Some(true) },
        Command::SetVisible { visible: true },
        Command::SetAlerts { bell: Some(true), notify: None, content: Some(false) },
        Command::NearbyOpen {},
        Command::NearbyClose {},
        Command::Nearby {},
        Command::NearbyAdd { peer: peer() },
        Command::NearbyConfirm { peer: peer(), matches: false },
    ]
}

/// What the engine answers to a command of this kind. A new command must be told of here, and in [`commands`].
fn answer(command: &Command, full: bool) -> Answer {
    match command {
        Command::Status {} => Answer::Status(status(full)),
        Command::Invite { .. } => Answer::Invitation(Invitation { contact: ContactId(1), link: HOSTILE.into(), expires: LATE }),
        Command::AddContact { .. } => {
            Answer::Added(Added { contact: ContactId(1), state: ContactState::Pending, message: full.then_some(ID) })
        }
        Command::Contacts {} => Answer::Contacts(if full { vec![contact(true), contact(false)] } else { Vec::new() }),
        Command::Contact { .. }
        | Command::VerifyContact { .. }
        | Command::RenameContact { .. }
        | Command::BlockContact { .. }
        | Command::SetContact { .. }
        | Command::MarkRead { .. } => Answer::Contact(contact(full)),
        Command::RemoveContact { .. } => Answer::Removed(Removed { contact: ContactId(1) }),
        Command::Send { .. } | Command::SendData { .. } | Command::Retry { .. } => {
            Answer::Sent(Sent { id: ID, state: MessageState::Queued })
        }
        Command::Messages { .. } => Answer::Messages(if full { vec![message(true), message(false)] } else { Vec::new() }),
        Command::Cancel { .. } => Answer::Message(message(full)),
        Command::Draft { .. } | Command::SetDraft { .. } => {
            Answer::Draft(Draft { contact: ContactId(1), text: text(full).unwrap_or_default() })
        }
        Command::Explain { .. } => Answer::Explanation(Box::new(explanation(full))),
        Command::Settings {}
        | Command::SetMode { .. }
        | Command::SetRelay { .. }
        | Command::SetVisible { .. }
        | Command::SetAlerts { .. } => Answer::Settings(settings(full)),
        Command::NearbyOpen {} | Command::NearbyClose {} | Command::Nearby {} => Answer::Nearby(nearby(full)),
        Command::NearbyAdd { .. } | Command::NearbyConfirm { .. } => Answer::NearbyPeer(nearby_peer(full)),
    }
}

/// Events of every kind. A new one must be told of here.
fn events(full: bool) -> Vec<Event> {
    let all = vec![
        Event::Message(message(full)),
        Event::Contact(contact(full)),
        Event::ContactRemoved { contact: ContactId(1), same_as: full.then_some(ContactId(2)) },
        Event::LinkUp(neighbour(full)),
        Event::LinkDown(neighbour(full)),
        Event::Neighbour(neighbour(full)),
        Event::Nearby(nearby(full)),
        Event::Notice { kind: "link_reused".into(), text: HOSTILE.into(), contact: full.then_some(ContactId(1)) },
    ];
    for event in &all {
        match event {
            Event::Message(_)
            | Event::Contact(_)
            | Event::ContactRemoved { .. }
            | Event::LinkUp(_)
            | Event::LinkDown(_)
            | Event::Neighbour(_)
            | Event::Nearby(_)
            | Event::Notice { .. } => {}
        }
    }
    all
}

/// From a text as it crosses the socket, and from a parsed document as a client may hold it.
fn there_and_back<T: Serialize + DeserializeOwned>(value: &T) -> [T; 2] {
    let line = serde_json::to_string(value).unwrap();
    [serde_json::from_str(&line).unwrap(), serde_json::from_value(serde_json::from_str(&line).unwrap()).unwrap()]
}

#[test]
fn every_answer_is_read_back_as_it_was() {
    for command in commands() {
        for full in [true, false] {
            let answer = answer(&command, full);
            let line = serde_json::to_string(&answer).unwrap();
            let from_line = Answer::read(&command, &mut serde_json::Deserializer::from_str(&line)).unwrap();
            assert_eq!(from_line, answer, "{line}");
            let document: serde_json::Value = serde_json::from_str(&line).unwrap();
            assert_eq!(Answer::read(&command, &document).unwrap(), answer, "{line}");
        }
        assert!(Answer::read(&command, &serde_json::json!(7)).is_err(), "{command:?}");
    }
}

#[test]
fn every_command_is_read_back_as_it_was() {
    for command in commands() {
        assert!(there_and_back(&command).iter().all(|read| *read == command), "{command:?}");
    }
}

#[test]
fn every_event_is_read_back_as_it_was() {
    for event in [true, false].into_iter().flat_map(events) {
        assert!(there_and_back(&event).iter().all(|read| *read == event), "{event:?}");
    }
}

#[test]
fn the_status_of_a_daemon_is_read_back_in_every_state() {
    for state in [NodeState::Running, NodeState::Locked, NodeState::Failed] {
        for node in [Some(status(true)), Some(status(false)), None] {
            let status = NodeStatus {
                state,
                listen: vec!["[::1]:4711".into()],
                trouble: vec![Trouble { source: "store".into(), text: HOSTILE.into() }],
                links: vec![LinkStatus { link: u64::MAX, transport: "lan".into(), address: HOSTILE.into() }],
                leaks: vec![Leak { transport: "lan".into(), text: HOSTILE.into() }],
                node,
            };
            assert!(there_and_back(&status).iter().all(|read| *read == status), "{status:?}");
        }
    }
}
