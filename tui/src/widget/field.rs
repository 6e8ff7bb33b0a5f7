//! A field with its label, in a form.

use ratatui::{Frame, layout::Rect, style::Modifier, text::Line, widgets::Paragraph};

use super::Editor;
use crate::{Options, clean, text};

/// Lines of a field that are seen at once (policy); the part around the cursor is.
const MAX_LINES: u16 = 3;
/// Cells before the label and what is written.
const INDENT: u16 = 2;

/// An editor and what is to be written into it.
#[derive(Debug)]
pub(crate) struct Field {
    label: &'static str,
    /// What is written.
    pub(crate) editor: Editor,
}

impl Field {
    /// A field of this label.
    pub(crate) fn new(label: &'static str, editor: Editor) -> Self {
        Self { label, editor }
    }

    /// How many lines it takes in `width` cells, its label included.
    pub(crate) fn height(&self, width: u16) -> u16 {
        let lines = u16::try_from(self.editor.height(width.saturating_sub(INDENT).into())).unwrap_or(u16::MAX);
        self.label_lines(width).len() as u16 + lines.clamp(1, MAX_LINES)
    }

    /// Draws it. A mark stands before the field that is written in.
    pub(crate) fn render(&self, options: &Options, frame: &mut Frame<'_>, area: Rect, has_cursor: bool) {
        let style = if has_cursor { options.theme.strong } else { options.theme.text };
        let mark = if has_cursor { text::mark(options) } else { " " };
        let label = self.label_lines(area.width);
        let above = (label.len() as u16).min(area.height);
        let lines: Vec<Line<'_>> = label
            .into_iter()
            .enumerate()
            .map(|(row, line)| Line::styled(format!("{} {line}", if row == 0 { mark } else { " " }), style))
            .collect();
        frame.render_widget(Paragraph::new(lines), area);
        let indent = INDENT.min(area.width);
        let written = Rect { x: area.x + indent, y: area.y + above, width: area.width - indent, height: area.height - above };
        frame.buffer_mut().set_style(written, options.theme.text.add_modifier(Modifier::UNDERLINED));
        self.editor.render(frame, written, options.theme.text, has_cursor);
    }

    fn label_lines(&self, width: u16) -> Vec<String> {
        clean::wrap(self.label, width.saturating_sub(INDENT).into())
    }
}
