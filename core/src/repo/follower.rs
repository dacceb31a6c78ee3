//! Whether a node that runs one release would go to another by a repository:
//! asked before a machine is started for it, by the laws that the node has.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use osbuild_format::release::Release;
use osbuild_format::squashfs::read::{Image, MemberKind};
use osbuild_store::cache::Directory;
use osbuild_tuf::client::{Client, Limits};
use osbuild_tuf::time::Time;
use osbuild_update::decide::{Node, Standing, Wishes, judge};
use osbuild_update::names::{Line, Part};
use osbuild_update::wave::EVERYBODY;

use super::error::{RepoError, io_error};
use super::release::Slot;
use super::tree::{MemoryStore, PUBLIC, PlaceTransport, State};
use super::waves::{documents_at, lines};

/// Where the image keeps the beginning of the chain of roots; an image that
/// follows nobody has none.
const ROOT: &str = "/usr/share/osbuild/root.json";
/// Until the machine asks, waves go on.
const SOON: Duration = Duration::from_secs(60);

/// The public files of a repository, or of a copy of them.
pub fn public_files(directory: &Path) -> PathBuf {
    let public = directory.join(PUBLIC);
    if public.is_dir() { public } else { directory.to_owned() }
}

/// The channel by which a node of `old`, which trusts `root`, goes to `new`:
/// `channel`, or the only one that has it.
///
/// # Errors
/// [`RepoError::Argument`]: what the user has to do first. What the node would
/// not believe.
pub fn channel_to(
    directory: &Path,
    root: &[u8],
    old: &Slot,
    new: &Slot,
    channel: Option<&str>,
    now: Time,
) -> Result<String, RepoError> {
    let place = Directory::new(&public_files(directory));
    let transport = PlaceTransport { place: &place, new: None };
    let client = Client::new(root, transport, MemoryStore::default(), Limits::default(), now)?;
    let state = State::of(client, now)?;

    let release = &new.release;
    let name = format!("{} {}", release.variant, release.version);
    let mut found = Vec::new();
    for line in lines(&state) {
        let is_of = line.variant == release.variant
            && line.arch == release.arch
            && channel.is_none_or(|channel| channel == line.channel);
        if is_of
            && documents_at(&place, &state, &line)?.catalogue.releases.iter().any(|other| is_it(other, new))
        {
            found.push(line);
        }
    }
    let line = match &found[..] {
        [line] => line,
        [] => {
            let place = channel.map_or_else(String::new, |channel| format!(" in the channel {channel}"));
            return Err(RepoError::Argument(format!(
                "{name} is not published{place}: a node cannot go to it; publish it to a channel for candidates first"
            )));
        }
        several => {
            let channels: Vec<&str> = several.iter().map(|line| line.channel.as_str()).collect();
            let what = format!("{name} is published in {}: which one? (--channel)", channels.join(" and "));
            return Err(RepoError::Argument(what));
        }
    };
    match obstacle(&place, &state, line, &old.release, new, now)? {
        Some(why) => Err(RepoError::Argument(format!(
            "a node of {} {} would not go to {name} by {}: {why}",
            old.release.variant, old.release.version, line.channel
        ))),
        None => Ok(line.channel.clone()),
    }
}

fn is_it(published: &osbuild_update::documents::Release, slot: &Slot) -> bool {
    published.root_hash == slot.release.root.root_hash && published.manifest_sha256 == slot.manifest_sha256
}

/// Why no node of the old release goes to the new one now.
fn obstacle(
    place: &Directory,
    state: &State,
    line: &Line,
    old: &Release,
    new: &Slot,
    now: Time,
) -> Result<Option<String>, RepoError> {
    let documents = documents_at(place, state, line)?;
    if old.variant != new.release.variant || old.arch != new.release.arch {
        return Ok(Some("it is another variant".to_owned()));
    }
    if old.layout != new.release.layout {
        return Ok(Some("their partitions are others".to_owned()));
    }
    let node = Node {
        machine_id: String::new(),
        running_index: old.rollback_index,
        running_root_hash: old.root.root_hash.clone(),
        floor: old.floor,
        refused: BTreeSet::new(),
        // Candidates are looked at before they were made again.
        rebuilt: None,
        // A newer one may have been published since.
        wishes: Wishes { version_lock: Some(new.release.version.clone()), ..Wishes::default() },
    };
    let soon = now.after(SOON);
    let judged = judge(&node, &documents.catalogue, &documents.rollout, soon);
    let standing = judged.iter().find(|one| is_it(one.release, new)).map(|one| &one.standing);
    let given = documents.rollout.releases.get(&new.release.root.root_hash);
    let is_everybodys = given.is_some_and(|given| given.wave.share_at(soon) == EVERYBODY);
    let why = match standing {
        Some(Standing::Ready) if is_everybodys => return Ok(None),
        // Which nodes come when, depends on their machine ids.
        Some(Standing::Ready | Standing::Waits { .. }) => {
            "its wave is not over; `osbuild repo waves set --wave now` ends it".to_owned()
        }
        Some(Standing::Running) => "that is what it runs".to_owned(),
        Some(Standing::Older) => format!(
            "its rollback index is {}, of the old release {}",
            new.release.rollback_index, old.rollback_index
        ),
        Some(Standing::BelowFloor { floor }) => format!("it is below the floor {floor}"),
        Some(Standing::Withdrawn { why }) => format!("it was withdrawn: {why}"),
        Some(Standing::NeedsStep { min_from_index }) => {
            format!("it can be reached from index {min_from_index} on")
        }
        Some(Standing::Paused { why, .. }) => format!("it is held: {why}"),
        Some(Standing::NotGiven) | None => "it is not given out".to_owned(),
        Some(Standing::Locked { .. } | Standing::FailedHere | Standing::NotRebuilt) => {
            "it is refused".to_owned()
        }
    };
    Ok(Some(why))
}

/// The root that an image trusts beforehand.
///
/// # Errors
/// [`RepoError::Argument`]: it follows nobody.
pub fn baked_root(slot: &Slot) -> Result<Vec<u8>, RepoError> {
    let squashfs = &slot.parts[&Part::Root].path;
    let bad = |what: String| RepoError::Release { path: squashfs.clone(), what };
    let file = std::fs::File::open(squashfs).map_err(io_error("open", squashfs))?;
    let mut image = Image::open(file).map_err(|error| bad(error.to_string()))?;
    let members = image.members().map_err(|error| bad(error.to_string()))?;
    let member = members.into_iter().find(|member| member.path == ROOT);
    let Some(MemberKind::File(file)) = member.map(|member| member.kind) else {
        return Err(RepoError::Argument(
            "the old release follows no repository (`update = null`): no node of it is updated".to_owned(),
        ));
    };
    let mut bytes = Vec::new();
    image.contents(&file, &mut bytes).map_err(|error| bad(error.to_string()))?;
    Ok(bytes)
}
