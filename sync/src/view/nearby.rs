//! People in one room: who can be chosen, and how far that has come (docs/protocol.md, "Nearby").

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::{id::ContactId, time::UnixMillis};

/// The window in which people in reach can choose each other.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Nearby {
    /// Until when it is open; absent while it is closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<UnixMillis>,
    /// How many comparisons have failed since the profile was opened: words that differ mean that somebody is in between.
    pub mismatches: u32,
    /// Who is in it, in the order in which they came.
    pub peers: Vec<NearbyPeer>,
}

/// Somebody in reach whose window is open too.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct NearbyPeer {
    /// Its number: the same while its link lasts, and never another's while the profile is open. A device that comes again has another.
    pub peer: u32,
    /// The name it claims; nobody has checked it.
    pub name: String,
    /// Over what it is in reach: `lan`, …
    pub transport: Cow<'static, str>,
    /// How far it has come.
    pub state: NearbyState,
    /// Four words to compare with those on the other's screen; only while [`Comparing`](NearbyState::Comparing) or
    /// [`Confirmed`](NearbyState::Confirmed).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub words: Option<Vec<String>>,
    /// The contact it has become, or was before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contact: Option<ContactId>,
    /// Why it failed, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// How far two people nearby have come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NearbyState {
    /// It can be chosen.
    Seen,
    /// We have chosen it and wait until it chooses us.
    Chosen,
    /// It has chosen us and waits for our choice.
    ChoseUs,
    /// Both have chosen; the words are on both screens.
    Comparing,
    /// We have said that the words are equal and wait for the other.
    Confirmed,
    /// Both can write.
    Established,
    /// The words differed, or the exchange broke off.
    Failed,
}
