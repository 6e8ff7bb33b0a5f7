//! How many links there are and to whom (docs/design/007-crowd.md): a crowd is not a full mesh.
//!
//! ```text
//!   of one transport's 12 places     contacts: all, if need be
//!                                    dialled strangers: 3, drawn anew every ten minutes or so
//!                                    strangers who dialled: 4
//! ```
//!
//! Contacts come first: one that is recognised takes the place of the least useful stranger. Links that are not open yet hold no place, so
//! that a newcomer is always recognised; one too many is closed right after. Transports find neighbours and dial; what is decided here is
//! how many more to dial and which links end. Nothing of one neighbour is ever told to another.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use hedgerow_transports::{Direction, LinkId, TransportKind, Wanted};

use super::{
    Engine, Output, Timer,
    config::{CONTACT_STAYS, DIALLED_SHARE, INBOUND_SHARE, INVITED_SHARE, MAX_REFRESH_MEANS, OUTBOUND_SHARE, max_links},
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
    /// Somebody's who holds a pending link, or is to be repaired.
    Invited,
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
            Self::Invited => 1,
            Self::Given => 2,
            Self::Contact(_) => 3,
        }
    }

    /// How many links of this claim there may be among `places`.
    const fn share(self, places: usize) -> usize {
        match self {
            Self::Inbound => places / INBOUND_SHARE,
            Self::Outbound => places / OUTBOUND_SHARE,
            Self::Invited => places / INVITED_SHARE,
            Self::Given | Self::Contact(_) => places,
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
            (Peer::Invited(_), _) => Claim::Invited,
            (Peer::Stranger, Direction::Inbound) => Claim::Inbound,
            (Peer::Stranger, Direction::Outbound) if properties.dialled.is_none() => Claim::Given,
            (Peer::Stranger, Direction::Outbound) => Claim::Outbound,
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

/// How many places are taken. Two links to one contact count as one: which of them stays is settled by HELLO.
fn taken(held: &[Holder]) -> usize {
    let contacts: BTreeSet<_> = held.iter().filter(|holder| holder.claim.rank() == 3).map(|holder| holder.claim).collect();
    held.iter().filter(|holder| holder.claim.rank() < 3).count() + contacts.len()
}

/// Finds a place for somebody who has just been recognised, or not.
fn place_for(claim: Claim, held: &[Holder], places: usize, now: Instant) -> Place {
    let alike = held.iter().filter(|holder| holder.claim == claim).count();
    if let Claim::Contact(_) = claim
        && alike > 0
    {
        return if alike == 1 { Place::Free } else { Place::Nowhere };
    }
    if alike >= claim.share(places) {
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
    let firm = held.iter().filter(|holder| !holder.claim.is_stranger()).copied().collect::<Vec<_>>();
    Wanted { neighbours: strangers.min(any), contacts: taken(&firm) < places }
}

impl Engine {
    /// Finds a place for a link that has just opened, at another's cost if need be; `false` if there is none and it was closed.
    pub(super) fn admit(&mut self, now: Now, link: LinkId) -> bool {
        let Some(newcomer) = self.links.get(&link).map(|state| Holder::new(link, state)) else { return false };
        let Some(kind) = self.links.get(&link).map(|state| state.properties.kind) else { return false };
        let held: Vec<Holder> = self.holders(kind).into_iter().filter(|holder| holder.link != link).collect();
        match place_for(newcomer.claim, &held, max_links(kind), now.mono) {
            Place::Free => {}
            Place::Of(other) => self.give_way(other),
            Place::Nowhere => {
                self.give_way(link);
                return false;
            }
        }
        if newcomer.claim.is_stranger() {
            self.arm_refresh(now);
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

    /// A stranger who is shown nothing, or shows nothing, was linked for as long as such a link lasts: dialling it again at once would lead to
    /// the same. A link that ends earlier does so for another reason. What was dialled is known by the beacon that was dialled, and by no
    /// other: a stranger could name that of somebody else and cut him off.
    pub(super) fn note_useless(&mut self, now: Now, link: LinkId) {
        let least = self.config.useless_link.0;
        let is_useless = |state: &&LinkState| {
            state.is_open() && state.peer == Peer::Stranger && state.scope == Scope::Nothing && now.mono.since(state.opened) >= least
        };
        let Some(properties) = self.links.get(&link).filter(is_useless).map(|state| state.properties) else { return };
        if let Some(beacon) = properties.dialled {
            self.outputs.push_back(Output::Useless { kind: properties.kind, beacon });
        }
    }

    /// Lets transports look at everybody again, because a link was taken up whose maker may be among those who were passed over.
    pub(super) fn look_anew(&mut self) {
        self.outputs.extend(self.beacons.keys().copied().map(Output::LookAnew));
    }

    fn give_way(&mut self, link: LinkId) {
        self.note_crowded(link);
        self.end_link(link, ByeReason::Crowded);
    }

    fn holders(&self, kind: TransportKind) -> Vec<Holder> {
        let holds = |state: &LinkState| state.is_open() && state.properties.kind == kind;
        self.links.iter().filter(|(_, state)| holds(state)).map(|(link, state)| Holder::new(*link, state)).collect()
    }

    /// Tells transports whom to dial, where that has changed.
    pub(super) fn tell_wanted(&mut self) {
        for kind in self.beacons.keys().copied().collect::<Vec<_>>() {
            let wanted = wanted(&self.holders(kind), max_links(kind));
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
        if self.links.values().any(|state| state.is_open() && state.peer == Peer::Stranger) {
            self.arm_refresh(now);
        }
    }
}

#[cfg(test)]
mod tests;
