//! What stands around every screen: the title line, a banner where something is wrong, the foot line with its keys.

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect, Size},
    style::Style,
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
    let cells = usize::from(area.width);
    let mut spans = vec![Span::styled(text::PROGRAM, theme.accent)];
    let name = look.model.own_name().map(|name| clean::fit(&clean::name(name), cells / 4));
    for part in name.into_iter().chain([front.title(look)]) {
        spans.push(Span::styled(" · ", theme.dim));
        spans.push(Span::styled(part, theme.strong));
    }
    let left = Line::from(spans);
    let free = cells.saturating_sub(left.width() + GAP);
    frame.render_widget(Paragraph::new(left), area);
    // Where not everything has room, what matters most stays.
    let right = if is_beginning(front) { Vec::new() } else { condition(look) };
    let fitting = (0..right.len()).map(|leave| right.iter().skip(leave)).find(|parts| joined_width(parts.clone()) <= free);
    let spans: Vec<Span<'_>> = fitting
        .into_iter()
        .flatten()
        .enumerate()
        .flat_map(|(index, (words, style))| {
            let separator = (index > 0).then(|| Span::styled(" · ", theme.dim));
            separator.into_iter().chain([Span::styled(words.as_str(), *style)])
        })
        .collect();
    frame.render_widget(Paragraph::new(Line::from(spans).right_aligned()), right_of(area, free));
}

/// Cells between what stands left and right in the title line.
const GAP: usize = 2;

fn right_of(area: Rect, cells: usize) -> Rect {
    let width = (cells as u16).min(area.width);
    Rect { x: area.right() - width, width, ..area }
}

fn joined_width<'a>(parts: impl Iterator<Item = &'a (String, Style)>) -> usize {
    parts.map(|(words, _)| clean::width(words) + 3).sum::<usize>().saturating_sub(3)
}

/// Whether there is no daemon yet that could be missed.
const fn is_beginning(front: &Screen) -> bool {
    matches!(front, Screen::Onboarding(_))
}

/// How things stand, what matters least first: who is in reach, what is unread, whether the daemon answers.
fn condition(look: &Look<'_>) -> Vec<(String, Style)> {
    let theme = &look.options.theme;
    let model = look.model;
    let unread: u64 = model.contacts.values().map(|contact| contact.unread).sum();
    let unread = (unread > 0).then(|| (format!("{unread} new"), theme.warn));
    match model.connection {
        Connection::Attached => {
            let reach = match model.neighbours.len() {
                0 => ("nobody in reach".to_owned(), theme.dim),
                count => (format!("{count} in reach"), theme.good),
            };
            [reach].into_iter().chain(unread).collect()
        }
        Connection::Absent => unread.into_iter().chain([("connecting …".to_owned(), theme.warn)]).collect(),
        Connection::Lost { .. } => unread.into_iter().chain([("not connected".to_owned(), theme.bad)]).collect(),
    }
}

/// What must not stay unseen: that the daemon is away, that storage fails, that this is the demo, other trouble; the worst alone.
fn banner(look: &Look<'_>) -> Option<String> {
    if let Connection::Lost { since, why } = &look.model.connection {
        return Some(text::lost(why, look.now.mono.since(*since)));
    }
    let trouble = look.model.status.as_ref().map_or(&[][..], |status| &status.trouble);
    // Without storage nothing else works.
    let store = trouble.iter().find(|trouble| trouble.source == STORE);
    if let Some(words) = look.options.banner.filter(|_| store.is_none()) {
        return Some(words.to_owned());
    }
    let worst = store.or(trouble.first())?;
    let more = trouble.len() - 1;
    let more = if more > 0 { format!(" (and {more} more: {})", keymap::binding(Action::Network)?.key_names()) } else { String::new() };
    Some(format!("{}{more}", clean::name(&worst.text)))
}

/// The source of trouble with the profile's storage (docs/api.md).
const STORE: &str = "store";

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
        let Some((key, general)) = hint(action) else { continue };
        let label = front.label(look, action).unwrap_or(general);
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
