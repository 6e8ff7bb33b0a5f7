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
