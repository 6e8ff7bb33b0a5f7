//! What a screen has asked and waits for, one thing at a time, and why the last was not done.

use hedgerow_sync::view::Command;

use super::Context;
use crate::{Refusal, Reply, RequestId};

/// One open request, with what it is about, and the last refusal.
#[derive(Debug)]
pub(super) struct Asking<T> {
    open: Option<(RequestId, T)>,
    refusal: Option<Refusal>,
}

impl<T> Asking<T> {
    /// Nothing is asked.
    pub(super) fn new() -> Self {
        Self { open: None, refusal: None }
    }

    /// Asks, unless an earlier request is still open. Without a daemon nothing is asked, and that is said.
    pub(super) fn ask(&mut self, command: Command, what: T, context: &mut Context<'_>) {
        if self.open.is_some() {
            return;
        }
        self.refusal = None;
        if context.model.is_attached() {
            self.open = Some((context.command(command), what));
        } else {
            self.refusal = Some(Refusal { kind: "absent".to_owned(), message: String::new() });
        }
    }

    /// Takes a reply: what it is about, and what it says unless it is a refusal. `None` if something else was asked under this id.
    pub(super) fn take<'r>(&mut self, id: RequestId, result: &'r Result<Reply, Refusal>) -> Option<(T, Option<&'r Reply>)> {
        let (_, what) = self.open.take_if(|(open, _)| *open == id)?;
        self.refusal = result.as_ref().err().cloned();
        Some((what, result.as_ref().ok()))
    }

    /// Forgets why the last request was not done.
    pub(super) fn forgive(&mut self) {
        self.refusal = None;
    }

    /// Whether a reply is awaited.
    pub(super) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Why the last request was not done.
    pub(super) fn refusal(&self) -> Option<&Refusal> {
        self.refusal.as_ref()
    }
}
