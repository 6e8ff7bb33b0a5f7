//! Becoming contacts by a one-time link (docs/protocol.md, section 7): the policy around `crypto::exchange`.

use hedgerow_transports::LinkId;

use super::{
    Engine, Exchange,
    command::parse_number,
    config::{MAX_CONTACTS, MAX_EXCHANGES, MAX_PENDING_EXCHANGES, PLAUSIBLE_HOURS, RELEASE_HOUR},
    link::{Peer, Rank},
    pair::{Contact, Pair},
    repair::Repair,
};
use crate::{
    crypto::{
        exchange::{IssuedLink, PendingRequest, Reply},
        identity::{Card, Name},
        kdf::hash,
        link::{Link, TRIES},
        pair_keys::PairKeys,
        ratchet::Ratchet,
    },
    id::{BundleId, ContactId},
    store::{ContactRow, StoreError},
    time::{Hour, Now},
    view::{Added, CommandError, ContactState, Invitation},
    wire::{bundle::Bundle, record::ByeReason},
};

/// Hours until an unanswered request is sealed again (guess: a tenth of a fortnight's link would fit all sixteen tries in three weeks).
const RETRY_HOURS: u32 = 33;

/// Answers *used* on one link, at most (policy): the rest of its sixteen is for whom it has settled on.
const MAX_REFUSED: u8 = TRIES / 2;

impl Engine {
    pub(super) fn invite(&mut self, now: Now, hours: u32) -> Result<Result<Invitation, CommandError>, StoreError> {
        if !(1..=720).contains(&hours) {
            return Ok(Err(CommandError::Range { what: "the time a link is valid", range: "1 hour to 30 days" }));
        }
        if let Err(error) = self.may_exchange() {
            return Ok(Err(error));
        }
        // Without a clock the link says the last hour there is; its bundles' lifetimes bound it.
        let expires = match self.hour(now) {
            Hour::UNKNOWN => Hour(RELEASE_HOUR + PLAUSIBLE_HOURS),
            hour => hour.plus(hours),
        };
        let link = IssuedLink::new(expires, self.rng.as_mut());
        let text = link.link().to_text().to_string();
        let exchange = Exchange::Issued { link, answered: None, refused: 0, met: false, bundle: BundleId([0; 32]) };
        let contact = self.add_contact_row(now, None, ContactState::Invited, exchange)?;
        Ok(Ok(Invitation { contact, link: text, expires: millis(expires) }))
    }

    pub(super) fn add_contact(&mut self, now: Now, text: &str, alias: Option<&str>) -> Result<Result<Added, CommandError>, StoreError> {
        let alias = match alias.map(Name::new).transpose() {
            Ok(alias) => alias.map(|alias| self.free_name(alias.as_str(), None)),
            Err(error) => return Ok(Err(CommandError::Name(error.to_string()))),
        };
        let link = match Link::parse(text) {
            Ok(link) => link,
            Err(error) => return Ok(Err(CommandError::Link(error.to_string()))),
        };
        let hour = self.hour(now);
        if hour != Hour::UNKNOWN && link.is_expired(hour) {
            return Ok(Err(CommandError::Link("it has expired; ask for a new one".into())));
        }
        let id = link.id();
        for (contact, state) in &self.contacts {
            match &state.exchange {
                Some(Exchange::Issued { link: own, .. }) if own.link().id() == id => {
                    return Ok(Err(CommandError::Link("it is your own; give it to somebody else".into())));
                }
                Some(Exchange::Requested { request, .. }) if request.link().id() == id => {
                    return Ok(Ok(Added { contact: *contact, state: state.row.state }));
                }
                _ => {}
            }
        }
        if let Err(error) = self.may_exchange() {
            return Ok(Err(error));
        }
        let request = PendingRequest::new(link, self.profile.name.clone(), self.rng.as_mut());
        let exchange = Exchange::Requested { request, tries: 0, last: hour, bundle: BundleId([0; 32]) };
        let contact = self.add_contact_row(now, alias, ContactState::Pending, exchange)?;
        self.seal_request(now, contact)?;
        self.renew_strangers();
        Ok(Ok(Added { contact, state: ContactState::Pending }))
    }

    /// Ends the links whose session began before a link was taken up: only a new session can show that its holder is at the other end.
    fn renew_strangers(&mut self) {
        let strangers: Vec<LinkId> = self.links.iter().filter(|(_, state)| state.peer == Peer::Stranger).map(|(id, _)| *id).collect();
        for link in strangers {
            self.end_link(link, ByeReason::Closing);
        }
    }

    fn may_exchange(&self) -> Result<(), CommandError> {
        let exchanges = || self.contacts.values().filter_map(|contact| contact.exchange.as_ref());
        if exchanges().filter(|exchange| exchange.is_pending()).count() >= MAX_PENDING_EXCHANGES {
            return Err(CommandError::TooMany("links waiting for an answer"));
        }
        if exchanges().count() >= MAX_EXCHANGES || self.contacts.len() >= MAX_CONTACTS {
            return Err(CommandError::TooMany("contacts"));
        }
        Ok(())
    }

    fn add_contact_row(
        &mut self,
        now: Now,
        alias: Option<String>,
        state: ContactState,
        exchange: Exchange,
    ) -> Result<ContactId, StoreError> {
        let mut row = ContactRow {
            id: ContactId(0),
            alias,
            own_name: None,
            card: Vec::new(),
            state,
            verified: false,
            created: now.wall,
            last_seen: None,
            last_transport: None,
            why: None,
        };
        row.id = self.store.insert_contact(&row)?;
        let id = row.id;
        self.contacts.insert(id, Contact { row, dirty: false, exchange: Some(exchange), pair: None, told_acks: None });
        self.exchanges.insert(id);
        self.told.insert(id);
        self.expect_tags_of(id);
        Ok(id)
    }

    /// Seals the next try of a request.
    pub(super) fn seal_request(&mut self, now: Now, contact: ContactId) -> Result<(), StoreError> {
        let hour = self.hour(now);
        let Some(Exchange::Requested { request, tries, last, bundle }) =
            self.contacts.get_mut(&contact).and_then(|contact| contact.exchange.as_mut())
        else {
            return Ok(());
        };
        let envelope = request.link().envelope(hour);
        let Ok(sealed) = request.request(&self.profile.device, *tries, &[], envelope, self.rng.as_mut()) else {
            return Ok(());
        };
        *tries += 1;
        *last = hour;
        *bundle = sealed.bundle.id();
        self.exchanges.insert(contact);
        self.add_own_bundle(now, contact, &sealed.bundle)?;
        self.push_exchange(contact);
        Ok(())
    }

    /// Seals a request again that nobody has answered for long.
    pub(super) fn retry_requests(&mut self, now: Now) -> Result<(), StoreError> {
        let hour = self.hour(now);
        let due: Vec<ContactId> = self
            .contacts
            .iter()
            .filter(|(_, contact)| match &contact.exchange {
                Some(Exchange::Requested { tries, last, .. }) => {
                    // Before the last try lies only a clock that was wrong.
                    *tries < TRIES && hour != Hour::UNKNOWN && (hour >= last.plus(RETRY_HOURS) || hour < *last)
                }
                _ => false,
            })
            .map(|(id, _)| *id)
            .collect();
        due.into_iter().try_for_each(|contact| self.seal_request(now, contact))
    }

    /// Sends request or reply on the links to the holder of the pending link.
    fn push_exchange(&mut self, contact: ContactId) {
        for link in self.links_to(contact) {
            self.meet_invited(link, contact);
        }
    }

    /// A link was found to lead to the holder of a pending link: request or reply goes out.
    pub(super) fn meet_invited(&mut self, link: LinkId, contact: ContactId) {
        self.meet_repairing(link, contact);
        let bundle = match self.contacts.get(&contact).and_then(|contact| contact.exchange.as_ref()) {
            Some(Exchange::Issued { answered: Some(_), bundle, .. } | Exchange::Requested { bundle, .. }) => *bundle,
            _ => return,
        };
        let Some(state) = self.links.get_mut(&link).filter(|state| state.peer == Peer::Invited(contact)) else { return };
        state.push(Rank::FIRST, bundle);
        self.busy_links.insert(link);
        self.upgrades.insert(contact);
    }

    /// The contact has shown that it holds the keys of the pair: its link is settled for good.
    pub(super) fn note_met(&mut self, contact: ContactId) {
        self.note_repair_met(contact);
        if let Some(Exchange::Issued { met: met @ false, .. }) =
            self.contacts.get_mut(&contact).and_then(|contact| contact.exchange.as_mut())
        {
            *met = true;
            self.exchanges.insert(contact);
        }
    }

    /// Whether a link that we made has had as many answers as there are reply tags.
    pub(super) fn is_answered_out(&self, contact: ContactId) -> bool {
        match self.contacts.get(&contact).and_then(|contact| contact.exchange.as_ref()) {
            Some(Exchange::Issued { answered: Some((_, count)), refused, .. }) => count.saturating_add(*refused) >= TRIES,
            _ => false,
        }
    }

    /// Opens a bundle that came under a request tag. `false` if it is none.
    pub(super) fn open_request(&mut self, now: Now, contact: ContactId, bundle: &Bundle) -> Result<bool, StoreError> {
        let hour = self.hour(now);
        let Some(state) = self.contacts.get_mut(&contact) else { return Ok(false) };
        let Some(Exchange::Issued { link, answered, refused, bundle: last, .. }) = state.exchange.as_mut() else { return Ok(false) };
        let Ok(request) = link.open_request(&self.profile.device, bundle) else { return Ok(false) };
        if hour != Hour::UNKNOWN && link.link().is_expired(hour) && answered.is_none() {
            return Ok(false);
        }
        let envelope = link.link().envelope(hour);
        let sealed = match answered {
            None => {
                let accepted = link.accept(&self.profile.device, &self.profile.name, &request, 0, envelope, self.rng.as_mut());
                let Ok(accepted) = accepted else { return Ok(false) };
                *answered = Some((accepted.reply, 1));
                *last = accepted.bundle.bundle.id();
                self.exchanges.insert(contact);
                let (card, name) = (request.card().clone(), request.name().clone());
                if !self.establish(contact, accepted.keys, &card, &name)? {
                    return Ok(true);
                }
                accepted.bundle
            }
            Some((reply, count)) if reply.answers(&request) => {
                let answers = count.saturating_add(*refused);
                if answers >= TRIES {
                    return Ok(true);
                }
                let Ok(sealed) = reply.seal(answers, envelope, self.rng.as_mut()) else { return Ok(true) };
                *count += 1;
                *last = sealed.bundle.id();
                self.exchanges.insert(contact);
                sealed
            }
            Some((_, count)) => {
                // Numbered together with the replies: a request with the same ephemeral key has the same reply tags and header keys.
                let answers = count.saturating_add(*refused);
                if answers >= TRIES || *refused >= MAX_REFUSED {
                    return Ok(true);
                }
                let Ok(sealed) = link.refuse(&request, answers, envelope, self.rng.as_mut()) else { return Ok(true) };
                *refused += 1;
                self.exchanges.insert(contact);
                self.notice(
                    "link_reused",
                    "somebody else has tried to use the link of this contact: compare fingerprints with them".into(),
                    Some(contact),
                );
                sealed
            }
        };
        self.add_own_bundle(now, contact, &sealed.bundle)?;
        for link in self.links_to(contact) {
            if let Some(state) = self.links.get_mut(&link) {
                state.push(Rank::FIRST, sealed.bundle.id());
                self.busy_links.insert(link);
            }
        }
        Ok(true)
    }

    /// Opens a bundle that came under a reply tag. `false` if it is none.
    pub(super) fn open_reply(&mut self, contact: ContactId, bundle: &Bundle) -> Result<bool, StoreError> {
        let Some(Exchange::Requested { request, .. }) = self.contacts.get(&contact).and_then(|contact| contact.exchange.as_ref()) else {
            return Ok(false);
        };
        match request.open_reply(&self.profile.device, bundle) {
            Err(_) => return Ok(false),
            Ok(Reply::Established { keys, card, name, .. }) => {
                self.end_exchange(contact);
                self.establish(contact, keys, &card, &name)?;
            }
            Ok(Reply::Used { .. }) => {
                self.end_exchange(contact);
                self.fail_contact(contact, "the link had been used by somebody else before");
                self.notice(
                    "link_reused",
                    "this link had been used before: somebody else has seen it; ask for a new one".into(),
                    Some(contact),
                );
            }
        }
        Ok(true)
    }

    /// Both can write from here on. `false` if the other side's keys are of no use.
    fn establish(&mut self, contact: ContactId, keys: PairKeys, card: &Card, name: &Name) -> Result<bool, StoreError> {
        let starts = hash(&[self.profile.device.card().identity()]) < hash(&[card.identity()]);
        let repair = Repair::new(&keys);
        let Ok(ratchet) = Ratchet::new(keys, starts, self.rng.as_mut()) else {
            self.fail_contact(contact, "the other side's keys are not usable");
            return Ok(false);
        };
        let before = self.contacts.values().find(|other| {
            other.row.id != contact && other.pair.is_some() && other.row.card.get(16..48) == Some(card.identity().as_slice())
        });
        let replaced = before.map(|before| before.row.clone());
        if let Some(before) = &replaced {
            // The same person once more, perhaps after one side lost or removed the other: the new keys count, the conversation goes on.
            self.store.move_messages(before.id, contact)?;
            self.remove_contact(before.id)?;
        }
        let alias = self.free_name(name.as_str(), Some(contact));
        let order = self.store.last_order(contact)?;
        let Some(state) = self.touch(contact) else { return Ok(false) };
        state.row.own_name = Some(name.as_str().to_owned());
        if let Some(before) = replaced {
            state.row.alias = state.row.alias.take().or(before.alias);
            state.row.verified = before.verified;
            (state.row.last_seen, state.row.last_transport) = (before.last_seen, before.last_transport);
        }
        if state.row.alias.is_none() && alias != name.as_str() {
            state.row.alias = Some(alias);
        }
        state.row.card = card.encode().to_vec();
        state.row.state = ContactState::Established;
        let mut pair = Pair::new(ratchet, repair);
        pair.order = order;
        state.pair = Some(pair);
        self.expect_tags_of(contact);
        self.busy_contacts.insert(contact);
        self.upgrades.insert(contact);
        Ok(true)
    }

    pub(super) fn end_exchange(&mut self, contact: ContactId) {
        if let Some(state) = self.contacts.get_mut(&contact) {
            state.exchange = None;
            self.exchanges.insert(contact);
        }
        self.forget_tags_of(contact);
        self.expect_tags_of(contact);
    }

    pub(super) fn fail_contact(&mut self, contact: ContactId, why: &str) {
        if let Some(state) = self.touch(contact) {
            state.row.state = ContactState::Failed;
            state.row.why = Some(why.to_owned());
        }
    }

    /// Ends exchanges whose link has run out.
    pub(super) fn expire_exchanges(&mut self, hour: Hour) {
        let over: Vec<(ContactId, bool)> = self
            .contacts
            .iter()
            .filter_map(|(id, contact)| {
                let exchange = contact.exchange.as_ref()?;
                let link = match exchange {
                    Exchange::Issued { link, .. } => link.link(),
                    Exchange::Requested { request, .. } => request.link(),
                };
                link.is_expired(hour).then_some((*id, exchange.is_pending()))
            })
            .collect();
        for (contact, pending) in over {
            self.end_exchange(contact);
            if pending {
                self.fail_contact(contact, "the link ran out before the other side answered");
            }
        }
    }

    /// A name that no other contact has here: the wanted one, or with a number behind it.
    pub(super) fn free_name(&self, wanted: &str, except: Option<ContactId>) -> String {
        let is_shown = |name: &str, row: &ContactRow| Some(row.id) != except && shown_name(row) == Some(name);
        // A number is never a name: whoever calls itself 3 must not get what is meant for contact 3.
        let taken = |name: &str| parse_number(name).is_some() || self.contacts.values().any(|contact| is_shown(name, &contact.row));
        if !taken(wanted) {
            return wanted.to_owned();
        }
        (2_u32..).map(|number| format!("{wanted}-{number}")).find(|name| !taken(name)).unwrap_or_else(|| wanted.to_owned())
    }
}

/// What a contact is called here.
pub(super) fn shown_name(row: &ContactRow) -> Option<&str> {
    row.alias.as_deref().or(row.own_name.as_deref())
}

/// The end of an hour that is the last valid one, in milliseconds.
fn millis(last: Hour) -> crate::time::UnixMillis {
    crate::time::UnixMillis((u64::from(last.0) + 1) * 3_600_000)
}
