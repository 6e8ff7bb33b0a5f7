//! A page of words, wrapped to the terminal, with rows that can be chosen by key or mouse.
//!
//! For screens where rows are chosen and nothing is typed, or fields stand apart from it; [`Form`](super::Form) is for what is filled in,
//! [`Sheet`](super::Sheet) for what is only read.
//!
//! Where a page is higher than its place, its gaps go first; then it is moved so that the chosen row is seen.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use ratatui::{
    Frame,
    layout::{Alignment, Position, Rect},
    style::Style,
    text::{Line, Span},
    widgets::Paragraph,
};

use crate::{Options, Refusal, clean, keymap::Action, text};

/// Lines longer than this tire the eye (policy), cells.
const MAX_CELLS: u16 = 76;
/// Cells of the column of labels.
const LABEL: usize = 13;
/// Cells before a choice's title: its mark and key.
const INDENT: usize = 5;
/// Cells before what a key answers.
const ANSWER_INDENT: usize = 8;

/// One line of a page.
#[derive(Debug)]
struct Row {
    line: Line<'static>,
    choice: Option<usize>,
    is_gap: bool,
}

/// What the mouse asks for on a page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Touch {
    /// What a key would.
    Act(Action),
    /// Chooses a row.
    Choose(usize),
}

/// The letter of a key that is just a letter: with Ctrl or Alt it may mean something elsewhere, and must not answer anything here.
pub(crate) fn letter(key: &KeyEvent) -> Option<char> {
    match key.code {
        KeyCode::Char(letter) if key.modifiers.difference(KeyModifiers::SHIFT).is_empty() => Some(letter),
        _ => None,
    }
}

/// The part of `area` that holds words: a margin at both sides, and lines that are not too long to read.
pub(crate) fn inside(area: Rect) -> Rect {
    let margin = u16::from(area.width > 20);
    Rect { x: area.x + margin, width: (area.width - 2 * margin).min(MAX_CELLS), ..area }
}

/// Lines on their way to the screen.
#[derive(Debug)]
pub(crate) struct Page {
    area: Rect,
    options: Options,
    rows: Vec<Row>,
    chosen: Option<usize>,
}

impl Page {
    /// An empty page in `area`, with a margin of one cell at both sides.
    pub(crate) fn new(options: &Options, area: Rect) -> Self {
        Self { area: inside(area), options: *options, rows: Vec::new(), chosen: None }
    }

    /// How many cells a line has.
    pub(crate) fn cells(&self) -> usize {
        self.area.width.into()
    }

    /// How many lines there are, gaps included.
    pub(crate) fn height(&self) -> usize {
        self.rows.len()
    }

    /// Whether everything but gaps has room.
    pub(crate) fn fits(&self) -> bool {
        self.shown().len() <= usize::from(self.area.height)
    }

    /// An empty line that goes where room is short.
    pub(crate) fn gap(&mut self) {
        self.rows.push(Row { line: Line::default(), choice: None, is_gap: true });
    }

    /// One line as it is.
    pub(crate) fn line(&mut self, line: Line<'static>) {
        self.rows.push(Row { line, choice: None, is_gap: false });
    }

    /// Words in plain style.
    pub(crate) fn say(&mut self, words: &str) {
        self.say_as(words, self.options.theme.text);
    }

    /// Words in a style.
    pub(crate) fn say_as(&mut self, words: &str, style: Style) {
        for line in clean::wrap(words, self.cells()) {
            self.line(Line::styled(line, style));
        }
    }

    /// A title.
    pub(crate) fn title(&mut self, words: &str) {
        self.say_as(words, self.options.theme.strong);
    }

    /// One word in the middle.
    pub(crate) fn middle(&mut self, words: &str, style: Style) {
        self.line(Line::styled(clean::fit(words, self.cells()), style).alignment(Alignment::Center));
    }

    /// A label and what belongs to it.
    pub(crate) fn pair(&mut self, label: &'static str, words: &str, style: Style) {
        let indent = LABEL.min(self.cells() / 3);
        for (index, line) in clean::wrap(words, self.cells().saturating_sub(indent)).into_iter().enumerate() {
            let label = if index == 0 { clean::fit(label, indent.saturating_sub(1)) } else { String::new() };
            let label = Span::styled(format!("{label:indent$}"), self.options.theme.dim);
            self.line(Line::from(vec![label, Span::styled(line, style)]));
        }
    }

    /// A row that can be chosen: its key, what it does, and further words below.
    pub(crate) fn choice(&mut self, index: usize, is_chosen: bool, key: &str, title: &str, words: &str) {
        let mark = if is_chosen { text::mark(&self.options) } else { " " };
        if is_chosen {
            self.chosen = Some(index);
        }
        let style = if is_chosen { self.options.theme.selected } else { self.options.theme.text };
        let key = format!("{mark} {key:3}");
        let cells = self.cells().saturating_sub(INDENT);
        for (row, line) in clean::wrap(title, cells).into_iter().enumerate() {
            let start = if row == 0 { key.clone() } else { " ".repeat(INDENT) };
            self.rows.push(Row { line: Line::styled(format!("{start}{line}"), style), choice: Some(index), is_gap: false });
        }
        for line in clean::wrap(words, cells).into_iter().filter(|_| !words.is_empty()) {
            let line = Line::styled(format!("{}{line}", " ".repeat(INDENT)), self.options.theme.text);
            self.rows.push(Row { line, choice: Some(index), is_gap: false });
        }
    }

    /// A key and what it answers. Enter answers nothing.
    pub(crate) fn answer(&mut self, key: &'static str, words: &str) {
        for (row, line) in clean::wrap(words, self.cells().saturating_sub(ANSWER_INDENT)).into_iter().enumerate() {
            let key = Span::styled(format!("  {:6}", if row == 0 { key } else { "" }), self.options.theme.accent);
            self.line(Line::from(vec![key, Span::styled(line, self.options.theme.strong)]));
        }
    }

    /// Why something was not done, if it was not.
    pub(crate) fn refusal(&mut self, refusal: Option<&Refusal>) {
        if let Some(refusal) = refusal {
            self.gap();
            self.say_as(&text::why_not(refusal), self.options.theme.bad);
        }
    }

    /// Draws it.
    pub(crate) fn render(self, frame: &mut Frame<'_>) {
        let offset = self.offset();
        let area = self.area;
        let lines: Vec<Line<'static>> =
            self.shown().into_iter().skip(offset).take(area.height.into()).map(|row| row.line.clone()).collect();
        frame.render_widget(Paragraph::new(lines), area);
    }

    /// What the mouse asks for here.
    pub(crate) fn touch(&self, mouse: &MouseEvent) -> Option<Touch> {
        match mouse.kind {
            MouseEventKind::ScrollUp => Some(Touch::Act(Action::Up)),
            MouseEventKind::ScrollDown => Some(Touch::Act(Action::Down)),
            MouseEventKind::Down(MouseButton::Left) if self.area.contains(Position::new(mouse.column, mouse.row)) => {
                let row = usize::from(mouse.row - self.area.y) + self.offset();
                self.shown().get(row)?.choice.map(Touch::Choose)
            }
            _ => None,
        }
    }

    /// The lines, without gaps if there is not room for all.
    fn shown(&self) -> Vec<&Row> {
        let has_room = self.rows.len() <= usize::from(self.area.height);
        self.rows.iter().filter(|row| has_room || !row.is_gap).collect()
    }

    /// The first line to draw, so that the whole chosen row is seen.
    fn offset(&self) -> usize {
        let (shown, height) = (self.shown(), usize::from(self.area.height));
        let of_chosen = |row: &&Row| self.chosen.is_some() && row.choice == self.chosen;
        match (shown.iter().position(of_chosen), shown.iter().rposition(of_chosen)) {
            (Some(first), Some(last)) => (last + 1).saturating_sub(height).min(first),
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Civil, theme::Theme};

    fn page(width: u16, height: u16, chosen: usize) -> Page {
        let civil = |_| Civil { year: 2026, month: 1, day: 1, hour: 0, minute: 0 };
        let options = Options { theme: Theme::plain(), words: false, civil, banner: None, home: None, seed: [0; 32] };
        let mut page = Page::new(&options, Rect::new(0, 1, width, height));
        page.title("A title");
        page.gap();
        for index in 0..9 {
            page.choice(index, index == chosen, "k", "what it does", "and its price");
        }
        page
    }

    #[test]
    fn the_chosen_row_is_seen_at_every_height() {
        for height in 2..30 {
            for chosen in 0..9 {
                let page = page(40, height, chosen);
                let offset = page.offset();
                let seen = page.shown().into_iter().skip(offset).take(height.into()).filter(|row| row.choice == Some(chosen)).count();
                assert_eq!(seen, 2, "row {chosen} at height {height}");
            }
        }
    }

    #[test]
    fn a_click_chooses_the_row_below_it() {
        let click = |row| MouseEvent { kind: MouseEventKind::Down(MouseButton::Left), column: 4, row, modifiers: KeyModifiers::NONE };
        let whole = page(40, 30, 0);
        assert_eq!(whole.touch(&click(1)), None);
        assert_eq!(whole.touch(&click(3)), Some(Touch::Choose(0)));
        assert_eq!(whole.touch(&click(6)), Some(Touch::Choose(1)));
        // The last two rows of a page of four are the chosen one's.
        assert_eq!(page(40, 4, 8).touch(&click(4)), Some(Touch::Choose(8)));
    }
}
