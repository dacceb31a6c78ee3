//! The API's socket: HTTP/1.1 for local programs.
//!
//! Who may connect is the socket's mode; who did is what the kernel says of
//! the other end. Requests are small and soon over, or they are given up.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::json;
use tokio::net::UnixStream;
use tokio::sync::Semaphore;

use crate::answer::Answer;
use crate::generation::Who;

/// Of a body: a schema has some 100 KiB.
const BODY_BYTES: usize = 1 << 20;
/// For a head or a body to come.
const PATIENCE: Duration = Duration::from_secs(10);
/// Connections at a time.
const CONNECTIONS: usize = 64;

/// A question as it came.
pub struct Asked {
    pub method: String,
    pub path: String,
    pub query: BTreeMap<String, String>,
    pub body: Vec<u8>,
    pub who: Who,
}

/// Answers until `is_over`, which is asked about ten times a second. Several
/// may be asked at once: `answer` says who waits for whom.
///
/// # Errors
/// The socket cannot be listened on.
pub fn serve(
    listener: UnixListener,
    answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static,
    is_over: impl Fn() -> bool,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let answer = Arc::new(answer);
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    runtime.block_on(async {
        let listener = tokio::net::UnixListener::from_std(listener)?;
        while !is_over() {
            let Ok(accepted) = tokio::time::timeout(Duration::from_millis(100), listener.accept()).await
            else {
                continue;
            };
            // One that went away is no reason to end.
            let Ok((stream, _)) = accepted else { continue };
            let Ok(place) = Arc::clone(&room).try_acquire_owned() else { continue };
            let answer = Arc::clone(&answer);
            tokio::spawn(async move {
                let who = who(&stream);
                let service = service_fn(move |request| respond(request, who.clone(), Arc::clone(&answer)));
                let connection = hyper::server::conn::http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(PATIENCE)
                    .max_buf_size(64 << 10)
                    .serve_connection(TokioIo::new(stream), service);
                let _ = connection.await;
                drop(place);
            });
        }
        Ok(())
    })
}

async fn respond<A>(
    request: Request<Incoming>,
    who: Who,
    answer: Arc<A>,
) -> Result<Response<Full<Bytes>>, Infallible>
where
    A: Fn(&Asked) -> Answer + Send + Sync + 'static,
{
    let (head, body) = request.into_parts();
    let body = tokio::time::timeout(PATIENCE, Limited::new(body, BODY_BYTES).collect()).await;
    let body = match body {
        Ok(Ok(body)) => body.to_bytes().to_vec(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            return Ok(refused(413, "body", &format!("a body has at most {BODY_BYTES} bytes")));
        }
        Ok(Err(error)) => return Ok(refused(400, "body", &format!("the body did not come: {error}"))),
        Err(_) => return Ok(refused(408, "body", "the body did not come in time")),
    };
    let Some(query) = query(head.uri.query().unwrap_or_default()) else {
        return Ok(refused(400, "query", "the query is malformed"));
    };
    let (method, path) = (head.method.as_str().to_owned(), head.uri.path().to_owned());
    let asked = Asked { method, path, query, body, who };
    // Applying settings takes as long as services take to start.
    let done = tokio::task::spawn_blocking(move || answer(&asked));
    Ok(match done.await {
        Ok(answer) => response(&answer),
        Err(_) => refused(500, "bug", "a bug, please report it"),
    })
}

fn refused(status: u16, kind: &str, message: &str) -> Response<Full<Bytes>> {
    let error = json!({ "kind": kind, "message": message, "problems": [] });
    response(&Answer { status, body: json!({ "schema": 1, "error": error }) })
}

fn response(answer: &Answer) -> Response<Full<Bytes>> {
    let response = Response::builder()
        .status(answer.status)
        .header(CONTENT_TYPE, "application/json")
        .header(CACHE_CONTROL, "no-store")
        .body(Full::new(Bytes::from(format!("{}\n", answer.body))));
    response.expect("statuses of ours are valid")
}

/// `a=b&c=d`, percent-encoded (WHATWG URL, application/x-www-form-urlencoded);
/// `None` if a name is there twice or a byte is no text.
fn query(text: &str) -> Option<BTreeMap<String, String>> {
    let mut query = BTreeMap::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if query.insert(decoded(name)?, decoded(value)?).is_some() {
            return None;
        }
    }
    Some(query)
}

fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                let (high, low) = (digit(rest.next())?, digit(rest.next())?);
                bytes.push(u8::try_from(high * 16 + low).ok()?);
            }
            byte => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).ok()
}

/// The other end: its user, and the control group that it is in, which is the
/// name of its container or unit and nothing that it could choose.
fn who(stream: &UnixStream) -> Who {
    let Ok(peer) = stream.peer_cred() else {
        return Who { name: "unknown".to_owned(), uid: u32::MAX };
    };
    let group = peer.pid().and_then(|pid| std::fs::read_to_string(format!("/proc/{pid}/cgroup")).ok());
    let group =
        group.and_then(|text| text.lines().find_map(|line| line.strip_prefix("0::").map(str::to_owned)));
    Who { name: group.unwrap_or_else(|| "unknown".to_owned()), uid: peer.uid() }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream as Stream;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[test]
    fn queries_are_decoded() {
        let pairs = |text: &str| query(text).map(|query| query.into_iter().collect::<Vec<_>>());
        let owned = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(pairs(""), Some(vec![]));
        assert_eq!(pairs("a=b&c=d%20e+f%C3%A4"), Some(vec![owned("a", "b"), owned("c", "d e fä")]));
        assert_eq!(pairs("a"), Some(vec![owned("a", "")]));
        for bent in ["a=1&a=2", "a=%", "a=%2", "a=%zz", "a=%ff", "a=%+1"] {
            assert_eq!(pairs(bent), None, "{bent}");
        }
    }

    struct Served {
        path: std::path::PathBuf,
        over: Arc<AtomicBool>,
        thread: Option<std::thread::JoinHandle<()>>,
        _place: tempfile::TempDir,
    }

    impl Served {
        fn new() -> Self {
            let place = tempfile::tempdir().unwrap();
            let path = place.path().join("socket");
            let listener = UnixListener::bind(&path).unwrap();
            let over = Arc::new(AtomicBool::new(false));
            let is_over = Arc::clone(&over);
            let echo = |asked: &Asked| {
                assert!(asked.path != "/panic");
                let body = String::from_utf8_lossy(&asked.body).into_owned();
                let body = json!({ "method": asked.method, "path": asked.path, "query": asked.query, "body": body, "who": asked.who });
                Answer { status: 200, body }
            };
            let thread = std::thread::spawn(move || {
                serve(listener, echo, || is_over.load(Ordering::Relaxed)).unwrap()
            });
            Self { path, over, thread: Some(thread), _place: place }
        }

        fn ask(&self, text: &[u8]) -> String {
            let mut stream = Stream::connect(&self.path).unwrap();
            // A server that has heard enough may have hung up.
            let _ = stream.write_all(text);
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer);
            String::from_utf8_lossy(&answer).into_owned()
        }
    }

    impl Drop for Served {
        fn drop(&mut self) {
            self.over.store(true, Ordering::Relaxed);
            let _ = self.thread.take().unwrap().join();
        }
    }

    #[test]
    fn questions_come_through_with_who_asked() {
        let served = Served::new();
        let answer = served.ask(
            b"PATCH /v1/settings?message=a+b HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}",
        );
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        let uid = rustix::process::geteuid().as_raw();
        for expected in
            [r#""path":"/v1/settings""#, r#""message":"a b""#, r#""body":"{}""#, &format!(r#""uid":{uid}"#)]
        {
            assert!(answer.contains(expected), "{answer}");
        }
    }

    #[test]
    fn nonsense_is_refused_and_the_next_is_answered() {
        let served = Served::new();
        let large = format!(
            "PATCH / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            BODY_BYTES + 1
        );
        let large = [large.as_bytes(), &vec![b'x'; BODY_BYTES + 1]].concat();
        for (text, expected) in [
            (&b"nonsense\r\n\r\n"[..], "HTTP/1.1 400"),
            (b"\0\xff\xfe\r\n\r\n", "HTTP/1.1 400"),
            (b"GET /?a=%zz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "HTTP/1.1 400"),
            (b"GET /panic HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "HTTP/1.1 500"),
            (&large, "HTTP/1.1 413"),
        ] {
            let answer = served.ask(text);
            assert!(answer.starts_with(expected), "{expected}: {answer}");
        }
        // One that says nothing holds nobody up.
        let _silent = Stream::connect(&served.path).unwrap();
        let answer = served.ask(b"GET / HTTP/1.0\r\n\r\n");
        assert!(answer.contains("200 OK"), "{answer}");
    }
}
