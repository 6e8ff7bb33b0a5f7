//! Moves bytes between two devices. Knows nothing of contacts, messages or keys.
//!
//! Without features this crate is plain types and traits: [`Transport`] and [`Link`] with their events and properties, and the framing
//! of byte streams. Feature `lan` adds neighbours on the local network (mDNS and TCP), `memory` the in-process link of the demo and of tests.
#![forbid(unsafe_code)]

mod frame;
#[cfg(feature = "lan")]
pub mod lan;
mod link;
#[cfg(feature = "memory")]
pub mod memory;

pub use frame::{FrameDecoder, FrameError, MAX_FRAME_LEN, encode_frame};
pub use link::{
    BeaconId, Direction, Flow, Link, LinkError, LinkId, LinkProperties, Transport, TransportCommand, TransportEvent, TransportKind, Wanted,
};
