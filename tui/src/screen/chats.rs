//! The conversations, and the open one with what is written to it.

use ratatui::{Frame, layout::Rect};

use super::{Context, Look, Step, UiInput, View};
use crate::keymap::Action;

/// The conversations, and the open one with what is written to it.
#[derive(Debug)]
pub(crate) struct Chats;

impl Chats {
    /// As it opens.
    pub(crate) fn new() -> Self {
        Self
    }

    /// Opens a conversation.
    pub(crate) fn open(&mut self, contact: hedgerow_sync::id::ContactId, context: &mut Context<'_>) {
        let _ = (contact, context);
    }
}

impl View for Chats {
    fn title(&self, _look: &Look<'_>) -> String {
        "chats".to_owned()
    }

    fn handle(&mut self, input: UiInput, _context: &mut Context<'_>) -> Step {
        match input {
            UiInput::Action(Action::Back) => Step::Close,
            _ => Step::Stay,
        }
    }

    fn render(&self, _look: &Look<'_>, _frame: &mut Frame<'_>, _area: Rect) {}
}
