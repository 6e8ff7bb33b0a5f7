//! How the open conversation is drawn: with whom, messages, a line across, what is written.

use hedgerow_sync::{id::ContactId, view::ContactState};
use ratatui::{
    Frame,
    layout::Rect,
    text::{Line, Span},
};

use super::{
    Chats, block,
    composer::Composer,
    conversation::{OpenConversation, Scene},
    name_of,
    panes::Parts,
    wording,
};
use crate::{clean, model::Conversation, screen::Look};

/// What stays for the rest beside a long name, and the least that is shown of one, in cells (policy).
const BESIDE_NAME: usize = 36;
const MIN_NAME: usize = 12;

impl Chats {
    /// What is beside the list while no conversation is open.
    pub(super) fn render_closed(&self, look: &Look<'_>, frame: &mut Frame<'_>, area: Rect) {
        let Some(contact) = self.list.chosen(look.model) else { return };
        let words = format!("Enter opens the conversation with {}.", name_of(look, contact));
        for (line, y) in clean::wrap(&words, area.width.into()).into_iter().zip(area.y + area.height / 2..area.bottom()) {
            frame.buffer_mut().set_stringn(area.x, y, line, area.width.into(), look.options.theme.dim);
        }
    }

    pub(super) fn render_open(&self, open: &OpenConversation, look: &Look<'_>, frame: &mut Frame<'_>, area: Rect) {
        let Some(composer) = self.composers.get(&open.contact) else { return };
        let parts = Parts::new(area, composer.editor.height(Composer::room(area.width)));
        let held = look.model.conversations.get(&open.contact);
        if !parts.header.is_empty() {
            let header = header(look, open.contact, parts.header.width.into());
            frame.buffer_mut().set_line(parts.header.x, parts.header.y, &header, parts.header.width);
        }
        render_messages(open, held, composer, look, frame, parts.messages);
        if !parts.rule.is_empty() {
            let rule = rule(open, held, composer, look, parts.rule.width.into());
            frame.buffer_mut().set_line(parts.rule.x, parts.rule.y, &rule, parts.rule.width);
        }
        if !parts.composer.is_empty() {
            composer.render(look, frame, parts.composer, !open.is_choosing());
        }
    }
}

/// Who it is, whether the keys were compared, whether they are in reach.
fn header(look: &Look<'_>, contact: ContactId, width: usize) -> Line<'static> {
    let theme = &look.options.theme;
    let Some(contact) = look.model.contacts.get(&contact) else {
        return Line::styled("This contact is not here any more.", theme.warn);
    };
    let name = clean::fit(&wording::contact_name(contact), width.saturating_sub(BESIDE_NAME).max(MIN_NAME));
    let mut spans = vec![Span::styled(name, theme.strong)];
    if contact.state == ContactState::Established {
        let (words, style) = if contact.verified { ("verified", theme.good) } else { ("not verified", theme.warn) };
        spans.extend([Span::styled(" · ", theme.dim), Span::styled(words, style)]);
    }
    spans.extend([Span::styled(" · ", theme.dim), Span::styled(wording::presence_in_full(look, contact), theme.dim)]);
    if contact.muted {
        spans.push(Span::styled(" · muted", theme.dim));
    }
    Line::from(spans)
}

/// The line above what is written: what is new below, what is to know about the text.
fn rule(open: &OpenConversation, held: Option<&Conversation>, composer: &Composer, look: &Look<'_>, width: usize) -> Line<'static> {
    let theme = &look.options.theme;
    let new = held.map_or(0, |held| open.new_below(held));
    let position = match (open.is_at_end(), new) {
        (true, _) => None,
        (false, 0) => Some("newer below ↓".to_owned()),
        (false, new) => Some(format!("{new} new ↓")),
    };
    let parts: Vec<String> = position.into_iter().chain(composer.note.as_deref().map(clean::name)).chain(composer.length()).collect();
    if parts.is_empty() {
        return Line::styled("─".repeat(width), theme.border);
    }
    block::rule(&parts.join(" · "), width, theme.warn)
}

fn render_messages(
    open: &OpenConversation,
    held: Option<&Conversation>,
    composer: &Composer,
    look: &Look<'_>,
    frame: &mut Frame<'_>,
    area: Rect,
) {
    if area.is_empty() {
        return;
    }
    let empty = Conversation::default();
    let name = name_of(look, open.contact);
    let scene = Scene::new(look, held.unwrap_or(&empty), &composer.sending, &name, (area.width, area.height));
    let rows = open.rows(&scene);
    if rows.is_empty() {
        let words = match (&open.trouble, held) {
            (Some(why), _) => format!("The messages can't be shown now: {}. Nothing is lost.", clean::name(why)),
            (None, Some(held)) if held.whole => format!("Nothing is written yet. Write to {name} below; Enter sends."),
            (None, _) => "Loading…".to_owned(),
        };
        for (line, y) in clean::wrap(&words, area.width.into()).into_iter().zip(area.y..area.bottom()) {
            frame.buffer_mut().set_stringn(area.x, y, line, area.width.into(), look.options.theme.dim);
        }
        return;
    }
    // The newest stand right above what is written.
    let top = area.bottom() - u16::try_from(rows.len()).unwrap_or(area.height).min(area.height);
    for (row, y) in rows.iter().zip(top..area.bottom()) {
        frame.buffer_mut().set_line(area.x, y, &row.line, area.width);
    }
}
