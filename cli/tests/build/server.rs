//! An HTTP server on loopback: files of some directories, `404` for the rest,
//! and a path that falls silent half-way.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

pub(crate) struct Server {
    pub(crate) address: String,
    stalled: Arc<AtomicUsize>,
}

/// What `/stalls` serves: the first time half of it, then nothing for minutes.
pub(crate) const STALLS: &[u8] = b"0123456789";

impl Server {
    pub(crate) fn start(directories: &[&Path]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let directories: Arc<Vec<PathBuf>> = Arc::new(directories.iter().map(|d| d.to_path_buf()).collect());
        let stalled = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&stalled);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (directories, count) = (Arc::clone(&directories), Arc::clone(&count));
                std::thread::spawn(move || serve(stream, &directories, &count));
            }
        });
        Self { address, stalled }
    }

    /// Waits until somebody waits for the second half.
    pub(crate) fn wait_until_stalled(&self, times: usize) {
        for _ in 0..600 {
            if self.stalled.load(Ordering::Relaxed) >= times {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("nobody asked");
    }
}

fn serve(mut stream: TcpStream, directories: &[PathBuf], stalled: &AtomicUsize) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
    let Some(request) = lines.next() else { return };
    let path = request.split(' ').nth(1).unwrap_or_default().trim_start_matches('/').to_owned();
    let headers: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    let is_resumed = headers.iter().any(|line| line.to_lowercase() == "range: bytes=5-");
    let answer = |status: &str, body: &[u8], length: usize| {
        let head = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
        [head.as_bytes(), body].concat()
    };
    let bytes = match path.as_str() {
        "stalls" if is_resumed => answer("206 Partial Content", &STALLS[5..], 5),
        "stalls" => answer("200 OK", &STALLS[..5], STALLS.len()),
        // Not even the head of an answer.
        "silent" => Vec::new(),
        _ => match directories.iter().find_map(|directory| std::fs::read(directory.join(&path)).ok()) {
            Some(body) => answer("200 OK", &body, body.len()),
            None => answer("404 Not Found", b"", 0),
        },
    };
    // The other side may have gone.
    let _ = stream.write_all(&bytes);
    if path == "silent" || (path == "stalls" && !is_resumed) {
        stalled.fetch_add(1, Ordering::Relaxed);
        std::thread::sleep(Duration::from_secs(300));
    }
}
