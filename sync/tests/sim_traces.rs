//! The oracle against what others computed for real contact traces, where these lie at hand: in the folder that `HEDGEROW_TRACES` names,
//! else in `shared/traces` beside the repository. They are not ours to give away, so tests that need them are ignored unless asked for:
//! `cargo test -p hedgerow-sync --test sim_traces -- --ignored`.
#![expect(clippy::unwrap_used, reason = "what can't be read fails the test")]

use std::{
    env, fs,
    path::{Path, PathBuf},
    time::Duration,
};

use hedgerow_sync::sim::{oracle::earliest, report::Delays, text, trace::Trace, workload::Workload};
use serde_json::Value;

const NAMES: [&str; 3] = ["highschool-thiers-2013", "workplace-invs-2013", "phones-upb-2012"];
const LIFETIMES: [(&str, Option<u64>); 5] =
    [("1h", Some(3_600)), ("6h", Some(6 * 3_600)), ("24h", Some(86_400)), ("7d", Some(7 * 86_400)), ("none", None)];

/// Where the traces lie; a test that was asked for and has none fails.
fn folder() -> PathBuf {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/traces");
    let folder = env::var_os("HEDGEROW_TRACES").map_or(beside, PathBuf::from);
    assert!(folder.is_dir(), "no traces in {}: HEDGEROW_TRACES may name another folder", folder.display());
    folder
}

fn read(name: &str) -> (Trace, Workload, Value) {
    let bytes = |end: &str| fs::read(folder().join(format!("{name}.{end}"))).unwrap();
    let trace = Trace::parse(name, &text::decode(bytes("csv.gz")).unwrap()).unwrap();
    let workload = Workload::parse(&text::decode(bytes("workload.csv")).unwrap(), &trace).unwrap();
    (trace, workload, serde_json::from_slice(&bytes("oracle.json")).unwrap())
}

fn in_seconds(delay: Option<Duration>) -> Value {
    delay.map_or(Value::Null, |delay| delay.as_secs().into())
}

fn check_summary(expected: &Value, workload: &Workload, arrivals: &[Option<Duration>]) {
    for (name, seconds) in LIFETIMES {
        let delays = Delays::within(workload, arrivals, seconds.map(Duration::from_secs));
        let expected = &expected[name];
        assert_eq!(Value::from(delays.delivered), expected["delivered"], "{name}");
        assert_eq!(in_seconds(delays.median), expected["delay_s_median"], "{name}");
        assert_eq!(in_seconds(delays.p95), expected["delay_s_p95"], "{name}");
        assert!((delays.ratio() - expected["ratio"].as_f64().unwrap()).abs() < 5e-4, "{name}");
    }
}

#[test]
#[ignore = "needs the traces"]
fn traces_have_the_shape_that_their_oracle_states() {
    for name in NAMES {
        let (trace, workload, oracle) = read(name);
        let shape = [u64::from(trace.nodes), trace.contacts.len() as u64, trace.length().into(), workload.letters.len() as u64];
        let stated = ["nodes", "contacts", "duration_s", "messages"].map(|key| oracle[key].as_u64().unwrap());
        assert_eq!(shape, stated, "{name}");
    }
}

#[test]
#[ignore = "needs the traces"]
fn every_letter_arrives_when_the_published_oracle_says() {
    for name in NAMES {
        let (trace, workload, oracle) = read(name);
        let arrivals = earliest(&trace, &workload, Duration::ZERO);
        let found: Vec<Value> = arrivals.iter().map(|at| in_seconds(*at)).collect();
        assert_eq!(Value::from(found), oracle["arrivals_s"], "{name}");
        check_summary(&oracle["oracle"], &workload, &arrivals);
    }
}

#[test]
#[ignore = "needs the traces"]
fn so_do_those_over_links_with_a_set_up() {
    for name in NAMES {
        let (trace, workload, oracle) = read(name);
        check_summary(&oracle["oracle_setup_3s"], &workload, &earliest(&trace, &workload, Duration::from_secs(3)));
    }
}
