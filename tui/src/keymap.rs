//! Which key does what. One table feeds the keys themselves, the help, the foot line and docs/user-guide.md.
//!
//! There are no modes: where text can be written, letters are text, and everything else has a key that no text needs. What an Alt chord
//! does can also be done without Alt, as some terminals and screen readers keep Alt for themselves.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// Something a key asks for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub enum Action {
    /// Shows the keys.
    Help,
    /// Opens the list of everything that can be done.
    Palette,
    /// Opens the ways to add a contact.
    AddContact,
    /// Shows neighbours, what is carried, and the clock.
    Network,
    /// Shows where the chosen message is.
    Where,
    /// Shows the open conversation's contact.
    Contact,
    /// Shows the settings.
    Settings,
    /// Hides everything until the passphrase is typed.
    Lock,
    /// Lets the terminal have the mouse, or takes it back.
    Mouse,
    /// Draws everything anew.
    Redraw,
    /// Leaves the interface.
    Quit,
    /// One step back.
    Back,
    /// Does the obvious thing: sends, opens, agrees.
    Accept,
    /// Begins a new line in what is written.
    Newline,
    /// Completes what is written, or goes to the next field.
    Next,
    /// Goes to the previous field.
    Previous,
    /// The row above.
    Up,
    /// The row below.
    Down,
    /// A page up.
    PageUp,
    /// A page down.
    PageDown,
    /// The first row, the oldest message.
    First,
    /// The last row, the newest message.
    Last,
    /// The conversation above.
    PreviousChat,
    /// The conversation below.
    NextChat,
    /// The next conversation with something unread.
    NextUnread,
    /// Copies the chosen text to the clipboard.
    Copy,
    /// Sends the chosen message again.
    Retry,
    /// Takes the chosen message back.
    TakeBack,
}

/// Where a binding holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scope {
    /// On every screen but the locked one.
    Everywhere,
    /// In the list of conversations.
    Chats,
    /// In a conversation, where text is written.
    Conversation,
    /// On screens that list or show things.
    List,
    /// Where fields are filled in.
    Form,
    /// On the locked screen.
    Locked,
}

/// One key with its modifiers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Key {
    code: KeyCode,
    modifiers: KeyModifiers,
}

const fn plain(code: KeyCode) -> Key {
    Key { code, modifiers: KeyModifiers::NONE }
}

const fn function(number: u8) -> Key {
    plain(KeyCode::F(number))
}

const fn ctrl(letter: char) -> Key {
    Key { code: KeyCode::Char(letter), modifiers: KeyModifiers::CONTROL }
}

const fn with_ctrl(code: KeyCode) -> Key {
    Key { code, modifiers: KeyModifiers::CONTROL }
}

const fn alt(code: KeyCode) -> Key {
    Key { code, modifiers: KeyModifiers::ALT }
}

const fn shift(code: KeyCode) -> Key {
    Key { code, modifiers: KeyModifiers::SHIFT }
}

impl Key {
    /// Whether this is what was pressed.
    fn is(self, event: &KeyEvent) -> bool {
        let code = match event.code {
            KeyCode::Char(letter) if event.modifiers.contains(KeyModifiers::CONTROL) => KeyCode::Char(letter.to_ascii_lowercase()),
            code => code,
        };
        // Shift is part of the letter; it counts only with keys that are none.
        let ignored = if matches!(code, KeyCode::Char(_) | KeyCode::BackTab) { KeyModifiers::SHIFT } else { KeyModifiers::NONE };
        self.code == code && self.modifiers.difference(ignored) == event.modifiers.difference(ignored)
    }

    /// What the key is called: `Ctrl-P`, `F1`, `PgUp`.
    pub fn name(self) -> String {
        let mut name = String::new();
        for (modifier, word) in [(KeyModifiers::CONTROL, "Ctrl-"), (KeyModifiers::ALT, "Alt-"), (KeyModifiers::SHIFT, "Shift-")] {
            if self.modifiers.contains(modifier) {
                name.push_str(word);
            }
        }
        match self.code {
            KeyCode::Char(' ') => name.push_str("Space"),
            KeyCode::Char(letter) if self.modifiers.contains(KeyModifiers::CONTROL) => name.extend(letter.to_uppercase()),
            KeyCode::Char(letter) => name.push(letter),
            KeyCode::F(number) => name.push_str(&format!("F{number}")),
            KeyCode::PageUp => name.push_str("PgUp"),
            KeyCode::PageDown => name.push_str("PgDn"),
            KeyCode::BackTab => name.push_str("Shift-Tab"),
            KeyCode::Delete => name.push_str("Del"),
            code => name.push_str(&format!("{code:?}")),
        }
        name
    }
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Binding {
    /// What is done.
    pub action: Action,
    /// Its keys; the first one is shown in the foot line.
    pub keys: &'static [Key],
    /// Where they hold.
    pub scopes: &'static [Scope],
    /// One or two words for the foot line.
    pub label: &'static str,
    /// A sentence for the help.
    pub help: &'static str,
}

impl Binding {
    /// All its keys: `Ctrl-Q, Ctrl-C`.
    pub fn key_names(&self) -> String {
        self.keys.iter().map(|key| key.name()).collect::<Vec<_>>().join(", ")
    }
}

use Scope::{Chats, Conversation, Everywhere, Form, List, Locked};

/// Where keys hold, as headings of the help and of docs/user-guide.md; a key stands under the first of its scopes.
pub const SCOPES: &[(Scope, &str)] = &[
    (Everywhere, "Everywhere"),
    (Chats, "In the conversations, and on other lists"),
    (Conversation, "In a conversation"),
    (List, "On lists and pages"),
    (Form, "Where fields are filled in"),
    (Locked, "On the locked screen"),
];

/// The table, in the order in which the help shows it.
pub const BINDINGS: &[Binding] = &[
    row(Action::Help, &[function(1)], &[Everywhere], "help", "Show all keys (also ? where no text is written)"),
    row(Action::Palette, &[ctrl('p')], &[Everywhere], "commands", "Find anything that can be done, or a conversation, by typing"),
    row(Action::AddContact, &[function(2)], &[Everywhere], "add", "Add a contact: nearby, by a link, or make a link"),
    row(Action::Network, &[function(3)], &[Everywhere], "network", "Show neighbours, what is carried, space and clock"),
    row(Action::Where, &[function(4)], &[Conversation], "where is it?", "Show where the chosen or last message is, and why"),
    row(Action::Contact, &[function(6)], &[Chats, Conversation], "contact", "Show the contact: verify, rename, mute, block, remove"),
    row(Action::Settings, &[function(5)], &[Everywhere], "settings", "Show and change the settings"),
    row(Action::Lock, &[function(9), ctrl('\\')], &[Everywhere], "lock", "Hide everything at once; the passphrase brings it back"),
    row(Action::Mouse, &[function(8)], &[Everywhere], "mouse", "Leave the mouse to the terminal (to select text), or take it back"),
    row(Action::Redraw, &[ctrl('l')], &[Everywhere], "redraw", "Draw the screen anew"),
    row(Action::Quit, &[ctrl('q'), ctrl('c')], &[Everywhere, Locked], "quit", "Leave; what is written is kept, and the daemon can go on"),
    row(Action::Back, &[plain(KeyCode::Esc)], &[Everywhere], "back", "One step back"),
    row(Action::Accept, &[plain(KeyCode::Enter)], &[Chats, Conversation, List, Form, Locked], "ok", "Send, open or agree"),
    row(
        Action::Newline,
        &[ctrl('j'), alt(KeyCode::Enter), shift(KeyCode::Enter)],
        &[Conversation],
        "new line",
        "Begin a new line in what you write",
    ),
    row(Action::Next, &[plain(KeyCode::Tab)], &[Conversation, List, Form], "next field", "Complete a command, or go to the next field"),
    row(Action::Previous, &[plain(KeyCode::BackTab)], &[List, Form], "previous field", "Go to the previous field"),
    row(Action::Up, &[plain(KeyCode::Up)], &[Chats, Conversation, List], "up", "One row up; from what you write to the messages"),
    row(Action::Down, &[plain(KeyCode::Down)], &[Chats, Conversation, List], "down", "One row down"),
    row(Action::PageUp, &[plain(KeyCode::PageUp)], &[Chats, Conversation, List], "page up", "A page up"),
    row(Action::PageDown, &[plain(KeyCode::PageDown)], &[Chats, Conversation, List], "page down", "A page down"),
    row(Action::First, &[with_ctrl(KeyCode::Home)], &[Chats, Conversation, List], "first", "To the first row, or the oldest message"),
    row(Action::Last, &[with_ctrl(KeyCode::End)], &[Chats, Conversation, List], "newest", "To the last row, or the newest message"),
    row(
        Action::PreviousChat,
        &[with_ctrl(KeyCode::Up), alt(KeyCode::Up)],
        &[Chats, Conversation],
        "previous chat",
        "The conversation above",
    ),
    row(Action::NextChat, &[with_ctrl(KeyCode::Down), alt(KeyCode::Down)], &[Chats, Conversation], "next chat", "The conversation below"),
    row(Action::NextUnread, &[ctrl('n')], &[Chats, Conversation], "next unread", "The next conversation with something unread"),
    row(Action::Copy, &[ctrl('y')], &[Conversation, List], "copy", "Copy the chosen text or link to the clipboard"),
    row(Action::Retry, &[ctrl('r')], &[Conversation], "send again", "Send the chosen message again, if it failed or expired"),
    row(Action::TakeBack, &[ctrl('x')], &[Conversation], "take back", "Take the chosen message back, if it has not left this device"),
];

const fn row(action: Action, keys: &'static [Key], scopes: &'static [Scope], label: &'static str, help: &'static str) -> Binding {
    Binding { action, keys, scopes, label, help }
}

/// What a key asks for where `scope` holds; `None` if it is just a key.
pub fn look_up(scope: Scope, event: &KeyEvent) -> Option<Action> {
    let holds =
        |binding: &&Binding| binding.scopes.contains(&scope) || (scope != Scope::Locked && binding.scopes.contains(&Scope::Everywhere));
    BINDINGS.iter().filter(holds).find(|binding| binding.keys.iter().any(|key| key.is(event))).map(|binding| binding.action)
}

/// Whether it is the key that shows the keys where no text is written.
pub fn is_question_mark(event: &KeyEvent) -> bool {
    event.code == KeyCode::Char('?') && event.modifiers.difference(KeyModifiers::SHIFT).is_empty()
}

/// The table's row of an action.
pub fn binding(action: Action) -> Option<&'static Binding> {
    BINDINGS.iter().find(|binding| binding.action == action)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_means_two_things_in_one_place() {
        for scope in [Everywhere, Chats, Conversation, List, Form, Locked] {
            for binding in
                BINDINGS.iter().filter(|binding| binding.scopes.contains(&scope) || scope != Locked && binding.scopes.contains(&Everywhere))
            {
                for key in binding.keys {
                    assert_eq!(
                        look_up(scope, &KeyEvent::new(key.code, key.modifiers)),
                        Some(binding.action),
                        "{} in {scope:?}",
                        key.name()
                    );
                }
            }
        }
    }

    #[test]
    fn what_alt_does_can_be_done_without() {
        for binding in BINDINGS {
            assert!(binding.keys.iter().any(|key| !key.modifiers.contains(KeyModifiers::ALT)), "{}", binding.help);
        }
    }

    #[test]
    fn letters_alone_are_text() {
        for binding in BINDINGS {
            for key in binding.keys {
                assert!(!matches!(key.code, KeyCode::Char(_)) || key.modifiers.contains(KeyModifiers::CONTROL), "{}", key.name());
            }
        }
    }
}
