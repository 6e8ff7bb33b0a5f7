//! Repair of a pair whose ratchets have fallen apart, as after a restored backup (docs/protocol.md, section 7.7): the policy around
//! `crypto::exchange::repair`.
//!
//! A restored side is *frozen*: it seals nothing until the contact has answered, for it might use keys a second time. The pair's state is
//! replaced when the exchange is complete on this side; what has no receipt is then queued again, under the same message ids.

use std::time::Duration;

use hedgerow_transports::LinkId;
use zeroize::Zeroizing;

use super::{
    Engine, Expected, Timer,
    link::Peer,
    pair::{Contact, Pair},
    relay::Rank,
};
use crate::{
    crypto::{
        bundle_seal::Envelope,
        exchange::repair::{AnswerState, Day, Parties, PendingOffer, RepairSecret, Side, open_offer},
        identity::Card,
        link::TRIES,
        pair_keys::{PairKeys, PairRole},
        ratchet::Ratchet,
        secret::Secret,
    },
    id::{BundleId, ContactId, Tag},
    session::{RECOGNITION_LIST_LEN, RecognitionKeys, SessionInfo, recognition::find_match},
    store::{Origin, Setting, StoreError},
    time::{Hour, Instant, Now},
    view::{ContactState, MessageState},
    wire::{
        bundle::{Bundle, Class, Lifetime},
        codec::Reader,
        record::ByeReason,
    },
};

/// The version of [`Repair::encode`].
const REPAIR_VERSION: u8 = 1;
/// Lifetime of offers and answers (docs/protocol.md, section 7.7).
const LIFETIME: Lifetime = Lifetime::Week;
/// After how many days an offer goes out again to a contact that is not in reach: before the last one has expired.
const REPEAT_DAYS: u32 = 6;
/// Links remembered of one contact, at most (policy): the oldest gives way.
pub(super) const MAX_USED_LINKS: usize = 16;
/// How often an offer is sealed with the same keys: as often as it can be answered (docs/protocol.md, section 7.7).
const MAX_OFFERS: u8 = TRIES;
/// For how many days an answerer lists the repair, unless it has met the contact (docs/protocol.md, section 7.7).
const ANSWERED_DAYS: u32 = 14;
/// Repairs listed at once (docs/protocol.md, section 7.7).
pub(super) const MAX_LISTED: usize = 32;
/// How long a repair is listed because the contact listed it, and how long until it is so again (docs/protocol.md, section 7.7).
const HINT_LISTED: Duration = Duration::from_secs(3600);
const HINT_EVERY: Duration = Duration::from_secs(24 * 3600);
/// How long a reader in reach may take for a receipt, and how many bundles in turn without one call for a repair (section 7.7).
const RECEIPT_WITHIN: Duration = Duration::from_secs(60);
const MAX_STRIKES: u8 = 3;

/// An offer of ours that waits for its answer.
struct Offered {
    keys: PendingOffer,
    /// How often it was sealed.
    tries: u8,
    /// The last one.
    bundle: BundleId,
}

/// The last answer that we gave.
struct Answered {
    state: AnswerState,
    /// How often it was sealed.
    count: u8,
    /// The last one.
    bundle: BundleId,
    /// The contact has shown that it has the new keys.
    met: bool,
}

/// A link of somebody else's that led to a contact.
#[derive(Clone, Copy)]
pub(super) struct UsedLink {
    /// Its id.
    pub(super) id: [u8; 8],
    /// The last hour in which it is remembered.
    pub(super) until: Hour,
}

/// What is kept of one contact for its repair, and of how the two became contacts; it outlives the ratchet.
pub(super) struct Repair {
    secret: RepairSecret,
    /// The pair came of a link of ours (docs/protocol.md, section 7.5: links that cross).
    pub(super) of_own_link: bool,
    /// The last contact that was made before this one first showed that it has the pair.
    pub(super) met: Option<ContactId>,
    /// The links that led to it, the oldest first; at most [`MAX_USED_LINKS`].
    pub(super) used_links: Vec<UsedLink>,
    /// The ratchet was restored: it must not seal.
    pub(super) frozen: bool,
    /// Receipts have failed to come: an offer is due, if only tomorrow.
    wanted: bool,
    /// The day of our last offer, and that of the contact's last one that was answered.
    last_offered: Day,
    last_accepted: Day,
    offer: Option<Offered>,
    answer: Option<Answered>,
    /// Not stored: a bundle that its reader has stored, and since when its receipt is awaited on which link.
    watched: Option<(BundleId, LinkId, Instant)>,
    /// Not stored: how many in turn got none.
    strikes: u8,
    /// Not stored: the contact has listed the repair in vain; and whether it is listed here because of that.
    hinted: Option<Instant>,
    answers_hint: bool,
}

impl Repair {
    /// Begins with a contact exchange.
    pub(super) fn new(keys: &PairKeys) -> Self {
        Self { of_own_link: keys.role == PairRole::Issuer, ..Self::with_secret(RepairSecret::new(&keys.pair_secret)) }
    }

    /// Remembers a link that led to the contact.
    pub(super) fn remember_link(&mut self, link: UsedLink) {
        self.used_links.retain(|other| other.id != link.id);
        if self.used_links.len() >= MAX_USED_LINKS {
            self.used_links.remove(0);
        }
        self.used_links.push(link);
    }

    /// The id of the pair.
    pub(super) fn pair_id(&self) -> [u8; 16] {
        self.secret.pair_id()
    }

    const fn with_secret(secret: RepairSecret) -> Self {
        Self {
            secret,
            of_own_link: false,
            met: None,
            used_links: Vec::new(),
            frozen: false,
            wanted: false,
            last_offered: Day(0),
            last_accepted: Day(0),
            offer: None,
            answer: None,
            watched: None,
            strikes: 0,
            hinted: None,
            answers_hint: false,
        }
    }

    /// Encodes it for the store.
    pub(super) fn encode(&self) -> Zeroizing<Vec<u8>> {
        let offer = self.offer.as_ref().map(|offer| (offer.keys.encode(), offer.tries, offer.bundle));
        let answer = self.answer.as_ref().map(|answer| (answer.state.encode(), answer.count, answer.bundle));
        let length = |part: &Option<(Zeroizing<Vec<u8>>, u8, BundleId)>| part.as_ref().map_or(0, |(state, ..)| state.len() + 33);
        let mut out = Zeroizing::new(Vec::with_capacity(64 + 12 * self.used_links.len() + length(&offer) + length(&answer)));
        out.push(REPAIR_VERSION);
        out.extend_from_slice(self.secret.expose());
        out.push(self.of_own_link.into());
        out.extend_from_slice(&self.met.map_or(0, |id| id.0).to_be_bytes());
        out.push(self.used_links.len() as u8);
        for link in &self.used_links {
            out.extend_from_slice(&link.id);
            out.extend_from_slice(&link.until.0.to_be_bytes());
        }
        let met = self.answer.as_ref().is_some_and(|answer| answer.met);
        out.extend_from_slice(&[self.frozen.into(), self.wanted.into(), met.into()]);
        out.extend_from_slice(&self.last_offered.0.to_be_bytes());
        out.extend_from_slice(&self.last_accepted.0.to_be_bytes());
        for part in [offer, answer] {
            let Some((state, count, bundle)) = part else {
                out.extend_from_slice(&[0; 4]);
                continue;
            };
            out.extend_from_slice(&(state.len() as u32).to_be_bytes());
            out.extend_from_slice(&state);
            out.push(count);
            out.extend_from_slice(&bundle.0);
        }
        out
    }

    /// Decodes what [`encode`](Self::encode) wrote; `None` if it did not.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        if reader.u8().ok()? != REPAIR_VERSION {
            return None;
        }
        let mut repair = Self::with_secret(RepairSecret::from_stored(Secret::from_slice(reader.bytes(32).ok()?)?));
        repair.of_own_link = reader.u8().ok()? != 0;
        repair.met = Some(ContactId(reader.u32().ok()?)).filter(|id| id.0 != 0);
        for _ in 0..reader.u8().ok()? {
            repair.used_links.push(UsedLink { id: reader.array().ok()?, until: Hour(reader.u32().ok()?) });
        }
        let [frozen, wanted, met] = reader.array().ok()?;
        (repair.frozen, repair.wanted) = (frozen != 0, wanted != 0);
        (repair.last_offered, repair.last_accepted) = (Day(reader.u32().ok()?), Day(reader.u32().ok()?));
        let mut part = || -> Option<Option<(&[u8], u8, BundleId)>> {
            let length = usize::try_from(reader.u32().ok()?).ok()?;
            if length == 0 {
                return Some(None);
            }
            Some(Some((reader.bytes(length).ok()?, reader.u8().ok()?, BundleId(reader.array().ok()?))))
        };
        if let Some((state, tries, bundle)) = part()? {
            repair.offer = Some(Offered { keys: PendingOffer::decode(state).ok()?, tries, bundle });
        }
        if let Some((state, count, bundle)) = part()? {
            repair.answer = Some(Answered { state: AnswerState::decode(state).ok()?, count, bundle, met: met != 0 });
        }
        reader.finish().ok()?;
        Some(repair)
    }

    /// The state is an older one: nothing of it may be sealed with, offered or answered again, and no offer from before today be answered.
    fn note_restored(&mut self, today: Day) {
        self.frozen = true;
        self.offer = None;
        self.answer = None;
        self.last_accepted = self.last_accepted.max(Day(today.0.saturating_sub(1)));
    }

    /// Whether the repair is listed in sessions (docs/protocol.md, section 7.7).
    fn is_listed(&self) -> bool {
        self.offer.is_some() || self.answers_hint || self.answer.as_ref().is_some_and(|answer| !answer.met)
    }
}

impl Engine {
    /// Marks all contacts for repair if the profile has been restored since it was last opened; in a transaction of its own.
    pub(super) fn note_restored(&mut self, now: Now) -> Result<(), StoreError> {
        if self.store.load_setting(Setting::Restored)?.is_none_or(|mark| mark.is_empty()) {
            return Ok(());
        }
        let today = Day::of(self.hour(now));
        self.store.begin()?;
        self.rng.fill_bytes(&mut self.profile.epoch);
        self.store.save_setting(Setting::Epoch, &self.profile.epoch)?;
        for (id, contact) in &mut self.contacts {
            let Some(pair) = contact.pair.as_mut() else { continue };
            pair.repair.note_restored(today);
            self.store.save_pair(*id, &pair.encode())?;
        }
        self.store.save_setting(Setting::Restored, &[])?;
        self.store.commit()
    }

    /// Whether the pair may seal: it was not restored, or has been repaired since.
    pub(super) fn is_frozen(&self, contact: ContactId) -> bool {
        self.contacts.get(&contact).and_then(|contact| contact.pair.as_ref()).is_some_and(|pair| pair.repair.frozen)
    }

    /// The tags under which a contact's offer or answer may come now.
    pub(super) fn repair_tags(&self, contact: &Contact) -> Vec<(Tag, Expected)> {
        let (Some(pair), Some(side)) = (&contact.pair, self.side_towards(contact)) else { return Vec::new() };
        let (id, repair) = (contact.row.id, &pair.repair);
        let from = side.other();
        let offers = self.repair_day.into_iter().flat_map(Day::expected).filter(|day| *day > repair.last_accepted);
        let mut tags: Vec<_> = offers.map(|day| (repair.secret.offer_tag(from, day), Expected::RepairOffer(id, day))).collect();
        if let (Some(offer), Ok(card)) = (&repair.offer, Card::decode(&contact.row.card)) {
            let parties = Parties { secret: &repair.secret, device: &self.profile.device, contact: &card };
            tags.extend(offer.keys.answer_tags(parties).into_iter().map(|tag| (tag, Expected::RepairAnswer(id))));
        }
        tags
    }

    /// Moves the expected tags on with the week, and opens what is held under them; ends what has lasted long enough.
    pub(super) fn refresh_repairs(&mut self, now: Now) -> Result<(), StoreError> {
        self.repair_turn = self.repair_turn.wrapping_add(1);
        let hour = self.hour(now);
        if hour == Hour::UNKNOWN {
            return Ok(());
        }
        let today = Day::of(hour);
        for pair in self.contacts.values_mut().filter_map(|contact| contact.pair.as_mut()) {
            let over = today.0 > pair.repair.last_accepted.0.saturating_add(ANSWERED_DAYS);
            if let Some(answer) = pair.repair.answer.as_mut().filter(|answer| over && !answer.met) {
                answer.met = true;
                pair.dirty = true;
            }
        }
        if self.repair_day.map(|day| day.0 / 7) == Some(today.0 / 7) {
            return Ok(());
        }
        self.repair_day = Some(today);
        self.tags.retain(|_, expected| !matches!(expected, Expected::RepairOffer(..)));
        let mut held = Vec::new();
        for contact in self.contacts.values().filter(|contact| contact.row.state == ContactState::Established) {
            let tags = self.repair_tags(contact);
            held.extend(tags.iter().flat_map(|(tag, _)| self.holdings.with_tag(tag)));
            self.tags.extend(tags);
        }
        for id in held {
            let from = match self.holdings.row(&id).map(|row| row.origin) {
                Some(Origin::Contact(contact)) => Some(contact),
                _ => None,
            };
            let bytes = self.holdings.bytes_of(self.store.as_ref(), &id)?;
            if let Some(bundle) = bytes.and_then(|bytes| Bundle::decode(bytes).ok()) {
                self.open_bundle(now, bundle, from)?;
            }
        }
        Ok(())
    }

    /// Offers a repair where one is due: at most one a day and contact.
    pub(super) fn offer_repair(&mut self, now: Now, contact: ContactId) -> Result<(), StoreError> {
        let hour = self.hour(now);
        let in_reach = !self.links_to(contact).is_empty();
        let Some(state) = self.contacts.get_mut(&contact).filter(|state| state.row.state == ContactState::Established) else {
            return Ok(());
        };
        let Some(pair) = state.pair.as_mut() else { return Ok(()) };
        let repair = &mut pair.repair;
        let (today, last) = (Day::of(hour), repair.last_offered);
        let lasts = repair.offer.is_some() && !in_reach && today.0 < last.0.saturating_add(REPEAT_DAYS);
        if hour == Hour::UNKNOWN || !(repair.frozen || repair.wanted) || today <= last || lasts {
            return Ok(());
        }
        let Ok(card) = Card::decode(&state.row.card) else { return Ok(()) };
        if repair.offer.as_ref().is_none_or(|offer| offer.tries >= MAX_OFFERS) {
            let Ok(keys) = PendingOffer::new(&card, self.rng.as_mut()) else { return Ok(()) };
            repair.offer = Some(Offered { keys, tries: 0, bundle: BundleId([0; 32]) });
        }
        let Some(offer) = repair.offer.as_mut() else { return Ok(()) };
        let parties = Parties { secret: &repair.secret, device: &self.profile.device, contact: &card };
        let Ok(sealed) = offer.keys.seal(parties, today, envelope(hour), self.rng.as_mut()) else { return Ok(()) };
        offer.tries += 1;
        offer.bundle = sealed.bundle.id();
        repair.last_offered = today;
        pair.dirty = true;
        self.add_own_bundle(now, contact, &sealed.bundle)?;
        self.forget_tags_of(contact);
        self.expect_tags_of(contact);
        self.push_repair(contact);
        Ok(())
    }

    /// Sends offer or answer on the links to a contact that is recognised only by the repair.
    fn push_repair(&mut self, contact: ContactId) {
        for link in self.links_to(contact) {
            self.meet_repairing(link, contact);
        }
    }

    /// A link was found to lead to a contact by its repair, or may: offer or answer goes out.
    pub(super) fn meet_repairing(&mut self, link: LinkId, contact: ContactId) {
        let Some(pair) = self.contacts.get(&contact).and_then(|contact| contact.pair.as_ref()) else { return };
        let answered = pair.repair.answer.as_ref().filter(|answer| !answer.met).map(|answer| answer.bundle);
        let bundles: Vec<BundleId> = pair.repair.offer.iter().map(|offer| offer.bundle).chain(answered).collect();
        let Some(state) = self.links.get_mut(&link).filter(|state| state.repairing && state.peer == Peer::Invited(contact)) else {
            return;
        };
        if answered.is_some() {
            self.upgrades.insert(contact);
        }
        for id in bundles {
            state.push(Rank::FIRST, id);
        }
        self.busy_links.insert(link);
        self.busy_contacts.insert(contact);
    }

    /// Opens a bundle that came under the tag of a contact's offer for `day`. `false` if it is none, or none that counts.
    pub(super) fn open_repair_offer(&mut self, now: Now, contact: ContactId, day: Day, bundle: &Bundle) -> Result<bool, StoreError> {
        let hour = self.hour(now);
        let Some(state) = self.contacts.get_mut(&contact).filter(|state| state.row.state == ContactState::Established) else {
            return Ok(false);
        };
        let (Some(pair), Ok(card)) = (state.pair.as_mut(), Card::decode(&state.row.card)) else { return Ok(false) };
        let repair = &mut pair.repair;
        let parties = Parties { secret: &repair.secret, device: &self.profile.device, contact: &card };
        let ours_wins = repair.offer.is_some() && parties.side() == Side::Lower;
        if hour == Hour::UNKNOWN || day <= repair.last_accepted || ours_wins {
            return Ok(false);
        }
        let Ok(offer) = open_offer(parties, day, bundle) else { return Ok(false) };
        let sealed = match repair.answer.as_mut().filter(|answer| answer.state.answers(&offer)) {
            Some(answer) => {
                let Ok(sealed) = answer.state.seal(answer.count, envelope(hour), self.rng.as_mut()) else { return Ok(true) };
                answer.count += 1;
                answer.bundle = sealed.bundle.id();
                repair.last_accepted = day;
                pair.dirty = true;
                sealed
            }
            None => {
                let Ok(accepted) = offer.accept(parties, envelope(hour), self.rng.as_mut()) else { return Ok(false) };
                repair.last_accepted = day;
                let answer = Answered { state: accepted.state, count: 1, bundle: accepted.bundle.bundle.id(), met: false };
                if !self.replace_pair(now, contact, accepted.keys, Some(answer))? {
                    return Ok(false);
                }
                accepted.bundle
            }
        };
        self.schedule_ack(now, bundle.id(), offer.ack())?;
        self.add_own_bundle(now, contact, &sealed.bundle)?;
        self.forget_tags_of(contact);
        self.expect_tags_of(contact);
        self.push_repair(contact);
        Ok(true)
    }

    /// Opens a bundle that came under a tag of the answer to our offer. `false` if it is none.
    pub(super) fn open_repair_answer(&mut self, now: Now, contact: ContactId, bundle: &Bundle) -> Result<bool, StoreError> {
        let Some(state) = self.contacts.get(&contact).filter(|state| state.row.state == ContactState::Established) else {
            return Ok(false);
        };
        let (Some(pair), Ok(card)) = (&state.pair, Card::decode(&state.row.card)) else { return Ok(false) };
        let Some(offer) = &pair.repair.offer else { return Ok(false) };
        let parties = Parties { secret: &pair.repair.secret, device: &self.profile.device, contact: &card };
        let Ok(answer) = offer.keys.open_answer(parties, bundle) else { return Ok(false) };
        let replaced = self.replace_pair(now, contact, answer.keys, None)?;
        if replaced {
            self.schedule_ack(now, bundle.id(), &answer.ack)?;
        }
        Ok(replaced)
    }

    /// The repair is complete on this side: new ratchet, numbers from 0; what has no receipt waits to be sealed again.
    fn replace_pair(&mut self, now: Now, contact: ContactId, keys: PairKeys, answer: Option<Answered>) -> Result<bool, StoreError> {
        let Some(state) = self.contacts.get_mut(&contact) else { return Ok(false) };
        let Ok(card) = Card::decode(&state.row.card) else { return Ok(false) };
        let starts = Side::of(self.profile.device.card(), &card) == Side::Lower;
        let Ok(ratchet) = Ratchet::new(keys, starts, self.rng.as_mut()) else { return Ok(false) };
        let Some(old) = state.pair.take() else { return Ok(false) };
        self.forget_own_bundles(contact)?;
        // The numbers of two ratchets must not be mixed up.
        self.store.prune_skipped(contact, u32::MAX, 0)?;
        for (number, row) in old.outbox {
            self.store.delete_outbox(contact, number)?;
            let Some(message) = row.message else { continue };
            self.change_message(contact, true, message, |row| {
                if row.state < MessageState::Delivered {
                    row.await_new_keys(now.wall);
                }
            })?;
        }
        for message in self.unfinished_data(contact) {
            self.change_message(contact, true, message, |row| {
                if row.state < MessageState::Delivered {
                    row.await_new_keys(now.wall);
                }
            })?;
        }
        self.repeat_all_complete(contact);
        let (mut repair, order) = (old.repair, old.order);
        (repair.frozen, repair.wanted, repair.offer, repair.answer) = (false, false, None, answer);
        (repair.watched, repair.strikes, repair.answers_hint) = (None, 0, false);
        let mut pair = Pair::new(ratchet, repair);
        (pair.order, pair.read_due) = (order, true);
        if let Some(state) = self.touch(contact) {
            state.pair = Some(pair);
        }
        self.forget_tags_of(contact);
        self.expect_tags_of(contact);
        self.busy_contacts.insert(contact);
        self.upgrades.insert(contact);
        self.notice(
            "repaired",
            "one of you has restored a backup or lost its keys: new keys were agreed on, and what was not confirmed is sent again".into(),
            Some(contact),
        );
        Ok(true)
    }

    /// Deletes what was sealed for a contact: it could not be opened any more, but for chunks, whose keys are none of the pair's.
    fn forget_own_bundles(&mut self, contact: ContactId) -> Result<(), StoreError> {
        let own: Vec<BundleId> = self
            .holdings
            .rows()
            .filter(|row| row.origin == Origin::Own(contact) && self.large.message_of(&row.tag).is_none())
            .map(|row| row.id)
            .collect();
        for id in own {
            self.discard_bundle(&id)?;
        }
        Ok(())
    }

    /// The contact has shown that it has the keys of the pair.
    pub(super) fn note_repair_met(&mut self, contact: ContactId) {
        let last = self.contacts.last_key_value().map(|(id, _)| *id);
        let Some(pair) = self.pair(contact) else { return };
        if pair.repair.met.is_none() {
            pair.repair.met = last;
            pair.dirty = true;
        }
        if let Some(answer) = pair.repair.answer.as_mut().filter(|answer| !answer.met) {
            answer.met = true;
            pair.dirty = true;
        }
    }

    /// The repairs that are listed in sessions: those of contacts seen last, and by turns, if they are more than [`MAX_LISTED`].
    pub(super) fn listed_repairs(&self) -> Vec<(ContactId, RecognitionKeys)> {
        let mut listed: Vec<(ContactId, RecognitionKeys)> = self
            .repairs()
            .filter(|(_, repair, _)| repair.is_listed())
            .map(|(id, repair, side)| (id, recognition_keys(repair, side)))
            .collect();
        if listed.len() > MAX_LISTED {
            let turn = (self.repair_turn as usize).saturating_mul(MAX_LISTED) % listed.len();
            listed.rotate_left(turn);
            listed.truncate(MAX_LISTED);
        }
        listed
    }

    /// What is kept for the repairs of all contacts, with this device's side.
    fn repairs(&self) -> impl Iterator<Item = (ContactId, &Repair, Side)> {
        self.contacts
            .values()
            .filter(|contact| contact.row.state == ContactState::Established)
            .filter_map(|contact| Some((contact.row.id, &contact.pair.as_ref()?.repair, self.side_towards(contact)?)))
    }

    /// Which side this device is towards a contact, from the identity on its card, which was checked when it was stored.
    fn side_towards(&self, contact: &Contact) -> Option<Side> {
        let identity = contact.row.card.get(16..)?.first_chunk()?;
        Some(Side::of_identities(self.profile.device.card().identity(), identity))
    }

    /// Looks for the entry of a repair that both list.
    pub(super) fn find_repairing(&self, list: &[u8; RECOGNITION_LIST_LEN], info: &SessionInfo) -> Option<(Peer, RecognitionKeys)> {
        let mut listed = self.listed_repairs();
        // In the order of the initiator's entries, so that both sides choose alike.
        listed.sort_by_key(|(_, keys)| keys.initiator_entry(info));
        let expected: Vec<_> = listed.iter().enumerate().map(|(index, (_, keys))| (keys.other_entry(info), index)).collect();
        let &index = find_match(list, &expected)?;
        listed.into_iter().nth(index).map(|(contact, keys)| (Peer::Invited(contact), keys))
    }

    /// Looks for the entry of a repair that only the other side lists.
    pub(super) fn find_repair_hint(&self, list: &[u8; RECOGNITION_LIST_LEN], info: &SessionInfo) -> Option<ContactId> {
        let expected: Vec<_> = self
            .repairs()
            .filter(|(_, repair, _)| !repair.is_listed())
            .map(|(id, repair, side)| (recognition_keys(repair, side).other_entry(info), id))
            .collect();
        find_match(list, &expected).copied()
    }

    /// A session ended unrecognised in which a contact listed the repair: it is listed here too for a while, in new sessions.
    pub(super) fn note_repair_hint(&mut self, now: Now, link: LinkId, contact: ContactId) {
        let in_reach = self.is_in_reach(contact);
        let Some(pair) = self.pair(contact) else { return };
        if in_reach || pair.repair.hinted.is_some_and(|last| now.mono.since(last) < HINT_EVERY) {
            return;
        }
        pair.repair.hinted = Some(now.mono);
        pair.repair.answers_hint = true;
        self.timers.insert((now.mono + HINT_LISTED, Timer::Repair(contact)));
        self.end_link(link, ByeReason::Closing);
    }

    /// A peer has stored a bundle of ours: if it is the reader, its receipt is awaited.
    pub(super) fn watch_receipt(&mut self, link: LinkId, bundle: &BundleId) {
        let Some(state) = self.links.get(&link) else { return };
        let (Peer::Contact(contact), since) = (state.peer, state.last_heard) else { return };
        if self.holdings.row(bundle).is_none_or(|row| row.origin != Origin::Own(contact)) {
            return;
        }
        let Some(pair) = self.pair(contact) else { return };
        if pair.repair.watched.is_none() && pair.by_bundle.contains_key(bundle) {
            pair.repair.watched = Some((*bundle, link, since));
            self.timers.insert((since + RECEIPT_WITHIN, Timer::Repair(contact)));
        }
    }

    /// A receipt came: the ratchets fit.
    pub(super) fn note_receipt(pair: &mut Pair) {
        pair.repair.strikes = 0;
    }

    /// A contact's timer: a hint has been answered for long enough; a receipt is late.
    pub(super) fn check_repair(&mut self, now: Now, contact: ContactId) {
        let Some(pair) = self.contacts.get_mut(&contact).and_then(|contact| contact.pair.as_mut()) else { return };
        if pair.repair.hinted.is_some_and(|since| now.mono.since(since) >= HINT_LISTED) {
            pair.repair.answers_hint = false;
        }
        let Some((bundle, link, _)) = pair.repair.watched.filter(|(_, _, since)| now.mono.since(*since) >= RECEIPT_WITHIN) else { return };
        pair.repair.watched = None;
        let lasts = self.links.get(&link).is_some_and(super::link::LinkState::is_open);
        if !lasts || !pair.by_bundle.contains_key(&bundle) {
            return;
        }
        pair.repair.strikes = pair.repair.strikes.saturating_add(1);
        if pair.repair.strikes >= MAX_STRIKES {
            pair.repair.strikes = 0;
            pair.repair.wanted = true;
            pair.dirty = true;
            self.busy_contacts.insert(contact);
        }
    }
}

fn recognition_keys(repair: &Repair, side: Side) -> RecognitionKeys {
    let [own, other, link] = repair.secret.recognition(side);
    RecognitionKeys::new(own, other, link)
}

fn envelope(hour: Hour) -> Envelope {
    Envelope { class: Class::Normal, lifetime: LIFETIME, created: hour }
}
