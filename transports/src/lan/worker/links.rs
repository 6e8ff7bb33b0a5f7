//! The transport's links: who is dialled and taken in, and for whom there is a place.

use std::net::IpAddr;

use tokio::{net::TcpStream, task::JoinError, time::Instant};

use super::{
    super::{
        dial::{Site, Target},
        tcp::{LinkHandle, TcpLink, canonical},
    },
    MAX_DIALS, Stopped, Worker,
    connect::{connect_any, connect_fixed},
};
use crate::{Direction, TransportEvent};

/// Messages that a side which was dialled has taken when the session is open (docs/protocol.md, section 3: the handshake's first, the list,
/// the confirmation). It ends the link at any that is wrong.
const MESSAGES_TO_OPEN: u32 = 3;

/// A link that its owner hasn't dropped yet.
pub(super) struct Live {
    pub(super) handle: LinkHandle,
    pub(super) since: Instant,
    /// What was dialled; `None` for inbound links.
    pub(super) target: Option<Target>,
}

impl Live {
    fn is_open(&self) -> bool {
        self.handle.heard() >= MESSAGES_TO_OPEN
    }

    fn site(&self) -> Site {
        Site::of(self.handle.peer.ip())
    }
}

impl Worker {
    fn inbound(&self) -> impl Iterator<Item = &Live> {
        self.links.values().filter(|link| link.target.is_none())
    }

    /// Sees to it that there is place for one more link from this address; false if all are held by sessions that are open.
    fn make_place(&self, ip: IpAddr) -> bool {
        let most = self.max_links.saturating_mul(2);
        // Those that were closed and not yet dropped by their owner.
        let leaving = self.inbound().filter(|link| link.handle.is_closed()).count();
        let (site, held) = (Site::of(ip), self.inbound().count() - leaving);
        let at_site = self.inbound().filter(|link| !link.handle.is_closed() && link.site() == site).count();
        if at_site < self.max_links && held < most {
            return true;
        }
        let inbound = self.links.iter().filter(|(_, link)| link.target.is_none() && !link.handle.is_closed() && !link.is_open());
        let rivals = inbound.filter(|(_, link)| at_site < self.max_links || link.site() == site);
        let rivals: Vec<_> = rivals.map(|(key, link)| (*key, link.handle.peer.ip(), link.since)).collect();
        let given_up = least_wanted(&rivals).filter(|_| leaving < most).and_then(|key| self.links.get(&key));
        given_up.map(|link| link.handle.close()).is_some()
    }

    /// Whether to dial neighbours at all, whatever is wanted. Inbound links don't count: whoever opens many doesn't keep us from dialling.
    pub(super) fn has_room(&self) -> bool {
        self.links.len() - self.inbound().count() + self.dials.len() < self.max_links
    }

    pub(super) fn dial_due(&mut self, now: Instant) {
        while self.dials.len() < MAX_DIALS
            && let Some((target, mut addresses)) = self.dialler.next(self.has_room(), now)
        {
            match target {
                Target::Beacon(_) => {
                    addresses.retain(|address| self.interfaces.reach(*address));
                    if addresses.is_empty() {
                        self.dialler.failed(target, now);
                    } else {
                        self.dials.spawn(async move { (target, connect_any(addresses).await) });
                    }
                }
                Target::Fixed(index) => {
                    let fixed = self.fixed.get(index).cloned();
                    self.dials.spawn(async move { (target, connect_fixed(fixed).await) });
                }
            }
        }
    }

    pub(super) async fn take_dialled(&mut self, result: Result<(Target, Option<TcpStream>), JoinError>) -> Result<(), Stopped> {
        // A task that is cancelled belongs to a set that is gone.
        let Ok((target, stream)) = result else {
            return Ok(());
        };
        let now = Instant::now();
        let Some((stream, peer)) = stream.and_then(|stream| stream.peer_addr().ok().map(|peer| (stream, peer))) else {
            self.dialler.failed(target, now);
            return Ok(());
        };
        self.dialler.connected(target, peer, now);
        self.take_stream(stream, Some(target)).await
    }

    pub(super) async fn take_inbound(&mut self, stream: TcpStream) -> Result<(), Stopped> {
        let Ok(peer) = stream.peer_addr() else {
            return Ok(());
        };
        let ip = canonical(peer).ip();
        if !self.make_place(ip) {
            return Ok(());
        }
        self.dialler.inbound(ip, Instant::now());
        self.take_stream(stream, None).await
    }

    async fn take_stream(&mut self, stream: TcpStream, target: Option<Target>) -> Result<(), Stopped> {
        let now = Instant::now();
        let direction = if target.is_some() { Direction::Outbound } else { Direction::Inbound };
        let dialled = match target {
            Some(Target::Beacon(beacon)) => Some(beacon),
            Some(Target::Fixed(_)) | None => None,
        };
        let local = stream.local_addr().ok();
        if local.is_some_and(|local| !self.interfaces.hold(local)) {
            // It came over an interface that is newer than the last look.
            self.check_interfaces(now).await?;
        }
        let metered = local.is_some_and(|local| self.interfaces.is_metered(local));
        self.next_key += 1;
        match TcpLink::new(stream, direction, dialled, metered, self.next_key, self.dropped.0.clone()) {
            Ok((link, handle)) => {
                self.dialler.link_opened(handle.peer.ip());
                self.links.insert(self.next_key, Live { handle, since: now, target });
                self.emit(TransportEvent::LinkUp(Box::new(link))).await
            }
            Err(_) => {
                if let Some(target) = target {
                    self.dialler.failed(target, now);
                }
                Ok(())
            }
        }
    }

    pub(super) fn take_end(&mut self, key: u64) {
        let now = Instant::now();
        if let Some(link) = self.links.remove(&key) {
            let (ip, lifetime) = (link.handle.peer.ip(), now - link.since);
            self.dialler.link_closed(ip, now);
            match link.target {
                Some(target) => self.dialler.ended(target, lifetime, now),
                // Who didn't get as far has not looked at us.
                None if link.is_open() => self.dialler.visited(ip, lifetime),
                None => {}
            }
        }
    }
}

/// Which of these links whose handshake is under way gives way: one of the site with most of them, and there of the address with most of
/// them, the oldest.
fn least_wanted(links: &[(u64, IpAddr, Instant)]) -> Option<u64> {
    let at_site = |ip| links.iter().filter(|(_, other, _)| Site::of(*other) == Site::of(ip)).count();
    let at_address = |ip| links.iter().filter(|(_, other, _)| *other == ip).count();
    links.iter().max_by_key(|(_, ip, since)| (at_site(*ip), at_address(*ip), std::cmp::Reverse(*since))).map(|(key, _, _)| *key)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_oldest_unfinished_of_those_who_hold_most_gives_way() {
        #[expect(clippy::disallowed_methods, reason = "any instant will do; none can be made otherwise")]
        let start = Instant::from_std(std::time::Instant::now());
        let link = |key: u64, ip: &str| (key, ip.parse().unwrap(), start + Duration::from_secs(key));
        assert_eq!(least_wanted(&[]), None);
        let alone = link(1, "10.0.0.1");
        assert_eq!(least_wanted(&[alone]), Some(1));
        assert_eq!(least_wanted(&[alone, link(2, "10.0.0.2"), link(3, "10.0.0.2")]), Some(2));
        let of_one_network = [alone, link(2, "10.0.0.1"), link(3, "fd00::1"), link(4, "fd00::2"), link(5, "fd00::3"), link(6, "fd00::3")];
        assert_eq!(least_wanted(&of_one_network), Some(5), "within one network, of the address that holds most");
    }
}
