//! Items: what the body of a contact's bundle holds (docs/protocol.md, section 8.6).

use zeroize::Zeroizing;

use super::{
    bundle::{MAX_BUNDLE_LEN, body_capacity},
    codec::{LengthError, Reader},
};
use crate::{
    id::MessageId,
    time::{Hour, UnixMillis},
};

/// Longest text of one message, bytes of UTF-8: what fits the largest bundle, rounded down (docs/protocol.md, section 8.6).
pub const MAX_TEXT_LEN: usize = 3_900;
/// Longest content of a large message that this program writes and takes, bytes (policy): 4 MiB, 1,041 chunks (docs/protocol.md, section 8.7).
pub const MAX_DATA_LEN: usize = 4 << 20;
/// Length of an ML-KEM-768 encapsulation key, bytes (FIPS 203).
pub const KEM_KEY_LEN: usize = 1_184;
/// Length of an ML-KEM-768 ciphertext, bytes (FIPS 203).
pub const KEM_CIPHERTEXT_LEN: usize = 1_088;
/// Most ranges in one receipt: what a bundle of 2,048 bytes holds.
pub const MAX_RECEIPT_RANGES: usize = 200;
/// Most ranges in one ask (docs/protocol.md, section 8.6: 64 a day).
pub const MAX_ASK_RANGES: usize = 64;

/// Bytes of type and length before an item's value.
const ITEM_HEADER_LEN: usize = 3;
/// Bytes of a text item before its text.
const TEXT_HEADER_LEN: usize = 32;
/// Bytes of a manifest.
const MANIFEST_LEN: usize = 104;

const _: () = assert!(ITEM_HEADER_LEN + TEXT_HEADER_LEN + MAX_TEXT_LEN <= body_capacity(MAX_BUNDLE_LEN));

/// A run of numbers: `first`, `first + 1`, … `count` of them; never beyond `u32::MAX`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NumberRange {
    /// The lowest.
    pub first: u32,
    /// How many, at least 1.
    pub count: u32,
}

impl NumberRange {
    /// The numbers, in order.
    pub fn numbers(self) -> std::ops::RangeInclusive<u32> {
        self.first..=self.first.saturating_add(self.count.saturating_sub(1))
    }
}

/// What somebody wrote.
#[derive(Clone, PartialEq, Eq)]
pub struct Text {
    /// Its id, drawn by the writer.
    pub id: MessageId,
    /// When, by the writer's clock.
    pub sent: UnixMillis,
    /// Its place in the conversation.
    pub order: u64,
    /// 1 to [`MAX_TEXT_LEN`] bytes; anything a person or a hostile contact can put there.
    pub text: String,
}

/// What announces a large message, whose content comes in chunks (docs/protocol.md, section 8.7).
#[derive(Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The message's id, drawn by the writer.
    pub id: MessageId,
    /// When it was written, by the writer's clock.
    pub sent: UnixMillis,
    /// Its place in the conversation.
    pub order: u64,
    /// Length of the content, bytes: at least 1. What is too much is for the reader to say.
    pub length: u32,
    /// The created hour of all its chunks.
    pub created: Hour,
    /// What their tags, keys and ack secrets are derived from.
    pub key: Zeroizing<[u8; 32]>,
    /// Hash of the content.
    pub hash: [u8; 32],
}

/// One item.
#[derive(Clone, PartialEq, Eq)]
pub enum Item {
    /// A message.
    Text(Text),
    /// Which numbers above the confirmed ones have arrived, at most [`MAX_RECEIPT_RANGES`].
    Receipt(Vec<NumberRange>),
    /// Which numbers are missed, at most [`MAX_ASK_RANGES`].
    Ask(Vec<NumberRange>),
    /// Everything of the other side's before this place, by (order, id), has been read by a person.
    Read {
        /// The order of the first text that is not read.
        order: u64,
        /// Its id.
        id: MessageId,
    },
    /// A large message is coming.
    Manifest(Manifest),
    /// All of a large message of the other side's has come.
    Complete(MessageId),
    /// Opens a hybrid step.
    PqKey {
        /// Which step.
        epoch: u32,
        /// The encapsulation key.
        key: Box<[u8; KEM_KEY_LEN]>,
    },
    /// Answers a hybrid step.
    PqCiphertext {
        /// Which step.
        epoch: u32,
        /// The ciphertext.
        ciphertext: Box<[u8; KEM_CIPHERTEXT_LEN]>,
    },
}

impl std::fmt::Debug for Item {
    /// Names the kind only: contents are private.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Text(_) => "Text(..)",
            Self::Receipt(_) => "Receipt(..)",
            Self::Ask(_) => "Ask(..)",
            Self::Read { .. } => "Read(..)",
            Self::Manifest(_) => "Manifest(..)",
            Self::Complete(_) => "Complete(..)",
            Self::PqKey { .. } => "PqKey(..)",
            Self::PqCiphertext { .. } => "PqCiphertext(..)",
        })
    }
}

/// Why a body is not a sequence of items. It came from the contact itself: nobody else can seal one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ItemError {
    /// A length does not fit.
    #[error("an item has a wrong length")]
    Length,
    /// The filling after the last item is not zero.
    #[error("the filling is not zero")]
    Padding,
    /// A field has a value without meaning, or a text is not UTF-8.
    #[error("a field of an item is out of range")]
    Field,
}

impl From<LengthError> for ItemError {
    fn from(LengthError: LengthError) -> Self {
        Self::Length
    }
}

impl Item {
    /// How many bytes the item takes in a body.
    pub fn encoded_len(&self) -> usize {
        ITEM_HEADER_LEN
            + match self {
                Self::Text(text) => TEXT_HEADER_LEN + text.text.len(),
                Self::Receipt(ranges) | Self::Ask(ranges) => 8 * ranges.len(),
                Self::Read { .. } => 24,
                Self::Manifest(_) => MANIFEST_LEN,
                Self::Complete(_) => 16,
                Self::PqKey { .. } => 4 + KEM_KEY_LEN,
                Self::PqCiphertext { .. } => 4 + KEM_CIPHERTEXT_LEN,
            }
    }

    /// Appends the item to a body.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let kind = match self {
            Self::Text(_) => 0x01,
            Self::Receipt(_) => 0x02,
            Self::Ask(_) => 0x03,
            Self::PqKey { .. } => 0x04,
            Self::PqCiphertext { .. } => 0x05,
            Self::Read { .. } => 0x06,
            Self::Manifest(_) => 0x07,
            Self::Complete(_) => 0x08,
        };
        out.push(kind);
        out.extend_from_slice(&((self.encoded_len() - ITEM_HEADER_LEN) as u16).to_be_bytes());
        match self {
            Self::Text(text) => {
                out.extend_from_slice(&text.id.0);
                out.extend_from_slice(&text.sent.0.to_be_bytes());
                out.extend_from_slice(&text.order.to_be_bytes());
                out.extend_from_slice(text.text.as_bytes());
            }
            Self::Receipt(ranges) | Self::Ask(ranges) => ranges.iter().for_each(|range| put_range(out, *range)),
            Self::Read { order, id } => {
                out.extend_from_slice(&order.to_be_bytes());
                out.extend_from_slice(&id.0);
            }
            Self::Manifest(manifest) => {
                out.extend_from_slice(&manifest.id.0);
                out.extend_from_slice(&manifest.sent.0.to_be_bytes());
                out.extend_from_slice(&manifest.order.to_be_bytes());
                out.extend_from_slice(&manifest.length.to_be_bytes());
                out.extend_from_slice(&manifest.created.0.to_be_bytes());
                out.extend_from_slice(manifest.key.as_slice());
                out.extend_from_slice(&manifest.hash);
            }
            Self::Complete(id) => out.extend_from_slice(&id.0),
            Self::PqKey { epoch, key } => {
                out.extend_from_slice(&epoch.to_be_bytes());
                out.extend_from_slice(key.as_slice());
            }
            Self::PqCiphertext { epoch, ciphertext } => {
                out.extend_from_slice(&epoch.to_be_bytes());
                out.extend_from_slice(ciphertext.as_slice());
            }
        }
    }

    /// Decodes a body: its items in order. Unknown types are passed over.
    ///
    /// # Errors
    ///
    /// [`ItemError`] if any part of the body is malformed; then none of it counts.
    pub fn decode_all(body: &[u8]) -> Result<Vec<Self>, ItemError> {
        let mut reader = Reader::new(body);
        let mut items = Vec::new();
        while !reader.is_empty() {
            let kind = reader.u8()?;
            if kind == 0 {
                return if reader.rest().iter().all(|&byte| byte == 0) { Ok(items) } else { Err(ItemError::Padding) };
            }
            let length = reader.u16()?;
            let mut value = Reader::new(reader.bytes(length.into())?);
            items.extend(Self::decode_value(kind, &mut value)?);
            value.finish()?;
        }
        Ok(items)
    }

    fn decode_value(kind: u8, value: &mut Reader<'_>) -> Result<Option<Self>, ItemError> {
        Ok(Some(match kind {
            0x01 => {
                let (id, sent, order) = (MessageId(value.array()?), UnixMillis(value.u64()?), value.u64()?);
                let text = value.rest();
                if !(1..=MAX_TEXT_LEN).contains(&text.len()) {
                    return Err(ItemError::Length);
                }
                let text = std::str::from_utf8(text).map_err(|_| ItemError::Field)?.to_owned();
                Self::Text(Text { id, sent, order, text })
            }
            0x02 => Self::Receipt(take_ranges(value, MAX_RECEIPT_RANGES)?),
            0x03 => Self::Ask(take_ranges(value, MAX_ASK_RANGES)?),
            0x04 => Self::PqKey { epoch: value.u32()?, key: Box::new(value.array()?) },
            0x05 => Self::PqCiphertext { epoch: value.u32()?, ciphertext: Box::new(value.array()?) },
            0x06 => Self::Read { order: value.u64()?, id: MessageId(value.array()?) },
            0x07 => Self::Manifest(take_manifest(value)?),
            0x08 => Self::Complete(MessageId(value.array()?)),
            _ => {
                value.rest();
                return Ok(None);
            }
        }))
    }
}

fn take_manifest(value: &mut Reader<'_>) -> Result<Manifest, ItemError> {
    let manifest = Manifest {
        id: MessageId(value.array()?),
        sent: UnixMillis(value.u64()?),
        order: value.u64()?,
        length: value.u32()?,
        created: Hour(value.u32()?),
        key: Zeroizing::new(value.array()?),
        hash: value.array()?,
    };
    (manifest.length > 0 && manifest.created != Hour::UNKNOWN).then_some(manifest).ok_or(ItemError::Field)
}

fn put_range(out: &mut Vec<u8>, range: NumberRange) {
    out.extend_from_slice(&range.first.to_be_bytes());
    out.extend_from_slice(&range.count.to_be_bytes());
}

fn take_ranges(value: &mut Reader<'_>, limit: usize) -> Result<Vec<NumberRange>, ItemError> {
    let mut ranges = Vec::new();
    while !value.is_empty() {
        if ranges.len() == limit {
            return Err(ItemError::Length);
        }
        ranges.push(take_range(value)?);
    }
    Ok(ranges)
}

fn take_range(value: &mut Reader<'_>) -> Result<NumberRange, ItemError> {
    let range = NumberRange { first: value.u32()?, count: value.u32()? };
    (range.count > 0 && range.first.checked_add(range.count).is_some()).then_some(range).ok_or(ItemError::Field)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn samples() -> Vec<Item> {
        vec![
            Item::Text(Text { id: MessageId([1; 16]), sent: UnixMillis(5), order: 9, text: "hé".into() }),
            Item::Receipt(vec![NumberRange { first: 0, count: 7 }, NumberRange { first: 9, count: 1 }]),
            Item::Ask(vec![NumberRange { first: 8, count: 2 }]),
            Item::Read { order: 3, id: MessageId([4; 16]) },
            Item::Manifest(manifest(u32::MAX, Hour(1))),
            Item::Complete(MessageId([6; 16])),
            Item::PqKey { epoch: 4, key: Box::new([5; KEM_KEY_LEN]) },
            Item::PqCiphertext { epoch: 4, ciphertext: Box::new([6; KEM_CIPHERTEXT_LEN]) },
        ]
    }

    fn manifest(length: u32, created: Hour) -> Manifest {
        let (id, key) = (MessageId([5; 16]), Zeroizing::new([8; 32]));
        Manifest { id, sent: UnixMillis(6), order: 7, length, created, key, hash: [9; 32] }
    }

    fn body(items: &[Item]) -> Vec<u8> {
        let mut out = Vec::new();
        items.iter().for_each(|item| item.encode(&mut out));
        out
    }

    #[test]
    fn decode_inverts_encode() {
        let mut bytes = body(&samples());
        assert_eq!(bytes.len(), samples().iter().map(Item::encoded_len).sum::<usize>());
        assert_eq!(Item::decode_all(&bytes), Ok(samples()));
        bytes.resize(3944, 0);
        assert_eq!(Item::decode_all(&bytes), Ok(samples()), "with filling");
    }

    #[test]
    fn bad_filling_is_refused() {
        let mut bytes = body(&samples()[..1]);
        bytes.extend_from_slice(&[0, 0, 1]);
        assert_eq!(Item::decode_all(&bytes), Err(ItemError::Padding));
    }

    #[test]
    fn unknown_items_are_passed_over() {
        let bytes = [&[0x77, 0, 2, 9, 9][..], &body(&samples()[2..3])].concat();
        assert_eq!(Item::decode_all(&bytes), Ok(samples()[2..3].to_vec()));
    }

    #[test]
    fn malformed_items_are_refused() {
        for (bytes, error) in [
            (&[0x01, 0, 3, 1, 2, 3][..], ItemError::Length),
            (&[0x02, 0, 9, 0, 0, 0, 0, 0, 0, 0, 1, 3], ItemError::Length),
            (&[0x03, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0], ItemError::Field),
            (&[0x03, 0, 8, 255, 255, 255, 255, 0, 0, 0, 1], ItemError::Field),
            (&[0x05, 0, 4, 0, 0, 0, 0], ItemError::Length),
            (&[0x01, 255, 255, 0], ItemError::Length),
        ] {
            assert_eq!(Item::decode_all(bytes), Err(error), "{bytes:?}");
        }
        let empty_text = Item::Text(Text { id: MessageId([1; 16]), sent: UnixMillis(0), order: 0, text: String::new() });
        assert_eq!(Item::decode_all(&body(&[empty_text])), Err(ItemError::Length));
        let mut not_utf8 = body(&samples()[..1]);
        *not_utf8.last_mut().unwrap() = 0xff;
        assert_eq!(Item::decode_all(&not_utf8), Err(ItemError::Field));
    }

    #[test]
    fn manifests_of_nothing_without_an_hour_or_of_another_length_are_refused() {
        for (length, created) in [(0, Hour(1)), (1, Hour::UNKNOWN)] {
            assert_eq!(Item::decode_all(&body(&[Item::Manifest(manifest(length, created))])), Err(ItemError::Field));
        }
        let good = body(&[Item::Manifest(manifest(1, Hour(1)))]);
        for (length, rest) in [(103, &good[..106]), (105, &[&good[..], &[0]].concat())] {
            let mut bytes = rest.to_vec();
            bytes[2] = length;
            assert_eq!(Item::decode_all(&bytes), Err(ItemError::Length), "{length}");
        }
        assert_eq!(Item::decode_all(&[0x08, 0, 15, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]), Err(ItemError::Length));
    }

    #[test]
    fn more_ranges_than_allowed_are_refused() {
        let ranges = vec![NumberRange { first: 0, count: 1 }; MAX_ASK_RANGES + 1];
        assert_eq!(Item::decode_all(&body(&[Item::Ask(ranges)])), Err(ItemError::Length));
    }

    #[test]
    fn debug_shows_no_content() {
        assert_eq!(format!("{:?}", samples()[0]), "Text(..)");
        assert_eq!(format!("{:?}", Item::Manifest(manifest(1, Hour(1)))), "Manifest(..)");
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = Item::decode_all(&bytes);
        }
    }
}
