//! Which neighbours are remembered. Their names cost nothing, so there is a bound on them in all and at one address.

use std::net::{IpAddr, SocketAddr};

use tokio::time::Instant;

use super::{
    Dialler, LAPSE,
    neighbour::{Entry, State, Target},
};
use crate::BeaconId;

/// Most neighbours that are remembered (policy), chosen at random among more: somebody who invents thousands of them doesn't fill the memory.
pub(super) const MAX_BEACONS: usize = 256;
/// Most neighbours that are remembered at one address to which a connection has come about (guess). What a neighbour's records claim doesn't
/// count: anybody can list anybody's address.
pub(super) const MAX_BEACONS_AT_ADDRESS: usize = 16;
/// Most addresses kept of one neighbour (policy).
pub(in crate::lan) const MAX_ADDRESSES: usize = 8;

impl Dialler {
    /// Takes a neighbour and its addresses from mDNS; true if it was unknown and has found room.
    pub(in crate::lan) fn seen(&mut self, beacon: BeaconId, mut addresses: Vec<SocketAddr>, now: Instant) -> bool {
        addresses.truncate(MAX_ADDRESSES);
        let due = now + self.first_delay();
        let on_a_linked_device = self.is_on_linked_device(&addresses);
        if let Some(entry) = self.entries.get_mut(&Target::Beacon(beacon)) {
            entry.seen = true;
            // The two families' addresses come in separate packets. Records are anybody's word: they neither undo what has failed, nor put
            // off a neighbour that was dialled, nor any for longer than once.
            if entry.addresses != addresses {
                entry.addresses = addresses;
                let due = if on_a_linked_device { entry.since + LAPSE } else { due };
                if !entry.dialled && entry.due().is_some_and(|other| if on_a_linked_device { other < due } else { other > due }) {
                    entry.state = State::Waiting(due);
                }
            }
            return false;
        }
        if addresses.iter().any(|address| !self.make_room_at(address.ip())) {
            return false;
        }
        self.offered += 1;
        if self.beacons().count() >= MAX_BEACONS && !self.evict() {
            return false;
        }
        let due = if on_a_linked_device { now + LAPSE } else { due };
        self.entries.insert(Target::Beacon(beacon), Entry { since: now, ..Entry::new(due, addresses) });
        true
    }

    /// Forgets a neighbour that mDNS has lost; true if it was known.
    pub(in crate::lan) fn gone(&mut self, beacon: BeaconId) -> bool {
        self.entries.remove(&Target::Beacon(beacon)).is_some()
    }

    /// Marks every neighbour as not seen: discovery begins anew.
    pub(in crate::lan) fn forget_sightings(&mut self) {
        self.entries.values_mut().for_each(|entry| entry.seen = false);
        self.offered = self.beacons().count() as u64;
    }

    /// Forgets the neighbours that were not seen again, and tells which.
    pub(in crate::lan) fn sweep(&mut self) -> Vec<BeaconId> {
        let gone: Vec<BeaconId> = self.beacons().filter(|(_, entry)| !entry.seen).map(|(beacon, _)| beacon).collect();
        for beacon in &gone {
            self.gone(*beacon);
        }
        gone
    }

    /// Makes room by dropping the neighbour that was of no use most often, or by lot, so that of all that were in sight each is remembered
    /// with the same likelihood; false if it falls on the new one.
    fn evict(&mut self) -> bool {
        let worst = self.most_useless(|_| true);
        let by_lot = || {
            let index = usize::try_from(self.draw(self.offered)).ok().filter(|index| *index < MAX_BEACONS)?;
            let waiting = self.beacons().filter(|(beacon, entry)| entry.due().is_some() && !self.linked.contains(beacon));
            let waiting: Vec<BeaconId> = waiting.map(|(beacon, _)| beacon).collect();
            waiting.get(index % waiting.len().max(1)).copied()
        };
        worst.or_else(by_lot).is_some_and(|beacon| self.gone(beacon))
    }

    fn most_useless(&self, among: impl Fn(&Entry) -> bool) -> Option<BeaconId> {
        let waiting = self.beacons().filter(|(beacon, entry)| entry.due().is_some() && !self.linked.contains(beacon));
        let useless = waiting.filter(|(_, entry)| entry.useless() > 0 && among(entry));
        useless.max_by_key(|(_, entry)| entry.useless()).map(|(beacon, _)| beacon)
    }

    /// Sees to it that there is place for one more neighbour at this address; false if there are too many, all of use.
    fn make_room_at(&mut self, ip: IpAddr) -> bool {
        let there = |entry: &Entry| entry.reached == Some(ip.to_canonical());
        if self.beacons().filter(|(_, entry)| there(entry)).count() < MAX_BEACONS_AT_ADDRESS {
            return true;
        }
        self.most_useless(there).is_some_and(|beacon| self.gone(beacon))
    }
}
