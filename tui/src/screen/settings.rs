//! What a person can decide. Each change is asked for at once, and shown when the daemon has done it.

use std::path::{Path, PathBuf};

use crossterm::event::{KeyCode, MouseButton, MouseEventKind};
use hedgerow_sync::{
    time::UnixMillis,
    view::{Answer, Command, Mode, Settings},
};
use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    text::{Line, Span},
    widgets::Paragraph,
};

use super::{Context, Look, Step, UiInput, View, body};
use crate::{
    Control, Refusal, Reply, Request, RequestId, clean,
    keymap::Action,
    text,
    widget::{Editor, Selection, Sheet},
};

/// Longest path, bytes (Linux).
const MAX_PATH: usize = 4_096;
/// Least and most space for what is carried, bytes (docs/api.md).
const SPACE: (u64, u64) = (1 << 20, 1 << 40);
/// Cells of the labels.
const LABEL: usize = 24;
/// Rows that tell about the chosen setting (policy), where there is room.
const ABOUT_ROWS: u16 = 7;

/// One row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Row {
    Mode,
    Relay,
    Space,
    Metered,
    Visible,
    Bell,
    Notify,
    Content,
    Mouse,
    Words,
    Backup,
    Restore,
    Passphrase,
}

/// All rows, as they are shown.
const ROWS: [Row; 13] = [
    Row::Mode,
    Row::Relay,
    Row::Space,
    Row::Metered,
    Row::Visible,
    Row::Bell,
    Row::Notify,
    Row::Content,
    Row::Mouse,
    Row::Words,
    Row::Backup,
    Row::Restore,
    Row::Passphrase,
];

/// The settings.
#[derive(Debug)]
pub(crate) struct SettingsScreen {
    selection: Selection,
    /// What was asked for, and of which row.
    asked: Option<(RequestId, Row)>,
    /// What came of the last change, of which row, and whether it was refused.
    outcome: Option<(Row, String, bool)>,
    path: Editor,
}

impl SettingsScreen {
    /// As it opens.
    pub(crate) fn new() -> Self {
        Self { selection: Selection::default(), asked: None, outcome: None, path: Editor::line(MAX_PATH) }
    }

    /// With the field for a backup in front, and a path in it.
    pub(crate) fn for_backup(path: &str) -> Self {
        let mut screen = Self::new();
        screen.path.set(path);
        screen.selection.choose(ROWS.iter().position(|row| *row == Row::Backup).unwrap_or(0));
        screen
    }

    fn chosen(&self) -> Row {
        self.selection.row(ROWS.len()).and_then(|row| ROWS.get(row)).copied().unwrap_or(Row::Mode)
    }

    /// Does what Enter asks for on the chosen row.
    fn accept(&mut self, context: &mut Context<'_>) -> Step {
        match self.chosen() {
            Row::Mouse => return Step::Act(Action::Mouse),
            Row::Backup => self.back_up(context),
            Row::Words | Row::Restore | Row::Passphrase => {}
            row => self.change(row, true, context),
        }
        Step::Stay
    }

    /// Asks for the next value of a row, or for the one before.
    fn change(&mut self, row: Row, forward: bool, context: &mut Context<'_>) {
        let Some(settings) = context.model.settings.filter(|_| context.model.is_attached()) else {
            self.outcome = Some((row, "The daemon is away; nothing has changed. Try again when it is back.".to_owned(), true));
            return;
        };
        // One change after the other: the next value depends on the answer.
        if self.asked.is_some() {
            return;
        }
        if let Some(command) = change(&settings, row, forward) {
            self.outcome = None;
            self.asked = Some((context.command(command), row));
        }
    }

    fn back_up(&mut self, context: &mut Context<'_>) {
        if !context.model.is_attached() {
            self.outcome = Some((Row::Backup, "The daemon is away; no backup was made. Try again when it is back.".to_owned(), true));
            return;
        }
        if self.asked.is_some() {
            return;
        }
        match absolute(self.path.text(), context.options.home) {
            Ok(path) => {
                self.outcome = None;
                self.asked = Some((context.ask(Request::Control(Control::Backup(path))), Row::Backup));
            }
            Err(words) => self.outcome = Some((Row::Backup, words.to_owned(), true)),
        }
    }

    fn handle_action(&mut self, action: Action, context: &mut Context<'_>) -> Step {
        match action {
            Action::Back => return Step::Close,
            Action::Accept => return self.accept(context),
            Action::Next => drop(self.selection.handle(Action::Down, ROWS.len(), 1)),
            Action::Previous => drop(self.selection.handle(Action::Up, ROWS.len(), 1)),
            action => {
                let [list, _] = areas(body(&context.look(), context.size));
                self.selection.handle(action, ROWS.len(), list.height.into());
            }
        }
        Step::Stay
    }

    fn handle_key(&mut self, key: crossterm::event::KeyEvent, context: &mut Context<'_>) -> Step {
        let row = self.chosen();
        match key.code {
            _ if row == Row::Backup => drop(self.path.handle(&key)),
            KeyCode::Char(' ') => return self.accept(context),
            KeyCode::Left => self.change(row, false, context),
            KeyCode::Right => self.change(row, true, context),
            _ => {}
        }
        Step::Stay
    }

    fn handle_mouse(&mut self, kind: MouseEventKind, row: u16, context: &mut Context<'_>) -> Step {
        let [list, _] = areas(body(&context.look(), context.size));
        match kind {
            MouseEventKind::ScrollUp => drop(self.selection.handle(Action::Up, ROWS.len(), 1)),
            MouseEventKind::ScrollDown => drop(self.selection.handle(Action::Down, ROWS.len(), 1)),
            MouseEventKind::Down(MouseButton::Left) if (list.top()..list.bottom()).contains(&row) => {
                let clicked = self.selection.offset(ROWS.len(), list.height.into()) + usize::from(row - list.top());
                // The first click chooses and tells about it, the second one changes.
                match clicked {
                    _ if clicked >= ROWS.len() => {}
                    _ if self.selection.row(ROWS.len()) == Some(clicked) => return self.accept(context),
                    _ => self.selection.choose(clicked),
                }
            }
            _ => {}
        }
        Step::Stay
    }

    fn row_line(&self, row: Row, look: &Look<'_>, width: usize) -> Line<'static> {
        let theme = &look.options.theme;
        let chosen = row == self.chosen();
        let column = LABEL.min(width / 2);
        let label = clean::fit(label(row), column.saturating_sub(1));
        let pad = " ".repeat(column.saturating_sub(clean::width(&label)));
        let is_asked = self.asked.is_some_and(|(_, asked)| asked == row);
        let value = if is_asked { "asking …".to_owned() } else { value(row, look) };
        let value = clean::fit(&value, width.saturating_sub(2 + column));
        let spans = vec![Span::raw(if chosen { "> " } else { "  " }), Span::raw(label), Span::raw(pad), Span::styled(value, theme.accent)];
        let line = Line::from(spans);
        if chosen { line.style(theme.selected) } else { line }
    }

    /// What the chosen row means, or what came of a change.
    fn about(&self, look: &Look<'_>, width: usize) -> Vec<Line<'static>> {
        let theme = &look.options.theme;
        let mut page = Sheet::new(width, theme);
        let row = self.chosen();
        match &self.outcome {
            Some((of, words, refused)) if *of == row => page.text(words, if *refused { theme.bad } else { theme.good }),
            _ => {}
        }
        page.text(about(row, look), theme.text);
        page.into_lines()
    }
}

/// What a change of a row asks of the node; `None` if there is nothing to change.
fn change(settings: &Settings, row: Row, forward: bool) -> Option<Command> {
    let (relay, alerts) = (settings.relay, settings.alerts);
    let set_relay = |on, bytes, metered| Command::SetRelay { on, bytes, metered };
    Some(match row {
        Row::Mode => Command::SetMode { mode: if settings.shown.mode == Mode::Mesh { Mode::Contacts } else { Mode::Mesh } },
        Row::Visible => Command::SetVisible { visible: !settings.shown.visible },
        Row::Relay => set_relay(Some(!relay.on), None, None),
        Row::Metered => set_relay(None, None, Some(!relay.metered)),
        Row::Space => {
            let bytes = if forward { relay.bytes.saturating_mul(2) } else { relay.bytes / 2 }.clamp(SPACE.0, SPACE.1);
            if bytes == relay.bytes {
                return None;
            }
            set_relay(None, Some(bytes), None)
        }
        Row::Bell => Command::SetAlerts { bell: Some(!alerts.bell), notify: None, content: None },
        Row::Notify => Command::SetAlerts { bell: None, notify: Some(!alerts.notify), content: None },
        Row::Content => Command::SetAlerts { bell: None, notify: None, content: Some(!alerts.content) },
        Row::Mouse | Row::Words | Row::Backup | Row::Restore | Row::Passphrase => return None,
    })
}

/// The absolute path for a backup; `~` is the person's home folder.
fn absolute(typed: &str, home: Option<&Path>) -> Result<String, &'static str> {
    const UNUSABLE: &str = "This path can't be used. Type one that begins with / or ~/.";
    let typed = typed.trim();
    if typed.is_empty() {
        return Err("Type the path of a file that does not exist yet, such as ~/hedgerow.backup.");
    }
    let path = match typed.strip_prefix("~/") {
        Some(rest) => home.ok_or("Your home folder is not known here. Type a path that begins with /.")?.join(rest),
        None => PathBuf::from(typed),
    };
    if !path.is_absolute() || typed.ends_with('/') {
        return Err("Type the whole path of a file: it begins with / or ~/.");
    }
    path.into_os_string().into_string().map_err(|_| UNUSABLE)
}

const fn label(row: Row) -> &'static str {
    match row {
        Row::Mode => "who carries",
        Row::Relay => "carry for others",
        Row::Space => "space for that",
        Row::Metered => "where networks cost",
        Row::Visible => "your name",
        Row::Bell => "bell",
        Row::Notify => "notification",
        Row::Content => "what it shows",
        Row::Mouse => "mouse",
        Row::Words => "signs",
        Row::Backup => "backup to",
        Row::Restore => "restore",
        Row::Passphrase => "passphrase",
    }
}

fn value(row: Row, look: &Look<'_>) -> String {
    let fixed = match row {
        Row::Mouse => "Enter or F8 changes it",
        Row::Words => {
            if look.options.words {
                "words"
            } else {
                "signs"
            }
        }
        Row::Restore => "see below",
        Row::Passphrase => "see below",
        // Drawn as a field.
        Row::Backup => "",
        _ => match look.model.settings {
            Some(settings) => return decided(row, &settings, look),
            None => "not known yet",
        },
    };
    fixed.to_owned()
}

/// What a person has decided.
fn decided(row: Row, settings: &Settings, look: &Look<'_>) -> String {
    let on = |on, yes: &'static str, no: &'static str| if on { yes } else { no }.to_owned();
    match row {
        Row::Mode => on(settings.shown.mode == Mode::Mesh, "strangers too (mesh)", "contacts only"),
        Row::Relay => on(settings.relay.on, "on", "off"),
        Row::Space => text::size(settings.relay.bytes),
        Row::Metered => on(settings.relay.metered, "carry there too", "do not carry there"),
        Row::Visible => visible(settings.shown.visible, settings.shown.visible_until, look),
        Row::Bell => on(settings.alerts.bell, "on", "off"),
        Row::Notify => on(settings.alerts.notify, "on", "off"),
        Row::Content => on(settings.alerts.content, "who wrote, and what", "only that something came"),
        Row::Mouse | Row::Words | Row::Backup | Row::Restore | Row::Passphrase => String::new(),
    }
}

fn visible(visible: bool, until: Option<UnixMillis>, look: &Look<'_>) -> String {
    match until.filter(|_| visible) {
        Some(until) => format!("told to all near, until {}", text::when(look.options, look.now.wall, until)),
        None if visible => "told to all near".to_owned(),
        None => "told to contacts only".to_owned(),
    }
}

/// What a setting means, and what it costs.
fn about(row: Row, look: &Look<'_>) -> &'static str {
    let is_mesh = look.model.settings.is_none_or(|settings| settings.shown.mode == Mode::Mesh);
    match row {
        Row::Mode if is_mesh => {
            "Now: strangers carry your sealed messages, and you theirs, so that they get furthest. Price: an active stranger can mark this \
             device by a bundle, and see how much it holds. A change ends all links for a moment."
        }
        Row::Mode => {
            "Now: only contacts carry; strangers are shown a device that holds nothing. Price: messages wait until you, or a contact, meet \
             their reader. A change ends all links for a moment."
        }
        Row::Relay => {
            "Carrying takes sealed messages of others along. Off: no space and traffic spent. Price: nobody carries for you either, so \
             that you and the reader must meet."
        }
        Row::Space => "Left and Right change it, by half and double. More space keeps messages of others longer, and more of a flood, too.",
        Row::Metered => "Whether to carry for others over networks that are known to cost money. Your own mail always goes.",
        Row::Visible => {
            "While it is told, people near find you by name; anybody near can note that you were here and when. It ends by itself after \
             12 hours, or when the network changes."
        }
        Row::Bell => "Rings the terminal's bell when a message comes. Muted contacts ring nothing.",
        Row::Notify => "Asks the terminal to show a notification when a message comes. Not every terminal can.",
        Row::Content => {
            "Others may see your screen: a notification tells who wrote and what only if you want it. Never while it is locked."
        }
        Row::Mouse => "The mouse chooses and scrolls here, or belongs to the terminal, so that you can select text as usual.",
        Row::Words => {
            "Words in place of signs, for screen readers and poor fonts: set HEDGEROW_WORDS=1 in the environment and start hedgerow again."
        }
        Row::Backup => {
            "Type a path, press Enter. The file holds all you have here, encrypted under your present passphrase: who has both has all. \
             Links end for a moment."
        }
        Row::Restore => {
            "A backup is restored where there is no profile yet: start hedgerow there and press Tab, or use hedgerow restore FILE. \
             Never run one profile in two places."
        }
        Row::Passphrase => {
            "Stop the daemon (leave with Ctrl-Q and choose to stop it), then run hedgerow passwd. Nobody can bring a forgotten passphrase \
             back."
        }
    }
}

/// The list, and what is told about the chosen row.
fn areas(body: Rect) -> [Rect; 2] {
    let about = ABOUT_ROWS.min(body.height / 2);
    let list = (ROWS.len() as u16).min(body.height - about);
    let [list, about, _] = Layout::vertical([Constraint::Length(list), Constraint::Length(about), Constraint::Min(0)]).areas(body);
    [list, about]
}

/// The words for a refusal: what happened, that nothing was lost, what to do.
fn refusal_words(row: Row, refusal: &Refusal) -> String {
    let message = clean::name(&refusal.message);
    match (row, refusal.kind.as_str()) {
        (_, "gone") => "The daemon went away before it answered: whether this was done shows when it is back.".to_owned(),
        (Row::Backup, "file") => format!("No backup was made: {message}. Choose another path; nothing has changed."),
        (Row::Backup, _) => format!("No backup was made: {message}. Nothing is lost."),
        _ => format!("This was not changed: {message}."),
    }
}

impl View for SettingsScreen {
    fn title(&self, _look: &Look<'_>) -> String {
        "settings".to_owned()
    }

    fn writes(&self) -> bool {
        self.chosen() == Row::Backup
    }

    fn label(&self, _look: &Look<'_>, action: Action) -> Option<&'static str> {
        (action == Action::Accept).then_some("change")
    }

    fn hints(&self, _look: &Look<'_>) -> Vec<Action> {
        vec![Action::Accept, Action::Back, Action::Network, Action::Help]
    }

    fn opened(&mut self, context: &mut Context<'_>) {
        if context.model.is_attached() {
            context.command(Command::Settings {});
        }
        if !self.path.is_empty() {
            self.back_up(context);
        }
    }

    fn attached(&mut self, _context: &mut Context<'_>) -> Step {
        // The settings are asked for by the interface itself; what was under way is told as gone.
        self.asked = None;
        Step::Stay
    }

    fn handle(&mut self, input: UiInput, context: &mut Context<'_>) -> Step {
        match input {
            UiInput::Action(action) => self.handle_action(action, context),
            UiInput::Key(key) => self.handle_key(key, context),
            UiInput::Mouse(mouse) => self.handle_mouse(mouse.kind, mouse.row, context),
            UiInput::Paste(text) => {
                if self.chosen() == Row::Backup {
                    self.path.insert(text.trim());
                }
                Step::Stay
            }
        }
    }

    fn replied(&mut self, id: RequestId, result: &Result<Reply, Refusal>, _context: &mut Context<'_>) -> Option<Step> {
        let (_, row) = self.asked.take_if(|(asked, _)| *asked == id)?;
        self.outcome = match result {
            Ok(Reply::Saved { file, bytes }) => {
                self.path.clear();
                Some((row, format!("Saved: {}, {}.", clean::name(file), text::size(*bytes)), false))
            }
            Ok(Reply::Answer(Answer::Settings(_))) => None,
            Ok(_) => Some((row, "The daemon gave another answer than was asked for; is it of this version?".to_owned(), true)),
            Err(refusal) => Some((row, refusal_words(row, refusal), true)),
        };
        Some(Step::Stay)
    }

    fn render(&self, look: &Look<'_>, frame: &mut Frame<'_>, area: Rect) {
        let theme = &look.options.theme;
        let [list, about] = areas(area);
        let offset = self.selection.offset(ROWS.len(), list.height.into());
        let width = usize::from(list.width);
        for (place, row) in ROWS.iter().skip(offset).take(list.height.into()).enumerate() {
            let line = Rect { y: list.y + place as u16, height: 1, ..list };
            frame.render_widget(Paragraph::new(self.row_line(*row, look, width)), line);
            if *row == Row::Backup && self.asked.is_none_or(|(_, asked)| asked != Row::Backup) {
                let column = (2 + LABEL.min(width / 2)) as u16;
                let field = Rect { x: line.x + column.min(line.width), width: line.width.saturating_sub(column), ..line };
                let chosen = self.chosen() == Row::Backup;
                if self.path.is_empty() && !chosen {
                    frame.render_widget(Paragraph::new(clean::fit("a file", field.width.into())).style(theme.dim), field);
                }
                self.path.render(frame, field, if chosen { theme.selected } else { theme.accent }, chosen);
            }
        }
        let mut lines = vec![Line::styled("─".repeat(about.width.into()), theme.border)];
        lines.extend(self.about(look, about.width.into()));
        frame.render_widget(Paragraph::new(lines), about);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backup_goes_to_a_whole_path() {
        let home = Some(Path::new("/people/ada"));
        assert_eq!(absolute(" /mnt/stick/a.backup ", home).as_deref(), Ok("/mnt/stick/a.backup"));
        assert_eq!(absolute("~/a b", home).as_deref(), Ok("/people/ada/a b"));
        for wrong in ["", "  ", "a", "./a", "~ada/a", "~", "/mnt/", "~/"] {
            assert!(absolute(wrong, home).is_err(), "{wrong:?}");
        }
        assert!(absolute("~/a", None).is_err());
    }

    #[test]
    fn space_stays_within_what_the_daemon_takes() {
        let at = |bytes, forward| {
            let mut settings = Settings {
                shown: hedgerow_sync::view::Shown { mode: Mode::Mesh, visible: false, visible_until: None },
                relay: hedgerow_sync::view::RelaySettings::default(),
                alerts: hedgerow_sync::view::Alerts::default(),
            };
            settings.relay.bytes = bytes;
            change(&settings, Row::Space, forward)
        };
        let to = |bytes| Some(Command::SetRelay { on: None, bytes: Some(bytes), metered: None });
        assert_eq!(at(256 << 20, true), to(512 << 20));
        assert_eq!(at(3 << 20, false), to(3 << 19));
        assert_eq!(at(3 << 19, false), to(1 << 20));
        assert_eq!((at(SPACE.0, false), at(SPACE.1, true), at(u64::MAX, true)), (None, None, to(SPACE.1)));
    }
}
