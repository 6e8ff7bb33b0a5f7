//! A page of words that is read and scrolled; nothing on it is chosen ([`Page`](super::Page)) or filled in ([`Form`](super::Form)).

use crossterm::event::MouseEventKind;
use ratatui::{
    Frame,
    layout::Rect,
    style::Style,
    text::{Line, Span},
    widgets::Paragraph,
};

use crate::{clean, keymap::Action, screen::UiInput, theme::Theme};

/// Fewest cells for the words beside a mark or label (policy); with less room they go below it.
const MIN_WORDS: usize = 24;
/// Rows that one turn of the wheel moves.
const WHEEL_ROWS: usize = 3;

/// The lines of a page as wide as the screen, from words that were cleaned.
#[derive(Debug)]
pub(crate) struct Sheet {
    width: usize,
    theme: Theme,
    lines: Vec<Line<'static>>,
}

impl Sheet {
    /// An empty page of so many cells; the last one stays free for the sign that there is more.
    pub(crate) fn new(width: usize, theme: &Theme) -> Self {
        Self { width: width.saturating_sub(1).max(1), theme: *theme, lines: Vec::new() }
    }

    /// A line that is empty, unless it would be the first.
    pub(crate) fn gap(&mut self) {
        if !self.lines.is_empty() {
            self.lines.push(Line::default());
        }
    }

    /// What the lines below are about.
    pub(crate) fn heading(&mut self, words: &str) {
        self.gap();
        self.text(words, self.theme.strong);
    }

    /// Words over the whole width.
    pub(crate) fn text(&mut self, words: &str, style: Style) {
        self.lines.extend(clean::wrap(words, self.width).into_iter().map(|line| Line::styled(line, style)));
    }

    /// Words that matter less, over the whole width.
    pub(crate) fn note(&mut self, words: &str) {
        self.text(words, self.theme.dim);
    }

    /// Words behind a mark, with all their lines under the first.
    pub(crate) fn item(&mut self, mark: &str, words: &str, style: Style) {
        self.row(mark, clean::width(mark), words, self.theme.dim, style);
    }

    /// Words behind a label that takes `column` cells.
    pub(crate) fn pair(&mut self, label: &str, column: usize, words: &str) {
        self.row(label, column, words, self.theme.accent, self.theme.text);
    }

    fn row(&mut self, label: &str, column: usize, words: &str, label_style: Style, style: Style) {
        let taken = clean::width(label);
        if taken > column || column + MIN_WORDS.min(clean::width(words)) > self.width {
            self.text(label, label_style);
            let indent = usize::from(self.width > MIN_WORDS) * 2;
            let lines = clean::wrap(words, self.width - indent);
            self.lines.extend(lines.into_iter().map(|line| Line::from(vec![Span::raw(" ".repeat(indent)), Span::styled(line, style)])));
            return;
        }
        for (index, line) in clean::wrap(words, self.width - column).into_iter().enumerate() {
            let head = if index == 0 { label } else { "" };
            let pad = " ".repeat(if index == 0 { column - taken } else { column });
            self.lines.push(Line::from(vec![Span::styled(head.to_owned(), label_style), Span::raw(pad), Span::styled(line, style)]));
        }
    }

    /// The lines.
    pub(crate) fn into_lines(self) -> Vec<Line<'static>> {
        self.lines
    }
}

/// Which part of a page is seen.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Scroll {
    top: usize,
}

impl Scroll {
    /// Moves as the input says in a page of `lines`, of which `page` are seen. Returns whether it was such an input.
    pub(crate) fn handle(&mut self, input: &UiInput, lines: usize, page: usize) -> bool {
        let last = lines.saturating_sub(page);
        let top = self.top.min(last);
        self.top = match input {
            UiInput::Action(Action::Up) => top.saturating_sub(1),
            UiInput::Action(Action::Down) => top.saturating_add(1).min(last),
            UiInput::Action(Action::PageUp) => top.saturating_sub(page.max(1)),
            UiInput::Action(Action::PageDown) => top.saturating_add(page.max(1)).min(last),
            UiInput::Action(Action::First) => 0,
            UiInput::Action(Action::Last) => last,
            UiInput::Mouse(mouse) if mouse.kind == MouseEventKind::ScrollUp => top.saturating_sub(WHEEL_ROWS),
            UiInput::Mouse(mouse) if mouse.kind == MouseEventKind::ScrollDown => top.saturating_add(WHEEL_ROWS).min(last),
            _ => return false,
        };
        true
    }

    /// Draws the part that is seen, with signs at the right where there is more.
    pub(crate) fn render(&self, lines: Vec<Line<'static>>, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
        let page = usize::from(area.height);
        let last = lines.len().saturating_sub(page);
        let top = self.top.min(last);
        let has_more = [(top > 0, "↑", area.top()), (top < last, "↓", area.bottom().saturating_sub(1))];
        let seen: Vec<Line<'static>> = lines.into_iter().skip(top).take(page).collect();
        frame.render_widget(Paragraph::new(seen), area);
        for (is_there, sign, row) in has_more {
            if is_there && !area.is_empty() {
                frame.render_widget(Paragraph::new(sign).style(theme.warn), Rect::new(area.right() - 1, row, 1, 1));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_is_wider_than_the_page() {
        for width in 0..90 {
            let mut page = Sheet::new(width, &Theme::plain());
            page.heading("A heading of several words that may have to be broken");
            page.item("10:03  5 min ago  ", "handed to 日本語 over lan, who says that it holds it", Style::new());
            page.pair("mode", 12, "mesh: strangers carry for you");
            page.pair("a label that is longer than its column", 12, &"x".repeat(300));
            // A character of two cells can't be halved.
            let most = width.saturating_sub(1).max(2);
            assert!(page.into_lines().iter().all(|line| line.width() <= most), "{width}");
        }
    }

    #[test]
    fn scrolling_stays_on_the_page() {
        let mut scroll = Scroll::default();
        for action in [Action::Down, Action::Last, Action::PageDown, Action::Up, Action::PageUp, Action::First, Action::Up] {
            for (lines, page) in [(0, 0), (0, 5), (3, 5), (100, 5), (100, 0)] {
                assert!(scroll.handle(&UiInput::Action(action), lines, page));
                assert!(scroll.top <= lines.saturating_sub(page));
            }
        }
    }
}
