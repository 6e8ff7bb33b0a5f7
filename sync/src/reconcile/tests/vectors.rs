//! The vectors of docs/protocol.md, section 6: two small sets and all records between them.

use serde_json::{Value, json};

use super::*;
use crate::crypto::kdf;

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/vectors/reconcile.json");

fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

/// Hour, id, held by the initiator, held by the responder: `None` for unknown.
type Row = (Hour, BundleId, Option<bool>, Option<bool>);

/// 160 bundles of four hours.
fn items() -> Vec<Row> {
    let held = |at: u32, unknown: u32, remembered: u32| if at % 23 == unknown { None } else { Some(at % 29 != remembered) };
    (0..160_u32).map(|at| (Hour(NOW.0 - at / 40), BundleId(kdf::hash(&[&at.to_be_bytes()])), held(at, 3, 5), held(at, 11, 7))).collect()
}

fn vectors() -> Value {
    let items = items();
    let mut sets = [ItemSet::new(), ItemSet::new()];
    for (hour, id, initiator, responder) in &items {
        for (set, held) in sets.iter_mut().zip([initiator, responder]) {
            if let Some(held) = held {
                set.insert(*hour, *id, None, *held);
            }
        }
    }
    let outcome = reconcile([&sets[0], &sets[1]], &mut rng(false));
    let ids = ShortIds::new(&SESSION);
    let list = |own: fn(&Row) -> Option<bool>| -> Vec<Value> {
        let item = |item| own(item).map(|held| json!({ "hour": item.0.0, "id": hex(&item.1.0), "held": held }));
        items.iter().filter_map(item).collect()
    };
    let findings = |at: usize| -> Vec<Value> {
        let finding = |finding: &Finding| match finding {
            Finding::Want(short) => json!({ "want": hex(&short.0) }),
            Finding::Lacking(id) => json!({ "lacking": hex(&id.0) }),
        };
        outcome.findings[at].iter().map(finding).collect()
    };
    let record = |(from_initiator, body): &(bool, Vec<u8>)| json!({ "from": if *from_initiator { "initiator" } else { "responder" }, "body": hex(body) });
    json!({
        "handshake_hash": hex(&SESSION),
        "short_id": { "id": hex(&items[0].1.0), "short": hex(&ids.short(&items[0].1).0) },
        "initiator": { "items": list(|item| item.2), "findings": findings(0) },
        "responder": { "items": list(|item| item.3), "findings": findings(1) },
        "records": outcome.records.iter().map(record).collect::<Vec<_>>(),
    })
}

#[test]
fn records_are_those_of_the_vectors() {
    let stored: Value = serde_json::from_str(&std::fs::read_to_string(PATH).unwrap()).unwrap();
    assert_eq!(stored, vectors());
}

#[test]
#[ignore = "writes the vectors anew; for a change of the protocol"]
fn write_vectors() {
    std::fs::create_dir_all(std::path::Path::new(PATH).parent().unwrap()).unwrap();
    std::fs::write(PATH, serde_json::to_string_pretty(&vectors()).unwrap() + "\n").unwrap();
}
