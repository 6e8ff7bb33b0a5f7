//! JSON on one line, harmless on a terminal.
//!
//! `serde_json` escapes C0 controls and nothing else. Texts and names come from strangers, and what they write must neither steer a
//! terminal nor turn a line around; so every character of [`is_hazardous`] leaves as `\uXXXX`, which any JSON parser turns back.

use std::fmt::Write;

use hedgerow_tui::clean::is_hazardous;
use serde::Serialize;

/// Serialises to one line without its end; `None` if the value has no JSON form (a map with keys that are no strings).
pub(crate) fn line(value: &impl Serialize) -> Option<String> {
    serde_json::to_string(value).ok().map(|text| escape(&text))
}

/// Replaces hazardous characters in a JSON text by escapes. They stand only within strings, where this is the same value.
fn escape(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for character in json.chars() {
        if is_hazardous(character) {
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                // Writing into a string cannot fail.
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(character);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_leaves_escaped_and_comes_back_whole() {
        let hostile = "a\x1b[31m\u{9b}2J\u{202e}txt\u{2066}\u{200b}\u{feff}\u{e0041}\n\"\\é日👩";
        let line = line(&hostile).unwrap();
        assert!(line.chars().all(|character| !is_hazardous(character)), "{line:?}");
        assert!(line.contains("é日👩"));
        assert_eq!(serde_json::from_str::<String>(&line).unwrap(), hostile);
    }

    #[test]
    fn answers_and_events_come_back_through_the_escapes() {
        use hedgerow_sync::{
            id::{ContactId, MessageId},
            time::UnixMillis,
            view::{Answer, Command, Draft, Event, Message, MessageState},
        };
        let hostile = "\u{1b}[2J\u{9b}\u{202e}\u{200b}\u{e0041}\u{1d173}\0\"\\é日👩".to_owned();
        let message = Message {
            id: MessageId([7; 16]),
            contact: ContactId(1),
            order: 1,
            from: hostile.clone(),
            outgoing: false,
            text: hostile.clone(),
            sent: UnixMillis(1),
            stored: UnixMillis(2),
            state: MessageState::Delivered,
            data: None,
            handed_contacts: 0,
            handed_strangers: 0,
            expires: None,
            why: Some(hostile.clone()),
        };
        for (command, answer) in [
            (Command::Cancel { id: message.id }, Answer::Message(message.clone())),
            (Command::Draft { contact: "bob".into() }, Answer::Draft(Draft { contact: ContactId(1), text: hostile })),
        ] {
            let line = line(&answer).unwrap();
            assert!(line.chars().all(|character| !is_hazardous(character)), "{line:?}");
            assert_eq!(Answer::read(&command, &mut serde_json::Deserializer::from_str(&line)).unwrap(), answer);
        }
        let event = Event::Message(message);
        let line = line(&event).unwrap();
        assert!(line.chars().all(|character| !is_hazardous(character)), "{line:?}");
        assert_eq!(serde_json::from_str::<Event>(&line).unwrap(), event);
    }
}
