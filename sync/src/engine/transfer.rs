//! Bundles on a link: comparing, offering, sending, storing, answering (docs/protocol.md, sections 4 and 6).

use std::collections::HashMap;

use hedgerow_transports::{Direction, LinkId};
use rand_core::Rng;

use super::{
    Engine, Output, Timer,
    config::{
        MAX_ACKED_AT_ONCE, MAX_ASKED_IDS, MAX_HELD_OFFERS_BEHIND, MAX_OPENED_AT_ONCE, MAX_QUEUED, MAX_TOLD_ACKS, MAX_UNANSWERED_OFFERS,
        MAX_WAITING_RANGES,
    },
    holdings::{Known, Slot, is_between, reader_of},
    link::{Given, InFlight, LinkState, Peer, Phase, WaitingOffer},
    pools::Pool,
    records::{Breach, Fault},
    routing::{Scope, rank},
};
use crate::{
    crypto::{bundle_seal::commitment, kdf::hash},
    id::{BundleId, ContactId, ShortId, Tag},
    reconcile::{Finding, ItemSet, MAX_BODY_LEN, Reconciler, SessionView, cut_hour},
    session::Role,
    store::{Cursor, GoneReason, LogEvent, Origin, StoreError},
    time::{Hour, Now},
    view::MessageState,
    wire::{
        bundle::{BUNDLE_SIZES, Bundle, CREATED_AHEAD_HOURS, Lifetime},
        record::{ByeReason, COPIES_UNLIMITED, MAX_RECORD_IDS, Record, Refusal, bitmap_bit, encode_bitmap},
    },
};

/// In one session of so many that exchange something, ranges are compared although cursors fit (docs/protocol.md, section 6.4).
const COMPARE_ANYWAY: u32 = 16;

/// Ids that the lists of one RANGES record name, at most.
const MAX_LISTED_IN_RECORD: usize = MAX_BODY_LEN / size_of::<ShortId>();

/// After this a timer comes in another batch than the present one.
const NEXT_BATCH: std::time::Duration = std::time::Duration::from_millis(1);

impl Engine {
    /// HELLO has come from somebody who is no contact: if both sides carry, all is compared.
    pub(super) fn start_with_stranger(&mut self, now: Now, link: LinkId) {
        let Some(state) = self.links.get_mut(&link).filter(|state| state.scope == Scope::Everything) else { return };
        state.live = true;
        self.make_reconciler(link);
        if let Some(state) = self.links.get_mut(&link)
            && let Some(reconciler) = state.reconciler.as_mut().filter(|_| state.info.role == Role::Initiator)
        {
            reconciler.start(self.holdings.set(false), &mut self.jitter);
        }
        self.busy_links.insert(link);
        self.offer_held_back(now, link);
    }

    fn make_reconciler(&mut self, link: LinkId) {
        let Some(state) = self.links.get_mut(&link) else { return };
        let Some(hello) = state.hello else { return };
        let view = SessionView { cut: cut_hour(state.hour_told, hello.hour), empty: state.scope == Scope::Nothing };
        state.reconciler = Some(Reconciler::new(state.info.hash, state.info.role == Role::Initiator, view));
    }

    /// Both cursors are known: begins with what they leave open.
    pub(super) fn start_sync(&mut self, now: Now, link: LinkId, peer_epoch: [u8; 8], theirs: Cursor) -> Result<(), Fault> {
        let own_epoch = self.profile.epoch;
        let last = self.holdings.arrived();
        let Some(state) = self.links.get_mut(&link) else { return Ok(()) };
        let (Some(contact), Some(_)) = (state.peer.contact(), state.hello) else { return Err(Breach.into()) };
        if state.has_cursor {
            return Err(Breach.into());
        }
        state.has_cursor = true;
        // A session that was upgraded may be comparing already: that goes on, over what contacts are shown.
        let compares = state.reconciler.as_ref().is_some_and(Reconciler::has_begun) && state.scope == Scope::Everything;
        let (was_live, peer) = (state.live, state.peer);
        state.live = true;
        let ours = self.store.load_cursor(contact)?;
        let theirs_fits = theirs.epoch == own_epoch && theirs.sequence <= last;
        let fits = theirs_fits && ours.epoch == peer_epoch;
        let anyway = self.jitter.next_u32().is_multiple_of(COMPARE_ANYWAY);
        if fits {
            self.offer_later(now, link, theirs.sequence);
        }
        if !compares && !was_live {
            self.make_reconciler(link);
            let Some(state) = self.links.get_mut(&link) else { return Ok(()) };
            let initiator = state.info.role == Role::Initiator;
            state.awaits_comparison = !fits;
            state.compare_later = fits && anyway && initiator;
            if let Some(reconciler) = state.reconciler.as_mut().filter(|_| initiator && !fits) {
                let set = if state.scope == Scope::Everything { self.holdings.set(true) } else { &state.set };
                reconciler.start(set, &mut self.jitter);
            }
        }
        let rows: Vec<_> = self.holdings.rows().filter(|row| !fits && row.origin == Origin::Own(contact)).cloned().collect();
        if let Some(state) = self.links.get_mut(&link).filter(|_| rows.len() <= MAX_UNANSWERED_OFFERS * MAX_RECORD_IDS) {
            // What is for the peer needs no comparison to be offered.
            rows.iter()
                .filter(|row| row.created != Hour::UNKNOWN)
                .for_each(|row| state.offer(rank(&self.holdings, row, peer, false), row.id));
        }
        self.busy_links.insert(link);
        self.offer_held_back(now, link);
        Ok(())
    }

    /// A contact has all that arrived up to `sequence`: it is offered what came later, and told what was read since it was met.
    fn offer_later(&mut self, now: Now, link: LinkId, sequence: u64) {
        let hour = self.hour(now);
        let Some(state) = self.links.get(&link) else { return };
        let (peer, since) = (state.peer, state.met_before);
        let told = peer.contact().and_then(|contact| self.contacts.get(&contact)?.told_acks);
        let later: Vec<_> = self.holdings.after(sequence).filter(|row| self.shows(state, &row.id)).cloned().collect();
        let acks: Vec<[u8; 16]> = match since {
            Some(since) if state.scope == Scope::Everything && hour != Hour::UNKNOWN => {
                self.holdings.acks_since(since, told).take(MAX_TOLD_ACKS).collect()
            }
            _ => Vec::new(),
        };
        if let Some(state) = self.links.get_mut(&link) {
            state.marked = Some(sequence);
            later.iter().for_each(|row| state.offer(rank(&self.holdings, row, peer, false), row.id));
            state.acks.extend(acks);
        }
    }

    pub(super) fn handle_ranges(&mut self, now: Now, link: LinkId, body: Vec<u8>) -> Result<(), Fault> {
        let Some(state) = self.links.get_mut(&link) else { return Ok(()) };
        if state.waiting_ranges.len() >= MAX_WAITING_RANGES {
            return Err(Breach.into());
        }
        state.waiting_ranges.push_back(body);
        self.compare_waiting(now, link)
    }

    /// Compares what a peer's RANGES say, in order, as far as it may be asked for what they list. What waits holds its MARK back: until it is
    /// asked for the last of it, it owes something.
    pub(super) fn compare_waiting(&mut self, now: Now, link: LinkId) -> Result<(), Fault> {
        let next = |state: &mut LinkState| if state.may_ask(MAX_LISTED_IN_RECORD) { state.waiting_ranges.pop_front() } else { None };
        while let Some(body) = self.links.get_mut(&link).and_then(next) {
            self.compare(now, link, &body)?;
        }
        Ok(())
    }

    fn compare(&mut self, now: Now, link: LinkId, body: &[u8]) -> Result<(), Fault> {
        let Some(state) = self.links.get(&link) else { return Ok(()) };
        let peer = state.peer;
        if state.reconciler.is_none() {
            // A contact's comparison begins with its CURSOR. Nobody else is closed for asking.
            if peer.contact().is_some() {
                return Err(Breach.into());
            }
            self.make_reconciler(link);
        }
        let Some(state) = self.links.get_mut(&link) else { return Ok(()) };
        let Some(reconciler) = state.reconciler.as_mut() else { return Err(Breach.into()) };
        let set: &ItemSet = if state.scope == Scope::Everything { self.holdings.set(peer.contact().is_some()) } else { &state.set };
        let findings = reconciler.handle_ranges(body, set).map_err(|_| Breach)?;
        let mut wanted = Vec::new();
        for finding in findings {
            match finding {
                Finding::Want(short) => wanted.push(short),
                // Not pushed: the peer may have let it go because it was read, and then answers the offer with the ack.
                Finding::Lacking(id) => {
                    if let Some(row) = self.holdings.row(&id) {
                        state.offer(rank(&self.holdings, row, peer, false), id);
                    }
                }
            }
        }
        let (acks, wanted) = self.split_acknowledged(now, link, wanted);
        let room = self.room_for_picks(now, link);
        if let Some(state) = self.links.get_mut(&link) {
            state.acks.extend(acks);
            wanted.iter().skip(room).for_each(|short| state.put_off(*short));
            let wanted: Vec<ShortId> = wanted.into_iter().take(room).filter(|short| state.ask(now.mono, *short)).collect();
            for ids in wanted.chunks(MAX_RECORD_IDS) {
                self.transmit(link, &Record::Want(ids.to_vec()));
            }
        }
        self.busy_links.insert(link);
        Ok(())
    }

    /// How many bundles a peer may be asked for: strangers together bring so much a day.
    fn room_for_picks(&mut self, now: Now, link: LinkId) -> usize {
        let Some(state) = self.links.get(&link) else { return 0 };
        if state.peer.contact().is_some() {
            return MAX_ASKED_IDS.saturating_sub(state.asked.len());
        }
        let (kind, direction) = (state.properties.kind, state.properties.direction);
        let smallest = BUNDLE_SIZES[0] as u64;
        // Of this link alone: else whoever offers and never sends would take the room of all.
        let asked = state.asked.len();
        let available = self.buckets.available(now.mono, kind, direction, self.config.stranger_bytes_a_day) / smallest;
        usize::try_from(available).unwrap_or(usize::MAX).saturating_sub(asked)
    }

    /// Divides ids that a peer has named into those known to be acknowledged, with their secrets, and the rest.
    fn split_acknowledged(&mut self, now: Now, link: LinkId, shorts: Vec<ShortId>) -> (Vec<[u8; 16]>, Vec<ShortId>) {
        let hour = self.hour(now);
        if shorts.is_empty() {
            return (Vec::new(), shorts);
        }
        let names = self.names_of(link);
        let (mut acks, mut rest) = (Vec::new(), Vec::new());
        for short in shorts {
            let id = self.named(&names, link, &short);
            match id.and_then(|id| self.ack_for(link, hour, &id)) {
                Some(ack) => acks.push(ack),
                // Own bundles that are held back are in no set: they are not asked for where they were offered.
                None if id.is_some_and(|id| self.holdings.row(&id).is_some() && !self.is_hidden_from(link, &id)) => {}
                None => rest.push(short),
            }
        }
        self.keep_names(link, names);
        (acks, rest)
    }

    /// Takes the short ids of all that is known; [`keep_names`](Self::keep_names) puts them back. Empty for who is shown nothing.
    fn names_of(&mut self, link: LinkId) -> HashMap<ShortId, Slot> {
        let Some(state) = self.links.get_mut(&link).filter(|state| state.scope != Scope::Nothing) else { return HashMap::new() };
        let names = state.names.take();
        let shorts = &state.shorts;
        names.unwrap_or_else(|| self.holdings.all_known().map(|(id, slot)| (shorts.short(id), slot)).collect())
    }

    fn keep_names(&mut self, link: LinkId, names: HashMap<ShortId, Slot>) {
        if let Some(state) = self.links.get_mut(&link).filter(|state| state.scope != Scope::Nothing) {
            state.names = Some(names);
        }
    }

    /// The id that a peer names, if it is known.
    fn named(&self, names: &HashMap<ShortId, Slot>, link: LinkId, short: &ShortId) -> Option<BundleId> {
        let id = self.holdings.in_slot(*names.get(short)?)?;
        // The slot may stand for another id since.
        (self.links.get(&link)?.shorts.short(&id) == *short).then_some(id)
    }

    pub(super) fn handle_offer(&mut self, now: Now, link: LinkId, batch: u16, ids: Vec<ShortId>) -> Result<(), Fault> {
        let Some(state) = self.links.get_mut(&link) else { return Ok(()) };
        if batch != state.next_peer_offer {
            return Err(Breach.into());
        }
        state.next_peer_offer = batch.wrapping_add(1);
        if state.waiting_offers.len() >= MAX_UNANSWERED_OFFERS {
            return Err(Breach.into());
        }
        if !state.waiting_offers.is_empty() || !state.may_ask(ids.len()) || self.others_bring(link) {
            let Some(state) = self.links.get_mut(&link) else { return Ok(()) };
            state.waiting_offers.push_back(WaitingOffer { since: now.mono, batch, ids });
            self.timers.insert((now.mono + self.config.offers_wait, Timer::Offers(link)));
            return Ok(());
        }
        self.answer_offer(now, link, batch, &ids);
        Ok(())
    }

    /// Whether another link owes a few bundles: what is offered here may be among them. One that let others wait in vain is not waited for.
    fn others_bring(&self, link: LinkId) -> bool {
        let owes = |state: &LinkState| state.is_open() && !state.stalls && (1..=MAX_HELD_OFFERS_BEHIND).contains(&state.asked.len());
        self.links.iter().any(|(id, state)| *id != link && owes(state))
    }

    /// Notes which links have let others wait for too long.
    fn note_stalls(&mut self, now: Now) {
        for state in self.links.values_mut() {
            let waited = state.asked_since.is_some_and(|since| now.mono.since(since) >= self.config.offers_wait);
            state.stalls |= waited && state.asked.len() <= MAX_HELD_OFFERS_BEHIND;
        }
    }

    /// Answers offers that waited: all that are due, and those for which no other link is in the way any more; none of whose ids a contact
    /// may not be asked for yet.
    pub(super) fn answer_waiting_offers(&mut self, now: Now) {
        self.note_stalls(now);
        let links: Vec<LinkId> = self.links.iter().filter(|(_, state)| !state.waiting_offers.is_empty()).map(|(id, _)| *id).collect();
        for link in links {
            while let Some(state) = self.links.get(&link)
                && let Some(offer) = state.waiting_offers.front()
                && state.may_ask(offer.ids.len())
                && (now.mono.since(offer.since) >= self.config.offers_wait || !self.others_bring(link))
            {
                let Some(offer) = self.links.get_mut(&link).and_then(|state| state.waiting_offers.pop_front()) else { break };
                self.answer_offer(now, link, offer.batch, &offer.ids);
            }
        }
    }

    fn answer_offer(&mut self, now: Now, link: LinkId, batch: u16, ids: &[ShortId]) {
        let hour = self.hour(now);
        let names = self.names_of(link);
        let mut room = self.room_for_picks(now, link);
        let Some(state) = self.links.get(&link) else { return };
        let (scope, is_contact) = (state.scope, state.peer.contact().is_some());
        let (mut acks, mut wanted) = (Vec::new(), Vec::with_capacity(ids.len()));
        for short in ids {
            let id = self.named(&names, link, short);
            let wants = match id.and_then(|id| self.holdings.known(&id).map(|known| (id, known))) {
                _ if scope == Scope::Nothing => false,
                // Picked as by anybody else: who is offered an own bundle that nobody should see yet does not have it.
                Some((id, Known::Held)) if self.is_hidden_from(link, &id) => true,
                Some((id, Known::Held)) => {
                    if let Some(state) = self.links.get_mut(&link) {
                        state.note_known(id);
                    }
                    false
                }
                Some((id, Known::Gone(GoneReason::Acknowledged))) => match self.ack_for(link, hour, &id) {
                    Some(ack) => {
                        acks.push(ack);
                        false
                    }
                    // Between two others, or so long ago that strangers hear nothing of it.
                    None => true,
                },
                Some((id, Known::Gone(GoneReason::Dropped))) if is_contact => {
                    self.holdings.gone_tag(&id).is_some_and(|tag| matches!(self.expected_from(&tag), Ok(Some(_))))
                }
                Some((id, Known::Gone(GoneReason::Dropped))) => !self.holdings.is_told_to_strangers(&id, hour),
                None => true,
            };
            let Some(state) = self.links.get_mut(&link) else { return };
            if wants && room == 0 {
                state.put_off(*short);
            }
            let asks = wants && room > 0 && state.ask(now.mono, *short);
            room = room.saturating_sub(usize::from(asks));
            // What was asked for already is still wanted: a zero would say that it is known.
            wanted.push(asks || (wants && state.asked.contains(short)));
        }
        self.keep_names(link, names);
        if let Some(state) = self.links.get_mut(&link) {
            state.acks.extend(acks);
        }
        self.flush_acks(link);
        self.transmit(link, &Record::Pick { batch, wanted: encode_bitmap(wanted.into_iter()) });
        self.busy_links.insert(link);
    }

    /// Asks a stranger for what it named and could not bring then, as far as there is room now.
    pub(super) fn ask_put_off(&mut self, now: Now, link: LinkId) {
        if self.links.get(&link).is_none_or(|state| state.put_off.is_empty()) {
            return;
        }
        let room = self.room_for_picks(now, link);
        let names = self.names_of(link);
        let mut wanted = Vec::new();
        while wanted.len() < room
            && let Some(short) = self.links.get_mut(&link).and_then(|state| state.put_off.pop_front())
        {
            let is_known = self.named(&names, link, &short).is_some_and(|id| self.holdings.known(&id).is_some());
            if !is_known && self.links.get_mut(&link).is_some_and(|state| state.ask(now.mono, short)) {
                wanted.push(short);
            }
        }
        self.keep_names(link, names);
        for ids in wanted.chunks(MAX_RECORD_IDS) {
            self.transmit(link, &Record::Want(ids.to_vec()));
        }
    }

    /// Sends the ack secrets that a peer is to be told.
    fn flush_acks(&mut self, link: LinkId) {
        let acks = self.links.get_mut(&link).map(|state| std::mem::take(&mut state.acks)).unwrap_or_default();
        for secrets in acks.chunks(MAX_RECORD_IDS) {
            self.transmit(link, &Record::Ack(secrets.to_vec()));
        }
    }

    pub(super) fn handle_pick(&mut self, link: LinkId, batch: u16, wanted: &[u8]) -> Result<(), Fault> {
        let Some(state) = self.links.get_mut(&link) else { return Ok(()) };
        let Some((expected, ids)) = state.offers.pop_front() else { return Err(Breach.into()) };
        if batch != expected || wanted.len() != ids.len().div_ceil(8) {
            return Err(Breach.into());
        }
        for (index, id) in ids.into_iter().enumerate() {
            state.offered.remove(&id);
            let short = state.shorts.short(&id);
            match self.holdings.row(&id).filter(|_| bitmap_bit(wanted, index)) {
                Some(row) => {
                    state.owe(rank(&self.holdings, row, state.peer, false), id, &short);
                }
                None if bitmap_bit(wanted, index) => state.refused.push((short, Refusal::Unwanted)),
                // Asked for by id meanwhile, it is on its way.
                None if state.owed.contains(&id) => {}
                None => state.note_known(id),
            }
        }
        self.busy_links.insert(link);
        Ok(())
    }

    pub(super) fn handle_want(&mut self, link: LinkId, ids: &[ShortId]) {
        let names = self.names_of(link);
        for short in ids {
            let id = self.named(&names, link, short);
            let shown = id.filter(|id| self.links.get(&link).is_some_and(|state| self.shows(state, id)));
            let row = shown.and_then(|id| self.holdings.row(&id));
            let Some(state) = self.links.get_mut(&link) else { return };
            match row {
                Some(row) if state.owe(rank(&self.holdings, row, state.peer, true), row.id, short) => {}
                Some(_) | None => state.refused.push((*short, Refusal::Unwanted)),
            }
        }
        self.keep_names(link, names);
        self.busy_links.insert(link);
    }

    pub(super) fn handle_bundle(&mut self, now: Now, link: LinkId, age: u16, bytes: Vec<u8>) -> Result<(), Fault> {
        let hour = self.hour(now);
        let id = BundleId(hash(&[&bytes]));
        let Some(state) = self.links.get_mut(&link) else { return Ok(()) };
        let short = state.shorts.short(&id);
        if state.asked.remove(&short) {
            state.stalls = false;
            state.asked_since = (!state.asked.is_empty()).then_some(now.mono);
        }
        let (peer, scope) = (state.peer, state.scope);
        if peer == Peer::Stranger && scope == Scope::Nothing {
            // HELLO has said that nothing is carried for strangers.
            self.transmit(link, &Record::Refused(vec![(short, Refusal::NotCarried)]));
            return Err(Breach.into());
        }
        self.busy_links.insert(link);
        let size = bytes.len() as u64;
        let verdict = match Bundle::decode(bytes) {
            Ok(bundle) => self.judge_bundle(now, link, &bundle)?.map_or(Ok(bundle), Err),
            Err(_) => Err(Refusal::Malformed),
        };
        let ack = self.ack_for(link, hour, &id);
        let Some(state) = self.links.get_mut(&link) else { return Ok(()) };
        state.acks.extend(ack);
        let bundle = match verdict {
            Ok(bundle) => bundle,
            Err(refusal) => {
                state.refused.push((short, refusal));
                self.answer_waiting_offers(now);
                return Ok(());
            }
        };
        let (kind, direction) = (state.properties.kind, state.properties.direction);
        state.stored.push(short);
        state.note_known(id);
        let expected = self.tags.get(&bundle.header().tag);
        if let (Peer::Invited(contact), Some(expected)) = (peer, expected)
            && expected.is_exchange_of(contact)
        {
            // The exchange itself, from its other side: done with this batch; nobody else is to carry it.
            return Ok(self.open_bundle(now, bundle, Some(contact))?);
        }
        let between_others = peer.contact().is_some_and(|contact| scope == Scope::Between(contact));
        match self.holdings.known(&id) {
            // Read before, from another hand: whoever else brings a copy hears what he would of an unread one.
            Some(Known::Gone(GoneReason::Acknowledged)) if between_others => return Ok(()),
            Some(Known::Held) => {
                self.holdings.note_age(&id, clamp_age(age, hour, bundle.header().created), hour);
                self.note_known_outside(&id);
                return Ok(());
            }
            Some(Known::Gone(_)) | None => {}
        }
        self.holdings.forget_gone(self.store.as_mut(), &id)?;
        let origin = match (peer, direction) {
            (Peer::Contact(contact), _) => Origin::Contact(contact),
            (Peer::Invited(_) | Peer::Stranger, Direction::Inbound) => Origin::StrangerInbound,
            (Peer::Invited(_) | Peer::Stranger, Direction::Outbound) => Origin::StrangerOutbound,
        };
        if peer.contact().is_none() {
            self.buckets.take(kind, direction, size);
        }
        let age = clamp_age(age, hour, bundle.header().created);
        self.holdings.insert(self.store.as_mut(), &bundle, origin, age, hour)?;
        if let Some(state) = self.links.get_mut(&link) {
            state.last_useful = now.mono;
        }
        self.route_new(now, &id, Some(link));
        match peer {
            Peer::Contact(_) => self.open_bundle(now, bundle, None)?,
            // In the next batch, so that the answer to a stranger takes no longer where the bundle can be opened.
            Peer::Invited(_) | Peer::Stranger => self.open_later(now, id),
        }
        self.answer_waiting_offers(now);
        Ok(())
    }

    /// Has a bundle opened in the next batch, if it is expected.
    fn open_later(&mut self, now: Now, id: BundleId) {
        self.to_open.push((self.batch, id));
        self.timers.insert((now.mono, Timer::Open));
    }

    /// Opens what waits from earlier batches.
    pub(super) fn open_waiting(&mut self, now: Now) -> Result<(), StoreError> {
        // A few in each batch: by what a flood of copies costs, nobody is to see that their tag is expected here.
        let earlier = self.to_open.partition_point(|(batch, _)| *batch < self.batch);
        let rest = self.to_open.split_off(earlier.min(MAX_OPENED_AT_ONCE));
        self.timers.retain(|(at, timer)| *timer != Timer::Open || *at > now.mono);
        if !rest.is_empty() {
            self.timers.insert((now.mono + NEXT_BATCH, Timer::Open));
        }
        for (_, id) in std::mem::replace(&mut self.to_open, rest) {
            let Some(tag) = self.holdings.row(&id).map(|row| row.tag) else { continue };
            let Some(sender) = self.expected_from(&tag)? else { continue };
            if self.is_flooding(sender) {
                self.note_withheld(sender);
                continue;
            }
            let bytes = self.holdings.bytes_of(self.store.as_ref(), &id)?;
            if let Some(bundle) = bytes.and_then(|bytes| Bundle::decode(bytes).ok()) {
                self.open_bundle(now, bundle, None)?;
            }
        }
        Ok(())
    }

    /// Has everything held that is expected opened: after a restart, or once there is room for a contact's mail again.
    pub(super) fn open_all_expected(&mut self, now: Now) -> Result<(), StoreError> {
        let mut expected: Vec<BundleId> = self.holdings.rows().filter(|row| self.tags.contains_key(&row.tag)).map(|row| row.id).collect();
        // What was stored and overtaken before it could be opened comes under a tag of skipped keys.
        self.store.visit_skipped(&mut |tag| expected.extend(self.holdings.with_tag(&tag)))?;
        expected.into_iter().for_each(|id| self.open_later(now, id));
        Ok(())
    }

    /// Why a bundle is not taken from this peer, if it isn't. What a stranger is answered depends on nothing but what any carrier knows.
    fn judge_bundle(&mut self, now: Now, link: LinkId, bundle: &Bundle) -> Result<Option<Refusal>, StoreError> {
        let Some(state) = self.links.get(&link) else { return Ok(Some(Refusal::NotCarried)) };
        let (peer, scope, kind, direction) = (state.peer, state.scope, state.properties.kind, state.properties.direction);
        let (id, tag, size) = (bundle.id(), bundle.header().tag, bundle.bytes().len() as u64);
        let hour = self.hour(now);
        if let (Peer::Invited(contact), Some(expected)) = (peer, self.tags.get(&tag))
            && expected.is_exchange_of(contact)
        {
            // Eight bundles that were none, or sixteen answers: a holder of the link has had its share of our time.
            let spent = self.is_tried_out(&tag) || self.is_answered_out(contact);
            return Ok(spent.then_some(Refusal::Unwanted));
        }
        if peer.contact().is_none() && scope == Scope::Nothing {
            return Ok(Some(Refusal::NotCarried));
        }
        let sender = self.expected_from(&tag)?.filter(|_| peer.contact().is_some());
        match self.holdings.known(&id) {
            Some(Known::Held) => return Ok(None),
            Some(Known::Gone(GoneReason::Acknowledged)) => {
                if self.ack_for(link, hour, &id).is_some() {
                    return Ok(Some(Refusal::Unwanted));
                }
                if matches!(scope, Scope::Between(_)) {
                    return Ok(None);
                }
            }
            Some(Known::Gone(GoneReason::Dropped)) => {
                let told = peer.contact().is_some() || self.holdings.is_told_to_strangers(&id, hour);
                if told && sender.is_none() {
                    return Ok(Some(Refusal::Unwanted));
                }
            }
            None => {}
        }
        // A clock that is off may make carriers careful, but must not come between two people: what its sender hands over is taken.
        let from_sender = sender.is_some() && sender == peer.contact();
        if hour != Hour::UNKNOWN && !from_sender {
            let (created, expiry) = (bundle.header().created, bundle.header().expiry());
            let left = expiry.map_or(bundle.header().lifetime.hours(), |expiry| expiry.0.saturating_sub(hour.0));
            let too_long = peer.contact().is_none() && left > STRANGERS_LIFETIME_HOURS;
            if expiry.is_some_and(|expiry| expiry <= hour) || created > hour.plus(CREATED_AHEAD_HOURS) || too_long {
                return Ok(Some(Refusal::Time));
            }
        }
        let pool = match peer {
            Peer::Contact(contact) => {
                if self.lacks_room(contact, scope, bundle) {
                    return Ok(Some(Refusal::Room));
                }
                Pool::Contact(contact)
            }
            Peer::Invited(_) | Peer::Stranger => {
                if self.buckets.available(now.mono, kind, direction, self.config.stranger_bytes_a_day) < size {
                    return Ok(Some(Refusal::Room));
                }
                if direction == Direction::Inbound { Pool::Inbound } else { Pool::Outbound }
            }
        };
        Ok((!self.make_room(now, pool, size)?).then_some(Refusal::Room))
    }

    /// Who is expected to use a tag, skipped messages included.
    pub(super) fn expected_from(&self, tag: &Tag) -> Result<Option<ContactId>, StoreError> {
        match self.tags.get(tag) {
            Some(expected) => Ok(Some(expected.contact())),
            None => Ok(self.store.find_skipped(tag)?.map(|row| row.contact)),
        }
    }

    pub(super) fn handle_stored(&mut self, now: Now, link: LinkId, ids: &[ShortId]) -> Result<(), Fault> {
        for short in ids {
            let Some(state) = self.links.get_mut(&link) else { return Ok(()) };
            let sent = state.answered(short).ok_or(Breach)?;
            let by_contact = state.peer.contact();
            if state.known.get(&sent.id) == Some(&Given::Again) {
                continue;
            }
            state.last_useful = now.mono;
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

    pub(super) fn handle_refused(&mut self, now: Now, link: LinkId, refusals: &[(ShortId, Refusal)]) -> Result<(), Fault> {
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
                None if state.asked.remove(short) => {
                    if state.asked.is_empty() {
                        state.asked_since = None;
                    }
                }
                None => return Err(Breach.into()),
            }
        }
        self.busy_links.insert(link);
        self.answer_waiting_offers(now);
        Ok(())
    }

    pub(super) fn handle_acks(&mut self, now: Now, link: LinkId, secrets: &[[u8; 16]]) -> Result<(), StoreError> {
        for secret in secrets {
            // A secret that fits nothing held or dropped is ignored and never passed on.
            let mut learnt = Vec::new();
            for id in self.holdings.with_commitment(&commitment(secret), MAX_ACKED_AT_ONCE) {
                learnt.extend(self.let_go(now, &id, *secret)?);
            }
            self.tell_ack(*secret, &learnt, Some(link));
        }
        Ok(())
    }

    /// Notes that a bundle was read, and tells everybody.
    pub(super) fn learn_ack(&mut self, now: Now, id: &BundleId, secret: [u8; 16]) -> Result<(), StoreError> {
        let learnt = self.let_go(now, id, secret)?;
        self.tell_ack(secret, learnt.as_slice(), None);
        Ok(())
    }

    /// Lets a bundle go because it was read; its id stays, with the secret that proves it. Returns whose it was if that is news.
    fn let_go(&mut self, now: Now, id: &BundleId, secret: [u8; 16]) -> Result<Option<Origin>, StoreError> {
        let hour = self.hour(now);
        let Some(origin) = self.holdings.origin_of(id) else { return Ok(None) };
        let removed = self.holdings.remove(self.store.as_mut(), id, Some((GoneReason::Acknowledged, secret, hour)))?;
        let learnt = removed.is_some() || self.holdings.acknowledge_dropped(self.store.as_mut(), id, secret, hour)?;
        if self.acks.remove(id).is_some() {
            self.store.delete_ack(id)?;
        }
        if !learnt {
            return Ok(None);
        }
        if let Some(row) = &removed {
            for link in self.links.values_mut().filter(|link| matches!(link.scope, Scope::Between(_))) {
                link.set.remove(row.created, id);
            }
        }
        if let Origin::Own(contact) = origin {
            self.note_reply_read(contact, id);
        }
        // Only its reader could have told: that is a receipt, whoever brings it.
        if let Origin::Own(contact) = origin
            && let Some(number) = self.pair(contact).and_then(|pair| pair.by_bundle.get(id).copied())
        {
            self.close_delivered(now, contact, number)?;
        }
        Ok(Some(origin))
    }

    /// Tells a secret once to everybody who may learn that bundles of these origins were read.
    fn tell_ack(&mut self, secret: [u8; 16], origins: &[Origin], from: Option<LinkId>) {
        for (other, link) in &mut self.links {
            let told = match link.scope {
                Scope::Everything => !origins.is_empty(),
                Scope::Between(contact) => origins.iter().any(|origin| is_between(*origin, contact)),
                Scope::Nothing => false,
            };
            if told && link.live && link.is_open() && Some(*other) != from {
                link.acks.push(secret);
                self.busy_links.insert(*other);
            }
        }
    }

    /// Whether a bundle is an own one that is held back, and this peer was not shown it: it is treated as unknown.
    fn is_hidden_from(&self, link: LinkId, id: &BundleId) -> bool {
        let Some(row) = self.holdings.row(id).filter(|_| !self.holdings.is_released(id)) else { return false };
        self.links.get(&link).is_some_and(|state| {
            let is_reader = state.peer.contact().is_some() && state.peer.contact() == reader_of(row);
            !is_reader && !state.let_in.contains(id) && !state.known.contains_key(id)
        })
    }

    pub(super) fn handle_mark(&mut self, link: LinkId, mark: Cursor) -> Result<(), Fault> {
        let Some(state) = self.links.get(&link) else { return Ok(()) };
        let Peer::Contact(contact) = state.peer else { return Err(Breach.into()) };
        if self.marks_count(state) {
            self.store.save_cursor(contact, mark)?;
        }
        Ok(())
    }

    /// Sends what a link has to send: answers, comparisons, offers, bundles, MARK; as much as its windows allow.
    pub(super) fn pump(&mut self, now: Now, link: LinkId) -> Result<(), StoreError> {
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
            records.extend(std::iter::from_fn(|| reconciler.poll_record()).map(Record::Ranges));
            state.fence_owed |= records.len() > before;
            if state.fence_owed && reconciler.is_done() {
                state.fence_owed = false;
                state.pings += 1;
                state.fence = state.pings;
                records.push(Record::Ping);
            }
        }
        while state.offers.len() < MAX_UNANSWERED_OFFERS && state.queue.len() < MAX_QUEUED && !state.backlog.is_empty() {
            let mut ids = Vec::new();
            while ids.len() < MAX_RECORD_IDS
                && let Some(id) = state.backlog.pop()
            {
                if !state.known.contains_key(&id) && !state.queue.contains(&id) && self.holdings.row(&id).is_some() {
                    ids.push(id);
                }
            }
            if ids.is_empty() {
                continue;
            }
            state.offered.extend(&ids);
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
        let (mut gone, mut own) = (Vec::new(), Vec::new());
        while let Some(id) = state.queue.first() {
            let is_owed = state.owed.contains(&id);
            let Some(row) = self.holdings.row(&id).filter(|_| is_owed || !state.known.contains_key(&id)) else {
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
            let short = state.shorts.short(&id);
            state.owed.remove(&id);
            let given = if matches!(state.known.get(&id), Some(Given::Once | Given::Again)) { Given::Again } else { Given::Once };
            state.known.insert(id, given);
            if state.in_flight.insert(short, InFlight { id, size }).is_none() {
                state.in_flight_bytes += size;
            }
            if let Origin::Own(reader) = row.origin {
                own.push((reader, id));
            }
            let age = row.age.saturating_add(hour.0.saturating_sub(row.stored.0).try_into().unwrap_or(u16::MAX));
            let record = Record::Bundle { age: if row.stored == Hour::UNKNOWN { row.age } else { age }, copies: COPIES_UNLIMITED, bytes };
            self.outputs.push_back(Output::Transmit { link, record: record.encode() });
        }
        // What was picked and let go since: the peer waits for it no longer.
        for refusals in gone.chunks(MAX_RECORD_IDS) {
            self.transmit(link, &Record::Refused(refusals.to_vec()));
        }
        own.into_iter().try_for_each(|(reader, id)| self.note_left(now, reader, &id))
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

/// Longest time that a bundle of a stranger may still have to live: a fortnight, and what clocks may differ (protocol review, H5).
const STRANGERS_LIFETIME_HOURS: u32 = Lifetime::Fortnight.hours() + CREATED_AHEAD_HOURS;

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
