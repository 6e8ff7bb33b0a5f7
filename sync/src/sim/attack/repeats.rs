//! Looks for strings of bytes that turn up in more than one session.

/// Shortest string that is looked for, bytes.
pub(super) const LENGTH: usize = 8;

/// All strings of [`LENGTH`] bytes at every offset, as long as there is room; above it every second, fourth, … by a hash of the string, so
/// that two equal ones are kept or left out together.
pub(super) struct Repeats {
    kept: Vec<(u64, u32)>,
    mask: u64,
    most: usize,
    seen: u64,
}

impl Repeats {
    /// Keeps at most so many strings, 16 bytes each.
    pub(super) const fn new(most: usize) -> Self {
        Self { kept: Vec::new(), mask: 0, most, seen: 0 }
    }

    /// Adds all strings of a message.
    pub(super) fn add(&mut self, session: u32, message: &[u8]) {
        for window in message.windows(LENGTH) {
            self.seen += 1;
            let Ok(string) = window.try_into().map(u64::from_be_bytes) else { continue };
            if mix(string) & self.mask == 0 {
                self.kept.push((string, session));
            }
        }
        while self.kept.len() > self.most {
            self.mask = self.mask << 1 | 1;
            let mask = self.mask;
            self.kept.retain(|(string, _)| mix(*string) & mask == 0);
        }
    }

    /// How many strings there were.
    pub(super) const fn seen(&self) -> u64 {
        self.seen
    }

    /// One in so many of them was looked at.
    pub(super) const fn one_in(&self) -> u64 {
        self.mask + 1
    }

    /// How many different strings turned up in more than one session, of how many that were looked at.
    pub(super) fn found(&mut self) -> (usize, usize) {
        self.kept.sort_unstable();
        self.kept.dedup();
        let groups = self.kept.chunk_by(|one, other| one.0 == other.0);
        groups.fold((0, 0), |(repeated, all), group| (repeated + usize::from(group.len() > 1), all + 1))
    }
}

/// Spreads a string over 64 bits, so that a part of them can be chosen by the low ones (the finaliser of SplitMix64).
const fn mix(string: u64) -> u64 {
    let mixed = (string ^ (string >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_core::{Rng, SeedableRng};

    use super::*;

    fn noise(number: u64, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        ChaCha20Rng::seed_from_u64(number).fill_bytes(&mut bytes);
        bytes
    }

    #[test]
    fn what_repeats_across_sessions_is_found_at_any_offset_and_nothing_else() {
        let mut repeats = Repeats::new(1 << 20);
        let secret = noise(99, LENGTH);
        repeats.add(1, &[noise(1, 333), secret.clone(), noise(2, 10)].concat());
        repeats.add(1, &[noise(3, 7), secret.clone()].concat());
        assert_eq!(repeats.found().0, 0, "twice in one session");
        repeats.add(2, &[noise(4, 100), secret].concat());
        assert_eq!(repeats.found().0, 1);
        assert_eq!(repeats.one_in(), 1);
    }

    #[test]
    fn with_little_room_long_strings_are_still_found() {
        let mut repeats = Repeats::new(1_000);
        let secret = noise(99, 600);
        repeats.add(1, &[noise(1, 9_000), secret.clone()].concat());
        repeats.add(2, &[secret, noise(2, 9_000)].concat());
        let (repeated, looked_at) = repeats.found();
        assert!(repeated > 0 && looked_at <= 1_000 && repeats.one_in() > 1, "{repeated} of {looked_at}, one in {}", repeats.one_in());
        assert_eq!(repeats.seen(), 2 * (9_600 - LENGTH as u64 + 1));
    }

    #[test]
    fn strings_shorter_than_eight_bytes_are_none() {
        let mut repeats = Repeats::new(10);
        repeats.add(1, &[7; LENGTH - 1]);
        repeats.add(2, &[7; LENGTH - 1]);
        assert_eq!((repeats.seen(), repeats.found()), (0, (0, 0)));
    }
}
