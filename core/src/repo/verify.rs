//! Looking at a repository as those who follow it do, and further than they
//! can: every target's bytes, what nothing names, what releases say of
//! themselves, and the record of signings.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use osbuild_format::hex;
use osbuild_store::cache::place::Place;
use osbuild_store::error::one_line;
use osbuild_tuf::client::{Client, Limits};
use osbuild_tuf::metadata::{Envelope, ROOT, Role, RoleKeys, SNAPSHOT, TARGETS, TIMESTAMP, Target, Targets};
use osbuild_tuf::time::Time;
use osbuild_update::documents::{Catalogue, Release, Rollout};
use osbuild_update::names::{self, Line, Part, ROLLOUT_ROLE};
use sha2::{Digest, Sha256};

use super::audit;
use super::error::RepoError;
use super::policy::Policy;
use super::publish::target_names;
use super::release::Slot;
use super::tested;
use super::tree::{MemoryStore, PlaceTransport, State, target_file};

/// What was found.
#[derive(Debug, Default)]
pub struct Report {
    pub roles: Vec<RoleReport>,
    pub releases: Vec<ReleaseReport>,
    pub targets: usize,
    pub bytes: u64,
    /// Files that nothing names; only where they can be listed.
    pub orphans: Vec<String>,
    /// What those who follow it would refuse, or what is not what it says.
    pub problems: Vec<String>,
    /// What will be a problem, or may be one.
    pub warnings: Vec<String>,
}

#[derive(Debug)]
pub struct RoleReport {
    pub role: String,
    pub version: u64,
    pub expires: Time,
    pub signatures: usize,
    pub threshold: u64,
    pub keys: usize,
}

#[derive(Debug)]
pub struct ReleaseReport {
    pub line: Line,
    pub version: String,
    pub rollback_index: u64,
    pub root_hash: String,
    pub withdrawn: bool,
}

/// A repository to be looked at.
pub struct Subject<'a> {
    /// Where its files are.
    pub place: &'a dyn Place,
    /// The directory with its policy and record of signings, if it is at hand.
    pub directory: Option<&'a Path>,
    /// The root that is trusted beforehand; the repository's first one if none.
    pub root: Option<Vec<u8>>,
    /// It need not hold every release: a target whose bytes are missing is none
    /// of its problems.
    pub is_partial: bool,
}

/// Looks at everything as of a time.
///
/// # Errors
/// The place cannot be read. What is wrong with the repository is in the report.
pub fn verify(subject: &Subject<'_>, at: Time, progress: &dyn Fn(&str)) -> Result<Report, RepoError> {
    let mut report = Report::default();
    let first = match &subject.root {
        Some(root) => Some(root.clone()),
        None => subject.place.get("metadata/1.root.json", 1 << 20, &|| false)?,
    };
    let Some(root) = first else {
        report.problems.push("there is no metadata/1.root.json".to_owned());
        return Ok(report);
    };
    let transport = || PlaceTransport { place: subject.place, new: None };
    let client = Client::new(&root, transport(), MemoryStore::default(), Limits::default(), at);
    let state = match client.and_then(|client| State::of(client, at)) {
        Ok(state) => state,
        Err(error) => {
            report.problems.push(one_line(&error));
            // What can be said although it has expired is worth saying.
            match State::walk(&root, transport()) {
                Ok(state) => state,
                Err(_) => return Ok(report),
            }
        }
    };
    roles(&state, &mut report);
    if let Some(directory) = subject.directory {
        by_policy(directory, &state, at, &mut report);
        by_record(directory, &state, &mut report);
    }
    let scratch =
        tempfile::tempdir().map_err(super::error::io_error("create", Path::new("a temporary directory")))?;
    let files = targets(subject, &state, scratch.path(), progress, &mut report)?;
    documents(&state, &files, subject.is_partial, &mut report);
    if let Some(directory) = subject.directory {
        orphans(directory, &state, &mut report);
    }
    Ok(report)
}

fn roles(state: &State, report: &mut Report) {
    let mut add = |role: &str, common: &osbuild_tuf::metadata::Common, signatures: usize, keys: &RoleKeys| {
        report.roles.push(RoleReport {
            role: role.to_owned(),
            version: common.version,
            expires: common.expires,
            signatures,
            threshold: keys.threshold,
            keys: keys.keyids.len(),
        });
    };
    let root = &state.root;
    let of_root = |role: &str| (&root.keys, root.role(role));
    let kept = &state.kept;
    add(
        ROOT,
        &root.common,
        signed::<osbuild_tuf::metadata::Root>(ROOT, kept.roots.last(), of_root(ROOT)),
        root.role(ROOT),
    );
    let targets = signed::<Targets>(TARGETS, kept.targets.get(TARGETS), of_root(TARGETS));
    add(TARGETS, &state.targets.common, targets, root.role(TARGETS));
    let delegations = state.targets.delegations.as_ref();
    let keys = delegations.and_then(|all| Some((&all.keys, all.role(ROLLOUT_ROLE)?)));
    if let (Some(rollout), Some(authority)) = (&state.rollout, keys) {
        let count = signed::<Targets>(ROLLOUT_ROLE, kept.targets.get(ROLLOUT_ROLE), authority);
        add(ROLLOUT_ROLE, &rollout.common, count, authority.1);
    }
    for (role, said) in &state.rebuilt {
        let Some(authority) = delegations.and_then(|all| Some((&all.keys, all.role(role)?))) else {
            continue;
        };
        add(role, &said.common, signed::<Targets>(role, kept.targets.get(role), authority), authority.1);
    }
    let snapshot =
        signed::<osbuild_tuf::metadata::Snapshot>(SNAPSHOT, kept.snapshot.as_ref(), of_root(SNAPSHOT));
    add(SNAPSHOT, &state.snapshot.common, snapshot, root.role(SNAPSHOT));
    let timestamp =
        signed::<osbuild_tuf::metadata::Timestamp>(TIMESTAMP, kept.timestamp.as_ref(), of_root(TIMESTAMP));
    add(TIMESTAMP, &state.timestamp.common, timestamp, root.role(TIMESTAMP));
}

type Authority<'a> = (&'a BTreeMap<osbuild_tuf::key::KeyId, osbuild_tuf::key::Key>, &'a RoleKeys);

fn signed<T: Role>(role: &str, bytes: Option<&Vec<u8>>, (keys, authority): Authority<'_>) -> usize {
    let envelope = bytes.and_then(|bytes| Envelope::<T>::parse(role, bytes).ok());
    envelope.map_or(0, |envelope| envelope.signers(keys, authority).len())
}

fn by_policy(directory: &Path, state: &State, at: Time, report: &mut Report) {
    let policy = match Policy::read(directory) {
        Ok(policy) => policy,
        Err(error) => return report.problems.push(one_line(&error)),
    };
    for role in &report.roles {
        let least = policy.least_threshold(&role.role);
        if role.threshold < least {
            let problem =
                format!("{} needs {} signatures, the policy asks for {least}", role.role, role.threshold);
            report.problems.push(problem);
        }
        if at < role.expires && policy.is_ending(&role.role, role.expires, at) {
            report.warnings.push(format!("{} expires soon, at {}", role.role, role.expires));
        }
    }
    for (role, keys) in &state.root.roles {
        if keys.threshold == 1 && role == ROOT {
            report
                .warnings
                .push("whoever has one key of root has the whole fleet: let it need more".to_owned());
        }
    }
}

/// All that is in place was signed by way of this record.
fn by_record(directory: &Path, state: &State, report: &mut Report) {
    let entries = match audit::read(directory) {
        Ok(chain) => chain.entries,
        Err(error) => return report.problems.push(one_line(&error)),
    };
    let known: BTreeSet<&str> = entries.iter().map(|entry| entry.sha256.as_str()).collect();
    let kept = &state.kept;
    let named = kept.roots.iter().enumerate().map(|(index, bytes)| (format!("root {}", index + 1), bytes));
    let others = [("timestamp", &kept.timestamp), ("snapshot", &kept.snapshot)];
    let others = others.into_iter().filter_map(|(name, bytes)| Some((name.to_owned(), bytes.as_ref()?)));
    let targets = kept.targets.iter().map(|(name, bytes)| (name.clone(), bytes));
    for (name, bytes) in named.chain(others).chain(targets) {
        if !known.contains(hex::encode(&Sha256::digest(bytes)).as_str()) {
            report.problems.push(format!("{name} was signed, and {} has no word of it", audit::FILE));
        }
    }
}

/// Every target's bytes, each looked at once; where they are now.
fn targets(
    subject: &Subject<'_>,
    state: &State,
    scratch: &Path,
    progress: &dyn Fn(&str),
    report: &mut Report,
) -> Result<BTreeMap<String, PathBuf>, RepoError> {
    let mut files = BTreeMap::new();
    for (name, target) in state.all_targets() {
        progress(name);
        let path = scratch.join(format!("{}", files.len()));
        match copy(subject.place, name, target, &path)? {
            Found::Right => {
                report.targets += 1;
                report.bytes += target.length;
                files.insert(name.clone(), path);
            }
            Found::Missing if subject.is_partial => {}
            Found::Missing => report.problems.push(format!("{name}: its bytes are missing")),
            Found::Wrong(problem) => report.problems.push(format!("{name}: {problem}")),
        }
    }
    Ok(files)
}

/// What a place has of a target.
enum Found {
    Right,
    Missing,
    Wrong(String),
}

/// Downloads a target, whole and right.
pub(super) fn fetch(place: &dyn Place, name: &str, target: &Target, to: &Path) -> Result<(), RepoError> {
    match copy(place, name, target, to)? {
        Found::Right => Ok(()),
        Found::Missing => Err(super::tree::missing_target(name)),
        Found::Wrong(problem) => Err(RepoError::Target { name: name.to_owned(), problem }),
    }
}

fn copy(place: &dyn Place, name: &str, target: &Target, to: &Path) -> Result<Found, RepoError> {
    let file = target_file(name, target)?;
    let mut judge = target.hashes.judge(name)?;
    let mut length = 0_u64;
    let mut out = std::fs::File::create(to).map_err(super::error::io_error("create", to))?;
    let mut failed = None;
    let is_there = place.read(&file, &|| false, &mut |stream, _| {
        let mut buffer = vec![0; 1 << 20];
        loop {
            let count = stream.read(&mut buffer)?;
            length += count as u64;
            if count == 0 || length > target.length {
                return Ok(());
            }
            judge.update(&buffer[..count]);
            if let Err(error) = std::io::Write::write_all(&mut out, &buffer[..count]) {
                failed = Some(error);
                return Ok(());
            }
        }
    })?;
    if let Some(error) = failed {
        return Err(super::error::io_error("write", to)(error));
    }
    if !is_there {
        return Ok(Found::Missing);
    }
    let due = target.length;
    if length > due {
        return Ok(Found::Wrong(format!("more than the {due} bytes that are due")));
    }
    if length < due {
        return Ok(Found::Wrong(format!("{length} bytes, where {due} are due")));
    }
    Ok(judge.finish().map_or_else(|error| Found::Wrong(one_line(&error)), |()| Found::Right))
}

/// The catalogues, and each release in them by its own word.
fn documents(state: &State, files: &BTreeMap<String, PathBuf>, is_partial: bool, report: &mut Report) {
    for name in state.targets.targets.keys() {
        let Some(line) = Line::of_catalogue(name) else { continue };
        let Some(bytes) = files.get(name).and_then(|path| std::fs::read(path).ok()) else { continue };
        let catalogue = match Catalogue::parse(&bytes) {
            Ok(catalogue) => catalogue,
            Err(error) => {
                report.problems.push(format!("{name}: {}", one_line(&error)));
                continue;
            }
        };
        rollout_of(&line, &catalogue, files, report);
        for release in &catalogue.releases {
            let names = target_names(&line.variant, &line.arch, &release.version);
            if is_partial && !names.values().any(|name| files.contains_key(name)) {
                continue;
            }
            if let Err(problem) = release_of(&line, release, files) {
                report.problems.push(format!("{line} {}: {problem}", release.version));
            }
            let prefix = names::release(&line.variant, &line.arch, &release.version);
            report.problems.extend(tested::problems(files.iter(), &prefix, &release.root_hash));
            report.releases.push(ReleaseReport {
                line: line.clone(),
                version: release.version.clone(),
                rollback_index: release.rollback_index,
                root_hash: release.root_hash.clone(),
                withdrawn: release.withdrawn.is_some(),
            });
        }
    }
}

fn rollout_of(line: &Line, catalogue: &Catalogue, files: &BTreeMap<String, PathBuf>, report: &mut Report) {
    let name = line.rollout();
    let Some(bytes) = files.get(&name).and_then(|path| std::fs::read(path).ok()) else {
        report.warnings.push(format!("{line}: nothing says when its releases are given out"));
        return;
    };
    match Rollout::parse(&bytes) {
        Ok(rollout) => {
            for (root_hash, given) in &rollout.releases {
                if !catalogue.releases.iter().any(|release| release.root_hash == *root_hash) {
                    report
                        .warnings
                        .push(format!("{name}: {} is given out and not in the catalogue", given.version));
                }
            }
        }
        Err(error) => report.problems.push(format!("{name}: {}", one_line(&error))),
    }
}

fn release_of(line: &Line, release: &Release, files: &BTreeMap<String, PathBuf>) -> Result<(), String> {
    let names = target_names(&line.variant, &line.arch, &release.version);
    let file = |part: Part| files.get(&names[&part]).cloned().unwrap_or_else(|| PathBuf::from(&names[&part]));
    for part in [Part::Manifest, Part::Root, Part::Tree, Part::Uki, Part::Loader, Part::Segments] {
        if !files.contains_key(&names[&part]) {
            return Err(format!("no target {} whose bytes are right", names[&part]));
        }
    }
    let slot = Slot::read_files(&file).map_err(|error| match &error {
        // By the target's name: the path is one of ours.
        RepoError::Release { path, what } => {
            let name =
                files.iter().find(|(_, file)| *file == path).map_or("a file", |(name, _)| name.as_str());
            format!("{name}: {what}")
        }
        other => one_line(other),
    })?;
    let own = &slot.release;
    let pairs = [
        ("variant", own.variant.clone(), line.variant.clone()),
        ("arch", own.arch.clone(), line.arch.clone()),
        ("version", own.version.clone(), release.version.clone()),
        ("rollback_index", own.rollback_index.to_string(), release.rollback_index.to_string()),
        ("min_from_index", own.min_from_index.to_string(), release.min_from_index.to_string()),
        ("root_hash", own.root.root_hash.clone(), release.root_hash.clone()),
        ("manifest_sha256", slot.manifest_sha256.clone(), release.manifest_sha256.clone()),
    ];
    match pairs.iter().find(|(_, manifest, catalogue)| manifest != catalogue) {
        Some((field, manifest, catalogue)) => {
            Err(format!("{field} is {catalogue} in the catalogue and {manifest} in the manifest"))
        }
        None => Ok(()),
    }
}

fn orphans(directory: &Path, state: &State, report: &mut Report) {
    match unnamed(directory, state) {
        Ok(found) => report.orphans = found.into_iter().map(|(name, _)| name).collect(),
        Err(error) => report.problems.push(one_line(&error)),
    }
}

/// Files of `public/` that nothing names any more, or not yet, with their sizes.
/// Roots are all needed: clients follow them one by one.
pub(super) fn unnamed(directory: &Path, state: &State) -> Result<Vec<(String, u64)>, RepoError> {
    let public = directory.join(super::tree::PUBLIC);
    let mut named: BTreeSet<String> = BTreeSet::from(["metadata/timestamp.json".to_owned()]);
    for version in 1..=state.root.common.version {
        named.insert(format!("metadata/{version}.root.json"));
    }
    named.insert(format!("metadata/{}.snapshot.json", state.timestamp.snapshot().version));
    for (file, pin) in &state.snapshot.meta {
        named.insert(format!("metadata/{}.{file}", pin.version));
    }
    for (name, target) in state.all_targets() {
        named.insert(target_file(name, target)?);
    }
    let mut found = Vec::new();
    for folder in ["metadata", "targets"] {
        let path = public.join(folder);
        let entries = std::fs::read_dir(&path).map_err(super::error::io_error("list", &path))?;
        for entry in entries {
            let entry = entry.map_err(super::error::io_error("list", &path))?;
            let name = format!("{folder}/{}", entry.file_name().to_string_lossy());
            if !named.contains(&name) {
                found.push((name, entry.metadata().map_or(0, |metadata| metadata.len())));
            }
        }
    }
    found.sort();
    Ok(found)
}
