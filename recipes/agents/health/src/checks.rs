//! The checks of a contract and how far each has come.

use std::io::Read;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use osbuild_sys::command;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::container;
use crate::contract::{Check, Contract, Kind, When};
use crate::http;
use crate::report::Report;

/// A number that the machine's owner hands in, so that what ran can prove that
/// it ran after being asked.
pub struct Challenge {
    /// The file that containers find as `/nonce`.
    pub path: &'static str,
    nonce: Vec<u8>,
}

impl Challenge {
    const PATH: &'static str = "/run/osbuild/nonce";
    const BOOT_ID: &'static str = "/proc/sys/kernel/random/boot_id";
    const FIRMWARE: &'static str = "/sys/firmware/qemu_fw_cfg/by_name/opt/org.osbuild/nonce/raw";

    /// Copies it to where containers can be given it.
    pub fn publish() -> Self {
        // If nobody asks, still another one on each start.
        let nonce = std::fs::read(Self::FIRMWARE).or_else(|_| std::fs::read(Self::BOOT_ID));
        let nonce = nonce.unwrap_or_default();
        // Failing leaves no file, which the container check then reports.
        let _ = std::fs::write(Self::PATH, &nonce);
        Self { path: Self::PATH, nonce }
    }

    /// What `probe` answers as `name`.
    pub fn answer(&self, name: &str) -> String {
        let digest = Sha256::new().chain_update(&self.nonce).chain_update(name).finalize();
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// What a look at one check found.
pub type Finding = Result<Value, String>;

struct Entry {
    check: Check,
    passed: bool,
    last_failure: String,
}

/// What a start is, for what it has to show before it is committed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Start {
    /// Its slot has never been committed.
    pub is_trial: bool,
    /// The start before it did not end in order: a bad block may have ended it,
    /// which no other check need come across.
    pub follows_a_cut: bool,
}

impl Start {
    fn asks_for(self, check: &Check) -> bool {
        let is_suspect = self.follows_a_cut && matches!(check.kind, Kind::Scrub);
        check.when == When::Always || self.is_trial || is_suspect
    }
}

/// All checks that count for this start.
pub struct Board {
    entries: Vec<Entry>,
}

impl Board {
    pub fn new(contract: &Contract, start: Start) -> Self {
        let counts = |check: &&Check| start.asks_for(check);
        let entry =
            |check: &Check| Entry { check: check.clone(), passed: false, last_failure: String::new() };
        Self { entries: contract.check.iter().filter(counts).map(entry).collect() }
    }

    /// Looks at what has not passed yet, in the contract's order; what passes
    /// is reported once. "No unit has failed" is looked at last and each time,
    /// since a unit may fail after it was looked at.
    pub fn look(&mut self, challenge: &Challenge, deadline: Instant, report: &mut Report) {
        for entry in &mut self.entries {
            let is_standing = matches!(entry.check.kind, Kind::Unit { unit: None });
            if entry.passed && !is_standing {
                continue;
            }
            let had_passed = entry.passed;
            match look_at(&entry.check, challenge, deadline) {
                Ok(detail) => {
                    entry.passed = true;
                    if !had_passed {
                        report.line(
                            "check",
                            &json!({ "name": entry.check.name, "passed": true, "detail": detail }),
                        );
                    }
                }
                Err(failure) => {
                    entry.passed = false;
                    if failure != entry.last_failure {
                        report.line(
                            "check",
                            &json!({ "name": entry.check.name, "passed": false, "detail": failure }),
                        );
                        entry.last_failure = failure;
                    }
                }
            }
        }
    }

    /// Looks at everything that is cheap and can change; containers are not
    /// run again.
    pub fn look_again(&mut self, challenge: &Challenge) {
        for entry in &mut self.entries {
            entry.passed = match entry.check.kind {
                Kind::Container { .. } | Kind::Scrub | Kind::Lease => true,
                _ => look_at(&entry.check, challenge, Instant::now()).is_ok(),
            };
        }
    }

    pub fn all_passed(&self) -> bool {
        self.entries.iter().all(|entry| entry.passed)
    }

    /// Whether the settings keep all that is missing from passing.
    pub fn is_held(&self) -> bool {
        let mut missing = self.entries.iter().filter(|entry| !entry.passed).peekable();
        missing.peek().is_some() && missing.all(|entry| entry.check.is_held())
    }

    pub fn not_passed(&self) -> Vec<String> {
        self.entries.iter().filter(|entry| !entry.passed).map(|entry| entry.check.name.clone()).collect()
    }
}

fn look_at(check: &Check, challenge: &Challenge, deadline: Instant) -> Finding {
    match &check.kind {
        Kind::Unit { unit: Some(unit) } => unit_is_active(unit),
        Kind::Unit { unit: None } => no_unit_failed(),
        Kind::Socket { path } => match UnixStream::connect(path) {
            Ok(_) => Ok(json!(path)),
            Err(error) => Err(format!("{path}: {error}")),
        },
        Kind::Http { url, contains } => http::get(url, contains.as_deref()),
        Kind::Container { image: Some(image), reference: Some(reference), arguments, .. } => {
            container::run(image, reference, arguments, challenge, deadline)
        }
        Kind::Container { log: Some(pattern), answers: Some(name), .. } => {
            container::answered(pattern, &challenge.answer(name))
        }
        Kind::Container { .. } => {
            Err("the contract gives neither image and reference nor log and answers".to_owned())
        }
        Kind::Mount { path, r#type } => is_mounted(path, r#type),
        Kind::Lease => has_lease(),
        Kind::Scrub => scrub(),
    }
}

const SYSTEMCTL: &str = "/usr/bin/systemctl";
const QUICK: Duration = Duration::from_secs(20);

fn unit_is_active(unit: &str) -> Finding {
    let properties = "--property=ActiveState,ActiveEnterTimestampMonotonic";
    let output = command::run(&[SYSTEMCTL, "show", properties, unit], QUICK)?;
    let property = |name: &str| {
        output.stdout.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=')).unwrap_or("unknown")
    };
    let since_us: Option<u64> = property("ActiveEnterTimestampMonotonic").parse().ok();
    match property("ActiveState") {
        "active" => Ok(json!({ "state": "active", "since_ms": since_us.map(|us| us / 1000) })),
        other => Err(format!("{unit} is {other}")),
    }
}

fn no_unit_failed() -> Finding {
    let arguments =
        [SYSTEMCTL, "list-units", "--state=failed", "--plain", "--no-legend", "--all", "--no-pager"];
    let output = command::run(&arguments, QUICK)?;
    let failed: Vec<&str> = output.stdout.lines().filter_map(|line| line.split_whitespace().next()).collect();
    if output.status != 0 {
        return Err(format!("systemctl ended with status {}: {}", output.status, output.stderr.trim()));
    }
    if failed.is_empty() { Ok(json!([])) } else { Err(format!("failed: {}", failed.join(" "))) }
}

fn is_mounted(path: &str, kind: &str) -> Finding {
    let mounts = std::fs::read_to_string("/proc/self/mounts").map_err(|error| error.to_string())?;
    let found = mounts.lines().rev().find(|line| line.split(' ').nth(1) == Some(path));
    match found {
        Some(line) if line.split(' ').nth(2) == Some(kind) => Ok(json!(line)),
        Some(line) => Err(format!("mounted otherwise: {line}")),
        None => Err(format!("nothing is mounted on {path}")),
    }
}

fn has_lease() -> Finding {
    let leases = std::fs::read_dir("/run/systemd/netif/leases").map_err(|error| error.to_string())?;
    match leases.flatten().next() {
        Some(lease) => Ok(json!(lease.file_name().to_string_lossy())),
        None => Err("no lease yet".to_owned()),
    }
}

/// Reads the whole verified device. A bad block is not an error here but a
/// panic of the kernel, which is the point.
fn scrub() -> Finding {
    const ROOT: &str = "/dev/dm-0";
    let mut device = std::fs::File::open(ROOT).map_err(|error| format!("{ROOT}: {error}"))?;
    let mut buffer = vec![0u8; 1 << 20];
    let mut total = 0u64;
    loop {
        match device.read(&mut buffer) {
            Ok(0) => return Ok(json!({ "bytes": total })),
            Ok(count) => total += count as u64,
            Err(error) => return Err(format!("{ROOT} at byte {total}: {error}")),
        }
        osbuild_sys::notify::alive();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_the_root_is_read_in_a_trial_and_after_a_cut() {
        let contract = Contract::parse(
            "schema = 1\n\
             [[check]]\nname = \"lease\"\nkind = \"lease\"\nwhen = \"trial\"\n\
             [[check]]\nname = \"root\"\nkind = \"scrub\"\nwhen = \"trial\"\n\
             [[check]]\nname = \"units\"\nkind = \"unit\"\n",
        );
        let contract = contract.unwrap();
        for (is_trial, follows_a_cut, expected) in [
            (false, false, vec!["units"]),
            (false, true, vec!["root", "units"]),
            (true, false, vec!["lease", "root", "units"]),
            (true, true, vec!["lease", "root", "units"]),
        ] {
            let board = Board::new(&contract, Start { is_trial, follows_a_cut });
            let names: Vec<&str> = board.entries.iter().map(|entry| entry.check.name.as_str()).collect();
            assert_eq!(names, expected, "{is_trial} {follows_a_cut}");
        }
    }
}
