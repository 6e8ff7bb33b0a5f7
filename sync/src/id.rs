//! Names of things: newtypes, so that no id is taken for another.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Identifies a bundle: SHA-256 over all its bytes (docs/protocol.md, section 5).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BundleId(pub [u8; 32]);

/// Identifies a bundle within one session, 8 bytes (docs/protocol.md, section 4).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ShortId(pub [u8; 8]);

/// Identifies a message for its two people: 16 random bytes drawn by the sender.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(pub [u8; 16]);

/// Identifies a contact in this profile; never sent, never reused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ContactId(pub u32);

/// A node's name on the local network for a quarter of an hour: 8 random bytes (docs/protocol.md, section 9).
pub use hedgerow_transports::BeaconId;

/// A one-time destination tag of a bundle: 16 bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Tag(pub [u8; 16]);

/// The commitment to a bundle's ack secret: 16 bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Commitment(pub [u8; 16]);

/// Why a text is no id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an id is {expected} hexadecimal digits")]
pub struct IdError {
    /// How many digits this kind of id has.
    pub expected: usize,
}

macro_rules! hex_id {
    ($name:ident, $bytes:expr) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&data_encoding::HEXLOWER.encode(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}(", stringify!($name))?;
                f.write_str(&data_encoding::HEXLOWER.encode(&self.0[..4]))?;
                f.write_str("…)")
            }
        }

        impl std::str::FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                data_encoding::HEXLOWER_PERMISSIVE
                    .decode(text.as_bytes())
                    .ok()
                    .and_then(|bytes| bytes.try_into().ok())
                    .map(Self)
                    .ok_or(IdError { expected: $bytes * 2 })
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

hex_id!(BundleId, 32);
hex_id!(MessageId, 16);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_inverts_parse() {
        let id = MessageId([0xa5; 16]);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!("a5".parse::<MessageId>(), Err(IdError { expected: 32 }));
        assert_eq!("zz".repeat(16).parse::<MessageId>(), Err(IdError { expected: 32 }));
    }
}
