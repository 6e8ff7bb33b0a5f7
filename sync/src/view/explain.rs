//! Where a message is and why: the answer to `explain`.

use std::{borrow::Cow, time::Duration};

use serde::{Deserialize, Serialize};

use super::Message;
use crate::{
    id::ContactId,
    time::{Hour, UnixMillis},
};

/// All that is known of a message's way.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Explanation {
    /// The message.
    #[serde(flatten)]
    pub message: Message,
    /// When this was answered, by the system clock.
    pub now: UnixMillis,
    /// The state in words.
    pub words: String,
    /// What happened to it, oldest first.
    pub log: Vec<Happening>,
    /// How many hand-overs the log had no more room for.
    pub log_omitted: u32,
    /// How often it was sealed.
    pub tries: u32,
    /// What it travels in; absent before it is sealed, and for messages that came here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bundle: Option<SealedBundle>,
    /// Why it has not arrived; absent once it has, or has expired.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waits: Option<Waits>,
    /// For whom it is; absent for messages that came here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reader: Option<Reader>,
    /// Who is in reach now.
    pub neighbours: NeighbourCount,
    /// What a person can do, or should know.
    pub helps: Vec<Help>,
}

/// Something that happened to a message.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Happening {
    /// What.
    #[serde(flatten)]
    pub what: What,
    /// When, by the system clock.
    pub at: UnixMillis,
}

/// What happened to a message.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum What {
    /// It was written and stored here.
    Written {},
    /// It came here and was opened; whether its writer or a carrier brought it is not kept.
    Received {
        /// Its ratchet number.
        #[serde(skip_serializing_if = "Option::is_none")]
        number: Option<u32>,
    },
    /// It was sealed.
    Sealed {
        /// Its ratchet number.
        number: u32,
        /// The size of its bundle.
        bytes: u16,
    },
    /// A device said that it has stored it; a stranger's word is but a claim.
    Handed {
        /// What kind of device.
        to: Holder,
        /// Over what.
        transport: Cow<'static, str>,
        /// Which contact; absent for strangers.
        #[serde(skip_serializing_if = "Option::is_none")]
        contact: Option<ContactId>,
        /// The contact's name here, while it is one.
        #[serde(skip_serializing_if = "Option::is_none")]
        name: Option<String>,
    },
    /// The reader asked for it once more.
    AskedAgain {},
    /// The reader's receipt came, or the proof in it by a carrier.
    Receipt {},
    /// The reader has read it.
    Read {},
    /// Its time ran out without a receipt.
    Expired {},
    /// The two have agreed on new keys: what was handed over before counts no longer, and it is sealed anew.
    NewKeys {},
    /// A contact request went to a link, and this text with it.
    LeftWithRequest {},
    /// It was taken back before it left this device.
    TakenBack {},
    /// It was to be sent once more, after it had failed or expired.
    Retried {},
}

/// Who took a bundle.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Holder {
    /// The reader itself.
    Reader,
    /// Another contact.
    Contact,
    /// Somebody unknown.
    Stranger,
}

/// The bundle in which a message travels.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SealedBundle {
    /// The ratchet number.
    pub number: u32,
    /// Its size.
    pub bytes: u16,
    /// `normal` or `urgent`.
    pub class: Cow<'static, str>,
    /// The hour in which it was sealed; absent if there was no clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<UnixMillis>,
    /// Until when carriers keep it; absent if there was no clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<UnixMillis>,
    /// Whether it is held here; absent once there is a receipt, as it is then let go before long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held: Option<bool>,
}

/// Why a message has not arrived.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Waits {
    /// For programs.
    pub code: WaitCode,
    /// In words.
    pub text: String,
}

/// Why a message has not arrived, for programs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitCode {
    /// The link between the two is still open.
    NotAContact,
    /// The contact is blocked.
    Blocked,
    /// The profile was restored, and the contact has not answered since.
    Frozen,
    /// Without a clock messages go only straight to their reader.
    ClockUnknown,
    /// Too much that was sealed before is not confirmed.
    WindowFull,
    /// It is about to be sealed.
    Sealing,
    /// Its bundle is lost here, as after a crash of the disk; it is sealed anew once the reader misses it.
    BundleLost,
    /// No device is in reach.
    NoLink,
    /// No device in reach takes it.
    NoTaker,
    /// Others in reach get it after a while.
    HeldBack,
    /// It is on a link.
    HandingOver,
    /// The reader's device, or all others in reach, did not take it for now.
    Refused,
    /// Others hold it.
    Carried,
    /// The reader's device holds it and has not confirmed it.
    ReceiptAwaited,
}

/// For whom a message is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Reader {
    /// The contact.
    pub contact: ContactId,
    /// Its name here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whether a link to it is open.
    pub in_reach: bool,
    /// When it was last heard on a link; absent if never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<UnixMillis>,
    /// Over what.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_transport: Option<Cow<'static, str>>,
}

/// How many devices are linked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct NeighbourCount {
    /// Contacts.
    pub contacts: usize,
    /// Links to others.
    pub strangers: usize,
}

/// What a person can do for a message, or should know.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Help {
    /// For programs.
    pub code: HelpCode,
    /// In words.
    pub text: String,
}

/// What a person can do for a message, for programs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HelpCode {
    /// Come within reach of the reader.
    MeetReader,
    /// Come within reach of others.
    MeetOthers,
    /// Nothing: carriers go on for so long.
    CarriersKeep,
    /// Use or make a link.
    RenewLink,
    /// Unblock the contact.
    Unblock,
    /// Set the clock.
    SetClock,
    /// Receipts of earlier messages must come first.
    ReceiptsFirst,
    /// In mode *mesh* more devices take it.
    ModeMesh,
    /// If the node carried for others, others would carry for it.
    RelayOn,
    /// Send it once more.
    SendAgain,
}

/// The beginning of an hour.
pub(crate) fn start_of(hour: Hour) -> UnixMillis {
    UnixMillis(u64::from(hour.0) * 3_600_000)
}

/// A span in the words of people, rounded down: `40 s`, `5 min`, `3 h`, `13 d`; from two days on in days.
pub fn span_in_words(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_rounded_down_to_one_unit() {
        let words = |seconds| span_in_words(Duration::from_secs(seconds));
        let spans = [0, 59, 60, 3_599, 3_600, 172_799, 172_800, 1_209_599, u64::MAX];
        let expected = ["0 s", "59 s", "1 min", "59 min", "1 h", "47 h", "2 d", "13 d", "213503982334601 d"];
        assert_eq!(spans.map(words), expected);
    }
}
