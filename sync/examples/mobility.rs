//! Prints what the made-up traces are like, as docs/simulation.md shows it:
//! `cargo run --release -p hedgerow-sync --features sim --example mobility`.

use std::{collections::BTreeSet, time::Duration};

use hedgerow_sync::sim::{mobility::Mobility, oracle::earliest, report::Delays, trace::Trace, workload::Workload};

const LETTERS: usize = 500;
const SET_UP: Duration = Duration::from_secs(3);
const LIFETIMES: [Option<Duration>; 4] =
    [Some(Duration::from_secs(3_600)), Some(Duration::from_secs(6 * 3_600)), Some(Duration::from_secs(24 * 3_600)), None];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("| model | contacts | pairs | length | contact length, median / mean / p90 | oracle 1 h | 6 h | 24 h | none |");
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    for model in ["camp", "march", "city", "village"] {
        let mobility: Mobility = model.parse()?;
        let trace = mobility.trace();
        let workload = Workload::draw(&trace, LETTERS, 1);
        let arrivals = earliest(&trace, &workload, SET_UP);
        let delivered = LIFETIMES.map(|lifetime| format!("{:.3}", Delays::within(&workload, &arrivals, lifetime).ratio()));
        println!("| `{mobility}` | {} | {} |", shape(&trace), delivered.join(" | "));
    }
    Ok(())
}

/// Contacts, pairs, seconds, and how long contacts last.
fn shape(trace: &Trace) -> String {
    let pairs: BTreeSet<_> = trace.contacts.iter().map(|contact| (contact.a, contact.b)).collect();
    let mut lengths: Vec<u32> = trace.contacts.iter().map(|contact| contact.end - contact.start).collect();
    lengths.sort_unstable();
    let rank = |percent: usize| lengths.get((lengths.len() * percent).div_ceil(100).saturating_sub(1)).copied().unwrap_or(0);
    let mean = lengths.iter().map(|length| f64::from(*length)).sum::<f64>() / lengths.len().max(1) as f64;
    let (contacts, length) = (trace.contacts.len(), trace.length());
    format!("{contacts} | {} | {length} s | {} / {mean:.0} / {} s", pairs.len(), rank(50), rank(90))
}
