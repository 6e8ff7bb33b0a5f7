//! The bundle and its header (docs/protocol.md, section 5). What is sealed in it is no carrier's business.

use super::codec::{LengthError, Reader};
use crate::{
    crypto::kdf::hash,
    id::{BundleId, Commitment, Tag},
    time::Hour,
};

/// The version of bundles that this code writes, and the only one it carries.
pub const BUNDLE_VERSION: u8 = 1;
/// Length of the bundle header, bytes.
pub const BUNDLE_HEADER_LEN: usize = 48;
/// Length of the sealed header with its authenticator, bytes.
pub const SEALED_HEADER_LEN: usize = 88;
/// Where the sealed body starts.
pub const BODY_OFFSET: usize = BUNDLE_HEADER_LEN + SEALED_HEADER_LEN;
/// The sizes of bundles, bytes.
pub const BUNDLE_SIZES: [usize; 4] = [512, 1024, 2048, 4096];
/// The largest bundle, bytes.
pub const MAX_BUNDLE_LEN: usize = 4096;
/// How far ahead of mesh time a bundle's created hour may lie (docs/protocol.md, section 5).
pub const CREATED_AHEAD_HOURS: u32 = 2;

/// How many bytes of body plaintext a bundle of `size` bytes holds.
pub const fn body_capacity(size: usize) -> usize {
    size - BODY_OFFSET - 16
}

/// The smallest bundle whose body holds `length` bytes; `None` above the largest.
pub fn size_for(length: usize) -> Option<usize> {
    BUNDLE_SIZES.into_iter().find(|&size| length <= body_capacity(size))
}

/// How urgent a bundle is; visible to carriers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Class {
    /// Everything that is not urgent.
    Normal = 0,
    /// Sent before normal ones.
    Urgent = 1,
}

/// How long a bundle may live, from its created hour on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Lifetime {
    /// One day.
    Day = 0,
    /// Three days.
    ThreeDays = 1,
    /// A week.
    Week = 2,
    /// A fortnight: private messages.
    Fortnight = 3,
    /// Thirty days: the cap.
    Month = 4,
}

impl Lifetime {
    /// All lifetimes, shortest first.
    pub const ALL: [Self; 5] = [Self::Day, Self::ThreeDays, Self::Week, Self::Fortnight, Self::Month];

    /// The lifetime in hours.
    pub const fn hours(self) -> u32 {
        24 * match self {
            Self::Day => 1,
            Self::ThreeDays => 3,
            Self::Week => 7,
            Self::Fortnight => 14,
            Self::Month => 30,
        }
    }

    /// The shortest lifetime of at least `hours`, or the cap.
    pub fn at_least(hours: u32) -> Self {
        Self::ALL.into_iter().find(|lifetime| lifetime.hours() >= hours).unwrap_or(Self::Month)
    }
}

/// The part of a bundle that carriers read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BundleHeader {
    /// How urgent it is.
    pub class: Class,
    /// How long it may live.
    pub lifetime: Lifetime,
    /// When it was sealed; [`Hour::UNKNOWN`] where the sender had no clock.
    pub created: Hour,
    /// The one-time destination tag.
    pub tag: Tag,
    /// The commitment to the ack secret.
    pub commitment: Commitment,
}

impl BundleHeader {
    /// Encodes the header: [`BUNDLE_HEADER_LEN`] bytes.
    pub fn encode(&self) -> [u8; BUNDLE_HEADER_LEN] {
        let mut out = [0; BUNDLE_HEADER_LEN];
        out[0] = BUNDLE_VERSION;
        out[1] = self.class as u8;
        out[2] = self.lifetime as u8;
        out[4..8].copy_from_slice(&self.created.0.to_be_bytes());
        out[8..24].copy_from_slice(&self.tag.0);
        out[24..40].copy_from_slice(&self.commitment.0);
        out
    }

    /// The first hour in which the bundle has expired; `None` if that goes by age, its sender having had no clock.
    pub fn expiry(&self) -> Option<Hour> {
        (self.created != Hour::UNKNOWN).then(|| self.created.plus(self.lifetime.hours()))
    }
}

/// Why bytes are not a bundle that may be carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// The length is none of [`BUNDLE_SIZES`].
    #[error("a bundle has 512, 1,024, 2,048 or 4,096 bytes")]
    Size,
    /// A version this node does not know: the version.
    #[error("bundle version {0} is unknown")]
    Version(u8),
    /// Class, lifetime or the reserved byte has no meaning in this version.
    #[error("a field of the bundle header is out of range")]
    Field,
}

impl From<LengthError> for BundleError {
    fn from(_: LengthError) -> Self {
        Self::Size
    }
}

/// A well-formed bundle: bytes, header and id belong together.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Bundle {
    id: BundleId,
    header: BundleHeader,
    bytes: Vec<u8>,
}

impl BundleId {
    /// The id of a bundle's bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(hash(&[bytes]))
    }
}

impl Bundle {
    /// Checks bytes from anywhere. Says nothing of time: see [`BundleHeader::expiry`].
    ///
    /// # Errors
    ///
    /// [`BundleError`] if they are not a bundle of this version.
    pub fn decode(bytes: Vec<u8>) -> Result<Self, BundleError> {
        let id = BundleId::of(&bytes);
        Self::decode_as(id, bytes)
    }

    /// The same where the id of the bytes was computed already.
    pub(crate) fn decode_as(id: BundleId, bytes: Vec<u8>) -> Result<Self, BundleError> {
        debug_assert_eq!(id, BundleId::of(&bytes), "an id is that of its bytes");
        if !BUNDLE_SIZES.contains(&bytes.len()) {
            return Err(BundleError::Size);
        }
        let mut reader = Reader::new(&bytes);
        match reader.u8()? {
            BUNDLE_VERSION => {}
            other => return Err(BundleError::Version(other)),
        }
        let class = match reader.u8()? {
            0 => Class::Normal,
            1 => Class::Urgent,
            _ => return Err(BundleError::Field),
        };
        let lifetime = *Lifetime::ALL.get(usize::from(reader.u8()?)).ok_or(BundleError::Field)?;
        if reader.u8()? != 0 {
            return Err(BundleError::Field);
        }
        let header = BundleHeader {
            class,
            lifetime,
            created: Hour(reader.u32()?),
            tag: Tag(reader.array()?),
            commitment: Commitment(reader.array()?),
        };
        if reader.u64()? != 0 {
            return Err(BundleError::Field);
        }
        Ok(Self { id, header, bytes })
    }

    /// The id: SHA-256 of all bytes.
    pub const fn id(&self) -> BundleId {
        self.id
    }

    /// The part that carriers read.
    pub const fn header(&self) -> &BundleHeader {
        &self.header
    }

    /// All bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Gives the bytes away.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> BundleHeader {
        BundleHeader {
            class: Class::Urgent,
            lifetime: Lifetime::Fortnight,
            created: Hour(490_000),
            tag: Tag([1; 16]),
            commitment: Commitment([2; 16]),
        }
    }

    #[test]
    fn decode_inverts_encode() {
        for size in BUNDLE_SIZES {
            let mut bytes = header().encode().to_vec();
            bytes.resize(size, 9);
            let bundle = Bundle::decode(bytes.clone()).unwrap();
            assert_eq!(bundle.header(), &header());
            assert_eq!(bundle.id(), BundleId(hash(&[&bytes])));
        }
    }

    #[test]
    fn malformed_headers_are_refused() {
        let mut good = header().encode().to_vec();
        good.resize(512, 0);
        for (offset, value, error) in [
            (0, 2, BundleError::Version(2)),
            (1, 2, BundleError::Field),
            (2, 5, BundleError::Field),
            (3, 1, BundleError::Field),
            (47, 1, BundleError::Field),
        ] {
            let mut bad = good.clone();
            bad[offset] = value;
            assert_eq!(Bundle::decode(bad), Err(error), "offset {offset}");
        }
        for length in [0, 1, 511, 513, 4097, 8192] {
            assert_eq!(Bundle::decode(vec![1; length]), Err(BundleError::Size));
        }
    }

    #[test]
    fn expiry_is_created_plus_lifetime() {
        assert_eq!(header().expiry(), Some(Hour(490_000 + 336)));
        assert_eq!(BundleHeader { created: Hour::UNKNOWN, ..header() }.expiry(), None);
        assert_eq!(BundleHeader { created: Hour(u32::MAX), ..header() }.expiry(), Some(Hour(u32::MAX)));
    }

    #[test]
    fn sizes_fit_their_bodies() {
        assert_eq!(size_for(0), Some(512));
        assert_eq!(size_for(360), Some(512));
        assert_eq!(size_for(361), Some(1024));
        assert_eq!(size_for(3944), Some(4096));
        assert_eq!(size_for(3945), None);
    }
}
