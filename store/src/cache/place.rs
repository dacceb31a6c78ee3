//! Where a cache's files are, whatever serves them.

use std::fmt;
use std::io::Read;
use std::path::Path;

/// Looks whether the user still wants what is being waited for.
pub type Cancelled<'a> = dyn Fn() -> bool + Sync + 'a;

/// Why a place cannot be read or written. What it does not have is no error.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// It cannot be reached, or answers with a failure.
    #[error("cannot {action} {address}: {reason}")]
    Failed { action: &'static str, address: String, reason: String },
    /// A small file is larger than it can be.
    #[error("{address} is larger than {limit_bytes} bytes")]
    TooLarge { address: String, limit_bytes: usize },
    /// The user interrupted.
    #[error("interrupted")]
    Interrupted,
}

/// What is put into a place.
#[derive(Clone, Copy, Debug)]
pub enum Contents<'a> {
    Bytes(&'a [u8]),
    File(&'a Path),
}

/// Files by name: relative, with slashes between, as `nar/….nar.zst`.
pub trait Place: Send + Sync + fmt::Debug {
    /// As the user wrote it, without what is secret.
    fn address(&self) -> &str;

    /// Whether it holds records of this store itself: they are believed without
    /// a signature, and asked for anew each time.
    fn is_ours(&self) -> bool {
        false
    }

    /// A small file whole; `None` if there is none.
    ///
    /// # Errors
    /// See [`PlaceError`], as in every function here.
    fn get(
        &self,
        name: &str,
        limit_bytes: usize,
        cancelled: &Cancelled<'_>,
    ) -> Result<Option<Vec<u8>>, PlaceError> {
        let mut found = None;
        self.read(name, cancelled, &mut |stream, _| {
            let mut bytes = Vec::new();
            stream.take(limit_bytes as u64 + 1).read_to_end(&mut bytes)?;
            found = Some(bytes);
            Ok(())
        })?;
        if found.as_ref().is_some_and(|bytes| bytes.len() > limit_bytes) {
            let address = format!("{}/{name}", self.address());
            return Err(PlaceError::TooLarge { address, limit_bytes });
        }
        Ok(found)
    }

    /// Gives a file's bytes to `reader` as they come, with their number if it
    /// is known; whether there is such a file. `reader` need not read all.
    fn read(
        &self,
        name: &str,
        cancelled: &Cancelled<'_>,
        reader: &mut Reader<'_>,
    ) -> Result<bool, PlaceError>;

    fn exists(&self, name: &str, cancelled: &Cancelled<'_>) -> Result<bool, PlaceError>;

    /// Puts a file there, which appears whole or not at all.
    fn put(&self, name: &str, contents: Contents<'_>, cancelled: &Cancelled<'_>) -> Result<(), PlaceError>;

    /// Removes what writers that were killed left half-written, where such a
    /// place knows of that.
    fn tidy(&self) {}
}

/// Takes a stream and the number of its bytes. The errors of the stream are
/// the place's, all others the reader keeps to itself.
pub type Reader<'a> = dyn FnMut(&mut dyn Read, Option<u64>) -> std::io::Result<()> + 'a;
