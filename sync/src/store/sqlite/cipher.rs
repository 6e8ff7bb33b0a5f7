//! The key file: the database's key, wrapped under the passphrase.
//!
//! ```text
//! offset  size
//!      0     8  magic "hedgekey"
//!      8     1  version, 1
//!      9     4  Argon2id memory in KiB, big-endian as all numbers here
//!     13     4  Argon2id passes
//!     17     4  Argon2id lanes
//!     21    16  salt
//!     37    24  nonce
//!     61    48  the 32-byte key under XChaCha20-Poly1305 and its authenticator; everything before is associated data
//! ```
//!
//! The key itself is random and stays the same when the passphrase changes, so that only this file is written anew. Salt and nonce are
//! drawn anew each time.

use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305,
    aead::{AeadInOut, Nonce, Tag as Authenticator},
};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::{
    crypto::{kdf::AUTHENTICATOR_LEN, secret::Secret},
    store::{StoreError, sqlite::OUT_OF_MEMORY},
};

/// The database's key.
pub(super) type DatabaseKey = Secret<32>;

/// Length of the key file, bytes.
pub(super) const KEY_FILE_LEN: usize = WRAPPED_AT + 32 + AUTHENTICATOR_LEN;

const MAGIC: &[u8; 8] = b"hedgekey";
const VERSION: u8 = 1;
const SALT_AT: usize = 21;
const NONCE_AT: usize = 37;
const WRAPPED_AT: usize = 61;

/// How much work a passphrase costs: parameters of Argon2id (RFC 9106).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KdfParams {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

impl KdfParams {
    /// The least memory for a new key file, KiB: 64 MiB, the second recommendation of RFC 9106, section 4.
    pub const MIN_MEMORY_KIB: u32 = 65_536;
    /// The most memory that a key file may ask for, KiB: 1 GiB, so that a hostile file can't exhaust a machine (policy).
    pub const MAX_MEMORY_KIB: u32 = 1_048_576;
    /// The most passes (policy).
    pub const MAX_PASSES: u32 = 64;
    /// The most lanes (policy).
    pub const MAX_LANES: u32 = 16;

    /// Checks parameters for a new key file; `None` if they are out of range.
    pub fn new(memory_kib: u32, passes: u32, lanes: u32) -> Option<Self> {
        (memory_kib >= Self::MIN_MEMORY_KIB).then(|| Self::bounded(memory_kib, passes, lanes)).flatten()
    }

    /// What a person who unlocks a profile now and then waits for: 64 MiB, 3 passes, 1 lane. RFC 9106 has 4 lanes, which a phone would
    /// compute one after the other here.
    pub const fn interactive() -> Self {
        Self { memory_kib: Self::MIN_MEMORY_KIB, passes: 3, lanes: 1 }
    }

    /// Next to no work: for tests and the simulator only, whose passphrases protect nothing.
    #[cfg(any(test, feature = "sim"))]
    pub const fn cheap_for_tests() -> Self {
        Self { memory_kib: 8, passes: 1, lanes: 1 }
    }

    /// Checks parameters of a file, before any memory is taken. Less than the minimum is no fault there: it is bound to the wrapped key,
    /// and to refuse it would only lock its owner out.
    fn bounded(memory_kib: u32, passes: u32, lanes: u32) -> Option<Self> {
        let within = (1..=Self::MAX_LANES).contains(&lanes)
            && (1..=Self::MAX_PASSES).contains(&passes)
            && (8 * lanes..=Self::MAX_MEMORY_KIB).contains(&memory_kib);
        within.then_some(Self { memory_kib, passes, lanes })
    }

    fn derive(self, passphrase: &[u8], salt: &[u8]) -> Result<Secret<32>, StoreError> {
        let mut out = Zeroizing::new([0; 32]);
        let params = Params::new(self.memory_kib, self.passes, self.lanes, Some(out.len())).map_err(|_| DAMAGED)?;
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(passphrase, salt, out.as_mut_slice())
            .map_err(|_| StoreError::Io(OUT_OF_MEMORY))?; // the lengths are in range; what is left is memory
        Ok(Secret::new(*out))
    }
}

const DAMAGED: StoreError = StoreError::Damaged("the key file is damaged");

/// Wraps a key under a passphrase.
pub(super) fn wrap(
    key: &DatabaseKey,
    passphrase: &[u8],
    params: KdfParams,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<[u8; KEY_FILE_LEN], StoreError> {
    let mut file = [0; KEY_FILE_LEN];
    file[..8].copy_from_slice(MAGIC);
    file[8] = VERSION;
    file[9..13].copy_from_slice(&params.memory_kib.to_be_bytes());
    file[13..17].copy_from_slice(&params.passes.to_be_bytes());
    file[17..SALT_AT].copy_from_slice(&params.lanes.to_be_bytes());
    rng.fill_bytes(&mut file[SALT_AT..WRAPPED_AT]);
    let wrapping = params.derive(passphrase, &file[SALT_AT..NONCE_AT])?;

    let (header, wrapped) = file.split_at_mut(WRAPPED_AT);
    let nonce: Nonce<XChaCha20Poly1305> = nonce(header)?;
    let (body, authenticator) = wrapped.split_at_mut(32);
    body.copy_from_slice(key.expose());
    let tag = XChaCha20Poly1305::new(wrapping.expose().into()).encrypt_inout_detached(&nonce, header, body.into()).map_err(|_| DAMAGED)?;
    authenticator.copy_from_slice(&tag);
    Ok(file)
}

/// Unwraps the key of a file.
pub(super) fn unwrap(file: &[u8], passphrase: &[u8]) -> Result<DatabaseKey, StoreError> {
    let params = parse(file)?;
    let (header, wrapped) = file.split_at(WRAPPED_AT);
    let (body, authenticator) = wrapped.split_at(32);
    let authenticator: &Authenticator<XChaCha20Poly1305> = authenticator.try_into().map_err(|_| DAMAGED)?;
    let nonce = nonce(header)?;
    let wrapping = params.derive(passphrase, header.get(SALT_AT..NONCE_AT).ok_or(DAMAGED)?)?;

    let mut key = Zeroizing::new([0; 32]);
    key.copy_from_slice(body);
    XChaCha20Poly1305::new(wrapping.expose().into())
        .decrypt_inout_detached(&nonce, header, key.as_mut_slice().into(), authenticator)
        .map_err(|_| StoreError::Passphrase)?;
    Ok(Secret::new(*key))
}

/// Checks everything about a key file that can be checked without the passphrase.
fn parse(file: &[u8]) -> Result<KdfParams, StoreError> {
    let number = |at: usize| file.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map(u32::from_be_bytes).ok_or(DAMAGED);
    if !file.starts_with(MAGIC) {
        return Err(StoreError::Damaged("the key file is not one of ours"));
    }
    match file.get(8) {
        Some(&VERSION) => {}
        Some(&found) if found > VERSION => return Err(StoreError::Newer { found: found.into(), known: VERSION.into() }),
        _ => return Err(DAMAGED),
    }
    if file.len() != KEY_FILE_LEN {
        return Err(DAMAGED);
    }
    KdfParams::bounded(number(9)?, number(13)?, number(17)?).ok_or(StoreError::Damaged("the key file asks for too much work"))
}

fn nonce(header: &[u8]) -> Result<Nonce<XChaCha20Poly1305>, StoreError> {
    let nonce: [u8; 24] = header.get(NONCE_AT..WRAPPED_AT).and_then(|bytes| bytes.try_into().ok()).ok_or(DAMAGED)?;
    Ok(nonce.into())
}

#[cfg(test)]
mod tests {
    use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

    use super::*;

    fn wrapped(passphrase: &[u8]) -> (DatabaseKey, [u8; KEY_FILE_LEN]) {
        let mut rng = ChaCha20Rng::seed_from_u64(7);
        let key = Secret::random(&mut rng);
        let file = wrap(&key, passphrase, KdfParams::cheap_for_tests(), &mut rng).unwrap();
        (key, file)
    }

    #[test]
    fn unwrap_inverts_wrap() {
        for passphrase in [b"".as_slice(), b"correct horse", "λ\0é".as_bytes(), &[0xff; 4096]] {
            let (key, file) = wrapped(passphrase);
            assert!(unwrap(&file, passphrase).unwrap().matches(key.expose()));
        }
    }

    #[test]
    fn wrong_passphrase_is_said() {
        let (_, file) = wrapped(b"right");
        for wrong in [b"".as_slice(), b"Right", b"right ", b"righ"] {
            assert!(matches!(unwrap(&file, wrong), Err(StoreError::Passphrase)));
        }
    }

    #[test]
    fn file_does_not_hold_the_key() {
        let (key, file) = wrapped(b"right");
        assert!(!file.windows(8).any(|window| key.expose().windows(8).any(|part| part == window)));
    }

    #[test]
    fn any_change_is_refused() {
        let (_, file) = wrapped(b"right");
        for at in 0..KEY_FILE_LEN {
            for bit in [1, 0x80] {
                let mut changed = file;
                changed[at] ^= bit;
                if (9..17).contains(&at) && parse(&changed).is_ok() {
                    continue; // within bounds and slow; the header is associated data, as the other bytes show
                }
                assert!(unwrap(&changed, b"right").is_err(), "byte {at}, bit {bit}");
            }
        }
    }

    #[test]
    fn truncated_and_long_files_are_refused() {
        let (_, file) = wrapped(b"right");
        for length in 0..KEY_FILE_LEN {
            assert!(matches!(unwrap(&file[..length], b"right"), Err(StoreError::Damaged(_))), "{length} bytes");
        }
        let long = [file.as_slice(), b"x"].concat();
        assert!(matches!(unwrap(&long, b"right"), Err(StoreError::Damaged(_))));
    }

    #[test]
    fn excessive_work_is_refused_before_memory_is_taken() {
        let (_, file) = wrapped(b"right");
        for (at, value) in [
            (9, KdfParams::MAX_MEMORY_KIB + 1),
            (9, u32::MAX),
            (9, 7),
            (13, 0),
            (13, KdfParams::MAX_PASSES + 1),
            (17, 0),
            (17, KdfParams::MAX_LANES + 1),
            (17, u32::MAX),
        ] {
            let mut changed = file;
            changed[at..at + 4].copy_from_slice(&value.to_be_bytes());
            assert!(matches!(unwrap(&changed, b"right"), Err(StoreError::Damaged(_))), "{value} at {at}");
        }
    }

    #[test]
    fn newer_key_file_is_said() {
        let (_, mut file) = wrapped(b"right");
        file[8] = 2;
        assert!(matches!(unwrap(&file, b"right"), Err(StoreError::Newer { found: 2, known: 1 })));
    }

    #[test]
    fn new_files_take_no_less_than_the_minimum() {
        assert_eq!(KdfParams::new(65_536, 3, 1), Some(KdfParams::interactive()));
        assert_eq!(KdfParams::new(65_535, 3, 1), None);
        assert_eq!(KdfParams::new(1_048_577, 3, 1), None);
        assert_eq!(KdfParams::new(65_536, 0, 1), None);
    }
}
