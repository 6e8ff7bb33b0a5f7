//! What an interface or a script sees and asks: the types of the local API (docs/api.md), as JSON by serde.
//!
//! A [`Command`] is one request, an [`Answer`] its result, an [`Event`] what a subscriber is told unasked. Field names are stable; new
//! fields may be added. Texts and names in here come from people: whoever shows them on a terminal cleans them first
//! ([`crate::wire::item`] keeps what was written).

mod answer;
mod explain;
mod nearby;
mod node;
mod words;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

pub(crate) use self::explain::start_of;
pub use self::explain::{
    Explanation, Happening, Help, HelpCode, Holder, NeighbourCount, Reader, SealedBundle, WaitCode, Waits, What, span_in_words,
};
pub(crate) use self::words::transport_in_words;
pub use self::{
    answer::Answer,
    nearby::{Nearby, NearbyPeer, NearbyState},
    node::{
        Alerts, Clock, ClockJump, ClockSource, Leak, LinkStatus, Mode, Neighbour, NodeState, NodeStatus, Reach, Relay, RelaySettings,
        Settings, Shown, Status, Trouble,
    },
    words::{ago_in_words, left_in_words},
};
use crate::{
    id::{ContactId, MessageId},
    time::UnixMillis,
};

/// One request to the engine; in JSON-RPC the variant is the method and its fields are the parameters.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "method", content = "params", rename_all = "snake_case")]
pub enum Command {
    /// How the node is doing. Answer: [`Status`].
    Status {},
    /// Makes a one-time link. Answer: [`Invitation`].
    Invite {
        /// For how many hours it is valid, 1 to 720.
        hours: u32,
    },
    /// Uses a one-time link that somebody gave. Answer: [`Added`].
    AddContact {
        /// The link, with or without text around it.
        link: String,
        /// What to call the contact here; their own name if absent.
        #[serde(default)]
        alias: Option<String>,
        /// What to say to them: the first message, which travels with the request if it is short enough.
        #[serde(default)]
        message: Option<String>,
    },
    /// Lists contacts, by name. Answer: a list of [`Contact`].
    Contacts {},
    /// Shows one contact. Answer: [`Contact`].
    Contact {
        /// Name or number.
        contact: String,
    },
    /// Notes that the fingerprint was compared. Answer: [`Contact`].
    VerifyContact {
        /// Name or number.
        contact: String,
        /// The fingerprint the person has compared; refused if it is not this contact's.
        fingerprint: String,
    },
    /// Calls a contact by another name here. Answer: [`Contact`].
    RenameContact {
        /// Name or number.
        contact: String,
        /// The name from now on.
        alias: String,
    },
    /// Refuses or again takes a contact's messages. Answer: [`Contact`].
    BlockContact {
        /// Name or number.
        contact: String,
        /// Whether they are refused.
        blocked: bool,
    },
    /// Changes what is done with a contact's messages; what is absent stays. Answer: [`Contact`].
    SetContact {
        /// Name or number.
        contact: String,
        /// Whether it is told when its messages are read. Their arrival is always confirmed, as sending goes on by that.
        #[serde(default)]
        receipts: Option<bool>,
        /// Whether its messages come without bell and notification.
        #[serde(default)]
        muted: Option<bool>,
    },
    /// Forgets a contact with keys and messages. Answer: [`Removed`].
    RemoveContact {
        /// Name or number.
        contact: String,
    },
    /// Writes a message; answered once it is durable. Answer: [`Sent`].
    Send {
        /// Name or number.
        contact: String,
        /// What to say.
        text: String,
        /// The message's id, so that a retry after a lost answer is harmless.
        #[serde(default)]
        id: Option<MessageId>,
        /// Whether carriers should prefer it.
        #[serde(default)]
        urgent: bool,
    },
    /// Writes a message that may be larger than a text and hold any bytes; answered once it is durable. Of the engine alone: the API has no such
    /// method yet. Answer: [`Sent`].
    #[serde(skip)]
    SendData {
        /// Name or number.
        contact: String,
        /// The content: 1 byte to [`MAX_DATA_LEN`](crate::wire::item::MAX_DATA_LEN).
        data: Vec<u8>,
        /// The message's id, so that a retry after a lost answer is harmless.
        id: Option<MessageId>,
    },
    /// Lists messages, oldest first. Answer: a list of [`Message`]. A page further back is the newest `limit` before the first that is shown.
    Messages {
        /// Name or number.
        contact: String,
        /// Only those after this one.
        #[serde(default)]
        since: Option<MessageId>,
        /// Only those before this one; with `since`, those between the two.
        #[serde(default)]
        before: Option<MessageId>,
        /// At most so many, the newest.
        #[serde(default)]
        limit: Option<u32>,
        /// Whether those listed count as read from now on.
        #[serde(default)]
        mark_read: bool,
    },
    /// Marks a message and all before it as read; again, nothing more. Answer: [`Contact`].
    MarkRead {
        /// Name or number.
        contact: String,
        /// The last message that was seen.
        id: MessageId,
    },
    /// Sends a message of ours that failed or expired once more. Answer: [`Sent`].
    Retry {
        /// Its id, which stays.
        id: MessageId,
    },
    /// Takes a message of ours back that has not left this device. Answer: [`Message`], which has failed.
    Cancel {
        /// Its id.
        id: MessageId,
    },
    /// Shows what is written to a contact and not sent yet. Answer: [`Draft`].
    Draft {
        /// Name or number.
        contact: String,
    },
    /// Keeps what is written to a contact and not sent yet, as long as a message may be. Answer: [`Draft`].
    SetDraft {
        /// Name or number.
        contact: String,
        /// What is written; empty for nothing.
        text: String,
    },
    /// Says where a message is and why. Answer: [`Explanation`].
    Explain {
        /// Its id.
        id: MessageId,
    },
    /// Shows mode, relay settings and visibility. Answer: [`Settings`].
    Settings {},
    /// Chooses whom the node gives mail to carry, and for whom it carries. Answer: [`Settings`].
    SetMode {
        /// The mode from now on.
        mode: Mode,
    },
    /// Changes what is given to carry for others; what is absent stays. Answer: [`Settings`].
    SetRelay {
        /// Whether to carry for others at all.
        #[serde(default)]
        on: Option<bool>,
        /// How much space bundles of others may take: 1 MiB to 1 TiB, bytes.
        #[serde(default)]
        bytes: Option<u64>,
        /// Whether to carry over links that cost money too.
        #[serde(default)]
        metered: Option<bool>,
    },
    /// Tells neighbours the profile's name, for 12 hours at most, or stops. Answer: [`Settings`].
    SetVisible {
        /// Whether they are told.
        visible: bool,
    },
    /// Chooses how a new message calls for attention; what is absent stays. Answer: [`Settings`].
    SetAlerts {
        /// Whether the terminal's bell rings.
        #[serde(default)]
        bell: Option<bool>,
        /// Whether the terminal is asked to show a notification.
        #[serde(default)]
        notify: Option<bool>,
        /// Whether that notification tells who wrote, and what.
        #[serde(default)]
        content: Option<bool>,
    },
    /// Opens the window of two minutes in which people in reach can choose each other, or makes it two minutes again. Answer: [`Nearby`].
    NearbyOpen {},
    /// Closes that window. Answer: [`Nearby`].
    NearbyClose {},
    /// Shows who is in it. Answer: [`Nearby`].
    Nearby {},
    /// Chooses somebody; once both have, both are shown words to compare. Answer: [`NearbyPeer`].
    NearbyAdd {
        /// Number, or the name it claims if only one claims it.
        peer: String,
    },
    /// Says whether the words on both screens are equal. Answer: [`NearbyPeer`].
    NearbyConfirm {
        /// Number, or the name it claims if only one claims it.
        peer: String,
        /// Whether they are. If not, somebody may be in between: the exchange ends on both sides.
        matches: bool,
    },
}

/// Why a command was not done. Nothing has changed and nothing was lost.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CommandError {
    /// No contact by that name or number: what was asked for.
    #[error("no contact is called {0:?}")]
    UnknownContact(String),
    /// No message with that id.
    #[error("no message has this id")]
    UnknownMessage,
    /// The text is empty or too long: its length and the limit, bytes of UTF-8.
    #[error("a message has 1 to {limit} bytes, this one {length}")]
    TextLength {
        /// Its length.
        length: usize,
        /// The limit.
        limit: usize,
    },
    /// This id already names another message.
    #[error("this id already names another message")]
    IdTaken,
    /// A name that can't be used: why.
    #[error("this name can't be used: {0}")]
    Name(String),
    /// The link can't be used: why.
    #[error("this link can't be used: {0}")]
    Link(String),
    /// A number out of its range: what it is, and the range.
    #[error("{what} must be {range}")]
    Range {
        /// What the number means.
        what: &'static str,
        /// The range in words.
        range: &'static str,
    },
    /// Too much is open at once: what.
    #[error("too many {0} at once")]
    TooMany(&'static str),
    /// The fingerprint is not this contact's.
    #[error("the fingerprint does not match: this may be somebody else")]
    Fingerprint,
    /// Nobody nearby of that number or name: what was asked for.
    #[error("nobody nearby is {0:?}")]
    UnknownPeer(String),
    /// Somebody nearby can't be chosen or confirmed now: why.
    #[error("{0}")]
    Nearby(&'static str),
    /// The contact is blocked or removed, or not established yet for what was asked.
    #[error("this contact is {0}")]
    ContactState(&'static str),
    /// The message has come too far, or not far enough, for what was asked.
    #[error("this message {0}")]
    MessageState(&'static str),
}

/// What a subscriber is told, as it happens; one JSON object a line with `event` naming the variant.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A message came, or a message's state changed.
    Message(Message),
    /// A contact is new or has changed.
    Contact(Contact),
    /// A contact was removed, or is the same person as another.
    ContactRemoved {
        /// Its number.
        contact: ContactId,
        /// The contact that has its conversation from here on.
        #[serde(skip_serializing_if = "Option::is_none")]
        same_as: Option<ContactId>,
    },
    /// A neighbour came within reach.
    LinkUp(Neighbour),
    /// A neighbour went out of reach.
    LinkDown(Neighbour),
    /// A neighbour in reach has said what it calls itself.
    Neighbour(Neighbour),
    /// Something has changed among those who can be chosen nearby.
    Nearby(Nearby),
    /// Something a person should know: a link seen by somebody else, a clock that jumped, …
    Notice {
        /// A stable word for scripts, such as `link_reused`.
        kind: Cow<'static, str>,
        /// In words.
        text: String,
        /// The contact it is about, if any.
        #[serde(skip_serializing_if = "Option::is_none")]
        contact: Option<ContactId>,
    },
}

/// A one-time link, as made.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Invitation {
    /// The contact it will become.
    pub contact: ContactId,
    /// The link in lower case.
    pub link: String,
    /// The last hour in which it is valid, milliseconds since 1970.
    pub expires: UnixMillis,
}

/// A contact whose link was taken up.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Added {
    /// Its number.
    pub contact: ContactId,
    /// `pending` until the answer comes.
    pub state: ContactState,
    /// The id of the message given with the link.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<MessageId>,
}

/// A contact that is gone.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Removed {
    /// Its number; never used again.
    pub contact: ContactId,
}

/// How far a contact has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContactState {
    /// We made a link and wait for who has it.
    Invited,
    /// We took up a link and wait for the answer.
    Pending,
    /// Both can write.
    Established,
    /// Messages are refused.
    Blocked,
    /// The link ran out, or somebody else had used it.
    Failed,
}

/// Somebody to write to.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Contact {
    /// Its number in this profile.
    pub contact: ContactId,
    /// What it is called here; absent while pending without an alias.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it calls itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub own_name: Option<String>,
    /// How far it has come.
    pub state: ContactState,
    /// Whether the fingerprint was compared.
    pub verified: bool,
    /// The fingerprint to compare; absent while pending.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// Messages not read yet.
    pub unread: u64,
    /// Whether it is told when its messages are read.
    pub receipts: bool,
    /// Whether its messages come without bell and notification.
    pub muted: bool,
    /// Whether something is written to it and not sent yet.
    pub draft: bool,
    /// When the newest message of the conversation was stored here; absent while it is empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_message: Option<UnixMillis>,
    /// Whether a link to it is open.
    pub in_reach: bool,
    /// When it was last recognised on a link; absent if never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<UnixMillis>,
    /// Over what that was: `lan`, …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_transport: Option<Cow<'static, str>>,
    /// The end of the last hour in which its link is valid; absent once it is answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link_expires: Option<UnixMillis>,
    /// How often the request for it has been sealed; absent unless we wait for the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tries: Option<u8>,
    /// Why it failed, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// A message as accepted.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Sent {
    /// Its id.
    pub id: MessageId,
    /// `queued`, or further if this was a retry.
    pub state: MessageState,
}

/// What is written to a contact and not sent yet.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Draft {
    /// The contact.
    pub contact: ContactId,
    /// What is written; empty for nothing.
    pub text: String,
}

/// How far a message has come. For incoming ones: `delivered`, `read` once marked; before, `carried` where parts of it are on their way.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageState {
    /// Durable here and nowhere else.
    Queued,
    /// At least one other device says that it holds it.
    Carried,
    /// The reader's device has it.
    Delivered,
    /// The reader has read it.
    Read,
    /// Its time ran out without a receipt.
    Expired,
    /// It can't be sent; `why` says it.
    Failed,
}

/// A message that is no text: content that came, or comes, in parts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Data {
    /// Its length, bytes.
    pub length: u32,
    /// How many of them its reader has; of what was written here 0 until it has all.
    pub received: u32,
}

/// One message.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Message {
    /// Its id, the same on both sides.
    pub id: MessageId,
    /// With whom.
    pub contact: ContactId,
    /// Its place in the conversation: messages are listed by it, and where two have the same by their ids.
    pub order: u64,
    /// Who wrote it: the contact's name here, or `me`.
    pub from: String,
    /// Whether this side wrote it.
    pub outgoing: bool,
    /// What was written; empty if it is no text.
    pub text: String,
    /// What is known of a message that is no text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Data>,
    /// When, by the writer's clock.
    pub sent: UnixMillis,
    /// When it was stored here.
    pub stored: UnixMillis,
    /// How far it has come.
    pub state: MessageState,
    /// How many contacts say they hold it.
    pub handed_contacts: u32,
    /// How many strangers claim to hold it.
    pub handed_strangers: u32,
    /// Until when carriers keep it; absent before it is sealed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<UnixMillis>,
    /// Why it failed or waits, if there is something to say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}
