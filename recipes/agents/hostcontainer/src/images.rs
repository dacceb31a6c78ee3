//! Images: out of the root, or from wherever they are.

use std::path::Path;
use std::time::{Duration, Instant};

use osbuild_images::carried;

use crate::call::CONTAINERD;

const CARRIED: &str = "/usr/share/osbuild/images/carried.json";
const FETCHING: Duration = Duration::from_secs(600);
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
    if let Some(archive) = carried(Path::new(CARRIED))?.get(reference) {
        return CONTAINERD.import(reference, archive, FETCHING);
    }
    let began = Instant::now();
    let mut pause = PAUSE;
    loop {
        // Each time anew: the settings may say otherwise meanwhile.
        let proxy = std::fs::read_to_string(PROXY).unwrap_or_default();
        match CONTAINERD.pull(reference, &variables(&proxy), FETCHING) {
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
