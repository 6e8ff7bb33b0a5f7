//! What leaves on a link, as its windows allow: answers, comparisons, offers, bundles, MARK; and what the peer says of the bundles: STORED or
//! REFUSED (docs/protocol.md, section 6).
//!
//! A MARK says up to where a contact has been shown everything: never past what it refused for lack of room.

use hedgerow_transports::LinkId;
use rand_core::Rng;

use super::super::{
    Engine, Output, Timer,
    config::{MAX_QUEUED, MAX_UNANSWERED_OFFERS},
    holdings::reader_of,
    link::{Given, InFlight, LinkState, Peer},
    records::{Breach, Fault},
    relay::{Copies, Share},
    routing::{Scope, side},
};
use crate::{
    id::{BundleId, ShortId},
    store::{Cursor, LogEvent, Origin, StoreError},
    time::{Hour, Now},
    view::MessageState,
    wire::record::{MAX_RECORD_IDS, Record, Refusal},
};

impl Engine {
    /// Sends what a link has to send: answers, comparisons, offers, bundles, MARK; as much as its windows allow.
    pub(in super::super) fn pump(&mut self, now: Now, link: LinkId) -> Result<(), StoreError> {
        let Some(state) = self.links.get_mut(&link).filter(|state| state.is_open()) else { return Ok(()) };
        let (mut stored, mut refused) = (std::mem::take(&mut state.stored), std::mem::take(&mut state.refused));
        let mut records: Vec<Record> = Vec::new();
        let acks = std::mem::take(&mut state.acks);
        records.extend(acks.chunks(MAX_RECORD_IDS).map(|secrets| Record::Ack(secrets.to_vec())));
        while !stored.is_empty() {
            let rest = stored.split_off(stored.len().min(MAX_RECORD_IDS));
            records.push(Record::Stored(std::mem::replace(&mut stored, rest)));
        }
        while !refused.is_empty() {
            let rest = refused.split_off(refused.len().min(MAX_RECORD_IDS));
            records.push(Record::Refused(std::mem::replace(&mut refused, rest)));
        }
        if state.compare_later
            && !state.is_quiet()
            && state.is_idle()
            && let Some(reconciler) = &mut state.reconciler
        {
            state.compare_later = false;
            let set = if state.scope == Scope::Everything { self.holdings.set(true) } else { &state.set };
            reconciler.start(set, &mut self.jitter);
        }
        if let Some(reconciler) = &mut state.reconciler {
            let before = records.len();
            while (state.queue.is_empty() || state.talk.has_room())
                && let Some(body) = reconciler.poll_record()
            {
                state.talk.said(body.len());
                records.push(Record::Ranges(body));
            }
            state.fence_owed |= records.len() > before;
            if state.fence_owed && reconciler.is_done() {
                state.fence_owed = false;
                state.pings += 1;
                state.fence = state.pings;
                records.push(Record::Ping);
            }
        }
        while state.offers.len() < MAX_UNANSWERED_OFFERS && state.queue.len() < MAX_QUEUED && !state.backlog.is_empty() && state.may_say() {
            let mut ids = Vec::new();
            while ids.len() < MAX_RECORD_IDS
                && let Some(id) = state.backlog.pop()
            {
                let is_new = !state.known.contains_key(&id) && !state.queue.contains(&id);
                let hands_on = |row| self.config.relay.hands_on(row, side(row, state.peer));
                if is_new && self.holdings.row(&id).is_some_and(hands_on) {
                    ids.push(id);
                }
            }
            if ids.is_empty() {
                continue;
            }
            state.talk.said(ids.len() * size_of::<ShortId>());
            state.offered.extend(&ids);
            shuffle(&mut ids, &mut self.jitter);
            let batch = state.next_offer;
            state.next_offer = batch.wrapping_add(1);
            records.push(Record::Offer { batch, ids: ids.iter().map(|id| state.shorts.short(id)).collect() });
            state.offers.push_back((batch, ids));
        }
        let waits = !state.may_say();
        for record in records {
            self.outputs.push_back(Output::Transmit { link, record: record.encode() });
        }
        self.send_bundles(now, link)?;
        if waits && self.links.get(&link).is_some_and(LinkState::may_say) {
            return self.pump(now, link);
        }
        self.send_mark(now, link);
        Ok(())
    }

    fn send_bundles(&mut self, now: Now, link: LinkId) -> Result<(), StoreError> {
        let (hour, is_tight, relay) = (self.hour(now), self.is_tight(), self.config.relay);
        let Some(state) = self.links.get_mut(&link) else { return Ok(()) };
        let window = state.window(&self.config);
        let (mut gone, mut own) = (Vec::new(), Vec::new());
        while let Some(id) = state.queue.first() {
            let is_owed = state.owed.contains(&id);
            let row = self.holdings.row(&id).filter(|_| is_owed || !state.known.contains_key(&id));
            let Some(row) = row.filter(|row| relay.hands_on(row, side(row, state.peer))) else {
                state.queue.pop();
                if state.owed.remove(&id) {
                    let short = state.shorts.short(&id);
                    gone.push((short, Refusal::Unwanted));
                }
                continue;
            };
            let size = usize::from(row.size);
            if state.in_flight_bytes + size > window {
                break;
            }
            state.queue.pop();
            let Some(bytes) = self.holdings.bytes_of(self.store.as_ref(), &id)? else { continue };
            let Some(Share { counted, given: copies }) = relay.share(row, side(row, state.peer), is_tight, &mut self.jitter) else {
                continue;
            };
            let short = state.shorts.short(&id);
            state.owed.remove(&id);
            state.talk.sent(size);
            let given = if matches!(state.known.get(&id), Some(Given::Once | Given::Again)) { Given::Again } else { Given::Once };
            state.known.insert(id, given);
            if state.in_flight.insert(short, InFlight { id, size, copies }).is_none() {
                state.in_flight_bytes += size;
            }
            if let Origin::Own(reader) = row.origin {
                own.push((reader, id));
            }
            let age = row.age.saturating_add(hour.0.saturating_sub(row.stored.0).try_into().unwrap_or(u16::MAX));
            let record = Record::Bundle { age: if row.stored == Hour::UNKNOWN { row.age } else { age }, copies, bytes };
            self.holdings.set_copies(self.store.as_mut(), &id, counted)?;
            self.outputs.push_back(Output::Transmit { link, record: record.encode() });
        }
        // What was picked and let go since: the peer waits for it no longer.
        for refusals in gone.chunks(MAX_RECORD_IDS) {
            self.transmit(link, &Record::Refused(refusals.to_vec()));
        }
        own.into_iter().try_for_each(|(reader, id)| self.note_left(now, reader, &id))
    }

    pub(in super::super) fn handle_stored(&mut self, now: Now, link: LinkId, ids: &[ShortId]) -> Result<(), Fault> {
        for short in ids {
            let Some(state) = self.links.get_mut(&link) else { return Ok(()) };
            let sent = state.answered(short).ok_or(Breach)?;
            let by_contact = state.peer.contact();
            if state.known.get(&sent.id) == Some(&Given::Again) {
                continue;
            }
            state.last_useful = now.mono;
            if let Some(left) = self.holdings.row(&sent.id).map(|row| Copies::of(row).without(sent.copies)) {
                self.holdings.set_copies(self.store.as_mut(), &sent.id, left)?;
            }
            self.watch_receipt(link, &sent.id);
            self.note_handed(now, link, &sent.id)?;
            // Of what its reader has, nobody needs to know how often it went on.
            if by_contact.is_none() || by_contact != self.holdings.row(&sent.id).and_then(reader_of) {
                self.holdings.note_forwarded(self.store.as_mut(), &sent.id)?;
            }
        }
        self.busy_links.insert(link);
        Ok(())
    }

    /// The device at the other end of a link says that it holds a bundle of ours.
    fn note_handed(&mut self, now: Now, link: LinkId, id: &BundleId) -> Result<(), StoreError> {
        let Some((peer, transport)) = self.links.get(&link).map(|state| (state.peer, state.properties.kind)) else { return Ok(()) };
        let Some(row) = self.holdings.row(id) else { return Ok(()) };
        let Origin::Own(contact) = row.origin else { return Ok(()) };
        // Over the pending link's own session it is the reader itself.
        let to = if peer == Peer::Invited(contact) { Some(contact) } else { peer.contact() };
        let message = self.pair(contact).and_then(|pair| pair.outbox.get(pair.by_bundle.get(id)?)?.message);
        for message in message.map_or_else(|| self.riders_of(contact, id), |message| vec![message]) {
            self.change_message(contact, true, message, |row| {
                row.state = row.state.max(MessageState::Carried);
                match to {
                    // What it is handed again, sealed anew or not, it holds once.
                    Some(to) if row.log.was_handed_to(to) => {}
                    Some(_) => row.handed_contacts = row.handed_contacts.saturating_add(1),
                    None => row.handed_strangers = row.handed_strangers.saturating_add(1),
                }
                row.log.push(now.wall, LogEvent::Handed { to, transport });
            })?;
        }
        Ok(())
    }

    pub(in super::super) fn handle_refused(&mut self, now: Now, link: LinkId, refusals: &[(ShortId, Refusal)]) -> Result<(), Fault> {
        let Some(state) = self.links.get_mut(&link) else { return Ok(()) };
        for (short, refusal) in refusals {
            // Either a bundle we sent, or one we asked for.
            match state.answered(short) {
                Some(sent) if *refusal != Refusal::Unwanted => {
                    let sequence = self.holdings.row(&sent.id).map(|row| row.sequence);
                    state.refused_from = [state.refused_from, sequence].into_iter().flatten().min();
                    let is_first = state.known.get(&sent.id) == Some(&Given::Once);
                    if is_first && matches!(refusal, Refusal::Time | Refusal::Room) {
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

    /// Tells a contact up to where everything has been dealt with, now and then.
    fn send_mark(&mut self, now: Now, link: LinkId) {
        let last = self.holdings.last_sequence();
        if !self.links.get(&link).is_some_and(|state| self.marks_count(state)) {
            return;
        }
        let Some(state) = self.links.get_mut(&link) else { return };
        let last = state.refused_from.map_or(last, |refused| last.min(refused.saturating_sub(1)));
        if !state.has_cursor || state.is_quiet() || state.marked.is_some_and(|marked| marked >= last) || !state.is_idle() {
            return;
        }
        if now.mono < state.next_mark {
            self.timers.insert((state.next_mark, Timer::Mark(link)));
            return;
        }
        state.marked = Some(last);
        state.next_mark = now.mono + self.config.mark_after;
        let record = Record::Mark { epoch: self.profile.epoch, sequence: last };
        self.transmit(link, &record);
    }

    pub(in super::super) fn handle_mark(&mut self, link: LinkId, mark: Cursor) -> Result<(), Fault> {
        let Some(state) = self.links.get(&link) else { return Ok(()) };
        let Peer::Contact(contact) = state.peer else { return Err(Breach.into()) };
        if self.marks_count(state) {
            self.store.save_cursor(contact, mark)?;
        }
        Ok(())
    }
}

/// Puts ids into a random order (Fisher and Yates), so that an offer does not tell the order of arrival.
fn shuffle(ids: &mut [BundleId], rng: &mut impl Rng) {
    for last in (1..ids.len()).rev() {
        let other = (u64::from(rng.next_u32()) * (last as u64 + 1)) >> 32;
        ids.swap(last, other as usize);
    }
}
