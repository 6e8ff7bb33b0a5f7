//! One message as lines: time, sign and writer in columns on the left, the text beside them.
//!
//! ```text
//! ── today ──────────────────────
//! 10:03 ✓✓ me   a text that goes
//!               on below itself
//!               read
//! ```
//!
//! Texts never begin in the columns, so no line of a text can pose as a line of ours.

use std::borrow::Cow;

use hedgerow_sync::view::{Message, MessageState};
use ratatui::{
    style::Style,
    text::{Line, Span},
};

use super::wording;
use crate::{clean, screen::Look, text};

/// Widest name beside a text, in cells (policy).
const MAX_NAME: usize = 12;
/// From this width on time, sign and name stand beside the text; below it above, in cells (policy).
const BESIDE: usize = 36;
/// How far a text is moved in below its writer, in cells.
const BELOW: usize = 2;
/// How this side is called.
const ME: &str = "me";

/// Where things stand in a line.
#[derive(Clone, Debug)]
pub(super) struct Columns {
    width: usize,
    sign: usize,
    name: usize,
    /// The other's name, cleaned and cut.
    other: String,
}

impl Columns {
    /// For a conversation with somebody, in `width` cells.
    pub(super) fn new(look: &Look<'_>, other: &str, width: usize) -> Self {
        let sign = if look.options.words { 9 } else { 2 };
        let other = clean::fit(other, MAX_NAME);
        let name = clean::width(&other).max(ME.len());
        Self { width, sign, name, other }
    }

    const fn is_beside(&self) -> bool {
        self.width >= BESIDE
    }

    const fn indent(&self) -> usize {
        if self.is_beside() { 5 + 1 + self.sign + 1 + self.name + 2 } else { BELOW }
    }
}

/// What is drawn as a message.
pub(super) struct Block<'a> {
    /// The day it begins, if the one before it is of another.
    pub(super) day: Option<String>,
    /// Whether what is unread begins with it.
    pub(super) is_first_unread: bool,
    /// Its time of day; empty while it has none.
    pub(super) time: String,
    /// Its sign and word.
    pub(super) state: (&'static str, &'static str),
    /// Whether this side wrote it.
    pub(super) outgoing: bool,
    /// What was written.
    pub(super) text: Cow<'a, str>,
    /// What is known, if it is to be told.
    pub(super) known: Option<String>,
    /// Whether it is chosen.
    pub(super) is_chosen: bool,
    /// Whether it needs attention.
    pub(super) is_bad: bool,
}

impl<'a> Block<'a> {
    /// A message. `before` is the one before it.
    pub(super) fn of(look: &Look<'_>, message: &'a Message, before: Option<&Message>) -> Self {
        let civil = look.options.civil;
        let is_new_day = before.is_none_or(|before| wording::date(civil(before.stored)) != wording::date(civil(message.stored)));
        let is_bad = matches!(message.state, MessageState::Failed | MessageState::Expired);
        Self {
            day: is_new_day.then(|| wording::day(look, message.stored)),
            is_first_unread: false,
            time: wording::time_of_day(look, message.stored),
            state: if message.outgoing { text::state(message.state) } else { ("", "") },
            outgoing: message.outgoing,
            text: text::body(message),
            known: is_bad.then(|| wording::known(look, message)),
            is_chosen: false,
            is_bad,
        }
    }

    /// Its lines.
    pub(super) fn lines(&self, look: &Look<'_>, columns: &Columns) -> Vec<Line<'static>> {
        let theme = &look.options.theme;
        let mut lines = Vec::new();
        if let Some(day) = &self.day {
            lines.push(rule(day, columns.width, theme.dim));
        }
        if self.is_first_unread {
            lines.push(rule("unread", columns.width, theme.warn));
        }
        let style = if self.is_chosen { theme.selected } else { theme.text };
        let room = columns.width.saturating_sub(columns.indent()).max(1);
        let mut texts = clean::wrap(&clean::text(&self.text), room).into_iter();
        let mut head = self.head(look, columns);
        if columns.is_beside() {
            head.push(Span::styled(texts.next().unwrap_or_default(), style));
        }
        lines.push(Line::from(head));
        let moved = |text: String, style: Style| Line::from(vec![Span::raw(" ".repeat(columns.indent())), Span::styled(text, style)]);
        lines.extend(texts.map(|text| moved(text, style)));
        if let Some(known) = &self.known {
            let style = if self.is_bad { theme.bad } else { theme.dim };
            lines.extend(clean::wrap(known, room).into_iter().map(|text| moved(text, style)));
        }
        lines
    }

    fn head(&self, look: &Look<'_>, columns: &Columns) -> Vec<Span<'static>> {
        let theme = &look.options.theme;
        let (sign, word) = self.state;
        let sign = if look.options.words { word } else { sign };
        let state_style = if self.is_bad { theme.bad } else { theme.good };
        let (name, name_style) = if self.outgoing { (ME, theme.own) } else { (columns.other.as_str(), theme.accent) };
        if columns.is_beside() {
            return vec![
                Span::styled(pad(&self.time, 5), theme.dim),
                Span::raw(" "),
                Span::styled(pad(sign, columns.sign), state_style),
                Span::raw(" "),
                Span::styled(pad(name, columns.name), name_style),
                Span::raw("  "),
            ];
        }
        let mut spans = vec![Span::styled(self.time.clone(), theme.dim), Span::raw(" "), Span::styled(name.to_owned(), name_style)];
        if !sign.is_empty() {
            spans.extend([Span::raw(" "), Span::styled(sign, state_style)]);
        }
        spans
    }
}

/// A text and spaces behind it.
pub(super) fn pad(text: &str, cells: usize) -> String {
    let text = clean::fit(text, cells);
    let spaces = cells.saturating_sub(clean::width(&text));
    text + &" ".repeat(spaces)
}

/// A line across with a word in it.
pub(super) fn rule(word: &str, width: usize, style: Style) -> Line<'static> {
    let start = clean::fit(&format!("── {word} "), width);
    let rest = width.saturating_sub(clean::width(&start));
    Line::styled(start + &"─".repeat(rest), style)
}
