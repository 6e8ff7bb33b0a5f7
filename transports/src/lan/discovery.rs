//! Neighbours by mDNS, under one beacon after the other (docs/protocol.md, section 9).
//!
//! Each beacon has a daemon of its own, so that nothing of the old one (records, answers it remembers) reaches the new one.
//!
//! What mdns-sd 0.21 does, and what follows:
//! - `unregister` and `shutdown` both send a goodbye, which beside the next announcement would tie two beacons together. A daemon without
//!   interfaces can't send: all are disabled first, and the records of the old beacon lapse by themselves (host and port within 2 min).
//! - A daemon that is only dropped runs on for ever; it must be shut down.
//! - It reads packets as long as there are any before it takes a command, and looks each new name up among all that it holds: under a flood
//!   that comes faster than that, it neither counts nor ends. Its thread can't be ended otherwise; it ends with the flood. Until then it
//!   uses a core, and no second is begun beside it. No answer is how such a flood is noticed.
//! - It looks for interfaces every 5 s unless told otherwise, and takes the loopback interface for one.
//! - It queries and announces once on a new address. IPv6 addresses can't send for their first second or two, so that both are lost;
//!   browsing anew repeats the query.
//! - Where its port is taken it runs on without a word, so that this is looked at first.
//! - A receiver that falls 1,000 events behind is dropped.
//! - Its cache holds every record that names our service until that lapses, which the sender decides, and has no limit (0.21;
//!   its issue 337 is about the timers that came of it). It counts its records, so that we end it where there are too many.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6},
    time::Duration,
};

use mdns_sd::{
    DaemonEvent, DaemonStatus, IfKind, MDNS_PORT, Metrics, Receiver, ResolvedService, ScopedIp, ServiceDaemon, ServiceEvent, ServiceInfo,
};
use socket2::{Domain, Socket, Type};

use super::{dial::MAX_ADDRESSES, interfaces::is_link_local_v6};
use crate::BeaconId;

/// docs/protocol.md, section 9.
const SERVICE_TYPE: &str = "_hedgerow._tcp.local.";
/// How often the daemon looks for interfaces, seconds: its smallest step (measured: with its default of 5 a link takes too long).
const INTERFACE_CHECK_SECS: u32 = 1;
/// Pause before browsing anew where the daemon has dropped our receiver.
const RECOVERY_PAUSE: Duration = Duration::from_secs(1);
/// Records and timers of a daemon, at most (guess: a hall of 2,000 with four records each and a timer for every one; some ten megabytes).
const MAX_RECORDS: i64 = 16_384;
/// A daemon that gives no answer for so many checks, each a second after the other, has no time for any (guess).
const UNANSWERED_CHECKS: u32 = 3;
/// The daemon's names of what it counts, as far as it grows with what others send.
const COUNTED: [&str; 7] = ["cached-ptr", "cached-srv", "cached-addr", "cached-txt", "cached-nsec", "cached-subtype", "timer"];

/// What mDNS tells of others.
pub(super) enum Sighting {
    /// A neighbour and where it listens.
    Seen(BeaconId, Vec<SocketAddr>),
    /// A neighbour has said goodbye, or its records have lapsed.
    Gone(BeaconId),
    /// This device has gained or lost an address.
    Network,
    /// Somebody else uses our name: take another.
    NameTaken,
    /// mDNS can't work here.
    Trouble,
}

/// mDNS under one beacon. Dropping it ends it without a word on the network.
pub(super) struct Discovery {
    daemon: ServiceDaemon,
    beacon: BeaconId,
    events: Receiver<ServiceEvent>,
    reports: Receiver<DaemonEvent>,
    /// Nobody is looked for at the moment; we are still shown.
    resting: bool,
    /// Where the daemon's counters will arrive.
    counters: Option<Receiver<Metrics>>,
    /// How often in a row they had not.
    unanswered: u32,
    /// The daemon was told to end.
    ended: bool,
}

/// A daemon that was told to end.
pub(super) struct Ending {
    daemon: ServiceDaemon,
    /// Where its last word will arrive; `None` while it has no place for the command.
    last_word: Option<Receiver<DaemonStatus>>,
}

impl Ending {
    /// Whether it has ended.
    pub(super) fn is_over(&mut self) -> bool {
        if self.last_word.is_none() {
            self.last_word = end_quietly(&self.daemon);
        }
        self.last_word.as_ref().is_some_and(|last_word| last_word.try_recv().is_ok() || last_word.is_disconnected())
    }
}

impl Discovery {
    /// Begins to look for others and, given a port, to show ourselves; only on the interfaces with the addresses `on`, or on all.
    pub(super) fn start(beacon: BeaconId, port: Option<u16>, on: &[IpAddr]) -> Result<Self, mdns_sd::Error> {
        if !can_bind() {
            return Err(mdns_sd::Error::Msg("the mDNS port is taken".to_owned()));
        }
        let daemon = ServiceDaemon::new()?;
        let started = Self::set_up(&daemon, beacon, port, on);
        match started {
            Ok((events, reports)) => {
                Ok(Self { daemon, beacon, events, reports, resting: false, counters: None, unanswered: 0, ended: false })
            }
            Err(error) => {
                end_quietly(&daemon);
                Err(error)
            }
        }
    }

    fn set_up(
        daemon: &ServiceDaemon,
        beacon: BeaconId,
        port: Option<u16>,
        on: &[IpAddr],
    ) -> Result<(Receiver<ServiceEvent>, Receiver<DaemonEvent>), mdns_sd::Error> {
        let reports = daemon.monitor()?;
        daemon.disable_interface(vec![IfKind::LoopbackV4, IfKind::LoopbackV6])?;
        daemon.set_ip_check_interval(INTERFACE_CHECK_SECS)?;
        if let Some(port) = port {
            daemon.register(service(beacon, port, on)?)?;
        }
        Ok((daemon.browse(SERVICE_TYPE)?, reports))
    }

    /// Waits for the next sighting; nothing is lost if the wait is given up.
    pub(super) async fn next(&mut self) -> Sighting {
        loop {
            tokio::select! {
                event = self.events.recv_async(), if !self.resting => match event {
                    Ok(event) => if let Some(sighting) = self.judge(event) {
                        return sighting;
                    },
                    Err(_) => {
                        tokio::time::sleep(RECOVERY_PAUSE).await;
                        if !self.browse_anew() {
                            return Sighting::Trouble;
                        }
                    }
                },
                report = self.reports.recv_async() => match report {
                    Ok(DaemonEvent::IpAdd(_) | DaemonEvent::IpDel(_)) => return Sighting::Network,
                    Ok(DaemonEvent::NameChange(_)) => return Sighting::NameTaken,
                    Ok(DaemonEvent::Error(_)) | Err(_) => return Sighting::Trouble,
                    Ok(_) => {}
                },
            }
        }
    }

    /// Asks the network again, from the shortest interval on; true unless the daemon is gone.
    pub(super) fn browse_anew(&mut self) -> bool {
        match self.daemon.browse(SERVICE_TYPE) {
            Ok(events) => (self.events, self.resting) = (events, false),
            // Its queue is full: what is under way is enough.
            Err(mdns_sd::Error::Again) => {}
            Err(_) => return false,
        }
        true
    }

    /// Looks for nobody until [`browse_anew`](Self::browse_anew). Where anybody looks, the records of all are asked for and told every 96 s,
    /// and everybody hears it (measured: 30 nodes, 67 kB a minute).
    pub(super) fn rest(&mut self) {
        if !self.resting && self.daemon.stop_browse(SERVICE_TYPE).is_ok() {
            self.resting = true;
        }
    }

    pub(super) const fn is_resting(&self) -> bool {
        self.resting
    }

    /// Whether the daemon held too much when it was last asked, or has not answered since some checks; asks again. To be called every second
    /// or so.
    pub(super) fn is_flooded(&mut self) -> bool {
        let (answer, asked) = match self.counters.take() {
            None => (None, false),
            Some(receiver) => match receiver.try_recv() {
                Ok(counters) => (Some(counters), true),
                // It is busy: its answer comes later.
                Err(_) if !receiver.is_disconnected() => {
                    self.counters = Some(receiver);
                    return self.count_unanswered();
                }
                Err(_) => (None, true),
            },
        };
        self.counters = self.daemon.get_metrics().ok();
        match answer {
            Some(counters) => {
                self.unanswered = 0;
                held(&counters) > MAX_RECORDS
            }
            None if asked || self.counters.is_none() => self.count_unanswered(),
            None => false,
        }
    }

    fn count_unanswered(&mut self) -> bool {
        self.unanswered += 1;
        self.unanswered >= UNANSWERED_CHECKS
    }

    /// Tells the daemon to end, without a word on the network. It may take its time.
    pub(super) fn end(mut self) -> Ending {
        self.ended = true;
        Ending { last_word: end_quietly(&self.daemon), daemon: self.daemon.clone() }
    }

    fn judge(&self, event: ServiceEvent) -> Option<Sighting> {
        match event {
            ServiceEvent::ServiceResolved(service) => {
                let beacon = parse_instance(&service.fullname).filter(|beacon| *beacon != self.beacon)?;
                Some(Sighting::Seen(beacon, addresses(&service)))
            }
            ServiceEvent::ServiceRemoved(_, fullname) => {
                let beacon = parse_instance(&fullname).filter(|beacon| *beacon != self.beacon)?;
                Some(Sighting::Gone(beacon))
            }
            _ => None,
        }
    }
}

impl Drop for Discovery {
    fn drop(&mut self) {
        if !self.ended && end_quietly(&self.daemon).is_none() {
            tracing::warn!("mDNS could not be ended in order");
        }
    }
}

fn held(counters: &Metrics) -> i64 {
    COUNTED.iter().filter_map(|name| counters.get(*name)).sum()
}

/// Whether the mDNS port can be shared. The daemon itself would run on in silence without it.
fn can_bind() -> bool {
    let wildcards: [SocketAddr; 2] = [(Ipv4Addr::UNSPECIFIED, MDNS_PORT).into(), (Ipv6Addr::UNSPECIFIED, MDNS_PORT).into()];
    wildcards.into_iter().any(|address| {
        let bind = || {
            let socket = Socket::new(Domain::for_address(address), Type::DGRAM, None)?;
            if address.is_ipv6() {
                socket.set_only_v6(true)?;
            }
            socket.set_reuse_address(true)?;
            #[cfg(unix)]
            socket.set_reuse_port(true)?;
            socket.bind(&address.into())
        };
        bind().is_ok()
    })
}

/// Ends a daemon without goodbyes: first its interfaces, then itself. The commands are taken in this order. `None` if it takes none now.
fn end_quietly(daemon: &ServiceDaemon) -> Option<Receiver<DaemonStatus>> {
    daemon.disable_interface(IfKind::All).ok()?;
    daemon.shutdown().ok()
}

fn service(beacon: BeaconId, port: u16, on: &[IpAddr]) -> Result<ServiceInfo, mdns_sd::Error> {
    let name = beacon.to_string();
    let mut service = ServiceInfo::new(SERVICE_TYPE, &name, &format!("{name}.local."), (), port, None)?.enable_addr_auto();
    // 64 random bits need no probing, which would take most of a second.
    service.set_requires_probe(false);
    if !on.is_empty() {
        service.set_interfaces(on.iter().map(|ip| IfKind::Addr(*ip)).collect());
    }
    Ok(service)
}

/// Reads the beacon out of a service's full name; `None` for anything but 16 hexadecimal digits and our type.
fn parse_instance(fullname: &str) -> Option<BeaconId> {
    let (instance, service) = fullname.split_once('.')?;
    if !service.eq_ignore_ascii_case(SERVICE_TYPE) || instance.len() != 16 || !instance.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    u64::from_str_radix(instance, 16).ok().map(|bits| BeaconId(bits.to_be_bytes()))
}

/// The addresses in the order in which to try them: IPv4, then IPv6 beyond the link, then link-local, which alone needs its scope.
fn addresses(service: &ResolvedService) -> Vec<SocketAddr> {
    let mut addresses: Vec<SocketAddr> = service
        .addresses
        .iter()
        .filter_map(|address| match address {
            ScopedIp::V4(v4) => Some(SocketAddr::new((*v4.addr()).into(), service.port)),
            ScopedIp::V6(v6) => {
                let scope = if v6.addr().is_unicast_link_local() { v6.scope_id().index } else { 0 };
                Some(SocketAddrV6::new(*v6.addr(), service.port, 0, scope).into())
            }
            _ => None,
        })
        .collect();
    addresses.sort_unstable_by_key(|address| (is_link_local_v6(address.ip()), *address));
    addresses.truncate(MAX_ADDRESSES);
    addresses
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_beacons_of_our_service_are_read() {
        assert_eq!(parse_instance("00ff0000000000a1._hedgerow._tcp.local."), Some(BeaconId([0, 255, 0, 0, 0, 0, 0, 0xa1])));
        assert_eq!(parse_instance("00FF0000000000A1._HEDGEROW._tcp.local."), Some(BeaconId([0, 255, 0, 0, 0, 0, 0, 0xa1])));
        for other in [
            "",
            "00ff0000000000a1",
            "00ff0000000000a1._http._tcp.local.",
            "+0ff0000000000a1._hedgerow._tcp.local.",
            "00ff0000000000a1 (2)._hedgerow._tcp.local.",
            "0ff0000000000a1._hedgerow._tcp.local.",
            "00ff0000000000ä._hedgerow._tcp.local.",
        ] {
            assert_eq!(parse_instance(other), None, "{other}");
        }
    }

    #[test]
    fn the_daemon_counts_what_it_holds_under_the_names_known_here() {
        let daemon = ServiceDaemon::new().unwrap();
        daemon.disable_interface(IfKind::All).unwrap();
        let counters = daemon.get_metrics().unwrap().recv_timeout(Duration::from_secs(10)).unwrap();
        end_quietly(&daemon).unwrap();
        assert!(COUNTED.iter().all(|name| counters.contains_key(*name)), "{counters:?}");
        assert!(held(&counters) < MAX_RECORDS);
        let flooded = counters.into_keys().map(|name| (name, MAX_RECORDS)).collect();
        assert!(held(&flooded) > MAX_RECORDS);
    }

    #[test]
    fn the_announcement_holds_nothing_but_the_beacon_and_the_port() {
        let service = service(BeaconId([0x5a; 8]), 4000, &[]).unwrap();
        assert_eq!(service.get_fullname(), "5a5a5a5a5a5a5a5a._hedgerow._tcp.local.");
        assert_eq!(service.get_hostname(), "5a5a5a5a5a5a5a5a.local.");
        assert_eq!((service.get_port(), service.get_properties().len()), (4000, 0));
        assert!(service.get_addresses().is_empty() && service.is_addr_auto() && !service.requires_probe());
    }
}
