//! What one contact may fill: of the pool, with what nobody can open, and with mail that nobody reads.

use super::{
    Engine, Expected,
    config::{MAX_UNOPENED_BYTES, MAX_UNREAD_PER_DAY, MESSAGE_OVERHEAD},
    routing::Scope,
};
use crate::{id::ContactId, store::StoreError, time::Now, wire::bundle::Bundle};

/// The span over which mail is counted, running hours.
const MAIL_HOURS: u32 = 24;

/// Mail of one contact that has come since it was last read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mail {
    /// The running hour in which counting began.
    since: u32,
    bytes: u64,
    /// Whether a person was told that it is too much.
    told: bool,
    /// Whether mail that strangers brought waits to be opened.
    withheld: bool,
}

impl Engine {
    /// Counts a message of so many bytes that was stored unread, or is on its way in chunks.
    pub(super) fn count_mail(&mut self, contact: ContactId, length: u64) {
        let hour = self.clock.running_hours();
        let fresh = Mail { since: hour, bytes: 0, told: false, withheld: false };
        let mail = self.mail.entry(contact).or_insert(fresh);
        if hour.saturating_sub(mail.since) >= MAIL_HOURS {
            *mail = Mail { withheld: mail.withheld, ..fresh };
        }
        mail.bytes += length + MESSAGE_OVERHEAD;
        if mail.bytes >= MAX_UNREAD_PER_DAY && !mail.told {
            mail.told = true;
            self.notice(
                "flooding",
                "this contact sends very much: more is taken once its messages are read, or tomorrow".into(),
                Some(contact),
            );
        }
    }

    /// A contact's messages were read.
    pub(super) fn forget_mail(&mut self, now: Now, contact: ContactId) -> Result<(), StoreError> {
        match self.mail.remove(&contact) {
            Some(mail) if mail.withheld => self.open_all_expected(now),
            _ => Ok(()),
        }
    }

    /// Mail that strangers have brought waits until its sender's is read, or the day is over.
    pub(super) fn note_withheld(&mut self, contact: ContactId) {
        if let Some(mail) = self.mail.get_mut(&contact) {
            mail.withheld = true;
        }
    }

    /// Has mail opened that waited for a new day.
    pub(super) fn open_withheld(&mut self, now: Now) -> Result<(), StoreError> {
        let ready: Vec<ContactId> =
            self.mail.iter().filter(|(contact, mail)| mail.withheld && !self.is_flooding(**contact)).map(|(contact, _)| *contact).collect();
        ready.into_iter().try_for_each(|contact| self.forget_mail(now, contact))
    }

    /// Whether a contact has filled its day with mail that nobody has read.
    pub(super) fn is_flooding(&self, contact: ContactId) -> bool {
        let floods = |mail: &Mail| mail.bytes >= MAX_UNREAD_PER_DAY && self.clock.running_hours().saturating_sub(mail.since) < MAIL_HOURS;
        self.mail.get(&contact).is_some_and(floods)
    }

    /// Whether a bundle that a contact hands over, and that is not held, is too much: it is then refused, its ack withheld.
    pub(super) fn lacks_room(&self, from: ContactId, scope: Scope, bundle: &Bundle) -> bool {
        let expected = self.tags.get(&bundle.header().tag);
        if let Some(Expected::Message(sender, _)) = expected
            && self.is_flooding(*sender)
        {
            return true;
        }
        // Where nothing is carried for it, what can't be opened is of little use. Room is left for what will most likely open.
        let most = if expected.is_some() { 2 * MAX_UNOPENED_BYTES } else { MAX_UNOPENED_BYTES };
        scope != Scope::Everything && self.holdings.unopened_of(from) + bundle.bytes().len() as u64 > most
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::*;
    use crate::{
        crypto::{
            identity::Name,
            ratchet::{Place, PlaceChain},
        },
        engine::{EngineConfig, Input, Output, create_profile, pools::Pool},
        id::Tag,
        store::{Origin, memory::MemoryStore},
        time::{Instant, Now, UnixMillis},
        view::Event,
        wire::bundle::{BUNDLE_HEADER_LEN, BundleHeader, Class, Lifetime},
    };

    const ANN: ContactId = ContactId(1);
    const BEN: ContactId = ContactId(2);

    fn now(hours: u64) -> Now {
        let span = Duration::from_secs(hours * 3600);
        Now { mono: Instant::from_origin(span), wall: UnixMillis(1_795_327_200_000 + span.as_millis() as u64) }
    }

    fn engine(config: EngineConfig) -> Engine {
        let mut store = Box::new(MemoryStore::new());
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        create_profile(store.as_mut(), &Name::new("carol").unwrap(), &mut rng).unwrap();
        let mut engine = Engine::open(config, store, Box::new(rng), 1, now(0)).unwrap();
        engine.begin().unwrap();
        engine
    }

    fn engine_with_space(bytes: u64, config: EngineConfig) -> Engine {
        let mut engine = engine(config);
        engine.policy.relay.bytes = bytes;
        engine
    }

    /// A bundle of 4,096 bytes that nobody can open, told from others by its number.
    fn garbage(number: u32) -> Bundle {
        let mut tag = [0; 16];
        tag[..4].copy_from_slice(&number.to_be_bytes());
        let header = BundleHeader {
            class: Class::Normal,
            lifetime: Lifetime::Fortnight,
            created: now(0).wall.hour(),
            tag: Tag(tag),
            commitment: crate::id::Commitment([number as u8; 16]),
        };
        let mut bytes = header.encode().to_vec();
        bytes.resize(4096, 7);
        assert!(bytes.len() > BUNDLE_HEADER_LEN);
        Bundle::decode(bytes).unwrap()
    }

    fn take(engine: &mut Engine, from: ContactId, bundle: &Bundle) {
        let hour = engine.hour(now(0));
        assert!(engine.make_room(now(0), Pool::Contact(from), 4096).unwrap());
        engine.holdings.insert(engine.store.as_mut(), bundle, Origin::Contact(from), 0, hour).unwrap();
    }

    #[test]
    fn what_a_contact_brings_and_nobody_can_open_is_capped() {
        let mut engine = engine(EngineConfig::default());
        for number in 0..1024 {
            assert!(!engine.lacks_room(ANN, Scope::Between(ANN), &garbage(number)), "at {number}");
            take(&mut engine, ANN, &garbage(number));
        }
        assert!(engine.lacks_room(ANN, Scope::Between(ANN), &garbage(1024)));
        assert!(!engine.lacks_room(BEN, Scope::Between(BEN), &garbage(1024)), "others have room of their own");
        engine.tags.insert(garbage(1024).header().tag, Expected::Message(BEN, Place { chain: PlaceChain::Current, n: 0 }));
        assert!(!engine.lacks_room(ANN, Scope::Between(ANN), &garbage(1024)), "what is expected still passes");
        engine.holdings.note_opened(&garbage(3).id());
        engine.holdings.note_opened(&garbage(3).id());
        assert!(!engine.lacks_room(ANN, Scope::Between(ANN), &garbage(1025)), "what was opened does not count");
        take(&mut engine, ANN, &garbage(1025));
        assert!(engine.lacks_room(ANN, Scope::Between(ANN), &garbage(1026)));
    }

    #[test]
    fn the_caps_are_known_again_after_a_restart() {
        let mut engine = engine(EngineConfig::default());
        (0..1024).for_each(|number| take(&mut engine, ANN, &garbage(number)));
        engine.commit(now(0)).unwrap();
        let rng = Box::new(ChaCha20Rng::seed_from_u64(2));
        let engine = Engine::open(EngineConfig::default(), engine.into_store(), rng, 1, now(1)).unwrap();
        assert!(engine.lacks_room(ANN, Scope::Between(ANN), &garbage(1024)));
    }

    #[test]
    fn ids_are_remembered_up_to_the_limit_at_once_and_after_a_restart() {
        let config = EngineConfig { gone_ids: 8, ..EngineConfig::default() };
        let mut engine = engine_with_space(5 * 4200, config.clone());
        for number in 0..30 {
            take(&mut engine, ANN, &garbage(number));
            assert!(engine.holdings.gone_with(ANN).count() <= 8);
        }
        engine.commit(now(0)).unwrap();
        let rng = Box::new(ChaCha20Rng::seed_from_u64(2));
        let engine = Engine::open(config, engine.into_store(), rng, 1, now(1)).unwrap();
        assert_eq!(engine.holdings.gone_with(ANN).count(), 8);
    }

    #[test]
    fn a_flood_of_unread_mail_is_refused_for_a_day_or_until_it_is_read_and_told_once() {
        let mut engine = engine(EngineConfig::default());
        let bundle = garbage(1);
        engine.tags.insert(bundle.header().tag, Expected::Message(ANN, Place { chain: PlaceChain::Current, n: 0 }));
        let length = 1 << 20;
        let flood = |engine: &mut Engine| (0..70).for_each(|_| engine.count_mail(ANN, length));
        (0..63).for_each(|_| engine.count_mail(ANN, length));
        assert!(!engine.lacks_room(ANN, Scope::Between(ANN), &bundle));
        flood(&mut engine);
        assert!(engine.lacks_room(ANN, Scope::Between(ANN), &bundle));
        assert!(engine.lacks_room(BEN, Scope::Between(BEN), &bundle), "whoever carries it");
        assert!(!engine.lacks_room(BEN, Scope::Between(BEN), &garbage(2)));
        let notices = std::iter::from_fn(|| engine.poll_output())
            .filter(|output| matches!(output, Output::Event(Event::Notice { kind, contact: Some(ANN), .. }) if kind == "flooding"))
            .count();
        assert_eq!(notices, 1);
        engine.forget_mail(now(0), ANN).unwrap();
        assert!(!engine.lacks_room(ANN, Scope::Between(ANN), &bundle));
        flood(&mut engine);
        engine.handle_input(now(24), Input::Timeout).unwrap();
        assert!(!engine.lacks_room(ANN, Scope::Between(ANN), &bundle));
    }
}
