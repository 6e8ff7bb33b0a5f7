//! What the engine keeps of one contact: the row, the exchange while it is under way, the ratchet and the numbers that are open.

use std::collections::{BTreeMap, HashMap};

use zeroize::Zeroizing;

use super::repair::Repair;
use crate::{
    crypto::{
        exchange::{IssuedLink, PendingRequest, ReplyState},
        link::Link,
        ratchet::Ratchet,
    },
    id::{BundleId, MessageId},
    store::{ContactRow, OutboxRow, StoreError},
    time::{Hour, Instant},
    view::ContactState,
    wire::{bundle::Lifetime, codec::Reader},
};

/// The version of [`Pair::encode`].
const PAIR_VERSION: u8 = 2;
/// The version of [`Exchange::encode`].
const EXCHANGE_VERSION: u8 = 1;

/// Lifetime of the answers to a request (docs/protocol.md, section 7.4).
pub(super) const REPLY_LIFETIME: Lifetime = Lifetime::Fortnight;

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

impl Contact {
    /// Whether there are keys for messages both ways: those of a contact, or of one that we have found to be right and that has not shown yet
    /// that it did too (docs/protocol.md, section 7.8).
    pub(super) const fn is_paired(&self) -> bool {
        self.pair.is_some() && matches!(self.row.state, ContactState::Established | ContactState::Pending)
    }
}

/// A contact exchange under way, or settled and still answering.
pub(super) enum Exchange {
    /// We made the link.
    Issued {
        /// The link.
        link: IssuedLink,
        /// What settled it, once something has.
        reply: Option<ReplyState>,
        /// The requests answered, in order; at most sixteen.
        answers: Vec<Answered>,
        /// Set once the contact has shown that it has the reply: whoever comes with the link from then on is somebody else.
        met: bool,
    },
    /// We were given the link.
    Requested {
        /// The request.
        request: PendingRequest,
        /// The tries sealed so far, in order; at most sixteen.
        tries: Vec<Try>,
        /// When the last was.
        last: Hour,
        /// The same in running time; unknown after a restart.
        sealed: Option<Instant>,
    },
}

/// A request that was answered.
pub(super) struct Answered {
    /// The bundle it came in. The same bundle once more is no other request.
    pub(super) request: BundleId,
    /// The answer.
    pub(super) bundle: BundleId,
    /// The ack secret of the answer.
    pub(super) ack: Zeroizing<[u8; 16]>,
    /// It says *used*, as another request had settled the link.
    pub(super) used: bool,
}

/// A try of our request.
pub(super) struct Try {
    /// Its bundle.
    pub(super) bundle: BundleId,
    /// Its ack secret.
    pub(super) ack: Zeroizing<[u8; 16]>,
    /// The messages whose texts ride on it.
    pub(super) riders: Vec<MessageId>,
}

impl Exchange {
    /// Encodes it for the store: version 1 ‖ kind 1 ‖ and, for a link of ours (1), met 1 ‖ count 1 ‖ as many (request 32 ‖ answer 32 ‖ its
    /// ack secret 16 ‖ used 1) ‖ length of the link 4 ‖ link ‖ reply, if any; for a request (2), hour of the last try 4 ‖ count 1 ‖ as many (bundle 32 ‖ its
    /// ack secret 16 ‖ count 1 ‖ message ids) ‖ request.
    pub(super) fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut out = Zeroizing::new(vec![EXCHANGE_VERSION]);
        match self {
            Self::Issued { link, reply, answers, met } => {
                out.push(1);
                out.push((*met).into());
                out.push(answers.len() as u8);
                for answer in answers {
                    out.extend_from_slice(&answer.request.0);
                    out.extend_from_slice(&answer.bundle.0);
                    out.extend_from_slice(answer.ack.as_slice());
                    out.push(answer.used.into());
                }
                let link = link.encode();
                out.extend_from_slice(&(link.len() as u32).to_be_bytes());
                out.extend_from_slice(&link);
                if let Some(reply) = reply {
                    out.extend_from_slice(&reply.encode());
                }
            }
            Self::Requested { request, tries, last, sealed: _ } => {
                out.push(2);
                out.extend_from_slice(&last.0.to_be_bytes());
                out.push(tries.len() as u8);
                for try_ in tries {
                    out.extend_from_slice(&try_.bundle.0);
                    out.extend_from_slice(try_.ack.as_slice());
                    out.push(try_.riders.len() as u8);
                    try_.riders.iter().for_each(|id| out.extend_from_slice(&id.0));
                }
                out.extend_from_slice(&request.encode());
            }
        }
        out
    }

    /// Decodes what [`encode`](Self::encode) wrote.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, StoreError> {
        Self::parse(Reader::new(bytes)).ok_or(StoreError::Damaged("a contact exchange"))
    }

    fn parse(mut reader: Reader<'_>) -> Option<Self> {
        if reader.u8().ok()? != EXCHANGE_VERSION {
            return None;
        }
        match reader.u8().ok()? {
            1 => {
                let met = reader.u8().ok()? != 0;
                let answers = (0..reader.u8().ok()?)
                    .map(|_| {
                        let (request, bundle) = (BundleId(reader.array().ok()?), BundleId(reader.array().ok()?));
                        let ack = Zeroizing::new(reader.array().ok()?);
                        Some(Answered { request, bundle, ack, used: reader.u8().ok()? != 0 })
                    })
                    .collect::<Option<Vec<_>>>()?;
                let length = usize::try_from(reader.u32().ok()?).ok()?;
                let link = IssuedLink::decode(reader.bytes(length).ok()?).ok()?;
                let rest = reader.rest();
                let reply = if rest.is_empty() { None } else { Some(ReplyState::decode(rest).ok()?) };
                Some(Self::Issued { link, reply, answers, met })
            }
            2 => {
                let last = Hour(reader.u32().ok()?);
                let tries = (0..reader.u8().ok()?)
                    .map(|_| {
                        let (bundle, ack) = (BundleId(reader.array().ok()?), Zeroizing::new(reader.array().ok()?));
                        let riders = (0..reader.u8().ok()?).map(|_| reader.array().ok().map(MessageId)).collect::<Option<_>>()?;
                        Some(Try { bundle, ack, riders })
                    })
                    .collect::<Option<Vec<_>>>()?;
                Some(Self::Requested { request: PendingRequest::decode(reader.rest()).ok()?, tries, last, sealed: None })
            }
            _ => None,
        }
    }

    /// Whether it waits for the other side.
    pub(super) const fn is_pending(&self) -> bool {
        match self {
            Self::Issued { reply, .. } => reply.is_none(),
            Self::Requested { .. } => true,
        }
    }

    /// The last hour in which it is of use. A settled link outlasts its own last hour, as the replies to it are under way for a while yet.
    pub(super) fn ends(&self) -> Hour {
        let expires = self.link().expires();
        match self {
            Self::Requested { .. } | Self::Issued { reply: Some(_), met: false, .. } => expires.plus(REPLY_LIFETIME.hours()),
            Self::Issued { .. } => expires,
        }
    }

    /// The link.
    pub(super) const fn link(&self) -> &Link {
        match self {
            Self::Issued { link, .. } => link.link(),
            Self::Requested { request, .. } => request.link(),
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
    /// Bundles with a number below this count as having left this device, those above have not.
    pub(super) left_below: u32,
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
            left_below: 0,
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
        for value in [confirmed, since.0, self.asked.0.0, self.asked.1, self.left_below] {
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
            let version = reader.u8().ok()?;
            if !(1..=PAIR_VERSION).contains(&version) {
                return None;
            }
            let receipt_owed = reader.u8().ok()? != 0;
            let read_due = reader.u8().ok()? != 0;
            let is_gap = reader.u8().ok()? != 0;
            let gap = (reader.u32().ok()?, Hour(reader.u32().ok()?));
            let asked = (Hour(reader.u32().ok()?), reader.u32().ok()?);
            // Version 1 did not note it.
            let left_below = if version == 1 { u32::MAX } else { reader.u32().ok()? };
            let repair = usize::try_from(reader.u32().ok()?).ok()?;
            let repair = Repair::decode(reader.bytes(repair).ok()?)?;
            Some(Self {
                repair,
                receipt_owed,
                read_due,
                gap: is_gap.then_some(gap),
                asked,
                left_below,
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
