//! How a node is doing, and what its owner has decided about it.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::{id::ContactId, time::UnixMillis};

/// How the node is doing.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Status {
    /// The profile's name.
    pub name: String,
    /// The device's fingerprint, for comparing.
    pub fingerprint: String,
    /// The neighbours in reach.
    pub neighbours: Vec<Neighbour>,
    /// How many of them are reached by which transport, by its name.
    pub transports: Vec<Reach>,
    /// How many contacts are established.
    pub contacts: usize,
    /// How many contacts wait for an answer.
    pub pending: usize,
    /// Messages not delivered yet.
    pub undelivered: usize,
    /// Bundles held.
    pub bundles: usize,
    /// Their size in bytes.
    pub bundle_bytes: u64,
    /// Mode and visibility.
    #[serde(flatten)]
    pub shown: Shown,
    /// What the node carries for others.
    pub relay: Relay,
    /// What the node knows of the time.
    pub clock: Clock,
}

/// Mode and visibility: to whom the node shows what.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Shown {
    /// To whom it gives mail.
    pub mode: Mode,
    /// Whether neighbours are told its name.
    pub visible: bool,
    /// Until when at the latest, if they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub visible_until: Option<UnixMillis>,
}

/// What a person has decided about the node.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Settings {
    /// Mode and visibility.
    #[serde(flatten)]
    pub shown: Shown,
    /// What it gives to carry for others.
    pub relay: RelaySettings,
    /// How a new message calls for attention.
    pub alerts: Alerts,
}

/// How an interface draws attention to a new message. The node only keeps it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Alerts {
    /// Whether the terminal's bell rings.
    pub bell: bool,
    /// Whether the terminal is asked to show a notification.
    pub notify: bool,
    /// Whether that notification tells who wrote, and what.
    pub content: bool,
}

impl Default for Alerts {
    /// The bell alone: a notification may be seen by others.
    fn default() -> Self {
        Self { bell: true, notify: false, content: false }
    }
}

/// What a node gives to carry for others, and how much of that is used.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Relay {
    /// What it gives.
    #[serde(flatten)]
    pub settings: RelaySettings,
    /// How many bundles are held that were sealed elsewhere.
    pub carried_bundles: usize,
    /// Their size in bytes; the three pools below together.
    pub carried_bytes: u64,
    /// Bytes that contacts brought.
    pub from_contacts_bytes: u64,
    /// Bytes that strangers brought who dialled us.
    pub from_strangers_inbound_bytes: u64,
    /// Bytes that strangers brought whom we dialled.
    pub from_strangers_outbound_bytes: u64,
}

/// How many neighbours a transport reaches.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Reach {
    /// Its name: `lan`, …
    pub transport: Cow<'static, str>,
    /// Links to contacts.
    pub contacts: usize,
    /// Links to others.
    pub strangers: usize,
}

/// Whom a node gives mail to carry, and for whom it carries.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Strangers may carry for us, and we for them.
    #[default]
    Mesh,
    /// Only contacts: towards strangers the node looks like one that holds nothing.
    Contacts,
}

/// What a node gives to carry for others.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RelaySettings {
    /// Whether it carries for others at all. If not, it hands mail only to its reader.
    pub on: bool,
    /// How much space bundles of others may take, bytes.
    pub bytes: u64,
    /// Whether it also carries over links that cost money.
    pub metered: bool,
}

impl Default for RelaySettings {
    /// On, 256 MiB (guess), not over metered links.
    fn default() -> Self {
        Self { on: true, bytes: 256 << 20, metered: false }
    }
}

/// What the node knows of the time.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Clock {
    /// Mesh time in whole hours since 1970; absent if unknown.
    pub hour: Option<u32>,
    /// Where it comes from.
    pub source: ClockSource,
    /// How far that is to be trusted, in words.
    pub trust: Cow<'static, str>,
    /// Running hours until things expire by what the clock says; absent once they do, or while nothing is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settles_in_hours: Option<u32>,
    /// The last jump of more than 2 h that was seen while the node ran; absent if there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jump: Option<ClockJump>,
}

/// A jump of mesh time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ClockJump {
    /// Where to: mesh time after it, to the hour.
    pub at: UnixMillis,
    /// By how many whole hours; negative if backwards.
    pub hours: i32,
}

/// Where mesh time comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClockSource {
    /// This machine's clock, plausible and not contradicted.
    System,
    /// The median of recognised contacts.
    Contacts,
    /// The median of strangers.
    Strangers,
    /// Nothing plausible yet.
    Unknown,
}

/// A device in reach.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Neighbour {
    /// Names this link while it lives.
    pub link: u64,
    /// The technology: `lan`, …
    pub transport: Cow<'static, str>,
    /// Which contact it is; absent for strangers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contact: Option<ContactId>,
    /// The contact's name here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whether we dialled.
    pub outbound: bool,
    /// Whether it says that it carries for us; `false` until it has said something.
    pub carries: bool,
    /// The name that it claims; nobody has checked it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claimed_name: Option<String>,
}

/// The answer of a daemon to `status`: how the program is doing, and while its profile is open the node.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct NodeStatus {
    /// How far the profile is open.
    pub state: NodeState,
    /// The addresses listened on.
    pub listen: Vec<String>,
    /// What does not work as it should.
    pub trouble: Vec<Trouble>,
    /// What the network shows of each link.
    pub links: Vec<LinkStatus>,
    /// What is shown of this machine whatever Hedgerow does.
    pub leaks: Vec<Leak>,
    /// The node; absent unless the profile is open.
    #[serde(flatten)]
    pub node: Option<Status>,
}

/// How far a daemon's profile is open.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeState {
    /// It is open.
    Running,
    /// It is locked: keys dropped, links closed.
    Locked,
    /// Storage failed; it is tried again.
    Failed,
}

/// Something that does not work as it should.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Trouble {
    /// What it is about: `store`, a transport's name, …
    pub source: Cow<'static, str>,
    /// In words.
    pub text: String,
}

/// What the system below shows of a link: the owner should know what others can see.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LinkStatus {
    /// The link, as in [`Neighbour::link`].
    pub link: u64,
    /// The technology: `lan`, …
    pub transport: Cow<'static, str>,
    /// The other end's address.
    pub address: String,
}

/// What is shown by a transport in use whatever Hedgerow does.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Leak {
    /// The technology: `lan`, …
    pub transport: Cow<'static, str>,
    /// In words.
    pub text: Cow<'static, str>,
}
