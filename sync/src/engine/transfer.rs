//! Bundles on a link: comparing, offering, sending, storing, answering (docs/protocol.md, sections 4 and 6).

use std::collections::HashMap;

use hedgerow_transports::LinkId;
use rand_core::Rng;

use super::{
    Engine, Expected, Output, Timer,
    config::{MAX_KNOWN_IDS, MAX_UNANSWERED_OFFERS},
    holdings::{Known, expiry_of},
    link::{InFlight, LinkState, Peer, Phase},
    records::{Breach, Fault},
    routing::shows,
};
use crate::{
    crypto::{bundle_seal::commitment, kdf::hash},
    id::{BundleId, ContactId, ShortId, Tag},
    reconcile::{Finding, Reconciler, SessionView, cut_hour},
    session::Role,
    store::{Cursor, GoneReason, LogEvent, Origin, StoreError},
    time::{Hour, Now},
    view::MessageState,
    wire::{
        bundle::{Bundle, CREATED_AHEAD_HOURS},
        record::{ByeReason, COPIES_UNLIMITED, MAX_RECORD_IDS, Record, Refusal, bitmap_bit, encode_bitmap},
    },
};

/// In one session of so many, ranges are compared although cursors fit (docs/protocol.md, section 6.4).
const COMPARE_ANYWAY: u32 = 16;

impl Engine {
    /// Both cursors are known: begins with what they leave open.
    pub(super) fn start_sync(&mut self, now: Now, link: LinkId, peer_epoch: [u8; 8], theirs: Cursor) -> Result<(), Fault> {
        let hour = self.hour(now);
        let set = self.set_for(link);
        let own_epoch = self.profile.epoch;
        let last = self.holdings.last_sequence();
        let Some(state) = self.links.get_mut(&link) else { return Ok(()) };
        let (Some(contact), Some(hello)) = (state.peer.contact(), state.hello) else { return Err(Breach.into()) };
        if state.synced {
            return Err(Breach.into());
        }
        state.synced = true;
        state.set = set;
        let initiator = state.info.role == Role::Initiator;
        let view = SessionView { cut: cut_hour(hour, hello.hour), empty: false };
        let mut reconciler = Reconciler::new(state.info.hash, initiator, view);

        let ours = self.store.load_cursor(contact)?;
        let theirs_fits = theirs.epoch == own_epoch && theirs.sequence <= last;
        let ours_fits = ours.epoch == peer_epoch;
        let anyway = self.jitter.next_u32().is_multiple_of(COMPARE_ANYWAY);
        let Some(state) = self.links.get_mut(&link) else { return Ok(()) };
        state.awaits_comparison = !(theirs_fits && ours_fits);
        if theirs_fits && ours_fits {
            state.marked = theirs.sequence;
            let later = self.holdings.after(theirs.sequence).filter(|row| row.origin == Origin::Own(contact));
            later.for_each(|row| state.offer(row.id));
        }
        if initiator && (!(theirs_fits && ours_fits) || anyway) {
            reconciler.start(&state.set, &mut self.jitter);
        }
        state.reconciler = Some(reconciler);
        self.busy_links.insert(link);
        Ok(())
    }

    pub(super) fn handle_ranges(&mut self, now: Now, link: LinkId, body: &[u8]) -> Result<(), Fault> {
        let hour = self.hour(now);
        let Some(state) = self.links.get_mut(&link) else { return Ok(()) };
        if let (None, None, Some(hello)) = (&state.reconciler, state.peer.contact(), state.hello) {
            // Nobody else is closed for asking: the set is empty, as that of a node that holds nothing.
            let view = SessionView { cut: cut_hour(hour, hello.hour), empty: true };
            state.reconciler = Some(Reconciler::new(state.info.hash, state.info.role == Role::Initiator, view));
        }
        let Some(reconciler) = state.reconciler.as_mut() else { return Err(Breach.into()) };
        let findings = reconciler.handle_ranges(body, &state.set).map_err(|_| Breach)?;
        let mut wanted = Vec::new();
        for finding in findings {
            match finding {
                Finding::Want(short) => wanted.push(short),
                // Not pushed: the peer may have let it go because it was read, and then answers the offer with the ack.
                Finding::Lacking(id) => state.offer(id),
            }
        }
        let (acks, wanted) = self.split_acknowledged(link, wanted);
        self.send_acks(link, &acks);
        if let Some(state) = self.links.get_mut(&link) {
            let wanted: Vec<ShortId> = wanted.into_iter().filter(|short| state.ask(*short)).collect();
            for ids in wanted.chunks(MAX_RECORD_IDS) {
                self.transmit(link, &Record::Want(ids.to_vec()));
            }
        }
        self.busy_links.insert(link);
        Ok(())
    }

    /// Divides ids that a peer has named into those known to be acknowledged, with their secrets, and the rest.
    fn split_acknowledged(&mut self, link: LinkId, shorts: Vec<ShortId>) -> (Vec<[u8; 16]>, Vec<ShortId>) {
        // To others the answer would say whose node this is: a removed contact still knows ids.
        let Some((contact, names)) = self.names_of(link).filter(|_| !shorts.is_empty()) else { return (Vec::new(), shorts) };
        let (mut acks, mut rest) = (Vec::new(), Vec::new());
        for short in shorts {
            match names.get(&short).and_then(|id| self.holdings.ack_for(contact, id)) {
                Some(ack) => acks.push(ack),
                None => rest.push(short),
            }
        }
        self.keep_names(link, names);
        (acks, rest)
    }

    /// Takes the short ids by which a contact and this node name what goes between them; [`keep_names`](Self::keep_names) puts them back.
    fn names_of(&mut self, link: LinkId) -> Option<(ContactId, HashMap<ShortId, BundleId>)> {
        let state = self.links.get_mut(&link)?;
        let contact = state.peer.contact()?;
        let names = state.names.take();
        let shorts = &state.shorts;
        Some((contact, names.unwrap_or_else(|| self.holdings.between(contact).map(|id| (shorts.short(id), *id)).collect())))
    }

    fn keep_names(&mut self, link: LinkId, names: HashMap<ShortId, BundleId>) {
        if let Some(state) = self.links.get_mut(&link) {
            state.names = Some(names);
        }
    }

    pub(super) fn send_acks(&mut self, link: LinkId, secrets: &[[u8; 16]]) {
        for secrets in secrets.chunks(MAX_RECORD_IDS) {
            self.transmit(link, &Record::Ack(secrets.to_vec()));
        }
    }

    pub(super) fn handle_offer(&mut self, link: LinkId, batch: u16, ids: &[ShortId]) -> Result<(), Fault> {
        let Some(state) = self.links.get_mut(&link) else { return Ok(()) };
        if batch != state.next_peer_offer {
            return Err(Breach.into());
        }
        state.next_peer_offer = batch.wrapping_add(1);
        let Some((contact, names)) = self.names_of(link) else {
            self.transmit(link, &Record::Pick { batch, wanted: encode_bitmap(ids.iter().map(|_| false)) });
            return Ok(());
        };
        let (mut acks, mut wanted) = (Vec::new(), Vec::with_capacity(ids.len()));
        for short in ids {
            let id = names.get(short);
            let tag = id.and_then(|id| self.holdings.gone_tag(id));
            let comes_again = tag.is_some_and(|tag| matches!(self.expected_from(&tag), Ok(Some(_))));
            let Some(state) = self.links.get_mut(&link) else { return Ok(()) };
            let wants = match id.and_then(|id| self.holdings.known(id)) {
                Some(Known::Held) => {
                    state.known.extend(id);
                    false
                }
                Some(Known::Gone(GoneReason::Acknowledged)) => {
                    acks.extend(id.and_then(|id| self.holdings.ack_for(contact, id)));
                    false
                }
                Some(Known::Gone(GoneReason::Dropped)) => comes_again && state.ask(*short),
                None => state.ask(*short),
            };
            wanted.push(wants);
        }
        self.keep_names(link, names);
        self.send_acks(link, &acks);
        self.transmit(link, &Record::Pick { batch, wanted: encode_bitmap(wanted.into_iter()) });
        Ok(())
    }

    pub(super) fn handle_pick(&mut self, link: LinkId, batch: u16, wanted: &[u8]) -> Result<(), Fault> {
        let Some(state) = self.links.get_mut(&link) else { return Ok(()) };
        let Some((expected, ids)) = state.offers.pop_front() else { return Err(Breach.into()) };
        if batch != expected || wanted.len() != ids.len().div_ceil(8) {
            return Err(Breach.into());
        }
        for (index, id) in ids.into_iter().enumerate() {
            if bitmap_bit(wanted, index) {
                state.push(id);
            } else {
                state.known.insert(id);
            }
        }
        self.busy_links.insert(link);
        Ok(())
    }

    pub(super) fn handle_want(&mut self, link: LinkId, ids: &[ShortId]) {
        let names = self.names_of(link).map(|(_, names)| names);
        let Some(state) = self.links.get_mut(&link) else { return };
        for short in ids {
            let id = names.as_ref().and_then(|names| names.get(short));
            match id.filter(|id| self.holdings.row(id).is_some_and(|row| shows(state.peer, row))) {
                Some(id) => state.push(*id),
                None => state.refused.push((*short, Refusal::Unwanted)),
            }
        }
        state.names = names;
        self.busy_links.insert(link);
    }

    pub(super) fn handle_bundle(&mut self, now: Now, link: LinkId, age: u16, bytes: Vec<u8>) -> Result<(), Fault> {
        let id = BundleId(hash(&[&bytes]));
        let Some(state) = self.links.get_mut(&link) else { return Ok(()) };
        let short = state.shorts.short(&id);
        state.asked.remove(&short);
        let peer = state.peer;
        let (Peer::Contact(contact) | Peer::Invited(contact)) = peer else {
            // HELLO has said that nothing is carried for strangers.
            self.transmit(link, &Record::Refused(vec![(short, Refusal::NotCarried)]));
            return Err(Breach.into());
        };
        self.busy_links.insert(link);
        let verdict = match Bundle::decode(bytes) {
            Ok(bundle) => self.judge_bundle(now, peer, &bundle)?.map_or(Ok(bundle), Err),
            Err(_) => Err(Refusal::Malformed),
        };
        if let Some(secret) = peer.contact().and_then(|contact| self.holdings.ack_for(contact, &id)) {
            self.send_acks(link, &[secret]);
        }
        let Some(state) = self.links.get_mut(&link) else { return Ok(()) };
        let bundle = match verdict {
            Ok(bundle) => bundle,
            Err(refusal) => {
                state.refused.push((short, refusal));
                return Ok(());
            }
        };
        state.stored.push(short);
        if state.known.len() < MAX_KNOWN_IDS {
            state.known.insert(id);
        }
        let tag = bundle.header().tag;
        if matches!(self.tags.get(&tag), Some(Expected::Request(_) | Expected::Reply(_))) {
            // What it brings about is durable with this batch; the bundle itself is of no more use, and its tag is known to its sender only.
            return Ok(self.open_and_tell(now, bundle, contact)?);
        }
        match self.holdings.known(&id) {
            // Read before, from another hand. That is between its two ends: whoever else brings a copy hears what he would of an unread one.
            Some(Known::Gone(GoneReason::Acknowledged)) => return Ok(()),
            // Its sender may succeed where copies by others have used up their tries.
            Some(Known::Held) => return Ok(self.open_and_tell(now, bundle, contact)?),
            Some(Known::Gone(GoneReason::Dropped)) | None => {}
        }
        self.holdings.forget_gone(self.store.as_mut(), &id)?;
        let hour = self.hour(now);
        self.make_room_in_share(hour, contact, bundle.bytes().len())?;
        self.make_room(now, bundle.bytes().len())?;
        self.holdings.insert(
            self.store.as_mut(),
            &bundle,
            Origin::Contact(contact),
            clamp_age(age, hour, bundle.header().created),
            hour,
        )?;
        self.route_new(&id);
        if let Some(row) = self.holdings.row(&id) {
            let (created, expiry) = (row.created, expiry_of(row));
            if let Some(state) = self.links.get_mut(&link).filter(|state| state.synced) {
                state.set.insert(created, id, expiry, true);
            }
        }
        Ok(self.open_and_tell(now, bundle, contact)?)
    }

    /// Opens a bundle, and tells people if that was the last try under its tag.
    fn open_and_tell(&mut self, now: Now, bundle: Bundle, from: ContactId) -> Result<(), StoreError> {
        let tag = bundle.header().tag;
        let before = self.is_tried_out(&tag, Some(from));
        let sender = self.tags.get(&tag).copied();
        self.open_bundle(now, bundle, Some(from))?;
        if let (false, true, Some(sender)) = (before, self.is_tried_out(&tag, Some(from)), sender) {
            let contact = sender.contact();
            let text = "bundles that claim to be from this contact can't be opened: a program is faulty, or somebody interferes";
            self.notice("unopened", text.into(), Some(contact));
        }
        Ok(())
    }

    /// Why a bundle is not taken from this peer, if it isn't.
    fn judge_bundle(&self, now: Now, peer: Peer, bundle: &Bundle) -> Result<Option<Refusal>, StoreError> {
        let expected = self.tags.get(&bundle.header().tag);
        match peer {
            Peer::Contact(_) => {}
            Peer::Invited(contact) if expected.is_some_and(|expected| expected.is_exchange_of(contact)) => {
                // Eight bundles that were none, or sixteen answers: a holder of the link has had its share of our time.
                if self.is_tried_out(&bundle.header().tag, Some(contact)) || self.is_answered_out(contact) {
                    return Ok(Some(Refusal::Unwanted));
                }
            }
            Peer::Invited(_) | Peer::Stranger => return Ok(Some(Refusal::NotCarried)),
        }
        let sender = self.expected_from(&bundle.header().tag)?;
        match self.holdings.known(&bundle.id()) {
            Some(Known::Held) => return Ok(None),
            Some(Known::Gone(GoneReason::Acknowledged)) => {
                let between = peer.contact().is_some_and(|contact| self.holdings.ack_for(contact, &bundle.id()).is_some());
                return Ok(between.then_some(Refusal::Unwanted));
            }
            Some(Known::Gone(GoneReason::Dropped)) if sender.is_none() => return Ok(Some(Refusal::Unwanted)),
            Some(Known::Gone(GoneReason::Dropped)) | None => {}
        }
        if let Peer::Contact(contact) | Peer::Invited(contact) = peer
            && self.lacks_room(contact, bundle)
        {
            return Ok(Some(Refusal::Room));
        }
        // A clock that is off may make carriers careful, but must not come between two people: what its sender hands over is taken.
        let (Peer::Contact(from) | Peer::Invited(from)) = peer else { return Ok(None) };
        if sender == Some(from) {
            return Ok(None);
        }
        let hour = self.hour(now);
        let (created, expiry) = (bundle.header().created, bundle.header().expiry());
        let expired = expiry.is_some_and(|expiry| expiry <= hour);
        let ahead = created > hour.plus(CREATED_AHEAD_HOURS);
        Ok((hour != Hour::UNKNOWN && (expired || ahead)).then_some(Refusal::Time))
    }

    /// Who is expected to use a tag, skipped messages included.
    fn expected_from(&self, tag: &Tag) -> Result<Option<ContactId>, StoreError> {
        match self.tags.get(tag) {
            Some(expected) => Ok(Some(expected.contact())),
            None => Ok(self.store.find_skipped(tag)?.map(|row| row.contact)),
        }
    }

    /// Drops the longest-held bundles of others until one more of `size` bytes fits; what was read of them stays readable.
    fn make_room(&mut self, now: Now, size: usize) -> Result<(), StoreError> {
        let hour = self.hour(now);
        while self.holdings.foreign_bytes() + size as u64 > self.config.relay_bytes {
            let Some(oldest) = self.holdings.oldest_foreign() else { return Ok(()) };
            self.holdings.remove(self.store.as_mut(), &oldest, Some((GoneReason::Dropped, [0; 16], hour)))?;
        }
        Ok(())
    }

    pub(super) fn handle_stored(&mut self, now: Now, link: LinkId, ids: &[ShortId]) -> Result<(), Fault> {
        for short in ids {
            let Some(state) = self.links.get_mut(&link) else { return Ok(()) };
            let sent = state.answered(short).ok_or(Breach)?;
            self.watch_receipt(link, &sent.id);
            self.note_handed(now, link, &sent.id)?;
        }
        self.busy_links.insert(link);
        Ok(())
    }

    /// The device at the other end of a link says that it holds a bundle of ours.
    fn note_handed(&mut self, now: Now, link: LinkId, id: &BundleId) -> Result<(), StoreError> {
        let Some((to, transport)) = self.links.get(&link).map(|state| (state.peer.contact(), state.properties.kind)) else { return Ok(()) };
        let Some(row) = self.holdings.row(id) else { return Ok(()) };
        let Origin::Own(contact) = row.origin else { return Ok(()) };
        let message = self.pair(contact).and_then(|pair| pair.outbox.get(pair.by_bundle.get(id)?)?.message);
        let Some(message) = message else { return Ok(()) };
        self.change_message(contact, true, message, |row| {
            row.state = row.state.max(MessageState::Carried);
            match to {
                // What it is handed again, sealed anew or not, it holds once.
                Some(to) if row.log.was_handed_to(to) => {}
                Some(_) => row.handed_contacts = row.handed_contacts.saturating_add(1),
                None => row.handed_strangers = row.handed_strangers.saturating_add(1),
            }
            row.log.push(now.wall, LogEvent::Handed { to, transport });
        })
    }

    pub(super) fn handle_refused(&mut self, now: Now, link: LinkId, refusals: &[(ShortId, Refusal)]) -> Result<(), Fault> {
        let Some(state) = self.links.get_mut(&link) else { return Ok(()) };
        for (short, refusal) in refusals {
            // Either a bundle we sent, or one we asked for.
            match state.answered(short) {
                Some(sent) if *refusal != Refusal::Unwanted => {
                    let sequence = self.holdings.row(&sent.id).map(|row| row.sequence);
                    state.refused_from = [state.refused_from, sequence].into_iter().flatten().min();
                    if matches!(refusal, Refusal::Time | Refusal::Room) {
                        state.refused_lately.push_back((now.mono, sent.id));
                    }
                }
                Some(_) => {}
                None if state.asked.remove(short) => {}
                None => return Err(Breach.into()),
            }
        }
        self.busy_links.insert(link);
        Ok(())
    }

    pub(super) fn handle_acks(&mut self, now: Now, secrets: &[[u8; 16]]) -> Result<(), StoreError> {
        for secret in secrets {
            // A secret that fits nothing held is ignored and never passed on.
            for id in self.holdings.with_commitment(&commitment(secret)) {
                self.acknowledge(now, &id, *secret)?;
            }
        }
        Ok(())
    }

    /// Lets a bundle go because it was read; its id stays, with the secret that proves it.
    pub(super) fn acknowledge(&mut self, now: Now, id: &BundleId, secret: [u8; 16]) -> Result<(), StoreError> {
        let hour = self.hour(now);
        let removed = self.holdings.remove(self.store.as_mut(), id, Some((GoneReason::Acknowledged, secret, hour)))?;
        if let Some(row) = removed {
            for link in self.links.values_mut() {
                link.set.remove(row.created, id);
            }
        }
        if self.acks.remove(id).is_some() {
            self.store.delete_ack(id)?;
        }
        Ok(())
    }

    pub(super) fn handle_mark(&mut self, link: LinkId, mark: Cursor) -> Result<(), Fault> {
        let peer = self.links.get(&link).map(|state| state.peer);
        let Some(Peer::Contact(contact)) = peer else { return Err(Breach.into()) };
        self.store.save_cursor(contact, mark)?;
        Ok(())
    }

    /// Sends what a link has to send: answers, comparisons, offers, bundles, MARK; as much as its windows allow.
    pub(super) fn pump(&mut self, now: Now, link: LinkId) -> Result<(), StoreError> {
        let Some(state) = self.links.get_mut(&link).filter(|state| state.is_open()) else { return Ok(()) };
        let (mut stored, mut refused) = (std::mem::take(&mut state.stored), std::mem::take(&mut state.refused));
        let mut records = Vec::new();
        while !stored.is_empty() {
            let rest = stored.split_off(stored.len().min(MAX_RECORD_IDS));
            records.push(Record::Stored(std::mem::replace(&mut stored, rest)));
        }
        while !refused.is_empty() {
            let rest = refused.split_off(refused.len().min(MAX_RECORD_IDS));
            records.push(Record::Refused(std::mem::replace(&mut refused, rest)));
        }
        if let Some(reconciler) = &mut state.reconciler {
            let before = records.len();
            records.extend(std::iter::from_fn(|| reconciler.poll_record()).map(Record::Ranges));
            state.fence_owed |= records.len() > before;
            if state.fence_owed && reconciler.is_done() {
                state.fence_owed = false;
                state.pings += 1;
                state.fence = state.pings;
                records.push(Record::Ping);
            }
        }
        while state.offers.len() < MAX_UNANSWERED_OFFERS && !state.backlog.is_empty() {
            let mut ids: Vec<BundleId> = state.backlog.drain(..state.backlog.len().min(MAX_RECORD_IDS)).collect();
            ids.iter().for_each(|id| {
                state.in_backlog.remove(id);
            });
            ids.retain(|id| !state.known.contains(id) && !state.queued.contains(id));
            if ids.is_empty() {
                continue;
            }
            shuffle(&mut ids, &mut self.jitter);
            let batch = state.next_offer;
            state.next_offer = batch.wrapping_add(1);
            records.push(Record::Offer { batch, ids: ids.iter().map(|id| state.shorts.short(id)).collect() });
            state.offers.push_back((batch, ids));
        }
        for record in records {
            self.outputs.push_back(Output::Transmit { link, record: record.encode() });
        }
        self.send_bundles(now, link)?;
        self.send_mark(now, link);
        Ok(())
    }

    fn send_bundles(&mut self, now: Now, link: LinkId) -> Result<(), StoreError> {
        let hour = self.hour(now);
        let Some(state) = self.links.get_mut(&link) else { return Ok(()) };
        let window = state.window(&self.config);
        while let Some(id) = state.queue.front().copied() {
            let Some(row) = self.holdings.row(&id).filter(|_| !state.known.contains(&id)) else {
                state.queue.pop_front();
                state.queued.remove(&id);
                continue;
            };
            let size = usize::from(row.size);
            if state.in_flight_bytes + size > window {
                break;
            }
            state.queue.pop_front();
            state.queued.remove(&id);
            let Some(bytes) = self.holdings.bytes_of(self.store.as_ref(), &id)? else { continue };
            let short = state.shorts.short(&id);
            state.known.insert(id);
            if state.in_flight.insert(short, InFlight { id, size }).is_none() {
                state.in_flight_bytes += size;
            }
            let age = row.age.saturating_add(hour.0.saturating_sub(row.stored.0).try_into().unwrap_or(u16::MAX));
            let record = Record::Bundle { age: if row.stored == Hour::UNKNOWN { row.age } else { age }, copies: COPIES_UNLIMITED, bytes };
            self.outputs.push_back(Output::Transmit { link, record: record.encode() });
        }
        Ok(())
    }

    /// Tells a contact up to where everything has been dealt with, now and then.
    fn send_mark(&mut self, now: Now, link: LinkId) {
        let last = self.holdings.last_sequence();
        let Some(state) = self.links.get_mut(&link) else { return };
        let last = state.refused_from.map_or(last, |refused| last.min(refused.saturating_sub(1)));
        if !state.synced || state.marked >= last || !state.is_idle() {
            return;
        }
        if now.mono < state.next_mark {
            self.timers.insert((state.next_mark, Timer::Mark(link)));
            return;
        }
        state.marked = last;
        state.next_mark = now.mono + self.config.mark_after;
        let record = Record::Mark { epoch: self.profile.epoch, sequence: last };
        self.transmit(link, &record);
    }

    /// A contact is gone: its links lead to a stranger now, so they are closed, those that are still being recognised too.
    pub(super) fn end_links_of(&mut self, contact: ContactId) {
        let leads = |state: &LinkState| {
            let peer = if let Phase::Confirming(candidate) = state.phase { candidate } else { state.peer };
            matches!(peer, Peer::Contact(id) | Peer::Invited(id) if id == contact)
        };
        let links: Vec<LinkId> = self.links.iter().filter(|(_, state)| leads(state)).map(|(id, _)| *id).collect();
        for link in links {
            self.end_link(link, ByeReason::Closing);
        }
    }
}

/// Holds a received age within what the bundle's created hour allows (docs/protocol.md, section 4).
fn clamp_age(age: u16, hour: Hour, created: Hour) -> u16 {
    if hour == Hour::UNKNOWN || created == Hour::UNKNOWN {
        return age;
    }
    let most = hour.0.saturating_add(CREATED_AHEAD_HOURS).saturating_sub(created.0);
    age.min(most.try_into().unwrap_or(u16::MAX))
}

/// Puts ids into a random order (Fisher and Yates), so that an offer does not tell the order of arrival.
fn shuffle(ids: &mut [BundleId], rng: &mut impl Rng) {
    for last in (1..ids.len()).rev() {
        let other = (u64::from(rng.next_u32()) * (last as u64 + 1)) >> 32;
        ids.swap(last, other as usize);
    }
}
