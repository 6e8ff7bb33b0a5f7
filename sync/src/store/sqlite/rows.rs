//! How rows become columns and back. A value that no program of ours writes is an error, not a guess.

use rusqlite::{Error, Result, Row, types::Type};
use zeroize::Zeroizing;

use crate::{
    id::{BundleId, Commitment, ContactId, MessageId, Tag},
    store::{
        AckRow, BundleRow, ContactRow, Cursor, DataRow, DataState, ExchangeRow, GoneReason, GoneRow, MessageLog, MessageRow, Origin,
        OutboxRow, SecretBytes, Setting, SkippedRow, Summary, log,
    },
    time::{Hour, UnixMillis},
    view::{ContactState, MessageState},
    wire::bundle::{Class, Lifetime},
};

/// Columns of a contact, as [`contact`] reads them.
pub(super) const CONTACT: &str = "id, alias, own_name, card, state, verified, created, last_seen, last_transport, why, receipts, muted";
/// Columns of a message, as [`message`] reads them; the table is `m`.
macro_rules! message_columns {
    () => {
        "m.contact, m.outgoing, m.id, m.place, m.text, m.sent, m.stored, m.state, m.urgent, m.number, m.expires, m.handed_contacts, \
         m.handed_strangers, m.sealed, m.log"
    };
}
pub(super) use message_columns;

/// Stores 64 bits without sign: bit by bit, as these are not sorted.
pub(super) fn bits(value: u64) -> i64 {
    value.cast_signed()
}

/// Stores 64 bits without sign so that they sort.
pub(super) fn place(order: u64) -> i64 {
    (order ^ (1 << 63)).cast_signed()
}

fn order(place: i64) -> u64 {
    place.cast_unsigned() ^ (1 << 63)
}

fn out_of_range<T>(column: usize, value: i64) -> Result<T> {
    Err(Error::IntegralValueOutOfRange(column, value))
}

fn millis(row: &Row<'_>, column: usize) -> Result<UnixMillis> {
    Ok(UnixMillis(row.get::<_, i64>(column)?.cast_unsigned()))
}

/// Reads the first column as a number that is never negative.
pub(super) fn count(row: &Row<'_>) -> Result<u64> {
    let value = row.get(0)?;
    u64::try_from(value).or_else(|_| out_of_range(0, value))
}

/// Reads a blob without leaving a copy that is not wiped.
pub(super) fn secret(row: &Row<'_>, column: usize) -> Result<SecretBytes> {
    Ok(Zeroizing::new(row.get_ref(column)?.as_blob()?.to_vec()))
}

/// The number of a setting.
pub(super) fn setting_code(setting: Setting) -> i64 {
    match setting {
        Setting::Device => 1,
        Setting::Name => 2,
        Setting::Epoch => 3,
        Setting::Clock => 4,
        Setting::Restored => 5,
        Setting::Policy => 6,
        Setting::Released => 7,
    }
}

/// The number of a contact's state.
pub(super) fn contact_state_code(state: ContactState) -> i64 {
    match state {
        ContactState::Invited => 0,
        ContactState::Pending => 1,
        ContactState::Established => 2,
        ContactState::Blocked => 3,
        ContactState::Failed => 4,
    }
}

/// The number of a message's state; partial indexes name some of them.
pub(super) fn message_state_code(state: MessageState) -> i64 {
    match state {
        MessageState::Queued => 0,
        MessageState::Carried => 1,
        MessageState::Delivered => 2,
        MessageState::Read => 3,
        MessageState::Expired => 4,
        MessageState::Failed => 5,
    }
}

/// The number of a large message's state; [`load_open_data`](crate::store::Store::load_open_data) asks for those below 3.
pub(super) fn data_state_code(state: DataState) -> i64 {
    match state {
        DataState::Open => 0,
        DataState::Left => 1,
        DataState::Complete => 2,
        DataState::Told => 3,
        DataState::Void => 4,
    }
}

/// The number of an origin.
pub(super) fn origin_code(origin: Origin) -> i64 {
    match origin {
        Origin::StrangerInbound => -1,
        Origin::StrangerOutbound => -2,
        Origin::Own(id) => -3 - i64::from(id.0),
        Origin::Contact(id) => id.0.into(),
    }
}

/// The number of a reason.
pub(super) fn reason_code(reason: GoneReason) -> i64 {
    match reason {
        GoneReason::Dropped => 0,
        GoneReason::Acknowledged => 1,
    }
}

fn lifetime(column: usize, code: i64) -> Result<Lifetime> {
    let lifetime = usize::try_from(code).ok().and_then(|index| Lifetime::ALL.get(index));
    lifetime.map_or_else(|| out_of_range(column, code), |lifetime| Ok(*lifetime))
}

fn origin(column: usize, code: i64) -> Result<Origin> {
    if let Ok(id) = u32::try_from(code) {
        return Ok(Origin::Contact(ContactId(id)));
    }
    match code {
        -1 => Ok(Origin::StrangerInbound),
        -2 => Ok(Origin::StrangerOutbound),
        _ => match (-3_i64).checked_sub(code).map(u32::try_from) {
            Some(Ok(id)) => Ok(Origin::Own(ContactId(id))),
            _ => out_of_range(column, code),
        },
    }
}

/// Reads [`CONTACT`].
pub(super) fn contact(row: &Row<'_>) -> Result<ContactRow> {
    Ok(ContactRow {
        id: ContactId(row.get(0)?),
        alias: row.get(1)?,
        own_name: row.get(2)?,
        card: row.get(3)?,
        state: match row.get(4)? {
            0 => ContactState::Invited,
            1 => ContactState::Pending,
            2 => ContactState::Established,
            3 => ContactState::Blocked,
            4 => ContactState::Failed,
            other => return out_of_range(4, other),
        },
        verified: row.get(5)?,
        created: millis(row, 6)?,
        last_seen: row.get::<_, Option<i64>>(7)?.map(|value| UnixMillis(value.cast_unsigned())),
        last_transport: match row.get(8)? {
            None => None,
            Some(code) => Some(log::codec::transport_of(code).map_or_else(|| out_of_range(8, code), Ok)?),
        },
        why: row.get(9)?,
        receipts: row.get(10)?,
        muted: row.get(11)?,
    })
}

/// Reads `contact, state`.
pub(super) fn exchange(row: &Row<'_>) -> Result<ExchangeRow> {
    Ok(ExchangeRow { contact: ContactId(row.get(0)?), state: secret(row, 1)? })
}

/// Reads `contact, tag, number, chain, stored_hour, keys`.
pub(super) fn skipped(row: &Row<'_>) -> Result<SkippedRow> {
    Ok(SkippedRow {
        contact: ContactId(row.get(0)?),
        tag: Tag(row.get(1)?),
        number: row.get(2)?,
        chain: row.get(3)?,
        stored_hour: row.get(4)?,
        keys: secret(row, 5)?,
    })
}

/// Reads [`message_columns`].
pub(super) fn message(row: &Row<'_>) -> Result<MessageRow> {
    Ok(MessageRow {
        contact: ContactId(row.get(0)?),
        outgoing: row.get(1)?,
        id: MessageId(row.get(2)?),
        order: order(row.get(3)?),
        text: row.get(4)?,
        sent: millis(row, 5)?,
        stored: millis(row, 6)?,
        state: match row.get(7)? {
            0 => MessageState::Queued,
            1 => MessageState::Carried,
            2 => MessageState::Delivered,
            3 => MessageState::Read,
            4 => MessageState::Expired,
            5 => MessageState::Failed,
            other => return out_of_range(7, other),
        },
        urgent: row.get(8)?,
        number: row.get(9)?,
        expires: row.get::<_, Option<u32>>(10)?.map(Hour),
        handed_contacts: row.get(11)?,
        handed_strangers: row.get(12)?,
        sealed: row.get(13)?,
        log: MessageLog::decode(row.get_ref(14)?.as_blob()?).map_err(|_| Error::InvalidColumnType(14, "log".into(), Type::Blob))?,
    })
}

/// Reads `place, id`.
pub(super) fn message_place(row: &Row<'_>) -> Result<(u64, MessageId)> {
    Ok((order(row.get(0)?), MessageId(row.get(1)?)))
}

/// Reads the highest `place` of a conversation, or nothing.
pub(super) fn last_order(row: &Row<'_>) -> Result<u64> {
    Ok(row.get::<_, Option<i64>>(0)?.map_or(0, order))
}

/// Columns of a conversation at a glance, as [`summary`] reads them; the table is `contact c`.
macro_rules! summary_columns {
    () => {
        "c.id, (SELECT count(*) FROM message INDEXED BY message_delivered WHERE contact = c.id AND outgoing = 0 AND state = 2), \
         (SELECT stored FROM message WHERE contact = c.id ORDER BY place DESC, id DESC, outgoing DESC LIMIT 1), \
         EXISTS (SELECT 1 FROM draft WHERE contact = c.id)"
    };
}
pub(super) use summary_columns;

/// Reads [`summary_columns`].
pub(super) fn summary(row: &Row<'_>) -> Result<(ContactId, Summary)> {
    let unread = row.get(1)?;
    let summary = Summary {
        unread: u64::try_from(unread).or_else(|_| out_of_range(1, unread))?,
        last_message: row.get::<_, Option<i64>>(2)?.map(|value| UnixMillis(value.cast_unsigned())),
        draft: row.get(3)?,
    };
    Ok((ContactId(row.get(0)?), summary))
}

/// Columns of a large message, as [`data`] reads them.
macro_rules! data_columns {
    () => {
        "contact, outgoing, id, length, hash, key, created, state, number"
    };
}
pub(super) use data_columns;

/// Reads [`data_columns`].
pub(super) fn data(row: &Row<'_>) -> Result<DataRow> {
    Ok(DataRow {
        contact: ContactId(row.get(0)?),
        outgoing: row.get(1)?,
        id: MessageId(row.get(2)?),
        length: row.get(3)?,
        hash: row.get(4)?,
        key: row.get::<_, Option<[u8; 32]>>(5)?.map(Zeroizing::new),
        created: Hour(row.get(6)?),
        state: match row.get(7)? {
            0 => DataState::Open,
            1 => DataState::Left,
            2 => DataState::Complete,
            3 => DataState::Told,
            4 => DataState::Void,
            other => return out_of_range(7, other),
        },
        number: row.get(8)?,
    })
}

/// Reads `contact, number, message, wants_receipt, bundle, ack`.
pub(super) fn outbox(row: &Row<'_>) -> Result<OutboxRow> {
    Ok(OutboxRow {
        contact: ContactId(row.get(0)?),
        number: row.get(1)?,
        message: row.get::<_, Option<[u8; 16]>>(2)?.map(MessageId),
        wants_receipt: row.get(3)?,
        bundle: BundleId(row.get(4)?),
        ack: Zeroizing::new(row.get(5)?),
    })
}

/// Reads `sequence, id, size, class, lifetime, created, tag, commitment, origin, age, stored, forwarded, copies`.
pub(super) fn bundle(row: &Row<'_>) -> Result<BundleRow> {
    Ok(BundleRow {
        sequence: count(row)?,
        id: BundleId(row.get(1)?),
        size: row.get(2)?,
        class: match row.get(3)? {
            0 => Class::Normal,
            1 => Class::Urgent,
            other => return out_of_range(3, other),
        },
        lifetime: lifetime(4, row.get(4)?)?,
        created: Hour(row.get(5)?),
        tag: Tag(row.get(6)?),
        commitment: Commitment(row.get(7)?),
        origin: origin(8, row.get(8)?)?,
        age: row.get(9)?,
        stored: Hour(row.get(10)?),
        forwarded: row.get(11)?,
        copies: row.get(12)?,
    })
}

/// Reads `id, created, expiry, tag, commitment, reason, at, ack, origin`.
pub(super) fn gone(row: &Row<'_>) -> Result<GoneRow> {
    Ok(GoneRow {
        id: BundleId(row.get(0)?),
        created: Hour(row.get(1)?),
        expiry: Hour(row.get(2)?),
        tag: Tag(row.get(3)?),
        commitment: Commitment(row.get(4)?),
        reason: match row.get(5)? {
            0 => GoneReason::Dropped,
            1 => GoneReason::Acknowledged,
            other => return out_of_range(5, other),
        },
        at: Hour(row.get(6)?),
        ack: row.get(7)?,
        origin: origin(8, row.get(8)?)?,
    })
}

/// Reads `bundle, secret, due`.
pub(super) fn ack(row: &Row<'_>) -> Result<AckRow> {
    Ok(AckRow { bundle: BundleId(row.get(0)?), secret: Zeroizing::new(row.get(1)?), due: millis(row, 2)? })
}

/// Reads `epoch, sequence`.
pub(super) fn cursor(row: &Row<'_>) -> Result<Cursor> {
    Ok(Cursor { epoch: row.get(0)?, sequence: row.get::<_, i64>(1)?.cast_unsigned() })
}
