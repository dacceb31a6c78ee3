//! Questions about the running system and its updates, handed on to the programs
//! that look.
//!
//! That is another one, which the service manager starts for each question:
//! looking takes privileges that keeping settings does not, it takes time in
//! which nobody should wait for settings, and whatever goes wrong with it goes
//! wrong there. What it may be asked with which values is its own law.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::answer::{Answer, Refusal, Request};
use crate::routes::find;

/// For all of an answer: the service manager gives it 60 s.
const LIMIT: Duration = Duration::from_secs(65);
/// Of an answer.
const MOST_BYTES: u64 = 8 << 20;
/// At a time.
const MOST_ASKED: usize = 4;

/// The way to the programs that look.
pub struct Inspector {
    looker: PathBuf,
    updater: PathBuf,
    limit: Duration,
    asked: AtomicUsize,
}

/// What it says.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    status: u16,
    body: Value,
}

impl Inspector {
    pub fn new(looker: impl Into<PathBuf>, updater: impl Into<PathBuf>) -> Self {
        Self { looker: looker.into(), updater: updater.into(), limit: LIMIT, asked: AtomicUsize::new(0) }
    }

    /// Answers a question about the running system; `None` if it is about
    /// settings.
    pub fn answer(&self, request: &Request<'_>) -> Option<Answer> {
        let (route, _) = find(request.method, request.path).ok()?;
        let subject = route.ask.subject()?;
        let granted = route.check_query(request.query).and_then(|()| {
            let place = Place::take(&self.asked)?;
            let socket = if subject.starts_with("update") { &self.updater } else { &self.looker };
            let mut question = json!({ "subject": subject, "query": request.query }).to_string().into_bytes();
            if route.body == "bytes" {
                // A line, and what belongs to it.
                question.push(b'\n');
                question.extend_from_slice(request.body);
            }
            let said = self.ask(socket, &question);
            drop(place);
            said.map_err(|reason| Refusal::new(503, "inspect", format!("nobody could look: {reason}")))
        });
        Some(match granted {
            Ok(Said { status, body }) => Answer { status, body },
            Err(refusal) => refusal.into(),
        })
    }

    fn ask(&self, socket: &Path, question: &[u8]) -> Result<Said, String> {
        let at = |error: std::io::Error| format!("{}: {error}", socket.display());
        let deadline = Instant::now() + self.limit;
        let mut stream = UnixStream::connect(socket).map_err(at)?;
        stream.set_write_timeout(Some(self.limit)).map_err(at)?;
        stream.write_all(question).map_err(at)?;
        stream.shutdown(Shutdown::Write).map_err(at)?;
        let mut said = Vec::new();
        let mut buffer = vec![0; 64 << 10];
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(format!("no answer within {} s", self.limit.as_secs_f32()));
            }
            stream.set_read_timeout(Some(left)).map_err(at)?;
            match stream.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => said.extend_from_slice(&buffer[..count]),
                // The deadline, or nothing of importance.
                Err(error)
                    if [
                        std::io::ErrorKind::WouldBlock,
                        std::io::ErrorKind::TimedOut,
                        std::io::ErrorKind::Interrupted,
                    ]
                    .contains(&error.kind()) => {}
                Err(error) => return Err(at(error)),
            }
            if said.len() as u64 > MOST_BYTES {
                return Err(format!("the answer has more than {MOST_BYTES} bytes"));
            }
        }
        serde_json::from_slice(&said).map_err(|error| format!("the answer is not understood: {error}"))
    }
}

/// One of the questions that are being answered.
struct Place<'p>(&'p AtomicUsize);

impl<'p> Place<'p> {
    fn take(asked: &'p AtomicUsize) -> Result<Self, Refusal> {
        if asked.fetch_add(1, Ordering::Relaxed) < MOST_ASKED {
            return Ok(Self(asked));
        }
        asked.fetch_sub(1, Ordering::Relaxed);
        let message = format!("{MOST_ASKED} questions about the node are being answered: ask again");
        Err(Refusal::new(503, "busy", message))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::os::unix::net::UnixListener;

    use super::*;
    use crate::generation::Who;

    /// Asks somebody who says `said`; the answer, and what that one was asked.
    fn ask(path: &str, query: &[(&str, &str)], said: &'static str) -> (Option<Answer>, String) {
        ask_with("GET", path, query, &[], said)
    }

    fn ask_with(
        method: &str,
        path: &str,
        query: &[(&str, &str)],
        body: &[u8],
        said: &'static str,
    ) -> (Option<Answer>, String) {
        let place = tempfile::tempdir().unwrap();
        let socket = place.path().join("inspect");
        let listener = UnixListener::bind(&socket).unwrap();
        let asked = std::thread::spawn(move || {
            listener.set_nonblocking(true).unwrap();
            for _ in 0..30 {
                if let Ok((mut stream, _)) = listener.accept() {
                    stream.set_nonblocking(false).unwrap();
                    let mut asked = String::new();
                    stream.read_to_string(&mut asked).unwrap();
                    stream.write_all(said.as_bytes()).unwrap();
                    return asked;
                }
                std::thread::sleep(Duration::from_millis(10));
            }
            String::new()
        });
        let query: BTreeMap<String, String> =
            query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let who = Who { name: "test".to_owned(), uid: 0 };
        let request = Request { method, path, query: &query, body, who };
        let inspector = Inspector { limit: Duration::from_secs(5), ..Inspector::new(&socket, &socket) };
        let answer = inspector.answer(&request);
        assert_eq!(inspector.asked.load(Ordering::Relaxed), 0);
        (answer, asked.join().unwrap())
    }

    fn message(answer: &Option<Answer>) -> (u16, &str) {
        let answer = answer.as_ref().unwrap();
        (answer.status, answer.body["error"]["message"].as_str().unwrap_or_default())
    }

    #[test]
    fn a_question_is_handed_on_and_its_answer_back() {
        let said = r#"{"status":404,"body":{"schema":1}}"#;
        let (answer, asked) = ask("/v1/node/logs", &[("unit", "a.service")], said);
        assert_eq!(answer, Some(Answer { status: 404, body: json!({ "schema": 1 }) }));
        assert_eq!(asked, r#"{"query":{"unit":"a.service"},"subject":"logs"}"#);
    }

    #[test]
    fn a_piece_of_a_file_stands_behind_its_question() {
        let said = r#"{"status":200,"body":{}}"#;
        let (answer, asked) = ask_with("PUT", "/v1/update/archive", &[("offset", "5")], b"{\n\0", said);
        assert_eq!(answer.unwrap().status, 200);
        assert_eq!(asked, "{\"query\":{\"offset\":\"5\"},\"subject\":\"update-archive-put\"}\n{\n\0");
        let (_, asked) = ask_with("DELETE", "/v1/update/archive", &[], b"body", said);
        assert!(!asked.contains("body"), "{asked}");
    }

    #[test]
    fn what_it_has_no_place_for_is_not_handed_on() {
        let (answer, asked) = ask("/v1/node/slots", &[("unit", "a")], "");
        assert_eq!(message(&answer), (400, "/v1/node/slots has no 'unit'"));
        assert_eq!(asked, "");
        assert_eq!(ask("/v1/settings", &[], "").0, None);
        assert_eq!(ask("/v1/node/more", &[], "").0, None);
    }

    #[test]
    fn one_who_does_not_answer_is_named() {
        for said in ["", "{", r#"{"status":200}"#, r#"{"status":"x","body":1}"#] {
            let (answer, _) = ask("/v1/node/boot", &[], said);
            let (status, text) = message(&answer);
            assert!(
                status == 503 && text.starts_with("nobody could look: the answer is not understood"),
                "{text}"
            );
        }
        let who = Who { name: "test".to_owned(), uid: 0 };
        let request =
            Request { method: "GET", path: "/v1/node/boot", query: &BTreeMap::new(), body: &[], who };
        let answer = Inspector::new("/nonexistent/inspect", "/nonexistent/update").answer(&request);
        assert!(message(&answer).1.contains("/nonexistent/inspect: No such file"), "{answer:?}");
    }

    #[test]
    fn only_so_many_are_answered_at_a_time() {
        let asked = AtomicUsize::new(0);
        let places: Vec<_> = (0..MOST_ASKED).map(|_| Place::take(&asked).ok().unwrap()).collect();
        assert!(Place::take(&asked).is_err());
        drop(places);
        assert!(Place::take(&asked).is_ok());
    }
}
