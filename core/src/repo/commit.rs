//! The one way in which a repository changes: what is to be said is signed,
//! looked at as a client would, and put into place with the timestamp last.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;

use osbuild_store::cache::place::{Contents, Place as _};
use osbuild_tuf::client::{Client, Limits};
use osbuild_tuf::key::{Key, KeyId};
use osbuild_tuf::metadata::{
    Common, Delegations, Envelope, Hashes, Pin, ROOT, Role, RoleKeys, Root, SNAPSHOT, Signature, Snapshot,
    TARGETS, TIMESTAMP, Target, Targets, Timestamp,
};
use osbuild_tuf::paths::metadata_name;
use osbuild_tuf::time::Time;
use osbuild_update::names::ROLLOUT_ROLE;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::audit::{self, Signing};
use super::error::RepoError;
use super::signer::{Location, Passphrases, Signer};
use super::staged::{self, Staged};
use super::tree::{MemoryStore, PlaceTransport, Repository, State, missing_target, target_file};
use super::verdict;

/// What is to be said from now on; what is not mentioned stays.
#[derive(Default)]
pub struct Change {
    /// For the record of signings.
    pub action: String,
    pub root: Option<Root>,
    pub targets: Option<(BTreeMap<String, Target>, Option<Delegations>)>,
    pub rollout: Option<BTreeMap<String, Target>>,
    /// What rebuilders signed, by role (see `verdict`).
    pub agreements: BTreeMap<String, Envelope<Targets>>,
    /// Bytes of targets that are new, by name.
    pub files: BTreeMap<String, Bytes>,
    /// Roles that are signed again although they say the same.
    pub renew: Vec<String>,
}

pub enum Bytes {
    Small(Vec<u8>),
    File(PathBuf),
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// Roles and their new versions; none: all was said already.
    pub roles: Vec<(String, u64)>,
}

/// Who can sign here.
pub struct Signers<'a> {
    /// Beside the policy's: by the key's name.
    pub given: BTreeMap<String, Location>,
    pub passphrases: &'a dyn Passphrases,
    opened: RefCell<BTreeMap<String, Signer>>,
}

impl<'a> Signers<'a> {
    pub fn new(given: BTreeMap<String, Location>, passphrases: &'a dyn Passphrases) -> Self {
        Self { given, passphrases, opened: RefCell::new(BTreeMap::new()) }
    }

    /// The signature of one key, by its name; an error is the reason why not.
    fn sign(
        &self,
        repository: &Repository,
        id: &KeyId,
        key: &Key,
        role: &str,
        message: &[u8],
    ) -> Result<Vec<u8>, String> {
        let name = repository.policy.name_of(id);
        let held = repository.policy.key(id).and_then(|named| named.location);
        let location = self.given.get(&name).cloned().or(held);
        let location = location.ok_or_else(|| format!("{name}: no signer (held by somebody else)"))?;
        let mut opened = self.opened.borrow_mut();
        if !opened.contains_key(&name) {
            let signer = Signer::open(&location, &name, &repository.path, self.passphrases);
            opened.insert(name.clone(), signer.map_err(|error| osbuild_store::error::one_line(&error))?);
        }
        opened[&name].sign(&name, key, role, message).map_err(|error| error.to_string())
    }
}

/// A file of metadata that is about to be.
struct New {
    role: String,
    version: u64,
    name: String,
    bytes: Vec<u8>,
    keys: Vec<String>,
}

/// Makes a change.
///
/// # Errors
/// [`RepoError::KeysMissing`] (what was signed by then waits in `staged/`),
/// [`RepoError::SelfCheck`], and what a client would refuse; the repository says
/// what it said before.
pub fn commit(
    repository: &Repository,
    before: Option<&State>,
    change: Change,
    signers: &Signers<'_>,
    now: Time,
) -> Result<Committed, RepoError> {
    let work = Work { repository, before, signers, now };
    work.check_clock()?;
    let mut news: Vec<New> = Vec::new();

    let root = work.root(&change, &mut news)?;
    let targets = work.targets(&change, &root, &mut news)?;
    let rollout = work.rollout(&change, &targets, &mut news)?;
    let mut meta =
        BTreeMap::from([("targets.json".to_owned(), work.pin(TARGETS, targets.common.version, &news))]);
    if let Some(rollout) = &rollout {
        let pin = work.pin(ROLLOUT_ROLE, rollout.common.version, &news);
        meta.insert(metadata_name(ROLLOUT_ROLE, None), pin);
    }
    work.agreements(&change, &targets, &mut meta, &mut news);
    let snapshot = work.snapshot(&change, &root, meta, &mut news)?;
    work.timestamp(&change, &root, &snapshot, &mut news)?;
    if news.is_empty() {
        return Ok(Committed { roles: Vec::new() });
    }
    work.put_files(&change)?;
    work.check(&news)?;
    work.put(&change.action, &news)
}

struct Work<'a> {
    repository: &'a Repository,
    before: Option<&'a State>,
    signers: &'a Signers<'a>,
    now: Time,
}

impl Work<'_> {
    /// A clock that is behind would sign what is over already, or what nodes take
    /// for the past.
    fn check_clock(&self) -> Result<(), RepoError> {
        const SLACK: std::time::Duration = std::time::Duration::from_secs(600);
        match self.before.and_then(|before| before.timestamp.signed_at) {
            Some(signed) if self.now.after(SLACK) < signed => Err(RepoError::Clock { now: self.now, signed }),
            _ => Ok(()),
        }
    }

    fn root(&self, change: &Change, news: &mut Vec<New>) -> Result<Root, RepoError> {
        let before = self.before.map(|before| &before.root);
        let wanted = change.root.as_ref().or(before).expect("a repository has a root or gets one").clone();
        let is_same = before.is_some_and(|before| *before == wanted);
        if is_same && !self.is_renewed(change, ROOT) {
            return Ok(wanted);
        }
        for (role, keys) in &wanted.roles {
            let least = self.repository.policy.least_threshold(role);
            if keys.threshold < least {
                let what = format!("{role} would need {} signatures, the policy {least}", keys.threshold);
                return Err(RepoError::Rule(what));
            }
            if keys.threshold > keys.keyids.len() as u64 {
                let what =
                    format!("{role} would need {} signatures of {} keys", keys.threshold, keys.keyids.len());
                return Err(RepoError::Rule(what));
            }
        }
        let own = (wanted.keys.clone(), wanted.role(ROOT).clone());
        let mut authorities = vec![(&own.0, &own.1)];
        authorities.extend(before.map(|before| (&before.keys, before.role(ROOT))));
        self.staged(ROOT, wanted, before, &authorities, news)
    }

    fn targets(&self, change: &Change, root: &Root, news: &mut Vec<New>) -> Result<Targets, RepoError> {
        let before = self.before.map(|before| &before.targets);
        let wanted = match (&change.targets, before) {
            (Some((targets, delegations)), _) => Targets {
                common: before
                    .map_or_else(|| Common::new(TARGETS, 0, self.now), |before| before.common.clone()),
                targets: targets.clone(),
                delegations: delegations.clone(),
            },
            (None, Some(before)) => before.clone(),
            (None, None) => unreachable!("a new repository says something"),
        };
        let authority = (&root.keys, root.role(TARGETS));
        if before == Some(&wanted)
            && !self.is_renewed(change, TARGETS)
            && self.holds::<Targets>(TARGETS, authority)
        {
            return Ok(wanted);
        }
        self.staged(TARGETS, wanted, before, &[authority], news)
    }

    fn rollout(
        &self,
        change: &Change,
        targets: &Targets,
        news: &mut Vec<New>,
    ) -> Result<Option<Targets>, RepoError> {
        let Some(delegations) = &targets.delegations else { return Ok(None) };
        let Some(keys) = delegations.role(ROLLOUT_ROLE) else { return Ok(None) };
        let before = self.before.and_then(|before| before.rollout.as_ref());
        let said =
            change.rollout.as_ref().or(before.map(|before| &before.targets)).cloned().unwrap_or_default();
        let authority = (&delegations.keys, keys);
        if let Some(before) = before {
            let is_same = before.targets == said && self.holds::<Targets>(ROLLOUT_ROLE, authority);
            if is_same && !self.is_renewed(change, ROLLOUT_ROLE) && !self.is_old(ROLLOUT_ROLE, before) {
                return Ok(Some(before.clone()));
            }
        }
        let common = self.next(TARGETS, ROLLOUT_ROLE, before.map(|before| before.common.version));
        let content = Targets { common, targets: said, delegations: None };
        self.sealed(ROLLOUT_ROLE, content, &[authority], news).map(Some)
    }

    /// Roles that others signed: those that there were, and new ones.
    fn agreements(
        &self,
        change: &Change,
        targets: &Targets,
        meta: &mut BTreeMap<String, Pin>,
        news: &mut Vec<New>,
    ) {
        for role in verdict::roles(targets) {
            let is_there = self.before.is_some_and(|before| before.kept.targets.contains_key(&role));
            if let Some(envelope) = change.agreements.get(&role).filter(|_| !is_there) {
                self.add(&role, envelope, news);
            }
            meta.insert(metadata_name(&role, None), self.pin(&role, verdict::VERSION, news));
        }
    }

    fn snapshot(
        &self,
        change: &Change,
        root: &Root,
        meta: BTreeMap<String, Pin>,
        news: &mut Vec<New>,
    ) -> Result<Snapshot, RepoError> {
        let before = self.before.map(|before| &before.snapshot);
        let authority = (&root.keys, root.role(SNAPSHOT));
        if let Some(before) = before {
            let is_same = before.meta == meta && self.holds::<Snapshot>(SNAPSHOT, authority);
            if is_same && !self.is_renewed(change, SNAPSHOT) && !self.is_old(SNAPSHOT, before) {
                return Ok(before.clone());
            }
        }
        let common = self.next(SNAPSHOT, SNAPSHOT, before.map(|before| before.common.version));
        self.sealed(SNAPSHOT, Snapshot { common, meta }, &self.both(root, SNAPSHOT), news)
    }

    fn timestamp(
        &self,
        change: &Change,
        root: &Root,
        snapshot: &Snapshot,
        news: &mut Vec<New>,
    ) -> Result<(), RepoError> {
        let before = self.before.map(|before| &before.timestamp);
        let authority = (&root.keys, root.role(TIMESTAMP));
        let pin = self.pin(SNAPSHOT, snapshot.common.version, news);
        if let Some(before) = before {
            let is_same = *before.snapshot() == pin && self.holds::<Timestamp>(TIMESTAMP, authority);
            let is_left = news.is_empty() || !self.is_old(TIMESTAMP, before);
            if is_same && is_left && !self.is_renewed(change, TIMESTAMP) {
                return Ok(());
            }
        }
        let signed_before = before.and_then(|before| before.signed_at);
        let content = Timestamp {
            common: self.next(TIMESTAMP, TIMESTAMP, before.map(|before| before.common.version)),
            meta: BTreeMap::from([(metadata_name(SNAPSHOT, None), pin)]),
            signed_at: Some(signed_before.map_or(self.now, |signed| signed.max(self.now))),
        };
        self.sealed(TIMESTAMP, content, &self.both(root, TIMESTAMP), news)?;
        Ok(())
    }

    /// By the keys of the new root, and as long as there are any by those of the
    /// one before: a client that comes while files are put into place has either.
    fn both<'r>(&'r self, root: &'r Root, role: &str) -> Vec<(&'r BTreeMap<KeyId, Key>, &'r RoleKeys)> {
        let mut all = vec![(&root.keys, root.role(role))];
        if let Some(before) = self.before.filter(|before| before.root.role(role) != root.role(role)) {
            all.push((&before.root.keys, before.root.role(role)));
        }
        all
    }

    fn is_renewed(&self, change: &Change, role: &str) -> bool {
        change.renew.iter().any(|renewed| renewed == role)
    }

    /// Whether half of its life is over: who signs anyway signs it, too.
    fn is_old<T: Role>(&self, role: &str, content: &T) -> bool {
        let half = self.repository.policy.life(role) / 2;
        self.now.after(half) >= content.common().expires
    }

    /// Whether what is there is signed by those who may now.
    fn holds<T: Role>(&self, role: &str, (keys, authority): (&BTreeMap<KeyId, Key>, &RoleKeys)) -> bool {
        let Some(before) = self.before else { return false };
        let bytes = match role {
            TIMESTAMP => before.kept.timestamp.as_ref(),
            SNAPSHOT => before.kept.snapshot.as_ref(),
            role => before.kept.targets.get(role),
        };
        let envelope = bytes.and_then(|bytes| Envelope::<T>::parse(role, bytes).ok());
        envelope.is_some_and(|envelope| envelope.verified(role, keys, authority).is_ok())
    }

    fn next(&self, kind: &str, role: &str, before: Option<u64>) -> Common {
        Common::new(kind, before.unwrap_or(0) + 1, self.repository.policy.expiry(role, self.now))
    }

    /// Signs what nobody else's key is needed for.
    fn sealed<T: Role + Clone>(
        &self,
        role: &str,
        content: T,
        authorities: &[(&BTreeMap<KeyId, Key>, &RoleKeys)],
        news: &mut Vec<New>,
    ) -> Result<T, RepoError> {
        let mut envelope = Envelope::unsigned(content);
        // Only the first must be met: keys that are given up may be lost.
        for (index, authority) in authorities.iter().enumerate() {
            match self.sign(role, &mut envelope, *authority) {
                Err(RepoError::KeysMissing { .. }) if index > 0 => {}
                other => other?,
            }
        }
        self.add(role, &envelope, news);
        Ok(envelope.unverified().clone())
    }

    /// Signs what others may have to sign, too, and keeps it until they have.
    fn staged<T: Staged>(
        &self,
        role: &str,
        wanted: T,
        before: Option<&T>,
        authorities: &[(&BTreeMap<KeyId, Key>, &RoleKeys)],
        news: &mut Vec<New>,
    ) -> Result<T, RepoError> {
        let path = &self.repository.path;
        let version = before.map_or(0, |before| before.common().version) + 1;
        let mut content = wanted;
        content.set(version, self.repository.policy.expiry(role, self.now));
        // Signatures that were gathered for the very same, but for its date.
        let waiting = staged::read::<T>(path, role)?.filter(|waiting| {
            let mut same = content.clone();
            same.set(version, waiting.unverified().common().expires);
            waiting.unverified() == &same && waiting.unverified().common().expires > self.now
        });
        let mut envelope = waiting.unwrap_or_else(|| Envelope::unsigned(content));
        let signed = authorities.iter().try_for_each(|authority| self.sign(role, &mut envelope, *authority));
        // Also what has all its signatures: those of another role may be missing.
        if let Some(state) = self.before {
            let new_root = news.iter().find(|new| new.role == ROOT).map(|new| &new.bytes);
            let root = new_root.or(state.kept.roots.last()).expect("a state has a root");
            let kept = if role == ROOT { state.kept.roots.last() } else { state.kept.targets.get(role) };
            let kept = kept.map(|bytes| staged::value(bytes));
            staged::write(path, role, &staged::value(root), kept, &envelope)?;
        }
        signed?;
        self.add(role, &envelope, news);
        Ok(envelope.unverified().clone())
    }

    /// Adds signatures until an authority has what it needs.
    fn sign<T: Role>(
        &self,
        role: &str,
        envelope: &mut Envelope<T>,
        (keys, authority): (&BTreeMap<KeyId, Key>, &RoleKeys),
    ) -> Result<(), RepoError> {
        let mut missing = Vec::new();
        for id in &authority.keyids {
            let signed: Vec<KeyId> = envelope.signers(keys, authority).into_iter().cloned().collect();
            if signed.len() as u64 >= authority.threshold {
                return Ok(());
            }
            let Some(key) = keys.get(id).filter(|_| !signed.contains(id)) else { continue };
            match self.signers.sign(self.repository, id, key, role, envelope.message()) {
                Ok(signature) => envelope
                    .sign(Signature { keyid: id.clone(), sig: data_encoding::HEXLOWER.encode(&signature) }),
                Err(reason) => missing.push(reason),
            }
        }
        let have = envelope.signers(keys, authority).len();
        if have as u64 >= authority.threshold {
            return Ok(());
        }
        Err(RepoError::KeysMissing { role: role.to_owned(), threshold: authority.threshold, have, missing })
    }

    fn add<T: Role>(&self, role: &str, envelope: &Envelope<T>, news: &mut Vec<New>) {
        let version = envelope.unverified().common().version;
        let name = metadata_name(role, (role != TIMESTAMP).then_some(version));
        let keys =
            envelope.signatures().iter().map(|signature| self.repository.policy.name_of(&signature.keyid));
        news.push(New {
            role: role.to_owned(),
            version,
            name,
            bytes: envelope.to_bytes(),
            keys: keys.collect(),
        });
    }

    /// What is said of another file of metadata: of the new one if there is one.
    fn pin(&self, role: &str, version: u64, news: &[New]) -> Pin {
        let kept = self.before.and_then(|before| match role {
            SNAPSHOT => before.kept.snapshot.as_ref(),
            role => before.kept.targets.get(role),
        });
        let new = news.iter().find(|new| new.role == role).map(|new| &new.bytes);
        let bytes = new.or(kept).expect("what is named was just signed or is there");
        let hashes = Hashes::sha256(&Sha256::digest(bytes).into());
        Pin { version, length: Some(bytes.len() as u64), hashes: Some(hashes) }
    }

    fn put_files(&self, change: &Change) -> Result<(), RepoError> {
        let said =
            change.targets.iter().flat_map(|(targets, _)| targets).chain(change.rollout.iter().flatten());
        for (name, target) in said {
            let Some(bytes) = change.files.get(name) else { continue };
            let file = target_file(name, target)?;
            match bytes {
                Bytes::Small(bytes) => self.repository.put(&file, Contents::Bytes(bytes))?,
                Bytes::File(path) => self.repository.put(&file, Contents::File(path))?,
            }
        }
        self.repository.sync(super::tree::TARGETS)
    }

    /// As a client that knows the repository as it was, and one that has only
    /// the root of then.
    fn check(&self, news: &[New]) -> Result<(), RepoError> {
        let overlay: BTreeMap<String, Vec<u8>> =
            news.iter().map(|new| (new.name.clone(), new.bytes.clone())).collect();
        let root = match self.before {
            Some(before) => before.kept.roots.last().expect("a state has a root").clone(),
            None => {
                news.iter().find(|new| new.role == ROOT).expect("the first change has a root").bytes.clone()
            }
        };
        let known = self.before.map(|before| before.kept.clone()).unwrap_or_default();
        let mut seen = None;
        for kept in [known, osbuild_tuf::client::Kept::default()] {
            let transport = PlaceTransport { place: &self.repository.place, new: Some(&overlay) };
            let client = Client::new(&root, transport, MemoryStore(kept), Limits::default(), self.now);
            let state =
                client.and_then(|client| State::of(client, self.now)).map_err(RepoError::SelfCheck)?;
            seen = Some(state);
        }
        for (name, target) in seen.iter().flat_map(State::all_targets) {
            if !self.repository.place.exists(&target_file(name, target)?, &|| false)? {
                return Err(missing_target(name));
            }
        }
        Ok(())
    }

    fn put(&self, action: &str, news: &[New]) -> Result<Committed, RepoError> {
        let signings: Vec<Signing<'_>> = news
            .iter()
            .map(|new| Signing {
                role: &new.role,
                version: new.version,
                bytes: &new.bytes,
                keys: new.keys.clone(),
            })
            .collect();
        audit::append(&self.repository.path, action, self.now, &signings)?;
        let files = news.iter().map(|new| (new.name.clone(), new.bytes.clone())).collect();
        self.repository.put_metadata(files)?;
        for role in [ROOT, TARGETS] {
            if news.iter().any(|new| new.role == role) {
                staged::remove(&self.repository.path, role)?;
            }
        }
        Ok(Committed { roles: news.iter().map(|new| (new.role.clone(), new.version)).collect() })
    }
}

/// What is said of bytes.
pub(super) fn describe(bytes: &[u8], custom: Option<Value>) -> Target {
    Target { length: bytes.len() as u64, hashes: Hashes::sha256(&Sha256::digest(bytes).into()), custom }
}
