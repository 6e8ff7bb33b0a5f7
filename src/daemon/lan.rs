//! The task of the local network: hands its links to link tasks and its news to the driver.

use std::{
    future::poll_fn,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::Poll,
};

use hedgerow_transports::{
    LinkId, Transport, TransportCommand, TransportEvent, TransportKind,
    lan::{Lan, LanConfig, LanError},
};
use tokio::{
    runtime::Handle,
    sync::{Semaphore, mpsc},
};

use super::{
    driver::Message,
    link::{MAX_UNOPENED, link_task},
};
use crate::random;

/// Makes link numbers, never used twice in a process.
pub(super) static NEXT_LINK: AtomicU64 = AtomicU64::new(1);

/// The driver's end of the local network. Dropping it ends discovery, dialling and listening.
pub(super) struct LanHandle {
    commands: mpsc::UnboundedSender<TransportCommand>,
    listening: Arc<Mutex<Vec<String>>>,
}

impl LanHandle {
    /// Starts the local network on the runtime.
    ///
    /// # Errors
    ///
    /// [`LanError`] if a setting can't be followed.
    pub(super) fn start(
        runtime: &Handle,
        config: LanConfig,
        driver: mpsc::Sender<Message>,
        alive: mpsc::Sender<()>,
    ) -> Result<Self, LanError> {
        let _entered = runtime.enter();
        let lan = Lan::start(config)?;
        let (commands, receiver) = mpsc::unbounded_channel();
        let listening = Arc::new(Mutex::new(addresses(&lan)));
        runtime.spawn(serve(lan, receiver, driver, Arc::clone(&listening), alive));
        Ok(Self { commands, listening })
    }

    /// Tells the transport something.
    pub(super) fn command(&self, command: TransportCommand) {
        // It only fails when the task is ending, and then nothing matters to it.
        let _ = self.commands.send(command);
    }

    /// The addresses listened on at the moment.
    pub(super) fn listening(&self) -> Vec<String> {
        self.listening.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What the local network is shown whatever Hedgerow does, in words for the owner.
pub(super) fn leaks(config: &LanConfig) -> Vec<&'static str> {
    let mut texts = Vec::new();
    if config.mdns && config.listen.is_empty() {
        texts.push(
            "Devices on this network see that Hedgerow runs here, and this machine's IP and MAC address. Hedgerow changes its own name and \
             port every 15 minutes; the system keeps the addresses.",
        );
    } else if config.mdns {
        texts.push(
            "Devices on this network see that Hedgerow runs here, this machine's IP and MAC address, and the port of --listen. Hedgerow changes its \
             own name every 15 minutes; addresses and port stay.",
        );
    } else if !config.listen.is_empty() {
        texts.push(
            "Whoever reaches the address of --listen sees this machine's IP address, on the same network its MAC address too, and that \
             Hedgerow answers on that port; they stay the same.",
        );
    }
    if !config.connect.is_empty() {
        texts.push(
            "The hosts of --connect, and whoever carries data to them, see this machine's IP address and when it is there. Looking up a host's \
             name tells the name server which one.",
        );
    }
    texts
}

fn addresses(lan: &Lan) -> Vec<String> {
    lan.listening().iter().map(ToString::to_string).collect()
}

async fn serve(
    mut lan: Lan,
    mut commands: mpsc::UnboundedReceiver<TransportCommand>,
    driver: mpsc::Sender<Message>,
    listening: Arc<Mutex<Vec<String>>>,
    alive: mpsc::Sender<()>,
) {
    let unopened = Arc::new(Semaphore::new(MAX_UNOPENED));
    loop {
        let event = poll_fn(|context| {
            while let Poll::Ready(command) = commands.poll_recv(context) {
                match command {
                    Some(command) => lan.command(command),
                    None => return Poll::Ready(None),
                }
            }
            lan.poll_event(context).map(Some)
        })
        .await;
        let Some(event) = event else { return };
        *listening.lock().unwrap_or_else(PoisonError::into_inner) = addresses(&lan);
        let message = match event {
            TransportEvent::Beacon(beacon) => Message::Beacon(TransportKind::Lan, beacon),
            TransportEvent::Others(others) => Message::Others(TransportKind::Lan, others),
            TransportEvent::Trouble(trouble) => Message::Trouble(TransportKind::Lan, trouble),
            TransportEvent::NetworkChanged => Message::NetworkChanged(TransportKind::Lan),
            TransportEvent::Found(_) | TransportEvent::Lost(_) => continue,
            TransportEvent::LinkUp(link) => {
                // Without a place the link is dropped, and so closed.
                let Ok(place) = Arc::clone(&unopened).try_acquire_owned() else {
                    // Strangers bring this about as often as they like: not for the log that is kept.
                    tracing::debug!("too many links are being opened: one was refused");
                    continue;
                };
                let id = LinkId(NEXT_LINK.fetch_add(1, Ordering::Relaxed));
                let (handle, task) = link_task(id, link, &mut random::system(), driver.clone(), place, alive.clone());
                if driver.send(Message::LinkUp(id, handle)).await.is_err() {
                    return;
                }
                tokio::spawn(task.run());
                continue;
            }
        };
        if driver.send(message).await.is_err() {
            return;
        }
    }
}
