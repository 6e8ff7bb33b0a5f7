//! Bytes that must not be printed, compared or cloned by accident.

use std::fmt;

use rand_core::CryptoRng;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// `N` secret bytes: boxed, so that a move copies a pointer and not the secret, and wiped when dropped.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Secret<const N: usize>(Box<[u8; N]>);

impl<const N: usize> Secret<N> {
    /// Takes over secret bytes; the caller wipes its own copy, if it keeps one.
    pub fn new(bytes: [u8; N]) -> Self {
        Self(Box::new(bytes))
    }

    /// Draws fresh secret bytes.
    pub fn random(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let mut secret = Self(Box::new([0; N]));
        rng.fill_bytes(secret.0.as_mut_slice());
        secret
    }

    /// Reads secret bytes from a slice; `None` if it is not `N` long.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self::new)
    }

    /// Lends the bytes. Whoever copies them out says so.
    pub fn expose(&self) -> &[u8; N] {
        &self.0
    }

    /// Copies the secret: for the few places where two owners are meant.
    pub fn duplicate(&self) -> Self {
        Self(self.0.clone())
    }

    /// Compares in constant time.
    pub fn matches(&self, other: &[u8; N]) -> bool {
        self.0.as_slice().ct_eq(other).into()
    }
}

impl<const N: usize> fmt::Debug for Secret<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(_) = self; // a new field must be judged here to compile
        write!(f, "Secret<{N}>(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", Secret::new([7; 32])), "Secret<32>(..)");
    }
}
