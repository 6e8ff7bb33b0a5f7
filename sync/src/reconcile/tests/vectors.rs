//! The vectors of docs/protocol.md.
