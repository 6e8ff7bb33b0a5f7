//! Leaving: what goes on without the interface.

use ratatui::{Frame, layout::Rect};

use super::{Context, Look, Step, UiInput, View};
use crate::keymap::Action;

/// Leaving: what goes on without the interface.
#[derive(Debug)]
pub(crate) struct QuitScreen;

impl QuitScreen {
    /// As it opens.
    pub(crate) fn new() -> Self {
        Self
    }
}

impl View for QuitScreen {
    fn title(&self, _look: &Look<'_>) -> String {
        "quit".to_owned()
    }

    fn handle(&mut self, input: UiInput, _context: &mut Context<'_>) -> Step {
        match input {
            UiInput::Action(Action::Back) => Step::Close,
            _ => Step::Stay,
        }
    }

    fn render(&self, _look: &Look<'_>, _frame: &mut Frame<'_>, _area: Rect) {}
}
