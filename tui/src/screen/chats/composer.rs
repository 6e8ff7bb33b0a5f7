//! What is written to one contact: the field, its copy in the daemon (the draft), and texts on their way to the daemon.
//!
//! ```text
//!   field ──Enter──▶ on its way ──accepted──▶ a message
//!     ▲                  │ refused
//!     └──────────────────┘
//! ```
//!
//! What is written and not sent is always here, and at most a second later in the daemon. A text on its way counts as not sent until the
//! daemon has accepted it. It carries an id of ours, so that it can be sent again after the daemon was away, and still comes once.

use std::time::Duration;

use hedgerow_sync::{
    crypto::kdf,
    id::{ContactId, MessageId},
    time::{Instant, Now},
    view::{Answer, Command, MessageState},
    wire::item::MAX_TEXT_LEN,
};
use ratatui::{Frame, layout::Rect};

use crate::{
    Refusal, Reply, RequestId,
    model::Place,
    screen::{Context, Look},
    widget::Editor,
};

/// How long after a change what is written is kept (policy).
const KEEP_AFTER: Duration = Duration::from_secs(1);
/// How long after a refusal that is tried again (policy).
const KEEP_AGAIN: Duration = Duration::from_secs(5);
/// From so many free bytes on the limit is shown (policy).
const NEAR_LIMIT: usize = 300;
/// What stands before what is written.
const PROMPT: &str = "> ";

/// A text on its way to the daemon.
#[derive(Debug)]
pub(super) struct Sending {
    pub(super) id: MessageId,
    pub(super) text: String,
    /// What the daemon has made of it, until its message is in the model.
    pub(super) accepted: Option<MessageState>,
    request: Option<RequestId>,
}

impl Sending {
    /// A place behind all messages.
    pub(super) const fn place(&self) -> Place {
        (u64::MAX, self.id, true)
    }
}

/// What is written to one contact.
#[derive(Debug)]
pub(super) struct Composer {
    contact: ContactId,
    pub(super) editor: Editor,
    /// What the daemon keeps; absent while that is not known.
    kept: Option<String>,
    /// What it was asked to keep and has not answered; one at a time, so that a refusal leaves no doubt what it keeps.
    keeping: Option<(RequestId, String)>,
    /// Whether it is to keep what is written once it has answered.
    keep_next: bool,
    keep_due: Option<Instant>,
    /// Whether the daemon may keep something that is not here yet.
    must_load: bool,
    loading: Option<RequestId>,
    pub(super) sending: Vec<Sending>,
    /// Something to know about what is written.
    pub(super) note: Option<String>,
}

/// What came of a reply.
#[derive(Debug)]
pub(super) enum Outcome {
    /// Nothing to say.
    Fine,
    /// A text was not sent and is back in the field: why.
    Returned(String),
}

impl Composer {
    /// With nothing written yet; `must_load` if the daemon may keep something.
    pub(super) fn new(contact: ContactId, must_load: bool) -> Self {
        Self {
            contact,
            editor: Editor::lines(MAX_TEXT_LEN),
            kept: Some(String::new()),
            keeping: None,
            keep_next: false,
            keep_due: None,
            must_load,
            loading: None,
            sending: Vec::new(),
            note: None,
        }
    }

    /// Asks for what the daemon keeps, unless it is here.
    pub(super) fn load(&mut self, context: &mut Context<'_>) {
        if self.must_load && self.loading.is_none() && context.model.is_attached() {
            self.loading = Some(context.command(Command::Draft { contact: self.contact.0.to_string() }));
        }
    }

    /// Whether something is written that is not sent.
    pub(super) fn has_draft(&self) -> bool {
        !self.editor.is_empty()
    }

    /// Notes that something was written, so that it is kept soon.
    pub(super) fn changed(&mut self, now: Now) {
        if self.keep_due.is_none() && self.is_dirty() {
            self.keep_due = Some(now.mono + KEEP_AFTER);
        }
    }

    /// When [`tick`](Self::tick) is wanted.
    pub(super) fn due(&self) -> Option<Instant> {
        self.keep_due
    }

    /// Keeps what is due.
    pub(super) fn tick(&mut self, context: &mut Context<'_>) {
        if self.keep_due.is_some_and(|due| due <= context.now.mono) {
            self.keep_due = None;
            self.load(context);
            self.keep(context);
        }
    }

    /// Has the daemon keep what is written now. While it is away nothing is asked; [`attached`](Self::attached) does it then.
    pub(super) fn keep(&mut self, context: &mut Context<'_>) {
        // Before what the daemon keeps is here, nothing may take its place.
        if self.must_load || !self.is_dirty() || !context.model.is_attached() {
            return;
        }
        self.keep_due = None;
        self.keep_next = self.keeping.is_some();
        if self.keep_next {
            return;
        }
        let text = self.unsent();
        let id = context.command(Command::SetDraft { contact: self.contact.0.to_string(), text: text.clone() });
        self.keeping = Some((id, text));
    }

    /// Sends a text. It is on its way from here on.
    pub(super) fn send(&mut self, text: String, number: u64, context: &mut Context<'_>) {
        let id = message_id(&context.options.seed, number);
        self.sending.push(Sending { id, text, accepted: None, request: None });
        self.send_waiting(context);
    }

    fn send_waiting(&mut self, context: &mut Context<'_>) {
        for sending in self.sending.iter_mut().filter(|sending| sending.request.is_none() && sending.accepted.is_none()) {
            let contact = self.contact.0.to_string();
            let command = Command::Send { contact, text: sending.text.clone(), id: Some(sending.id), urgent: false };
            sending.request = Some(context.command(command));
        }
    }

    /// The daemon is there again: what it has not confirmed is asked for once more.
    pub(super) fn attached(&mut self, context: &mut Context<'_>) {
        // What it was asked last, it may have done or not.
        if self.keeping.take().is_some() {
            self.kept = None;
        }
        self.loading = None;
        for sending in &mut self.sending {
            sending.request = None;
        }
        // These are among the messages that are loaded anew.
        self.sending.retain(|sending| sending.accepted.is_none());
        self.send_waiting(context);
        self.load(context);
        self.keep(context);
    }

    /// A message is in the model: it is on its way no more.
    pub(super) fn arrived(&mut self, id: MessageId, context: &mut Context<'_>) {
        let before = self.sending.len();
        self.sending.retain(|sending| sending.id != id);
        if self.sending.len() < before {
            self.keep(context);
        }
    }

    /// Takes a reply; `None` if it is to something else.
    pub(super) fn replied(&mut self, id: RequestId, result: &Result<Reply, Refusal>, context: &mut Context<'_>) -> Option<Outcome> {
        if self.loading == Some(id) {
            self.loading = None;
            self.loaded(result, context);
            return Some(Outcome::Fine);
        }
        if let Some((_, text)) = self.keeping.take_if(|(asked, _)| *asked == id) {
            match result {
                Ok(_) => {
                    self.kept = Some(text);
                    self.note = None;
                    if std::mem::take(&mut self.keep_next) {
                        self.keep(context);
                    }
                }
                Err(refusal) if !is_gone(refusal) => {
                    self.note = Some(format!("what you write is not on the disk yet: {}", refusal.message));
                    self.keep_due = Some(context.now.mono + KEEP_AGAIN);
                }
                Err(_) => self.kept = None,
            }
            return Some(Outcome::Fine);
        }
        let index = self.sending.iter().position(|sending| sending.request == Some(id))?;
        Some(self.sent(index, result, context))
    }

    fn loaded(&mut self, result: &Result<Reply, Refusal>, context: &mut Context<'_>) {
        match result {
            Ok(Reply::Answer(Answer::Draft(draft))) => {
                self.must_load = false;
                self.kept = Some(draft.text.clone());
                self.give_back(&draft.text);
                self.changed(context.now);
            }
            Err(refusal) if refusal.kind == "unknown_contact" => self.must_load = false,
            Err(refusal) if !is_gone(refusal) => {
                self.note = Some(format!("what you wrote before can't be loaded: {}", refusal.message));
                self.keep_due = Some(context.now.mono + KEEP_AGAIN);
            }
            _ => {}
        }
    }

    fn sent(&mut self, index: usize, result: &Result<Reply, Refusal>, context: &mut Context<'_>) -> Outcome {
        let Some(sending) = self.sending.get_mut(index) else { return Outcome::Fine };
        sending.request = None;
        match result {
            Ok(reply) => {
                let state = if let Reply::Answer(Answer::Sent(sent)) = reply { sent.state } else { MessageState::Queued };
                sending.accepted = Some(state);
                let id = sending.id;
                let is_held =
                    context.model.conversations.get(&self.contact).is_some_and(|held| held.messages.iter().rev().any(|m| m.id == id));
                if is_held {
                    self.sending.remove(index);
                }
                self.keep(context);
                Outcome::Fine
            }
            // It may have been done; the same id makes it harmless to ask again.
            Err(refusal) if is_gone(refusal) => Outcome::Fine,
            Err(refusal) => {
                let sending = self.sending.remove(index);
                self.give_back(&sending.text);
                self.changed(context.now);
                Outcome::Returned(refusal.message.clone())
            }
        }
    }

    /// Puts a text before what is written.
    pub(super) fn give_back(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        let joined = if self.editor.is_empty() { text.to_owned() } else { format!("{text}\n{}", self.editor.text()) };
        self.editor.restore(&joined);
    }

    /// All that is written and not accepted, as a draft can hold it.
    pub(super) fn unsent(&self) -> String {
        let waiting = self.sending.iter().filter(|sending| sending.accepted.is_none()).map(|sending| sending.text.as_str());
        let parts: Vec<&str> = waiting.chain((!self.editor.is_empty()).then(|| self.editor.text())).collect();
        let mut text = parts.join("\n");
        let mut end = MAX_TEXT_LEN.min(text.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text
    }

    fn is_dirty(&self) -> bool {
        let asked = self.keeping.as_ref().map(|(_, asked)| asked);
        asked.or(self.kept.as_ref()) != Some(&self.unsent())
    }

    /// What is said of the length, when it matters.
    pub(super) fn length(&self) -> Option<String> {
        let length = self.editor.text().len();
        if length > MAX_TEXT_LEN {
            return Some(format!("{} bytes too long", length - MAX_TEXT_LEN));
        }
        (length + NEAR_LIMIT > MAX_TEXT_LEN).then(|| format!("{} bytes left", MAX_TEXT_LEN - length))
    }

    /// The width in which it is written, in `width` cells.
    pub(super) const fn room(width: u16) -> usize {
        (width as usize).saturating_sub(PROMPT.len())
    }

    /// Draws it into `area`; with the cursor if keys go here.
    pub(super) fn render(&self, look: &Look<'_>, frame: &mut Frame<'_>, area: Rect, has_cursor: bool) {
        let theme = &look.options.theme;
        let prompt = if usize::from(area.width) > PROMPT.len() { PROMPT.len() as u16 } else { 0 };
        frame.buffer_mut().set_stringn(area.x, area.y, PROMPT, prompt.into(), theme.accent);
        let field = Rect { x: area.x + prompt, width: area.width - prompt, ..area };
        self.editor.render(frame, field, theme.text, has_cursor);
    }
}

fn is_gone(refusal: &Refusal) -> bool {
    *refusal == Refusal::gone()
}

/// The id of the message with this number in this interface.
fn message_id(seed: &[u8; 32], number: u64) -> MessageId {
    let hash = kdf::hash(&[b"message id", seed, &number.to_be_bytes()]);
    let mut id = [0; 16];
    id.copy_from_slice(hash.split_at(16).0);
    MessageId(id)
}
