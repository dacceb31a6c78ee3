//! Images: out of the root, or from wherever they are.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use osbuild_sys::{command, lock};

use crate::call::{CTR, NAMESPACE, SOCKET};

/// Archives in the root, by the reference that they are imported under.
const CARRIED: &str = "/usr/share/osbuild/images/carried.json";
const LOCK: &str = "/run/host-containerd/images.lock";
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
    if is_there(reference) {
        return Ok(());
    }
    if let Some(archive) = carried(Path::new(CARRIED), reference)? {
        // At a start several want theirs, often the same one.
        let _turn = lock::exclusive(LOCK).map_err(|error| error.to_string())?;
        if is_there(reference) {
            return Ok(());
        }
        return ctr(&["images", "import", &archive], &[], IMPORTING);
    }
    let began = Instant::now();
    let mut pause = PAUSE;
    loop {
        // Each time anew: the settings may say otherwise meanwhile.
        let proxy = std::fs::read_to_string(PROXY).unwrap_or_default();
        match ctr(&["images", "pull", reference], &variables(&proxy), PULLING) {
            Ok(()) => return Ok(()),
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

fn is_there(reference: &str) -> bool {
    let filter = format!("name=={reference}");
    let found = command::run(&[CTR, "-a", SOCKET, "-n", NAMESPACE, "images", "ls", "-q", &filter], QUICK);
    found.is_ok_and(|output| output.status == 0 && output.stdout.lines().any(|line| line == reference))
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

fn ctr(words: &[&str], environment: &[(&str, &str)], limit: Duration) -> Result<(), String> {
    let whole = [&[CTR, "-a", SOCKET, "-n", NAMESPACE], words].concat();
    let output = command::run_in(&whole, environment, limit)?;
    if output.status == 0 {
        return Ok(());
    }
    Err(output.stderr.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("no reason given").to_owned())
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
