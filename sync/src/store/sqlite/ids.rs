//! Which row holds which bundle id, in memory instead of in an index of the database.
//!
//! Ids are random, so in an index each of them touches a page of its own, which is then encrypted, authenticated and written
//! (docs/store.md, section 7). One process at a time has the database open, so memory can't fall behind it.

use std::cell::RefCell;

use rusqlite::Connection;

use crate::{
    id::BundleId,
    store::{StoreError, table::Table},
};

/// The rows of one table by id; read from the database when first asked.
pub(super) struct Ids {
    /// Selects the number and the id of each row.
    select: &'static str,
    rows: RefCell<Option<Table<BundleId, i64>>>,
}

impl Ids {
    /// Nothing is read yet; `select` selects the number and the id of each row.
    pub(super) fn new(select: &'static str) -> Self {
        Self { select, rows: RefCell::new(None) }
    }

    /// The row of an id, if there is one.
    pub(super) fn find(&self, connection: &Connection, id: &BundleId) -> Result<Option<i64>, StoreError> {
        self.with(connection, |rows| rows.get(id).copied())
    }

    /// Notes the row of an id.
    pub(super) fn put(&self, connection: &Connection, id: BundleId, row: i64) -> Result<(), StoreError> {
        self.with(connection, |rows| rows.put(id, row))
    }

    /// Forgets an id; returns its row, if there was one.
    pub(super) fn remove(&self, connection: &Connection, id: &BundleId) -> Result<Option<i64>, StoreError> {
        self.with(connection, |rows| {
            let row = rows.get(id).copied();
            rows.remove(id);
            row
        })
    }

    /// Whether the rows are still to be read.
    pub(super) fn is_empty(&self) -> bool {
        self.rows.borrow().is_none()
    }

    /// Takes all rows of the table from someone who has just read them.
    pub(super) fn fill(&self, all: impl IntoIterator<Item = (BundleId, i64)>) -> Result<(), StoreError> {
        let mut rows = Table::default();
        for (id, row) in all {
            if rows.has(&id) {
                return Err(StoreError::Damaged("an id is there twice"));
            }
            rows.put(id, row);
        }
        rows.commit();
        *self.rows.borrow_mut() = Some(rows);
        Ok(())
    }

    /// Keeps what was done since the last commit.
    pub(super) fn commit(&self) {
        if let Some(rows) = self.rows.borrow_mut().as_mut() {
            rows.commit();
        }
    }

    /// Takes back what was done since the last commit.
    pub(super) fn rollback(&self) {
        if let Some(rows) = self.rows.borrow_mut().as_mut() {
            rows.rollback();
        }
    }

    fn with<T>(&self, connection: &Connection, use_rows: impl FnOnce(&mut Table<BundleId, i64>) -> T) -> Result<T, StoreError> {
        // Every write asks here before it writes, so what is read now has no changes that may be taken back.
        if self.is_empty() {
            let mut statement = connection.prepare_cached(self.select)?;
            let all = statement.query_map([], |row| Ok((BundleId(row.get(1)?), row.get(0)?)))?;
            self.fill(all.collect::<Result<Vec<_>, _>>()?)?;
        }
        Ok(use_rows(self.rows.borrow_mut().get_or_insert_default()))
    }
}
