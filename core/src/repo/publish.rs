//! Publishing: releases into a channel.

use std::collections::BTreeMap;
use std::path::PathBuf;

use osbuild_tuf::metadata::{Envelope, Hashes, Target, Targets};
use osbuild_tuf::time::Time;
use osbuild_update::documents::{Given, Release};
use osbuild_update::names::{self, Line, Part};

use super::commit::{Bytes, Change, Committed, Signers, commit, describe};
use super::derivations;
use super::error::RepoError;
use super::policy;
use super::release::Slot;
use super::smaller;
use super::tested;
use super::tree::{Repository, State};
use super::verdict;
use super::waves::{Documents, documents, lines, parse_wave, with_rollout};

/// What is to be published.
pub struct Request<'a> {
    /// Outputs of building variants, or of signing them.
    pub outputs: Vec<PathBuf>,
    /// What they were made from, where that is known (see `attest::recorded`), by
    /// output.
    pub derivations: BTreeMap<PathBuf, Vec<u8>>,
    pub channel: String,
    /// As `waves::parse_wave` reads it; the policy's unless given.
    pub wave: Option<String>,
    /// The release's floor may be above what the one before has: nodes that
    /// commit it cannot go back.
    pub retire_previous: bool,
    /// Records of tests (see `tested`), or why there are none.
    pub evidence: Evidence,
    /// Verdicts of rebuilders (see `verdict`).
    pub verdicts: Vec<PathBuf>,
    /// Told of what takes long.
    pub progress: &'a dyn Fn(&str),
}

/// Whether a release was booted and updated to.
pub enum Evidence {
    /// Files that say so.
    Records(Vec<PathBuf>),
    /// Published all the same, for this reason, which the record of signings keeps.
    None { why: String },
}

/// What publishing one release means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    pub line: Line,
    pub version: String,
    pub root_hash: String,
    /// Published before, just so.
    pub is_known: bool,
    /// Targets that are new, and their sizes in bytes.
    pub new: Vec<(String, u64)>,
}

pub struct Plan {
    pub releases: Vec<Planned>,
    change: Change,
}

/// Looks at everything and changes nothing.
///
/// # Errors
/// A release that does not hold together, or a rule of publishing.
pub fn plan(
    repository: &Repository,
    state: &State,
    request: &Request<'_>,
    now: Time,
) -> Result<Plan, RepoError> {
    let mut targets = state.targets.targets.clone();
    let mut rollouts = state.rollout.as_ref().map(|role| role.targets.clone()).unwrap_or_default();
    let mut files: BTreeMap<String, Bytes> = BTreeMap::new();
    let mut releases = Vec::new();
    let mut actions = Vec::new();
    let policy = &repository.policy.publish;
    let records = tested::read(&request.evidence)?;
    let verdicts = verdict::read(&request.verdicts)?;
    let rebuilders = repository.policy.rebuilders();
    if rebuilders.is_none() && !verdicts.is_empty() {
        return Err(RepoError::Rule(format!("{} names no rebuilders whose verdicts count", policy::FILE)));
    }
    let mut delegations = state.targets.delegations.clone();
    let mut agreements: BTreeMap<String, Envelope<Targets>> = BTreeMap::new();
    let mut slots = Vec::new();
    for output in &request.outputs {
        let slot = Slot::read(output)?;
        let Slot { release, .. } = &slot;
        let bad = |what: String| RepoError::Release { path: output.clone(), what };
        let line = Line::new(&request.channel, &release.variant, &release.arch);
        let line = line.ok_or_else(|| {
            RepoError::Argument(format!("'{}' is no channel: a-z, 0-9, - and _", request.channel))
        })?;
        if !names::is_version(&release.version) {
            return Err(bad(format!("'{}' is no version", release.version)));
        }
        if releases.iter().any(|other: &Planned| other.line == line) {
            return Err(bad(format!("{} is given twice", release.variant)));
        }
        if let Some(rebuilders) = &rebuilders {
            let is_there = state.rebuilt.values().any(|role| verdict::is_on(role, &slot));
            match verdict::agreed(&verdicts, &slot, rebuilders)? {
                // What was agreed on once stays as it is.
                _ if is_there => {}
                Some(agreed) => {
                    verdict::delegate(&mut delegations, &agreed, rebuilders);
                    agreements.insert(agreed.role.name, agreed.envelope);
                }
                None if policy.is_candidate(&line.channel) => {}
                None => return Err(verdict::too_few(&slot, 0, rebuilders)),
            }
        }
        let Documents { mut catalogue, mut rollout } = documents(repository, state, &line)?;
        let is_known = is_known(&slot, &catalogue.releases)?;
        let mut new = Vec::new();
        if !is_known {
            follow_rules(&slot, &catalogue.releases, request.retire_previous)?;
            let is_asked =
                policy.asks_for_records(&line.channel) && matches!(request.evidence, Evidence::Records(_));
            let shown = tested::look(&records, &slot, is_asked)?;
            let prefix = names::release(&release.variant, &release.arch, &release.version);
            for (part, checked) in &slot.parts {
                let name = format!("{prefix}.{}", part.file());
                let target =
                    Target { length: checked.size, hashes: Hashes::sha256(&checked.sha256), custom: None };
                match targets.get(&name) {
                    // By way of another channel.
                    Some(other) if *other == target => continue,
                    Some(_) => {
                        return Err(RepoError::Changed {
                            variant: release.variant.clone(),
                            version: release.version.clone(),
                            what: part.file(),
                        });
                    }
                    None => {}
                }
                new.push((name.clone(), checked.size));
                targets.insert(name.clone(), target);
                files.insert(name, Bytes::File(checked.path.clone()));
            }
            let mut add = |name: String, bytes: Vec<u8>, targets: &mut BTreeMap<String, Target>| {
                new.push((name.clone(), bytes.len() as u64));
                targets.insert(name.clone(), describe(&bytes, None));
                files.insert(name, Bytes::Small(bytes));
            };
            let mut origins = vec![catalogue.releases.clone()];
            if policy.is_candidate(&line.channel) {
                origins.extend(elsewhere(repository, state, &line, release.rollback_index)?);
            }
            for before in &origins {
                for (name, bytes) in smaller::make(repository, &targets, &slot, before, request.progress)? {
                    add(name, bytes, &mut targets);
                }
            }
            let derivations = request.derivations.get(output);
            let made_from = derivations.map(|bytes| (derivations::target(&prefix), bytes.clone()));
            for (name, bytes) in shown.into_iter().chain(made_from) {
                if !targets.contains_key(&name) {
                    add(name, bytes, &mut targets);
                }
            }
            catalogue.releases.push(Release {
                version: release.version.clone(),
                rollback_index: release.rollback_index,
                min_from_index: release.min_from_index,
                root_hash: release.root.root_hash.clone(),
                manifest_sha256: slot.manifest_sha256.clone(),
                published: now,
                withdrawn: None,
            });
            let bytes = catalogue.to_bytes();
            targets.insert(line.catalogue(), describe(&bytes, None));
            files.insert(line.catalogue(), Bytes::Small(bytes));
        }
        if !rollout.releases.contains_key(&release.root.root_hash) {
            let wave = parse_wave(request.wave.as_deref().unwrap_or(policy.wave_of(&line.channel)), now)?;
            let given = Given { version: release.version.clone(), wave, paused: None };
            rollout.releases.insert(release.root.root_hash.clone(), given);
            let (all, bytes) = with_rollout(state, &line, &rollout);
            rollouts.extend(all.into_iter().filter(|(name, _)| *name == line.rollout()));
            files.extend(bytes);
        }
        let why = match &request.evidence {
            Evidence::None { why } if !is_known => format!(" untested: {why}"),
            _ => String::new(),
        };
        actions.push(format!("{line} {}{why}", release.version));
        let (version, root_hash) = (release.version.clone(), release.root.root_hash.clone());
        releases.push(Planned { line, version, root_hash, is_known, new });
        slots.push(slot);
    }
    let published: Vec<String> = releases.iter().map(|release| release.root_hash.clone()).collect();
    tested::none_is_left(&records, &published)?;
    verdict::none_is_left(&verdicts, &slots)?;
    let change = Change {
        action: format!("publish {}", actions.join(", ")),
        targets: Some((targets, delegations)),
        rollout: Some(rollouts),
        agreements,
        files,
        ..Change::default()
    };
    Ok(Plan { releases, change })
}

/// Carries it out.
///
/// # Errors
/// What `commit` says.
pub fn publish(
    repository: &Repository,
    state: &State,
    plan: Plan,
    signers: &Signers<'_>,
    now: Time,
) -> Result<Committed, RepoError> {
    commit(repository, Some(state), plan.change, signers, now)
}

/// What the other channels of a variant have that is older: from there nodes will
/// come when a candidate is published in them. Made now, their deltas are tested
/// with it.
fn elsewhere(
    repository: &Repository,
    state: &State,
    line: &Line,
    rollback_index: u64,
) -> Result<Vec<Vec<Release>>, RepoError> {
    let is_other = |other: &Line| {
        other.variant == line.variant && other.arch == line.arch && other.channel != line.channel
    };
    let releases = |other: Line| {
        let mut releases = documents(repository, state, &other)?.catalogue.releases;
        releases.retain(|release| release.rollback_index < rollback_index);
        Ok(releases)
    };
    lines(state).into_iter().filter(is_other).map(releases).collect()
}

fn is_known(slot: &Slot, releases: &[Release]) -> Result<bool, RepoError> {
    let Slot { release, manifest_sha256, .. } = slot;
    let Some(before) = releases.iter().find(|before| before.version == release.version) else {
        return Ok(false);
    };
    if before.manifest_sha256 == *manifest_sha256 {
        return Ok(true);
    }
    let what = if before.root_hash == release.root.root_hash { "kernel image or loader" } else { "root" };
    Err(RepoError::Changed { variant: release.variant.clone(), version: release.version.clone(), what })
}

fn follow_rules(slot: &Slot, releases: &[Release], retire_previous: bool) -> Result<(), RepoError> {
    let Slot { release, .. } = slot;
    let version = &release.version;
    let broken = |what: String| Err(RepoError::Rule(what));
    if let Some(same) = releases.iter().find(|before| before.root_hash == release.root.root_hash) {
        return broken(format!(
            "{version} has the root of {}: a node could not tell them apart",
            same.version
        ));
    }
    let Some(last) = releases.last() else { return Ok(()) };
    if release.rollback_index <= last.rollback_index {
        return broken(format!(
            "{version} has the rollback index {}, {} has {}: no node would go there; raise release.rollbackIndex",
            release.rollback_index, last.version, last.rollback_index
        ));
    }
    if release.floor > last.rollback_index && !retire_previous {
        return broken(format!(
            "{version} has the floor {}, above the index {} of {}: nodes that commit it cannot go back; --retire-previous says that this is meant",
            release.floor, last.rollback_index, last.version
        ));
    }
    if release.min_from_index > last.rollback_index {
        return broken(format!(
            "{version} can be reached from index {} on, and no release of the channel has it (the newest has {})",
            release.min_from_index, last.rollback_index
        ));
    }
    Ok(())
}

/// What a release's targets are called, by part.
pub(super) fn target_names(variant: &str, arch: &str, version: &str) -> BTreeMap<Part, String> {
    let prefix = names::release(variant, arch, version);
    Part::ALL.into_iter().map(|part| (part, format!("{prefix}.{}", part.file()))).collect()
}
