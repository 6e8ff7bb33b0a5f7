//! Runs under attack, and their table: what arrives between those who do no harm, with the defence and without.

use std::time::Duration;

use data_encoding::HEXLOWER;
use hedgerow_sync::sim::{
    abuse::{Abuse, Assault, Tally, attackers, without},
    faults::FaultMix,
    oracle::earliest,
    profile::Profile,
    replay::Outcome,
    report::{self, Row},
};
use serde::Serialize;

use crate::{
    failure::Failure,
    runs::Session,
    table::{HASH_SHOWN, clock_time, rounded, write_line},
};

/// The columns that say which run a row is of; the rest are figures.
const NAMES: usize = 6;
/// Heads of the columns, and how wide they are.
const COLUMNS: [(&str, usize); 19] = [
    ("trace", 24),
    ("profile", 8),
    ("faults", 6),
    ("ttl", 4),
    ("abuse", 12),
    ("defence", 7),
    ("letters", 7),
    ("delivered", 9),
    ("oracle", 6),
    ("of-oracle", 9),
    ("med_delay", 9),
    ("(oracle)", 9),
    ("made", 7),
    ("handed", 8),
    ("placed", 8),
    ("swallowed", 9),
    ("evicted", 9),
    ("sim_s", 6),
    ("log_hash", HASH_SHOWN),
];

/// Which run a row is of, its figures, and what attackers did.
struct Entry<'a> {
    names: [&'a str; NAMES],
    row: Row,
    tally: Tally,
    took: Duration,
    log_hash: String,
}

/// Runs every profile with all faults and abuses, writing rows as they come.
pub(crate) fn run(session: &Session<'_>) -> Result<(), Failure> {
    let arguments = session.arguments;
    if !arguments.json {
        write_line(&line(COLUMNS.map(|(head, _)| head.to_owned())))?;
    }
    let abuses = arguments.abuses.iter().flat_map(|abuses| abuses.0.iter().copied());
    let assaults: Vec<Assault> = abuses.flat_map(assaults_of).collect();
    let runs = session.profiles().len() * arguments.faults.len() * assaults.len();
    let mut done = 0;
    for &profile in session.profiles() {
        for faults in &arguments.faults {
            for &assault in &assaults {
                let stopped = Failure::Stopped { done, runs };
                let (outcome, took) = session.run_plan(profile, faults, Some(assault), assault.config()).ok_or(stopped)?;
                write_rows(session, profile, faults, assault, &outcome, took)?;
                done += 1;
            }
        }
    }
    Ok(())
}

/// With the defence, and without it where there is such a run.
fn assaults_of(abuse: Abuse) -> impl Iterator<Item = Assault> {
    let defended = Assault { abuse, defended: true };
    std::iter::once(defended).chain(abuse.has_undefended().then_some(Assault { abuse, defended: false }))
}

fn write_rows(
    session: &Session<'_>,
    profile: Profile,
    faults: &FaultMix,
    assault: Assault,
    outcome: &Outcome,
    took: Duration,
) -> Result<(), Failure> {
    if let Some(what) = outcome.violation.clone() {
        return Err(Failure::Violation { what });
    }
    let bound = earliest(&session.trace, &outcome.workload, profile.set_up());
    if let Some(letter) = report::arrived_too_early(&outcome.arrivals, &bound) {
        return Err(Failure::TooEarly { letter });
    }
    let others = without(&session.trace, &attackers(&session.trace));
    let oracle = earliest(&others, &outcome.workload, profile.set_up());
    for lifetime in &session.arguments.lifetimes {
        let entry = Entry {
            names: [
                &session.trace.name,
                profile.name(),
                &faults.to_string(),
                &lifetime.name,
                assault.abuse.name(),
                if assault.defended { "on" } else { "off" },
            ],
            row: Row::new(outcome, &oracle, lifetime.duration),
            tally: outcome.tally,
            took,
            log_hash: HEXLOWER.encode(&outcome.log_hash),
        };
        write_row(session.arguments.json, &entry)?;
    }
    Ok(())
}

fn write_row(json: bool, entry: &Entry<'_>) -> Result<(), Failure> {
    if json {
        let json = serde_json::to_string(&Json::of(entry)).map_err(|error| Failure::Output(error.into()))?;
        return write_line(&json);
    }
    write_line(&line(cells(entry)))
}

fn line(cells: [String; COLUMNS.len()]) -> String {
    let padded = cells.iter().zip(COLUMNS).enumerate().map(|(column, (cell, (_, width)))| match column {
        0..NAMES => format!("{cell:<width$}"),
        _ => format!("{cell:>width$}"),
    });
    padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
}

fn cells(entry: &Entry<'_>) -> [String; COLUMNS.len()] {
    let Entry { names: [trace, profile, faults, ttl, abuse, defence], row, tally, took, log_hash } = entry;
    let fraction = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.3}"));
    [
        (*trace).to_owned(),
        (*profile).to_owned(),
        (*faults).to_owned(),
        (*ttl).to_owned(),
        (*abuse).to_owned(),
        (*defence).to_owned(),
        row.engine.letters.to_string(),
        fraction(Some(row.engine.ratio())),
        fraction(Some(row.oracle.ratio())),
        fraction(row.of_oracle()),
        clock_time(row.engine.median),
        clock_time(row.oracle.median),
        tally.made.to_string(),
        tally.handed.to_string(),
        tally.placed.to_string(),
        tally.swallowed.to_string(),
        row.counts.evicted.to_string(),
        format!("{:.1}", took.as_secs_f64()),
        log_hash.chars().take(HASH_SHOWN).collect(),
    ]
}

/// The object of one row; its keys are a contract (docs/simulation.md).
#[derive(Serialize)]
struct Json<'a> {
    trace: &'a str,
    profile: &'a str,
    faults: &'a str,
    ttl: &'a str,
    abuse: &'a str,
    defence: bool,
    letters: usize,
    delivered: f64,
    oracle: f64,
    of_oracle: Option<f64>,
    med_delay_s: Option<f64>,
    oracle_med_delay_s: Option<f64>,
    made: u64,
    made_bytes: u64,
    handed: u64,
    placed: u64,
    swallowed: u64,
    evicted: u64,
    sim_s: f64,
    log_hash: &'a str,
}

impl<'a> Json<'a> {
    fn of(entry: &'a Entry<'a>) -> Self {
        let Entry { names: [trace, profile, faults, ttl, abuse, defence], row, tally, took, log_hash } = entry;
        let seconds = |delay: Option<Duration>| delay.map(|delay| rounded(delay.as_secs_f64(), 3));
        Self {
            trace,
            profile,
            faults,
            ttl,
            abuse,
            defence: *defence == "on",
            letters: row.engine.letters,
            delivered: rounded(row.engine.ratio(), 6),
            oracle: rounded(row.oracle.ratio(), 6),
            of_oracle: row.of_oracle().map(|share| rounded(share, 6)),
            med_delay_s: seconds(row.engine.median),
            oracle_med_delay_s: seconds(row.oracle.median),
            made: tally.made,
            made_bytes: tally.made_bytes,
            handed: tally.handed,
            placed: tally.placed,
            swallowed: tally.swallowed,
            evicted: row.counts.evicted,
            sim_s: rounded(took.as_secs_f64(), 2),
            log_hash,
        }
    }
}

#[cfg(test)]
mod tests {
    use hedgerow_sync::sim::{replay::Counts, report::Delays};

    use super::*;

    fn entry() -> Entry<'static> {
        let delays = |delivered| Delays { letters: 480, delivered, median: Some(Duration::from_secs(3_661)), p95: None };
        let tally = Tally { made: 12, made_bytes: 49_152, handed: 300, placed: 200, swallowed: 7 };
        let (engine, oracle) = (delays(240), delays(360));
        let row =
            Row { engine, oracle, small: engine, oracle_small: oracle, payload: 1, counts: Counts { evicted: 99, ..Counts::default() } };
        let names = ["office", "ble-good", "none", "24h", "flood", "on"];
        Entry { names, row, tally, took: Duration::from_millis(1_250), log_hash: "00112233445566778899".to_owned() }
    }

    #[test]
    fn a_row_as_json_has_these_keys_in_this_order() {
        let expected = concat!(
            r#"{"trace":"office","profile":"ble-good","faults":"none","ttl":"24h","abuse":"flood","defence":true,"letters":480,"#,
            r#""delivered":0.5,"oracle":0.75,"of_oracle":0.666667,"med_delay_s":3661.0,"oracle_med_delay_s":3661.0,"made":12,"#,
            r#""made_bytes":49152,"handed":300,"placed":200,"swallowed":7,"evicted":99,"sim_s":1.25,"log_hash":"00112233445566778899"}"#
        );
        assert_eq!(serde_json::to_string(&Json::of(&entry())).unwrap(), expected);
    }

    #[test]
    fn a_row_stands_below_its_heads() {
        let (head, row) = (line(COLUMNS.map(|(head, _)| head.to_owned())), line(cells(&entry())));
        assert_eq!(head.len(), row.len());
        for (head_word, row_word) in [("delivered", "0.500"), ("of-oracle", "0.667"), ("placed", "200"), ("evicted", "99")] {
            let end = |line: &str, word: &str| line.find(word).map(|at| at + word.len());
            assert_eq!(end(&head, head_word), end(&row, row_word), "{head_word}");
        }
        assert_eq!(head.find("defence"), row.find("on  "));
    }
}
