//! Hybrid steps: when they are due, what they mix, and what does not disturb them.

use super::*;
use crate::crypto::ratchet::pq::Phase;

const HOUR: Hour = Hour(490_000);

fn key_of(item: Option<PqItem>) -> (u32, Box<[u8; PQ_KEY_LEN]>) {
    match item {
        Some(PqItem::Key { epoch, key }) => (epoch, key),
        other => panic!("a key is due, not {other:?}"),
    }
}

fn ciphertext_of(item: Option<PqItem>) -> (u32, Box<[u8; PQ_CIPHERTEXT_LEN]>) {
    match item {
        Some(PqItem::Ciphertext { epoch, ciphertext }) => (epoch, ciphertext),
        other => panic!("a ciphertext is due, not {other:?}"),
    }
}

/// A pair whose issuer starts, and is due to.
fn due_pair(rng: &mut ChaCha20Rng) -> [Device; 2] {
    let [mut issuer, invitee] = pair(rng);
    issuer.ratchet.hybrid.messages = PQ_MESSAGES;
    [issuer, invitee]
}

/// Takes both items across, without any message.
fn exchange(issuer: &mut Device, invitee: &mut Device, rng: &mut ChaCha20Rng) -> u32 {
    let (epoch, key) = key_of(issuer.ratchet.poll_pq_item(HOUR, rng));
    assert!(invitee.ratchet.handle_pq_key(epoch, &key, rng));
    let (epoch, ciphertext) = ciphertext_of(invitee.ratchet.poll_pq_item(HOUR, rng));
    assert!(issuer.ratchet.handle_pq_ciphertext(epoch, &ciphertext));
    epoch
}

fn link_key(device: &Device, epoch: u32) -> [u8; 32] {
    *device.ratchet.recognition().find(|keys| keys.epoch == epoch).unwrap().link.expose()
}

#[test]
fn a_step_is_due_after_fifty_messages_at_the_side_that_starts() {
    let rng = &mut rng(30);
    let [mut issuer, mut invitee] = pair(rng);
    for _ in 0..PQ_MESSAGES {
        assert!(!issuer.ratchet.is_pq_due(HOUR));
        assert!(issuer.ratchet.poll_pq_item(HOUR, rng).is_none());
        let message = issuer.seal(b"text", rng);
        invitee.read(&message, rng);
    }
    assert!(issuer.ratchet.is_pq_due(HOUR));
    assert!(!invitee.ratchet.is_pq_due(HOUR));
}

#[test]
fn a_step_is_due_after_a_week_and_taken_over_after_two() {
    let rng = &mut rng(31);
    let mut devices = pair(rng);
    for (device, hours) in devices.iter_mut().zip([PQ_HOURS, PQ_TAKEOVER_HOURS]) {
        let ratchet = &mut device.ratchet;
        assert!(ratchet.poll_pq_item(HOUR, rng).is_none());
        assert!(!ratchet.is_pq_due(HOUR.plus(10 * hours)), "nothing was said, so there is nothing to heal");
        ratchet.seal(envelope(HOUR.0), b"text", 0, rng).unwrap();
        assert!(!ratchet.is_pq_due(HOUR.plus(hours - 1)));
        assert!(!ratchet.is_pq_due(Hour::UNKNOWN));
        assert!(ratchet.is_pq_due(HOUR.plus(hours)));
        assert_eq!(key_of(ratchet.poll_pq_item(HOUR.plus(hours), rng)).0, 1);
    }
}

#[test]
fn a_clock_set_back_does_not_put_a_step_off_for_ever() {
    let rng = &mut rng(32);
    let [mut issuer, _] = pair(rng);
    issuer.ratchet.seal(envelope(HOUR.0 + 100_000), b"text", 0, rng).unwrap();
    assert!(issuer.ratchet.poll_pq_item(HOUR, rng).is_none());
    assert!(issuer.ratchet.is_pq_due(HOUR.plus(PQ_HOURS)));
}

#[test]
fn an_item_goes_out_again_until_it_has_arrived() {
    let rng = &mut rng(33);
    let [mut issuer, mut invitee] = due_pair(rng);
    let key = key_of(issuer.ratchet.poll_pq_item(HOUR, rng));
    let message = issuer.seal(b"with the key", rng);
    assert!(issuer.ratchet.poll_pq_item(HOUR.plus(REPEAT_HOURS - 1), rng).is_none());
    assert_eq!(key_of(issuer.ratchet.poll_pq_item(HOUR.plus(REPEAT_HOURS), rng)), key);
    let second = issuer.seal(b"with the key again", rng);
    // Closed without word of it: lost.
    issuer.ratchet.seal(envelope(HOUR.0), b"text", 2, rng).unwrap();
    assert_eq!(key_of(issuer.ratchet.poll_pq_item(HOUR.plus(REPEAT_HOURS), rng)), key);
    let third = issuer.seal(b"with the key once more", rng);
    // Closed because it was receipted: arrived.
    issuer.ratchet.note_receipted(third.number..third.number + 1);
    issuer.ratchet.seal(envelope(HOUR.0), b"text", third.number + 1, rng).unwrap();
    assert!(!issuer.ratchet.is_pq_due(HOUR.plus(3 * REPEAT_HOURS)));
    assert!(issuer.ratchet.is_pq_due(HOUR.plus(REPEAT_HOURS + REPEAT_ARRIVED_HOURS)));

    for message in [message, second, third] {
        invitee.read(&message, rng);
    }
    assert!(invitee.ratchet.handle_pq_key(key.0, &key.1, rng));
    let answer = ciphertext_of(invitee.ratchet.poll_pq_item(HOUR, rng));
    assert!(!invitee.ratchet.handle_pq_key(key.0, &key.1, rng), "one answer to one key");
    assert!(!invitee.ratchet.is_pq_due(HOUR), "not within the hour");
    assert_eq!(ciphertext_of(invitee.ratchet.poll_pq_item(HOUR.plus(1), rng)), answer);
}

#[test]
fn the_secret_is_mixed_in_at_the_next_sending_chain_and_named_there() {
    let rng = &mut rng(34);
    let [mut issuer, mut invitee] = due_pair(rng);
    assert_eq!(exchange(&mut issuer, &mut invitee, rng), 1);
    assert_eq!((issuer.ratchet.sending_epoch(), invitee.ratchet.sending_epoch()), (1, 0));
    assert_eq!(link_key(&issuer, 1), link_key(&invitee, 1));
    assert_ne!(link_key(&issuer, 1), link_key(&issuer, 0));

    let early = issuer.seal(b"before the turn", rng);
    assert_eq!(invitee.read(&early, rng).pq, 0);
    let turn = invitee.seal(b"turns the issuer", rng);
    assert_eq!(issuer.read(&turn, rng).pq, 0);
    let (first, second) = (issuer.seal(b"mixed", rng), issuer.seal(b"mixed too", rng));
    for device in [&mut issuer, &mut invitee] {
        device.restart();
    }
    // A side without the secret cannot follow.
    let honest = invitee.ratchet.encode();
    let Phase::Answered { shared, .. } = &mut invitee.ratchet.hybrid.phase else { panic!("an answer is open") };
    *shared = Secret::new([0; 32]);
    invitee.refuse(&second.bundle, rng);
    invitee.ratchet = Ratchet::decode(&honest).unwrap();

    // Any message of the chain may be the first to arrive.
    assert_eq!(invitee.read(&second, rng).pq, 1);
    assert_eq!(invitee.ratchet.sending_epoch(), 1);
    assert_eq!(invitee.read(&first, rng).pq, 1);
    let back = invitee.seal(b"in a plain chain", rng);
    assert_eq!(issuer.read(&back, rng).pq, 0);
    let plain = issuer.seal(b"in a plain chain", rng);
    assert_eq!(invitee.read(&plain, rng).pq, 0);
    assert!(!issuer.ratchet.is_pq_due(HOUR) && !invitee.ratchet.is_pq_due(HOUR));
}

#[test]
fn three_epochs_are_accepted_and_the_fourth_last_is_gone() {
    let rng = &mut rng(35);
    let [mut issuer, mut invitee] = pair(rng);
    for epoch in 1..=4 {
        issuer.ratchet.hybrid.messages = PQ_MESSAGES;
        assert_eq!(exchange(&mut issuer, &mut invitee, rng), epoch);
        for _ in 0..2 {
            let message = invitee.seal(b"text", rng);
            issuer.read(&message, rng);
            let message = issuer.seal(b"text", rng);
            invitee.read(&message, rng);
        }
        assert_eq!((issuer.ratchet.sending_epoch(), invitee.ratchet.sending_epoch()), (epoch, epoch));
    }
    for device in [&issuer, &invitee] {
        let epochs: Vec<u32> = device.ratchet.recognition().map(|keys| keys.epoch).collect();
        assert_eq!(epochs, [4, 3, 2]);
    }
    for (mine, theirs) in issuer.ratchet.recognition().zip(invitee.ratchet.recognition()) {
        assert!(mine.own.matches(theirs.other.expose()) && mine.other.matches(theirs.own.expose()));
        assert!(mine.link.matches(theirs.link.expose()) && !mine.own.matches(theirs.own.expose()));
    }
}

#[test]
fn of_two_offers_at_once_the_starting_sides_counts() {
    let rng = &mut rng(36);
    let [mut issuer, mut invitee] = due_pair(rng);
    invitee.ratchet.seal(envelope(HOUR.0), b"text", 0, rng).unwrap();
    let offer = key_of(issuer.ratchet.poll_pq_item(HOUR, rng));
    let other = key_of(invitee.ratchet.poll_pq_item(HOUR.plus(PQ_TAKEOVER_HOURS), rng));
    assert_eq!(offer.0, other.0);
    assert!(!issuer.ratchet.handle_pq_key(other.0, &other.1, rng));
    assert!(invitee.ratchet.handle_pq_key(offer.0, &offer.1, rng));
    let (epoch, answer) = ciphertext_of(invitee.ratchet.poll_pq_item(HOUR, rng));
    assert!(issuer.ratchet.handle_pq_ciphertext(epoch, &answer));
    assert_eq!(link_key(&issuer, 1), link_key(&invitee, 1));
}

#[test]
fn items_out_of_place_are_ignored() {
    let rng = &mut rng(37);
    let [mut issuer, mut invitee] = due_pair(rng);
    let ciphertext = [1; PQ_CIPHERTEXT_LEN];
    let before = invitee.ratchet.encode();
    assert!(!invitee.ratchet.handle_pq_ciphertext(1, &ciphertext), "nothing is on offer");
    // 0xfff is no coefficient modulo 3,329.
    assert!(!invitee.ratchet.handle_pq_key(1, &[0xff; PQ_KEY_LEN], rng), "no key of ML-KEM");
    let (epoch, key) = key_of(issuer.ratchet.poll_pq_item(HOUR, rng));
    for wrong in [0, 2, u32::MAX] {
        assert!(!invitee.ratchet.handle_pq_key(wrong, &key, rng));
        assert!(!issuer.ratchet.handle_pq_ciphertext(wrong, &ciphertext));
    }
    assert!(invitee.ratchet.encode() == before);
    assert!(invitee.ratchet.handle_pq_key(epoch, &key, rng));
    let (epoch, answer) = ciphertext_of(invitee.ratchet.poll_pq_item(HOUR, rng));
    assert!(issuer.ratchet.handle_pq_ciphertext(epoch, &answer));
    let before = issuer.ratchet.encode();
    assert!(!issuer.ratchet.handle_pq_ciphertext(epoch, &answer), "a ciphertext twice");
    assert!(!issuer.ratchet.handle_pq_key(epoch + 1, &key, rng), "another step while one is open");
    assert!(issuer.ratchet.encode() == before);
}
