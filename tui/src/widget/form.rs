//! A form: a page that asks for something: words, fields and choices one below the other, with the one in use always in sight.
//!
//! For screens that stand before everything else (the first start, passphrases, leaving); [`Page`](super::Page) is for rows that are chosen
//! by key or mouse, [`Sheet`](super::Sheet) for what is only read.

use ratatui::{Frame, layout::Rect, style::Style, text::Line, widgets::Paragraph};

use super::Editor;
use crate::{clean, theme::Theme};

/// Lines longer than this are hard to read.
const MAX_WIDTH: u16 = 76;
/// Cells left of everything where there is room for it.
const MARGIN: u16 = 2;
/// A terminal narrower than this has none.
const NO_MARGIN_BELOW: u16 = 30;

enum Block<'a> {
    Words(String, Style),
    Field { label: &'static str, editor: &'a Editor, has_cursor: bool },
    Choice { name: &'static str, detail: &'static str, is_chosen: bool },
}

/// A form as it is put together to be drawn.
pub(crate) struct Form<'a> {
    theme: &'a Theme,
    blocks: Vec<Block<'a>>,
}

impl<'a> Form<'a> {
    /// Nothing is on it yet.
    pub(crate) fn new(theme: &'a Theme) -> Self {
        Self { theme, blocks: Vec::new() }
    }

    /// Puts words on it; they are broken into lines where need be.
    pub(crate) fn words(&mut self, words: impl Into<String>, style: Style) -> &mut Self {
        self.blocks.push(Block::Words(words.into(), style));
        self
    }

    /// Leaves a line empty.
    pub(crate) fn gap(&mut self) -> &mut Self {
        self.words("", Style::new())
    }

    /// Puts a field on it.
    pub(crate) fn field(&mut self, label: &'static str, editor: &'a Editor, has_cursor: bool) -> &mut Self {
        self.blocks.push(Block::Field { label, editor, has_cursor });
        self
    }

    /// Puts something to choose on it, with what it means.
    pub(crate) fn choice(&mut self, name: &'static str, detail: &'static str, is_chosen: bool) -> &mut Self {
        self.blocks.push(Block::Choice { name, detail, is_chosen });
        self
    }

    /// Draws it, and gives where each choice is.
    pub(crate) fn render(&self, frame: &mut Frame<'_>, area: Rect) -> Vec<Rect> {
        let margin = if area.width < NO_MARGIN_BELOW { 0 } else { MARGIN };
        let area = Rect { x: area.x + margin, width: area.width.saturating_sub(margin).min(MAX_WIDTH), ..area };
        let mut choices = Vec::new();
        if area.is_empty() {
            return choices;
        }
        let heights: Vec<usize> = self.blocks.iter().map(|block| self.lines(block, area.width).len()).collect();
        let mut skipped = self.first_line(&heights, area.height.into());
        let mut y = area.y;
        for block in &self.blocks {
            let lines = self.lines(block, area.width);
            let hidden = skipped.min(lines.len());
            skipped -= hidden;
            let room = area.bottom().saturating_sub(y);
            let height = u16::try_from(lines.len() - hidden).unwrap_or(u16::MAX).min(room);
            let place = Rect { y, height, ..area };
            if height > 0 {
                frame.render_widget(Paragraph::new(lines.into_iter().skip(hidden).collect::<Vec<_>>()), place);
                self.render_field(block, frame, place);
            }
            if matches!(block, Block::Choice { .. }) {
                choices.push(place);
            }
            y += height;
        }
        choices
    }

    /// How many lines at the top are left out so that what is in use is seen.
    fn first_line(&self, heights: &[usize], room: usize) -> usize {
        let total: usize = heights.iter().sum();
        let used = self
            .blocks
            .iter()
            .rposition(|block| matches!(block, Block::Field { has_cursor: true, .. } | Block::Choice { is_chosen: true, .. }));
        let Some(used) = used.filter(|_| total > room) else { return 0 };
        let start: usize = heights.iter().take(used).sum();
        let end = start + heights.get(used).copied().unwrap_or(0);
        // What explains it, or says what was wrong, stands below.
        (end + 2).saturating_sub(room).min(start).min(total - room)
    }

    fn lines(&self, block: &Block<'_>, width: u16) -> Vec<Line<'static>> {
        match block {
            Block::Words(words, style) => clean::wrap(words, width.into()).into_iter().map(|line| Line::styled(line, *style)).collect(),
            Block::Field { label, .. } => vec![Line::styled(clean::fit(label, width.into()), self.theme.text)],
            Block::Choice { name, detail, is_chosen } => {
                let (sign, style) = if *is_chosen { ("> ", self.theme.selected) } else { ("  ", self.theme.strong) };
                let name = Line::styled(clean::fit(&format!("{sign}{name}"), width.into()), style);
                let indent = if width < NO_MARGIN_BELOW { "" } else { "    " };
                let details = clean::wrap(detail, usize::from(width).saturating_sub(indent.len()));
                let details = details.into_iter().filter(|line| !line.is_empty());
                std::iter::once(name).chain(details.map(|line| Line::styled(format!("{indent}{line}"), self.theme.dim))).collect()
            }
        }
    }

    fn render_field(&self, block: &Block<'_>, frame: &mut Frame<'_>, place: Rect) {
        let Block::Field { label, editor, has_cursor } = block else { return };
        let label = u16::try_from(clean::width(label)).unwrap_or(u16::MAX).saturating_add(2).min(place.width / 2);
        let field = Rect { x: place.x + label, width: place.width - label, ..place };
        // A frame would cost two lines of a small terminal; an underline shows how long the field is.
        let style = if *has_cursor { self.theme.strong } else { self.theme.text };
        frame.render_widget(Paragraph::new("").style(style.underlined()), field);
        editor.render(frame, field, style.underlined(), *has_cursor);
    }
}

/// Which of the places holds a cell.
pub(crate) fn place_at(places: &[Rect], column: u16, row: u16) -> Option<usize> {
    places.iter().position(|place| place.contains(ratatui::layout::Position::new(column, row)))
}
