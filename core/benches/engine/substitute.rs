//! Taking objects out of caches: a directory, and another machine's store over
//! HTTP, both uncompressed, until they are on the disk.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use osbuild_store::LocalStore;
use osbuild_store::store::{Ingestion, SourceSink};

use crate::bench::Bench;
use crate::files::{describe, write_tree};
use crate::measure::{Spread, in_turns, run, sync, wall};
use crate::nix::Nix;
use crate::table::{Row, Size, Target, number};

/// Of what copying the same bytes takes: what is limited by the disk or the
/// link takes little more.
const SHARE: f64 = 1.25;

/// Objects are trees of so many MiB.
const OBJECT_MEBIBYTES: usize = 16;

pub(crate) fn rows(bench: &Bench) -> Vec<Row> {
    let measured: Vec<[(Size, Spread); 2]> =
        bench.sizes(1024).into_iter().map(|mebibytes| measure(bench, mebibytes)).collect();
    let mut rows = Vec::new();
    for (index, (name, from, limit)) in [
        ("substitute-file", "a directory", "`cp` of the archives and sync"),
        ("substitute-http", "`osbuild store serve` over loopback", "the archives through a socket and sync"),
    ]
    .into_iter()
    .enumerate()
    {
        let (largest, copied) = &measured.last().expect("there are three")[index];
        let mebibytes = largest.items;
        let target = Target {
            what: format!("≤ {SHARE} × {limit} ({} ms)", number(copied.least())),
            is_met: largest.ours.least() <= SHARE * copied.least(),
        };
        rows.push(Row {
            name,
            what: format!(
                "{mebibytes} MiB in trees of {OBJECT_MEBIBYTES} out of {from}, until all is on the disk."
            ),
            item: "MiB",
            sizes: measured.iter().map(|sizes| clone(&sizes[index].0)).collect(),
            target: Some(target),
        });
    }
    rows
}

fn clone(size: &Size) -> Size {
    Size { items: size.items, nix: size.nix.clone(), ours: size.ours.clone() }
}

/// Out of a directory and over HTTP, each with what plain copying takes.
fn measure(bench: &Bench, mebibytes: usize) -> [(Size, Spread); 2] {
    let directory = bench.directory();
    let place = directory.path();
    let home = place.join("from");
    let count = mebibytes.div_ceil(OBJECT_MEBIBYTES);
    let paths = publish(bench, &home, count);
    let cache = place.join("cache");
    run(bench.ours(&home).args(["store", "copy", "--uncompressed", "--to"]).arg(&cache).args(&paths));
    let archives: Vec<PathBuf> = fs::read_dir(cache.join("nar"))
        .expect("it was just filled")
        .map(|entry| entry.expect("it is readable").path())
        .collect();
    let items = count * OBJECT_MEBIBYTES;

    let copy = |how: &dyn Fn(&Path)| {
        let copied = bench.directory();
        sync(place);
        wall(|| {
            how(copied.path());
            sync(place);
        })
    };
    let mut by_file = || copy(&|to| copy_files(&archives, to));
    let address = format!("file://{}", cache.display());
    let from_file = fetch(bench, items, &paths, (&address, cache.as_os_str().to_str()), &mut by_file);

    let server = Server::start(bench, &home);
    let mut by_socket = || copy(&|to| copy_through_socket(&archives, to));
    let from_http = fetch(bench, items, &paths, (&server.address, None), &mut by_socket);
    [from_file, from_http]
}

/// Fetches by Nix and by us, from an address as Nix knows it and maybe another
/// as we do, in turns with plain copying.
fn fetch(
    bench: &Bench,
    items: usize,
    paths: &[String],
    (address, ours_address): (&str, Option<&str>),
    copy: &mut dyn FnMut() -> f64,
) -> (Size, Spread) {
    let (mut home, mut root) = (bench.directory(), bench.directory());
    let mut theirs = || {
        root = bench.directory();
        let mut command = Nix::new(root.path()).command("nix");
        command.args(["copy", "--from", address]).args(paths);
        sync(root.path());
        wall(|| {
            run(&mut command);
            sync(root.path());
        })
    };
    let mut ours = || {
        home = bench.directory();
        let mut command = bench.ours(home.path());
        command.args(["store", "copy", "--from", ours_address.unwrap_or(address)]).args(paths);
        sync(home.path());
        wall(|| {
            // It syncs by itself; nothing is left to do then.
            run(&mut command);
            sync(home.path());
        })
    };
    let [nix, ours, copied] = in_turns(bench.rounds, [&mut theirs, &mut ours, copy]);
    for path in paths {
        let name = Path::new(path).file_name().unwrap_or_default();
        let hash = |tree: &Path| describe(tree).hash(Ingestion::Recursive).expect("it is readable");
        assert_eq!(
            hash(&home.path().join("store").join(name)),
            hash(&Nix::new(root.path()).objects().join(name))
        );
    }
    (Size { items, nix: Some(nix), ours }, copied)
}

/// A store of such trees; their paths.
fn publish(bench: &Bench, home: &Path, count: usize) -> Vec<String> {
    let store = LocalStore::open(home).expect("a store can be made");
    let mut paths = Vec::new();
    for index in 0..count {
        let trees = bench.directory();
        let tree = trees.path().join("tree");
        write_tree(&tree, OBJECT_MEBIBYTES, 100 + index as u64);
        let path = store.add_source("tree", &describe(&tree), Ingestion::Recursive);
        paths.push(store.store_dir().display(&path.expect("it can be added")));
    }
    paths
}

fn copy_files(files: &[PathBuf], to: &Path) {
    for file in files {
        fs::copy(file, to.join(file.file_name().expect("a file has a name"))).expect("the disk has room");
    }
}

/// What a link of this machine to itself can carry onto its disk.
fn copy_through_socket(files: &[PathBuf], to: &Path) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback is up");
    let address = listener.local_addr().expect("it is bound");
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let (mut peer, _) = listener.accept().expect("we connect below");
            let mut buffer = vec![0; 1 << 18];
            for file in files {
                let mut file = File::open(file).expect("it is readable");
                while let count @ 1.. = io::Read::read(&mut file, &mut buffer).expect("it is readable") {
                    peer.write_all(&buffer[..count]).expect("we read below");
                }
            }
        });
        let mut stream = TcpStream::connect(address).expect("somebody listens");
        let mut file = File::create(to.join("all")).expect("the directory is writable");
        let mut buffer = vec![0; 1 << 18];
        while let count @ 1.. = io::Read::read(&mut stream, &mut buffer).expect("it is sent above") {
            file.write_all(&buffer[..count]).expect("the disk has room");
        }
    });
}

/// A store served until dropped.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(bench: &Bench, home: &Path) -> Self {
        let mut command = bench.ours(home);
        command.args(["store", "serve", "--listen", "127.0.0.1:0"]).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        let mut lines = BufReader::new(child.stderr.take().expect("it was asked for")).lines();
        let line = lines.next().expect("it says where").expect("it is readable");
        let address = line.rsplit(' ').next().unwrap_or_default().to_owned();
        // It must not wait for somebody to read what it says.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, address }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
