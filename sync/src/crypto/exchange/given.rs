//! An answer as it was once given, to be sealed again under further tags: what a reply (docs/protocol.md, section 7.4) and the answer to a
//! repair (section 7.7) have in common.

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::{
    SealError,
    transcript::{check_try, header_fields},
};
use crate::{
    crypto::{
        bundle_seal::{BundleKeys, Envelope, Sealed, seal_bundle},
        identity::{StateError, secret},
        secret::Secret,
    },
    wire::{
        bundle::MAX_BUNDLE_LEN,
        codec::{LengthError, Reader},
    },
};

/// What all answers to one request have in common: its ephemeral key `e`, and secrets under that salt.
pub(super) trait AnswerBase: Sized {
    /// The version of [`Given::encode`].
    const VERSION: u8;
    /// Length of an answer's body before its filling, bytes.
    const BODY_LEN: usize;

    /// `e` and the secrets, as they are stored.
    fn parts(&self) -> [&[u8]; 2];

    /// Reads what [`parts`](Self::parts) has lent.
    fn read(reader: &mut Reader<'_>) -> Result<Self, LengthError>;

    /// The keys that seal the answer of try `number`, which has this message key.
    fn bundle_keys(&self, number: u8, message: Secret<32>) -> BundleKeys;
}

/// The finished body of an answer, with what seals it. The keys of the pair can't be computed from it.
pub(super) struct Given<B> {
    /// The transcript of the request that it answers.
    pub(super) th1: [u8; 32],
    pub(super) base: B,
    /// The ephemeral key of the answer, in its header.
    pub(super) f: [u8; 32],
    pub(super) message: Secret<32>,
    pub(super) body: Vec<u8>,
}

impl<B: AnswerBase> Given<B> {
    /// Seals the answer once more, under the tag of try `number`. A number answers once, as its header key seals once.
    ///
    /// # Errors
    ///
    /// [`SealError::Try`] for a try above 15.
    pub(super) fn seal(&self, number: u8, envelope: Envelope, rng: &mut (impl CryptoRng + ?Sized)) -> Result<Sealed, SealError> {
        check_try(number)?;
        let keys = self.base.bundle_keys(number, self.message.duplicate());
        Ok(seal_bundle(&keys, envelope, &header_fields(&self.f), &self.body, MAX_BUNDLE_LEN, rng)?)
    }

    /// Encodes it for the encrypted store: version 1 ‖ `th1` 32 ‖ `e` 32 ‖ secrets ‖ `f` 32 ‖ message key 32 ‖ body.
    pub(super) fn encode(&self) -> Zeroizing<Vec<u8>> {
        let [e, secrets] = self.base.parts();
        let parts = [&self.th1[..], e, secrets, &self.f, self.message.expose(), &self.body];
        // As long as it will be: one that grows leaves copies behind.
        let mut out = Zeroizing::new(Vec::with_capacity(1 + parts.iter().map(|part| part.len()).sum::<usize>()));
        out.push(B::VERSION);
        for part in parts {
            out.extend_from_slice(part);
        }
        out
    }

    /// Decodes what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    ///
    /// [`StateError`] if the bytes are of another version or length.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, StateError> {
        let mut reader = Reader::new(bytes);
        if reader.u8()? != B::VERSION {
            return Err(StateError);
        }
        let (th1, base) = (reader.array()?, B::read(&mut reader)?);
        let given = Self { th1, base, f: reader.array()?, message: secret(&mut reader)?, body: reader.bytes(B::BODY_LEN)?.to_vec() };
        reader.finish()?;
        Ok(given)
    }
}
