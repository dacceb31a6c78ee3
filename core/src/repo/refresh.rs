//! Signing again what has not changed, before it expires.

use osbuild_tuf::metadata::{ROOT, TARGETS, TIMESTAMP};
use osbuild_tuf::time::Time;

use super::commit::{Change, Committed, Signers, commit};
use super::error::RepoError;
use super::tree::{Repository, State};

/// Renews the timestamp, of snapshot and rollout what is past half of its life,
/// and the roles that are named.
///
/// # Errors
/// What `commit` says.
pub fn refresh(
    repository: &Repository,
    state: &State,
    roles: &[String],
    signers: &Signers<'_>,
    now: Time,
) -> Result<Committed, RepoError> {
    let mut renew = roles.to_vec();
    renew.push(TIMESTAMP.to_owned());
    let change = Change { action: "refresh".to_owned(), renew, ..Change::default() };
    commit(repository, Some(state), change, signers, now)
}

/// Roles with offline keys that are near their end.
pub fn ending(repository: &Repository, state: &State, now: Time) -> Vec<(String, Time)> {
    let rows = [(ROOT, state.root.common.expires), (TARGETS, state.targets.common.expires)];
    let is_ending = |(role, expires): &(&str, Time)| repository.policy.is_ending(role, *expires, now);
    rows.into_iter().filter(is_ending).map(|(role, expires)| (role.to_owned(), expires)).collect()
}
