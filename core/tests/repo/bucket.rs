//! A repository in a bucket of a server that is not ours: moto's, as Python's
//! package index has it. What it was asked for, and in which order, is read from
//! its own log. It takes whatever signature: those are judged in the store's
//! tests of caches, by another server.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use osbuild_core::repo::RepoError;
use osbuild_core::repo::mirror::{Copied, push};
use osbuild_core::repo::verify::{Report, Subject, verify};
use osbuild_store::cache::place::{Cancelled, Contents, Place, PlaceError, Reader};
use osbuild_store::cache::{Access, S3Keys, place_at};

use crate::fixture::Fixture;
use crate::judge::machine_judge;
use crate::judges::{answer, now};
use crate::release::Made;

const TIMESTAMP: &str = "metadata/timestamp.json";
/// Everybody may read files, and nobody but who has keys may list or write.
const READABLE: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":["s3:GetObject"],"Resource":["arn:aws:s3:::fleet/*"]}]}"#;
/// For the server to come up: it is a program in Python.
const PATIENCE: Duration = Duration::from_secs(120);

/// The server, with one bucket; it ends with this.
struct Bucket {
    server: Child,
    port: u16,
    log: PathBuf,
    _folder: tempfile::TempDir,
}

impl Bucket {
    /// `None`: the judge is not there.
    fn serve() -> Option<Self> {
        let program = machine_judge("moto_server", "OSBUILD_MOTO_SERVER")?;
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let server = Command::new(program)
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let bucket = Self { server, port, log, _folder: folder };
        let since = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(since.elapsed() < PATIENCE, "{}", fs::read_to_string(&bucket.log).unwrap());
            std::thread::sleep(Duration::from_millis(100));
        }
        for (path, body) in [("/fleet", ""), ("/fleet?policy", READABLE)] {
            let answer = bucket.puts_by_hand(path, body);
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        }
        Some(bucket)
    }

    /// One request by hand; the whole answer.
    fn puts_by_hand(&self, path: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        write!(
            stream,
            "PUT {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// As `repo push` is told of it, with keys.
    fn place(&self) -> Box<dyn Place> {
        let keys = S3Keys {
            access_key: "someone".to_owned(),
            secret_key: "a secret of theirs".to_owned(),
            session_token: None,
        };
        let access = Access { s3: Some(keys), ..Access::default() };
        let address = format!("s3://fleet/nodes?endpoint=http://127.0.0.1:{}&region=eu-central-1", self.port);
        place_at(&address, &access).unwrap()
    }

    /// Where nodes read it, without any key.
    fn address(&self) -> String {
        format!("http://127.0.0.1:{}/fleet/nodes", self.port)
    }

    /// The files that were put there, in the order of the server's log, from a
    /// line on.
    fn puts(&self, from: usize) -> Vec<String> {
        let log = fs::read_to_string(&self.log).unwrap();
        let name = |line: &str| {
            let (_, rest) = line.split_once("\"PUT /fleet/nodes/")?;
            Some(rest.split(['?', ' ']).next()?.to_owned())
        };
        log.lines().skip(from).filter_map(name).collect()
    }

    fn log_lines(&self) -> usize {
        fs::read_to_string(&self.log).unwrap().lines().count()
    }

    /// What nodes would make of it, and every byte.
    fn look(&self, fixture: &Fixture) -> Report {
        let root = fs::read(fixture.path().join("public/metadata/1.root.json")).unwrap();
        let place = place_at(&self.address(), &Access::default()).unwrap();
        let subject = Subject { place: place.as_ref(), directory: None, root: Some(root), is_partial: false };
        verify(&subject, now(), &|_| {}).unwrap()
    }
}

impl Drop for Bucket {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn pushes(fixture: &Fixture, to: &dyn Place) -> Result<Copied, RepoError> {
    let (repository, state) = fixture.open();
    push(&repository, &state, to, &|_| {})
}

/// Files are there before what names them, and only what is new is sent; then
/// nodes, and the reference client, read it without a key.
#[test]
fn a_bucket_gets_what_names_others_last() {
    let Some(bucket) = Bucket::serve() else { return };
    let fixture = Fixture::at(osbuild_core::repo::signer::Algorithm::Ed25519, None, now());
    fixture.publish(&Made::new("1.0.0", 1), now()).unwrap();
    let copied = pushes(&fixture, bucket.place().as_ref()).unwrap();
    let puts = bucket.puts(0);
    assert_eq!(puts.len(), copied.files);
    let kind = |name: &String| match name.as_str() {
        name if name.starts_with("targets/") => 0,
        name if name.ends_with(".root.json") => 1,
        TIMESTAMP => 4,
        name if name.ends_with(".snapshot.json") => 3,
        _ => 2,
    };
    let kinds: Vec<i32> = puts.iter().map(kind).collect();
    assert!(kinds.is_sorted(), "{puts:#?}");
    assert_eq!(puts.iter().filter(|name| *name == TIMESTAMP).count(), 1);
    assert!(bucket.look(&fixture).problems.is_empty(), "{:#?}", bucket.look(&fixture));

    let lines = bucket.log_lines();
    assert_eq!(pushes(&fixture, bucket.place().as_ref()).unwrap().files, 1);
    assert_eq!(bucket.puts(lines), [TIMESTAMP]);
    fixture.publish(&Made::new("1.1.0", 2), now()).unwrap();
    let lines = bucket.log_lines();
    pushes(&fixture, bucket.place().as_ref()).unwrap();
    let puts = bucket.puts(lines);
    assert!(puts.iter().all(|name| !name.contains(".1.0.0.root.squashfs")), "{puts:#?}");
    let report = bucket.look(&fixture);
    assert!(report.problems.is_empty() && report.releases.len() == 2, "{report:#?}");

    let Some(python) = machine_judge("python-with-tuf", "OSBUILD_PYTHON_TUF") else { return };
    let script = fixture.folder.path().join("client.py");
    fs::write(&script, include_str!("client.py")).unwrap();
    let folders = ["cache", "downloads"].map(|name| fixture.folder.path().join(name));
    folders.iter().for_each(|folder| fs::create_dir(folder).unwrap());
    let root = fixture.path().join("public/metadata/1.root.json");
    let mut client = Command::new(python);
    client.arg(&script).arg(&root).args(&folders);
    let said = answer(client.args([bucket.address().as_str(), "test.x86_64.1.1.0.manifest.json"])).unwrap();
    assert!(said.contains("root_hash"), "{said}");
}

/// A bucket whose writer dies after so many files.
#[derive(Debug)]
struct Cut<'a> {
    place: &'a dyn Place,
    left: AtomicUsize,
}

impl Place for Cut<'_> {
    fn address(&self) -> &str {
        self.place.address()
    }

    fn read(
        &self,
        name: &str,
        cancelled: &Cancelled<'_>,
        reader: &mut Reader<'_>,
    ) -> Result<bool, PlaceError> {
        self.place.read(name, cancelled, reader)
    }

    fn exists(&self, name: &str, cancelled: &Cancelled<'_>) -> Result<bool, PlaceError> {
        self.place.exists(name, cancelled)
    }

    fn put(&self, name: &str, contents: Contents<'_>, cancelled: &Cancelled<'_>) -> Result<(), PlaceError> {
        let spend = |left: usize| left.checked_sub(1);
        if self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, spend).is_err() {
            return Err(PlaceError::Interrupted);
        }
        self.place.put(name, contents, cancelled)
    }
}

/// Wherever a push ends, nodes see the old releases, whole, or the new ones; the
/// next push sends the rest.
#[test]
fn a_push_that_is_cut_is_finished_by_the_next() {
    let Some(bucket) = Bucket::serve() else { return };
    let fixture = Fixture::at(osbuild_core::repo::signer::Algorithm::Ed25519, None, now());
    fixture.publish(&Made::new("1.0.0", 1), now()).unwrap();
    pushes(&fixture, bucket.place().as_ref()).unwrap();
    fixture.publish(&Made::new("1.1.0", 2), now()).unwrap();
    let place = bucket.place();
    let mut sent = 0;
    loop {
        let cut = Cut { place: place.as_ref(), left: AtomicUsize::new(1) };
        let ended = pushes(&fixture, &cut);
        let report = bucket.look(&fixture);
        assert!(report.problems.is_empty(), "after {sent} files: {:#?}", report.problems);
        if ended.is_ok() {
            assert_eq!(report.releases.len(), 2);
            break;
        }
        assert_eq!(report.releases.len(), 1, "after {sent} files");
        sent += 1;
        assert!(sent < 100, "it does not come to an end");
    }
    assert!(sent > 5, "{sent}");
}

/// Who is behind changes nothing, and who lost what makes him newer is behind.
#[test]
fn a_newer_repository_in_a_bucket_is_left_alone() {
    let Some(bucket) = Bucket::serve() else { return };
    let fixture = Fixture::at(osbuild_core::repo::signer::Algorithm::Ed25519, None, now());
    fixture.publish(&Made::new("1.0.0", 1), now()).unwrap();
    let backup = fixture.folder.path().join("backup");
    let copied = Command::new("cp").arg("-r").arg(fixture.path()).arg(&backup).status().unwrap();
    assert!(copied.success());
    fixture.publish(&Made::new("1.1.0", 2), now()).unwrap();
    pushes(&fixture, bucket.place().as_ref()).unwrap();

    let lines = bucket.log_lines();
    let repository = osbuild_core::repo::tree::Repository::open(&backup).unwrap();
    let state = repository.state().unwrap();
    let error = push(&repository, &state, bucket.place().as_ref(), &|_| {}).unwrap_err();
    assert!(matches!(error, RepoError::Behind { .. }), "{error:?}");
    assert_eq!(bucket.puts(lines), [] as [&str; 0]);
    assert_eq!(bucket.look(&fixture).releases.len(), 2);
}
