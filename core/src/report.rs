//! What a node says of its starts over the report port of its machine
//! (`org.osbuild.report.0`), and whether that is what a release promises.
//!
//! A pure reading: whoever has the machine reads the port. The node's word is
//! taken for what it saw; that its kernel checks the root and started from this
//! command line is asked of what the kernel says there.

use osbuild_boot::slot::{Bits, Pair, Slot};
use osbuild_format::release::Release;
use serde_json::Value;

/// The lines of one start, in their order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Start {
    pub boot_id: String,
    lines: Vec<Value>,
}

/// Reads what has arrived; an incomplete last line is left for later.
///
/// # Errors
/// What the first line that is none says, or the number that is out of order.
pub fn parse(bytes: &[u8]) -> Result<Vec<Start>, String> {
    let mut starts: Vec<Start> = Vec::new();
    for line in bytes.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n")) {
        let said = || String::from_utf8_lossy(line).trim_end().to_owned();
        let value: Value = serde_json::from_slice(line)
            .map_err(|error| format!("no line of a report: {error}: {}", said()))?;
        if value["schema"] != 1 {
            return Err(format!("a line of another schema: {}", said()));
        }
        let boot_id =
            value["boot_id"].as_str().ok_or_else(|| format!("a line without boot_id: {}", said()))?;
        if starts.last().is_none_or(|start| start.boot_id != boot_id) {
            starts.push(Start { boot_id: boot_id.to_owned(), lines: Vec::new() });
        }
        let start = starts.last_mut().expect("one was just added");
        if value["seq"] != start.lines.len() as u64 {
            return Err(format!("line {} where {} was due: a part is lost", value["seq"], start.lines.len()));
        }
        start.lines.push(value);
    }
    Ok(starts)
}

impl Start {
    /// The data of the last event of that name.
    pub fn event(&self, name: &str) -> Option<&Value> {
        self.lines.iter().rev().find(|line| line["event"] == name).map(|line| &line["data"])
    }

    /// Each event with its data.
    pub fn events(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.lines.iter().map(|line| (line["event"].as_str().unwrap_or_default(), &line["data"]))
    }

    /// What was said of the start at its end, and why.
    pub fn verdict(&self) -> Option<&str> {
        self.event("verdict").map(|data| data["verdict"].as_str().unwrap_or("none"))
    }

    /// The version that says that it runs.
    pub fn version(&self) -> Option<&str> {
        self.event("started")?["os_release"]["VERSION_ID"].as_str()
    }

    /// The slot that it was started from.
    pub fn slot(&self) -> Option<Slot> {
        match self.event("started")?["slot"]["running"].as_str()? {
            "A" => Some(Slot::A),
            "B" => Some(Slot::B),
            _ => None,
        }
    }
}

/// Whether a start is this release's, and was committed; what is otherwise.
pub fn judge(start: &Start, release: &Release) -> Vec<String> {
    let mut failures = Vec::new();
    match start.verdict() {
        Some("healthy") => {}
        None => failures.push("it gave no verdict".to_owned()),
        Some(other) => {
            let data = start.event("verdict").unwrap_or(&Value::Null);
            let why = match (&data["failing"], &data["failure"]) {
                (Value::Array(failing), _) => {
                    let names: Vec<&str> = failing.iter().filter_map(Value::as_str).collect();
                    format!(": {}", names.join(", "))
                }
                (_, Value::String(failure)) => format!(": {failure}"),
                _ => String::new(),
            };
            failures.push(format!("its verdict is {other}{why}"));
        }
    }
    if start.event("committed").is_none() {
        failures.push("it did not commit its slot".to_owned());
    }
    let Some(started) = start.event("started") else {
        failures.push("it does not say what it is".to_owned());
        return failures;
    };
    let os_release = |field: &str| started["os_release"][field].as_str().unwrap_or("nothing").to_owned();
    let pairs = [
        ("VARIANT_ID", os_release("VARIANT_ID"), release.variant.clone()),
        ("VERSION_ID", os_release("VERSION_ID"), release.version.clone()),
        ("OSBUILD_ROLLBACK_INDEX", os_release("OSBUILD_ROLLBACK_INDEX"), release.rollback_index.to_string()),
        ("the root hash", measured_root(started), release.root.root_hash.clone()),
        (
            "the command line",
            started["command_line"].as_str().unwrap_or("nothing").to_owned(),
            release.uki.command_line.clone(),
        ),
    ];
    for (what, found, due) in pairs {
        if found != due {
            failures.push(format!("{what} is {found}, and {due} of the release"));
        }
    }
    failures
}

/// The root hash of the device that the root is mounted from, by the kernel's
/// table (dm-verity: start length `verity` version data hash block block blocks
/// start algorithm digest salt …).
fn measured_root(started: &Value) -> String {
    let table = started["verity_table"].as_str().unwrap_or_default();
    let fields: Vec<&str> = table.split_whitespace().collect();
    let device = &started["verity_device"];
    match fields[..] {
        [_, _, "verity", _, _, _, _, _, _, _, "sha256", digest, ..]
            if !device.is_null() && started["root_device"] == *device =>
        {
            digest.to_owned()
        }
        _ => "nobody's: no verity device is the root".to_owned(),
    }
}

/// Whether a disk's bits are those after a slot was committed (O1), as the other
/// one was before.
pub fn judge_bits(bits: Pair, running: Slot, other: Bits) -> Vec<String> {
    let mut failures = Vec::new();
    for (slot, due) in [(running, Bits::GOOD), (running.other(), other)] {
        if bits.of(slot) != due {
            failures.push(format!("slot {} is {:?} on the disk, due is {due:?}", slot.name(), bits.of(slot)));
        }
    }
    failures
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ROOT_HASH: &str = "588938c1";

    fn release() -> Release {
        let text = json!({ "schema": 1, "variant": "qemu-dev", "arch": "x86_64", "version": "2.0.0",
            "rollback_index": 2, "floor": 0, "min_from_index": 0, "layout": "l",
            "root": { "size": 1, "sha256": "a", "root_hash": ROOT_HASH, "salt": "s", "blocks": 1 },
            "hash": { "size": 1, "sha256": "a" },
            "uki": { "size": 1, "sha256": "a", "unsigned_sha256": "a", "command_line": "ro quiet" },
            "loader": { "size": 1, "sha256": "a" }, "segments": { "file": "f", "sha256": "a" },
            "settings_schema": 1, "health_sha256": "a", "sbom": [], "attestations": [] });
        Release::parse(text.to_string().as_bytes()).unwrap()
    }

    fn started() -> Value {
        json!({ "os_release": { "VARIANT_ID": "qemu-dev", "VERSION_ID": "2.0.0", "OSBUILD_ROLLBACK_INDEX": "2" },
            "slot": { "running": "B" }, "command_line": "ro quiet",
            "root_device": "253:0", "verity_device": "253:0",
            "verity_table": format!("0 8 verity 1 254:6 254:7 4096 4096 1 0 sha256 {ROOT_HASH} 9ddb 1 panic_on_corruption") })
    }

    fn lines(boot_id: &str, events: &[(&str, Value)]) -> String {
        let line = |(seq, (event, data)): (usize, &(&str, Value))| {
            format!(
                "{}\n",
                json!({ "schema": 1, "boot_id": boot_id, "seq": seq, "uptime_ms": 1, "event": event, "data": data })
            )
        };
        events.iter().enumerate().map(line).collect()
    }

    fn good() -> Vec<(&'static str, Value)> {
        vec![
            ("started", started()),
            ("committed", json!({ "slots": {} })),
            ("verdict", json!({ "verdict": "healthy" })),
        ]
    }

    #[test]
    fn starts_are_told_apart_and_a_line_that_is_on_its_way_waits() {
        let text = lines("one", &good()) + &lines("two", &good()[..1]);
        let starts = parse(text.as_bytes()).unwrap();
        let seen: Vec<_> = starts.iter().map(|start| (start.boot_id.as_str(), start.verdict())).collect();
        assert_eq!(seen, [("one", Some("healthy")), ("two", None)]);
        assert_eq!((starts[1].version(), starts[1].slot()), (Some("2.0.0"), Some(Slot::B)));
        let whole = lines("one", &good());
        assert_eq!(parse(&whole.as_bytes()[..whole.len() - 1]).unwrap()[0].verdict(), None);
        for (bent, said) in [
            (whole.replace("\"seq\":1", "\"seq\":4"), "line 4 where 1 was due"),
            (whole.replace("\"schema\":1", "\"schema\":2"), "another schema"),
            (whole.replace("boot_id", "id"), "without boot_id"),
            (format!("{whole}\n"), "no line of a report"),
        ] {
            let error = parse(bent.as_bytes()).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn only_the_release_itself_and_committed_passes() {
        let failures =
            |events: &[(&str, Value)]| judge(&parse(lines("one", events).as_bytes()).unwrap()[0], &release());
        assert_eq!(failures(&good()), [] as [String; 0]);
        let with = |pointer: &str, value: Value| {
            let mut events = good();
            *events[0].1.pointer_mut(pointer).unwrap() = value;
            events
        };
        let cases = [
            (with("/os_release/VERSION_ID", json!("1.0.0")), "VERSION_ID is 1.0.0"),
            (with("/os_release/VARIANT_ID", json!("other")), "VARIANT_ID is other"),
            (with("/os_release/OSBUILD_ROLLBACK_INDEX", json!("1")), "OSBUILD_ROLLBACK_INDEX is 1"),
            (with("/os_release", Value::Null), "VERSION_ID is nothing"),
            (with("/command_line", json!("ro quiet init=/bin/sh")), "the command line is"),
            (with("/root_device", json!("254:2")), "the root hash is nobody's"),
            (with("/verity_table", json!({ "failure": "none" })), "the root hash is nobody's"),
            (
                with("/verity_table", json!("0 8 verity 1 254:6 254:7 4096 4096 1 0 sha256 00 9ddb")),
                "the root hash is 00",
            ),
            (good()[..2].to_vec(), "no verdict"),
            (vec![good()[0].clone(), good()[2].clone()], "did not commit"),
            (good()[1..].to_vec(), "does not say what it is"),
            (
                vec![
                    good()[0].clone(),
                    ("verdict", json!({ "verdict": "unhealthy", "failing": ["a", "b"] })),
                ],
                "its verdict is unhealthy: a, b",
            ),
            (
                vec![
                    good()[0].clone(),
                    ("verdict", json!({ "verdict": "uncommitted", "failure": "no disk" })),
                ],
                "its verdict is uncommitted: no disk",
            ),
        ];
        for (events, said) in cases {
            let failures = failures(&events);
            assert!(failures.iter().any(|failure| failure.contains(said)), "{said}: {failures:?}");
        }
    }

    #[test]
    fn the_disk_says_that_it_was_committed() {
        let other = Bits { priority: 1, ..Bits::GOOD };
        let good = Pair { a: other, b: Bits::GOOD };
        assert_eq!(judge_bits(good, Slot::B, other), [] as [String; 0]);
        for bent in [
            Pair { b: Bits { tries: 2, ..Bits::TRIAL }, ..good },
            Pair { b: Bits { forced: true, ..Bits::GOOD }, ..good },
            Pair { a: Bits::EMPTY, ..good },
        ] {
            assert_eq!(judge_bits(bent, Slot::B, other).len(), 1, "{bent:?}");
        }
        assert_eq!(judge_bits(good, Slot::A, Bits::GOOD).len(), 1, "the other slot runs");
    }
}
