//! Dropping old releases, and files that nothing names.

use std::collections::BTreeSet;

use osbuild_tuf::time::Time;
use osbuild_update::names;

use super::commit::{Bytes, Change, Signers, commit, describe};
use super::error::{RepoError, io_error};
use super::tree::{PUBLIC, Repository, State};
use super::verify::unnamed;
use super::waves::{Documents, documents, lines, with_rollout};

/// What is dropped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// `LINE VERSION`
    pub releases: Vec<String>,
    /// Files and their sizes in bytes.
    pub files: Vec<(String, u64)>,
}

/// Keeps the newest `keep` releases of each line. Clients read what was named a
/// moment ago: bytes go in the run after the one that stopped naming them, so
/// files are those that nothing named when this began.
///
/// # Errors
/// What `commit` says.
pub fn gc(
    repository: &Repository,
    state: &State,
    keep: usize,
    dry_run: bool,
    signers: &Signers<'_>,
    now: Time,
) -> Result<Dropped, RepoError> {
    let mut dropped = Dropped { files: unnamed(&repository.path, state)?, ..Dropped::default() };
    let mut targets = state.targets.targets.clone();
    let mut rollouts = state.rollout.as_ref().map(|role| role.targets.clone()).unwrap_or_default();
    let mut files = std::collections::BTreeMap::new();
    // What the names of a release's files begin with.
    let mut kept: BTreeSet<String> = BTreeSet::new();
    let mut gone: BTreeSet<String> = BTreeSet::new();
    for line in lines(state) {
        let Documents { mut catalogue, mut rollout } = documents(repository, state, &line)?;
        let old = catalogue.releases.len().saturating_sub(keep.max(1));
        let prefix = |version: &str| format!("{}.", names::release(&line.variant, &line.arch, version));
        for release in catalogue.releases.drain(..old) {
            gone.insert(prefix(&release.version));
            rollout.releases.remove(&release.root_hash);
            dropped.releases.push(format!("{line} {}", release.version));
        }
        kept.extend(catalogue.releases.iter().map(|release| prefix(&release.version)));
        if old > 0 {
            let bytes = catalogue.to_bytes();
            targets.insert(line.catalogue(), describe(&bytes, None));
            files.insert(line.catalogue(), Bytes::Small(bytes));
            let (all, bytes) = with_rollout(state, &line, &rollout);
            rollouts.extend(all.into_iter().filter(|(name, _)| *name == line.rollout()));
            files.extend(bytes);
        }
    }
    // Another channel may still have it.
    let is_of =
        |name: &str, prefixes: &BTreeSet<String>| prefixes.iter().any(|prefix| name.starts_with(prefix));
    targets.retain(|name, _| is_of(name, &kept) || !is_of(name, &gone));
    if dry_run {
        return Ok(dropped);
    }
    let mut delegations = state.targets.delegations.clone();
    if let Some(all) = &mut delegations {
        let is_gone = |release: &str| {
            let prefix = format!("{release}.");
            gone.contains(&prefix) && !kept.contains(&prefix)
        };
        all.roles.retain(|role| !names::of_rebuilt_role(&role.name).is_some_and(is_gone));
    }
    let change = Change {
        action: format!("gc: {}", dropped.releases.join(", ")),
        targets: Some((targets, delegations)),
        rollout: Some(rollouts),
        files,
        ..Change::default()
    };
    commit(repository, Some(state), change, signers, now)?;
    for (name, _) in &dropped.files {
        let path = repository.path.join(PUBLIC).join(name);
        std::fs::remove_file(&path).map_err(io_error("remove", &path))?;
    }
    Ok(dropped)
}
