//! What is shown and sent to whom: the one place where relaying is decided.
//!
//! This version carries for nobody but the two ends of a bundle: a contact is shown what was sealed for it and what came from it, the
//! holder of a pending link nothing but the exchange itself (`exchange`), a stranger nothing.

use hedgerow_transports::LinkId;

use super::{
    Engine,
    holdings::{expiry_of, is_between, reader_of},
    link::Peer,
};
use crate::{
    id::BundleId,
    reconcile::ItemSet,
    store::{BundleRow, GoneReason},
};

/// Whether a bundle is in the set that this peer is compared with.
pub(super) fn shows(peer: Peer, row: &BundleRow) -> bool {
    match peer {
        Peer::Contact(contact) => is_between(row.origin, contact),
        Peer::Invited(_) | Peer::Stranger => false,
    }
}

impl Engine {
    /// Schedules a bundle that is new here: it is pushed at once to its reader.
    pub(super) fn route_new(&mut self, id: &BundleId) {
        let Some(row) = self.holdings.row(id) else { return };
        for (link_id, link) in &mut self.links {
            if !link.is_open() || !shows(link.peer, row) {
                continue;
            }
            if let Some(names) = &mut link.names {
                names.insert(link.shorts.short(id), *id);
            }
            if link.synced {
                link.set.insert(row.created, row.id, expiry_of(row), true);
            }
            if link.peer.contact() == reader_of(row) {
                link.push(*id);
                self.busy_links.insert(*link_id);
            }
        }
    }

    /// The set that a link's peer is compared with.
    pub(super) fn set_for(&self, link: LinkId) -> ItemSet {
        let mut set = ItemSet::new();
        let Some(state) = self.links.get(&link) else { return set };
        for row in self.holdings.rows().filter(|row| shows(state.peer, row)) {
            set.insert(row.created, row.id, expiry_of(row), true);
        }
        if let Some(contact) = state.peer.contact() {
            for gone in self.holdings.gone_with(contact).filter(|gone| gone.reason == GoneReason::Dropped) {
                set.insert(gone.created, gone.id, Some(gone.expiry), false);
            }
        }
        set
    }
}
