//! A link as a code that a camera reads from a terminal of 80 × 24.

use qrcode::{Color as Module, EcLevel, QrCode};
use ratatui::{
    Frame,
    layout::Rect,
    style::{Color, Style},
    text::{Line, Span},
    widgets::Paragraph,
};

/// Light modules around the code on every side (ISO/IEC 18004).
const QUIET: i32 = 4;
/// As few as cameras do with where the terminal is small (guess).
const MIN_QUIET: i32 = 2;

/// A link as modules, drawn with two rows of them in one row of characters.
#[derive(Clone)]
pub struct LinkCode {
    width: i32,
    modules: Vec<Module>,
}

impl std::fmt::Debug for LinkCode {
    /// Says nothing of the link.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { width, modules: _ } = self;
        f.debug_struct("LinkCode").field("width", width).finish_non_exhaustive()
    }
}

impl LinkCode {
    /// Encodes `link` in upper case, which takes fewer modules. `None` if it is too long for a code.
    pub fn new(link: &str) -> Option<Self> {
        let code = QrCode::with_error_correction_level(link.to_ascii_uppercase(), EcLevel::L).ok()?;
        Some(Self { width: i32::try_from(code.width()).ok()?, modules: code.to_colors() })
    }

    /// The rows from above, with the quiet zone of the standard. Light modules are drawn: it wants light letters on a dark ground.
    pub fn rows(&self) -> Vec<String> {
        self.rows_with(QUIET)
    }

    /// Draws it black on white into the left upper corner of `area`, with a quiet zone that has room; nothing if the code has none.
    pub(crate) fn render(&self, frame: &mut Frame<'_>, area: Rect) {
        let Some(quiet) = self.quiet_for(area) else { return };
        let lines: Vec<Line<'_>> = self.rows_with(quiet).iter().map(|row| Line::from(row.chars().map(span).collect::<Vec<_>>())).collect();
        frame.render_widget(Paragraph::new(lines), area);
    }

    /// Width and height in cells as drawn into `area`; `None` if it has no room there.
    pub(crate) fn size_in(&self, area: Rect) -> Option<(u16, u16)> {
        self.quiet_for(area).map(|quiet| self.size(quiet))
    }

    fn size(&self, quiet: i32) -> (u16, u16) {
        let side = u16::try_from(self.width + 2 * quiet).unwrap_or(u16::MAX);
        (side, side.div_ceil(2))
    }

    fn quiet_for(&self, area: Rect) -> Option<i32> {
        (MIN_QUIET..=QUIET).rev().find(|quiet| {
            let (width, height) = self.size(*quiet);
            width <= area.width && height <= area.height
        })
    }

    fn rows_with(&self, quiet: i32) -> Vec<String> {
        let places = -quiet..self.width + quiet;
        let row = |y: i32| {
            let cell = |x: i32| match (self.is_light(x, y), self.is_light(x, y + 1)) {
                (true, true) => '█',
                (true, false) => '▀',
                (false, true) => '▄',
                (false, false) => ' ',
            };
            places.clone().map(cell).collect()
        };
        places.clone().step_by(2).map(row).collect()
    }

    /// Whether the module is light; all outside are.
    fn is_light(&self, x: i32, y: i32) -> bool {
        let inside = (0..self.width).contains(&x) && (0..self.width).contains(&y);
        let index = usize::try_from(y * self.width + x).ok().filter(|_| inside);
        index.and_then(|index| self.modules.get(index)).is_none_or(|module| *module == Module::Light)
    }
}

/// A cell in black and white whatever the terminal's colours are. Where both halves are light, so is the ground: no gap of a font shows.
fn span(cell: char) -> Span<'static> {
    let ground = if cell == '█' { Color::White } else { Color::Black };
    Span::styled(cell.to_string(), Style::new().fg(Color::White).bg(ground))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code() -> LinkCode {
        LinkCode::new(&format!("hedgerow:{}", "abcdefgh234567".repeat(7).get(..92).unwrap())).unwrap()
    }

    #[test]
    fn a_link_fits_a_terminal_with_its_quiet_zone_and_three_lines_besides() {
        let rows = code().rows();
        assert!(rows.len() <= 21, "{}", rows.len());
        for (index, row) in rows.iter().enumerate() {
            assert!(row.chars().count() <= 80);
            assert!(row.starts_with("████") && row.ends_with("████"));
            assert!(index > 1 || row.chars().all(|cell| cell == '█'));
        }
    }

    #[test]
    fn what_is_drawn_are_the_modules() {
        let code = code();
        let rows = code.rows();
        for (index, module) in code.modules.iter().enumerate() {
            let (x, y) = (index as i32 % code.width + QUIET, index as i32 / code.width + QUIET);
            let cell = rows[y as usize / 2].chars().nth(x as usize).unwrap();
            let is_light = matches!((cell, y % 2), ('█', _) | ('▀', 0) | ('▄', 1));
            assert_eq!(is_light, *module == Module::Light, "module {x}, {y}");
        }
    }

    #[test]
    fn the_quiet_zone_shrinks_before_the_code_goes() {
        let code = code();
        assert_eq!(code.size_in(Rect::new(0, 0, 80, 21)), Some((41, 21)));
        assert_eq!(code.size_in(Rect::new(0, 0, 60, 19)), Some((37, 19)));
        assert_eq!(code.size_in(Rect::new(0, 0, 60, 18)), None);
    }

    #[test]
    fn what_is_too_long_is_no_code() {
        assert!(LinkCode::new(&"x".repeat(5_000)).is_none());
    }
}
