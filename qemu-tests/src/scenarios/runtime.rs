//! A container runtime that a variant picked: the second series of containerd.

use std::path::Path;

use crate::context::{Context, read_json};
use crate::evidence::judge;
use crate::gpt::{EMPTY, GOOD};
use crate::scenarios::{all_hold, assert_bits, boot_once, nonce};

/// Boots it under the same judgement as the default variant.
pub(crate) fn second_series(context: &Context) -> Result<(), String> {
    let target = context.variant("containerd-2");
    let image = context.build(&target)?;
    holds_second_series(context, &image)?;
    let manifest = context.manifest(&image)?;
    let disk = context.scratch("containerd-2.raw");
    let nonce = nonce();
    let booted = boot_once(context, &target, &disk, &nonce)?;
    all_hold(judge(&booted.report, &manifest, &nonce, false), &booted.report)?;
    assert_bits("after the boot", &disk, (GOOD, EMPTY))
}

/// The bill of materials says 2, and so does the program in the root, whose
/// hash the judgement compares with what the kernel verified: its functions are
/// those of the module `v2`.
fn holds_second_series(context: &Context, image: &Path) -> Result<(), String> {
    let sbom = read_json(&image.join("sbom.cdx.json"))?;
    let components = sbom["components"].as_array().map(Vec::as_slice).unwrap_or_default();
    let versions: Vec<&str> = components
        .iter()
        .filter(|component| component["name"] == "containerd")
        .filter_map(|component| component["version"].as_str())
        .collect();
    if versions.len() != 1 || !versions[0].starts_with("2.") {
        return Err(format!("the bill of materials names containerd {versions:?}"));
    }
    let mut unsquashfs = context.judge("unsquashfs")?;
    unsquashfs.arg("-cat").arg(image.join("slot/root.squashfs")).arg("usr/bin/containerd");
    let program = context.run(&mut unsquashfs)?;
    if program.contains("github.com/containerd/containerd/v2/cmd/containerd/command.App") {
        Ok(())
    } else {
        Err("the containerd in the root is not of module v2".to_owned())
    }
}
