//! What crosses a link and what lies in a bundle, one file each: types, encoding, decoding (docs/protocol.md, sections 4 to 8).
//!
//! Decoders take hostile bytes: they check lengths before they take memory, and never panic.

pub mod bundle;
pub mod codec;
pub mod item;
pub mod nearby;
pub mod record;
