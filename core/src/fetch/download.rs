//! Downloads: several places, retries, resumption, and bytes that count only
//! once their hash is the one that was asked for.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use osbuild_store::transport::{self, Broken, Http};
use osbuild_store::{HashAlgorithm, NixHash};
use sha2::Digest;

use super::FetchError;
use super::mirror::{FetchConfig, Mirrors};
use super::partial::Partial;

/// Is told how a download stands, and may end it.
pub trait Progress: Sync {
    /// Bytes there are, and bytes in all if known (otherwise 0).
    fn update(&self, done: u64, total: u64);
    fn cancelled(&self) -> bool;
}

/// Reports to nobody and goes on for ever.
pub struct Silent;

impl Progress for Silent {
    fn update(&self, _done: u64, _total: u64) {}
    fn cancelled(&self) -> bool {
        false
    }
}

/// Fetches; shared by all threads.
pub struct Fetcher {
    pub(super) http: Http,
    mirrors: Mirrors,
}

const ATTEMPTS: u32 = 4;
pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(500);

impl Fetcher {
    pub fn new(config: FetchConfig) -> Self {
        Self { http: Http::default(), mirrors: Mirrors::new(config) }
    }

    pub fn config(&self) -> &FetchConfig {
        &self.mirrors.config
    }

    /// The addresses behind one that may say `mirror://NAME/…`.
    ///
    /// # Errors
    /// [`FetchError::NoMirror`].
    pub fn addresses(&self, url: &str) -> Result<Vec<String>, FetchError> {
        self.mirrors.addresses(self, url)
    }

    /// Fetches a file of which the hash is known to `destination`, which is
    /// replaced. Mirrors by hash come first, then `urls` in order.
    ///
    /// # Errors
    /// See [`FetchError`]; `what` names the file in messages.
    pub fn fetch(
        &self,
        what: &str,
        urls: &[String],
        expected: &NixHash,
        destination: &Path,
        progress: &dyn Progress,
    ) -> Result<(), FetchError> {
        let mut attempts = Vec::new();
        let mut mismatch = None;
        let mut gone = true;
        let (places, unknown) = self.places(urls, expected)?;
        let cancelled = || progress.cancelled() || self.is_interrupted();
        let watch = Watch { progress, cancelled: &cancelled };
        let directory = self.mirrors.config.cache.join("partial");
        let partial = Partial::open(&directory, expected).map_err(FetchError::io("write in", &directory))?;
        for place in places {
            match self.fetch_from(&place, &partial, expected, &watch) {
                Ok(()) => {
                    return partial
                        .finish(destination)
                        .map_err(FetchError::io("move a download to", destination));
                }
                Err(Attempt::Cancelled) => return Err(FetchError::Interrupted),
                Err(Attempt::Io(error)) => return Err(FetchError::io("write", partial.path())(error)),
                Err(Attempt::Gone(reason)) => attempts.push(format!("{place}: {reason}")),
                Err(Attempt::Failed(reason)) => {
                    gone = false;
                    attempts.push(format!("{place}: {reason}"));
                }
                Err(Attempt::WrongHash(actual)) => {
                    partial.restart().map_err(FetchError::io("write", partial.path()))?;
                    attempts.push(format!("{place}: wrong hash"));
                    let expected = expected.clone();
                    mismatch = Some(FetchError::HashMismatch { url: place, expected, actual });
                }
            }
        }
        attempts.extend(unknown);
        if !partial.is_begun() {
            partial.discard();
        }
        let what = what.to_owned();
        Err(match mismatch {
            Some(mismatch) => mismatch,
            None if gone => FetchError::Gone { what, attempts },
            None => FetchError::Unreachable { what, attempts },
        })
    }

    /// Fetches from one place and checks the hash. What an earlier attempt
    /// left may be another file's beginning, so a wrong hash after resuming is
    /// no verdict: it is fetched once more from the start.
    fn fetch_from(
        &self,
        place: &str,
        partial: &Partial,
        expected: &NixHash,
        watch: &Watch<'_>,
    ) -> Result<(), Attempt> {
        loop {
            let resumed = partial.is_begun();
            match place.strip_prefix("file://") {
                Some(path) => copy_file(Path::new(path), partial)?,
                None => self.with_retries(place, partial.path(), watch)?,
            }
            let actual = hash_file(partial.path(), expected.algorithm())
                .map_err(|e| Attempt::Failed(e.to_string()))?;
            if actual == *expected {
                return Ok(());
            }
            if !resumed {
                return Err(Attempt::WrongHash(actual));
            }
            partial.restart().map_err(Attempt::Io)?;
        }
    }

    /// Every address at which the file may be, and a line for each `url` whose
    /// mirror nobody knows. That is an error only if nothing is left to try:
    /// recipes name places that not every user can reach.
    fn places(&self, urls: &[String], expected: &NixHash) -> Result<(Vec<String>, Vec<String>), FetchError> {
        let mut places = Vec::new();
        if expected.algorithm() == HashAlgorithm::Sha256 {
            for base in &self.mirrors.config.sources {
                let base = base.trim_end_matches('/');
                let scheme = if base.contains("://") { "" } else { "file://" };
                places.push(format!("{scheme}{base}/{}", expected.to_hex()));
            }
        }
        let (mut unknown, mut first) = (Vec::new(), None);
        for url in urls {
            match self.addresses(url) {
                Ok(mut found) => places.append(&mut found),
                Err(error) => {
                    unknown.push(format!("{url}: {error}"));
                    first.get_or_insert(error);
                }
            }
        }
        match first {
            Some(error) if places.is_empty() => Err(error),
            _ => Ok((places, unknown)),
        }
    }

    pub(super) fn is_interrupted(&self) -> bool {
        self.mirrors.config.interrupted.is_some_and(|flag| flag.load(Ordering::Relaxed))
    }

    fn with_retries(&self, address: &str, partial: &Path, watch: &Watch<'_>) -> Result<(), Attempt> {
        let mut pause = FIRST_PAUSE;
        let mut attempt = 1;
        loop {
            match self.once(address, partial, watch) {
                Err(Attempt::Failed(_)) if attempt < ATTEMPTS => {
                    attempt += 1;
                    transport::pause(pause, watch.cancelled)?;
                    pause *= 2;
                }
                outcome => return outcome,
            }
        }
    }

    /// One request; goes on where an earlier one ended, if the server can.
    fn once(&self, address: &str, partial: &Path, watch: &Watch<'_>) -> Result<(), Attempt> {
        let mut file = OpenOptions::new().create(true).append(true).open(partial).map_err(Attempt::Io)?;
        let mut done = file.metadata().map_err(Attempt::Io)?.len();
        let client = self.http.client().map_err(|e| Attempt::Failed(e.to_string()))?;
        let mut request = client.get(address);
        if done > 0 {
            request = request.header("Range", format!("bytes={done}-"));
        }
        let (head, transfer) = transport::send(request, watch.cancelled)?;
        let status = head.status;
        if status.as_u16() == 200 && done > 0 {
            file.set_len(0).map_err(Attempt::Io)?;
            done = 0;
        } else if status.as_u16() == 416 && done > 0 {
            // Nothing is left to send, or the file changed: begin anew.
            file.set_len(0).map_err(Attempt::Io)?;
            return Err(Attempt::Failed("the server cannot resume".to_owned()));
        } else if status.as_u16() == 429 || status.is_server_error() {
            return Err(Attempt::Failed(status.to_string()));
        } else if !status.is_success() {
            return Err(Attempt::Gone(status.to_string()));
        }
        let total = done + head.content_bytes.unwrap_or(0);
        loop {
            let chunk = match transfer.next() {
                Ok(Some(chunk)) => chunk,
                Ok(None) => break,
                Err(Broken::Failed(e)) => {
                    return Err(Attempt::Failed(format!("broken off after {done} bytes: {e}")));
                }
                Err(Broken::Cancelled) => return Err(Attempt::Cancelled),
            };
            file.write_all(&chunk).map_err(Attempt::Io)?;
            done += chunk.len() as u64;
            watch.progress.update(done, total);
        }
        if done < total {
            return Err(Attempt::Failed(format!("broken off after {done} of {total} bytes")));
        }
        Ok(())
    }
}

/// Who is told of a download, and what may end it.
struct Watch<'a> {
    progress: &'a dyn Progress,
    cancelled: &'a dyn Fn() -> bool,
}

/// Why one place did not give the file.
pub(super) enum Attempt {
    /// Worth another try.
    Failed(String),
    /// The server says that it will not.
    Gone(String),
    /// All of it came, and it is not what was asked for.
    WrongHash(NixHash),
    Io(io::Error),
    Cancelled,
}

impl From<Broken> for Attempt {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Cancelled => Self::Cancelled,
            Broken::Failed(reason) => Self::Failed(reason),
        }
    }
}

/// A `file://` that cannot be read.
pub(super) fn local(error: &io::Error) -> Attempt {
    match error.kind() {
        io::ErrorKind::NotFound => Attempt::Gone("no such file".to_owned()),
        _ => Attempt::Failed(error.to_string()),
    }
}

fn copy_file(from: &Path, partial: &Partial) -> Result<(), Attempt> {
    let mut source = File::open(from).map_err(|error| local(&error))?;
    partial.restart().map_err(Attempt::Io)?;
    let mut target = OpenOptions::new().append(true).open(partial.path()).map_err(Attempt::Io)?;
    io::copy(&mut source, &mut target).map_err(Attempt::Io)?;
    Ok(())
}

/// Hashes a file's contents.
///
/// # Errors
/// It cannot be read.
pub fn hash_file(path: &Path, algorithm: HashAlgorithm) -> Result<NixHash, FetchError> {
    let mut file = File::open(path).map_err(FetchError::io("open", path))?;
    if algorithm != HashAlgorithm::Sha256 {
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(FetchError::io("read", path))?;
        return Ok(NixHash::of(algorithm, &bytes));
    }
    let mut hash = sha2::Sha256::new();
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match file.read(&mut buffer).map_err(FetchError::io("read", path))? {
            0 => return Ok(NixHash::sha256(hash.finalize().into())),
            got => hash.update(&buffer[..got]),
        }
    }
}
