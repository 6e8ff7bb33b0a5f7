//! Random numbers for workloads and mobility, the same on every machine: whole numbers, and of fractions only what IEEE 754 settles.

use rand_core::Rng;

/// A whole number from `low` to `high`, both included, each as likely; `low` if there is nothing to choose from.
pub(super) fn between(rng: &mut impl Rng, low: u32, high: u32) -> u32 {
    let Some(span) = high.checked_sub(low).filter(|span| *span > 0) else { return low };
    let choices = u64::from(span) + 1;
    // The top of the range that is a whole number of turns; what lies above is drawn again.
    let fair = (1 << 32) / choices * choices;
    loop {
        let drawn = u64::from(rng.next_u32());
        if drawn < fair {
            // Below `choices`, which is at most 2^32 with `low` added at most `high`.
            return low.saturating_add(u32::try_from(drawn % choices).unwrap_or(0));
        }
    }
}

/// True in so many of a hundred draws.
pub(super) fn percent(rng: &mut impl Rng, hundredths: u32) -> bool {
    between(rng, 0, 99) < hundredths
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::*;

    #[test]
    fn every_number_of_a_range_is_as_likely() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let mut counts = [0_u32; 7];
        for _ in 0..70_000 {
            counts[between(&mut rng, 10, 16) as usize - 10] += 1;
        }
        assert!(counts.iter().all(|count| count.abs_diff(10_000) < 400), "{counts:?}");
    }

    #[test]
    fn ranges_of_one_number_and_of_all_are_drawn_from() {
        let mut rng = ChaCha20Rng::seed_from_u64(2);
        assert_eq!(between(&mut rng, 5, 5), 5);
        assert_eq!(between(&mut rng, 5, 4), 5, "nothing to choose from");
        let large = (0..64).filter(|_| between(&mut rng, 0, u32::MAX) > u32::MAX / 2).count();
        assert!((16..48).contains(&large), "{large}");
    }

    #[test]
    fn a_share_of_draws_is_true() {
        let mut rng = ChaCha20Rng::seed_from_u64(3);
        let hits = (0..10_000).filter(|_| percent(&mut rng, 30)).count();
        assert!(hits.abs_diff(3_000) < 200, "{hits}");
        assert!((0..1_000).all(|_| !percent(&mut rng, 0) && percent(&mut rng, 100)));
    }
}
