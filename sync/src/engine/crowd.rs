//! How many links there are and to whom (docs/design/007-crowd.md): a crowd is not a full mesh.
//!
//! ```text
//!   of one transport's 12 places     contacts: all, if need be
//!                                    dialled strangers: 3, drawn anew every ten minutes or so
//!                                    strangers who dialled: 4
//!                                    pending links and repairs: 4, each once
//!   without a place, 36 at most      strangers who are shown nothing, for 30 s to 60 s
//! ```
//!
//! Contacts come first: one that is recognised takes the place of the least useful stranger. Links that are not open yet hold no place, so
//! that a newcomer is always recognised; one too many is closed right after, but for strangers who are shown nothing: if their sessions
//! ended at once where a contact's lives on, who fills the places would see who is a contact. Transports find neighbours and dial; what is
//! decided here is how many more to dial and which links end. Nothing of one neighbour is ever told to another.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use hedgerow_transports::{Direction, LinkId, TransportKind, Wanted};

use super::{
    Engine, Output, Timer,
    config::{CONTACT_STAYS, DIALLED_SHARE, INBOUND_SHARE, INVITED_SHARE, MAX_REFRESH_MEANS, OUTBOUND_SHARE, max_guests, max_links},
    link::{LinkState, Peer},
    routing::Scope,
};
use crate::{
    id::ContactId,
    time::{Instant, Now},
    wire::record::ByeReason,
};

/// What is kept of the crowd around us.
#[derive(Default)]
pub(super) struct Crowd {
    /// Transports that could dial somebody else.
    others: BTreeSet<TransportKind>,
    /// What each transport was told last.
    told: BTreeMap<TransportKind, Wanted>,
    /// The time of the next refresh is set.
    armed: bool,
}

impl Crowd {
    /// Notes whether a transport could dial somebody else.
    pub(super) fn note_others(&mut self, kind: TransportKind, others: bool) {
        if others {
            self.others.insert(kind);
        } else {
            self.others.remove(&kind);
        }
    }
}

/// Why a link has its place; the later, the better the reason.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Claim {
    /// A stranger's who dialled us.
    Inbound,
    /// A stranger's whom we dialled.
    Outbound,
    /// Somebody's who holds the pending link of this contact-to-be, or is to be repaired.
    Invited {
        /// Who.
        id: ContactId,
        /// A repair.
        repair: bool,
    },
    /// Anybody's at an address that the owner gave.
    Given,
    /// This contact's.
    Contact(ContactId),
}

impl Claim {
    const fn is_stranger(self) -> bool {
        matches!(self, Self::Inbound | Self::Outbound)
    }

    /// Claims of one rank don't displace each other; only contacts do, below.
    const fn rank(self) -> u8 {
        match self {
            Self::Inbound | Self::Outbound => 0,
            Self::Invited { .. } => 1,
            Self::Given => 2,
            Self::Contact(_) => 3,
        }
    }

    /// Whether this is one device's, as far as is known: its links count as one.
    const fn is_one(self) -> bool {
        matches!(self, Self::Invited { .. } | Self::Contact(_))
    }

    /// How many links of this kind of claim there may be among `places`.
    const fn share(self, places: usize) -> usize {
        match self {
            Self::Inbound => places / INBOUND_SHARE,
            Self::Outbound => places / OUTBOUND_SHARE,
            Self::Invited { repair: true, .. } => places / INVITED_SHARE,
            // One is kept for repairs.
            Self::Invited { repair: false, .. } => places / INVITED_SHARE - 1,
            Self::Given => places,
            Self::Contact(_) => usize::MAX,
        }
    }
}

/// A link as the holder of a place.
#[derive(Clone, Copy, Debug)]
struct Holder {
    link: LinkId,
    claim: Claim,
    carries: bool,
    /// Nothing is under way.
    idle: bool,
    useful: Instant,
    opened: Instant,
}

impl Holder {
    fn new(link: LinkId, state: &LinkState) -> Self {
        let properties = &state.properties;
        let claim = match (state.peer, properties.direction) {
            (Peer::Contact(contact), _) => Claim::Contact(contact),
            (Peer::Invited(id), _) if !state.ordinary => Claim::Invited { id, repair: state.repairing },
            (Peer::Invited(_) | Peer::Stranger, Direction::Inbound) => Claim::Inbound,
            (Peer::Invited(_) | Peer::Stranger, Direction::Outbound) if properties.dialled.is_none() => Claim::Given,
            (Peer::Invited(_) | Peer::Stranger, Direction::Outbound) => Claim::Outbound,
        };
        Self {
            link,
            claim,
            carries: state.hello.is_some_and(|hello| hello.carries),
            idle: state.is_idle(),
            useful: state.last_useful,
            opened: state.opened,
        }
    }
}

/// Where a newcomer goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    /// A place is free.
    Free,
    /// This link gives way.
    Of(LinkId),
    /// Nowhere.
    Nowhere,
}

/// The least useful: one that doesn't carry, then the one that has moved nothing for longest, then the newest *(policy)*.
fn least_useful(holders: impl Iterator<Item = Holder>) -> Option<LinkId> {
    holders
        .min_by_key(|holder| (holder.claim.rank(), holder.carries, holder.useful, Reverse((holder.opened, holder.link))))
        .map(|it| it.link)
}

/// How many places are taken. Two links to one device count as one: which of them stays is settled by HELLO.
fn taken<'a>(held: impl IntoIterator<Item = &'a Holder>) -> usize {
    let (one, each): (Vec<Claim>, Vec<Claim>) = held.into_iter().map(|holder| holder.claim).partition(|claim| claim.is_one());
    each.len() + one.into_iter().collect::<BTreeSet<_>>().len()
}

/// Finds a place for somebody who has just been recognised, or not.
fn place_for(claim: Claim, held: &[Holder], places: usize, now: Instant) -> Place {
    let alike = held.iter().filter(|holder| holder.claim == claim).count();
    if claim.is_one() && alike > 0 {
        return if alike == 1 { Place::Free } else { Place::Nowhere };
    }
    let of_kind = held.iter().filter(|holder| std::mem::discriminant(&holder.claim) == std::mem::discriminant(&claim));
    if taken(of_kind) >= claim.share(places) {
        return Place::Nowhere;
    }
    if taken(held) < places {
        return Place::Free;
    }
    let lower = || held.iter().copied().filter(|holder| holder.claim.rank() < claim.rank());
    // Where all places are contacts', one who comes anew would find none anywhere.
    let idle = |holder: &Holder| holder.claim.rank() == claim.rank() && holder.idle && now.since(holder.opened) >= CONTACT_STAYS;
    let rested = || held.iter().copied().filter(idle).filter(|_| matches!(claim, Claim::Contact(_)));
    least_useful(lower()).or_else(|| least_useful(rested())).map_or(Place::Nowhere, Place::Of)
}

/// Whom to dial while these places are held.
fn wanted(held: &[Holder], places: usize) -> Wanted {
    let dialled = held.iter().filter(|holder| holder.claim == Claim::Outbound).count();
    let strangers = Claim::Outbound.share(places).saturating_sub(dialled);
    let any = (places * 2 / DIALLED_SHARE).saturating_sub(taken(held));
    let firm = held.iter().filter(|holder| !holder.claim.is_stranger());
    Wanted { neighbours: strangers.min(any), contacts: taken(firm) < places }
}

impl Engine {
    /// Finds a place for a link that has just opened, at another's cost if need be; `false` if there is none and it was closed.
    pub(super) fn admit(&mut self, now: Now, link: LinkId) -> bool {
        if self.seat(now, link) {
            return true;
        }
        // Who holds the place of a pending link keeps nobody from it: the others are as good as strangers.
        if self.make_ordinary(link) && self.seat(now, link) {
            return true;
        }
        if self.let_visit(now, link) {
            return true;
        }
        self.give_way(link);
        false
    }

    /// Gives a link a place, or none if it needs none; `false` if there is none for it.
    pub(super) fn seat(&mut self, now: Now, link: LinkId) -> bool {
        let Some(state) = self.links.get(&link) else { return false };
        let (newcomer, kind) = (Holder::new(link, state), state.properties.kind);
        if self.is_guest(state, newcomer.claim) {
            self.bound_guests(kind);
            return true;
        }
        let held: Vec<Holder> = self.holders(kind).into_iter().filter(|holder| holder.link != link).collect();
        match place_for(newcomer.claim, &held, max_links(kind), now.mono) {
            Place::Free => {}
            Place::Of(other) => self.give_way(other),
            Place::Nowhere => return false,
        }
        if newcomer.claim.is_stranger() {
            self.arm_refresh(now);
        }
        true
    }

    /// Takes from a link the place of somebody who is invited; `false` if it has no such.
    fn make_ordinary(&mut self, link: LinkId) -> bool {
        let Some(state) = self.links.get_mut(&link) else { return false };
        matches!(state.peer, Peer::Invited(_)) && !std::mem::replace(&mut state.ordinary, true)
    }

    /// The time is up in which the holder of a pending link, or somebody to be repaired, is expected to bring what makes him a contact: from
    /// now on the link is a stranger's, and ends where such a one would have to. `false` if it has ended.
    pub(super) fn settle_invited(&mut self, now: Now, link: LinkId) -> bool {
        let least = self.config.useless_link.0;
        let Some(state) = self.links.get_mut(&link) else { return false };
        let busy_until = state.last_useful + least;
        if busy_until > now.mono {
            state.give_up = Some(busy_until);
            self.timers.insert((busy_until, Timer::Link(link)));
            return true;
        }
        state.give_up = None;
        if self.links.get(&link).is_none_or(|state| self.scope_for(state) == Scope::Nothing) {
            self.note_useless(now, link);
            self.end_link(link, ByeReason::Closing);
            return false;
        }
        if self.make_ordinary(link) && !self.seat(now, link) {
            self.give_way(link);
            return false;
        }
        true
    }

    /// The other side has no place for us, or we have none for it: its transport is to try others first.
    pub(super) fn note_crowded(&mut self, link: LinkId) {
        let Some(properties) = self.links.get(&link).map(|state| state.properties) else { return };
        if let Some(beacon) = properties.dialled {
            self.outputs.push_back(Output::Crowded { kind: properties.kind, beacon });
        }
    }

    /// Somebody who is no contact and is shown nothing, or shows nothing, was linked for as long as such a link lasts: dialling it again at
    /// once would lead to the same. A link that ends earlier does so for another reason. What was dialled is known by the beacon that was
    /// dialled, and by no other: a stranger could name that of somebody else and cut him off.
    pub(super) fn note_useless(&mut self, now: Now, link: LinkId) {
        let least = self.config.useless_link.0;
        let is_useless = |state: &&LinkState| {
            state.is_open() && state.peer.contact().is_none() && state.scope == Scope::Nothing && now.mono.since(state.opened) >= least
        };
        let Some(properties) = self.links.get(&link).filter(is_useless).map(|state| state.properties) else { return };
        if self.looks_for_people() {
            return;
        }
        if let Some(beacon) = properties.dialled {
            self.outputs.push_back(Output::Useless { kind: properties.kind, beacon });
        }
    }

    /// Lets transports look at everybody again, because a link was taken up whose maker may be among those who were passed over.
    pub(super) fn look_anew(&mut self) {
        self.outputs.extend(self.beacons.keys().copied().map(Output::LookAnew));
    }

    pub(super) fn give_way(&mut self, link: LinkId) {
        self.note_crowded(link);
        self.end_link(link, ByeReason::Crowded);
    }

    /// Whether a link holds no place, because it leads to somebody who is shown nothing and ends by itself.
    fn is_guest(&self, state: &LinkState, claim: Claim) -> bool {
        !claim.is_one() && self.scope_for(state) == Scope::Nothing
    }

    /// The open links of a transport: those that hold a place, and those that hold none.
    fn seated(&self, kind: TransportKind) -> (Vec<Holder>, Vec<Holder>) {
        let (mut held, mut guests) = (Vec::with_capacity(self.links.len()), Vec::new());
        for (link, state) in &self.links {
            if state.is_open() && state.properties.kind == kind && !state.nearby.visits {
                let holder = Holder::new(*link, state);
                let place = if self.is_guest(state, holder.claim) { &mut guests } else { &mut held };
                place.push(holder);
            }
        }
        (held, guests)
    }

    fn holders(&self, kind: TransportKind) -> Vec<Holder> {
        self.seated(kind).0
    }

    /// Ends the oldest link that holds no place, where there are too many.
    fn bound_guests(&mut self, kind: TransportKind) {
        let guests = self.seated(kind).1;
        if guests.len() > max_guests(kind)
            && let Some(oldest) = guests.iter().min_by_key(|holder| (holder.opened, holder.link)).map(|holder| holder.link)
        {
            self.end_link(oldest, ByeReason::Closing);
        }
    }

    /// Tells transports whom to dial, where that has changed.
    pub(super) fn tell_wanted(&mut self) {
        for kind in self.beacons.keys().copied().collect::<Vec<_>>() {
            let (mut held, guests) = self.seated(kind);
            // Of strangers whom we dialled there are enough at a time, with places or without; who dials us does not keep us from dialling.
            held.extend(guests.into_iter().filter(|holder| holder.claim == Claim::Outbound));
            let wanted = self.wanted_nearby(kind, wanted(&held, max_links(kind)));
            if self.crowd.told.insert(kind, wanted) != Some(wanted) {
                self.outputs.push_back(Output::Wanted { kind, wanted });
            }
        }
    }

    fn arm_refresh(&mut self, now: Now) {
        if !std::mem::replace(&mut self.crowd.armed, true) {
            let mean = self.config.refresh_after;
            let after = self.exponential(mean, mean * MAX_REFRESH_MEANS);
            self.timers.insert((now.mono + after, Timer::Refresh));
        }
    }

    /// Lets one stranger go whom we dialled, and one who dialled us, where all their places are taken and there are others: so the view
    /// stays random, contacts in the crowd are found, and nobody holds a place for good. Whoever is let go may come again.
    pub(super) fn refresh_view(&mut self, now: Now) {
        self.crowd.armed = false;
        for kind in self.crowd.others.iter().copied().collect::<Vec<_>>() {
            for claim in [Claim::Outbound, Claim::Inbound] {
                let held = self.holders(kind);
                let alike: Vec<Holder> = held.iter().copied().filter(|holder| holder.claim == claim).collect();
                if held.len() > 1
                    && alike.len() >= claim.share(max_links(kind))
                    && let Some(link) = least_useful(alike.into_iter())
                {
                    self.give_way(link);
                }
            }
        }
        if self.links.values().any(|state| state.is_open() && state.peer.contact().is_none()) {
            self.arm_refresh(now);
        }
    }
}

#[cfg(test)]
mod tests;
