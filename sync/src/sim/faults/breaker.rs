//! Stores that stop between a write and its commit, or run out of room for a while; the same over any kind of store.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use super::super::{Happening, NodeId, Sim};
use crate::store::{Store, StoreError, layer::Layer};

/// How long a node whose disk is full waits until it opens its profile again (as the daemon does at most).
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(30);

/// What befalls one node.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Trouble {
    /// It stops at the so-manieth write or commit from now, 1 being the next; what was not committed has not happened.
    Crash(u64),
    /// Its next commit becomes durable, and then it stops before anybody hears of it.
    CrashPastCommit,
    /// No write succeeds any more.
    DiskFull,
    /// There is room again.
    DiskFree,
    /// Its wall clock is off by so many milliseconds from now on.
    Clock(i64),
}

/// What is to go wrong with a node's store: shared by the store and whoever breaks it.
#[derive(Clone, Default)]
pub(in super::super) struct Breaker(Arc<State>);

#[derive(Default)]
struct State {
    /// Writes and commits until it stops; 0 if it doesn't.
    crash_in: AtomicU64,
    past_commit: AtomicBool,
    full: AtomicBool,
}

impl Breaker {
    fn pass(&self) -> Result<(), StoreError> {
        if self.0.full.load(Relaxed) {
            return Err(StoreError::Full);
        }
        match self.0.crash_in.load(Relaxed) {
            0 => Ok(()),
            1 => {
                self.0.crash_in.store(0, Relaxed);
                Err(StoreError::Crash)
            }
            left => {
                self.0.crash_in.store(left - 1, Relaxed);
                Ok(())
            }
        }
    }
}

/// A store that a [`Breaker`] breaks. Once it has stopped, nothing succeeds until it is opened again.
struct Breakable {
    store: Box<dyn Store>,
    breaker: Breaker,
    stopped: bool,
}

impl Layer for Breakable {
    fn below(&self) -> &dyn Store {
        self.store.as_ref()
    }

    fn below_mut(&mut self) -> &mut dyn Store {
        self.store.as_mut()
    }

    fn before_write(&mut self) -> Result<(), StoreError> {
        let outcome = if self.stopped { Err(StoreError::Crash) } else { self.breaker.pass() };
        self.stopped |= outcome.is_err();
        outcome
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        self.before_write()?;
        self.store.commit()?;
        if self.breaker.0.past_commit.swap(false, Relaxed) {
            self.stopped = true;
            return Err(StoreError::Crash);
        }
        Ok(())
    }
}

impl Sim {
    /// Lets [`trouble`](Self::trouble) reach the stores of nodes; before the first node.
    #[must_use]
    pub fn breakable(mut self) -> Self {
        self.breakable = true;
        self
    }

    /// Lets something befall a node at a time since the simulation began; at once if that is over.
    pub fn trouble(&mut self, at: Duration, node: NodeId, trouble: Trouble) {
        self.schedule(at.max(self.now), Happening::Trouble { node: node.0, trouble });
    }

    pub(in super::super) fn break_store(&self, node: NodeId, store: Box<dyn Store>) -> Box<dyn Store> {
        if !self.breakable {
            return store;
        }
        Box::new(Breakable { store, breaker: self.nodes[node.0].breaker.clone(), stopped: false })
    }

    pub(in super::super) fn befall(&mut self, node: NodeId, trouble: Trouble) {
        let state = &self.nodes[node.0].breaker.0;
        match trouble {
            Trouble::Crash(points) => state.crash_in.store(points, Relaxed),
            Trouble::CrashPastCommit => state.past_commit.store(true, Relaxed),
            Trouble::DiskFull => state.full.store(true, Relaxed),
            Trouble::DiskFree => state.full.store(false, Relaxed),
            Trouble::Clock(offset_ms) => self.set_clock(node, offset_ms),
        }
    }

    /// A node whose store has failed is opened again: at once, or when there may be room.
    pub(in super::super) fn come_back(&mut self, node: NodeId) {
        if self.nodes[node.0].breaker.0.full.load(Relaxed) {
            self.nodes[node.0].on = false;
            self.nodes[node.0].awaits_room = true;
            self.schedule(self.now + TRY_AGAIN_AFTER, Happening::TryAgain { node: node.0 });
        } else {
            self.start(node);
        }
    }

    pub(in super::super) fn try_again(&mut self, node: NodeId) {
        if self.nodes[node.0].awaits_room {
            self.revive(node);
        }
    }

    /// Nothing is wrong with a node any more: its disk, its clock, itself.
    pub fn heal(&mut self, node: NodeId) {
        let state = &self.nodes[node.0].breaker.0;
        state.crash_in.store(0, Relaxed);
        state.past_commit.store(false, Relaxed);
        state.full.store(false, Relaxed);
        self.set_clock(node, 0);
        self.try_again(node);
    }
}
