//! Images: out of the root, or from wherever they are.
//!
//! containerd knows of an image before its files are on the disk, and a power
//! cut in between would leave one that is there and empty. So an image counts
//! only with a mark that it gets after its files were written out; one without
//! is fetched anew.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use osbuild_sys::{filesystem, lock};

use crate::call::{ctr, ctr_in};

/// Archives in the root, by the reference that they are imported under.
const CARRIED: &str = "/usr/share/osbuild/images/carried.json";
const LOCK: &str = "/run/host-containerd/images.lock";
/// What containerd keeps.
const STORE: &str = "/var/lib/host-containerd";
/// There once leftovers of the start before this one are gone.
const TIDIED: &str = "/run/host-containerd/tidied";
/// The label that is the mark, and what selects the images that have it.
const MARK: &str = "osbuild_written=yes";
const MARKED: &str = "labels.osbuild_written==yes";
const IMPORTING: Duration = Duration::from_secs(600);
const PULLING: Duration = Duration::from_secs(600);
const QUICK: Duration = Duration::from_secs(30);
/// Through whom images are pulled; it is not there if that is nobody.
const PROXY: &str = "/etc/osbuild/proxy.env";
/// Between two tries to get an image.
const PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Sees to it that an image is there. `tell` hears why it takes long.
///
/// # Errors
/// An image of the root cannot be imported, another did not come for as long
/// as `patience`, or we were asked to end.
pub(crate) fn provide(
    reference: &str,
    patience: Option<Duration>,
    tell: &mut dyn FnMut(&str),
) -> Result<(), String> {
    tidy()?;
    if is_there(reference)? {
        return Ok(());
    }
    if let Some(archive) = carried(Path::new(CARRIED), reference)? {
        // At a start several want theirs, often the same one.
        let _turn = turn()?;
        if is_there(reference)? {
            return Ok(());
        }
        ctr(&["images", "import", &archive], IMPORTING)?;
        return mark(reference);
    }
    let began = Instant::now();
    let mut pause = PAUSE;
    loop {
        // Each time anew: the settings may say otherwise meanwhile.
        let proxy = std::fs::read_to_string(PROXY).unwrap_or_default();
        match ctr_in(&variables(&proxy), &["images", "pull", reference], PULLING) {
            Ok(_) => return mark(reference),
            Err(reason) if patience.is_some_and(|patience| began.elapsed() >= patience) => {
                return Err(format!("cannot get {reference}: {reason}"));
            }
            Err(reason) => tell(&format!("cannot get {reference} yet: {reason}")),
        }
        if !crate::rest(pause) {
            return Err(format!("{reference} did not come"));
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

fn is_there(reference: &str) -> Result<bool, String> {
    Ok(marked()?.lines().any(|line| line == reference))
}

fn marked() -> Result<String, String> {
    ctr(&["images", "ls", "-q", MARKED], QUICK)
}

fn mark(reference: &str) -> Result<(), String> {
    filesystem::sync(Path::new(STORE)).map_err(|error| error.to_string())?;
    ctr(&["images", "label", reference, MARK], QUICK).map(|_| ())
}

/// Once after each start, before any container runs: what a start before this
/// one left behind goes, and so do images whose files may not be whole, which
/// containerd would not unpack again while anything has a use for them.
fn tidy() -> Result<(), String> {
    let _turn = turn()?;
    if Path::new(TIDIED).exists() {
        return Ok(());
    }
    for name in ctr(&["containers", "ls", "-q"], QUICK)?.lines() {
        crate::remove(name);
    }
    let whole = marked()?;
    for reference in ctr(&["images", "ls", "-q"], QUICK)?.lines() {
        if !whole.lines().any(|line| line == reference) {
            ctr(&["images", "rm", "--sync", reference], IMPORTING)?;
        }
    }
    std::fs::write(TIDIED, "").map_err(|error| format!("{TIDIED}: {error}"))
}

fn turn() -> Result<File, String> {
    lock::exclusive(LOCK).map_err(|error| error.to_string())
}

/// The archive of a reference, if the root carries it.
fn carried(index: &Path, reference: &str) -> Result<Option<String>, String> {
    let text = std::fs::read(index).map_err(|error| format!("{}: {error}", index.display()))?;
    let archives: BTreeMap<String, String> =
        serde_json::from_slice(&text).map_err(|error| format!("{}: {error}", index.display()))?;
    Ok(archives.get(reference).cloned())
}

/// The lines of an environment file of ours: no quotes, no continuation.
fn variables(text: &str) -> Vec<(&str, &str)> {
    text.lines().filter_map(|line| line.split_once('=')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_proxy_is_what_the_settings_wrote() {
        let text = "HTTPS_PROXY=http://10.0.0.1:3128/?a=b\nNO_PROXY=localhost,.example.com\n\n";
        let expected = [("HTTPS_PROXY", "http://10.0.0.1:3128/?a=b"), ("NO_PROXY", "localhost,.example.com")];
        assert_eq!(variables(text), expected);
        assert_eq!(variables(""), []);
    }
}
