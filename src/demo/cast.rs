//! The made-up people of the demo: what they say, and when.

use std::{collections::VecDeque, thread, time::Duration};

use hedgerow_sync::{
    time::Instant,
    view::{Command, Event, NearbyState},
};

use crate::{cli::error::CliError, client::Client};

/// What the person is called by all of them.
const YOU: &str = "you";
/// How long they take to answer.
const THINKING: Duration = Duration::from_millis(1_200);
/// How often Hazel opens her window again; it lasts two minutes.
const WINDOW: u32 = 100;

/// What Robin says before he goes out of range.
pub(super) const LEAVING: &str =
    "I am walking out of range for 15 seconds. Write to me meanwhile: ○ means that your message waits here, and F4 says why.";
/// What he says when he is back.
pub(super) const BACK: &str = "Back in range. What you wrote meanwhile has just come over by itself.";

/// Robin's greeting, and what he answers, in turn.
pub(super) const ROBIN: (&str, &[&str]) = (
    "Hello, I am Robin, a made-up neighbour on a real engine. Write me something and press Enter.",
    &[
        "Got it. The ✓✓ at your message means that I have read it. Try Wren next (Ctrl-Down): she has no link to you, I carry your sealed words to her.",
        "F4 shows where your last message is, and why. F3 shows who is in reach and what you carry for others.",
        "Hazel is in this room too, but no contact of yours yet. F2, then Nearby: choose her, and compare the words.",
        "Ctrl-P finds everything else. Ctrl-Q leaves; then `hedgerow` alone makes a profile of your own.",
        "I am out of hints. I go on answering.",
    ],
);
/// The same of Wren.
pub(super) const WREN: (&str, &[&str]) = (
    "Hello from Wren. I have just left the room. Whatever you write reaches me through Robin, who can't read it.",
    &[
        "Your words came by way of Robin. He held a sealed bundle of 512 bytes, with no name on it.",
        "Receipts that go through others wait a while on purpose, so that the time does not show who has read. Here it is seconds; outside a minute on average.",
        "If Robin is away, your message waits with you, or with Thrush, a stranger who also carries.",
        "Still here, two links away.",
    ],
);

/// Who somebody is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// In reach, but for walks.
    Robin,
    /// Two links away.
    Wren,
    /// In the same room, no contact yet.
    Hazel,
}

/// Lets somebody live, on a thread of its own, until the demo ends.
///
/// # Errors
///
/// An internal error if there is no thread to be had.
pub(super) fn act(mut client: Client, role: Role) -> Result<(), CliError> {
    let mut live = move || match role {
        Role::Robin => talk(&mut client, ROBIN),
        Role::Wren => talk(&mut client, WREN),
        Role::Hazel => stand_by(&mut client),
    };
    thread::Builder::new()
        .name("demo".to_owned())
        // It ends when its daemon does.
        .spawn(move || drop(live()))
        .map(drop)
        .map_err(|error| CliError::io("the demo can't be started", &error))
}

/// Says something to the person.
///
/// # Errors
///
/// As [`Client::request`].
pub(super) fn say(client: &mut Client, text: &str) -> Result<(), CliError> {
    client.request(&Command::Send { contact: YOU.into(), text: text.into(), id: None, urgent: false }).map(drop)
}

/// Greets, reads what comes, and answers after a while; the last answer again and again.
fn talk(client: &mut Client, (greeting, answers): (&str, &[&str])) -> Result<(), CliError> {
    client.subscribe()?;
    say(client, greeting)?;
    let mut next = 0;
    let mut due: VecDeque<Instant> = VecDeque::new();
    loop {
        match client.next_event(due.front().copied())? {
            None => {
                due.pop_front();
                say(client, answers.get(next).copied().unwrap_or_default())?;
                next = (next + 1).min(answers.len().saturating_sub(1));
            }
            Some(event) => {
                let Ok(Event::Message(message)) = serde_json::from_value(event) else { continue };
                if !message.outgoing && message.state == hedgerow_sync::view::MessageState::Delivered {
                    client.request(&Command::MarkRead { contact: YOU.into(), id: message.id })?;
                    due.push_back(client.soon(THINKING));
                }
            }
        }
    }
}

/// Keeps the window open, chooses whoever chooses her, and finds that the words are equal.
fn stand_by(client: &mut Client) -> Result<(), CliError> {
    client.subscribe()?;
    let mut renew = client.soon(Duration::ZERO);
    let mut greeted = false;
    loop {
        let Some(event) = client.next_event(Some(renew))? else {
            client.request(&Command::NearbyOpen {})?;
            renew = client.after(WINDOW);
            continue;
        };
        let Ok(Event::Nearby(nearby)) = serde_json::from_value(event) else { continue };
        for peer in nearby.peers {
            let number = peer.peer.to_string();
            // What has changed meanwhile is told by the next event.
            let _ = match peer.state {
                NearbyState::ChoseUs => client.request(&Command::NearbyAdd { peer: number }),
                NearbyState::Comparing => client.request(&Command::NearbyConfirm { peer: number, matches: true }),
                NearbyState::Established if !std::mem::replace(&mut greeted, true) => {
                    say(client, HAZEL)?;
                    continue;
                }
                _ => continue,
            };
        }
    }
}

/// What Hazel says once the words were compared.
const HAZEL: &str = "The words were the same on both screens, so nobody sits between us. We are verified contacts now.";
