//! The one task behind the transport: takes what happens, one thing after the other, and keeps all state.

use std::{
    collections::BTreeMap,
    future::pending,
    io,
    net::{IpAddr, SocketAddr},
    sync::PoisonError,
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpStream, lookup_host},
    sync::mpsc,
    task::{JoinError, JoinSet},
    time::{Instant, MissedTickBehavior, interval, sleep, sleep_until, timeout},
};

use super::{
    LanConfig, LanError, Listening,
    dial::{Dialler, MAX_ADDRESSES, Target},
    discovery::{Discovery, Sighting},
    interfaces::Interfaces,
    tcp::{LinkHandle, TcpLink, canonical, listen, listen_anywhere},
};
use crate::{BeaconId, Direction, TransportCommand, TransportEvent, Wanted};

/// A neighbour on the local network answers within milliseconds, or it is asleep.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Lead of each of a neighbour's addresses over the next (RFC 8305, section 5).
const NEXT_ADDRESS_AFTER: Duration = Duration::from_millis(250);
/// Attempts under way at once (policy).
const MAX_DIALS: usize = 8;
/// Accepted connections that wait for the worker (policy).
const MAX_ACCEPTED: usize = 16;
/// How often the interfaces are looked at while mDNS doesn't do it for us.
const INTERFACE_CHECK: Duration = Duration::from_secs(1);
/// How many of these checks are left out while it does; it leaves out tunnels, which can carry links to given addresses.
const CHECKS_LEFT_OUT: u32 = 4;
/// Pause after an address came up until neighbours are asked once more: a new IPv6 address can't send for up to 2 s.
const BROWSE_ANEW_AFTER: Duration = Duration::from_millis(2_200);
/// After the change of beacon, neighbours that don't answer for so long are gone (guess).
const SWEEP_AFTER: Duration = Duration::from_secs(15);
/// How many neighbours in sight are a crowd (guess): a node that is linked well enough in one looks for no more.
const CROWD: usize = 8;
/// How long neighbours are looked for after a change of the beacon or the network before they may be a crowd: mDNS asks after 0, 1, 3, 7 s.
const LOOK_FOR: Duration = Duration::from_secs(15);
/// Pause between two looks of a node that finds nobody to dial among those it remembers (guess).
const LOOK_AGAIN: Duration = Duration::from_secs(60);
/// Pause after a failure of the system: no port, no sockets left.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// The owner of the transport has dropped it.
struct Stopped;

/// An address of the owner's.
#[derive(Clone)]
enum Fixed {
    Address(SocketAddr),
    Host(String, u16),
}

#[derive(Clone, Copy)]
enum Phase {
    /// The beacon is in use until then.
    Shown(Instant),
    /// Nobody sees us until then.
    Silent(Instant),
}

/// A link that its owner hasn't dropped yet.
struct Live {
    handle: LinkHandle,
    since: Instant,
    /// What was dialled; `None` for inbound links.
    target: Option<Target>,
}

/// All state of the transport.
pub(super) struct Worker {
    config: LanConfig,
    fixed: Vec<Fixed>,
    events: mpsc::Sender<TransportEvent>,
    commands: mpsc::UnboundedReceiver<TransportCommand>,
    listening: Listening,
    /// The owner's listeners: their addresses, and their tasks.
    own_addresses: Vec<SocketAddr>,
    _own_listeners: JoinSet<()>,
    /// The listener on a port of the beacon's.
    beacon_listener: JoinSet<()>,
    accepted: (mpsc::Sender<TcpStream>, mpsc::Receiver<TcpStream>),
    dropped: (mpsc::UnboundedSender<u64>, mpsc::UnboundedReceiver<u64>),
    dials: JoinSet<(Target, Option<TcpStream>)>,
    dialler: Dialler,
    links: BTreeMap<u64, Live>,
    next_key: u64,
    max_links: usize,
    interfaces: Interfaces,
    discovery: Option<Discovery>,
    phase: Phase,
    sweep_at: Option<Instant>,
    browse_at: Option<Instant>,
    /// When neighbours were last begun to be looked for.
    looking_since: Instant,
    left_out: u32,
    in_trouble: bool,
    /// The owner knows of others to dial.
    others: bool,
}

impl Worker {
    /// Binds the owner's listeners; the rest begins with [`run`](Self::run).
    pub(super) fn new(
        config: LanConfig,
        events: mpsc::Sender<TransportEvent>,
        commands: mpsc::UnboundedReceiver<TransportCommand>,
        listening: Listening,
    ) -> Result<Self, LanError> {
        let fixed = config.connect.iter().map(|text| parse_fixed(text)).collect::<Result<Vec<_>, _>>()?;
        getrandom::u32().map_err(|_| LanError::Randomness)?;
        let accepted = mpsc::channel(MAX_ACCEPTED);
        let (mut own_addresses, mut own_listeners) = (Vec::new(), JoinSet::new());
        for &address in &config.listen {
            let only_v6 = config.listen.iter().any(|other| other.is_ipv4() && other.port() == address.port());
            let bound = listen(address, only_v6).and_then(|listener| Ok((listener.local_addr()?, listener)));
            let (local, listener) = bound.map_err(|source| LanError::Listen { address, source })?;
            own_addresses.push(local);
            own_listeners.spawn(accept_all(listener, accepted.0.clone()));
        }
        let interfaces = Interfaces::load(&config.metered).unwrap_or_default();
        let now = Instant::now();
        let worker = Self {
            dialler: Dialler::new(fixed.len(), Wanted { neighbours: config.max_links, contacts: true }, now, jitter),
            max_links: config.max_links,
            config,
            fixed,
            events,
            commands,
            listening,
            own_addresses,
            _own_listeners: own_listeners,
            beacon_listener: JoinSet::new(),
            accepted,
            dropped: mpsc::unbounded_channel(),
            dials: JoinSet::new(),
            links: BTreeMap::new(),
            next_key: 0,
            interfaces,
            discovery: None,
            phase: Phase::Silent(now),
            sweep_at: None,
            browse_at: None,
            looking_since: now,
            left_out: 0,
            in_trouble: false,
            others: false,
        };
        worker.publish(&[]);
        Ok(worker)
    }

    /// Runs until the transport is dropped.
    pub(super) async fn run(mut self) {
        let Err(Stopped) = self.serve().await;
    }

    async fn serve(&mut self) -> Result<std::convert::Infallible, Stopped> {
        let mut checks = interval(INTERFACE_CHECK);
        checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.run_timers(Instant::now()).await?;
            self.dial_due(Instant::now());
            self.tell_others().await?;
            let next = self.next_timer();
            tokio::select! {
                command = self.commands.recv() => self.obey(command.ok_or(Stopped)?),
                Some(stream) = self.accepted.1.recv() => self.take_inbound(stream).await?,
                Some(key) = self.dropped.1.recv() => self.take_end(key),
                Some(result) = self.dials.join_next() => self.take_dialled(result).await?,
                sighting = next_sighting(&mut self.discovery) => self.take_sighting(sighting).await?,
                _ = checks.tick() => {
                    self.check_flood(Instant::now()).await?;
                    self.rest_or_look(Instant::now());
                    self.check_interfaces_sometimes().await?;
                }
                () = sleep_until(next) => {}
            }
        }
    }

    fn next_timer(&self) -> Instant {
        let (Phase::Shown(at) | Phase::Silent(at)) = self.phase;
        let dial = if self.dials.len() < MAX_DIALS { self.dialler.next_due(self.has_room(), Instant::now()) } else { None };
        [self.sweep_at, self.browse_at, dial].into_iter().flatten().fold(at, Instant::min)
    }

    async fn run_timers(&mut self, now: Instant) -> Result<(), Stopped> {
        match self.phase {
            Phase::Shown(until) if until <= now => self.hide(now),
            Phase::Silent(until) if until <= now => self.show(now).await?,
            Phase::Shown(_) | Phase::Silent(_) => {}
        }
        if self.browse_at.is_some_and(|at| at <= now) {
            self.browse_at = None;
            self.look(now);
        }
        if self.sweep_at.is_some_and(|at| at <= now) {
            self.sweep_at = None;
            for beacon in self.dialler.sweep() {
                self.emit(TransportEvent::Lost(beacon)).await?;
            }
        }
        Ok(())
    }

    /// Ends the beacon: no listener of its own, no mDNS. Links stay.
    fn hide(&mut self, now: Instant) {
        self.discovery = None;
        self.beacon_listener = JoinSet::new();
        self.publish(&[]);
        let silence = if self.config.mdns { random_within(&self.config.silence) } else { Duration::ZERO };
        self.phase = Phase::Silent(now + silence);
    }

    /// Takes a new beacon, with a new port where the owner has set none, and shows it.
    async fn show(&mut self, now: Instant) -> Result<(), Stopped> {
        let mut beacon = BeaconId([0; 8]);
        if getrandom::fill(&mut beacon.0).is_err() {
            self.phase = Phase::Silent(now + RETRY_AFTER);
            return self.trouble(Some("the system gives no randomness")).await;
        }
        let (mut port, mut on) = (None, Vec::new());
        if !self.config.mdns {
            // Nobody is told of a port.
        } else if self.own_addresses.is_empty() {
            match listen_anywhere().and_then(|listener| Ok((listener.local_addr()?, listener))) {
                Ok((local, listener)) => {
                    self.beacon_listener.spawn(accept_all(listener, self.accepted.0.clone()));
                    self.publish(&[local]);
                    port = Some(local.port());
                }
                Err(_) => {
                    self.phase = Phase::Silent(now + RETRY_AFTER);
                    return self.trouble(Some("no port can be opened for neighbours")).await;
                }
            }
        } else {
            (port, on) = advertised(&self.own_addresses);
        }
        self.emit(TransportEvent::Beacon(beacon)).await?;
        if self.config.mdns {
            match Discovery::start(beacon, port, &on) {
                Ok(discovery) => (self.discovery, self.looking_since) = (Some(discovery), now),
                Err(_) => return self.discovery_failed(now).await,
            }
        }
        self.dialler.forget_sightings();
        self.sweep_at = Some(now + SWEEP_AFTER);
        self.phase = Phase::Shown(now + self.config.rotate_every);
        self.trouble(None).await
    }

    async fn discovery_failed(&mut self, now: Instant) -> Result<(), Stopped> {
        self.hide(now);
        self.phase = Phase::Silent(now + RETRY_AFTER);
        self.trouble(Some("neighbours cannot be looked for (mDNS does not work here)")).await
    }

    fn obey(&mut self, command: TransportCommand) {
        match command {
            TransportCommand::Linked(beacon) => self.dialler.linked(beacon, Instant::now()),
            TransportCommand::Free(beacon) => self.dialler.free(beacon, Instant::now()),
            TransportCommand::Wanted(wanted) => self.dialler.want(wanted),
            TransportCommand::LookAnew => self.dialler.look_anew(),
            TransportCommand::Crowded(beacon) => self.dialler.crowded(beacon, Instant::now()),
            TransportCommand::Useless(beacon) => self.dialler.useless(beacon, Instant::now()),
        }
    }

    async fn take_sighting(&mut self, sighting: Sighting) -> Result<(), Stopped> {
        let now = Instant::now();
        match sighting {
            Sighting::Seen(beacon, addresses) => {
                if self.dialler.seen(beacon, addresses, now) {
                    self.emit(TransportEvent::Found(beacon)).await?;
                }
            }
            Sighting::Gone(beacon) => {
                if self.dialler.gone(beacon) {
                    self.emit(TransportEvent::Lost(beacon)).await?;
                }
            }
            Sighting::Network => self.check_interfaces(now).await?,
            Sighting::NameTaken => {
                tracing::warn!("somebody else on the local network uses this node's beacon; taking another");
                self.hide(now);
            }
            Sighting::Trouble => self.discovery_failed(now).await?,
        }
        Ok(())
    }

    fn look(&mut self, now: Instant) {
        self.looking_since = now;
        if let Some(discovery) = &mut self.discovery {
            discovery.browse_anew();
        }
    }

    /// Looks for nobody more while linked well enough in a crowd; there, the newcomer finds us.
    fn rest_or_look(&mut self, now: Instant) {
        let Some(discovery) = &mut self.discovery else { return };
        let looked = now.saturating_duration_since(self.looking_since);
        if !discovery.is_resting() {
            if self.dialler.is_content() && self.dialler.in_sight() > CROWD && looked >= LOOK_FOR {
                discovery.rest();
            }
        } else if !self.dialler.is_content() && !self.others && looked >= LOOK_AGAIN {
            self.look(now);
        }
    }

    /// Ends mDNS for a while, and takes another beacon, where its cache has grown without end.
    async fn check_flood(&mut self, now: Instant) -> Result<(), Stopped> {
        if !self.discovery.as_mut().is_some_and(Discovery::is_flooded) {
            return Ok(());
        }
        self.hide(now);
        self.trouble(Some("somebody floods the local network with names (mDNS): neighbours are looked for anew")).await
    }

    async fn check_interfaces_sometimes(&mut self) -> Result<(), Stopped> {
        if self.discovery.is_some() && self.left_out < CHECKS_LEFT_OUT {
            self.left_out += 1;
            return Ok(());
        }
        self.left_out = 0;
        self.check_interfaces(Instant::now()).await
    }

    async fn check_interfaces(&mut self, now: Instant) -> Result<(), Stopped> {
        let Some(interfaces) = Interfaces::load(&self.config.metered).filter(|interfaces| *interfaces != self.interfaces) else {
            return Ok(());
        };
        let earlier = std::mem::replace(&mut self.interfaces, interfaces);
        for link in self.links.values() {
            if earlier.hold(link.handle.local) && !self.interfaces.hold(link.handle.local) {
                link.handle.close();
            }
        }
        if self.interfaces.gained_over(&earlier) {
            tracing::debug!("the local network has changed");
            self.dialler.network_changed(now);
            self.browse_at = Some(now + BROWSE_ANEW_AFTER);
        }
        if self.interfaces.joined_over(&earlier) {
            self.emit(TransportEvent::NetworkChanged).await?;
        }
        Ok(())
    }

    fn inbound(&self) -> impl Iterator<Item = &Live> {
        self.links.values().filter(|link| link.target.is_none())
    }

    /// Whether to dial neighbours at all, whatever is wanted. Inbound links don't count: whoever opens many doesn't keep us from dialling.
    fn has_room(&self) -> bool {
        self.links.len() - self.inbound().count() + self.dials.len() < self.max_links
    }

    fn dial_due(&mut self, now: Instant) {
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

    async fn take_dialled(&mut self, result: Result<(Target, Option<TcpStream>), JoinError>) -> Result<(), Stopped> {
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

    async fn take_inbound(&mut self, stream: TcpStream) -> Result<(), Stopped> {
        let Ok(peer) = stream.peer_addr() else {
            return Ok(());
        };
        let ip = canonical(peer).ip();
        let of_device = self.inbound().filter(|link| link.handle.peer.ip() == ip).count();
        if self.inbound().count() >= self.max_links.saturating_mul(2) || of_device >= self.max_links {
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

    fn take_end(&mut self, key: u64) {
        let now = Instant::now();
        if let Some(link) = self.links.remove(&key) {
            let (ip, lifetime) = (link.handle.peer.ip(), now - link.since);
            self.dialler.link_closed(ip, now);
            match link.target {
                Some(target) => self.dialler.ended(target, lifetime, now),
                None => self.dialler.visited(ip, lifetime),
            }
        }
    }

    /// Tells the owner whether there are others to dial, where that has changed.
    async fn tell_others(&mut self) -> Result<(), Stopped> {
        let others = self.dialler.has_others(Instant::now());
        if others == std::mem::replace(&mut self.others, others) {
            return Ok(());
        }
        self.emit(TransportEvent::Others(others)).await
    }

    async fn emit(&self, event: TransportEvent) -> Result<(), Stopped> {
        self.events.send(event).await.map_err(|_| Stopped)
    }

    /// Tells the owner of a lasting condition, or of its end.
    async fn trouble(&mut self, what: Option<&str>) -> Result<(), Stopped> {
        if what.is_none() && !self.in_trouble {
            return Ok(());
        }
        self.in_trouble = what.is_some();
        self.emit(TransportEvent::Trouble(what.map(str::to_owned))).await
    }

    fn publish(&self, beacon_addresses: &[SocketAddr]) {
        let mut listening = self.listening.lock().unwrap_or_else(PoisonError::into_inner);
        *listening = [&self.own_addresses, beacon_addresses].concat();
    }
}

/// The port to show to neighbours, that of the first listener they can reach, and the addresses it is bound to if not to all.
fn advertised(listeners: &[SocketAddr]) -> (Option<u16>, Vec<IpAddr>) {
    let reachable = || listeners.iter().filter(|address| !address.ip().is_loopback());
    let Some(port) = reachable().map(SocketAddr::port).next() else {
        return (None, Vec::new());
    };
    let on: Vec<IpAddr> = reachable().filter(|address| address.port() == port).map(SocketAddr::ip).collect();
    if on.iter().any(IpAddr::is_unspecified) { (Some(port), Vec::new()) } else { (Some(port), on) }
}

async fn next_sighting(discovery: &mut Option<Discovery>) -> Sighting {
    match discovery {
        Some(discovery) => discovery.next().await,
        None => pending().await,
    }
}

/// Hands every connection to the worker; while that is busy, connections wait in the system's own bounded queue.
async fn accept_all(listener: TcpListener, accepted: mpsc::Sender<TcpStream>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                if accepted.send(stream).await.is_err() {
                    return;
                }
            }
            // The other side has gone already, or no descriptors are left; the latter needs a pause.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(_) => sleep(RETRY_AFTER).await,
        }
    }
}

async fn connect_fixed(fixed: Option<Fixed>) -> Option<TcpStream> {
    let addresses = match fixed? {
        Fixed::Address(address) => vec![address],
        Fixed::Host(host, port) => timeout(CONNECT_TIMEOUT, lookup_host((host, port))).await.ok()?.ok()?.take(MAX_ADDRESSES).collect(),
    };
    connect_any(addresses).await
}

/// Connects to one of the addresses, each a little after the one before; the first connection stays.
async fn connect_any(addresses: Vec<SocketAddr>) -> Option<TcpStream> {
    let connecting = async {
        let mut waiting = addresses.into_iter();
        let mut attempts = JoinSet::new();
        attempts.spawn(TcpStream::connect(waiting.next()?));
        loop {
            tokio::select! {
                result = attempts.join_next() => match result {
                    Some(Ok(Ok(stream))) => return Some(stream),
                    Some(_) => {}
                    None => {
                        attempts.spawn(TcpStream::connect(waiting.next()?));
                    }
                },
                () = sleep(NEXT_ADDRESS_AFTER), if waiting.len() > 0 => {
                    attempts.spawn(TcpStream::connect(waiting.next()?));
                }
            }
        }
    };
    let stream = timeout(CONNECT_TIMEOUT, connecting).await.ok()??;
    // TCP connects a socket to itself when the port dialled happens to be the one the system chose for it.
    let to_itself = stream.local_addr().ok() == stream.peer_addr().ok();
    (!to_itself).then_some(stream)
}

/// Reads `host:port`; an IPv6 address stands in brackets, with `%interface` if it is link-local.
fn parse_fixed(text: &str) -> Result<Fixed, LanError> {
    if let Ok(address) = text.parse() {
        return Ok(Fixed::Address(address));
    }
    let parts = text.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse::<u16>().ok().filter(|port| *port != 0)?)));
    let Some((host, port)) = parts else {
        return Err(LanError::Connect(text.to_owned()));
    };
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    // What is left of an IPv6 address without brackets is no host.
    if bare.is_empty() || (bare.len() == host.len() && host.contains(':')) || bare.contains(['/', ' ', '[', ']']) {
        return Err(LanError::Connect(text.to_owned()));
    }
    Ok(Fixed::Host(bare.to_owned(), port))
}

/// Randomness for delays; a system without any gives equal ones.
fn jitter() -> u32 {
    getrandom::u32().unwrap_or(u32::MAX / 2)
}

fn random_within(range: &std::ops::Range<Duration>) -> Duration {
    let width = range.end.saturating_sub(range.start);
    range.start + width.mul_f64(f64::from(jitter()) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_the_owner_are_read_or_refused() {
        assert!(matches!(parse_fixed("127.0.0.1:80"), Ok(Fixed::Address(_))));
        assert!(matches!(parse_fixed("[::1]:80"), Ok(Fixed::Address(_))));
        assert!(matches!(parse_fixed("desk.lan:80"), Ok(Fixed::Host(host, 80)) if host == "desk.lan"));
        assert!(matches!(parse_fixed("[fe80::1%eth0]:80"), Ok(Fixed::Host(host, 80)) if host == "fe80::1%eth0"));
        for wrong in ["", "desk", "desk:", "desk:0", "desk:65536", ":80", "[]:80", "fe80::1:80:", "fe80::zz:80", "http://desk:80"] {
            assert!(matches!(parse_fixed(wrong), Err(LanError::Connect(_))), "{wrong}");
        }
    }

    #[test]
    fn neighbours_are_told_only_of_what_they_can_reach() {
        let addresses = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<SocketAddr>>();
        assert_eq!(advertised(&addresses(&["127.0.0.1:5", "[::1]:5"])), (None, vec![]));
        assert_eq!(advertised(&addresses(&["127.0.0.1:5", "0.0.0.0:6"])), (Some(6), vec![]));
        let on = vec!["10.0.0.1".parse().unwrap()];
        assert_eq!(advertised(&addresses(&["10.0.0.1:5", "10.0.0.2:6"])), (Some(5), on));
    }

    #[test]
    fn the_silence_stays_within_its_range() {
        let range = Duration::from_secs(5)..Duration::from_secs(30);
        assert!((0..100).all(|_| (range.start..=range.end).contains(&random_within(&range))));
        assert_eq!(random_within(&(range.end..range.start)), range.end);
    }
}
