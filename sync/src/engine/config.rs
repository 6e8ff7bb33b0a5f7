//! Every number of the engine that is policy: fields with defaults, so that tests and the demo may shorten them.

use std::time::Duration;

use hedgerow_transports::TransportKind;

use super::relay::RelayPolicy;

/// The hour of this release, 2026-11-01: a system clock before it is wrong.
pub(crate) const RELEASE_HOUR: u32 = 498_192;
/// How long after the release a system clock is believed: ten years, in hours.
pub(crate) const PLAUSIBLE_HOURS: u32 = 87_660;
/// Links that have not finished recognition, at most; a further one takes the place of the oldest (guess: twice the LAN's links).
pub(crate) const MAX_OPENING_LINKS: usize = 24;
/// Open links of one transport, at most; those being recognised are counted apart, by [`MAX_OPENING_LINKS`] (design brief, 4.1: LAN 12; the
/// radio's will be 4 to 6, an onion service's as many as are needed).
pub(crate) const fn max_links(kind: TransportKind) -> usize {
    match kind {
        TransportKind::Lan | TransportKind::Memory => 12,
    }
}
/// Open links of one transport that hold no place, at most; a further one takes that of the oldest, which shows that it was no contact's.
/// More than the local network lets in (24) and dials (12), so that there it does not come to that.
pub(crate) const fn max_guests(kind: TransportKind) -> usize {
    3 * max_links(kind)
}
/// The share of [`max_links`] that strangers who dialled us may hold, as a divisor: a third (design brief, 4.1).
pub(crate) const INBOUND_SHARE: usize = 3;
/// The share that strangers whom we dialled may hold: a quarter (guess). Fewer than the third, so that a newcomer finds a place: where
/// everybody dials as many as he takes, all places are taken in the end (measured: `crowd`, tests).
pub(crate) const OUTBOUND_SHARE: usize = 4;
/// The share that those may hold who have nothing but a pending link of ours, or are to be repaired: a third, one of them for repairs alone
/// (guess).
pub(crate) const INVITED_SHARE: usize = 3;
/// Two of so many parts are filled by dialling anybody; the rest is for contacts and for who dials us (guess).
pub(crate) const DIALLED_SHARE: usize = 3;
/// How long a contact's link stays at least before another contact may have its place (guess).
pub(crate) const CONTACT_STAYS: Duration = Duration::from_secs(60);
/// The longest time between two changes of the view, in means: an exponential delay beyond it would be rare, and long.
pub(crate) const MAX_REFRESH_MEANS: u32 = 5;
/// People nearby who are shown at once (guess: more than find each other in one room); who was chosen is always among them.
pub(crate) const MAX_NEARBY_SHOWN: usize = 32;
/// Steps of NEARBY that one session brings, at most (guess: a hundred exchanges).
pub(crate) const MAX_NEARBY_STEPS: u16 = 1_024;
/// Exchanges nearby that may fail in one window; then it closes (guess: each is one guess at the words for somebody in between).
pub(crate) const MAX_FAILED_COMPARISONS: u8 = 3;
/// Links of one transport beside those with places, for people nearby while the window is open (guess: as many again).
pub(crate) const MAX_VISITORS: usize = 12;
/// How long such a link waits to hear that its peer takes part (guess: ten round trips of a slow link).
pub(crate) const NEARBY_HERE_WITHIN: Duration = Duration::from_secs(5);
/// Contacts, at most (guess: far above what a person has; bounds memory).
pub(crate) const MAX_CONTACTS: usize = 2_000;
/// Links waiting for an answer at once, made and taken up together (docs/design: each is a way to probe for presence).
pub(crate) const MAX_PENDING_EXCHANGES: usize = 8;
/// Exchanges remembered at once, settled ones included.
pub(crate) const MAX_EXCHANGES: usize = 256;
/// Offers unanswered at once on a link (docs/protocol.md, section 4).
pub(crate) const MAX_UNANSWERED_OFFERS: usize = 16;
/// Bundles with one expected tag that are tried, at most (docs/protocol.md, section 8.3).
pub(crate) const MAX_TRIES_PER_TAG: u8 = 8;
/// Ids that a peer has been asked for on one link and has not sent, at most (guess: sixteen full offers, four times over; bounds memory).
/// What a contact names beyond them waits in its records; of what a stranger names so many more are kept.
pub(crate) const MAX_ASKED_IDS: usize = 16_384;
/// RANGES records of a contact that wait until what they list may be asked for, at most; more are no honest peer's: of its own questions four
/// are unanswered, and it has eight records of ours to answer (docs/protocol.md, section 6.3).
pub(crate) const MAX_WAITING_RANGES: usize = 32;
/// How often within an hour another stranger is chosen as the first to be offered own bundles, because the last one's link ended (guess).
pub(crate) const MAX_STEM_CHANGES: u8 = 3;
/// Ids that a peer may ask for in vain in one session, beside as many as are known here: what it was listed may have been let go since, what
/// it had twice is not sent again; more is no honest peer's (guess).
pub(crate) const MAX_VAIN_WANTS: usize = 65_536;
/// Bundles with one commitment that one ack lets go at once, at most: more than one is somebody's copies (guess).
pub(crate) const MAX_ACKED_AT_ONCE: usize = 1_024;
/// Bundles that wait to be sent on a link while more are offered, at most (guess: half of what a stranger may be asked for).
pub(crate) const MAX_QUEUED: usize = 8_192;
/// Bundles of strangers that are opened in one batch (guess: a tenth of what its commit takes).
pub(crate) const MAX_OPENED_AT_ONCE: usize = 32;
/// Ack secrets told to a contact that has not asked, at most (guess: 64 kB).
pub(crate) const MAX_TOLD_ACKS: usize = 4_096;
/// Bytes of bundles from one contact that could not be opened here, where nothing is carried for it; above it they are refused (guess: a
/// full window of large ones).
pub(crate) const MAX_UNOPENED_BYTES: u64 = 4 << 20;
/// Bytes of unread mail that one contact may fill in a day of running time; above it its bundles are refused (guess: 64 MB).
pub(crate) const MAX_UNREAD_PER_DAY: u64 = 64 << 20;
/// What a message takes beside its text, bytes (guess: a row and its index).
pub(crate) const MESSAGE_OVERHEAD: u64 = 256;
/// Ids that a peer is known to hold, at most, on one link (guess: a gigabyte of small bundles; bounds memory).
pub(crate) const MAX_KNOWN_IDS: usize = 1 << 20;
/// Large messages of one contact that may be on their way at once (guess: more than a person sends in a fortnight; each is a row and a tag
/// at least). A further one is not taken.
pub(crate) const MAX_OPEN_DATA: usize = 256;
/// Tags of chunks of one contact that are expected at once (guess: 16 MiB, three of the largest messages; 64 bytes of memory each). Messages
/// beyond wait until those before them are complete.
pub(crate) const MAX_EXPECTED_CHUNKS: usize = 4_096;
/// Completed messages told of in one body (guess: with a receipt of 200 ranges they fit the largest bundle).
pub(crate) const MAX_COMPLETE_TOLD: usize = 64;
/// How far a contact's text may move the conversation's order (guess): above it, it is placed last.
pub(crate) const MAX_ORDER_STEP: u64 = 1_000_000;
/// Messages that a contact may ask for again, in 24 hours (docs/protocol.md, section 8.6).
pub(crate) const MAX_ASKED_PER_DAY: u32 = 64;
/// How often one message is sealed, at most: once and three times again (docs/protocol.md, section 8.6).
pub(crate) const MAX_SEALS: u32 = 4;
/// Messages loaded for sealing at a time.
pub(crate) const SEAL_BATCH: u32 = 256;
/// Smallest window towards a link, bytes: one large bundle.
pub(crate) const MIN_WINDOW: usize = 4_096;
/// Largest window, bytes (docs/protocol.md, section 4).
pub(crate) const MAX_WINDOW: usize = 1_048_576;

/// Rules against strangers' guesses that a simulation leaves out, to see what each of them is for. No node that ships can: the field exists
/// with the feature `sim` alone.
#[cfg(feature = "sim")]
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct LeftOut {
    /// No link is offered own bundles before all others.
    pub stem: bool,
    /// A reader lets go of a bundle as soon as it has opened it.
    pub carrying_on: bool,
}

/// What may be tuned.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Silence after which PING is sent by the side that dialled; the other waits a tenth longer. Default 25 s (docs/protocol.md, section 4).
    pub ping_after: Duration,
    /// Silence after PING after which a link is closed. Default 10 s.
    pub pong_within: Duration,
    /// How long a link to a stranger lasts who is shown nothing, and how long the holder of a pending link has a place for it: a time between
    /// these is drawn for each. Default 30 s to 60 s (policy).
    pub useless_link: (Duration, Duration),
    /// How long recognition may take after a handshake. Default 10 s (guess: a hundred times what it takes at 10 kB/s).
    pub recognise_within: Duration,
    /// How long an older link may leave a PING unanswered until a newer one to the same device replaces it. Default 5 s (design brief,
    /// section 2).
    pub replace_after: Duration,
    /// Mean of the delay of receipts while their reader is not in reach. Default 60 s (design brief, 4.4).
    pub receipt_delay: Duration,
    /// Mean and most of the delay after which ack secrets are told. Default 30 min and 4 h (design brief, 4.4).
    pub ack_delay: (Duration, Duration),
    /// How long a gap lasts until it is asked for. Default 24 h (docs/protocol.md, section 8.6).
    pub ask_after: Duration,
    /// How long a peer may take to store a bundle and answer without the link falling idle. Default 100 ms (docs/design/011-relay-policy.md).
    pub window_time: Duration,
    /// Window that we grant to a peer, bytes. Default 1 MiB.
    pub window: u32,
    /// Mean and most of the delay after which an own bundle is offered to all. Default 60 s and 5 min (design brief, 4.4).
    pub own_delay: (Duration, Duration),
    /// How long one link is kept that is offered own bundles at once. Default 1 h (design brief, 4.4).
    pub stem_for: Duration,
    /// How long an offer waits for what other links bring. Default 2 s (docs/design/011-relay-policy.md).
    pub offers_wait: Duration,
    /// How bundles spread. Default [`RelayPolicy::Standard`]; the others are for comparison.
    pub relay: RelayPolicy,
    /// Of the space for bundles of others, so many hundredths are one contact's: free space anybody may fill, but who is furthest over the
    /// share gives way. Default 20 (design brief, 4.4).
    pub contact_share: u8,
    /// Of that space, so many hundredths are strangers', half of it those who dialled. Default 30 (design brief, 4.4).
    pub stranger_share: u8,
    /// Bytes that strangers together may bring a day by each transport, half of it those who dialled. Default 64 MiB (design brief, 4.4).
    pub stranger_bytes_a_day: u64,
    /// What strangers did not bring for so long they may bring later, at once. Default 24 h (docs/design/011-relay-policy.md).
    pub stranger_bytes_saved: Duration,
    /// Ids remembered without their bundles. Default 400,000 (design brief, 4.4).
    pub gone_ids: usize,
    /// Between two rounds of housekeeping. Default 1 h.
    pub tick: Duration,
    /// Between two MARKs on a link. Default 30 s (guess).
    pub mark_after: Duration,
    /// How long people nearby can choose each other. Default 2 min (design brief, 4.5).
    pub nearby_window: Duration,
    /// How long the other side of an exchange nearby may take to answer. Default 10 s (guess: ten times what it takes at 10 kB/s).
    pub nearby_answer: Duration,
    /// How long words may wait for people to compare them. Default 5 min (guess).
    pub nearby_comparison: Duration,
    /// Mean time after which a stranger's link gives way to another. Default 10 min (guess: within one beacon's time).
    pub refresh_after: Duration,
    /// Rules that are left out. Default: none.
    #[cfg(feature = "sim")]
    pub left_out: LeftOut,
}

impl EngineConfig {
    /// Whether one link is offered own bundles before all others.
    #[cfg_attr(not(feature = "sim"), expect(clippy::unused_self, reason = "only a simulation can leave it out"))]
    pub(crate) const fn has_stem(&self) -> bool {
        #[cfg(feature = "sim")]
        return !self.left_out.stem;
        #[cfg(not(feature = "sim"))]
        true
    }

    /// Whether a reader goes on carrying what it has opened.
    #[cfg_attr(not(feature = "sim"), expect(clippy::unused_self, reason = "only a simulation can leave it out"))]
    pub(crate) const fn carries_on(&self) -> bool {
        #[cfg(feature = "sim")]
        return !self.left_out.carrying_on;
        #[cfg(not(feature = "sim"))]
        true
    }
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            ping_after: Duration::from_secs(25),
            pong_within: Duration::from_secs(10),
            useless_link: (Duration::from_secs(30), Duration::from_secs(60)),
            recognise_within: Duration::from_secs(10),
            replace_after: Duration::from_secs(5),
            receipt_delay: Duration::from_secs(60),
            ack_delay: (Duration::from_secs(30 * 60), Duration::from_secs(4 * 3600)),
            ask_after: Duration::from_secs(24 * 3600),
            window_time: Duration::from_millis(100),
            window: MAX_WINDOW as u32,
            own_delay: (Duration::from_secs(60), Duration::from_secs(300)),
            stem_for: Duration::from_secs(3600),
            offers_wait: Duration::from_secs(2),
            relay: RelayPolicy::Standard,
            contact_share: 20,
            stranger_share: 30,
            stranger_bytes_a_day: 64 << 20,
            stranger_bytes_saved: Duration::from_secs(24 * 3600),
            gone_ids: 400_000,
            tick: Duration::from_secs(3600),
            mark_after: Duration::from_secs(30),
            nearby_window: Duration::from_secs(120),
            nearby_answer: Duration::from_secs(10),
            nearby_comparison: Duration::from_secs(5 * 60),
            refresh_after: Duration::from_secs(10 * 60),
            #[cfg(feature = "sim")]
            left_out: LeftOut::default(),
        }
    }
}
