//! A field to write in: one line or several, by graphemes, as wide as the terminal draws them.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::{
    Frame,
    layout::{Position, Rect},
    style::Style,
    text::Line,
    widgets::Paragraph,
};
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;
use zeroize::{Zeroize, Zeroizing};

use crate::clean;

/// What is shown for each letter of a hidden field.
const DOT: &str = "•";

/// What is written, and where the cursor stands. Wiped when dropped, as it may be a passphrase.
#[derive(Clone)]
pub(crate) struct Editor {
    text: Zeroizing<String>,
    /// A byte index at a boundary of graphemes.
    cursor: usize,
    lines: bool,
    hidden: bool,
    max_bytes: usize,
}

impl std::fmt::Debug for Editor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Editor").field("bytes", &self.text.len()).field("cursor", &self.cursor).finish_non_exhaustive()
    }
}

impl Editor {
    /// A field of one line that holds at most so many bytes.
    pub(crate) fn line(max_bytes: usize) -> Self {
        Self { text: Zeroizing::default(), cursor: 0, lines: false, hidden: false, max_bytes }
    }

    /// A field of several lines.
    pub(crate) fn lines(max_bytes: usize) -> Self {
        Self { lines: true, ..Self::line(max_bytes) }
    }

    /// A field for a passphrase, whose letters are not shown.
    pub(crate) fn hidden(max_bytes: usize) -> Self {
        // With room from the start no copy is left behind by growing.
        Self { text: Zeroizing::new(String::with_capacity(max_bytes)), hidden: true, ..Self::line(max_bytes) }
    }

    /// What is written.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Whether nothing is.
    pub(crate) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Puts a text in place of what is written.
    pub(crate) fn set(&mut self, text: &str) {
        self.clear();
        self.insert(text);
    }

    /// Puts a text in place of what is written, even if it is longer than what may be typed: what was written once is not cut.
    pub(crate) fn restore(&mut self, text: &str) {
        let most = std::mem::replace(&mut self.max_bytes, usize::MAX);
        self.set(text);
        self.max_bytes = most;
    }

    /// Wipes what is written.
    pub(crate) fn clear(&mut self) {
        self.text.zeroize();
        self.cursor = 0;
    }

    /// Takes what is written out.
    pub(crate) fn take(&mut self) -> Zeroizing<String> {
        self.cursor = 0;
        let room = if self.hidden { self.max_bytes } else { 0 };
        std::mem::replace(&mut self.text, Zeroizing::new(String::with_capacity(room)))
    }

    /// Writes at the cursor. What a terminal or paste buffer may hold and no text should (controls) is left out; in a field of one line
    /// the ends of lines are spaces. Returns whether everything had room.
    pub(crate) fn insert(&mut self, text: &str) -> bool {
        // Many terminals paste the ends of lines as carriage returns.
        let mut last = '\0';
        for character in text.chars() {
            let before = std::mem::replace(&mut last, character);
            let character = match character {
                '\n' if before == '\r' => continue,
                '\n' | '\r' if self.lines => '\n',
                '\n' | '\r' | '\t' => ' ',
                _ if character.is_control() => continue,
                _ => character,
            };
            if self.text.len() + character.len_utf8() > self.max_bytes {
                return false;
            }
            self.text.insert(self.cursor, character);
            self.cursor += character.len_utf8();
        }
        true
    }

    /// Takes a key. Returns whether it meant something here.
    pub(crate) fn handle(&mut self, key: &KeyEvent) -> bool {
        let ctrl = key.modifiers.contains(KeyModifiers::CONTROL);
        let alt = key.modifiers.contains(KeyModifiers::ALT);
        match key.code {
            KeyCode::Char('a') if ctrl => self.cursor = self.line_start(),
            KeyCode::Char('e') if ctrl => self.cursor = self.line_end(),
            KeyCode::Char('u') if ctrl => self.remove(self.line_start(), self.cursor),
            KeyCode::Char('k') if ctrl => self.remove(self.cursor, self.line_end()),
            KeyCode::Char('w') if ctrl => self.remove(self.word_before(), self.cursor),
            KeyCode::Backspace if ctrl || alt => self.remove(self.word_before(), self.cursor),
            KeyCode::Left if ctrl || alt => self.cursor = self.word_before(),
            KeyCode::Right if ctrl || alt => self.cursor = self.word_after(),
            KeyCode::Char(character) if !ctrl && !alt => return self.insert(character.encode_utf8(&mut [0; 4])),
            KeyCode::Backspace => self.remove(self.before(), self.cursor),
            KeyCode::Delete => self.remove(self.cursor, self.after()),
            KeyCode::Left => self.cursor = self.before(),
            KeyCode::Right => self.cursor = self.after(),
            KeyCode::Home => self.cursor = self.line_start(),
            KeyCode::End => self.cursor = self.line_end(),
            _ => return false,
        }
        true
    }

    /// Moves the cursor a drawn line up (`-1`) or down (`1`) in a field of `cells` cells. `false` at the first or last line.
    pub(crate) fn move_line(&mut self, down: bool, cells: usize) -> bool {
        let rows = self.rows(cells);
        let (x, y) = self.place(&rows, cells);
        let wanted = if down { y.checked_add(1) } else { y.checked_sub(1) };
        let Some(row) = wanted.and_then(|row| rows.get(row)) else { return false };
        let mut at = row.start;
        let mut used = 0;
        for grapheme in self.text.get(row.clone()).unwrap_or_default().graphemes(true) {
            if used >= x {
                break;
            }
            used += shown_width(grapheme);
            at += grapheme.len();
        }
        self.cursor = at;
        true
    }

    /// How many drawn lines the text takes in a field of `cells` cells.
    pub(crate) fn height(&self, cells: usize) -> usize {
        self.rows(cells).len()
    }

    /// Draws the part around the cursor; puts the terminal's cursor there if the field has it.
    pub(crate) fn render(&self, frame: &mut Frame<'_>, area: Rect, style: Style, has_cursor: bool) {
        if area.is_empty() {
            return;
        }
        let cells = usize::from(area.width);
        let rows = self.rows(cells);
        let (x, y) = self.place(&rows, cells);
        let offset = (y + 1).saturating_sub(usize::from(area.height));
        let lines: Vec<Line<'_>> =
            rows.iter().skip(offset).take(usize::from(area.height)).map(|row| Line::styled(self.shown(row.clone()), style)).collect();
        frame.render_widget(Paragraph::new(lines), area);
        if has_cursor {
            let (column, line) = (x.min(cells.saturating_sub(1)) as u16, (y - offset) as u16);
            frame.set_cursor_position(Position::new(area.x + column, area.y + line));
        }
    }

    /// A row as it is drawn.
    fn shown(&self, row: std::ops::Range<usize>) -> String {
        let text = self.text.get(row).unwrap_or_default();
        if self.hidden {
            return DOT.repeat(text.graphemes(true).count());
        }
        drawn(text)
    }

    /// The byte ranges of the drawn lines; ends of lines belong to none.
    fn rows(&self, cells: usize) -> Vec<std::ops::Range<usize>> {
        let cells = cells.max(2);
        let mut rows = Vec::new();
        let (mut start, mut used) = (0, 0);
        for (index, grapheme) in self.text.grapheme_indices(true) {
            if grapheme == "\n" {
                rows.push(start..index);
                (start, used) = (index + 1, 0);
                continue;
            }
            let width = self.cell_width(grapheme);
            // One cell stays free for the cursor behind the last letter.
            if used + width > cells - 1 {
                rows.push(start..index);
                (start, used) = (index, 0);
            }
            used += width;
        }
        rows.push(start..self.text.len());
        rows
    }

    fn place(&self, rows: &[std::ops::Range<usize>], _cells: usize) -> (usize, usize) {
        let y = rows.iter().rposition(|row| row.start <= self.cursor).unwrap_or(0);
        let start = rows.get(y).map_or(0, |row| row.start);
        let x = self.text.get(start..self.cursor).unwrap_or_default().graphemes(true).map(|grapheme| self.cell_width(grapheme)).sum();
        (x, y)
    }

    fn cell_width(&self, grapheme: &str) -> usize {
        if self.hidden { 1 } else { shown_width(grapheme) }
    }

    fn remove(&mut self, from: usize, to: usize) {
        if from < to {
            self.text.replace_range(from..to, "");
            self.cursor = from;
        }
    }

    fn before(&self) -> usize {
        let head = self.text.get(..self.cursor).unwrap_or_default();
        head.grapheme_indices(true).next_back().map_or(0, |(index, _)| index)
    }

    fn after(&self) -> usize {
        let tail = self.text.get(self.cursor..).unwrap_or_default();
        self.cursor + tail.graphemes(true).next().map_or(0, str::len)
    }

    fn line_start(&self) -> usize {
        self.text.get(..self.cursor).and_then(|head| head.rfind('\n')).map_or(0, |end| end + 1)
    }

    fn line_end(&self) -> usize {
        let tail = self.text.get(self.cursor..).unwrap_or_default();
        self.cursor + tail.find('\n').unwrap_or(tail.len())
    }

    fn word_before(&self) -> usize {
        let head = self.text.get(..self.cursor).unwrap_or_default().trim_end();
        head.split_word_bound_indices().next_back().map_or(0, |(index, _)| index)
    }

    fn word_after(&self) -> usize {
        let tail = self.text.get(self.cursor..).unwrap_or_default();
        let mut words = tail.split_word_bound_indices().skip_while(|(_, word)| word.trim().is_empty());
        words.next().map_or(self.text.len(), |(index, word)| self.cursor + index + word.len())
    }
}

/// A text as this field draws it: what hides or steers is not drawn, and is sent nevertheless.
fn drawn(text: &str) -> String {
    text.chars().filter(|character| !clean::is_hazardous(*character)).collect()
}

/// The cells of a grapheme as this field draws it. Without its joiners it may be several.
fn shown_width(grapheme: &str) -> usize {
    if grapheme.chars().any(clean::is_hazardous) { clean::width(&drawn(grapheme)) } else { grapheme.width() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn type_in(editor: &mut Editor, keys: &[KeyCode]) {
        for code in keys {
            editor.handle(&KeyEvent::new(*code, KeyModifiers::NONE));
        }
    }

    #[test]
    fn a_grapheme_is_one_step_and_one_deletion() {
        let mut editor = Editor::line(100);
        editor.insert("a👩\u{200d}🚀e\u{301}");
        type_in(&mut editor, &[KeyCode::Backspace]);
        assert_eq!(editor.text(), "a👩\u{200d}🚀");
        type_in(&mut editor, &[KeyCode::Left, KeyCode::Char('b')]);
        assert_eq!(editor.text(), "ab👩\u{200d}🚀");
    }

    #[test]
    fn controls_do_not_get_in_and_the_limit_holds() {
        let mut editor = Editor::line(8);
        assert!(!editor.insert("\x1b[2J\u{9b}a\nbcdefgh"));
        assert_eq!(editor.text(), "[2Ja bcd");
        let mut editor = Editor::lines(100);
        editor.insert("a\r\nb\u{7}\rc\n\nd");
        assert_eq!(editor.text(), "a\nb\nc\n\nd");
    }

    #[test]
    fn the_cursor_moves_by_drawn_lines() {
        let mut editor = Editor::lines(1_000);
        editor.insert("eine Zeile\nzwei");
        assert!(editor.move_line(false, 40) && !editor.move_line(false, 40));
        type_in(&mut editor, &[KeyCode::Char('!')]);
        assert_eq!(editor.text(), "eine! Zeile\nzwei");
        assert_eq!(editor.height(6), 4);
    }

    #[test]
    fn words_are_removed_whole() {
        let mut editor = Editor::line(100);
        editor.insert("one two");
        editor.handle(&KeyEvent::new(KeyCode::Char('w'), KeyModifiers::CONTROL));
        assert_eq!(editor.text(), "one ");
    }

    #[test]
    fn signs_are_no_words_but_go_one_run_at_a_time() {
        let mut editor = Editor::line(100);
        editor.insert("one 🌿!  ");
        editor.handle(&KeyEvent::new(KeyCode::Char('w'), KeyModifiers::CONTROL));
        assert_eq!(editor.text(), "one 🌿");
        type_in(&mut editor, &[KeyCode::Home]);
        editor.handle(&KeyEvent::new(KeyCode::Right, KeyModifiers::CONTROL));
        editor.handle(&KeyEvent::new(KeyCode::Right, KeyModifiers::CONTROL));
        editor.insert("?");
        assert_eq!(editor.text(), "one 🌿?");
    }

    #[test]
    fn what_was_written_once_is_not_cut_but_nothing_is_added() {
        let mut editor = Editor::lines(4);
        editor.restore("seven letters");
        assert!(!editor.insert("x"));
        assert_eq!(editor.text(), "seven letters");
    }

    #[test]
    fn what_is_written_is_not_in_debug() {
        let mut editor = Editor::hidden(100);
        editor.insert("hunter2");
        assert!(!format!("{editor:?}").contains("hunter"));
    }
}
