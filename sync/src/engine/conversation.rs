//! Messages: sealing what waits, opening what comes, receipts both ways (docs/protocol.md, section 8).

use std::{collections::VecDeque, time::Duration};

use super::{
    Changed, Engine, Expected, Timer,
    config::{MAX_ASKED_PER_DAY, MAX_COMPLETE_TOLD, MAX_ORDER_STEP, MAX_SEALS, MAX_TRIES_PER_TAG, SEAL_BATCH},
    holdings::Known,
    pair::Contact,
};
use crate::{
    crypto::{
        bundle_seal::{AckSecret, Envelope},
        ratchet::{MAX_SKIPPED_PER_CONTACT, Opened, PqItem, SKIPPED_KEY_HOURS, SkippedKey},
    },
    delay,
    id::{BundleId, ContactId, MessageId, Tag},
    store::{AckRow, GoneReason, LogEvent, MessageLog, MessageRow, Origin, OutboxRow, SkippedRow, StoreError},
    time::{Hour, Now, UnixMillis},
    view::{ContactState, MessageState},
    wire::{
        bundle::{Bundle, Class, Lifetime, body_capacity},
        item::{Item, MAX_ASK_RANGES, MAX_RECEIPT_RANGES, NumberRange, Text},
    },
};

/// Numbers that texts leave free in a window, so that receipts can always follow (guess: more than cross in one round).
pub(super) const RESERVED_FOR_RECEIPTS: u32 = 16;
/// Lifetime of private messages (design brief, 4.4).
pub(super) const MESSAGE_LIFETIME: Lifetime = Lifetime::Fortnight;

/// What a body is for, as its sender keeps it.
struct Purpose {
    message: Option<MessageId>,
    wants_receipt: bool,
    urgent: bool,
}

impl Engine {
    /// Opens a bundle that has just been stored, and all held ones that become expected by it.
    ///
    /// Whoever has seen a tag can copy it, so every bundle under it is tried, once, when it comes: a header that does not open costs less
    /// than the hash of the bundle did, and a limit would let eight copies stop the message. Only who sends an exchange on a session that
    /// its link opened, where nothing is stored, has so many tries (`from`).
    pub(super) fn open_bundle(&mut self, now: Now, bundle: Bundle, from: Option<ContactId>) -> Result<(), StoreError> {
        let mut held = VecDeque::from(self.open_or_count(now, &bundle, from)?);
        while let Some(id) = held.pop_front() {
            let bytes = self.holdings.bytes_of(self.store.as_ref(), &id)?;
            if let Some(bundle) = bytes.and_then(|bytes| Bundle::decode(bytes).ok()) {
                held.extend(self.open_or_count(now, &bundle, None)?);
            }
        }
        Ok(())
    }

    /// Opens a bundle, or counts the failure; returns the bundles held that are expected since.
    fn open_or_count(&mut self, now: Now, bundle: &Bundle, from: Option<ContactId>) -> Result<Vec<BundleId>, StoreError> {
        let tag = bundle.header().tag;
        let noted = self.note_brought(bundle, from)?;
        let (opened, newly_expected) = self.try_open(now, bundle)?;
        if let Some(contact) = noted.filter(|_| !opened) {
            self.answered.remove(&contact);
        }
        if opened {
            self.tries.remove(&tag);
        } else if self.is_exchange_by(&tag, from) {
            let tries = self.tries.entry(tag).or_default();
            *tries = tries.saturating_add(1);
            if *tries == MAX_TRIES_PER_TAG {
                let text = "who holds the link of this contact sends what can't be opened: a program is faulty, or somebody interferes";
                self.notice("unopened", text.into(), from);
            }
        }
        Ok(newly_expected)
    }

    /// Notes that somebody else than its sender has brought a bundle that may be opened now; returns the sender if that is news.
    fn note_brought(&mut self, bundle: &Bundle, from: Option<ContactId>) -> Result<Option<ContactId>, StoreError> {
        let Some(contact) = self.expected_from(&bundle.header().tag)? else { return Ok(None) };
        let by_itself = from.is_some() || self.holdings.origin_of(&bundle.id()) == Some(Origin::Contact(contact));
        Ok((!by_itself && self.answered.insert(contact)).then_some(contact))
    }

    /// Whether who is to send an exchange under this tag, on a session that its link opened, has used up its tries.
    pub(super) fn is_tried_out(&self, tag: &Tag) -> bool {
        self.tries.get(tag).is_some_and(|tries| *tries >= MAX_TRIES_PER_TAG)
    }

    /// Whether a bundle under this tag comes from the holder of the link, or the contact, whose exchange it announces.
    fn is_exchange_by(&self, tag: &Tag, from: Option<ContactId>) -> bool {
        from.is_some_and(|from| self.tags.get(tag).is_some_and(|expected| expected.is_exchange_of(from)))
    }

    /// Tries the keys that a bundle's tag points to. Returns whether it opened, and the bundles held that are expected since.
    fn try_open(&mut self, now: Now, bundle: &Bundle) -> Result<(bool, Vec<BundleId>), StoreError> {
        let tag = bundle.header().tag;
        let (contact, opened) = match self.tags.get(&tag).copied() {
            Some(Expected::Request(contact) | Expected::Reply(contact)) => {
                let was_one = self.pair(contact).is_some();
                let opened = self.open_request(now, contact, bundle)? || self.open_reply(now, contact, bundle)?;
                return Ok((opened, if was_one { Vec::new() } else { self.held_for(contact) }));
            }
            Some(Expected::Chunk(_, slot, index)) => return Ok((self.open_chunk(now, slot, index, bundle)?, Vec::new())),
            Some(Expected::RepairOffer(contact, day)) => {
                return Ok((self.open_repair_offer(now, contact, day, bundle)?, self.held_for(contact)));
            }
            Some(Expected::RepairAnswer(contact)) => {
                return Ok((self.open_repair_answer(now, contact, bundle)?, self.held_for(contact)));
            }
            Some(Expected::Message(contact, place)) => {
                let Some(pair) = self.contacts.get_mut(&contact).and_then(|contact| contact.pair.as_mut()) else {
                    return Ok((false, Vec::new()));
                };
                (contact, pair.ratchet.open(place, bundle, self.rng.as_mut()))
            }
            None => {
                let Some(row) = self.store.find_skipped(&tag)? else { return Ok((false, Vec::new())) };
                let contact = row.contact;
                let blocked = self.contacts.get(&contact).is_none_or(|contact| contact.row.state == ContactState::Blocked);
                let key =
                    SkippedKey::decode(row.tag, row.chain, row.number, &row.keys).map_err(|_| StoreError::Damaged("a skipped key"))?;
                let opened = if blocked { None } else { self.pair(contact).and_then(|pair| pair.ratchet.open_skipped(&key, bundle)) };
                if opened.is_some() {
                    self.store.delete_skipped(&tag)?;
                }
                (contact, opened)
            }
        };
        let Some(opened) = opened else { return Ok((false, Vec::new())) };
        let newly = self.take_opened(now, contact, bundle.id(), opened)?;
        Ok((true, newly))
    }

    /// Bundles held under any tag that a contact may send under: for one that is new.
    fn held_for(&self, contact: ContactId) -> Vec<BundleId> {
        let Some(pair) = self.contacts.get(&contact).and_then(|contact| contact.pair.as_ref()) else { return Vec::new() };
        pair.ratchet.expected().iter().flat_map(|(tag, _)| self.holdings.with_tag(tag)).collect()
    }

    fn take_opened(&mut self, now: Now, contact: ContactId, bundle: BundleId, opened: Opened) -> Result<Vec<BundleId>, StoreError> {
        let hour = self.clock.running_hours();
        for tag in &opened.forget {
            self.tags.remove(tag);
            self.tries.remove(tag);
        }
        let mut newly = Vec::new();
        for (tag, place) in opened.expect {
            self.tags.insert(tag, Expected::Message(contact, place));
            newly.extend(self.holdings.with_tag(&tag).into_iter().filter(|id| *id != bundle));
            // What was let go before anybody knew whose it is may come again.
            self.holdings.forget_dropped_under(self.store.as_mut(), &tag)?;
        }
        for key in &opened.skipped {
            let keys = zeroize::Zeroizing::new(key.encode().to_vec());
            let row = SkippedRow { contact, tag: key.tag, number: key.number, chain: key.chain, stored_hour: hour, keys };
            self.store.insert_skipped(&row)?;
        }
        if !opened.skipped.is_empty() {
            let before = hour.saturating_sub(SKIPPED_KEY_HOURS);
            self.store.prune_skipped(contact, before, MAX_SKIPPED_PER_CONTACT as u32)?;
        }
        if let Some(pair) = self.pair(contact) {
            pair.dirty = true;
        }
        self.note_met(now, contact)?;
        self.schedule_ack(now, bundle, &opened.ack)?;
        if !self.config.carries_on() {
            let hour = self.hour(now);
            self.holdings.remove(self.store.as_mut(), &bundle, Some((GoneReason::Dropped, [0; 16], hour)))?;
        }
        self.close_confirmed(now, contact)?;
        match Item::decode_all(&opened.plaintext) {
            Ok(items) => self.take_items(now, contact, opened.number, items)?,
            Err(_) => self.notice("unreadable", "a message of this contact can't be read: its program may be faulty".into(), Some(contact)),
        }
        self.busy_contacts.insert(contact);
        Ok(newly)
    }

    fn take_items(&mut self, now: Now, contact: ContactId, number: u32, items: Vec<Item>) -> Result<(), StoreError> {
        let mut only_receipts = true;
        for item in items {
            only_receipts &= matches!(item, Item::Receipt(_));
            match item {
                Item::Text(text) => self.take_text(now, contact, Some(number), text)?,
                Item::Manifest(manifest) => self.take_manifest(now, contact, Some(number), &manifest)?,
                Item::Complete(id) => self.take_complete(now, contact, id)?,
                Item::Receipt(ranges) => {
                    for range in ranges {
                        let Some(pair) = self.pair(contact) else { break };
                        let open: Vec<u32> = pair.outbox.range(range.numbers()).map(|(number, _)| *number).collect();
                        for number in open {
                            self.close_delivered(now, contact, number)?;
                        }
                    }
                }
                Item::Ask(ranges) => self.answer_ask(now, contact, &ranges)?,
                Item::Read { order, id } => {
                    self.flush_messages()?;
                    for message in self.store.mark_read(contact, true, (order, id))? {
                        if let Some(mut row) = self.store.find_message(contact, true, message)? {
                            row.log.push(now.wall, LogEvent::Read);
                            self.changed.insert((contact, true, message), Changed { row, saved: false });
                        }
                    }
                }
                Item::PqKey { epoch, key } => {
                    if let Some(pair) = self.contacts.get_mut(&contact).and_then(|contact| contact.pair.as_mut()) {
                        pair.ratchet.handle_pq_key(epoch, &key, self.rng.as_mut());
                    }
                }
                Item::PqCiphertext { epoch, ciphertext } => {
                    if let Some(pair) = self.pair(contact) {
                        pair.ratchet.handle_pq_ciphertext(epoch, &ciphertext);
                    }
                }
            }
        }
        if let Some(pair) = self.pair(contact).filter(|_| !only_receipts) {
            pair.receipt_owed = true;
        }
        Ok(())
    }

    /// Stores what a contact wrote, unless it is there; `number` is absent if it came with a contact request.
    pub(super) fn take_text(&mut self, now: Now, contact: ContactId, number: Option<u32>, text: Text) -> Result<(), StoreError> {
        if self.pair(contact).is_none() {
            return Ok(());
        }
        let order = self.place_order(contact, text.order);
        let row = MessageRow {
            contact,
            outgoing: false,
            id: text.id,
            order,
            text: text.text,
            sent: text.sent,
            stored: now.wall,
            state: MessageState::Delivered,
            urgent: false,
            number,
            expires: None,
            handed_contacts: 0,
            handed_strangers: 0,
            sealed: 0,
            log: MessageLog::default(),
        };
        if self.store.insert_message(&row)? {
            self.count_mail(contact, row.text.len() as u64);
            self.changed.insert((contact, false, row.id), Changed { row, saved: true });
        }
        Ok(())
    }

    /// The place of a contact's message, which says that it is `order`: a contact may not push a conversation's order out of reach.
    pub(super) fn place_order(&mut self, contact: ContactId, order: u64) -> u64 {
        let Some(pair) = self.pair(contact) else { return order };
        let placed = if order > pair.order.saturating_add(MAX_ORDER_STEP) { pair.order.saturating_add(1) } else { order };
        pair.order = pair.order.max(placed);
        placed
    }

    /// Closes the numbers that the other side has confirmed in a header.
    fn close_confirmed(&mut self, now: Now, contact: ContactId) -> Result<(), StoreError> {
        let Some(pair) = self.pair(contact) else { return Ok(()) };
        let confirmed = pair.ratchet.peer_confirmed();
        let open: Vec<u32> = pair.outbox.range(..confirmed).map(|(number, _)| *number).collect();
        open.into_iter().try_for_each(|number| self.close_delivered(now, contact, number))
    }

    /// A number has arrived: its message is delivered, and its bundle may be let go after a while.
    pub(super) fn close_delivered(&mut self, now: Now, contact: ContactId, number: u32) -> Result<(), StoreError> {
        let Some(pair) = self.pair(contact) else { return Ok(()) };
        let Some(row) = pair.close_number(number) else { return Ok(()) };
        Self::note_receipt(pair);
        pair.ratchet.note_receipted(number..number.saturating_add(1));
        pair.dirty = true;
        self.store.delete_outbox(contact, number)?;
        self.schedule_ack(now, row.bundle, &AckSecret::new(*row.ack))?;
        match row.message {
            // Its manifest is there; it is delivered once all of it is.
            Some(message) if self.large.is_outgoing(contact, message) => Ok(()),
            Some(message) => self.change_message(contact, true, message, |row| {
                if row.state < MessageState::Delivered {
                    row.state = MessageState::Delivered;
                    row.log.push(now.wall, LogEvent::Receipt);
                }
            }),
            None => self.confirm_complete(contact, number),
        }
    }

    /// Keeps an ack secret until it may be told: after a random while, so that nobody sees who read what (design brief, 4.4).
    pub(super) fn schedule_ack(&mut self, now: Now, bundle: BundleId, secret: &AckSecret) -> Result<(), StoreError> {
        if !matches!(self.holdings.known(&bundle), Some(Known::Held | Known::Gone(GoneReason::Dropped))) || self.acks.contains_key(&bundle)
        {
            return Ok(());
        }
        let (mean, most) = self.config.ack_delay;
        let delay = self.exponential(mean, most);
        let due = UnixMillis(now.wall.0.saturating_add(delay.as_millis() as u64));
        self.store.insert_ack(&AckRow { bundle, secret: zeroize::Zeroizing::new(*secret.expose()), due })?;
        self.acks.insert(bundle, (due, zeroize::Zeroizing::new(*secret.expose())));
        self.holdings.note_opened(&bundle);
        // One timer is enough: when it comes, the next is set.
        let earlier = self.timers.iter().any(|(at, timer)| *timer == Timer::Acks && *at <= now.mono + delay);
        if !earlier {
            self.timers.insert((now.mono + delay, Timer::Acks));
        }
        Ok(())
    }

    /// Tells the ack secrets that are due, and lets their bundles go.
    pub(super) fn tell_due_acks(&mut self, now: Now) -> Result<(), StoreError> {
        // Further ahead than any delay lies only what was scheduled by a clock that has been set back since.
        let latest = now.wall.0.saturating_add(self.config.ack_delay.1.as_millis() as u64);
        let is_due = |due: UnixMillis| due <= now.wall || due.0 > latest;
        let due: Vec<(BundleId, [u8; 16])> =
            self.acks.iter().filter(|(_, (due, _))| is_due(*due)).map(|(id, (_, secret))| (*id, **secret)).collect();
        for (id, secret) in due {
            self.learn_ack(now, &id, secret)?;
            if self.acks.remove(&id).is_some() {
                self.store.delete_ack(&id)?;
            }
        }
        // The wall clock may be set back meanwhile: whatever is left is looked at again later.
        if let Some(next) = self.acks.values().map(|(due, _)| due.0).min() {
            let wait = Duration::from_millis(next.saturating_sub(now.wall.0)).clamp(Duration::from_secs(1), self.config.tick);
            self.timers.insert((now.mono + wait, Timer::Acks));
        }
        Ok(())
    }

    /// The contact misses numbers: messages without a receipt are sealed again (docs/protocol.md, section 8.6).
    fn answer_ask(&mut self, now: Now, contact: ContactId, ranges: &[NumberRange]) -> Result<(), StoreError> {
        let hour = self.hour(now);
        for range in ranges {
            let Some(pair) = self.pair(contact) else { return Ok(()) };
            let open: Vec<u32> = pair.outbox.range(range.numbers()).map(|(number, _)| *number).collect();
            for number in open {
                let Some(pair) = self.pair(contact) else { return Ok(()) };
                // Before it lies only a clock that was wrong.
                if hour >= pair.asked.0.plus(24) || hour < pair.asked.0 {
                    pair.asked = (hour, 0);
                }
                if pair.asked.1 >= MAX_ASKED_PER_DAY {
                    return Ok(());
                }
                pair.asked.1 += 1;
                self.seal_again(now, contact, number)?;
            }
        }
        Ok(())
    }

    /// Gives a number up; its message waits to be sealed under another one, unless it was sealed too often.
    fn seal_again(&mut self, now: Now, contact: ContactId, number: u32) -> Result<(), StoreError> {
        let Some(pair) = self.pair(contact) else { return Ok(()) };
        let Some(message) = pair.outbox.get(&number).map(|row| row.message) else { return Ok(()) };
        if let Some(message) = message {
            self.flush_messages()?;
            let sealed = self.store.find_message(contact, true, message)?.map_or(MAX_SEALS, |row| row.sealed);
            if sealed >= MAX_SEALS {
                return Ok(());
            }
            self.change_message(contact, true, message, |row| {
                row.number = None;
                row.state = MessageState::Queued;
                row.log.push(now.wall, LogEvent::AskedAgain);
            })?;
        }
        let Some(pair) = self.pair(contact) else { return Ok(()) };
        pair.give_up(number);
        pair.unsealed = true;
        pair.dirty = true;
        self.repeat_complete(contact, number);
        self.store.delete_outbox(contact, number)?;
        self.busy_contacts.insert(contact);
        Ok(())
    }

    /// Seals what a contact is to be sent: hybrid steps, texts, receipts. Called at the end of every batch that touched it.
    pub(super) fn seal_due(&mut self, now: Now, contact: ContactId) -> Result<(), StoreError> {
        self.offer_repair(now, contact)?;
        self.ride_on_request(now, contact)?;
        if !self.may_seal(now, contact) {
            return Ok(());
        }
        self.seal_pq(now, contact)?;
        self.seal_texts(now, contact)?;
        self.seal_ask(now, contact)?;
        let in_reach = self.is_in_reach(contact);
        self.seal_receipt(now, contact, in_reach)
    }

    /// Whether anything may be sealed for a contact. A bundle without a created hour is rare and so linkable: only straight to its reader
    /// (design brief, 4.2).
    pub(super) fn may_seal(&self, now: Now, contact: ContactId) -> bool {
        let paired = self.contacts.get(&contact).is_some_and(Contact::is_paired);
        paired && !self.is_frozen(contact) && (self.hour(now) != Hour::UNKNOWN || self.is_in_reach(contact))
    }

    fn seal_pq(&mut self, now: Now, contact: ContactId) -> Result<(), StoreError> {
        let hour = self.hour(now);
        let Some(pair) = self.contacts.get_mut(&contact).and_then(|contact| contact.pair.as_mut()) else { return Ok(()) };
        if hour == Hour::UNKNOWN || !pair.ratchet.is_pq_due(hour) || pair.ratchet.allowance() == 0 {
            return Ok(());
        }
        let Some(item) = pair.ratchet.poll_pq_item(hour, self.rng.as_mut()) else { return Ok(()) };
        pair.dirty = true;
        let item = match item {
            PqItem::Key { epoch, key } => Item::PqKey { epoch, key },
            PqItem::Ciphertext { epoch, ciphertext } => Item::PqCiphertext { epoch, ciphertext },
        };
        self.seal(now, contact, vec![item], &Purpose { message: None, wants_receipt: true, urgent: false })?;
        Ok(())
    }

    fn seal_texts(&mut self, now: Now, contact: ContactId) -> Result<(), StoreError> {
        loop {
            let Some(pair) = self.pair(contact) else { return Ok(()) };
            let room = pair.ratchet.allowance().saturating_sub(RESERVED_FOR_RECEIPTS);
            if !pair.unsealed || room == 0 {
                return Ok(());
            }
            self.flush_messages()?;
            let wanted = room.min(SEAL_BATCH);
            let rows = self.store.load_unsealed(contact, wanted)?;
            let more = rows.len() as u32 == wanted;
            let mut waits = false;
            for mut row in rows {
                // Its chunks would have no created hour, and go straight to the reader alone.
                if self.hour(now) == Hour::UNKNOWN && self.large.is_outgoing(contact, row.id) {
                    waits = true;
                    continue;
                }
                if !self.seal_text(now, &mut row)? {
                    return Ok(());
                }
                self.changed.insert((contact, true, row.id), Changed { row, saved: false });
            }
            if let Some(pair) = self.pair(contact) {
                pair.unsealed = more || waits;
            }
            if waits {
                return Ok(());
            }
        }
    }

    /// Seals one message and notes it in its row, which the caller saves. `false` if the window is full.
    pub(super) fn seal_text(&mut self, now: Now, row: &mut MessageRow) -> Result<bool, StoreError> {
        let is_large = self.large.is_outgoing(row.contact, row.id);
        let item = match if is_large { self.manifest_of(now, row)? } else { None } {
            Some(manifest) => Item::Manifest(manifest),
            None => Item::Text(Text { id: row.id, sent: row.sent, order: row.order, text: row.text.clone() }),
        };
        let purpose = Purpose { message: Some(row.id), wants_receipt: true, urgent: row.urgent };
        let Some((number, size)) = self.seal(now, row.contact, vec![item], &purpose)? else { return Ok(false) };
        if is_large {
            self.seal_chunks(now, row.contact, row.id)?;
        }
        let hour = self.hour(now);
        row.number = Some(number);
        row.sealed += 1;
        row.log.push(now.wall, LogEvent::Sealed { number, size });
        row.expires = (hour != Hour::UNKNOWN).then(|| hour.plus(MESSAGE_LIFETIME.hours()));
        Ok(true)
    }

    /// Seals a message in the transaction that stores it, if nothing waits before it: spares writing its row twice.
    pub(super) fn seal_new_text(&mut self, now: Now, row: &mut MessageRow) -> Result<(), StoreError> {
        let paired = self.contacts.get(&row.contact).is_some_and(Contact::is_paired);
        let ready = paired && !self.is_frozen(row.contact) && self.hour(now) != Hour::UNKNOWN;
        let free = self.pair(row.contact).is_some_and(|pair| !pair.unsealed && pair.ratchet.allowance() > RESERVED_FOR_RECEIPTS);
        let sealed = ready && free && self.seal_text(now, row)?;
        if let Some(pair) = self.pair(row.contact).filter(|_| !sealed) {
            pair.unsealed = true;
        }
        self.busy_contacts.insert(row.contact);
        Ok(())
    }

    fn seal_receipt(&mut self, now: Now, contact: ContactId, in_reach: bool) -> Result<(), StoreError> {
        let delay = self.exponential(self.config.receipt_delay, self.config.receipt_delay * 5);
        let tells_of_reading = self.tells_of_reading(contact);
        let complete = self.complete_due(contact, MAX_COMPLETE_TOLD);
        let Some(pair) = self.pair(contact) else { return Ok(()) };
        if pair.read_due && !tells_of_reading {
            pair.read_due = false;
            pair.dirty = true;
        }
        if !pair.receipt_owed && !pair.read_due && complete.is_empty() {
            return Ok(());
        }
        if !in_reach {
            let due = *pair.receipt_due.get_or_insert(now.mono + delay);
            if now.mono < due {
                self.timers.insert((due, Timer::Receipt(contact)));
                return Ok(());
            }
        }
        if pair.ratchet.allowance() == 0 {
            return Ok(());
        }
        let ranges: Vec<NumberRange> = pair
            .ratchet
            .received_beyond()
            .iter()
            .take(MAX_RECEIPT_RANGES)
            .map(|range| NumberRange { first: range.start, count: range.end - range.start })
            .collect();
        let read = if pair.read_due { Some(self.read_place(contact)?) } else { None };
        let mut items = Vec::new();
        if !ranges.is_empty() {
            items.push(Item::Receipt(ranges));
        }
        items.extend(read.map(|(order, id)| Item::Read { order, id }));
        items.extend(complete.iter().copied().map(Item::Complete));
        let purpose = Purpose { message: None, wants_receipt: read.is_some() || !complete.is_empty(), urgent: false };
        let Some((number, _)) = self.seal(now, contact, items, &purpose)? else { return Ok(()) };
        if let Some(pair) = self.pair(contact) {
            pair.receipt_owed = false;
            pair.receipt_due = None;
            pair.read_due = false;
        }
        self.note_complete_told(contact, &complete, number)
    }

    /// The place up to which everything of a contact's has been read.
    fn read_place(&self, contact: ContactId) -> Result<(u64, MessageId), StoreError> {
        match self.store.first_unread(contact)? {
            Some(place) => Ok(place),
            None => Ok((self.store.last_order(contact)?.saturating_add(1), MessageId([0; 16]))),
        }
    }

    /// Asks for what has been missing for long.
    fn seal_ask(&mut self, now: Now, contact: ContactId) -> Result<(), StoreError> {
        let hour = self.hour(now);
        let after = (self.config.ask_after.as_secs() / 3600) as u32;
        let Some(pair) = self.pair(contact) else { return Ok(()) };
        let missing = pair.ratchet.missing(MAX_ASK_RANGES);
        let confirmed = pair.ratchet.confirmed();
        if missing.is_empty() || hour == Hour::UNKNOWN {
            pair.gap = None;
            return Ok(());
        }
        match pair.gap {
            Some((since_count, since)) if since_count == confirmed && since <= hour => {
                if hour < since.plus(after) || pair.ratchet.allowance() == 0 {
                    return Ok(());
                }
            }
            _ => {
                pair.gap = Some((confirmed, hour));
                pair.dirty = true;
                return Ok(());
            }
        }
        pair.gap = Some((confirmed, hour));
        let ranges = missing.iter().map(|range| NumberRange { first: range.start, count: range.end - range.start }).collect();
        self.seal(now, contact, vec![Item::Ask(ranges)], &Purpose { message: None, wants_receipt: true, urgent: false })?;
        Ok(())
    }

    /// Seals one body and schedules its bundle; returns its number and the bundle's size, `None` if the window is full. A receipt that is
    /// owed rides along where it costs nothing.
    fn seal(&mut self, now: Now, contact: ContactId, items: Vec<Item>, purpose: &Purpose) -> Result<Option<(u32, u16)>, StoreError> {
        let created = self.hour(now);
        let mut body = zeroize::Zeroizing::new(Vec::with_capacity(body_capacity(512)));
        items.iter().for_each(|item| item.encode(&mut body));
        let class = if purpose.urgent { Class::Urgent } else { Class::Normal };
        let envelope = Envelope { class, lifetime: MESSAGE_LIFETIME, created };
        let Some(pair) = self.contacts.get_mut(&contact).and_then(|contact| contact.pair.as_mut()) else { return Ok(None) };
        let floor = pair.floor();
        let Ok(sealed) = pair.ratchet.seal(envelope, &body, floor, self.rng.as_mut()) else { return Ok(None) };
        pair.dirty = true;
        // The header confirms all that has come without a gap, which is most often all there is.
        if pair.ratchet.received_beyond().is_empty() {
            pair.receipt_owed = false;
            pair.receipt_due = None;
        }
        if purpose.wants_receipt {
            let row = OutboxRow {
                contact,
                number: sealed.number,
                message: purpose.message,
                wants_receipt: true,
                bundle: sealed.bundle.id(),
                ack: zeroize::Zeroizing::new(*sealed.ack.expose()),
            };
            self.store.insert_outbox(&row)?;
            pair.open_number(row);
        }
        self.add_own_bundle(now, contact, &sealed.bundle)?;
        Ok(Some((sealed.number, sealed.bundle.bytes().len() as u16)))
    }

    /// Changes a message's row; it is saved and told once, at the end of the batch.
    pub(super) fn change_message(
        &mut self,
        contact: ContactId,
        outgoing: bool,
        id: MessageId,
        change: impl FnOnce(&mut MessageRow),
    ) -> Result<(), StoreError> {
        let key = (contact, outgoing, id);
        if let Some(changed) = self.changed.get_mut(&key) {
            change(&mut changed.row);
            changed.saved = false;
        } else if let Some(mut row) = self.store.find_message(contact, outgoing, id)? {
            let before = row.clone();
            change(&mut row);
            if row != before {
                self.changed.insert(key, Changed { row, saved: false });
            }
        }
        Ok(())
    }

    /// Saves the messages that changed so far, so that questions to the store see them; they are still told at the end.
    pub(super) fn flush_messages(&mut self) -> Result<(), StoreError> {
        for changed in self.changed.values_mut().filter(|changed| !changed.saved) {
            self.store.save_message(&changed.row)?;
            changed.saved = true;
        }
        Ok(())
    }

    /// Draws a delay: exponential with this mean, at most `most`.
    pub(super) fn exponential(&mut self, mean: Duration, most: Duration) -> Duration {
        delay::exponential(mean, &mut self.jitter).min(most)
    }
}
