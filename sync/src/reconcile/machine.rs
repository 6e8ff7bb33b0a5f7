//! One link's side of the comparison.

use std::collections::{BTreeMap, VecDeque};

use rand_core::CryptoRng;

use super::{
    order::Range,
    ranges::{self, Content, DecodeError, Listed, Writer},
    set::{ItemSet, SessionView},
    visible::Visible,
};
use crate::{
    id::{BundleId, ShortId},
    session::ShortIds,
};

/// Most questions of one side that are unanswered (docs/protocol.md, section 6.2).
const MAX_UNANSWERED: usize = 4;

/// Most sub-ranges an unequal range is divided into *(policy)*: docs/protocol.md, section 6.3.
const BRANCHES: usize = 16;

/// Most items that are listed where a fingerprint differs *(policy)*: docs/protocol.md, section 6.3.
const LEAF: usize = 32;

/// Fewest items of a part where a range that differs is divided *(policy)*: docs/protocol.md, section 6.3.
const PART: usize = 12;

/// Most items that are listed where nothing is known to differ *(policy)*: a list of one is shorter than a fingerprint.
const TINY: usize = 1;

/// Items in the newest range of the first question; each older range has [`GROWTH`] times as many *(policy)*.
const NEWEST: usize = 32;

/// How the ranges of the first question grow *(policy)*. measured: 8 ranges for 100,000 items, 130 bytes.
const GROWTH: usize = 4;

/// In one session of this many the first question has random bounds (docs/protocol.md, section 6.3).
const RANDOM_ONE_IN: u32 = 16;

/// Ids of one session's lists that are kept by their short ids: as many as a few records list. More are found by whoever knows all.
const MAX_LISTED_KEPT: usize = 1_024;

/// Bytes that one session may receive, and as many that it may send: these, and [`BYTES_PER_ITEM`] for each item of one's own set *(policy)*.
///
/// measured: at most 17 bytes an item each way with our own node, whatever the sizes of the two sets.
const BASE_BYTES: u64 = 256 * 1024;

/// See [`BASE_BYTES`].
const BYTES_PER_ITEM: u64 = 64;

/// What a record costs beside its length, so that empty ones are not free *(policy)*.
const RECORD_COST: u64 = 64;

/// Ranges that one session may receive: these, and [`RANGES_PER_ITEM`] for each item of one's own set *(policy)*.
const BASE_RANGES: u64 = 4_096;

/// See [`BASE_RANGES`].
const RANGES_PER_ITEM: u64 = 2;

/// Items that lists may make a node look through: these, and [`SCANS_PER_ITEM`] times its own set *(policy)*; an honest peer needs one.
const BASE_SCANS: u64 = 65_536;

/// See [`BASE_SCANS`].
const SCANS_PER_ITEM: u64 = 4;

/// Steps that one session may make a node do: these, and [`STEPS_PER_ITEM`] for each item of its own set *(policy)*; what a step is, see
/// [`Visible::steps`].
const BASE_STEPS: u64 = 2 << 20;

/// See [`BASE_STEPS`].
const STEPS_PER_ITEM: u64 = 256;

/// Why a session is ended because of a RANGES record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RangesError {
    /// The record is malformed.
    #[error(transparent)]
    Malformed(#[from] DecodeError),
    /// It answers, and nothing had been asked.
    #[error("answer to a question that was not asked")]
    NotAsked,
    /// It came to the initiator before its first record.
    #[error("ranges from the side that doesn't begin")]
    OutOfTurn,
    /// More questions than may be unanswered.
    #[error("more than {MAX_UNANSWERED} questions at once")]
    TooManyQuestions,
    /// The session has taken more than a comparison with this set can need.
    #[error("comparison goes on for longer than any honest one")]
    Budget,
}

/// A difference between the two sets.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Finding {
    /// The peer holds this one, and it is not in our set: to be asked for, or acked if it is known to be acknowledged.
    Want(ShortId),
    /// We hold this one, and the peer doesn't know it: to be offered.
    Lacking(BundleId),
}

/// How a range that is still to be sent goes out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Task {
    /// It differs from the peer's: divided, or listed if it has at most [`LEAF`] items.
    Divide,
    /// Nothing is known of it: as one fingerprint, or listed if it has at most [`TINY`] items.
    Summarise,
}

/// One side of a comparison over one link (docs/protocol.md, sections 6.2 and 6.3).
///
/// The initiator calls [`start`](Self::start) once. After that and after each [`handle_ranges`](Self::handle_ranges) all records of
/// [`poll_record`](Self::poll_record) are to be sent, in order. The set may change between calls.
#[derive(Debug)]
pub struct Reconciler {
    session_hash: [u8; 32],
    shorts: ShortIds,
    initiator: bool,
    view: SessionView,
    begun: bool,
    /// Ranges still to be sent, newest first.
    tasks: BTreeMap<Range, Task>,
    outbox: VecDeque<Outgoing>,
    /// Own questions that the peer has not answered.
    unanswered: usize,
    /// Questions of the peer whose answers have not been polled.
    owed: usize,
    /// The peer has said that it sends more.
    peer_has_more: bool,
    /// What was listed, up to [`MAX_LISTED_KEPT`].
    listed: BTreeMap<ShortId, BundleId>,
    spent: Spent,
}

/// A body to be sent.
#[derive(Debug)]
struct Outgoing {
    body: Vec<u8>,
    answers: bool,
}

/// What the peer has cost so far in this session.
#[derive(Debug, Default)]
struct Spent {
    received: u64,
    sent: u64,
    ranges: u64,
    scans: u64,
    steps: u64,
    /// The size of the own set, the largest so far: a set that shrinks meanwhile, or is changed for another, is no fault of the peer's.
    own: u64,
}

impl Spent {
    fn check(&self) -> Result<(), RangesError> {
        let own = self.own;
        let bytes = BASE_BYTES + BYTES_PER_ITEM * own;
        let within = self.received <= bytes
            && self.sent <= bytes
            && self.ranges <= BASE_RANGES + RANGES_PER_ITEM * own
            && self.scans <= BASE_SCANS + SCANS_PER_ITEM * own
            && self.steps <= BASE_STEPS + STEPS_PER_ITEM * own;
        if within { Ok(()) } else { Err(RangesError::Budget) }
    }
}

impl Reconciler {
    /// Prepares the comparison of one session, known by its handshake hash.
    pub fn new(session_hash: [u8; 32], initiator: bool, view: SessionView) -> Self {
        Self {
            shorts: ShortIds::new(&session_hash),
            session_hash,
            initiator,
            view,
            begun: false,
            tasks: BTreeMap::new(),
            outbox: VecDeque::new(),
            unanswered: 0,
            owed: 0,
            peer_has_more: false,
            listed: BTreeMap::new(),
            spent: Spent::default(),
        }
    }

    /// Asks the first question. For the initiator, once; anything else does nothing.
    pub fn start(&mut self, set: &ItemSet, rng: &mut (impl CryptoRng + ?Sized)) {
        if self.begun || !self.initiator {
            return;
        }
        self.begun = true;
        self.expect(set);
        let visible = set.visible(self.view);
        let count = visible.count(Range::ALL);
        let parts = if rng.next_u32().is_multiple_of(RANDOM_ONE_IN) {
            let mut positions: Vec<usize> = (1..BRANCHES).map(|_| (rng.next_u64() % count.max(1) as u64) as usize).collect();
            positions.sort_unstable();
            visible.split_at(Range::ALL, positions)
        } else {
            let sizes = std::iter::successors(Some(NEWEST), |size| size.checked_mul(GROWTH));
            let positions = sizes.scan(0_usize, |end, size| {
                *end = end.saturating_add(size);
                (*end < count).then_some(*end)
            });
            visible.split_at(Range::ALL, positions)
        };
        self.tasks.extend(parts.into_iter().map(|part| (part, Task::Summarise)));
        self.send(&visible);
        self.spent.steps += visible.steps();
    }

    /// Takes the body of a RANGES record; returns what it reveals.
    ///
    /// # Errors
    ///
    /// [`RangesError`]: the peer broke the protocol. The session is to be closed.
    pub fn handle_ranges(&mut self, body: &[u8], set: &ItemSet) -> Result<Vec<Finding>, RangesError> {
        self.expect(set);
        self.spent.received += body.len() as u64 + RECORD_COST;
        self.spent.check()?;
        let record = ranges::decode(body)?;
        self.spent.ranges += record.entries.len() as u64;
        self.spent.check()?;
        if !self.begun {
            if self.initiator {
                return Err(RangesError::OutOfTurn);
            }
            self.begun = true;
        }
        if record.answers {
            self.unanswered = self.unanswered.checked_sub(1).ok_or(RangesError::NotAsked)?;
        }
        if record.asks {
            self.owed += 1;
            if self.owed > MAX_UNANSWERED {
                return Err(RangesError::TooManyQuestions);
            }
        }
        self.peer_has_more = record.more;

        let visible = set.visible(self.view);
        let mut findings = Vec::new();
        for (range, content) in record.entries {
            match content {
                Content::Skip => {}
                Content::Fingerprint(theirs) => {
                    if visible.fingerprint(&self.session_hash, visible.total(range)) != theirs {
                        self.tasks.insert(range, Task::Divide);
                    }
                }
                Content::Ids(listed) => {
                    self.compare(&visible, range, listed, &mut findings);
                    self.spent.check()?;
                }
            }
        }
        if record.asks {
            self.write_record(&visible, true);
        }
        self.send(&visible);
        self.spent.steps += visible.steps();
        self.spent.check()?;
        Ok(findings)
    }

    /// Takes the next body to send, at most [`MAX_BODY_LEN`](super::MAX_BODY_LEN) bytes.
    pub fn poll_record(&mut self) -> Option<Vec<u8>> {
        let Outgoing { body, answers } = self.outbox.pop_front()?;
        self.owed -= usize::from(answers);
        Some(body)
    }

    /// The bundle that a short id stands for, if it was listed to the peer; only some of those that were are kept.
    pub fn listed(&self, short: &ShortId) -> Option<BundleId> {
        self.listed.get(short).copied()
    }

    /// Says whether either side has sent or received ranges.
    pub fn has_begun(&self) -> bool {
        self.begun
    }

    /// Says whether the comparison is over: everything has been answered and neither side has more to send.
    pub fn is_done(&self) -> bool {
        self.begun && self.tasks.is_empty() && self.outbox.is_empty() && self.unanswered == 0 && !self.peer_has_more
    }

    /// Allows the peer what a comparison with this set may take, if nothing larger was compared before.
    fn expect(&mut self, set: &ItemSet) {
        let shown = if self.view.empty { 0 } else { set.len() as u64 };
        self.spent.own = self.spent.own.max(shown);
    }

    /// Steps done so far.
    #[cfg(test)]
    pub(super) const fn steps(&self) -> u64 {
        self.spent.steps
    }

    /// Compares a list with the items of its range.
    fn compare(&mut self, visible: &Visible<'_>, range: Range, mut listed: Vec<Listed>, findings: &mut Vec<Finding>) {
        if self.view.empty {
            return;
        }
        listed.sort_unstable();
        let mut unknown = vec![true; listed.len()];
        for item in visible.known(range) {
            self.spent.scans += 1;
            let short = self.shorts.short(&item.id());
            let named = listed.binary_search_by_key(&short, |listed| listed.short).ok();
            if let Some(unknown) = named.and_then(|at| unknown.get_mut(at)) {
                *unknown = false;
            } else if item.is_held() && visible.shows(item) {
                findings.push(Finding::Lacking(item.id()));
            }
        }
        let wanted = listed.iter().zip(unknown).filter(|(listed, unknown)| *unknown && listed.held);
        findings.extend(wanted.map(|(listed, _)| Finding::Want(listed.short)));
    }

    /// Puts questions into the outbox while ranges are left to be sent and may be asked about.
    fn send(&mut self, visible: &Visible<'_>) {
        while !self.tasks.is_empty() && self.unanswered < MAX_UNANSWERED {
            self.write_record(visible, false);
        }
    }

    /// Puts one body into the outbox with as many of the ranges to be sent as fit, newest first; none if too many questions are unanswered.
    fn write_record(&mut self, visible: &Visible<'_>, answers: bool) {
        let mut writer = Writer::new();
        let mut later = Vec::new();
        let mut full = self.unanswered >= MAX_UNANSWERED;
        while !full && let Some((range, task)) = self.tasks.pop_first() {
            for (part, most_listed) in Self::divide(visible, range, task) {
                full = full || !writer.push(part, &self.content(visible, part, most_listed));
                if full {
                    later.push((part, if most_listed == LEAF { Task::Divide } else { Task::Summarise }));
                }
            }
        }
        self.tasks.extend(later);
        let more = !self.tasks.is_empty();
        // A list needs no answer; one is asked for where more follows, so that a slow link is not flooded.
        let asks = writer.has_fingerprint() || (more && self.unanswered < MAX_UNANSWERED);
        self.unanswered += usize::from(asks);
        let body = writer.finish(asks, answers, more);
        self.spent.sent += body.len() as u64;
        self.outbox.push_back(Outgoing { body, answers });
    }

    /// Divides a range that differs, unless it is to be listed; returns how many items of a part may be listed.
    fn divide(visible: &Visible<'_>, range: Range, task: Task) -> Vec<(Range, usize)> {
        if task == Task::Summarise {
            return vec![(range, TINY)];
        }
        let count = visible.count(range);
        if count <= LEAF {
            return vec![(range, LEAF)];
        }
        let parts = BRANCHES.min(count.div_ceil(PART));
        visible.split_at(range, (1..parts).map(|part| part * count / parts)).into_iter().map(|part| (part, TINY)).collect()
    }

    /// Lists a range of at most `most_listed` items; otherwise gives its fingerprint.
    fn content(&mut self, visible: &Visible<'_>, range: Range, most_listed: usize) -> Content {
        let total = visible.total(range);
        if total.count > most_listed as u64 {
            return Content::Fingerprint(visible.fingerprint(&self.session_hash, total));
        }
        let mut listed: Vec<Listed> = Vec::new();
        for item in visible.shown(range) {
            let short = self.shorts.short(&item.id());
            // Two ids with one short id: the second waits for another session's key.
            if listed.iter().all(|other| other.short != short) {
                listed.push(Listed { short, held: item.is_held() });
                if self.listed.len() < MAX_LISTED_KEPT {
                    self.listed.insert(short, item.id());
                }
            }
        }
        Content::Ids(listed)
    }
}
