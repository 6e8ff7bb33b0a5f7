//! The ways to add a contact.

use ratatui::{Frame, layout::Rect};

use super::{Context, Look, Step, UiInput, View};
use crate::keymap::Action;

/// The ways to add a contact.
#[derive(Debug)]
pub(crate) struct Add;

impl Add {
    /// As it opens.
    pub(crate) fn new() -> Self {
        Self
    }
}

impl View for Add {
    fn title(&self, _look: &Look<'_>) -> String {
        "add".to_owned()
    }

    fn handle(&mut self, input: UiInput, _context: &mut Context<'_>) -> Step {
        match input {
            UiInput::Action(Action::Back) => Step::Close,
            _ => Step::Stay,
        }
    }

    fn render(&self, _look: &Look<'_>, _frame: &mut Frame<'_>, _area: Rect) {}
}
