//! One HTTP request that can be given up at any moment.
//!
//! A blocking client hears nothing while a server says nothing, for a minute
//! and more. So requests run on threads of their own, and whoever waits looks
//! every now and then whether the user still wants it. A request that was given
//! up ends with its own time limit or with the process; it holds no file.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use reqwest::blocking::{RequestBuilder, Response};

/// How long an interrupt may go unnoticed.
pub const LOOK: Duration = Duration::from_millis(50);
const CHUNK_BYTES: usize = 128 * 1024;
/// Chunks that may wait for the disk.
const CHUNKS: usize = 4;

/// Why there is no more of an answer.
#[derive(Debug)]
pub enum Broken {
    Cancelled,
    Failed(String),
}

/// What a server says before the contents.
#[derive(Debug)]
pub struct Head {
    pub status: StatusCode,
    pub content_bytes: Option<u64>,
    /// Names the contents, so that their rest can be asked for: a strong
    /// entity tag (RFC 9110, 8.8.3).
    pub tag: Option<String>,
    /// Where a part begins, if this is one (RFC 9110, 14.4).
    pub part_from: Option<u64>,
}

impl Head {
    fn of(response: &Response) -> Self {
        let header = |name: &str| response.headers().get(name)?.to_str().ok();
        let part_from = header("content-range")
            .and_then(|range| range.strip_prefix("bytes ")?.split_once('-')?.0.trim().parse().ok());
        let tag = header("etag").filter(|tag| !tag.starts_with("W/")).map(str::to_owned);
        Self { status: response.status(), content_bytes: response.content_length(), tag, part_from }
    }
}

/// An answer as it comes in.
pub struct Transfer<'c> {
    chunks: Receiver<Result<Vec<u8>, String>>,
    cancelled: &'c dyn Fn() -> bool,
}

/// Sends a request and waits for the head of its answer.
///
/// # Errors
/// [`Broken`]; a status that tells of a failure is none.
pub fn send<'c>(
    request: RequestBuilder,
    cancelled: &'c dyn Fn() -> bool,
) -> Result<(Head, Transfer<'c>), Broken> {
    let (heads, head) = sync_channel(1);
    let (sender, chunks) = sync_channel(CHUNKS);
    // The receivers may be gone: then nobody wants it any more.
    std::thread::spawn(move || match request.send() {
        Err(error) => drop(heads.send(Err(reason(&error)))),
        Ok(response) => {
            let head = Head::of(&response);
            if heads.send(Ok(head)).is_ok() {
                pass_on(response, &sender);
            }
        }
    });
    let head = wait(&head, cancelled)?.unwrap_or_else(|| Err("no answer".to_owned()));
    Ok((head.map_err(Broken::Failed)?, Transfer { chunks, cancelled }))
}

impl Transfer<'_> {
    /// The next bytes; `None` at the end.
    ///
    /// # Errors
    /// [`Broken`].
    pub fn next(&self) -> Result<Option<Vec<u8>>, Broken> {
        wait(&self.chunks, self.cancelled)?.transpose().map_err(Broken::Failed)
    }
}

/// Waits a while.
///
/// # Errors
/// [`Broken::Cancelled`].
pub fn pause(pause: Duration, cancelled: &dyn Fn() -> bool) -> Result<(), Broken> {
    let until = Instant::now() + pause;
    while Instant::now() < until {
        if cancelled() {
            return Err(Broken::Cancelled);
        }
        std::thread::sleep(LOOK);
    }
    Ok(())
}

fn pass_on(mut response: impl Read, sender: &SyncSender<Result<Vec<u8>, String>>) {
    // Once, since clearing so much takes longer than reading what mostly comes.
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let message = match response.read(&mut chunk) {
            Ok(0) => return,
            Ok(got) => Ok(chunk[..got].to_vec()),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => Err(reason(&e)),
        };
        let ended = message.is_err();
        if sender.send(message).is_err() || ended {
            return;
        }
    }
}

/// The next message; `None` if the other side ended.
fn wait<T>(receiver: &Receiver<T>, cancelled: &dyn Fn() -> bool) -> Result<Option<T>, Broken> {
    loop {
        if cancelled() {
            return Err(Broken::Cancelled);
        }
        match receiver.recv_timeout(LOOK) {
            Ok(message) => return Ok(Some(message)),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Ok(None),
        }
    }
}

/// The innermost cause, which is what a person can act on.
fn reason(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
