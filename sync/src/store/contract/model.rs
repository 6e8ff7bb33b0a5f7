//! Random operations on both stores, which must answer alike.

use proptest::prelude::*;

use super::*;

/// One step of the model test: which operation, and small numbers that make rows collide.
#[derive(Clone, Copy, Debug)]
struct Step {
    operation: u8,
    contact: u8,
    key: u8,
    value: u8,
}

fn step() -> impl Strategy<Value = Step> {
    (0u8..44, 1u8..5, 0u8..6, any::<u8>()).prop_map(|(operation, contact, key, value)| Step { operation, contact, key, value })
}

/// Does one step within the open transaction and says what came of it.
fn apply(store: &mut dyn Store, step: Step) -> String {
    use MessageState::{Carried, Delivered, Expired, Failed, Queued, Read};
    let Step { operation, contact: who, key, value } = step;
    let id = ContactId(who.into());
    let state = [Queued, Carried, Delivered, Read, Expired, Failed][usize::from(value) % 6];
    let (sealed, number) = (u32::from(value & 4 == 0), (value & 8 == 0).then_some(value.into()));
    let row = MessageRow {
        urgent: value & 1 == 1,
        state,
        sealed,
        number,
        log: log(value),
        ..message(id, value & 2 == 2, key, u64::from(value) / 16)
    };
    let tag = Tag([key; 16]);
    let bundle_id = BundleId([key; 32]);
    match operation {
        0..=2 => format!("{:?}", store.insert_contact(&contact())),
        3 => format!("{:?}", store.save_contact(&ContactRow { id, verified: true, why: Some(value.to_string()), ..contact() })),
        4 => format!("{:?}", store.delete_contact(id)),
        5 => format!("{:?}", store.save_pair(id, &[value; 5])),
        6 => format!("{:?}", store.save_exchange(&ExchangeRow { contact: id, state: Zeroizing::new(vec![value]) })),
        7 => format!("{:?}", store.delete_exchange(id)),
        8..=10 => format!("{:?}", store.insert_skipped(&skipped(id, key, u32::from(value) / 64))),
        11 => format!("{:?}", store.delete_skipped(&tag)),
        12 => format!("{:?}", store.prune_skipped(id, u32::from(value) / 64, key.into())),
        13..=16 => format!("{:?}", store.insert_message(&row)),
        17 | 18 => format!("{:?}", store.save_message(&row)),
        19 => {
            let places = [Some((u64::from(value) / 16, row.id)), Some((u64::from(value) % 16, MessageId([value; 16])))];
            let (after, before) = if value & 1 == 1 { (places[0], places[1]) } else { (places[0].filter(|_| value & 2 == 2), places[1]) };
            format!("{:?} {:?}", store.load_messages(id, after, before, Some(key.into())), store.load_messages(id, places[0], None, None))
        }
        20 => format!("{:?} {:?}", store.find_messages_by_id(row.id), store.load_unsealed(id, key.into())),
        21 => format!("{:?}", store.insert_outbox(&outbox(id, key.into()))),
        22 => format!("{:?}", store.delete_outbox(id, key.into())),
        23 | 24 => {
            let origin = if value & 1 == 1 { Origin::Own(id) } else { Origin::Contact(id) };
            format!("{:?}", store.insert_bundle(&BundleRow { origin, ..bundle(key) }, &[value; 64]))
        }
        25 => format!("{:?}", store.save_forwarded(&bundle_id, value.into())),
        26 => format!("{:?}", store.delete_bundle(&bundle_id)),
        27 => format!("{:?}", store.insert_gone(&gone(key, value.into()))),
        28 => format!("{:?}", store.delete_gone(&bundle_id)),
        29 => format!("{:?}", store.insert_ack(&ack(key, value.into()))),
        30 => format!("{:?}", store.delete_ack(&bundle_id)),
        31 => format!("{:?} {:?}", store.first_unread(id), store.summarise(id)),
        39 => {
            let data = DataRow {
                length: value.into(),
                state: [DataState::Open, DataState::Told][usize::from(value & 1)],
                ..data(id, row.outgoing, key)
            };
            format!("{:?}", if value & 4 == 4 { store.insert_data(&data) } else { store.save_data(&data) })
        }
        40 | 41 => format!("{:?}", store.save_part(id, row.outgoing, row.id, (value % 8).into(), &[value; 9])),
        42 => format!("{:?}", store.delete_parts(id, row.outgoing, row.id)),
        43 => format!("{:?}", dump_data(store, id)),
        37 => format!("{:?}", store.save_copies(&bundle_id, value)),
        35 => format!("{:?}", store.save_draft(id, &value.to_string())),
        36 => format!("{:?}", store.delete_draft(id)),
        32..=34 => format!("{:?}", store.mark_read(id, row.outgoing, (row.order, row.id))),
        _ => format!("{:?}", store.save_cursor(id, Cursor { epoch: [value; 8], sequence: key.into() })),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Transactions of random steps, committed, rolled back or cut short by a restart, look the same on both stores.
    #[test]
    fn both_stores_answer_alike(
        transactions in proptest::collection::vec((proptest::collection::vec(step(), 0..25), 0u8..5), 0..12),
    ) {
        let (mut memory, mut disk) = (InMemory(MemoryStore::new()), OnDisk::new());
        for (steps, end) in transactions {
            for place in [&mut memory as &mut dyn Reopen, &mut disk] {
                place.store().begin().unwrap();
            }
            for step in steps {
                prop_assert_eq!(apply(memory.store(), step), apply(disk.store(), step), "{:?}", step);
            }
            prop_assert_eq!(dump(memory.store()), dump(disk.store()), "before the end");
            for place in [&mut memory as &mut dyn Reopen, &mut disk] {
                match end {
                    0 => place.store().rollback().unwrap(),
                    1 => place.reopen(),
                    _ => place.store().commit().unwrap(),
                }
            }
            prop_assert_eq!(dump(memory.store()), dump(disk.store()), "after the end");
        }
    }
}
