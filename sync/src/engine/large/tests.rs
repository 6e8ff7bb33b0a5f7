//! Hostile and unlucky: manifests and chunks in every wrong shape and order, met by an engine that holds one contact and no link.

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use super::*;
use crate::{
    crypto::{
        chunk::{chunk_len, content_hash},
        exchange::PendingRequest,
        identity::{Device, Name},
        link::Link,
    },
    engine::{
        EngineConfig, Output,
        config::{MAX_EXPECTED_CHUNKS, MAX_OPEN_DATA},
        create_profile,
    },
    store::{Origin, memory::MemoryStore},
    time::{Instant, Now, UnixMillis},
    view::{Event, MessageState},
    wire::{
        bundle::Bundle,
        item::{MAX_DATA_LEN, Manifest},
    },
};

const ID: MessageId = MessageId([1; 16]);
const CREATED: Hour = Hour(498_702);

fn now() -> Now {
    Now { mono: Instant::ZERO, wall: UnixMillis(1_795_327_200_000) }
}

fn content(length: usize, mark: u8) -> Vec<u8> {
    (0..length).map(|index| (index % 251) as u8 ^ mark).collect()
}

fn manifest(id: MessageId, content: &[u8], key: u8) -> Manifest {
    let (length, hash) = (content.len() as u32, content_hash(content));
    Manifest { id, sent: UnixMillis(5), order: 1, length, created: CREATED, key: [key; 32].into(), hash }
}

fn chunk(key: u8, content: &[u8], index: u32) -> Bundle {
    let part = content.chunks(CHUNK_CAPACITY).nth(index as usize).unwrap();
    ContentKey::new(Secret::new([key; 32]), CREATED).seal(index, part).bundle
}

/// A node with one contact.
struct Scene {
    engine: Engine,
    contact: ContactId,
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
        let envelope = link.envelope(now().wall.hour());
        let device = Device::generate(&mut ChaCha20Rng::seed_from_u64(2));
        let request = PendingRequest::new(link, Name::new("ben").unwrap(), &mut rng);
        let sealed = request.request(&device, 0, &[], envelope, &mut rng).unwrap().bundle;
        assert!(engine.open_request(now(), invitation.contact, &sealed).unwrap());
        Self { engine, contact: invitation.contact }
    }

    fn announce(&mut self, manifest: &Manifest) {
        self.engine.take_manifest(now(), self.contact, Some(1), manifest).unwrap();
    }

    /// A stranger brings a bundle.
    fn bring(&mut self, bundle: &Bundle) {
        if self.engine.holdings.known(&bundle.id()).is_none() {
            let origin = Origin::StrangerInbound;
            self.engine.holdings.insert(self.engine.store.as_mut(), bundle, origin, 0, CREATED).unwrap();
        }
        self.engine.open_bundle(now(), bundle.clone(), None).unwrap();
    }

    /// Later batches open what waits.
    fn settle(&mut self) {
        for _ in 0..100 {
            self.engine.batch += 1;
            self.engine.open_waiting(now()).unwrap();
        }
    }

    fn restart(&mut self) {
        self.engine.commit(now()).unwrap();
        let rng = Box::new(ChaCha20Rng::seed_from_u64(3));
        let placeholder = Engine::open(EngineConfig::default(), Self::new().engine.into_store(), rng.clone(), 1, now()).unwrap();
        let store = std::mem::replace(&mut self.engine, placeholder).into_store();
        self.engine = Engine::open(EngineConfig::default(), store, rng, 1, now()).unwrap();
        self.engine.begin().unwrap();
    }

    fn state(&mut self, id: MessageId) -> Option<MessageState> {
        self.engine.flush_messages().unwrap();
        self.engine.store.find_message(self.contact, false, id).unwrap().map(|row| row.state)
    }

    fn received(&self, id: MessageId) -> Vec<u8> {
        let mut parts = Vec::new();
        self.engine.store.visit_parts(self.contact, false, id, &mut |part| parts.push(part)).unwrap();
        parts.iter().flat_map(|part| self.engine.store.load_part(self.contact, false, id, *part).unwrap().unwrap().to_vec()).collect()
    }

    fn expected(&self) -> usize {
        self.engine.tags.values().filter(|expected| matches!(expected, Expected::Chunk(..))).count()
    }

    fn notices(&mut self, wanted: &str) -> usize {
        let outputs = std::iter::from_fn(|| self.engine.poll_output());
        outputs.filter(|output| matches!(output, Output::Event(Event::Notice { kind, .. }) if kind == wanted)).count()
    }
}

#[test]
fn chunks_in_any_order_twice_before_and_after_make_one_message() {
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0], [2, 0, 1]] {
        for before in 0..=3 {
            let (mut scene, data) = (Scene::new(), content(9_000, 7));
            let chunks = order.map(|index| chunk(3, &data, index));
            chunks[..before].iter().for_each(|chunk| scene.bring(chunk));
            scene.announce(&manifest(ID, &data, 3));
            scene.settle();
            chunks[before..].iter().for_each(|chunk| scene.bring(chunk));
            assert_eq!(scene.state(ID), Some(MessageState::Delivered), "{order:?}, {before} before");
            assert_eq!(scene.received(ID), data);
            chunks.iter().for_each(|chunk| scene.bring(chunk));
            assert_eq!((scene.received(ID), scene.expected()), (data, 0));
            assert_eq!(scene.engine.acks.len(), 3, "each chunk once");
            assert_eq!(scene.engine.complete_due(scene.contact, 9), [ID]);
        }
    }
}

#[test]
fn manifest_of_more_than_is_taken_leaves_nothing() {
    let mut scene = Scene::new();
    for length in [u32::MAX, MAX_DATA_LEN as u32 + 1] {
        scene.announce(&Manifest { length, ..manifest(ID, b"x", 3) });
    }
    assert_eq!((scene.state(ID), scene.expected(), scene.notices("too_large")), (None, 0, 2));
    scene.announce(&Manifest { length: MAX_DATA_LEN as u32, ..manifest(ID, b"x", 3) });
    assert_eq!((scene.state(ID), scene.expected()), (Some(MessageState::Carried), 1_041));
}

#[test]
fn manifest_that_is_repeated_changes_nothing_until_its_message_is_complete() {
    let (mut scene, data) = (Scene::new(), content(5_000, 1));
    for _ in 0..20 {
        scene.announce(&manifest(ID, &data, 3));
    }
    assert_eq!(scene.expected(), 2);
    (0..2).for_each(|index| scene.bring(&chunk(3, &data, index)));
    scene.engine.note_complete_told(scene.contact, &[ID], 9).unwrap();
    scene.engine.confirm_complete(scene.contact, 9).unwrap();
    assert!(scene.engine.complete_due(scene.contact, 9).is_empty());
    scene.announce(&manifest(ID, &data, 3));
    assert_eq!(scene.engine.complete_due(scene.contact, 9), [ID], "who asks again is told again");
    assert_eq!(scene.received(ID), data);
}

#[test]
fn another_content_under_one_id_is_not_taken_and_another_key_goes_on() {
    let (mut scene, data) = (Scene::new(), content(9_000, 1));
    scene.announce(&manifest(ID, &data, 3));
    scene.bring(&chunk(3, &data, 1));
    scene.announce(&manifest(ID, &content(9_000, 2), 4));
    scene.announce(&manifest(ID, &content(9_001, 1), 4));
    assert_eq!(scene.expected(), 2);
    scene.bring(&chunk(4, &content(9_000, 2), 0));
    assert_eq!(scene.received(ID).len(), 4_032, "of the first alone");
    scene.announce(&manifest(ID, &data, 5));
    scene.bring(&chunk(3, &data, 0));
    assert_eq!(scene.received(ID).len(), 4_032, "the old key counts no longer");
    scene.bring(&chunk(5, &data, 0));
    scene.bring(&chunk(5, &data, 2));
    assert_eq!((scene.state(ID), scene.received(ID)), (Some(MessageState::Delivered), data));
}

#[test]
fn manifest_under_the_id_of_a_text_is_not_taken() {
    let mut scene = Scene::new();
    let text = crate::wire::item::Text { id: ID, sent: UnixMillis(1), order: 1, text: "words".into() };
    scene.engine.take_text(now(), scene.contact, None, text).unwrap();
    scene.announce(&manifest(ID, b"data", 3));
    assert_eq!((scene.state(ID), scene.expected()), (Some(MessageState::Delivered), 0));
}

#[test]
fn garbage_and_changed_headers_under_a_chunks_tag_spend_nothing() {
    let (mut scene, data) = (Scene::new(), content(100, 1));
    scene.announce(&manifest(ID, &data, 3));
    let real = chunk(3, &data, 0);
    let forge = |offset: usize, value: [u8; 4]| {
        let mut bytes = real.bytes().to_vec();
        bytes[offset..offset + 4].copy_from_slice(&value);
        Bundle::decode(bytes).unwrap()
    };
    for number in 0..1_000_u32 {
        scene.bring(&forge(100, number.to_be_bytes()));
    }
    // Class, lifetime, created hour, commitment.
    for forged in [forge(0, [1, 1, 3, 0]), forge(0, [1, 0, 4, 0]), forge(4, 498_701_u32.to_be_bytes()), forge(24, [9; 4])] {
        scene.bring(&forged);
    }
    assert_eq!((scene.state(ID), scene.expected()), (Some(MessageState::Carried), 1));
    assert_eq!(scene.engine.holdings.with_tag(&real.header().tag).len(), 1_004, "carried as any stranger's");
    assert!(scene.engine.tries.is_empty());
    scene.bring(&real);
    assert_eq!((scene.state(ID), scene.received(ID)), (Some(MessageState::Delivered), data));
}

#[test]
fn chunk_under_the_tag_of_another_does_not_open() {
    let (mut scene, data) = (Scene::new(), content(9_000, 1));
    scene.announce(&manifest(ID, &data, 3));
    let [first, second] = [0, 1].map(|index| chunk(3, &data, index));
    let mut swapped = first.bytes().to_vec();
    swapped[8..40].copy_from_slice(&second.bytes()[8..40]);
    scene.bring(&Bundle::decode(swapped).unwrap());
    assert!(scene.received(ID).is_empty());
    [&second, &first, &chunk(3, &data, 2)].into_iter().for_each(|chunk| scene.bring(chunk));
    assert_eq!(scene.received(ID), data);
}

#[test]
fn two_hundred_manifests_come_by_and_by_and_too_many_are_not_taken() {
    let mut scene = Scene::new();
    let all: Vec<(Manifest, Vec<u8>)> = (0..200_u8)
        .map(|number| {
            let data = content(200_000, number);
            (manifest(MessageId([number; 16]), &data, number), data)
        })
        .collect();
    all.iter().for_each(|(manifest, _)| scene.announce(manifest));
    assert!((4_000..=MAX_EXPECTED_CHUNKS).contains(&scene.expected()), "{}", scene.expected());
    for (manifest, data) in all.iter().rev() {
        (0..50).for_each(|index| scene.bring(&chunk(manifest.id.0[0], data, index)));
        assert!(scene.expected() <= MAX_EXPECTED_CHUNKS);
    }
    scene.settle();
    scene.settle();
    scene.settle();
    let late = all.iter().filter(|(manifest, _)| scene.state(manifest.id) != Some(MessageState::Delivered)).count();
    assert_eq!((late, scene.expected()), (0, 0), "what came too early was held");
    for number in 0..=MAX_OPEN_DATA as u16 {
        let mut id = [0xff; 16];
        id[..2].copy_from_slice(&number.to_be_bytes());
        scene.announce(&manifest(MessageId(id), b"one", 1));
    }
    assert_eq!((scene.engine.open_data_of(scene.contact), scene.notices("too_large")), (MAX_OPEN_DATA, 1));
}

#[test]
fn content_that_is_not_what_was_announced_is_said_and_not_kept() {
    let (mut scene, data) = (Scene::new(), content(5_000, 1));
    let lie = Manifest { hash: [9; 32], ..manifest(ID, &data, 3) };
    scene.announce(&lie);
    (0..2).for_each(|index| scene.bring(&chunk(3, &data, index)));
    assert_eq!((scene.state(ID), scene.notices("unreadable")), (Some(MessageState::Failed), 1));
    assert!(scene.received(ID).is_empty() && scene.engine.complete_due(scene.contact, 9).is_empty());
    scene.announce(&lie);
    assert_eq!((scene.state(ID), scene.expected()), (Some(MessageState::Failed), 0), "once is enough");
}

#[test]
fn restart_between_chunks_goes_on_where_it_was() {
    let (mut scene, data) = (Scene::new(), content(20_000, 1));
    scene.announce(&manifest(ID, &data, 3));
    for index in [3, 0, 4, 1, 2] {
        assert_eq!(scene.state(ID), Some(MessageState::Carried));
        scene.bring(&chunk(3, &data, index));
        let left = scene.expected();
        scene.restart();
        assert_eq!(scene.expected(), left);
    }
    assert_eq!((scene.state(ID), scene.received(ID)), (Some(MessageState::Delivered), data));
    let row = scene.engine.store.find_message(scene.contact, false, ID).unwrap().unwrap();
    assert_eq!(scene.engine.view_data(&row).unwrap(), Some(Data { length: 20_000, received: 20_000 }));
}

#[test]
fn progress_is_about_what_is_here() {
    let (mut scene, data) = (Scene::new(), content(10_000, 1));
    scene.announce(&manifest(ID, &data, 3));
    let mut seen = Vec::new();
    for index in [2, 0, 1] {
        scene.bring(&chunk(3, &data, index));
        scene.engine.flush_messages().unwrap();
        let row = scene.engine.store.find_message(scene.contact, false, ID).unwrap().unwrap();
        seen.push(scene.engine.view_data(&row).unwrap().unwrap().received);
    }
    assert_eq!(seen, [4_032, 8_064, 10_000]);
    assert_eq!(chunk_len(10_000, 2), 1_936);
}

#[test]
fn removed_contact_leaves_no_tags() {
    let (mut scene, data) = (Scene::new(), content(10_000, 1));
    scene.announce(&manifest(ID, &data, 3));
    assert_eq!(scene.expected(), 3);
    scene.engine.remove_contact(scene.contact, None).unwrap();
    assert_eq!((scene.expected(), scene.engine.large.incoming.len(), scene.engine.large.slots.len()), (0, 0, 0));
    scene.bring(&chunk(3, &data, 0));
}
