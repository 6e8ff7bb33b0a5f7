//! What the screen of a contact says.

use hedgerow_sync::view::{Contact, ContactState};
use ratatui::style::Style;

use super::{Deed, Look};
use crate::{text, widget::Page};

/// The most cells of a fingerprint in one line: eight groups of four.
const FINGERPRINT_CELLS: usize = 39;
/// Groups in a row where two fingerprints stand side by side.
const GROUPS: usize = 4;
/// The fewest cells for two fingerprints side by side.
const SIDE_BY_SIDE: usize = 44;

/// What is known of a contact.
pub(super) fn facts(page: &mut Page, look: &Look<'_>, contact: &Contact) {
    let theme = &look.options.theme;
    page.title(&text::contact_name(contact));
    page.gap();
    if let Some(own) = contact.own_name.as_ref().filter(|own| Some(*own) != contact.name.as_ref()) {
        page.pair("Own name", &format!("{} (what they call themselves)", text::name(own)), theme.text);
    }
    let (state, style) = state(look, contact);
    page.pair("State", &state, style);
    if contact.fingerprint.is_some() {
        let (verified, style) = if contact.verified {
            ("yes: the fingerprint was compared", theme.good)
        } else {
            ("no: compare fingerprints to be sure", theme.warn)
        };
        page.pair("Verified", verified, style);
    }
    page.pair("Seen", &seen(look, contact), theme.text);
    let receipts = if contact.receipts { "on: they see when you have read" } else { "off: they don't see when you have read" };
    page.pair("Receipts", receipts, theme.text);
    page.pair("Muted", if contact.muted { "yes: no bell, no notification" } else { "no" }, theme.text);
    fingerprint(page, "Fingerprint", contact.fingerprint.as_deref(), theme.text);
    fingerprint(page, "Your own", own_fingerprint(look), theme.text);
}

fn fingerprint(page: &mut Page, label: &'static str, fingerprint: Option<&str>, style: Style) {
    if let Some(fingerprint) = fingerprint {
        page.pair(label, &text::brief(fingerprint, FINGERPRINT_CELLS), style);
    }
}

fn own_fingerprint<'a>(look: &Look<'a>) -> Option<&'a str> {
    Some(look.model.status.as_ref()?.node.as_ref()?.fingerprint.as_str())
}

/// How far the contact has come, in words.
fn state(look: &Look<'_>, contact: &Contact) -> (String, Style) {
    let theme = &look.options.theme;
    let until = contact
        .link_expires
        .map_or_else(String::new, |until| format!(" The link works until {}.", text::when(look.options, look.now.wall, until)));
    let why = contact.why.as_ref().map(|why| format!(" Why: {}.", text::brief(why, 120).trim_end_matches('.'))).unwrap_or_default();
    match contact.state {
        ContactState::Established => (format!("a contact: you can write to each other.{why}"), theme.good),
        ContactState::Invited => (format!("you have made a link, and nobody has used it yet.{until}"), theme.warn),
        ContactState::Pending => {
            let tries = match contact.tries {
                None | Some(0) => " The request goes out as soon as somebody is in reach.".to_owned(),
                Some(1) => " The request was sent once.".to_owned(),
                Some(tries) => format!(" The request was sent {tries} times."),
            };
            (format!("waiting for their answer; it travels with whoever carries it.{tries}{until}"), theme.warn)
        }
        ContactState::Blocked => (format!("blocked: what they write is refused, and you can't write to them.{why}"), theme.bad),
        ContactState::Failed => (format!("the link did not work.{why} Remove this contact and ask for a new link."), theme.bad),
    }
}

fn seen(look: &Look<'_>, contact: &Contact) -> String {
    let over = contact.last_transport.as_ref().map(|name| format!(", over {}", text::transport(name))).unwrap_or_default();
    match contact.last_seen {
        _ if contact.in_reach => format!("in reach now{over}"),
        Some(at) => format!("{}{over}", text::when(look.options, look.now.wall, at)),
        None => "never met directly".to_owned(),
    }
}

/// What a deed is called.
pub(super) fn deed(deed: Deed, contact: &Contact) -> String {
    match deed {
        Deed::Open => "Open the conversation",
        Deed::Verify if contact.verified => "Compare fingerprints again",
        Deed::Verify => "Verify: compare fingerprints",
        Deed::Rename => "Rename",
        Deed::Receipts if contact.receipts => "Don't tell them any more when you have read",
        Deed::Receipts => "Tell them when you have read",
        Deed::Mute if contact.muted => "Unmute: bell and notification again",
        Deed::Mute => "Mute: no bell, no notification",
        Deed::Block if contact.state == ContactState::Blocked => "Unblock",
        Deed::Block => "Block",
        Deed::Remove => "Remove, with keys and messages",
    }
    .to_owned()
}

/// What is said once a deed is done; `contact` is as it has become.
pub(super) fn done(deed: Deed, contact: &Contact) -> String {
    let name = text::contact_name(contact);
    match deed {
        Deed::Verify => format!("{name} is verified."),
        Deed::Rename => format!("They are called {name} from now on."),
        Deed::Receipts if contact.receipts => format!("{name} sees from now on when you have read."),
        Deed::Receipts => format!("{name} does not see any more when you have read."),
        Deed::Mute if contact.muted => format!("{name} is muted."),
        Deed::Mute => format!("{name} is not muted any more."),
        Deed::Block if contact.state == ContactState::Blocked => format!("{name} is blocked."),
        Deed::Block => format!("{name} is not blocked any more."),
        Deed::Open | Deed::Remove => String::new(),
    }
}

/// Two fingerprints, and how to compare them.
pub(super) fn verify(page: &mut Page, look: &Look<'_>, contact: &Contact, theirs: &str) {
    let theme = &look.options.theme;
    let name = text::contact_name(contact);
    page.title(&format!("Is this really {name}?"));
    page.gap();
    page.say("Meet, or call each other where you know the voice. On their screen they open F6 and v for you. Read aloud:");
    page.gap();
    let (theirs, yours) = (rows(theirs), rows(own_fingerprint(look).unwrap_or("not known yet")));
    if page.cells() >= SIDE_BY_SIDE {
        let column = 22;
        let both = |theirs: &str, yours: &str| format!("  {theirs:column$}{yours}");
        page.say_as(&both("Theirs", "Yours"), theme.dim);
        for row in 0..theirs.len().max(yours.len()) {
            let of = |rows: &[String]| rows.get(row).cloned().unwrap_or_default();
            page.say_as(&both(&of(&theirs), &of(&yours)), theme.strong);
        }
    } else {
        for (label, rows) in [("Theirs", theirs), ("Yours", yours)] {
            page.say_as(label, theme.dim);
            rows.iter().for_each(|row| page.say_as(row, theme.strong));
        }
    }
    page.gap();
    page.say("On their screen the two stand the other way round. Is every group the same?");
    page.gap();
    page.answer("y", "They are the same");
    page.answer("n", "They differ");
}

/// A fingerprint in rows of groups.
fn rows(fingerprint: &str) -> Vec<String> {
    let shown = text::brief(fingerprint, FINGERPRINT_CELLS);
    let groups: Vec<&str> = shown.split_whitespace().collect();
    groups.chunks(GROUPS).map(|row| row.join(" ")).collect()
}

/// What it means if they differ.
pub(super) fn differ(page: &mut Page, contact: &Contact) {
    let name = text::contact_name(contact);
    page.title("They differ: this may be somebody else.");
    page.gap();
    page.say(&format!("Perhaps you looked at another contact, or {name} has a new profile. Or somebody else took the link before {name} did, and reads what you write here."));
    page.gap();
    page.say("Nothing has changed. What to do: write nothing here that only they should read. Add each other anew, best nearby (F2, then 1), and then remove this contact.");
    page.gap();
    page.say("Enter goes back.");
}

/// Before the field for a new name.
pub(super) fn rename(page: &mut Page, contact: &Contact) {
    page.title(&format!("Rename {}", text::contact_name(contact)));
    page.gap();
    page.say("Only you see this name. Enter keeps it, Esc leaves it as it was.");
}

/// Whether to block, or to unblock.
pub(super) fn block(page: &mut Page, contact: &Contact) {
    let name = text::contact_name(contact);
    if contact.state == ContactState::Blocked {
        page.title(&format!("Unblock {name}?"));
        page.gap();
        page.say("They can write to you again, and you to them. What they wrote meanwhile may still arrive.");
        page.gap();
        page.answer("y", "Unblock");
    } else {
        page.title(&format!("Block {name}?"));
        page.gap();
        page.say("What they write is refused, and you can't write to them. They are not told. Messages so far stay, and you can unblock them at any time.");
        page.gap();
        page.answer("y", "Block");
    }
    page.answer("n", "Leave it as it is");
}

/// Before the field that confirms a removal.
pub(super) fn remove(page: &mut Page, contact: &Contact, typed: &str) {
    page.title(&format!("Remove {}?", text::contact_name(contact)));
    page.gap();
    page.say("Their keys and all messages with them go from this device and can't come back. They are not told. To write to each other again you would have to add each other anew.");
    page.gap();
    page.say(&format!("If you are sure, type “{typed}” and press Enter. Esc keeps the contact."));
}
