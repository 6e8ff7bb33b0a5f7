//! What every store must do with messages.

use super::*;

pub(super) fn messages_are_unique_by_side_and_id(place: &mut dyn Reopen) {
    let store = place.store();
    transact(store, |store| {
        let [ann, ben] = [store.insert_contact(&contact()).unwrap(), store.insert_contact(&contact()).unwrap()];
        let first = message(ann, true, 1, 10);
        assert!(store.insert_message(&first).unwrap());
        let again = MessageRow { text: "other".into(), order: 11, ..first.clone() };
        assert!(!store.insert_message(&again).unwrap());
        assert_eq!(store.load_messages(ann, None, None, None).unwrap(), std::slice::from_ref(&first));
        let [received, elsewhere] = [message(ann, false, 1, 10), message(ben, false, 1, 2)];
        assert!(store.insert_message(&elsewhere).unwrap());
        assert!(store.insert_message(&received).unwrap());
        assert_eq!(store.find_messages_by_id(MessageId([1; 16])).unwrap(), [received.clone(), first.clone(), elsewhere]);
        assert_eq!(store.find_message(ann, false, MessageId([1; 16])).unwrap(), Some(received));
        assert_eq!(store.find_message(ben, true, MessageId([1; 16])).unwrap(), None);
        assert_eq!(store.find_messages_by_id(MessageId([2; 16])).unwrap(), []);
    });
}

pub(super) fn messages_keep_every_field(place: &mut dyn Reopen) {
    use MessageState::{Carried, Delivered, Expired, Failed, Queued, Read};
    let store = place.store();
    transact(store, |store| {
        let ann = store.insert_contact(&contact()).unwrap();
        for (id, state) in (0u8..).zip([Queued, Carried, Delivered, Read, Expired, Failed]) {
            let full = MessageRow {
                order: u64::MAX - u64::from(id),
                text: "nul\0\n\u{202e}🌿".repeat(300),
                sent: UnixMillis(u64::MAX),
                stored: UnixMillis(u64::MAX - 1),
                state,
                urgent: true,
                number: Some(u32::MAX),
                expires: Some(Hour(u32::MAX)),
                handed_contacts: u32::MAX,
                handed_strangers: u32::MAX - 1,
                sealed: u32::MAX - 2,
                log: log(id),
                ..message(ann, true, id, 0)
            };
            let empty = MessageRow { text: String::new(), sent: UnixMillis(0), stored: UnixMillis(0), ..message(ann, false, id, 0) };
            for row in [full, empty] {
                assert!(store.insert_message(&row).unwrap());
                assert_eq!(store.find_message(ann, row.outgoing, row.id).unwrap(), Some(row.clone()));
                let log = log(id + 1);
                let saved = MessageRow { order: 5, text: "changed".into(), sealed: 1, state, number: None, log, ..row.clone() };
                store.save_message(&saved).unwrap();
                let expected = MessageRow { order: row.order, text: row.text, ..saved };
                assert_eq!(store.find_message(ann, row.outgoing, row.id).unwrap(), Some(expected));
            }
        }
        assert_eq!(store.last_order(ann).unwrap(), u64::MAX);
        let absent = message(ann, true, 99, 0);
        assert!(matches!(store.save_message(&absent), Err(StoreError::Io(NOT_FOUND))));
    });
}

pub(super) fn conversation_is_ordered_and_limited(place: &mut dyn Reopen) {
    let store = place.store();
    transact(store, |store| {
        let [ann, ben] = [store.insert_contact(&contact()).unwrap(), store.insert_contact(&contact()).unwrap()];
        assert_eq!(store.last_order(ann).unwrap(), 0);
        let orders = [(9, 5), (1, 7), (4, 5), (2, u64::MAX), (3, 0), (255, u64::MAX), (6, i64::MAX as u64), (7, 1 << 63)];
        for (id, order) in orders {
            store.insert_message(&MessageRow { stored: UnixMillis(0), ..message(ann, id % 2 == 0, id, order.min(u64::MAX - 1)) }).unwrap();
        }
        store.insert_message(&message(ben, false, 200, 6)).unwrap();
        let ids = |after: Option<(u64, u8)>, limit| -> Vec<u8> {
            let after = after.map(|(order, id)| (order, MessageId([id; 16])));
            store.load_messages(ann, after, None, limit).unwrap().iter().map(|row| row.id.0[0]).collect()
        };
        assert_eq!(ids(None, None), [3, 4, 9, 1, 6, 7, 2, 255]);
        assert_eq!(ids(None, Some(3)), [7, 2, 255]);
        assert!(ids(None, Some(0)).is_empty());
        assert_eq!(ids(None, Some(u32::MAX)).len(), 8);
        assert_eq!(ids(Some((5, 4)), None), [9, 1, 6, 7, 2, 255]);
        assert_eq!(ids(Some((5, 5)), Some(6)), [9, 1, 6, 7, 2, 255]);
        assert_eq!(ids(Some((5, 9)), Some(1)), [255]);
        assert!(ids(Some((u64::MAX, 255)), None).is_empty());
        assert_eq!(ids(Some((u64::MAX - 1, 2)), None), [255]);
        assert_eq!(store.last_order(ann).unwrap(), u64::MAX - 1);
        assert_eq!(store.last_order(ben).unwrap(), 6);
    });
}

pub(super) fn pages_of_a_conversation_join_without_gap_or_overlap(place: &mut dyn Reopen) {
    let store = place.store();
    transact(store, |store| {
        let [ann, ben] = [store.insert_contact(&contact()).unwrap(), store.insert_contact(&contact()).unwrap()];
        // Orders at both ends of their range, and some that several messages share.
        let orders = [0, 0, 5, 5, 5, 6, (1 << 63) - 1, 1 << 63, u64::MAX, u64::MAX];
        for (id, order) in (0u8..).zip(orders) {
            store.insert_message(&MessageRow { stored: UnixMillis(0), ..message(ann, id % 2 == 0, id, order) }).unwrap();
        }
        store.insert_message(&MessageRow { stored: UnixMillis(0), ..message(ann, true, 0xff, u64::MAX) }).unwrap();
        store.insert_message(&message(ben, false, 200, 6)).unwrap();
        let all = store.load_messages(ann, None, None, None).unwrap();
        let place = |row: &MessageRow| (row.order, row.id);
        for size in 1..=12 {
            let (mut pages, mut before) = (Vec::new(), None);
            loop {
                let page = store.load_messages(ann, None, before, Some(size)).unwrap();
                let Some(first) = page.first() else { break };
                before = Some(place(first));
                pages.splice(0..0, page);
            }
            assert_eq!(pages, all, "pages of {size}");
        }
        for (from, first) in all.iter().enumerate() {
            for (to, last) in all.iter().enumerate() {
                let between = store.load_messages(ann, Some(place(first)), Some(place(last)), None).unwrap();
                let expected = if from < to { &all[from + 1..to] } else { &[] };
                assert_eq!(between, expected, "between {from} and {to}");
                let newest = store.load_messages(ann, Some(place(first)), Some(place(last)), Some(2)).unwrap();
                assert_eq!(newest, expected[expected.len().saturating_sub(2)..]);
            }
        }
        assert_eq!(store.load_messages(ben, None, Some((6, MessageId([200; 16]))), None).unwrap(), []);
        assert_eq!(store.load_messages(ben, None, Some((6, MessageId([201; 16]))), None).unwrap().len(), 1);
    });
}

pub(super) fn summaries_follow_messages_and_drafts(place: &mut dyn Reopen) {
    let store = place.store();
    let [ann, ben, cid] = transact(store, |store| [(); 3].map(|()| store.insert_contact(&contact()).unwrap()));
    transact(store, |store| {
        let all = [ann, ben, cid].map(|id| (id, Summary::default()));
        assert_eq!(store.summarise_all().unwrap(), all);
        for (id, order) in [(1, 4), (2, 9), (3, 7)] {
            store.insert_message(&message(ann, false, id, order)).unwrap();
        }
        store.insert_message(&message(ann, true, 4, 5)).unwrap();
        store.insert_message(&message(ben, true, 5, u64::MAX - 1)).unwrap();
        store.save_draft(cid, "x").unwrap();
        let of_ann = Summary { unread: 3, last_message: Some(UnixMillis(10)), draft: false };
        assert_eq!(store.summarise(ann).unwrap(), of_ann, "the last by order, not by when it was stored or inserted");
        let of_ben = Summary { unread: 0, last_message: Some(UnixMillis(u64::MAX)), draft: false };
        assert_eq!(store.summarise(ben).unwrap(), of_ben);
        let of_cid = Summary { unread: 0, last_message: None, draft: true };
        assert_eq!(store.summarise_all().unwrap(), [(ann, of_ann), (ben, of_ben), (cid, of_cid)]);
        store.mark_read(ann, false, (9, MessageId([0; 16]))).unwrap();
        assert_eq!(store.summarise(ann).unwrap(), Summary { unread: 1, ..of_ann });
        store.delete_draft(cid).unwrap();
        store.delete_contact(ben).unwrap();
        assert_eq!(store.summarise_all().unwrap(), [(ann, Summary { unread: 1, ..of_ann }), (cid, Summary::default())]);
    });
}

pub(super) fn unsealed_are_urgent_first(place: &mut dyn Reopen) {
    let store = place.store();
    transact(store, |store| {
        let ann = store.insert_contact(&contact()).unwrap();
        for (id, order, urgent) in [(1, 1, false), (2, 2, true), (3, 3, false), (4, 3, true), (5, 0, false)] {
            store.insert_message(&MessageRow { urgent, ..message(ann, true, id, order) }).unwrap();
        }
        store.insert_message(&message(ann, false, 6, 0)).unwrap();
        store.insert_message(&MessageRow { state: MessageState::Queued, ..message(ann, false, 7, 0) }).unwrap();
        let ids =
            |store: &dyn Store, limit| -> Vec<u8> { store.load_unsealed(ann, limit).unwrap().iter().map(|row| row.id.0[0]).collect() };
        assert_eq!(ids(store, u32::MAX), [2, 4, 5, 1, 3]);
        assert_eq!(ids(store, 3), [2, 4, 5]);
        assert!(ids(store, 0).is_empty());
        store.save_message(&MessageRow { number: Some(0), urgent: true, ..message(ann, true, 2, 2) }).unwrap();
        store.save_message(&MessageRow { state: MessageState::Failed, ..message(ann, true, 5, 0) }).unwrap();
        store.save_message(&MessageRow { urgent: true, ..message(ann, true, 1, 1) }).unwrap();
        assert_eq!(ids(store, u32::MAX), [1, 4, 3]);
        store.save_message(&message(ann, true, 5, 0)).unwrap();
        assert_eq!(ids(store, u32::MAX), [1, 4, 5, 3]);
    });
}

pub(super) fn unsealed_have_no_number_however_often_they_were_sealed(place: &mut dyn Reopen) {
    use MessageState::{Carried, Queued};
    let store = place.store();
    transact(store, |store| {
        let ann = store.insert_contact(&contact()).unwrap();
        let sealed = MessageRow { sealed: 3, number: Some(7), expires: Some(Hour(9)), ..message(ann, true, 1, 1) };
        store.insert_message(&sealed).unwrap();
        store.insert_message(&MessageRow { number: Some(0), ..message(ann, true, 2, 2) }).unwrap();
        store.insert_message(&MessageRow { state: Carried, sealed: 1, ..message(ann, true, 3, 3) }).unwrap();
        assert_eq!(store.load_unsealed(ann, 9).unwrap(), [], "a number of 0 is one");
        let again = MessageRow { number: None, ..sealed.clone() };
        store.save_message(&again).unwrap();
        assert_eq!(store.load_unsealed(ann, 9).unwrap(), [again], "queued once more");
        store.save_message(&MessageRow { state: Queued, sealed: 1, ..message(ann, true, 3, 3) }).unwrap();
        store.save_message(&MessageRow { number: Some(8), sealed: 4, ..sealed }).unwrap();
        let ids: Vec<u8> = store.load_unsealed(ann, 9).unwrap().iter().map(|row| row.id.0[0]).collect();
        assert_eq!(ids, [3]);
    });
}

pub(super) fn counts_follow_states(place: &mut dyn Reopen) {
    use MessageState::{Carried, Delivered, Expired, Failed, Queued, Read};
    let store = place.store();
    transact(store, |store| {
        let [ann, ben] = [store.insert_contact(&contact()).unwrap(), store.insert_contact(&contact()).unwrap()];
        for (id, state) in (0u8..).zip([Queued, Carried, Delivered, Read, Expired, Failed]) {
            for outgoing in [true, false] {
                store.insert_message(&MessageRow { state, ..message(ann, outgoing, id, id.into()) }).unwrap();
            }
        }
        store.insert_message(&message(ben, true, 1, 1)).unwrap();
        assert_eq!((store.summarise(ann).unwrap().unread, store.summarise(ben).unwrap().unread), (1, 0));
        assert_eq!(store.count_undelivered().unwrap(), 3);
        store.save_message(&MessageRow { state: Read, ..message(ann, false, 2, 2) }).unwrap();
        store.save_message(&MessageRow { state: Delivered, ..message(ann, true, 0, 0) }).unwrap();
        store.save_message(&MessageRow { state: Carried, ..message(ben, true, 1, 1) }).unwrap();
        assert_eq!(store.summarise(ann).unwrap().unread, 0);
        assert_eq!(store.count_undelivered().unwrap(), 2);
        store.delete_contact(ann).unwrap();
        assert_eq!(store.count_undelivered().unwrap(), 1);
    });
}

pub(super) fn first_unread_follows_states(place: &mut dyn Reopen) {
    let store = place.store();
    transact(store, |store| {
        let [ann, ben] = [store.insert_contact(&contact()).unwrap(), store.insert_contact(&contact()).unwrap()];
        assert_eq!(store.first_unread(ann).unwrap(), None);
        store.insert_message(&MessageRow { state: MessageState::Delivered, ..message(ann, true, 1, 1) }).unwrap();
        store.insert_message(&message(ben, false, 1, 0)).unwrap();
        assert_eq!(store.first_unread(ann).unwrap(), None, "neither our own nor another contact's");
        for (id, order) in [(9, 5), (4, 5), (6, u64::MAX)] {
            store.insert_message(&message(ann, false, id, order)).unwrap();
        }
        for (id, order) in [(4, 5), (9, 5), (6, u64::MAX)] {
            assert_eq!(store.first_unread(ann).unwrap(), Some((order, MessageId([id; 16]))));
            store.save_message(&MessageRow { state: MessageState::Read, ..message(ann, false, id, order) }).unwrap();
        }
        assert_eq!(store.first_unread(ann).unwrap(), None);
        store.save_message(&message(ann, false, 9, 5)).unwrap();
        assert_eq!(store.first_unread(ann).unwrap(), Some((5, MessageId([9; 16]))), "unread once more");
        assert_eq!(store.first_unread(ben).unwrap(), Some((0, MessageId([1; 16]))));
    });
}

/// Marks one side before a place and returns the first byte of each id that was marked.
fn mark(store: &mut dyn Store, contact: ContactId, outgoing: bool, order: u64, id: u8) -> Vec<u8> {
    store.mark_read(contact, outgoing, (order, MessageId([id; 16]))).unwrap().iter().map(|id| id.0[0]).collect()
}

/// The messages of a conversation that are *read*: order, first byte of the id, whether outgoing.
fn read(store: &dyn Store, contact: ContactId) -> Vec<(u64, u8, bool)> {
    let rows = store.load_messages(contact, None, None, None).unwrap().into_iter();
    rows.filter(|row| row.state == MessageState::Read).map(|row| (row.order, row.id.0[0], row.outgoing)).collect()
}

pub(super) fn read_marks_one_side_before_a_place(place: &mut dyn Reopen) {
    let store = place.store();
    let ann = transact(store, |store| {
        let ann = store.insert_contact(&contact()).unwrap();
        for (id, order) in [(8, 1), (3, 2), (5, 2), (7, 2), (1, 3)] {
            for outgoing in [false, true] {
                store.insert_message(&MessageRow { state: MessageState::Delivered, ..message(ann, outgoing, id, order) }).unwrap();
            }
        }
        ann
    });
    transact(store, |store| {
        assert!(mark(store, ann, false, 0, 255).is_empty());
        assert!(mark(store, ann, false, 1, 8).is_empty(), "not the place itself");
        assert_eq!(mark(store, ann, false, 2, 5), [8, 3], "ties are broken by id");
        assert_eq!(read(store, ann), [(1, 8, false), (2, 3, false)], "the other side with the same ids stays");
        assert_eq!((store.summarise(ann).unwrap().unread, store.first_unread(ann).unwrap()), (3, Some((2, MessageId([5; 16])))));
        assert!(mark(store, ann, false, 2, 5).is_empty(), "again");
        assert_eq!(mark(store, ann, true, 2, 6), [8, 3, 5], "a place without a message");
    });
    let before = read(store, ann);
    store.begin().unwrap();
    assert_eq!(mark(store, ann, false, u64::MAX, 255), [5, 7, 1]);
    assert_eq!((store.summarise(ann).unwrap().unread, store.first_unread(ann).unwrap()), (0, None));
    store.rollback().unwrap();
    assert_eq!((read(store, ann), store.summarise(ann).unwrap().unread), (before, 3), "rolled back");
    transact(store, |store| assert_eq!(mark(store, ann, true, 3, 2), [7, 1]));
    place.reopen();
    assert_eq!(read(place.store(), ann).len(), 7);
}

pub(super) fn read_marks_only_delivered_ones_of_one_contact(place: &mut dyn Reopen) {
    use MessageState::{Carried, Delivered, Expired, Failed, Queued, Read};
    let states = [Queued, Carried, Delivered, Read, Expired, Failed];
    let store = place.store();
    transact(store, |store| {
        let [ann, ben, cid] = [(); 3].map(|()| store.insert_contact(&contact()).unwrap());
        for contact in [ann, ben, cid] {
            for (id, state) in (0u8..).zip(states) {
                for outgoing in [false, true] {
                    let row = MessageRow { state, number: Some(4), sealed: 1, ..message(contact, outgoing, id, id.into()) };
                    store.insert_message(&row).unwrap();
                }
            }
        }
        let others = [ann, cid].map(|id| store.load_messages(id, None, None, None).unwrap());
        let mut expected = store.load_messages(ben, None, None, None).unwrap();
        for outgoing in [true, false] {
            assert_eq!(mark(store, ben, outgoing, u64::MAX, 255), [2]);
            for row in expected.iter_mut().filter(|row| row.outgoing == outgoing && row.state == Delivered) {
                row.state = Read;
            }
            assert_eq!(store.load_messages(ben, None, None, None).unwrap(), expected, "nothing but that state changed");
        }
        assert_eq!([ann, cid].map(|id| store.load_messages(id, None, None, None).unwrap()), others);
        assert_eq!([ann, ben, cid].map(|id| store.summarise(id).unwrap().unread), [1, 0, 1]);
        assert_eq!(store.count_undelivered().unwrap(), 6);
    });
}

pub(super) fn places_sort_without_sign(place: &mut dyn Reopen) {
    let store = place.store();
    transact(store, |store| {
        let ann = store.insert_contact(&contact()).unwrap();
        let places = [(0, 0), (0, 0x7f), (0, 0x80), (i64::MAX as u64, 0xf0), (1 << 63, 1), (u64::MAX, 0x81), (u64::MAX, 0xff)];
        for (order, id) in places.into_iter().rev() {
            assert!(store.insert_message(&message(ann, false, id, order)).unwrap());
        }
        let mut before = None;
        for (order, id) in places {
            assert_eq!(store.first_unread(ann).unwrap(), before.or(Some((0, MessageId([0; 16])))));
            let expected: Vec<u8> = before.map(|(_, MessageId(id))| id[0]).into_iter().collect();
            assert_eq!(mark(store, ann, false, order, id), expected, "before {order} {id}");
            before = Some((order, MessageId([id; 16])));
        }
        assert_eq!(store.first_unread(ann).unwrap(), before, "no place is after the last");
    });
}
