//! Whom to dial, and when. Knows neither sockets nor clocks: the time and the randomness are handed in.
//!
//! ```text
//!            due                connected             link ended
//!   waiting ─────▶ dialling ─────────────────▶ up ─────────────────▶ waiting (at once after a good link,
//!      ▲               │ failed                                         later after a brief one)
//!      └───────────────┘ back-off
//! ```
//!
//! As many neighbours are dialled as are wanted, in random order: any preference that many nodes share would have all of them dial the same
//! few. Once enough are linked, others are still dialled now and then, for one may be a contact; each once, by one of the two sides.

mod addresses;
mod choice;
mod neighbour;
mod pace;
mod sightings;

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use tokio::time::Instant;

use crate::{BeaconId, Wanted};
use addresses::{Attempts, has_ip};
use neighbour::{
    BACK_OFF_MAX, BACK_OFF_MAX_BRIEF, BACK_OFF_MAX_FIXED, BACK_OFF_MIN, BRIEF_LINK, CROWDED_DOUBLINGS, Entry, REST, State, around, back_off,
};
use pace::Pace;

pub(super) use addresses::Site;
pub(super) use neighbour::Target;
pub(super) use sightings::MAX_ADDRESSES;

/// What failed is tried again at once when the network changes, in the mean once in so long.
const RESET_EVERY: Duration = Duration::from_secs(60);
/// Changes one after the other that still do so (guess: a flapping cable, or all the addresses of a new network).
const RESETS_AT_ONCE: u32 = 5;
/// Both sides see each other at once; the delay makes it rare that both dial.
const FIRST_DELAY_MAX: Duration = Duration::from_millis(150);
/// Pause in dialling a neighbour whose device has just dialled us: by then the driver knows whether that is the one.
const INBOUND_PAUSE: Duration = Duration::from_secs(1);
/// Pause in dialling a new neighbour on a device that we have a link to. Most likely it is the same node under its next beacon, and the
/// link lives on; the old beacon's records lapse within 120 s (RFC 6762, section 10), and then it shows.
const LAPSE: Duration = Duration::from_secs(150);

/// The table of all that may be dialled.
pub(super) struct Dialler {
    entries: BTreeMap<Target, Entry>,
    linked: BTreeSet<BeaconId>,
    /// How many links there are to which device.
    hosts: BTreeMap<IpAddr, usize>,
    wanted: Wanted,
    pace: Pace,
    attempts: Attempts,
    /// From when the next change of the network would be in the mean.
    reset_from: Instant,
    /// New neighbours since discovery began anew, remembered or not.
    offered: u64,
    random: fn() -> u32,
}

impl Dialler {
    /// Begins with so many fixed targets, all due.
    pub(super) fn new(fixed: usize, wanted: Wanted, now: Instant, random: fn() -> u32) -> Self {
        let entries = (0..fixed).map(|index| (Target::Fixed(index), Entry::new(now, Vec::new()))).collect();
        Self {
            entries,
            linked: BTreeSet::new(),
            hosts: BTreeMap::new(),
            wanted,
            pace: Pace::new(now),
            attempts: Attempts::default(),
            reset_from: now,
            offered: 0,
            random,
        }
    }

    /// Notes whom the owner wants dialled.
    pub(super) fn want(&mut self, wanted: Wanted) {
        self.wanted = wanted;
    }

    /// Takes every neighbour for new: one that was passed over may be recognised now.
    pub(super) fn look_anew(&mut self) {
        self.entries.values_mut().for_each(|entry| (entry.passed, entry.rests_until) = (false, None));
    }

    /// Notes that there is no place for a link to this neighbour. Where it is the neighbours who have none, dialling slows down.
    pub(super) fn crowded(&mut self, beacon: BeaconId, now: Instant) {
        let random = self.random;
        if let Some(entry) = self.entries.get_mut(&Target::Beacon(beacon)) {
            entry.rest(now + back_off(CROWDED_DOUBLINGS.saturating_add(entry.turned_away), REST, random()));
            entry.turned_away = entry.turned_away.saturating_add(1);
        }
        // A site counts only if a connection to it came about.
        if self.wanted.neighbours > 0
            && let Some(ip) = self.entries.get(&Target::Beacon(beacon)).and_then(|entry| entry.reached)
        {
            self.pace.slow_down(ip, now, random);
        }
    }

    /// Notes that a link to this neighbour was of no use: it is dialled again once in a while only.
    pub(super) fn useless(&mut self, beacon: BeaconId, now: Instant) {
        let until = now + around(REST, (self.random)());
        if let Some(entry) = self.entries.get_mut(&Target::Beacon(beacon)) {
            entry.rest(until);
        }
    }

    /// Whether nobody is dialled but to find contacts.
    pub(super) const fn is_content(&self) -> bool {
        self.wanted.neighbours == 0
    }

    /// How many neighbours are remembered.
    pub(super) fn in_sight(&self) -> usize {
        self.beacons().count()
    }

    /// Notes that this neighbour has a link, whoever made it.
    pub(super) fn linked(&mut self, beacon: BeaconId, now: Instant) {
        self.linked.insert(beacon);
        if let Some(entry) = self.entries.get_mut(&Target::Beacon(beacon)) {
            (entry.passed, entry.turned_away, entry.rests_until) = (false, 0, None);
        }
        self.pace.recover(now);
    }

    /// Notes that this neighbour's last link has ended.
    pub(super) fn free(&mut self, beacon: BeaconId, now: Instant) {
        self.linked.remove(&beacon);
        let due = now + self.first_delay();
        if let Some(entry) = self.entries.get_mut(&Target::Beacon(beacon))
            && entry.due().is_some_and(|earlier| earlier < due)
        {
            entry.state = State::Waiting(due);
        }
        self.retry_fixed(now);
    }

    /// Notes that somebody at this address has dialled us, so that we don't dial the same device in the same moment.
    pub(super) fn inbound(&mut self, ip: IpAddr, now: Instant) {
        for (target, entry) in &mut self.entries {
            if matches!(target, Target::Beacon(_))
                && !entry.paused
                && has_ip(&entry.addresses, ip)
                && entry.due().is_some_and(|due| due < now + INBOUND_PAUSE)
            {
                entry.paused = true;
                entry.state = State::Waiting(now + INBOUND_PAUSE);
            }
        }
    }

    /// Notes that a link which this device had opened has ended after `lifetime`. If it was no more than a look at each other, and only one
    /// neighbour is there, then we need not look again. With one that is linked it was only one link too many.
    pub(super) fn visited(&mut self, ip: IpAddr, lifetime: Duration) {
        let mut there =
            self.entries.iter_mut().filter(|(target, entry)| matches!(target, Target::Beacon(_)) && has_ip(&entry.addresses, ip));
        if let (true, Some((Target::Beacon(beacon), entry)), None) = (lifetime < BRIEF_LINK, there.next(), there.next())
            && !self.linked.contains(beacon)
        {
            entry.passed = true;
        }
    }

    /// Notes a link to this device, whoever opened it.
    pub(super) fn link_opened(&mut self, ip: IpAddr) {
        *self.hosts.entry(ip).or_default() += 1;
    }

    /// Notes the end of a link to this device.
    pub(super) fn link_closed(&mut self, ip: IpAddr, now: Instant) {
        let Some(count) = self.hosts.get_mut(&ip) else {
            return;
        };
        *count -= 1;
        if *count > 0 {
            return;
        }
        self.hosts.remove(&ip);
        let due = now + self.first_delay();
        for (target, entry) in &mut self.entries {
            if matches!(target, Target::Beacon(_))
                && entry.failures == 0
                && entry.brief_links == 0
                && has_ip(&entry.addresses, ip)
                && entry.due().is_some_and(|later| later > due)
            {
                entry.state = State::Waiting(due);
            }
        }
    }

    /// Notes a connection that came about, and to which address.
    pub(super) fn connected(&mut self, target: Target, address: SocketAddr, now: Instant) {
        self.attempts.end(target);
        if let Some(entry) = self.entries.get_mut(&target) {
            entry.state = State::Up(now);
            entry.failures = 0;
            entry.reached = Some(address.ip().to_canonical());
            if matches!(target, Target::Fixed(_)) {
                entry.addresses = vec![address];
            }
        }
    }

    /// Notes an attempt that failed.
    pub(super) fn failed(&mut self, target: Target, now: Instant) {
        self.attempts.end(target);
        let longest = match target {
            Target::Beacon(_) => BACK_OFF_MAX,
            Target::Fixed(_) => BACK_OFF_MAX_FIXED,
        };
        let random = self.random;
        if let Some(entry) = self.entries.get_mut(&target) {
            entry.state = State::Waiting(now + back_off(entry.failures, longest, random()));
            entry.failures = entry.failures.saturating_add(1);
        }
    }

    /// Notes that a link which we dialled has ended after `lifetime`.
    pub(super) fn ended(&mut self, target: Target, lifetime: Duration, now: Instant) {
        let random = self.random;
        let brief = lifetime < BRIEF_LINK;
        if let Some(entry) = self.entries.get_mut(&target) {
            entry.paused = false;
            entry.lost = !brief && !entry.passed;
            entry.brief_links = if brief { entry.brief_links.saturating_add(1) } else { 0 };
            entry.state = State::Waiting(now + back_off(entry.brief_links, BACK_OFF_MAX_BRIEF, random()));
        }
        if !brief {
            self.retry_fixed(now);
        }
    }

    /// The network has changed: what failed before may work now. A router's word alone brings new addresses, so not too often.
    pub(super) fn network_changed(&mut self, now: Instant) {
        if self.reset_from > now + RESET_EVERY * (RESETS_AT_ONCE - 1) {
            return;
        }
        self.reset_from = self.reset_from.max(now) + RESET_EVERY;
        let targets: Vec<Target> = self.entries.keys().copied().collect();
        for target in targets {
            let due = now + self.first_delay();
            if let Some(entry) = self.entries.get_mut(&target) {
                (entry.failures, entry.brief_links, entry.paused) = (0, 0, false);
                if entry.due().is_some() {
                    entry.state = State::Waiting(due);
                }
            }
        }
    }

    /// A link that was of use has ended: perhaps it was the reason why a fixed address was refused.
    fn retry_fixed(&mut self, now: Instant) {
        let due = now + BACK_OFF_MIN;
        for (target, entry) in &mut self.entries {
            if matches!(target, Target::Fixed(_)) && entry.brief_links > 0 && entry.due().is_some_and(|later| later > due) {
                entry.brief_links = 0;
                entry.state = State::Waiting(due);
            }
        }
    }

    fn beacons(&self) -> impl Iterator<Item = (BeaconId, &Entry)> {
        self.entries.iter().filter_map(|(target, entry)| match target {
            Target::Beacon(beacon) => Some((*beacon, entry)),
            Target::Fixed(_) => None,
        })
    }

    /// A random number below `count`, or zero.
    fn draw(&self, count: u64) -> u64 {
        u64::try_from((u128::from((self.random)()) * u128::from(count)) >> 32).unwrap_or(0)
    }

    fn first_delay(&self) -> Duration {
        FIRST_DELAY_MAX.mul_f64(f64::from((self.random)()) / f64::from(u32::MAX))
    }
}
