//! What a suite lists now of something that was pinned: for the message of a
//! pin that no mirror serves any more.

use super::packages::{Packages, source_package};
use super::suite::{Expiry, Suite};
use super::update::ARCHITECTURE;
use crate::fetch::{FetchError, Fetcher};

/// A package in a suite's signed index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listed {
    Version(String),
    /// The suite has no such package any more.
    Absent,
}

/// Looks up the package that the file `path` is of, a binary package or part
/// of a source package. An index past its validity will do: this decides
/// nothing.
///
/// # Errors
/// The index cannot be fetched, is not signed as it should be, or is malformed.
pub fn listed(
    fetcher: &Fetcher,
    mirror: &str,
    suite: &str,
    package: &str,
    path: &str,
) -> Result<Listed, FetchError> {
    let open = Suite::open(fetcher, mirror, suite, Expiry::Ignore)?;
    let version = if path.ends_with(".deb") {
        let index = open.index(&format!("main/binary-{ARCHITECTURE}/Packages"))?;
        let packages = Packages::parse(&index).map_err(|reason| FetchError::Malformed {
            what: format!("the index of suite {suite}"),
            reason,
        })?;
        packages.get(package).map(|package| package.version.clone())
    } else {
        let index = open.index("main/source/Sources")?;
        source_package(&index, package).ok().map(|(version, _)| version)
    };
    Ok(version.map_or(Listed::Absent, Listed::Version))
}
