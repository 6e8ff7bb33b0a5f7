//! Bundles on a link (docs/protocol.md, sections 4 and 6).
//!
//! ```text
//!  comparing ──▶ offers ──▶ sending ═══ link ═══▶ taking ──▶ STORED, REFUSED ──▶ sending
//!  what differs  who wants  BUNDLE, MARK          judge, store, open
//!                what
//! ```
//!
//! One file a part of it: `comparing` (what either side lacks), `offers` (OFFER, PICK and WANT), `sending` (all that leaves on a link, and what
//! is said of bundles that left), `taking` (a bundle comes), `acks` (what was read, and who hears of it), `names` (which bundles a peer means by
//! its short ids). Here is what they share: whom a peer names, and how many bundles it may be asked for.

mod acks;
mod comparing;
mod names;
mod offers;
mod sending;
mod taking;

use hedgerow_transports::LinkId;

#[cfg(feature = "sim")]
pub(super) use self::names::STALE_KEPT;
pub(super) use self::{comparing::Talk, names::Names};
use super::{Engine, config::MAX_ASKED_IDS, holdings::reader_of, routing::Scope};
use crate::{
    id::{BundleId, ShortId},
    time::Now,
    wire::bundle::BUNDLE_SIZES,
};

impl Engine {
    /// The ids that a peer names, in the same order, as far as they are held or remembered. Who is shown nothing can name nothing.
    fn named(&mut self, link: LinkId, shorts: &[ShortId]) -> Vec<Option<BundleId>> {
        let Some(state) = self.links.get_mut(&link).filter(|state| state.scope != Scope::Nothing) else { return vec![None; shorts.len()] };
        // Mostly it names what it was just told of.
        let told = state.reconciler.as_ref().and_then(|reconciler| shorts.iter().map(|short| reconciler.listed(short).map(Some)).collect());
        told.unwrap_or_else(|| state.names.find(&state.shorts, self.holdings.slots(), shorts))
    }

    /// Whether a bundle is an own one that is held back, and this peer was not shown it: it is treated as unknown.
    fn is_hidden_from(&self, link: LinkId, id: &BundleId) -> bool {
        let Some(row) = self.holdings.row(id).filter(|_| !self.holdings.is_released(id)) else { return false };
        self.links.get(&link).is_some_and(|state| {
            let is_reader = state.peer.contact().is_some() && state.peer.contact() == reader_of(row);
            !is_reader && !state.let_in.contains(id) && !state.known.contains_key(id)
        })
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
        let available = self.buckets.available(now.mono, kind, direction, &self.config) / smallest;
        usize::try_from(available).unwrap_or(usize::MAX).min(MAX_ASKED_IDS).saturating_sub(asked)
    }
}
