//! Becoming contacts by a one-time link (docs/protocol.md, section 7): the policy around `crypto::exchange`.

use std::collections::BTreeSet;

use hedgerow_transports::LinkId;
use zeroize::Zeroizing;

use super::{
    Engine, Exchange,
    command::{check_text, parse_number},
    config::{MAX_CONTACTS, MAX_EXCHANGES, MAX_PENDING_EXCHANGES, PLAUSIBLE_HOURS, RELEASE_HOUR},
    link::Peer,
    pair::{Answered, Contact, Pair, REPLY_LIFETIME, Try},
    relay::Rank,
    repair::{Repair, UsedLink},
};
use crate::{
    crypto::{
        bundle_seal::{AckSecret, Envelope},
        exchange::{Answerer, IssuedLink, PendingRequest, Reply},
        identity::{Card, Name},
        kdf::hash,
        link::{Link, TRIES},
        pair_keys::PairKeys,
        ratchet::Ratchet,
    },
    id::{BundleId, ContactId, MessageId},
    store::{ContactRow, MessageRow, StoreError},
    time::{Hour, Now},
    view::{Added, CommandError, ContactState, Invitation, MessageState},
    wire::bundle::{Bundle, Class},
};

/// Hours until an unanswered request is sealed again, at least (guess: eleven tries in the fortnight of a common link).
const RETRY_HOURS: u32 = 33;

/// For how long a link is remembered that led to a contact, hours (policy).
const USED_LINK_HOURS: u32 = 60 * 24;

/// Answers *used* on one link, at most (policy): the rest of its sixteen is for whom it has settled on.
const MAX_REFUSED: u8 = TRIES / 2;

impl Engine {
    pub(super) fn invite(&mut self, now: Now, hours: u32) -> Result<Result<Invitation, CommandError>, StoreError> {
        if !(1..=720).contains(&hours) {
            return Ok(Err(CommandError::Range { what: "the time a link is valid", range: "1 hour to 30 days" }));
        }
        if let Err(error) = self.may_exchange(self.hour(now)) {
            return Ok(Err(error));
        }
        // Without a clock the link says the last hour there is; its bundles' lifetimes bound it.
        let expires = match self.hour(now) {
            Hour::UNKNOWN => Hour(RELEASE_HOUR + PLAUSIBLE_HOURS),
            hour => hour.plus(hours),
        };
        let link = IssuedLink::new(expires, self.rng.as_mut());
        let text = link.link().to_text().to_string();
        let exchange = Exchange::Issued { link, reply: None, answers: Vec::new(), met: false };
        let contact = self.add_contact_row(now, None, ContactState::Invited, Some(exchange))?;
        Ok(Ok(Invitation { contact, link: text, expires: millis(expires) }))
    }

    /// Takes a link up. `message` is the first text to its holder; it rides on the request if it fits. A repetition does nothing more.
    pub(super) fn add_contact(
        &mut self,
        now: Now,
        text: &str,
        alias: Option<&str>,
        message: Option<String>,
    ) -> Result<Result<Added, CommandError>, StoreError> {
        let alias = match alias.map(Name::new).transpose() {
            Ok(alias) => alias.map(|alias| self.free_name(alias.as_str(), None)),
            Err(error) => return Ok(Err(CommandError::Name(error.to_string()))),
        };
        let link = match Link::parse(text) {
            Ok(link) => link,
            Err(error) => return Ok(Err(CommandError::Link(error.to_string()))),
        };
        if let Err(error) = message.as_deref().map_or(Ok(()), check_text) {
            return Ok(Err(error));
        }
        let (hour, id) = (self.hour(now), link.id());
        let used = self.contact_of_used_link(&id);
        if used.is_none() && hour != Hour::UNKNOWN && link.is_expired(hour) {
            return Ok(Err(CommandError::Link("it has expired; ask for a new one".into())));
        }
        let known = self.contacts.iter().find(|(_, state)| state.exchange.as_ref().is_some_and(|exchange| exchange.link().id() == id));
        let known = used.map(|contact| (contact, None)).or(known.map(|(contact, state)| (*contact, state.exchange.as_ref())));
        let contact = match known {
            Some((_, Some(Exchange::Issued { .. }))) => {
                return Ok(Err(CommandError::Link("it is your own; give it to somebody else".into())));
            }
            Some((contact, _)) => contact,
            None => {
                if let Err(error) = self.may_exchange(hour) {
                    return Ok(Err(error));
                }
                let request = PendingRequest::new(link, self.profile.name.clone(), self.rng.as_mut());
                let exchange = Exchange::Requested { request, tries: Vec::new(), last: hour, sealed: None };
                self.add_contact_row(now, alias, ContactState::Pending, Some(exchange))?
            }
        };
        let message = match message {
            Some(text) => match self.send_once(now, contact, text)? {
                Ok(id) => Some(id),
                Err(error) => return Ok(Err(error)),
            },
            None => None,
        };
        if matches!(self.contacts.get(&contact).and_then(|state| state.exchange.as_ref()), Some(Exchange::Requested { tries, .. }) if tries.is_empty())
        {
            self.seal_request(now, contact)?;
            self.renew_links();
        }
        let state = self.contacts.get(&contact).map_or(ContactState::Pending, |state| state.row.state);
        Ok(Ok(Added { contact, state, message }))
    }

    /// The contact to which a link has led that was taken up here.
    fn contact_of_used_link(&self, id: &[u8; 8]) -> Option<ContactId> {
        let knows = |contact: &&Contact| contact.pair.as_ref().is_some_and(|pair| pair.repair.used_links.iter().any(|link| link.id == *id));
        self.contacts.values().find(knows).map(|contact| contact.row.id)
    }

    /// Forgets links that were taken up long ago.
    pub(super) fn forget_used_links(&mut self, hour: Hour) {
        for pair in self.contacts.values_mut().filter_map(|contact| contact.pair.as_mut()) {
            let before = pair.repair.used_links.len();
            pair.repair.used_links.retain(|link| link.until >= hour);
            pair.dirty |= pair.repair.used_links.len() != before;
        }
    }

    /// Writes a text to a contact, unless it was written to it before.
    fn send_once(&mut self, now: Now, contact: ContactId, text: String) -> Result<Result<MessageId, CommandError>, StoreError> {
        self.flush_messages()?;
        let before = self.store.load_messages(contact, None, None, None)?.into_iter().find(|row| row.outgoing && row.text == text);
        match before {
            Some(row) => Ok(Ok(row.id)),
            None => Ok(self.send(now, contact, text, None, false)?.map(|sent| sent.id)),
        }
    }

    fn may_exchange(&self, hour: Hour) -> Result<(), CommandError> {
        let exchanges = || self.contacts.values().filter_map(|contact| contact.exchange.as_ref());
        if exchanges().filter(|exchange| exchange.is_pending() && !exchange.link().is_expired(hour)).count() >= MAX_PENDING_EXCHANGES {
            return Err(CommandError::TooMany("links waiting for an answer"));
        }
        if exchanges().count() >= MAX_EXCHANGES || self.contacts.len() >= MAX_CONTACTS {
            return Err(CommandError::TooMany("contacts"));
        }
        Ok(())
    }

    pub(super) fn add_contact_row(
        &mut self,
        now: Now,
        alias: Option<String>,
        state: ContactState,
        exchange: Option<Exchange>,
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
            receipts: true,
            muted: false,
        };
        row.id = self.store.insert_contact(&row)?;
        let id = row.id;
        self.contacts.insert(id, Contact { row, dirty: false, exchange, pair: None, told_acks: None });
        self.exchanges.insert(id);
        self.told.insert(id);
        self.expect_tags_of(id);
        Ok(id)
    }

    /// Seals the next try of a request, with the texts that fit.
    pub(super) fn seal_request(&mut self, now: Now, contact: ContactId) -> Result<(), StoreError> {
        let hour = self.hour(now);
        let (riders, items) = self.choose_riders(contact)?;
        let Some(Exchange::Requested { request, tries, last, sealed: at }) =
            self.contacts.get_mut(&contact).and_then(|contact| contact.exchange.as_mut())
        else {
            return Ok(());
        };
        let envelope = request.link().envelope(hour);
        let Ok(sealed) = request.request(&self.profile.device, tries.len() as u8, &items, envelope, self.rng.as_mut()) else {
            return Ok(());
        };
        let ack = Zeroizing::new(*sealed.ack.expose());
        tries.push(Try { bundle: sealed.bundle.id(), ack, riders: riders.clone() });
        (*last, *at) = (hour, Some(now.mono));
        self.exchanges.insert(contact);
        self.note_riding(contact, &riders, sealed.bundle.header().expiry())?;
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
                Some(Exchange::Requested { request, tries, last, .. }) => {
                    let Some(wait) = retry_after(tries.len(), *last, request.link().expires()) else { return false };
                    if request.link().is_expired(hour) {
                        return false;
                    }
                    // Before the last try lies only a clock that was wrong.
                    hour != Hour::UNKNOWN && (hour >= last.plus(wait) || hour < *last)
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
            Some(Exchange::Issued { answers, .. }) => answers.iter().rfind(|answer| !answer.used).map(|answer| answer.bundle),
            Some(Exchange::Requested { tries, .. }) => tries.last().map(|last| last.bundle),
            None => None,
        };
        let Some(bundle) = bundle else { return };
        let Some(state) = self.links.get_mut(&link).filter(|state| state.peer == Peer::Invited(contact)) else { return };
        state.push(Rank::FIRST, bundle);
        self.busy_links.insert(link);
        self.upgrades.insert(contact);
    }

    /// The contact has shown that it holds the keys of the pair: its link is settled for good, and nobody needs the reply any more.
    pub(super) fn note_met(&mut self, now: Now, contact: ContactId) -> Result<(), StoreError> {
        self.note_repair_met(contact);
        self.complete_pair(contact);
        // A pair that came of the contact's link says nothing of the reply that was given to the same person over ours.
        let of_own_link = |contact: &&mut Contact| contact.pair.as_ref().is_some_and(|pair| pair.repair.of_own_link);
        let Some(Exchange::Issued { met: met @ false, answers, .. }) =
            self.contacts.get_mut(&contact).filter(of_own_link).and_then(|contact| contact.exchange.as_mut())
        else {
            return Ok(());
        };
        *met = true;
        let replies: Vec<_> = answers.iter().filter(|answer| !answer.used).map(|answer| (answer.bundle, answer.ack.clone())).collect();
        self.exchanges.insert(contact);
        replies.into_iter().try_for_each(|(bundle, ack)| self.schedule_ack(now, bundle, &AckSecret::new(*ack)))
    }

    /// A bundle that was sealed for a contact has been read; if it is the reply to its request, the link is settled for good.
    pub(super) fn note_reply_read(&mut self, contact: ContactId, bundle: &BundleId) {
        if let Some(Exchange::Issued { met: met @ false, answers, .. }) =
            self.contacts.get_mut(&contact).and_then(|contact| contact.exchange.as_mut())
            && answers.iter().any(|answer| !answer.used && answer.bundle == *bundle)
        {
            *met = true;
            self.exchanges.insert(contact);
        }
    }

    /// Whether a link that we made has had as many answers as there are reply tags.
    pub(super) fn is_answered_out(&self, contact: ContactId) -> bool {
        match self.contacts.get(&contact).and_then(|contact| contact.exchange.as_ref()) {
            Some(Exchange::Issued { answers, .. }) => answers.len() >= usize::from(TRIES),
            _ => false,
        }
    }

    /// Opens a bundle that came under a request tag. `false` if it is none.
    pub(super) fn open_request(&mut self, now: Now, contact: ContactId, bundle: &Bundle) -> Result<bool, StoreError> {
        let hour = self.hour(now);
        let id = bundle.id();
        let Some(state) = self.contacts.get_mut(&contact) else { return Ok(false) };
        let Some(Exchange::Issued { link, reply, answers, .. }) = state.exchange.as_mut() else { return Ok(false) };
        let Ok(request) = link.open_request(&self.profile.device, bundle) else { return Ok(false) };
        if let Some(answer) = answers.iter().find(|answer| answer.request == id).map(|answer| answer.bundle) {
            // Another copy, or the same after a restart.
            self.schedule_ack(now, id, request.ack())?;
            self.push_answer(contact, answer);
            return Ok(true);
        }
        let ours = reply.as_ref().is_none_or(|reply| reply.answers(&request));
        if hour != Hour::UNKNOWN && link.link().is_expired(hour) && (reply.is_none() || !ours) {
            return Ok(false);
        }
        // It has removed us, and taken the link up once more.
        let same_person = identity_of(&state.row) == Some(request.card().identity().as_slice());
        let envelope = Envelope { class: Class::Normal, lifetime: REPLY_LIFETIME, created: hour };
        let settles = reply.is_none();
        let held = if settles { self.pair_with(contact, request.card().identity()) } else { None };
        let held = held.and_then(|other| self.contacts.get(&other));
        if held.is_some_and(|other| other.row.state == ContactState::Blocked) {
            // As if it had not come: somebody who is blocked learns nothing, and the link stays what it was.
            return Ok(true);
        }
        let held = held.and_then(|other| other.pair.as_ref()).map_or([0; 16], |pair| pair.repair.pair_id());
        let Some(Exchange::Issued { link, reply, answers, .. }) =
            self.contacts.get_mut(&contact).and_then(|contact| contact.exchange.as_mut())
        else {
            return Ok(false);
        };
        // Numbered together, as two requests may show the same ephemeral key and so have the same reply tags and header keys.
        let number = answers.len() as u8;
        let refused = answers.iter().filter(|answer| answer.used).count();
        if number >= TRIES || (!ours && refused >= usize::from(MAX_REFUSED)) {
            return Ok(true);
        }
        let mut settled = None;
        let sealed = match reply {
            None => {
                let answerer = Answerer { device: &self.profile.device, name: &self.profile.name, held: &held };
                let accepted = link.accept(answerer, &request, number, envelope, self.rng.as_mut());
                accepted.map(|accepted| {
                    *reply = Some(accepted.reply);
                    settled = Some(accepted.keys);
                    accepted.bundle
                })
            }
            Some(reply) if ours => reply.seal(number, envelope, self.rng.as_mut()),
            Some(_) => link.refuse(&request, number, envelope, self.rng.as_mut()),
        };
        let Ok(sealed) = sealed else { return Ok(false) };
        let answer = sealed.bundle.id();
        answers.push(Answered { request: id, bundle: answer, ack: Zeroizing::new(*sealed.ack.expose()), used: !ours });
        self.exchanges.insert(contact);
        self.schedule_ack(now, id, request.ack())?;
        if let Some(keys) = settled
            && !self.establish(now, contact, keys, request.card(), request.name())?
        {
            return Ok(true);
        }
        if ours {
            self.take_riders(now, contact, request.items())?;
        } else if !same_person {
            self.notice(
                "link_reused",
                "somebody else has tried to use the link of this contact: compare fingerprints with them".into(),
                Some(contact),
            );
        }
        self.add_own_bundle(now, contact, &sealed.bundle)?;
        self.push_answer(contact, answer);
        Ok(true)
    }

    /// Sends an answer on the links to a holder of the link.
    fn push_answer(&mut self, contact: ContactId, answer: BundleId) {
        for link in self.links_to(contact) {
            if let Some(state) = self.links.get_mut(&link) {
                state.push(Rank::FIRST, answer);
                self.busy_links.insert(link);
            }
        }
    }

    /// Opens a bundle that came under a reply tag. `false` if it is none.
    pub(super) fn open_reply(&mut self, now: Now, contact: ContactId, bundle: &Bundle) -> Result<bool, StoreError> {
        let Some(Exchange::Requested { request, .. }) = self.contacts.get(&contact).and_then(|contact| contact.exchange.as_ref()) else {
            return Ok(false);
        };
        let hour = self.hour(now);
        let since = if hour == Hour::UNKNOWN { request.link().expires() } else { hour };
        let used_link = UsedLink { id: request.link().id(), until: since.plus(USED_LINK_HOURS) };
        let (used, ack) = match request.open_reply(&self.profile.device, bundle) {
            Err(_) => return Ok(false),
            Ok(Reply::Established { card, held, ack, .. }) if self.has_crossed(contact, card.identity(), &held) => {
                let kept = self.pair_with(contact, card.identity()).unwrap_or(contact);
                self.end_request(now, contact)?;
                self.schedule_ack(now, bundle.id(), &ack)?;
                self.fold_into(now, contact, kept)?;
                self.remember_link(kept, used_link);
                return Ok(true);
            }
            Ok(Reply::Established { keys, card, name, ack, held: _ }) => {
                let riders = self.end_request(now, contact)?;
                if self.establish(now, contact, keys, &card, &name)? {
                    self.remember_link(contact, used_link);
                    self.seal_riders(now, contact, riders)?;
                }
                (false, ack)
            }
            Ok(Reply::Used { ack }) => {
                self.end_request(now, contact)?;
                self.fail_contact(contact, "the link had been used by somebody else before")?;
                (true, ack)
            }
        };
        self.schedule_ack(now, bundle.id(), &ack)?;
        if used {
            self.notice(
                "link_reused",
                "this link had been used before: somebody else has seen it; ask for a new one".into(),
                Some(contact),
            );
        }
        Ok(true)
    }

    fn remember_link(&mut self, contact: ContactId, link: UsedLink) {
        if let Some(pair) = self.pair(contact) {
            pair.repair.remember_link(link);
            pair.dirty = true;
        }
    }

    /// Ends our request, as it was answered: nobody needs its tries any more. Returns the texts that rode on them.
    fn end_request(&mut self, now: Now, contact: ContactId) -> Result<BTreeSet<MessageId>, StoreError> {
        let exchange = self.contacts.get_mut(&contact).and_then(|contact| contact.exchange.take());
        self.end_exchange(contact);
        let Some(Exchange::Requested { tries, .. }) = exchange else { return Ok(BTreeSet::new()) };
        for sealed in &tries {
            self.schedule_ack(now, sealed.bundle, &AckSecret::new(*sealed.ack))?;
        }
        Ok(tries.into_iter().flat_map(|sealed| sealed.riders).collect())
    }

    /// Both can write from here on, unless the person is blocked. `false` if the other side's keys are of no use.
    pub(super) fn establish(&mut self, now: Now, contact: ContactId, keys: PairKeys, card: &Card, name: &Name) -> Result<bool, StoreError> {
        let starts = hash(&[self.profile.device.card().identity()]) < hash(&[card.identity()]);
        let mut repair = Repair::new(&keys);
        let Ok(ratchet) = Ratchet::new(keys, starts, self.rng.as_mut()) else {
            self.fail_contact(contact, "the other side's keys are not usable")?;
            return Ok(false);
        };
        let before = self.pair_with(contact, card.identity()).and_then(|before| self.contacts.get(&before));
        let links = before.and_then(|before| before.pair.as_ref()).map(|pair| pair.repair.used_links.clone());
        repair.used_links = links.unwrap_or_default();
        let replaced = before.map(|before| before.row.clone());
        if let Some(before) = &replaced {
            // The same person once more, perhaps after one side lost or removed the other: the new keys count, the conversation goes on.
            self.move_conversation(now, before.id, contact)?;
        }
        let blocked = replaced.as_ref().is_some_and(|before| before.state == ContactState::Blocked);
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
        state.row.state = if blocked { ContactState::Blocked } else { ContactState::Established };
        let mut pair = Pair::new(ratchet, repair);
        pair.order = order;
        state.pair = Some(pair);
        if blocked {
            self.forget_tags_of(contact);
            self.end_links_of(contact);
        }
        self.expect_tags_of(contact);
        self.busy_contacts.insert(contact);
        self.upgrades.insert(contact);
        Ok(true)
    }

    /// Gives a contact's messages to another that is the same person, and removes it. What has no receipt waits to be sealed anew.
    fn move_conversation(&mut self, now: Now, from: ContactId, to: ContactId) -> Result<(), StoreError> {
        self.flush_messages()?;
        let waiting = |row: &MessageRow| row.outgoing && row.state <= MessageState::Carried;
        for row in self.store.load_messages(from, None, None, None)?.into_iter().filter(waiting) {
            self.change_message(from, true, row.id, |row| row.await_new_keys(now.wall))?;
        }
        self.flush_messages()?;
        self.store.move_messages(from, to)?;
        self.move_choices(from, to)?;
        self.move_exchange(from, to)?;
        self.remove_contact(from, Some(to))?;
        self.load_large(to)
    }

    /// Keeps a link of ours that is settled though the contact that came of it goes: its other side may still wait for the reply, and whoever
    /// else uses it is to hear that it was used. Where the contact that stays came of another link of ours, only what was sealed stays.
    fn move_exchange(&mut self, from: ContactId, to: ContactId) -> Result<(), StoreError> {
        let is_settled = |exchange: &mut Exchange| matches!(exchange, Exchange::Issued { reply: Some(_), .. });
        let exchange = self.contacts.get_mut(&from).and_then(|contact| contact.exchange.take_if(is_settled));
        let Some(Exchange::Issued { answers, .. }) = &exchange else { return Ok(()) };
        for answer in answers {
            self.holdings.move_own(self.store.as_mut(), &answer.bundle, to)?;
        }
        if let Some(to) = self.contacts.get_mut(&to).filter(|to| to.exchange.is_none()) {
            to.exchange = exchange;
            self.exchanges.insert(to.row.id);
        }
        Ok(())
    }

    /// Another contact that is the same person and has a pair.
    fn pair_with(&self, contact: ContactId, identity: &[u8; 32]) -> Option<ContactId> {
        let is_same =
            |other: &&Contact| other.row.id != contact && other.pair.is_some() && identity_of(&other.row) == Some(identity.as_slice());
        self.contacts.values().find(is_same).map(|other| other.row.id)
    }

    /// Whether the reply to our request crossed with our reply to a request of the same person, and our link is the one that counts
    /// (docs/protocol.md, section 7.5). `held` is the pair that the other had with us when it replied.
    fn has_crossed(&self, contact: ContactId, identity: &[u8; 32], held: &[u8; 16]) -> bool {
        let Some(other) = self.pair_with(contact, identity).and_then(|other| self.contacts.get(&other)) else { return false };
        let Some(repair) = other.pair.as_ref().map(|pair| &pair.repair).filter(|repair| repair.of_own_link) else { return false };
        let crossed = repair.pair_id() != *held && repair.met.is_none_or(|last| contact <= last);
        crossed && hash(&[self.profile.device.card().identity()]) < hash(&[identity])
    }

    /// Gives up a contact-to-be for a contact that is the same person.
    fn fold_into(&mut self, now: Now, contact: ContactId, kept: ContactId) -> Result<(), StoreError> {
        let alias = self.contacts.get(&contact).and_then(|contact| contact.row.alias.clone());
        self.move_conversation(now, contact, kept)?;
        let order = self.store.last_order(kept)?;
        if let Some(pair) = self.pair(kept) {
            pair.order = pair.order.max(order);
            pair.unsealed = true;
        }
        if let Some(kept) = self.touch(kept) {
            kept.row.alias = kept.row.alias.take().or(alias);
        }
        if self.answered.contains(&contact) {
            self.answered.insert(kept);
        }
        self.busy_contacts.insert(kept);
        Ok(())
    }

    pub(super) fn end_exchange(&mut self, contact: ContactId) {
        if let Some(state) = self.contacts.get_mut(&contact) {
            state.exchange = None;
            self.exchanges.insert(contact);
        }
        self.forget_tags_of(contact);
        self.expect_tags_of(contact);
    }

    /// Nothing comes of a link: what was written to its holder stays, and says so.
    pub(super) fn fail_contact(&mut self, contact: ContactId, why: &str) -> Result<(), StoreError> {
        if let Some(state) = self.touch(contact) {
            state.row.state = ContactState::Failed;
            state.row.why = Some(why.to_owned());
        }
        self.flush_messages()?;
        let waiting = |row: &MessageRow| row.outgoing && row.state <= MessageState::Carried;
        for row in self.store.load_messages(contact, None, None, None)?.into_iter().filter(waiting) {
            self.change_message(contact, true, row.id, |row| row.state = MessageState::Failed)?;
        }
        Ok(())
    }

    /// Ends exchanges whose link has run out, once no answer can be under way.
    pub(super) fn expire_exchanges(&mut self, now: Now, hour: Hour) -> Result<(), StoreError> {
        let over: Vec<(ContactId, bool)> = self
            .contacts
            .iter()
            .filter_map(|(id, contact)| {
                let exchange = contact.exchange.as_ref()?;
                (hour > exchange.ends()).then_some((*id, exchange.is_pending()))
            })
            .collect();
        for (contact, pending) in over {
            let exchange = self.contacts.get_mut(&contact).and_then(|contact| contact.exchange.take());
            self.end_exchange(contact);
            if let Some(Exchange::Requested { tries, .. }) = exchange {
                for message in tries.into_iter().flat_map(|sealed| sealed.riders) {
                    self.expire_message(now, contact, message)?;
                }
            }
            if pending {
                self.fail_contact(contact, "the link ran out, and no answer came")?;
            }
        }
        Ok(())
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

/// The identity key on a contact's card; `None` before there is a card.
pub(super) fn identity_of(row: &ContactRow) -> Option<&[u8]> {
    row.card.get(16..48)
}

/// What a contact is called here.
pub(super) fn shown_name(row: &ContactRow) -> Option<&str> {
    row.alias.as_deref().or(row.own_name.as_deref())
}

/// Hours from the last of `tries` to the next, so that what is left of them spreads over what is left of the link; `None` after the last.
fn retry_after(tries: usize, last: Hour, expires: Hour) -> Option<u32> {
    let left = u32::from(TRIES).checked_sub(tries.try_into().ok()?).filter(|left| *left > 0)?;
    Some((expires.0.saturating_sub(last.0) / (left + 1)).max(RETRY_HOURS))
}

/// The end of an hour that is the last valid one, in milliseconds.
pub(super) fn millis(last: Hour) -> crate::time::UnixMillis {
    crate::time::UnixMillis((u64::from(last.0) + 1) * 3_600_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The hours after the first try at which a request for a link of `hours` is sealed, `early` of them at the beginning.
    fn tries(hours: u32, early: usize) -> Vec<u32> {
        let (start, expires) = (Hour(500_000), Hour(500_000 + hours));
        let mut at = vec![start; early];
        while let Some(wait) = retry_after(at.len(), *at.last().unwrap(), expires) {
            let next = at.last().unwrap().plus(wait);
            if next > expires {
                break;
            }
            at.push(next);
        }
        at.into_iter().map(|at| at.0 - start.0).collect()
    }

    #[test]
    fn tries_last_as_long_as_the_link() {
        assert_eq!(tries(24, 1), [0]);
        assert_eq!(tries(336, 1), (0..11).map(|index| index * 33).collect::<Vec<_>>());
        for early in [1, 2, 5] {
            for hours in [168, 336, 504, 720] {
                let tries = tries(hours, early);
                let gaps = tries.windows(2).skip(early - 1).map(|pair| pair[1] - pair[0]);
                assert!(tries.len() <= 16 && gaps.clone().min() >= Some(RETRY_HOURS), "{tries:?}");
                assert!(
                    hours - tries.last().unwrap() <= gaps.max().unwrap().max(RETRY_HOURS) + 16,
                    "the last leaves no long silence: {tries:?}"
                );
            }
        }
    }
}
