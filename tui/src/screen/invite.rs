//! A one-time link of ours, as text and QR code.

use ratatui::{Frame, layout::Rect};

use super::{Context, Look, Step, UiInput, View};
use crate::keymap::Action;

/// A one-time link of ours, as text and QR code.
#[derive(Debug)]
pub(crate) struct Invite;

impl Invite {
    /// As it opens.
    pub(crate) fn new() -> Self {
        Self
    }
}

impl View for Invite {
    fn title(&self, _look: &Look<'_>) -> String {
        "invite".to_owned()
    }

    fn handle(&mut self, input: UiInput, _context: &mut Context<'_>) -> Step {
        match input {
            UiInput::Action(Action::Back) => Step::Close,
            _ => Step::Stay,
        }
    }

    fn render(&self, _look: &Look<'_>, _frame: &mut Frame<'_>, _area: Rect) {}
}
