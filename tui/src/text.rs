//! What is said: wording as data, so that it can be read, corrected and translated in one place. Words of one screen alone stand in
//! its file.

use std::time::Duration;

use hedgerow_sync::view::{Message, MessageState, span_in_words};

use crate::clean;

/// The program's name.
pub(crate) const PROGRAM: &str = "hedgerow";
/// The mouse selects and scrolls here.
pub(crate) const MOUSE_TAKEN: &str = "the mouse works here; F8 leaves it to the terminal";
/// The mouse is the terminal's.
pub(crate) const MOUSE_LEFT: &str = "the mouse is the terminal's: select text as usual; F8 takes it back";

/// The daemon is gone: why, and for how long.
pub(crate) fn lost(why: &str, since: Duration) -> String {
    format!("Not connected for {}: {}. Nothing is lost; trying again.", span_in_words(since), clean::name(why))
}

/// What a notification says: nothing of who or what unless the person wants it.
pub(crate) fn notification(message: Option<&Message>) -> String {
    match message {
        None => "A new message".to_owned(),
        Some(message) => format!("{}: {}", clean::name(&message.from), clean::name(&clean::fit(&message.text, 120))),
    }
}

/// A state as a sign and as a word; the sign never stands for two states.
pub(crate) const fn state(state: MessageState) -> (&'static str, &'static str) {
    match state {
        MessageState::Queued => ("○", "queued"),
        MessageState::Carried => ("◐", "carried"),
        MessageState::Delivered => ("✓", "delivered"),
        MessageState::Read => ("✓✓", "read"),
        MessageState::Expired => ("✗", "expired"),
        MessageState::Failed => ("✗", "failed"),
    }
}
