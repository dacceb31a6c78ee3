//! What nft reads of the rules, in a network of the test's own.

use std::path::PathBuf;
use std::process::{Command, Output};

const PROGRAM: &str = env!("CARGO_BIN_EXE_masquerade");

/// The root whose programs judge. `None`, and a word of it, where there is none
/// and none has to be.
fn judges() -> Option<PathBuf> {
    let root = std::env::var_os("OSBUILD_JUDGES").map(PathBuf::from);
    if root.is_none() {
        assert!(
            std::env::var_os("OSBUILD_REQUIRE_JUDGES").is_none_or(|value| value != "1"),
            "OSBUILD_JUDGES is not set, so nobody can judge the rules"
        );
        eprintln!("SKIPPED: OSBUILD_JUDGES is not set, so nobody judges the rules");
    }
    root
}

fn in_a_network(words: &[&str]) -> Output {
    Command::new("unshare").args(["--map-root-user", "--net"]).args(words).output().unwrap()
}

#[test]
fn the_rules_are_there_once_however_often_they_are_made() {
    let Some(judges) = judges() else { return };
    let libraries = judges.join("usr/lib/x86_64-linux-gnu");
    let script = format!(
        "\"$0\" 10.1.0.0/16 && \"$0\" 10.88.0.0/16 && \
         {0}/ld-linux-x86-64.so.2 --library-path {0} {1}/usr/sbin/nft list ruleset",
        libraries.display(),
        judges.display()
    );
    let output = in_a_network(&["sh", "-c", &script, PROGRAM]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "table ip osbuild {\n\
         \tchain pods {\n\
         \t\ttype nat hook postrouting priority srcnat; policy accept;\n\
         \t\tip saddr 10.88.0.0/16 ip daddr != 10.88.0.0/16 \
         ip daddr != 169.254.0.0/16 ip daddr != 224.0.0.0/4 masquerade\n\
         \t}\n\
         }\n"
    );
}

#[test]
fn what_the_kernel_refuses_is_said() {
    // Its own network is no longer its own.
    let output = in_a_network(&["unshare", "--map-current-user", PROGRAM, "10.88.0.0/16"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(said, "masquerade: the batch: Operation not permitted (os error 1)\n");
}

#[test]
fn what_is_no_subnet_is_named() {
    for (words, code, says) in [
        (&[][..], 2, "usage: masquerade ADDRESS/BITS\n"),
        (&["10.88.0.1/16"], 1, "masquerade: \"10.88.0.1/16\" is no subnet: the address has bits beyond 16\n"),
    ] {
        let output = Command::new(PROGRAM).args(words).output().unwrap();
        assert_eq!(output.status.code(), Some(code));
        assert_eq!(String::from_utf8_lossy(&output.stderr), says);
    }
}
