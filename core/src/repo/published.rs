//! A release as somebody published it, with its files here: to make it again, and
//! see whether it comes out the same.

use std::fs;
use std::path::Path;

use osbuild_store::cache::place::Place;
use osbuild_tuf::client::{Client, Limits};
use osbuild_tuf::metadata::Target;
use osbuild_tuf::time::Time;
use osbuild_update::documents::Release;
use osbuild_update::names::{self, Line, Part};

use super::derivations;
use super::error::{RepoError, io_error};
use super::publish::target_names;
use super::release::{Slot, path_in_output};
use super::tree::{MemoryStore, PlaceTransport, State};
use super::verify;
use super::waves::{documents_at, find_line};

/// See the module.
#[derive(Debug)]
pub struct Published {
    pub line: Line,
    pub slot: Slot,
    /// The derivation with all below it, as `attest::recorded` reads it.
    pub derivations: Vec<u8>,
}

/// Which one.
pub struct Wanted<'a> {
    /// The root that the repository is believed by.
    pub root: &'a [u8],
    /// `CHANNEL/VARIANT` or `VARIANT`; the only one unless said.
    pub line: Option<&'a str>,
    /// The newest unless said.
    pub version: Option<&'a str>,
}

/// Downloads a release to `to`, a new folder, by the laws of The Update Framework.
///
/// # Errors
/// The repository is not to be believed, has no such release, or does not say
/// what it was made from.
pub fn fetch(
    place: &dyn Place,
    wanted: &Wanted<'_>,
    to: &Path,
    now: Time,
    progress: &dyn Fn(&str),
) -> Result<Published, RepoError> {
    let transport = PlaceTransport { place, new: None };
    let client = Client::new(wanted.root, transport, MemoryStore::default(), Limits::default(), now)?;
    let state = State::of(client, now)?;
    let line = find_line(&state, wanted.line)?;
    let releases = documents_at(place, &state, &line)?.catalogue.releases;
    let version = find(&releases, wanted.version).map(|release| release.version.clone());
    let version = version.ok_or_else(|| {
        RepoError::Argument(match wanted.version {
            Some(version) => format!("{line} has no release {version}"),
            None => format!("{line} has no release that is not withdrawn"),
        })
    })?;

    fs::create_dir_all(to.join("slot")).map_err(io_error("create", to))?;
    let get = |name: &str, target: &Target, file: &Path| {
        progress(name);
        verify::fetch(place, name, target, file)
    };
    for (part, name) in target_names(&line.variant, &line.arch, &version) {
        // A part that is due and was not published is told by `Slot::read`.
        if let Some(target) = state.targets.targets.get(&name) {
            get(&name, target, &path_in_output(to, part))?;
        }
    }
    let slot = Slot::read(to)?;
    let name = derivations::target(&names::release(&line.variant, &line.arch, &version));
    let target = state.targets.targets.get(&name).ok_or_else(|| {
        RepoError::Argument(format!(
            "{line} {version} was published without the derivations that it comes from"
        ))
    })?;
    let file = to.join("derivations");
    get(&name, target, &file)?;
    let derivations = fs::read(&file).map_err(io_error("read", &file))?;
    Ok(Published { line, slot, derivations })
}

fn find<'r>(releases: &'r [Release], version: Option<&str>) -> Option<&'r Release> {
    match version {
        Some(version) => releases.iter().find(|release| release.version == version),
        None => releases
            .iter()
            .filter(|release| release.withdrawn.is_none())
            .max_by_key(|release| release.rollback_index),
    }
}

/// The parts of two releases that are not the same bytes.
pub fn differing(published: &Slot, again: &Slot) -> Vec<Part> {
    let is_other = |part: &Part| {
        let sha256 = |slot: &Slot| slot.parts.get(part).map(|checked| checked.sha256);
        sha256(published) != sha256(again)
    };
    Part::ALL.into_iter().filter(is_other).collect()
}
