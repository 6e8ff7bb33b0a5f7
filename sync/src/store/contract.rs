//! What every store must do, run on each; [`model`] runs random operations on both and compares their answers.

mod data;
mod messages;
#[cfg(feature = "sqlite")]
mod model;

use zeroize::Zeroizing;

use self::{data::*, messages::*};
use super::{memory::MemoryStore, *};

/// A store that can be closed and opened again.
trait Reopen {
    fn store(&mut self) -> &mut dyn Store;
    /// Goes away without a commit and comes back.
    fn reopen(&mut self);
}

struct InMemory(MemoryStore);

impl Reopen for InMemory {
    fn store(&mut self) -> &mut dyn Store {
        &mut self.0
    }

    fn reopen(&mut self) {
        self.0.reopen();
    }
}

#[cfg(feature = "sqlite")]
struct OnDisk {
    dir: tempfile::TempDir,
    store: Option<sqlite::SqliteStore>,
}

#[cfg(feature = "sqlite")]
impl OnDisk {
    fn new() -> Self {
        use rand_chacha::rand_core::SeedableRng;
        let dir = tempfile::tempdir().unwrap();
        let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(1);
        let store = sqlite::SqliteStore::create(dir.path(), b"contract", sqlite::KdfParams::cheap_for_tests(), &mut rng).unwrap();
        Self { dir, store: Some(store) }
    }
}

#[cfg(feature = "sqlite")]
impl Reopen for OnDisk {
    fn store(&mut self) -> &mut dyn Store {
        self.store.as_mut().unwrap()
    }

    fn reopen(&mut self) {
        self.store = None; // closes first: only one may have it open
        self.store = Some(sqlite::SqliteStore::open(self.dir.path(), b"contract").unwrap());
    }
}

macro_rules! contract {
    ($($name:ident,)*) => {
        mod in_memory {
            $(#[test]
            fn $name() {
                super::$name(&mut super::InMemory(super::MemoryStore::new()));
            })*
        }

        #[cfg(feature = "sqlite")]
        mod on_disk {
            $(#[test]
            fn $name() {
                super::$name(&mut super::OnDisk::new());
            })*
        }
    };
}

contract! {
    rollback_restores_every_table,
    restart_without_commit_restores_every_table,
    commit_survives_a_restart,
    reads_see_uncommitted_writes,
    writes_need_a_transaction,
    settings_are_replaced,
    contact_numbers_are_never_reused,
    contacts_keep_every_field,
    deleting_a_contact_leaves_only_what_is_carried,
    deleting_a_contact_deletes_the_bundles_sealed_for_it,
    what_belongs_to_a_contact_needs_it,
    drafts_are_replaced_deleted_and_one_for_each_contact,
    skipped_keys_are_found_replaced_and_pruned,
    messages_are_unique_by_side_and_id,
    messages_keep_every_field,
    conversation_is_ordered_and_limited,
    pages_of_a_conversation_join_without_gap_or_overlap,
    summaries_follow_messages_and_drafts,
    unsealed_are_urgent_first,
    unsealed_have_no_number_however_often_they_were_sealed,
    counts_follow_states,
    first_unread_follows_states,
    read_marks_one_side_before_a_place,
    read_marks_only_delivered_ones_of_one_contact,
    places_sort_without_sign,
    outbox_numbers_are_unique_and_ordered,
    data_keeps_every_field_and_needs_its_message,
    parts_are_replaced_listed_and_deleted,
    data_goes_where_its_message_goes,
    bundle_sequences_are_never_reused,
    bundles_keep_every_field,
    gone_acks_and_cursors_are_kept_in_order,
    deleting_what_is_absent_is_harmless,
}

fn contact() -> ContactRow {
    ContactRow {
        id: ContactId(0),
        alias: Some("Ann".into()),
        own_name: None,
        card: vec![1; 1328],
        state: ContactState::Established,
        verified: false,
        created: UnixMillis(1_700_000_000_000),
        last_seen: None,
        last_transport: None,
        why: None,
        receipts: true,
        muted: false,
    }
}

fn message(contact: ContactId, outgoing: bool, id: u8, order: u64) -> MessageRow {
    MessageRow {
        contact,
        outgoing,
        id: MessageId([id; 16]),
        order,
        text: format!("text {id}"),
        sent: UnixMillis(order),
        stored: UnixMillis(order.saturating_add(1)),
        state: if outgoing { MessageState::Queued } else { MessageState::Delivered },
        urgent: false,
        number: None,
        expires: None,
        handed_contacts: 0,
        handed_strangers: 0,
        sealed: 0,
        log: MessageLog::default(),
    }
}

/// A log of some length.
fn log(mark: u8) -> MessageLog {
    let mut log = MessageLog::default();
    let at = UnixMillis(u64::from(mark) << 40);
    log.push(at, LogEvent::Sealed { number: u32::MAX - u32::from(mark), size: 4096 });
    for to in [None, Some(ContactId(u32::MAX)), Some(ContactId(mark.into()))] {
        log.push(at, LogEvent::Handed { to, transport: TransportKind::Lan });
    }
    for what in [LogEvent::AskedAgain, LogEvent::Receipt, LogEvent::Read, LogEvent::Expired].into_iter().take((mark % 5).into()) {
        log.push(at, what);
    }
    log
}

fn skipped(contact: ContactId, tag: u8, stored_hour: u32) -> SkippedRow {
    SkippedRow { contact, tag: Tag([tag; 16]), number: tag.into(), chain: 1, stored_hour, keys: Zeroizing::new(vec![tag; 32]) }
}

fn outbox(contact: ContactId, number: u32) -> OutboxRow {
    OutboxRow {
        contact,
        number,
        message: number.is_multiple_of(2).then_some(MessageId([9; 16])),
        wants_receipt: true,
        bundle: BundleId([number as u8; 32]),
        ack: Zeroizing::new([7; 16]),
    }
}

fn bundle(id: u8) -> BundleRow {
    BundleRow {
        id: BundleId([id; 32]),
        sequence: 0,
        size: 512,
        class: Class::Normal,
        lifetime: Lifetime::Fortnight,
        created: Hour(490_000),
        tag: Tag([id; 16]),
        commitment: Commitment([id ^ 0xff; 16]),
        origin: Origin::StrangerInbound,
        age: 0,
        stored: Hour(490_001),
        forwarded: 0,
        copies: 255,
    }
}

fn gone(id: u8, at: u32) -> GoneRow {
    GoneRow {
        id: BundleId([id; 32]),
        created: Hour(1),
        expiry: Hour(u32::MAX),
        tag: Tag([id; 16]),
        commitment: Commitment([id; 16]),
        reason: if id.is_multiple_of(2) { GoneReason::Dropped } else { GoneReason::Acknowledged },
        ack: if id.is_multiple_of(2) { [0; 16] } else { [id; 16] },
        at: Hour(at),
        origin: [Origin::Own(ContactId(1)), Origin::Contact(ContactId(1)), Origin::StrangerInbound, Origin::StrangerOutbound]
            [usize::from(id % 4)],
    }
}

fn ack(id: u8, due: u64) -> AckRow {
    AckRow { bundle: BundleId([id; 32]), secret: Zeroizing::new([id; 16]), due: UnixMillis(due) }
}

/// Begins, writes and commits.
fn transact<T>(store: &mut dyn Store, write: impl FnOnce(&mut dyn Store) -> T) -> T {
    store.begin().unwrap();
    let value = write(store);
    store.commit().unwrap();
    value
}

/// Puts a row with this mark into each table, for a new contact.
fn fill(store: &mut dyn Store, mark: u8) -> ContactId {
    let id = store.insert_contact(&contact()).unwrap();
    store.save_setting(Setting::Name, &[mark]).unwrap();
    store.save_pair(id, &[mark; 300]).unwrap();
    store.save_exchange(&ExchangeRow { contact: id, state: Zeroizing::new(vec![mark; 40]) }).unwrap();
    store.insert_skipped(&skipped(id, mark, 5)).unwrap();
    assert!(store.insert_message(&message(id, true, mark, 3)).unwrap());
    assert!(store.insert_message(&message(id, false, mark, 4)).unwrap());
    for outgoing in [false, true] {
        store.insert_data(&data(id, outgoing, mark)).unwrap();
        store.save_part(id, outgoing, MessageId([mark; 16]), mark.into(), &[mark; 40]).unwrap();
    }
    store.insert_outbox(&outbox(id, mark.into())).unwrap();
    store.insert_bundle(&bundle(mark), &[mark; 512]).unwrap();
    store.insert_bundle(&BundleRow { origin: Origin::Own(id), ..bundle(mark ^ 0x40) }, &[mark; 640]).unwrap();
    store.insert_gone(&gone(mark ^ 0x80, mark.into())).unwrap();
    store.insert_ack(&ack(mark, mark.into())).unwrap();
    store.save_cursor(id, Cursor { epoch: [mark; 8], sequence: mark.into() }).unwrap();
    store.save_draft(id, &format!("draft {mark}")).unwrap();
    id
}

/// Everything a store holds, in words.
fn dump(store: &dyn Store) -> Vec<String> {
    let mut out = Vec::new();
    for setting in [Setting::Device, Setting::Name, Setting::Epoch, Setting::Clock, Setting::Restored, Setting::Policy, Setting::Released] {
        out.push(format!("{setting:?} {:?}", store.load_setting(setting).unwrap()));
    }
    // Numbers beyond those in use too, so that what outlives its contact is seen.
    for id in (0..20).map(ContactId) {
        out.push(format!("{id:?} {:?} {:?}", store.load_pair(id).unwrap(), store.load_cursor(id).unwrap()));
        out.push(format!("{:?} {:?}", store.load_messages(id, None, None, None).unwrap(), store.load_outbox(id).unwrap()));
        out.push(format!("{:?}", store.load_unsealed(id, u32::MAX).unwrap()));
        out.push(format!("{:?} {:?}", store.summarise(id).unwrap(), store.first_unread(id).unwrap()));
        out.push(format!("{:?}", store.load_draft(id).unwrap()));
        out.extend(dump_data(store, id));
    }
    out.push(format!("{:?} {:?}", store.load_contacts().unwrap(), store.load_exchanges().unwrap()));
    for id in 0..=u8::MAX {
        let keys = store.find_skipped(&Tag([id; 16])).unwrap();
        let bytes = store.load_bundle(&BundleId([id; 32])).unwrap();
        if keys.is_some() || bytes.is_some() {
            out.push(format!("{id} {keys:?} {bytes:?}"));
        }
    }
    let mut bundles = Vec::new();
    store.visit_bundles(&mut |row| bundles.push(row)).unwrap();
    out.push(format!("{bundles:?} {:?} {:?}", store.load_gone().unwrap(), store.load_acks().unwrap()));
    out.push(format!("{} {:?}", store.count_undelivered().unwrap(), store.summarise_all().unwrap()));
    out
}

/// Changes and deletes rows in each table that [`fill`] made with mark 1 for contact `id`.
fn disturb(store: &mut dyn Store, id: ContactId) {
    fill(store, 2);
    store.save_setting(Setting::Name, b"").unwrap();
    store.save_contact(&ContactRow { id, state: ContactState::Blocked, ..contact() }).unwrap();
    store.save_pair(id, b"other").unwrap();
    store.delete_exchange(id).unwrap();
    store.insert_skipped(&skipped(id, 1, 99)).unwrap();
    store.prune_skipped(id, 0, 0).unwrap();
    store.save_message(&MessageRow { sealed: 4, state: MessageState::Read, ..message(id, true, 1, 3) }).unwrap();
    assert_eq!(store.mark_read(id, false, (u64::MAX, MessageId([0; 16]))).unwrap(), [MessageId([1; 16])]);
    store.save_data(&DataRow { state: DataState::Told, ..data(id, true, 1) }).unwrap();
    store.delete_parts(id, true, MessageId([1; 16])).unwrap();
    store.save_part(id, false, MessageId([1; 16]), 1, b"other").unwrap();
    store.delete_outbox(id, 1).unwrap();
    store.save_forwarded(&BundleId([1; 32]), 8).unwrap();
    store.save_copies(&BundleId([1; 32]), 8).unwrap();
    store.save_stored(&BundleId([1; 32]), Hour(8)).unwrap();
    store.save_origin(&BundleId([1; 32]), Origin::StrangerOutbound).unwrap();
    store.delete_bundle(&BundleId([1; 32])).unwrap();
    store.delete_gone(&BundleId([0x81; 32])).unwrap();
    store.delete_ack(&BundleId([1; 32])).unwrap();
    store.save_cursor(id, Cursor::default()).unwrap();
    store.save_draft(id, "").unwrap();
    store.delete_draft(id).unwrap();
    store.delete_contact(id).unwrap();
}

fn rollback_restores_every_table(place: &mut dyn Reopen) {
    let store = place.store();
    store.rollback().unwrap(); // harmless
    let id = transact(store, |store| fill(store, 1));
    let before = dump(store);
    store.begin().unwrap();
    disturb(store, id);
    assert_ne!(dump(store), before);
    store.rollback().unwrap();
    assert_eq!(dump(store), before);
    transact(store, |store| disturb(store, id));
    assert_ne!(dump(store), before);
}

fn restart_without_commit_restores_every_table(place: &mut dyn Reopen) {
    let id = transact(place.store(), |store| fill(store, 1));
    let before = dump(place.store());
    place.store().begin().unwrap();
    disturb(place.store(), id);
    place.reopen();
    assert_eq!(dump(place.store()), before);
    transact(place.store(), |store| fill(store, 3));
}

fn commit_survives_a_restart(place: &mut dyn Reopen) {
    let id = transact(place.store(), |store| fill(store, 1));
    transact(place.store(), |store| disturb(store, id));
    let before = dump(place.store());
    place.reopen();
    assert_eq!(dump(place.store()), before);
}

fn reads_see_uncommitted_writes(place: &mut dyn Reopen) {
    let store = place.store();
    store.begin().unwrap();
    let id = fill(store, 1);
    assert_eq!(store.load_setting(Setting::Name).unwrap().unwrap().as_slice(), [1]);
    assert_eq!(store.load_messages(id, None, None, None).unwrap().len(), 2);
    assert_eq!(store.load_bundle(&BundleId([1; 32])).unwrap(), Some(vec![1; 512]));
    assert_eq!(store.last_order(id).unwrap(), 4);
    store.delete_contact(id).unwrap();
    assert_eq!(store.load_contacts().unwrap(), []);
    store.rollback().unwrap();
}

fn writes_need_a_transaction(place: &mut dyn Reopen) {
    let store = place.store();
    assert!(matches!(store.save_setting(Setting::Name, b"x"), Err(StoreError::Io(MISUSE))));
    assert!(matches!(store.insert_contact(&contact()), Err(StoreError::Io(MISUSE))));
    let end = (u64::MAX, MessageId([0xff; 16]));
    assert!(matches!(store.mark_read(ContactId(1), false, end), Err(StoreError::Io(MISUSE))), "also where there is nothing to mark");
    assert!(matches!(store.delete_contact(ContactId(1)), Err(StoreError::Io(MISUSE))));
    assert!(matches!(store.commit(), Err(StoreError::Io(MISUSE))));
    store.begin().unwrap();
    assert!(matches!(store.begin(), Err(StoreError::Io(MISUSE))));
    store.rollback().unwrap();
    assert!(store.load_setting(Setting::Name).unwrap().is_none());
}

fn settings_are_replaced(place: &mut dyn Reopen) {
    let store = place.store();
    let all = [Setting::Device, Setting::Name, Setting::Epoch, Setting::Clock, Setting::Restored, Setting::Policy, Setting::Released];
    transact(store, |store| {
        for (mark, setting) in (0u8..).zip(all) {
            assert!(store.load_setting(setting).unwrap().is_none());
            store.save_setting(setting, &[0xee; 70_000]).unwrap();
            store.save_setting(setting, &vec![mark; mark.into()]).unwrap();
        }
    });
    for (mark, setting) in (0u8..).zip(all) {
        assert_eq!(store.load_setting(setting).unwrap().unwrap().as_slice(), vec![mark; mark.into()], "{setting:?}");
    }
}

fn contact_numbers_are_never_reused(place: &mut dyn Reopen) {
    let mut last = ContactId(0);
    for round in 0..4 {
        let id = transact(place.store(), |store| store.insert_contact(&ContactRow { id: ContactId(1), ..contact() }).unwrap());
        assert!(id > last, "round {round}");
        last = id;
        transact(place.store(), |store| store.delete_contact(id).unwrap());
        place.reopen();
        assert_eq!(place.store().load_contacts().unwrap(), []);
    }
}

fn contacts_keep_every_field(place: &mut dyn Reopen) {
    let store = place.store();
    let states = [ContactState::Invited, ContactState::Pending, ContactState::Established, ContactState::Blocked, ContactState::Failed];
    let mut rows = Vec::new();
    transact(store, |store| {
        for state in states {
            let row = ContactRow {
                id: ContactId(0),
                alias: Some("nul\0, quote ' and \u{10ffff}".into()),
                own_name: Some(String::new()),
                card: Vec::new(),
                state,
                verified: true,
                created: UnixMillis(u64::MAX),
                last_seen: Some(UnixMillis(u64::MAX)),
                last_transport: Some(TransportKind::Lan),
                why: Some("x".repeat(10_000)),
                receipts: rows.len() % 2 == 0,
                muted: rows.len() % 3 == 0,
            };
            let id = store.insert_contact(&row).unwrap();
            rows.push(ContactRow { id, ..row });
        }
        let other = ContactRow { id: rows[0].id, ..contact() };
        store.save_contact(&other).unwrap();
        rows[0] = other;
        let absent = ContactRow { id: ContactId(77), ..contact() };
        assert!(matches!(store.save_contact(&absent), Err(StoreError::Io(NOT_FOUND))));
    });
    assert_eq!(store.load_contacts().unwrap(), rows);
}

fn deleting_a_contact_leaves_only_what_is_carried(place: &mut dyn Reopen) {
    let store = place.store();
    let kept = transact(store, |store| fill(store, 1));
    let before = dump(store);
    transact(store, |store| {
        let id = fill(store, 2);
        for number in 10..30 {
            store.insert_message(&message(id, number % 2 == 0, number, number.into())).unwrap();
            store.insert_skipped(&skipped(id, number, 9)).unwrap();
            store.insert_outbox(&outbox(id, number.into())).unwrap();
        }
        let from = BundleRow { origin: Origin::Contact(id), ..bundle(3) };
        store.insert_bundle(&from, &[3; 512]).unwrap();
        store.delete_contact(id).unwrap();
        store.save_setting(Setting::Name, &[1]).unwrap();
    });
    let (mut bundles, mut left) = (0, Vec::new());
    store.visit_bundles(&mut |_| bundles += 1).unwrap();
    assert_eq!(bundles, 4, "what others sealed is carried on");
    transact(store, |store| {
        for id in [2, 3] {
            store.delete_bundle(&BundleId([id; 32])).unwrap();
        }
        store.delete_gone(&BundleId([0x82; 32])).unwrap();
        store.delete_ack(&BundleId([2; 32])).unwrap();
    });
    left.extend(dump(store));
    assert_eq!(left, before);
    assert_eq!(store.load_messages(kept, None, None, None).unwrap().len(), 2);
}

fn deleting_a_contact_deletes_the_bundles_sealed_for_it(place: &mut dyn Reopen) {
    let store = place.store();
    let [ann, ben] = transact(store, |store| [store.insert_contact(&contact()).unwrap(), store.insert_contact(&contact()).unwrap()]);
    let origins = [
        Origin::Own(ann),
        Origin::Own(ben),
        Origin::Contact(ann),
        Origin::StrangerInbound,
        Origin::StrangerOutbound,
        Origin::Own(ann),
        Origin::Own(ContactId(0)),
        Origin::Own(ContactId(u32::MAX)),
        Origin::Contact(ContactId(u32::MAX)),
    ];
    transact(store, |store| {
        for (id, origin) in (1..).zip(origins) {
            assert_eq!(store.insert_bundle(&BundleRow { origin, ..bundle(id) }, &[id; 512]).unwrap(), u64::from(id));
        }
    });
    let held = |store: &dyn Store| {
        let mut held = Vec::new();
        store.visit_bundles(&mut |row| held.push((row.sequence, row.id.0[0]))).unwrap();
        held
    };
    let left: Vec<(u64, u8)> = [2, 3, 4, 5, 7, 8, 9].map(|id| (u64::from(id), id)).into();
    store.begin().unwrap();
    store.delete_contact(ann).unwrap();
    assert_eq!(held(store), left);
    store.rollback().unwrap();
    assert_eq!(held(store).len(), origins.len(), "rolled back");
    transact(store, |store| store.delete_contact(ann).unwrap());
    place.reopen();
    let store = place.store();
    assert_eq!(held(store), left);
    for id in 1..=9 {
        assert_eq!(store.load_bundle(&BundleId([id; 32])).unwrap().is_some(), ![1, 6].contains(&id), "bundle {id}");
    }
    transact(store, |store| store.delete_bundle(&BundleId([9; 32])).unwrap());
    assert_eq!(store.last_sequence().unwrap(), 9, "what is gone counts");
    transact(store, |store| {
        store.save_forwarded(&BundleId([1; 32]), 4).unwrap(); // not held: harmless
        assert_eq!(store.insert_bundle(&bundle(1), &[9; 512]).unwrap(), 10, "the id is free, the sequence is not");
        assert_eq!(store.load_bundle(&BundleId([1; 32])).unwrap(), Some(vec![9; 512]));
    });
}

fn what_belongs_to_a_contact_needs_it(place: &mut dyn Reopen) {
    let absent = ContactId(5);
    type Write = fn(&mut dyn Store, ContactId) -> Result<(), StoreError>;
    let refused: [Write; 7] = [
        |store, id| store.save_pair(id, b"x"),
        |store, id| store.save_exchange(&ExchangeRow { contact: id, state: Zeroizing::new(vec![1]) }),
        |store, id| store.insert_skipped(&skipped(id, 1, 1)),
        |store, id| store.insert_message(&message(id, true, 1, 1)).map(|_| ()),
        |store, id| store.insert_outbox(&outbox(id, 1)),
        |store, id| store.save_cursor(id, Cursor::default()),
        |store, id| store.save_draft(id, "x"),
    ];
    for (index, write) in refused.into_iter().enumerate() {
        let store = place.store();
        store.begin().unwrap();
        assert!(matches!(write(store, absent), Err(StoreError::Io(CONSTRAINT))), "write {index}");
        store.rollback().unwrap();
    }
}

fn drafts_are_replaced_deleted_and_one_for_each_contact(place: &mut dyn Reopen) {
    let store = place.store();
    let [ann, ben] = transact(store, |store| [store.insert_contact(&contact()).unwrap(), store.insert_contact(&contact()).unwrap()]);
    transact(store, |store| {
        assert_eq!(store.load_draft(ann).unwrap(), None);
        store.save_draft(ann, "nul\0, quote ' and \u{10ffff}").unwrap();
        store.save_draft(ben, "for ben").unwrap();
        store.save_draft(ben, "for ben, longer").unwrap();
    });
    place.reopen();
    let store = place.store();
    assert_eq!(store.load_draft(ann).unwrap().unwrap(), "nul\0, quote ' and \u{10ffff}");
    assert_eq!(store.load_draft(ben).unwrap().unwrap(), "for ben, longer");
    transact(store, |store| store.delete_draft(ann).unwrap());
    assert_eq!((store.load_draft(ann).unwrap(), store.load_draft(ben).unwrap().is_some()), (None, true));
    transact(store, |store| store.delete_contact(ben).unwrap());
    assert_eq!(store.load_draft(ben).unwrap(), None);
}

fn skipped_keys_are_found_replaced_and_pruned(place: &mut dyn Reopen) {
    let store = place.store();
    transact(store, |store| {
        let [ann, ben] = [store.insert_contact(&contact()).unwrap(), store.insert_contact(&contact()).unwrap()];
        for tag in 0..10 {
            store.insert_skipped(&skipped(ann, tag, u32::from(tag) / 2)).unwrap();
        }
        store.insert_skipped(&skipped(ben, 100, 0)).unwrap();
        store.insert_skipped(&SkippedRow { keys: Zeroizing::new(vec![]), ..skipped(ann, 9, 4) }).unwrap();
        assert!(store.find_skipped(&Tag([9; 16])).unwrap().unwrap().keys.is_empty(), "replaced");
        assert_eq!(store.prune_skipped(ann, 0, 10).unwrap(), 0);
        assert_eq!(store.prune_skipped(ann, 1, 10).unwrap(), 2, "those of hour 0");
        assert_eq!(store.prune_skipped(ann, 1, 5).unwrap(), 3, "the oldest, then the lowest numbers");
        let left: Vec<u8> = (0..10).filter(|&tag| store.find_skipped(&Tag([tag; 16])).unwrap().is_some()).collect();
        assert_eq!(left, [5, 6, 7, 8, 9]);
        assert_eq!(store.prune_skipped(ann, 3, 4).unwrap(), 1, "old and surplus are not counted twice");
        let mut tags = Vec::new();
        store.visit_skipped(&mut |tag| tags.push(tag.0[0])).unwrap();
        assert_eq!(tags, [6, 7, 8, 9, 100]);
        let found = store.find_skipped(&Tag([8; 16])).unwrap().unwrap();
        assert_eq!((found.contact, found.number, found.chain, found.stored_hour), (ann, 8, 1, 4));
        assert_eq!(found.keys.as_slice(), [8; 32]);
        let edge = SkippedRow { number: u32::MAX, chain: u32::MAX, stored_hour: u32::MAX, ..skipped(ann, 0xff, 0) };
        store.insert_skipped(&edge).unwrap();
        assert_eq!(store.prune_skipped(ann, u32::MAX, 0).unwrap(), 5);
        assert!(store.find_skipped(&Tag([0xff; 16])).unwrap().is_none());
        assert!(store.find_skipped(&Tag([100; 16])).unwrap().is_some(), "another contact's stay");
        store.insert_skipped(&skipped(ann, 100, 7)).unwrap();
        assert_eq!(store.find_skipped(&Tag([100; 16])).unwrap().unwrap().contact, ann, "a tag has one row");
        assert_eq!(store.prune_skipped(ben, u32::MAX, 0).unwrap(), 0);
        store.delete_skipped(&Tag([100; 16])).unwrap();
        assert_eq!(store.prune_skipped(ann, u32::MAX, 0).unwrap(), 0);
    });
}

fn outbox_numbers_are_unique_and_ordered(place: &mut dyn Reopen) {
    let store = place.store();
    store.begin().unwrap();
    let [ann, ben] = [store.insert_contact(&contact()).unwrap(), store.insert_contact(&contact()).unwrap()];
    for number in [7, 0, u32::MAX, 3] {
        store.insert_outbox(&outbox(ann, number)).unwrap();
        store.insert_outbox(&outbox(ben, number)).unwrap();
    }
    store.delete_outbox(ann, 3).unwrap();
    let rows = store.load_outbox(ann).unwrap();
    assert_eq!(format!("{rows:?}"), format!("{:?}", [outbox(ann, 0), outbox(ann, 7), outbox(ann, u32::MAX)]));
    assert_eq!(store.load_outbox(ben).unwrap().len(), 4);
    assert!(matches!(store.insert_outbox(&outbox(ann, 7)), Err(StoreError::Io(CONSTRAINT))));
    store.rollback().unwrap();
}

fn bundle_sequences_are_never_reused(place: &mut dyn Reopen) {
    for round in 1..=3 {
        let id = round as u8;
        let sequence = transact(place.store(), |store| store.insert_bundle(&bundle(id), &[0; 512]).unwrap());
        assert_eq!(sequence, round);
        transact(place.store(), |store| store.delete_bundle(&BundleId([id; 32])).unwrap());
        place.reopen();
    }
    let store = place.store();
    store.begin().unwrap();
    store.insert_bundle(&bundle(9), &[0; 512]).unwrap();
    assert!(matches!(store.insert_bundle(&bundle(9), &[1; 512]), Err(StoreError::Io(CONSTRAINT))));
    store.rollback().unwrap();
    transact(store, |store| assert_eq!(store.insert_bundle(&bundle(1), &[0; 512]).unwrap(), 4));
}

fn bundles_keep_every_field(place: &mut dyn Reopen) {
    let origins = [
        Origin::Own(ContactId(0)),
        Origin::Own(ContactId(u32::MAX)),
        Origin::StrangerInbound,
        Origin::StrangerOutbound,
        Origin::Contact(ContactId(0)),
        Origin::Contact(ContactId(u32::MAX)),
    ];
    let store = place.store();
    let mut rows = Vec::new();
    transact(store, |store| {
        for (id, (origin, lifetime)) in (0u8..).zip(origins.into_iter().zip(Lifetime::ALL.into_iter().cycle())) {
            let row = BundleRow {
                sequence: 99,
                size: if id == 0 { u16::MAX } else { 0 },
                class: if id.is_multiple_of(2) { Class::Urgent } else { Class::Normal },
                lifetime,
                created: Hour(u32::MAX),
                age: u16::MAX,
                stored: Hour(0),
                forwarded: u16::MAX,
                copies: id,
                origin,
                ..bundle(id)
            };
            let bytes = vec![id; usize::from(id) * 1024];
            let sequence = store.insert_bundle(&row, &bytes).unwrap();
            assert_eq!(store.load_bundle(&row.id).unwrap(), Some(bytes));
            rows.push(BundleRow { sequence, ..row });
        }
        store.save_forwarded(&rows[2].id, 3).unwrap();
        rows[2].forwarded = 3;
        store.save_forwarded(&BundleId([200; 32]), 3).unwrap(); // not held: harmless
        store.save_copies(&rows[3].id, 254).unwrap();
        rows[3].copies = 254;
        store.save_copies(&BundleId([200; 32]), 3).unwrap(); // not held: harmless
        store.save_stored(&rows[1].id, Hour(u32::MAX)).unwrap();
        rows[1].stored = Hour(u32::MAX);
        store.save_stored(&BundleId([200; 32]), Hour(3)).unwrap(); // not held: harmless
        store.save_origin(&rows[0].id, Origin::Own(ContactId(9))).unwrap();
        rows[0].origin = Origin::Own(ContactId(9));
        store.save_origin(&BundleId([200; 32]), Origin::StrangerInbound).unwrap(); // not held: harmless
    });
    let mut found = Vec::new();
    store.visit_bundles(&mut |row| found.push(row)).unwrap();
    assert_eq!(found, rows);
    assert_eq!(store.load_bundle(&BundleId([200; 32])).unwrap(), None);
}

fn gone_acks_and_cursors_are_kept_in_order(place: &mut dyn Reopen) {
    let store = place.store();
    transact(store, |store| {
        let ann = store.insert_contact(&contact()).unwrap();
        for (id, at) in [(3, 5), (1, 5), (2, u32::MAX), (4, 0), (1, 6)] {
            store.insert_gone(&gone(id, at)).unwrap();
        }
        assert_eq!(store.load_gone().unwrap(), [gone(4, 0), gone(3, 5), gone(1, 6), gone(2, u32::MAX)]);
        for (id, due) in [(3, 5), (1, 5), (2, u64::MAX), (4, 0), (1, 1 << 63), (5, 5)] {
            store.insert_ack(&ack(id, due)).unwrap();
        }
        let expected = [ack(4, 0), ack(3, 5), ack(5, 5), ack(1, 1 << 63), ack(2, u64::MAX)];
        assert_eq!(format!("{:?}", store.load_acks().unwrap()), format!("{expected:?}"));
        assert_eq!(store.load_cursor(ann).unwrap(), Cursor::default());
        for cursor in [Cursor { epoch: [1; 8], sequence: 4 }, Cursor { epoch: [0xff; 8], sequence: u64::MAX }] {
            store.save_cursor(ann, cursor).unwrap();
            assert_eq!(store.load_cursor(ann).unwrap(), cursor);
        }
    });
}

fn deleting_what_is_absent_is_harmless(place: &mut dyn Reopen) {
    let store = place.store();
    transact(store, |store| {
        store.delete_contact(ContactId(8)).unwrap();
        store.delete_exchange(ContactId(8)).unwrap();
        store.delete_skipped(&Tag([8; 16])).unwrap();
        store.delete_outbox(ContactId(8), 8).unwrap();
        store.delete_parts(ContactId(8), true, MessageId([8; 16])).unwrap();
        assert_eq!(store.load_open_data(ContactId(8)).unwrap(), []);
        store.delete_bundle(&BundleId([8; 32])).unwrap();
        store.delete_gone(&BundleId([8; 32])).unwrap();
        store.delete_ack(&BundleId([8; 32])).unwrap();
        assert_eq!(store.prune_skipped(ContactId(8), 8, 8).unwrap(), 0);
        assert_eq!(store.load_unsealed(ContactId(8), 8).unwrap(), []);
        store.delete_draft(ContactId(8)).unwrap();
        assert_eq!(store.summarise(ContactId(8)).unwrap(), Summary::default());
        assert_eq!(store.first_unread(ContactId(8)).unwrap(), None);
        assert_eq!(store.mark_read(ContactId(8), true, (u64::MAX, MessageId([0xff; 16]))).unwrap(), []);
        assert_eq!(store.mark_read(ContactId(8), false, (0, MessageId([0; 16]))).unwrap(), []);
    });
}
