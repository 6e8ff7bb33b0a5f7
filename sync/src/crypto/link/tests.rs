use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use super::*;
use crate::crypto::{exchange::IssuedLink, identity::tests::LOW_ORDER};

const EXPIRES: Hour = Hour(500_000);

fn issued() -> IssuedLink {
    IssuedLink::new(EXPIRES, &mut ChaCha20Rng::seed_from_u64(7))
}

fn text() -> String {
    issued().link().to_text().to_string()
}

/// The text of a link over any bytes, with a checksum that is right.
fn text_of(bytes: &[u8]) -> String {
    format!("hedgerow:{}", BASE32_NOPAD.encode(&[bytes, &digest(bytes)[..CHECK_LEN]].concat()))
}

fn assert_is_ours(found: Result<Link, LinkError>, text: &str) {
    let found = found.unwrap_or_else(|error| panic!("{text:?}: {error}"));
    assert_eq!(found.encode(), issued().link().encode(), "{text:?}");
}

#[test]
fn every_truncation_is_refused() {
    let text = text();
    for length in 0..text.len() {
        let error = Link::parse(&text[..length]).expect_err("a part of a link is none");
        assert_eq!(error, if length < LINK_SCHEME.len() { LinkError::Missing } else { LinkError::Length }, "{length} bytes");
    }
}

#[test]
fn every_altered_character_is_refused() {
    let text = text();
    for offset in LINK_SCHEME.len()..text.len() {
        for other in "abcdefghijklmnopqrstuvwxyz0123456789".chars().filter(|&c| !text[offset..].starts_with(c)) {
            let mut altered = text.clone();
            altered.replace_range(offset..=offset, &other.to_string());
            assert_eq!(Link::parse(&altered).expect_err("altered"), LinkError::Checksum, "offset {offset}, {other:?}");
        }
    }
}

#[test]
fn swapped_neighbours_are_refused() {
    let text = text();
    for offset in LINK_SCHEME.len()..text.len() - 1 {
        let mut bytes = text.clone().into_bytes();
        bytes.swap(offset, offset + 1);
        if bytes != text.as_bytes() {
            assert_eq!(Link::parse(std::str::from_utf8(&bytes).unwrap()).unwrap_err(), LinkError::Checksum, "offset {offset}");
        }
    }
}

#[test]
fn lengthened_link_is_refused() {
    for end in ["a", "2", "abcdefgh", "1"] {
        assert_eq!(Link::parse(&format!("{}{end}", text())).unwrap_err(), LinkError::Length);
    }
}

#[test]
fn unknown_version_is_named() {
    let mut bytes = *issued().link().encode();
    for version in [0, 2, 255] {
        bytes[0] = version;
        assert_eq!(Link::parse(&text_of(&bytes)).unwrap_err(), LinkError::Version(version));
    }
}

#[test]
fn link_without_expiry_or_with_a_low_order_key_is_refused() {
    let mut bytes = *issued().link().encode();
    bytes[1..5].fill(0);
    assert_eq!(Link::parse(&text_of(&bytes)).unwrap_err(), LinkError::Field);
    for key in LOW_ORDER {
        let mut bytes = *issued().link().encode();
        bytes[21..].copy_from_slice(&key);
        assert_eq!(Link::parse(&text_of(&bytes)).unwrap_err(), LinkError::Field, "{key:?}");
    }
}

#[test]
fn text_without_a_link_is_refused() {
    for text in ["", "hedgerow", "hedgerow :abc", "hedge row:", "http://example.org/", "ｈｅｄｇｅｒｏｗ:abc", "\u{1f33f}"] {
        assert_eq!(Link::parse(text).unwrap_err(), LinkError::Missing, "{text:?}");
    }
    assert_eq!(Link::parse("hedgerow:").unwrap_err(), LinkError::Length);
    assert_eq!(Link::parse("hedgerow:é").unwrap_err(), LinkError::Length);
}

#[test]
fn text_is_bounded() {
    let fits = format!("{}{}", " ".repeat(MAX_LINK_TEXT - text().len()), text());
    assert_is_ours(Link::parse(&fits), "padded");
    assert_eq!(Link::parse(&format!(" {fits}")).unwrap_err(), LinkError::TextTooLong(MAX_LINK_TEXT + 1));
    let many = "hedgerow:".repeat(MAX_LINK_TEXT / 9);
    assert_eq!(Link::parse(&many).unwrap_err(), LinkError::Length);
}

#[test]
fn link_is_found_in_any_case_and_any_text() {
    let (lower, upper) = (text(), text().to_ascii_uppercase());
    let mixed: String = lower.char_indices().map(|(index, c)| if index % 2 == 0 { c.to_ascii_uppercase() } else { c }).collect();
    let wrapped = lower.as_bytes().chunks(40).map(|line| std::str::from_utf8(line).unwrap()).collect::<Vec<_>>();
    for text in [
        lower.clone(),
        upper.clone(),
        mixed,
        format!("Schreib mir: <{lower}>. Grüße!"),
        format!("\"{upper}\","),
        format!("\n\t{lower}\r\n"),
        format!("see:{lower}?x"),
        format!("{lower} and then more words"),
        format!("öhedgerow: is the program, my link is {lower}…"),
        wrapped.join("\n"),
        wrapped.join("\r\n    "),
    ] {
        assert_is_ours(Link::parse(&text), &text);
    }
}

#[test]
fn qr_text_is_alphanumeric_and_short() {
    let text = issued().link().to_qr_text();
    assert_eq!(text.len(), 101);
    assert!(text.len() <= 154, "a terminal of 24 rows shows no more");
    assert!(text.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == ':'), "{}", *text);
    assert_is_ours(Link::parse(&text), &text);
}

#[test]
fn link_is_valid_through_its_last_hour() {
    let issued = issued();
    assert!(!issued.link().is_expired(EXPIRES));
    assert!(issued.link().is_expired(EXPIRES.plus(1)));
    assert!(!issued.link().is_expired(Hour::UNKNOWN));
}

#[test]
fn envelope_reaches_the_last_hour_or_a_fortnight() {
    let issued = issued();
    for (before, lifetime) in
        [(0, Lifetime::Day), (24, Lifetime::Day), (25, Lifetime::ThreeDays), (336, Lifetime::Fortnight), (337, Lifetime::Fortnight)]
    {
        let created = Hour(EXPIRES.0 - before);
        assert_eq!(issued.link().envelope(created), Envelope { class: Class::Normal, lifetime, created });
    }
    assert_eq!(issued.link().envelope(EXPIRES.plus(9)).lifetime, Lifetime::Day);
    assert_eq!(issued.link().envelope(Hour::UNKNOWN).lifetime, Lifetime::Fortnight);
}

#[test]
fn keys_tags_and_ids_are_all_different() {
    let other = IssuedLink::new(EXPIRES, &mut ChaCha20Rng::seed_from_u64(8));
    let mut seen = Vec::new();
    for link in [issued().link(), other.link()] {
        let LinkKeys { invitee_to_issuer, issuer_to_invitee, link: key } = link.keys();
        seen.extend([invitee_to_issuer, issuer_to_invitee, key].map(|key| key.expose()[..8].to_vec()));
        seen.extend(link.request_tags().map(|tag| tag.0[..8].to_vec()));
        seen.push(link.id().to_vec());
        seen.push(digest(link.encode().as_slice())[..8].to_vec());
    }
    let all = seen.len();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), all);
}

#[test]
fn debug_shows_nothing_of_the_secret() {
    assert_eq!(format!("{:?}", issued().link()), "Link { expires: Hour(500000), .. }");
    assert_eq!(format!("{:?}", issued().link().keys()).matches("Secret<32>(..)").count(), 3);
}
