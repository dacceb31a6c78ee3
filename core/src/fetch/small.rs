//! Small files that are wanted whole, and whether a file is there at all. What
//! comes is not hashed here: whoever asked checks a signature.

use std::path::Path;
use std::time::Duration;

use osbuild_store::transport::{self, Broken};

use super::FetchError;
use super::download::{Attempt, FIRST_PAUSE, Fetcher, local};

/// An index or a release file is never larger.
const MAX_TEXT_BYTES: usize = 64 << 20;

impl Fetcher {
    /// Fetches a small file whole.
    ///
    /// # Errors
    /// [`FetchError::Unreachable`] or [`FetchError::Gone`].
    pub fn bytes(&self, address: &str) -> Result<Vec<u8>, FetchError> {
        let mut last = String::new();
        for attempt in 0..2 {
            if attempt > 0 {
                let cancelled = || self.is_interrupted();
                transport::pause(FIRST_PAUSE, &cancelled).map_err(|_| FetchError::Interrupted)?;
            }
            let gone = |reason: String| {
                let (what, attempts) = (address.to_owned(), vec![format!("{address}: {reason}")]);
                FetchError::Gone { what, attempts }
            };
            match self.bytes_once(address) {
                Ok(bytes) => return Ok(bytes),
                Err(Attempt::Cancelled) => return Err(FetchError::Interrupted),
                Err(Attempt::Gone(reason)) => return Err(gone(reason)),
                Err(Attempt::Failed(reason)) => last = reason,
                Err(Attempt::Io(error)) => last = error.to_string(),
                Err(Attempt::WrongHash(_)) => unreachable!("nothing is hashed here"),
            }
        }
        let attempts = vec![format!("{address}: {last}")];
        Err(FetchError::Unreachable { what: address.to_owned(), attempts })
    }

    fn bytes_once(&self, address: &str) -> Result<Vec<u8>, Attempt> {
        if let Some(path) = address.strip_prefix("file://") {
            return std::fs::read(path).map_err(|error| local(&error));
        }
        let client = self.http.client().map_err(|e| Attempt::Failed(e.to_string()))?;
        let request = client.get(address).timeout(Duration::from_secs(120));
        let cancelled = || self.is_interrupted();
        let (head, transfer) = transport::send(request, &cancelled)?;
        if head.status.is_client_error() {
            return Err(Attempt::Gone(head.status.to_string()));
        }
        if !head.status.is_success() {
            return Err(Attempt::Failed(head.status.to_string()));
        }
        let mut bytes = Vec::new();
        while let Some(mut chunk) = transfer.next()? {
            bytes.append(&mut chunk);
            if bytes.len() > MAX_TEXT_BYTES {
                return Err(Attempt::Failed(format!("is larger than {MAX_TEXT_BYTES} bytes")));
            }
        }
        Ok(bytes)
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
    ///
    /// # Errors
    /// [`FetchError::Interrupted`].
    pub fn exists(&self, address: &str) -> Result<Option<bool>, FetchError> {
        if let Some(path) = address.strip_prefix("file://") {
            return Ok(Some(Path::new(path).exists()));
        }
        let request = self.http.client()?.head(address).timeout(Duration::from_secs(60));
        match transport::send(request, &|| self.is_interrupted()) {
            Ok((head, _)) if head.status.is_success() => Ok(Some(true)),
            Ok((head, _)) if head.status.is_client_error() => Ok(Some(false)),
            Ok(_) | Err(Broken::Failed(_)) => Ok(None),
            Err(Broken::Cancelled) => Err(FetchError::Interrupted),
        }
    }
}
