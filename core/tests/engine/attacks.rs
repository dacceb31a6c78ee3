//! Builders that misbehave: each is refused or contained, and the store stays
//! sound.

use std::fs;

use osbuild_core::graph::GraphError;

use crate::fixture::Fixture;

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
