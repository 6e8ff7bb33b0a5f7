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
