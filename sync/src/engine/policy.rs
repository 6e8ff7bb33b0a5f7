//! What a person has decided about this node: for whom it carries, who sees its name.
//!
//! Every decision is stored in the transaction of its command. One that changes what a link's peer may be shown ends that link, so that a
//! new session begins under it: what a session compares is settled when it opens.

use std::time::Duration;

use hedgerow_transports::LinkId;
use rand_core::Rng;

use super::{
    Engine,
    link::LinkState,
    pools::Pool,
    records::{Breach, Fault},
    routing::Scope,
};
use crate::{
    crypto::identity::Name,
    store::{Cursor, Setting, Store, StoreError},
    time::{Now, UnixMillis},
    view::{CommandError, Event, Mode, Relay, RelaySettings, Settings, Shown},
    wire::{
        codec::Reader,
        record::{ByeReason, Record},
    },
};

/// The version of [`Policy::encode`].
const POLICY_VERSION: u8 = 1;
/// How long the name is told once a person has decided so (docs/protocol.md, section 4: policy).
const VISIBLE_FOR: Duration = Duration::from_secs(12 * 3600);
/// Least and most space for bundles of others, bytes (policy).
const RELAY_BYTES: std::ops::RangeInclusive<u64> = 1 << 20..=1 << 40;

/// Until when the name is told. Both ends count, so that a clock that is set back does not prolong it, nor a device that is switched off.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct VisibleUntil {
    /// By the system clock.
    pub(super) wall: UnixMillis,
    /// By the profile's running time.
    pub(super) running: Duration,
}

/// Mode, relay settings and visibility; kept by the store under [`Setting::Policy`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Policy {
    pub(super) mode: Mode,
    pub(super) relay: RelaySettings,
    /// Until when strangers are told the name; hidden if absent or past.
    pub(super) visible_until: Option<VisibleUntil>,
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
        let (wall, running) = self.visible_until.map_or((0, 0), |until| (until.wall.0, until.running.as_secs()));
        for number in [self.relay.bytes, wall, running] {
            out.extend_from_slice(&number.to_be_bytes());
        }
        out
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let flag = |reader: &mut Reader<'_>| reader.u8().ok();
        if flag(&mut reader)? != POLICY_VERSION {
            return None;
        }
        let mode = if flag(&mut reader)? != 0 { Mode::Contacts } else { Mode::Mesh };
        let (on, metered) = (flag(&mut reader)? != 0, flag(&mut reader)? != 0);
        let (bytes, wall) = (reader.u64().ok()?, reader.u64().ok()?);
        let running = Duration::from_secs(reader.u64().ok()?);
        let visible_until = (wall != 0).then_some(VisibleUntil { wall: UnixMillis(wall), running });
        Some(Self { mode, relay: RelaySettings { on, bytes, metered }, visible_until })
    }

    /// Lets the name be told from now on, `running` being the running time of the profile.
    fn show_name(&mut self, now: UnixMillis, running: Duration) {
        let wall = UnixMillis(now.0.saturating_add(VISIBLE_FOR.as_millis() as u64));
        // Kept in whole seconds: rounded up, so that it is the system clock that decides while both go alike.
        let running = Duration::from_secs(running.saturating_add(VISIBLE_FOR).as_secs().saturating_add(1));
        self.visible_until = Some(VisibleUntil { wall, running });
    }
}

/// Lets a profile that was just made tell neighbours its name, for 12 hours from `now` at most, and commits.
///
/// # Errors
///
/// [`StoreError`] if the store fails; it is then as before.
pub fn make_visible(store: &mut dyn Store, now: UnixMillis) -> Result<(), StoreError> {
    let mut policy = Policy::load(store)?;
    policy.show_name(now, Duration::ZERO);
    store.begin()?;
    store.save_setting(Setting::Policy, &policy.encode())?;
    store.commit()
}

impl Engine {
    /// What a person has decided.
    pub(super) fn settings(&self, now: Now) -> Settings {
        Settings { shown: self.shown(now), relay: self.policy.relay }
    }

    /// Mode and visibility.
    pub(super) fn shown(&self, now: Now) -> Shown {
        let visible_until = self.visible_until(now);
        Shown { mode: self.policy.mode, visible: visible_until.is_some(), visible_until }
    }

    /// Until when at the latest neighbours are told the name; `None` if they are not.
    pub(super) fn visible_until(&self, now: Now) -> Option<UnixMillis> {
        let VisibleUntil { wall, running } = self.policy.visible_until?;
        let left = Duration::from_millis(wall.0.saturating_sub(now.wall.0)).min(running.saturating_sub(self.clock.running()));
        (!left.is_zero()).then(|| UnixMillis(now.wall.0.saturating_add(left.as_millis() as u64)))
    }

    /// Chooses the mode.
    pub(super) fn set_mode(&mut self, now: Now, mode: Mode) -> Result<Settings, StoreError> {
        self.change_policy(now, |policy| policy.mode = mode)
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
        let running = self.clock.running();
        let settings =
            self.change_policy(now, |policy| if visible { policy.show_name(now.wall, running) } else { policy.visible_until = None })?;
        for link in self.links.iter().filter(|(_, state)| state.is_open()).map(|(id, _)| *id).collect::<Vec<_>>() {
            self.tell_name(now, link);
        }
        Ok(settings)
    }

    /// The device is somewhere else: who is near now was not meant.
    pub(super) fn end_visibility(&mut self, now: Now) -> Result<(), StoreError> {
        if self.visible_until(now).is_some() {
            self.set_visible(now, false)?;
            self.notice("hidden", "the network has changed: neighbours are not told the name any more".into(), None);
        }
        Ok(())
    }

    /// Tells the name on a link that is open, once, if it is to be told: to contacts too, so that sessions look alike.
    pub(super) fn tell_name(&mut self, now: Now, link: LinkId) {
        let visible = self.visible_until(now).is_some();
        let Some(state) = self.links.get_mut(&link).filter(|state| visible && !state.name_sent) else { return };
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

    /// Stores a decision and ends the links whose peers may be shown something else from now on.
    fn change_policy(&mut self, now: Now, change: impl FnOnce(&mut Policy)) -> Result<Settings, StoreError> {
        let open = |engine: &Self| -> Vec<(LinkId, Scope)> {
            engine.links.iter().filter(|(_, link)| link.is_open()).map(|(id, link)| (*id, engine.scope_for(link))).collect()
        };
        let (policy, before) = (self.policy, open(self));
        change(&mut self.policy);
        if self.policy != policy {
            self.store.save_setting(Setting::Policy, &self.policy.encode())?;
            self.shrink_to_settings(now)?;
        }
        if self.policy.relay.on && !policy.relay.on {
            self.forget_cursors()?;
        }
        let after = open(self);
        for ((link, _), _) in before.into_iter().zip(after).filter(|(before, after)| before != after) {
            self.end_link(link, ByeReason::Closing);
        }
        let is_open = |policy: &Policy| policy.relay.on && policy.mode == Mode::Mesh;
        if is_open(&self.policy) && !is_open(&policy) {
            // Links to strangers were of no use, and are now.
            self.look_anew();
        }
        Ok(self.settings(now))
    }

    /// Begins to number arrivals anew, and forgets how far those of contacts were dealt with: what was passed over while nothing was carried is
    /// to be found.
    fn forget_cursors(&mut self) -> Result<(), StoreError> {
        self.rng.fill_bytes(&mut self.profile.epoch);
        self.store.save_setting(Setting::Epoch, &self.profile.epoch)?;
        self.contacts.keys().try_for_each(|contact| self.store.save_cursor(*contact, Cursor { epoch: [0; 8], sequence: 0 }))
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
        let visible_until = Some(VisibleUntil { wall: UnixMillis(9), running: Duration::from_secs(8) });
        for policy in [Policy::default(), Policy { mode: Mode::Contacts, relay, visible_until }] {
            assert_eq!(Policy::decode(&policy.encode()), Some(policy));
        }
        assert_eq!(Policy::decode(&[]), None);
        assert_eq!(Policy::decode(&[2; 28]), None);
    }
}
