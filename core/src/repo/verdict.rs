//! Verdicts of rebuilders: that a release was made again by somebody else, and was
//! the same.
//!
//! A verdict is a signature over the metadata of a role of its own, which has the
//! release's manifest as its only target. It follows from the release alone, so
//! that all rebuilders sign the same bytes; and it never ends, since what was the
//! same stays so. Once enough of those who count have signed, the repository's
//! targets delegate to that role, by their keys and with their threshold, and
//! every client of The Update Framework can see it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use osbuild_tuf::key::{Key, KeyId};
use osbuild_tuf::metadata::{
    Common, DelegatedRole, Delegations, Envelope, Hashes, RoleKeys, Signature, TARGETS, Target, Targets,
};
use osbuild_tuf::time::Time;
use osbuild_update::names::{self, Part};

use super::error::{RepoError, io_error};
use super::release::Slot;
use super::signer::Signer;

/// Of the metadata of each such role: it is written once.
pub(super) const VERSION: u64 = 1;
/// The last second that metadata can write.
const NEVER_ENDS: Time = Time(253_402_300_799);

/// Whose verdicts count, and how many have to be given.
#[derive(Clone, Debug)]
pub(super) struct Rebuilders {
    pub(super) keys: BTreeMap<KeyId, Key>,
    pub(super) role: RoleKeys,
}

/// The roles of this kind that metadata delegates to.
pub(super) fn roles(targets: &Targets) -> Vec<String> {
    let delegated = targets.delegations.iter().flat_map(|all| &all.roles);
    delegated.map(|role| role.name.clone()).filter(|name| names::of_rebuilt_role(name).is_some()).collect()
}

/// What rebuilders say of a release: its role, and what that speaks of.
fn content(slot: &Slot) -> (String, Targets) {
    let release = names::release(&slot.release.variant, &slot.release.arch, &slot.release.version);
    let manifest = &slot.parts[&Part::Manifest];
    let target = Target { length: manifest.size, hashes: Hashes::sha256(&manifest.sha256), custom: None };
    let targets = BTreeMap::from([(format!("{release}.{}", Part::Manifest.file()), target)]);
    let common = Common::new(TARGETS, VERSION, NEVER_ENDS);
    (names::rebuilt_role(&release), Targets { common, targets, delegations: None })
}

/// Whether a role's metadata is about this very release.
pub(super) fn is_on(role: &Targets, slot: &Slot) -> bool {
    role.targets == content(slot).1.targets
}

/// The verdict of one rebuilder, as a file.
///
/// # Errors
/// [`RepoError::Key`]
pub fn give(slot: &Slot, signer: &Signer, key: &Key, name: &str) -> Result<Vec<u8>, RepoError> {
    let (role, targets) = content(slot);
    let mut envelope = Envelope::unsigned(targets);
    let signature = signer.sign(name, key, &role, envelope.message())?;
    envelope.sign(Signature { keyid: key.id(), sig: data_encoding::HEXLOWER.encode(&signature) });
    Ok(envelope.to_bytes())
}

/// A verdict that was read.
#[derive(Debug)]
pub(super) struct Verdict {
    path: PathBuf,
    envelope: Envelope<Targets>,
}

/// Reads what is shown for the releases of one request.
///
/// # Errors
/// [`RepoError::Release`]: a file is no verdict.
pub(super) fn read(paths: &[PathBuf]) -> Result<Vec<Verdict>, RepoError> {
    let read = |path: &PathBuf| {
        let bytes = std::fs::read(path).map_err(io_error("read", path))?;
        let envelope = Envelope::parse("rebuilt", &bytes)
            .map_err(|error| bad(path, format!("not a verdict of a rebuilder: {error}")))?;
        Ok(Verdict { path: path.clone(), envelope })
    };
    paths.iter().map(read).collect()
}

fn bad(path: &Path, what: String) -> RepoError {
    RepoError::Release { path: path.to_owned(), what }
}

/// The role of a release with the signatures of those who count, and who may
/// speak for it.
#[derive(Clone, Debug)]
pub(super) struct Agreed {
    pub(super) role: DelegatedRole,
    pub(super) envelope: Envelope<Targets>,
}

/// What the verdicts on a release come to; `None` if there are none.
///
/// # Errors
/// [`RepoError::Rule`]: too few of them count.
pub(super) fn agreed(
    verdicts: &[Verdict],
    slot: &Slot,
    rebuilders: &Rebuilders,
) -> Result<Option<Agreed>, RepoError> {
    let (name, targets) = content(slot);
    let paths = targets.targets.keys().cloned().collect();
    let mut all = Envelope::unsigned(targets);
    let on_this = verdicts.iter().filter(|verdict| verdict.envelope.message() == all.message());
    let signatures: Vec<Signature> =
        on_this.flat_map(|verdict| verdict.envelope.signatures()).cloned().collect();
    if signatures.is_empty() {
        return Ok(None);
    }
    for signature in signatures {
        let mut one = Envelope::unsigned(all.unverified().clone());
        one.sign(signature.clone());
        // What nobody can judge would be carried along for ever.
        if !one.signers(&rebuilders.keys, &rebuilders.role).is_empty() {
            all.sign(signature);
        }
    }
    let have = all.signers(&rebuilders.keys, &rebuilders.role).len() as u64;
    if have < rebuilders.role.threshold {
        return Err(too_few(slot, have, rebuilders));
    }
    let role = DelegatedRole {
        name,
        keys: rebuilders.role.clone(),
        terminating: false,
        paths: Some(paths),
        path_hash_prefixes: None,
    };
    Ok(Some(Agreed { role, envelope: all }))
}

/// Not as many rebuilders as there have to be.
pub(super) fn too_few(slot: &Slot, have: u64, rebuilders: &Rebuilders) -> RepoError {
    let release = &slot.release;
    RepoError::Rule(format!(
        "{} {} was made again by {have} of the {} rebuilders that have to agree; `osbuild verify --against` gives a verdict (--verdict FILE)",
        release.variant, release.version, rebuilders.role.threshold
    ))
}

/// Each verdict is on one of these releases: another's was meant for another
/// command.
///
/// # Errors
/// [`RepoError::Rule`]
pub(super) fn none_is_left(verdicts: &[Verdict], slots: &[Slot]) -> Result<(), RepoError> {
    let messages: Vec<Vec<u8>> =
        slots.iter().map(|slot| Envelope::unsigned(content(slot).1).message().to_vec()).collect();
    match verdicts
        .iter()
        .find(|verdict| !messages.iter().any(|message| message == verdict.envelope.message()))
    {
        Some(verdict) => Err(RepoError::Rule(format!(
            "{} is of another image: none of those that are to be published is the one that was made again",
            verdict.path.display()
        ))),
        None => Ok(()),
    }
}

/// Adds a role to delegations, in its place if it is there.
pub(super) fn delegate(delegations: &mut Option<Delegations>, agreed: &Agreed, rebuilders: &Rebuilders) {
    let empty = || Delegations { keys: BTreeMap::new(), roles: Vec::new(), succinct_roles: None };
    let all = delegations.get_or_insert_with(empty);
    all.keys.extend(rebuilders.keys.clone());
    all.roles.retain(|role| role.name != agreed.role.name);
    all.roles.push(agreed.role.clone());
}
