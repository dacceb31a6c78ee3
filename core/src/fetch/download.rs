//! Downloads: several places, retries, resumption, and bytes that count only
//! once their hash is the one that was asked for.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

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
    /// Made when first used: it reads the host's certificates, which a run
    /// that downloads nothing need not wait for.
    client: OnceLock<reqwest::blocking::Client>,
    mirrors: Mirrors,
}

const ATTEMPTS: u32 = 4;
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// An index or a release file is never larger.
const MAX_TEXT_BYTES: u64 = 64 << 20;

impl Fetcher {
    pub fn new(config: FetchConfig) -> Self {
        Self { client: OnceLock::new(), mirrors: Mirrors::new(config) }
    }

    fn client(&self) -> Result<&reqwest::blocking::Client, FetchError> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let client = reqwest::blocking::Client::builder()
            .user_agent(concat!("osbuild/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(Duration::from_secs(15))
            // In the blocking client this bounds each read, not the whole.
            .timeout(Duration::from_secs(60))
            .build()
            .map_err(FetchError::Client)?;
        Ok(self.client.get_or_init(|| client))
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
        let places = self.places(urls, expected, &mut attempts)?;
        let directory = self.mirrors.config.cache.join("partial");
        let partial = Partial::open(&directory, expected).map_err(FetchError::io("write in", &directory))?;
        for place in places {
            match self.fetch_from(&place, &partial, expected, progress) {
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
        progress: &dyn Progress,
    ) -> Result<(), Attempt> {
        loop {
            let resumed = partial.is_begun();
            match place.strip_prefix("file://") {
                Some(path) => copy_file(Path::new(path), partial)?,
                None => self.with_retries(place, partial.path(), progress)?,
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

    /// Every address at which the file may be. A name without a mirror is an
    /// error only if nothing else is left to try.
    fn places(
        &self,
        urls: &[String],
        expected: &NixHash,
        attempts: &mut Vec<String>,
    ) -> Result<Vec<String>, FetchError> {
        let mut places = Vec::new();
        if expected.algorithm() == HashAlgorithm::Sha256 {
            for base in &self.mirrors.config.sources {
                let base = base.trim_end_matches('/');
                let scheme = if base.contains("://") { "" } else { "file://" };
                places.push(format!("{scheme}{base}/{}", expected.to_hex()));
            }
        }
        let mut missing = None;
        for url in urls {
            match self.addresses(url) {
                Ok(mut found) => places.append(&mut found),
                Err(error) => {
                    attempts.push(format!("{url}: {error}"));
                    missing = Some(error);
                }
            }
        }
        match missing {
            Some(error) if places.is_empty() => Err(error),
            _ => Ok(places),
        }
    }

    /// Fetches a small file whole.
    ///
    /// # Errors
    /// [`FetchError::Unreachable`] or [`FetchError::Gone`].
    pub fn bytes(&self, address: &str) -> Result<Vec<u8>, FetchError> {
        let attempts = |reason: String| vec![format!("{address}: {reason}")];
        let mut pause = FIRST_PAUSE;
        let mut last = String::new();
        for _ in 0..2 {
            match self.client()?.get(address).timeout(Duration::from_secs(120)).send() {
                Ok(response) if response.status().is_success() => {
                    let mut bytes = Vec::new();
                    match response.take(MAX_TEXT_BYTES).read_to_end(&mut bytes) {
                        Ok(_) => return Ok(bytes),
                        Err(e) => last = e.to_string(),
                    }
                }
                Ok(response) if response.status().is_client_error() => {
                    let (what, attempts) = (address.to_owned(), attempts(response.status().to_string()));
                    return Err(FetchError::Gone { what, attempts });
                }
                Ok(response) => last = response.status().to_string(),
                Err(e) => last = reason(&e),
            }
            std::thread::sleep(pause);
            pause *= 2;
        }
        Err(FetchError::Unreachable { what: address.to_owned(), attempts: attempts(last) })
    }

    /// As [`Fetcher::bytes`], for text.
    ///
    /// # Errors
    /// As there, or [`FetchError::Malformed`] if it is not UTF-8.
    pub fn text(&self, address: &str) -> Result<String, FetchError> {
        String::from_utf8(self.bytes(address)?)
            .map_err(|_| FetchError::Malformed { what: address.to_owned(), reason: "not UTF-8".to_owned() })
    }

    /// Whether a place says that it has a file; `None` if it says nothing.
    pub fn exists(&self, address: &str) -> Option<bool> {
        let response = self.client().ok()?.head(address).timeout(Duration::from_secs(60)).send().ok()?;
        match response.status() {
            status if status.is_success() => Some(true),
            status if status.is_client_error() => Some(false),
            _ => None,
        }
    }

    fn with_retries(&self, address: &str, partial: &Path, progress: &dyn Progress) -> Result<(), Attempt> {
        let mut pause = FIRST_PAUSE;
        let mut attempt = 1;
        loop {
            match self.once(address, partial, progress) {
                Err(Attempt::Failed(_)) if attempt < ATTEMPTS => {
                    attempt += 1;
                    let until = std::time::Instant::now() + pause;
                    while std::time::Instant::now() < until {
                        if progress.cancelled() {
                            return Err(Attempt::Cancelled);
                        }
                        std::thread::sleep(Duration::from_millis(50));
                    }
                    pause *= 2;
                }
                outcome => return outcome,
            }
        }
    }

    /// One request; goes on where an earlier one ended, if the server can.
    fn once(&self, address: &str, partial: &Path, progress: &dyn Progress) -> Result<(), Attempt> {
        let mut file = OpenOptions::new().create(true).append(true).open(partial).map_err(Attempt::Io)?;
        let mut done = file.metadata().map_err(Attempt::Io)?.len();
        let client = self.client().map_err(|e| Attempt::Failed(e.to_string()))?;
        let mut request = client.get(address);
        if done > 0 {
            request = request.header("Range", format!("bytes={done}-"));
        }
        let mut response = request.send().map_err(|e| Attempt::Failed(reason(&e)))?;
        let status = response.status();
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
        let total = done + response.content_length().unwrap_or(0);
        let mut buffer = vec![0; 128 * 1024];
        loop {
            if progress.cancelled() {
                return Err(Attempt::Cancelled);
            }
            let got = match response.read(&mut buffer) {
                Ok(0) => break,
                Ok(got) => got,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(Attempt::Failed(format!("broken off after {done} bytes: {e}"))),
            };
            file.write_all(&buffer[..got]).map_err(Attempt::Io)?;
            done += got as u64;
            progress.update(done, total);
        }
        if done < total {
            return Err(Attempt::Failed(format!("broken off after {done} of {total} bytes")));
        }
        Ok(())
    }
}

enum Attempt {
    /// Worth another try.
    Failed(String),
    /// The server says that it will not.
    Gone(String),
    /// All of it came, and it is not what was asked for.
    WrongHash(NixHash),
    Io(io::Error),
    Cancelled,
}

/// The innermost cause, which is what a person can act on.
fn reason(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

fn copy_file(from: &Path, partial: &Partial) -> Result<(), Attempt> {
    let mut source = match File::open(from) {
        Ok(source) => source,
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            return Err(Attempt::Gone("no such file".to_owned()));
        }
        Err(e) => return Err(Attempt::Failed(e.to_string())),
    };
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
