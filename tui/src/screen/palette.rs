//! Everything that can be done, found by typing.

use ratatui::{Frame, layout::Rect};

use super::{Context, Look, Step, UiInput, View};
use crate::keymap::Action;

/// Everything that can be done, found by typing.
#[derive(Debug)]
pub(crate) struct Palette;

impl Palette {
    /// As it opens.
    pub(crate) fn new() -> Self {
        Self
    }
}

impl View for Palette {
    fn title(&self, _look: &Look<'_>) -> String {
        "palette".to_owned()
    }

    fn handle(&mut self, input: UiInput, _context: &mut Context<'_>) -> Step {
        match input {
            UiInput::Action(Action::Back) => Step::Close,
            _ => Step::Stay,
        }
    }

    fn render(&self, _look: &Look<'_>, _frame: &mut Frame<'_>, _area: Rect) {}
}
