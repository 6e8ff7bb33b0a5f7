//! The text of a trace or a workload from the bytes of its file, packed with gzip or not.

use std::io::{self, Read};

use flate2::read::MultiGzDecoder;

use super::{
    input::{InputError, InputFault},
    trace::MAX_CONTACTS,
};

/// Longest text of an input, bytes, unpacked: the longest trace, of rows of at most 34 bytes.
pub const MAX_TEXT_BYTES: usize = MAX_CONTACTS * 34;
/// How gzip data begins (RFC 1952, 2.3.1).
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Unpacks the bytes of a file, if they are gzip data, and checks that they are text. Takes at most [`MAX_TEXT_BYTES`] of memory and one
/// byte for what it answers, whatever the file promises.
///
/// # Errors
///
/// [`InputFault::CutShort`], [`Damaged`](InputFault::Damaged), [`TooLong`](InputFault::TooLong) or [`NotText`](InputFault::NotText), with the
/// line up to which the file is good.
pub fn decode(bytes: Vec<u8>) -> Result<String, InputError> {
    decode_within(bytes, MAX_TEXT_BYTES)
}

fn decode_within(bytes: Vec<u8>, most: usize) -> Result<String, InputError> {
    let text = if bytes.starts_with(&GZIP) { unpack(&bytes, most)? } else { bytes };
    if text.len() > most {
        return Err(InputFault::TooLong(most).at(line_after(&text)));
    }
    String::from_utf8(text).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        InputFault::NotText.at(line_after(error.as_bytes().get(..good).unwrap_or_default()))
    })
}

fn unpack(bytes: &[u8], most: usize) -> Result<Vec<u8>, InputError> {
    let mut text = Vec::new();
    let one_more = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    let unpacked = MultiGzDecoder::new(bytes).take(one_more).read_to_end(&mut text);
    unpacked.map_err(|error| {
        let fault = if error.kind() == io::ErrorKind::UnexpectedEof { InputFault::CutShort } else { InputFault::Damaged };
        fault.at(line_after(&text))
    })?;
    Ok(text)
}

/// In which line whatever follows `text` stands.
fn line_after(text: &[u8]) -> usize {
    text.iter().filter(|byte| **byte == b'\n').count().saturating_add(1)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};
    use proptest::prelude::*;

    use super::*;

    fn packed(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn plain_and_packed_text_are_the_same() {
        let text = "start_s,end_s,node_a,node_b\n0,20,0,1\n";
        assert_eq!(decode(text.as_bytes().to_vec()).unwrap(), text);
        assert_eq!(decode(packed(text.as_bytes())).unwrap(), text);
        assert_eq!(decode([packed(b"start_s,"), packed(b"end_s")].concat()).unwrap(), "start_s,end_s", "of several members");
        assert_eq!(decode(Vec::new()).unwrap(), "");
    }

    #[test]
    fn damage_names_the_line_up_to_which_the_text_is_good() {
        let text: String = (0..5_000).map(|number| format!("{},{}\n", number * 7_919 % 4_999, number)).collect();
        let good = packed(text.as_bytes());
        let cut = decode(good[..good.len() / 2].to_vec()).unwrap_err();
        assert!(cut.fault == InputFault::CutShort && (1_000..4_000).contains(&cut.line), "{cut}");
        let mut bad = good.clone();
        let checksum = bad.len() - 8;
        bad[checksum] ^= 1;
        assert_eq!(decode(bad), Err(InputFault::Damaged.at(5_001)));
        assert_eq!(decode([good, b"more than a header of ten bytes".to_vec()].concat()), Err(InputFault::Damaged.at(5_001)));
    }

    #[test]
    fn a_bomb_is_refused_before_it_takes_memory() {
        let bomb = packed(&vec![b'0'; 1_000_000]);
        assert!(bomb.len() < 10_000);
        assert_eq!(decode_within(bomb.clone(), 999_999), Err(InputFault::TooLong(999_999).at(1)));
        assert_eq!(decode_within(bomb, 1_000_000).unwrap().len(), 1_000_000);
        assert_eq!(decode_within(b"4\n4\n".to_vec(), 3), Err(InputFault::TooLong(3).at(3)));
    }

    #[test]
    fn bytes_that_are_no_text_are_refused_with_their_line() {
        assert_eq!(decode(b"a\nb\n\xff".to_vec()), Err(InputFault::NotText.at(3)));
        assert_eq!(decode(packed(b"a\n\xff")), Err(InputFault::NotText.at(2)));
    }

    proptest! {
        #[test]
        fn no_cut_and_no_flipped_bit_goes_unseen(text in "[0-9,\n]{0,300}", at in any::<prop::sample::Index>(), bit in 0_u8..8) {
            let good = packed(text.as_bytes());
            // From the third byte on: without the first two it is no gzip data.
            let at = 2 + at.index(good.len() - 2);
            prop_assert!(decode(good[..at].to_vec()).is_err());
            let mut bad = good;
            bad[at] ^= 1 << bit;
            // Some bits are no part of the text: who packed it and when, and those that fill the last byte.
            if let Ok(unpacked) = decode(bad) {
                prop_assert_eq!(unpacked, text);
            }
        }
    }
}
