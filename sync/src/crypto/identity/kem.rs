//! ML-KEM-768 over plain bytes: decapsulation keys as their 64-byte seeds, everything else as on the wire.

use ml_kem::{
    DecapsulationKey768, EncapsulationKey768, Key, KeyExport, Seed,
    kem::{Ciphertext, Decapsulate, Encapsulate},
    ml_kem_768::MlKem768,
};
use rand_core::CryptoRng;
use zeroize::Zeroize;

use crate::crypto::secret::Secret;

/// Length of a decapsulation key as it is kept, bytes (FIPS 203, section 7.1: `d ‖ z`).
pub(crate) const SEED_LEN: usize = 64;
/// Length of an encapsulation key, bytes (FIPS 203, table 3).
pub(crate) const KEY_LEN: usize = 1184;
/// Length of a ciphertext, bytes (FIPS 203, table 3).
pub(crate) const CIPHERTEXT_LEN: usize = 1088;

/// The encapsulation key that belongs to `seed`.
pub(crate) fn encapsulation_key(seed: &Secret<SEED_LEN>) -> Box<[u8; KEY_LEN]> {
    Box::new(decapsulation_key(seed).encapsulation_key().to_bytes().into())
}

/// Says whether `key` passes the modulus check of FIPS 203, section 7.2.
pub(crate) fn is_well_formed(key: &[u8; KEY_LEN]) -> bool {
    parse(key).is_some()
}

/// Draws a shared secret for the holder of `key`; `None` if the key is malformed.
pub(crate) fn encapsulate(key: &[u8; KEY_LEN], rng: &mut (impl CryptoRng + ?Sized)) -> Option<(Box<[u8; CIPHERTEXT_LEN]>, Secret<32>)> {
    let (ciphertext, mut shared) = parse(key)?.encapsulate_with_rng(rng);
    let secret = Secret::new(shared.into());
    shared.as_mut_slice().zeroize();
    Some((Box::new(ciphertext.into()), secret))
}

/// The shared secret in `ciphertext`; an unpredictable one if it was not made for this key (implicit rejection).
pub(crate) fn decapsulate(seed: &Secret<SEED_LEN>, ciphertext: &[u8; CIPHERTEXT_LEN]) -> Secret<32> {
    let ciphertext: Ciphertext<MlKem768> = (*ciphertext).into();
    let mut shared = decapsulation_key(seed).decapsulate(&ciphertext);
    let secret = Secret::new(shared.into());
    shared.as_mut_slice().zeroize();
    secret
}

fn parse(key: &[u8; KEY_LEN]) -> Option<EncapsulationKey768> {
    let key: Key<EncapsulationKey768> = (*key).into();
    EncapsulationKey768::new(&key).ok()
}

fn decapsulation_key(seed: &Secret<SEED_LEN>) -> DecapsulationKey768 {
    let mut copy: Seed = (*seed.expose()).into();
    let key = DecapsulationKey768::from_seed(copy);
    copy.as_mut_slice().zeroize();
    key
}
