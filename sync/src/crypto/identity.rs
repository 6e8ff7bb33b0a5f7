//! Who a person is to others: device keys, the card that shows them, and the name beside it (docs/protocol.md, section 7.1).
//!
//! The identity key signs the card of its own device and nothing else, so that no signature proves to third parties who knows whom.
//! A card is public: holding one proves nothing. Possession of its keys is proven in the contact exchange.

use std::fmt;

use data_encoding::BASE32_NOPAD;
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use rand_core::CryptoRng;
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use super::{
    kdf::{dh, hash, label},
    secret::Secret,
};
use crate::wire::codec::{LengthError, Reader};

pub(crate) mod kem;

/// Length of a card, bytes.
pub const CARD_LEN: usize = 1328;
/// How many bytes of a card its signature covers.
const SIGNED_LEN: usize = CARD_LEN - 64;
/// The version of [`Device::encode`].
const DEVICE_VERSION: u8 = 1;
/// Length of an encoded device, bytes.
const DEVICE_LEN: usize = 1 + 16 + 32 + 32 + kem::SEED_LEN;
/// How much of the hash of an identity key its fingerprint shows, bytes: 160 bits, so that no second key with an equal one can be found.
const FINGERPRINT_LEN: usize = 20;

/// Says whether `key` is an X25519 key that the other side can't have chosen to fix every result (docs/protocol.md, section 1).
pub(crate) fn is_contributory(key: &[u8; 32]) -> bool {
    // Low order shows with any scalar: clamping makes all of them multiples of the cofactor.
    dh(&StaticSecret::from([0x42; 32]), key).is_some()
}

/// `DH(secret, public)` for a secret at rest; `None` for a `public` of low order.
pub(crate) fn agree(secret: &Secret<32>, public: &[u8; 32]) -> Option<Secret<32>> {
    dh(&StaticSecret::from(*secret.expose()), public)
}

/// The public half of an X25519 key.
pub(crate) fn public_half(secret: &Secret<32>) -> [u8; 32] {
    PublicKey::from(&StaticSecret::from(*secret.expose())).to_bytes()
}

/// This device's keys, private halves included, with the card that shows the public ones.
pub struct Device {
    identity: Secret<32>,
    agreement: Secret<32>,
    kem: Secret<{ kem::SEED_LEN }>,
    card: Card,
}

impl Device {
    /// Draws a new identity with one device.
    pub fn generate(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let mut id = [0; 16];
        rng.fill_bytes(&mut id);
        Self::new(id, Secret::random(rng), Secret::random(rng), Secret::random(rng))
    }

    fn new(device_id: [u8; 16], identity: Secret<32>, agreement: Secret<32>, kem: Secret<{ kem::SEED_LEN }>) -> Self {
        let signer = SigningKey::from_bytes(identity.expose());
        let mut card = Card {
            device_id,
            identity: signer.verifying_key().to_bytes(),
            agreement: public_half(&agreement),
            kem: kem::encapsulation_key(&kem),
            signature: [0; 64],
        };
        card.signature = signer.sign(&card.signed_message()).to_bytes();
        Self { identity, agreement, kem, card }
    }

    /// Encodes all keys for the encrypted store: version 1 ‖ device id 16 ‖ Ed25519 seed 32 ‖ X25519 key 32 ‖ ML-KEM-768 seed 64.
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut out = Zeroizing::new(Vec::with_capacity(DEVICE_LEN));
        out.push(DEVICE_VERSION);
        out.extend_from_slice(&self.card.device_id);
        out.extend_from_slice(self.identity.expose());
        out.extend_from_slice(self.agreement.expose());
        out.extend_from_slice(self.kem.expose());
        out
    }

    /// Decodes what [`encode`](Self::encode) wrote. The card comes out equal, Ed25519 signatures being deterministic.
    ///
    /// # Errors
    ///
    /// [`StateError`] if the bytes are of another version or length.
    pub fn decode(bytes: &[u8]) -> Result<Self, StateError> {
        let mut reader = Reader::new(bytes);
        if reader.u8()? != DEVICE_VERSION {
            return Err(StateError);
        }
        let (id, identity, agreement, kem) = (reader.array()?, secret(&mut reader)?, secret(&mut reader)?, secret(&mut reader)?);
        reader.finish()?;
        Ok(Self::new(id, identity, agreement, kem))
    }

    /// The card that shows this device to contacts.
    pub const fn card(&self) -> &Card {
        &self.card
    }

    /// `DH(A, public)` with this device's agreement key; `None` for a `public` of low order.
    pub(crate) fn agree(&self, public: &[u8; 32]) -> Option<Secret<32>> {
        agree(&self.agreement, public)
    }

    /// Decapsulates with this device's key `M`.
    pub(crate) fn decapsulate(&self, ciphertext: &[u8; kem::CIPHERTEXT_LEN]) -> Secret<32> {
        kem::decapsulate(&self.kem, ciphertext)
    }
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { identity: _, agreement: _, kem: _, card: _ } = self; // a new field must be judged here to compile
        f.write_str("Device(..)")
    }
}

/// Reads `N` secret bytes.
pub(crate) fn secret<const N: usize>(reader: &mut Reader<'_>) -> Result<Secret<N>, LengthError> {
    Secret::from_slice(reader.bytes(N)?).ok_or(LengthError)
}

/// What our own store yields is not what was written into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("stored keys are damaged or of an unknown version")]
pub struct StateError;

impl From<LengthError> for StateError {
    fn from(_: LengthError) -> Self {
        Self
    }
}

/// Why bytes are no card.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CardError {
    /// The length is not [`CARD_LEN`].
    #[error("a card has 1,328 bytes")]
    Length,
    /// The agreement key is of low order or the ML-KEM key malformed.
    #[error("a key on the card is unusable")]
    Key,
    /// The identity has not signed this.
    #[error("the signature of the card is wrong")]
    Signature,
}

/// The public keys of one device, signed by its identity (docs/protocol.md, section 7.1). A value of this type has been checked.
#[derive(Clone, PartialEq, Eq)]
pub struct Card {
    device_id: [u8; 16],
    identity: [u8; 32],
    agreement: [u8; 32],
    kem: Box<[u8; kem::KEY_LEN]>,
    signature: [u8; 64],
}

impl Card {
    /// Decodes and checks a card.
    ///
    /// The signature is checked strictly: no identity or signature point of small order, no second form of a signature.
    ///
    /// # Errors
    ///
    /// [`CardError`] if anything about it is wrong; the keys are looked at only once the signature has verified.
    pub fn decode(bytes: &[u8]) -> Result<Self, CardError> {
        let card = Self::parse(bytes).map_err(|LengthError| CardError::Length)?;
        VerifyingKey::from_bytes(&card.identity)
            .and_then(|identity| identity.verify_strict(&card.signed_message(), &Signature::from_bytes(&card.signature)))
            .map_err(|_| CardError::Signature)?;
        let usable = is_contributory(&card.agreement) && kem::is_well_formed(&card.kem);
        if usable { Ok(card) } else { Err(CardError::Key) }
    }

    /// The fingerprint of a card that our own store keeps: it was checked when it came, and is not checked again.
    pub(crate) fn fingerprint_of_stored(bytes: &[u8]) -> Option<String> {
        Self::parse(bytes).ok().map(|card| card.fingerprint())
    }

    fn parse(bytes: &[u8]) -> Result<Self, LengthError> {
        let mut reader = Reader::new(bytes);
        let card = Self {
            device_id: reader.array()?,
            identity: reader.array()?,
            agreement: reader.array()?,
            kem: Box::new(reader.array()?),
            signature: reader.array()?,
        };
        reader.finish()?;
        Ok(card)
    }

    /// Encodes the card.
    pub fn encode(&self) -> [u8; CARD_LEN] {
        let mut out = [0; CARD_LEN];
        let (keys, signature) = out.split_at_mut(SIGNED_LEN);
        let (id, keys) = keys.split_at_mut(16);
        let (identity, keys) = keys.split_at_mut(32);
        let (agreement, kem) = keys.split_at_mut(32);
        id.copy_from_slice(&self.device_id);
        identity.copy_from_slice(&self.identity);
        agreement.copy_from_slice(&self.agreement);
        kem.copy_from_slice(self.kem.as_slice());
        signature.copy_from_slice(&self.signature);
        out
    }

    fn signed_message(&self) -> Vec<u8> {
        [label::CARD, &self.device_id, &self.identity, &self.agreement, self.kem.as_slice()].concat()
    }

    /// The random id of the device.
    pub const fn device_id(&self) -> &[u8; 16] {
        &self.device_id
    }

    /// The identity key `I`.
    pub const fn identity(&self) -> &[u8; 32] {
        &self.identity
    }

    /// The agreement key `A`.
    pub const fn agreement(&self) -> &[u8; 32] {
        &self.agreement
    }

    /// The agreement key `M`.
    pub(crate) fn kem(&self) -> &[u8; kem::KEY_LEN] {
        &self.kem
    }

    /// The identity in a form that people compare: 8 groups of 4 characters, `H(I)[0..20]` in lower-case base32.
    pub fn fingerprint(&self) -> String {
        let digest = hash(&[&self.identity]);
        let mut text = String::with_capacity(39);
        for (index, symbol) in BASE32_NOPAD.encode(&digest[..FINGERPRINT_LEN]).to_ascii_lowercase().chars().enumerate() {
            if index > 0 && index % 4 == 0 {
                text.push(' ');
            }
            text.push(symbol);
        }
        text
    }
}

impl fmt::Debug for Card {
    /// Says nothing: whom a device knows does not belong into logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Card(..)")
    }
}

/// Longest name, bytes of UTF-8 (docs/protocol.md, section 7.3).
pub const MAX_NAME_LEN: usize = 50;
/// Length of a name's field: its length and the name, filled with zeros.
pub(crate) const NAME_FIELD_LEN: usize = 1 + MAX_NAME_LEN;

/// Why a text is no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing, or nothing but blanks.
    #[error("the name is empty")]
    Empty,
    /// Longer than [`MAX_NAME_LEN`]: its length in bytes.
    #[error("the name has {0} bytes, at most {MAX_NAME_LEN} allowed")]
    TooLong(usize),
    /// A character that can't be seen, or that changes how its neighbours are shown: the code point.
    #[error("the name contains the invisible or control character U+{0:04X}")]
    Character(u32),
    /// A received field is not in the form that every sender writes.
    #[error("the field of the name is malformed")]
    Field,
}

/// The name that a person goes by: 1 to 50 bytes of UTF-8 without blanks at either end and without what [`Name::new`] refuses.
#[derive(Clone, PartialEq, Eq)]
pub struct Name(String);

impl Name {
    /// Checks a name that a person typed; blanks around it are dropped.
    ///
    /// Refused are control characters (category Cc: C0, delete, C1), U+2028 and U+2029, U+FFF9 to U+FFFB, and all of Unicode's
    /// `Default_Ignorable_Code_Point`: with it every bidirectional control (U+061C, U+200E, U+200F, U+202A–202E, U+2066–2069) and
    /// zero-width character (U+00AD, U+034F, U+115F–1160, U+17B4–17B5, U+180B–180F, U+200B–200D, U+2060–206F, U+3164, U+FE00–FE0F,
    /// U+FEFF, U+FFA0, U+FFF0–FFF8, U+1BCA0–1BCA3, U+1D173–1D17A, U+E0000–E0FFF). The price: no joined emoji, no U+200C in Persian.
    ///
    /// # Errors
    ///
    /// [`NameError`] except `Field`.
    pub fn new(text: &str) -> Result<Self, NameError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        if text.len() > MAX_NAME_LEN {
            return Err(NameError::TooLong(text.len()));
        }
        match text.chars().find(|&c| is_refused(c)) {
            Some(c) => Err(NameError::Character(u32::from(c))),
            None => Ok(Self(text.to_owned())),
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Encodes the field: length 1 ‖ name, filled with zeros to [`MAX_NAME_LEN`].
    pub(crate) fn encode_field(&self) -> [u8; NAME_FIELD_LEN] {
        let mut out = [0; NAME_FIELD_LEN];
        out[0] = self.0.len() as u8;
        out[1..][..self.0.len()].copy_from_slice(self.0.as_bytes());
        out
    }

    /// Decodes a field; only what [`encode_field`](Self::encode_field) can have written is taken.
    pub(crate) fn decode_field(field: &[u8; NAME_FIELD_LEN]) -> Result<Self, NameError> {
        let [length, name @ ..] = field;
        let (text, filling) = name.split_at_checked(usize::from(*length)).ok_or(NameError::Field)?;
        if filling.iter().any(|&byte| byte != 0) {
            return Err(NameError::Field);
        }
        let text = std::str::from_utf8(text).map_err(|_| NameError::Field)?;
        let name = Self::new(text)?;
        if name.0 == text { Ok(name) } else { Err(NameError::Field) }
    }
}

impl fmt::Debug for Name {
    /// Says nothing: whom a device knows does not belong into logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Name(..)")
    }
}

fn is_refused(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{2028}' | '\u{2029}' | '\u{fff9}'..='\u{fffb}'
            // Default_Ignorable_Code_Point, Unicode 16, DerivedCoreProperties.txt.
            | '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
pub(crate) mod tests;
