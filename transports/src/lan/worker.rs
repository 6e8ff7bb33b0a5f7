//! The one task behind the transport: takes what happens, one thing after the other, and keeps all state.

mod beacon;
mod connect;
mod links;

use std::{collections::BTreeMap, net::SocketAddr, sync::PoisonError, time::Duration};

use tokio::{
    net::TcpStream,
    sync::mpsc,
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};

use super::{
    LanConfig, LanError, Listening,
    dial::{Dialler, Target},
    discovery::{Discovery, Ending, Sighting},
    interfaces::Interfaces,
    tcp::listen,
};
use crate::{TransportCommand, TransportEvent, Wanted};
use beacon::{Phase, next_sighting};
use connect::{Fixed, accept_all, parse_fixed};
use links::Live;

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
/// Pause after a failure of the system: no port, no sockets left.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// The owner of the transport has dropped it.
struct Stopped;

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
    /// The last beacon's daemon, and since when it is to end.
    ending: Option<(Ending, Instant)>,
    /// Floods of names one after the other, and since when there may be none.
    floods: u32,
    calm_since: Instant,
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
            ending: None,
            floods: 0,
            calm_since: now,
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

/// Randomness for delays; a system without any gives equal ones.
fn jitter() -> u32 {
    getrandom::u32().unwrap_or(u32::MAX / 2)
}
