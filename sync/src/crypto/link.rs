//! The one-time link that makes two people contacts (docs/protocol.md, section 7.2).
//!
//! Whoever sees a link first can become the contact. That it serves once, until when, and how many may wait is the engine's policy.

use std::fmt;

use data_encoding::BASE32_NOPAD;
use zeroize::Zeroizing;

use super::{
    bundle_seal::Envelope,
    identity::{StateError, is_contributory, secret},
    kdf::{hash, hkdf, label},
    pair_keys::PairRole,
    secret::Secret,
};
use crate::{
    id::Tag,
    time::Hour,
    wire::{
        bundle::{Class, Lifetime},
        codec::{LengthError, Reader},
    },
};

/// What a link's text begins with.
pub const LINK_SCHEME: &str = "hedgerow:";
/// Longest text in which a link is looked for, bytes (policy).
pub const MAX_LINK_TEXT: usize = 4096;
/// How many bundles may carry one request, and one reply; the last try is one less.
pub const TRIES: u8 = 16;

/// The version of links that this code makes, and the only one it takes.
const LINK_VERSION: u8 = 1;
/// Length of a link without its checksum, bytes.
pub(super) const LINK_LEN: usize = 1 + 4 + 16 + 32;
/// Length of the checksum, bytes.
const CHECK_LEN: usize = 4;
/// Length of a link in base32: 57 bytes.
const LINK_SYMBOLS: usize = 92;

/// Why a text contains no link that can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// The text is longer than [`MAX_LINK_TEXT`]: its length in bytes.
    #[error("the text has {0} bytes, at most {MAX_LINK_TEXT} allowed")]
    TextTooLong(usize),
    /// Nothing in it begins like a link.
    #[error("the text contains no link")]
    Missing,
    /// The link is cut off, or goes on where it should end.
    #[error("the link is not complete")]
    Length,
    /// A character is wrong.
    #[error("the link has been altered: its checksum does not match")]
    Checksum,
    /// Made by a newer program: the link's version.
    #[error("the link is of version {0}, which this program does not know")]
    Version(u8),
    /// The hour of expiry or the key makes no sense, though the checksum is right.
    #[error("the link is malformed")]
    Field,
}

/// A link: version, hour of expiry, secret and one-time key `L`. A value of this type has been checked.
pub struct Link {
    expires: Hour,
    secret: Secret<16>,
    public: [u8; 32],
}

/// What lets the two ends of a pending link recognise each other in a session (docs/protocol.md, section 3.1).
#[derive(Debug)]
pub struct LinkKeys {
    /// Recognition key from the invitee to the issuer.
    pub invitee_to_issuer: Secret<32>,
    /// Recognition key from the issuer to the invitee.
    pub issuer_to_invitee: Secret<32>,
    /// The link key, for the rekeying of section 3.2.
    pub link: Secret<32>,
}

impl Link {
    pub(super) const fn new(expires: Hour, secret: Secret<16>, public: [u8; 32]) -> Self {
        Self { expires, secret, public }
    }

    /// Finds the first whole link in a text: within a sentence, in any mixture of cases, wrapped over several lines.
    ///
    /// # Errors
    ///
    /// [`LinkError`], about the first link if there are several and none is good.
    pub fn parse(text: &str) -> Result<Self, LinkError> {
        if text.len() > MAX_LINK_TEXT {
            return Err(LinkError::TextTooLong(text.len()));
        }
        let mut first_error = None;
        for start in 0..text.len() {
            let Some((scheme, rest)) = text.as_bytes().get(start..).and_then(|tail| tail.split_at_checked(LINK_SCHEME.len())) else {
                break;
            };
            if !scheme.eq_ignore_ascii_case(LINK_SCHEME.as_bytes()) {
                continue;
            }
            match Self::parse_symbols(rest) {
                Ok(link) => return Ok(link),
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        Err(first_error.unwrap_or(LinkError::Missing))
    }

    /// Parses what follows the scheme. Blanks and line breaks are skipped, as mail programs and terminals wrap long words.
    fn parse_symbols(rest: &[u8]) -> Result<Self, LinkError> {
        let mut symbols = Zeroizing::new(Vec::with_capacity(LINK_SYMBOLS));
        let mut rest = rest.iter();
        while symbols.len() < LINK_SYMBOLS {
            match rest.next() {
                Some(byte) if byte.is_ascii_whitespace() => {}
                Some(byte) if byte.is_ascii_alphanumeric() => symbols.push(byte.to_ascii_uppercase()),
                _ => return Err(LinkError::Length),
            }
        }
        if rest.next().is_some_and(u8::is_ascii_alphanumeric) {
            return Err(LinkError::Length);
        }
        // Digits that base32 does not have, or spare bits that are not zero, are typing errors like any other.
        let bytes = Zeroizing::new(BASE32_NOPAD.decode(&symbols).map_err(|_| LinkError::Checksum)?);
        let (link, check) = bytes.split_last_chunk::<CHECK_LEN>().ok_or(LinkError::Length)?;
        if digest(link)[..CHECK_LEN] != *check {
            return Err(LinkError::Checksum);
        }
        Self::decode(link)
    }

    /// Decodes a link without checksum.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, LinkError> {
        let mut reader = Reader::new(bytes);
        match reader.u8()? {
            LINK_VERSION => {}
            other => return Err(LinkError::Version(other)),
        }
        let link = Self { expires: Hour(reader.u32()?), secret: secret(&mut reader)?, public: reader.array()? };
        reader.finish()?;
        let sound = link.expires != Hour::UNKNOWN && is_contributory(&link.public);
        if sound { Ok(link) } else { Err(LinkError::Field) }
    }

    /// Encodes the link without checksum.
    pub(super) fn encode(&self) -> Zeroizing<[u8; LINK_LEN]> {
        let mut out = Zeroizing::new([0; LINK_LEN]);
        out[0] = LINK_VERSION;
        out[1..5].copy_from_slice(&self.expires.0.to_be_bytes());
        out[5..21].copy_from_slice(self.secret.expose());
        out[21..].copy_from_slice(&self.public);
        out
    }

    /// The link as text for chats and mail: lower case, 101 characters. Whoever reads it can use it.
    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(self.to_qr_text().to_ascii_lowercase())
    }

    /// The link for a QR code: upper case, so that it is coded as alphanumeric and fits a terminal of 24 rows.
    pub fn to_qr_text(&self) -> Zeroizing<String> {
        let link = self.encode();
        let mut bytes = Zeroizing::new(link.to_vec());
        bytes.extend_from_slice(&digest(link.as_slice())[..CHECK_LEN]);
        let mut text = Zeroizing::new(LINK_SCHEME.to_ascii_uppercase());
        text.reserve(LINK_SYMBOLS);
        BASE32_NOPAD.encode_append(&bytes, &mut text);
        text
    }

    /// The last hour in which the link is valid, by the issuer's clock.
    pub const fn expires(&self) -> Hour {
        self.expires
    }

    /// Says whether the link is no longer valid at mesh time `now`. Without a clock ([`Hour::UNKNOWN`]) none has expired.
    pub fn is_expired(&self, now: Hour) -> bool {
        now > self.expires
    }

    /// How the bundles of this link's exchange look to carriers when sealed at mesh time `created` (docs/protocol.md, section 7.4). They
    /// live no longer than messages do: strangers refuse what does.
    pub fn envelope(&self, created: Hour) -> Envelope {
        let lifetime = Lifetime::at_least(self.expires.0.saturating_sub(created.0).min(Lifetime::Fortnight.hours()));
        Envelope { class: Class::Normal, lifetime, created }
    }

    /// An id under which used links are remembered: bytes 4 to 12 of the hash that the checksum begins. Reveals nothing of the link.
    pub fn id(&self) -> [u8; 8] {
        let mut id = [0; 8];
        id.copy_from_slice(&digest(self.encode().as_slice())[CHECK_LEN..][..8]);
        id
    }

    /// The recognition keys and the link key.
    pub fn keys(&self) -> LinkKeys {
        let recognise = |from: PairRole| hkdf(&[], self.secret.expose(), &[label::LINK_RECOGNISE, &[from.direction()]]);
        LinkKeys {
            invitee_to_issuer: recognise(PairRole::Invitee),
            issuer_to_invitee: recognise(PairRole::Issuer),
            link: hkdf(&[], self.secret.expose(), &[label::LINK_REKEY]),
        }
    }

    /// The tags of the tries of a request.
    pub(super) fn request_tags(&self) -> [Tag; TRIES as usize] {
        std::array::from_fn(|number| self.request_tag(number as u8))
    }

    /// The tag of try `number` of a request.
    pub(super) fn request_tag(&self, number: u8) -> Tag {
        Tag(*hkdf(&[], self.secret.expose(), &[label::REQUEST_TAG, &[number]]).expose())
    }

    pub(super) const fn secret(&self) -> &Secret<16> {
        &self.secret
    }

    pub(super) const fn public(&self) -> &[u8; 32] {
        &self.public
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { expires, secret: _, public: _ } = self; // a new field must be judged here to compile
        f.debug_struct("Link").field("expires", expires).finish_non_exhaustive()
    }
}

impl From<LengthError> for LinkError {
    fn from(_: LengthError) -> Self {
        Self::Length
    }
}

impl From<LinkError> for StateError {
    fn from(_: LinkError) -> Self {
        Self
    }
}

fn digest(link: &[u8]) -> [u8; 32] {
    hash(&[label::LINK_CHECK, link])
}

#[cfg(test)]
mod tests;
