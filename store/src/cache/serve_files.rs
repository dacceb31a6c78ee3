//! A directory served as it is, with parts of files: what any static web server
//! does, for tests and for those who have none.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, ETAG, IF_RANGE, RANGE};
use hyper::{Method, Request, Response, StatusCode};
use tokio::sync::mpsc;

use super::serve::{Body, CHUNK_BYTES, Chunks, WAITING_CHUNKS, empty, listen, plain};

/// See the module.
pub struct FileServer {
    root: PathBuf,
}

impl FileServer {
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// Answers until `stopped` says so, which is asked every now and then.
    /// `log` gets a line for each request.
    ///
    /// # Errors
    /// The listener does not work.
    pub fn run(
        self,
        listener: TcpListener,
        stopped: impl Fn() -> bool,
        log: impl Fn(&str) + Send + Sync + 'static,
    ) -> io::Result<()> {
        listen(listener, stopped, log, move |request| self.answer(request).map_err(|error| error.to_string()))
    }

    fn answer(&self, request: &Request<Incoming>) -> io::Result<Response<Body>> {
        if ![Method::GET, Method::HEAD].contains(request.method()) {
            return Ok(plain(StatusCode::METHOD_NOT_ALLOWED, "this server is read-only\n"));
        }
        let absent = || plain(StatusCode::NOT_FOUND, "there is no such file\n");
        let Some(name) = plain_path(request.uri().path()) else { return Ok(absent()) };
        let mut file = match File::open(self.root.join(name)) {
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(absent());
            }
            other => other?,
        };
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Ok(absent());
        }
        let size = metadata.len();
        let written = metadata.modified()?.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let tag = format!("\"{size:x}-{:x}\"", written.as_nanos());
        let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
        // A part of what is no longer the same file is of no use.
        let is_same = header(IF_RANGE).is_none_or(|known| known == tag);
        let part = header(RANGE).filter(|_| is_same).and_then(|range| part(range, size));
        let response = Response::builder().header(ACCEPT_RANGES, "bytes").header(ETAG, tag);
        let (from, length, response) = match part {
            None => (0, size, response),
            Some(Part::Beyond) => {
                let response = response.status(StatusCode::RANGE_NOT_SATISFIABLE);
                let response = response.header(CONTENT_RANGE, format!("bytes */{size}"));
                return Ok(response.body(empty()).expect("every header is well-formed"));
            }
            Some(Part::Of { first, last }) => {
                let response = response.status(StatusCode::PARTIAL_CONTENT);
                let response = response.header(CONTENT_RANGE, format!("bytes {first}-{last}/{size}"));
                (first, last - first + 1, response)
            }
        };
        let response = response.header(CONTENT_LENGTH, length);
        let body = if request.method() == Method::HEAD {
            empty()
        } else {
            file.seek(SeekFrom::Start(from))?;
            stream(file.take(length))
        };
        Ok(response.body(body).expect("every header is well-formed"))
    }
}

/// The part of a file that is asked for (RFC 9110 §14.1.2).
#[derive(Debug, PartialEq, Eq)]
enum Part {
    Of { first: u64, last: u64 },
    Beyond,
}

/// One part; several at once, or what is none, get the whole file.
fn part(range: &str, size: u64) -> Option<Part> {
    let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    let (first, last) = match (first, last) {
        ("", suffix) => (size.saturating_sub(suffix.parse().ok()?), size.checked_sub(1)?),
        (first, "") => (first.parse().ok()?, size.saturating_sub(1)),
        (first, last) => (first.parse().ok()?, last.parse::<u64>().ok()?.min(size.saturating_sub(1))),
    };
    if first >= size {
        return Some(Part::Beyond);
    }
    (first <= last).then_some(Part::Of { first, last })
}

/// A path below the root that leads nowhere else and to nothing hidden.
fn plain_path(path: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = path.strip_prefix('/')?.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            byte => byte,
        });
    }
    let path = String::from_utf8(bytes).ok()?;
    let is_plain = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.contains(['\0', '\\']);
    path.split('/').all(is_plain).then_some(path)
}

fn stream(mut file: io::Take<File>) -> Body {
    let (sender, receiver) = mpsc::channel(WAITING_CHUNKS);
    tokio::task::spawn_blocking(move || {
        loop {
            let mut chunk = vec![0; CHUNK_BYTES];
            let sent = match file.read(&mut chunk) {
                Ok(0) => return,
                Ok(count) => {
                    chunk.truncate(count);
                    sender.blocking_send(Ok(Bytes::from(chunk)))
                }
                Err(error) => sender.blocking_send(Err(error)),
            };
            if sent.is_err() {
                return;
            }
        }
    });
    StreamBody::new(Chunks(receiver)).boxed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_file() {
        for (range, expected) in [
            ("bytes=0-", Some(Part::Of { first: 0, last: 99 })),
            ("bytes=10-19", Some(Part::Of { first: 10, last: 19 })),
            ("bytes=90-200", Some(Part::Of { first: 90, last: 99 })),
            ("bytes=-10", Some(Part::Of { first: 90, last: 99 })),
            ("bytes=100-", Some(Part::Beyond)),
            ("bytes=20-10", None),
            ("bytes=0-1,5-6", None),
            ("lines=0-1", None),
        ] {
            assert_eq!(part(range, 100), expected, "{range}");
        }
    }

    #[test]
    fn paths_stay_below_the_root() {
        assert_eq!(plain_path("/targets/a%2Bb").as_deref(), Some("targets/a+b"));
        for wrong in ["/", "/../x", "/a/../x", "/%2e%2e/x", "/.lock", "/a//b", "/a%00", "/a%2", "a"] {
            assert_eq!(plain_path(wrong), None, "{wrong}");
        }
    }
}
