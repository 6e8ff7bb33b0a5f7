//! What crosses links, and what a node says on them.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use hedgerow_transports::LinkId;

use super::{Rule, mirror::Broken};
use crate::{
    crypto::kdf::hash,
    id::{BundleId, ShortId},
    session::ShortIds,
    sim::{Faults, WireId},
    wire::record::{MAX_RECORD_IDS, Record},
};

/// What may arrive at once where messages overtake each other: the longest session message (docs/protocol.md, section 2), bytes.
const BURST: f64 = 65_536.0;
/// Bundles that one link has brought and that are not answered, at most: a peer's window holds fewer (2,048 of the smallest).
const MAX_UNANSWERED: usize = 4 * MAX_RECORD_IDS * 8;

/// What may arrive at one end of a wire now, in bytes.
struct Bucket {
    connection: u64,
    filled: f64,
    at: Duration,
}

/// How much has crossed each wire, each way.
#[derive(Default)]
pub(super) struct Rates(HashMap<(WireId, usize), Bucket>);

impl Rates {
    /// Notes that a message with its framing has arrived; a connection that came up at `up` can have brought so much, or not.
    pub(super) fn arrive(
        &mut self,
        wire: WireId,
        to: usize,
        (connection, up): (u64, Duration),
        (now, length): (Duration, usize),
        faults: &Faults,
    ) -> Result<(), Broken> {
        let bucket = self.0.entry((wire, to)).or_insert(Bucket { connection: 0, filled: 0.0, at: up });
        if bucket.connection != connection {
            *bucket = Bucket { connection, filled: 0.0, at: up + faults.delay };
        }
        let rate = f64::from(faults.rate);
        // Nothing is saved up while a wire is idle. What is overtaken comes three delays later, and so closer to what follows it.
        let late = if faults.reorder > 0.0 { BURST + 3.0 * faults.delay.as_secs_f64() * rate } else { 0.0 };
        let most = length as f64 + late;
        bucket.filled = (bucket.filled + now.saturating_sub(bucket.at).as_secs_f64() * rate).min(most) - length as f64;
        bucket.at = now;
        // Half a byte for rounding.
        if bucket.filled < -0.5 {
            return Err((Rule::Rate, format!("{length} bytes came {:.0} bytes too early on {wire:?} of {rate} B/s", -bucket.filled)));
        }
        Ok(())
    }
}

/// Bundles that came on links and are not answered yet.
#[derive(Default)]
pub(super) struct Answers(HashMap<LinkId, VecDeque<(ShortId, BundleId)>>);

impl Answers {
    /// Notes what came on a link of the session with this hash.
    pub(super) fn hear(&mut self, link: LinkId, session: &[u8; 32], record: &[u8]) {
        let Ok(Record::Bundle { bytes, .. }) = Record::decode(record) else { return };
        let id = BundleId(hash(&[&bytes]));
        let came = self.0.entry(link).or_default();
        if came.len() >= MAX_UNANSWERED {
            came.pop_front();
        }
        came.push_back((ShortIds::new(session).short(&id), id));
    }

    /// Takes the bundles that a record says are stored.
    pub(super) fn say(&mut self, link: LinkId, record: &[u8]) -> Result<Vec<BundleId>, Broken> {
        let (stored, refused) = match Record::decode(record) {
            Ok(Record::Stored(stored)) => (stored, Vec::new()),
            Ok(Record::Refused(refused)) => (Vec::new(), refused),
            _ => return Ok(Vec::new()),
        };
        // What was asked for may be refused too, though it never came.
        for (short, _) in &refused {
            self.take(link, short);
        }
        let known = |short: &ShortId| {
            self.take(link, short).ok_or_else(|| (Rule::Genuine, format!("said on {link:?} that {short:?} is stored, which did not come")))
        };
        stored.iter().map(known).collect()
    }

    fn take(&mut self, link: LinkId, short: &ShortId) -> Option<BundleId> {
        let came = self.0.get_mut(&link)?;
        let index = came.iter().position(|(other, _)| other == short)?;
        Some(came.remove(index)?.1)
    }

    /// A link is gone.
    pub(super) fn end(&mut self, link: LinkId) {
        self.0.remove(&link);
    }
}
