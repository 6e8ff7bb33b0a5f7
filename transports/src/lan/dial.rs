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

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use tokio::time::Instant;

use crate::{BeaconId, Wanted};

/// Most neighbours that are remembered (policy), chosen at random among more: somebody who invents thousands of them doesn't fill the memory.
pub(super) const MAX_BEACONS: usize = 256;
/// Most neighbours that are remembered at one address (guess): to invent more takes more addresses.
const MAX_BEACONS_AT_ADDRESS: usize = 16;
/// Most addresses kept of one neighbour (policy).
pub(super) const MAX_ADDRESSES: usize = 8;
/// First pause after a failure.
const BACK_OFF_MIN: Duration = Duration::from_millis(250);
/// Longest pause for a neighbour that mDNS has found.
const BACK_OFF_MAX: Duration = Duration::from_secs(30);
/// Longest pause for an address the owner gave.
const BACK_OFF_MAX_FIXED: Duration = Duration::from_secs(5);
/// Longest pause for an address whose links end at once: it is ourselves, a duplicate, or a node that has no room.
const BACK_OFF_MAX_BRIEF: Duration = Duration::from_secs(60);
/// A link that lived shorter than this was of no use (guess: handshake, HELLO and BYE with room to spare).
const BRIEF_LINK: Duration = Duration::from_secs(10);
/// Mean pause between two neighbours that are dialled only because they may be contacts (guess: a handshake and its recognition are about
/// 3 kB each way).
const PROBE_AFTER: Duration = Duration::from_secs(10);
/// The longest such pause.
const PROBE_AFTER_MAX: Duration = Duration::from_secs(50);
/// Longest pause between two neighbours where one after the other has no place for us (guess).
const CROWDED_PAUSE_MAX: Duration = Duration::from_secs(10);
/// Pause for a neighbour whose link was of no use to one of the two, and the longest for one that has no place for us (guess: in the quarter of
/// an hour that its beacon lasts it is looked at once or twice, 3 kB each).
const REST: Duration = Duration::from_secs(600);
/// The first pause for one that has no place for us is 64 s: [`BACK_OFF_MIN`] doubled so often. Each time one after the other it doubles.
const CROWDED_DOUBLINGS: u32 = 8;
/// Both sides see each other at once; the delay makes it rare that both dial.
const FIRST_DELAY_MAX: Duration = Duration::from_millis(150);
/// Pause in dialling a neighbour whose device has just dialled us: by then the driver knows whether that is the one.
const INBOUND_PAUSE: Duration = Duration::from_secs(1);
/// Pause in dialling a new neighbour on a device that we have a link to. Most likely it is the same node under its next beacon, and the
/// link lives on; the old beacon's records lapse within 120 s (RFC 6762, section 10), and then it shows.
const LAPSE: Duration = Duration::from_secs(150);

/// What is dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Target {
    /// A neighbour found by mDNS.
    Beacon(BeaconId),
    /// The owner's `connect` address of this index.
    Fixed(usize),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting(Instant),
    Dialling,
    Up(Instant),
}

struct Entry {
    state: State,
    /// Where it was last found: by mDNS, or by a successful connection.
    addresses: Vec<SocketAddr>,
    failures: u32,
    brief_links: u32,
    /// mDNS has shown it since the last [`Dialler::forget_sightings`].
    seen: bool,
    paused: bool,
    /// Under this beacon there was no place for it, or it has left again at once: it is no contact in need of a link.
    passed: bool,
    /// A link to it that was kept has broken, and it was not dialled since.
    lost: bool,
    /// How often it had no place for us since it last had.
    turned_away: u32,
    /// It is left alone until then, whatever else makes it due: a link would be of no use, or find no place.
    rests_until: Option<Instant>,
}

impl Entry {
    fn new(due: Instant, addresses: Vec<SocketAddr>) -> Self {
        Self {
            state: State::Waiting(due),
            addresses,
            failures: 0,
            brief_links: 0,
            seen: true,
            paused: false,
            passed: false,
            lost: false,
            turned_away: 0,
            rests_until: None,
        }
    }

    /// How often it was dialled in vain, or for a link that ended at once.
    fn useless(&self) -> u32 {
        self.failures.saturating_add(self.brief_links)
    }

    fn due(&self) -> Option<Instant> {
        match self.state {
            State::Waiting(due) => Some(self.rests_until.map_or(due, |until| until.max(due))),
            State::Dialling | State::Up(_) => None,
        }
    }

    /// Leaves it alone for a while. The word may come before or after the end of its link.
    fn rest(&mut self, until: Instant) {
        (self.passed, self.lost) = (true, false);
        self.rests_until = Some(until);
    }
}

/// The table of all that may be dialled.
pub(super) struct Dialler {
    entries: BTreeMap<Target, Entry>,
    linked: BTreeSet<BeaconId>,
    /// How many links there are to which device.
    hosts: BTreeMap<IpAddr, usize>,
    wanted: Wanted,
    /// Neighbours that had no place for us, one after the other, and until when nobody is dialled because of them.
    crowded: u32,
    pace_until: Instant,
    /// When the next neighbour may be dialled that is only perhaps a contact.
    probe_at: Instant,
    /// New neighbours since discovery began anew, remembered or not.
    offered: u64,
    random: fn() -> u32,
}

impl Dialler {
    /// Begins with so many fixed targets, all due.
    pub(super) fn new(fixed: usize, wanted: Wanted, now: Instant, random: fn() -> u32) -> Self {
        let entries = (0..fixed).map(|index| (Target::Fixed(index), Entry::new(now, Vec::new()))).collect();
        let (linked, hosts) = (BTreeSet::new(), BTreeMap::new());
        Self { entries, linked, hosts, wanted, crowded: 0, pace_until: now, probe_at: now, offered: 0, random }
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
        if self.wanted.neighbours > 0 {
            self.pace_until = now + back_off(self.crowded, CROWDED_PAUSE_MAX, (self.random)());
            self.crowded = self.crowded.saturating_add(1);
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

    /// Whether there is a neighbour to dial if more are wanted.
    pub(super) fn has_others(&self, now: Instant) -> bool {
        let waits = |entry: &Entry| entry.due().is_some() && entry.rests_until.is_none_or(|until| until <= now);
        self.entries.iter().any(|(target, entry)| {
            matches!(target, Target::Beacon(_)) && entry.failures == 0 && waits(entry) && self.may_dial(*target, entry)
        })
    }

    /// Takes a neighbour and its addresses from mDNS; true if it was unknown and has found room.
    pub(super) fn seen(&mut self, beacon: BeaconId, mut addresses: Vec<SocketAddr>, now: Instant) -> bool {
        addresses.truncate(MAX_ADDRESSES);
        let on_a_linked_device = self.links_to(&addresses) > 0;
        let due = now + if on_a_linked_device { LAPSE } else { self.first_delay() };
        if let Some(entry) = self.entries.get_mut(&Target::Beacon(beacon)) {
            entry.seen = true;
            // The two families' addresses come in separate packets.
            if entry.addresses != addresses {
                entry.addresses = addresses;
                entry.failures = 0;
                if entry.due().is_some_and(|earlier| on_a_linked_device || earlier > due) {
                    entry.state = State::Waiting(due);
                }
            }
            return false;
        }
        let at_address = |address: &SocketAddr| self.beacons().filter(|(_, entry)| has_ip(&entry.addresses, address.ip())).count();
        if addresses.iter().any(|address| at_address(address) >= MAX_BEACONS_AT_ADDRESS) {
            return false;
        }
        self.offered += 1;
        if self.beacons().count() >= MAX_BEACONS && !self.evict() {
            return false;
        }
        self.entries.insert(Target::Beacon(beacon), Entry::new(due, addresses));
        true
    }

    /// Forgets a neighbour that mDNS has lost; true if it was known.
    pub(super) fn gone(&mut self, beacon: BeaconId) -> bool {
        self.entries.remove(&Target::Beacon(beacon)).is_some()
    }

    /// Marks every neighbour as not seen: discovery begins anew.
    pub(super) fn forget_sightings(&mut self) {
        self.entries.values_mut().for_each(|entry| entry.seen = false);
        self.offered = self.beacons().count() as u64;
    }

    /// Forgets the neighbours that were not seen again, and tells which.
    pub(super) fn sweep(&mut self) -> Vec<BeaconId> {
        let gone: Vec<BeaconId> = self.beacons().filter(|(_, entry)| !entry.seen).map(|(beacon, _)| beacon).collect();
        for beacon in &gone {
            self.gone(*beacon);
        }
        gone
    }

    /// Notes that this neighbour has a link, whoever made it.
    pub(super) fn linked(&mut self, beacon: BeaconId, now: Instant) {
        self.linked.insert(beacon);
        if let Some(entry) = self.entries.get_mut(&Target::Beacon(beacon)) {
            (entry.passed, entry.turned_away, entry.rests_until) = (false, 0, None);
        }
        (self.crowded, self.pace_until) = (0, now);
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
    /// neighbour is there, then we need not look again.
    pub(super) fn visited(&mut self, ip: IpAddr, lifetime: Duration) {
        let mut there =
            self.entries.iter_mut().filter(|(target, entry)| matches!(target, Target::Beacon(_)) && has_ip(&entry.addresses, ip));
        if let (true, Some((_, entry)), None) = (lifetime < BRIEF_LINK, there.next(), there.next()) {
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

    /// Takes the next target to dial and its known addresses. Neighbours only if there is `room` for more links: those last for whom there
    /// was no place, and those that have failed most, else at random.
    pub(super) fn next(&mut self, room: bool, now: Instant) -> Option<(Target, Vec<SocketAddr>)> {
        let is_due = |(target, entry): &(&Target, &Entry)| entry.due().is_some_and(|due| due <= now) && self.may_dial(**target, entry);
        let fixed = self.entries.iter().filter(|(target, _)| matches!(target, Target::Fixed(_))).find(is_due).map(|(target, _)| *target);
        let target = match fixed {
            Some(target) => target,
            None => {
                let from = |entry: &Entry| self.neighbours_from(entry, room, now).is_some_and(|from| from <= now);
                let due = self.entries.iter().filter(|(target, entry)| matches!(target, Target::Beacon(_)) && from(entry)).filter(is_due);
                let ranked: Vec<_> = due.map(|(target, entry)| ((entry.passed, entry.failures), *target)).collect();
                let best = ranked.iter().map(|(rank, _)| *rank).min()?;
                let equals: Vec<Target> = ranked.into_iter().filter(|(rank, _)| *rank == best).map(|(_, target)| target).collect();
                *equals.get(self.draw(equals.len() as u64) as usize)?
            }
        };
        if matches!(target, Target::Beacon(_)) {
            self.probe_at = now + self.exponential(PROBE_AFTER, PROBE_AFTER_MAX);
        }
        let entry = self.entries.get_mut(&target)?;
        entry.state = State::Dialling;
        entry.lost = false;
        Some((target, entry.addresses.clone()))
    }

    /// When to ask [`next`](Self::next) again, if nothing else happens.
    pub(super) fn next_due(&self, room: bool, now: Instant) -> Option<Instant> {
        let due = |(target, entry): (&Target, &Entry)| {
            let from = match target {
                Target::Fixed(_) => now,
                Target::Beacon(_) => self.neighbours_from(entry, room, now)?,
            };
            entry.due().filter(|_| self.may_dial(*target, entry)).map(|due| if due < from { from } else { due })
        };
        // A link that has come about and of which nothing more is heard counts for a while only.
        let waits = self.wanted.neighbours > 0 && self.unsettled(now).count() >= self.wanted.neighbours;
        let settled = self.unsettled(now).filter(|_| waits).filter_map(|entry| match entry.state {
            State::Up(since) => Some(since + BRIEF_LINK),
            State::Waiting(_) | State::Dialling => None,
        });
        self.entries.iter().filter_map(due).chain(settled).min()
    }

    /// From when this neighbour may be dialled, as far as others are concerned: at once while more are wanted than are being dialled, else
    /// now and then if it may be a contact; at once in any case if it was linked before.
    fn neighbours_from(&self, entry: &Entry, room: bool, now: Instant) -> Option<Instant> {
        let wanted = self.unsettled(now).count() < self.wanted.neighbours;
        let new = self.wanted.contacts && !entry.passed;
        match (room, wanted, new) {
            (true, _, true) if entry.lost => Some(now),
            (true, true, _) => Some(self.pace_until),
            (true, false, true) => Some(self.probe_at),
            _ => None,
        }
    }

    /// Neighbours that are being dialled, or have just been and may not stay.
    fn unsettled(&self, now: Instant) -> impl Iterator<Item = &Entry> {
        self.beacons()
            .filter(move |(beacon, entry)| match entry.state {
                State::Waiting(_) => false,
                State::Dialling => true,
                State::Up(since) => !self.linked.contains(beacon) && now < since + BRIEF_LINK,
            })
            .map(|(_, entry)| entry)
    }

    /// Notes a connection that came about, and to which address.
    pub(super) fn connected(&mut self, target: Target, address: SocketAddr, now: Instant) {
        if let Some(entry) = self.entries.get_mut(&target) {
            entry.state = State::Up(now);
            entry.failures = 0;
            if matches!(target, Target::Fixed(_)) {
                entry.addresses = vec![address];
            }
        }
    }

    /// Notes an attempt that failed.
    pub(super) fn failed(&mut self, target: Target, now: Instant) {
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

    /// The network has changed: what failed before may work now.
    pub(super) fn network_changed(&mut self, now: Instant) {
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

    fn may_dial(&self, target: Target, entry: &Entry) -> bool {
        match target {
            Target::Beacon(beacon) => !self.linked.contains(&beacon) && !self.is_served(&entry.addresses),
            // The owner's addresses are dialled even without room, but not beside a link to the neighbour who shows the same one.
            Target::Fixed(_) => !entry.addresses.iter().any(|address| self.has_link(*address)),
        }
    }

    /// Whether there are as many links to this device as neighbours show themselves on it: a node that changes its beacon is no new one.
    fn is_served(&self, addresses: &[SocketAddr]) -> bool {
        let links = self.links_to(addresses);
        links > 0
            && links >= self.beacons().filter(|(_, entry)| entry.addresses.iter().any(|address| has_ip(addresses, address.ip()))).count()
    }

    fn links_to(&self, addresses: &[SocketAddr]) -> usize {
        self.hosts.iter().filter(|(ip, _)| has_ip(addresses, **ip)).map(|(_, count)| count).sum()
    }

    fn has_link(&self, address: SocketAddr) -> bool {
        self.beacons().any(|(beacon, entry)| {
            (matches!(entry.state, State::Up(_)) || self.linked.contains(&beacon)) && entry.addresses.contains(&address)
        })
    }

    fn beacons(&self) -> impl Iterator<Item = (BeaconId, &Entry)> {
        self.entries.iter().filter_map(|(target, entry)| match target {
            Target::Beacon(beacon) => Some((*beacon, entry)),
            Target::Fixed(_) => None,
        })
    }

    /// Makes room by dropping the neighbour that was of no use most often, or by lot, so that of all that were in sight each is remembered
    /// with the same likelihood; false if it falls on the new one.
    fn evict(&mut self) -> bool {
        let worst = self
            .beacons()
            .filter(|(beacon, entry)| entry.due().is_some() && entry.useless() > 0 && !self.linked.contains(beacon))
            .max_by_key(|(_, entry)| entry.useless())
            .map(|(beacon, _)| beacon);
        let by_lot = || {
            let index = usize::try_from(self.draw(self.offered)).ok().filter(|index| *index < MAX_BEACONS)?;
            let waiting = self.beacons().filter(|(beacon, entry)| entry.due().is_some() && !self.linked.contains(beacon));
            let waiting: Vec<BeaconId> = waiting.map(|(beacon, _)| beacon).collect();
            waiting.get(index % waiting.len().max(1)).copied()
        };
        worst.or_else(by_lot).is_some_and(|beacon| self.gone(beacon))
    }

    /// A random number below `count`, or zero.
    fn draw(&self, count: u64) -> u64 {
        u64::try_from((u128::from((self.random)()) * u128::from(count)) >> 32).unwrap_or(0)
    }

    fn exponential(&self, mean: Duration, most: Duration) -> Duration {
        let uniform = (f64::from((self.random)()) + 1.0) / (f64::from(u32::MAX) + 1.0);
        mean.mul_f64(-uniform.ln()).min(most)
    }

    fn first_delay(&self) -> Duration {
        FIRST_DELAY_MAX.mul_f64(f64::from((self.random)()) / f64::from(u32::MAX))
    }
}

fn has_ip(addresses: &[SocketAddr], ip: IpAddr) -> bool {
    addresses.iter().any(|address| address.ip().to_canonical() == ip.to_canonical())
}

/// The pause after so many failures: doubling, with a quarter of jitter either way.
fn back_off(failures: u32, longest: Duration, random: u32) -> Duration {
    around(BACK_OFF_MIN.saturating_mul(1 << failures.min(16)).min(longest), random)
}

/// A pause with a quarter of jitter to both sides.
fn around(pause: Duration, random: u32) -> Duration {
    pause.mul_f64(0.75 + 0.5 * f64::from(random) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: BeaconId = BeaconId([1; 8]);
    const B: BeaconId = BeaconId([2; 8]);
    const MANY: Wanted = Wanted { neighbours: 100, contacts: true };

    fn dialler(fixed: usize) -> (Dialler, Instant) {
        #[expect(clippy::disallowed_methods, reason = "any instant will do; none can be made otherwise")]
        let now = Instant::from_std(std::time::Instant::now());
        (Dialler::new(fixed, MANY, now, || 0), now)
    }

    fn at(last: u8) -> Vec<SocketAddr> {
        vec![SocketAddr::from(([10, 0, 0, last], 4000))]
    }

    /// The address of the neighbour of this number, among many.
    fn far_at(number: u64) -> Vec<SocketAddr> {
        vec![SocketAddr::from(([10, 1, (number >> 8) as u8, number as u8], 4000))]
    }

    /// As many neighbours as are remembered, at addresses of their own.
    fn fill(dialler: &mut Dialler, now: Instant) {
        for index in 0..MAX_BEACONS as u64 {
            assert!(dialler.seen(BeaconId(index.to_be_bytes()), far_at(index), now));
        }
    }

    #[test]
    fn a_neighbour_is_dialled_once_and_not_while_its_link_lives() {
        let (mut dialler, now) = dialler(0);
        assert!(dialler.seen(A, at(1), now));
        assert!(!dialler.seen(A, at(1), now));
        assert_eq!(dialler.next(true, now), Some((Target::Beacon(A), at(1))));
        assert_eq!(dialler.next(true, now), None);
        dialler.connected(Target::Beacon(A), at(1)[0], now);
        assert_eq!(dialler.next_due(true, now), None);
        dialler.ended(Target::Beacon(A), Duration::from_secs(60), now);
        assert!(dialler.next_due(true, now).unwrap() <= now + BACK_OFF_MIN);
    }

    #[test]
    fn invented_neighbours_whose_links_end_at_once_make_room() {
        let (mut dialler, now) = dialler(0);
        dialler.random = || u32::MAX;
        fill(&mut dialler, now);
        assert!(!dialler.seen(A, at(2), now), "none was of no use yet, and the lot falls on the new one");
        let (target, addresses) = dialler.next(true, now + FIRST_DELAY_MAX).unwrap();
        dialler.connected(target, addresses[0], now);
        dialler.ended(target, Duration::from_secs(1), now);
        assert!(dialler.seen(A, at(2), now));
        assert_eq!(dialler.beacons().count(), MAX_BEACONS);
    }

    #[test]
    fn a_linked_neighbour_waits_until_it_is_free() {
        let (mut dialler, now) = dialler(0);
        dialler.linked(A, now);
        dialler.seen(A, at(1), now);
        assert_eq!(dialler.next(true, now + Duration::from_secs(9)), None);
        dialler.free(A, now);
        assert!(dialler.next(true, now + FIRST_DELAY_MAX).is_some());
    }

    #[test]
    fn without_room_only_the_owners_addresses_are_dialled() {
        let (mut dialler, now) = dialler(1);
        dialler.seen(A, at(1), now);
        assert_eq!(dialler.next(false, now).unwrap().0, Target::Fixed(0));
        assert_eq!(dialler.next(false, now), None);
        assert_eq!(dialler.next_due(false, now), None);
    }

    #[test]
    fn pauses_double_up_to_their_limit_and_end_with_the_networks_change() {
        for (target, longest) in [(Target::Beacon(A), BACK_OFF_MAX), (Target::Fixed(0), BACK_OFF_MAX_FIXED)] {
            let (mut dialler, start) = dialler(usize::from(target == Target::Fixed(0)));
            if target == Target::Beacon(A) {
                dialler.seen(A, at(1), start);
            }
            let (mut now, mut pauses) = (start, Vec::new());
            for _ in 0..20 {
                assert_eq!(dialler.next(true, now).map(|(target, _)| target), Some(target));
                dialler.failed(target, now);
                let due = dialler.next_due(true, now).unwrap();
                pauses.push(due - now);
                now = due;
            }
            assert_eq!(pauses[0], BACK_OFF_MIN.mul_f64(0.75));
            assert!(pauses.is_sorted());
            assert_eq!(pauses[19], longest.mul_f64(0.75));
            dialler.next(true, now);
            dialler.failed(target, now);
            dialler.network_changed(now);
            assert!(dialler.next_due(true, now).unwrap() <= now + FIRST_DELAY_MAX);
        }
    }

    #[test]
    fn jitter_stays_within_a_quarter() {
        assert_eq!(back_off(0, BACK_OFF_MAX, 0), Duration::from_micros(187_500));
        assert_eq!(back_off(0, BACK_OFF_MAX, u32::MAX), Duration::from_micros(312_500));
        assert_eq!(back_off(u32::MAX, BACK_OFF_MAX, u32::MAX), Duration::from_micros(37_500_000));
    }

    #[test]
    fn an_address_whose_links_end_at_once_is_dialled_ever_more_rarely() {
        let (mut dialler, mut now) = dialler(1);
        let mut last = Duration::ZERO;
        for _ in 0..12 {
            dialler.next(true, now).unwrap();
            dialler.connected(Target::Fixed(0), at(1)[0], now);
            dialler.ended(Target::Fixed(0), Duration::from_millis(20), now);
            let due = dialler.next_due(true, now).unwrap();
            assert!(due - now >= last);
            last = due - now;
            now = due;
        }
        assert_eq!(last, BACK_OFF_MAX_BRIEF.mul_f64(0.75));
        dialler.next(true, now).unwrap();
        dialler.ended(Target::Fixed(0), Duration::ZERO, now);
        dialler.free(B, now);
        assert_eq!(dialler.next_due(true, now), Some(now + BACK_OFF_MIN));
    }

    #[test]
    fn a_fixed_address_is_not_dialled_beside_a_link_to_the_same_place() {
        let (mut dialler, now) = dialler(1);
        dialler.next(true, now).unwrap();
        dialler.connected(Target::Fixed(0), at(1)[0], now);
        dialler.ended(Target::Fixed(0), Duration::ZERO, now);
        dialler.seen(A, at(1), now);
        dialler.linked(A, now);
        assert_eq!(dialler.next_due(true, now), None);
        dialler.free(A, now);
        assert!(dialler.next_due(true, now).is_some());
    }

    #[test]
    fn a_neighbour_that_has_just_dialled_us_is_left_alone_for_a_moment_once() {
        let (mut dialler, now) = dialler(0);
        dialler.seen(A, at(1), now);
        dialler.inbound(at(2)[0].ip(), now);
        assert_eq!(dialler.next_due(true, now), Some(now));
        dialler.inbound(at(1)[0].ip(), now);
        assert_eq!(dialler.next_due(true, now), Some(now + INBOUND_PAUSE));
        dialler.inbound(at(1)[0].ip(), now + INBOUND_PAUSE / 2);
        assert_eq!(dialler.next_due(true, now), Some(now + INBOUND_PAUSE));
    }

    #[test]
    fn a_neighbours_next_beacon_brings_no_second_link() {
        let (mut dialler, now) = dialler(0);
        dialler.seen(A, at(1), now);
        dialler.next(true, now).unwrap();
        dialler.connected(Target::Beacon(A), at(1)[0], now);
        dialler.link_opened(at(1)[0].ip());
        dialler.linked(A, now);
        // B is A's next beacon; while A's records have not lapsed, B might be another node on the same device.
        dialler.seen(B, at(9), now);
        dialler.seen(B, [at(9), at(1)].concat(), now);
        assert_eq!(dialler.next_due(true, now), Some(now + LAPSE));
        dialler.gone(A);
        assert_eq!(dialler.next_due(true, now), None);
        // The link ends: B is dialled at once.
        dialler.link_closed(at(1)[0].ip(), now);
        dialler.free(A, now);
        assert_eq!(dialler.next(true, now + FIRST_DELAY_MAX).unwrap().0, Target::Beacon(B));
    }

    #[test]
    fn two_neighbours_on_one_device_are_both_dialled() {
        let (mut dialler, now) = dialler(0);
        dialler.seen(A, at(1), now);
        dialler.seen(B, at(1), now);
        let (first, _) = dialler.next(true, now).unwrap();
        dialler.connected(first, at(1)[0], now);
        dialler.link_opened(at(1)[0].ip());
        assert!(dialler.next(true, now).is_some());
    }

    #[test]
    fn invented_neighbours_neither_fill_the_table_nor_push_out_the_good() {
        let (mut dialler, now) = dialler(0);
        dialler.random = || u32::MAX;
        fill(&mut dialler, now);
        assert!(!dialler.seen(A, at(1), now));
        let now = now + FIRST_DELAY_MAX;
        let (target, _) = dialler.next(true, now).unwrap();
        dialler.failed(target, now);
        assert!(dialler.seen(A, at(1), now));
        assert_eq!(dialler.beacons().count(), MAX_BEACONS);
        assert!(!dialler.entries.contains_key(&target));
    }

    #[test]
    fn neighbours_not_seen_again_are_swept() {
        let (mut dialler, now) = dialler(1);
        dialler.seen(A, at(1), now);
        dialler.seen(B, at(2), now);
        dialler.forget_sightings();
        dialler.seen(B, at(2), now);
        assert_eq!(dialler.sweep(), [A]);
        assert_eq!(dialler.sweep(), []);
        assert!(dialler.gone(B) && !dialler.gone(B));
    }

    #[test]
    fn one_address_has_few_of_the_places() {
        let (mut dialler, now) = dialler(0);
        let found = (0..100_u64).filter(|index| dialler.seen(BeaconId(index.to_be_bytes()), at(1), now)).count();
        assert_eq!(found, MAX_BEACONS_AT_ADDRESS);
        assert!(dialler.seen(A, at(2), now));
    }

    #[test]
    fn of_many_neighbours_those_remembered_are_chosen_by_lot() {
        let (mut dialler, now) = dialler(0);
        dialler.random = jitter;
        let count = 2 * MAX_BEACONS as u64;
        for index in 0..count {
            dialler.seen(BeaconId(index.to_be_bytes()), far_at(index), now);
        }
        assert_eq!(dialler.beacons().count(), MAX_BEACONS);
        let late = dialler.beacons().filter(|(beacon, _)| u64::from_be_bytes(beacon.0) >= count / 2).count();
        // Half of them, within six standard deviations.
        assert!((80..=176).contains(&late), "{late}");
    }

    /// A generator for tests that need spread, not secrecy.
    fn jitter() -> u32 {
        use std::cell::Cell;
        thread_local!(static STATE: Cell<u64> = const { Cell::new(7) });
        STATE.with(|state| {
            state.set(state.get().wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407));
            (state.get() >> 32) as u32
        })
    }

    #[test]
    fn the_order_of_dialling_is_random() {
        let mut firsts = BTreeSet::new();
        for _ in 0..100 {
            let (mut dialler, now) = dialler(0);
            dialler.random = jitter;
            (0..10).for_each(|index: u64| assert!(dialler.seen(BeaconId(index.to_be_bytes()), far_at(index), now)));
            let (target, _) = dialler.next(true, now + FIRST_DELAY_MAX).unwrap();
            firsts.insert(target);
        }
        assert_eq!(firsts.len(), 10);
    }

    /// A dialler with these neighbours in sight, all due, that wants so many.
    fn wanting(neighbours: usize, count: u64) -> (Dialler, Instant) {
        let (mut dialler, now) = dialler(0);
        (0..count).for_each(|index| assert!(dialler.seen(BeaconId(index.to_be_bytes()), far_at(index), now)));
        dialler.want(Wanted { neighbours, contacts: true });
        dialler.probe_at = now + FIRST_DELAY_MAX + PROBE_AFTER;
        (dialler, now + FIRST_DELAY_MAX)
    }

    fn beacon_of(target: Target) -> BeaconId {
        match target {
            Target::Beacon(beacon) => beacon,
            Target::Fixed(_) => panic!("not a neighbour"),
        }
    }

    #[test]
    fn no_more_are_dialled_than_are_wanted() {
        let (mut dialler, now) = wanting(3, 10);
        let dialled: Vec<_> = (0..3).map(|_| dialler.next(true, now).unwrap()).collect();
        assert_eq!(dialler.next(true, now), None);
        for (target, addresses) in &dialled {
            dialler.connected(*target, addresses[0], now);
        }
        assert_eq!(dialler.next(true, now), None, "they may stay");
        dialler.linked(beacon_of(dialled[0].0), now);
        dialler.want(Wanted { neighbours: 2, contacts: true });
        assert_eq!(dialler.next(true, now), None, "two may stay");
        dialler.failed(dialled[1].0, now);
        assert!(dialler.next(true, now).is_some());
        let later = now + BRIEF_LINK - Duration::from_millis(1);
        assert!(dialler.next_due(true, later).unwrap() <= now + BRIEF_LINK, "one of which nothing is heard counts for a while only");
    }

    #[test]
    fn when_enough_are_linked_new_neighbours_are_dialled_now_and_then_and_once() {
        let (mut dialler, mut now) = wanting(0, 5);
        let mut dialled = BTreeSet::new();
        for _ in 0..5 {
            assert_eq!(dialler.next(true, now), None);
            now = dialler.next_due(true, now).unwrap();
            let (target, addresses) = dialler.next(true, now).unwrap();
            assert!(dialled.insert(target));
            dialler.connected(target, addresses[0], now);
            dialler.crowded(beacon_of(target), now);
            dialler.ended(target, Duration::from_millis(50), now);
            assert_eq!(dialler.next(true, now), None);
        }
        assert_eq!(dialler.next_due(true, now), None, "each beacon once");
        dialler.look_anew();
        assert!(dialler.next_due(true, now).is_some(), "and once more if others may be recognised");
        dialler.entries.values_mut().for_each(|entry| entry.passed = true);
        dialler.seen(A, at(1), now);
        assert!(dialler.next_due(true, now).is_some());
        dialler.want(Wanted { neighbours: 0, contacts: false });
        assert_eq!(dialler.next_due(true, now), None, "no place even for a contact");
        dialler.want(Wanted { neighbours: 1, contacts: true });
        let (target, addresses) = dialler.next(true, now + FIRST_DELAY_MAX).unwrap();
        assert_eq!(beacon_of(target), A, "who was not dialled before comes first");
        // A link that was held and broke is dialled anew at once, even while no more are wanted: it may have been a contact's.
        dialler.connected(target, addresses[0], now);
        dialler.linked(A, now);
        dialler.want(Wanted { neighbours: 0, contacts: true });
        dialler.free(A, now);
        dialler.ended(target, Duration::from_secs(60), now);
        assert!(dialler.next_due(true, now).unwrap() <= now + BACK_OFF_MIN);
    }

    /// A neighbour whose link was kept for a while, and the dialler that held it.
    fn linked_for(lifetime: Duration) -> (Dialler, Target, Instant) {
        let (mut dialler, now) = wanting(3, 1);
        let (target, addresses) = dialler.next(true, now).unwrap();
        dialler.connected(target, addresses[0], now);
        dialler.link_opened(addresses[0].ip());
        dialler.linked(beacon_of(target), now);
        (dialler, target, now + lifetime)
    }

    fn end(dialler: &mut Dialler, target: Target, now: Instant) {
        dialler.link_closed(far_at(0)[0].ip(), now);
        dialler.ended(target, Duration::from_secs(45), now);
        dialler.free(beacon_of(target), now);
    }

    #[test]
    fn a_neighbour_whose_link_was_of_no_use_is_left_alone_for_minutes() {
        for word_first in [true, false] {
            let (mut dialler, target, now) = linked_for(Duration::from_secs(45));
            if word_first {
                dialler.useless(beacon_of(target), now);
                end(&mut dialler, target, now);
            } else {
                end(&mut dialler, target, now);
                dialler.useless(beacon_of(target), now);
            }
            // Whatever else would make it due: a link that its device dials and that ends, its records, a new address.
            dialler.inbound(far_at(0)[0].ip(), now);
            dialler.link_opened(far_at(0)[0].ip());
            dialler.link_closed(far_at(0)[0].ip(), now + Duration::from_secs(45));
            dialler.seen(beacon_of(target), [far_at(0), at(1)].concat(), now + Duration::from_secs(46));
            dialler.network_changed(now + Duration::from_secs(47));
            assert_eq!(dialler.next_due(true, now), Some(now + REST.mul_f64(0.75)), "word first: {word_first}");
            assert!(!dialler.has_others(now) && dialler.has_others(now + REST), "nobody gives way for it meanwhile");
            assert_eq!(dialler.next(true, now + REST).map(|(target, _)| target), Some(target));
        }
    }

    #[test]
    fn a_neighbour_that_was_of_no_use_is_dialled_at_once_if_it_may_be_recognised() {
        let (mut dialler, target, now) = linked_for(Duration::from_secs(45));
        dialler.useless(beacon_of(target), now);
        end(&mut dialler, target, now);
        dialler.look_anew();
        assert!(dialler.next_due(true, now).unwrap() <= now + BACK_OFF_MIN);
        // Or if it was recognised when it dialled us, and that link broke.
        dialler.useless(beacon_of(target), now);
        dialler.linked(beacon_of(target), now);
        dialler.free(beacon_of(target), now);
        assert!(dialler.next_due(true, now).unwrap() <= now + BACK_OFF_MIN);
    }

    #[test]
    fn a_neighbour_without_a_place_for_us_is_tried_ever_more_rarely() {
        for word_first in [true, false] {
            let (mut dialler, target, mut now) = linked_for(Duration::from_secs(45));
            let mut pauses = Vec::new();
            for _ in 0..6 {
                if word_first {
                    dialler.crowded(beacon_of(target), now);
                    end(&mut dialler, target, now);
                } else {
                    end(&mut dialler, target, now);
                    dialler.crowded(beacon_of(target), now);
                }
                let due = dialler.next_due(true, now).unwrap();
                pauses.push((due - now).as_secs());
                now = due;
                let (target, addresses) = dialler.next(true, now).unwrap();
                dialler.connected(target, addresses[0], now);
                dialler.link_opened(addresses[0].ip());
            }
            assert_eq!(pauses, [48, 96, 192, 384, 450, 450], "word first: {word_first}");
        }
    }

    #[test]
    fn who_has_looked_at_us_is_not_looked_at_again() {
        let (mut dialler, now) = wanting(0, 3);
        let later = now + PROBE_AFTER_MAX;
        for index in 0..3 {
            dialler.visited(far_at(index)[0].ip(), Duration::from_secs(60));
        }
        assert!(dialler.next_due(true, later).is_some(), "links that lasted say nothing");
        dialler.visited(far_at(0)[0].ip(), Duration::from_millis(30));
        dialler.visited(far_at(1)[0].ip(), Duration::from_millis(30));
        let (target, _) = dialler.next(true, later).unwrap();
        assert_eq!(beacon_of(target), BeaconId(2_u64.to_be_bytes()));
        dialler.ended(target, Duration::from_secs(60), later);
        dialler.seen(A, far_at(2), later);
        dialler.visited(far_at(2)[0].ip(), Duration::from_millis(30));
        assert!(dialler.next_due(true, later).is_some(), "of two on one device nobody knows which it was");
    }

    #[test]
    fn where_nobody_has_a_place_dialling_slows_down_until_somebody_has() {
        let (mut dialler, start) = wanting(3, 100);
        let (mut now, mut attempts) = (start, 0);
        while now < start + Duration::from_secs(120) {
            match dialler.next(true, now) {
                Some((target, addresses)) => {
                    dialler.connected(target, addresses[0], now);
                    dialler.crowded(beacon_of(target), now);
                    dialler.ended(target, Duration::from_millis(50), now);
                    attempts += 1;
                }
                None => now = dialler.next_due(true, now).unwrap(),
            }
        }
        assert!((10..=40).contains(&attempts), "{attempts} in two minutes");
        let (target, _) = dialler.next(true, now + CROWDED_PAUSE_MAX).unwrap();
        dialler.linked(beacon_of(target), now);
        assert_eq!(dialler.pace_until, now);
    }
}
