//! Mesh time: what hour it is, as far as this node can know (design brief, 4.2).
//!
//! The system clock counts if it is plausible and not contradicted by contacts; else the median of contacts; else that of strangers, who
//! never move a clock that contacts set. A clock that jumps is noticed, and nothing is destroyed for a day of running time after it.

use std::{collections::VecDeque, time::Duration};

use super::config::{PLAUSIBLE_HOURS, RELEASE_HOUR};
use crate::{
    id::ContactId,
    time::{Hour, Instant, Now, UnixMillis},
    view::{Clock, ClockSource},
};

/// How many contacts are remembered, and how many strangers are needed (design brief, 4.2).
const WITNESSES: usize = 5;
/// How many contacts must agree to contradict a plausible system clock (guess: a majority of [`WITNESSES`]).
const CONTRADICTORS: usize = 3;
/// A jump or a contradiction is more than this (design brief, 4.2).
const TOLERANCE_HOURS: u32 = 2;
/// Strangers count when they were met over this long (design brief, 4.2).
const STRANGERS_OVER: Duration = Duration::from_secs(24 * 3600);
/// After a jump nothing is destroyed for this long (design brief, 4.2).
const QUIET_AFTER_JUMP: Duration = Duration::from_secs(24 * 3600);

/// What somebody's clock said, and when; told in whole hours.
#[derive(Clone, Copy, Debug)]
struct Witness {
    contact: Option<ContactId>,
    hour: u32,
    at: Instant,
}

impl Witness {
    /// What this clock would say now.
    fn now(&self, now: Instant) -> u32 {
        self.hour.saturating_add((now.since(self.at).as_secs() / 3600) as u32)
    }
}

/// Keeps what is known of the time.
#[derive(Debug)]
pub(super) struct MeshTime {
    contacts: VecDeque<Witness>,
    strangers: VecDeque<Witness>,
    last: Now,
    quiet_until: Option<Instant>,
}

impl MeshTime {
    /// Starts at `now`; `last` is what the wall clock said when the profile was last in use, and how long it was to be quiet then.
    pub(super) fn new(now: Now, last: Option<(UnixMillis, Duration)>) -> Self {
        let jumped = last.is_some_and(|(last, _)| last.0.abs_diff(now.wall.0) > u64::from(TOLERANCE_HOURS) * 3_600_000);
        let left = last.map_or(Duration::ZERO, |(_, left)| left.min(QUIET_AFTER_JUMP));
        let quiet = if jumped { QUIET_AFTER_JUMP } else { left };
        Self { contacts: VecDeque::new(), strangers: VecDeque::new(), last: now, quiet_until: Some(now.mono + quiet) }
    }

    /// What [`encode`](Self::encode) wrote: the wall clock, and how long it was to be quiet.
    pub(super) fn decode(bytes: &[u8]) -> Option<(UnixMillis, Duration)> {
        let (wall, left) = bytes.split_first_chunk()?;
        Some((UnixMillis(u64::from_be_bytes(*wall)), Duration::from_millis(u64::from_be_bytes(left.try_into().ok()?))))
    }

    /// What a restart must know: else a jump would be forgotten by it.
    pub(super) fn encode(&self, now: Now) -> [u8; 16] {
        let left = self.quiet_until.map_or(Duration::ZERO, |until| until.since(now.mono)).as_millis() as u64;
        let mut out = [0; 16];
        out[..8].copy_from_slice(&now.wall.0.to_be_bytes());
        out[8..].copy_from_slice(&left.to_be_bytes());
        out
    }

    /// Compares the wall clock with running time. `true` if it has jumped since the last call.
    pub(super) fn observe(&mut self, now: Now) -> bool {
        let elapsed = now.mono.since(self.last.mono).as_millis() as u64;
        let expected = self.last.wall.0.saturating_add(elapsed);
        self.last = now;
        let jumped = expected.abs_diff(now.wall.0) > u64::from(TOLERANCE_HOURS) * 3_600_000;
        if jumped {
            self.quiet_until = Some(now.mono + QUIET_AFTER_JUMP);
        }
        jumped
    }

    /// Whether the clock jumped so lately that nothing may be destroyed because of the hour.
    pub(super) fn is_quiet(&self, now: Instant) -> bool {
        self.quiet_until.is_some_and(|until| now < until)
    }

    /// Notes what the peer of a link said; implausible hours are passed over.
    pub(super) fn witness(&mut self, now: Instant, contact: Option<ContactId>, hour: Hour) {
        if !is_plausible(hour.0) {
            return;
        }
        let list = if contact.is_some() { &mut self.contacts } else { &mut self.strangers };
        if contact.is_some() {
            list.retain(|witness| witness.contact != contact);
        }
        if list.len() == WITNESSES {
            // The oldest stranger stays, so that they span time; of contacts the newest count.
            list.remove(usize::from(contact.is_none()));
        }
        list.push_back(Witness { contact, hour: hour.0, at: now });
    }

    /// What hour it is, and who says so.
    pub(super) fn read(&self, now: Now) -> (Hour, ClockSource) {
        let system = now.wall.hour().0;
        let contacts = median(self.contacts.iter().map(|witness| witness.now(now.mono)));
        if is_plausible(system) {
            let contradicted = self.contacts.len() >= CONTRADICTORS && contacts.is_some_and(|hour| hour.abs_diff(system) > TOLERANCE_HOURS);
            if !contradicted {
                return (Hour(system), ClockSource::System);
            }
        }
        if let Some(hour) = contacts {
            return (Hour(hour), ClockSource::Contacts);
        }
        let spread = self.strangers.iter().map(|witness| witness.at).min().map(|first| now.mono.since(first));
        if self.strangers.len() == WITNESSES
            && spread >= Some(STRANGERS_OVER)
            && let Some(hour) = median(self.strangers.iter().map(|witness| witness.now(now.mono)))
        {
            return (Hour(hour), ClockSource::Strangers);
        }
        (Hour::UNKNOWN, ClockSource::Unknown)
    }

    /// The same, for people and scripts.
    pub(super) fn view(&self, now: Now) -> Clock {
        let (hour, source) = self.read(now);
        Clock { hour: (hour != Hour::UNKNOWN).then_some(hour.0), source }
    }
}

/// Whether a clock may say this at all.
const fn is_plausible(hour: u32) -> bool {
    hour >= RELEASE_HOUR && hour < RELEASE_HOUR + PLAUSIBLE_HOURS
}

/// The middle value, the lower of two.
fn median(hours: impl Iterator<Item = u32>) -> Option<u32> {
    let mut hours: Vec<u32> = hours.collect();
    hours.sort_unstable();
    hours.get(hours.len().saturating_sub(1) / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: u32 = RELEASE_HOUR + 500;

    fn at(seconds: u64, hour: u32) -> Now {
        Now { mono: Instant::from_origin(Duration::from_secs(seconds)), wall: UnixMillis(u64::from(hour) * 3_600_000) }
    }

    #[test]
    fn a_plausible_system_clock_counts() {
        let time = MeshTime::new(at(0, GOOD), None);
        assert_eq!(time.read(at(0, GOOD)), (Hour(GOOD), ClockSource::System));
    }

    #[test]
    fn clocks_at_1970_and_2100_are_not_believed() {
        for hour in [0, 5, 1_139_592] {
            let mut time = MeshTime::new(at(0, hour), None);
            assert_eq!(time.read(at(0, hour)), (Hour::UNKNOWN, ClockSource::Unknown));
            time.witness(Instant::ZERO, Some(ContactId(1)), Hour(GOOD));
            assert_eq!(time.read(at(7200, hour)), (Hour(GOOD + 2), ClockSource::Contacts));
        }
    }

    #[test]
    fn a_stranger_or_a_contact_at_2100_moves_nothing() {
        let mut time = MeshTime::new(at(0, 5), None);
        for _ in 0..20 {
            time.witness(Instant::ZERO, None, Hour(1_139_592));
            time.witness(Instant::ZERO, Some(ContactId(1)), Hour(1_139_592));
        }
        assert_eq!(time.read(at(90_000, 5)).1, ClockSource::Unknown);
    }

    #[test]
    fn strangers_count_only_together_and_over_a_day() {
        let mut time = MeshTime::new(at(0, 5), None);
        for second in 0..5 {
            time.witness(Instant::from_origin(Duration::from_secs(second)), None, Hour(GOOD));
        }
        assert_eq!(time.read(at(10, 5)).1, ClockSource::Unknown);
        assert_eq!(time.read(at(90_000, 5)), (Hour(GOOD + 24), ClockSource::Strangers));
        time.witness(Instant::from_origin(Duration::from_secs(90_000)), Some(ContactId(1)), Hour(GOOD + 400));
        assert_eq!(time.read(at(90_000, 5)), (Hour(GOOD + 400), ClockSource::Contacts));
    }

    #[test]
    fn one_contact_does_not_contradict_a_plausible_clock_but_three_do() {
        let mut time = MeshTime::new(at(0, GOOD), None);
        for contact in 1..=2 {
            time.witness(Instant::ZERO, Some(ContactId(contact)), Hour(GOOD + 100));
            time.witness(Instant::ZERO, Some(ContactId(contact)), Hour(GOOD + 100));
        }
        assert_eq!(time.read(at(0, GOOD)).1, ClockSource::System);
        time.witness(Instant::ZERO, Some(ContactId(3)), Hour(GOOD + 100));
        assert_eq!(time.read(at(0, GOOD)), (Hour(GOOD + 100), ClockSource::Contacts));
    }

    #[test]
    fn a_jump_is_noticed_and_makes_quiet_for_a_day() {
        let mut time = MeshTime::new(at(0, GOOD), Some((at(0, GOOD).wall, Duration::ZERO)));
        assert!(!time.observe(at(3600, GOOD + 1)));
        assert!(!time.is_quiet(at(3600, 0).mono));
        assert!(time.observe(at(3700, GOOD + 800)));
        assert!(time.is_quiet(at(3700, 0).mono));
        assert!(!time.is_quiet(at(3700 + 86_400, 0).mono));
        let since = Some((at(0, GOOD - 100).wall, Duration::ZERO));
        assert!(MeshTime::new(at(0, GOOD), since).is_quiet(Instant::ZERO), "switched off for long");
    }

    #[test]
    fn a_restart_does_not_end_the_quiet() {
        let mut time = MeshTime::new(at(0, GOOD), None);
        assert!(time.observe(at(100, GOOD + 800)));
        let saved = MeshTime::decode(&time.encode(at(3700, GOOD + 801)));
        let again = MeshTime::new(at(9, GOOD + 801), saved);
        assert!(again.is_quiet(at(9 + 82_700, 0).mono));
        assert!(!again.is_quiet(at(9 + 82_900, 0).mono));
        assert_eq!(MeshTime::decode(&[0; 8]), None);
    }
}
