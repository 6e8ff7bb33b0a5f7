//! Rows on standard output: a table for people, or one JSON object a row. Each row is written whole or not at all.

use std::{
    io::{self, Write},
    time::Duration,
};

use hedgerow_sync::sim::report::Row;
use serde::Serialize;

use crate::failure::Failure;

/// The columns that say which run a row is of; the rest are figures.
const NAMES: usize = 4;
/// Digits of the log's hash that people are shown; JSON has all.
pub(crate) const HASH_SHOWN: usize = 16;
/// Heads of the columns, and how wide they are where the heads are narrower than what stands below.
const COLUMNS: [(&str, usize); 19] = [
    ("trace", 0),
    ("profile", 0),
    ("faults", 0),
    ("ttl", 0),
    ("delivered", 0),
    ("oracle", 0),
    ("of-oracle", 0),
    ("med_delay", 9),
    ("(oracle)", 9),
    ("p95", 9),
    ("(oracle)", 9),
    ("bytes/payload", 0),
    ("control%", 0),
    ("resent%", 0),
    ("dup%", 5),
    ("evicted", 0),
    ("store_max", 0),
    ("sim_s", 6),
    ("log_hash", HASH_SHOWN),
];

/// One row: which run it is of, and its figures.
pub(crate) struct Entry<'a> {
    pub(crate) trace: &'a str,
    pub(crate) profile: &'a str,
    pub(crate) faults: &'a str,
    pub(crate) ttl: &'a str,
    pub(crate) row: Row,
    pub(crate) took: Duration,
    pub(crate) log_hash: &'a str,
}

/// Writes rows to standard output.
pub(crate) struct Table {
    json: bool,
    widths: [usize; COLUMNS.len()],
}

impl Table {
    /// A table whose first columns hold nothing longer than the longest of these names.
    pub(crate) fn new(json: bool, names: [&[String]; NAMES]) -> Self {
        let mut widths = COLUMNS.map(|(head, width)| width.max(head.len()));
        for (width, names) in widths.iter_mut().zip(names) {
            *width = names.iter().map(|name| name.chars().count()).fold(*width, usize::max);
        }
        Self { json, widths }
    }

    /// Writes the heads of the columns.
    pub(crate) fn write_head(&self) -> Result<(), Failure> {
        if self.json { Ok(()) } else { write_line(&self.line(COLUMNS.map(|(head, _)| head.to_owned()))) }
    }

    /// Writes a row.
    pub(crate) fn write_row(&self, entry: &Entry<'_>) -> Result<(), Failure> {
        if self.json {
            let json = serde_json::to_string(&Json::of(entry)).map_err(|error| Failure::Output(error.into()))?;
            return write_line(&json);
        }
        write_line(&self.line(cells(entry)))
    }

    fn line(&self, cells: [String; COLUMNS.len()]) -> String {
        let mut line = String::new();
        for (column, (cell, width)) in cells.iter().zip(self.widths).enumerate() {
            let gap = if column == 0 { "" } else { "  " };
            let padded = if column < NAMES { format!("{gap}{cell:<width$}") } else { format!("{gap}{cell:>width$}") };
            line.push_str(&padded);
        }
        line.trim_end().to_owned()
    }
}

/// One write for the whole line, so that nothing that ends this program can halve it.
pub(crate) fn write_line(line: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(format!("{line}\n").as_bytes()).and_then(|()| out.flush()).map_err(Failure::Output)
}

fn cells(entry: &Entry<'_>) -> [String; COLUMNS.len()] {
    let Entry { trace, profile, faults, ttl, row, took, log_hash } = entry;
    let fraction = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.3}"));
    [
        (*trace).to_owned(),
        (*profile).to_owned(),
        (*faults).to_owned(),
        (*ttl).to_owned(),
        fraction(Some(row.engine.ratio())),
        fraction(Some(row.oracle.ratio())),
        fraction(row.of_oracle()),
        clock_time(row.engine.median),
        clock_time(row.oracle.median),
        clock_time(row.engine.p95),
        clock_time(row.oracle.p95),
        row.bytes_per_payload().map_or("-".to_owned(), |value| format!("{value:.1}")),
        format!("{:.1}", row.control_percent()),
        format!("{:.1}", row.resent_percent()),
        format!("{:.1}", row.duplicate_percent()),
        row.counts.evicted.to_string(),
        megabytes(row.counts.store_max),
        format!("{:.1}", took.as_secs_f64()),
        log_hash.chars().take(HASH_SHOWN).collect(),
    ]
}

/// Hours, minutes and seconds.
pub(crate) fn clock_time(delay: Option<Duration>) -> String {
    delay.map_or("-".to_owned(), |delay| {
        let seconds = (delay.as_secs_f64().round()) as u64;
        format!("{}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
    })
}

#[expect(clippy::cast_precision_loss, reason = "two digits are shown")]
fn megabytes(bytes: u64) -> String {
    format!("{:.2}MB", bytes as f64 / 1e6)
}

/// The object of one row; its keys are a contract (docs/simulation.md).
#[derive(Serialize)]
struct Json<'a> {
    trace: &'a str,
    profile: &'a str,
    faults: &'a str,
    ttl: &'a str,
    delivered: f64,
    oracle: f64,
    of_oracle: Option<f64>,
    med_delay_s: Option<f64>,
    oracle_med_delay_s: Option<f64>,
    p95_delay_s: Option<f64>,
    oracle_p95_delay_s: Option<f64>,
    small: f64,
    oracle_small: f64,
    bytes_payload: Option<f64>,
    control_pct: f64,
    recognition_pct: f64,
    resent_pct: f64,
    dup_pct: f64,
    evicted: u64,
    store_max: u64,
    sim_s: f64,
    log_hash: &'a str,
}

impl<'a> Json<'a> {
    fn of(entry: &Entry<'a>) -> Self {
        let row = &entry.row;
        let seconds = |delay: Option<Duration>| delay.map(|delay| rounded(delay.as_secs_f64(), 3));
        Self {
            trace: entry.trace,
            profile: entry.profile,
            faults: entry.faults,
            ttl: entry.ttl,
            delivered: rounded(row.engine.ratio(), 6),
            oracle: rounded(row.oracle.ratio(), 6),
            of_oracle: row.of_oracle().map(|share| rounded(share, 6)),
            med_delay_s: seconds(row.engine.median),
            oracle_med_delay_s: seconds(row.oracle.median),
            p95_delay_s: seconds(row.engine.p95),
            oracle_p95_delay_s: seconds(row.oracle.p95),
            small: rounded(row.small.ratio(), 6),
            oracle_small: rounded(row.oracle_small.ratio(), 6),
            bytes_payload: row.bytes_per_payload().map(|share| rounded(share, 3)),
            control_pct: rounded(row.control_percent(), 3),
            recognition_pct: rounded(row.recognition_percent(), 3),
            resent_pct: rounded(row.resent_percent(), 3),
            dup_pct: rounded(row.duplicate_percent(), 3),
            evicted: row.counts.evicted,
            store_max: row.counts.store_max,
            sim_s: rounded(entry.took.as_secs_f64(), 2),
            log_hash: entry.log_hash,
        }
    }
}

pub(crate) fn rounded(value: f64, digits: i32) -> f64 {
    let scale = 10_f64.powi(digits);
    (value * scale).round() / scale
}

#[cfg(test)]
mod tests {
    use hedgerow_sync::sim::{replay::Counts, report::Delays};

    use super::*;

    fn entry() -> Entry<'static> {
        let delays = |delivered, median, p95| Delays {
            letters: 500,
            delivered,
            median: Some(Duration::from_secs(median)),
            p95: Some(Duration::from_millis(p95)),
        };
        let counts = Counts {
            bytes: 1_000_000,
            recognition: 123_456,
            control: 100_000,
            bundles: 700_000,
            resent: 7_000,
            taken: 200,
            duplicate: 3,
            evicted: 12,
            store_max: 5_250_000,
        };
        let (engine, oracle) = (delays(400, 36_800, 77_000_250), delays(407, 36_679, 76_174_000));
        let row = Row { engine, oracle, small: delays(350, 9, 9), oracle_small: delays(360, 8, 8), payload: 50_000, counts };
        Entry {
            trace: "school",
            profile: "ble-good",
            faults: "cut",
            ttl: "24h",
            row,
            took: Duration::from_millis(12_345),
            log_hash: "00112233445566778899aabbccddeeff",
        }
    }

    #[test]
    fn a_row_as_json_has_these_keys_in_this_order() {
        let json = serde_json::to_string(&Json::of(&entry())).unwrap();
        let expected = concat!(
            r#"{"trace":"school","profile":"ble-good","faults":"cut","ttl":"24h","delivered":0.8,"oracle":0.814,"of_oracle":0.982801,"#,
            r#""med_delay_s":36800.0,"oracle_med_delay_s":36679.0,"p95_delay_s":77000.25,"oracle_p95_delay_s":76174.0,"#,
            r#""small":0.7,"oracle_small":0.72,"bytes_payload":20.0,"#,
            r#""control_pct":10.0,"recognition_pct":12.346,"resent_pct":1.0,"dup_pct":1.5,"evicted":12,"store_max":5250000,"sim_s":12.35,"#,
            r#""log_hash":"00112233445566778899aabbccddeeff"}"#
        );
        assert_eq!(json, expected);
    }

    #[test]
    fn a_row_stands_below_its_heads() {
        let names = ["school", "ble-good", "cut", "24h"].map(|name| [name.to_owned()]);
        let table = Table::new(false, names.each_ref().map(|names| names.as_slice()));
        let head = "trace   profile   faults  ttl  delivered  oracle  of-oracle  med_delay   (oracle)        p95   (oracle)  bytes/payload  \
                    control%  resent%   dup%  evicted  store_max   sim_s          log_hash";
        let row = "school  ble-good  cut     24h      0.800   0.814      0.983   10:13:20   10:11:19   21:23:20   21:09:34           20.0  \
                   \u{20}   10.0      1.0    1.5       12     5.25MB    12.3  0011223344556677";
        assert_eq!(table.line(COLUMNS.map(|(head, _)| head.to_owned())), head);
        assert_eq!(table.line(cells(&entry())), row);
    }

    #[test]
    fn what_was_never_delivered_has_no_delay() {
        let nothing = Delays { letters: 5, delivered: 0, median: None, p95: None };
        let mut entry = entry();
        entry.row = Row { engine: nothing, oracle: nothing, small: nothing, oracle_small: nothing, payload: 0, counts: Counts::default() };
        let shown = cells(&entry);
        assert_eq!(shown[6..12], ["-"; 6].map(str::to_owned));
        let json = serde_json::to_value(Json::of(&entry)).unwrap();
        assert!(["of_oracle", "med_delay_s", "oracle_p95_delay_s", "bytes_payload"].iter().all(|key| json[key].is_null()), "{json}");
    }
}
