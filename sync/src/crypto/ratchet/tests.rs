//! Attacks and limits. Random sequences against the naive model stand in `property`, vectors in `vectors`.

mod hybrid;
mod property;
mod state;
mod vectors;

use std::collections::BTreeMap;

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

use super::*;
use crate::{
    crypto::kdf::hkdf,
    wire::bundle::{BODY_OFFSET, Class, Lifetime},
};

fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

fn envelope(hour: u32) -> Envelope {
    Envelope { class: Class::Normal, lifetime: Lifetime::Fortnight, created: Hour(hour) }
}

/// The outcome of a contact exchange: issuer, invitee.
fn pair_keys(rng: &mut ChaCha20Rng) -> [PairKeys; 2] {
    let common: [[u8; 32]; 4] = std::array::from_fn(|_| *Secret::random(rng).expose());
    let ratchets = [RatchetKey::new(Secret::random(rng)), RatchetKey::new(Secret::random(rng))];
    let keys = |role, own: &RatchetKey, other: &RatchetKey| {
        let [root, issuer_header, invitee_header, pair_secret] = common.map(Secret::new);
        let (own_ratchet, other_ratchet) = (own.secret().duplicate(), *other.public());
        PairKeys { role, root, issuer_header, invitee_header, pair_secret, own_ratchet, other_ratchet }
    };
    let [q, r] = &ratchets;
    [keys(PairRole::Issuer, q, r), keys(PairRole::Invitee, r, q)]
}

/// What the engine keeps beside a ratchet: the map of expected tags, and skipped keys.
struct Device {
    ratchet: Ratchet,
    tags: BTreeMap<Tag, Place>,
    skipped: BTreeMap<Tag, SkippedKey>,
}

impl Device {
    fn new(ratchet: Ratchet) -> Self {
        let tags = ratchet.expected().into_iter().collect();
        Self { ratchet, tags, skipped: BTreeMap::new() }
    }

    fn open(&mut self, bundle: &Bundle, rng: &mut ChaCha20Rng) -> Option<Opened> {
        let tag = bundle.header().tag;
        let mut opened = match (self.tags.get(&tag), self.skipped.get(&tag)) {
            (Some(place), None) => self.ratchet.open(*place, bundle, rng)?,
            (None, Some(key)) => {
                let opened = self.ratchet.open_skipped(key, bundle)?;
                self.skipped.remove(&tag);
                opened
            }
            (None, None) => return None,
            (Some(_), Some(_)) => panic!("a tag is expected and skipped"),
        };
        for tag in &opened.forget {
            self.tags.remove(tag);
        }
        self.skipped.extend(opened.skipped.drain(..).map(|key| (key.tag, key)));
        self.tags.extend(opened.expect.iter().copied());
        Some(opened)
    }

    /// The map that was moved on step by step is the one that a restart would fill.
    fn check_tags(&self) {
        assert_eq!(self.tags, self.ratchet.expected().into_iter().collect());
        assert!(self.skipped.keys().all(|tag| !self.tags.contains_key(tag)));
    }

    fn restart(&mut self) {
        let state = self.ratchet.encode();
        self.ratchet = Ratchet::decode(&state).unwrap();
        assert!(self.ratchet.encode() == state, "encode inverts decode");
        for (tag, key) in &mut self.skipped {
            *key = SkippedKey::decode(*tag, key.chain, key.number, key.encode().as_slice()).unwrap();
        }
    }

    fn seal(&mut self, body: &[u8], rng: &mut ChaCha20Rng) -> SealedMessage {
        let floor = self.ratchet.peer_confirmed();
        self.ratchet.seal(envelope(490_000), body, floor, rng).unwrap()
    }

    /// Seals as many messages as the windows allow.
    fn seal_all(&mut self, rng: &mut ChaCha20Rng) -> Vec<SealedMessage> {
        let allowance = self.ratchet.allowance();
        let sealed = (0..allowance).map(|_| self.seal(b"text", rng)).collect();
        assert_eq!(self.ratchet.allowance(), 0);
        sealed
    }

    /// Opens what must open.
    fn read(&mut self, message: &SealedMessage, rng: &mut ChaCha20Rng) -> Opened {
        let opened = self.open(&message.bundle, rng).expect("it opens");
        assert_eq!(opened.number, message.number);
        assert!(opened.ack.matches(message.ack.expose()));
        opened
    }

    fn missing(&self) -> Vec<(u32, u32)> {
        self.ratchet.missing(9).into_iter().map(|gap| (gap.start, gap.end)).collect()
    }

    /// Checks that a bundle does not open and changes nothing.
    fn refuse(&mut self, bundle: &Bundle, rng: &mut ChaCha20Rng) {
        let before = self.ratchet.encode();
        assert!(self.open(bundle, rng).is_none());
        assert!(self.ratchet.encode() == before);
    }
}

/// Issuer and invitee.
fn pair(rng: &mut ChaCha20Rng) -> [Device; 2] {
    let mut starts = false;
    pair_keys(rng).map(|keys| {
        starts = !starts;
        Device::new(Ratchet::new(keys, starts, rng).unwrap())
    })
}

fn with_bytes(bundle: &Bundle, change: impl FnOnce(&mut Vec<u8>)) -> Bundle {
    let mut bytes = bundle.bytes().to_vec();
    change(&mut bytes);
    Bundle::decode(bytes).unwrap()
}

#[test]
fn both_can_write_at_once() {
    let rng = &mut rng(1);
    let [mut issuer, mut invitee] = pair(rng);
    let (first, second) = (issuer.seal(b"from the issuer", rng), invitee.seal(b"from the invitee", rng));
    assert_eq!(issuer.read(&second, rng).plaintext[..16], *b"from the invitee");
    assert_eq!(invitee.read(&first, rng).plaintext[..15], *b"from the issuer");
    for _ in 0..3 {
        let message = issuer.seal(b"ping", rng);
        assert!(invitee.read(&message, rng).new_chain);
        let message = invitee.seal(b"pong", rng);
        assert!(issuer.read(&message, rng).new_chain);
        issuer.check_tags();
        invitee.check_tags();
    }
    assert_eq!(issuer.ratchet.peer_confirmed(), 4);
    assert_eq!(issuer.ratchet.confirmed(), 4);
}

#[test]
fn a_message_in_order_costs_one_new_tag() {
    let rng = &mut rng(2);
    let [mut issuer, mut invitee] = pair(rng);
    for n in 0..20 {
        let message = issuer.seal(b"text", rng);
        let opened = invitee.read(&message, rng);
        assert_eq!(opened.expect.len(), 1);
        assert_eq!(opened.expect[0].1, Place { chain: PlaceChain::Current, n: n + RECEIVE_WINDOW });
        assert_eq!(opened.forget, [message.bundle.header().tag]);
        assert!(opened.skipped.is_empty() && !opened.new_chain);
    }
    invitee.check_tags();
}

#[test]
fn a_thousand_messages_of_one_chain_open_newest_first() {
    let rng = &mut rng(3);
    let [mut issuer, mut invitee] = pair(rng);
    let mut sealed = vec![issuer.seal(b"text", rng)];
    issuer.ratchet.note_receipted(0..1);
    sealed.extend(issuer.seal_all(rng));
    assert_eq!(sealed.len(), SEND_WINDOW as usize);
    for message in sealed.iter().rev() {
        invitee.read(message, rng);
    }
    assert_eq!(invitee.ratchet.confirmed(), SEND_WINDOW);
    assert!(invitee.skipped.is_empty());
    invitee.check_tags();
}

#[test]
fn a_thousand_messages_over_several_chains_open_newest_first() {
    let rng = &mut rng(4);
    let [mut issuer, mut invitee] = pair(rng);
    let mut late = Vec::new();
    while issuer.ratchet.next_number() < SEND_WINDOW {
        let mut sealed = issuer.seal_all(rng);
        assert_eq!(sealed.len(), SEND_UNANSWERED as usize);
        invitee.read(&sealed.pop().unwrap(), rng);
        late.extend(sealed);
        let answer = invitee.seal(b"seen", rng);
        issuer.read(&answer, rng);
    }
    assert_eq!(issuer.ratchet.allowance(), 0, "number 0 is not confirmed");
    assert_eq!(invitee.skipped.len(), 995);
    for message in late.iter().rev() {
        invitee.read(message, rng);
    }
    let answer = invitee.seal(b"seen", rng);
    issuer.read(&answer, rng);
    assert_eq!(issuer.ratchet.peer_confirmed(), SEND_WINDOW);
    assert_eq!(issuer.ratchet.allowance(), SEND_UNANSWERED);
}

#[test]
fn sender_stops_at_the_windows_and_goes_on_after_confirmation() {
    let rng = &mut rng(5);
    let [mut issuer, mut invitee] = pair(rng);
    let sealed = issuer.seal_all(rng);
    assert_eq!(sealed.len(), SEND_UNANSWERED as usize);
    let before = issuer.ratchet.encode();
    assert_eq!(issuer.ratchet.seal(envelope(1), b"one more", 0, rng).unwrap_err(), SealError::WindowFull);
    assert!(issuer.ratchet.encode() == before);
    // Receipts of numbers that were never sealed, or of none, lift nothing.
    issuer.ratchet.note_receipted(200..u32::MAX);
    issuer.ratchet.note_receipted(5..5);
    assert_eq!(issuer.ratchet.allowance(), 0);
    issuer.ratchet.note_receipted(7..8);
    assert_eq!(issuer.ratchet.allowance(), SEND_WINDOW - SEND_UNANSWERED);
    issuer.seal_all(rng);

    invitee.read(&sealed[0], rng);
    let answer = invitee.seal(b"seen", rng);
    issuer.read(&answer, rng);
    assert_eq!(issuer.ratchet.peer_confirmed(), 1);
    assert_eq!(issuer.ratchet.allowance(), 1);
}

#[test]
fn a_chain_of_which_all_is_lost_goes_on_one_at_a_time() {
    let rng = &mut rng(24);
    let [mut issuer, mut invitee] = pair(rng);
    issuer.seal_all(rng);
    let mut last = None;
    for length in SEND_UNANSWERED..RECEIVE_NEXT_WINDOW {
        issuer.ratchet.note_closed(length - 1);
        assert_eq!(issuer.ratchet.allowance(), 0, "one may still arrive");
        issuer.ratchet.note_closed(u32::MAX);
        assert_eq!(issuer.ratchet.allowance(), 1);
        issuer.restart();
        last = Some(issuer.ratchet.seal(envelope(1), b"is anybody there", 0, rng).unwrap());
    }
    issuer.ratchet.note_closed(u32::MAX);
    assert_eq!(issuer.ratchet.allowance(), 0, "a receiver expects no more of a chain that it has not seen");

    invitee.read(&last.unwrap(), rng);
    assert_eq!(invitee.ratchet.confirmed(), RECEIVE_NEXT_WINDOW);
    let answer = invitee.seal(b"seen", rng);
    issuer.read(&answer, rng);
    assert_eq!(issuer.ratchet.allowance(), SEND_UNANSWERED);
}

#[test]
fn a_body_that_does_not_fit_changes_nothing() {
    let rng = &mut rng(6);
    let [mut issuer, _] = pair(rng);
    let before = issuer.ratchet.encode();
    assert_eq!(issuer.ratchet.seal(envelope(1), &[0; 3_945], 0, rng).unwrap_err(), SealError::TooLong(TooLong(3_945)));
    assert!(issuer.ratchet.encode() == before);
}

#[test]
fn five_thousand_one_way_messages_open_newest_first_and_then_a_new_chain() {
    let rng = &mut rng(7);
    let [mut issuer, mut invitee] = pair(rng);
    let mut sent = 0;
    while sent < 5_000 {
        let sealed = issuer.seal_all(rng);
        sent += sealed.len();
        for message in sealed.iter().rev() {
            invitee.read(message, rng);
        }
        let answer = invitee.seal(b"seen", rng);
        issuer.read(&answer, rng);
    }
    assert_eq!(invitee.ratchet.confirmed(), 5_000);
    assert!(invitee.skipped.is_empty());
    let last = issuer.seal(b"last", rng);
    assert!(invitee.read(&last, rng).new_chain);
    invitee.check_tags();
    issuer.check_tags();
}

#[test]
fn one_chain_of_five_thousand_opens_newest_first_and_then_a_new_chain() {
    let rng = &mut rng(8);
    let [mut issuer, mut invitee] = pair(rng);
    let mut sealed = vec![issuer.seal(b"text", rng)];
    issuer.ratchet.note_receipted(0..1);
    while sealed.last().unwrap().number < 4_999 {
        sealed.extend(issuer.seal_all(rng));
        for message in sealed.iter().rev().take_while(|message| message.number >= invitee.ratchet.confirmed()).collect::<Vec<_>>() {
            invitee.read(message, rng);
        }
        // Stands for word that does not come in a header.
        issuer.ratchet.peer_confirmed = invitee.ratchet.confirmed();
    }
    let answer = invitee.seal(b"seen", rng);
    assert!(issuer.read(&answer, rng).new_chain);
    let last = issuer.seal(b"last", rng);
    assert!(invitee.read(&last, rng).new_chain);
    assert_eq!(invitee.ratchet.confirmed(), 5_001);
    invitee.check_tags();
}

#[test]
fn more_than_two_thousand_skipped_in_a_chain_are_refused() {
    for (skipped, opens) in [(MAX_SKIPPED_PER_CHAIN, true), (MAX_SKIPPED_PER_CHAIN + 1, false)] {
        let rng = &mut rng(9);
        let [mut issuer, mut invitee] = pair(rng);
        let first = issuer.seal(b"text", rng);
        invitee.read(&first, rng);
        // A sender that keeps to no window, and closes what it sent so that only the chain's own limit binds.
        for _ in 0..skipped {
            issuer.ratchet.peer_confirmed = issuer.ratchet.next_number();
            issuer.ratchet.sending.answered = true;
            issuer.seal(b"text", rng);
        }
        let answer = invitee.seal(b"seen", rng);
        issuer.read(&answer, rng);
        issuer.ratchet.peer_confirmed = issuer.ratchet.next_number();
        let message = issuer.seal(b"after", rng);
        if opens {
            let opened = invitee.read(&message, rng);
            assert!(opened.new_chain);
            assert_eq!(invitee.skipped.len(), skipped as usize);
            assert_eq!(invitee.ratchet.confirmed(), message.number + 1, "the floor closes the gap");
            invitee.check_tags();
        } else {
            invitee.refuse(&message.bundle, rng);
        }
    }
}

#[test]
fn a_number_beyond_the_span_is_refused() {
    let rng = &mut rng(10);
    let [mut issuer, mut invitee] = pair(rng);
    let mut last = None;
    // The first message is lost and never closed; every later one arrives, from a sender that keeps to no window.
    for number in 0..=window::MAX_OPEN_SPAN {
        issuer.ratchet.peer_confirmed = number;
        issuer.ratchet.sending.answered = true;
        let message = issuer.ratchet.seal(envelope(1), b"text", 0, rng).unwrap();
        if number > 0 && number < window::MAX_OPEN_SPAN {
            invitee.read(&message, rng);
        }
        last = Some(message);
    }
    invitee.refuse(&last.unwrap().bundle, rng);
    assert_eq!(invitee.ratchet.confirmed(), 0);
    assert_eq!(invitee.missing(), [(0, 1)]);
}

#[test]
fn garbage_under_a_copied_tag_changes_nothing() {
    let rng = &mut rng(11);
    let [mut issuer, mut invitee] = pair(rng);
    let ahead = issuer.seal(b"first", rng);
    let message = issuer.seal(b"real", rng);
    let before = invitee.ratchet.encode();
    for _ in 0..10_000 {
        let garbage = with_bytes(&message.bundle, |bytes| rng.fill_bytes(&mut bytes[48..]));
        assert!(invitee.open(&garbage, rng).is_none());
    }
    assert!(invitee.ratchet.encode() == before);
    // The sealed header copied too, so that only the body fails; also after the tag has become a skipped one.
    let garbage = with_bytes(&message.bundle, |bytes| rng.fill_bytes(&mut bytes[BODY_OFFSET..]));
    invitee.refuse(&garbage, rng);
    let garbage = with_bytes(&ahead.bundle, |bytes| rng.fill_bytes(&mut bytes[BODY_OFFSET..]));
    invitee.read(&message, rng);
    invitee.refuse(&garbage, rng);
    invitee.read(&ahead, rng);
}

#[test]
fn garbage_for_the_next_chain_changes_nothing() {
    let rng = &mut rng(12);
    let [mut issuer, mut invitee] = pair(rng);
    let message = invitee.seal(b"real", rng);
    for from in [48, BODY_OFFSET] {
        let garbage = with_bytes(&message.bundle, |bytes| rng.fill_bytes(&mut bytes[from..]));
        issuer.refuse(&garbage, rng);
    }
    issuer.check_tags();
    issuer.read(&message, rng);
}

#[test]
fn a_rewrapped_bundle_does_not_open() {
    let rng = &mut rng(13);
    let [mut issuer, mut invitee] = pair(rng);
    let message = issuer.seal(b"real", rng);
    let other = issuer.seal(b"other", rng);
    for (offset, value) in [(1, 1), (2, 0), (7, 0), (24, 0xff)] {
        let rewrapped = with_bytes(&message.bundle, |bytes| bytes[offset] ^= value.max(1));
        invitee.refuse(&rewrapped, rng);
    }
    let moved = with_bytes(&message.bundle, |bytes| bytes[BODY_OFFSET..].copy_from_slice(&other.bundle.bytes()[BODY_OFFSET..]));
    invitee.refuse(&moved, rng);
    invitee.read(&message, rng);
}

#[test]
fn a_bundle_that_was_read_does_not_open_again() {
    let rng = &mut rng(14);
    let [mut issuer, mut invitee] = pair(rng);
    let (first, second) = (issuer.seal(b"first", rng), issuer.seal(b"second", rng));
    let place = invitee.tags[&first.bundle.header().tag];
    let later_place = invitee.tags[&second.bundle.header().tag];
    let opened = invitee.ratchet.open(later_place, &second.bundle, rng).unwrap();
    let key = &opened.skipped[0];
    invitee.ratchet.open_skipped(key, &first.bundle).unwrap();
    let before = invitee.ratchet.encode();
    // Neither at its place, nor as a place of the next chain, nor with a key that should have been deleted (numbers above `confirmed`).
    assert!(invitee.ratchet.open(place, &first.bundle, rng).is_none());
    assert!(invitee.ratchet.open(later_place, &second.bundle, rng).is_none());
    assert!(invitee.ratchet.open(Place { chain: PlaceChain::Next, n: 0 }, &first.bundle, rng).is_none());
    assert!(invitee.ratchet.encode() == before);
    for n in [RECEIVE_NEXT_WINDOW, RECEIVE_WINDOW + 2, u32::MAX] {
        for chain in [PlaceChain::Current, PlaceChain::Next] {
            assert!(invitee.ratchet.open(Place { chain, n }, &first.bundle, rng).is_none());
        }
    }
}

#[test]
fn a_used_skipped_key_above_the_gaps_does_not_open_again() {
    let rng = &mut rng(15);
    let [mut issuer, mut invitee] = pair(rng);
    let sealed: Vec<_> = (0..3).map(|_| issuer.seal(b"text", rng)).collect();
    let place = invitee.tags[&sealed[2].bundle.header().tag];
    let opened = invitee.ratchet.open(place, &sealed[2].bundle, rng).unwrap();
    assert_eq!(invitee.missing(), [(0, 2)]);
    let key = opened.skipped.iter().find(|key| key.number == 1).unwrap();
    assert!(invitee.ratchet.open_skipped(key, &sealed[0].bundle).is_none(), "the key of another message");
    invitee.ratchet.open_skipped(key, &sealed[1].bundle).unwrap();
    assert!(invitee.ratchet.open_skipped(key, &sealed[1].bundle).is_none());
    assert_eq!(invitee.missing(), [(0, 1)]);
}

#[test]
fn a_floor_closes_gaps_and_one_above_its_own_number_is_refused() {
    let rng = &mut rng(16);
    let [mut issuer, mut invitee] = pair(rng);
    for _ in 0..5 {
        issuer.seal(b"lost", rng);
    }
    let message = issuer.ratchet.seal(envelope(1), b"text", 99, rng).unwrap();
    assert_eq!(invitee.read(&message, rng).number, 5);
    assert_eq!((invitee.ratchet.confirmed(), invitee.ratchet.peer_floor()), (6, 5));
    assert!(invitee.missing().is_empty());

    let floor = issuer.ratchet.next_number() + 1;
    let lie = forge(&issuer.ratchet, |header| header.floor = floor, rng);
    invitee.refuse(&lie, rng);
}

/// A bundle that `ratchet` would seal next, but for its header.
fn forge(ratchet: &Ratchet, change: impl FnOnce(&mut Header), rng: &mut ChaCha20Rng) -> Bundle {
    let sending = &ratchet.sending;
    let (tag, header_key) = sending.tags.duplicate().step();
    let keys = BundleKeys { tag, header: header_key, message: sending.messages.duplicate().step() };
    let mut header = Header {
        ratchet_key: *sending.ratchet.public(),
        previous: sending.previous,
        place: sending.length,
        pq: sending.pq,
        confirmed: ratchet.confirmed(),
        floor: 0,
    };
    change(&mut header);
    seal_bundle(&keys, envelope(1), &header.encode(), b"forged", 512, rng).unwrap().bundle
}

#[test]
fn headers_that_contradict_their_chain_are_refused() {
    let rng = &mut rng(17);
    let [mut issuer, mut invitee] = pair(rng);
    let first = issuer.seal(b"first", rng);
    invitee.read(&first, rng);
    let changes: [fn(&mut Header); 6] = [
        |header| header.ratchet_key[0] ^= 1,
        |header| header.previous = 1,
        |header| header.place = 2,
        |header| header.pq = 1,
        |header| header.confirmed = 1,
        |header| header.floor = u32::MAX,
    ];
    for change in changes {
        let lie = forge(&issuer.ratchet, change, rng);
        invitee.refuse(&lie, rng);
    }
    let honest = forge(&issuer.ratchet, |_| {}, rng);
    assert!(invitee.open(&honest, rng).is_some());
}

#[test]
fn first_headers_of_a_chain_that_break_a_rule_are_refused() {
    let rng = &mut rng(18);
    let [mut issuer, mut invitee] = pair(rng);
    let (first, answer) = (issuer.seal(b"first", rng), invitee.seal(b"answer", rng));
    invitee.read(&first, rng);
    issuer.read(&answer, rng);
    let changes: [fn(&mut Header); 8] = [
        |header| header.ratchet_key = [0; 32],
        |header| header.previous = 0,
        |header| header.previous = MAX_SKIPPED_PER_CHAIN + 2,
        |header| header.previous = u32::MAX,
        |header| header.place = 1,
        |header| header.pq = 1,
        |header| header.confirmed = 2,
        |header| header.floor = 2,
    ];
    for change in changes {
        let lie = forge(&issuer.ratchet, change, rng);
        invitee.refuse(&lie, rng);
    }
    invitee.check_tags();
    let honest = forge(&issuer.ratchet, |_| {}, rng);
    assert!(invitee.open(&honest, rng).is_some());
}

#[test]
fn a_restored_state_that_seals_a_number_again_uses_other_keys() {
    let rng = &mut rng(19);
    let [mut issuer, mut invitee] = pair(rng);
    let old = issuer.ratchet.encode();
    let first = issuer.seal(b"the same text", rng);
    let mut restored = Device::new(Ratchet::decode(&old).unwrap());
    let second = restored.seal(b"the same text", rng);
    assert_eq!(first.number, second.number);
    assert_eq!(first.bundle.header().tag, second.bundle.header().tag);
    assert!(!first.ack.matches(second.ack.expose()));
    assert_ne!(first.bundle.bytes()[BODY_OFFSET..], second.bundle.bytes()[BODY_OFFSET..]);
    assert_ne!(first.bundle.header().commitment, second.bundle.header().commitment);
    invitee.read(&second, rng);
    // A restored state does not take the word of a side that has seen more of it than it remembers itself.
    let third = restored.seal(b"more", rng);
    invitee.read(&third, rng);
    let answer = invitee.seal(b"seen both", rng);
    Device::new(Ratchet::decode(&old).unwrap()).refuse(&answer.bundle, rng);
}

#[test]
fn low_order_keys_are_refused() {
    for index in [0, 1] {
        let rng = &mut rng(20);
        let mut keys = pair_keys(rng);
        keys[index].other_ratchet = [0; 32];
        let [issuer, invitee] = keys;
        let low_order = if index == 0 { issuer } else { invitee };
        assert_eq!(Ratchet::new(low_order, true, rng).unwrap_err(), LowOrderKey);
    }
}
