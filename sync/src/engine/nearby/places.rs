//! How links are kept for people nearby: in a full room those who want to choose each other must get linked, and stay so.
//!
//! While the window is open, a newcomer without a place may *visit*: up to [`MAX_VISITORS`] links of a transport have no place and need
//! none, as long as their peers take part. Who does not say HERE soon goes on to where every stranger goes. A peer that our person has chosen
//! visits from then on, so that nobody takes its place from it; a person chooses few.

use std::time::Duration;

use hedgerow_transports::{LinkId, TransportKind, Wanted};

use super::super::{
    Engine, Timer,
    config::{MAX_VISITORS, NEARBY_HERE_WITHIN},
    link::LinkState,
};
use crate::time::{Instant, Now};

/// What a link is to those nearby.
#[derive(Default)]
pub(in super::super) struct LinkNearby {
    /// HERE went out, and GONE has not.
    pub(super) told: bool,
    /// END went out, and the other's has not come.
    pub(super) awaits_end: bool,
    /// Steps that have come.
    pub(super) steps: u16,
    /// It has no place and needs none.
    pub(in super::super) visits: bool,
}

impl Engine {
    /// Lets a link in for which there is no place, if our window is open and there is room; `false` if not.
    pub(in super::super) fn let_visit(&mut self, now: Now, link: LinkId) -> bool {
        let Some(kind) = self.links.get(&link).filter(|_| self.nearby.is_open()).map(|state| state.properties.kind) else { return false };
        let visitors = self.visitors(kind);
        if visitors.len() >= MAX_VISITORS {
            // Who has been asked for longest and does not take part.
            let Some(&(idle, _)) = visitors.iter().filter(|(link, _)| !self.takes_part(*link)).min_by_key(|(link, at)| (*at, *link)) else {
                return false;
            };
            self.dismiss(now, idle);
        }
        self.host(link);
        self.wait_nearby(now, NEARBY_HERE_WITHIN);
        true
    }

    /// Makes a link need no place.
    pub(super) fn host(&mut self, link: LinkId) {
        if let Some(state) = self.links.get_mut(&link) {
            state.nearby.visits = true;
        }
    }

    /// Gives visitors places who have no reason to visit any more, or lets them go.
    pub(super) fn settle_visitors(&mut self, now: Now) {
        let open = self.nearby.is_open();
        let over = |link: LinkId, state: &LinkState| {
            let waits = now.mono.since(state.opened) < NEARBY_HERE_WITHIN;
            state.nearby.visits && state.is_open() && !self.is_engaged(link) && !(open && (waits || self.takes_part(link)))
        };
        for link in self.links.iter().filter(|(link, state)| over(**link, state)).map(|(link, _)| *link).collect::<Vec<_>>() {
            self.dismiss(now, link);
        }
    }

    /// Until when a link is not to be closed that would be closed now as of no use.
    pub(in super::super) fn nearby_keeps(&self, now: Now, link: LinkId) -> Option<Instant> {
        let window = self.nearby.window.map(|(ends, _)| ends).filter(|ends| *ends > now.mono && self.takes_part(link));
        let engaged = self.is_engaged(link).then(|| now.mono + self.config.nearby_answer);
        window.max(engaged)
    }

    /// Whether links that end now say nothing of whether others like them would be of use.
    pub(in super::super) const fn looks_for_people(&self) -> bool {
        self.nearby.is_open()
    }

    /// More are dialled while the window is open.
    pub(in super::super) fn wanted_nearby(&self, kind: TransportKind, wanted: Wanted) -> Wanted {
        if !self.nearby.is_open() {
            return wanted;
        }
        let more = MAX_VISITORS.saturating_sub(self.visitors(kind).len());
        Wanted { neighbours: wanted.neighbours.max(more), contacts: true }
    }

    /// Comes back after `span`.
    pub(super) fn wait_nearby(&mut self, now: Now, span: Duration) {
        self.timers.insert((now.mono + span, Timer::Nearby));
    }

    fn dismiss(&mut self, now: Now, link: LinkId) {
        if let Some(state) = self.links.get_mut(&link) {
            state.nearby.visits = false;
        }
        if !self.seat(now, link) {
            self.give_way(link);
        }
    }

    fn visitors(&self, kind: TransportKind) -> Vec<(LinkId, Instant)> {
        let visits = |state: &LinkState| state.nearby.visits && state.is_open() && state.properties.kind == kind;
        self.links.iter().filter(|(_, state)| visits(state)).map(|(link, state)| (*link, state.opened)).collect()
    }

    fn takes_part(&self, link: LinkId) -> bool {
        self.nearby.peers.values().any(|peer| peer.link == Some(link) && peer.here)
    }

    fn is_engaged(&self, link: LinkId) -> bool {
        self.nearby.peers.values().any(|peer| peer.link == Some(link) && peer.is_engaged())
    }
}
