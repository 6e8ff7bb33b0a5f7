//! How fast neighbours may be dialled, whoever they are.

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    addresses::Site,
    neighbour::{back_off, exponential},
    sightings::MAX_BEACONS,
};

/// Mean pause between two neighbours that are dialled only because they may be contacts (guess: a handshake and its recognition are about
/// 3 kB each way).
pub(super) const PROBE_AFTER: Duration = Duration::from_secs(10);
/// The longest such pause.
pub(super) const PROBE_AFTER_MAX: Duration = Duration::from_secs(50);
/// Longest pause between two neighbours where one after the other has no place for us (guess).
pub(super) const CROWDED_PAUSE_MAX: Duration = Duration::from_secs(10);
/// The same for neighbours that were never dialled: among them may be one with a place.
pub(super) const CROWDED_PAUSE_NEW: Duration = Duration::from_secs(3);
/// So many sites have no place for us before dialling slows down (guess): one host, under however many names, doesn't do it.
const CROWDED_SITES: usize = 3;

/// From when neighbours may be dialled.
pub(super) struct Pace {
    /// Where neighbours had no place for us since one had.
    pub(super) crowded: BTreeSet<Site>,
    /// Until when nobody is dialled because of them.
    pub(super) until: Instant,
    /// Until when nobody new is.
    pub(super) new_until: Instant,
    /// When the next neighbour may be dialled that is only perhaps a contact.
    pub(super) probe_at: Instant,
}

impl Pace {
    /// Nothing slows dialling down yet.
    pub(super) const fn new(now: Instant) -> Self {
        Self { crowded: BTreeSet::new(), until: now, new_until: now, probe_at: now }
    }

    /// Slows dialling down where one site after the other has no place; each counts once.
    pub(super) fn slow_down(&mut self, ip: IpAddr, now: Instant, random: fn() -> u32) {
        if self.crowded.len() >= MAX_BEACONS || !self.crowded.insert(Site::of(ip)) {
            return;
        }
        if let Some(doublings) = self.crowded.len().checked_sub(CROWDED_SITES) {
            let (doublings, random) = (u32::try_from(doublings).unwrap_or(u32::MAX), random());
            self.until = now + back_off(doublings, CROWDED_PAUSE_MAX, random);
            self.new_until = now + back_off(doublings, CROWDED_PAUSE_NEW, random);
        }
    }

    /// Somebody had a place: dialling is as fast as it was.
    pub(super) fn recover(&mut self, now: Instant) {
        self.crowded.clear();
        (self.until, self.new_until) = (now, now);
    }

    /// Notes that a neighbour is dialled, which may have been only perhaps a contact.
    pub(super) fn note_dialled(&mut self, now: Instant, random: fn() -> u32) {
        self.probe_at = now + exponential(PROBE_AFTER, PROBE_AFTER_MAX, random());
    }

    /// Whether one of these addresses is at a site that had no place.
    pub(super) fn is_crowded(&self, addresses: &[SocketAddr]) -> bool {
        addresses.iter().any(|address| self.crowded.contains(&Site::of(address.ip())))
    }

    /// From when a neighbour may be dialled that is wanted, and was dialled before or was not.
    pub(super) const fn from(&self, dialled: bool) -> Instant {
        if dialled { self.until } else { self.new_until }
    }
}
