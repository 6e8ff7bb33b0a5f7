//! A bundle comes: it is judged, stored, routed on, and opened if it is expected (docs/protocol.md, section 4).
//!
//! A contact's is opened at once. A stranger's is opened in a later batch, a few at a time, so that neither the answer nor the time it takes
//! tells whether somebody here can read it.

use hedgerow_transports::{Direction, LinkId};

use super::super::{
    Engine, Timer,
    config::MAX_OPENED_AT_ONCE,
    holdings::Known,
    link::Peer,
    pools::Pool,
    records::{Breach, Fault},
    relay::{Copies, Kind, Side},
    routing::Scope,
};
use crate::{
    id::{BundleId, ContactId, Tag},
    store::{GoneReason, Origin, StoreError},
    time::{Hour, Now},
    wire::{
        bundle::{Bundle, CREATED_AHEAD_HOURS, Lifetime},
        record::{Record, Refusal},
    },
};

/// After this a timer comes in another batch than the present one.
const NEXT_BATCH: std::time::Duration = std::time::Duration::from_millis(1);

/// Longest time that a bundle of a stranger may still have to live: a fortnight, and what clocks may differ (protocol review, H5).
const STRANGERS_LIFETIME_HOURS: u32 = Lifetime::Fortnight.hours() + CREATED_AHEAD_HOURS;

impl Engine {
    pub(in super::super) fn handle_bundle(&mut self, now: Now, link: LinkId, age: u16, copies: u8, bytes: Vec<u8>) -> Result<(), Fault> {
        let hour = self.hour(now);
        let id = BundleId::of(&bytes);
        let Some(state) = self.links.get_mut(&link) else { return Ok(()) };
        let short = state.shorts.short(&id);
        state.asked.remove(&short);
        let (peer, scope) = (state.peer, state.scope);
        if peer == Peer::Stranger && scope == Scope::Nothing {
            // HELLO has said that nothing is carried for strangers.
            self.transmit(link, &Record::Refused(vec![(short, Refusal::NotCarried)]));
            return Err(Breach.into());
        }
        self.busy_links.insert(link);
        let size = bytes.len() as u64;
        let verdict = match Bundle::decode_as(id, bytes) {
            Ok(bundle) => self.judge_bundle(now, link, &bundle, copies)?.map_or(Ok(bundle), Err),
            Err(_) => Err(Refusal::Malformed),
        };
        let ack = self.ack_for(link, hour, &id);
        let Some(state) = self.links.get_mut(&link) else { return Ok(()) };
        state.acks.extend(ack);
        let bundle = match verdict {
            Ok(bundle) => bundle,
            Err(refusal) => {
                state.refused.push((short, refusal));
                return Ok(());
            }
        };
        let (kind, direction) = (state.properties.kind, state.properties.direction);
        state.stored.push(short);
        state.note_known(id);
        if state.asked.is_empty() {
            state.asked_since = None;
        }
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
        let taken = self.copies_taken(peer, &bundle, copies);
        self.holdings.insert(self.store.as_mut(), &bundle, origin, age, hour)?;
        if let Some(taken) = taken {
            self.holdings.set_copies(self.store.as_mut(), &id, taken)?;
        }
        if let Some(state) = self.links.get_mut(&link) {
            state.last_useful = now.mono;
            // Only what is new here is worth another wait.
            state.asked_since = state.asked_since.map(|_| now.mono);
        }
        self.route_new(now, &id, Some(link));
        match peer {
            Peer::Contact(_) => self.open_bundle(now, bundle, None)?,
            // In the next batch, so that the answer to a stranger takes no longer where the bundle can be opened.
            Peer::Invited(_) | Peer::Stranger => self.open_later(now, id),
        }
        Ok(())
    }

    /// Why a bundle is not taken from this peer, if it isn't. What a stranger is answered depends on nothing but what any carrier knows.
    fn judge_bundle(&mut self, now: Now, link: LinkId, bundle: &Bundle, copies: u8) -> Result<Option<Refusal>, StoreError> {
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
        if !from_sender {
            let (created, expiry) = (bundle.header().created, bundle.header().expiry().filter(|_| hour != Hour::UNKNOWN));
            let left = expiry.map_or(bundle.header().lifetime.hours(), |expiry| expiry.0.saturating_sub(hour.0));
            // Without an hour too: what nobody would take from here would only mark this node.
            let too_long = peer.contact().is_none() && left > STRANGERS_LIFETIME_HOURS;
            let ahead = hour != Hour::UNKNOWN && created > hour.plus(CREATED_AHEAD_HOURS);
            if expiry.is_some_and(|expiry| expiry <= hour) || ahead || too_long {
                return Ok(Some(Refusal::Time));
            }
        }
        if self.copies_taken(peer, bundle, copies).is_none() {
            return Ok(Some(Refusal::Unwanted));
        }
        let pool = match peer {
            Peer::Contact(contact) => {
                if self.lacks_room(contact, scope, bundle) {
                    return Ok(Some(Refusal::Room));
                }
                Pool::Contact(contact)
            }
            Peer::Invited(_) | Peer::Stranger => {
                if self.buckets.available(now.mono, kind, direction, &self.config) < size {
                    return Ok(Some(Refusal::Room));
                }
                if direction == Direction::Inbound { Pool::Inbound } else { Pool::Outbound }
            }
        };
        Ok((!self.make_room(now, pool, size)?).then_some(Refusal::Room))
    }

    /// How many copies of a bundle are taken of those that come with it; `None` if it is not taken with so few.
    fn copies_taken(&self, peer: Peer, bundle: &Bundle, copies: u8) -> Option<Copies> {
        let kind = Kind::of(bundle.bytes().len() as u16, bundle.header().class);
        let from = if peer.contact().is_some() { Side::Contact } else { Side::Stranger };
        self.config.relay.take(kind, copies, from)
    }

    /// Who is expected to use a tag, skipped messages included.
    pub(in super::super) fn expected_from(&self, tag: &Tag) -> Result<Option<ContactId>, StoreError> {
        match self.tags.get(tag) {
            Some(expected) => Ok(Some(expected.contact())),
            None => Ok(self.store.find_skipped(tag)?.map(|row| row.contact)),
        }
    }

    /// Has a bundle opened in the next batch, if it is expected.
    pub(in super::super) fn open_later(&mut self, now: Now, id: BundleId) {
        self.to_open.push((self.batch, id));
        self.timers.insert((now.mono, Timer::Open));
    }

    /// Opens what waits from earlier batches.
    pub(in super::super) fn open_waiting(&mut self, now: Now) -> Result<(), StoreError> {
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
            // Chunks were counted with their manifest.
            if self.is_flooding(sender) && !self.is_expected_chunk(&id) {
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
    pub(in super::super) fn open_all_expected(&mut self, now: Now) -> Result<(), StoreError> {
        let mut expected: Vec<BundleId> = self.holdings.rows().filter(|row| self.tags.contains_key(&row.tag)).map(|row| row.id).collect();
        // What was stored and overtaken before it could be opened comes under a tag of skipped keys.
        self.store.visit_skipped(&mut |tag| expected.extend(self.holdings.with_tag(&tag)))?;
        expected.into_iter().for_each(|id| self.open_later(now, id));
        Ok(())
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
