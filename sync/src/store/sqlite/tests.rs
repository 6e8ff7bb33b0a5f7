use std::{fs, path::PathBuf};

use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use tempfile::TempDir;
use zeroize::Zeroizing;

use super::*;
use crate::{
    id::{BundleId, Commitment, ContactId, MessageId, Tag},
    store::{BundleRow, ContactRow, ExchangeRow, MessageLog, MessageRow, Origin, Setting, Store},
    time::{Hour, UnixMillis},
    view::{ContactState, MessageState},
    wire::bundle::{Class, Lifetime},
};

const PASSPHRASE: &[u8] = b"marker of the passphrase";

fn create(dir: &TempDir) -> Result<SqliteStore, StoreError> {
    SqliteStore::create(dir.path(), PASSPHRASE, KdfParams::cheap_for_tests(), &mut ChaCha20Rng::seed_from_u64(3))
}

fn profile() -> (TempDir, SqliteStore) {
    let dir = tempfile::tempdir().unwrap();
    let store = create(&dir).unwrap();
    (dir, store)
}

fn contact(name: &str) -> ContactRow {
    ContactRow {
        id: ContactId(0),
        alias: Some(name.into()),
        own_name: None,
        card: vec![1; 1328],
        state: ContactState::Established,
        verified: false,
        created: UnixMillis(1),
        last_seen: None,
        last_transport: None,
        why: None,
        receipts: true,
        muted: false,
    }
}

fn message(contact: ContactId, id: u32, text: &str) -> MessageRow {
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&id.to_be_bytes());
    MessageRow {
        contact,
        outgoing: true,
        id: MessageId(bytes),
        order: id.into(),
        text: text.into(),
        sent: UnixMillis(1),
        stored: UnixMillis(1),
        state: MessageState::Queued,
        urgent: false,
        number: None,
        expires: None,
        handed_contacts: 0,
        handed_strangers: 0,
        sealed: 0,
        log: MessageLog::default(),
    }
}

fn save_name(store: &mut SqliteStore, name: &[u8]) -> Result<(), StoreError> {
    store.begin()?;
    store.save_setting(Setting::Name, name)?;
    store.commit()
}

fn name(store: &SqliteStore) -> Option<Vec<u8>> {
    store.load_setting(Setting::Name).unwrap().map(|value| value.to_vec())
}

fn files(dir: &TempDir) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn names(dir: &TempDir) -> Vec<String> {
    files(dir).iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect()
}

#[test]
fn wrong_passphrase_is_said_and_changes_nothing() {
    let (dir, mut store) = profile();
    save_name(&mut store, b"me").unwrap();
    drop(store);
    assert!(matches!(SqliteStore::open(dir.path(), b"other"), Err(StoreError::Passphrase)));
    assert_eq!(name(&SqliteStore::open(dir.path(), PASSPHRASE).unwrap()), Some(b"me".to_vec()));
}

#[test]
fn settings_of_the_connection_are_in_force() {
    let (_dir, store) = profile();
    for (pragma, value) in [
        ("synchronous", 2),
        ("foreign_keys", 1),
        ("secure_delete", 1),
        ("temp_store", 2),
        ("trusted_schema", 0),
        ("cipher_use_hmac", 1),
        ("user_version", 3),
    ] {
        let found: String = store
            .connection
            .query_row(&format!("PRAGMA {pragma}"), [], |row| {
                Ok(row.get::<_, i64>(0).map_or_else(|_| row.get::<_, String>(0), |number| Ok(number.to_string())).unwrap())
            })
            .unwrap();
        assert_eq!(found, value.to_string(), "{pragma}");
    }
}

#[test]
fn nothing_is_in_the_clear() {
    let markers =
        ["marker of a name", "marker of a text", "marker of a pair", "marker of an exchange", "marker of a setting", "marker of a draft"];
    let (dir, mut store) = profile();
    store.begin().unwrap();
    let id = store.insert_contact(&contact(markers[0])).unwrap();
    store.insert_message(&message(id, 1, markers[1])).unwrap();
    store.save_pair(id, markers[2].as_bytes()).unwrap();
    store.save_exchange(&ExchangeRow { contact: id, state: Zeroizing::new(markers[3].into()) }).unwrap();
    store.save_setting(Setting::Name, markers[4].as_bytes()).unwrap();
    store.save_draft(id, markers[5]).unwrap();
    store.commit().unwrap();
    let key = SqliteStore::unlock_key(dir.path(), PASSPHRASE).unwrap();
    let hex: String = key.expose().iter().map(|byte| format!("{byte:02x}")).collect();
    let search = || {
        for path in files(&dir) {
            let bytes = fs::read(&path).unwrap();
            let mut secrets: Vec<&[u8]> = markers.iter().map(|marker| marker.as_bytes()).collect();
            secrets.extend([PASSPHRASE, key.expose().as_slice(), &key.expose()[..16], hex.as_bytes(), b"SQLite format", b"CREATE TABLE"]);
            for secret in secrets {
                assert!(!bytes.windows(secret.len()).any(|window| window == secret), "{secret:?} in {path:?}");
            }
        }
    };
    assert!(names(&dir).contains(&"profile.db-wal".to_owned()));
    search();
    store.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    search();
    drop(store);
    search();
    assert_eq!(names(&dir), ["key", "profile.db"]);
}

#[cfg(unix)]
#[test]
fn files_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("deep").join("profile");
    let mut store = SqliteStore::create(&dir, PASSPHRASE, KdfParams::cheap_for_tests(), &mut ChaCha20Rng::seed_from_u64(3)).unwrap();
    save_name(&mut store, b"me").unwrap();
    assert_eq!(fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o700);
    for entry in fs::read_dir(&dir).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", entry.path());
    }
}

#[test]
fn second_connection_is_refused_as_busy() {
    let (dir, mut store) = profile();
    assert!(matches!(SqliteStore::open(dir.path(), PASSPHRASE), Err(StoreError::Busy)));
    save_name(&mut store, b"me").unwrap();
    assert!(matches!(SqliteStore::open(dir.path(), PASSPHRASE), Err(StoreError::Busy)));
    drop(store);
    SqliteStore::open(dir.path(), PASSPHRASE).unwrap();
}

#[test]
fn damaged_foreign_and_truncated_databases_are_refused() {
    let (dir, mut store) = profile();
    save_name(&mut store, &[7; 50_000]).unwrap();
    drop(store);
    let database = dir.path().join("profile.db");
    let good = fs::read(&database).unwrap();
    let other = tempfile::tempdir().unwrap();
    let mut seed = ChaCha20Rng::seed_from_u64(8);
    drop(SqliteStore::create(other.path(), PASSPHRASE, KdfParams::cheap_for_tests(), &mut seed).unwrap());
    let plain = tempfile::tempdir().unwrap();
    let plain = plain.path().join("plain.db");
    rusqlite::Connection::open(&plain).unwrap().execute_batch("CREATE TABLE message (id INTEGER)").unwrap();
    let mut flipped = good.clone();
    flipped[2000] ^= 1;
    let cases = [
        ("another profile's", fs::read(other.path().join("profile.db")).unwrap()),
        ("plain SQLite", fs::read(&plain).unwrap()),
        ("text", b"this is not a database\n".repeat(1000)),
        ("cut in the first page", good[..1000].to_vec()),
        ("a changed bit", flipped),
    ];
    for (what, bytes) in cases {
        fs::write(&database, bytes).unwrap();
        let result = SqliteStore::open(dir.path(), PASSPHRASE);
        assert!(matches!(result, Err(StoreError::Damaged(_))), "{what}: {result:?}");
    }
    fs::write(&database, &good[..good.len() / 4096 / 2 * 4096]).unwrap();
    let cut = SqliteStore::open(dir.path(), PASSPHRASE).and_then(|store| store.load_setting(Setting::Name).map(|_| ()));
    assert!(matches!(cut, Err(StoreError::Damaged(_))), "cut behind the first page: {cut:?}");
    fs::write(&database, good).unwrap();
    assert_eq!(name(&SqliteStore::open(dir.path(), PASSPHRASE).unwrap()), Some(vec![7; 50_000]));
}

#[test]
fn database_under_another_key_is_refused() {
    let (dir, store) = profile();
    drop(store);
    let other = SqliteStore::open_with_key(dir.path(), &Secret::new([9; 32]));
    assert!(matches!(other, Err(StoreError::Damaged(_))), "{other:?}");
}

#[test]
fn foreign_and_missing_key_files_are_refused() {
    let (dir, store) = profile();
    drop(store);
    let key = dir.path().join("key");
    for bytes in [b"".to_vec(), b"ssh-ed25519 AAAA".to_vec(), vec![0; 1 << 20], b"hedgekey".to_vec()] {
        fs::write(&key, bytes).unwrap();
        assert!(matches!(SqliteStore::open(dir.path(), PASSPHRASE), Err(StoreError::Damaged(_))));
    }
    fs::remove_file(&key).unwrap();
    assert!(matches!(SqliteStore::open(dir.path(), PASSPHRASE), Err(StoreError::Damaged("the key file is missing"))));
    assert!(SqliteStore::exists(dir.path()).unwrap(), "what remains is not overwritten by chance");
    assert!(matches!(create(&dir), Err(StoreError::Io(ALREADY_THERE))));
    SqliteStore::wipe(dir.path()).unwrap();
    assert!(matches!(SqliteStore::open(dir.path(), PASSPHRASE), Err(StoreError::Damaged("there is no profile here"))));
}

#[test]
fn key_without_database_is_refused() {
    let (dir, store) = profile();
    drop(store);
    fs::remove_file(dir.path().join("profile.db")).unwrap();
    assert!(matches!(SqliteStore::open(dir.path(), PASSPHRASE), Err(StoreError::Damaged("the database is missing"))));
    assert_eq!(names(&dir), ["key"], "opening makes nothing");
}

#[test]
fn create_cut_short_can_be_redone_or_is_finished() {
    // Before the key file is there: create begins again, whatever lies about.
    let dir = tempfile::tempdir().unwrap();
    for leftover in ["new.db", "new.db-wal", "new.db-journal", "key.new"] {
        fs::write(dir.path().join(leftover), b"cut short").unwrap();
    }
    assert!(!SqliteStore::exists(dir.path()).unwrap());
    drop(create(&dir).unwrap());
    assert_eq!(names(&dir), ["key", "profile.db"]);
    // After it: open gives the database its name.
    fs::rename(dir.path().join("profile.db"), dir.path().join("new.db")).unwrap();
    assert!(SqliteStore::exists(dir.path()).unwrap());
    drop(SqliteStore::open(dir.path(), PASSPHRASE).unwrap());
    assert_eq!(names(&dir), ["key", "profile.db"]);
}

#[test]
fn create_refuses_a_profile_that_is_there() {
    let (dir, mut store) = profile();
    save_name(&mut store, b"me").unwrap();
    drop(store);
    assert!(matches!(create(&dir), Err(StoreError::Io(ALREADY_THERE))));
    assert_eq!(name(&SqliteStore::open(dir.path(), PASSPHRASE).unwrap()), Some(b"me".to_vec()));
}

#[test]
fn changed_passphrase_opens_and_the_old_one_does_not() {
    let (dir, mut store) = profile();
    save_name(&mut store, b"me").unwrap();
    let mut rng = ChaCha20Rng::seed_from_u64(4);
    let params = KdfParams::cheap_for_tests();
    let before = fs::read(dir.path().join("key")).unwrap();
    let wrong = SqliteStore::change_passphrase(dir.path(), b"wrong", b"new", params, &mut rng);
    assert!(matches!(wrong, Err(StoreError::Passphrase)));
    assert_eq!(fs::read(dir.path().join("key")).unwrap(), before);
    SqliteStore::change_passphrase(dir.path(), PASSPHRASE, b"new", params, &mut rng).unwrap();
    let after = fs::read(dir.path().join("key")).unwrap();
    assert!(before[21..].iter().zip(&after[21..]).filter(|(a, b)| a == b).count() < 20, "salt, nonce and key are wrapped anew");
    save_name(&mut store, b"still open").unwrap();
    drop(store);
    assert!(matches!(SqliteStore::open(dir.path(), PASSPHRASE), Err(StoreError::Passphrase)));
    assert_eq!(name(&SqliteStore::open(dir.path(), b"new").unwrap()), Some(b"still open".to_vec()));
    assert_eq!(names(&dir), ["key", "profile.db"]);
}

#[test]
fn wipe_leaves_nothing_of_ours_and_can_be_repeated() {
    let (dir, mut store) = profile();
    save_name(&mut store, b"me").unwrap();
    // A hard link shows what becomes of the key file's bytes once its name is gone.
    let witness = tempfile::tempdir_in(dir.path().parent().unwrap()).unwrap();
    let witness = witness.path().join("witness");
    fs::hard_link(dir.path().join("key"), &witness).unwrap();
    fs::write(dir.path().join("foreign"), b"keep").unwrap();
    SqliteStore::wipe(dir.path()).unwrap(); // even while it is open
    assert!(fs::read(&witness).unwrap().iter().all(|&byte| byte == 0));
    assert_eq!(names(&dir), ["foreign"]);
    assert!(!SqliteStore::exists(dir.path()).unwrap());
    drop(store);
    fs::remove_file(dir.path().join("foreign")).unwrap();
    SqliteStore::wipe(dir.path()).unwrap();
    assert!(!dir.path().exists());
    SqliteStore::wipe(dir.path()).unwrap();
    drop(create(&dir).unwrap());
}

#[test]
fn full_disk_is_said_and_what_was_committed_stays() {
    let (dir, mut store) = profile();
    save_name(&mut store, b"me").unwrap();
    let pages: u32 = store.connection.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
    store.connection.query_row(&format!("PRAGMA max_page_count = {}", pages + 5), [], |_| Ok(())).unwrap();
    let full = (|| {
        store.begin()?;
        let id = store.insert_contact(&contact("Ann"))?;
        for number in 0..1000 {
            store.insert_message(&message(id, number, &"long ".repeat(200)))?;
        }
        store.commit()
    })();
    assert!(matches!(full, Err(StoreError::Full)), "{full:?}");
    assert!(store.commit().is_err() || store.load_contacts().unwrap().len() <= 1);
    store.rollback().unwrap();
    drop(store);
    let store = SqliteStore::open(dir.path(), PASSPHRASE).unwrap();
    assert_eq!(name(&store), Some(b"me".to_vec()));
}

#[test]
fn newer_schema_is_refused_untouched() {
    let (dir, store) = profile();
    store.connection.execute_batch("PRAGMA user_version = 9").unwrap();
    drop(store);
    let known = u32::try_from(migrate::MIGRATIONS.len()).unwrap();
    for _ in 0..2 {
        let result = SqliteStore::open(dir.path(), PASSPHRASE);
        assert!(matches!(result, Err(StoreError::Newer { found: 9, known: k }) if k == known), "{result:?}");
    }
}

/// Rows as a program of schema `version` wrote them.
fn fill(connection: &Connection, version: usize) {
    let sql = match version {
        0 => "",
        2 => {
            "INSERT INTO contact (alias, card, state, verified, created, receipts, muted) VALUES ('Ann', x'01', 2, 1, 5, 0, 1);
             INSERT INTO bundle (sequence, id, size, class, lifetime, created, tag, commitment, origin, age, stored, forwarded, bytes)
             VALUES (3, zeroblob(32), 512, 0, 3, 490000, zeroblob(16), zeroblob(16), -2, 4, 490001, 6, x'0102'),
             (7, x'01', 512, 0, 3, 490000, zeroblob(16), zeroblob(16), -2, 4, 490001, 6, x'0102');
             DELETE FROM bundle WHERE sequence = 7;
             INSERT INTO draft (contact, text) VALUES (1, 'not sent');
             INSERT INTO message (contact, place, id, outgoing, state, urgent, sealed, sent, stored, handed_contacts, handed_strangers, log,
             text) VALUES (1, 3, zeroblob(16), 1, 0, 0, 0, 7, 8, 0, 0, x'', 'kept');"
        }
        3 => {
            "INSERT INTO contact (alias, card, state, verified, created, receipts, muted) VALUES ('Ann', x'01', 2, 1, 5, 0, 1);
             INSERT INTO draft (contact, text) VALUES (1, 'not sent');
             INSERT INTO message (contact, place, id, outgoing, state, urgent, sealed, sent, stored, handed_contacts, handed_strangers, log,
             text) VALUES (1, 3, zeroblob(16), 1, 0, 0, 0, 7, 8, 0, 0, x'', 'kept');
             INSERT INTO data (row, contact, outgoing, id, length, hash, key, created, state, number)
             VALUES (4, 1, 1, zeroblob(16), 5000, zeroblob(32), NULL, 0, 0, NULL);
             INSERT INTO part (data, number, bytes) VALUES (4, 1, x'0102');"
        }
        _ => {
            "INSERT INTO contact (alias, card, state, verified, created) VALUES ('Ann', x'01', 2, 1, 5);
             INSERT INTO message (contact, place, id, outgoing, state, urgent, sealed, sent, stored, handed_contacts, handed_strangers, log,
             text) VALUES (1, 3, zeroblob(16), 1, 0, 0, 0, 7, 8, 0, 0, x'', 'kept');"
        }
    };
    connection.execute_batch(sql).unwrap();
}

#[test]
fn each_version_opens_as_the_current_one() {
    for version in 0..=migrate::MIGRATIONS.len() {
        let dir = tempfile::tempdir().unwrap();
        let key = Secret::new([5; 32]);
        let path = dir.path().join("profile.db");
        create_new(&path).unwrap();
        let mut connection = connect(&path, &key).unwrap();
        migrate::migrate(&mut connection, &migrate::MIGRATIONS[..version]).unwrap();
        fill(&connection, version);
        drop(connection);
        let store = SqliteStore::open_with_key(dir.path(), &key).unwrap();
        let texts: Vec<_> = store.load_messages(ContactId(1), None, None, None).unwrap().into_iter().map(|row| row.text).collect();
        assert_eq!(texts, vec!["kept"; usize::from(version > 0)], "from version {version}");
        let chosen: Vec<_> = store.load_contacts().unwrap().into_iter().map(|row| (row.receipts, row.muted)).collect();
        let expected: &[_] = match version {
            0 => &[],
            1 => &[(true, false)],
            _ => &[(false, true)],
        };
        assert_eq!(chosen, expected, "from version {version}");
        assert_eq!(store.load_draft(ContactId(1)).unwrap().is_some(), version >= 2, "from version {version}");
        let part = store.load_part(ContactId(1), true, MessageId([0; 16]), 1).unwrap();
        assert_eq!(part.is_some(), version >= 3, "from version {version}");
    }
}

#[test]
fn bundles_of_schema_2_have_no_copy_limit_and_keep_their_sequence() {
    let dir = tempfile::tempdir().unwrap();
    let key = Secret::new([5; 32]);
    let path = dir.path().join("profile.db");
    create_new(&path).unwrap();
    let mut connection = connect(&path, &key).unwrap();
    migrate::migrate(&mut connection, &migrate::MIGRATIONS[..2]).unwrap();
    fill(&connection, 2);
    drop(connection);
    let mut store = SqliteStore::open_with_key(dir.path(), &key).unwrap();
    let held = BundleId([0; 32]);
    let mut rows = Vec::new();
    store.visit_bundles(&mut |row| rows.push(row)).unwrap();
    let expected = BundleRow {
        sequence: 3,
        lifetime: Lifetime::Fortnight,
        created: Hour(490_000),
        tag: Tag([0; 16]),
        commitment: Commitment([0; 16]),
        origin: Origin::StrangerOutbound,
        age: 4,
        stored: Hour(490_001),
        forwarded: 6,
        copies: 255,
        ..bundle(0)
    };
    assert_eq!(rows, [expected]);
    assert_eq!(store.load_bundle(&held).unwrap(), Some(vec![1, 2]));
    store.begin().unwrap();
    store.save_copies(&held, 16).unwrap();
    assert_eq!(store.insert_bundle(&bundle(1), &[1; 512]).unwrap(), 8, "7 was given before");
    store.commit().unwrap();
}

#[test]
fn rows_of_bundles_are_read_without_their_bytes() {
    let (_dir, store) = profile();
    let sql = "SELECT name FROM pragma_table_info('bundle') ORDER BY cid DESC LIMIT 1";
    let last: String = store.connection.query_row(sql, [], |row| row.get(0)).unwrap();
    assert_eq!(last, "bytes", "a column behind it is found only through all of its pages");
}

#[test]
fn pages_and_summaries_are_searches_of_indexes() {
    let (_dir, store) = profile();
    let plan = |sql: &str| -> Vec<String> {
        let mut statement = store.connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        statement.raw_query().mapped(|row| row.get(3)).collect::<Result<_, _>>().unwrap()
    };
    let page = plan(tables::PAGE);
    assert_eq!(page, ["SEARCH m USING PRIMARY KEY (contact=? AND (place,id)>(?,?) AND (place,id)<(?,?))"], "no sorting, no scan");
    let summaries = plan(tables::SUMMARIES);
    let scans: Vec<_> = summaries.iter().filter(|step| step.contains("SCAN") || step.contains("TEMP")).collect();
    assert_eq!(scans, ["SCAN c"], "{summaries:?}");
    let parts = plan(tables::PARTS);
    assert!(parts.iter().any(|step| step.starts_with("SEARCH part USING COVERING INDEX")), "no part is read: {parts:?}");
    assert!(summaries.iter().any(|step| step.contains("COVERING INDEX message_delivered (contact=? AND outgoing=?)")), "{summaries:?}");
}

#[test]
fn migration_is_whole_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("profile.db");
    create_new(&path).unwrap();
    let mut connection = connect(&path, &Secret::new([5; 32])).unwrap();
    let first = "CREATE TABLE one (x INTEGER NOT NULL) STRICT;";
    let broken = "CREATE TABLE two (x INTEGER NOT NULL) STRICT; INSERT INTO absent VALUES (1);";
    let mended = "CREATE TABLE two (x INTEGER NOT NULL) STRICT; INSERT INTO two SELECT x FROM one;";
    migrate::migrate(&mut connection, &[first]).unwrap();
    connection.execute_batch("INSERT INTO one VALUES (4)").unwrap();
    assert!(migrate::migrate(&mut connection, &[first, broken]).is_err());
    let version = |connection: &Connection| connection.query_row("PRAGMA user_version", [], |row| row.get::<_, u32>(0)).unwrap();
    assert_eq!(version(&connection), 1);
    migrate::migrate(&mut connection, &[first, mended]).unwrap();
    migrate::migrate(&mut connection, &[first, mended]).unwrap();
    assert_eq!(version(&connection), 2);
    assert_eq!(connection.query_row("SELECT x FROM two", [], |row| row.get::<_, i64>(0)).unwrap(), 4);
}

#[test]
fn cut_log_loses_whole_transactions_only() {
    let (dir, mut store) = profile();
    for round in 0..20_u8 {
        store.begin().unwrap();
        store.save_setting(Setting::Name, &[round; 5000]).unwrap();
        store.save_setting(Setting::Clock, &[round; 5000]).unwrap();
        store.commit().unwrap();
    }
    let log = fs::read(dir.path().join("profile.db-wal")).unwrap();
    let database = fs::read(dir.path().join("profile.db")).unwrap();
    let key = SqliteStore::unlock_key(dir.path(), PASSPHRASE).unwrap();
    drop(store);
    let mut seen = std::collections::BTreeSet::new();
    for cut in (0..=log.len()).step_by(log.len() / 60) {
        let copy = tempfile::tempdir().unwrap();
        fs::copy(dir.path().join("key"), copy.path().join("key")).unwrap();
        fs::write(copy.path().join("profile.db"), &database).unwrap();
        fs::write(copy.path().join("profile.db-wal"), &log[..cut]).unwrap();
        let store = SqliteStore::open_with_key(copy.path(), &key).unwrap();
        let clock = store.load_setting(Setting::Clock).unwrap().map(|value| value.to_vec());
        assert_eq!(name(&store), clock, "cut at {cut}");
        seen.insert(clock.map(|value| value[0]));
    }
    assert!(seen.len() > 10, "the cuts fall between commits: {seen:?}");
}

#[test]
fn values_that_no_program_wrote_are_damage() {
    let (_dir, mut store) = profile();
    store.begin().unwrap();
    let id = store.insert_contact(&contact("Ann")).unwrap();
    store.insert_message(&message(id, 1, "text")).unwrap();
    let row = BundleRow { origin: Origin::Own(id), ..bundle(1) };
    store.insert_bundle(&row, &[1; 512]).unwrap();
    store.commit().unwrap();
    for (sql, undo) in [
        ("UPDATE message SET state = 6", "UPDATE message SET state = 0"),
        ("UPDATE message SET id = x'01'", "UPDATE message SET id = zeroblob(16)"),
        ("UPDATE message SET number = -1", "UPDATE message SET number = NULL"),
        ("UPDATE message SET log = x'01'", "UPDATE message SET log = x''"),
        ("UPDATE message SET log = x'01ff000000000000'", "UPDATE message SET log = x''"),
        ("UPDATE contact SET last_transport = 0", "UPDATE contact SET last_transport = NULL"),
        ("UPDATE bundle SET lifetime = 5", "UPDATE bundle SET lifetime = 0"),
        ("UPDATE bundle SET copies = 256", "UPDATE bundle SET copies = 255"),
        ("UPDATE bundle SET size = 65536", "UPDATE bundle SET size = 512"),
        ("UPDATE bundle SET origin = 4294967296", "UPDATE bundle SET origin = -1"),
        ("UPDATE bundle SET origin = -4294967299", "UPDATE bundle SET origin = -1"),
        ("UPDATE bundle SET origin = 9223372036854775807", "UPDATE bundle SET origin = -1"),
        ("UPDATE bundle SET origin = -9223372036854775807 - 1", "UPDATE bundle SET origin = -1"),
        ("UPDATE contact SET state = 5", "UPDATE contact SET state = 2"),
    ] {
        store.connection.execute_batch(sql).unwrap();
        let results =
            [store.load_contacts().map(|_| ()), store.load_messages(id, None, None, None).map(|_| ()), store.visit_bundles(&mut |_| {})];
        let damaged = results.iter().filter(|result| matches!(result, Err(StoreError::Damaged(_)))).count();
        assert_eq!(damaged, 1, "{sql}: {results:?}");
        store.connection.execute_batch(undo).unwrap();
    }
    store.load_messages(id, None, None, None).unwrap();
}

fn bundle(id: u8) -> BundleRow {
    BundleRow {
        id: BundleId([id; 32]),
        sequence: 0,
        size: 512,
        class: Class::Normal,
        lifetime: Lifetime::Day,
        created: Hour(1),
        tag: Tag([1; 16]),
        commitment: Commitment([1; 16]),
        origin: Origin::StrangerInbound,
        age: 0,
        stored: Hour(1),
        forwarded: 0,
        copies: 255,
    }
}

#[test]
fn ids_in_memory_follow_a_rollback_by_sqlite_itself() {
    let (_dir, mut store) = profile();
    store.begin().unwrap();
    store.insert_bundle(&bundle(1), &[1; 512]).unwrap();
    store.commit().unwrap();
    store.begin().unwrap();
    store.delete_bundle(&BundleId([1; 32])).unwrap();
    store.insert_bundle(&bundle(2), &[2; 512]).unwrap();
    store.connection.execute_batch("ROLLBACK").unwrap(); // as after a full disk
    store.begin().unwrap();
    assert_eq!(store.load_bundle(&BundleId([1; 32])).unwrap(), Some(vec![1; 512]));
    assert_eq!(store.load_bundle(&BundleId([2; 32])).unwrap(), None);
    assert_eq!(store.insert_bundle(&bundle(2), &[3; 512]).unwrap(), 2);
    store.commit().unwrap();
    store.rollback().unwrap();
    assert_eq!(store.load_bundle(&BundleId([2; 32])).unwrap(), Some(vec![3; 512]), "a commit is not taken back");
}

#[test]
fn id_that_is_there_twice_is_damage() {
    let (dir, mut store) = profile();
    store.begin().unwrap();
    store.insert_bundle(&bundle(1), &[1; 512]).unwrap();
    store.insert_bundle(&bundle(2), &[2; 512]).unwrap();
    store.commit().unwrap();
    store.connection.execute_batch("UPDATE bundle SET id = zeroblob(32)").unwrap();
    drop(store);
    let store = SqliteStore::open(dir.path(), PASSPHRASE).unwrap();
    assert!(matches!(store.load_bundle(&BundleId([1; 32])), Err(StoreError::Damaged(_))));
    assert!(matches!(store.visit_bundles(&mut |_| ()), Err(StoreError::Damaged(_))));
}

#[test]
fn debug_shows_nothing() {
    let (_dir, store) = profile();
    assert_eq!(format!("{store:?}"), "SqliteStore { .. }");
}
