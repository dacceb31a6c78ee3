//! Downloads from a server on loopback that misbehaves in known ways.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

use osbuild_core::fetch::download::Silent;
use osbuild_core::fetch::lock::update::{Served, Wanted, check, export};
use osbuild_core::fetch::lock::{Entry, Lock, Request};
use osbuild_core::fetch::{FetchConfig, FetchError, Fetcher};
use osbuild_store::{HashAlgorithm, NixHash};

const BODY: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyz";

/// Answers requests by path; remembers them with their `Range`.
struct Server {
    address: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let seen = Arc::clone(&seen);
                std::thread::spawn(move || serve(stream, &seen));
            }
        });
        Self { address, requests }
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

fn serve(mut stream: TcpStream, seen: &Mutex<Vec<String>>) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
    let Some(request) = lines.next() else { return };
    let mut start = 0;
    for line in lines.by_ref() {
        if line.is_empty() {
            break;
        }
        if let Some(range) = line.to_lowercase().strip_prefix("range: bytes=") {
            start = range.trim_end_matches('-').parse().unwrap();
        }
    }
    let mut words = request.split(' ');
    let (method, path) = (words.next().unwrap().to_owned(), words.next().unwrap().to_owned());
    let record = format!("{path} {start}");
    let times = {
        let mut seen = seen.lock().unwrap();
        seen.push(record);
        seen.iter().filter(|r| r.starts_with(&path)).count()
    };
    let (status, body, sent): (&str, &[u8], usize) = match path.as_str() {
        "/gone" => ("404 Not Found", b"", 0),
        "/busy" if times < 3 => ("503 Service Unavailable", b"", 0),
        "/cut" if times == 1 => ("200 OK", BODY, 10),
        "/cut" => ("206 Partial Content", &BODY[start..], BODY.len() - start),
        "/range" if start > 0 => ("206 Partial Content", &BODY[start..], BODY.len() - start),
        "/whole-again" if times == 1 => ("200 OK", BODY, 10),
        "/evil" => ("200 OK", b"something else", 14),
        _ => ("200 OK", BODY, BODY.len()),
    };
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    let _ = stream.write_all(head.as_bytes());
    if method != "HEAD" {
        let _ = stream.write_all(&body[..sent]);
    }
}

fn fetcher(cache: &Path, mirrors: &[(&str, &str)], sources: &[&str]) -> Fetcher {
    let mirrors: BTreeMap<String, Vec<String>> = mirrors
        .iter()
        .map(|(name, bases)| ((*name).to_owned(), bases.split(' ').map(str::to_owned).collect()))
        .collect();
    let sources = sources.iter().map(|s| (*s).to_owned()).collect();
    Fetcher::new(FetchConfig { mirrors, sources, cache: cache.to_owned(), ..FetchConfig::default() })
}

fn expected() -> NixHash {
    NixHash::of(HashAlgorithm::Sha256, BODY)
}

/// Fetches and checks that the file is there, whole, and no scratch is left.
fn fetch(fetcher: &Fetcher, urls: &[&str]) -> Result<(), FetchError> {
    let place = tempfile::tempdir().unwrap();
    let urls: Vec<String> = urls.iter().map(|url| (*url).to_owned()).collect();
    let at = place.path().join("file");
    fetcher.fetch("the file", &urls, &expected(), &at, &Silent)?;
    assert_eq!(std::fs::read(&at).unwrap(), BODY);
    Ok(())
}

#[test]
fn a_broken_transfer_is_resumed_where_it_ended() {
    let (server, cache) = (Server::start(), tempfile::tempdir().unwrap());
    let fetcher = fetcher(cache.path(), &[], &[]);
    fetch(&fetcher, &[&format!("{}/cut", server.address)]).unwrap();
    assert_eq!(server.requests(), ["/cut 0", "/cut 10"]);
}

#[test]
fn a_server_that_cannot_resume_is_asked_for_all_of_it() {
    let (server, cache) = (Server::start(), tempfile::tempdir().unwrap());
    let fetcher = fetcher(cache.path(), &[], &[]);
    fetch(&fetcher, &[&format!("{}/whole-again", server.address)]).unwrap();
    assert_eq!(server.requests(), ["/whole-again 0", "/whole-again 10"]);
}

#[test]
fn what_an_earlier_run_left_is_gone_on_from_and_never_believed() {
    let (server, cache) = (Server::start(), tempfile::tempdir().unwrap());
    let fetcher = fetcher(cache.path(), &[], &[]);
    let partial = cache.path().join("partial");
    std::fs::create_dir(&partial).unwrap();
    std::fs::write(partial.join(expected().to_hex()), &BODY[..10]).unwrap();
    fetch(&fetcher, &[&format!("{}/range", server.address)]).unwrap();
    assert_eq!(server.requests(), ["/range 10"]);

    std::fs::write(partial.join(expected().to_hex()), b"other file").unwrap();
    fetch(&fetcher, &[&format!("{}/range", server.address)]).unwrap();
    assert_eq!(server.requests(), ["/range 10", "/range 10", "/range 0"]);
}

#[test]
fn a_busy_server_is_asked_again() {
    let (server, cache) = (Server::start(), tempfile::tempdir().unwrap());
    fetch(&fetcher(cache.path(), &[], &[]), &[&format!("{}/busy", server.address)]).unwrap();
    assert_eq!(server.requests().len(), 3);
}

#[test]
fn the_next_place_is_tried_and_a_missing_file_is_not_asked_for_twice() {
    let (server, cache) = (Server::start(), tempfile::tempdir().unwrap());
    let (gone, good) = (format!("{}/gone", server.address), format!("{}/good", server.address));
    let fetcher = fetcher(cache.path(), &[], &[]);
    fetch(&fetcher, &[&gone, &good]).unwrap();
    assert_eq!(server.requests(), ["/gone 0", "/good 0"]);
    let error = fetch(&fetcher, &[&gone]).unwrap_err();
    assert!(matches!(&error, FetchError::Gone { attempts, .. } if attempts[0].contains("404")), "{error}");
}

#[test]
fn wrong_bytes_never_count_and_both_hashes_are_named() {
    let (server, cache) = (Server::start(), tempfile::tempdir().unwrap());
    let (evil, good) = (format!("{}/evil", server.address), format!("{}/good", server.address));
    let fetcher = fetcher(cache.path(), &[], &[]);
    let error = fetch(&fetcher, &[&evil]).unwrap_err();
    let actual = NixHash::of(HashAlgorithm::Sha256, b"something else");
    assert_eq!(error.to_string(), format!("hash mismatch for {evil}: expected {}, got {actual}", expected()));
    fetch(&fetcher, &[&evil, &good]).unwrap();
    let partial: Vec<_> = cache.path().join("partial").read_dir().unwrap().collect();
    assert!(partial.is_empty(), "{partial:?}");
}

#[test]
fn mirrors_are_named_in_the_configuration() {
    let (server, cache) = (Server::start(), tempfile::tempdir().unwrap());
    let bases = format!("{0}/first/ {0}/second", server.address);
    let fetcher = fetcher(cache.path(), &[("mine", &bases)], &[]);
    fetch(&fetcher, &["mirror://mine/a/b"]).unwrap();
    assert_eq!(server.requests(), ["/first/a/b 0"]);
    let error = fetch(&fetcher, &["mirror://other/a"]).unwrap_err();
    assert!(matches!(&error, FetchError::NoMirror { name } if name == "other"), "{error}");
}

#[test]
fn mirrors_by_hash_come_first() {
    let (server, cache) = (Server::start(), tempfile::tempdir().unwrap());
    let directory = tempfile::tempdir().unwrap();
    let fetcher = fetcher(cache.path(), &[], &[directory.path().to_str().unwrap()]);
    let good = format!("{}/good", server.address);
    fetch(&fetcher, &[&good]).unwrap();
    assert_eq!(server.requests(), ["/good 0"]);

    // A mirror by hash is what export fills; from then on no server is asked.
    let wanted = [Wanted { what: "the file".into(), url: good.clone(), sha256: expected().to_hex() }];
    assert_eq!(export(&fetcher, &wanted, directory.path(), &Silent).unwrap(), 1);
    assert_eq!(export(&fetcher, &wanted, directory.path(), &Silent).unwrap(), 0);
    fetch(&fetcher, &["mirror://nowhere/x"]).unwrap();
    assert_eq!(server.requests(), ["/good 0", "/good 0"]);

    // It is believed no more than any other place.
    std::fs::write(directory.path().join(expected().to_hex()), "changed").unwrap();
    fetch(&fetcher, &[&good]).unwrap();
    assert_eq!(server.requests().len(), 3);
}

#[test]
fn pins_that_are_served_no_more_are_found() {
    let (server, cache) = (Server::start(), tempfile::tempdir().unwrap());
    let fetcher = fetcher(cache.path(), &[("debian", &server.address)], &[]);
    let entry = |path: &str| Entry {
        name: path.to_owned(),
        version: "1".to_owned(),
        path: path.to_owned(),
        sha256: expected().to_hex(),
        size: 1,
    };
    let lock = Lock {
        schema: 1,
        mirror: None,
        suite: "s".to_owned(),
        index_date: String::new(),
        request: Request::default(),
        entries: vec![entry("good"), entry("gone")],
    };
    assert_eq!(check(&fetcher, &lock).unwrap(), [Served::Yes, Served::No]);
}

#[test]
fn lock_files_are_written_as_they_are_read() {
    let locks = Path::new(env!("CARGO_MANIFEST_DIR")).join("../recipes/locks");
    let mut count = 0;
    for entry in locks.read_dir().unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let text = std::fs::read_to_string(&path).unwrap();
            assert_eq!(
                Lock::read(&path).unwrap().to_text().trim_end(),
                text.trim_end(),
                "{}",
                path.display()
            );
            count += 1;
        }
    }
    assert!(count > 0);
}
