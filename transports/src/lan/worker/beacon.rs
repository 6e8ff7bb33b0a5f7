//! The beacon: how long it is shown, the silence between two, and when mDNS looks for others or rests.

use std::{
    future::pending,
    net::{IpAddr, SocketAddr},
    ops::Range,
    time::Duration,
};

use tokio::{task::JoinSet, time::Instant};

use super::{
    super::{
        discovery::{Discovery, Sighting},
        tcp::listen_anywhere,
    },
    RETRY_AFTER, Stopped, Worker,
    connect::accept_all,
    jitter,
};
use crate::{BeaconId, TransportEvent};

/// After the change of beacon, neighbours that don't answer for so long are gone (guess).
const SWEEP_AFTER: Duration = Duration::from_secs(15);
/// How many neighbours in sight are a crowd (guess): a node that is linked well enough in one looks for no more.
const CROWD: usize = 8;
/// How long neighbours are looked for after a change of the beacon or the network before they may be a crowd: mDNS asks after 0, 1, 3, 7 s.
const LOOK_FOR: Duration = Duration::from_secs(15);
/// Pause between two looks of a node that finds nobody to dial among those it remembers (guess).
const LOOK_AGAIN: Duration = Duration::from_secs(60);
/// How long mDNS rests after the first flood of names (guess). Each one after the other it doubles.
const FLOOD_PAUSE: Duration = Duration::from_secs(5);
/// The longest such rest (guess).
const FLOOD_PAUSE_MAX: Duration = Duration::from_secs(300);
/// mDNS without a flood for so long has come through it.
const CALM_AFTER: Duration = Duration::from_secs(60);
/// How often a daemon that was to end is asked whether it has.
const ENDING_CHECK: Duration = Duration::from_millis(250);
/// A daemon that takes longer to end has a flood before itself.
const ENDS_WITHIN: Duration = Duration::from_secs(3);
const FLOODED: &str = "somebody floods the local network with names (mDNS): neighbours are looked for when that is over";

#[derive(Clone, Copy)]
pub(super) enum Phase {
    /// The beacon is in use until then.
    Shown(Instant),
    /// Nobody sees us until then.
    Silent(Instant),
}

impl Worker {
    /// Ends the beacon: no listener of its own, no mDNS. Links stay.
    pub(super) fn hide(&mut self, now: Instant) {
        if let Some(discovery) = self.discovery.take() {
            self.ending = Some((discovery.end(), now));
        }
        self.beacon_listener = JoinSet::new();
        self.publish(&[]);
        let silence = if self.config.mdns { random_within(&self.config.silence) } else { Duration::ZERO };
        self.phase = Phase::Silent(now + silence);
    }

    /// Takes a new beacon, with a new port where the owner has set none, and shows it.
    pub(super) async fn show(&mut self, now: Instant) -> Result<(), Stopped> {
        if let Some((ending, since)) = &mut self.ending
            && !ending.is_over()
        {
            // One that can't be ended costs its processor time and memory: there is never a second beside it.
            let late = now.saturating_duration_since(*since) >= ENDS_WITHIN;
            self.phase = Phase::Silent(now + ENDING_CHECK);
            if late && self.floods == 0 {
                self.note_flood(now);
                return self.trouble(Some(FLOODED)).await;
            }
            return Ok(());
        }
        self.ending = None;
        let mut beacon = BeaconId([0; 8]);
        if getrandom::fill(&mut beacon.0).is_err() {
            self.phase = Phase::Silent(now + RETRY_AFTER);
            return self.trouble(Some("the system gives no randomness")).await;
        }
        let (mut port, mut on) = (None, Vec::new());
        if !self.config.mdns {
            // Nobody is told of a port.
        } else if self.own_addresses.is_empty() {
            match listen_anywhere().and_then(|listener| Ok((listener.local_addr()?, listener))) {
                Ok((local, listener)) => {
                    self.beacon_listener.spawn(accept_all(listener, self.accepted.0.clone()));
                    self.publish(&[local]);
                    port = Some(local.port());
                }
                Err(_) => {
                    self.phase = Phase::Silent(now + RETRY_AFTER);
                    return self.trouble(Some("no port can be opened for neighbours")).await;
                }
            }
        } else {
            (port, on) = advertised(&self.own_addresses);
        }
        self.emit(TransportEvent::Beacon(beacon)).await?;
        if self.config.mdns {
            match Discovery::start(beacon, port, &on) {
                Ok(discovery) => (self.discovery, self.looking_since, self.calm_since) = (Some(discovery), now, now),
                Err(_) => return self.discovery_failed(now).await,
            }
        }
        self.dialler.forget_sightings();
        self.sweep_at = Some(now + SWEEP_AFTER);
        self.phase = Phase::Shown(now + self.config.rotate_every);
        // Whether a flood is over shows later.
        if self.floods > 0 { Ok(()) } else { self.trouble(None).await }
    }

    pub(super) async fn discovery_failed(&mut self, now: Instant) -> Result<(), Stopped> {
        self.hide(now);
        self.phase = Phase::Silent(now + RETRY_AFTER);
        self.trouble(Some("neighbours cannot be looked for (mDNS does not work here)")).await
    }

    pub(super) fn look(&mut self, now: Instant) {
        self.looking_since = now;
        if let Some(discovery) = &mut self.discovery {
            discovery.browse_anew();
        }
    }

    /// Looks for nobody more while linked well enough in a crowd; there, the newcomer finds us.
    pub(super) fn rest_or_look(&mut self, now: Instant) {
        let Some(discovery) = &mut self.discovery else { return };
        let looked = now.saturating_duration_since(self.looking_since);
        if !discovery.is_resting() {
            if self.dialler.is_content() && self.dialler.in_sight() > CROWD && looked >= LOOK_FOR {
                discovery.rest();
            }
        } else if !self.dialler.is_content() && !self.others && looked >= LOOK_AGAIN {
            self.look(now);
        }
    }

    /// Ends mDNS for a while, and takes another beacon, where its cache has grown without end or it has no time for anything else.
    pub(super) async fn check_flood(&mut self, now: Instant) -> Result<(), Stopped> {
        let Some(discovery) = &mut self.discovery else { return Ok(()) };
        if discovery.is_flooded() {
            self.hide(now);
            self.note_flood(now);
            return self.trouble(Some(FLOODED)).await;
        }
        if self.floods > 0 && now.saturating_duration_since(self.calm_since) >= CALM_AFTER {
            self.floods = 0;
            return self.trouble(None).await;
        }
        Ok(())
    }

    /// Stays silent the longer, the more floods came one after the other.
    fn note_flood(&mut self, now: Instant) {
        let (Phase::Shown(at) | Phase::Silent(at)) = self.phase;
        self.phase = Phase::Silent(at.max(now + flood_pause(self.floods)));
        self.floods = self.floods.saturating_add(1);
    }
}

/// The rest after a flood of names that so many others came before.
fn flood_pause(earlier: u32) -> Duration {
    FLOOD_PAUSE.saturating_mul(1 << earlier.min(8)).min(FLOOD_PAUSE_MAX)
}

/// The port to show to neighbours, that of the first listener they can reach, and the addresses it is bound to if not to all.
fn advertised(listeners: &[SocketAddr]) -> (Option<u16>, Vec<IpAddr>) {
    let reachable = || listeners.iter().filter(|address| !address.ip().is_loopback());
    let Some(port) = reachable().map(SocketAddr::port).next() else {
        return (None, Vec::new());
    };
    let on: Vec<IpAddr> = reachable().filter(|address| address.port() == port).map(SocketAddr::ip).collect();
    if on.iter().any(IpAddr::is_unspecified) { (Some(port), Vec::new()) } else { (Some(port), on) }
}

pub(super) async fn next_sighting(discovery: &mut Option<Discovery>) -> Sighting {
    match discovery {
        Some(discovery) => discovery.next().await,
        None => pending().await,
    }
}

fn random_within(range: &Range<Duration>) -> Duration {
    let width = range.end.saturating_sub(range.start);
    range.start + width.mul_f64(f64::from(jitter()) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_told_only_of_what_they_can_reach() {
        let addresses = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<SocketAddr>>();
        assert_eq!(advertised(&addresses(&["127.0.0.1:5", "[::1]:5"])), (None, vec![]));
        assert_eq!(advertised(&addresses(&["127.0.0.1:5", "0.0.0.0:6"])), (Some(6), vec![]));
        let on = vec!["10.0.0.1".parse().unwrap()];
        assert_eq!(advertised(&addresses(&["10.0.0.1:5", "10.0.0.2:6"])), (Some(5), on));
    }

    #[test]
    fn the_rest_after_floods_doubles_up_to_five_minutes() {
        assert_eq!([0, 1, 2, 5, 6, 7, u32::MAX].map(|earlier| flood_pause(earlier).as_secs()), [5, 10, 20, 160, 300, 300, 300]);
    }

    #[test]
    fn the_silence_stays_within_its_range() {
        let range = Duration::from_secs(5)..Duration::from_secs(30);
        assert!((0..100).all(|_| (range.start..=range.end).contains(&random_within(&range))));
        assert_eq!(random_within(&(range.end..range.start)), range.end);
    }
}
