//! Finding what either side of a link lacks: by cursors where contacts met before, by ranges of ids otherwise (docs/protocol.md, section 6.4).
//!
//! What the peer lacks is put up for an offer, what we lack is asked for at once. RANGES are answered in order, and no faster than the peer may
//! be asked for what they list.

use hedgerow_transports::LinkId;
use rand_core::Rng;

use super::super::{
    Engine,
    config::{MAX_TOLD_ACKS, MAX_UNANSWERED_OFFERS, MAX_WAITING_RANGES},
    link::{LinkState, Peer},
    records::{Breach, Fault},
    routing::{Scope, rank},
};
use crate::{
    id::{ContactId, ShortId},
    reconcile::{Finding, ItemSet, MAX_BODY_LEN, Reconciler, SessionView, cut_hour},
    session::Role,
    store::{Cursor, Origin},
    time::{Hour, Now},
    wire::record::{MAX_RECORD_IDS, Record},
};

/// In one session of so many that exchange something, ranges are compared although cursors fit (docs/protocol.md, section 6.4).
const COMPARE_ANYWAY: u32 = 16;

/// While bundles wait, for one byte said of bundles so many bytes of them go out: with STORED and the like it is a quarter (design brief, 4.3).
const BUNDLE_BYTES_A_BYTE: i64 = 4;

/// Bytes that were said too much and count, at most: what a comparison says before it has found anything.
const MAX_OVERDRAWN: i64 = 32 * 1024;

/// Bytes that may be saved up while bundles go out: one record.
const MAX_SAVED: i64 = MAX_BODY_LEN as i64;

/// Ids that the lists of one RANGES record name, at most.
const MAX_LISTED_IN_RECORD: usize = MAX_BODY_LEN / size_of::<ShortId>();

/// What may be said of bundles on a link while some wait to be sent: RANGES, WANT and OFFER, beside the bundles that go out meanwhile.
///
/// Only RANGES and OFFER wait for it. So on a slow link what is found first goes out before the rest is compared, and a comparison never holds
/// up the mail. Where nothing waits to be sent nothing is held back.
#[derive(Default)]
pub(in super::super) struct Talk(i64);

impl Talk {
    /// Whether more may be said while bundles wait.
    pub(in super::super) const fn has_room(&self) -> bool {
        self.0 >= 0
    }

    /// Notes bytes said of bundles.
    pub(super) fn said(&mut self, bytes: usize) {
        self.0 = (self.0 - bytes as i64).max(-MAX_OVERDRAWN);
    }

    /// Notes bytes of bundles that went out.
    pub(super) fn sent(&mut self, bytes: usize) {
        self.0 = (self.0 + bytes as i64 / BUNDLE_BYTES_A_BYTE).min(MAX_SAVED);
    }
}

impl Engine {
    /// HELLO has come from somebody who is no contact: if both sides carry, all is compared.
    pub(in super::super) fn start_with_stranger(&mut self, now: Now, link: LinkId) {
        let Some(state) = self.links.get_mut(&link).filter(|state| state.scope == Scope::Everything) else { return };
        state.live = true;
        self.make_reconciler(link);
        if let Some(state) = self.links.get_mut(&link)
            && let Some(reconciler) = state.reconciler.as_mut().filter(|_| state.info.role == Role::Initiator)
        {
            reconciler.start(self.holdings.set(false), &mut self.jitter);
        }
        self.busy_links.insert(link);
        self.offer_held_back(now, link);
    }

    fn make_reconciler(&mut self, link: LinkId) {
        let Some(state) = self.links.get_mut(&link) else { return };
        let Some(hello) = state.hello else { return };
        let view = SessionView { cut: cut_hour(state.hour_told, hello.hour), empty: state.scope == Scope::Nothing };
        state.reconciler = Some(Reconciler::new(state.info.hash, state.info.role == Role::Initiator, view));
    }

    /// Both cursors are known: begins with what they leave open.
    pub(in super::super) fn start_sync(&mut self, now: Now, link: LinkId, peer_epoch: [u8; 8], theirs: Cursor) -> Result<(), Fault> {
        let own_epoch = self.profile.epoch;
        let last = self.holdings.arrived();
        let Some(state) = self.links.get_mut(&link) else { return Ok(()) };
        let (Some(contact), Some(_)) = (state.peer.contact(), state.hello) else { return Err(Breach.into()) };
        if state.has_cursor {
            return Err(Breach.into());
        }
        state.has_cursor = true;
        // A session that was upgraded may be comparing already: that goes on, over what contacts are shown.
        let compares = state.reconciler.as_ref().is_some_and(Reconciler::has_begun) && state.scope == Scope::Everything;
        let (was_live, peer) = (state.live, state.peer);
        state.live = true;
        let ours = self.store.load_cursor(contact)?;
        let theirs_fits = theirs.epoch == own_epoch && theirs.sequence <= last;
        let fits = theirs_fits && ours.epoch == peer_epoch;
        let anyway = self.jitter.next_u32().is_multiple_of(COMPARE_ANYWAY);
        if fits {
            self.offer_later(now, link, theirs.sequence);
        }
        if !compares && !was_live {
            self.make_reconciler(link);
            let Some(state) = self.links.get_mut(&link) else { return Ok(()) };
            let initiator = state.info.role == Role::Initiator;
            state.awaits_comparison = !fits;
            state.compare_later = fits && anyway && initiator;
            if let Some(reconciler) = state.reconciler.as_mut().filter(|_| initiator && !fits) {
                let set = if state.scope == Scope::Everything { self.holdings.set(true) } else { &state.set };
                reconciler.start(set, &mut self.jitter);
            }
        }
        if !fits {
            self.offer_own(link, contact, peer);
        }
        self.busy_links.insert(link);
        self.offer_held_back(now, link);
        Ok(())
    }

    /// What is for the peer needs no comparison to be offered, unless there is much of it.
    fn offer_own(&mut self, link: LinkId, contact: ContactId, peer: Peer) {
        let rows: Vec<_> = self.holdings.rows().filter(|row| row.origin == Origin::Own(contact)).cloned().collect();
        if let Some(state) = self.links.get_mut(&link).filter(|_| rows.len() <= MAX_UNANSWERED_OFFERS * MAX_RECORD_IDS) {
            rows.iter()
                .filter(|row| row.created != Hour::UNKNOWN)
                .for_each(|row| state.offer(rank(&self.holdings, row, peer, false), row.id));
        }
    }

    /// A contact has all that arrived up to `sequence`: it is offered what came later, and told what was read since it was met.
    fn offer_later(&mut self, now: Now, link: LinkId, sequence: u64) {
        let hour = self.hour(now);
        let Some(state) = self.links.get(&link) else { return };
        let (peer, since) = (state.peer, state.met_before);
        let told = peer.contact().and_then(|contact| self.contacts.get(&contact)?.told_acks);
        let later: Vec<_> = self.holdings.after(sequence).filter(|row| self.shows(state, &row.id)).cloned().collect();
        let acks: Vec<[u8; 16]> = match since {
            Some(since) if state.scope == Scope::Everything && hour != Hour::UNKNOWN => {
                self.holdings.acks_since(since, told).take(MAX_TOLD_ACKS).collect()
            }
            _ => Vec::new(),
        };
        if let Some(state) = self.links.get_mut(&link) {
            state.marked = Some(sequence);
            later.iter().for_each(|row| state.offer(rank(&self.holdings, row, peer, false), row.id));
            state.acks.extend(acks);
        }
    }

    pub(in super::super) fn handle_ranges(&mut self, now: Now, link: LinkId, body: Vec<u8>) -> Result<(), Fault> {
        let Some(state) = self.links.get_mut(&link) else { return Ok(()) };
        if state.waiting_ranges.len() >= MAX_WAITING_RANGES {
            return Err(Breach.into());
        }
        state.waiting_ranges.push_back(body);
        self.compare_waiting(now, link)
    }

    /// Compares what a peer's RANGES say, in order, as far as it may be asked for what they list. What waits holds its MARK back: until it is
    /// asked for the last of it, it owes something.
    pub(in super::super) fn compare_waiting(&mut self, now: Now, link: LinkId) -> Result<(), Fault> {
        let next = |state: &mut LinkState| if state.may_ask(MAX_LISTED_IN_RECORD) { state.waiting_ranges.pop_front() } else { None };
        while let Some(body) = self.links.get_mut(&link).and_then(next) {
            self.compare(now, link, &body)?;
        }
        Ok(())
    }

    fn compare(&mut self, now: Now, link: LinkId, body: &[u8]) -> Result<(), Fault> {
        let Some(state) = self.links.get(&link) else { return Ok(()) };
        let peer = state.peer;
        if state.reconciler.is_none() {
            // A contact's comparison begins with its CURSOR. Nobody else is closed for asking.
            if peer.contact().is_some() {
                return Err(Breach.into());
            }
            self.make_reconciler(link);
        }
        let Some(state) = self.links.get_mut(&link) else { return Ok(()) };
        let Some(reconciler) = state.reconciler.as_mut() else { return Err(Breach.into()) };
        let set: &ItemSet = if state.scope == Scope::Everything { self.holdings.set(peer.contact().is_some()) } else { &state.set };
        let findings = reconciler.handle_ranges(body, set).map_err(|_| Breach)?;
        let mut wanted = Vec::new();
        for finding in findings {
            match finding {
                Finding::Want(short) => wanted.push(short),
                // Not pushed: the peer may have let it go because it was read, and then answers the offer with the ack.
                Finding::Lacking(id) => {
                    if let Some(row) = self.holdings.row(&id) {
                        state.offer(rank(&self.holdings, row, peer, false), id);
                    }
                }
            }
        }
        let (acks, wanted) = self.split_acknowledged(now, link, wanted);
        let room = self.room_for_picks(now, link);
        if let Some(state) = self.links.get_mut(&link) {
            state.acks.extend(acks);
            wanted.iter().skip(room).for_each(|short| state.put_off(*short));
            let wanted: Vec<ShortId> = wanted.into_iter().take(room).filter(|short| state.ask(now.mono, *short)).collect();
            state.talk.said(wanted.len() * size_of::<ShortId>());
            for ids in wanted.chunks(MAX_RECORD_IDS) {
                self.transmit(link, &Record::Want(ids.to_vec()));
            }
        }
        self.busy_links.insert(link);
        Ok(())
    }
}
