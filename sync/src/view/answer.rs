//! The results of commands, and how a client reads them back.

use serde::{Deserialize, Deserializer, Serialize};

use super::{Added, Command, Contact, Draft, Explanation, Invitation, Message, Nearby, NearbyPeer, Removed, Sent, Settings, Status};

/// The result of a [`Command`]; in JSON just its content.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(untagged)]
pub enum Answer {
    /// To `status`.
    Status(Status),
    /// To `invite`.
    Invitation(Invitation),
    /// To `add_contact`.
    Added(Added),
    /// To `contacts`.
    Contacts(Vec<Contact>),
    /// To the commands on one contact.
    Contact(Contact),
    /// To `remove_contact`.
    Removed(Removed),
    /// To `send` and `retry`.
    Sent(Sent),
    /// To `messages`.
    Messages(Vec<Message>),
    /// To `cancel`.
    Message(Message),
    /// To `draft` and `set_draft`.
    Draft(Draft),
    /// To `explain`.
    Explanation(Box<Explanation>),
    /// To `settings` and the commands that change them.
    Settings(Settings),
    /// To `nearby`, `nearby_open` and `nearby_close`.
    Nearby(Nearby),
    /// To `nearby_add` and `nearby_confirm`.
    NearbyPeer(NearbyPeer),
}

impl Answer {
    /// Reads the answer to `command`, as it stands in the `result` of a reply of the API.
    ///
    /// # Errors
    ///
    /// The deserialiser's, if what stands there is no such answer.
    pub fn read<'de, D: Deserializer<'de>>(command: &Command, from: D) -> Result<Self, D::Error> {
        Ok(match command {
            Command::Status {} => Self::Status(Deserialize::deserialize(from)?),
            Command::Invite { .. } => Self::Invitation(Deserialize::deserialize(from)?),
            Command::AddContact { .. } => Self::Added(Deserialize::deserialize(from)?),
            Command::Contacts {} => Self::Contacts(Deserialize::deserialize(from)?),
            Command::Contact { .. }
            | Command::VerifyContact { .. }
            | Command::RenameContact { .. }
            | Command::BlockContact { .. }
            | Command::SetContact { .. }
            | Command::MarkRead { .. } => Self::Contact(Deserialize::deserialize(from)?),
            Command::RemoveContact { .. } => Self::Removed(Deserialize::deserialize(from)?),
            Command::Send { .. } | Command::SendData { .. } | Command::Retry { .. } => Self::Sent(Deserialize::deserialize(from)?),
            Command::Messages { .. } => Self::Messages(Deserialize::deserialize(from)?),
            Command::Cancel { .. } => Self::Message(Deserialize::deserialize(from)?),
            Command::Draft { .. } | Command::SetDraft { .. } => Self::Draft(Deserialize::deserialize(from)?),
            Command::Explain { .. } => Self::Explanation(Deserialize::deserialize(from)?),
            Command::Settings {}
            | Command::SetMode { .. }
            | Command::SetRelay { .. }
            | Command::SetVisible { .. }
            | Command::SetAlerts { .. } => Self::Settings(Deserialize::deserialize(from)?),
            Command::NearbyOpen {} | Command::NearbyClose {} | Command::Nearby {} => Self::Nearby(Deserialize::deserialize(from)?),
            Command::NearbyAdd { .. } | Command::NearbyConfirm { .. } => Self::NearbyPeer(Deserialize::deserialize(from)?),
        })
    }
}

#[cfg(test)]
mod tests;
