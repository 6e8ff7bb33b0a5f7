//! What the simulator's checkers ask of an engine (feature `sim`): the limits it is to keep, and how large its tables are.

use hedgerow_transports::LinkId;

use super::{
    Engine,
    config::{MAX_ASKED_IDS, MAX_KNOWN_IDS, MAX_QUEUED, MAX_TOLD_ACKS, MAX_UNANSWERED_OFFERS, MAX_WAITING_RANGES},
    link::Peer,
    transfer::STALE_KEPT,
};
use crate::{
    time::{Hour, Now},
    wire::record::MAX_RECORD_IDS,
};

/// What a node may hold for others, and remember.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct RelayLimits {
    /// Bytes of bundles of others.
    pub(crate) space: u64,
    /// Whether each who brings bundles has a share of it that others do not take, as far as the shares in use fit.
    pub(crate) has_pools: bool,
    /// The share of one contact.
    pub(crate) contact: u64,
    /// The share of strangers who dialled, and of those whom we dialled.
    pub(crate) strangers: u64,
    /// Ids without their bundles.
    pub(crate) gone: usize,
    /// Of them, brought by strangers.
    pub(crate) gone_of_strangers: usize,
}

/// What time it is for a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Hours {
    /// Its mesh hour.
    pub(crate) mesh: Hour,
    /// The hour by which it lets things expire, if any.
    pub(crate) settled: Option<Hour>,
}

/// A table of a link: its name, how many entries it has, and how many it may have.
pub(crate) type Table = (&'static str, usize, usize);

impl Engine {
    pub(crate) fn relay_limits(&self) -> RelayLimits {
        let space = self.policy.relay.bytes;
        let percent = |share: u8| space / 100 * u64::from(share);
        RelayLimits {
            space,
            has_pools: self.config.relay.has_pools(),
            contact: percent(self.config.contact_share),
            strangers: percent(self.config.stranger_share / 2),
            gone: self.config.gone_ids,
            gone_of_strangers: self.config.gone_ids / 2,
        }
    }

    pub(crate) fn hours(&self, now: Now) -> Hours {
        Hours { mesh: self.hour(now), settled: self.clock.settled(now) }
    }

    /// Whether everybody is shown everything.
    pub(crate) const fn carries_for_all(&self) -> bool {
        self.policy.carries(false)
    }

    /// Whether the peer of a link has nothing but a pending link of ours, or is to be repaired: what it brings is read and not carried.
    pub(crate) fn is_invited(&self, link: LinkId) -> bool {
        self.links.get(&link).is_some_and(|state| matches!(state.peer, Peer::Invited(_)))
    }

    /// The tables of all links.
    pub(crate) fn link_tables(&self) -> impl Iterator<Item = (LinkId, [Table; 13])> {
        let known = self.holdings.slots().len();
        let held = self.holdings.size().0;
        // What a record names may have been let go since: as much again, and some.
        let listed = 2 * known + STALE_KEPT + 1;
        let in_offers = MAX_UNANSWERED_OFFERS * MAX_RECORD_IDS;
        self.links.iter().map(move |(link, state)| {
            let tables = [
                ("ids known to the peer", state.known.len(), MAX_KNOWN_IDS + known),
                ("short ids", state.names.len(), listed),
                ("bundles to send", state.queue.len(), MAX_QUEUED + in_offers + held),
                ("bytes in flight", state.in_flight_bytes, state.window(&self.config)),
                ("bundles to offer", state.backlog.len(), listed),
                ("offers unanswered", state.offers.len(), MAX_UNANSWERED_OFFERS),
                ("ids offered", state.offered.len(), in_offers),
                ("offers that wait", state.waiting_offers.len(), MAX_UNANSWERED_OFFERS),
                ("ranges that wait", state.waiting_ranges.len(), MAX_WAITING_RANGES),
                ("ids asked for", state.asked.len(), MAX_ASKED_IDS),
                ("ids put off", state.put_off.len(), MAX_ASKED_IDS),
                ("acks to tell", state.acks.len(), MAX_TOLD_ACKS + MAX_RECORD_IDS),
                ("answers to give", state.stored.len() + state.refused.len(), MAX_RECORD_IDS),
            ];
            (*link, tables)
        })
    }
}
