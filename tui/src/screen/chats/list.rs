//! The list of conversations: newest first, found by typing.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use hedgerow_sync::{
    id::ContactId,
    view::{Contact, ContactState},
};
use ratatui::{
    Frame,
    layout::Rect,
    text::{Line, Span},
};

use super::{composer::Composer, wording};
use crate::{
    clean,
    keymap::Action,
    model::Model,
    screen::Look,
    text::{self, DRAFT, IN_REACH, VERIFIED},
    widget::{Editor, Selection},
};

/// Most bytes of what is typed to find somebody (policy).
const MAX_FILTER: usize = 100;
/// From this width on a contact takes one line, below it two, in cells (policy).
const ONE_LINE: u16 = 50;
/// What precedes what is typed.
const FIND: &str = "Find: ";

/// Which conversation is chosen, and what is typed to find one.
#[derive(Debug)]
pub(super) struct List {
    pub(super) chosen: Option<ContactId>,
    pub(super) filter: Editor,
}

/// What the list is drawn with besides the model.
#[derive(Clone, Copy)]
pub(super) struct Beside<'a> {
    pub(super) composers: &'a BTreeMap<ContactId, Composer>,
    /// The conversation that is open.
    pub(super) open: Option<ContactId>,
}

impl List {
    pub(super) fn new() -> Self {
        Self { chosen: None, filter: Editor::line(MAX_FILTER) }
    }

    /// The contacts that are listed, newest conversation first, then by name.
    pub(super) fn order<'m>(&self, model: &'m Model) -> Vec<&'m Contact> {
        let wanted = self.filter.text().trim().to_lowercase();
        let mut contacts: Vec<&Contact> = model.contacts.values().filter(|contact| is_called(contact, &wanted)).collect();
        contacts.sort_by_cached_key(|contact| {
            let name = contact.name.as_ref().map(|name| name.to_lowercase());
            (Reverse(contact.last_message), name.is_none(), name, contact.contact)
        });
        contacts
    }

    /// The chosen one of those listed.
    pub(super) fn chosen(&self, model: &Model) -> Option<ContactId> {
        let order = self.order(model);
        order.iter().find(|contact| Some(contact.contact) == self.chosen).or(order.first()).map(|contact| contact.contact)
    }

    /// Moves the choice. Returns whether `action` does so.
    pub(super) fn handle(&mut self, action: Action, model: &Model, area: Rect) -> bool {
        let order = self.order(model);
        let mut selection = self.selection(&order);
        let is_move = selection.handle(action, order.len(), page(area));
        if is_move {
            self.chosen = selection.row(order.len()).and_then(|row| order.get(row)).map(|contact| contact.contact);
        }
        is_move
    }

    /// The contact drawn at a line of the terminal.
    pub(super) fn at(&self, model: &Model, area: Rect, y: u16) -> Option<ContactId> {
        let order = self.order(model);
        let line = y.checked_sub(area.y + 1)?;
        let row = self.selection(&order).offset(order.len(), page(area)) + usize::from(line / row_height(area));
        order.get(row).map(|contact| contact.contact)
    }

    fn selection(&self, order: &[&Contact]) -> Selection {
        let mut selection = Selection::default();
        selection.choose(order.iter().position(|contact| Some(contact.contact) == self.chosen).unwrap_or(0));
        selection
    }

    /// Draws it.
    pub(super) fn render(&self, look: &Look<'_>, beside: Beside<'_>, frame: &mut Frame<'_>, area: Rect) {
        self.render_filter(look, beside, frame, Rect { height: 1, ..area });
        let order = self.order(look.model);
        if order.is_empty() {
            render_empty(look, frame, area, self.filter.is_empty());
            return;
        }
        let selection = self.selection(&order);
        let offset = selection.offset(order.len(), page(area));
        let chosen = selection.row(order.len());
        // Who is linked is looked up once, not for each row.
        let linked: BTreeSet<ContactId> = look.model.neighbours.values().filter_map(|neighbour| neighbour.contact).collect();
        let height = row_height(area);
        for (slot, contact) in order.iter().skip(offset).take(page(area)).enumerate() {
            let y = area.y + 1 + slot as u16 * height;
            let row = Rect { y, height: height.min(area.bottom().saturating_sub(y)), ..area };
            let is_linked = contact.in_reach || linked.contains(&contact.contact);
            let has_draft = contact.draft || beside.composers.get(&contact.contact).is_some_and(Composer::has_draft);
            let row_look =
                RowLook { is_linked, has_draft, is_chosen: chosen == Some(offset + slot), is_open: beside.open == Some(contact.contact) };
            render_row(look, contact, row_look, frame, row);
        }
    }

    fn render_filter(&self, look: &Look<'_>, beside: Beside<'_>, frame: &mut Frame<'_>, area: Rect) {
        let theme = &look.options.theme;
        if beside.open.is_some() || (self.filter.is_empty() && look.model.contacts.is_empty()) {
            let words = clean::fit("Conversations", area.width.into());
            frame.buffer_mut().set_stringn(area.x, area.y, words, area.width.into(), theme.dim);
            return;
        }
        let prompt = area.width.min(FIND.len() as u16);
        frame.buffer_mut().set_stringn(area.x, area.y, FIND, prompt.into(), theme.dim);
        let field = Rect { x: area.x + prompt, width: area.width - prompt, ..area };
        self.filter.render(frame, field, theme.text, true);
        if self.filter.is_empty() && field.width > 2 {
            let words = clean::fit("type a name", usize::from(field.width) - 1);
            frame.buffer_mut().set_stringn(field.x, field.y, words, field.width.into(), theme.dim);
        }
    }
}

/// How a row is drawn.
#[derive(Clone, Copy)]
struct RowLook {
    is_linked: bool,
    has_draft: bool,
    is_chosen: bool,
    is_open: bool,
}

const fn row_height(area: Rect) -> u16 {
    if area.width >= ONE_LINE { 1 } else { 2 }
}

/// How many contacts are seen.
fn page(area: Rect) -> usize {
    usize::from(area.height.saturating_sub(1) / row_height(area)).max(1)
}

fn is_called(contact: &Contact, wanted: &str) -> bool {
    let names = [&contact.name, &contact.own_name];
    wanted.is_empty()
        || names.into_iter().flatten().any(|name| name.to_lowercase().contains(wanted))
        || contact.name.is_none() && wording::contact_name(contact).contains(wanted)
}

fn render_row(look: &Look<'_>, contact: &Contact, row: RowLook, frame: &mut Frame<'_>, area: Rect) {
    let theme = &look.options.theme;
    let width = usize::from(area.width);
    let name_cells = if area.height >= 2 || area.width < ONE_LINE { width } else { width / 2 };
    let name = name_line(look, contact, row, name_cells);
    frame.buffer_mut().set_line(area.x, area.y, &name, name_cells as u16);
    let (x, y) = if name_cells < width { (area.x + name_cells as u16 + 1, area.y) } else { (area.x + 2, area.y + 1) };
    if y < area.bottom() && x < area.right() {
        let room = usize::from(area.right() - x);
        let style = if contact.state == ContactState::Failed { theme.bad } else { theme.dim };
        frame.buffer_mut().set_stringn(x, y, clean::fit(&details(look, contact, row), room), room, style);
    }
    if row.is_chosen {
        frame.buffer_mut().set_style(Rect { height: 1, ..area }, theme.selected);
    }
}

/// Name, marks and how many are unread.
fn name_line(look: &Look<'_>, contact: &Contact, row: RowLook, cells: usize) -> Line<'static> {
    let theme = &look.options.theme;
    let signs = !look.options.words;
    let unread = if contact.unread > 0 { format!(" {} new", contact.unread) } else { String::new() };
    let verified = if contact.verified && signs { format!(" {VERIFIED}") } else { String::new() };
    let draft = if row.has_draft && signs { format!(" {DRAFT}") } else { String::new() };
    let reach = if row.is_linked && signs { IN_REACH } else { " " };
    let taken = 2 + clean::width(&unread) + clean::width(&verified) + clean::width(&draft);
    let name = clean::fit(&wording::contact_name(contact), cells.saturating_sub(taken));
    let gap = cells.saturating_sub(taken + clean::width(&name));
    let name_style = match row {
        _ if contact.unread > 0 => theme.strong,
        RowLook { is_open: true, .. } => theme.accent,
        _ => theme.text,
    };
    Line::from(vec![
        Span::styled(reach, theme.good),
        Span::raw(if row.is_open { text::mark(look.options) } else { " " }),
        Span::styled(name, name_style),
        Span::styled(verified, theme.good),
        Span::styled(draft, theme.warn),
        Span::raw(" ".repeat(gap)),
        Span::styled(unread, theme.warn),
    ])
}

/// Where the contact is, and marks in words.
fn details(look: &Look<'_>, contact: &Contact, row: RowLook) -> String {
    let mut parts = vec![wording::presence(look, contact)];
    let in_words = look.options.words;
    parts.extend((contact.verified && in_words).then(|| "verified".to_owned()));
    parts.extend((row.has_draft && in_words).then(|| "draft".to_owned()));
    parts.extend(contact.muted.then(|| "muted".to_owned()));
    parts.join(" · ")
}

fn render_empty(look: &Look<'_>, frame: &mut Frame<'_>, area: Rect, is_all: bool) {
    let theme = &look.options.theme;
    let words = if look.model.settings.is_none() {
        "Loading…"
    } else if is_all {
        "Nobody is here yet.\n\nPress F2 to add your first contact: somebody in the same room, or anywhere by a link.\n\nF1 shows all keys."
    } else {
        "Nobody is called that. Esc shows everybody again."
    };
    for (line, y) in clean::wrap(words, area.width.into()).into_iter().zip(area.y.saturating_add(2)..area.bottom()) {
        frame.buffer_mut().set_stringn(area.x, y, line, area.width.into(), theme.text);
    }
}
