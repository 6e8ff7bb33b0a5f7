//! What can be done with one message.

use ratatui::{Frame, layout::Rect};

use super::{Context, Look, Step, UiInput, View};
use crate::keymap::Action;

/// What can be done with one message.
#[derive(Debug)]
pub(crate) struct MessageMenu;

impl MessageMenu {
    /// The menu of a message.
    pub(crate) fn new(message: hedgerow_sync::view::Message) -> Self {
        let _ = message;
        Self
    }
}

impl View for MessageMenu {
    fn title(&self, _look: &Look<'_>) -> String {
        "message".to_owned()
    }

    fn handle(&mut self, input: UiInput, _context: &mut Context<'_>) -> Step {
        match input {
            UiInput::Action(Action::Back) => Step::Close,
            _ => Step::Stay,
        }
    }

    fn render(&self, _look: &Look<'_>, _frame: &mut Frame<'_>, _area: Rect) {}
}
