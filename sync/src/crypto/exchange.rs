//! The contact exchange: two bundles, a request and a reply, after which both sides hold [`PairKeys`](super::pair_keys::PairKeys)
//! (docs/protocol.md, sections 7.3 to 7.5). `nearby` has the same over one session, with words to compare.
//!
//! ```text
//!   issuer                                   invitee
//!   IssuedLink ──────────── link ──────────▶ PendingRequest
//!   open_request ◀───────── request ──────── request        (16 tries)
//!   accept: keys, ReplyState ── reply ─────▶ open_reply: keys
//!   refuse ──────────────── used ──────────▶ Reply::Used
//! ```
//!
//! Ephemeral and agreement keys of both take part, and ML-KEM-768 twice; the proofs cover both transcripts with all keys and names. So
//! each side knows that the other holds the private half of its agreement key `A`, and neither signs anything about the other.
//!
//! Not here: whether a link is used or expired, how often to try, when to warn. That is the engine's. Not hidden: who holds the link, a
//! recording and the private half of `L` (or a quantum computer) reads the invitee's card and name; a third trip would cost days.

mod given;
mod invitee;
mod issuer;
pub mod nearby;
pub mod repair;
mod transcript;

pub use invitee::{PendingRequest, Reply};
pub use issuer::{Accepted, Answerer, IssuedLink, ReplyState, Request};
pub use transcript::MAX_REQUEST_ITEMS_LEN;

use super::{
    bundle_seal::TooLong,
    identity::{CardError, NameError},
};
use crate::wire::codec::LengthError;

/// Why a request or reply was not taken. None of them changes anything: the sender is unknown, the link remains as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExchangeError {
    /// It does not open: garbage under a copied tag, another link, other keys.
    #[error("the bundle does not open")]
    Closed,
    /// It opens, but is not laid out as the protocol says.
    #[error("the bundle is malformed inside")]
    Malformed,
    /// It comes from this very identity: somebody opened their own link.
    #[error("the link is one's own")]
    OwnIdentity,
    /// The card in it is bad.
    #[error("the card is bad: {0}")]
    Card(#[from] CardError),
    /// The name in it is bad.
    #[error("the name is bad: {0}")]
    Name(#[from] NameError),
    /// The sender does not hold the keys that the card shows.
    #[error("the sender does not hold the keys of the card")]
    Unproven,
    /// It does not show what was committed to (section 7.8).
    #[error("it does not show what was committed to")]
    Commitment,
}

impl From<LengthError> for ExchangeError {
    fn from(_: LengthError) -> Self {
        Self::Malformed
    }
}

/// Why a request or reply could not be sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// All tries have been used: the number asked for.
    #[error("try {0} is beyond the last, 15")]
    Try(u8),
    /// The items don't fit beside the card: at most [`MAX_REQUEST_ITEMS_LEN`] bytes.
    #[error(transparent)]
    TooLong(#[from] TooLong),
    /// A key of the other side is unusable, although opening has checked it.
    #[error("a key of the other side is unusable")]
    Key,
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;
