//! Compiles the probe, which stands alone, so that the crate can carry it.

use std::env;
use std::path::PathBuf;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=probe/main.rs");
    println!("cargo::rerun-if-changed=build.rs");
    if env::var_os("CARGO_FEATURE_PROBE").is_none() {
        return;
    }
    let variable = |name: &str| env::var_os(name).unwrap_or_else(|| panic!("cargo did not set {name}"));
    let output = PathBuf::from(variable("OUT_DIR")).join("probe");
    let status = Command::new(variable("RUSTC"))
        .args(["--edition=2024", "--crate-type=bin", "--crate-name=probe", "probe/main.rs", "--target"])
        .arg(variable("TARGET"))
        .args(["-Copt-level=s", "-Cpanic=abort", "-Cstrip=symbols", "-Crelocation-model=static"])
        // Nothing of the C library, not even what starts a program.
        .args(["-nostartfiles", "-nostdlib", "-static"].map(|argument| format!("-Clink-arg={argument}")))
        .arg("-o")
        .arg(&output)
        .status()
        .expect("the compiler that compiled this runs");
    assert!(status.success(), "the probe does not compile: {status}");
}
