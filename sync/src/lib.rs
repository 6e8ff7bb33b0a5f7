//! What to send, to whom and when.
//!
//! The heart is [`engine::Engine`]: it is told what happened (a link came up, a record arrived, a person wrote) with the time, and says
//! what to do (send this record, tell the interface that). It performs no I/O; it keeps its state in a [`store::Store`] that the caller
//! hands in. Around it:
//!
//! - [`session`]: the secure session of one link, owned by the link's task;
//! - [`wire`]: bundles, records and items, one file each;
//! - [`reconcile`]: how two nodes find what the other lacks;
//! - [`crypto`]: devices, contact exchange, pair ratchet;
//! - [`store`]: the trait, a store in memory, and SQLCipher (feature `sqlite`);
//! - [`view`]: what an interface or a script sees.
//!
//! `docs/protocol.md` is the authority on bytes, `ARCHITECTURE.md` on how the parts work together.
#![forbid(unsafe_code)]

pub mod crypto;
mod delay;
pub mod engine;
pub mod id;
pub mod reconcile;
pub mod session;
#[cfg(feature = "sim")]
pub mod sim;
pub mod store;
pub mod time;
pub mod view;
pub mod wire;
