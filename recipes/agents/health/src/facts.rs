//! What the report says of the system before any check: the kernel's word,
//! not ours, wherever there is one.

use std::path::Path;

use serde_json::{Value, json};

use crate::{commit, sysctls};

pub struct Facts {
    value: Value,
}

pub fn gather() -> Facts {
    let text = |path: &str| std::fs::read_to_string(path).map(|text| text.trim_end().to_owned()).ok();
    let root_mount = text("/proc/self/mounts").and_then(|mounts| {
        mounts.lines().find(|line| line.split(' ').nth(1) == Some("/")).map(str::to_owned)
    });
    let json_file = |path: &str| text(path).and_then(|text| serde_json::from_str::<Value>(&text).ok());
    let value = json!({
        "slot": commit::at_start(),
        "verity_table": osbuild_sys::dm::table("osroot").map_or_else(|error| json!({ "failure": error.to_string() }), Value::from),
        "root_mount": root_mount,
        // A mapping may be there and something else mounted.
        "root_device": root_device(),
        "verity_device": text("/sys/block/dm-0/dev"),
        "root_writable": root_is_writable(),
        "command_line": text("/proc/cmdline"),
        "kernel": text("/proc/sys/kernel/osrelease"),
        "lockdown": text("/sys/kernel/security/lockdown"),
        "takes_modules": Path::new("/proc/modules").exists(),
        "sysctls": sysctls::differing(),
        "os_release": osbuild_sys::os_release::read().ok(),
        "machine_id": text("/etc/machine-id"),
        "early": json_file("/run/osbuild/early.json"),
        "storage": json_file("/run/osbuild/storage.json"),
    });
    Facts { value }
}

impl Facts {
    pub fn to_json(&self) -> Value {
        self.value.clone()
    }
}

/// `major:minor` of what is mounted on `/` (proc(5), mountinfo: field 3).
fn root_device() -> Option<String> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
    let root = mounts.lines().find(|line| line.split(' ').nth(4) == Some("/"))?;
    root.split(' ').nth(2).map(str::to_owned)
}

/// Tries it: a flag in a mount table is a claim, a refused write is a fact.
fn root_is_writable() -> bool {
    let path = "/usr/.osbuild-write-test";
    let written = std::fs::write(path, b"x").is_ok();
    if written {
        let _ = std::fs::remove_file(path);
    }
    written
}
