//! A kernel option that does not survive. The recipe's own script checks that;
//! here it runs with a stand-in for Kconfig that, like Kconfig, silently drops
//! what it does not know. (The real one takes minutes: the kernel's source.)

use std::path::Path;
use std::process::{Command, Output};

use super::fixture::{Fixture, in_order};

const PROJECT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// What a variant with these options would give the kernel's configure step,
/// and how that ends where Kconfig knows `kept` and selects `SELECTED`.
fn configure(options: &str, kept: &str) -> (String, Output) {
    let fixture = Fixture::new();
    let place = fixture.place.path();
    std::fs::create_dir(place.join("my-os")).unwrap();
    let module = format!(
        "{{ ... }}:\n{{\n  config.kernel.config.mine = {{ reason = \"a test\"; options = {options}; }};\n}}\n"
    );
    std::fs::write(place.join("my-os/variant.nix"), module).unwrap();
    let eval = |attribute: &str| {
        let target = format!("./my-os#kernel.{attribute}");
        fixture.succeeds(&["--root", PROJECT, "eval", "--raw", &target])
    };
    let fragment = eval("fragment");
    std::fs::write(place.join("fragment"), &fragment).unwrap();
    let phase = eval("configurePhase");
    assert!(phase.contains("make O="), "the phase is not what this test knows: {phase}");
    let kconfig = format!(
        "make() {{ grep -v -e NO_SUCH -e SELECTED {0}/fragment > {0}/kernel/.config; echo '{kept}' >> {0}/kernel/.config; }}",
        place.display()
    );
    let output = Command::new("bash")
        .args(["-euo", "pipefail", "-c", &format!("{kconfig}\n{phase}")])
        .env("fragmentPath", place.join("fragment"))
        .env("NIX_BUILD_TOP", place)
        .output()
        .expect("the host has bash");
    assert!(Path::new(&place.join("kernel/.config")).exists());
    (fragment, output)
}

#[test]
fn an_option_that_the_kernel_lacks_is_named() {
    let (fragment, output) = configure("{ NO_SUCH_OPTION = true; }", "");
    in_order(&fragment, &["CONFIG_NO_SUCH_OPTION=y\n"]);
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        (output.status.code(), err.as_str()),
        (
            Some(1),
            "error: kernel option CONFIG_NO_SUCH_OPTION=y did not survive: \
             a dependency is missing, or this kernel does not know it\n"
        )
    );
}

#[test]
fn an_option_that_something_selects_cannot_be_off() {
    let (_, output) = configure("{ SELECTED = false; }", "CONFIG_SELECTED=y");
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        (output.status.code(), err.as_str()),
        (Some(1), "error: kernel option CONFIG_SELECTED was asked to be off, but something selects it\n")
    );
}

#[test]
fn options_that_survive_pass() {
    let (_, output) = configure("{ NO_SUCH_OPTION = true; }", "CONFIG_NO_SUCH_OPTION=y");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}
