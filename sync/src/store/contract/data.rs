//! Large messages: their rows and the parts of their content.

use super::*;

pub(super) fn data(contact: ContactId, outgoing: bool, id: u8) -> DataRow {
    DataRow {
        contact,
        outgoing,
        id: MessageId([id; 16]),
        length: 40_000 + u32::from(id),
        hash: [id; 32],
        key: (!id.is_multiple_of(3)).then(|| Zeroizing::new([id ^ 1; 32])),
        created: if id.is_multiple_of(3) { Hour::UNKNOWN } else { Hour(490_000) },
        state: if outgoing { DataState::Left } else { DataState::Open },
        number: id.is_multiple_of(2).then_some(id.into()),
    }
}

/// What is kept of a contact's large messages, in words.
pub(super) fn dump_data(store: &dyn Store, contact: ContactId) -> Vec<String> {
    let mut out = vec![format!("{:?}", store.load_open_data(contact).unwrap())];
    for (id, outgoing) in (0..=u8::MAX).flat_map(|id| [(MessageId([id; 16]), false), (MessageId([id; 16]), true)]) {
        let Some(row) = store.find_data(contact, outgoing, id).unwrap() else { continue };
        let mut parts = Vec::new();
        store.visit_parts(contact, outgoing, id, &mut |part| parts.push(part)).unwrap();
        let bytes: Vec<_> = parts.iter().map(|part| store.load_part(contact, outgoing, id, *part).unwrap()).collect();
        out.push(format!("{row:?} {parts:?} {bytes:?}"));
    }
    out
}

fn parts_of(store: &dyn Store, contact: ContactId, id: u8) -> Vec<u32> {
    let mut parts = Vec::new();
    store.visit_parts(contact, true, MessageId([id; 16]), &mut |part| parts.push(part)).unwrap();
    parts
}

/// A contact with one message of ours of each id.
fn contact_with(store: &mut dyn Store, ids: &[u8]) -> ContactId {
    let contact = store.insert_contact(&contact()).unwrap();
    for id in ids {
        assert!(store.insert_message(&message(contact, true, *id, (*id).into())).unwrap());
    }
    contact
}

pub(super) fn data_keeps_every_field_and_needs_its_message(place: &mut dyn Reopen) {
    let states = [DataState::Open, DataState::Left, DataState::Complete, DataState::Told, DataState::Void];
    let mut rows = Vec::new();
    let ann = transact(place.store(), |store| {
        let ann = contact_with(store, &[0, 1, 2, 3, 4]);
        for (id, state) in (0..).zip(states) {
            let row =
                DataRow { state, length: u32::MAX, number: (id == 2).then_some(u32::MAX), created: Hour(u32::MAX), ..data(ann, true, id) };
            store.insert_data(&data(ann, true, id)).unwrap();
            store.save_data(&row).unwrap();
            rows.push(row);
        }
        ann
    });
    place.reopen();
    let store = place.store();
    assert_eq!(store.load_open_data(ann).unwrap(), rows[..3]);
    for row in rows {
        assert_eq!(store.find_data(ann, true, row.id).unwrap(), Some(row));
    }
    assert_eq!(store.find_data(ann, false, MessageId([1; 16])).unwrap(), None, "the other side's");
    for absent in [data(ann, true, 9), data(ann, false, 1), data(ContactId(77), true, 1), data(ann, true, 1)] {
        store.begin().unwrap();
        assert!(matches!(store.insert_data(&absent), Err(StoreError::Io(CONSTRAINT))), "without a message, or twice");
        store.rollback().unwrap();
    }
    store.begin().unwrap();
    assert!(matches!(store.save_data(&data(ann, false, 1)), Err(StoreError::Io(NOT_FOUND))));
    assert!(matches!(store.save_part(ann, false, MessageId([1; 16]), 0, b"x"), Err(StoreError::Io(NOT_FOUND))));
    store.rollback().unwrap();
}

pub(super) fn parts_are_replaced_listed_and_deleted(place: &mut dyn Reopen) {
    let ann = transact(place.store(), |store| {
        let ann = contact_with(store, &[1, 2]);
        store.insert_data(&data(ann, true, 1)).unwrap();
        store.insert_data(&data(ann, true, 2)).unwrap();
        for part in [7, 0, u32::MAX, 3, 7] {
            store.save_part(ann, true, MessageId([1; 16]), part, &[part as u8; 4_032]).unwrap();
            store.save_part(ann, true, MessageId([2; 16]), part, b"other").unwrap();
        }
        store.save_part(ann, true, MessageId([1; 16]), 3, b"").unwrap();
        ann
    });
    place.reopen();
    let store = place.store();
    assert_eq!(parts_of(store, ann, 1), [0, 3, 7, u32::MAX]);
    let load = |store: &dyn Store, part| store.load_part(ann, true, MessageId([1; 16]), part).unwrap().map(|bytes| bytes.to_vec());
    assert_eq!([load(store, 7), load(store, 3), load(store, 1)], [Some(vec![7; 4_032]), Some(Vec::new()), None]);
    transact(store, |store| store.delete_parts(ann, true, MessageId([1; 16])).unwrap());
    assert_eq!((parts_of(store, ann, 1), parts_of(store, ann, 2).len()), (Vec::new(), 4), "only those of one message");
}

pub(super) fn data_goes_where_its_message_goes(place: &mut dyn Reopen) {
    let (ann, ben) = transact(place.store(), |store| {
        let (ann, ben) = (contact_with(store, &[1, 4]), contact_with(store, &[5]));
        for (contact, id) in [(ann, 1), (ben, 5)] {
            store.insert_data(&data(contact, true, id)).unwrap();
            store.save_part(contact, true, MessageId([id; 16]), 0, &[id; 9]).unwrap();
        }
        (ann, ben)
    });
    transact(place.store(), |store| store.move_messages(ann, ben).unwrap());
    place.reopen();
    let store = place.store();
    assert_eq!(store.find_data(ann, true, MessageId([1; 16])).unwrap(), None);
    assert_eq!(store.find_data(ben, true, MessageId([1; 16])).unwrap(), Some(data(ben, true, 1)));
    assert_eq!((parts_of(store, ann, 1), parts_of(store, ben, 1), parts_of(store, ben, 5)), (Vec::new(), vec![0], vec![0]));
    transact(store, |store| store.delete_contact(ann).unwrap());
    assert_eq!(parts_of(store, ben, 1), [0], "they are another's now");
    transact(store, |store| store.delete_contact(ben).unwrap());
    place.reopen();
    assert_eq!((parts_of(place.store(), ben, 1), parts_of(place.store(), ben, 5)), (Vec::new(), Vec::new()));
    assert_eq!(place.store().find_data(ben, true, MessageId([5; 16])).unwrap(), None);
}
