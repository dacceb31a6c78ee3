//! Whether the kernel took the parameters that the root gives it (sysctl.d(5)).
//!
//! What the node's settings say otherwise is not looked at: that is theirs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

const OURS: &str = "/usr/lib/sysctl.d/10-osbuild.conf";
const SETTINGS: &str = "/etc/sysctl.d/90-settings.conf";
const KERNEL: &str = "/proc/sys";

/// Parameters that are not as the root has them, with what they are; null
/// where the kernel knows no such parameter.
pub fn differing() -> Value {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    compare(&read(OURS), &read(SETTINGS), Path::new(KERNEL))
}

fn compare(ours: &str, settings: &str, kernel: &Path) -> Value {
    let settings = assignments(settings);
    let mut differing = serde_json::Map::new();
    for (name, wanted) in assignments(ours).into_iter().filter(|(name, _)| !settings.contains_key(name)) {
        let files = files(kernel, name);
        if files.is_empty() {
            differing.insert(name.to_owned(), Value::Null);
        }
        for file in files {
            let found = std::fs::read_to_string(&file).unwrap_or_default();
            if found.trim() != wanted {
                let name = file.strip_prefix(kernel).unwrap_or(&file).display().to_string();
                differing.insert(name, json!(found.trim()));
            }
        }
    }
    Value::Object(differing)
}

fn assignments(text: &str) -> BTreeMap<&str, &str> {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with(['#', ';']));
    lines.filter_map(|line| line.split_once('=')).map(|(name, value)| (name.trim(), value.trim())).collect()
}

/// The files of a parameter, in which a part may be `*`.
fn files(kernel: &Path, name: &str) -> Vec<PathBuf> {
    let mut found = vec![kernel.to_owned()];
    for part in name.split('.') {
        found = found
            .iter()
            .flat_map(|path| match part {
                "*" => path.read_dir().into_iter().flatten().flatten().map(|entry| entry.path()).collect(),
                part => vec![path.join(part)],
            })
            .filter(|path| path.exists())
            .collect();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_did_not_take_is_told() {
        let place = tempfile::tempdir().unwrap();
        for (name, value) in [("kernel/a", "1\n"), ("net/conf/lo/x", "0\n"), ("net/conf/eth0/x", "2\n")] {
            let file = place.path().join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, value).unwrap();
        }
        for (ours, settings, expected) in [
            ("# why\nkernel.a = 1\n", "", json!({})),
            ("kernel.a = 2\n", "", json!({ "kernel/a": "1" })),
            ("kernel.a = 2\n", "kernel.a=1\n", json!({})),
            ("kernel.b = 1\n", "", json!({ "kernel.b": null })),
            ("net.conf.*.x = 0\n", "", json!({ "net/conf/eth0/x": "2" })),
            ("net.*.none = 0\n", "", json!({ "net.*.none": null })),
        ] {
            assert_eq!(compare(ours, settings, place.path()), expected, "{ours}");
        }
    }
}
