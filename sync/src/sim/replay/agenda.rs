//! What happens when: the trace's meetings as times at which links come and go, and the letters.

use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

use super::Plan;

/// Mean time until a link is cut, and how long it stays down (issue of the fault `cut`).
const CUT_MEAN: Duration = Duration::from_secs(10);
const DOWN_FOR: Duration = Duration::from_secs(5);

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

/// Everything that happens, in order.
pub(super) fn agenda(plan: &Plan) -> Vec<(Duration, Act)> {
    let mut rng = ChaCha20Rng::seed_from_u64(plan.seed ^ 0x000a_6e0d_a000);
    let mut acts = Vec::with_capacity(2 * plan.trace.contacts.len() + plan.workload.letters.len());
    for contact in &plan.trace.contacts {
        let (a, b) = (contact.a, contact.b);
        let end = Duration::from_secs(contact.end.into());
        let mut up = Duration::from_secs(contact.start.into()) + plan.profile.set_up();
        while up < end {
            let down = if plan.cuts { end.min(up + exponential(CUT_MEAN, &mut rng)) } else { end };
            acts.push((up, Act::Up { a, b, turned: rng.next_u32() & 1 == 1 }));
            acts.push((down, Act::Down { a, b }));
            up = down + DOWN_FOR;
        }
    }
    let letters = plan.workload.letters.iter().enumerate();
    acts.extend(letters.map(|(letter, at)| (Duration::from_secs(at.created.into()), Act::Write { letter })));
    acts.sort_unstable();
    acts
}

fn exponential(mean: Duration, rng: &mut impl Rng) -> Duration {
    let uniform = (f64::from(rng.next_u32()) + 1.0) / (f64::from(u32::MAX) + 1.0);
    mean.mul_f64(-uniform.ln())
}
