//! The task of one link: pumps bytes between a transport's link, its session and the driver.
//!
//! ```text
//!   link ──messages──▶ session ──events──▶ driver (waits while the driver is busy: the peer is held back)
//!   link ◀──messages── session ◀──orders── driver (never waits: bounded by MAX_QUEUED_BYTES)
//! ```
//!
//! Every stage has its time: a peer that is slow on purpose, or stops reading, is ended.

use std::{
    collections::VecDeque,
    future::poll_fn,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use hedgerow_sync::{
    engine::Input,
    session::{RECOGNITION_LIST_LEN, Role, Session, SessionError, SessionEvent, Verdict},
};
use hedgerow_transports::{Link, LinkError, LinkId, LinkProperties};
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc},
    time::{Sleep, sleep},
};

use super::driver::Message;
use crate::random::SystemRandom;

/// Most bytes of records that wait for one link (policy): the engine's windows keep far below; beyond it the link is given up.
pub(super) const MAX_QUEUED_BYTES: usize = 4 << 20;
/// What a record that waits takes beside its bytes (guess): many small answers must not take more than few large ones.
const ORDER_OVERHEAD: usize = 64;
/// Most links at a time whose session is not open yet (policy): handshakes cost processor time and are free for strangers.
pub(super) const MAX_UNOPENED: usize = 32;
/// Time for the handshake (policy).
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Time from there to the first record (policy).
const RECOGNITION_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the other side may take nothing while something waits for it (policy).
const STALL_TIMEOUT: Duration = Duration::from_secs(30);
/// Time to send what is queued when the engine closes a link (policy).
const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);

/// What the driver asks of a link.
pub(super) enum Order {
    /// Send our recognition list.
    Recognise(Box<[u8; RECOGNITION_LIST_LEN]>),
    /// Send our confirmation.
    Confirm(Verdict),
    /// Send a record.
    Transmit(Vec<u8>),
    /// Send what is queued and end.
    Close,
}

/// The driver's end of a link. Dropping it ends the link.
pub(super) struct LinkHandle {
    orders: mpsc::UnboundedSender<Order>,
    queued: Arc<AtomicUsize>,
    /// The peer's address, for the owner's own eyes.
    pub(super) address: String,
    /// What the link declared.
    pub(super) properties: LinkProperties,
}

impl LinkHandle {
    /// Hands an order to the link; `false` if the link is to be given up because it takes too little or is gone.
    pub(super) fn order(&self, order: Order) -> bool {
        if let Order::Transmit(record) = &order
            && self.queued.fetch_add(cost(record), Ordering::AcqRel) + cost(record) > MAX_QUEUED_BYTES
        {
            return false;
        }
        self.orders.send(order).is_ok()
    }
}

/// What a record counts for while it waits.
const fn cost(record: &[u8]) -> usize {
    record.len() + ORDER_OVERHEAD
}

/// Why a link ended; for the log, which holds no addresses.
#[derive(Debug, thiserror::Error)]
enum End {
    #[error("the other side closed it")]
    Closed,
    #[error("this side closed it")]
    Ordered,
    #[error("{0}")]
    Link(#[from] LinkError),
    #[error("{0}")]
    Session(#[from] SessionError),
    #[error("too slow while {0}")]
    Slow(&'static str),
}

/// Makes the task of a new link and the driver's end of it.
pub(super) fn link_task(
    id: LinkId,
    link: Box<dyn Link>,
    random: &mut SystemRandom,
    driver: mpsc::Sender<Message>,
    place: OwnedSemaphorePermit,
    alive: mpsc::Sender<()>,
) -> (LinkHandle, LinkTask) {
    let (sender, orders) = mpsc::unbounded_channel();
    let queued = Arc::new(AtomicUsize::new(0));
    let properties = link.properties();
    let handle = LinkHandle { orders: sender, queued: Arc::clone(&queued), address: link.peer_address(), properties };
    let task = LinkTask {
        id,
        properties,
        session: Session::new(Role::from(properties.direction), random),
        link,
        driver,
        orders,
        waiting: VecDeque::new(),
        queued,
        outgoing: None,
        closing: false,
        place: Some(place),
        _alive: alive,
        stage: "shaking hands",
        deadline: Some(Box::pin(sleep(HANDSHAKE_TIMEOUT))),
        stall: None,
    };
    (handle, task)
}

/// Everything of one link.
pub(super) struct LinkTask {
    id: LinkId,
    properties: LinkProperties,
    session: Session,
    link: Box<dyn Link>,
    driver: mpsc::Sender<Message>,
    orders: mpsc::UnboundedReceiver<Order>,
    /// Orders taken and not carried out.
    waiting: VecDeque<Order>,
    /// Bytes of records ordered and not sealed.
    queued: Arc<AtomicUsize>,
    /// The sealed message that the link could not take yet.
    outgoing: Option<Vec<u8>>,
    closing: bool,
    /// One of the places for unopened links.
    place: Option<OwnedSemaphorePermit>,
    /// Tells whoever ends the daemon that there is something to wait for.
    _alive: mpsc::Sender<()>,
    stage: &'static str,
    /// When the stage must be over.
    deadline: Option<Pin<Box<Sleep>>>,
    /// When the other side must have taken something, while something waits for it.
    stall: Option<Pin<Box<Sleep>>>,
}

impl LinkTask {
    /// Serves the link until it ends, then tells the driver.
    pub(super) async fn run(mut self) {
        let end = self.serve().await;
        tracing::debug!(link = self.id.0, stage = self.stage, "link ended: {end}");
        let Self { id, driver, link, .. } = self;
        drop(link);
        // The driver may be gone: then nobody needs to know.
        let _ = driver.send(Message::LinkDown(id)).await;
    }

    async fn serve(&mut self) -> End {
        loop {
            match poll_fn(|context| self.poll_message(context)).await {
                Ok(message) => {
                    if let Err(error) = self.session.handle_message(&message) {
                        return error.into();
                    }
                }
                Err(end) => return end,
            }
            while let Some(event) = self.session.poll_event() {
                let message = self.input(event);
                if self.driver.send(message).await.is_err() {
                    return End::Ordered;
                }
            }
        }
    }

    /// Sends what there is to send and yields the next message of the other side.
    fn poll_message(&mut self, context: &mut Context<'_>) -> Poll<Result<Vec<u8>, End>> {
        if let Err(end) = self.poll_orders(context) {
            return Poll::Ready(Err(end));
        }
        match self.poll_send(context) {
            Ok(true) if self.closing => return Poll::Ready(Err(End::Ordered)),
            Ok(_) => {}
            Err(end) => return Poll::Ready(Err(end)),
        }
        for (timer, stage) in [(&mut self.deadline, self.stage), (&mut self.stall, "taking what we send")] {
            if timer.as_mut().is_some_and(|timer| timer.as_mut().poll(context).is_ready()) {
                return Poll::Ready(Err(End::Slow(stage)));
            }
        }
        if self.closing {
            return Poll::Pending;
        }
        self.link.poll_receive(context).map(|received| received?.ok_or(End::Closed))
    }

    /// Takes all orders, so that a wish to close is seen even while the link takes nothing.
    fn poll_orders(&mut self, context: &mut Context<'_>) -> Result<(), End> {
        while let Poll::Ready(order) = self.orders.poll_recv(context) {
            match order {
                None if self.closing => return Ok(()),
                None => return Err(End::Ordered),
                Some(Order::Close) if !self.closing => {
                    self.closing = true;
                    self.stage = "closing";
                    self.deadline = Some(Box::pin(sleep(CLOSE_TIMEOUT)));
                }
                Some(_) if self.closing => {}
                Some(order) => self.waiting.push_back(order),
            }
        }
        Ok(())
    }

    /// Seals and sends as much as the link takes; `true` once everything has left.
    fn poll_send(&mut self, context: &mut Context<'_>) -> Result<bool, End> {
        loop {
            let message = match self.outgoing.take().or_else(|| self.session.poll_message()) {
                Some(message) => message,
                None => match self.waiting.pop_front() {
                    Some(order) => {
                        self.carry_out(order)?;
                        continue;
                    }
                    None => return Ok(self.link.poll_flush(context).map_err(End::from)?.is_ready()),
                },
            };
            match self.link.poll_ready(context)? {
                Poll::Ready(()) => {
                    self.link.start_send(&message)?;
                    self.stall = None;
                }
                Poll::Pending => {
                    self.outgoing = Some(message);
                    self.stall.get_or_insert_with(|| Box::pin(sleep(STALL_TIMEOUT)));
                    return Ok(false);
                }
            }
        }
    }

    fn carry_out(&mut self, order: Order) -> Result<(), SessionError> {
        match order {
            Order::Recognise(list) => self.session.recognise(&list),
            Order::Confirm(verdict) => self.session.confirm(verdict),
            Order::Transmit(record) => {
                self.queued.fetch_sub(cost(&record), Ordering::AcqRel);
                self.session.seal_record(&record)
            }
            Order::Close => Ok(()),
        }
    }

    /// What the driver is told of an event; the stage of the link follows it.
    fn input(&mut self, event: SessionEvent) -> Message {
        let link = self.id;
        Message::FromLink(match event {
            SessionEvent::Handshaken(info) => {
                self.stage = "recognising";
                self.deadline = Some(Box::pin(sleep(RECOGNITION_TIMEOUT)));
                Input::Handshaken { link, properties: self.properties, info }
            }
            SessionEvent::PeerList(list) => Input::PeerList { link, list },
            SessionEvent::Open { recognised } => {
                self.stage = "open";
                self.deadline = None;
                self.place = None;
                Input::Open { link, recognised }
            }
            SessionEvent::Record(record) => Input::Record { link, record },
        })
    }
}
