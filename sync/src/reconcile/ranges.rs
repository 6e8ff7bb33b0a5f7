//! The body of a RANGES record (docs/protocol.md, section 6.2).

use super::{
    order::{Bound, Key, Range},
    visible::{FINGERPRINT_LEN, Fingerprint},
};
use crate::{
    id::ShortId,
    time::Hour,
    wire::codec::{LengthError, Reader, put_leb128},
};

/// Longest body, bytes (docs/protocol.md, section 4).
pub const MAX_BODY_LEN: usize = 4_096;

/// Most ids in one list (docs/protocol.md, section 6.2).
pub const MAX_LISTED: usize = 256;

/// Flag: the receiver answers this record.
const ASKS: u8 = 0x01;
/// Flag: this record answers the receiver's oldest unanswered question.
const ANSWERS: u8 = 0x02;
/// Flag: the sender has more ranges to send, whatever the receiver does.
const MORE: u8 = 0x04;

/// Modes, bits 7 and 6 of an entry's first byte.
const MODE_SKIP: u8 = 0;
const MODE_FINGERPRINT: u8 = 1;
const MODE_IDS: u8 = 2;

/// Prefix length that says "down to the end".
const TO_END: u8 = 63;

/// Why a body is no RANGES record. The session it came on is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The body is longer than [`MAX_BODY_LEN`]: its length in bytes.
    #[error("ranges of {0} bytes, at most {MAX_BODY_LEN} are allowed")]
    TooLong(usize),
    /// A field is cut off, or an integer is not in its shortest form.
    #[error(transparent)]
    Length(#[from] LengthError),
    /// An unknown flag is set: the flags.
    #[error("unknown flags {0:#04x}")]
    Flags(u8),
    /// An unknown mode: the entry's first byte.
    #[error("unknown kind of range {0:#04x}")]
    Mode(u8),
    /// A prefix is longer than an id, or ends in a zero byte: its length.
    #[error("prefix of {0} bytes is too long or not the shortest")]
    Prefix(u8),
    /// A bound doesn't lie below the one before it.
    #[error("bounds don't descend")]
    Order,
    /// A list has more than [`MAX_LISTED`] ids: how many.
    #[error("list of {0} ids, at most {MAX_LISTED} are allowed")]
    TooManyIds(u32),
    /// A list names an id twice.
    #[error("list names an id twice")]
    RepeatedId,
    /// Bits of a bitmap are set that stand for no id.
    #[error("bitmap says something of ids that are not listed")]
    Bitmap,
    /// There is a fingerprint in a record that needn't be answered.
    #[error("fingerprint in a record that asks nothing")]
    Unasked,
}

/// An id in a list.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Listed {
    /// The bundle.
    pub(super) short: ShortId,
    /// Held, or only remembered.
    pub(super) held: bool,
}

/// What a record says of one range.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Content {
    /// Nothing.
    Skip,
    /// Its fingerprint.
    Fingerprint(Fingerprint),
    /// All its items.
    Ids(Vec<Listed>),
}

/// A decoded body.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Record {
    /// The receiver answers it.
    pub(super) asks: bool,
    /// It answers the receiver's oldest unanswered question.
    pub(super) answers: bool,
    /// The sender has more to send.
    pub(super) more: bool,
    /// Neighbouring ranges, newest first.
    pub(super) entries: Vec<(Range, Content)>,
}

/// Decodes a body strictly: one meaning has one form.
pub(super) fn decode(body: &[u8]) -> Result<Record, DecodeError> {
    if body.len() > MAX_BODY_LEN {
        return Err(DecodeError::TooLong(body.len()));
    }
    let mut reader = Reader::new(body);
    let flags = reader.u8()?;
    if flags & !(ASKS | ANSWERS | MORE) != 0 {
        return Err(DecodeError::Flags(flags));
    }
    let asks = flags & ASKS != 0;
    let mut entries = Vec::new();
    let mut above = Bound::Top;
    while !reader.is_empty() {
        let head = reader.u8()?;
        let from = decode_bound(&mut reader, head & 0x3f, above)?;
        if from >= above {
            return Err(DecodeError::Order);
        }
        let content = match head >> 6 {
            MODE_SKIP => Content::Skip,
            MODE_FINGERPRINT if asks => Content::Fingerprint(reader.array()?),
            MODE_FINGERPRINT => return Err(DecodeError::Unasked),
            MODE_IDS => Content::Ids(decode_ids(&mut reader)?),
            _ => return Err(DecodeError::Mode(head)),
        };
        entries.push((Range { above, from }, content));
        above = from;
    }
    Ok(Record { asks, answers: flags & ANSWERS != 0, more: flags & MORE != 0, entries })
}

fn decode_bound(reader: &mut Reader<'_>, prefix_len: u8, above: Bound) -> Result<Bound, DecodeError> {
    if prefix_len == TO_END {
        return Ok(Bound::END);
    }
    let hour = hour_of(above).checked_sub(reader.leb128()?).ok_or(DecodeError::Order)?;
    let mut id = [0; 32];
    let to = id.get_mut(..usize::from(prefix_len)).ok_or(DecodeError::Prefix(prefix_len))?;
    to.copy_from_slice(reader.bytes(to.len())?);
    if to.last() == Some(&0) {
        return Err(DecodeError::Prefix(prefix_len));
    }
    Ok(Bound::At(Key { hour: Hour(hour), id }))
}

fn decode_ids(reader: &mut Reader<'_>) -> Result<Vec<Listed>, DecodeError> {
    let count = reader.leb128()?;
    let len = usize::try_from(count).ok().filter(|&len| len <= MAX_LISTED).ok_or(DecodeError::TooManyIds(count))?;
    let (shorts, _) = reader.bytes(len * 8)?.as_chunks::<8>();
    let bitmap = reader.bytes(len.div_ceil(8))?;
    let bits = bitmap.iter().flat_map(|byte| (0..8).map(move |bit| byte & 0x80 >> bit != 0));
    if bits.clone().skip(len).any(|bit| bit) {
        return Err(DecodeError::Bitmap);
    }
    let listed: Vec<Listed> = shorts.iter().zip(bits).map(|(short, held)| Listed { short: ShortId(*short), held }).collect();
    let mut sorted: Vec<ShortId> = listed.iter().map(|listed| listed.short).collect();
    sorted.sort_unstable();
    if sorted.windows(2).any(|pair| pair.first() == pair.last()) {
        return Err(DecodeError::RepeatedId);
    }
    Ok(listed)
}

/// What the next hour is counted down from.
const fn hour_of(bound: Bound) -> u32 {
    match bound {
        Bound::At(key) => key.hour.0,
        Bound::Top => u32::MAX,
    }
}

/// Writes one body, newest range first.
#[derive(Debug)]
pub(super) struct Writer {
    bytes: Vec<u8>,
    above: Bound,
    has_fingerprint: bool,
}

impl Writer {
    /// Starts a body; its flags come last.
    pub(super) fn new() -> Self {
        Self { bytes: vec![0], above: Bound::Top, has_fingerprint: false }
    }

    /// Adds a range that lies below those added before, with a skip in front of it if need be. `false`, with nothing added, if it
    /// doesn't fit or doesn't lie below.
    pub(super) fn push(&mut self, range: Range, content: &Content) -> bool {
        if range.above > self.above {
            return false;
        }
        let mut entry = Vec::with_capacity(64);
        if range.above < self.above {
            put_bound(&mut entry, MODE_SKIP, self.above, range.above);
        }
        match content {
            Content::Skip => put_bound(&mut entry, MODE_SKIP, range.above, range.from),
            Content::Fingerprint(fingerprint) => {
                put_bound(&mut entry, MODE_FINGERPRINT, range.above, range.from);
                entry.extend_from_slice(fingerprint);
            }
            Content::Ids(listed) => {
                put_bound(&mut entry, MODE_IDS, range.above, range.from);
                put_ids(&mut entry, listed);
            }
        }
        if self.bytes.len() + entry.len() > MAX_BODY_LEN {
            return false;
        }
        self.bytes.extend_from_slice(&entry);
        self.above = range.from;
        self.has_fingerprint |= matches!(content, Content::Fingerprint(_));
        true
    }

    /// Says whether a fingerprint was added, so that the record must be answered.
    pub(super) const fn has_fingerprint(&self) -> bool {
        self.has_fingerprint
    }

    /// Ends the body.
    pub(super) fn finish(mut self, asks: bool, answers: bool, more: bool) -> Vec<u8> {
        let flag = |set: bool, flag: u8| if set { flag } else { 0 };
        if let Some(flags) = self.bytes.first_mut() {
            *flags = flag(asks, ASKS) | flag(answers, ANSWERS) | flag(more, MORE);
        }
        self.bytes
    }
}

fn put_bound(out: &mut Vec<u8>, mode: u8, above: Bound, from: Bound) {
    match from {
        Bound::At(key) if key != Key::END => {
            let prefix_len = key.id.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
            out.push(mode << 6 | prefix_len as u8);
            put_leb128(out, hour_of(above) - key.hour.0);
            out.extend(key.id.iter().take(prefix_len));
        }
        _ => out.push(mode << 6 | TO_END),
    }
}

fn put_ids(out: &mut Vec<u8>, listed: &[Listed]) {
    put_leb128(out, listed.len() as u32);
    for item in listed {
        out.extend_from_slice(&item.short.0);
    }
    for eight in listed.chunks(8) {
        out.push(eight.iter().zip(0..).fold(0, |byte, (item, bit)| byte | if item.held { 0x80_u8 >> bit } else { 0 }));
    }
}

const _: () = assert!(FINGERPRINT_LEN == 12, "the size of an entry in docs/protocol.md, section 6.2");
