//! Which part of the terminal shows what.

use ratatui::layout::Rect;

/// From this width on the list and a conversation are both seen, in cells (policy), and how wide the list then is with a free column.
const BOTH: [(u16, u16); 2] = [(100, 34), (80, 26)];

/// The list and the conversation; what is not seen is `None`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Panes {
    pub(super) list: Option<Rect>,
    /// The column between the two.
    pub(super) border: Option<Rect>,
    pub(super) conversation: Option<Rect>,
}

impl Panes {
    pub(super) fn new(area: Rect, is_open: bool) -> Self {
        let Some((_, width)) = BOTH.into_iter().find(|(from, _)| area.width >= *from) else {
            let (list, conversation) = if is_open { (None, Some(area)) } else { (Some(area), None) };
            return Self { list, border: None, conversation };
        };
        let list = Rect { width: width - 1, ..area };
        let border = Rect { x: area.x + width, width: 1, ..area };
        let conversation = Rect { x: area.x + width + 2, width: area.width - width - 2, ..area };
        Self { list: Some(list), border: Some(border), conversation: Some(conversation) }
    }
}

/// The parts of a conversation from above: with whom, messages, a line across, what is written. Where there is little room, the last stays.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parts {
    pub(super) header: Rect,
    pub(super) messages: Rect,
    pub(super) rule: Rect,
    pub(super) composer: Rect,
}

impl Parts {
    /// `rows` are wanted for what is written; it gets a third of the height at most.
    pub(super) fn new(area: Rect, rows: usize) -> Self {
        let most = (area.height / 3).max(1).min(area.height);
        let composer = u16::try_from(rows).unwrap_or(u16::MAX).clamp(1, most.max(1)).min(area.height);
        let left = area.height - composer;
        let rule = u16::from(left >= 2);
        let header = u16::from(left >= 3);
        let messages = left - rule - header;
        let part = |y: u16, height: u16| Rect { y: area.y + y, height, ..area };
        Self {
            header: part(0, header),
            messages: part(header, messages),
            rule: part(header + messages, rule),
            composer: part(header + messages + rule, composer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_fill_any_area_and_do_not_overlap() {
        for (width, height) in (1..70).flat_map(|width| (0..30).map(move |height| (width, height))) {
            for rows in [0, 1, 5, 1_000] {
                let area = Rect::new(3, 2, width, height);
                let parts = Parts::new(area, rows);
                let heights = [parts.header, parts.messages, parts.rule, parts.composer].map(|part| part.height);
                assert_eq!(heights.iter().sum::<u16>(), height);
                assert_eq!(parts.composer.bottom(), area.bottom());
                assert!(height == 0 || parts.composer.height >= 1);
            }
        }
    }

    #[test]
    fn one_or_both_are_seen() {
        for (width, is_open, list, conversation) in
            [(60, false, true, false), (60, true, false, true), (80, true, true, true), (120, false, true, true)]
        {
            let panes = Panes::new(Rect::new(0, 1, width, 20), is_open);
            assert_eq!((panes.list.is_some(), panes.conversation.is_some()), (list, conversation), "{width}");
        }
    }
}
