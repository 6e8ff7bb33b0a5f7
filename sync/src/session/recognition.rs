//! How two nodes that share keys recognise each other, and nobody else notices (docs/protocol.md, sections 3.1, 3.2 and 7.6).
//!
//! Pure functions: the engine knows the contacts and decides, the session carries lists and confirmations across.

use rand_core::CryptoRng;
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};
use zeroize::Zeroizing;

use super::{Role, SessionInfo};
use crate::crypto::{
    kdf::{hkdf, label, mac},
    secret::Secret,
};

/// Entries of a recognition list.
pub const RECOGNITION_ENTRIES: usize = 128;
/// Length of an entry, bytes.
pub const ENTRY_LEN: usize = 8;
/// Length of a recognition list, bytes.
pub const RECOGNITION_LIST_LEN: usize = RECOGNITION_ENTRIES * ENTRY_LEN;

/// What two nodes share that lets them recognise each other: a pair epoch (docs/protocol.md, section 8.5) or a pending link (7.2).
pub struct RecognitionKeys {
    own: Secret<32>,
    other: Secret<32>,
    link: Secret<32>,
}

impl RecognitionKeys {
    /// Puts keys together: `own` is that of the direction from this node to the other, `other` that of the way back, `link` is common.
    pub const fn new(own: Secret<32>, other: Secret<32>, link: Secret<32>) -> Self {
        Self { own, other, link }
    }

    /// The entry that this node puts into its list.
    pub fn own_entry(&self, info: &SessionInfo) -> [u8; ENTRY_LEN] {
        entry(&self.own, info.role, info.version, &info.hash)
    }

    /// The entry to look for in the other's list.
    pub fn other_entry(&self, info: &SessionInfo) -> [u8; ENTRY_LEN] {
        entry(&self.other, info.role.other(), info.version, &info.hash)
    }

    /// The initiator's entry, which orders several pending links that match (docs/protocol.md, section 3.1).
    pub fn initiator_entry(&self, info: &SessionInfo) -> [u8; ENTRY_LEN] {
        match info.role {
            Role::Initiator => self.own_entry(info),
            Role::Responder => self.other_entry(info),
        }
    }

    /// The confirmation that this node sends.
    pub fn own_confirmation(&self, info: &SessionInfo) -> Secret<32> {
        Secret::new(confirmation(&self.own, info.role, info.version, &info.hash))
    }

    /// The confirmation to expect from the other.
    pub fn other_confirmation(&self, info: &SessionInfo) -> Secret<32> {
        Secret::new(confirmation(&self.other, info.role.other(), info.version, &info.hash))
    }

    /// The body of the UPGRADE that this node sends; keys of pair epoch 0 (docs/protocol.md, section 7.6).
    pub fn own_upgrade(&self, info: &SessionInfo) -> [u8; 32] {
        upgrade_mac(&self.own, info.role, info.version, &info.hash)
    }

    /// The body to expect in the other's UPGRADE; compare with [`Secret::matches`].
    pub fn other_upgrade(&self, info: &SessionInfo) -> Secret<32> {
        Secret::new(upgrade_mac(&self.other, info.role.other(), info.version, &info.hash))
    }

    /// The key that both directions are rekeyed from.
    pub const fn link_key(&self) -> &Secret<32> {
        &self.link
    }
}

/// What the engine answers to the other's list; see [`Session::confirm`](super::Session::confirm).
pub struct Verdict {
    /// What goes out as confirmation.
    pub confirmation: Secret<32>,
    /// What makes the session a recognised one; `None` if no entry matched.
    pub expected: Option<Match>,
}

/// An entry of the other's list was one of those expected.
pub struct Match {
    /// The confirmation that the other must send.
    pub expected: Secret<32>,
    /// The key that both directions are rekeyed from once it has.
    pub link_key: Secret<32>,
}

impl std::fmt::Debug for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Verdict(..)")
    }
}

impl Verdict {
    /// No entry matched: the confirmation is random.
    pub fn unrecognised(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        Self { confirmation: Secret::random(rng), expected: None }
    }

    /// An entry matched. `keys` are those of the newer of two epochs: the one that matched and the one this node listed itself
    /// (docs/protocol.md, section 3.1); for a pending link there is only one.
    pub fn matched(keys: &RecognitionKeys, info: &SessionInfo) -> Self {
        let expected = Match { expected: keys.other_confirmation(info), link_key: keys.link.duplicate() };
        Self { confirmation: keys.own_confirmation(info), expected: Some(expected) }
    }
}

/// The entry by which the sender of a list in `role` is recognised; `key` is that of its direction (docs/protocol.md, section 3.1).
pub fn entry(key: &Secret<32>, role: Role, version: u8, hash: &[u8; 32]) -> [u8; ENTRY_LEN] {
    let [a, b, c, d, e, f, g, h, ..] = mac(key.expose(), &[label::ENTRY, &[role.byte(), version], hash]);
    [a, b, c, d, e, f, g, h]
}

/// The confirmation of a sender in `role`; `key` is that of its direction (docs/protocol.md, section 3.1).
pub fn confirmation(key: &Secret<32>, role: Role, version: u8, hash: &[u8; 32]) -> [u8; 32] {
    mac(key.expose(), &[label::CONFIRM, &[role.byte(), version], hash])
}

/// The body of UPGRADE of a sender in `role`; `key` is that of its direction at pair epoch 0 (docs/protocol.md, section 7.6).
pub fn upgrade_mac(key: &Secret<32>, role: Role, version: u8, hash: &[u8; 32]) -> [u8; 32] {
    mac(key.expose(), &[label::UPGRADE, &[role.byte(), version], hash])
}

/// The new key of the direction in which `sender` sends; `noise_key` is that direction's key so far (docs/protocol.md, section 3.2).
///
/// Whoever wants to read needs both: the link key stands against a broken X25519, the handshake against a link key that is stolen later.
pub fn rekey(sender: Role, hash: &[u8; 32], noise_key: &Secret<32>, link_key: &Secret<32>) -> Secret<32> {
    let mut ikm = Zeroizing::new([0; 64]);
    let (first, second) = ikm.split_at_mut(32);
    first.copy_from_slice(noise_key.expose());
    second.copy_from_slice(link_key.expose());
    let label = match sender {
        Role::Initiator => label::REKEY_INITIATOR,
        Role::Responder => label::REKEY_RESPONDER,
    };
    hkdf(hash, ikm.as_slice(), &[label])
}

/// Builds a recognition list: the entries, random ones up to [`RECOGNITION_ENTRIES`], all in random order.
///
/// Takes the first [`RECOGNITION_ENTRIES`] of `entries`: the caller puts those first that matter most.
pub fn build_list(entries: impl Iterator<Item = [u8; ENTRY_LEN]>, rng: &mut (impl CryptoRng + ?Sized)) -> Box<[u8; RECOGNITION_LIST_LEN]> {
    let mut list = Box::new([0; RECOGNITION_LIST_LEN]);
    rng.fill_bytes(list.as_mut_slice());
    let (slots, _) = list.as_chunks_mut::<ENTRY_LEN>();
    for (slot, entry) in slots.iter_mut().zip(entries) {
        *slot = entry;
    }
    // Fisher and Yates, as in Knuth, The Art of Computer Programming 2, algorithm 3.4.2 P.
    for last in (1..slots.len()).rev() {
        slots.swap(last, draw(last, rng));
    }
    list
}

/// Draws evenly from 0 … `max`: bits are drawn again until they are no higher, so that no remainder favours small numbers.
fn draw(max: usize, rng: &mut (impl CryptoRng + ?Sized)) -> usize {
    debug_assert!(max < RECOGNITION_ENTRIES, "a byte is enough for the index of an entry");
    let mask = (max + 1).next_power_of_two() - 1;
    loop {
        let mut byte = [0; 1];
        rng.fill_bytes(&mut byte);
        let candidate = usize::from(byte[0]) & mask;
        if candidate <= max {
            return candidate;
        }
    }
}

/// Looks for expected entries in the other's list; of several, the one that stands first in `expected`.
///
/// The caller orders `expected` as docs/protocol.md, section 3.1 says, so that both sides choose alike. How long this takes depends on
/// how many are expected, not on which one is found, nor where.
pub fn find_match<'a, T>(list: &[u8; RECOGNITION_LIST_LEN], expected: &'a [([u8; ENTRY_LEN], T)]) -> Option<&'a T> {
    let (slots, _) = list.as_chunks::<ENTRY_LEN>();
    let mut found = u64::MAX;
    for (index, (entry, _)) in expected.iter().enumerate().rev() {
        let entry = u64::from_be_bytes(*entry);
        let present = slots.iter().fold(Choice::from(0), |seen, slot| seen | u64::from_be_bytes(*slot).ct_eq(&entry));
        found.conditional_assign(&(index as u64), present);
    }
    let index = usize::try_from(found).ok()?;
    expected.get(index).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::*;

    fn entries(count: u8) -> Vec<[u8; ENTRY_LEN]> {
        (0..count).map(|i| [0xee, 0xee, 0xee, 0xee, 0xee, 0xee, 0xee, i]).collect()
    }

    fn slots(list: &[u8; RECOGNITION_LIST_LEN]) -> Vec<[u8; ENTRY_LEN]> {
        list.as_chunks().0.to_vec()
    }

    #[test]
    fn list_holds_every_entry_once_and_random_ones_besides() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        for count in [0, 1, 5, 127, 128] {
            let list = slots(&build_list(entries(count).into_iter(), &mut rng));
            let mut unique = list.clone();
            unique.sort_unstable();
            unique.dedup();
            assert_eq!(unique.len(), RECOGNITION_ENTRIES);
            assert!(entries(count).iter().all(|entry| list.contains(entry)));
        }
    }

    #[test]
    fn entries_beyond_128_are_left_out() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let mut list = slots(&build_list(entries(200).into_iter(), &mut rng));
        list.sort_unstable();
        assert_eq!(list, entries(128));
    }

    #[test]
    fn every_place_of_the_list_is_equally_likely() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let mut seen = [0_u32; RECOGNITION_ENTRIES];
        let (rounds, entry) = (12_800, entries(1));
        for _ in 0..rounds {
            let place = slots(&build_list(entry.iter().copied(), &mut rng)).iter().position(|slot| *slot == entry[0]);
            seen[place.unwrap()] += 1;
        }
        // Chi-squared with 127 degrees of freedom: above 200 once in 20,000 (mean 127, deviation 16).
        let mean = f64::from(rounds) / RECOGNITION_ENTRIES as f64;
        let chi: f64 = seen.iter().map(|&count| (f64::from(count) - mean).powi(2) / mean).sum();
        assert!(chi < 200.0, "{chi}");
    }

    #[test]
    fn drawing_reaches_both_ends_and_nothing_beyond() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        for max in [1, 2, 64, 127] {
            let drawn: std::collections::BTreeSet<_> = (0..5_000).map(|_| draw(max, &mut rng)).collect();
            assert_eq!(drawn, (0..=max).collect());
        }
    }

    #[test]
    fn match_is_found_at_any_place_and_the_first_expected_wins() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        for _ in 0..200 {
            let list = build_list(entries(3).into_iter(), &mut rng);
            let [a, b, c] = [entries(3)[0], entries(3)[1], entries(3)[2]];
            assert_eq!(find_match(&list, &[([1; 8], "x"), (c, "c"), (a, "a"), (b, "b")]), Some(&"c"));
            assert_eq!(find_match(&list, &[(b, "b")]), Some(&"b"));
            assert_eq!(find_match(&list, &[([1; 8], "x")]), None);
            assert_eq!(find_match::<()>(&list, &[]), None);
        }
    }

    #[test]
    fn values_depend_on_key_role_version_hash_and_use() {
        let (key, hash) = (Secret::new([1; 32]), [2; 32]);
        let other = Secret::new([3; 32]);
        let reference = entry(&key, Role::Initiator, 1, &hash);
        assert_ne!(reference, entry(&other, Role::Initiator, 1, &hash));
        assert_ne!(reference, entry(&key, Role::Responder, 1, &hash));
        assert_ne!(reference, entry(&key, Role::Initiator, 2, &hash));
        assert_ne!(reference, entry(&key, Role::Initiator, 1, &[4; 32]));
        let confirm = confirmation(&key, Role::Initiator, 1, &hash);
        assert_ne!(confirm[..ENTRY_LEN], reference);
        assert_ne!(confirm, upgrade_mac(&key, Role::Initiator, 1, &hash));
    }

    #[test]
    fn rekey_needs_both_the_handshake_s_key_and_the_link_key() {
        let key = |noise: u8, link: u8| *rekey(Role::Initiator, &[0; 32], &Secret::new([noise; 32]), &Secret::new([link; 32])).expose();
        assert_ne!(key(1, 1), key(2, 1));
        assert_ne!(key(1, 1), key(1, 2));
        assert_ne!(key(1, 2), key(2, 1));
    }

    #[test]
    fn keys_of_two_sides_agree_crosswise() {
        let secret = |byte: u8| Secret::new([byte; 32]);
        let (a, b) = (RecognitionKeys::new(secret(1), secret(2), secret(3)), RecognitionKeys::new(secret(2), secret(1), secret(3)));
        let at_a = SessionInfo { hash: [7; 32], role: Role::Initiator, version: 1 };
        let at_b = SessionInfo { role: Role::Responder, ..at_a.clone() };
        assert_eq!(a.own_entry(&at_a), b.other_entry(&at_b));
        assert_eq!(b.own_entry(&at_b), a.other_entry(&at_a));
        assert_eq!(a.initiator_entry(&at_a), b.initiator_entry(&at_b));
        assert!(a.own_confirmation(&at_a).matches(b.other_confirmation(&at_b).expose()));
        assert!(b.other_upgrade(&at_b).matches(&a.own_upgrade(&at_a)));
        assert_ne!(a.own_entry(&at_a), a.other_entry(&at_a));
    }
}
