//! A download that is read as it comes, over as many connections as it takes.

use std::io::{self, Read};
use std::time::{Duration, Instant};

use reqwest::blocking::RequestBuilder;

use super::request::{Broken, Head, Transfer, pause, send};
use super::{StatusCode, is_worth_another_try};

/// Connections that may break in a row without a byte having come.
const FRUITLESS: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// A server slower than this holds a slot that another could use, or means
/// harm: it is given up.
const LEAST_BYTES: u64 = 16 << 10;
const LEAST_WINDOW: Duration = Duration::from_secs(60);

/// Why a stream ended early; found in the [`io::Error`] that reading it gives.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The connection could not be made or broke, every time.
    #[error("{0}")]
    Failed(String),
    /// The server answered with a failure.
    #[error("the server answered {0}")]
    Status(StatusCode),
    /// Fewer than 16 KiB came within a minute.
    #[error("fewer than {LEAST_BYTES} bytes came in {} s", LEAST_WINDOW.as_secs())]
    Slow,
    /// The user interrupted.
    #[error("interrupted")]
    Interrupted,
}

impl From<StreamError> for io::Error {
    fn from(error: StreamError) -> Self {
        Self::other(error)
    }
}

impl From<Broken> for StreamError {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Cancelled => Self::Interrupted,
            Broken::Failed(reason) => Self::Failed(reason),
        }
    }
}

/// Makes the request, anew for each connection: signed addresses expire.
pub type MakeRequest<'a> = dyn Fn() -> Result<RequestBuilder, StreamError> + 'a;

/// Reads a file from a server. Where a connection breaks, the rest is asked
/// for by range; a server that sends all again is read from the start and the
/// part that is there is skipped. Whether it is the same file then is for the
/// hash to say that every caller checks.
pub struct Resuming<'a> {
    make: &'a MakeRequest<'a>,
    cancelled: &'a dyn Fn() -> bool,
    transfer: Option<Transfer<'a>>,
    /// What the first answer was called.
    tag: Option<String>,
    total: Option<u64>,
    chunk: Vec<u8>,
    chunk_at: usize,
    /// Bytes handed out, and those of this connection still to be skipped.
    done: u64,
    skip: u64,
    fruitless: u32,
    window: (Instant, u64),
}

impl<'a> Resuming<'a> {
    /// Opens the file; `None` if the server says that it has none.
    ///
    /// # Errors
    /// See [`StreamError`].
    pub fn open(
        make: &'a MakeRequest<'a>,
        cancelled: &'a dyn Fn() -> bool,
    ) -> Result<Option<Self>, StreamError> {
        let mut stream = Self {
            make,
            cancelled,
            transfer: None,
            tag: None,
            total: None,
            chunk: Vec::new(),
            chunk_at: 0,
            done: 0,
            skip: 0,
            fruitless: 0,
            window: (Instant::now(), 0),
        };
        loop {
            match stream.connect() {
                Ok(()) => return Ok(Some(stream)),
                Err(StreamError::Status(status)) if is_absence(status) => return Ok(None),
                Err(error) => stream.again(error)?,
            }
        }
    }

    /// The size of the whole file, if the server said it.
    pub fn total_bytes(&self) -> Option<u64> {
        self.total
    }

    fn connect(&mut self) -> Result<(), StreamError> {
        let mut request = (self.make)()?;
        if self.done > 0 {
            request = request.header("Range", format!("bytes={}-", self.done));
            if let Some(tag) = &self.tag {
                request = request.header("If-Range", tag);
            }
        }
        let (head, transfer) = send(request, self.cancelled)?;
        let Head { status, content_bytes, tag, part_from } = head;
        if !status.is_success() {
            return Err(StreamError::Status(status));
        }
        let from = if status == StatusCode::PARTIAL_CONTENT { part_from.unwrap_or(u64::MAX) } else { 0 };
        if from > self.done {
            return Err(StreamError::Failed("the server sent another part than was asked for".to_owned()));
        }
        self.skip = self.done - from;
        self.tag = tag;
        self.total = content_bytes.map(|bytes| from + bytes);
        self.transfer = Some(transfer);
        self.window = (Instant::now(), self.done);
        Ok(())
    }

    /// Waits before another try, or gives up.
    fn again(&mut self, error: StreamError) -> Result<(), StreamError> {
        self.transfer = None;
        let hopeless = match &error {
            StreamError::Interrupted | StreamError::Slow => true,
            StreamError::Status(status) => !is_worth_another_try(*status),
            StreamError::Failed(_) => false,
        };
        self.fruitless += 1;
        if hopeless || self.fruitless > FRUITLESS {
            return Err(error);
        }
        Ok(pause(FIRST_PAUSE * 2u32.pow(self.fruitless - 1), self.cancelled)?)
    }

    /// The next bytes; `None` at the end.
    fn next_chunk(&mut self) -> Result<Option<Vec<u8>>, StreamError> {
        loop {
            let Some(transfer) = &self.transfer else {
                match self.connect() {
                    Ok(()) => continue,
                    Err(error) => {
                        self.again(error)?;
                        continue;
                    }
                }
            };
            match transfer.next() {
                Ok(Some(mut chunk)) => {
                    let skipped = self.skip.min(chunk.len() as u64);
                    self.skip -= skipped;
                    chunk.drain(..skipped as usize);
                    if chunk.is_empty() {
                        continue;
                    }
                    self.fruitless = 0;
                    return Ok(Some(chunk));
                }
                Ok(None) if self.total.is_some_and(|total| self.done < total) => {
                    self.again(StreamError::Failed(format!("broken off after {} bytes", self.done)))?;
                }
                Ok(None) => return Ok(None),
                Err(broken) => self.again(broken.into())?,
            }
        }
    }

    fn check_rate(&mut self) -> Result<(), StreamError> {
        let (since, then) = self.window;
        if since.elapsed() < LEAST_WINDOW {
            return Ok(());
        }
        if self.done - then < LEAST_BYTES {
            return Err(StreamError::Slow);
        }
        self.window = (Instant::now(), self.done);
        Ok(())
    }
}

impl Read for Resuming<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.chunk_at == self.chunk.len() {
            let Some(chunk) = self.next_chunk()? else { return Ok(0) };
            (self.chunk, self.chunk_at) = (chunk, 0);
            self.check_rate()?;
        }
        let part = &self.chunk[self.chunk_at..];
        let taken = part.len().min(buffer.len());
        buffer[..taken].copy_from_slice(&part[..taken]);
        self.chunk_at += taken;
        self.done += taken as u64;
        Ok(taken)
    }
}

/// Whether a status says that there is no such file. Places that let nobody
/// list them say "forbidden" for what is not there.
pub(crate) fn is_absence(status: StatusCode) -> bool {
    [StatusCode::NOT_FOUND, StatusCode::GONE, StatusCode::FORBIDDEN].contains(&status)
}
