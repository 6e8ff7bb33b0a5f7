//! `explain`: where a message is, with whom, since when, until when, and why.

use hedgerow_sync::{
    id::MessageId,
    time::UnixMillis,
    view::{Command, Reader, SealedBundle, What, ago_in_words},
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    error::CliError,
    message,
    output::{elements, field, moment, number, show},
    terminal::clean,
};
use crate::{client, config::Config};

/// `explain`.
pub(super) fn explain(config: &Config, id: MessageId) -> Result<(), CliError> {
    let document = client::daemon(config)?.request(&Command::Explain { id })?;
    show(config, &document, details)
}

fn details(document: &Value) -> String {
    let now = UnixMillis(number(document, "now"));
    let mut lines = vec![message::words(document), field(document, "words")];
    if let Some(waits) = document.get("waits") {
        lines.push(format!("why: {}", field(waits, "text")));
    }
    if let Some(reader) = document.get("reader") {
        lines.push(format!("for: {}", words_of(reader, "name", |reader: &Reader| reader.in_words(now, utc))));
    }
    if let Some(bundle) = document.get("bundle") {
        lines.push(format!("bundle: {}", words_of(bundle, "class", |bundle: &SealedBundle| bundle.in_words(now, utc))));
    }
    if number(document, "tries") > 1 {
        lines.push(format!("sealed {} times", number(document, "tries")));
    }
    let neighbours = &document["neighbours"];
    let (contacts, strangers) = (count(neighbours, "contacts", "contact"), count(neighbours, "strangers", "stranger"));
    lines.push(format!("in reach now: {contacts}, {strangers}"));
    lines.push(String::new());
    for happening in elements(&document["log"]) {
        let at = UnixMillis(number(happening, "at"));
        let what = words_of(happening, "what", What::in_words);
        lines.push(format!("{}  {:<10}  {what}", moment(at), ago_in_words(now, at)));
    }
    let omitted = number(document, "log_omitted");
    if omitted > 0 {
        lines.push(format!("and {omitted} more hand-overs, of which only the number is kept"));
    }
    let helps = elements(&document["helps"]);
    if !helps.is_empty() {
        lines.extend([String::new(), "What would help:".to_owned()]);
        lines.extend(helps.iter().map(|help| format!("- {}", field(help, "text"))));
    }
    lines.join("\n")
}

/// What a part of the answer says in words, made harmless; the word `missing` of it as it stands if a newer daemon says something else.
fn words_of<T: DeserializeOwned>(part: &Value, missing: &str, words: impl FnOnce(&T) -> String) -> String {
    T::deserialize(part).map_or_else(|_| field(part, missing), |part| clean(&words(&part)))
}

fn utc(at: UnixMillis) -> String {
    format!("{} UTC", moment(at))
}

fn count(document: &Value, name: &str, word: &str) -> String {
    let count = number(document, name);
    format!("{count} {word}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: u64 = 1_795_327_200_000;
    const HOUR: u64 = 3_600_000;

    fn carried() -> Value {
        json!({
            "id": "00", "from": "me", "text": "Come at eight", "outgoing": true, "state": "carried", "sent": NOW - 5 * HOUR, "now": NOW,
            "words": "carried: 1 contact holds it, a stranger says that it holds it",
            "log": [
                { "what": "written", "at": NOW - 5 * HOUR },
                { "what": "sealed", "at": NOW - 5 * HOUR, "number": 17, "bytes": 512 },
                { "what": "handed", "at": NOW - 4 * HOUR, "to": "contact", "contact": 2, "name": "bob", "transport": "lan" },
                { "what": "handed", "at": NOW - 40_000, "to": "stranger", "transport": "lan" },
            ],
            "log_omitted": 3, "tries": 1,
            "bundle": { "number": 17, "bytes": 512, "class": "normal", "created": NOW - 5 * HOUR, "expires": NOW + 331 * HOUR, "held": true },
            "waits": { "code": "carried", "text": "waits until one of those who carry it meets carol, and for the receipt" },
            "reader": { "contact": 3, "name": "carol", "in_reach": false, "last_seen": NOW - 3 * HOUR, "last_transport": "lan" },
            "neighbours": { "contacts": 1, "strangers": 2 },
            "helps": [{ "code": "carriers_keep", "text": "nothing needs to be done: carriers keep it for another 13 d" }],
        })
    }

    #[test]
    fn a_carried_message_is_told_with_times_of_both_kinds() {
        let expected = "\
2026-11-22 01:00 me: Come at eight [carried]
carried: 1 contact holds it, a stranger says that it holds it
why: waits until one of those who carry it meets carol, and for the receipt
for: carol, not in reach, last seen 2026-11-22 03:00 UTC (3 h ago) over LAN
bundle: 512 bytes, normal, number 17, sealed in the hour of 2026-11-22 01:00 UTC, carried until 2026-12-06 01:00 UTC (13 d left), held here
in reach now: 1 contact, 2 strangers

2026-11-22 01:00  5 h ago     written, and stored here
2026-11-22 01:00  5 h ago     sealed as number 17 in a bundle of 512 bytes
2026-11-22 02:00  4 h ago     handed to bob over LAN
2026-11-22 05:59  40 s ago    handed to a stranger over LAN, who says that it holds it
and 3 more hand-overs, of which only the number is kept

What would help:
- nothing needs to be done: carriers keep it for another 13 d";
        assert_eq!(details(&carried()), expected);
    }

    #[test]
    fn hostile_names_and_texts_are_shown_harmlessly() {
        let hostile = "x\u{1b}[2J\u{202e}\n- all is well\u{9b}2J";
        let mut document = carried();
        document["text"] = hostile.into();
        document["words"] = hostile.into();
        document["reader"]["name"] = hostile.into();
        document["reader"]["last_transport"] = hostile.into();
        document["waits"]["text"] = hostile.into();
        document["bundle"]["class"] = hostile.into();
        document["log"][2]["name"] = hostile.into();
        document["log"][2]["transport"] = hostile.into();
        document["log"][3]["what"] = hostile.into();
        document["helps"][0]["text"] = hostile.into();
        let shown = details(&document);
        assert!(!shown.chars().any(|c| c != '\n' && hedgerow_tui::clean::is_hazardous(c)), "{shown:?}");
        assert!(!shown.lines().any(|line| line.starts_with("- all")), "{shown}");
    }

    #[test]
    fn an_answer_with_missing_or_wild_fields_is_shown_as_far_as_it_goes() {
        for document in [json!({}), json!(7), json!({ "log": [{}, 7], "bundle": 7, "reader": [], "waits": null, "helps": [{}] })] {
            assert!(!details(&document).is_empty());
        }
        let mut document = carried();
        document["now"] = 0.into();
        document["bundle"]["expires"] = u64::MAX.into();
        assert!(details(&document).contains("clock set back"));
    }
}
