//! Processes that are killed at every change that they make to the disk.
//!
//! Each operation runs in a child under ptrace, which counts the system calls
//! that change files and kills the child in front of the first one, then of
//! the second one, and so on until the child comes to its end. After each
//! kill the store has to be sound, hold what it held, and take the same
//! operation again. No test harness: the child is this program, and has one
//! thread.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use nix::sys::ptrace;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use osbuild_store::cache::{Access, BinaryCache, Publisher, Substituters, Watch};
use osbuild_store::local::{GcRequest, Ingest};
use osbuild_store::signature::TrustedKeys;
use osbuild_store::store::{Ingestion, SourceSink, SourceTree};
use osbuild_store::{LocalStore, StorePath};

/// What the child does in the store, before the whole of which it may be
/// killed at any point.
const OPERATIONS: &[(&str, Operation)] =
    &[("add", add), ("output", output), ("gc", gc), ("publish", publish), ("fetch", fetch)];

type Operation = fn(&Path);

fn main() {
    let words: Vec<String> = std::env::args().collect();
    if let [_, flag, name, place] = words.as_slice()
        && flag == "--child"
    {
        let (_, operation) = OPERATIONS.iter().find(|(known, _)| known == name).expect("a known operation");
        // Until it is traced.
        std::io::stdin().read_exact(&mut [0]).expect("a word to begin");
        return operation(Path::new(place));
    }
    for (name, _) in OPERATIONS {
        let template = tempfile::tempdir().expect("a temporary directory");
        prepare(template.path());
        let mut kills = 0;
        loop {
            let place = tempfile::tempdir().expect("a temporary directory");
            copy(template.path(), place.path());
            keep(place.path());
            match run(name, place.path(), kills + 1) {
                Ended::Finished => {
                    check(name, place.path(), "it was not killed");
                    break;
                }
                Ended::Killed(call) => {
                    kills += 1;
                    check(name, place.path(), &format!("killed before change {kills}, system call {call}"));
                }
            }
        }
        println!("{name}: sound after a kill in front of each of {kills} changes");
        assert!(kills > 10, "{name} changes files more often than that");
    }
}

fn store(place: &Path) -> LocalStore {
    LocalStore::open(&place.join("store")).expect("the store opens")
}

fn text(contents: &str) -> SourceTree {
    SourceTree::Bytes { contents: contents.into(), executable: false }
}

/// A tree with files that are equal, large and small.
fn tree() -> SourceTree {
    let members = [("a", "x".repeat(20_000)), ("b", "x".repeat(20_000)), ("c", "small".to_owned())];
    SourceTree::Directory(members.map(|(name, contents)| (name.into(), text(&contents))).into())
}

/// A store with an object that a root keeps, and two that nothing keeps, of
/// which one refers to the other; the same in a cache.
fn prepare(place: &Path) {
    let store = store(place);
    let kept = store.add_source("kept", &text("kept"), Ingestion::Recursive).expect("added");
    assert_eq!(kept.name(), "kept");
    let dead = store.add_source("dead", &tree(), Ingestion::Recursive).expect("added");
    store
        .add_text("referrer", store.store_dir().display(&dead).as_bytes(), &[dead.clone()].into())
        .expect("added");
    let other = LocalStore::open(&place.join("other")).expect("the store opens");
    let source = other.add_source("fetched", &tree(), Ingestion::Recursive).expect("added");
    let cache = BinaryCache::at(place.join("cache").to_str().expect("UTF-8"), &Access::default())
        .expect("a directory");
    Publisher::new(&other, &cache, &[], 1).publish(&[source].into(), &|| false).expect("published");
}

/// Links are absolute: each copy gets its own.
fn keep(place: &Path) {
    let store = store(place);
    let kept = store.all_paths().expect("listed").into_iter().find(|path| path.name() == "kept");
    store.add_root(&place.join("result"), &kept.expect("prepared")).expect("a root");
}

fn add(place: &Path) {
    store(place).add_source("added", &tree(), Ingestion::Recursive).expect("added");
}

/// What a build does with its output.
fn output(place: &Path) {
    let store = store(place);
    let scratch = store.scratch("build").expect("scratch").keep();
    let tree = scratch.join("out");
    fs::create_dir(&tree).expect("a directory");
    fs::write(tree.join("large"), "y".repeat(10_000)).expect("a file");
    fs::write(tree.join("equal"), "x".repeat(20_000)).expect("a file");
    let ingested = store.ingest(&tree, []).expect("ingested");
    let path = StorePath::new([5; 20], "built").expect("a name");
    store.place(&tree, &Ingest { path, ingested, content_address: None, deriver: None }).expect("placed");
    osbuild_store::local::remove_tree(&scratch).expect("removed");
    store.sync().expect("synced");
}

fn gc(place: &Path) {
    store(place).collect_garbage(GcRequest::default(), || ()).expect("collected");
}

fn publish(place: &Path) {
    let store = store(place);
    let roots: BTreeSet<StorePath> = store.all_paths().expect("listed");
    let cache = BinaryCache::at(place.join("new-cache").to_str().expect("UTF-8"), &Access::default())
        .expect("a directory");
    Publisher::new(&store, &cache, &[], 1).publish(&roots, &|| false).expect("published");
}

fn fetch(place: &Path) {
    let store = store(place);
    let cache = BinaryCache::at(place.join("cache").to_str().expect("UTF-8"), &Access::default())
        .expect("a directory");
    let memory = place.join("memory");
    let substituters =
        Substituters::new(vec![cache], TrustedKeys::default(), store.store_dir().clone(), &memory);
    let watch = Watch { cancelled: &|| false, warn: &|text| panic!("{text}"), progress: &|_, _, _| () };
    let found = substituters.find_closure(&store, &[fetched(&store)].into(), &watch).expect("found");
    assert!(store.is_valid(&fetched(&store)).expect("asked") || found.len() == 1);
    substituters.fetch(&store, &found, 1, &watch).expect("fetched");
}

fn fetched(store: &LocalStore) -> StorePath {
    let hash = tree().hash(Ingestion::Recursive).expect("hashed");
    store.store_dir().fixed_path("fetched", true, &hash, &BTreeSet::new(), false).expect("a name")
}

/// The promises after a crash: what was there is there, nothing is half
/// there, and the same can be done again.
fn check(name: &str, place: &Path, when: &str) {
    let store = store(place);
    let sound = |again: &str| {
        let verified = store.verify(&mut |_, _| ()).expect("verified");
        assert!(verified.problems.is_empty(), "{name}{again}, {when}: {:?}", verified.problems);
        let paths = store.all_paths().expect("listed");
        assert!(
            paths.iter().any(|path| path.name() == "kept"),
            "{name}{again}, {when}: what a root keeps is gone"
        );
        if name == "publish" {
            closed(&place.join("new-cache"), when);
        }
        paths
    };
    sound("");
    let (_, operation) = OPERATIONS.iter().find(|(known, _)| *known == name).expect("a known operation");
    operation(place);
    let paths = sound(" once more");
    let has = |name: &str| paths.iter().any(|path| path.name() == name);
    let done = match name {
        "add" => has("added"),
        "output" => has("built"),
        "gc" => paths.len() == 1,
        "publish" => published(&place.join("new-cache")) == 5,
        "fetch" => has("fetched"),
        _ => unreachable!("every operation is listed"),
    };
    assert!(done, "{name} once more, {when}: it did nothing");
    // What the killed process left is collected.
    store.collect_garbage(GcRequest::default(), || ()).expect("collected");
    let verified = store.verify(&mut |_, _| ()).expect("verified");
    assert!(verified.leftovers.is_empty(), "{name}, {when}: {:?} stays for ever", verified.leftovers);
    let scratch = fs::read_dir(store.home().join("build")).expect("listed").count();
    assert_eq!(scratch, 0, "{name}, {when}: scratch stays for ever");
}

/// Members of a cache; hidden files are what a killed process had begun.
fn published(cache: &Path) -> usize {
    let names = fs::read_dir(cache).expect("listed").map(|member| member.expect("listed").file_name());
    names.filter(|name| !name.as_encoded_bytes().starts_with(b".")).count()
}

/// Everything that a cache names is in it.
fn closed(cache: &Path, when: &str) {
    let Ok(members) = fs::read_dir(cache) else { return };
    for member in members {
        let file = member.expect("listed").path();
        if file.extension().is_none_or(|extension| extension != "narinfo") {
            continue;
        }
        let text = fs::read(&file).expect("a description is whole or not there");
        let info =
            osbuild_store::narinfo::NarInfo::parse(&text, &Default::default()).expect("a whole description");
        assert!(cache.join(&info.url).exists(), "{when}: an archive is missing");
        for reference in &info.references {
            let name = format!("{}.narinfo", reference.hash_part());
            assert!(cache.join(name).exists(), "{when}: {reference} is missing");
        }
    }
}

enum Ended {
    Finished,
    /// In front of this system call.
    Killed(i64),
}

/// Runs an operation and kills it in front of its `nth` change, counted from
/// one.
fn run(name: &str, place: &Path, nth: usize) -> Ended {
    let mut command = Command::new(std::env::current_exe().expect("a running program has a path"));
    command.arg("--child").arg(name).arg(place).stdin(Stdio::piped());
    #[expect(clippy::zombie_processes, reason = "whoever traces a child waits for it below")]
    let mut child = command.spawn().expect("the child starts");
    let pid = Pid::from_raw(child.id() as i32);
    let options = ptrace::Options::PTRACE_O_TRACESYSGOOD | ptrace::Options::PTRACE_O_EXITKILL;
    ptrace::seize(pid, options).expect("a child of ours can be traced");
    ptrace::interrupt(pid).expect("it stops");
    assert!(matches!(waitpid(pid, None), Ok(WaitStatus::PtraceEvent(..))), "it stopped");
    child.stdin.take().expect("it is piped").write_all(b"x").expect("the child waits for it");
    // It stopped outside of any call, so the first stop is at the beginning of one.
    let (mut changes, mut inside, mut signal) = (0, false, None);
    loop {
        ptrace::syscall(pid, signal.take()).expect("the child goes on");
        match waitpid(pid, None).expect("the child is ours") {
            WaitStatus::PtraceSyscall(_) => {
                inside = !inside;
                let registers = ptrace::getregs(pid).expect("registers");
                let call = registers.orig_rax as i64;
                let creates = match call {
                    libc::SYS_open => registers.rsi as i32 & libc::O_CREAT != 0,
                    libc::SYS_openat => registers.rdx as i32 & libc::O_CREAT != 0,
                    _ => false,
                };
                if inside && (creates || CHANGES.contains(&call)) {
                    changes += 1;
                    if changes == nth {
                        kill(pid, Signal::SIGKILL).expect("killed");
                        while !matches!(waitpid(pid, None), Ok(WaitStatus::Signaled(..))) {}
                        return Ended::Killed(call);
                    }
                }
            }
            WaitStatus::Stopped(_, other) => signal = Some(other),
            WaitStatus::Exited(_, 0) => return Ended::Finished,
            other => panic!("{name}: the child ended by itself: {other:?}"),
        }
    }
}

/// System calls that change files, beside those that open and create them.
const CHANGES: &[i64] = &[
    libc::SYS_chmod,
    libc::SYS_copy_file_range,
    libc::SYS_fallocate,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    libc::SYS_fdatasync,
    libc::SYS_fsync,
    libc::SYS_ftruncate,
    libc::SYS_link,
    libc::SYS_linkat,
    libc::SYS_mkdir,
    libc::SYS_mkdirat,
    libc::SYS_pwrite64,
    libc::SYS_rename,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_rmdir,
    libc::SYS_sendfile,
    libc::SYS_symlink,
    libc::SYS_symlinkat,
    libc::SYS_syncfs,
    libc::SYS_unlink,
    libc::SYS_unlinkat,
    libc::SYS_utimensat,
    libc::SYS_write,
    libc::SYS_writev,
];

fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-a").arg(from.join(".")).arg(to).status().expect("cp runs");
    assert!(status.success());
}
