//! How often a guess was right, and within what limits that is known.

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

/// One in so many of the intervals misses the truth, as a probability: intervals of 95 %.
const MISSED: f64 = 0.05;
/// How often a sample is drawn anew for an interval.
const DRAWS: usize = 2_000;

/// A share, with an interval that holds the true one in 95 of 100 cases.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Rate {
    /// How many tries there were.
    pub of: usize,
    /// The share of them that were right; where several answers looked alike, one of them was as good as `1 / several`.
    pub right: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
}

impl Rate {
    /// Of tries each right or wrong: the interval is the exact binomial one (Clopper and Pearson, Biometrika 26, 1934).
    pub(super) fn of_counts(right: usize, of: usize) -> Self {
        let (low, high) = (lower(right, of), 1.0 - lower(of.saturating_sub(right), of));
        Self { of, right: share(right, of), low, high }
    }

    /// Of tries that were worth between 0 and 1 each: the interval is what drawing them anew gives (percentile bootstrap).
    pub(super) fn of_worths(worths: &[f64], seed: u64) -> Self {
        if worths.iter().all(|worth| *worth == 0.0 || *worth == 1.0) {
            return Self::of_counts(worths.iter().filter(|worth| **worth == 1.0).count(), worths.len());
        }
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let mut means: Vec<f64> = (0..DRAWS).map(|_| mean((0..worths.len()).map(|_| pick(worths, &mut rng)))).collect();
        means.sort_by(f64::total_cmp);
        let at = |share: f64| means.get((share * DRAWS as f64) as usize).copied().unwrap_or(0.0);
        Self { of: worths.len(), right: mean(worths.iter().copied()), low: at(MISSED / 2.0), high: at(1.0 - MISSED / 2.0) }
    }

    /// Whether a share lies within the interval, so that this one is not shown to differ from it.
    pub fn allows(&self, share: f64) -> bool {
        // What is exactly equal may differ in the last bits.
        (self.low - 1e-9..=self.high + 1e-9).contains(&share)
    }
}

/// The mean; 0 of nothing.
pub(super) fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0_usize), |(sum, count), value| (sum + value, count + 1));
    if count == 0 { 0.0 } else { sum / count as f64 }
}

/// A part of a whole; 0 of nothing.
pub(super) fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

fn pick(worths: &[f64], rng: &mut impl Rng) -> f64 {
    let index = (u64::from(rng.next_u32()) * worths.len() as u64) >> 32;
    worths.get(index as usize).copied().unwrap_or(0.0)
}

/// The smallest share with which `right` or more of `of` are no rarer than half of [`MISSED`].
fn lower(right: usize, of: usize) -> f64 {
    if right == 0 {
        return 0.0;
    }
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if at_least(right, of, middle) < MISSED / 2.0 { low = middle } else { high = middle }
    }
    low
}

/// How likely `right` or more of `of` are, each with probability `p`.
fn at_least(right: usize, of: usize, p: f64) -> f64 {
    // The logarithm of each term from the one before it.
    let mut term = of as f64 * (1.0 - p).ln();
    let mut sum = 0.0;
    for count in 0..=of {
        if count >= right {
            sum += term.exp();
        }
        term += ((of - count) as f64 / (count + 1) as f64).ln() + (p / (1.0 - p)).ln();
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(value: f64, expected: f64) -> bool {
        (value - expected).abs() < 5e-4
    }

    #[test]
    fn exact_intervals_are_those_of_the_tables() {
        for (right, of, low, high) in [(0, 10, 0.0, 0.3085), (3, 10, 0.0667, 0.6525), (10, 10, 0.6915, 1.0), (50, 100, 0.3983, 0.6017)] {
            let rate = Rate::of_counts(right, of);
            assert!(near(rate.low, low) && near(rate.high, high), "{right} of {of}: {rate:?}");
        }
    }

    #[test]
    fn of_nothing_nothing_is_known() {
        let rate = Rate::of_counts(0, 0);
        assert_eq!((rate.low, rate.high), (0.0, 1.0));
        assert!(rate.allows(0.5));
    }

    #[test]
    fn drawn_intervals_hold_the_mean_and_narrow_with_more_tries() {
        let worths = |count| [0.0, 1.0, 0.5, 0.25].repeat(count);
        let (few, many) = (Rate::of_worths(&worths(5), 1), Rate::of_worths(&worths(500), 1));
        assert!(near(few.right, 0.4375) && few.low < few.right && few.right < few.high);
        assert!(many.high - many.low < (few.high - few.low) / 5.0);
        assert_eq!(Rate::of_worths(&worths(5), 1), few, "the same seed gives the same");
        assert_eq!(Rate::of_worths(&[1.0, 0.0], 1), Rate::of_counts(1, 2));
    }
}
