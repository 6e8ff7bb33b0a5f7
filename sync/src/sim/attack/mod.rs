//! Attackers who want to know who writes to whom, and which device is which: how much better than guessing they do (docs/simulation.md).
//!
//! - [`passive`]: listens on every link, takes part in none.
//! - [`strangers`]: some of the devices pool what others show them; with each rule of relaying left out in turn, and its price beside it.
//! - [`marks`]: the same devices plant bundles that nobody else has, to know devices again.
//!
//! Each guess is compared with guessing at random, and comes with an interval of 95 %. What an attacker is given beyond what it sees errs on
//! its side, and is said with each.

mod marks;
mod passive;
mod rate;
mod repeats;
mod rules;
mod strangers;
mod traffic;

use std::{collections::BTreeSet, fmt, ops::ControlFlow, sync::Arc, time::Duration};

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

pub use self::{rate::Rate, rules::Rules};
use super::{
    draw::between,
    replay::{Outcome, Plan, Progress},
    workload::Workload,
};
use crate::engine::EngineConfig;

/// Room for bundles of others, bytes, and of it for those of strangers, hundredths, at which marks have to give way: about fifty from whoever
/// dialled, and fifty from the others.
const SMALL_STORE: u64 = 1 << 20;
const SMALL_SHARE: u8 = 5;

/// Who attacks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Attack {
    /// Who listens on every link.
    Passive,
    /// Who takes part as strangers.
    Active,
}

/// One line of the table: a question, and how often it was answered rightly.
#[derive(Clone, PartialEq, Debug)]
pub struct Row {
    /// Who asks.
    pub attack: &'static str,
    /// Which rules were kept.
    pub rules: Rules,
    /// What is asked, and by what it is guessed.
    pub question: String,
    /// How often the answer was right.
    pub rate: Rate,
    /// How often it would be by guessing at random.
    pub guess: f64,
    /// What was delivered in this run, of all letters; of an attack that has its price beside it.
    pub delivered: Option<f64>,
    /// How long it took in the middle.
    pub median: Option<Duration>,
    /// What else is to be known.
    pub note: String,
}

impl Row {
    fn passive(question: &str, rate: Rate, guess: f64, note: &str) -> Self {
        Self::new("passive", Rules::All, question, rate, guess, note)
    }

    fn new(attack: &'static str, rules: Rules, question: &str, rate: Rate, guess: f64, note: &str) -> Self {
        Self { attack, rules, question: question.to_owned(), rate, guess, delivered: None, median: None, note: note.to_owned() }
    }

    /// With what the rules cost.
    fn priced(self, plan: &Plan, outcome: &Outcome) -> Self {
        let letters = plan.workload.letters.iter().zip(&outcome.arrivals);
        let mut delays: Vec<Duration> =
            letters.filter_map(|(letter, at)| Some((*at)?.saturating_sub(Duration::from_secs(letter.created.into())))).collect();
        delays.sort_unstable();
        let median = delays.len().checked_sub(1).and_then(|last| delays.get(last / 2).copied());
        Self { delivered: Some(rate::share(delays.len(), plan.workload.letters.len())), median, ..self }
    }

    /// What stands above the rows.
    pub fn head() -> String {
        format!(
            "{:<8} {:<19} {:<44} {:>6} {:>7} {:>15} {:>7} {:>9} {:>9}  note",
            "attack", "rules", "question", "tries", "right", "95 %", "guess", "delivered", "median"
        )
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Rate { of, right, low, high } = self.rate;
        let delivered = self.delivered.map_or_else(|| "-".to_owned(), |share| format!("{share:.3}"));
        let median = self.median.map_or_else(|| "-".to_owned(), |median| format!("{:.2} h", median.as_secs_f64() / 3_600.0));
        let interval = format!("[{low:.3}, {high:.3}]");
        write!(f, "{:<8} {:<19} {:<44} {of:>6} {right:>7.3}", self.attack, self.rules.name(), self.question)?;
        write!(f, " {interval:>15} {:>7.3} {delivered:>9} {median:>9}  {}", self.guess, self.note)
    }
}

/// Lets attackers loose on a plan; `progress` is told, before a row's name, how far the present run has come, and may break it off: then
/// there are no rows. `count` devices attack actively, drawn by the plan's seed; letters from and to them are left out.
///
/// Letters should be short, one bundle each: of longer ones the newest bundle is judged.
pub fn run(plan: &Plan, attack: Attack, count: usize, progress: &mut dyn FnMut(&str, Progress) -> ControlFlow<()>) -> Option<Vec<Row>> {
    if attack == Attack::Passive {
        return passive::run(plan, None, &mut |at| progress("passive", at));
    }
    let attackers = choose(plan, count);
    let plan = without(plan, &attackers);
    let mut rows = Vec::new();
    for rules in Rules::ALL {
        rows.extend(strangers::run(&plan, &attackers, rules, &mut |at| progress(rules.name(), at))?);
    }
    rows.extend(marks::run(&plan, &attackers, "", &mut |at| progress("marks", at))?);
    let config = EngineConfig { stranger_share: SMALL_SHARE, ..plan.config.clone() };
    let small = Plan { store_bytes: SMALL_STORE, config, ..plan };
    rows.extend(marks::run(&small, &attackers, "little room", &mut |at| progress("marks, small stores", at))?);
    Some(rows)
}

/// Draws who attacks.
fn choose(plan: &Plan, count: usize) -> BTreeSet<u32> {
    let mut rng = ChaCha20Rng::seed_from_u64(plan.seed ^ 0x0a77_ac4e);
    let mut chosen = BTreeSet::new();
    while chosen.len() < count.min(plan.trace.nodes as usize) {
        chosen.insert(between(&mut rng, 0, plan.trace.nodes - 1));
    }
    chosen
}

/// The plan without letters from and to attackers: they are nobody's contacts.
fn without(plan: &Plan, attackers: &BTreeSet<u32>) -> Plan {
    let letters = plan.workload.letters.iter().filter(|letter| !attackers.contains(&letter.src) && !attackers.contains(&letter.dst));
    Plan { workload: Arc::new(Workload { letters: letters.copied().collect() }), ..plan.clone() }
}

#[cfg(test)]
mod tests;
