//! Texts that ride on a contact request (docs/protocol.md, section 7.3): a first word that needs no second journey.
//!
//! They are a foretaste. Nothing in them is acknowledged: once both are contacts, the invitee seals the same texts again under the
//! ratchet, with the same message ids, and the issuer shows each once.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use zeroize::Zeroizing;

use super::{Changed, Engine, Exchange, config::SEAL_BATCH, conversation::RESERVED_FOR_RECEIPTS};
use crate::{
    crypto::exchange::MAX_REQUEST_ITEMS_LEN,
    id::{BundleId, ContactId, MessageId},
    store::{MessageRow, StoreError},
    time::{Hour, Now},
    view::MessageState,
    wire::item::{Item, Text},
};

/// Tries that may be sealed before one is no longer sealed for the sake of a new text alone (policy): the rest is for the time that the link lasts.
pub(super) const MAX_TRIES_FOR_TEXTS: usize = 4;
/// Between a try and one that is sealed for the sake of a new text (policy).
const TEXT_WAIT: Duration = Duration::from_secs(600);

impl Engine {
    /// What a contact-to-be has been written: how often each has ridden, and its row. What rode least, then the oldest, comes first.
    fn waiting_riders(&mut self, contact: ContactId) -> Result<Vec<(usize, MessageRow)>, StoreError> {
        let mut ridden: BTreeMap<MessageId, usize> = BTreeMap::new();
        match self.contacts.get(&contact).and_then(|contact| contact.exchange.as_ref()) {
            Some(Exchange::Requested { tries, .. }) => {
                tries.iter().flat_map(|sealed| &sealed.riders).for_each(|id| *ridden.entry(*id).or_default() += 1);
            }
            _ => return Ok(Vec::new()),
        }
        self.flush_messages()?;
        let mut rows = self.store.load_unsealed(contact, SEAL_BATCH)?;
        let queued: BTreeSet<MessageId> = rows.iter().map(|row| row.id).collect();
        for id in ridden.keys().filter(|id| !queued.contains(id)) {
            rows.extend(self.store.find_message(contact, true, *id)?.filter(|row| row.state <= MessageState::Carried));
        }
        let mut rows: Vec<_> = rows.into_iter().map(|row| (ridden.get(&row.id).copied().unwrap_or_default(), row)).collect();
        // What is no text comes in chunks, once both are contacts.
        rows.retain(|(_, row)| !row.text.is_empty());
        rows.sort_by_key(|(times, row)| (*times, row.order, row.id));
        Ok(rows)
    }

    /// The texts that fit on the next try, and their items.
    pub(super) fn choose_riders(&mut self, contact: ContactId) -> Result<(Vec<MessageId>, Zeroizing<Vec<u8>>), StoreError> {
        let mut items = Zeroizing::new(Vec::with_capacity(MAX_REQUEST_ITEMS_LEN));
        let mut riders = Vec::new();
        for (_, row) in self.waiting_riders(contact)? {
            let item = item_of(&row);
            if items.len() + item.encoded_len() <= MAX_REQUEST_ITEMS_LEN {
                item.encode(&mut items);
                riders.push(row.id);
            }
        }
        Ok((riders, items))
    }

    /// Notes until when the texts on a try are carried.
    pub(super) fn note_riding(&mut self, contact: ContactId, riders: &[MessageId], expiry: Option<Hour>) -> Result<(), StoreError> {
        riders.iter().try_for_each(|id| self.change_message(contact, true, *id, |row| row.expires = row.expires.max(expiry)))
    }

    /// Seals a further try for texts that have not been on one, if there are enough left and the last is a while ago. Called at the end
    /// of every batch that touched the contact, and at each round of housekeeping.
    pub(super) fn ride_on_request(&mut self, now: Now, contact: ContactId) -> Result<(), StoreError> {
        let Some(Exchange::Requested { request, tries, sealed, .. }) =
            self.contacts.get(&contact).and_then(|contact| contact.exchange.as_ref())
        else {
            return Ok(());
        };
        if request.link().is_expired(self.hour(now)) {
            return Ok(());
        }
        let rested = sealed.is_none_or(|at| now.mono.since(at) >= TEXT_WAIT);
        if tries.len() > MAX_TRIES_FOR_TEXTS || !rested || self.hour(now) == Hour::UNKNOWN {
            return Ok(());
        }
        let fits = |row: &MessageRow| item_of(row).encoded_len() <= MAX_REQUEST_ITEMS_LEN;
        if self.waiting_riders(contact)?.iter().any(|(times, row)| *times == 0 && fits(row)) {
            self.seal_request(now, contact)?;
        }
        Ok(())
    }

    /// Stores the texts that came with a request of a contact. Whatever else is there does not count, and if anything is malformed, nothing does.
    pub(super) fn take_riders(&mut self, now: Now, contact: ContactId, items: &[u8]) -> Result<(), StoreError> {
        for item in Item::decode_all(items).unwrap_or_default() {
            if let Item::Text(text) = item {
                self.take_text(now, contact, None, text)?;
            }
        }
        Ok(())
    }

    /// Seals the texts that rode on a request under the keys of the pair. Who says that he holds one still does.
    pub(super) fn seal_riders(&mut self, now: Now, contact: ContactId, riders: BTreeSet<MessageId>) -> Result<(), StoreError> {
        self.flush_messages()?;
        let mut rows = Vec::new();
        for id in riders {
            rows.extend(
                self.store.find_message(contact, true, id)?.filter(|row| row.number.is_none() && row.state <= MessageState::Carried),
            );
        }
        rows.sort_by_key(|row| (row.order, row.id));
        let ready = self.may_seal(now, contact);
        for mut row in rows {
            let room = self.pair(contact).is_some_and(|pair| pair.ratchet.allowance() > RESERVED_FOR_RECEIPTS);
            if !(ready && room && self.seal_text(now, &mut row)?) {
                // It waits for its turn with all others.
                row.state = MessageState::Queued;
            }
            self.changed.insert((contact, true, row.id), Changed { row, saved: false });
        }
        Ok(())
    }

    /// The texts that ride on a bundle of ours, if it is a try of our request to this contact.
    pub(super) fn riders_of(&self, contact: ContactId, bundle: &BundleId) -> Vec<MessageId> {
        match self.contacts.get(&contact).and_then(|contact| contact.exchange.as_ref()) {
            Some(Exchange::Requested { tries, .. }) => {
                tries.iter().find(|sealed| sealed.bundle == *bundle).map(|sealed| sealed.riders.clone()).unwrap_or_default()
            }
            _ => Vec::new(),
        }
    }
}

fn item_of(row: &MessageRow) -> Item {
    Item::Text(Text { id: row.id, sent: row.sent, order: row.order, text: row.text.clone() })
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::*;
    use crate::{
        crypto::{
            exchange::PendingRequest,
            identity::{Device, Name},
            link::Link,
        },
        engine::{EngineConfig, create_profile},
        store::memory::MemoryStore,
        time::{Instant, UnixMillis},
        view::ContactState,
        wire::bundle::Bundle,
    };

    const ID: MessageId = MessageId([1; 16]);

    fn now() -> Now {
        Now { mono: Instant::ZERO, wall: UnixMillis(1_795_327_200_000) }
    }

    fn text(id: MessageId, text: &str) -> Item {
        Item::Text(Text { id, sent: UnixMillis(5), order: 1, text: text.into() })
    }

    fn body(items: &[Item]) -> Vec<u8> {
        let mut out = Vec::new();
        items.iter().for_each(|item| item.encode(&mut out));
        out
    }

    /// An issuer, and somebody who holds the link.
    struct Scene {
        engine: Engine,
        contact: ContactId,
        device: Device,
        request: PendingRequest,
        rng: ChaCha20Rng,
    }

    impl Scene {
        fn new() -> Self {
            let mut rng = ChaCha20Rng::seed_from_u64(1);
            let mut store = Box::new(MemoryStore::new());
            create_profile(store.as_mut(), &Name::new("ann").unwrap(), &mut rng).unwrap();
            let mut engine = Engine::open(EngineConfig::default(), store, Box::new(rng.clone()), 1, now()).unwrap();
            engine.begin().unwrap();
            let invitation = engine.invite(now(), 336).unwrap().unwrap();
            let link = Link::parse(&invitation.link).unwrap();
            let device = Device::generate(&mut ChaCha20Rng::seed_from_u64(2));
            let request = PendingRequest::new(link, Name::new("ben").unwrap(), &mut rng);
            Self { engine, contact: invitation.contact, device, request, rng }
        }

        fn bundle(&mut self, number: u8, items: &[u8]) -> Bundle {
            let envelope = self.request.link().envelope(now().wall.hour());
            self.request.request(&self.device, number, items, envelope, &mut self.rng).unwrap().bundle
        }

        fn open(&mut self, number: u8, items: &[u8]) -> bool {
            let bundle = self.bundle(number, items);
            self.engine.open_request(now(), self.contact, &bundle).unwrap()
        }

        fn texts(&mut self) -> Vec<(String, MessageState)> {
            self.engine.flush_messages().unwrap();
            let rows = self.engine.store.load_messages(self.contact, None, None, None).unwrap();
            rows.into_iter().map(|row| (row.text, row.state)).collect()
        }

        fn state(&self) -> ContactState {
            self.engine.contacts[&self.contact].row.state
        }
    }

    #[test]
    fn texts_that_come_with_a_request_are_shown_once() {
        let mut scene = Scene::new();
        let items = body(&[text(ID, "hello"), text(MessageId([2; 16]), "again"), text(ID, "hello")]);
        assert!(scene.open(0, &items));
        assert!(scene.open(1, &items), "a second try");
        assert_eq!(scene.state(), ContactState::Established);
        let shown = |word: &str| (word.to_owned(), MessageState::Delivered);
        assert_eq!(scene.texts(), [shown("hello"), shown("again")]);
    }

    #[test]
    fn what_is_no_text_rides_in_vain() {
        let mut scene = Scene::new();
        let ranges = vec![crate::wire::item::NumberRange { first: 0, count: 9 }];
        let items = [Item::Receipt(ranges.clone()), Item::Ask(ranges), Item::Read { order: 9, id: ID }, text(ID, "hello")];
        assert!(scene.open(0, &body(&items)));
        assert_eq!(scene.texts().len(), 1);
        let mut scene = Scene::new();
        scene.engine.send(now(), scene.contact, "from ann".into(), None, false).unwrap().unwrap();
        assert!(scene.open(0, &body(&items)));
        assert!(scene.texts().contains(&("from ann".to_owned(), MessageState::Queued)), "neither delivered nor read by that");
    }

    #[test]
    fn malformed_items_spoil_no_exchange() {
        for items in
            [&[1][..], &[1, 255, 255], &[1, 0, 3, 1, 2, 3], &[0, 1], &[0x77; MAX_REQUEST_ITEMS_LEN], &[2, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0]]
        {
            let mut scene = Scene::new();
            let before = if items.len() < 40 { body(&[text(ID, "hello")]) } else { Vec::new() };
            assert!(scene.open(0, &[&before, items].concat()));
            assert_eq!((scene.state(), scene.texts().len()), (ContactState::Established, 0), "{items:?}");
            scene.open(1, &body(&[text(ID, "hello")]));
            assert_eq!(scene.texts().len(), 1, "a later try is read for itself");
        }
    }

    #[test]
    fn one_bundle_is_answered_and_read_once() {
        let mut scene = Scene::new();
        let bundle = scene.bundle(0, &body(&[text(ID, "hello")]));
        for _ in 0..40 {
            assert!(scene.engine.open_request(now(), scene.contact, &bundle).unwrap());
        }
        assert!(!scene.engine.is_answered_out(scene.contact));
        for number in 1..16 {
            assert!(scene.open(number, &[]));
        }
        assert!(scene.engine.is_answered_out(scene.contact));
    }

    #[test]
    fn what_a_second_user_says_is_not_read() {
        let mut scene = Scene::new();
        assert!(scene.open(0, &[]));
        scene.device = Device::generate(&mut ChaCha20Rng::seed_from_u64(3));
        let link = Link::parse(&scene.request.link().to_text()).unwrap();
        scene.request = PendingRequest::new(link, Name::new("eve").unwrap(), &mut scene.rng);
        assert!(scene.open(1, &body(&[text(ID, "I am ben")])));
        assert_eq!(scene.texts(), []);
    }
}
