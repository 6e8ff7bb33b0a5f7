//! Attacks first: what a holder of the link, of published cards or of recordings can send; then what must work.

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use super::{
    transcript::{
        DerivedKeys, KIND_REPLY, KIND_USED, MAX_REQUEST_ITEMS_LEN, PairSecrets, ReplyBase, ReplyTranscript, RequestTranscript,
        request_header_key, request_message_key, request_proof,
    },
    *,
};
use crate::{
    crypto::{
        bundle_seal::{BundleKeys, Envelope, HEADER_FIELDS_LEN, open_body, open_header, seal_bundle},
        identity::{
            CARD_LEN, Device, NAME_FIELD_LEN, Name, agree, kem, public_half,
            tests::{LOW_ORDER, device, signed_card},
        },
        kdf::seal_once,
        link::{Link, TRIES},
        pair_keys::{PairKeys, PairRole},
        secret::Secret,
    },
    time::Hour,
    wire::bundle::{Bundle, MAX_BUNDLE_LEN},
};

mod forge;

use forge::{Forgery, ReplyForgery};

const EXPIRES: Hour = Hour(500_000);

fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn copy(link: &Link) -> Link {
    Link::parse(&link.to_text()).unwrap()
}

/// Two people, a link, and what was drawn for it.
struct Scene {
    alma: Device,
    boris: Device,
    issued: IssuedLink,
    pending: PendingRequest,
    rng: ChaCha20Rng,
}

impl Scene {
    fn new() -> Self {
        let mut rng = rng(100);
        let issued = IssuedLink::new(EXPIRES, &mut rng);
        let pending = PendingRequest::new(copy(issued.link()), name("Boris"), &mut rng);
        Self { alma: device(1), boris: device(2), issued, pending, rng }
    }

    fn envelope(&self) -> Envelope {
        self.issued.link().envelope(Hour(499_900))
    }

    fn request(&mut self, number: u8) -> Bundle {
        self.pending.request(&self.boris, number, b"", self.envelope(), &mut self.rng).unwrap().bundle
    }

    fn accept(&mut self, bundle: &Bundle) -> Accepted {
        let request = self.issued.open_request(&self.alma, bundle).unwrap();
        let answerer = Answerer { device: &self.alma, name: &name("Alma"), held: &[0; 16] };
        self.issued.accept(answerer, &request, 0, self.envelope(), &mut self.rng).unwrap()
    }

    fn open(&self, bundle: &Bundle) -> Result<Request, ExchangeError> {
        self.issued.open_request(&self.alma, bundle)
    }

    fn reply(&self, bundle: &Bundle) -> Result<Reply, ExchangeError> {
        self.pending.open_reply(&self.boris, bundle)
    }

    /// The private half of `L`, as it is stored.
    fn private(&self) -> Secret<32> {
        Secret::from_slice(&self.issued.encode()[21..]).unwrap()
    }
}

fn established(reply: Reply) -> (PairKeys, crate::crypto::identity::Card, Name) {
    match reply {
        Reply::Established { keys, card, name, .. } => (keys, card, name),
        Reply::Used { .. } => panic!("the link is said to have been used"),
    }
}

/// All that both sides must have in common.
fn common(keys: &PairKeys) -> [[u8; 32]; 4] {
    [&keys.root, &keys.issuer_header, &keys.invitee_header, &keys.pair_secret].map(|key| *key.expose())
}

#[test]
fn honest_forgery_opens() {
    // Guards the tests below: what they change is all that is wrong.
    let scene = Scene::new();
    scene.open(&Forgery::honest(&scene.boris).seal(scene.issued.link())).unwrap();
}

#[test]
fn published_card_without_its_private_half_is_refused() {
    let scene = Scene::new();
    let mut forgery = Forgery::honest(&device(3));
    forgery.card = scene.boris.card().encode();
    assert_eq!(scene.open(&forgery.seal(scene.issued.link())).unwrap_err(), ExchangeError::Unproven);
}

#[test]
fn identity_that_signs_anothers_agreement_key_is_refused() {
    let (scene, mallory) = (Scene::new(), device(3));
    let mut forgery = Forgery::honest(&mallory);
    forgery.card = signed_card(&mallory, *scene.boris.card().agreement(), scene.boris.card().kem()).encode();
    assert_eq!(scene.open(&forgery.seal(scene.issued.link())).unwrap_err(), ExchangeError::Unproven);
}

#[test]
fn our_own_card_in_anothers_hands_is_not_taken_for_us() {
    let scene = Scene::new();
    let mut forgery = Forgery::honest(&device(3));
    forgery.card = scene.alma.card().encode();
    assert_eq!(scene.open(&forgery.seal(scene.issued.link())).unwrap_err(), ExchangeError::Unproven);
}

#[test]
fn request_from_our_own_identity_is_refused() {
    let scene = Scene::new();
    assert_eq!(scene.open(&Forgery::honest(&scene.alma).seal(scene.issued.link())).unwrap_err(), ExchangeError::OwnIdentity);
}

#[test]
fn bad_card_in_a_request_is_refused() {
    let scene = Scene::new();
    for offset in [0, 20, 50, 700, 1300] {
        let mut forgery = Forgery::honest(&scene.boris);
        forgery.card[offset] ^= 1;
        let error = scene.open(&forgery.seal(scene.issued.link())).unwrap_err();
        assert_eq!(error, ExchangeError::Card(CardError::Signature), "offset {offset}");
    }
}

#[test]
fn low_order_keys_in_a_request_are_refused() {
    let (scene, mallory) = (Scene::new(), device(3));
    for key in LOW_ORDER {
        let mut forgery = Forgery::honest(&mallory);
        forgery.card = signed_card(&mallory, key, mallory.card().kem()).encode();
        assert_eq!(scene.open(&forgery.seal(scene.issued.link())).unwrap_err(), ExchangeError::Card(CardError::Key), "A {key:?}");
        let forgery = Forgery { r: key, ..Forgery::honest(&mallory) };
        assert_eq!(scene.open(&forgery.seal(scene.issued.link())).unwrap_err(), ExchangeError::Malformed, "r {key:?}");
        let forgery = Forgery { shown_e: Some(key), ..Forgery::honest(&mallory) };
        assert_eq!(scene.open(&forgery.seal(scene.issued.link())).unwrap_err(), ExchangeError::Closed, "e {key:?}");
    }
}

#[test]
fn malformed_parts_of_a_request_are_refused() {
    let scene = Scene::new();
    let forgery = Forgery { k: [0xff; kem::KEY_LEN], ..Forgery::honest(&scene.boris) };
    assert_eq!(scene.open(&forgery.seal(scene.issued.link())).unwrap_err(), ExchangeError::Malformed);
    let forgery = Forgery { filling: 1, ..Forgery::honest(&scene.boris) };
    assert_eq!(scene.open(&forgery.seal(scene.issued.link())).unwrap_err(), ExchangeError::Malformed);
    for (text, error) in [
        (&b"\x1b[2J"[..], NameError::Character(0x1b)),
        ("\u{202e}amlA".as_bytes(), NameError::Character(0x202e)),
        (b" ", NameError::Empty),
        (b"\xff", NameError::Field),
    ] {
        let mut forgery = Forgery::honest(&scene.boris);
        forgery.name = [0; NAME_FIELD_LEN];
        forgery.name[0] = text.len() as u8;
        forgery.name[1..][..text.len()].copy_from_slice(text);
        assert_eq!(scene.open(&forgery.seal(scene.issued.link())).unwrap_err(), ExchangeError::Name(error));
    }
}

#[test]
fn request_under_another_secret_or_key_does_not_open() {
    let mut scene = Scene::new();
    let bundle = scene.request(0);
    let stored = scene.issued.encode();
    for offset in [5, 20, 21, 40] {
        let mut other = stored.clone();
        other[offset] ^= 8;
        let other = IssuedLink::decode(&other).unwrap();
        assert_eq!(other.open_request(&scene.alma, &bundle).unwrap_err(), ExchangeError::Closed, "offset {offset}");
    }
}

#[test]
fn leaked_link_and_a_recording_open_no_body() {
    let mut scene = Scene::new();
    let bundle = scene.request(0);
    let (leaked, thief) = (copy(scene.issued.link()), Secret::random(&mut rng(9)));
    // Tag and header are within reach of who holds the link …
    assert_eq!(bundle.header().tag, leaked.request_tag(0));
    let header = open_header(&request_header_key(&leaked, 0), &bundle).unwrap();
    let e: [u8; 32] = *header.first_chunk().unwrap();
    // … the body needs the private half of L, or of e: no other key agreement with what is known gives its key.
    for guess in [agree(&thief, leaked.public()).unwrap(), agree(&thief, &e).unwrap(), Secret::new(e), Secret::new(*leaked.public())] {
        assert!(open_body(&request_message_key(&leaked, &e, &guess), &header, &bundle).is_none());
    }
    let right = agree(&scene.private(), &e).unwrap();
    assert!(open_body(&request_message_key(&leaked, &e, &right), &header, &bundle).is_some());
}

#[test]
fn every_changed_byte_of_a_request_is_refused() {
    let mut scene = Scene::new();
    let bundle = scene.request(3);
    for offset in 0..bundle.bytes().len() {
        let mut bytes = bundle.bytes().to_vec();
        bytes[offset] ^= 1 << (offset % 8);
        let Ok(changed) = Bundle::decode(bytes) else { continue };
        assert_eq!(scene.open(&changed).unwrap_err(), ExchangeError::Closed, "offset {offset}");
    }
}

#[test]
fn every_changed_byte_of_a_reply_is_refused() {
    let mut scene = Scene::new();
    let bundle = scene.request(3);
    let bundle = scene.accept(&bundle).bundle.bundle;
    for offset in 0..bundle.bytes().len() {
        let mut bytes = bundle.bytes().to_vec();
        bytes[offset] ^= 1 << (offset % 8);
        let Ok(changed) = Bundle::decode(bytes) else { continue };
        assert_eq!(scene.reply(&changed).unwrap_err(), ExchangeError::Closed, "offset {offset}");
    }
}

#[test]
fn garbage_under_a_copied_tag_changes_nothing() {
    let mut scene = Scene::new();
    let honest = scene.request(0);
    for fill in [0, 1, 0xff] {
        let mut bytes = honest.bytes().to_vec();
        bytes[48..].fill(fill);
        assert_eq!(scene.open(&Bundle::decode(bytes).unwrap()).unwrap_err(), ExchangeError::Closed);
    }
    for length in [512, 1024, 2048] {
        let short = Bundle::decode(honest.bytes()[..length].to_vec()).unwrap();
        assert_eq!(scene.open(&short).unwrap_err(), ExchangeError::Closed);
    }
    scene.open(&honest).unwrap();
}

#[test]
fn bundles_of_the_other_direction_do_not_open() {
    let mut scene = Scene::new();
    let request = scene.request(0);
    let reply = scene.accept(&request).bundle.bundle;
    assert_eq!(scene.reply(&request).unwrap_err(), ExchangeError::Closed);
    assert_eq!(scene.open(&reply).unwrap_err(), ExchangeError::Closed);
}

#[test]
fn reply_to_one_invitee_opens_for_no_other() {
    let mut scene = Scene::new();
    let request = scene.request(0);
    let reply = scene.accept(&request).bundle.bundle;
    let carol = PendingRequest::new(copy(scene.issued.link()), name("Carol"), &mut scene.rng);
    assert_eq!(carol.open_reply(&device(3), &reply).unwrap_err(), ExchangeError::Closed);
    // Nor for the right request with another device's keys.
    assert_eq!(scene.pending.open_reply(&device(3), &reply).unwrap_err(), ExchangeError::Unproven);
}

#[test]
fn second_requester_is_told_used_and_only_they_can_read_it() {
    let mut scene = Scene::new();
    let first = scene.request(0);
    let accepted = scene.accept(&first);
    let carol = PendingRequest::new(copy(scene.issued.link()), name("Carol"), &mut scene.rng);
    let theirs = carol.request(&device(3), 0, b"", scene.envelope(), &mut scene.rng).unwrap().bundle;
    let theirs = scene.open(&theirs).unwrap();
    assert!(!accepted.reply.answers(&theirs));
    let used = scene.issued.refuse(&theirs, 0, scene.envelope(), &mut scene.rng).unwrap().bundle;
    assert_eq!(used.bytes().len(), accepted.bundle.bundle.bytes().len());
    assert!(matches!(carol.open_reply(&device(3), &used), Ok(Reply::Used { .. })));
    assert_eq!(scene.reply(&used).unwrap_err(), ExchangeError::Closed);
}

fn open_forged(change: impl FnOnce(&mut ReplyForgery)) -> Result<Reply, ExchangeError> {
    let mut scene = Scene::new();
    let request = scene.request(0);
    let mut forgery = ReplyForgery::honest(&scene.alma);
    change(&mut forgery);
    scene.reply(&forgery.seal(&scene, &request))
}

#[test]
fn honest_reply_forgery_opens() {
    established(open_forged(|_| {}).unwrap());
}

#[test]
fn issuer_with_anothers_card_is_refused() {
    let error = open_forged(|forgery| forgery.card = device(3).card().encode()).unwrap_err();
    assert_eq!(error, ExchangeError::Unproven);
    let error =
        open_forged(|forgery| forgery.card = signed_card(&device(1), *device(3).card().agreement(), device(3).card().kem()).encode());
    assert_eq!(error.unwrap_err(), ExchangeError::Unproven);
    let error = open_forged(|forgery| forgery.card[30] ^= 1).unwrap_err();
    assert_eq!(error, ExchangeError::Card(CardError::Signature));
}

#[test]
fn reply_from_our_own_identity_is_refused() {
    assert_eq!(open_forged(|forgery| *forgery = ReplyForgery::honest(&device(2))).unwrap_err(), ExchangeError::OwnIdentity);
}

#[test]
fn kem_secrets_take_part() {
    assert_eq!(open_forged(|forgery| forgery.flip_c1 = true).unwrap_err(), ExchangeError::Closed);
    assert_eq!(open_forged(|forgery| forgery.flip_c2 = true).unwrap_err(), ExchangeError::Unproven);
}

#[test]
fn low_order_keys_in_a_reply_are_refused() {
    for key in LOW_ORDER {
        assert_eq!(open_forged(|forgery| forgery.shown_f = Some(key)).unwrap_err(), ExchangeError::Closed, "f {key:?}");
        assert_eq!(open_forged(|forgery| forgery.shown_q = Some(key)).unwrap_err(), ExchangeError::Malformed, "q {key:?}");
        let card = signed_card(&device(1), key, device(1).card().kem()).encode();
        assert_eq!(open_forged(|forgery| forgery.card = card).unwrap_err(), ExchangeError::Card(CardError::Key), "A {key:?}");
    }
}

#[test]
fn replies_of_unknown_form_are_refused() {
    for kind in [0, 3, 255] {
        assert_eq!(open_forged(|forgery| forgery.kind = kind).unwrap_err(), ExchangeError::Malformed);
    }
    assert_eq!(open_forged(|forgery| forgery.kind = KIND_USED).unwrap_err(), ExchangeError::Malformed);
    assert_eq!(open_forged(|forgery| forgery.filling = 1).unwrap_err(), ExchangeError::Malformed);
}

#[test]
fn every_shared_secret_reaches_every_key() {
    let derive = |changed: usize| {
        let mut values = (0..9).map(|value| Secret::new([value; 32])).collect::<Vec<_>>();
        values[changed] = Secret::new([0xaa; 32]);
        let [secret, el, fe, ae, fa, al, s1, s2, _] = values.try_into().unwrap_or_else(|_| panic!("nine"));
        let base = ReplyBase { e: [0; 32], secrets: Secret::from_slice(&[&secret.expose()[..16], el.expose()].concat()).unwrap() };
        let keys = DerivedKeys::derive(&base, &PairSecrets { fe, ae, fa, al, s1, s2 }, &[7; 32]);
        let proof = keys.proof(&[7; 32]);
        let pair = keys.into_pair(PairRole::Issuer, Secret::new([0; 32]), [0; 32]);
        [&common(&pair)[..], &[proof]].concat()
    };
    let mut all = (0..9).flat_map(derive).collect::<Vec<_>>();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 9 * 5);
}

#[test]
fn both_sides_have_the_same_keys() {
    let mut scene = Scene::new();
    let request = scene.request(0);
    assert_eq!(request.bytes().len(), MAX_BUNDLE_LEN);
    let accepted = scene.accept(&request);
    let (keys, card, issuer) = established(scene.reply(&accepted.bundle.bundle).unwrap());
    assert_eq!(common(&keys), common(&accepted.keys));
    assert_eq!((accepted.keys.role, keys.role), (PairRole::Issuer, PairRole::Invitee));
    assert_eq!(public_half(&accepted.keys.own_ratchet), keys.other_ratchet);
    assert_eq!(public_half(&keys.own_ratchet), accepted.keys.other_ratchet);
    assert!(card == *scene.alma.card() && accepted.card == *scene.boris.card());
    assert_eq!((issuer.as_str(), accepted.name.as_str()), ("Alma", "Boris"));
    let mut distinct = common(&keys).to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), 4);
}

#[test]
fn same_request_answered_again_gives_the_same_keys() {
    let mut scene = Scene::new();
    let (first, again) = (scene.request(0), scene.request(1));
    let accepted = scene.accept(&first);
    let stored = ReplyState::decode(&accepted.reply.encode()).unwrap();
    assert!(stored.answers(&scene.open(&again).unwrap()));
    assert_eq!(stored.transcript(), scene.open(&again).unwrap().transcript());
    for number in 1..TRIES {
        let bundle = stored.seal(number, scene.envelope(), &mut scene.rng).unwrap().bundle;
        assert_eq!(bundle.header().tag, scene.pending.reply_tags()[usize::from(number)]);
        assert_ne!(bundle.id(), accepted.bundle.bundle.id());
        let (keys, ..) = established(scene.reply(&bundle).unwrap());
        assert_eq!(common(&keys), common(&accepted.keys));
        assert_eq!(keys.other_ratchet, public_half(&accepted.keys.own_ratchet));
    }
}

#[test]
fn all_tries_are_one_request_and_another_person_is_another() {
    let mut scene = Scene::new();
    let mut transcripts = Vec::new();
    for number in 0..TRIES {
        let bundle = scene.request(number);
        assert_eq!(bundle.header().tag, scene.issued.request_tags()[usize::from(number)]);
        let request = scene.open(&bundle).unwrap();
        assert_eq!(request.number(), number);
        transcripts.push(*request.transcript());
    }
    transcripts.dedup();
    assert_eq!(transcripts.len(), 1);
    let other = scene.open(&Forgery::honest(&scene.boris).seal(scene.issued.link())).unwrap();
    assert_ne!(*other.transcript(), transcripts[0]);
}

#[test]
fn tries_end_at_sixteen() {
    let mut scene = Scene::new();
    let envelope = scene.envelope();
    for number in [16, 255] {
        assert_eq!(scene.pending.request(&scene.boris, number, b"", envelope, &mut scene.rng).unwrap_err(), SealError::Try(number));
        let bundle = scene.request(15);
        let request = scene.open(&bundle).unwrap();
        let answerer = Answerer { device: &scene.alma, name: &name("Alma"), held: &[0; 16] };
        let refused = scene.issued.accept(answerer, &request, number, envelope, &mut scene.rng);
        assert_eq!(refused.unwrap_err(), SealError::Try(number));
        assert_eq!(scene.issued.refuse(&request, number, envelope, &mut scene.rng).unwrap_err(), SealError::Try(number));
        assert_eq!(scene.accept(&bundle).reply.seal(number, envelope, &mut scene.rng).unwrap_err(), SealError::Try(number));
    }
}

#[test]
fn items_ride_on_the_request_up_to_their_limit() {
    let mut scene = Scene::new();
    let envelope = scene.envelope();
    let items = vec![7; MAX_REQUEST_ITEMS_LEN];
    let sealed = scene.pending.request(&scene.boris, 0, &items, envelope, &mut scene.rng).unwrap();
    let request = scene.open(&sealed.bundle).unwrap();
    assert_eq!(request.items(), items);
    assert!(request.ack().matches(sealed.ack.expose()));
    let long = vec![7; MAX_REQUEST_ITEMS_LEN + 1];
    assert!(matches!(scene.pending.request(&scene.boris, 0, &long, envelope, &mut scene.rng), Err(SealError::TooLong(_))));
}

#[test]
fn states_survive_a_restart() {
    let mut scene = Scene::new();
    scene.pending = PendingRequest::decode(&scene.pending.encode()).unwrap();
    scene.issued = IssuedLink::decode(&scene.issued.encode()).unwrap();
    let request = scene.request(0);
    let accepted = scene.accept(&request);
    scene.pending = PendingRequest::decode(&scene.pending.encode()).unwrap();
    let (keys, ..) = established(scene.reply(&accepted.bundle.bundle).unwrap());
    assert_eq!(common(&keys), common(&accepted.keys));
    assert_eq!(scene.pending.link_keys().link.expose(), scene.issued.link().keys().link.expose());
}

#[test]
fn damaged_states_are_refused_or_harmless() {
    let mut scene = Scene::new();
    let request = scene.request(0);
    let reply = scene.accept(&request).reply.encode();
    let (issued, pending) = (scene.issued.encode(), scene.pending.encode());
    for length in 0..reply.len() {
        assert!(ReplyState::decode(&reply[..length]).is_err());
        assert!(length >= issued.len() || IssuedLink::decode(&issued[..length]).is_err());
        assert!(length >= pending.len() || PendingRequest::decode(&pending[..length]).is_err());
    }
    for bytes in [&issued, &pending, &reply] {
        let longer = [&bytes[..], &[0]].concat();
        assert!(ReplyState::decode(&longer).is_err() && IssuedLink::decode(&longer).is_err() && PendingRequest::decode(&longer).is_err());
    }
    for offset in 0..pending.len() {
        let mut changed = pending.clone();
        changed[offset] ^= 0x20;
        let Ok(state) = PendingRequest::decode(&changed) else { continue };
        assert!(offset > 0, "an unknown version was taken");
        let sealed = state.request(&scene.boris, 0, b"", scene.envelope(), &mut scene.rng).unwrap();
        // Never the same request with something else in it; the hour of expiry is the one thing that it does not show.
        let same = scene.open(&sealed.bundle).is_ok_and(|other| *other.transcript() == *scene.open(&request).unwrap().transcript());
        assert_eq!(same, (2..6).contains(&offset) || is_rejection(offset, pending.len()), "{offset}");
    }
    for offset in 0..issued.len() {
        let mut changed = issued.clone();
        changed[offset] ^= 0x20;
        if let Ok(state) = IssuedLink::decode(&changed) {
            assert!(offset > 0, "an unknown version was taken");
            let _ = state.open_request(&scene.alma, &request);
        }
    }
}

/// The second half of an ML-KEM seed has no public side.
fn is_rejection(offset: usize, length: usize) -> bool {
    (length - 64..length - 32).contains(&offset)
}

#[test]
fn debug_shows_nothing() {
    let mut scene = Scene::new();
    let request = scene.request(4);
    let accepted = scene.accept(&request);
    assert_eq!(format!("{:?}", scene.open(&request).unwrap()), "Request { number: 4, .. }");
    assert_eq!(format!("{:?}", accepted.reply), "ReplyState(..)");
    assert_eq!(format!("{:?}", scene.pending), "PendingRequest { link: Link { expires: Hour(500000), .. }, .. }");
    assert_eq!(format!("{:?}", scene.issued), "IssuedLink { link: Link { expires: Hour(500000), .. }, private: Secret<32>(..) }");
}
