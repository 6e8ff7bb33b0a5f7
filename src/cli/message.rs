//! Commands on messages.

use hedgerow_sync::{
    id::MessageId,
    time::UnixMillis,
    view::{Command, Data},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    args::ExportFormat,
    error::{CliError, Kind},
    output::{Source, elements, field, flag, moment, number, show, show_json, show_text, text_argument},
    terminal::{clean, clean_lines},
};
use crate::{client, config::Config};

/// A message as the command line gives it.
pub(super) struct Draft {
    /// To whom.
    pub(super) contact: String,
    /// What to say, or `-`.
    pub(super) text: String,
    /// Its id, if it is to have a certain one.
    pub(super) id: Option<MessageId>,
    /// Whether carriers should prefer it.
    pub(super) urgent: bool,
}

/// `send`.
pub(super) fn send(config: &Config, draft: Draft, wait: Option<u32>) -> Result<(), CliError> {
    let Draft { contact, text, id, urgent } = draft;
    let text = text_argument(text)?;
    let mut client = client::daemon(config)?;
    if wait.is_some() {
        // Before the message is there, so that nothing about it is missed.
        client.subscribe()?;
    }
    let sent = client.request(&Command::Send { contact, text, id, urgent })?;
    let Some(seconds) = wait else { return show(config, &sent, |sent| field(sent, "id")) };
    if !config.json {
        show_text(&field(&sent, "id"))?;
    }
    let deadline = client.after(seconds);
    let mut state = field(&sent, "state");
    let outcome = loop {
        match state.as_str() {
            "delivered" | "read" => break Ok(()),
            "expired" | "failed" => {
                break Err(CliError::new(
                    Kind::Peer,
                    format!("the message is {state}"),
                    "`hedgerow explain ID` says why; send it again if it still matters.",
                ));
            }
            _ => {}
        }
        match client.next_event(Some(deadline))? {
            None => {
                break Err(CliError::new(
                    Kind::Peer,
                    format!("the message is not delivered after {seconds} s"),
                    "It is kept and goes on by itself; `hedgerow explain ID` says where it is.",
                ));
            }
            Some(event) if is_own_message(&event, &sent) => state = field(&event, "state"),
            Some(_) => {}
        }
    };
    if config.json {
        show_json(&json!({ "id": sent.get("id"), "state": state }))?;
    }
    outcome
}

fn is_own_message(event: &Value, sent: &Value) -> bool {
    event.get("event").and_then(Value::as_str) == Some("message") && event.get("id") == sent.get("id") && flag(event, "outgoing")
}

/// `messages`.
pub(super) fn list(
    config: &Config,
    contact: String,
    since: Option<MessageId>,
    before: Option<MessageId>,
    limit: Option<u32>,
    mark_read: bool,
) -> Result<(), CliError> {
    let document = Source::open(config)?.request(Command::Messages { contact, since, before, limit, mark_read })?;
    show(config, &document, |document| elements(document).iter().map(words).collect::<Vec<_>>().join("\n"))
}

/// `retry`.
pub(super) fn retry(config: &Config, id: MessageId) -> Result<(), CliError> {
    let document = client::daemon(config)?.request(&Command::Retry { id })?;
    show(config, &document, |sent| field(sent, "state"))
}

/// `cancel`.
pub(super) fn cancel(config: &Config, id: MessageId) -> Result<(), CliError> {
    let document = client::daemon(config)?.request(&Command::Cancel { id })?;
    show(config, &document, |message| format!("{}: {}", words(message), field(message, "why")))
}

/// `export`.
pub(super) fn export(config: &Config, contact: String, format: ExportFormat) -> Result<(), CliError> {
    let mut source = Source::open(config)?;
    let about = source.request(Command::Contact { contact: contact.clone() })?;
    let messages = source.request(Command::Messages { contact, since: None, before: None, limit: None, mark_read: false })?;
    match format {
        ExportFormat::Json => show_json(&json!({ "contact": about, "messages": messages })),
        ExportFormat::Md => show_text(&markdown(&about, elements(&messages))),
    }
}

/// A message on one line, or more if it has more.
pub(super) fn words(message: &Value) -> String {
    let text = said(message);
    let state = if flag(message, "outgoing") { format!(" [{}]", field(message, "state")) } else { String::new() };
    format!("{} {}: {}{state}", moment(sent_at(message)), field(message, "from"), clean_lines(&text, 4))
}

/// What a message says; of one that is no text, that this version shows none of it.
fn said(message: &Value) -> String {
    let data = message.get("data").and_then(|data| Data::deserialize(data).ok());
    match data {
        Some(data) => hedgerow_tui::data_in_words(data, flag(message, "outgoing")),
        None => field(message, "text"),
    }
}

fn sent_at(message: &Value) -> UnixMillis {
    UnixMillis(number(message, "sent"))
}

/// A conversation in Markdown. What people wrote stands indented, where Markdown takes it as it is.
fn markdown(contact: &Value, messages: &[Value]) -> String {
    let literal = |text: &str| -> String {
        let escape = |character: char| if character.is_ascii_punctuation() { format!("\\{character}") } else { character.to_string() };
        clean(text).chars().map(escape).collect()
    };
    let name = contact.get("name").and_then(Value::as_str).unwrap_or("(no name)");
    let mut out = format!("# {}\n", literal(name));
    for message in messages {
        let from = message.get("from").and_then(Value::as_str).unwrap_or_default();
        let text = said(message);
        out.push_str(&format!("\n**{}**, {} UTC, {}\n\n", literal(from), moment(sent_at(message)), field(message, "state")));
        out.push_str(&format!("    {}\n", clean_lines(&text, 4)));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hostile() -> Value {
        json!({
            "id": "00", "from": "bob\u{202e}\u{1b}[2J", "text": "hi\n# me: fake\u{9b}2J", "outgoing": false, "state": "delivered",
            "sent": u64::MAX, "stored": 0,
        })
    }

    #[test]
    fn hostile_messages_are_shown_harmlessly() {
        for shown in [words(&hostile()), markdown(&json!({ "name": "\u{1b}]0;x\u{7}**" }), &[hostile()])] {
            assert!(!shown.chars().any(|c| c != '\n' && hedgerow_tui::clean::is_hazardous(c)), "{shown:?}");
            assert!(!shown.lines().any(|line| line.starts_with("# me")), "{shown}");
        }
    }

    #[test]
    fn what_is_no_text_is_said_in_one_line() {
        let mut message = hostile();
        message["text"] = "".into();
        message["data"] = json!({ "length": 12_800, "received": 4_032 });
        assert!(words(&message).ends_with("(12.5 KiB of data, 31 % here; this version shows texts only)"), "{}", words(&message));
        message["outgoing"] = true.into();
        assert!(markdown(&json!({}), &[message]).contains("    (12.5 KiB of data; this version shows texts only)"));
    }

    #[test]
    fn an_answer_with_missing_fields_is_shown_as_far_as_it_goes() {
        assert!(!words(&json!({})).is_empty());
    }
}
