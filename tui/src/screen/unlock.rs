//! Asks for the passphrase: to start a daemon, or to unlock the one that runs.

use std::time::Duration;

use hedgerow_sync::{time::Instant, view::NodeState};
use ratatui::{Frame, layout::Rect};

use super::{Context, Look, Step, UiInput, View};
use crate::{
    Control, Effect, Refusal, Reply, Request, RequestId, Secret, clean,
    keymap::{Action, Scope},
    passphrase,
    widget::{Editor, Form},
};

/// Why the passphrase is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Why {
    /// The interface begins, and no daemon runs.
    Start,
    /// The daemon that ran went away.
    Loss,
    /// The daemon runs, its profile is locked.
    Locked,
}

impl Why {
    /// What is said above the field.
    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Start => (
                "Welcome back.",
                "Hedgerow is not running yet. Your passphrase opens your profile and starts it; it can go on when you leave.",
            ),
            Self::Loss => (
                "Hedgerow's daemon has stopped.",
                "Nothing that was sent is lost, and what you wrote is still here. Your passphrase starts it again.",
            ),
            Self::Locked => {
                ("Your profile is locked.", "Nothing is sent, received or carried until it is opened. Messages wait where they are.")
            }
        }
    }
}

/// Asks for the passphrase.
#[derive(Debug)]
pub(crate) struct Unlock {
    why: Why,
    field: Editor,
    /// Since when the profile is being opened.
    opening: Option<Instant>,
    seconds: u64,
    asked: Option<RequestId>,
    /// What was wrong.
    told: Option<String>,
}

impl Unlock {
    /// At the start: there is a profile and no daemon.
    pub(crate) fn for_start() -> Self {
        Self::new(Why::Start)
    }

    /// The daemon went away, and none runs.
    pub(crate) fn after_loss() -> Self {
        Self::new(Why::Loss)
    }

    /// The daemon runs, its profile is locked.
    pub(crate) fn for_locked() -> Self {
        Self::new(Why::Locked)
    }

    /// Says at once what was wrong before.
    pub(crate) fn told(self, words: String) -> Self {
        Self { told: Some(words), ..self }
    }

    fn new(why: Why) -> Self {
        Self { why, field: Editor::hidden(passphrase::MAX_LEN), opening: None, seconds: 0, asked: None, told: None }
    }

    fn accept(&mut self, context: &mut Context<'_>) {
        if self.field.is_empty() {
            self.told = Some("Type your passphrase.".to_owned());
            return;
        }
        self.told = None;
        self.opening = Some(context.now.mono);
        self.seconds = 0;
        let passphrase = self.field.take();
        if self.why == Why::Locked && context.model.is_attached() {
            self.asked = Some(context.ask(Request::Control(Control::Unlock(passphrase))));
        } else {
            context.effect(Effect::StartDaemon(Secret::new(passphrase)));
        }
    }

    fn fail(&mut self, words: String) {
        self.opening = None;
        self.asked = None;
        self.field.clear();
        self.told = Some(words);
    }
}

impl View for Unlock {
    fn title(&self, _look: &Look<'_>) -> String {
        "passphrase".to_owned()
    }

    fn scope(&self) -> Scope {
        Scope::Form
    }

    fn label(&self, _look: &Look<'_>, action: Action) -> Option<&'static str> {
        (action == Action::Accept).then_some("open")
    }

    fn hints(&self, _look: &Look<'_>) -> Vec<Action> {
        vec![Action::Accept, Action::Quit]
    }

    /// Not asked anew: a daemon that is there needs no passphrase, or says that it is locked.
    fn attached(&mut self, _context: &mut Context<'_>) -> Step {
        Step::Close
    }

    fn handle(&mut self, input: UiInput, context: &mut Context<'_>) -> Step {
        match input {
            _ if self.opening.is_some() => {}
            UiInput::Action(Action::Accept) => self.accept(context),
            UiInput::Key(key) => {
                if self.field.handle(&key) {
                    self.told = None;
                }
            }
            UiInput::Paste(text) => drop(self.field.insert(text.trim_end_matches(['\r', '\n']))),
            UiInput::Action(_) | UiInput::Mouse(_) => {}
        }
        Step::Stay
    }

    fn replied(&mut self, id: RequestId, result: &Result<Reply, Refusal>, context: &mut Context<'_>) -> Option<Step> {
        if self.asked != Some(id) {
            return None;
        }
        match result {
            // The status shows that it is open, which brings everything back.
            Ok(_) => drop(context.ask(Request::Status)),
            Err(refusal) => self.fail(refused(refusal)),
        }
        Some(Step::Stay)
    }

    fn due(&self) -> Option<Instant> {
        self.opening.map(|since| next_second(since, self.seconds))
    }

    fn tick(&mut self, context: &mut Context<'_>) -> Step {
        if let Some(since) = self.opening {
            self.seconds = context.now.mono.since(since).as_secs();
        }
        // Another interface, or the command line, may have opened it.
        let is_open = context.model.status.as_ref().is_some_and(|status| status.state == NodeState::Running);
        if self.why == Why::Locked && is_open { Step::Close } else { Step::Stay }
    }

    fn not_started(&mut self, why: String, _context: &mut Context<'_>) -> Step {
        self.fail(why);
        Step::Stay
    }

    fn render(&self, look: &Look<'_>, frame: &mut Frame<'_>, area: Rect) {
        let theme = &look.options.theme;
        let (heading, words) = match self.why {
            Why::Locked if !look.model.is_attached() => Why::Loss.words(),
            why => why.words(),
        };
        let mut form = Form::new(theme);
        form.words(heading, theme.strong).words(words, theme.text).gap();
        form.field("Passphrase", &self.field, self.opening.is_none()).gap();
        if self.opening.is_some() {
            form.words(format!("Opening…{}", elapsed(self.seconds)), theme.strong)
                .words("This takes a moment on purpose: it is what makes guessing your passphrase slow.", theme.dim);
        } else if let Some(told) = &self.told {
            form.words(clean::name(told), theme.warn);
        }
        form.render(frame, area);
    }
}

/// A refusal of a passphrase, in words.
pub(super) fn refused(refusal: &Refusal) -> String {
    match refusal.kind.as_str() {
        "passphrase" => "That is not the passphrase of this profile. Nothing was lost: try again.".to_owned(),
        "gone" => "The daemon went away before it could answer. Nothing was lost; it is being looked for.".to_owned(),
        _ => format!("It could not be done: {}. Nothing was lost.", refusal.message),
    }
}

/// When the next whole second after `since` has passed.
pub(super) fn next_second(since: Instant, seconds: u64) -> Instant {
    since + Duration::from_secs(seconds.saturating_add(1))
}

/// How long something takes, once that can be felt.
pub(super) fn elapsed(seconds: u64) -> String {
    if seconds == 0 { String::new() } else { format!(" {seconds} s") }
}
