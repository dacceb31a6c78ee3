//! What is tried of a release, and when it has passed.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use osbuild_boot::slot::{Bits, Pair, Slot as DiskSlot};
use osbuild_core::disk;
use osbuild_core::repo::follower::public_files;
use osbuild_core::repo::release::Slot;
use osbuild_core::report::{Start, judge, judge_bits};
use osbuild_store::cache::FileServer;

use super::watch::Watched;
use crate::config::CommonArguments;
use crate::error::{Exit, Failure};
use crate::machine::{Disk, Machine, Network, cannot, copy_sparse};

/// Where machines are started, and how.
pub(super) struct Stage<'a> {
    /// Without its disk and its channels.
    pub(super) machine: Machine,
    pub(super) qemu: &'a Path,
    pub(super) scratch: &'a Path,
    /// Where consoles and reports go.
    pub(super) logs: &'a Path,
    pub(super) timeout: Duration,
    pub(super) common: &'a CommonArguments,
}

/// A release that a node runs, and how it comes to know of another.
pub(super) struct Old {
    pub(super) image: PathBuf,
    pub(super) slot: Slot,
    pub(super) repository: PathBuf,
    pub(super) channel: String,
}

impl Old {
    /// The first start of a machine is this release's.
    fn runs_in(&self, watched: &mut Watched) -> Tried {
        let failures = match watched.start_with_verdict(0)? {
            Ok(start) => judge(&start, &self.slot.release),
            Err(why) => vec![why],
        };
        Ok(none_or(failures.into_iter().map(|why| format!("the old release: {why}")).collect()))
    }
}

/// Passed, or why not. What kept it from being tried is the other error.
pub(super) type Tried = Result<Result<(), Vec<String>>, Failure>;

/// It starts from its factory's disk and commits.
pub(super) fn boot(stage: &Stage<'_>, image: &Path, slot: &Slot) -> Tried {
    let disk = stage.disk("boot", image)?;
    let machine = Machine {
        network: Network::Isolated,
        // Whatever restarts has not committed.
        no_reboot: true,
        ..stage.machine("boot", &disk)
    };
    let mut watched = Watched::start(stage, "boot", &machine)?;
    let start = match watched.start_with_verdict(0)? {
        Ok(start) => start,
        Err(why) => return Ok(Err(vec![why])),
    };
    watched.switch_off()?;
    let mut failures = judge(&start, &slot.release);
    failures.extend(on_the_disk(&disk, &start, slot, DiskSlot::A, Bits::EMPTY)?);
    // The next story has a disk of its own.
    let _ = std::fs::remove_file(&disk);
    Ok(none_or(failures))
}

/// A node of an older release goes to it by itself and commits it.
pub(super) fn update(stage: &Stage<'_>, old: &Old, new: &Slot) -> Tried {
    let server = Server::start(&old.repository)?;
    let user_data = stage.scratch.join("update.toml");
    let given = match &stage.machine.user_data {
        Some(path) => std::fs::read_to_string(path).map_err(|error| cannot("read", path, &error))?,
        None => String::new(),
    };
    let text = following(&given, server.port, &old.channel, &new.release.version).map_err(|what| {
        let path = stage.machine.user_data.as_deref().unwrap_or(Path::new("the user data"));
        Failure::usage(&format!("{}: {what}", path.display()), "user data are settings in TOML")
    })?;
    std::fs::write(&user_data, text).map_err(|error| cannot("write", &user_data, &error))?;

    let disk = stage.disk("update", &old.image)?;
    let machine = |name: &str| Machine {
        network: Network::User,
        user_data: Some(user_data.clone()),
        ..stage.machine(name, &disk)
    };
    // A node that has settled: the old release takes user data in its first start,
    // and releases that are out there plan their looks at the repository by the
    // settings that were there before.
    let settles = Machine { network: Network::Isolated, no_reboot: true, ..machine("settle") };
    let mut watched = Watched::start(stage, "settle", &settles)?;
    if let Err(why) = old.runs_in(&mut watched)? {
        return Ok(Err(why));
    }
    watched.switch_off()?;
    let mut watched = Watched::start(stage, "update", &machine("update"))?;
    if let Err(why) = old.runs_in(&mut watched)? {
        return Ok(Err(why));
    }
    let second = match watched.start_with_verdict(1)? {
        Ok(start) => start,
        Err(why) => return Ok(Err(vec![why])),
    };
    watched.switch_off()?;
    let mut failures = judge(&second, &new.release);
    if second.version() == Some(&old.slot.release.version) {
        failures.insert(0, "the node is on the old release again".to_owned());
    }
    let good_before = Bits { priority: 1, ..Bits::GOOD };
    failures.extend(on_the_disk(&disk, &second, new, DiskSlot::B, good_before)?);
    Ok(none_or(failures))
}

/// What of the disk is not as it is after the release committed in that slot.
fn on_the_disk(
    disk: &Path,
    start: &Start,
    slot: &Slot,
    due: DiskSlot,
    other: Bits,
) -> Result<Vec<String>, Failure> {
    let mut failures = Vec::new();
    if start.slot() != Some(due) {
        failures.push(format!("it did not start from slot {}", due.name()));
    }
    let bits: Pair = disk::slots(disk)?;
    failures.extend(judge_bits(bits, due, other));
    let different = disk::differences(disk, due, &slot.release)?;
    failures
        .extend(different.into_iter().map(|name| format!("{name} on the disk has not the release's bytes")));
    Ok(failures)
}

fn none_or(failures: Vec<String>) -> Result<(), Vec<String>> {
    if failures.is_empty() { Ok(()) } else { Err(failures) }
}

impl Stage<'_> {
    /// A copy that may be written, and is gone afterwards.
    fn disk(&self, name: &str, image: &Path) -> Result<PathBuf, Failure> {
        let disk = self.scratch.join(format!("{name}.raw"));
        copy_sparse(&image.join("disk.raw"), &disk, None)?;
        Ok(disk)
    }

    fn machine(&self, name: &str, disk: &Path) -> Machine {
        Machine {
            disk: Disk::Kept(disk.to_owned()),
            report: Some(self.logs.join(format!("{name}.report"))),
            serial: Some(self.logs.join(format!("{name}.console"))),
            ..self.machine.clone()
        }
    }
}

/// The host, as a guest sees it behind QEMU's own address translation.
const HOST: &str = "10.0.2.2";
/// As often as a node looks at all.
const CHECK_SECONDS: i64 = 10;

/// User data by which a node goes to a version by itself.
fn following(given: &str, port: u16, channel: &str, version: &str) -> Result<String, String> {
    let mut settings: toml::Table = toml::from_str(given).map_err(|error| error.to_string())?;
    let updates = settings.entry("updates").or_insert_with(|| toml::Table::new().into());
    let updates = updates.as_table_mut().ok_or("updates is no table")?;
    let mirror = toml::Value::from(format!("http://{HOST}:{port}/"));
    for (name, value) in [
        ("mirrors", toml::Value::Array(vec![mirror])),
        ("channel", channel.into()),
        // Whatever else the channel has by then.
        ("version-lock", version.into()),
        ("automatic", true.into()),
        ("reboot", true.into()),
        ("check-seconds", CHECK_SECONDS.into()),
    ] {
        updates.insert(name.to_owned(), value);
    }
    toml::to_string(&settings).map_err(|error| error.to_string())
}

/// The repository's public files on the loopback, as long as this lives.
struct Server {
    port: u16,
    is_over: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Server {
    fn start(repository: &Path) -> Result<Self, Failure> {
        let failed = |error: std::io::Error| {
            Failure::new(Exit::Failed, &format!("cannot listen on the loopback: {error}"))
        };
        let listener = TcpListener::bind("127.0.0.1:0").map_err(failed)?;
        let port = listener.local_addr().map_err(failed)?.port();
        let server = FileServer::new(&public_files(repository));
        let is_over = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&is_over);
        let thread = std::thread::spawn(move || {
            // A node that is not answered does not come: that is what is said.
            let _ = server.run(listener, move || stopped.load(Ordering::Relaxed), |_| {});
        });
        Ok(Self { port, is_over, thread: Some(thread) })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        self.thread.take().map(std::thread::JoinHandle::join);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_data_stay_and_the_node_follows() {
        let given = "[network]\nhostname = \"node-7\"\n[updates]\nautomatic = false\ndelay-seconds = 5\n";
        let settings: toml::Table =
            toml::from_str(&following(given, 99, "candidate", "2.0.0").unwrap()).unwrap();
        let due: toml::Table = toml::from_str(
            "network.hostname = \"node-7\"\n[updates]\nautomatic = true\ndelay-seconds = 5\nreboot = true\n\
             check-seconds = 10\nchannel = \"candidate\"\nversion-lock = \"2.0.0\"\nmirrors = [\"http://10.0.2.2:99/\"]",
        )
        .unwrap();
        assert_eq!(settings, due);
        for bent in ["updates = 3", "[updates", "{}"] {
            assert!(following(bent, 99, "candidate", "2.0.0").is_err(), "{bent}");
        }
    }
}
