//! The ratchet as a blob of the database. The database is encrypted and authenticated; decoding still trusts nothing.

use std::ops::Range;

use zeroize::Zeroizing;

use super::{
    Ratchet, Receiving, Sending, SkippedKey,
    chain::{MessageChain, RatchetKey, TagChain},
    pq::{Hybrid, PAIR_EPOCHS, Phase, Sent, Word},
    window::Received,
};
use crate::{
    crypto::{pair_keys::PairRole, secret::Secret},
    id::Tag,
    time::Hour,
    wire::codec::{LengthError, Reader},
};

/// The version of the blob that this code writes.
const STATE_VERSION: u8 = 1;
/// Length of what [`SkippedKey::encode`] writes, bytes.
pub const SKIPPED_KEY_LEN: usize = 68;

/// Why bytes from the store are no state of a ratchet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// A version this program does not know: the version.
    #[error("version {0} of a stored ratchet is unknown")]
    Version(u8),
    /// Cut off, or too long.
    #[error(transparent)]
    Length(#[from] LengthError),
    /// A value that no ratchet can have.
    #[error("a field of a stored ratchet is out of range")]
    Field,
}

impl Ratchet {
    /// Encodes the whole state: what the caller commits. Copies every secret out.
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let Self { root, sending, next_sending, receiving, next_receiving, received, peer_confirmed, floor, hybrid } = self;
        let mut out = Writer::with_capacity(BASE_CAPACITY + 8 * received.ranges().len());
        out.u8(STATE_VERSION);
        out.secret(root);
        let Sending { ratchet, messages, tags, start, length, previous, pq, answered } = sending;
        [ratchet.secret(), messages.key(), tags.key()].into_iter().for_each(|key| out.secret(key));
        [start, length, previous, pq].into_iter().for_each(|&number| out.u32(number));
        out.u8(u8::from(*answered));
        out.secret(next_sending);
        out.u8(u8::from(receiving.is_some()));
        if let Some(Receiving { ratchet_key, index, start, previous, pq, messages, near, far, next }) = receiving {
            out.bytes(ratchet_key);
            [index, start, previous, pq, next].into_iter().for_each(|&number| out.u32(number));
            [messages.key(), near.key(), far.key()].into_iter().for_each(|key| out.secret(key));
        }
        out.secret(next_receiving);
        [received.confirmed(), received.floor(), received.ranges().len() as u32].into_iter().for_each(|number| out.u32(number));
        received.ranges().iter().for_each(|range| [range.start, range.end].into_iter().for_each(|number| out.u32(number)));
        out.u32(*peer_confirmed);
        out.u32(*floor);
        put_hybrid(&mut out, hybrid);
        out.0
    }

    /// Decodes what [`Self::encode`] wrote.
    ///
    /// # Errors
    ///
    /// [`StateError`] if it wrote no such thing.
    pub fn decode(bytes: &[u8]) -> Result<Self, StateError> {
        let mut reader = Reader::new(bytes);
        match reader.u8()? {
            STATE_VERSION => {}
            other => return Err(StateError::Version(other)),
        }
        let root = secret(&mut reader)?;
        let sending = Sending {
            ratchet: RatchetKey::new(secret(&mut reader)?),
            messages: MessageChain::new(secret(&mut reader)?),
            tags: TagChain::new(secret(&mut reader)?),
            start: reader.u32()?,
            length: reader.u32()?,
            previous: reader.u32()?,
            pq: reader.u32()?,
            answered: flag(&mut reader)?,
        };
        let next_sending = secret(&mut reader)?;
        let receiving = if flag(&mut reader)? { Some(receiving(&mut reader)?) } else { None };
        let next_receiving = secret(&mut reader)?;
        let received = received(&mut reader)?;
        let (peer_confirmed, floor) = (reader.u32()?, reader.u32()?);
        let hybrid = hybrid(&mut reader)?;
        reader.finish()?;

        let sealed = sending.start.checked_add(sending.length);
        if sealed.is_none_or(|sealed| peer_confirmed.max(floor) > sealed) {
            return Err(StateError::Field);
        }
        Ok(Self { root, sending, next_sending, receiving, next_receiving, received, peer_confirmed, floor, hybrid })
    }
}

impl SkippedKey {
    /// Encodes the secrets; tag, chain and number have columns of their own.
    pub fn encode(&self) -> Zeroizing<[u8; SKIPPED_KEY_LEN]> {
        let mut out = Zeroizing::new([0; SKIPPED_KEY_LEN]);
        out[..4].copy_from_slice(&self.n.to_be_bytes());
        out[4..36].copy_from_slice(self.header.expose());
        out[36..].copy_from_slice(self.message.expose());
        out
    }

    /// Decodes what [`Self::encode`] wrote.
    ///
    /// # Errors
    ///
    /// [`StateError`] if it wrote no such thing.
    pub fn decode(tag: Tag, chain: u32, number: u32, secrets: &[u8]) -> Result<Self, StateError> {
        let mut reader = Reader::new(secrets);
        let key = Self { tag, chain, number, n: reader.u32()?, header: secret(&mut reader)?, message: secret(&mut reader)? };
        reader.finish()?;
        Ok(key)
    }
}

/// Room for everything but the received ranges, so that no secret is left behind in a buffer that was too small.
const BASE_CAPACITY: usize = 2_048;

/// Appends fields to a buffer that is wiped.
struct Writer(Zeroizing<Vec<u8>>);

impl Writer {
    fn with_capacity(capacity: usize) -> Self {
        Self(Zeroizing::new(Vec::with_capacity(capacity)))
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    fn u32(&mut self, value: u32) {
        self.bytes(&value.to_be_bytes());
    }

    fn secret<const N: usize>(&mut self, secret: &Secret<N>) {
        self.bytes(secret.expose());
    }
}

fn secret<const N: usize>(reader: &mut Reader<'_>) -> Result<Secret<N>, StateError> {
    Secret::from_slice(reader.bytes(N)?).ok_or(StateError::Field)
}

fn flag(reader: &mut Reader<'_>) -> Result<bool, StateError> {
    match reader.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(StateError::Field),
    }
}

fn receiving(reader: &mut Reader<'_>) -> Result<Receiving, StateError> {
    let chain = Receiving {
        ratchet_key: reader.array()?,
        index: reader.u32()?,
        start: reader.u32()?,
        previous: reader.u32()?,
        pq: reader.u32()?,
        next: reader.u32()?,
        messages: MessageChain::new(secret(reader)?),
        near: TagChain::new(secret(reader)?),
        far: TagChain::new(secret(reader)?),
    };
    chain.start.checked_add(chain.next).map(|_| chain).ok_or(StateError::Field)
}

fn received(reader: &mut Reader<'_>) -> Result<Received, StateError> {
    let (confirmed, floor, count) = (reader.u32()?, reader.u32()?, reader.u32()?);
    let mut ranges: Vec<Range<u32>> = Vec::new();
    for _ in 0..count {
        ranges.push(reader.u32()?..reader.u32()?);
    }
    Received::from_parts(confirmed, floor, ranges).ok_or(StateError::Field)
}

fn put_hybrid(out: &mut Writer, hybrid: &Hybrid) {
    let Hybrid { role, starts, phase, messages, since, secrets, sending_epoch } = hybrid;
    out.u8(role.direction());
    out.u8(u8::from(*starts));
    out.u32(*messages);
    out.u8(u8::from(since.is_some()));
    if let Some(since) = since {
        out.u32(since.0);
    }
    out.u32(*sending_epoch);
    out.u8(secrets.len() as u8);
    for (epoch, secret) in secrets {
        out.u32(*epoch);
        out.secret(secret);
    }
    match phase {
        Phase::Idle => out.u8(0),
        Phase::Offered { epoch: _, seed, sent } => {
            out.u8(1);
            out.secret(seed);
            put_sent(out, *sent);
        }
        Phase::Answered { epoch: _, shared, ciphertext, sent } => {
            out.u8(2);
            out.secret(shared);
            out.bytes(ciphertext.as_slice());
            put_sent(out, *sent);
        }
        Phase::Decapsulated { epoch: _, shared } => {
            out.u8(3);
            out.secret(shared);
        }
    }
}

fn hybrid(reader: &mut Reader<'_>) -> Result<Hybrid, StateError> {
    let role = match reader.u8()? {
        byte if byte == PairRole::Issuer.direction() => PairRole::Issuer,
        byte if byte == PairRole::Invitee.direction() => PairRole::Invitee,
        _ => return Err(StateError::Field),
    };
    let starts = flag(reader)?;
    let messages = reader.u32()?;
    let since = if flag(reader)? { Some(Hour(reader.u32()?)) } else { None };
    let sending_epoch = reader.u32()?;
    let mut secrets: Vec<(u32, Secret<32>)> = Vec::new();
    for _ in 0..reader.u8()? {
        let epoch = reader.u32()?;
        if secrets.last().is_some_and(|(last, _)| last.checked_add(1) != Some(epoch)) {
            return Err(StateError::Field);
        }
        secrets.push((epoch, secret(reader)?));
    }
    let newest = secrets.last().map(|(epoch, _)| *epoch).ok_or(StateError::Field)?;
    if secrets.len() > PAIR_EPOCHS || !secrets.iter().any(|(epoch, _)| *epoch == sending_epoch) {
        return Err(StateError::Field);
    }
    // The epoch of an open step follows from the secrets: the answer and the decapsulation have made the newest, an offer makes the next.
    let phase = match reader.u8()? {
        0 => Phase::Idle,
        1 => Phase::Offered { epoch: newest.checked_add(1).ok_or(StateError::Field)?, seed: secret(reader)?, sent: sent(reader)? },
        2 => Phase::Answered { epoch: newest, shared: secret(reader)?, ciphertext: Box::new(reader.array()?), sent: sent(reader)? },
        3 => Phase::Decapsulated { epoch: newest, shared: secret(reader)? },
        _ => return Err(StateError::Field),
    };
    Ok(Hybrid { role, starts, phase, messages, since, secrets, sending_epoch })
}

fn put_sent(out: &mut Writer, sent: Option<Sent>) {
    out.u8(u8::from(sent.is_some()));
    if let Some(Sent { hour, number, word }) = sent {
        out.u32(hour.0);
        out.u32(number);
        out.u8(word as u8);
    }
}

fn sent(reader: &mut Reader<'_>) -> Result<Option<Sent>, StateError> {
    if !flag(reader)? {
        return Ok(None);
    }
    let (hour, number) = (Hour(reader.u32()?), reader.u32()?);
    let word = [Word::None, Word::Arrived, Word::AskedAgain].into_iter().nth(usize::from(reader.u8()?)).ok_or(StateError::Field)?;
    Ok(Some(Sent { hour, number, word }))
}
