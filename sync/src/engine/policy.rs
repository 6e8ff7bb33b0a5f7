//! What a person has decided about this node: for whom it carries, who sees its name.

use crate::{
    store::{Setting, Store, StoreError},
    time::UnixMillis,
    view::{Mode, RelaySettings},
    wire::codec::Reader,
};

/// The version of [`Policy::encode`].
const POLICY_VERSION: u8 = 1;

/// Mode, relay settings and visibility; kept by the store under [`Setting::Policy`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Policy {
    pub(super) mode: Mode,
    pub(super) relay: RelaySettings,
    /// Until when strangers are told the name; hidden if absent or past.
    pub(super) visible_until: Option<UnixMillis>,
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
        out.extend_from_slice(&self.relay.bytes.to_be_bytes());
        out.extend_from_slice(&self.visible_until.map_or(0, |until| until.0).to_be_bytes());
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
        let (bytes, until) = (reader.u64().ok()?, reader.u64().ok()?);
        let visible_until = (until != 0).then_some(UnixMillis(until));
        Some(Self { mode, relay: RelaySettings { on, bytes, metered }, visible_until })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_survive_the_store() {
        let relay = RelaySettings { on: false, bytes: 7 << 30, metered: true };
        for policy in [Policy::default(), Policy { mode: Mode::Contacts, relay, visible_until: Some(UnixMillis(9)) }] {
            assert_eq!(Policy::decode(&policy.encode()), Some(policy));
        }
        assert_eq!(Policy::decode(&[]), None);
        assert_eq!(Policy::decode(&[2; 20]), None);
    }
}
