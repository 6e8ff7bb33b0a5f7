//! What the engine keeps of one contact: the row, the exchange while it is under way, the ratchet and the numbers that are open.

use std::collections::{BTreeMap, HashMap};

use zeroize::Zeroizing;

use super::repair::Repair;
use crate::{
    crypto::{
        exchange::{IssuedLink, PendingRequest, ReplyState},
        ratchet::Ratchet,
    },
    id::BundleId,
    store::{ContactRow, OutboxRow, StoreError},
    time::{Hour, Instant},
    wire::codec::Reader,
};

/// The version of [`Pair::encode`].
const PAIR_VERSION: u8 = 1;
/// The version of [`Exchange::encode`].
const EXCHANGE_VERSION: u8 = 1;

/// One contact in memory.
pub(super) struct Contact {
    /// Its row; saved when [`dirty`](Self::dirty).
    pub(super) row: ContactRow,
    /// Whether the row has changed in this batch.
    pub(super) dirty: bool,
    /// The exchange that makes it a contact, or that still has to be answered.
    pub(super) exchange: Option<Exchange>,
    /// Ratchet and conversation, once established.
    pub(super) pair: Option<Pair>,
    /// How many bundles had been let go when it was last in reach: it has been told of their acks. Absent if the program was started since.
    pub(super) told_acks: Option<u64>,
}

/// A contact exchange under way, or settled and still answering.
pub(super) enum Exchange {
    /// We made the link.
    Issued {
        /// The link.
        link: IssuedLink,
        /// What settled it, once something has, with how often it was answered.
        answered: Option<(ReplyState, u8)>,
        /// Requests by others that were refused.
        refused: u8,
        /// The contact has shown that it has the reply: whoever comes with the link from now on is somebody else.
        met: bool,
        /// The reply.
        bundle: BundleId,
    },
    /// We were given the link.
    Requested {
        /// The request.
        request: PendingRequest,
        /// How many tries have been sealed.
        tries: u8,
        /// When the last was.
        last: Hour,
        /// The request.
        bundle: BundleId,
    },
}

impl Exchange {
    /// Encodes it for the store.
    pub(super) fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut out = Zeroizing::new(vec![EXCHANGE_VERSION]);
        let mut put = |bytes: &[u8]| {
            out.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
            out.extend_from_slice(bytes);
        };
        match self {
            Self::Issued { link, answered, refused, met, bundle } => {
                put(&[1, *refused, answered.as_ref().map_or(0, |(_, count)| *count), (*met).into()]);
                put(&bundle.0);
                put(&link.encode());
                put(&answered.as_ref().map_or_else(Zeroizing::default, |(reply, _)| reply.encode()));
            }
            Self::Requested { request, tries, last, bundle } => {
                put(&[2, *tries, 0, 0]);
                put(&bundle.0);
                put(&request.encode());
                put(&last.0.to_be_bytes());
            }
        }
        out
    }

    /// Decodes what [`encode`](Self::encode) wrote.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, StoreError> {
        const DAMAGED: StoreError = StoreError::Damaged("a contact exchange");
        let mut reader = Reader::new(bytes);
        if reader.u8().ok() != Some(EXCHANGE_VERSION) {
            return Err(DAMAGED);
        }
        let mut take = || -> Option<&[u8]> {
            let length = reader.u32().ok()?;
            reader.bytes(usize::try_from(length).ok()?).ok()
        };
        let parts = (take(), take(), take(), take());
        let (Some(&[kind, first, second, met]), Some(bundle), Some(body), Some(rest)) = parts else { return Err(DAMAGED) };
        let bundle = BundleId(bundle.try_into().map_err(|_| DAMAGED)?);
        match kind {
            1 => Ok(Self::Issued {
                link: IssuedLink::decode(body).map_err(|_| DAMAGED)?,
                answered: if rest.is_empty() { None } else { Some((ReplyState::decode(rest).map_err(|_| DAMAGED)?, second)) },
                refused: first,
                met: met != 0,
                bundle,
            }),
            2 => Ok(Self::Requested {
                request: PendingRequest::decode(body).map_err(|_| DAMAGED)?,
                tries: first,
                bundle,
                last: Hour(u32::from_be_bytes(rest.try_into().map_err(|_| DAMAGED)?)),
            }),
            _ => Err(DAMAGED),
        }
    }

    /// Whether it waits for the other side.
    pub(super) const fn is_pending(&self) -> bool {
        match self {
            Self::Issued { answered, .. } => answered.is_none(),
            Self::Requested { .. } => true,
        }
    }
}

/// Ratchet and conversation of an established contact.
pub(super) struct Pair {
    /// The ratchet.
    pub(super) ratchet: Ratchet,
    /// What is kept for a repair; outlives the ratchet.
    pub(super) repair: Repair,
    /// Numbers that are used and not closed; the store's rows.
    pub(super) outbox: BTreeMap<u32, OutboxRow>,
    /// The numbers of the outbox, by bundle.
    pub(super) by_bundle: HashMap<BundleId, u32>,
    /// Whether ratchet or conversation have changed in this batch.
    pub(super) dirty: bool,
    /// Whether messages may wait unsealed in the store.
    pub(super) unsealed: bool,
    /// A receipt is owed.
    pub(super) receipt_owed: bool,
    /// When the receipt goes out even though the contact is not in reach.
    pub(super) receipt_due: Option<Instant>,
    /// The contact is to be told up to where everything is read.
    pub(super) read_due: bool,
    /// The highest order in the conversation.
    pub(super) order: u64,
    /// Since which hour the lowest gap has been there: the confirmed count then, and the hour.
    pub(super) gap: Option<(u32, Hour)>,
    /// How many messages were sealed again because the contact asked, since this hour.
    pub(super) asked: (Hour, u32),
}

impl Pair {
    /// Starts the conversation of a new contact.
    pub(super) fn new(ratchet: Ratchet, repair: Repair) -> Self {
        Self {
            ratchet,
            repair,
            outbox: BTreeMap::new(),
            by_bundle: HashMap::new(),
            dirty: true,
            unsealed: true,
            receipt_owed: false,
            receipt_due: None,
            read_due: false,
            order: 0,
            gap: None,
            asked: (Hour::UNKNOWN, 0),
        }
    }

    /// Encodes ratchet and conversation for the store; the outbox has rows of its own.
    pub(super) fn encode(&self) -> Zeroizing<Vec<u8>> {
        let (ratchet, repair) = (self.ratchet.encode(), self.repair.encode());
        let mut out = Zeroizing::new(Vec::with_capacity(ratchet.len() + repair.len() + 32));
        out.push(PAIR_VERSION);
        out.push(self.receipt_owed.into());
        out.push(self.read_due.into());
        let (confirmed, since) = self.gap.unwrap_or((0, Hour::UNKNOWN));
        out.push(self.gap.is_some().into());
        for value in [confirmed, since.0, self.asked.0.0, self.asked.1] {
            out.extend_from_slice(&value.to_be_bytes());
        }
        out.extend_from_slice(&(repair.len() as u32).to_be_bytes());
        out.extend_from_slice(&repair);
        out.extend_from_slice(&ratchet);
        out
    }

    /// Decodes what [`encode`](Self::encode) wrote; `order` and `outbox` come from the store.
    pub(super) fn decode(bytes: &[u8], order: u64, outbox: Vec<OutboxRow>) -> Result<Self, StoreError> {
        const DAMAGED: StoreError = StoreError::Damaged("the keys of a contact");
        let mut reader = Reader::new(bytes);
        let mut parse = || -> Option<Self> {
            if reader.u8().ok()? != PAIR_VERSION {
                return None;
            }
            let receipt_owed = reader.u8().ok()? != 0;
            let read_due = reader.u8().ok()? != 0;
            let is_gap = reader.u8().ok()? != 0;
            let gap = (reader.u32().ok()?, Hour(reader.u32().ok()?));
            let asked = (Hour(reader.u32().ok()?), reader.u32().ok()?);
            let repair = usize::try_from(reader.u32().ok()?).ok()?;
            let repair = Repair::decode(reader.bytes(repair).ok()?)?;
            Some(Self {
                repair,
                receipt_owed,
                read_due,
                gap: is_gap.then_some(gap),
                asked,
                order,
                dirty: false,
                unsealed: true,
                receipt_due: None,
                outbox: BTreeMap::new(),
                by_bundle: HashMap::new(),
                ratchet: Ratchet::decode(reader.rest()).ok()?,
            })
        };
        let mut pair = parse().ok_or(DAMAGED)?;
        outbox.into_iter().for_each(|row| pair.open_number(row));
        Ok(pair)
    }

    /// The lowest number that is not closed (docs/protocol.md, section 8.3).
    pub(super) fn floor(&self) -> u32 {
        self.outbox.first_key_value().map_or_else(|| self.ratchet.next_number(), |(number, _)| *number)
    }

    /// Enters a number that is used.
    pub(super) fn open_number(&mut self, row: OutboxRow) {
        self.by_bundle.insert(row.bundle, row.number);
        self.outbox.insert(row.number, row);
    }

    /// Takes out a number that is closed.
    pub(super) fn close_number(&mut self, number: u32) -> Option<OutboxRow> {
        let row = self.outbox.remove(&number)?;
        self.by_bundle.remove(&row.bundle);
        Some(row)
    }

    /// Takes out a number whose bundle is lost or has run out. What it told of reading is told again; a message's fate is the caller's.
    pub(super) fn give_up(&mut self, number: u32) -> Option<OutboxRow> {
        let row = self.close_number(number)?;
        if row.message.is_none() {
            self.read_due = true;
        }
        Some(row)
    }
}
