//! What happens when: the trace's meetings as times at which links come and go, and the letters.

use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

use super::{Plan, Workload};

/// One thing that happens.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Act {
    /// A link ends.
    Down { a: u32, b: u32 },
    /// A link comes up; the second node has dialled if it is `turned`.
    Up { a: u32, b: u32, turned: bool },
    /// A letter of the workload is written.
    Write { letter: usize },
}

/// Everything that happens, in order. `workload` holds the letters that are written: those of the plan that count.
pub(super) fn agenda(plan: &Plan, workload: &Workload) -> Vec<(Duration, Act)> {
    let mut rng = ChaCha20Rng::seed_from_u64(plan.seed ^ 0x000a_6e0d_a000);
    let mut acts = Vec::with_capacity(2 * plan.trace.contacts.len() + workload.letters.len());
    for contact in &plan.trace.contacts {
        let (a, b) = (contact.a, contact.b);
        let end = Duration::from_secs(contact.end.into());
        let up = Duration::from_secs(contact.start.into()) + plan.profile.set_up();
        let turned = rng.next_u32() & 1 == 1;
        if up < end {
            acts.push((up, Act::Up { a, b, turned }));
            acts.push((end, Act::Down { a, b }));
        }
    }
    let letters = workload.letters.iter().enumerate();
    acts.extend(letters.map(|(letter, at)| (Duration::from_secs(at.created.into()), Act::Write { letter })));
    acts.sort_unstable();
    acts
}
