//! A bounded cursor over received bytes.

/// The bytes ended before the field did, or went on after the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the bytes don't have the length of their kind")]
pub struct LengthError;

/// Reads fields from the front of a byte slice.
#[derive(Debug)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Starts at the front of `bytes`.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Takes the next `length` bytes.
    ///
    /// # Errors
    ///
    /// [`LengthError`] if fewer are left.
    pub fn bytes(&mut self, length: usize) -> Result<&'a [u8], LengthError> {
        let (field, rest) = self.0.split_at_checked(length).ok_or(LengthError)?;
        self.0 = rest;
        Ok(field)
    }

    /// Takes the next `N` bytes by value.
    ///
    /// # Errors
    ///
    /// [`LengthError`] if fewer are left.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], LengthError> {
        let (field, rest) = self.0.split_first_chunk::<N>().ok_or(LengthError)?;
        self.0 = rest;
        Ok(*field)
    }

    /// Takes one byte.
    ///
    /// # Errors
    ///
    /// [`LengthError`] if none is left.
    pub fn u8(&mut self) -> Result<u8, LengthError> {
        self.array().map(u8::from_be_bytes)
    }

    /// Takes a big-endian integer of two bytes.
    ///
    /// # Errors
    ///
    /// [`LengthError`] if fewer are left.
    pub fn u16(&mut self) -> Result<u16, LengthError> {
        self.array().map(u16::from_be_bytes)
    }

    /// Takes a big-endian integer of four bytes.
    ///
    /// # Errors
    ///
    /// [`LengthError`] if fewer are left.
    pub fn u32(&mut self) -> Result<u32, LengthError> {
        self.array().map(u32::from_be_bytes)
    }

    /// Takes a big-endian integer of eight bytes.
    ///
    /// # Errors
    ///
    /// [`LengthError`] if fewer are left.
    pub fn u64(&mut self) -> Result<u64, LengthError> {
        self.array().map(u64::from_be_bytes)
    }

    /// Takes an unsigned LEB128 integer of at most five bytes, in its shortest form.
    ///
    /// # Errors
    ///
    /// [`LengthError`] if it is cut off, longer, or has needless bytes.
    pub fn leb128(&mut self) -> Result<u32, LengthError> {
        let mut value = 0_u64;
        for shift in (0..35).step_by(7) {
            let byte = self.u8()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                let shortest = byte != 0 || shift == 0;
                return u32::try_from(value).ok().filter(|_| shortest).ok_or(LengthError);
            }
        }
        Err(LengthError)
    }

    /// Takes all that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    /// Says whether everything has been taken.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Requires that everything has been taken.
    ///
    /// # Errors
    ///
    /// [`LengthError`] if bytes are left.
    pub const fn finish(self) -> Result<(), LengthError> {
        if self.0.is_empty() { Ok(()) } else { Err(LengthError) }
    }
}

/// Appends an unsigned LEB128 integer in its shortest form.
pub fn put_leb128(out: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leb128_inverts_and_refuses_long_forms() {
        for value in [0, 1, 127, 128, 300, u32::MAX] {
            let mut out = Vec::new();
            put_leb128(&mut out, value);
            assert_eq!(Reader::new(&out).leb128(), Ok(value));
        }
        for bad in [&[0x80, 0x00][..], &[0xff; 5], &[0x80], &[0xff, 0xff, 0xff, 0xff, 0x1f]] {
            assert_eq!(Reader::new(bad).leb128(), Err(LengthError), "{bad:?}");
        }
    }
}
