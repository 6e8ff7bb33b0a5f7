//! What is shown and sent to whom: the one place where relaying is decided (docs/design/006-carrying.md; design brief, 4.4).
//!
//! Blind to destinations: but for its reader, if it is in reach, every peer is shown the same. Own bundles are held back at first, so that
//! who sees one come from here does not see who wrote it.

use std::time::Duration;

use hedgerow_transports::LinkId;
use rand_core::Rng;

use super::{
    Engine, Timer,
    config::MAX_STEM_CHANGES,
    holdings::{Holdings, expiry_of, is_between, reader_of},
    link::{LinkState, Peer},
    relay::{Candidate, Rank, Side},
};
use crate::{
    id::{BundleId, ContactId},
    reconcile::ItemSet,
    store::{BundleRow, GoneReason, Origin},
    time::{Hour, Instant, Now},
};

/// What a link's peer is shown; settled by both HELLOs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Scope {
    /// Every bundle that is not held back.
    Everything,
    /// What goes between this contact and us.
    Between(ContactId),
    /// Nothing.
    Nothing,
}

/// The link that is offered own bundles before all others.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stem {
    peer: StemPeer,
    since: Instant,
    changes: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum StemPeer {
    Contact(ContactId),
    Link(LinkId),
}

/// The place of a bundle among those that wait for a link to this peer, as the relay policy has it.
pub(super) fn rank(holdings: &Holdings, row: &BundleRow, peer: Peer, asked: bool) -> Rank {
    let for_peer = peer.contact().is_some() && peer.contact() == reader_of(row);
    holdings.relay().rank(&Candidate { row, for_peer, asked, turn: holdings.turn_of(&row.id) })
}

/// Who a peer is, as far as copies of a bundle are concerned.
pub(super) fn side(row: &BundleRow, peer: Peer) -> Side {
    match peer.contact() {
        Some(contact) if reader_of(row) == Some(contact) => Side::Reader,
        Some(_) => Side::Contact,
        None => Side::Stranger,
    }
}

impl Engine {
    /// What this node would show a peer on this link, whatever the peer does.
    pub(super) fn scope_for(&self, state: &LinkState) -> Scope {
        let metered = state.properties.metered;
        match state.peer {
            Peer::Contact(_) if self.policy.carries(metered) => Scope::Everything,
            Peer::Contact(contact) => Scope::Between(contact),
            Peer::Invited(_) | Peer::Stranger if self.policy.carries_for_strangers(metered) => Scope::Everything,
            Peer::Invited(_) | Peer::Stranger => Scope::Nothing,
        }
    }

    /// Settles what a peer is shown, once both sides have said whether they carry.
    pub(super) fn settle_scope(&mut self, link: LinkId) {
        let Some(state) = self.links.get(&link) else { return };
        let carries = state.hello.is_some_and(|hello| hello.carries);
        let scope = match (self.scope_for(state), state.peer) {
            (Scope::Everything, Peer::Contact(contact)) if !carries => Scope::Between(contact),
            (Scope::Everything, _) if !carries => Scope::Nothing,
            (scope, _) => scope,
        };
        let set = self.own_set(scope);
        if let Some(state) = self.links.get_mut(&link) {
            state.scope = scope;
            state.set = set;
        }
    }

    /// The set of a session that does not use one of the shared ones.
    fn own_set(&self, scope: Scope) -> ItemSet {
        let mut set = ItemSet::new();
        if let Scope::Between(contact) = scope {
            for row in self.holdings.rows().filter(|row| is_between(row.origin, contact)) {
                set.insert(row.created, row.id, expiry_of(row), true);
            }
            for gone in self.holdings.gone_with(contact).filter(|gone| gone.reason == GoneReason::Dropped) {
                set.insert(gone.created, gone.id, Some(gone.expiry), false);
            }
        }
        set
    }

    /// Whether a peer may have a bundle that it asks for.
    pub(super) fn shows(&self, state: &LinkState, id: &BundleId) -> bool {
        let Some(row) = self.holdings.row(id) else { return false };
        if !self.config.relay.hands_on(row, side(row, state.peer)) {
            return false;
        }
        match state.scope {
            Scope::Everything => self.holdings.is_released(id) || state.let_in.contains(id),
            Scope::Between(contact) => is_between(row.origin, contact),
            Scope::Nothing => false,
        }
    }

    /// The ack secret of an id that this peer names, if it may learn that the bundle was read.
    pub(super) fn ack_for(&self, link: LinkId, hour: Hour, id: &BundleId) -> Option<[u8; 16]> {
        let ack = self.holdings.ack_of(id)?;
        let state = self.links.get(&link)?;
        let told = match (state.scope, state.peer) {
            (Scope::Everything, Peer::Contact(_)) => true,
            (Scope::Everything, _) => self.holdings.is_told_to_strangers(id, hour),
            (Scope::Between(contact), _) => self.holdings.origin_of(id).is_some_and(|origin| is_between(origin, contact)),
            (Scope::Nothing, _) => false,
        };
        told.then_some(ack)
    }

    /// Schedules a bundle that is new here, and came on `from` if it was not sealed here.
    pub(super) fn route_new(&mut self, now: Now, id: &BundleId, from: Option<LinkId>) {
        let Some(row) = self.holdings.row(id).cloned() else { return };
        let slot = self.holdings.slot_of(id);
        for link in self.links.values_mut() {
            if let Some(slot) = slot {
                link.names.note(&link.shorts, slot, id);
            }
            if matches!(link.scope, Scope::Between(contact) if is_between(row.origin, contact)) {
                link.set.insert(row.created, row.id, expiry_of(&row), true);
            }
        }
        if let Origin::Own(reader) = row.origin {
            // Whoever brought what this may answer is perhaps the stem: by an answer at once it would see whose that was.
            let has_stem = !self.answered.contains(&reader);
            self.hold_back(now, &row, has_stem);
            self.push_to(reader, &row);
            if has_stem
                && row.created != Hour::UNKNOWN
                && let Some(stem) = self.stem_link(now)
            {
                self.offer_on(stem, &row);
            }
        } else {
            self.offer_to_all(&row, from);
        }
    }

    /// Pushes a bundle to its reader where it is in reach.
    fn push_to(&mut self, reader: ContactId, row: &BundleRow) {
        for (id, link) in &mut self.links {
            if link.is_open() && link.hello.is_some() && link.peer == Peer::Contact(reader) {
                link.push(rank(&self.holdings, row, link.peer, false), row.id);
                self.busy_links.insert(*id);
            }
        }
    }

    fn offer_on(&mut self, link: LinkId, row: &BundleRow) {
        let Some(state) = self.links.get_mut(&link) else { return };
        if !self.holdings.is_released(&row.id) {
            state.let_in.insert(row.id);
        }
        state.offer(rank(&self.holdings, row, state.peer, false), row.id);
        self.busy_links.insert(link);
    }

    fn offer_to_all(&mut self, row: &BundleRow, except: Option<LinkId>) {
        for (id, link) in &mut self.links {
            if link.live && link.is_open() && link.scope == Scope::Everything && Some(*id) != except {
                // Who was asked for it as well is told first that it need not send it.
                let is_asked = link.asked.contains(&link.shorts.short(&row.id));
                link.offer(rank(&self.holdings, row, link.peer, is_asked), row.id);
                self.busy_links.insert(*id);
            }
        }
    }

    /// Draws when an own bundle is released to all, and notes whether the stem may have it before.
    fn hold_back(&mut self, now: Now, row: &BundleRow, has_stem: bool) {
        // One without a created hour is rare and so linkable: only its reader gets it (design brief, 4.2).
        if row.created == Hour::UNKNOWN {
            return;
        }
        if !has_stem {
            self.without_stem.insert(row.id);
        }
        let (mean, most) = self.config.own_delay;
        let at = now.mono + self.exponential(mean, most);
        self.releases.insert((at, row.id));
        self.set_release_timer();
    }

    fn set_release_timer(&mut self) {
        let Some((at, _)) = self.releases.first() else { return };
        if !self.timers.iter().any(|(due, timer)| *timer == Timer::Release && due <= at) {
            self.timers.insert((*at, Timer::Release));
        }
    }

    /// What was sealed lately before a restart is held back anew, and offered to no stem: nobody knows any more which of it answers what
    /// somebody brought.
    pub(super) fn hold_back_again(&mut self, now: Now) {
        let rows: Vec<BundleRow> = self.holdings.held_back().cloned().collect();
        rows.iter().for_each(|row| self.hold_back(now, row, false));
    }

    /// Releases the own bundles that are due.
    pub(super) fn release_due(&mut self, now: Now) {
        while let Some((_, id)) = self.releases.first().copied().filter(|(at, _)| *at <= now.mono) {
            self.releases.pop_first();
            self.release(&id);
        }
        self.set_release_timer();
    }

    /// Lets everybody see an own bundle from now on.
    pub(super) fn release(&mut self, id: &BundleId) {
        self.without_stem.remove(id);
        if self.holdings.release(id)
            && let Some(row) = self.holdings.row(id).cloned()
        {
            self.offer_to_all(&row, None);
        }
    }

    /// Offers a bundle that may be handed on again, if it is shown to everybody.
    pub(super) fn offer_again(&mut self, id: &BundleId) {
        if let Some(row) = self.holdings.row(id).filter(|_| self.holdings.is_released(id)).cloned() {
            self.offer_to_all(&row, None);
        }
    }

    /// A link is live: its peer gets what is held back, if it is its reader or the stem.
    pub(super) fn offer_held_back(&mut self, now: Now, link: LinkId) {
        let Some(peer) = self.links.get(&link).map(|state| state.peer) else { return };
        let rows: Vec<BundleRow> = self.holdings.held_back().cloned().collect();
        if rows.is_empty() {
            return;
        }
        let is_stem = self.stem_link(now) == Some(link);
        for row in &rows {
            let is_reader = peer.contact().is_some() && peer.contact() == reader_of(row);
            // Offered even to its reader, who may have it from an earlier session.
            if is_reader || (is_stem && row.created != Hour::UNKNOWN && !self.without_stem.contains(&row.id)) {
                self.offer_on(link, row);
            }
        }
    }

    /// The one link that own bundles are offered on at once: kept for an hour, and chosen again only so often if it ends; a contact is
    /// always taken in place of a stranger.
    fn stem_link(&mut self, now: Now) -> Option<LinkId> {
        if !self.config.has_stem() {
            return None;
        }
        let may = |state: &LinkState| state.live && state.is_open() && state.scope == Scope::Everything;
        let contacts: Vec<(LinkId, ContactId)> =
            self.links.iter().filter(|(_, state)| may(state)).filter_map(|(id, state)| Some((*id, state.peer.contact()?))).collect();
        let kept = self.stem.filter(|stem| now.mono.since(stem.since) < self.config.stem_for);
        if let Some(stem) = kept {
            let link = match stem.peer {
                StemPeer::Contact(contact) => contacts.iter().find(|(_, id)| *id == contact).map(|(link, _)| *link),
                StemPeer::Link(link) => self.links.get(&link).filter(|state| may(state) && contacts.is_empty()).map(|_| link),
            };
            if link.is_some() {
                return link;
            }
        }
        let changes = kept.map_or(0, |stem| stem.changes.saturating_add(1));
        let since = kept.map_or(now.mono, |stem| stem.since);
        let (peer, link) = match choose(&contacts, &mut self.jitter) {
            Some(&(link, contact)) => (StemPeer::Contact(contact), link),
            None if changes > MAX_STEM_CHANGES => return None,
            None => {
                let strangers: Vec<LinkId> = self.links.iter().filter(|(_, state)| may(state)).map(|(id, _)| *id).collect();
                let link = *choose(&strangers, &mut self.jitter)?;
                (StemPeer::Link(link), link)
            }
        };
        self.stem = Some(Stem { peer, since, changes });
        Some(link)
    }

    /// Somebody hands over, or offers, what was sealed here and is still held back: it is known out there.
    pub(super) fn note_known_outside(&mut self, id: &BundleId) {
        if self.holdings.row(id).is_some_and(|row| matches!(row.origin, Origin::Own(_))) {
            self.release(id);
        }
    }

    /// How long until an own bundle goes to everybody; `None` if it is not held back.
    pub(super) fn held_back_for(&self, now: Now, id: &BundleId) -> Option<Duration> {
        self.releases.iter().find(|(_, other)| other == id).map(|(at, _)| at.since(now.mono))
    }
}

/// One of several, at random.
fn choose<'a, T>(from: &'a [T], rng: &mut impl Rng) -> Option<&'a T> {
    let index = (u64::from(rng.next_u32()) * from.len() as u64) >> 32;
    from.get(index as usize)
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::*;
    use crate::{
        crypto::identity::Name,
        engine::{EngineConfig, create_profile},
        id::{Commitment, Tag},
        store::memory::MemoryStore,
        time::UnixMillis,
        wire::bundle::{Bundle, BundleHeader, Class, Lifetime},
    };

    const LONGEST: Duration = Duration::from_secs(300);

    /// An engine that has just opened what a contact-to-be sent and somebody else brought, by a clock that says so.
    fn answering(wall: UnixMillis) -> (Engine, Now, ContactId) {
        let now = Now { mono: Instant::ZERO, wall };
        let mut store = Box::new(MemoryStore::new());
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        create_profile(store.as_mut(), &Name::new("ann").unwrap(), &mut rng).unwrap();
        let mut engine = Engine::open(EngineConfig::default(), store, Box::new(rng), 1, now).unwrap();
        engine.begin().unwrap();
        let contact = engine.invite(now, 336).unwrap().unwrap().contact;
        engine.answered.insert(contact);
        (engine, now, contact)
    }

    fn bundle(created: Hour) -> Bundle {
        let [tag, commitment] = [[1; 16], [2; 16]];
        let header = BundleHeader {
            class: Class::Normal,
            lifetime: Lifetime::Fortnight,
            created,
            tag: Tag(tag),
            commitment: Commitment(commitment),
        };
        let mut bytes = header.encode().to_vec();
        bytes.resize(512, 7);
        Bundle::decode(bytes).unwrap()
    }

    #[test]
    fn what_has_no_stem_is_noted_until_it_is_released_and_not_where_it_never_is() {
        let (mut engine, now, contact) = answering(UnixMillis(1_795_327_200_000));
        engine.add_own_bundle(now, contact, &bundle(now.wall.hour())).unwrap();
        assert_eq!((engine.without_stem.len(), engine.releases.len()), (1, 1));
        engine.release_due(Now { mono: now.mono + LONGEST, ..now });
        assert_eq!((engine.without_stem.len(), engine.releases.len()), (0, 0));

        let (mut engine, now, contact) = answering(UnixMillis(0));
        assert_eq!(engine.hour(now), Hour::UNKNOWN);
        engine.add_own_bundle(now, contact, &bundle(Hour::UNKNOWN)).unwrap();
        assert_eq!((engine.without_stem.len(), engine.releases.len()), (0, 0));
    }
}
