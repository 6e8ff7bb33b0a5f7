//! How two nodes find what the other lacks: ranges of one ordered set are compared (docs/protocol.md, sections 6.1 to 6.3).
//!
//! ```text
//!  initiator                                responder
//!  fingerprints of 8 ranges, newest small ─▶ equal: done. Other ranges: 16 fingerprints, or ids where few items lie
//!  as above, for what still differs       ◀─
//!                   … until both have nothing to send and nothing unanswered …
//! ```
//!
//! A list of ids settles its range at the receiver: what it doesn't know is wanted, what is not listed is lacking at the other side.
//! [`ItemSet`] is the set, shared by all links: a balanced tree with sums beside its nodes (`tree`, `sums`), through which the range of a
//! session is found and added up (`walk`, `visible`). [`Reconciler`] is one link's side of the comparison. Nothing here sends WANT or
//! OFFER: the engine does, from the [`Finding`]s. The arrival cursor (section 6.4) is not here either.

mod item;
mod machine;
mod order;
mod ranges;
mod set;
mod sums;
mod tree;
mod visible;
mod walk;

pub use machine::{Finding, RangesError, Reconciler};
pub use ranges::{DecodeError, MAX_BODY_LEN, MAX_LISTED};
pub use set::{ItemSet, SessionView, cut_hour};

#[cfg(test)]
mod tests;
