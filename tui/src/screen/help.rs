//! The keys, from the one table.

use ratatui::{Frame, layout::Rect};

use super::{Context, Look, Step, UiInput, View};
use crate::keymap::Action;

/// The keys, from the one table.
#[derive(Debug)]
pub(crate) struct Help;

impl Help {
    /// As it opens.
    pub(crate) fn new() -> Self {
        Self
    }
}

impl View for Help {
    fn title(&self, _look: &Look<'_>) -> String {
        "help".to_owned()
    }

    fn handle(&mut self, input: UiInput, _context: &mut Context<'_>) -> Step {
        match input {
            UiInput::Action(Action::Back) => Step::Close,
            _ => Step::Stay,
        }
    }

    fn render(&self, _look: &Look<'_>, _frame: &mut Frame<'_>, _area: Rect) {}
}
