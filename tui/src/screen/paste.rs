//! Takes a link of somebody else.

use ratatui::{Frame, layout::Rect};

use super::{Context, Look, Step, UiInput, View};
use crate::keymap::Action;

/// Takes a link of somebody else.
#[derive(Debug)]
pub(crate) struct Paste;

impl Paste {
    /// As it opens.
    pub(crate) fn new() -> Self {
        Self
    }
}

impl View for Paste {
    fn title(&self, _look: &Look<'_>) -> String {
        "paste".to_owned()
    }

    fn handle(&mut self, input: UiInput, _context: &mut Context<'_>) -> Step {
        match input {
            UiInput::Action(Action::Back) => Step::Close,
            _ => Step::Stay,
        }
    }

    fn render(&self, _look: &Look<'_>, _frame: &mut Frame<'_>, _area: Rect) {}
}
