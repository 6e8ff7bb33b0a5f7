//! A link as a code that a camera reads from a terminal of 80 × 24.

use hedgerow_tui::LinkCode;

use super::error::CliError;

/// Draws `link` for a terminal of light letters on a dark ground; `coloured` makes sure of both.
///
/// # Errors
///
/// An internal error if the link is too long for a code.
pub(super) fn draw(link: &str, coloured: bool) -> Result<String, CliError> {
    let code = LinkCode::new(link).ok_or_else(|| CliError::internal("the link does not fit into a code"))?;
    let (start, end) = if coloured { ("\x1b[97;40m", "\x1b[0m\n") } else { ("", "\n") };
    Ok(code.rows().into_iter().map(|row| format!("{start}{row}{end}")).collect())
}
