//! What a node holds durably, as its store was told, and what it may not do with it.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{
    Rule,
    journal::{Change, SharedJournal},
};
use crate::{
    engine::{Hours, RelayLimits},
    id::{BundleId, ContactId, MessageId},
    store::{BundleRow, Cursor, GoneReason, Origin, Setting, Store, StoreError},
    time::Hour,
};

/// What a rule that was broken says, and which one it is.
pub(super) type Broken = (Rule, String);

/// Whether a bundle sealed here travels under a number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Number {
    /// It never did: part of an exchange or a repair.
    Never,
    /// It does.
    Open,
    /// It did; the number is closed.
    Closed,
}

/// A bundle held.
#[derive(Clone, Copy, Debug)]
struct Held {
    origin: Origin,
    sequence: u64,
    size: u16,
    age: u16,
    created: Hour,
    stored: Hour,
    lifetime_hours: u32,
    number: Number,
}

impl Held {
    fn new(row: &BundleRow) -> Self {
        Self {
            origin: row.origin,
            sequence: row.sequence,
            size: row.size,
            age: row.age,
            created: row.created,
            stored: row.stored,
            lifetime_hours: row.lifetime.hours(),
            number: Number::Never,
        }
    }

    /// The first hour in which it has expired (docs/protocol.md, section 5).
    fn expiry(&self) -> Option<Hour> {
        if self.created != Hour::UNKNOWN {
            return Some(self.created.plus(self.lifetime_hours));
        }
        (self.stored != Hour::UNKNOWN).then(|| self.stored.plus(self.lifetime_hours.saturating_sub(self.age.into())))
    }

    fn is_expired(&self, hour: Option<Hour>) -> bool {
        self.expiry().zip(hour).is_some_and(|(expiry, hour)| expiry <= hour)
    }
}

/// What one contact, or strangers of one direction, fill; `None` for what was sealed here.
fn pool_of(origin: Origin) -> Option<Origin> {
    (!matches!(origin, Origin::Own(_))).then_some(origin)
}

const fn is_strangers(origin: Origin) -> bool {
    matches!(origin, Origin::StrangerInbound | Origin::StrangerOutbound)
}

/// A node's durable state.
#[derive(Default)]
pub(super) struct Mirror {
    pub(super) journal: SharedJournal,
    /// Of its store; absent until it is known.
    pub(super) epoch: Option<[u8; 8]>,
    held: HashMap<BundleId, Held>,
    by_sequence: BTreeMap<u64, BundleId>,
    last_sequence: u64,
    /// Ids remembered, and whether strangers brought them.
    gone: HashMap<BundleId, bool>,
    gone_of_strangers: usize,
    pools: BTreeMap<Origin, u64>,
    open: HashMap<(ContactId, u32), BundleId>,
    /// The bundles of open numbers, held or not.
    numbered: HashSet<BundleId>,
    messages: HashMap<MessageId, ContactId>,
    cursors: HashMap<ContactId, Cursor>,
    /// The latest mesh hour that it has had after a batch.
    pub(super) hour: Hour,
    /// Somebody who does harm sits at it: what it says of itself binds nobody.
    pub(super) is_hostile: bool,
    /// Its store is another one when it is opened next.
    pub(super) is_replaced: bool,
}

/// What a node has done durably, for rules that are about more than itself.
#[derive(Default)]
pub(super) struct Done {
    /// Messages that came in.
    pub(super) messages: Vec<MessageId>,
    /// Contacts' arrivals that are dealt with: those after the first sequence, up to the cursor.
    pub(super) cursors: Vec<(u64, Cursor)>,
}

impl Mirror {
    /// Takes over what a store holds that was made before it was watched.
    pub(super) fn load(store: &dyn Store) -> Result<Self, StoreError> {
        let epoch = store.load_setting(Setting::Epoch)?.and_then(|epoch| epoch.as_slice().try_into().ok());
        let mut mirror = Self { epoch, last_sequence: store.last_sequence()?, ..Self::default() };
        store.visit_bundles(&mut |row| mirror.insert(&row))?;
        for row in store.load_gone()? {
            mirror.remember(row.id, row.origin);
        }
        for contact in store.load_contacts()? {
            mirror.cursors.insert(contact.id, store.load_cursor(contact.id)?);
            for row in store.load_outbox(contact.id)? {
                mirror.open_number(contact.id, row.number, row.bundle);
            }
        }
        Ok(mirror)
    }

    /// Settles, for a store that is opened again, whether the last transaction became durable, and whether what was durable still is.
    pub(super) fn reopen(&self, store: &dyn Store) -> Result<Option<Broken>, StoreError> {
        let mut ids = HashSet::new();
        store.visit_bundles(&mut |row| {
            ids.insert(row.id);
        })?;
        let mut journal = self.journal.lock();
        let mut landed = false;
        for change in &journal.open {
            landed |= match change {
                Change::Bundle { row, .. } => ids.contains(&row.id),
                Change::Deleted(id) => self.held.contains_key(id) && !ids.contains(id),
                Change::Message(contact, id) => store.find_message(*contact, false, *id)?.is_some(),
                Change::Cursor(contact, cursor) => self.cursors.get(contact) != Some(cursor) && store.load_cursor(*contact)? == *cursor,
                _ => false,
            };
        }
        let mut expected: HashSet<BundleId> = self.held.keys().copied().collect();
        // What became durable just before, and is not mirrored yet, counts: a node may crash twice in one step.
        let open = if landed { journal.open.as_slice() } else { &[] };
        for change in journal.durable.iter().chain(open) {
            match change {
                Change::Bundle { row, .. } => drop(expected.insert(row.id)),
                Change::Deleted(id) => drop(expected.remove(id)),
                Change::Removed(contact) => expected.retain(|id| self.held.get(id).is_none_or(|held| held.origin != Origin::Own(*contact))),
                _ => {}
            }
        }
        if landed {
            journal.confirm();
        } else {
            journal.open.clear();
        }
        let lost = expected.difference(&ids).count();
        Ok((lost > 0).then(|| (Rule::Durable, format!("{lost} bundles that were stored durably are not there after a restart"))))
    }

    /// Whether a node has a bundle, or knows that it is gone.
    pub(super) fn knows(&self, id: &BundleId) -> bool {
        self.held.contains_key(id) || self.gone.contains_key(id)
    }

    /// All bundles held but those sealed without a clock, which go to their reader alone.
    pub(super) fn shared(&self) -> impl Iterator<Item = &BundleId> {
        self.held.iter().filter(|(_, held)| held.created != Hour::UNKNOWN).map(|(id, _)| id)
    }

    /// The highest sequence given.
    pub(super) const fn last_sequence(&self) -> u64 {
        self.last_sequence
    }

    /// Arrivals after one sequence and up to another that whoever is shown everything must have been shown, unless expired by `hour`.
    pub(super) fn shown(&self, after: u64, up_to: u64, hour: Hour) -> impl Iterator<Item = &BundleId> {
        let range = (after < up_to).then(|| self.by_sequence.range(after + 1..=up_to));
        range.into_iter().flatten().map(|(_, id)| id).filter(move |id| {
            self.held.get(id).is_some_and(|held| {
                // What makes two people contacts is done with once it is read: its reader does not keep it.
                let is_exchange = matches!(held.origin, Origin::Own(_)) && held.number == Number::Never;
                !is_exchange && !held.is_expired(Some(hour))
            })
        })
    }

    /// Where a bundle held came from, and its created and expiry hour.
    pub(super) fn describe(&self, id: &BundleId) -> String {
        self.held
            .get(id)
            .map_or_else(String::new, |held| format!("from {:?}, of hour {}, until {:?}", held.origin, held.created.0, held.expiry()))
    }

    /// Takes what has become durable in one batch; what it did, or the first rule that it broke.
    pub(super) fn take(&mut self, hours: Hours, limits: RelayLimits) -> Result<Done, Broken> {
        let changes = std::mem::take(&mut self.journal.lock().durable);
        let mut done = Done::default();
        self.hour = self.hour.max(hours.mesh);
        self.judge_deletions(&changes, hours)?;
        self.judge_shares(&changes, limits)?;
        for change in &changes {
            self.apply(change, &mut done)?;
        }
        self.judge_quotas(&changes, limits)?;
        Ok(done)
    }

    /// What was sealed here goes only once it is proven to be read, expired, taken back with its number, or sealed under keys that are no more.
    fn judge_deletions(&self, changes: &[Change], hours: Hours) -> Result<(), Broken> {
        for id in changes.iter().filter_map(|change| if let Change::Deleted(id) = change { Some(id) } else { None }) {
            let Some(held) = self.held.get(id).filter(|held| matches!(held.origin, Origin::Own(_))) else { continue };
            let gone = changes.iter().find_map(|change| match change {
                Change::Gone { id: other, reason, proven, .. } if other == id => Some((*reason, *proven)),
                _ => None,
            });
            let closes = changes.iter().any(|change| match change {
                Change::Closed { contact, number } => self.open.get(&(*contact, *number)) == Some(id),
                Change::Renewed(contact) => held.origin == Origin::Own(*contact),
                _ => false,
            });
            // Of what was sealed and read while no hour was known, nothing is remembered: nobody knows until when.
            let is_clockless = held.number == Number::Closed && held.expiry().is_none();
            match gone {
                Some((GoneReason::Acknowledged, true)) => {}
                Some((GoneReason::Acknowledged, false)) => return Err((Rule::OwnKept, format!("{id:?}, sealed here, went without proof"))),
                Some((GoneReason::Dropped, _)) => return Err((Rule::OwnKept, format!("{id:?}, sealed here, was dropped for room"))),
                None if held.is_expired(hours.settled) || held.number == Number::Never || closes || is_clockless => {}
                None => return Err((Rule::OwnKept, format!("{id:?}, sealed here, went unread and in time"))),
            }
        }
        Ok(())
    }

    fn apply(&mut self, change: &Change, done: &mut Done) -> Result<(), Broken> {
        match change {
            Change::Bundle { row, genuine } => {
                if !genuine {
                    return Err((Rule::Genuine, format!("stored {:?}, which its bytes are not", row.id)));
                }
                self.insert(row);
            }
            Change::Deleted(id) => self.remove(id),
            Change::Origin(id, origin) => {
                if let Some(mut held) = self.held.remove(id) {
                    self.count(held.origin, held.size, false);
                    held.origin = *origin;
                    self.count(held.origin, held.size, true);
                    self.held.insert(*id, held);
                }
            }
            Change::Stored(id, hour) => {
                if let Some(held) = self.held.get_mut(id) {
                    held.stored = *hour;
                }
            }
            Change::Gone { id, origin, .. } => self.remember(*id, *origin),
            Change::Forgotten(id) => self.forget(id),
            Change::Opened { contact, number, bundle } => self.open_number(*contact, *number, *bundle),
            Change::Closed { contact, number } => {
                if let Some(id) = self.open.remove(&(*contact, *number)) {
                    self.numbered.remove(&id);
                    if let Some(held) = self.held.get_mut(&id) {
                        held.number = Number::Closed;
                    }
                }
            }
            Change::Message(contact, id) => {
                if self.messages.insert(*id, *contact).is_some() {
                    return Err((Rule::Once, format!("{id:?} was delivered twice")));
                }
                done.messages.push(*id);
            }
            Change::Vanished(id) => return Err((Rule::PlaintextKept, format!("{id:?}, delivered, is not there any more"))),
            Change::Removed(contact) => self.remove_contact(*contact),
            Change::Moved(from, to) => self.messages.values_mut().filter(|contact| **contact == *from).for_each(|contact| *contact = *to),
            Change::Cursor(contact, cursor) => {
                let before = self.cursors.insert(*contact, *cursor).filter(|before| before.epoch == cursor.epoch);
                done.cursors.push((before.map_or(0, |before| before.sequence), *cursor));
            }
            Change::Renewed(_) => {}
            Change::Epoch(epoch) => self.epoch = Some(*epoch),
        }
        Ok(())
    }

    /// Nothing gives way in a pool that is within its share, unless the shares in use are more than there is.
    fn judge_shares(&self, changes: &[Change], limits: RelayLimits) -> Result<(), Broken> {
        let dropped = |change: &Change| match change {
            Change::Gone { id, origin, reason: GoneReason::Dropped, .. } if !matches!(origin, Origin::Own(_)) => Some((*id, *origin)),
            _ => None,
        };
        if !limits.has_pools || !changes.iter().any(|change| dropped(change).is_some()) {
            return Ok(());
        }
        // At its most in this batch: what it held, and all that came.
        let mut pools: BTreeMap<Origin, u64> =
            self.pools.iter().filter(|(_, bytes)| **bytes > 0).map(|(pool, bytes)| (*pool, *bytes)).collect();
        for row in changes.iter().filter_map(|change| if let Change::Bundle { row, .. } = change { Some(row) } else { None }) {
            if let Some(pool) = pool_of(row.origin) {
                *pools.entry(pool).or_default() += u64::from(row.size);
            }
        }
        let share = |pool: Origin| if is_strangers(pool) { limits.strangers } else { limits.contact };
        if pools.keys().map(|pool| share(*pool)).sum::<u64>() > limits.space {
            return Ok(());
        }
        for (id, pool) in changes.iter().filter_map(dropped) {
            let filled = pools.get(&pool).copied().unwrap_or(0);
            if filled <= share(pool) {
                return Err((Rule::Quota, format!("{id:?} gave way, of {pool:?} that fills {filled} bytes of its {}", share(pool))));
            }
        }
        Ok(())
    }

    /// What others fill is judged where something came in: settings may change below what is there. Shares are no caps: who brings much may
    /// fill what nobody uses.
    fn judge_quotas(&self, changes: &[Change], limits: RelayLimits) -> Result<(), Broken> {
        let came = |change: &Change| matches!(change, Change::Bundle { row, .. } if pool_of(row.origin).is_some());
        let all = self.pools.values().sum::<u64>();
        if all > limits.space && changes.iter().any(came) {
            return Err((Rule::Quota, format!("all others together fill {all} bytes of {}", limits.space)));
        }
        let (gone, of_strangers) = (self.gone.len(), self.gone_of_strangers);
        if gone > limits.gone || of_strangers > limits.gone_of_strangers {
            return Err((Rule::Quota, format!("{gone} ids are remembered of {}, {of_strangers} of them strangers'", limits.gone)));
        }
        Ok(())
    }

    fn insert(&mut self, row: &BundleRow) {
        let mut held = Held::new(row);
        if self.numbered.contains(&row.id) {
            held.number = Number::Open;
        }
        self.count(held.origin, held.size, true);
        self.by_sequence.insert(held.sequence, row.id);
        self.last_sequence = self.last_sequence.max(held.sequence);
        self.held.insert(row.id, held);
    }

    fn remove(&mut self, id: &BundleId) {
        if let Some(held) = self.held.remove(id) {
            self.count(held.origin, held.size, false);
            self.by_sequence.remove(&held.sequence);
        }
    }

    fn count(&mut self, origin: Origin, size: u16, more: bool) {
        let Some(pool) = pool_of(origin) else { return };
        let filled = self.pools.entry(pool).or_default();
        *filled = if more { *filled + u64::from(size) } else { filled.saturating_sub(size.into()) };
    }

    fn remember(&mut self, id: BundleId, origin: Origin) {
        self.forget(&id);
        self.gone_of_strangers += usize::from(is_strangers(origin));
        self.gone.insert(id, is_strangers(origin));
    }

    fn forget(&mut self, id: &BundleId) {
        if let Some(of_stranger) = self.gone.remove(id) {
            self.gone_of_strangers -= usize::from(of_stranger);
        }
    }

    fn open_number(&mut self, contact: ContactId, number: u32, bundle: BundleId) {
        self.open.insert((contact, number), bundle);
        self.numbered.insert(bundle);
        if let Some(held) = self.held.get_mut(&bundle) {
            held.number = Number::Open;
        }
    }

    fn remove_contact(&mut self, contact: ContactId) {
        let numbered = &mut self.numbered;
        self.open.retain(|(of, _), bundle| *of != contact || !numbered.remove(bundle));
        self.messages.retain(|_, of| *of != contact);
        self.cursors.remove(&contact);
        let own: Vec<BundleId> = self.held.iter().filter(|(_, held)| held.origin == Origin::Own(contact)).map(|(id, _)| *id).collect();
        own.iter().for_each(|id| self.remove(id));
    }
}
