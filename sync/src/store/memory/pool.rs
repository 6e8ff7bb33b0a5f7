//! What of a bundle is the same wherever it is held, held once by all stores in memory that share a pool.
//!
//! A simulation of hundreds of nodes holds each bundle hundreds of times: with a pool its bytes are there once, for as long as any store has
//! them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use crate::{
    id::{BundleId, Commitment, Tag},
    store::BundleRow,
    time::Hour,
    wire::bundle::Lifetime,
};

/// Entries below which no look is taken for those that nobody holds any more.
const FEW: usize = 1_024;

/// A bundle, without what differs between those who hold it.
#[derive(PartialEq, Eq)]
pub(super) struct Body {
    pub(super) id: BundleId,
    pub(super) size: u16,
    pub(super) lifetime: Lifetime,
    pub(super) created: Hour,
    pub(super) tag: Tag,
    pub(super) commitment: Commitment,
    pub(super) bytes: Box<[u8]>,
}

impl Body {
    fn new(row: &BundleRow, bytes: &[u8]) -> Self {
        let &BundleRow { id, size, lifetime, created, tag, commitment, .. } = row;
        Self { id, size, lifetime, created, tag, commitment, bytes: bytes.into() }
    }

    fn is(&self, row: &BundleRow, bytes: &[u8]) -> bool {
        let &BundleRow { id, size, lifetime, created, tag, commitment, .. } = row;
        let facts = (id, size, lifetime, created, tag, commitment);
        facts == (self.id, self.size, self.lifetime, self.created, self.tag, self.commitment) && *self.bytes == *bytes
    }
}

/// Where stores find what others of them hold already. A clone is the same pool.
#[derive(Clone, Default)]
pub struct BundlePool(Arc<Mutex<Bodies>>);

impl std::fmt::Debug for BundlePool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BundlePool").finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Bodies {
    // Looked up; the order in which the dead are forgotten can't be seen.
    by_id: HashMap<BundleId, Weak<Body>>,
    /// How many were alive when the dead were forgotten last.
    alive: usize,
}

impl BundlePool {
    /// Returns the body that another store holds, or a new one. One with the same id that differs, as only tests make it, is not shared.
    pub(super) fn share(&self, row: &BundleRow, bytes: &[u8]) -> Arc<Body> {
        let mut bodies = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match bodies.by_id.get(&row.id).and_then(Weak::upgrade) {
            Some(body) if body.is(row, bytes) => body,
            Some(_) => Arc::new(Body::new(row, bytes)),
            None => {
                let body = Arc::new(Body::new(row, bytes));
                bodies.by_id.insert(row.id, Arc::downgrade(&body));
                bodies.forget_dead();
                body
            }
        }
    }

    /// How many bundles the pool knows: those held, and at most as many again that were.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).by_id.len()
    }
}

impl Bodies {
    /// Forgets what nobody holds, each time as many came as were alive: a constant for each that came. Its bytes went with its last holder.
    fn forget_dead(&mut self) {
        if self.by_id.len() > FEW.max(2 * self.alive) {
            self.by_id.retain(|_, body| body.strong_count() > 0);
            self.alive = self.by_id.len();
        }
    }
}
