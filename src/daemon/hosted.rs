//! Daemons within this process, joined by links in memory: the same driver, sessions and API as ever, without a disk or a network below.

use std::{
    io,
    os::unix::net::UnixStream,
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
    thread,
    time::Duration,
};

use hedgerow_transports::{
    BeaconId, Direction, Flow, LinkId, LinkProperties, TransportKind,
    memory::{self, MemoryLink},
};
use rand_core::Rng;
use tokio::{
    runtime::Handle,
    sync::{Semaphore, broadcast, mpsc, oneshot, watch},
    task::JoinHandle,
};
use zeroize::Zeroizing;

use super::{
    api::{self, Api},
    clock::Clock,
    driver::{self, Driver, Message, Setup, StartError},
    keeper::Keeper,
    lan::NEXT_LINK,
    link::link_task,
};
use crate::random;

/// What a link in memory says of itself: about a radio's rate, so that nothing about it is special.
const PROPERTIES: LinkProperties = LinkProperties {
    kind: TransportKind::Memory,
    direction: Direction::Outbound,
    dialled: None,
    flow: Flow::Duplex,
    rate: 1_000_000,
    latency_ms: 1,
    metered: false,
};

/// Pause before a link that has ended is dialled again (guess: as the local network's first pause).
const REDIAL: Duration = Duration::from_millis(200);

/// A daemon within this process.
pub(crate) struct Hosted {
    runtime: Handle,
    api: Api,
    alive: mpsc::Sender<()>,
    stop: watch::Sender<bool>,
    engine: Mutex<Option<thread::JoinHandle<()>>>,
}

impl Hosted {
    /// Starts one on a profile, and waits until it is open.
    ///
    /// # Errors
    ///
    /// An error in words if the profile can't be opened or a thread not be started.
    pub(crate) fn start(runtime: &Handle, clock: Clock, keeper: Arc<dyn Keeper>) -> io::Result<Self> {
        let (sender, messages) = mpsc::channel(driver::MAX_MESSAGES);
        let (events, _) = broadcast::channel::<Arc<str>>(api::MAX_EVENTS);
        let (stop, stopping) = watch::channel(false);
        // Nobody waits for these links' farewells.
        let (alive, _) = mpsc::channel::<()>(1);
        let checked = Arc::clone(&keeper);
        let (started, starting) = oneshot::channel();
        let setup = Setup {
            runtime: runtime.clone(),
            clock,
            profile: keeper,
            passphrase: Zeroizing::default(),
            lan: None,
            sender: sender.clone(),
            messages,
            events: events.clone(),
            alive: alive.clone(),
        };
        let engine = thread::Builder::new().name("engine".to_owned()).spawn(move || match Driver::start(setup) {
            Ok(driver) => {
                // Whoever waits for it may be gone; then it is told to stop.
                let _ = started.send(None);
                driver.run();
            }
            Err(error) => drop(started.send(Some(error))),
        })?;
        match starting.blocking_recv() {
            Ok(None) => {}
            Ok(Some(StartError::Store(error))) => return Err(io::Error::other(error)),
            Ok(Some(StartError::Lan(error))) => return Err(io::Error::other(error)),
            Err(_) => return Err(io::Error::other("the engine's thread ended before it began")),
        }
        let mut beacon = [0; 8];
        random::system().fill_bytes(&mut beacon);
        // Just started, it takes this at once.
        let _ = sender.blocking_send(Message::Beacon(TransportKind::Memory, BeaconId(beacon)));
        let api = Api { driver: sender, events, stop: stopping, checked: Arc::new(tokio::sync::Mutex::new(checked)) };
        Ok(Self { runtime: runtime.clone(), api, alive, stop, engine: Mutex::new(Some(engine)) })
    }

    /// Ends it, and waits until its engine has. Before the runtime ends, this must be done.
    pub(crate) fn end(&self) {
        // Both only fail when it has ended already.
        let _ = self.stop.send(true);
        let _ = self.api.driver.blocking_send(Message::Stop);
        let engine = self.engine.lock().unwrap_or_else(PoisonError::into_inner).take();
        // An engine that broke has nothing to say any more.
        let _ = engine.map(thread::JoinHandle::join);
    }

    /// Opens a connection to its API.
    ///
    /// # Errors
    ///
    /// An error of the system, if it gives no sockets.
    pub(crate) fn connect(&self) -> io::Result<UnixStream> {
        let (ours, theirs) = UnixStream::pair()?;
        theirs.set_nonblocking(true)?;
        let _entered = self.runtime.enter();
        let theirs = tokio::net::UnixStream::from_std(theirs)?;
        self.runtime.spawn(self.api.clone().serve_client(theirs));
        Ok(ours)
    }

    /// Brings one end of a link up. Returns its task and its number; `None` once the daemon has ended.
    async fn bring_up(&self, link: MemoryLink) -> Option<(JoinHandle<()>, LinkId)> {
        let place = Arc::new(Semaphore::new(1)).try_acquire_owned().ok()?;
        let id = LinkId(NEXT_LINK.fetch_add(1, Ordering::Relaxed));
        let (handle, task) = link_task(id, Box::new(link), &mut random::system(), self.api.driver.clone(), place, self.alive.clone());
        self.api.driver.send(Message::LinkUp(id, handle)).await.ok()?;
        Some((tokio::spawn(task.run()), id))
    }

    /// Ends one, if it has not ended by itself.
    async fn bring_down(&self, task: &JoinHandle<()>, link: LinkId) {
        task.abort();
        // It only fails when the driver has ended.
        let _ = self.api.driver.send(Message::LinkDown(link)).await;
    }
}

/// A link between two of them that can break at any moment. While it is up, it comes up again by itself whenever one of the two ends it, as a
/// transport's dialling would bring it.
pub(crate) struct Wire {
    up: watch::Sender<bool>,
}

impl Wire {
    /// Lays a wire and brings it up. The first end dials.
    pub(crate) fn lay(first: &Arc<Hosted>, second: &Arc<Hosted>) -> Self {
        let (up, wanted) = watch::channel(true);
        first.runtime.spawn(keep_up(Arc::clone(first), Arc::clone(second), wanted));
        Self { up }
    }

    /// Breaks it as a radio out of range would: without a word.
    pub(crate) fn cut(&self) {
        // It only fails when both daemons have ended.
        let _ = self.up.send(false);
    }

    /// Brings it up again.
    pub(crate) fn mend(&self) {
        let _ = self.up.send(true);
    }
}

/// Keeps a wire up while that is wanted, until nobody can want it any more.
async fn keep_up(first: Arc<Hosted>, second: Arc<Hosted>, mut wanted: watch::Receiver<bool>) {
    while wanted.wait_for(|wanted| *wanted).await.is_ok() {
        let (dialling, accepting) = memory::pair(PROPERTIES);
        let (Some((mut near, near_id)), Some((mut far, far_id))) = (first.bring_up(dialling).await, second.bring_up(accepting).await)
        else {
            return;
        };
        tokio::select! {
            _ = &mut near => {}
            _ = &mut far => {}
            _ = wanted.wait_for(|wanted| !*wanted) => {}
        }
        first.bring_down(&near, near_id).await;
        second.bring_down(&far, far_id).await;
        tokio::time::sleep(REDIAL).await;
    }
}
