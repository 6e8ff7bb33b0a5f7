//! Commands on contacts.

use hedgerow_sync::{time::UnixMillis, view::Command};
use serde_json::Value;

use super::{
    args::{ContactAction, Switch},
    error::{CliError, Kind},
    output::{Source, elements, field, flag, moment, number, show, text_argument},
};
use crate::{client, config::Config};

/// Does one of them.
pub(super) fn act(config: &Config, action: ContactAction) -> Result<(), CliError> {
    let change = |command: Command| -> Result<(), CliError> {
        let document = client::daemon(config)?.request(&command)?;
        show(config, &document, words)
    };
    match action {
        ContactAction::Add { link, alias, message, wait } => add(config, link, alias, message, wait),
        ContactAction::List => {
            let document = Source::open(config)?.request(Command::Contacts {})?;
            show(config, &document, |document| elements(document).iter().map(words).collect::<Vec<_>>().join("\n"))
        }
        ContactAction::Show { contact } => {
            let document = Source::open(config)?.request(Command::Contact { contact })?;
            show(config, &document, details)
        }
        ContactAction::Verify { contact, fingerprint } => change(Command::VerifyContact { contact, fingerprint }),
        ContactAction::Rename { contact, name } => change(Command::RenameContact { contact, alias: name }),
        ContactAction::Block { contact, undo } => change(Command::BlockContact { contact, blocked: !undo }),
        ContactAction::Receipts { contact, receipts } => {
            change(Command::SetContact { contact, receipts: Some(receipts == Switch::On), muted: None })
        }
        ContactAction::Mute { contact } => change(Command::SetContact { contact, receipts: None, muted: Some(true) }),
        ContactAction::Unmute { contact } => change(Command::SetContact { contact, receipts: None, muted: Some(false) }),
        ContactAction::Remove { contact } => {
            let document = client::daemon(config)?.request(&Command::RemoveContact { contact })?;
            show(config, &document, |document| format!("contact {} is removed", number(document, "contact")))
        }
    }
}

fn add(config: &Config, link: String, alias: Option<String>, message: Option<String>, wait: Option<u32>) -> Result<(), CliError> {
    if link == "-" && message.as_deref() == Some("-") {
        return Err(CliError::usage("standard input can't be both the link and the message", "Give one of them as an argument."));
    }
    let link = text_argument(link)?;
    let message = message.map(text_argument).transpose()?;
    let mut client = client::daemon(config)?;
    if wait.is_some() {
        // Before the contact is made, so that nothing about it is missed.
        client.subscribe()?;
    }
    let added = client.request(&Command::AddContact { link, alias, message })?;
    let state = |document: &Value| document.get("state").and_then(Value::as_str).unwrap_or_default().to_owned();
    let Some(seconds) = wait else {
        return show(config, &added, |document| match state(document).as_str() {
            "pending" => format!("contact {} is pending until its owner answers", number(document, "contact")),
            state => format!("contact {} is {state}: this link led to it", number(document, "contact")),
        });
    };
    let mut contact = number(&added, "contact");
    let deadline = client.after(seconds);
    let mut current = added.clone();
    loop {
        match state(&current).as_str() {
            "established" => {
                let mut document = client.request(&Command::Contact { contact: contact.to_string() })?;
                if let (Some(document), Some(message)) = (document.as_object_mut(), added.get("message")) {
                    document.insert("message".to_owned(), message.clone());
                }
                return show(config, &document, words);
            }
            "failed" => {
                return Err(CliError::new(Kind::Peer, format!("the contact failed: {}", field(&current, "why")), "Ask for a new link."));
            }
            "blocked" => {
                return Err(CliError::new(
                    Kind::Peer,
                    format!("contact {contact} is blocked"),
                    "`hedgerow contact block --undo` lets it in again.",
                ));
            }
            _ => {}
        }
        current = match client.next_event(Some(deadline))? {
            None => {
                return Err(CliError::new(
                    Kind::Peer,
                    format!("contact {contact} is not established after {seconds} s"),
                    "It stays pending and goes on by itself; `hedgerow contact list` shows it.",
                ));
            }
            Some(event) if is_event(&event, "contact", contact) => event,
            Some(event) if is_event(&event, "contact_removed", contact) => {
                // The same person by another link, as when both have used each other's: the conversation goes on there.
                if event.get("same_as").is_none() {
                    return Err(CliError::new(Kind::Peer, format!("contact {contact} was removed meanwhile"), "Take the link up again."));
                }
                contact = number(&event, "same_as");
                client.request(&Command::Contact { contact: contact.to_string() })?
            }
            Some(_) => current,
        };
    }
}

fn is_event(event: &Value, kind: &str, contact: u64) -> bool {
    event.get("event").and_then(Value::as_str) == Some(kind) && number(event, "contact") == contact
}

/// A contact on one line.
pub(super) fn words(contact: &Value) -> String {
    let name = if contact.get("name").is_some() { field(contact, "name") } else { "(no name yet)".to_owned() };
    let mut line = format!("{:>4}  {name}  {}", number(contact, "contact"), field(contact, "state"));
    if flag(contact, "verified") {
        line.push_str(", verified");
    }
    if flag(contact, "in_reach") {
        line.push_str(", in reach");
    }
    if flag(contact, "muted") {
        line.push_str(", muted");
    }
    if contact.get("receipts").and_then(Value::as_bool) == Some(false) {
        line.push_str(", not told of reading");
    }
    if flag(contact, "draft") {
        line.push_str(", a draft");
    }
    let unread = number(contact, "unread");
    if unread > 0 {
        line.push_str(&format!(", {unread} unread"));
    }
    if contact.get("link_expires").is_some() {
        let tries = match number(contact, "tries") {
            0 => String::new(),
            1 => ", asked once".to_owned(),
            tries => format!(", asked {tries} times"),
        };
        line.push_str(&format!("{tries}, link valid until {} UTC", moment(UnixMillis(number(contact, "link_expires")))));
    }
    if contact.get("why").is_some() {
        line.push_str(&format!(": {}", field(contact, "why")));
    }
    line
}

fn details(contact: &Value) -> String {
    let mut lines = vec![words(contact)];
    for (name, title) in [("own_name", "calls itself"), ("fingerprint", "fingerprint")] {
        if contact.get(name).is_some() {
            lines.push(format!("{title}: {}", field(contact, name)));
        }
    }
    if contact.get("last_seen").is_some() {
        lines.push(format!("last seen: {} UTC", moment(UnixMillis(number(contact, "last_seen")))));
    }
    if contact.get("last_message").is_some() {
        lines.push(format!("last message: {} UTC", moment(UnixMillis(number(contact, "last_message")))));
    }
    lines.join("\n")
}
