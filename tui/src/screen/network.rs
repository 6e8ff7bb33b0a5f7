//! Neighbours, what is carried for others, space, clock, what leaks below us.

use ratatui::{Frame, layout::Rect};

use super::{Context, Look, Step, UiInput, View};
use crate::keymap::Action;

/// Neighbours, what is carried for others, space, clock, what leaks below us.
#[derive(Debug)]
pub(crate) struct Network;

impl Network {
    /// As it opens.
    pub(crate) fn new() -> Self {
        Self
    }
}

impl View for Network {
    fn title(&self, _look: &Look<'_>) -> String {
        "network".to_owned()
    }

    fn handle(&mut self, input: UiInput, _context: &mut Context<'_>) -> Step {
        match input {
            UiInput::Action(Action::Back) => Step::Close,
            _ => Step::Stay,
        }
    }

    fn render(&self, _look: &Look<'_>, _frame: &mut Frame<'_>, _area: Rect) {}
}
