//! HTTP as an updater needs it, from servers that may be slow, broken or
//! hostile: no limit on the whole time, since an honest image may take hours,
//! but a floor under the rate; no byte more than is due; few redirects, and none
//! that leaves TLS; a part only if it is the part that was asked for.

use std::time::{Duration, Instant};

use bytes::Bytes;
use osbuild_tuf::client::{Failure, Transport};
use reqwest::header::{CONTENT_RANGE, RANGE};
use reqwest::{Client, Response, StatusCode, Url, redirect};
use tokio::runtime::Runtime;

/// What a server may take its time for.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    pub connect: Duration,
    /// To the head of an answer.
    pub answer: Duration,
    /// Over each stretch of this length, at least so many bytes must come.
    pub stretch: Duration,
    pub stretch_bytes: u64,
    /// How often a request is made, at most.
    pub tries: u32,
    /// Before the second; it doubles.
    pub pause: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            answer: Duration::from_secs(30),
            stretch: Duration::from_secs(30),
            stretch_bytes: 30 << 10,
            tries: 4,
            pause: Duration::from_millis(200),
        }
    }
}

const REDIRECTS: usize = 3;

/// Why there are no bytes.
#[derive(Debug)]
pub enum NoBytes {
    /// The server does not have it.
    Missing,
    /// It has it, and gives no part of it but all.
    NoParts(String),
    /// Another try, or another mirror, may help.
    Passing(String),
    /// It will not.
    Final(String),
}

impl std::fmt::Display for NoBytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Missing => f.write_str("the server does not have it"),
            Self::NoParts(reason) | Self::Passing(reason) | Self::Final(reason) => f.write_str(reason),
        }
    }
}

impl std::error::Error for NoBytes {}

/// Takes what has come, in order; an error ends the transfer.
pub type Sink<'s> = &'s mut dyn FnMut(&[u8]) -> std::io::Result<()>;

pub struct Http {
    runtime: Runtime,
    client: Client,
    patience: Patience,
}

impl Http {
    /// # Errors
    /// No runtime, or no TLS.
    pub fn new(patience: Patience) -> Result<Self, NoBytes> {
        let fail = |error: &dyn std::fmt::Display| NoBytes::Final(format!("no HTTP here: {error}"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| fail(&error))?;
        let stays_secure = redirect::Policy::custom(|attempt| {
            let was_secure = attempt.previous().last().is_some_and(|url| url.scheme() == "https");
            if attempt.previous().len() > REDIRECTS {
                attempt.error("too many redirects")
            } else if was_secure && attempt.url().scheme() != "https" {
                attempt.error("a redirect out of TLS")
            } else {
                attempt.follow()
            }
        });
        let client = Client::builder()
            .connect_timeout(patience.connect)
            .redirect(stays_secure)
            .user_agent(concat!("osbuild/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| fail(&error))?;
        Ok(Self { runtime, client, patience })
    }

    /// A file, or a part of it, to be taken as it comes.
    pub fn open(&self, url: &Url, part: Part) -> Body<'_> {
        Body {
            http: self,
            url: url.clone(),
            at: part.start(),
            part,
            answer: None,
            tries_left: self.patience.tries,
            pause: self.patience.pause,
            far: part.start(),
            rest: Bytes::new(),
        }
    }

    /// The bytes from `start` on, up to `limit` of them in all; how many there
    /// were. What came before a failure has been given to the sink.
    ///
    /// # Errors
    /// See [`NoBytes`].
    pub fn get(&self, url: &Url, start: u64, limit: u64, sink: Sink<'_>) -> Result<u64, NoBytes> {
        let mut body = self.open(url, Part::From { start, limit });
        while let Some(bytes) = body.chunk()? {
            sink(&bytes).map_err(|error| NoBytes::Final(format!("{url}: cannot keep what came: {error}")))?;
        }
        Ok(body.at - start)
    }
}

/// Which bytes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// From one on to the end; more than `limit` are an error.
    From { start: u64, limit: u64 },
    /// From one to before another; fewer are an error.
    Exactly { start: u64, end: u64 },
}

impl Part {
    fn start(self) -> u64 {
        match self {
            Self::From { start, .. } | Self::Exactly { start, .. } => start,
        }
    }
}

/// Bytes on their way. After a failure that may pass, the next try goes on
/// where it broke off.
pub struct Body<'h> {
    http: &'h Http,
    url: Url,
    part: Part,
    at: u64,
    answer: Option<Coming>,
    tries_left: u32,
    pause: Duration,
    /// Where the tries were counted anew.
    far: u64,
    /// For whoever reads fewer bytes than have come.
    rest: Bytes,
}

/// An answer whose head has come.
struct Coming {
    answer: Response,
    /// Bytes before those that were asked for.
    skip: u64,
    /// In the present stretch.
    waited: Duration,
    bytes: u64,
}

/// After so many bytes the tries are counted anew: a long download over a bad
/// line may break often, and what gets nowhere may not go on for ever.
const FAR_BYTES: u64 = 1 << 20;

impl Body<'_> {
    /// Waits for the first bytes, so that whoever asked knows that they come.
    ///
    /// # Errors
    /// See [`NoBytes`].
    pub fn begin(&mut self) -> Result<(), NoBytes> {
        if self.rest.is_empty() {
            self.rest = self.come()?.unwrap_or_default();
        }
        Ok(())
    }

    /// The next bytes; `None` at the end.
    ///
    /// # Errors
    /// See [`NoBytes`].
    pub fn chunk(&mut self) -> Result<Option<Bytes>, NoBytes> {
        if self.rest.is_empty() { self.come() } else { Ok(Some(std::mem::take(&mut self.rest))) }
    }

    fn come(&mut self) -> Result<Option<Bytes>, NoBytes> {
        loop {
            match self.http.runtime.block_on(self.step()) {
                Err(NoBytes::Passing(_)) if self.tries_left > 1 => {
                    self.tries_left -= 1;
                    self.answer = None;
                    std::thread::sleep(self.pause);
                    self.pause *= 2;
                }
                Ok(Some(bytes)) => {
                    self.at += bytes.len() as u64;
                    if self.at - self.far >= FAR_BYTES {
                        self.far = self.at;
                        self.tries_left = self.http.patience.tries;
                        self.pause = self.http.patience.pause;
                    }
                    return Ok(Some(bytes));
                }
                other => return other,
            }
        }
    }

    async fn step(&mut self) -> Result<Option<Bytes>, NoBytes> {
        if matches!(self.part, Part::Exactly { end, .. } if self.at >= end) {
            return Ok(None);
        }
        if self.answer.is_none() {
            self.answer = Some(self.ask().await?);
        }
        let url = &self.url;
        let Patience { stretch, stretch_bytes, .. } = self.http.patience;
        let coming = self.answer.as_mut().expect("it was just asked for");
        loop {
            let since = Instant::now();
            let came =
                tokio::time::timeout(stretch.saturating_sub(coming.waited), coming.answer.chunk()).await;
            // What is done with the bytes then is not the server's time.
            coming.waited += since.elapsed();
            let chunk = match came {
                Ok(Ok(Some(chunk))) => Some(chunk),
                Ok(Ok(None)) => {
                    return match self.part {
                        Part::From { .. } => Ok(None),
                        Part::Exactly { end, .. } => {
                            Err(NoBytes::Passing(format!("{url}: it ends {} bytes early", end - self.at)))
                        }
                    };
                }
                Ok(Err(error)) => return Err(failure(url, &error)),
                Err(_) => None,
            };
            coming.bytes += chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
            if coming.waited >= stretch {
                if coming.bytes < stretch_bytes {
                    let floor = format!("slower than {stretch_bytes} bytes in {} s", stretch.as_secs());
                    return Err(NoBytes::Passing(format!("{url}: {floor}")));
                }
                (coming.waited, coming.bytes) = (Duration::ZERO, 0);
            }
            let Some(mut chunk) = chunk else { continue };
            // A server that knows no ranges begins at the beginning.
            let skipped = coming.skip.min(chunk.len() as u64);
            coming.skip -= skipped;
            let mut fresh = chunk.split_off(usize::try_from(skipped).expect("it is within the chunk"));
            match self.part {
                Part::From { start, limit } if self.at - start + fresh.len() as u64 > limit => {
                    return Err(NoBytes::Final(format!("{url}: more than the {limit} bytes that are due")));
                }
                // And it goes on behind what was asked for.
                Part::Exactly { end, .. } => {
                    fresh.truncate(usize::try_from(end - self.at).unwrap_or(usize::MAX));
                }
                Part::From { .. } => {}
            }
            if !fresh.is_empty() {
                return Ok(Some(fresh));
            }
        }
    }

    async fn ask(&self) -> Result<Coming, NoBytes> {
        let (url, at) = (&self.url, self.at);
        let mut request = self.http.client.get(url.clone());
        match self.part {
            Part::From { .. } if at > 0 => request = request.header(RANGE, format!("bytes={at}-")),
            Part::From { .. } => {}
            Part::Exactly { end, .. } => request = request.header(RANGE, format!("bytes={at}-{}", end - 1)),
        }
        let answer = tokio::time::timeout(self.http.patience.answer, request.send()).await;
        let answer = answer.map_err(|_| NoBytes::Passing(format!("{url}: no answer in time")))?;
        let answer = answer.map_err(|error| failure(url, &error))?;
        let skip = match answer.status() {
            // Part after part from a server that begins at the beginning each time
            // would be far more than the whole.
            StatusCode::OK if at > 0 && matches!(self.part, Part::Exactly { .. }) => {
                return Err(NoBytes::NoParts(format!("{url}: the server gives no parts of files")));
            }
            StatusCode::OK => at,
            StatusCode::PARTIAL_CONTENT if begins_at(&answer) == Some(at) => 0,
            StatusCode::PARTIAL_CONTENT => {
                return Err(NoBytes::Final(format!("{url}: another part than the one asked for")));
            }
            StatusCode::NOT_FOUND | StatusCode::FORBIDDEN | StatusCode::GONE => return Err(NoBytes::Missing),
            status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                return Err(NoBytes::Passing(format!("{url}: {status}")));
            }
            status => return Err(NoBytes::Final(format!("{url}: {status}"))),
        };
        Ok(Coming { answer, skip, waited: Duration::ZERO, bytes: 0 })
    }
}

impl std::io::Read for Body<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.rest.is_empty() {
            match self.chunk().map_err(std::io::Error::other)? {
                Some(bytes) => self.rest = bytes,
                None => return Ok(0),
            }
        }
        let count = buffer.len().min(self.rest.len());
        buffer[..count].copy_from_slice(&self.rest.split_to(count));
        Ok(count)
    }
}

/// With all its causes.
fn failure(url: &Url, error: &reqwest::Error) -> NoBytes {
    let mut reason = format!("{url}: {error}");
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        reason = format!("{reason}: {cause}");
        source = cause.source();
    }
    if error.is_redirect() || error.is_builder() { NoBytes::Final(reason) } else { NoBytes::Passing(reason) }
}

/// RFC 9110 §14.4: `bytes FIRST-LAST/LENGTH`.
fn begins_at(answer: &Response) -> Option<u64> {
    let range = answer.headers().get(CONTENT_RANGE)?.to_str().ok()?;
    range.strip_prefix("bytes ")?.split('-').next()?.parse().ok()
}

/// The metadata below an address.
pub struct Metadata<'h> {
    pub http: &'h Http,
    /// Ends with a slash.
    pub base: Url,
}

impl Transport for Metadata<'_> {
    fn metadata(&mut self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, Failure> {
        let url = self.base.join(name)?;
        let mut bytes = Vec::new();
        let got = self.http.get(&url, 0, limit, &mut |chunk| {
            bytes.extend_from_slice(chunk);
            Ok(())
        });
        match got {
            Ok(_) => Ok(Some(bytes)),
            Err(NoBytes::Missing) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}
