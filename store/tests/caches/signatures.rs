//! Signatures travel with what they vouch for.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use osbuild_store::cache::{Access, BinaryCache, Publisher, StoreServer};
use osbuild_store::signature::{SecretKey, Signature, Standing, TrustedKeys};
use osbuild_store::{LocalStore, StorePath};

use crate::fixture::Fixture;
use crate::judge::{judge, passes};

fn key(name: &str) -> SecretKey {
    SecretKey::generate(name).unwrap()
}

/// The names of the keys that signed an object, as a store has them.
fn kept(store: &LocalStore, path: &StorePath) -> Vec<String> {
    let info = store.info(path).unwrap().unwrap();
    info.signatures.iter().map(|signature| signature.key().to_owned()).collect()
}

/// The names of the keys that signed an object, as a cache has them.
fn published(cache: &Path, path: &StorePath) -> BTreeSet<String> {
    let text = std::fs::read_to_string(cache.join(format!("{}.narinfo", path.hash_part()))).unwrap();
    let signatures = text.lines().filter_map(|line| line.strip_prefix("Sig: "));
    signatures.map(|text| Signature::parse(text).unwrap().key().to_owned()).collect()
}

/// Publishes what another store fetched.
fn publish_from(store: &LocalStore, cache: &Path, path: &StorePath, keys: &[SecretKey]) {
    let cache = BinaryCache::at(cache.to_str().unwrap(), &Access::default()).unwrap();
    Publisher::new(store, &cache, keys, 2).publish(&[path.clone()].into(), &|| false).unwrap();
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn they_are_kept_and_passed_on_beside_our_own() {
    let fixture = Fixture::new();
    let program = fixture.program();
    fixture.publish(&[&program], &fixture.signed());
    assert!(kept(&fixture.from, &program).is_empty(), "what was made here has none");
    fixture.fetch_here(&program).unwrap();
    assert_eq!(kept(&fixture.to, &program), ["test-1"]);

    // On to caches: with a key, without one, and into one that has the object.
    for (name, keys, expected) in
        [("with", vec![key("ours")], names(&["ours", "test-1"])), ("without", vec![], names(&["test-1"]))]
    {
        let cache = fixture.path().join(name);
        publish_from(&fixture.to, &cache, &program, &keys);
        assert_eq!(published(&cache, &program), expected);
        // Whoever trusts the first key alone gets it from the second cache.
        let next = Fixture::new();
        let substituters = next.trusting(&[cache.to_str().unwrap()], &[fixture.key.public()]);
        assert_eq!(next.fetch(&substituters, &program).unwrap().len(), 2);
        assert_eq!(kept(&next.to, &program).len(), expected.len());
        next.check();
    }
    let cache = fixture.path().join("had-it");
    publish_from(&fixture.from, &cache, &program, &[]);
    assert!(published(&cache, &program).is_empty());
    publish_from(&fixture.to, &cache, &program, &[]);
    assert_eq!(published(&cache, &program), names(&["test-1"]));

    // What is removed leaves none behind for an object of the same name.
    fixture.to.forget(&program).unwrap();
    fixture.fetch(&fixture.trusting(&[cache.to_str().unwrap()], &[fixture.key.public()]), &program).unwrap();
    assert_eq!(kept(&fixture.to, &program), ["test-1"]);
    fixture.to.forget(&program).unwrap();
    let rows = rusqlite::Connection::open(fixture.to.home().join("db.sqlite")).unwrap().query_row(
        "SELECT count(*) FROM signatures WHERE path = ?1",
        [program.as_str()],
        |row| row.get(0),
    );
    assert_eq!(rows, Ok(0));
}

#[test]
fn a_store_serves_them_without_a_key_of_its_own() {
    let fixture = Fixture::new();
    let program = fixture.program();
    fixture.publish(&[&program], &fixture.signed());
    fixture.fetch_here(&program).unwrap();
    let store = Arc::new(LocalStore::open(fixture.to.home()).unwrap());
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let server = StoreServer::new(store, Vec::new(), 30);
        let served = scope.spawn(|| server.run(listener, || stop.load(Ordering::Relaxed), |_| ()));
        let next = Fixture::new();
        let fetched = next.fetch(&next.trusting(&[&address], &[fixture.key.public()]), &program);
        stop.store(true, Ordering::Relaxed);
        served.join().unwrap().unwrap();
        assert_eq!(fetched.unwrap().len(), 2);
        assert_eq!(kept(&next.to, &program), ["test-1"]);
    });
}

#[test]
fn one_that_does_not_hold_is_dropped_and_a_strangers_counts_for_nothing() {
    let fixture = Fixture::new();
    let program = fixture.program();
    fixture.publish(&[&program], &fixture.signed());
    let description = fixture.file(&format!("{}.narinfo", program.hash_part()));
    let text = std::fs::read_to_string(&description).unwrap();
    let (bent, stranger) = (key("test-1").sign(b"x"), key("stranger").sign(b"x"));
    std::fs::write(&description, format!("{text}Sig: {bent}\nSig: {stranger}\n")).unwrap();
    fixture.fetch_here(&program).unwrap();
    assert_eq!(kept(&fixture.to, &program), ["stranger", "test-1"]);
    let info = fixture.to.info(&program).unwrap().unwrap();
    assert!(!info.signatures.contains(&bent));
    let keys = TrustedKeys::from_iter([fixture.key.public()]);
    let signed = info.fingerprint(fixture.to.store_dir());
    let standing: Vec<Standing> =
        info.signatures.iter().map(|signature| keys.judge(signed.as_bytes(), signature)).collect();
    assert_eq!(standing, [Standing::Unknown, Standing::Verified]);

    // Passed on it convinces nobody, and those who trust that key least of all.
    let cache = fixture.path().join("next");
    publish_from(&fixture.to, &cache, &program, &[]);
    assert_eq!(published(&cache, &program), names(&["stranger", "test-1"]));
    let next = Fixture::new();
    let substituters = next.trusting(&[cache.to_str().unwrap()], &[key("stranger").public()]);
    assert!(next.fetch(&substituters, &program).unwrap().is_empty());
}

/// The cache had another list of references, and our key signed it.
#[test]
fn our_key_signs_what_we_know_and_not_what_the_cache_says() {
    let fixture = Fixture::new();
    let program = fixture.program();
    fixture.publish(&[&program], &[]);
    let description = fixture.file(&format!("{}.narinfo", program.hash_part()));
    let text = std::fs::read_to_string(&description).unwrap();
    let references = text.lines().find(|line| line.starts_with("References: ")).unwrap();
    for lie in
        [text.replace(references, &format!("References: {program}")), text.replace("NarSize: ", "NarSize: 1")]
    {
        assert_ne!(lie, text);
        std::fs::write(&description, lie).unwrap();
        fixture.publish(&[&program], &fixture.signed());
        let now = std::fs::read_to_string(&description).unwrap();
        assert!(now.starts_with(&text), "{now}");
    }
    assert_eq!(fixture.fetch_here(&program).unwrap().len(), 2);
    fixture.check();
}

/// From us to Nix, from Nix to its cache, from there to us, and on.
#[test]
fn nix_believes_the_first_signature_at_the_end_of_the_way() {
    let fixture = Fixture::new();
    let program = fixture.program();
    let logical = fixture.from.store_dir().display(&program);
    fixture.publish(&[&program], &fixture.signed());
    let Some(_) = judge("nix") else { return };
    let nix = |words: &[&str]| {
        let mut command = judge("nix").expect("it was there a moment ago");
        let settings = format!(
            "experimental-features = nix-command\nsubstituters =\nbuild-users-group =\ntrusted-public-keys = {}\n",
            fixture.key.public()
        );
        command.env("NIX_CONFIG", settings).env("HOME", fixture.path());
        command.env_remove("NIX_REMOTE").env_remove("NIX_PATH").args(words);
        command
    };
    let address = |name: &str| format!("file://{}", fixture.path().join(name).display());
    let local = format!("local?root={}", fixture.path().join("nix-root").display());
    passes(&mut nix(&["copy", "--from", &address("cache"), "--to", &local, &logical]));
    passes(&mut nix(&["copy", "--from", &local, "--to", &address("theirs"), &logical]));
    let theirs = fixture.path().join("theirs");
    fixture.fetch(&fixture.substituters(&[theirs.to_str().unwrap()]), &program).unwrap();
    assert_eq!(kept(&fixture.to, &program), ["test-1"]);

    let ours = key("ours");
    let public = ours.public().to_string();
    publish_from(&fixture.to, &fixture.path().join("last"), &program, &[ours]);
    let first = fixture.key.public().to_string();
    let verify = |needed: &str, keys: &str| {
        let words = ["store", "verify", "--store", &address("last"), "--recursive", "--sigs-needed", needed];
        let mut command = nix(&words);
        command.args(["--option", "trusted-public-keys", keys, &logical]);
        command
    };
    passes(&mut verify("1", &first));
    passes(&mut verify("1", &public));
    passes(&mut verify("2", &format!("{first} {public}")));
    for (needed, keys) in [("2", first.as_str()), ("1", "")] {
        assert!(!verify(needed, keys).output().unwrap().status.success(), "{needed} of '{keys}'");
    }
}
