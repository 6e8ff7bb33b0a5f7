//! The figures of a run: how much was delivered within a lifetime, and how long it took.

use std::time::Duration;

use super::{
    replay::{Counts, Outcome},
    workload::{Letter, Workload},
};
use crate::wire::item::MAX_TEXT_LEN;

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

    /// The same for the letters that one bundle holds.
    fn of_small(workload: &Workload, arrivals: &[Option<Duration>], lifetime: Option<Duration>) -> Self {
        let small = |(letter, arrival): (&Letter, &Option<Duration>)| (letter.size as usize <= MAX_TEXT_LEN).then_some((*letter, *arrival));
        let (letters, arrivals): (Vec<_>, Vec<_>) = workload.letters.iter().zip(arrivals).filter_map(small).unzip();
        Self::within(&Workload { letters }, &arrivals, lifetime)
    }

    /// How many of the letters were delivered, 0 to 1; 0 if there are none.
    pub fn ratio(&self) -> f64 {
        share(self.delivered as u64, self.letters as u64).unwrap_or(0.0)
    }
}

/// One row of the table: what came of one run, judged by one lifetime.
///
/// Delivery and delays count letters within the lifetime; bytes are those of the whole run.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Row {
    /// What the engine delivered.
    pub engine: Delays,
    /// What the oracle would have, over links with the same set-up and without faults.
    pub oracle: Delays,
    /// What the engine delivered of small letters, those that one bundle holds.
    pub small: Delays,
    /// What the oracle would have of them.
    pub oracle_small: Delays,
    /// Bytes of all letters that arrived in the run, however late.
    pub payload: u64,
    /// What crossed the links in the run.
    pub counts: Counts,
}

impl Row {
    /// Judges a run by a lifetime; `oracle` are the arrivals that [`earliest`](super::oracle::earliest) finds for its workload.
    pub fn new(outcome: &Outcome, oracle: &[Option<Duration>], lifetime: Option<Duration>) -> Self {
        let workload = &outcome.workload;
        let arrived = workload.letters.iter().zip(&outcome.arrivals).filter(|(_, arrival)| arrival.is_some());
        Self {
            engine: Delays::within(workload, &outcome.arrivals, lifetime),
            oracle: Delays::within(workload, oracle, lifetime),
            small: Delays::of_small(workload, &outcome.arrivals, lifetime),
            oracle_small: Delays::of_small(workload, oracle, lifetime),
            payload: arrived.map(|(letter, _)| u64::from(letter.size)).sum(),
            counts: outcome.counts,
        }
    }

    /// What the engine delivered of what the oracle would have; `None` if that is nothing.
    pub fn of_oracle(&self) -> Option<f64> {
        share(self.engine.delivered as u64, self.oracle.delivered as u64)
    }

    /// Bytes on all links for each byte of payload that arrived; `None` if none did.
    pub fn bytes_per_payload(&self) -> Option<f64> {
        share(self.counts.bytes, self.payload)
    }

    /// Of the bytes on links, what was said about bundles, and handshakes; hundredths.
    pub fn control_percent(&self) -> f64 {
        percent(self.counts.control, self.counts.bytes)
    }

    /// Of the bytes on links, recognition with its padding; hundredths.
    pub fn recognition_percent(&self) -> f64 {
        percent(self.counts.recognition, self.counts.bytes)
    }

    /// Of the bytes of bundles, those that had been sent before from the same node to the same node; hundredths.
    pub fn resent_percent(&self) -> f64 {
        percent(self.counts.resent, self.counts.bundles)
    }

    /// Of the bundles that came in whole, those that the node had taken in before from anybody; hundredths.
    pub fn duplicate_percent(&self) -> f64 {
        percent(self.counts.duplicate, self.counts.taken)
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

/// The first letter, by its place in the workload, that arrived before the oracle says it could: a mistake of the simulator's.
pub fn arrived_too_early(arrivals: &[Option<Duration>], oracle: &[Option<Duration>]) -> Option<usize> {
    let too_early = |(arrival, earliest): (&Option<Duration>, &Option<Duration>)| match (arrival, earliest) {
        (Some(arrival), Some(earliest)) => arrival < earliest,
        (Some(_), None) => true,
        (None, _) => false,
    };
    arrivals.iter().zip(oracle).position(too_early)
}

fn nearest_rank(ordered: &[Duration], percent: usize) -> Option<Duration> {
    let rank = ordered.len().saturating_mul(percent).div_ceil(100);
    ordered.get(rank.checked_sub(1)?).copied()
}

#[expect(clippy::cast_precision_loss, reason = "counts of a run stay below 2^52, and the table shows four digits")]
fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// 0 of nothing.
fn percent(part: u64, whole: u64) -> f64 {
    share(part, whole).map_or(0.0, |share| 100.0 * share)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::sim::{abuse::Tally, workload::Letter};

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
    fn a_row_judges_letters_by_their_lifetime_and_bytes_by_the_run() {
        let workload = Workload { letters: [100, 200, 700].iter().map(|&size| Letter { created: 0, src: 0, dst: 1, size }).collect() };
        let counts = Counts {
            bytes: 2_400,
            recognition: 600,
            control: 240,
            bundles: 1_500,
            resent: 30,
            taken: 50,
            duplicate: 1,
            ..Counts::default()
        };
        let outcome = Outcome {
            workload: Arc::new(workload),
            arrivals: seconds(&[Some(10), Some(50), None]),
            counts,
            tally: Tally::default(),
            log_hash: [0; 32],
            violation: None,
        };
        let row = Row::new(&outcome, &seconds(&[Some(9), Some(11), Some(12)]), Some(Duration::from_secs(20)));
        assert_eq!((row.engine.delivered, row.oracle.delivered, row.payload), (1, 3, 300));
        let figures = [row.control_percent(), row.recognition_percent(), row.resent_percent(), row.duplicate_percent()];
        assert_eq!(figures.map(|figure| (figure * 100.0).round()), [1_000.0, 2_500.0, 200.0, 200.0]);
        assert_eq!(row.of_oracle().map(|share| (share * 3.0).round()), Some(1.0));
        assert_eq!(row.bytes_per_payload().map(f64::round), Some(8.0));
    }

    #[test]
    fn a_row_of_nothing_divides_by_nothing() {
        let outcome = Outcome {
            workload: Arc::new(written_at(&[0])),
            arrivals: seconds(&[None]),
            counts: Counts::default(),
            tally: Tally::default(),
            log_hash: [0; 32],
            violation: None,
        };
        let row = Row::new(&outcome, &seconds(&[None]), None);
        assert_eq!((row.of_oracle(), row.bytes_per_payload()), (None, None));
        assert_eq!(row.control_percent().to_bits() | row.duplicate_percent().to_bits(), 0.0_f64.to_bits());
    }

    #[test]
    fn what_arrives_before_it_could_is_found() {
        let oracle = seconds(&[Some(5), None, Some(9)]);
        assert_eq!(arrived_too_early(&seconds(&[Some(5), None, None]), &oracle), None);
        assert_eq!(arrived_too_early(&seconds(&[Some(5), Some(900), Some(8)]), &oracle), Some(1));
        assert_eq!(arrived_too_early(&seconds(&[Some(6), None, Some(8)]), &oracle), Some(2));
    }

    #[test]
    fn no_letters_give_no_ratio_that_is_no_number() {
        assert_eq!(Delays::within(&written_at(&[]), &[], None).ratio().to_bits(), 0.0_f64.to_bits());
    }
}
