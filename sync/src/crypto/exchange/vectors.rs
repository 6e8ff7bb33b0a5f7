//! The test vectors of docs/protocol.md, section 7: `sync/tests/data/vectors/exchange.json`, recomputed by `exchange.py` beside it.
//!
//! With `HEDGEROW_WRITE_VECTORS` set the test writes the file anew, from a seed; otherwise it checks that nothing has changed.

use std::path::Path;

use data_encoding::HEXLOWER;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use serde_json::{Value, json};

use super::{Answerer, IssuedLink, PendingRequest, Reply};
use crate::{
    crypto::{
        identity::{Device, Name},
        link::Link,
        pair_keys::PairKeys,
    },
    id::{MessageId, Tag},
    time::{Hour, UnixMillis},
    wire::{
        bundle::Bundle,
        item::{Item, Text},
    },
};

const EXPIRES: Hour = Hour(500_000);
const CREATED: Hour = Hour(499_900);
const REQUEST_TRY: u8 = 2;
const REPLY_TRY: u8 = 5;
const HELD: [u8; 16] = [0xcd; 16];

fn hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}

fn tags(tags: [Tag; 16]) -> Vec<String> {
    tags.map(|tag| hex(&tag.0)).to_vec()
}

fn pair(keys: &PairKeys) -> Value {
    json!({
        "root": hex(keys.root.expose()),
        "issuer header": hex(keys.issuer_header.expose()),
        "invitee header": hex(keys.invitee_header.expose()),
        "pair secret": hex(keys.pair_secret.expose()),
        "own ratchet": hex(keys.own_ratchet.expose()),
        "other ratchet": hex(&keys.other_ratchet),
    })
}

fn generate() -> Value {
    let rng = &mut ChaCha20Rng::seed_from_u64(2026);
    let (alma, boris) = (Device::generate(rng), Device::generate(rng));
    let issued = IssuedLink::new(EXPIRES, rng);
    let link = Link::parse(&issued.link().to_text()).unwrap();
    let envelope = link.envelope(CREATED);
    let pending = PendingRequest::new(link, Name::new("Boris").unwrap(), rng);
    let mut items = Vec::new();
    let text = Text { id: MessageId([0xab; 16]), sent: UnixMillis(1_799_640_000_000), order: 1, text: "Grüße, Älma".into() };
    Item::Text(text).encode(&mut items);
    let request = pending.request(&boris, REQUEST_TRY, &items, envelope, rng).unwrap();
    let opened = issued.open_request(&alma, &request.bundle).unwrap();
    let answerer = Answerer { device: &alma, name: &Name::new("Älma").unwrap(), held: &HELD };
    let accepted = issued.accept(answerer, &opened, REPLY_TRY, envelope, rng).unwrap();
    let used = issued.refuse(&opened, REPLY_TRY + 1, envelope, rng).unwrap();
    let keys = issued.link().keys();
    json!({
        "issuer device": hex(&alma.encode()),
        "issuer card": hex(&alma.card().encode()),
        "issuer fingerprint": alma.card().fingerprint(),
        "invitee device": hex(&boris.encode()),
        "invitee card": hex(&boris.card().encode()),
        "link": issued.link().to_text().as_str(),
        "issued link": hex(&issued.encode()),
        "pending request": hex(&pending.encode()),
        "link keys": {
            "invitee to issuer": hex(keys.invitee_to_issuer.expose()),
            "issuer to invitee": hex(keys.issuer_to_invitee.expose()),
            "link": hex(keys.link.expose()),
        },
        "request tags": tags(issued.request_tags()),
        "request try": REQUEST_TRY,
        "request": hex(request.bundle.bytes()),
        "request items": hex(&items),
        "request ack": hex(request.ack.expose()),
        "th1": hex(opened.transcript()),
        "reply tags": tags(pending.reply_tags()),
        "reply try": REPLY_TRY,
        "reply": hex(accepted.bundle.bundle.bytes()),
        "held pair": hex(&HELD),
        "reply ack": hex(accepted.bundle.ack.expose()),
        "used": hex(used.bundle.bytes()),
        "issuer keys": pair(&accepted.keys),
    })
}

#[test]
fn vectors_hold() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/vectors/exchange.json");
    if std::env::var_os("HEDGEROW_WRITE_VECTORS").is_some() {
        std::fs::write(&path, serde_json::to_string_pretty(&generate()).unwrap() + "\n").unwrap();
    }
    let vectors: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(generate(), vectors, "the bytes of the exchange have changed");

    // The file alone, as another program would read it.
    let bytes = |name: &str| HEXLOWER.decode(vectors[name].as_str().unwrap().as_bytes()).unwrap();
    let (alma, boris) = (Device::decode(&bytes("issuer device")).unwrap(), Device::decode(&bytes("invitee device")).unwrap());
    let issued = IssuedLink::decode(&bytes("issued link")).unwrap();
    let pending = PendingRequest::decode(&bytes("pending request")).unwrap();
    let request = issued.open_request(&alma, &Bundle::decode(bytes("request")).unwrap()).unwrap();
    assert_eq!(request.transcript().to_vec(), bytes("th1"));
    assert!(matches!(Item::decode_all(request.items()).unwrap().as_slice(), [Item::Text(text)] if text.text == "Grüße, Älma"));
    let Reply::Established { keys, held: HELD, .. } = pending.open_reply(&boris, &Bundle::decode(bytes("reply")).unwrap()).unwrap() else {
        panic!("the reply makes a contact");
    };
    for name in ["root", "issuer header", "invitee header", "pair secret"] {
        assert_eq!(pair(&keys)[name], vectors["issuer keys"][name], "{name}");
    }
    let used = pending.open_reply(&boris, &Bundle::decode(bytes("used")).unwrap());
    assert!(matches!(used, Ok(Reply::Used { .. })));
}
