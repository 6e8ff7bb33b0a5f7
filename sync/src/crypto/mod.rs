//! Devices, contact exchange and pair ratchet; constructions of docs/protocol.md, sections 5, 7 and 8, from well-kept primitives.
//!
//! No I/O, no clock, no random source of its own: `CryptoRng` is handed in. Not audited.

pub mod bundle_seal;
pub mod chunk;
pub mod exchange;
pub mod identity;
pub mod kdf;
pub mod link;
pub mod pair_keys;
pub mod ratchet;
pub mod secret;
pub mod words;
