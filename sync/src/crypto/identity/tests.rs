use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use super::*;

/// All encodings of X25519 points of low order, without those that differ in the ignored top bit only
/// (<https://cr.yp.to/ecdh.html>, "How do I validate public keys?").
pub(crate) const LOW_ORDER: [[u8; 32]; 7] = [
    [0; 32],
    with_ends(0x01, 0x00, 0x00),
    [
        0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32,
        0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00,
    ],
    [
        0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef, 0x5b, 0x04, 0x44, 0x5c, 0xc4, 0x58, 0x1c,
        0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57,
    ],
    with_ends(0xec, 0xff, 0x7f),
    with_ends(0xed, 0xff, 0x7f),
    with_ends(0xee, 0xff, 0x7f),
];

const fn with_ends(first: u8, middle: u8, last: u8) -> [u8; 32] {
    let mut out = [middle; 32];
    out[0] = first;
    out[31] = last;
    out
}

pub(crate) fn device(seed: u64) -> Device {
    Device::generate(&mut ChaCha20Rng::seed_from_u64(seed))
}

/// Signs any keys with the identity of `device`, as its owner could.
pub(crate) fn signed_card(device: &Device, agreement: [u8; 32], kem: &[u8; kem::KEY_LEN]) -> Card {
    let mut card = Card { agreement, kem: Box::new(*kem), ..device.card.clone() };
    card.signature = SigningKey::from_bytes(device.identity.expose()).sign(&card.signed_message()).to_bytes();
    card
}

#[test]
fn every_bit_of_a_card_is_signed() {
    let card = device(1).card().encode();
    for bit in 0..card.len() * 8 {
        let mut changed = card;
        changed[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(Card::decode(&changed).unwrap_err(), CardError::Signature, "bit {bit}");
    }
}

#[test]
fn card_of_another_length_is_refused() {
    let card = device(1).card().encode();
    for length in [0, 1, SIGNED_LEN, CARD_LEN - 1] {
        assert_eq!(Card::decode(&card[..length]).unwrap_err(), CardError::Length);
    }
    assert_eq!(Card::decode(&[&card[..], &[0]].concat()).unwrap_err(), CardError::Length);
}

#[test]
fn card_signed_by_another_is_refused() {
    let (mine, other) = (device(1), device(2));
    let mut card = mine.card.clone();
    card.signature = other.card.signature;
    assert_eq!(Card::decode(&card.encode()).unwrap_err(), CardError::Signature);
    card.signature = SigningKey::from_bytes(other.identity.expose()).sign(&card.signed_message()).to_bytes();
    assert_eq!(Card::decode(&card.encode()).unwrap_err(), CardError::Signature);
}

#[test]
fn signature_without_the_label_is_refused() {
    let mine = device(1);
    let mut card = mine.card.clone();
    card.signature = SigningKey::from_bytes(mine.identity.expose()).sign(&card.encode()[..SIGNED_LEN]).to_bytes();
    assert_eq!(Card::decode(&card.encode()).unwrap_err(), CardError::Signature);
}

#[test]
fn identity_of_small_order_is_refused() {
    // The neutral element as key and as R, with S = 0, satisfies the plain equation for every message.
    let mut card = device(1).card().encode();
    card[16..48].fill(0);
    card[16] = 1;
    card[SIGNED_LEN..].fill(0);
    card[SIGNED_LEN] = 1;
    assert_eq!(Card::decode(&card).unwrap_err(), CardError::Signature);
}

#[test]
fn low_order_agreement_keys_are_refused() {
    let mine = device(1);
    for key in LOW_ORDER {
        let mut high = key;
        high[31] |= 0x80;
        for key in [key, high] {
            let card = signed_card(&mine, key, mine.card.kem());
            assert_eq!(Card::decode(&card.encode()).unwrap_err(), CardError::Key, "{key:?}");
        }
    }
}

#[test]
fn malformed_kem_key_is_refused() {
    let mine = device(1);
    let card = signed_card(&mine, mine.card.agreement, &[0xff; kem::KEY_LEN]);
    assert_eq!(Card::decode(&card.encode()).unwrap_err(), CardError::Key);
}

#[test]
fn card_decode_inverts_encode() {
    let card = device(1).card().clone();
    assert!(Card::decode(&card.encode()).unwrap() == card);
    assert!(card != *device(2).card());
}

#[test]
fn device_decode_inverts_encode() {
    let mine = device(1);
    let again = Device::decode(&mine.encode()).unwrap();
    assert!(again.card() == mine.card());
    assert_eq!(again.encode(), mine.encode());
}

#[test]
fn damaged_device_is_refused_or_shows_another_card() {
    let mine = device(1);
    let bytes = mine.encode();
    for length in 0..bytes.len() {
        assert_eq!(Device::decode(&bytes[..length]).unwrap_err(), StateError);
    }
    assert_eq!(Device::decode(&[&bytes[..], &[0]].concat()).unwrap_err(), StateError);
    for offset in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[offset] ^= 0x10;
        if let Ok(other) = Device::decode(&changed) {
            // The last half of the ML-KEM seed is for implicit rejection and has no public side.
            assert!(other.card() != mine.card() || offset >= DEVICE_LEN - 32, "offset {offset}");
        }
    }
}

#[test]
fn fingerprint_has_eight_groups_and_shows_the_identity_alone() {
    let mine = device(1);
    let text = mine.card().fingerprint();
    assert_eq!(text.split(' ').map(str::len).collect::<Vec<_>>(), [4; 8]);
    assert!(text.chars().all(|c| matches!(c, ' ' | 'a'..='z' | '2'..='7')), "{text}");
    assert_eq!(signed_card(&mine, device(2).card.agreement, mine.card.kem()).fingerprint(), text);
    assert_ne!(device(2).card().fingerprint(), text);
}

#[test]
fn debug_shows_nothing() {
    let mine = device(1);
    assert_eq!(format!("{mine:?} {:?} {:?}", mine.card(), Name::new("Alma").unwrap()), "Device(..) Card(..) Name(..)");
}

#[test]
fn names_of_people_are_taken() {
    for text in ["Alma", "a", "Zoë Müller-Özgür", "Ольга", "محمد", "李小龍", "🦔", "O'Neill (Bea)", &"x".repeat(50)] {
        let name = Name::new(text).unwrap();
        assert_eq!(name.as_str(), text);
        assert!(Name::decode_field(&name.encode_field()).unwrap() == name);
    }
    assert_eq!(Name::new("  Alma \n").unwrap().as_str(), "Alma");
}

#[test]
fn empty_and_long_names_are_refused() {
    for text in ["", " ", "\t\n", "\u{3000}"] {
        assert_eq!(Name::new(text).unwrap_err(), NameError::Empty, "{text:?}");
    }
    assert_eq!(Name::new(&"x".repeat(51)).unwrap_err(), NameError::TooLong(51));
    assert_eq!(Name::new(&"ö".repeat(26)).unwrap_err(), NameError::TooLong(52));
}

#[test]
fn invisible_and_control_characters_are_refused() {
    let ranges = [
        (0x00, 0x1f),
        (0x7f, 0x9f),
        (0xad, 0xad),
        (0x34f, 0x34f),
        (0x61c, 0x61c),
        (0x115f, 0x1160),
        (0x180b, 0x180f),
        (0x200b, 0x200f),
        (0x2028, 0x202e),
        (0x2060, 0x206f),
        (0x3164, 0x3164),
        (0xfe00, 0xfe0f),
        (0xfeff, 0xfeff),
        (0xfff9, 0xfffb),
        (0xe0000, 0xe0fff),
    ];
    for code in ranges.into_iter().flat_map(|(first, last)| first..=last) {
        let text = format!("a{}b", char::from_u32(code).unwrap());
        assert_eq!(Name::new(&text).unwrap_err(), NameError::Character(code), "{code:x}");
    }
    assert_eq!(Name::new("\u{1b}[2J").unwrap_err(), NameError::Character(0x1b));
}

fn field(length: u8, text: &[u8]) -> [u8; NAME_FIELD_LEN] {
    let mut out = [0; NAME_FIELD_LEN];
    out[0] = length;
    out[1..][..text.len()].copy_from_slice(text);
    out
}

#[test]
fn name_fields_in_another_form_are_refused() {
    for (bad, error) in [
        (field(0, b""), NameError::Empty),
        (field(4, b"Alma!"), NameError::Field),
        (field(51, b"Alma"), NameError::Field),
        (field(255, b"Alma"), NameError::Field),
        (field(5, b"Alma"), NameError::Character(0)),
        (field(5, b" Alma"), NameError::Field),
        (field(5, b"Alma "), NameError::Field),
        (field(2, b"\xff\xfe"), NameError::Field),
        (field(3, "\u{202e}".as_bytes()), NameError::Character(0x202e)),
        (field(4, b"\x1b[0m"), NameError::Character(0x1b)),
    ] {
        assert_eq!(Name::decode_field(&bad).unwrap_err(), error, "{bad:?}");
    }
    for offset in 5..NAME_FIELD_LEN {
        let mut bad = field(4, b"Alma");
        bad[offset] = 1;
        assert_eq!(Name::decode_field(&bad).unwrap_err(), NameError::Field, "offset {offset}");
    }
}

#[test]
fn kem_is_symmetric_and_rejects_what_was_made_for_another() {
    let rng = &mut ChaCha20Rng::seed_from_u64(5);
    let (seed, other) = (Secret::random(rng), Secret::random(rng));
    let (ciphertext, shared) = kem::encapsulate(&kem::encapsulation_key(&seed), rng).unwrap();
    assert!(kem::decapsulate(&seed, &ciphertext).matches(shared.expose()));
    assert!(!kem::decapsulate(&other, &ciphertext).matches(shared.expose()));
    let mut changed = ciphertext.clone();
    changed[0] ^= 1;
    assert!(!kem::decapsulate(&seed, &changed).matches(shared.expose()));
}
