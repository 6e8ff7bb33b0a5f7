//! Records: what crosses an open session (docs/protocol.md, section 4).

use super::{
    codec::{LengthError, Reader},
    nearby::Step,
};
use crate::{
    crypto::identity::Name,
    id::{BeaconId, ShortId},
    time::Hour,
};

/// Most ids, or secrets, that one record carries.
pub const MAX_RECORD_IDS: usize = 256;
/// Longest body of a RANGES record, bytes.
pub const MAX_RANGES_LEN: usize = 4096;
/// Smallest and largest window that a HELLO may state, bytes.
pub const WINDOW_RANGE: std::ops::RangeInclusive<u32> = 4096..=1_048_576;
/// What `copies` says of a bundle without a copy limit.
pub const COPIES_UNLIMITED: u8 = 255;

/// Flag of HELLO: this node carries for the peer on this link.
const FLAG_CARRIES: u8 = 0x01;

/// What a side says of itself when a session opens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hello {
    /// Its beacon on this link's transport.
    pub beacon: BeaconId,
    /// Its mesh time.
    pub hour: Hour,
    /// How many bytes of bundles it takes unanswered.
    pub window: u32,
    /// Whether it carries for the peer on this link.
    pub carries: bool,
}

/// Why a bundle was not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// Expired, or created too far ahead.
    Time = 1,
    /// No room for it.
    Room = 2,
    /// Acknowledged, or dropped before.
    Unwanted = 3,
    /// This node does not carry for this peer.
    NotCarried = 4,
    /// Not a well-formed bundle.
    Malformed = 5,
}

/// Why a session is closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ByeReason {
    /// The node stops.
    Closing = 1,
    /// Another link leads to the same node.
    Duplicate = 2,
    /// The peer broke the protocol.
    Protocol = 3,
    /// The node was locked.
    Locked = 4,
    /// The node has enough links.
    Crowded = 5,
    /// Both ends are the same node.
    Myself = 6,
}

/// One record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Record {
    /// First record each way.
    Hello(Hello),
    /// Names held bundles.
    Offer {
        /// Counts the sender's offers from 0.
        batch: u16,
        /// 1 to [`MAX_RECORD_IDS`].
        ids: Vec<ShortId>,
    },
    /// Answers one offer.
    Pick {
        /// The offer's batch.
        batch: u16,
        /// One bit an id, bit 7 of the first byte for the first.
        wanted: Vec<u8>,
    },
    /// Asks for bundles that a RANGES record listed.
    Want(Vec<ShortId>),
    /// Hands a bundle over.
    Bundle {
        /// Hours it has lived.
        age: u16,
        /// Copies handed over with it, or [`COPIES_UNLIMITED`].
        copies: u8,
        /// The bundle, not checked yet, at most 4,096 bytes.
        bytes: Vec<u8>,
    },
    /// These are durable here.
    Stored(Vec<ShortId>),
    /// These were not taken.
    Refused(Vec<(ShortId, Refusal)>),
    /// Secrets that prove that bundles were read.
    Ack(Vec<[u8; 16]>),
    /// A message of the reconciliation (section 6.2).
    Ranges(Vec<u8>),
    /// Up to where the other's arrivals have been dealt with.
    Cursor {
        /// Epoch of one's own store.
        own_epoch: [u8; 8],
        /// Epoch of the other's store, zeros if none is remembered.
        epoch: [u8; 8],
        /// Sequence in the other's store.
        sequence: u64,
    },
    /// Up to where one's own arrivals have been told.
    Mark {
        /// Epoch of one's own store.
        epoch: [u8; 8],
        /// Sequence in it.
        sequence: u64,
    },
    /// A session recognised by a link becomes a contact's.
    Upgrade([u8; 32]),
    /// Asks for a sign of life.
    Ping,
    /// The sign.
    Pong,
    /// The last record.
    Bye(ByeReason),
    /// What the sender calls itself, while it is visible; nobody has checked it.
    Name(Name),
    /// People in one room choose each other (section 7.8).
    Nearby(Step),
}

/// Why a record is refused. The session it came on is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// No such type in this version: the type.
    #[error("record type {0:#04x} is unknown")]
    Type(u8),
    /// The body is shorter, longer or fuller than its type allows.
    #[error("a record of type {0:#04x} has a wrong length")]
    Length(u8),
    /// A field has a value without meaning.
    #[error("a field of a record of type {0:#04x} is out of range")]
    Field(u8),
}

impl Record {
    /// The type byte.
    const fn kind(&self) -> u8 {
        match self {
            Self::Hello(_) => 0x01,
            Self::Offer { .. } => 0x02,
            Self::Pick { .. } => 0x03,
            Self::Want(_) => 0x04,
            Self::Bundle { .. } => 0x05,
            Self::Stored(_) => 0x06,
            Self::Refused(_) => 0x07,
            Self::Ack(_) => 0x08,
            Self::Ranges(_) => 0x09,
            Self::Cursor { .. } => 0x0a,
            Self::Mark { .. } => 0x0b,
            Self::Upgrade(_) => 0x0c,
            Self::Ping => 0x0d,
            Self::Pong => 0x0e,
            Self::Bye(_) => 0x0f,
            Self::Name(_) => 0x10,
            Self::Nearby(_) => 0x11,
        }
    }

    /// Encodes the record. The caller keeps to the limits; what goes over them is refused by the other side.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![self.kind()];
        match self {
            Self::Hello(hello) => {
                out.extend_from_slice(&hello.beacon.0);
                out.extend_from_slice(&hello.hour.0.to_be_bytes());
                out.extend_from_slice(&hello.window.to_be_bytes());
                out.push(if hello.carries { FLAG_CARRIES } else { 0 });
            }
            Self::Offer { batch, ids } => {
                out.extend_from_slice(&batch.to_be_bytes());
                ids.iter().for_each(|id| out.extend_from_slice(&id.0));
            }
            Self::Pick { batch, wanted } => {
                out.extend_from_slice(&batch.to_be_bytes());
                out.extend_from_slice(wanted);
            }
            Self::Want(ids) | Self::Stored(ids) => ids.iter().for_each(|id| out.extend_from_slice(&id.0)),
            Self::Bundle { age, copies, bytes } => {
                out.extend_from_slice(&age.to_be_bytes());
                out.push(*copies);
                out.extend_from_slice(bytes);
            }
            Self::Refused(refusals) => {
                for (id, reason) in refusals {
                    out.extend_from_slice(&id.0);
                    out.push(*reason as u8);
                }
            }
            Self::Ack(secrets) => secrets.iter().for_each(|secret| out.extend_from_slice(secret)),
            Self::Ranges(body) => out.extend_from_slice(body),
            Self::Cursor { own_epoch, epoch, sequence } => {
                out.extend_from_slice(own_epoch);
                out.extend_from_slice(epoch);
                out.extend_from_slice(&sequence.to_be_bytes());
            }
            Self::Mark { epoch, sequence } => {
                out.extend_from_slice(epoch);
                out.extend_from_slice(&sequence.to_be_bytes());
            }
            Self::Upgrade(mac) => out.extend_from_slice(mac),
            Self::Ping | Self::Pong => {}
            Self::Bye(reason) => out.push(*reason as u8),
            Self::Name(name) => out.extend_from_slice(&name.encode_field()),
            Self::Nearby(step) => step.encode(&mut out),
        }
        out
    }

    /// Decodes one record as it came out of a session.
    ///
    /// # Errors
    ///
    /// [`RecordError`] if it is of unknown type, malformed or over its limit.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let (&kind, body) = bytes.split_first().ok_or(RecordError::Length(0))?;
        let mut reader = Reader::new(body);
        let record = Self::decode_body(kind, &mut reader)?;
        reader.finish().map_err(|LengthError| RecordError::Length(kind))?;
        Ok(record)
    }

    fn decode_body(kind: u8, reader: &mut Reader<'_>) -> Result<Self, RecordError> {
        let short = |LengthError| RecordError::Length(kind);
        Ok(match kind {
            0x01 => Self::Hello(decode_hello(kind, reader)?),
            0x02 => Self::Offer { batch: reader.u16().map_err(short)?, ids: decode_ids(kind, reader)? },
            0x03 => {
                let batch = reader.u16().map_err(short)?;
                let wanted = reader.rest().to_vec();
                if !(1..=MAX_RECORD_IDS / 8).contains(&wanted.len()) {
                    return Err(RecordError::Length(kind));
                }
                Self::Pick { batch, wanted }
            }
            0x04 => Self::Want(decode_ids(kind, reader)?),
            0x05 => {
                let (age, copies) = (reader.u16().map_err(short)?, reader.u8().map_err(short)?);
                let bytes = reader.rest();
                if bytes.len() > super::bundle::MAX_BUNDLE_LEN {
                    return Err(RecordError::Length(kind));
                }
                Self::Bundle { age, copies, bytes: bytes.to_vec() }
            }
            0x06 => Self::Stored(decode_ids(kind, reader)?),
            0x07 => Self::Refused(decode_list(kind, reader, |entry: [u8; 9]| {
                let [id @ .., reason] = entry;
                Ok((ShortId(id), decode_refusal(kind, reason)?))
            })?),
            0x08 => Self::Ack(decode_list(kind, reader, Ok)?),
            0x09 => {
                let body = reader.rest();
                if body.len() > MAX_RANGES_LEN {
                    return Err(RecordError::Length(kind));
                }
                Self::Ranges(body.to_vec())
            }
            0x0a => Self::Cursor {
                own_epoch: reader.array().map_err(short)?,
                epoch: reader.array().map_err(short)?,
                sequence: reader.u64().map_err(short)?,
            },
            0x0b => Self::Mark { epoch: reader.array().map_err(short)?, sequence: reader.u64().map_err(short)? },
            0x0c => Self::Upgrade(reader.array().map_err(short)?),
            0x0d => Self::Ping,
            0x0e => Self::Pong,
            0x0f => Self::Bye(match reader.u8().map_err(short)? {
                1 => ByeReason::Closing,
                2 => ByeReason::Duplicate,
                3 => ByeReason::Protocol,
                4 => ByeReason::Locked,
                5 => ByeReason::Crowded,
                6 => ByeReason::Myself,
                _ => return Err(RecordError::Field(kind)),
            }),
            0x10 => Self::Name(Name::decode_field(&reader.array().map_err(short)?).map_err(|_| RecordError::Field(kind))?),
            0x11 => Self::Nearby(Step::decode(kind, reader)?),
            other => return Err(RecordError::Type(other)),
        })
    }
}

fn decode_hello(kind: u8, reader: &mut Reader<'_>) -> Result<Hello, RecordError> {
    let short = |LengthError| RecordError::Length(kind);
    let hello = Hello {
        beacon: BeaconId(reader.array().map_err(short)?),
        hour: Hour(reader.u32().map_err(short)?),
        window: reader.u32().map_err(short)?,
        carries: reader.u8().map_err(short)? & FLAG_CARRIES != 0,
    };
    WINDOW_RANGE.contains(&hello.window).then_some(hello).ok_or(RecordError::Field(kind))
}

fn decode_refusal(kind: u8, reason: u8) -> Result<Refusal, RecordError> {
    Ok(match reason {
        1 => Refusal::Time,
        2 => Refusal::Room,
        3 => Refusal::Unwanted,
        4 => Refusal::NotCarried,
        5 => Refusal::Malformed,
        _ => return Err(RecordError::Field(kind)),
    })
}

fn decode_ids(kind: u8, reader: &mut Reader<'_>) -> Result<Vec<ShortId>, RecordError> {
    decode_list(kind, reader, |id| Ok(ShortId(id)))
}

/// Decodes all that is left as 1 to [`MAX_RECORD_IDS`] entries of `N` bytes.
fn decode_list<const N: usize, T>(
    kind: u8,
    reader: &mut Reader<'_>,
    decode: impl Fn([u8; N]) -> Result<T, RecordError>,
) -> Result<Vec<T>, RecordError> {
    let (entries, rest) = reader.rest().as_chunks::<N>();
    if !rest.is_empty() || !(1..=MAX_RECORD_IDS).contains(&entries.len()) {
        return Err(RecordError::Length(kind));
    }
    entries.iter().map(|entry| decode(*entry)).collect()
}

/// Packs which of an offer's ids are wanted.
pub fn encode_bitmap(wanted: impl ExactSizeIterator<Item = bool>) -> Vec<u8> {
    let mut out = vec![0_u8; wanted.len().div_ceil(8)];
    for (index, _) in wanted.enumerate().filter(|&(_, wanted)| wanted) {
        if let Some(byte) = out.get_mut(index / 8) {
            *byte |= 0x80 >> (index % 8);
        }
    }
    out
}

/// Reads bit `index` of a bitmap; `false` beyond its end.
pub fn bitmap_bit(bitmap: &[u8], index: usize) -> bool {
    bitmap.get(index / 8).is_some_and(|byte| byte & (0x80 >> (index % 8)) != 0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn samples() -> Vec<Record> {
        vec![
            Record::Hello(Hello { beacon: BeaconId([1; 8]), hour: Hour(7), window: 4096, carries: true }),
            Record::Offer { batch: 3, ids: vec![ShortId([2; 8]); MAX_RECORD_IDS] },
            Record::Pick { batch: 3, wanted: vec![0x80, 1] },
            Record::Want(vec![ShortId([3; 8])]),
            Record::Bundle { age: 5, copies: COPIES_UNLIMITED, bytes: vec![9; 512] },
            Record::Stored(vec![ShortId([4; 8]), ShortId([5; 8])]),
            Record::Refused(vec![(ShortId([6; 8]), Refusal::Room), (ShortId([7; 8]), Refusal::Malformed)]),
            Record::Ack(vec![[8; 16]]),
            Record::Ranges(vec![1, 2, 3]),
            Record::Cursor { own_epoch: [8; 8], epoch: [9; 8], sequence: 77 },
            Record::Mark { epoch: [9; 8], sequence: u64::MAX },
            Record::Upgrade([1; 32]),
            Record::Ping,
            Record::Pong,
            Record::Bye(ByeReason::Myself),
            Record::Name(Name::new("Żółw 7").unwrap()),
        ]
    }

    #[test]
    fn decode_inverts_encode() {
        let steps = crate::wire::nearby::samples().into_iter().map(Record::Nearby);
        for record in samples().into_iter().chain(steps) {
            assert_eq!(Record::decode(&record.encode()), Ok(record));
        }
    }

    #[test]
    fn truncated_and_lengthened_records_are_refused_or_differ() {
        for record in samples() {
            let bytes = record.encode();
            for cut in 0..bytes.len() {
                assert_ne!(Record::decode(&bytes[..cut]).as_ref(), Ok(&record), "{record:?} cut at {cut}");
            }
            let longer = [&bytes[..], &[1]].concat();
            assert_ne!(Record::decode(&longer).as_ref(), Ok(&record), "{record:?}");
        }
    }

    #[test]
    fn limits_hold() {
        let too_many = |kind: u8, entry: usize| [&[kind][..], &vec![1; entry * (MAX_RECORD_IDS + 1)]].concat();
        for (kind, entry) in [(0x04, 8), (0x06, 8), (0x07, 9), (0x08, 16)] {
            assert_eq!(Record::decode(&too_many(kind, entry)), Err(RecordError::Length(kind)));
            assert_eq!(Record::decode(&[kind]), Err(RecordError::Length(kind)), "empty list");
        }
        assert_eq!(Record::decode(&[]), Err(RecordError::Length(0)));
        assert_eq!(Record::decode(&vec![0x05; 4 + 4097]), Err(RecordError::Length(0x05)));
        assert_eq!(Record::decode(&vec![0x09; 2 + MAX_RANGES_LEN]), Err(RecordError::Length(0x09)));
        assert_eq!(Record::decode(&[0x12]), Err(RecordError::Type(0x12)));
        assert_eq!(Record::decode(&[0x0f, 0]), Err(RecordError::Field(0x0f)));
        let mut hello = samples()[0].encode();
        hello[13..17].copy_from_slice(&0_u32.to_be_bytes());
        assert_eq!(Record::decode(&hello), Err(RecordError::Field(0x01)));
    }

    #[test]
    fn names_have_one_form_and_one_length() {
        let name = |length: u8, text: &[u8]| {
            let mut record = [&[0x10, length][..], text].concat();
            record.resize(52, 0);
            Record::decode(&record)
        };
        let longest = "x".repeat(50);
        assert_eq!(name(50, longest.as_bytes()), Ok(Record::Name(Name::new(&longest).unwrap())));
        let hostile: [(u8, &[u8]); 8] = [
            (0, b""),
            (51, longest.as_bytes()),
            (3, b"anna"),
            (5, b"ann"),
            (4, b"ann "),
            (3, b"a\x1bn"),
            (4, "a\u{202e}".as_bytes()),
            (2, &[0xff, 0xfe]),
        ];
        for (length, text) in hostile {
            assert_eq!(name(length, text), Err(RecordError::Field(0x10)), "{text:?}");
        }
        assert_eq!(Record::decode(&[0x10, 1, b'x']), Err(RecordError::Length(0x10)));
    }

    #[test]
    fn bitmaps_name_their_bits() {
        let wanted = [true, false, false, true, false, false, false, false, true];
        let bitmap = encode_bitmap(wanted.into_iter());
        assert_eq!(bitmap, [0b1001_0000, 0b1000_0000]);
        assert!((0..9).all(|index| bitmap_bit(&bitmap, index) == wanted[index]));
        assert!(!bitmap_bit(&bitmap, 999));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            if let Ok(record) = Record::decode(&bytes) {
                // Only HELLO's unused flags are not kept.
                if !matches!(record, Record::Hello(_)) {
                    prop_assert_eq!(record.encode(), bytes);
                }
            }
        }
    }
}
