//! The chosen row of a list, and which part of the list is seen.

use crate::keymap::Action;

/// Which row is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Selection {
    row: usize,
}

impl Selection {
    /// The chosen row of a list of `rows`; `None` if it is empty.
    pub(crate) fn row(self, rows: usize) -> Option<usize> {
        rows.checked_sub(1).map(|last| self.row.min(last))
    }

    /// Chooses a row.
    pub(crate) fn choose(&mut self, row: usize) {
        self.row = row;
    }

    /// Moves as `action` says in a list of `rows`, of which `page` are seen. Returns whether it was such an action.
    pub(crate) fn handle(&mut self, action: Action, rows: usize, page: usize) -> bool {
        let last = rows.saturating_sub(1);
        let row = self.row.min(last);
        self.row = match action {
            Action::Up => row.saturating_sub(1),
            Action::Down => row.saturating_add(1).min(last),
            Action::PageUp => row.saturating_sub(page.max(1)),
            Action::PageDown => row.saturating_add(page.max(1)).min(last),
            Action::First => 0,
            Action::Last => last,
            _ => return false,
        };
        true
    }

    /// The first row to draw so that the chosen one is among `page` rows.
    pub(crate) fn offset(self, rows: usize, page: usize) -> usize {
        let row = self.row(rows).unwrap_or(0);
        let half = page / 2;
        row.saturating_sub(half).min(rows.saturating_sub(page))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chosen_row_is_always_in_the_list_and_seen() {
        let mut selection = Selection::default();
        for action in [Action::Down, Action::Last, Action::PageDown, Action::Up, Action::PageUp, Action::First, Action::Up] {
            for rows in [0, 1, 2, 7, 100] {
                assert!(selection.handle(action, rows, 5));
                match selection.row(rows) {
                    None => assert_eq!(rows, 0),
                    Some(row) => {
                        let offset = selection.offset(rows, 5);
                        assert!(row < rows && (offset..offset + 5).contains(&row));
                    }
                }
            }
        }
    }
}
