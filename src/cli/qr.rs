//! A link as a code that a camera reads from a terminal of 80 × 24.

use qrcode::{Color, EcLevel, QrCode};

use super::error::CliError;

/// Light modules around the code on every side (ISO/IEC 18004).
const QUIET: i32 = 4;

/// Draws `link` in upper case, which takes fewer modules, with two rows of modules in one row of characters. Light modules are drawn, so
/// that a terminal of light letters on a dark ground shows the code as it should be; `coloured` makes sure of the ground.
///
/// # Errors
///
/// An internal error if the link is too long for a code.
pub(super) fn draw(link: &str, coloured: bool) -> Result<String, CliError> {
    let code = QrCode::with_error_correction_level(link.to_ascii_uppercase(), EcLevel::L)
        .map_err(|_| CliError::internal("the link does not fit into a code"))?;
    let width = i32::try_from(code.width()).unwrap_or(i32::MAX);
    let colors = code.to_colors();
    let light = |x: i32, y: i32| {
        let inside = (0..width).contains(&x) && (0..width).contains(&y);
        let index = usize::try_from(y * width + x).ok().filter(|_| inside);
        index.and_then(|index| colors.get(index)).is_none_or(|color| *color == Color::Light)
    };
    let mut out = String::new();
    for y in (-QUIET..width + QUIET).step_by(2) {
        if coloured {
            out.push_str("\x1b[97;40m");
        }
        for x in -QUIET..width + QUIET {
            out.push(match (light(x, y), light(x, y + 1)) {
                (true, true) => '█',
                (true, false) => '▀',
                (false, true) => '▄',
                (false, false) => ' ',
            });
        }
        out.push_str(if coloured { "\x1b[0m\n" } else { "\n" });
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_fits_a_terminal_with_its_quiet_zone_and_two_lines_below() {
        let link = format!("hedgerow:{}", "abcdefgh234567".repeat(7).get(..92).unwrap());
        let drawn = draw(&link, false).unwrap();
        assert!(drawn.lines().count() <= 21, "{}", drawn.lines().count());
        for (row, line) in drawn.lines().enumerate() {
            assert!(line.chars().count() <= 80);
            assert!(line.starts_with("████") && line.ends_with("████"));
            assert!(row > 1 || line.chars().all(|character| character == '█'));
        }
    }
}
