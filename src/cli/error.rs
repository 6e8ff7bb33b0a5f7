//! Errors as a person or a script sees them: what happened, that nothing was lost, what to do next, and an exit code.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use hedgerow_sync::store::StoreError;
use serde_json::json;

use crate::{
    cli::terminal,
    failure::{Failure, FailureKind},
    json,
};

/// The kind of an error; its number is the exit code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// The command line does not make sense.
    Usage = 2,
    /// The machine or the profile is not set up for it.
    Config = 3,
    /// The other person, or something that is not there.
    Peer = 4,
    /// No daemon runs.
    NoDaemon = 5,
    /// The profile's storage: disk full, damaged, wrong passphrase, locked.
    Store = 6,
    /// A mistake of ours.
    Internal = 70,
}

impl Kind {
    /// The stable word in JSON.
    const fn word(self) -> &'static str {
        match self {
            Self::Usage => "usage",
            Self::Config => "config",
            Self::Peer => "peer",
            Self::NoDaemon => "no_daemon",
            Self::Store => "store",
            Self::Internal => "internal",
        }
    }
}

/// Why a command ends without success.
#[derive(Debug)]
pub(crate) struct CliError {
    /// What kind.
    pub(crate) kind: Kind,
    /// The kind of failure at the daemon or the engine, where it came from there.
    reason: Option<FailureKind>,
    what: String,
    lost: &'static str,
    hint: String,
}

impl CliError {
    /// Makes an error by which nothing was lost.
    pub(crate) fn new(kind: Kind, what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { kind, reason: None, what: what.into(), lost: "Nothing was lost.", hint: hint.into() }
    }

    /// Makes a usage error.
    pub(crate) fn usage(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(Kind::Usage, what, hint)
    }

    /// Makes a configuration error of something the system refused.
    pub(crate) fn io(what: &str, error: &io::Error) -> Self {
        // Without the path: it is the person's own, and what they just typed.
        Self::new(Kind::Config, format!("{what}: {error}"), "Check that the path exists, and that you may use it.")
    }

    /// Makes an error of something that can't happen.
    pub(crate) fn internal(what: impl Into<String>) -> Self {
        Self::new(Kind::Internal, what, "This is a mistake in Hedgerow; please report it (SECURITY.md, if it may harm somebody).")
    }

    /// Says that no daemon runs, and how to start one.
    pub(crate) fn no_daemon() -> Self {
        Self::new(
            Kind::NoDaemon,
            "no daemon runs for this profile",
            "Start one with `hedgerow daemon`, in another terminal or as a service.",
        )
    }

    /// Says in other words what about losses is true here.
    pub(crate) fn lost(self, lost: &'static str) -> Self {
        Self { lost, ..self }
    }

    /// What happened and what to do, for a person at the interface.
    pub(crate) fn words(&self) -> String {
        format!("{}. {}", self.what, self.hint)
    }

    /// Prints the error to standard error and gives the exit code.
    pub(crate) fn report(&self, as_json: bool) -> ExitCode {
        let code = self.kind as u8;
        if as_json {
            let mut error = json!({
                "kind": self.kind.word(), "exit": code, "message": self.what, "lost": self.lost, "hint": self.hint,
            });
            if let (Some(reason), Some(fields)) = (self.reason, error.as_object_mut()) {
                fields.insert("reason".to_owned(), reason.word().into());
            }
            say(&json::line(&json!({ "error": error })).unwrap_or_default());
        } else {
            say(&format!("error: {}. {}", terminal::clean(&self.what), self.lost));
            say(&format!("hint: {}", terminal::clean(&self.hint)));
        }
        ExitCode::from(code)
    }
}

/// Writes a line to standard error. A daemon may outlive whoever listened there: the exit code then has to do.
fn say(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

impl From<Failure> for CliError {
    fn from(failure: Failure) -> Self {
        let (kind, hint) = match failure.kind {
            FailureKind::UnknownContact => (Kind::Peer, "`hedgerow contact list` shows who there is."),
            FailureKind::UnknownMessage => (Kind::Peer, "`hedgerow messages CONTACT --json` shows the ids."),
            FailureKind::TextLength => (Kind::Usage, "Send it in several messages; larger things are files."),
            FailureKind::IdTaken => (Kind::Usage, "Choose another --id, or leave it out: one is drawn then."),
            FailureKind::Name => (Kind::Usage, "A name has 1 to 50 bytes; choose another."),
            FailureKind::Link => (Kind::Peer, "Ask for a new link, and pass it in quotes and whole."),
            FailureKind::Range => (Kind::Usage, "Choose a number within the range."),
            FailureKind::TooMany => (Kind::Peer, "Wait for one of them to end, or remove one."),
            FailureKind::Fingerprint => (Kind::Peer, "Compare again, best face to face; if it differs again, remove the contact."),
            FailureKind::ContactState => (Kind::Peer, "`hedgerow contact show CONTACT` says how far it has come."),
            FailureKind::MessageState => (Kind::Peer, "`hedgerow explain ID` says how far it has come."),
            FailureKind::UnknownPeer => (Kind::Peer, "`hedgerow nearby list` shows who there is; both windows must be open."),
            FailureKind::Nearby => {
                (Kind::Peer, "`hedgerow nearby list` says how far it has come, `hedgerow nearby open` opens the window.")
            }
            FailureKind::Locked => (Kind::Store, "Open it with `hedgerow unlock`."),
            FailureKind::Stopping => {
                (Kind::NoDaemon, "Start the daemon again with `hedgerow daemon`; a message can be sent again with the same --id.")
            }
            FailureKind::Busy => (Kind::NoDaemon, "Close other programs that talk to the daemon, and try again."),
            FailureKind::DiskFull => (Kind::Store, "Make room on the disk; the daemon goes on by itself."),
            FailureKind::Passphrase => (Kind::Store, "Try again; without the passphrase nothing can be read, by anybody."),
            FailureKind::Store => (Kind::Store, "`hedgerow status` shows whether it lasts; restore a backup if the profile is damaged."),
            FailureKind::File => (Kind::Config, "Choose a place that you may write to and a name that is not taken."),
            FailureKind::Parse | FailureKind::InvalidRequest | FailureKind::UnknownMethod | FailureKind::InvalidParams => {
                (Kind::Internal, "Are program and daemon of the same version? Start the daemon again.")
            }
            FailureKind::Internal => (Kind::Internal, "This is a mistake in Hedgerow; please report it."),
        };
        Self { reason: Some(failure.kind), ..Self::new(kind, failure.message, hint) }
    }
}

impl From<StoreError> for CliError {
    fn from(error: StoreError) -> Self {
        Failure::from(&error).into()
    }
}
