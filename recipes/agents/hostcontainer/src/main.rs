//! `hostcontainer NAME`: runs one of the node's own containers to its end, in
//! a containerd that the orchestrator does not see.
//!
//! What it runs stands in a file that follows from the settings; the service
//! manager starts this program with the file and ends it without. An image
//! that the root carries needs no network; any other is waited for.

mod call;
mod images;

use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use call::{CTR, Container, NAMESPACE, SOCKET};
use osbuild_sys::command;
use osbuild_sys::console::say;
use osbuild_sys::{notify, signals};

const WHO: &str = "hostcontainer";
const CONFIGURATION: &str = "/etc/osbuild/host-containers";
/// What containers keep, each below its name.
const KEPT: &str = "/var/lib/osbuild/host-containers";
const QUICK: Duration = Duration::from_secs(30);
/// For a container to end after it was asked to.
const ENDING: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(200);

fn main() -> ExitCode {
    signals::note_termination();
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [name] = words.as_slice() else {
        eprintln!("usage: hostcontainer NAME");
        return ExitCode::from(2);
    };
    match run(name) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(status) => ExitCode::from(u8::try_from(status).unwrap_or(1)),
        Err(reason) => {
            say(WHO, 3, &format!("{name}: {reason}"));
            ExitCode::FAILURE
        }
    }
}

/// The container's exit status.
fn run(name: &str) -> Result<i32, String> {
    let file = Path::new(CONFIGURATION).join(format!("{name}.json"));
    let text = std::fs::read(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    let container: Container =
        serde_json::from_slice(&text).map_err(|error| format!("{}: {error}", file.display()))?;
    let kept = keep(name, &container).map_err(|error| format!("{KEPT}/{name}: {error}"))?;
    images::provide(&container.image, &mut |reason| say(WHO, 4, &format!("{name}: {reason}")))?;
    // What a run before this one left behind would be in the way.
    for rest in [&["task", "rm", "-f", name][..], &["container", "rm", name], &["snapshot", "rm", name]] {
        let whole = [&[CTR, "-a", SOCKET, "-n", NAMESPACE], rest].concat();
        let _ = command::run(&whole, QUICK);
    }
    let call = call::run(name, &container, &kept);
    let child = Command::new(CTR).args(&call).stdin(Stdio::null()).spawn();
    let mut child = child.map_err(|error| format!("cannot run {CTR}: {error}"))?;
    notify::ready();
    wait(name, &mut child)
}

/// A directory of its own that stays, with its user data.
fn keep(name: &str, container: &Container) -> std::io::Result<PathBuf> {
    let kept = Path::new(KEPT).join(name);
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&kept)?;
    let new = kept.join("user-data.new");
    let mut options = std::fs::File::options();
    let mut file = options.create(true).truncate(true).write(true).mode(0o600).open(&new)?;
    std::io::Write::write_all(&mut file, container.user_data.as_bytes())?;
    std::fs::rename(&new, kept.join("user-data"))?;
    Ok(kept)
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
            let _ = command::run(
                &[CTR, "-a", SOCKET, "-n", NAMESPACE, "task", "kill", "-s", signal, name],
                QUICK,
            );
        }
        std::thread::sleep(POLL);
    }
}
