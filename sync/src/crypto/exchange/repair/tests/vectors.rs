//! The test vectors of docs/protocol.md, section 7.7: `sync/tests/data/vectors/repair.json`.
//!
//! With `HEDGEROW_WRITE_VECTORS` set the test writes the file anew, from a seed; otherwise it checks that nothing has changed.

use std::path::Path;

use data_encoding::HEXLOWER;
use serde_json::{Value, json};

use super::*;

fn hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}

fn pair(keys: &PairKeys) -> Value {
    json!({
        "root": hex(keys.root.expose()),
        "answerer header": hex(keys.issuer_header.expose()),
        "offerer header": hex(keys.invitee_header.expose()),
        "pair secret": hex(keys.pair_secret.expose()),
        "own ratchet": hex(keys.own_ratchet.expose()),
        "other ratchet": hex(&keys.other_ratchet),
    })
}

fn generate() -> Value {
    let (alma, boris) = scene();
    let rng = &mut rng(2026);
    let pending = PendingOffer::new(&alma.contact, rng).unwrap();
    let offer = pending.seal(alma.parties(), DAY, envelope(), rng).unwrap();
    let opened = open(&boris, &offer.bundle).unwrap();
    let accepted = opened.accept(boris.parties(), envelope(), rng).unwrap();
    let again = accepted.state.seal(1, envelope(), rng).unwrap();
    let [own, other, link] = alma.secret.recognition(alma.parties().side());
    json!({
        "pair secret of epoch 0": hex(&[7; 32]),
        "repair secret": hex(alma.secret.expose()),
        "offerer device": hex(&alma.device.encode()),
        "answerer device": hex(&boris.device.encode()),
        "offerer's direction": alma.parties().side() as u8,
        "recognition offerer to answerer": hex(own.expose()),
        "recognition answerer to offerer": hex(other.expose()),
        "link key": hex(link.expose()),
        "hour": DAY.0 * 24 + 5,
        "offer tag": hex(&alma.secret.offer_tag(alma.parties().side(), DAY).0),
        "pending offer": hex(&pending.encode()),
        "offer": hex(offer.bundle.bytes()),
        "offer ack": hex(offer.ack.expose()),
        "th1": hex(&opened.th1),
        "answer tags": pending.answer_tags(alma.parties()).iter().map(|tag| hex(&tag.0)).collect::<Vec<_>>(),
        "answer": hex(accepted.bundle.bundle.bytes()),
        "answer ack": hex(accepted.bundle.ack.expose()),
        "answer of try 1": hex(again.bundle.bytes()),
        "answerer keys": pair(&accepted.keys),
    })
}

#[test]
fn vectors_hold() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/vectors/repair.json");
    if std::env::var_os("HEDGEROW_WRITE_VECTORS").is_some() {
        std::fs::write(&path, serde_json::to_string_pretty(&generate()).unwrap() + "\n").unwrap();
    }
    let vectors: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(generate(), vectors, "the bytes of the repair have changed");

    // The file alone, as another program would read it.
    let bytes = |name: &str| HEXLOWER.decode(vectors[name].as_str().unwrap().as_bytes()).unwrap();
    let (alma, boris) = (Device::decode(&bytes("offerer device")).unwrap(), Device::decode(&bytes("answerer device")).unwrap());
    let secret = RepairSecret::new(&Secret::from_slice(&bytes("pair secret of epoch 0")).unwrap());
    assert_eq!(secret.expose().to_vec(), bytes("repair secret"));
    let day = Day::of(Hour(vectors["hour"].as_u64().unwrap() as u32));
    let answerer = Parties { secret: &secret, device: &boris, contact: alma.card() };
    let opened = open_offer(answerer, day, &Bundle::decode(bytes("offer")).unwrap()).unwrap();
    assert_eq!(opened.th1.to_vec(), bytes("th1"));
    let pending = PendingOffer::decode(&bytes("pending offer")).unwrap();
    let offerer = Parties { secret: &secret, device: &alma, contact: boris.card() };
    for name in ["answer", "answer of try 1"] {
        let answer = pending.open_answer(offerer, &Bundle::decode(bytes(name)).unwrap()).unwrap();
        for key in ["root", "answerer header", "offerer header", "pair secret"] {
            assert_eq!(pair(&answer.keys)[key], vectors["answerer keys"][key], "{key}");
        }
    }
}
