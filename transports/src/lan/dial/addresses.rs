//! Where neighbours are dialled. What mDNS says of addresses is anybody's word: nobody is dialled often because of it.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    Dialler,
    neighbour::{Entry, Target},
};

/// Pause between two attempts at one address that mDNS claims, under however many names (policy): it may be somebody's who knows nothing of us.
pub(super) const ADDRESS_PAUSE: Duration = Duration::from_secs(1);
/// So long an attempt keeps its addresses from others unless it ends earlier; its own bound is shorter.
pub(super) const ATTEMPT_MAX: Duration = Duration::from_secs(4);
/// Attempts at once within one IPv6 network of 64 bits, half of all (policy). It can be the whole wire as well as one host's invention.
pub(super) const MAX_ATTEMPTS_IN_NETWORK: usize = 4;

/// What one host can have by itself: an IPv4 address, or an IPv6 network of 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::lan) struct Site(IpAddr);

impl Site {
    pub(in crate::lan) fn of(ip: IpAddr) -> Self {
        Self(match ip.to_canonical() {
            IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
            v4 @ IpAddr::V4(_) => v4,
        })
    }
}

pub(super) struct Attempt {
    pub(super) target: Target,
    pub(super) since: Instant,
    pub(super) under_way: bool,
}

impl Attempt {
    pub(super) fn until(&self) -> Instant {
        self.since + if self.under_way { ATTEMPT_MAX } else { ADDRESS_PAUSE }
    }
}

impl Dialler {
    /// From when one of this neighbour's addresses may be dialled; one without any fails as soon as it is.
    pub(super) fn free_from(&self, target: Target, entry: &Entry, now: Instant) -> Instant {
        let own = entry.dialled.then_some(target);
        entry.addresses.iter().map(|address| self.address_free_from(address.ip(), own, now)).min().unwrap_or(now)
    }

    /// From when an address may be dialled; for the target `own`, which was dialled there before, its own back-off is enough.
    pub(super) fn address_free_from(&self, ip: IpAddr, own: Option<Target>, now: Instant) -> Instant {
        let ip = ip.to_canonical();
        if let Some(attempt) = self.attempts.get(&ip).filter(|attempt| Some(attempt.target) != own) {
            return attempt.until().max(now);
        }
        if ip.is_ipv4() {
            return now;
        }
        let site = Site::of(ip);
        let near = self.attempts.iter().filter(|(other, attempt)| attempt.under_way && attempt.until() > now && Site::of(**other) == site);
        let near: BTreeMap<Target, Instant> = near.map(|(_, attempt)| (attempt.target, attempt.until())).collect();
        if near.len() < MAX_ATTEMPTS_IN_NETWORK { now } else { near.into_values().min().unwrap_or(now) }
    }

    pub(super) fn end_attempt(&mut self, target: Target) {
        self.attempts.values_mut().filter(|attempt| attempt.target == target).for_each(|attempt| attempt.under_way = false);
    }
}

pub(super) fn has_ip(addresses: &[SocketAddr], ip: IpAddr) -> bool {
    addresses.iter().any(|address| address.ip().to_canonical() == ip.to_canonical())
}
