//! How close the engine comes to the oracle among made-up people, whom every clone has: a change that makes it worse fails here
//! (docs/simulation.md, *Results*, has real contacts).
//!
//! The figures are those of the engine as it is and a little room; a better engine may tighten them.
#![allow(clippy::expect_used, reason = "a test: what fails ends it")]

use std::{ops::ControlFlow, sync::Arc, time::Duration};

use hedgerow_sync::{
    engine::EngineConfig,
    sim::{
        FaultMix,
        mobility::Mobility,
        oracle::earliest,
        profile::Profile,
        replay::{self, Plan},
        report::Row,
        workload::Workload,
    },
};

const DAY: Duration = Duration::from_secs(86_400);
const LETTERS: usize = 100;

/// What is expected of a run.
struct Aim {
    profile: Profile,
    faults: &'static str,
    /// Of the letters that the oracle delivers within a day, at least.
    of_oracle: f64,
    /// Of the bundles that came in, those that were there before, at most; hundredths.
    twice: f64,
    /// Of the bytes, those that say something of bundles, at most; hundredths.
    control: f64,
}

fn row(mobility: &Mobility, profile: Profile, faults: &str) -> Row {
    let trace = Arc::new(mobility.trace());
    let workload = Arc::new(Workload::draw(&trace, LETTERS, 1));
    let plan = Plan {
        trace: Arc::clone(&trace),
        workload,
        profile,
        faults: faults.parse::<FaultMix>().expect("a name of faults"),
        assault: None,
        checked: false,
        store_bytes: 20 << 20,
        seed: 1,
        config: EngineConfig::default(),
    };
    let outcome = replay::run(&plan, &mut |_| ControlFlow::Continue(())).expect("nobody breaks it off");
    let oracle = earliest(&trace, &outcome.workload, profile.set_up());
    Row::new(&outcome, &oracle, Some(DAY))
}

/// Holds the engine among these people against what is expected, on average of so many villages, camps or marches.
fn hold(people: &str, seeds: std::ops::RangeInclusive<u32>, aims: &[Aim]) {
    let mut missed = Vec::new();
    for aim in aims {
        let Aim { profile, faults, of_oracle, twice, control } = *aim;
        let of = |seed| format!("{people},seed={seed}").parse::<Mobility>().expect("a description");
        let rows: Vec<Row> = seeds.clone().map(|seed| row(&of(seed), profile, faults)).collect();
        let mean = |figure: &dyn Fn(&Row) -> f64| rows.iter().map(figure).sum::<f64>() / rows.len() as f64;
        let delivered = mean(&|row| row.of_oracle().expect("the oracle delivers something"));
        let [came_twice, said, resent] = [Row::duplicate_percent, Row::control_percent, Row::resent_percent].map(|figure| mean(&figure));
        let what = format!(
            "{people}, {}, {faults}: {delivered:.3} of the oracle's (at least {of_oracle}), {came_twice:.1} % came twice (at most {twice}), \
             {said:.1} % control (at most {control}), {resent:.1} % sent again (at most 3)",
            profile.name()
        );
        println!("{what}");
        if delivered < of_oracle || came_twice > twice || said > control || resent > 3.0 {
            missed.push(what);
        }
    }
    assert!(missed.is_empty(), "{missed:#?}");
}

/// All are near each other, and change places: what counts is how fast a crowd shares.
#[test]
#[ignore = "takes minutes without optimisation"]
fn sim_a_camp_gets_what_it_could() {
    let aim = |profile, faults, of_oracle, twice, control| Aim { profile, faults, of_oracle, twice, control };
    hold(
        "camp:nodes=10,hours=1",
        1..=5,
        &[
            aim(Profile::BlePoor, "none", 0.97, 8.5, 8.5),
            aim(Profile::BlePoor, "cut", 0.95, 4.5, 18.0),
            aim(Profile::BleGood, "none", 0.98, 4.5, 8.5),
            aim(Profile::BleGood, "cut", 0.97, 3.0, 18.0),
        ],
    );
}

/// Links last for the whole march, and many at a time.
#[test]
#[ignore = "takes minutes without optimisation"]
fn sim_a_march_gets_what_it_could() {
    let aim = |profile, twice| Aim { profile, faults: "none", of_oracle: 1.0, twice, control: 21.0 };
    hold("march:nodes=12,hours=1", 1..=2, &[aim(Profile::BlePoor, 24.0), aim(Profile::BleGood, 5.5)]);
}

/// What goes from one village to another has seconds beside a bus: ten-second contacts that can't carry all that waits.
#[test]
#[ignore = "takes minutes without optimisation"]
fn sim_villages_get_what_they_could() {
    let aim = |profile, of_oracle, twice| Aim { profile, faults: "none", of_oracle, twice, control: 21.0 };
    let aims = [aim(Profile::BlePoor, 0.94, 6.0), aim(Profile::BleGood, 0.97, 4.5), aim(Profile::Wifi, 0.99, 3.5)];
    hold("village:nodes=25,hours=24", 1..=6, &aims);
}
