//! The locked screen: nothing of the person's is shown until the passphrase is typed. The daemon goes on.

use ratatui::Frame;

use super::{Context, Look, UiInput};
use crate::{Refusal, Reply, RequestId};

/// The locked screen.
#[derive(Debug)]
pub(crate) struct LockScreen;

impl LockScreen {
    /// As it comes.
    pub(crate) fn new() -> Self {
        Self
    }

    /// Takes an input; all of them come here while it is there.
    pub(crate) fn handle(&mut self, input: UiInput, context: &mut Context<'_>) {
        let _ = (input, context);
    }

    /// A reply has come: `Some(true)` if it opens the screen, `Some(false)` if it was asked for here and does not.
    pub(crate) fn replied(&mut self, id: RequestId, result: &Result<Reply, Refusal>, context: &mut Context<'_>) -> Option<bool> {
        let _ = (id, result, context);
        None
    }

    /// Draws it over the whole terminal.
    pub(crate) fn render(&self, look: &Look<'_>, frame: &mut Frame<'_>) {
        let _ = (look, frame);
    }
}
