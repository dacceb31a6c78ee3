//! An export that was handed in, beside a repository or without any. The
//! samples are what `core/tests/repo/handed_in.rs` wrote: `old.tar` has all of a
//! repository with one release, `new.tar` the second one of that repository.

use std::io::Write;
use std::net::TcpListener;
use std::path::PathBuf;

use osbuild_tuf::time::Time;

use super::*;

/// Before the samples expire, and after.
const VALID: Time = Time(4_000_000_000);
const TOO_LATE: Time = Time(4_000_000_000 + 400 * 86_400);

fn sample(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/samples")).join(name)
}

fn archive(name: &str) -> Arc<Archive> {
    Arc::new(Archive::open(&sample(name)).unwrap())
}

/// A node of its own, which remembers what it has seen.
pub(crate) struct Node {
    private: PathBuf,
    http: Http,
    pub(crate) line: Line,
}

impl Node {
    pub(crate) fn new(name: &str) -> Self {
        let private = std::env::temp_dir().join(format!("repository-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&private).unwrap();
        let patience = Patience { tries: 1, ..Patience::default() };
        let line = Line::new("stable", "test", "x86_64").unwrap();
        Self { private, http: Http::new(patience).unwrap(), line }
    }

    fn config(&self, epoch: Time, places: Vec<Url>) -> Config {
        let root = std::fs::read(sample("root.json")).unwrap();
        Config {
            root,
            channel: "stable".to_owned(),
            places,
            epoch,
            rebuilders: None,
            settings: Default::default(),
        }
    }

    fn import(&self, name: &str, epoch: Time) -> Result<Repository<'_>, String> {
        let config = self.config(epoch, Vec::new());
        Repository::of_archive(&self.http, &config, &archive(name), &self.line, &self.private)
    }

    pub(crate) fn open(&self, name: Option<&str>, places: Vec<Url>) -> Result<Repository<'_>, String> {
        let archive = name.map(archive);
        let config = self.config(VALID, places);
        Repository::open(&self.http, &config, archive.as_ref(), &self.line, &self.private)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.private);
    }
}

/// A mirror that has what is in a sample.
pub(crate) fn mirror(name: &'static str) -> Url {
    mirror_with(name, |_, _| {})
}

/// One that does something to what it serves.
pub(crate) fn mirror_with(name: &'static str, spoil: fn(&str, &mut Vec<u8>)) -> Url {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
    std::thread::spawn(move || {
        let archive = archive(name);
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut asked = Vec::new();
            let mut byte = [0];
            while !asked.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|count| count == 1) {
                asked.push(byte[0]);
            }
            let asked = String::from_utf8_lossy(&asked).into_owned();
            let path = asked.split(' ').nth(1).unwrap_or_default().trim_start_matches('/').to_owned();
            let whole = Part::From { start: 0, limit: u64::MAX };
            let (head, body) = match archive.open_part(&path, whole) {
                Some(stretch) => {
                    let mut bytes = Vec::new();
                    stretch.unwrap().read_to_end(&mut bytes).unwrap();
                    spoil(&path, &mut bytes);
                    ("200 OK", bytes)
                }
                None => ("404 Not Found", Vec::new()),
            };
            let length = body.len();
            let head = format!("HTTP/1.1 {head}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
        }
    });
    url
}

fn newest(repository: &Repository<'_>) -> u64 {
    repository.catalogue.releases.iter().map(|release| release.rollback_index).max().unwrap_or(0)
}

/// All bytes of a release's root, by two parts.
fn root_of(repository: &mut Repository<'_>, line: &Line, index: u64) -> Result<Vec<u8>, String> {
    let release = repository.catalogue.releases.iter().find(|release| release.rollback_index == index);
    let release = release.unwrap().clone();
    let name = repository.name(line, &release, "root.squashfs");
    let target = repository.target(&name)?.ok_or("no such target")?;
    let mut bytes = Vec::new();
    let middle = target.length / 2;
    for part in [Part::Exactly { start: 0, end: middle }, Part::Exactly { start: middle, end: target.length }]
    {
        let mut coming = repository.try_places(|place| {
            repository.open_target(place, &name, &target, part).map_err(|error| no_bytes(&name, &error))
        })?;
        coming.read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    }
    let mut judge = target.hashes.judge(&name).unwrap();
    judge.update(&bytes);
    judge.finish().map_err(|error| all_of(&error))?;
    Ok(bytes)
}

#[test]
fn a_node_without_a_network_follows_what_is_handed_in() {
    let node = Node::new("alone");
    let mut old = node.import("old.tar", VALID).unwrap();
    assert_eq!(newest(&old), 1);
    assert_eq!(root_of(&mut old, &node.line, 1).unwrap().len(), 40 * 4096);

    let mut new = node.import("new.tar", VALID).unwrap();
    assert_eq!(newest(&new), 2);
    let release = new.catalogue.releases.iter().find(|release| release.rollback_index == 2).unwrap().clone();
    assert_eq!(new.manifest(&node.line, &release).unwrap().version, "1.1.0");
    assert_eq!(root_of(&mut new, &node.line, 2).unwrap().len(), 40 * 4096);
    // The catalogue names the first one as well; its bytes are not in there.
    assert!(root_of(&mut new, &node.line, 1).unwrap_err().contains("the imported archive: it does not have"));
    assert!(new.archive_is_of_use(&node.line, 1).unwrap());
    assert!(!new.archive_is_of_use(&node.line, 2).unwrap());

    let error = node.import("old.tar", VALID).err().unwrap();
    assert!(error.contains("which was trusted before") && error.contains("export it again"), "{error}");
    let error = node.import("new.tar", TOO_LATE).err().unwrap();
    assert!(error.contains("expired at") && error.contains("set this node's clock right"), "{error}");
    let error = node.open(None, Vec::new()).err().unwrap();
    assert!(error.contains("nothing was imported"), "{error}");
}

#[test]
fn a_node_that_reaches_a_repository_is_not_held_back_by_an_archive() {
    let unreachable = Url::parse("http://127.0.0.1:1/").unwrap();
    let node = Node::new("unreachable");
    let mut repository = node.open(Some("new.tar"), vec![unreachable.clone()]).unwrap();
    assert_eq!((newest(&repository), repository.places.len()), (2, 1));
    root_of(&mut repository, &node.line, 2).unwrap();

    // The mirror is newer, the archive has what the mirror lacks.
    let node = Node::new("newer");
    let mut repository = node.open(Some("old.tar"), vec![unreachable, mirror("new.tar")]).unwrap();
    assert_eq!((newest(&repository), repository.places.len()), (2, 3));
    assert!(matches!(repository.places[0], Place::Archive(_)));
    root_of(&mut repository, &node.line, 1).unwrap();
    // So it is once the archive is older than what is known.
    assert_eq!(newest(&node.open(Some("old.tar"), vec![mirror("new.tar")]).unwrap()), 2);

    // The archive is newer: the mirror cannot set it back.
    let node = Node::new("older");
    let repository = node.open(Some("new.tar"), vec![mirror("old.tar")]).unwrap();
    assert_eq!((newest(&repository), repository.places.len()), (2, 1));
    let error = node.open(None, vec![mirror("old.tar")]).err().unwrap();
    assert!(error.contains("which was trusted before") && !error.contains("export it again"), "{error}");
}

#[test]
fn bytes_come_from_another_place_where_the_first_has_wrong_ones() {
    let node = Node::new("spoiled");
    let spoiled = mirror_with("old.tar", |path, bytes| {
        if path.ends_with("root.squashfs") {
            bytes[5000] ^= 1;
        }
    });
    let short = mirror_with("old.tar", |path, bytes| {
        if path.ends_with("root.squashfs") {
            bytes.truncate(5000);
        }
    });
    let root = |places: Vec<Url>| {
        let mut repository = node.open(None, places)?;
        let release = repository.catalogue.releases[0].clone();
        let name = repository.name(&node.line, &release, "root.squashfs");
        let target = repository.target(&name)?.unwrap();
        repository.whole(&name, &target)
    };
    let whole = root(vec![mirror("old.tar")]).unwrap();
    assert_eq!(root(vec![spoiled.clone(), short.clone(), mirror("old.tar")]).unwrap(), whole);
    let error = root(vec![spoiled.clone(), short.clone()]).unwrap_err();
    for (place, what) in [(spoiled, "root.squashfs"), (short, "5000 bytes, where 163840 are due")] {
        assert!(error.contains(&format!("{place}: ")) && error.contains(what), "{error}");
    }
}
