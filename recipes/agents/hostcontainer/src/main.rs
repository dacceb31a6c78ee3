//! `hostcontainer NAME`: runs one of the node's own containers to its end, in
//! a containerd that the orchestrator does not see. `hostcontainer bootstrap
//! NAME` runs one that prepares the node.
//!
//! What it runs stands in a file that follows from the settings; the service
//! manager starts this program with the file and ends it without. An image
//! that the root carries needs no network; any other is waited for.

mod bootstrap;
mod call;
mod images;

use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use call::{CONTAINERD, Container, Power};
use osbuild_images::CTR;
use osbuild_sys::console::say;
use osbuild_sys::{notify, signals};
use serde::Deserialize;

const WHO: &str = "hostcontainer";
const CONFIGURATION: &str = "/etc/osbuild/host-containers";
/// What containers keep, each below its name.
const KEPT: &str = "/var/lib/osbuild/host-containers";
const QUICK: Duration = Duration::from_secs(30);
/// For a container to end after it was asked to.
const ENDING: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(200);

/// A host container, as the settings have it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Configured {
    image: String,
    /// Whether it sees the host: its processes, its files, its devices.
    superpowered: bool,
    #[serde(default)]
    user_data: String,
}

fn main() -> ExitCode {
    signals::note_termination();
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (name, outcome) = match words.as_slice() {
        ["bootstrap", name] => (name, bootstrap::run(name).map(|()| 0)),
        [name] => (name, run(name)),
        _ => {
            eprintln!("usage: hostcontainer NAME, or hostcontainer bootstrap NAME");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(0) => ExitCode::SUCCESS,
        Ok(status) => ExitCode::from(u8::try_from(status).unwrap_or(1)),
        Err(reason) => {
            say(WHO, 3, &format!("{name}: {reason}"));
            ExitCode::FAILURE
        }
    }
}

/// A host container's exit status.
fn run(name: &str) -> Result<i32, String> {
    let file = Path::new(CONFIGURATION).join(format!("{name}.json"));
    let text = std::fs::read(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    let Configured { image, superpowered, user_data } =
        serde_json::from_slice(&text).map_err(|error| format!("{}: {error}", file.display()))?;
    let power = if superpowered { Power::Superpowered } else { Power::Plain };
    run_container(name, &Container { image, power, user_data }, &Path::new(KEPT).join(name), None)
}

/// Runs a container to its end; its exit status. Its image is waited for, for
/// as long as `patience` if that has an end.
fn run_container(
    name: &str,
    container: &Container,
    kept: &Path,
    patience: Option<Duration>,
) -> Result<i32, String> {
    keep(kept, container).map_err(|error| format!("{}: {error}", kept.display()))?;
    let tell = &mut |reason: &str| say(WHO, 4, &format!("{name}: {reason}"));
    images::provide(&container.image, patience, tell)?;
    // What a run before this one left behind would be in the way.
    for rest in [&["task", "rm", "-f", name][..], &["container", "rm", name], &["snapshot", "rm", name]] {
        let _ = CONTAINERD.ask(rest, QUICK);
    }
    let call = call::run(name, container, kept);
    let child = Command::new(CTR).args(&call).stdin(Stdio::null()).spawn();
    let mut child = child.map_err(|error| format!("cannot run {CTR}: {error}"))?;
    notify::ready();
    wait(name, &mut child)
}

/// A directory of its own that stays, with its user data.
fn keep(kept: &Path, container: &Container) -> std::io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(kept)?;
    let new = kept.join("user-data.new");
    let mut options = std::fs::File::options();
    let mut file = options.create(true).truncate(true).write(true).mode(0o600).open(&new)?;
    std::io::Write::write_all(&mut file, container.user_data.as_bytes())?;
    std::fs::rename(&new, kept.join("user-data"))
}

/// Waits, unless we are asked to end; whether nobody did.
fn rest(pause: Duration) -> bool {
    let since = Instant::now();
    while since.elapsed() < pause && !signals::is_terminated() {
        std::thread::sleep(POLL);
    }
    !signals::is_terminated()
}

/// Waits for the end, and brings it about when we are asked to end.
fn wait(name: &str, child: &mut Child) -> Result<i32, String> {
    let mut asked: Option<Instant> = None;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(if asked.is_some() { 0 } else { status.code().unwrap_or(1) }),
            Ok(None) => {}
            Err(error) => return Err(format!("cannot wait for {CTR}: {error}")),
        }
        let signal = match asked {
            None if signals::is_terminated() => Some("SIGTERM"),
            Some(since) if since.elapsed() > ENDING => Some("SIGKILL"),
            _ => None,
        };
        if let Some(signal) = signal {
            asked = Some(Instant::now());
            let _ = CONTAINERD.ask(&["task", "kill", "-s", signal, name], QUICK);
        }
        std::thread::sleep(POLL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_container_is_refused() {
        for bent in ["{}", r#"{"image":"a"}"#, r#"{"image":"a","superpowered":true,"more":1}"#] {
            assert!(serde_json::from_str::<Configured>(bent).is_err(), "{bent}");
        }
    }
}
