//! People in one room: choose each other, compare words.

use ratatui::{Frame, layout::Rect};

use super::{Context, Look, Step, UiInput, View};
use crate::keymap::Action;

/// People in one room: choose each other, compare words.
#[derive(Debug)]
pub(crate) struct NearbyScreen;

impl NearbyScreen {
    /// As it opens.
    pub(crate) fn new() -> Self {
        Self
    }
}

impl View for NearbyScreen {
    fn title(&self, _look: &Look<'_>) -> String {
        "nearby".to_owned()
    }

    fn handle(&mut self, input: UiInput, _context: &mut Context<'_>) -> Step {
        match input {
            UiInput::Action(Action::Back) => Step::Close,
            _ => Step::Stay,
        }
    }

    fn render(&self, _look: &Look<'_>, _frame: &mut Frame<'_>, _area: Rect) {}
}
