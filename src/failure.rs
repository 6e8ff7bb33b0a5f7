//! Why a request was not done, as it crosses the local API: a stable word for programs and words for people.

use hedgerow_sync::{store::StoreError, view::CommandError};

/// Names a kind of failure. The words are stable (docs/api.md).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum FailureKind {
    /// The line is no JSON.
    Parse,
    /// The JSON is no request.
    InvalidRequest,
    /// No such method.
    UnknownMethod,
    /// The parameters don't fit the method.
    InvalidParams,
    /// Something that should not happen.
    Internal,
    /// As [`CommandError::UnknownContact`].
    UnknownContact,
    /// As [`CommandError::UnknownMessage`].
    UnknownMessage,
    /// As [`CommandError::TextLength`].
    TextLength,
    /// As [`CommandError::IdTaken`].
    IdTaken,
    /// As [`CommandError::Name`].
    Name,
    /// As [`CommandError::Link`].
    Link,
    /// As [`CommandError::Range`].
    Range,
    /// As [`CommandError::TooMany`].
    TooMany,
    /// As [`CommandError::Fingerprint`].
    Fingerprint,
    /// As [`CommandError::ContactState`].
    ContactState,
    /// As [`CommandError::MessageState`].
    MessageState,
    /// As [`CommandError::UnknownPeer`].
    UnknownPeer,
    /// As [`CommandError::Nearby`].
    Nearby,
    /// The profile is locked.
    Locked,
    /// The daemon is ending.
    Stopping,
    /// All places for clients are taken.
    Busy,
    /// The disk is full.
    DiskFull,
    /// The passphrase is wrong.
    Passphrase,
    /// The profile can't be read or written.
    Store,
    /// A file that the person named can't be written.
    File,
}

/// Every kind with its stable word and JSON-RPC error code.
const KINDS: &[(FailureKind, &str, i64)] = &[
    (FailureKind::Parse, "parse", -32_700),
    (FailureKind::InvalidRequest, "invalid_request", -32_600),
    (FailureKind::UnknownMethod, "unknown_method", -32_601),
    (FailureKind::InvalidParams, "invalid_params", -32_602),
    (FailureKind::Internal, "internal", -32_603),
    (FailureKind::UnknownContact, "unknown_contact", 1),
    (FailureKind::UnknownMessage, "unknown_message", 2),
    (FailureKind::TextLength, "text_length", 3),
    (FailureKind::IdTaken, "id_taken", 4),
    (FailureKind::Name, "name", 5),
    (FailureKind::Link, "link", 6),
    (FailureKind::Range, "range", 7),
    (FailureKind::TooMany, "too_many", 8),
    (FailureKind::Fingerprint, "fingerprint", 9),
    (FailureKind::ContactState, "contact_state", 10),
    (FailureKind::MessageState, "message_state", 11),
    (FailureKind::UnknownPeer, "unknown_peer", 12),
    (FailureKind::Nearby, "nearby", 13),
    (FailureKind::Locked, "locked", 20),
    (FailureKind::Stopping, "stopping", 21),
    (FailureKind::Busy, "busy", 22),
    (FailureKind::DiskFull, "disk_full", 30),
    (FailureKind::Passphrase, "passphrase", 31),
    (FailureKind::Store, "store", 32),
    (FailureKind::File, "file", 33),
];

impl FailureKind {
    /// The stable word.
    pub(crate) fn word(self) -> &'static str {
        KINDS.iter().find(|(kind, ..)| *kind == self).map_or("internal", |(_, word, _)| word)
    }

    /// The JSON-RPC error code.
    pub(crate) fn code(self) -> i64 {
        KINDS.iter().find(|(kind, ..)| *kind == self).map_or(-32_603, |(.., code)| *code)
    }

    /// The kind that a word names; `None` for one that a newer program made up.
    pub(crate) fn from_word(word: &str) -> Option<Self> {
        KINDS.iter().find(|(_, known, _)| *known == word).map(|(kind, ..)| *kind)
    }
}

/// Why a request was not done. Nothing has changed and nothing was lost.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Failure {
    /// What kind.
    pub(crate) kind: FailureKind,
    /// In words.
    pub(crate) message: String,
}

impl Failure {
    /// Makes a failure.
    pub(crate) fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// The failure of everything while the profile is locked.
    pub(crate) fn locked() -> Self {
        Self::new(FailureKind::Locked, "the profile is locked")
    }

    /// The failure of what the daemon can no longer do.
    pub(crate) fn stopping() -> Self {
        Self::new(FailureKind::Stopping, "the daemon is stopping")
    }
}

impl From<CommandError> for Failure {
    fn from(error: CommandError) -> Self {
        let kind = match &error {
            CommandError::UnknownContact(_) => FailureKind::UnknownContact,
            CommandError::UnknownMessage => FailureKind::UnknownMessage,
            CommandError::TextLength { .. } => FailureKind::TextLength,
            CommandError::IdTaken => FailureKind::IdTaken,
            CommandError::Name(_) => FailureKind::Name,
            CommandError::Link(_) => FailureKind::Link,
            CommandError::Range { .. } => FailureKind::Range,
            CommandError::TooMany(_) => FailureKind::TooMany,
            CommandError::Fingerprint => FailureKind::Fingerprint,
            CommandError::ContactState(_) => FailureKind::ContactState,
            CommandError::MessageState(_) => FailureKind::MessageState,
            CommandError::UnknownPeer(_) => FailureKind::UnknownPeer,
            CommandError::Nearby(_) => FailureKind::Nearby,
        };
        Self::new(kind, error.to_string())
    }
}

impl From<&StoreError> for Failure {
    fn from(error: &StoreError) -> Self {
        let kind = match error {
            StoreError::Full => FailureKind::DiskFull,
            StoreError::Passphrase => FailureKind::Passphrase,
            _ => FailureKind::Store,
        };
        Self::new(kind, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn words_and_codes_are_unique_and_come_back() {
        let words: BTreeSet<_> = KINDS.iter().map(|(_, word, _)| word).collect();
        let codes: BTreeSet<_> = KINDS.iter().map(|(.., code)| code).collect();
        assert_eq!((words.len(), codes.len()), (KINDS.len(), KINDS.len()));
        for (kind, word, code) in KINDS {
            assert_eq!((kind.word(), kind.code()), (*word, *code));
            assert_eq!(FailureKind::from_word(word), Some(*kind));
        }
        assert_eq!(FailureKind::from_word("made_up"), None);
    }
}
