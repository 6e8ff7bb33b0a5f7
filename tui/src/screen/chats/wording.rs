//! What is said of contacts, messages and days.

use hedgerow_sync::{
    time::UnixMillis,
    view::{Contact, ContactState, Message, MessageState, span_in_words},
};

use crate::{Civil, clean, screen::Look, text};

/// The months' names.
const MONTHS: [&str; 12] =
    ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];
/// From how far apart a writer's clock and ours are both told, in milliseconds (policy).
const CLOCKS_APART: u64 = 10 * 60_000;

/// What a contact is called; those that have no name yet by what they are.
pub(super) fn contact_name(contact: &Contact) -> String {
    match (&contact.name, contact.state) {
        (Some(name), _) => clean::name(name),
        (None, ContactState::Invited) => format!("(your link, no. {})", contact.contact.0),
        (None, _) => format!("(new contact, no. {})", contact.contact.0),
    }
}

/// Whether a contact is in reach, and over what; else when it was, or how far it has come.
pub(super) fn presence(look: &Look<'_>, contact: &Contact) -> String {
    match contact.state {
        ContactState::Invited => "waiting for who has your link".to_owned(),
        ContactState::Pending => "waiting for an answer".to_owned(),
        ContactState::Blocked => "blocked".to_owned(),
        ContactState::Failed => match &contact.why {
            Some(why) => format!("failed: {}", clean::name(why)),
            None => "failed".to_owned(),
        },
        ContactState::Established => met(look, contact),
    }
}

/// The same where there is room for a word more.
pub(super) fn presence_in_full(look: &Look<'_>, contact: &Contact) -> String {
    let words = presence(look, contact);
    let is_past = contact.state == ContactState::Established && contact.last_seen.is_some() && !is_linked(look, contact);
    if is_past { format!("seen {words}") } else { words }
}

fn is_linked(look: &Look<'_>, contact: &Contact) -> bool {
    contact.in_reach || look.model.neighbours.values().any(|neighbour| neighbour.contact == Some(contact.contact))
}

fn met(look: &Look<'_>, contact: &Contact) -> String {
    let link = look.model.neighbours.values().find(|neighbour| neighbour.contact == Some(contact.contact));
    let over = link.map(|link| &link.transport).or(contact.last_transport.as_ref());
    let over = over.map(|name| format!(", {}", text::way(name))).unwrap_or_default();
    if is_linked(look, contact) {
        return format!("in reach{over}");
    }
    match contact.last_seen {
        Some(at) => format!("{} ago{over}", ago(look, at)),
        None => "not met yet".to_owned(),
    }
}

fn ago(look: &Look<'_>, at: UnixMillis) -> String {
    span_in_words(std::time::Duration::from_millis(look.now.wall.0.saturating_sub(at.0)))
}

/// A time of day.
pub(super) fn time_of_day(look: &Look<'_>, at: UnixMillis) -> String {
    let civil = (look.options.civil)(at);
    format!("{:02}:{:02}", civil.hour, civil.minute)
}

/// A day without its time, to compare.
pub(super) const fn date(civil: Civil) -> (i16, u8, u8) {
    (civil.year, civil.month, civil.day)
}

/// A day as people say it: `today`, `yesterday`, `20 November`, with the year if it is another.
pub(super) fn day(look: &Look<'_>, at: UnixMillis) -> String {
    let civil = look.options.civil;
    let (then, today) = (civil(at), civil(look.now.wall));
    if date(then) == date(today) {
        return "today".to_owned();
    }
    if date(then) == date(civil(UnixMillis(look.now.wall.0.saturating_sub(86_400_000)))) {
        return "yesterday".to_owned();
    }
    let month = MONTHS.get(usize::from(then.month).saturating_sub(1)).copied().unwrap_or("?");
    if then.year == today.year { format!("{} {month}", then.day) } else { format!("{} {month} {}", then.day, then.year) }
}

/// A moment with its day.
pub(crate) fn moment(look: &Look<'_>, at: UnixMillis) -> String {
    format!("{}, {}", day(look, at), time_of_day(look, at))
}

/// In short what is known of a message: how far it has come, who holds it, why it waits or failed.
pub(crate) fn known(look: &Look<'_>, message: &Message) -> String {
    let mut parts = Vec::new();
    if !message.outgoing {
        parts.push(format!("came {}", moment(look, message.stored)));
        if message.sent.0.abs_diff(message.stored.0) >= CLOCKS_APART {
            parts.push(format!("written {} by their clock", moment(look, message.sent)));
        }
        return parts.join("; ");
    }
    parts.push(match message.state {
        MessageState::Queued => "only on this device so far".to_owned(),
        MessageState::Carried => carriers(message),
        MessageState::Delivered => "delivered".to_owned(),
        MessageState::Read => "read".to_owned(),
        MessageState::Expired => "expired before it arrived".to_owned(),
        MessageState::Failed => "failed".to_owned(),
    });
    parts.extend(message.why.as_deref().map(clean::name));
    if let (MessageState::Carried, Some(until)) = (message.state, message.expires) {
        parts.push(format!("kept until {}", day(look, until)));
    }
    parts.join("; ")
}

/// Who says that they hold a message. What strangers say nobody can check, so they are counted apart.
fn carriers(message: &Message) -> String {
    let count = |number: u32, one: &str, many: &str| match number {
        0 => None,
        1 => Some(format!("1 {one}")),
        _ => Some(format!("{number} {many}")),
    };
    let contacts = count(message.handed_contacts, "contact", "contacts");
    let strangers = count(message.handed_strangers, "stranger", "strangers");
    let by = contacts.into_iter().chain(strangers).collect::<Vec<_>>().join(", ");
    if by.is_empty() { "carried".to_owned() } else { format!("carried by {by}") }
}
