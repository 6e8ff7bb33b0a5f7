//! Attacks first: what somebody with the repair secret, one side's keys or recordings can send; then what must work.

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use super::*;
use crate::{
    crypto::{
        bundle_seal::HEADER_FIELDS_LEN,
        identity::tests::{LOW_ORDER, device, signed_card},
        ratchet::Ratchet,
    },
    wire::bundle::{Class, Lifetime},
};

mod vectors;

const DAY: Day = Day(20_779);

fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

fn envelope() -> Envelope {
    Envelope { class: Class::Normal, lifetime: Lifetime::Week, created: Hour(DAY.0 * 24 + 5) }
}

/// One side of a pair.
struct Person {
    device: Device,
    contact: Card,
    secret: RepairSecret,
}

impl Person {
    fn parties(&self) -> Parties<'_> {
        Parties { secret: &self.secret, device: &self.device, contact: &self.contact }
    }
}

fn secret_of(byte: u8) -> RepairSecret {
    RepairSecret::new(&Secret::new([byte; 32]))
}

/// The device of `own` and the card of `other`, with the secret of their pair.
fn person(own: u64, other: u64) -> Person {
    Person { device: device(own), contact: device(other).card().clone(), secret: secret_of(7) }
}

/// Alma offers, Boris answers.
fn scene() -> (Person, Person) {
    (person(1, 2), person(2, 1))
}

fn offer(from: &Person, seed: u64) -> (PendingOffer, Bundle) {
    let pending = PendingOffer::new(&from.contact, &mut rng(seed)).unwrap();
    let bundle = pending.seal(from.parties(), DAY, envelope(), &mut rng(seed + 1)).unwrap().bundle;
    (pending, bundle)
}

fn open(by: &Person, bundle: &Bundle) -> Result<Offer, ExchangeError> {
    open_offer(by.parties(), DAY, bundle)
}

fn common(keys: &PairKeys) -> [[u8; 32]; 4] {
    [&keys.root, &keys.issuer_header, &keys.invitee_header, &keys.pair_secret].map(|key| *key.expose())
}

/// An offer put together by hand: every part may be wrong.
struct Forgery<'a> {
    parties: Parties<'a>,
    /// Whose keys `DH(A, A)` is worked out with.
    aa: Secret<32>,
    offerer: Card,
    answerer: Card,
    shown_e: Option<[u8; 32]>,
    shown_k: Option<Box<[u8; kem::KEY_LEN]>>,
    shown_r: Option<[u8; 32]>,
    side: Side,
    day: Day,
    header_filling: u8,
    body_filling: u8,
}

impl<'a> Forgery<'a> {
    fn honest(by: &'a Person) -> Self {
        Self {
            parties: by.parties(),
            aa: by.parties().agreement().unwrap(),
            offerer: by.device.card().clone(),
            answerer: by.contact.clone(),
            shown_e: None,
            shown_k: None,
            shown_r: None,
            side: by.parties().side(),
            day: DAY,
            header_filling: 0,
            body_filling: 0,
        }
    }

    fn seal(&self) -> Bundle {
        let rng = &mut rng(300);
        let pending = PendingOffer::new(&self.answerer, rng).unwrap();
        let e = self.shown_e.unwrap_or_else(|| public_half(&pending.e));
        let ea = if self.shown_e.is_some() { Secret::new([0; 32]) } else { agree(&pending.e, self.answerer.agreement()).unwrap() };
        let base = Base::new(self.parties.secret, e, &ea, &self.aa);
        let k = self.shown_k.clone().unwrap_or_else(|| kem::encapsulation_key(&pending.k));
        let r = self.shown_r.unwrap_or_else(|| public_half(&pending.r));
        let th1 = OfferTranscript { offerer: &self.offerer, answerer: &self.answerer, e: &e, c0: &pending.c0, k: &k, r: &r }.hash();
        let mut body = [pending.c0.as_slice(), k.as_slice(), &r, &base.offer_proof(&pending.s0, &th1)].concat();
        body.push(self.body_filling);
        let mut fields = [self.header_filling; HEADER_FIELDS_LEN];
        fields[..32].copy_from_slice(&e);
        let secret = self.parties.secret;
        let keys = BundleKeys {
            tag: secret.offer_tag(self.side, self.day),
            header: secret.offer_header(self.side, self.day),
            message: base.offer_key(),
        };
        seal_bundle(&keys, envelope(), &fields, &body, MAX_BUNDLE_LEN, rng).unwrap().bundle
    }
}

#[test]
fn honest_forgery_opens() {
    // Guards the tests below: what they change is all that is wrong.
    let (alma, boris) = scene();
    open(&boris, &Forgery::honest(&alma).seal()).unwrap();
}

#[test]
fn offer_without_the_private_half_of_the_agreement_key_is_refused() {
    // A holder of the repair secret and of both cards, such as a contact of both who once saw the secret.
    let (alma, boris) = scene();
    let mallory = device(3);
    let aa = mallory.agree(boris.device.card().agreement()).unwrap();
    assert_eq!(open(&boris, &Forgery { aa, ..Forgery::honest(&alma) }.seal()).unwrap_err(), ExchangeError::Closed);
}

#[test]
fn offer_with_another_card_is_refused() {
    // The right keys of agreement, and a card of the same person with another ML-KEM key, or of another identity.
    let (alma, boris) = scene();
    let changed = signed_card(&alma.device, *alma.device.card().agreement(), device(3).card().kem());
    for offerer in [changed, device(3).card().clone()] {
        let forgery = Forgery { offerer, ..Forgery::honest(&alma) };
        assert_eq!(open(&boris, &forgery.seal()).unwrap_err(), ExchangeError::Unproven);
    }
}

#[test]
fn offer_sealed_for_another_is_refused() {
    let (alma, boris) = scene();
    let forgery = Forgery { answerer: device(3).card().clone(), ..Forgery::honest(&alma) };
    assert_eq!(open(&boris, &forgery.seal()).unwrap_err(), ExchangeError::Closed);
}

#[test]
fn offer_to_a_changed_identity_does_not_open() {
    // Boris has begun anew, or knows another card of Alma's: nothing of the old pair is repaired.
    let (alma, boris) = scene();
    let (_, bundle) = offer(&alma, 10);
    let anew = Person { device: device(5), ..person(2, 1) };
    assert_eq!(open(&anew, &bundle).unwrap_err(), ExchangeError::Closed);
    let other = Person { contact: signed_card(&alma.device, *device(4).card().agreement(), device(4).card().kem()), ..boris };
    assert_eq!(open(&other, &bundle).unwrap_err(), ExchangeError::Closed);
}

#[test]
fn own_offer_sent_back_does_not_open() {
    let (alma, _) = scene();
    let (_, bundle) = offer(&alma, 10);
    assert_eq!(open(&alma, &bundle).unwrap_err(), ExchangeError::Closed);
    // Nor with the tag and header key of the other direction.
    let forgery = Forgery { side: alma.parties().side().other(), ..Forgery::honest(&alma) };
    assert_eq!(open(&alma, &forgery.seal()).unwrap_err(), ExchangeError::Closed);
    let (_, boris) = scene();
    assert_eq!(open(&boris, &forgery.seal()).unwrap_err(), ExchangeError::Closed);
}

#[test]
fn offer_opens_on_its_own_day_alone() {
    let (alma, boris) = scene();
    let (_, bundle) = offer(&alma, 10);
    for day in [DAY.0 - 7, DAY.0 - 1, DAY.0 + 1, DAY.0 + 7] {
        assert_eq!(open_offer(boris.parties(), Day(day), &bundle).unwrap_err(), ExchangeError::Closed);
    }
}

#[test]
fn days_of_three_weeks_are_expected() {
    for today in [0, 3, 7, 20_776, 20_779, 20_782] {
        let days: Vec<u32> = Day(today).expected().map(|Day(day)| day).collect();
        assert_eq!(days.len(), 21);
        assert!(days.contains(&today) && days.contains(&(today + 7)) && (today < 7 || days.contains(&(today - 7))), "{today}");
    }
    assert_eq!(Day::of(Hour(24 * 9 + 23)), Day(9));
}

#[test]
fn garbage_under_the_tag_does_not_open() {
    let (alma, boris) = scene();
    let (_, bundle) = offer(&alma, 10);
    let mut bytes = bundle.bytes().to_vec();
    let random: Secret<4096> = Secret::random(&mut rng(5));
    bytes[48..].copy_from_slice(&random.expose()[48..]);
    assert_eq!(open(&boris, &Bundle::decode(bytes).unwrap()).unwrap_err(), ExchangeError::Closed);
    for offset in (8..4096).step_by(97) {
        let mut bytes = bundle.bytes().to_vec();
        bytes[offset] ^= 1;
        assert_eq!(open(&boris, &Bundle::decode(bytes).unwrap()).unwrap_err(), ExchangeError::Closed, "offset {offset}");
    }
}

#[test]
fn unusable_keys_and_filling_are_refused() {
    let (alma, boris) = scene();
    for key in LOW_ORDER {
        let forgery = Forgery { shown_e: Some(key), ..Forgery::honest(&alma) };
        assert_eq!(open(&boris, &forgery.seal()).unwrap_err(), ExchangeError::Closed, "e {key:?}");
        let forgery = Forgery { shown_r: Some(key), ..Forgery::honest(&alma) };
        assert_eq!(open(&boris, &forgery.seal()).unwrap_err(), ExchangeError::Malformed, "r {key:?}");
    }
    let forgery = Forgery { shown_k: Some(Box::new([0xff; kem::KEY_LEN])), ..Forgery::honest(&alma) };
    assert_eq!(open(&boris, &forgery.seal()).unwrap_err(), ExchangeError::Malformed);
    for forgery in [Forgery { header_filling: 1, ..Forgery::honest(&alma) }, Forgery { body_filling: 1, ..Forgery::honest(&alma) }] {
        assert_eq!(open(&boris, &forgery.seal()).unwrap_err(), ExchangeError::Malformed);
    }
}

#[test]
fn another_repair_secret_finds_nothing() {
    let (alma, boris) = scene();
    let (_, bundle) = offer(&alma, 10);
    let boris = Person { secret: secret_of(8), ..boris };
    assert_eq!(open(&boris, &bundle).unwrap_err(), ExchangeError::Closed);
}

#[test]
fn answer_gives_both_the_same_keys() {
    let (alma, boris) = scene();
    let (pending, bundle) = offer(&alma, 10);
    let accepted = open(&boris, &bundle).unwrap().accept(boris.parties(), envelope(), &mut rng(20)).unwrap();
    let tags = pending.answer_tags(alma.parties());
    assert_eq!(tags[0], accepted.bundle.bundle.header().tag);
    let answer = pending.open_answer(alma.parties(), &accepted.bundle.bundle).unwrap();
    assert_eq!(common(&answer.keys), common(&accepted.keys));
    assert!(answer.ack.matches(accepted.bundle.ack.expose()));
    assert_eq!((answer.keys.role, accepted.keys.role), (PairRole::Invitee, PairRole::Issuer));

    // Both can write at once.
    let (mut ours, mut theirs) =
        (Ratchet::new(answer.keys, true, &mut rng(30)).unwrap(), Ratchet::new(accepted.keys, false, &mut rng(31)).unwrap());
    for (from, to) in [(true, false), (false, true)] {
        let (sender, reader) = if from { (&mut ours, &mut theirs) } else { (&mut theirs, &mut ours) };
        let sealed = sender.seal(envelope(), b"\x00", 0, &mut rng(32)).unwrap();
        let place = reader.expected().into_iter().find(|(tag, _)| *tag == sealed.bundle.header().tag).unwrap().1;
        assert!(reader.open(place, &sealed.bundle, &mut rng(33)).is_some(), "{from} {to}");
    }
}

#[test]
fn replayed_offer_gets_the_same_answer_and_another_offer_does_not() {
    let (alma, boris) = scene();
    let (pending, bundle) = offer(&alma, 10);
    let first = open(&boris, &bundle).unwrap();
    let accepted = first.accept(boris.parties(), envelope(), &mut rng(20)).unwrap();
    let state = AnswerState::decode(&accepted.state.encode()).unwrap();
    assert!(state.answers(&open(&boris, &bundle).unwrap()));

    // The same offer on the next day, answered under the next tag: the same keys.
    let again = pending.seal(alma.parties(), Day(DAY.0 + 1), envelope(), &mut rng(40)).unwrap().bundle;
    assert!(state.answers(&open_offer(boris.parties(), Day(DAY.0 + 1), &again).unwrap()));
    let answer = state.seal(1, envelope(), &mut rng(41)).unwrap();
    assert_eq!(answer.bundle.header().tag, pending.answer_tags(alma.parties())[1]);
    assert_eq!(common(&pending.open_answer(alma.parties(), &answer.bundle).unwrap().keys), common(&accepted.keys));
    assert_eq!(state.seal(TRIES, envelope(), &mut rng(42)).unwrap_err(), SealError::Try(TRIES));

    let (_, other) = offer(&alma, 50);
    assert!(!state.answers(&open(&boris, &other).unwrap()));
}

#[test]
fn answer_by_somebody_else_is_refused() {
    // Who holds all that both sides know of the offer, but not the private half of the offerer's agreement key on the other end.
    let (alma, boris) = scene();
    let (pending, bundle) = offer(&alma, 10);
    let good = open(&boris, &bundle).unwrap().accept(boris.parties(), envelope(), &mut rng(20)).unwrap();
    let mallory = Person { device: device(3), ..person(2, 1) };
    let base = Base { e: good.state.0.base.e, secrets: good.state.0.base.secrets.duplicate() };
    let forged = Offer { base, ..open(&boris, &bundle).unwrap() };
    // The answer to an earlier offer does not fit a later one.
    let (later, _) = offer(&alma, 60);
    assert_eq!(later.open_answer(alma.parties(), &good.bundle.bundle).unwrap_err(), ExchangeError::Closed);
    // An answer for another offerer: its DH with A_offerer differs.
    let fourth = device(4);
    let other = Parties { contact: fourth.card(), ..mallory.parties() };
    let answer = forged.accept(other, envelope(), &mut rng(21)).unwrap();
    assert_eq!(pending.open_answer(alma.parties(), &answer.bundle.bundle).unwrap_err(), ExchangeError::Closed);
}

#[test]
fn changed_answer_is_refused() {
    let (alma, boris) = scene();
    let (pending, bundle) = offer(&alma, 10);
    let accepted = open(&boris, &bundle).unwrap().accept(boris.parties(), envelope(), &mut rng(20)).unwrap();
    let reseal = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut state = AnswerState::decode(&accepted.state.encode()).unwrap();
        change(&mut state.0.body);
        let bundle = state.seal(2, envelope(), &mut rng(22)).unwrap().bundle;
        pending.open_answer(alma.parties(), &bundle).map(|_| ())
    };
    reseal(&|_| {}).unwrap();
    for offset in [0, 1_087, 1_088, 2_175, 2_176, 2_207, 2_208, 2_239] {
        assert_eq!(reseal(&|body| body[offset] ^= 1).unwrap_err(), ExchangeError::Unproven, "offset {offset}");
    }
    assert_eq!(reseal(&|body| body.push(1)).unwrap_err(), ExchangeError::Malformed);
    let mut bytes = accepted.bundle.bundle.bytes().to_vec();
    bytes[200] ^= 1;
    assert_eq!(pending.open_answer(alma.parties(), &Bundle::decode(bytes).unwrap()).unwrap_err(), ExchangeError::Closed);
}

#[test]
fn recognition_keys_are_mirrored_and_differ_by_direction() {
    let (alma, boris) = scene();
    let [own, other, link] = alma.secret.recognition(alma.parties().side());
    let [own_too, other_too, link_too] = boris.secret.recognition(boris.parties().side());
    assert_eq!((own.expose(), other.expose(), link.expose()), (other_too.expose(), own_too.expose(), link_too.expose()));
    assert_ne!(own.expose(), other.expose());
    assert_ne!(alma.parties().side(), boris.parties().side());
}

#[test]
fn pending_offer_survives_the_store() {
    let (alma, boris) = scene();
    let (pending, bundle) = offer(&alma, 10);
    let accepted = open(&boris, &bundle).unwrap().accept(boris.parties(), envelope(), &mut rng(20)).unwrap();
    let pending = PendingOffer::decode(&pending.encode()).unwrap();
    let keys = pending.open_answer(alma.parties(), &accepted.bundle.bundle).unwrap().keys;
    assert_eq!(common(&keys), common(&accepted.keys));
    for damaged in [&pending.encode()[1..], &[&pending.encode()[..], &[0]].concat()] {
        assert!(PendingOffer::decode(damaged).is_err() && AnswerState::decode(damaged).is_err());
    }
}
