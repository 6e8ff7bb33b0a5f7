//! What a person has decided about this node: for whom it carries, who sees its name.
//!
//! Every decision is stored in the transaction of its command. One that changes what some peer may be shown ends all links of that kind, so
//! that new sessions begin under it: what a session compares is settled when it opens. All, since who saw which links end and which stay
//! would know those of contacts.

use std::time::Duration;

use hedgerow_transports::{Direction, LinkId};
use rand_core::Rng;

use super::{
    Engine,
    link::{LinkState, Peer},
    pools::Pool,
    records::{Breach, Fault},
    routing::Scope,
};
use crate::{
    crypto::identity::Name,
    store::{Cursor, Setting, Store, StoreError},
    time::{Now, UnixMillis},
    view::{Alerts, CommandError, Event, Mode, Relay, RelaySettings, Settings, Shown},
    wire::{
        codec::Reader,
        record::{ByeReason, Record},
    },
};

/// The version of [`Policy::encode`].
const POLICY_VERSION: u8 = 2;
/// How long the name is told once a person has decided so (docs/protocol.md, section 4: policy).
const VISIBLE_FOR: Duration = Duration::from_secs(12 * 3600);
/// Least and most space for bundles of others, bytes (policy).
const RELAY_BYTES: std::ops::RangeInclusive<u64> = 1 << 20..=1 << 40;

/// Until when the name is told. Both ends count, so that a clock that is set back does not prolong it, nor a device that is switched off.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct VisibleUntil {
    /// By the system clock.
    pub(super) wall: UnixMillis,
    /// By the profile's running time; absent before the node has run, as that of a profile that was made visible.
    pub(super) running: Option<Duration>,
}

/// Mode, relay settings, visibility and alerts; kept by the store under [`Setting::Policy`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Policy {
    pub(super) mode: Mode,
    pub(super) relay: RelaySettings,
    /// Until when strangers are told the name; hidden if absent or past.
    pub(super) visible_until: Option<VisibleUntil>,
    /// For interfaces.
    pub(super) alerts: Alerts,
}

impl Policy {
    /// Reads what the store holds; the defaults where it holds none.
    pub(super) fn load(store: &dyn Store) -> Result<Self, StoreError> {
        const DAMAGED: StoreError = StoreError::Damaged("the settings");
        match store.load_setting(Setting::Policy)? {
            Some(bytes) => Self::decode(&bytes).ok_or(DAMAGED),
            None => Ok(Self::default()),
        }
    }

    /// Encodes it for the store.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = vec![POLICY_VERSION, (self.mode == Mode::Contacts).into(), self.relay.on.into(), self.relay.metered.into()];
        let seconds = |until: VisibleUntil| until.running.map_or(0, |running| running.as_secs());
        let (wall, running) = self.visible_until.map_or((0, 0), |until| (until.wall.0, seconds(until)));
        for number in [self.relay.bytes, wall, running] {
            out.extend_from_slice(&number.to_be_bytes());
        }
        let Alerts { bell, notify, content } = self.alerts;
        out.extend([bell, notify, content].map(u8::from));
        out
    }

    /// Whether anything is carried over links that cost money, or don't.
    pub(super) const fn carries(&self, metered: bool) -> bool {
        self.relay.on && (self.relay.metered || !metered)
    }

    /// Whether strangers are shown anything on such links.
    pub(super) fn carries_for_strangers(&self, metered: bool) -> bool {
        self.carries(metered) && self.mode == Mode::Mesh
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let flag = |reader: &mut Reader<'_>| reader.u8().ok();
        let version = flag(&mut reader)?;
        if !(1..=POLICY_VERSION).contains(&version) {
            return None;
        }
        let mode = if flag(&mut reader)? != 0 { Mode::Contacts } else { Mode::Mesh };
        let (on, metered) = (flag(&mut reader)? != 0, flag(&mut reader)? != 0);
        let (bytes, wall) = (reader.u64().ok()?, reader.u64().ok()?);
        let running = Some(Duration::from_secs(reader.u64().ok()?)).filter(|running| !running.is_zero());
        let visible_until = (wall != 0).then_some(VisibleUntil { wall: UnixMillis(wall), running });
        let alerts = match version {
            1 => Alerts::default(),
            _ => Alerts { bell: flag(&mut reader)? != 0, notify: flag(&mut reader)? != 0, content: flag(&mut reader)? != 0 },
        };
        Some(Self { mode, relay: RelaySettings { on, bytes, metered }, visible_until, alerts })
    }

    /// Lets the name be told from now on, `running` being the running time of the profile, if it has run.
    fn show_name(&mut self, now: UnixMillis, running: Option<Duration>) {
        let wall = UnixMillis(now.0.saturating_add(VISIBLE_FOR.as_millis() as u64));
        self.visible_until = Some(VisibleUntil { wall, running: running.map(until_running) });
    }
}

/// The running time at which visibility ends that begins at this one. Kept in whole seconds: rounded up, so that it is the system clock that
/// decides while both go alike.
const fn until_running(running: Duration) -> Duration {
    Duration::from_secs(running.saturating_add(VISIBLE_FOR).as_secs().saturating_add(1))
}

/// Lets a profile that was just made tell neighbours its name, where it is first started, for 12 hours from `now` at most, and commits.
///
/// # Errors
///
/// [`StoreError`] if the store fails; it is then as before.
pub fn make_visible(store: &mut dyn Store, now: UnixMillis) -> Result<(), StoreError> {
    let mut policy = Policy::load(store)?;
    policy.show_name(now, None);
    store.begin()?;
    store.save_setting(Setting::Policy, &policy.encode())?;
    store.commit()
}

impl Engine {
    /// What a person has decided.
    pub(super) fn settings(&self, now: Now) -> Settings {
        Settings { shown: self.shown(now), relay: self.policy.relay, alerts: self.policy.alerts }
    }

    /// Mode and visibility.
    pub(super) fn shown(&self, now: Now) -> Shown {
        let visible_until = self.visible_until(now);
        Shown { mode: self.policy.mode, visible: visible_until.is_some(), visible_until }
    }

    /// Keeps how a new message calls for attention; what is absent stays.
    pub(super) fn set_alerts(
        &mut self,
        now: Now,
        bell: Option<bool>,
        notify: Option<bool>,
        content: Option<bool>,
    ) -> Result<Settings, StoreError> {
        self.change_policy(now, |policy| {
            let Alerts { bell: rang, notify: notified, content: told } = policy.alerts;
            policy.alerts = Alerts { bell: bell.unwrap_or(rang), notify: notify.unwrap_or(notified), content: content.unwrap_or(told) };
        })
    }

    /// Until when at the latest neighbours are told the name; `None` if they are not.
    pub(super) fn visible_until(&self, now: Now) -> Option<UnixMillis> {
        let VisibleUntil { wall, running } = self.policy.visible_until?;
        let running = running.map_or(VISIBLE_FOR, |running| running.saturating_sub(self.clock.running()));
        let left = Duration::from_millis(wall.0.saturating_sub(now.wall.0)).min(running);
        (!left.is_zero()).then(|| UnixMillis(now.wall.0.saturating_add(left.as_millis() as u64)))
    }

    /// Chooses the mode.
    pub(super) fn set_mode(&mut self, now: Now, mode: Mode) -> Result<Settings, StoreError> {
        self.change_policy(now, |policy| policy.mode = mode)
    }

    /// Gives so much room for bundles of others, bytes: for simulations of stores smaller than a person may choose.
    #[cfg(feature = "sim")]
    pub(crate) fn give_room(&mut self, now: Now, bytes: u64) -> Result<(), StoreError> {
        self.change_policy(now, |policy| policy.relay.bytes = bytes).map(drop)
    }

    /// Changes what is given to carry for others; what is absent stays.
    pub(super) fn set_relay(
        &mut self,
        now: Now,
        on: Option<bool>,
        bytes: Option<u64>,
        metered: Option<bool>,
    ) -> Result<Result<Settings, CommandError>, StoreError> {
        if bytes.is_some_and(|bytes| !RELAY_BYTES.contains(&bytes)) {
            return Ok(Err(CommandError::Range { what: "the space for others", range: "1 MiB to 1 TiB" }));
        }
        let settings = self.change_policy(now, |policy| {
            let RelaySettings { on: was_on, bytes: had, metered: was_metered } = policy.relay;
            policy.relay = RelaySettings { on: on.unwrap_or(was_on), bytes: bytes.unwrap_or(had), metered: metered.unwrap_or(was_metered) };
        })?;
        Ok(Ok(settings))
    }

    /// Tells neighbours the name for a while, or stops.
    pub(super) fn set_visible(&mut self, now: Now, visible: bool) -> Result<Settings, StoreError> {
        let running = Some(self.clock.running());
        let settings =
            self.change_policy(now, |policy| if visible { policy.show_name(now.wall, running) } else { policy.visible_until = None })?;
        for link in self.links.iter().filter(|(_, state)| state.is_open()).map(|(id, _)| *id).collect::<Vec<_>>() {
            self.tell_name(now, link);
        }
        Ok(settings)
    }

    /// The device is, or may be, somewhere else: who is near now was not meant. A profile that was made visible is so where it first runs.
    pub(super) fn end_visibility(&mut self, now: Now) -> Result<(), StoreError> {
        let running = self.clock.running();
        if self.visible_until(now).is_none() {
            return Ok(());
        }
        if let Some(VisibleUntil { running: begins @ None, .. }) = &mut self.policy.visible_until {
            *begins = Some(until_running(running));
            return self.store.save_setting(Setting::Policy, &self.policy.encode());
        }
        self.set_visible(now, false)?;
        self.notice("hidden", "this may be another network: neighbours are not told the name any more".into(), None);
        Ok(())
    }

    /// Tells the name on a link that is open, once, if it is to be told: to contacts too, so that sessions look alike. Whoever is at an
    /// address that the owner gave need not be near.
    pub(super) fn tell_name(&mut self, now: Now, link: LinkId) {
        let visible = self.visible_until(now).is_some();
        let is_near = |state: &LinkState| state.properties.direction == Direction::Inbound || state.properties.dialled.is_some();
        let Some(state) = self.links.get_mut(&link).filter(|state| visible && !state.name_sent && is_near(state)) else { return };
        state.name_sent = true;
        let record = Record::Name(self.profile.name.clone());
        self.transmit(link, &record);
    }

    /// Notes what a peer calls itself: once a session.
    pub(super) fn handle_name(&mut self, link: LinkId, name: Name) -> Result<(), Fault> {
        let Some(state) = self.links.get_mut(&link) else { return Ok(()) };
        if state.claimed_name.replace(name).is_some() {
            return Err(Breach.into());
        }
        if let Some(neighbour) = self.view_neighbour(link) {
            self.outputs.push_back(super::Output::Event(Event::Neighbour(neighbour)));
        }
        Ok(())
    }

    /// Stores a decision and ends the links where it changes what contacts or strangers are shown, whoever is at their other end.
    fn change_policy(&mut self, now: Now, change: impl FnOnce(&mut Policy)) -> Result<Settings, StoreError> {
        let before = self.policy;
        change(&mut self.policy);
        let policy = self.policy;
        if policy != before {
            self.store.save_setting(Setting::Policy, &policy.encode())?;
            self.shrink_to_settings(now)?;
        }
        if policy.relay.on && !before.relay.on {
            self.forget_cursors()?;
        }
        let shows = |policy: &Policy, metered| [policy.carries(metered), policy.carries_for_strangers(metered)];
        let changes = |state: &LinkState| {
            let metered = state.properties.metered;
            state.is_open() && shows(&policy, metered) != shows(&before, metered)
        };
        for link in self.links.iter().filter(|(_, state)| changes(state)).map(|(id, _)| *id).collect::<Vec<_>>() {
            self.end_link(link, ByeReason::Closing);
        }
        if policy.carries_for_strangers(false) && !before.carries_for_strangers(false) {
            // Links to strangers were of no use, and are now.
            self.look_anew();
        }
        Ok(self.settings(now))
    }

    /// Ends links so that new sessions show whether somebody who is expected from now on is at the other end: those to strangers, or all
    /// where strangers are shown nothing and nobody is to see which these are.
    pub(super) fn renew_links(&mut self) {
        let carries = |state: &LinkState| self.policy.carries_for_strangers(state.properties.metered);
        let renews = |state: &LinkState| state.peer == Peer::Stranger || !carries(state);
        for link in self.links.iter().filter(|(_, state)| renews(state)).map(|(id, _)| *id).collect::<Vec<_>>() {
            self.end_link(link, ByeReason::Closing);
        }
        self.look_anew();
    }

    /// Begins to number arrivals anew, and forgets how far those of contacts were dealt with: what was passed over while nothing was carried is
    /// to be found.
    fn forget_cursors(&mut self) -> Result<(), StoreError> {
        self.rng.fill_bytes(&mut self.profile.epoch);
        self.store.save_setting(Setting::Epoch, &self.profile.epoch)?;
        self.contacts.keys().try_for_each(|contact| self.store.save_cursor(*contact, Cursor::default()))
    }

    /// Whether MARK counts on a link: not where contacts are shown less only because it costs money, as they are shown the rest on another;
    /// nor in a session that was upgraded, if our HELLO to a stranger said that nothing is carried.
    pub(super) fn marks_count(&self, state: &LinkState) -> bool {
        !self.policy.relay.on || (state.carries_told && self.scope_for(state) == Scope::Everything)
    }

    /// What is carried for others.
    pub(super) fn view_relay(&self) -> Relay {
        let pools = self.holdings.pools();
        let (carried_bundles, carried_bytes) = pools.size();
        Relay {
            settings: self.policy.relay,
            carried_bundles,
            carried_bytes,
            from_contacts_bytes: pools.bytes_of_contacts(),
            from_strangers_inbound_bytes: pools.bytes_in(Pool::Inbound),
            from_strangers_outbound_bytes: pools.bytes_in(Pool::Outbound),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_survive_the_store() {
        let relay = RelaySettings { on: false, bytes: 7 << 30, metered: true };
        let until = |running| Some(VisibleUntil { wall: UnixMillis(9), running });
        for visible_until in [None, until(None), until(Some(Duration::from_secs(8)))] {
            for bits in 0..8 {
                let alerts = Alerts { bell: bits & 1 != 0, notify: bits & 2 != 0, content: bits & 4 != 0 };
                let policy = Policy { mode: Mode::Contacts, relay, visible_until, alerts };
                assert_eq!(Policy::decode(&policy.encode()), Some(policy));
                let mut first_version = policy.encode();
                first_version.truncate(28);
                first_version[0] = 1;
                assert_eq!(Policy::decode(&first_version), Some(Policy { alerts: Alerts::default(), ..policy }));
            }
        }
        assert_eq!(Policy::decode(&Policy::default().encode()), Some(Policy::default()));
        assert_eq!(Policy::decode(&[]), None);
        assert_eq!(Policy::decode(&[2; 28]), None, "cut short");
        assert_eq!(Policy::decode(&[3; 31]), None);
    }
}
