//! All that one who is asked for help wants to see, in one archive.
//!
//! It is made of the API's own answers, each as a record and as text: there is
//! nothing in it that one could not ask for by itself, and so no secret. What
//! could not be had is named in it, and does not keep the rest back.

use std::io::{IsTerminal, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use tar::{Builder, Header};

use crate::ask::{Failure, ask};
use crate::node::Logs;
use crate::show;

/// Of the archive before it is packed; what would go beyond is left out.
const MOST_BYTES: usize = 48 << 20;
const JOURNAL_LINES: u32 = 10_000;
/// Of how it all began.
const FIRST_LINES: u32 = 2000;
const AUDIT_ENTRIES: u32 = 1000;

/// What is asked for, and how people read it.
struct Part {
    name: &'static str,
    address: String,
    shown: Option<fn(&Value) -> String>,
}

fn parts() -> Vec<Part> {
    let part = |name, address: &str, shown| Part { name, address: address.to_owned(), shown };
    let logs = |name, wanted: Logs| Part { name, address: wanted.address(), shown: Some(show::node::logs) };
    let last = Logs { lines: JOURNAL_LINES, ..Logs::default() };
    vec![
        part("report", "/v1/node/report", Some(show::node::report)),
        part("services", "/v1/node/services", Some(show::node::services)),
        part("boot", "/v1/node/boot", Some(show::node::boot)),
        part("slots", "/v1/node/slots", Some(show::node::slots)),
        part("status", "/v1/status", Some(show::status)),
        part("settings", "/v1/settings", Some(|record| show::toml(&record["settings"]))),
        part("settings-set", "/v1/settings?view=set", Some(|record| show::toml(&record["settings"]))),
        part("history", "/v1/history", Some(show::history)),
        part("audit", &format!("/v1/audit?most={AUDIT_ENTRIES}"), Some(show::audit)),
        part("schema", "/v1/schema", None),
        logs("journal", last.clone()),
        logs("journal-start", Logs { boot: true, lines: FIRST_LINES, ..Logs::default() }),
        logs("kernel", Logs { kernel: true, ..last }),
    ]
}

/// Writes it to a file, or to standard output (`-`).
pub(crate) fn write(file: &str) -> Result<(), Failure> {
    let is_output = file == "-";
    if is_output && std::io::stdout().is_terminal() {
        return Err(Failure::usage("an archive is nothing for a terminal: name a file, or send it on"));
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let archive = packed(&collect(now, MOST_BYTES, |address| ask("GET", address, None))?);
    let written = if is_output { std::io::stdout().lock().write_all(&archive) } else { keep(file, &archive) };
    written.map_err(|error| Failure { status: 1, lines: vec![format!("{file}: {error}")] })
}

/// For its owner alone: logs say much of a node.
fn keep(file: &str, archive: &[u8]) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    options.open(file)?.write_all(archive)
}

fn collect(
    now: u64,
    most_bytes: usize,
    mut ask: impl FnMut(&str) -> Result<Value, Failure>,
) -> Result<Vec<u8>, Failure> {
    let mut tar = Builder::new(Vec::new());
    let (mut contents, mut problems) = (Vec::new(), serde_json::Map::new());
    for Part { name, address, shown } in parts() {
        let record = match ask(&address) {
            Ok(record) => record,
            // Nobody answers the others either.
            Err(failure) if failure.status == 3 => return Err(failure),
            Err(failure) => {
                problems.insert(name.to_owned(), json!(failure.lines));
                continue;
            }
        };
        let mut files = vec![(format!("{name}.json"), format!("{record}\n"))];
        files.extend(shown.map(|shown| (format!("{name}.txt"), shown(&record))));
        for (file, text) in files {
            if tar.get_ref().len() + text.len() > most_bytes {
                problems.insert(file, json!(["left out: the bundle would be too large"]));
                continue;
            }
            add(&mut tar, &format!("node/{file}"), now, text.as_bytes());
            contents.push(file);
        }
    }
    let about = json!({ "schema": 1, "madeAt": now, "contents": contents, "problems": problems });
    add(&mut tar, "node/bundle.json", now, format!("{about}\n").as_bytes());
    Ok(tar.into_inner().expect("memory takes all of it"))
}

/// Adds a file that its owner alone may read. `at` is in seconds since 1970.
fn add(tar: &mut Builder<Vec<u8>>, name: &str, at: u64, contents: &[u8]) {
    let mut header = Header::new_ustar();
    header.set_mode(0o600);
    header.set_mtime(at);
    header.set_size(contents.len() as u64);
    tar.append_data(&mut header, name, contents).expect("memory takes all of it");
}

fn packed(archive: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(archive).expect("memory takes all of it");
    encoder.finish().expect("memory takes all of it")
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::process::{Command, Stdio};

    use super::*;

    /// Names and contents of an archive.
    fn unpacked(archive: &[u8]) -> Vec<(String, String)> {
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(archive));
        let entries = archive.entries().unwrap().map(|entry| {
            let mut entry = entry.unwrap();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            (entry.path().unwrap().display().to_string(), text)
        });
        entries.collect()
    }

    #[test]
    fn every_answer_is_in_it_as_record_and_as_text() {
        let mut asked = Vec::new();
        let archive = collect(7, MOST_BYTES, |address| {
            asked.push(address.to_owned());
            Ok(json!({ "asked": address }))
        });
        let files = unpacked(&packed(&archive.unwrap()));
        let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
        for name in ["report.json", "report.txt", "settings.txt", "journal.json", "kernel.txt", "bundle.json"]
        {
            assert!(names.contains(&format!("node/{name}").as_str()), "{name}: {names:?}");
        }
        assert!(asked.contains(&"/v1/node/logs?lines=10000&source=kernel".to_owned()), "{asked:?}");
        let about: Value = serde_json::from_str(&files.last().unwrap().1).unwrap();
        assert_eq!(
            (&about["madeAt"], about["contents"].as_array().unwrap().len()),
            (&json!(7), files.len() - 1)
        );
    }

    #[test]
    fn what_is_refused_is_named_and_the_rest_is_there() {
        let archive = collect(0, MOST_BYTES, |address| match address {
            "/v1/node/slots" => Err(Failure { status: 1, lines: vec!["no disk".to_owned()] }),
            _ => Ok(json!({})),
        });
        let files = unpacked(&packed(&archive.unwrap()));
        assert!(files.iter().all(|(name, _)| !name.contains("slots")));
        let about: Value = serde_json::from_str(&files.last().unwrap().1).unwrap();
        assert_eq!(about["problems"], json!({ "slots": ["no disk"] }));
        let silent = collect(0, MOST_BYTES, |_| Err(Failure { status: 3, lines: vec!["gone".to_owned()] }));
        assert_eq!(silent.unwrap_err().lines, ["gone"]);
    }

    #[test]
    fn it_has_a_size() {
        let large = "x".repeat(10_000);
        let archive = collect(0, 40_000, |_| Ok(json!({ "x": large }))).unwrap();
        assert!(archive.len() < 50_000, "{}", archive.len());
        let files = unpacked(&packed(&archive));
        let about: Value = serde_json::from_str(&files.last().unwrap().1).unwrap();
        assert_eq!(about["problems"]["kernel.json"], json!(["left out: the bundle would be too large"]));
    }

    #[test]
    fn another_program_unpacks_it() {
        let mut tar = Builder::new(Vec::new());
        add(&mut tar, "node/a.json", 1_700_000_000, b"{}\n");
        add(&mut tar, "node/empty", 0, b"");
        add(&mut tar, "node/b.txt", 0, &[b'x'; 600]);
        let mut judge = Command::new("tar")
            .args(["--list", "--verbose", "--utc", "--numeric-owner", "--file=-"])
            .env("TZ", "UTC")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        judge.stdin.take().unwrap().write_all(&tar.into_inner().unwrap()).unwrap();
        let said = judge.wait_with_output().unwrap();
        assert!(said.status.success());
        let said = String::from_utf8(said.stdout).unwrap();
        let lines: Vec<Vec<&str>> = said.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[0], ["-rw-------", "0/0", "3", "2023-11-14", "22:13", "node/a.json"]);
        assert_eq!((lines[1][2], lines[2][2], lines.len()), ("0", "600", 3));
    }
}
