//! What is published here arrives there.

use std::collections::BTreeMap;

use osbuild_store::action::{ActionKey, ActionRow, OutputName};
use osbuild_store::cache::{Access, BinaryCache, Publisher, Watch};
use osbuild_store::narinfo::Compression;
use osbuild_store::signature::SecretKey;

use crate::fixture::Fixture;

#[test]
fn a_closure_arrives_whole() {
    let fixture = Fixture::new();
    let program = fixture.program();
    let published = fixture.publish(&[&program], &fixture.signed());
    assert_eq!((published.sent.len(), published.present.len()), (2, 0));
    assert_eq!(fixture.fetch_here(&program).unwrap().len(), 2);
    fixture.check();
    let there = fixture.to.info(&program).unwrap().unwrap();
    let here = fixture.from.info(&program).unwrap().unwrap();
    assert_eq!((&there.nar_hash, &there.references), (&here.nar_hash, &here.references));
    assert!(there.references.contains(&program), "it refers to itself");
    // Nothing is sent or fetched twice.
    let again = fixture.publish(&[&program], &fixture.signed());
    assert_eq!((again.sent.len(), again.present.len()), (0, 2));
    assert!(fixture.fetch_here(&program).unwrap().is_empty());
    assert!(fixture.warnings.lock().unwrap().is_empty());
}

#[test]
fn every_compression_is_read() {
    for (compression, tool) in [
        (Compression::None, None),
        (Compression::Zstd, None),
        (Compression::Xz, Some(compress_xz as fn(&[u8]) -> Vec<u8>)),
        (Compression::Gzip, Some(compress_gzip as fn(&[u8]) -> Vec<u8>)),
    ] {
        let fixture = Fixture::new();
        let program = fixture.program();
        let cache = BinaryCache::at(fixture.cache().to_str().unwrap(), &Access::default()).unwrap();
        let keys = fixture.signed();
        let written = if tool.is_some() { Compression::None } else { compression };
        let publisher = Publisher::new(&fixture.from, &cache, &keys, 1).compressed(written, None);
        publisher.publish(&[program.clone()].into(), &|| false).unwrap();
        if let Some(compress) = tool {
            for entry in fixture.file("nar").read_dir().unwrap() {
                let file = entry.unwrap().path();
                let bytes = compress(&std::fs::read(&file).unwrap());
                std::fs::write(file.with_extension(format!("nar.{}", compression.name())), bytes).unwrap();
            }
            for entry in fixture.cache().read_dir().unwrap() {
                let file = entry.unwrap().path();
                if file.extension().is_some_and(|e| e == "narinfo") {
                    let text = std::fs::read_to_string(&file).unwrap();
                    let name = compression.name();
                    let text = text.replace(".nar\n", &format!(".nar.{name}\n"));
                    std::fs::write(&file, text.replace("Compression: none", &format!("Compression: {name}")))
                        .unwrap();
                }
            }
        }
        assert_eq!(fixture.fetch_here(&program).unwrap().len(), 2, "{compression:?}");
        fixture.check();
    }
}

fn compress_xz(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    std::io::copy(&mut liblzma::read::XzEncoder::new(bytes, 1), &mut out).unwrap();
    out
}

fn compress_gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    std::io::copy(&mut flate2::read::GzEncoder::new(bytes, flate2::Compression::fast()), &mut out).unwrap();
    out
}

#[test]
fn a_source_needs_no_signature_and_everything_else_does() {
    let fixture = Fixture::new();
    let (source, program) = (fixture.source("text"), fixture.program());
    fixture.publish(&[&source, &program], &[]);
    assert_eq!(fixture.fetch_here(&source).unwrap().len(), 1);
    assert!(fixture.fetch_here(&program).unwrap().is_empty());
    assert!(fixture.warned_of("no trusted key signed it"));
    fixture.check();
    // Once it is signed, that is noticed at once.
    fixture.publish(&[&program], &fixture.signed());
    assert_eq!(fixture.fetch_here(&program).unwrap().len(), 2);
    fixture.check();
}

#[test]
fn one_of_several_keys_is_enough() {
    let fixture = Fixture::new();
    let program = fixture.program();
    let other = SecretKey::generate("other").unwrap();
    let public = other.public();
    fixture.publish(&[&program], &[other]);
    let address = fixture.cache().to_str().unwrap().to_owned();
    assert!(fixture.fetch_here(&program).unwrap().is_empty());
    assert_eq!(
        fixture
            .fetch(&fixture.trusting(&[&address], &[fixture.key.public(), public]), &program)
            .unwrap()
            .len(),
        2
    );
}

#[test]
fn what_a_build_came_out_as_is_believed_if_signed() {
    let fixture = Fixture::new();
    let source = fixture.source("text");
    let row = ActionRow { outputs: BTreeMap::from([(OutputName::out(), source)]) };
    let cache = BinaryCache::at(fixture.cache().to_str().unwrap(), &Access::default()).unwrap();
    let address = fixture.cache().to_str().unwrap().to_owned();
    let substituters = fixture.substituters(&[&address]);
    let watch = Watch { cancelled: &|| false, warn: &|_| (), progress: &|_, _, _| () };
    for (digest, keys, believed) in [(1, fixture.signed(), true), (2, Vec::new(), false)] {
        let key = ActionKey::from_digest([digest; 32]);
        Publisher::new(&fixture.from, &cache, &keys, 1).publish_action(key, &row, &|| false).unwrap();
        let found = substituters.action(key, &watch).unwrap();
        assert_eq!(found.as_ref(), believed.then_some(&row));
    }
    // A row under another key is no row.
    std::fs::copy(
        fixture.file(&format!("actions/{}", ActionKey::from_digest([1; 32]))),
        fixture.file(&format!("actions/{}", ActionKey::from_digest([3; 32]))),
    )
    .unwrap();
    assert_eq!(substituters.action(ActionKey::from_digest([3; 32]), &watch).unwrap(), None);
}

#[test]
fn what_a_cache_lacks_is_not_asked_for_again_soon() {
    let fixture = Fixture::new();
    let program = fixture.program();
    std::fs::create_dir(fixture.cache()).unwrap();
    assert!(fixture.fetch_here(&program).unwrap().is_empty());
    fixture.publish(&[&program], &fixture.signed());
    assert!(fixture.fetch_here(&program).unwrap().is_empty(), "the absence is remembered");
    std::fs::remove_dir_all(fixture.path().join("memory")).unwrap();
    assert_eq!(fixture.fetch_here(&program).unwrap().len(), 2);
}

#[test]
fn the_lower_priority_number_is_asked_first() {
    let fixture = Fixture::new();
    let program = fixture.program();
    fixture.publish(&[&program], &fixture.signed());
    let first = fixture.path().join("first");
    std::fs::rename(fixture.cache(), &first).unwrap();
    std::fs::write(first.join("nix-cache-info"), "Priority: 10\n").unwrap();
    fixture.publish(&[&program], &fixture.signed());
    // Only the archives of the one that should be asked are there.
    std::fs::remove_dir_all(fixture.file("nar")).unwrap();
    let addresses = [fixture.cache().to_str().unwrap().to_owned(), first.to_str().unwrap().to_owned()];
    let substituters = fixture.substituters(&[&addresses[0], &addresses[1]]);
    assert_eq!(fixture.fetch(&substituters, &program).unwrap().len(), 2);
}
