//! One contact: verify, rename, mute, block, remove.

use ratatui::{Frame, layout::Rect};

use super::{Context, Look, Step, UiInput, View};
use crate::keymap::Action;

/// One contact: verify, rename, mute, block, remove.
#[derive(Debug)]
pub(crate) struct ContactScreen;

impl ContactScreen {
    /// The screen of a contact.
    pub(crate) fn new(contact: hedgerow_sync::id::ContactId) -> Self {
        let _ = contact;
        Self
    }
}

impl View for ContactScreen {
    fn title(&self, _look: &Look<'_>) -> String {
        "contact".to_owned()
    }

    fn handle(&mut self, input: UiInput, _context: &mut Context<'_>) -> Step {
        match input {
            UiInput::Action(Action::Back) => Step::Close,
            _ => Step::Stay,
        }
    }

    fn render(&self, _look: &Look<'_>, _frame: &mut Frame<'_>, _area: Rect) {}
}
