//! Naming bundles: a peer's OFFER is answered with a PICK, ours is answered with one, and a WANT asks by id (docs/protocol.md, section 6).
//!
//! Every bit of a PICK and every WANT is answered, by the bundle, or by a REFUSED. An offer waits while another link may be about to bring the
//! same. What a stranger names and may not bring yet is kept, and asked for once there is room.

use hedgerow_transports::LinkId;

use super::super::{
    Engine, Timer,
    config::{MAX_UNANSWERED_OFFERS, MAX_VAIN_WANTS},
    holdings::Known,
    link::{LinkState, WaitingOffer},
    records::{Breach, Fault},
    routing::{Scope, rank},
};
use crate::{
    id::ShortId,
    store::GoneReason,
    time::Now,
    wire::record::{MAX_RECORD_IDS, Record, Refusal, bitmap_bit, encode_bitmap},
};

impl Engine {
    pub(in super::super) fn handle_offer(&mut self, now: Now, link: LinkId, batch: u16, ids: Vec<ShortId>) -> Result<(), Fault> {
        let Some(state) = self.links.get_mut(&link) else { return Ok(()) };
        if batch != state.next_peer_offer {
            return Err(Breach.into());
        }
        state.next_peer_offer = batch.wrapping_add(1);
        if state.waiting_offers.len() >= MAX_UNANSWERED_OFFERS {
            return Err(Breach.into());
        }
        if !state.waiting_offers.is_empty() || !state.may_ask(ids.len()) || self.others_bring(now, link) {
            let Some(state) = self.links.get_mut(&link) else { return Ok(()) };
            state.waiting_offers.push_back(WaitingOffer { since: now.mono, batch, ids });
            self.timers.insert((now.mono + self.config.offers_wait, Timer::Offers(link)));
            return Ok(());
        }
        self.answer_offer(now, link, batch, &ids);
        Ok(())
    }

    /// Whether another link owes bundles: what is offered here may be among them. One that has brought nothing new for as long as an offer
    /// waits is not waited for until it does.
    fn others_bring(&self, now: Now, link: LinkId) -> bool {
        let is_at_it = |state: &LinkState| state.asked_since.is_some_and(|since| now.mono.since(since) < self.config.offers_wait);
        self.links.iter().any(|(id, state)| *id != link && state.is_open() && !state.asked.is_empty() && is_at_it(state))
    }

    /// Answers offers that waited: all that are due, and those for which no other link is in the way any more; none of whose ids a contact
    /// may not be asked for yet.
    pub(in super::super) fn answer_waiting_offers(&mut self, now: Now) {
        let links: Vec<LinkId> = self.links.iter().filter(|(_, state)| !state.waiting_offers.is_empty()).map(|(id, _)| *id).collect();
        for link in links {
            while let Some(state) = self.links.get(&link)
                && let Some(offer) = state.waiting_offers.front()
                && state.may_ask(offer.ids.len())
                && (now.mono.since(offer.since) >= self.config.offers_wait || !self.others_bring(now, link))
            {
                let Some(offer) = self.links.get_mut(&link).and_then(|state| state.waiting_offers.pop_front()) else { break };
                self.answer_offer(now, link, offer.batch, &offer.ids);
            }
        }
    }

    fn answer_offer(&mut self, now: Now, link: LinkId, batch: u16, ids: &[ShortId]) {
        let hour = self.hour(now);
        let named = self.named(link, ids);
        let mut room = self.room_for_picks(now, link);
        let Some(state) = self.links.get(&link) else { return };
        let (scope, is_contact) = (state.scope, state.peer.contact().is_some());
        let (mut acks, mut wanted) = (Vec::new(), Vec::with_capacity(ids.len()));
        for (short, id) in ids.iter().zip(named) {
            let wants = match id.and_then(|id| self.holdings.known(&id).map(|known| (id, known))) {
                _ if scope == Scope::Nothing => false,
                // Picked as by anybody else: who is offered an own bundle that nobody should see yet does not have it.
                Some((id, Known::Held)) if self.is_hidden_from(link, &id) => true,
                Some((id, Known::Held)) => {
                    if let Some(state) = self.links.get_mut(&link) {
                        // It had it from another link before we came to send it.
                        if state.owed.remove(&id) {
                            state.refused.push((*short, Refusal::Unwanted));
                        }
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
        if let Some(state) = self.links.get_mut(&link) {
            state.acks.extend(acks);
        }
        self.flush_acks(link);
        self.transmit(link, &Record::Pick { batch, wanted: encode_bitmap(wanted.into_iter()) });
        self.busy_links.insert(link);
    }

    /// Asks a stranger for what it named and could not bring then, as far as there is room now.
    pub(in super::super) fn ask_put_off(&mut self, now: Now, link: LinkId) {
        if self.links.get(&link).is_none_or(|state| state.put_off.is_empty()) {
            return;
        }
        let room = self.room_for_picks(now, link);
        let mut wanted = Vec::new();
        while wanted.len() < room
            && let Some(state) = self.links.get_mut(&link).filter(|state| !state.put_off.is_empty())
        {
            let next: Vec<ShortId> = state.put_off.drain(..state.put_off.len().min(room - wanted.len())).collect();
            for (short, id) in next.iter().zip(self.named(link, &next)) {
                let is_known = id.is_some_and(|id| self.holdings.known(&id).is_some());
                if !is_known && self.links.get_mut(&link).is_some_and(|state| state.ask(now.mono, *short)) {
                    wanted.push(*short);
                }
            }
        }
        for ids in wanted.chunks(MAX_RECORD_IDS) {
            self.transmit(link, &Record::Want(ids.to_vec()));
        }
    }

    pub(in super::super) fn handle_pick(&mut self, now: Now, link: LinkId, batch: u16, wanted: &[u8]) -> Result<(), Fault> {
        let hour = self.hour(now);
        let Some(state) = self.links.get_mut(&link) else { return Ok(()) };
        let Some((expected, ids)) = state.offers.pop_front() else { return Err(Breach.into()) };
        if batch != expected || wanted.len() != ids.len().div_ceil(8) {
            return Err(Breach.into());
        }
        // Read since it was offered, and known to the peer: the ack that went out then may have come before the bundle, which was on its way
        // from somebody else, and fitted nothing there.
        let known = ids.iter().enumerate().filter(|(index, _)| !bitmap_bit(wanted, *index));
        let acks: Vec<[u8; 16]> = known.filter_map(|(_, id)| self.ack_for(link, hour, id)).collect();
        let Some(state) = self.links.get_mut(&link) else { return Ok(()) };
        state.acks.extend(acks);
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
        self.flush_acks(link);
        self.busy_links.insert(link);
        Ok(())
    }

    pub(in super::super) fn handle_want(&mut self, link: LinkId, ids: &[ShortId]) -> Result<(), Fault> {
        for (short, id) in ids.iter().zip(self.named(link, ids)) {
            let shown = id.filter(|id| self.links.get(&link).is_some_and(|state| self.shows(state, id)));
            let row = shown.and_then(|id| self.holdings.row(&id));
            let Some(state) = self.links.get_mut(&link) else { return Ok(()) };
            match row {
                Some(row) if state.owe(rank(&self.holdings, row, state.peer, true), row.id, short) => {}
                Some(_) | None => {
                    state.vain_wants += 1;
                    state.refused.push((*short, Refusal::Unwanted));
                }
            }
        }
        if self.links.get(&link).is_some_and(|state| state.vain_wants > MAX_VAIN_WANTS + self.holdings.slots().len()) {
            return Err(Breach.into());
        }
        self.busy_links.insert(link);
        Ok(())
    }
}
