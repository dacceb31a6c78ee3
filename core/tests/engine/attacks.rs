//! Builders that misbehave: each is refused or contained, and the store stays
//! sound.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::sync::Mutex;

use osbuild_core::build::sandbox::has_groups;
use osbuild_core::graph::GraphError;
use osbuild_store::StorePath;
use osbuild_store::store::{Ingestion, SourceSink};

use crate::attacker;
use crate::fixture::Fixture;
use crate::host_root::root_with;

/// Runs an attack of [`attacker`] as a builder; the output, and what came of
/// each attempt.
pub(crate) fn attack(
    fixture: &mut Fixture,
    name: &str,
    more: &[(&str, &str)],
) -> (StorePath, BTreeMap<String, String>) {
    let program = std::env::current_exe().unwrap();
    fixture.root = fixture.store.add_source("root", &root_with(&[&program]), Ingestion::Recursive).unwrap();
    let input = fixture.shell("input", "echo input > $out", &[]);
    let file = program.file_name().unwrap().to_str().unwrap();
    let script = format!("{file} --exact {} --test-threads=1 --quiet > /build/test-log", attacker::ENTRY);
    let output = osbuild_core::derivation::Output::Floating {
        recursive: true,
        algorithm: osbuild_store::HashAlgorithm::Sha256,
    };
    let variables: Vec<(&str, &str)> = [("ATTACK", name)].into_iter().chain(more.iter().copied()).collect();
    let derivation = fixture.shell_with(name, &script, &[&input], output, &variables);
    let path = fixture.build(&derivation).unwrap_or_else(|error| panic!("{error:?}"));
    let place = fixture.store.physical(&path);
    let report = if place.is_dir() { place.join("report") } else { place };
    let report = fs::read_to_string(report).unwrap();
    let lines = report.lines().map(|line| line.rsplit_once(": ").unwrap());
    (path, lines.map(|(what, outcome)| (what.to_owned(), outcome.to_owned())).collect())
}

/// Each attempt with what must come of it; nothing else is attempted.
fn comes_to(name: &str, more: &[(&str, &str)], expected: &[(&str, &str)]) {
    let mut fixture = Fixture::new();
    let (_, found) = attack(&mut fixture, name, more);
    let expected = expected.iter().map(|(what, outcome)| ((*what).to_owned(), (*outcome).to_owned()));
    assert_eq!(found, expected.collect());
    sound(&fixture);
}

#[test]
fn files_that_run_as_another_user() {
    let mut fixture = Fixture::new();
    let (path, mut found) = attack(&mut fixture, "setuid", &[]);
    assert_eq!(found.remove("plain open").as_deref(), Some("done"));
    for call in ["openat2", "io_uring"] {
        assert_eq!(found.remove(call).as_deref(), Some("ENOSYS"), "{call}");
    }
    assert_eq!(found.len(), 9);
    for (call, outcome) in found {
        assert_eq!(outcome, "EPERM", "{call}");
    }
    for entry in fixture.store.physical(&path).read_dir().unwrap() {
        let metadata = entry.unwrap().metadata().unwrap();
        assert_eq!(metadata.permissions().mode() & 0o7222, 0);
    }
    sound(&fixture);
}

#[test]
fn device_nodes() {
    comes_to(
        "devices",
        &[],
        &[
            ("disk", "EPERM"),
            ("memory", "EPERM"),
            ("/dev/kmsg", "ENOENT"),
            ("/dev/mem", "ENOENT"),
            ("/dev/fuse", "ENOENT"),
            ("/dev/kvm", "ENOENT"),
            ("/sys", "ENOENT"),
            ("/dev/tty", "done"),
        ],
    );
}

#[test]
fn hard_links_to_what_is_not_the_builders() {
    comes_to(
        "links",
        &[],
        &[
            ("input", "EXDEV"),
            ("shell", "EXDEV"),
            ("passwd", "EXDEV"),
            ("null", "EXDEV"),
            ("build to store", "EXDEV"),
            ("write to input", "refused"),
        ],
    );
}

#[test]
fn sockets_to_somebody_outside() {
    use std::os::linux::net::SocketAddrExt;
    let name = format!("osbuild-test-{}", std::process::id());
    let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap();
    let _listener = std::os::unix::net::UnixListener::bind_addr(&address).unwrap();
    let expected = [
        ("vsock", "EAFNOSUPPORT"),
        ("packet", "EAFNOSUPPORT"),
        ("alg", "EAFNOSUPPORT"),
        ("bluetooth", "EAFNOSUPPORT"),
        ("raw", "EPERM"),
        ("unix", "done"),
        ("inet", "done"),
        ("netlink", "done"),
        ("connect", "ENETUNREACH"),
        ("loopback", "done"),
        ("abstract", "refused"),
    ];
    comes_to("sockets", &[("ABSTRACT", &name)], &expected);
}

#[test]
fn calls_that_ask_more_of_the_kernel_than_a_compiler_does() {
    let mut fixture = Fixture::new();
    let (_, mut found) = attack(&mut fixture, "kernel", &[]);
    assert_eq!(found.remove("setxattr").as_deref(), Some("ENOTSUP"));
    // More priority is a right that the resource limits may give.
    assert_eq!(found.remove("setpriority").as_deref(), Some("EACCES"));
    assert_eq!(found.len(), 17);
    for (call, outcome) in found {
        assert_eq!(outcome, "EPERM", "{call}");
    }
}

#[test]
fn tricks_with_proc() {
    comes_to(
        "proc",
        &[],
        &[
            ("write /proc/sys/kernel/core_pattern", "refused"),
            ("write /proc/sys/vm/drop_caches", "refused"),
            ("write /proc/cmdline", "refused"),
            ("write /proc/uptime", "refused"),
            ("write /proc/sysrq-trigger", "refused"),
            ("write /proc/version", "refused"),
            ("bytes of /proc/config.gz", "0"),
            ("bytes of /proc/kcore", "0"),
            ("bytes of /proc/kallsyms", "0"),
            ("bytes of /proc/keys", "0"),
            ("bytes of /proc/timer_list", "0"),
            ("other processes", "1"),
            ("the first one's root", "true"),
            ("oom_score_adj", "refused"),
        ],
    );
}

/// Each takes a good part of the process ids that a machine has, from whoever
/// else is on it: one at a time.
static BOMB: Mutex<()> = Mutex::new(());

/// A bomb gets no further than this, and never to half of what there is.
fn most_processes() -> String {
    let ids = fs::read_to_string("/proc/sys/kernel/pid_max").unwrap();
    16_384.min(ids.trim().parse::<u32>().unwrap() / 4).to_string()
}

/// Says which limit it was that the bomb met.
#[test]
fn a_fork_bomb_ends_itself() {
    let _alone = BOMB.lock();
    let mut fixture = Fixture::new();
    let (_, found) = attack(&mut fixture, "forks", &[("MOST", &most_processes())]);
    assert_eq!(found["forks"], "EAGAIN");
    assert_eq!(found["bounded"], "true");
    let log = fixture.store.home().join("log");
    let logs = log.read_dir().unwrap().flat_map(|folder| folder.unwrap().path().read_dir().unwrap());
    let logs: String = logs.map(|log| fs::read_to_string(log.unwrap().path()).unwrap()).collect();
    let is_group = has_groups();
    println!("the limit of a {}", if is_group { "control group" } else { "process (RLIMIT_NPROC)" });
    assert_eq!(logs.contains("osbuild: the limit of processes was met, "), is_group, "{logs}");
    sound(&fixture);
}

#[test]
fn fork_bombs_in_namespaces_of_their_own_end_together() {
    let _alone = BOMB.lock();
    comes_to(
        "forks-in-namespaces",
        &[("MOST", &most_processes())],
        &[("unshare", "done"), ("bounded", "true")],
    );
}

#[test]
fn rights_in_new_namespaces() {
    comes_to("namespaces", &[], &[("mount in new namespaces", "refused")]);
}

#[test]
fn the_terminal_of_whoever_builds() {
    comes_to("terminal", &[], &[("TIOCSTI", "refused"), ("/dev/tty", "ENXIO")]);
}

#[test]
fn equal_inodes_in_an_output_are_files_of_their_own() {
    let fixture = Fixture::new();
    let script = "mkdir $out; echo long enough not to be small > $out/a; ln $out/a $out/b; chmod 755 $out/b";
    let path = fixture.build(&fixture.shell("twins", script, &[])).unwrap();
    let at = |name: &str| fixture.store.physical(&path).join(name).metadata().unwrap();
    assert_eq!(at("a").mode() & 0o777, 0o555, "one inode has one mode");
    assert_eq!(at("a").mode(), at("b").mode());
    sound(&fixture);
}

fn sound(fixture: &Fixture) {
    let verified = fixture.store.verify(&mut |_, _| ()).unwrap();
    assert!(verified.problems.is_empty() && verified.leftovers.is_empty(), "{verified:?}");
    let left: Vec<_> = fixture.store.home().join("build").read_dir().unwrap().collect();
    assert!(left.is_empty(), "scratch is left: {left:?}");
}

#[test]
fn an_output_that_is_a_pipe() {
    let fixture = Fixture::new();
    let text = fixture.failure(&fixture.shell("pipe", "mkdir $out; mkfifo $out/p", &[]));
    assert!(text.contains("is a named pipe"), "{text}");
    sound(&fixture);
}

#[test]
fn an_output_that_names_itself() {
    let fixture = Fixture::new();
    let text = fixture.failure(&fixture.shell("narcissus", "mkdir $out; echo $out > $out/self", &[]));
    assert!(text.contains("contains the path of output 'out'"), "{text}");
    sound(&fixture);
}

#[test]
fn no_output_at_all() {
    let fixture = Fixture::new();
    let text = fixture.failure(&fixture.shell("nothing", "true", &[]));
    assert!(text.contains("was not made by the builder"), "{text}");
    sound(&fixture);
}

#[test]
fn a_link_to_the_host_stays_a_link() {
    let fixture = Fixture::new();
    let path = fixture.build(&fixture.shell("link", "ln -s /etc/shadow $out", &[])).unwrap();
    assert!(fixture.store.physical(&path).is_symlink());
    sound(&fixture);
}

#[test]
fn directories_without_rights_and_files_of_strange_modes() {
    let fixture = Fixture::new();
    let script = "mkdir -p $out/closed /build/closed/deep; echo 1 > $out/closed/f; chmod 0 $out/closed/f $out/closed; chmod 0 /build/closed";
    let path = fixture.build(&fixture.shell("closed", script, &[])).unwrap();
    assert_eq!(fs::read_to_string(fixture.store.physical(&path).join("closed/f")).unwrap(), "1\n");
    sound(&fixture);
}

#[test]
fn a_process_left_behind_cannot_change_the_output() {
    let fixture = Fixture::new();
    let script = "echo good > $out; ( sleep 1; echo bad > $out ) & ";
    let path = fixture.build(&fixture.shell("left", script, &[])).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(1500));
    assert_eq!(fs::read_to_string(fixture.store.physical(&path)).unwrap(), "good\n");
    sound(&fixture);
}

#[test]
fn control_sequences_in_logs_do_not_reach_the_terminal() {
    let fixture = Fixture::new();
    let derivation = fixture.shell("loud", "printf '\\033]0;title\\007red\\n'; exit 7", &[]);
    let Err(GraphError::Failed { failures }) = fixture.build(&derivation) else { panic!("it failed") };
    let osbuild_core::build::BuildError::Failed { how, tail, log, .. } = &failures[0].1 else { panic!() };
    assert_eq!((how.as_str(), tail.as_slice()), ("failed with exit code 7", &["]0;titlered".to_owned()][..]));
    assert!(fs::read(log).unwrap().contains(&0o33), "the file keeps what was written");
}

#[test]
fn forbidden_references_are_refused() {
    let fixture = Fixture::new();
    let dependency = fixture.shell("dependency", "echo x > $out", &[]);
    let output = osbuild_core::derivation::Output::Floating {
        recursive: true,
        algorithm: osbuild_store::HashAlgorithm::Sha256,
    };
    let derivation = fixture.shell_with(
        "user",
        "echo $input0 > $out",
        &[&dependency],
        output,
        &[("allowedReferences", "")],
    );
    let text = fixture.failure(&derivation);
    assert!(text.contains("which allowedReferences does not let it"), "{text}");
    sound(&fixture);
}
