//! Ways to a release that cost a node fewer bytes than all of it: deltas from the
//! releases before, and the list of chunks that an image is made of. Nobody has
//! to believe them: what comes out is judged by the release's own hashes.

use std::collections::BTreeMap;
use std::path::Path;

use osbuild_delta::chunks::{Index, Sizes};
use osbuild_delta::make;
use osbuild_delta::plan::Limits;
use osbuild_tuf::metadata::Target;
use osbuild_update::documents::Release;
use osbuild_update::names::{self, Part};
use rayon::prelude::*;

use super::error::{RepoError, io_error};
use super::publish::target_names;
use super::release::Slot;
use super::tree::{PUBLIC, Repository, target_file};

/// How many releases back a delta is made from. Who is further behind takes
/// chunks, or a release in between.
const RELEASES_BACK: usize = 3;

type Make = fn(&[u8], &[u8], &Limits) -> osbuild_delta::Result<Vec<u8>>;

/// An image that is patched.
#[derive(Clone, Copy)]
struct Image {
    part: Part,
    /// What the names of its deltas say.
    short: &'static str,
    make: Make,
}

const IMAGES: [Image; 3] = [
    Image { part: Part::Root, short: "root", make: make::root_image },
    // Leaves are hashes under one salt: those of blocks that only moved are in
    // the old tree.
    Image { part: Part::Tree, short: "tree", make: make::plain },
    Image { part: Part::Uki, short: "boot", make: make::boot_image },
];

/// Targets by name, those that there are not yet.
///
/// # Errors
/// An image that cannot be read. What cannot be patched has no delta.
pub(super) fn make(
    repository: &Repository,
    targets: &BTreeMap<String, Target>,
    slot: &Slot,
    before: &[Release],
    progress: &dyn Fn(&str),
) -> Result<Vec<(String, Vec<u8>)>, RepoError> {
    let release = &slot.release;
    let prefix = names::release(&release.variant, &release.arch, &release.version);
    let read = |path: &Path| std::fs::read(path).map_err(io_error("read", path));
    let mut made = Vec::new();
    for image in IMAGES {
        let new = read(&slot.parts[&image.part].path)?;
        let mut work: Vec<(String, Vec<u8>)> = Vec::new();
        for old in before.iter().rev().take(RELEASES_BACK) {
            let name = &target_names(&release.variant, &release.arch, &old.version)[&image.part];
            let Some(target) = targets.get(name) else { continue };
            // Made when it was published in another channel.
            if targets.contains_key(&format!("{prefix}.{}", names::delta(image.short, &old.version))) {
                continue;
            }
            let file = repository.path.join(PUBLIC).join(target_file(name, target)?);
            work.push((old.version.clone(), read(&file)?));
        }
        if !work.is_empty() {
            let from: Vec<&str> = work.iter().map(|(version, _)| version.as_str()).collect();
            progress(&format!("{}: deltas from {}", image.part.file(), from.join(", ")));
        }
        let limits = Limits::for_partition(new.len() as u64);
        let deltas: Vec<(String, Vec<u8>)> = work
            .into_par_iter()
            .filter_map(|(version, old)| {
                let delta = (image.make)(&old, &new, &limits).ok()?;
                let is_worth_it = delta.len() < new.len();
                is_worth_it.then(|| (format!("{prefix}.{}", names::delta(image.short, &version)), delta))
            })
            .collect();
        made.extend(deltas);
        let chunks = format!("{prefix}.{}", names::chunks(image.short));
        if image.part == Part::Root && !targets.contains_key(&chunks) {
            let index = Index::of(new.as_slice(), Sizes::DEFAULT).expect("memory can be read");
            made.push((chunks, index.to_bytes()));
        }
    }
    Ok(made)
}
