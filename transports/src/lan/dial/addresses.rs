//! Where neighbours are dialled. What mDNS says of addresses is anybody's word: nobody is dialled often because of it.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use tokio::time::Instant;

use super::neighbour::Target;

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

struct Attempt {
    target: Target,
    since: Instant,
    under_way: bool,
}

impl Attempt {
    fn until(&self) -> Instant {
        self.since + if self.under_way { ATTEMPT_MAX } else { ADDRESS_PAUSE }
    }
}

/// Attempts at addresses that mDNS claims: whose, and from when the address is free for the next.
#[derive(Default)]
pub(super) struct Attempts(BTreeMap<IpAddr, Attempt>);

impl Attempts {
    /// Forgets those that keep their addresses from nobody any more.
    pub(super) fn forget_past(&mut self, now: Instant) {
        self.0.retain(|_, attempt| attempt.until() > now);
    }

    /// Notes that a neighbour is dialled at these addresses.
    pub(super) fn begin(&mut self, target: Target, addresses: &[SocketAddr], now: Instant) {
        for address in addresses {
            self.0.insert(address.ip().to_canonical(), Attempt { target, since: now, under_way: true });
        }
    }

    /// Notes that it was reached, or was not.
    pub(super) fn end(&mut self, target: Target) {
        self.0.values_mut().filter(|attempt| attempt.target == target).for_each(|attempt| attempt.under_way = false);
    }

    /// From when an address may be dialled; for the target `own`, which was dialled there before, its own back-off is enough.
    pub(super) fn free_from(&self, ip: IpAddr, own: Option<Target>, now: Instant) -> Instant {
        let ip = ip.to_canonical();
        if let Some(attempt) = self.0.get(&ip).filter(|attempt| Some(attempt.target) != own) {
            return attempt.until().max(now);
        }
        if ip.is_ipv4() {
            return now;
        }
        let site = Site::of(ip);
        let near = self.0.iter().filter(|(other, attempt)| attempt.under_way && attempt.until() > now && Site::of(**other) == site);
        let near: BTreeMap<Target, Instant> = near.map(|(_, attempt)| (attempt.target, attempt.until())).collect();
        if near.len() < MAX_ATTEMPTS_IN_NETWORK { now } else { near.into_values().min().unwrap_or(now) }
    }
}

pub(super) fn has_ip(addresses: &[SocketAddr], ip: IpAddr) -> bool {
    addresses.iter().any(|address| address.ip().to_canonical() == ip.to_canonical())
}
