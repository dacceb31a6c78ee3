//! A web server over a directory that misbehaves as it is told.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What is wrong with the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// Archives break off after this many bytes, each time anew.
    BreaksOff {
        after: usize,
    },
    /// As before, and the rest cannot be asked for.
    BreaksOffWithoutRanges {
        after: usize,
    },
    /// The rest that is sent begins elsewhere.
    WrongRange {
        after: usize,
    },
    /// The first answers are failures.
    Busy {
        times: usize,
    },
    /// Every answer is a failure.
    Down,
    /// Says nothing at all to requests for archives.
    Silent,
    /// Says that there is more than there is.
    LongLength,
    /// Sends archives elsewhere, for ever.
    Redirects,
}

/// Serves until the test ends.
pub(crate) struct Server {
    pub(crate) address: String,
    /// `GET /name`, and where a part was asked for its first byte.
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub(crate) fn start(root: &Path, fault: Fault) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (seen, root) = (Arc::clone(&requests), root.to_owned());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (seen, root) = (Arc::clone(&seen), root.clone());
                std::thread::spawn(move || {
                    // A client that goes away is part of the test.
                    let _ = serve(stream, &root, fault, &seen);
                });
            }
        });
        Self { address, requests }
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

struct Request {
    method: String,
    name: String,
    from: usize,
    body: Vec<u8>,
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split(' ');
    let (method, name) = (words.next()?.to_owned(), words.next()?.trim_start_matches('/').to_owned());
    let (mut from, mut length) = (0, 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((header, value)) = line.trim().split_once(": ") else { break };
        match header.to_lowercase().as_str() {
            "range" => from = value.strip_prefix("bytes=")?.trim_end_matches('-').parse().ok()?,
            "content-length" => length = value.parse().ok()?,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request { method, name, from, body })
}

fn serve(mut stream: TcpStream, root: &Path, fault: Fault, seen: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let Some(request) = read(&stream) else { return Ok(()) };
    let Request { method, name, from, body } = request;
    let times = {
        let mut seen = seen.lock().unwrap();
        let part = if from > 0 { format!(" from {from}") } else { String::new() };
        seen.push(format!("{method} /{name}{part}"));
        seen.len()
    };
    let file: PathBuf = root.join(&name);
    let is_archive = name.starts_with("nar/");
    let empty = |stream: &mut TcpStream, status: &str| {
        write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    };
    match fault {
        Fault::Down => return empty(&mut stream, "500 Internal Server Error"),
        Fault::Busy { times: busy } if times <= busy => return empty(&mut stream, "503 Service Unavailable"),
        Fault::Silent if is_archive => {
            std::thread::sleep(Duration::from_secs(600));
            return Ok(());
        }
        Fault::Redirects if is_archive => {
            let head = format!("HTTP/1.1 302 Found\r\nLocation: /{name}\r\nContent-Length: 0\r\n");
            return write!(stream, "{head}Connection: close\r\n\r\n");
        }
        _ => {}
    }
    if method == "PUT" {
        std::fs::create_dir_all(file.parent().unwrap())?;
        std::fs::write(&file, body)?;
        return empty(&mut stream, "201 Created");
    }
    let Ok(contents) = std::fs::read(&file) else { return empty(&mut stream, "404 Not Found") };
    let ranges = !matches!(fault, Fault::BreaksOffWithoutRanges { .. });
    let from = if ranges { from } else { 0 };
    let (status, sent_from) = match fault {
        Fault::WrongRange { .. } if from > 0 => ("206 Partial Content", from + 3),
        _ if from > 0 => ("206 Partial Content", from),
        _ => ("200 OK", 0),
    };
    let part = &contents[sent_from.min(contents.len())..];
    let claimed = part.len() + if fault == Fault::LongLength && is_archive { 10 } else { 0 };
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Length: {claimed}\r\nETag: \"one\"\r\nConnection: close\r\n"
    )?;
    if status.starts_with("206") {
        write!(stream, "Content-Range: bytes {sent_from}-{}/{}\r\n", contents.len() - 1, contents.len())?;
    }
    write!(stream, "\r\n")?;
    if method == "HEAD" {
        return Ok(());
    }
    let most = match fault {
        // Without ranges nothing is won by trying again, unless more comes.
        Fault::BreaksOffWithoutRanges { after } => after * times,
        Fault::BreaksOff { after } | Fault::WrongRange { after } => after,
        _ => usize::MAX,
    };
    stream.write_all(&part[..part.len().min(if is_archive { most } else { usize::MAX })])
}
