//! Where a message is and why, and what would help: the answer to `explain`, from its log and from what is so now.
//!
//! Says only what this node knows. A contact's STORED is believed; a stranger's is told as the claim that it is. Only a receipt says that
//! a message has arrived.

use std::{collections::BTreeSet, time::Duration};

use hedgerow_transports::{LinkId, TransportKind};

use super::{
    Engine,
    conversation::{MESSAGE_LIFETIME, RESERVED_FOR_RECEIPTS},
    exchange::shown_name,
    link::{LinkState, Peer},
    pair::Contact,
    routing::Scope,
};
use crate::{
    id::{BundleId, ContactId, MessageId},
    store::{ContactRow, LogEntry, LogEvent, MessageRow, StoreError},
    time::{Hour, Now, UnixMillis},
    view::{
        CommandError, ContactState, Explanation, Happening, Help, HelpCode, Holder, MessageState, Mode, NeighbourCount, Reader,
        SealedBundle, WaitCode, Waits, What, span_in_words, start_of, transport_in_words,
    },
    wire::bundle::Class,
};

impl Engine {
    pub(super) fn explain(&mut self, now: Now, id: MessageId) -> Result<Result<Explanation, CommandError>, StoreError> {
        self.flush_messages()?;
        let rows = self.store.find_messages_by_id(id)?;
        // Whoever was sent a message knows its id and may give it to one of their own: ours comes first.
        let Some(row) = rows.iter().find(|row| row.outgoing).or(rows.first()) else {
            return Ok(Err(CommandError::UnknownMessage));
        };
        let waits = (row.outgoing && row.state < MessageState::Delivered).then(|| self.why_waiting(now, row));
        Ok(Ok(Explanation {
            message: self.view_message(now, row)?,
            now: now.wall,
            words: self.state_in_words(row),
            log: self.happenings(row),
            log_omitted: omitted(row),
            tries: row.sealed.max(row.log.entries().iter().filter(|entry| matches!(entry.what, LogEvent::Sealed { .. })).count() as u32),
            bundle: self.sealed_bundle(row),
            helps: if row.outgoing { self.helps(now, row, waits.as_ref().map(|waits| waits.code)) } else { Vec::new() },
            waits,
            reader: row.outgoing.then(|| self.reader(now, row.contact)),
            neighbours: self.count_neighbours(),
        }))
    }

    fn state_in_words(&self, row: &MessageRow) -> String {
        let name = self.name_of(row.contact);
        match row.state {
            MessageState::Delivered if !row.outgoing => "received, not read yet".into(),
            MessageState::Read if !row.outgoing => "received and read".into(),
            MessageState::Queued | MessageState::Carried if !row.outgoing => "announced: parts of it are still on their way".into(),
            MessageState::Expired if !row.outgoing => "expired: its time ran out before all of it was here".into(),
            MessageState::Failed if !row.outgoing => format!("failed: what came from {name} is not what was announced"),
            MessageState::Queued if row.number.is_none() => "queued: on this device only, not sealed yet".into(),
            MessageState::Queued => "queued: sealed, on this device only".into(),
            MessageState::Carried => format!("carried: {}", holders(row)),
            MessageState::Delivered => format!("delivered: the device of {name} has it"),
            MessageState::Read => format!("read by {name}"),
            MessageState::Expired => format!("expired: its time ran out without a receipt; whether {name} has it is not known"),
            MessageState::Failed => format!("failed: {}", self.why_failed(row).unwrap_or("it can't be sent")),
        }
    }

    /// Why a message has failed, where that is known.
    pub(super) fn why_failed(&self, row: &MessageRow) -> Option<&str> {
        if row.log.is_taken_back() {
            return Some("taken back before it left this device");
        }
        self.contacts.get(&row.contact)?.row.why.as_deref()
    }

    fn happenings(&self, row: &MessageRow) -> Vec<Happening> {
        let first = if row.outgoing { What::Written {} } else { What::Received { number: row.number } };
        let rest = row.log.entries().iter().map(|LogEntry { at, what }| {
            let what = match *what {
                LogEvent::Sealed { number, size } => What::Sealed { number, bytes: size },
                LogEvent::Handed { to, transport } => What::Handed {
                    to: match to {
                        Some(to) if to == row.contact => Holder::Reader,
                        Some(_) => Holder::Contact,
                        None => Holder::Stranger,
                    },
                    transport: transport.name().into(),
                    contact: to,
                    name: to.and_then(|to| self.shown_name_of(to)),
                },
                LogEvent::AskedAgain => What::AskedAgain {},
                LogEvent::Receipt => What::Receipt {},
                LogEvent::Read => What::Read {},
                LogEvent::Expired => What::Expired {},
                LogEvent::NewKeys => What::NewKeys {},
                LogEvent::LeftWithRequest => What::LeftWithRequest {},
                LogEvent::TakenBack => What::TakenBack {},
                LogEvent::Retried => What::Retried {},
            };
            Happening { what, at: *at }
        });
        std::iter::once(Happening { what: first, at: row.stored }).chain(rest).collect()
    }

    /// The bundle that travels for a message now, while its number is open.
    pub(super) fn open_bundle_of(&self, row: &MessageRow) -> Option<BundleId> {
        let pair = self.contacts.get(&row.contact)?.pair.as_ref()?;
        let open = pair.outbox.get(&row.number?).filter(|open| open.message == Some(row.id))?;
        Some(open.bundle)
    }

    fn sealed_bundle(&self, row: &MessageRow) -> Option<SealedBundle> {
        let number = row.number.filter(|_| row.outgoing)?;
        let open = self.open_bundle_of(row);
        let held = open.and_then(|id| self.holdings.row(&id));
        let sealed = row.log.entries().iter().rev().find_map(|entry| match entry.what {
            LogEvent::Sealed { number: sealed, size } if sealed == number => Some(size),
            _ => None,
        });
        let class = if row.urgent { Class::Urgent } else { Class::Normal };
        let created = row.expires.map(|Hour(expires)| Hour(expires.saturating_sub(MESSAGE_LIFETIME.hours())));
        Some(SealedBundle {
            number,
            bytes: held.map(|held| held.size).or(sealed)?,
            class: match class {
                Class::Normal => "normal".into(),
                Class::Urgent => "urgent".into(),
            },
            created: created.map(start_of),
            expires: row.expires.map(start_of),
            held: match row.state {
                MessageState::Queued | MessageState::Carried => Some(held.is_some()),
                MessageState::Expired | MessageState::Failed => Some(false),
                MessageState::Delivered | MessageState::Read => None,
            },
        })
    }

    /// Why an outgoing message without a receipt has not arrived.
    pub(super) fn why_waiting(&self, now: Now, row: &MessageRow) -> Waits {
        let name = self.name_of(row.contact);
        let waits = |code, text: String| Waits { code, text };
        let contact = self.contacts.get(&row.contact);
        match contact.map(|contact| contact.row.state) {
            _ if contact.is_some_and(Contact::is_paired) => {}
            Some(ContactState::Invited) => return waits(WaitCode::NotAContact, "waits until the link that was made for it is used".into()),
            Some(ContactState::Pending) => return waits(WaitCode::NotAContact, "waits until the answer to the link has come".into()),
            Some(ContactState::Failed) | None => {
                return waits(WaitCode::NotAContact, "the link failed, so there is nobody to seal it for".into());
            }
            Some(ContactState::Blocked) if row.number.is_none() => {
                return waits(WaitCode::Blocked, format!("{name} is blocked: nothing is sealed meanwhile"));
            }
            Some(ContactState::Blocked | ContactState::Established) => {}
        }
        if self.is_frozen(row.contact) {
            let text = format!("waits until {name} has answered: this profile was restored, and new keys must be agreed on first");
            return waits(WaitCode::Frozen, text);
        }
        if row.number.is_none() {
            return self.why_unsealed(now, row, &name);
        }
        if self.large.is_outgoing(row.contact, row.id) && self.open_bundle_of(row).is_none() {
            let text = format!("{name} knows of it; it is delivered once all parts of it have come");
            return waits(WaitCode::ReceiptAwaited, text);
        }
        self.why_sealed(now, row, &name)
    }

    fn why_unsealed(&self, now: Now, row: &MessageRow, name: &str) -> Waits {
        let allowance =
            self.contacts.get(&row.contact).and_then(|contact| contact.pair.as_ref()).map_or(0, |pair| pair.ratchet.allowance());
        let (code, text) = if self.hour(now) == Hour::UNKNOWN && !self.is_in_reach(row.contact) {
            (WaitCode::ClockUnknown, format!("this device does not know the time, so it waits for a link straight to {name}"))
        } else if allowance <= RESERVED_FOR_RECEIPTS {
            (WaitCode::WindowFull, format!("waits until {name} has confirmed earlier messages"))
        } else {
            (WaitCode::Sealing, "it is being sealed".into())
        };
        Waits { code, text }
    }

    fn why_sealed(&self, now: Now, row: &MessageRow, name: &str) -> Waits {
        let bundle = self.open_bundle_of(row);
        let refused = |link: &LinkState| bundle.is_some_and(|id| link.refused_lately.iter().any(|(_, refused)| *refused == id));
        let to_reader = self.open_links().find(|link| link.peer == Peer::Contact(row.contact));
        let held = bundle.and_then(|id| self.holdings.row(&id));
        let mut takers = self.open_links().filter(|link| link.scope == Scope::Everything).peekable();
        let (code, text) = if reader_holds(row) {
            (WaitCode::ReceiptAwaited, format!("the device of {name} has stored it; its receipt is still on its way"))
        } else if held.is_none() && row.state == MessageState::Queued {
            (WaitCode::BundleLost, format!("its bundle is lost here: it is sealed anew once {name} misses it"))
        } else if to_reader.is_some_and(refused) {
            (
                WaitCode::Refused,
                format!("the device of {name} has no room for it or another idea of the time; it is offered again every hour"),
            )
        } else if to_reader.is_some() {
            (WaitCode::HandingOver, format!("{name} is in reach, and it is on its way"))
        } else if row.state == MessageState::Carried {
            (WaitCode::Carried, format!("waits until one of those who carry it meets {name}, and for the receipt"))
        } else if self.open_links().next().is_none() {
            (WaitCode::NoLink, "no device is in reach".into())
        } else if held.is_some_and(|held| held.created == Hour::UNKNOWN) {
            let text = format!("this device did not know the time as it was sealed, so it goes only straight to {name}");
            (WaitCode::ClockUnknown, text)
        } else if takers.peek().is_none() {
            (WaitCode::NoTaker, format!("none of the devices in reach carries it for {name}"))
        } else if let Some(span) = bundle.and_then(|id| self.held_back_for(now, &id)) {
            let span = span_in_words(span);
            let text = format!("it goes to one other device first and to all others in {span}, so that nobody sees who wrote it");
            (WaitCode::HeldBack, text)
        } else if takers.all(refused) {
            (
                WaitCode::Refused,
                "the devices in reach have no room for it or another idea of the time; it is offered again every hour".into(),
            )
        } else {
            (WaitCode::HandingOver, "it is offered to others in reach".into())
        };
        Waits { code, text }
    }

    fn helps(&self, now: Now, row: &MessageRow, waits: Option<WaitCode>) -> Vec<Help> {
        let help = |code, text: &str| Help { code, text: text.to_owned() };
        let state = self.contacts.get(&row.contact).map(|contact| contact.row.state);
        let over = matches!(row.state, MessageState::Failed | MessageState::Expired);
        if over && (state == Some(ContactState::Failed) || (row.state == MessageState::Failed && !row.log.is_taken_back())) {
            return vec![help(HelpCode::RenewLink, "make a new link with the person, and send it again then")];
        }
        if over {
            return vec![help(HelpCode::SendAgain, "send it again if it still matters")];
        }
        let Some(waits) = waits else { return Vec::new() };
        let mut helps = Vec::new();
        match waits {
            WaitCode::NotAContact => helps.push(help(
                HelpCode::RenewLink,
                "ask the person to be online, or make a new link and have it used: what is written waits for it",
            )),
            WaitCode::Blocked => helps.push(help(HelpCode::Unblock, "unblock the contact")),
            WaitCode::ClockUnknown => {
                helps.push(help(HelpCode::SetClock, "set the clock of this device, or meet contacts: what their clocks say is taken"));
            }
            WaitCode::WindowFull => helps.push(self.help_window(row)),
            _ => {}
        }
        if state == Some(ContactState::Established) && !self.is_in_reach(row.contact) {
            helps.push(self.help_meet_reader(now, row.contact));
        }
        if row.state == MessageState::Carried {
            helps.extend(self.help_carriers(now, row));
        }
        if matches!(waits, WaitCode::NoLink | WaitCode::NoTaker | WaitCode::Carried) {
            helps.push(self.help_meet_others());
        }
        helps
    }

    fn help_window(&self, row: &MessageRow) -> Help {
        let open = self.contacts.get(&row.contact).and_then(|contact| contact.pair.as_ref()).map_or(0, |pair| pair.outbox.len());
        let text = format!("{open} earlier bundles are on their way without a receipt: the next ones go out as receipts come in");
        Help { code: HelpCode::ReceiptsFirst, text }
    }

    fn help_meet_reader(&self, now: Now, contact: ContactId) -> Help {
        let Reader { last_seen, last_transport, .. } = self.reader(now, contact);
        let name = self.name_of(contact);
        let over = last_transport.map(|transport| format!(" by {}", transport_in_words(&transport))).unwrap_or_default();
        let text = match last_seen {
            Some(seen) => format!("{name} was last in reach {}{over}: it goes over as soon as the two devices meet", ago(now.wall, seen)),
            None => format!("{name} has not been in reach of this device yet: it goes over as soon as the two devices meet"),
        };
        Help { code: HelpCode::MeetReader, text }
    }

    fn help_carriers(&self, now: Now, row: &MessageRow) -> Option<Help> {
        let (expires, hour) = (row.expires?, self.hour(now));
        let left = expires.0.checked_sub(hour.0).filter(|left| hour != Hour::UNKNOWN && *left > 0)?;
        let span = span_in_words(Duration::from_secs(u64::from(left) * 3_600));
        Some(Help { code: HelpCode::CarriersKeep, text: format!("nothing needs to be done: carriers keep it for another {span}") })
    }

    fn help_meet_others(&self) -> Help {
        let help = |code, text: &str| Help { code, text: text.to_owned() };
        if !self.policy.relay.on {
            return help(
                HelpCode::RelayOn,
                "this node carries for nobody, so its mail goes straight to its reader; if it carried, others would too",
            );
        }
        match self.policy.mode {
            Mode::Mesh => {
                help(HelpCode::MeetOthers, "keep this device on and near others that run Hedgerow: whoever takes it may meet the reader")
            }
            Mode::Contacts => help(HelpCode::ModeMesh, "only contacts carry it: meet some, or let strangers carry it too in mode mesh"),
        }
    }

    fn reader(&self, now: Now, contact: ContactId) -> Reader {
        let link = self.open_links().filter(|link| link.peer == Peer::Contact(contact)).max_by_key(|link| link.last_heard);
        let row = self.contacts.get(&contact).map(|contact| &contact.row);
        let (last_seen, last_transport) = match link {
            Some(link) => (Some(heard_at(now, link)), Some(link.properties.kind)),
            None => (row.and_then(|row| row.last_seen), row.and_then(|row| row.last_transport)),
        };
        Reader {
            contact,
            name: row.and_then(shown_name).map(str::to_owned),
            in_reach: link.is_some(),
            last_seen,
            last_transport: last_transport.map(|kind| kind.name().into()),
        }
    }

    fn count_neighbours(&self) -> NeighbourCount {
        let contacts: BTreeSet<ContactId> = self.open_links().filter_map(|link| link.peer.contact()).collect();
        let strangers = self.open_links().filter(|link| link.peer.contact().is_none()).count();
        NeighbourCount { contacts: contacts.len(), strangers }
    }

    fn open_links(&self) -> impl Iterator<Item = &LinkState> {
        self.links.values().filter(|link| link.is_open())
    }

    fn shown_name_of(&self, contact: ContactId) -> Option<String> {
        self.contacts.get(&contact).and_then(|contact| shown_name(&contact.row)).map(str::to_owned)
    }

    fn name_of(&self, contact: ContactId) -> String {
        self.shown_name_of(contact).unwrap_or_else(|| "the reader".to_owned())
    }

    /// A link has ended: notes when its contact was last heard.
    pub(super) fn note_parted(&mut self, now: Now, link: LinkId) {
        let Some((contact, seen, kind)) = self.links.get(&link).and_then(|link| last_heard(now, link)) else { return };
        if let Some(contact) = self.touch(contact) {
            note_seen(&mut contact.row, seen, kind);
        }
    }

    /// Notes of all contacts in reach when they were last heard, so that a restart does not forget much of it.
    pub(super) fn note_in_reach(&mut self, now: Now) {
        let heard: Vec<_> = self.open_links().filter_map(|link| last_heard(now, link)).collect();
        for (contact, seen, kind) in heard {
            if let Some(contact) = self.contacts.get_mut(&contact) {
                note_seen(&mut contact.row, seen, kind);
                contact.dirty = true;
            }
        }
    }
}

fn note_seen(row: &mut ContactRow, seen: UnixMillis, kind: TransportKind) {
    (row.last_seen, row.last_transport) = (Some(seen), Some(kind));
}

fn last_heard(now: Now, link: &LinkState) -> Option<(ContactId, UnixMillis, TransportKind)> {
    Some((link.peer.contact()?, heard_at(now, link), link.properties.kind))
}

/// When a link's peer was last heard, by the system clock.
fn heard_at(now: Now, link: &LinkState) -> UnixMillis {
    let silence = now.mono.since(link.last_heard);
    UnixMillis(now.wall.0.saturating_sub(silence.as_millis() as u64))
}

/// Whether the reader's device has said that it holds what was sealed last.
fn reader_holds(row: &MessageRow) -> bool {
    let mut since = row.log.under_present_keys().take_while(|entry| !matches!(entry.what, LogEvent::Sealed { .. }));
    since.any(|entry| matches!(entry.what, LogEvent::Handed { to, .. } if to == Some(row.contact)))
}

/// How many hand-overs that were counted the log holds no more.
fn omitted(row: &MessageRow) -> u32 {
    let handed = row.log.under_present_keys().filter_map(|entry| match entry.what {
        LogEvent::Handed { to, .. } => Some(to),
        _ => None,
    });
    let (contacts, strangers): (Vec<_>, Vec<_>) = handed.partition(Option::is_some);
    let contacts = contacts.into_iter().collect::<BTreeSet<_>>().len() as u32;
    row.handed_contacts.saturating_sub(contacts).saturating_add(row.handed_strangers.saturating_sub(strangers.len() as u32))
}

/// Who holds a message, as far as they say.
fn holders(row: &MessageRow) -> String {
    let contacts = match row.handed_contacts {
        0 => None,
        1 => Some("1 contact holds it".to_owned()),
        count => Some(format!("{count} contacts hold it")),
    };
    let strangers = match row.handed_strangers {
        0 => None,
        1 => Some("a stranger says that it holds it".to_owned()),
        count => Some(format!("strangers said {count} times that they hold it")),
    };
    [contacts, strangers].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// How long ago something was; a clock that has been set back since makes that unknown.
fn ago(now: UnixMillis, at: UnixMillis) -> String {
    match now.0.checked_sub(at.0) {
        Some(millis) => format!("{} ago", span_in_words(Duration::from_millis(millis))),
        None => "by a clock that has been set back since".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::*;
    use crate::{
        crypto::identity::Name,
        engine::{EngineConfig, create_profile},
        store::memory::MemoryStore,
        time::Instant,
        view::RelaySettings,
    };

    fn engine() -> Engine {
        let mut store = Box::new(MemoryStore::new());
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        create_profile(store.as_mut(), &Name::new("carol").unwrap(), &mut rng).unwrap();
        let now = Now { mono: Instant::ZERO, wall: UnixMillis(1_795_327_200_000) };
        Engine::open(EngineConfig::default(), store, Box::new(rng), 1, now).unwrap()
    }

    #[test]
    fn who_may_carry_decides_what_would_help() {
        let mut engine = engine();
        let mut code = |mode, on| {
            engine.policy.mode = mode;
            engine.policy.relay = RelaySettings { on, ..RelaySettings::default() };
            engine.help_meet_others().code
        };
        assert_eq!(code(Mode::Mesh, true), HelpCode::MeetOthers);
        assert_eq!(code(Mode::Contacts, true), HelpCode::ModeMesh);
        assert_eq!(code(Mode::Mesh, false), HelpCode::RelayOn);
        assert_eq!(code(Mode::Contacts, false), HelpCode::RelayOn);
    }

    #[test]
    fn strangers_are_told_apart_from_contacts_and_by_what_they_say() {
        let row = |handed_contacts, handed_strangers| MessageRow {
            contact: ContactId(1),
            outgoing: true,
            id: MessageId([1; 16]),
            order: 1,
            text: "x".into(),
            sent: UnixMillis(0),
            stored: UnixMillis(0),
            state: MessageState::Carried,
            urgent: false,
            number: Some(1),
            expires: None,
            handed_contacts,
            handed_strangers,
            sealed: 1,
            log: crate::store::MessageLog::default(),
        };
        assert_eq!(holders(&row(1, 0)), "1 contact holds it");
        assert_eq!(holders(&row(2, 1)), "2 contacts hold it, a stranger says that it holds it");
        assert_eq!(holders(&row(0, 2)), "strangers said 2 times that they hold it");
        assert_eq!(omitted(&row(2, 7)), 9);
    }
}
