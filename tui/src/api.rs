//! What the interface asks of the daemon, and what comes back (docs/api.md).

use std::fmt;

use hedgerow_sync::view::{Answer, Command, NodeStatus};
use zeroize::Zeroizing;

/// Names one request of this interface until its reply has come.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct RequestId(pub u64);

/// One request to the daemon.
#[derive(Clone, PartialEq, Debug)]
pub enum Request {
    /// How the daemon and its node are doing. Reply: [`Reply::Status`].
    Status,
    /// A command to the node. Reply: [`Reply::Answer`].
    Command(Command),
    /// Something of the daemon itself.
    Control(Control),
}

/// What is asked of the daemon itself.
#[derive(Clone, PartialEq)]
pub enum Control {
    /// Opens a locked profile. Reply: [`Reply::Done`].
    Unlock(Zeroizing<String>),
    /// Asks whether this is the profile's passphrase. Reply: [`Reply::Done`], or a refusal of kind `passphrase`.
    CheckPassphrase(Zeroizing<String>),
    /// Copies the profile to a file that does not exist; an absolute path. Reply: [`Reply::Saved`].
    Backup(String),
    /// Ends the daemon. Reply: [`Reply::Done`].
    Stop,
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unlock(_) => "Unlock(…)",
            Self::CheckPassphrase(_) => "CheckPassphrase(…)",
            Self::Backup(_) => "Backup(…)",
            Self::Stop => "Stop",
        })
    }
}

/// What the daemon replied.
#[expect(clippy::large_enum_variant, reason = "one lives for a moment, and most are answers")]
#[derive(Clone, PartialEq, Debug)]
pub enum Reply {
    /// To [`Request::Status`].
    Status(Box<NodeStatus>),
    /// To [`Request::Command`].
    Answer(Answer),
    /// To [`Control::Backup`]: the file and its size in bytes.
    Saved {
        /// Its path.
        file: String,
        /// Its size.
        bytes: u64,
    },
    /// It is done, and there is nothing to tell.
    Done,
}

/// Why a request was not done; nothing has changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// The stable word of docs/api.md, or `gone` if the daemon went away before it replied.
    pub kind: String,
    /// In words.
    pub message: String,
}

impl Refusal {
    /// The daemon went away before it replied: what was asked may or may not be done.
    pub fn gone() -> Self {
        Self { kind: "gone".to_owned(), message: "the daemon went away before it answered".to_owned() }
    }
}
