//! What a release was made from, as a target beside it; see `attest::recorded`.

/// Behind the name of a release.
const TARGET: &str = ".derivations.zst";

/// The name of the target, by the release's.
pub(super) fn target(release: &str) -> String {
    format!("{release}{TARGET}")
}
