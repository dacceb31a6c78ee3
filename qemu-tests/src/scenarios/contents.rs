//! What is in a root, by somebody else's reading of the file system.
//!
//! `variants/NAME/contents.snap` is that listing, checked in: a review sees
//! what a change puts onto the disk. `UPDATE_SNAPSHOTS=1` writes it anew.

use std::path::Path;

use crate::context::Context;

/// Names that no root may hold, wherever they stand.
const DENIED: &[&str] = &[
    "sh", "bash", "dash", "ash", "zsh", "busybox", "toybox", "perl", "python3", "lua", "awk", "gawk", "mawk",
    "gdb",
];

/// Fewer lines are no listing of a system.
const LEAST_LINES: usize = 100;

pub(crate) fn no_shell(context: &Context, target: &str) -> Result<(), String> {
    for line in listing(context, target)? {
        let path = line.split(" -> ").next().unwrap_or("");
        if DENIED.contains(&path.rsplit('/').next().unwrap_or("")) || changes_identity(&line) {
            return Err(format!("the root holds {line}"));
        }
    }
    Ok(())
}

/// A program that runs as its owner or group, whoever starts it.
pub(crate) fn changes_identity(line: &str) -> bool {
    let mode = line.split(' ').next().unwrap_or_default();
    mode.starts_with('-') && mode.contains(['s', 'S'])
}

pub(crate) fn as_recorded(context: &Context, variant: &str) -> Result<(), String> {
    matches_snapshot(context, variant, "contents.snap", &listing(context, variant)?)
}

/// Compares with a file of the variant, or writes it if that is asked for.
pub(crate) fn matches_snapshot(
    context: &Context,
    variant: &str,
    name: &str,
    found: &[String],
) -> Result<(), String> {
    let file = context.project.join("variants").join(variant).join(name);
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        let text: String = found.iter().map(|line| format!("{line}\n")).collect();
        return std::fs::write(&file, text).map_err(|error| format!("{}: {error}", file.display()));
    }
    let recorded = std::fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    let recorded: Vec<String> = recorded.lines().map(str::to_owned).collect();
    let changes = differences(&recorded, found);
    if changes.is_empty() {
        return Ok(());
    }
    Err(format!(
        "the root of {variant} is not what {} says (UPDATE_SNAPSHOTS=1 records it anew):\n{}",
        shown(&file, context),
        changes.join("\n")
    ))
}

fn shown(file: &Path, context: &Context) -> String {
    file.strip_prefix(&context.project).unwrap_or(file).display().to_string()
}

/// Mode, owner and path of every entry, without sizes, which change with
/// every compiler.
pub(crate) fn listing(context: &Context, target: &str) -> Result<Vec<String>, String> {
    const ROOT: &str = "squashfs-root";
    let root = context.build(target)?.join("slot/root.squashfs");
    let text = context.run(context.judge("unsquashfs")?.arg("-lln").arg(&root))?;
    let entry = |line: &str| {
        let (facts, path) = line.split_at(line.find(ROOT)?);
        let mut facts = facts.split_whitespace();
        Some(format!("{} {} /{}", facts.next()?, facts.next()?, path[ROOT.len()..].trim_start_matches('/')))
    };
    let lines: Vec<String> = text.lines().filter_map(entry).collect();
    if lines.len() < LEAST_LINES {
        return Err(format!("the listing has only {} lines", lines.len()));
    }
    Ok(lines)
}

fn differences(recorded: &[String], found: &[String]) -> Vec<String> {
    let gone = recorded.iter().filter(|line| !found.contains(line)).map(|line| format!("- {line}"));
    let new = found.iter().filter(|line| !recorded.contains(line)).map(|line| format!("+ {line}"));
    gone.chain(new).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_with_an_identity_of_its_own_is_seen() {
        for (line, expected) in [
            ("-rwsr-xr-x 0/0 /usr/bin/su", true),
            ("-rwxr-sr-x 0/42 /usr/bin/chage", true),
            ("-rwSr--r-- 0/0 /a", true),
            ("-rwxr-xr-x 0/0 /usr/bin/systemctl", false),
            ("drwxrwxrwt 0/0 /tmp", false),
            ("lrwxrwxrwx 0/0 /usr/bin/s -> sss", false),
        ] {
            assert_eq!(changes_identity(line), expected, "{line}");
        }
    }
}
