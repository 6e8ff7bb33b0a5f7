//! Makes a profile: name, passphrase, visibility; or restores one from a backup.

use ratatui::{Frame, layout::Rect};

use super::{Context, Look, Step, UiInput, View};
use crate::keymap::Action;

/// Makes a profile: name, passphrase, visibility; or restores one from a backup.
#[derive(Debug)]
pub(crate) struct Onboarding;

impl Onboarding {
    /// As it opens.
    pub(crate) fn new() -> Self {
        Self
    }
}

impl View for Onboarding {
    fn title(&self, _look: &Look<'_>) -> String {
        "onboarding".to_owned()
    }

    fn handle(&mut self, input: UiInput, _context: &mut Context<'_>) -> Step {
        match input {
            UiInput::Action(Action::Back) => Step::Close,
            _ => Step::Stay,
        }
    }

    fn render(&self, _look: &Look<'_>, _frame: &mut Frame<'_>, _area: Rect) {}
}
