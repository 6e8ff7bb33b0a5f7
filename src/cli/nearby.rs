//! Commands on people in the same room.

use hedgerow_sync::{time::UnixMillis, view::Command};
use serde_json::Value;

use super::{
    args::NearbyAction,
    error::{CliError, Kind},
    output::{elements, field, moment, number, show},
};
use crate::{client, config::Config};

/// Does one of them.
pub(super) fn act(config: &Config, action: NearbyAction) -> Result<(), CliError> {
    match action {
        NearbyAction::Open { wait } => open(config, wait),
        NearbyAction::Close => show(config, &client::daemon(config)?.request(&Command::NearbyClose {})?, words),
        NearbyAction::List => show(config, &client::daemon(config)?.request(&Command::Nearby {})?, words),
        NearbyAction::Add { peer, wait } => add(config, peer, wait),
        NearbyAction::Confirm { peer, differ } => {
            show(config, &client::daemon(config)?.request(&Command::NearbyConfirm { peer, matches: !differ })?, peer_words)
        }
    }
}

fn open(config: &Config, wait: Option<u32>) -> Result<(), CliError> {
    let mut client = client::daemon(config)?;
    if wait.is_some() {
        // Before the window opens, so that nobody is missed.
        client.subscribe()?;
    }
    let mut shown = client.request(&Command::NearbyOpen {})?;
    let deadline = wait.map(|seconds| client.after(seconds));
    while deadline.is_some() && peers(&shown).is_empty() {
        match client.next_event(deadline)? {
            Some(event) if is_nearby(&event) => shown = without_kind(event),
            Some(_) => {}
            None => break,
        }
    }
    show(config, &shown, words)
}

fn add(config: &Config, peer: String, wait: Option<u32>) -> Result<(), CliError> {
    let mut client = client::daemon(config)?;
    if wait.is_some() {
        client.subscribe()?;
    }
    let mut chosen = client.request(&Command::NearbyAdd { peer })?;
    let peer = number(&chosen, "peer");
    let Some(seconds) = wait else { return show(config, &chosen, peer_words) };
    let deadline = client.after(seconds);
    loop {
        match field(&chosen, "state").as_str() {
            "chosen" => {}
            "failed" => {
                let what = format!("it failed: {}", field(&chosen, "why"));
                return Err(CliError::new(Kind::Peer, what, "Choose each other again, or use `hedgerow invite` in place of this."));
            }
            _ => return show(config, &chosen, peer_words),
        }
        let Some(event) = client.next_event(Some(deadline))? else {
            let what = format!("peer {peer} has not chosen you after {seconds} s");
            return Err(CliError::new(Kind::Peer, what, "It stays chosen while the window is open; `hedgerow nearby list` shows it."));
        };
        if is_nearby(&event) {
            chosen = peers(&event).iter().find(|other| number(other, "peer") == peer).cloned().ok_or_else(|| {
                CliError::new(Kind::Peer, format!("peer {peer} is out of reach, or closed its window"), "Choose each other again.")
            })?;
        }
    }
}

fn is_nearby(event: &Value) -> bool {
    event.get("event").and_then(Value::as_str) == Some("nearby")
}

/// The document that an event is about.
fn without_kind(mut event: Value) -> Value {
    if let Some(fields) = event.as_object_mut() {
        fields.remove("event");
    }
    event
}

fn peers(document: &Value) -> &[Value] {
    document.get("peers").map_or(&[], elements)
}

/// The window, and who is in it.
fn words(document: &Value) -> String {
    let mut lines = vec![match document.get("until") {
        Some(_) => format!("window: open until {} UTC", moment(UnixMillis(number(document, "until")))),
        None => "window: closed (`hedgerow nearby open` opens it)".to_owned(),
    }];
    match number(document, "mismatches") {
        0 => {}
        1 => lines.push("once the words differed: somebody may have been in between".to_owned()),
        times => lines.push(format!("{times} times the words differed: somebody may have been in between")),
    }
    let peers = peers(document);
    if peers.is_empty() && document.get("until").is_some() {
        lines.push("nobody yet: the other must open its window too".to_owned());
    }
    lines.extend(peers.iter().map(peer_words));
    lines.join("\n")
}

/// A peer on one line, with what is to be done; words to compare on lines of their own.
fn peer_words(peer: &Value) -> String {
    let peer_number = number(peer, "peer");
    let state = match field(peer, "state").as_str() {
        "seen" => format!("can be chosen: `hedgerow nearby add {peer_number}`"),
        "chosen" => "chosen; waits until it chooses you".to_owned(),
        "chose_us" => format!("has chosen you: `hedgerow nearby add {peer_number}` if you mean it too"),
        "comparing" => "compare the words".to_owned(),
        "confirmed" => "you found the words equal; waits for the other".to_owned(),
        "established" => "a contact".to_owned(),
        "failed" => format!("failed: {}", field(peer, "why")),
        other => other.to_owned(),
    };
    let line = format!("{peer_number:>4}  {}  {state}", field(peer, "name"));
    if field(peer, "state") != "comparing" {
        return line;
    }
    let words: Vec<&str> = peer.get("words").map_or(&[][..], elements).iter().filter_map(Value::as_str).collect();
    format!(
        "{line}\n\n        {}\n\n\
         Compare them aloud: are they the same on both screens?\n\
         If so, both of you: hedgerow nearby confirm {peer_number}\n\
         If not: hedgerow nearby confirm {peer_number} --differ\n\
         Then somebody may be between you. Nothing is agreed on; try again elsewhere, or hand over a link in person.",
        words.join("   ")
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn words_say_what_to_compare_and_what_to_do() {
        let peer =
            json!({ "peer": 3, "name": "bob", "transport": "lan", "state": "comparing", "words": ["acorn", "drum", "velvet", "zebra"] });
        let text = peer_words(&peer);
        for part in ["   3  bob", "acorn   drum   velvet   zebra", "same on both screens?", "confirm 3\n", "confirm 3 --differ"] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn the_window_says_whether_it_is_open_and_what_went_wrong() {
        assert!(words(&json!({ "mismatches": 0, "peers": [] })).starts_with("window: closed"));
        let text = words(&json!({ "until": 1_795_327_200_000_u64, "mismatches": 2, "peers": [] }));
        assert!(text.contains("open until 2026-11-22") && text.contains("2 times") && text.contains("nobody yet"), "{text}");
        let text = words(&json!({ "mismatches": 0, "peers": [{ "peer": 1, "name": "bob", "state": "chose_us" }] }));
        assert!(text.contains("`hedgerow nearby add 1`"), "{text}");
    }
}
