//! Makes a profile: name, passphrase, visibility; or restores one from a backup.
//!
//! ```text
//!   welcome and name ─Enter─▶ passphrase, twice ─Enter─▶ who may see the name ─Enter─▶ made, daemon started
//!          └─Tab─▶ backup and its passphrase ─Enter─────────────────────────────────────▲
//! ```

use std::cell::RefCell;

use crossterm::event::{KeyCode, MouseButton, MouseEventKind};
use hedgerow_sync::{crypto::identity::Name, time::Instant};
use ratatui::{Frame, layout::Rect};
use zeroize::Zeroizing;

use super::{
    Context, Look, Screen, Step, UiInput, View,
    unlock::{self, Unlock},
};
use crate::{
    Effect, Secret,
    keymap::{Action, Scope},
    passphrase::{self, Strength},
    widget::{Editor, Form, Selection, form::place_at},
};

/// Longest name (docs/protocol.md, "Names"), bytes.
const MAX_NAME: usize = 50;
/// Longest path of a file, bytes (Linux, limits.h).
const MAX_PATH: usize = 4_096;

/// Whether neighbours are told the name, and what each costs.
const CHOICES: [(&str, &str); 2] = [
    (
        "Hidden",
        "Only your contacts learn your name. To become a contact takes a link, or that you both open \"nearby\". Right where being seen is a risk.",
    ),
    (
        "Visible nearby",
        "Whoever is near sees your name, for 12 hours or until the network changes, and can note that you were here. Right among friends, wrong at a protest.",
    ),
];

/// What is asked now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    Name,
    Passphrase,
    Again,
    Visibility,
    File,
    FilePassphrase,
    /// Under way since then.
    Working(Instant, Way),
}

/// How the profile comes to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    Made,
    Restored,
}

/// Makes a profile, or restores one from a backup.
#[derive(Debug)]
pub(crate) struct Onboarding {
    stage: Stage,
    name: Editor,
    passphrase: Editor,
    again: Editor,
    file: Editor,
    visibility: Selection,
    /// What is said of the passphrase.
    strength: Option<(Strength, String)>,
    /// What was wrong.
    told: Option<String>,
    /// Starts the daemon once the profile is there.
    secret: Option<Secret>,
    seconds: u64,
    /// Where the choices were drawn.
    places: RefCell<Vec<Rect>>,
}

impl Onboarding {
    /// As it opens.
    pub(crate) fn new() -> Self {
        Self {
            stage: Stage::Name,
            name: Editor::line(MAX_NAME),
            passphrase: Editor::hidden(passphrase::MAX_LEN),
            again: Editor::hidden(passphrase::MAX_LEN),
            file: Editor::line(MAX_PATH),
            visibility: Selection::default(),
            strength: None,
            told: None,
            secret: None,
            seconds: 0,
            places: RefCell::default(),
        }
    }

    fn field(&mut self) -> Option<&mut Editor> {
        match self.stage {
            Stage::Name => Some(&mut self.name),
            Stage::Passphrase | Stage::FilePassphrase => Some(&mut self.passphrase),
            Stage::Again => Some(&mut self.again),
            Stage::File => Some(&mut self.file),
            Stage::Visibility | Stage::Working(..) => None,
        }
    }

    fn act(&mut self, action: Action, context: &mut Context<'_>) {
        match (action, self.stage) {
            (_, Stage::Working(..)) => {}
            (Action::Accept, _) => self.accept(context),
            (Action::Back, _) => self.back(),
            (Action::Next, Stage::Name) => self.turn(Stage::File),
            (Action::Next | Action::Previous, Stage::Passphrase) => self.turn(Stage::Again),
            (Action::Next | Action::Previous, Stage::Again) => self.turn(Stage::Passphrase),
            (Action::Next | Action::Previous, Stage::File) => self.turn(Stage::FilePassphrase),
            (Action::Next | Action::Previous, Stage::FilePassphrase) => self.turn(Stage::File),
            (action, Stage::Visibility) => drop(self.visibility.handle(action, CHOICES.len(), CHOICES.len())),
            _ => {}
        }
    }

    fn turn(&mut self, stage: Stage) {
        self.stage = stage;
        self.told = None;
    }

    fn accept(&mut self, context: &mut Context<'_>) {
        match self.stage {
            Stage::Name => match Name::new(self.name.text()) {
                Ok(_) => self.turn(Stage::Passphrase),
                Err(error) => self.told = Some(format!("This name can't be used: {error}.")),
            },
            Stage::Passphrase if self.passphrase.is_empty() => self.told = Some("Type a passphrase first.".to_owned()),
            Stage::Passphrase => self.turn(Stage::Again),
            Stage::Again if self.again.text() != self.passphrase.text() => {
                self.again.clear();
                self.told = Some("The two are not the same. Type the second one again, or Esc to begin with the first.".to_owned());
            }
            Stage::Again => self.turn(Stage::Visibility),
            Stage::Visibility => self.make(context),
            Stage::File if self.file.text().trim().is_empty() => self.told = Some("Write where the backup is.".to_owned()),
            Stage::File => self.turn(Stage::FilePassphrase),
            Stage::FilePassphrase if self.file.text().trim().is_empty() => self.turn(Stage::File),
            Stage::FilePassphrase if self.passphrase.is_empty() => self.told = Some("Type the backup's passphrase.".to_owned()),
            Stage::FilePassphrase => self.restore(context),
            Stage::Working(..) => {}
        }
    }

    fn back(&mut self) {
        match self.stage {
            Stage::Name | Stage::Working(..) => {}
            Stage::Passphrase | Stage::File | Stage::FilePassphrase => {
                self.forget_passphrase();
                self.turn(Stage::Name);
            }
            Stage::Again | Stage::Visibility => {
                self.forget_passphrase();
                self.turn(Stage::Passphrase);
            }
        }
    }

    fn forget_passphrase(&mut self) {
        self.passphrase.clear();
        self.again.clear();
        self.strength = None;
        self.secret = None;
    }

    fn make(&mut self, context: &mut Context<'_>) {
        let visible = self.visibility.row(CHOICES.len()) == Some(1);
        let passphrase = self.begin(Way::Made, context);
        context.effect(Effect::Create { name: self.name.text().trim().to_owned(), passphrase, visible });
    }

    fn restore(&mut self, context: &mut Context<'_>) {
        let passphrase = self.begin(Way::Restored, context);
        context.effect(Effect::Restore { file: self.file.text().trim().to_owned(), passphrase });
    }

    fn begin(&mut self, way: Way, context: &Context<'_>) -> Secret {
        let secret = Secret::new(Zeroizing::new(self.passphrase.text().to_owned()));
        self.secret = Some(secret.clone());
        self.seconds = 0;
        self.turn(Stage::Working(context.now.mono, way));
        secret
    }

    fn changed(&mut self) {
        self.told = None;
        if self.stage == Stage::Passphrase {
            let text = self.passphrase.text();
            self.strength = (!text.is_empty()).then(|| passphrase::judge(text, self.name.text()));
        }
    }

    fn handle_key(&mut self, key: &crossterm::event::KeyEvent, context: &mut Context<'_>) {
        if self.field().is_some_and(|field| field.handle(key)) {
            self.changed();
            return;
        }
        match key.code {
            // Nothing else is above or below two fields.
            KeyCode::Up => self.act(Action::Previous, context),
            KeyCode::Down if self.stage != Stage::Name => self.act(Action::Next, context),
            _ => {}
        }
    }

    fn click(&mut self, column: u16, row: u16, context: &mut Context<'_>) {
        let hit = place_at(&self.places.borrow(), column, row);
        if let (Some(row), Stage::Visibility) = (hit, self.stage) {
            let is_chosen = self.visibility.row(CHOICES.len()) == Some(row);
            self.visibility.choose(row);
            if is_chosen {
                self.accept(context);
            }
        }
    }

    fn draw<'a>(&'a self, form: &mut Form<'a>, look: &Look<'a>) {
        let theme = &look.options.theme;
        match self.stage {
            Stage::Name => {
                form.words("Talk to people near you, without a server.", theme.strong)
                    .words("Messages go from device to device over whatever link there is, encrypted from you to your reader.", theme.text)
                    .words("There is no account and no number. Until you add somebody, nothing you write leaves this device.", theme.text)
                    .gap()
                    .words("What should people call you? Your contacts see this name. It need not be your real one.", theme.text)
                    .gap()
                    .field("Name", &self.name, true)
                    .gap();
                self.draw_told(form, look);
                form.words("Enter goes on. Tab restores a backup instead.", theme.dim);
            }
            Stage::Passphrase | Stage::Again => {
                form.words("Choose a passphrase.", theme.strong)
                    .words(
                        "It locks everything that is kept on this device. Nobody can reset it: if you lose it, everything here is lost.",
                        theme.text,
                    )
                    .gap()
                    .field("Passphrase", &self.passphrase, self.stage == Stage::Passphrase)
                    .field("Once more  ", &self.again, self.stage == Stage::Again)
                    .gap();
                if let Some((strength, words)) = &self.strength {
                    let style = match strength {
                        Strength::Weak => theme.bad,
                        Strength::Fair => theme.warn,
                        Strength::Good => theme.good,
                    };
                    form.words(words.clone(), style);
                } else {
                    form.words("Five words drawn by lot are easy to keep in mind and hard to guess.", theme.dim);
                }
                self.draw_told(form, look);
            }
            Stage::Visibility => {
                form.words("Who may see your name?", theme.strong)
                    .words("You can change this at any time in the settings.", theme.text)
                    .gap();
                let chosen = self.visibility.row(CHOICES.len());
                for (row, (name, detail)) in CHOICES.into_iter().enumerate() {
                    form.choice(name, detail, chosen == Some(row)).gap();
                }
                self.draw_told(form, look);
            }
            Stage::File | Stage::FilePassphrase => {
                form.words("Restore a backup.", theme.strong)
                    .words(
                        "Messages since the backup was made are not in it. Never use one profile in two places: stop the other one first.",
                        theme.text,
                    )
                    .gap()
                    .field("Backup file", &self.file, self.stage == Stage::File)
                    .field("Passphrase ", &self.passphrase, self.stage == Stage::FilePassphrase)
                    .gap()
                    .words("The passphrase is the one from when the backup was made.", theme.dim);
                self.draw_told(form, look);
            }
            Stage::Working(_, way) => {
                let words = if way == Way::Made { "Making your profile" } else { "Restoring your profile" };
                form.words(format!("{words}…{}", unlock::elapsed(self.seconds)), theme.strong)
                    .gap()
                    .words("This takes a moment on purpose: it is what makes guessing your passphrase slow.", theme.dim);
            }
        }
    }

    fn draw_told(&self, form: &mut Form<'_>, look: &Look<'_>) {
        if let Some(words) = &self.told {
            form.words(crate::clean::name(words), look.options.theme.warn);
        }
    }
}

impl View for Onboarding {
    fn title(&self, _look: &Look<'_>) -> String {
        match self.stage {
            Stage::File | Stage::FilePassphrase | Stage::Working(_, Way::Restored) => "restore a backup",
            _ => "welcome",
        }
        .to_owned()
    }

    fn scope(&self) -> Scope {
        if self.stage == Stage::Visibility { Scope::List } else { Scope::Form }
    }

    fn label(&self, _look: &Look<'_>, action: Action) -> Option<&'static str> {
        match action {
            Action::Accept => Some("go on"),
            Action::Next if matches!(self.stage, Stage::Name) => Some("restore a backup"),
            _ => None,
        }
    }

    fn hints(&self, _look: &Look<'_>) -> Vec<Action> {
        match self.stage {
            Stage::Name => vec![Action::Accept, Action::Next, Action::Quit],
            Stage::Working(..) => vec![Action::Quit],
            Stage::Visibility => vec![Action::Accept, Action::Back, Action::Quit],
            _ => vec![Action::Accept, Action::Back, Action::Next, Action::Quit],
        }
    }

    fn handle(&mut self, input: UiInput, context: &mut Context<'_>) -> Step {
        match input {
            UiInput::Action(action) => self.act(action, context),
            UiInput::Key(key) => self.handle_key(&key, context),
            UiInput::Paste(text) => {
                if let Some(field) = self.field() {
                    // What is copied often has the end of its line with it.
                    field.insert(text.trim_end_matches(['\r', '\n']));
                    self.changed();
                }
            }
            UiInput::Mouse(mouse) if mouse.kind == MouseEventKind::Down(MouseButton::Left) => self.click(mouse.column, mouse.row, context),
            UiInput::Mouse(_) => {}
        }
        Step::Stay
    }

    fn due(&self) -> Option<Instant> {
        match self.stage {
            Stage::Working(since, _) => Some(unlock::next_second(since, self.seconds)),
            _ => None,
        }
    }

    fn tick(&mut self, context: &mut Context<'_>) -> Step {
        if let Stage::Working(since, _) = self.stage {
            self.seconds = context.now.mono.since(since).as_secs();
        }
        Step::Stay
    }

    fn created(&mut self, result: Result<(), String>, context: &mut Context<'_>) -> Step {
        let Stage::Working(_, way) = self.stage else { return Step::Stay };
        match (result, self.secret.take()) {
            (Ok(()), Some(secret)) => {
                self.passphrase.clear();
                self.again.clear();
                context.effect(Effect::StartDaemon(secret));
                Step::Stay
            }
            (Ok(()), None) => Step::replace(Screen::Unlock(Unlock::for_start())),
            (Err(why), _) => {
                match way {
                    Way::Made => self.turn(Stage::Visibility),
                    Way::Restored => {
                        self.passphrase.clear();
                        self.turn(Stage::FilePassphrase);
                    }
                }
                self.told = Some(capitalised(&why));
                Step::Stay
            }
        }
    }

    /// The profile is there; what is missing is the daemon.
    fn not_started(&mut self, why: String, _context: &mut Context<'_>) -> Step {
        Step::replace(Screen::Unlock(Unlock::for_start().told(why)))
    }

    fn render(&self, look: &Look<'_>, frame: &mut Frame<'_>, area: Rect) {
        let mut form = Form::new(&look.options.theme);
        self.draw(&mut form, look);
        self.places.replace(form.render(frame, area));
    }
}

/// A sentence as it begins.
fn capitalised(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}
