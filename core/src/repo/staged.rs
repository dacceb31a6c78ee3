//! Metadata that waits for signatures: one file that goes from one key holder
//! to the next, with what is needed to see what would change.

use std::path::{Path, PathBuf};

use osbuild_tuf::key::{Key, KeyId};
use osbuild_tuf::metadata::{Envelope, ROOT, Role, RoleKeys, Root, Signature, TARGETS, Targets};
use osbuild_tuf::paths;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::difference;
use super::error::{RepoError, io_error};
use super::signer::Signer;

pub const FOLDER: &str = "staged";

/// The file: the metadata as it is, and as it would be.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    schema: u32,
    role: String,
    /// The root that is trusted now; it says whose signatures are due.
    root: Value,
    /// Nothing where the role has said nothing yet.
    before: Option<Value>,
    after: Value,
}

/// What the roles that others may have to sign are.
pub trait Staged: Role + Clone + PartialEq {
    fn set(&mut self, version: u64, expires: osbuild_tuf::time::Time);
    /// What changes, a line each.
    fn difference(before: Option<&Self>, after: &Self, name: &dyn Fn(&KeyId) -> String) -> Vec<String>;
}

impl Staged for Root {
    fn set(&mut self, version: u64, expires: osbuild_tuf::time::Time) {
        (self.common.version, self.common.expires) = (version, expires);
    }

    fn difference(before: Option<&Self>, after: &Self, name: &dyn Fn(&KeyId) -> String) -> Vec<String> {
        difference::of_roots(before, after, name)
    }
}

impl Staged for Targets {
    fn set(&mut self, version: u64, expires: osbuild_tuf::time::Time) {
        (self.common.version, self.common.expires) = (version, expires);
    }

    fn difference(before: Option<&Self>, after: &Self, name: &dyn Fn(&KeyId) -> String) -> Vec<String> {
        difference::of_targets(before, after, name)
    }
}

pub fn path(repository: &Path, role: &str) -> PathBuf {
    repository.join(FOLDER).join(paths::metadata_name(role, None))
}

/// What waits for a role, if anything does.
///
/// # Errors
/// The file is there and no such file.
pub(super) fn read<T: Staged>(repository: &Path, role: &str) -> Result<Option<Envelope<T>>, RepoError> {
    let path = path(repository, role);
    if !path.exists() {
        return Ok(None);
    }
    let file = read_file(&path)?;
    Ok(Some(parse(&path, role, &file.after)?))
}

pub(super) fn write<T: Staged>(
    repository: &Path,
    role: &str,
    root: &Value,
    before: Option<Value>,
    after: &Envelope<T>,
) -> Result<PathBuf, RepoError> {
    let path = path(repository, role);
    let file = File {
        schema: 1,
        role: role.to_owned(),
        root: root.clone(),
        before,
        after: value(&after.to_bytes()),
    };
    write_file(&path, &file)?;
    Ok(path)
}

pub(super) fn remove(repository: &Path, role: &str) -> Result<(), RepoError> {
    let path = path(repository, role);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other.map_err(io_error("remove", &path)),
    }
}

/// What a key holder is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Review {
    pub role: String,
    pub version: u64,
    pub lines: Vec<String>,
    /// Signatures that hold, by key id.
    pub signed: Vec<KeyId>,
    /// For each authority that has to agree: how many of its keys must.
    pub due: Vec<Due>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// `the trusted root`, `the new root`.
    pub whose: &'static str,
    pub have: usize,
    pub threshold: u64,
}

/// Reads a file that was passed on.
///
/// # Errors
/// It is no such file, or what it says is trusted now is not signed by itself.
pub fn review(path: &Path, name: &dyn Fn(&KeyId) -> String) -> Result<Review, RepoError> {
    let file = read_file(path)?;
    if file.role == ROOT {
        review_of::<Root>(path, &file, name)
    } else {
        review_of::<Targets>(path, &file, name)
    }
}

fn review_of<T: Staged>(
    path: &Path,
    file: &File,
    name: &dyn Fn(&KeyId) -> String,
) -> Result<Review, RepoError> {
    let after: Envelope<T> = parse(path, &file.role, &file.after)?;
    let before: Option<Envelope<T>> =
        file.before.as_ref().map(|before| parse(path, &file.role, before)).transpose()?;
    let authorities = authorities(path, file)?;
    let mut signed: Vec<KeyId> = Vec::new();
    let mut due = Vec::new();
    for Authority { whose, keys, role } in &authorities {
        let signers = after.signers(keys, role);
        due.push(Due { whose, have: signers.len(), threshold: role.threshold });
        signed.extend(signers.into_iter().cloned());
    }
    signed.sort();
    signed.dedup();
    let lines = T::difference(before.as_ref().map(Envelope::unverified), after.unverified(), name);
    Ok(Review { role: file.role.clone(), version: after.unverified().common().version, lines, signed, due })
}

/// Adds the signature of a key holder, whose key one of the authorities names.
///
/// # Errors
/// [`RepoError::Key`]: it names no such key, or the key cannot be used.
pub fn sign(path: &Path, signer: &Signer, key: Option<&Key>, name: &str) -> Result<(), RepoError> {
    let file = read_file(path)?;
    if file.role == ROOT {
        sign_as::<Root>(path, file, signer, key, name)
    } else {
        sign_as::<Targets>(path, file, signer, key, name)
    }
}

fn sign_as<T: Staged>(
    path: &Path,
    mut file: File,
    signer: &Signer,
    key: Option<&Key>,
    name: &str,
) -> Result<(), RepoError> {
    let mut after: Envelope<T> = parse(path, &file.role, &file.after)?;
    let key = signer.key(name, key)?;
    let id = key.id();
    if !authorities(path, &file)?.iter().any(|authority| authority.role.keyids.contains(&id)) {
        let what = format!("{} is signed by other keys, not by {id}", file.role);
        return Err(RepoError::Key { key: name.to_owned(), what });
    }
    let signature = signer.sign(name, &key, &file.role, after.message())?;
    after.sign(Signature { keyid: id, sig: data_encoding::HEXLOWER.encode(&signature) });
    file.after = value(&after.to_bytes());
    write_file(path, &file)
}

/// Who has to agree to a change.
struct Authority {
    whose: &'static str,
    keys: std::collections::BTreeMap<KeyId, Key>,
    role: RoleKeys,
}

fn authorities(path: &Path, file: &File) -> Result<Vec<Authority>, RepoError> {
    let root: Envelope<Root> = parse(path, ROOT, &file.root)?;
    let trusted = root.verified(ROOT, &root.unverified().keys, root.unverified().role(ROOT))?;
    let role = if file.role == ROOT { ROOT } else { TARGETS };
    let of = |root: &Root, whose| Authority { whose, keys: root.keys.clone(), role: root.role(role).clone() };
    let mut all = vec![of(trusted, "the trusted root")];
    if file.role == ROOT {
        let after: Envelope<Root> = parse(path, ROOT, &file.after)?;
        all.push(of(after.unverified(), "the new root"));
    }
    Ok(all)
}

fn read_file(path: &Path) -> Result<File, RepoError> {
    let bytes = std::fs::read(path).map_err(io_error("read", path))?;
    let file: File = serde_json::from_slice(&bytes).map_err(|error| RepoError::Release {
        path: path.to_owned(),
        what: format!("not metadata that waits for signatures: {error}"),
    })?;
    match (file.schema, file.role.as_str()) {
        (1, ROOT | TARGETS) => Ok(file),
        (schema, role) => {
            let what = format!("schema {schema} of role {role:?}; 1 of root or targets is understood");
            Err(RepoError::Release { path: path.to_owned(), what })
        }
    }
}

fn write_file(path: &Path, file: &File) -> Result<(), RepoError> {
    let folder = super::folder_of(path);
    std::fs::create_dir_all(folder).map_err(io_error("create", folder))?;
    let mut bytes = serde_json::to_vec_pretty(file).expect("it is plain data");
    bytes.push(b'\n');
    super::write_beside(path, &bytes)
}

fn parse<T: Staged>(path: &Path, role: &str, value: &Value) -> Result<Envelope<T>, RepoError> {
    let bytes = serde_json::to_vec(value).expect("it was read from JSON");
    Envelope::parse(role, &bytes)
        .map_err(|error| RepoError::Release { path: path.to_owned(), what: error.to_string() })
}

pub(super) fn value(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).expect("metadata is JSON")
}
