//! Names and texts from other people, made harmless for a terminal, and measured as it draws them.
//!
//! What a peer writes must neither steer a terminal, nor turn a line around, nor look like something it is not. Names show every such
//! character as an escape, so that no two names look alike. Texts drop those that honest writing needs and a terminal can't draw well
//! (the joiners of Persian and of emoji, variation selectors), and show the others as escapes.

use std::fmt::Write as _;

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Marks on one letter that are shown (policy); no language needs more.
const MAX_MARKS: usize = 8;

/// Whether a character could steer a terminal, reorder or break a line, or hide: controls (C0, DEL, C1), bidirectional marks, embeddings,
/// overrides and isolates, zero-width and other invisible characters, line separators, tags.
pub const fn is_hazardous(character: char) -> bool {
    matches!(character,
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
        | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
}

/// Whether honest texts hold the character though a terminal can't draw it well: joiners, marks of direction, soft hyphens, variation selectors.
const fn is_droppable(character: char) -> bool {
    matches!(character, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\r')
}

/// One line of words, every hazardous character an escape such as `\u{202e}`, and nothing left out.
pub fn escape(text: &str) -> String {
    clean(text, false, usize::MAX)
}

/// A name or one line of words as [`escape`] makes it, without heaps of marks.
pub fn name(text: &str) -> String {
    clean(text, false, MAX_MARKS)
}

/// A text that somebody wrote; lines are kept.
pub fn text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (index, line) in text.split('\n').enumerate() {
        if index > 0 {
            out.push('\n');
        }
        out.push_str(&clean(line, true, MAX_MARKS));
    }
    out
}

fn clean(line: &str, drop: bool, most_marks: usize) -> String {
    let mut out = String::with_capacity(line.len());
    let mut marks = 0;
    for character in line.chars() {
        let is_mark = character.width() == Some(0) && !is_hazardous(character) && !is_droppable(character);
        marks = if is_mark { marks + 1 } else { 0 };
        match character {
            '\t' => out.push(' '),
            _ if drop && is_droppable(character) => {}
            _ if is_hazardous(character) => {
                // Writing into a string cannot fail.
                let _ = write!(out, "\\u{{{:x}}}", u32::from(character));
            }
            _ if marks > most_marks => {}
            _ => out.push(character),
        }
    }
    out
}

/// How many cells a line takes.
pub fn width(line: &str) -> usize {
    line.graphemes(true).map(UnicodeWidthStr::width).sum()
}

/// As much of the beginning of a line as fits into `cells`, with `…` where something is left out.
pub fn fit(line: &str, cells: usize) -> String {
    if width(line) <= cells {
        return line.to_owned();
    }
    let mut out = String::new();
    let mut used = 0;
    for grapheme in line.graphemes(true) {
        let next = used + grapheme.width();
        if next + 1 > cells {
            break;
        }
        out.push_str(grapheme);
        used = next;
    }
    if cells > 0 {
        out.push('…');
    }
    out
}

/// Breaks a text that was cleaned into lines of at most `cells` cells: at spaces where it can, else between graphemes.
pub fn wrap(text: &str, cells: usize) -> Vec<String> {
    let cells = cells.max(1);
    text.split('\n').flat_map(|line| wrap_line(line, cells)).collect()
}

/// The parts of a line that stay together: words with the marks around them, runs of spaces, single wide letters.
fn units(line: &str) -> Vec<&str> {
    let is_alone = |word: &str| word.chars().next().is_none_or(|first| first.is_whitespace() || first.width() == Some(2));
    let mut units: Vec<&str> = Vec::new();
    let (mut start, mut end) = (0, 0);
    for (index, word) in line.split_word_bound_indices() {
        if is_alone(word) || end == start {
            units.extend(line.get(start..end).filter(|unit| !unit.is_empty()));
            start = index;
        }
        end = index + word.len();
        if is_alone(word) {
            units.extend(line.get(start..end));
            start = end;
        }
    }
    units.extend(line.get(start..end).filter(|unit| !unit.is_empty()));
    units
}

fn wrap_line(line: &str, cells: usize) -> Vec<String> {
    let (mut lines, mut current, mut used) = (Vec::new(), String::new(), 0);
    for word in units(line) {
        let length = width(word);
        if used + length <= cells {
            current.push_str(word);
            used += length;
        } else if word.chars().all(char::is_whitespace) {
            // A space at the end of a line need not be seen.
            lines.push(std::mem::take(&mut current));
            used = 0;
        } else if length <= cells {
            lines.push(std::mem::take(&mut current).trim_end().to_owned());
            current.push_str(word);
            used = length;
        } else {
            for grapheme in word.graphemes(true) {
                let length = grapheme.width();
                if used + length > cells && !current.is_empty() {
                    lines.push(std::mem::take(&mut current));
                    used = 0;
                }
                current.push_str(grapheme);
                used += length;
            }
        }
    }
    lines.push(current);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_and_controls_do_not_reach_the_terminal() {
        for hostile in ["\x1b]0;owned\x07", "\x1b[2J", "\u{9b}31m", "\r\nerror: fake", "\x08\x08\x7f", "\u{85}", "\0", "a\u{202e}b"] {
            for shown in [escape(hostile), name(hostile), text(hostile).replace('\n', "")] {
                assert!(!shown.chars().any(is_hazardous), "{shown:?}");
            }
        }
        assert_eq!(name("\x1b[31mred"), "\\u{1b}[31mred");
    }

    #[test]
    fn names_show_what_hides_and_texts_drop_what_writing_needs() {
        assert_eq!(name("bo\u{200b}b"), "bo\\u{200b}b");
        assert_eq!(text("می\u{200c}خواهم"), "میخواهم");
        assert_eq!(text("👩\u{200d}🚀❤\u{fe0f}"), "👩🚀❤");
        assert_eq!(text("bob\u{202e}gpj.exe"), "bob\\u{202e}gpj.exe");
    }

    #[test]
    fn honest_text_stays_as_it_is() {
        let honest = "Zoë, Grüße, 日本語, שלום, 🌿";
        assert_eq!((name(honest), text(honest)), (honest.to_owned(), honest.to_owned()));
    }

    #[test]
    fn a_heap_of_marks_is_cut() {
        let heap = format!("a{}b", "\u{301}".repeat(4_000));
        assert_eq!(text(&heap).chars().count(), 2 + MAX_MARKS);
        assert_eq!(escape(&heap), heap);
    }

    #[test]
    fn no_line_is_wider_than_it_may_be() {
        for line in ["a plain sentence of several words", "日本語の長い文章です", &"x".repeat(300), "", "   spaces   everywhere   "]
        {
            for cells in 2..40 {
                let lines = wrap(line, cells);
                assert!(lines.iter().all(|line| width(line) <= cells), "{lines:?} in {cells}");
                let squeezed = |text: &str| text.chars().filter(|letter| !letter.is_whitespace()).collect::<String>();
                assert_eq!(squeezed(&lines.concat()), squeezed(line));
            }
        }
        assert_eq!(wrap("your contact: somebody", 12), ["your", "contact:", "somebody"]);
        assert_eq!(fit("日本語", 5), "日本…");
        assert_eq!(fit("日本語", 6), "日本語");
    }
}
