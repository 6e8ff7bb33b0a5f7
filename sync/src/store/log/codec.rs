//! How a log lies in its row.

use hedgerow_transports::TransportKind;

use super::{LogEntry, LogEvent, MAX_LOG_ENTRIES, MessageLog};
use crate::{
    id::ContactId,
    store::StoreError,
    time::UnixMillis,
    wire::{
        bundle::BUNDLE_SIZES,
        codec::{LengthError, Reader},
    },
};

/// The version of [`MessageLog::encode`].
pub(super) const VERSION: u8 = 1;

impl MessageLog {
    /// Encodes it for the store: nothing for an empty log, else a version byte and 7 to 12 bytes for each entry.
    pub(in crate::store) fn encode(&self) -> Vec<u8> {
        if self.0.is_empty() {
            return Vec::new();
        }
        let mut out = Vec::with_capacity(1 + 12 * self.0.len());
        out.push(VERSION);
        for LogEntry { at, what } in &self.0 {
            let [_, _, at @ ..] = at.0.to_be_bytes();
            let mut put = |kind: u8| {
                out.push(kind);
                out.extend_from_slice(&at);
            };
            match *what {
                LogEvent::Sealed { number, size } => {
                    put(1);
                    // In units of the smallest size.
                    out.push((usize::from(size) / BUNDLE_SIZES[0]) as u8);
                    out.extend_from_slice(&number.to_be_bytes());
                }
                LogEvent::Handed { to: Some(contact), transport } => {
                    put(2);
                    out.push(transport_code(transport));
                    out.extend_from_slice(&contact.0.to_be_bytes());
                }
                LogEvent::Handed { to: None, transport } => {
                    put(3);
                    out.push(transport_code(transport));
                }
                LogEvent::AskedAgain => put(4),
                LogEvent::Receipt => put(5),
                LogEvent::Read => put(6),
                LogEvent::Expired => put(7),
                LogEvent::NewKeys => put(8),
                LogEvent::Retried => put(9),
                LogEvent::TakenBack => put(10),
                LogEvent::LeftWithRequest => put(11),
            }
        }
        out
    }

    /// Decodes what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`] for anything else.
    pub(in crate::store) fn decode(bytes: &[u8]) -> Result<Self, StoreError> {
        const DAMAGED: StoreError = StoreError::Damaged("the log of a message");
        let mut reader = Reader::new(bytes);
        if reader.is_empty() {
            return Ok(Self::default());
        }
        if reader.u8() != Ok(VERSION) {
            return Err(DAMAGED);
        }
        let mut entries = Vec::new();
        while !reader.is_empty() {
            let entry = Self::decode_entry(&mut reader).ok().flatten().filter(|_| entries.len() < MAX_LOG_ENTRIES);
            entries.push(entry.ok_or(DAMAGED)?);
        }
        if entries.is_empty() { Err(DAMAGED) } else { Ok(Self(entries)) }
    }

    /// `None` for a value without a meaning.
    fn decode_entry(reader: &mut Reader<'_>) -> Result<Option<LogEntry>, LengthError> {
        let kind = reader.u8()?;
        let [a, b, c, d, e, f] = reader.array()?;
        let at = UnixMillis(u64::from_be_bytes([0, 0, a, b, c, d, e, f]));
        let what = match kind {
            1 => {
                let (units, number) = (reader.u8()?, reader.u32()?);
                let size = BUNDLE_SIZES.into_iter().find(|size| *size == usize::from(units) * BUNDLE_SIZES[0]);
                size.map(|size| LogEvent::Sealed { number, size: size as u16 })
            }
            2 => {
                let (transport, contact) = (transport_of(reader.u8()?.into()), ContactId(reader.u32()?));
                transport.map(|transport| LogEvent::Handed { to: Some(contact), transport })
            }
            3 => transport_of(reader.u8()?.into()).map(|transport| LogEvent::Handed { to: None, transport }),
            4 => Some(LogEvent::AskedAgain),
            5 => Some(LogEvent::Receipt),
            6 => Some(LogEvent::Read),
            7 => Some(LogEvent::Expired),
            8 => Some(LogEvent::NewKeys),
            9 => Some(LogEvent::Retried),
            10 => Some(LogEvent::TakenBack),
            11 => Some(LogEvent::LeftWithRequest),
            _ => None,
        };
        Ok(what.map(|what| LogEntry { at, what }))
    }
}

/// The number of a transport on disk.
pub(in crate::store) const fn transport_code(kind: TransportKind) -> u8 {
    match kind {
        TransportKind::Lan => 1,
        TransportKind::Memory => 2,
    }
}

/// The transport of a number; `None` if no program of ours writes it.
pub(in crate::store) const fn transport_of(code: i64) -> Option<TransportKind> {
    match code {
        1 => Some(TransportKind::Lan),
        2 => Some(TransportKind::Memory),
        _ => None,
    }
}
