//! What people and scripts ask of the engine, and how it shows itself to them.

use std::collections::BTreeMap;

use hedgerow_transports::{Direction, LinkId};
use rand_core::Rng;

use super::{
    Engine, Exchange,
    exchange::{millis, shown_name},
    link::Phase,
    pages::Page,
};
use crate::{
    crypto::identity::{Card, Name},
    id::{ContactId, MessageId},
    store::{MessageLog, MessageRow, StoreError, Summary},
    time::Now,
    view::{
        Answer, Command, CommandError, Contact, ContactState, Event, Message, MessageState, Neighbour, Reach, Removed, Sent, Status,
        start_of,
    },
    wire::item::MAX_TEXT_LEN,
};

/// What a command comes to: an answer, a refusal, or a failure of the store.
pub(super) type Outcome<T> = Result<Result<T, CommandError>, StoreError>;

/// Hands a refusal of the inner result on as the outcome.
macro_rules! accept {
    ($outcome:expr) => {
        match $outcome {
            Ok(value) => value,
            Err(error) => return Ok(Err(error)),
        }
    };
}
pub(super) use accept;

impl Engine {
    pub(super) fn execute(&mut self, now: Now, command: Command) -> Outcome<Answer> {
        Ok(Ok(match command {
            Command::Status {} => Answer::Status(self.status(now)?),
            Command::Invite { hours } => Answer::Invitation(accept!(self.invite(now, hours)?)),
            Command::AddContact { link, alias, message } => {
                Answer::Added(accept!(self.add_contact(now, &link, alias.as_deref(), message)?))
            }
            Command::Contacts {} => Answer::Contacts(self.list_contacts()?),
            Command::Contact { contact } => {
                let id = accept!(self.find_contact(&contact));
                Answer::Contact(accept!(self.show_contact(id)?))
            }
            Command::VerifyContact { contact, fingerprint } => {
                let id = accept!(self.find_contact(&contact));
                Answer::Contact(accept!(self.verify_contact(id, &fingerprint)?))
            }
            Command::RenameContact { contact, alias } => {
                let id = accept!(self.find_contact(&contact));
                Answer::Contact(accept!(self.rename_contact(id, &alias)?))
            }
            Command::BlockContact { contact, blocked } => {
                let id = accept!(self.find_contact(&contact));
                Answer::Contact(accept!(self.block_contact(now, id, blocked)?))
            }
            Command::RemoveContact { contact } => {
                let id = accept!(self.find_contact(&contact));
                Answer::Removed(self.remove_contact(id, None)?)
            }
            Command::Send { contact, text, id, urgent } => {
                let contact = accept!(self.find_contact(&contact));
                Answer::Sent(accept!(self.send(now, contact, text, id, urgent)?))
            }
            Command::Messages { contact, since, before, limit, mark_read } => {
                let contact = accept!(self.find_contact(&contact));
                Answer::Messages(accept!(self.messages(now, contact, Page { since, before, limit }, mark_read)?))
            }
            Command::MarkRead { contact, id } => {
                let contact = accept!(self.find_contact(&contact));
                Answer::Contact(accept!(self.mark_read(now, contact, id)?))
            }
            Command::Retry { id } => Answer::Sent(accept!(self.retry(now, id)?)),
            Command::Cancel { id } => Answer::Message(accept!(self.cancel(now, id)?)),
            Command::Draft { contact } => {
                let contact = accept!(self.find_contact(&contact));
                Answer::Draft(self.draft(contact)?)
            }
            Command::SetDraft { contact, text } => {
                let contact = accept!(self.find_contact(&contact));
                Answer::Draft(accept!(self.set_draft(contact, text)?))
            }
            Command::SetContact { contact, receipts, muted } => {
                let contact = accept!(self.find_contact(&contact));
                Answer::Contact(accept!(self.set_contact(contact, receipts, muted)?))
            }
            Command::Explain { id } => Answer::Explanation(Box::new(accept!(self.explain(now, id)?))),
            Command::Settings {} => Answer::Settings(self.settings(now)),
            Command::SetMode { mode } => Answer::Settings(self.set_mode(now, mode)?),
            Command::SetRelay { on, bytes, metered } => Answer::Settings(accept!(self.set_relay(now, on, bytes, metered)?)),
            Command::SetVisible { visible } => Answer::Settings(self.set_visible(now, visible)?),
            Command::SetAlerts { bell, notify, content } => Answer::Settings(self.set_alerts(now, bell, notify, content)?),
            Command::NearbyOpen {} => Answer::Nearby(self.open_nearby(now)),
            Command::NearbyClose {} => Answer::Nearby(self.end_nearby(now)),
            Command::Nearby {} => Answer::Nearby(self.view_nearby()),
            Command::NearbyAdd { peer } => Answer::NearbyPeer(accept!(self.add_nearby(now, &peer))),
            Command::NearbyConfirm { peer, matches } => Answer::NearbyPeer(accept!(self.confirm_nearby(now, &peer, matches)?)),
        }))
    }

    /// Finds a contact by what it is called here, else by its number.
    fn find_contact(&self, name: &str) -> Result<ContactId, CommandError> {
        self.contacts
            .values()
            .find(|contact| shown_name(&contact.row) == Some(name))
            .map(|contact| contact.row.id)
            .or_else(|| parse_number(name).map(ContactId).filter(|id| self.contacts.contains_key(id)))
            .ok_or_else(|| CommandError::UnknownContact(name.to_owned()))
    }

    fn status(&self, now: Now) -> Result<Status, StoreError> {
        let (bundles, bundle_bytes) = self.holdings.size();
        let neighbours: Vec<Neighbour> = self.links.keys().filter_map(|link| self.view_neighbour(*link)).collect();
        let count = |wanted: &[ContactState]| self.contacts.values().filter(|contact| wanted.contains(&contact.row.state)).count();
        Ok(Status {
            name: self.profile.name.as_str().to_owned(),
            fingerprint: self.profile.device.card().fingerprint(),
            transports: count_by_transport(&neighbours),
            neighbours,
            contacts: count(&[ContactState::Established, ContactState::Blocked]),
            pending: count(&[ContactState::Invited, ContactState::Pending]),
            undelivered: self.store.count_undelivered()? as usize,
            bundles,
            bundle_bytes,
            shown: self.shown(now),
            relay: self.view_relay(),
            clock: self.clock.view(now),
        })
    }

    fn list_contacts(&self) -> Result<Vec<Contact>, StoreError> {
        let summaries = self.store.summarise_all()?;
        let mut list: Vec<Contact> = summaries.into_iter().filter_map(|(id, summary)| self.view_with(id, summary)).collect();
        list.sort_by(|a, b| a.name.cmp(&b.name).then(a.contact.cmp(&b.contact)));
        Ok(list)
    }

    pub(super) fn show_contact(&self, id: ContactId) -> Outcome<Contact> {
        Ok(self.view_contact(id)?.ok_or_else(|| CommandError::UnknownContact(id.0.to_string())))
    }

    fn verify_contact(&mut self, id: ContactId, fingerprint: &str) -> Outcome<Contact> {
        let plain = |text: &str| text.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
        let Some(state) = self.contacts.get_mut(&id) else { return Ok(Err(CommandError::UnknownContact(id.0.to_string()))) };
        let Ok(card) = Card::decode(&state.row.card) else { return Ok(Err(CommandError::ContactState("not established yet"))) };
        if plain(&card.fingerprint()) != plain(fingerprint) {
            return Ok(Err(CommandError::Fingerprint));
        }
        state.row.verified = true;
        self.save_and_show(id)
    }

    fn rename_contact(&mut self, id: ContactId, alias: &str) -> Outcome<Contact> {
        let name = accept!(Name::new(alias).map_err(|error| CommandError::Name(error.to_string())));
        if parse_number(name.as_str()).is_some() {
            return Ok(Err(CommandError::Name("it is a number, and numbers name contacts".into())));
        }
        if self.free_name(name.as_str(), Some(id)) != name.as_str() {
            return Ok(Err(CommandError::Name("another contact is called so".into())));
        }
        if let Some(state) = self.contacts.get_mut(&id) {
            state.row.alias = Some(name.as_str().to_owned());
        }
        self.save_and_show(id)
    }

    fn block_contact(&mut self, now: Now, id: ContactId, blocked: bool) -> Outcome<Contact> {
        let Some(state) = self.contacts.get_mut(&id) else { return Ok(Err(CommandError::UnknownContact(id.0.to_string()))) };
        let (from, to) =
            if blocked { (ContactState::Established, ContactState::Blocked) } else { (ContactState::Blocked, ContactState::Established) };
        if state.row.state == from {
            state.row.state = to;
        } else if state.row.state != to {
            return Ok(Err(CommandError::ContactState("not established yet")));
        }
        self.forget_tags_of(id);
        self.expect_tags_of(id);
        if blocked {
            self.part_nearby_with(id, None);
        }
        // What came meanwhile by carriers.
        self.open_all_expected(now)?;
        self.end_links_of(id);
        self.save_and_show(id)
    }

    pub(super) fn save_and_show(&mut self, id: ContactId) -> Outcome<Contact> {
        self.touch(id);
        self.show_contact(id)
    }

    /// Removes a contact; `same_as` is who has its conversation from here on.
    pub(super) fn remove_contact(&mut self, id: ContactId, same_as: Option<ContactId>) -> Result<Removed, StoreError> {
        self.part_nearby_with(id, same_as);
        self.end_links_of(id);
        self.forget_tags_of(id);
        self.changed.retain(|(contact, _, _), _| *contact != id);
        self.contacts.remove(&id);
        self.store.delete_contact(id)?;
        self.holdings.forget_contact(self.store.as_mut(), id)?;
        self.told.remove(&id);
        self.exchanges.remove(&id);
        self.outputs.push_back(super::Output::Event(Event::ContactRemoved { contact: id, same_as }));
        Ok(Removed { contact: id })
    }

    /// Writes a message, or finds the one of this id.
    pub(super) fn send(&mut self, now: Now, contact: ContactId, text: String, id: Option<MessageId>, urgent: bool) -> Outcome<Sent> {
        accept!(check_text(&text));
        accept!(self.may_write_to(contact));
        if let Some(id) = id {
            self.flush_messages()?;
            let rows = self.store.find_messages_by_id(id)?;
            if let Some(row) = rows.iter().find(|row| row.outgoing) {
                let same = row.contact == contact && row.text == text;
                return Ok(if same { Ok(Sent { id, state: row.state }) } else { Err(CommandError::IdTaken) });
            }
        }
        let id = id.unwrap_or_else(|| {
            let mut bytes = [0; 16];
            self.rng.fill_bytes(&mut bytes);
            MessageId(bytes)
        });
        let last = match self.pair(contact) {
            Some(pair) => pair.order,
            None => self.store.last_order(contact)?,
        };
        let order = last.saturating_add(1);
        if let Some(pair) = self.pair(contact) {
            pair.order = order;
        }
        let mut row = MessageRow {
            contact,
            outgoing: true,
            id,
            order,
            text,
            sent: now.wall,
            stored: now.wall,
            state: MessageState::Queued,
            urgent,
            number: None,
            expires: None,
            handed_contacts: 0,
            handed_strangers: 0,
            sealed: 0,
            log: MessageLog::default(),
        };
        self.seal_new_text(now, &mut row)?;
        self.store.insert_message(&row)?;
        let message = self.view_message(now, &row);
        self.outputs.push_back(super::Output::Event(Event::Message(message)));
        Ok(Ok(Sent { id, state: row.state }))
    }

    pub(super) fn view_contact(&self, id: ContactId) -> Result<Option<Contact>, StoreError> {
        Ok(self.view_with(id, self.store.summarise(id)?))
    }

    fn view_with(&self, id: ContactId, summary: Summary) -> Option<Contact> {
        let state = self.contacts.get(&id)?;
        let row = &state.row;
        let pending = state.exchange.as_ref().filter(|exchange| exchange.is_pending());
        Some(Contact {
            contact: id,
            name: shown_name(row).map(str::to_owned),
            own_name: row.own_name.clone(),
            state: row.state,
            verified: row.verified,
            fingerprint: Card::fingerprint_of_stored(&row.card),
            unread: summary.unread,
            receipts: row.receipts,
            muted: row.muted,
            draft: summary.draft,
            last_message: summary.last_message,
            in_reach: self.is_in_reach(id),
            last_seen: row.last_seen,
            link_expires: pending.map(|exchange| millis(exchange.link().expires())),
            tries: pending.and_then(|exchange| match exchange {
                Exchange::Requested { tries, .. } => Some(tries.len() as u8),
                Exchange::Issued { .. } => None,
            }),
            last_transport: row.last_transport.map(|kind| kind.name().into()),
            why: row.why.clone(),
        })
    }

    pub(super) fn view_message(&self, now: Now, row: &MessageRow) -> Message {
        let contact = self.contacts.get(&row.contact);
        let from = if row.outgoing {
            "me".to_owned()
        } else {
            contact.and_then(|contact| shown_name(&contact.row)).unwrap_or_default().to_owned()
        };
        let failed = contact.filter(|contact| contact.row.state == ContactState::Failed);
        let why = match row.state {
            MessageState::Queued | MessageState::Carried if row.outgoing => Some(self.why_waiting(now, row).text),
            MessageState::Failed => self.why_failed(row).map(str::to_owned),
            MessageState::Expired if failed.is_some() => {
                Some("it went with a request to which no answer came: whether it was read is not known".to_owned())
            }
            MessageState::Expired => Some("no receipt came before its time ran out".to_owned()),
            _ => None,
        };
        Message {
            id: row.id,
            contact: row.contact,
            order: row.order,
            from,
            outgoing: row.outgoing,
            text: row.text.clone(),
            sent: row.sent,
            stored: row.stored,
            state: row.state,
            handed_contacts: row.handed_contacts,
            handed_strangers: row.handed_strangers,
            expires: row.expires.map(start_of),
            why,
        }
    }

    pub(super) fn view_neighbour(&self, link: LinkId) -> Option<Neighbour> {
        let state = self.links.get(&link).filter(|state| matches!(state.phase, Phase::Open))?;
        let contact = state.peer.contact();
        Some(Neighbour {
            link: link.0,
            transport: state.properties.kind.name().into(),
            contact,
            name: contact.and_then(|id| shown_name(&self.contacts.get(&id)?.row)).map(str::to_owned),
            outbound: state.properties.direction == Direction::Outbound,
            carries: state.hello.is_some_and(|hello| hello.carries),
            claimed_name: state.claimed_name.as_ref().map(|name| name.as_str().to_owned()),
        })
    }
}

/// Refuses what no message can say.
pub(super) fn check_text(text: &str) -> Result<(), CommandError> {
    if (1..=MAX_TEXT_LEN).contains(&text.len()) {
        return Ok(());
    }
    Err(CommandError::TextLength { length: text.len(), limit: MAX_TEXT_LEN })
}

/// How many neighbours each transport reaches, in the order of their names.
fn count_by_transport(neighbours: &[Neighbour]) -> Vec<Reach> {
    let mut counts: BTreeMap<&str, Reach> = BTreeMap::new();
    for neighbour in neighbours {
        let transport = &neighbour.transport;
        let reach = counts.entry(transport).or_insert(Reach { transport: transport.clone(), contacts: 0, strangers: 0 });
        *(if neighbour.contact.is_some() { &mut reach.contacts } else { &mut reach.strangers }) += 1;
    }
    counts.into_values().collect()
}

/// Reads a contact's number. No contact is ever called so: see `free_name`.
pub(super) fn parse_number(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}
