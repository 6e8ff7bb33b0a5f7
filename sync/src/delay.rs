//! Random delays, equal on every machine for equal random numbers.

use std::time::Duration;

use rand_core::Rng;

/// An exponential delay with this mean. The logarithm is computed in software: the platforms' own differ in the last bit, and a simulation is to
/// come out the same everywhere.
pub(crate) fn exponential(mean: Duration, rng: &mut impl Rng) -> Duration {
    let uniform = (f64::from(rng.next_u32()) + 1.0) / (f64::from(u32::MAX) + 1.0);
    mean.mul_f64(-libm::log(uniform))
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::*;

    #[test]
    fn the_mean_is_the_mean_and_a_third_lasts_longer() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let delays: Vec<f64> = (0..20_000).map(|_| exponential(Duration::from_secs(60), &mut rng).as_secs_f64()).collect();
        let mean = delays.iter().sum::<f64>() / delays.len() as f64;
        let longer = delays.iter().filter(|delay| **delay > 60.0).count() as f64 / delays.len() as f64;
        assert!((59.0..61.0).contains(&mean) && (0.36..0.376).contains(&longer), "{mean} {longer}");
    }
}
