//! Who asks and orders: the API's server, over a socket. One question a
//! connection, a line, with a piece of a file behind it if it has one; its end
//! is the end of the stream; one answer.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::mpsc::Sender;
use std::time::Duration;

use osbuild_sys::{Failed, Result};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::imported::{Imported, Piece};
use crate::node::is_committed;
use crate::status::Status;
use crate::work::Wanted;

/// Of the API's server alone.
const SOCKET: &str = "/run/osbuild/update.socket";
/// Of a question, with what stands behind it.
const MOST_BYTES: u64 = (64 << 10) + (1 << 20);
const PATIENCE: Duration = Duration::from_secs(10);

/// What is to be done, and where to say what came of it.
pub struct Order {
    pub what: What,
    pub answer: Sender<Answer>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    Check(Wanted),
    Install(Wanted),
    Cancel,
    RollBack {
        force: bool,
    },
    LiftHold,
    /// All of an archive has come.
    Import {
        number: u64,
        size: u64,
    },
    Forget,
    Restart,
}

/// `Err`: why not.
pub type Answer = std::result::Result<Value, String>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    subject: String,
    #[serde(default)]
    query: std::collections::BTreeMap<String, String>,
}

/// Answers for as long as the program runs.
///
/// # Errors
/// The socket cannot be made.
pub fn serve(status: &Status, imported: &Imported, orders: &Sender<Order>) -> Result<()> {
    let _ = std::fs::remove_file(SOCKET);
    let listener = UnixListener::bind(SOCKET).map_err(Failed::at("listen at", SOCKET))?;
    std::fs::set_permissions(Path::new(SOCKET), std::fs::Permissions::from_mode(0o600))
        .map_err(Failed::at("protect", SOCKET))?;
    std::thread::scope(|scope| {
        for stream in listener.incoming().flatten() {
            let orders = orders.clone();
            scope.spawn(move || {
                // Who does not read the answer is not waited for.
                let _ = one(stream, status, imported, &orders);
            });
        }
    });
    Ok(())
}

fn one(
    mut stream: UnixStream,
    status: &Status,
    imported: &Imported,
    orders: &Sender<Order>,
) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut asked = Vec::new();
    (&mut stream).take(MOST_BYTES).read_to_end(&mut asked)?;
    let (code, body) = answer(&asked, status, imported, orders);
    let said = json!({ "status": code, "body": body });
    stream.write_all(said.to_string().as_bytes())
}

fn answer(asked: &[u8], status: &Status, imported: &Imported, orders: &Sender<Order>) -> (u16, Value) {
    let (line, piece) = match asked.iter().position(|byte| *byte == b'\n') {
        Some(end) => (&asked[..end], &asked[end + 1..]),
        None => (asked, &[][..]),
    };
    let question: Question = match serde_json::from_slice(line) {
        Ok(question) => question,
        Err(error) => return (400, refusal("question", &error.to_string())),
    };
    if question.subject == "update" {
        return (200, status.record());
    }
    if question.subject == "update-scrub" {
        return match (is_committed(), status.busy()) {
            (true, None) => {
                status.scrubbed.order();
                (202, status.record())
            }
            (true, Some(busy)) => (409, refusal("busy", &busy)),
            (false, _) => (409, refusal("scrub", "this start is on trial still: wait for its verdict")),
        };
    }
    // Taking a piece in disturbs nobody's work.
    if question.subject == "update-archive-put" {
        let put = piece_of(&question).map_err(|reason| (400, reason));
        return match put.and_then(|place| imported.put(place, piece).map_err(|reason| (409, reason))) {
            Ok(body) => (200, body),
            Err((code, reason)) => (code, refusal("archive", &reason)),
        };
    }
    let what = match understood(&question) {
        Ok(what) => what,
        Err(reason) => return (400, refusal("question", &reason)),
    };
    if let Some(busy) = status.busy() {
        return (409, refusal("busy", &busy));
    }
    // What takes as long as a network does, or as reading a slot, is not waited
    // for: what becomes of it is in the status.
    let is_long = matches!(what, What::Check(_) | What::Install(_) | What::RollBack { .. });
    let (sender, receiver) = std::sync::mpsc::channel();
    if is_long {
        status.begins();
    }
    if orders.send(Order { what, answer: sender }).is_err() {
        return (503, refusal("updater", "it is about to end"));
    }
    if is_long {
        return (202, status.record());
    }
    match receiver.recv() {
        Ok(Ok(body)) => (200, body),
        Ok(Err(reason)) => (409, refusal("update", &reason)),
        Err(_) => (503, refusal("updater", "it is about to end")),
    }
}

fn understood(question: &Question) -> std::result::Result<What, String> {
    let is = |name: &str| match question.query.get(name).map(String::as_str) {
        None | Some("false") => Ok(false),
        Some("" | "true") => Ok(true),
        Some(other) => Err(format!("{name}: '{other}' is neither true nor false")),
    };
    let version = question.query.get("version").cloned();
    let wanted =
        || Ok::<_, String>(Wanted { version: version.clone(), now: is("now")?, force: is("force")? });
    match question.subject.as_str() {
        "update-check" => Ok(What::Check(wanted()?)),
        "update-install" => {
            let wanted = wanted()?;
            if wanted.force && wanted.version.is_none() {
                return Err("force: say which version".to_owned());
            }
            Ok(What::Install(wanted))
        }
        "update-cancel" => Ok(What::Cancel),
        "update-roll-back" => Ok(What::RollBack { force: is("force")? }),
        "update-lift-hold" => Ok(What::LiftHold),
        "update-archive-import" => {
            let missing = || "say which import, and how large it is".to_owned();
            let number = number_in(question, "import")?.ok_or_else(missing)?;
            let size = number_in(question, "size")?.ok_or_else(missing)?;
            Ok(What::Import { number, size })
        }
        "update-archive-forget" => Ok(What::Forget),
        "update-restart" => Ok(What::Restart),
        other => Err(format!("there is no subject '{other}'")),
    }
}

fn piece_of(question: &Question) -> std::result::Result<Piece, String> {
    let number = number_in(question, "import")?;
    let offset = number_in(question, "offset")?.unwrap_or(0);
    Ok(Piece { number, offset, size: number_in(question, "size")? })
}

fn number_in(question: &Question, name: &str) -> std::result::Result<Option<u64>, String> {
    let number = |text: &String| text.parse().map_err(|_| format!("{name}: '{text}' is no number"));
    question.query.get(name).map(number).transpose()
}

fn refusal(kind: &str, message: &str) -> Value {
    json!({ "error": { "kind": kind, "message": message } })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn understand(subject: &str, query: &[(&str, &str)]) -> std::result::Result<What, String> {
        let query = query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        understood(&Question { subject: subject.to_owned(), query })
    }

    #[test]
    fn orders_are_understood_or_refused() {
        let wanted = Wanted { version: Some("1.2.3".to_owned()), now: true, force: false };
        assert_eq!(
            understand("update-install", &[("version", "1.2.3"), ("now", "true")]),
            Ok(What::Install(wanted))
        );
        assert_eq!(understand("update-roll-back", &[("force", "")]), Ok(What::RollBack { force: true }));
        assert_eq!(understand("update-cancel", &[]), Ok(What::Cancel));
        assert_eq!(
            understand("update-archive-import", &[("import", "1"), ("size", "5")]),
            Ok(What::Import { number: 1, size: 5 })
        );
        assert_eq!(understand("update-restart", &[]), Ok(What::Restart));
        for (subject, query) in [
            ("update-archive-import", ("import", "1")),
            ("update-archive-import", ("size", "-1")),
            ("update-install", ("force", "true")),
            ("update-install", ("now", "soon")),
            ("reboot", ("now", "true")),
        ] {
            assert!(understand(subject, &[query]).is_err(), "{subject}");
        }
    }

    #[test]
    fn a_piece_stands_behind_its_line() {
        let folder = std::env::temp_dir().join(format!("orders-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (status, imported) = (Status::default(), Imported::at(&folder));
        let (sender, _receiver) = std::sync::mpsc::channel();
        let put = |query: &Value, piece: &[u8]| {
            let line = json!({ "subject": "update-archive-put", "query": query }).to_string();
            answer(&[line.as_bytes(), b"\n", piece].concat(), &status, &imported, &sender)
        };
        // A piece may look like anything.
        let (code, begun) = put(&json!({}), b"{\n");
        assert_eq!((code, begun["came"].as_u64()), (200, Some(2)));
        let import = begun["import"].to_string();
        let (code, goes_on) = put(&json!({ "import": import, "offset": "2" }), b"\n\0");
        assert_eq!((code, goes_on["came"].as_u64()), (200, Some(4)));
        for (query, expected) in [
            (json!({ "import": import, "offset": "2" }), (409, "4 bytes have come")),
            (json!({ "import": import, "offset": "x" }), (400, "is no number")),
        ] {
            let (code, refused) = put(&query, b"more");
            let message = refused["error"]["message"].as_str().unwrap();
            assert!(code == expected.0 && message.contains(expected.1), "{code} {message}");
        }
        std::fs::remove_dir_all(folder).unwrap();
    }
}
