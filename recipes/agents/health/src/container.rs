//! Containers as evidence: one that is run here, through containerd, and
//! others that kubelet had containerd run.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use osbuild_images::Containerd;
use serde_json::json;

use crate::checks::{Challenge, Finding};

/// Ours, apart from the orchestrator's.
const CONTAINERD: Containerd = Containerd::of("osbuild");
/// What a try has at least.
const TRY: Duration = Duration::from_secs(60);

/// Imports the image, runs it to its end, and returns what it printed. A slow
/// node gets half of the time to the deadline for each step, so that after one
/// that hangs there is another try.
pub fn run(
    image: &str,
    reference: &str,
    arguments: &[String],
    challenge: &Challenge,
    deadline: Instant,
) -> Finding {
    let limit = || TRY.max(deadline.saturating_duration_since(Instant::now()) / 2);
    let imported = CONTAINERD.import(reference, image, limit());
    imported.map_err(|reason| format!("import of {image}: {reason}"))?;
    let mount = format!("type=bind,src={},dst=/nonce,options=rbind:ro", challenge.path);
    let id = fresh_id();
    let mut call = vec!["run", "--rm", "--mount", &mount, reference, &id];
    call.extend(arguments.iter().map(String::as_str));
    let stdout = CONTAINERD.ask(&call, limit()).map_err(|reason| {
        // As far as it goes: of a task cut off while it started, containerd
        // may keep the directory and refuse to remove what it does not know.
        for rest in [&["task", "rm", "-f", &id][..], &["container", "rm", &id]] {
            let _ = CONTAINERD.ask(rest, TRY);
        }
        format!("{reference}: {reason}")
    })?;
    Ok(json!({ "reference": reference, "stdout": stdout.trim_end() }))
}

/// Never one of an earlier try, whose remains would stand in the way.
fn fresh_id() -> String {
    static TRIES: AtomicU32 = AtomicU32::new(0);
    format!("health-{}-{}", std::process::id(), TRIES.fetch_add(1, Ordering::Relaxed))
}

/// That one of a pod's containers wrote `answer` as its first line, from
/// containerd's logs. `pattern` is a path whose components may hold one `*`
/// each. Logs stay from start to start, so only the right answer counts.
pub fn answered(pattern: &str, answer: &str) -> Finding {
    let logs = find(pattern);
    let right = logs.iter().find(|path| first_line(path).is_some_and(|line| line == answer));
    match right {
        Some(path) => Ok(json!({ "log": path, "stdout": answer })),
        None => Err(format!("{} logs {pattern}, none with an answer of this start", logs.len())),
    }
}

fn first_line(path: &Path) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    // The container runtime interface's log format: time, stream, tag, text.
    text.lines().next()?.splitn(4, ' ').nth(3).map(str::to_owned)
}

fn find(pattern: &str) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::from("/")];
    for part in pattern.split('/').filter(|part| !part.is_empty()) {
        found = match part.split_once('*') {
            None => found.iter().map(|path| path.join(part)).filter(|path| path.exists()).collect(),
            Some((front, back)) => found.iter().flat_map(|path| matching(path, front, back)).collect(),
        };
    }
    found
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_try_is_called_as_another() {
        assert_ne!(fresh_id(), fresh_id());
    }

    #[test]
    fn only_the_answer_to_this_start_counts() {
        let place = tempfile::tempdir().unwrap();
        let pod = place.path().join("kube-system_probe-node-1_0123/probe");
        std::fs::create_dir_all(&pod).unwrap();
        let pattern = format!("{}/kube-system_probe-*/probe/*.log", place.path().display());
        assert!(answered(&pattern, "right").unwrap_err().starts_with("0 logs "));
        std::fs::write(pod.join("0.log"), "2026-11-27T00:00:00Z stdout F stale\n").unwrap();
        std::fs::write(pod.join("1.log"), "").unwrap();
        assert!(answered(&pattern, "right").unwrap_err().starts_with("2 logs "));
        std::fs::write(pod.join("2.log"), "2026-11-27T00:00:00Z stdout F right\n").unwrap();
        let found = answered(&pattern, "right").unwrap();
        assert_eq!(found["log"], json!(pod.join("2.log")));
    }
}
