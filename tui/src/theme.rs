//! How things look: styles and signs as data. Nothing is told by colour alone.

use ratatui::style::{Color, Modifier, Style};

/// The styles of everything on the screen, by meaning. The sixteen colours of any terminal, so that the person's own scheme holds.
#[derive(Clone, Copy, Debug)]
pub struct Theme {
    /// Plain text.
    pub text: Style,
    /// What matters less: times, hints, separators.
    pub dim: Style,
    /// Titles and what a person should look at.
    pub strong: Style,
    /// The name of this program, the open conversation, keys in the foot line.
    pub accent: Style,
    /// What went well: delivered, in reach, verified.
    pub good: Style,
    /// What wants attention: pending, unread, not verified.
    pub warn: Style,
    /// What failed or endangers.
    pub bad: Style,
    /// The chosen row of a list.
    pub selected: Style,
    /// Frames and lines.
    pub border: Style,
    /// The person's own name before what they wrote.
    pub own: Style,
}

impl Theme {
    /// For terminals with colours.
    pub const fn colours() -> Self {
        Self {
            text: Style::new(),
            dim: Style::new().add_modifier(Modifier::DIM),
            strong: Style::new().add_modifier(Modifier::BOLD),
            accent: Style::new().fg(Color::Cyan),
            good: Style::new().fg(Color::Green),
            warn: Style::new().fg(Color::Yellow),
            bad: Style::new().fg(Color::Red).add_modifier(Modifier::BOLD),
            selected: Style::new().add_modifier(Modifier::REVERSED),
            border: Style::new().add_modifier(Modifier::DIM),
            own: Style::new().fg(Color::Blue).add_modifier(Modifier::BOLD),
        }
    }

    /// Without colours, as `NO_COLOR` asks.
    pub const fn plain() -> Self {
        Self {
            text: Style::new(),
            dim: Style::new().add_modifier(Modifier::DIM),
            strong: Style::new().add_modifier(Modifier::BOLD),
            accent: Style::new().add_modifier(Modifier::BOLD),
            good: Style::new(),
            warn: Style::new().add_modifier(Modifier::BOLD),
            bad: Style::new().add_modifier(Modifier::BOLD),
            selected: Style::new().add_modifier(Modifier::REVERSED),
            border: Style::new().add_modifier(Modifier::DIM),
            own: Style::new().add_modifier(Modifier::BOLD),
        }
    }
}
