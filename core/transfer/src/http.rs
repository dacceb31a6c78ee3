//! HTTP as an updater needs it, from servers that may be slow, broken or
//! hostile: no limit on the whole time, since an honest image may take hours,
//! but a floor under the rate; no byte more than is due; few redirects, and none
//! that leaves TLS; a part only if it is the part that was asked for.

use std::time::{Duration, Instant};

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
    /// Another try, or another mirror, may help.
    Passing(String),
    /// It will not.
    Final(String),
}

impl std::fmt::Display for NoBytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Missing => f.write_str("the server does not have it"),
            Self::Passing(reason) | Self::Final(reason) => f.write_str(reason),
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

    /// The bytes from `start` on, up to `limit` of them in all; how many there
    /// were. What came before a failure has been given to the sink, and the next
    /// try goes on after it.
    ///
    /// # Errors
    /// See [`NoBytes`].
    pub fn get(&self, url: &Url, start: u64, limit: u64, sink: Sink<'_>) -> Result<u64, NoBytes> {
        let (mut at, mut pause) = (start, self.patience.pause);
        for last in (0..self.patience.tries).rev() {
            match self.runtime.block_on(self.attempt(url, &mut at, start, limit, sink)) {
                Ok(()) => break,
                Err(NoBytes::Passing(_)) if last > 0 => {
                    std::thread::sleep(pause);
                    pause *= 2;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(at - start)
    }

    async fn attempt(
        &self,
        url: &Url,
        at: &mut u64,
        start: u64,
        limit: u64,
        sink: Sink<'_>,
    ) -> Result<(), NoBytes> {
        let mut request = self.client.get(url.clone());
        if *at > 0 {
            request = request.header(RANGE, format!("bytes={at}-"));
        }
        let answer = tokio::time::timeout(self.patience.answer, request.send()).await;
        let answer = answer.map_err(|_| NoBytes::Passing(format!("{url}: no answer in time")))?;
        let mut answer = answer.map_err(|error| failure(url, &error))?;
        let mut skip = match answer.status() {
            StatusCode::OK => *at,
            StatusCode::PARTIAL_CONTENT if begins_at(&answer) == Some(*at) => 0,
            StatusCode::PARTIAL_CONTENT => {
                return Err(NoBytes::Final(format!("{url}: another part than the one asked for")));
            }
            StatusCode::NOT_FOUND | StatusCode::FORBIDDEN | StatusCode::GONE => return Err(NoBytes::Missing),
            status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                return Err(NoBytes::Passing(format!("{url}: {status}")));
            }
            status => return Err(NoBytes::Final(format!("{url}: {status}"))),
        };
        let Patience { stretch, stretch_bytes, .. } = self.patience;
        let (mut waited, mut bytes) = (Duration::ZERO, 0_u64);
        loop {
            let since = Instant::now();
            let came = tokio::time::timeout(stretch.saturating_sub(waited), answer.chunk()).await;
            // What is done with the bytes then is not the server's time.
            waited += since.elapsed();
            let chunk = match came {
                Ok(Ok(Some(chunk))) => Some(chunk),
                Ok(Ok(None)) => return Ok(()),
                Ok(Err(error)) => return Err(failure(url, &error)),
                Err(_) => None,
            };
            bytes += chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
            if waited >= stretch {
                if bytes < stretch_bytes {
                    let floor = format!("slower than {stretch_bytes} bytes in {} s", stretch.as_secs());
                    return Err(NoBytes::Passing(format!("{url}: {floor}")));
                }
                (waited, bytes) = (Duration::ZERO, 0);
            }
            let Some(chunk) = chunk else { continue };
            // A server that knows no ranges begins at the beginning.
            let skipped = skip.min(chunk.len() as u64);
            skip -= skipped;
            let fresh = &chunk[usize::try_from(skipped).expect("it is within the chunk")..];
            if *at - start + fresh.len() as u64 > limit {
                return Err(NoBytes::Final(format!("{url}: more than the {limit} bytes that are due")));
            }
            sink(fresh).map_err(|error| NoBytes::Final(format!("{url}: cannot keep what came: {error}")))?;
            *at += fresh.len() as u64;
        }
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
