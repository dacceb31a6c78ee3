//! A new repository with its first keys.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use osbuild_tuf::key::Key;
use osbuild_tuf::metadata::{
    Common, DelegatedRole, Delegations, ROOT, RoleKeys, Root, SNAPSHOT, TARGETS, TIMESTAMP,
};
use osbuild_tuf::time::Time;
use osbuild_update::names::{ROLLOUT_PATHS, ROLLOUT_ROLE};

use super::commit::{Change, Signers, commit};
use super::error::{RepoError, io_error};
use super::policy::{self, Policy};
use super::signer::{Algorithm, PrivateKey};
use super::tree::{METADATA, PUBLIC, Repository, TARGETS as TARGETS_FOLDER};

/// What to begin with.
pub struct Init {
    /// Must not exist, or be empty.
    pub repository: PathBuf,
    /// Where private keys are put; outside of the repository.
    pub keys: PathBuf,
    pub root_keys: u64,
    pub root_threshold: u64,
    pub algorithm: Algorithm,
}

/// What was made.
#[derive(Debug)]
pub struct Made {
    /// Files of private keys by name; those of the first two roles belong
    /// offline.
    pub keys: Vec<(String, PathBuf)>,
    /// The root that images are to carry.
    pub root: PathBuf,
}

/// The roles with a key each, and whether it has to be at hand every day.
const ROLES: [&str; 4] = [TARGETS, SNAPSHOT, TIMESTAMP, ROLLOUT_ROLE];

/// Makes it.
///
/// # Errors
/// [`RepoError::Exists`], [`RepoError::KeyInside`], or what `commit` says.
pub fn init(
    request: &Init,
    passphrase: Option<&str>,
    signers: &Signers<'_>,
    now: Time,
) -> Result<Made, RepoError> {
    let Init { repository: path, keys: keys_folder, root_keys, root_threshold, algorithm } = request;
    if !(1..=20).contains(root_keys) || !(1..=*root_keys).contains(root_threshold) {
        let what = format!("a root of {root_threshold} of {root_keys} keys cannot be signed");
        return Err(RepoError::Argument(what));
    }
    let is_used = fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some());
    if is_used || path.is_file() {
        return Err(RepoError::Exists { path: path.clone() });
    }
    // Beside its place, so that it appears whole.
    let parent = super::folder_of(path);
    fs::create_dir_all(parent).map_err(io_error("create", parent))?;
    must_be_outside(keys_folder, path)?;
    let staging = tempfile::Builder::new().prefix(".repository-").tempdir_in(parent);
    let staging = staging.map_err(io_error("write in", parent))?;
    for folder in [METADATA, TARGETS_FOLDER] {
        let folder = staging.path().join(PUBLIC).join(folder);
        fs::create_dir_all(&folder).map_err(io_error("create", &folder))?;
    }
    fs::create_dir_all(keys_folder).map_err(io_error("create", keys_folder))?;
    fs::set_permissions(keys_folder, fs::Permissions::from_mode(0o700))
        .map_err(io_error("protect", keys_folder))?;

    let names =
        (1..=*root_keys).map(|number| format!("root-{number}")).chain(ROLES.map(|role| format!("{role}-1")));
    let mut text = policy::initial_text(*root_threshold);
    let mut made: BTreeMap<String, Key> = BTreeMap::new();
    let mut files = Vec::new();
    for name in names {
        let file = keys_folder.join(format!("{name}.pem"));
        let key = PrivateKey::generate(*algorithm);
        key.write(&file, passphrase)?;
        text += &policy::key_row(&name, &key.public_key(), Some(&location_of(&file, staging.path())?));
        made.insert(name.clone(), key.public_key());
        files.push((name, file));
    }
    super::write_beside(&staging.path().join(policy::FILE), text.as_bytes())?;

    let id = |name: &str| made[name].id();
    let one = |role: &str| RoleKeys { keyids: vec![id(&format!("{role}-1"))], threshold: 1 };
    let root_ids = (1..=*root_keys).map(|number| id(&format!("root-{number}"))).collect();
    let mut roles =
        BTreeMap::from([(ROOT.to_owned(), RoleKeys { keyids: root_ids, threshold: *root_threshold })]);
    roles.extend([TARGETS, SNAPSHOT, TIMESTAMP].map(|role| (role.to_owned(), one(role))));
    let of_root = made.iter().filter(|(name, _)| !name.starts_with(ROLLOUT_ROLE));
    let root = Root {
        common: Common::new(ROOT, 0, now),
        consistent_snapshot: true,
        keys: of_root.map(|(_, key)| (key.id(), key.clone())).collect(),
        roles,
    };
    let rollout = &made[&format!("{ROLLOUT_ROLE}-1")];
    let delegations = Delegations {
        keys: BTreeMap::from([(rollout.id(), rollout.clone())]),
        roles: vec![DelegatedRole {
            name: ROLLOUT_ROLE.to_owned(),
            keys: one(ROLLOUT_ROLE),
            terminating: true,
            paths: Some(vec![ROLLOUT_PATHS.to_owned()]),
            path_hash_prefixes: None,
        }],
        succinct_roles: None,
    };
    let change = Change {
        action: "init".to_owned(),
        root: Some(root),
        targets: Some((BTreeMap::new(), Some(delegations))),
        rollout: Some(BTreeMap::new()),
        ..Change::default()
    };
    let repository = Repository::open(staging.path())?;
    commit(&repository, None, change, signers, now)?;
    drop(repository);
    let staging = staging.keep();
    fs::set_permissions(&staging, fs::Permissions::from_mode(0o755))
        .map_err(io_error("open up", &staging))?;
    fs::rename(&staging, path).map_err(io_error("create", path))?;
    let root = path.join(PUBLIC).join(METADATA).join("1.root.json");
    Ok(Made { keys: files, root })
}

/// Registers a key, so that a role may be given to it.
///
/// # Errors
/// [`RepoError::Argument`]: a name that is taken or no name.
pub fn add_key(
    repository: &Repository,
    name: &str,
    key: &Key,
    signer: Option<&str>,
) -> Result<(), RepoError> {
    if !osbuild_update::names::is_plain(name) {
        return Err(RepoError::Argument(format!("'{name}' is no name of a key: a-z, 0-9, - and _")));
    }
    if let Some(taken) =
        repository.policy.keys().find(|named| named.name == name || named.key.id() == key.id())
    {
        return Err(RepoError::Argument(format!(
            "the policy has this name or this key already: {}",
            taken.name
        )));
    }
    let path = repository.path.join(policy::FILE);
    let mut text = fs::read_to_string(&path).map_err(io_error("read", &path))?;
    text += &policy::key_row(name, key, signer);
    super::write_beside(&path, text.as_bytes())?;
    Policy::read(&repository.path).map(|_| ())
}

/// A private key below what is given out would be given out.
///
/// # Errors
/// [`RepoError::KeyInside`]
pub fn must_be_outside(keys: &Path, repository: &Path) -> Result<(), RepoError> {
    let real = resolved(repository)?;
    if resolved(keys)?.starts_with(&real) {
        return Err(RepoError::KeyInside { path: keys.to_owned(), repository: repository.to_owned() });
    }
    Ok(())
}

/// A path without links and `..`, of which the end need not exist yet.
fn resolved(path: &Path) -> Result<PathBuf, RepoError> {
    let absolute = std::path::absolute(path).map_err(io_error("resolve", path))?;
    let mut missing = Vec::new();
    let mut existing = absolute.as_path();
    loop {
        if let Ok(real) = existing.canonicalize() {
            // A `..` below what does not exist yet leads back out of it.
            let onward = |mut real: PathBuf, name: OsString| {
                match name.to_str() {
                    Some("..") => _ = real.pop(),
                    _ => real.push(name),
                }
                real
            };
            return Ok(missing.into_iter().rev().fold(real, onward));
        }
        missing.push(
            existing.components().next_back().map_or(OsString::new(), |part| part.as_os_str().to_owned()),
        );
        existing = existing.parent().unwrap_or(Path::new("/"));
    }
}

/// How the policy writes the place of a key: from the repository on, so that
/// both can be moved together.
pub fn location_of(file: &Path, repository: &Path) -> Result<String, RepoError> {
    let real = file.canonicalize().map_err(io_error("resolve", file))?;
    let base = repository.canonicalize().map_err(io_error("resolve", repository))?;
    let beside = base.parent().and_then(|parent| real.strip_prefix(parent).ok());
    Ok(beside.map_or_else(|| real.display().to_string(), |beside| format!("../{}", beside.display())))
}
