//! What a person can decide.

use ratatui::{Frame, layout::Rect};

use super::{Context, Look, Step, UiInput, View};
use crate::keymap::Action;

/// What a person can decide.
#[derive(Debug)]
pub(crate) struct SettingsScreen;

impl SettingsScreen {
    /// With a file's path in the field for a backup.
    pub(crate) fn for_backup(path: &str) -> Self {
        let _ = path;
        Self
    }

    /// As it opens.
    pub(crate) fn new() -> Self {
        Self
    }
}

impl View for SettingsScreen {
    fn title(&self, _look: &Look<'_>) -> String {
        "settings".to_owned()
    }

    fn handle(&mut self, input: UiInput, _context: &mut Context<'_>) -> Step {
        match input {
            UiInput::Action(Action::Back) => Step::Close,
            _ => Step::Stay,
        }
    }

    fn render(&self, _look: &Look<'_>, _frame: &mut Frame<'_>, _area: Rect) {}
}
