//! One peer in the window, and how it shows.

use std::borrow::Cow;

use hedgerow_transports::{LinkId, TransportKind};

use crate::{
    crypto::{
        exchange::nearby::{Agreed, Asked, Committed},
        identity::Name,
    },
    id::ContactId,
    time::Instant,
    view::{NearbyPeer, NearbyState},
};

/// How far the exchange with a peer has come.
pub(super) enum Phase {
    /// Nothing is under way.
    Idle,
    /// We have chosen it.
    Chosen,
    /// First side: the commitment is out.
    Committed(Box<Committed>),
    /// Second side: the request is out.
    Asked(Box<Asked>),
    /// First side: the commitment is open, and the proof is awaited.
    Opened(Box<Agreed>),
    /// The words are on both screens.
    Comparing(Box<Comparison>),
    /// Our person has found them equal.
    Confirmed(Box<Comparison>, ContactId),
    /// So have both.
    Established(ContactId),
    /// It ended without a contact: why.
    Failed(&'static str),
}

/// Words that are compared.
pub(super) struct Comparison {
    pub(super) agreed: Agreed,
    /// The contact with whom both have one and the same pair already.
    pub(super) same: Option<ContactId>,
    /// Whether that contact counted as verified before.
    pub(super) was_verified: bool,
    /// The other has found them equal.
    pub(super) confirmed: bool,
}

/// Somebody whose window is or was open at the other end of a link.
pub(super) struct Peer {
    /// Absent once the link is gone; then only what our person has seen the words of is left.
    pub(super) link: Option<LinkId>,
    pub(super) kind: TransportKind,
    pub(super) name: Name,
    /// The window there is open.
    pub(super) here: bool,
    /// It has chosen us.
    pub(super) chose_us: bool,
    pub(super) phase: Phase,
    /// Since when the present phase may last.
    pub(super) since: Instant,
}

impl Peer {
    /// Whether an exchange is under way that its people have not seen the end of: choices count from ours on.
    pub(super) const fn is_engaged(&self) -> bool {
        !matches!(self.phase, Phase::Idle | Phase::Established(_) | Phase::Failed(_))
    }

    /// Whether answers are awaited that no person has to give.
    pub(super) const fn is_in_flight(&self) -> bool {
        match self.phase {
            Phase::Chosen => self.chose_us,
            Phase::Committed(_) | Phase::Asked(_) | Phase::Opened(_) => true,
            _ => false,
        }
    }

    /// Whether the other side could know the words, or could soon, before anybody here has seen them: to break off then costs it nothing.
    pub(super) const fn has_shown(&self) -> bool {
        matches!(self.phase, Phase::Asked(_) | Phase::Opened(_))
    }

    /// Whether a person has something to see though the window is closed or the link gone.
    pub(super) const fn outlasts_link(&self) -> bool {
        matches!(self.phase, Phase::Comparing(_) | Phase::Confirmed(..) | Phase::Established(_))
    }

    /// As people see it. `contact` is whose session it is, with whether that contact is verified.
    pub(super) fn view(&self, number: u32, contact: Option<(ContactId, bool)>) -> NearbyPeer {
        let known = contact.is_some_and(|(_, verified)| verified);
        let words = |comparison: &Comparison| Some(comparison.agreed.words().map(str::to_owned).to_vec());
        let (state, words, of_exchange, why) = match &self.phase {
            Phase::Idle | Phase::Failed(_) | Phase::Established(_) if self.chose_us => (NearbyState::ChoseUs, None, None, None),
            Phase::Idle if known => (NearbyState::Established, None, None, None),
            Phase::Idle => (NearbyState::Seen, None, None, None),
            Phase::Chosen | Phase::Committed(_) | Phase::Asked(_) | Phase::Opened(_) => (NearbyState::Chosen, None, None, None),
            Phase::Comparing(comparison) => (NearbyState::Comparing, words(comparison), comparison.same, None),
            Phase::Confirmed(comparison, contact) => (NearbyState::Confirmed, words(comparison), Some(*contact), None),
            Phase::Established(contact) => (NearbyState::Established, None, Some(*contact), None),
            Phase::Failed(why) => (NearbyState::Failed, None, None, Some((*why).to_owned())),
        };
        NearbyPeer {
            peer: number,
            name: self.name.as_str().to_owned(),
            transport: Cow::Borrowed(self.kind.name()),
            state,
            words,
            contact: of_exchange.or(contact.map(|(contact, _)| contact)),
            why,
        }
    }
}
