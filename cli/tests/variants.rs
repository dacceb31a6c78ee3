//! What a variant outside the tree may pick, and what is refused before
//! anything is built.

use std::path::Path;
use std::process::{Command, Output};

/// Evaluates an attribute of an out-of-tree variant: `base` with one module
/// more. Standard output, standard error, exit code.
fn eval(base: &str, setting: &str, attribute: &str) -> (String, String, i32) {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the project");
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("my-os");
    std::fs::create_dir(&folder).unwrap();
    let text = format!(
        "{{ lib, pkgs, ... }}:\nlib.evalVariant {{\n  name = \"my-os\";\n  inherit pkgs;\n  module = {{\n    \
         imports = [ {}/variants/{base}/variant.nix ];\n    config = {{ {setting} }};\n  }};\n}}\n",
        project.display()
    );
    std::fs::write(folder.join("default.nix"), text).unwrap();
    let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_osbuild"))
        .args(["eval", "--raw", "--attr", attribute])
        .arg(&folder)
        .env_clear()
        .env("OSBUILD_HOME", place.path().join("home"))
        .env("HOME", place.path())
        .current_dir(project)
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (text(stdout), text(stderr), status.code().unwrap_or(-1))
}

const CONFIGURATION: &str = "config.etc.\"containerd/config.toml\"";

/// The major version of the picked package decides the form of its
/// configuration; without a word, it is the first series.
#[test]
fn configuration_follows_the_containerd_that_was_picked() {
    for (setting, expected) in [
        ("", "version = 2\n"),
        ("containerd.package = pkgs.containerd;", "version = 2\n"),
        ("containerd.package = pkgs.containerd-2;", "version = 3\n"),
    ] {
        let (out, err, code) = eval("qemu-dev", setting, CONFIGURATION);
        assert_eq!((code, err.as_str()), (0, ""), "{setting}");
        assert!(out.starts_with(expected), "{setting}: {out}");
    }
    let (_, err, code) =
        eval("qemu-dev", "containerd.package = pkgs.containerd // { version = \"3.0.1\"; };", CONFIGURATION);
    assert_eq!(code, 1, "{err}");
    assert!(err.starts_with("error: containerd.package is containerd 3.0.1; its configuration"), "{err}");
}

/// The first refuses at evaluation; the second is the same without the fault.
#[test]
fn kubelet_and_containerd_that_share_no_interface_are_refused() {
    let (_, err, code) = eval("aws-k8s", "containerd.package = pkgs.containerd-2;", "drvPath");
    assert_eq!(code, 1, "{err}");
    let first = err.lines().next().unwrap_or_default();
    assert!(first.starts_with("error: variant 'my-os': kubelet 1."), "{err}");
    assert!(first.contains(" speaks v1alpha2, which containerd 2."), "{err}");
    assert!(
        first.ends_with(
            " no longer serves: take a containerd 1.7 as containerd.package, \
             or pin a newer kubelet in recipes/locks/sources-kubelet.json"
        ),
        "{err}"
    );

    let (out, err, code) = eval("aws-k8s", "containerd.package = pkgs.containerd;", "drvPath");
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.ends_with("-my-os-0.1.0.drv"), "{out}");
}

/// The first refuses at evaluation; the second says that the strict base will do.
#[test]
fn a_service_says_what_it_needs() {
    let service = |sandbox: &str| {
        format!(
            "services.\"mine.service\" = {{ text = \"[Service]\\nExecStart=/usr/bin/mine\\n\"; {sandbox} }};"
        )
    };
    let (_, err, code) = eval("qemu-dev", &service(""), "drvPath");
    assert_eq!(code, 1, "{err}");
    let first = err.lines().next().unwrap_or_default();
    assert!(
        first.starts_with("error: variant 'my-os': services.\"mine.service\" does not say what it needs: ")
            && first.contains("`sandbox = { }`"),
        "{err}"
    );
    let (out, err, code) = eval("qemu-dev", &service("sandbox = { };"), "drvPath");
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.ends_with("-my-os-0.1.0.drv"), "{out}");
}

#[test]
fn a_sandbox_is_the_base_but_for_exceptions_by_reason() {
    let setting = r#"etc.x = lib.sandbox.dropIn (
        lib.sandbox.without [ "ProtectHome" "PrivateTmp" ] "one"
        // { UMask = { value = "0022"; reason = "other"; }; SystemCallFilter = { value = [ "@mount" "~@swap" ]; reason = "one"; }; }
    );"#;
    let (out, err, code) = eval("qemu-dev", setting, "config.etc.x");
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.starts_with("[Service]\nCapabilityBoundingSet=\nIPAddressDeny=any\n"), "{out}");
    let exceptions = "\n# one\n# Not restricted: PrivateTmp, ProtectHome\nSystemCallFilter=@mount\n\
                      SystemCallFilter=~@swap\n\n# other\nUMask=0022\n";
    assert!(out.ends_with(exceptions), "{out}");
    for left_out in ["PrivateTmp=", "ProtectHome=", "UMask=0077", "@system-service"] {
        assert!(!out.contains(left_out), "{left_out}: {out}");
    }
}

/// Priorities count for each member of a set; without one, two values are a
/// conflict that names both places.
#[test]
fn one_member_of_a_set_can_be_forced() {
    let (out, err, code) = eval("qemu-dev", "etc.hostname = lib.mkForce \"node\\n\";", "config.etc.hostname");
    assert_eq!((out.as_str(), err.as_str(), code), ("node\n", "", 0));
    let (_, err, code) = eval("qemu-dev", "etc.hostname = \"node\\n\";", "config.etc.hostname");
    assert_eq!(code, 1, "{err}");
    let first = err.lines().next().unwrap_or_default();
    assert!(
        first.starts_with("error: option 'etc.hostname' is defined more than once with different values: "),
        "{err}"
    );
    assert!(first.contains("/variants/lib/base.nix:") && first.contains("/my-os/default.nix:7"), "{err}");
}

#[test]
fn wrong_options_name_the_place_and_the_nearest() {
    for (setting, expected) in [
        ("realease.version = \"1.0.0\";", "error: unknown option 'realease' at "),
        ("release.versoin = \"1.0.0\";", "error: unknown option 'release.versoin' at "),
        ("release.version = 1;", "error: option 'release.version' must be a version as in SemVer 2.0.0"),
    ] {
        let (_, err, code) = eval("qemu-dev", setting, "drvPath");
        assert_eq!(code, 1, "{setting}: {err}");
        let first = err.lines().next().unwrap_or_default();
        assert!(first.starts_with(expected) && first.contains("/my-os/default.nix:7"), "{setting}: {err}");
    }
    let (_, err, _) = eval("qemu-dev", "release.versoin = \"1.0.0\";", "drvPath");
    assert!(err.lines().next().unwrap_or_default().ends_with("did you mean 'release.version'?"), "{err}");
}
