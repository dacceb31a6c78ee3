//! Resolving a lock anew, asking mirrors for what is pinned, filling a mirror
//! by hash.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use osbuild_store::{HashAlgorithm, NixHash};

use super::packages::{Packages, source_package};
use super::resolve::resolve;
use super::suite::{Expiry, Suite};
use super::{Entry, Lock};
use crate::fetch::download::Progress;
use crate::fetch::{FetchError, Fetcher};
use crate::image::glob::Glob;

/// Debian's name of the architecture that recipes are for.
pub(super) const ARCHITECTURE: &str = "amd64";

/// Requests at a time.
const PARALLEL: usize = 8;

/// Resolves a lock's request against its suite as it is now.
///
/// # Errors
/// See [`FetchError`]; `path` is named where the request is wrong.
pub fn update(fetcher: &Fetcher, lock: &Lock, path: &Path, expiry: Expiry) -> Result<Lock, FetchError> {
    let suite = Suite::open(fetcher, lock.mirror(), &lock.suite, expiry)?;
    let wrong = |reason: String| FetchError::Lock { path: path.to_owned(), reason };
    let mut entries = Vec::new();
    let request = &lock.request;
    if !request.packages.is_empty() {
        let index = suite.index(&format!("main/binary-{ARCHITECTURE}/Packages"))?;
        let packages = Packages::parse(&index).map_err(|reason| FetchError::Malformed {
            what: format!("the index of suite {}", lock.suite),
            reason,
        })?;
        let found = resolve(&packages, &request.packages, request.closure, &request.exclude)
            .map_err(|problems| wrong(problems.join("\n  ")))?;
        entries.extend(found.into_iter().map(|package| Entry {
            name: package.name.clone(),
            version: package.version.clone(),
            path: package.path.clone(),
            sha256: package.sha256.clone(),
            size: package.size,
        }));
    }
    if !request.sources.is_empty() {
        let index = suite.index("main/source/Sources")?;
        for source in &request.sources {
            let (version, files) = source_package(&index, &source.package).map_err(wrong)?;
            for pattern in &source.files {
                let glob = Glob::new(pattern);
                let name = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
                let mut matching = files.iter().filter(|file| glob.matches(&name(&file.path))).peekable();
                if matching.peek().is_none() {
                    let has: Vec<String> = files.iter().map(|file| name(&file.path)).collect();
                    let reason = format!(
                        "no file of {} {version} matches '{pattern}'; it has {}",
                        source.package,
                        has.join(", ")
                    );
                    return Err(wrong(reason));
                }
                entries.extend(matching.map(|file| Entry {
                    name: source.package.clone(),
                    version: version.clone(),
                    path: file.path.clone(),
                    sha256: file.sha256.clone(),
                    size: file.size,
                }));
            }
        }
    }
    entries.sort();
    entries.dedup();
    Ok(Lock { index_date: suite.date(), entries, ..lock.clone() })
}

/// How one entry stands with the mirrors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Served {
    Yes,
    No,
    /// No mirror answered.
    Unknown,
}

/// Asks the mirrors whether they have each file. Reads nothing but headers.
///
/// # Errors
/// No mirror is known.
pub fn check(fetcher: &Fetcher, lock: &Lock) -> Result<Vec<Served>, FetchError> {
    let results = Mutex::new(vec![Served::Unknown; lock.entries.len()]);
    in_parallel(lock.entries.len(), |index| {
        let url = format!("mirror://{}/{}", lock.mirror(), lock.entries[index].path);
        let mut served = Served::Unknown;
        for address in fetcher.addresses(&url)? {
            match fetcher.exists(&address)? {
                Some(true) => {
                    served = Served::Yes;
                    break;
                }
                Some(false) => served = Served::No,
                None => {}
            }
        }
        results.lock().expect("no thread panics holding it")[index] = served;
        Ok(())
    })?;
    Ok(results.into_inner().expect("no thread panics holding it"))
}

/// A file to put into a mirror by hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    pub what: String,
    pub url: String,
    /// In hexadecimal.
    pub sha256: String,
}

/// Fetches files into `directory`, each named by its hash: what
/// `OSBUILD_SOURCES` may name. Files that are there are left alone.
///
/// # Errors
/// The first that cannot be fetched; the others stay.
pub fn export(
    fetcher: &Fetcher,
    files: &[Wanted],
    directory: &Path,
    progress: &dyn Progress,
) -> Result<usize, FetchError> {
    std::fs::create_dir_all(directory).map_err(FetchError::io("make the directory", directory))?;
    let (done, fetched) = (AtomicUsize::new(0), AtomicUsize::new(0));
    in_parallel(files.len(), |index| {
        let file = &files[index];
        let malformed = |reason: String| FetchError::Malformed { what: file.what.clone(), reason };
        let expected = NixHash::parse(&file.sha256, Some(HashAlgorithm::Sha256))
            .map_err(|e| malformed(e.to_string()))?;
        let at = directory.join(expected.to_hex());
        let there = crate::fetch::download::hash_file(&at, HashAlgorithm::Sha256).ok();
        if there.as_ref() != Some(&expected) {
            let scratch =
                tempfile::NamedTempFile::new_in(directory).map_err(FetchError::io("write in", directory))?;
            let quiet = Cancel(progress);
            fetcher.fetch(&file.what, std::slice::from_ref(&file.url), &expected, scratch.path(), &quiet)?;
            std::fs::rename(scratch.path(), &at).map_err(FetchError::io("rename to", &at))?;
            fetched.fetch_add(1, Ordering::Relaxed);
        }
        progress.update(done.fetch_add(1, Ordering::Relaxed) as u64 + 1, files.len() as u64);
        Ok(())
    })?;
    Ok(fetched.into_inner())
}

/// Passes on the wish to stop, not the bytes of single files.
struct Cancel<'p>(&'p dyn Progress);

impl Progress for Cancel<'_> {
    fn update(&self, _done: u64, _total: u64) {}

    fn cancelled(&self) -> bool {
        self.0.cancelled()
    }
}

/// Runs `work` for each index on a few threads; the first error ends it.
fn in_parallel(
    count: usize,
    work: impl Fn(usize) -> Result<(), FetchError> + Sync,
) -> Result<(), FetchError> {
    let next = AtomicUsize::new(0);
    let failure = Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..PARALLEL.min(count) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= count || failure.lock().expect("no thread panics holding it").is_some() {
                        return;
                    }
                    if let Err(error) = work(index) {
                        failure.lock().expect("no thread panics holding it").get_or_insert(error);
                    }
                }
            });
        }
    });
    failure.into_inner().expect("no thread panics holding it").map_or(Ok(()), Err)
}
