//! Frames on a byte stream: a two-byte length before each session message (docs/protocol.md, section 2). Sans-IO.

/// Longest session message that a frame carries, bytes: a record of 16,384 and its authenticator.
pub const MAX_FRAME_LEN: usize = 16_400;

/// Why a stream is not one of frames; the link is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The length field is zero or above [`MAX_FRAME_LEN`]: its value.
    #[error("frame of {0} bytes, expected 1 to {MAX_FRAME_LEN}")]
    Length(usize),
}

/// Appends `message` as one frame to `out`.
///
/// # Errors
///
/// [`FrameError::Length`] if the message is empty or longer than [`MAX_FRAME_LEN`]; `out` is unchanged.
pub fn encode_frame(message: &[u8], out: &mut Vec<u8>) -> Result<(), FrameError> {
    let length = u16::try_from(message.len())
        .ok()
        .filter(|&length| (1..=MAX_FRAME_LEN).contains(&usize::from(length)))
        .ok_or(FrameError::Length(message.len()))?;
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(message);
    Ok(())
}

/// Finds the messages in a stream that arrives in pieces of any size. Holds at most one frame and what was fed last.
#[derive(Debug, Default)]
pub struct FrameDecoder {
    buffer: Vec<u8>,
    start: usize,
}

impl FrameDecoder {
    /// Takes the next bytes of the stream. Drain with [`next_message`](Self::next_message) before feeding more.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.start);
        self.start = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// Yields the next whole message, or `None` until more bytes have come.
    ///
    /// # Errors
    ///
    /// [`FrameError::Length`] as soon as a length field is out of bounds; before its message is waited for.
    pub fn next_message(&mut self) -> Result<Option<Vec<u8>>, FrameError> {
        let rest = self.buffer.get(self.start..).unwrap_or_default();
        let Some((length, rest)) = rest.split_first_chunk::<2>() else {
            return Ok(None);
        };
        let length = usize::from(u16::from_be_bytes(*length));
        if !(1..=MAX_FRAME_LEN).contains(&length) {
            return Err(FrameError::Length(length));
        }
        let Some(message) = rest.get(..length) else {
            return Ok(None);
        };
        let message = message.to_vec();
        self.start += 2 + length;
        Ok(Some(message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_survive_any_cutting_of_the_stream() {
        let messages: Vec<Vec<u8>> = vec![vec![1], vec![2; 300], vec![3; MAX_FRAME_LEN], vec![4; 7]];
        let mut stream = Vec::new();
        for message in &messages {
            encode_frame(message, &mut stream).unwrap();
        }
        for piece in [1, 2, 3, 255, 4096, stream.len()] {
            let mut decoder = FrameDecoder::default();
            let mut seen = Vec::new();
            for bytes in stream.chunks(piece) {
                decoder.feed(bytes);
                while let Some(message) = decoder.next_message().unwrap() {
                    seen.push(message);
                }
                assert!(decoder.buffer.len() <= MAX_FRAME_LEN + 2 + piece);
            }
            assert_eq!(seen, messages, "pieces of {piece}");
        }
    }

    #[test]
    fn a_length_out_of_bounds_is_refused_before_its_message() {
        for length in [0_u16, MAX_FRAME_LEN as u16 + 1, u16::MAX] {
            let mut decoder = FrameDecoder::default();
            decoder.feed(&length.to_be_bytes());
            assert_eq!(decoder.next_message(), Err(FrameError::Length(length.into())));
        }
        assert_eq!(encode_frame(&[], &mut Vec::new()), Err(FrameError::Length(0)));
        assert!(encode_frame(&[0; MAX_FRAME_LEN + 1], &mut Vec::new()).is_err());
    }
}
