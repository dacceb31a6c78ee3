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

mod smaller;

pub mod tested;

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

use std::io::Write as _;
use std::path::Path;

pub use error::RepoError;
use error::io_error;

/// Writes a file so that it is there whole or not at all, and lasts.
fn write_beside(path: &Path, bytes: &[u8]) -> Result<(), RepoError> {
    let folder = path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(io_error("write in", folder))?;
    file.write_all(bytes).and_then(|()| file.as_file().sync_all()).map_err(io_error("write", path))?;
    use std::os::unix::fs::PermissionsExt as _;
    file.as_file()
        .set_permissions(std::fs::Permissions::from_mode(0o644))
        .map_err(io_error("write", path))?;
    file.persist(path).map_err(|error| io_error("write", path)(error.error))?;
    std::fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(io_error("sync", folder))
}
