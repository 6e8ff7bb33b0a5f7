//! Bundles of others under an expected tag that come behind too many that did not open: tried later, a few at a time.
//!
//! Whoever has carried a bundle can make others under its tag and bring them first. They must not keep the real one from being opened; nor may
//! they make the reader work so much at once that a stranger sees by its answers whose tag it is.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use super::{Engine, Timer};
use crate::{
    id::{BundleId, Tag},
    store::StoreError,
    time::Now,
    wire::bundle::Bundle,
};

/// Bundles that are tried at a time (policy: what is tried at once, too).
const LATE_TRIES: usize = 8;
/// Between two times (guess: 8 a second are five times what strangers may bring for long).
const LATE_TRIES_AFTER: Duration = Duration::from_secs(1);

/// What is left to be tried.
#[derive(Default)]
pub(super) struct Late {
    /// Up to which arrival the bundles of a tag have been tried.
    tried: BTreeMap<Tag, u64>,
    /// Tags that have more, each once.
    queue: VecDeque<Tag>,
}

impl Engine {
    /// Has a bundle that is held, and those that come after it under its tag, tried one after the other.
    pub(super) fn try_later(&mut self, now: Now, id: &BundleId) {
        let Some((tag, sequence)) = self.holdings.row(id).map(|row| (row.tag, row.sequence)) else { return };
        self.late.tried.entry(tag).or_insert(sequence.saturating_sub(1));
        self.queue_late(now, tag);
    }

    fn queue_late(&mut self, now: Now, tag: Tag) {
        if self.late.queue.contains(&tag) {
            return;
        }
        if self.late.queue.is_empty() {
            self.timers.insert((now.mono + LATE_TRIES_AFTER, Timer::Late));
        }
        self.late.queue.push_back(tag);
    }

    /// Tries the next few bundles of the tag whose turn it is.
    pub(super) fn try_late(&mut self, now: Now) -> Result<(), StoreError> {
        let Some(tag) = self.late.queue.pop_front() else { return Ok(()) };
        if !self.late.queue.is_empty() {
            self.timers.insert((now.mono + LATE_TRIES_AFTER, Timer::Late));
        }
        let after = self.late.tried.get(&tag).copied().unwrap_or(0);
        let held = self.holdings.with_tag(&tag).into_iter().filter_map(|id| Some((self.holdings.row(&id)?.sequence, id)));
        let left: Vec<(u64, BundleId)> = held.filter(|(sequence, _)| *sequence > after).collect();
        for (sequence, id) in left.iter().take(LATE_TRIES) {
            if self.expected_from(&tag)?.is_none_or(|sender| self.is_flooding(sender)) {
                self.late.tried.remove(&tag);
                return Ok(());
            }
            self.late.tried.insert(tag, *sequence);
            let bytes = self.holdings.bytes_of(self.store.as_ref(), id)?;
            if let Some(bundle) = bytes.and_then(|bytes| Bundle::decode(bytes).ok()) {
                self.open_late(now, bundle)?;
            }
        }
        if left.len() > LATE_TRIES {
            self.queue_late(now, tag);
        }
        Ok(())
    }
}
