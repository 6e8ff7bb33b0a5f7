//! What stands around every screen: the title line, a banner where something is wrong, the foot line with its keys.

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect, Size},
    text::{Line, Span},
    widgets::Paragraph,
};

use super::{Look, Screen, View};
use crate::{
    clean,
    keymap::{self, Action},
    model::Connection,
    text,
};

/// Draws the screen in front with its title and foot line.
pub(crate) fn render(screens: &[Screen], look: &Look<'_>, frame: &mut Frame<'_>) {
    let Some(front) = screens.last() else { return };
    let banner = banner(look);
    let [title, wrong, body, foot] = parts(banner.is_some(), frame.area());
    render_title(front, look, frame, title);
    if let Some(words) = banner {
        frame.render_widget(Paragraph::new(clean::fit(&words, wrong.width.into())).style(look.options.theme.bad), wrong);
    }
    if !body.is_empty() {
        front.render(look, frame, body);
    }
    render_foot(front, look, frame, foot);
}

fn parts(has_banner: bool, area: Rect) -> [Rect; 4] {
    let heights = [Constraint::Length(1), Constraint::Length(u16::from(has_banner)), Constraint::Min(0), Constraint::Length(1)];
    Layout::vertical(heights).areas(area)
}

/// The part of the terminal that a screen draws into.
pub(crate) fn body(look: &Look<'_>, size: Size) -> Rect {
    let [_, _, body, _] = parts(banner(look).is_some(), Rect::from(((0, 0).into(), size)));
    body
}

fn render_title(front: &Screen, look: &Look<'_>, frame: &mut Frame<'_>, area: Rect) {
    let theme = &look.options.theme;
    let mut spans = vec![Span::styled(text::PROGRAM, theme.accent)];
    for part in look.model.own_name().map(clean::name).into_iter().chain([front.title(look)]) {
        spans.push(Span::styled(" · ", theme.dim));
        spans.push(Span::styled(part, theme.strong));
    }
    if let Some(words) = look.options.banner {
        spans.push(Span::styled(format!(" · {words}"), theme.warn));
    }
    frame.render_widget(Paragraph::new(Line::from(spans)), area);
}

/// What is wrong with the daemon, if anything is.
fn banner(look: &Look<'_>) -> Option<String> {
    if let Connection::Lost { since, why } = &look.model.connection {
        return Some(text::lost(why, look.now.mono.since(*since)));
    }
    let status = look.model.status.as_ref()?;
    let trouble = status.trouble.first()?;
    Some(clean::name(&trouble.text))
}

fn render_foot(front: &Screen, look: &Look<'_>, frame: &mut Frame<'_>, area: Rect) {
    let theme = &look.options.theme;
    if let Some(words) = look.toast {
        let words = clean::fit(&clean::name(words), area.width.into());
        frame.render_widget(Paragraph::new(words).style(theme.warn), area);
        return;
    }
    let mut spans = Vec::new();
    let mut left = usize::from(area.width);
    for action in front.hints(look) {
        let Some((key, label)) = hint(action) else { continue };
        let length = clean::width(&key) + 1 + clean::width(label) + 2;
        if length > left + 2 {
            break;
        }
        left = left.saturating_sub(length);
        spans.extend([Span::styled(key, theme.accent), Span::raw(" "), Span::styled(label, theme.dim), Span::raw("  ")]);
    }
    frame.render_widget(Paragraph::new(Line::from(spans)), area);
}

/// A key and its word for the foot line.
fn hint(action: Action) -> Option<(String, &'static str)> {
    let binding = keymap::binding(action)?;
    Some((binding.keys.first()?.name(), binding.label))
}
