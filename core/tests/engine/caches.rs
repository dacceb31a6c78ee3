//! Outputs that come out of caches instead of builds.

use std::path::Path;

use osbuild_core::graph::{Engine, Wanted};
use osbuild_store::StorePath;
use osbuild_store::cache::{Access, BinaryCache, Publisher, Substituters};
use osbuild_store::signature::{PublicKey, SecretKey, TrustedKeys};

use crate::fixture::Fixture;

/// Base and top, built and published with their rows by `fixture`; top's path.
fn publish(fixture: &Fixture, cache: &Path, key: &SecretKey, only: Option<&str>) -> StorePath {
    let (base, top) = chain(fixture, "one");
    let paths = [("base", fixture.build(&base).unwrap()), ("top", fixture.build(&top).unwrap())];
    let cache = BinaryCache::at(cache.to_str().unwrap(), &Access::default()).unwrap();
    let keys = [SecretKey::parse(&key.to_text()).unwrap()];
    let publisher = Publisher::new(&fixture.store, &cache, &keys, 2);
    for (key, row) in fixture.store.actions().unwrap() {
        publisher.publish_action(key, &row, &|| false).unwrap();
    }
    for (name, path) in &paths {
        if only.is_none_or(|only| only == *name) {
            publisher.publish(&[path.clone()].into(), &|| false).unwrap();
        }
    }
    let [_, (_, top)] = paths;
    top
}

fn chain(fixture: &Fixture, comment: &str) -> (StorePath, StorePath) {
    let base = fixture.shell("base", &format!("# {comment}\necho base > $out"), &[]);
    let top = fixture.shell("top", "cat $input0 > $out", &[&base]);
    (base, top)
}

fn substituters(fixture: &Fixture, cache: &Path, keys: &[PublicKey]) -> Substituters {
    let cache = BinaryCache::at(cache.to_str().unwrap(), &Access::default()).unwrap();
    let keys = TrustedKeys::from_iter(keys.iter().cloned());
    let memory = fixture.store.home().join("cache");
    Substituters::new(vec![cache], keys, fixture.store.store_dir().clone(), &memory)
}

#[test]
fn what_another_built_is_taken_and_only_what_is_asked_for() {
    let (theirs, ours) = (Fixture::new(), Fixture::new());
    let place = tempfile::tempdir().unwrap();
    let key = SecretKey::generate("k").unwrap();
    let published = publish(&theirs, place.path(), &key, None);

    let substituters = substituters(&ours, place.path(), &[key.public()]);
    let engine = Engine { substituters: Some(&substituters), ..ours.engine() };
    let (base, top) = chain(&ours, "one");
    let wanted = [Wanted { derivation: top.clone(), outputs: None }];
    let forecast = engine.forecast(&|path| ours.lookup(path), &wanted).unwrap();
    assert_eq!((forecast.substitute, forecast.build, forecast.maybe), (vec![top.clone()], vec![], vec![]));

    assert_eq!(ours.build_with(&engine, &top).unwrap(), published);
    assert_eq!(ours.ran.take(), ["substitute top"]);
    // Nothing below it came, since nothing needs it.
    assert_eq!(ours.store.all_paths().unwrap().len(), 2, "the root and top");

    // A comment changed below: its step runs, and the rest is known.
    let (_, top) = chain(&ours, "two");
    assert_eq!(ours.build_with(&engine, &top).unwrap(), published);
    assert_eq!(ours.ran.take(), ["base"]);
    drop(base);
}

#[test]
fn what_nobody_trusted_signed_is_built() {
    let (theirs, ours) = (Fixture::new(), Fixture::new());
    let place = tempfile::tempdir().unwrap();
    let key = SecretKey::generate("k").unwrap();
    let published = publish(&theirs, place.path(), &key, None);
    let other = SecretKey::generate("k").unwrap().public();
    let substituters = substituters(&ours, place.path(), &[other]);
    let engine = Engine { substituters: Some(&substituters), ..ours.engine() };
    let (_, top) = chain(&ours, "one");
    assert_eq!(ours.build_with(&engine, &top).unwrap(), published);
    assert_eq!(ours.ran.take(), ["base", "top"]);
}

#[test]
fn a_part_that_a_cache_lacks_is_built() {
    let (theirs, ours) = (Fixture::new(), Fixture::new());
    let place = tempfile::tempdir().unwrap();
    let key = SecretKey::generate("k").unwrap();
    let published = publish(&theirs, place.path(), &key, Some("base"));
    let substituters = substituters(&ours, place.path(), &[key.public()]);
    let engine = Engine { substituters: Some(&substituters), ..ours.engine() };
    let (_, top) = chain(&ours, "one");
    assert_eq!(ours.build_with(&engine, &top).unwrap(), published);
    assert_eq!(ours.ran.take(), ["substitute base", "top"]);
}

#[test]
fn a_cache_that_lies_costs_a_build_and_nothing_else() {
    let (theirs, ours) = (Fixture::new(), Fixture::new());
    let place = tempfile::tempdir().unwrap();
    let key = SecretKey::generate("k").unwrap();
    let published = publish(&theirs, place.path(), &key, None);
    for entry in place.path().join("nar").read_dir().unwrap() {
        std::fs::write(entry.unwrap().path(), "no archive").unwrap();
    }
    let substituters = substituters(&ours, place.path(), &[key.public()]);
    let engine = Engine { substituters: Some(&substituters), ..ours.engine() };
    let (_, top) = chain(&ours, "one");
    assert_eq!(ours.build_with(&engine, &top).unwrap(), published);
    assert_eq!(ours.ran.take(), ["base", "top"]);
    assert!(ours.ran.warned_of("wrong archive"));
    assert!(ours.store.verify(&mut |_, _| ()).unwrap().problems.is_empty());
}
