//! What can be done with one message, and what is known of it.

use hedgerow_sync::{
    id::ContactId,
    view::{Command, Message, MessageState},
};
use ratatui::{
    Frame,
    layout::Rect,
    text::{Line, Span},
};

use super::{Context, Look, Screen, Step, UiInput, View, chats::wording, whereis::WhereIs};
use crate::{
    Effect, Refusal, Reply, RequestId, clean,
    keymap::{self, Action, Scope},
    model::{self, Place},
    text,
    widget::Selection,
};

/// What can be done with one message.
#[derive(Debug)]
pub(crate) struct MessageMenu {
    contact: ContactId,
    place: Place,
    selection: Selection,
    /// What was asked, and what to say once it is done.
    asked: Option<(RequestId, &'static str)>,
}

/// Does what `action` says with a message, or says why that makes no sense. What was asked of the daemon, and what to say once it is done.
pub(crate) fn act(action: Action, message: &Message, context: &mut Context<'_>) -> Option<(RequestId, &'static str)> {
    let id = message.id;
    match action {
        Action::Copy => {
            context.effect(Effect::Copy(message.text.clone()));
            context.toast("Copied.");
            None
        }
        Action::Retry if can_retry(message) => Some((context.command(Command::Retry { id }), "It is sent again.")),
        Action::TakeBack if can_take_back(message) => {
            Some((context.command(Command::Cancel { id }), "Taken back: it has not left this device and will not."))
        }
        Action::Retry => {
            context.toast("Only your messages that failed or expired can be sent again.");
            None
        }
        Action::TakeBack => {
            context.toast("Only your messages that have not left this device can be taken back.");
            None
        }
        _ => None,
    }
}

const fn can_retry(message: &Message) -> bool {
    message.outgoing && matches!(message.state, MessageState::Failed | MessageState::Expired)
}

const fn can_take_back(message: &Message) -> bool {
    message.outgoing && matches!(message.state, MessageState::Queued)
}

/// What makes sense for a message, with its words.
fn entries(message: &Message) -> Vec<(Action, &'static str)> {
    let mut entries = vec![(Action::Where, "Where is it?"), (Action::Copy, "Copy the text")];
    entries.extend(can_retry(message).then_some((Action::Retry, "Send it again")));
    entries.extend(can_take_back(message).then_some((Action::TakeBack, "Take it back")));
    entries
}

impl MessageMenu {
    /// The menu of a message.
    pub(crate) fn new(message: Message) -> Self {
        Self { contact: message.contact, place: model::place(&message), selection: Selection::default(), asked: None }
    }

    fn message<'m>(&self, model: &'m model::Model) -> Option<&'m Message> {
        model.conversations.get(&self.contact)?.at(&self.place)
    }

    fn act(&mut self, action: Action, context: &mut Context<'_>) -> Step {
        let Some(message) = self.message(context.model).cloned() else { return Step::Close };
        match action {
            Action::Where => return Step::replace(Screen::Where(WhereIs::new(message.id))),
            Action::Copy => {
                act(action, &message, context);
                return Step::Close;
            }
            action if self.asked.is_none() => self.asked = act(action, &message, context),
            _ => {}
        }
        Step::Stay
    }
}

impl View for MessageMenu {
    fn title(&self, _look: &Look<'_>) -> String {
        "message".to_owned()
    }

    fn scope(&self) -> Scope {
        Scope::Conversation
    }

    fn handle(&mut self, input: UiInput, context: &mut Context<'_>) -> Step {
        let Some(entries) = self.message(context.model).map(entries) else { return Step::Close };
        match input {
            UiInput::Action(Action::Back) => Step::Close,
            UiInput::Action(Action::Accept) => {
                let action = self.selection.row(entries.len()).and_then(|row| entries.get(row)).map(|(action, _)| *action);
                action.map_or(Step::Stay, |action| self.act(action, context))
            }
            UiInput::Action(action @ (Action::Where | Action::Copy | Action::Retry | Action::TakeBack)) => self.act(action, context),
            UiInput::Action(action) => {
                self.selection.handle(action, entries.len(), entries.len());
                Step::Stay
            }
            _ => Step::Stay,
        }
    }

    fn attached(&mut self, _context: &mut Context<'_>) -> Step {
        self.asked = None;
        Step::Stay
    }

    fn replied(&mut self, id: RequestId, result: &Result<Reply, Refusal>, context: &mut Context<'_>) -> Option<Step> {
        let (_, words) = self.asked.take_if(|(asked, _)| *asked == id)?;
        match result {
            Ok(_) => {
                context.toast(words);
                Some(Step::Close)
            }
            Err(refusal) => {
                context.toast(refusal.message.clone());
                Some(Step::Stay)
            }
        }
    }

    fn render(&self, look: &Look<'_>, frame: &mut Frame<'_>, area: Rect) {
        let theme = &look.options.theme;
        let lines = match self.message(look.model) {
            Some(message) => self.lines(look, message, area.width.into()),
            None => vec![Line::styled("This message is not here any more.", theme.warn)],
        };
        for (line, y) in lines.iter().zip(area.y..area.bottom()) {
            frame.buffer_mut().set_line(area.x, y, line, area.width);
        }
    }
}

impl MessageMenu {
    fn lines(&self, look: &Look<'_>, message: &Message, width: usize) -> Vec<Line<'static>> {
        let theme = &look.options.theme;
        let entries = entries(message);
        let chosen = self.selection.row(entries.len());
        let mut lines = Vec::new();
        for (row, (action, words)) in entries.iter().enumerate() {
            let key = keymap::binding(*action).and_then(|binding| binding.keys.first()).map(|key| key.name()).unwrap_or_default();
            let is_chosen = chosen == Some(row);
            let style = if is_chosen { theme.selected } else { theme.text };
            let mark = if is_chosen { format!("{} ", text::mark(look.options)) } else { "  ".to_owned() };
            lines.push(Line::from(vec![
                Span::raw(mark),
                Span::styled(format!("{words:<16}"), style),
                Span::raw("  "),
                Span::styled(key, theme.accent),
            ]));
        }
        lines.push(Line::default());
        lines.extend(clean::wrap(&details(look, message), width).into_iter().map(|line| Line::styled(line, theme.dim)));
        lines.push(Line::default());
        // Moved in, so that no line of it can pose as one of ours.
        let text = clean::wrap(&clean::text(&text::body(message)), width.saturating_sub(2));
        lines.extend(text.into_iter().map(|line| Line::styled(format!("  {line}"), theme.text)));
        lines
    }
}

/// Who wrote it, when, and how far it has come.
fn details(look: &Look<'_>, message: &Message) -> String {
    let known = wording::known(look, message);
    let sent = wording::moment(look, message.sent);
    if message.outgoing {
        let (sign, word) = text::state(message.state);
        let sign = if look.options.words { word } else { sign };
        return format!("You wrote it {sent}.\n{sign} {known}");
    }
    format!(
        "{} wrote it {sent}, by their clock.\nIt came here {}.",
        look.model.contacts.get(&message.contact).map_or_else(|| clean::name(&message.from), text::contact_name),
        wording::moment(look, message.stored)
    )
}
