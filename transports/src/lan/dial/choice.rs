//! Who is dialled next, and when that is.

use std::net::SocketAddr;

use tokio::time::Instant;

use super::{
    Dialler,
    addresses::has_ip,
    neighbour::{BRIEF_LINK, Entry, State, Target},
};

impl Dialler {
    /// Whether there is a neighbour to dial if more are wanted.
    pub(in crate::lan) fn has_others(&self, now: Instant) -> bool {
        let waits = |entry: &Entry| entry.due().is_some() && entry.rests_until.is_none_or(|until| until <= now);
        self.entries.iter().any(|(target, entry)| {
            matches!(target, Target::Beacon(_)) && entry.failures == 0 && waits(entry) && self.may_dial(*target, entry)
        })
    }

    /// Takes the next target to dial and its known addresses, of a neighbour's those that nobody else is just dialled at. Neighbours only if
    /// there is `room` for more links: those last for whom there was no place, those at a site that has none, and those that have failed
    /// most, else at random.
    pub(in crate::lan) fn next(&mut self, room: bool, now: Instant) -> Option<(Target, Vec<SocketAddr>)> {
        self.attempts.forget_past(now);
        let is_due = |(target, entry): &(&Target, &Entry)| entry.due().is_some_and(|due| due <= now) && self.may_dial(**target, entry);
        let fixed = self.entries.iter().filter(|(target, _)| matches!(target, Target::Fixed(_))).find(is_due).map(|(target, _)| *target);
        let target = match fixed {
            Some(target) => target,
            None => {
                let from = |entry: &Entry| self.neighbours_from(entry, room, now).is_some_and(|from| from <= now);
                let due = self.entries.iter().filter(|(target, entry)| matches!(target, Target::Beacon(_)) && from(entry)).filter(is_due);
                let free = due.filter(|(target, entry)| self.free_from(**target, entry, now) <= now);
                let rank = |entry: &Entry| (entry.passed, self.pace.is_crowded(&entry.addresses), entry.failures);
                let ranked: Vec<_> = free.map(|(target, entry)| (rank(entry), *target)).collect();
                let best = ranked.iter().map(|(rank, _)| *rank).min()?;
                let equals: Vec<Target> = ranked.into_iter().filter(|(rank, _)| *rank == best).map(|(_, target)| target).collect();
                *equals.get(self.draw(equals.len() as u64) as usize)?
            }
        };
        if matches!(target, Target::Beacon(_)) {
            self.pace.note_dialled(now, self.random);
        }
        let entry = self.entries.get(&target)?;
        let (mut addresses, own) = (entry.addresses.clone(), entry.dialled.then_some(target));
        if matches!(target, Target::Beacon(_)) {
            addresses.retain(|address| self.attempts.free_from(address.ip(), own, now) <= now);
            self.attempts.begin(target, &addresses, now);
        }
        let entry = self.entries.get_mut(&target)?;
        entry.state = State::Dialling;
        (entry.lost, entry.dialled) = (false, true);
        Some((target, addresses))
    }

    /// When to ask [`next`](Self::next) again, if nothing else happens.
    pub(in crate::lan) fn next_due(&self, room: bool, now: Instant) -> Option<Instant> {
        let due = |(target, entry): (&Target, &Entry)| {
            let from = match target {
                Target::Fixed(_) => now,
                Target::Beacon(_) => self.neighbours_from(entry, room, now)?.max(self.free_from(*target, entry, now)),
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

    /// From when one of this neighbour's addresses may be dialled; one without any fails as soon as it is.
    fn free_from(&self, target: Target, entry: &Entry, now: Instant) -> Instant {
        let own = entry.dialled.then_some(target);
        entry.addresses.iter().map(|address| self.attempts.free_from(address.ip(), own, now)).min().unwrap_or(now)
    }

    /// From when this neighbour may be dialled, as far as others are concerned: at once while more are wanted than are being dialled, else
    /// now and then if it may be a contact; at once in any case if it was linked before.
    fn neighbours_from(&self, entry: &Entry, room: bool, now: Instant) -> Option<Instant> {
        let wanted = self.unsettled(now).count() < self.wanted.neighbours;
        let new = self.wanted.contacts && !entry.passed;
        match (room, wanted, new) {
            (true, _, true) if entry.lost => Some(now),
            (true, true, _) => Some(self.pace.from(entry.dialled)),
            (true, false, true) => Some(self.pace.probe_at),
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

    pub(super) fn may_dial(&self, target: Target, entry: &Entry) -> bool {
        match target {
            Target::Beacon(beacon) => !self.linked.contains(&beacon) && !self.is_served(entry),
            // The owner's addresses are dialled even without room, but not beside a link to the neighbour who shows the same one.
            Target::Fixed(_) => !entry.addresses.iter().any(|address| self.has_link(*address)),
        }
    }

    /// Whether there are as many links to this device as neighbours show themselves on it: a node that changes its beacon is no new one. Not
    /// so if it was last reached elsewhere, whatever its records say now.
    fn is_served(&self, entry: &Entry) -> bool {
        let addresses = &entry.addresses;
        entry.reached.is_none_or(|ip| self.hosts.contains_key(&ip))
            && self.is_on_linked_device(addresses)
            && self.links_to(addresses)
                >= self.beacons().filter(|(_, entry)| entry.addresses.iter().any(|address| has_ip(addresses, address.ip()))).count()
    }

    /// Whether there are links to all addresses of one family: a link is over one of them. An address that a stranger adds to a neighbour's
    /// of the same family doesn't make it ours.
    pub(super) fn is_on_linked_device(&self, addresses: &[SocketAddr]) -> bool {
        [true, false].into_iter().any(|v4| {
            let mut of_family = addresses.iter().map(|address| address.ip().to_canonical()).filter(|ip| ip.is_ipv4() == v4).peekable();
            of_family.peek().is_some() && of_family.all(|ip| self.hosts.contains_key(&ip))
        })
    }

    fn links_to(&self, addresses: &[SocketAddr]) -> usize {
        self.hosts.iter().filter(|(ip, _)| has_ip(addresses, **ip)).map(|(_, count)| count).sum()
    }

    fn has_link(&self, address: SocketAddr) -> bool {
        self.beacons().any(|(beacon, entry)| {
            (matches!(entry.state, State::Up(_)) || self.linked.contains(&beacon)) && entry.addresses.contains(&address)
        })
    }
}
