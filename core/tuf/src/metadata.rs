//! The four roles' metadata and delegations (§4.3 to §4.6), read strictly: what
//! is not in the form of the specification is refused whole.

use std::collections::{BTreeMap, BTreeSet};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256, Sha512};

use crate::canonical;
use crate::key::{Key, KeyId};
use crate::time::Time;
use crate::{Error, Result, paths};

/// The one version of the specification that is understood.
const SPECIFICATION: &str = "1";
/// What is written here follows this one.
pub const SPEC_VERSION: &str = "1.0.34";

pub const ROOT: &str = "root";
pub const TIMESTAMP: &str = "timestamp";
pub const SNAPSHOT: &str = "snapshot";
pub const TARGETS: &str = "targets";
const TOP_LEVEL: [&str; 4] = [ROOT, SNAPSHOT, TARGETS, TIMESTAMP];

/// What is signed, as one of the roles reads it.
pub trait Role: DeserializeOwned + Serialize {
    const TYPE: &'static str;
    fn common(&self) -> &Common;
    /// What the types alone cannot say.
    fn check(&self) -> std::result::Result<(), String>;
}

/// Fields of every role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Common {
    #[serde(rename = "_type")]
    pub kind: String,
    pub spec_version: String,
    pub version: u64,
    pub expires: Time,
}

impl Common {
    pub fn new(kind: &str, version: u64, expires: Time) -> Self {
        Self { kind: kind.to_owned(), spec_version: SPEC_VERSION.to_owned(), version, expires }
    }
}

/// Which keys speak for a role, and how many of them must.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleKeys {
    pub keyids: Vec<KeyId>,
    pub threshold: u64,
}

impl RoleKeys {
    fn check(&self) -> std::result::Result<(), String> {
        let distinct: BTreeSet<&KeyId> = self.keyids.iter().collect();
        if distinct.len() != self.keyids.len() {
            return Err("a role lists a key twice".to_owned());
        }
        if self.threshold == 0 {
            return Err("a threshold of 0".to_owned());
        }
        Ok(())
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Root {
    #[serde(flatten)]
    pub common: Common,
    #[serde(default)]
    pub consistent_snapshot: bool,
    pub keys: BTreeMap<KeyId, Key>,
    pub roles: BTreeMap<String, RoleKeys>,
}

impl Root {
    /// Who speaks for one of the four roles.
    pub fn role(&self, name: &str) -> &RoleKeys {
        &self.roles[name]
    }
}

impl Role for Root {
    const TYPE: &'static str = ROOT;

    fn common(&self) -> &Common {
        &self.common
    }

    fn check(&self) -> std::result::Result<(), String> {
        if !self.roles.keys().map(String::as_str).eq(TOP_LEVEL) {
            return Err("roles are not root, snapshot, targets and timestamp".to_owned());
        }
        self.roles.values().try_for_each(RoleKeys::check)
    }
}

/// What one file of metadata says of another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    pub version: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub length: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hashes: Option<Hashes>,
}

impl Pin {
    fn check(&self) -> std::result::Result<(), String> {
        if self.version == 0 {
            return Err("version 0 of another file".to_owned());
        }
        if self.hashes.as_ref().is_some_and(|hashes| hashes.0.is_empty()) {
            return Err("an empty list of hashes".to_owned());
        }
        Ok(())
    }

    /// # Errors
    /// [`Error::Mismatch`]
    pub(crate) fn judge(&self, what: &str, bytes: &[u8]) -> Result<()> {
        if let Some(length) = self.length {
            if bytes.len() as u64 != length {
                let problem = format!("{} bytes where {length} are due", bytes.len());
                return Err(Error::Mismatch { what: what.to_owned(), problem });
            }
        }
        match &self.hashes {
            Some(hashes) => {
                let mut judge = hashes.judge(what)?;
                judge.update(bytes);
                judge.finish()
            }
            None => Ok(()),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timestamp {
    #[serde(flatten)]
    pub common: Common,
    pub meta: BTreeMap<String, Pin>,
    /// When it was signed: what a node's clock may not be before. An addition
    /// of ours, which other clients pass over.
    #[serde(rename = "x-osbuild-signed-at", default, skip_serializing_if = "Option::is_none")]
    pub signed_at: Option<Time>,
}

const SNAPSHOT_FILE: &str = "snapshot.json";

impl Timestamp {
    pub fn snapshot(&self) -> &Pin {
        &self.meta[SNAPSHOT_FILE]
    }
}

impl Role for Timestamp {
    const TYPE: &'static str = TIMESTAMP;

    fn common(&self) -> &Common {
        &self.common
    }

    fn check(&self) -> std::result::Result<(), String> {
        if !self.meta.keys().map(String::as_str).eq([SNAPSHOT_FILE]) {
            return Err("it names other files than snapshot.json".to_owned());
        }
        self.snapshot().check()
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    #[serde(flatten)]
    pub common: Common,
    pub meta: BTreeMap<String, Pin>,
}

impl Snapshot {
    /// What it says of a role's metadata.
    pub fn of(&self, role: &str) -> Option<&Pin> {
        self.meta.get(&format!("{role}.json"))
    }
}

impl Role for Snapshot {
    const TYPE: &'static str = SNAPSHOT;

    fn common(&self) -> &Common {
        &self.common
    }

    fn check(&self) -> std::result::Result<(), String> {
        self.meta.values().try_for_each(Pin::check)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Targets {
    #[serde(flatten)]
    pub common: Common,
    pub targets: BTreeMap<String, Target>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delegations: Option<Delegations>,
}

impl Role for Targets {
    const TYPE: &'static str = TARGETS;

    fn common(&self) -> &Common {
        &self.common
    }

    fn check(&self) -> std::result::Result<(), String> {
        if self.targets.values().any(|target| target.hashes.0.is_empty()) {
            return Err("a target without a hash".to_owned());
        }
        self.delegations.as_ref().map_or(Ok(()), Delegations::check)
    }
}

/// A file that the repository vouches for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    pub length: u64,
    pub hashes: Hashes,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub custom: Option<Value>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delegations {
    pub keys: BTreeMap<KeyId, Key>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<DelegatedRole>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub succinct_roles: Option<SuccinctRoles>,
}

impl Delegations {
    fn check(&self) -> std::result::Result<(), String> {
        if self.succinct_roles.is_some() && !self.roles.is_empty() {
            return Err("delegations of both kinds".to_owned());
        }
        let mut names = BTreeSet::new();
        for role in &self.roles {
            if role.name.is_empty() || TOP_LEVEL.contains(&role.name.as_str()) || !names.insert(&role.name) {
                return Err(format!("a delegation to {:?}", role.name));
            }
            if role.paths.is_some() == role.path_hash_prefixes.is_some() {
                return Err(format!("{}: either paths or path_hash_prefixes are due", role.name));
            }
            role.keys.check()?;
        }
        self.succinct_roles.as_ref().map_or(Ok(()), SuccinctRoles::check)
    }

    /// The roles that may speak for a target, in their order, and whether each
    /// ends the search.
    pub fn for_target(&self, path: &str) -> Vec<(String, bool)> {
        let named = self.roles.iter().filter(|role| role.is_for(path));
        let mut roles: Vec<(String, bool)> =
            named.map(|role| (role.name.clone(), role.terminating)).collect();
        if let Some(succinct) = &self.succinct_roles {
            roles.push((succinct.role_for(path), true));
        }
        roles
    }

    /// Who speaks for a delegated role.
    pub fn role(&self, name: &str) -> Option<&RoleKeys> {
        if let Some(succinct) = &self.succinct_roles {
            return succinct.names(name).then_some(&succinct.keys);
        }
        self.roles.iter().find(|role| role.name == name).map(|role| &role.keys)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DelegatedRole {
    pub name: String,
    #[serde(flatten)]
    pub keys: RoleKeys,
    pub terminating: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paths: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path_hash_prefixes: Option<Vec<String>>,
}

impl DelegatedRole {
    fn is_for(&self, path: &str) -> bool {
        let by_pattern = self.paths.iter().flatten().any(|pattern| paths::matches(pattern, path));
        by_pattern || {
            let hash = paths::hash(path);
            self.path_hash_prefixes.iter().flatten().any(|prefix| hash.starts_with(prefix.as_str()))
        }
    }
}

/// Hash bins (TAP 15): roles named by the first bits of a path's hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SuccinctRoles {
    #[serde(flatten)]
    pub keys: RoleKeys,
    pub bit_length: u32,
    pub name_prefix: String,
}

impl SuccinctRoles {
    fn check(&self) -> std::result::Result<(), String> {
        if !(1..=32).contains(&self.bit_length) {
            return Err(format!("{} bits of a hash for bins", self.bit_length));
        }
        self.keys.check()
    }

    /// Digits of the last bin's number.
    fn digits(&self) -> usize {
        self.bit_length.div_ceil(4) as usize
    }

    fn role_for(&self, path: &str) -> String {
        let hash = Sha256::digest(path.as_bytes());
        let first = u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]]);
        let bin = u64::from(first) >> (32 - self.bit_length);
        format!("{}-{bin:0width$x}", self.name_prefix, width = self.digits())
    }

    fn names(&self, role: &str) -> bool {
        let number = role.strip_prefix(self.name_prefix.as_str()).and_then(|rest| rest.strip_prefix('-'));
        number.is_some_and(|number| {
            let is_plain = number.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
            number.len() == self.digits()
                && is_plain
                && u64::from_str_radix(number, 16).is_ok_and(|bin| bin < 1 << self.bit_length)
        })
    }
}

/// Digests by the name of their algorithm, in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hashes(pub BTreeMap<String, String>);

impl Hashes {
    pub fn sha256(digest: &[u8; 32]) -> Self {
        Self(BTreeMap::from([("sha256".to_owned(), data_encoding::HEXLOWER.encode(digest))]))
    }

    /// The one that names files of a repository with consistent snapshots.
    pub fn for_name(&self) -> Option<&str> {
        ["sha256", "sha512"].into_iter().find_map(|name| self.0.get(name)).map(String::as_str)
    }

    /// Judges bytes as they come.
    ///
    /// # Errors
    /// [`Error::Mismatch`]: none of the algorithms is known here.
    pub fn judge(&self, what: &str) -> Result<Judge> {
        let sha256 = self.0.get("sha256").map(|due| (Sha256::new(), due.clone()));
        let sha512 = self.0.get("sha512").map(|due| (Sha512::new(), due.clone()));
        if sha256.is_none() && sha512.is_none() {
            let problem = "no hash of a kind that is known here".to_owned();
            return Err(Error::Mismatch { what: what.to_owned(), problem });
        }
        Ok(Judge { what: what.to_owned(), sha256, sha512 })
    }
}

/// Every known hash of a file must be right.
pub struct Judge {
    what: String,
    sha256: Option<(Sha256, String)>,
    sha512: Option<(Sha512, String)>,
}

impl Judge {
    pub fn update(&mut self, bytes: &[u8]) {
        if let Some((hasher, _)) = &mut self.sha256 {
            hasher.update(bytes);
        }
        if let Some((hasher, _)) = &mut self.sha512 {
            hasher.update(bytes);
        }
    }

    /// # Errors
    /// [`Error::Mismatch`]
    pub fn finish(self) -> Result<()> {
        let seen = [
            self.sha256
                .map(|(hasher, due)| ("sha256", data_encoding::HEXLOWER.encode(&hasher.finalize()), due)),
            self.sha512
                .map(|(hasher, due)| ("sha512", data_encoding::HEXLOWER.encode(&hasher.finalize()), due)),
        ];
        for (name, seen, due) in seen.into_iter().flatten() {
            if !seen.eq_ignore_ascii_case(&due) {
                let problem = format!("{name} {seen} where {due} is due");
                return Err(Error::Mismatch { what: self.what, problem });
            }
        }
        Ok(())
    }
}

/// One signature, by whichever key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    pub keyid: KeyId,
    /// In hexadecimal; empty where a signature is still due.
    pub sig: String,
}

/// Metadata as it came: well-formed, and believed by nobody yet.
#[derive(Clone, Debug)]
pub struct Envelope<T> {
    content: T,
    signatures: Vec<Signature>,
    /// All that came, also what the types know nothing of: it is signed too.
    signed: Value,
    /// What the signatures are over.
    message: Vec<u8>,
}

#[derive(Deserialize, Serialize)]
struct Raw {
    signatures: Vec<Signature>,
    signed: Value,
}

impl<T: Role> Envelope<T> {
    /// Reads the whole of it; `role` is what it is called in an error.
    ///
    /// # Errors
    /// [`Error::Malformed`]
    pub fn parse(role: &str, bytes: &[u8]) -> Result<Self> {
        let malformed = |what: String| Error::malformed(role, what);
        let raw: Raw = serde_json::from_slice(bytes).map_err(|error| malformed(error.to_string()))?;
        let message = canonical::to_bytes(&raw.signed)
            .ok_or_else(|| malformed("a number with a fraction".to_owned()))?;
        let content = T::deserialize(&raw.signed).map_err(|error| malformed(error.to_string()))?;
        let common = content.common();
        if common.kind != T::TYPE {
            return Err(malformed(format!("it is of type {:?}, not {:?}", common.kind, T::TYPE)));
        }
        if common.spec_version.split('.').next() != Some(SPECIFICATION) {
            return Err(malformed(format!("specification {:?} is not {SPECIFICATION}", common.spec_version)));
        }
        if common.version == 0 {
            return Err(malformed("version 0".to_owned()));
        }
        content.check().map_err(malformed)?;
        let distinct: BTreeSet<&KeyId> = raw.signatures.iter().map(|signature| &signature.keyid).collect();
        if distinct.len() != raw.signatures.len() {
            return Err(malformed("two signatures by one key".to_owned()));
        }
        Ok(Self { content, signatures: raw.signatures, signed: raw.signed, message })
    }

    /// What nobody has signed yet.
    pub fn unsigned(content: T) -> Self {
        let signed = serde_json::to_value(&content).expect("metadata is plain data");
        let message = canonical::to_bytes(&signed).expect("metadata holds no fractions");
        Self { content, signatures: Vec::new(), signed, message }
    }

    /// Adds a signature, or replaces the one that this key gave before.
    pub fn sign(&mut self, signature: Signature) {
        self.signatures.retain(|other| other.keyid != signature.keyid);
        self.signatures.push(signature);
        self.signatures.sort_by(|a, b| a.keyid.cmp(&b.keyid));
    }

    /// The file, with line breaks for those who look into it.
    pub fn to_bytes(&self) -> Vec<u8> {
        let raw = Raw { signatures: self.signatures.clone(), signed: self.signed.clone() };
        let mut bytes = serde_json::to_vec_pretty(&raw).expect("metadata is plain data");
        bytes.push(b'\n');
        bytes
    }

    /// What it says, if those who may say it do.
    ///
    /// # Errors
    /// [`Error::Threshold`]
    pub fn verified(&self, role: &str, keys: &BTreeMap<KeyId, Key>, authority: &RoleKeys) -> Result<&T> {
        let valid = self.signers(keys, authority).len();
        if (valid as u64) < authority.threshold {
            return Err(Error::Threshold { role: role.to_owned(), valid, threshold: authority.threshold });
        }
        Ok(&self.content)
    }

    /// The ids of the keys whose signatures hold, one for each key however many
    /// names it has.
    pub fn signers(&self, keys: &BTreeMap<KeyId, Key>, authority: &RoleKeys) -> Vec<&KeyId> {
        let mut seen = BTreeSet::new();
        let signatures =
            self.signatures.iter().filter(|signature| authority.keyids.contains(&signature.keyid));
        let valid = signatures.filter_map(|signature| {
            let key = keys.get(&signature.keyid)?.verifying()?;
            let bytes = data_encoding::HEXLOWER_PERMISSIVE.decode(signature.sig.as_bytes()).ok()?;
            (key.verifies(&self.message, &bytes) && seen.insert(key.identity())).then_some(&signature.keyid)
        });
        valid.collect()
    }

    /// What it says, whoever says so: to show it, or to sign it.
    pub fn unverified(&self) -> &T {
        &self.content
    }

    pub fn signatures(&self) -> &[Signature] {
        &self.signatures
    }

    /// What is to be signed.
    pub fn message(&self) -> &[u8] {
        &self.message
    }
}
