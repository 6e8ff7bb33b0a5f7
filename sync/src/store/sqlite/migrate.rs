//! Migrations: numbered steps from an empty database to the current schema, one transaction each.
//!
//! `user_version` counts those done. A released step is never edited; a change of schema is a new file at the end of [`MIGRATIONS`].

use rusqlite::{Connection, TransactionBehavior};

use crate::store::StoreError;

/// All steps, the first at index 0 leading to version 1.
pub(super) const MIGRATIONS: &[&str] = &[
    include_str!("migrations/001_init.sql"),
    include_str!("migrations/002_people.sql"),
    include_str!("migrations/003_copies_and_data.sql"),
];

/// Does the steps that are missing.
pub(super) fn migrate(connection: &mut Connection, steps: &[&str]) -> Result<(), StoreError> {
    let done: u32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let known = u32::try_from(steps.len()).unwrap_or(u32::MAX);
    if done > known {
        return Err(StoreError::Newer { found: done, known });
    }
    for (version, step) in (1u32..).zip(steps).skip(usize::try_from(done).unwrap_or(usize::MAX)) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(step)?;
        transaction.execute_batch(&format!("PRAGMA user_version = {version}"))?;
        transaction.commit()?;
    }
    Ok(())
}
