//! Giving roles to other keys. A root is signed by those whom it replaces and
//! by its own; whoever is not at hand gets a file to sign (see `staged`).

use osbuild_tuf::key::{Key, KeyId};
use osbuild_tuf::metadata::{
    Delegations, Envelope, ROOT, RoleKeys, Root, SNAPSHOT, TARGETS, TIMESTAMP, Targets,
};
use osbuild_tuf::time::Time;
use osbuild_update::names::ROLLOUT_ROLE;

use super::commit::{Change, Committed, Signers, commit};
use super::error::RepoError;
use super::staged;
use super::tree::{Repository, State};

/// What is to change of a role; nothing: it is signed again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rotation {
    pub role: String,
    /// Names of the policy's keys.
    pub add: Vec<String>,
    pub remove: Vec<String>,
    pub threshold: Option<u64>,
}

impl Rotation {
    fn is_empty(&self) -> bool {
        self.add.is_empty() && self.remove.is_empty() && self.threshold.is_none()
    }
}

/// Carries it out, as far as keys are at hand; without a change it goes on with
/// what waits for signatures.
///
/// # Errors
/// [`RepoError::Argument`]: no such role or key. [`RepoError::KeysMissing`]: the
/// rest have to sign what is in `staged/` now.
pub fn rotate(
    repository: &Repository,
    state: &State,
    rotation: &Rotation,
    signers: &Signers<'_>,
    now: Time,
) -> Result<Committed, RepoError> {
    let action = describe(rotation);
    let change = match rotation.role.as_str() {
        ROOT | TARGETS | SNAPSHOT | TIMESTAMP => {
            let waiting = waiting::<Root>(repository, ROOT, rotation, state.root.common.version)?;
            let root = match waiting {
                Some(root) => root,
                None => with_keys_of_root(repository, &state.root, rotation)?,
            };
            Change { action, root: Some(root), renew: vec![ROOT.to_owned()], ..Change::default() }
        }
        ROLLOUT_ROLE => {
            let waiting = waiting::<Targets>(repository, TARGETS, rotation, state.targets.common.version)?;
            let content = match waiting {
                Some(targets) => (targets.targets, targets.delegations),
                None => {
                    let delegations = with_keys_of_rollout(repository, state, rotation)?;
                    (state.targets.targets.clone(), Some(delegations))
                }
            };
            Change { action, targets: Some(content), renew: vec![TARGETS.to_owned()], ..Change::default() }
        }
        other => {
            let what = format!("'{other}' is no role: root, targets, snapshot, timestamp or {ROLLOUT_ROLE}");
            return Err(RepoError::Argument(what));
        }
    };
    commit(repository, Some(state), change, signers, now)
}

/// What was begun before, if nothing new is asked for and it still follows what
/// is there.
fn waiting<T: staged::Staged>(
    repository: &Repository,
    role: &str,
    rotation: &Rotation,
    version: u64,
) -> Result<Option<T>, RepoError> {
    if !rotation.is_empty() {
        return Ok(None);
    }
    let waiting: Option<Envelope<T>> = staged::read(&repository.path, role)?;
    let content = waiting.map(|envelope| envelope.unverified().clone());
    Ok(content.filter(|content| content.common().version == version + 1).map(|mut content| {
        // As what is compared with it: `commit` gives the version.
        content.set(version, content.common().expires);
        content
    }))
}

fn with_keys_of_root(repository: &Repository, root: &Root, rotation: &Rotation) -> Result<Root, RepoError> {
    let mut root = root.clone();
    let role = root.roles.get_mut(&rotation.role).expect("a root has its four roles");
    let added = changed(repository, role, rotation)?;
    root.keys.extend(added);
    let used: std::collections::BTreeSet<KeyId> =
        root.roles.values().flat_map(|role| role.keyids.iter().cloned()).collect();
    root.keys.retain(|id, _| used.contains(id));
    Ok(root)
}

fn with_keys_of_rollout(
    repository: &Repository,
    state: &State,
    rotation: &Rotation,
) -> Result<Delegations, RepoError> {
    let none = || RepoError::Argument(format!("this repository has no role {ROLLOUT_ROLE}"));
    let mut delegations = state.targets.delegations.clone().ok_or_else(none)?;
    let role = delegations.roles.iter_mut().find(|role| role.name == ROLLOUT_ROLE).ok_or_else(none)?;
    let added = changed(repository, &mut role.keys, rotation)?;
    let used = role.keys.keyids.clone();
    delegations.keys.extend(added);
    delegations.keys.retain(|id, _| used.contains(id));
    Ok(delegations)
}

/// Changes a role's keys; those that came to it.
fn changed(
    repository: &Repository,
    role: &mut RoleKeys,
    rotation: &Rotation,
) -> Result<Vec<(KeyId, Key)>, RepoError> {
    let find = |name: &String| {
        let mut keys = repository.policy.keys();
        keys.find(|named| named.name == *name || named.key.id() == *name).map(|named| named.key)
    };
    let unknown = |name: &String| {
        RepoError::Argument(format!("the policy has no key '{name}': `osbuild repo key add` registers one"))
    };
    for name in &rotation.remove {
        // A key that the policy has forgotten can still be named by its id.
        let id = find(name).map_or_else(|| name.clone(), |key| key.id());
        if !role.keyids.contains(&id) {
            return Err(RepoError::Argument(format!("'{name}' is no key of {}", rotation.role)));
        }
        role.keyids.retain(|other| *other != id);
    }
    let mut added = Vec::new();
    for name in &rotation.add {
        let key = find(name).ok_or_else(|| unknown(name))?;
        if role.keyids.contains(&key.id()) {
            return Err(RepoError::Argument(format!("'{name}' is a key of {} already", rotation.role)));
        }
        role.keyids.push(key.id());
        added.push((key.id(), key));
    }
    role.threshold = rotation.threshold.unwrap_or(role.threshold);
    if role.threshold == 0 || role.threshold > role.keyids.len() as u64 {
        return Err(RepoError::Argument(format!(
            "{} would need {} of {} keys: give --threshold",
            rotation.role,
            role.threshold,
            role.keyids.len()
        )));
    }
    Ok(added)
}

fn describe(rotation: &Rotation) -> String {
    let mut words = vec![format!("rotate {}", rotation.role)];
    words.extend(rotation.add.iter().map(|name| format!("+{name}")));
    words.extend(rotation.remove.iter().map(|name| format!("-{name}")));
    words.extend(rotation.threshold.map(|threshold| format!("threshold {threshold}")));
    words.join(" ")
}
