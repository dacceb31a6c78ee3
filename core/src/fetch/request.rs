//! One HTTP request that can be given up at any moment.
//!
//! A blocking client hears nothing while a server says nothing, for a minute
//! and more. So requests run on threads of their own, and whoever waits looks
//! every now and then whether the user still wants it. A request that was given
//! up ends with its own time limit or with the process; it holds no file.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::blocking::RequestBuilder;

/// How long an interrupt may go unnoticed.
pub(super) const LOOK: Duration = Duration::from_millis(50);
const CHUNK_BYTES: usize = 128 * 1024;
/// Chunks that may wait for the disk.
const CHUNKS: usize = 4;

/// Why there is no more of an answer.
pub(super) enum Broken {
    Cancelled,
    Failed(String),
}

/// What a server says before the contents.
pub(super) struct Head {
    pub(super) status: StatusCode,
    pub(super) content_bytes: Option<u64>,
}

/// An answer as it comes in.
pub(super) struct Transfer<'c> {
    chunks: Receiver<Result<Vec<u8>, String>>,
    cancelled: &'c dyn Fn() -> bool,
}

/// Sends a request and waits for the head of its answer.
///
/// # Errors
/// [`Broken`]; a status that tells of a failure is none.
pub(super) fn send<'c>(
    request: RequestBuilder,
    cancelled: &'c dyn Fn() -> bool,
) -> Result<(Head, Transfer<'c>), Broken> {
    let (heads, head) = sync_channel(1);
    let (sender, chunks) = sync_channel(CHUNKS);
    // The receivers may be gone: then nobody wants it any more.
    std::thread::spawn(move || match request.send() {
        Err(error) => drop(heads.send(Err(reason(&error)))),
        Ok(response) => {
            let head = Head { status: response.status(), content_bytes: response.content_length() };
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
    pub(super) fn next(&self) -> Result<Option<Vec<u8>>, Broken> {
        wait(&self.chunks, self.cancelled)?.transpose().map_err(Broken::Failed)
    }
}

fn pass_on(mut response: impl Read, sender: &SyncSender<Result<Vec<u8>, String>>) {
    loop {
        let mut chunk = vec![0; CHUNK_BYTES];
        let message = match response.read(&mut chunk) {
            Ok(0) => return,
            Ok(got) => {
                chunk.truncate(got);
                Ok(chunk)
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => Err(e.to_string()),
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
fn reason(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
