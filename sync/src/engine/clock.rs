//! Mesh time: what hour it is, as far as this node can know (design brief, 4.2), and up to when that is safe to act upon.
//!
//! The system clock counts if it is plausible and not contradicted by contacts who agree; else the median of contacts; else that of
//! strangers, who never move a clock that contacts set.
//!
//! None of this is believed at once where something would be destroyed. *Settled* time goes on with running time only. Mesh time that has
//! moved away from it, by a jump, a suspension or a night switched off, becomes settled after a day of running time, counted over
//! restarts; until then nothing expires but what had expired already. A second jump forward does not begin the day again, so that a
//! machine that sleeps every night settles too, some days late.

use std::{collections::VecDeque, time::Duration};

use super::config::{PLAUSIBLE_HOURS, RELEASE_HOUR};
use crate::{
    id::ContactId,
    store::StoreError,
    time::{Hour, Instant, Now, UnixMillis},
    view::{Clock, ClockJump, ClockSource},
    wire::codec::Reader,
};

/// How many contacts are remembered, and how many strangers are needed (design brief, 4.2).
const WITNESSES: usize = 5;
/// How many contacts must agree to contradict a plausible system clock (guess: a majority of [`WITNESSES`]).
const CONTRADICTORS: usize = 3;
/// A jump or a contradiction is more than this (design brief, 4.2).
const TOLERANCE_HOURS: u32 = 2;
/// The same.
const TOLERANCE: Duration = Duration::from_secs(TOLERANCE_HOURS as u64 * 3600);
/// Between two strangers that count, so that [`WITNESSES`] of them span the 24 hours that they must (design brief, 4.2).
const BETWEEN_STRANGERS: Duration = Duration::from_secs(24 * 3600 / (WITNESSES as u64 - 1));
/// Running time until a time that is not settled is: a day (design brief, 4.2).
const SETTLE_AFTER: Duration = Duration::from_secs(24 * 3600);
/// Running time that a crash may lose (guess: one small write in so long, and only with a batch that is committed anyway).
const SAVE_EVERY: Duration = Duration::from_secs(5 * 60);
/// The version of [`MeshTime::encode`].
const VERSION: u8 = 1;

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

/// A time that waits to be settled.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    /// Since 1970; goes on with running time.
    time: Duration,
    /// Running time that is left.
    wait: Duration,
}

/// Keeps what is known of the time.
#[derive(Debug)]
pub(super) struct MeshTime {
    contacts: VecDeque<Witness>,
    strangers: VecDeque<Witness>,
    last: Now,
    /// Mesh time when last looked at; absent until it is known.
    seen: Option<Duration>,
    /// All the running time of this profile.
    running: Duration,
    /// Whether contacts have ever set the time.
    by_contacts: bool,
    /// Settled time, since 1970; zero before there is any.
    settled: Duration,
    candidate: Option<Candidate>,
    /// The last jump, for people.
    jump: Option<ClockJump>,
    /// Running time when it was last saved, `None` if it must be saved at once.
    saved: Option<Duration>,
}

impl MeshTime {
    /// Starts at `now`, from what [`encode`](Self::encode) wrote when the profile was last in use.
    pub(super) fn load(now: Now, saved: Option<&[u8]>) -> Result<Self, StoreError> {
        let mut time = Self {
            contacts: VecDeque::new(),
            strangers: VecDeque::new(),
            last: now,
            seen: None,
            running: Duration::ZERO,
            by_contacts: false,
            settled: Duration::ZERO,
            candidate: None,
            jump: None,
            saved: None,
        };
        if let Some(bytes) = saved {
            time.decode(bytes).ok_or(StoreError::Damaged("the clock's state"))?;
        }
        time.settle(now, Duration::ZERO);
        Ok(time)
    }

    /// Encodes what outlives the program: all but the witnesses.
    pub(super) fn encode(&self) -> Vec<u8> {
        let candidate = self.candidate.unwrap_or(Candidate { time: Duration::ZERO, wait: Duration::ZERO });
        let mut out = vec![VERSION, self.by_contacts.into(), self.candidate.is_some().into()];
        for span in [self.running, self.settled, candidate.time, candidate.wait] {
            out.extend_from_slice(&span.as_secs().to_be_bytes());
        }
        let ClockJump { at, hours } = self.jump.unwrap_or(ClockJump { at: UnixMillis(0), hours: 0 });
        out.extend_from_slice(&at.0.to_be_bytes());
        out.extend_from_slice(&hours.to_be_bytes());
        out
    }

    fn decode(&mut self, bytes: &[u8]) -> Option<()> {
        let mut reader = Reader::new(bytes);
        let [version, by_contacts, waits] = reader.array::<3>().ok()?;
        let mut span = || -> Option<Duration> { Some(Duration::from_secs(u64::from_be_bytes(reader.array().ok()?))) };
        (self.running, self.settled) = (span()?, span()?);
        let candidate = Candidate { time: span()?, wait: span()? };
        let jump = ClockJump { at: UnixMillis(reader.u64().ok()?), hours: i32::from_be_bytes(reader.array().ok()?) };
        self.jump = (jump.hours != 0).then_some(jump);
        self.by_contacts = by_contacts != 0;
        self.candidate = (waits != 0).then_some(candidate);
        self.saved = Some(self.running);
        (version == VERSION).then_some(())
    }

    /// What is to be saved with this batch, if anything is.
    pub(super) fn poll_state(&mut self) -> Option<Vec<u8>> {
        if self.saved.is_some_and(|saved| self.running.saturating_sub(saved) < SAVE_EVERY) {
            return None;
        }
        self.saved = Some(self.running);
        Some(self.encode())
    }

    /// Lets time pass up to `now`. `true` if mesh time has jumped since the last call.
    pub(super) fn observe(&mut self, now: Now) -> bool {
        let elapsed = now.mono.since(self.last.mono);
        let expected = Duration::from_millis(self.last.wall.0).saturating_add(elapsed);
        if Duration::from_millis(now.wall.0) > expected.saturating_add(TOLERANCE) {
            // Running time may have stood still, as it does in suspension: what witnesses would say now is not known.
            self.contacts.clear();
            self.strangers.clear();
        }
        self.last = now;
        self.settle(now, elapsed)
    }

    /// Moves settled time on by `elapsed`, and to a candidate that has waited long enough. `true` if mesh time has jumped.
    fn settle(&mut self, now: Now, elapsed: Duration) -> bool {
        self.running = self.running.saturating_add(elapsed);
        if !self.settled.is_zero() {
            self.settled = self.settled.saturating_add(elapsed);
        }
        if let Some(candidate) = &mut self.candidate {
            candidate.time = candidate.time.saturating_add(elapsed);
            candidate.wait = candidate.wait.saturating_sub(elapsed);
        }
        let expected = self.seen.map(|seen| seen.saturating_add(elapsed));
        self.seen = expected;
        let (hour, source) = self.read(now);
        if hour == Hour::UNKNOWN {
            return false;
        }
        if source == ClockSource::Contacts && !self.by_contacts {
            self.by_contacts = true;
            self.saved = None;
        }
        let time = Duration::from_secs(u64::from(hour.0) * 3600);
        // Hours are whole ones: what goes on within them is kept.
        let jumped = expected.is_some_and(|expected| expected.abs_diff(time) > TOLERANCE);
        if let Some(expected) = expected.filter(|_| jumped) {
            let hours = (time.as_secs() as i64 - expected.as_secs() as i64) / 3600;
            let hours = i32::try_from(hours).unwrap_or(if hours < 0 { i32::MIN } else { i32::MAX });
            self.jump = Some(ClockJump { at: UnixMillis(u64::from(hour.0) * 3_600_000), hours });
            self.saved = None;
        }
        self.seen = expected.filter(|expected| !jumped && expected.as_secs() / 3600 == u64::from(hour.0)).or(Some(time));

        // Back is safe at once: less expires.
        if self.settled > time.saturating_add(TOLERANCE) {
            self.settled = time;
            self.saved = None;
        }
        match self.candidate {
            Some(candidate) if candidate.time > time.saturating_add(TOLERANCE) => self.candidate = None,
            Some(candidate) if candidate.wait.is_zero() => {
                self.settled = self.settled.max(candidate.time.min(time));
                self.candidate = None;
                self.saved = None;
            }
            _ => {}
        }
        if self.candidate.is_none() && time > self.settled.saturating_add(TOLERANCE) {
            self.candidate = Some(Candidate { time, wait: SETTLE_AFTER });
            self.saved = None;
        }
        jumped
    }

    /// The hour up to which things may be destroyed because of the time; `None` while there is none.
    pub(super) fn settled(&self, now: Now) -> Option<Hour> {
        let hour = self.read(now).0;
        let settled = Hour(u32::try_from(self.settled.as_secs() / 3600).unwrap_or(u32::MAX));
        (hour != Hour::UNKNOWN && settled != Hour::UNKNOWN).then(|| settled.min(hour))
    }

    /// How long this profile has been running, in all its life.
    pub(super) const fn running(&self) -> Duration {
        self.running
    }

    /// Whole hours that this profile has been running, in all its life.
    pub(super) fn running_hours(&self) -> u32 {
        u32::try_from(self.running.as_secs() / 3600).unwrap_or(u32::MAX)
    }

    /// Notes what the peer of a link said; implausible hours are passed over, and strangers who come soon after another one.
    pub(super) fn witness(&mut self, now: Instant, contact: Option<ContactId>, hour: Hour) {
        if !is_plausible(hour.0) {
            return;
        }
        let list = match contact {
            Some(_) => {
                self.contacts.retain(|witness| witness.contact != contact);
                &mut self.contacts
            }
            None if self.strangers.back().is_some_and(|last| now.since(last.at) < BETWEEN_STRANGERS) => return,
            None => &mut self.strangers,
        };
        if list.len() == WITNESSES {
            list.pop_front();
        }
        list.push_back(Witness { contact, hour: hour.0, at: now });
    }

    /// What hour it is, and who says so.
    pub(super) fn read(&self, now: Now) -> (Hour, ClockSource) {
        let system = now.wall.hour().0;
        if is_plausible(system) {
            return match self.contradiction(now.mono, system) {
                Some(hour) => (Hour(hour), ClockSource::Contacts),
                None => (Hour(system), ClockSource::System),
            };
        }
        if let Some(hour) = median(self.contacts.iter().map(|witness| witness.now(now.mono))) {
            return (Hour(hour), ClockSource::Contacts);
        }
        if !self.by_contacts
            && self.strangers.len() == WITNESSES
            && let Some(hour) = median(self.strangers.iter().map(|witness| witness.now(now.mono)))
        {
            return (Hour(hour), ClockSource::Strangers);
        }
        (Hour::UNKNOWN, ClockSource::Unknown)
    }

    /// The hour on which enough contacts agree against the system clock: with each other, not only in disagreeing with it.
    fn contradiction(&self, now: Instant, system: u32) -> Option<u32> {
        let hours = self.contacts.iter().map(|witness| witness.now(now));
        let mut against: Vec<u32> = hours.filter(|hour| hour.abs_diff(system) > TOLERANCE_HOURS).collect();
        against.sort_unstable();
        let agree = |group: &&[u32]| group.first().zip(group.last()).is_some_and(|(first, last)| last - first <= TOLERANCE_HOURS);
        against.windows(CONTRADICTORS).find(agree).and_then(|group| median(group.iter().copied()))
    }

    /// The same, for people and scripts.
    pub(super) fn view(&self, now: Now) -> Clock {
        let (hour, source) = self.read(now);
        let trust = match source {
            ClockSource::System => "this machine's clock, which contacts do not contradict",
            ClockSource::Contacts if is_plausible(now.wall.hour().0) => "contacts who agree; they contradict this machine's clock",
            ClockSource::Contacts => "contacts; this machine's clock can't be right",
            ClockSource::Strangers => "strangers, as this machine's clock can't be right and no contact was met",
            ClockSource::Unknown => "none: nothing expires until somebody with a clock is met",
        };
        let waits = self.candidate.filter(|_| hour != Hour::UNKNOWN).map(|candidate| candidate.wait.as_secs().div_ceil(3600));
        let settles_in_hours = waits.map(|hours| u32::try_from(hours).unwrap_or(u32::MAX));
        Clock { hour: (hour != Hour::UNKNOWN).then_some(hour.0), source, trust: trust.into(), settles_in_hours, jump: self.jump }
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
mod tests;
