//! Ways back to the clients: answers that cannot be forgotten, queues that cannot grow without end.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use serde::Serialize;
use serde_json::Value;
use tokio::sync::{Notify, OwnedSemaphorePermit, mpsc};

use crate::{failure::Failure, json};

/// A client that has so many bytes waiting is not reading, and is dropped at the next (policy). One answer alone may be longer.
const MAX_QUEUED_BYTES: usize = 4 << 20;

/// The lines that wait for one client. Never blocks.
#[derive(Clone)]
pub(super) struct Outbox {
    lines: mpsc::UnboundedSender<Arc<str>>,
    state: Arc<OutboxState>,
}

#[derive(Default)]
struct OutboxState {
    queued: AtomicUsize,
    overflow: Notify,
}

impl Outbox {
    /// Makes an outbox and the end from which its lines are taken.
    pub(super) fn new() -> (Self, OutboxLines) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let state = Arc::new(OutboxState::default());
        (Self { lines: sender, state: Arc::clone(&state) }, OutboxLines { lines: receiver, state })
    }

    /// Queues a line, or gives the client up.
    pub(super) fn push(&self, line: Arc<str>) {
        if self.state.queued.fetch_add(line.len(), Ordering::AcqRel) > MAX_QUEUED_BYTES {
            self.state.overflow.notify_one();
            return;
        }
        // It only fails for a client that is gone.
        let _ = self.lines.send(line);
    }

    /// Gives the client up.
    pub(super) fn give_up(&self) {
        self.state.overflow.notify_one();
    }

    /// Ends once the client is to be given up.
    pub(super) async fn overflow(&self) {
        self.state.overflow.notified().await;
    }
}

/// The end of an outbox at the socket.
pub(super) struct OutboxLines {
    lines: mpsc::UnboundedReceiver<Arc<str>>,
    state: Arc<OutboxState>,
}

impl OutboxLines {
    /// Waits for the next line; `None` once no one can write one any more.
    pub(super) async fn next(&mut self) -> Option<Arc<str>> {
        self.lines.recv().await
    }

    /// Notes that a line has left.
    pub(super) fn sent(&self, line: &str) {
        self.state.queued.fetch_sub(line.len(), Ordering::AcqRel);
    }
}

#[derive(Serialize)]
struct Success<'a, T> {
    jsonrpc: &'static str,
    id: &'a Value,
    result: T,
}

#[derive(Serialize)]
struct Refusal<'a> {
    jsonrpc: &'static str,
    id: &'a Value,
    error: RefusalBody<'a>,
}

#[derive(Serialize)]
struct RefusalBody<'a> {
    code: i64,
    message: &'a str,
    data: RefusalData,
}

#[derive(Serialize)]
struct RefusalData {
    kind: &'static str,
}

/// The line that refuses a request.
pub(super) fn refusal(id: &Value, failure: &Failure) -> String {
    let data = RefusalData { kind: failure.kind.word() };
    let error = RefusalBody { code: failure.kind.code(), message: &failure.message, data };
    json::line(&Refusal { jsonrpc: "2.0", id, error }).unwrap_or_default()
}

/// The duty to answer one request: dropped unanswered, it says that the daemon is stopping.
pub(super) struct ReplyTo {
    outbox: Outbox,
    /// Absent for notifications, which get no answer.
    id: Option<Value>,
    answered: bool,
    /// One of the client's places for requests under way.
    _place: OwnedSemaphorePermit,
}

impl ReplyTo {
    /// Takes on the duty.
    pub(super) fn new(outbox: Outbox, id: Option<Value>, place: OwnedSemaphorePermit) -> Self {
        Self { outbox, id, answered: false, _place: place }
    }

    /// Answers.
    pub(super) fn succeed(mut self, result: impl Serialize) {
        self.answered = true;
        if let Some(id) = &self.id
            && let Some(line) = json::line(&Success { jsonrpc: "2.0", id, result })
        {
            self.outbox.push(line.into());
        }
    }

    /// Refuses.
    pub(super) fn fail(mut self, failure: &Failure) {
        self.refuse(failure);
    }

    fn refuse(&mut self, failure: &Failure) {
        self.answered = true;
        if let Some(id) = &self.id {
            self.outbox.push(refusal(id, failure).into());
        }
    }
}

impl Drop for ReplyTo {
    fn drop(&mut self) {
        if !self.answered {
            self.refuse(&Failure::stopping());
        }
    }
}
