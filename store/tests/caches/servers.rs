//! Caches behind web servers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use osbuild_store::cache::{Access, BinaryCache, CacheError};

use crate::fixture::Fixture;
use crate::server::{Fault, Server};

/// A published closure behind a server with a fault.
fn behind(fault: Fault) -> (Fixture, Server, osbuild_store::StorePath) {
    let fixture = Fixture::new();
    let program = fixture.program();
    let cache = BinaryCache::at(fixture.cache().to_str().unwrap(), &Access::default()).unwrap();
    // Not compressed, so that there is something to break off.
    let keys = fixture.signed();
    let publisher = osbuild_store::cache::Publisher::new(&fixture.from, &cache, &keys, 2);
    let publisher = publisher.compressed(osbuild_store::narinfo::Compression::None, None);
    publisher.publish(&[program.clone()].into(), &|| false).unwrap();
    let server = Server::start(&fixture.cache(), fault);
    (fixture, server, program)
}

#[test]
fn objects_come_in_spite_of_faults() {
    for fault in [
        Fault::None,
        Fault::BreaksOff { after: 100_000 },
        Fault::BreaksOffWithoutRanges { after: 50_000 },
        Fault::Busy { times: 2 },
    ] {
        let (fixture, server, program) = behind(fault);
        let fetched = fixture.fetch(&fixture.substituters(&[&server.address]), &program);
        assert_eq!(fetched.unwrap().len(), 2, "{fault:?}: {:?}", server.requests());
        fixture.check();
        if let Fault::BreaksOff { after } = fault {
            let resumed = server.requests().iter().filter(|request| request.contains(" from ")).count();
            assert_eq!(resumed, 3, "300 kB in parts of {after}: {:?}", server.requests());
        }
    }
}

#[test]
fn what_cannot_come_is_given_up() {
    for (fault, reason) in [
        (Fault::WrongRange { after: 100_000 }, "another part than was asked for"),
        (Fault::LongLength, "end of file before message length reached"),
        (Fault::Redirects, "redirect"),
    ] {
        let (fixture, server, program) = behind(fault);
        let error = fixture.fetch(&fixture.substituters(&[&server.address]), &program).unwrap_err();
        let mut text = error.to_string();
        let mut cause: &dyn std::error::Error = &error;
        while let Some(source) = cause.source() {
            text.push_str(&format!(": {source}"));
            cause = source;
        }
        assert!(text.contains(reason), "{fault:?}: {text}");
        fixture.check();
        assert!(!fixture.to.is_valid(&program).unwrap());
    }
}

#[test]
fn a_server_that_is_down_is_asked_no_more() {
    let (fixture, server, program) = behind(Fault::Down);
    let substituters = fixture.substituters(&[&server.address]);
    assert!(fixture.fetch(&substituters, &program).unwrap().is_empty());
    assert!(fixture.warned_of("500 Internal Server Error"));
    let asked = server.requests().len();
    assert!(fixture.fetch(&substituters, &program).unwrap().is_empty());
    assert_eq!(server.requests().len(), asked);
    // Another one takes its place.
    let address = fixture.cache().to_str().unwrap().to_owned();
    let both = fixture.substituters(&[&server.address, &address]);
    assert_eq!(fixture.fetch(&both, &program).unwrap().len(), 2);
    fixture.check();
}

#[test]
fn waiting_for_a_silent_server_can_be_interrupted() {
    let (fixture, server, program) = behind(Fault::Silent);
    let interrupted = AtomicBool::new(false);
    let began = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !server.requests().iter().any(|request| request.contains("/nar/")) {
                std::thread::sleep(Duration::from_millis(10));
            }
            interrupted.store(true, Ordering::Relaxed);
        });
        let substituters = fixture.substituters(&[&server.address]);
        let cancelled = || interrupted.load(Ordering::Relaxed);
        let error = fixture.fetch_while(&substituters, &program, &cancelled).unwrap_err();
        let interrupted = osbuild_store::cache::place::PlaceError::Interrupted;
        assert_eq!(error.to_string(), CacheError::Place(interrupted).to_string());
    });
    assert!(began.elapsed() < Duration::from_secs(30));
    fixture.check();
}

#[test]
fn a_server_that_takes_files_can_be_published_to() {
    let fixture = Fixture::new();
    let program = fixture.program();
    std::fs::create_dir(fixture.cache()).unwrap();
    let server = Server::start(&fixture.cache(), Fault::None);
    let cache = BinaryCache::at(&server.address, &Access::default()).unwrap();
    let published = fixture.publish_to(&cache, &[&program], &fixture.signed()).unwrap();
    assert_eq!(published.sent.len(), 2);
    assert_eq!(fixture.fetch(&fixture.substituters(&[&server.address]), &program).unwrap().len(), 2);
    fixture.check();
}

#[test]
fn a_store_is_a_cache_for_others() {
    let fixture = Fixture::new();
    let (program, source) = (fixture.program(), fixture.source("text"));
    let store = Arc::new(osbuild_store::LocalStore::open(fixture.from.home()).unwrap());
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let server = osbuild_store::cache::StoreServer::new(store, fixture.signed(), 30);
        let served = scope.spawn(|| server.run(listener, || stop.load(Ordering::Relaxed), |_| ()));
        assert_eq!(fixture.fetch(&fixture.substituters(&[&address]), &program).unwrap().len(), 2);
        // Through a server that breaks off, the rest is asked for.
        fixture.check();
        if let Some(mut nix) = crate::judge::judge("nix") {
            nix.env("NIX_CONFIG", "experimental-features = nix-command").env("HOME", fixture.path());
            nix.env("NIX_REMOTE", "dummy://");
            let key = fixture.key.public().to_string();
            let paths = [&program, &source].map(|path| fixture.from.store_dir().display(path));
            nix.args(["store", "verify", "--store", &address, "--option", "trusted-public-keys", &key]);
            crate::judge::passes(nix.args(paths));
        }
        let client = reqwest::blocking::Client::new();
        for name in
            ["", "../../etc/passwd", "nar/", "nar/x-y.nar", "actions/00", "x.narinfo", "%2e%2e/db.sqlite"]
        {
            let answer = client.get(format!("{address}/{name}")).send().unwrap();
            assert_eq!(answer.status().as_u16(), 404, "{name}");
        }
        assert_eq!(client.put(format!("{address}/nar/x")).body("x").send().unwrap().status().as_u16(), 405);
        let text =
            client.get(format!("{address}/{}.narinfo", program.hash_part())).send().unwrap().text().unwrap();
        let url = text.lines().find_map(|line| line.strip_prefix("URL: ")).unwrap();
        let whole = client.get(format!("{address}/{url}")).send().unwrap().bytes().unwrap();
        let rest = client.get(format!("{address}/{url}")).header("Range", "bytes=50-").send().unwrap();
        assert_eq!(rest.status().as_u16(), 206);
        assert_eq!(rest.bytes().unwrap(), whole[50..]);
        stop.store(true, Ordering::Relaxed);
        served.join().unwrap().unwrap();
    });
}
