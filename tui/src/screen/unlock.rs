//! Asks for the passphrase: to start a daemon, or to unlock the one that runs.

use ratatui::{Frame, layout::Rect};

use super::{Context, Look, Step, UiInput, View};
use crate::keymap::Action;

/// Asks for the passphrase: to start a daemon, or to unlock the one that runs.
#[derive(Debug)]
pub(crate) struct Unlock;

impl Unlock {
    /// At the start: there is a profile and no daemon.
    pub(crate) fn for_start() -> Self {
        Self
    }

    /// The daemon went away, and none runs.
    pub(crate) fn after_loss() -> Self {
        Self
    }

    /// The daemon runs, its profile is locked.
    pub(crate) fn for_locked() -> Self {
        Self
    }
}

impl View for Unlock {
    fn title(&self, _look: &Look<'_>) -> String {
        "unlock".to_owned()
    }

    fn handle(&mut self, input: UiInput, _context: &mut Context<'_>) -> Step {
        match input {
            UiInput::Action(Action::Back) => Step::Close,
            _ => Step::Stay,
        }
    }

    fn render(&self, _look: &Look<'_>, _frame: &mut Frame<'_>, _area: Rect) {}
}
