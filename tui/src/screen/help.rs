//! What a newcomer needs, the signs, the keys from the one table, the commands from the other.

use hedgerow_sync::view::MessageState;
use ratatui::{Frame, layout::Rect, text::Line};

use super::{Context, Look, Step, UiInput, View, body};
use crate::{
    command::COMMANDS,
    keymap::{self, Action, BINDINGS, Binding, SCOPES, Scope},
    text,
    widget::{Scroll, Sheet},
};

/// Cells for the names of keys (policy): all but the longest; those stand on a line of their own.
const KEYS: usize = 21;

/// The keys and what else helps.
#[derive(Debug)]
pub(crate) struct Help {
    scroll: Scroll,
}

impl Help {
    /// As it opens.
    pub(crate) fn new() -> Self {
        Self { scroll: Scroll::default() }
    }

    fn lines(look: &Look<'_>, width: usize) -> Vec<Line<'static>> {
        let mut page = Sheet::new(width, &look.options.theme);
        first_steps(&mut page);
        signs(look, &mut page);
        keys(&mut page);
        commands(&mut page);
        page.into_lines()
    }
}

/// The key of an action, as the table has it.
fn key(action: Action) -> String {
    keymap::binding(action).and_then(|binding| binding.keys.first()).map(|key| key.name()).unwrap_or_default()
}

fn first_steps(page: &mut Sheet) {
    page.heading("The three things to know");
    let steps = [
        format!("{} adds somebody: in this room, or by a link.", key(Action::AddContact)),
        format!("Choose a conversation, type, {} sends. It arrives when a way is there; you need not wait.", key(Action::Accept)),
        format!("{} finds everything else by typing. {} goes one step back.", key(Action::Palette), key(Action::Back)),
    ];
    for (number, step) in steps.iter().enumerate() {
        page.pair(&format!("{}.", number + 1), 3, step);
    }
}

fn signs(look: &Look<'_>, page: &mut Sheet) {
    page.heading("The signs beside what you wrote");
    let column = text::STATES.iter().map(|state| sign(look, *state).chars().count()).max().unwrap_or(0) + 2;
    for state in text::STATES {
        page.pair(&sign(look, state), column, text::state_help(state));
    }
    page.note(&format!("{} tells of each message where it is and why.", key(Action::Where)));
    page.heading("The signs beside names");
    for (sign, word, help) in text::name_signs() {
        page.pair(&if look.options.words { word.to_owned() } else { format!("{sign} {word}") }, column, help);
    }
}

fn sign(look: &Look<'_>, state: MessageState) -> String {
    let (sign, word) = text::state(state);
    if look.options.words { word.to_owned() } else { format!("{sign} {word}") }
}

fn keys(page: &mut Sheet) {
    for (scope, heading) in SCOPES {
        let of_scope: Vec<&Binding> = BINDINGS.iter().filter(|binding| binding.scopes.first() == Some(scope)).collect();
        if of_scope.is_empty() {
            continue;
        }
        page.heading(heading);
        for binding in of_scope {
            page.pair(&binding.key_names(), KEYS, binding.help);
        }
    }
}

fn commands(page: &mut Sheet) {
    page.heading("Commands, written in a conversation or found by typing");
    let column = COMMANDS.iter().map(|row| row.usage().len()).max().unwrap_or(0) + 2;
    for row in COMMANDS {
        page.pair(&row.usage(), column, row.help);
    }
    page.note("Tab completes a command. A message that begins with / is written with two of them.");
}

impl View for Help {
    fn title(&self, _look: &Look<'_>) -> String {
        "help".to_owned()
    }

    fn scope(&self) -> Scope {
        Scope::List
    }

    fn writes(&self) -> bool {
        false
    }

    fn hints(&self, _look: &Look<'_>) -> Vec<Action> {
        vec![Action::Back, Action::PageDown, Action::PageUp, Action::Palette]
    }

    fn handle(&mut self, input: UiInput, context: &mut Context<'_>) -> Step {
        let area = body(&context.look(), context.size);
        let lines = Self::lines(&context.look(), area.width.into()).len();
        match input {
            UiInput::Action(Action::Back | Action::Accept) => Step::Close,
            input => {
                self.scroll.handle(&input, lines, area.height.into());
                Step::Stay
            }
        }
    }

    fn render(&self, look: &Look<'_>, frame: &mut Frame<'_>, area: Rect) {
        self.scroll.render(Self::lines(look, area.width.into()), &look.options.theme, frame, area);
    }
}
