//! Everything that can be done, found by typing.

use crossterm::event::{MouseButton, MouseEventKind};
use hedgerow_sync::id::ContactId;
use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    text::{Line, Span},
    widgets::Paragraph,
};

use super::{Context, Look, Step, UiInput, View, Written, body};
pub(crate) use crate::command::{complete, run};
use crate::{
    clean,
    command::{self, COMMANDS, Row},
    fuzzy,
    keymap::Action,
    model::Model,
    widget::{Editor, Selection},
};

/// Longest line that can be typed, bytes (policy): a link with room to spare.
const MAX_LINE: usize = 1_024;
/// What a command's name counts more than its sentence: letters found in the name are nearer to what is meant.
const NAME_WEIGHT: u32 = 3;
/// Cells between a command and its sentence.
const GAP: usize = 2;

/// The list of everything that can be done, and the field that filters it.
#[derive(Debug)]
pub(crate) struct Palette {
    line: Editor,
    selection: Selection,
}

/// One thing that can be done.
#[derive(Clone, Copy, Debug)]
enum Entry {
    /// A conversation is opened.
    Chat(ContactId),
    /// A command is run.
    Command(&'static Row),
}

impl Palette {
    /// As it opens.
    pub(crate) fn new() -> Self {
        Self { line: Editor::line(MAX_LINE), selection: Selection::default() }
    }

    /// What fits to what is typed, best first.
    fn entries(&self, model: &Model) -> Vec<Entry> {
        let typed = self.line.text().trim();
        let (name, rest) = command::split(typed);
        // A whole command with something behind it is that command.
        if let Some(row) = command::find(&name).filter(|row| !rest.is_empty() && !row.arguments.is_empty()) {
            return vec![Entry::Command(row)];
        }
        let mut found: Vec<(u32, Entry)> = COMMANDS.iter().filter_map(|row| Some((score(typed, row)?, Entry::Command(row)))).collect();
        if !typed.starts_with('/') {
            let named = model.contacts.values().filter_map(|contact| Some((contact.contact, contact.name.as_ref()?)));
            found.extend(named.filter_map(|(id, name)| Some((NAME_WEIGHT * fuzzy::score(typed, name)?, Entry::Chat(id)))));
        }
        // Stable: what fits alike stays in the order of the table, conversations last.
        found.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
        found.into_iter().map(|(_, entry)| entry).collect()
    }

    fn chosen(&self, model: &Model) -> Option<Entry> {
        let entries = self.entries(model);
        entries.get(self.selection.row(entries.len())?).copied()
    }

    fn accept(&mut self, context: &mut Context<'_>) -> Step {
        let (name, rest) = command::split(self.line.text());
        match self.chosen(context.model) {
            None => {
                context.toast("Nothing fits to what is typed; Backspace widens the search.");
                Step::Stay
            }
            Some(Entry::Chat(contact)) => Step::Chat(contact),
            Some(Entry::Command(row)) if row.name == name => self.run(row, rest.to_owned()),
            Some(Entry::Command(row)) => self.run(row, String::new()),
        }
    }

    /// Runs a command, or begins it where something must follow.
    fn run(&mut self, row: &Row, rest: String) -> Step {
        if rest.is_empty() && row.needs_argument() {
            self.begin(row);
            return Step::Stay;
        }
        Step::Run(Written(format!("/{} {rest}", row.name)))
    }

    fn begin(&mut self, row: &Row) {
        self.line.set(&format!("/{} ", row.name));
        self.selection = Selection::default();
    }

    fn handle_action(&mut self, action: Action, context: &mut Context<'_>) -> Step {
        match action {
            Action::Back => return Step::Close,
            Action::Accept => return self.accept(context),
            Action::Next => {
                if let Some(completed) = complete(self.line.text()) {
                    self.line.set(&completed);
                } else if let Some(Entry::Command(row)) = self.chosen(context.model)
                    && command::find(&command::split(self.line.text()).0).is_none()
                {
                    self.begin(row);
                }
            }
            action => {
                let (rows, page) = (self.entries(context.model).len(), page(body(&context.look(), context.size)));
                self.selection.handle(action, rows, page);
            }
        }
        Step::Stay
    }

    fn handle_mouse(&mut self, kind: MouseEventKind, row: u16, context: &mut Context<'_>) -> Step {
        let area = list_area(body(&context.look(), context.size));
        let rows = self.entries(context.model).len();
        match kind {
            MouseEventKind::ScrollUp => drop(self.selection.handle(Action::Up, rows, 1)),
            MouseEventKind::ScrollDown => drop(self.selection.handle(Action::Down, rows, 1)),
            MouseEventKind::Down(MouseButton::Left) if (area.top()..area.bottom()).contains(&row) => {
                let clicked = self.selection.offset(rows, usize::from(area.height)) + usize::from(row - area.top());
                if clicked < rows {
                    self.selection.choose(clicked);
                    return self.accept(context);
                }
            }
            _ => {}
        }
        Step::Stay
    }

    fn list(&self, look: &Look<'_>, area: Rect) -> Vec<Line<'static>> {
        let entries = self.entries(look.model);
        let page = usize::from(area.height);
        let chosen = self.selection.row(entries.len());
        let column = COMMANDS.iter().map(|row| row.usage().len()).max().unwrap_or(0).min(usize::from(area.width) / 2) + GAP;
        let seen = entries.iter().enumerate().skip(self.selection.offset(entries.len(), page)).take(page);
        seen.map(|(index, entry)| entry_line(*entry, Some(index) == chosen, column, look, usize::from(area.width))).collect()
    }
}

/// How well a command fits: by its name, or by its sentence.
fn score(typed: &str, row: &Row) -> Option<u32> {
    let name = typed.strip_prefix('/').unwrap_or(typed);
    let by_name = fuzzy::score(name, row.name).map(|score| NAME_WEIGHT * score);
    // A sentence holds almost any letters somewhere: its words must be typed as they are.
    let sentence = || row.help.to_lowercase().contains(&typed.to_lowercase()).then_some(1);
    if typed.starts_with('/') { by_name } else { by_name.or_else(sentence) }
}

fn entry_line(entry: Entry, chosen: bool, column: usize, look: &Look<'_>, width: usize) -> Line<'static> {
    let theme = &look.options.theme;
    let (head, words) = match entry {
        Entry::Chat(contact) => {
            let name = look.model.contacts.get(&contact).and_then(|contact| contact.name.as_deref()).unwrap_or_default();
            (clean::name(name), "open the conversation".to_owned())
        }
        Entry::Command(row) => (row.usage(), row.help.to_owned()),
    };
    let mark = if chosen { "> " } else { "  " };
    let head = clean::fit(&head, column.saturating_sub(GAP).max(1));
    let pad = " ".repeat(column.saturating_sub(clean::width(&head)));
    let used = clean::width(mark) + column.max(clean::width(&head));
    let words = clean::fit(&words, width.saturating_sub(used));
    let line = Line::from(vec![Span::raw(mark), Span::styled(head, theme.accent), Span::raw(pad), Span::styled(words, theme.dim)]);
    if chosen { line.style(theme.selected) } else { line }
}

fn list_area(body: Rect) -> Rect {
    let [_, _, list] = Layout::vertical([Constraint::Length(1), Constraint::Length(1), Constraint::Min(0)]).areas(body);
    list
}

fn page(body: Rect) -> usize {
    usize::from(list_area(body).height)
}

impl View for Palette {
    fn title(&self, _look: &Look<'_>) -> String {
        "commands".to_owned()
    }

    fn label(&self, _look: &Look<'_>, action: Action) -> Option<&'static str> {
        match action {
            Action::Accept => Some("do it"),
            Action::Next => Some("complete"),
            _ => None,
        }
    }

    fn hints(&self, _look: &Look<'_>) -> Vec<Action> {
        vec![Action::Accept, Action::Back, Action::Next, Action::Help]
    }

    fn handle(&mut self, input: UiInput, context: &mut Context<'_>) -> Step {
        match input {
            UiInput::Action(action) => return self.handle_action(action, context),
            UiInput::Mouse(mouse) => return self.handle_mouse(mouse.kind, mouse.row, context),
            UiInput::Key(key) => drop(self.line.handle(&key)),
            UiInput::Paste(text) => drop(self.line.insert(&text)),
        }
        self.selection = Selection::default();
        Step::Stay
    }

    fn render(&self, look: &Look<'_>, frame: &mut Frame<'_>, area: Rect) {
        let theme = &look.options.theme;
        let rows = [Constraint::Length(1), Constraint::Length(1), Constraint::Min(0)];
        let [field, rule, list] = Layout::vertical(rows).areas(area);
        let [prompt, text] = Layout::horizontal([Constraint::Length(2), Constraint::Min(0)]).areas(field);
        frame.render_widget(Paragraph::new("> ").style(theme.accent), prompt);
        self.line.render(frame, text, theme.text, true);
        let words =
            if self.line.is_empty() { "Type what you want to do, or a name; Enter does it." } else { "Enter does the chosen line." };
        frame.render_widget(Paragraph::new(clean::fit(words, rule.width.into())).style(theme.dim), rule);
        let lines = self.list(look, list);
        if lines.is_empty() {
            let words = "Nothing fits. Backspace widens the search, Esc goes back.";
            frame.render_widget(Paragraph::new(clean::fit(words, list.width.into())), list);
        } else {
            frame.render_widget(Paragraph::new(lines), list);
        }
    }
}
