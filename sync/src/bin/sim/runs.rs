//! All runs that the arguments ask for, one after another.

use std::{
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use data_encoding::HEXLOWER;
use hedgerow_sync::{
    engine::EngineConfig,
    sim::{
        abuse::Assault,
        faults::FaultMix,
        oracle::earliest,
        profile::Profile,
        replay::{self, Outcome, Plan},
        report::{self, Row},
        trace::Trace,
        workload::Workload,
    },
};
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    flag,
};

use crate::{
    abuses,
    args::Arguments,
    failure::Failure,
    files,
    picture::{Curve, Picture},
    progress::Teller,
    table::{Entry, Table},
};

/// Exit code of a program that was interrupted.
const INTERRUPTED: i32 = 130;

/// Reads and checks everything, then runs it, writing rows as they come.
pub(crate) fn run_all(arguments: &Arguments) -> Result<(), Failure> {
    let trace = Arc::new(files::trace(arguments)?);
    let workload = Arc::new(files::workload(arguments, &trace)?);
    let picture = arguments.svg.as_deref().map(Picture::prepare).transpose()?;
    let stop = stop_on_signals().map_err(Failure::Output)?;
    tell_what_is_run(arguments, &trace, &workload);
    let session = Session { arguments, trace, workload, stop };
    if !arguments.abuses.is_empty() {
        return abuses::run(&session);
    }
    let curves = session.run(&session.table())?;
    picture.map_or(Ok(()), |picture| picture.finish(&session.trace.name, session.workload.letters.len(), &curves, arguments))
}

/// A first signal lets the current run break off; a second one ends the program at once.
fn stop_on_signals() -> std::io::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        flag::register_conditional_shutdown(signal, INTERRUPTED, Arc::clone(&stop))?;
        flag::register(signal, Arc::clone(&stop))?;
    }
    Ok(stop)
}

fn tell_what_is_run(arguments: &Arguments, trace: &Trace, workload: &Workload) {
    let hours = f64::from(trace.length()) / 3_600.0;
    let (nodes, contacts, letters) = (trace.nodes, trace.contacts.len(), workload.letters.len());
    eprintln!("{}: {nodes} nodes, {contacts} contacts in {hours:.1} h, {letters} messages, seed {}", trace.name, arguments.seed);
}

/// What was read, and what all runs share.
pub(crate) struct Session<'a> {
    pub(crate) arguments: &'a Arguments,
    pub(crate) trace: Arc<Trace>,
    workload: Arc<Workload>,
    stop: Arc<AtomicBool>,
}

impl Session<'_> {
    pub(crate) fn profiles(&self) -> &[Profile] {
        if self.arguments.profiles.is_empty() { &Profile::ALL } else { &self.arguments.profiles }
    }

    fn table(&self) -> Table {
        let profiles: Vec<String> = self.profiles().iter().map(Profile::to_string).collect();
        let faults: Vec<String> = self.arguments.faults.iter().map(FaultMix::to_string).collect();
        let lifetimes: Vec<String> = self.arguments.lifetimes.iter().map(ToString::to_string).collect();
        Table::new(self.arguments.json, [std::slice::from_ref(&self.trace.name), &profiles, &faults, &lifetimes])
    }

    /// Runs every profile with all faults, and gives back what the picture shows.
    fn run(&self, table: &Table) -> Result<Vec<Curve>, Failure> {
        table.write_head()?;
        let mut curves = Vec::new();
        let runs = self.profiles().len() * self.arguments.faults.len();
        for &profile in self.profiles() {
            for faults in &self.arguments.faults {
                let stopped = Failure::Stopped { done: curves.len(), runs };
                let (outcome, took) = self.run_one(profile, faults).ok_or(stopped)?;
                if let Some(what) = outcome.violation.clone() {
                    return Err(Failure::Violation { what });
                }
                let oracle = earliest(&self.trace, &outcome.workload, profile.set_up());
                if let Some(letter) = report::arrived_too_early(&outcome.arrivals, &oracle) {
                    return Err(Failure::TooEarly { letter });
                }
                self.write_rows(table, profile, faults, &outcome, &oracle, took)?;
                curves.push(Curve::new(profile, faults, &outcome, &oracle));
            }
        }
        Ok(curves)
    }

    /// One run and what it took, unless it was broken off.
    fn run_one(&self, profile: Profile, faults: &FaultMix) -> Option<(Outcome, Duration)> {
        let config = EngineConfig { relay: self.arguments.policy, ..EngineConfig::default() };
        self.run_plan(profile, faults, None, config)
    }

    /// One run with these numbers of the engines, under attack or not, and what it took, unless it was broken off.
    pub(crate) fn run_plan(
        &self,
        profile: Profile,
        faults: &FaultMix,
        assault: Option<Assault>,
        config: EngineConfig,
    ) -> Option<(Outcome, Duration)> {
        let plan = Plan {
            trace: Arc::clone(&self.trace),
            workload: Arc::clone(&self.workload),
            profile,
            faults: faults.clone(),
            assault,
            checked: self.arguments.check,
            store_bytes: self.arguments.store,
            seed: self.arguments.seed,
            config,
        };
        let abuse = assault.map_or_else(String::new, |assault| format!(", {}", assault.abuse));
        let mut teller = Teller::new(format!("{profile}, faults {faults}{abuse}"), self.workload.letters.len());
        let outcome = replay::run(&plan, &mut |progress| {
            teller.tell(progress);
            if self.stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        teller.clear();
        outcome.map(|outcome| (outcome, teller.elapsed()))
    }

    fn write_rows(
        &self,
        table: &Table,
        profile: Profile,
        faults: &FaultMix,
        outcome: &Outcome,
        oracle: &[Option<Duration>],
        took: Duration,
    ) -> Result<(), Failure> {
        for lifetime in &self.arguments.lifetimes {
            table.write_row(&Entry {
                trace: &self.trace.name,
                profile: profile.name(),
                faults: &faults.to_string(),
                ttl: &lifetime.name,
                row: Row::new(outcome, oracle, lifetime.duration),
                took,
                log_hash: &HEXLOWER.encode(&outcome.log_hash),
            })?;
        }
        Ok(())
    }
}
