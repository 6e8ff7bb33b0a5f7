//! Leaving: what goes on without the interface.

use std::cell::RefCell;

use crossterm::event::{MouseButton, MouseEventKind};
use ratatui::{Frame, layout::Rect};

use super::{Context, Look, Step, UiInput, View};
use crate::{
    keymap::Action,
    model::Model,
    widget::{Form, Selection, form::place_at},
};

/// What becomes of what is written and not sent.
const KEPT: &str = "What you have written and not sent is kept.";
/// The same without a daemon, which would keep it.
const NOT_KEPT: &str = "What you have written since the daemon went away is nowhere but here: it is lost if you leave now. Stay, and it is kept \
                        as soon as the daemon is back.";

/// A way to go on from here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Choice {
    /// The daemon goes on.
    Leave,
    /// It ends too.
    Stop,
    /// Nothing ends.
    Stay,
}

impl Choice {
    fn words(self, model: &Model) -> (&'static str, &'static str) {
        match self {
            Self::Leave if !model.is_attached() => {
                ("Leave", "Nothing is sent or received until a daemon runs again: `hedgerow` starts one.")
            }
            Self::Leave => ("Leave", "The daemon goes on: messages keep arriving and leaving, and `hedgerow` shows them again."),
            Self::Stop => ("Leave and stop the daemon", "Nothing is sent, received or carried until Hedgerow is started again."),
            Self::Stay => ("Stay", ""),
        }
    }
}

/// Leaving: what goes on without the interface.
#[derive(Debug)]
pub(crate) struct QuitScreen {
    selection: Selection,
    /// Where the choices were drawn.
    places: RefCell<Vec<Rect>>,
}

impl QuitScreen {
    /// As it opens.
    pub(crate) fn new() -> Self {
        Self { selection: Selection::default(), places: RefCell::default() }
    }

    /// What can be chosen: a daemon that is not there can't be stopped.
    fn choices(model: &Model) -> &'static [Choice] {
        if model.is_attached() { &[Choice::Leave, Choice::Stop, Choice::Stay] } else { &[Choice::Leave, Choice::Stay] }
    }

    fn take(&self, row: Option<usize>, model: &Model) -> Step {
        match row.and_then(|row| Self::choices(model).get(row)) {
            Some(Choice::Leave) => Step::Leave { stop_daemon: false },
            Some(Choice::Stop) => Step::Leave { stop_daemon: true },
            Some(Choice::Stay) | None => Step::Close,
        }
    }
}

impl View for QuitScreen {
    fn title(&self, _look: &Look<'_>) -> String {
        "leave".to_owned()
    }

    fn hints(&self, _look: &Look<'_>) -> Vec<Action> {
        vec![Action::Accept, Action::Back, Action::Help]
    }

    fn handle(&mut self, input: UiInput, context: &mut Context<'_>) -> Step {
        let rows = Self::choices(context.model).len();
        match input {
            UiInput::Action(Action::Back) => Step::Close,
            UiInput::Action(Action::Accept) => self.take(self.selection.row(rows), context.model),
            UiInput::Action(action) => {
                self.selection.handle(action, rows, rows);
                Step::Stay
            }
            UiInput::Mouse(mouse) if mouse.kind == MouseEventKind::Down(MouseButton::Left) => {
                let hit = place_at(&self.places.borrow(), mouse.column, mouse.row);
                let Some(row) = hit else { return Step::Stay };
                if self.selection.row(rows) == Some(row) {
                    return self.take(Some(row), context.model);
                }
                self.selection.choose(row);
                Step::Stay
            }
            UiInput::Key(_) | UiInput::Paste(_) | UiInput::Mouse(_) => Step::Stay,
        }
    }

    fn render(&self, look: &Look<'_>, frame: &mut Frame<'_>, area: Rect) {
        let theme = &look.options.theme;
        let mut form = Form::new(theme);
        form.words("Leave Hedgerow?", theme.strong).words(waiting(look.model), theme.text).gap();
        let choices = Self::choices(look.model);
        let chosen = self.selection.row(choices.len());
        for (row, choice) in choices.iter().enumerate() {
            let (name, detail) = choice.words(look.model);
            form.choice(name, detail, chosen == Some(row));
        }
        let (written, style) = if look.model.is_attached() { (KEPT, theme.dim) } else { (NOT_KEPT, theme.warn) };
        form.gap().words(written, style);
        self.places.replace(form.render(frame, area));
    }
}

/// What of the person's is still under way.
fn waiting(model: &Model) -> String {
    match model.status.as_ref().filter(|_| model.is_attached()).and_then(|status| status.node.as_ref()).map(|node| node.undelivered) {
        None => "The daemon does not answer now.".to_owned(),
        Some(0) => "None of your messages waits to be delivered.".to_owned(),
        Some(1) => "One of your messages is not delivered yet; it can only leave this device while the daemon runs.".to_owned(),
        Some(many) => format!("{many} of your messages are not delivered yet; they can only leave this device while the daemon runs."),
    }
}
