//! Containers as evidence: one that is run here, through containerd, and
//! others that kubelet had containerd run.

use std::path::{Path, PathBuf};
use std::time::Duration;

use osbuild_sys::command;
use serde_json::json;

use crate::checks::{Challenge, Finding};

const CTR: &str = "/usr/bin/ctr";
/// Ours, apart from the orchestrator's.
const NAMESPACE: &str = "osbuild";
const IMPORT: Duration = Duration::from_secs(60);
const RUN: Duration = Duration::from_secs(60);

/// Imports the image, runs it to its end, and returns what it printed.
pub fn run(image: &str, reference: &str, arguments: &[String], challenge: &Challenge) -> Finding {
    let imported = command::run(&[CTR, "-n", NAMESPACE, "images", "import", image], IMPORT)?;
    if imported.status != 0 {
        return Err(format!("import of {image}: {}", last_line(&imported.stderr)));
    }
    let mount = format!("type=bind,src={},dst=/nonce,options=rbind:ro", challenge.path);
    let id = format!("health-{}", std::process::id());
    let mut call = vec![CTR, "-n", NAMESPACE, "run", "--rm", "--mount", &mount, reference, &id];
    call.extend(arguments.iter().map(String::as_str));
    let output = command::run(&call, RUN)?;
    if output.status != 0 {
        // A task that was cut off must not stand in the next try's way.
        let _ = command::run(&[CTR, "-n", NAMESPACE, "task", "rm", "-f", &id], IMPORT);
        let _ = command::run(&[CTR, "-n", NAMESPACE, "container", "rm", &id], IMPORT);
        return Err(format!(
            "{reference} ended with status {}: {}",
            output.status,
            last_line(&output.stderr)
        ));
    }
    Ok(json!({ "reference": reference, "stdout": output.stdout.trim_end() }))
}

/// The first line that a pod's container wrote, from containerd's log of it.
/// `pattern` is a path whose components may hold one `*` each.
pub fn first_line(pattern: &str) -> Finding {
    let Some(path) = find(pattern) else { return Err(format!("no log {pattern} yet")) };
    let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    // The container runtime interface's log format: time, stream, tag, text.
    let line = text.lines().next().and_then(|line| line.splitn(4, ' ').nth(3));
    match line {
        Some(line) => Ok(json!({ "log": path, "stdout": line })),
        None => Err(format!("{} is empty", path.display())),
    }
}

fn find(pattern: &str) -> Option<PathBuf> {
    let mut found = vec![PathBuf::from("/")];
    for part in pattern.split('/').filter(|part| !part.is_empty()) {
        found = match part.split_once('*') {
            None => found.iter().map(|path| path.join(part)).filter(|path| path.exists()).collect(),
            Some((front, back)) => found.iter().flat_map(|path| matching(path, front, back)).collect(),
        };
    }
    found.sort();
    found.into_iter().next()
}

fn matching(folder: &Path, front: &str, back: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let fits = |name: &str| {
        name.len() >= front.len() + back.len() && name.starts_with(front) && name.ends_with(back)
    };
    entries
        .flatten()
        .filter(|entry| entry.file_name().to_str().is_some_and(fits))
        .map(|entry| entry.path())
        .collect()
}

fn last_line(text: &str) -> &str {
    text.trim().lines().last().unwrap_or("no message")
}
