//! The statements: one or two for each method of [`Store`].

use rusqlite::{OptionalExtension, Params, Row, params};

use super::{SqliteStore, ids::Ids, rows};
use crate::{
    id::{BundleId, ContactId, MessageId, Tag},
    store::{
        AckRow, BundleRow, CONSTRAINT, ContactRow, Cursor, DataRow, ExchangeRow, GoneRow, MISUSE, MessageRow, NOT_FOUND, Origin, OutboxRow,
        SecretBytes, Setting, SkippedRow, Store, StoreError, Summary, log,
    },
    time::Hour,
};

/// A part of a conversation (contact ?1) after one place (?2, ?3) and before another (?4, ?5), newest first, at most ?6.
pub(super) const PAGE: &str = concat!(
    "SELECT ",
    rows::message_columns!(),
    " FROM message m WHERE m.contact = ?1 AND (m.place, m.id) > (?2, ?3) AND (m.place, m.id) < (?4, ?5)
      ORDER BY m.place DESC, m.id DESC, m.outgoing DESC LIMIT ?6"
);
/// All conversations at a glance.
pub(super) const SUMMARIES: &str = concat!("SELECT ", rows::summary_columns!(), " FROM contact c ORDER BY c.id");
/// The numbers of the parts of one large message.
pub(super) const PARTS: &str = "SELECT number FROM part
     WHERE data = (SELECT row FROM data WHERE contact = ?1 AND outgoing = ?2 AND id = ?3) ORDER BY number";

impl SqliteStore {
    /// Runs a statement that writes; returns how many rows it changed.
    fn change(&self, sql: &str, values: impl Params) -> Result<usize, StoreError> {
        Ok(self.writing()?.prepare_cached(sql)?.execute(values)?)
    }

    /// Reads at most one row.
    fn one<T>(&self, sql: &str, values: impl Params, read: fn(&Row<'_>) -> rusqlite::Result<T>) -> Result<Option<T>, StoreError> {
        Ok(self.connection.prepare_cached(sql)?.query_row(values, read).optional()?)
    }

    /// Reads all rows.
    fn all<T>(&self, sql: &str, values: impl Params, read: fn(&Row<'_>) -> rusqlite::Result<T>) -> Result<Vec<T>, StoreError> {
        Ok(self.connection.prepare_cached(sql)?.query_map(values, read)?.collect::<Result<_, _>>()?)
    }

    /// Runs a statement that writes all columns of a large message's row, its key first.
    fn change_data(&self, sql: &str, row: &DataRow) -> Result<usize, StoreError> {
        let DataRow { contact, outgoing, id, length, hash, key, created, state, number } = row;
        let (key, state) = (key.as_ref().map(|key| key.as_slice()), rows::data_state_code(*state));
        self.change(sql, params![contact.0, outgoing, id.0, length, hash, key, created.0, state, number])
    }

    /// Reads a number that is always there.
    fn count(&self, sql: &str, values: impl Params) -> Result<u64, StoreError> {
        Ok(self.connection.prepare_cached(sql)?.query_row(values, rows::count)?)
    }
}

impl Store for SqliteStore {
    fn begin(&mut self) -> Result<(), StoreError> {
        if !self.connection.is_autocommit() {
            return Err(StoreError::Io(MISUSE));
        }
        self.indexes().into_iter().for_each(Ids::rollback); // SQLite may have rolled back by itself
        self.connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        Ok(())
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        self.change("COMMIT", [])?;
        self.indexes().into_iter().for_each(Ids::commit);
        Ok(())
    }

    fn rollback(&mut self) -> Result<(), StoreError> {
        self.indexes().into_iter().for_each(Ids::rollback);
        if !self.connection.is_autocommit() {
            self.connection.prepare_cached("ROLLBACK")?.execute([])?;
        }
        Ok(())
    }

    fn load_setting(&self, setting: Setting) -> Result<Option<SecretBytes>, StoreError> {
        self.one("SELECT value FROM setting WHERE name = ?1", [rows::setting_code(setting)], |row| rows::secret(row, 0))
    }

    fn save_setting(&mut self, setting: Setting, value: &[u8]) -> Result<(), StoreError> {
        let sql = "INSERT INTO setting (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = excluded.value";
        self.change(sql, params![rows::setting_code(setting), value]).map(|_| ())
    }

    fn load_contacts(&self) -> Result<Vec<ContactRow>, StoreError> {
        self.all(&format!("SELECT {} FROM contact ORDER BY id", rows::CONTACT), [], rows::contact)
    }

    fn insert_contact(&mut self, row: &ContactRow) -> Result<ContactId, StoreError> {
        let ContactRow { id: _, alias, own_name, card, state, verified, created, last_seen, last_transport, why, receipts, muted } = row;
        let sql = "INSERT INTO contact (alias, own_name, card, state, verified, created, last_seen, last_transport, why, receipts, muted)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
        let last_seen = last_seen.map(|time| rows::bits(time.0));
        let transport = last_transport.map(log::codec::transport_code);
        let state = rows::contact_state_code(*state);
        let created = rows::bits(created.0);
        self.change(sql, params![alias, own_name, card, state, verified, created, last_seen, transport, why, receipts, muted])?;
        u32::try_from(self.connection.last_insert_rowid()).map(ContactId).map_err(|_| StoreError::Full)
    }

    fn save_contact(&mut self, row: &ContactRow) -> Result<(), StoreError> {
        let ContactRow { id, alias, own_name, card, state, verified, created, last_seen, last_transport, why, receipts, muted } = row;
        let sql = "UPDATE contact SET alias = ?2, own_name = ?3, card = ?4, state = ?5, verified = ?6, created = ?7, last_seen = ?8,
                   last_transport = ?9, why = ?10, receipts = ?11, muted = ?12 WHERE id = ?1";
        let last_seen = last_seen.map(|time| rows::bits(time.0));
        let transport = last_transport.map(log::codec::transport_code);
        let state = rows::contact_state_code(*state);
        let created = rows::bits(created.0);
        let values = params![id.0, alias, own_name, card, state, verified, created, last_seen, transport, why, receipts, muted];
        match self.change(sql, values)? {
            0 => Err(StoreError::Io(NOT_FOUND)),
            _ => Ok(()),
        }
    }

    fn delete_contact(&mut self, id: ContactId) -> Result<(), StoreError> {
        // Reads all bundles: an index of origins would cost every insertion, and contacts are seldom deleted.
        let own = [rows::origin_code(Origin::Own(id))];
        for bundle in self.all("SELECT id FROM bundle WHERE origin = ?1", own, |row| Ok(BundleId(row.get(0)?)))? {
            self.delete_bundle(&bundle)?;
        }
        self.change("DELETE FROM contact WHERE id = ?1", [id.0]).map(|_| ()) // the rest goes by ON DELETE CASCADE
    }

    fn move_messages(&mut self, from: ContactId, to: ContactId) -> Result<(), StoreError> {
        let again = "UPDATE message SET state = 0, number = NULL WHERE contact = ?1 AND outgoing = 1 AND state <= 1";
        self.change(again, [from.0])?;
        self.change("UPDATE message SET contact = ?2 WHERE contact = ?1", [from.0, to.0]).map(|_| ())
    }

    fn load_pair(&self, contact: ContactId) -> Result<Option<SecretBytes>, StoreError> {
        self.one("SELECT state FROM pair WHERE contact = ?1", [contact.0], |row| rows::secret(row, 0))
    }

    fn save_pair(&mut self, contact: ContactId, state: &[u8]) -> Result<(), StoreError> {
        let sql = "INSERT INTO pair (contact, state) VALUES (?1, ?2) ON CONFLICT (contact) DO UPDATE SET state = excluded.state";
        self.change(sql, params![contact.0, state]).map(|_| ())
    }

    fn load_exchanges(&self) -> Result<Vec<ExchangeRow>, StoreError> {
        self.all("SELECT contact, state FROM exchange ORDER BY contact", [], rows::exchange)
    }

    fn save_exchange(&mut self, row: &ExchangeRow) -> Result<(), StoreError> {
        let sql = "INSERT INTO exchange (contact, state) VALUES (?1, ?2) ON CONFLICT (contact) DO UPDATE SET state = excluded.state";
        self.change(sql, params![row.contact.0, row.state.as_slice()]).map(|_| ())
    }

    fn delete_exchange(&mut self, contact: ContactId) -> Result<(), StoreError> {
        self.change("DELETE FROM exchange WHERE contact = ?1", [contact.0]).map(|_| ())
    }

    fn insert_skipped(&mut self, row: &SkippedRow) -> Result<(), StoreError> {
        let sql = "INSERT OR REPLACE INTO skipped (tag, contact, stored_hour, chain, number, keys) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        let SkippedRow { contact, tag, number, chain, stored_hour, keys } = row;
        self.change(sql, params![tag.0, contact.0, stored_hour, chain, number, keys.as_slice()]).map(|_| ())
    }

    fn find_skipped(&self, tag: &Tag) -> Result<Option<SkippedRow>, StoreError> {
        let sql = "SELECT contact, tag, number, chain, stored_hour, keys FROM skipped WHERE tag = ?1";
        self.one(sql, [tag.0], rows::skipped)
    }

    fn visit_skipped(&self, visit: &mut dyn FnMut(Tag)) -> Result<(), StoreError> {
        let mut statement = self.connection.prepare_cached("SELECT tag FROM skipped ORDER BY tag")?;
        for tag in statement.query_map([], |row| Ok(Tag(row.get(0)?)))? {
            visit(tag?);
        }
        Ok(())
    }

    fn delete_skipped(&mut self, tag: &Tag) -> Result<(), StoreError> {
        self.change("DELETE FROM skipped WHERE tag = ?1", [tag.0]).map(|_| ())
    }

    fn prune_skipped(&mut self, contact: ContactId, before: u32, keep: u32) -> Result<u64, StoreError> {
        let old = self.change("DELETE FROM skipped WHERE contact = ?1 AND stored_hour < ?2", [contact.0, before])?;
        let left = self.count("SELECT count(*) FROM skipped WHERE contact = ?1", [contact.0])?;
        let surplus = left.saturating_sub(keep.into());
        if surplus > 0 {
            let sql = "DELETE FROM skipped WHERE tag IN
                       (SELECT tag FROM skipped WHERE contact = ?1 ORDER BY stored_hour, chain, number, tag LIMIT ?2)";
            self.change(sql, params![contact.0, rows::bits(surplus)])?;
        }
        Ok(old as u64 + surplus)
    }

    fn insert_message(&mut self, row: &MessageRow) -> Result<bool, StoreError> {
        let sql = "INSERT INTO message (contact, outgoing, id, place, text, sent, stored, state, urgent, number, expires, handed_contacts,
                   handed_strangers, sealed, log) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)
                   ON CONFLICT (contact, outgoing, id) DO NOTHING";
        let values = params![
            row.contact.0,
            row.outgoing,
            row.id.0,
            rows::place(row.order),
            row.text,
            rows::bits(row.sent.0),
            rows::bits(row.stored.0),
            rows::message_state_code(row.state),
            row.urgent,
            row.number,
            row.expires.map(|hour| hour.0),
            row.handed_contacts,
            row.handed_strangers,
            row.sealed,
            row.log.encode(),
        ];
        Ok(self.change(sql, values)? == 1)
    }

    fn find_message(&self, contact: ContactId, outgoing: bool, id: MessageId) -> Result<Option<MessageRow>, StoreError> {
        let sql = concat!("SELECT ", rows::message_columns!(), " FROM message m WHERE m.contact = ?1 AND m.outgoing = ?2 AND m.id = ?3");
        self.one(sql, params![contact.0, outgoing, id.0], rows::message)
    }

    fn find_messages_by_id(&self, id: MessageId) -> Result<Vec<MessageRow>, StoreError> {
        // Two look-ups for each contact: there are few, and an index of ids alone would cost every insertion.
        let sql = concat!(
            "SELECT ",
            rows::message_columns!(),
            " FROM contact c CROSS JOIN message m
              WHERE m.contact = c.id AND m.outgoing IN (0, 1) AND m.id = ?1 ORDER BY m.contact, m.outgoing"
        );
        self.all(sql, [id.0], rows::message)
    }

    fn save_message(&mut self, row: &MessageRow) -> Result<(), StoreError> {
        let sql = "UPDATE message SET sent = ?4, stored = ?5, state = ?6, urgent = ?7, number = ?8, expires = ?9, handed_contacts = ?10,
                   handed_strangers = ?11, sealed = ?12, log = ?13 WHERE contact = ?1 AND outgoing = ?2 AND id = ?3";
        let values = params![
            row.contact.0,
            row.outgoing,
            row.id.0,
            rows::bits(row.sent.0),
            rows::bits(row.stored.0),
            rows::message_state_code(row.state),
            row.urgent,
            row.number,
            row.expires.map(|hour| hour.0),
            row.handed_contacts,
            row.handed_strangers,
            row.sealed,
            row.log.encode(),
        ];
        match self.change(sql, values)? {
            0 => Err(StoreError::Io(NOT_FOUND)),
            _ => Ok(()),
        }
    }

    fn load_messages(
        &self,
        contact: ContactId,
        after: Option<(u64, MessageId)>,
        before: Option<(u64, MessageId)>,
        limit: Option<u32>,
    ) -> Result<Vec<MessageRow>, StoreError> {
        let limit = limit.map_or(-1, i64::from); // -1: no limit
        // Where nothing is given, bounds beyond all places: an id has 16 bytes.
        let (after_place, after_id) = after.as_ref().map_or((i64::MIN, &[][..]), |(order, id)| (rows::place(*order), &id.0[..]));
        let (before_place, before_id) = before.as_ref().map_or((i64::MAX, &[0xff; 17][..]), |(order, id)| (rows::place(*order), &id.0[..]));
        let values = params![contact.0, after_place, after_id, before_place, before_id, limit];
        let mut newest_first = self.all(PAGE, values, rows::message)?;
        newest_first.reverse();
        Ok(newest_first)
    }

    fn load_unsealed(&self, contact: ContactId, limit: u32) -> Result<Vec<MessageRow>, StoreError> {
        let sql = concat!(
            "SELECT ",
            rows::message_columns!(),
            " FROM message m INDEXED BY message_unsealed WHERE m.contact = ?1 AND m.outgoing = 1 AND m.state = 0 AND m.number IS NULL
              ORDER BY m.urgent DESC, m.place, m.id LIMIT ?2"
        );
        self.all(sql, [contact.0, limit], rows::message)
    }

    fn last_order(&self, contact: ContactId) -> Result<u64, StoreError> {
        let order = self.one("SELECT max(place) FROM message WHERE contact = ?1", [contact.0], rows::last_order)?;
        Ok(order.unwrap_or(0))
    }

    fn summarise(&self, contact: ContactId) -> Result<Summary, StoreError> {
        let sql = concat!("SELECT ", rows::summary_columns!(), " FROM contact c WHERE c.id = ?1");
        Ok(self.one(sql, [contact.0], rows::summary)?.map(|(_, summary)| summary).unwrap_or_default())
    }

    fn summarise_all(&self) -> Result<Vec<(ContactId, Summary)>, StoreError> {
        self.all(SUMMARIES, [], rows::summary)
    }

    fn load_draft(&self, contact: ContactId) -> Result<Option<String>, StoreError> {
        self.one("SELECT text FROM draft WHERE contact = ?1", [contact.0], |row| row.get(0))
    }

    fn save_draft(&mut self, contact: ContactId, text: &str) -> Result<(), StoreError> {
        let sql = "INSERT INTO draft (contact, text) VALUES (?1, ?2) ON CONFLICT (contact) DO UPDATE SET text = excluded.text";
        self.change(sql, params![contact.0, text]).map(|_| ())
    }

    fn delete_draft(&mut self, contact: ContactId) -> Result<(), StoreError> {
        self.change("DELETE FROM draft WHERE contact = ?1", [contact.0]).map(|_| ())
    }

    fn first_unread(&self, contact: ContactId) -> Result<Option<(u64, MessageId)>, StoreError> {
        let sql = "SELECT place, id FROM message INDEXED BY message_delivered WHERE contact = ?1 AND outgoing = 0 AND state = 2
                   ORDER BY place, id LIMIT 1";
        self.one(sql, [contact.0], rows::message_place)
    }

    fn mark_read(&mut self, contact: ContactId, outgoing: bool, before: (u64, MessageId)) -> Result<Vec<MessageId>, StoreError> {
        self.writing()?; // also where there is nothing to mark
        let values = params![contact.0, outgoing, rows::place(before.0), before.1.0];
        let sql = "SELECT id FROM message INDEXED BY message_delivered
                   WHERE contact = ?1 AND outgoing = ?2 AND state = 2 AND (place, id) < (?3, ?4) ORDER BY place, id";
        let ids = self.all(sql, values, |row| Ok(MessageId(row.get(0)?)))?;
        if !ids.is_empty() {
            let sql = "UPDATE message INDEXED BY message_delivered SET state = 3
                       WHERE contact = ?1 AND outgoing = ?2 AND state = 2 AND (place, id) < (?3, ?4)";
            self.change(sql, values)?;
        }
        Ok(ids)
    }

    fn insert_data(&mut self, row: &DataRow) -> Result<(), StoreError> {
        let sql = "INSERT INTO data (contact, outgoing, id, length, hash, key, created, state, number)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
        self.change_data(sql, row).map(|_| ())
    }

    fn find_data(&self, contact: ContactId, outgoing: bool, id: MessageId) -> Result<Option<DataRow>, StoreError> {
        let sql = concat!("SELECT ", rows::data_columns!(), " FROM data WHERE contact = ?1 AND outgoing = ?2 AND id = ?3");
        self.one(sql, params![contact.0, outgoing, id.0], rows::data)
    }

    fn load_open_data(&self, contact: ContactId) -> Result<Vec<DataRow>, StoreError> {
        let sql = concat!("SELECT ", rows::data_columns!(), " FROM data WHERE contact = ?1 AND state < 3 ORDER BY outgoing, id");
        self.all(sql, [contact.0], rows::data)
    }

    fn save_data(&mut self, row: &DataRow) -> Result<(), StoreError> {
        let sql = "UPDATE data SET length = ?4, hash = ?5, key = ?6, created = ?7, state = ?8, number = ?9
                   WHERE contact = ?1 AND outgoing = ?2 AND id = ?3";
        match self.change_data(sql, row)? {
            0 => Err(StoreError::Io(NOT_FOUND)),
            _ => Ok(()),
        }
    }

    fn save_part(&mut self, contact: ContactId, outgoing: bool, id: MessageId, part: u32, bytes: &[u8]) -> Result<(), StoreError> {
        let sql = "INSERT OR REPLACE INTO part (data, number, bytes)
                   SELECT row, ?4, ?5 FROM data WHERE contact = ?1 AND outgoing = ?2 AND id = ?3";
        match self.change(sql, params![contact.0, outgoing, id.0, part, bytes])? {
            0 => Err(StoreError::Io(NOT_FOUND)),
            _ => Ok(()),
        }
    }

    fn load_part(&self, contact: ContactId, outgoing: bool, id: MessageId, part: u32) -> Result<Option<SecretBytes>, StoreError> {
        let sql = "SELECT bytes FROM part WHERE number = ?4
                   AND data = (SELECT row FROM data WHERE contact = ?1 AND outgoing = ?2 AND id = ?3)";
        self.one(sql, params![contact.0, outgoing, id.0, part], |row| rows::secret(row, 0))
    }

    fn visit_parts(&self, contact: ContactId, outgoing: bool, id: MessageId, visit: &mut dyn FnMut(u32)) -> Result<(), StoreError> {
        let mut statement = self.connection.prepare_cached(PARTS)?;
        for part in statement.query_map(params![contact.0, outgoing, id.0], |row| row.get(0))? {
            visit(part?);
        }
        Ok(())
    }

    fn delete_parts(&mut self, contact: ContactId, outgoing: bool, id: MessageId) -> Result<(), StoreError> {
        let sql = "DELETE FROM part WHERE data = (SELECT row FROM data WHERE contact = ?1 AND outgoing = ?2 AND id = ?3)";
        self.change(sql, params![contact.0, outgoing, id.0]).map(|_| ())
    }

    fn count_undelivered(&self) -> Result<u64, StoreError> {
        self.count("SELECT count(*) FROM message INDEXED BY message_undelivered WHERE outgoing = 1 AND state <= 1", [])
    }

    fn insert_outbox(&mut self, row: &OutboxRow) -> Result<(), StoreError> {
        let sql = "INSERT INTO outbox (contact, number, message, wants_receipt, bundle, ack) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        let message = row.message.map(|id| id.0);
        let ack = row.ack.as_slice();
        self.change(sql, params![row.contact.0, row.number, message, row.wants_receipt, row.bundle.0, ack]).map(|_| ())
    }

    fn load_outbox(&self, contact: ContactId) -> Result<Vec<OutboxRow>, StoreError> {
        let sql = "SELECT contact, number, message, wants_receipt, bundle, ack FROM outbox WHERE contact = ?1 ORDER BY number";
        self.all(sql, [contact.0], rows::outbox)
    }

    fn delete_outbox(&mut self, contact: ContactId, number: u32) -> Result<(), StoreError> {
        self.change("DELETE FROM outbox WHERE contact = ?1 AND number = ?2", [contact.0, number]).map(|_| ())
    }

    fn insert_bundle(&mut self, row: &BundleRow, bytes: &[u8]) -> Result<u64, StoreError> {
        if self.bundles.find(self.writing()?, &row.id)?.is_some() {
            return Err(StoreError::Io(CONSTRAINT));
        }
        let sql = "INSERT INTO bundle (id, size, class, lifetime, created, tag, commitment, origin, age, stored, forwarded, copies, bytes)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";
        let values = params![
            row.id.0,
            row.size,
            row.class as u8,
            row.lifetime as u8,
            row.created.0,
            row.tag.0,
            row.commitment.0,
            rows::origin_code(row.origin),
            row.age,
            row.stored.0,
            row.forwarded,
            row.copies,
            bytes,
        ];
        self.change(sql, values)?;
        let sequence = self.connection.last_insert_rowid();
        self.bundles.put(&self.connection, row.id, sequence)?;
        u64::try_from(sequence).map_err(|_| StoreError::Damaged("a sequence is negative"))
    }

    fn visit_bundles(&self, visit: &mut dyn FnMut(BundleRow)) -> Result<(), StoreError> {
        let sql = "SELECT sequence, id, size, class, lifetime, created, tag, commitment, origin, age, stored, forwarded, copies
                   FROM bundle ORDER BY sequence";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut ids = self.bundles.is_empty().then(Vec::new);
        for row in statement.query_map([], rows::bundle)? {
            let row = row?;
            if let Some(ids) = &mut ids {
                ids.push((row.id, rows::bits(row.sequence)));
            }
            visit(row);
        }
        ids.map_or(Ok(()), |ids| self.bundles.fill(ids)) // spares reading them all once more
    }

    fn load_bundle(&self, id: &BundleId) -> Result<Option<Vec<u8>>, StoreError> {
        match self.bundles.find(&self.connection, id)? {
            Some(sequence) => self.one("SELECT bytes FROM bundle WHERE sequence = ?1", [sequence], |row| row.get(0)),
            None => Ok(None),
        }
    }

    fn save_forwarded(&mut self, id: &BundleId, forwarded: u16) -> Result<(), StoreError> {
        match self.bundles.find(self.writing()?, id)? {
            Some(sequence) => self.change("UPDATE bundle SET forwarded = ?2 WHERE sequence = ?1", params![sequence, forwarded]).map(|_| ()),
            None => Ok(()),
        }
    }

    fn save_copies(&mut self, id: &BundleId, copies: u8) -> Result<(), StoreError> {
        match self.bundles.find(self.writing()?, id)? {
            Some(sequence) => self.change("UPDATE bundle SET copies = ?2 WHERE sequence = ?1", params![sequence, copies]).map(|_| ()),
            None => Ok(()),
        }
    }

    fn save_stored(&mut self, id: &BundleId, stored: Hour) -> Result<(), StoreError> {
        match self.bundles.find(self.writing()?, id)? {
            Some(sequence) => self.change("UPDATE bundle SET stored = ?2 WHERE sequence = ?1", params![sequence, stored.0]).map(|_| ()),
            None => Ok(()),
        }
    }

    fn save_origin(&mut self, id: &BundleId, origin: Origin) -> Result<(), StoreError> {
        let origin = rows::origin_code(origin);
        match self.bundles.find(self.writing()?, id)? {
            Some(sequence) => self.change("UPDATE bundle SET origin = ?2 WHERE sequence = ?1", params![sequence, origin]).map(|_| ()),
            None => Ok(()),
        }
    }

    fn delete_bundle(&mut self, id: &BundleId) -> Result<(), StoreError> {
        match self.bundles.remove(self.writing()?, id)? {
            Some(sequence) => self.change("DELETE FROM bundle WHERE sequence = ?1", [sequence]).map(|_| ()),
            None => Ok(()),
        }
    }

    fn insert_gone(&mut self, row: &GoneRow) -> Result<(), StoreError> {
        let before = self.gone.find(self.writing()?, &row.id)?; // none: the next row
        let sql = "INSERT OR REPLACE INTO gone (row, id, created, expiry, tag, commitment, reason, at, ack, origin)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
        let GoneRow { id, created, expiry, tag, commitment, reason, ack, at, origin } = row;
        let (reason, origin) = (rows::reason_code(*reason), rows::origin_code(*origin));
        self.change(sql, params![before, id.0, created.0, expiry.0, tag.0, commitment.0, reason, at.0, ack, origin])?;
        self.gone.put(&self.connection, *id, self.connection.last_insert_rowid())
    }

    fn last_sequence(&self) -> Result<u64, StoreError> {
        let last: Option<i64> = self.one("SELECT seq FROM sqlite_sequence WHERE name = 'bundle'", [], |row| row.get(0))?;
        u64::try_from(last.unwrap_or(0)).map_err(|_| StoreError::Damaged("a sequence is negative"))
    }

    fn load_gone(&self) -> Result<Vec<GoneRow>, StoreError> {
        self.all("SELECT id, created, expiry, tag, commitment, reason, at, ack, origin FROM gone ORDER BY at, id", [], rows::gone)
    }

    fn delete_gone(&mut self, id: &BundleId) -> Result<(), StoreError> {
        match self.gone.remove(self.writing()?, id)? {
            Some(row) => self.change("DELETE FROM gone WHERE row = ?1", [row]).map(|_| ()),
            None => Ok(()),
        }
    }

    fn insert_ack(&mut self, row: &AckRow) -> Result<(), StoreError> {
        let before = self.acks.find(self.writing()?, &row.bundle)?; // none: the next row
        let sql = "INSERT OR REPLACE INTO ack (row, bundle, secret, due) VALUES (?1, ?2, ?3, ?4)";
        self.change(sql, params![before, row.bundle.0, row.secret.as_slice(), rows::bits(row.due.0)])?;
        self.acks.put(&self.connection, row.bundle, self.connection.last_insert_rowid())
    }

    fn load_acks(&self) -> Result<Vec<AckRow>, StoreError> {
        let mut acks = self.all("SELECT bundle, secret, due FROM ack ORDER BY bundle", [], rows::ack)?;
        acks.sort_by_key(|row| row.due); // here, as the column does not sort without sign
        Ok(acks)
    }

    fn delete_ack(&mut self, bundle: &BundleId) -> Result<(), StoreError> {
        match self.acks.remove(self.writing()?, bundle)? {
            Some(row) => self.change("DELETE FROM ack WHERE row = ?1", [row]).map(|_| ()),
            None => Ok(()),
        }
    }

    fn load_cursor(&self, contact: ContactId) -> Result<Cursor, StoreError> {
        let sql = "SELECT epoch, sequence FROM cursor WHERE contact = ?1";
        Ok(self.one(sql, [contact.0], rows::cursor)?.unwrap_or_default())
    }

    fn save_cursor(&mut self, contact: ContactId, cursor: Cursor) -> Result<(), StoreError> {
        let sql = "INSERT INTO cursor (contact, epoch, sequence) VALUES (?1, ?2, ?3)
                   ON CONFLICT (contact) DO UPDATE SET epoch = excluded.epoch, sequence = excluded.sequence";
        self.change(sql, params![contact.0, cursor.epoch, rows::bits(cursor.sequence)]).map(|_| ())
    }
}
