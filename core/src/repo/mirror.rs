//! A repository elsewhere: in another directory or a bucket, or in one file that
//! is carried over an air gap. None of them needs a key.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use osbuild_store::cache::Directory;
use osbuild_store::cache::place::{Contents, Place};
use osbuild_tuf::client::{Client, Kept, Limits};
use osbuild_tuf::metadata::{Envelope, TIMESTAMP, Target, Timestamp};
use osbuild_tuf::time::Time;
use osbuild_update::names::{self, Line};

use super::error::{RepoError, io_error};
use super::tree::{
    MemoryStore, NEVER, PUBLIC, PlaceTransport, Repository, State, missing_target, target_file,
};
use super::verify::fetch;
use super::waves::documents;

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    pub files: usize,
    pub bytes: u64,
    /// Of the timestamp, which tells how new it is.
    pub version: u64,
}

/// The files of a repository in the order in which they may appear: what is
/// named before what names it, the timestamp last.
fn in_order(state: &State, targets: &[(String, Target)]) -> Result<Vec<String>, RepoError> {
    let mut files = Vec::new();
    for (name, target) in targets {
        files.push(target_file(name, target)?);
    }
    files.extend((1..=state.root.common.version).map(|version| format!("metadata/{version}.root.json")));
    files.extend(state.snapshot.meta.iter().map(|(file, pin)| format!("metadata/{}.{file}", pin.version)));
    files.push(format!("metadata/{}.snapshot.json", state.timestamp.snapshot().version));
    files.push(TIMESTAMP_FILE.to_owned());
    Ok(files)
}

const TIMESTAMP_FILE: &str = "metadata/timestamp.json";
/// Of one file, at most; which of them is larger than it may be is told when it is read.
const METADATA_BYTES: usize = 5_000_000;

fn all_targets(state: &State) -> Vec<(String, Target)> {
    state.all_targets().map(|(name, target)| (name.clone(), target.clone())).collect()
}

/// Copies what a place does not have yet.
///
/// Looking and writing are two requests: of two who push at once from different
/// copies the later one wins, and nodes that saw the newer state refuse the other.
///
/// # Errors
/// [`RepoError::Behind`]: the place is newer. [`RepoError::Rule`]: it holds another
/// repository. Nothing was changed there.
pub fn push(
    repository: &Repository,
    state: &State,
    to: &dyn Place,
    progress: &dyn Fn(&str),
) -> Result<Copied, RepoError> {
    // Its first root would stay, and nobody believe the rest by it.
    let first = to.get("metadata/1.root.json", 1 << 20, &|| false)?;
    if first.is_some() && first.as_ref() != state.kept.roots.first() {
        return Err(RepoError::Rule(format!("{} holds another repository", to.address())));
    }
    let ours = state.timestamp.common.version;
    let theirs = to.get(TIMESTAMP_FILE, 1 << 20, &|| false)?;
    if let Some(theirs) = theirs.and_then(|bytes| Envelope::<Timestamp>::parse(TIMESTAMP, &bytes).ok()) {
        let theirs = theirs.unverified().common.version;
        if theirs > ours {
            return Err(RepoError::Behind { place: to.address().to_owned(), ours, theirs });
        }
    }
    let public = repository.path.join(PUBLIC);
    let mut copied = Copied { version: ours, ..Copied::default() };
    for file in in_order(state, &all_targets(state))? {
        // All but the timestamp never change under their name.
        if file != TIMESTAMP_FILE && to.exists(&file, &|| false)? {
            continue;
        }
        progress(&file);
        let path = public.join(&file);
        to.put(&file, Contents::File(&path), &|| false)?;
        copied.files += 1;
        copied.bytes += path.metadata().map_err(io_error("read", &path))?.len();
    }
    Ok(copied)
}

/// What is to be exported: all, or some releases.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    pub line: Option<Line>,
    pub versions: Vec<String>,
}

/// Writes one file (tar): all metadata, then the targets that are wanted. Equal
/// repositories give equal bytes.
///
/// # Errors
/// [`RepoError::Argument`]: no such release.
pub fn export(
    repository: &Repository,
    state: &State,
    selection: &Selection,
    to: &Path,
) -> Result<Copied, RepoError> {
    let targets = selected(repository, state, selection)?;
    let file = super::beside(to)?;
    let mut archive = tar::Builder::new(std::io::BufWriter::new(file.as_file()));
    let mut copied = Copied { version: state.timestamp.common.version, ..Copied::default() };
    let mut files = in_order(state, &targets)?;
    // Metadata first: whoever reads it knows at once whether to go on.
    files.sort_by_key(|file| !file.starts_with("metadata/"));
    for file in files {
        let path = repository.path.join(PUBLIC).join(&file);
        let mut source = File::open(&path).map_err(io_error("open", &path))?;
        let size = source.metadata().map_err(io_error("read", &path))?.len();
        let mut header = tar::Header::new_ustar();
        header.set_size(size);
        header.set_mode(0o644);
        header.set_mtime(0);
        header.set_entry_type(tar::EntryType::Regular);
        archive.append_data(&mut header, &file, &mut source).map_err(io_error("write", to))?;
        copied.files += 1;
        copied.bytes += size;
    }
    let mut out = archive.into_inner().map_err(io_error("write", to))?;
    out.flush().map_err(io_error("write", to))?;
    drop(out);
    super::put_in_place(file, to)?;
    Ok(copied)
}

fn selected(
    repository: &Repository,
    state: &State,
    selection: &Selection,
) -> Result<Vec<(String, Target)>, RepoError> {
    let Some(line) = &selection.line else { return Ok(all_targets(state)) };
    let catalogue = documents(repository, state, line)?.catalogue;
    let mut versions = selection.versions.clone();
    if versions.is_empty() {
        versions.extend(catalogue.releases.last().map(|release| release.version.clone()));
    }
    let mut prefixes = vec![line.catalogue(), line.rollout()];
    for version in &versions {
        super::waves::release_of(&catalogue, Some(version))?;
        prefixes.push(format!("{}.", names::release(&line.variant, &line.arch, version)));
    }
    let is_wanted = |name: &str| prefixes.iter().any(|prefix| name.starts_with(prefix.as_str()));
    Ok(all_targets(state).into_iter().filter(|(name, _)| is_wanted(name)).collect())
}

/// Reads such a file into a directory that a web server may give out. It is
/// believed by the root that is there, or by `root` where nothing is yet.
///
/// # Errors
/// What a client would refuse, an older state among it; nothing was changed.
pub fn import(file: &Path, to: &Path, root: Option<&[u8]>, now: Time) -> Result<Copied, RepoError> {
    let scratch = scratch_in(to)?;
    unpack(file, scratch.path())?;
    admit(scratch.path(), to, root, now)
}

/// Takes over what a place has and such a directory has not, the other direction
/// of [`push`]: to sign there what comes next, or to give it out. What has expired
/// is taken, too, since it can be signed anew.
///
/// # Errors
/// As of [`import`].
pub fn pull(
    from: &dyn Place,
    to: &Path,
    root: Option<&[u8]>,
    progress: &dyn Fn(&str),
) -> Result<Copied, RepoError> {
    let scratch = scratch_in(to)?;
    let old = Directory::new(to);
    let transport = PlaceTransport { place: from, new: None };
    let (first, kept) = believed(&old, root)?;
    let client = Client::new(&first, transport, MemoryStore(kept), Limits::default(), NEVER)?;
    let state = State::of(client, NEVER)?;
    let mut targets = BTreeMap::new();
    for (name, target) in all_targets(&state) {
        targets.insert(target_file(&name, &target)?, (name, target));
    }
    for file in in_order(&state, &all_targets(&state))? {
        let target = targets.get(&file);
        // All metadata, so that what comes is judged by itself.
        if target.is_some() && old.exists(&file, &|| false)? {
            continue;
        }
        progress(&file);
        let path = scratch.path().join(&file);
        match target {
            Some((name, target)) => fetch(from, name, target, &path)?,
            None => {
                let bytes = from.get(&file, METADATA_BYTES, &|| false)?;
                // A root before the one that this chain begins with.
                let Some(bytes) = bytes else { continue };
                std::fs::write(&path, bytes).map_err(io_error("write", &path))?;
            }
        }
    }
    admit(scratch.path(), to, root, NEVER)
}

/// A folder for what is not believed yet.
fn scratch_in(to: &Path) -> Result<tempfile::TempDir, RepoError> {
    std::fs::create_dir_all(to).map_err(io_error("create", to))?;
    let scratch =
        tempfile::Builder::new().prefix(".import-").tempdir_in(to).map_err(io_error("write in", to))?;
    for folder in ["metadata", "targets"] {
        let path = scratch.path().join(folder);
        std::fs::create_dir_all(&path).map_err(io_error("create", &path))?;
    }
    Ok(scratch)
}

/// The root that something new is believed by, and what is known already, which
/// may be all that a command wrote that was killed.
fn believed(old: &Directory, root: Option<&[u8]>) -> Result<(Vec<u8>, Kept), RepoError> {
    let get = |file: &str| old.get(file, METADATA_BYTES, &|| false);
    let mut kept = Kept { timestamp: get(TIMESTAMP_FILE)?, ..Kept::default() };
    while let Some(root) = get(&format!("metadata/{}.root.json", kept.roots.len() + 1))? {
        kept.roots.push(root);
    }
    if let Some(version) = snapshot_version(&kept) {
        kept.snapshot = get(&format!("metadata/{version}.snapshot.json"))?;
    }
    let first = kept.roots.first().cloned().or_else(|| root.map(<[u8]>::to_vec));
    let first = first.ok_or_else(|| {
        RepoError::Argument(format!(
            "{} has no root yet to believe it by: give one (--from FILE)",
            old.address()
        ))
    })?;
    Ok((first, kept))
}

fn snapshot_version(kept: &Kept) -> Option<u64> {
    let timestamp = Envelope::<Timestamp>::parse(TIMESTAMP, kept.timestamp.as_ref()?).ok()?;
    Some(timestamp.unverified().snapshot().version)
}

/// Puts into place what `from` has, once all of it is believed.
fn admit(from: &Path, to: &Path, root: Option<&[u8]>, now: Time) -> Result<Copied, RepoError> {
    let (new, old) = (Directory::new(from), Directory::new(to));
    let (first, kept) = believed(&old, root)?;
    let transport = PlaceTransport { place: &new, new: None };
    let client = Client::new(&first, transport, MemoryStore(kept), Limits::default(), now)?;
    let state = State::of(client, now)?;

    let mut copied = Copied { version: state.timestamp.common.version, ..Copied::default() };
    let mut brought = Vec::new();
    for (name, target) in all_targets(&state) {
        let place = target_file(&name, &target)?;
        if !new.exists(&place, &|| false)? {
            continue;
        }
        let mut judge = target.hashes.judge(&name)?;
        let is_there = new.read(&place, &|| false, &mut |stream, _| {
            let mut buffer = vec![0; 1 << 20];
            loop {
                match stream.read(&mut buffer)? {
                    0 => return Ok(()),
                    count => judge.update(&buffer[..count]),
                }
            }
        })?;
        if !is_there {
            return Err(missing_target(&name));
        }
        judge.finish()?;
        brought.push((name, target));
    }
    for place in in_order(&state, &brought)? {
        if place != TIMESTAMP_FILE && old.exists(&place, &|| false)? {
            continue;
        }
        let path = from.join(&place);
        // A root before the one that the chain begins with.
        if !path.exists() {
            continue;
        }
        old.put(&place, Contents::File(&path), &|| false)?;
        copied.files += 1;
        copied.bytes += path.metadata().map_err(io_error("read", &path))?.len();
    }
    Ok(copied)
}

/// Unpacks the names that an export has, and no other.
fn unpack(file: &Path, to: &Path) -> Result<(), RepoError> {
    let source = File::open(file).map_err(io_error("open", file))?;
    let mut archive = tar::Archive::new(std::io::BufReader::new(source));
    let bad = |what: String| RepoError::Release { path: file.to_owned(), what };
    for entry in archive.entries().map_err(io_error("read", file))? {
        let mut entry = entry.map_err(io_error("read", file))?;
        let name: PathBuf = entry.path().map_err(io_error("read", file))?.into_owned();
        let text = name.to_string_lossy().into_owned();
        let is_ours = text
            .split_once('/')
            .is_some_and(|(folder, rest)| matches!(folder, "metadata" | "targets") && is_file_name(rest));
        if !is_ours || entry.header().entry_type() != tar::EntryType::Regular {
            return Err(bad(format!("not an export of a repository: it holds '{text}'")));
        }
        let path = to.join(&name);
        let mut out = File::create_new(&path).map_err(io_error("create", &path))?;
        std::io::copy(&mut entry, &mut out).map_err(io_error("write", &path))?;
    }
    Ok(())
}

fn is_file_name(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\', '\0'])
}

/// Until when a client believes what is passed on.
pub fn current_until(state: &State) -> Time {
    let State { root, targets, snapshot, timestamp, .. } = state;
    let ends = [&targets.common, &snapshot.common, &timestamp.common].map(|common| common.expires);
    ends.into_iter().fold(root.common.expires, Time::min)
}

/// Whether what is passed on is what a client would believe now.
///
/// # Errors
/// [`RepoError::Rule`]: it has expired.
pub fn is_current(state: &State, now: Time) -> Result<(), RepoError> {
    let end = current_until(state);
    if now < end {
        return Ok(());
    }
    Err(RepoError::Rule(format!("the repository expired at {end}: `osbuild repo refresh` first")))
}
