//! What is said: wording as data, so that it can be read, corrected and translated in one place. Words of one screen alone stand in
//! its file.

use std::{borrow::Cow, time::Duration};

use hedgerow_sync::{
    time::UnixMillis,
    view::{Contact, Data, Message, MessageState, span_in_words},
};

use crate::{Options, Refusal, clean};

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

/// Who is in reach.
pub(crate) const IN_REACH: &str = "●";
/// Whose keys were compared.
pub(crate) const VERIFIED: &str = "◆";
/// To whom something is written that is not sent.
pub(crate) const DRAFT: &str = "✎";

/// The signs beside names, with their words and what they mean, for the help and docs/user-guide.md.
pub const fn name_signs() -> [(&'static str, &'static str, &'static str); 3] {
    [
        (IN_REACH, "in reach", "A link to them is open now: what you write goes straight over"),
        (VERIFIED, "verified", "You have compared words or fingerprints: nobody is in between"),
        (DRAFT, "draft", "You have written something to them and not sent it"),
    ]
}

/// What stands before the chosen row.
pub(crate) const fn mark(options: &Options) -> &'static str {
    if options.words { ">" } else { "›" }
}

/// All signs with their words and what they mean for who wrote the message, for docs/user-guide.md.
pub fn signs() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    STATES.into_iter().map(|of| (state(of).0, state(of).1, state_help(of)))
}

/// All states, in the order in which a message goes through them.
pub(crate) const STATES: [MessageState; 6] =
    [MessageState::Queued, MessageState::Carried, MessageState::Delivered, MessageState::Read, MessageState::Expired, MessageState::Failed];

/// What a state means for who wrote the message.
pub(crate) const fn state_help(state: MessageState) -> &'static str {
    match state {
        MessageState::Queued => "It is safe on this device and nowhere else yet",
        MessageState::Carried => "Other devices say that they hold it, sealed, and take it along",
        MessageState::Delivered => "The reader's device has it: its receipt came",
        MessageState::Read => "The reader has read it, and lets you know",
        MessageState::Expired => "Its time ran out without a receipt; it can be sent again",
        MessageState::Failed => "It can't be sent; it is said why",
    }
}

/// A moment as short as it is clear: `10:03` today, `21 Nov 10:03` this year, else with the year.
pub(crate) fn when(options: &Options, now: UnixMillis, at: UnixMillis) -> String {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (at, today) = ((options.civil)(at), (options.civil)(now));
    let time = format!("{:02}:{:02}", at.hour, at.minute);
    let month = MONTHS.get(usize::from(at.month).saturating_sub(1)).unwrap_or(&"?");
    match (at.year == today.year, (at.month, at.day) == (today.month, today.day)) {
        (true, true) => time,
        (true, false) => format!("{} {month} {time}", at.day),
        (false, _) => format!("{} {month} {} {time}", at.day, at.year),
    }
}

/// A number of bytes as people read it, in powers of 1,024 and rounded down to tenths: `1.5 KiB`.
pub fn size(bytes: u64) -> String {
    let (mut whole, mut tenths, mut unit) = (bytes, 0, "B");
    for next in ["KiB", "MiB", "GiB", "TiB"] {
        if whole < 1_024 {
            break;
        }
        (whole, tenths, unit) = (whole / 1_024, whole % 1_024 * 10 / 1_024, next);
    }
    if tenths == 0 { format!("{whole} {unit}") } else { format!("{whole}.{tenths} {unit}") }
}

/// What a message says; of one that is no text, that this version shows none of it.
pub(crate) fn body(message: &Message) -> Cow<'_, str> {
    match message.data {
        Some(data) => data_in_words(data, message.outgoing).into(),
        None => Cow::Borrowed(&message.text),
    }
}

/// A message that is no text, in words.
pub fn data_in_words(data: Data, outgoing: bool) -> String {
    let part = if outgoing || data.received >= data.length {
        String::new()
    } else {
        format!(", {} % here", u64::from(data.received) * 100 / u64::from(data.length.max(1)))
    };
    format!("({} of data{part}; this version shows texts only)", size(data.length.into()))
}

/// A number of things: `1 contact`, `2 contacts`.
pub(crate) fn count(count: usize, thing: &str) -> String {
    format!("{count} {thing}{}", if count == 1 { "" } else { "s" })
}

/// What a notification says: nothing of who or what unless the person wants it.
pub(crate) fn notification(message: Option<&Message>) -> String {
    match message {
        None => "A new message".to_owned(),
        Some(message) => format!("{}: {}", clean::name(&message.from), clean::name(&clean::fit(&body(message), 120))),
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

/// Cells that a name may take in the middle of a sentence (policy).
const NAME_CELLS: usize = 40;

/// Characters that a cell can take: a letter and the marks on it that are shown.
const CHARACTERS_IN_CELL: usize = 9;

/// One line of words from outside, cleaned and cut to `cells`. Of what is longer only the beginning is looked at.
pub(crate) fn brief(words: &str, cells: usize) -> String {
    match words.char_indices().nth(cells * CHARACTERS_IN_CELL) {
        Some((end, _)) => clean::fit(&format!("{}…", clean::name(words.get(..end).unwrap_or_default())), cells),
        None => clean::fit(&clean::name(words), cells),
    }
}

/// A name that somebody claims or was given, for the middle of a sentence.
pub(crate) fn name(name: &str) -> String {
    if name.trim().is_empty() { "(no name)".to_owned() } else { brief(name, NAME_CELLS) }
}

/// What a contact is called here; by its number as long as nobody has named it.
pub(crate) fn contact_name(contact: &Contact) -> String {
    match contact.name.as_ref().or(contact.own_name.as_ref()) {
        Some(own) => name(own),
        None => format!("contact {}", contact.contact.0),
    }
}

/// A technology in the words of people.
pub(crate) fn transport(name: &str) -> String {
    match name {
        "lan" => "the local network".to_owned(),
        "ble" => "Bluetooth".to_owned(),
        "tor" => "Tor".to_owned(),
        "drive" => "a drive".to_owned(),
        "memory" => "the demo".to_owned(),
        other => brief(other, NAME_CELLS),
    }
}

/// A technology in one word, for lists.
pub(crate) fn way(name: &str) -> String {
    match name {
        "lan" => "LAN".to_owned(),
        "memory" => "demo".to_owned(),
        "ble" | "tor" => transport(name),
        other => brief(other, NAME_CELLS),
    }
}

/// Why something was not done, what became of it, and what to do next.
pub(crate) fn why_not(refusal: &Refusal) -> String {
    let next = match refusal.kind.as_str() {
        "gone" => {
            return "The daemon went away before it answered, so this may or may not be done. Nothing is lost. Try again once it is back."
                .to_owned();
        }
        "absent" => return "There is no connection to the daemon, so nothing was asked. Try again once it is back.".to_owned(),
        "disk_full" => "Nothing was lost. Make room on the disk, then try again.",
        "locked" => "Nothing has changed. Unlock the profile first.",
        "busy" | "stopping" | "store" => "Nothing has changed. Try again in a moment.",
        _ => "Nothing has changed.",
    };
    let why = brief(&refusal.message, 300);
    let mut letters = why.chars();
    let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    format!("{first}{}. {next}", letters.as_str().trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_well() {
        for (bytes, expected) in [
            (0, "0 B"),
            (1_023, "1023 B"),
            (1_536, "1.5 KiB"),
            (256 << 20, "256 MiB"),
            ((1 << 30) - 1, "1023.9 MiB"),
            (1 << 40, "1 TiB"),
            (u64::MAX, "16777215.9 TiB"),
        ] {
            assert_eq!(size(bytes), expected);
        }
    }
}
