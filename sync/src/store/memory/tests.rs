use super::*;

fn store() -> MemoryStore {
    let mut store = MemoryStore::new();
    store.begin().unwrap();
    store.save_setting(Setting::Name, b"before").unwrap();
    store.commit().unwrap();
    store
}

fn name(store: &MemoryStore) -> Vec<u8> {
    store.load_setting(Setting::Name).unwrap().unwrap().to_vec()
}

/// One transaction: two writes and the commit, three points.
fn run(store: &mut MemoryStore) -> Result<(), StoreError> {
    store.begin()?;
    store.save_setting(Setting::Name, b"after")?;
    store.save_setting(Setting::Clock, b"mesh")?;
    store.commit()
}

#[test]
fn crash_at_each_point_leaves_what_was_committed() {
    let mut dry = store();
    let before = dry.point_count();
    run(&mut dry).unwrap();
    let points = dry.point_count() - before;
    assert_eq!(points, 3);
    for n in 1..=points {
        let mut store = store();
        store.crash_after_writes(n);
        assert!(matches!(run(&mut store), Err(StoreError::Crash)), "point {n}");
        assert!(matches!(store.load_contacts(), Err(StoreError::Crash)), "reads fail after point {n}");
        assert!(matches!(store.begin(), Err(StoreError::Crash)));
        store.reopen();
        assert_eq!(name(&store), b"before");
        assert_eq!(store.commit_count(), 1);
        run(&mut store).unwrap();
        assert_eq!(name(&store), b"after");
    }
    let mut past = store();
    past.crash_after_writes(points + 1);
    run(&mut past).unwrap();
}

#[test]
fn crash_past_commit_is_durable() {
    let mut store = store();
    store.crash_past_commit();
    assert!(matches!(run(&mut store), Err(StoreError::Crash)));
    store.reopen();
    assert_eq!(name(&store), b"after");
}

#[test]
fn full_fails_writes_until_reopened_and_keeps_reads() {
    for n in 1..=3 {
        let mut store = store();
        store.fail_full_after(n);
        assert!(matches!(run(&mut store), Err(StoreError::Full)), "point {n}");
        assert!(matches!(store.commit(), Err(StoreError::Full)));
        store.rollback().unwrap();
        assert_eq!(name(&store), b"before");
        assert!(matches!(run(&mut store), Err(StoreError::Full)), "still full");
        store.reopen();
        run(&mut store).unwrap();
    }
}

#[test]
fn clone_is_a_snapshot_and_handle_is_not() {
    let mut store = store();
    let snapshot = store.clone();
    let handle = store.handle();
    run(&mut store).unwrap();
    assert_eq!(name(&snapshot), b"before");
    assert_eq!(name(&handle), b"after");
}

fn row(number: u8) -> BundleRow {
    BundleRow {
        id: BundleId([number; 32]),
        sequence: 0,
        size: 512,
        class: crate::wire::bundle::Class::Normal,
        lifetime: crate::wire::bundle::Lifetime::Week,
        created: Hour(498_700),
        tag: Tag([number; 16]),
        commitment: crate::id::Commitment([number; 16]),
        origin: Origin::StrangerInbound,
        age: 0,
        stored: Hour(498_702),
        forwarded: 0,
    }
}

fn insert(store: &mut MemoryStore, row: &BundleRow, bytes: &[u8]) {
    store.begin().unwrap();
    store.insert_bundle(row, bytes).unwrap();
    store.commit().unwrap();
}

#[test]
fn stores_of_one_pool_hold_a_bundle_once_and_what_is_their_own_apart() {
    let pool = BundlePool::default();
    let [mut one, mut other] = [MemoryStore::in_pool(&pool), MemoryStore::in_pool(&pool)];
    insert(&mut one, &row(1), &[1; 512]);
    insert(&mut other, &BundleRow { origin: Origin::Contact(ContactId(4)), age: 3, ..row(1) }, &[1; 512]);
    let body = |store: &MemoryStore| store.state().tables.bundles.iter().map(|(_, kept)| Arc::clone(&kept.body)).next().unwrap();
    assert!(Arc::ptr_eq(&body(&one), &body(&other)));
    other.begin().unwrap();
    other.save_forwarded(&row(1).id, 9).unwrap();
    other.commit().unwrap();
    let rows = |store: &MemoryStore| {
        let mut rows = Vec::new();
        store.visit_bundles(&mut |row| rows.push(row)).unwrap();
        rows
    };
    assert_eq!(rows(&one), [BundleRow { sequence: 1, ..row(1) }]);
    assert_eq!(rows(&other), [BundleRow { sequence: 1, origin: Origin::Contact(ContactId(4)), age: 3, forwarded: 9, ..row(1) }]);
    let same = Arc::downgrade(&body(&one));
    drop(one);
    assert_eq!(other.load_bundle(&row(1).id).unwrap(), Some(vec![1; 512]));
    other.lose_bundle(&row(1).id);
    assert!(same.upgrade().is_none(), "nobody holds it, nor does the pool");
}

#[test]
fn one_id_with_other_bytes_is_not_shared() {
    let pool = BundlePool::default();
    let [mut one, mut other] = [MemoryStore::in_pool(&pool), MemoryStore::in_pool(&pool)];
    insert(&mut one, &row(1), &[1; 512]);
    insert(&mut other, &row(1), &[2; 512]);
    assert_eq!([&one, &other].map(|store| store.load_bundle(&row(1).id).unwrap().unwrap()[0]), [1, 2]);
}

#[test]
fn a_pool_forgets_what_nobody_holds() {
    let pool = BundlePool::default();
    let mut store = MemoryStore::in_pool(&pool);
    for number in 0..10_000_u32 {
        let mut id = [0; 32];
        id[..4].copy_from_slice(&number.to_be_bytes());
        insert(&mut store, &BundleRow { id: BundleId(id), ..row(1) }, &[1; 512]);
        store.lose_bundle(&BundleId(id));
    }
    assert!(pool.len() <= 1_100, "{} entries", pool.len());
}
