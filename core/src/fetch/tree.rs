//! Trees that come as archives: fetched by hash, unpacked once.

use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use osbuild_store::NixHash;

use crate::aging;

use super::{FetchError, Fetcher, Progress};

/// Where a tree is that is known by its archive's hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Archive {
    /// An address, which may say `mirror://NAME/…`, or `file://` and a path.
    pub url: String,
    /// Of the archive as it is served: tar, plain or with gzip, xz or zstd.
    pub hash: NixHash,
}

impl Fetcher {
    /// The tree in an archive, unpacked below the cache if it is not there yet.
    /// One directory around all of it is left out. Only files and links count:
    /// no owner, no time, and of modes nothing but who may write or execute.
    ///
    /// # Errors
    /// See [`Fetcher::fetch`]; [`FetchError::Malformed`] where it is no archive.
    pub fn tree(
        &self,
        what: &str,
        archive: &Archive,
        progress: &dyn Progress,
    ) -> Result<PathBuf, FetchError> {
        let trees = trees_in(&self.config().cache);
        let tree = trees.join(archive.hash.to_hex());
        if tree.is_dir() {
            aging::note_use(&tree);
            return Ok(tree);
        }
        let in_trees = |source| FetchError::io("write in", &trees)(source);
        fs::create_dir_all(&trees).map_err(in_trees)?;
        let scratch = tempfile::Builder::new().prefix(".new-").tempdir_in(&trees).map_err(in_trees)?;
        let (file, whole) = (scratch.path().join("archive"), scratch.path().join("tree"));
        self.fetch(what, std::slice::from_ref(&archive.url), &archive.hash, &file, progress)?;
        fs::create_dir(&whole).map_err(in_trees)?;
        unpack(&file, &whole).map_err(|error| FetchError::Malformed {
            what: archive.url.clone(),
            reason: error.to_string(),
        })?;
        let top = only_directory(&whole).map_err(in_trees)?.unwrap_or(whole);
        // It is believed by its name from now on.
        rustix::fs::syncfs(File::open(&top).map_err(in_trees)?).map_err(|error| in_trees(error.into()))?;
        match fs::rename(&top, &tree) {
            // Somebody else did the same meanwhile.
            Err(_) if tree.is_dir() => Ok(tree),
            renamed => renamed.map(|()| tree).map_err(in_trees),
        }
    }
}

fn trees_in(cache: &Path) -> PathBuf {
    cache.join("trees")
}

/// Trees below a cache, or what a run that was killed left of one, that were of no
/// use for a month. Whoever needs one again fetches it again.
///
/// # Errors
/// The cache cannot be read.
pub fn unused_trees(cache: &Path, now: SystemTime) -> Result<Vec<PathBuf>, FetchError> {
    let trees = trees_in(cache);
    aging::unused(&trees, now).map_err(FetchError::io("list", &trees))
}

/// Removes one of those, which has another name before anything of it is gone:
/// what a killed run leaves of it is not believed.
///
/// # Errors
/// It cannot be renamed, or something in it cannot be removed.
pub fn remove_tree(tree: &Path) -> Result<(), FetchError> {
    let trees = tree.parent().unwrap_or(tree);
    let scratch = tempfile::Builder::new().prefix(".old-").tempdir_in(trees);
    let scratch = scratch.map_err(FetchError::io("write in", trees))?;
    fs::rename(tree, scratch.path().join("tree")).map_err(FetchError::io("rename", tree))?;
    scratch.close().map_err(FetchError::io("remove", tree))
}

fn unpack(file: &Path, into: &Path) -> io::Result<()> {
    let mut archive = tar::Archive::new(decompressed(File::open(file)?)?);
    archive.set_preserve_mtime(false);
    let mut is_empty = true;
    for entry in archive.entries()? {
        let mut entry = entry?;
        let kind = entry.header().entry_type();
        // Directories come with what is in them.
        if kind.is_dir() || kind.is_pax_global_extensions() {
            continue;
        }
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let refused = |reason: &str| io::Error::new(io::ErrorKind::InvalidData, format!("{name}: {reason}"));
        if !(kind.is_file() || kind.is_symlink() || kind.is_hard_link()) {
            return Err(refused("neither a file nor a link"));
        }
        if !entry.unpack_in(into)? {
            return Err(refused("it leads out of the archive"));
        }
        is_empty = false;
    }
    if is_empty {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "there is nothing in it"));
    }
    Ok(())
}

/// By how it begins.
fn decompressed(mut file: File) -> io::Result<Box<dyn Read>> {
    let mut magic = Vec::new();
    (&mut file).take(6).read_to_end(&mut magic)?;
    file.rewind()?;
    Ok(match magic.as_slice() {
        [0x1f, 0x8b, ..] => Box::new(flate2::read::MultiGzDecoder::new(file)),
        [0xfd, b'7', b'z', b'X', b'Z', 0] => Box::new(liblzma::read::XzDecoder::new_multi_decoder(file)),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Box::new(zstd::stream::read::Decoder::new(file)?),
        _ => Box::new(BufReader::new(file)),
    })
}

/// The directory that holds all else.
fn only_directory(tree: &Path) -> io::Result<Option<PathBuf>> {
    let mut entries = fs::read_dir(tree)?;
    let first = entries.next().transpose()?;
    Ok(match (first, entries.next()) {
        (Some(only), None) if only.file_type()?.is_dir() => Some(only.path()),
        _ => None,
    })
}
