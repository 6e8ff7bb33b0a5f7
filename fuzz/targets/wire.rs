//! Decoders of what crosses a link and what lies in a bundle (docs/protocol.md, sections 2, 4, 5 and 8.6).

use hedgerow_sync::{
    crypto::kdf::hash,
    id::BundleId,
    time::Hour,
    wire::{
        bundle::{BUNDLE_HEADER_LEN, BUNDLE_SIZES, Bundle, MAX_BUNDLE_LEN},
        item::{Item, MAX_ASK_RANGES, MAX_RECEIPT_RANGES, MAX_TEXT_LEN, NumberRange},
        nearby::Step,
        record::{MAX_RANGES_LEN, MAX_RECORD_IDS, Record, WINDOW_RANGE},
    },
};
use hedgerow_transports::{FrameDecoder, FrameError, MAX_FRAME_LEN, encode_frame};

/// A record has one form, but for the unused flags of HELLO, and keeps to its limits.
pub fn record(data: &[u8]) -> bool {
    let Ok(record) = Record::decode(data) else { return false };
    let again = record.encode();
    assert_eq!(Record::decode(&again).as_ref(), Ok(&record));
    match &record {
        Record::Hello(hello) => {
            assert!(WINDOW_RANGE.contains(&hello.window));
            assert_eq!(again.len(), data.len());
            assert_eq!(again[..again.len() - 1], data[..data.len() - 1]);
            return true;
        }
        Record::Offer { batch: _, ids } | Record::Want(ids) | Record::Stored(ids) => assert!((1..=MAX_RECORD_IDS).contains(&ids.len())),
        Record::Pick { batch: _, wanted } => assert!((1..=MAX_RECORD_IDS / 8).contains(&wanted.len())),
        Record::Refused(refusals) => assert!((1..=MAX_RECORD_IDS).contains(&refusals.len())),
        Record::Ack(secrets) => assert!((1..=MAX_RECORD_IDS).contains(&secrets.len())),
        Record::Bundle { bytes, .. } => assert!(bytes.len() <= MAX_BUNDLE_LEN),
        Record::Ranges(body) => assert!(body.len() <= MAX_RANGES_LEN),
        Record::Name(name) => assert!((1..=50).contains(&name.as_str().len()) && again.len() == 52),
        Record::Cursor { .. }
        | Record::Mark { .. }
        | Record::Upgrade(_)
        | Record::Ping
        | Record::Pong
        | Record::Bye(_)
        | Record::Nearby(_) => {}
    }
    assert_eq!(again, data);
    true
}

/// The steps of NEARBY, without the type of their record: each has one form and one length.
pub fn nearby(data: &[u8]) -> bool {
    let bytes = [&[0x11], data].concat();
    let Ok(record) = Record::decode(&bytes) else { return false };
    assert_eq!(record.encode(), bytes);
    let Record::Nearby(step) = record else { panic!("another record of this type") };
    let length = match step {
        Step::Here { version, name } => {
            assert!(version > 0 && (1..=50).contains(&name.as_str().len()));
            52
        }
        Step::Gone | Step::Choose => 0,
        Step::Commit { .. } => 80,
        Step::Request(_) => MAX_BUNDLE_LEN,
        Step::Open { .. } => 32 + MAX_BUNDLE_LEN,
        Step::Prove { .. } => 48,
        Step::Confirm(_) => 32,
        Step::End(_) => 1,
    };
    assert_eq!(data.len(), 1 + length);
    true
}

/// A bundle is its bytes: nothing of the header is lost, the id covers everything, and it doesn't expire before it was made.
pub fn bundle(data: &[u8]) -> bool {
    let Ok(bundle) = Bundle::decode(data.to_vec()) else { return false };
    assert!(BUNDLE_SIZES.contains(&data.len()));
    assert_eq!(bundle.header().encode(), data[..BUNDLE_HEADER_LEN]);
    assert_eq!(bundle.id(), BundleId(hash(&[data])));
    let created = bundle.header().created;
    match bundle.header().expiry() {
        Some(expiry) => assert!(expiry >= created && created != Hour::UNKNOWN),
        None => assert_eq!(created, Hour::UNKNOWN),
    }
    assert_eq!(bundle.into_bytes(), data);
    true
}

/// Items survive encoding, take no more room than they came in, and keep to their limits.
pub fn item(data: &[u8]) -> bool {
    let Ok(items) = Item::decode_all(data) else { return false };
    let mut again = Vec::new();
    for item in &items {
        let before = again.len();
        item.encode(&mut again);
        assert_eq!(again.len() - before, item.encoded_len());
        match item {
            Item::Text(text) => assert!((1..=MAX_TEXT_LEN).contains(&text.text.len())),
            Item::Receipt(ranges) => assert!(ranges.len() <= MAX_RECEIPT_RANGES && ranges.iter().all(is_sound)),
            Item::Ask(ranges) => assert!(ranges.len() <= MAX_ASK_RANGES && ranges.iter().all(is_sound)),
            Item::Manifest(manifest) => assert!(manifest.length > 0 && manifest.created != Hour::UNKNOWN),
            Item::Read { .. } | Item::Complete(_) | Item::PqKey { .. } | Item::PqCiphertext { .. } => {}
        }
    }
    assert!(again.len() <= data.len());
    assert_eq!(Item::decode_all(&again).as_ref(), Ok(&items));
    true
}

fn is_sound(range: &NumberRange) -> bool {
    let numbers = range.numbers();
    *numbers.start() == range.first && numbers.end() - numbers.start() == range.count - 1
}

/// A stream of frames is the messages in it, whatever comes after them.
pub fn frame(data: &[u8]) -> bool {
    let (messages, end) = frames(data, data.len().max(1));
    let mut again = Vec::new();
    for message in &messages {
        assert!((1..=MAX_FRAME_LEN).contains(&message.len()));
        encode_frame(message, &mut again).expect("a message that was decoded has a length that can be encoded");
    }
    assert!(data.starts_with(&again));
    if let Err(FrameError::Length(length)) = end {
        assert!(length == 0 || length > MAX_FRAME_LEN);
    }
    !messages.is_empty()
}

/// How a stream is cut into pieces changes nothing; the first byte is their size.
pub fn frame_pieces(data: &[u8]) -> bool {
    let Some((&piece, stream)) = data.split_first() else { return false };
    let in_pieces = frames(stream, usize::from(piece) + 1);
    assert_eq!(in_pieces, frames(stream, stream.len().max(1)));
    !in_pieces.0.is_empty()
}

/// The messages of a stream that is fed in pieces, and how it ended.
fn frames(stream: &[u8], piece: usize) -> (Vec<Vec<u8>>, Result<(), FrameError>) {
    let mut decoder = FrameDecoder::default();
    let mut messages = Vec::new();
    for bytes in stream.chunks(piece) {
        decoder.feed(bytes);
        loop {
            match decoder.next_message() {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(error) => return (messages, Err(error)),
            }
        }
    }
    (messages, Ok(()))
}
