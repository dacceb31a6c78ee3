//! The same outputs bit for bit, and the same failures word for word.

use std::time::Duration;

use osbuild_core::build::BuildOptions;
use osbuild_core::derivation::{Derivation, Output};
use osbuild_core::graph::{Engine, GraphError};
use osbuild_store::{HashAlgorithm, NixHash, StorePath};

use crate::casd::Casd;
use crate::cluster::Cluster;
use crate::fixture::{Fixture, describe};

/// What builders can see and keep, as far as outputs can hold it. Owners
/// differ between root's builds and a user's here, too, and the number of
/// links tells what else is in the store.
const EVERYTHING: &str = r#"
unset NIX_BUILD_CORES
mkdir -p $out/empty $out/deep/er
echo text > $out/file
echo '#!/bin/sh' > $out/run && chmod 755 $out/run
ln -s ../file $out/deep/relative
ln -s /absolute/nowhere $out/deep/absolute
ln -s beside $out/dangling
(at=$out; unset out; env > $at/environment)
list() { ls -goR --time-style=+%s "$@" | while read -r mode links rest; do echo "$mode $rest"; done; }
list /build /tmp $sandboxRoot > $out/seen
id >> $out/seen
echo "a name with blanks" > "$out/a name"
printf 'x\377y' > "$out/$(printf 'not-\377-text')"
chmod 0 $out/file
"#;

fn floating() -> Output {
    Output::Floating { recursive: true, algorithm: HashAlgorithm::Sha256 }
}

fn hash(fixture: &Fixture, path: &StorePath) -> Option<NixHash> {
    fixture.store.info(path).unwrap().map(|info| info.nar_hash)
}

/// How a build fails, whole.
fn failure(result: Result<StorePath, GraphError>) -> String {
    match result {
        Err(GraphError::Failed { failures }) => match &failures[0].1 {
            osbuild_core::build::BuildError::Failed { how, tail, .. } => format!("{how}: {}", tail.join("|")),
            error => describe(error),
        },
        other => panic!("expected a failed build, got {other:?}"),
    }
}

#[test]
fn outputs_are_the_same_bit_for_bit() {
    let Some(casd) = Casd::start() else { return };
    let (here, there) = (Fixture::new(), Fixture::new());
    let cluster = Cluster::of(&there, &casd.config());
    let chain = |fixture: &Fixture| {
        let first = fixture.shell("first", EVERYTHING, &[]);
        let second = fixture.shell(
            "second",
            "mkdir $out; cp -r $input0/deep $out; echo $input0 > $out/from",
            &[&first],
        );
        (first, second)
    };
    let (first, second) = chain(&here);
    let (expected_first, expected) = (here.build(&first).unwrap(), here.build(&second).unwrap());
    assert_eq!(chain(&there), (first, second.clone()));
    assert_eq!(cluster.build(&there, &second).unwrap(), expected);
    assert_eq!(hash(&there, &expected), hash(&here, &expected));
    // The second refers to the first, so that came along.
    assert_eq!(hash(&there, &expected_first), hash(&here, &expected_first));
    assert!(hash(&here, &expected_first).is_some());
}

#[test]
fn every_kind_of_output_gets_its_path() {
    let Some(casd) = Casd::start() else { return };
    let (here, there) = (Fixture::new(), Fixture::new());
    let cluster = Cluster::of(&there, &casd.config());
    let hello = |algorithm| NixHash::of(algorithm, b"hello\n");
    let fixed = |fixture: &Fixture, hash: &NixHash| {
        let path =
            fixture.store.store_dir().fixed_path("fixed", false, hash, &Default::default(), false).unwrap();
        Output::Fixed { path, recursive: false, hash: hash.clone() }
    };
    for (name, script, output) in [
        (
            "flat",
            "echo hello > $out",
            Output::Floating { recursive: false, algorithm: HashAlgorithm::Sha512 },
        ),
        (
            "sha1",
            "mkdir $out; echo hello > $out/x",
            Output::Floating { recursive: true, algorithm: HashAlgorithm::Sha1 },
        ),
        ("link", "ln -s nowhere $out", floating()),
        ("file", "echo x > $out; chmod 755 $out", floating()),
        ("fixed", "echo hello > $out", fixed(&here, &hello(HashAlgorithm::Sha256))),
        ("fixed", "echo hello > $out", fixed(&here, &hello(HashAlgorithm::Md5))),
    ] {
        let step = here.shell_with(name, script, &[], output.clone(), &[]);
        assert_eq!(there.shell_with(name, script, &[], output, &[]), step);
        let expected = here.build(&step).unwrap();
        assert_eq!(cluster.build(&there, &step).unwrap(), expected, "{name}");
        assert_eq!(hash(&there, &expected), hash(&here, &expected), "{name}");
    }
}

#[test]
fn failures_are_the_same_word_for_word() {
    let Some(casd) = Casd::start() else { return };
    let (here, there) = (Fixture::new(), Fixture::new());
    let cluster = Cluster::of(&there, &casd.config());
    let wrong = NixHash::of(HashAlgorithm::Sha256, b"other");
    let path = here.store.store_dir().fixed_path("wrong", true, &wrong, &Default::default(), false).unwrap();
    let fixed = Output::Fixed { path, recursive: true, hash: wrong };
    for (name, script, output, more, expected) in [
        (
            "exit",
            "echo to the log; echo to errors >&2; exit 3",
            floating(),
            vec![],
            "failed with exit code 3: to the log|to errors",
        ),
        ("signal", "sh -c 'kill -9 $$'", floating(), vec![], "failed with exit code 137"),
        ("nothing", ":", floating(), vec![], "output 'out' was not made by the builder"),
        ("wrong", "echo x > $out", fixed, vec![], "hash mismatch for wrong"),
        ("self", "echo $out > $out", floating(), vec![], "contains the path of output 'out'"),
        (
            "refers",
            "echo $sandboxRoot > $out",
            floating(),
            vec![("allowedReferences", "")],
            "which allowedReferences does not let it",
        ),
    ] {
        let make = |fixture: &Fixture| fixture.shell_with(name, script, &[], output.clone(), &more);
        let step = make(&here);
        assert_eq!(make(&there), step);
        let text = failure(here.build(&step));
        assert!(text.contains(expected), "{text}");
        // Twice, since a cluster may remember failures.
        for _ in 0..2 {
            assert_eq!(failure(cluster.build(&there, &step)), text);
        }
    }
    for builder in ["/bin/nothing", "/usr"] {
        let make = |fixture: &Fixture| {
            let derivation = fixture.lookup(&fixture.shell("odd", ":", &[])).unwrap();
            fixture.add("odd", Derivation { builder: builder.into(), ..(*derivation).clone() })
        };
        let step = make(&here);
        assert_eq!(make(&there), step);
        assert_eq!(failure(cluster.build(&there, &step)), failure(here.build(&step)));
    }
    // What no archive can hold is found there, in other words.
    let socket = there.shell("pipe", "mkfifo $out", &[]);
    let text = failure(cluster.build(&there, &socket));
    assert!(text.contains("output 'out' cannot be archived") && text.contains("named pipe"), "{text}");
}

#[test]
fn what_nobody_here_needs_stays_there() {
    let Some(casd) = Casd::start() else { return };
    let fixture = Fixture::new();
    let cluster = Cluster::of(&fixture, &casd.config());
    let low = fixture.shell("low", "mkdir $out; echo low > $out/x", &[]);
    let middle = fixture.shell("middle", "cp $input0/x $out", &[&low]);
    let top = fixture.shell("top", "cat $input0 > $out", &[&middle]);
    let built = cluster.build(&fixture, &top).unwrap();
    assert_eq!(std::fs::read_to_string(fixture.store.physical(&built)).unwrap(), "low\n");
    assert_eq!(fixture.ran.take(), ["low", "middle", "top", "substitute top"]);
    let here = |name: &str| fixture.store.all_paths().unwrap().iter().any(|path| path.name() == name);
    assert!(here("top") && !here("middle") && !here("low"));

    // A step that stays here gets what it mounts.
    let more = [("preferLocalBuild", "1")];
    let local = fixture.shell_with("local", "cat $input0/x > $out", &[&low], floating(), &more);
    cluster.build(&fixture, &local).unwrap();
    assert_eq!(fixture.ran.take(), ["substitute low", "local"]);
    assert!(here("low") && !here("middle"));

    // Nothing is left to do, with a cluster or without.
    cluster.build(&fixture, &top).unwrap();
    fixture.build(&top).unwrap();
    assert_eq!(fixture.ran.take(), Vec::<String>::new());
}

#[test]
fn what_was_left_there_is_fetched_once_it_is_needed_here() {
    let Some(casd) = Casd::start() else { return };
    let fixture = Fixture::new();
    let cluster = Cluster::of(&fixture, &casd.config());
    let low = fixture.shell("low", "echo low > $out", &[]);
    let top = fixture.shell("top", "cat $input0 > $out; echo top >> $out", &[&low]);
    // Only once the others are built is it known what it mounts.
    let more = [("preferLocalBuild", "1")];
    let local = fixture.shell_with("local", "cat $input0 $input1 > $out", &[&low, &top], floating(), &more);
    cluster.build(&fixture, &local).unwrap();
    let mut ran = fixture.ran.take();
    ran.sort();
    assert_eq!(ran, ["local", "low", "substitute low", "substitute top", "top"]);
}

#[test]
fn what_a_cluster_ran_for_one_it_knows_for_all() {
    let Some(casd) = Casd::start() else { return };
    let (one, other) = (Fixture::new(), Fixture::new());
    let chain = |fixture: &Fixture| {
        let low = fixture.shell("low", "echo low > $out", &[]);
        fixture.shell("top", "cat $input0 > $out; echo log", &[&low])
    };
    let built = Cluster::of(&one, &casd.config()).build(&one, &chain(&one)).unwrap();
    assert_eq!(one.ran.take(), ["low", "top", "substitute top"]);
    let cluster = Cluster::of(&other, &casd.config());
    assert_eq!(cluster.build(&other, &chain(&other)).unwrap(), built);
    assert_eq!(other.ran.take(), ["substitute top"]);
}

#[test]
fn building_again_compares_here_with_there() {
    let Some(casd) = Casd::start() else { return };
    let fixture = Fixture::new();
    let cluster = Cluster::of(&fixture, &casd.config());
    let again = |step: &StorePath| {
        let engine = Engine { rebuild: true, ..cluster.engine(&fixture) };
        fixture.build_with(&engine, step)
    };
    let same = fixture.shell("same", "echo same > $out", &[]);
    fixture.build(&same).unwrap();
    again(&same).unwrap();
    assert_eq!(fixture.ran.take(), ["same", "same"]);

    let other =
        fixture.shell("other", "echo $NIX_BUILD_CORES > $out; ls -gon --full-time /etc/passwd >> $out", &[]);
    fixture.build(&other).unwrap();
    let text = failure(again(&other));
    assert!(text.starts_with("not reproducible: output 'out'"), "{text}");
    let named: Vec<&str> = text.split_whitespace().filter(|word| word.starts_with('/')).collect();
    assert_eq!(named.len(), 2);
    assert!(named.iter().all(|path| std::path::Path::new(path.trim_end_matches(',')).exists()), "{text}");
}

#[test]
fn a_build_ends_when_its_time_is_up_or_the_user_wants() {
    let Some(casd) = Casd::start() else { return };
    let fixture = Fixture::new();
    let cluster = Cluster::of(&fixture, &casd.config());
    let options = BuildOptions { timeout: Some(Duration::from_secs(1)), ..fixture.options.clone() };
    let slow = fixture.shell("slow", "echo so far; sleep 600", &[]);
    let text = failure(fixture.build_with(&Engine { options: &options, ..cluster.engine(&fixture) }, &slow));
    assert_eq!(text, "builder was stopped after 1 s of running");

    let begin = std::time::Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !fixture.ran.phases().iter().any(|phase| phase == "remote") {
                std::thread::sleep(Duration::from_millis(20));
            }
            std::thread::sleep(Duration::from_millis(500));
            fixture.interrupted.store(true, std::sync::atomic::Ordering::Relaxed);
        });
        let endless = fixture.shell("endless", "sleep 601", &[]);
        let result = cluster.build(&fixture, &endless);
        assert!(matches!(result, Err(GraphError::Interrupted)), "{result:?}");
    });
    assert!(begin.elapsed() < Duration::from_secs(60));
    // The cluster was told, too.
    let end = std::time::Instant::now() + Duration::from_secs(20);
    while sleeps("601") {
        assert!(std::time::Instant::now() < end, "it runs on");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Whether `sleep SECONDS` runs anywhere.
fn sleeps(seconds: &str) -> bool {
    let wanted = format!("sleep\0{seconds}\0");
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter_map(|process| std::fs::read(process.path().join("cmdline")).ok())
        .any(|line| line == wanted.as_bytes())
}

#[test]
fn many_steps_share_what_they_mount() {
    let Some(casd) = Casd::start() else { return };
    let fixture = Fixture::new();
    let cluster = Cluster::of(&fixture, &casd.config());
    let steps: Vec<StorePath> = (0..6)
        .map(|index| fixture.shell(&format!("step-{index}"), &format!("echo {index} > $out"), &[]))
        .collect();
    let all: Vec<&StorePath> = steps.iter().collect();
    let top = fixture.shell("top", "cat $input0 $input1 $input2 $input3 $input4 $input5 > $out", &all);
    let engine = Engine { remote_jobs: 6, ..cluster.engine(&fixture) };
    let built = fixture.build_with(&engine, &top).unwrap();
    assert_eq!(std::fs::read_to_string(fixture.store.physical(&built)).unwrap(), "0\n1\n2\n3\n4\n5\n");
    assert!(fixture.ran.most_at_once() > 1);
}
