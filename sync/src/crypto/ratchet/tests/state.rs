//! The stored form: complete, versioned, and no trap when it is corrupt; and what `Debug` prints.

use super::*;

/// States of every shape: fresh, with gaps, in each phase of a hybrid step.
fn states(rng: &mut ChaCha20Rng) -> Vec<Zeroizing<Vec<u8>>> {
    let [mut issuer, mut invitee] = pair(rng);
    let mut states = vec![issuer.ratchet.encode(), invitee.ratchet.encode()];
    let sealed: Vec<_> = (0..6).map(|_| issuer.seal(b"text", rng)).collect();
    for index in [5, 1, 3] {
        invitee.read(&sealed[index], rng);
    }
    states.push(invitee.ratchet.encode());
    issuer.ratchet.hybrid.messages = PQ_MESSAGES;
    let Some(PqItem::Key { epoch, key }) = issuer.ratchet.poll_pq_item(Hour(490_000), rng) else { panic!("a key is due") };
    states.push(issuer.ratchet.encode());
    assert!(invitee.ratchet.handle_pq_key(epoch, &key, rng));
    let Some(PqItem::Ciphertext { epoch, ciphertext }) = invitee.ratchet.poll_pq_item(Hour(490_001), rng) else {
        panic!("an answer is due")
    };
    states.push(invitee.ratchet.encode());
    assert!(issuer.ratchet.handle_pq_ciphertext(epoch, &ciphertext));
    states.push(issuer.ratchet.encode());
    states
}

#[test]
fn decode_inverts_encode_in_every_phase() {
    for state in states(&mut rng(21)) {
        assert!(Ratchet::decode(&state).unwrap().encode() == state);
    }
}

#[test]
fn corrupt_states_are_refused_or_harmless() {
    let rng = &mut rng(22);
    let message = pair(rng)[0].seal(b"text", rng);
    for state in states(rng) {
        for length in 0..state.len() {
            assert!(Ratchet::decode(&state[..length]).is_err(), "cut at {length}");
        }
        assert!(Ratchet::decode(&[&state[..], &[0]].concat()).is_err());
        for offset in 0..state.len() {
            for value in [0x01, 0x80, 0xff] {
                let mut corrupt = state.to_vec();
                corrupt[offset] ^= value;
                let Ok(mut ratchet) = Ratchet::decode(&corrupt) else { continue };
                // What cannot be told from a state that came about must still not panic.
                assert!(ratchet.encode()[..] == corrupt[..], "offset {offset}");
                _ = (ratchet.allowance(), ratchet.missing(9), ratchet.is_pq_due(Hour(1)));
                _ = ratchet.seal(envelope(1), b"text", u32::MAX, rng);
                ratchet.note_receipted(0..u32::MAX);
                assert!(ratchet.open(Place { chain: PlaceChain::Current, n: 1 }, &message.bundle, rng).is_none());
            }
        }
    }
    assert_eq!(Ratchet::decode(&[2]).unwrap_err(), StateError::Version(2));
    for length in [0, SKIPPED_KEY_LEN - 1, SKIPPED_KEY_LEN + 1] {
        assert!(SkippedKey::decode(Tag([0; 16]), 0, 0, &vec![0; length]).is_err());
    }
}

#[test]
fn debug_shows_nothing_secret() {
    let rng = &mut rng(23);
    let [mut issuer, mut invitee] = pair(rng);
    issuer.seal(b"text", rng);
    let message = issuer.seal(b"plaintext", rng);
    let place = invitee.tags[&message.bundle.header().tag];
    let opened = invitee.ratchet.open(place, &message.bundle, rng).unwrap();
    assert_eq!(format!("{:?}", invitee.ratchet), "Ratchet { next_number: 0, peer_confirmed: 0, confirmed: 0, floor: 0, .. }");
    assert_eq!(format!("{:?}", opened.skipped[0]), "SkippedKey { chain: 0, number: 0, .. }");
    assert_eq!(
        format!("{opened:?}"),
        "Opened { number: 1, plaintext_len: 360, pq: 0, skipped: 1, expect: 2, forget: 2, new_chain: false, .. }"
    );
    let keys = invitee.ratchet.recognition().next().unwrap();
    assert_eq!(format!("{keys:?}"), "PairEpochKeys { epoch: 0, own: Secret<32>(..), other: Secret<32>(..), link: Secret<32>(..) }");
    let item = PqItem::Key { epoch: 1, key: Box::new([7; PQ_KEY_LEN]) };
    assert_eq!(format!("{item:?}"), "Key { epoch: 1, .. }");
}
