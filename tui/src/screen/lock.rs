//! The locked screen: nothing of the person's is shown until the passphrase is typed. The daemon goes on.

use ratatui::Frame;

use super::{Context, Look, UiInput, unlock::refused};
use crate::{
    Control, Refusal, Reply, Request, RequestId, clean,
    keymap::Action,
    passphrase, text,
    widget::{Editor, Form},
};

/// The locked screen.
#[derive(Debug)]
pub(crate) struct LockScreen {
    field: Editor,
    asked: Option<RequestId>,
    wrong: u32,
    /// What was wrong.
    told: Option<String>,
}

impl LockScreen {
    /// As it comes.
    pub(crate) fn new() -> Self {
        Self { field: Editor::hidden(passphrase::MAX_LEN), asked: None, wrong: 0, told: None }
    }

    /// Takes an input; all of them come here while it is there.
    pub(crate) fn handle(&mut self, input: UiInput, context: &mut Context<'_>) {
        match input {
            _ if self.asked.is_some() => {}
            UiInput::Action(Action::Accept) if self.field.is_empty() => {}
            // It stays in the field: there is nobody to ask.
            UiInput::Action(Action::Accept) if !context.model.is_attached() => {}
            UiInput::Action(Action::Accept) => {
                self.told = None;
                self.asked = Some(context.ask(Request::Control(Control::CheckPassphrase(self.field.take()))));
            }
            UiInput::Key(key) => {
                if self.field.handle(&key) {
                    self.told = None;
                }
            }
            UiInput::Paste(text) => drop(self.field.insert(text.trim_end_matches(['\r', '\n']))),
            UiInput::Action(_) | UiInput::Mouse(_) => {}
        }
    }

    /// A reply has come: `Some(true)` if it opens the screen, `Some(false)` if it was asked for here and does not.
    pub(crate) fn replied(&mut self, id: RequestId, result: &Result<Reply, Refusal>, _context: &mut Context<'_>) -> Option<bool> {
        if self.asked != Some(id) {
            return None;
        }
        self.asked = None;
        let Err(refusal) = result else { return Some(true) };
        if refusal.kind == "passphrase" {
            self.wrong = self.wrong.saturating_add(1);
        }
        self.told = Some(refused(refusal));
        Some(false)
    }

    /// Draws it over the whole terminal.
    pub(crate) fn render(&self, look: &Look<'_>, frame: &mut Frame<'_>) {
        let theme = &look.options.theme;
        let time = (look.options.civil)(look.now.wall);
        let mut form = Form::new(theme);
        form.words(format!("{} · {:02}:{:02}", text::PROGRAM, time.hour, time.minute), theme.accent).gap();
        let how = match look.options.banner {
            None => "Locked. Your passphrase brings everything back.",
            Some(_) => "Locked. In the demo any passphrase opens it; outside the demo only yours does.",
        };
        form.words(how, theme.text).gap();
        form.field("Passphrase", &self.field, self.asked.is_none()).gap();
        if !look.model.is_attached() {
            form.words("The daemon is away, so no passphrase can be checked now. It is being looked for.", theme.warn);
        } else if self.asked.is_some() {
            form.words("Checking…", theme.text);
        } else if let Some(told) = &self.told {
            form.words(clean::name(told), theme.warn);
        }
        if self.wrong > 1 {
            form.words(format!("{} wrong tries since it was locked.", self.wrong), theme.warn);
        }
        form.gap().words("Ctrl-Q leaves.", theme.dim);
        form.render(frame, frame.area());
    }
}
