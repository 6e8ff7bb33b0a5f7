//! The figures of a run: how much was delivered within a lifetime, and how long it took.

use std::time::Duration;

use super::workload::Workload;

/// What was delivered of a workload within a lifetime, and after what time.
///
/// Percentiles are of nearest rank, over what was delivered: of `n` delays in order, the `p`-th is number `⌈p·n⌉`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Delays {
    /// How many letters there are.
    pub letters: usize,
    /// How many of them were delivered no later than their lifetime after they were written.
    pub delivered: usize,
    /// The delay in the middle; `None` if nothing was delivered.
    pub median: Option<Duration>,
    /// The delay that one in twenty exceeds; `None` if nothing was delivered.
    pub p95: Option<Duration>,
}

impl Delays {
    /// Sums up the arrivals, on the trace's clock and in the workload's order, of letters that live so long; `None`: without end.
    pub fn within(workload: &Workload, arrivals: &[Option<Duration>], lifetime: Option<Duration>) -> Self {
        let mut delays = in_order(workload, arrivals);
        let alive = lifetime.map_or(delays.len(), |lifetime| delays.partition_point(|delay| *delay <= lifetime));
        delays.truncate(alive);
        Self { letters: workload.letters.len(), delivered: delays.len(), median: nearest_rank(&delays, 50), p95: nearest_rank(&delays, 95) }
    }

    /// How many of the letters were delivered, 0 to 1; 0 if there are none.
    #[expect(clippy::cast_precision_loss, reason = "a workload has far fewer than 2^52 letters")]
    pub fn ratio(&self) -> f64 {
        if self.letters == 0 { 0.0 } else { self.delivered as f64 / self.letters as f64 }
    }
}

/// How long each letter that arrived took, shortest first.
pub fn in_order(workload: &Workload, arrivals: &[Option<Duration>]) -> Vec<Duration> {
    let created = workload.letters.iter().map(|letter| Duration::from_secs(letter.created.into()));
    let mut delays: Vec<Duration> =
        created.zip(arrivals).filter_map(|(created, arrived)| Some((*arrived)?.saturating_sub(created))).collect();
    delays.sort_unstable();
    delays
}

fn nearest_rank(ordered: &[Duration], percent: usize) -> Option<Duration> {
    let rank = ordered.len().saturating_mul(percent).div_ceil(100);
    ordered.get(rank.checked_sub(1)?).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::workload::Letter;

    fn written_at(created: &[u32]) -> Workload {
        Workload { letters: created.iter().map(|&created| Letter { created, src: 0, dst: 1, size: 1 }).collect() }
    }

    fn seconds(seconds: &[Option<u64>]) -> Vec<Option<Duration>> {
        seconds.iter().map(|seconds| seconds.map(Duration::from_secs)).collect()
    }

    #[test]
    fn delays_count_from_when_a_letter_was_written() {
        let workload = written_at(&[100, 0, 50, 7]);
        let arrivals = seconds(&[Some(160), Some(10), None, Some(27)]);
        let of = |lifetime: Option<u64>| Delays::within(&workload, &arrivals, lifetime.map(Duration::from_secs));
        let expected = |delivered, median: u64, p95: u64| Delays {
            letters: 4,
            delivered,
            median: Some(Duration::from_secs(median)),
            p95: Some(Duration::from_secs(p95)),
        };
        assert_eq!(of(None), expected(3, 20, 60));
        assert_eq!(of(Some(60)), expected(3, 20, 60), "on the last second of its lifetime");
        assert_eq!(of(Some(59)), expected(2, 10, 20));
        assert_eq!(of(Some(9)), Delays { letters: 4, delivered: 0, median: None, p95: None });
        assert!((of(None).ratio() - 0.75).abs() < f64::EPSILON);
    }

    #[test]
    fn percentiles_are_of_nearest_rank() {
        let of = |count: u64| {
            let ordered: Vec<Duration> = (1..=count).map(Duration::from_secs).collect();
            (nearest_rank(&ordered, 50).map(|it| it.as_secs()), nearest_rank(&ordered, 95).map(|it| it.as_secs()))
        };
        assert_eq!(of(0), (None, None));
        assert_eq!(of(1), (Some(1), Some(1)));
        assert_eq!(of(20), (Some(10), Some(19)));
        assert_eq!(of(21), (Some(11), Some(20)));
        assert_eq!(of(100), (Some(50), Some(95)));
    }

    #[test]
    fn no_letters_give_no_ratio_that_is_no_number() {
        assert_eq!(Delays::within(&written_at(&[]), &[], None).ratio().to_bits(), 0.0_f64.to_bits());
    }
}
