//! What the services of a root may do, by somebody else's reckoning.
//!
//! `variants/NAME/security.snap` has each service's exposure as
//! `systemd-analyze security` counts it, from 0 (nothing left) to 10: a review
//! sees which service was given more. `UPDATE_SNAPSHOTS=1` writes it anew.

use std::fs;
use std::path::{Path, PathBuf};

use crate::context::Context;
use crate::scenarios::contents::matches_snapshot;

const UNITS: &str = "usr/lib/systemd/system";
const SNAPSHOT: &str = "security.snap";

pub(crate) fn as_recorded(context: &Context, variant: &str) -> Result<(), String> {
    let root = extracted(context, variant)?;
    verified(context, &root)?;
    matches_snapshot(context, variant, SNAPSHOT, &exposures(context, &root)?)
}

/// The same judgement on roots that are worse: what is found.
pub(crate) fn goes_red(context: &Context) -> Result<usize, String> {
    let variant = "qemu-dev";
    let root = extracted(context, variant)?;
    let units = root.join(UNITS);
    let edit = |name: &str, text: &str| {
        let path = units.join(name);
        fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))
    };
    edit("osbuild-settings.service.d/20-sandbox.conf", "")?;
    let more = matches_snapshot(context, variant, SNAPSHOT, &exposures(context, &root)?);
    edit("osbuild-settings.service.d/20-sandbox.conf", "[Service]\nProtectSytem=strict\n")?;
    let misspelt = verified(context, &root);
    for (twin, found, expected) in [
        ("no sandbox", more, "+ osbuild-settings.service "),
        ("a misspelt directive", misspelt, "ProtectSytem"),
    ] {
        match found {
            Err(why) if why.contains(expected) => println!("  {twin}: {why}"),
            other => return Err(format!("{twin}: did not go red: {other:?}")),
        }
    }
    Ok(2)
}

fn extracted(context: &Context, target: &str) -> Result<PathBuf, String> {
    let image = context.build(target)?.join("slot/root.squashfs");
    let root = context.scratch(&format!("{target}-root"));
    let mut unsquashfs = context.judge("unsquashfs")?;
    unsquashfs.args(["-quiet", "-no-progress", "-no-xattrs", "-force", "-dest"]).arg(&root).arg(image);
    context.run(&mut unsquashfs)?;
    Ok(root)
}

fn analyze(context: &Context, root: &Path, words: &[&str], units: &[String]) -> Result<String, String> {
    let mut analyze = context.judge("systemd-analyze")?;
    analyze.arg(words[0]).arg(format!("--root={}", root.display())).args(&words[1..]);
    // A bare name that is a file here would be taken for that.
    analyze.args(units).current_dir("/").env("SYSTEMD_EMOJI", "0");
    let output = analyze.output().map_err(|error| format!("cannot run {analyze:?}: {error}"))?;
    let complaints = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() || !complaints.trim().is_empty() {
        return Err(format!("systemd-analyze {} ended with {}:\n{complaints}", words[0], output.status));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// No unit says what the service manager does not know, names a program that
/// is not there, or waits for itself.
fn verified(context: &Context, root: &Path) -> Result<(), String> {
    let units = named(root, &[".service", ".socket", ".mount", ".target"])?;
    analyze(context, root, &["verify", "--man=no"], &units).map(|_| ())
}

fn exposures(context: &Context, root: &Path) -> Result<Vec<String>, String> {
    let mut lines = Vec::new();
    for unit in named(root, &[".service"])? {
        let words = ["security", "--offline=yes", "--no-pager"];
        let table = analyze(context, root, &words, std::slice::from_ref(&unit))?;
        let level = table.lines().rev().find_map(|line| line.split_once("Overall exposure level for "));
        let level = level.and_then(|(_, rest)| rest.split_once(": ")?.1.split(' ').next());
        let level = level.ok_or_else(|| format!("no exposure of {unit}:\n{table}"))?;
        lines.push(format!("{unit} {level}"));
    }
    Ok(lines)
}

fn named(root: &Path, kinds: &[&str]) -> Result<Vec<String>, String> {
    let units = root.join(UNITS);
    let listed = fs::read_dir(&units).map_err(|error| format!("{}: {error}", units.display()))?;
    let names = listed.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = names.filter(|name| kinds.iter().any(|kind| name.ends_with(kind))).collect();
    names.sort();
    if names.is_empty() { Err(format!("{} has no units", units.display())) } else { Ok(names) }
}
