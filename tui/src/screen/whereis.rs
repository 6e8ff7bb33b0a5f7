//! Where a message is, and why.

use ratatui::{Frame, layout::Rect};

use super::{Context, Look, Step, UiInput, View};
use crate::keymap::Action;

/// Where a message is, and why.
#[derive(Debug)]
pub(crate) struct WhereIs;

impl WhereIs {
    /// The way of a message.
    pub(crate) fn new(message: hedgerow_sync::id::MessageId) -> Self {
        let _ = message;
        Self
    }
}

impl View for WhereIs {
    fn title(&self, _look: &Look<'_>) -> String {
        "whereis".to_owned()
    }

    fn handle(&mut self, input: UiInput, _context: &mut Context<'_>) -> Step {
        match input {
            UiInput::Action(Action::Back) => Step::Close,
            _ => Step::Stay,
        }
    }

    fn render(&self, _look: &Look<'_>, _frame: &mut Frame<'_>, _area: Rect) {}
}
