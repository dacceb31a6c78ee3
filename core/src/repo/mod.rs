//! Repositories of releases: TUF 1.0 metadata over the files of slots, which
//! nodes update from.
//!
//! Everything that changes one goes through [`commit`]; who signs is in
//! [`signer`]; what a release consists of is `osbuild-update`'s, and what a
//! client believes `osbuild-tuf`'s, which this module asks before anything is
//! put into place. Nothing here builds an image, and no private key is ever
//! below a repository.

mod error;

pub mod tree;

pub mod policy;

pub mod signer;

pub mod token;

pub mod init;

pub mod release;

pub mod publish;

pub mod published;

mod derivations;

mod smaller;

pub mod tested;

pub mod verdict;

pub mod follower;

pub mod waves;

pub mod refresh;

pub mod rotate;

pub mod commit;

pub mod staged;

mod difference;

pub mod audit;

pub mod verify;

pub mod gc;

pub mod mirror;

use std::fs::{File, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use tempfile::NamedTempFile;

pub use error::RepoError;
use error::io_error;

/// Writes a file so that it is there whole or not at all, and lasts.
fn write_beside(path: &Path, bytes: &[u8]) -> Result<(), RepoError> {
    let mut file = beside(path)?;
    file.write_all(bytes).map_err(io_error("write", path))?;
    put_in_place(file, path)
}

/// A file that is to become the one at a path.
fn beside(path: &Path) -> Result<NamedTempFile, RepoError> {
    let folder = folder_of(path);
    NamedTempFile::new_in(folder).map_err(io_error("write in", folder))
}

fn put_in_place(file: NamedTempFile, path: &Path) -> Result<(), RepoError> {
    // A temporary file is its owner's alone.
    let for_all = Permissions::from_mode(0o644);
    let written = file.as_file().set_permissions(for_all).and_then(|()| file.as_file().sync_all());
    written.map_err(io_error("write", path))?;
    file.persist(path).map_err(|error| io_error("write", path)(error.error))?;
    let folder = folder_of(path);
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(io_error("sync", folder))
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."))
}
