//! Names and texts from other people, made harmless for a terminal.

/// Shows a name or one line of text with every hazardous character as a visible escape such as `\u{202e}`.
pub(crate) use hedgerow_tui::clean::escape as clean;

/// Shows a text of several lines like [`clean`], each line after the first moved in by `indent` spaces, so that no line of a text can
/// pose as a line of ours.
pub(crate) fn clean_lines(text: &str, indent: usize) -> String {
    let mut out = String::with_capacity(text.len());
    for (index, line) in text.split('\n').enumerate() {
        if index > 0 {
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', indent));
        }
        out.push_str(&clean(line));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_and_controls_do_not_reach_the_terminal() {
        for hostile in ["\x1b]0;owned\x07", "\x1b[2J", "\u{9b}31m", "\r\nerror: fake", "\x08\x08\x7f", "\u{85}", "\0"] {
            let shown = clean(hostile);
            assert!(!shown.chars().any(char::is_control), "{shown:?}");
        }
        assert_eq!(clean("\x1b[31mred"), "\\u{1b}[31mred");
    }

    #[test]
    fn directions_and_invisible_characters_show() {
        assert_eq!(clean("bob\u{202e}gpj.exe"), "bob\\u{202e}gpj.exe");
        for hidden in
            ['\u{200b}', '\u{200d}', '\u{200e}', '\u{2066}', '\u{2069}', '\u{feff}', '\u{2060}', '\u{ad}', '\u{e0041}', '\u{2028}']
        {
            assert_ne!(clean(&format!("bo{hidden}b")), "bob");
            assert!(!clean(&hidden.to_string()).contains(hidden));
        }
    }

    #[test]
    fn honest_text_stays_as_it_is() {
        let honest = "Zoë, Grüße, 日本語, שלום, 🌿";
        assert_eq!(clean(honest), honest);
    }

    #[test]
    fn no_line_of_a_text_poses_as_ours() {
        assert_eq!(clean_lines("one\n12:00 me: two\r", 4), "one\n    12:00 me: two\\u{d}");
    }
}
