//! Several processes in one store.

use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use osbuild_store::LocalStore;
use osbuild_store::local::GcRequest;

use super::again::{assert_passed, part, this_test};
use super::{assert_sound, referrer, source};

const TEST: &str = "processes::many_work_in_one_store_at_once";
/// How long each round takes.
const ROUND: Duration = Duration::from_millis(1200);

/// Does again and again what `role` says, in a store that others change; how
/// often.
fn play(role: &str, home: &Path) {
    let began = Instant::now();
    let mut times = 0;
    while began.elapsed() < ROUND {
        // Opened anew, as each command does.
        let store = LocalStore::open(home).expect("opened");
        match role {
            "add" => {
                let _held = store.hold_objects().expect("held");
                let base = source(&store, "base", &format!("{} {}", "x".repeat(5000), times % 7));
                let above = referrer(&store, "above", &base);
                let top = referrer(&store, "top", &above);
                // While they are held, they are there with all that they need.
                assert_eq!(store.closure([&top]).expect("a closure").len(), 3);
                for path in [&base, &above, &top] {
                    store.check_object(path).expect("whole");
                }
                store.sync().expect("synced");
            }
            "collect" => {
                store.collect_garbage(GcRequest::default(), || ()).expect("collected");
            }
            "verify" => {
                let _held = store.hold_objects().expect("held");
                assert_sound(&store, "while others work");
            }
            "repair" => {
                assert!(LocalStore::rebuild(home).expect("asked").is_none(), "nothing is damaged");
            }
            role => panic!("no role is called {role}"),
        }
        times += 1;
    }
    assert!(times > 0);
}

fn start(role: &str, home: &Path) -> Child {
    let mut command = this_test(TEST, &format!("{role} {}", home.display()));
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the test starts itself")
}

#[test]
fn many_work_in_one_store_at_once() {
    if let Some(part) = part() {
        let (role, home) = part.split_once(' ').expect("a role and a place");
        return play(role, Path::new(home));
    }
    for roles in [
        // All of them open a store that is not there yet.
        &["add", "add", "add", "add"][..],
        &["add", "add", "collect", "collect"],
        &["add", "add", "verify", "verify"],
        &["add", "collect", "verify", "repair"],
    ] {
        let home = tempfile::tempdir().expect("a temporary directory");
        let children: Vec<Child> = roles.iter().map(|role| start(role, &home.path().join("home"))).collect();
        for child in children {
            assert_passed(child.wait_with_output().expect("it ends"));
        }
        let store = LocalStore::open(&home.path().join("home")).expect("opened");
        assert_sound(&store, &format!("{roles:?}"));
        store.collect_garbage(GcRequest::default(), || ()).expect("collected");
        for directory in ["store", "build", "locks"] {
            let names: Vec<_> = std::fs::read_dir(store.home().join(directory))
                .expect("listed")
                .flatten()
                .map(|entry| entry.file_name())
                .filter(|name| name != "gc.lock")
                .collect();
            assert!(names.is_empty(), "{roles:?}: {names:?} is left in {directory}");
        }
    }
}
