//! EC2's metadata service, version 2, for one instance.
//!
//! Source: EC2 user guide, "Use the Instance Metadata Service". Version 1,
//! which asks without a token, is answered as an instance does that requires
//! tokens: by 401.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

pub(crate) const ADDRESS: &str = "169.254.169.254:80";

/// What was asked, in order: method, path, status.
type Asked = Arc<Mutex<Vec<String>>>;

type Paths = Arc<Mutex<BTreeMap<&'static str, String>>>;

pub(crate) struct Imds {
    asked: Asked,
    paths: Paths,
}

impl Imds {
    /// Serves these paths until the process ends.
    pub(crate) fn serve(paths: BTreeMap<&'static str, String>) -> Result<Self, String> {
        let listener = TcpListener::bind(ADDRESS).map_err(|error| format!("{ADDRESS}: {error}"))?;
        let asked = Asked::default();
        let paths = Arc::new(Mutex::new(paths));
        let (log, served) = (Arc::clone(&asked), Arc::clone(&paths));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let paths = served.lock().unwrap_or_else(PoisonError::into_inner).clone();
                let log = Arc::clone(&log);
                // One that says nothing keeps nobody waiting.
                std::thread::spawn(move || {
                    let line = answer(&stream, &paths);
                    log.lock().unwrap_or_else(PoisonError::into_inner).extend(line);
                });
            }
        });
        Ok(Self { asked, paths })
    }

    /// Says something else from now on.
    pub(crate) fn set(&self, path: &'static str, text: String) {
        self.paths.lock().unwrap_or_else(PoisonError::into_inner).insert(path, text);
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Answers a request and says which it was; none of a client that gave up before
/// it asked, as one on a slow node does.
fn answer(stream: &TcpStream, paths: &BTreeMap<&'static str, String>) -> Option<String> {
    const TOKEN: &str = "dG9rZW4tb2YtYS10ZXN0";
    const SECONDS: &str = "x-aws-ec2-metadata-token-ttl-seconds";
    let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
    let mut head = Vec::new();
    let mut reader = BufReader::new(stream.take(16 << 10));
    let mut line = String::new();
    while reader.read_line(&mut line).is_ok_and(|count| count > 2) {
        head.push(std::mem::take(&mut line).trim().to_owned());
    }
    let header = |name: &str| {
        head.iter().skip(1).find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    };
    let request = head.first()?.clone();
    let mut words = request.split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let seconds = || header(SECONDS).and_then(|text| text.parse::<u32>().ok());
    let (status, body) = match (method, path) {
        ("PUT", "/latest/api/token") => match seconds() {
            Some(1..=21_600) => ("200 OK", TOKEN),
            _ => ("400 Bad Request", ""),
        },
        ("GET", _) if header("x-aws-ec2-metadata-token").as_deref() != Some(TOKEN) => {
            ("401 Unauthorized", "")
        }
        ("GET", path) => match paths.get(path) {
            Some(text) => ("200 OK", text.as_str()),
            None => ("404 Not Found", ""),
        },
        _ => ("405 Method Not Allowed", ""),
    };
    // Clients learn from the answer how long the token is good for.
    let lifetime = header(SECONDS).filter(|_| body == TOKEN);
    let lifetime = lifetime.map(|seconds| format!("{SECONDS}: {seconds}\r\n")).unwrap_or_default();
    let length = body.len();
    let text =
        format!("HTTP/1.1 {status}\r\n{lifetime}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}");
    let mut stream = stream;
    let _ = stream.write_all(text.as_bytes());
    Some(format!("{method} {path} {}", &status[..3]))
}
