//! The steps of an exchange nearby, as they come: each checked against how far it has come, then answered.

use hedgerow_transports::LinkId;

use super::{
    super::{
        Engine,
        config::MAX_NEARBY_STEPS,
        exchange::identity_of,
        link::Peer as LinkPeer,
        pair::Contact,
        records::{Breach, Fault},
    },
    peer::{Comparison, Peer, Phase},
};
use crate::{
    crypto::{
        exchange::{
            ExchangeError,
            nearby::{Agreed, Asked, Committed, Offer},
        },
        identity::{Card, Name},
    },
    id::ContactId,
    session::Role,
    store::StoreError,
    time::Now,
    view::ContactState,
    wire::{
        bundle::{Bundle, MAX_BUNDLE_LEN},
        nearby::{End, Step},
        record::Record,
    },
};

/// What is said where what the first side opened is not what it had committed to.
const NOT_COMMITTED: &str = "it did not show what it had committed to: somebody may be in between";

/// Why an exchange can't go on, for our person.
struct Refused {
    why: &'static str,
    /// The other's fault, and not our person's choice.
    is_fault: bool,
}

impl From<ExchangeError> for Refused {
    fn from(error: ExchangeError) -> Self {
        let why = match error {
            ExchangeError::OwnIdentity => "this is your own profile, here or on another device",
            ExchangeError::Commitment => NOT_COMMITTED,
            _ => "what it sent is of no use",
        };
        Self { why, is_fault: true }
    }
}

impl Engine {
    /// Handles one step.
    pub(in super::super) fn handle_nearby(&mut self, now: Now, link: LinkId, step: Step) -> Result<(), Fault> {
        let Some(state) = self.links.get_mut(&link) else { return Ok(()) };
        state.nearby.steps += 1;
        if state.nearby.steps > MAX_NEARBY_STEPS {
            return Err(Breach.into());
        }
        match step {
            Step::Here { version: _, name } => return Ok(self.note_here(now, link, name)?),
            Step::Gone => return Ok(self.note_gone(link)?),
            Step::End(end) => return self.note_end(now, link, end),
            // It has not heard yet that we have ended what this belongs to.
            _ if state.nearby.awaits_end => return Ok(()),
            _ => {}
        }
        let number = self.nearby.number_of(link).ok_or(Breach)?;
        match step {
            Step::Choose => self.note_choice(now, number)?,
            Step::Commit { secret, key, commitment } => self.answer_commitment(now, link, number, Offer { secret, key, commitment })?,
            Step::Request(request) => self.answer_request(now, link, number, &request)?,
            Step::Open { nonce, reply } => self.handle_opening(now, link, number, nonce, &reply)?,
            Step::Prove { held, proof } => self.handle_proof(now, number, held, &proof)?,
            Step::Confirm(mac) => self.handle_confirmation(number, &mac)?,
            Step::Here { .. } | Step::Gone | Step::End(_) => {}
        }
        Ok(())
    }

    fn note_here(&mut self, now: Now, link: LinkId, name: Name) -> Result<(), Breach> {
        self.nearby.changed |= self.nearby.is_open();
        if let Some(peer) = self.nearby.peer_on(link) {
            // What is under way is with who was chosen.
            if !peer.is_engaged() {
                peer.name = name;
            }
            return if std::mem::replace(&mut peer.here, true) { Err(Breach) } else { Ok(()) };
        }
        let Some(kind) = self.links.get(&link).map(|state| state.properties.kind) else { return Ok(()) };
        self.nearby.last_number += 1;
        let peer = Peer { link: Some(link), kind, name, here: true, chose_us: false, phase: Phase::Idle, since: now.mono };
        self.nearby.peers.insert(self.nearby.last_number, peer);
        Ok(())
    }

    fn note_gone(&mut self, link: LinkId) -> Result<(), Breach> {
        self.nearby.changed |= self.nearby.is_open();
        let peer = self.nearby.peer_on(link).ok_or(Breach)?;
        if !std::mem::take(&mut peer.here) {
            return Err(Breach);
        }
        if matches!(peer.phase, Phase::Chosen) {
            peer.phase = Phase::Idle;
        }
        if !peer.is_engaged() {
            peer.chose_us = false;
        }
        Ok(())
    }

    /// The other has chosen us. It counts only while we are there for it.
    fn note_choice(&mut self, now: Now, number: u32) -> Result<(), Breach> {
        let Some(peer) = self.nearby.peers.get_mut(&number) else { return Ok(()) };
        if !peer.here {
            return Err(Breach);
        }
        if !peer.link.and_then(|link| self.links.get(&link)).is_some_and(|state| state.nearby.told) {
            return Ok(());
        }
        match peer.phase {
            Phase::Idle | Phase::Established(_) | Phase::Failed(_) => peer.chose_us = true,
            Phase::Chosen => {
                peer.chose_us = true;
                self.begin_exchange(now, number);
            }
            _ => return Err(Breach),
        }
        self.nearby.changed = true;
        Ok(())
    }

    /// Both have chosen: the side that dialled begins, the other waits for it.
    pub(super) fn begin_exchange(&mut self, now: Now, number: u32) {
        let Some(peer) = self.nearby.peers.get_mut(&number) else { return };
        peer.since = now.mono;
        let Some(link) = peer.link else { return };
        let Some(info) = self.links.get(&link).map(|state| state.info.clone()) else { return };
        self.wait_nearby(now, self.config.nearby_answer);
        if info.role != Role::Initiator {
            return;
        }
        let committed = Committed::new(&self.profile.device, self.profile.name.clone(), &info.hash, self.rng.as_mut());
        let Offer { secret, key, commitment } = committed.offer();
        self.set_phase(number, Phase::Committed(Box::new(committed)));
        self.transmit(link, &Record::Nearby(Step::Commit { secret, key, commitment }));
    }

    fn answer_commitment(&mut self, now: Now, link: LinkId, number: u32, offer: Offer) -> Result<(), Breach> {
        let Some(info) = self.links.get(&link).map(|state| state.info.clone()) else { return Ok(()) };
        let Some(peer) = self.nearby.peers.get_mut(&number) else { return Ok(()) };
        match peer.phase {
            _ if info.role == Role::Initiator => return Err(Breach),
            Phase::Chosen if peer.chose_us => {}
            // We were not there any more when it chose us, and it has not heard.
            Phase::Chosen | Phase::Idle | Phase::Established(_) | Phase::Failed(_) => {
                peer.chose_us = false;
                if matches!(peer.phase, Phase::Chosen) {
                    self.set_phase(number, Phase::Idle);
                }
                self.send_end(link, End::Withdrawn);
                return Ok(());
            }
            _ => return Err(Breach),
        }
        peer.since = now.mono;
        match Asked::new(&self.profile.device, self.profile.name.clone(), &info.hash, offer, self.rng.as_mut()) {
            Ok((asked, request)) => {
                self.wait_nearby(now, self.config.nearby_answer);
                self.set_phase(number, Phase::Asked(Box::new(asked)));
                self.send_bundle(link, &request, Step::Request);
            }
            Err(error) => self.give_up(number, &error.into()),
        }
        Ok(())
    }

    fn answer_request(&mut self, now: Now, link: LinkId, number: u32, request: &[u8; MAX_BUNDLE_LEN]) -> Result<(), Fault> {
        self.require(number, |phase| matches!(phase, Phase::Committed(_)))?;
        let Phase::Committed(committed) = self.take_phase(number) else { return Ok(()) };
        let opened = Bundle::decode(request.to_vec()).map_err(|_| ExchangeError::Malformed);
        let opened = opened.and_then(|bundle| committed.open_request(&self.profile.device, &bundle)).map_err(Refused::from);
        let admitted = opened.and_then(|request| {
            let held = self.held_with(number, request.card(), request.name())?;
            let (nonce, reply, agreed) = committed
                .open(&self.profile.device, &request, held, self.rng.as_mut())
                .map_err(|_| Refused { why: "what it sent is of no use", is_fault: true })?;
            Ok((nonce, reply, agreed))
        });
        match admitted {
            Ok((nonce, reply, agreed)) => {
                if let Some(peer) = self.nearby.peers.get_mut(&number) {
                    peer.since = now.mono;
                }
                self.wait_nearby(now, self.config.nearby_answer);
                self.set_phase(number, Phase::Opened(Box::new(agreed)));
                self.send_bundle(link, &reply, |reply| Step::Open { nonce, reply });
            }
            Err(refused) => self.give_up(number, &refused),
        }
        Ok(())
    }

    fn handle_opening(&mut self, now: Now, link: LinkId, number: u32, nonce: [u8; 32], reply: &[u8; MAX_BUNDLE_LEN]) -> Result<(), Fault> {
        self.require(number, |phase| matches!(phase, Phase::Asked(_)))?;
        let Phase::Asked(asked) = self.take_phase(number) else { return Ok(()) };
        let opened = Bundle::decode(reply.to_vec()).map_err(|_| ExchangeError::Malformed);
        let opened = opened.and_then(|bundle| asked.open(&self.profile.device, nonce, &bundle));
        let spoilt = opened.as_ref().err() == Some(&ExchangeError::Commitment);
        let admitted = opened.map_err(Refused::from).and_then(|agreed| {
            let held = self.held_with(number, &agreed.card, &agreed.name)?;
            Ok((agreed, held))
        });
        match admitted {
            Ok((agreed, held)) => {
                let proof = agreed.proof(&held);
                self.transmit(link, &Record::Nearby(Step::Prove { held, proof }));
                self.show_words(now, number, agreed, held);
            }
            Err(refused) => {
                self.give_up(number, &refused);
                if spoilt {
                    self.note_mismatch(NOT_COMMITTED);
                }
                if refused.is_fault {
                    self.note_failure(now);
                }
            }
        }
        Ok(())
    }

    fn handle_proof(&mut self, now: Now, number: u32, held: [u8; 16], proof: &[u8; 32]) -> Result<(), Fault> {
        self.require(number, |phase| matches!(phase, Phase::Opened(_)))?;
        let Phase::Opened(agreed) = self.take_phase(number) else { return Ok(()) };
        if agreed.is_proof(&held, proof) {
            self.show_words(now, number, *agreed, held);
        } else {
            self.give_up(number, &ExchangeError::Unproven.into());
            self.note_failure(now);
        }
        Ok(())
    }

    /// Both hold the same keys, as far as each can tell: people compare. `second_held` is the pair that the second side had before.
    fn show_words(&mut self, now: Now, number: u32, agreed: Agreed, second_held: [u8; 16]) {
        let same = agreed.held == second_held && second_held != [0; 16];
        let same = self.paired_with(agreed.card.identity()).filter(|_| same).map(|contact| (contact.row.id, contact.row.verified));
        let (same, was_verified) = (same.map(|(id, _)| id), same.is_some_and(|(_, verified)| verified));
        if let Some(peer) = self.nearby.peers.get_mut(&number) {
            // The choices have led to this; further ones are for another exchange.
            (peer.since, peer.chose_us) = (now.mono, false);
        }
        self.wait_nearby(now, self.config.nearby_comparison);
        self.set_phase(number, Phase::Comparing(Box::new(Comparison { agreed, same, was_verified, confirmed: false })));
    }

    fn handle_confirmation(&mut self, number: u32, mac: &[u8; 32]) -> Result<(), Fault> {
        let Some(peer) = self.nearby.peers.get_mut(&number) else { return Ok(()) };
        let (Phase::Comparing(comparison) | Phase::Confirmed(comparison, _)) = &mut peer.phase else { return Err(Breach.into()) };
        if comparison.confirmed || !comparison.agreed.is_confirmation(mac) {
            return Err(Breach.into());
        }
        comparison.confirmed = true;
        if let Phase::Confirmed(_, contact) = peer.phase {
            self.complete_pair(contact);
        }
        Ok(())
    }

    /// Our person has found the words equal: contact and pair are kept, verified.
    pub(super) fn keep_pair(&mut self, now: Now, number: u32) -> Result<(), StoreError> {
        let Phase::Comparing(mut comparison) = self.take_phase(number) else { return Ok(()) };
        let Some(contact) = (match comparison.same {
            Some(contact) => Some(contact),
            None => self.add_pair(now, &mut comparison.agreed)?,
        }) else {
            self.break_off(number, End::Failed, "what it sent is of no use");
            return Ok(());
        };
        if let Some(state) = self.touch(contact) {
            state.row.verified = true;
        }
        let (confirmed, confirmation) = (comparison.confirmed, comparison.agreed.confirmation());
        self.set_phase(number, Phase::Confirmed(comparison, contact));
        if let Some(link) = self.nearby.peers.get(&number).and_then(|peer| peer.link) {
            self.transmit(link, &Record::Nearby(Step::Confirm(confirmation)));
        }
        if confirmed {
            self.complete_pair(contact);
        }
        Ok(())
    }

    /// Makes a contact of a pair that the other side may not have kept yet.
    fn add_pair(&mut self, now: Now, agreed: &mut Agreed) -> Result<Option<ContactId>, StoreError> {
        let Some(keys) = agreed.keys.take() else { return Ok(None) };
        let contact = self.add_contact_row(now, None, ContactState::Pending, None)?;
        if !self.establish(now, contact, keys, &agreed.card, &agreed.name)? {
            return Ok(None);
        }
        if let Some(state) = self.touch(contact).filter(|state| state.row.state == ContactState::Established) {
            state.row.state = ContactState::Pending;
        }
        Ok(Some(contact))
    }

    /// The other side has shown that its person found the words equal too, or that it uses the pair: both can write.
    pub(in super::super) fn complete_pair(&mut self, contact: ContactId) {
        let waits = |state: &Contact| state.row.state == ContactState::Pending && state.is_paired();
        if self.contacts.get(&contact).is_some_and(waits)
            && let Some(state) = self.touch(contact)
        {
            state.row.state = ContactState::Established;
        }
        let confirmed = |peer: &Peer| matches!(peer.phase, Phase::Confirmed(_, of) if of == contact);
        let Some((number, link)) = self.nearby.peers.iter().find(|(_, peer)| confirmed(peer)).map(|(number, peer)| (*number, peer.link))
        else {
            return;
        };
        self.set_phase(number, Phase::Established(contact));
        self.busy_contacts.insert(contact);
        if let Some(state) = link.and_then(|link| self.links.get_mut(&link)).filter(|state| state.peer == LinkPeer::Stranger) {
            // The session goes on as the contact's (section 7.6).
            state.peer = LinkPeer::Invited(contact);
            self.upgrades.insert(contact);
        }
    }

    fn note_end(&mut self, now: Now, link: LinkId, end: End) -> Result<(), Fault> {
        let Some(state) = self.links.get_mut(&link) else { return Ok(()) };
        if std::mem::take(&mut state.nearby.awaits_end) {
            return Ok(());
        }
        self.transmit(link, &Record::Nearby(Step::End(End::Withdrawn)));
        let Some(number) = self.nearby.number_of(link) else { return Ok(()) };
        let phase = self.take_phase(number);
        let Some(peer) = self.nearby.peers.get_mut(&number) else { return Ok(()) };
        peer.chose_us = false;
        let why = match end {
            End::Differ => "the other side says that the words differ: somebody may be in between",
            End::Withdrawn => "the other side ended it",
            End::Failed => "it failed at the other side",
        };
        let had_words = matches!(phase, Phase::Comparing(_) | Phase::Confirmed(..));
        // Words that our person has found equal are no guess any more, unless the other says otherwise.
        let counts = matches!(phase, Phase::Asked(_) | Phase::Opened(_) | Phase::Comparing(_)) || (had_words && end == End::Differ);
        match phase {
            Phase::Idle | Phase::Chosen => {}
            Phase::Established(contact) => peer.phase = Phase::Established(contact),
            Phase::Failed(why) => peer.phase = Phase::Failed(why),
            Phase::Confirmed(comparison, contact) => {
                peer.phase = Phase::Failed(why);
                self.drop_pair(contact, &comparison)?;
            }
            _ => peer.phase = Phase::Failed(why),
        }
        if had_words && end == End::Differ {
            self.note_mismatch("the other side says that the words differ: somebody may be between the two of you");
        }
        if counts {
            self.note_failure(now);
        }
        Ok(())
    }

    /// The other side has not kept the pair that we have.
    fn drop_pair(&mut self, contact: ContactId, comparison: &Comparison) -> Result<(), StoreError> {
        if comparison.same.is_some() {
            if let Some(state) = self.touch(contact) {
                state.row.verified = comparison.was_verified;
            }
            return Ok(());
        }
        if !self.contacts.get(&contact).is_some_and(|state| state.row.state == ContactState::Pending) {
            return Ok(());
        }
        self.fail_contact(contact, "the words were not found equal on both screens")?;
        if let Some(state) = self.touch(contact) {
            state.row.verified = false;
        }
        self.forget_tags_of(contact);
        Ok(())
    }

    /// Ends an exchange because of what the other side showed.
    fn give_up(&mut self, number: u32, refused: &Refused) {
        self.break_off(number, if refused.is_fault { End::Failed } else { End::Withdrawn }, refused.why);
    }

    /// Ends an exchange, if one is under way with a link, and says why here.
    pub(super) fn break_off(&mut self, number: u32, end: End, why: &'static str) {
        self.set_phase(number, Phase::Failed(why));
        let Some(peer) = self.nearby.peers.get_mut(&number) else { return };
        peer.chose_us = false;
        if let Some(link) = peer.link {
            self.send_end(link, end);
        }
    }

    fn send_end(&mut self, link: LinkId, end: End) {
        if let Some(state) = self.links.get_mut(&link) {
            state.nearby.awaits_end = true;
        }
        self.transmit(link, &Record::Nearby(Step::End(end)));
    }

    fn send_bundle(&mut self, link: LinkId, bundle: &Bundle, step: impl FnOnce(Box<[u8; MAX_BUNDLE_LEN]>) -> Step) {
        // Requests and replies are bundles of the largest size.
        if let Ok(bytes) = <Box<[u8; MAX_BUNDLE_LEN]>>::try_from(bundle.bytes().to_vec().into_boxed_slice()) {
            self.transmit(link, &Record::Nearby(step(bytes)));
        }
    }

    /// The id of the pair that we have with whoever has shown this card; or why we go no further with him.
    fn held_with(&self, number: u32, card: &Card, name: &Name) -> Result<[u8; 16], Refused> {
        let refuse = |why, is_fault| Err(Refused { why, is_fault });
        let Some(peer) = self.nearby.peers.get(&number) else { return refuse("it is gone", false) };
        if peer.name != *name {
            return refuse("it called itself otherwise than before", true);
        }
        let is_same = |contact: &&Contact| identity_of(&contact.row) == Some(card.identity().as_slice());
        if self.contacts.values().filter(is_same).any(|contact| contact.row.state == ContactState::Blocked) {
            return refuse("this is somebody whom you have blocked", false);
        }
        let session_of = self.contact_on(peer).and_then(|(contact, _)| self.contacts.get(&contact));
        if session_of.is_some_and(|contact| !is_same(&contact)) {
            return refuse("it is not the contact whose session this is", true);
        }
        Ok(self.paired_with(card.identity()).and_then(|contact| contact.pair.as_ref()).map_or([0; 16], |pair| pair.repair.pair_id()))
    }

    /// The contact that has this identity and a pair.
    fn paired_with(&self, identity: &[u8; 32]) -> Option<&Contact> {
        self.contacts.values().find(|contact| contact.is_paired() && identity_of(&contact.row) == Some(identity.as_slice()))
    }

    /// Refuses a step that does not come in its turn. The phase stays, so that breaking off this way is no cheaper than any other.
    fn require(&self, number: u32, is_due: impl FnOnce(&Phase) -> bool) -> Result<(), Breach> {
        if self.nearby.peers.get(&number).is_some_and(|peer| is_due(&peer.phase)) { Ok(()) } else { Err(Breach) }
    }

    /// Takes a peer's phase out; [`Phase::Idle`] is left.
    fn take_phase(&mut self, number: u32) -> Phase {
        self.nearby.peers.get_mut(&number).map_or(Phase::Idle, |peer| std::mem::replace(&mut peer.phase, Phase::Idle))
    }

    fn set_phase(&mut self, number: u32, phase: Phase) {
        self.nearby.changed = true;
        if let Some(peer) = self.nearby.peers.get_mut(&number) {
            peer.phase = phase;
        }
    }
}
