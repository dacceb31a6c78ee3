//! Databases that lost bytes, gained others, or are none. Never a panic, never
//! a wrong answer; and what the objects themselves prove is known again.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use osbuild_store::action::{ActionKey, ActionRow, OutputName};
use osbuild_store::local::{GcRequest, Ingest, Usage};
use osbuild_store::signature::SecretKey;
use osbuild_store::{LocalStore, StoreError, StorePath};

use super::{assert_sound, referrer, source};

struct Fixture {
    place: tempfile::TempDir,
    source: StorePath,
    referrer: StorePath,
    flat: StorePath,
    /// Named by its inputs, so that nothing vouches for its contents.
    built: StorePath,
    /// Refers to it.
    above: StorePath,
}

/// How it is damaged while nobody has it open.
type Damage = fn(&Path);

impl Fixture {
    fn new() -> Self {
        let place = tempfile::tempdir().expect("a temporary directory");
        let store = LocalStore::open(&place.path().join("home")).expect("opened");
        let source = source(&store, "source", "a source");
        let referrer = referrer(&store, "referrer", &source);
        for index in 0..300 {
            super::source(&store, "many", &format!("number {index}"));
        }
        let tree = osbuild_store::store::SourceTree::Bytes { contents: b"flat".into(), executable: false };
        let flat = osbuild_store::store::SourceSink::add_source(
            &store,
            "flat",
            &tree,
            osbuild_store::store::Ingestion::Flat,
        );
        let scratch = store.scratch("test").expect("scratch");
        let out = scratch.path().join("out");
        fs::write(&out, "built").expect("written");
        let ingested = store.ingest(&out, []).expect("ingested");
        let built = StorePath::new([5; 20], "built").expect("a name");
        let ingest = Ingest { path: built.clone(), ingested, content_address: None, deriver: None };
        store.place(&out, &ingest).expect("placed");
        let above = super::referrer(&store, "above", &built);
        let row = ActionRow { outputs: BTreeMap::from([(OutputName::out(), built.clone())]) };
        store.set_action(key(), &row).expect("written");
        Self { place, source, referrer, flat: flat.expect("added"), built, above }
    }

    /// A copy of the home, as it is at this moment.
    fn copy(&self, name: &str) -> PathBuf {
        let to = self.place.path().join(name);
        let status = Command::new("cp").arg("-a").arg(self.place.path().join("home")).arg(&to).status();
        assert!(status.expect("cp runs").success());
        to
    }

    /// Everything that asks the database; each answers truly or says that it
    /// is damaged.
    fn ask_everything(&self, home: &Path, when: &str) {
        let store = match LocalStore::open(home) {
            Ok(store) => store,
            Err(error) => return assert_damage(home, &error, when),
        };
        let check = |result: Result<bool, StoreError>| match result {
            Ok(truth) => assert!(truth, "{when}: a wrong answer"),
            Err(error) => assert_damage(home, &error, when),
        };
        check(store.is_valid(&self.source));
        check(
            store
                .info(&self.referrer)
                .map(|info| info.is_none_or(|info| info.references == [self.source.clone()].into())),
        );
        check(
            store
                .info_by_hash_part(self.flat.hash_part())
                .map(|info| info.is_none_or(|info| info.path == self.flat)),
        );
        check(store.closure([&self.above]).map(|closure| closure.len() == 2));
        check(store.closure_paths([&self.referrer]).map(|closure| closure.len() == 2));
        check(store.all_paths().map(|paths| paths.len() == 305));
        check(store.actions().map(|rows| rows.len() == 1));
        check(store.action(key()).map(|row| row.is_none_or(|row| row.outputs.len() == 1)));
        check(store.usages().map(|_| true));
        check(store.objects().map(|objects| objects.contains(&self.built)));
        check(
            store
                .collect_garbage(GcRequest { dry_run: true, ..GcRequest::default() }, || ())
                .map(|c| c.removed.len() == 305),
        );
        check(store.touch([&self.source]).map(|()| true));
        check(store.sync().map(|()| true));
    }
}

fn key() -> ActionKey {
    ActionKey::from_digest([1; 32])
}

fn database(home: &Path) -> PathBuf {
    home.join("db.sqlite")
}

fn assert_damage(home: &Path, error: &StoreError, when: &str) {
    match error {
        StoreError::DamagedDatabase { path, .. } => assert_eq!(*path, database(home), "{when}"),
        other => panic!("{when}: another error: {}", osbuild_store::error::one_line(other)),
    }
}

fn overwrite(file: &Path, offset: u64, bytes: &[u8]) {
    let file = fs::File::options().write(true).open(file).expect("opened");
    file.write_all_at(bytes, offset).expect("written");
}

fn length(file: &Path) -> u64 {
    file.metadata().expect("it is there").len()
}

fn cut(file: &Path, length: u64) {
    fs::File::options().write(true).open(file).expect("opened").set_len(length).expect("cut");
}

const DAMAGES: &[(&str, Damage)] = &[
    ("missing", |home| fs::remove_file(database(home)).expect("removed")),
    ("nothing-left", |home| cut(&database(home), 0)),
    ("half-left", |home| cut(&database(home), length(&database(home)) / 2)),
    ("cut-within-the-first-page", |home| cut(&database(home), 1000)),
    ("cut-within-the-head", |home| cut(&database(home), 50)),
    ("last-page-cut-off", |home| cut(&database(home), length(&database(home)) - 4096)),
    ("first-page-garbage", |home| overwrite(&database(home), 0, &[0xa5; 4096])),
    ("first-page-garbage-behind-the-head", |home| overwrite(&database(home), 100, &[0xa5; 3900])),
    ("first-page-zeros-behind-the-head", |home| overwrite(&database(home), 100, &[0; 3996])),
    ("a-text", |home| fs::write(database(home), "Dear diary,\n".repeat(1000)).expect("written")),
    ("a-short-text", |home| fs::write(database(home), "x").expect("written")),
    ("of-another-program", |home| {
        fs::remove_file(database(home)).expect("removed");
        let other = rusqlite::Connection::open(database(home)).expect("opened");
        other.execute_batch("CREATE TABLE notes (text TEXT); PRAGMA user_version = 2;").expect("made");
    }),
    ("with-a-negative-layout", |home| {
        rusqlite::Connection::open(database(home))
            .expect("opened")
            .execute_batch("PRAGMA user_version = -1")
            .expect("set");
    }),
    ("with-paths-that-are-none", |home| {
        let other = rusqlite::Connection::open(database(home)).expect("opened");
        other.execute_batch("UPDATE objects SET path = 'x' || path WHERE path LIKE '%-many'").expect("set");
    }),
];

#[test]
fn a_damaged_database_is_named_and_made_anew() {
    let fixture = Fixture::new();
    for (when, damage) in DAMAGES {
        let home = fixture.copy(when);
        damage(&home);
        fixture.ask_everything(&home, when);
        let error = LocalStore::open(&home).and_then(|store| store.verify(&mut |_, _| ()).map(|_| ()));
        assert_damage(&home, &error.expect_err(when), when);

        let rebuilt = LocalStore::rebuild(&home).expect(when).expect(when);
        assert_eq!((rebuilt.kept, rebuilt.unknown), (303, 2), "{when}");
        assert_eq!(rebuilt.aside, home.join("db.sqlite.damaged-1"), "{when}");
        let store = LocalStore::open(&home).expect(when);
        assert_sound(&store, when);
        assert!(!store.is_valid(&fixture.built).expect(when), "{when}: nothing vouches for it");
        assert!(!store.is_valid(&fixture.above).expect(when), "{when}: what it refers to is not there");
        let info = store.info(&fixture.referrer).expect(when).expect(when);
        assert_eq!(info.references, BTreeSet::from([fixture.source.clone()]), "{when}");
        assert!(store.is_valid(&fixture.flat).expect(when), "{when}");
        assert_eq!(source(&store, "source", "a source"), fixture.source);
        assert!(LocalStore::rebuild(&home).expect(when).is_none(), "{when}: once is enough");
    }
}

/// Every page of the file in turn, by what disks and bugs leave there.
#[test]
fn garbage_in_any_page_is_no_answer() {
    let fixture = Fixture::new();
    let template = fixture.copy("template");
    let original = fs::read(database(&template)).expect("read");
    for garbage in [[0xa5_u8; 4096], [0; 4096], *b"text".repeat(1024).first_chunk().expect("as long")] {
        for page in 1..original.len() / 4096 {
            let when = format!("page {page} of {:02x}", garbage[0]);
            fs::write(database(&template), &original).expect("written");
            for suffix in ["-wal", "-shm"] {
                let _ = fs::remove_file(template.join(format!("db.sqlite{suffix}")));
            }
            overwrite(&database(&template), page as u64 * 4096, &garbage);
            fixture.ask_everything(&template, &when);
            let error =
                LocalStore::open(&template).and_then(|store| store.verify(&mut |_, _| ()).map(|_| ()));
            assert_damage(&template, &error.expect_err(&when), &when);
        }
    }
    assert!(original.len() / 4096 > 10, "the file has pages of every kind");
}

/// The log and its index belong to the last moments: without them the store is
/// as it was some moments ago.
#[test]
fn a_damaged_log_costs_the_last_moments_only() {
    let fixture = Fixture::new();
    let home = fixture.place.path().join("home");
    let store = LocalStore::open(&home).expect("opened");
    let late = source(&store, "late", "only in the log");
    fn wal(home: &Path) -> PathBuf {
        home.join("db.sqlite-wal")
    }
    fn shm(home: &Path) -> PathBuf {
        home.join("db.sqlite-shm")
    }
    assert!(length(&wal(&home)) > 0, "the log is in use");
    let cases: [(&str, Damage); 9] = [
        ("untouched", |_| ()),
        ("log-missing", |home| fs::remove_file(wal(home)).expect("removed")),
        ("log-empty", |home| cut(&wal(home), 0)),
        ("log-cut", |home| cut(&wal(home), length(&wal(home)) / 2 + 7)),
        ("log-of-text", |home| fs::write(wal(home), "Dear diary,\n".repeat(1000)).expect("written")),
        ("log-overwritten", |home| overwrite(&wal(home), length(&wal(home)) / 2, &[0xa5; 3000])),
        ("index-missing", |home| fs::remove_file(shm(home)).expect("removed")),
        ("index-of-garbage", |home| overwrite(&shm(home), 0, &[0xa5; 32768])),
        ("index-empty", |home| cut(&shm(home), 0)),
    ];
    for (when, damage) in cases {
        let home = fixture.copy(when);
        damage(&home);
        let store = LocalStore::open(&home).expect(when);
        assert_sound(&store, when);
        assert!(store.is_valid(&fixture.source).expect(when), "{when}: what is no news stays");
        let keeps_news = !when.starts_with("log-");
        assert!(store.is_valid(&late).expect(when) || !keeps_news, "{when}: the news are lost");
        assert_eq!(source(&store, "late", "only in the log"), late, "{when}");
        assert_sound(&store, when);
    }
}

#[test]
fn a_newer_layout_is_refused_and_an_older_one_kept() {
    let fixture = Fixture::new();
    let newer = fixture.copy("newer");
    let set = |home: &Path, text: &str| {
        rusqlite::Connection::open(database(home)).expect("opened").execute_batch(text).expect("set");
    };
    set(&newer, "PRAGMA user_version = 99");
    for _ in 0..2 {
        let error = LocalStore::open(&newer).expect_err("newer");
        assert!(
            matches!(&error, StoreError::Newer { path, found: 99, .. } if *path == database(&newer)),
            "{error}"
        );
        assert!(LocalStore::rebuild(&newer).is_err(), "a newer one is not damaged");
    }
    let older = fixture.copy("older");
    set(&older, "DROP TABLE usage; PRAGMA user_version = 1");
    let store = LocalStore::open(&older).expect("opened");
    assert_eq!(store.all_paths().expect("listed").len(), 305);
    assert_eq!(store.actions().expect("listed").len(), 1);
    store.note_usage("x", &Usage { wall_ms: 1, processes: None }, b"").expect("noted");
    assert_sound(&store, "older");
}

/// The third layout knew no signatures. Several processes meet such a store at
/// the same time; what it holds stays.
#[test]
fn the_third_layout_is_brought_up_to_date() {
    let fixture = Fixture::new();
    let home = fixture.copy("third");
    let text = "DROP TABLE signatures; PRAGMA user_version = 3";
    rusqlite::Connection::open(database(&home)).expect("opened").execute_batch(text).expect("set");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| LocalStore::open(&home).expect("opened"));
        }
    });
    let store = LocalStore::open(&home).expect("opened");
    assert_eq!(store.all_paths().expect("listed").len(), 305);
    assert_eq!(store.actions().expect("listed").len(), 1);
    let info = store.info(&fixture.built).expect("asked").expect("it is there");
    assert!(info.signatures.is_empty());
    assert_sound(&store, "third");

    let signature =
        SecretKey::generate("k").expect("made").sign(info.fingerprint(store.store_dir()).as_bytes());
    let signatures = BTreeSet::from([signature]);
    store.forget(&fixture.built).expect("forgotten");
    let scratch = store.scratch("test").expect("scratch");
    let out = scratch.path().join("out");
    fs::write(&out, "built").expect("written");
    let ingested = store.ingest(&out, []).expect("ingested");
    let ingest = Ingest { path: fixture.built.clone(), ingested, content_address: None, deriver: None };
    store.place_signed(&out, &ingest, signatures.clone()).expect("placed");
    drop(store);
    let store = LocalStore::open(&home).expect("opened");
    assert_eq!(store.info(&fixture.built).expect("asked").expect("it is there").signatures, signatures);
}

/// Another program's objects are no sign of a lost database.
#[test]
fn a_new_store_beside_foreign_objects_is_no_damage() {
    let place = tempfile::tempdir().expect("a temporary directory");
    let objects = place.path().join("nix/store");
    fs::create_dir_all(objects.join("00000000000000000000000000000001-theirs")).expect("made");
    let store_dir = osbuild_store::StoreDir::new(objects.to_str().expect("UTF-8"));
    let layout = osbuild_store::local::Layout::in_place(store_dir, &place.path().join("state"));
    let store = LocalStore::open_at(&layout).expect("opened");
    source(&store, "ours", "beside theirs");
    assert_sound(&store, "beside");
}

#[test]
fn repair_left_referrers_of_what_it_dropped() {
    let fixture = Fixture::new();
    let home = fixture.place.path().join("home");
    let store = LocalStore::open(&home).expect("opened");
    let top = referrer(&store, "top", &fixture.referrer);
    osbuild_store::local::remove_tree(&store.physical(&fixture.source)).expect("removed");
    let verified = store.verify(&mut |_, _| ()).expect("verified");
    assert_eq!(verified.problems.len(), 1);
    assert_eq!(store.repair(&verified).expect("repaired"), 3);
    assert_sound(&store, "repaired");
    assert!(!store.is_valid(&top).expect("asked") && store.is_valid(&fixture.flat).expect("asked"));
}
