//! Looks at the running system for whoever asks over the API.
//!
//! A question is on standard input, `{"subject", "query"}`; the answer goes to
//! standard output, `{"status", "body"}`, with the status of HTTP. It changes
//! nothing, keeps nothing and asks nobody outside the node: what it says is
//! what the kernel, the service manager and the journal say at that moment.

mod boot;
mod logs;
mod question;
mod report;
mod services;
mod slots;
mod system;

use std::io::{Read, Write};
use std::process::ExitCode;
use std::time::SystemTime;

use question::{Question, Refused};
use serde_json::{Value, json};

/// Of a question.
const MOST_BYTES: u64 = 64 << 10;

fn main() -> ExitCode {
    let mut asked = Vec::new();
    if let Err(error) = std::io::stdin().lock().take(MOST_BYTES).read_to_end(&mut asked) {
        eprintln!("the question did not come: {error}");
        return ExitCode::FAILURE;
    }
    let (status, body) = match Question::parse(&asked, SystemTime::now()) {
        Ok(question) => answer(&question),
        Err(Refused(message)) => (400, problem("query", &message)),
    };
    let answer = json!({ "status": status, "body": body });
    match std::io::stdout().lock().write_all(answer.to_string().as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever asked went away.
        Err(_) => ExitCode::FAILURE,
    }
}

fn answer(question: &Question) -> (u16, Value) {
    let looked = match question {
        Question::Services { name: None } => services::all(),
        Question::Services { name: Some(name) } => match services::one(name) {
            Ok(None) => return (404, problem("not-found", &format!("there is no unit {name}"))),
            Ok(Some(record)) => Ok(record),
            Err(reason) => Err(reason),
        },
        Question::Logs(wanted) => logs::read(wanted).map(|lines| lines.to_json()),
        Question::Boot => Ok(boot::record()),
        Question::Slots => slots::record(),
        Question::Report => Ok(report::record()),
    };
    match looked {
        Ok(body) => (200, body),
        Err(reason) => (500, problem("inspect", &reason)),
    }
}

/// As the API says what went wrong.
fn problem(kind: &str, message: &str) -> Value {
    json!({ "schema": 1, "error": { "kind": kind, "message": message, "problems": [] } })
}
